// SPDX-License-Identifier: Apache-2.0
// What is learned of training rows: statistics, where sums of squares would lose them, and bins.
#include "training.h"

#include "host/feed/fit_features.h"
#include "models/features/piecewise.h"

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
  double edges[CO_PIECEWISE_BINS + 1];
  assert_int_equal(co_piecewise_edges(sorted, count, bins, edges), wanted_count);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_large_offsets),
      cmocka_unit_test(test_edges),
      TRAINING_TEST(test_bins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
