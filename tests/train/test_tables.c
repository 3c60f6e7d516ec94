// SPDX-License-Identifier: Apache-2.0
// Tables that nothing can be learned of, or whose scores could not be told apart: said before any
// work, with the place. And what looks odd, but is right.
// Labels: asan
#include "training.h"

enum { ROWS = 24 };

// What is odd about a table of "x", "y" (a category), a weight and a key.
typedef struct oddity {
  const char *key, *input; // names; NULL = "id", "x"
  bool unlabelled, weightless, weightless_validation;
  bool apart;       // rows have a target or a weight, never both
  bool silent;      // there is another target, "z", that no training row has
  size_t key_bytes; // of the last one; 0 = few
} oddity;

static void add(co_dataset_writer *w, const char *name, co_column_type type, co_role role,
                const void *data) {
  static const char *const words[] = {"no", "yes"};
  co_column column = {.name = name,
                      .type = type,
                      .role = role,
                      .dtype = type == CO_COLUMN_CATEGORY ? CO_I32 : CO_F32,
                      .category_count = type == CO_COLUMN_CATEGORY ? 2 : 0,
                      .categories = words};
  assert_int_equal(co_dataset_writer_column(w, "t", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, data), CO_OK);
}

static co_status make(const char *path, const oddity *odd) {
  static float x[ROWS], z[ROWS], weight[ROWS];
  static int32_t y[ROWS];
  static uint8_t split[ROWS];
  static char text[ROWS][2000];
  const char *keys[ROWS];
  for (int r = 0; r < ROWS; r++) {
    split[r] = r % 4 == 3 ? 1 : r % 4 == 2 ? 2 : 0;
    x[r] = (float)(scramble((uint32_t)r) % 100);
    y[r] = odd->unlabelled && split[r] == 0 ? -1 : x[r] > 50;
    weight[r] = odd->weightless || (odd->weightless_validation && split[r] == 1) ? 0 : 1;
    if (odd->apart && r % 3) y[r] = -1;
    if (odd->apart && r % 3 == 0) weight[r] = 0;
    z[r] = split[r] == 0 ? NAN : 1;
    snprintf(text[r], sizeof text[r], "k%d", r);
    keys[r] = text[r];
  }
  if (odd->key_bytes) {
    memset(text[ROWS - 1], 'k', odd->key_bytes);
    text[ROWS - 1][odd->key_bytes] = '\0';
  }
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, path), CO_OK);
  co_status status =
      co_dataset_writer_texts(w, "t", odd->key ? odd->key : "id", CO_ROLE_KEY, keys, ROWS);
  if (status == CO_OK) {
    add(w, odd->input ? odd->input : "x", CO_COLUMN_NUMBER, CO_ROLE_INPUT, x);
    add(w, "y", CO_COLUMN_CATEGORY, CO_ROLE_TARGET, y);
    if (odd->silent) add(w, "z", CO_COLUMN_NUMBER, CO_ROLE_TARGET, z);
    add(w, "importance", CO_COLUMN_NUMBER, CO_ROLE_WEIGHT, weight);
    assert_int_equal(co_dataset_writer_samples(w, "t", ROWS, NULL, NULL, split), CO_OK);
    assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  }
  co_dataset_writer_free(w);
  co_context_free(ctx);
  return status;
}

static void trains(const oddity *odd, int wanted, const char *message) {
  make("t.h5", odd);
  write_text("c.yaml", "trainer: {max_epochs: 1, batch_size: 8}\n");
  remove_tree("run");
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "t.h5", .records = "records"};
  assert_int_equal(train_apart(&t), wanted);
  if (wanted) assert_false(co_path_exists("run"));
  if (message && !file_has("records", message)) fail_msg("not said: %s", message);
}

static void nothing_to_learn_or_to_measure(void **state) {
  (void)state;
  trains(&(oddity){.unlabelled = true}, CO_ERR_DATA, "no train row has a target");
  trains(&(oddity){.weightless = true}, CO_ERR_DATA, "no train row has a weight ('importance')");
  trains(&(oddity){.weightless_validation = true}, CO_ERR_DATA, "no validation row has a weight");
  trains(&(oddity){.apart = true}, CO_ERR_DATA,
         "no train row has a target and a weight above zero");
  trains(&(oddity){.silent = true}, 0, "no train row has the target 'z'");
  assert_false(file_has("records", "row has the target 'y'"));
}

// What predict or evaluate says of t.h5, which the model of `run` was not trained on.
static void scores(bool evaluate, cohort_status wanted, const char *message) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  cohort_predict_options predict = {.model = "run", .dataset = "t.h5", .output = "s.csv"};
  cohort_evaluate_options measure = {.model = "run", .dataset = "t.h5"};
  cohort_status status = evaluate ? cohort_evaluate(context, &measure, &result)
                                  : cohort_predict(context, &predict, &result);
  if (status != wanted || !strstr(cohort_result_json(result), message))
    fail_msg("%s", cohort_result_json(result));
  assert_false(co_path_exists("s.csv"));
  cohort_result_free(result);
  cohort_context_free(context);
}

static void names_in_the_table_of_scores(void **state) {
  (void)state;
  trains(&(oddity){.key = "y_score"}, CO_ERR_DATA, "two columns called 'y_score': the key's");
  trains(&(oddity){.key = "y:yes"}, CO_ERR_DATA, "two columns called 'y:yes'");
  trains(&(oddity){0}, 0, NULL);
  make("t.h5", &(oddity){.key = "y_score"});
  scores(false, CO_ERR_DATA, "y_score");
  make("t.h5", &(oddity){.weightless = true});
  scores(true, CO_ERR_DATA, "no test row has a weight");
}

static void long_keys(void **state) {
  (void)state;
  assert_int_equal(make("t.h5", &(oddity){.key_bytes = 1024}), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "row 23"));
  trains(&(oddity){.key_bytes = 1023}, 0, NULL);
}

// Inputs of the network are named after columns, and so are the weights of its targets.
static void an_input_named_like_a_weight(void **state) {
  (void)state;
  trains(&(oddity){.input = "y.weight"}, CO_ERR_CONFIG, "an input cannot be called 'y.weight'");
  trains(&(oddity){.input = "y.weights"}, 0, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(nothing_to_learn_or_to_measure),
      TRAINING_TEST(names_in_the_table_of_scores),
      TRAINING_TEST(long_keys),
      TRAINING_TEST(an_input_named_like_a_weight),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
