// SPDX-License-Identifier: Apache-2.0
// The reference on events and codes against values worked out by hand.
#include "tests/unit/reference_run.h"

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

// A share of the indices becomes 0, over events the same however far they are padded.
static void test_index_dropout(void **state) {
  (void)state;
  enum { N = 400, SHORT = 2, LONG = 3 };
  static int32_t x[N * LONG], cut[N * SHORT], whole[N * LONG], again[N * LONG];
  for (int i = 0; i < N * LONG; i++)
    x[i] = i + 1;
  co_step step = {.seed = 5, .step = 3, .row_offset = 7};
  co_op_desc desc = {.op = CO_OP_INDEX_DROPOUT,
                     .attr = {.rate = 0.25, .purpose = 9, .max_length = LONG}};
  operand(&desc, true, 0, CO_I32, co_shape_make(2, (int64_t)N, (int64_t)LONG));
  operand(&desc, true, 1, CO_U8, vector((int64_t)sizeof step));
  run(&desc, (void *[16]){x, &step}, (void *[16]){whole});
  int dropped = 0;
  for (int i = 0; i < N * LONG; i++) {
    assert_true(whole[i] == 0 || whole[i] == x[i]);
    dropped += whole[i] == 0;
  }
  assert_in_range(dropped, 240, 360); // of 1200 draws 300, with a deviation of 15
  for (int n = 0; n < N; n++)
    for (int t = 0; t < SHORT; t++)
      x[n * SHORT + t] = n * LONG + t + 1;
  desc.in[0].shape.dim[1] = SHORT;
  run(&desc, (void *[16]){x, &step}, (void *[16]){cut});
  for (int n = 0; n < N; n++)
    assert_memory_equal(&cut[n * SHORT], &whole[n * LONG], SHORT * sizeof *cut);
  step.row_offset = 8; // the same draws, a row on
  for (int i = 0; i < N * SHORT; i++)
    x[i] = 1;
  run(&desc, (void *[16]){x, &step}, (void *[16]){again});
  for (int n = 0; n + 1 < N; n++)
    for (int t = 0; t < SHORT; t++)
      assert_int_equal(again[n * SHORT + t], cut[(n + 1) * SHORT + t] != 0);
  desc.attr.draws = -1; // the same draws in each micro-batch
  run(&desc, (void *[16]){x, &step}, (void *[16]){again});
  step.row_offset = 0;
  run(&desc, (void *[16]){x, &step}, (void *[16]){cut});
  assert_memory_equal(again, cut, sizeof cut);
  desc.attr.draws = 0;
  run(&desc, (void *[16]){x, &step}, (void *[16]){again});
  assert_memory_equal(again, cut, sizeof cut);
}

// Rows by codes.
static void test_gather(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_GATHER};
  operand(&desc, true, CO_GATHER_table, CO_U8, co_shape_make(2, (int64_t)3, (int64_t)2));
  operand(&desc, true, CO_GATHER_index, CO_I32, vector(4));
  uint8_t table[6] = {1, 2, 3, 4, 5, 6}, y[8];
  int32_t index[4] = {2, 0, 0, 1};
  run(&desc, (void *[16]){table, index}, (void *[16]){y});
  const uint8_t want[8] = {5, 6, 1, 2, 1, 2, 3, 4};
  assert_memory_equal(y, want, sizeof want);
  desc.in[CO_GATHER_index].dtype = CO_F32;
  assert_int_not_equal(co_op_infer(&desc), CO_OK); // no rows by reals
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

static void test_reverse_events(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_REVERSE_EVENTS};
  operand(&desc, true, CO_REVERSE_EVENTS_x, CO_F64,
          co_shape_make(3, (int64_t)2, (int64_t)3, (int64_t)1));
  double x[6] = {1, 2, 3, 4, 5, 6}, y[6];
  int32_t lengths[2] = {2, 7}; // of more than T as T
  run(&desc, (void *[16]){x}, (void *[16]){y});
  const double whole[6] = {3, 2, 1, 6, 5, 4}, cut[6] = {2, 1, 0, 6, 5, 4};
  for (int i = 0; i < 6; i++)
    near_to(y[i], whole[i]);
  operand(&desc, true, CO_REVERSE_EVENTS_lengths, CO_I32, vector(2));
  run(&desc, (void *[16]){x, lengths}, (void *[16]){y});
  for (int i = 0; i < 6; i++)
    near_to(y[i], cut[i]);
}

