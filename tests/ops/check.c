// SPDX-License-Identifier: Apache-2.0
// Compares backends with the oracle, and the oracle's gradients with finite differences.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/ref/ref.h"
#include "ops_test.h"

// ---- oracle ------------------------------------------------------------------------------------

// Runs the reference in double. Outputs are allocated and start from the input they replace, or
// zero.
static void run_oracle(const ops_suite *suite, const ops_problem *p, void *const *in, void **out) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    out[i] = NULL;
    if ((p->desc.has_out >> i & 1) == 0) continue;
    bool always;
    int of = co_op_alias(p->desc.op, i, &always);
    size_t bytes = co_tensor_bytes(&p->desc.out[i]);
    out[i] = ops_allocate(bytes);
    if (always && of >= 0) memcpy(out[i], in[of], bytes);
  }
  (void)suite->reference(&p->desc, in, out);
}

static void free_all(void **pointers) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    free(pointers[i]);
    pointers[i] = NULL;
  }
}

// ---- tolerance ---------------------------------------------------------------------------------

// |got - want| <= roundoff * (terms + 8) * magnitude. For linear operations the magnitude is what
// the oracle gives for absolute inputs, element by element: the classical bound for a sum of
// products in any order. For others it is the largest |want| of the output, or of the terms that
// cancel in it where the family names them. The 8 covers a handful of roundings and library
// exponentials after the sum. Integer inputs make sums exact: then nothing is allowed, where the
// family says so. A result in bf16 is rounded once more, by at most 2^-8 of what it is; an exact one
// must be the oracle's, rounded.
typedef struct tolerance {
  bool exact;
  double factor;       // terms + 8
  double floor;        // least magnitude
  const double *bound; // magnitudes, NULL = the largest |want|
} tolerance;

static bool is_exact(const ops_problem *p) {
  bool integers = p->values == OPS_INTEGER;
  if (p->family->exact == OPS_EXACT_ALWAYS) return integers || p->forward == NULL;
  return p->family->exact == OPS_EXACT_ON_INTEGERS && integers;
}

static double load(const void *values, co_dtype dtype, int64_t i) {
  switch (dtype) {
  case CO_U8:
    return (double)((const uint8_t *)values)[i];
  case CO_I32:
    return (double)((const int32_t *)values)[i];
  case CO_I64:
    return (double)((const int64_t *)values)[i];
  case CO_F32:
    return (double)((const float *)values)[i];
  case CO_BF16:
    return (double)co_bf16_widen(((const co_bf16 *)values)[i]);
  default:
    return ((const double *)values)[i];
  }
}

// As the result of an exact operation in this type.
static double rounded_to(co_dtype dtype, double value) {
  if (dtype == CO_F32) return (double)(float)value;
  if (dtype == CO_BF16) return (double)co_bf16_widen(co_bf16_round((float)value));
  return value;
}

static bool unwritten(const void *values, co_dtype dtype, int64_t i) {
  size_t size = co_dtype_size(dtype);
  const unsigned char *bytes = (const unsigned char *)values + (size_t)i * size;
  int bad = dtype >= CO_F32 ? 0xFF : 0xA5;
  for (size_t k = 0; k < size; k++)
    if (bytes[k] != bad) return false;
  return true;
}

// Of a product, the share of its magnitude by which operands rounded to TF32 may move it: each keeps
// 10 bits after the first, and may be cut instead of rounded.
static double tf32_share(const ops_suite *suite, co_op op) {
  bool product =
      op == CO_OP_DENSE || op == CO_OP_DENSE_BACKWARD_DATA || op == CO_OP_DENSE_BACKWARD_WEIGHTS ||
      op == CO_OP_DENSE_RELU_BACKWARD || op == CO_OP_CONV2D || op == CO_OP_CONV2D_BACKWARD_DATA ||
      op == CO_OP_CONV2D_BACKWARD_WEIGHTS || op == CO_OP_CONV2D_TRANSPOSE ||
      op == CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS || op == CO_OP_LINEAR_CROSS_ENTROPY ||
      op == CO_OP_MATMUL || op == CO_OP_MATMUL_BACKWARD_A || op == CO_OP_MATMUL_BACKWARD_B;
  return suite->tf32 && product ? 2 * OPS_ROUNDOFF_TF32 : 0;
}

