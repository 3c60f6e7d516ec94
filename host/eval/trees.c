// SPDX-License-Identifier: Apache-2.0
// Trees by XGBoost: gradient-boosted trees, random forest, single decision tree. They see numbers as
// preprocessing makes them, what is missing filled in, and each category as one number: the row of
// its vocabulary, 1 the most frequent class, 0 for missing, unseen and rare ones. Of each output are
// stored its boosters in XGBoost's UBJSON, "booster", "booster1", … u8 (bytes); of a forest or tree
// one for each class.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/eval/estimator.h"
#include "host/eval/xgboost.h"

typedef struct boosted_options {
  int64_t trees, max_depth, early_stop;
  double learning_rate, l2, min_child_weight, subsample, column_share;
} boosted_options;

typedef struct forest_options {
  int64_t trees, max_depth;
  double min_rows, row_share, column_share;
} forest_options;

// What fitting asks of XGBoost.
typedef struct plan {
  const char *objective;
  int64_t classes;   // of a softmax, else 0
  int64_t one_class; // whose share is fitted, -1 = the target as it is
  double base;       // what boosting begins at, in the target's terms
  int64_t rounds, patience, parallel;
  int64_t max_depth;
  double rate, l2, min_child_weight, row_share, column_share, node_share;
} plan;

// Boosters that are ready to score.
typedef struct boosters {
  co_xgboost library;
  void **items; // per output and width, the outputs one behind the other
  int64_t count;
} boosters;

enum { MOST_TREES = 2000, TREES_WITHOUT_VALIDATION = 100 };

// A second thread only pays with many rows; below, the number of threads decides nothing.
enum { ROWS_FOR_THREADS = 100000 };

static int threads_of(const co_fit_data *data) {
  return data->training->rows < ROWS_FOR_THREADS ? 1 : data->threads;
}

// ---- matrices ----------------------------------------------------------------------------------

static int64_t columns_of(const co_design *rows) {
  return rows->columns->numbers + rows->columns->codes;
}

static void write_row(const co_design *rows, int64_t i, float *out) {
  const co_design_columns *c = rows->columns;
  memcpy(out, rows->numbers + i * c->numbers, (size_t)c->numbers * sizeof *out);
  for (int64_t k = 0; k < c->codes; k++)
    out[c->numbers + k] = (float)rows->codes[i * c->codes + k];
}

enum { ARRAY_TEXT = 192 };

// Values (rows, columns) as XGBoost is told of them (NumPy's array interface).
static const char *describe_array(char out[ARRAY_TEXT], const float *values, int64_t rows,
                                  int64_t columns) {
  (void)snprintf(out, ARRAY_TEXT,
                 "{\"data\":[%llu,true],\"shape\":[%lld,%lld],\"typestr\":\"<f4\",\"version\":3}",
                 (unsigned long long)(uintptr_t)values, (long long)rows, (long long)columns);
  return out;
}

static co_status set_field(const co_xgboost *library, void *matrix, const char *field,
                           const float *values, int64_t count) {
  return co_xgboost_check(
      library, library->matrix_set_float(matrix, field, values, (uint64_t)count), "taking rows");
}

// The rows that have a target and a weight; *out is NULL where there is none (of validation rows).
static co_status make_matrix(co_context *ctx, const co_xgboost *library, const co_design *rows,
                             int64_t output, int64_t one_class, int threads, void **out) {
  int64_t columns = columns_of(rows), count = 0;
  size_t room = (size_t)rows->rows + 1;
  float *values = co_alloc(ctx, room * (size_t)columns * sizeof *values);
  float *target = co_alloc(ctx, room * sizeof *target);
  float *weight = co_alloc(ctx, room * sizeof *weight);
  co_status status = values && target && weight ? CO_OK : CO_ERR_MEMORY;
  *out = NULL;
  for (int64_t i = 0; status == CO_OK && i < rows->rows; i++) {
    if (!(rows->weight[output][i] > 0)) continue;
    write_row(rows, i, values + count * columns);
    float y = rows->target[output][i];
    target[count] = one_class < 0 ? y : (int64_t)y == one_class ? 1.0f : 0.0f;
    weight[count++] = rows->weight[output][i];
  }
  if (status == CO_OK && count) {
    char array[ARRAY_TEXT], config[64];
    (void)snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d}", threads);
    const char *described = describe_array(array, values, count, columns);
    status =
        co_xgboost_check(library, library->matrix_create(described, config, out), "taking rows");
  }
  if (*out) {
    if (status == CO_OK) status = set_field(library, *out, "label", target, count);
    if (status == CO_OK) status = set_field(library, *out, "weight", weight, count);
  }
  co_free(ctx, values);
  co_free(ctx, target);
  co_free(ctx, weight);
  return status;
}

