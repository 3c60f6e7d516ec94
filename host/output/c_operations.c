// SPDX-License-Identifier: Apache-2.0
#include "host/output/c_operations.h"

#include <string.h>

#include "host/core/c_text.h"
#include "host/output/scorer/sources.h"

typedef struct call {
  co_c_program *program;
  const co_plan *plan;
  const co_plan_op *op;
} call;

co_status co_c_need(co_c_program *p, const char *part) {
  if (!part) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < p->part_count; i++)
    if (strcmp(p->parts[i], part) == 0) return CO_OK;
  CO_RETURN_IF_FAILED(co_grow(p->exported->ctx, (void **)&p->parts, &p->part_capacity,
                              p->part_count, sizeof *p->parts));
  p->parts[p->part_count++] = part;
  return CO_OK;
}

co_status co_c_part(co_text *out, const char *name) {
  static const char mark[] = "// scorer: ", end[] = "// scorer: end\n";
  bool found = false;
  size_t length = strlen(name);
  for (int i = 0; co_scorer_sources[i]; i++)
    for (const char *at = co_scorer_sources[i]; (at = strstr(at, mark));) {
      const char *own = at + strlen(mark), *line = strchr(own, '\n') + 1, *stop = strstr(line, end);
      at = line;
      if ((size_t)(line - own) != length + 1 || memcmp(own, name, length) != 0) continue;
      co_text_printf(out, "\n");
      co_text_append(out, line, (size_t)(stop - line));
      found = true;
    }
  return found ? out->status : co_fail(CO_ERR_INTERNAL, "no part '%s'", name);
}

co_status co_c_parts(co_text *out, const char *const *names) {
  for (; *names; names++)
    CO_RETURN_IF_FAILED(co_c_part(out, *names));
  return CO_OK;
}

// What the network is fed is what the section has made.
static bool find_block(const co_exported *e, co_value input, int64_t *block) {
  for (*block = 0; *block < e->model->block_count; ++*block)
    if (e->model->blocks[*block].network_input == input) return true;
  return false;
}

char co_c_letter(const co_exported *e, const co_plan *plan) {
  return plan != e->network ? 's' : e->is_baseline ? 'b' : 'n';
}

void co_c_value(co_text *out, const co_exported *e, const co_plan *plan, co_value value) {
  int64_t block;
  if (value == CO_NO_VALUE) {
    co_text_printf(out, "NULL");
    return;
  }
  value = co_exported_base(plan, value);
  if (plan == e->network && find_block(e, value, &block)) {
    plan = e->section_plan;
    value = co_exported_base(plan, plan->outputs[block]);
  }
  co_text_printf(out, "%c%d", co_c_letter(e, plan), (int)value);
}

// ---- what emitters share -----------------------------------------------------------------------

static const co_shape *shape_of(const call *c, co_value value) {
  return &c->plan->values[value].info.desc.shape;
}

static int64_t count_of(const call *c, co_value value) {
  return co_shape_count(shape_of(c, value));
}

static int64_t last_of(const call *c, co_value value) {
  const co_shape *shape = shape_of(c, value);
  return shape->dim[shape->rank - 1];
}

static void print_value(const call *c, co_value value, const char *behind) {
  co_c_value(&c->program->body, c->program->exported, c->plan, value);
  co_text_printf(&c->program->body, "%s", behind);
}

// "NAME(in, …, out, …": of each list the first so many operands.
static void begin(const call *c, const char *name, int inputs, int outputs) {
  co_text_printf(&c->program->body, "  %s(", name);
  for (int i = 0; i < inputs; i++)
    print_value(c, c->op->in[i], ", ");
  for (int i = 0; i < outputs; i++)
    print_value(c, c->op->out[i], i + 1 < outputs ? ", " : "");
}

static void number(const call *c, int64_t value) {
  co_text_printf(&c->program->body, ", %lld", (long long)value);
}

static void real(const call *c, double value) {
  co_text_printf(&c->program->body, ", ");
  co_c_double(&c->program->body, value);
}

static void end(const call *c) {
  co_text_printf(&c->program->body, ");\n");
}

// A relu that the operation has taken in.
static co_status activate(const call *c) {
  if (c->op->desc.attr.activation == CO_ACTIVATION_NONE) return CO_OK;
  CO_RETURN_IF_FAILED(co_c_need(c->program, "relu"));
  co_text_printf(&c->program->body, "  relu(");
  print_value(c, c->op->out[0], ", ");
  print_value(c, c->op->out[0], "");
  number(c, count_of(c, c->op->out[0]));
  end(c);
  return CO_OK;
}

static void widen(const call *c, int64_t width) {
  if (width > c->program->widest) c->program->widest = width;
}

