// SPDX-License-Identifier: Apache-2.0
// The table of operations is consistent: names are unique, every rule parses, names operations that
// exist, and passes as many operands as they take, of names that mean something.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/ops.h"

static void check_list(const char *list) {
  int count = co_operand_count(list);
  assert_in_range(count, 1, CO_OP_MAX_OPERANDS);
  for (int i = 0; i < count; i++) {
    const char *name;
    size_t length;
    bool optional;
    assert_true(co_operand_get(list, i, &name, &length, &optional));
    assert_true(length > 0);
    assert_null(memchr(name, '(', length));
    assert_null(memchr(name, ')', length));
    assert_int_equal(co_operand_find(list, name, length), i); // so names are unique
  }
  const char *name;
  size_t length;
  bool optional;
  assert_false(co_operand_get(list, count, &name, &length, &optional));
  assert_false(co_operand_get(list, -1, &name, &length, &optional));
}

static void test_operand_lists(void **state) {
  (void)state;
  for (int op = 0; op < CO_OP_COUNT; op++) {
    const co_op_info *info = co_op_get_info((co_op)op);
    check_list(info->inputs);
    check_list(info->outputs);
    assert_int_equal(co_op_find(info->enum_name, strlen(info->enum_name)), op);
  }
  assert_int_equal(co_op_find("DENS", 4), -1);
  assert_int_equal(co_op_find("DENSE_", 6), -1);
  assert_int_equal(co_op_find("dense", 5), -1);
  assert_int_equal(co_operand_find("x, w, (b)", "b", 1), 2);
  assert_int_equal(co_operand_find("x, w, (b)", "c", 1), -1);
  assert_int_equal(co_operand_count(""), 0);
  bool optional;
  const char *name;
  size_t length;
  assert_true(co_operand_get("x, w, (b)", 2, &name, &length, &optional));
  assert_true(optional);
  assert_int_equal(length, 1);
}

// Whether a list has the operand, or, for names with a d in front, its gradient.
static bool known(const char *list, const char *name, size_t length) {
  return co_operand_find(list, name, length) >= 0;
}

static bool is_gradient_of(const char *list, const char *name, size_t length) {
  return length > 1 && name[0] == 'd' && known(list, name + 1, length - 1);
}

static void check_count(const char *list, int passed, const co_rule *rule, bool inputs) {
  assert_true(passed <= co_operand_count(list));
  for (int i = 0; i < co_operand_count(list);
       i++) { // an optional result is one of the operation, too
    const char *name;
    size_t length;
    bool optional;
    assert_true(co_operand_get(list, i, &name, &length, &optional));
    bool given = i >= passed || (inputs ? rule->in[i].optional : rule->out[i].optional);
    if (given) assert_true(optional);
  }
}

static void test_rules(void **state) {
  (void)state;
  for (int op = 0; op < CO_OP_COUNT; op++) {
    const co_op_info *info = co_op_get_info((co_op)op);
    for (int inference = 0; inference <= 1; inference++) {
      const char *cursor = inference ? info->inference : info->backward;
      bool empty = *cursor == '\0';
      co_rule rule;
      int rules = 0;
      while (co_rule_next(&cursor, &rule)) {
        rules++;
        assert_true(rule.inputs > 0 && rule.outputs > 0);
        for (int i = 0; i < rule.inputs; i++) {
          const char *name = rule.in[i].name;
          size_t length = rule.in[i].length;
          bool forward = known(info->inputs, name, length) || known(info->outputs, name, length);
          if (inference)
            assert_true(known(info->inputs, name, length));
          else
            assert_true(forward || is_gradient_of(info->outputs, name, length));
        }
        for (int i = 0; i < rule.outputs; i++) {
          const char *name = rule.out[i].name;
          size_t length = rule.out[i].length;
          if (inference)
            assert_true(known(info->outputs, name, length));
          else
            assert_true(is_gradient_of(info->inputs, name, length));
        }
        if (rule.op < 0) {
          assert_int_equal(rule.inputs, 1);
          assert_int_equal(rule.outputs, 1);
          continue;
        }
        assert_in_range(rule.op, 0, CO_OP_COUNT - 1);
        const co_op_info *callee = co_op_get_info((co_op)rule.op);
        check_count(callee->inputs, rule.inputs, &rule, true);
        check_count(callee->outputs, rule.outputs, &rule, false);
      }
      assert_int_equal(rules > 0, !empty);
      assert_int_equal(*cursor, '\0');
      assert_false(co_rule_next(&cursor, &rule));
    }
  }
}

