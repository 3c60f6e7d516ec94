// SPDX-License-Identifier: Apache-2.0
// Texts as bags of words and of characters.
#include "feeding.h"

enum { TRAINING = 4, TEST = 3, ROWS = TRAINING + TEST, BUCKETS = 65536 };

static const char *const texts[ROWS] = {
    "buy now", "BUY", "hello, world!", "", "Buy  buy world unheard", "ΑΒΓ-αβγ Ünder über", "abc"};

static void write_data(void) {
  static const float y[ROWS];
  static const uint8_t split[ROWS] = {0, 0, 0, 0, 2, 2, 2};
  static const co_column target = {
      .name = "y", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32};
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
  int64_t id;
  assert_int_equal(co_dataset_writer_open_texts(w, "people", "note", CO_ROLE_INPUT, ROWS, &id),
                   CO_OK);
  assert_int_equal(co_dataset_writer_append_texts(w, id, ROWS, texts), CO_OK);
  assert_int_equal(co_dataset_writer_column(w, "people", &target, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, y), CO_OK);
  assert_int_equal(co_dataset_writer_samples(w, "people", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

static double *feed_texts(rig *r, const char *options, co_split split) {
  char text[300];
  snprintf(text, sizeof text,
           "input_features: [{name: note, preprocessing: {buckets: 65536%s}}]\n"
           "output_features: [{name: y}]",
           options);
  open_rig(r, text, split);
  double *out = malloc((size_t)r->count * BUCKETS * sizeof *out);
  feed_block(r, 0, out, BUCKETS);
  return out;
}

// The numbers of a row that are not 0, the greatest first.
static int values_of(const double *row, double *values) {
  int count = 0;
  for (int i = 0; i < BUCKETS; i++) {
    if (row[i] == 0) continue;
    int at = count++;
    for (; at > 0 && values[at - 1] < row[i]; at--)
      values[at] = values[at - 1];
    values[at] = row[i];
  }
  return count;
}

static void near(double value, double wanted) {
  if (!(fabs(value - wanted) < 1e-6)) fail_msg("%.9g, not %.9g", value, wanted);
}

// Of four training rows two have `buy`, one each of the others.
static void test_words(void **state) {
  (void)state;
  rig r;
  double values[16], often = log(5 / 3.0) + 1, once = log(5 / 2.0) + 1, never = log(5) + 1;
  write_data();
  double *out = feed_texts(&r, "", CO_SPLIT_TRAIN);
  double length = sqrt(often * often + once * once);
  assert_int_equal(values_of(out, values), 2);
  near(values[0], once / length);
  near(values[1], often / length);
  assert_int_equal(values_of(out + BUCKETS, values), 1);
  for (int i = 0; i < BUCKETS; i++) // the same word, whatever its case
    if (out[BUCKETS + i] > 0) near(out[i], often / length);
  assert_int_equal(values_of(out + 2 * BUCKETS, values), 2);
  assert_int_equal(values_of(out + 3 * BUCKETS, values), 0);
  const int64_t *counts = co_feature_counts(r.model->inputs)->bytes;
  assert_int_equal(counts[CO_COUNT_MISSING], 1);
  free(out);
  close_rig(&r);
  out = feed_texts(&r, "", CO_SPLIT_TEST);
  length = sqrt(4 * often * often + once * once + never * never);
  assert_int_equal(values_of(out, values), 3);
  near(values[0], 2 * often / length);
  near(values[1], never / length);
  near(values[2], once / length);
  assert_int_equal(values_of(out + BUCKETS, values), 3); // two words of Greek, that are one
  near(values[0], 2 / sqrt(6));
  free(out);
  close_rig(&r);
}

static void test_pieces(void **state) {
  (void)state;
  rig r;
  double values[16];
  write_data();
  double *out = feed_texts(&r, ", tokens: characters", CO_SPLIT_TEST);
  assert_int_equal(values_of(out + 2 * BUCKETS, values), 3); // " ab", "abc", "bc "
  near(values[2], 1 / sqrt(3));
  free(out);
  close_rig(&r);
  out = feed_texts(&r, ", ngram: 2", CO_SPLIT_TRAIN);
  assert_int_equal(values_of(out, values), 3); // buy, now, buy now
  assert_int_equal(values_of(out + BUCKETS, values), 1);
  free(out);
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_words), TRAINING_TEST(test_pieces)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
