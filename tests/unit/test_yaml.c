// SPDX-License-Identifier: Apache-2.0
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

static co_status parse_bytes(fixture *f, const char *text, size_t length, co_node **out) {
  co_diagnostics_free(&f->problems);
  return co_yaml_parse(out, f->arena, "c.yaml", text, length, &f->problems);
}

static co_node *parse(fixture *f, const char *text) {
  co_node *node;
  assert_int_equal(parse_bytes(f, text, strlen(text), &node), CO_OK);
  assert_int_equal(f->problems.count, 0);
  return node;
}

// The i-th problem stands at the place and says the words.
static void expect_problem(const fixture *f, int64_t i, long line, long column, const char *words) {
  assert_true(i < f->problems.count);
  const co_error *e = &f->problems.item[i];
  if (!strstr(e->message, words) || e->line != line || e->column != column)
    fail_msg("%s:%ld:%ld: %s (expected %ld:%ld %s)", e->file, e->line, e->column, e->message, line,
             column, words);
  assert_int_equal(e->status, CO_ERR_CONFIG);
  assert_string_equal(e->file, "c.yaml");
}

// Parsing fails with this first problem.
static void refuse(fixture *f, const char *text, long line, long column, const char *words) {
  co_node *node;
  assert_int_equal(parse_bytes(f, text, strlen(text), &node), CO_ERR_CONFIG);
  expect_problem(f, 0, line, column, words);
  assert_int_equal(co_error_last()->line, line);
}

static void reads_a_tree_with_places(void **state) {
  co_node *root = parse(*state, "# a comment\n"
                                "trainer:\n"
                                "  max_steps: 200\n"
                                "  name: \"200\"\n"
                                "layers: [a, {b: 1}, null]\n");
  assert_int_equal(root->kind, CO_NODE_MAP);
  assert_int_equal(root->count, 2);
  assert_string_equal(root->keys[1], "layers");
  const co_node *steps = co_node_get(co_node_get(root, "trainer"), "max_steps");
  assert_string_equal(steps->text, "200");
  assert_false(steps->quoted);
  assert_int_equal(steps->line, 3);
  assert_int_equal(steps->column, 14);
  assert_int_equal(steps->key_line, 3);
  assert_int_equal(steps->key_column, 3);
  assert_string_equal(steps->file, "c.yaml");
  assert_true(co_node_get(co_node_get(root, "trainer"), "name")->quoted);
  const co_node *layers = co_node_get(root, "layers");
  assert_int_equal(layers->kind, CO_NODE_LIST);
  assert_int_equal(layers->count, 3);
  assert_int_equal(layers->items[1]->kind, CO_NODE_MAP);
  assert_int_equal(layers->items[2]->kind, CO_NODE_NULL);
  assert_null(co_node_get(root, "absent"));
  assert_null(co_node_get(layers, "absent"));
  assert_null(co_node_get(NULL, "absent"));
}

static void an_empty_text_is_an_empty_map(void **state) {
  const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "\xEF\xBB\xBF", "---\n...\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    co_node *root = parse(*state, texts[i]);
    assert_int_equal(root->kind, CO_NODE_MAP);
    assert_int_equal(root->count, 0);
  }
}

static void json_is_read_as_well(void **state) {
  co_node *root =
      parse(*state, "{\"a\": [1, 2.5e3, true, null, \"\\u00e9\\n\\/\"], \"b\": {\"c\": {}}}");
  const co_node *a = co_node_get(root, "a");
  assert_int_equal(a->count, 5);
  assert_string_equal(a->items[4]->text, "\xC3\xA9\n/");
  assert_int_equal(co_node_get(co_node_get(root, "b"), "c")->count, 0);
}

static void every_kind_of_null(void **state) {
  co_node *root = parse(*state, "{a: ~, b: null, c: , d: Null, e: NULL, f: '', g: 'null'}");
  for (int i = 0; i < 5; i++)
    assert_int_equal(root->items[i]->kind, CO_NODE_NULL);
  assert_int_equal(root->items[5]->kind, CO_NODE_SCALAR);
  assert_int_equal(root->items[6]->kind, CO_NODE_SCALAR);
}

static void refuses_what_is_not_supported(void **state) {
  fixture *f = *state;
  refuse(f, "a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a' (first in line 1)");
  refuse(f, "a: &x 1\n", 1, 4, "anchors");
  refuse(f, "a: !!str 1\n", 1, 4, "tags");
  refuse(f, "a: ! 1\n", 1, 4, "tags");
  refuse(f, "a: !!map {}\n", 1, 4, "tags");
  refuse(f, "a: &x {b: 1}\nc: *x\n", 1, 4, "anchors");
  expect_problem(f, 1, 2, 4, "aliases");
  refuse(f, "*x : 1\n", 1, 1, "a key must be");
  refuse(f, "a: 1\n---\nb: 2\n", 2, 1, "second document");
  refuse(f, "<<: {a: 1}\n", 1, 1, "merge keys");
  refuse(f, "[a, b]: 1\n", 1, 1, "a key must be");
  refuse(f, "{a: 1}: 1\n", 1, 1, "a key must be");
  refuse(f, "'': 1\n", 1, 1, "a key is missing");
  refuse(f, "\"a\\nb\": 1\n", 1, 1, "control character");
  refuse(f, "a: \"x\\0y\"\n", 1, 4, "NUL");
  refuse(f, "a:\n\tb: 1\n", 2, 1, "cannot start any token");
  assert_non_null(strstr(f->problems.item[0].hint, "spaces"));
  refuse(f, "a: [1, 2\n", 2, 1, "while parsing a flow sequence");
  refuse(f, "a: 1\n b: 2\n", 2, 3, "mapping values");
}

