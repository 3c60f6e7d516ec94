// SPDX-License-Identifier: Apache-2.0
#include "models/encoders.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct graph_options {
  const char *type;
  const co_node *layers;
} graph_options;

typedef struct cnn_options {
  const char *type;
  const co_node *filters;
  int64_t convolutions, kernel_size, output_size;
  bool batch_normalization;
  double dropout;
} cnn_options;

typedef struct resnet_options {
  const char *type;
  const co_node *filters;
  int64_t blocks;
  double dropout;
} resnet_options;

typedef struct decoder_options {
  const char *type;
  const co_node *filters;
  int64_t convolutions, kernel_size;
  bool batch_normalization;
  int activation;
} decoder_options;

typedef struct mlp_options {
  const char *type;
  const co_node *sizes;
  double dropout;
} mlp_options;

typedef struct embedding_options {
  const char *type;
  int64_t embedding_size;
  double dropout;
  int update; // index into updates
} embedding_options;

typedef struct piecewise_options {
  const char *type;
  int64_t embedding_size;
} piecewise_options;

typedef struct periodic_options {
  const char *type;
  int64_t embedding_size, frequencies;
  double sigma;
} periodic_options;

// Of what goes through a sequence: codes are embedded first.
typedef struct sequence_options {
  int64_t embedding_size;
  double embedding_dropout;
  int update;
} sequence_options;

typedef struct transformer_options {
  const char *type;
  int64_t units, layers, num_heads, feed_forward, relative_positions;
  double dropout;
  sequence_options of;
} transformer_options;

typedef struct rnn_options {
  const char *type;
  int cell_type;
  int64_t units, layers;
  bool bidirectional;
  double dropout;
  sequence_options of;
} rnn_options;

typedef struct parallel_options {
  const char *type;
  const co_node *kernel_sizes;
  int64_t filters;
  double dropout;
  sequence_options of;
} parallel_options;

typedef struct bag_options {
  const char *type;
  int pooling;
  sequence_options of;
} bag_options;

#define TYPE_FIELD(options)                                                                        \
  { "type", CO_FIELD_STRING, offsetof(options, type), "null", 0, 0, NULL, "Which encoder.", NULL }

static const co_field graph_fields[] = {TYPE_FIELD(graph_options),
                                        {"layers", CO_FIELD_NODE, offsetof(graph_options, layers),
                                         NULL, 0, 0, NULL, "The layers, in order.", NULL},
                                        {.key = NULL}};

