// SPDX-License-Identifier: Apache-2.0
// Parity with the reference: right kernels pass; differences planted into what the reference holds
// are found, and the first layer that has them is named.
// Wrap: co_store_write,--wrap=co_store_read,--wrap=co_ref_dense_f32,--wrap=co_ref_conv2d_f32,--wrap=co_ref_batch_norm_f32,--wrap=co_ref_batch_norm_inference_f32,--wrap=co_ref_add_f32,--wrap=co_ref_relu_f32,--wrap=co_ref_max_pool2d_f32,--wrap=co_ref_dense_backward_data_f32,--wrap=co_ref_dense_backward_weights_f32,--wrap=co_ref_conv2d_backward_data_f32,--wrap=co_ref_conv2d_backward_weights_f32,--wrap=co_ref_batch_norm_backward_f32,--wrap=co_ref_relu_backward_f32,--wrap=co_ref_max_pool2d_backward_f32,--wrap=co_ref_softmax_cross_entropy_f32
#include "training.h"

#include <stdarg.h>

#include "kernels/ref/ref.h"

enum { ROWS = 90 };

// A convolution with a bias before batch norm (its gradient is zero by construction), a residual
// block, pooling, dropout.
static const char config[] =
    "input_features:\n"
    "  - name: image\n"
    "    type: image\n"
    "    preprocessing: {normalization: zscore}\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, padding: same}, name: stem},\n"
    "      BatchNormalization, ReLU,\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, padding: same, use_bias: false}, name: block},\n"
    "      {Add: {}, inputs: [block, re_lu]}, ReLU, {MaxPooling2D: 2, name: pool},\n"
    "      {Conv2D: {filters: 4, kernel_size: 1, use_bias: false}, name: last},\n"
    "      {Add: {}, inputs: [last, pool]}, ReLU, Flatten,\n"
    "      {Dense: {units: 8, activation: relu}}, {Dropout: 0.3}]}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "trainer: {max_steps: 12, batch_size: 16, learning_rate: 0.01}\n";

// ---- planting ----------------------------------------------------------------------------------

// The double store's entry `name` is off by 1 % from here on: its values when they are written, or
// its gradient the first `reads` times that it is read.
static struct {
  const char *written, *gradient;
  int reads;
} planted;

static bool is_planted(const co_store *store, int64_t entry, const char *name) {
  return name && store->real == CO_F64 && strcmp(store->entries[entry].info.name, name) == 0;
}

static void spoil(const co_store *store, int64_t entry, double *values) {
  for (int64_t i = co_shape_count(&store->entries[entry].info.shape); i-- > 0;)
    values[i] *= 1.01;
}

co_status __real_co_store_write(co_store *store, int64_t entry, co_block block, const void *values);
co_status __wrap_co_store_write(co_store *store, int64_t entry, co_block block, const void *values);
co_status __wrap_co_store_write(co_store *store, int64_t entry, co_block block,
                                const void *values) {
  if (is_planted(store, entry, planted.written))
    spoil(store, entry, (double *)(uintptr_t)values); // the caller's own copy
  return __real_co_store_write(store, entry, block, values);
}

co_status __real_co_store_read(co_store *store, int64_t entry, co_block block, void *values);
co_status __wrap_co_store_read(co_store *store, int64_t entry, co_block block, void *values);
co_status __wrap_co_store_read(co_store *store, int64_t entry, co_block block, void *values) {
  co_status status = __real_co_store_read(store, entry, block, values);
  if (block == CO_BLOCK_GRADIENT && is_planted(store, entry, planted.gradient) &&
      planted.reads-- > 0)
    spoil(store, entry, values);
  return status;
}

// The operation in float whose first result is off by a thousandth, and how often it was; NULL = none.
static struct {
  const char *op;
  int runs;
} wrong;

static void make_wrong(const char *op, const co_op_desc *desc, void *const *out) {
  int result = desc->op == CO_OP_SOFTMAX_CROSS_ENTROPY ? 2 : 0; // its gradient
  float *values = out[result];
  if (!wrong.op || strcmp(op, wrong.op) != 0) return;
  wrong.runs++;
  for (int64_t i = co_shape_count(&desc->out[result].shape); i-- > 0;)
    values[i] *= 1.001f;
}