// Of a sum that is NaN, the relu of a product may make 0 (ops.h); that of the reference does not.
static bool may_hide_nan(const ops_problem *p, const char *implementation) {
  return (p->desc.op == CO_OP_DENSE || p->desc.op == CO_OP_CONV2D ||
          p->desc.op == CO_OP_CONV2D_TRANSPOSE) &&
         p->desc.attr.activation == CO_ACTIVATION_RELU && strcmp(implementation, "ref") != 0;
}

static void compare(ops_suite *suite, const ops_problem *p, const char *where, co_dtype policy,
                    const char *implementation, int output, const void *got, const double *want,
                    const tolerance *t) {
  co_op_desc desc = ops_problem_desc(p, policy);
  co_dtype dtype = desc.out[output].dtype;
  int64_t count = co_shape_count(&desc.out[output].shape), wrong = 0, first = -1;
  double roundoff = policy == CO_F64 ? OPS_ROUNDOFF_F64 : OPS_ROUNDOFF_F32;
  bool integer = dtype < CO_F32;
  // Of a mirror, which is bf16 under every policy, the oracle's value is rounded, too.
  double narrow = dtype != CO_BF16 ? 0 : OPS_ROUNDOFF_BF16 * (p->real_out >> output & 1 ? 1 : 2);
  // cuDNN writes weight gradients in the type of its operands; they are widened afterwards.
  bool through_bf16 =
      policy == CO_BF16 && strcmp(implementation, "cudnn+widen") == 0 && output == 0;
  if (through_bf16) narrow = OPS_ROUNDOFF_BF16;
  // Slopes of a loss in tiles are f32 under the policy bf16, too.
  bool wide = policy == CO_F32 || (policy == CO_BF16 && p->desc.op == CO_OP_LINEAR_CROSS_ENTROPY);
  double tf32 = wide ? tf32_share(suite, p->desc.op) : 0;
  double largest = t->floor, allowed = 0;
  for (int64_t i = 0; i < count; i++)
    if (isfinite(want[i])) largest = fmax(largest, fabs(want[i]));
  for (int64_t i = 0; i < count; i++) {
    double magnitude = t->bound != NULL ? t->bound[i] : largest;
    double bound =
        (t->exact && !through_bf16) || integer ? 0 : (roundoff * t->factor + tf32) * magnitude;
    if (bound > 0) bound += narrow * ((through_bf16 ? magnitude : fabs(want[i])) + bound);
    double wanted = t->exact ? rounded_to(dtype, want[i]) : want[i];
    double value = load(got, dtype, i);
    if (value == wanted || (isnan(value) && isnan(wanted) && !unwritten(got, dtype, i))) continue;
    if (isfinite(wanted) && fabs(value - wanted) <= bound) continue;
    if (isnan(wanted) && value == 0 && may_hide_nan(p, implementation)) continue;
    if (wrong++ == 0) {
      first = i;
      allowed = bound;
    }
  }
  if (wrong == 0) return;
  char shape[128];
  co_shape_print(&desc.out[output].shape, shape, sizeof shape);
  if (unwritten(got, dtype, first))
    ops_fail(&suite->report, p, where, "output %d %s (%s): element %lld is unwritten, %lld wrong",
             output, shape, implementation, (long long)first, (long long)wrong);
  else
    ops_fail(&suite->report, p, where,
             "output %d %s (%s): element %lld is %.9g instead of %.9g (tolerance %.3g), %lld wrong",
             output, shape, implementation, (long long)first, load(got, dtype, first), want[first],
             allowed, (long long)wrong);
}

// ---- backends ----------------------------------------------------------------------------------

