// SPDX-License-Identifier: Apache-2.0
// The table of operations is consistent: names are unique, every rule parses, names operations that
// exist, and passes as many operands as they take, of names that mean something.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
    assert_null(memchr(name, '?', length));
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
  assert_int_equal(co_operand_find("x w b?", "b", 1), 2);
  assert_int_equal(co_operand_find("x w b?", "c", 1), -1);
  assert_int_equal(co_operand_count(""), 0);
  bool optional;
  const char *name;
  size_t length;
  assert_true(co_operand_get("x w b?", 2, &name, &length, &optional));
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
  assert_int_equal(passed, co_operand_count(list));
  for (int i = 0; i < passed; i++) { // an optional result is one of the operation, too
    const char *name;
    size_t length;
    bool optional;
    assert_true(co_operand_get(list, i, &name, &length, &optional));
    bool given = inputs ? rule->in[i].optional : rule->out[i].optional;
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

  co_op_desc concat = {.op = CO_OP_CONCAT, .has_in = 3};
  concat.in[0] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)5));
  concat.in[1] = f32(co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)2));
  assert_int_equal(co_op_infer(&concat), CO_OK);
  assert_true(concat.out[0].shape.dim[0] == CO_DIM_N);
  assert_int_equal(concat.out[0].shape.dim[2], 7);
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

  co_op_desc backward = {.op = CO_OP_RELU_BACKWARD, .has_in = 3};
  backward.in[0] = backward.in[1] = f32(co_shape_make(1, (int64_t)4));
  assert_int_equal(co_op_infer(&backward), CO_ERR_INTERNAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_operand_lists),
      cmocka_unit_test(test_rules),
      cmocka_unit_test(test_rule_parsing),
      cmocka_unit_test(test_infer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
