// SPDX-License-Identifier: Apache-2.0
// Planned memory: how little, that nothing is read before it is written, that nothing beside the
// arena is touched, and that running allocates nothing.
#include "helpers.h"

#include <stdio.h>
#include <string.h>

enum { GUARD = 4096, ROWS = 4 };

// Sixty convolutions one after another.
static const char *deep(rig *r) {
  co_text text;
  co_text_init(&text, r->ctx);
  co_text_printf(&text, "input_features: [{name: wide_image, encoder: {type: graph, layers: [\n");
  for (int i = 0; i < 60; i++)
    co_text_printf(&text, "  {Conv2D: {filters: 16, kernel_size: 3, padding: same, %s}},\n",
                   i % 2 ? "activation: relu" : "use_bias: false");
  co_text_printf(&text, "  Flatten]}}]\noutput_features: [{name: label}]\n");
  const char *yaml = co_arena_strdup(r->arena, text.data);
  co_text_free(&text);
  assert_non_null(yaml);
  return yaml;
}

static const char mixed[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, padding: same}, name: stem},\n"
    "      BatchNormalization, ReLU, {Conv2D: {filters: 16, kernel_size: 3, padding: same}},\n"
    "      {Add: {}, inputs: [conv2d, stem]}, ReLU, MaxPooling2D, Flatten,\n"
    "      {Dense: {units: 12, activation: relu}}, {Dropout: 0.5}, {Dense: 12, name: twin},\n"
    "      {shared: twin}]}\n"
    "output_features: [{name: label}, {name: vector}]\n";

static size_t sum_of_activations(const rig *r, int64_t rows) {
  size_t sum = 0;
  for (int64_t i = 0; i < r->graph->value_count; i++) {
    co_tensor_desc desc = r->graph->values[i].desc;
    if (r->graph->values[i].storage != CO_STORAGE_ARENA) continue;
    if (desc.shape.dim[0] == CO_DIM_N) desc.shape.dim[0] = rows;
    sum += co_tensor_bytes(&desc);
  }
  return sum;
}

static void deep_networks_need_little(void **unused) {
  (void)unused;
  static const char *const backends[] = {"ref", "cpu"};
  for (int i = 0; i < 2; i++) {
    rig r;
    setup s = {.backend = backends[i],
               .rows = ROWS,
               .real = CO_F32,
               .evaluation_rows = ROWS,
               .infer = true};
    rig_open(&r, &s);
    rig_model(&r, deep(&r));
    rig_program(&r);
    size_t naive = sum_of_activations(&r, ROWS);
    const co_plan *training = co_program_plan(r.program, 0),
                  *inference = co_program_plan(r.program, 2);
    assert_int_equal(inference->options.mode, CO_MODE_INFER);
    print_message("%s: sum %zu KiB, inference %zu KiB, training %zu KiB\n", backends[i],
                  naive >> 10, inference->arena_bytes >> 10, training->arena_bytes >> 10);
    assert_true(inference->arena_bytes < naive / 16);
    assert_true(training->arena_bytes < naive);
    rig_free(&r);
  }
}

// ---- the plan's own promises -------------------------------------------------------------------

typedef struct span {
  size_t begin, end;
  int32_t first, last;
} span;

static int64_t list_spans(const co_plan *plan, span *out) {
  int64_t count = 0;
  for (int64_t i = 0; i < plan->value_count; i++) {
    const co_plan_value *value = &plan->values[i];
    if (value->info.storage == CO_STORAGE_ARENA && value->first >= 0 &&
        value->view_of == CO_NO_VALUE)
      out[count++] = (span){value->offset, value->offset + value->bytes, value->first, value->last};
  }
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].choice.workspace)
      out[count++] = (span){plan->ops[i].workspace_offset,
                            plan->ops[i].workspace_offset + plan->ops[i].choice.workspace,
                            (int32_t)i, (int32_t)i};
  return count;
}

// Life times again, from the operations alone.
static void check_life_times(const co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < 2 * CO_OP_MAX_OPERANDS; k++) {
      co_value id =
          k < CO_OP_MAX_OPERANDS ? plan->ops[i].in[k] : plan->ops[i].out[k - CO_OP_MAX_OPERANDS];
      if (id == CO_NO_VALUE) continue;
      while (plan->values[id].view_of != CO_NO_VALUE)
        id = plan->values[id].view_of;
      assert_true(plan->values[id].first <= i && i <= plan->values[id].last);
      assert_true(plan->values[id].offset % plan->backend->api->alignment == 0);
    }
}

static void check_plan(const rig *r, const co_plan *plan) {
  span *spans = co_alloc(r->ctx, (size_t)(plan->value_count + plan->op_count + 1) * sizeof *spans);
  assert_non_null(spans);
  int64_t count = list_spans(plan, spans);
  size_t most = 0, alignment = plan->backend->api->alignment;
  for (int64_t i = 0; i < count; i++) {
    if (spans[i].end > most) most = spans[i].end;
    for (int64_t k = 0; k < i; k++) {
      bool together = spans[i].first <= spans[k].last && spans[k].first <= spans[i].last;
      bool overlap = spans[i].begin < spans[k].end && spans[k].begin < spans[i].end;
      assert_false(together && overlap);
    }
  }
  assert_int_equal(plan->arena_bytes, (most + alignment - 1) / alignment * alignment);
  check_life_times(plan);
  co_free(r->ctx, spans);
}

