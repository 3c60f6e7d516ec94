// SPDX-License-Identifier: Apache-2.0
#include "host/graph/schedule/schedule.h"

#include <math.h>

static const char *const decays[] = {"none", "linear", "cosine", NULL};

const co_field co_schedule_fields[] = {
    {"decay", CO_FIELD_ENUM, offsetof(co_schedule_options, decay), "none", 0, 0, decays,
     "How the learning rate falls from its base to its minimum.", NULL},
    {"warmup_fraction", CO_FIELD_DOUBLE, offsetof(co_schedule_options, warmup_fraction), "0.0", 0,
     1, NULL, "Share of all steps in which the rate rises linearly from zero.", NULL},
    {"minimum_fraction", CO_FIELD_DOUBLE, offsetof(co_schedule_options, minimum_fraction), "0.0", 0,
     1, NULL, "Share of the base rate that remains at the end of a decay.", NULL},
    {.key = NULL}};

double co_schedule_factor(const co_schedule_options *options, int64_t step, int64_t total) {
  if (total <= 0) return 1;
  double warmup = floor(options->warmup_fraction * (double)total);
  if ((double)step < warmup) return ((double)step + 1) / warmup;
  double span = (double)total - warmup;
  double done = span > 0 ? ((double)step - warmup) / span : 1;
  if (done > 1) done = 1;
  double low = options->minimum_fraction;
  switch ((co_decay)options->decay) {
  case CO_DECAY_LINEAR:
    return low + (1 - low) * (1 - done);
  case CO_DECAY_COSINE:
    return low + (1 - low) * 0.5 * (1 + cos(3.141592653589793 * done));
  default:
    return 1;
  }
}
