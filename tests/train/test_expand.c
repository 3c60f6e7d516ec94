// SPDX-License-Identifier: Apache-2.0
// Selectors and defaults: a config becomes one item a feature.
// Labels: asan
#include "helpers.h"

#include <stdio.h>
#include <string.h>

static const co_column columns[] = {
    {.name = "age", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32},
    {.name = "visit_first", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32},
    {.name = "visit_last", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32},
    {.name = "weekend", .type = CO_COLUMN_BINARY, .role = CO_ROLE_INPUT, .dtype = CO_F32},
    {.name = "city",
     .type = CO_COLUMN_CATEGORY,
     .role = CO_ROLE_INPUT,
     .dtype = CO_I32,
     .category_count = 2,
     .categories = (const char *const[]){"Bonn", "Ulm"}},
    {.name = "spend", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32},
    {.name = "visits", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32},
    {.name = "comes", .type = CO_COLUMN_BINARY, .role = CO_ROLE_TARGET, .dtype = CO_F32},
    {.name = "id", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_IGNORE, .dtype = CO_F32}};

static const co_schema schema = {.column_count = 9, .columns = columns};

static void create(rig *r, const char *text, co_status wanted) {
  co_node *config;
  rig_open(r, &(setup){.backend = "ref", .real = CO_F32});
  OK(co_yaml_parse(&config, r->arena, "test.yaml", text, strlen(text), &r->problems));
  co_status status = co_model_create(&r->model, r->ctx, config, &schema, &r->problems);
  if (status != wanted) fail_msg("%s\n%s", text, co_error_last()->message);
}

static void expect_list(const char *list, const char *text, const char *expanded) {
  rig r;
  co_json json;
  create(&r, text, CO_OK);
  co_json_init(&json, r.ctx, 0);
  co_node_render(&json, co_node_get(r.model->config, list));
  assert_string_equal(json.text.data, expanded);
  assert_null(co_node_get(r.model->config, "defaults"));
  co_json_free(&json);
  rig_free(&r);
}

static void expect(const char *text, const char *expanded) {
  expect_list("input_features", text, expanded);
}

static void refuse(const char *text, const char *message) {
  rig r;
  create(&r, text, CO_ERR_CONFIG);
  const co_error *error = co_error_last();
  if (!strstr(error->message, message)) fail_msg("%s\n%s", text, error->message);
  rig_free(&r);
}

static void types_and_patterns_select(void **unused) {
  (void)unused;
  expect("input_features: all", "[{\"name\":\"age\"},{\"name\":\"visit_first\"},"
                                "{\"name\":\"visit_last\"},{\"name\":\"weekend\"},"
                                "{\"name\":\"city\"}]");
  // In the place of the selector, in the order of the dataset; never an ignored or target column.
  expect("input_features: [{name: city}, {select: number, exclude: ['*_last']}]",
         "[{\"name\":\"city\"},{\"name\":\"age\"},{\"name\":\"visit_first\"}]");
  expect("input_features: [{select: 'visit_*', preprocessing: {missing: mean}}]",
         "[{\"name\":\"visit_first\",\"preprocessing\":{\"missing\":\"mean\"}},"
         "{\"name\":\"visit_last\",\"preprocessing\":{\"missing\":\"mean\"}}]");
  // A named one wins over a selector, wherever it stands.
  expect("input_features: [{select: number}, {name: age, preprocessing: {missing: mean}}]",
         "[{\"name\":\"visit_first\"},{\"name\":\"visit_last\"},"
         "{\"name\":\"age\",\"preprocessing\":{\"missing\":\"mean\"}}]");
  expect("input_features: [{select: category}, {select: image, optional: true}]",
         "[{\"name\":\"city\"}]");
}