// ---- fitting -----------------------------------------------------------------------------------

static co_status set(const co_xgboost *library, void *booster, const char *name, double value) {
  char text[40];
  (void)snprintf(text, sizeof text, "%.9g", value);
  return co_xgboost_check(library, library->set_param(booster, name, text), "taking options");
}

static co_status set_word(const co_xgboost *library, void *booster, const char *name,
                          const char *value) {
  return co_xgboost_check(library, library->set_param(booster, name, value), "taking options");
}

static co_status set_options(const co_xgboost *library, void *booster, const plan *p,
                             const co_fit_data *data) {
  const struct {
    const char *name;
    double value;
  } numbers[] = {{"verbosity", 0},
                 {"nthread", threads_of(data)},
                 {"seed", (double)(data->seed & 0x7fffffff)},
                 {"base_score", p->base},
                 {"max_depth", (double)p->max_depth},
                 {"eta", p->rate},
                 {"lambda", p->l2},
                 {"min_child_weight", p->min_child_weight},
                 {"subsample", p->row_share},
                 {"colsample_bytree", p->column_share},
                 {"colsample_bynode", p->node_share},
                 {"num_parallel_tree", (double)p->parallel}};
  CO_RETURN_IF_FAILED(set_word(library, booster, "objective", p->objective));
  CO_RETURN_IF_FAILED(set_word(library, booster, "tree_method", "hist"));
  if (p->classes) CO_RETURN_IF_FAILED(set(library, booster, "num_class", (double)p->classes));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    CO_RETURN_IF_FAILED(set(library, booster, numbers[i].name, numbers[i].value));
  return CO_OK;
}

// The validation loss after a round.
static co_status measure(const co_xgboost *library, void *booster, int round, void *validation,
                         double *out) {
  static const char *const names[] = {"validation"};
  const char *text;
  CO_RETURN_IF_FAILED(co_xgboost_check(
      library, library->evaluate(booster, round, &validation, names, 1, &text), "measuring"));
  const char *colon = strrchr(text, ':');
  *out = colon ? strtod(colon + 1, NULL) : NAN;
  return CO_OK;
}

// *rounds: how many count, the last of which was the best on validation rows.
static co_status boost(const co_xgboost *library, void *booster, const plan *p, void *training,
                       void *validation, const co_watch *watch, int64_t *rounds) {
  double best = INFINITY, loss;
  int64_t round = 0;
  *rounds = 0;
  for (; round < p->rounds && (!validation || round - *rounds < p->patience || !p->patience);
       round++) {
    CO_RETURN_IF_FAILED(co_xgboost_check(library, library->update(booster, (int)round, training),
                                         "growing a tree"));
    if (!validation || !p->patience) {
      *rounds = round + 1;
    } else {
      CO_RETURN_IF_FAILED(measure(library, booster, (int)round, validation, &loss));
      if (loss < best) *rounds = round + 1;
      if (loss < best) best = loss;
    }
    co_watch_progress(watch, "fit", "rounds", round + 1, p->rounds, NULL);
    if (co_watch_stopped(watch)) return co_fail(CO_INTERRUPTED, "stopped while fitting");
  }
  co_watch_progress(watch, "fit", "rounds", -1, p->rounds, NULL);
  return CO_OK;
}

// Adds what `booster` is, up to `rounds`, as an array.
static co_status store(co_estimator *e, const co_xgboost *library, void *booster, int64_t rounds,
                       int64_t output, int64_t number) {
  void *cut = NULL, *room;
  uint64_t length;
  const char *bytes, *name = "booster";
  if (number && !(name = co_arena_format(e->arena, "booster%lld", (long long)number)))
    return CO_ERR_MEMORY;
  co_status status;
  CO_TRY(co_xgboost_check(library, library->slice(booster, 0, (int)rounds, 1, &cut), "cutting"));
  CO_TRY(co_xgboost_check(library, library->save(cut, "{\"format\":\"ubj\"}", &length, &bytes),
                          "saving"));
  const co_shape shape = co_shape_make(1, (int64_t)length);
  CO_TRY(co_estimator_add(e, output, name, CO_U8, &shape, &room));
  memcpy(room, bytes, (size_t)length);
cleanup:
  if (cut) library->free(cut);
  return status;
}

