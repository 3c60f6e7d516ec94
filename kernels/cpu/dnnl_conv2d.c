// SPDX-License-Identifier: Apache-2.0
// Convolution by oneDNN, direct algorithm. Layouts: facts are kept where a fast kernel takes them;
// else the weights, then the activations, are left to oneDNN and the planner reorders. On bf16 data the
// canonical layout is the fast one, and weights are packed for each run, a hundredth of its time.
#include <stdio.h>

#include "kernels/cpu/cpu.h"

enum { CONV_X, CONV_W, CONV_Y, CONV_OPERANDS };

// One convolution in oneDNN's terms.
typedef struct conv {
  co_dnnl_conv kind;
  int64_t dims[CONV_OPERANDS][5]; // (N, C, H, W), (O, I, KH, KW) or in groups, (N, O, P, Q)
  co_cpu_view view[CONV_OPERANDS];
  co_layout layout[CONV_OPERANDS];
  dnnl_data_type_t type[CONV_OPERANDS], bias_type;
  co_dnnl_window window;
  bool bias, relu;
} conv;

typedef struct prepared_conv {
  co_prepared base;
  co_dnnl_exec exec;
} prepared_conv;

typedef struct prepared_packed {
  co_prepared base;
  co_dnnl_packed packed;
} prepared_packed;

static const int conv_args[][4] = {
    [CO_DNNL_CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS},
    [CO_DNNL_CONV_BACKWARD_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, 0},
    [CO_DNNL_CONV_BACKWARD_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST,
                                       DNNL_ARG_DIFF_BIAS},
    [CO_DNNL_DECONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS},
    [CO_DNNL_DECONV_BACKWARD_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST,
                                         DNNL_ARG_DIFF_BIAS}};

// Where operand x, w or y of a kind stands in the descriptor: inputs from 0, outputs from 8.
static int slot(co_dnnl_conv kind, int operand) {
  static const int slots[][CONV_OPERANDS] = {[CO_DNNL_CONV_FORWARD] = {0, 1, 8},
                                             [CO_DNNL_CONV_BACKWARD_DATA] = {8, 1, 0},
                                             [CO_DNNL_CONV_BACKWARD_WEIGHTS] = {0, 8, 1},
                                             [CO_DNNL_DECONV_FORWARD] = {0, 1, 8},
                                             [CO_DNNL_DECONV_BACKWARD_WEIGHTS] = {0, 8, 1}};
  return slots[kind][operand];
}

static co_dnnl_conv kind_of(co_op op) {
  switch (op) {
  case CO_OP_CONV2D_BACKWARD_DATA:
    return CO_DNNL_CONV_BACKWARD_DATA;
  case CO_OP_CONV2D_BACKWARD_WEIGHTS:
    return CO_DNNL_CONV_BACKWARD_WEIGHTS;
  case CO_OP_CONV2D_TRANSPOSE:
    return CO_DNNL_DECONV_FORWARD;
  case CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS:
    return CO_DNNL_DECONV_BACKWARD_WEIGHTS;
  default:
    return CO_DNNL_CONV_FORWARD;
  }
}

static bool is_transposed(co_dnnl_conv kind) {
  return kind == CO_DNNL_DECONV_FORWARD || kind == CO_DNNL_DECONV_BACKWARD_WEIGHTS;
}

static const co_tensor_desc *tensor(const co_op_desc *desc, int at) {
  return at < 8 ? &desc->in[at] : &desc->out[at - 8];
}

static void activation_dims(const co_shape *shape, int64_t dims[4]) {
  const int64_t *d = shape->dim;
  dims[0] = d[0], dims[1] = d[3], dims[2] = d[1], dims[3] = d[2];
}

// Of a convolution of `channels`.
static co_cpu_view kernel_dims(const co_shape *shape, bool transposed, int64_t channels,
                               int64_t dims[5]) {
  const int64_t *d = shape->dim;
  const int64_t groups = transposed ? 1 : channels / d[2];
  const int64_t plain[4] = {transposed ? d[2] : d[3], transposed ? d[3] : d[2], d[0], d[1]};
  if (groups == 1) {
    memcpy(dims, plain, sizeof plain);
    return transposed ? CO_VIEW_TRANSPOSED_KERNEL : CO_VIEW_KERNEL;
  }
  memcpy(dims + 1, plain, sizeof plain);
  dims[0] = groups;
  dims[1] /= groups;
  return CO_VIEW_GROUPED_KERNEL;
}

