// SPDX-License-Identifier: Apache-2.0
// The reference of losses, metrics and optimizers against values worked out by hand.
#include "kernels/bf16.h"
#include "tests/unit/reference_run.h"

static void test_losses(void **state) {
  (void)state;
  co_step step;
  memset(&step, 0, sizeof step);
  step.inv_norm[1] = 0.5;
  co_op_desc desc = {.op = CO_OP_SOFTMAX_CROSS_ENTROPY};
  desc.attr.output = 1;
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  operand(&desc, true, 1, CO_I32, vector(2));
  operand(&desc, true, 2, CO_F64, vector(2));
  operand(&desc, true, 3, CO_U8, vector((int64_t)sizeof step));
  double x[4] = {1000, 1000 + log(3), NAN, 0}, weight[2] = {2, 0}, loss[2], sum = 7, dx[4];
  int32_t target[2] = {0, -1};
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, target, weight, &step},
      (void *[CO_OP_MAX_OPERANDS]){loss, &sum, dx});
  assert_true(fabs(loss[0] - log(4)) < 1e-12 * 1000);
  assert_true(fabs(sum - 2 * log(4)) < 1e-12 * 1000);
  assert_true(fabs(dx[0] - 2 * 0.5 * (0.25 - 1)) < 1e-12 * 1000);
  assert_true(fabs(dx[1] - 2 * 0.5 * 0.75) < 1e-12 * 1000);
  near_to(loss[1], 0);
  near_to(dx[2], 0);
  near_to(dx[3], 0);
  desc.accumulate = 2;
  sum = 7;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, target, weight, &step},
      (void *[CO_OP_MAX_OPERANDS]){loss, &sum, dx});
  assert_true(fabs(sum - 7 - 2 * log(4)) < 1e-12 * 1000);

  co_op_desc squares = {.op = CO_OP_POINTWISE_LOSS};
  squares.attr.output = 1;
  operand(&squares, true, 0, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  operand(&squares, true, 1, CO_F64, squares.in[0].shape);
  operand(&squares, true, 2, CO_F64, vector(2));
  operand(&squares, true, 3, CO_U8, vector((int64_t)sizeof step));
  double p[4] = {1, 2, 3, 4}, t[4] = {0, 5, NAN, 1};
  run(&squares, (void *[CO_OP_MAX_OPERANDS]){p, t, weight, &step},
      (void *[CO_OP_MAX_OPERANDS]){loss, &sum, dx});
  near_to(loss[0], (1 + 9) / 2.0);
  near_to(sum, 10);
  near_to(dx[0], 2 * 0.5 * 2 * 1 / 2);
  near_to(dx[1], 2 * 0.5 * 2 * -3 / 2);
  near_to(dx[2], 0);

  co_op_desc binary = {
      .op = CO_OP_POINTWISE_LOSS,
      .attr = {.pointwise = CO_POINTWISE_BINARY, .positive_weight = 1, .output = 1}};
  operand(&binary, true, 0, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)2));
  operand(&binary, true, 1, CO_F64, binary.in[0].shape);
  operand(&binary, true, 2, CO_F64, vector(3));
  operand(&binary, true, 3, CO_U8, vector((int64_t)sizeof step));
  // A probability of 3/4 that was 1 and that was 0; certain hit and certain miss; a missing row.
  double z[6] = {log(3), log(3), 1000, 1000, NAN, 1}, b[6] = {1, 0, 1, 0, NAN, 1};
  double rows[3] = {2, 1, 0}, row_loss[3], dz[6];
  run(&binary, (void *[8]){z, b, rows, &step}, (void *[8]){row_loss, &sum, dz});
  near_to(row_loss[0], (log(4.0 / 3) + log(4)) / 2);
  near_to(row_loss[1], (0 + 1000) / 2.0);
  near_to(row_loss[2], 0);
  near_to(sum, 2 * row_loss[0] + 500);
  const double slope[6] = {-0.125, 0.375, 0, 0.25, 0, 0}; // weight 0.5 (p - t) / 2
  for (int i = 0; i < 6; i++)
    near_to(dz[i], slope[i]);
  const double soft = 0.25; // least where the probability is the target
  z[0] = -log(3);
  b[0] = soft;
  run(&binary, (void *[8]){z, b, rows, &step}, (void *[8]){row_loss, &sum, dz});
  near_to(dz[0], 0);
  near_to(row_loss[0], (-0.25 * log(0.25) - 0.75 * log(0.75) + log(4)) / 2);

  co_op_desc hits = {.op = CO_OP_CATEGORICAL_HITS};
  operand(&hits, true, 0, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)3));
  operand(&hits, true, 1, CO_I32, vector(3));
  operand(&hits, true, 2, CO_F64, vector(3));
  double scores[9] = {1, 2, 2, 0, 0, 0, 3, 1, 2}, weights[3] = {1, 2, 4}, sums[2];
  int32_t classes[3] = {2, 0, 1}; // the first maximum: a miss, a hit, a miss
  run(&hits, (void *[CO_OP_MAX_OPERANDS]){scores, classes, weights},
      (void *[CO_OP_MAX_OPERANDS]){sums});
  near_to(sums[0], 2);
  near_to(sums[1], 7);
  co_op_desc beside = {.op = CO_OP_SOFTMAX_CROSS_ENTROPY, .has_out = 8};
  operand(&beside, true, 0, CO_F64, hits.in[0].shape);
  operand(&beside, true, 1, CO_I32, vector(3));
  operand(&beside, true, 2, CO_F64, vector(3));
  operand(&beside, true, 3, CO_U8, vector((int64_t)sizeof step));
  double losses[3], gradients[9], counted[2];
  run(&beside, (void *[CO_OP_MAX_OPERANDS]){scores, classes, weights, &step},
      (void *[CO_OP_MAX_OPERANDS]){losses, &sum, gradients, counted});
  near_to(counted[0], 2);
  near_to(counted[1], 7);
}

