// SPDX-License-Identifier: Apache-2.0
// The reference against values worked out by hand: what finite differences do not see (running
// statistics, ties, random draws).
#include <stdlib.h>

#include "tests/unit/reference_run.h"

static void test_max_pool(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_MAX_POOL2D, .has_out = 3};
  desc.attr.kernel[0] = desc.attr.kernel[1] = 2;
  desc.attr.stride[0] = desc.attr.stride[1] = 2;
  desc.attr.pad_begin[0] = 1;
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)3, (int64_t)2, (int64_t)1));
  double x[6] = {-3, -2, 5, 5, 1, 5}, y[2];
  int32_t argmax[2];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y, argmax});
  near_to(y[0], -2); // padding, were it 0, would win
  assert_int_equal(argmax[0], 3);
  near_to(y[1], 5); // the first of three
  assert_int_equal(argmax[1], 0);
}

static void test_global_average_pool(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_GLOBAL_AVERAGE_POOL2D};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)2, (int64_t)1, (int64_t)2, (int64_t)2));
  double x[8] = {1, 10, 3, 30, -5, 0, 6, 8}, y[4];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y});
  const double want[4] = {2, 20, 0.5, 4};
  for (int i = 0; i < 4; i++)
    near_to(y[i], want[i]);

  co_op_desc backward = {.op = CO_OP_GLOBAL_AVERAGE_POOL2D_BACKWARD, .has_out = 1, .accumulate = 1};
  operand(&backward, true, 0, CO_F64, desc.out[0].shape);
  operand(&backward, false, 0, CO_F64, desc.in[0].shape);
  double dx[8] = {100};
  assert_int_equal(
      co_ref_run(&backward, (void *[CO_OP_MAX_OPERANDS]){y}, (void *[CO_OP_MAX_OPERANDS]){dx}),
      CO_OK);
  const double gradient[8] = {101, 10, 1, 10, 0.25, 2, 0.25, 2};
  for (int i = 0; i < 8; i++)
    near_to(dx[i], gradient[i]);
}

static void test_upsample(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_UPSAMPLE2D, .attr = {.stride = {2, 3}}};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)1, (int64_t)2, (int64_t)2));
  double x[4] = {1, 10, 3, 30}, y[24];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y});
  for (int i = 0; i < 24; i++)
    near_to(y[i], x[i % 12 / 6 * 2 + i % 2]);

  co_op_desc backward = {
      .op = CO_OP_UPSAMPLE2D_BACKWARD, .has_out = 1, .accumulate = 1, .attr = {.stride = {2, 3}}};
  operand(&backward, true, 0, CO_F64, desc.out[0].shape);
  operand(&backward, false, 0, CO_F64, desc.in[0].shape);
  double dx[4] = {100};
  for (int i = 0; i < 24; i++)
    y[i] = i;
  assert_int_equal(
      co_ref_run(&backward, (void *[CO_OP_MAX_OPERANDS]){y}, (void *[CO_OP_MAX_OPERANDS]){dx}),
      CO_OK);
  // Of the first pixel and channel 0 + 2 + 4 above, 12 + 14 + 16 below.
  const double gradient[4] = {148, 54, 84, 90};
  for (int i = 0; i < 4; i++)
    near_to(dx[i], gradient[i]);
}

// Two groups of a channel each, and a transposed convolution whose taps meet in the middle.
static void test_convolution_variants(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_CONV2D,
                     .attr = {.kernel = {1, 2}, .stride = {1, 1}, .dilation = {1, 1}}};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)1, (int64_t)3, (int64_t)2));
  operand(&desc, true, 1, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)2, (int64_t)1, (int64_t)4));
  double x[6] = {1, 10, 2, 20, 3, 30}, w[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, w}, (void *[CO_OP_MAX_OPERANDS]){y});
  const double grouped[8] = {11, 14, 170, 200, 17, 22, 270, 320};
  for (int i = 0; i < 8; i++)
    near_to(y[i], grouped[i]);

  desc = (co_op_desc){.op = CO_OP_CONV2D_TRANSPOSE,
                      .attr = {.kernel = {1, 3}, .stride = {1, 2}, .dilation = {1, 1}}};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)1, (int64_t)2, (int64_t)2));
  operand(&desc, true, 1, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)3, (int64_t)1, (int64_t)2));
  operand(&desc, true, 2, CO_F64, co_shape_make(1, (int64_t)1));
  double pixels[4] = {1, 10, 2, 20}, taps[6] = {1, 2, 3, 4, 5, 6}, bias = 1000, wide[5];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){pixels, taps, &bias}, (void *[CO_OP_MAX_OPERANDS]){wide});
  const double sums[5] = {1021, 1043, 1065 + 42, 1086, 1130};
  for (int i = 0; i < 5; i++)
    near_to(wide[i], sums[i]);
}

