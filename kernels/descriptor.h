// SPDX-License-Identifier: Apache-2.0
// One operation with its attributes and operands, and what the planner and the backends have to know
// of it; the operations themselves are in ops.h. Shared with CUDA sources: common subset of C11 and
// C++17.
#ifndef COHORT_KERNELS_DESCRIPTOR_H
#define COHORT_KERNELS_DESCRIPTOR_H

#include "host/core/status.h"
#include "host/core/tensor.h"
#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// A logit that a softmax makes 0 of; of SAMPLED_LOGITS.
#define CO_NO_LOGIT (-1e4)

enum { CO_OP_MAX_OPERANDS = CO_OPERANDS_MOST, CO_MAX_LOSSES = 32, CO_RECURRENT_UNITS = 4096 };

typedef enum co_activation { CO_ACTIVATION_NONE, CO_ACTIVATION_RELU } co_activation;

typedef enum co_event_pooling { CO_POOL_LAST, CO_POOL_SUM, CO_POOL_MEAN } co_event_pooling;

// Of RECURRENT: functions in place of a cell's own.
typedef enum co_rnn_function { CO_RNN_OWN, CO_RNN_HARD_SIGMOID, CO_RNN_RELU } co_rnn_function;

typedef enum co_rnn_cell { CO_CELL_LSTM, CO_CELL_GRU, CO_CELL_SIMPLE_RNN } co_rnn_cell;

// Of ACTIVATION.
typedef enum co_function {
  CO_FUNCTION_GELU,
  CO_FUNCTION_SILU,
  CO_FUNCTION_ELU,
  CO_FUNCTION_LEAKY_RELU
} co_function;

// Of a column of COLUMN_LOSS.
typedef enum co_part { CO_PART_VALUES, CO_PART_LOGITS, CO_PART_CLASSES } co_part;

// Of MEMBER_MEAN.
typedef enum co_link { CO_LINK_NONE, CO_LINK_SIGMOID, CO_LINK_SOFTMAX } co_link;

// Of POINTWISE_LOSS.
typedef enum co_pointwise {
  CO_POINTWISE_SQUARED,
  CO_POINTWISE_ABSOLUTE,
  CO_POINTWISE_HUBER,
  CO_POINTWISE_QUANTILE,
  CO_POINTWISE_HINGE,
  CO_POINTWISE_BINARY,
  CO_POINTWISE_GIVEN
} co_pointwise;
enum { CO_MAX_QUANTILES = 16 };

// Of DISTRIBUTION_LOSS and DISTRIBUTION_MEAN.
typedef enum co_distribution { CO_ZERO_INFLATED_LOGNORMAL, CO_NEGATIVE_BINOMIAL } co_distribution;

