// SPDX-License-Identifier: Apache-2.0
// Files written by an earlier version (e825062/README.md) open for ever: its dataset and model score
// bit for bit on the reference and to 1e-5 on the CPU, its run goes on and ends as it would have.
#include "tests/train/training.h"

#include "host/config/config.h"
#include "host/core/h5.h"

#define GOLDEN COHORT_TEST_SOURCE_DIR "/tests/golden/e825062"
#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != CO_OK) fail_msg("%s: %s", #call, co_error_last()->message);                      \
  } while (0)

static const char dataset[] = GOLDEN "/dataset.h5", model[] = GOLDEN "/model.h5";

static void dataset_keeps_its_identity(void **unused) {
  (void)unused;
  co_context *ctx;
  co_dataset *d;
  OK(co_context_create(&ctx, NULL));
  OK(co_dataset_open(&d, ctx, dataset));
  assert_string_equal(co_dataset_fingerprint(d),
                      "fb2313aa0609a5f7dc5ff199cee8b51670cb2da583e07a4b47f4d6a750b29556");
  assert_int_equal(co_dataset_rows(d), 48);
  static const char *const names[] = {"image", "price", "margin", "embedding", "product",
                                      "label", "score", "weight", "visit"};
  const co_schema *schema = co_dataset_schema(d);
  assert_int_equal(schema->column_count, sizeof names / sizeof *names);
  for (int64_t i = 0; i < schema->column_count; i++)
    assert_string_equal(schema->columns[i].name, names[i]);
  char key[16];
  OK(co_dataset_key(d, 47, key, sizeof key));
  assert_string_equal(key, "5047");
  co_dataset_close(d);
  co_context_free(ctx);
}

// ---- scores ------------------------------------------------------------------------------------

