// SPDX-License-Identifier: Apache-2.0
// Several inputs, each with an encoder of its own, joined by the combiner: the label is only to be
// had from all of them, and only if the gradient reaches each encoder.
#include "tests/train/training.h"

#include "host/core/rng.h"

enum { ROWS = 3000, P = 8, Q = 6 };

static float draw(uint64_t i, const char *what) {
  uint32_t bits = co_random_bits(1, i, 0, co_purpose("test", what));
  return 2 * co_uniform_from_bits(bits) - 1;
}

static void write_column(co_dataset_writer *writer, const char *name, co_role role, int64_t length,
                         const void *data) {
  static const char *const words[] = {"no", "yes"};
  co_column column = {.name = name, .type = CO_COLUMN_NUMBER, .role = role, .dtype = CO_F32};
  if (length > 1) {
    column.type = CO_COLUMN_VECTOR;
    column.shape = co_shape_make(1, length);
  }
  if (role == CO_ROLE_TARGET) {
    column.type = CO_COLUMN_CATEGORY;
    column.dtype = CO_I32;
    column.category_count = 2;
    column.categories = words;
  }
  assert_int_equal(co_dataset_writer_column(writer, "things", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(writer, ROWS, data), CO_OK);
}

// label = (p along a direction + n > 0) xor (q along a direction > 0). An encoder that stays as it
// was drawn does not see these directions.
static void write_dataset(void) {
  co_context *ctx;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  static float p[ROWS][P], q[ROWS][Q], n[ROWS];
  static int32_t label[ROWS];
  static uint8_t split[ROWS];
  for (int r = 0; r < ROWS; r++) {
    float along_p = n[r] = draw((uint64_t)r, "n"), along_q = 0;
    for (int i = 0; i < P; i++) {
      p[r][i] = draw((uint64_t)(r * P + i), "p");
      along_p += i % 2 ? p[r][i] : -p[r][i];
    }
    for (int i = 0; i < Q; i++) {
      q[r][i] = draw((uint64_t)(r * Q + i), "q");
      along_q += i % 3 ? q[r][i] : -q[r][i];
    }
    label[r] = (along_p > 0) != (along_q > 0);
    split[r] = r < 2000 ? 0 : (r < 2500 ? 1 : 2);
  }
  co_dataset_writer *writer;
  assert_int_equal(co_dataset_writer_create(&writer, ctx, "data.h5"), CO_OK);
  write_column(writer, "p", CO_ROLE_INPUT, P, p);
  write_column(writer, "n", CO_ROLE_INPUT, 1, n);
  write_column(writer, "q", CO_ROLE_INPUT, Q, q);
  write_column(writer, "label", CO_ROLE_TARGET, 1, label);
  assert_int_equal(co_dataset_writer_samples(writer, "things", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(writer, NULL), CO_OK);
  co_dataset_writer_free(writer);
  co_context_free(ctx);
}

#define FEATURES                                                                                   \
  "input_features:\n"                                                                              \
  "  - {name: p, encoder: {type: graph, layers: [{Dense: 2}]}}\n"                                  \
  "  - {name: n}\n"                                                                                \
  "  - {name: q, encoder: {type: graph, layers: [{Dense: 3}]}}\n"                                  \
  "output_features: [{name: label}]\n"
// Frozen, or it would adapt to encoders that get each other's gradient.
#define JOINED "layers: [{Dense: {units: 32, activation: relu}, trainable: false}]"

static cohort_context *context_of(void) {
  cohort_context *context;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 2}), 0);
  return context;
}

static void test_training(void **state) {
  (void)state;
  write_dataset();
  write_text("config.yaml", FEATURES "combiner: {type: concat, " JOINED "}\n"
                                     "trainer: {max_epochs: 20, batch_size: 32, seed: 5,\n"
                                     "          optimizer: {type: adam}, learning_rate: 0.01}\n");
  const training run = {.run_dir = "run",
                        .config = "config.yaml",
                        .dataset = "data.h5",
                        .device = "cpu",
                        .threads = 2,
                        .records = "records"};
  if (train_here(&run) != 0) fail_msg("%s", read_whole("records", NULL));

  cohort_context *context = context_of();
  cohort_result *result;
  const char *const gates[] = {"accuracy>=0.95"};
  cohort_evaluate_options evaluate = {
      .model = "run", .dataset = "data.h5", .require = gates, .require_count = 1};
  cohort_status status = cohort_evaluate(context, &evaluate, &result);
  if (status != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
}

// What planning says about a combiner.
static void check_plan(cohort_context *context, const char *text, cohort_status wanted,
                       const char *message) {
  static const char *const files[] = {"config.yaml"};
  write_text(files[0], text);
  cohort_plan_options plan = {
      .config = {.files = files, .file_count = 1}, .dataset = "data.h5", .device = "cpu"};
  cohort_result *result;
  assert_int_equal(cohort_plan(context, &plan, &result), wanted);
  if (!strstr(cohort_result_json(result), message)) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
}

static void test_layer(void **state) {
  (void)state;
  write_dataset();
  cohort_context *context = context_of();
  check_plan(context, FEATURES "combiner: {type: concat}\n", 0, "combiner/join");
  check_plan(context,
             FEATURES "combiner: {type: graph, layers: [{Concatenate: {axis: -1}, "
                      "inputs: [q, p, q]}]}\n",
             0, "combiner/concatenate");
  check_plan(context,
             FEATURES "combiner: {type: graph, layers: [{Concatenate: {axis: 1}, "
                      "inputs: [p, q]}]}\n",
             3, "axis 1: only the last dimension");
  check_plan(context,
             FEATURES "combiner: {type: graph, layers: [{Concatenate: {}, inputs: [p]}]}\n", 3,
             "Concatenate takes at least 2 inputs, not 1");
  check_plan(context, FEATURES "combiner: {type: graph, layers: [{LSTM: 4, inputs: [p, q, p]}]}\n",
             3, "LSTM takes at most 2 inputs, not 3");
  // As many columns as tables have, of each combiner.
  char many[4096], list[1024] = "p";
  for (size_t length = 1; length < 900; length += 3)
    memcpy(list + length, ", p", sizeof ", p");
  static const char *const layers[] = {"Concatenate", "Add", "Multiply"};
  for (int i = 0; i < 3; i++) {
    snprintf(many, sizeof many,
             FEATURES "combiner: {type: graph, layers: [{%s: {}, inputs: [%s]}]}\n", layers[i],
             list);
    check_plan(context, many, 0, "combiner/");
  }
  cohort_context_free(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_training), TRAINING_TEST(test_layer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