// A config says what its targets must be; one that has an item of its own is such a target, too.
static void types_select_targets(void **unused) {
  (void)unused;
  const char *list = "output_features";
  expect_list(list, "output_features: targets",
              "[{\"name\":\"spend\"},{\"name\":\"visits\"},{\"name\":\"comes\"}]");
  expect_list(list, "output_features: [{select: binary}, {select: number, exclude: [visits]}]",
              "[{\"name\":\"comes\"},{\"name\":\"spend\"}]");
  expect_list(list,
              "output_features: [{select: number}, {select: text, optional: true}]\n"
              "defaults: {number: {normalization: zscore}}",
              "[{\"name\":\"spend\",\"normalization\":\"zscore\"},"
              "{\"name\":\"visits\",\"normalization\":\"zscore\"}]");
  expect_list(list, "output_features: [{select: 's*', loss: {type: huber}}]",
              "[{\"name\":\"spend\",\"loss\":{\"type\":\"huber\"}}]");
  expect_list(list, "output_features: [{select: binary}, {name: comes, weight: 2}]",
              "[{\"name\":\"comes\",\"weight\":2}]");
  refuse("output_features: [{select: text}]",
         "output_features[0]: no target is left for 'select: text': it is for such targets");
  assert_non_null(strstr(co_error_last()->hint, "the dataset has spend (number), visits (number), "
                                                "comes (binary); `cohort import --target spend "
                                                "--type spend=text` makes it one"));
  refuse("output_features: [{select: vector}]", "it is for such targets");
  assert_null(strstr(co_error_last()->hint, "makes it one"));
  static const char *const no_types[] = {"text_sequence", "sequence", "event_category",
                                         "reconstruction", "image"};
  for (size_t i = 0; i < sizeof no_types / sizeof *no_types; i++) {
    char text[64];
    snprintf(text, sizeof text, "output_features: [{select: %s}]", no_types[i]);
    refuse(text, "which is neither a type nor a column");
    assert_null(strstr(co_error_last()->hint, "makes it one"));
  }
  refuse("output_features: [{select: age}]", "no target is left for 'select: age'");
  refuse("output_features: [{select: number, encoder: {type: mlp}}]", "encoder: unknown key");
}

static void defaults_go_into_items(void **unused) {
  (void)unused;
  expect("input_features: [{name: age, preprocessing: {missing: indicator}}, {name: visit_last},\n"
         "  {name: city}]\n"
         "defaults:\n"
         "  number: {preprocessing: {missing: mean, normalization: minmax}}\n"
         "  category: {encoder: {embedding_size: 2}}\n",
         "[{\"name\":\"age\",\"preprocessing\":{\"missing\":\"indicator\","
         "\"normalization\":\"minmax\"}},"
         "{\"name\":\"visit_last\",\"preprocessing\":{\"missing\":\"mean\","
         "\"normalization\":\"minmax\"}},"
         "{\"name\":\"city\",\"encoder\":{\"embedding_size\":2}}]");
  // An input's null takes a default away.
  expect("input_features: [{name: age, preprocessing: null}]\n"
         "defaults: {number: {preprocessing: {missing: mean}}}\n",
         "[{\"name\":\"age\"}]");
}

static void mistakes_are_named(void **unused) {
  (void)unused;
  refuse("input_features: [{select: number}, {select: age}]", "column 'age' is selected twice");
  refuse("input_features: [{select: 'none_*'}]", "no column is left for 'select: none_*'");
  refuse("input_features: [{select: all}]",
         "'select: all', which is neither a type nor a column; '*' selects all");
  refuse("input_features: [{select: text}]", "'select: text'; `optional: true` allows that");
  refuse("input_features: [{name: city}, {select: city}]", "`optional: true` allows that");
  refuse("input_features: [{select: number, exclude: [agee]}]", "no column 'agee'");
  refuse("input_features: [{select: number, exclude: age}]", "must be a list of columns");
  refuse("input_features: [{select: number, name: age}]", "name: unknown key");
  refuse("defaults: {numbr: {}}", "defaults.numbr: there is no such type");
  refuse("defaults: {number: {preprocess: {}}}", "preprocess: unknown key");
  refuse("defaults: {number: {preprocessing: {scaling: none}}}", "scaling: unknown key");
  refuse("defaults: 3", "defaults: must be a map of types");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(types_and_patterns_select), cmocka_unit_test(types_select_targets),
      cmocka_unit_test(defaults_go_into_items), cmocka_unit_test(mistakes_are_named)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
