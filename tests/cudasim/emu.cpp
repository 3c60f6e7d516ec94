// SPDX-License-Identifier: Apache-2.0
//
// The scheduler of the emulator. A grid runs block by block; the threads of a block run as fibres,
// one at a time, and hand over only where they wait for each other. Threads that never wait share
// one fibre: they are plain function calls, one after the other.
//
// Nothing here may allocate memory while a fibre runs: the thread sanitizer would see emulated
// threads share the allocation.
//
// What it demands is stricter than a device: every thread of a block comes to the same barrier, and
// every lane named in a mask takes part, finished threads included.
#include "emu.h"

// The device's names mean nothing on the host side.
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef warpSize

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "fibre.h"
#include "sanitizer.h"
#include "shared_memory.h"

struct emu_call {
  emu::LaunchSite site;
  const void *kernel;
  emu::Configuration configuration;
  emu::Closure closure;
  size_t dynamic_limit;
  // Every thread of the grid releases it, the host acquires it: the end of a kernel orders memory.
  // A member, since the end of one stream's kernel must not order another stream's.
  uint64_t finished_tag;
};

namespace emu {

__thread ThreadContext *thread;
__thread BlockContext *block;

namespace {

constexpr unsigned warp_size = 32;
constexpr unsigned max_block_threads = 1024;

const char *const schedule_names[] = {"in-order", "random", "warp-greedy"};

// ---- options

emu_options options_from_environment() {
  emu_options options = {EMU_IN_ORDER, 0, 1};
  if (const char *name = getenv("CO_EMU_SCHEDULE")) {
    bool known = false;
    for (int i = 0; i < 3; i++)
      if (strcmp(name, schedule_names[i]) == 0) {
        options.schedule = static_cast<emu_schedule>(i);
        known = true;
      }
    if (!known) {
      fprintf(stderr, "cudasim: CO_EMU_SCHEDULE=%s is none of in-order, random, warp-greedy\n",
              name);
      abort();
    }
  }
  if (const char *seed = getenv("CO_EMU_SEED")) options.seed = strtoull(seed, nullptr, 10);
  if (const char *workers = getenv("CO_EMU_WORKERS")) {
    long wanted = strtol(workers, nullptr, 10);
    options.workers = wanted < 1 ? 1 : static_cast<int>(wanted);
  }
  return options;
}

emu_options &current_options() {
  static emu_options options = options_from_environment();
  return options;
}

class Random {
public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() { // splitmix64
    uint64_t x = state_ += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }
  template <typename Iterator> void shuffle(Iterator begin, Iterator end) {
    for (auto n = end - begin; n > 1; n--)
      std::swap(begin[n - 1], begin[static_cast<ptrdiff_t>(next() % static_cast<uint64_t>(n))]);
  }

private:
  uint64_t state_;
};

// ---- one block

enum class State { fresh, ready, running, at_barrier, in_warp_op, finished };

struct Thread : ThreadContext {
  State state;
  Fibre *fibre; // once it has waited
  const char *file;
  int line;
  // at a barrier
  unsigned barriers; // how many it has come to
  bool vote;
  // in a warp collective
  WarpOp op;
  unsigned mask;
  unsigned source;
  uint64_t value; // deposited, then the result
};

// Runs blocks on one host thread, one at a time.
class BlockRunner {
public:
  BlockRunner() : shared(fresh_), pool_(fibre_main, fresh_) {}
  void run(emu_call &call, uint3 index, const emu_options &options, uint64_t seed);

  unsigned barrier(bool vote, const char *file, int line);
  uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, unsigned source,
                         const char *file, int line);
  unsigned active_mask() const;
  void describe(FILE *out) const;

private:
  FreshMemory fresh_;

public:
  SharedMemory shared;

private:
  static void fibre_main();
  bool advance(size_t begin, size_t end);
  bool advance_warps();
  void wait(State state, const char *file, int line);
  void release_barrier();
  [[noreturn]] void report_deadlock();
  bool warp_op_complete(const Thread &self) const;
  void finish_warp_op(const Thread &self);
  void reorder();
  // The lanes of a warp that exist: the last warp of a block may be cut off.
  unsigned lanes_of(unsigned warp) const {
    unsigned left = static_cast<unsigned>(threads_.size()) - warp * warp_size;
    return left < warp_size ? (1u << left) - 1 : 0xffffffffu;
  }

