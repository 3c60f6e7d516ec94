// SPDX-License-Identifier: Apache-2.0
// Every allocation of building and running a tiny program fails in turn, once and for good: the
// error says so, and nothing leaks.
#include <string.h>

#include "tests/train/helpers.h"

static const char model_yaml[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [{Conv2D: {filters: 2, kernel_size: 3}}, MaxPooling2D,\n"
    "      BatchNormalization, ReLU, Flatten, {Dense: 3, name: twin}, {Dropout: 0.5},\n"
    "      {shared: twin, inputs: [flatten]}]}\n"
    "output_features: [{name: label}, {name: score}]\n";

enum { ROWS = 2 };

// Data of every input, one after the other: zeros will do.
static const double zeros[6 * 6 * 2 * ROWS];

static co_status run_program(co_program *program, const co_graph *graph) {
  const void *inputs[MAX_INPUTS];
  for (int i = 0; i < MAX_INPUTS; i++)
    inputs[i] = zeros;
  assert_true(graph->input_count <= MAX_INPUTS);
  co_step step = {.learning_rate = 0.1, .inv_norm = {0.5, 0.5}};
  co_step_result result;
  const co_shape_class shape = {.rows = ROWS};
  char hex[65];
  CO_RETURN_IF_FAILED(co_store_initialize(co_program_store(program), 1));
  for (int i = 0; i < 2; i++, step.step++)
    CO_RETURN_IF_FAILED(co_program_step(program, 0, &shape, inputs, &step, &result));
  CO_RETURN_IF_FAILED(co_program_evaluate(program, inputs));
  CO_RETURN_IF_FAILED(co_store_fingerprint(co_program_store(program), hex));
  co_text text;
  co_text_init(&text, graph->ctx);
  co_plan_print(co_program_plan(program, 0), &text);
  co_status status = text.status;
  co_text_free(&text);
  return status;
}

static co_status build_and_run(rig *r) {
  co_node *config;
  CO_RETURN_IF_FAILED(co_arena_create(&r->arena, r->ctx));
  CO_RETURN_IF_FAILED(strcmp(r->setup.backend, "cpu") == 0
                          ? co_cpu_backend_open(&r->backend, r->ctx, NULL)
                          : co_ref_backend_open(&r->backend, r->ctx, NULL));
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&config, r->arena, "test", model_yaml, strlen(model_yaml), &r->problems));
  CO_RETURN_IF_FAILED(co_model_create(&r->model, r->ctx, config, &test_schema, &r->problems));
  r->graph = r->model->network;
  CO_RETURN_IF_FAILED(rig_try_program(r, &r->program));
  return run_program(r->program, r->graph);
}

static co_status attempt(const setup *s, int64_t nth, bool persistent, bool *fired) {
  rig r;
  memset(&r, 0, sizeof r);
  r.setup = *s;
  OK(co_context_create(&r.ctx, &(co_context_options){.threads = 1}));
  co_diagnostics_init(&r.problems, r.ctx);
  co_error_clear();
  co_alloc_fail_at(r.ctx, nth, persistent);
  co_status status = build_and_run(&r);
  *fired = co_alloc_get_stats(r.ctx).calls >= nth;
  if (status != CO_OK && co_error_last()->status != status)
    fail_msg("allocation %lld: status %s without its error", (long long)nth,
             co_status_name(status));
  co_program_free(r.program);
  co_model_free(r.model);
  co_diagnostics_free(&r.problems);
  co_arena_free(r.arena);
  if (r.backend) r.backend->api->free(r.backend);
  if (co_alloc_get_stats(r.ctx).live_blocks != 0)
    fail_msg("allocation %lld: %lld blocks leaked", (long long)nth,
             (long long)co_alloc_get_stats(r.ctx).live_blocks);
  co_context_free(r.ctx);
  return status;
}

static void check_all(const char *backend, co_dtype real, bool bf16, bool persistent) {
  setup s = {.backend = backend,
             .real = real,
             .bf16 = bf16,
             .rows = ROWS,
             .evaluation_rows = ROWS,
             .phase = {{.optimizer = "{adam: {}}"}}};
  bool fired = true;
  int64_t nth = 1;
  for (; fired; nth++) {
    co_status status = attempt(&s, nth, persistent, &fired);
    co_status expected = fired ? CO_ERR_MEMORY : CO_OK;
    if (status != expected)
      fail_msg("%s, allocation %lld fails: %s: %s", backend, (long long)nth, co_status_name(status),
               co_error_last()->message);
  }
  print_message("%s: %lld allocations failed in turn\n", backend, (long long)nth - 2);
  assert_true(nth > 100);
}

static void every_allocation_may_fail(void **unused) {
  (void)unused;
  check_all("ref", CO_F64, false, false);
  check_all("cpu", CO_F32, false, false);
  check_all("cpu", CO_F32, true, false);
}

static void memory_may_stay_short(void **unused) {
  (void)unused;
  check_all("ref", CO_F32, true, true);
  check_all("cpu", CO_F32, false, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail),
                                     cmocka_unit_test(memory_may_stay_short)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
