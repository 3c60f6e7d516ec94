// SPDX-License-Identifier: Apache-2.0
// The table of operations and the little language of its operand lists and rules.
#include "kernels/descriptor.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/check.h"
#include "kernels/ref/ref.h"

static const co_op_info infos[CO_OP_COUNT] = {
#define X(ENUM, name_, inputs_, outputs_, backward_, inference_, ...)                              \
  {.enum_name = #ENUM,                                                                             \
   .name = #name_,                                                                                 \
   .inputs = CO_OPERANDS_TEXT(inputs_),                                                            \
   .outputs = CO_OPERANDS_TEXT(outputs_),                                                          \
   .backward = backward_,                                                                          \
   .inference = inference_,                                                                        \
   __VA_ARGS__},
    CO_OPS(X)
#undef X
};

static co_status (*const infers[CO_OP_COUNT])(co_op_desc *) = {
#define X(ENUM, name, ...) co_infer_##name,
    CO_OPS(X)
#undef X
};

const co_op_info *co_op_get_info(co_op op) {
  assert((int)op >= 0 && op < CO_OP_COUNT);
  return &infos[op];
}

int co_op_find(const char *enum_name, size_t length) {
  for (int i = 0; i < CO_OP_COUNT; i++)
    if (strlen(infos[i].enum_name) == length && memcmp(infos[i].enum_name, enum_name, length) == 0)
      return i;
  return -1;
}

// ---- operand lists -----------------------------------------------------------------------------

// The next word of a list of words at *cursor, without its parentheses; false at the end.
static bool next_word(const char **cursor, const char **name, size_t *length, bool *optional) {
  const char *at = *cursor;
  at += strspn(at, " ,");
  size_t word = strcspn(at, " ,;");
  if (word == 0) return false;
  *cursor = at + word;
  *optional = *at == '(';
  *name = at + (*optional ? 1 : 0);
  *length = word - (*optional ? 2 : 0);
  return true;
}

int co_operand_count(const char *list) {
  const char *name;
  size_t length;
  bool optional;
  int count = 0;
  while (next_word(&list, &name, &length, &optional))
    count++;
  return count;
}

bool co_operand_get(const char *list, int i, const char **name, size_t *length, bool *optional) {
  bool mark = false;
  for (int k = 0; k <= i; k++)
    if (!next_word(&list, name, length, &mark)) return false;
  if (optional) *optional = mark;
  return i >= 0;
}

int co_operand_find(const char *list, const char *name, size_t length) {
  const char *candidate;
  size_t candidate_length;
  bool optional;
  for (int i = 0; next_word(&list, &candidate, &candidate_length, &optional); i++)
    if (candidate_length == length && memcmp(candidate, name, length) == 0) return i;
  return -1;
}

// ---- facts -------------------------------------------------------------------------------------

// Operands of `list` that the words of a fact name; stops at "->" and at the end.
static uint32_t named(const char **cursor, const char *list) {
  const char *name;
  size_t length;
  bool optional;
  uint32_t bits = 0;
  while (next_word(cursor, &name, &length, &optional)) {
    if (length == 2 && memcmp(name, "->", 2) == 0) break;
    if (length == 1 && *name == '*') {
      bits |= (1u << co_operand_count(list)) - 1;
      continue;
    }
    int i = co_operand_find(list, name, length);
    assert(i >= 0 && "a fact about an operand that is not there");
    bits |= 1u << i;
  }
  return bits;
}

// A fact about inputs and outputs: "x w -> y".
static void both_sides(const co_op_info *info, const char *fact, uint32_t *in, uint32_t *out) {
  *in = fact ? named(&fact, info->inputs) : 0;
  *out = fact ? named(&fact, info->outputs) : 0;
}

// A fact about outputs alone: "dw db".
static uint32_t outputs_of(const co_op_info *info, const char *fact) {
  return fact ? named(&fact, info->outputs) : 0;
}

void co_op_bf16_operands(co_op op, uint32_t *in, uint32_t *out) {
  both_sides(&infos[op], infos[op].bf16, in, out);
}

void co_op_bf16_or_f32(co_op op, uint32_t *in, uint32_t *out) {
  both_sides(&infos[op], infos[op].bf16_or_f32, in, out);
}

static uint32_t bf16_bits(const co_tensor_desc *operands, uint32_t present) {
  uint32_t bits = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((present >> i & 1) && operands[i].dtype == CO_BF16) bits |= 1u << i;
  return bits;
}