// ---- one for each operation --------------------------------------------------------------------

static void dense(const call *c) {
  const co_shape *w = shape_of(c, c->op->in[CO_DENSE_w]);
  widen(c, w->dim[1]);
  begin(c, "dense", 3, 1);
  number(c, count_of(c, c->op->in[CO_DENSE_x]) / w->dim[0]);
  number(c, w->dim[0]);
  number(c, w->dim[1]);
  end(c);
}

// The window of a convolution of x to y, whose kernels read `read` channels.
static void window(const call *c, const co_shape *x, const co_shape *y, int64_t read) {
  const co_op_attr *a = &c->op->desc.attr;
  co_text_printf(
      &c->program->body,
      ",\n         &(const window){%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, "
      "%lld, %lld, %lld, %lld}",
      (long long)x->dim[1], (long long)x->dim[2], (long long)x->dim[3], (long long)read,
      (long long)a->kernel[0], (long long)a->kernel[1], (long long)y->dim[1], (long long)y->dim[2],
      (long long)a->stride[0], (long long)a->stride[1], (long long)a->dilation[0],
      (long long)a->dilation[1], (long long)a->pad_begin[0], (long long)a->pad_begin[1]);
}

static void conv2d(const call *c) {
  const co_shape *x = shape_of(c, c->op->in[CO_CONV2D_x]),
                 *y = shape_of(c, c->op->out[CO_CONV2D_y]),
                 *w = shape_of(c, c->op->in[CO_CONV2D_w]);
  widen(c, w->dim[3]);
  begin(c, "conv2d", 3, 1);
  window(c, x, y, w->dim[2]);
  number(c, w->dim[3]);
  end(c);
}

static void conv2d_transpose(const call *c) {
  const co_shape *x = shape_of(c, c->op->in[0]), *y = shape_of(c, c->op->out[0]);
  begin(c, "conv2d_transpose", 3, 1);
  window(c, y, x, x->dim[3]);
  end(c);
}

static void pool2d(const call *c, const char *name) {
  const co_op_attr *a = &c->op->desc.attr;
  const co_shape *x = shape_of(c, c->op->in[0]), *y = shape_of(c, c->op->out[0]);
  const int64_t numbers[] = {x->dim[1],    x->dim[2],       x->dim[3],      a->kernel[0],
                             a->kernel[1], y->dim[1],       y->dim[2],      a->stride[0],
                             a->stride[1], a->pad_begin[0], a->pad_begin[1]};
  begin(c, name, 1, 1);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    number(c, numbers[i]);
  end(c);
}

static void max_pool2d(const call *c) {
  pool2d(c, "max_pool2d");
}

static void average_pool2d(const call *c) {
  pool2d(c, "average_pool2d");
}

static void pad2d(const call *c) {
  const co_op_attr *a = &c->op->desc.attr;
  const co_shape *x = shape_of(c, c->op->in[0]), *y = shape_of(c, c->op->out[0]);
  const int64_t numbers[] = {x->dim[1], x->dim[2],       x->dim[3],      y->dim[1],
                             y->dim[2], a->pad_begin[0], a->pad_begin[1]};
  begin(c, "pad2d", 1, 1);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    number(c, numbers[i]);
  end(c);
}

static void global_average_pool2d(const call *c) {
  const co_shape *x = shape_of(c, c->op->in[0]);
  begin(c, "global_average_pool2d", 1, 1);
  number(c, x->dim[1] * x->dim[2]);
  number(c, x->dim[3]);
  end(c);
}

// f(x, y, count)
static void elementwise(const call *c, const char *name, int inputs) {
  begin(c, name, inputs, 1);
  number(c, count_of(c, c->op->out[0]));
  end(c);
}

static void relu(const call *c) {
  elementwise(c, "relu", 1);
}

static void sigmoid(const call *c) {
  elementwise(c, "sigmoid", 1);
}

static void hyperbolic_tangent(const call *c) {
  elementwise(c, "hyperbolic_tangent", 1);
}

static void add(const call *c) {
  elementwise(c, "add", 2);
}

static void multiply(const call *c) {
  elementwise(c, "multiply", 2);
}

static void activation(const call *c) {
  static const char *const names[] = {"GELU", "SILU", "ELU", "LEAKY_RELU"};
  begin(c, "activation", 1, 1);
  number(c, count_of(c, c->op->out[0]));
  co_text_printf(&c->program->body, ", %s", names[c->op->desc.attr.function]);
  real(c, c->op->desc.attr.alpha);
  end(c);
}

static void rows_of_last(const call *c, co_value x) {
  number(c, count_of(c, x) / last_of(c, x));
  number(c, last_of(c, x));
}

