// SPDX-License-Identifier: Apache-2.0
// A text as a bag of its words or characters: how often each occurs, hashed to buckets (Weinberger et
// al. 2009), weighted by how few of the training rows have it (tf-idf, as scikit-learn's), of length
// 1. Texts are UTF-8; letters of Latin-1, Greek and Cyrillic are taken in lower case.
#include <math.h>
#include <string.h>

#include "host/core/c_text.h"
#include "models/builder.h"
#include "models/features/characters.h"
#include "models/features/classes.h"

// scorer: texts
typedef enum tokens { WORDS, CHARACTERS } tokens;

typedef struct text_options {
  int64_t buckets, ngram;
  int tokens;
} text_options;
// scorer: end

static const char *const token_words[] = {"words", "characters", NULL};

#define TEXT_FIELDS                                                                                \
  {"tokens",                                                                                       \
   CO_FIELD_ENUM,                                                                                  \
   offsetof(text_options, tokens),                                                                 \
   "words",                                                                                        \
   0,                                                                                              \
   0,                                                                                              \
   token_words,                                                                                    \
   "What is counted: words, or pieces of them.",                                                   \
   NULL},                                                                                          \
      {"ngram",                                                                                    \
       CO_FIELD_INT,                                                                               \
       offsetof(text_options, ngram),                                                              \
       "0",                                                                                        \
       0,                                                                                          \
       8,                                                                                          \
       NULL,                                                                                       \
       "words: up to so many in a row; characters: so many in a row. 0: 1 word, 3 characters.",    \
       NULL},                                                                                      \
  {                                                                                                \
    "buckets", CO_FIELD_INT, offsetof(text_options, buckets), "2048", 2, 1 << 20, NULL,            \
        "To which they are hashed: the width of the input.", NULL                                  \
  }

static const co_field preprocessing[] = {TEXT_FIELDS, {.key = NULL}};

static const text_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

// scorer: texts
static int64_t ngram_of(const text_options *options) {
  return options->ngram ? options->ngram : options->tokens == CHARACTERS ? 3 : 1;
}

// scorer: end

// ---- tokens ------------------------------------------------------------------------------------

// scorer: texts
enum { MOST_NGRAM = 8 };

static void count_token(const text_options *options, uint64_t hash, float *counts) {
  counts[(hash ^ hash >> 32) % (uint64_t)options->buckets]++;
}

// Of 1 to n words that end with this one; `last` has the hashes of the words before it.
static void count_words(const text_options *options, uint64_t word, uint64_t *last, float *counts) {
  int64_t n = ngram_of(options);
  memmove(last + 1, last, (MOST_NGRAM - 1) * sizeof *last);
  last[0] = word;
  uint64_t hash = hash_start;
  for (int64_t k = 0; k < n && last[k]; k++) {
    hash = hash_on(hash_on(hash, (uint32_t)last[k]), (uint32_t)(last[k] >> 32));
    count_token(options, hash, counts);
  }
}

// Of n characters in a row that end with this one; between words is one blank.
static void count_characters(const text_options *options, uint32_t c, uint32_t *last,
                             float *counts) {
  int64_t n = ngram_of(options);
  memmove(last + 1, last, (MOST_NGRAM - 1) * sizeof *last);
  last[0] = c;
  if (!last[n - 1]) return;
  uint64_t hash = hash_start;
  for (int64_t k = n; k-- > 0;)
    hash = hash_on(hash, last[k]);
  count_token(options, hash, counts);
}

// counts[bucket]: how often its tokens occur.
static void count_tokens(const text_options *options, const char *text, float *counts) {
  const unsigned char *at = (const unsigned char *)text;
  uint64_t word = hash_start, words[MOST_NGRAM] = {0};
  uint32_t characters[MOST_NGRAM] = {0};
  bool inside = false;
  memset(counts, 0, (size_t)options->buckets * sizeof *counts);
  for (uint32_t c = 1; c;) {
    c = next_character(&at);
    bool was = inside;
    inside = c && is_of_word(c);
    if (options->tokens == CHARACTERS) {
      if (inside && !was) count_characters(options, ' ', characters, counts);
      if (inside) count_characters(options, c, characters, counts);
    } else if (inside) {
      word = hash_on(was ? word : hash_start, c);
    } else if (was) {
      count_words(options, word, words, counts);
    }
  }
  if (options->tokens == CHARACTERS && characters[0])
    count_characters(options, ' ', characters, counts);
}

