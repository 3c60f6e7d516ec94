// SPDX-License-Identifier: Apache-2.0
// Texts as sequences of words and of characters: what is a word, what has a row, what is read.
#include "feeding.h"

#include "host/feed/shape_classes.h"
#include "models/features/text_sequence.h"

enum { TRAINING = 5, TEST = 4, ROWS = TRAINING + TEST };

static const char *const texts[ROWS] = {
    "Buy now!!", "  buy",          "!", "", "it's 中文，中", "now it’s 中 buy new", "ＢＵＹ！",
    "",          "a b c d e f g h"};

static void write_data(void) {
  static const float y[ROWS];
  static const uint8_t split[ROWS] = {0, 0, 0, 0, 0, 2, 2, 2, 2};
  static const co_column target = {
      .name = "y", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32};
  co_context *ctx;
  co_dataset_writer *w;
  int64_t id;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
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

// Feeds a split's rows, `length` codes each, of words that may be rare.
static void feed(rig *r, const char *options, co_split split, int64_t length, double *out) {
  char text[300];
  snprintf(text, sizeof text,
           "input_features: [{name: note, type: text_sequence, preprocessing: {%s},\n"
           "  encoder: {type: bag, embedding_size: 2}}]\n"
           "output_features: [{name: y}]",
           options);
  open_rig(r, text, split);
  assert_int_equal(co_fit_lengths(r->model, r->dataset), CO_OK);
  feed_block(r, 0, out, length);
}

static void equal(const double *codes, int64_t count, const int *wanted) {
  for (int64_t i = 0; i < count; i++)
    if (codes[i] != wanted[i]) fail_msg("code %d: %g, not %d", (int)i, codes[i], wanted[i]);
}

static int64_t count_of(const rig *r, int kind) {
  return ((const int64_t *)co_feature_counts(r->model->inputs)->bytes)[kind];
}

// By falling frequency, of equally frequent ones as they are met: ! buy 中 now it's 文 ，
static void test_words(void **state) {
  (void)state;
  rig r;
  double codes[5 * 5];
  write_data();
  feed(&r, "min_frequency: 1", CO_SPLIT_TRAIN, 5, codes);
  static const int train[5 * 5] = {2, 4, 1, 1, 0, 2, 0, 0, 0, 0, 1, 0, 0,
                                   0, 0, 0, 0, 0, 0, 0, 5, 3, 6, 7, 3};
  equal(codes, 5 * 5, train);
  assert_int_equal(count_of(&r, CO_COUNT_MISSING), 1);
  assert_int_equal(count_of(&r, CO_COUNT_UNSEEN), 0);
  assert_int_equal(count_of(&r, CO_COUNT_TRUNCATED), 0);
  close_rig(&r);
}

// The longest training row is read; of longer ones the first words, or the last. Wide letters are letters.
static void test_lengths(void **state) {
  (void)state;
  rig r;
  double codes[4 * 5];
  write_data();
  feed(&r, "min_frequency: 1", CO_SPLIT_TEST, 5, codes);
  static const int first[4 * 5] = {4, 5, 3, 2, 0, 2, 1, 0, 0, 0};
  equal(codes, 4 * 5, first);
  co_input_counts counts;
  assert_int_equal(co_check_inputs(r.model, r.dataset, r.samples, r.count, &counts), CO_OK);
  assert_int_equal(counts.of[CO_COUNT_TRUNCATED], 1);
  assert_int_equal(counts.of[CO_COUNT_UNSEEN], 2);
  assert_int_equal(counts.of[CO_COUNT_MISSING], 1);
  close_rig(&r);
  feed(&r, "min_frequency: 1, keep: last, max_length: 3", CO_SPLIT_TEST, 3, codes);
  static const int last[4 * 3] = {3, 2, 0, 2, 1, 0};
  equal(codes, 4 * 3, last);
  close_rig(&r);
}

// What is rarer than twice, or beyond the vocabulary's size, has row 0.
static void test_vocabulary(void **state) {
  (void)state;
  rig r;
  double codes[5 * 5];
  write_data();
  feed(&r, "", CO_SPLIT_TRAIN, 5, codes);
  static const int often[5 * 5] = {2, 0, 1, 1, 0, 2, 0, 0, 0, 0, 1, 0, 0,
                                   0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 3};
  equal(codes, 5 * 5, often);
  assert_int_equal(count_of(&r, CO_COUNT_UNSEEN), 2);
  close_rig(&r);
  feed(&r, "max_size: 1", CO_SPLIT_TRAIN, 5, codes);
  static const int one[5 * 5] = {[2] = 1, [3] = 1, [10] = 1};
  equal(codes, 5 * 5, one);
  close_rig(&r);
}

static int64_t tokens_of(const char *text, bool characters) {
  const unsigned char *at = (const unsigned char *)text;
  int64_t count = 0;
  for (uint64_t hash; co_next_token(&at, characters, &hash);)
    count++;
  assert_int_equal(*at, 0);
  return count;
}

static void test_tokens(void **state) {
  (void)state;
  assert_int_equal(tokens_of("don't", false), 1);
  assert_int_equal(tokens_of("'don't'", false), 3);
  assert_int_equal(tokens_of("£5 off…", false), 4); // a number is a word
  assert_int_equal(tokens_of("naïve Überraschung", false), 2);
  assert_int_equal(tokens_of("한국어 낱말", false), 2);
  assert_int_equal(tokens_of("すし🍣", false), 3);
  assert_int_equal(tokens_of("\xE4\xB8", false), 2); // cut off within a character: bytes
  assert_int_equal(tokens_of("ab \t c ", true), 4);  // blanks between are one, at the end none
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_words), TRAINING_TEST(test_lengths),
                                     TRAINING_TEST(test_vocabulary), TRAINING_TEST(test_tokens)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
