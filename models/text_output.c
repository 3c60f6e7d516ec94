// SPDX-License-Identifier: Apache-2.0
// The decoder of a text that is written: trained on all of it at once, each token told the true one
// before it (teacher forcing: Williams & Zipser 1989), and a step of it for who writes.
#include "models/text_output.h"

#include <string.h>

#include "models/builder.h"
#include "models/features/text_sequence.h"

typedef struct text_decoder_options {
  int type, cell, tokens;
  int64_t units, embedding_size, min_frequency, max_size, max_length;
  const co_node *attention;
} text_decoder_options;

static const char *const type_words[] = {"rnn", NULL};
static const char *const cell_words[] = {"lstm", "gru", NULL}; // as co_rnn_cell
static const char *const cell_layers[] = {"LSTM", "GRU"};
static const char *const token_words[] = {"words", "characters", NULL};

const co_field co_text_decoder_fields[] = {
    {"type", CO_FIELD_ENUM, offsetof(text_decoder_options, type), "rnn", 0, 0, type_words,
     "What writes the text, a token at a time.", NULL},
    {"cell_type", CO_FIELD_ENUM, offsetof(text_decoder_options, cell), "gru", 0, 0, cell_words,
     "Goes through the tokens, and reads the row's features at each.", NULL},
    {"units", CO_FIELD_INT, offsetof(text_decoder_options, units), "64", 1, 4096, NULL,
     "Number of its features.", NULL},
    {"embedding_size", CO_FIELD_INT, offsetof(text_decoder_options, embedding_size), "32", 1, 4096,
     NULL, "Numbers for each token before.", NULL},
    {"attention", CO_FIELD_NODE, offsetof(text_decoder_options, attention), "null", 0, 0, NULL,
     "true: at each token it looks at the single words, characters or events of each sequence; or "
     "the name of the one that it looks at. Default false.",
     NULL},
    {"tokens", CO_FIELD_ENUM, offsetof(text_decoder_options, tokens), "characters", 0, 0,
     token_words, "What is written: words are what stands between blanks.", NULL},
    {"min_frequency", CO_FIELD_INT, offsetof(text_decoder_options, min_frequency), "1", 1, 1 << 30,
     NULL, "Rarer ones in the training rows are never written.", NULL},
    {"max_size", CO_FIELD_INT, offsetof(text_decoder_options, max_size), "0", 0, 1 << 20, NULL,
     "Of the vocabulary, which the model holds as it is; 0: 256 characters, 8192 words.",
     "max_vocabulary"},
    {"max_length", CO_FIELD_INT, offsetof(text_decoder_options, max_length), "64", 1, 4096, NULL,
     "Tokens that are written at most.", NULL},
    {.key = NULL}};

enum { CHARACTER_BYTES = 8, WORD_BYTES = 64 };

