// SPDX-License-Identifier: Apache-2.0
#include "host/core/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// The least limit so far.
typedef struct least {
  size_t bytes;
  char *source; // NULL = not wanted
} least;

static void take(least *l, size_t bytes, const char *source, const char *name) {
  if (bytes >= l->bytes) return;
  l->bytes = bytes;
  if (l->source)
    snprintf(l->source, CO_MEMORY_SOURCE_BYTES, "%s%s%s", source, *name ? "/" : "", name);
}

// A file that holds one number; SIZE_MAX for "max", and where there is none.
static size_t read_limit(const char *folder, const char *name) {
  char path[1200], text[64] = "";
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "r");
  if (!file) return SIZE_MAX;
  bool read = fgets(text, sizeof text, file) != NULL;
  fclose(file);
  char *end;
  unsigned long long value = strtoull(text, &end, 10);
  return read && end != text ? (size_t)value : SIZE_MAX;
}

// A group and all above it, up to the root of the hierarchy.
static void take_groups(least *l, const char *root, const char *group, const char *name) {
  char folder[1100];
  size_t root_length = strlen(root);
  snprintf(folder, sizeof folder, "%s%s", root, group);
  for (;;) {
    take(l, read_limit(folder, name), folder, name);
    char *slash = strrchr(folder, '/');
    if (strlen(folder) <= root_length || !slash) return;
    *slash = '\0';
  }
}

// Lines of /proc/self/cgroup: "0::/group" (v2), "9:memory:/group" (v1).
static void take_all_groups(least *l, const char *path, const char *unified, const char *memory) {
  char line[1024];
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'),
         *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *group++ = '\0';
    if (!controllers[1])
      take_groups(l, unified, group, "memory.max");
    else if (strcmp(controllers + 1, "memory") == 0)
      take_groups(l, memory, group, "memory.limit_in_bytes");
  }
  if (file) fclose(file);
}

size_t co_memory_group_limit(const char *file, const char *unified, const char *memory,
                             char source[CO_MEMORY_SOURCE_BYTES]) {
  least l = {SIZE_MAX, source};
  if (source) *source = '\0';
  take_all_groups(&l, file, unified, memory);
  return l.bytes;
}

size_t co_memory_limit(char source[CO_MEMORY_SOURCE_BYTES]) {
  least l = {SIZE_MAX, source};
  if (source) *source = '\0';
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) take(&l, (size_t)pages * (size_t)page, "the machine", "");
  take_all_groups(&l, "/proc/self/cgroup", "/sys/fs/cgroup", "/sys/fs/cgroup/memory");
  struct rlimit space;
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
    take(&l, (size_t)space.rlim_cur, "ulimit -v", "");
  return l.bytes;
}

size_t co_memory_peak(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

// /proc/self/statm: pages in all, resident, resident of files and shared memory, …
size_t co_memory_anonymous(void) {
  unsigned long long resident = 0, shared = 0;
  long page = sysconf(_SC_PAGESIZE);
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return 0;
  bool told = fscanf(file, "%*u %llu %llu", &resident, &shared) == 2 && resident > shared;
  fclose(file);
  return told && page > 0 ? (size_t)(resident - shared) * (size_t)page : 0;
}

const char *co_memory_print(char out[32], double bytes) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 6; unit++)
    bytes /= 1024;
  snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
  return out;
}
