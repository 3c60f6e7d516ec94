// SPDX-License-Identifier: Apache-2.0
#include "host/device/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

// The least limit of a group and all above it, up to the root of the hierarchy.
static size_t least_limit(const char *root, const char *group, const char *name) {
  char folder[1100];
  size_t least = SIZE_MAX, root_length = strlen(root);
  snprintf(folder, sizeof folder, "%s%s", root, group);
  for (;;) {
    size_t limit = read_limit(folder, name);
    if (limit < least) least = limit;
    char *slash = strrchr(folder, '/');
    if (strlen(folder) <= root_length || !slash) return least;
    *slash = '\0';
  }
}

// Lines of /proc/self/cgroup: "0::/group" (v2), "9:memory:/group" (v1).
size_t co_memory_group_limit(const char *path, const char *unified, const char *memory) {
  char line[1024];
  size_t least = SIZE_MAX;
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'),
         *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *group++ = '\0';
    size_t limit = SIZE_MAX;
    if (!controllers[1])
      limit = least_limit(unified, group, "memory.max");
    else if (strcmp(controllers + 1, "memory") == 0)
      limit = least_limit(memory, group, "memory.limit_in_bytes");
    if (limit < least) least = limit;
  }
  if (file) fclose(file);
  return least;
}

size_t co_memory_limit(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  size_t machine = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
  size_t group =
      co_memory_group_limit("/proc/self/cgroup", "/sys/fs/cgroup", "/sys/fs/cgroup/memory");
  return group < machine ? group : machine;
}