int64_t co_text_output_classes(const co_text_output *text) {
  return CO_TEXT_FIRST + text->max_size;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status declare_array(co_model *model, const char *output, const char *name,
                               co_dtype dtype, const co_shape *shape, co_fitted **out) {
  co_fitted *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (co_fitted){.feature = output, .name = name, .dtype = dtype, .shape = *shape};
  made->bytes =
      co_arena_alloc(model->arena, (size_t)co_shape_count(shape) + 1, co_dtype_size(dtype));
  *out = made;
  return made->bytes ? CO_OK : CO_ERR_MEMORY;
}

static void derive_target(const void *user, const char *from, void *out) {
  co_text_output_encode(user, from, out);
}

static void derive_previous(const void *user, const int32_t *codes, void *out) {
  const co_text_output *text = user;
  int32_t *previous = out;
  memcpy(previous + 1, codes, (size_t)text->max_length * sizeof *codes);
  previous[0] = CO_TEXT_NOTHING;
}

static void derive_length(const void *user, const int32_t *codes, void *out) {
  const co_text_output *text = user;
  int32_t count = 0;
  while (count <= text->max_length && codes[count] != CO_TEXT_NOTHING)
    count++;
  *(int32_t *)out = count;
}

static co_status derive(co_model *model, const co_output_feature *output, co_derivation what,
                        const co_derivation **out) {
  co_derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  what.columns = &output->column;
  what.column_count = 1;
  what.dtype = CO_I32;
  what.user = output->text;
  *made = what;
  *out = made;
  return CO_OK;
}

static co_status declare(co_model *model, co_output_feature *output) {
  co_text_output *text = output->text;
  const co_shape vocabulary = co_shape_make(2, text->max_size, text->token_bytes);
  const co_shape classes = co_shape_make(1, co_text_output_classes(text));
  const co_shape one = co_shape_make(1, (int64_t)1), codes = co_shape_make(1, text->max_length + 1);
  CO_RETURN_IF_FAILED(
      declare_array(model, output->name, "vocabulary", CO_U8, &vocabulary, &text->vocabulary));
  CO_RETURN_IF_FAILED(declare_array(model, output->name, "size", CO_I64, &one, &text->size));
  CO_RETURN_IF_FAILED(
      declare_array(model, output->name, "most_frequent", CO_I32, &codes, &text->most_frequent));
  CO_RETURN_IF_FAILED(
      declare_array(model, output->name, "log_share", CO_F32, &classes, &text->log_share));
  const co_derivation target = {.width = codes.dim[0], .derive_text = derive_target},
                      previous = {.width = codes.dim[0],
                                  .taught_width = codes.dim[0],
                                  .derive_taught = derive_previous},
                      length = {
                          .width = 1, .taught_width = codes.dim[0], .derive_taught = derive_length};
  CO_RETURN_IF_FAILED(derive(model, output, target, &text->target));
  CO_RETURN_IF_FAILED(derive(model, output, previous, &text->previous));
  CO_RETURN_IF_FAILED(derive(model, output, length, &text->length));
  text->written =
      co_arena_alloc(model->arena, (size_t)(text->max_length + 1), (size_t)text->token_bytes + 1);
  return text->written ? CO_OK : CO_ERR_MEMORY;
}

co_status co_model_read_text_output(co_model_builder *b, const co_node *item,
                                    const co_node *decoder, const char *path,
                                    co_output_feature *output) {
  text_decoder_options options;
  const int64_t before = b->problems->count;
  char *own = co_arena_format(b->model->arena, "%s.decoder", path);
  co_text_output *text = co_arena_alloc(b->model->arena, 1, sizeof *text);
  if (!own || !text) return CO_ERR_MEMORY;
  if (b->model->scored) return co_model_only_networks(b, item, "a text as output");
  CO_RETURN_IF_FAILED(co_fields_parse(&options, co_text_decoder_fields, decoder, own,
                                      b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const bool words = options.tokens == CO_TOKEN_WORDS;
  *text = (co_text_output){.tokens = options.tokens,
                           .cell = options.cell,
                           .min_frequency = options.min_frequency,
                           .max_size = options.max_size ? options.max_size
                                       : words          ? 8192
                                                        : 256,
                           .max_length = options.max_length,
                           .units = options.units,
                           .embedding_size = options.embedding_size,
                           .attention = options.attention,
                           .token_bytes = words ? WORD_BYTES : CHARACTER_BYTES};
  output->text = text;
  return declare(b->model, output);
}

// ---- the network -------------------------------------------------------------------------------

// What is fed of the target, all but the weights.
typedef struct teaching {
  co_value previous, target, length;
} teaching;

static co_status feed(co_model *model, const co_output_feature *output, co_feed_kind kind,
                      const char *what, const co_derivation *const *derivation, co_value *out) {
  const co_feed made = {.kind = kind,
                        .columns = &output->column,
                        .column_count = 1,
                        .derivations = derivation,
                        .derivation_count = 1,
                        .loss = output->loss_index};
  const int64_t width = derivation[0]->width;
  const co_shape shape =
      width == 1 ? co_shape_make(1, CO_DIM_N) : co_shape_make(2, CO_DIM_N, width);
  char *name = co_arena_format(model->arena, "%s%s", output->name, what);
  return name ? co_model_add_feed(model, name, derivation[0]->dtype, &shape, &made, out)
              : CO_ERR_MEMORY;
}

static co_status add_feeds(co_model *model, const co_output_feature *output, teaching *out) {
  const co_text_output *text = output->text;
  CO_RETURN_IF_FAILED(feed(model, output, CO_FEED_TARGET, "", &text->target, &out->target));
  CO_RETURN_IF_FAILED(
      feed(model, output, CO_FEED_TEACHER, ".previous", &text->previous, &out->previous));
  return feed(model, output, CO_FEED_TEACHER, ".length", &text->length, &out->length);
}

// x kernel + bias + log_share.
static co_status emit_logits(co_graph *graph, const co_output_feature *output, co_value x,
                             co_value kernel, co_value bias, co_value *out) {
  const co_fitted *share = output->text->log_share;
  char *name = co_arena_format(graph->arena, "%s/log_share", output->name);
  co_value sum[2] = {bias}, in[3] = {x, kernel};
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_graph_add_variable(graph, name, CO_F32, &share->shape, share->bytes, &sum[1]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_ADD, NULL, 2, sum, &in[2]));
  return co_emit(graph, CO_OP_DENSE, NULL, 3, in, out);
}

static co_status add_logits(co_model *model, const co_output_feature *output, co_value x,
                            co_value *out) {
  co_graph *graph = model->network;
  const int64_t units = output->text->units, classes = co_text_output_classes(output->text);
  const co_param_info kernel = {.shape = co_shape_make(2, units, classes),
                                .init = CO_INIT_GLOROT_UNIFORM,
                                .fan_in = units,
                                .fan_out = classes,
                                .decay = 1};
  const co_param_info bias = {.shape = co_shape_make(1, classes), .init = CO_INIT_ZEROS};
  co_value params[2];
  graph->layer = co_arena_format(model->arena, "%s/logits", output->name);
  if (!graph->layer) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &params[0]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &params[1]));
  return emit_logits(graph, output, x, params[0], params[1], out);
}

