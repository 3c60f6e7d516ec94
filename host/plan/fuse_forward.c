// SPDX-License-Identifier: Apache-2.0
// Pass 2: activations become epilogues, flattens multi-dimensional inputs of DENSE, normalisations part
// of the weights before them (in scoring), metrics outputs of their loss, the operations of an input
// section one. Observed values are never fused away.
#include "host/plan/pass.h"

static int64_t find_writer(const co_plan *plan, co_value value) {
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (plan->ops[i].desc.op != CO_OP_COUNT && plan->ops[i].out[k] == value) return i;
  return -1;
}

static bool may_vanish(const co_plan *plan, co_value value) {
  const co_value_info *info = &plan->values[value].info;
  return info->storage == CO_STORAGE_ARENA && !info->observed &&
         co_plan_count_readers(plan, value, NULL) == 1;
}

static void fuse_activation(co_plan *plan, co_plan_op *relu) {
  int64_t writer = find_writer(plan, relu->in[CO_RELU_x]);
  if (writer < 0 || !may_vanish(plan, relu->in[CO_RELU_x])) return;
  co_plan_op *op = &plan->ops[writer];
  if (!co_op_get_info(op->desc.op)->activation || op->desc.attr.activation != CO_ACTIVATION_NONE)
    return;
  op->desc.attr.activation = CO_ACTIVATION_RELU;
  op->out[0] = relu->out[CO_RELU_y];
  op->note = "fused relu";
  relu->desc.op = CO_OP_COUNT;
}

// RESHAPE (N, …) -> (N, I) before DENSE: DENSE reads the unflattened tensor, whatever its layout.
static void fuse_flatten(co_plan *plan, co_plan_op *dense) {
  int64_t writer = find_writer(plan, dense->in[CO_DENSE_x]);
  if (writer < 0 || plan->ops[writer].desc.op != CO_OP_RESHAPE) return;
  co_plan_op *reshape = &plan->ops[writer];
  const co_shape *from = &plan->values[reshape->in[CO_RESHAPE_x]].info.desc.shape;
  const co_shape *to = &plan->values[reshape->out[CO_RESHAPE_y]].info.desc.shape;
  if (!may_vanish(plan, dense->in[CO_DENSE_x]) || to->rank != 2 || from->rank < 3 ||
      from->dim[0] != to->dim[0])
    return;
  dense->in[CO_DENSE_x] = reshape->in[CO_RESHAPE_x];
  dense->note = dense->note ? "fused flatten and relu" : "fused flatten";
  reshape->desc.op = CO_OP_COUNT;
}

// A loss that has seen every logit can count the hits as well.
static void join_hits(co_plan *plan, co_plan_op *hits) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *loss = &plan->ops[i];
    if (loss->desc.op != CO_OP_SOFTMAX_CROSS_ENTROPY ||
        loss->out[CO_SOFTMAX_CROSS_ENTROPY_hits] != CO_NO_VALUE ||
        loss->in[CO_SOFTMAX_CROSS_ENTROPY_x] != hits->in[CO_CATEGORICAL_HITS_x] ||
        loss->in[CO_SOFTMAX_CROSS_ENTROPY_target] != hits->in[CO_CATEGORICAL_HITS_target] ||
        loss->in[CO_SOFTMAX_CROSS_ENTROPY_weight] != hits->in[CO_CATEGORICAL_HITS_weight])
      continue;
    loss->out[CO_SOFTMAX_CROSS_ENTROPY_hits] = hits->out[CO_CATEGORICAL_HITS_sums];
    loss->desc.accumulate |= (hits->desc.accumulate & 1) << CO_SOFTMAX_CROSS_ENTROPY_hits;
    loss->note = "fused hits";
    hits->desc.op = CO_OP_COUNT;
    return;
  }
}

// Place of an operation in the sequence that INPUT_ROWS stands for, -1 if it has none.
static int input_stage(co_op op) {
  static const co_op stages[] = {CO_OP_GATHER, CO_OP_CAST, CO_OP_FLIP, CO_OP_SHIFTED_CROP,
                                 CO_OP_NORMALIZE};
  for (int i = 0; i < (int)(sizeof stages / sizeof *stages); i++)
    if (stages[i] == op) return i;
  return -1;
}

