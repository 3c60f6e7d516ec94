// SPDX-License-Identifier: Apache-2.0
// Logistic regression over the words of texts, and pairs of neighbouring ones, in no other order: what a network of
// texts has to beat (Wang & Manning, "Baselines and bigrams", 2012). Those of the training rows (of too many, the most
// frequent) are weighted by tf-idf, tf (1 + ln((1 + n) / (1 + rows with it))), and each row's weights scaled to length
// 1. The penalty of squares is the one of a few that is best on validation rows. Of an output are stored "hashes" i64
// (words, growing), "idf" f32 (words), "coefficients" f32 (words, width) and "intercepts" f64 (width).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/eval/estimator.h"
#include "host/eval/minimize.h"
#include "models/features/text_sequence.h"

enum { MOST_WORDS = 1 << 17, MOST_CLASSES = 64, MOST_TEXTS = 16 };

static const co_field fields[] = {{.key = NULL}};

// Rows as lists of words with weights, one behind the other.
typedef struct bags {
  co_context *ctx;
  int64_t rows, count, room, weight_room;
  int64_t *begin; // rows + 1
  int64_t *word;  // its hash, then its place in the vocabulary
  float *weight;
} bags;

static void free_bags(bags *b) {
  co_free(b->ctx, b->begin);
  co_free(b->ctx, b->word);
  co_free(b->ctx, b->weight);
}

static co_status add_word(bags *b, uint64_t hash) {
  CO_RETURN_IF_FAILED(co_grow(b->ctx, (void **)&b->word, &b->room, b->count, sizeof *b->word));
  b->word[b->count++] = (int64_t)(hash * UINT64_C(0x9E3779B97F4A7C15));
  return CO_OK;
}

static co_status add_text(bags *b, const char *text, uint64_t column) {
  const unsigned char *at = (const unsigned char *)text;
  uint64_t word, before = 0;
  for (int64_t i = 0; co_next_token(&at, false, &word); i++, before = word) {
    CO_RETURN_IF_FAILED(add_word(b, word + column));
    if (i) CO_RETURN_IF_FAILED(add_word(b, (before * 31 ^ word) + column));
  }
  return CO_OK;
}

static int by_hash(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

// A row's words, each once, with how often it is there.
static co_status count_words(bags *b, int64_t first) {
  if (b->count == first) return CO_OK; // a text without words
  int64_t end = first;
  qsort(b->word + first, (size_t)(b->count - first), sizeof *b->word, by_hash);
  while (b->weight_room < b->count)
    CO_RETURN_IF_FAILED(
        co_grow(b->ctx, (void **)&b->weight, &b->weight_room, b->weight_room, sizeof *b->weight));
  for (int64_t i = first; i < b->count; i++) {
    if (end > first && b->word[end - 1] == b->word[i]) {
      b->weight[end - 1]++;
      continue;
    }
    b->word[end] = b->word[i];
    b->weight[end++] = 1;
  }
  b->count = end;
  return CO_OK;
}

// The columns of texts that the model reads; all others are nothing to it.
static int list_texts(const co_model *model, const char *names[MOST_TEXTS]) {
  int count = 0;
  for (int64_t i = 0; i < model->input_count && count < MOST_TEXTS; i++) {
    const co_column *column = model->inputs[i].column;
    bool listed = !column || column->type != CO_COLUMN_TEXT;
    for (int k = 0; !listed && k < count; k++)
      listed = strcmp(names[k], column->name) == 0;
    if (!listed) names[count++] = column->name;
  }
  return count;
}

static bool reads_texts(const co_model *model) {
  const char *names[MOST_TEXTS];
  return list_texts(model, names) > 0;
}

static co_status read_bags(bags *out, const co_model *model, co_dataset *dataset,
                           const int64_t *samples, int64_t rows) {
  const char *names[MOST_TEXTS], *const *texts[MOST_TEXTS];
  const int64_t *index[MOST_TEXTS];
  const int columns = list_texts(model, names);
  *out = (bags){.ctx = model->ctx, .rows = rows};
  for (int k = 0; k < columns; k++) {
    int64_t ignored;
    CO_RETURN_IF_FAILED(co_dataset_texts(dataset, names[k], &texts[k], &ignored, &index[k]));
  }
  out->begin = co_alloc(model->ctx, ((size_t)rows + 1) * sizeof *out->begin);
  if (!out->begin) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows; i++) {
    const int64_t first = out->begin[i] = out->count;
    for (int k = 0; k < columns; k++)
      CO_RETURN_IF_FAILED(
          add_text(out, texts[k][index[k] ? index[k][samples[i]] : samples[i]], (uint64_t)k << 32));
    CO_RETURN_IF_FAILED(count_words(out, first));
  }
  out->begin[rows] = out->count;
  return CO_OK;
}