// A window that sticks out has a mean of fewer pixels; what is cut off is gone, what is added is 0.
static void test_windows(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_AVERAGE_POOL2D,
                     .attr = {.kernel = {1, 2}, .stride = {1, 2}, .pad_end = {0, 1}}};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)1, (int64_t)3, (int64_t)1));
  double x[3] = {1, 4, 9}, y[4];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y});
  near_to(y[0], 2.5);
  near_to(y[1], 9);
  desc = (co_op_desc){.op = CO_OP_PAD2D, .attr = {.pad_begin = {0, -1}, .pad_end = {0, 2}}};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)1, (int64_t)1, (int64_t)3, (int64_t)1));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y});
  const double moved[4] = {4, 9, 0, 0};
  for (int i = 0; i < 4; i++)
    near_to(y[i], moved[i]);
}

// By the draws: where a square is cut out; of a turn, that it is one about the middle; that parts are
// within the image and light changes all pixels alike.
static void test_augment(void **state) {
  (void)state;
  enum { N = 40, S = 5, SIZE = S * S };
  double x[N * SIZE], y[N * SIZE];
  int64_t ids[N];
  co_step step;
  memset(&step, 0, sizeof step);
  step.seed = 3;
  co_op_desc desc = {.op = CO_OP_AUGMENT, .attr = {.least_area = 1, .cutout = 3, .fill = -9}};
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)N, (int64_t)S, (int64_t)S, (int64_t)1));
  operand(&desc, true, 1, CO_I64, vector(N));
  operand(&desc, true, 2, CO_U8, vector((int64_t)sizeof step));
  for (int n = 0; n < N; n++) {
    ids[n] = 7 + n;
    for (int i = 0; i < SIZE; i++) // a slope: row by row 20, column by column 1
      x[n * SIZE + i] = 50 + 20 * (i / S) + i % S;
  }
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, ids, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  for (int n = 0; n < N; n++) {
    const double u =
        (double)co_uniform_from_bits(co_random_bits(3, (uint64_t)ids[n] * 16 + 7, 0, 0));
    const double v =
        (double)co_uniform_from_bits(co_random_bits(3, (uint64_t)ids[n] * 16 + 8, 0, 0));
    for (int i = 0; i < SIZE; i++) {
      bool cut = abs(i / S - (int)(u * S)) <= 1 && abs(i % S - (int)(v * S)) <= 1;
      near_to(y[n * SIZE + i], cut ? -9 : x[n * SIZE + i]);
    }
  }
  desc.attr.cutout = 0;
  desc.attr.rotation = 20;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, ids, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  for (int n = 0; n < N; n++) {
    const double u =
        (double)co_uniform_from_bits(co_random_bits(3, (uint64_t)ids[n] * 16 + 4, 0, 0));
    const double angle = (2 * u - 1) * 20 * 3.14159265358979323846 / 180;
    near_to(y[n * SIZE + 12], 92);
    // One pixel to the right of the middle shows what is cos right and sin below it.
    near_to(y[n * SIZE + 13], 92 + cos(angle) + 20 * sin(angle));
  }
  desc.attr.rotation = 0;
  desc.attr.least_area = 0.25;
  desc.attr.brightness = 0.1;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, ids, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  for (int n = 0; n < N; n++) {
    const double *image = y + n * SIZE, right = image[13] - image[12], down = image[17] - image[12];
    assert_true(right > 0.4 &&
                right < 1 + 1e-12); // columns are that far apart, rows 20 times as far
    assert_true(down / 20 > 0.4 && down / 20 < 1 + 1e-12 && right * down / 20 > 0.25 - 1e-9);
    assert_true(image[12] > 92 - 0.1 * 255 - 21 && image[12] < 92 + 0.1 * 255 + 21);
  }
}