// A row's loss, slopes and expected value, worked out by hand.
static void test_distributions(void **state) {
  (void)state;
  const double l3 = log(3), one = log(exp(1) - 1); // softplus of it is 1, its slope 1 - 1 / e
  const double normal = 0.5 * log(2 * acos(-1));
  const struct {
    co_distribution distribution;
    double x[3], t, loss, slope[3], mean;
  } known[] = {
      {CO_ZERO_INFLATED_LOGNORMAL, {l3, 0, one}, 0, log(4), {0.75, 0, 0}, 0.75 * exp(0.5)},
      {CO_ZERO_INFLATED_LOGNORMAL,
       {l3, 1, one},
       exp(3),
       log(4.0 / 3) + 3 + normal + 2,
       {-0.25, -2, -3 * (1 - exp(-1))},
       0.75 * exp(1.5)},
      // Of shape 1 it is geometric: P(t) = 1/4 (3/4)^t where the mean is 3.
      {CO_NEGATIVE_BINOMIAL, {l3, 0}, 0, log(4), {0.75, log(4) - 0.75}, 3},
      {CO_NEGATIVE_BINOMIAL, {l3, 0}, 2, 2 * log(4.0 / 3) + log(4), {0.25, log(4) - 0.25 - 1.5}, 3},
      // Beyond the greatest shape there is no slope.
      {CO_NEGATIVE_BINOMIAL, {0, 40}, 0, exp(12) * log1p(exp(-12)), {1 / (1 + exp(-12)), 0}, 1},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const int64_t P = known[i].distribution == CO_NEGATIVE_BINOMIAL ? 2 : 3;
    co_step step = {.inv_norm = {1}};
    co_op_desc desc = {.op = CO_OP_DISTRIBUTION_LOSS, .attr.distribution = known[i].distribution};
    co_op_desc mean = {.op = CO_OP_DISTRIBUTION_MEAN, .attr = desc.attr};
    operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)2, P));
    operand(&desc, true, 1, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)1));
    operand(&desc, true, 2, CO_F64, vector(2));
    operand(&desc, true, 3, CO_U8, vector((int64_t)sizeof step));
    operand(&mean, true, 0, CO_F64, desc.in[0].shape);
    // The second row is missing.
    double x[6] = {0}, t[2] = {known[i].t, NAN}, weight[2] = {2, 0}, loss[2], sum, dx[6], y[2];
    memcpy(x, known[i].x, (size_t)P * sizeof *x);
    run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, t, weight, &step},
        (void *[CO_OP_MAX_OPERANDS]){loss, &sum, dx});
    run(&mean, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y});
    near_to(loss[0], known[i].loss);
    near_to(loss[1], 0);
    near_to(sum, 2 * known[i].loss);
    for (int64_t k = 0; k < P; k++) {
      near_to(dx[k], 2 * known[i].slope[k]);
      near_to(dx[P + k], 0);
    }
    near_to(y[0], known[i].mean);
  }
}