// The words of the training rows that at least `least` rows have, in the order of their hashes, and in how many
// they are; `hashes` has all rows' words. Returns their number.
static int64_t take_frequent(int64_t *hashes, float *found, int64_t count, int64_t least) {
  int64_t size = 0;
  for (int64_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && hashes[end] == hashes[i];)
      end++;
    if (end - i < least) continue;
    if (found) {
      hashes[size] = hashes[i];
      found[size] = (float)(end - i);
    }
    size++;
  }
  return size;
}

// Words of an estimator's output.
typedef struct vocabulary {
  int64_t size;
  const int64_t *hashes;
  const float *idf;
} vocabulary;

static co_status fit_vocabulary(vocabulary *out, co_estimator *e, int64_t output, const bags *b) {
  int64_t least = 1;
  void *hashes, *idf;
  int64_t *all = co_alloc(e->ctx, ((size_t)b->count + 1) * sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  memcpy(all, b->word, (size_t)b->count * sizeof *all);
  qsort(all, (size_t)b->count, sizeof *all, by_hash);
  while ((out->size = take_frequent(all, NULL, b->count, least)) > MOST_WORDS)
    least++;
  const co_shape words = co_shape_make(1, out->size > 0 ? out->size : 1);
  co_status status;
  CO_TRY(co_estimator_add(e, output, "hashes", CO_I64, &words, &hashes));
  CO_TRY(co_estimator_add(e, output, "idf", CO_F32, &words, &idf));
  float *rows = idf; // first in how many rows a word is
  *out = (vocabulary){words.dim[0], hashes, idf};
  const int64_t size = take_frequent(all, rows, b->count, least);
  memcpy(hashes, all, (size_t)size * sizeof *all);
  for (int64_t k = 0; k < size; k++)
    rows[k] = (float)(1 + log((1 + (double)b->rows) / (1 + (double)rows[k])));
cleanup:
  co_free(e->ctx, all);
  return status;
}

static co_status read_vocabulary(vocabulary *out, const co_estimator *e, int64_t output) {
  const co_fitted *hashes, *idf;
  const co_shape any = co_shape_make(1, (int64_t)-1);
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "hashes", CO_I64, &any, &hashes));
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "idf", CO_F32, &hashes->shape, &idf));
  *out = (vocabulary){hashes->shape.dim[0], hashes->bytes, idf->bytes};
  return CO_OK;
}