// Attributes; each operation reads those named in its description, the others stay zero so that
// descriptors compare bytewise.
typedef struct co_op_attr {
  int64_t kernel[2], stride[2], dilation[2], pad_begin[2], pad_end[2]; // height, width
  co_activation activation; // those of the fact .activation, MAX_POOL2D
  co_function function;     // ACTIVATION
  double alpha;             // ACTIVATION: of ELU and LEAKY_RELU
  double epsilon, momentum; // BATCH_NORM, LAYER_NORM, ADAM, ADAM_ROWS, SGD, RMSPROP
  // DROPOUT, FLIP, INDEX_DROPOUT, INPUT_ROWS, RELU_BACKWARD, RELU_BIAS_BACKWARD, SWAP_NOISE; SGD_ROWS and
  // ADAM_ROWS: of the learning rate
  double rate;
  double fill; // SHIFTED_CROP, INPUT_ROWS, AUGMENT, as the next ones
  double least_area, rotation, brightness, contrast;
  int64_t cutout;
  int64_t pad;            // SHIFTED_CROP, INPUT_ROWS
  uint32_t purpose;       // random operations, co_purpose(kind, path)
  uint32_t crop_purpose;  // INPUT_ROWS, which has two
  int32_t output;         // losses: index into co_step.inv_norm
  co_pointwise pointwise; // POINTWISE_LOSS, as the next ones
  double delta;           // HUBER, > 0
  double gamma;           // BINARY, >= 0
  double positive_weight; // BINARY, > 0
  double label_smoothing; // BINARY, (SOFTMAX | LINEAR)_CROSS_ENTROPY, within [0, 1)
  int64_t level_count;    // QUANTILE
  double levels[CO_MAX_QUANTILES];
  co_distribution distribution; // DISTRIBUTION_LOSS, DISTRIBUTION_MEAN
  int64_t members;              // MEMBER_MEAN, REPEAT
  double factor;                // REPEAT
  co_link link;                 // MEMBER_MEAN
  double clip_norm;             // GRADIENT_NORM, 0 = off
  double clip_value;            // SGD, ADAM, RMSPROP, SGD_ROWS, ADAM_ROWS, 0 = off
  double weight_decay, beta1, beta2;
  double added; // RMSPROP
  int32_t nesterov, decoupled;
  co_dtype dtype;        // CAST, INPUT_ROWS
  co_shape shape;        // RESHAPE; GATHER_EVENTS, POOL_EVENTS_BACKWARD: T; may be symbolic.
                         // SAMPLE_CLASSES: S
  int64_t heads, causal; // ATTENTION; causal is 0 or 1
  co_rnn_cell cell;      // RECURRENT
  int64_t reverse;       // RECURRENT, 0 or 1
  co_rnn_function gates, states; // RECURRENT
  int64_t pooling;               // POOL_EVENTS: co_event_pooling
  int64_t max_length;            // DROPOUT, INDEX_DROPOUT: the longest T there is; 0 = x has none
  double mixup, cutmix;          // MIX_ROWS, each within 0 (none) and 1
  int64_t draws;      // DROPOUT: of a row; 0 = one an element. INDEX_DROPOUT: -1 = of a step
  int64_t groups;     // LAYER_NORM; 0 = over the last dimension
  int64_t rms;        // LAYER_NORM: by the root mean square, 0 or 1
  int64_t append;     // APPEND_ROWS, 0 or 1
  int64_t transposed; // LINEAR_CROSS_ENTROPY: w is (V, D), 0 or 1
  int64_t transposed_a, transposed_b; // MATMUL, 0 or 1
  int64_t axis;                       // FOLD_BATCH_NORM: the dimension of w's output features
  // CONCAT, CONCAT_BACKWARD: extent of each part in the last dimension, 0 where there is none. Made
  // by the inference.
  int64_t parts[CO_OPERANDS_MOST];
} co_op_attr;

// Step scalars: computed on the host in double, uploaded once per launch, read by operations with
// an input `step` (a u8 tensor of sizeof(co_step) bytes).
typedef struct co_step {
  uint64_t seed;
  uint32_t step;      // effective step, 0-based: random draws of layers
  uint32_t epoch;     // random draws of augmentation
  int64_t row_offset; // first row of this micro-batch within the effective batch
  double learning_rate;
  double bias_correction1, bias_correction2;
  double ema_rate;                // EMA: 1 - decay of this step
  double inv_norm[CO_MAX_LOSSES]; // 1 / sum of weights over the effective batch, per loss
} co_step;

// Part of a flat parameter block that one update touches; a tensor of segments is u8 of
// count * sizeof(co_segment) bytes. Disjoint, ascending.
typedef struct co_segment {
  int64_t begin, count; // elements
  double rate;          // multiplies the learning rate
  double decay;         // multiplies the weight decay
} co_segment;

// One operation with concrete operands.
typedef struct co_op_desc {
  co_op op;
  co_op_attr attr;
  co_tensor_desc in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  uint32_t has_in, has_out; // bit i: operand i is present
  uint32_t accumulate;      // bit i: out[i] += result
} co_op_desc;

// What the planner and the backends have to know of an operation. Lists of operands as in ops_list.h:
// "x, w, (b)". In facts they are words: "x w -> y" names inputs and outputs, "*" all of one side.
typedef struct co_op_info {
  const char *enum_name;        // "CONV2D"
  const char *name;             // "conv2d"
  const char *inputs, *outputs; // "x, w, (b)"
  const char *backward, *inference;
  // Facts. NULL or false = nothing of the kind.
  const char *types;              // "mask:u8 table:any": operands that are not real, and their type
  const char *bf16;               // "x w b -> y": operands that may be bf16
  bool bf16_each;                 // each of them as it likes; otherwise all or none, but for
  const char *bf16_or_f32;        // "b -> y": those that may stay f32, together
  const char *bf16_without;       // outputs that must be absent then
  bool moves;                     // reads and writes bf16 itself, unless it adds to it (widen.h)
  bool follows;                   // is bf16 where its first input is; nothing is made so for it
  bool input;                     // of the input section: reads what there is
  bool typed;                     // its result has the type attr.dtype
  const char *accumulate;         // "dw db": real outputs that can be added to
  const char *accumulate_without; // outputs that must be absent then
  bool activation;                // attr.activation can take in a RELU of its first output
  const char *may_alias;          // "y=a": output y may be the memory of input a
  const char *is_alias;           // it always is
  const char *flops; // "w*y": a product of a matrix w and rows, y of the size of w's last dimension
                     // (or the result): 2 multiply-adds a weight and row; "q@k": 2 an element of
                     // q and event of k, of attr.causal up to its own; "a.b": a product of each
                     // row's own matrices; "x": one an element of x.
                     // Sums of such; NULL = one an element of the outputs
  const char *why; // it is an operation of its own and not part of a neighbour, for plans of GPUs;
                   // products are what others become part of: NULL
} co_op_info;