static const co_field cnn_fields[] = {
    TYPE_FIELD(cnn_options),
    {"filters", CO_FIELD_NODE, offsetof(cnn_options, filters), "null", 0, 0, NULL,
     "List: channels of each stage; a stage halves the image. Default [32, 64].", NULL},
    {"convolutions", CO_FIELD_INT, offsetof(cnn_options, convolutions), "1", 1, 16, NULL,
     "Convolutions in a stage.", NULL},
    {"kernel_size", CO_FIELD_INT, offsetof(cnn_options, kernel_size), "3", 1, 99, NULL,
     "Height and width of the kernels in pixels.", NULL},
    {"batch_normalization", CO_FIELD_BOOL, offsetof(cnn_options, batch_normalization), "true", 0, 0,
     NULL, "Normalise after each convolution.", NULL},
    {"dropout", CO_FIELD_DOUBLE, offsetof(cnn_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after the dense layer.", NULL},
    {"output_size", CO_FIELD_INT, offsetof(cnn_options, output_size), "128", 1, 1 << 20, NULL,
     "Features that come out.", NULL},
    {.key = NULL}};

static const co_field resnet_fields[] = {
    TYPE_FIELD(resnet_options),
    {"filters", CO_FIELD_NODE, offsetof(resnet_options, filters), "null", 0, 0, NULL,
     "List: channels of each stage; a stage but the first halves the image. Default [16, 32, 64, "
     "128].",
     NULL},
    {"blocks", CO_FIELD_INT, offsetof(resnet_options, blocks), "2", 1, 64, NULL,
     "Residual blocks in a stage, of two convolutions each.", NULL},
    {"dropout", CO_FIELD_DOUBLE, offsetof(resnet_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate of what comes out.", NULL},
    {.key = NULL}};

static const char *const pixel_activations[] = {"linear", "sigmoid", NULL};

static const co_field decoder_fields[] = {
    TYPE_FIELD(decoder_options),
    {"filters", CO_FIELD_NODE, offsetof(decoder_options, filters), "null", 0, 0, NULL,
     "List: channels of each stage; a stage doubles the image. Default [64, 32].", NULL},
    {"convolutions", CO_FIELD_INT, offsetof(decoder_options, convolutions), "1", 1, 16, NULL,
     "Convolutions in a stage.", NULL},
    {"kernel_size", CO_FIELD_INT, offsetof(decoder_options, kernel_size), "3", 1, 99, NULL,
     "Height and width of the kernels in pixels.", NULL},
    {"batch_normalization", CO_FIELD_BOOL, offsetof(decoder_options, batch_normalization), "true",
     0, 0, NULL, "Normalise after each convolution.", NULL},
    {"activation", CO_FIELD_ENUM, offsetof(decoder_options, activation), "linear", 0, 0,
     pixel_activations, "Of the pixels; sigmoid for those that are scaled to 0 ... 1.", NULL},
    {.key = NULL}};

static const co_field mlp_fields[] = {TYPE_FIELD(mlp_options),
                                      {"sizes", CO_FIELD_NODE, offsetof(mlp_options, sizes), "null",
                                       0, 0, NULL, "List: units of each dense layer. Default [64].",
                                       NULL},
                                      {"dropout", CO_FIELD_DOUBLE, offsetof(mlp_options, dropout),
                                       "0.0", 0, 0.999, NULL, "Rate after each layer.", NULL},
                                      {.key = NULL}};

static const char *const updates[] = {"dense", "rows", NULL};
#define UPDATE_DOC                                                                                 \
  "rows: a step costs what the rows it reads do, however large the table (lazy Adam)."

static const co_field embedding_fields[] = {
    TYPE_FIELD(embedding_options),
    {"embedding_size", CO_FIELD_INT, offsetof(embedding_options, embedding_size), "0", 0, 4096,
     NULL,
     "Numbers per category; 0: half the rows, at most 16; of events 1.6 rows^0.56, at most 600.",
     NULL},
    {"dropout", CO_FIELD_DOUBLE, offsetof(embedding_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after the embedding.", NULL},
    {"update", CO_FIELD_ENUM, offsetof(embedding_options, update), "dense", 0, 0, updates,
     UPDATE_DOC, NULL},
    {.key = NULL}};

static const co_field piecewise_fields[] = {TYPE_FIELD(piecewise_options),
                                            {"embedding_size", CO_FIELD_INT,
                                             offsetof(piecewise_options, embedding_size), "16", 1,
                                             4096, NULL, "Features of a number.", NULL},
                                            {.key = NULL}};

static const co_field periodic_fields[] = {
    TYPE_FIELD(periodic_options),
    {"embedding_size", CO_FIELD_INT, offsetof(periodic_options, embedding_size), "16", 1, 4096,
     NULL, "Features of a number.", NULL},
    {"frequencies", CO_FIELD_INT, offsetof(periodic_options, frequencies), "48", 1, 4096, NULL,
     "Of each number.", NULL},
    {"sigma", CO_FIELD_DOUBLE, offsetof(periodic_options, sigma), "0.1", 1e-6, 1e6, NULL,
     "Deviation of the frequencies at first: how fine what can be told apart is.", NULL},
    {.key = NULL}};

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
    "embedding_update", CO_FIELD_ENUM, offsetof(options, of.update), "dense", 0, 0, updates,       \
        "Of words: " UPDATE_DOC, NULL                                                              \
  }

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
    {"dropout", CO_FIELD_DOUBLE, offsetof(rnn_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate between layers, and after the last state.", NULL},
    {.key = NULL}};

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
    {"dropout", CO_FIELD_DOUBLE, offsetof(transformer_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after attention, and after the dense layers.", NULL},
    {.key = NULL}};

static const co_field parallel_fields[] = {
    TYPE_FIELD(parallel_options),
    SEQUENCE_FIELDS(parallel_options),
    {"kernel_sizes", CO_FIELD_NODE, offsetof(parallel_options, kernel_sizes), "null", 0, 0, NULL,
     "List: events that the convolutions side by side see at once. Default [2, 3, 4, 5].", NULL},
    {"filters", CO_FIELD_INT, offsetof(parallel_options, filters), "32", 1, 1 << 20, NULL,
     "Features of each, of which the largest over all events come out.", NULL},
    {"dropout", CO_FIELD_DOUBLE, offsetof(parallel_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after them.", NULL},
    {.key = NULL}};

static const char *const bag_poolings[] = {"mean", "sum", "max", NULL};

static const co_field bag_fields[] = {TYPE_FIELD(bag_options),
                                      SEQUENCE_FIELDS(bag_options),
                                      {"pooling", CO_FIELD_ENUM, offsetof(bag_options, pooling),
                                       "mean", 0, 0, bag_poolings,
                                       "What comes out of the events, whatever their order.", NULL},
                                      {.key = NULL}};

static const co_field passthrough_fields[] = {TYPE_FIELD(graph_options), {.key = NULL}};

// Reads a list of positive integers; absent = `fallback`. Returns the count, -1 after a problem.
static int read_sizes(const co_node *node, const char *path, const char *key,
                      const int64_t *fallback, int fallback_count, int64_t *out, int most,
                      co_diagnostics *problems) {
  if (!node || node->kind == CO_NODE_NULL) {
    memcpy(out, fallback, (size_t)fallback_count * sizeof *out);
    return fallback_count;
  }
  bool good = node->kind == CO_NODE_LIST && node->count >= 1 && node->count <= most;
  for (int64_t i = 0; good && i < node->count; i++)
    good = co_node_int(node->items[i], &out[i]) && out[i] > 0 && out[i] <= 1 << 20;
  if (good) return (int)node->count;
  co_node_problem(problems, node, NULL, "%s.%s: must be a list of 1 to %d positive whole numbers",
                  path, key, most);
  return -1;
}

static void expand_passthrough(co_text *text, const void *options, const co_encoder_input *input,
                               const char *path, co_diagnostics *problems) {
  (void)input;
  (void)options;
  (void)path;
  (void)problems;
  co_text_printf(text, "[Flatten]");
}

static void expand_cnn(co_text *text, const void *options, const co_encoder_input *input,
                       const char *path, co_diagnostics *problems) {
  (void)input;
  const cnn_options *cnn = options;
  static const int64_t fallback[] = {32, 64};
  int64_t filters[16];
  int stages = read_sizes(cnn->filters, path, "filters", fallback, 2, filters, 16, problems);
  co_text_printf(text, "[");
  for (int stage = 0; stage < stages; stage++) {
    for (int64_t i = 0; i < cnn->convolutions; i++) {
      co_text_printf(text, "{Conv2D: {filters: %lld, kernel_size: %lld, padding: same%s}}, ",
                     (long long)filters[stage], (long long)cnn->kernel_size,
                     cnn->batch_normalization ? ", use_bias: false" : ", activation: relu");
      if (cnn->batch_normalization) co_text_printf(text, "BatchNormalization, ReLU, ");
    }
    co_text_printf(text, "{MaxPooling2D: 2}, ");
  }
  co_text_printf(text, "Flatten, ");
  co_text_printf(text, "{Dense: {units: %lld, activation: relu}}", (long long)cnn->output_size);
  if (cnn->dropout > 0) co_text_printf(text, ", {Dropout: %.17g}", cnn->dropout);
  co_text_printf(text, "]");
}

// As much padding on either side as PyTorch's: cuDNN has few engines for uneven padding.
static void add_residual_convolution(co_text *text, int64_t filters, int kernel, int stride,
                                     const char *input) {
  co_text_printf(text,
                 "{Conv2D: {filters: %lld, kernel_size: %d, strides: %d, padding: symmetric, "
                 "use_bias: false, kernel_initializer: he_normal}",
                 (long long)filters, kernel, stride);
  co_text_printf(text, input ? ", inputs: [%s]}, " : "}, ", input);
}

// A block of two convolutions that is added to what goes into it, projected where its shape is another.
static void add_block(co_text *text, int64_t filters, int stride, bool projected, int number) {
  char before[32], shortcut[32];
  (void)snprintf(before, sizeof before, "block_%d", number - 1);
  (void)snprintf(shortcut, sizeof shortcut, projected ? "shortcut_%d" : "block_%d",
                 projected ? number : number - 1);
  add_residual_convolution(text, filters, 3, stride, before);
  co_text_printf(text, "BatchNormalization, ReLU, ");
  add_residual_convolution(text, filters, 3, 1, NULL);
  co_text_printf(text, "{BatchNormalization: {}, name: residual_%d}, ", number);
  if (projected) {
    add_residual_convolution(text, filters, 1, stride, before);
    co_text_printf(text, "{BatchNormalization: {}, name: %s}, ", shortcut);
  }
  co_text_printf(text, "{Add: {}, inputs: [residual_%d, %s]}, {ReLU: {}, name: block_%d}, ", number,
                 shortcut, number);
}

// Residual blocks (He et al. 2016) behind one convolution, as for small images: nothing is halved before
// the second stage.
static void expand_resnet(co_text *text, const void *options, const co_encoder_input *input,
                          const char *path, co_diagnostics *problems) {
  static const int64_t fallback[] = {16, 32, 64, 128};
  const resnet_options *o = options;
  int64_t filters[16];
  int number = 0;
  (void)input;
  int stages = read_sizes(o->filters, path, "filters", fallback, 4, filters, 16, problems);
  if (stages < 0) return;
  co_text_printf(text, "[");
  add_residual_convolution(text, filters[0], 3, 1, NULL);
  co_text_printf(text, "BatchNormalization, {ReLU: {}, name: block_0}, ");
  for (int stage = 0; stage < stages; stage++)
    for (int64_t i = 0; i < o->blocks; i++) {
      const bool first = stage > 0 && i == 0;
      add_block(text, filters[stage], first ? 2 : 1, first, ++number);
    }
  co_text_printf(text, "GlobalAveragePooling2D");
  if (o->dropout > 0) co_text_printf(text, ", {Dropout: %.17g}", o->dropout);
  co_text_printf(text, "]");
}

static void add_convolutions(co_text *text, const decoder_options *o, int64_t filters) {
  for (int64_t i = 0; i < o->convolutions; i++) {
    co_text_printf(text, "{Conv2D: {filters: %lld, kernel_size: %lld, padding: same%s}}, ",
                   (long long)filters, (long long)o->kernel_size,
                   o->batch_normalization ? ", use_bias: false" : ", activation: relu");
    if (o->batch_normalization) co_text_printf(text, "BatchNormalization, ReLU, ");
  }
}

// Convolutions over repeated pixels leave no checkerboard, as transposed ones do (Odena et al. 2016).
static void expand_decoder(co_text *text, const void *options, const co_encoder_input *input,
                           const char *path, co_diagnostics *problems) {
  static const int64_t fallback[] = {64, 32};
  const decoder_options *o = options;
  const int64_t *image = input->image;
  int64_t filters[16];
  int stages = read_sizes(o->filters, path, "filters", fallback, 2, filters, 16, problems);
  if (stages < 0) return;
  if (!image[0] || image[0] >> stages << stages != image[0] ||
      image[1] >> stages << stages != image[1]) {
    if (image[0])
      co_diagnostics_add(problems, CO_ERR_CONFIG, NULL, 0, 0, "fewer filters are fewer stages",
                         "%s: %d stages double an image to %lld x %lld only if both are multiples "
                         "of %lld",
                         path, stages, (long long)image[0], (long long)image[1], 1LL << stages);
    else
      co_diagnostics_add(problems, CO_ERR_CONFIG, NULL, 0, 0, NULL,
                         "%s: stacked_cnn_decoder is for the reconstruction of one image", path);
    return;
  }
  const long long height = image[0] >> stages, width = image[1] >> stages;
  co_text_printf(text, "[{Dense: {units: %lld, activation: relu}}, ",
                 height * width * (long long)filters[0]);
  co_text_printf(text, "{Reshape: {target_shape: [%lld, %lld, %lld]}}, ", height, width,
                 (long long)filters[0]);
  for (int stage = 0; stage < stages; stage++) {
    co_text_printf(text, "{UpSampling2D: 2}, ");
    add_convolutions(text, o, filters[stage]);
  }
  co_text_printf(text,
                 "{Conv2D: {filters: %lld, kernel_size: %lld, padding: same, activation: %s}}]",
                 (long long)image[2], (long long)o->kernel_size, pixel_activations[o->activation]);
}

static void expand_mlp(co_text *text, const void *options, const co_encoder_input *input,
                       const char *path, co_diagnostics *problems) {
  (void)input;
  const mlp_options *mlp = options;
  static const int64_t fallback[] = {64};
  int64_t sizes[16];
  int count = read_sizes(mlp->sizes, path, "sizes", fallback, 1, sizes, 16, problems);
  co_text_printf(text, "[Flatten");
  for (int i = 0; i < count; i++) {
    co_text_printf(text, ", {Dense: {units: %lld, activation: relu}}", (long long)sizes[i]);
    if (mlp->dropout > 0) co_text_printf(text, ", {Dropout: %.17g}", mlp->dropout);
  }
  co_text_printf(text, "]");
}

// Width of an embedding of so many rows: of events wider, by the rule of thumb of fastai's tabular
// learner, since a code is all that there is of one.
static int64_t embedding_width(const co_encoder_input *input) {
  double wide = ceil(1.6 * pow((double)input->rows, 0.56));
  int64_t half = (input->rows + 1) / 2;
  if (input->each) return wide < 600 ? (int64_t)wide : 600;
  return half < 16 ? half : 16;
}

static const char *update_text(int update) {
  return update ? ", update: rows" : "";
}

static void expand_embedding(co_text *text, const void *options, const co_encoder_input *input,
                             const char *path, co_diagnostics *problems) {
  const embedding_options *embedding = options;
  (void)path;
  (void)problems;
  int64_t width = embedding->embedding_size ? embedding->embedding_size : embedding_width(input);
  co_text_printf(text,
                 "[{Embedding: {input_dim: %lld, output_dim: %lld, embeddings_initializer: "
                 "fan_in_uniform, zero_first: true%s}}%s",
                 (long long)input->rows, (long long)width, update_text(embedding->update),
                 input->each ? "" : ", Flatten");
  if (embedding->dropout > 0) co_text_printf(text, ", {Dropout: %.17g}", embedding->dropout);
  co_text_printf(text, "]");
}

static void expand_piecewise(co_text *text, const void *options, const co_encoder_input *input,
                             const char *path, co_diagnostics *problems) {
  const piecewise_options *piecewise = options;
  (void)path;
  (void)problems;
  co_text_printf(text,
                 "[{PiecewiseLinearEmbedding: {bins: %lld, output_dim: %lld}}, ReLU, Flatten]",
                 (long long)input->bins, (long long)piecewise->embedding_size);
}

static void expand_periodic(co_text *text, const void *options, const co_encoder_input *input,
                            const char *path, co_diagnostics *problems) {
  const periodic_options *periodic = options;
  (void)input;
  (void)path;
  (void)problems;
  co_text_printf(
      text,
      "[Flatten, {PeriodicEmbedding: {frequencies: %lld, output_dim: %lld, sigma: %.17g}}, ReLU, "
      "Flatten]",
      (long long)periodic->frequencies, (long long)periodic->embedding_size, periodic->sigma);
}

// Begins the list of layers; returns the name of what they go through.
static const char *begin_sequence(co_text *text, const sequence_options *options,
                                  const co_encoder_input *input) {
  co_text_printf(text, "[");
  if (!input->rows) return "events";
  co_text_printf(
      text,
      "{Embedding: {input_dim: %lld, output_dim: %lld, embeddings_initializer: "
      "fan_in_uniform, zero_first: true%s}%s}, ",
      (long long)input->rows, (long long)(options->embedding_size ? options->embedding_size : 64),
      update_text(options->update), options->embedding_dropout > 0 ? "" : ", name: embedded");
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
    const bool last = i + 1 == rnn->layers;
    if (rnn->bidirectional)
      co_text_printf(text, "{Bidirectional: {layer: %s, ", layer);
    else
      co_text_printf(text, "{%s: {", layer);
    co_text_printf(text, "units: %lld, return_sequences: %s}", (long long)rnn->units,
                   last ? "false" : "true");
    if (i)
      co_text_printf(text, ", inputs: [below%lld, lengths]", i);
    else
      co_text_printf(text, ", inputs: [%s, lengths]", events);
    // What the layer above reads has a name.
    if (!last && rnn->dropout <= 0) co_text_printf(text, ", name: below%lld", i + 1);
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
  char dropout[64] = "";
  if (o->dropout > 0) snprintf(dropout, sizeof dropout, "{Dropout: %.17g", o->dropout);
  (void)begin_sequence(text, &o->of, input);
  co_text_printf(text, "{Dense: %lld, name: input0}, ", units);
  for (long long i = 0; i < o->layers; i++) {
    co_text_printf(text,
                   "{LayerNormalization: {}, name: norm%lld}, "
                   "{MultiHeadAttention: {num_heads: %lld, key_dim: %lld, use_causal_mask: true, "
                   "relative_positions: %lld}, inputs: [norm%lld, lengths], name: attention%lld}, ",
                   i, (long long)o->num_heads, units / o->num_heads,
                   (long long)o->relative_positions, i, i);
    if (*dropout) co_text_printf(text, "%s, name: attended%lld}, ", dropout, i);
    co_text_printf(text, "{Add: {}, inputs: [input%lld, %s%lld], name: middle%lld}, ", i,
                   *dropout ? "attended" : "attention", i, i);
    co_text_printf(text,
                   "LayerNormalization, {Dense: {units: %lld, activation: relu}}, "
                   "{Dense: %lld, name: dense%lld}, ",
                   wide, units, i);
    if (*dropout) co_text_printf(text, "%s, name: dropped%lld}, ", dropout, i);
    co_text_printf(text, "{Add: {}, inputs: [middle%lld, %s%lld], name: input%lld}, ", i,
                   *dropout ? "dropped" : "dense", i, i + 1);
  }
  co_text_printf(text, "{LayerNormalization: {}, name: output}, "
                       "{GlobalPooling1D: last, inputs: [output, lengths]}]");
}

typedef struct encoder {
  const char *name, *doc;
  const co_field *fields;
  size_t options_size;
  bool codes, bins, events; // what it takes alone
  void (*expand)(co_text *text, const void *options, const co_encoder_input *input,
                 const char *path, co_diagnostics *problems);
} encoder;

// Kim 2014: convolutions of several widths, the largest of each feature over time.
static void expand_parallel(co_text *text, const void *options, const co_encoder_input *input,
                            const char *path, co_diagnostics *problems) {
  static const int64_t fallback[] = {2, 3, 4, 5};
  const parallel_options *o = options;
  int64_t sizes[16];
  int count = read_sizes(o->kernel_sizes, path, "kernel_sizes", fallback, 4, sizes, 16, problems);
  if (count < 0) return;
  const char *events = begin_sequence(text, &o->of, input);
  for (int i = 0; i < count; i++)
    co_text_printf(
        text,
        "{Conv1D: {filters: %lld, kernel_size: %lld, activation: relu}, inputs: [%s, "
        "lengths], name: seen%d}, {GlobalPooling1D: max, inputs: [seen%d, lengths], name: "
        "most%d}, ",
        (long long)o->filters, (long long)sizes[i], events, i, i, i);
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

// graph comes first: it needs no expansion.
static const encoder encoders[] = {
    {"graph", "Layers written out, with Keras names.", graph_fields, sizeof(graph_options),
     .expand = NULL},
    {"stacked_cnn", "Stages of convolutions, each halving the image, then a dense layer.",
     cnn_fields, sizeof(cnn_options), .expand = expand_cnn},
    {"resnet", "Residual blocks of convolutions (He et al. 2016), then the mean of each channel.",
     resnet_fields, sizeof(resnet_options), .expand = expand_resnet},
    {"stacked_cnn_decoder",
     "Of a decoder: a dense layer, then stages of convolutions, each doubling the image.",
     decoder_fields, sizeof(decoder_options), .expand = expand_decoder},
    {"mlp", "Dense layers.", mlp_fields, sizeof(mlp_options), .expand = expand_mlp},
    {"embedding", "A learned row of numbers per category.", embedding_fields,
     sizeof(embedding_options), .codes = true, .expand = expand_embedding},
    {"piecewise_linear",
     "A dense layer of its own for each number, over its bins: for preprocessing: {encoding: "
     "piecewise_linear}.",
     piecewise_fields, sizeof(piecewise_options), .bins = true, .expand = expand_piecewise},
    {"periodic",
     "A dense layer of its own for each number, over its sines and cosines by trained frequencies.",
     periodic_fields, sizeof(periodic_options), .expand = expand_periodic},
    {"rnn", "Recurrent layers over events, to the state after the last.", rnn_fields,
     sizeof(rnn_options), .events = true, .expand = expand_rnn},
    {"transformer", "Causal attention over events, to the features of the last.",
     transformer_fields, sizeof(transformer_options), .events = true, .expand = expand_transformer},
    {"parallel_cnn", "Convolutions of several widths over a sequence, side by side; their maxima.",
     parallel_fields, sizeof(parallel_options), .events = true, .expand = expand_parallel},
    {"bag", "Events of a sequence without their order: their mean, sum or maximum.", bag_fields,
     sizeof(bag_options), .events = true, .expand = expand_bag},
    {"passthrough", "The values as they are.", passthrough_fields, sizeof(graph_options),
     .expand = expand_passthrough}};
enum { ENCODER_COUNT = sizeof encoders / sizeof *encoders };

bool co_encoder_describe(int i, const char **name, const char **doc, const co_field **fields) {
  if (i < 0 || i >= ENCODER_COUNT) return false;
  *name = encoders[i].name;
  *doc = encoders[i].doc;
  *fields = encoders[i].fields;
  return true;
}

static const encoder *find_encoder(const char *name) {
  for (int i = 0; i < ENCODER_COUNT; i++)
    if (strcmp(encoders[i].name, name) == 0) return &encoders[i];
  return NULL;
}

// Expanded layers have no place of their own: errors point at the encoder that asked for them.
static void relocate(co_node *node, const co_node *to) {
  node->file = to->file;
  node->line = node->key_line = to->line;
  node->column = node->key_column = to->column;
  for (int64_t i = 0; i < node->count; i++)
    relocate(node->items[i], to);
}

static co_status expand(const co_node **layers, const encoder *found, const void *options,
                        const co_encoder_input *input, const char *path, co_arena *arena,
                        co_diagnostics *problems) {
  co_text text;
  co_text_init(&text, co_arena_context(arena));
  int64_t before = problems->count;
  found->expand(&text, options, input, path, problems);
  co_status status = text.status;
  co_node *made = NULL;
  if (status == CO_OK && problems->count == before)
    status = co_yaml_parse(&made, arena, found->name, text.data, text.length, problems);
  co_text_free(&text);
  *layers = made;
  return status;
}

co_status co_encoder_expand(const co_node **layers, const co_node *encoder_node, const char *path,
                            const co_encoder_input *input, co_arena *arena,
                            co_diagnostics *problems) {
  *layers = NULL;
  const char *name = input->fallback;
  const co_node *type_node = encoder_node ? co_node_get(encoder_node, "type") : NULL;
  if (type_node && type_node->kind == CO_NODE_SCALAR) name = type_node->text;
  const encoder *found = find_encoder(name);
  if (!found) {
    const char *names[ENCODER_COUNT];
    for (int i = 0; i < ENCODER_COUNT; i++)
      names[i] = encoders[i].name;
    const char *near = co_nearest(name, names, ENCODER_COUNT);
    return co_node_problem(problems, type_node, "`cohort help encoders` lists them",
                           "%s.type: unknown encoder '%s'%s%s%s", path, name,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  }
  if ((found->codes && !input->rows) || (found->events && !input->events))
    return co_node_problem(problems, type_node, NULL, "%s.type: %s is for %s", path, name,
                           found->codes ? "categories" : "events, and texts as sequences");
  if (found->codes && input->events && !input->each)
    return co_node_problem(problems, type_node, "for example bag, which embeds words",
                           "%s.type: %s is not for a text", path, name);
  if (found->bins && !input->bins)
    return co_node_problem(problems, type_node, "preprocessing: {encoding: piecewise_linear}",
                           "%s.type: %s is for numbers encoded by bins", path, name);
  if (input->bins && found->expand && !found->bins)
    return co_node_problem(problems, type_node, "use piecewise_linear, or another encoding",
                           "%s.type: %s does not read numbers encoded by bins", path, name);
  void *options = co_arena_alloc(arena, 1, found->options_size);
  if (!options) return CO_ERR_MEMORY;
  int64_t before = problems->count;
  CO_RETURN_IF_FAILED(co_fields_parse(options, found->fields, encoder_node, path, arena, problems));
  if (problems->count > before) return CO_OK;
  if (!found->expand) {
    *layers = ((const graph_options *)options)->layers;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(expand(layers, found, options, input, path, arena, problems));
  if (*layers && encoder_node) relocate((co_node *)(uintptr_t)*layers, encoder_node);
  return CO_OK;
}
