// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
// Folds: what stays together, how even they are, and their files.
#include "datasets/folds.h"
#include "tests/unit/dataset_fixture.h"

enum { MANY = 600, COPIES = 60 }; // rows; the last ones are copies of the first

// A number and a target of three classes, of which one is rare and some rows have none.
static void build_many(co_context *ctx, bool keyed) {
  co_h5 *h = begin(ctx);
  co_shape flat = one(MANY);
  static float x[MANY];
  static int32_t y[MANY];
  static int64_t k[MANY];
  static const char *const classes[] = {"a", "b", "rare"};
  for (int i = 0; i < MANY; i++) {
    int row = i < MANY - COPIES ? i : i - (MANY - COPIES);
    x[i] = row == 7 ? NAN : (float)row;
    y[i] = row % 20 == 0 ? 2 : row % 50 == 1 ? -1 : row % 2;
    k[i] = 1000 + i;
  }
  put(h, "/entities/e/x", CO_F32, &flat, x, "number", "input");
  put_category(h, "/entities/e/y", y, MANY, classes, 3, "target");
  if (keyed) put(h, "/entities/e/k", CO_I64, &flat, k, "text", "key");
  OK(co_h5_close(h));
}

static void make(fixture *f, co_folds *folds, int64_t count, uint64_t seed) {
  co_dataset *d;
  opens(f, &d);
  OK(co_folds_make(folds, f->ctx, d, count, seed));
  co_dataset_close(d);
}

static void folds_are_even_in_every_class(void **state) {
  fixture *f = *state;
  co_folds folds;
  build_many(f->ctx, true);
  make(f, &folds, 7, 1);
  int of_class[4][7] = {{0}}, total[7] = {0}, early = 0;
  for (int i = 0; i < MANY; i++) {
    int row = i < MANY - COPIES ? i : i - (MANY - COPIES);
    int class_ = row % 20 == 0 ? 2 : row % 50 == 1 ? 3 : row % 2;
    of_class[class_][folds.fold[i]]++;
    total[folds.fold[i]]++;
    early += folds.validation[i];
  }
  for (int k = 0; k < 7; k++) {
    assert_in_range(total[k], MANY / 7, MANY / 7 + 1);
    for (int c = 0; c < 4; c++)
      assert_in_range(of_class[c][k], of_class[c][0] - 1, of_class[c][0] + 1);
  }
  assert_in_range(early, MANY / 20, MANY / 5);
  co_folds_free(&folds);
}

static void copies_share_a_fold_unless_keys_tell_them_apart(void **state) {
  fixture *f = *state;
  co_folds folds;
  int apart = 0;
  build_many(f->ctx, false);
  make(f, &folds, 5, 1);
  for (int i = 0; i < COPIES; i++) {
    assert_int_equal(folds.fold[MANY - COPIES + i], folds.fold[i]);
    assert_int_equal(folds.validation[MANY - COPIES + i], folds.validation[i]);
  }
  co_folds_free(&folds);
  build_many(f->ctx, true);
  make(f, &folds, 5, 1);
  for (int i = 0; i < COPIES; i++)
    apart += folds.fold[MANY - COPIES + i] != folds.fold[i];
  assert_true(apart > COPIES / 2);
  co_folds_free(&folds);
}

// Two columns, of which one alone tells rows apart.
static void build_told_apart(co_context *ctx, bool by_text) {
  static const int64_t when[ROWS] = {1700000001, 1700000002, 1700000003, 1700000002, 1700000005};
  static const char *const words_of[ROWS] = {"a", "b", "c", "b", "e"};
  static const int32_t class_[ROWS] = {0, 0, 0, 0, 0};
  co_h5 *h = begin(ctx);
  co_shape flat = one(ROWS);
  OK(co_h5_set_int(h, "/", "version", 2));
  if (by_text)
    OK(co_h5_write_strings(h, "/entities/e/x", words_of, ROWS));
  else
    OK(co_h5_write(h, "/entities/e/x", CO_I64, &flat, when, NULL, false));
  describe(h, "/entities/e/x", by_text ? "text" : "number", "input");
  put_category(h, "/entities/e/y", class_, ROWS, words, 2, "target");
  OK(co_h5_close(h));
}

