// SPDX-License-Identifier: Apache-2.0
#include "models/encoders.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/encoder_class.h"

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
  int update; // of co_embedding_update_words
  double unknown_rate;
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

static const co_field embedding_fields[] = {
    TYPE_FIELD(embedding_options),
    {"embedding_size", CO_FIELD_INT, offsetof(embedding_options, embedding_size), "0", 0, 4096,
     NULL,
     "Numbers per category; 0: half the rows, at most 16; of events 1.6 rows^0.56, at most 600.",
     NULL},
    {"dropout", CO_FIELD_DOUBLE, offsetof(embedding_options, dropout), "0.0", 0, 0.999, NULL,
     "Rate after the embedding.", NULL},
    {"update", CO_FIELD_ENUM, offsetof(embedding_options, update), "dense", 0, 0,
     co_embedding_update_words, CO_EMBEDDING_UPDATE_DOC, NULL},
    {"unknown_rate", CO_FIELD_DOUBLE, offsetof(embedding_options, unknown_rate), "0.0", 0, 0.999,
     NULL,
     "Share of the values that are unknown in training, which trains the row of what is missing or "
     "was not seen, and the network to do without (Volkovs et al. 2017); wanted where new classes "
     "are scored.",
     NULL},
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

static const co_field passthrough_fields[] = {TYPE_FIELD(graph_options), {.key = NULL}};

int co_encoder_read_sizes(const co_node *node, const char *path, const char *key,
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
  int stages =
      co_encoder_read_sizes(cnn->filters, path, "filters", fallback, 2, filters, 16, problems);
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
  int stages =
      co_encoder_read_sizes(o->filters, path, "filters", fallback, 4, filters, 16, problems);
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
  int stages =
      co_encoder_read_sizes(o->filters, path, "filters", fallback, 2, filters, 16, problems);
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
  int count = co_encoder_read_sizes(mlp->sizes, path, "sizes", fallback, 1, sizes, 16, problems);
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

const char *co_encoder_update_text(int update) {
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
                 "fan_in_uniform, zero_first: true%s",
                 (long long)input->rows, (long long)width,
                 co_encoder_update_text(embedding->update));
  if (embedding->unknown_rate > 0)
    co_text_printf(text, ", unknown_rate: %.17g", embedding->unknown_rate);
  co_text_printf(text, "}}%s", input->each ? "" : ", Flatten");
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

// graph needs no expansion.
static const co_encoder_class graph = {
    .name = "graph",
    .doc = "Layers written out, with Keras names.",
    .fields = graph_fields,
    .options_size = sizeof(graph_options),
};
static const co_encoder_class stacked_cnn = {
    .name = "stacked_cnn",
    .doc = "Stages of convolutions, each halving the image, then a dense layer.",
    .fields = cnn_fields,
    .options_size = sizeof(cnn_options),
    .expand = expand_cnn};
static const co_encoder_class resnet = {
    .name = "resnet",
    .doc = "Residual blocks of convolutions (He et al. 2016), then the mean of each channel.",
    .fields = resnet_fields,
    .options_size = sizeof(resnet_options),
    .expand = expand_resnet};
static const co_encoder_class stacked_cnn_decoder = {
    .name = "stacked_cnn_decoder",
    .doc = "Of a decoder: a dense layer, then stages of convolutions, each doubling the image.",
    .fields = decoder_fields,
    .options_size = sizeof(decoder_options),
    .expand = expand_decoder};
static const co_encoder_class mlp = {.name = "mlp",
                                     .doc = "Dense layers.",
                                     .fields = mlp_fields,
                                     .options_size = sizeof(mlp_options),
                                     .expand = expand_mlp};
static const co_encoder_class embedding = {.name = "embedding",
                                           .doc = "A learned row of numbers per category.",
                                           .fields = embedding_fields,
                                           .options_size = sizeof(embedding_options),
                                           .codes = true,
                                           .expand = expand_embedding};
static const co_encoder_class piecewise_linear = {
    .name = "piecewise_linear",
    .doc = "A dense layer of its own for each number, over its bins: for preprocessing: {encoding: "
           "piecewise_linear}.",
    .fields = piecewise_fields,
    .options_size = sizeof(piecewise_options),
    .bins = true,
    .expand = expand_piecewise};
static const co_encoder_class periodic = {.name = "periodic",
                                          .doc = "A dense layer of its own for each number, over "
                                                 "its sines and cosines by trained frequencies.",
                                          .fields = periodic_fields,
                                          .options_size = sizeof(periodic_options),
                                          .expand = expand_periodic};
static const co_encoder_class passthrough = {.name = "passthrough",
                                             .doc = "The values as they are.",
                                             .fields = passthrough_fields,
                                             .options_size = sizeof(graph_options),
                                             .expand = expand_passthrough};

static const co_encoder_class *const encoders[] = {&graph,
                                                   &stacked_cnn,
                                                   &resnet,
                                                   &stacked_cnn_decoder,
                                                   &mlp,
                                                   &embedding,
                                                   &piecewise_linear,
                                                   &periodic,
                                                   &co_encoder_rnn,
                                                   &co_encoder_transformer,
                                                   &co_encoder_parallel_cnn,
                                                   &co_encoder_bag,
                                                   &passthrough};
enum { ENCODER_COUNT = sizeof encoders / sizeof *encoders };

bool co_encoder_describe(int i, const char **name, const char **doc, const co_field **fields) {
  if (i < 0 || i >= ENCODER_COUNT) return false;
  *name = encoders[i]->name;
  *doc = encoders[i]->doc;
  *fields = encoders[i]->fields;
  return true;
}

static const co_encoder_class *find_encoder(const char *name) {
  for (int i = 0; i < ENCODER_COUNT; i++)
    if (strcmp(encoders[i]->name, name) == 0) return encoders[i];
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

static co_status expand(const co_node **layers, const co_encoder_class *found, const void *options,
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
  const co_encoder_class *found = find_encoder(name);
  if (!found) {
    const char *names[ENCODER_COUNT];
    for (int i = 0; i < ENCODER_COUNT; i++)
      names[i] = encoders[i]->name;
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
