// SPDX-License-Identifier: Apache-2.0
// Dense layers by oneDNN's matmul on plain matrices. A blocked activation is a plain matrix too
// (its padding is zero), if the rows of the weights follow its order: that layout of the weights is
// (O, C/c, H, W, c), so nothing has to be reordered between convolutions and the layer behind. Of bf16 data
// what is canonical is packed for each run.
#include <stdio.h>

#include "kernels/cpu/cpu.h"

typedef struct matrix {
  int64_t rows, columns, row_stride, column_stride;
} matrix;

typedef struct dense {
  int64_t n, i, o; // i: with the padding of blocked activations
  co_layout x, w;
  bool transposed; // weights lie as (O, I)
} dense;

typedef struct prepared_dense {
  co_prepared base;
  co_dnnl_exec exec;
  co_cpu_tiles tiles; // of dy, for db
  size_t exec_bytes;
} prepared_dense;

typedef struct prepared_packed {
  co_prepared base;
  co_dnnl_packed packed;
  co_cpu_tiles tiles; // of dy in f32, for db
} prepared_packed;

enum { OPERAND_X, OPERAND_W, OPERAND_Y };

// Operands x, w, y (or their gradients) of the three operations.
static const co_tensor_desc *operand(const co_op_desc *desc, int which) {
  switch (desc->op) {
  case CO_OP_DENSE:
    return which == OPERAND_X ? &desc->in[0] : which == OPERAND_W ? &desc->in[1] : &desc->out[0];
  case CO_OP_DENSE_BACKWARD_DATA:
    return which == OPERAND_X ? &desc->out[0] : which == OPERAND_W ? &desc->in[1] : &desc->in[0];
  default:
    return which == OPERAND_X ? &desc->in[0] : which == OPERAND_W ? &desc->out[0] : &desc->in[1];
  }
}

static co_layout *choice_slot(co_op op, co_op_choice *choice, int which) {
  switch (op) {
  case CO_OP_DENSE:
    return which == OPERAND_X   ? &choice->in[0]
           : which == OPERAND_W ? &choice->in[1]
                                : &choice->out[0];
  case CO_OP_DENSE_BACKWARD_DATA:
    return which == OPERAND_X   ? &choice->out[0]
           : which == OPERAND_W ? &choice->in[1]
                                : &choice->in[0];
  default:
    return which == OPERAND_X   ? &choice->in[0]
           : which == OPERAND_W ? &choice->out[0]
                                : &choice->in[1];
  }
}

static void flat_dims(const co_shape *x, int64_t outputs, int64_t activation[4],
                      int64_t kernel[4]) {
  const int64_t *d = x->dim; // (N, H, W, C)
  activation[0] = d[0], activation[1] = d[3], activation[2] = d[1], activation[3] = d[2];
  kernel[0] = outputs, kernel[1] = d[3], kernel[2] = d[1], kernel[3] = d[2];
}

// The block that activations or weights lie in; 0: plain, -1: neither can be used.
static int64_t block_of(co_cpu *cpu, co_layout layout, co_cpu_view view) {
  if (layout == CO_LAYOUT_ANY || layout == CO_LAYOUT_CANONICAL) return 0;
  const co_cpu_layout *l = co_cpu_layout_get(cpu, layout);
  if (l == NULL || l->view != view) return -1;
  if (view == CO_VIEW_ACTIVATION) return l->block > 0 ? l->block : -1;
  co_md_form form;
  co_md_describe(co_md_borrow(&l->md), &form);
  if (form.blocks != 1 || form.block_dim[0] != 1) return -1;
  return form.block_size[0];
}

