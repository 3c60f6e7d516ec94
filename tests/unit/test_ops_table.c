// SPDX-License-Identifier: Apache-2.0
// The table of operations is consistent: names are unique, every rule parses, names operations that
// exist, and passes as many operands as they take, of names that mean something.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/descriptor.h"

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

// "y=a", "w*y", "q@k" and "a.b": both sides are operands; of a type, the left.
static void check_pairs(const char *fact, char mark, const co_op_info *info) {
  for (int i = 0; fact && i < co_operand_count(fact); i++) {
    const char *name;
    size_t length;
    assert_true(co_operand_get(fact, i, &name, &length, NULL));
    const char *at = memchr(name, mark, length);
    if (!at && mark == '*') at = memchr(name, '@', length);
    if (!at && mark == '*') at = memchr(name, '.', length);
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
  return info->flops && strpbrk(info->flops, "*.");
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
  co_op_bf16_operands(CO_OP_EMA, &in, &out);
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
  co_op_desc matmul = {.op = CO_OP_MATMUL, .has_in = 3, .attr = {.transposed_a = 1}};
  matmul.in[0] = (co_tensor_desc){.dtype = CO_F32, .shape = {3, {CO_DIM_N, 4, 5}}};
  matmul.in[1] = (co_tensor_desc){.dtype = CO_F32, .shape = {3, {CO_DIM_N, 4, 6}}};
  assert_int_equal(co_op_infer(&matmul), CO_OK);
  const co_shape five_six = {3, {CO_DIM_N, 5, 6}};
  assert_true(co_shape_equal(&matmul.out[0].shape, &five_six));
  matmul.in[0].shape.dim[0] = matmul.in[1].shape.dim[0] = matmul.out[0].shape.dim[0] = 7;
  assert_int_equal(co_op_flops(&matmul), 2 * 7 * 4 * 5 * 6);
  matmul.attr.transposed_a = 0; // 5 and 4
  assert_int_equal(co_op_infer(&matmul), CO_ERR_CONFIG);
  matmul.attr.transposed_b = 1; // 5 and 6
  assert_int_equal(co_op_infer(&matmul), CO_ERR_CONFIG);
  matmul.in[1].shape.dim[2] = 5;
  assert_int_equal(co_op_infer(&matmul), CO_OK);
  matmul.in[0].shape.dim[2] = matmul.in[1].shape.dim[2] = CO_DIM_T(0); // events are summed over
  assert_int_equal(co_op_infer(&matmul), CO_OK);
  matmul.in[1].shape.dim[2] = CO_DIM_T(1); // those of another table
  assert_int_equal(co_op_infer(&matmul), CO_ERR_CONFIG);
  matmul.in[0].shape.dim[2] = matmul.in[1].shape.dim[2] = 5;
  matmul.in[1].shape.dim[0] = 8; // rows
  assert_int_equal(co_op_infer(&matmul), CO_ERR_CONFIG);
  co_op_desc reshape = {.op = CO_OP_RESHAPE, .has_out = 1};
  reshape.out[0].dtype = CO_F32;
  assert_int_equal(co_op_accumulable(&reshape), 1);
  reshape.out[0].dtype = CO_I32;
  assert_int_equal(co_op_accumulable(&reshape), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_operand_lists), cmocka_unit_test(test_rules),
      cmocka_unit_test(test_rule_parsing),  cmocka_unit_test(test_facts),
      cmocka_unit_test(test_places),        cmocka_unit_test(test_masks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
