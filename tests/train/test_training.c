// SPDX-License-Identifier: Apache-2.0
// Equal inputs give equal bytes whatever else differs; tables with several outputs, weights and
// missing targets train; contexts do not disturb each other; models are laid out for Keras.
// Timeout: 120
#include "training.h"

#include <pthread.h>

#include "host/core/h5.h"

enum { ROWS = 90, TABLE_ROWS = 120, VECTOR = 3 };

static void test_equal_bytes(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "first", .config = "c.yaml", .dataset = "d.h5", .workers = 1};
  assert_int_equal(train_apart(&t), 0);
  for (int workers = 1; workers <= 4; workers++) {
    t.run_dir = "again";
    t.workers = workers;
    assert_int_equal(train_apart(&t), 0);
    assert_string_equal(run_difference("first", "again"), "");
    remove_tree("again");
  }
  // From another folder, with other paths.
  char here[256];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(system("mkdir -p deep/er && cp d.h5 deep/copy.h5"), 0);
  assert_int_equal(chdir("deep/er"), 0);
  t = (training){.run_dir = "new/run/", .config = "../../c.yaml", .dataset = "../copy.h5"};
  assert_int_equal(train_apart(&t), 0);
  assert_int_equal(chdir(here), 0);
  assert_string_equal(run_difference("first", "deep/er/new/run"), "");
  char *metrics = read_whole("first/metrics.jsonl", NULL);
  assert_null(strstr(metrics, "time"));
  assert_null(strstr(metrics, "first"));
  free(metrics);
  // The rendered config says the same as the one it came from.
  t = (training){.run_dir = "rendered", .config = "first/config.full.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("first", "rendered"), "");
  t = (training){
      .run_dir = "seed", .config = "c.yaml", .dataset = "d.h5", .set = {"trainer.seed=7"}};
  assert_int_equal(train_apart(&t), 0);
  assert_false(same_file("first/model.h5", "seed/model.h5"));
  for (int threads = 1; threads <= 2; threads++) {
    const char *const runs[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
      t = (training){.run_dir = runs[i], .config = "c.yaml", .dataset = "d.h5", .threads = threads};
      assert_int_equal(train_apart(&t), 0);
    }
    assert_string_equal(run_difference("a", "b"), "");
    remove_tree("a");
    remove_tree("b");
  }
}

// ---- two at once -------------------------------------------------------------------------------

static void *train_in_thread(void *argument) {
  const training *t = argument;
  return (void *)(intptr_t)train_here(t);
}

static void test_two_contexts(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  make_images("e.h5", ROWS, 2);
  write_text("c.yaml", rich_config);
  training alone[] = {{.run_dir = "d", .config = "c.yaml", .dataset = "d.h5"},
                      {.run_dir = "e", .config = "c.yaml", .dataset = "e.h5"}};
  assert_int_equal(train_apart(&alone[0]), 0);
  assert_int_equal(train_apart(&alone[1]), 0);
  training both[] = {alone[0], alone[1]};
  both[0].run_dir = "d2";
  both[1].run_dir = "e2";
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    void *other;
    int code = pthread_create(&thread, NULL, train_in_thread, &both[1]);
    if (!code) code = train_here(&both[0]);
    pthread_join(thread, &other);
    _exit(code ? code : (int)(intptr_t)other);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(run_difference("d", "d2"), "");
  assert_string_equal(run_difference("e", "e2"), "");
}

// ---- evaluation in between ---------------------------------------------------------------------

// After every step, a finished model is measured on another data set, in a context of its own.
typedef struct between {
  cohort_context *context;
  int done, failed;
} between;

static void evaluate_between(void *user, const char *stage, const char *unit, int64_t done,
                             int64_t total, const char *detail) {
  between *b = user;
  (void)unit;
  (void)total;
  (void)detail;
  if (strcmp(stage, "train") != 0 || done <= 0) return;
  cohort_evaluate_options options = {
      .model = "d", .dataset = "e.h5", .split = "train", .device = "cpu", .batch_size = 7};
  cohort_result *result = NULL;
  b->failed += cohort_evaluate(b->context, &options, &result) != 0;
  b->done++;
  cohort_result_free(result);
}