static co_status describe(const co_op_desc *desc, conv *out, co_cpu_answer *answer) {
  memset(out, 0, sizeof *out);
  out->kind = kind_of(desc->op);
  for (int i = 0; i < CONV_OPERANDS; i++) {
    const co_tensor_desc *t = tensor(desc, slot(out->kind, i));
    if (t->dtype != CO_F32 && t->dtype != CO_BF16)
      return co_cpu_refuse(answer, "f32 and bf16 only");
    out->type[i] = co_cpu_dnnl_type(t->dtype);
    if (t->shape.rank != 4 || co_shape_count(&t->shape) <= 0)
      return co_cpu_refuse(answer, "empty operand");
    out->layout[i] = t->layout;
    out->view[i] = CO_VIEW_ACTIVATION;
    if (i == CONV_W)
      out->view[i] =
          kernel_dims(&t->shape, is_transposed(out->kind), out->dims[CONV_X][1], out->dims[i]);
    else
      activation_dims(&t->shape, out->dims[i]);
  }
  if (desc->accumulate & desc->has_out) {
    answer->accumulate = true;
    return co_cpu_refuse(answer, "cannot accumulate");
  }
  const co_op_attr *attr = &desc->attr;
  for (int d = 0; d < 2; d++) {
    // oneDNN wants the padding at the end to fit the output exactly; less is read when the last
    // window does not reach the edge.
    const bool transposed = is_transposed(out->kind);
    const int64_t *image = out->dims[transposed ? CONV_Y : CONV_X];
    const int64_t *positions = out->dims[transposed ? CONV_X : CONV_Y];
    int64_t extent = (attr->kernel[d] - 1) * attr->dilation[d] + 1;
    int64_t reached = (positions[2 + d] - 1) * attr->stride[d] + extent;
    out->window.stride[d] = attr->stride[d];
    out->window.dilation[d] = attr->dilation[d] - 1;
    out->window.pad_begin[d] = attr->pad_begin[d];
    out->window.pad_end[d] = reached - attr->pad_begin[d] - image[2 + d];
  }
  const bool forward = out->kind == CO_DNNL_CONV_FORWARD || out->kind == CO_DNNL_DECONV_FORWARD;
  out->bias = forward                                   ? co_cpu_has_in(desc, 2)
              : out->kind == CO_DNNL_CONV_BACKWARD_DATA ? false
                                                        : co_cpu_has_out(desc, 1);
  out->bias_type = co_cpu_dnnl_type(forward ? desc->in[2].dtype : desc->out[1].dtype);
  out->relu = forward && attr->activation == CO_ACTIVATION_RELU;
  return CO_OK;
}

// *pd is NULL where oneDNN has no such primitive. `free_operands`: bit i = operand i may have any
// layout.
static co_status create(co_cpu *cpu, const conv *c, unsigned free_operands,
                        dnnl_primitive_desc_t *pd) {
  co_status status = CO_OK;
  co_md md[CONV_OPERANDS] = {0}, bias = {0};
  const int64_t one = 1;
  *pd = NULL;
  for (int i = 0; i < CONV_OPERANDS; i++)
    CO_TRY(co_cpu_operand_md(cpu, free_operands >> i & 1 ? CO_LAYOUT_ANY : c->layout[i], c->view[i],
                             c->type[i], c->dims[i], &md[i]));
  if (c->bias) CO_TRY(co_md_strided(&bias, c->bias_type, 1, &c->dims[CONV_Y][1], &one));
  const co_dnnl_attr attr = {.relu = c->relu};
  dnnl_status_t made = co_dnnl_conv_create(pd, &cpu->dnnl, c->kind, &md[CONV_X], &md[CONV_W],
                                           c->bias ? &bias : NULL, &md[CONV_Y], &c->window, &attr);
  if (made == dnnl_out_of_memory) status = co_dnnl_fail(made, "convolution");
  if (made != dnnl_success) *pd = NULL;
cleanup:
  for (int i = 0; i < CONV_OPERANDS; i++)
    co_md_free(&md[i]);
  co_md_free(&bias);
  return status;
}