typedef struct truth {
  double *want[CO_OP_MAX_OPERANDS]; // integers as double, too
  double *bound[CO_OP_MAX_OPERANDS];
  double *start[CO_OP_MAX_OPERANDS]; // what accumulation adds to
} truth;

static double *widen(void *values, co_dtype dtype, int64_t count) {
  double *out = ops_allocate((size_t)count * sizeof *out);
  for (int64_t i = 0; i < count; i++)
    out[i] = load(values, dtype, i);
  return out;
}

static void truth_open(const ops_suite *suite, const ops_problem *p, truth *t) {
  void *out[CO_OP_MAX_OPERANDS], *bound[CO_OP_MAX_OPERANDS] = {0};
  void *absolute[CO_OP_MAX_OPERANDS] = {0};
  run_oracle(suite, p, p->in, out);
  if (p->family->linear) {
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
      if ((p->desc.has_in >> i & 1) == 0) continue;
      int64_t count = co_shape_count(&p->desc.in[i].shape);
      absolute[i] = ops_narrow(p->in[i], count, false, p->desc.in[i].dtype, CO_F64);
      for (int64_t k = 0; (p->real_in >> i & 1) && k < count; k++)
        ((double *)absolute[i])[k] = fabs(((double *)absolute[i])[k]);
    }
    run_oracle(suite, p, absolute, bound);
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if ((p->desc.has_out >> i & 1) == 0) continue;
    int64_t count = co_shape_count(&p->desc.out[i].shape);
    t->want[i] = widen(out[i], p->desc.out[i].dtype, count);
    if (bound[i] != NULL) t->bound[i] = widen(bound[i], p->desc.out[i].dtype, count);
    t->start[i] = ops_allocate((size_t)count * sizeof(double));
    for (int64_t k = 0; k < count; k++)
      t->start[i][k] = floor(5 * ops_random(17 + (uint32_t)i, k));
  }
  free_all(out);
  free_all(bound);
  free_all(absolute);
}

static void truth_close(truth *t) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    free(t->want[i]);
    free(t->bound[i]);
    free(t->start[i]);
  }
}

static void check_outputs(ops_suite *suite, const ops_problem *p, const char *where,
                          const ops_mode *mode, const char *implementation, void *const *got,
                          const truth *t) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (got[i] == NULL) continue;
    int64_t count = co_shape_count(&p->desc.out[i].shape);
    int64_t terms = p->family->terms != NULL ? p->family->terms(&p->desc, i) : 1;
    tolerance allowed = {.exact = is_exact(p), .factor = (double)terms + 8, .bound = t->bound[i]};
    if (p->family->magnitude != NULL) allowed.floor = p->family->magnitude(p, i);
    double *want = t->want[i], *sums = NULL, *bounds = NULL;
    if (mode->accumulate >> i & 1) {
      sums = want = ops_allocate((size_t)count * sizeof *sums);
      bounds = ops_allocate((size_t)count * sizeof *bounds);
      for (int64_t k = 0; k < count; k++) {
        sums[k] = t->start[i][k] + t->want[i][k];
        bounds[k] = fabs(t->start[i][k]) + (t->bound[i] != NULL ? t->bound[i][k] : 0);
      }
      if (t->bound[i] != NULL) allowed.bound = bounds;
      // A moved value stays exact, its sum with another one is rounded once.
      allowed.exact = allowed.exact && p->values == OPS_INTEGER;
    }
    compare(suite, p, where, mode->policy, implementation, i, got[i], want, &allowed);
    free(sums);
    free(bounds);
  }
}

static ops_outcome check_mode(ops_suite *suite, const ops_problem *p, co_backend *backend,
                              const ops_mode *mode, co_op_choice *choice, const truth *t) {
  void *got[CO_OP_MAX_OPERANDS];
  ops_outcome outcome = ops_execute(&suite->report, p, backend, mode, choice, got);
  if (outcome != OPS_RAN) return outcome;
  char where[64];
  (void)snprintf(where, sizeof where, "%s %s%s%s%s", backend->api->name,
                 co_dtype_name(mode->policy),
                 mode->any ? "" : (mode->facts != NULL ? " blocked" : " canonical"),
                 mode->accumulate ? " accumulating" : "", mode->in_place ? " in place" : "");
  check_outputs(suite, p, where, mode, choice->implementation, got, t);
  free_all(got);
  return outcome;
}