  FibrePool pool_;
  emu_call *call_ = nullptr;
  BlockContext context_{};
  emu_options options_{};
  Random random_{0};
  std::vector<Thread> threads_;
  std::vector<Thread *> order_;
  std::vector<unsigned> warp_order_;
  std::vector<unsigned> waiting_; // by warp: the lanes in a warp collective
  // The part of order_ being advanced. Kept here because the fibre that finishes a thread goes on
  // with the next fresh one by itself.
  size_t cursor_ = 0;
  size_t cursor_end_ = 0;
  size_t finished_ = 0;
  unsigned votes_ = 0;
  // Two, used in turn: a fast thread releases the next barrier's before a slow one acquires this
  // one's.
  uint64_t *barrier_tags_ = nullptr;
  uint64_t *thread_tags_ = nullptr;
};

__thread BlockRunner *runner;

void BlockRunner::run(emu_call &call, uint3 index, const emu_options &options, uint64_t seed) {
  dim3 size = call.configuration.block;
  size_t count = size_t{size.x} * size.y * size.z;
  size_t warps = (count + warp_size - 1) / warp_size;
  call_ = &call;
  context_ = {call.configuration.grid, size, index};
  options_ = options;
  random_ = Random(seed);
  runner = this;
  block = &context_;

#if defined(CO_EMU_TSAN)
  fresh_.reserve(count * (fibre_stack_bytes + 128) + 2 * EMU_SHARED_OPT_IN);
  barrier_tags_ = static_cast<uint64_t *>(fresh_.take((count + 2) * sizeof(uint64_t)));
  thread_tags_ = barrier_tags_ + 2;
#endif
  shared.begin_block(call.configuration.shared_bytes, call.dynamic_limit);

  threads_.assign(count, Thread());
  order_.resize(count);
  for (unsigned i = 0; i < count; i++) {
    Thread &t = threads_[i];
    t.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    t.lane = i % warp_size;
    t.warp = i / warp_size;
    order_[i] = &t;
  }
  waiting_.assign(warps, 0);
  warp_order_.resize(warps);
  std::iota(warp_order_.begin(), warp_order_.end(), 0u);
  finished_ = 0;
  reorder();

  while (finished_ < count) {
    bool progress = options_.schedule == EMU_WARP_GREEDY ? advance_warps() : advance(0, count);
    if (!progress) release_barrier();
  }

  thread = nullptr;
  shared.end_block();
  pool_.tidy();
  block = nullptr;
  runner = nullptr;
}

void BlockRunner::reorder() {
  if (options_.schedule == EMU_RANDOM) random_.shuffle(order_.begin(), order_.end());
  if (options_.schedule == EMU_WARP_GREEDY) random_.shuffle(warp_order_.begin(), warp_order_.end());
}

// Lets each thread of a stretch of order_ that can run do so until it waits or finishes.
bool BlockRunner::advance(size_t begin, size_t end) {
  bool progress = false;
  cursor_ = begin;
  cursor_end_ = end;
  while (cursor_ < cursor_end_) {
    Thread *next = order_[cursor_];
    if (next->state == State::fresh) {
      progress = true;
      pool_.resume(pool_.get()); // takes `next`, and fresh ones after it
      continue;
    }
    cursor_++;
    if (next->state == State::ready) {
      progress = true;
      next->state = State::running;
      thread = next;
      pool_.resume(next->fibre);
    }
  }
  return progress;
}

bool BlockRunner::advance_warps() {
  bool progress = false;
  for (unsigned warp : warp_order_) {
    size_t begin = size_t{warp} * warp_size;
    size_t end = std::min(begin + warp_size, order_.size());
    while (advance(begin, end))
      progress = true;
  }
  return progress;
}

void BlockRunner::fibre_main() {
  BlockRunner *self = runner; // a fibre stays with its runner
  self->pool_.started();
  for (;;) {
    while (self->cursor_ < self->cursor_end_ &&
           self->order_[self->cursor_]->state == State::fresh) {
      Thread *next = self->order_[self->cursor_++];
      next->state = State::running;
      thread = next;
      const Closure &closure = self->call_->closure;
      closure.invoke(closure.data);
      release(&self->call_->finished_tag);
      next->state = State::finished;
      self->finished_++;
#if defined(CO_EMU_TSAN)
      break; // to the sanitizer a fibre is one thread
#endif
    }
    self->pool_.finish();
  }
}

void BlockRunner::wait(State state, const char *file, int line) {
  Thread *self = static_cast<Thread *>(thread);
  self->state = state;
  self->file = file;
  self->line = line;
  self->fibre = pool_.current();
  pool_.suspend();
}

unsigned BlockRunner::barrier(bool vote, const char *file, int line) {
  Thread *self = static_cast<Thread *>(thread);
  uint64_t *tag = barrier_tags_ + self->barriers++ % 2;
  self->vote = vote;
  release(tag);
  wait(State::at_barrier, file, line);
  acquire(tag);
  return votes_;
}

void BlockRunner::release_barrier() {
  const Thread &first = threads_.front();
  for (const Thread &t : threads_)
    if (t.state != State::at_barrier || t.line != first.line || strcmp(t.file, first.file) != 0)
      report_deadlock();
  votes_ = 0;
  for (Thread &t : threads_) {
    votes_ += t.vote;
    t.state = State::ready;
  }
  reorder();
}

void BlockRunner::report_deadlock() {
  std::map<std::string, unsigned> places;
  unsigned at_barrier = 0, in_warp_op = 0;
  for (Thread &t : threads_) {
    std::string place = "have finished";
    if (t.state == State::at_barrier || t.state == State::in_warp_op) {
      char text[512];
      if (t.state == State::at_barrier) {
        at_barrier++;
        snprintf(text, sizeof text, "wait for the block at %s:%d", t.file, t.line);
      } else {
        in_warp_op++;
        snprintf(text, sizeof text, "wait for their warp, mask %08x, at %s:%d", t.mask, t.file,
                 t.line);
      }
      place = text;
      thread = &t; // the report names one of those that wait
    }
    places[place]++;
  }
  std::string list;
  for (const auto &place : places)
    list += "\n  " + std::to_string(place.second) + " threads " + place.first;
  fault("%s%s",
        in_warp_op   ? "deadlock in a warp collective: some lanes of the mask never come"
        : at_barrier ? "divergent barrier: not all threads of the block come to the same one"
                     : "deadlock",
        list.c_str());
}

uint64_t BlockRunner::warp_exchange(WarpOp op, unsigned mask, uint64_t value, unsigned source,
                                    const char *file, int line) {
  Thread *self = static_cast<Thread *>(thread);
  if (!(mask >> self->lane & 1))
    fault("%s:%d: lane %u calls a warp collective whose mask %08x leaves it out", file, line,
          self->lane, mask);
  self->op = op;
  self->mask = mask & lanes_of(self->warp);
  self->value = value;
  self->source = source;
  self->file = file;
  self->line = line;
  waiting_[self->warp] |= 1u << self->lane;
  // Only __syncwarp orders memory. The last lane to come collects what all have done and hands it
  // to each; one tag per thread, because lanes may be in collectives of different masks.
  void *tag = thread_tags_ + (self - threads_.data());
  if (op == WarpOp::sync) release(tag);
  if (warp_op_complete(*self)) {
    finish_warp_op(*self);
    self->state = State::running;
  } else {
    wait(State::in_warp_op, file, line);
  }
  if (op == WarpOp::sync) acquire(tag);
  return self->value;
}

bool BlockRunner::warp_op_complete(const Thread &self) const {
  if ((waiting_[self.warp] & self.mask) != self.mask) return false;
  const Thread *lanes = &threads_[size_t{self.warp} * warp_size];
  for (unsigned i = 0; i < warp_size; i++) {
    if (!(self.mask >> i & 1)) continue;
    const Thread &peer = lanes[i];
    if (peer.mask != self.mask) {
      if (peer.mask >> self.lane & 1)
        fault("%s:%d: lanes %u and %u meet with different masks, %08x and %08x (%s:%d)", self.file,
              self.line, self.lane, i, self.mask, peer.mask, peer.file, peer.line);
      return false;
    }
    if (peer.op != self.op)
      fault("%s:%d: lanes %u and %u meet in different collectives, the other at %s:%d", self.file,
            self.line, self.lane, i, peer.file, peer.line);
  }
  return true;
}

void BlockRunner::finish_warp_op(const Thread &self) {
  unsigned mask = self.mask;
  Thread *lanes = &threads_[size_t{self.warp} * warp_size];
  uint64_t *tags = thread_tags_ + size_t{self.warp} * warp_size;
  uint64_t values[warp_size] = {};
  uint64_t ballot = 0;
  for (unsigned i = 0; i < warp_size; i++) {
    if (!(mask >> i & 1)) continue;
    values[i] = lanes[i].value;
    if (values[i] != 0) ballot |= uint64_t{1} << i;
    if (self.op == WarpOp::sync) acquire(tags + i);
  }
  for (unsigned i = 0; i < warp_size; i++) {
    if (!(mask >> i & 1)) continue;
    Thread &peer = lanes[i];
    switch (self.op) {
    case WarpOp::sync:
      release(tags + i);
      peer.value = 0;
      break;
    case WarpOp::ballot:
      peer.value = ballot;
      break;
    case WarpOp::shuffle:
      if (peer.source >= warp_size || !(mask >> peer.source & 1)) {
        thread = &peer;
        fault("%s:%d: shuffle reads lane %u, which does not take part (mask %08x)", peer.file,
              peer.line, peer.source, mask);
      }
      peer.value = values[peer.source];
      break;
    }
    peer.state = State::ready;
  }
  waiting_[self.warp] &= ~mask;
}

unsigned BlockRunner::active_mask() const {
  unsigned warp = thread->warp;
  unsigned mask = lanes_of(warp);
  for (unsigned i = 0; i < warp_size; i++)
    if (mask >> i & 1 && threads_[size_t{warp} * warp_size + i].state == State::finished)
      mask &= ~(1u << i);
  return mask;
}

void BlockRunner::describe(FILE *out) const {
  fprintf(out, "kernel %s", call_->site.kernel);
  if (call_->site.line) fprintf(out, " launched at %s:%d", call_->site.file, call_->site.line);
  fprintf(out, ", block (%u,%u,%u)", context_.index.x, context_.index.y, context_.index.z);
  if (thread)
    fprintf(out, ", thread (%u,%u,%u)", thread->index.x, thread->index.y, thread->index.z);
  fprintf(out, ", schedule %s, seed %llu", schedule_names[options_.schedule],
          static_cast<unsigned long long>(options_.seed));
}

// ---- one grid

// Blocks in another order than they are numbered: index -> (index * step + start) mod count.
struct BlockOrder {
  uint64_t count, step, start;
  BlockOrder(uint64_t blocks, const emu_options &options, Random &random)
      : count(blocks), step(1), start(0) {
    if (options.schedule == EMU_IN_ORDER) return;
    start = random.next() % count;
    step = random.next() % count;
    while (std::gcd(step, count) != 1)
      step++;
  }
  uint64_t operator()(uint64_t index) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(index) * step + start) % count);
  }
};