// Kernels that are made for the shape, against oneDNN's general product and plain loops.
static bool is_fast(dnnl_primitive_desc_t pd) {
  const char *name = co_dnnl_implementation(pd);
  return strncmp(name, "ref", 3) != 0 && strncmp(name, "gemm", 4) != 0;
}

static bool is_reference(dnnl_primitive_desc_t pd) {
  return strncmp(co_dnnl_implementation(pd), "ref", 3) == 0;
}

// Canonical activations of many channels run a third slower than blocked ones: worth a reorder.
static unsigned slow_facts(const conv *c) {
  unsigned slow = 0;
  if (c->layout[CONV_X] == CO_LAYOUT_CANONICAL && c->dims[CONV_X][1] >= 8) slow |= 1u << CONV_X;
  if (c->layout[CONV_Y] == CO_LAYOUT_CANONICAL && c->dims[CONV_Y][1] >= 8) slow |= 1u << CONV_Y;
  return slow ? slow | 1u << CONV_W : 0;
}

static co_status search(co_cpu *cpu, const conv *c, bool strict, bool accept_reference,
                        co_cpu_answer *answer, dnnl_primitive_desc_t *out) {
  const unsigned attempts[] = {slow_facts(c), 0, 1u << CONV_W, 7};
  dnnl_primitive_desc_t best = NULL;
  char passed[64] = "";
  *out = NULL;
  for (int i = 0; i < 4; i++) {
    dnnl_primitive_desc_t pd = NULL;
    if (strict && i != 1) continue;
    if (i == 0 && attempts[0] == 0) continue;
    co_status status = create(cpu, c, attempts[i], &pd);
    if (status != CO_OK) {
      if (best) dnnl_primitive_desc_destroy(best);
      return status == CO_ERR_DEVICE ? co_cpu_refuse(answer, "%s", co_error_last()->message)
                                     : status;
    }
    if (pd == NULL) continue;
    snprintf(passed, sizeof passed, "%s", co_dnnl_implementation(pd));
    if (is_fast(pd)) {
      if (best) dnnl_primitive_desc_destroy(best);
      *out = pd;
      return CO_OK;
    }
    // Second best: without reorders of our making, and never plain loops where a product is had.
    bool better = best == NULL || (is_reference(best) && !is_reference(pd));
    if (better && (!is_reference(pd) || accept_reference)) {
      if (best) dnnl_primitive_desc_destroy(best);
      best = pd;
    } else {
      dnnl_primitive_desc_destroy(pd);
    }
  }
  *out = best;
  if (best) return CO_OK;
  return co_cpu_refuse(answer, "%s", passed[0] ? passed : "no such primitive");
}

// Operands in the order of conv_args.
static void handles_of(co_op op, void *const *in, void *const *out, void *handles[4]) {
  if (op == CO_OP_CONV2D || op == CO_OP_CONV2D_TRANSPOSE)
    handles[0] = in[0], handles[1] = in[1], handles[2] = out[0], handles[3] = in[2];
  else if (op == CO_OP_CONV2D_BACKWARD_DATA)
    handles[0] = out[0], handles[1] = in[1], handles[2] = in[0], handles[3] = NULL;
  else
    handles[0] = in[0], handles[1] = out[0], handles[2] = in[1], handles[3] = out[1];
}

static co_status run_conv(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  const prepared_conv *p = (prepared_conv *)prepared;
  void *handles[4];
  handles_of(prepared->desc.op, in, out, handles);
  return co_dnnl_exec_run(&p->exec, &cpu->dnnl, handles, workspace);
}

static void release_conv(co_cpu *cpu, co_prepared *prepared) {
  (void)cpu;
  co_dnnl_exec_free(&((prepared_conv *)prepared)->exec);
}