static void test_rule_parsing(void **state) {
  (void)state;
  const char *cursor = co_op_get_info(CO_OP_DENSE)->backward;
  co_rule rule;
  assert_true(co_rule_next(&cursor, &rule));
  assert_int_equal(rule.op, CO_OP_DENSE_BACKWARD_DATA);
  assert_int_equal(rule.inputs, 2);
  assert_int_equal(rule.outputs, 1);
  assert_memory_equal(rule.in[0].name, "dy", 2);
  assert_true(co_rule_next(&cursor, &rule));
  assert_int_equal(rule.op, CO_OP_DENSE_BACKWARD_WEIGHTS);
  assert_int_equal(rule.outputs, 2);
  assert_memory_equal(rule.out[1].name, "db", 2);
  assert_int_equal(rule.out[1].length, 2);
  assert_true(rule.out[1].optional);
  assert_false(co_rule_next(&cursor, &rule));
  cursor = co_op_get_info(CO_OP_ADD)->backward;
  assert_true(co_rule_next(&cursor, &rule));
  assert_int_equal(rule.op, -1);
}

// ---- facts -------------------------------------------------------------------------------------

// Every word of a fact is an operand of the lists, "->" goes from one to the other.
static void check_fact(const char *fact, const char *inputs, const char *outputs) {
  const char *list = inputs ? inputs : outputs;
  for (int i = 0; fact && i < co_operand_count(fact); i++) {
    const char *name;
    size_t length;
    assert_true(co_operand_get(fact, i, &name, &length, NULL));
    if (length == 2 && memcmp(name, "->", 2) == 0) {
      assert_ptr_equal(list, inputs);
      list = outputs;
    } else if (!(length == 1 && *name == '*') && !known(list, name, length)) {
      fail_msg("'%s': there is no %.*s", fact, (int)length, name);
    }
  }
  if (inputs) assert_true(!fact || list == outputs);
}

// "y=a", "w*y" and "q@k": both sides are operands; of a type, the left.
static void check_pairs(const char *fact, char mark, const co_op_info *info) {
  for (int i = 0; fact && i < co_operand_count(fact); i++) {
    const char *name;
    size_t length;
    assert_true(co_operand_get(fact, i, &name, &length, NULL));
    const char *at = memchr(name, mark, length);
    if (!at && mark == '*') at = memchr(name, '@', length);
    size_t left = at ? (size_t)(at - name) : length;
    assert_true(known(info->inputs, name, left) || known(info->outputs, name, left));
    if (mark == '*' && !at) continue;
    assert_non_null(at);
    if (mark == ':') continue;
    assert_true(known(info->inputs, at + 1, length - left - 1) ||
                known(info->outputs, at + 1, length - left - 1));
  }
}

static void check_types(const co_op_info *info) {
  check_pairs(info->types, ':', info);
  for (int i = 0; info->types && i < co_operand_count(info->types); i++) {
    const char *name;
    size_t length;
    co_dtype dtype;
    assert_true(co_operand_get(info->types, i, &name, &length, NULL));
    const char *type = (const char *)memchr(name, ':', length) + 1;
    bool any = length - (size_t)(type - name) == 3 && memcmp(type, "any", 3) == 0;
    co_op op = (co_op)co_op_find(info->enum_name, strlen(info->enum_name));
    assert_int_equal(co_op_operand_type(op, name, (size_t)(type - name) - 1, &dtype), !any);
  }
}

static bool is_product(const co_op_info *info) {
  return info->flops && strchr(info->flops, '*');
}

