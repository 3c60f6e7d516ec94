// SPDX-License-Identifier: Apache-2.0
// Mistakes in configs and calls: each is said where it was made, under the status that is returned.
// Labels: asan
#include "training.h"

#include "host/core/memory.h"

enum { ROWS = 60 };

static cohort_context *context_of(void) {
  cohort_context *context;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  return context;
}

// What planning says about a config; `message` NULL = nothing.
static void check_plan(const char *dataset, const char *text, cohort_status wanted,
                       const char *message) {
  static const char *const files[] = {"c.yaml"};
  write_text(files[0], text);
  cohort_plan_options options = {
      .config = {.files = files, .file_count = 1}, .dataset = dataset, .device = "cpu"};
  cohort_context *context = context_of();
  cohort_result *result;
  cohort_error error;
  cohort_status status = cohort_plan(context, &options, &result);
  if (status != wanted || (message && !strstr(cohort_result_json(result), message)))
    fail_msg("%s\n%s", text, cohort_result_json(result));
  if (status != 0) {
    assert_true(cohort_result_error(result, 0, &error));
    if (error.status != status) fail_msg("%s\n%s", text, cohort_result_json(result));
  }
  cohort_result_free(result);
  cohort_context_free(context);
}

static void test_output_twice(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_plan("d.h5",
             "input_features: [{name: image}]\n"
             "output_features: [{name: label}, {name: label}]\n",
             CO_ERR_CONFIG, "output_features[1]: 'label' is listed twice");
}

// Of two mistakes the one that ended the call leads, and neither is lost.
static void test_two_kinds(void **state) {
  (void)state;
  static const char text[] = "trainer: {max_epoch: 3}\n";
  check_plan("missing.h5", text, CO_ERR_DATA, "missing.h5");
  check_plan("missing.h5", text, CO_ERR_DATA, "did you mean trainer.max_epochs?");
}

// What is wrong beyond what can be listed is still wrong.
static void test_a_thousand(void **state) {
  (void)state;
  static char text[64 * 1100] = "input_features:\n";
  make_images("d.h5", ROWS, 1);
  for (int i = 0; i < 1010; i++)
    snprintf(text + strlen(text), 64, "  - {name: none%d}\n", i);
  snprintf(text + strlen(text), 64, "output_features: [{name: label}]\n");
  check_plan("d.h5", text, CO_ERR_CONFIG, "no column 'none0'");
}

static const char model[] = "input_features: [{name: image}]\n"
                            "output_features: [{name: label}]\n";

static void check_trainer(const char *trainer, cohort_status wanted, const char *message) {
  char text[512];
  snprintf(text, sizeof text, "%strainer: {%s}\n", model, trainer);
  check_plan("d.h5", text, wanted, message);
}

static void test_optimizer(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_trainer("optimizer: {}", 0, NULL);
  check_trainer("optimizer: {beta1: 0.8}", 0, NULL); // of the default, adam
  check_trainer("optimizer: {type: null, beta1: 0.8}", 0, NULL);
  check_trainer("optimizer: {momentum: 0.8}", CO_ERR_CONFIG, "trainer.optimizer.momentum");
  check_trainer("optimizer: {type: [sgd]}", CO_ERR_CONFIG, "trainer.optimizer.type");
  check_trainer("optimizer: sgd", CO_ERR_CONFIG, "trainer.optimizer: must be a map");
}

