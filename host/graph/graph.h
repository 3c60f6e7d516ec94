// SPDX-License-Identifier: Apache-2.0
// A model before planning: values (tensors with symbolic N) and forward operations in order, as
// layers, losses and metrics emit them, with the table of parameters and state. A graph knows no
// mode, batch size, layout or device; a plan is made from it for each.
#ifndef COHORT_HOST_GRAPH_GRAPH_H
#define COHORT_HOST_GRAPH_GRAPH_H

#include "host/core/context.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t co_value; // index into the graph's values
#define CO_NO_VALUE ((co_value)-1)
#define CO_WANTED_VALUE ((co_value)-2) // of an optional output: it is wanted (co_graph_add_op)

// Where a value lives.
typedef enum co_storage {
  CO_STORAGE_ARENA,    // activations and temporaries: packed by lifetime
  CO_STORAGE_INPUT,    // bound by the caller for each run
  CO_STORAGE_PARAM,    // a trainable or frozen parameter in the store
  CO_STORAGE_STATE,    // written by training plans only, never optimised; in the store
  CO_STORAGE_GRADIENT, // of the parameter with the same index; in the store
  CO_STORAGE_BLOCK,    // a whole store block, flat (update plans): co_block in `index`
  CO_STORAGE_STEP,     // the step scalars
  CO_STORAGE_METRIC,   // f64 accumulators that outlive the run; zeroed by the owner
  CO_STORAGE_RESULT,   // f64 that one run writes and its caller reads, wherever he binds them
  CO_STORAGE_CONSTANT, // bytes owned by the graph
  CO_STORAGE_MIRROR,   // the bf16 copy of a parameter, in the store (plans only)
  CO_STORAGE_ROWS      // a block of a parameter with `rows` (plans only): co_block in `index`
} co_storage;

typedef enum co_block {
  CO_BLOCK_PARAM,
  CO_BLOCK_GRADIENT,
  CO_BLOCK_SLOT0,
  CO_BLOCK_SLOT1,
  CO_BLOCK_MIRROR, // bf16 copies of the parameters
  CO_BLOCK_EMA,    // the parameters' exponential moving average
  CO_BLOCK_NARROW, // gradients in bf16, of the last elements; CO_BLOCK_GRADIENT has those before
  // Of parameters with `rows` alone: how often each row was updated, i32 (V); where a list of gradients
  // says whose they are, i32 (R), and how many there are, i32 (1). Their CO_BLOCK_GRADIENT is the list's
  // rows (R, D).
  CO_BLOCK_STEPS,
  CO_BLOCK_IDS,
  CO_BLOCK_COUNT,
  CO_BLOCKS
} co_block;
enum { CO_MAX_SLOTS = 2 };

typedef struct co_value_info {
  const char *name;
  co_tensor_desc desc; // real tensors are CO_F32 here; the plan's policy may make them f64 or bf16
  co_storage storage;
  int32_t index; // of the input, parameter, metric, constant or block
  bool observed; // must exist in canonical layout after the run (outputs, reports)
} co_value_info;

typedef enum co_init_kind {
  CO_INIT_ZEROS,
  CO_INIT_ONES,
  // Of variance s: U(-l, l), l = sqrt(3 s), or N(0, s) truncated at 2 sigma and widened for it, as Keras.
  CO_INIT_GLOROT_UNIFORM, // s = 2 / (fan_in + fan_out) (Glorot & Bengio 2010)
  CO_INIT_GLOROT_NORMAL,
  CO_INIT_HE_UNIFORM, // s = 2 / fan_in (He et al. 2015)
  CO_INIT_HE_NORMAL,
  CO_INIT_LECUN_UNIFORM, // s = 1 / fan_in (LeCun et al. 1998)
  CO_INIT_LECUN_NORMAL,
  CO_INIT_ORTHOGONAL, // as a matrix of the last dimension's width: rows of length 1 at right angles to
                      // each other, or, where it is higher than wide, columns (Saxe et al. 2014)
  CO_INIT_FORGET_GATE, // of an LSTM's bias: ones in the second quarter, else zeros (Jozefowicz et
                       // al. 2015)
  CO_INIT_UNIFORM,     // U(-0.05, 0.05), Keras' "uniform"
  CO_INIT_NORMAL,      // N(0, deviation²); Keras' "normal": 0.05
  CO_INIT_FAN_IN_UNIFORM, // U(-l, l), l = 1 / sqrt(fan_in): PyTorch's default
  CO_INIT_SIGNS           // 1 or -1, as likely
} co_init_kind;

