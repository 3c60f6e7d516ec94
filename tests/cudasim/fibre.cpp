// SPDX-License-Identifier: Apache-2.0
#include "fibre.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "sanitizer.h"

namespace emu {

static char *map_memory(size_t bytes) {
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    perror("cudasim: mmap");
    abort();
  }
  return static_cast<char *>(memory);
}

// ---- fresh memory

static constexpr size_t fresh_bytes = size_t{1} << 30;

FreshMemory::~FreshMemory() {
  if (base_) munmap(base_, fresh_bytes);
}

void FreshMemory::reserve(size_t bytes) {
  if (base_ && used_ + bytes <= fresh_bytes) return;
  if (base_) munmap(base_, fresh_bytes);
  base_ = map_memory(fresh_bytes);
  used_ = 0;
}

void *FreshMemory::take(size_t bytes) {
  bytes = (bytes + 127) / 64 * 64; // at least 64 bytes between two pieces
  if (!base_ || used_ + bytes > fresh_bytes) {
    fprintf(stderr, "cudasim: a block needs more than %zu bytes of stacks\n", fresh_bytes);
    abort();
  }
  void *piece = base_ + used_;
  used_ += bytes;
  return piece;
}

// ---- switching stacks

#if defined(CO_EMU_PORTABLE_SWITCH)

static void switch_context(Context &from, Context &to) {
  swapcontext(&from.state, &to.state);
}

static void prepare_context(Context &context, char *stack, void (*entry)()) {
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = stack;
  context.state.uc_stack.ss_size = fibre_stack_bytes;
  context.state.uc_link = nullptr;
  makecontext(&context.state, entry, 0);
}

#else

// Saves the registers that a call preserves on the old stack and takes them from the new one.
// ucontext would ask the kernel for the signal mask at each switch, ten times the cost.
extern "C" void emu_switch_stack(void **save, void *load);
asm(R"(
.text
.globl emu_switch_stack
.hidden emu_switch_stack
.type emu_switch_stack, @function
emu_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emu_switch_stack, . - emu_switch_stack
)");

static void switch_context(Context &from, Context &to) {
  emu_switch_stack(&from.stack_pointer, to.stack_pointer);
}

static void prepare_context(Context &context, char *stack, void (*entry)()) {
  // Tops at the same offset of a page would all compete for the same cache lines.
  static thread_local unsigned colour;
  size_t offset = fibre_stack_bytes - size_t{colour++ % 61} * 320 - 64;
  void **top = reinterpret_cast<void **>(stack + offset);
  *--top = nullptr; // where entry would return to; also keeps the stack aligned as after a call
  *--top = reinterpret_cast<void *>(entry);
  top -= 6;
  memset(top, 0, 6 * sizeof *top);
  context.stack_pointer = top;
}

#endif

// ---- pool

FibrePool::~FibrePool() {
  forget_retired();
  for (Fibre *fibre : all_) {
#if !defined(CO_EMU_TSAN)
    munmap(fibre->stack, fibre_stack_bytes);
#endif
    delete fibre;
  }
}

Fibre *FibrePool::get() {
  Fibre *fibre;
  bool known = !idle_.empty();
  if (known) {
    fibre = idle_.back();
    idle_.pop_back();
  } else {
    fibre = new Fibre();
    all_.push_back(fibre);
  }
#if defined(CO_EMU_TSAN)
  // To the sanitizer every emulated thread is a thread of its own, on memory of its own. What the
  // scheduler has seen so far happens before it.
  fibre->stack = static_cast<char *>(fresh_.take(fibre_stack_bytes));
  prepare_context(fibre->context, fibre->stack, entry_);
  fibre->tsan = __tsan_create_fiber(0);
#else
  if (!known) {
    fibre->stack = map_memory(fibre_stack_bytes);
    mprotect(fibre->stack, 4096, PROT_NONE); // an overflow faults instead of corrupting a neighbour
    prepare_context(fibre->context, fibre->stack, entry_);
  }
#endif
  return fibre;
}

void FibrePool::put_back(Fibre *fibre) {
  idle_.push_back(fibre);
#if defined(CO_EMU_TSAN)
  retired_.push_back(fibre->tsan);
#endif
}

void FibrePool::forget_retired() {
#if defined(CO_EMU_TSAN)
  for (void *fiber : retired_)
    __tsan_destroy_fiber(fiber);
#endif
  retired_.clear();
}

void FibrePool::tidy() {
  // Not one by one: the sanitizer takes a new thread that reuses an old one's slot for the same
  // thread and would miss a race between the two.
  if (retired_.size() >= 1024) forget_retired();
}

void FibrePool::resume(Fibre *fibre) {
  current_ = fibre;
#if defined(CO_EMU_ASAN)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack_, fibre->stack, fibre_stack_bytes);
#endif
#if defined(CO_EMU_TSAN)
  scheduler_tsan_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fibre->tsan, 1 /* no synchronisation */);
#endif
  switch_context(scheduler_, fibre->context);
#if defined(CO_EMU_ASAN)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack_, nullptr, nullptr);
#endif
  current_ = nullptr;
  if (finished_) {
    finished_ = false;
    put_back(fibre);
  }
}

// The scheduler does the rest: what a fibre allocates looks like the emulated thread's own doing.
void FibrePool::finish() {
  finished_ = true;
  suspend();
}

void FibrePool::started() {
#if defined(CO_EMU_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
}

void FibrePool::suspend() {
  Fibre *fibre = current_;
#if defined(CO_EMU_ASAN)
  __sanitizer_start_switch_fiber(&fibre->fake_stack, scheduler_stack_, scheduler_stack_bytes_);
#endif
#if defined(CO_EMU_TSAN)
  __tsan_switch_to_fiber(scheduler_tsan_, 1 /* no synchronisation */);
#endif
  switch_context(fibre->context, scheduler_);
#if defined(CO_EMU_ASAN)
  __sanitizer_finish_switch_fiber(fibre->fake_stack, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
}

} // namespace emu
