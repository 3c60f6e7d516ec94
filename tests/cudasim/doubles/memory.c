// SPDX-License-Identifier: Apache-2.0
// Device memory: one reserved range of addresses. Each block has pages of its own, with a red
// zone on both sides and a page never opened behind it; addresses are not used twice, so freed
// memory stays dead. Pages are open only while device work runs. Pinned host memory is a list.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "double.h"
#include "work.h"

// Present in processes with the address sanitizer.
extern void __asan_poison_memory_region(const volatile void *, size_t) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *, size_t) __attribute__((weak));

enum {
  RED_ZONE = 256, // also the alignment of cudaMalloc
  RED_BYTE = 0xCB,
  POISON_BYTE = 0xFF, // NaN in every float type
  PAGE = 4096,
  WORKSPACE_ENDS = 64 << 10
};
static const size_t arena_size = (size_t)1 << 36;

typedef struct device_block {
  char *pages; // first page; the memory starts RED_ZONE behind
  size_t page_bytes;
  char *memory;
  size_t bytes;
  bool live;
} device_block;

typedef struct host_block {
  char *memory;
  size_t bytes;
  struct host_block *next;
} host_block;

static char *arena;
static size_t arena_used;
static int open_depth;
static device_block *blocks; // ascending addresses
static size_t block_count, block_capacity;
static host_block *host_blocks;
static size_t live_bytes, peak_bytes;
static long allocations;
static struct sigaction previous_handler;
static co_double_fault alloc_fault = {.variable = "COHORT_SIM_FAIL_ALLOC"};
static co_double_fault host_alloc_fault = {.variable = "COHORT_SIM_FAIL_HOST_ALLOC"};

static device_block *find_block(const void *pointer) {
  const char *p = pointer;
  size_t low = 0, high = block_count;
  while (low < high) { // last block that starts at or before p
    size_t middle = (low + high) / 2;
    if (blocks[middle].pages <= p)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return NULL;
  device_block *block = &blocks[low - 1];
  return p < block->pages + block->page_bytes ? block : NULL;
}

// Says what was touched, then lets the previous handler (the sanitizer's, a core dump) go on.
static void on_segmentation_fault(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)context;
  const char *p = info->si_addr;
  if (arena != NULL && p >= arena && p < arena + arena_size) {
    const device_block *block = find_block(p);
    char text[256];
    int n = snprintf(text, sizeof text, "cudasim: %s at %p (%s)\n",
                     open_depth > 0 ? "device code touches memory that is not allocated"
                                    : "HOST code dereferences a device pointer",
                     (const void *)p,
                     block == NULL ? "no block"
                     : block->live ? "a live block"
                                   : "a freed block");
    if (write(STDERR_FILENO, text, (size_t)n) < 0) _exit(1);
  }
  sigaction(SIGSEGV, &previous_handler, NULL);
}

