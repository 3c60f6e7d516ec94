// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct conv1d_options {
  int64_t filters, kernel_size, dilation_rate;
  int padding, activation;
  bool use_bias;
  int kernel_initializer, bias_initializer;
} conv1d_options;

enum { SAME, CAUSAL };
static const char *const paddings[] = {"same", "causal", NULL};

#define OF(member) offsetof(conv1d_options, member)
static const co_field fields[] = {
    {"filters", CO_FIELD_INT, OF(filters), NULL, 1, 1 << 20, NULL, "Features that come out.", NULL},
    {"kernel_size", CO_FIELD_INT, OF(kernel_size), NULL, 1, 4096, NULL,
     "Events that each result is of.", NULL},
    {"dilation_rate", CO_FIELD_INT, OF(dilation_rate), "1", 1, 1 << 20, NULL,
     "How many events apart these are.", NULL},
    {"padding", CO_FIELD_ENUM, OF(padding), "same", 0, 0, paddings,
     "same: the event lies in the middle of those; causal: it is the last. Beyond the sequence are "
     "zeros.",
     NULL},
    {"activation", CO_FIELD_ENUM, OF(activation), "linear", 0, 0, co_activation_words,
     "Applied to the result.", NULL},
    {"use_bias", CO_FIELD_BOOL, OF(use_bias), "true", 0, 0, NULL, "Adds a trained offset.", NULL},
    {"kernel_initializer", CO_FIELD_ENUM, OF(kernel_initializer), "glorot_uniform", 0, 0,
     co_initializer_words, CO_INITIALIZER_DOC, NULL},
    {"bias_initializer", CO_FIELD_ENUM, OF(bias_initializer), "zeros", 0, 0, co_initializer_words,
     "Likewise.", NULL},
    {.key = NULL}};

static co_status reshape(co_graph *graph, const co_shape *shape, co_value *x) {
  const co_op_attr attr = {.shape = *shape};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

// The neighbours of each event side by side, then a dense layer, whose kernel (K I, O) is the (K, I, O)
// of Keras, value by value.
static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const conv1d_options *o = options;
  (void)count;
  const co_shape x = *co_value_shape(graph, in[0]);
  int table = x.rank == 3 && x.dim[2] > 0 ? co_dim_event_table(x.dim[1]) : -1;
  if (table < 0) return co_fail(CO_ERR_CONFIG, "Conv1D needs a sequence: (N, T, features)");
  int64_t features = x.dim[2], size = o->kernel_size, reach = (size - 1) * o->dilation_rate;
  const co_op_attr attr = {.kernel = {size},
                           .dilation = {o->dilation_rate},
                           .pad_begin = {o->padding == CAUSAL ? reach : reach / 2}};
  co_value operands[3] = {CO_NO_VALUE, CO_NO_VALUE, CO_NO_VALUE}, y;
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_UNFOLD_EVENTS, &attr, 2, in, &operands[0]));
  co_param_info kernel = {.shape = co_shape_make(2, size * features, o->filters),
                          .init = co_initializer_kind(o->kernel_initializer),
                          .fan_in = size * features,
                          .fan_out = size * o->filters,
                          .decay = 1};
  co_param_info bias = {.shape = co_shape_make(1, o->filters),
                        .init = co_initializer_kind(o->bias_initializer),
                        .fan_in = size * features,
                        .fan_out = size * o->filters};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[1]));
  if (o->use_bias) CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &operands[2]));
  const co_shape rows = co_shape_make(2, CO_DIM_NT(table), size * features),
                 events = co_shape_make(3, CO_DIM_N, CO_DIM_T(table), o->filters);
  CO_RETURN_IF_FAILED(reshape(graph, &rows, &operands[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, operands, &y));
  CO_RETURN_IF_FAILED(co_emit_activation(graph, o->activation, y, out));
  return reshape(graph, &events, out);
}

static const char *const weights[] = {"kernel", "bias", NULL};

extern const co_layer_class co_layer_conv1d;
const co_layer_class co_layer_conv1d = {
    .name = "Conv1D",
    .doc = "Convolution over a sequence and its lengths: features of neighbouring events.",
    .fields = fields,
    .options_size = sizeof(conv1d_options),
    .inputs_min = 2,
    .inputs_max = 2,
    .build = build,
    .weights = weights};