static co_status fit(co_estimator *e, int64_t output, int64_t number, const plan *p,
                     const co_fit_data *data) {
  co_xgboost library;
  void *training = NULL, *validation = NULL, *booster = NULL;
  int64_t rounds = 0;
  plan own = *p;
  CO_RETURN_IF_FAILED(co_xgboost_open(&library));
  co_status status;
  CO_TRY(make_matrix(e->ctx, &library, data->training, output, p->one_class, threads_of(data),
                     &training));
  if (p->patience)
    CO_TRY(make_matrix(e->ctx, &library, data->validation, output, p->one_class, threads_of(data),
                       &validation));
  if (!own.rounds) own.rounds = validation ? MOST_TREES : TREES_WITHOUT_VALIDATION;
  CO_TRY(co_xgboost_check(&library, library.create(&training, 1, &booster), "starting"));
  CO_TRY(set_options(&library, booster, &own, data));
  CO_TRY(boost(&library, booster, &own, training, validation, data->watch, &rounds));
  CO_TRY(store(e, &library, booster, rounds, output, number));
  e->iterations += rounds * own.parallel;
cleanup:
  if (booster) library.free(booster);
  if (validation) library.matrix_free(validation);
  if (training) library.matrix_free(training);
  return status;
}

static const co_output_feature *output_of(const co_estimator *e, int64_t i) {
  return &e->model->outputs[i];
}

// The weighted mean of the training rows' target, or the share of one class.
static double mean_of(const co_design *rows, int64_t output, int64_t one_class) {
  double sum = 0, total = 0;
  for (int64_t i = 0; i < rows->rows; i++) {
    double weight = (double)rows->weight[output][i], y = (double)rows->target[output][i];
    if (!(weight > 0)) continue;
    sum += weight * (one_class < 0 ? y : (int64_t)y == one_class);
    total += weight;
  }
  return total > 0 ? sum / total : 0;
}

// ---- scoring -----------------------------------------------------------------------------------

// How many boosters an output has.
typedef int64_t (*count_boosters)(const co_output_feature *output);

static int64_t one_booster(const co_output_feature *output) {
  (void)output;
  return 1;
}

static int64_t one_a_class(const co_output_feature *output) {
  return output->width;
}

static co_status load(co_estimator *e, boosters *b, int64_t output, int64_t number) {
  const co_shape shape = co_shape_make(1, (int64_t)-1);
  const co_fitted *array;
  char name[32] = "booster";
  if (number) (void)snprintf(name, sizeof name, "booster%lld", (long long)number);
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, name, CO_U8, &shape, &array));
  void **item = &b->items[b->count];
  CO_RETURN_IF_FAILED(co_xgboost_check(&b->library, b->library.create(NULL, 0, item), "starting"));
  b->count++;
  // Threads of the loader call it, each on its own.
  CO_RETURN_IF_FAILED(set(&b->library, *item, "nthread", 1));
  int code = b->library.load(*item, array->bytes, (uint64_t)array->shape.dim[0]);
  co_status status = co_xgboost_check(&b->library, code, "reading a booster");
  return status == CO_OK ? CO_OK : co_fail(CO_ERR_MODEL, "%s", co_error_last()->message);
}

static void close_boosters(co_estimator *e) {
  boosters *b = e->state;
  for (int64_t i = 0; b && i < b->count; i++)
    b->library.free(b->items[i]);
  if (b) co_free(e->ctx, b->items);
  co_free(e->ctx, b);
  e->state = NULL;
}