static char *score(const char *device, const char *output) {
  cohort_context_options options = {.threads = 1};
  cohort_predict_options request = {
      .model = model, .dataset = dataset, .output = output, .device = device};
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, &options), 0);
  if (cohort_predict(context, &request, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
  char *scores = read_whole(output, NULL);
  assert_non_null(scores);
  return scores;
}

static void scores_are_equal_on_the_reference(void **unused) {
  (void)unused;
  char *golden = read_whole(GOLDEN "/scores.csv", NULL), *now = score("ref", "scores.csv");
  assert_string_equal(now, golden);
  free(golden);
  free(now);
}

// Goes through both texts: numbers may differ by 1e-5, relative where they are above 1; nothing else
// may. Returns how many numbers with a fraction there were.
static int assert_near(const char *now, const char *golden) {
  int fractions = 0;
  while (*golden) {
    char *end, *same;
    double value = strtod(golden, &end);
    if (end == golden || (*golden != '-' && (*golden < '0' || *golden > '9'))) {
      if (*now != *golden) fail_msg("'%.40s' instead of '%.40s'", now, golden);
      now++, golden++;
      continue;
    }
    double other = strtod(now, &same);
    if (!(fabs(value - other) <= 1e-5 * fmax(1, fabs(value))))
      fail_msg("%.9g instead of %.9g", other, value);
    fractions += value != floor(value);
    golden = end;
    now = same;
  }
  assert_int_equal(*now, '\0');
  return fractions;
}

static void scores_are_near_on_the_cpu(void **unused) {
  (void)unused;
  char *golden = read_whole(GOLDEN "/scores.csv", NULL), *now = score("cpu", "scores.csv");
  assert_int_equal(assert_near(now, golden), 48 * 5); // score, three classes and the best of a row
  free(golden);
  free(now);
}

// ---- going on ----------------------------------------------------------------------------------

static void copy(const char *name, const char *to) {
  char from[512];
  size_t length = 0;
  snprintf(from, sizeof from, GOLDEN "/run/%s", name);
  char *bytes = read_whole(from, &length);
  assert_non_null(bytes);
  FILE *stream = fopen(to, "wb");
  assert_non_null(stream);
  assert_int_equal(fwrite(bytes, 1, length, stream), length);
  assert_int_equal(fclose(stream), 0);
  free(bytes);
}

static void copy_run(void) {
  assert_int_equal(mkdir("run", 0777), 0);
  assert_int_equal(mkdir("run/checkpoints", 0777), 0);
  copy("config.full.yaml", "run/config.full.yaml");
  copy("metrics.jsonl", "run/metrics.jsonl");
  copy("step-00000003.h5", "run/checkpoints/step-00000003.h5");
  copy("stop-00000005.h5", "run/checkpoints/stop-00000005.h5");
}

// Every weight of the golden model is there by name, equal to the bit. Returns their number.
static int assert_same_weights(co_context *ctx, const char *path) {
  co_h5 *golden, *now;
  co_arena *arena;
  char **layers, **weights, at[512];
  int64_t layer_count, weight_count;
  int compared = 0;
  OK(co_arena_create(&arena, ctx));
  OK(co_h5_open(&golden, ctx, model, CO_ERR_MODEL));
  OK(co_h5_open(&now, ctx, path, CO_ERR_MODEL));
  OK(co_h5_get_strings(golden, "/model_weights", "layer_names", arena, &layers, &layer_count));
  for (int64_t i = 0; i < layer_count; i++) {
    snprintf(at, sizeof at, "/model_weights/%s", layers[i]);
    OK(co_h5_get_strings(golden, at, "weight_names", arena, &weights, &weight_count));
    for (int64_t k = 0; k < weight_count; k++, compared++) {
      co_h5_info info;
      snprintf(at, sizeof at, "/model_weights/%s/%s", layers[i], weights[k]);
      OK(co_h5_get_info(golden, at, &info));
      size_t bytes = (size_t)co_shape_count(&info.shape) * co_dtype_size(info.dtype);
      void *a = co_arena_alloc(arena, bytes, 1), *b = co_arena_alloc(arena, bytes, 1);
      OK(co_h5_read(golden, at, info.dtype, &info.shape, a));
      OK(co_h5_read(now, at, info.dtype, &info.shape, b));
      if (memcmp(a, b, bytes) != 0) fail_msg("%s differs", at);
    }
  }
  co_h5_abandon(golden);
  co_h5_abandon(now);
  co_arena_free(arena);
  return compared;
}

// Everything of `golden` is in `now`, with the same text; more may be.
static void assert_within(const co_node *now, const co_node *golden, const char *key) {
  if (!now || now->kind != golden->kind) fail_msg("'%s' is missing", key);
  if (golden->kind == CO_NODE_SCALAR) {
    if (strcmp(now->text, golden->text) != 0)
      fail_msg("%s: %s instead of %s", key, now->text, golden->text);
    return;
  }
  assert_int_equal(golden->kind, CO_NODE_MAP);
  for (int64_t i = 0; i < golden->count; i++)
    assert_within(co_node_get(now, golden->keys[i]), golden->items[i], golden->keys[i]);
}

// Compares line by line; a line of JSON is YAML. Returns the number of lines.
static int assert_same_metrics(co_context *ctx, const char *path) {
  char *golden = read_whole(GOLDEN "/metrics.jsonl", NULL), *now = read_whole(path, NULL);
  char *golden_rest, *now_rest;
  char *a = strtok_r(golden, "\n", &golden_rest), *b = strtok_r(now, "\n", &now_rest);
  int lines = 0;
  for (; a && b; lines++) {
    co_arena *arena;
    co_diagnostics problems;
    co_node *x, *y;
    OK(co_arena_create(&arena, ctx));
    co_diagnostics_init(&problems, ctx);
    OK(co_yaml_parse(&x, arena, "golden", a, strlen(a), &problems));
    OK(co_yaml_parse(&y, arena, "now", b, strlen(b), &problems));
    assert_within(y, x, "line");
    co_diagnostics_free(&problems);
    co_arena_free(arena);
    a = strtok_r(NULL, "\n", &golden_rest);
    b = strtok_r(NULL, "\n", &now_rest);
  }
  assert_true(!a && !b);
  free(golden);
  free(now);
  return lines;
}

static void the_run_goes_on_and_ends_as_it_would_have(void **unused) {
  (void)unused;
  co_context *ctx;
  copy_run();
  training t = {.resume = "run",
                .dataset = dataset,
                .device = "ref",
                .threads = 1,
                .workers = 2,
                .records = "records"};
  assert_int_equal(train_here(&t), 0);
  assert_true(file_has("records", "going on at step 5 of 12"));
  OK(co_context_create(&ctx, NULL));
  assert_int_equal(assert_same_weights(ctx, "run/model.h5"), 13);
  assert_int_equal(assert_same_metrics(ctx, "run/metrics.jsonl"), 16);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dataset_keeps_its_identity),
      TRAINING_TEST(scores_are_equal_on_the_reference),
      TRAINING_TEST(scores_are_near_on_the_cpu),
      TRAINING_TEST(the_run_goes_on_and_ends_as_it_would_have),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
