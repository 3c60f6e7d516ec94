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

static void test_concat(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_CONCAT};
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)1));
  operand(&desc, true, 1, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  double a[2] = {1, 2}, b[4] = {3, 4, 5, 6}, y[6];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){a, b}, (void *[CO_OP_MAX_OPERANDS]){y});
  const double want[6] = {1, 3, 4, 2, 5, 6};
  for (int i = 0; i < 6; i++)
    near_to(y[i], want[i]);

  // Only the second gradient is wanted, and added.
  co_op_desc backward = {
      .op = CO_OP_CONCAT_BACKWARD, .attr = desc.attr, .has_out = 2, .accumulate = 2};
  operand(&backward, true, 0, CO_F64, desc.out[0].shape);
  operand(&backward, false, 1, CO_F64, desc.in[1].shape);
  double db[4] = {10, 20, 30, 40};
  assert_int_equal(co_ref_run(&backward, (void *[CO_OP_MAX_OPERANDS]){y},
                              (void *[CO_OP_MAX_OPERANDS]){NULL, db}),
                   CO_OK);
  near_to(db[0], 13);
  near_to(db[1], 24);
  near_to(db[2], 35);
  near_to(db[3], 46);

  // A third part, and of three the first and the last.
  operand(&desc, true, 2, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)1));
  double c[2] = {7, 8}, wide[8], da[2], dc[2];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){a, b, c}, (void *[CO_OP_MAX_OPERANDS]){wide});
  const double wide_want[8] = {1, 3, 4, 7, 2, 5, 6, 8};
  for (int i = 0; i < 8; i++)
    near_to(wide[i], wide_want[i]);
  backward = (co_op_desc){.op = CO_OP_CONCAT_BACKWARD,
                          .attr = desc.attr,
                          .has_out = 1u << CO_CONCAT_BACKWARD_da | 1u << CO_CONCAT_BACKWARD_dc};
  operand(&backward, true, 0, CO_F64, desc.out[0].shape);
  operand(&backward, false, CO_CONCAT_BACKWARD_da, CO_F64, desc.in[0].shape);
  operand(&backward, false, CO_CONCAT_BACKWARD_dc, CO_F64, desc.in[2].shape);
  assert_int_equal(co_ref_run(&backward, (void *[CO_OP_MAX_OPERANDS]){wide},
                              (void *[CO_OP_MAX_OPERANDS]){da, NULL, dc}),
                   CO_OK);
  near_to(da[0], 1);
  near_to(da[1], 2);
  near_to(dc[0], 7);
  near_to(dc[1], 8);
}

static void test_impute(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_IMPUTE, .has_out = 2};
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)3));
  operand(&desc, true, 1, CO_F64, vector(3));
  const double x[6] = {1, NAN, -0.0, NAN, INFINITY, NAN}, fill[3] = {10, 20, 30};
  double y[6], flags[6];
  run(&desc, (void *[8]){(void *)x, (void *)fill}, (void *[8]){y, flags});
  const double want[6] = {1, 20, -0.0, 10, INFINITY, 30}, missing[6] = {0, 1, 0, 1, 0, 1};
  assert_memory_equal(y, want, sizeof want);
  assert_memory_equal(flags, missing, sizeof missing);
}

static void test_piecewise_linear(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_PIECEWISE_LINEAR, .has_out = 1};
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)7, (int64_t)2));
  operand(&desc, true, 1, CO_F64, vector(8));
  const double edges[8] = {-1, 0, 4, 5, 2, INFINITY, INFINITY, INFINITY}; // 3 bins, and none
  const double x[14] = {-2, 1, -1, 2, -0.5, 3, 1, INFINITY, 4.25, -INFINITY, 5, NAN, NAN, 2};
  double y[14];
  run(&desc, (void *[8]){(void *)x, (void *)edges}, (void *[8]){y});
  const double want[14] = {0, 0, 0, 0, 0.5, 0, 1.25, 0, 2.25, 0, 3, NAN, NAN, 0};
  for (int i = 0; i < 14; i++)
    if (isnan(want[i]))
      assert_true(isnan(y[i]));
    else
      near_to(y[i], want[i]);
}

