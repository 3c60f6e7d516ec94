// SPDX-License-Identifier: Apache-2.0
#include "host/graph/optim/optimizer.h"

typedef struct sgd_options {
  double momentum, weight_decay;
  bool nesterov;
} sgd_options;

static const co_field fields[] = {
    {"momentum", CO_FIELD_DOUBLE, offsetof(sgd_options, momentum), "0.0", 0, 1, NULL,
     "Share of the last update that carries over.", NULL},
    {"nesterov", CO_FIELD_BOOL, offsetof(sgd_options, nesterov), "false", 0, 0, NULL,
     "Look ahead along the momentum (Nesterov).", NULL},
    {"weight_decay", CO_FIELD_DOUBLE, offsetof(sgd_options, weight_decay), "0.0", 0, 1e6, NULL,
     "L2 penalty added to the gradient.", NULL},
    {.key = NULL}};

static int slots(const void *options) {
  return ((const sgd_options *)options)->momentum != 0;
}

static co_status emit(co_graph *graph, const void *options, const co_update_operands *operands) {
  const sgd_options *sgd = options;
  co_op_attr attr = {.clip_value = operands->clip_value,
                     .momentum = sgd->momentum,
                     .nesterov = sgd->nesterov,
                     .weight_decay = sgd->weight_decay};
  co_value m = slots(options) ? operands->slot[0] : CO_NO_VALUE;
  co_value in[CO_OP_MAX_OPERANDS] = {[CO_SGD_w] = operands->w,
                                     [CO_SGD_g] = operands->g,
                                     [CO_SGD_m] = m,
                                     [CO_SGD_segments] = operands->segments,
                                     [CO_SGD_step] = operands->step,
                                     [CO_SGD_gate] = operands->gate,
                                     [CO_SGD_narrow] = operands->narrow};
  co_value out[CO_OP_MAX_OPERANDS] = {
      [CO_SGD_new_w] = operands->w, [CO_SGD_new_m] = m, [CO_SGD_mirror] = operands->mirror};
  return co_graph_add_op(graph, CO_OP_SGD, &attr, in, out);
}

static co_status emit_rows(co_graph *graph, const void *options, const co_row_operands *operands) {
  const sgd_options *sgd = options;
  if (slots(options))
    return co_fail(CO_ERR_CONFIG, "momentum moves every row at every step, which update: rows does "
                                  "not; use sgd without momentum, or adam");
  const co_op_attr attr = {.clip_value = operands->clip_value,
                           .rate = operands->rate,
                           .weight_decay = sgd->weight_decay * operands->decay};
  co_value in[CO_OP_MAX_OPERANDS] = {[CO_SGD_ROWS_w] = operands->w,
                                     [CO_SGD_ROWS_ids] = operands->ids,
                                     [CO_SGD_ROWS_g] = operands->g,
                                     [CO_SGD_ROWS_step] = operands->step,
                                     [CO_SGD_ROWS_gate] = operands->gate};
  co_value out[CO_OP_MAX_OPERANDS] = {[CO_SGD_ROWS_new_w] = operands->w};
  return co_graph_add_op(graph, CO_OP_SGD_ROWS, &attr, in, out);
}

static void betas(const void *options, double *beta1, double *beta2) {
  (void)options;
  *beta1 = *beta2 = 0;
}

extern const co_optimizer_class co_optimizer_sgd;
const co_optimizer_class co_optimizer_sgd = {
    .name = "sgd",
    .doc = "Stochastic gradient descent, optionally with momentum.",
    .fields = fields,
    .options_size = sizeof(sgd_options),
    .slots = slots,
    .emit = emit,
    .emit_rows = emit_rows,
    .betas = betas};