// Loss and slope of one element, worked out by hand.
static void test_pointwise_losses(void **state) {
  (void)state;
  const double l3 = log(3); // sigmoid(log 3) = 3/4, -log of it log(4/3)
  const struct {
    co_op_attr attr;
    double x, t, loss, slope;
  } known[] = {
      {{.pointwise = CO_POINTWISE_ABSOLUTE}, 2, 5, 3, -1},
      {{.pointwise = CO_POINTWISE_ABSOLUTE}, 2, 2, 0, 0},
      {{.pointwise = CO_POINTWISE_HUBER, .delta = 2}, 4, 1, 2 * (3 - 1), 2},
      {{.pointwise = CO_POINTWISE_HUBER, .delta = 2}, 4, 5, 0.5, -1},
      {{.pointwise = CO_POINTWISE_QUANTILE, .level_count = 1, .levels = {0.9}}, 1, 3, 1.8, -0.9},
      {{.pointwise = CO_POINTWISE_QUANTILE, .level_count = 1, .levels = {0.9}}, 3, 1, 0.2, 0.1},
      {{.pointwise = CO_POINTWISE_GIVEN}, 2, 5, 2, 1},
      {{.pointwise = CO_POINTWISE_HINGE}, 0.25, 1, 0.75, -1},
      {{.pointwise = CO_POINTWISE_HINGE}, 0.25, 0, 1.25, 1},
      {{.pointwise = CO_POINTWISE_HINGE}, -3, 0, 0, 0},
      {{.pointwise = CO_POINTWISE_BINARY, .positive_weight = 5}, l3, 1, 5 * log(4.0 / 3), -1.25},
      {{.pointwise = CO_POINTWISE_BINARY, .positive_weight = 5}, l3, 0, log(4), 0.75},
      {{.pointwise = CO_POINTWISE_BINARY, .positive_weight = 1, .label_smoothing = 0.5},
       l3,
       1,
       0.75 * log(4.0 / 3) + 0.25 * log(4),
       0},
      {{.pointwise = CO_POINTWISE_BINARY, .positive_weight = 1, .gamma = 2},
       l3,
       0,
       9.0 / 16 * log(4),
       9.0 / 16 * (0.5 * log(4) + 0.75)},
      {{.pointwise = CO_POINTWISE_BINARY, .positive_weight = 1, .gamma = 2},
       l3,
       1,
       1.0 / 16 * log(4.0 / 3),
       -1.0 / 16 * (1.5 * log(4.0 / 3) + 0.25)},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    co_step step = {.inv_norm = {1}};
    co_op_desc desc = {.op = CO_OP_POINTWISE_LOSS, .attr = known[i].attr};
    operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)1));
    operand(&desc, true, 1, CO_F64, desc.in[0].shape);
    operand(&desc, true, 2, CO_F64, vector(1));
    operand(&desc, true, 3, CO_U8, vector((int64_t)sizeof step));
    double x = known[i].x, t = known[i].t, weight = 1, loss, sum, dx;
    run(&desc, (void *[CO_OP_MAX_OPERANDS]){&x, &t, &weight, &step},
        (void *[CO_OP_MAX_OPERANDS]){&loss, &sum, &dx});
    near_to(loss, known[i].loss);
    near_to(sum, known[i].loss);
    near_to(dx, known[i].slope);
  }
  // Smoothing by 0.3 of three classes: 0.8, 0.1, 0.1; at equal logits the loss is log 3.
  co_step step = {.inv_norm = {1}};
  co_op_desc classes = {.op = CO_OP_SOFTMAX_CROSS_ENTROPY, .attr.label_smoothing = 0.3};
  operand(&classes, true, 0, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)3));
  operand(&classes, true, 1, CO_I32, vector(1));
  operand(&classes, true, 2, CO_F64, vector(1));
  operand(&classes, true, 3, CO_U8, vector((int64_t)sizeof step));
  double x[3] = {log(2), 0, 0}, weight = 1, loss, sum, dx[3]; // probabilities 1/2, 1/4, 1/4
  int32_t target = 1;
  run(&classes, (void *[CO_OP_MAX_OPERANDS]){x, &target, &weight, &step},
      (void *[CO_OP_MAX_OPERANDS]){&loss, &sum, dx});
  near_to(loss, 0.1 * log(2) + 0.9 * log(4));
  near_to(dx[0], 0.5 - 0.1);
  near_to(dx[1], 0.25 - 0.8);
  near_to(dx[2], 0.25 - 0.1);

  // The same logits as a product, of either form, with biases.
  for (int transposed = 0; transposed < 2; transposed++) {
    co_op_desc linear = {.op = CO_OP_LINEAR_CROSS_ENTROPY, .has_out = 60};
    linear.attr.label_smoothing = 0.3;
    linear.attr.transposed = transposed;
    double one = 2, w[3] = {log(2) / 2, 1, 0}, b[3] = {0, -2, 0}, slope, dw[3], db[3], hits[2];
    operand(&linear, true, CO_LINEAR_CROSS_ENTROPY_x, CO_F64,
            co_shape_make(2, (int64_t)1, (int64_t)1));
    operand(&linear, true, CO_LINEAR_CROSS_ENTROPY_w, CO_F64,
            co_shape_make(2, (int64_t)(transposed ? 3 : 1), (int64_t)(transposed ? 1 : 3)));
    operand(&linear, true, CO_LINEAR_CROSS_ENTROPY_b, CO_F64, vector(3));
    operand(&linear, true, CO_LINEAR_CROSS_ENTROPY_target, CO_I32, vector(1));
    operand(&linear, true, CO_LINEAR_CROSS_ENTROPY_weight, CO_F64, vector(1));
    operand(&linear, true, CO_LINEAR_CROSS_ENTROPY_step, CO_U8, vector((int64_t)sizeof step));
    run(&linear, (void *[CO_OP_MAX_OPERANDS]){&one, w, b, &target, &weight, &step},
        (void *[CO_OP_MAX_OPERANDS]){&loss, &sum, &slope, dw, db, hits});
    near_to(loss, 0.1 * log(2) + 0.9 * log(4));
    near_to(sum, loss);
    near_to(slope, (0.5 - 0.1) * w[0] + (0.25 - 0.8) * w[1]);
    near_to(dw[1], 2 * (0.25 - 0.8));
    near_to(db[2], 0.25 - 0.1);
    near_to(hits[0], 0);
    near_to(hits[1], 1);
  }
}

