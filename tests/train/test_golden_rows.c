// SPDX-License-Identifier: Apache-2.0
// Golden rows: what a model keeps of its training rows, and that a model that is not what it was is
// found out by them.
#include "training.h"

#include <hdf5.h>

#include "host/eval/golden.h"

// Numbers, some missing; a category; dates; texts with quotes.
static void write_people(const char *path, int rows) {
  static const char *const plans[] = {"basic", "pro", "team"};
  FILE *out = fopen(path, "w");
  assert_non_null(out);
  fprintf(out, "id,plan,visits,since,note,bought\n");
  for (int i = 0; i < rows; i++) {
    unsigned x = scramble((uint32_t)i);
    fprintf(out, "K%d,%s,", i, plans[x % 3]);
    if (x % 11) fprintf(out, "%u", x / 7 % 40);
    fprintf(out, ",20%02u-%02u-%02u,\"likes \"\"%s\"\" of %u, and %u\",%s\n", x % 20, 1 + x % 12,
            1 + x % 28, x % 2 ? "shoes" : "hats", x / 3 % 50, x % 13, x % 3 == 1 ? "yes" : "no");
  }
  assert_int_equal(fclose(out), 0);
}

static int train_target(const char *run, const char *type, const char *more) {
  static const char *const target[] = {"bought"};
  const char *const set[] = {"trainer.max_epochs=1", "baselines=none", more};
  cohort_context *context;
  cohort_result *result;
  char schema[512];
  snprintf(schema, sizeof schema,
           "tables: {people: {columns: {id: {type: id, role: key},\n"
           "  plan: {type: category, role: input}, visits: {type: number, role: input},\n"
           "  since: {type: date, role: input}, note: {type: text, role: input},\n"
           "  bought: {type: %s, role: target}}}}\n",
           type);
  write_text("schema.yaml", schema);
  assert_int_equal(cohort_context_create(&context, NULL), 0);
  const cohort_train_options options = {.config = {.assignments = set, .assignment_count = 3},
                                        .dataset = "people.csv",
                                        .targets = target,
                                        .target_count = 1,
                                        .key = "id",
                                        .schema = "schema.yaml",
                                        .run_dir = run,
                                        .threads = 1};
  int status = cohort_train(context, &options, &result);
  cohort_result_free(result);
  cohort_context_free(context);
  return status;
}

static int train_table_with(const char *run, const char *more) {
  return train_target(run, "binary, positive: yes", more);
}

static int train_table(const char *run) {
  return train_table_with(run, "trainer.golden_rows=16");
}

static co_context *context;
static const char *precision;

static co_predictor *open_model(const char *path) {
  const co_predictor_options options = {
      .model = path, .device = "cpu", .threads = 1, .precision = precision};
  co_predictor *predictor;
  if (!context) assert_int_equal(co_context_create(&context, NULL), CO_OK);
  assert_int_equal(co_predictor_open(&predictor, context, &options), CO_OK);
  return predictor;
}

static void close_model(co_predictor *predictor) {
  co_predictor_close(predictor);
  assert_int_equal(co_alloc_get_stats(context).live_blocks, 0);
  co_context_free(context);
  context = NULL;
}