static bool is_reference(const co_backend *backend) {
  return strcmp(backend->api->name, "ref") == 0;
}

// The layout that a convolution gives its output of this shape: what other operations on images
// have to cope with. Canonical where the backend has no better one.
static co_layout image_layout(co_backend *backend, const co_tensor_desc *image) {
  co_op_desc conv;
  memset(&conv, 0, sizeof conv);
  conv.op = CO_OP_CONV2D;
  conv.has_in = 3;
  conv.in[0] = *image;
  conv.in[1].dtype = image->dtype;
  int64_t C = image->shape.dim[3];
  conv.in[1].shape = co_shape_make(4, (int64_t)3, (int64_t)3, C, C);
  for (int axis = 0; axis < 2; axis++) {
    conv.attr.kernel[axis] = 3;
    conv.attr.stride[axis] = conv.attr.dilation[axis] = 1;
    conv.attr.pad_begin[axis] = conv.attr.pad_end[axis] = 1;
  }
  co_op_choice choice;
  if (co_op_infer(&conv) != CO_OK) return CO_LAYOUT_CANONICAL;
  conv.in[0].layout = conv.in[1].layout = conv.out[0].layout = CO_LAYOUT_ANY;
  if (backend->api->query(backend, &conv, &choice) != CO_OK) return CO_LAYOUT_CANONICAL;
  return choice.out[0];
}

static bool is_image(const ops_problem *p, bool input, int i) {
  const co_op_info *info = co_op_get_info(p->desc.op);
  const co_tensor_desc *operand = input ? &p->desc.in[i] : &p->desc.out[i];
  uint32_t real = input ? p->real_in : p->real_out;
  const char *name;
  size_t length;
  bool optional;
  if (!co_operand_get(input ? info->inputs : info->outputs, i, &name, &length, &optional))
    return false;
  return (real >> i & 1) != 0 && operand->shape.rank == 4 && name[length - 1] != 'w';
}

// Images lie as a convolution leaves them: all inputs, the first only, the outputs only; the rest
// is open, then canonical.
static void check_image_layouts(ops_suite *suite, const ops_problem *p, co_backend *backend,
                                const co_op_choice *usual, const truth *t) {
  void *start[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    start[i] = t->start[i];
  for (int variant = 0; variant < 6; variant++) {
    co_op_choice facts = *usual, choice;
    bool special = false, taken = false;
    co_layout rest = variant % 2 == 0 ? CO_LAYOUT_ANY : CO_LAYOUT_CANONICAL;
    co_op_desc desc = ops_problem_desc(p, CO_F32);
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
      facts.in[i] = facts.out[i] = rest;
      if (is_image(p, false, i) && variant >= 4) facts.out[i] = image_layout(backend, &desc.out[i]);
      if (is_image(p, true, i) && (variant < 2 || (variant < 4 && !taken))) {
        facts.in[i] = image_layout(backend, &desc.in[i]);
        taken = true;
      }
      special = special || (facts.in[i] != rest && facts.in[i] != CO_LAYOUT_CANONICAL) ||
                (facts.out[i] != rest && facts.out[i] != CO_LAYOUT_CANONICAL);
    }
    if (!special) continue;
    ops_mode mode = {.policy = CO_F32, .facts = &facts, .unlike = usual};
    if (check_mode(suite, p, backend, &mode, &choice, t) != OPS_RAN || variant != 0) continue;
    bool always, aliases = false;
    uint32_t accepted = 0;
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
      if ((desc.has_out >> i & 1) == 0) continue;
      co_op_choice answer;
      desc.accumulate = 1u << i;
      if (co_ref_query(&desc, &answer) == CO_OK) accepted |= 1u << i;
      aliases = aliases || (co_op_alias(p->desc.op, i, &always) >= 0 && !always);
    }
    if (aliases) {
      ops_mode in_place = {.policy = CO_F32, .facts = &facts, .unlike = usual, .in_place = true};
      (void)check_mode(suite, p, backend, &in_place, &choice, t);
    }
    if (accepted == 0) continue;
    ops_mode adding = {
        .policy = CO_F32, .facts = &facts, .unlike = usual, .accumulate = accepted, .start = start};
    (void)check_mode(suite, p, backend, &adding, &choice, t);
  }
}