#define OPERATIONS(X)                                                                              \
  X(dense)                                                                                         \
  X(conv2d)                                                                                        \
  X(batch_norm)                                                                                    \
  X(batch_norm_inference)                                                                          \
  X(add)                                                                                           \
  X(relu)                                                                                          \
  X(max_pool2d)                                                                                    \
  X(dense_backward_data)                                                                           \
  X(dense_backward_weights)                                                                        \
  X(conv2d_backward_data)                                                                          \
  X(conv2d_backward_weights)                                                                       \
  X(batch_norm_backward)                                                                           \
  X(relu_backward)                                                                                 \
  X(max_pool2d_backward)                                                                           \
  X(softmax_cross_entropy)

#define WRAP(name)                                                                                 \
  co_ref_function __real_co_ref_##name##_f32, __wrap_co_ref_##name##_f32;                          \
  void __wrap_co_ref_##name##_f32(const co_op_desc *desc, void *const *in, void *const *out) {     \
    __real_co_ref_##name##_f32(desc, in, out);                                                     \
    make_wrong(#name, desc, out);                                                                  \
  }
OPERATIONS(WRAP)

// ---- verifying ---------------------------------------------------------------------------------

static void make_run(void) {
  memset(&planted, 0, sizeof planted);
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&t), 0);
}

// Asserts the status and that the result's JSON has the texts, up to NULL; nothing may leak.
static void verify(const cohort_verify_parity_options *options, int wanted, ...) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, NULL), 0);
  int status = cohort_verify_parity(context, options, &result);
  const char *json = cohort_result_json(result), *text;
  if (status != wanted) fail_msg("status %d: %s\n%s", status, cohort_result_text(result), json);
  va_list texts;
  va_start(texts, wanted);
  while ((text = va_arg(texts, const char *)))
    if (!strstr(json, text)) fail_msg("no %s in %s", text, json);
  va_end(texts);
  const char *largest = strstr(json, "\"largest\"");
  if (largest) print_message("%.30s\n", largest);
  if (largest && !wanted && !(options->tolerance > 0))
    assert_true(strtod(largest + strlen("\"largest\":"), NULL) < 1e-3);
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(context->ctx).live_blocks, 1); // the context itself
  cohort_context_free(context);
}

static void test_same(void **state) {
  (void)state;
  make_run();
  cohort_verify_parity_options o = {.model = "run", .dataset = "d.h5", .device = "cpu"};
  verify(&o, 0, "\"ok\":true", "\"rows\":16", "\"first\":null", "\"out_of_tolerance\":0",
         "\"stage\":\"training\",\"layer\":\"image/stem\",\"kind\":\"gradient\",\"name\":\"bias\"",
         "\"stage\":\"training\",\"layer\":\"image/dropout\",\"kind\":\"output\"",
         "\"stage\":\"inference\",\"layer\":\"label\",\"kind\":\"prediction\"", "\"kind\":\"loss\"",
         "\"kind\":\"statistic\",\"name\":\"moving_mean\"", NULL);
  o.device = "ref";
  verify(&o, 0, "\"device\":\"ref\"", NULL);
  o = (cohort_verify_parity_options){
      .model = "run", .dataset = "d.h5", .device = "cpu", .split = "test", .batch_size = 1000};
  verify(&o, 0, "\"rows\":15", NULL); // all there are
}

static void test_wrong_weights(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"image/stem/kernel", "\"first\":\"image/stem\""},
      {"image/batch_normalization/moving_variance", "\"first\":\"image/batch_normalization\""},
      {"image/block/kernel", "\"first\":\"image/block\""},
      {"image/dense/kernel", "\"first\":\"image/dense\""},
      {"label/logits/kernel", "\"first\":\"label/logits\""}};
  make_run();
  cohort_verify_parity_options o = {.model = "run", .dataset = "d.h5", .device = "cpu"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    planted.written = cases[i][0];
    verify(&o, CO_ERR_GATE, cases[i][1], "\"code\":\"gate\",\"exit\":10", "differs from", NULL);
  }
}

