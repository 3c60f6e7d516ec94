// SPDX-License-Identifier: Apache-2.0
// The preset `auto`: what it takes from the columns and the rows, and what it shares with a file.
#include "tests/unit/data_fixture.h"

#include "host/config/config.h"
#include "models/preset.h"

// The config as JSON in one line.
static void render(fixture *f, const co_node *node, char *out, size_t size) {
  co_json json;
  co_json_init(&json, f->ctx, 0);
  co_node_render(&json, node);
  assert_int_equal(json.text.status, CO_OK);
  snprintf(out, size, "%s", json.text.data);
  co_json_free(&json);
}

static void automatic(fixture *f, const co_column *columns, int64_t count, int64_t rows, char *out,
                      size_t size) {
  const co_schema schema = {.column_count = count, .columns = columns};
  co_text text;
  co_arena *arena;
  co_node *node;
  co_diagnostics problems;
  co_text_init(&text, f->ctx);
  co_diagnostics_init(&problems, f->ctx);
  assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
  assert_int_equal(co_preset_auto(&text, &schema, rows), CO_OK);
  assert_int_equal(co_yaml_parse(&node, arena, "auto", text.data, text.length, &problems), CO_OK);
  render(f, node, out, size);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  co_text_free(&text);
}

static const co_column input = {.name = "a", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT};

static void a_binary_target_gets_the_shopper_preset(void **state) {
  fixture *f = *state;
  char file[4096], made[4096];
  const co_column columns[] = {input,
                               {.name = "t", .type = CO_COLUMN_BINARY, .role = CO_ROLE_TARGET}};
  co_arena *arena;
  co_node *node;
  co_diagnostics problems;
  co_diagnostics_init(&problems, f->ctx);
  assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
  assert_int_equal(co_yaml_read_file(&node, arena,
                                     COHORT_TEST_SOURCE_DIR "/models/presets/shopper-mlp.yaml",
                                     &problems),
                   CO_OK);
  render(f, node, file, sizeof file);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  automatic(f, columns, 2, 10000, made, sizeof made);
  assert_string_equal(made, file);
}

static void many_numbers_get_narrow_layers(void **state) {
  fixture *f = *state;
  char made[4096];
  co_column columns[600];
  for (int i = 0; i < 600; i++)
    columns[i] = input;
  automatic(f, columns, 128, 10000, made, sizeof made);
  assert_non_null(strstr(made, "\"embedding_size\":16}"));
  automatic(f, columns, 129, 10000, made, sizeof made);
  assert_non_null(strstr(made, "\"embedding_size\":8}"));
  automatic(f, columns, 600, 10000, made, sizeof made);
  assert_non_null(strstr(made, "\"embedding_size\":4}"));
}

static void batches_go_by_rows(void **state) {
  fixture *f = *state;
  static const struct {
    int64_t rows;
    const char *batch;
  } cases[] = {{1, "\"batch_size\":16,"},
               {600, "\"batch_size\":32,"},
               {4096, "\"batch_size\":256,"},
               {1 << 21, "\"batch_size\":512,"},
               {1 << 30, "\"batch_size\":2048,"}};
  char made[4096];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    automatic(f, &input, 1, cases[i].rows, made, sizeof made);
    assert_non_null(strstr(made, cases[i].batch));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(a_binary_target_gets_the_shopper_preset),
      DATA_TEST(many_numbers_get_narrow_layers),
      DATA_TEST(batches_go_by_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
