// SPDX-License-Identifier: Apache-2.0
#include "host/api/parity.h"
#include "host/exec/memory.h"

co_status co_parity_side_plan(co_parity_side *s, const co_parity *p, int kind) {
  CO_RETURN_IF_FAILED(co_store_reserve_rows(s->store, p->model->network, &p->shape, 1));
  for (int stage = CO_PARITY_STAGES;
       stage-- > 0;) { // as a trainer: training's plan fixes the layouts
    co_plan_options options = {.mode = stage == CO_PARITY_TRAINING ? CO_MODE_TRAIN : CO_MODE_INFER,
                               .shape = p->shape,
                               .real = s->real,
                               .bf16 = s->bf16};
    CO_RETURN_IF_FAILED(
        co_plan_create(&s->units[stage][kind].plan, p->model->network, s->store, &options));
  }
  return CO_OK;
}

co_status co_parity_side_start(co_parity_side *s, const co_parity *p, co_backend *backend,
                               co_dtype real) {
  s->backend = backend;
  s->real = real;
  CO_RETURN_IF_FAILED(co_store_create(&s->store, backend, real));
  return co_store_add_graph(s->store, p->model->network);
}

// Memory for all plans, which never run at once; executors; weights.
co_status co_parity_side_finish(co_parity_side *s, const co_parity *p) {
  const co_backend_api *api = s->backend->api;
  size_t metric_bytes = (size_t)(p->model->network->metric_doubles + 1) * sizeof(double);
  size_t arena_bytes = api->alignment;
  const co_plan *largest = NULL;
  for (int i = 0; i < CO_PARITY_STAGES * CO_PARITY_KINDS; i++) {
    const co_plan *plan = s->units[i / CO_PARITY_KINDS][i % CO_PARITY_KINDS].plan;
    if (plan && (!largest || plan->arena_bytes > largest->arena_bytes)) largest = plan;
  }
  if (largest && largest->arena_bytes > arena_bytes) arena_bytes = largest->arena_bytes;
  CO_RETURN_IF_FAILED(co_memory_check(largest, s->store, true, 0));
  CO_RETURN_IF_FAILED(co_store_allocate(s->store, true, 0));
  CO_RETURN_IF_FAILED(api->buffer_create(s->backend, arena_bytes, &s->arena));
  CO_RETURN_IF_FAILED(api->buffer_create(s->backend, sizeof(co_step), &s->step));
  CO_RETURN_IF_FAILED(api->buffer_create(s->backend, metric_bytes, &s->metrics));
  co_memory memory = {.arena = s->arena, .step = s->step, .metrics = s->metrics};
  for (int i = 0; i < CO_PARITY_STAGES * CO_PARITY_KINDS; i++) {
    co_parity_unit *u = &s->units[i / CO_PARITY_KINDS][i % CO_PARITY_KINDS];
    if (u->plan) CO_RETURN_IF_FAILED(co_executor_create(&u->executor, u->plan, s->store, &memory));
  }
  return co_model_file_read_weights(p->ctx, p->path, s->store, false);
}

void co_parity_side_free(co_parity_side *s, const co_parity *p) {
  if (!s->backend) return;
  const co_backend_api *api = s->backend->api;
  for (int i = 0; i < CO_PARITY_STAGES * CO_PARITY_KINDS; i++) {
    co_executor_free(s->units[i / CO_PARITY_KINDS][i % CO_PARITY_KINDS].executor);
    co_plan_free(s->units[i / CO_PARITY_KINDS][i % CO_PARITY_KINDS].plan);
  }
  for (int64_t i = 0; s->inputs && i < p->model->network->input_count; i++)
    api->buffer_free(s->backend, s->inputs[i]);
  co_free(p->ctx, s->inputs);
  api->buffer_free(s->backend, s->arena);
  api->buffer_free(s->backend, s->step);
  api->buffer_free(s->backend, s->metrics);
  co_store_free(s->store);
  api->free(s->backend);
}

// Copies one input to the side, floats widened where it calculates in double.
static co_status copy_input(co_parity_side *s, co_parity *p, int64_t i, const void **out) {
  co_tensor_desc desc = p->model->network->values[p->model->network->inputs[i]].desc;
  bool widen = desc.dtype == CO_F32 && s->real == CO_F64;
  const void *from = p->view.inputs[i];
  co_shape_bind(&desc.shape, &p->shape);
  *out = from;
  if (!from || (!widen && s->backend->api->host_memory)) return CO_OK;
  int64_t count = co_shape_count(&desc.shape);
  double *wide = NULL;
  if (widen) {
    desc.dtype = CO_F64;
    if (!(wide = co_alloc_zero(p->ctx, (size_t)count + 1, sizeof *wide))) return CO_ERR_MEMORY;
    for (int64_t k = 0; k < count; k++)
      wide[k] = (double)((const float *)from)[k];
    from = wide;
  }
  size_t bytes = co_tensor_bytes(&desc);
  co_status status = CO_OK;
  if (!s->inputs[i]) status = s->backend->api->buffer_create(s->backend, bytes, &s->inputs[i]);
  if (status == CO_OK) status = s->backend->api->upload(s->backend, s->inputs[i], from, bytes);
  *out = s->inputs[i];
  co_free(p->ctx, wide);
  return status;
}

co_status co_parity_side_give(co_parity_side *s, co_parity *p, const co_step *step) {
  int64_t count = p->model->network->input_count;
  if (!s->inputs) s->inputs = co_alloc_zero(p->ctx, (size_t)count + 1, sizeof *s->inputs);
  if (!s->inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    const void *address;
    CO_RETURN_IF_FAILED(copy_input(s, p, i, &address));
    for (int k = 0; k < CO_PARITY_STAGES * CO_PARITY_KINDS; k++)
      if (s->units[k / CO_PARITY_KINDS][k % CO_PARITY_KINDS].executor)
        co_executor_bind(s->units[k / CO_PARITY_KINDS][k % CO_PARITY_KINDS].executor, i, address);
  }
  return s->backend->api->upload(s->backend, s->step, step, sizeof *step);
}

co_status co_parity_side_run(co_parity_side *s, const co_parity *p, int stage, int kind) {
  if (co_watch_stopped(&p->context->watch)) return co_fail(CO_INTERRUPTED, "stopped during verify");
  CO_RETURN_IF_FAILED(s->backend->api->fill_zero(
      s->backend, s->metrics, (size_t)(p->model->network->metric_doubles + 1) * sizeof(double)));
  CO_RETURN_IF_FAILED(co_store_refresh(s->store));
  return co_executor_run(s->units[stage][kind].executor);
}
