// SPDX-License-Identifier: Apache-2.0
// Processor time and time of a clock that each sink takes for rows of a key, a label and a score: nothing is
// read and nothing scored. Beside SQLite's, a loop of inserts through the same library with the same
// pragmas and one transaction.
//     bench_sinks FOLDER [ROWS [URL]]      URL: of a PostgreSQL server, whose table "scores" is replaced
// Files go into FOLDER, which is left with them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datasets/sqlite_api.h"
#include "host/output/sink.h"

enum { ROUNDS = 3, SAVE_ROWS = 1 << 16 };

typedef struct rows {
  int64_t count;
  char (*keys)[24];
  float *scores;
} rows;

static const char *const labels[] = {"no", "yes"};

static double clock_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(co_status status) {
  if (status == CO_OK) return;
  fprintf(stderr, "bench_sinks: %s\n", co_error_last()->message);
  exit(1);
}

static rows make_rows(int64_t count) {
  rows r = {count, malloc((size_t)count * sizeof *r.keys),
            malloc((size_t)count * sizeof *r.scores)};
  if (!r.keys || !r.scores) exit(1);
  uint32_t x = 1;
  for (int64_t i = 0; i < count; i++) {
    snprintf(r.keys[i], sizeof r.keys[i], "C%08lld", (long long)i);
    x = x * 1664525 + 1013904223;
    r.scores[i] = (float)(x >> 8) * 0x1p-24F;
  }
  return r;
}

// ---- contenders --------------------------------------------------------------------------------

static void run_sink(co_context *ctx, const rows *r, const co_sink_options *options) {
  static co_score_column column[] = {
      {.name = "customer", .type = CO_SCORE_TEXT, .content = CO_SCORE_KEY},
      {.name = "bought", .type = CO_SCORE_TEXT, .content = CO_SCORE_CELL},
      {.name = "bought_score", .type = CO_SCORE_NUMBER, .content = CO_SCORE_CELL}};
  const co_score_columns columns = {.column = column, .count = 3};
  const co_sink_job job = {"model", "source", "options"};
  co_sink *sink;
  check(co_sink_open(&sink, ctx, options));
  check(co_sink_begin(sink, &columns, &job));
  for (int64_t i = 0; i < r->count; i++) {
    const co_score_cell cells[] = {
        {r->keys[i], 0}, {labels[r->scores[i] > 0.5F], 0}, {NULL, (double)r->scores[i]}};
    check(co_sink_row(sink, cells));
    const co_position at = {.rows = i + 1};
    if ((i + 1) % SAVE_ROWS == 0) check(co_sink_save(sink, &at));
  }
  const co_position all = {.rows = r->count};
  check(co_sink_finish(sink, &all));
  check(co_sink_commit(sink));
  co_sink_close(sink);
}

static void run_loop(co_context *ctx, const rows *r, const char *path) {
  co_sqlite_api api = {0};
  void *database, *insert;
  FILE *empty = fopen(path, "wb");
  if (!empty || fclose(empty) != 0) exit(1);
  (void)ctx;
  check(co_sqlite_load(&api));
  int code = api.open_v2(path, &database, CO_SQL_OPEN_READWRITE, NULL);
  code |= api.exec(database,
                   "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
                   "CREATE TABLE scores (customer TEXT NOT NULL, bought TEXT NOT NULL, "
                   "bought_score REAL NOT NULL)",
                   NULL, NULL, NULL);
  code |= api.prepare_v2(database, "INSERT INTO scores VALUES (?, ?, ?)", -1, &insert, NULL);
  for (int64_t i = 0; i < r->count && !code; i++) {
    code |= api.bind_text(insert, 1, r->keys[i], -1, NULL);
    code |= api.bind_text(insert, 2, labels[r->scores[i] > 0.5F], -1, NULL);
    code |= api.bind_double(insert, 3, (double)r->scores[i]);
    code |= api.step(insert) != CO_SQL_DONE || api.reset(insert);
  }
  api.finalize(insert);
  code |= api.exec(database, "COMMIT", NULL, NULL, NULL);
  api.close(database);
  co_sqlite_unload(&api);
  if (code) exit(1);
}

// ---- measuring ---------------------------------------------------------------------------------

typedef struct contender {
  const char *name, *file, *output, *table; // file NULL = a loop into `output`
  double cpu[ROUNDS], wall[ROUNDS];
} contender;

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(const double *values) {
  double sorted[ROUNDS];
  memcpy(sorted, values, sizeof sorted);
  qsort(sorted, ROUNDS, sizeof *sorted, by_value);
  return sorted[ROUNDS / 2];
}

static void run(co_context *ctx, const rows *r, contender *c, const char *folder, int round) {
  char path[4096], output[4200];
  bool server = c->output && strstr(c->output, "://");
  snprintf(path, sizeof path, "%s/%s", folder, c->file);
  snprintf(output, sizeof output, "%s%s", c->output, server ? "" : path);
  remove(path);
  const co_sink_options options = {.output = output,
                                   .table = c->table,
                                   .if_exists = server ? "replace" : NULL,
                                   .rows = r->count};
  double cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID), wall = clock_of(CLOCK_MONOTONIC);
  if (c->output)
    run_sink(ctx, r, &options);
  else
    run_loop(ctx, r, path);
  c->cpu[round] = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  c->wall[round] = clock_of(CLOCK_MONOTONIC) - wall;
}

int main(int argc, char **argv) {
  contender all[] = {{.name = "a loop of SQLite's inserts", .file = "loop.db"},
                     {.name = "SQLite", .file = "s.db", .output = "sqlite:", .table = "scores"},
                     {.name = "CSV", .file = "s.csv", .output = ""},
                     {.name = "JSON lines", .file = "s.jsonl", .output = ""},
                     {.name = "HDF5", .file = "s.h5", .output = ""},
                     {.name = "PostgreSQL", .file = "", .table = "scores"}};
  if (argc < 2) {
    fprintf(stderr, "usage: bench_sinks FOLDER [ROWS [URL]]\n");
    return 2;
  }
  int count = argc > 3 ? 6 : 5;
  const rows r = make_rows(argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000);
  co_context *ctx;
  check(co_context_create(&ctx, &(co_context_options){.level = CO_LOG_WARN}));
  if (argc > 3) all[5].output = argv[3];
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < count; i++)
      run(ctx, &r, &all[i], argv[1], round);
  printf("%-28s %14s %14s\n", "", "rows/CPU s", "rows/s");
  for (int i = 0; i < count; i++)
    printf("%-28s %14.0f %14.0f\n", all[i].name, (double)r.count / median(all[i].cpu),
           (double)r.count / median(all[i].wall));
  printf("SQLite beside the loop: %.2f of its rows per CPU second, %.2f per second\n",
         median(all[0].cpu) / median(all[1].cpu), median(all[0].wall) / median(all[1].wall));
  free(r.keys);
  free(r.scores);
  co_context_free(ctx);
  return 0;
}
