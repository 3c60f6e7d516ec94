// SPDX-License-Identifier: Apache-2.0
// Help is complete: whatever table of keys a config was read with is in some topic.
// Wrap: co_fields_parse
#include "training.h"

#include "host/config/config.h"

enum { ROWS = 30, MOST = 128 };

static const co_field *tables[MOST];
static int table_count;

co_status __real_co_fields_parse(void *out, const co_field *fields, const co_node *map,
                                 const char *path, co_arena *arena, co_diagnostics *problems);
co_status __wrap_co_fields_parse(void *out, const co_field *fields, const co_node *map,
                                 const char *path, co_arena *arena, co_diagnostics *problems);
co_status __wrap_co_fields_parse(void *out, const co_field *fields, const co_node *map,
                                 const char *path, co_arena *arena, co_diagnostics *problems) {
  int known = 0;
  while (known < table_count && tables[known] != fields)
    known++;
  assert_true(known < MOST);
  if (known == table_count) tables[table_count++] = fields;
  return __real_co_fields_parse(out, fields, map, path, arena, problems);
}

static cohort_context *context_of(void) {
  cohort_context *context;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  return context;
}

static char *describe(cohort_context *context, const char *topic) {
  cohort_result *result;
  if (cohort_describe(context, topic, &result) != 0) fail_msg("%s", cohort_result_json(result));
  char *text = strdup(cohort_result_text(result));
  cohort_result_free(result);
  return text;
}

// The names of the second column's entries: "  NAME   doc".
static int list_entries(char *text, char *names[MOST]) {
  int count = 0;
  char *rest;
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(line, "  ", 2) != 0 || line[2] == ' ') continue;
    line[2 + strcspn(line + 2, " ")] = '\0';
    names[count++] = line + 2;
  }
  return count;
}

static char *describe_all(cohort_context *context) {
  char *topics = describe(context, "topics"), *names[MOST], *all = strdup("");
  int count = list_entries(topics, names);
  assert_true(count >= 8);
  for (int i = 0; i < count; i++) {
    char *text = describe(context, names[i]);
    size_t length = strlen(all), more = strlen(text) + 1;
    all = realloc(all, length + more);
    memcpy(all + length, text, more);
    free(text);
  }
  free(topics);
  return all;
}

// A line with this key and what is said of it.
static bool has_field(const char *text, const co_field *field) {
  char key[64];
  snprintf(key, sizeof key, "\n    %s ", field->key);
  for (const char *at = text; (at = strstr(at, key)) != NULL; at++) {
    const char *end = strchr(at + 1, '\n'), *doc = strstr(at, field->doc);
    if (doc && doc < end) return true;
  }
  return false;
}

static void plan_to(cohort_context *context, const char *text, cohort_status wanted) {
  static const char *const files[] = {"c.yaml"};
  write_text(files[0], text);
  cohort_plan_options options = {.config = {.files = files, .file_count = 1}, .device = "cpu"};
  cohort_result *result;
  if (cohort_plan(context, &options, &result) != wanted)
    fail_msg("%s\n%s", text, cohort_result_json(result));
  cohort_result_free(result);
}

static void plan(cohort_context *context, const char *text) {
  plan_to(context, text, 0);
}

