// SPDX-License-Identifier: Apache-2.0
// What of this machine may decide the bytes of a result, in words.
#ifndef COHORT_HOST_DEVICE_MACHINE_H
#define COHORT_HOST_DEVICE_MACHINE_H

#include <stddef.h>

void co_machine_find_cpu(char *out, size_t size); // the model's name, "unknown" if it is not told
void co_machine_find_isa(char *out, size_t size); // "avx2", "neon", …
// The NVIDIA kernel driver's version ("550.54.15") from what it says in `path`; "" if it does not.
void co_machine_find_nvidia_driver(char *out, size_t size, const char *path);
// "NAME (ISA), oneDNN VERSION, HDF5 VERSION"
void co_machine_describe(char *out, size_t size);

#endif
