// SPDX-License-Identifier: Apache-2.0
// Probabilities learned from outcomes of 0 and 1, some of them missing, and from shares; what is shown
// of them are probabilities, in float whatever the precision.
#include "tests/train/training.h"

#include "host/core/rng.h"

enum { ROWS = 4000, TRAINED = 3000, TESTED = 3200, P = 4 }; // training, first test row

static float p[ROWS][P], share[ROWS], bought[ROWS];

static void write_column(co_dataset_writer *writer, const char *name, co_column_type type,
                         co_role role, const void *data) {
  co_column column = {.name = name, .type = type, .role = role, .dtype = CO_F32};
  if (type == CO_COLUMN_VECTOR) column.shape = co_shape_make(1, (int64_t)P);
  assert_int_equal(co_dataset_writer_column(writer, "people", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(writer, ROWS, data), CO_OK);
}

// share = sigmoid(4 p · (1, -1, 1, -1)); bought with that probability.
static void write_dataset(void) {
  static uint8_t split[ROWS];
  co_context *ctx;
  co_dataset_writer *writer;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  for (int r = 0; r < ROWS; r++) {
    double along = 0;
    for (int i = 0; i < P; i++) {
      p[r][i] = 2 * co_uniform_from_bits(co_random_bits(1, (uint64_t)(r * P + i), 0, 1)) - 1;
      along += (double)(i % 2 ? -p[r][i] : p[r][i]);
    }
    share[r] = (float)(1 / (1 + exp(-4 * along)));
    bought[r] = co_uniform_from_bits(co_random_bits(1, (uint64_t)r, 0, 2)) < share[r];
    if (r % 7 == 3) bought[r] = NAN;
    split[r] = r < TRAINED ? 0 : r < TESTED ? 1 : 2;
  }
  assert_int_equal(co_dataset_writer_create(&writer, ctx, "data.h5"), CO_OK);
  write_column(writer, "p", CO_COLUMN_VECTOR, CO_ROLE_INPUT, p);
  write_column(writer, "share", CO_COLUMN_NUMBER, CO_ROLE_TARGET, share);
  write_column(writer, "bought", CO_COLUMN_NUMBER, CO_ROLE_TARGET, bought);
  assert_int_equal(co_dataset_writer_samples(writer, "people", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(writer, NULL), CO_OK);
  co_dataset_writer_free(writer);
  co_context_free(ctx);
}

// Log loss of the test rows under the true probabilities: of the shares, or of the outcomes.
static double true_loss(bool outcomes) {
  double sum = 0;
  int rows = 0;
  for (int r = TESTED; r < ROWS; r++) {
    double t = (double)(outcomes ? bought[r] : share[r]);
    if (isnan(t)) continue;
    sum -= t * log((double)share[r]) + (1 - t) * log1p(-(double)share[r]);
    rows++;
  }
  return sum / rows;
}

// No prediction of shares is better than the true one.
static void evaluate(cohort_context *context) {
  char of_shares[64], least[64], of_outcomes[64];
  snprintf(of_shares, sizeof of_shares, "share.log_loss<=%.6f", true_loss(false) + 0.01);
  snprintf(least, sizeof least, "share.log_loss>=%.6f", true_loss(false) - 1e-5);
  snprintf(of_outcomes, sizeof of_outcomes, "bought.log_loss<=%.6f", true_loss(true) + 0.03);
  const char *const gates[] = {of_shares, least, of_outcomes};
  cohort_evaluate_options options = {
      .model = "run", .dataset = "data.h5", .split = "test", .require = gates, .require_count = 3};
  cohort_result *result;
  if (cohort_evaluate(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
}

static void check_scores(cohort_context *context) {
  cohort_predict_options options = {
      .model = "run", .dataset = "data.h5", .split = "test", .output = "scores.csv"};
  cohort_result *result;
  if (cohort_predict(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  FILE *stream = fopen("scores.csv", "r");
  assert_non_null(stream);
  char line[256];
  int row = TESTED, distinct = 0;
  double before = -1;
  assert_non_null(fgets(line, sizeof line, stream)); // names
  for (; fgets(line, sizeof line, stream); row++) {
    char *value = strchr(line, ','), *end;
    assert_non_null(value);
    double shown = strtod(value + 1, &end);
    assert_int_equal(*end, ',');
    if (!(fabs(shown - (double)share[row]) < 0.05))
      fail_msg("row %d: %g, not %g: %s", row, shown, (double)share[row], line);
    distinct += shown != before;
    before = shown;
  }
  assert_int_equal(row, ROWS);
  assert_true(distinct > (ROWS - TESTED) * 9 / 10);
  fclose(stream);
}

static void test_training(void **state) {
  (void)state;
  write_dataset();
  for (int bf16 = 0; bf16 < 2; bf16++) {
    write_text(
        "config.yaml",
        "input_features: [{name: p}]\n"
        "output_features:\n"
        "  - {name: share, loss: {type: binary_cross_entropy}}\n"
        "  - {name: bought, loss: {type: binary_cross_entropy}}\n"
        "trainer: {max_epochs: 25, batch_size: 50, seed: 5, validation_metric: share.log_loss,\n"
        "          optimizer: {type: adam}, learning_rate: 0.05}\n");
    const training run = {.run_dir = "run",
                          .config = "config.yaml",
                          .dataset = "data.h5",
                          .device = "cpu",
                          .records = "records",
                          .set = {bf16 ? "trainer.precision=bf16" : "trainer.precision=32"}};
    if (train_here(&run) != 0) fail_msg("%s", read_whole("records", NULL));
    cohort_context *context;
    assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
    evaluate(context);
    check_scores(context);
    cohort_context_free(context);
    assert_int_equal(system("rm -rf run scores.csv"), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_training)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