static void refuses_other_encodings(void **state) {
  fixture *f = *state;
  refuse(f, "a: 1\nb: \xE9t\xE9\n", 2, 5, "not UTF-8");
  refuse(f, "a: \x01\n", 1, 4, "control characters");
  co_node *node;
  const char utf16[] = "\xFF\xFE"
                       "a\0:\0 \0001\0";
  assert_int_equal(parse_bytes(f, utf16, sizeof utf16 - 1, &node), CO_ERR_CONFIG);
  expect_problem(f, 0, 1, 1, "not UTF-8");
  assert_int_equal(parse_bytes(f, "a\0: 1", 5, &node), CO_ERR_CONFIG);
}

static void reports_all_problems_of_one_text(void **state) {
  fixture *f = *state;
  co_node *node;
  const char *text = "a: &x 1\nb: 1\nb: 2\nc: !t 3\n";
  assert_int_equal(parse_bytes(f, text, strlen(text), &node), CO_ERR_CONFIG);
  assert_int_equal(f->problems.count, 3);
  assert_non_null(node); // reading could go on
  assert_int_equal(node->count, 4);
}

static char *repeat(const char *piece, size_t times, const char *end) {
  size_t length = strlen(piece);
  char *text = malloc(length * times + strlen(end) + 1);
  assert_non_null(text);
  for (size_t i = 0; i < times; i++)
    memcpy(text + i * length, piece, length);
  memcpy(text + length * times, end, strlen(end) + 1);
  return text;
}

static void limits_depth_and_size(void **state) {
  fixture *f = *state;
  char *text = repeat("[", 64, "");
  char *closed = repeat("]", 64, "");
  char both[129];
  snprintf(both, sizeof both, "%s%s", text, closed);
  parse(f, both);
  free(text);
  free(closed);
  text = repeat("[", 5000, "");
  refuse(f, text, 1, 65, "nested deeper");
  free(text);
  text = repeat("- 1\n", 1000000, "");
  co_node *node;
  assert_int_equal(parse_bytes(f, text, strlen(text), &node), CO_ERR_CONFIG);
  assert_non_null(strstr(f->problems.item[0].message, "million"));
  assert_null(node);
  free(text);
  text = repeat("a: 1\n", 10000, "");
  assert_int_equal(parse_bytes(f, text, strlen(text), &node), CO_ERR_CONFIG);
  assert_int_equal(f->problems.count, 100);
  free(text);
  text = repeat("k", 256, ": 1\n");
  refuse(f, text, 1, 1, "more than 255 bytes");
  free(text);
}

static void reads_files(void **state) {
  fixture *f = *state;
  co_node *node;
  assert_int_equal(co_yaml_read_file(&node, f->arena, "/nonexistent/c.yaml", &f->problems),
                   CO_ERR_CONFIG);
  assert_int_equal(f->problems.count, 1);
  assert_null(node);
}

// Every allocation fails in turn: an error, no leak, no crash.
static void survives_without_memory(void **state) {
  (void)state;
  const char *text = "a: {b: [1, 2, {c: d}], e: 'f'}\ng: &x 1\na: !t 2\n";
  for (int64_t n = 1;; n++) {
    co_context *ctx;
    co_arena *arena;
    co_node *node;
    assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
    assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
    co_diagnostics problems;
    co_diagnostics_init(&problems, ctx);
    int64_t before = co_alloc_get_stats(ctx).calls;
    co_alloc_fail_at(ctx, n, false);
    co_status status = co_yaml_parse(&node, arena, "c.yaml", text, strlen(text), &problems);
    bool reached = co_alloc_get_stats(ctx).calls - before >= n;
    assert_int_equal(status, reached ? CO_ERR_MEMORY : CO_ERR_CONFIG);
    co_diagnostics_free(&problems);
    co_arena_free(arena);
    assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
    co_context_free(ctx);
    if (!reached) break;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reads_a_tree_with_places, setup, teardown),
      cmocka_unit_test_setup_teardown(an_empty_text_is_an_empty_map, setup, teardown),
      cmocka_unit_test_setup_teardown(json_is_read_as_well, setup, teardown),
      cmocka_unit_test_setup_teardown(every_kind_of_null, setup, teardown),
      cmocka_unit_test_setup_teardown(refuses_what_is_not_supported, setup, teardown),
      cmocka_unit_test_setup_teardown(refuses_other_encodings, setup, teardown),
      cmocka_unit_test_setup_teardown(reports_all_problems_of_one_text, setup, teardown),
      cmocka_unit_test_setup_teardown(limits_depth_and_size, setup, teardown),
      cmocka_unit_test_setup_teardown(reads_files, setup, teardown),
      cmocka_unit_test(survives_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
