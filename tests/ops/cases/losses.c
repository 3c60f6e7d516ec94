// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

static int64_t row_terms(const co_op_desc *desc, int output) {
  (void)output; // sums over rows are f64 and add nothing
  return co_shape_count(&desc->in[0].shape) / desc->in[0].shape.dim[0];
}

// "holes": some rows are missing: weight 0, with targets that must not matter. "large": predictions
// whose exponentials overflow f32.
static void adjust(ops_problem *p) {
  int64_t rows = p->desc.in[0].shape.dim[0], count = co_shape_count(&p->desc.in[0].shape);
  int64_t size = count / rows;
  double *x = p->in[0], *weight = p->in[ops_problem_input(p, "weight")];
  const int at = ops_problem_input(p, "target");
  void *target = p->in[at];
  bool classes = p->desc.in[at].dtype == CO_I32;
  if (ops_problem_has_flag(p, "large"))
    for (int64_t i = 0; i < count; i++)
      x[i] = (double)(float)(300 * x[i]);
  if (ops_problem_has_flag(p, "none"))
    for (int64_t n = 0; n < rows; n++)
      weight[n] = 0;
  if (!ops_problem_has_flag(p, "holes") && !ops_problem_has_flag(p, "none")) return;
  for (int64_t n = 0; n < rows; n += 3) {
    weight[n] = 0;
    if (classes)
      ((int32_t *)target)[n] = -1;
    else
      ((double *)target)[n * size + n % size] = (double)NAN;
  }
}

// The logarithm of the sum and the target's logit cancel in the loss, the probability and 1 in dx.
static double classes_magnitude(const ops_problem *p, int output) {
  const co_step *step = p->in[ops_problem_input(p, "step")];
  double weight = ops_largest(p, ops_problem_input(p, "weight"));
  if (output == 0) return 1 + ops_largest(p, 0);
  if (output == 1) return weight * (1 + ops_largest(p, 0));
  return weight * step->inv_norm[p->desc.attr.output];
}

static const char *const classes_cases[] = {
    "x=1x1",
    "x=1x2",
    "x=7x3 holes",
    "x=16x17 holes output=3",
    "x=33x10 large",
    "x=4x10 none",
    "x=1x10 holes",
    "x=1x1 hits",
    "x=1000x2 holes hits",
    "x=4x5 none hits",
    "x=5x3000 holes hits",
    OPS_SWEEP,
    "x=128x10",
    "x=5x1000 holes output=7",
    "x=33x17 holes hits",
    "x=16x1000 hits",
    "x=7x3 holes label_smoothing=0.1",
    "x=33x17 label_smoothing=0.3 holes hits",
    "x=5x3000 label_smoothing=0.05",
    NULL,
};

OPS_FAMILY(softmax_cross_entropy) = {
    .op = CO_OP_SOFTMAX_CROSS_ENTROPY,
    .loss = true,
    .flags = "holes large none",
    .terms = row_terms,
    .adjust = adjust,
    .magnitude = classes_magnitude,
    .cases = classes_cases,
};

// Of a row; 0 where none are copied.
static int64_t events_of(const co_op_desc *desc) {
  const bool copies = desc->has_in >> CO_LINEAR_CROSS_ENTROPY_score & 1;
  return copies ? desc->in[CO_LINEAR_CROSS_ENTROPY_score].shape.dim[1] : 0;
}

// Sums over features, then over classes (of dx) or rows (of dw and db).
static int64_t linear_terms(const co_op_desc *desc, int output) {
  const int64_t *x = desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim;
  const int64_t V = co_shape_count(&desc->in[CO_LINEAR_CROSS_ENTROPY_w].shape) / x[1];
  const bool rows = output == CO_LINEAR_CROSS_ENTROPY_dw || output == CO_LINEAR_CROSS_ENTROPY_db;
  return x[1] + V + (rows ? x[0] : 0) + events_of(desc);
}