static co_status prepare_conv(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                              const conv *c, dnnl_primitive_desc_t pd, const char *name,
                              const int *args, co_prepared **out) {
  co_prepared *prepared = NULL;
  CO_RETURN_IF_FAILED(
      co_cpu_prepared_create(cpu, impl, desc, name, sizeof(prepared_conv), run_conv, &prepared));
  co_status status = co_dnnl_exec_create(&((prepared_conv *)prepared)->exec, &cpu->dnnl, pd, args,
                                         c->bias ? 4 : 3);
  if (status != CO_OK) {
    co_free(cpu->base.ctx, prepared);
    return status;
  }
  prepared->release = release_conv;
  *out = prepared;
  return CO_OK;
}

static co_status plan_conv(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                           bool strict, co_cpu_answer *answer, co_prepared **out) {
  const int(*const args)[4] = conv_args;
  conv c;
  dnnl_primitive_desc_t pd = NULL;
  if (co_cpu_any_bf16(desc)) return co_cpu_refuse(answer, "f32 only");
  CO_RETURN_IF_FAILED(describe(desc, &c, answer));
  co_status status = search(cpu, &c, strict, impl->variant != 0, answer, &pd);
  if (status != CO_OK) return status;

  co_op_choice *choice = &answer->choice;
  char name[64];
  for (int i = 0; i < CONV_OPERANDS; i++) {
    co_layout layout = CO_LAYOUT_CANONICAL;
    int at = slot(c.kind, i);
    CO_TRY(co_cpu_layout_put(cpu, c.view[i], c.dims[i], co_dnnl_md(pd, args[c.kind][i]), &layout));
    if (strict) layout = c.layout[i];
    *(at < 8 ? &choice->in[at] : &choice->out[at - 8]) = layout;
  }
  snprintf(name, sizeof name, "dnnl:%s", co_dnnl_implementation(pd));
  choice->implementation = co_cpu_intern(cpu, name);
  if (choice->implementation == NULL) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  choice->workspace = co_dnnl_scratch_bytes(pd);
  if (out) CO_TRY(prepare_conv(cpu, impl, desc, &c, pd, choice->implementation, args[c.kind], out));
cleanup:
  dnnl_primitive_desc_destroy(pd);
  return status;
}

// ---- bf16 --------------------------------------------------------------------------------------

static co_status run_packed(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  void *handles[4];
  handles_of(prepared->desc.op, in, out, handles);
  return co_dnnl_packed_run(&((prepared_packed *)prepared)->packed, &cpu->dnnl, handles, workspace);
}

static void release_packed(co_cpu *cpu, co_prepared *prepared) {
  (void)cpu;
  co_dnnl_packed_free(&((prepared_packed *)prepared)->packed);
}

static bool is_gradient_of_weights(co_dnnl_conv kind) {
  return kind == CO_DNNL_CONV_BACKWARD_WEIGHTS || kind == CO_DNNL_DECONV_BACKWARD_WEIGHTS;
}

static co_status pack(co_cpu *cpu, const conv *c, dnnl_primitive_desc_t pd, bool make,
                      co_dnnl_packed *out) {
  co_md md[CONV_OPERANDS + 1] = {0};
  const co_md *given[CONV_OPERANDS + 1];
  const uint32_t written = is_gradient_of_weights(c->kind)         ? 1u << CONV_W | 8
                           : c->kind == CO_DNNL_CONV_BACKWARD_DATA ? 1u << CONV_X
                                                                   : 1u << CONV_Y;
  const int64_t one = 1;
  co_status status = CO_OK;
  for (int i = 0; i < CONV_OPERANDS; i++)
    CO_TRY(co_cpu_canonical_md(c->view[i], c->type[i], c->dims[i], &md[i]));
  if (c->bias) CO_TRY(co_md_strided(&md[3], c->bias_type, 1, &c->dims[CONV_Y][1], &one));
  for (int i = 0; i <= CONV_OPERANDS; i++)
    given[i] = &md[i];
  CO_TRY(co_dnnl_packed_create(out, &cpu->dnnl, pd, conv_args[c->kind], given,
                               CONV_OPERANDS + (c->bias ? 1 : 0), written, make));
cleanup:
  for (int i = 0; i <= CONV_OPERANDS; i++)
    co_md_free(&md[i]);
  return status;
}