static void scale_channels(const call *c) {
  begin(c, "scale_channels", 2, 1);
  rows_of_last(c, c->op->in[0]);
  end(c);
}

static void softmax(const call *c) {
  begin(c, "softmax", 1, 1);
  rows_of_last(c, c->op->in[0]);
  end(c);
}

static void batch_norm(const call *c) {
  begin(c, "batch_norm", 5, 1);
  rows_of_last(c, c->op->in[0]);
  real(c, c->op->desc.attr.epsilon);
  end(c);
}

static void layer_norm(const call *c) {
  const int64_t count = count_of(c, c->op->in[0]), C = last_of(c, c->op->in[0]);
  const int64_t groups = c->op->desc.attr.groups;
  begin(c, "layer_norm", 3, 1);
  number(c, groups ? 1 : count / C);
  number(c, groups ? count / C : 1);
  number(c, groups ? groups : 1);
  number(c, groups ? C / groups : C);
  number(c, c->op->desc.attr.rms);
  real(c, c->op->desc.attr.epsilon);
  end(c);
}

static void matmul(const call *c) {
  const co_op_attr *a = &c->op->desc.attr;
  const co_shape *left = shape_of(c, c->op->in[CO_MATMUL_a]), *y = shape_of(c, c->op->out[0]);
  begin(c, "matmul", 2, 1);
  number(c, co_shape_count(y) / y->dim[1] / y->dim[2]);
  number(c, y->dim[1]);
  number(c, left->dim[a->transposed_a ? 1 : 2]);
  number(c, y->dim[2]);
  number(c, a->transposed_a);
  number(c, a->transposed_b);
  end(c);
}

static void concat(const call *c) {
  co_value y = c->op->out[0];
  int64_t all = last_of(c, y), at = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    co_value x = c->op->in[i];
    if (x == CO_NO_VALUE) continue;
    co_text_printf(&c->program->body, "  join(");
    print_value(c, x, ", ");
    print_value(c, y, "");
    rows_of_last(c, x);
    number(c, at);
    number(c, all);
    end(c);
    at += last_of(c, x);
  }
}

static void embedding(const call *c) {
  const co_shape *table = shape_of(c, c->op->in[CO_EMBEDDING_table]);
  begin(c, "embedding", 2, 1);
  number(c, count_of(c, c->op->in[CO_EMBEDDING_index]));
  number(c, table->dim[0]);
  number(c, table->dim[1]);
  end(c);
}

static void three_dimensions(const call *c, const char *name, co_value w) {
  const co_shape *shape = shape_of(c, w);
  begin(c, name, 3, 1);
  for (int i = 0; i < 3; i++)
    number(c, shape->dim[i]);
  end(c);
}

static void piecewise_dense(const call *c) {
  three_dimensions(c, "piecewise_dense", c->op->in[CO_PIECEWISE_DENSE_w]);
}

static void member_dense(const call *c) {
  three_dimensions(c, "member_dense", c->op->in[CO_MEMBER_DENSE_w]);
}

static void two_dimensions(const call *c, const char *name, co_value w) {
  const co_shape *shape = shape_of(c, w);
  begin(c, name, 2, 1);
  number(c, shape->dim[0]);
  number(c, shape->dim[1]);
  end(c);
}

static void factorization(const call *c) {
  two_dimensions(c, "factorization", c->op->in[CO_FACTORIZATION_v]);
}

static void member_scale(const call *c) {
  two_dimensions(c, "member_scale", c->op->in[CO_MEMBER_SCALE_r]);
}

static void member_mean(const call *c) {
  static const char *const names[] = {"LINK_NONE", "LINK_SIGMOID", "LINK_SOFTMAX"};
  begin(c, "member_mean", 1, 1);
  number(c, c->op->desc.attr.members);
  number(c, last_of(c, c->op->in[0]));
  co_text_printf(&c->program->body, ", %s", names[c->op->desc.attr.link]);
  end(c);
}

static void lookup(const call *c) {
  begin(c, "lookup", 2, 1);
  number(c, count_of(c, c->op->out[0]));
  number(c, count_of(c, c->op->in[CO_LOOKUP_map]));
  end(c);
}

static void impute(const call *c) {
  begin(c, "impute", 2, 2);
  number(c, count_of(c, c->op->out[0]));
  number(c, count_of(c, c->op->in[CO_IMPUTE_fill]));
  end(c);
}

static void normalize(const call *c) {
  begin(c, "normalize", 3, 1);
  number(c, count_of(c, c->op->out[0]));
  number(c, count_of(c, c->op->in[CO_NORMALIZE_mean]));
  end(c);
}