static void test_piecewise_dense(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_PIECEWISE_DENSE, .attr = {.activation = CO_ACTIVATION_RELU}};
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)4, (int64_t)1));
  operand(&desc, true, 1, CO_F64, co_shape_make(3, (int64_t)1, (int64_t)2, (int64_t)2));
  operand(&desc, true, 2, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)2));
  const double x[4] = {-1, 0.5, 1.25, 7}, w[4] = {10, -20, 4, 8}, b[2] = {1, 2};
  double y[8];
  run(&desc, (void *[8]){(void *)x, (void *)w, (void *)b}, (void *[8]){y});
  const double want[8] = {1, 2, 6, 0, 12, 0, 15, 0};
  for (int i = 0; i < 8; i++)
    near_to(y[i], want[i]);

  co_op_desc backward = {.op = CO_OP_PIECEWISE_DENSE_BACKWARD, .has_out = 7, .accumulate = 4};
  operand(&backward, true, 0, CO_F64, desc.in[0].shape);
  operand(&backward, true, 1, CO_F64, desc.in[1].shape);
  operand(&backward, true, 2, CO_F64, desc.out[0].shape);
  operand(&backward, false, 0, CO_F64, desc.in[0].shape);
  operand(&backward, false, 1, CO_F64, desc.in[1].shape);
  operand(&backward, false, 2, CO_F64, desc.in[2].shape);
  const double dy[8] = {1, 1, 2, 4, 8, 16, 32, 64};
  double dx[4], dw[4], db[2] = {100, 200};
  assert_int_equal(
      co_ref_run(&backward, (void *[8]){(void *)x, (void *)w, (void *)dy}, (void *[8]){dx, dw, db}),
      CO_OK);
  const double of_x[4] = {0, 20 - 80, 32 + 128, 0};
  const double of_w[4] = {1 + 8 + 32, 2 + 16 + 64, 2 + 32, 4 + 64};
  for (int i = 0; i < 4; i++) {
    near_to(dx[i], of_x[i]);
    near_to(dw[i], of_w[i]);
  }
  near_to(db[0], 143);
  near_to(db[1], 285);
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

static void test_factorization(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_FACTORIZATION, .has_out = 3};
  operand(&desc, true, 0, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)3));
  operand(&desc, true, 1, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)2));
  double x[3] = {1, 2, -1}, v[6] = {1, 2, 3, 0, 0, 5}, y, sums[2];
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, v}, (void *[CO_OP_MAX_OPERANDS]){&y, sums});
  near_to(sums[0], 1 + 6);
  near_to(sums[1], 2 - 5);
  near_to(y, 3 * (1 * 2) + 10 * (1 * -1) + 0); // <v0, v1> = 3, <v0, v2> = 10, <v1, v2> = 0
}