// Blocked where the activations are, unless the weights' home says canonical; where the weights
// have a blocked home, the activations follow it.
static co_status choose_layouts(co_cpu *cpu, const co_op_desc *desc, bool strict, dense *out,
                                co_cpu_answer *answer) {
  const co_tensor_desc *x = operand(desc, OPERAND_X), *w = operand(desc, OPERAND_W);
  int64_t block = 0;
  if (x->shape.rank == 4) {
    int64_t bx = block_of(cpu, x->layout, CO_VIEW_ACTIVATION);
    int64_t bw = block_of(cpu, w->layout, CO_VIEW_KERNEL);
    if (w->layout == CO_LAYOUT_ANY)
      block = bx > 0 ? bx : 0;
    else
      block = bw > 0 ? bw : 0;
  }
  out->x = out->w = CO_LAYOUT_CANONICAL;
  out->transposed = block > 0;
  if (block > 0) {
    int64_t activation[4], kernel[4];
    flat_dims(&x->shape, out->o, activation, kernel);
    CO_RETURN_IF_FAILED(co_cpu_layout_blocked(cpu, CO_VIEW_ACTIVATION, activation, block, &out->x));
    CO_RETURN_IF_FAILED(co_cpu_layout_blocked(cpu, CO_VIEW_KERNEL, kernel, block, &out->w));
    out->i = (activation[1] + block - 1) / block * block * activation[2] * activation[3];
  }
  if (strict && (out->x != x->layout || out->w != w->layout ||
                 operand(desc, OPERAND_Y)->layout != CO_LAYOUT_CANONICAL))
    return co_cpu_refuse(answer, "needs other layouts");
  return CO_OK;
}

static const int dense_args[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS};

static co_status matrix_md(const matrix *m, dnnl_data_type_t type, co_md *out) {
  const int64_t dims[2] = {m->rows, m->columns}, strides[2] = {m->row_stride, m->column_stride};
  return co_md_strided(out, type, 2, dims, strides);
}

// The product c = a b that an operation is.
static void matrices_of(co_op op, const dense *d, matrix out[3]) {
  const matrix x = {d->n, d->i, d->i, 1}, xt = {d->i, d->n, 1, d->i};
  const matrix y = {d->n, d->o, d->o, 1}, yt = {d->o, d->n, 1, d->o};
  // The weights as (I, O) and as (O, I), however they lie.
  const matrix w = {d->i, d->o, d->transposed ? 1 : d->o, d->transposed ? d->i : 1};
  const matrix wt = {d->o, d->i, w.column_stride, w.row_stride};
  if (op == CO_OP_DENSE)
    out[0] = x, out[1] = w, out[2] = y; // y = x w
  else if (op == CO_OP_DENSE_BACKWARD_DATA)
    out[0] = y, out[1] = wt, out[2] = x; // dx = dy w'
  else if (d->transposed)
    out[0] = yt, out[1] = x, out[2] = wt; // dw' = dy' x
  else
    out[0] = xt, out[1] = y, out[2] = w; // dw = x' dy
}

static co_dnnl_attr attr_of(const co_op_desc *desc) {
  return desc->op == CO_OP_DENSE
             ? (co_dnnl_attr){.relu = desc->attr.activation == CO_ACTIVATION_RELU}
             : (co_dnnl_attr){.accumulate = co_cpu_accumulates(desc, 0)};
}

static co_status create(co_cpu *cpu, const co_op_desc *desc, const dense *d,
                        dnnl_primitive_desc_t *pd) {
  const bool bias = desc->op == CO_OP_DENSE && co_cpu_has_in(desc, 2);
  const co_dnnl_attr attr = attr_of(desc);
  matrix product[3];
  co_status status = CO_OK;
  co_md md[4] = {0};
  *pd = NULL;
  matrices_of(desc->op, d, product);
  for (int i = 0; i < 3; i++)
    CO_TRY(matrix_md(&product[i], dnnl_f32, &md[i]));
  const matrix bias_row = {1, d->o, d->o, 1};
  if (bias) CO_TRY(matrix_md(&bias_row, dnnl_f32, &md[3]));
  dnnl_status_t made =
      co_dnnl_matmul_create(pd, &cpu->dnnl, &md[0], &md[1], bias ? &md[3] : NULL, &md[2], &attr);
  if (made == dnnl_out_of_memory) status = co_dnnl_fail(made, "matmul");
  if (made != dnnl_success) *pd = NULL;
cleanup:
  for (int i = 0; i < 4; i++)
    co_md_free(&md[i]);
  return status;
}

