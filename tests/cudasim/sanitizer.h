// SPDX-License-Identifier: Apache-2.0
//
// What the emulator tells the sanitizers. Its own files are compiled without -fsanitize, else its
// bookkeeping would show up in the reports; CO_EMU_ASAN and CO_EMU_TSAN say how the kernels are
// compiled.
#ifndef COHORT_TESTS_CUDASIM_SANITIZER_H
#define COHORT_TESTS_CUDASIM_SANITIZER_H

#include <cstddef>

#if defined(CO_EMU_ASAN)
extern "C" {
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);
void __asan_poison_memory_region(void *address, size_t size);
}
#endif

#if defined(CO_EMU_TSAN)
extern "C" {
void *__tsan_get_current_fiber();
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
}
#endif

namespace emu {

// What happened before release(tag) in one emulated thread happens before what follows acquire(tag)
// in another.
inline void release(void *tag) {
#if defined(CO_EMU_TSAN)
  __tsan_release(tag);
#else
  (void)tag;
#endif
}
inline void acquire(void *tag) {
#if defined(CO_EMU_TSAN)
  __tsan_acquire(tag);
#else
  (void)tag;
#endif
}

// While it lives, the calling host thread's accesses are not looked at; those of emulated threads
// are. The scheduler needs it although it is compiled without instrumentation, for the memory
// functions of the C library that the thread sanitizer intercepts.
class Unobserved {
public:
  Unobserved() {
#if defined(CO_EMU_TSAN)
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
  }
  Unobserved(const Unobserved &) = delete;
  Unobserved &operator=(const Unobserved &) = delete;
  ~Unobserved() {
#if defined(CO_EMU_TSAN)
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
  }
};

} // namespace emu

#endif