static void test_schedule(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_trainer("learning_rate_scheduler: {minimum_fraction: 0.1}", CO_ERR_CONFIG,
                "trainer.learning_rate_scheduler.minimum_fraction: without a decay");
  check_trainer("learning_rate_scheduler: {decay: none, minimum_fraction: 0.1}", CO_ERR_CONFIG,
                "add decay: cosine");
  check_trainer("learning_rate_scheduler: {decay: linear, minimum_fraction: 0.1}", 0, NULL);
  check_trainer("learning_rate_scheduler: {minimum_fraction: 0.0}", 0, NULL);
  check_trainer("learning_rate_scheduler: {decay: step}", CO_ERR_CONFIG,
                "trainer.learning_rate_scheduler.decay_steps: is required of this decay");
  check_trainer("learning_rate_scheduler: {decay: exponential, decay_steps: 9}", 0, NULL);
  check_trainer("learning_rate_scheduler: {decay: cosine, decay_steps: 9}", CO_ERR_CONFIG,
                "this decay has none");
  check_trainer(
      "learning_rate_scheduler: {decay: cosine_restarts, decay_steps: 9, restart_factor: 2}", 0,
      NULL);
  check_trainer("learning_rate_scheduler: {decay: cosine_restarts}", CO_ERR_CONFIG,
                "decay_steps: is required");
  check_trainer("learning_rate_scheduler: {decay: polynomial, power: 2}", 0, NULL);
  check_trainer("learning_rate_scheduler: {decay: cosine, power: 2}", CO_ERR_CONFIG,
                "power: this decay has none");
  check_trainer("learning_rate_scheduler: {decay: step, decay_steps: 9, restart_factor: 2}",
                CO_ERR_CONFIG, "restart_factor: this decay has none");
  check_trainer("learning_rate_scheduler: {decay: one_cycle, warmup_fraction: 0.1}", CO_ERR_CONFIG,
                "one_cycle has a warm-up and an end of its own");
  check_trainer("learning_rate_scheduler: {decay: plateau, patience: 2, minimum_fraction: 0.01}", 0,
                NULL);
  check_trainer("on_nan: ignore", CO_ERR_CONFIG, "stop, skip, rollback");
}

static void test_param_groups(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_trainer("param_groups: [{params: [image, 'label/*'], lr: 0.1}]", 0,
                "\"learning_rate_factor\":100");
  check_trainer("param_groups: [{params: ['*/bias'], trainable: false}, {params: [label]}]", 0,
                NULL);
  check_trainer("param_groups: [{params: [labels]}]", CO_ERR_CONFIG,
                "[0].params: no parameter or layer is called 'labels'");
  check_trainer("param_groups: [{params: [imgae]}]", CO_ERR_CONFIG, "did you mean 'image'?");
  check_trainer("param_groups: [{params: ['*']}, {params: [label]}]", CO_ERR_CONFIG,
                "[1].params: groups before it have them all");
  check_trainer("param_groups: [{params: label}]", CO_ERR_CONFIG, "must be a list of names");
  check_trainer("param_groups: {params: [label]}", CO_ERR_CONFIG, "must be a list of groups");
  check_trainer("param_groups: [{params: [label], weight_decay: 0.1}]", CO_ERR_CONFIG,
                "the trainer's optimizer has none");
  check_trainer("learning_rate: 0, param_groups: [{params: [label], lr: 0.1}]", CO_ERR_CONFIG,
                "the trainer's, which the schedule moves, is 0");
  check_trainer("param_groups: [{params: ['*'], trainable: false}]", CO_ERR_CONFIG,
                "there is no parameter to train");
}

// What another program calls a loss leads to its name here.
static void test_losses(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"mse", "did you mean 'mean_squared_error'?"},
      {"cross_entropy", "did you mean 'softmax_cross_entropy'?"},
      {"mean_square_error", "did you mean 'mean_squared_error'?"},
      {"bce", "did you mean 'binary_cross_entropy'?"},
      {"BCEWithLogits", "did you mean 'binary_cross_entropy'?"},
      {"triplet", "known: softmax_cross_entropy, sampled_softmax, binary_cross"},
      {"hinge", "does not fit the category target"},
      {"binary_cross_entropy", "does not fit the category target"},
      {"mean_squared_error", "does not fit the category target"}};
  make_images("d.h5", ROWS, 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[200];
    snprintf(text, sizeof text, "output_features: [{name: label, loss: {type: %s}}]\n",
             cases[i][0]);
    check_plan("d.h5", text, CO_ERR_CONFIG, cases[i][1]);
  }
}

// The path of an error is where it stands in the file.
static void test_paths_of_layers(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_plan(
      "d.h5",
      "output_features: [{name: label, decoder: {type: graph, layers: [{Dense: {unit: 3}}]}}]",
      CO_ERR_CONFIG, "output_features.label.decoder.layers[0].Dense.unit: unknown key");
  check_plan("d.h5", "combiner: {type: concat, layers: [{Dense: {unit: 3}}]}", CO_ERR_CONFIG,
             "combiner.layers[0].Dense.unit: unknown key");
}