// Adds one operation of the sequence to those that `rows` has taken in.
static void take_in(co_plan_op *rows, const co_plan_op *op) {
  co_op_attr *attr = &rows->desc.attr;
  switch (op->desc.op) {
  case CO_OP_GATHER:
    rows->in[CO_INPUT_ROWS_index] = op->in[CO_GATHER_index];
    break;
  case CO_OP_FLIP:
    rows->in[CO_INPUT_ROWS_ids] = op->in[CO_FLIP_ids];
    rows->in[CO_INPUT_ROWS_step] = op->in[CO_FLIP_step];
    attr->rate = op->desc.attr.rate;
    attr->purpose = op->desc.attr.purpose;
    break;
  case CO_OP_SHIFTED_CROP:
    rows->in[CO_INPUT_ROWS_ids] = op->in[CO_SHIFTED_CROP_ids];
    rows->in[CO_INPUT_ROWS_step] = op->in[CO_SHIFTED_CROP_step];
    attr->pad = op->desc.attr.pad;
    attr->fill = op->desc.attr.fill;
    attr->crop_purpose = op->desc.attr.purpose;
    break;
  case CO_OP_NORMALIZE:
    rows->in[CO_INPUT_ROWS_mean] = op->in[CO_NORMALIZE_mean];
    rows->in[CO_INPUT_ROWS_scale] = op->in[CO_NORMALIZE_scale];
    break;
  default: // CAST
    break;
  }
}

// The operation that alone reads the result of `at` and comes later in the sequence, or -1.
static int64_t next_stage(const co_plan *plan, int64_t at, const co_plan_op *rows) {
  const co_plan_op *op = &plan->ops[at], *next;
  int64_t reader;
  if (!may_vanish(plan, op->out[0])) return -1;
  (void)co_plan_count_readers(plan, op->out[0], &reader);
  next = &plan->ops[reader];
  if (next->in[0] != op->out[0] || input_stage(next->desc.op) <= input_stage(op->desc.op))
    return -1;
  if (next->desc.op == CO_OP_CAST && next->desc.attr.dtype != CO_F32) return -1;
  co_value ids = rows->in[CO_INPUT_ROWS_ids]; // of a FLIP before
  bool crop = next->desc.op == CO_OP_SHIFTED_CROP && ids != CO_NO_VALUE;
  return crop && next->in[CO_SHIFTED_CROP_ids] != ids ? -1 : reader;
}

// INPUT_ROWS takes rows by numbers of samples.
static bool begins_input(const co_plan *plan, const co_plan_op *op) {
  if (op->desc.op != CO_OP_GATHER) return input_stage(op->desc.op) >= 0;
  return plan->values[op->in[CO_GATHER_index]].info.desc.dtype == CO_I64;
}

// Fetching, casting, augmenting and normalising rows: one pass over them.
static void fuse_input(co_plan *plan, int64_t first) {
  co_plan_op rows = co_plan_op_make(CO_OP_INPUT_ROWS, plan->ops[first].layer, "fused input");
  rows.desc.attr.dtype = CO_F32; // "real"
  rows.in[CO_INPUT_ROWS_table] = plan->ops[first].in[0];
  take_in(&rows, &plan->ops[first]);
  int64_t last = first, next;
  while ((next = next_stage(plan, last, &rows)) >= 0) {
    take_in(&rows, &plan->ops[next]);
    plan->ops[last].desc.op = CO_OP_COUNT;
    last = next;
  }
  if (last == first) return;
  rows.out[CO_INPUT_ROWS_y] = plan->ops[last].out[0];
  plan->ops[last] = rows;
}

// The dimension of a product's weights that counts its results, -1 of what is no such product. All of
// these have x, w and b in the places of CONV2D.
static int feature_axis(co_op op) {
  return op == CO_OP_DENSE ? 1 : op == CO_OP_CONV2D ? 3 : op == CO_OP_CONV2D_TRANSPOSE ? 2 : -1;
}