static void nothing_overlaps(void **unused) {
  (void)unused;
  static const char *const backends[] = {"ref", "cpu"};
  for (int i = 0; i < 8; i++) {
    setup s = {.backend = backends[i & 1],
               .rows = ROWS,
               .batch = {ROWS, 7},
               .real = CO_F32,
               .evaluation_rows = 5,
               .no_fusion = i & 2};
    rig r;
    rig_open(&r, &s);
    rig_model(&r, i & 4 ? deep(&r) : mixed);
    rig_program(&r);
    int64_t plans = 0;
    for (const co_plan *plan; (plan = co_program_plan(r.program, plans)); plans++)
      check_plan(&r, plan);
    assert_int_equal(plans, 4); // a first micro-batch, a later short one, update, evaluation
    rig_free(&r);
  }
}

// ---- what running does to memory ---------------------------------------------------------------

typedef struct bench {
  rig r;
  co_plan *plan;
  co_executor *executor;
  co_memory memory;
  unsigned char *arena; // with a guard on either side
  batch b;
} bench;

static void bench_open(bench *t, const char *backend, co_mode mode) {
  memset(t, 0, sizeof *t);
  rig_open(&t->r, &(setup){.backend = backend, .rows = ROWS, .real = CO_F32});
  rig_model(&t->r, mixed);
  OK(co_store_create(&t->r.store, t->r.backend, CO_F32));
  OK(co_store_add_graph(t->r.store, t->r.graph));
  co_plan_options options = {.mode = mode, .shape = {.rows = ROWS}, .real = CO_F32};
  OK(co_plan_create(&t->plan, t->r.graph, t->r.store, &options));
  OK(co_store_allocate(t->r.store, true, 0));
  OK(co_store_initialize(t->r.store, 1));
  t->arena = co_alloc(t->r.ctx, t->plan->arena_bytes + 2 * GUARD);
  t->memory = (co_memory){.arena = t->arena + GUARD,
                          .step = co_alloc_zero(t->r.ctx, 1, sizeof(co_step)),
                          .metrics = co_alloc_zero(t->r.ctx, 32, sizeof(double))};
  OK(co_executor_create(&t->executor, t->plan, t->r.store, &t->memory));
  batch_make(&t->r, &t->b, ROWS, 1);
  *(co_step *)t->memory.step = step_for(&t->r, &t->b, 1, 0.1);
  for (int i = 0; i < t->b.count; i++)
    co_executor_bind(t->executor, i, t->b.inputs[i]);
}

static void bench_close(bench *t) {
  co_executor_free(t->executor);
  co_plan_free(t->plan);
  co_store_free(t->r.store);
  co_free(t->r.ctx, t->arena);
  co_free(t->r.ctx, t->memory.step);
  co_free(t->r.ctx, t->memory.metrics);
  batch_free(&t->r, &t->b);
  rig_free(&t->r);
}

// Runs once in an arena full of `pattern`; gives the metrics, and outputs where there are any.
static void run_over(bench *t, int pattern, double *results, float *outputs) {
  size_t bytes = t->plan->arena_bytes;
  memset(t->arena, pattern, bytes + 2 * GUARD);
  memset(t->memory.metrics, 0, 32 * sizeof(double));
  OK(co_executor_run(t->executor));
  for (size_t i = 0; i < GUARD; i++) {
    assert_int_equal(t->arena[i], pattern);
    assert_int_equal(t->arena[GUARD + bytes + i], pattern);
  }
  memcpy(results, t->memory.metrics, 32 * sizeof(double));
  memset(outputs, 0, 128 * sizeof *outputs);
  for (int64_t i = 0; i < t->r.graph->output_count; i++)
    if (t->plan->outputs[i] != CO_NO_VALUE)
      OK(co_executor_read_output(t->executor, i, outputs + 64 * i));
}

static void only_the_planned_bytes_are_used(void **unused) {
  (void)unused;
  static const char *const backends[] = {"ref", "cpu"};
  static const co_mode modes[] = {CO_MODE_TRAIN, CO_MODE_EVALUATE, CO_MODE_INFER};
  for (int i = 0; i < 6; i++) {
    bench t;
    bench_open(&t, backends[i & 1], modes[i / 2]);
    double first[32], second[32];
    float one[128], other[128];
    run_over(&t, 0x00, first, one);
    const void *gradients = block_copy(&t.r, CO_BLOCK_GRADIENT, false);
    run_over(&t, 0xff, second, other); // all NaN, were it read
    assert_memory_equal(first, second, sizeof first);
    assert_memory_equal(one, other, sizeof one);
    assert_true(block_equal(&t.r, CO_BLOCK_GRADIENT, false, gradients));
    bench_close(&t);
  }
}

static void running_allocates_nothing(void **unused) {
  (void)unused;
  static const char *const backends[] = {"ref", "cpu"};
  for (int i = 0; i < 2; i++) {
    rig r;
    setup s = {.backend = backends[i],
               .rows = ROWS,
               .batch = {ROWS, 7},
               .real = CO_F32,
               .evaluation_rows = ROWS,
               .phase = {{.optimizer = "{adam: {}}", .clip_norm = 1}}};
    rig_make(&r, &s, mixed);
    batch whole, part;
    batch_make(&r, &whole, ROWS, 1);
    batch_make(&r, &part, 7, 1);
    co_alloc_stats before = co_alloc_get_stats(r.ctx);
    train(&r, 0, &whole, 0, 0.01);
    train(&r, 0, &part, 1, 0.01);
    OK(co_program_evaluate(r.program, whole.inputs));
    assert_int_equal(co_alloc_get_stats(r.ctx).calls, before.calls);
    batch_free(&r, &whole);
    batch_free(&r, &part);
    rig_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(deep_networks_need_little),
                                     cmocka_unit_test(nothing_overlaps),
                                     cmocka_unit_test(only_the_planned_bytes_are_used),
                                     cmocka_unit_test(running_allocates_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