// Of the words of the vocabulary; others are left out.
static void weigh(bags *b, const vocabulary *v) {
  int64_t end = 0;
  for (int64_t row = 0; row < b->rows; row++) {
    const int64_t first = end;
    double squares = 0;
    for (int64_t i = b->begin[row]; i < b->begin[row + 1]; i++) {
      const int64_t *found =
          bsearch(&b->word[i], v->hashes, (size_t)v->size, sizeof *v->hashes, by_hash);
      if (!found) continue;
      b->word[end] = found - v->hashes;
      b->weight[end] = b->weight[i] * v->idf[found - v->hashes];
      squares += (double)b->weight[end] * (double)b->weight[end];
      end++;
    }
    b->begin[row] = first;
    for (int64_t i = first; i < end; i++)
      b->weight[i] = (float)((double)b->weight[i] / sqrt(squares));
  }
  b->begin[b->rows] = end;
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct problem {
  const bags *rows;
  int64_t words;
  const float *target, *weight; // per row
  int64_t width;
  double l2;
  double *z; // room for (width)
} problem;

// x: coefficients (words, width), then intercepts (width).
static void apply(const problem *p, int64_t row, const double *x) {
  const bags *b = p->rows;
  for (int64_t k = 0; k < p->width; k++)
    p->z[k] = x[p->words * p->width + k];
  for (int64_t i = b->begin[row]; i < b->begin[row + 1]; i++)
    for (int64_t k = 0; k < p->width; k++)
      p->z[k] += (double)b->weight[i] * x[b->word[i] * p->width + k];
}

// The row's loss; in place of z its slope there.
static double loss_of(const problem *p, int64_t row) {
  const double target = (double)p->target[row];
  double *z = p->z, largest = z[0], sum = 0;
  if (p->width == 1) {
    const double loss = fmax(z[0], 0) + log1p(exp(-fabs(z[0]))) - target * z[0];
    z[0] = 1 / (1 + exp(-z[0])) - target;
    return loss;
  }
  for (int64_t k = 1; k < p->width; k++)
    largest = fmax(largest, z[k]);
  for (int64_t k = 0; k < p->width; k++)
    sum += exp(z[k] - largest);
  const double loss = log(sum) + largest - z[(int64_t)target];
  for (int64_t k = 0; k < p->width; k++)
    z[k] = exp(z[k] - largest) / sum - (k == (int64_t)target ? 1 : 0);
  return loss;
}

// Summed loss, with the penalty where a gradient is wanted.
static double value_of(void *user, const double *x, double *gradient) {
  const problem *p = user;
  const bags *b = p->rows;
  const int64_t weights = p->words * p->width;
  double sum = 0;
  for (int64_t i = 0; gradient && i < weights + p->width; i++) {
    gradient[i] = i < weights ? p->l2 * x[i] : 0;
    sum += i < weights ? p->l2 / 2 * x[i] * x[i] : 0;
  }
  for (int64_t row = 0; row < b->rows; row++) {
    const double counts = (double)p->weight[row];
    if (!(counts > 0)) continue;
    apply(p, row, x);
    sum += counts * loss_of(p, row);
    for (int64_t k = 0; gradient && k < p->width; k++)
      gradient[weights + k] += counts * p->z[k];
    for (int64_t i = b->begin[row]; gradient && i < b->begin[row + 1]; i++)
      for (int64_t k = 0; k < p->width; k++)
        gradient[b->word[i] * p->width + k] += counts * (double)b->weight[i] * p->z[k];
  }
  return sum;
}

static bool has_rows(const problem *p) {
  for (int64_t i = 0; i < p->rows->rows; i++)
    if (p->weight[i] > 0) return true;
  return false;
}

// By falling penalty, each from what the one before gave; without validation rows scikit-learn's C = 10.
static co_status fit_penalties(co_estimator *e, problem *training, const problem *validation,
                               double *best) {
  static const double penalties[] = {10, 3, 1, .3, .1, .03, .01};
  const size_t count = (size_t)((training->words + 1) * training->width);
  const bool chooses = has_rows(validation);
  double least = INFINITY, reached, *room = co_alloc_zero(e->ctx, 3 * count, sizeof *room);
  if (!room) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  double *x = room, *low = room + count, *high = room + 2 * count;
  for (size_t i = 0; i < count; i++)
    low[i] = -(high[i] = INFINITY);
  const co_minimization how = {.count = (int64_t)count,
                               .low = low,
                               .high = high,
                               .max_iterations = 200,
                               .tolerance = 1e-3,
                               .value = value_of,
                               .user = training};
  for (size_t i = 0; status == CO_OK && i < sizeof penalties / sizeof *penalties; i++) {
    training->l2 = chooses ? penalties[i] : .1;
    status = co_minimize(&reached, x, e->ctx, &how);
    const double loss = chooses ? value_of((void *)(uintptr_t)validation, x, NULL) : 0;
    if (status != CO_OK || !(loss < least)) continue;
    least = loss;
    memcpy(best, x, count * sizeof *x);
    if (!chooses) break;
  }
  co_free(e->ctx, room);
  return status;
}

// The rows that a design has of the samples: all, or evenly chosen ones (co_baselines_fit).
static co_status read_design(bags *out, co_estimator *e, const co_fit_data *data,
                             const co_design *design, const int64_t *samples, int64_t count) {
  int64_t *some = co_alloc(e->ctx, ((size_t)design->rows + 1) * sizeof *some);
  if (!some) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < design->rows; i++)
    some[i] = samples[(int64_t)((double)i * (double)count / (double)design->rows)];
  co_status status = read_bags(out, e->model, data->dataset, some, design->rows);
  co_free(e->ctx, some);
  return status;
}