// scorer: end

// ---- derivation --------------------------------------------------------------------------------

// scorer: texts
typedef struct text_derivation {
  const text_options *options;
  const float *weights;
} text_derivation;

static void weigh_tokens(const void *user, const char *text, void *out) {
  const text_derivation *d = user;
  float *to = out;
  double squares = 0;
  count_tokens(d->options, text, to);
  for (int64_t i = 0; i < d->options->buckets; i++) {
    to[i] *= d->weights[i];
    squares += (double)to[i] * (double)to[i];
  }
  double scale = squares > 0 ? 1 / sqrt(squares) : 0;
  for (int64_t i = 0; i < d->options->buckets; i++)
    to[i] = (float)((double)to[i] * scale);
}

// scorer: end

static void print_c(const void *user, co_text *out) {
  const text_derivation *d = user;
  co_c_floats(out, "weights", d->weights, d->options->buckets);
  co_text_printf(out,
                 "  static const text_options options = {%lld, %lld, %d};\n"
                 "  static const text_derivation derivation = {&options, weights};\n"
                 "  weigh_tokens(&derivation, text, out);\n",
                 (long long)d->options->buckets, (long long)d->options->ngram, d->options->tokens);
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const co_fitted weights = {
      .name = "weights", .dtype = CO_F32, .shape = co_shape_make(1, options_of(feature)->buckets)};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, &weights, 1));
  text_derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (text_derivation){options_of(feature), co_feature_fitted(feature, "weights")->bytes};
  const co_derivation d = {.dtype = CO_F32,
                           .width = options_of(feature)->buckets,
                           .derive_text = weigh_tokens,
                           .user = made,
                           .print_c = print_c,
                           .c_sections = "texts"};
  return co_feature_derive(model, feature, &d);
}

static bool is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct fitting {
  float *counts;    // of a row
  int64_t *present; // rows that have a token of the bucket
  int64_t rows;
} fitting;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  fitting *f = state;
  size_t buckets = (size_t)options_of(feature)->buckets;
  f->counts = co_alloc_zero(ctx, buckets, sizeof *f->counts);
  f->present = co_alloc_zero(ctx, buckets, sizeof *f->present);
  return f->counts && f->present ? CO_OK : CO_ERR_MEMORY;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  fitting *f = state;
  const text_options *options = options_of(feature);
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    count_tokens(options, ((const char *const *)values)[i], f->counts);
    for (int64_t k = 0; k < options->buckets; k++)
      f->present[k] += f->counts[k] > 0;
  }
  f->rows += rows;
  return CO_OK;
}

static void weigh(const text_options *options, const fitting *f, float *weights) {
  for (int64_t k = 0; k < options->buckets; k++)
    weights[k] = (float)(log((1 + (double)f->rows) / (1 + (double)f->present[k])) + 1);
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  (void)ctx;
  weigh(options_of(feature), state, co_feature_fitted(feature, "weights")->bytes);
  return CO_OK;
}

static void free_fitting(co_context *ctx, void *state) {
  co_free(ctx, ((fitting *)state)->counts);
  co_free(ctx, ((fitting *)state)->present);
}

static const co_fit_class fit = {
    .state_size = sizeof(fitting), .begin = begin, .add = add, .end = end, .free = free_fitting};

