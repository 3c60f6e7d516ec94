// SPDX-License-Identifier: Apache-2.0
// The CPU set of this process is only reachable with the GNU extensions.
#define _GNU_SOURCE
#include "host/core/cores.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/core/cgroup.h"

// One or two numbers at the beginning of a file; false if they are not there ("max 100000").
static bool read_numbers(const char *folder, const char *name, double *a, double *b) {
  char path[20000], text[128] = "";
  int length = snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
  if (!file) return false;
  bool good = fgets(text, sizeof text, file) != NULL;
  fclose(file);
  char *end, *more;
  *a = strtod(text, &end);
  if (!good || end == text) return false;
  if (!b) return true;
  *b = strtod(end, &more);
  return more != end;
}

// A group gets no more than those it lies in: the least quota counts, 0 = none so far.
static void take_quota(void *user, const char *folder, int version) {
  double *least = user, quota, period;
  bool there = version == 2 ? read_numbers(folder, "cpu.max", &quota, &period)
                            : read_numbers(folder, "cpu.cfs_quota_us", &quota, NULL) &&
                                  read_numbers(folder, "cpu.cfs_period_us", &period, NULL);
  if (!there || !(quota > 0) || !(period > 0)) return; // -1: none
  if (*least == 0 || quota / period < *least) *least = quota / period;
}

bool co_cores_quota(double *out, const char *root) {
  *out = 0;
  co_cgroup_walk("cpu", root, take_quota, out);
  return *out > 0;
}

void co_cores_find(co_cores *out) {
  cpu_set_t set;
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  *out = (co_cores){.machine = online > 0 ? (int)online : 1};
  CPU_ZERO(&set);
  bool known = sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0;
  out->affinity = known ? CPU_COUNT(&set) : out->machine; // more cores than a cpu_set_t holds
  out->usable = out->affinity;
  if (!co_cores_quota(&out->quota, "")) return;
  if (ceil(out->quota) < out->usable) out->usable = (int)ceil(out->quota);
}