static void test_batch_norm(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_BATCH_NORM};
  desc.attr.epsilon = 1;
  desc.attr.momentum = 0.75;
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)4, (int64_t)1));
  for (int i = 1; i < 5; i++)
    operand(&desc, true, i, CO_F64, vector(1));
  // Mean 3, biased variance 3, so that the divisor is 2.
  double x[4] = {0, 4, 4, 4}, gamma = 4, beta = 10, running_mean = 1, running_variance = 2;
  double y[4], mean, variance, new_mean, new_variance;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &gamma, &beta, &running_mean, &running_variance},
      (void *[CO_OP_MAX_OPERANDS]){y, &mean, &variance, &new_mean, &new_variance});
  near_to(mean, 3);
  near_to(variance, 3);
  near_to(y[0], 10 - 6);
  near_to(y[1], 10 + 2);
  near_to(new_mean, 0.75 * 1 + 0.25 * 3);
  near_to(new_variance, 0.75 * 2 + 0.25 * 3);

  // With a pool of two columns and a relu: nothing is left of 0 and 0; the first of 12 and 12.
  co_op_desc pooled = desc;
  pooled.attr.activation = CO_ACTIVATION_RELU;
  pooled.attr.kernel[0] = pooled.attr.stride[0] = pooled.attr.stride[1] = 1;
  pooled.attr.kernel[1] = 2;
  pooled.has_out = 1u << CO_BATCH_NORM_argmax;
  pooled.in[0].shape = co_shape_make(4, (int64_t)1, (int64_t)2, (int64_t)2, (int64_t)1);
  double even[4] = {4, 4, 0, 4}, low = -2;
  int32_t argmax[2];
  run(&pooled, (void *[CO_OP_MAX_OPERANDS]){even, &gamma, &low, &running_mean, &running_variance},
      (void *[CO_OP_MAX_OPERANDS]){y, &mean, &variance, &new_mean, &new_variance, argmax});
  near_to(y[0], 0); // 2 - 2
  near_to(y[1], 0);
  assert_int_equal(argmax[0], -1);
  run(&pooled, (void *[CO_OP_MAX_OPERANDS]){even, &gamma, &beta, &running_mean, &running_variance},
      (void *[CO_OP_MAX_OPERANDS]){y, &mean, &variance, &new_mean, &new_variance, argmax});
  near_to(y[0], 12);
  near_to(y[1], 12);
  assert_int_equal(argmax[0], 0);
  assert_int_equal(argmax[1], 1);

  desc.op = CO_OP_BATCH_NORM_INFERENCE;
  desc.has_out = 0;
  desc.attr.activation = CO_ACTIVATION_RELU;
  running_variance = 3;
  running_mean = 10;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &gamma, &beta, &running_mean, &running_variance},
      (void *[CO_OP_MAX_OPERANDS]){y});
  near_to(y[0], 0); // (0 - 10) 2 + 10 is negative
  near_to(y[1], 0);
  running_mean = 1;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &gamma, &beta, &running_mean, &running_variance},
      (void *[CO_OP_MAX_OPERANDS]){y});
  near_to(y[0], 8);
  near_to(y[3], 16);

  co_op_desc backward = {.op = CO_OP_BATCH_NORM_INFERENCE_BACKWARD, .attr.epsilon = 1};
  operand(&backward, true, 0, CO_F64, co_shape_make(2, (int64_t)4, (int64_t)1));
  for (int i = 1; i < 3; i++)
    operand(&backward, true, i, CO_F64, vector(1));
  operand(&backward, false, 0, CO_F64, co_shape_make(2, (int64_t)4, (int64_t)1));
  assert_int_equal(co_ref_run(&backward, (void *[CO_OP_MAX_OPERANDS]){x, &gamma, &running_variance},
                              (void *[CO_OP_MAX_OPERANDS]){y}),
                   CO_OK);
  near_to(y[0], 0);
  near_to(y[3], 4 * 4 / 2.0);
}

