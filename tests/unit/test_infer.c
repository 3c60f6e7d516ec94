// SPDX-License-Identifier: Apache-2.0
// Shapes and types of results from those of operands: what is right, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/descriptor.h"

static co_tensor_desc f32(co_shape shape) {
  return (co_tensor_desc){.dtype = CO_F32, .shape = shape};
}

static void test_infer(void **state) {
  (void)state;
  co_op_desc desc = {.op = CO_OP_DENSE, .has_in = 3};
  desc.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)4, (int64_t)5, (int64_t)3));
  desc.in[1] = f32(co_shape_make(2, (int64_t)60, (int64_t)10));
  assert_int_equal(co_op_infer(&desc), CO_OK);
  assert_int_equal(desc.has_out, 1);
  assert_int_equal(desc.out[0].shape.rank, 2);
  assert_true(desc.out[0].shape.dim[0] == CO_DIM_N);
  assert_int_equal(desc.out[0].shape.dim[1], 10);
  desc.in[1] = f32(co_shape_make(2, (int64_t)61, (int64_t)10));
  assert_int_equal(co_op_infer(&desc), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "dense: input (N, 4, 5, 3)"));
  desc.has_in = 1;
  assert_int_equal(co_op_infer(&desc), CO_ERR_INTERNAL);

  co_op_desc conv = {.op = CO_OP_CONV2D, .has_in = 3};
  conv.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)28, (int64_t)7, (int64_t)3));
  conv.in[1] = f32(co_shape_make(4, (int64_t)3, (int64_t)2, (int64_t)3, (int64_t)8));
  for (int axis = 0; axis < 2; axis++) {
    conv.attr.kernel[axis] = 3 - axis;
    conv.attr.stride[axis] = 2;
    conv.attr.dilation[axis] = 1;
  }
  conv.attr.pad_begin[0] = 1;
  assert_int_equal(co_op_infer(&conv), CO_OK);
  assert_int_equal(conv.out[0].shape.dim[1], 14);
  assert_int_equal(conv.out[0].shape.dim[2], 3);
  assert_int_equal(conv.out[0].shape.dim[3], 8);
  conv.in[0].shape.dim[0] = conv.out[0].shape.dim[0] = 2;
  assert_int_equal(co_op_flops(&conv), 2 * (2 * 14 * 3 * 8) * (3 * 2 * 3));
  conv.attr.dilation[0] = 15; // a window of 31 rows over 29
  assert_int_equal(co_op_infer(&conv), CO_ERR_CONFIG);
  conv.attr.dilation[0] = INT64_MAX;
  assert_int_equal(co_op_infer(&conv), CO_ERR_CONFIG);
  conv.attr.dilation[0] = 1;
  conv.attr.stride[1] = 0;
  assert_int_equal(co_op_infer(&conv), CO_ERR_CONFIG);

  co_op_desc reshape = {.op = CO_OP_RESHAPE, .has_in = 1};
  reshape.in[0] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)5));
  reshape.attr.shape = co_shape_make(2, CO_DIM_N, (int64_t)20);
  assert_int_equal(co_op_infer(&reshape), CO_OK);
  reshape.in[0].shape.dim[0] = 7;
  assert_int_equal(co_op_infer(&reshape), CO_OK);
  assert_int_equal(reshape.out[0].shape.dim[0], 7);
  reshape.attr.shape = co_shape_make(2, (int64_t)20, (int64_t)7);
  assert_int_equal(co_op_infer(&reshape), CO_OK);
  reshape.attr.shape = co_shape_make(2, CO_DIM_N, (int64_t)21);
  assert_int_equal(co_op_infer(&reshape), CO_ERR_CONFIG);

  // Events as rows of their own, and back.
  reshape.in[0] = f32(co_shape_make(3, CO_DIM_N, CO_DIM_T(1), (int64_t)6));
  reshape.attr.shape = co_shape_make(2, CO_DIM_NT(1), (int64_t)6);
  assert_int_equal(co_op_infer(&reshape), CO_OK);
  assert_true(reshape.out[0].shape.dim[0] == CO_DIM_NT(1));
  reshape.in[0] = reshape.out[0];
  reshape.attr.shape = co_shape_make(4, CO_DIM_N, CO_DIM_T(1), (int64_t)3, (int64_t)2);
  assert_int_equal(co_op_infer(&reshape), CO_OK);
  assert_true(reshape.out[0].shape.dim[0] == CO_DIM_N);
  reshape.attr.shape.dim[1] = CO_DIM_T(0);
  assert_int_equal(co_op_infer(&reshape), CO_ERR_CONFIG);
  reshape.attr.shape = co_shape_make(2, CO_DIM_N, (int64_t)6);
  assert_int_equal(co_op_infer(&reshape), CO_ERR_CONFIG);

  co_op_desc events = {.op = CO_OP_GATHER_EVENTS, .has_in = 7};
  events.in[0] = f32(co_shape_make(2, (int64_t)100, (int64_t)6));
  events.in[1] = (co_tensor_desc){.dtype = CO_I64, .shape = co_shape_make(1, CO_DIM_N)};
  events.in[2] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  events.attr.shape = co_shape_make(1, CO_DIM_T(2));
  assert_int_equal(co_op_infer(&events), CO_OK);
  const co_shape of_events = co_shape_make(3, CO_DIM_N, CO_DIM_T(2), (int64_t)6);
  assert_true(co_shape_equal(&events.out[0].shape, &of_events));
  events.attr.shape.rank = 2;
  assert_int_equal(co_op_infer(&events), CO_ERR_CONFIG);
  events.attr.shape.rank = 1;
  events.in[2].dtype = CO_I64;
  assert_int_equal(co_op_infer(&events), CO_ERR_CONFIG);

  co_op_desc lstm = {.op = CO_OP_RECURRENT, .has_in = 31};
  lstm.in[0] = f32(of_events);
  lstm.in[1] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  lstm.in[2] = f32(co_shape_make(2, (int64_t)6, (int64_t)20));
  lstm.in[3] = f32(co_shape_make(2, (int64_t)5, (int64_t)20));
  lstm.in[4] = f32(co_shape_make(1, (int64_t)20));
  assert_int_equal(co_op_infer(&lstm), CO_OK);
  const co_shape last = co_shape_make(2, CO_DIM_N, (int64_t)5);
  const co_shape saved = co_shape_make(3, CO_DIM_N, CO_DIM_T(2), (int64_t)25);
  assert_true(co_shape_equal(&lstm.out[CO_RECURRENT_last].shape, &last));
  assert_true(co_shape_equal(&lstm.out[CO_RECURRENT_saved].shape, &saved));
  assert_int_equal(lstm.has_out, 1);
  co_op_desc of_weights = {.op = CO_OP_RECURRENT_BACKWARD, .has_in = 31, .has_out = 14};
  of_weights.in[0] = f32(co_shape_make(3, (int64_t)2, (int64_t)3, (int64_t)6));
  of_weights.in[2] = lstm.in[2];
  of_weights.in[3] = lstm.in[3];
  assert_int_equal(co_op_flops(&of_weights), 2 * 6 * (6 + 2 * 5) * 20); // of the weights, of h
  of_weights.has_out |= 1;
  of_weights.out[0] = of_weights.in[0];
  assert_int_equal(co_op_flops(&of_weights), 2 * 6 * 2 * (6 + 5) * 20);

  co_op_desc gru = lstm;
  gru.attr.cell = CO_CELL_GRU;
  assert_int_equal(co_op_infer(&gru), CO_ERR_CONFIG);
  gru.in[2] = f32(co_shape_make(2, (int64_t)6, (int64_t)15));
  gru.in[3] = f32(co_shape_make(2, (int64_t)5, (int64_t)15));
  gru.in[4] = f32(co_shape_make(2, (int64_t)2, (int64_t)15));
  assert_int_equal(co_op_infer(&gru), CO_OK);
  lstm.in[1].dtype = CO_I64;
  assert_int_equal(co_op_infer(&lstm), CO_ERR_CONFIG);
  lstm.in[1].dtype = CO_I32;
  lstm.in[2].shape.dim[1] = 15;
  assert_int_equal(co_op_infer(&lstm), CO_ERR_CONFIG);
  lstm.in[2].shape.dim[1] = 20;
  lstm.in[3].shape.dim[0] = CO_RECURRENT_UNITS + 1;
  assert_int_equal(co_op_infer(&lstm), CO_ERR_CONFIG);

  co_op_desc attention = {.op = CO_OP_ATTENTION, .has_in = 15, .attr.heads = 3};
  for (int i = 0; i < 3; i++)
    attention.in[i] = f32(of_events);
  attention.in[CO_ATTENTION_lengths] = lstm.in[CO_RECURRENT_lengths];
  assert_int_equal(co_op_infer(&attention), CO_OK);
  const co_shape logsum = co_shape_make(3, CO_DIM_N, (int64_t)3, CO_DIM_T(2));
  assert_true(co_shape_equal(&attention.out[CO_ATTENTION_y].shape, &of_events));
  assert_true(co_shape_equal(&attention.out[CO_ATTENTION_logsum].shape, &logsum));
  attention.attr.heads = 4; // 6 features
  assert_int_equal(co_op_infer(&attention), CO_ERR_CONFIG);
  attention.attr.heads = 2;
  attention.has_in = 31;
  attention.in[CO_ATTENTION_bias] = f32(co_shape_make(2, (int64_t)3, (int64_t)7));
  assert_int_equal(co_op_infer(&attention), CO_ERR_CONFIG);

  co_op_desc heads = {.op = CO_OP_ATTENTION, .has_in = 15, .attr.heads = 2};
  for (int i = 0; i < 3; i++)
    heads.in[i] = f32(co_shape_make(3, (int64_t)2, (int64_t)5, (int64_t)4));
  heads.in[CO_ATTENTION_lengths] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, (int64_t)2)};
  assert_int_equal(co_op_infer(&heads), CO_OK);
  assert_int_equal(co_op_flops(&heads), 2 * 2 * (2 * 5 * 5 * 4)); // scores, and what they weigh
  heads.attr.causal = 1;
  assert_int_equal(co_op_flops(&heads), 2 * 2 * (2 * 15 * 4));

  co_op_desc events_pool = {.op = CO_OP_POOL_EVENTS, .has_in = 3};
  events_pool.in[0] = f32(of_events);
  events_pool.in[1] = lstm.in[CO_RECURRENT_lengths];
  assert_int_equal(co_op_infer(&events_pool), CO_OK);
  const co_shape pooled = co_shape_make(2, CO_DIM_N, (int64_t)6);
  assert_true(co_shape_equal(&events_pool.out[0].shape, &pooled));

  co_op_desc repeated = {.op = CO_OP_POOL_EVENTS_BACKWARD,
                         .has_in = 3,
                         .attr.shape = co_shape_make(1, of_events.dim[1])};
  repeated.in[CO_POOL_EVENTS_BACKWARD_lengths] = lstm.in[CO_RECURRENT_lengths];
  repeated.in[CO_POOL_EVENTS_BACKWARD_dy] = f32(pooled);
  assert_int_equal(co_op_infer(&repeated), CO_OK);
  assert_true(co_shape_equal(&repeated.out[0].shape, &of_events));
  repeated.attr.shape.rank = 0;
  assert_int_equal(co_op_infer(&repeated), CO_ERR_CONFIG);

  co_op_desc reversed = {.op = CO_OP_REVERSE_EVENTS, .has_in = 3};
  reversed.in[0] = f32(co_shape_make(3, CO_DIM_N, CO_DIM_T(0), (int64_t)5));
  reversed.in[1] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  assert_int_equal(co_op_infer(&reversed), CO_OK);
  assert_true(co_shape_equal(&reversed.out[0].shape, &reversed.in[0].shape));
  reversed.in[1].dtype = CO_F32;
  assert_int_equal(co_op_infer(&reversed), CO_ERR_CONFIG);
  co_op_desc weights = {.op = CO_OP_MASKED_SOFTMAX, .has_in = 3};
  weights.in[0] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, CO_DIM_T(0)));
  weights.in[1] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  assert_int_equal(co_op_infer(&weights), CO_OK);
  assert_true(co_shape_equal(&weights.out[0].shape, &weights.in[0].shape));
  weights.in[1].shape.dim[0] = 3;
  assert_int_equal(co_op_infer(&weights), CO_ERR_CONFIG);
  co_op_desc unfolded = {.op = CO_OP_UNFOLD_EVENTS,
                         .has_in = 3,
                         .attr = {.kernel = {3}, .dilation = {1}, .pad_begin = {1}}};
  unfolded.in[0] = f32(of_events);
  unfolded.in[1] = lstm.in[CO_RECURRENT_lengths];
  assert_int_equal(co_op_infer(&unfolded), CO_OK);
  assert_true(unfolded.out[0].shape.dim[1] == of_events.dim[1] &&
              unfolded.out[0].shape.dim[2] == 18);
  unfolded.attr.dilation[0] = 0;
  assert_int_equal(co_op_infer(&unfolded), CO_ERR_INTERNAL);

  co_op_desc copied = {.op = CO_OP_COPY_EVENTS, .has_in = 15, .attr.factor = 2};
  copied.in[CO_COPY_EVENTS_x] = f32(co_shape_make(2, CO_DIM_N, (int64_t)9));
  copied.in[CO_COPY_EVENTS_score] = f32(co_shape_make(3, CO_DIM_N, CO_DIM_T(2), (int64_t)1));
  copied.in[CO_COPY_EVENTS_codes] = copied.in[CO_COPY_EVENTS_score];
  copied.in[CO_COPY_EVENTS_codes].dtype = CO_I32;
  copied.in[CO_COPY_EVENTS_lengths] = lstm.in[CO_RECURRENT_lengths];
  assert_int_equal(co_op_infer(&copied), CO_OK);
  assert_true(co_shape_equal(&copied.out[0].shape, &copied.in[CO_COPY_EVENTS_x].shape));
  copied.in[CO_COPY_EVENTS_score].shape.dim[2] = 2;
  assert_int_equal(co_op_infer(&copied), CO_ERR_CONFIG);
  copied.in[CO_COPY_EVENTS_score].shape.dim[2] = 1;
  copied.in[CO_COPY_EVENTS_codes].shape.dim[1] = CO_DIM_T(1);
  assert_int_equal(co_op_infer(&copied), CO_ERR_CONFIG);

  co_op_desc drawn = {.op = CO_OP_SAMPLED_LOGITS, .has_in = 63};
  drawn.in[CO_SAMPLED_LOGITS_x] = drawn.in[CO_SAMPLED_LOGITS_own] =
      f32(co_shape_make(2, CO_DIM_N, (int64_t)8));
  drawn.in[CO_SAMPLED_LOGITS_z] = f32(co_shape_make(2, CO_DIM_N, (int64_t)5));
  drawn.in[CO_SAMPLED_LOGITS_target] = lstm.in[CO_RECURRENT_lengths];
  drawn.in[CO_SAMPLED_LOGITS_classes] = drawn.in[CO_SAMPLED_LOGITS_shift] =
      f32(co_shape_make(1, (int64_t)5));
  drawn.in[CO_SAMPLED_LOGITS_classes].dtype = CO_I32;
  assert_int_equal(co_op_infer(&drawn), CO_OK);
  const co_shape six = co_shape_make(2, CO_DIM_N, (int64_t)6);
  assert_true(co_shape_equal(&drawn.out[0].shape, &six));
  drawn.in[CO_SAMPLED_LOGITS_shift].shape.dim[0] = 4;
  assert_int_equal(co_op_infer(&drawn), CO_ERR_CONFIG);

  co_op_desc table = {.op = CO_OP_DENSE_BACKWARD_DATA, .has_in = 3};
  table.in[CO_DENSE_BACKWARD_DATA_dy] = drawn.in[CO_SAMPLED_LOGITS_x];
  table.in[CO_DENSE_BACKWARD_DATA_w] = f32(co_shape_make(2, (int64_t)6, (int64_t)8));
  assert_int_equal(co_op_infer(&table), CO_OK);
  assert_true(co_shape_equal(&table.out[0].shape, &six));
  table.in[CO_DENSE_BACKWARD_DATA_w].shape.dim[1] = 7;
  assert_int_equal(co_op_infer(&table), CO_ERR_CONFIG);

  co_op_desc linear = {.op = CO_OP_LINEAR_CROSS_ENTROPY, .has_in = 59, .attr.transposed = 1};
  linear.in[CO_LINEAR_CROSS_ENTROPY_x] = drawn.in[CO_SAMPLED_LOGITS_x];
  linear.in[CO_LINEAR_CROSS_ENTROPY_w] = f32(co_shape_make(2, (int64_t)6, (int64_t)8));
  linear.in[CO_LINEAR_CROSS_ENTROPY_target] = drawn.in[CO_SAMPLED_LOGITS_target];
  linear.in[CO_LINEAR_CROSS_ENTROPY_weight] = f32(co_shape_make(1, CO_DIM_N));
  linear.in[CO_LINEAR_CROSS_ENTROPY_step].dtype = CO_U8;
  linear.in[CO_LINEAR_CROSS_ENTROPY_step].shape = co_shape_make(1, (int64_t)sizeof(co_step));
  assert_int_equal(co_op_infer(&linear), CO_OK);
  assert_int_equal(linear.out[CO_LINEAR_CROSS_ENTROPY_db].shape.dim[0], 6);
  assert_true(co_shape_equal(&linear.out[CO_LINEAR_CROSS_ENTROPY_dx].shape,
                             &drawn.in[CO_SAMPLED_LOGITS_x].shape));
  linear.in[CO_LINEAR_CROSS_ENTROPY_score] =
      f32(co_shape_make(3, CO_DIM_N, CO_DIM_T(2), (int64_t)1));
  linear.in[CO_LINEAR_CROSS_ENTROPY_codes] = copied.in[CO_COPY_EVENTS_codes];
  linear.in[CO_LINEAR_CROSS_ENTROPY_codes].shape = linear.in[CO_LINEAR_CROSS_ENTROPY_score].shape;
  linear.in[CO_LINEAR_CROSS_ENTROPY_lengths] = lstm.in[CO_RECURRENT_lengths];
  linear.attr.factor = 2;
  linear.has_in = 507;
  assert_int_equal(co_op_infer(&linear), CO_OK);
  assert_true(co_shape_equal(&linear.out[CO_LINEAR_CROSS_ENTROPY_dscore].shape,
                             &linear.in[CO_LINEAR_CROSS_ENTROPY_score].shape));
  linear.has_in = 251; // no lengths
  assert_int_equal(co_op_infer(&linear), CO_ERR_CONFIG);
  linear.has_in = 507;
  linear.attr.factor = 0;
  assert_int_equal(co_op_infer(&linear), CO_ERR_CONFIG);
  linear.attr.factor = 2;
  linear.in[CO_LINEAR_CROSS_ENTROPY_codes].shape.dim[1] = CO_DIM_T(1);
  assert_int_equal(co_op_infer(&linear), CO_ERR_CONFIG);
  linear.has_in = 59;
  linear.attr.transposed = 0; // 6 features, 8 classes
  assert_int_equal(co_op_infer(&linear), CO_ERR_CONFIG);

  co_op_desc pool = {.op = CO_OP_MAX_POOL2D, .has_in = 1};
  pool.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)5, (int64_t)3));
  for (int axis = 0; axis < 2; axis++)
    pool.attr.kernel[axis] = pool.attr.stride[axis] = 2;
  assert_int_equal(co_op_infer(&pool), CO_OK);
  assert_int_equal(pool.has_out, 1);
  assert_int_equal(pool.out[0].shape.dim[1], 2);
  assert_int_equal(pool.out[1].dtype, CO_I32);
  pool.attr.pad_end[0] = 2;
  assert_int_equal(co_op_infer(&pool), CO_ERR_CONFIG);

  pool = (co_op_desc){.op = CO_OP_GLOBAL_AVERAGE_POOL2D, .has_in = 1};
  pool.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)5, (int64_t)3));
  assert_int_equal(co_op_infer(&pool), CO_OK);
  assert_int_equal(pool.out[0].shape.rank, 2);
  assert_true(pool.out[0].shape.dim[0] == CO_DIM_N);
  assert_int_equal(pool.out[0].shape.dim[1], 3);
  pool.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)5));
  assert_int_equal(co_op_infer(&pool), CO_ERR_CONFIG);

  co_op_desc up = {.op = CO_OP_UPSAMPLE2D, .has_in = 1, .attr = {.stride = {2, 3}}};
  up.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)7, (int64_t)3));
  assert_int_equal(co_op_infer(&up), CO_OK);
  const co_shape larger = co_shape_make(4, CO_DIM_N, (int64_t)10, (int64_t)21, (int64_t)3);
  assert_true(co_shape_equal(&up.out[0].shape, &larger));
  up.attr.stride[0] = 0;
  assert_int_equal(co_op_infer(&up), CO_ERR_CONFIG);
  up.attr.stride[0] = INT32_MAX;
  assert_int_equal(co_op_infer(&up), CO_ERR_CONFIG);

  co_op_desc wide = {
      .op = CO_OP_CONV2D_TRANSPOSE,
      .has_in = 3,
      .attr = {.kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .pad_end = {1, -1}}};
  wide.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)7, (int64_t)3));
  wide.in[1] = f32(co_shape_make(4, (int64_t)3, (int64_t)3, (int64_t)4, (int64_t)3));
  assert_int_equal(co_op_infer(&wide), CO_OK);
  const co_shape widened = co_shape_make(4, CO_DIM_N, (int64_t)10, (int64_t)16, (int64_t)4);
  assert_true(co_shape_equal(&wide.out[0].shape, &widened));
  wide.attr.pad_end[1] = -2; // then a convolution would have another position
  assert_int_equal(co_op_infer(&wide), CO_ERR_CONFIG);
  wide.attr.pad_end[1] = 0;
  wide.in[1].shape.dim[3] = 2;
  assert_int_equal(co_op_infer(&wide), CO_ERR_CONFIG);

  co_op_desc augment = {.op = CO_OP_AUGMENT, .has_in = 7, .attr = {.least_area = 0.5}};
  augment.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)7, (int64_t)3));
  augment.in[1] = (co_tensor_desc){.dtype = CO_I64, .shape = co_shape_make(1, CO_DIM_N)};
  augment.in[2] =
      (co_tensor_desc){.dtype = CO_U8, .shape = co_shape_make(1, (int64_t)sizeof(co_step))};
  assert_int_equal(co_op_infer(&augment), CO_OK);
  assert_true(co_shape_equal(&augment.out[0].shape, &augment.in[0].shape));
  augment.attr.least_area = 0;
  assert_int_equal(co_op_infer(&augment), CO_ERR_CONFIG);

  co_op_desc grouped = {.op = CO_OP_CONV2D,
                        .has_in = 3,
                        .attr = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}}};
  grouped.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)7, (int64_t)6));
  grouped.in[1] = f32(co_shape_make(4, (int64_t)1, (int64_t)1, (int64_t)2, (int64_t)9));
  assert_int_equal(co_op_infer(&grouped), CO_OK);
  grouped.in[1].shape.dim[3] = 10;
  assert_int_equal(co_op_infer(&grouped), CO_ERR_CONFIG);
  grouped.in[1].shape.dim[2] = 4;
  assert_int_equal(co_op_infer(&grouped), CO_ERR_CONFIG);

  co_op_desc pad = {.op = CO_OP_PAD2D, .has_in = 1, .attr = {.pad_begin = {2, -6}}};
  pad.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)7, (int64_t)3));
  assert_int_equal(co_op_infer(&pad), CO_OK);
  const co_shape padded = co_shape_make(4, CO_DIM_N, (int64_t)7, (int64_t)1, (int64_t)3);
  assert_true(co_shape_equal(&pad.out[0].shape, &padded));
  pad.attr.pad_begin[1] = -7;
  pad.attr.pad_end[1] = 3; // nothing of the image but padding
  assert_int_equal(co_op_infer(&pad), CO_ERR_CONFIG);

  co_op_desc concat = {.op = CO_OP_CONCAT, .has_in = 3};
  concat.in[0] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)5));
  concat.in[1] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)2));
  assert_int_equal(co_op_infer(&concat), CO_OK);
  assert_true(concat.out[0].shape.dim[0] == CO_DIM_N);
  assert_int_equal(concat.out[0].shape.dim[2], 7);
  assert_int_equal(concat.attr.parts[1], 2);
  concat.has_in |= 1u << CO_CONCAT_p; // between absent ones
  concat.in[CO_CONCAT_p] = concat.in[0];
  assert_int_equal(co_op_infer(&concat), CO_OK);
  assert_int_equal(concat.out[0].shape.dim[2], 12);
  assert_int_equal(concat.attr.parts[CO_CONCAT_c], 0);
  co_op_desc parts = {.op = CO_OP_CONCAT_BACKWARD, .has_in = 1, .attr = concat.attr};
  parts.in[0] = concat.out[0];
  assert_int_equal(co_op_infer(&parts), CO_OK);
  assert_true(co_shape_equal(&parts.out[1].shape, &concat.in[1].shape));
  assert_true(co_shape_equal(&parts.out[CO_CONCAT_p].shape, &concat.in[0].shape));
  parts.attr.parts[0]++;
  assert_int_equal(co_op_infer(&parts), CO_ERR_CONFIG);
  parts.attr.parts[0] -= 2;
  assert_int_equal(co_op_infer(&parts), CO_ERR_CONFIG);
  concat.in[CO_CONCAT_p].shape.dim[2] = INT64_MAX;
  assert_int_equal(co_op_infer(&concat), CO_ERR_CONFIG);
  concat.has_in = 3;
  concat.in[1].shape.dim[1] = 3;
  assert_int_equal(co_op_infer(&concat), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "(N, 4, 5) and (N, 3, 2) differ"));
  concat.in[1] = f32(co_shape_make(2, CO_DIM_N, (int64_t)2));
  assert_int_equal(co_op_infer(&concat), CO_ERR_CONFIG);
  concat.in[0] = concat.in[1] = f32(co_shape_make(1, (int64_t)4));
  assert_int_equal(co_op_infer(&concat), CO_ERR_CONFIG);

  co_op_desc lookup = {.op = CO_OP_LOOKUP, .has_in = 3};
  lookup.in[0] = lookup.in[1] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  lookup.in[1].shape.dim[0] = 9;
  assert_int_equal(co_op_infer(&lookup), CO_OK);
  assert_int_equal(lookup.out[0].dtype, CO_I32);
  assert_true(lookup.out[0].shape.dim[0] == CO_DIM_N);
  lookup.in[1].dtype = CO_F32;
  assert_int_equal(co_op_infer(&lookup), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "map is of type f32 but i32 is needed"));
  lookup.in[1] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(2, (int64_t)9, (int64_t)1)};
  assert_int_equal(co_op_infer(&lookup), CO_ERR_CONFIG);

  co_op_desc impute = {.op = CO_OP_IMPUTE, .has_in = 3};
  impute.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)4));
  impute.in[1] = f32(co_shape_make(1, (int64_t)4));
  assert_int_equal(co_op_infer(&impute), CO_OK);
  assert_int_equal(impute.has_out, 1); // flags are asked for
  assert_true(impute.out[1].shape.dim[0] == CO_DIM_N);
  impute.in[1].shape.dim[0] = 1;
  assert_int_equal(co_op_infer(&impute), CO_OK);
  impute.in[1].shape.dim[0] = 3;
  assert_int_equal(co_op_infer(&impute), CO_ERR_CONFIG);
  impute.in[1] = (co_tensor_desc){.dtype = CO_F64, .shape = co_shape_make(1, (int64_t)4)};
  assert_int_equal(co_op_infer(&impute), CO_ERR_CONFIG);

  co_op_desc embedding = {.op = CO_OP_EMBEDDING, .has_in = 3};
  embedding.in[0] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(2, CO_DIM_N, (int64_t)7)};
  embedding.in[1] = f32(co_shape_make(2, (int64_t)100, (int64_t)16));
  assert_int_equal(co_op_infer(&embedding), CO_OK);
  assert_int_equal(embedding.out[0].dtype, CO_F32);
  assert_int_equal(embedding.out[0].shape.rank, 3);
  assert_true(embedding.out[0].shape.dim[0] == CO_DIM_N);
  assert_int_equal(embedding.out[0].shape.dim[2], 16);
  embedding.in[0].dtype = CO_F32;
  assert_int_equal(co_op_infer(&embedding), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "index is of type f32 but i32 is needed"));
  embedding.in[0].dtype = CO_I32;
  embedding.in[2] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  embedding.in[3] = f32(co_shape_make(2, (int64_t)9, (int64_t)4));
  embedding.has_in = 15;
  assert_int_equal(co_op_infer(&embedding), CO_OK);
  assert_int_equal(embedding.has_out, 3);
  assert_int_equal(embedding.out[1].shape.rank, 2);
  assert_int_equal(embedding.out[1].shape.dim[1], 4);
  embedding.has_in = 7; // an index without a table
  assert_int_equal(co_op_infer(&embedding), CO_ERR_INTERNAL);
  embedding.has_in = 3;
  embedding.in[1].shape.rank = 1;
  assert_int_equal(co_op_infer(&embedding), CO_ERR_CONFIG);

  const co_tensor_desc one = {.dtype = CO_I32, .shape = co_shape_make(1, (int64_t)1)};
  co_op_desc append = {.op = CO_OP_APPEND_ROWS, .has_in = 31};
  append.in[CO_APPEND_ROWS_index] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(2, CO_DIM_N, (int64_t)7)};
  append.in[CO_APPEND_ROWS_dy] = f32(co_shape_make(3, CO_DIM_N, (int64_t)7, (int64_t)4));
  append.in[CO_APPEND_ROWS_ids] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, (int64_t)70)};
  append.in[CO_APPEND_ROWS_rows] = f32(co_shape_make(2, (int64_t)70, (int64_t)4));
  append.in[CO_APPEND_ROWS_count] = one;
  assert_int_equal(co_op_infer(&append), CO_OK);
  assert_true(co_shape_equal(&append.out[CO_APPEND_ROWS_new_rows].shape,
                             &append.in[CO_APPEND_ROWS_rows].shape));
  append.in[CO_APPEND_ROWS_rows].shape.dim[1] = 5;
  assert_int_equal(co_op_infer(&append), CO_ERR_CONFIG);

  co_op_desc sum = {.op = CO_OP_SUM_ROWS, .has_in = 7};
  sum.in[CO_SUM_ROWS_ids] = append.in[CO_APPEND_ROWS_ids];
  sum.in[CO_SUM_ROWS_rows] = f32(co_shape_make(2, (int64_t)70, (int64_t)4));
  sum.in[CO_SUM_ROWS_count] = one;
  assert_int_equal(co_op_infer(&sum), CO_OK);
  assert_int_equal(sum.out[CO_SUM_ROWS_unique].dtype, CO_I32);
  sum.in[CO_SUM_ROWS_ids].shape.dim[0] = 71;
  assert_int_equal(co_op_infer(&sum), CO_ERR_CONFIG);

  co_op_desc places = {.op = CO_OP_PIECEWISE_LINEAR, .has_in = 3};
  places.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)3));
  places.in[1] = f32(co_shape_make(1, (int64_t)12));
  assert_int_equal(co_op_infer(&places), CO_OK);
  assert_true(co_shape_equal(&places.out[0].shape, &places.in[0].shape));
  places.in[1].shape.dim[0] = 13;
  assert_int_equal(co_op_infer(&places), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "13 edges for 3 numbers"));

  co_op_desc piecewise = {.op = CO_OP_PIECEWISE_DENSE, .has_in = 7};
  piecewise.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)3));
  piecewise.in[1] = f32(co_shape_make(3, (int64_t)3, (int64_t)48, (int64_t)16));
  piecewise.in[2] = f32(co_shape_make(2, (int64_t)3, (int64_t)16));
  assert_int_equal(co_op_infer(&piecewise), CO_OK);
  assert_int_equal(piecewise.out[0].shape.rank, 3);
  assert_true(piecewise.out[0].shape.dim[0] == CO_DIM_N);
  assert_int_equal(piecewise.out[0].shape.dim[2], 16);
  piecewise.in[2].shape.dim[1] = 15;
  assert_int_equal(co_op_infer(&piecewise), CO_ERR_CONFIG);
  piecewise.in[2].shape.dim[1] = 16;
  piecewise.in[0].shape.dim[1] = 4;
  assert_int_equal(co_op_infer(&piecewise), CO_ERR_CONFIG);

  co_op_desc columns = {.op = CO_OP_COLUMN_LOSS, .has_in = 7};
  columns.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)9));
  columns.in[1] = f32(co_shape_make(2, CO_DIM_N, (int64_t)4));
  columns.in[2] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(2, (int64_t)3, (int64_t)4)};
  assert_int_equal(co_op_infer(&columns), CO_OK);
  assert_true(columns.out[0].shape.dim[0] == CO_DIM_N && columns.out[0].shape.dim[1] == 3);
  columns.in[2].shape.dim[1] = 3;
  assert_int_equal(co_op_infer(&columns), CO_ERR_CONFIG);
  columns.in[2].shape.dim[1] = 4;
  columns.in[1].shape.dim[0] = 8;
  assert_int_equal(co_op_infer(&columns), CO_ERR_CONFIG);

  co_op_desc periodic = {.op = CO_OP_PERIODIC, .has_in = 3};
  periodic.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)3));
  periodic.in[1] = f32(co_shape_make(2, (int64_t)3, (int64_t)8));
  assert_int_equal(co_op_infer(&periodic), CO_OK);
  assert_int_equal(periodic.out[0].shape.rank, 3);
  assert_true(periodic.out[0].shape.dim[0] == CO_DIM_N && periodic.out[0].shape.dim[2] == 16);
  periodic.in[1].shape.dim[0] = 4;
  assert_int_equal(co_op_infer(&periodic), CO_ERR_CONFIG);

  co_op_desc sample = {.op = CO_OP_SAMPLE_NORMAL, .has_in = 7};
  sample.in[0] = sample.in[1] = sample.in[2] = f32(co_shape_make(2, CO_DIM_N, (int64_t)3));
  assert_int_equal(co_op_infer(&sample), CO_OK);
  assert_true(co_shape_equal(&sample.out[0].shape, &sample.in[0].shape));
  sample.in[2].shape.dim[1] = 4;
  assert_int_equal(co_op_infer(&sample), CO_ERR_CONFIG);

  co_op_desc means = {.op = CO_OP_ROW_MEANS, .has_in = 3};
  means.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)9));
  means.in[1] = f32(co_shape_make(1, CO_DIM_N));
  assert_int_equal(co_op_infer(&means), CO_OK);
  assert_true(means.out[0].dtype == CO_F64 && means.out[0].shape.dim[0] == 2);
  means.in[1].shape.dim[0] = 9;
  assert_int_equal(co_op_infer(&means), CO_ERR_CONFIG);

  co_op_desc noise = {.op = CO_OP_SWAP_NOISE, .attr = {.rate = 0.5}, .has_in = 3};
  noise.in[0] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(2, CO_DIM_N, (int64_t)1)};
  noise.in[1] = (co_tensor_desc){.dtype = CO_U8, .shape = co_shape_make(1, sizeof(co_step))};
  assert_int_equal(co_op_infer(&noise), CO_OK);
  assert_true(noise.out[0].dtype == CO_I32 && noise.out[0].shape.dim[0] == CO_DIM_N);
  noise.attr.rate = 1;
  assert_int_equal(co_op_infer(&noise), CO_ERR_CONFIG);

  co_op_desc unknown = {.op = CO_OP_INDEX_DROPOUT, .attr = {.rate = 0.5}, .has_in = 3};
  unknown.in[0] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  unknown.in[1] = (co_tensor_desc){.dtype = CO_U8, .shape = co_shape_make(1, sizeof(co_step))};
  assert_int_equal(co_op_infer(&unknown), CO_OK);
  assert_true(unknown.out[0].dtype == CO_I32 && unknown.out[0].shape.dim[0] == CO_DIM_N);
  unknown.attr.max_length = 5; // of events that x has not
  assert_int_equal(co_op_infer(&unknown), CO_ERR_CONFIG);
  unknown.attr = (co_op_attr){.rate = 1};
  assert_int_equal(co_op_infer(&unknown), CO_ERR_CONFIG);
  unknown.attr.rate = 0.5;
  unknown.in[0].dtype = CO_F32;
  assert_int_not_equal(co_op_infer(&unknown), CO_OK);

  co_op_desc binary = {.op = CO_OP_POINTWISE_LOSS,
                       .has_in = 15,
                       .attr = {.pointwise = CO_POINTWISE_BINARY, .positive_weight = 1}};
  binary.in[0] = binary.in[1] = f32(co_shape_make(2, CO_DIM_N, (int64_t)3));
  binary.in[2] = f32(co_shape_make(1, CO_DIM_N));
  binary.in[3] =
      (co_tensor_desc){.dtype = CO_U8, .shape = co_shape_make(1, (int64_t)sizeof(co_step))};
  assert_int_equal(co_op_infer(&binary), CO_OK);
  assert_int_equal(binary.out[0].shape.rank, 1);
  assert_int_equal(binary.out[1].dtype, CO_F64);
  assert_int_equal(binary.out[2].shape.dim[1], 3);
  binary.in[1].dtype = CO_I32;
  assert_int_equal(co_op_infer(&binary), CO_ERR_CONFIG);
  binary.in[1] = f32(co_shape_make(1, CO_DIM_N));
  assert_int_equal(co_op_infer(&binary), CO_ERR_CONFIG);
  binary.in[1] = f32(co_shape_make(2, CO_DIM_N, (int64_t)1)); // one for all three
  assert_int_equal(co_op_infer(&binary), CO_OK);
  binary.attr.label_smoothing = 1;
  assert_int_equal(co_op_infer(&binary), CO_ERR_CONFIG);
  binary.attr.label_smoothing = 0;
  binary.attr.positive_weight = 0;
  assert_int_equal(co_op_infer(&binary), CO_ERR_CONFIG);
  binary.attr.pointwise = CO_POINTWISE_HUBER; // without a delta
  assert_int_equal(co_op_infer(&binary), CO_ERR_CONFIG);
  binary.attr.pointwise = CO_POINTWISE_QUANTILE;
  binary.attr.level_count = 2;
  assert_int_equal(co_op_infer(&binary), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "2 quantiles need as many predictions, not 3"));

  co_op_desc spending = {.op = CO_OP_DISTRIBUTION_LOSS, .has_in = 15};
  memcpy(spending.in, binary.in, sizeof binary.in);
  assert_int_equal(co_op_infer(&spending), CO_OK);
  assert_int_equal(spending.out[2].shape.dim[1], 3);
  spending.attr.distribution = CO_NEGATIVE_BINOMIAL;
  assert_int_equal(co_op_infer(&spending), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "has 2 parameters, not 3"));
  co_op_desc expected = {.op = CO_OP_DISTRIBUTION_MEAN, .has_in = 1, .in = {binary.in[0]}};
  assert_int_equal(co_op_infer(&expected), CO_OK);
  assert_int_equal(expected.out[0].shape.dim[1], 1);

  co_op_desc norm = {.op = CO_OP_LAYER_NORM, .has_in = 7, .attr = {.epsilon = 1e-3}};
  norm.in[0] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)5));
  norm.in[1] = norm.in[2] = f32(co_shape_make(1, (int64_t)5));
  assert_int_equal(co_op_infer(&norm), CO_OK);
  assert_int_equal(norm.has_out, 1);
  assert_int_equal(norm.out[CO_LAYER_NORM_mean].shape.rank, 2);
  assert_true(norm.out[CO_LAYER_NORM_inverse].shape.dim[0] == CO_DIM_N);
  norm.in[2].shape.dim[0] = 4;
  assert_int_equal(co_op_infer(&norm), CO_ERR_CONFIG);
  norm.in[2].shape.dim[0] = 5;
  norm.attr.epsilon = 0;
  assert_int_equal(co_op_infer(&norm), CO_ERR_CONFIG);

  co_op_desc rms = {.op = CO_OP_LAYER_NORM, .has_in = 3, .attr = {.epsilon = 1e-3, .rms = 1}};
  memcpy(rms.in, norm.in, sizeof rms.in);
  assert_int_equal(co_op_infer(&rms), CO_OK);
  assert_int_equal(rms.out[CO_LAYER_NORM_mean].shape.rank, 0);
  assert_int_equal(rms.out[CO_LAYER_NORM_inverse].shape.rank, 2);
  rms.attr.groups = 5;
  assert_int_equal(co_op_infer(&rms), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "no beta and no groups"));
  rms.attr = (co_op_attr){.epsilon = 1e-3};
  assert_int_equal(co_op_infer(&rms), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "there is no beta"));

  norm.attr = (co_op_attr){.epsilon = 1e-3, .groups = 5};
  assert_int_equal(co_op_infer(&norm), CO_OK);
  assert_int_equal(norm.out[CO_LAYER_NORM_mean].shape.dim[1], 5);
  norm.attr.groups = 2;
  assert_int_equal(co_op_infer(&norm), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "5 channels do not part into 2 groups"));
  co_op_desc mixed = {.op = CO_OP_MIX_ROWS, .has_in = 3, .attr = {.mixup = 0.2}};
  mixed.in[0] = f32(co_shape_make(4, CO_DIM_N, (int64_t)4, (int64_t)5, (int64_t)3));
  mixed.in[1] =
      (co_tensor_desc){.dtype = CO_U8, .shape = co_shape_make(1, (int64_t)sizeof(co_step))};
  assert_int_equal(co_op_infer(&mixed), CO_OK);
  mixed.attr.cutmix = 1.5;
  assert_int_equal(co_op_infer(&mixed), CO_ERR_CONFIG);
  co_op_desc channels = {.op = CO_OP_SCALE_CHANNELS, .has_in = 3, .in = {norm.in[0]}};
  channels.in[1] = f32(co_shape_make(2, CO_DIM_N, (int64_t)5));
  assert_int_equal(co_op_infer(&channels), CO_OK);
  channels.in[1].shape.dim[1] = 4;
  assert_int_equal(co_op_infer(&channels), CO_ERR_CONFIG);
  co_op_desc dropped = {.op = CO_OP_DROPOUT, .has_in = 3, .attr = {.draws = 5}, .in = {norm.in[0]}};
  dropped.in[1] =
      (co_tensor_desc){.dtype = CO_U8, .shape = co_shape_make(1, (int64_t)sizeof(co_step))};
  assert_int_equal(co_op_infer(&dropped), CO_OK);
  dropped.attr.draws = 3;
  assert_int_equal(co_op_infer(&dropped), CO_ERR_CONFIG);

  co_op_desc scale = {.op = CO_OP_MEMBER_SCALE, .has_in = 3};
  scale.in[0] = f32(co_shape_make(2, CO_DIM_N, (int64_t)5));
  scale.in[1] = f32(co_shape_make(2, (int64_t)8, (int64_t)5));
  assert_int_equal(co_op_infer(&scale), CO_OK);
  assert_int_equal(co_dim_members(scale.out[0].shape.dim[0]), 8);
  co_op_desc dense = {.op = CO_OP_MEMBER_DENSE, .has_in = 7};
  dense.in[0] = scale.out[0];
  dense.in[1] = f32(co_shape_make(3, (int64_t)8, (int64_t)5, (int64_t)2));
  dense.in[2] = f32(co_shape_make(2, (int64_t)8, (int64_t)2));
  assert_int_equal(co_op_infer(&dense), CO_OK);
  assert_int_equal(co_dim_members(dense.out[0].shape.dim[0]), 8);
  co_op_desc mean = {.op = CO_OP_MEMBER_MEAN, .has_in = 1, .attr.members = 8};
  mean.in[0] = dense.out[0];
  assert_int_equal(co_op_infer(&mean), CO_OK);
  assert_true(mean.out[0].shape.dim[0] == CO_DIM_N);
  mean.attr.members = 4; // of another network
  assert_int_equal(co_op_infer(&mean), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "(N*8, 2) is not what 4 members work on"));
  scale.in[0] = scale.out[0]; // members of members
  assert_int_equal(co_op_infer(&scale), CO_ERR_CONFIG);
  co_op_desc repeat = {.op = CO_OP_REPEAT, .has_in = 1, .attr = {.members = 8, .factor = 1}};
  repeat.in[0] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, CO_DIM_N)};
  assert_int_equal(co_op_infer(&repeat), CO_OK);
  assert_int_equal(repeat.out[0].dtype, CO_I32);
  assert_int_equal(co_dim_members(repeat.out[0].shape.dim[0]), 8);

  co_op_desc product = {.op = CO_OP_MULTIPLY, .has_in = 3};
  product.in[0] = product.in[1] = f32(co_shape_make(2, CO_DIM_N, (int64_t)5));
  assert_int_equal(co_op_infer(&product), CO_OK);
  product.in[1].shape.dim[1] = 1; // nothing is broadcast
  assert_int_equal(co_op_infer(&product), CO_ERR_CONFIG);

  co_op_desc backward = {.op = CO_OP_RELU_BACKWARD, .has_in = 3};
  backward.in[0] = backward.in[1] = f32(co_shape_make(1, (int64_t)4));
  assert_int_equal(co_op_infer(&backward), CO_ERR_INTERNAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_infer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