co_status co_op_check_bf16(const co_op_desc *desc) {
  uint32_t may_in, may_out, or_in, or_out;
  uint32_t in = bf16_bits(desc->in, desc->has_in), out = bf16_bits(desc->out, desc->has_out);
  if (!(in | out)) return CO_OK;
  const co_op_info *info = &infos[desc->op];
  co_op_bf16_operands(desc->op, &may_in, &may_out);
  if ((in & ~may_in) || (out & ~may_out))
    return co_fail(CO_ERR_DEVICE, "%s: an operand is bf16 that must not be", info->name);
  if (desc->has_out & outputs_of(info, info->bf16_without))
    return co_fail(CO_ERR_DEVICE, "%s: no %s beside a result in bf16", info->name,
                   info->bf16_without);
  may_in &= desc->has_in;
  may_out &= desc->has_out;
  if (info->bf16_each || (in == may_in && out == may_out)) return CO_OK;
  co_op_bf16_or_f32(desc->op, &or_in, &or_out);
  if (in == (may_in & ~or_in) && out == (may_out & ~or_out)) return CO_OK;
  return co_fail(CO_ERR_DEVICE, "%s: some of its data are bf16, some not", info->name);
}

uint32_t co_op_accumulable(const co_op_desc *desc) {
  const co_op_info *info = &infos[desc->op];
  if (desc->has_out & outputs_of(info, info->accumulate_without)) return 0;
  uint32_t bits = outputs_of(info, info->accumulate);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (desc->out[i].dtype < CO_F32) bits &= ~(1u << i);
  return bits;
}

// The value of `key` in words such as "y=a" or "mask:u8"; false if it is not there.
static bool find_pair(const char *words, char mark, const char *key, size_t key_length,
                      const char **value, size_t *length) {
  const char *word;
  size_t count;
  bool optional;
  while (words && next_word(&words, &word, &count, &optional)) {
    if (count <= key_length || memcmp(word, key, key_length) != 0 || word[key_length] != mark)
      continue;
    *value = word + key_length + 1;
    *length = count - key_length - 1;
    return true;
  }
  return false;
}

int co_op_alias(co_op op, int output, bool *always) {
  const co_op_info *info = &infos[op];
  const char *name, *input;
  size_t length, input_length;
  *always = false;
  if (!co_operand_get(info->outputs, output, &name, &length, NULL)) return -1;
  *always = find_pair(info->is_alias, '=', name, length, &input, &input_length);
  if (!*always && !find_pair(info->may_alias, '=', name, length, &input, &input_length)) return -1;
  return co_operand_find(info->inputs, input, input_length);
}

bool co_op_operand_type(co_op op, const char *name, size_t length, co_dtype *out) {
  const char *type;
  size_t type_length;
  if (!find_pair(infos[op].types, ':', name, length, &type, &type_length)) return false;
  for (int i = 0; i < CO_DTYPE_COUNT; i++) {
    const char *candidate = co_dtype_name((co_dtype)i);
    if (strlen(candidate) != type_length || memcmp(candidate, type, type_length) != 0) continue;
    *out = (co_dtype)i;
    return true;
  }
  return false; // any
}

// ---- rules -------------------------------------------------------------------------------------

static bool is_op_name(const char *name, size_t length) {
  return length > 0 && name[0] >= 'A' && name[0] <= 'Z';
}

bool co_rule_next(const char **cursor, co_rule *out) {
  memset(out, 0, sizeof *out);
  out->op = -1;
  const char *at = *cursor + strspn(*cursor, " ;");
  *cursor = at;
  if (*at == '\0') return false;
  const char *name;
  size_t length;
  bool optional, first = true, after_arrow = false;
  while (next_word(&at, &name, &length, &optional)) {
    if (first && is_op_name(name, length)) {
      out->op = co_op_find(name, length);
      assert(out->op >= 0 && "unknown operation in a rule");
    } else if (length == 2 && memcmp(name, "->", 2) == 0) {
      assert(!after_arrow && "two arrows in a rule");
      after_arrow = true;
    } else if (after_arrow && out->outputs < CO_OP_MAX_OPERANDS) {
      out->out[out->outputs].name = name;
      out->out[out->outputs].length = length;
      out->out[out->outputs++].optional = optional;
    } else if (!after_arrow && out->inputs < CO_OP_MAX_OPERANDS) {
      out->in[out->inputs].name = name;
      out->in[out->inputs].length = length;
      out->in[out->inputs++].optional = optional;
    } else {
      assert(!"too many operands in a rule");
    }
    first = false;
  }
  assert(out->inputs > 0 && out->outputs > 0 && "a rule needs operands on both sides");
  *cursor = at;
  return true;
}