static void check_backend(ops_suite *suite, const ops_problem *p, co_backend *backend,
                          co_dtype policy, const truth *t) {
  co_op_choice choice, other;
  void *start[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    start[i] = t->start[i];
  ops_mode mode = {.policy = policy, .any = true};
  if (check_mode(suite, p, backend, &mode, &choice, t) != OPS_RAN) return;
  ops_mode facts = {.policy = policy, .unlike = &choice};
  (void)check_mode(suite, p, backend, &facts, &other, t);
  bool always, aliases = false;
  uint32_t outputs = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (p->desc.has_out >> i & 1) {
      outputs |= 1u << i;
      aliases = aliases || (co_op_alias(p->desc.op, i, &always) >= 0 && !always);
    }
  if (aliases) {
    ops_mode in_place = {.policy = policy, .in_place = true};
    (void)check_mode(suite, p, backend, &in_place, &other, t);
  }
  if (policy == CO_F32 && !is_reference(backend))
    check_image_layouts(suite, p, backend, &choice, t);
  // What the contract lets accumulate is what the reference accepts. Each output alone, then all.
  uint32_t accepted = 0;
  co_op_desc desc = ops_problem_desc(p, policy);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if ((outputs >> i & 1) == 0) continue;
    desc.accumulate = 1u << i;
    co_op_choice answer;
    if (co_ref_query(&desc, &answer) == CO_OK) accepted |= 1u << i;
  }
  for (int i = 0; i <= CO_OP_MAX_OPERANDS; i++) {
    uint32_t bits = i < CO_OP_MAX_OPERANDS ? accepted & 1u << i : accepted;
    if (bits == 0 || (i == CO_OP_MAX_OPERANDS && (bits & (bits - 1)) == 0)) continue;
    ops_mode adding = {.policy = policy, .any = true, .accumulate = bits, .start = start};
    ops_outcome outcome = check_mode(suite, p, backend, &adding, &other, t);
    if (outcome == OPS_REFUSED && is_reference(backend))
      ops_fail(&suite->report, p, "ref", "refuses to accumulate");
  }
}

// ---- gradients ---------------------------------------------------------------------------------

typedef struct objective {
  const ops_suite *suite;
  const ops_problem *problem;
  double *cotangent[CO_OP_MAX_OPERANDS]; // by output; NULL = does not count
  void *in[CO_OP_MAX_OPERANDS];          // own copies
} objective;

static double evaluate(const objective *o) {
  const ops_problem *p = o->problem;
  void *out[CO_OP_MAX_OPERANDS];
  run_oracle(o->suite, p, o->in, out);
  double value = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (o->cotangent[i] == NULL || out[i] == NULL) continue;
    int64_t count = co_shape_count(&p->desc.out[i].shape);
    for (int64_t k = 0; k < count; k++)
      value += o->cotangent[i][k] * ((double *)out[i])[k];
  }
  free_all(out);
  return value;
}

// Derivative of the objective along `direction` of one input, by the five-point formula. The step
// is below half the distance of inputs from each other and from zero.
static double difference(objective *o, int input, const double *direction, int64_t count) {
  const double h = 2e-5, weight[4] = {1, -8, 8, -1};
  const double at[4] = {-2, -1, 1, 2};
  const double *base = o->problem->in[input];
  double *moved = o->in[input], sum = 0;
  for (int s = 0; s < 4; s++) {
    for (int64_t k = 0; k < count; k++)
      moved[k] = base[k] + h * at[s] * direction[k];
    sum += weight[s] * evaluate(o);
  }
  memcpy(moved, base, (size_t)count * sizeof *moved);
  return sum / (12 * h);
}