static co_status attend(co_model *model, const co_output_feature *output, co_value *h) {
  co_graph *graph = model->network;
  const co_text_output *text = output->text;
  const int64_t width = (1 + text->memory_count) * text->units;
  const co_param_info kernel = {.shape = co_shape_make(2, width, text->units),
                                .init = CO_INIT_GLOROT_UNIFORM,
                                .fan_in = width,
                                .fan_out = text->units,
                                .decay = 1};
  const co_param_info bias = {.shape = co_shape_make(1, text->units), .init = CO_INIT_ZEROS};
  co_value params[2], memory[CO_TEXT_MEMORIES], lengths[CO_TEXT_MEMORIES];
  graph->layer = co_arena_format(model->arena, "%s/attention", output->name);
  if (!graph->layer) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &params[0]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &params[1]));
  for (int64_t i = 0; i < text->memory_count; i++) {
    memory[i] = text->memory[i].value;
    lengths[i] = text->memory[i].lengths;
  }
  return co_text_attention_emit(graph, text, memory, lengths, params,
                                CO_DIM_MEMBERS(text->max_length + 1), h);
}

// Logits of each token, as rows of their own: (N W, classes).
static co_status decode(co_model_builder *b, const co_output_feature *output, const teaching *told,
                        co_value context, co_value *out) {
  co_model *model = b->model;
  const co_text_output *text = output->text;
  const int64_t before = b->problems->count, width = text->max_length + 1;
  char *steps = co_arena_format(
      model->arena,
      "[{Embedding: {input_dim: %lld, output_dim: %lld}, inputs: [previous], name: embedding}, "
      "{RepeatVector: {}, inputs: [context, embedding, length], name: repeated}, "
      "{Concatenate: {}, inputs: [embedding, repeated], name: joined}, "
      "{%s: {units: %lld, return_sequences: true}, inputs: [joined, length], name: decoder}]",
      (long long)co_text_output_classes(text), (long long)text->embedding_size,
      cell_layers[text->cell], (long long)text->units);
  co_node *layers;
  if (!steps) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&layers, model->arena, "decoder", steps, strlen(steps), b->problems));
  const co_named_value known[] = {
      {"previous", told->previous}, {"context", context}, {"length", told->length}};
  const co_layer_list_options list = {output->name, known, 3, told->previous, NULL, NULL};
  CO_RETURN_IF_FAILED(co_layer_list_build(model->network, layers, "decoder", &list, model->arena,
                                          b->problems, out));
  if (b->problems->count > before) return CO_OK;
  if (text->memory_count) {
    CO_RETURN_IF_FAILED(attend(model, output, out));
  } else {
    const co_op_attr rows = {.shape = co_shape_make(2, CO_DIM_MEMBERS(width), text->units)};
    CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_RESHAPE, &rows, 1, out, out));
  }
  return add_logits(model, output, *out, out);
}