static co_status run_dense(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                           void *workspace) {
  const prepared_dense *p = (prepared_dense *)prepared;
  void *handles[4];
  if (prepared->desc.op == CO_OP_DENSE) {
    handles[0] = in[0], handles[1] = in[1], handles[2] = out[0], handles[3] = in[2];
    return co_dnnl_exec_run(&p->exec, &cpu->dnnl, handles, workspace);
  }
  if (prepared->desc.op == CO_OP_DENSE_BACKWARD_DATA) {
    handles[0] = in[0], handles[1] = in[1], handles[2] = out[0];
    return co_dnnl_exec_run(&p->exec, &cpu->dnnl, handles, workspace);
  }
  const bool transposed = prepared->desc.out[0].layout != CO_LAYOUT_CANONICAL;
  handles[0] = in[transposed ? 1 : 0], handles[1] = in[transposed ? 0 : 1], handles[2] = out[0];
  CO_RETURN_IF_FAILED(co_dnnl_exec_run(&p->exec, &cpu->dnnl, handles, workspace));
  if (co_cpu_has_out(&prepared->desc, 1))
    co_cpu_column_sum(cpu, &p->tiles, in[1], out[1], co_cpu_accumulates(&prepared->desc, 1),
                      workspace);
  return CO_OK;
}

static void release_dense(co_cpu *cpu, co_prepared *prepared) {
  (void)cpu;
  co_dnnl_exec_free(&((prepared_dense *)prepared)->exec);
}

static co_status prepare_dense(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                               dnnl_primitive_desc_t pd, const char *name, co_prepared **out) {
  co_prepared *prepared = NULL;
  CO_RETURN_IF_FAILED(
      co_cpu_prepared_create(cpu, impl, desc, name, sizeof(prepared_dense), run_dense, &prepared));
  prepared_dense *p = (prepared_dense *)prepared;
  bool bias = desc->op == CO_OP_DENSE && co_cpu_has_in(desc, 2);
  co_status status = co_dnnl_exec_create(&p->exec, &cpu->dnnl, pd, dense_args, bias ? 4 : 3);
  if (status != CO_OK) {
    co_free(cpu->base.ctx, prepared);
    return status;
  }
  prepared->release = release_dense;
  if (desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS) (void)co_cpu_tiles_of(cpu, &desc->in[1], &p->tiles);
  *out = prepared;
  return CO_OK;
}

// The sizes of the product.
static co_status measure(const co_op_desc *desc, dense *out, co_cpu_answer *answer) {
  const co_tensor_desc *x = operand(desc, OPERAND_X), *y = operand(desc, OPERAND_Y);
  if (co_shape_count(&x->shape) <= 0 || co_shape_count(&y->shape) <= 0)
    return co_cpu_refuse(answer, "empty operand");
  if (desc->op == CO_OP_DENSE && (desc->accumulate & desc->has_out)) {
    answer->accumulate = true;
    return co_cpu_refuse(answer, "cannot accumulate");
  }
  *out = (dense){.n = x->shape.dim[0], .o = y->shape.dim[1]};
  out->i = co_shape_count(&x->shape) / out->n;
  return CO_OK;
}

static bool all_f32(const co_op_desc *desc) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i) && desc->in[i].dtype != CO_F32) return false;
    if (co_cpu_has_out(desc, i) && desc->out[i].dtype != CO_F32) return false;
  }
  return true;
}

static bool has_db(const co_op_desc *desc) {
  return desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS && co_cpu_has_out(desc, 1);
}

static void tiles_of_dy(co_cpu *cpu, const co_op_desc *desc, co_cpu_tiles *out) {
  co_tensor_desc dy = desc->in[1];
  dy.dtype = CO_F32;
  dy.layout = CO_LAYOUT_CANONICAL;
  (void)co_cpu_tiles_of(cpu, &dy, out);
}

