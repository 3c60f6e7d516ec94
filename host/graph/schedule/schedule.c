// SPDX-License-Identifier: Apache-2.0
#include "host/graph/schedule/schedule.h"

#include <math.h>

static const char *const decays[] = {
    "none",    "linear",     "cosine",          "step", "exponential", "one_cycle",
    "plateau", "polynomial", "cosine_restarts", NULL};

const co_field co_schedule_fields[] = {
    {"decay", CO_FIELD_ENUM, offsetof(co_schedule_options, decay), "none", 0, 0, decays,
     "How the learning rate falls: linear, cosine, polynomial: to its minimum at the end; step, "
     "exponential: by decay_rate in decay_steps, at once or little by little; one_cycle: from 1/25 "
     "up "
     "in 30 % of the steps, then to 1/250000; plateau: by decay_rate after `patience`; "
     "cosine_restarts: to its minimum in decay_steps, then from the top again.",
     NULL},
    {"warmup_fraction", CO_FIELD_DOUBLE, offsetof(co_schedule_options, warmup_fraction), "0.0", 0,
     1, NULL, "Share of all steps in which the rate rises linearly from zero.", NULL},
    {"minimum_fraction", CO_FIELD_DOUBLE, offsetof(co_schedule_options, minimum_fraction), "0.0", 0,
     1, NULL, "Share of the base rate that remains at the end of a decay.", NULL},
    {"decay_rate", CO_FIELD_DOUBLE, offsetof(co_schedule_options, decay_rate), "0.1", 1e-9, 1e9,
     NULL, "Of step, exponential and plateau: what the rate is multiplied by.", "gamma"},
    {"decay_steps", CO_FIELD_INT, offsetof(co_schedule_options, decay_steps), "0", 0, 1e15, NULL,
     "Of step and exponential: the steps in which it is so; of cosine_restarts those of the first "
     "cycle.",
     "step_size"},
    {"restart_factor", CO_FIELD_DOUBLE, offsetof(co_schedule_options, restart_factor), "1.0", 1,
     1e3, NULL, "Of cosine_restarts: how many times as long as the one before a cycle is.",
     "t_mult"},
    {"power", CO_FIELD_DOUBLE, offsetof(co_schedule_options, power), "1.0", 1e-3, 1e3, NULL,
     "Of polynomial: of the share of steps that is left; 1 = linear.", NULL},
    {"patience", CO_FIELD_INT, offsetof(co_schedule_options, patience), "5", 1, 1e6, NULL,
     "Of plateau: epochs without a better validation metric.", NULL},
    {.key = NULL}};

static double half_cosine(double from, double to, double done) {
  return to + (from - to) * 0.5 * (1 + cos(3.141592653589793 * done));
}

// One cycle (Smith & Topin 2018), step by step PyTorch's OneCycleLR: its last step has the least rate.
static double one_cycle(double step, double steps) {
  const double first = 1.0 / 25, last = first / 1e4, top = 0.3 * steps - 1, end = steps - 1;
  if (step <= top) return half_cosine(first, 1, top > 0 ? step / top : 1);
  return half_cosine(1, last, step < end ? (step - top) / (end - top) : 1);
}

// Warm restarts (Loshchilov & Hutter 2017), step by step PyTorch's CosineAnnealingWarmRestarts.
static double cosine_restarts(const co_schedule_options *options, double step) {
  const double factor = options->restart_factor;
  double length = (double)options->decay_steps, cycle = floor(step / length),
         begin = cycle * length;
  if (factor > 1) { // begin = length (factor^cycle - 1) / (factor - 1)
    cycle = floor(log1p(step / length * (factor - 1)) / log(factor) + 1e-9);
    begin = length * (pow(factor, cycle) - 1) / (factor - 1);
    length *= pow(factor, cycle);
  }
  return half_cosine(1, options->minimum_fraction, fmax(0, step - begin) / length);
}

double co_schedule_factor(const co_schedule_options *options, int64_t step, int64_t total) {
  if (total <= 0) return 1;
  double warmup = floor(options->warmup_fraction * (double)total);
  if ((double)step < warmup) return ((double)step + 1) / warmup;
  double span = (double)total - warmup, after = (double)step - warmup;
  double done = span > 0 ? after / span : 1;
  if (done > 1) done = 1;
  double low = options->minimum_fraction;
  switch ((co_decay)options->decay) {
  case CO_DECAY_LINEAR:
    return low + (1 - low) * (1 - done);
  case CO_DECAY_COSINE:
    return half_cosine(1, low, done);
  case CO_DECAY_POLYNOMIAL:
    return low + (1 - low) * pow(1 - done, options->power);
  case CO_DECAY_COSINE_RESTARTS:
    return cosine_restarts(options, after);
  case CO_DECAY_STEP:
    return fmax(low, pow(options->decay_rate, floor(after / (double)options->decay_steps)));
  case CO_DECAY_EXPONENTIAL:
    return fmax(low, pow(options->decay_rate, after / (double)options->decay_steps));
  case CO_DECAY_ONE_CYCLE:
    return one_cycle(after, span);
  default:
    return 1;
  }
}

double co_cyclic_warmup(double fraction, int64_t cycles, int64_t step, int64_t total) {
  if (cycles <= 0 || total <= 0) return 1;
  const double length = (double)total / (double)cycles, done = fmod((double)step, length);
  const double rise = fraction * length;
  return done < rise ? done / rise : 1;
}
