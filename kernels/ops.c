// SPDX-License-Identifier: Apache-2.0
// The table of operations and the little language of its operand lists and rules.
#include "kernels/ops.h"

#include <assert.h>
#include <string.h>

#include "kernels/check.h"
#include "kernels/ref/ref.h"

static const co_op_info infos[CO_OP_COUNT] = {
#define X(ENUM, name, inputs, outputs, backward, inference)                                        \
  {#ENUM, #name, inputs, outputs, backward, inference},
    CO_OPS(X)
#undef X
};

static co_status (*const infers[CO_OP_COUNT])(co_op_desc *) = {
#define X(ENUM, name, inputs, outputs, backward, inference) co_infer_##name,
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

// The next word of a list of words at *cursor, without its '?'; false at the end.
static bool next_word(const char **cursor, const char **name, size_t *length, bool *optional) {
  const char *at = *cursor;
  at += strspn(at, " ");
  size_t word = strcspn(at, " ;");
  if (word == 0) return false;
  *cursor = at + word;
  *optional = at[word - 1] == '?';
  *name = at;
  *length = word - (*optional ? 1 : 0);
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

// ---- bf16 --------------------------------------------------------------------------------------

typedef enum bf16_rule {
  TOGETHER, // all or none
  BY_ITSELF,
  DENSE_LIKE // b and y may be f32 where x and w are bf16
} bf16_rule;

static const struct {
  uint8_t in, out, rule;
} bf16_of[CO_OP_COUNT] = {
    [CO_OP_DENSE] = {7, 1, DENSE_LIKE},
    [CO_OP_DENSE_BACKWARD_DATA] = {3, 1, TOGETHER},
    [CO_OP_DENSE_BACKWARD_WEIGHTS] = {3, 0, TOGETHER},
    [CO_OP_DENSE_RELU_BACKWARD] = {3, 1, TOGETHER}, // dy, w: dx
    [CO_OP_CONV2D] = {7, 1, TOGETHER},
    [CO_OP_CONV2D_BACKWARD_DATA] = {3, 1, TOGETHER},
    [CO_OP_CONV2D_BACKWARD_WEIGHTS] = {3, 0, TOGETHER},
    [CO_OP_MAX_POOL2D] = {1, 1, TOGETHER},
    [CO_OP_MAX_POOL2D_BACKWARD] = {1, 1, TOGETHER},
    [CO_OP_GLOBAL_AVERAGE_POOL2D] = {1, 1, TOGETHER},
    [CO_OP_GLOBAL_AVERAGE_POOL2D_BACKWARD] = {1, 1, TOGETHER},
    [CO_OP_RELU] = {1, 1, TOGETHER},
    [CO_OP_RELU_BACKWARD] = {3, 1, TOGETHER},
    [CO_OP_RELU_BIAS_BACKWARD] = {3, 1, TOGETHER},
    [CO_OP_BATCH_NORM] = {1, 1, TOGETHER},
    [CO_OP_BATCH_NORM_BACKWARD] = {1 | 1 << 4, 1, TOGETHER}, // x, dy: dx
    [CO_OP_BATCH_NORM_INFERENCE] = {1, 1, TOGETHER},
    [CO_OP_ADD] = {3, 1, TOGETHER},
    [CO_OP_CONCAT] = {3, 1, TOGETHER},
    [CO_OP_CONCAT_BACKWARD] = {1, 3, TOGETHER},
    [CO_OP_RESHAPE] = {1, 1, TOGETHER},
    [CO_OP_DROPOUT] = {1, 1, TOGETHER},
    [CO_OP_EMBEDDING] = {0, 1, BY_ITSELF},
    [CO_OP_EMBEDDING_BACKWARD] = {2, 0, TOGETHER}, // dy
    [CO_OP_SOFTMAX] = {1, 0, TOGETHER},
    [CO_OP_SOFTMAX_CROSS_ENTROPY] = {1, 1 << 2, TOGETHER}, // x: dx
    [CO_OP_MEAN_SQUARED_ERROR] = {1, 1 << 2, TOGETHER},
    [CO_OP_CATEGORICAL_HITS] = {1, 0, TOGETHER},
    [CO_OP_GATHER] = {1, 1, TOGETHER},
    [CO_OP_CAST] = {1, 1, BY_ITSELF},
    [CO_OP_NORMALIZE] = {1, 1, BY_ITSELF},
    [CO_OP_FLIP] = {1, 1, BY_ITSELF},
    [CO_OP_SHIFTED_CROP] = {1, 1, BY_ITSELF},
    [CO_OP_INPUT_ROWS] = {0, 1, BY_ITSELF},
    [CO_OP_SGD] = {0, 1 << 2, BY_ITSELF}, // mirror
    [CO_OP_ADAM] = {0, 1 << 3, BY_ITSELF},
    [CO_OP_REORDER] = {1, 1, TOGETHER},
};

void co_op_bf16_operands(co_op op, uint32_t *in, uint32_t *out) {
  *in = bf16_of[op].in;
  *out = bf16_of[op].out;
}

static uint32_t bf16_bits(const co_tensor_desc *operands, uint32_t present) {
  uint32_t bits = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((present >> i & 1) && operands[i].dtype == CO_BF16) bits |= 1u << i;
  return bits;
}

co_status co_op_check_bf16(const co_op_desc *desc) {
  uint32_t in, out, may_in, may_out;
  in = bf16_bits(desc->in, desc->has_in);
  out = bf16_bits(desc->out, desc->has_out);
  if (!(in | out)) return CO_OK;
  const char *name = infos[desc->op].name;
  co_op_bf16_operands(desc->op, &may_in, &may_out);
  if ((in & ~may_in) || (out & ~may_out))
    return co_fail(CO_ERR_DEVICE, "%s: an operand is bf16 that must not be", name);
  if (desc->op == CO_OP_DENSE_RELU_BACKWARD && (desc->has_out >> 1 & 1))
    return co_fail(CO_ERR_DEVICE, "%s: no bias gradient beside a result in bf16", name);
  may_in &= desc->has_in;
  may_out &= desc->has_out;
  bool together = in == may_in && out == may_out;
  if (bf16_of[desc->op].rule == BY_ITSELF || together) return CO_OK;
  if (bf16_of[desc->op].rule == DENSE_LIKE && in == (may_in & 3u) && out == 0) return CO_OK;
  return co_fail(CO_ERR_DEVICE, "%s: some of its data are bf16, some not", name);
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

int64_t co_op_flops(const co_op_desc *desc) {
  int64_t window;
  switch (desc->op) {
  case CO_OP_DENSE: // 2 N I O
    return 2 * co_shape_count(&desc->in[0].shape) * desc->in[1].shape.dim[1];
  case CO_OP_DENSE_BACKWARD_DATA:
  case CO_OP_DENSE_RELU_BACKWARD:
    return 2 * co_shape_count(&desc->in[0].shape) * desc->in[1].shape.dim[0];
  case CO_OP_DENSE_BACKWARD_WEIGHTS:
    return 2 * co_shape_count(&desc->in[0].shape) * desc->in[1].shape.dim[1];
  case CO_OP_CONV2D: // 2 N P Q O KH KW C, zero padding counted like the image
    window = co_shape_count(&desc->in[1].shape) / desc->in[1].shape.dim[3];
    return 2 * co_shape_count(&desc->out[0].shape) * window;
  case CO_OP_CONV2D_BACKWARD_DATA:
    window = co_shape_count(&desc->in[1].shape) / desc->in[1].shape.dim[3];
    return 2 * co_shape_count(&desc->in[0].shape) * window;
  case CO_OP_CONV2D_BACKWARD_WEIGHTS:
    window = co_shape_count(&desc->out[0].shape) / desc->out[0].shape.dim[3];
    return 2 * co_shape_count(&desc->in[1].shape) * window;
  case CO_OP_GLOBAL_AVERAGE_POOL2D: // an addition per pixel
    return co_shape_count(&desc->in[0].shape);
  case CO_OP_EMBEDDING_BACKWARD: // an addition per element of dy
    return co_shape_count(&desc->in[1].shape);
  default:
    break;
  }
  int64_t flops = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (desc->has_out >> i & 1) flops += co_shape_count(&desc->out[i].shape);
  return flops;
}
