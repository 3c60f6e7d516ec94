// SPDX-License-Identifier: Apache-2.0
#include "host/exec/executor.h"

#include <string.h>
#include <time.h>

typedef struct bound_op {
  void *in[CO_OP_MAX_OPERANDS], *out[CO_OP_MAX_OPERANDS];
  void *workspace;
} bound_op;

// An operand whose address changes from run to run: an input, the step scalars, a result.
typedef struct moving_use {
  int32_t op, operand;
  bool out;
  co_value value;
} moving_use;

struct co_executor {
  co_context *ctx;
  co_backend *backend;
  const co_plan *plan;
  co_store *store;
  co_memory memory;
  bound_op *ops;
  moving_use *uses;
  int64_t use_count, use_capacity;
  void **constants; // device copies
  double *seconds;  // by operation, where they are timed
  int64_t runs;
  const void **inputs;
};

static void *block_address(const co_store *store, co_block block) {
  switch (block) {
  case CO_BLOCK_PARAM:
    return store->param;
  case CO_BLOCK_GRADIENT:
    return store->gradient;
  case CO_BLOCK_NARROW:
    return store->narrow;
  case CO_BLOCK_SLOT0:
    return store->slot[0];
  case CO_BLOCK_MIRROR:
    return store->mirror;
  case CO_BLOCK_EMA:
    return store->ema;
  default:
    return store->slot[1];
  }
}

void *co_executor_address(const co_executor *executor, co_value id) {
  const co_plan *plan = executor->plan;
  while (plan->values[id].view_of != CO_NO_VALUE)
    id = plan->values[id].view_of;
  const co_plan_value *value = &plan->values[id];
  const co_store *store = executor->store;
  const bool averages = executor->memory.averages && store->ema;
  switch (value->info.storage) {
  case CO_STORAGE_ARENA:
    return (char *)executor->memory.arena + value->offset;
  case CO_STORAGE_INPUT:
    return (void *)(uintptr_t)executor->inputs[value->info.index];
  case CO_STORAGE_PARAM:
    return co_store_address(store, value->param, averages ? CO_BLOCK_EMA : CO_BLOCK_PARAM);
  case CO_STORAGE_MIRROR:
    return (char *)(averages ? store->ema_mirror : store->mirror) +
           co_store_mirror_offset(store, value->param);
  case CO_STORAGE_STATE:
    return (char *)store->state + store->entries[value->param].offset;
  case CO_STORAGE_GRADIENT:
    return co_store_address(store, value->param, CO_BLOCK_GRADIENT);
  case CO_STORAGE_ROWS:
    return co_store_address(store, value->param, (co_block)value->info.index);
  case CO_STORAGE_BLOCK:
    return block_address(store, (co_block)value->info.index);
  case CO_STORAGE_STEP:
    return executor->memory.step;
  case CO_STORAGE_METRIC:
    return (double *)executor->memory.metrics + value->info.index;
  case CO_STORAGE_RESULT:
    return (double *)executor->memory.results + value->info.index;
  case CO_STORAGE_CONSTANT:
    return executor->constants[value->info.index];
  }
  return NULL;
}

static bool moves(const co_plan *plan, co_value id) {
  while (plan->values[id].view_of != CO_NO_VALUE)
    id = plan->values[id].view_of;
  co_storage storage = plan->values[id].info.storage;
  return storage == CO_STORAGE_INPUT || storage == CO_STORAGE_STEP || storage == CO_STORAGE_RESULT;
}

// As the plan's reals.
static co_status upload_widened(co_executor *executor, const co_constant *constant, void *to) {
  const size_t count = constant->size / sizeof(float);
  double *wide = co_alloc(executor->ctx, count * sizeof *wide);
  if (!wide) return CO_ERR_MEMORY;
  for (size_t i = 0; i < count; i++)
    wide[i] = (double)((const float *)constant->bytes)[i];
  co_status status =
      executor->backend->api->upload(executor->backend, to, wide, count * sizeof *wide);
  co_free(executor->ctx, wide);
  return status;
}