static co_status plan_dense(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                            bool strict, co_cpu_answer *answer, co_prepared **out) {
  dense d;
  if (!all_f32(desc)) return co_cpu_refuse(answer, "f32 only");
  CO_RETURN_IF_FAILED(measure(desc, &d, answer));
  co_status status = choose_layouts(cpu, desc, strict, &d, answer);
  if (status != CO_OK) return status;

  dnnl_primitive_desc_t pd = NULL;
  char name[64];
  CO_TRY(create(cpu, desc, &d, &pd));
  if (pd == NULL) return co_cpu_refuse(answer, "no such primitive");
  snprintf(name, sizeof name, "dnnl:%s", co_dnnl_implementation(pd));
  if (impl->variant == 0 && strncmp(name, "dnnl:ref", 8) == 0) {
    status = co_cpu_refuse(answer, "%s", name);
    goto cleanup;
  }
  co_op_choice *choice = &answer->choice;
  *choice_slot(desc->op, choice, OPERAND_X) = d.x;
  *choice_slot(desc->op, choice, OPERAND_W) = d.w;
  choice->workspace = co_dnnl_scratch_bytes(pd);
  if (has_db(desc)) {
    co_cpu_tiles tiles;
    tiles_of_dy(cpu, desc, &tiles);
    if (co_cpu_column_sum_bytes(&tiles) > choice->workspace)
      choice->workspace = co_cpu_column_sum_bytes(&tiles);
  }
  choice->implementation = co_cpu_intern(cpu, name);
  if (choice->implementation == NULL)
    status = CO_ERR_MEMORY;
  else if (out)
    status = prepare_dense(cpu, impl, desc, pd, choice->implementation, out);
cleanup:
  if (pd) dnnl_primitive_desc_destroy(pd);
  return status;
}

// ---- bf16 --------------------------------------------------------------------------------------

// Workspace of db behind that of the product: dy in f32, then sums.
static size_t dy_bytes(const dense *d) {
  return ((size_t)(d->n * d->o) * sizeof(float) + 63) / 64 * 64;
}

static co_status run_packed(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  const prepared_packed *p = (prepared_packed *)prepared;
  const co_op_desc *desc = &prepared->desc;
  void *const handles[4] = {in[0], in[1], out[0], desc->op == CO_OP_DENSE ? in[2] : NULL};
  CO_RETURN_IF_FAILED(co_dnnl_packed_run(&p->packed, &cpu->dnnl, handles, workspace));
  if (!has_db(desc)) return CO_OK;
  float *dy = (float *)((char *)workspace + p->packed.bytes);
  const int64_t count = co_shape_count(&desc->in[1].shape);
  co_cpu_widen_all(cpu, dy, in[1], count);
  co_cpu_column_sum(cpu, &p->tiles, dy, out[1], co_cpu_accumulates(desc, 1),
                    (char *)dy + ((size_t)count * sizeof(float) + 63) / 64 * 64);
  return CO_OK;
}

static void release_packed(co_cpu *cpu, co_prepared *prepared) {
  (void)cpu;
  co_dnnl_packed_free(&((prepared_packed *)prepared)->packed);
}

static co_status prepare_packed(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                dnnl_primitive_desc_t pd, const co_md *const *given,
                                const char *name, co_prepared **out) {
  co_prepared *prepared = NULL;
  CO_RETURN_IF_FAILED(co_cpu_prepared_create(cpu, impl, desc, name, sizeof(prepared_packed),
                                             run_packed, &prepared));
  prepared_packed *p = (prepared_packed *)prepared;
  co_status status = co_dnnl_packed_create(&p->packed, &cpu->dnnl, pd, dense_args, given,
                                           given[3] ? 4 : 3, 1u << 2, true);
  if (status != CO_OK) {
    co_free(cpu->base.ctx, prepared);
    return status;
  }
  if (has_db(desc)) tiles_of_dy(cpu, desc, &p->tiles);
  prepared->release = release_packed;
  *out = prepared;
  return CO_OK;
}

