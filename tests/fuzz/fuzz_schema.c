// SPDX-License-Identifier: Apache-2.0
// Input: a schema file. What is accepted is printed as a schema that reads as the same; what is not is
// an error with a place.
#include "tests/fuzz/driver.h"

#include "host/api/table.h"

static void check_round_trip(co_context *ctx, co_arena *arena, const co_recipe *recipe) {
  co_recipe again = {.table = NULL};
  co_diagnostics problems;
  co_text first, second;
  co_diagnostics_init(&problems, ctx);
  co_text_init(&first, ctx);
  co_text_init(&second, ctx);
  FUZZ_CHECK(co_recipe_print(&first, recipe) == CO_OK);
  if (co_table_parse_schema(&again, "again", first.data, arena, &problems) != CO_OK)
    fprintf(stderr, "---\n%s---\n%s\n", first.data, co_error_last()->message);
  FUZZ_CHECK(!problems.count);
  FUZZ_CHECK(co_recipe_print(&second, &again) == CO_OK);
  FUZZ_CHECK(strcmp(first.data, second.data) == 0);
  co_text_free(&first);
  co_text_free(&second);
  co_diagnostics_free(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_recipe recipe = {.table = NULL};
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  FUZZ_CHECK(co_arena_create(&arena, ctx) == CO_OK);
  co_diagnostics_init(&problems, ctx);
  char *text = co_arena_strndup(arena, (const char *)data, size);
  co_status status = co_table_parse_schema(&recipe, "s.yaml", text, arena, &problems);
  FUZZ_CHECK(status == CO_OK || (status == CO_ERR_CONFIG && problems.count));
  if (status == CO_OK) check_round_trip(ctx, arena, &recipe);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {
    "tables:\n  t:\n    file: a.csv\n    delimiter: \";\"\n    columns:\n      a: {type: number, "
    "role: input}\n"
    "      d: {type: date, role: input, format: \"%d/%m/%Y\"}\n",
    "tables: {t: {key: k, skip_lines: 3, header: [k, b], encoding: latin1, quotes: false, columns: "
    "{b: "
    "{type: binary, role: target, positive: 'y', strip_suffix: .}}}}\n",
    "tables: {t: {query: SELECT 1, columns: {}}}\n",
    "tables: {a: {time: d, where: x > 0, columns: {x: {}}}, b: {key: i, carry: true}, c: {}}\n"
    "joins: [{table: b, to: a, on: x}, {table: c, to: b, on: [y, z], kind: one_to_one}]\n"};

int main(int argc, char **argv) {
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 3000;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  enum { SAMPLES = sizeof samples / sizeof *samples };
  uint8_t data[512];
  for (long i = 0; i < inputs; i++) {
    size_t size = strlen(samples[i % SAMPLES]);
    memcpy(data, samples[i % SAMPLES], size);
    if (i >= SAMPLES) size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_schema: %ld inputs\n", inputs);
  return 0;
}
#endif