enum { DIRECTIONS = 2, ELEMENTS = 4 };

static void check_gradient(ops_suite *suite, objective *o, int input, const double *gradient) {
  const ops_problem *p = o->problem;
  int64_t count = co_shape_count(&p->desc.in[input].shape);
  double *direction = ops_allocate((size_t)count * sizeof *direction);
  double squares = 0, value = fabs(evaluate(o));
  for (int64_t k = 0; k < count; k++)
    squares += gradient[k] * gradient[k];
  for (int probe = 0; probe < DIRECTIONS + ELEMENTS; probe++) {
    double along = 0, scale;
    int64_t element = -1;
    if (probe < DIRECTIONS) { // every element at once
      for (int64_t k = 0; k < count; k++) {
        direction[k] = ops_random((uint32_t)probe + 99, k) < 0 ? -1 : 1;
        along += direction[k] * gradient[k];
      }
      scale = fmax(fabs(along), sqrt(squares));
    } else {
      memset(direction, 0, (size_t)count * sizeof *direction);
      element = probe == DIRECTIONS
                    ? count - 1
                    : (int64_t)((0.5 + 0.499 * ops_random(7, probe)) * (double)count);
      direction[element] = 1;
      along = gradient[element];
      scale = fmax(fabs(along), sqrt(squares / (double)count));
    }
    double measured = difference(o, input, direction, count);
    suite->report.checks++;
    // 1e-7 relative; differences of the objective lose another 1e-16 / 2e-5 of its value.
    if (fabs(measured - along) <= 1e-7 * scale + 1e-10 * (1 + value)) continue;
    ops_fail(&suite->report, p, "gradient", "input %d, %s %lld: %.12g, but differences give %.12g",
             input, element < 0 ? "direction" : "element",
             (long long)(element < 0 ? probe : element), along, measured);
    break;
  }
  free(direction);
}

// A loss makes its own gradients: outputs named d<input>.
static void check_loss_gradients(ops_suite *suite, objective *o, void *const *forward_out) {
  const co_op_info *info = co_op_get_info(o->problem->desc.op);
  const char *name;
  size_t length;
  for (int i = 0; co_operand_get(info->outputs, i, &name, &length, NULL); i++) {
    const int of = *name == 'd' ? co_operand_find(info->inputs, name + 1, length - 1) : -1;
    if (of >= 0 && forward_out[i]) check_gradient(suite, o, of, forward_out[i]);
  }
}

