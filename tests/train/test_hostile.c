// SPDX-License-Identifier: Apache-2.0
// Model files that somebody made: whatever stands in them, it ends in an error of the model.
// Labels: asan
#include "training.h"

#include <hdf5.h>

#include "host/core/h5.h"
#include "host/core/hash.h"

enum { ROWS = 30, DEEP = 100, MANY = 1010, PIXELS = 36, WIDE = PIXELS * 8 * 8 * 8 * 3 };

#define IMAGE "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[6,6,1]}"
#define LABEL                                                                                      \
  "{\"name\":\"label\",\"type\":\"category\",\"role\":\"target\",\"shape\":[],\"categories\":"     \
  "[\"shoe\",\"bag\",\"coat, \\\"long\\\"\"]}"
#define SCHEMA "[" IMAGE "," LABEL "]"
#define CONFIG                                                                                     \
  "{\"input_features\":[{\"name\":\"image\",\"encoder\":{\"type\":\"passthrough\"}}],\"output_"    \
  "features\":[{\"name\":\"label\"}]"

static int64_t features = PIXELS; // that the last layer of the file reads

// A model file whose checksums are right, with the weights that CONFIG asks for.
static void forge(const char *config, const char *schema) {
  co_context *ctx;
  co_h5 *file;
  co_sha256 hash;
  char hex[65];
  const char *const texts[] = {config, schema, "data", "weights"};
  co_sha256_init(&hash);
  for (int i = 0; i < 4; i++)
    co_sha256_update(&hash, texts[i], strlen(texts[i]) + 1);
  co_sha256_final(&hash, hex);
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_h5_create(&file, ctx, "model.h5"), CO_OK);
  assert_int_equal(co_h5_make_group(file, "/cohort"), CO_OK);
  assert_int_equal(co_h5_set_int(file, "/cohort", "format_version", 1), CO_OK);
  assert_int_equal(co_h5_set_string(file, "/cohort", "dataset_fingerprint", "data"), CO_OK);
  assert_int_equal(co_h5_set_string(file, "/cohort", "weights_sha256", "weights"), CO_OK);
  assert_int_equal(co_h5_set_string(file, "/cohort", "checksum", hex), CO_OK);
  assert_int_equal(co_h5_write_strings(file, "/cohort/config", &config, 1), CO_OK);
  assert_int_equal(co_h5_write_strings(file, "/cohort/schema", &schema, 1), CO_OK);
  float one = 1;
  co_shape shape = co_shape_make(1, (int64_t)1);
  static const char *const statistics[] = {"mean", "scale"};
  for (int i = 0; i < 2; i++) {
    char path[64];
    snprintf(path, sizeof path, "/cohort/preprocessing/image/%s", statistics[i]);
    assert_int_equal(co_h5_write(file, path, CO_F32, &shape, &one, NULL, true), CO_OK);
  }
  static const float weights[WIDE * 3];
  co_shape kernel = co_shape_make(2, features, (int64_t)3), bias = co_shape_make(1, (int64_t)3);
  assert_int_equal(
      co_h5_write(file, "/model_weights/label/logits/kernel", CO_F32, &kernel, weights, NULL, true),
      CO_OK);
  assert_int_equal(
      co_h5_write(file, "/model_weights/label/logits/bias", CO_F32, &bias, weights, NULL, true),
      CO_OK);
  assert_int_equal(co_h5_close(file), CO_OK);
  co_context_free(ctx);
}

// Evaluates, scores and inspects the forged file in a child process. Inspecting may succeed.
static void check_refused(const char *config, const char *schema, const char *message) {
  forge(config, schema);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    cohort_context *context;
    cohort_result *result;
    if (cohort_context_create(&context, &(cohort_context_options){.threads = 1}) != 0) _exit(90);
    cohort_predict_options predict = {
        .model = "model.h5", .dataset = "d.h5", .output = "out.csv", .device = "cpu"};
    cohort_evaluate_options evaluate = {.model = "model.h5", .dataset = "d.h5", .device = "cpu"};
    int status = cohort_predict(context, &predict, &result);
    bool good = status == CO_ERR_MODEL && strstr(cohort_result_json(result), message);
    if (!good) fprintf(stderr, "%.3000s\n", cohort_result_json(result));
    cohort_result_free(result);
    good = cohort_evaluate(context, &evaluate, &result) == status && good;
    cohort_result_free(result);
    cohort_verify_parity_options verify = {.model = "model.h5", .dataset = "d.h5", .device = "cpu"};
    good = cohort_verify_parity(context, &verify, &result) == CO_ERR_MODEL && good;
    cohort_result_free(result);
    (void)cohort_inspect(context, "model.h5", &result);
    cohort_result_free(result);
    if (co_alloc_get_stats(context->ctx).live_blocks != 1) _exit(91);
    cohort_context_free(context);
    _exit(good ? 0 : 92);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (status != 0) fail_msg("status %x: %.500s\n%.500s", (unsigned)status, config, schema);
}