static int train_with_evaluations(void) {
  between b = {0};
  cohort_context *context;
  cohort_context_options options = {
      .threads = 1, .progress = evaluate_between, .progress_user = &b};
  if (cohort_context_create(&b.context, NULL) || cohort_context_create(&context, &options))
    return 1;
  const char *const files[] = {"c.yaml"};
  cohort_train_options job = {.config = {.files = files, .file_count = 1},
                              .dataset = "d.h5",
                              .run_dir = "d3",
                              .threads = 1,
                              .device = "cpu"};
  cohort_result *result = NULL;
  int code = cohort_train(context, &job, &result);
  cohort_result_free(result);
  cohort_context_free(context);
  cohort_context_free(b.context);
  return code ? code : b.failed ? 2 : b.done < 5 ? 3 : 0;
}

static void test_evaluation_in_between(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  make_images("e.h5", ROWS, 2);
  write_text("c.yaml", rich_config);
  training alone = {.run_dir = "d", .config = "c.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&alone), 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(train_with_evaluations());
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(run_difference("d", "d3"), "");
}

// ---- scoring that is stopped ------------------------------------------------------------------

typedef struct stop_watch {
  int64_t rows; // after which it stops
  volatile int stop;
} stop_watch;

static void stop_at_rows(void *user, const char *stage, const char *unit, int64_t done,
                         int64_t total, const char *detail) {
  stop_watch *watch = user;
  (void)unit, (void)total, (void)detail;
  if (strcmp(stage, "predict") == 0 && done >= watch->rows) watch->stop = SIGTERM;
}

// Scores 7 rows at a time and stops after some; an output that was there stays as it was.
static void test_scoring_stopped(void **state) {
  (void)state;
  make_images("d.h5", 60, 1);
  write_text("c.yaml", "trainer: {max_epochs: 1}\n");
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&t), 0);
  write_text("old.csv", "old scores\n");
  for (int existing = 0; existing < 2; existing++) {
    stop_watch watch = {.rows = 21};
    cohort_context_options options = {
        .threads = 1, .progress = stop_at_rows, .progress_user = &watch, .stop = &watch.stop};
    cohort_context *context;
    cohort_result *result;
    assert_int_equal(cohort_context_create(&context, &options), 0);
    cohort_predict_options predict = {.model = "run",
                                      .dataset = "d.h5",
                                      .output = existing ? "old.csv" : "new.csv",
                                      .batch_size = 7,
                                      .force = existing};
    assert_int_equal(cohort_predict(context, &predict, &result), 143);
    assert_non_null(strstr(cohort_result_json(result), "no output was written"));
    cohort_result_free(result);
    cohort_context_free(context);
  }
  assert_true(access("new.csv", F_OK) != 0);
  assert_true(file_has("old.csv", "old scores\n"));
  assert_int_equal(count_temporaries("run"), 0);
}

// ---- a table -----------------------------------------------------------------------------------

static const char table_config[] =
    "input_features:\n"
    "  - {name: age, type: number, preprocessing: {normalization: zscore},\n"
    "     encoder: {type: mlp, sizes: [8]}}\n"
    "  - {name: taste, type: vector, encoder: {type: mlp, sizes: [8]}}\n"
    "combiner: {type: add}\n"
    "output_features:\n"
    "  - {name: buys, type: category, weight: 2}\n"
    "  - {name: amount, type: number}\n"
    "trainer:\n"
    "  max_epochs: 30\n"
    "  batch_size: 16\n"
    "  learning_rate: 0.01\n"
    "  validation_metric: buys.accuracy\n";