// One that stays is an error; one that does not recur in the next batch is a close choice.
static void test_wrong_gradient(void **state) {
  (void)state;
  make_run();
  cohort_verify_parity_options o = {
      .model = "run", .dataset = "d.h5", .device = "cpu", .batch_size = 8};
  planted.gradient = "image/block/kernel";
  planted.reads = 1000;
  verify(&o, CO_ERR_GATE, "\"first\":\"image/block\"", "\"out_of_tolerance\":1", "\"batches\":4",
         "'image/block': its gradient kernel in training differs", NULL);
  planted.reads = 7; // a batch: two in each of three draws of rounding, and one
  verify(&o, 0, "\"out_of_tolerance\":0", "\"batches\":2", NULL);
  o.tolerance = 0.5;
  planted.reads = 1000;
  verify(&o, 0, "\"batches\":1", NULL);
}

// A thousandth in any one operation is seen.
static void test_wrong_operation(void **state) {
  (void)state;
#define NAME(name) #name,
  static const char *const operations[] = {OPERATIONS(NAME)};
  make_run();
  cohort_verify_parity_options o = {.model = "run", .dataset = "d.h5", .device = "ref"};
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    wrong.op = operations[i];
    wrong.runs = 0;
    verify(&o, CO_ERR_GATE, "\"code\":\"gate\"", NULL);
    if (!wrong.runs) fail_msg("%s was not run", operations[i]);
  }
  wrong.op = NULL;
  verify(&o, 0, NULL);
}

// ---- what is nothing but rounding --------------------------------------------------------------

// One number far apart for two classes, taken as it is.
static void make_easy(const char *path, float gap) {
  static float x[ROWS];
  static int32_t y[ROWS];
  static uint8_t split[ROWS];
  static const char *const words[] = {"no", "yes"};
  co_context *ctx;
  co_dataset_writer *w;
  for (int r = 0; r < ROWS; r++) {
    y[r] = r % 2;
    x[r] = (y[r] ? gap : -gap) + (float)(scramble((uint32_t)r) % 1000) - 500;
    split[r] = r % 6 == 5;
  }
  co_column number = {
      .name = "x", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32};
  co_column category = {.name = "y",
                        .type = CO_COLUMN_CATEGORY,
                        .role = CO_ROLE_TARGET,
                        .dtype = CO_I32,
                        .category_count = 2,
                        .categories = words};
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, path), CO_OK);
  assert_int_equal(co_dataset_writer_column(w, "t", &number, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, x), CO_OK);
  assert_int_equal(co_dataset_writer_column(w, "t", &category, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, y), CO_OK);
  assert_int_equal(co_dataset_writer_samples(w, "t", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

static void verify_easy(float gap, const char *text) {
  make_easy("d.h5", gap);
  write_text("c.yaml", text);
  remove_tree("run");
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&t), 0);
  cohort_verify_parity_options o = {.model = "run", .dataset = "d.h5", .device = "cpu"};
  verify(&o, 0, NULL);
  o.device = "ref";
  verify(&o, 0, NULL);
}

static void test_loss_of_zero(void **state) {
  (void)state;
  verify_easy(2000, "input_features: [{name: x, preprocessing: {normalization: none}}]\n"
                    "trainer: {max_epochs: 20, batch_size: 16, learning_rate: 0.1}\n");
}

// The scale of a single number's kernel is lost in batch normalisation.
static void test_gradients_of_zero(void **state) {
  (void)state;
  verify_easy(100, "input_features: [{name: x, preprocessing: {normalization: none}}]\n"
                   "combiner: {type: concat, layers: [{Dense: {units: 8}}, BatchNormalization, "
                   "ReLU]}\n"
                   "trainer: {max_epochs: 20, batch_size: 16, learning_rate: 0.01}\n");
}

static void test_refusals(void **state) {
  (void)state;
  make_run();
  cohort_verify_parity_options o = {.model = "run", .dataset = "d.h5", .split = "tset"};
  verify(&o, CO_ERR_USAGE, NULL);
  o = (cohort_verify_parity_options){.model = "none", .dataset = "d.h5"};
  verify(&o, CO_ERR_MODEL, NULL);
  o = (cohort_verify_parity_options){.model = "run", .dataset = "none"};
  verify(&o, CO_ERR_DATA, NULL);
  o = (cohort_verify_parity_options){.model = "run", .dataset = "d.h5", .device = "tpu"};
  verify(&o, CO_ERR_DEVICE, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_same),           TRAINING_TEST(test_wrong_weights),
      TRAINING_TEST(test_wrong_gradient), TRAINING_TEST(test_wrong_operation),
      TRAINING_TEST(test_loss_of_zero),   TRAINING_TEST(test_gradients_of_zero),
      TRAINING_TEST(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