static void test_batch_size(void **state) {
  (void)state;
  static const char *const sizes[] = {"0", "-5", "16777217", "9000000000000000000", "[]", "x"};
  make_images("d.h5", ROWS, 1);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char config[400];
    snprintf(config, sizeof config,
             CONFIG ",\"trainer\":{\"eval_batch_size\":%s,\"batch_size\":%s}}", sizes[i], sizes[i]);
    check_refused(config, SCHEMA, "eval_batch_size");
  }
}

static void test_schema(void **state) {
  (void)state;
  static const char *const image[] = {
      "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[1048576,1048576,"
      "1048576]}",
      "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[1048577,1,1]}",
      "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[]}",
      "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[6,6,0]}",
      "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[6,6,-1]}",
      "{\"name\":\"image\",\"type\":\"image\",\"role\":\"input\",\"shape\":[6,6,1,1,1,1,1,1,1]}",
      "{\"name\":\"image\",\"type\":\"number\",\"role\":\"input\",\"shape\":[6,6,1]}",
      "{\"name\":\"image\",\"type\":\"vector\",\"role\":\"input\",\"shape\":[]}",
      "{\"name\":\"image\",\"type\":\"vector\",\"role\":\"input\",\"shape\":[4,4]}",
      "{\"name\":\"image\",\"type\":\"text\",\"role\":\"input\",\"shape\":[]}",
      "{\"name\":[],\"type\":{},\"role\":null}",
      "7",
      "[]"};
  static const char *const label[] = {
      "{\"name\":\"label\",\"type\":\"category\",\"role\":\"target\",\"shape\":[]}",
      "{\"name\":\"label\",\"type\":\"category\",\"role\":\"target\",\"shape\":[3],"
      "\"categories\":[\"shoe\",\"bag\",\"x\"]}",
      "{\"name\":\"label\",\"type\":\"category\",\"role\":\"target\",\"shape\":[],"
      "\"categories\":[[],{},null]}",
      "{\"name\":\"label\",\"type\":\"vector\",\"role\":\"target\",\"shape\":[]}",
      "{\"name\":\"label\",\"type\":\"vector\",\"role\":\"target\",\"shape\":[4,4]}",
      "{\"name\":\"label\",\"type\":\"number\",\"role\":\"target\",\"shape\":[1048576,1048576]}",
      "{\"name\":\"label\",\"type\":\"text\",\"role\":\"target\",\"shape\":[]}"};
  char schema[1000];
  make_images("d.h5", ROWS, 1);
  for (size_t i = 0; i < sizeof image / sizeof *image; i++) {
    snprintf(schema, sizeof schema, "[%s," LABEL "]", image[i]);
    check_refused(CONFIG "}", schema, "");
  }
  for (size_t i = 0; i < sizeof label / sizeof *label; i++) {
    snprintf(schema, sizeof schema, "[" IMAGE ",%s]", label[i]);
    check_refused(CONFIG "}", schema, "");
  }
  check_refused(CONFIG "}", "{}", "");
  check_refused(CONFIG "}", "", "");
  check_refused(CONFIG "}", "[]", "");
}

