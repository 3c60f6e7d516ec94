// SPDX-License-Identifier: Apache-2.0
// A column whose values change places among samples, and is as it was afterwards.
#include "tests/unit/dataset_fixture.h"

#include "datasets/permute.h"
#include "datasets/writer.h"

enum { MANY = 500 };

static void write_table(fixture *f) {
  co_dataset_writer *w;
  static double wide[MANY];
  static int32_t code[MANY];
  static const char *const names[] = {"a", "b", "c"};
  static const char *said[MANY];
  static uint8_t split[MANY];
  int64_t id;
  for (int i = 0; i < MANY; i++) {
    wide[i] = 1e9 + i; // float32 does not hold it
    code[i] = i % 3;
    said[i] = names[i % 3];
    split[i] = i % 2 ? CO_SPLIT_VALIDATION : CO_SPLIT_TRAIN;
  }
  const co_column number = {.name = "n", .dtype = CO_F64}, class_ = {.name = "c",
                                                                     .type = CO_COLUMN_CATEGORY,
                                                                     .dtype = CO_I32,
                                                                     .categories = names,
                                                                     .category_count = 3};
  OK(co_dataset_writer_create(&w, f->ctx, "p.h5"));
  OK(co_dataset_writer_column(w, "e", &number, MANY));
  OK(co_dataset_writer_rows(w, MANY, wide));
  OK(co_dataset_writer_column(w, "e", &class_, MANY));
  OK(co_dataset_writer_rows(w, MANY, code));
  OK(co_dataset_writer_open_texts(w, "e", "said", CO_ROLE_INPUT, MANY, &id));
  OK(co_dataset_writer_append_texts(w, id, MANY, said));
  OK(co_dataset_writer_samples(w, "e", MANY, NULL, NULL, split));
  OK(co_dataset_writer_commit(w, NULL));
  co_dataset_writer_free(w);
}

// The column's value of each row as a whole number.
static void read_column(co_dataset *d, const char *name, int64_t out[MANY]) {
  const co_column *c = co_schema_find(co_dataset_schema(d), name);
  const int64_t *index;
  int64_t rows;
  if (c->type == CO_COLUMN_TEXT) {
    const char *const *text;
    OK(co_dataset_texts(d, name, &text, &rows, &index));
    for (int i = 0; i < MANY; i++)
      out[i] = text[i][0] - 'a';
  } else if (c->type == CO_COLUMN_NUMBER) {
    co_numbers stored;
    OK(co_dataset_numbers(d, name, &stored));
    for (int i = 0; i < MANY; i++)
      out[i] = (int64_t)co_numbers_at(&stored, i) - 1000000000;
  } else {
    const void *data;
    OK(co_dataset_column(d, name, &data, &rows, &index));
    for (int i = 0; i < MANY; i++)
      out[i] = ((const int32_t *)data)[i];
  }
}

static void values_change_places(void **state) {
  fixture *f = *state;
  static const char *const names[] = {"n", "c", "said"};
  int64_t before[MANY], now[MANY], again[MANY];
  const int64_t *samples;
  int64_t count;
  co_dataset *d;
  co_permuted p;
  write_table(f);
  OK(co_dataset_open(&d, f->ctx, "p.h5"));
  OK(co_dataset_split(d, CO_SPLIT_VALIDATION, &samples, &count));
  for (int k = 0; k < 3; k++) {
    int moved = 0, differs = 0;
    int64_t sum = 0;
    read_column(d, names[k], before);
    OK(co_permuted_begin(&p, d, names[k]));
    co_permuted_shuffle(&p, samples, count, 7, 0);
    read_column(d, names[k], now);
    for (int i = 0; i < MANY; i++) {
      if (i % 2 == 0) assert_true(now[i] == before[i]); // no sample of those
      moved += now[i] != before[i];
      sum += now[i] - before[i];
    }
    assert_true(moved > MANY / 4);
    assert_true(sum == 0); // the same values
    co_permuted_shuffle(&p, samples, count, 7, 1);
    read_column(d, names[k], again);
    for (int i = 0; i < MANY; i++)
      differs += again[i] != now[i];
    assert_true(differs > MANY / 4);
    co_permuted_shuffle(&p, samples, count, 7, 0);
    read_column(d, names[k], again);
    assert_memory_equal(now, again, sizeof now);
    co_permuted_end(&p);
    read_column(d, names[k], now);
    assert_memory_equal(now, before, sizeof now);
  }
  assert_int_equal(co_permuted_begin(&p, d, "none"), CO_ERR_DATA);
  co_permuted_end(&p);
  co_dataset_close(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {DATA_TEST(values_change_places)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