// "ties": each quarter of the classes is the first again, and targets are the largest of the first or,
// of odd rows, of the second. "rising": biases of an eighth are 100 above those of the one before.
// "barred": only the last quarter of the classes can be; "nothing": none can.
static void arrange_classes(ops_problem *p, int64_t D, int64_t V) {
  double *w = p->in[CO_LINEAR_CROSS_ENTROPY_w], *b = p->in[CO_LINEAR_CROSS_ENTROPY_b];
  const bool ties = ops_problem_has_flag(p, "ties"), rising = ops_problem_has_flag(p, "rising");
  const bool nothing = ops_problem_has_flag(p, "nothing");
  const bool barred = ops_problem_has_flag(p, "barred");
  for (int64_t i = 0; ties && i < D * V; i++)
    w[i] = w[i / V * V + i % V % (V / 4)];
  for (int64_t v = 0; v < V; v++) {
    if (rising) b[v] = (double)(float)(b[v] + 100 * (double)(v * 8 / V));
    if (nothing || (barred && v < V - V / 4)) b[v] = -(double)INFINITY;
  }
}

static int64_t largest_of(const ops_problem *p, int64_t n, int64_t D, int64_t V, int64_t among) {
  const double *x = p->in[CO_LINEAR_CROSS_ENTROPY_x], *w = p->in[CO_LINEAR_CROSS_ENTROPY_w];
  int64_t best = 0;
  double largest = -(double)INFINITY;
  for (int64_t v = 0; v < among; v++) {
    double sum = 0;
    for (int64_t d = 0; d < D; d++)
      sum += x[n * D + d] * w[d * V + v];
    if (sum > largest) best = v;
    largest = fmax(largest, sum);
  }
  return best;
}

// Events of the target's class and of classes of all tiles, more than once, of none (0) and of classes
// that there are not. Of rows of all lengths.
static void arrange_events(ops_problem *p, int64_t N, int64_t V) {
  const int32_t *target = p->in[CO_LINEAR_CROSS_ENTROPY_target];
  int32_t *codes = p->in[CO_LINEAR_CROSS_ENTROPY_codes];
  int32_t *lengths = p->in[CO_LINEAR_CROSS_ENTROPY_lengths];
  const int64_t T = events_of(&p->desc);
  for (int64_t i = 0; i < N * T; i++) {
    const int64_t k = i % T;
    codes[i] = k % 4 == 1 && i / T % 3 ? target[i / T] + 1 : (int32_t)(k / 2 * 7919 % (V + 2));
  }
  for (int64_t n = 0; T > 0 && n < N; n++)
    lengths[n] = (int32_t)(n == 1 ? 0 : T - n % T);
}

static void adjust_linear(ops_problem *p) {
  const int64_t *x = p->desc.in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim;
  const int64_t V = co_shape_count(&p->desc.in[CO_LINEAR_CROSS_ENTROPY_w].shape) / x[1];
  int32_t *target = p->in[CO_LINEAR_CROSS_ENTROPY_target];
  arrange_classes(p, x[1], V);
  for (int64_t n = 0; n < x[0]; n++) { // over the classes, not the features
    target[n] = (int32_t)((n * 7 + 3) % V);
    if (ops_problem_has_flag(p, "barred")) target[n] = (int32_t)(V - 1 - target[n] % (V / 4));
    if (ops_problem_has_flag(p, "ties"))
      target[n] = (int32_t)(largest_of(p, n, x[1], V, V / 4) + n % 2 * (V / 4));
  }
  arrange_events(p, x[0], V);
  adjust(p);
}

static double largest_bias(const ops_problem *p) {
  const int64_t count = co_shape_count(&p->desc.in[CO_LINEAR_CROSS_ENTROPY_b].shape);
  const double *b = p->in[CO_LINEAR_CROSS_ENTROPY_b];
  double largest = 0;
  for (int64_t v = 0; b && v < count; v++)
    if (isfinite(b[v])) largest = fmax(largest, fabs(b[v]));
  return largest;
}