static co_status prepare_packed(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                const conv *c, dnnl_primitive_desc_t pd, const char *name,
                                co_prepared **out) {
  co_prepared *prepared = NULL;
  CO_RETURN_IF_FAILED(co_cpu_prepared_create(cpu, impl, desc, name, sizeof(prepared_packed),
                                             run_packed, &prepared));
  co_status status = pack(cpu, c, pd, true, &((prepared_packed *)prepared)->packed);
  if (status != CO_OK) {
    co_free(cpu->base.ctx, prepared);
    return status;
  }
  prepared->release = release_packed;
  *out = prepared;
  return CO_OK;
}

static co_status plan_conv_bf16(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                bool strict, co_cpu_answer *answer, co_prepared **out) {
  conv c;
  co_dnnl_packed packed;
  dnnl_primitive_desc_t pd = NULL;
  char name[64];
  if (!co_cpu_any_bf16(desc)) return CO_ERR_DEVICE; // nothing to say of it
  if (!co_dnnl_has_bf16()) return co_cpu_refuse(answer, "the processor has no bf16");
  if (co_op_check_bf16(desc) != CO_OK) return co_cpu_refuse(answer, "%s", co_error_last()->message);
  if (strict && !co_cpu_all_canonical(desc))
    return co_cpu_refuse(answer, "takes canonical layouts only");
  CO_RETURN_IF_FAILED(describe(desc, &c, answer));
  for (int i = 0; i < CONV_OPERANDS; i++)
    c.layout[i] = CO_LAYOUT_CANONICAL;
  CO_RETURN_IF_FAILED(create(cpu, &c, 1u << CONV_W, &pd));
  if (pd == NULL) return co_cpu_refuse(answer, "no such primitive");
  co_status status = CO_OK;
  snprintf(name, sizeof name, "dnnl:%s", co_dnnl_implementation(pd));
  if (!is_fast(pd)) {
    status = co_cpu_refuse(answer, "%s", name);
    goto cleanup;
  }
  answer->choice.implementation = co_cpu_intern(cpu, name);
  if (answer->choice.implementation == NULL) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  CO_TRY(pack(cpu, &c, pd, false, &packed));
  answer->choice.workspace = packed.bytes;
  if (out) CO_TRY(prepare_packed(cpu, impl, desc, &c, pd, answer->choice.implementation, out));
cleanup:
  dnnl_primitive_desc_destroy(pd);
  return status;
}

const co_cpu_impl co_cpu_conv2d[] = {
    {.op = CO_OP_CONV2D, .name = "dnnl:bf16", .plan = plan_conv_bf16},
    {.op = CO_OP_CONV2D_BACKWARD_DATA, .name = "dnnl:bf16", .plan = plan_conv_bf16},
    {.op = CO_OP_CONV2D_BACKWARD_WEIGHTS, .name = "dnnl:bf16", .plan = plan_conv_bf16},
    {.op = CO_OP_CONV2D_TRANSPOSE, .name = "dnnl:bf16", .plan = plan_conv_bf16},
    {.op = CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS, .name = "dnnl:bf16", .plan = plan_conv_bf16},
    {.op = CO_OP_CONV2D, .name = "dnnl", .plan = plan_conv},
    {.op = CO_OP_CONV2D, .name = "dnnl:ref", .plan = plan_conv, .variant = 1},
    {.op = CO_OP_CONV2D_BACKWARD_DATA, .name = "dnnl", .plan = plan_conv},
    {.op = CO_OP_CONV2D_BACKWARD_DATA, .name = "dnnl:ref", .plan = plan_conv, .variant = 1},
    {.op = CO_OP_CONV2D_BACKWARD_WEIGHTS, .name = "dnnl", .plan = plan_conv},
    {.op = CO_OP_CONV2D_BACKWARD_WEIGHTS, .name = "dnnl:ref", .plan = plan_conv, .variant = 1},
    {.op = CO_OP_CONV2D_TRANSPOSE, .name = "dnnl", .plan = plan_conv},
    {.op = CO_OP_CONV2D_TRANSPOSE, .name = "dnnl:ref", .plan = plan_conv, .variant = 1},
    {.op = CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS, .name = "dnnl", .plan = plan_conv},
    {.op = CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS,
     .name = "dnnl:ref",
     .plan = plan_conv,
     .variant = 1},
    {.name = NULL},
};