static void reserve_arena(void) {
  if (arena != NULL) return;
  arena = mmap(NULL, arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (arena == MAP_FAILED) co_double_die("cannot reserve addresses for device memory");
  struct sigaction action = {.sa_sigaction = on_segmentation_fault,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGSEGV, &action, &previous_handler);
}

static void protect(const device_block *block, int protection) {
  if (mprotect(block->pages, block->page_bytes, protection) != 0)
    co_double_die("mprotect failed: too many device blocks?");
}

static void protect_live(int protection) {
  for (size_t i = 0; i < block_count; i++)
    if (blocks[i].live) protect(&blocks[i], protection);
}

void co_double_device_open(void) {
  if (open_depth++ == 0) protect_live(PROT_READ | PROT_WRITE);
}

void co_double_device_close(void) {
  if (--open_depth == 0) protect_live(PROT_NONE);
}

static size_t tail_bytes(const device_block *block) {
  return (size_t)(block->pages + block->page_bytes - (block->memory + block->bytes));
}

static void mark_red_zones(const device_block *block) {
  memset(block->pages, RED_BYTE, RED_ZONE);
  memset(block->memory + block->bytes, RED_BYTE, tail_bytes(block));
  if (__asan_poison_memory_region == NULL) return;
  __asan_poison_memory_region(block->pages, RED_ZONE);
  __asan_poison_memory_region(block->memory + block->bytes, tail_bytes(block));
}

static void check_zone(const device_block *block, const char *zone, size_t bytes) {
  if (__asan_unpoison_memory_region != NULL) __asan_unpoison_memory_region(zone, bytes);
  for (size_t i = 0; i < bytes; i++)
    if ((unsigned char)zone[i] != RED_BYTE)
      co_double_die("device code wrote outside a block of %zu bytes, at offset %td", block->bytes,
                    zone + i - block->memory);
  if (__asan_poison_memory_region != NULL) __asan_poison_memory_region(zone, bytes);
}

static void check_block(const device_block *block) {
  check_zone(block, block->pages, RED_ZONE);
  check_zone(block, block->memory + block->bytes, tail_bytes(block));
}

void co_double_check_red_zones(void) {
  co_double_device_open();
  for (size_t i = 0; i < block_count; i++)
    if (blocks[i].live) check_block(&blocks[i]);
  co_double_device_close();
}

void co_double_poison(void *pointer, size_t bytes) {
  memset(pointer, POISON_BYTE, bytes);
}

void co_double_poison_workspace(void *pointer, size_t bytes) {
  if (bytes == 0) return;
  size_t end = bytes < WORKSPACE_ENDS ? bytes : WORKSPACE_ENDS;
  co_double_poison(pointer, end);
  co_double_poison((char *)pointer + bytes - end, end);
}

bool co_double_is_device(const void *pointer) {
  const char *p = pointer;
  return arena != NULL && p >= arena && p < arena + arena_size;
}

bool co_double_is_pinned(const void *pointer, size_t bytes) {
  const char *p = pointer;
  for (const host_block *b = host_blocks; b != NULL; b = b->next)
    if (p >= b->memory && p + bytes <= b->memory + b->bytes) return true;
  return false;
}

void co_double_need_device(const char *argument, const void *pointer, size_t bytes) {
  if (bytes == 0) return;
  if (pointer == NULL) co_double_die("%s is NULL", argument);
  const device_block *block = find_block(pointer);
  if (block == NULL) co_double_die("%s=%p is no device pointer", argument, pointer);
  if (!block->live) co_double_die("%s=%p was freed", argument, pointer);
  const char *p = pointer;
  if (p < block->memory || p + bytes > block->memory + block->bytes)
    co_double_die("%s=%p needs %zu bytes, its block of %zu bytes has %td left", argument, pointer,
                  bytes, block->bytes, block->memory + block->bytes - p);
}

void co_double_need_host(const char *argument, const void *pointer, size_t bytes) {
  if (bytes == 0) return;
  if (pointer == NULL) co_double_die("%s is NULL", argument);
  if (co_double_is_device(pointer))
    co_double_die("%s=%p is a device pointer, host memory is needed", argument, pointer);
}

size_t co_double_live_bytes(void) {
  return live_bytes;
}

size_t co_double_peak_bytes(void) {
  return peak_bytes;
}

long co_double_allocations(void) {
  return allocations;
}

uint64_t co_double_total_memory(void) {
  return co_double_setting("COHORT_SIM_MEMORY", (uint64_t)8 << 30);
}

void co_double_fail_alloc(long n) {
  DOUBLE_ENTER();
  co_double_fault_set(&alloc_fault, n);
}

void co_double_fail_host_alloc(long n) {
  DOUBLE_ENTER();
  co_double_fault_set(&host_alloc_fault, n);
}

long co_double_report_memory(bool print) {
  long count = 0;
  for (size_t i = 0; i < block_count; i++)
    if (blocks[i].live) {
      count++;
      if (print)
        fprintf(stderr, "cudasim: leak: %zu bytes of device memory at %p\n", blocks[i].bytes,
                (void *)blocks[i].memory);
    }
  for (const host_block *b = host_blocks; b != NULL; b = b->next) {
    count++;
    if (print)
      fprintf(stderr, "cudasim: leak: %zu bytes of pinned memory at %p\n", b->bytes,
              (void *)b->memory);
  }
  return count;
}

cudaError_t cudaMalloc(void **pointer, size_t bytes) {
  CUDART_ENTER();
  co_double_need_first_device();
  cudaError_t unsafe = co_double_refuse_in_capture(CO_DOUBLE_UNSAFE);
  if (unsafe != cudaSuccess) return unsafe;
  if (pointer == NULL) return co_double_error(cudaErrorInvalidValue);
  *pointer = NULL;
  allocations++;
  if (co_double_fault_hits(&alloc_fault)) return co_double_error(cudaErrorMemoryAllocation);
  if (bytes == 0) return cudaSuccess;
  size_t page_bytes = (bytes + 2 * RED_ZONE + PAGE - 1) / PAGE * PAGE;
  if (live_bytes + bytes > co_double_total_memory())
    return co_double_error(cudaErrorMemoryAllocation);
  reserve_arena();
  if (arena_used + page_bytes + PAGE > arena_size)
    co_double_die("out of addresses: the double never uses one twice");
  if (block_count == block_capacity) {
    block_capacity = block_capacity * 2 + 64;
    blocks = realloc(blocks, block_capacity * sizeof *blocks);
    if (blocks == NULL) abort();
  }
  device_block *block = &blocks[block_count++];
  *block = (device_block){
      .pages = arena + arena_used, .page_bytes = page_bytes, .bytes = bytes, .live = true};
  block->memory = block->pages + RED_ZONE;
  arena_used += page_bytes + PAGE;
  protect(block, PROT_READ | PROT_WRITE);
  co_double_poison(block->memory, bytes);
  mark_red_zones(block);
  if (open_depth == 0) protect(block, PROT_NONE);
  live_bytes += bytes;
  if (live_bytes > peak_bytes) peak_bytes = live_bytes;
  *pointer = block->memory;
  return cudaSuccess;
}

cudaError_t cudaFree(void *pointer) {
  DOUBLE_ENTER();
  cudaError_t state = co_double_state();
  if (pointer == NULL) return co_double_error(state);
  if (state == cudaSuccess) {
    state = co_double_refuse_in_capture(CO_DOUBLE_UNSAFE);
    if (state != cudaSuccess) return state;
    co_double_drain_all(); // cudaFree waits for the device
  }
  device_block *block = find_block(pointer);
  if (block == NULL) co_double_die("%p was not allocated by cudaMalloc", pointer);
  if (!block->live) co_double_die("double free of %p", pointer);
  if (block->memory != pointer) co_double_die("%p is not the start of its block", pointer);
  co_double_device_open();
  check_block(block);
  co_double_device_close();
  block->live = false;
  live_bytes -= block->bytes;
  madvise(block->pages, block->page_bytes, MADV_DONTNEED);
  if (__asan_poison_memory_region != NULL)
    __asan_poison_memory_region(block->pages, block->page_bytes);
  return co_double_error(co_double_state());
}

cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  CUDART_ENTER();
  if (flags & ~(unsigned)(cudaHostAllocPortable | cudaHostAllocWriteCombined))
    co_double_die("flags=%u not modelled (memory mapped into the device)", flags);
  cudaError_t unsafe = co_double_refuse_in_capture(CO_DOUBLE_UNSAFE);
  if (unsafe != cudaSuccess) return unsafe;
  if (pointer == NULL) return co_double_error(cudaErrorInvalidValue);
  *pointer = NULL;
  if (co_double_fault_hits(&host_alloc_fault)) return co_double_error(cudaErrorMemoryAllocation);
  if (bytes == 0) return cudaSuccess;
  host_block *block = malloc(sizeof *block);
  char *memory = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
  if (block == NULL || memory == NULL) abort();
  co_double_poison(memory, bytes);
  *block = (host_block){memory, bytes, host_blocks};
  host_blocks = block;
  *pointer = memory;
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void **pointer, size_t bytes) {
  return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *pointer) {
  DOUBLE_ENTER();
  cudaError_t state = co_double_state();
  if (pointer == NULL) return co_double_error(state);
  if (state == cudaSuccess) {
    state = co_double_refuse_in_capture(CO_DOUBLE_UNSAFE);
    if (state != cudaSuccess) return state;
    co_double_drain_all();
  }
  for (host_block **link = &host_blocks; *link != NULL; link = &(*link)->next) {
    host_block *block = *link;
    if (block->memory != pointer) continue;
    *link = block->next;
    free(block->memory);
    free(block);
    return co_double_error(co_double_state());
  }
  co_double_die("%p was not allocated by cudaMallocHost, or was freed", pointer);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
  CUDART_ENTER();
  *total = co_double_total_memory();
  *available = *total - live_bytes;
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes,
                                     const void *pointer) {
  CUDART_ENTER();
  *attributes = (struct cudaPointerAttributes){.type = cudaMemoryTypeUnregistered, .device = -2};
  const device_block *block = co_double_is_device(pointer) ? find_block(pointer) : NULL;
  if (block != NULL && block->live) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->device = 0;
    attributes->devicePointer = (void *)pointer;
  } else if (co_double_is_pinned(pointer, 1)) {
    attributes->type = cudaMemoryTypeHost;
    attributes->device = 0;
    attributes->hostPointer = (void *)pointer;
  }
  return cudaSuccess;
}