// A row's weight (N, 1) in equal parts on its tokens.
static co_status share_weight(co_graph *graph, const co_text_output *text, co_value weight,
                              co_value length, co_value *out) {
  const int64_t width = text->max_length + 1;
  const co_op_attr mean = {.pooling = CO_POOL_MEAN, .shape = co_shape_make(1, width)};
  const co_op_attr rows = {.shape = co_shape_make(1, CO_DIM_MEMBERS(width))};
  const co_value in[2] = {
      [CO_POOL_EVENTS_BACKWARD_lengths] = length, [CO_POOL_EVENTS_BACKWARD_dy] = weight};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_POOL_EVENTS_BACKWARD, &mean, 2, in, out));
  return co_emit(graph, CO_OP_RESHAPE, &rows, 1, out, out);
}

// The codes with nothing for those that are never written, so that none of these is a hit.
static co_status keep_written(co_graph *graph, const co_output_feature *output, co_value target,
                              co_value *out) {
  const int64_t classes = co_text_output_classes(output->text);
  const co_shape shape = co_shape_make(1, classes + 1);
  int32_t *codes = co_arena_alloc(graph->arena, (size_t)classes + 1, sizeof *codes);
  char *name = co_arena_format(graph->arena, "%s/written", output->name);
  co_value in[2] = {target};
  if (!codes || !name) return CO_ERR_MEMORY;
  for (int32_t i = 0; i < classes; i++) // the first is of what is no code
    codes[i + 1] = i == CO_TEXT_UNKNOWN ? CO_TEXT_NOTHING : i;
  CO_RETURN_IF_FAILED(co_graph_add_constant(graph, name, CO_I32, &shape, codes, &in[1]));
  return co_emit(graph, CO_OP_LOOKUP, NULL, 2, in, out);
}

static co_status add_loss(co_model *model, const co_output_feature *output, const teaching *told,
                          co_value logits) {
  co_graph *graph = model->network;
  const co_shape rows = co_shape_make(2, CO_DIM_N, (int64_t)1);
  const co_op_attr flat = {.shape = co_shape_make(1, CO_DIM_MEMBERS(output->text->max_length + 1))};
  const co_feed feed = {.kind = CO_FEED_WEIGHT,
                        .columns = &output->column,
                        .column_count = 1,
                        .loss = output->loss_index};
  char *name = co_arena_format(model->arena, "%s.weight", output->name);
  co_value weight, target, written;
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_model_add_feed(model, name, CO_F32, &rows, &feed, &weight));
  CO_RETURN_IF_FAILED(share_weight(graph, output->text, weight, told->length, &weight));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &flat, 1, &told->target, &target));
  CO_RETURN_IF_FAILED(keep_written(graph, output, target, &written));
  CO_RETURN_IF_FAILED(co_loss_emit(graph, output->loss, &output->loss_attr, output->name,
                                   output->weight, logits, target, weight));
  return co_metrics_emit(graph, output->name, CO_COLUMN_TEXT, logits, written, weight);
}

// What the decoder reads of the row's features at each token: as many numbers as its state has.
static co_status add_context(co_model_builder *b, const co_output_feature *output,
                             co_value combined, co_value *out) {
  co_model *model = b->model;
  char *text =
      co_arena_format(model->arena, "[{Dense: {units: %lld, activation: tanh}, name: context}]",
                      (long long)output->text->units);
  co_node *layers;
  if (!text) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_model_flatten(model, output->name, &combined));
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&layers, model->arena, "decoder", text, strlen(text), b->problems));
  const co_layer_list_options list = {output->name, NULL, 0, combined, NULL, NULL};
  return co_layer_list_build(model->network, layers, "decoder", &list, model->arena, b->problems,
                             out);
}

// What a step reads.
static co_status add_outputs(co_model *model, co_output_feature *output, co_value context) {
  co_graph *graph = model->network;
  co_text_output *text = output->text;
  char *name = co_arena_format(model->arena, "%s/read", output->name);
  if (!name) return CO_ERR_MEMORY;
  output->prediction = graph->output_count;
  CO_RETURN_IF_FAILED(co_graph_add_output(graph, name, context));
  for (int64_t i = 0; i < text->memory_count; i++) {
    co_text_memory *memory = &text->memory[i];
    char *numbers = co_arena_format(model->arena, "%s/memory_%lld", output->name, (long long)i);
    char *lengths = co_arena_format(model->arena, "%s/lengths_%lld", output->name, (long long)i);
    if (!numbers || !lengths) return CO_ERR_MEMORY;
    memory->output = graph->output_count;
    CO_RETURN_IF_FAILED(co_graph_add_output(graph, numbers, memory->value));
    CO_RETURN_IF_FAILED(co_graph_add_output(graph, lengths, memory->lengths));
  }
  return CO_OK;
}

