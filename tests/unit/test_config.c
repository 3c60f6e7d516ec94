// SPDX-License-Identifier: Apache-2.0
// Reading values strictly, merging, overrides, field tables and rendering.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/config/config.h"

typedef struct fixture {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  assert_int_equal(co_context_create(&f->ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&f->arena, f->ctx), CO_OK);
  co_diagnostics_init(&f->problems, f->ctx);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  co_diagnostics_free(&f->problems);
  co_arena_free(f->arena);
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  co_context_free(f->ctx);
  free(f);
  assert_int_equal(live, 0);
  return 0;
}

static co_node *parse(fixture *f, const char *text) {
  co_node *node;
  co_status status = co_yaml_parse(&node, f->arena, "c.yaml", text, strlen(text), &f->problems);
  if (status != CO_OK) fail_msg("%s in: %s", co_error_last()->message, text);
  return node;
}

static void expect_same(fixture *f, const co_node *node, const co_node *expected) {
  co_json json, wanted;
  co_json_init(&json, f->ctx, 0);
  co_node_render(&json, node);
  assert_int_equal(json.text.status, CO_OK);
  co_json_init(&wanted, f->ctx, 0);
  co_node_render(&wanted, expected);
  assert_string_equal(json.text.data, wanted.text.data);
  co_json_free(&json);
  co_json_free(&wanted);
}

// Compares the tree with that of a text.
static void expect_tree(fixture *f, const co_node *node, const char *expected) {
  expect_same(f, node, parse(f, expected));
}

static void expect_problem(const fixture *f, int64_t i, long line, long column, const char *message,
                           const char *hint) {
  assert_true(i < f->problems.count);
  const co_error *e = &f->problems.item[i];
  assert_string_equal(e->message, message);
  assert_string_equal(e->hint, hint);
  assert_int_equal(e->line, line);
  assert_int_equal(e->column, column);
}

// ---- scalars -----------------------------------------------------------------------------------

static void integers_are_strict(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text;
    bool valid;
    int64_t value;
  } cases[] = {
      {"0", true, 0},
      {"-12", true, -12},
      {"+7", true, 7},
      {"007", true, 7},
      {"1_000", false, 0},
      {"1e3", false, 0},
      {"2000*12", false, 0},
      {"0x10", false, 0},
      {"1.0", false, 0},
      {"'5'", false, 0},
      {"\"5\"", false, 0},
      {"five", false, 0},
      {"9223372036854775807", true, INT64_MAX},
      {"-9223372036854775808", true, INT64_MIN},
      {"9223372036854775808", false, 0},
      {"5 6", false, 0},
      {"true", false, 0},
      {"[5]", false, 0},
      {"~", false, 0},
      {"+", false, 0},
      {"--5", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = -1;
    bool valid = co_node_int(parse(f, cases[i].text), &value);
    if (valid != cases[i].valid) fail_msg("%s", cases[i].text);
    if (valid) assert_int_equal(value, cases[i].value);
  }
  assert_false(co_node_int(NULL, &(int64_t){0}));
}

static void doubles_are_strict(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text;
    bool valid;
    double value;
  } cases[] = {
      {"1e-3", true, 1e-3}, {".5", true, .5},       {"1.0", true, 1},      {"-3", true, -3},
      {"1.", true, 1},      {"+2.5E+2", true, 250}, {"inf", false, 0},     {"nan", false, 0},
      {".inf", false, 0},   {".nan", false, 0},     {"0x1p3", false, 0},   {"1e", false, 0},
      {"1e400", false, 0},  {"1,5", false, 0},      {"'1.5'", false, 0},   {".", false, 0},
      {"1e-400", true, 0},  {"1_0.5", false, 0},    {"2000*12", false, 0}, {"1.5.2", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double value = -1;
    bool valid = co_node_double(parse(f, cases[i].text), &value);
    if (valid != cases[i].valid) fail_msg("%s", cases[i].text);
    if (valid && value != cases[i].value) fail_msg("%s: %g", cases[i].text, value);
  }
}