typedef struct co_param_info {
  const char *name;  // "encoder/conv2d/kernel", unique
  const char *layer; // "encoder/conv2d"
  bool state;        // STATE instead of PARAM
  bool trainable;    // false: frozen, no gradient is planned; of state: training leaves it as it is
  int32_t group;     // position in the graph's groups; the last holds all that no name is left for
  co_shape shape;    // canonical
  co_init_kind init;
  int64_t fan_in, fan_out;
  double deviation;   // of CO_INIT_NORMAL; 0 = 0.05
  bool zero_first;    // the first row starts as zeros
  double rate, decay; // multipliers of learning rate and weight decay
  // A table (V, D) that only EMBEDDING reads: a step goes through the rows that it reads, and no others.
  // It lies outside the store's blocks, its gradient is a list (APPEND_ROWS in kernels/ops.h).
  bool rows;
  co_value value;
} co_param_info;

typedef struct co_graph_op {
  co_op op;
  co_op_attr attr;
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS]; // CO_NO_VALUE = absent
  uint32_t accumulate;
  const char *layer; // borrowed
} co_graph_op;

struct co_layer_class; // host/graph/layer.h

// A call of a layer, as exporters and tables need it: what was asked for, not what it became.
typedef struct co_layer_info {
  const char *name; // "encoder/conv2d": what its parameters' names begin with
  const char *id; // the name, for a later call with a number behind it: "encoder/conv2d#1"; unique
  const struct co_layer_class *class_;
  const void *options;    // as its class describes them, defaults filled in
  const co_value *inputs; // in the order of the call
  const int32_t *weights; // the parameters it uses, in Keras' order: positions in `params`
  int64_t input_count, weight_count;
  int64_t weights_of; // position of the earlier call whose weights these are; -1: they are its own
  co_value output;
} co_layer_info;

typedef struct co_loss_info {
  const char *name;      // output feature
  const char *loss_name; // "softmax_cross_entropy"
  int32_t op;            // index of the loss operation
  double weight;         // of this output in the total loss
  bool sampled;          // training does without the prediction, and so without metrics
  // In each of so many equal parts of a training, the share in which its weight rises linearly from
  // 0; with no part it is there from the first step.
  double warmup_fraction;
  int64_t warmup_cycles;
  co_value prediction, target, row_weight;
  co_value sum; // METRIC f64 (1): sum over rows of weight * loss
  // The same for evaluation, without what only training wants (class weights, smoothing); may be `sum`.
  co_value reported;
  // Of a target that is trained in units of its own: what `reported` times scale^degree is in these.
  const float *scale; // NULL = 1
  int degree;
} co_loss_info;

typedef struct co_metric_info {
  const char *output, *name; // "label", "accuracy"
  co_value sums;             // METRIC f64 (2): numerator, denominator
} co_metric_info;

typedef struct co_output_info {
  const char *name; // "label/probability"
  co_value value;
  co_value seed; // the input that brings its gradient (CO_MODE_GRADIENT), or CO_NO_VALUE
} co_output_info;

typedef struct co_constant {
  const void *bytes;
  size_t size;
  co_dtype dtype; // f32 is "real": plans in double widen it
} co_constant;

enum { CO_MAX_GROUPS = 32 };

// Tables are read freely; they change through the functions below only.
typedef struct co_graph {
  co_context *ctx;
  co_arena *arena;
  co_value_info *values;
  co_graph_op *ops;
  co_param_info *params;
  co_layer_info *layers;
  co_loss_info *losses;
  co_metric_info *metrics;
  co_output_info *outputs;
  co_value *inputs; // values of storage INPUT
  co_constant *constants;
  int32_t *declared; // parameters that the layers being built have asked for so far, in that order
  int64_t value_count, op_count, param_count, layer_count, loss_count, metric_count, output_count,
      input_count, constant_count, declared_count;
  int64_t value_capacity, op_capacity, param_capacity, layer_capacity, loss_capacity,
      metric_capacity, output_capacity, input_capacity, constant_capacity, declared_capacity;
  int64_t max_length[CO_MAX_EVENT_TABLES]; // the longest T of each event table; 0: not told
  int64_t metric_doubles;                  // accumulators in all
  int64_t result_doubles;                  // results in all
  co_value step;                           // CO_NO_VALUE until asked for
  const char *layer;                       // the layer being built: stamped on operations
  // Parameters that phases of a training name together.
  const char *groups[CO_MAX_GROUPS];
  int32_t group_count;
  const char *group; // of new parameters; NULL = the first part of their names
  bool frozen;       // new parameters are not trainable
} co_graph;

