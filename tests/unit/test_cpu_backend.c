// SPDX-License-Identifier: Apache-2.0
// What the CPU backend promises beside right numbers (tests/ops checks those).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels/backend.h"

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

static co_backend *open_cpu(int threads, const char *force) {
  const co_backend_options options = {.threads = threads, .force = force};
  co_backend *backend = NULL;
  assert_int_equal(co_cpu_backend_open(&backend, ctx, &options), CO_OK);
  return backend;
}

static co_tensor_desc f32(co_layout layout, co_shape shape) {
  return (co_tensor_desc){.dtype = CO_F32, .layout = layout, .shape = shape};
}

static co_op_desc conv_desc(co_op op, co_layout layout) {
  co_op_desc desc;
  memset(&desc, 0, sizeof desc);
  desc.op = op;
  desc.attr = (co_op_attr){.kernel = {3, 3},
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .pad_begin = {1, 1},
                           .pad_end = {1, 1}};
  const co_tensor_desc x =
      f32(layout, co_shape_make(4, (int64_t)4, (int64_t)8, (int64_t)8, (int64_t)20));
  const co_tensor_desc w =
      f32(layout, co_shape_make(4, (int64_t)3, (int64_t)3, (int64_t)20, (int64_t)24));
  const co_tensor_desc y =
      f32(layout, co_shape_make(4, (int64_t)4, (int64_t)8, (int64_t)8, (int64_t)24));
  desc.has_in = 3;
  desc.has_out = 1;
  desc.in[0] = x;
  desc.in[1] = op == CO_OP_CONV2D ? w : y;
  desc.out[0] = op == CO_OP_CONV2D ? y : w;
  return desc;
}

static void layouts_are_ids_of_content(void **state) {
  (void)state;
  co_backend *cpu = open_cpu(1, NULL);
  const co_op_desc desc = conv_desc(CO_OP_CONV2D, CO_LAYOUT_ANY);
  co_op_choice first, second;
  assert_int_equal(cpu->api->query(cpu, &desc, &first), CO_OK);
  assert_int_equal(cpu->api->query(cpu, &desc, &second), CO_OK);
  assert_int_equal(first.in[0], second.in[0]);
  assert_int_equal(first.in[1], second.in[1]);
  assert_int_equal(first.out[0], second.out[0]);
  assert_string_equal(cpu->api->layout_name(cpu, CO_LAYOUT_CANONICAL), "canonical");
  co_tensor_desc x = desc.in[0];
  x.layout = CO_LAYOUT_CANONICAL;
  assert_int_equal(cpu->api->layout_bytes(cpu, &x), 4 * 8 * 8 * 20 * 4);
  x.layout = first.in[0];
  assert_true(cpu->api->layout_bytes(cpu, &x) >= 4 * 8 * 8 * 20 * 4);
  cpu->api->free(cpu);
}

static void force_chooses_by_prefix(void **state) {
  (void)state;
  co_backend *cpu = open_cpu(1, "ref");
  const co_op_desc desc = conv_desc(CO_OP_CONV2D, CO_LAYOUT_ANY);
  co_op_choice choice;
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  assert_string_equal(choice.implementation, "ref");
  assert_non_null(choice.refused);
  assert_int_equal(choice.in[0], CO_LAYOUT_CANONICAL);
  cpu->api->free(cpu);
  cpu = open_cpu(1, "no such thing");
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  assert_string_not_equal(choice.implementation, "ref");
  cpu->api->free(cpu);
}

static void accumulation_is_refused_rather_than_slow(void **state) {
  (void)state;
  co_backend *cpu = open_cpu(1, NULL);
  co_op_desc desc = conv_desc(CO_OP_CONV2D_BACKWARD_WEIGHTS, CO_LAYOUT_ANY);
  co_op_choice choice;
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  desc.accumulate = 1;
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_ERR_DEVICE);
  cpu->api->free(cpu);
}

