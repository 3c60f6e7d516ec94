// SPDX-License-Identifier: Apache-2.0
#include "host/plan/plan.h"

#include <string.h>

#include "host/plan/pass.h"

const char *co_mode_name(co_mode mode) {
  static const char *const names[] = {"train", "evaluate", "infer", "update", "gradient"};
  return names[mode];
}

// What is within can be padded and added up; nobody means what is beyond.
static co_status check_bytes(const co_plan *plan, const char *name, const co_tensor_desc *desc) {
  static const size_t most = (size_t)1 << 42;
  size_t bytes = co_tensor_bytes(desc);
  if (bytes <= most) return CO_OK;
  co_status status =
      co_fail(CO_ERR_MEMORY, "'%s' would be %zu bytes (%.1f TiB) for %lld rows", name, bytes,
              (double)bytes / (double)((size_t)1 << 40), (long long)plan->options.shape.rows);
  co_hint("use fewer rows at a time: trainer.batch_size, trainer.eval_batch_size, --batch-size");
  return status;
}

co_status co_plan_add_value(co_plan *plan, const char *name, const co_tensor_desc *desc,
                            co_storage storage, int32_t index, co_value *out) {
  if (storage == CO_STORAGE_ARENA) CO_RETURN_IF_FAILED(check_bytes(plan, name, desc));
  CO_RETURN_IF_FAILED(co_grow(plan->ctx, (void **)&plan->values, &plan->value_capacity,
                              plan->value_count, sizeof *plan->values));
  char *copy = co_arena_strdup(plan->arena, name);
  if (!copy) return CO_ERR_MEMORY;
  co_plan_value *value = &plan->values[plan->value_count];
  memset(value, 0, sizeof *value);
  value->info.name = copy;
  value->info.desc = *desc;
  value->info.storage = storage;
  value->info.index = index;
  value->first = value->last = value->param = -1;
  value->view_of = CO_NO_VALUE;
  *out = (co_value)plan->value_count++;
  return CO_OK;
}

co_status co_plan_add_op(co_plan *plan, const co_plan_op *op, co_plan_op **out) {
  CO_RETURN_IF_FAILED(co_grow(plan->ctx, (void **)&plan->ops, &plan->op_capacity, plan->op_count,
                              sizeof *plan->ops));
  plan->ops[plan->op_count] = *op;
  if (out) *out = &plan->ops[plan->op_count];
  plan->op_count++;
  return CO_OK;
}

co_plan_op co_plan_op_make(co_op op, const char *layer, const char *note) {
  co_plan_op made;
  memset(&made, 0, sizeof made);
  made.desc.op = op;
  made.layer = layer;
  made.note = note;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    made.in[i] = made.out[i] = CO_NO_VALUE;
  return made;
}

co_value co_plan_root(const co_plan *plan, co_value value) {
  while (plan->values[value].view_of != CO_NO_VALUE)
    value = plan->values[value].view_of;
  return value;
}

int co_plan_count_readers(const co_plan *plan, co_value value, int64_t *reader) {
  int count = 0;
  for (int64_t i = 0; i < plan->op_count; i++) {
    if (plan->ops[i].desc.op == CO_OP_COUNT) continue;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      if (plan->ops[i].in[k] != value) continue;
      count++;
      if (reader) *reader = i;
    }
  }
  return count;
}

void co_plan_compact(co_plan *plan) {
  int64_t kept = 0;
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op != CO_OP_COUNT) plan->ops[kept++] = plan->ops[i];
  plan->op_count = kept;
}

void co_plan_describe(const co_plan *plan, co_plan_op *op) {
  co_op_desc *desc = &op->desc;
  desc->has_in = desc->has_out = 0;
  memset(desc->in, 0, sizeof desc->in);
  memset(desc->out, 0, sizeof desc->out);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (op->in[i] != CO_NO_VALUE) {
      desc->in[i] = plan->values[op->in[i]].info.desc;
      desc->has_in |= 1u << i;
    }
    if (op->out[i] != CO_NO_VALUE) {
      desc->out[i] = plan->values[op->out[i]].info.desc;
      desc->has_out |= 1u << i;
    }
  }
}

