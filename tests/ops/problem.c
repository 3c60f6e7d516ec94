// SPDX-License-Identifier: Apache-2.0
// Problems from text such as "x=2x7x7x3 w=3x3x3x8 b=8 stride=2 pads=1": operands by name with their
// extents (":u8" after the name sets a type), attributes, flags of the family. Operands that follow
// from others (step, gate, gamma, weight, …) may be left out.
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/rng.h"
#include "kernels/bf16.h"
#include "ops_test.h"

void *ops_allocate(size_t bytes) {
  void *memory = calloc(1, bytes > 0 ? bytes : 1);
  if (memory == NULL) {
    (void)fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memory;
}

double ops_random(uint32_t purpose, int64_t i) {
  uint32_t bits = co_random_bits(1, (uint64_t)i, 0, purpose);
  return 2 * (double)co_uniform_from_bits(bits) - 1 + 0x1p-24;
}

double ops_largest(const ops_problem *p, int input) {
  if ((p->real_in >> input & 1) == 0) return 0;
  int64_t count = co_shape_count(&p->desc.in[input].shape);
  double largest = 0;
  for (int64_t i = 0; i < count; i++)
    largest = fmax(largest, fabs(((const double *)p->in[input])[i]));
  return largest;
}

static bool is(const char *name, size_t length, const char *word) {
  return strlen(word) == length && memcmp(name, word, length) == 0;
}

static bool is_input(const ops_problem *p, int i, const char *word) {
  const char *name;
  size_t length;
  bool optional;
  return co_operand_get(co_op_get_info(p->desc.op)->inputs, i, &name, &length, &optional) &&
         is(name, length, word);
}

int ops_problem_input(const ops_problem *p, const char *name) {
  int i = co_operand_find(co_op_get_info(p->desc.op)->inputs, name, strlen(name));
  return i >= 0 && (p->desc.has_in >> i & 1) ? i : -1;
}

// Value after "key=" in the text, NULL if it is not there.
static const char *find_token(const char *text, const char *key, size_t key_length) {
  while (*text != '\0') {
    text += strspn(text, " ");
    size_t length = strcspn(text, " ");
    size_t name = strcspn(text, "=: ");
    if (name == key_length && memcmp(text, key, name) == 0) return text + name;
    text += length;
  }
  return NULL;
}

bool ops_problem_has_flag(const ops_problem *p, const char *flag) {
  return find_token(p->text, flag, strlen(flag)) != NULL;
}

// ---- parsing -----------------------------------------------------------------------------------

// Extents "2x7x7"; returns how many, 0 if malformed.
static int parse_extents(const char *text, int64_t *out, int most) {
  for (int count = 0; count < most;) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0) return 0;
    out[count++] = value;
    if (*end == ' ' || *end == '\0') return count;
    if (*end != 'x') return 0;
    text = end + 1;
  }
  return 0;
}

// Shapes that follow from those of earlier operands.
static bool implied_shape(const ops_problem *p, const char *name, size_t length, co_shape *out) {
  const co_shape *x = &p->desc.in[0].shape;
  memset(out, 0, sizeof *out);
  out->rank = 1;
  co_dtype dtype;
  if (is(name, length, "step"))
    out->dim[0] = (int64_t)sizeof(co_step);
  else if (is(name, length, "gate"))
    out->dim[0] = 2;
  else if (is(name, length, "sum"))
    out->dim[0] = 1;
  else if (is(name, length, "weight") || is(name, length, "ids"))
    out->dim[0] = x->dim[0];
  else if (is(name, length, "target") && co_op_operand_type(p->desc.op, name, length, &dtype))
    out->dim[0] = x->dim[0];
  else if (is(name, length, "target") || is(name, length, "g") || is(name, length, "m") ||
           is(name, length, "v") || is(name, length, "b") || is(name, length, "ema"))
    *out = *x;
  else if (is(name, length, "gamma") || is(name, length, "beta") || is(name, length, "mean") ||
           is(name, length, "scale") || is(name, length, "fill") ||
           is(name, length, "running_mean") || is(name, length, "running_variance"))
    out->dim[0] = x->dim[x->rank - 1];
  else
    return false;
  return true;
}

