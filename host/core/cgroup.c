// SPDX-License-Identifier: Apache-2.0
#include "host/core/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 2 * PATH_BYTES };

// Where the files of a group are: a mount of its hierarchy shows it from group `root` downwards.
typedef struct mount {
  char root[PATH_BYTES], point[PATH_BYTES];
} mount;

// True if `word` is one of the words in `list`, which commas separate.
static bool in_list(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length])) return true;
  return false;
}

static FILE *open_below(const char *root, const char *path) {
  char name[PATH_BYTES + 64];
  int length = snprintf(name, sizeof name, "%s%s", root, path);
  return length > 0 && (size_t)length < sizeof name ? fopen(name, "re") : NULL;
}

// This process's group: lines of /proc/self/cgroup are HIERARCHY:CONTROLLERS:PATH, for version 2
// 0::PATH.
static bool find_group(char *out, const char *root, const char *controller, int version) {
  char line[LINE_BYTES];
  bool found = false;
  FILE *file = open_below(root, "/proc/self/cgroup");
  while (file && !found && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'),
         *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path || strlen(path + 1) >= PATH_BYTES) continue;
    *controllers++ = *path++ = '\0';
    found = version == 2 ? !*controllers : in_list(controllers, controller);
    if (found) memcpy(out, path, strlen(path) + 1);
  }
  if (file) fclose(file);
  return found;
}

// /proc/self/mountinfo: ID PARENT DEVICE ROOT POINT OPTIONS [more]... - TYPE SOURCE SUPER_OPTIONS
static bool find_mount(mount *out, const char *root, const char *controller, int version) {
  char line[LINE_BYTES], type[64], super[1024];
  bool found = false;
  FILE *file = open_below(root, "/proc/self/mountinfo");
  while (file && !found && fgets(line, sizeof line, file)) {
    const char *rest = strstr(line, " - ");
    if (!rest || sscanf(line, "%*s %*s %*s %4095s %4095s", out->root, out->point) != 2) continue;
    if (sscanf(rest, " - %63s %*s %1023s", type, super) != 2) continue;
    found = version == 2 ? strcmp(type, "cgroup2") == 0
                         : strcmp(type, "cgroup") == 0 && in_list(super, controller);
  }
  if (file) fclose(file);
  return found;
}

// The group's path below the mount. A mount of another part of the hierarchy (a container's own
// files under the host's names) is taken from its top.
static const char *below_mount(const char *group, const mount *m) {
  size_t length = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
  bool inside = strncmp(group, m->root, length) == 0 && (group[length] == '/' || !group[length]);
  return inside && !strstr(group, "/..") ? group + length : "";
}

void co_cgroup_walk(const char *controller, const char *root, co_cgroup_visit visit, void *user) {
  for (int version = 1; version <= 2; version++) {
    char group[PATH_BYTES], folder[2 * LINE_BYTES];
    mount m;
    if (!find_group(group, root, controller, version) || !find_mount(&m, root, controller, version))
      continue;
    size_t top = strlen(root) + strlen(m.point);
    int length = snprintf(folder, sizeof folder, "%s%s%s", root, m.point, below_mount(group, &m));
    if (length < 0 || (size_t)length >= sizeof folder) continue;
    for (;;) {
      visit(user, folder, version);
      char *slash = strrchr(folder, '/');
      if (!slash || (size_t)(slash - folder) < top) break;
      *slash = '\0';
    }
  }
}