co_status co_model_add_text_output(co_model_builder *b, co_output_feature *output,
                                   co_value combined) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  const int64_t before = b->problems->count;
  co_value context, logits;
  teaching told;
  output->width = output->text->max_length + 1;
  output->head_input = -1;
  output->loss_index = (int32_t)graph->loss_count;
  if (co_dim_members(co_value_shape(graph, combined)->dim[0]))
    return co_node_problem(b->problems, co_node_get(model->config, "combiner"),
                           "leave the members out",
                           "output_features.%s: members write no text together", output->name);
  CO_RETURN_IF_FAILED(add_context(b, output, combined, &context));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_text_attention_add_memory(b, output));
  if (b->problems->count > before) return CO_OK;
  graph->layer = output->name;
  CO_RETURN_IF_FAILED(add_feeds(model, output, &told));
  CO_RETURN_IF_FAILED(decode(b, output, &told, context, &logits));
  if (b->problems->count > before) return CO_OK;
  graph->layer = output->name;
  CO_RETURN_IF_FAILED(add_loss(model, output, &told, logits));
  graph->layer = NULL;
  return add_outputs(model, output, context);
}

// ---- one step ----------------------------------------------------------------------------------

typedef struct stepping {
  co_graph *graph;
  const co_model *model;
  const co_output_feature *output;
} stepping;

int64_t co_text_output_state(const co_text_output *text) {
  return text->cell == CO_CELL_LSTM ? 2 * text->units : text->units;
}

// A parameter of the network, by its name there.
static co_status take_param(const stepping *s, const char *name, co_value *out) {
  const co_graph *network = s->model->network;
  char *full = co_arena_format(s->graph->arena, "%s/%s", s->output->name, name);
  if (!full) return CO_ERR_MEMORY;
  const int32_t param = co_graph_find_param(network, full);
  if (param < 0) return co_fail(CO_ERR_INTERNAL, "the network has no parameter '%s'", full);
  return co_graph_add_param(s->graph, full, &network->params[param], out);
}

static co_status dense(const stepping *s, co_value x, const char *kernel, co_value bias,
                       co_value *out) {
  co_value in[3] = {x, CO_NO_VALUE, bias};
  CO_RETURN_IF_FAILED(take_param(s, kernel, &in[1]));
  return co_emit(s->graph, CO_OP_DENSE, NULL, 3, in, out);
}

static co_status split(co_graph *graph, co_value x, int count, int64_t units, co_value *parts) {
  co_op_attr attr = {.shape = {0}};
  co_value in[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    in[i] = parts[i] = CO_NO_VALUE;
    if (i < count) attr.parts[i] = units;
    if (i < count) parts[i] = CO_WANTED_VALUE;
  }
  in[0] = x;
  return co_graph_add_op(graph, CO_OP_CONCAT_BACKWARD, &attr, in, parts);
}

static co_status both(co_graph *graph, co_op op, co_value a, co_value b, co_value *out) {
  const co_value in[2] = {a, b};
  return co_emit(graph, op, NULL, 2, in, out);
}

static co_status add_numbers(const stepping *s, const char *name, co_dtype dtype, int64_t count,
                             double value, co_value *out) {
  const co_shape shape = co_shape_make(1, count);
  void *bytes = co_arena_alloc(s->graph->arena, (size_t)count, co_dtype_size(dtype));
  if (!bytes) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    if (dtype == CO_I32)
      ((int32_t *)bytes)[i] = (int32_t)value;
    else
      ((float *)bytes)[i] = (float)value;
  return co_graph_add_constant(s->graph, name, dtype, &shape, bytes, out);
}

// One of the two biases of a GRU.
static co_status take_bias(const stepping *s, const char *name, int row, co_value *out) {
  const co_op_attr flat = {.shape = co_shape_make(1, 3 * s->output->text->units)};
  co_value in[2];
  CO_RETURN_IF_FAILED(add_numbers(s, name, CO_I32, 1, row, &in[0]));
  CO_RETURN_IF_FAILED(take_param(s, "decoder/bias", &in[1]));
  CO_RETURN_IF_FAILED(co_emit(s->graph, CO_OP_EMBEDDING, NULL, 2, in, out));
  return co_emit(s->graph, CO_OP_RESHAPE, &flat, 1, out, out);
}