static bool parse_operands(ops_problem *p, bool inputs) {
  const co_op_info *info = co_op_get_info(p->desc.op);
  const char *list = inputs ? info->inputs : info->outputs;
  co_tensor_desc *operands = inputs ? p->desc.in : p->desc.out;
  uint32_t *present = inputs ? &p->desc.has_in : &p->desc.has_out;
  uint32_t *real = inputs ? &p->real_in : &p->real_out;
  const char *name;
  size_t length;
  bool optional;
  for (int i = 0; co_operand_get(list, i, &name, &length, &optional); i++) {
    co_tensor_desc *operand = &operands[i];
    bool fixed = co_op_operand_type(p->desc.op, name, length, &operand->dtype);
    const char *token = find_token(p->text, name, length);
    if (token != NULL && *token == ':') {
      token++;
      size_t type = strcspn(token, "= ");
      int dtype = 0;
      while (dtype < CO_DTYPE_COUNT && !is(token, type, co_dtype_name((co_dtype)dtype)))
        dtype++;
      if (dtype == CO_DTYPE_COUNT) return false;
      operand->dtype = (co_dtype)dtype;
      fixed = true;
      token += type;
    }
    if (token != NULL && *token == '=') {
      // The extent of segments counts records.
      operand->shape.rank = parse_extents(token + 1, operand->shape.dim, CO_MAX_RANK);
      if (operand->shape.rank == 0) return false;
      if (is(name, length, "segments")) operand->shape.dim[0] *= (int64_t)sizeof(co_segment);
    } else if (token == NULL && (optional || !inputs)) {
      continue;
    } else if (inputs && !implied_shape(p, name, length, &operand->shape)) {
      return false;
    }
    if (!fixed) {
      operand->dtype = CO_F64;
      *real |= 1u << i;
    }
    *present |= 1u << i;
  }
  return true;
}

static bool parse_number(const char *text, double *out) {
  char *end;
  errno = 0;
  *out = strtod(text, &end);
  return end != text && errno == 0 && (*end == ' ' || *end == '\0');
}

static bool parse_pair(const char *text, int64_t out[2]) {
  int count = parse_extents(text, out, 2);
  if (count == 1) out[1] = out[0];
  return count > 0;
}

// "0.1,0.5,0.9"
static bool parse_levels(const char *text, co_op_attr *attr) {
  char *end;
  for (;; text = end + 1) {
    if (attr->level_count == CO_MAX_QUANTILES) return false;
    attr->levels[attr->level_count++] = strtod(text, &end);
    if (end == text) return false;
    if (*end != ',') return *end == ' ' || *end == '\0';
  }
}