// Configs that between them have every section, every encoder and every optimizer.
static void read_configs(cohort_context *context) {
  char *names[MOST], text[800];
  plan(context,
       "version: 1\n"
       "dataset: {path: d.h5}\n"
       "input_features:\n"
       "  - {name: image, preprocessing: {normalization: minmax}, augmentation: {flip: 0.5},"
       "     encoder: {type: graph, layers: [Flatten, {Dense: 8}]}}\n"
       "combiner: {type: concat, layers: [{Dense: 4}]}\n"
       "output_features:\n"
       "  - {name: label, loss: {type: softmax_cross_entropy},\n"
       "     decoder: {type: graph, layers: [{Dense: 3}]}}\n"
       "trainer:\n"
       "  learning_rate_scheduler: {decay: cosine}\n"
       "  gradient_clipping: {clip_global_norm: 1.0}\n"
       "  ema: {decay: 0.998}\n"
       "  checkpoint: {keep_last: 3}\n");
  char *encoders = describe(context, "encoders"), *optimizers = describe(context, "optimizers");
  int count = list_entries(encoders, names);
  for (int i = 0; i < count; i++) {
    snprintf(text, sizeof text,
             "dataset: {path: d.h5}\n"
             "input_features: [{name: image, encoder: {type: %s%s}}]\n",
             names[i], strcmp(names[i], "graph") == 0 ? ", layers: [Flatten]" : "");
    bool of_images = strcmp(names[i], "embedding") != 0 && strcmp(names[i], "rnn") != 0 &&
                     strcmp(names[i], "transformer") != 0 &&
                     strcmp(names[i], "parallel_cnn") != 0 && strcmp(names[i], "bag") != 0 &&
                     strcmp(names[i], "piecewise_linear") != 0 &&
                     strcmp(names[i], "stacked_cnn_decoder") != 0;
    plan_to(context, text, of_images ? 0 : CO_ERR_CONFIG);
  }
  count = list_entries(optimizers, names);
  for (int i = 0; i < count; i++) {
    if (strchr(names[i], '.')) continue; // the section itself
    snprintf(text, sizeof text, "dataset: {path: d.h5}\ntrainer: {optimizer: {type: %s}}\n",
             names[i]);
    plan(context, text);
  }
  free(encoders);
  free(optimizers);
}

static void test_every_key_has_help(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  cohort_context *context = context_of();
  read_configs(context);
  assert_true(table_count > 15);
  char *all = describe_all(context);
  for (int i = 0; i < table_count; i++)
    for (const co_field *field = tables[i]; field->key; field++)
      if (!has_field(all, field)) fail_msg("no topic has '%s' (%s)", field->key, field->doc);
  // What is read without a table.
  static const char *const others[] = {"version",         "dataset", "input_features", "combiner",
                                       "output_features", "trainer", "name",           "inputs",
                                       "trainable",       "group",   "shared"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    co_field field = {.key = others[i], .doc = ""};
    if (!has_field(all, &field)) fail_msg("no topic has '%s'", others[i]);
  }
  free(all);
  cohort_context_free(context);
}

static void test_unknown_topic(void **state) {
  (void)state;
  cohort_context *context = context_of();
  cohort_result *result;
  assert_int_equal(cohort_describe(context, "l", &result), CO_ERR_USAGE); // layers, losses
  assert_non_null(strstr(cohort_result_json(result), "known: config, features, encoders, layers"));
  cohort_result_free(result);
  cohort_context_free(context);
}

// Of a section with a table for each type, too.
static void test_headings_stand_once(void **state) {
  (void)state;
  cohort_context *context = context_of();
  char *text = describe(context, "features"), *names[MOST];
  int count = list_entries(text, names), of_types = 0;
  for (int i = 0; i < count; i++) {
    of_types += strcmp(names[i], "input_features.preprocessing") == 0;
    for (int k = 0; k < i; k++)
      if (strcmp(names[i], names[k]) == 0) fail_msg("'%s' stands twice", names[i]);
  }
  assert_int_equal(of_types, 1);
  free(text);
  cohort_context_free(context);
}

static void test_one_entry(void **state) {
  (void)state;
  cohort_context *context = context_of();
  cohort_result *result;
  const char *entries[][3] = {{"layer", "Dropout", "Dropout"},
                              {"loss", "huber", "huber"},
                              {"metric", "roc_auc", "roc_auc"},
                              {"hyperopt", "parameters", "hyperopt.parameters.PATH"}};
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    char name[64], line[64];
    snprintf(name, sizeof name, "%s.%s", entries[i][0], entries[i][1]);
    snprintf(line, sizeof line, "  %s ", entries[i][2]);
    char *text = describe(context, name);
    assert_non_null(strstr(text, line));
    assert_null(strstr(text, "  Dense "));
    free(text);
  }
  assert_int_equal(cohort_describe(context, "layers.dropuot", &result), CO_ERR_USAGE);
  assert_non_null(strstr(cohort_result_json(result), "there is no 'dropuot' among the layers"));
  cohort_result_free(result);
  cohort_context_free(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_every_key_has_help), TRAINING_TEST(test_unknown_topic),
      TRAINING_TEST(test_headings_stand_once), TRAINING_TEST(test_one_entry)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