static void doubles_go_to_the_reference(void **state) {
  (void)state;
  co_backend *cpu = open_cpu(1, NULL);
  co_op_desc desc = conv_desc(CO_OP_CONV2D, CO_LAYOUT_ANY);
  co_op_choice choice;
  desc.in[0].dtype = desc.in[1].dtype = desc.out[0].dtype = CO_F64;
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  assert_string_equal(choice.implementation, "ref");
  cpu->api->free(cpu);
}

// Runs RELU_BIAS_BACKWARD over many rows into dx and db; counts allocations during run.
static void run_bias(int threads, float *dx, float *db) {
  enum { ROWS = 3000, CHANNELS = 70 };
  co_backend *cpu = open_cpu(threads, NULL);
  co_op_desc desc;
  co_op_choice choice;
  co_prepared *prepared = NULL;
  memset(&desc, 0, sizeof desc);
  desc.op = CO_OP_RELU_BIAS_BACKWARD;
  desc.has_in = desc.has_out = 3;
  desc.in[0] = desc.in[1] = desc.out[0] =
      f32(0, co_shape_make(2, (int64_t)ROWS, (int64_t)CHANNELS));
  desc.out[1] = f32(0, co_shape_make(1, (int64_t)CHANNELS));
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  assert_int_equal(cpu->api->prepare(cpu, &desc, &prepared), CO_OK);
  float *y = co_alloc(ctx, ROWS * CHANNELS * sizeof *y);
  float *dy = co_alloc(ctx, ROWS * CHANNELS * sizeof *dy);
  void *workspace = co_alloc(ctx, choice.workspace);
  for (int i = 0; i < ROWS * CHANNELS; i++) {
    y[i] = (float)(i % 7) - 3;
    dy[i] = 1.0f / (float)(1 + i % 1013);
  }
  void *in[CO_OP_MAX_OPERANDS] = {y, dy}, *out[CO_OP_MAX_OPERANDS] = {dx, db};
  const int64_t calls = co_alloc_get_stats(ctx).calls;
  assert_int_equal(cpu->api->run(cpu, prepared, in, out, workspace), CO_OK);
  assert_int_equal(co_alloc_get_stats(ctx).calls, calls);
  co_free(ctx, y);
  co_free(ctx, dy);
  co_free(ctx, workspace);
  cpu->api->release(cpu, prepared);
  cpu->api->free(cpu);
}

static void sums_do_not_depend_on_threads(void **state) {
  (void)state;
  static float dx[2][3000 * 70], db[2][70];
  run_bias(1, dx[0], db[0]);
  run_bias(3, dx[1], db[1]);
  assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
  assert_memory_equal(db[0], db[1], sizeof db[0]);
}

static co_status open_query_prepare(void) {
  co_backend *cpu = NULL;
  co_prepared *prepared = NULL;
  co_op_choice choice;
  co_status status = co_cpu_backend_open(&cpu, ctx, NULL);
  if (status != CO_OK) return status;
  co_op_desc desc = conv_desc(CO_OP_CONV2D, CO_LAYOUT_ANY);
  CO_TRY(cpu->api->query(cpu, &desc, &choice));
  desc.in[0].layout = choice.in[0];
  desc.in[1].layout = choice.in[1];
  desc.out[0].layout = choice.out[0];
  CO_TRY(cpu->api->prepare(cpu, &desc, &prepared));
cleanup:
  cpu->api->release(cpu, prepared);
  cpu->api->free(cpu);
  return status;
}

// Tables of more rows than positions and of fewer; one row has a quarter of the positions.
enum { POSITIONS = 5000, WIDTH = 9 };