// Exponentials 2, 1, 1 of logits; events of 1 and 1 of the second class, twice as much each, of 3 of
// none: 2, 5, 1.
static void test_copied_classes(void **state) {
  (void)state;
  co_step step = {.inv_norm = {1}};
  co_op_desc desc = {.op = CO_OP_LINEAR_CROSS_ENTROPY,
                     .has_out = 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6};
  desc.attr.factor = 2;
  const co_shape events = co_shape_make(3, (int64_t)1, (int64_t)4, (int64_t)1);
  double x = 1, w[3] = {log(2), 0, 0}, weight = 1, score[4] = {0, log(3), 0, 5};
  double loss, sum, dx, dw[3], hits[2], dscore[4];
  int32_t target = 1, codes[4] = {2, 0, 2, 2}, length = 3;
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_x, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)1));
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_w, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)3));
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_target, CO_I32, vector(1));
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_weight, CO_F64, vector(1));
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_step, CO_U8, vector((int64_t)sizeof step));
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_score, CO_F64, events);
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_codes, CO_I32, events);
  operand(&desc, true, CO_LINEAR_CROSS_ENTROPY_lengths, CO_I32, vector(1));
  run(&desc,
      (void *[CO_OP_MAX_OPERANDS]){&x, w, NULL, &target, &weight, &step, score, codes, &length},
      (void *[CO_OP_MAX_OPERANDS]){&loss, &sum, &dx, dw, NULL, hits, dscore});
  near_to(loss, log(8.0 / 5));
  near_to(hits[0], 1);
  // The slopes 2/8, -3/8, 1/8, of which the second one is shared out by fifths.
  near_to(dw[0], 2.0 / 8);
  near_to(dw[1], -3.0 / 8 / 5);
  near_to(dw[2], 1.0 / 8);
  near_to(dx, 2.0 / 8 * log(2));
  near_to(dscore[0], -3.0 / 8 * 2 / 5);
  near_to(dscore[1], 0);
  near_to(dscore[2], -3.0 / 8 * 2 / 5);
  near_to(dscore[3], 0);
}