static co_status check(const co_input_feature *feature, const void *values, int64_t rows,
                       const int64_t *samples, int64_t *counts) {
  (void)feature;
  (void)samples;
  for (int64_t i = 0; i < rows; i++)
    counts[CO_COUNT_MISSING] += !*((const char *const *)values)[i];
  return CO_OK;
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_F32;
  *shape = co_shape_make(2, CO_DIM_N, options_of(&block->features[0])->buckets);
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  return co_section_rows(b, false, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(text_options),
                                     .encoder = "mlp",
                                     .declare = declare,
                                     .is_fitted = is_fitted,
                                     .fit = &fit,
                                     .check = check,
                                     .describe = describe,
                                     .emit = emit};

extern const co_feature_class co_feature_text;
const co_feature_class co_feature_text = {
    .name = "text",
    .doc = "Of type text: a bag of words or characters, hashed and weighted by tf-idf.",
    .columns = 1u << CO_COLUMN_TEXT,
    .input = &input};

// ---- texts of classes --------------------------------------------------------------------------

// The bag of each event's class. Bags lie in the model, row by row, behind one of nothing.
typedef struct event_text_options {
  text_options text; // first
  int64_t max_length;
} event_text_options;

static const co_field event_preprocessing[] = {
    TEXT_FIELDS,
    {"max_length", CO_FIELD_INT, offsetof(event_text_options, max_length), "256", 1, 1 << 20, NULL,
     "Events that are read of a row; of more, the last.", NULL},
    {.key = NULL}};

static int64_t most_events(const co_input_feature *feature) {
  return ((const event_text_options *)feature->preprocessing)->max_length;
}

static co_status read_event_text(co_model_builder *b, const co_node *item, const char *path,
                                 co_input_feature *feature) {
  if (feature->column->described) return CO_OK;
  return co_node_problem(b->problems, item,
                         "cohort import --events LOG --item ITEM --join ITEMS.csv:ITEM --type "
                         "ITEMS.COL=text gives items texts",
                         "%s: the classes of column '%s' have no texts", path,
                         feature->column->name);
}

static co_status declare_bags(co_model *model, co_input_feature *feature) {
  const int64_t buckets = options_of(feature)->buckets;
  const co_fitted arrays[] = {
      {.name = "bags",
       .dtype = CO_F32,
       .shape = co_shape_make(2, co_classes_rows(feature), buckets),
       .new_rows = feature->column->new_classes},
      {.name = "weights", .dtype = CO_F32, .shape = co_shape_make(1, buckets), .optional = true}};
  CO_RETURN_IF_FAILED(co_classes_declare(model, feature));
  return co_feature_declare(model, feature, arrays, 2);
}

// Of so many classes from one on, by the weights that are there.
static void fill_bags(co_input_feature *feature, const char *const *texts, int64_t first,
                      int64_t count) {
  const text_options *options = options_of(feature);
  const text_derivation derivation = {options, co_feature_fitted(feature, "weights")->bytes};
  float *bags = (float *)co_feature_fitted(feature, "bags")->bytes + (first + 1) * options->buckets;
  for (int64_t i = 0; i < count; i++)
    weigh_tokens(&derivation, texts[i], bags + i * options->buckets);
}

// Every class counts once, however many events are of it.
static co_status take_texts(co_context *ctx, co_input_feature *feature,
                            const co_class_members *members) {
  const int64_t classes = feature->column->category_count;
  fitting f = {0};
  co_status status = begin(ctx, feature, &f);
  if (status == CO_OK) status = add(feature, &f, members->descriptions, classes, NULL);
  if (status == CO_OK) {
    weigh(options_of(feature), &f, co_feature_fitted(feature, "weights")->bytes);
    fill_bags(feature, members->descriptions, 0, classes);
  }
  free_fitting(ctx, &f);
  return status;
}

static void take_new_texts(co_input_feature *feature, const co_class_members *members) {
  if (members->descriptions)
    fill_bags(feature, members->descriptions, feature->column->category_count,
              feature->column->new_classes);
}

static co_status look_up(co_model *model, const co_input_block *block, co_value *value) {
  const co_fitted *bags = co_feature_fitted(block->features, "bags");
  const co_op_attr rows = {.shape =
                               co_shape_make(2, CO_DIM_NT(block->event_table), bags->shape.dim[1])};
  co_value in[2] = {*value};
  char *name = co_arena_format(model->arena, "%s/bags", block->name);
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_graph_add_variable(model->network, name, CO_F32, &bags->shape, bags->bytes, &in[1]));
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_EMBEDDING, NULL, 2, in, &in[0]));
  return co_emit(model->network, CO_OP_RESHAPE, &rows, 1, in, value);
}

static const co_input_class event_input = {.preprocessing = event_preprocessing,
                                           .preprocessing_size = sizeof(event_text_options),
                                           .encoder = "mlp",
                                           .most_events = most_events,
                                           .read = read_event_text,
                                           .declare = declare_bags,
                                           .take_classes = take_texts,
                                           .take_new_classes = take_new_texts,
                                           .look_up = look_up,
                                           .check = co_classes_check,
                                           .describe = co_classes_describe,
                                           .emit = co_classes_emit};

extern const co_feature_class co_feature_event_text;
const co_feature_class co_feature_event_text = {
    .name = "event_text",
    .doc = "Of type event_text: the text of each event's class, such as an item bought, as a bag "
           "of words or "
           "characters.",
    .of_events = true,
    .columns = 1u << CO_COLUMN_CATEGORY,
    .input = &event_input};