static bool is_widened(const co_executor *executor, const co_constant *constant) {
  return constant->dtype == CO_F32 && executor->plan->options.real == CO_F64;
}

co_status co_executor_upload_constants(co_executor *executor) {
  const co_graph *graph = executor->plan->graph;
  for (int64_t i = 0; i < graph->constant_count; i++) {
    const co_constant *constant = &graph->constants[i];
    CO_RETURN_IF_FAILED(is_widened(executor, constant)
                            ? upload_widened(executor, constant, executor->constants[i])
                            : executor->backend->api->upload(executor->backend,
                                                             executor->constants[i],
                                                             constant->bytes, constant->size));
  }
  return CO_OK;
}

static co_status create_constants(co_executor *executor) {
  const co_graph *graph = executor->plan->graph;
  for (int64_t i = 0; i < graph->constant_count; i++) {
    const co_constant *constant = &graph->constants[i];
    const size_t bytes = constant->size * (is_widened(executor, constant) ? 2 : 1);
    CO_RETURN_IF_FAILED(
        executor->backend->api->buffer_create(executor->backend, bytes, &executor->constants[i]));
  }
  return co_executor_upload_constants(executor);
}

static co_status bind_operand(co_executor *executor, int64_t op, int operand, bool out) {
  const co_plan_op *planned = &executor->plan->ops[op];
  co_value value = out ? planned->out[operand] : planned->in[operand];
  if (value == CO_NO_VALUE) return CO_OK;
  void **address = out ? executor->ops[op].out : executor->ops[op].in;
  address[operand] = co_executor_address(executor, value);
  if (!moves(executor->plan, value)) return CO_OK;
  CO_RETURN_IF_FAILED(co_grow(executor->ctx, (void **)&executor->uses, &executor->use_capacity,
                              executor->use_count, sizeof *executor->uses));
  executor->uses[executor->use_count++] = (moving_use){(int32_t)op, operand, out, value};
  return CO_OK;
}

static co_status bind_op(co_executor *executor, int64_t i) {
  const co_plan_op *op = &executor->plan->ops[i];
  if (op->choice.workspace) // else it is given none, rather than what belongs to others
    executor->ops[i].workspace = (char *)executor->memory.arena + op->workspace_offset;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    CO_RETURN_IF_FAILED(bind_operand(executor, i, k, true));
    CO_RETURN_IF_FAILED(bind_operand(executor, i, k, false));
  }
  return CO_OK;
}

co_status co_executor_create(co_executor **out, const co_plan *plan, co_store *store,
                             const co_memory *memory) {
  *out = NULL;
  co_executor *executor = co_alloc_zero(plan->ctx, 1, sizeof *executor);
  if (!executor) return CO_ERR_MEMORY;
  executor->ctx = plan->ctx;
  executor->backend = plan->backend;
  executor->plan = plan;
  executor->store = store;
  executor->memory = *memory;
  co_status status = CO_ERR_MEMORY;
  const co_graph *graph = plan->graph;
  executor->ops = co_alloc_zero(plan->ctx, (size_t)plan->op_count + 1, sizeof *executor->ops);
  executor->constants =
      co_alloc_zero(plan->ctx, (size_t)graph->constant_count + 1, sizeof *executor->constants);
  executor->inputs =
      co_alloc_zero(plan->ctx, (size_t)graph->input_count + 1, sizeof *executor->inputs);
  if (!executor->ops || !executor->constants || !executor->inputs) goto cleanup;
  CO_TRY(create_constants(executor));
  for (int64_t i = 0; i < plan->op_count; i++)
    CO_TRY(bind_op(executor, i));
  *out = executor;
  return CO_OK;
cleanup:
  co_executor_free(executor);
  return status;
}

void co_executor_free(co_executor *executor) {
  if (!executor) return;
  if (executor->constants)
    for (int64_t i = 0; i < executor->plan->graph->constant_count; i++)
      executor->backend->api->buffer_free(executor->backend, executor->constants[i]);
  co_free(executor->ctx, executor->constants);
  co_free(executor->ctx, executor->seconds);
  co_free(executor->ctx, executor->inputs);
  co_free(executor->ctx, executor->uses);
  co_free(executor->ctx, executor->ops);
  co_free(executor->ctx, executor);
}