const co_op_info *co_op_get_info(co_op op);
// -1 if unknown. Takes the enum name ("CONV2D"), of `length` characters.
int co_op_find(const char *enum_name, size_t length);
// Number of operands in a list such as "x, w, (b)", and the i-th as a slice without parentheses
// (`optional` may be NULL).
int co_operand_count(const char *list);
bool co_operand_get(const char *list, int i, const char **name, size_t *length, bool *optional);
// Position of a name in a list, -1 if absent.
int co_operand_find(const char *list, const char *name, size_t length);

// ---- facts, by place: bit i for operand i
// Operands that may be bf16, and of those the ones that may stay f32 together.
void co_op_bf16_operands(co_op op, uint32_t *in, uint32_t *out);
void co_op_bf16_or_f32(co_op op, uint32_t *in, uint32_t *out);
// CO_ERR_DEVICE where the descriptor's bf16 operands are not as the contract has them.
co_status co_op_check_bf16(const co_op_desc *desc);
// Outputs of this descriptor that the contract lets be added to.
uint32_t co_op_accumulable(const co_op_desc *desc);
// The input whose memory the output may be, -1 if none; *always: it must.
int co_op_alias(co_op op, int output, bool *always);
// The type of a named operand where it is not real; false if it is, or can be any.
bool co_op_operand_type(co_op op, const char *name, size_t length, co_dtype *out);

// A parsed backward or inference rule. Tokens are slices into the constant rule string.
typedef struct co_rule {
  int op; // co_op, or -1 for a pass-through
  int inputs, outputs;
  struct {
    const char *name;
    size_t length;
    bool optional;
  } in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
} co_rule;
// Parses the next rule at *cursor (start with info->backward or info->inference) and advances it;
// false at the end. Rules are constants checked by a unit test; a malformed one trips an assert.
bool co_rule_next(const char **cursor, co_rule *out);

// Shapes and dtypes of a forward operation's outputs; checks operands and attributes, with the
// message a user of a layer should read. Sets has_out for all non-optional outputs; describes the
// optional ones too.
co_status co_op_infer(co_op_desc *desc);
// Events of a row of T; the rest is padding.
static inline int64_t co_clamp_length(int32_t length, int64_t T) {
  return length < 0 ? 0 : length < T ? length : T;
}
// The class among K that an event's code stands for, -1 where for none.
static inline int64_t co_class_of_code(int32_t code, int64_t K) {
  return code > 0 && code <= K ? code - 1 : -1;
}
// Gates of a cell: kernels and gradients have as many columns for each unit.
static inline int64_t co_rnn_gates(co_rnn_cell cell) {
  return cell == CO_CELL_LSTM ? 4 : cell == CO_CELL_GRU ? 3 : 1;
}
// Values saved of each unit and event.
static inline int64_t co_rnn_saved(co_rnn_cell cell) {
  return cell == CO_CELL_SIMPLE_RNN ? 1 : 5;
}
// Where the k-th of a row's events that RECURRENT goes through lies.
static inline int64_t co_event_place(int64_t k, int64_t length, bool reverse) {
  return reverse ? length - 1 - k : k;
}
// Random draws that a row of DROPOUT's or INDEX_DROPOUT's x counts for, one an element: those of a row
// of the longest T.
static inline int64_t co_draws_of_row(const co_op_desc *desc) {
  const co_shape *x = &desc->in[0].shape;
  int64_t draws = 1;
  if (desc->attr.draws > 0) return desc->attr.draws;
  for (int i = 1; i < x->rank; i++)
    draws *= i == 1 && desc->attr.max_length > 0 ? desc->attr.max_length : x->dim[i];
  return draws;
}
// Floating-point operations of one execution (multiply and add count separately); an estimate of
// one per output element for operations that are bound by memory. Shapes must be concrete.
int64_t co_op_flops(const co_op_desc *desc);

#ifdef __cplusplus
}
#endif
#endif
