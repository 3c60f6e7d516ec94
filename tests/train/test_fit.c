// SPDX-License-Identifier: Apache-2.0
// What is learned of training rows: statistics, where sums of squares would lose them, and bins.
#include "training.h"

#include "host/feed/fit_features.h"
#include "models/features/piecewise.h"
#include "models/features/quantiles.h"

enum { ROWS = 3000 };

static co_column number(const char *name, co_role role) {
  return (co_column){.name = name, .type = CO_COLUMN_NUMBER, .role = role, .dtype = CO_F32};
}

static void write_column(co_dataset_writer *w, const char *name, co_role role,
                         const float *values) {
  co_column column = number(name, role);
  assert_int_equal(co_dataset_writer_column(w, "things", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, values), CO_OK);
}

static double fitted(const co_model *model, int input, const char *name) {
  return (double)*(const float *)co_feature_fitted(&model->inputs[input], name)->bytes;
}

// Columns of a dataset, the last of them the target, too; a model that is fitted on them.
typedef struct things {
  co_context *ctx;
  co_arena *arena;
  co_dataset *dataset;
  co_model *model;
  co_diagnostics problems;
} things;

static void fit_things(things *t, const char *config, const char *const *names,
                       const float *const *columns) {
  co_dataset_writer *w;
  co_node *node;
  int count = 0;
  assert_int_equal(co_context_create(&t->ctx, &(co_context_options){.level = CO_LOG_ERROR}), CO_OK);
  assert_int_equal(co_arena_create(&t->arena, t->ctx), CO_OK);
  co_diagnostics_init(&t->problems, t->ctx);
  assert_int_equal(co_dataset_writer_create(&w, t->ctx, "d.h5"), CO_OK);
  for (; names[count]; count++)
    write_column(w, names[count], CO_ROLE_INPUT, columns[count]);
  write_column(w, "y", CO_ROLE_TARGET, columns[0]);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  assert_int_equal(co_dataset_open(&t->dataset, t->ctx, "d.h5"), CO_OK);
  assert_int_equal(co_yaml_parse(&node, t->arena, "c", config, strlen(config), &t->problems),
                   CO_OK);
  assert_int_equal(
      co_model_create(&t->model, t->ctx, node, co_dataset_schema(t->dataset), &t->problems), CO_OK);
  assert_int_equal(co_fit_features(t->model, t->dataset, 2), CO_OK);
}

static void free_things(things *t) {
  co_model_free(t->model);
  co_dataset_close(t->dataset);
  co_diagnostics_free(&t->problems);
  co_arena_free(t->arena);
  assert_int_equal(co_alloc_get_stats(t->ctx).live_blocks, 0);
  co_context_free(t->ctx);
}

static void test_large_offsets(void **state) {
  (void)state;
  static float seconds[ROWS], constant[ROWS], small[ROWS];
  static const char text[] = "input_features: [{name: seconds}, {name: constant}, {name: small}]";
  for (int i = 0; i < ROWS; i++) {
    seconds[i] = 1.6e9f + 128.0f * (float)(i % 3); // neighbouring floats
    constant[i] = 0.1f;
    small[i] = 1000 + (float)(i % 2) / 1024;
  }
  things t;
  fit_things(&t, text, (const char *const[]){"seconds", "constant", "small", NULL},
             (const float *const[]){seconds, constant, small});
  // Far from zero the mean is told by what it is away from the pivot.
  double pivot = *(const double *)co_feature_fitted(&t.model->inputs[0], "pivot")->bytes;
  assert_float_equal(pivot + fitted(t.model, 0, "mean"), 1.6e9 + 128, 1e-3);
  assert_float_equal(*(const double *)co_feature_fitted(&t.model->inputs[2], "pivot")->bytes, 1000,
                     0);
  assert_float_equal(1 / fitted(t.model, 0, "scale"), 128 * sqrt(2.0 / 3), 1e-4);
  assert_float_equal(fitted(t.model, 1, "mean"), 0.1f, 0);
  assert_float_equal(fitted(t.model, 1, "scale"), 1, 0);
  assert_float_equal(1 / fitted(t.model, 2, "scale"), 1.0 / 2048, 1e-9);
  free_things(&t);
}