// Changes an array of the file as another program would.
static void tamper(const char *name, hid_t type, void *values, size_t first, size_t second) {
  hid_t file = H5Fopen("run/model.h5", H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t array = H5Dopen2(file, name, H5P_DEFAULT);
  size_t size = H5Tget_size(type);
  char kept[8], *bytes = values;
  assert_true(H5Dread(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
  memcpy(kept, bytes + first * size, size);
  memcpy(bytes + first * size, bytes + second * size, size);
  memcpy(bytes + second * size, kept, size);
  assert_true(H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
  assert_true(H5Aexists(array, "crc32c") <= 0 || H5Adelete(array, "crc32c") >= 0);
  H5Dclose(array);
  assert_true(H5Fclose(file) >= 0);
  FILE *stream = fopen("run/model.h5", "r+b"); // it is not ours any more: no checksum of the whole
  assert_non_null(stream);
  assert_int_equal(fwrite((const char[16]){0}, 1, 16, stream), 16);
  assert_int_equal(fclose(stream), 0);
}

static void replayed(const char *model, int64_t rows) {
  co_predictor *predictor = open_model(model);
  co_golden_result result;
  assert_int_equal(co_golden_replay(&result, predictor, "."), CO_OK);
  assert_int_equal(result.rows, rows);
  assert_true(result.difference <= 1e-5);
  assert_int_equal(count_temporaries("run"), 0);
  close_model(predictor);
}

static void refused(const char *model) {
  co_predictor *predictor = open_model(model);
  co_golden_result result;
  assert_int_equal(co_golden_replay(&result, predictor, "."), CO_ERR_GATE);
  assert_non_null(strstr(co_error_last()->message, "when the model was trained"));
  assert_int_equal(count_temporaries("run"), 0);
  close_model(predictor);
}

// A vocabulary in which two classes change places and come back, then edges of bins.
static void test_table(void **state) {
  int32_t rows[4];
  float edges[49];
  (void)state;
  write_people("people.csv", 300);
  assert_int_equal(train_table("run"), 0);
  replayed("run", 16);
  tamper("/cohort/preprocessing/plan/vocabulary", H5T_NATIVE_INT, rows, 1, 2);
  refused("run");
  tamper("/cohort/preprocessing/plan/vocabulary", H5T_NATIVE_INT, rows, 1, 2);
  replayed("run", 16);
  tamper("/cohort/preprocessing/visits/edges", H5T_NATIVE_FLOAT, edges, 3, 20);
  refused("run");
}

// Texts, where all is rounded much, too: of all that it may write nothing is likely any more.
static void test_texts(void **state) {
  static float shares[512];
  (void)state;
  write_people("people.csv", 300);
  assert_int_equal(train_target("run", "text", "trainer.max_epochs=6"), 0);
  replayed("run", 16);
  precision = "bf16";
  replayed("run", 16);
  for (size_t code = 3; code < 8; code++)
    tamper("/cohort/preprocessing/bought/log_share", H5T_NATIVE_FLOAT, shares, code, 100 + code);
  refused("run");
  precision = NULL;
  refused("run");
}

// Equal trainings keep equal rows; no key is among them.
static void test_bytes(void **state) {
  (void)state;
  write_people("people.csv", 60);
  assert_int_equal(train_table("run"), 0);
  assert_int_equal(train_table("again"), 0);
  assert_true(same_file("run/model.h5", "again/model.h5"));
  co_predictor *p = open_model("run");
  co_model_golden golden = {.rounding = 0};
  co_arena *arena;
  assert_int_equal(co_arena_create(&arena, context), CO_OK);
  assert_int_equal(co_model_file_read_golden(&golden, arena, p->path), CO_OK);
  assert_int_equal(co_golden_rows(&golden), 16);
  assert_true(golden.rounding == 1e-4);
  assert_int_equal(golden.inputs.count, 4);
  assert_non_null(co_model_arrays_find(&golden.inputs, "plan", "values"));
  assert_non_null(co_model_arrays_find(&golden.inputs, "note", "texts"));
  assert_null(co_model_arrays_find(&golden.inputs, "id", "values"));
  assert_null(co_model_arrays_find(&golden.inputs, "id", "texts"));
  // What was cut off is found before it is read.
  co_atomic_file file = {0};
  golden.scores.items[0].shape.dim[0] = 17;
  assert_int_equal(co_golden_write(&file, context, p->model, &golden, "x"), CO_ERR_MODEL);
  golden.scores.items[0].shape.dim[0] = 8;
  assert_int_equal(co_golden_write(&file, context, p->model, &golden, "x"), CO_ERR_MODEL);
  co_golden_free(&golden, context);
  co_arena_free(arena);
  close_model(p);
}

static bool holds(const char *path, const char *word) {
  size_t size = 0;
  char *bytes = read_whole(path, &size);
  assert_non_null(bytes);
  const size_t length = strlen(word);
  bool found = false;
  for (size_t i = 0; !found && i + length <= size; i++)
    found = memcmp(bytes + i, word, length) == 0;
  free(bytes);
  return found;
}

// Who wants no words of customers in a model leaves the rows out.
static void test_none(void **state) {
  (void)state;
  write_people("people.csv", 60);
  assert_int_equal(train_table("run"), 0);
  assert_int_equal(train_table_with("none", "trainer.golden_rows=0"), 0);
  assert_int_equal(train_table_with("few", "trainer.golden_rows=3"), 0);
  replayed("none", 0);
  replayed("few", 3);
  assert_true(holds("run/model.h5", "likes \"shoes\" of "));
  assert_false(holds("none/model.h5", "likes"));
  assert_int_equal(train_table_with("many", "trainer.golden_rows=17"), CO_ERR_CONFIG);
}

// Fewer than 16 training rows; images; several classes. A checkpoint has no golden rows.
static void test_images(void **state) {
  (void)state;
  make_images("images.h5", 15, 1);
  write_text("config.yaml", rich_config);
  const training t = {.run_dir = "run", .config = "config.yaml", .dataset = "images.h5"};
  assert_int_equal(train_here(&t), 0);
  replayed("run", 11);
  replayed("run/checkpoints/last.h5", 0);
}

// Products in bfloat16 may differ by more than those in float.
static void test_rounding(void **state) {
  (void)state;
  co_backend *backend;
  assert_int_equal(co_context_create(&context, NULL), CO_OK);
  assert_int_equal(co_ref_backend_open(&backend, context, NULL), CO_OK);
  assert_true(co_golden_rounding(backend, CO_PRECISION_TF32) == 1e-4);
  assert_true(co_golden_rounding(backend, CO_PRECISION_F32) == 1e-4);
  assert_true(co_golden_rounding(backend, CO_PRECISION_BF16) == 5e-2);
  backend->api->free(backend);
  co_context_free(context);
  context = NULL;
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_table),  TRAINING_TEST(test_texts),
                                     TRAINING_TEST(test_bytes),  TRAINING_TEST(test_none),
                                     TRAINING_TEST(test_images), TRAINING_TEST(test_rounding)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
