// SPDX-License-Identifier: Apache-2.0
// The reference of what tables are made of, and of what is drawn (dropout, mixing, noise), against values
// worked out by hand.
#include <stdlib.h>

#include "tests/unit/reference_run.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_concat),           cmocka_unit_test(test_impute),
      cmocka_unit_test(test_piecewise_linear), cmocka_unit_test(test_piecewise_dense),
      cmocka_unit_test(test_factorization),    cmocka_unit_test(test_members),
      cmocka_unit_test(test_dropout),          cmocka_unit_test(test_mix_rows),
      cmocka_unit_test(test_swap_noise),       cmocka_unit_test(test_periodic),
      cmocka_unit_test(test_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