static void test_sgd(void **state) {
  (void)state;
  co_segment segment = {.begin = 1, .count = 2, .rate = 0.5, .decay = 2};
  co_step step;
  memset(&step, 0, sizeof step);
  step.learning_rate = 0.2;
  double w[4] = {1, 1, 2, 3}, g[4] = {8, 8, 4, 8}, m[4] = {1, 1, 1, 1}, gate[2] = {1, 0.5};
  co_op_desc desc = {.op = CO_OP_SGD};
  desc.attr.weight_decay = 0.25;
  operand(&desc, true, 0, CO_F64, vector(4));
  operand(&desc, true, 1, CO_F64, vector(4));
  operand(&desc, true, 3, CO_U8, vector((int64_t)sizeof segment));
  operand(&desc, true, 4, CO_U8, vector((int64_t)sizeof step));
  operand(&desc, true, 5, CO_F64, vector(2));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){w, g, NULL, &segment, &step, gate},
      (void *[CO_OP_MAX_OPERANDS]){w});
  near_to(w[0], 1);
  near_to(w[1], 1 - 0.1 * (4 + 0.5 * 1)); // l2 = 0.25 * 2
  near_to(w[2], 2 - 0.1 * (2 + 0.5 * 2));
  near_to(w[3], 3);

  desc.attr.momentum = 0.9;
  operand(&desc, true, 2, CO_F64, vector(4));
  w[1] = 1;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){w, g, m, &segment, &step, gate},
      (void *[CO_OP_MAX_OPERANDS]){w, m});
  assert_int_equal(desc.has_out, 3);
  near_to(m[1], 0.9 + 4.5);
  near_to(w[1], 1 - 0.1 * 5.4);
  near_to(m[0], 1);

  desc.attr.nesterov = 1;
  w[1] = m[1] = 1;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){w, g, m, &segment, &step, gate},
      (void *[CO_OP_MAX_OPERANDS]){w, m});
  near_to(w[1], 1 - 0.1 * (4.5 + 0.9 * 5.4));

  gate[0] = 0;
  w[1] = 1;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){w, g, m, &segment, &step, gate},
      (void *[CO_OP_MAX_OPERANDS]){w, m});
  near_to(w[1], 1);
}

// The last two of ten gradients are in bf16.
static void test_narrow_gradients(void **state) {
  (void)state;
  co_segment segment = {.begin = 7, .count = 3, .rate = 1, .decay = 1};
  co_step step = {.learning_rate = 0.5, .bias_correction1 = 1, .bias_correction2 = 1};
  double w[10] = {0}, g[8] = {[7] = 2}, v[10] = {0}, gate[2], sum;
  co_bf16 narrow[2] = {co_bf16_round(3), co_bf16_round(-6)};
  void *norm_in[CO_OP_MAX_OPERANDS] = {g, &segment, NULL, narrow};
  co_op_desc norm = {.op = CO_OP_GRADIENT_NORM, .has_out = 2};
  operand(&norm, true, CO_GRADIENT_NORM_g, CO_F64, vector(8));
  operand(&norm, true, CO_GRADIENT_NORM_segments, CO_U8, vector((int64_t)sizeof segment));
  operand(&norm, true, CO_GRADIENT_NORM_narrow, CO_BF16, vector(2));
  run(&norm, norm_in, (void *[CO_OP_MAX_OPERANDS]){&sum, gate});
  near_to(sum, 4 + 9 + 36);
  void *in[CO_OP_MAX_OPERANDS] = {w, g, v, NULL, &segment, &step, gate, narrow};
  co_op_desc desc = {.op = CO_OP_RMSPROP, .attr = {.beta2 = 1, .added = 1, .epsilon = 1}};
  operand(&desc, true, CO_RMSPROP_w, CO_F64, vector(10));
  operand(&desc, true, CO_RMSPROP_g, CO_F64, vector(8));
  operand(&desc, true, CO_RMSPROP_v, CO_F64, vector(10));
  operand(&desc, true, CO_RMSPROP_segments, CO_U8, vector((int64_t)sizeof segment));
  operand(&desc, true, CO_RMSPROP_step, CO_U8, vector((int64_t)sizeof step));
  operand(&desc, true, CO_RMSPROP_gate, CO_F64, vector(2));
  operand(&desc, true, CO_RMSPROP_narrow, CO_BF16, vector(2));
  run(&desc, in, (void *[CO_OP_MAX_OPERANDS]){w, v});
  const double wanted[3] = {-0.5 * 2 / 3, -0.5 * 3 / 4, 0.5 * 6 / 7};
  for (int i = 0; i < 3; i++)
    near_to(w[7 + i], wanted[i]);
  near_to(w[6], 0);
}