co_status co_graph_create(co_graph **out, co_context *ctx);
void co_graph_free(co_graph *graph);

// Names are copied. A repeated input name gives CO_ERR_CONFIG.
co_status co_graph_add_input(co_graph *graph, const char *name, co_dtype dtype,
                             const co_shape *shape, co_value *out);
co_value co_graph_find_input(const co_graph *graph, const char *name);
// Adds a parameter or state named <current layer>/<name>. If it exists already with an equal shape
// (a layer called again), that one is returned: this is how weights are tied.
co_status co_graph_add_param(co_graph *graph, const char *name, const co_param_info *info,
                             co_value *out);
int32_t co_graph_find_param(const co_graph *graph, const char *full_name); // -1 if absent
int32_t co_graph_find_group(const co_graph *graph, const char *name);      // likewise
// Emits an operation; absent inputs are CO_NO_VALUE. Outputs given as CO_NO_VALUE are created
// (arena) with inferred descriptions, optional ones only if the backward reads them or if they are
// given as CO_WANTED_VALUE; a given one must fit (in-place state, metrics).
co_status co_graph_add_op(co_graph *graph, co_op op, const co_op_attr *attr, const co_value *in,
                          co_value *out);
co_status co_graph_add_constant(co_graph *graph, const char *name, co_dtype dtype,
                                const co_shape *shape, const void *bytes, co_value *out);
// The same of bytes that stay the caller's, who may change them: what executors have uploaded by then,
// co_executor_upload_constants renews.
co_status co_graph_add_variable(co_graph *graph, const char *name, co_dtype dtype,
                                const co_shape *shape, const void *bytes, co_value *out);
// A value that is a whole store block of `elements` reals (of the mirror, bf16).
co_status co_graph_add_block(co_graph *graph, co_block block, int64_t elements, co_value *out);
// A block of the parameter of that name, which has `rows`.
co_status co_graph_add_rows(co_graph *graph, const char *param, co_block block, co_dtype dtype,
                            const co_shape *shape, co_value *out);
// The longest T that plans of the graph may have for an event table. Before layers that draw random
// numbers over it.
void co_graph_set_max_length(co_graph *graph, int event_table, int64_t length);
co_status co_graph_get_step(co_graph *graph, co_value *out);
// `doubles` zero-initialised accumulators.
co_status co_graph_add_metric_value(co_graph *graph, const char *name, int64_t doubles,
                                    co_value *out);
// `doubles` doubles that an operation writes anew in each run.
co_status co_graph_add_result(co_graph *graph, const char *name, int64_t doubles, co_value *out);
co_status co_graph_add_output(co_graph *graph, const char *name, co_value value);
// Marks what the marked values are computed from. An operation is needed if any of its outputs is.
void co_graph_mark_needed(const co_graph *graph, bool *needed);
bool co_graph_op_is_needed(const co_graph_op *op, const bool *needed);
// The part of a graph between values: a graph of its own over the same parameters, whose first inputs
// are `from`, in that order, and whose outputs are `to`. Inputs that it needs beside them follow under
// their names; with `seeds`, so do those that bring the outputs' gradients.
co_status co_graph_part(co_graph **out, const co_graph *graph, const co_value *from,
                        int64_t from_count, const co_value *to, int64_t to_count, bool seeds);
// Records a loss made of the operation just emitted (outputs "loss sum dx").
co_status co_graph_add_loss(co_graph *graph, const co_loss_info *info);
co_status co_graph_add_metric(co_graph *graph, const co_metric_info *info);
// Copies name, inputs and weights; `options` must live as long as the graph. `id` and `weights_of` are
// found here.
co_status co_graph_add_layer(co_graph *graph, const co_layer_info *info);
// Position of the last layer before position `before` that gave the value; -1 if none did.
int64_t co_graph_find_layer(const co_graph *graph, co_value value, int64_t before);

#ifdef __cplusplus
}
#endif
#endif