// One token; false if it is neither an attribute, nor an operand or flag (parsed elsewhere).
static bool parse_attribute(ops_problem *p, const char *key, size_t length, const char *value) {
  co_op_attr *attr = &p->desc.attr;
  const co_op_info *info = co_op_get_info(p->desc.op);
  double number = 0;
  bool numeric = parse_number(value, &number);
  if (co_operand_find(info->inputs, key, length) >= 0) return true;
  if (co_operand_find(info->outputs, key, length) >= 0) return true;
  if (co_operand_find(p->family->flags != NULL ? p->family->flags : "", key, length) >= 0)
    return true;
  if (is(key, length, "wide_in") || is(key, length, "wide_out")) return true;
  if (is(key, length, "kernel")) return parse_pair(value, attr->kernel);
  if (is(key, length, "stride")) return parse_pair(value, attr->stride);
  if (is(key, length, "dilation")) return parse_pair(value, attr->dilation);
  if (is(key, length, "pad_begin")) return parse_pair(value, attr->pad_begin);
  if (is(key, length, "pad_end")) return parse_pair(value, attr->pad_end);
  if (is(key, length, "pads"))
    return parse_pair(value, attr->pad_begin) && parse_pair(value, attr->pad_end);
  if (is(key, length, "shape")) {
    attr->shape.rank = parse_extents(value, attr->shape.dim, CO_MAX_RANK);
    return attr->shape.rank > 0;
  }
  if (is(key, length, "parts")) return parse_extents(value, attr->parts, CO_OP_MAX_OPERANDS) > 0;
  if (is(key, length, "relu")) {
    attr->activation = CO_ACTIVATION_RELU;
    return true;
  }
  static const char *const pointwise[] = {"squared", "absolute", "huber", "quantile",
                                          "hinge",   "binary",   "given"};
  for (int f = 0; f < (int)(sizeof pointwise / sizeof *pointwise); f++)
    if (p->desc.op == CO_OP_POINTWISE_LOSS && is(key, length, pointwise[f])) {
      attr->pointwise = (co_pointwise)f;
      return true;
    }
  if (p->desc.op == CO_OP_MEMBER_MEAN && is(key, length, "sigmoid"))
    return (attr->link = CO_LINK_SIGMOID) == CO_LINK_SIGMOID;
  if (p->desc.op == CO_OP_MEMBER_MEAN && is(key, length, "softmax"))
    return (attr->link = CO_LINK_SOFTMAX) == CO_LINK_SOFTMAX;
  if (is(key, length, "zero_inflated_lognormal")) return true; // the first of them
  if (is(key, length, "negative_binomial"))
    return (attr->distribution = CO_NEGATIVE_BINOMIAL) == CO_NEGATIVE_BINOMIAL;
  if (is(key, length, "levels")) return parse_levels(value, attr);
  static const char *const functions[] = {"gelu", "silu", "elu", "leaky_relu"};
  for (int f = 0; f < (int)(sizeof functions / sizeof *functions); f++)
    if (p->desc.op == CO_OP_ACTIVATION && is(key, length, functions[f])) {
      attr->function = (co_function)f;
      return true;
    }
  static const char *const cells[] = {"lstm", "gru", "simple_rnn"}; // as co_rnn_cell
  for (int c = 0; c < 3; c++)
    if (is(key, length, cells[c])) return attr->cell = (co_rnn_cell)c, true;
  if (is(key, length, "reverse")) return (attr->reverse = 1) == 1;
  if (is(key, length, "hard_gates")) return attr->gates = CO_RNN_HARD_SIGMOID, true;
  if (is(key, length, "relu_gates")) return attr->gates = CO_RNN_RELU, true;
  if (is(key, length, "relu_states")) return attr->states = CO_RNN_RELU, true;
  if (is(key, length, "transposed_a")) return (attr->transposed_a = 1) == 1;
  if (is(key, length, "transposed_b")) return (attr->transposed_b = 1) == 1;
  if (is(key, length, "transposed")) return (attr->transposed = 1) == 1;
  if (is(key, length, "nesterov")) return (attr->nesterov = 1) == 1;
  if (is(key, length, "decoupled")) return (attr->decoupled = 1) == 1;
  if (!numeric) return false;
  if (is(key, length, "epsilon"))
    attr->epsilon = number;
  else if (is(key, length, "momentum"))
    attr->momentum = number;
  else if (is(key, length, "members"))
    attr->members = (int64_t)number;
  else if (is(key, length, "factor"))
    attr->factor = number;
  else if (is(key, length, "delta"))
    attr->delta = number;
  else if (is(key, length, "gamma"))
    attr->gamma = number;
  else if (is(key, length, "positive_weight"))
    attr->positive_weight = number;
  else if (is(key, length, "label_smoothing"))
    attr->label_smoothing = number;
  else if (is(key, length, "alpha"))
    attr->alpha = number;
  else if (is(key, length, "rate"))
    attr->rate = number;
  else if (is(key, length, "least_area"))
    attr->least_area = number;
  else if (is(key, length, "rotation"))
    attr->rotation = number;
  else if (is(key, length, "brightness"))
    attr->brightness = number;
  else if (is(key, length, "contrast"))
    attr->contrast = number;
  else if (is(key, length, "cutout"))
    attr->cutout = (int64_t)number;
  else if (is(key, length, "fill"))
    attr->fill = number;
  else if (is(key, length, "pad"))
    attr->pad = (int64_t)number;
  else if (is(key, length, "output"))
    attr->output = (int32_t)number;
  else if (is(key, length, "heads"))
    attr->heads = (int64_t)number;
  else if (is(key, length, "causal"))
    attr->causal = (int64_t)number;
  else if (is(key, length, "pooling"))
    attr->pooling = (int64_t)number;
  else if (is(key, length, "max_length"))
    attr->max_length = (int64_t)number;
  else if (is(key, length, "mixup"))
    attr->mixup = number;
  else if (is(key, length, "cutmix"))
    attr->cutmix = number;
  else if (is(key, length, "draws"))
    attr->draws = (int64_t)number;
  else if (is(key, length, "groups"))
    attr->groups = (int64_t)number;
  else if (is(key, length, "rms"))
    attr->rms = (int64_t)number;
  else if (is(key, length, "append"))
    attr->append = (int64_t)number;
  else if (is(key, length, "axis"))
    attr->axis = (int64_t)number;
  else if (is(key, length, "clip_norm"))
    attr->clip_norm = number;
  else if (is(key, length, "clip_value"))
    attr->clip_value = number;
  else if (is(key, length, "added"))
    attr->added = number;
  else if (is(key, length, "weight_decay"))
    attr->weight_decay = number;
  else if (is(key, length, "beta1"))
    attr->beta1 = number;
  else if (is(key, length, "beta2"))
    attr->beta2 = number;
  else
    return false;
  return true;
}