// RMSprop with and without momentum, Adagrad, gradients limited to a size.
static void test_rmsprop(void **state) {
  (void)state;
  co_segment segment = {.begin = 0, .count = 1, .rate = 1, .decay = 1};
  co_step step = {.learning_rate = 0.1};
  double w = 2, g = 6, v = 7, m = 1, gate[2] = {1, 0.5};
  co_op_desc desc = {.op = CO_OP_RMSPROP, .attr = {.beta2 = 0.75, .added = 0.25, .epsilon = 1}};
  void *in[CO_OP_MAX_OPERANDS] = {&w, &g, &v, NULL, &segment, &step, gate};
  void *out[CO_OP_MAX_OPERANDS] = {&w, &v};
  for (int i = 0; i < 3; i++)
    operand(&desc, true, i, CO_F64, vector(1));
  operand(&desc, true, CO_RMSPROP_segments, CO_U8, vector((int64_t)sizeof segment));
  operand(&desc, true, CO_RMSPROP_step, CO_U8, vector((int64_t)sizeof step));
  operand(&desc, true, CO_RMSPROP_gate, CO_F64, vector(2));
  run(&desc, in, out);
  assert_int_equal(desc.has_out, 3);
  near_to(v, 0.75 * 7 + 0.25 * 9);
  near_to(w, 2 - 0.1 * 3 / (sqrt(7.5) + 1));
  operand(&desc, true, CO_RMSPROP_m, CO_F64, vector(1));
  in[CO_RMSPROP_m] = out[CO_RMSPROP_new_m] = &m;
  desc.attr.momentum = 0.5;
  desc.attr.weight_decay = 1; // the gradient is 3 + 1
  w = 1, v = 0;
  run(&desc, in, out);
  near_to(m, 0.5 + 4 / (2 + 1.0));
  near_to(w, 1 - 0.1 * m);
  desc.attr = (co_op_attr){.beta2 = 1, .added = 1, .clip_value = 2};
  w = 1, v = 12, m = 0;
  run(&desc, in, out);
  near_to(v, 16);
  near_to(w, 1 - 0.1 * 2 / 4);
}

static void test_adam(void **state) {
  (void)state;
  co_segment segment = {.begin = 0, .count = 1, .rate = 1, .decay = 1};
  co_step step;
  memset(&step, 0, sizeof step);
  step.learning_rate = 0.1;
  step.bias_correction1 = 1 / (1 - 0.5); // the first step with beta1 = 0.5, beta2 = 0.75
  step.bias_correction2 = 1 / (1 - 0.75);
  double w = 2, g = 3, m = 0, v = 0, gate[2] = {1, 1};
  co_op_desc desc = {.op = CO_OP_ADAM};
  desc.attr.beta1 = 0.5;
  desc.attr.beta2 = 0.75;
  desc.attr.epsilon = 1;
  for (int i = 0; i < 4; i++)
    operand(&desc, true, i, CO_F64, vector(1));
  operand(&desc, true, 4, CO_U8, vector((int64_t)sizeof segment));
  operand(&desc, true, 5, CO_U8, vector((int64_t)sizeof step));
  operand(&desc, true, 6, CO_F64, vector(2));
  void *in[CO_OP_MAX_OPERANDS] = {&w, &g, &m, &v, &segment, &step, gate},
       *out[CO_OP_MAX_OPERANDS] = {&w, &m, &v};
  run(&desc, in, out);
  near_to(m, 1.5);
  near_to(v, 2.25);
  near_to(w, 2 - 0.1 * 3 / (3 + 1)); // corrected moments of a first step are g and g²

  w = 2, m = v = 0;
  desc.attr.weight_decay = 0.5;
  desc.attr.decoupled = 1;
  run(&desc, in, out);
  near_to(w, 2 * (1 - 0.1 * 0.5) - 0.1 * 3 / 4);

  w = 2, m = v = 0;
  desc.attr.decoupled = 0; // g' = 3 + 0.5 * 2
  run(&desc, in, out);
  near_to(m, 2);
  near_to(w, 2 - 0.1 * 4 / 5);
}