static void bools_are_true_or_false(void **state) {
  fixture *f = *state;
  bool value = false;
  assert_true(co_node_bool(parse(f, "true"), &value) && value);
  assert_true(co_node_bool(parse(f, "false"), &value) && !value);
  const char *const others[] = {"yes", "no", "on", "off", "True", "FALSE", "1", "'true'", "~"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_false(co_node_bool(parse(f, others[i]), &value));
}

// ---- merge -------------------------------------------------------------------------------------

static void maps_merge_deeply(void **state) {
  fixture *f = *state;
  co_node *base = NULL;
  assert_int_equal(co_node_merge(&base, f->arena, parse(f, "{a: {b: 1, c: 2}, d: [1, 2], e: 5}")),
                   CO_OK);
  const co_node *over = parse(f, "{a: {c: 3, x: {y: 1}}, d: [9], e: null, f: 6}");
  assert_int_equal(co_node_merge(&base, f->arena, over), CO_OK);
  expect_tree(f, base, "{\"a\":{\"b\":1,\"c\":3,\"x\":{\"y\":1}},\"d\":[9],\"f\":6}");
  // What was merged in stays as it was.
  assert_int_equal(co_node_merge(&base, f->arena, parse(f, "{a: {x: {y: 2}}}")), CO_OK);
  expect_tree(f, over, "{\"a\":{\"c\":3,\"x\":{\"y\":1}},\"d\":[9],\"e\":null,\"f\":6}");
}

static void features_merge_by_name(void **state) {
  fixture *f = *state;
  co_node *base = parse(f, "input_features: [{name: a, type: number}, {name: b}]\n"
                           "other: {input_features: [{name: a}]}\n");
  const co_node *over =
      parse(f, "input_features: [{name: b, type: image}, {name: c}, {select: x}]\n"
               "other: {input_features: [{name: z}]}\n");
  assert_int_equal(co_node_merge(&base, f->arena, over), CO_OK);
  expect_tree(f, base,
              "{\"input_features\":[{\"name\":\"a\",\"type\":\"number\"},{\"name\":\"b\",\"type\":"
              "\"image\"},{\"name\":\"c\"},{\"select\":\"x\"}],\"other\":{\"input_features\":[{"
              "\"name\":\"z\"}]}}");
  assert_int_equal(co_node_merge(&base, f->arena, parse(f, "input_features: all")), CO_OK);
  assert_string_equal(co_node_get(base, "input_features")->text, "all");
  // Which targets there are, a later list says anew.
  base = parse(f, "output_features: [{name: a, weight: 2}, {select: text}]");
  over = parse(f, "output_features: [{name: b}, {name: a, loss: x}]");
  assert_int_equal(co_node_merge(&base, f->arena, over), CO_OK);
  expect_tree(f, base,
              "{\"output_features\":[{\"name\":\"a\",\"weight\":2,\"loss\":\"x\"},{"
              "\"name\":\"b\"}]}");
}

// ---- overrides ---------------------------------------------------------------------------------

static void overrides_reach_everywhere(void **state) {
  fixture *f = *state;
  co_node *root = parse(f, "trainer: {max_steps: 5}\n"
                           "input_features: [{name: photo, encoder: {type: cnn}}, {name: t.col}]\n"
                           "output_features: [{name: label}]\n"
                           "layers: [1, {name: top, size: 2}]\n"
                           "empty:\n");
  const char *const sets[] = {
      "trainer.max_steps=10",
      "trainer.optimizer.type=adam",
      "photo.encoder.type=rnn",
      "t.col.encoder={a: 1}",
      "features.label.loss=mse",
      "layers.0=7",
      "layers.top.size=3",
      "trainer.optimizer={b: 'x'}",
      "empty.now=1",
      "input_features.1.seen=true",
      "new=\"5\"",
  };
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    co_status status = co_node_set(&root, f->arena, sets[i], &f->problems);
    if (status != CO_OK) fail_msg("%s: %s", sets[i], co_error_last()->message);
  }
  expect_tree(f, root,
              "{\"trainer\":{\"max_steps\":10,\"optimizer\":{\"type\":\"adam\",\"b\":\"x\"}},"
              "\"input_features\":[{\"name\":\"photo\",\"encoder\":{\"type\":\"rnn\"}},"
              "{\"name\":\"t.col\",\"encoder\":{\"a\":1},\"seen\":true}],"
              "\"output_features\":[{\"name\":\"label\",\"loss\":\"mse\"}],"
              "\"layers\":[7,{\"name\":\"top\",\"size\":3}],\"empty\":{\"now\":1},\"new\":\"5\"}");
  const co_node *steps = co_node_get(co_node_get(root, "trainer"), "max_steps");
  assert_string_equal(steps->file, "--set trainer.max_steps");
  assert_int_equal(steps->line, 0);
  assert_int_equal(co_node_set(&root, f->arena, "trainer.optimizer=null", &f->problems), CO_OK);
  assert_int_equal(co_node_set(&root, f->arena, "trainer.max_steps=", &f->problems), CO_OK);
  assert_int_equal(co_node_set(&root, f->arena, "absent.too=null", &f->problems), CO_OK);
  assert_int_equal(co_node_get(root, "trainer")->count, 0);
  assert_null(co_node_get(root, "absent"));
  co_node *none = NULL;
  assert_int_equal(co_node_set(&none, f->arena, "a.b=1", &f->problems), CO_OK);
  expect_tree(f, none, "{\"a\":{\"b\":1}}");
}