static bool parse(ops_problem *p) {
  co_op_attr *attr = &p->desc.attr;
  if (!parse_operands(p, true)) return false;
  if (p->desc.op == CO_OP_CONV2D || p->desc.op == CO_OP_CONV2D_TRANSPOSE) {
    for (int axis = 0; axis < 2; axis++) {
      attr->kernel[axis] = p->desc.in[1].shape.dim[axis];
      attr->stride[axis] = attr->dilation[axis] = 1;
    }
  }
  if (p->desc.op == CO_OP_AUGMENT) attr->least_area = 1;
  if (p->desc.op == CO_OP_POINTWISE_LOSS) attr->positive_weight = 1;
  if (p->desc.op == CO_OP_MAX_POOL2D || p->desc.op == CO_OP_AVERAGE_POOL2D)
    attr->stride[0] = attr->stride[1] = 1;
  if (co_op_get_info(p->desc.op)->typed) attr->dtype = CO_F64;
  attr->purpose = co_purpose("ops", "test");
  if (p->desc.op == CO_OP_INPUT_ROWS) attr->crop_purpose = co_purpose("ops", "crop");
  for (const char *at = p->text; *at != '\0';) {
    at += strspn(at, " ");
    size_t length = strcspn(at, " "), name = strcspn(at, "=: ");
    const char *value = at + name + (at[name] == '=' ? 1 : 0);
    if (!parse_attribute(p, at, name, value)) {
      (void)fprintf(stderr, "'%.*s': ", (int)length, at);
      return false;
    }
    at += length;
  }
  return parse_operands(p, false);
}

// ---- values ------------------------------------------------------------------------------------

static void fill_real(double *out, int64_t count, ops_values values, uint32_t purpose) {
  for (int64_t i = 0; i < count; i++)
    if (values == OPS_INTEGER) {
      out[i] = (double)(int)(co_random_bits(1, (uint64_t)i, 0, purpose) % 9) - 4;
    } else {
      // Distinct, at least 0.26 / count from zero, and held by f32 without rounding.
      uint64_t place = co_permute(1, 0, purpose, (uint64_t)count, (uint64_t)i);
      out[i] = (double)(float)(2 * ((double)place + 0.37) / (double)count - 1);
    }
}

static void fill_bf16(co_bf16 *out, int64_t count, ops_values values, uint32_t purpose) {
  double *reals = ops_allocate((size_t)count * sizeof *reals);
  fill_real(reals, count, values, purpose);
  for (int64_t i = 0; i < count; i++)
    out[i] = co_bf16_round((float)reals[i]);
  free(reals);
}

static void fill_step(co_step *step, int64_t rows) {
  memset(step, 0, sizeof *step);
  step->seed = 0x9E3779B97F4A7C15u;
  step->step = 3;
  step->epoch = 2;
  step->row_offset = 1000;
  step->learning_rate = 0.05;
  step->ema_rate = 0.25;
  step->bias_correction1 = 1 / (1 - 0.9 * 0.9 * 0.9 * 0.9);
  step->bias_correction2 = 1 / (1 - 0.999 * 0.999 * 0.999 * 0.999);
  for (int i = 0; i < CO_MAX_LOSSES; i++)
    step->inv_norm[i] = 1 / ((double)rows + i + 0.5);
}