static co_status fit_words(co_estimator *e, int64_t output, const co_fit_data *data,
                           const vocabulary *v, const bags *training, const bags *validation) {
  const int64_t width = e->model->outputs[output].width;
  const co_shape matrix = co_shape_make(2, v->size, width), vector = co_shape_make(1, width);
  const co_design *rows[] = {data->training, data->validation};
  void *coefficients, *intercepts;
  double z[MOST_CLASSES];
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "coefficients", CO_F32, &matrix, &coefficients));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "intercepts", CO_F64, &vector, &intercepts));
  problem learned = {training, v->size, rows[0]->target[output], rows[0]->weight[output], width,
                     0,        z};
  const problem other = {
      validation, v->size, rows[1]->target[output], rows[1]->weight[output], width, 0, z};
  double *x = co_alloc_zero(e->ctx, (size_t)((v->size + 1) * width), sizeof *x);
  if (!x) return CO_ERR_MEMORY;
  co_status status = fit_penalties(e, &learned, &other, x);
  for (int64_t i = 0; i < v->size * width; i++)
    ((float *)coefficients)[i] = (float)x[i];
  memcpy(intercepts, x + v->size * width, (size_t)width * sizeof *x);
  co_free(e->ctx, x);
  return status;
}

static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  bags training = {.ctx = e->ctx}, validation = {.ctx = e->ctx};
  vocabulary words;
  co_status status;
  CO_TRY(read_design(&training, e, data, data->training, data->samples, data->sample_count));
  CO_TRY(read_design(&validation, e, data, data->validation, data->validation_samples,
                     data->validation_count));
  CO_TRY(fit_vocabulary(&words, e, output, &training));
  weigh(&training, &words);
  weigh(&validation, &words);
  CO_TRY(fit_words(e, output, data, &words, &training, &validation));
cleanup:
  free_bags(&training);
  free_bags(&validation);
  return status;
}

// ---- scoring -----------------------------------------------------------------------------------

static co_status score_texts(const co_estimator *e, int64_t output, co_dataset *dataset,
                             const int64_t *samples, int64_t rows, float *heads) {
  const int64_t width = e->model->outputs[output].width;
  const co_fitted *coefficients, *intercepts;
  vocabulary v;
  CO_RETURN_IF_FAILED(read_vocabulary(&v, e, output));
  const co_shape matrix = co_shape_make(2, v.size, width), vector = co_shape_make(1, width);
  CO_RETURN_IF_FAILED(
      co_estimator_array(e, output, "coefficients", CO_F32, &matrix, &coefficients));
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "intercepts", CO_F64, &vector, &intercepts));
  const float *w = coefficients->bytes;
  bags b;
  co_status status = read_bags(&b, e->model, dataset, samples, rows);
  if (status == CO_OK) weigh(&b, &v);
  for (int64_t row = 0; status == CO_OK && row < rows; row++)
    for (int64_t k = 0; k < width; k++) {
      double z = ((const double *)intercepts->bytes)[k];
      for (int64_t i = b.begin[row]; i < b.begin[row + 1]; i++)
        z += (double)b.weight[i] * (double)w[b.word[i] * width + k];
      heads[row * width + k] = (float)z;
    }
  free_bags(&b);
  return status;
}

static size_t row_bytes(const co_estimator *e) {
  (void)e;
  return 0;
}

static const char *refuses(const co_output_feature *output) {
  const char *reason = co_estimator_takes_scalars(output);
  if (reason) return reason;
  if (output->column->type == CO_COLUMN_NUMBER) return "the target must be binary or a category";
  return output->width > MOST_CLASSES ? "the target has more than 64 classes" : NULL;
}

extern const co_estimator_class co_estimator_bag_of_words;
const co_estimator_class co_estimator_bag_of_words = {
    .name = "bag_of_words",
    .doc = "Of texts: logistic regression over their words and pairs of words, weighted by tf-idf.",
    .baseline = true,
    .fields = fields,
    .options_size = 1,
    .refuses = refuses,
    .row_bytes = row_bytes,
    .fit = fit,
    .reads_texts = reads_texts,
    .score_texts = score_texts};