static void run_table(int threads, int64_t V, bool add, float *dtable) {
  co_backend *cpu = open_cpu(threads, NULL);
  co_op_desc desc = {.op = CO_OP_EMBEDDING_BACKWARD, .has_in = 3, .has_out = 1, .accumulate = add};
  desc.in[0] = (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, (int64_t)POSITIONS)};
  desc.in[1] = f32(CO_LAYOUT_CANONICAL, co_shape_make(2, (int64_t)POSITIONS, (int64_t)WIDTH));
  desc.out[0] = f32(CO_LAYOUT_CANONICAL, co_shape_make(2, V, (int64_t)WIDTH));
  co_op_choice choice;
  co_prepared *prepared;
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  assert_string_equal(choice.implementation, "omp");
  assert_int_equal(cpu->api->prepare(cpu, &desc, &prepared), CO_OK);
  int32_t *index = co_alloc(ctx, POSITIONS * sizeof *index);
  float *dy = co_alloc(ctx, POSITIONS * WIDTH * sizeof *dy);
  void *workspace = co_alloc(ctx, choice.workspace + 1);
  assert_true(index && dy && workspace);
  for (int64_t i = 0; i < POSITIONS; i++)
    index[i] = (int32_t)(i % 4 == 1 ? 2 : i * 7919 % V);
  for (int64_t i = 0; i < POSITIONS * WIDTH; i++)
    dy[i] = 1.0f / (float)(i % 997 + 3); // sums round
  for (int64_t i = 0; i < V * WIDTH; i++)
    dtable[i] = (float)(i % 5);
  void *in[CO_OP_MAX_OPERANDS] = {index, dy}, *out[CO_OP_MAX_OPERANDS] = {dtable};
  assert_int_equal(cpu->api->run(cpu, prepared, in, out, workspace), CO_OK);
  cpu->api->release(cpu, prepared);
  co_free(ctx, index);
  co_free(ctx, dy);
  co_free(ctx, workspace);
  cpu->api->free(cpu);
}

static void tables_do_not_depend_on_threads(void **state) {
  (void)state;
  static float one[20000 * WIDTH], many[20000 * WIDTH];
  const int64_t sizes[] = {3, 20000};
  for (int k = 0; k < 2; k++)
    for (int threads = 2; threads < 8; threads++) {
      run_table(1, sizes[k], threads % 2, one);
      run_table(threads, sizes[k], threads % 2, many);
      assert_memory_equal(one, many, (size_t)(sizes[k] * WIDTH) * sizeof *one);
    }
}

static void run_sums(int threads, int32_t *unique, float *sums) {
  co_backend *cpu = open_cpu(threads, NULL);
  co_op_desc desc = {.op = CO_OP_SUM_ROWS, .has_in = 7, .has_out = 3};
  const co_tensor_desc ids = {.dtype = CO_I32, .shape = co_shape_make(1, (int64_t)POSITIONS)};
  desc.in[CO_SUM_ROWS_ids] = desc.out[CO_SUM_ROWS_unique] = ids;
  desc.in[CO_SUM_ROWS_rows] = desc.out[CO_SUM_ROWS_sums] =
      f32(CO_LAYOUT_CANONICAL, co_shape_make(2, (int64_t)POSITIONS, (int64_t)WIDTH));
  desc.in[CO_SUM_ROWS_count] =
      (co_tensor_desc){.dtype = CO_I32, .shape = co_shape_make(1, (int64_t)1)};
  co_op_choice choice;
  co_prepared *prepared;
  assert_int_equal(cpu->api->query(cpu, &desc, &choice), CO_OK);
  assert_string_equal(choice.implementation, "omp");
  assert_int_equal(cpu->api->prepare(cpu, &desc, &prepared), CO_OK);
  static int32_t list[POSITIONS];
  static float rows[POSITIONS * WIDTH];
  int32_t count = POSITIONS;
  void *workspace = co_alloc(ctx, choice.workspace + 1);
  assert_non_null(workspace);
  for (int32_t i = 0; i < POSITIONS; i++)
    list[i] = i % 4 == 1 ? 2 : i * 7919 % 3000;
  for (int i = 0; i < POSITIONS * WIDTH; i++)
    rows[i] = 1.0f / (float)(i % 997 + 3);
  void *in[CO_OP_MAX_OPERANDS] = {list, rows, &count}, *out[CO_OP_MAX_OPERANDS] = {unique, sums};
  assert_int_equal(cpu->api->run(cpu, prepared, in, out, workspace), CO_OK);
  cpu->api->release(cpu, prepared);
  co_free(ctx, workspace);
  cpu->api->free(cpu);
}