// Two features, along the last and the first dimension of the weights; factors 4 / 2 and 3 / 1.
static void test_fold_batch_norm(void **state) {
  (void)state;
  double w[4] = {1, 2, 3, 4}, gamma[2] = {4, 3}, beta[2] = {10, -1}, mean[2] = {1, 5};
  double variance[2] = {3, 0}, b[2] = {7, 8}, kernel[4], bias[2];
  void *in[CO_OP_MAX_OPERANDS] = {w, gamma, beta, mean, variance, b};
  void *out[CO_OP_MAX_OPERANDS] = {kernel, bias};
  for (int axis = 0; axis < 2; axis++) {
    co_op_desc desc = {.op = CO_OP_FOLD_BATCH_NORM, .attr.epsilon = 1, .attr.axis = axis};
    operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
    for (int i = 1; i < 6; i++)
      operand(&desc, true, i, CO_F64, vector(2));
    run(&desc, in, out);
    near_to(kernel[0], 1 * 2);
    near_to(kernel[1], 2 * (axis ? 3 : 2));
    near_to(kernel[2], 3 * (axis ? 2 : 3));
    near_to(kernel[3], 4 * 3);
    near_to(bias[0], (7 - 1) * 2 + 10);
    near_to(bias[1], (8 - 5) * 3 - 1);
    desc.has_in &= ~(1u << CO_FOLD_BATCH_NORM_b);
    desc.has_out = 0;
    in[CO_FOLD_BATCH_NORM_b] = NULL;
    run(&desc, in, out);
    near_to(bias[0], -1 * 2 + 10);
    near_to(bias[1], -5 * 3 - 1);
    in[CO_FOLD_BATCH_NORM_b] = b;
  }
}

static void test_activations(void **state) {
  (void)state;
  const double x[5] = {0, log(3), -log(3), -1000, INFINITY};
  const double sigmoid[5] = {0.5, 0.75, 0.25, 0, 1}, tangent[5] = {0, 0.8, -0.8, -1, 1};
  const double dy[5] = {4, 4, -4, 1, 1};
  const double of_sigmoid[5] = {1, 0.75, -0.75, 0, 0}, of_tangent[5] = {4, 1.44, -1.44, 0, 0};
  for (int tanhs = 0; tanhs < 2; tanhs++) {
    co_op_desc desc = {.op = tanhs ? CO_OP_TANH : CO_OP_SIGMOID};
    operand(&desc, true, 0, CO_F64, vector(5));
    double y[5], dx[5];
    run(&desc, (void *[8]){(void *)x}, (void *[8]){y});
    co_op_desc backward = {.op = tanhs ? CO_OP_TANH_BACKWARD : CO_OP_SIGMOID_BACKWARD,
                           .has_out = 1};
    operand(&backward, true, 0, CO_F64, vector(5));
    operand(&backward, true, 1, CO_F64, vector(5));
    operand(&backward, false, 0, CO_F64, vector(5));
    assert_int_equal(co_ref_run(&backward, (void *[8]){y, (void *)dy}, (void *[8]){dx}), CO_OK);
    for (int i = 0; i < 5; i++) {
      near_to(y[i], (tanhs ? tangent : sigmoid)[i]);
      near_to(dx[i], (tanhs ? of_tangent : of_sigmoid)[i]);
    }
  }
}

static void test_curves(void **state) {
  (void)state;
  // The normal distribution at 1, to 16 digits: P(X <= 1) and the density.
  const double below = 0.8413447460685429, density = 0.2419707245191434;
  const struct {
    co_function function;
    double alpha, y[3], slope[3]; // at -1, 1, log 3
  } curves[] = {
      {CO_FUNCTION_GELU, 0, {below - 1, below, NAN}, {1 - below - density, below + density, NAN}},
      {CO_FUNCTION_SILU, 0, {NAN, NAN, 0.75 * log(3)}, {NAN, NAN, 0.75 + 0.1875 * log(3)}},
      {CO_FUNCTION_ELU, 0.5, {0.5 * exp(-1) - 0.5, 1, log(3)}, {0.5 * exp(-1), 1, 1}},
      {CO_FUNCTION_LEAKY_RELU, 0.25, {-0.25, 1, log(3)}, {0.25, 1, 1}},
  };
  const double x[3] = {-1, 1, log(3)}, dy[3] = {-2, 3, 5};
  for (size_t k = 0; k < sizeof curves / sizeof *curves; k++) {
    co_op_desc desc = {.op = CO_OP_ACTIVATION,
                       .attr = {.function = curves[k].function, .alpha = curves[k].alpha}};
    co_op_desc backward = {.op = CO_OP_ACTIVATION_BACKWARD, .attr = desc.attr, .has_out = 1};
    double y[3], dx[3];
    operand(&desc, true, 0, CO_F64, vector(3));
    run(&desc, (void *[CO_OP_MAX_OPERANDS]){(void *)x}, (void *[CO_OP_MAX_OPERANDS]){y});
    operand(&backward, true, 0, CO_F64, vector(3));
    operand(&backward, true, 1, CO_F64, vector(3));
    operand(&backward, false, 0, CO_F64, vector(3));
    assert_int_equal(co_ref_run(&backward, (void *[8]){(void *)x, (void *)dy}, (void *[8]){dx}),
                     CO_OK);
    for (int i = 0; i < 3; i++) {
      if (isnan(curves[k].y[i])) continue;
      near_to(y[i], curves[k].y[i]);
      near_to(dx[i], dy[i] * curves[k].slope[i]);
    }
  }
}

