// SPDX-License-Identifier: Apache-2.0
// Sums over columns: sorting, quantiles, ROC AUC, counts of different values, profiles.
#include "tests/unit/dataset_fixture.h"

#include "datasets/profile.h"
#include "datasets/writer.h"

static void doubles_are_sorted(void **state) {
  (void)state;
  double values[] = {3, -1, 0, -0.0, 1e300, -1e300, 2.5, -INFINITY, 2.5}, scratch[9];
  const double expected[] = {-INFINITY, -1e300, -1, 0, 0, 2.5, 2.5, 3, 1e300};
  co_sort_doubles(values, scratch, 9);
  for (int i = 0; i < 9; i++)
    assert_true(values[i] == expected[i]);
  enum { MANY = 5000 };
  static uint64_t many[MANY], other[MANY];
  for (int i = 0; i < MANY; i++)
    many[i] = co_mix64(7, (uint64_t)i);
  co_sort_u64(many, other, MANY);
  for (int i = 1; i < MANY; i++)
    assert_true(many[i - 1] <= many[i]);
}

// numpy.quantile([1, 2, 4, 8], q); sklearn.metrics.roc_auc_score.
static void quantiles_and_auc(void **state) {
  (void)state;
  const double values[] = {1, 2, 4, 8};
  assert_true(fabs(co_sorted_quantile(values, 4, 0.5) - 3) < 1e-12);
  assert_true(fabs(co_sorted_quantile(values, 4, 0.25) - 1.75) < 1e-12);
  assert_true(fabs(co_sorted_quantile(values, 4, 0.95) - 7.4) < 1e-12);
  assert_true(co_sorted_quantile(values, 4, 1) == 8);
  assert_true(isnan(co_sorted_quantile(values, 0, 0.5)));
  const double positive[] = {1, 2, 2, 5}, negative[] = {0, 1, 2};
  assert_true(fabs(co_sorted_auc(positive, 4, negative, 3) - 9.5 / 12) < 1e-12);
  assert_true(co_sorted_auc(positive, 4, negative, 0) == 0.5);
}

static void sketches_count(void **state) {
  (void)state;
  static co_sketch sketch;
  static const int64_t sizes[] = {0, 10, 1000, 65536, 65537, 300000, 1000000};
  int64_t added = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (; added < sizes[i]; added++) {
      co_sketch_add(&sketch, co_mix64(0, co_double_bits((double)added)));
      co_sketch_add(&sketch, co_mix64(0, co_double_bits((double)(added / 2)))); // known already
    }
    double off = fabs((double)(co_sketch_count(&sketch) - added));
    assert_int_equal(co_sketch_is_exact(&sketch), sizes[i] <= CO_SKETCH_EXACT);
    if (sizes[i] <= CO_SKETCH_EXACT) assert_true(off == 0);
    if (off > 0.025 * (double)added) fail_msg("%g off of %lld", off, (long long)added); // 3 errors
  }
}

enum { MOST = 3000000 };

// Column n: row % 1000 / 10 with every seventh row missing; c: three classes and missing ones.
static void write_table(fixture *f, int64_t rows) {
  co_dataset_writer *w;
  static float n[MOST];
  static int32_t c[MOST];
  static uint8_t split[MOST];
  static const char *const names[] = {"never", "often", "some"};
  for (int64_t i = 0; i < rows; i++) {
    n[i] = i % 7 == 6 ? NAN : (float)(i % 1000) / 10;
    c[i] = i % 4 == 3 ? -1 : i % 4 == 0 ? 2 : 1;
    split[i] = i % 5 == 4 ? CO_SPLIT_TEST : CO_SPLIT_TRAIN;
  }
  const co_column number = {.name = "n", .dtype = CO_F32}, class_ = {.name = "c",
                                                                     .type = CO_COLUMN_CATEGORY,
                                                                     .dtype = CO_I32,
                                                                     .categories = names,
                                                                     .category_count = 3};
  OK(co_dataset_writer_create(&w, f->ctx, "p.h5"));
  OK(co_dataset_writer_column(w, "e", &number, rows));
  OK(co_dataset_writer_rows(w, rows, n));
  OK(co_dataset_writer_column(w, "e", &class_, rows));
  OK(co_dataset_writer_rows(w, rows, c));
  OK(co_dataset_writer_samples(w, "e", rows, NULL, NULL, split));
  OK(co_dataset_writer_commit(w, NULL));
  co_dataset_writer_free(w);
}

static void profile_of(fixture *f, const char *name, bool test, co_profile *out) {
  co_dataset *d;
  co_view view;
  const int64_t *rows = NULL;
  OK(co_dataset_open(&d, f->ctx, "p.h5"));
  int64_t count = co_dataset_rows(d);
  if (test) OK(co_dataset_split(d, CO_SPLIT_TEST, &rows, &count));
  OK(co_view_open(&view, d, co_schema_find(co_dataset_schema(d), name)));
  OK(co_profile_rows(out, f->ctx, &view, rows, count));
  co_dataset_close(d);
}

static void small_columns_are_exact(void **state) {
  fixture *f = *state;
  co_profile p;
  write_table(f, 12);
  profile_of(f, "n", false, &p); // 0 … 1.1 without 0.6
  assert_int_equal(p.rows, 12);
  assert_int_equal(p.missing, 1);
  assert_int_equal(p.distinct, 11);
  assert_true(p.distinct_exact && p.quantiles_exact && fabs(p.mean - 6.0 / 11) < 1e-7 &&
              p.min == 0 && fabs(p.max - 1.1) < 1e-7);
  assert_true(fabs(p.sd - 0.3777926) < 1e-6);     // statistics.stdev
  assert_true(fabs(p.quantile[3] - 0.5) < 1e-7);  // median
  assert_true(fabs(p.quantile[0] - 0.01) < 1e-7); // 1 %
  profile_of(f, "c", false, &p);
  assert_int_equal(p.missing, 3);
  assert_int_equal(p.distinct, 2); // of three names
  assert_int_equal(p.top_count, 2);
  assert_true(p.top[0].code == 1 && p.top[0].count == 6 && p.top[1].code == 2);
  profile_of(f, "n", true, &p); // rows 4 and 9
  assert_int_equal(p.rows, 2);
  assert_true(fabs(p.mean - 0.65) < 1e-7);
}

static void large_columns_are_estimated(void **state) {
  fixture *f = *state;
  co_profile p;
  write_table(f, MOST);
  profile_of(f, "n", false, &p);
  assert_false(p.quantiles_exact);
  assert_int_equal(p.missing, MOST / 7);
  assert_true(p.distinct_exact && p.distinct == 1000);
  assert_true(fabs(p.mean - 49.95) < 0.01 && p.min == 0 && p.max == 99.9f);
  for (int q = 0; q < CO_PROFILE_QUANTILES; q++)
    assert_true(fabs(p.quantile[q] / 100 - co_profile_shares[q]) < 0.003);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(doubles_are_sorted),   cmocka_unit_test(quantiles_and_auc),
      cmocka_unit_test(sketches_count),       DATA_TEST(small_columns_are_exact),
      DATA_TEST(large_columns_are_estimated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
