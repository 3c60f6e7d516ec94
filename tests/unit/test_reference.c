// SPDX-License-Identifier: Apache-2.0
// The reference against values worked out by hand: what finite differences do not see (optimizers,
// running statistics, ties, random draws, metrics).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/core/rng.h"
#include "kernels/ref/ref.h"

static void operand(co_op_desc *desc, bool input, int i, co_dtype dtype, co_shape shape) {
  co_tensor_desc *tensor = input ? &desc->in[i] : &desc->out[i];
  tensor->dtype = dtype;
  tensor->shape = shape;
  if (input) desc->has_in |= 1u << i;
}

static co_shape vector(int64_t n) {
  return co_shape_make(1, n);
}

static void run(co_op_desc *desc, void *const *in, void *const *out) {
  assert_int_equal(co_op_infer(desc), CO_OK);
  co_op_choice choice;
  assert_int_equal(co_ref_query(desc, &choice), CO_OK);
  assert_int_equal(co_ref_run(desc, in, out), CO_OK);
}

static void near_to(double got, double want) {
  if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) fail_msg("%.17g, not %.17g", got, want);
}

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

static void test_lookup(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_LOOKUP};
  operand(&desc, true, 0, CO_I32, co_shape_make(2, (int64_t)3, (int64_t)2));
  operand(&desc, true, 1, CO_I32, vector(3));
  // Missing, the first two codes, one that fitting has not seen, and what no code can be.
  const int32_t x[6] = {-1, 0, 1, 2, INT32_MAX, INT32_MIN}, map[3] = {9, 4, 7};
  int32_t y[6];
  run(&desc, (void *[8]){(void *)x, (void *)map}, (void *[8]){y});
  const int32_t want[6] = {9, 4, 7, 9, 9, 9};
  assert_memory_equal(y, want, sizeof want);
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

static void test_embedding(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_EMBEDDING};
  operand(&desc, true, 0, CO_I32, co_shape_make(2, (int64_t)2, (int64_t)3));
  operand(&desc, true, 1, CO_F64, co_shape_make(2, (int64_t)3, (int64_t)2));
  const int32_t index[6] = {2, 0, 2, 3, -1, 2};
  const double table[6] = {1, 2, 3, 4, 5, 6};
  double y[12];
  run(&desc, (void *[8]){(void *)index, (void *)table}, (void *[8]){y});
  const double want[12] = {5, 6, 1, 2, 5, 6, NAN, NAN, NAN, NAN, 5, 6};
  for (int i = 0; i < 12; i++)
    if (isnan(want[i]))
      assert_true(isnan(y[i]));
    else
      near_to(y[i], want[i]);

  co_op_desc backward = {.op = CO_OP_EMBEDDING_BACKWARD, .has_out = 1, .accumulate = 1};
  operand(&backward, true, 0, CO_I32, desc.in[0].shape);
  operand(&backward, true, 1, CO_F64, desc.out[0].shape);
  operand(&backward, false, 0, CO_F64, desc.in[1].shape);
  const double dy[12] = {1, 10, 2, 20, 4, 40, NAN, NAN, NAN, NAN, 8, 80};
  double dtable[6] = {100, 0, 7, 9, 0, 0};
  assert_int_equal(
      co_ref_run(&backward, (void *[8]){(void *)index, (void *)dy}, (void *[8]){dtable}), CO_OK);
  const double gradient[6] = {102, 20, 7, 9, 13, 130};
  for (int i = 0; i < 6; i++)
    near_to(dtable[i], gradient[i]);
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

static void test_dropout(void **state) {
  (void)state;
  enum { ROWS = 100, SIZE = 50 };
  static float x[ROWS * SIZE], whole[ROWS * SIZE], half[ROWS * SIZE / 2];
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
  // A micro-batch of the second half of the rows draws what the whole batch draws.
  step.row_offset = ROWS / 2;
  desc.in[0].shape.dim[0] = ROWS / 2;
  run(&desc, (void *[CO_OP_MAX_OPERANDS]){x, &step}, (void *[CO_OP_MAX_OPERANDS]){half});
  assert_memory_equal(half, whole + ROWS * SIZE / 2, sizeof half);
}

// Values keep their column, a share of them leaves its row; a micro-batch swaps within itself.
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

// Over events a mask is that of the longest sequence, cut.
static void test_dropout_over_events(void **state) {
  (void)state;
  enum { N = 40, SHORT = 3, LONG = 11, C = 5 };
  static float x[N * LONG * C], cut[N * SHORT * C], whole[N * LONG * C];
  for (int i = 0; i < N * LONG * C; i++)
    x[i] = 1;
  co_step step = {.seed = 5, .step = 3, .row_offset = 7};
  co_op_desc desc = {.op = CO_OP_DROPOUT, .attr = {.rate = 0.5, .purpose = 9, .max_length = LONG}};
  operand(&desc, true, 0, CO_F32, co_shape_make(3, (int64_t)N, (int64_t)LONG, (int64_t)C));
  operand(&desc, true, 1, CO_U8, vector((int64_t)sizeof step));
  run(&desc, (void *[16]){x, &step}, (void *[16]){whole});
  desc.in[0].shape.dim[1] = SHORT;
  run(&desc, (void *[16]){x, &step}, (void *[16]){cut});
  for (int n = 0; n < N; n++)
    assert_memory_equal(&cut[n * SHORT * C], &whole[n * LONG * C], SHORT * C * sizeof *cut);
}