void run_grid(emu_call &call) {
  static std::atomic<uint64_t> runs;
  emu_options options = current_options();
  dim3 grid = call.configuration.grid;
  uint64_t count = uint64_t{grid.x} * grid.y * grid.z;
  Random random(options.seed * 1000003 + runs++);
  BlockOrder order(count, options, random);
  uint64_t seed = random.next();
  std::atomic<uint64_t> next{0};

  auto work = [&] {
    static thread_local BlockRunner blocks;
    Unobserved scope;
    for (uint64_t i; (i = next++) < count;) {
      uint64_t b = order(i);
      uint3 index = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                     static_cast<unsigned>(b / grid.x / grid.y)};
      blocks.run(call, index, options, seed ^ b);
    }
    acquire(&call.finished_tag); // a helper frees its blocks next
  };
  uint64_t helpers = std::min<uint64_t>(static_cast<uint64_t>(options.workers), count) - 1;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < helpers; i++)
    threads.emplace_back(work);
  work();
  for (std::thread &t : threads)
    t.join();
  acquire(&call.finished_tag);
}

// ---- launches

emu_launch_hook *launch_hook;
void *launch_hook_context;

// Function-local, so that registrations and limits of other files' initialisers find them ready.
struct Tables {
  std::mutex mutex;
  std::map<const void *, RawLaunch> kernels;
  std::map<const void *, size_t> dynamic_limits;
};
Tables &tables() {
  static Tables instance;
  return instance;
}