static void test_layer_norm(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_LAYER_NORM, .attr = {.epsilon = 3}, .has_out = 7};
  operand(&desc, true, CO_LAYER_NORM_x, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  operand(&desc, true, CO_LAYER_NORM_gamma, CO_F64, vector(2));
  operand(&desc, true, CO_LAYER_NORM_beta, CO_F64, vector(2));
  // Variances 1 and 6, of which 2 and 3 are the roots with epsilon.
  double x[4] = {5, 7, sqrt(6), -sqrt(6)}, gamma[2] = {4, 10}, beta[2] = {0.5, -1};
  double y[4], mean[2], inverse[2];
  run(&desc, (void *[8]){x, gamma, beta}, (void *[8]){y, mean, inverse});
  const double want[4] = {-1.5, 4, 0.5 + 4 * sqrt(6) / 3, -1 - 10 * sqrt(6) / 3};
  for (int i = 0; i < 4; i++)
    near_to(y[i], want[i]);
  near_to(mean[0], 6);
  near_to(mean[1], 0);
  near_to(inverse[0], 0.5);
  near_to(inverse[1], 1.0 / 3);
}

static void test_rms_norm(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_LAYER_NORM, .attr = {.epsilon = 3, .rms = 1}, .has_out = 5};
  operand(&desc, true, CO_LAYER_NORM_x, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  operand(&desc, true, CO_LAYER_NORM_gamma, CO_F64, vector(2));
  // Means of squares 13 and 1, of which 4 and 2 are the roots with epsilon.
  double x[4] = {1, -5, 1, 1}, gamma[2] = {4, 10}, y[4], inverse[2];
  run(&desc, (void *[8]){x, gamma}, (void *[8]){y, NULL, inverse});
  const double want[4] = {1, -12.5, 2, 5};
  for (int i = 0; i < 4; i++)
    near_to(y[i], want[i]);
  near_to(inverse[0], 0.25);
  near_to(inverse[1], 0.5);
  // dx = inverse (g - n mean(g n)) with n = x inverse and g = gamma dy: (4, 0) and (8, 10).
  double dy[4] = {1, 0, 2, 1}, dx[4], dgamma[2];
  co_op_desc backward = {.op = CO_OP_LAYER_NORM_BACKWARD, .attr = desc.attr, .has_out = 3};
  operand(&backward, true, CO_LAYER_NORM_BACKWARD_x, CO_F64, desc.in[0].shape);
  operand(&backward, true, CO_LAYER_NORM_BACKWARD_gamma, CO_F64, vector(2));
  operand(&backward, true, CO_LAYER_NORM_BACKWARD_inverse, CO_F64, vector(2));
  operand(&backward, true, CO_LAYER_NORM_BACKWARD_dy, CO_F64, desc.in[0].shape);
  operand(&backward, false, CO_LAYER_NORM_BACKWARD_dx, CO_F64, desc.in[0].shape);
  operand(&backward, false, CO_LAYER_NORM_BACKWARD_dgamma, CO_F64, vector(2));
  assert_int_equal(
      co_ref_run(&backward, (void *[8]){x, gamma, NULL, inverse, dy}, (void *[8]){dx, dgamma}),
      CO_OK);
  const double slopes[4] = {0.25 * (4 - 0.25 * 0.5), 0.25 * (0 + 1.25 * 0.5), 0.5 * (8 - 0.5 * 4.5),
                            0.5 * (10 - 0.5 * 4.5)};
  for (int i = 0; i < 4; i++)
    near_to(dx[i], slopes[i]);
  near_to(dgamma[0], 1 * 0.25 + 2 * 0.5);
  near_to(dgamma[1], 0.5);
}