static void texts_and_digits_beyond_float_tell_rows_apart(void **state) {
  fixture *f = *state;
  for (int by_text = 0; by_text < 2; by_text++) {
    co_folds folds;
    build_told_apart(f->ctx, by_text);
    make(f, &folds, 4, 1); // with fewer than four groups it fails
    assert_int_equal(folds.fold[1], folds.fold[3]);
    co_folds_free(&folds);
  }
}

static void samples_of_an_entity_share_a_fold(void **state) {
  fixture *f = *state;
  co_folds folds;
  build_related(f->ctx, NULL);
  make(f, &folds, 5, 3);
  assert_int_equal(folds.fold[0], folds.fold[1]);
  assert_int_equal(folds.fold[0], folds.fold[6]);
  int seen = 0;
  for (int i = 0; i < 7; i++)
    seen |= 1 << folds.fold[i];
  assert_int_equal(seen, 31); // five entities, one a fold
  co_folds_free(&folds);
  co_dataset *d;
  opens(f, &d);
  assert_int_equal(co_folds_make(&folds, f->ctx, d, 6, 3), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "7 rows in 5 groups are too few for 6 folds"));
  assert_int_equal(co_folds_make(&folds, f->ctx, d, 1, 3), CO_ERR_USAGE);
  co_dataset_close(d);
}

// Of a data set with splits 0 2 0 1 0 the row of the test split is in no fold, whatever is in it.
static void folds_of_a_search_leave_the_tests_out(void **state) {
  fixture *f = *state;
  co_folds folds;
  co_dataset *d, *view;
  build(f->ctx, NULL);
  opens(f, &d);
  OK(co_folds_make_validating(&folds, f->ctx, d, 2, 1));
  int64_t seen[ROWS] = {0};
  for (int64_t k = 0; k < 2; k++) {
    const int64_t *rows;
    int64_t validates, trains, tests;
    OK(co_folds_view(&view, &folds, d, k));
    OK(co_dataset_split(view, CO_SPLIT_VALIDATION, &rows, &validates));
    for (int64_t i = 0; i < validates; i++)
      seen[rows[i]]++;
    OK(co_dataset_split(view, CO_SPLIT_TRAIN, &rows, &trains));
    OK(co_dataset_split(view, CO_SPLIT_TEST, &rows, &tests));
    assert_true(validates == 2 && trains == 2 && tests == 0);
    co_dataset_close(view);
  }
  for (int i = 0; i < ROWS; i++)
    assert_int_equal(seen[i], splits[i] != 2);
  co_folds_free(&folds);
  co_dataset_close(d);
}

static void the_seed_decides(void **state) {
  fixture *f = *state;
  co_folds a, b, c;
  build_many(f->ctx, false);
  make(f, &a, 5, 1);
  make(f, &b, 5, 1);
  make(f, &c, 5, 2);
  assert_true(co_folds_equal(&a, &b));
  assert_false(co_folds_equal(&a, &c));
  co_folds_free(&a);
  co_folds_free(&b);
  co_folds_free(&c);
}

static void a_view_has_splits_of_its_own(void **state) {
  fixture *f = *state;
  co_dataset *d, *view, *other;
  int32_t fold[ROWS] = {0, 1, 1, -1, 0};
  uint8_t validation[ROWS] = {1, 0, 1, 0, 0};
  const co_folds folds = {f->ctx, ROWS, 2, fold, validation, false};
  build(f->ctx, NULL);
  opens(f, &d);
  OK(co_folds_view(&view, &folds, d, 1));
  OK(co_folds_view(&other, &folds, d, 0));
  int64_t count;
  const int64_t *rows;
  OK(co_dataset_split(view, CO_SPLIT_TEST, &rows, &count));
  assert_int_equal(count, 2);
  assert_memory_equal(rows, ((int64_t[]){1, 2}), 16);
  OK(co_dataset_split(view, CO_SPLIT_VALIDATION, &rows, &count));
  assert_int_equal(count, 1);
  assert_int_equal(rows[0], 0);
  OK(co_dataset_split(view, CO_SPLIT_TRAIN, &rows, &count));
  assert_memory_equal(rows, ((int64_t[]){3, 4}), 16);
  OK(co_dataset_split(d, CO_SPLIT_TRAIN, &rows, &count));
  assert_int_equal(count, 3); // as stored
  assert_string_not_equal(co_dataset_fingerprint(view), co_dataset_fingerprint(d));
  assert_string_not_equal(co_dataset_fingerprint(view), co_dataset_fingerprint(other));
  char key[8];
  float n;
  OK(co_dataset_key(view, 3, key, sizeof key)); // read on first use
  assert_string_equal(key, "k3");
  OK(co_dataset_gather(other, "n", (int64_t[]){4}, 1, &n));
  assert_true(n == -5);
  co_dataset_close(view);
  co_dataset_close(other);
  OK(co_dataset_key(d, 3, key, sizeof key));
  co_dataset_close(d);
}