static void test_rows(void **state) {
  (void)state;
  // Lists: two entries, then three behind them.
  int32_t index[3] = {4, 0, 4}, ids[6] = {7, 4, 9, 9, 9, 9}, count = 2, unique[6];
  double dy[3] = {1, 2, 3}, rows[6] = {10, 20, -1, -1, -1, -1}, sums[6];
  co_op_desc append = {.op = CO_OP_APPEND_ROWS, .attr = {.append = 1}};
  operand(&append, true, CO_APPEND_ROWS_index, CO_I32, vector(3));
  operand(&append, true, CO_APPEND_ROWS_dy, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)1));
  operand(&append, true, CO_APPEND_ROWS_ids, CO_I32, vector(6));
  operand(&append, true, CO_APPEND_ROWS_rows, CO_F64, co_shape_make(2, (int64_t)6, (int64_t)1));
  operand(&append, true, CO_APPEND_ROWS_count, CO_I32, vector(1));
  run(&append, (void *[CO_OP_MAX_OPERANDS]){index, dy, ids, rows, &count},
      (void *[CO_OP_MAX_OPERANDS]){ids, rows, &count});
  static const int32_t all[6] = {7, 4, 4, 0, 4, 9}, first[6] = {0, 4, -1, -1, 7, -1};
  assert_int_equal(count, 5);
  assert_memory_equal(ids, all, sizeof ids);
  assert_true(rows[4] == 3 && rows[5] == -1);

  co_op_desc sum = {.op = CO_OP_SUM_ROWS};
  operand(&sum, true, CO_SUM_ROWS_ids, CO_I32, vector(6));
  operand(&sum, true, CO_SUM_ROWS_rows, CO_F64, co_shape_make(2, (int64_t)6, (int64_t)1));
  operand(&sum, true, CO_SUM_ROWS_count, CO_I32, vector(1));
  run(&sum, (void *[CO_OP_MAX_OPERANDS]){ids, rows, &count},
      (void *[CO_OP_MAX_OPERANDS]){unique, sums});
  assert_memory_equal(unique, first, sizeof unique);
  near_to(sums[0], 2);
  near_to(sums[1], 20 + 1 + 3);
  near_to(sums[2], 0);
  near_to(sums[4], 10);

  // A row's second update, of beta1 = 0.5 and beta2 = 0.75.
  const co_step step = {.learning_rate = 0.1, .bias_correction1 = 100, .bias_correction2 = 100};
  double w[3] = {1, 2, 3}, m[3] = {0, 0, 4}, v[3] = {0, 0, 8}, gate[2] = {1, 1}, g = 2;
  int32_t steps[3] = {0, 0, 1}, id = 2;
  co_op_desc adam = {.op = CO_OP_ADAM_ROWS,
                     .attr = {.rate = 1, .beta1 = 0.5, .beta2 = 0.75, .epsilon = 1}};
  for (int i = CO_ADAM_ROWS_w; i <= CO_ADAM_ROWS_v; i++)
    operand(&adam, true, i, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)1));
  operand(&adam, true, CO_ADAM_ROWS_steps, CO_I32, vector(3));
  operand(&adam, true, CO_ADAM_ROWS_ids, CO_I32, vector(1));
  operand(&adam, true, CO_ADAM_ROWS_g, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)1));
  operand(&adam, true, CO_ADAM_ROWS_step, CO_U8, vector((int64_t)sizeof step));
  operand(&adam, true, CO_ADAM_ROWS_gate, CO_F64, vector(2));
  run(&adam, (void *[CO_OP_MAX_OPERANDS]){w, m, v, steps, &id, &g, (void *)(uintptr_t)&step, gate},
      (void *[CO_OP_MAX_OPERANDS]){w, m, v, steps});
  near_to(w[1], 2);
  near_to(m[2], 3);
  near_to(v[2], 7);
  near_to(w[2], 3 - 0.1 * (3 / (1 - 0.25)) / (sqrt(7 / (1 - 0.5625)) + 1));
  assert_int_equal(steps[2], 2);
}

static void test_gate(void **state) {
  (void)state;
  co_segment segments[2] = {{.begin = 0, .count = 1}, {.begin = 2, .count = 2}};
  double g[4] = {1, 100, 2, 2}, sum, gate[2];
  co_op_desc norm = {.op = CO_OP_GRADIENT_NORM};
  operand(&norm, true, 0, CO_F64, vector(4));
  operand(&norm, true, 1, CO_U8, vector((int64_t)sizeof segments));
  run(&norm, (void *[CO_OP_MAX_OPERANDS]){g, segments}, (void *[CO_OP_MAX_OPERANDS]){&sum});
  near_to(sum, 9);
  norm.has_out |= 2;
  const double limits[3] = {0, 6, 1.5}, factors[3] = {1, 1, 0.5};
  for (int i = 0; i < 3; i++) {
    norm.attr.clip_norm = limits[i];
    run(&norm, (void *[CO_OP_MAX_OPERANDS]){g, segments}, (void *[CO_OP_MAX_OPERANDS]){&sum, gate});
    near_to(sum, 9);
    near_to(gate[0], 1);
    near_to(gate[1], factors[i]);
  }
  const double bad[2] = {(double)NAN, (double)INFINITY};
  for (int i = 0; i < 2; i++) {
    g[2] = bad[i];
    run(&norm, (void *[CO_OP_MAX_OPERANDS]){g, segments}, (void *[CO_OP_MAX_OPERANDS]){&sum, gate});
    near_to(gate[0], 0);
  }
}