void check_configuration(const LaunchSite &site, const Configuration &c, size_t dynamic_limit) {
  char problem[160] = "";
  size_t threads = size_t{c.block.x} * c.block.y * c.block.z;
  size_t allowed = std::max(dynamic_limit, EMU_SHARED_DEFAULT);
  if (threads == 0 || threads > max_block_threads || c.block.z > 64)
    snprintf(problem, sizeof problem,
             "block of (%u,%u,%u) threads; 1 to 1024 are possible, 64 of them in z", c.block.x,
             c.block.y, c.block.z);
  else if (c.grid.x == 0 || c.grid.y == 0 || c.grid.z == 0 || c.grid.x > 0x7fffffffu ||
           c.grid.y > 65535 || c.grid.z > 65535)
    snprintf(problem, sizeof problem,
             "grid of (%u,%u,%u) blocks; 1 to 2^31-1 are possible in x, 65535 in y and z", c.grid.x,
             c.grid.y, c.grid.z);
  else if (c.shared_bytes > allowed)
    snprintf(problem, sizeof problem,
             "dynamic shared memory of %zu bytes, the kernel is allowed %zu", c.shared_bytes,
             allowed);
  if (*problem == '\0') return;
  fprintf(stderr, "cudasim: FAULT: launch of %s at %s:%d: %s\n", site.kernel, site.file, site.line,
          problem);
  abort();
}

} // namespace