static void files_say_what_was_written(void **state) {
  fixture *f = *state;
  co_folds made, read;
  build_many(f->ctx, false);
  make(f, &made, 4, 9);
  OK(co_folds_write(&made, "folds.csv"));
  OK(co_folds_read(&read, f->ctx, "folds.csv", MANY));
  assert_true(co_folds_equal(&made, &read));
  co_folds_free(&made);
  co_folds_free(&read);
  // Other columns, no early stopping, rows that are never tested.
  write_bytes("few.csv", "row;fold\n7; 0 \n8;-1\n9;1\n", 24);
  OK(co_folds_read(&read, f->ctx, "few.csv", 3));
  assert_int_equal(read.count, 2);
  assert_memory_equal(read.fold, ((int32_t[]){0, -1, 1}), 12);
  assert_int_equal(read.validation[0] + read.validation[1] + read.validation[2], 0);
  co_folds_free(&read);
}

static void wrong_files_are_refused(void **state) {
  static const struct {
    const char *text, *message;
    long line;
  } wrong[] = {
      {"split,validation\n0,0\n1,0\n", "there is no column 'fold'", 1},
      {"fold,validation\n0,0\nx,0\n", "row 2, column 'fold': 'x' is not a whole number", 3},
      {"fold,validation\n0,0\n,0\n", "row 2, column 'fold': '' is not a whole number", 3},
      {"fold,validation\n0,0\n-2,0\n", "'-2' is not a whole number from -1 to 999", 3},
      {"fold,validation\n0,0\n99999999999999999999,0\n", "is not a whole number", 3},
      {"fold,validation\n0,2\n1,0\n", "column 'validation': '2' is not a whole number", 2},
      {"fold,validation\n0,0\n", "fewer lines of folds than the dataset's 2 rows", 0},
      {"fold,validation\n0,0\n1,0\n1,0\n", "more lines of folds than the dataset's 2 rows", 0},
      {"fold,validation\n0,0\n2,0\n", "no row is in fold 1, but there is a fold 2", 0},
      {"fold,validation\n-1,0\n-1,0\n", "no row is in a fold", 0},
  };
  fixture *f = *state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    co_folds folds;
    write_bytes("folds.csv", wrong[i].text, strlen(wrong[i].text));
    assert_int_equal(co_folds_read(&folds, f->ctx, "folds.csv", 2), CO_ERR_DATA);
    if (!strstr(co_error_last()->message, wrong[i].message))
      fail_msg("'%s' instead of '%s'", co_error_last()->message, wrong[i].message);
    assert_int_equal(co_error_last()->line, wrong[i].line);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(folds_are_even_in_every_class),
      DATA_TEST(copies_share_a_fold_unless_keys_tell_them_apart),
      DATA_TEST(texts_and_digits_beyond_float_tell_rows_apart),
      DATA_TEST(samples_of_an_entity_share_a_fold),
      DATA_TEST(folds_of_a_search_leave_the_tests_out),
      DATA_TEST(the_seed_decides),
      DATA_TEST(a_view_has_splits_of_its_own),
      DATA_TEST(files_say_what_was_written),
      DATA_TEST(wrong_files_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