static void test_gather_events(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_GATHER_EVENTS, .attr = {.shape = {1, {3}}}};
  operand(&desc, true, 0, CO_I32, co_shape_make(2, (int64_t)5, (int64_t)2));
  operand(&desc, true, 1, CO_I64, vector(3));
  operand(&desc, true, 2, CO_I32, vector(3));
  int32_t table[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, lengths[3] = {2, 0, 3}, y[18];
  int64_t begin[3] = {3, 5, 0};
  run(&desc, (void *[16]){table, begin, lengths}, (void *[16]){y});
  const int32_t want[18] = {7, 8, 9, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6};
  assert_memory_equal(y, want, sizeof want);
}

// One unit whose gates i, f and o stand half open and whose cell takes tanh(x); rows of two events,
// of one and of none. What lies beyond a row's length is not read.
static void test_lstm(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_RECURRENT, .has_out = 2};
  operand(&desc, true, CO_RECURRENT_x, CO_F64,
          co_shape_make(3, (int64_t)3, (int64_t)2, (int64_t)1));
  operand(&desc, true, CO_RECURRENT_lengths, CO_I32, vector(3));
  operand(&desc, true, CO_RECURRENT_kernel, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)4));
  operand(&desc, true, CO_RECURRENT_recurrent, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)4));
  operand(&desc, true, CO_RECURRENT_bias, CO_F64, vector(4));
  double x[6] = {1, -1, 1, (double)NAN, (double)NAN, (double)NAN};
  double kernel[4] = {0, 0, 1, 0}, recurrent[4] = {0, 0, 0, 0}, bias[4] = {0, 0, 0, 0};
  double last[3], y[6];
  int32_t lengths[3] = {2, 1, 0};
  run(&desc, (void *[16]){x, lengths, kernel, recurrent, bias}, (void *[16]){last, y});
  const double once = 0.5 * tanh(0.5 * tanh(1)), twice = 0.5 * tanh(-0.25 * tanh(1));
  const double want[6] = {once, twice, once, 0, 0, 0};
  for (int i = 0; i < 6; i++)
    near_to(y[i], want[i]);
  near_to(last[0], twice);
  near_to(last[1], once);
  near_to(last[2], 0);
  // The gates one by one: i = o = 1 lets the cell through, f = 1 keeps it, h comes back by recurrent.
  bias[0] = bias[1] = bias[3] = 1000;
  recurrent[2] = 2;
  run(&desc, (void *[16]){x, lengths, kernel, recurrent, bias}, (void *[16]){last, y});
  near_to(y[0], tanh(tanh(1)));
  near_to(y[1], tanh(tanh(1) + tanh(-1 + 2 * tanh(tanh(1)))));
  bias[1] = -1000; // forgets
  run(&desc, (void *[16]){x, lengths, kernel, recurrent, bias}, (void *[16]){last, y});
  near_to(y[1], tanh(tanh(-1 + 2 * tanh(tanh(1)))));
}

// One unit of GRU: z keeps the state, r lets it into what is new, whose own bias stands behind r.
// Gone through backwards, the second event comes first.
static void test_gru(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_RECURRENT, .has_out = 2, .attr.cell = CO_CELL_GRU};
  operand(&desc, true, CO_RECURRENT_x, CO_F64,
          co_shape_make(3, (int64_t)2, (int64_t)2, (int64_t)1));
  operand(&desc, true, CO_RECURRENT_lengths, CO_I32, vector(2));
  operand(&desc, true, CO_RECURRENT_kernel, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)3));
  operand(&desc, true, CO_RECURRENT_recurrent, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)3));
  operand(&desc, true, CO_RECURRENT_bias, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)3));
  double x[4] = {1, -1, 2, (double)NAN}, kernel[3] = {0, 0, 1}, recurrent[3] = {0, 0, 4};
  double bias[6] = {0, 0, 0, 0, 0, 3}, last[2], y[4];
  int32_t lengths[2] = {2, 1};
  run(&desc, (void *[16]){x, lengths, kernel, recurrent, bias}, (void *[16]){last, y});
  const double first = 0.5 * tanh(1 + 0.5 * 3);
  const double second = 0.5 * first + 0.5 * tanh(-1 + 0.5 * (4 * first + 3));
  const double want[4] = {first, second, 0.5 * tanh(2 + 0.5 * 3), 0};
  for (int i = 0; i < 4; i++)
    near_to(y[i], want[i]);
  near_to(last[0], second);
  near_to(last[1], want[2]);
  bias[3] = -1000; // z: nothing is kept
  bias[4] = 1000;  // r: all of the state comes in
  desc.attr.reverse = 1;
  run(&desc, (void *[16]){x, lengths, kernel, recurrent, bias}, (void *[16]){last, y});
  near_to(y[1], tanh(-1 + 3));
  near_to(y[0], tanh(1 + 4 * y[1] + 3));
  near_to(last[0], y[0]);
}