static void piecewise_linear(const call *c) {
  int64_t columns = last_of(c, c->op->in[0]);
  begin(c, "piecewise_linear", 2, 1);
  number(c, columns);
  number(c, count_of(c, c->op->in[CO_PIECEWISE_LINEAR_edges]) / columns);
  end(c);
}

static void cast_bytes(const call *c) {
  elementwise(c, "cast_bytes", 1);
}

static void cast_ints(const call *c) {
  elementwise(c, "cast_ints", 1);
}

// ---- the table ---------------------------------------------------------------------------------

typedef struct emitter {
  co_op op;
  const char *part; // of the sources
  void (*emit)(const call *c);
  const char *before; // what that part stands on
} emitter;

static const emitter emitters[] = {
    {CO_OP_DENSE, "dense", dense, NULL},
    {CO_OP_CONV2D, "conv2d", conv2d, "window"},
    {CO_OP_CONV2D_TRANSPOSE, "conv2d_transpose", conv2d_transpose, "window"},
    {CO_OP_MAX_POOL2D, "max_pool2d", max_pool2d, NULL},
    {CO_OP_AVERAGE_POOL2D, "average_pool2d", average_pool2d, NULL},
    {CO_OP_PAD2D, "pad2d", pad2d, NULL},
    {CO_OP_GLOBAL_AVERAGE_POOL2D, "global_average_pool2d", global_average_pool2d, NULL},
    {CO_OP_RELU, "relu", relu, NULL},
    {CO_OP_SIGMOID, "sigmoid", sigmoid, NULL},
    {CO_OP_TANH, "tanh", hyperbolic_tangent, NULL},
    {CO_OP_ACTIVATION, "activation", activation, NULL},
    {CO_OP_SOFTMAX, "softmax", softmax, NULL},
    // Without lengths: those are of events, which are not exported.
    {CO_OP_MASKED_SOFTMAX, "softmax", softmax, NULL},
    {CO_OP_BATCH_NORM_INFERENCE, "batch_norm_inference", batch_norm, NULL},
    {CO_OP_LAYER_NORM, "layer_norm", layer_norm, NULL},
    {CO_OP_MATMUL, "matmul", matmul, NULL},
    {CO_OP_ADD, "add", add, NULL},
    {CO_OP_MULTIPLY, "multiply", multiply, NULL},
    {CO_OP_SCALE_CHANNELS, "scale_channels", scale_channels, NULL},
    {CO_OP_CONCAT, "concat", concat, NULL},
    {CO_OP_EMBEDDING, "embedding", embedding, NULL},
    {CO_OP_PIECEWISE_DENSE, "piecewise_dense", piecewise_dense, NULL},
    {CO_OP_FACTORIZATION, "factorization", factorization, NULL},
    {CO_OP_MEMBER_SCALE, "member_scale", member_scale, NULL},
    {CO_OP_MEMBER_DENSE, "member_dense", member_dense, NULL},
    {CO_OP_MEMBER_MEAN, "member_mean", member_mean, NULL},
    {CO_OP_LOOKUP, "lookup", lookup, NULL},
    {CO_OP_IMPUTE, "impute", impute, NULL},
    {CO_OP_NORMALIZE, "normalize", normalize, NULL},
    {CO_OP_PIECEWISE_LINEAR, "piecewise_linear", piecewise_linear, NULL},
};

static const emitter *find_emitter(const co_plan *plan, const co_plan_op *op) {
  static const emitter bytes = {CO_OP_CAST, "cast_bytes", cast_bytes, NULL},
                       ints = {CO_OP_CAST, "cast_ints", cast_ints, NULL};
  co_op wanted = op->desc.op;
  if (wanted == CO_OP_CAST) {
    co_dtype from = plan->values[op->in[0]].info.desc.dtype;
    return from == CO_U8 ? &bytes : from == CO_I32 ? &ints : NULL;
  }
  for (size_t i = 0; i < sizeof emitters / sizeof *emitters; i++)
    if (emitters[i].op == wanted) return &emitters[i];
  return NULL;
}

co_status co_c_operation(co_c_program *program, const co_plan *plan, const co_plan_op *op) {
  const call c = {program, plan, op};
  const emitter *found = find_emitter(plan, op);
  const char *name = co_op_get_info(op->desc.op)->name;
  char *what = co_arena_format(program->exported->arena, "layer '%.150s': operation",
                               op->layer ? op->layer : "");
  if (!what) return CO_ERR_MEMORY;
  if (!found) return co_exported_refuse(program->exported, what, name, "C");
  if (found->before) CO_RETURN_IF_FAILED(co_c_need(program, found->before));
  CO_RETURN_IF_FAILED(co_c_need(program, found->part));
  found->emit(&c);
  return activate(&c);
}
