// SPDX-License-Identifier: Apache-2.0
// test_input_rows [DEVICE]: an input section in one operation gives, to the bit, what its operations
// give one after another. Every type and stage; on ref and cpu, or on the device named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/core/rng.h"
#include "host/device/backend.h"
#include "host/exec/executor.h"
#include "host/graph/layer.h"

#define OK(expression) assert_int_equal((expression), CO_OK)

enum { TABLE = 9, ROWS = 13, H = 5, W = 7, C = 3, SIZE = H * W * C, INPUTS = 5 };
enum { GATHER = 1, FLIP = 2, CROP = 4, NORMALIZE = 8, STAGES = 16 };

static const char *only_device;
static co_context *ctx;

static int set_up(void **state) {
  (void)state;
  return co_context_create(&ctx, NULL) == CO_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  int64_t live = co_alloc_get_stats(ctx).live_blocks;
  co_context_free(ctx);
  return live == 0 ? 0 : -1;
}

// As models/model.c builds it. Inputs: table, index, ids, mean, scale.
static co_graph *build(co_dtype dtype, int stages) {
  const co_shape table = co_shape_make(4, (int64_t)TABLE, (int64_t)H, (int64_t)W, (int64_t)C);
  co_shape rows = table;
  rows.dim[0] = CO_DIM_N;
  const co_shape ids = co_shape_make(1, CO_DIM_N), channels = co_shape_make(1, (int64_t)C);
  const co_op_attr real = {.dtype = CO_F32};
  const co_op_attr flip = {.rate = 0.5, .purpose = co_purpose("flip", "test")};
  const co_op_attr crop = {.pad = 2, .fill = 0.25, .purpose = co_purpose("crop", "test")};
  co_graph *graph;
  co_value in[INPUTS], x, step;
  OK(co_graph_create(&graph, ctx));
  OK(co_graph_add_input(graph, "table", dtype, stages & GATHER ? &table : &rows, &in[0]));
  OK(co_graph_add_input(graph, "index", CO_I64, &ids, &in[1]));
  OK(co_graph_add_input(graph, "ids", CO_I64, &ids, &in[2]));
  OK(co_graph_add_input(graph, "mean", CO_F32, &channels, &in[3]));
  OK(co_graph_add_input(graph, "scale", CO_F32, &channels, &in[4]));
  OK(co_graph_get_step(graph, &step));
  x = in[0];
  if (stages & GATHER) OK(co_emit(graph, CO_OP_GATHER, NULL, 2, in, &x));
  if (dtype != CO_F32) OK(co_emit(graph, CO_OP_CAST, &real, 1, &x, &x));
  if (stages & FLIP) OK(co_emit(graph, CO_OP_FLIP, &flip, 3, (co_value[]){x, in[2], step}, &x));
  if (stages & CROP)
    OK(co_emit(graph, CO_OP_SHIFTED_CROP, &crop, 3, (co_value[]){x, in[2], step}, &x));
  if (stages & NORMALIZE)
    OK(co_emit(graph, CO_OP_NORMALIZE, NULL, 3, (co_value[]){x, in[3], in[4]}, &x));
  OK(co_graph_add_output(graph, "rows", x));
  return graph;
}

static void fill_table(void *out, co_dtype dtype, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = co_random_bits(3, (uint64_t)i, 0, 1);
    switch (dtype) {
    case CO_U8:
      ((uint8_t *)out)[i] = (uint8_t)bits;
      break;
    case CO_I32:
      ((int32_t *)out)[i] = (int32_t)bits;
      break;
    case CO_I64: // what f32 must round
      ((int64_t *)out)[i] = (int64_t)((uint64_t)bits << 20 | (bits & 0xFFF)) - ((int64_t)1 << 51);
      break;
    case CO_F32:
      ((float *)out)[i] = (float)bits * 0x1p-31f - 1;
      break;
    default:
      ((double *)out)[i] = (double)bits * 0x1p-31 - 1.0 / 3;
    }
  }
}

static void *device_copy(co_backend *backend, const void *host, size_t bytes) {
  void *memory;
  OK(backend->api->buffer_create(backend, bytes, &memory));
  OK(backend->api->upload(backend, memory, host, bytes));
  return memory;
}