static void test_config(void **state) {
  (void)state;
  static char text[MANY * 40];
  make_images("d.h5", ROWS, 1);
  check_refused("", SCHEMA, "");
  check_refused("[]", SCHEMA, "");
  check_refused("{}", SCHEMA, "weights"); // valid: features are derived
  check_refused("{\"input_features\":[],\"output_features\":[]}", SCHEMA, "there is no input");
  check_refused("{\"input_features\":[7,[]],\"output_features\":[null]}", SCHEMA, "");
  check_refused("{\"output_features\":[{\"name\":\"label\"},{\"name\":\"label\"}]}", SCHEMA,
                "twice");
  for (int i = 0; i < DEEP; i++)
    text[i] = '[', text[2 * DEEP - 1 - i] = ']';
  text[2 * DEEP] = '\0';
  check_refused(text, SCHEMA, "damaged");
  snprintf(text, sizeof text, "{\"input_features\":[");
  for (int i = 0; i < MANY; i++)
    snprintf(text + strlen(text), 40, "{\"name\":\"none%d\"},", i);
  snprintf(text + strlen(text), 40, "]}");
  check_refused(text, SCHEMA, "1000 mistakes");
}

// Layers that are legal one by one, and too large together.
static void test_sizes(void **state) {
  (void)state;
  static const char *const layers[] = {
      "{Dense: 16777216}, {Dense: 16777216}, {Dense: 16777216}",
      "{Conv2D: {filters: 1048576, kernel_size: 13, padding: same}}, {Conv2D: {filters: 1048576, "
      "kernel_size: 13, padding: same}}, Flatten, {Dense: 16777216}",
  };
  make_images("d.h5", ROWS, 1);
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
    char config[600];
    snprintf(config, sizeof config,
             "{input_features: [{name: image, encoder: {type: graph, layers: [%s%s]}}]}",
             i ? "" : "Flatten, ", layers[i]);
    check_refused(config, SCHEMA, "");
  }
}

static void check_predict(int wanted, const char *message) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  cohort_predict_options predict = {
      .model = "model.h5", .dataset = "d.h5", .output = "out.csv", .device = "cpu"};
  int status = cohort_predict(context, &predict, &result);
  if (status != wanted || !strstr(cohort_result_json(result), message))
    fail_msg("%d, not %d with '%s': %s", status, wanted, message, cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
  assert_true(access("out.csv", F_OK) != 0);
}

// A weight that was never written is as large as it says, in a file of some bytes.
static void test_unwritten_weights(void **state) {
  (void)state;
  static const hsize_t extent[] = {PIXELS, 10000000};
  make_images("d.h5", ROWS, 1);
  forge("{input_features: [{name: image, encoder: {type: graph, layers: [Flatten, "
        "{Dense: {units: 10000000, use_bias: false}}]}}]}",
        SCHEMA);
  hid_t file = H5Fopen("model.h5", H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t space = H5Screate_simple(2, extent, NULL), links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  hid_t kernel = H5Dcreate2(file, "/model_weights/image/dense/kernel", H5T_IEEE_F32LE, space, links,
                            H5P_DEFAULT, H5P_DEFAULT);
  assert_true(kernel >= 0);
  assert_true(H5Dclose(kernel) >= 0 && H5Sclose(space) >= 0 && H5Pclose(links) >= 0);
  assert_true(H5Fclose(file) >= 0);
  check_predict(CO_ERR_MODEL, "has 360000000 values, but stores 0 bytes");
}

// Layers without weights and a batch size of the file's choice.
static void test_huge_activations(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  features = WIDE;
  forge("{input_features: [{name: image, encoder: {type: graph, layers: [{Flatten: {}, name: a}, "
        "{Concatenate: {}, name: b, inputs: [a, a, a, a, a, a, a, a]}, "
        "{Concatenate: {}, name: c, inputs: [b, b, b, b, b, b, b, b]}, "
        "{Concatenate: {}, name: d, inputs: [c, c, c, c, c, c, c, c]}, "
        "{Concatenate: {}, name: e, inputs: [d, d, d]}]}}], trainer: {eval_batch_size: 16777216}}",
        SCHEMA);
  features = PIXELS;
  check_predict(CO_ERR_MEMORY, "layer 'image/e' with 3.4 TiB for 16777216 rows");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_batch_size),
      TRAINING_TEST(test_schema),
      TRAINING_TEST(test_config),
      TRAINING_TEST(test_sizes),
      TRAINING_TEST(test_unwritten_weights),
      TRAINING_TEST(test_huge_activations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