// As of the logits, which are at most so large.
static double linear_magnitude(const ops_problem *p, int output) {
  const co_step *step = p->in[CO_LINEAR_CROSS_ENTROPY_step];
  const double D = (double)p->desc.in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim[1];
  const double x = ops_largest(p, CO_LINEAR_CROSS_ENTROPY_x);
  const double w = ops_largest(p, CO_LINEAR_CROSS_ENTROPY_w);
  const double weight = ops_largest(p, CO_LINEAR_CROSS_ENTROPY_weight);
  const int64_t T = events_of(&p->desc);
  const double events = T > 0 ? fabs(log(p->desc.attr.factor)) + log(1 + (double)T) +
                                    ops_largest(p, CO_LINEAR_CROSS_ENTROPY_score)
                              : 0;
  const double logits = 1 + D * x * w + largest_bias(p) + events;
  const double slope = weight * step->inv_norm[p->desc.attr.output] * logits;
  switch (output) {
  case CO_LINEAR_CROSS_ENTROPY_loss:
    return logits;
  case CO_LINEAR_CROSS_ENTROPY_sum:
    return weight * logits;
  case CO_LINEAR_CROSS_ENTROPY_dx:
    return slope * w;
  case CO_LINEAR_CROSS_ENTROPY_dw:
    return slope * x;
  case CO_LINEAR_CROSS_ENTROPY_db:
  case CO_LINEAR_CROSS_ENTROPY_dscore:
    return slope;
  default:
    return 0;
  }
}

static const char *const linear_cases[] = {
    "x=1x1 w=1x1 dx dw",
    "x=7x3 w=3x33 b=33 dx dw db hits holes",
    "x=9x5 w=70x5 transposed dx dw hits holes output=3",
    "x=33x32 w=64x32 b=64 transposed dx dw db",
    "x=17x32 w=32x96 dw",
    "x=5x33 w=100x33 transposed dx",
    "x=4x6 w=6x50 b=50 hits",
    "x=6x7 w=7x40 b=40 dx dw db none hits",
    "x=9x5 w=5x70 b=70 dx dw db hits label_smoothing=0.1 holes",
    // Several tiles, of which the last is not full.
    "x=3x2 w=17000x2 transposed label_smoothing=0.2 dx dw hits holes",
    "x=3x2 w=2x30000 ties hits dw",
    "x=2x2 w=2x20000 b=20000 rising dx db hits",
    "x=2x2 w=2x20000 b=20000 barred dx hits",
    "x=5x4 w=4x9 b=9 barred dx dw db hits",
    "x=5x4 w=4x9 b=9 nothing hits",
    "x=7x33 w=100x33 transposed dx dw hits large holes",
    "x=1x1 w=1x1 score=1x1x1 codes=1x1x1 lengths=1 factor=1 dx dw dscore hits",
    "x=7x3 w=3x33 b=33 score=7x9x1 codes=7x9x1 lengths=7 factor=3.5 dx dw db dscore hits holes",
    "x=9x5 w=70x5 transposed score=9x300x1 codes=9x300x1 lengths=9 factor=20 dx dw dscore hits",
    "x=5x4 w=4x9 b=9 score=5x6x1 codes=5x6x1 lengths=5 factor=2 barred dx dw db dscore hits",
    "x=3x2 w=17000x2 transposed score=3x40x1 codes=3x40x1 lengths=3 factor=1000 "
    "label_smoothing=0.2 dx dw dscore hits holes",
    "x=6x3 w=3x20 score=6x4x1 codes=6x4x1 lengths=6 factor=1 dscore hits",
    "x=2x2 w=2x20000 ties score=2x5x1 codes=2x5x1 lengths=2 factor=0.001 hits",
    OPS_SWEEP,
    "x=300x2 w=1000x2 transposed dx dw hits",
    "x=300x4 w=4x1000 b=1000 dx dw db hits holes",
    "x=33x64 w=64x300 b=300 dx dw db hits",
    "x=12x48 w=333x48 transposed label_smoothing=0.3 dx dw",
    "x=1x16 w=5000x16 transposed dx dw hits",
    NULL,
};

OPS_FAMILY(linear_cross_entropy) = {
    .op = CO_OP_LINEAR_CROSS_ENTROPY,
    .loss = true,
    .flags = "holes none large ties rising barred nothing",
    .terms = linear_terms,
    .adjust = adjust_linear,
    .magnitude = linear_magnitude,
    .cases = linear_cases,
};