// 1 - x.
static co_status emit_rest(const stepping *s, co_value x, co_value *out) {
  const int64_t units = s->output->text->units;
  co_value scale, offset;
  CO_RETURN_IF_FAILED(add_numbers(s, "minus", CO_F32, units, -1, &scale));
  CO_RETURN_IF_FAILED(add_numbers(s, "one", CO_F32, units, 1, &offset));
  return co_emit_affine(s->graph, "rest", x, scale, offset, out);
}

// As RECURRENT (kernels/ops.h): z r n; z h + (1 - z) n.
static co_status step_gru(const stepping *s, co_value x, co_value h, co_value *state) {
  co_graph *graph = s->graph;
  const int64_t units = s->output->text->units;
  enum { Z, R, N };
  co_value bias[2], zx[CO_OP_MAX_OPERANDS], zh[CO_OP_MAX_OPERANDS], gate[2], all, n, kept, rest;
  CO_RETURN_IF_FAILED(take_bias(s, "first", 0, &bias[0]));
  CO_RETURN_IF_FAILED(take_bias(s, "second", 1, &bias[1]));
  CO_RETURN_IF_FAILED(dense(s, x, "decoder/kernel", bias[0], &all));
  CO_RETURN_IF_FAILED(split(graph, all, 3, units, zx));
  CO_RETURN_IF_FAILED(dense(s, h, "decoder/recurrent_kernel", bias[1], &all));
  CO_RETURN_IF_FAILED(split(graph, all, 3, units, zh));
  for (int i = Z; i <= R; i++) {
    CO_RETURN_IF_FAILED(both(graph, CO_OP_ADD, zx[i], zh[i], &gate[i]));
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_SIGMOID, NULL, 1, &gate[i], &gate[i]));
  }
  CO_RETURN_IF_FAILED(both(graph, CO_OP_MULTIPLY, gate[R], zh[N], &n));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_ADD, n, zx[N], &n));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_TANH, NULL, 1, &n, &n));
  CO_RETURN_IF_FAILED(emit_rest(s, gate[Z], &rest));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_MULTIPLY, gate[Z], h, &kept));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_MULTIPLY, rest, n, &n));
  return both(graph, CO_OP_ADD, kept, n, state);
}

// i f g o; the state is h beside c.
static co_status step_lstm(const stepping *s, co_value x, co_value before, co_value *state,
                           co_value *h) {
  co_graph *graph = s->graph;
  const int64_t units = s->output->text->units;
  enum { I, F, G, O };
  co_value hc[CO_OP_MAX_OPERANDS], z[CO_OP_MAX_OPERANDS], bias, zx, zh, c, added;
  CO_RETURN_IF_FAILED(split(graph, before, 2, units, hc));
  CO_RETURN_IF_FAILED(take_param(s, "decoder/bias", &bias));
  CO_RETURN_IF_FAILED(dense(s, x, "decoder/kernel", bias, &zx));
  CO_RETURN_IF_FAILED(dense(s, hc[0], "decoder/recurrent_kernel", CO_NO_VALUE, &zh));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_ADD, zx, zh, &zx));
  CO_RETURN_IF_FAILED(split(graph, zx, 4, units, z));
  for (int i = I; i <= O; i++)
    CO_RETURN_IF_FAILED(co_emit(graph, i == G ? CO_OP_TANH : CO_OP_SIGMOID, NULL, 1, &z[i], &z[i]));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_MULTIPLY, z[F], hc[1], &c));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_MULTIPLY, z[I], z[G], &added));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_ADD, c, added, &c));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_TANH, NULL, 1, &c, &added));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_MULTIPLY, z[O], added, h));
  return both(graph, CO_OP_CONCAT, *h, c, state);
}