// ---- edges of bins -----------------------------------------------------------------------------

static void assert_edges(const double *sorted, int64_t count, int64_t bins, const double *wanted,
                         int64_t wanted_count) {
  double edges[CO_PIECEWISE_BINS + 1], copy[16];
  memcpy(copy, sorted, (size_t)count * sizeof *copy);
  assert_int_equal(co_piecewise_edges(copy, count, bins, edges), wanted_count);
  for (int64_t i = 0; i < wanted_count; i++)
    assert_true(fabs(edges[i] - wanted[i]) <= 1e-12 * (1 + fabs(wanted[i])));
}

static void test_edges(void **state) {
  (void)state;
  static const double few[] = {1, 1, 2, 2, 7}, heavy[] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 9};
  assert_edges(few, 5, 2, (double[]){1, 2, 7}, 3); // as many as there are edges: all
  assert_edges(few, 1, 1, (double[]){1}, 1);
  // 0 has a third of the rows, so one bin less for the rest: 1, halfway, 9.
  assert_edges(heavy, 10, 3, (double[]){0, 1, 3.5, 9}, 4);
  // 5 rows a bin are too many even for 0: quantiles of all.
  assert_edges(heavy, 10, 2, (double[]){0, 1.5, 9}, 3);
  assert_edges(heavy, 10, 1, (double[]){0, 9}, 2);
}

static void test_bins(void **state) {
  (void)state;
  static float many[ROWS], constant[ROWS], holes[ROWS], none[ROWS], seconds[ROWS];
  static const char text[] =
      "input_features: [{name: many}, {name: constant}, {name: holes}, {name: none}, "
      "{name: seconds}]\n"
      "defaults: {number: {preprocessing: {encoding: piecewise_linear, bins: 4}}}";
  for (int i = 0; i < ROWS; i++) {
    many[i] = (float)((i * 7) % ROWS);
    constant[i] = 3;
    holes[i] = i % 2 ? (float)NAN : (float)(i % 4); // 0 and 2: the median is 1
    none[i] = (float)NAN;
    seconds[i] = 1.6e9f + 128.0f * (float)(i % 3);
  }
  things t;
  fit_things(&t, text, (const char *const[]){"many", "constant", "holes", "none", "seconds", NULL},
             (const float *const[]){many, constant, holes, none, seconds});
  const float inf = INFINITY;
  const struct {
    float fill, edges[5];
    double pivot;
  } wanted[] = {{NAN, {0, 749.75, 1499.5, 2249.25, 2999}, 0},
                {NAN, {3, inf, inf, inf, inf}, 0},
                {1, {0, 1, 2, inf, inf}, 0},
                {0, {inf, inf, inf, inf, inf}, 0},
                {NAN, {-128, 0, 128, inf, inf}, 1.6e9 + 128}};
  for (int i = 0; i < 5; i++) {
    const co_input_feature *feature = &t.model->inputs[i];
    const float *edges = co_feature_fitted(feature, "edges")->bytes;
    float fill = (float)fitted(t.model, i, "fill");
    assert_memory_equal(edges, wanted[i].edges, sizeof wanted[i].edges);
    assert_true(fill == wanted[i].fill || (isnan(fill) && isnan(wanted[i].fill)));
    assert_true(*(const double *)co_feature_fitted(feature, "pivot")->bytes == wanted[i].pivot);
  }
  assert_int_equal(t.model->block_count, 1);
  free_things(&t);
}

// Of real columns, the edges that NumPy makes; the training rows of a table are those of no test fold
// that do not stop training early.
static bool trains(int64_t row, const char *fold) {
  return fold[0] != '0' && (uint32_t)((uint64_t)row * 2654435761u) >= 429496730u;
}