// Two scores a row, over rows of two, of one and of none: what is no score is not read, nor its gradient.
static void test_masked_softmax(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_MASKED_SOFTMAX};
  co_op_desc back = {.op = CO_OP_MASKED_SOFTMAX_BACKWARD, .has_out = 1};
  const co_shape shape = co_shape_make(2, (int64_t)3, (int64_t)2);
  const double ln3 = 1.0986122886681098;
  double x[6] = {1 + ln3, 1, 5, (double)NAN, (double)NAN, (double)NAN}, y[6], dx[6];
  double dy[6] = {4, 8, 7, (double)NAN, (double)NAN, (double)NAN};
  int32_t lengths[3] = {2, 1, 0};
  operand(&desc, true, CO_MASKED_SOFTMAX_x, CO_F64, shape);
  operand(&desc, true, CO_MASKED_SOFTMAX_lengths, CO_I32, vector(3));
  run(&desc, (void *[16]){x, lengths}, (void *[16]){y});
  const double want[6] = {0.75, 0.25, 1, 0, 0, 0};
  for (int i = 0; i < 6; i++)
    near_to(y[i], want[i]);
  operand(&back, true, CO_MASKED_SOFTMAX_BACKWARD_y, CO_F64, shape);
  operand(&back, true, CO_MASKED_SOFTMAX_BACKWARD_dy, CO_F64, shape);
  operand(&back, true, CO_MASKED_SOFTMAX_BACKWARD_lengths, CO_I32, vector(3));
  operand(&back, false, CO_MASKED_SOFTMAX_BACKWARD_dx, CO_F64, shape);
  // the mean of 4 and 8 is 5
  assert_int_equal(co_ref_run(&back, (void *[16]){y, dy, lengths}, (void *[16]){dx}), CO_OK);
  const double slopes[6] = {-0.75, 0.75, 0, 0, 0, 0};
  for (int i = 0; i < 6; i++)
    near_to(dx[i], slopes[i]);
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

// Negative ones, too; an event beyond the length is not read.
static void test_max_events(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_MAX_EVENTS, .has_out = 1};
  operand(&desc, true, 0, CO_F64, co_shape_make(3, (int64_t)2, (int64_t)3, (int64_t)1));
  operand(&desc, true, 1, CO_I32, vector(2));
  double x[6] = {-3, -2, 9, (double)NAN, (double)NAN, (double)NAN}, y[2];
  int32_t lengths[2] = {2, 0};
  run(&desc, (void *[16]){x, lengths}, (void *[16]){y});
  near_to(y[0], -2);
  near_to(y[1], 0);
}

// Each event beside the one two before it: dilation 2, causal.
static void test_unfold_events(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_UNFOLD_EVENTS,
                     .has_out = 1,
                     .attr = {.kernel = {2}, .dilation = {2}, .pad_begin = {2}}};
  operand(&desc, true, 0, CO_F64, co_shape_make(3, (int64_t)1, (int64_t)4, (int64_t)1));
  operand(&desc, true, 1, CO_I32, vector(1));
  double x[4] = {1, 2, 3, (double)NAN}, y[8];
  int32_t lengths[1] = {3};
  const double want[8] = {0, 1, 0, 2, 1, 3, 0, 0};
  run(&desc, (void *[16]){x, lengths}, (void *[16]){y});
  for (int i = 0; i < 8; i++)
    near_to(y[i], want[i]);
}

// The first of equals, of what is allowed; where nothing is, the first.
static void test_arg_max(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_ARG_MAX};
  const double x[8] = {7, 2, 5, 5, -9, -(double)INFINITY, -(double)INFINITY, -(double)INFINITY};
  uint8_t allowed[4] = {0, 1, 1, 1};
  int32_t y[2];
  operand(&desc, true, CO_ARG_MAX_x, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)4));
  run(&desc, (void *[8]){(void *)x}, (void *[8]){y});
  assert_true(y[0] == 0 && y[1] == 0);
  operand(&desc, true, CO_ARG_MAX_allowed, CO_U8, vector(4));
  run(&desc, (void *[8]){(void *)x, allowed}, (void *[8]){y});
  assert_true(y[0] == 2 && y[1] == 1);
  memset(allowed, 0, sizeof allowed);
  run(&desc, (void *[8]){(void *)x, allowed}, (void *[8]){y});
  assert_true(y[0] == 0 && y[1] == 0);
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