// Gradients of every input by the rules, against differences of a random projection of the outputs
// that the rules start from (losses: of their sum).
static void check_gradients(ops_suite *suite, const ops_problem *p, void *const *forward_out) {
  const co_op_info *info = co_op_get_info(p->desc.op);
  objective o = {.suite = suite, .problem = p};
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (p->desc.has_in >> i & 1)
      o.in[i] = ops_narrow(p->in[i], co_shape_count(&p->desc.in[i].shape), false,
                           p->desc.in[i].dtype, CO_F64);
  if (p->family->loss) {
    const co_step *step = p->in[ops_problem_input(p, "step")];
    o.cotangent[1] = ops_allocate(sizeof(double));
    o.cotangent[1][0] = step->inv_norm[p->desc.attr.output];
    check_loss_gradients(suite, &o, forward_out);
  }
  const char *cursor = info->backward;
  co_rule rule;
  while (co_rule_next(&cursor, &rule)) // which outputs count
    for (int i = 0; i < rule.inputs; i++) {
      int output = co_operand_find(info->outputs, rule.in[i].name + 1, rule.in[i].length - 1);
      if (rule.in[i].name[0] != 'd' || output < 0 || o.cotangent[output] != NULL) continue;
      int64_t count = co_shape_count(&p->desc.out[output].shape);
      o.cotangent[output] = ops_allocate((size_t)count * sizeof(double));
      for (int64_t k = 0; k < count; k++)
        o.cotangent[output][k] = ops_random(41 + (uint32_t)output, k);
    }
  cursor = info->backward;
  while (co_rule_next(&cursor, &rule)) {
    void *results[CO_OP_MAX_OPERANDS] = {0}, *in[CO_OP_MAX_OPERANDS] = {0};
    ops_problem *backward = NULL;
    if (rule.op >= 0) {
      backward = ops_problem_derive(p, &rule, forward_out);
      if (backward == NULL) continue; // without argmax nothing can be said
    }
    for (int i = 0; i < rule.inputs; i++) { // unrounded, and with our cotangents
      const char *name = rule.in[i].name;
      size_t length = rule.in[i].length;
      int input = co_operand_find(info->inputs, name, length);
      int output = co_operand_find(info->outputs, name, length);
      if (input >= 0)
        in[i] = p->in[input];
      else if (output >= 0)
        in[i] = forward_out[output];
      else
        in[i] = o.cotangent[co_operand_find(info->outputs, name + 1, length - 1)];
    }
    if (backward != NULL) run_oracle(suite, backward, in, results);
    for (int i = 0; i < rule.outputs; i++) {
      const void *gradient = rule.op < 0 ? in[0] : results[i];
      int of = co_operand_find(info->inputs, rule.out[i].name + 1, rule.out[i].length - 1);
      if (gradient != NULL && (p->desc.has_in >> of & 1)) check_gradient(suite, &o, of, gradient);
    }
    free_all(results);
    ops_problem_free(backward);
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    free(o.cotangent[i]);
  free_all(o.in);
}

// ---- suite -------------------------------------------------------------------------------------

static bool selected(const ops_suite *suite, const ops_problem *p) {
  return suite->only_op == NULL || strcmp(suite->only_op, co_op_get_info(p->desc.op)->name) == 0;
}

// Activations have their gradient taken by RELU_BACKWARD in front of the rules, but for that of a
// pool, which its argmax knows of.
static bool begins_below_activation(const ops_problem *p) {
  const bool pools =
      p->desc.op == CO_OP_MAX_POOL2D ||
      (p->desc.op == CO_OP_BATCH_NORM && p->desc.has_out >> CO_BATCH_NORM_argmax & 1);
  return p->desc.attr.activation != CO_ACTIVATION_NONE && !pools;
}

// Inputs of more elements lie closer to each other and to zero than the steps of the differences.
static bool has_gradient_check(const ops_suite *suite, const ops_problem *p) {
  if (p->values != OPS_REAL || p->bf16 || suite->list || begins_below_activation(p)) return false;
  if (ops_problem_has_flag(p, "nan")) return false;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((p->desc.has_in >> i & 1) && co_shape_count(&p->desc.in[i].shape) > 6000) return false;
  return p->real_in != 0;
}

// Whether the problem has an output that the operation has not in bf16.
static bool has_output_without_bf16(const ops_problem *p) {
  const co_op_info *info = co_op_get_info(p->desc.op);
  const char *name;
  size_t length;
  for (int i = 0; info->bf16_without && co_operand_get(info->bf16_without, i, &name, &length, NULL);
       i++)
    if (p->desc.has_out >> co_operand_find(info->outputs, name, length) & 1) return true;
  return false;
}

static bool has_bf16(const ops_problem *p) {
  co_op_desc desc = ops_problem_desc(p, CO_BF16);
  if (has_output_without_bf16(p)) return false;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (((p->real_in >> i & 1) && desc.in[i].dtype == CO_BF16) ||
        ((p->real_out >> i & 1) && desc.out[i].dtype == CO_BF16))
      return true;
  return false;
}

static void check_problem(ops_suite *suite, const ops_problem *p) {
  if (p->bf16 && !has_bf16(p)) return; // the same as in f32
  if (suite->list) {
    if (p->values == OPS_REAL && !p->bf16)
      (void)printf("%s\t%s\n", co_op_get_info(p->desc.op)->name, p->text);
    return;
  }
  truth t = {0};
  truth_open(suite, p, &t);
  for (int b = 0; b < suite->backend_count; b++) {
    check_backend(suite, p, suite->backends[b], p->bf16 ? CO_BF16 : CO_F32, &t);
    if (!p->bf16 && is_reference(suite->backends[b]))
      check_backend(suite, p, suite->backends[b], CO_F64, &t);
  }
  truth_close(&t);
}

// A forward problem and those of its backward rules.
static void check_case(ops_suite *suite, const ops_family *family, const char *text,
                       ops_values values, bool bf16, bool covered[CO_OP_COUNT]) {
  ops_problem *p = ops_problem_create(family, text, values, bf16);
  if (p == NULL) {
    suite->report.failures++;
    return;
  }
  covered[p->desc.op] = true;
  void *out[CO_OP_MAX_OPERANDS];
  run_oracle(suite, p, p->in, out);
  if (selected(suite, p)) {
    check_problem(suite, p);
    if (has_gradient_check(suite, p)) check_gradients(suite, p, out);
  }
  const char *cursor = co_op_get_info(family->op)->backward;
  co_rule rule;
  while (co_rule_next(&cursor, &rule)) {
    if (rule.op < 0 || begins_below_activation(p)) continue;
    ops_problem *backward = ops_problem_derive(p, &rule, out);
    if (backward == NULL) continue;
    covered[rule.op] = true;
    if (selected(suite, backward)) check_problem(suite, backward);
    ops_problem_free(backward);
  }
  free_all(out);
  ops_problem_free(p);
}

// Whether a family makes problems of the selected operation.
static bool concerns(const ops_suite *suite, const ops_family *family) {
  if (suite->only_op == NULL) return true;
  const co_op_info *info = co_op_get_info(family->op);
  if (strcmp(info->name, suite->only_op) == 0) return true;
  const char *cursor = info->backward;
  co_rule rule;
  while (co_rule_next(&cursor, &rule))
    if (rule.op >= 0 && strcmp(co_op_get_info((co_op)rule.op)->name, suite->only_op) == 0)
      return true;
  return false;
}

static void check_family(ops_suite *suite, const ops_family *family, bool covered[CO_OP_COUNT]) {
  int swept = -1; // cases of the sweep so far; before it -1
  for (const char *const *text = family->cases; *text != NULL; text++) {
    if (strcmp(*text, OPS_SWEEP) == 0) {
      swept = 0;
      continue;
    }
    bool edge = swept < 0;
    int part = edge ? 0 : 1 + swept++ % OPS_SWEEP_PARTS;
    if (!edge && suite->sweep != OPS_SWEEP_ALL && suite->sweep != part) continue;
    if (suite->only_case != NULL && strstr(*text, suite->only_case) == NULL) continue;
    for (int values = 0; values < OPS_VALUES_COUNT; values++)
      for (int bf16 = 0; bf16 < 2; bf16++)
        check_case(suite, family, *text, (ops_values)values, bf16, covered);
  }
}

void ops_suite_run(ops_suite *suite) {
  bool covered[CO_OP_COUNT] = {false};
  for (const ops_family *const *family = suite->families; *family != NULL; family++)
    if (concerns(suite, *family)) check_family(suite, *family, covered);
  if (suite->only_case != NULL) return;
  for (int op = 0; op < CO_OP_COUNT; op++) {
    const char *name = co_op_get_info((co_op)op)->name;
    if (covered[op] || (suite->only_op != NULL && strcmp(suite->only_op, name) != 0)) continue;
    suite->report.failures++;
    (void)snprintf(suite->report.last, sizeof suite->report.last, "FAIL %s has no case", name);
    if (suite->report.stream != NULL)
      (void)fprintf(suite->report.stream, "%s\n", suite->report.last);
  }
}