co_status co_plan_asks(const co_plan *plan, co_op_desc desc, bool *out, co_op_choice *choice) {
  co_op_choice unread;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    desc.in[i].layout = desc.out[i].layout = CO_LAYOUT_ANY;
  co_status status = plan->backend->api->query(plan->backend, &desc, choice ? choice : &unread);
  *out = status == CO_OK;
  if (status != CO_ERR_DEVICE) return status;
  co_error_clear();
  return CO_OK;
}

co_status co_plan_offers(const co_plan *plan, const co_plan_op *op, bool *out,
                         co_op_choice *choice) {
  co_plan_op asked = *op;
  co_plan_describe(plan, &asked);
  return co_plan_asks(plan, asked.desc, out, choice);
}

bool co_plan_differentiates(const co_plan *plan) {
  return plan->options.mode == CO_MODE_TRAIN || plan->options.mode == CO_MODE_GRADIENT;
}

bool co_plan_is_output(const co_plan *plan, co_value value) {
  for (int64_t i = 0; i < plan->graph->output_count; i++)
    if (plan->outputs[i] == value) return true;
  return false;
}

static co_status create_tables(co_plan *plan, const co_graph *graph, co_store *store) {
  CO_RETURN_IF_FAILED(co_arena_create(&plan->arena, plan->ctx));
  plan->outputs = co_arena_alloc(plan->arena, (size_t)graph->output_count + 1, sizeof(co_value));
  plan->gradients = co_arena_alloc(plan->arena, (size_t)graph->input_count + 1, sizeof(co_value));
  plan->has_gradient = co_arena_alloc(plan->arena, (size_t)store->count + 1, sizeof(bool));
  if (!plan->outputs || !plan->gradients || !plan->has_gradient) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < graph->input_count; i++)
    plan->gradients[i] = CO_NO_VALUE;
  return CO_OK;
}

static co_status run_passes(co_plan *plan, co_store *store) {
  bool train = co_plan_differentiates(plan);
  CO_RETURN_IF_FAILED(co_pass_build(plan, store));
  if (!plan->options.no_fusion) CO_RETURN_IF_FAILED(co_pass_fuse_forward(plan));
  if (train) CO_RETURN_IF_FAILED(co_pass_backward(plan, store));
  if (train && !plan->options.no_fusion) CO_RETURN_IF_FAILED(co_pass_fuse_backward(plan));
  if (train && !plan->options.no_fusion) CO_RETURN_IF_FAILED(co_pass_fuse_catalogue(plan));
  if (!plan->options.no_fusion) CO_RETURN_IF_FAILED(co_pass_fuse_tables(plan));
  CO_RETURN_IF_FAILED(co_pass_dtypes(plan, store));
  if (train && !plan->options.no_fusion) CO_RETURN_IF_FAILED(co_pass_fuse_masks(plan));
  CO_RETURN_IF_FAILED(co_pass_layouts(plan, store));
  CO_RETURN_IF_FAILED(co_pass_prepare(plan));
  co_pass_branches(plan);
  return co_pass_pack(plan);
}

co_status co_plan_create(co_plan **out, const co_graph *graph, co_store *store,
                         const co_plan_options *options) {
  *out = NULL;
  co_plan *plan = co_alloc_zero(graph->ctx, 1, sizeof *plan);
  if (!plan) return CO_ERR_MEMORY;
  plan->ctx = graph->ctx;
  plan->backend = store->backend;
  plan->graph = graph;
  plan->options = *options;
  co_status status;
  CO_TRY(create_tables(plan, graph, store));
  CO_TRY(run_passes(plan, store));
  *out = plan;
  return CO_OK;
cleanup:
  co_plan_free(plan);
  return status;
}

void co_plan_free(co_plan *plan) {
  if (!plan) return;
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].prepared) plan->backend->api->release(plan->backend, plan->ops[i].prepared);
  co_free(plan->ctx, plan->ops);
  co_free(plan->ctx, plan->values);
  co_arena_free(plan->arena);
  co_free(plan->ctx, plan);
}