static void sums_of_rows_do_not_depend_on_threads(void **state) {
  (void)state;
  static float one[POSITIONS * WIDTH], many[POSITIONS * WIDTH];
  static int32_t of_one[POSITIONS], of_many[POSITIONS];
  run_sums(1, of_one, one);
  for (int threads = 2; threads < 8; threads += 2) {
    run_sums(threads, of_many, many);
    assert_memory_equal(one, many, sizeof one);
    assert_memory_equal(of_one, of_many, sizeof of_one);
  }
}

static void failing_allocations_leak_nothing(void **state) {
  (void)state;
  const int64_t live = co_alloc_get_stats(ctx).live_blocks;
  co_status status = CO_ERR_MEMORY;
  for (int64_t nth = 1; status != CO_OK && nth < 200; nth++) {
    co_alloc_fail_at(ctx, nth, false);
    status = open_query_prepare();
    co_alloc_fail_at(ctx, 0, false);
    assert_true(status == CO_OK || status == CO_ERR_MEMORY);
    assert_int_equal(co_alloc_get_stats(ctx).live_blocks, live);
  }
  assert_int_equal(status, CO_OK);
}

// oneDNN's convolutions wait for ever for threads that OpenMP does not give.
static void limits_of_threads_are_refused(void **state) {
  (void)state;
  co_context *limited;
  co_backend *backend;
  const co_context_options rule = {.thread_limit = 2, .limit_why = "a rule"};
  assert_int_equal(co_context_create(&limited, &rule), CO_OK);
  co_backend_options options = {.threads = 3};
  assert_int_equal(co_cpu_backend_open(&backend, limited, &options), CO_ERR_DEVICE);
  assert_null(backend);
  assert_non_null(strstr(co_error_last()->message, "a rule allows 2"));
  options.threads = 2;
  assert_int_equal(co_cpu_backend_open(&backend, limited, &options), CO_OK);
  backend->api->free(backend);
  assert_int_equal(co_alloc_get_stats(limited).live_blocks, 0);
  co_context_free(limited);
}

static void threads_do_not_depend_on_openmp_settings(void **state) {
  (void)state;
#ifdef _OPENMP
  int levels = omp_get_max_active_levels();
  omp_set_dynamic(1);
  omp_set_max_active_levels(0);
  co_backend *backend = open_cpu(2, NULL);
  backend->api->free(backend);
  assert_int_equal(omp_get_dynamic(), 0);
  assert_true(omp_get_max_active_levels() >= 1);
  omp_set_max_active_levels(levels);
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(layouts_are_ids_of_content, set_up, tear_down),
      cmocka_unit_test_setup_teardown(force_chooses_by_prefix, set_up, tear_down),
      cmocka_unit_test_setup_teardown(accumulation_is_refused_rather_than_slow, set_up, tear_down),
      cmocka_unit_test_setup_teardown(doubles_go_to_the_reference, set_up, tear_down),
      cmocka_unit_test_setup_teardown(sums_do_not_depend_on_threads, set_up, tear_down),
      cmocka_unit_test_setup_teardown(tables_do_not_depend_on_threads, set_up, tear_down),
      cmocka_unit_test_setup_teardown(sums_of_rows_do_not_depend_on_threads, set_up, tear_down),
      cmocka_unit_test_setup_teardown(failing_allocations_leak_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(limits_of_threads_are_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(threads_do_not_depend_on_openmp_settings, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