static void test_members(void **state) {
  (void)state;
  // Two rows, three members.
  co_op_desc scale = {.op = CO_OP_MEMBER_SCALE};
  operand(&scale, true, CO_MEMBER_SCALE_x, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)2));
  operand(&scale, true, CO_MEMBER_SCALE_r, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)2));
  double x[4] = {1, 2, 3, 4}, r[6] = {1, -1, 10, 0, -1, 2}, y[12];
  run(&scale, (void *[CO_OP_MAX_OPERANDS]){x, r}, (void *[CO_OP_MAX_OPERANDS]){y});
  const double scaled[12] = {1, -2, 10, 0, -1, 4, 3, -4, 30, 0, -3, 8};
  for (int i = 0; i < 12; i++)
    near_to(y[i], scaled[i]);

  co_op_desc dense = {.op = CO_OP_MEMBER_DENSE};
  operand(&dense, true, CO_MEMBER_DENSE_x, CO_F64, scale.out[0].shape);
  operand(&dense, true, CO_MEMBER_DENSE_w, CO_F64,
          co_shape_make(3, (int64_t)3, (int64_t)2, (int64_t)1));
  operand(&dense, true, CO_MEMBER_DENSE_b, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)1));
  double w[6] = {1, 1, 2, 0, 0, 3}, b[3] = {0, 5, 100}, z[6];
  run(&dense, (void *[CO_OP_MAX_OPERANDS]){y, w, b}, (void *[CO_OP_MAX_OPERANDS]){z});
  const double products[6] = {-1, 25, 112, -1, 65, 124};
  for (int i = 0; i < 6; i++)
    near_to(z[i], products[i]);

  co_op_desc mean = {.op = CO_OP_MEMBER_MEAN, .attr.members = 3};
  operand(&mean, true, 0, CO_F64, dense.out[0].shape);
  double means[2];
  run(&mean, (void *[CO_OP_MAX_OPERANDS]){z}, (void *[CO_OP_MAX_OPERANDS]){means});
  near_to(means[0], 136 / 3.0);
  mean.attr.link = CO_LINK_SIGMOID; // of 1/2, 3/4 and 1/4; of three certain ones
  double logits[6] = {0, log(3), -log(3), 1000, 1000, 1000};
  run(&mean, (void *[CO_OP_MAX_OPERANDS]){logits}, (void *[CO_OP_MAX_OPERANDS]){means});
  near_to(means[0], 0);
  near_to(means[1], 1000);
  mean.attr = (co_op_attr){.members = 2, .link = CO_LINK_SOFTMAX};
  mean.in[0].shape = co_shape_make(2, (int64_t)2, (int64_t)2);
  double classes[4] = {log(3), 0, 7, 7}, shares[2]; // 3/4, 1/4 and 1/2, 1/2
  run(&mean, (void *[CO_OP_MAX_OPERANDS]){classes}, (void *[CO_OP_MAX_OPERANDS]){shares});
  near_to(shares[0], log(0.625));
  near_to(shares[1], log(0.375));

  co_op_desc repeat = {.op = CO_OP_REPEAT, .attr = {.members = 2, .factor = 0.5}};
  operand(&repeat, true, 0, CO_F64, vector(2));
  double twice[4];
  run(&repeat, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){twice});
  const double wanted[4] = {0.5, 0.5, 1, 1};
  for (int i = 0; i < 4; i++)
    near_to(twice[i], wanted[i]);
}

static void test_dropout(void **state) {
  (void)state;
  enum { ROWS = 100, SIZE = 50 };
  static float x[ROWS * SIZE], whole[ROWS * SIZE], half[ROWS * SIZE / 2];
  static float together[ROWS * SIZE];
  for (int i = 0; i < ROWS * SIZE; i++)
    x[i] = 1;
  co_step step;
  memset(&step, 0, sizeof step);
  step.seed = 5;
  co_op_desc desc = {.op = CO_OP_DROPOUT};
  desc.attr.rate = 0.75;
  desc.attr.purpose = 9;
  operand(&desc, true, 0, CO_F32, co_shape_make(2, (int64_t)ROWS, (int64_t)SIZE));
  operand(&desc, true, 1, CO_U8, vector((int64_t)sizeof step));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){whole});
  double sum = 0;
  for (int i = 0; i < ROWS * SIZE; i++) {
    assert_true(whole[i] == 0 || whole[i] == 4);
    sum += (double)whole[i];
  }
  // 5000 draws: the mean is 1 with deviation 0.025.
  assert_true(fabs(sum / (ROWS * SIZE) - 1) < 0.1);
  // Rows and channels together.
  for (int draws = 1; draws <= 5; draws += 4) {
    desc.attr.draws = draws;
    run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){together});
    for (int i = 0; i < ROWS * SIZE; i++)
      assert_true(together[i] == together[i / SIZE * SIZE + i % draws]);
    assert_memory_not_equal(together, together + SIZE, 20 * SIZE * sizeof *together);
  }
  desc.attr.draws = 0;
  // A micro-batch of the second half of the rows draws what the whole batch draws.
  step.row_offset = ROWS / 2;
  desc.in[0].shape.dim[0] = ROWS / 2;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){half});
  assert_memory_equal(half, whole + ROWS * SIZE / 2, sizeof half);
}

