// SPDX-License-Identifier: Apache-2.0
// Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019).
#include "host/graph/optim/optimizer.h"

typedef struct adam_options {
  double beta1, beta2, epsilon, weight_decay;
} adam_options;

#define ADAM_FIELDS(decay, decay_doc)                                                              \
  {                                                                                                \
    {"beta1",                                                                                      \
     CO_FIELD_DOUBLE,                                                                              \
     offsetof(adam_options, beta1),                                                                \
     "0.9",                                                                                        \
     0,                                                                                            \
     0.9999999,                                                                                    \
     NULL,                                                                                         \
     "Decay of the first moment.",                                                                 \
     "beta_1"},                                                                                    \
        {"beta2",                                                                                  \
         CO_FIELD_DOUBLE,                                                                          \
         offsetof(adam_options, beta2),                                                            \
         "0.999",                                                                                  \
         0,                                                                                        \
         0.9999999,                                                                                \
         NULL,                                                                                     \
         "Decay of the second moment.",                                                            \
         "beta_2"},                                                                                \
        {"epsilon",                                                                                \
         CO_FIELD_DOUBLE,                                                                          \
         offsetof(adam_options, epsilon),                                                          \
         "1.0e-8",                                                                                 \
         1e-30,                                                                                    \
         1,                                                                                        \
         NULL,                                                                                     \
         "Added to the root of the second moment.",                                                \
         "eps"},                                                                                   \
        {"weight_decay",                                                                           \
         CO_FIELD_DOUBLE,                                                                          \
         offsetof(adam_options, weight_decay),                                                     \
         decay,                                                                                    \
         0,                                                                                        \
         1e6,                                                                                      \
         NULL,                                                                                     \
         decay_doc,                                                                                \
         NULL},                                                                                    \
    {                                                                                              \
      .key = NULL                                                                                  \
    }                                                                                              \
  }

static const co_field adam_fields[] =
    ADAM_FIELDS("0.0", "L2 penalty added to the gradient (adamw decouples it).");
static const co_field adamw_fields[] =
    ADAM_FIELDS("0.01", "Weights shrink by learning rate times this each step.");

static int slots(const void *options) {
  (void)options;
  return 2;
}

static co_status emit(co_graph *graph, const adam_options *adam, int32_t decoupled,
                      const co_update_operands *operands) {
  co_op_attr attr = {.clip_value = operands->clip_value,
                     .beta1 = adam->beta1,
                     .beta2 = adam->beta2,
                     .epsilon = adam->epsilon,
                     .weight_decay = adam->weight_decay,
                     .decoupled = decoupled};
  co_value in[CO_OP_MAX_OPERANDS] = {[CO_ADAM_w] = operands->w,
                                     [CO_ADAM_g] = operands->g,
                                     [CO_ADAM_m] = operands->slot[0],
                                     [CO_ADAM_v] = operands->slot[1],
                                     [CO_ADAM_segments] = operands->segments,
                                     [CO_ADAM_step] = operands->step,
                                     [CO_ADAM_gate] = operands->gate,
                                     [CO_ADAM_narrow] = operands->narrow};
  co_value out[CO_OP_MAX_OPERANDS] = {[CO_ADAM_new_w] = operands->w,
                                      [CO_ADAM_new_m] = operands->slot[0],
                                      [CO_ADAM_new_v] = operands->slot[1],
                                      [CO_ADAM_mirror] = operands->mirror};
  return co_graph_add_op(graph, CO_OP_ADAM, &attr, in, out);
}

static co_status emit_adam(co_graph *graph, const void *options,
                           const co_update_operands *operands) {
  return emit(graph, options, 0, operands);
}

static co_status emit_adamw(co_graph *graph, const void *options,
                            const co_update_operands *operands) {
  return emit(graph, options, 1, operands);
}

static co_status emit_rows(co_graph *graph, const adam_options *adam, int32_t decoupled,
                           const co_row_operands *operands) {
  co_op_attr attr = {.clip_value = operands->clip_value,
                     .rate = operands->rate,
                     .beta1 = adam->beta1,
                     .beta2 = adam->beta2,
                     .epsilon = adam->epsilon,
                     .weight_decay = adam->weight_decay * operands->decay,
                     .decoupled = decoupled};
  co_value in[CO_OP_MAX_OPERANDS] = {
      [CO_ADAM_ROWS_w] = operands->w,       [CO_ADAM_ROWS_m] = operands->slot[0],
      [CO_ADAM_ROWS_v] = operands->slot[1], [CO_ADAM_ROWS_steps] = operands->steps,
      [CO_ADAM_ROWS_ids] = operands->ids,   [CO_ADAM_ROWS_g] = operands->g,
      [CO_ADAM_ROWS_step] = operands->step, [CO_ADAM_ROWS_gate] = operands->gate};
  co_value out[CO_OP_MAX_OPERANDS] = {[CO_ADAM_ROWS_new_w] = operands->w,
                                      [CO_ADAM_ROWS_new_m] = operands->slot[0],
                                      [CO_ADAM_ROWS_new_v] = operands->slot[1],
                                      [CO_ADAM_ROWS_new_steps] = operands->steps};
  return co_graph_add_op(graph, CO_OP_ADAM_ROWS, &attr, in, out);
}

static co_status emit_adam_rows(co_graph *graph, const void *options,
                                const co_row_operands *operands) {
  return emit_rows(graph, options, 0, operands);
}

static co_status emit_adamw_rows(co_graph *graph, const void *options,
                                 const co_row_operands *operands) {
  return emit_rows(graph, options, 1, operands);
}

static void betas(const void *options, double *beta1, double *beta2) {
  *beta1 = ((const adam_options *)options)->beta1;
  *beta2 = ((const adam_options *)options)->beta2;
}

extern const co_optimizer_class co_optimizer_adam, co_optimizer_adamw;
const co_optimizer_class co_optimizer_adam = {.name = "adam",
                                              .doc = "Adaptive moments.",
                                              .fields = adam_fields,
                                              .options_size = sizeof(adam_options),
                                              .slots = slots,
                                              .emit = emit_adam,
                                              .emit_rows = emit_adam_rows,
                                              .betas = betas};
const co_optimizer_class co_optimizer_adamw = {.name = "adamw",
                                               .doc =
                                                   "Adaptive moments with decoupled weight decay.",
                                               .fields = adamw_fields,
                                               .options_size = sizeof(adam_options),
                                               .slots = slots,
                                               .emit = emit_adamw,
                                               .emit_rows = emit_adamw_rows,
                                               .betas = betas};