// Both factors may lie as oneDNN likes; the result is where it is added to.
static co_status plan_product_bf16(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                   const dense *d, co_cpu_answer *answer, co_prepared **out) {
  const co_dnnl_attr attr = attr_of(desc);
  const matrix bias_row = {1, d->o, d->o, 1};
  const bool bias = desc->op == CO_OP_DENSE && co_cpu_has_in(desc, 2);
  co_md md[4] = {0}, any[2] = {0};
  const co_md *given[4] = {&md[0], &md[1], &md[2], bias ? &md[3] : NULL};
  matrix product[3];
  dnnl_primitive_desc_t pd = NULL;
  co_dnnl_packed packed;
  char name[64];
  co_status status = CO_OK;
  matrices_of(desc->op, d, product);
  for (int i = 0; i < 2; i++) {
    const int64_t dims[2] = {product[i].rows, product[i].columns};
    CO_TRY(matrix_md(&product[i], dnnl_bf16, &md[i]));
    CO_TRY(co_md_any(&any[i], dnnl_bf16, 2, dims));
  }
  CO_TRY(matrix_md(&product[2], co_cpu_dnnl_type(desc->out[0].dtype), &md[2]));
  if (bias) CO_TRY(matrix_md(&bias_row, co_cpu_dnnl_type(desc->in[2].dtype), &md[3]));
  dnnl_status_t made =
      co_dnnl_matmul_create(&pd, &cpu->dnnl, &any[0], &any[1], given[3], &md[2], &attr);
  if (made == dnnl_out_of_memory) status = co_dnnl_fail(made, "matmul");
  if (status != CO_OK) goto cleanup;
  if (made != dnnl_success) {
    status = co_cpu_refuse(answer, "no such primitive");
    goto cleanup;
  }
  snprintf(name, sizeof name, "dnnl:%s", co_dnnl_implementation(pd));
  if (strncmp(name, "dnnl:brg", 8) != 0) { // others are no faster than by way of float
    status = co_cpu_refuse(answer, "%s", name);
    goto cleanup;
  }
  CO_TRY(co_dnnl_packed_create(&packed, &cpu->dnnl, pd, dense_args, given, bias ? 4 : 3, 1u << 2,
                               false));
  answer->choice.workspace = packed.bytes;
  if (has_db(desc)) {
    co_cpu_tiles tiles;
    tiles_of_dy(cpu, desc, &tiles);
    answer->choice.workspace += dy_bytes(d) + co_cpu_column_sum_bytes(&tiles);
  }
  answer->choice.implementation = co_cpu_intern(cpu, name);
  if (answer->choice.implementation == NULL)
    status = CO_ERR_MEMORY;
  else if (out)
    status = prepare_packed(cpu, impl, desc, pd, given, answer->choice.implementation, out);
cleanup:
  if (pd) dnnl_primitive_desc_destroy(pd);
  for (int i = 0; i < 4; i++)
    co_md_free(&md[i]);
  for (int i = 0; i < 2; i++)
    co_md_free(&any[i]);
  return status;
}

static co_status plan_dense_bf16(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                 bool strict, co_cpu_answer *answer, co_prepared **out) {
  dense d;
  if (!co_cpu_any_bf16(desc)) return CO_ERR_DEVICE; // nothing to say of it
  if (!co_dnnl_has_bf16()) return co_cpu_refuse(answer, "the processor has no bf16");
  if (co_op_check_bf16(desc) != CO_OK) return co_cpu_refuse(answer, "%s", co_error_last()->message);
  if (strict && !co_cpu_all_canonical(desc))
    return co_cpu_refuse(answer, "takes canonical layouts only");
  if (desc->op == CO_OP_DENSE && co_cpu_has_out(desc, 1)) return co_cpu_refuse(answer, "no mask");
  CO_RETURN_IF_FAILED(measure(desc, &d, answer));
  return plan_product_bf16(cpu, impl, desc, &d, answer, out);
}

const co_cpu_impl co_cpu_dense[] = {
    {.op = CO_OP_DENSE, .name = "dnnl:bf16", .plan = plan_dense_bf16},
    {.op = CO_OP_DENSE_BACKWARD_DATA, .name = "dnnl:bf16", .plan = plan_dense_bf16},
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS, .name = "dnnl:bf16", .plan = plan_dense_bf16},
    {.op = CO_OP_DENSE, .name = "dnnl", .plan = plan_dense},
    {.op = CO_OP_DENSE, .name = "dnnl:ref", .plan = plan_dense, .variant = 1},
    {.op = CO_OP_DENSE_BACKWARD_DATA, .name = "dnnl", .plan = plan_dense},
    {.op = CO_OP_DENSE_BACKWARD_DATA, .name = "dnnl:ref", .plan = plan_dense, .variant = 1},
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS, .name = "dnnl", .plan = plan_dense},
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS, .name = "dnnl:ref", .plan = plan_dense, .variant = 1},
    {.name = NULL},
};