// A further table of another shape, with fewer positions.
static void test_tables(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_EMBEDDING};
  operand(&desc, true, CO_EMBEDDING_index, CO_I32, vector(3));
  operand(&desc, true, CO_EMBEDDING_table, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)1));
  operand(&desc, true, CO_EMBEDDING_index2, CO_I32, vector(2));
  operand(&desc, true, CO_EMBEDDING_table2, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)2));
  const int32_t index[3] = {1, 0, 1}, index2[2] = {0, 0};
  const double table[2] = {1, 2}, table2[2] = {3, 4};
  double y[3], y2[4];
  run(&desc, (void *[16]){(void *)index, (void *)table, (void *)index2, (void *)table2},
      (void *[16]){y, y2});
  assert_memory_equal(y, ((double[]){2, 1, 2}), sizeof y);
  assert_memory_equal(y2, ((double[]){3, 4, 3, 4}), sizeof y2);

  co_op_desc backward = {.op = CO_OP_EMBEDDING_BACKWARD, .has_out = 3, .accumulate = 2};
  operand(&backward, true, CO_EMBEDDING_BACKWARD_index, CO_I32, vector(3));
  operand(&backward, true, CO_EMBEDDING_BACKWARD_dy, CO_F64, desc.out[0].shape);
  operand(&backward, true, CO_EMBEDDING_BACKWARD_index2, CO_I32, vector(2));
  operand(&backward, true, CO_EMBEDDING_BACKWARD_dy2, CO_F64, desc.out[1].shape);
  operand(&backward, false, CO_EMBEDDING_BACKWARD_dtable, CO_F64, desc.in[1].shape);
  operand(&backward, false, CO_EMBEDDING_BACKWARD_dtable2, CO_F64, desc.in[3].shape);
  double dtable[2] = {7, 7}, dtable2[2] = {10, 20};
  assert_int_equal(co_ref_run(&backward, (void *[16]){(void *)index, y, (void *)index2, y2},
                              (void *[16]){dtable, dtable2}),
                   CO_OK);
  assert_memory_equal(dtable, ((double[]){1, 4}), sizeof dtable);
  assert_memory_equal(dtable2, ((double[]){16, 28}), sizeof dtable2);
}

static void test_copy_events(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_COPY_EVENTS, .has_out = 1, .attr.factor = 2};
  operand(&desc, true, CO_COPY_EVENTS_x, CO_F64, co_shape_make(2, (int64_t)2, (int64_t)3));
  operand(&desc, true, CO_COPY_EVENTS_score, CO_F64,
          co_shape_make(3, (int64_t)2, (int64_t)4, (int64_t)1));
  operand(&desc, true, CO_COPY_EVENTS_codes, CO_I32,
          co_shape_make(3, (int64_t)2, (int64_t)4, (int64_t)1));
  operand(&desc, true, CO_COPY_EVENTS_lengths, CO_I32, vector(2));
  // Exponentials: logits 1, 2, 3; events 4 and 5 of class 2, twice, 6 of none, one that is not there.
  double x[6] = {0, log(2), log(3), 1, 2, 3}, y[6];
  double score[8] = {log(4), log(5), log(6), (double)NAN, 7, 7, 7, 7};
  int32_t codes[8] = {2, 2, 0, 1, 1, 1, 1, 1}, lengths[2] = {3, 0};
  run(&desc, (void *[16]){x, score, codes, lengths}, (void *[16]){y});
  const double want[6] = {0, log(20), log(3), 1, 2, 3};
  for (int i = 0; i < 6; i++)
    near_to(y[i], want[i]);
}

enum { CLASSES = 5, DRAWS = 600, WIDTH = 2 };
static const double class_rows[CLASSES][WIDTH] = {{1, -1}, {.5, 2}, {-1, .25}, {0, 1.5}, {2, 1}};

