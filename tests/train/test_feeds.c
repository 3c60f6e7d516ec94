// SPDX-License-Identifier: Apache-2.0
// From stored rows to what a network is fed: blocks of several columns, joined tables, digits far
// from zero, missing values, vocabularies.
#include "feeding.h"

#include <math.h>

enum { ROWS = 40, REGIONS = 5, TRAINING = 30 };

static void add(co_dataset_writer *w, const char *table, const char *name, co_column_type type,
                co_dtype dtype, int64_t rows, const void *data) {
  static const char *const words[] = {"rare", "common", "middle"};
  bool category = type == CO_COLUMN_CATEGORY;
  const co_column column = {.name = name,
                            .type = type,
                            .role = strcmp(name, "y") == 0 ? CO_ROLE_TARGET : CO_ROLE_INPUT,
                            .dtype = dtype,
                            .category_count = category ? 3 : 0,
                            .categories = category ? words : NULL};
  assert_int_equal(co_dataset_writer_column(w, table, &column, rows), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, rows, data), CO_OK);
}

static double wealth_of(int64_t region) {
  return 10 * (double)region;
}

static void write_data(void) {
  float x[ROWS], gaps[ROWS], late_gap[ROWS], wealth[REGIONS];
  double when[ROWS];
  int64_t region[ROWS];
  int32_t kind[ROWS];
  uint8_t y[ROWS], split[ROWS];
  for (int i = 0; i < ROWS; i++) {
    x[i] = (float)i;
    gaps[i] = i % 5 == 0 ? NAN : (float)(i % 5);
    late_gap[i] = i == ROWS - 1 ? NAN : (float)(i % 3);
    when[i] = 1.7e9 + i;
    region[i] = (7 * i) % REGIONS;
    kind[i] = i == 3 ? 0 : i % 4 == 0 ? 2 : i == 5 ? -1 : 1;
    y[i] = (uint8_t)(i % 2);
    split[i] = i < TRAINING ? 0 : 2;
  }
  for (int i = 0; i < REGIONS; i++)
    wealth[i] = (float)wealth_of(i);
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
  add(w, "people", "x", CO_COLUMN_NUMBER, CO_F32, ROWS, x);
  add(w, "people", "gaps", CO_COLUMN_NUMBER, CO_F32, ROWS, gaps);
  add(w, "people", "late_gap", CO_COLUMN_NUMBER, CO_F32, ROWS, late_gap);
  add(w, "people", "when", CO_COLUMN_NUMBER, CO_F64, ROWS, when);
  add(w, "people", "kind", CO_COLUMN_CATEGORY, CO_I32, ROWS, kind);
  add(w, "people", "y", CO_COLUMN_BINARY, CO_U8, ROWS, y);
  assert_int_equal(co_dataset_writer_pointer(w, "people", "region", "regions", ROWS, region),
                   CO_OK);
  add(w, "regions", "wealth", CO_COLUMN_NUMBER, CO_F32, REGIONS, wealth);
  assert_int_equal(co_dataset_writer_samples(w, "people", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

// Neighbours of one table are one block; what they bring equals what each brings by itself.
static void test_blocks(void **state) {
  (void)state;
  rig r;
  double block[ROWS * 3];
  write_data();
  open_rig(&r,
           "input_features: [{name: x}, {name: when}, {name: gaps}, {name: wealth}]\n"
           "output_features: [{name: y}]",
           CO_SPLIT_TEST);
  assert_int_equal(r.model->block_count, 2); // wealth is of another table
  assert_int_equal(r.model->blocks[0].count, 3);
  feed_block(&r, 0, block, 3);
  close_rig(&r);
  static const char *const names[] = {"x", "when", "gaps"};
  for (int k = 0; k < 3; k++) {
    char text[120];
    double alone[ROWS];
    snprintf(text, sizeof text, "input_features: [{name: %s}]\noutput_features: [{name: y}]",
             names[k]);
    open_rig(&r, text, CO_SPLIT_TEST);
    feed_block(&r, 0, alone, 1);
    for (int64_t i = 0; i < r.count; i++)
      assert_true(block[i * 3 + k] == alone[i]);
    close_rig(&r);
  }
}

static void test_joined_table(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  write_data();
  open_rig(&r,
           "input_features: [{name: wealth, preprocessing: {normalization: none}}]\n"
           "output_features: [{name: y}]",
           CO_SPLIT_TEST);
  feed_block(&r, 0, out, 1);
  for (int64_t i = 0; i < r.count; i++)
    assert_true(out[i] == wealth_of(7 * r.samples[i] % REGIONS));
  close_rig(&r);
}

// Float keeps none of the digits in which these differ.
static void test_far_from_zero(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  write_data();
  open_rig(&r, "input_features: [{name: when}]\noutput_features: [{name: y}]", CO_SPLIT_TRAIN);
  feed_block(&r, 0, out, 1);
  double deviation = sqrt((TRAINING * TRAINING - 1) / 12.0);
  for (int64_t i = 0; i < r.count; i++)
    assert_true(fabs(out[i] - ((double)i - (TRAINING - 1) / 2.0) / deviation) < 1e-5);
  close_rig(&r);
}

static void test_missing(void **state) {
  (void)state;
  rig r;
  double out[ROWS * 2];
  write_data();
  open_rig(&r,
           "input_features: [{name: gaps, preprocessing: {missing: indicator}}]\n"
           "output_features: [{name: y}]",
           CO_SPLIT_TRAIN);
  feed_block(&r, 0, out, 2);
  for (int64_t i = 0; i < r.count; i++) {
    if (out[2 * i + 1] != (i % 5 == 0)) assert_true(out[2 * i + 1] == (i % 5 == 0));
    if (i % 5 == 0) assert_true(fabs(out[2 * i]) < 1e-6); // the mean
  }
  close_rig(&r);
  // Training rows lack none: one elsewhere is refused, unless it is said what to do.
  static const char *const texts[] = {
      "input_features: [{name: late_gap}]\noutput_features: [{name: y}]",
      "input_features: [{name: late_gap, preprocessing: {missing: mean}}]\n"
      "output_features: [{name: y}]"};
  for (int k = 0; k < 2; k++) {
    open_rig(&r, texts[k], CO_SPLIT_TEST);
    assert_int_equal(co_check_inputs(r.model, r.dataset, r.samples, r.count, NULL),
                     k ? CO_OK : CO_ERR_DATA);
    if (!k) assert_non_null(strstr(co_error_last()->message, "column 'late_gap', row 39"));
    close_rig(&r);
  }
}

// The most frequent class first; rare, missing and unseen ones are one.
static void test_vocabulary(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  write_data();
  open_rig(&r,
           "input_features: [{name: kind, preprocessing: {min_frequency: 2}}]\n"
           "output_features: [{name: y}]",
           CO_SPLIT_TRAIN);
  feed_block(&r, 0, out, 1);
  for (int64_t i = 0; i < r.count; i++)
    assert_true(out[i] == (i == 3 || i == 5 ? 0 : i % 4 == 0 ? 2 : 1));
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_blocks),        TRAINING_TEST(test_joined_table),
      TRAINING_TEST(test_far_from_zero), TRAINING_TEST(test_missing),
      TRAINING_TEST(test_vocabulary),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