// ---- shapes ------------------------------------------------------------------------------------

co_status co_op_infer(co_op_desc *desc) {
  if ((int)desc->op < 0 || desc->op >= CO_OP_COUNT)
    return co_fail(CO_ERR_INTERNAL, "unknown operation %d", (int)desc->op);
  const co_op_info *info = &infos[desc->op];
  int inputs = co_operand_count(info->inputs), outputs = co_operand_count(info->outputs);
  if (desc->has_in >> inputs != 0 || desc->has_out >> outputs != 0)
    return co_fail(CO_ERR_INTERNAL, "%s: more operands than the operation has", info->name);
  const char *name = NULL;
  size_t length = 0;
  bool optional = false;
  for (int i = 0; i < inputs; i++) {
    (void)co_operand_get(info->inputs, i, &name, &length, &optional);
    if ((desc->has_in >> i & 1) == 0) {
      if (optional) continue;
      return co_fail(CO_ERR_INTERNAL, "%s: operand %.*s is missing", info->name, (int)length, name);
    }
    const co_shape *shape = &desc->in[i].shape;
    bool bad = shape->rank < 0 || shape->rank > CO_MAX_RANK;
    for (int d = 0; !bad && d < shape->rank; d++)
      bad = shape->dim[d] == 0; // negative extents are symbolic
    if (bad)
      return co_fail(CO_ERR_CONFIG, "%s: operand %.*s is empty", info->name, (int)length, name);
  }
  CO_RETURN_IF_FAILED(infers[desc->op](desc));
  for (int i = 0; i < outputs; i++) {
    (void)co_operand_get(info->outputs, i, &name, &length, &optional);
    if (!optional) desc->has_out |= 1u << i;
  }
  return CO_OK;
}

// ---- FLOPs -------------------------------------------------------------------------------------

// NULL: the operand is absent.
static const co_shape *shape_of(const co_op_desc *desc, const char *name, size_t length) {
  const co_op_info *info = &infos[desc->op];
  int i = co_operand_find(info->inputs, name, length);
  if (i >= 0) return desc->has_in >> i & 1 ? &desc->in[i].shape : NULL;
  i = co_operand_find(info->outputs, name, length);
  assert(i >= 0 && "FLOPs by an operand that is not there");
  return desc->has_out >> i & 1 ? &desc->out[i].shape : NULL;
}

// Of one word of the fact.
static int64_t flops_of(const co_op_desc *desc, const char *word, size_t length) {
  const size_t left = strcspn(word, "*@. ") < length ? strcspn(word, "*@. ") : length;
  const co_shape *first = shape_of(desc, word, left), *other = NULL;
  if (left == length) return first ? co_shape_count(first) : 0;
  other = shape_of(desc, word + left + 1, length - left - 1);
  if (!first || !other) return 0;
  // Pairs of events, multiplied and added element by element.
  if (word[left] == '@')
    return co_shape_count(first) * (desc->attr.causal ? other->dim[1] + 1 : 2 * other->dim[1]);
  // (M, K) times (K, P), however they lie: the three matrices have (M K P)² elements, multiplied.
  if (word[left] == '.') {
    const double rows = (double)first->dim[0], a = (double)co_shape_count(first) / rows;
    const double b = (double)co_shape_count(other) / rows;
    const double y = (double)co_shape_count(&desc->out[0].shape) / rows;
    return (int64_t)(2 * rows * round(sqrt(a * b * y)));
  }
  // Rows times weights; of a convolution, with zero padding counted like the image.
  return 2 * co_shape_count(other) * (co_shape_count(first) / first->dim[first->rank - 1]);
}

int64_t co_op_flops(const co_op_desc *desc) {
  int64_t flops = 0;
  const char *words = infos[desc->op].flops, *word;
  size_t length;
  bool optional;
  if (!words) {
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
      if (desc->has_out >> i & 1) flops += co_shape_count(&desc->out[i].shape);
    return flops;
  }
  while (next_word(&words, &word, &length, &optional))
    flops += flops_of(desc, word, length);
  return flops;
}
