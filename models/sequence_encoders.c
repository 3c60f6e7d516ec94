// SPDX-License-Identifier: Apache-2.0
// Encoders of sequences: of events, and of the words of a text.
#include <stdio.h>

#include "models/encoder_class.h"

// Of what goes through a sequence: codes are embedded first.
typedef struct sequence_options {
  int64_t embedding_size;
  double embedding_dropout;
  int update;
} sequence_options;

typedef struct transformer_options {
  const char *type;
  int64_t units, layers, num_heads, feed_forward, relative_positions;
  int norm, pooling;
  double dropout;
  sequence_options of;
} transformer_options;

typedef struct rnn_options {
  const char *type;
  int cell_type;
  int64_t units, layers;
  bool bidirectional;
  int pooling;
  double dropout;
  sequence_options of;
} rnn_options;

typedef struct parallel_options {
  const char *type;
  const co_node *kernel_sizes;
  int64_t filters;
  int pooling;
  double dropout;
  sequence_options of;
} parallel_options;

typedef struct bag_options {
  const char *type;
  int pooling;
  sequence_options of;
} bag_options;

#define SEQUENCE_FIELDS(options)                                                                   \
  {"embedding_size",                                                                               \
   CO_FIELD_INT,                                                                                   \
   offsetof(options, of.embedding_size),                                                           \
   "0",                                                                                            \
   0,                                                                                              \
   4096,                                                                                           \
   NULL,                                                                                           \
   "Of words: numbers for each; 0: 64.",                                                           \
   NULL},                                                                                          \
      {"embedding_dropout",                                                                        \
       CO_FIELD_DOUBLE,                                                                            \
       offsetof(options, of.embedding_dropout),                                                    \
       "0.0",                                                                                      \
       0,                                                                                          \
       0.999,                                                                                      \
       NULL,                                                                                       \
       "Of words: rate after the embedding.",                                                      \
       NULL},                                                                                      \
  {                                                                                                \
    "embedding_update", CO_FIELD_ENUM, offsetof(options, of.update), "dense", 0, 0,                \
        co_embedding_update_words, "Of words: " CO_EMBEDDING_UPDATE_DOC, NULL                      \
  }

// What is made of a sequence; the first is what an encoder has without the option.
static const char *const last_poolings[] = {"last", "mean", "sum", "max", "attention", NULL};
static const char *const max_poolings[] = {"max", "mean", "sum", "last", "attention", NULL};
static const char *const bag_poolings[] = {"mean", "sum", "max", "attention", NULL};

#define POOLING_FIELD(options, first, words, doc)                                                  \
  { "pooling", CO_FIELD_ENUM, offsetof(options, pooling), first, 0, 0, words, doc, NULL }

static const char *const cell_types[] = {"lstm", "gru", "rnn", NULL};