// The cell of a column of a line without quotes; NULL past the last.
static const char *cell_of(const char *line, int column) {
  for (; line && column > 0; column--)
    line = (line = strchr(line, ',')) ? line + 1 : NULL;
  return line;
}

static int column_of(const char *header, const char *name) {
  size_t length = strlen(name);
  for (int i = 0; cell_of(header, i); i++) {
    const char *cell = cell_of(header, i);
    if (strncmp(cell, name, length) == 0 && strchr(",\r\n", cell[length])) return i;
  }
  fail_msg("no column %s", name);
  return -1;
}

static int64_t read_column(const char *table, const char *folds, const char *name, double *out) {
  char line[4096], fold[64], *end;
  FILE *rows = fopen(table, "r"), *of = fopen(folds, "r");
  assert_non_null(rows);
  assert_non_null(of);
  assert_non_null(fgets(line, sizeof line, rows));
  assert_non_null(fgets(fold, sizeof fold, of));
  int column = column_of(line, name);
  int64_t count = 0;
  for (int64_t row = 0; fgets(line, sizeof line, rows) && fgets(fold, sizeof fold, of); row++) {
    if (!trains(row, fold)) continue;
    const char *cell = cell_of(line, column);
    out[count] = strtod(cell, &end);
    if (end == cell) out[count] = NAN;
    count++;
  }
  fclose(rows);
  fclose(of);
  return count;
}

static void assert_column(const co_node *wanted, double *values, int64_t count) {
  double edges[49], median;
  int64_t present = 0;
  for (int64_t i = 0; i < count; i++)
    if (!isnan(values[i])) values[present++] = values[i];
  qsort(values, (size_t)present, sizeof *values, co_by_value);
  double middle = co_quantile(values, present, 0.5);
  assert_true(co_node_double(co_node_get(wanted, "median"), &median));
  assert_float_equal(middle, median, 1e-9);
  for (; present < count; present++) // what was missing
    values[present] = middle;
  qsort(values, (size_t)count, sizeof *values, co_by_value);
  const co_node *list = co_node_get(wanted, "edges");
  assert_int_equal(co_piecewise_edges(values, count, 48, edges), list->count);
  for (int64_t i = 0; i < list->count; i++) {
    double edge;
    assert_true(co_node_double(list->items[i], &edge));
    assert_true(fabs(edges[i] - edge) <= 1e-9 * (1 + fabs(edge)));
  }
}

static void test_edges_of_real_columns(void **state) {
  (void)state;
  static const char *const sets[][3] = {
      {"folds/edges_online_shoppers_f0.json", "online_shoppers/online_shoppers_intention.csv",
       "folds/online_shoppers_folds.csv"},
      {"folds/edges_telco_f0.json", "telco_churn/Telco-Customer-Churn.csv",
       "folds/telco_folds.csv"}};
  static double values[20000];
  const char *given = getenv("COHORT_TEST_DATA"), *root = given ? given : COHORT_TEST_DATA_DEFAULT;
  char folds[512];
  snprintf(folds, sizeof folds, "%s/folds", root);
  if (access(folds, R_OK) != 0) {
    print_message("NOT RUN: no '%s' (set COHORT_TEST_DATA; shared data)\n", folds);
    skip();
  }
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  co_diagnostics_init(&problems, ctx);
  for (int i = 0; i < 2; i++) {
    char path[3][512];
    co_node *edges;
    for (int k = 0; k < 3; k++)
      snprintf(path[k], sizeof path[k], "%s/%s", root, sets[i][k]);
    assert_int_equal(co_yaml_read_file(&edges, arena, path[0], &problems), CO_OK);
    const co_node *numbers = co_node_get(edges, "numbers");
    for (int64_t k = 0; k < numbers->count; k++)
      assert_column(numbers->items[k], values,
                    read_column(path[1], path[2], numbers->keys[k], values));
  }
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_large_offsets),
      cmocka_unit_test(test_edges),
      TRAINING_TEST(test_bins),
      cmocka_unit_test(test_edges_of_real_columns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
