// SPDX-License-Identifier: Apache-2.0
// Entry points that code made by nvcc calls to register and launch kernels. They belong to the
// toolkit version; with them the shipped plugin runs on the doubles. The kernels themselves come
// from a library that holds the kernel emulator and the same sources built for the CPU; its
// emu_launch_by_name finds them by their mangled names (and returns 0 if it cannot).
#include <dlfcn.h>
#include <stdlib.h>

#include "double.h"
#include "tests/cudasim/control.h"

enum { MAX_KERNELS = 8192, MAX_CONFIGURATIONS = 16 };

typedef int (*launch_by_name)(const char *name, void **arguments, dim3 grid, dim3 block,
                              size_t shared_bytes, cudaStream_t stream);

typedef struct configuration {
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
} configuration;

static struct {
  const void *host_function;
  const char *name;
} kernels[MAX_KERNELS];
static int kernel_count;
static _Thread_local configuration configurations[MAX_CONFIGURATIONS];
static _Thread_local int configuration_count;

void **__cudaRegisterFatBinary(void *binary);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
void __cudaRegisterFunction(void **handle, const char *host_function, char *device_function,
                            const char *name, int thread_limit, uint3 *tid, uint3 *bid, dim3 *block,
                            dim3 *grid, int *warp_size);
void __cudaRegisterVar(void **handle, char *host_variable, char *device_address, const char *name,
                       int external, size_t size, int constant, int global);
char __cudaInitModule(void **handle);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     struct CUstream_st *stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes, void *stream);
#undef __cudaGetKernel
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host_function);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments,
                               size_t shared_bytes, cudaStream_t stream);

void **__cudaRegisterFatBinary(void *binary) {
  return binary;
}

void __cudaRegisterFatBinaryEnd(void **handle) {
  (void)handle;
}

void __cudaUnregisterFatBinary(void **handle) {
  (void)handle;
}

char __cudaInitModule(void **handle) {
  (void)handle;
  return 1;
}

void __cudaRegisterFunction(void **handle, const char *host_function, char *device_function,
                            const char *name, int thread_limit, uint3 *tid, uint3 *bid, dim3 *block,
                            dim3 *grid, int *warp_size) {
  DOUBLE_ENTER();
  (void)handle, (void)device_function, (void)thread_limit, (void)tid, (void)bid, (void)block;
  (void)grid, (void)warp_size;
  if (kernel_count == MAX_KERNELS) co_double_die("more than %d kernels", MAX_KERNELS);
  kernels[kernel_count].host_function = host_function;
  kernels[kernel_count++].name = name;
}

// Constant tables inside kernels are the emulation's own; only copying to them is not modelled.
void __cudaRegisterVar(void **handle, char *host_variable, char *device_address, const char *name,
                       int external, size_t size, int constant, int global) {
  (void)handle, (void)host_variable, (void)device_address, (void)name, (void)external;
  (void)size, (void)constant, (void)global;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     struct CUstream_st *stream) {
  DOUBLE_ENTER();
  if (configuration_count == MAX_CONFIGURATIONS) co_double_die("too many launches nested");
  configurations[configuration_count++] = (configuration){grid, block, shared_bytes, stream};
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes,
                                       void *stream) {
  DOUBLE_ENTER();
  if (configuration_count == 0) co_double_die("no launch was begun");
  const configuration *c = &configurations[--configuration_count];
  *grid = c->grid;
  *block = c->block;
  *shared_bytes = c->shared_bytes;
  *(cudaStream_t *)stream = c->stream;
  return cudaSuccess;
}

static const char *kernel_name(const void *host_function) {
  for (int i = 0; i < kernel_count; i++)
    if (kernels[i].host_function == host_function) return kernels[i].name;
  return NULL;
}

// The handle of a kernel is its mangled name.
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host_function) {
  DOUBLE_ENTER();
  const char *name = kernel_name(host_function);
  *kernel = (cudaKernel_t)(uintptr_t)name;
  return co_double_error(name != NULL ? cudaSuccess : cudaErrorInvalidDeviceFunction);
}

// ---- the emulator's side

static void (*run_emulated)(struct emu_call *call);
static void (*free_emulated)(struct emu_call *call);
static const char *(*name_emulated)(const struct emu_call *call);
static const struct emu_pointer *(*pointer_emulated)(const struct emu_call *call, size_t i);

static void run_call(void *closure) {
  run_emulated(closure);
}

static void free_call(void *closure) {
  free_emulated(closure);
}

static void enqueue_call(void *context, struct emu_call *call, cudaStream_t stream) {
  DOUBLE_ENTER();
  (void)context;
  const struct emu_pointer *p;
  for (size_t i = 0; (p = pointer_emulated(call, i)) != NULL; i++)
    co_double_claim(p->address, 1, p->writes);
  co_double_submit(stream, CO_DOUBLE_KERNEL, name_emulated(call), run_call, NULL, free_call, call);
}

void co_double_connect_emulator(void (*set_launch_hook)(co_double_launch_hook *hook, void *context),
                                void (*run)(struct emu_call *call),
                                void (*free_)(struct emu_call *call),
                                const char *(*name)(const struct emu_call *call),
                                const struct emu_pointer *(*pointer)(const struct emu_call *call,
                                                                     size_t i)) {
  DOUBLE_ENTER();
  name_emulated = name;
  pointer_emulated = pointer;
  run_emulated = run;
  free_emulated = free_;
  set_launch_hook(enqueue_call, NULL);
}

static void *symbol(void *library, const char *name) {
  void *address = dlsym(library, name);
  if (address == NULL) co_double_die("COHORT_SIM_KERNELS: %s", dlerror());
  return address;
}

static launch_by_name find_launcher(void) {
  static launch_by_name launcher;
  if (launcher != NULL) return launcher;
  const char *file = getenv("COHORT_SIM_KERNELS");
  if (file == NULL) co_double_die("COHORT_SIM_KERNELS names no library with emulated kernels");
  void *library = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
  if (library == NULL) co_double_die("COHORT_SIM_KERNELS: %s", dlerror());
  void (*set_hook)(co_double_launch_hook *, void *);
  void (*run)(struct emu_call *), (*release)(struct emu_call *);
  const char *(*name)(const struct emu_call *);
  const struct emu_pointer *(*pointer)(const struct emu_call *, size_t);
  *(void **)&set_hook = symbol(library, "emu_set_launch_hook");
  *(void **)&run = symbol(library, "emu_call_run");
  *(void **)&release = symbol(library, "emu_call_free");
  *(void **)&name = symbol(library, "emu_call_kernel");
  *(void **)&pointer = symbol(library, "emu_call_pointer");
  co_double_connect_emulator(set_hook, run, release, name, pointer);
  *(void **)&launcher = symbol(library, "emu_launch_by_name");
  return launcher;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  CUDART_ENTER();
  const char *name = (const char *)(uintptr_t)kernel;
  if (find_launcher()(name, arguments, grid, block, shared_bytes, stream) == 0)
    co_double_die("kernel %s has no emulation", name);
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *host_function, dim3 grid, dim3 block, void **arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  CUDART_ENTER();
  const char *name = kernel_name(host_function);
  if (name == NULL) co_double_die("func=%p was not registered by nvcc's code", host_function);
  return __cudaLaunchKernel((cudaKernel_t)(uintptr_t)name, grid, block, arguments, shared_bytes,
                            stream);
}