// One segment covers all; several leave gaps, start at odd places and differ in rates.
static void fill_segments(co_segment *segment, int64_t segments, int64_t count) {
  for (int64_t s = 0; s < segments; s++) {
    int64_t begin = segments == 1 ? 0 : s * count / segments + 1;
    int64_t end = segments == 1 ? count : (s + 1) * count / segments;
    segment[s] = (co_segment){.begin = begin,
                              .count = end > begin ? end - begin : 0,
                              .rate = 1 / (1 + (double)s),
                              .decay = s % 2 == 0 ? 1 : 0};
  }
}

// Of the flat block that an update works on, or whose norm is taken.
static int64_t block_elements(const ops_problem *p) {
  const int narrow = p->desc.op == CO_OP_GRADIENT_NORM ? ops_problem_input(p, "narrow") : -1;
  const bool more = narrow >= 0 && (p->desc.has_in >> narrow & 1);
  return p->desc.in[0].shape.dim[0] + (more ? p->desc.in[narrow].shape.dim[0] : 0);
}

// Rows of the table (of none: of any), both ends among them.
static void fill_index(ops_problem *p, int i, uint32_t purpose) {
  const co_tensor_desc *operand = &p->desc.in[i];
  const int table = p->desc.op == CO_OP_EMBEDDING ? i + 1 : ops_problem_input(p, "table");
  uint64_t rows = table < 0 ? INT32_MAX : (uint64_t)p->desc.in[table].shape.dim[0];
  for (int64_t k = 0; k < co_shape_count(&operand->shape); k++) {
    uint64_t row = co_random_bits(1, (uint64_t)k, 0, purpose) % rows;
    if (k < 2) row = k == 0 ? rows - 1 : 0;
    if (operand->dtype == CO_I32)
      ((int32_t *)p->in[i])[k] = (int32_t)row;
    else
      ((int64_t *)p->in[i])[k] = (int64_t)row;
  }
}

static void fill_input(ops_problem *p, int i) {
  const co_tensor_desc *operand = &p->desc.in[i];
  int64_t count = co_shape_count(&operand->shape);
  const co_shape *first = &p->desc.in[0].shape;
  uint32_t purpose = co_purpose(p->text, co_op_get_info(p->desc.op)->name) + (uint32_t)i;
  p->in[i] = ops_allocate(co_tensor_bytes(operand));
  if (p->real_in >> i & 1) {
    double *values = p->in[i];
    fill_real(values, count, p->values, purpose);
    if (is_input(p, i, "variance") || is_input(p, i, "running_variance") || is_input(p, i, "v") ||
        is_input(p, i, "weight"))
      for (int64_t k = 0; k < count; k++)
        values[k] = fabs(values[k]);
  } else if (is_input(p, i, "step")) {
    fill_step(p->in[i], first->dim[0]);
  } else if (is_input(p, i, "segments")) {
    fill_segments(p->in[i], count / (int64_t)sizeof(co_segment), block_elements(p));
  } else if (is_input(p, i, "gate")) {
    ((double *)p->in[i])[0] = 1;
    ((double *)p->in[i])[1] = 1;
  } else if (is_input(p, i, "target")) {
    for (int64_t k = 0; k < count; k++)
      ((int32_t *)p->in[i])[k] =
          (int32_t)(co_random_bits(1, (uint64_t)k, 0, purpose) % (uint64_t)first->dim[1]);
  } else if (is_input(p, i, "index") || p->desc.op == CO_OP_EMBEDDING) {
    fill_index(p, i, purpose);
  } else if (operand->dtype == CO_U8) {
    for (int64_t k = 0; k < count; k++)
      ((uint8_t *)p->in[i])[k] = (uint8_t)(co_random_bits(1, (uint64_t)k, 0, purpose) >> 24);
  } else if (operand->dtype == CO_I32) {
    for (int64_t k = 0; k < count; k++)
      ((int32_t *)p->in[i])[k] = (int32_t)(ops_random(purpose, k) * 0x1p31);
  } else if (operand->dtype == CO_I64) { // within 2^52, which double holds
    for (int64_t k = 0; k < count; k++)
      ((int64_t *)p->in[i])[k] = (int64_t)(ops_random(purpose, k) * 0x1p52);
  } else if (operand->dtype == CO_F32) {
    for (int64_t k = 0; k < count; k++)
      ((float *)p->in[i])[k] = (float)ops_random(purpose, k);
  } else if (operand->dtype == CO_BF16) {
    fill_bf16(p->in[i], count, p->values, purpose);
  } else {
    for (int64_t k = 0; k < count; k++)
      ((double *)p->in[i])[k] = ops_random(purpose, k) * (1 + 0x1p-40);
  }
}