static void add(co_dataset_writer *writer, const char *name, co_column_type type, co_role role,
                co_dtype dtype, co_shape shape, const void *data) {
  static const char *const classes[] = {"no", "yes, \"now\""};
  co_column column = {.name = name, .type = type, .role = role, .dtype = dtype, .shape = shape};
  if (type == CO_COLUMN_CATEGORY) {
    column.categories = classes;
    column.category_count = 2;
  }
  assert_int_equal(co_dataset_writer_column(writer, "people", &column, TABLE_ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(writer, TABLE_ROWS, data), CO_OK);
}

static float missing_number(void) {
  return nanf("");
}

static void make_table(const char *path, bool missing_input) {
  static float age[TABLE_ROWS], taste[TABLE_ROWS][VECTOR], amount[TABLE_ROWS], weight[TABLE_ROWS];
  static int32_t buys[TABLE_ROWS];
  static uint8_t split[TABLE_ROWS];
  static char text[TABLE_ROWS][24];
  const char *keys[TABLE_ROWS], *names[TABLE_ROWS];
  for (uint32_t r = 0; r < TABLE_ROWS; r++) {
    snprintf(text[r], sizeof text[r], r % 3 ? "k%u" : "k,\"%u\"", r);
    keys[r] = text[r];
    names[r] = "somebody";
    age[r] = (float)(20 + scramble(r) % 50);
    for (uint32_t v = 0; v < VECTOR; v++)
      taste[r][v] = (float)(scramble(r * 8 + v) % 100) / 100;
    buys[r] = r % 11 == 3 ? -1 : age[r] > 45;
    amount[r] = r % 7 == 2 ? missing_number() : age[r] / 50 + taste[r][0];
    weight[r] = r % 5 ? 1 : 0.5f;
    split[r] = r % 6 == 4 ? 1 : r % 6 == 5 ? 2 : 0;
  }
  if (missing_input) age[12] = missing_number();
  co_context *ctx;
  co_dataset_writer *w;
  co_shape none = co_shape_make(0), vector = co_shape_make(1, VECTOR);
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, path), CO_OK);
  // A sample's own key comes before that of its entity.
  assert_int_equal(co_dataset_writer_texts(w, "people", "name", CO_ROLE_KEY, names, TABLE_ROWS),
                   CO_OK);
  add(w, "age", CO_COLUMN_NUMBER, CO_ROLE_INPUT, CO_F32, none, age);
  add(w, "taste", CO_COLUMN_VECTOR, CO_ROLE_INPUT, CO_F32, vector, taste);
  add(w, "buys", CO_COLUMN_CATEGORY, CO_ROLE_TARGET, CO_I32, none, buys);
  add(w, "amount", CO_COLUMN_NUMBER, CO_ROLE_TARGET, CO_F32, none, amount);
  add(w, "importance", CO_COLUMN_NUMBER, CO_ROLE_WEIGHT, CO_F32, none, weight);
  assert_int_equal(co_dataset_writer_samples(w, "people", TABLE_ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_texts(w, NULL, "id", CO_ROLE_KEY, keys, TABLE_ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

// Evaluates and scores in a child: the numbers that follow are in the files named.
static int score_apart(int64_t batch, const char *output) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    cohort_context *context;
    cohort_result *result;
    if (cohort_context_create(&context, &(cohort_context_options){.threads = 1}) != 0) _exit(90);
    cohort_predict_options predict = {
        .model = "run", .dataset = "t.h5", .output = output, .batch_size = batch};
    int code = cohort_predict(context, &predict, &result);
    if (code) fprintf(stderr, "%s\n", cohort_result_json(result));
    cohort_result_free(result);
    if (!code) {
      cohort_evaluate_options evaluate = {.model = "run", .dataset = "t.h5", .batch_size = batch};
      code = cohort_evaluate(context, &evaluate, &result);
      FILE *stream = fopen("evaluation.json", "w");
      fputs(cohort_result_json(result), stream);
      fclose(stream);
      cohort_result_free(result);
    }
    if (co_alloc_get_stats(context->ctx).live_blocks != 1) code = 99;
    _exit(code);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

static double number_after(const char *text, const char *key) {
  const char *at = strstr(text, key);
  assert_non_null(at);
  return strtod(at + strlen(key), NULL);
}

static void test_table(void **state) {
  (void)state;
  make_table("t.h5", false);
  write_text("c.yaml", table_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "t.h5", .records = "records"};
  int code = train_apart(&t);
  if (code) fail_msg("%s", read_whole("records", NULL));
  assert_false(file_has("run/metrics.jsonl", "null"));
  const int64_t sizes[] = {1, 7, 256};
  char *scores[3];
  for (int i = 0; i < 3; i++) {
    char path[32];
    snprintf(path, sizeof path, "scores-%d.csv", i);
    assert_int_equal(score_apart(sizes[i], path), 0);
    assert_non_null(scores[i] = read_whole(path, NULL));
  }
  char *evaluation = read_whole("evaluation.json", NULL);
  double accuracy = number_after(evaluation, "\"accuracy\":");
  assert_true(accuracy > 0.8);
  assert_true(number_after(evaluation, "\"mean_squared_error\":") < 0.2);
  char *rest[3], *line[3];
  for (int i = 0; i < 3; i++)
    line[i] = strtok_r(scores[i], "\n", &rest[i]);
  assert_string_equal(line[0], "id,buys,buys_score,buys:no,\"buys:yes, \"\"now\"\"\",amount");
  double right = 0, counted = 0;
  for (int r = 0; r < TABLE_ROWS; r++) {
    double p[3][4];
    char key[64];
    snprintf(key, sizeof key, r % 3 ? "k%d," : "\"k,\"\"%d\"\"\",", r);
    for (int i = 0; i < 3; i++) {
      assert_non_null(line[i] = strtok_r(NULL, "\n", &rest[i]));
      assert_memory_equal(line[i], key, strlen(key));
      bool yes = strstr(line[i] + strlen(key), "\"yes, \"\"now\"\"\",") == line[i] + strlen(key);
      const char *at = line[i] + strlen(key) + (yes ? strlen("\"yes, \"\"now\"\"\",") : 3);
      assert_int_equal(sscanf(at, "%lf,%lf,%lf,%lf", &p[i][0], &p[i][1], &p[i][2], &p[i][3]), 4);
      assert_true(fabs(p[i][1] + p[i][2] - 1) < 1e-5);
      assert_true(p[i][0] == p[i][yes ? 2 : 1]);
      for (int k = 0; k < 4; k++)
        assert_true(fabs(p[i][k] - p[0][k]) < 1e-5);
      if (i || r % 6 != 5 || r % 11 == 3) continue;
      double weight = r % 5 ? 1 : 0.5;
      counted += weight;
      right += yes == (20 + scramble((uint32_t)r) % 50 > 45) ? weight : 0;
    }
  }
  for (int i = 0; i < 3; i++) {
    assert_null(strtok_r(NULL, "\n", &rest[i]));
    free(scores[i]);
  }
  assert_true(fabs(right / counted - accuracy) < 1e-9);
  assert_int_equal(score_apart(7, "scores-0.csv"), CO_ERR_IO); // exists
  free(evaluation);
}

static void test_missing_input(void **state) {
  (void)state;
  make_table("t.h5", true);
  write_text("c.yaml", table_config);
  training t = {.run_dir = "run",
                .config = "c.yaml",
                .dataset = "t.h5",
                .records = "records",
                .set = {"input_features=[{name: age, preprocessing: {missing: refuse}}]"}};
  assert_int_equal(train_apart(&t), CO_ERR_DATA);
  assert_true(file_has("records", "column 'age', row 12"));
  assert_true(access("run", F_OK) != 0);
  t.set[0] = NULL; // filled in, since training rows lack values
  assert_int_equal(train_apart(&t), 0);
}

// ---- the file ----------------------------------------------------------------------------------

static void test_model_file(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .records = "records"};
  assert_int_equal(train_apart(&t), 0);
  co_context *ctx;
  co_arena *arena;
  co_h5 *file;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  assert_int_equal(co_h5_open(&file, ctx, "run/model.h5", CO_ERR_MODEL), CO_OK);
  char **layers, **names, path[256];
  int64_t layer_count, count, convolutions = 0, norms = 0, kernels = 0;
  assert_int_equal(
      co_h5_get_strings(file, "/model_weights", "layer_names", arena, &layers, &layer_count),
      CO_OK);
  for (int64_t i = 0; i < layer_count; i++) {
    snprintf(path, sizeof path, "/model_weights/%s", layers[i]);
    assert_int_equal(co_h5_get_strings(file, path, "weight_names", arena, &names, &count), CO_OK);
    for (int64_t k = 0; k < count; k++) {
      co_h5_info info;
      snprintf(path, sizeof path, "/model_weights/%s/%s", layers[i], names[k]);
      assert_int_equal(co_h5_get_info(file, path, &info), CO_OK);
      assert_int_equal(info.dtype, CO_F32);
      if (count == 4) { // batch normalization: trainable first
        static const char *const order[] = {"gamma", "beta", "moving_mean", "moving_variance"};
        assert_non_null(strstr(names[k], order[k]));
        norms++;
      } else if (k == 0 && info.shape.rank == 4) { // HWIO
        assert_int_equal(info.shape.dim[0], 3);
        assert_int_equal(info.shape.dim[1], 3);
        assert_int_equal(info.shape.dim[2], 1);
        assert_int_equal(info.shape.dim[3], 3);
        convolutions++;
      } else if (k == 0) { // (in, out); the head is the last
        assert_int_equal(info.shape.rank, 2);
        assert_int_equal(info.shape.dim[1], i == layer_count - 1 ? IMAGE_CLASSES : 8);
        kernels++;
      }
    }
  }
  assert_int_equal(convolutions, 1);
  assert_int_equal(norms, 4);
  assert_int_equal(kernels, 2);
  char *hex;
  assert_int_equal(co_h5_get_string(file, "/cohort", "weights_sha256", arena, &hex), CO_OK);
  assert_true(file_has("records", hex)); // what train said
  assert_int_equal(co_h5_close(file), CO_OK);
  co_arena_free(arena);
  co_context_free(ctx);
}

// ---- epochs ------------------------------------------------------------------------------------

typedef struct heard {
  cohort_epoch epoch[16];
  int count;
} heard;

static bool hear_epoch(void *user, const cohort_epoch *epoch) {
  heard *h = user;
  if (h->count == 16) return false;
  h->epoch[h->count] = *epoch;
  // Borrowed for this call.
  h->epoch[h->count++].metric = strcmp(epoch->metric, "accuracy") == 0 ? "accuracy" : "?";
  return false;
}

static double number_of(const char *line, const char *key) {
  const char *at = strstr(line, key);
  return at ? strtod(at + strlen(key), NULL) : NAN;
}

// What is said of an epoch is what metrics.jsonl says of it; 0, or what differs.
static int compare_epochs(const heard *h, char *records) {
  int validations = 0;
  char *rest = NULL;
  double best = -1, train_loss = NAN, rate = NAN;
  for (char *line = strtok_r(records, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    if (strstr(line, "\"split\":\"train\"")) {
      train_loss = number_of(line, "\"loss\":");
      rate = number_of(line, "\"learning_rate\":");
      continue;
    }
    if (validations == h->count) return 9;
    const cohort_epoch *e = &h->epoch[validations++];
    double accuracy = number_of(line, "\"accuracy\":");
    if ((double)e->step != number_of(line, "\"step\":")) return 10;
    if ((double)e->number != number_of(line, "\"epoch\":") + 1 || e->of != 4) return 11;
    if (e->train_loss != train_loss || e->learning_rate != rate) return 12;
    if (e->validation_loss != number_of(line, "\"loss\":")) return 13;
    if (strcmp(e->metric, "accuracy") != 0 || e->metric_value != accuracy) return 14;
    if (e->best != (accuracy > best)) return 15;
    if (!(e->rows_per_second > 0 && e->seconds > 0)) return 16;
    if (accuracy > best) best = accuracy;
  }
  return validations == 4 && h->count == 4 ? 0 : 17;
}

static int hear_epochs(void) {
  heard h = {.count = 0};
  cohort_context *context;
  cohort_context_options options = {.threads = 1, .epoch = hear_epoch, .epoch_user = &h};
  if (cohort_context_create(&context, &options)) return 1;
  const char *const files[] = {"c.yaml"};
  cohort_train_options job = {.config = {.files = files, .file_count = 1},
                              .dataset = "d.h5",
                              .run_dir = "d",
                              .threads = 1,
                              .device = "cpu"};
  cohort_result *result = NULL;
  int code = cohort_train(context, &job, &result);
  cohort_result_free(result);
  cohort_context_free(context);
  return code ? code : compare_epochs(&h, read_whole("d/metrics.jsonl", NULL));
}

static void test_epochs(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(hear_epochs());
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_equal_bytes),
      TRAINING_TEST(test_two_contexts),
      TRAINING_TEST(test_evaluation_in_between),
      TRAINING_TEST(test_table),
      TRAINING_TEST(test_scoring_stopped),
      TRAINING_TEST(test_missing_input),
      TRAINING_TEST(test_model_file),
      TRAINING_TEST(test_epochs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