// Targets of BINARY and HINGE within [0, 1]; of integers, 0 or 1. Others keep away from kinks.
static void adjust_pointwise(ops_problem *p) {
  const co_pointwise kind = p->desc.attr.pointwise;
  int64_t count = co_shape_count(&p->desc.in[1].shape);
  double *target = p->in[1];
  const double *x = p->in[0];
  bool kinked = kind == CO_POINTWISE_ABSOLUTE || kind == CO_POINTWISE_QUANTILE;
  for (int64_t i = 0; kinked && i < count; i++) // away from it
    if (p->values == OPS_REAL && fabs(x[i] - target[i]) < 0.05) target[i] = x[i] + 0.125;
  bool shares = kind == CO_POINTWISE_BINARY || kind == CO_POINTWISE_HINGE;
  for (int64_t i = 0; shares && i < count; i++)
    target[i] = p->values == OPS_INTEGER ? fabs(fmod(target[i], 2)) : fabs(target[i]);
  adjust(p);
}

// A probability and its target cancel in dx, a prediction and its target in the loss.
static double pointwise_magnitude(const ops_problem *p, int output) {
  const co_step *step = p->in[ops_problem_input(p, "step")];
  const co_op_attr *attr = &p->desc.attr;
  double weight = ops_largest(p, ops_problem_input(p, "weight"));
  double scale = attr->pointwise == CO_POINTWISE_BINARY ? fmax(1, attr->positive_weight) : 1;
  if (output == 0) return attr->pointwise == CO_POINTWISE_SQUARED ? 0 : scale;
  if (output == 1) return weight * scale * (1 + ops_largest(p, 0));
  return weight * scale * step->inv_norm[attr->output] / (double)row_terms(&p->desc, 0);
}

static const char *const pointwise_cases[] = {
    "x=1 squared",
    "x=1x1 squared",
    "x=17 squared holes",
    "x=7x3 squared holes",
    "x=3x4x5x2 squared holes",
    "x=16x16 squared none",
    "x=1x7 squared holes",
    "x=128x1 absolute holes",
    "x=5x33 absolute output=2",
    "x=7x3 huber delta=0.5 holes",
    "x=200x1 huber delta=1 large",
    "x=5x3 target=5x1 quantile levels=0.1,0.5,0.9",
    "x=33x1 quantile levels=0.25 holes",
    "x=65x1 hinge holes",
    "x=33x5 given holes",
    "x=7x3 hinge",
    "x=1 binary",
    "x=1x1 binary",
    "x=17 binary holes",
    "x=128x1 binary",
    "x=7x3 binary holes",
    "x=5x33 binary output=2",
    "x=200x1 binary large holes",
    "x=1x7 binary holes",
    "x=3x2100 binary large",
    "x=128x1 binary positive_weight=4.5",
    "x=7x3 binary positive_weight=0.25 label_smoothing=0.1 holes",
    "x=128x1 binary gamma=2 holes",
    "x=33x5 binary gamma=0.5 positive_weight=3 label_smoothing=0.02",
    "x=700x2 target=700x1 binary",
    OPS_SWEEP,
    "x=5x33 squared output=2",
    "x=2x28x28x1 squared",
    "x=16x16 binary none",
    "x=700x2 binary holes",
    "x=200x1 binary gamma=2 large",
    NULL,
};

OPS_FAMILY(pointwise_loss) = {
    .op = CO_OP_POINTWISE_LOSS,
    .loss = true,
    .flags = "holes large none",
    .terms = row_terms,
    .adjust = adjust_pointwise,
    .magnitude = pointwise_magnitude,
    .cases = pointwise_cases,
};

static const char *const hits_cases[] = {
    "x=1x1",      "x=1x2",   "x=7x3 holes", "x=1000x2 holes", "x=33x17 holes",
    "x=4x5 none", OPS_SWEEP, "x=128x10",    "x=16x1000",      NULL,
};

OPS_FAMILY(categorical_hits) = {
    .op = CO_OP_CATEGORICAL_HITS,
    .exact = OPS_EXACT_ON_INTEGERS, // of which there are ties, too: the first counts
    .flags = "holes large none",
    .adjust = adjust,
    .cases = hits_cases,
};
