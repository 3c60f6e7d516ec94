// SPDX-License-Identifier: Apache-2.0
// Statistics of training rows, where sums of squares would lose them.
#include "training.h"

#include "host/feed/fit_features.h"
#include "models/feature.h"

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

static void test_large_offsets(void **state) {
  (void)state;
  static float seconds[ROWS], constant[ROWS], small[ROWS];
  static const char text[] = "input_features: [{name: seconds}, {name: constant}, {name: small}]";
  for (int i = 0; i < ROWS; i++) {
    seconds[i] = 1.6e9f + 128.0f * (float)(i % 3); // neighbouring floats
    constant[i] = 0.1f;
    small[i] = 1000 + (float)(i % 2) / 1024;
  }
  co_context *ctx;
  co_arena *arena;
  co_dataset_writer *w;
  co_dataset *dataset;
  co_model *model;
  co_node *config;
  co_diagnostics problems;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  co_diagnostics_init(&problems, ctx);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "d.h5"), CO_OK);
  write_column(w, "seconds", CO_ROLE_INPUT, seconds);
  write_column(w, "constant", CO_ROLE_INPUT, constant);
  write_column(w, "small", CO_ROLE_INPUT, small);
  write_column(w, "y", CO_ROLE_TARGET, small);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  assert_int_equal(co_dataset_open(&dataset, ctx, "d.h5"), CO_OK);
  assert_int_equal(co_yaml_parse(&config, arena, "c", text, strlen(text), &problems), CO_OK);
  assert_int_equal(co_model_create(&model, ctx, config, co_dataset_schema(dataset), &problems),
                   CO_OK);
  assert_int_equal(co_fit_features(model, dataset, 2), CO_OK);
  // Far from zero the mean is told by what it is away from the pivot.
  double pivot = *(const double *)co_feature_fitted(&model->inputs[0], "pivot")->bytes;
  assert_float_equal(pivot + fitted(model, 0, "mean"), 1.6e9 + 128, 1e-3);
  assert_float_equal(*(const double *)co_feature_fitted(&model->inputs[2], "pivot")->bytes, 1000,
                     0);
  assert_float_equal(1 / fitted(model, 0, "scale"), 128 * sqrt(2.0 / 3), 1e-4);
  assert_float_equal(fitted(model, 1, "mean"), 0.1f, 0);
  assert_float_equal(fitted(model, 1, "scale"), 1, 0);
  assert_float_equal(1 / fitted(model, 2, "scale"), 1.0 / 2048, 1e-9);
  co_model_free(model);
  co_dataset_close(dataset);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_large_offsets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