static co_status add_folded(co_plan *plan, co_value like, const char *of, co_value *out) {
  co_tensor_desc desc = plan->values[like].info.desc;
  char *name = co_arena_format(plan->arena, "%s folded", of);
  if (!name) return CO_ERR_MEMORY;
  desc.layout = CO_LAYOUT_CANONICAL;
  return co_plan_add_value(plan, name, &desc, CO_STORAGE_ARENA, 0, out);
}

// Scoring changes no weights: a normalisation by stored statistics becomes part of them. In bf16 the
// weights of products are the store's.
static co_status fold_norm(co_plan *plan, co_plan_op *norm) {
  const co_value x = norm->in[CO_BATCH_NORM_INFERENCE_x];
  const int64_t writer = find_writer(plan, x);
  if (writer < 0 || !may_vanish(plan, x)) return CO_OK;
  co_plan_op *product = &plan->ops[writer];
  const int axis = feature_axis(product->desc.op);
  const co_value w = axis < 0 ? CO_NO_VALUE : product->in[CO_CONV2D_w];
  if (w == CO_NO_VALUE || plan->values[w].info.storage != CO_STORAGE_PARAM ||
      product->desc.attr.activation != CO_ACTIVATION_NONE)
    return CO_OK;
  co_plan_op fold = co_plan_op_make(CO_OP_FOLD_BATCH_NORM, norm->layer, NULL), folded = *product;
  fold.desc.attr.epsilon = norm->desc.attr.epsilon;
  fold.desc.attr.axis = axis;
  fold.in[CO_FOLD_BATCH_NORM_w] = w;
  fold.in[CO_FOLD_BATCH_NORM_gamma] = norm->in[CO_BATCH_NORM_INFERENCE_gamma];
  fold.in[CO_FOLD_BATCH_NORM_beta] = norm->in[CO_BATCH_NORM_INFERENCE_beta];
  fold.in[CO_FOLD_BATCH_NORM_running_mean] = norm->in[CO_BATCH_NORM_INFERENCE_running_mean];
  fold.in[CO_FOLD_BATCH_NORM_running_variance] = norm->in[CO_BATCH_NORM_INFERENCE_running_variance];
  fold.in[CO_FOLD_BATCH_NORM_b] = product->in[CO_CONV2D_b];
  CO_RETURN_IF_FAILED(
      add_folded(plan, w, plan->values[w].info.name, &fold.out[CO_FOLD_BATCH_NORM_kernel]));
  const co_value beta = fold.in[CO_FOLD_BATCH_NORM_beta];
  CO_RETURN_IF_FAILED(
      add_folded(plan, beta, plan->values[beta].info.name, &fold.out[CO_FOLD_BATCH_NORM_bias]));
  folded.in[CO_CONV2D_w] = fold.out[CO_FOLD_BATCH_NORM_kernel];
  folded.in[CO_CONV2D_b] = fold.out[CO_FOLD_BATCH_NORM_bias];
  folded.out[0] = norm->out[0];
  folded.desc.attr.activation = norm->desc.attr.activation;
  folded.note =
      co_arena_format(plan->arena, "%s%sfolded batch norm%s", product->note ? product->note : "",
                      product->note ? ", " : "", norm->note ? " and relu" : "");
  if (!folded.note) return CO_ERR_MEMORY;
  *product = fold; // nothing between the two reads the product
  *norm = folded;
  return CO_OK;
}

co_status co_pass_fuse_forward(co_plan *plan) {
  const bool folds =
      plan->options.mode == CO_MODE_INFER && !plan->options.bf16 && plan->backend->api->folds_norms;
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_RELU) fuse_activation(plan, &plan->ops[i]);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_DENSE) fuse_flatten(plan, &plan->ops[i]);
  for (int64_t i = 0; folds && i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_BATCH_NORM_INFERENCE)
      CO_RETURN_IF_FAILED(fold_norm(plan, &plan->ops[i]));
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_CATEGORICAL_HITS) join_hits(plan, &plan->ops[i]);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (begins_input(plan, &plan->ops[i])) fuse_input(plan, i);
  co_plan_compact(plan);
  return CO_OK;
}