// Runs the section; returns how many operations it took.
static int64_t run(co_backend *backend, const co_graph *graph, co_dtype dtype, bool fusion,
                   float *out) {
  static double table[ROWS * SIZE];
  int64_t index[ROWS], ids[ROWS];
  const float mean[C] = {0.1f, 100.3f, -7}, scale[C] = {1.0f / 3, 0.017f, 2.9f};
  const co_step step = {.seed = 5, .epoch = 4};
  fill_table(table, dtype, ROWS * SIZE);
  for (int64_t n = 0; n < ROWS; n++) {
    index[n] = (n * 5 + 8) % TABLE;
    ids[n] = n * n + 1000000;
  }
  co_store *store;
  co_plan *plan;
  co_executor *executor;
  OK(co_store_create(&store, backend, CO_F32));
  OK(co_store_add_graph(store, graph));
  OK(co_plan_create(
      &plan, graph, store,
      &(co_plan_options){
          .mode = CO_MODE_TRAIN, .shape = {.rows = ROWS}, .real = CO_F32, .no_fusion = !fusion}));
  OK(co_store_allocate(store, false, 0));
  void *arena;
  OK(backend->api->buffer_create(backend, plan->arena_bytes, &arena));
  co_memory memory = {.arena = arena, .step = device_copy(backend, &step, sizeof step)};
  OK(co_executor_create(&executor, plan, store, &memory));
  void *inputs[INPUTS] = {
      device_copy(backend, table, sizeof table), device_copy(backend, index, sizeof index),
      device_copy(backend, ids, sizeof ids), device_copy(backend, mean, sizeof mean),
      device_copy(backend, scale, sizeof scale)};
  for (int i = 0; i < INPUTS; i++)
    co_executor_bind(executor, i, inputs[i]);
  OK(co_executor_run(executor));
  OK(co_executor_read_output(executor, 0, out));
  int64_t operations = plan->op_count;
  if (fusion && operations == 1 && plan->ops[0].desc.op == CO_OP_INPUT_ROWS)
    assert_string_not_equal(plan->ops[0].choice.implementation,
                            strcmp(backend->api->name, "ref") ? "ref" : "");
  for (int i = 0; i < INPUTS; i++)
    backend->api->buffer_free(backend, inputs[i]);
  backend->api->buffer_free(backend, memory.step);
  backend->api->buffer_free(backend, arena);
  co_executor_free(executor);
  co_plan_free(plan);
  co_store_free(store);
  return operations;
}

static int64_t count_bits(int stages, co_dtype dtype) {
  int64_t count = dtype != CO_F32;
  for (int bit = 1; bit < STAGES; bit *= 2)
    count += (stages & bit) != 0;
  return count;
}

static void check_device(const char *device) {
  static const co_dtype types[] = {CO_U8, CO_I32, CO_I64, CO_F32, CO_F64};
  static float apart[ROWS * SIZE], fused[ROWS * SIZE];
  co_backend *backend;
  const co_backend_options options = {.threads = 2};
  OK(co_backend_open_device(&backend, ctx, device, &options));
  for (int t = 0; t < 5; t++)
    for (int stages = 0; stages < STAGES; stages++) {
      int64_t operations = count_bits(stages, types[t]);
      if (operations == 0) continue;
      co_graph *graph = build(types[t], stages);
      memset(apart, 0xFF, sizeof apart);
      memset(fused, 0xFF, sizeof fused);
      assert_int_equal(run(backend, graph, types[t], false, apart), operations);
      assert_int_equal(run(backend, graph, types[t], true, fused), 1);
      if (memcmp(apart, fused, sizeof apart) != 0)
        fail_msg("%s, %s, stages %x: other bits", device, co_dtype_name(types[t]),
                 (unsigned)stages);
      co_graph_free(graph);
    }
  backend->api->free(backend);
}

static void one_operation_gives_the_same_bits(void **state) {
  (void)state;
  if (only_device) {
    check_device(only_device);
    return;
  }
  check_device("ref");
  check_device("cpu");
}

// What the user watches is not fused away.
static void observed_values_stay(void **state) {
  (void)state;
  static float out[ROWS * SIZE];
  co_backend *backend;
  OK(co_backend_open_device(&backend, ctx, only_device ? only_device : "cpu", NULL));
  co_graph *graph = build(CO_U8, GATHER | NORMALIZE);
  graph->values[graph->ops[1].out[0]].observed = true;        // the cast
  assert_int_equal(run(backend, graph, CO_U8, true, out), 2); // gathered and cast, normalised
  co_graph_free(graph);
  backend->api->free(backend);
}

int main(int argc, char **argv) {
  only_device = argc > 1 ? argv[1] : NULL;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(one_operation_gives_the_same_bits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(observed_values_stay, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
