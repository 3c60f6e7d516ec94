// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// "skip": the gate is closed and nothing may change. "clip": it scales gradients.
static void adjust_gate(ops_problem *p) {
  double *gate = p->in[ops_problem_input(p, "gate")];
  if (ops_problem_has_flag(p, "skip")) gate[0] = 0;
  if (ops_problem_has_flag(p, "clip")) gate[1] = 0.25;
}

// "infinite", "nan": what the gate is for.
static void adjust_gradient(ops_problem *p) {
  double *g = p->in[0];
  int64_t last = p->desc.in[0].shape.dim[0] - 1;
  if (ops_problem_has_flag(p, "infinite")) g[last] = (double)INFINITY;
  if (ops_problem_has_flag(p, "nan")) g[last] = (double)NAN;
  for (int64_t i = 0; ops_problem_has_flag(p, "zero") && i <= last; i++)
    g[i] = 0;
  const int before = ops_problem_input(p, "before");
  if (before >= 0) *(double *)p->in[before] = 2.5;
}

static const char *const norm_cases[] = {
    "g=1 segments=1",
    "g=17 segments=1",
    "g=1000 segments=3",
    "g=33 segments=2",
    "g=100003 segments=7",
    "g=1 segments=1 gate",
    "g=17 segments=1 gate clip_norm=1",        // clips
    "g=100003 segments=7 gate clip_norm=10",   // clips
    "g=100003 segments=7 gate clip_norm=1000", // does not
    "g=33 segments=2 gate zero clip_norm=1",
    "g=100003 segments=1 gate infinite clip_norm=1",
    "g=17 segments=1 gate nan clip_norm=1",
    "g=1000 segments=3 before=1",
    "g=17 segments=1 gate before=1 clip_norm=1", // clips
    "g=8 narrow=1 segments=1",
    "g=1032 narrow=3001 segments=5 gate before=1 clip_norm=10",
    OPS_SWEEP,
    "g=15 segments=1",
    "g=16 segments=1",
    "g=1000003 segments=1",
    NULL,
};

// Sums are in f64: only the squares may be rounded to the policy's type.
OPS_FAMILY(gradient_norm) = {
    .op = CO_OP_GRADIENT_NORM,
    .exact = OPS_EXACT_ON_INTEGERS,
    .flags = "infinite nan zero",
    .adjust = adjust_gradient,
    .cases = norm_cases,
};

static const char *const sgd_cases[] = {
    "w=1 segments=1",
    "w=37 mirror segments=1",
    "w=20001 m mirror segments=1 momentum=0.9",
    "w=17 m segments=1 momentum=0.9 nesterov weight_decay=0.01",
    "w=100 segments=3 weight_decay=0.1",
    "w=100 m segments=3 momentum=0.9 clip",
    "w=33 m segments=1 momentum=0.9 skip",
    "w=33 segments=1 skip weight_decay=0.1",
    "w=33 segments=2 clip weight_decay=0.1",
    "w=100 segments=2 clip_value=0.3",
    "w=17 m segments=1 momentum=0.9 nesterov clip_value=0.3",
    "w=37 m segments=1 momentum=0.9 clip clip_value=0.1",
    "w=37 g=8 narrow=29 segments=1 weight_decay=0.1",
    "w=2101 g=1032 narrow=1069 m mirror segments=1 momentum=0.9 clip clip_value=0.1",
    OPS_SWEEP,
    "w=15 segments=1 weight_decay=0.1",
    "w=16 m segments=1 momentum=0.9",
    "w=1000003 m segments=7 momentum=0.9 nesterov weight_decay=0.001",
    NULL,
};

OPS_FAMILY(sgd) = {
    .op = CO_OP_SGD,
    .flags = "skip clip",
    .adjust = adjust_gate,
    .cases = sgd_cases,
};

#define BETAS "beta1=0.9 beta2=0.999 epsilon=1e-7"

static const char *const adam_cases[] = {
    "w=1 segments=1 " BETAS,
    "w=37 mirror segments=1 " BETAS,
    "w=20001 mirror segments=1 weight_decay=0.1 decoupled " BETAS,
    "w=17 segments=1 " BETAS,
    "w=100 segments=3 weight_decay=0.01 decoupled clip " BETAS,
    "w=100 segments=3 weight_decay=0.01 " BETAS,
    "w=33 segments=1 skip " BETAS,
    "w=37 segments=1 clip_value=0.3 " BETAS,
    "w=2101 g=1032 narrow=1069 mirror segments=1 weight_decay=0.1 decoupled clip " BETAS,
    OPS_SWEEP,
    "w=15 segments=1 weight_decay=0.1 " BETAS,
    "w=16 segments=1 weight_decay=0.1 decoupled " BETAS,
    "w=1000003 segments=7 weight_decay=0.001 decoupled " BETAS,
    NULL,
};

OPS_FAMILY(adam) = {
    .op = CO_OP_ADAM,
    .flags = "skip clip",
    .adjust = adjust_gate,
    .cases = adam_cases,
};

static const char *const ema_cases[] = {
    "w=1 segments=1", "w=100 segments=3", "w=33 segments=1 skip", "w=20001 segments=2",
    OPS_SWEEP,        "w=15 segments=1",  "w=1000003 segments=7", NULL,
};

OPS_FAMILY(ema) = {
    .op = CO_OP_EMA,
    .flags = "skip clip",
    .adjust = adjust_gate,
    .cases = ema_cases,
};

#define RMS "beta2=0.99 added=0.01 epsilon=1e-7"

static const char *const rmsprop_cases[] = {
    "w=1 segments=1 " RMS,
    "w=37 mirror segments=1 " RMS,
    "w=20001 m mirror segments=1 momentum=0.9 " RMS,
    "w=100 segments=3 weight_decay=0.1 clip " RMS,
    "w=100 m segments=3 momentum=0.9 weight_decay=0.1 clip_value=0.3 " RMS,
    "w=33 m segments=1 momentum=0.9 skip " RMS,
    "w=33 segments=1 skip " RMS,
    "w=37 segments=2 beta2=1 added=1 epsilon=1e-10",
    "w=100 g=56 narrow=44 m segments=2 momentum=0.9 weight_decay=0.1 " RMS,
    OPS_SWEEP,
    "w=16 m segments=1 momentum=0.9 " RMS,
    "w=1000003 segments=7 weight_decay=0.001 beta2=1 added=1 epsilon=1e-10",
    NULL,
};

OPS_FAMILY(rmsprop) = {
    .op = CO_OP_RMSPROP,
    .flags = "skip clip",
    .adjust = adjust_gate,
    .cases = rmsprop_cases,
};