// An unknown metric is answered with those that the model has.
static void test_metrics(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", "trainer: {max_epochs: 1, validation_metric: label.loss}\n");
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .records = "records"};
  assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
  assert_true(file_has("records", "no output has a metric 'label.loss'"));
  assert_true(file_has("records",
                       "known: loss, label.log_loss, label.accuracy, label.macro_f1, "
                       "label.macro_precision, label.macro_recall, label.weighted_precision, "
                       "label.weighted_f1, label.roc_auc; the output may"));
  t.set[0] = "trainer.validation_metric=label.log_loss";
  assert_int_equal(train_apart(&t), 0);
  // Before any work, whatever other gates say.
  static const char *const gates[] = {"accuracy>2", "label.loss<1"};
  cohort_context *context = context_of();
  cohort_result *result;
  cohort_evaluate_options evaluate = {
      .model = "run", .dataset = "d.h5", .require = gates, .require_count = 2};
  assert_int_equal(cohort_evaluate(context, &evaluate, &result), CO_ERR_USAGE);
  assert_int_equal(cohort_result_error_count(result), 1);
  assert_non_null(strstr(cohort_result_json(result), "known: loss, label.log_loss"));
  assert_null(strstr(cohort_result_json(result), "\"metrics\""));
  cohort_result_free(result);
  evaluate.require_count = 1;
  assert_int_equal(cohort_evaluate(context, &evaluate, &result), CO_ERR_GATE);
  cohort_result_free(result);
  cohort_context_free(context);
}

static void test_dataset_section(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_plan(NULL, "dataset: {path: d.h5}\n", 0, NULL);
  check_plan("d.h5", "dataset: {pth: d.h5}\n", CO_ERR_CONFIG, "did you mean dataset.path?");
  check_plan("d.h5", "dataset: d.h5\n", CO_ERR_CONFIG, "dataset: expected a section of keys");
}

static void check_layers(const char *layers, cohort_status wanted, const char *message) {
  char text[4400];
  snprintf(text, sizeof text,
           "input_features: [{name: image, encoder: {type: graph, layers: [Flatten, %s]}}]\n"
           "output_features: [{name: label}]\n",
           layers);
  check_plan("d.h5", text, wanted, message);
}

// Names of layers become names in model files.
static void test_layer_names(void **state) {
  (void)state;
  static const char *const bad[] = {"a/kernel", "/", "''", ".", "..", "\"a\\tb\"", "[a]"};
  make_images("d.h5", ROWS, 1);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char layers[200];
    snprintf(layers, sizeof layers, "{Dense: 4, name: %s}", bad[i]);
    check_layers(layers, CO_ERR_CONFIG, "layers[1].name: ");
    snprintf(layers, sizeof layers, "{Dense: 64, name: b}, {shared: b, name: %s}", bad[i]);
    check_layers(layers, CO_ERR_CONFIG, "layers[2].name: ");
  }
  char longest[400];
  snprintf(longest, sizeof longest, "{Dense: 4, name: %0256d}", 0);
  check_layers(longest, CO_ERR_CONFIG, "layers[1].name: ");
  check_layers("{Dense: 4, name: 'Größe 1'}", 0, "image/Größe 1");
  check_layers("{Dense: 4, name: null}", 0, "image/dense");
}

// Whatever stands beside `shared:` is either used or refused.
static void test_shared_layers(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  check_layers("{Dense: 36, name: a}, {shared: a}", 0, NULL);
  check_layers("{Dense: 36, name: a}, {shared: a, name: b}, {Dense: 2, inputs: [b]}", 0, NULL);
  check_layers("{Dense: 36, name: a}, {shared: a, Dense: 8}", CO_ERR_CONFIG,
               "layers[2].Dense: unknown key");
  check_layers("{Dense: 36, name: a}, {shared: a, name: a}", CO_ERR_CONFIG,
               "layers[2]: the name 'a' is taken");
  check_layers("{Dense: 36, name: a}, {shared: a, trainable: false}", CO_ERR_CONFIG,
               "layers[2].trainable: belongs to the first call");
  check_layers("{Dense: 36, name: a}, {shared: a, group: 1}", CO_ERR_CONFIG,
               "layers[2].group: belongs to the first call");
}