static void test_ema(void **state) {
  (void)state;
  co_segment segment = {.begin = 1, .count = 2, .rate = 0.5, .decay = 2};
  co_step step;
  memset(&step, 0, sizeof step);
  step.ema_rate = 0.25;
  double w[4] = {8, 8, -8, 8}, ema[4] = {4, 4, 4, 4}, gate[2] = {1, 0.5};
  co_op_desc desc = {.op = CO_OP_EMA};
  operand(&desc, true, 0, CO_F64, vector(4));
  operand(&desc, true, 1, CO_F64, vector(4));
  operand(&desc, true, 2, CO_U8, vector((int64_t)sizeof segment));
  operand(&desc, true, 3, CO_U8, vector((int64_t)sizeof step));
  operand(&desc, true, 4, CO_F64, vector(2));
  for (int closed = 0; closed < 2; closed++) {
    run(&desc, (void *[CO_OP_MAX_OPERANDS]){w, ema, &segment, &step, gate},
        (void *[CO_OP_MAX_OPERANDS]){ema});
    const double want[4] = {4, 5, 1, 4};
    for (int i = 0; i < 4; i++)
      near_to(ema[i], want[i]);
    gate[0] = 0;
  }
}

// Two numbers, a binary and one of three classes.
static void test_column_loss(void **state) {
  (void)state;
  const double l3 = log(3);
  double x[6] = {1, 2, l3, 0, l3, 0}, target[4] = {2, 0, 1, 1}, y[3], dx[6], dy[3] = {1, 4, 5};
  int32_t columns[12] = {0, 0, 2, CO_PART_VALUES, 2, 2, 1, CO_PART_LOGITS,
                         3, 3, 3, CO_PART_CLASSES};
  co_op_desc desc = {.op = CO_OP_COLUMN_LOSS};
  operand(&desc, true, CO_COLUMN_LOSS_x, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)6));
  operand(&desc, true, CO_COLUMN_LOSS_target, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)4));
  operand(&desc, true, CO_COLUMN_LOSS_columns, CO_I32, co_shape_make(2, (int64_t)3, (int64_t)4));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, target, columns}, (void *[CO_OP_MAX_OPERANDS]){y});
  near_to(y[0], (1.0 + 4.0) / 2);
  near_to(y[1], log(4.0 / 3));
  near_to(y[2], log(5.0 / 3));
  desc.op = CO_OP_COLUMN_LOSS_BACKWARD;
  operand(&desc, true, CO_COLUMN_LOSS_BACKWARD_dy, CO_F64, desc.out[0].shape);
  operand(&desc, false, 0, CO_F64, desc.in[0].shape);
  desc.has_out = 1;
  assert_int_equal(co_ref_run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, target, columns, dy},
                              (void *[CO_OP_MAX_OPERANDS]){dx}),
                   CO_OK);
  const double slopes[6] = {-1, 2, 4 * (0.75 - 1), 1, -2, 1};
  for (int i = 0; i < 6; i++)
    near_to(dx[i], slopes[i]);
  target[3] = 3; // no such class
  desc.op = CO_OP_COLUMN_LOSS;
  assert_int_equal(co_ref_run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, target, columns},
                              (void *[CO_OP_MAX_OPERANDS]){y}),
                   CO_OK);
  assert_true(isnan(y[2]));
}

static void test_row_means(void **state) {
  (void)state;
  double x[6] = {1, 3, (double)NAN, 0, 5, 6}, weight[3] = {2, 0, 4}, sums[2] = {100, 10};
  co_op_desc desc = {.op = CO_OP_ROW_MEANS, .accumulate = 1};
  operand(&desc, true, CO_ROW_MEANS_x, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)2));
  operand(&desc, true, CO_ROW_MEANS_weight, CO_F64, vector(3));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, weight}, (void *[CO_OP_MAX_OPERANDS]){sums});
  near_to(sums[0], 100 + 2 * 2 + 4 * 5.5);
  near_to(sums[1], 10 + 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_losses),
      cmocka_unit_test(test_distributions),
      cmocka_unit_test(test_pointwise_losses),
      cmocka_unit_test(test_copied_classes),
      cmocka_unit_test(test_sgd),
      cmocka_unit_test(test_narrow_gradients),
      cmocka_unit_test(test_rmsprop),
      cmocka_unit_test(test_adam),
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_gate),
      cmocka_unit_test(test_ema),
      cmocka_unit_test(test_column_loss),
      cmocka_unit_test(test_row_means),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
