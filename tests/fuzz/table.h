// SPDX-License-Identifier: Apache-2.0
// A raw table of any bytes: it becomes a whole dataset, or an error; nothing is left behind. Bits of the
// first byte: a key "k"; bad rows are skipped; three threads.
#ifndef COHORT_TESTS_FUZZ_TABLE_H
#define COHORT_TESTS_FUZZ_TABLE_H

#include "tests/fuzz/driver.h"

#include "datasets/dataset.h"
#include "datasets/import_csv.h"

static int fuzz_table(const uint8_t *data, size_t size) {
  char folder[64];
  co_context *ctx;
  co_arena *arena;
  co_import_csv_result result;
  co_dataset *d;
  if (size < 1) return 0;
  fuzz_enter_folder(folder, sizeof folder);
  fuzz_write_file("t.csv", data + 1, size - 1);
  const co_context_options context = {.threads = data[0] & 4 ? 3 : 1};
  FUZZ_CHECK(co_context_create(&ctx, &context) == CO_OK);
  FUZZ_CHECK(co_arena_create(&arena, ctx) == CO_OK);

  static const char *const files[] = {"t.csv"};
  co_recipe_column columns[] = {{.name = "t", .role = CO_RECIPE_TARGET},
                                {.name = "k", .role = CO_RECIPE_KEY}};
  const co_recipe recipe = {
      .table = "table", .columns = columns, .column_count = 1 + (data[0] & 1)};
  const co_import_csv_options options = {
      .output = "out.h5",
      .files = files,
      .file_count = 1,
      .recipe = &recipe,
      .reject = {.on_error = data[0] & 2 ? CO_ON_ERROR_SKIP : CO_ON_ERROR_FAIL,
                 .most = 0.5,
                 .share = true},
      .split = {.share = {0.7, 0.1, 0.2}}};
  co_status status = co_import_csv(&result, ctx, arena, &options);
  if (status == CO_OK) {
    FUZZ_CHECK(co_dataset_open(&d, ctx, "out.h5") == CO_OK);
    FUZZ_CHECK(co_dataset_rows(d) == result.rows[0] + result.rows[1] + result.rows[2]);
    co_dataset_close(d);
  } else {
    FUZZ_CHECK(status == CO_ERR_DATA && co_error_last()->message[0]);
    FUZZ_CHECK(access("out.h5", F_OK) != 0);
  }
  co_arena_free(arena);
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  remove("t.csv");
  remove("out.h5");
  FUZZ_CHECK(chdir("/") == 0 && rmdir(folder) == 0); // so no other file was left
  return 0;
}

static int fuzz_tables(const char *name, const char *const *samples, int count, int argc,
                       char **argv) {
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 1200;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  uint8_t data[512];
  for (long i = 0; i < inputs; i++) {
    size_t size = strlen(samples[i % count]);
    memcpy(data, samples[i % count], size);
    if (i >= count) size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("%s: %ld inputs\n", name, inputs);
  return 0;
}

#endif