// Values keep their column, a share of them leaves its row; a micro-batch swaps within itself.
static void test_mix_rows(void **state) {
  (void)state;
  enum { ROWS = 500, H = 8, W = 6, SIZE = H * W };
  static double x[ROWS * SIZE], y[ROWS * SIZE];
  co_step step = {.seed = 5, .step = 3};
  // Rows of 0 or 1: in expectation an image keeps E[s²] + E[(1 - s)²] of itself, 2/3 of a uniform share,
  // 2 (a + 1) / (4 a + 2) of Beta(a, a).
  for (int i = 0; i < ROWS * SIZE; i++)
    x[i] = i / SIZE % 2;
  for (int kind = 0; kind < 3; kind++) {
    co_op_desc desc = {.op = CO_OP_MIX_ROWS, .attr = {.purpose = 9}};
    desc.attr.mixup = kind == 0 ? 1 : kind == 1 ? 0.1 : 0;
    desc.attr.cutmix = kind == 2 ? 1 : 0;
    operand(&desc, true, 0, CO_F64,
            co_shape_make(4, (int64_t)ROWS, (int64_t)H, (int64_t)W, (int64_t)1));
    operand(&desc, true, 1, CO_U8, vector((int64_t)sizeof step));
    run(&desc, (void *[8]){x, &step}, (void *[8]){y});
    double kept = 0;
    for (int n = 0; n < ROWS; n++) {
      double same = 0;
      for (int i = n * SIZE; i < (n + 1) * SIZE; i++) {
        assert_true(y[i] >= 0 && y[i] <= 1 && (kind < 2 || y[i] == 0 || y[i] == 1));
        assert_true(kind == 2 || y[i] == y[n * SIZE]);
        same += 1 - fabs(y[i] - x[i]);
      }
      kept += same / SIZE / ROWS;
    }
    // The other is of the same kind half of the time: 1 - (1 - kept) / 2.
    const double want[] = {0.8333, 0.9583, 0.8547};
    assert_true(fabs(kept - want[kind]) < 0.03);
  }
}

static void test_swap_noise(void **state) {
  (void)state;
  enum { ROWS = 400, SIZE = 3 };
  static int32_t x[ROWS * SIZE], y[ROWS * SIZE], again[ROWS * SIZE];
  for (int i = 0; i < ROWS * SIZE; i++)
    x[i] = i;
  co_step step = {.seed = 5, .step = 3};
  co_op_desc desc = {.op = CO_OP_SWAP_NOISE, .attr = {.rate = 0.25, .purpose = 9}};
  operand(&desc, true, 0, CO_I32, co_shape_make(2, (int64_t)ROWS, (int64_t)SIZE));
  operand(&desc, true, 1, CO_U8, vector((int64_t)sizeof step));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  int swapped = 0, high = 0;
  for (int i = 0; i < ROWS * SIZE; i++) {
    assert_in_range(y[i], 0, ROWS * SIZE - 1);
    assert_int_equal(y[i] % SIZE, i % SIZE);
    swapped += y[i] != i;
    high += y[i] != i && y[i] >= ROWS * SIZE / 2;
  }
  assert_in_range(swapped, 240, 360); // of 1200 draws 299, with a deviation of 15
  assert_in_range(high, swapped / 2 - 40, swapped / 2 + 40);
  step.step = 4;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){again});
  assert_memory_not_equal(y, again, sizeof y);
  step.row_offset = 100; // other draws than those of the batch's first rows
  desc.in[0].shape.dim[0] = 10;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){y});
  assert_memory_not_equal(y, again, 10 * SIZE * sizeof *y);
  for (int i = 0; i < 10 * SIZE; i++)
    assert_in_range(y[i], 0, 10 * SIZE - 1);
}

// An eighth of a turn, and a quarter.
static void test_periodic(void **state) {
  (void)state;
  double x[1] = {0.5}, w[2] = {0.25, 0.5}, y[4], dy[4] = {1, 2, 3, 4}, dx[1], dw[2];
  const double half = sqrt(0.5), turn = 8 * atan(1);
  co_op_desc desc = {.op = CO_OP_PERIODIC};
  operand(&desc, true, CO_PERIODIC_x, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)1));
  operand(&desc, true, CO_PERIODIC_w, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)2));
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, w}, (void *[CO_OP_MAX_OPERANDS]){y});
  const double waves[4] = {half, 1, half, 0};
  for (int i = 0; i < 4; i++)
    near_to(y[i], waves[i]);
  desc.op = CO_OP_PERIODIC_BACKWARD;
  operand(&desc, true, CO_PERIODIC_BACKWARD_dy, CO_F64, desc.out[0].shape);
  operand(&desc, false, 0, CO_F64, desc.in[0].shape);
  operand(&desc, false, 1, CO_F64, desc.in[1].shape);
  desc.has_out = 3;
  assert_int_equal(co_ref_run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, w, dy},
                              (void *[CO_OP_MAX_OPERANDS]){dx, dw}),
                   CO_OK);
  const double slopes[2] = {1 * half - 3 * half, -4};
  near_to(dw[0], turn * 0.5 * slopes[0]);
  near_to(dw[1], turn * 0.5 * slopes[1]);
  near_to(dx[0], turn * (0.25 * slopes[0] + 0.5 * slopes[1]));
}