// The gradient of one row's features by its target and the classes that a step draws.
static void sampled_gradient(uint32_t number, const int32_t *bounds, int32_t target,
                             const double *x, double *gradient) {
  co_step step = {.seed = 7, .step = number, .inv_norm = {1}};
  int32_t classes[DRAWS], first = 0;
  float drawn[DRAWS];
  double shift[DRAWS], z[DRAWS], y[1 + DRAWS], weight = 1, loss, sum, dy[1 + DRAWS];
  double down[WIDTH], dz[DRAWS];
  co_op_desc draw = {.op = CO_OP_SAMPLE_CLASSES, .attr = {.shape = vector(DRAWS), .purpose = 3}};
  operand(&draw, true, CO_SAMPLE_CLASSES_bounds, CO_I32, vector(CLASSES));
  operand(&draw, true, CO_SAMPLE_CLASSES_step, CO_U8, vector((int64_t)sizeof step));
  run(&draw, (void *[16]){(void *)bounds, &step}, (void *[16]){classes, drawn});
  for (int s = 0; s < DRAWS; s++) {
    shift[s] = (double)drawn[s];
    z[s] = x[0] * class_rows[classes[s]][0] + x[1] * class_rows[classes[s]][1];
  }
  const co_shape features = co_shape_make(2, (int64_t)1, (int64_t)WIDTH);
  co_op_desc logits = {.op = CO_OP_SAMPLED_LOGITS};
  operand(&logits, true, CO_SAMPLED_LOGITS_x, CO_F64, features);
  operand(&logits, true, CO_SAMPLED_LOGITS_own, CO_F64, features);
  operand(&logits, true, CO_SAMPLED_LOGITS_z, CO_F64, co_shape_make(2, (int64_t)1, (int64_t)DRAWS));
  operand(&logits, true, CO_SAMPLED_LOGITS_target, CO_I32, vector(1));
  operand(&logits, true, CO_SAMPLED_LOGITS_classes, CO_I32, vector(DRAWS));
  operand(&logits, true, CO_SAMPLED_LOGITS_shift, CO_F64, vector(DRAWS));
  void *own = (void *)class_rows[target];
  run(&logits, (void *[16]){(void *)x, own, z, &target, classes, shift}, (void *[16]){y});
  co_op_desc softmax = {.op = CO_OP_SOFTMAX_CROSS_ENTROPY};
  operand(&softmax, true, CO_SOFTMAX_CROSS_ENTROPY_x, CO_F64,
          co_shape_make(2, (int64_t)1, (int64_t)(1 + DRAWS)));
  operand(&softmax, true, CO_SOFTMAX_CROSS_ENTROPY_target, CO_I32, vector(1));
  operand(&softmax, true, CO_SOFTMAX_CROSS_ENTROPY_weight, CO_F64, vector(1));
  operand(&softmax, true, CO_SOFTMAX_CROSS_ENTROPY_step, CO_U8, vector((int64_t)sizeof step));
  run(&softmax, (void *[16]){y, &first, &weight, &step}, (void *[16]){&loss, &sum, dy});
  co_op_desc back = {.op = CO_OP_SAMPLED_LOGITS_BACKWARD, .has_out = 7};
  memcpy(back.in,
         (co_tensor_desc[5]){logits.in[0], logits.in[1], logits.in[3], logits.in[4], softmax.in[0]},
         5 * sizeof *back.in);
  back.has_in = 31;
  memcpy(back.out, logits.in, 3 * sizeof *back.out);
  assert_int_equal(co_ref_run(&back, (void *[16]){(void *)x, own, &target, classes, dy},
                              (void *[16]){gradient, down, dz}),
                   CO_OK);
  for (int s = 0; s < DRAWS; s++)
    for (int d = 0; d < WIDTH; d++)
      gradient[d] += dz[s] * class_rows[classes[s]][d];
}

// Over many draws, of whatever distribution, the gradient is that of the softmax over all classes.
static void test_sampled_softmax(void **state) {
  (void)state;
  enum { STEPS = 400 };
  const int32_t bounds[CLASSES] = {INT32_MAX / 2, INT32_MAX / 10 * 6, INT32_MAX / 10 * 8,
                                   INT32_MAX / 10 * 9, INT32_MAX};
  const double x[WIDTH] = {.75, -.5};
  for (int32_t target = 0; target < CLASSES; target++) {
    double want[WIDTH] = {0, 0}, mean[WIDTH] = {0, 0}, total = 0;
    for (int pass = 0; pass < 2; pass++)
      for (int k = 0; k < CLASSES; k++) {
        const double e = exp(x[0] * class_rows[k][0] + x[1] * class_rows[k][1]);
        if (pass == 0) total += e;
        for (int d = 0; pass == 1 && d < WIDTH; d++)
          want[d] += (e / total - (k == target)) * class_rows[k][d];
      }
    for (uint32_t s = 0; s < STEPS; s++) {
      double gradient[WIDTH];
      sampled_gradient(s, bounds, target, x, gradient);
      for (int d = 0; d < WIDTH; d++)
        mean[d] += gradient[d] / STEPS;
    }
    for (int d = 0; d < WIDTH; d++)
      assert_true(fabs(mean[d] - want[d]) < 0.005);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sampled_softmax),
      cmocka_unit_test(test_dropout_over_events),
      cmocka_unit_test(test_index_dropout),
      cmocka_unit_test(test_gather),
      cmocka_unit_test(test_gather_events),
      cmocka_unit_test(test_masked_softmax),
      cmocka_unit_test(test_lstm),
      cmocka_unit_test(test_gru),
      cmocka_unit_test(test_simple_rnn),
      cmocka_unit_test(test_attention),
      cmocka_unit_test(test_pool_events),
      cmocka_unit_test(test_max_events),
      cmocka_unit_test(test_unfold_events),
      cmocka_unit_test(test_reverse_events),
      cmocka_unit_test(test_arg_max),
      cmocka_unit_test(test_lookup),
      cmocka_unit_test(test_embedding),
      cmocka_unit_test(test_tables),
      cmocka_unit_test(test_copy_events),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