static void test_facts(void **state) {
  (void)state;
  for (int op = 0; op < CO_OP_COUNT; op++) {
    const co_op_info *info = co_op_get_info((co_op)op);
    check_fact(info->bf16, info->inputs, info->outputs);
    check_fact(info->bf16_or_f32, info->inputs, info->outputs);
    check_fact(info->bf16_without, NULL, info->outputs);
    check_fact(info->accumulate, NULL, info->outputs);
    check_fact(info->accumulate_without, NULL, info->outputs);
    check_pairs(info->may_alias, '=', info);
    check_pairs(info->is_alias, '=', info);
    check_pairs(info->flops, '*', info);
    check_types(info);
    // Every operation that is not a product says why it is one of its own.
    if (is_product(info) == (info->why != NULL))
      fail_msg("%s: %s", info->name, info->why ? info->why : "no reason");
  }
}

static void test_places(void **state) {
  (void)state;
  assert_int_equal(CO_DENSE_x, 0);
  assert_int_equal(CO_DENSE_b, 2);
  assert_int_equal(CO_DENSE_mask, 1);
#define X(ENUM, name, list_in, list_out, ...)                                                      \
  {                                                                                                \
    const int in[] = {CO_OPERAND_PLACES(CO_##ENUM##_, list_in)};                                   \
    const int out[] = {CO_OPERAND_PLACES(CO_##ENUM##_, list_out)};                                 \
    const co_op_info *info = co_op_get_info(CO_OP_##ENUM);                                         \
    assert_int_equal(sizeof in / sizeof *in, co_operand_count(info->inputs));                      \
    assert_int_equal(sizeof out / sizeof *out, co_operand_count(info->outputs));                   \
  }
  CO_OPS(X)
#undef X
}

static void test_masks(void **state) {
  (void)state;
  uint32_t in, out;
  bool always;
  co_op_bf16_operands(CO_OP_BATCH_NORM_BACKWARD, &in, &out);
  assert_int_equal(in, 1u << CO_BATCH_NORM_BACKWARD_x | 1u << CO_BATCH_NORM_BACKWARD_dy |
                           1u << CO_BATCH_NORM_BACKWARD_y);
  assert_int_equal(out, 1u << CO_BATCH_NORM_BACKWARD_dx);
  co_op_bf16_operands(CO_OP_GRADIENT_NORM, &in, &out);
  assert_int_equal(in | out, 0);
  co_op_bf16_or_f32(CO_OP_DENSE, &in, &out);
  assert_int_equal(in, 1u << CO_DENSE_b);
  assert_int_equal(out, 1u << CO_DENSE_y);
  assert_int_equal(co_op_alias(CO_OP_ADAM, CO_ADAM_new_v, &always), CO_ADAM_v);
  assert_true(always);
  assert_int_equal(co_op_alias(CO_OP_ADAM, CO_ADAM_mirror, &always), -1);
  assert_int_equal(co_op_alias(CO_OP_ADD, CO_ADD_y, &always), CO_ADD_a);
  assert_false(always);
  co_op_desc norm = {.op = CO_OP_GRADIENT_NORM, .has_out = 1};
  norm.out[0].dtype = norm.out[1].dtype = CO_F64;
  assert_int_equal(co_op_accumulable(&norm), 1u << CO_GRADIENT_NORM_sum);
  norm.has_out |= 1u << CO_GRADIENT_NORM_gate;
  assert_int_equal(co_op_accumulable(&norm), 0);
  co_op_desc reshape = {.op = CO_OP_RESHAPE, .has_out = 1};
  reshape.out[0].dtype = CO_F32;
  assert_int_equal(co_op_accumulable(&reshape), 1);
  reshape.out[0].dtype = CO_I32;
  assert_int_equal(co_op_accumulable(&reshape), 0);
}

// ---- shape inference ---------------------------------------------------------------------------

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
  embedding.in[1].shape.rank = 1;
  assert_int_equal(co_op_infer(&embedding), CO_ERR_CONFIG);

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
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_operand_lists), cmocka_unit_test(test_rules),
      cmocka_unit_test(test_rule_parsing),  cmocka_unit_test(test_facts),
      cmocka_unit_test(test_places),        cmocka_unit_test(test_masks),
      cmocka_unit_test(test_infer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
