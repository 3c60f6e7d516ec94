// SPDX-License-Identifier: Apache-2.0
//
// Stacks of their own for the emulated threads, and the switch between them and the scheduler.
#ifndef COHORT_TESTS_CUDASIM_FIBRE_H
#define COHORT_TESTS_CUDASIM_FIBRE_H

#include <cstddef>
#include <vector>

#if !defined(__x86_64__) || defined(CO_EMU_UCONTEXT)
#define CO_EMU_PORTABLE_SWITCH 1
#include <ucontext.h>
#endif

namespace emu {

// Memory for what the thread sanitizer must see fresh in each block. It remembers who touched an
// address and which tags lie there, so a stack or shared array that reuses one would be accused of
// races with its former owner, and a reused tag would excuse real ones. Addresses are handed out
// once; recycling unmaps everything, which makes the sanitizer forget.
class FreshMemory {
public:
  FreshMemory() = default;
  FreshMemory(const FreshMemory &) = delete;
  FreshMemory &operator=(const FreshMemory &) = delete;
  ~FreshMemory();
  // Between two blocks: makes sure that the next `bytes` fit.
  void reserve(size_t bytes);
  void *take(size_t bytes);

private:
  char *base_ = nullptr;
  size_t used_ = 0;
};

struct Context {
#if defined(CO_EMU_PORTABLE_SWITCH)
  ucontext_t state;
#else
  void *stack_pointer;
#endif
};

struct Fibre {
  Context context;
  char *stack;
  void *fake_stack; // of the address sanitizer
  void *tsan;       // handle of the thread sanitizer
};

constexpr size_t fibre_stack_bytes = size_t{256} << 10;

// The fibres of one scheduler. All of them run `entry`, which never returns: when it has nothing to
// do it suspends itself, and is resumed inside that call when it is needed again.
class FibrePool {
public:
  FibrePool(void (*entry)(), FreshMemory &fresh) : entry_(entry), fresh_(fresh) {}
  FibrePool(const FibrePool &) = delete;
  FibrePool &operator=(const FibrePool &) = delete;
  ~FibrePool();

  Fibre *get();
  void resume(Fibre *fibre); // scheduler -> fibre; returns when that suspends itself
  void suspend();            // fibre -> scheduler
  void finish();             // the same, with nothing left to do: the fibre can serve again
  void started();            // the first thing `entry` calls
  Fibre *current() const {
    return current_;
  }
  // Between two blocks: lets go of what the sanitizer keeps for finished threads.
  void tidy();

private:
  void put_back(Fibre *fibre);
  void forget_retired();

  void (*entry_)();
  FreshMemory &fresh_;
  std::vector<Fibre *> all_;
  std::vector<Fibre *> idle_;
  std::vector<void *> retired_;
  Fibre *current_ = nullptr;
  bool finished_ = false;
  Context scheduler_{};
  void *scheduler_fake_stack_ = nullptr;
  const void *scheduler_stack_ = nullptr;
  size_t scheduler_stack_bytes_ = 0;
  void *scheduler_tsan_ = nullptr;
};

} // namespace emu

#endif