// What the network gives of the sequences, and the logits are made of then.
static co_status step_attention(const stepping *s, co_value *h) {
  co_graph *graph = s->graph;
  const co_text_output *text = s->output->text;
  const co_op_attr one = {.shape = co_shape_make(3, CO_DIM_N, (int64_t)1, text->units)};
  const co_shape rows = co_shape_make(1, CO_DIM_N);
  co_value params[2], memory[CO_TEXT_MEMORIES], lengths[CO_TEXT_MEMORIES];
  for (int64_t i = 0; i < text->memory_count; i++) {
    const int32_t table = text->memory[i].event_table;
    const co_shape shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(table), text->units);
    char *name = co_arena_format(graph->arena, "memory %lld", (long long)i);
    char *length = co_arena_format(graph->arena, "lengths %lld", (long long)i);
    if (!name || !length) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_graph_add_input(graph, name, CO_F32, &shape, &memory[i]));
    CO_RETURN_IF_FAILED(co_graph_add_input(graph, length, CO_I32, &rows, &lengths[i]));
  }
  CO_RETURN_IF_FAILED(take_param(s, "attention/kernel", &params[0]));
  CO_RETURN_IF_FAILED(take_param(s, "attention/bias", &params[1]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &one, 1, h, h));
  return co_text_attention_emit(graph, text, memory, lengths, params, CO_DIM_N, h);
}

// The likeliest of the codes that can be written.
static co_status choose(const stepping *s, co_value logits, co_value *out) {
  const int64_t classes = co_text_output_classes(s->output->text);
  const co_shape shape = co_shape_make(1, classes);
  uint8_t *allowed = co_arena_alloc(s->graph->arena, (size_t)classes, sizeof *allowed);
  co_value in[2] = {[CO_ARG_MAX_x] = logits};
  if (!allowed) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < classes; i++)
    allowed[i] = co_text_output_writes(s->output->text, i);
  CO_RETURN_IF_FAILED(
      co_graph_add_constant(s->graph, "written", CO_U8, &shape, allowed, &in[CO_ARG_MAX_allowed]));
  return co_emit(s->graph, CO_OP_ARG_MAX, NULL, 2, in, out);
}

static co_status emit_step(const stepping *s) {
  co_graph *graph = s->graph;
  const co_text_output *text = s->output->text;
  const co_shape context = co_shape_make(2, CO_DIM_N, text->units),
                 token = co_shape_make(1, CO_DIM_N);
  const co_shape states = co_shape_make(2, CO_DIM_N, co_text_output_state(text));
  co_value in[CO_DECODING_INPUTS], lookup[2], x, kernel, bias, state, h, logits, next;
  CO_RETURN_IF_FAILED(
      co_graph_add_input(graph, "context", CO_F32, &context, &in[CO_DECODING_context]));
  CO_RETURN_IF_FAILED(co_graph_add_input(graph, "state", CO_F32, &states, &in[CO_DECODING_state]));
  CO_RETURN_IF_FAILED(co_graph_add_input(graph, "token", CO_I32, &token, &in[CO_DECODING_token]));
  lookup[0] = in[CO_DECODING_token];
  CO_RETURN_IF_FAILED(take_param(s, "embedding/embeddings", &lookup[1]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_EMBEDDING, NULL, 2, lookup, &x));
  CO_RETURN_IF_FAILED(both(graph, CO_OP_CONCAT, x, in[CO_DECODING_context], &x));
  if (text->cell == CO_CELL_LSTM) {
    CO_RETURN_IF_FAILED(step_lstm(s, x, in[CO_DECODING_state], &state, &h));
  } else {
    CO_RETURN_IF_FAILED(step_gru(s, x, in[CO_DECODING_state], &state));
    h = state;
  }
  if (text->memory_count) CO_RETURN_IF_FAILED(step_attention(s, &h));
  CO_RETURN_IF_FAILED(take_param(s, "logits/kernel", &kernel));
  CO_RETURN_IF_FAILED(take_param(s, "logits/bias", &bias));
  CO_RETURN_IF_FAILED(emit_logits(graph, s->output, h, kernel, bias, &logits));
  CO_RETURN_IF_FAILED(choose(s, logits, &next));
  CO_RETURN_IF_FAILED(co_graph_add_output(graph, "next_state", state));
  return co_graph_add_output(graph, "next_token", next);
}

co_status co_model_create_decoding(co_graph **out, const co_model *model,
                                   const co_output_feature *output) {
  stepping s = {.model = model, .output = output};
  *out = NULL;
  CO_RETURN_IF_FAILED(co_graph_create(&s.graph, model->ctx));
  co_status status = emit_step(&s);
  if (status == CO_OK) {
    *out = s.graph;
    return CO_OK;
  }
  co_error error;
  co_error_copy(&error);
  co_graph_free(s.graph);
  return co_error_raise(&error);
}