static co_status open_boosters(co_estimator *e, count_boosters count) {
  int64_t total = 0;
  for (int64_t i = 0; i < e->model->output_count; i++)
    total += count(output_of(e, i));
  close_boosters(e);
  boosters *b = e->state = co_alloc_zero(e->ctx, 1, sizeof *b);
  if (!b || !(b->items = co_alloc_zero(e->ctx, (size_t)total + 1, sizeof *b->items)))
    return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_xgboost_open(&b->library));
  for (int64_t i = 0; i < e->model->output_count; i++)
    for (int64_t k = 0; k < count(output_of(e, i)); k++)
      CO_RETURN_IF_FAILED(load(e, b, i, k));
  return CO_OK;
}

// The margins of rows by one booster, (rows, width), in memory of XGBoost's, valid until this
// thread's next call.
static co_status margins(const boosters *b, int64_t booster, const float *values, int64_t rows,
                         int64_t columns, int64_t width, const float **out) {
  static const char config[] = "{\"type\":1,\"training\":false,\"iteration_begin\":0,"
                               "\"iteration_end\":0,\"strict_shape\":true,\"missing\":NaN,"
                               "\"cache_id\":0}";
  char array[ARRAY_TEXT];
  const uint64_t *shape;
  uint64_t rank, size = 1;
  (void)describe_array(array, values, rows, columns);
  CO_RETURN_IF_FAILED(co_xgboost_check(
      &b->library, b->library.predict(b->items[booster], array, config, NULL, &shape, &rank, out),
      "scoring"));
  for (uint64_t i = 0; i < rank; i++)
    size *= shape[i];
  if (size == (uint64_t)(rows * width)) return CO_OK;
  return co_fail(CO_ERR_MODEL, "a booster gives %llu scores for %lld rows",
                 (unsigned long long)size, (long long)rows);
}

static co_status write_all(const co_estimator *e, const co_design *rows, float **out) {
  int64_t columns = columns_of(rows);
  *out = co_alloc(e->ctx, ((size_t)(rows->rows * columns) + 1) * sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows->rows; i++)
    write_row(rows, i, *out + i * columns);
  return CO_OK;
}

// The first booster of an output.
static int64_t first_of(const co_estimator *e, int64_t output, count_boosters count) {
  int64_t first = 0;
  for (int64_t i = 0; i < output; i++)
    first += count(output_of(e, i));
  return first;
}

static co_status find_library(void) {
  co_xgboost library;
  return co_xgboost_open(&library);
}

static size_t row_bytes(const co_estimator *e) {
  // The same matrix once more, and XGBoost's own of it: a byte or two a value.
  return (size_t)(e->columns.numbers + e->columns.codes) * (sizeof(float) + 2);
}

// ---- boosted trees -----------------------------------------------------------------------------

static co_status fit_boosted(co_estimator *e, int64_t output, const co_fit_data *data) {
  const boosted_options *o = e->options;
  co_column_type type = output_of(e, output)->column->type;
  double mean = mean_of(data->training, output, -1);
  const plan p = {.objective = type == CO_COLUMN_BINARY     ? "binary:logistic"
                               : type == CO_COLUMN_CATEGORY ? "multi:softprob"
                                                            : "reg:squarederror",
                  .classes = type == CO_COLUMN_CATEGORY ? output_of(e, output)->width : 0,
                  .one_class = -1,
                  .base = type == CO_COLUMN_BINARY     ? fmin(fmax(mean, 1e-6), 1 - 1e-6)
                          : type == CO_COLUMN_CATEGORY ? 0.5
                                                       : mean,
                  .rounds = o->trees,
                  .patience = o->early_stop,
                  .parallel = 1,
                  .max_depth = o->max_depth,
                  .rate = o->learning_rate,
                  .l2 = o->l2,
                  .min_child_weight = o->min_child_weight,
                  .row_share = o->subsample,
                  .column_share = o->column_share,
                  .node_share = 1};
  return fit(e, output, 0, &p, data);
}

static co_status open_boosted(co_estimator *e) {
  return open_boosters(e, one_booster);
}

static co_status score_boosted(const co_estimator *e, int64_t output, const co_design *rows,
                               float *heads) {
  int64_t width = output_of(e, output)->width;
  const float *scores;
  float *values;
  CO_RETURN_IF_FAILED(write_all(e, rows, &values));
  co_status status =
      margins(e->state, output, values, rows->rows, columns_of(rows), width, &scores);
  if (status == CO_OK) memcpy(heads, scores, (size_t)(rows->rows * width) * sizeof *heads);
  co_free(e->ctx, values);
  return status;
}

