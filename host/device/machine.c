// SPDX-License-Identifier: Apache-2.0
#include "host/device/machine.h"

#include <stdio.h>
#include <string.h>

#include "host/core/h5.h"
#include "host/device/backend.h"

void co_machine_find_cpu(char *out, size_t size) {
  snprintf(out, size, "unknown");
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[512];
  while (file && fgets(line, sizeof line, file)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    line[strcspn(line, "\n")] = '\0';
    snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " "));
    break;
  }
  if (file) fclose(file);
}

void co_machine_find_isa(char *out, size_t size) {
  snprintf(out, size, "generic");
#if defined(__x86_64__) || defined(__i386__)
  const char *best = "sse2";
  if (__builtin_cpu_supports("sse4.1")) best = "sse4.1";
  if (__builtin_cpu_supports("avx")) best = "avx";
  if (__builtin_cpu_supports("avx2")) best = "avx2";
  if (__builtin_cpu_supports("avx512f")) best = "avx512f";
  if (__builtin_cpu_supports("avx512vnni")) best = "avx512vnni";
  snprintf(out, size, "%s", best);
#elif defined(__aarch64__)
  snprintf(out, size, "neon");
#endif
}

// NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024
// NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build ...
void co_machine_find_nvidia_driver(char *out, size_t size, const char *path) {
  snprintf(out, size, "%s", "");
  FILE *file = fopen(path, "r");
  char line[512] = "", *rest;
  if (!file) return;
  if (!fgets(line, sizeof line, file)) line[0] = '\0';
  fclose(file);
  for (char *word = strtok_r(line, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest))
    if (strchr(word, '.') && word[strspn(word, "0123456789.")] == '\0') {
      snprintf(out, size, "%s", word);
      return;
    }
}

void co_machine_describe(char *out, size_t size) {
  char cpu[128], isa[32], onednn[32], hdf5[32];
  co_machine_find_cpu(cpu, sizeof cpu);
  co_machine_find_isa(isa, sizeof isa);
  co_dnnl_library_version(onednn, sizeof onednn);
  co_h5_version(hdf5, sizeof hdf5);
  snprintf(out, size, "%s (%s), oneDNN %s, HDF5 %s", cpu, isa, onednn, hdf5);
}