static void test_matmul(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_MATMUL, .has_out = 1};
  operand(&desc, true, CO_MATMUL_a, CO_F64, co_shape_make(3, (int64_t)2, (int64_t)1, (int64_t)2));
  operand(&desc, true, CO_MATMUL_b, CO_F64, co_shape_make(3, (int64_t)2, (int64_t)2, (int64_t)2));
  double a[4] = {1, 2, 3, -1}, b[8] = {5, 6, 7, 8, 1, 0, 2, 4}, y[4];
  run(&desc, (void *[8]){a, b}, (void *[8]){y});
  const double plain[4] = {19, 22, 1, -4}, turned[4] = {17, 23, 3, 2};
  for (int i = 0; i < 4; i++)
    near_to(y[i], plain[i]);
  desc.attr.transposed_b = 1;
  run(&desc, (void *[8]){a, b}, (void *[8]){y});
  for (int i = 0; i < 4; i++)
    near_to(y[i], turned[i]);
  // Of y = a b': da = dy b, db = dy' a.
  double dy[4] = {1, -1, 2, 0}, da[4], db[8];
  co_op_desc back = {.op = CO_OP_MATMUL_BACKWARD_A, .attr = desc.attr, .has_out = 1};
  operand(&back, true, CO_MATMUL_BACKWARD_A_dy, CO_F64, desc.in[0].shape);
  operand(&back, true, CO_MATMUL_BACKWARD_A_b, CO_F64, desc.in[1].shape);
  operand(&back, false, CO_MATMUL_BACKWARD_A_da, CO_F64, desc.in[0].shape);
  assert_int_equal(co_ref_run(&back, (void *[8]){dy, b}, (void *[8]){da}), CO_OK);
  const double of_a[4] = {-2, -2, 2, 0}, of_b[8] = {1, 2, -1, -2, 6, -2, 0, 0};
  for (int i = 0; i < 4; i++)
    near_to(da[i], of_a[i]);
  back = (co_op_desc){.op = CO_OP_MATMUL_BACKWARD_B, .attr = desc.attr, .has_out = 1};
  operand(&back, true, CO_MATMUL_BACKWARD_B_a, CO_F64, desc.in[0].shape);
  operand(&back, true, CO_MATMUL_BACKWARD_B_dy, CO_F64, desc.in[0].shape);
  operand(&back, false, CO_MATMUL_BACKWARD_B_db, CO_F64, desc.in[1].shape);
  assert_int_equal(co_ref_run(&back, (void *[8]){a, dy}, (void *[8]){db}), CO_OK);
  for (int i = 0; i < 8; i++)
    near_to(db[i], of_b[i]);
}

static void test_group_norm(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_LAYER_NORM, .attr = {.epsilon = 3, .groups = 2}, .has_out = 7};
  operand(&desc, true, CO_LAYER_NORM_x, CO_F64,
          co_shape_make(3, (int64_t)1, (int64_t)2, (int64_t)4));
  operand(&desc, true, CO_LAYER_NORM_gamma, CO_F64, vector(4));
  operand(&desc, true, CO_LAYER_NORM_beta, CO_F64, vector(4));
  // Group 0 is 5, 7, 7, 5: mean 6, variance 1; group 1 is 0, 0, 0, 4: mean 1, variance 3.
  const double root = sqrt(6);
  double x[8] = {5, 7, 0, 0, 7, 5, 0, 4}, gamma[4] = {4, 2, root, 1}, beta[4] = {1, 0, 0, 3};
  double y[8], mean[2], inverse[2];
  run(&desc, (void *[8]){x, gamma, beta}, (void *[8]){y, mean, inverse});
  const double want[8] = {-1, 1, -1, 3 - 1 / root, 3, -1, -1, 3 + 3 / root};
  for (int i = 0; i < 8; i++)
    near_to(y[i], want[i]);
  near_to(mean[0], 6);
  near_to(mean[1], 1);
  near_to(inverse[1], 1 / root);
}