// Of deviation 2 and mean 1.5; of the standard normal itself.
static void test_normal(void **state) {
  (void)state;
  double mean[2] = {1.5, 0}, log_variance[2] = {2 * log(2), 0}, noise[2] = {-0.5, 3}, y[2];
  double dy[2] = {10, 2}, dmean[2], dlog_variance[2];
  const co_shape shape = co_shape_make(2, (int64_t)1, (int64_t)2);
  co_op_desc desc = {.op = CO_OP_SAMPLE_NORMAL};
  for (int i = 0; i < 3; i++)
    operand(&desc, true, i, CO_F64, shape);
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){mean, log_variance, noise},
      (void *[CO_OP_MAX_OPERANDS]){y});
  near_to(y[0], 0.5);
  near_to(y[1], 3);
  desc = (co_op_desc){.op = CO_OP_SAMPLE_NORMAL_BACKWARD, .has_out = 1};
  for (int i = 0; i < 3; i++)
    operand(&desc, true, i, CO_F64, shape);
  operand(&desc, false, 0, CO_F64, shape);
  assert_int_equal(co_ref_run(&desc, (void *[CO_OP_MAX_OPERANDS]){log_variance, noise, dy},
                              (void *[CO_OP_MAX_OPERANDS]){dlog_variance}),
                   CO_OK);
  near_to(dlog_variance[0], -5);
  near_to(dlog_variance[1], 3);

  desc = (co_op_desc){.op = CO_OP_KL_NORMAL};
  operand(&desc, true, 0, CO_F64, shape);
  operand(&desc, true, 1, CO_F64, shape);
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){mean, log_variance}, (void *[CO_OP_MAX_OPERANDS]){y});
  near_to(y[0], (2.25 + 4 - 1) / 2 - log(2));
  near_to(y[1], 0);
  desc = (co_op_desc){.op = CO_OP_KL_NORMAL_BACKWARD, .has_out = 3};
  for (int i = 0; i < 3; i++)
    operand(&desc, true, i, CO_F64, shape);
  operand(&desc, false, 0, CO_F64, shape);
  operand(&desc, false, 1, CO_F64, shape);
  assert_int_equal(co_ref_run(&desc, (void *[CO_OP_MAX_OPERANDS]){mean, log_variance, dy},
                              (void *[CO_OP_MAX_OPERANDS]){dmean, dlog_variance}),
                   CO_OK);
  near_to(dmean[0], 15);
  near_to(dlog_variance[0], 15);
  near_to(dmean[1], 0);
  near_to(dlog_variance[1], 0);
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
      cmocka_unit_test(test_max_pool),        cmocka_unit_test(test_global_average_pool),
      cmocka_unit_test(test_upsample),        cmocka_unit_test(test_convolution_variants),
      cmocka_unit_test(test_windows),         cmocka_unit_test(test_augment),
      cmocka_unit_test(test_batch_norm),      cmocka_unit_test(test_concat),
      cmocka_unit_test(test_impute),          cmocka_unit_test(test_piecewise_linear),
      cmocka_unit_test(test_piecewise_dense), cmocka_unit_test(test_activations),
      cmocka_unit_test(test_curves),          cmocka_unit_test(test_layer_norm),
      cmocka_unit_test(test_group_norm),      cmocka_unit_test(test_mix_rows),
      cmocka_unit_test(test_scale_channels),  cmocka_unit_test(test_factorization),
      cmocka_unit_test(test_members),         cmocka_unit_test(test_dropout),
      cmocka_unit_test(test_swap_noise),      cmocka_unit_test(test_periodic),
      cmocka_unit_test(test_augmentation),    cmocka_unit_test(test_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