// Sizes that no machine has, and that no integer holds.
static void test_too_large(void **state) {
  (void)state;
  char layers[4000];
  make_images("d.h5", ROWS, 1);
  snprintf(layers, sizeof layers, "{Dense: 8, name: a0}");
  for (int i = 1; i < 25; i++)
    snprintf(layers + strlen(layers), 160,
             ", {Concatenate: {}, name: a%d, inputs: [a%d, a%d, a%d, a%d, a%d, a%d, a%d, a%d]}", i,
             i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
  check_layers(layers, CO_ERR_CONFIG, "too large");
  check_layers("{Dense: 16777216}, {Dense: 16777216}", CO_ERR_CONFIG, "too large");
}

// A plan that the machine has no memory for ends before any is taken, with what it needs, where and
// the way out.
static void test_too_little_memory(void **state) {
  (void)state;
  static const struct {
    const char *layers, *trainer, *message, *way_out;
  } cases[] = {
      {"{Dense: 30000, name: wide}", "eval_batch_size: 16000000", "layer 'image/wide' with 1.7 TiB",
       "lower trainer.eval_batch_size"},
      {"{Dense: 200000, name: wide}", "eval_batch_size: 16000000", "'image/wide",
       "eval_batch_size"},
      {"{Dense: 1000000}, {Dense: 64000, name: next}, {Dense: 1000000}, {Dense: 64000}",
       "batch_size: 2", "layer 'image/next' with 238.4 GiB", "use fewer units"},
  };
  if (co_memory_limit(NULL) > (size_t)1 << 40) {
    print_message("NOT RUN: there is more memory than these plans need\n");
    skip();
  }
  make_images("d.h5", ROWS, 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[600];
    snprintf(text, sizeof text,
             "input_features: [{name: image, encoder: {type: graph, layers: [Flatten, %s]}}]\n"
             "output_features: [{name: label}]\ntrainer: {%s}\n",
             cases[i].layers, cases[i].trainer);
    check_plan("d.h5", text, CO_ERR_MEMORY, cases[i].message);
    check_plan("d.h5", text, CO_ERR_MEMORY, cases[i].way_out);
    training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5"};
    assert_int_equal(train_apart(&t), CO_ERR_MEMORY);
    assert_true(access("run", F_OK) != 0);
  }
  // Batches in preparation count as well.
  write_text("c.yaml", "{input_features: [{name: image, encoder: {type: passthrough}}],\n"
                       "trainer: {max_epochs: 1}}\n");
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&t), 0);
  cohort_context *context = context_of();
  cohort_result *result;
  cohort_predict_options predict = {.model = "run",
                                    .dataset = "d.h5",
                                    .output = "out.csv",
                                    .batch_size = 1 << 24,
                                    .workers = 1000};
  assert_int_equal(cohort_predict(context, &predict, &result), CO_ERR_MEMORY);
  assert_non_null(strstr(cohort_result_json(result),
                         "preparing 1002 batches of 16777216 rows at a time needs 2.2 TiB"));
  cohort_result_free(result);
  cohort_context_free(context);
  assert_true(access("out.csv", F_OK) != 0);
}

// What asks for validation rows says so where there are none.
static void test_no_validation(void **state) {
  (void)state;
  static const float values[ROWS] = {1, 2, 3, 4};
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "d.h5"), CO_OK);
  for (int i = 0; i < 2; i++) {
    co_column column = {.name = i ? "y" : "x",
                        .type = CO_COLUMN_NUMBER,
                        .role = i ? CO_ROLE_TARGET : CO_ROLE_INPUT,
                        .dtype = CO_F32};
    assert_int_equal(co_dataset_writer_column(w, "things", &column, ROWS), CO_OK);
    assert_int_equal(co_dataset_writer_rows(w, ROWS, values), CO_OK);
  }
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
  write_text("c.yaml", "trainer: {max_epochs: 1, early_stop: 2}\n");
  training t = {.run_dir = "a", .config = "c.yaml", .dataset = "d.h5", .records = "records"};
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("records", "trainer.early_stop has no effect"));
  assert_true(file_has("a/run.json", "trainer.early_stop has no effect"));
  t.run_dir = "b";
  t.set[0] = "trainer.early_stop=-1";
  t.set[1] = "trainer.validation_metric=mean_squared_error";
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("records", "trainer.validation_metric has no effect"));
  t.run_dir = "c";
  t.set[1] = NULL;
  assert_int_equal(train_apart(&t), 0);
  assert_false(file_has("records", "has no effect"));
}