static const co_field rnn_fields[] = {
    TYPE_FIELD(rnn_options),
    SEQUENCE_FIELDS(rnn_options),
    {"cell_type", CO_FIELD_ENUM, offsetof(rnn_options, cell_type), "lstm", 0, 0, cell_types,
     "What goes through the events.", NULL},
    {"units", CO_FIELD_INT, offsetof(rnn_options, units), "32", 1, 1 << 20, NULL,
     "Features that come out: the state after the last event; bidirectional: as many each way.",
     NULL},
    {"layers", CO_FIELD_INT, offsetof(rnn_options, layers), "1", 1, 64, NULL,
     "Recurrent layers, each over the states of the one below.", NULL},
    {"bidirectional", CO_FIELD_BOOL, offsetof(rnn_options, bidirectional), "false", 0, 0, NULL,
     "Through the events forwards and backwards.", NULL},
    POOLING_FIELD(
        rnn_options, "last", last_poolings,
        "What comes out: the state after the last event, or of the states after each their "
        "mean, sum, maximum, or mean by trained weights (attention)."),
    {"dropout", CO_FIELD_DOUBLE, offsetof(rnn_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate between layers, and after the last state.", NULL},
    {.key = NULL}};

static const char *const norms[] = {"layer", "rms", NULL};

static const co_field transformer_fields[] = {
    TYPE_FIELD(transformer_options),
    SEQUENCE_FIELDS(transformer_options),
    {"units", CO_FIELD_INT, offsetof(transformer_options, units), "64", 1, 1 << 16, NULL,
     "Features of each event, and those that come out.", NULL},
    {"layers", CO_FIELD_INT, offsetof(transformer_options, layers), "2", 1, 64, NULL,
     "Blocks of attention and dense layers.", NULL},
    {"num_heads", CO_FIELD_INT, offsetof(transformer_options, num_heads), "2", 1, 1024, NULL,
     "Attentions side by side; units must be a multiple.", NULL},
    {"feed_forward", CO_FIELD_INT, offsetof(transformer_options, feed_forward), "0", 0, 1 << 20,
     NULL, "Units of the wide dense layer of a block; 0: four times units.", NULL},
    {"relative_positions", CO_FIELD_INT, offsetof(transformer_options, relative_positions), "32", 0,
     1 << 20, NULL, "Distances between events that have a bias of their own.", NULL},
    {"norm", CO_FIELD_ENUM, offsetof(transformer_options, norm), "layer", 0, 0, norms,
     "What goes before attention and dense layers: LayerNormalization or RMSNormalization.", NULL},
    POOLING_FIELD(
        transformer_options, "last", last_poolings,
        "What comes out: features of the last event, or of all their mean, sum, maximum, or "
        "mean by trained weights (attention)."),
    {"dropout", CO_FIELD_DOUBLE, offsetof(transformer_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after attention, and after the dense layers.", NULL},
    {.key = NULL}};

static const co_field parallel_fields[] = {
    TYPE_FIELD(parallel_options),
    SEQUENCE_FIELDS(parallel_options),
    {"kernel_sizes", CO_FIELD_NODE, offsetof(parallel_options, kernel_sizes), "null", 0, 0, NULL,
     "List: events that the convolutions side by side see at once. Default [2, 3, 4, 5].", NULL},
    {"filters", CO_FIELD_INT, offsetof(parallel_options, filters), "32", 1, 1 << 20, NULL,
     "Features of each.", NULL},
    POOLING_FIELD(
        parallel_options, "max", max_poolings,
        "What comes out of each feature: the largest over all events, mean, sum, last, or mean "
        "by trained weights (attention)."),
    {"dropout", CO_FIELD_DOUBLE, offsetof(parallel_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after them.", NULL},
    {.key = NULL}};

static const co_field bag_fields[] = {
    TYPE_FIELD(bag_options),
    SEQUENCE_FIELDS(bag_options),
    POOLING_FIELD(
        bag_options, "mean", bag_poolings,
        "What comes out of the events, whatever their order; attention: their mean by trained "
        "weights."),
    {.key = NULL}};

// Begins the list of layers; returns the name of what they go through.
static const char *begin_sequence(co_text *text, const sequence_options *options,
                                  const co_encoder_input *input) {
  co_text_printf(text, "[");
  if (!input->rows) return "events";
  co_text_printf(text,
                 "{Embedding: {input_dim: %lld, output_dim: %lld, embeddings_initializer: "
                 "fan_in_uniform, zero_first: true%s}%s}, ",
                 (long long)input->rows,
                 (long long)(options->embedding_size ? options->embedding_size : 64),
                 co_encoder_update_text(options->update),
                 options->embedding_dropout > 0 ? "" : ", name: embedded");
  if (options->embedding_dropout > 0)
    co_text_printf(text, "{Dropout: %.17g, name: embedded}, ", options->embedding_dropout);
  return "embedded";
}

static void expand_rnn(co_text *text, const void *options, const co_encoder_input *input,
                       const char *path, co_diagnostics *problems) {
  static const char *const layers[] = {"LSTM", "GRU", "SimpleRNN"}; // as cell_types
  const rnn_options *rnn = options;
  const char *layer = layers[rnn->cell_type], *events = begin_sequence(text, &rnn->of, input);
  (void)path;
  (void)problems;
  for (long long i = 0; i < rnn->layers; i++) {
    const bool last = i + 1 == rnn->layers, pooled = last && rnn->pooling > 0;
    if (rnn->bidirectional)
      co_text_printf(text, "{Bidirectional: {layer: %s, ", layer);
    else
      co_text_printf(text, "{%s: {", layer);
    co_text_printf(text, "units: %lld, return_sequences: %s}", (long long)rnn->units,
                   last && !pooled ? "false" : "true");
    if (i)
      co_text_printf(text, ", inputs: [below%lld, lengths]", i);
    else
      co_text_printf(text, ", inputs: [%s, lengths]", events);
    // What the layer above reads has a name.
    if (!last && rnn->dropout <= 0) co_text_printf(text, ", name: below%lld", i + 1);
    if (pooled)
      co_text_printf(text, ", name: states}, {GlobalPooling1D: %s, inputs: [states, lengths]",
                     last_poolings[rnn->pooling]);
    co_text_printf(text, "}%s", last ? "" : ", ");
    if (rnn->dropout <= 0) continue;
    if (last)
      co_text_printf(text, ", {Dropout: %.17g}", rnn->dropout);
    else
      co_text_printf(text, "{Dropout: %.17g, name: below%lld}, ", rnn->dropout, i + 1);
  }
  co_text_printf(text, "]");
}

// Pre-norm blocks (Xiong et al. 2020): attention, then two dense layers on each event, both added to
// what came in.
static void expand_transformer(co_text *text, const void *options, const co_encoder_input *input,
                               const char *path, co_diagnostics *problems) {
  const transformer_options *o = options;
  if (o->units % o->num_heads != 0) {
    co_diagnostics_add(problems, CO_ERR_CONFIG, NULL, 0, 0, NULL,
                       "%s: units (%lld) must be a multiple of num_heads (%lld)", path,
                       (long long)o->units, (long long)o->num_heads);
    return;
  }
  const long long units = o->units, wide = o->feed_forward ? o->feed_forward : 4 * units;
  const char *norm = o->norm ? "RMSNormalization" : "LayerNormalization";
  char dropout[64] = "";
  if (o->dropout > 0) snprintf(dropout, sizeof dropout, "{Dropout: %.17g", o->dropout);
  (void)begin_sequence(text, &o->of, input);
  co_text_printf(text, "{Dense: %lld, name: input0}, ", units);
  for (long long i = 0; i < o->layers; i++) {
    co_text_printf(text,
                   "{%s: {}, name: norm%lld}, "
                   "{MultiHeadAttention: {num_heads: %lld, key_dim: %lld, use_causal_mask: true, "
                   "relative_positions: %lld}, inputs: [norm%lld, lengths], name: attention%lld}, ",
                   norm, i, (long long)o->num_heads, units / o->num_heads,
                   (long long)o->relative_positions, i, i);
    if (*dropout) co_text_printf(text, "%s, name: attended%lld}, ", dropout, i);
    co_text_printf(text, "{Add: {}, inputs: [input%lld, %s%lld], name: middle%lld}, ", i,
                   *dropout ? "attended" : "attention", i, i);
    co_text_printf(text,
                   "%s, {Dense: {units: %lld, activation: relu}}, "
                   "{Dense: %lld, name: dense%lld}, ",
                   norm, wide, units, i);
    if (*dropout) co_text_printf(text, "%s, name: dropped%lld}, ", dropout, i);
    co_text_printf(text, "{Add: {}, inputs: [middle%lld, %s%lld], name: input%lld}, ", i,
                   *dropout ? "dropped" : "dense", i, i + 1);
  }
  co_text_printf(text,
                 "{%s: {}, name: output}, "
                 "{GlobalPooling1D: %s, inputs: [output, lengths]}]",
                 norm, last_poolings[o->pooling]);
}

// Kim 2014: convolutions of several widths, the largest of each feature over time.
static void expand_parallel(co_text *text, const void *options, const co_encoder_input *input,
                            const char *path, co_diagnostics *problems) {
  static const int64_t fallback[] = {2, 3, 4, 5};
  const parallel_options *o = options;
  int64_t sizes[16];
  int count = co_encoder_read_sizes(o->kernel_sizes, path, "kernel_sizes", fallback, 4, sizes, 16,
                                    problems);
  if (count < 0) return;
  const char *events = begin_sequence(text, &o->of, input);
  for (int i = 0; i < count; i++)
    co_text_printf(
        text,
        "{Conv1D: {filters: %lld, kernel_size: %lld, activation: relu}, inputs: [%s, "
        "lengths], name: seen%d}, {GlobalPooling1D: %s, inputs: [seen%d, lengths], name: "
        "most%d}, ",
        (long long)o->filters, (long long)sizes[i], events, i, max_poolings[o->pooling], i, i);
  co_text_printf(text, count > 1 ? "{Concatenate: {}, inputs: [" : "{Flatten: {}, inputs: [");
  for (int i = 0; i < count; i++)
    co_text_printf(text, "%smost%d", i ? ", " : "", i);
  co_text_printf(text, "]}");
  if (o->dropout > 0) co_text_printf(text, ", {Dropout: %.17g}", o->dropout);
  co_text_printf(text, "]");
}

static void expand_bag(co_text *text, const void *options, const co_encoder_input *input,
                       const char *path, co_diagnostics *problems) {
  const bag_options *o = options;
  (void)path;
  (void)problems;
  const char *events = begin_sequence(text, &o->of, input);
  co_text_printf(text, "{GlobalPooling1D: %s, inputs: [%s, lengths]}]", bag_poolings[o->pooling],
                 events);
}

const co_encoder_class co_encoder_rnn = {
    .name = "rnn",
    .doc = "Recurrent layers over events, to the state after the last, or a mean of states.",
    .fields = rnn_fields,
    .options_size = sizeof(rnn_options),
    .events = true,
    .expand = expand_rnn};
const co_encoder_class co_encoder_transformer = {
    .name = "transformer",
    .doc = "Causal attention over events, to the features of the last, or a mean.",
    .fields = transformer_fields,
    .options_size = sizeof(transformer_options),
    .events = true,
    .expand = expand_transformer};
const co_encoder_class co_encoder_parallel_cnn = {
    .name = "parallel_cnn",
    .doc = "Convolutions of several widths over a sequence, side by side; their maxima, or means.",
    .fields = parallel_fields,
    .options_size = sizeof(parallel_options),
    .events = true,
    .expand = expand_parallel};
const co_encoder_class co_encoder_bag = {
    .name = "bag",
    .doc = "Events of a sequence without their order: their mean, sum, maximum or a weighted mean.",
    .fields = bag_fields,
    .options_size = sizeof(bag_options),
    .events = true,
    .expand = expand_bag};
