// SPDX-License-Identifier: Apache-2.0
#include "host/core/load.h"

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// The first line of /proc/stat: ticks of user, nice, system, idle, iowait, irq, softirq, steal.
static double machine_seconds(void) {
  double ticks[8], sum = 0;
  FILE *file = fopen("/proc/stat", "r");
  if (!file) return -1;
  const int found = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1],
                           &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
  fclose(file);
  for (int i = 0; i < 8; i++)
    if (i != 3 && i != 4) sum += ticks[i];
  return found == 8 ? sum / (double)sysconf(_SC_CLK_TCK) : -1;
}

static double seconds(struct timeval time) {
  return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

void co_load_look(co_load *out) {
  struct timespec now;
  struct rusage usage;
  clock_gettime(CLOCK_MONOTONIC, &now);
  getrusage(RUSAGE_SELF, &usage);
  *out = (co_load){.time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec,
                   .machine = machine_seconds(),
                   .own = seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

double co_load_of_others(const co_load *begin, const co_load *end) {
  const double passed = (end->time - begin->time) * (double)sysconf(_SC_NPROCESSORS_ONLN);
  if (begin->machine < 0 || end->machine < 0 || !(passed > 0)) return NAN;
  const double others = end->machine - begin->machine - (end->own - begin->own);
  return fmin(fmax(others / passed, 0), 1);
}