static void check_call(cohort_status status, cohort_result *result, const char *message) {
  if (status != CO_ERR_USAGE || !strstr(cohort_result_json(result), message))
    fail_msg("%d, not '%s': %s", status, message, cohort_result_json(result));
  cohort_result_free(result);
}

#define CHECK_CALL(call, message)                                                                  \
  do {                                                                                             \
    cohort_status call_status_ = call;                                                             \
    check_call(call_status_, result, message);                                                     \
  } while (0)

// Calls from C that the program would not make.
static void test_calls(void **state) {
  (void)state;
  cohort_context *context = context_of();
  cohort_result *result;
  cohort_evaluate_options evaluate = {.dataset = "d.h5"};
  CHECK_CALL(cohort_evaluate(context, &evaluate, &result), "needs a model");
  evaluate = (cohort_evaluate_options){.model = "run"};
  CHECK_CALL(cohort_evaluate(context, &evaluate, &result), "needs a dataset");
  cohort_predict_options predict = {.model = "run", .dataset = "d.h5"};
  CHECK_CALL(cohort_predict(context, &predict, &result), "needs an output");
  CHECK_CALL(cohort_inspect(context, NULL, &result), "needs a file");
  CHECK_CALL(cohort_describe(context, NULL, &result), "needs a topic");
  cohort_import_idx_options import = {.training = {"i", "l"}};
  CHECK_CALL(cohort_import_idx(context, &import, &result), "an output");
  write_text("c.yaml", "trainer: {max_epochs: 1}\n");
  make_images("d.h5", ROWS, 1);
  static const char *const files[] = {"c.yaml"};
  cohort_config config = {.files = files, .file_count = 1};
  cohort_plan_options plan = {.config = config, .dataset = "d.h5", .batch_size = -1};
  CHECK_CALL(cohort_plan(context, &plan, &result), "batch size -1");
  cohort_train_options train = {.config = config, .dataset = "d.h5", .run_dir = "run"};
  assert_int_equal(cohort_train(context, &train, &result), 0);
  cohort_result_free(result);
  evaluate = (cohort_evaluate_options){.model = "run", .dataset = "d.h5", .batch_size = -1};
  CHECK_CALL(cohort_evaluate(context, &evaluate, &result), "batch size -1");
  cohort_context_free(context);
}

// A call that succeeds has its whole result, whichever allocation fails.
static void test_result_memory(void **state) {
  (void)state;
  cohort_context *context = context_of();
  cohort_result *result = NULL;
  assert_int_equal(cohort_describe(context, "layers", &result), 0);
  char *json = strdup(cohort_result_json(result)), *text = strdup(cohort_result_text(result));
  cohort_result_free(result);
  int failed = 0;
  for (int64_t n = 1; n < 60; n++) {
    result = NULL;
    co_alloc_fail_at(context->ctx, n, false);
    cohort_status status = cohort_describe(context, "layers", &result);
    co_alloc_fail_at(context->ctx, 0, false);
    if (status == 0) {
      assert_string_equal(cohort_result_json(result), json);
      assert_string_equal(cohort_result_text(result), text);
    } else {
      assert_int_equal(status, CO_ERR_MEMORY);
      failed++;
    }
    if (result) cohort_result_free(result);
  }
  assert_true(failed > 5);
  free(json);
  free(text);
  cohort_context_free(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_output_twice),    TRAINING_TEST(test_two_kinds),
      TRAINING_TEST(test_a_thousand),      TRAINING_TEST(test_optimizer),
      TRAINING_TEST(test_dataset_section), TRAINING_TEST(test_schedule),
      TRAINING_TEST(test_param_groups),    TRAINING_TEST(test_losses),
      TRAINING_TEST(test_paths_of_layers), TRAINING_TEST(test_metrics),
      TRAINING_TEST(test_layer_names),     TRAINING_TEST(test_shared_layers),
      TRAINING_TEST(test_too_large),       TRAINING_TEST(test_too_little_memory),
      TRAINING_TEST(test_no_validation),   TRAINING_TEST(test_calls),
      TRAINING_TEST(test_result_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