// The policy bf16 gives every backend and the oracle the same values, too.
static void round_data(ops_problem *p) {
  uint32_t in, out;
  co_op_bf16_operands(p->desc.op, &in, &out);
  for (int i = 0; p->bf16 && i < CO_OP_MAX_OPERANDS; i++) {
    if ((p->desc.has_in & p->real_in & in) >> i & 1) {
      int64_t count = co_shape_count(&p->desc.in[i].shape);
      double *values = p->in[i];
      for (int64_t k = 0; k < count; k++)
        values[k] = (double)co_bf16_widen(co_bf16_round((float)values[k]));
    }
  }
}

// ---- problems ----------------------------------------------------------------------------------

// Whether output i is computed in the policy's type.
static bool is_real_output(const ops_problem *p, int i) {
  const char *name;
  size_t length;
  bool optional;
  co_dtype fixed;
  if (!co_operand_get(co_op_get_info(p->desc.op)->outputs, i, &name, &length, &optional))
    return false;
  if (p->desc.out[i].dtype != CO_F64 || co_op_operand_type(p->desc.op, name, length, &fixed))
    return false;
  return p->real_in != 0 || co_op_get_info(p->desc.op)->typed;
}

ops_problem *ops_problem_create(const ops_family *family, const char *text, ops_values values,
                                bool bf16) {
  ops_problem *p = ops_allocate(sizeof *p);
  p->family = family;
  p->text = text;
  p->values = values;
  p->bf16 = bf16;
  p->desc.op = family->op;
  if (!parse(p)) {
    (void)fprintf(stderr, "%s: malformed case '%s'\n", co_op_get_info(family->op)->name, text);
    ops_problem_free(p);
    return NULL;
  }
  // Outputs with extents: an operation that infers nothing. Words without extents ask for
  // optional outputs of others.
  bool explicit_outputs = false;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    explicit_outputs = explicit_outputs || p->desc.out[i].shape.rank > 0;
  if (!explicit_outputs && co_op_infer(&p->desc) != CO_OK) {
    (void)fprintf(stderr, "%s '%s': %s\n", co_op_get_info(family->op)->name, text,
                  co_error_last()->message);
    ops_problem_free(p);
    return NULL;
  }
  if (!explicit_outputs) {
    p->real_out = 0;
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
      if ((p->desc.has_out >> i & 1) && is_real_output(p, i)) p->real_out |= 1u << i;
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (p->desc.has_in >> i & 1) fill_input(p, i);
  if (family->adjust != NULL) family->adjust(p);
  round_data(p);
  return p;
}

ops_problem *ops_problem_derive(const ops_problem *forward, const co_rule *rule,
                                void *const *forward_out) {
  const co_op_info *info = co_op_get_info(forward->desc.op);
  ops_problem *p = ops_allocate(sizeof *p);
  p->family = forward->family;
  p->text = forward->text;
  p->values = forward->values;
  p->bf16 = forward->bf16;
  p->forward = forward;
  p->desc.op = (co_op)rule->op;
  p->desc.attr = forward->desc.attr;
  p->desc.attr.activation = CO_ACTIVATION_NONE;
  for (int i = 0; i < rule->inputs; i++) {
    const char *name = rule->in[i].name;
    size_t length = rule->in[i].length;
    int input = co_operand_find(info->inputs, name, length);
    int output = co_operand_find(info->outputs, name, length);
    int gradient = co_operand_find(info->outputs, name + 1, length - 1);
    bool from_input = input >= 0, from_output = !from_input && output >= 0;
    int from = from_input ? input : (from_output ? output : gradient);
    uint32_t present = from_input ? forward->desc.has_in : forward->desc.has_out;
    uint32_t real = from_input ? forward->real_in : forward->real_out;
    bool incoming = !from_input && !from_output;
    if (incoming && (real >> from & 1) == 0) { // integers have no gradient
      ops_problem_free(p);
      return NULL;
    }
    if ((present >> from & 1) == 0) {
      if (rule->in[i].optional) continue;
      ops_problem_free(p);
      return NULL;
    }
    p->desc.in[i] = from_input ? forward->desc.in[from] : forward->desc.out[from];
    p->desc.has_in |= 1u << i;
    p->real_in |= (real >> from & 1) << i;
    int64_t count = co_shape_count(&p->desc.in[i].shape);
    size_t bytes = co_tensor_bytes(&p->desc.in[i]);
    p->in[i] = ops_allocate(bytes);
    if (incoming) {
      fill_real(p->in[i], count, p->values, co_purpose(p->text, "gradient"));
      continue;
    }
    memcpy(p->in[i], from_input ? forward->in[from] : forward_out[from], bytes);
    if (real >> from & 1) // both policies get the same values
      for (int64_t k = 0; k < count; k++)
        ((double *)p->in[i])[k] = (double)(float)((double *)p->in[i])[k];
  }
  for (int i = 0; i < rule->outputs; i++) {
    int of = co_operand_find(info->inputs, rule->out[i].name + 1, rule->out[i].length - 1);
    if ((forward->desc.has_in >> of & 1) == 0) continue;
    p->desc.out[i] = forward->desc.in[of];
    p->desc.has_out |= 1u << i;
    p->real_out |= (forward->real_in >> of & 1) << i;
  }
  round_data(p);
  return p;
}

void ops_problem_free(ops_problem *p) {
  if (p == NULL) return;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    free(p->in[i]);
  free(p);
}

static bool is_kernel_gradient(const co_op_desc *desc) {
  return desc->op == CO_OP_CONV2D_BACKWARD_WEIGHTS ||
         desc->op == CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS;
}

co_op_desc ops_problem_desc(const ops_problem *p, co_dtype policy) {
  co_op_desc desc = p->desc;
  uint32_t in = ~0u, out = ~0u, or_in, or_out;
  co_op_bf16_or_f32(desc.op, &or_in, &or_out);
  if (policy == CO_BF16) co_op_bf16_operands(desc.op, &in, &out);
  if (policy == CO_BF16 && ops_problem_has_flag(p, "wide_in")) in &= ~1u;
  // Gradients of kernels are f32 as a rule; families of their own have them in bf16.
  if (policy == CO_BF16 && p->forward != NULL && is_kernel_gradient(&desc)) out &= ~or_out;
  if (policy == CO_BF16 && ops_problem_has_flag(p, "wide_out") && p->forward == NULL) {
    out &= ~1u;
    in &= ~or_in; // a bias goes with the result
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (p->real_in >> i & 1) desc.in[i].dtype = in >> i & 1 ? policy : CO_F32;
    if (p->real_out >> i & 1) desc.out[i].dtype = out >> i & 1 ? policy : CO_F32;
  }
  if (co_op_get_info(desc.op)->typed) desc.attr.dtype = policy;
  return desc;
}

void *ops_narrow(const void *values, int64_t count, bool real, co_dtype dtype, co_dtype to) {
  size_t bytes = (size_t)count * co_dtype_size(dtype);
  void *out = ops_allocate(bytes);
  if (real && to == CO_F32)
    for (int64_t i = 0; i < count; i++)
      ((float *)out)[i] = (float)((const double *)values)[i];
  else if (real && to == CO_BF16)
    for (int64_t i = 0; i < count; i++)
      ((co_bf16 *)out)[i] = co_bf16_round((float)((const double *)values)[i]);
  else
    memcpy(out, values, bytes);
  return out;
}