static void move_operands(co_executor *executor) {
  for (int64_t i = 0; i < executor->use_count; i++) {
    const moving_use *use = &executor->uses[i];
    bound_op *op = &executor->ops[use->op];
    (use->out ? op->out : op->in)[use->operand] = co_executor_address(executor, use->value);
  }
}

void co_executor_bind(co_executor *executor, int64_t input, const void *address) {
  if (executor->inputs[input] == address) return;
  executor->inputs[input] = address;
  move_operands(executor);
}

void co_executor_bind_all(co_executor *executor, const void *const *inputs, void *step,
                          double *results) {
  executor->memory.step = step;
  executor->memory.results = results;
  for (int64_t i = 0; i < executor->plan->graph->input_count; i++)
    if (inputs && inputs[i]) executor->inputs[i] = inputs[i];
  move_operands(executor);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

co_status co_executor_time(co_executor *executor) {
  co_free(executor->ctx, executor->seconds);
  executor->runs = 0;
  executor->seconds =
      co_alloc_zero(executor->ctx, (size_t)executor->plan->op_count + 1, sizeof *executor->seconds);
  return executor->seconds ? CO_OK : CO_ERR_MEMORY;
}

const double *co_executor_times(const co_executor *executor, int64_t *runs) {
  *runs = executor->runs;
  return executor->seconds;
}

// On its queue; nothing runs beside the operations of another plan.
static co_status run_op(co_executor *executor, int64_t i) {
  co_backend *backend = executor->backend;
  const co_backend_api *api = backend->api;
  const co_plan_op *op = &executor->plan->ops[i];
  bound_op *bound = &executor->ops[i];
  if (op->waits) CO_RETURN_IF_FAILED(api->join(backend));
  if (!op->beside) return api->run(backend, op->prepared, bound->in, bound->out, bound->workspace);
  co_status status = api->branch(backend, CO_BRANCH_SIDE);
  if (status == CO_OK)
    status = api->run(backend, op->prepared, bound->in, bound->out, bound->workspace);
  co_status back = api->branch(backend, CO_BRANCH_MAIN); // whatever has happened
  return status == CO_OK ? back : status;
}

// On the way out of a failure, which it does not hide: what has begun beside may run on for long.
static void join_after_failure(const co_executor *executor) {
  co_error kept;
  co_error_copy(&kept);
  (void)executor->backend->api->join(executor->backend);
  (void)co_error_raise(&kept);
}

co_status co_executor_run(co_executor *executor) {
  const co_plan *plan = executor->plan;
  bool beside = false; // something that the first queue has not waited for
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_alive(executor->ctx, CO_PATIENCE);
    double begun = executor->seconds ? now() : 0;
    co_status status = run_op(executor, i);
    if (executor->seconds) executor->seconds[i] += now() - begun;
    beside = (beside && !plan->ops[i].waits) || plan->ops[i].beside;
    if (status != CO_OK) {
      if (plan->ops[i].layer) co_note("layer '%s'", plan->ops[i].layer);
      if (beside) join_after_failure(executor);
      return status;
    }
  }
  executor->runs++;
  return plan->joins ? executor->backend->api->join(executor->backend) : CO_OK;
}

co_status co_executor_read_output(co_executor *executor, int64_t output, void *host) {
  co_value value = executor->plan->outputs[output];
  if (value == CO_NO_VALUE)
    return co_fail(CO_ERR_INTERNAL, "output '%s' is not computed in mode %s",
                   executor->plan->graph->outputs[output].name,
                   co_mode_name(executor->plan->options.mode));
  size_t bytes = co_tensor_bytes(&executor->plan->values[value].info.desc);
  return executor->backend->api->download(executor->backend, host,
                                          co_executor_address(executor, value), bytes);
}

const co_plan *co_executor_plan(const co_executor *executor) {
  return executor->plan;
}