static void faulty_overrides_are_explained(void **state) {
  fixture *f = *state;
  static const struct {
    const char *set, *words;
  } cases[] = {
      {"trainer", "is not PATH=VALUE"},
      {"=5", "is not PATH=VALUE"},
      {"a..b=5", "is not PATH=VALUE"},
      {"a.=5", "is not PATH=VALUE"},
      {".a=5", "is not PATH=VALUE"},
      {"input_features.phot.x=1", "the list has no item 'phot'"},
      {"input_features.7.x=1", "the list has no item '7'"},
      {"combiner.type.x=1", "'combiner.type' is the value 'concat', not a section"},
      {"a=[1", "while parsing"},
      {"a=&x 1", "anchors"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_node *root = parse(f, "{input_features: [{name: photo}], combiner: {type: concat}}");
    co_diagnostics_free(&f->problems);
    assert_int_equal(co_node_set(&root, f->arena, cases[i].set, &f->problems), CO_ERR_CONFIG);
    assert_int_equal(f->problems.count, 1);
    if (!strstr(f->problems.item[0].message, cases[i].words))
      fail_msg("%s: %s", cases[i].set, f->problems.item[0].message);
  }
  char deep[400] = "a=";
  for (size_t i = 0; i < 60; i++)
    memcpy(deep + i * 2, "a.", 2);
  memcpy(deep + 120, "a=1", 4);
  co_node *root = NULL;
  assert_int_equal(co_node_set(&root, f->arena, deep, &f->problems), CO_ERR_CONFIG);
}

// ---- field tables ------------------------------------------------------------------------------

enum { SGD, ADAM };
static const char *const optimizers[] = {"sgd", "adam", NULL};

typedef struct options {
  int64_t steps, kernel[2];
  double rate;
  bool verify;
  const char *name, *note;
  int optimizer;
  const co_node *extra;
} options;

static const co_field fields[] = {
    {"max_steps", CO_FIELD_INT, offsetof(options, steps), "100", 1, INFINITY, NULL, "steps", NULL},
    {"learning_rate", CO_FIELD_DOUBLE, offsetof(options, rate), "1e-3", 0, 10, NULL, "", "lr"},
    {"verify", CO_FIELD_BOOL, offsetof(options, verify), "true", 0, 0, NULL, "", NULL},
    {"name", CO_FIELD_STRING, offsetof(options, name), NULL, 0, 0, NULL, "", NULL},
    {"note", CO_FIELD_STRING, offsetof(options, note), "null", 0, 0, NULL, "", NULL},
    {"optimizer", CO_FIELD_ENUM, offsetof(options, optimizer), "adam", 0, 0, optimizers, "", NULL},
    {"kernel_size", CO_FIELD_PAIR, offsetof(options, kernel), "[3, 5]", 1, 99, NULL, "", NULL},
    {"extra", CO_FIELD_NODE, offsetof(options, extra), "null", 0, 0, NULL, "", NULL},
    {0},
};

static void fields_have_defaults(void **state) {
  fixture *f = *state;
  options o;
  memset(&o, 0xA5, sizeof o);
  const co_node *map = parse(f, "{name: x, max_steps: null}");
  assert_int_equal(co_fields_parse(&o, fields, map, "trainer", f->arena, &f->problems), CO_OK);
  assert_int_equal(f->problems.count, 0);
  assert_int_equal(o.steps, 100);
  assert_true(o.rate == 1e-3);
  assert_true(o.verify);
  assert_string_equal(o.name, "x");
  assert_null(o.note);
  assert_int_equal(o.optimizer, ADAM);
  assert_int_equal(o.kernel[0], 3);
  assert_int_equal(o.kernel[1], 5);
  assert_null(o.extra);
}

static void fields_are_read(void **state) {
  fixture *f = *state;
  options o;
  const co_node *map = parse(f, "{name: 2024, max_steps: 7, lr: 1, verify: false, note: 'null',"
                                " optimizer: sgd, kernel_size: 4, extra: {a: 1}}");
  assert_int_equal(co_fields_parse(&o, fields, map, "", f->arena, &f->problems), CO_OK);
  assert_int_equal(f->problems.count, 0);
  assert_int_equal(o.steps, 7);
  assert_true(o.rate == 1);
  assert_false(o.verify);
  assert_string_equal(o.name, "2024");
  assert_string_equal(o.note, "null");
  assert_int_equal(o.optimizer, SGD);
  assert_int_equal(o.kernel[0], 4);
  assert_int_equal(o.kernel[1], 4);
  assert_int_equal(o.extra->kind, CO_NODE_MAP);
}

static void all_faults_are_reported_at_once(void **state) {
  fixture *f = *state;
  options o;
  const co_node *map = parse(f, "max_steps: 2000*12\n"
                                "learning_ratee: 1\n"
                                "lr: -1\n"
                                "verify: yes\n"
                                "optimizer: adm\n"
                                "kernel_size: [1, 2, 3]\n"
                                "note: [a]\n");
  assert_int_equal(co_fields_parse(&o, fields, map, "trainer", f->arena, &f->problems), CO_OK);
  assert_int_equal(f->problems.count, 8);
  expect_problem(f, 0, 2, 1, "trainer.learning_ratee: unknown key",
                 "did you mean trainer.learning_rate?");
  expect_problem(f, 1, 1, 12, "trainer.max_steps: '2000*12' is not a whole number", "");
  expect_problem(f, 2, 3, 5, "trainer.learning_rate: '-1' is not between 0 and 10", "");
  expect_problem(f, 3, 4, 9, "trainer.verify: 'yes' is neither true nor false",
                 "write true or false");
  expect_problem(f, 4, 1, 1, "trainer.name: required, but not given", "");
  expect_problem(f, 5, 7, 7, "trainer.note: a list is not a text", "");
  expect_problem(f, 6, 5, 12, "trainer.optimizer: 'adm' is not one of: sgd, adam",
                 "did you mean 'adam'?");
  expect_problem(f, 7, 6, 14,
                 "trainer.kernel_size: a list is neither a whole number nor two of them",
                 "for example 3 or [3, 5]");
  assert_int_equal(o.steps, 100); // faulty values leave the defaults
}

static void more_faults(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text, *message, *hint;
  } cases[] = {
      {"{name: x, max_steps: 0}", "max_steps: '0' is less than 1", ""},
      {"{name: x, max_steps: '5'}", "max_steps: '5' is not a whole number", "remove the quotes"},
      {"{name: x, max_steps: 1e3}", "max_steps: '1e3' is not a whole number",
       "write all digits, without point or exponent"},
      {"{name: x, max_steps: {a: 1}}", "max_steps: a section is not a whole number", ""},
      {"{name: x, lr: '5'}", "learning_rate: '5' is not a number", "remove the quotes"},
      {"{name: x, lr: 1, learning_rate: 1}", "learning_rate: given twice, also as 'lr'", ""},
      {"{name: null}", "name: required, but not given", ""},
      {"{name: x, kernel_size: [3, 100]}", "kernel_size: '100' is not between 1 and 99", ""},
      {"[1]", "expected a section of keys", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    options o;
    co_diagnostics_free(&f->problems);
    const co_node *map = parse(f, cases[i].text);
    assert_int_equal(co_fields_parse(&o, fields, map, "", f->arena, &f->problems), CO_OK);
    assert_int_equal(f->problems.count, 1);
    assert_string_equal(f->problems.item[0].message, cases[i].message);
    assert_string_equal(f->problems.item[0].hint, cases[i].hint);
  }
}

// ---- rendering ---------------------------------------------------------------------------------

static void structs_round_trip(void **state) {
  fixture *f = *state;
  options first, again;
  const co_node *map = parse(f, "{name: '5', lr: 0.1, kernel_size: [7, 8], extra: {a: [1, no]}}");
  assert_int_equal(co_fields_parse(&first, fields, map, "", f->arena, &f->problems), CO_OK);
  co_json json;
  co_json_init(&json, f->ctx, 0);
  co_json_open(&json, '{');
  co_fields_render(&json, fields, &first);
  co_json_close(&json);
  co_node *back = parse(f, json.text.data);
  assert_int_equal(co_fields_parse(&again, fields, back, "", f->arena, &f->problems), CO_OK);
  assert_int_equal(f->problems.count, 0);
  assert_string_equal(again.name, "5");
  assert_true(again.rate == 0.1);
  assert_int_equal(again.kernel[1], 8);
  assert_null(again.note);
  expect_tree(f, again.extra, "{\"a\":[1,\"no\"]}");
  co_json_free(&json);
}

static void yaml_round_trips(void **state) {
  fixture *f = *state;
  static const char *const texts[] = {
      "{}",
      "[]",
      "5",
      "''",
      "null",
      "{a: {b: {c: [1, 2]}}, d: [], e: {}, f: [[1, [2]], {g: [{h: 1, i: 2}]}]}",
      "{s: ['5', 'true', \"a\\nb\", 'no', '', ' x', 'x ', 'a: b', '#', '-', '- a', '1e5', '~']}",
      "{'5': 1, 'a b': 2, 'x:': 3, 'true': 5, \"\\\"\\\\\": 6}",
      "{p: /a/b.h5, q: 2000*12, r: 1.10, t: \"\\u2028\\u0085\\u007f\\ufeff\\U0001F600\"}",
      "- a\n- - b\n  - c\n- d: 1\n  e:\n    - f\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    co_node *node = parse(f, texts[i]);
    co_text yaml;
    co_text_init(&yaml, f->ctx);
    assert_int_equal(co_node_to_yaml(&yaml, node), CO_OK);
    expect_same(f, parse(f, yaml.data), node);
    co_text_free(&yaml);
  }
  co_text yaml;
  co_text_init(&yaml, f->ctx);
  co_node_to_yaml(&yaml, parse(f, "{a: {b: 'x', c: '5'}, l: [{k: 1, m: [1, 2]}]}"));
  assert_string_equal(yaml.data, "a:\n  b: x\n  c: \"5\"\nl:\n  - k: 1\n    m: [1, 2]\n");
  co_text_free(&yaml);
}

// ---- memory ------------------------------------------------------------------------------------

static co_status run_all(co_context *ctx, co_arena *arena, co_diagnostics *problems) {
  static const char base_text[] = "{trainer: {lr: 5, verify: no}, input_features: [{name: a}]}";
  static const char over_text[] = "{trainer: {name: x, bad: 1}, input_features: [{name: b}]}";
  co_node *base, *over;
  CO_RETURN_IF_FAILED(co_yaml_parse(&base, arena, "b", base_text, strlen(base_text), problems));
  CO_RETURN_IF_FAILED(co_yaml_parse(&over, arena, "o", over_text, strlen(over_text), problems));
  CO_RETURN_IF_FAILED(co_node_merge(&base, arena, over));
  CO_RETURN_IF_FAILED(co_node_set(&base, arena, "a.encoder.x=[1, 2]", problems));
  options o;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&o, fields, co_node_get(base, "trainer"), "trainer", arena, problems));
  co_text text;
  co_text_init(&text, ctx);
  co_status status = co_node_to_yaml(&text, base);
  co_text_free(&text);
  return status;
}

