// SPDX-License-Identifier: Apache-2.0
// Attributions of trained models: they add up to the score's log-odds above the reference's, and are
// what is known of linear models and trees.
#include "people.h"

#include "host/eval/attribution.h"

static void train_people(const char *config, const char *run) {
  cohort_context *context;
  cohort_result *result;
  const char *const files[] = {"c.yaml"};
  write_text("c.yaml", config);
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_train_options options = {
      .config = {.files = files, .file_count = 1}, .dataset = "d.h5", .run_dir = run, .threads = 1};
  if (cohort_train(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
}

typedef struct explained {
  co_context *ctx;
  co_predictor *predictor;
  co_dataset *dataset;
  int64_t parts, rows;
  char names[16][16];
  double *shares, value[PEOPLE], reference[PEOPLE];
  float score[PEOPLE];
} explained;

static co_status take_shares(void *user, const co_attributed *rows) {
  explained *e = user;
  memcpy(e->shares + e->rows * e->parts, rows->shares,
         (size_t)(rows->rows * e->parts) * sizeof(double));
  memcpy(e->value + e->rows, rows->value, (size_t)rows->rows * sizeof(double));
  memcpy(e->reference + e->rows, rows->reference, (size_t)rows->rows * sizeof(double));
  for (int64_t i = 0; i < rows->rows; i++)
    assert_int_equal(rows->samples[i], e->rows + i);
  e->rows += rows->rows;
  return CO_OK;
}

static co_status take_scores(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  memcpy(((explained *)user)->score + samples[0], scores[0], (size_t)rows * sizeof(float));
  return CO_OK;
}

// All rows of the dataset; `workers` must not matter.
static void explain(explained *e, const char *run, int64_t steps, int workers) {
  static int64_t all[PEOPLE];
  const co_watch nobody = {.stop = NULL};
  const co_predictor_options options = {.model = run, .device = "cpu", .threads = 1};
  const co_attribution_options asked = {.class_ = -1, .steps = steps};
  co_attribution *attribution;
  *e = (explained){.rows = 0};
  for (int64_t i = 0; i < PEOPLE; i++)
    all[i] = i;
  assert_int_equal(co_context_create(&e->ctx, NULL), CO_OK);
  assert_int_equal(co_predictor_open(&e->predictor, e->ctx, &options), CO_OK);
  assert_int_equal(co_dataset_open(&e->dataset, e->ctx, "d.h5"), CO_OK);
  if (co_attribution_open(&attribution, e->predictor, &asked) != CO_OK)
    fail_msg("%s", co_error_last()->message);
  const co_encoded_part *parts = co_attribution_parts(attribution, &e->parts);
  for (int64_t i = 0; i < e->parts; i++)
    snprintf(e->names[i], sizeof e->names[i], "%s", parts[i].name);
  e->shares = calloc((size_t)(PEOPLE * e->parts), sizeof *e->shares);
  const co_attribution_run rows = {.samples = all,
                                   .count = PEOPLE,
                                   .workers = workers,
                                   .watch = &nobody,
                                   .sink = take_shares,
                                   .user = e};
  assert_int_equal(co_attribution_rows(attribution, e->dataset, &rows), CO_OK);
  assert_int_equal(e->rows, PEOPLE);
  const co_scoring_options scoring = {
      .watch = &nobody, .workers = 1, .stage = "score", .sink = take_scores, .user = e};
  assert_int_equal(e->predictor->class_->run(e->predictor, e->dataset, all, PEOPLE, &scoring),
                   CO_OK);
  co_attribution_close(attribution);
}

static void done(explained *e) {
  free(e->shares);
  co_predictor_close(e->predictor);
  co_dataset_close(e->dataset);
  assert_int_equal(co_alloc_get_stats(e->ctx).live_blocks, 0);
  co_context_free(e->ctx);
}

static double share(const explained *e, int64_t row, const char *name) {
  for (int64_t i = 0; i < e->parts; i++)
    if (strcmp(e->names[i], name) == 0) return e->shares[row * e->parts + i];
  fail_msg("no part is called %s", name);
  return 0;
}

// Scores are the log-odds that shares add up to, but for the `bound`.
static void adds_up(const explained *e, double bound) {
  for (int64_t row = 0; row < PEOPLE; row++) {
    const double p = (double)e->score[row];
    double sum = e->reference[row];
    for (int64_t i = 0; i < e->parts; i++)
      sum += e->shares[row * e->parts + i];
    if (!(fabs(sum - e->value[row]) <= bound * fmax(1, fabs(e->value[row]))))
      fail_msg("row %lld: shares add up to %g, not %g", (long long)row, sum, e->value[row]);
    assert_true(fabs(1 / (1 + exp(-e->value[row])) - p) <= 1e-5);
  }
}

static const char network[] =
    "input_features:\n"
    "  - {name: city}\n"
    "  - {name: device}\n"
    "  - {name: age, preprocessing: {encoding: piecewise_linear, bins: 8}}\n"
    "  - {name: spend, preprocessing: {encoding: piecewise_linear, bins: 8, missing: indicator}}\n"
    "  - {name: plain, column: spend, preprocessing: {missing: indicator}}\n"
    "  - {name: age2, column: age, type: number, preprocessing: {missing: indicator}}\n"
    "  - {name: wave, column: age, encoder: {type: periodic, embedding_size: 4}}\n"
    "  - {name: joined}\n"
    "  - {name: note, preprocessing: {buckets: 64}, encoder: {type: mlp, sizes: [4]}}\n"
    "combiner: {members: %d, layers: [{Dense: 16}, ReLU, LayerNormalization, "
    "{Dropout: 0.2},"
    " {CrossNetwork: 1}, BatchNormalization, {Dense: {units: 8, activation: gelu}}]}\n"
    "baselines: none\n"
    "trainer: {max_epochs: 6, batch_size: 32, learning_rate: 0.01, ema: %s}\n";

static void test_networks(void **state) {
  (void)state;
  char config[2048];
  write_table("t.csv");
  import_table();
  for (int members = 0; members < 4; members += 3) {
    explained one, other;
    snprintf(config, sizeof config, network, members, members ? "{decay: 0.9}" : "null");
    train_people(config, members ? "members" : "run");
    explain(&one, members ? "members" : "run", 0, 1);
    adds_up(&one, 0.03);
    assert_int_equal(one.parts, 6); // columns: several features are made of one
    assert_string_equal(one.names[2], "age");
    explain(&other, members ? "members" : "run", 0, 3);
    assert_memory_equal(one.shares, other.shares, (size_t)(PEOPLE * one.parts) * sizeof(double));
    done(&other);
    explain(&other, members ? "members" : "run", 1024,
            1); // kinks of relus: the error falls as 1 / steps
    adds_up(&other, 3e-3);
    done(&other);
    done(&one);
  }
}

static const char linear[] = "predictor: {type: %s}\n"
                             "input_features:\n"
                             "  - {name: age, preprocessing: {normalization: none}}\n"
                             "  - {name: device}\n";

// Of a number coefficient * (x - mean); of equal rows equal; and the mean over the training rows is 0.
static void test_linear(void **state) {
  (void)state;
  explained e;
  char config[512];
  write_table("t.csv");
  import_table();
  snprintf(config, sizeof config, linear, "linear");
  train_people(config, "run");
  explain(&e, "run", 0, 2);
  adds_up(&e, 1e-6);
  const int64_t *train;
  int64_t count;
  double age = 0, device = 0, slope = NAN;
  assert_int_equal(co_dataset_split(e.dataset, CO_SPLIT_TRAIN, &train, &count), CO_OK);
  for (int64_t i = 0; i < count; i++) {
    age += share(&e, train[i], "age");
    device += share(&e, train[i], "device");
  }
  assert_true(fabs(age) < 1e-6 && fabs(device) < 1e-6);
  for (uint32_t i = 1; i < PEOPLE; i++) {
    double x = i % 50 ? 18 + scramble(i + 1000) % 60 : 900;
    double y = 18 + scramble(1 + 1000) % 60; // of row 1
    if (fabs(x - y) < 1) continue;
    double own = (share(&e, i, "age") - share(&e, 1, "age")) / (x - y);
    if (isnan(slope)) slope = own;
    assert_true(fabs(own - slope) <= 1e-6 * fabs(slope));
  }
  assert_true(fabs(slope) > 1e-9);
  done(&e);
}

// Of an estimator: shares add up to its head's value, a function of what they are exact of.
static void adds_up_of(const char *type, double bound) {
  explained e;
  char config[512];
  snprintf(config, sizeof config, linear, type);
  train_people(config, type);
  explain(&e, type, 0, 2);
  adds_up(&e, bound);
  done(&e);
}

static void test_trees(void **state) {
  (void)state;
  if (co_estimator_find("boosted_trees")->find_library() != CO_OK) {
    print_message("NOT RUN: XGBoost is not installed\n");
    skip();
  }
  write_table("t.csv");
  import_table();
  adds_up_of("boosted_trees", 1e-4);
  adds_up_of("random_forest", 1e-4);
  adds_up_of("decision_tree", 1e-4);
}

static void test_svm(void **state) {
  (void)state;
  write_table("t.csv");
  import_table();
  adds_up_of("svm", 1e-6);
}

static void refused(const char *model, co_status wanted, int64_t class_, const char *words) {
  co_context *ctx;
  co_predictor *predictor;
  co_attribution *attribution;
  const co_predictor_options options = {.model = model, .device = "cpu", .threads = 1};
  const co_attribution_options asked = {.class_ = class_};
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_predictor_open(&predictor, ctx, &options), CO_OK);
  assert_int_equal(co_attribution_open(&attribution, predictor, &asked), wanted);
  assert_non_null(strstr(co_error_last()->message, words));
  assert_null(attribution);
  co_predictor_close(predictor);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

static void test_refused(void **state) {
  (void)state;
  char config[512];
  write_table("t.csv");
  import_table();
  snprintf(config, sizeof config, linear, "linear");
  train_people(config, "run");
  refused("run", CO_ERR_USAGE, 1, "no class 1");
  refused(COHORT_TEST_SOURCE_DIR "/tests/golden/e825062/model.h5", CO_ERR_MODEL, -1,
          "no mean of its training rows");
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_networks), TRAINING_TEST(test_linear),
                                     TRAINING_TEST(test_trees), TRAINING_TEST(test_svm),
                                     TRAINING_TEST(test_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
