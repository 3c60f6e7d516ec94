// SPDX-License-Identifier: Apache-2.0
// Processor time of a training step over tables of different heights with the same indices, by turns:
// with `update: rows` a step costs what the rows that it reads do. Beside it, the same of a dense table.
//     bench_rows [ROUNDS [THREADS]]
// 512 rows of 50 indices below 1,000,000 into 16 units, then dense layers of 64 and 4; Adam. All memory is
// written before it is measured. It takes 2.7 GB.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/config/config.h"
#include "host/device/backend.h"
#include "host/exec/program.h"
#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"

enum { ROWS = 512, LIST = 50, SMALL = 1000000, LARGE = 10000000, STEPS = 20, CONTENDERS = 3 };

typedef struct contender {
  const char *name, *table;
  co_graph *graph;
  co_program *program;
  double *seconds; // a step, by round
} contender;

typedef struct bench {
  co_context *ctx;
  co_backend *backend;
  co_arena *arena;
} bench;

static void must(co_status status) {
  if (status == CO_OK) return;
  fprintf(stderr, "bench_rows: %s\n", co_error_last()->message);
  exit((int)status);
}

static double processor_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const void *read_options(bench *b, const co_field *fields, size_t size, const char *yaml) {
  co_diagnostics problems;
  co_node *node;
  void *options = co_arena_alloc(b->arena, 1, size);
  co_diagnostics_init(&problems, b->ctx);
  must(options ? CO_OK : CO_ERR_MEMORY);
  must(co_yaml_parse(&node, b->arena, "options", yaml, strlen(yaml), &problems));
  must(co_fields_parse(options, fields, node, "options", b->arena, &problems));
  must(co_diagnostics_result(&problems));
  co_diagnostics_free(&problems);
  return options;
}

static co_value apply(bench *b, contender *c, const char *class_name, const char *path,
                      const char *yaml, co_value in) {
  const co_layer_class *class_ = co_layer_find(class_name);
  co_value out;
  must(co_layer_apply(c->graph, class_, path,
                      read_options(b, class_->fields, class_->options_size, yaml), &in, 1, &out));
  return out;
}

static void build(bench *b, contender *c) {
  const co_shape list = co_shape_make(2, CO_DIM_N, (int64_t)LIST), one = co_shape_make(1, CO_DIM_N);
  co_value y, label, weight;
  must(co_graph_create(&c->graph, b->ctx));
  must(co_graph_add_input(c->graph, "items", CO_I32, &list, &y));
  must(co_graph_add_input(c->graph, "label", CO_I32, &one, &label));
  must(co_graph_add_input(c->graph, "label.weight", CO_F32, &one, &weight));
  y = apply(b, c, "Embedding", "table", c->table, y);
  y = apply(b, c, "Flatten", "flatten", "{}", y);
  y = apply(b, c, "Dense", "hidden", "{units: 64, activation: relu}", y);
  y = apply(b, c, "Dense", "logits", "{units: 4}", y);
  c->graph->layer = "label";
  must(co_loss_emit(c->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, y, label,
                    weight));
  c->graph->layer = NULL;
  const co_optimizer_class *adam = co_optimizer_find("adam");
  const co_phase_options phase = {.optimizer = adam,
                                  .optimizer_options =
                                      read_options(b, adam->fields, adam->options_size, "{}")};
  const co_shape_class rows = {.rows = ROWS};
  const co_program_options options = {.rows = ROWS,
                                      .classes = &rows,
                                      .class_count = 1,
                                      .phases = &phase,
                                      .phase_count = 1,
                                      .real = CO_F32};
  must(co_program_create(&c->program, c->graph, b->backend, &options));
  must(co_store_initialize(co_program_store(c->program), 1));
}

static void fill(int32_t *items, int32_t *labels, uint32_t *x) {
  for (int i = 0; i < ROWS * LIST + ROWS; i++) {
    *x = *x * 1664525 + 1013904223;
    if (i < ROWS * LIST)
      items[i] = (int32_t)(((uint64_t)*x * SMALL) >> 32);
    else
      labels[i - ROWS * LIST] = (int32_t)(*x >> 30);
  }
}

static double run(contender *c, uint32_t seed) {
  static int32_t items[ROWS * LIST], labels[ROWS];
  static float weights[ROWS];
  const void *inputs[] = {items, labels, weights};
  const co_shape_class rows = {.rows = ROWS};
  const co_step step = {.learning_rate = 0.001, .inv_norm = {1.0 / ROWS}};
  double seconds = 0;
  for (int i = 0; i < ROWS; i++)
    weights[i] = 1;
  for (int i = 0; i < STEPS; i++) {
    co_step_result result;
    fill(items, labels, &seed);
    const double begun = processor_time();
    must(co_program_step(c->program, 0, &rows, inputs, &step, &result));
    seconds += processor_time() - begun;
  }
  return seconds / STEPS;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_value);
  return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static void print(contender *contenders, int rounds, double *ratios) {
  co_program_bytes bytes;
  printf("%-32s %14s %12s %14s\n", "table", "ms of CPU/step", "to the 1st", "gradients [MB]");
  for (int i = 0; i < CONTENDERS; i++) {
    for (int r = 0; r < rounds; r++)
      ratios[r] = contenders[i].seconds[r] / contenders[0].seconds[r];
    co_program_get_bytes(contenders[i].program, &bytes);
    const double ratio = median(ratios, rounds);
    memcpy(ratios, contenders[i].seconds, (size_t)rounds * sizeof *ratios);
    printf("%-32s %14.3f %12.3f %14.1f\n", contenders[i].name, 1e3 * median(ratios, rounds), ratio,
           (double)bytes.gradients * 1e-6);
  }
}

int main(int argc, char **argv) {
  const int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 9;
  const int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1;
  contender contenders[CONTENDERS] = {
      {.name = "1,000,000 rows, update: rows",
       .table = "{input_dim: 1000000, output_dim: 16, update: rows}"},
      {.name = "10,000,000 rows, update: rows",
       .table = "{input_dim: 10000000, output_dim: 16, update: rows}"},
      {.name = "1,000,000 rows, update: dense", .table = "{input_dim: 1000000, output_dim: 16}"}};
  bench b = {0};
  if (rounds < 1) return 2;
  const co_context_options options = {.threads = threads, .level = CO_LOG_WARN};
  double *ratios = calloc((size_t)rounds, sizeof *ratios);
  must(co_context_create(&b.ctx, &options));
  must(co_backend_open_device(&b.backend, b.ctx, "cpu", NULL));
  must(co_arena_create(&b.arena, b.ctx));
  for (int i = 0; i < CONTENDERS; i++) {
    contenders[i].seconds = calloc((size_t)rounds, sizeof(double));
    if (!contenders[i].seconds || !ratios) return 1;
    build(&b, &contenders[i]);
    run(&contenders[i], 1); // warms up
  }
  for (int r = 0; r < rounds; r++)
    for (int i = 0; i < CONTENDERS; i++)
      contenders[i].seconds[r] = run(&contenders[i], (uint32_t)r);
  print(contenders, rounds, ratios);
  for (int i = 0; i < CONTENDERS; i++) {
    co_program_free(contenders[i].program);
    co_graph_free(contenders[i].graph);
    free(contenders[i].seconds);
  }
  free(ratios);
  co_arena_free(b.arena);
  b.backend->api->free(b.backend);
  co_context_free(b.ctx);
  return 0;
}