static void test_simple_rnn(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_RECURRENT, .has_out = 2, .attr.cell = CO_CELL_SIMPLE_RNN};
  operand(&desc, true, CO_RECURRENT_x, CO_F64,
          co_shape_make(3, (int64_t)1, (int64_t)2, (int64_t)1));
  operand(&desc, true, CO_RECURRENT_lengths, CO_I32, vector(1));
  operand(&desc, true, CO_RECURRENT_kernel, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)1));
  operand(&desc, true, CO_RECURRENT_recurrent, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)1));
  operand(&desc, true, CO_RECURRENT_bias, CO_F64, vector(1));
  double x[2] = {1, -2}, kernel[1] = {3}, recurrent[1] = {5}, bias[1] = {0.5}, last[1], y[2];
  int32_t lengths[1] = {2};
  run(&desc, (void *[16]){x, lengths, kernel, recurrent, bias}, (void *[16]){last, y});
  near_to(y[0], tanh(3.5));
  near_to(y[1], tanh(-5.5 + 5 * tanh(3.5)));
  near_to(last[0], y[1]);
}

// Scores 0 and ln 3 by the keys, or by the bias; the second row's only event sees itself alone.
static void test_attention(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_ATTENTION, .has_out = 3, .attr.heads = 1};
  for (int i = 0; i < 3; i++)
    operand(&desc, true, i, CO_F64, co_shape_make(3, (int64_t)2, (int64_t)2, (int64_t)1));
  operand(&desc, true, CO_ATTENTION_lengths, CO_I32, vector(2));
  double q[4] = {1, 0, 5, (double)NAN}, k[4] = {0, log(3), 7, (double)NAN};
  double v[4] = {10, 20, 30, (double)NAN}, y[4], logsum[4], bias[2] = {log(3), 0};
  int32_t lengths[2] = {2, 1};
  run(&desc, (void *[16]){q, k, v, lengths}, (void *[16]){y, logsum});
  const double want[4] = {17.5, 15, 30, 0}, total[4] = {log(4), log(2), 35, 0};
  for (int i = 0; i < 4; i++) {
    near_to(y[i], want[i]);
    near_to(logsum[i], total[i]);
  }
  desc.attr.causal = 1;
  operand(&desc, true, CO_ATTENTION_bias, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)2));
  run(&desc, (void *[16]){q, k, v, lengths, bias}, (void *[16]){y, logsum});
  near_to(y[0], 10); // what follows is not seen
  near_to(y[1], 17.5);
}

static void test_pool_events(void **state) {
  (void)state;
  const double want[3][2] = {{2, 0}, {3, 0}, {1.5, 0}};
  for (int64_t pooling = CO_POOL_LAST; pooling <= CO_POOL_MEAN; pooling++) {
    co_op_desc desc = {.op = CO_OP_POOL_EVENTS, .has_out = 1, .attr.pooling = pooling};
    operand(&desc, true, 0, CO_F64, co_shape_make(3, (int64_t)2, (int64_t)3, (int64_t)1));
    operand(&desc, true, 1, CO_I32, vector(2));
    double x[6] = {1, 2, (double)NAN, (double)NAN, (double)NAN, (double)NAN}, y[2];
    int32_t lengths[2] = {2, 0};
    run(&desc, (void *[16]){x, lengths}, (void *[16]){y});
    near_to(y[0], want[pooling][0]);
    near_to(y[1], want[pooling][1]);
  }
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
      cmocka_unit_test(test_max_pool),
      cmocka_unit_test(test_global_average_pool),
      cmocka_unit_test(test_upsample),
      cmocka_unit_test(test_batch_norm),
      cmocka_unit_test(test_concat),
      cmocka_unit_test(test_losses),
      cmocka_unit_test(test_sgd),
      cmocka_unit_test(test_adam),
      cmocka_unit_test(test_rmsprop),
      cmocka_unit_test(test_gate),
      cmocka_unit_test(test_dropout_over_events),
      cmocka_unit_test(test_swap_noise),
      cmocka_unit_test(test_column_loss),
      cmocka_unit_test(test_row_means),
      cmocka_unit_test(test_periodic),
      cmocka_unit_test(test_gather_events),
      cmocka_unit_test(test_lstm),
      cmocka_unit_test(test_gru),
      cmocka_unit_test(test_simple_rnn),
      cmocka_unit_test(test_attention),
      cmocka_unit_test(test_pool_events),
      cmocka_unit_test(test_dropout),
      cmocka_unit_test(test_augmentation),
      cmocka_unit_test(test_lookup),
      cmocka_unit_test(test_impute),
      cmocka_unit_test(test_embedding),
      cmocka_unit_test(test_activations),
      cmocka_unit_test(test_curves),
      cmocka_unit_test(test_members),
      cmocka_unit_test(test_factorization),
      cmocka_unit_test(test_pointwise_losses),
      cmocka_unit_test(test_piecewise_linear),
      cmocka_unit_test(test_piecewise_dense),
      cmocka_unit_test(test_ema),
      cmocka_unit_test(test_layer_norm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