void fault(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("cudasim: FAULT: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  if (runner) {
    fputs("\n  in ", stderr);
    runner->describe(stderr);
  }
  fputc('\n', stderr);
  abort();
}

unsigned barrier(bool vote, const char *file, int line) {
  return runner->barrier(vote, file, line);
}

uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, unsigned source, const char *file,
                       int line) {
  return runner->warp_exchange(op, mask, value, source, file, line);
}

unsigned active_mask() {
  return runner->active_mask();
}

void fence() {
  thread->fenced = true;
  // "Atomic, then fence" orders what follows after what the other side released there.
  if (thread->last_atomic) acquire(const_cast<void *>(thread->last_atomic));
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void *shared_array(const void *key, size_t bytes, size_t alignment, const char *name) {
  return runner->shared.static_array(key, bytes, alignment, name);
}

void *dynamic_shared() {
  return runner->shared.dynamic_array();
}

bool register_kernel(const void *kernel, RawLaunch launch) {
  std::lock_guard<std::mutex> lock(tables().mutex);
  tables().kernels[kernel] = launch;
  return true;
}

void submit(const LaunchSite &site, const void *kernel, const Configuration &configuration,
            const Closure &closure) {
  if (thread) fault("%s:%d: launch of %s from device code", site.file, site.line, site.kernel);
  size_t dynamic_limit = 0;
  {
    std::lock_guard<std::mutex> lock(tables().mutex);
    auto limit = tables().dynamic_limits.find(kernel);
    if (limit != tables().dynamic_limits.end()) dynamic_limit = limit->second;
  }
  check_configuration(site, configuration, dynamic_limit);
  emu_call *call = new emu_call{site, kernel, configuration, closure, dynamic_limit, 0};
  if (launch_hook) {
    launch_hook(launch_hook_context, call, configuration.stream);
  } else {
    emu_call_run(call);
    emu_call_free(call);
  }
}

} // namespace emu

// ---- control.h

void emu_configure(const struct emu_options *options) {
  emu::current_options() = options ? *options : emu::options_from_environment();
}

const char *emu_call_kernel(const struct emu_call *call) {
  return call->site.kernel;
}

void emu_call_run(struct emu_call *call) {
  emu::run_grid(*call);
}

void emu_call_free(struct emu_call *call) {
  if (!call) return;
  call->closure.destroy(call->closure.data);
  delete call;
}

const struct emu_pointer *emu_call_pointer(const struct emu_call *call, size_t i) {
  const std::vector<emu_pointer> &pointers = call->closure.pointers;
  return i < pointers.size() ? &pointers[i] : nullptr;
}

void emu_set_launch_hook(emu_launch_hook *hook, void *context) {
  emu::launch_hook = hook;
  emu::launch_hook_context = context;
}

int emu_set_dynamic_shared_limit(const void *kernel, size_t bytes) {
  if (bytes > EMU_SHARED_OPT_IN) return false;
  std::lock_guard<std::mutex> lock(emu::tables().mutex);
  emu::tables().dynamic_limits[kernel] = bytes;
  return true;
}

int emu_launch_by_name(const char *mangled, void **arguments, dim3 grid, dim3 block,
                       size_t shared_bytes, cudaStream_t stream) {
  std::unique_lock<std::mutex> lock(emu::tables().mutex);
  for (const auto &[kernel, launch] : emu::tables().kernels) {
    Dl_info info;
    if (!dladdr(kernel, &info) || !info.dli_sname || strcmp(info.dli_sname, mangled) != 0) continue;
    emu::RawLaunch found = launch;
    const void *address = kernel;
    lock.unlock(); // the launch looks up its limit
    found(info.dli_sname, address, arguments, {grid, block, shared_bytes, stream});
    return true;
  }
  return false;
}