// SHAP values in the margins: (rows, width, columns + 1), the last of them what is expected; in memory
// of XGBoost's.
static co_status contributions(const boosters *b, int64_t booster, const float *values,
                               int64_t rows, int64_t columns, int64_t width, const float **out) {
  static const char config[] = "{\"type\":2,\"training\":false,\"iteration_begin\":0,"
                               "\"iteration_end\":0,\"strict_shape\":true}";
  char array[ARRAY_TEXT];
  const uint64_t *shape;
  uint64_t rank, size = 1;
  void *matrix = NULL;
  int code = b->library.matrix_create(describe_array(array, values, rows, columns),
                                      "{\"missing\":NaN,\"nthread\":1}", &matrix);
  co_status status = co_xgboost_check(&b->library, code, "taking rows");
  if (status == CO_OK) {
    code = b->library.predict_matrix(b->items[booster], matrix, config, &shape, &rank, out);
    status = co_xgboost_check(&b->library, code, "explaining");
  }
  if (matrix) b->library.matrix_free(matrix);
  CO_RETURN_IF_FAILED(status);
  for (uint64_t i = 0; i < rank; i++)
    size *= shape[i];
  if (size == (uint64_t)(rows * width * (columns + 1))) return CO_OK;
  return co_fail(CO_ERR_MODEL, "a booster explains %lld rows by %llu numbers", (long long)rows,
                 (unsigned long long)size);
}

static int64_t likeliest(const float *margins, int64_t width) {
  int64_t best = 0;
  for (int64_t k = 1; k < width; k++)
    if (margins[k] > margins[best]) best = k;
  return best;
}

// `own`: of the row, (columns + 1).
static void take_contributions(const co_estimator_attribution *a, int64_t row, const float *own) {
  const int64_t columns = columns_of(a->rows);
  a->value[row] = a->reference[row] = (double)own[columns];
  for (int64_t k = 0; k < columns; k++) {
    a->shares[row * columns + k] = (double)own[k];
    a->value[row] += (double)own[k];
  }
}

static co_status attribute_boosted(const co_estimator *e, const co_estimator_attribution *a) {
  const int64_t width = output_of(e, a->output)->width, rows = a->rows->rows;
  const int64_t columns = columns_of(a->rows);
  const float *numbers;
  float *values;
  CO_RETURN_IF_FAILED(write_all(e, a->rows, &values));
  co_status status = margins(e->state, a->output, values, rows, columns, width, &numbers);
  for (int64_t row = 0; status == CO_OK && row < rows; row++)
    a->chosen[row] = (int32_t)(a->class_ < 0 ? likeliest(numbers + row * width, width) : a->class_);
  if (status == CO_OK)
    status = contributions(e->state, a->output, values, rows, columns, width, &numbers);
  for (int64_t row = 0; status == CO_OK && row < rows; row++)
    take_contributions(a, row, numbers + (row * width + a->chosen[row]) * (columns + 1));
  co_free(e->ctx, values);
  return status;
}

static const co_field boosted_fields[] = {
    {"trees", CO_FIELD_INT, offsetof(boosted_options, trees), "0", 0, 100000, NULL,
     "Rounds at most; 0: 2000, or 100 where there are no validation rows.", NULL},
    {"early_stop", CO_FIELD_INT, offsetof(boosted_options, early_stop), "30", 0, 100000, NULL,
     "Rounds without a smaller validation loss after which fitting ends; 0 = never.", NULL},
    {"learning_rate", CO_FIELD_DOUBLE, offsetof(boosted_options, learning_rate), "0.05", 1e-6, 1,
     NULL, "Share of each tree that counts.", "eta"},
    {"max_depth", CO_FIELD_INT, offsetof(boosted_options, max_depth), "5", 1, 64, NULL,
     "Decisions from root to leaf.", NULL},
    {"l2", CO_FIELD_DOUBLE, offsetof(boosted_options, l2), "1.0", 0, 1e12, NULL,
     "Penalty of leaves' values.", "lambda"},
    {"min_child_weight", CO_FIELD_DOUBLE, offsetof(boosted_options, min_child_weight), "1.0", 0,
     1e12, NULL, "Least sum of second derivatives in a leaf.", NULL},
    {"subsample", CO_FIELD_DOUBLE, offsetof(boosted_options, subsample), "1.0", 0.01, 1, NULL,
     "Share of the rows that each tree sees.", NULL},
    {"column_share", CO_FIELD_DOUBLE, offsetof(boosted_options, column_share), "1.0", 0.01, 1, NULL,
     "Share of the columns that each tree sees.", "colsample_bytree"},
    {.key = NULL}};

