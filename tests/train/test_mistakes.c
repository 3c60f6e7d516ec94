// SPDX-License-Identifier: Apache-2.0
// Mistakes in configs and calls: each is said where it was made, under the status that is returned.
#include "training.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_output_twice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
