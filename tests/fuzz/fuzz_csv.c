// SPDX-License-Identifier: Apache-2.0
// Input: a table in text, with target "t" and, by the first byte's lowest bit, key "k".
#include "tests/fuzz/driver.h"

#include "datasets/dataset.h"
#include "datasets/import_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char folder[64];
  co_context *ctx;
  co_arena *arena;
  co_import_csv_result result;
  co_dataset *d;
  if (size < 1) return 0;
  fuzz_enter_folder(folder, sizeof folder);
  fuzz_write_file("t.csv", data + 1, size - 1);
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  FUZZ_CHECK(co_arena_create(&arena, ctx) == CO_OK);

  static const char *const files[] = {"t.csv"};
  co_recipe_column columns[] = {{.name = "t", .role = CO_RECIPE_TARGET},
                                {.name = "k", .role = CO_RECIPE_KEY}};
  const co_recipe recipe = {
      .table = "table", .columns = columns, .column_count = 1 + (data[0] & 1)};
  const co_import_csv_options options = {.output = "out.h5",
                                         .files = files,
                                         .file_count = 1,
                                         .recipe = &recipe,
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

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {
    "0k,a,b,c,t\n1,1.5,x,0,yes\n2,2e3,y,1,no\n3,,\"z, \"\"q\"\"\",1,no\n4,-7,x,NA,yes\n",
    "1k;a;b;t\r\nu1;3;\xC3\xA9;1\r\nu2;4;\"\r\n\";2\r\nu3;5;b;3\r\n",
    "0\xEF\xBB\xBF"
    "t\tk\n1\t2\n2\t3\n"};

int main(int argc, char **argv) {
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 1200;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  enum { SAMPLES = sizeof samples / sizeof *samples };
  uint8_t data[512];
  for (long i = 0; i < inputs; i++) {
    size_t size = strlen(samples[i % SAMPLES]);
    memcpy(data, samples[i % SAMPLES], size);
    if (i >= SAMPLES) size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_csv: %ld inputs\n", inputs);
  return 0;
}
#endif
