// SPDX-License-Identifier: Apache-2.0
// RMSprop (Tieleman & Hinton 2012) and Adagrad (Duchi et al. 2011), as PyTorch has them.
#include "host/graph/optim/optimizer.h"

typedef struct rmsprop_options {
  double rho, momentum, epsilon, weight_decay;
} rmsprop_options;

#define DECAY(type)                                                                                \
  {                                                                                                \
    "weight_decay", CO_FIELD_DOUBLE, offsetof(type, weight_decay), "0.0", 0, 1e6, NULL,            \
        "L2 penalty added to the gradient.", NULL                                                  \
  }

static const co_field rmsprop_fields[] = {
    {"rho", CO_FIELD_DOUBLE, offsetof(rmsprop_options, rho), "0.9", 0, 0.9999999, NULL,
     "Decay of the mean of squares.", "alpha"},
    {"momentum", CO_FIELD_DOUBLE, offsetof(rmsprop_options, momentum), "0.0", 0, 1, NULL,
     "Share of the last update that carries over.", NULL},
    {"epsilon", CO_FIELD_DOUBLE, offsetof(rmsprop_options, epsilon), "1.0e-7", 1e-30, 1, NULL,
     "Added to the root of the mean of squares.", "eps"},
    DECAY(rmsprop_options),
    {.key = NULL}};

typedef struct adagrad_options {
  double epsilon, weight_decay;
} adagrad_options;

static const co_field adagrad_fields[] = {{"epsilon", CO_FIELD_DOUBLE,
                                           offsetof(adagrad_options, epsilon), "1.0e-10", 1e-30, 1,
                                           NULL, "Added to the root of the sum of squares.", "eps"},
                                          DECAY(adagrad_options),
                                          {.key = NULL}};

static co_status emit(co_graph *graph, const co_op_attr *attr, const co_update_operands *operands) {
  const co_value m = attr->momentum != 0 ? operands->slot[1] : CO_NO_VALUE;
  co_value in[CO_OP_MAX_OPERANDS] = {[CO_RMSPROP_w] = operands->w,
                                     [CO_RMSPROP_g] = operands->g,
                                     [CO_RMSPROP_v] = operands->slot[0],
                                     [CO_RMSPROP_m] = m,
                                     [CO_RMSPROP_segments] = operands->segments,
                                     [CO_RMSPROP_step] = operands->step,
                                     [CO_RMSPROP_gate] = operands->gate,
                                     [CO_RMSPROP_narrow] = operands->narrow};
  co_value out[CO_OP_MAX_OPERANDS] = {[CO_RMSPROP_new_w] = operands->w,
                                      [CO_RMSPROP_new_v] = operands->slot[0],
                                      [CO_RMSPROP_new_m] = m,
                                      [CO_RMSPROP_mirror] = operands->mirror};
  return co_graph_add_op(graph, CO_OP_RMSPROP, attr, in, out);
}

static co_status emit_rmsprop(co_graph *graph, const void *options,
                              const co_update_operands *operands) {
  const rmsprop_options *o = options;
  const co_op_attr attr = {.clip_value = operands->clip_value,
                           .beta2 = o->rho,
                           .added = 1 - o->rho,
                           .momentum = o->momentum,
                           .epsilon = o->epsilon,
                           .weight_decay = o->weight_decay};
  return emit(graph, &attr, operands);
}

static co_status emit_adagrad(co_graph *graph, const void *options,
                              const co_update_operands *operands) {
  const adagrad_options *o = options;
  const co_op_attr attr = {.clip_value = operands->clip_value,
                           .beta2 = 1,
                           .added = 1,
                           .epsilon = o->epsilon,
                           .weight_decay = o->weight_decay};
  return emit(graph, &attr, operands);
}

static int rmsprop_slots(const void *options) {
  return ((const rmsprop_options *)options)->momentum != 0 ? 2 : 1;
}

static int adagrad_slots(const void *options) {
  (void)options;
  return 1;
}

static void betas(const void *options, double *beta1, double *beta2) {
  (void)options;
  *beta1 = *beta2 = 0;
}

extern const co_optimizer_class co_optimizer_rmsprop, co_optimizer_adagrad;
const co_optimizer_class co_optimizer_rmsprop = {
    .name = "rmsprop",
    .doc = "Gradients divided by the root of a running mean of their squares.",
    .fields = rmsprop_fields,
    .options_size = sizeof(rmsprop_options),
    .slots = rmsprop_slots,
    .emit = emit_rmsprop,
    .betas = betas};
const co_optimizer_class co_optimizer_adagrad = {
    .name = "adagrad",
    .doc = "Gradients divided by the root of the sum of their squares.",
    .fields = adagrad_fields,
    .options_size = sizeof(adagrad_options),
    .slots = adagrad_slots,
    .emit = emit_adagrad,
    .betas = betas};