extern const co_estimator_class co_estimator_boosted_trees;
const co_estimator_class co_estimator_boosted_trees = {.name = "boosted_trees",
                                                       .doc = "Gradient-boosted trees (XGBoost).",
                                                       .fields = boosted_fields,
                                                       .options_size = sizeof(boosted_options),
                                                       .find_library = find_library,
                                                       .refuses = co_estimator_takes_scalars,
                                                       .row_bytes = row_bytes,
                                                       .fit = fit_boosted,
                                                       .open = open_boosted,
                                                       .score = score_boosted,
                                                       .attribution = "SHAP values",
                                                       .attribute = attribute_boosted,
                                                       .close = close_boosters};

// ---- forest and tree ---------------------------------------------------------------------------
// Trees grown at once by the squared error, of classes on 0 and 1 (which is Gini's impurity); a leaf
// of n rows gives their mean drawn towards that of all rows as if by one row more. Shares of several
// classes are normalised.

static co_status fit_forest(co_estimator *e, int64_t output, const co_fit_data *data, bool single) {
  const forest_options *o = e->options;
  int64_t width = output_of(e, output)->width;
  double columns = (double)columns_of(data->training);
  plan p = {.objective = "reg:squarederror",
            .rounds = 1,
            .parallel = single ? 1 : o->trees,
            .max_depth = o->max_depth,
            .rate = 1,
            .l2 = 1,
            .min_child_weight = o->min_rows,
            .row_share = single ? 1 : o->row_share,
            .column_share = 1,
            .node_share = single                ? 1
                          : o->column_share > 0 ? o->column_share
                                                : ceil(sqrt(columns)) / columns};
  for (int64_t k = 0; k < width; k++) {
    p.one_class = width > 1 ? k : -1;
    p.base = mean_of(data->training, output, p.one_class);
    CO_RETURN_IF_FAILED(fit(e, output, k, &p, data));
  }
  return CO_OK;
}

static co_status fit_random_forest(co_estimator *e, int64_t output, const co_fit_data *data) {
  return fit_forest(e, output, data, false);
}

static co_status fit_tree(co_estimator *e, int64_t output, const co_fit_data *data) {
  return fit_forest(e, output, data, true);
}

static co_status open_forest(co_estimator *e) {
  return open_boosters(e, one_a_class);
}

// Of a share, the value that the head would have had.
static double head_of(co_column_type type, double share) {
  static const double least = 1e-6;
  if (type == CO_COLUMN_NUMBER) return share;
  double p = fmin(fmax(share, least), 1 - least);
  return type == CO_COLUMN_BINARY ? log(p / (1 - p)) : log(p);
}

static co_status score_forest(const co_estimator *e, int64_t output, const co_design *rows,
                              float *heads) {
  const co_output_feature *feature = output_of(e, output);
  int64_t width = feature->width, first = first_of(e, output, one_a_class);
  float *values;
  CO_RETURN_IF_FAILED(write_all(e, rows, &values));
  co_status status = CO_OK;
  for (int64_t k = 0; status == CO_OK && k < width; k++) {
    const float *shares;
    status = margins(e->state, first + k, values, rows->rows, columns_of(rows), 1, &shares);
    for (int64_t i = 0; status == CO_OK && i < rows->rows; i++)
      heads[i * width + k] = (float)head_of(feature->column->type, (double)shares[i]);
  }
  co_free(e->ctx, values);
  return status;
}

// A co_head_function, of a share.
static double share_head(const void *user, double share) {
  return head_of(*(const co_column_type *)user, share);
}