static void test_scale_channels(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_SCALE_CHANNELS};
  operand(&desc, true, CO_SCALE_CHANNELS_x, CO_F64,
          co_shape_make(3, (int64_t)2, (int64_t)2, (int64_t)2));
  operand(&desc, true, CO_SCALE_CHANNELS_s, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, s[4] = {1, 10, -1, 0}, y[8], ds[4];
  run(&desc, (void *[8]){x, s}, (void *[8]){y});
  const double want[8] = {1, 20, 3, 40, -5, 0, -7, 0};
  for (int i = 0; i < 8; i++)
    near_to(y[i], want[i]);
  co_op_desc backward = {.op = CO_OP_SCALE_CHANNELS_BACKWARD};
  backward.in[0] = backward.in[1] = desc.in[0];
  backward.has_in = 3;
  operand(&backward, false, CO_SCALE_CHANNELS_BACKWARD_ds, CO_F64, desc.in[1].shape);
  const double dy[8] = {1, 0, 1, 1, 2, 0, 0, 3};
  assert_int_equal(co_ref_run(&backward, (void *[8]){x, (void *)dy}, (void *[8]){ds}), CO_OK);
  const double slopes[4] = {4, 4, 10, 24};
  for (int i = 0; i < 4; i++)
    near_to(ds[i], slopes[i]);
}

static void test_augmentation(void **state) {
  (void)state;
  enum { N = 64, W = 9 };
  static double x[N * W], y[N * W];
  int64_t ids[N];
  for (int i = 0; i < N * W; i++)
    x[i] = i;
  for (int n = 0; n < N; n++)
    ids[n] = 1000 + n;
  co_step step;
  memset(&step, 0, sizeof step);
  step.seed = 3;
  co_op_desc desc = {.op = CO_OP_FLIP};
  desc.attr.rate = 0.5;
  operand(&desc, true, 0, CO_F64, co_shape_make(4, (int64_t)N, (int64_t)1, (int64_t)W, (int64_t)1));
  operand(&desc, true, 1, CO_I64, vector(N));
  operand(&desc, true, 2, CO_U8, vector((int64_t)sizeof step));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, ids, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  int flipped = 0;
  for (int n = 0; n < N; n++) {
    bool mirrored = y[n * W] != x[n * W];
    flipped += mirrored;
    for (int w = 0; w < W; w++)
      near_to(y[n * W + w], x[n * W + (mirrored ? W - 1 - w : w)]);
  }
  assert_in_range(flipped, N / 4, 3 * N / 4);

  desc.op = CO_OP_SHIFTED_CROP;
  desc.attr.rate = 0;
  desc.attr.pad = 2;
  desc.attr.fill = -1;
  int seen[5] = {0}, gone = 0;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, ids, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  for (int n = 0; n < N; n++) {
    uint32_t bits = co_random_bits(3, (uint64_t)(2 * ids[n]), 0, 0);
    int down = (int)(((uint64_t)bits * 5) >> 32) - 2;
    if (down != 0) { // images of one row
      gone++;
      for (int w = 0; w < W; w++)
        near_to(y[n * W + w], -1);
      continue;
    }
    // A shift to the right by one has its first pixel vacated and then the old first.
    int right = 0;
    while (y[n * W + right] == -1)
      right++;
    if (right == 0) right = (int)(x[n * W] - y[n * W]);
    assert_in_range(right + 2, 0, 4);
    seen[right + 2]++;
  }
  assert_in_range(gone, N / 2, N - 1);
  assert_true(seen[0] + seen[1] + seen[3] + seen[4] > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_max_pool),       cmocka_unit_test(test_global_average_pool),
      cmocka_unit_test(test_upsample),       cmocka_unit_test(test_convolution_variants),
      cmocka_unit_test(test_windows),        cmocka_unit_test(test_augment),
      cmocka_unit_test(test_batch_norm),     cmocka_unit_test(test_fold_batch_norm),
      cmocka_unit_test(test_activations),    cmocka_unit_test(test_curves),
      cmocka_unit_test(test_layer_norm),     cmocka_unit_test(test_group_norm),
      cmocka_unit_test(test_rms_norm),       cmocka_unit_test(test_matmul),
      cmocka_unit_test(test_scale_channels), cmocka_unit_test(test_augmentation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