static void survives_without_memory(void **state) {
  (void)state;
  for (int64_t n = 1;; n++) {
    co_context *ctx;
    co_arena *arena;
    assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
    assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
    co_diagnostics problems;
    co_diagnostics_init(&problems, ctx);
    int64_t before = co_alloc_get_stats(ctx).calls;
    co_alloc_fail_at(ctx, n, false);
    co_status status = run_all(ctx, arena, &problems);
    bool reached = co_alloc_get_stats(ctx).calls - before >= n;
    assert_int_equal(status, reached ? CO_ERR_MEMORY : CO_OK);
    co_diagnostics_free(&problems);
    co_arena_free(arena);
    assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
    co_context_free(ctx);
    if (!reached) break;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(integers_are_strict, setup, teardown),
      cmocka_unit_test_setup_teardown(doubles_are_strict, setup, teardown),
      cmocka_unit_test_setup_teardown(bools_are_true_or_false, setup, teardown),
      cmocka_unit_test_setup_teardown(maps_merge_deeply, setup, teardown),
      cmocka_unit_test_setup_teardown(features_merge_by_name, setup, teardown),
      cmocka_unit_test_setup_teardown(overrides_reach_everywhere, setup, teardown),
      cmocka_unit_test_setup_teardown(faulty_overrides_are_explained, setup, teardown),
      cmocka_unit_test_setup_teardown(fields_have_defaults, setup, teardown),
      cmocka_unit_test_setup_teardown(fields_are_read, setup, teardown),
      cmocka_unit_test_setup_teardown(all_faults_are_reported_at_once, setup, teardown),
      cmocka_unit_test_setup_teardown(more_faults, setup, teardown),
      cmocka_unit_test_setup_teardown(structs_round_trip, setup, teardown),
      cmocka_unit_test_setup_teardown(yaml_round_trips, setup, teardown),
      cmocka_unit_test(survives_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