// The trees of one class are of the share that it has, which becomes a head (co_estimator_rescale).
static co_status attribute_class(const co_estimator *e, const co_estimator_attribution *a,
                                 const float *values, int32_t class_) {
  const int64_t columns = columns_of(a->rows);
  const co_column_type type = output_of(e, a->output)->column->type;
  const float *numbers;
  CO_RETURN_IF_FAILED(contributions(e->state, first_of(e, a->output, one_a_class) + class_, values,
                                    a->rows->rows, columns, 1, &numbers));
  for (int64_t row = 0; row < a->rows->rows; row++) {
    if (a->chosen[row] != class_) continue;
    take_contributions(a, row, numbers + row * (columns + 1));
    co_estimator_rescale(a, row, share_head, &type);
  }
  return CO_OK;
}

static co_status attribute_forest(const co_estimator *e, const co_estimator_attribution *a) {
  const int64_t width = output_of(e, a->output)->width, rows = a->rows->rows;
  float *values = NULL, *heads = co_alloc(e->ctx, ((size_t)(rows * width) + 1) * sizeof *heads);
  co_status status = heads ? score_forest(e, a->output, a->rows, heads) : CO_ERR_MEMORY;
  for (int64_t row = 0; status == CO_OK && row < rows; row++)
    a->chosen[row] = (int32_t)(a->class_ < 0 ? likeliest(heads + row * width, width) : a->class_);
  if (status == CO_OK) status = write_all(e, a->rows, &values);
  for (int32_t k = 0; status == CO_OK && k < width; k++) {
    bool wanted = false;
    for (int64_t row = 0; row < rows; row++)
      wanted = wanted || a->chosen[row] == k;
    if (wanted) status = attribute_class(e, a, values, k);
  }
  co_free(e->ctx, values);
  co_free(e->ctx, heads);
  return status;
}

#define MIN_ROWS_DOC "Least rows (their weights) in a leaf."

static const co_field forest_fields[] = {
    {"trees", CO_FIELD_INT, offsetof(forest_options, trees), "300", 1, 100000, NULL, "How many.",
     NULL},
    {"max_depth", CO_FIELD_INT, offsetof(forest_options, max_depth), "20", 1, 64, NULL,
     "Decisions from root to leaf.", NULL},
    {"min_rows", CO_FIELD_DOUBLE, offsetof(forest_options, min_rows), "5.0", 0, 1e12, NULL,
     MIN_ROWS_DOC, NULL},
    {"row_share", CO_FIELD_DOUBLE, offsetof(forest_options, row_share), "0.632", 0.01, 1, NULL,
     "Share of the rows that each tree sees, drawn without putting back.", "subsample"},
    {"column_share", CO_FIELD_DOUBLE, offsetof(forest_options, column_share), "0.0", 0, 1, NULL,
     "Share of the columns that each decision chooses among; 0: the square root of them.", NULL},
    {.key = NULL}};

static const co_field tree_fields[] = {
    {"max_depth", CO_FIELD_INT, offsetof(forest_options, max_depth), "6", 1, 64, NULL,
     "Decisions from root to leaf.", NULL},
    {"min_rows", CO_FIELD_DOUBLE, offsetof(forest_options, min_rows), "20.0", 0, 1e12, NULL,
     MIN_ROWS_DOC, NULL},
    {.key = NULL}};

extern const co_estimator_class co_estimator_random_forest, co_estimator_decision_tree;
const co_estimator_class co_estimator_random_forest = {.name = "random_forest",
                                                       .doc = "Random forest (XGBoost).",
                                                       .fields = forest_fields,
                                                       .options_size = sizeof(forest_options),
                                                       .find_library = find_library,
                                                       .refuses = co_estimator_takes_scalars,
                                                       .row_bytes = row_bytes,
                                                       .fit = fit_random_forest,
                                                       .open = open_forest,
                                                       .score = score_forest,
                                                       .attribution = "SHAP values",
                                                       .attribute = attribute_forest,
                                                       .close = close_boosters};
const co_estimator_class co_estimator_decision_tree = {.name = "decision_tree",
                                                       .doc = "One decision tree (XGBoost).",
                                                       .fields = tree_fields,
                                                       .options_size = sizeof(forest_options),
                                                       .find_library = find_library,
                                                       .refuses = co_estimator_takes_scalars,
                                                       .row_bytes = row_bytes,
                                                       .fit = fit_tree,
                                                       .open = open_forest,
                                                       .score = score_forest,
                                                       .attribution = "SHAP values",
                                                       .attribute = attribute_forest,
                                                       .close = close_boosters};
