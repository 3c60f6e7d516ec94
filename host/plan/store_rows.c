// SPDX-License-Identifier: Apache-2.0
#include "host/plan/store_rows.h"

#include <string.h>

size_t co_store_row_block(const co_store *store, int64_t index, co_block block, bool training,
                          int slots) {
  const co_store_entry *entry = &store->entries[index];
  if (!entry->info.rows) return 0;
  const size_t real = co_dtype_size(store->real), rows = (size_t)entry->info.shape.dim[0],
               table = (size_t)co_shape_count(&entry->info.shape) * real,
               capacity = (size_t)entry->row_capacity;
  if (block == CO_BLOCK_PARAM) return table;
  if (!training || !entry->info.trainable) return 0;
  switch (block) {
  case CO_BLOCK_SLOT0:
  case CO_BLOCK_SLOT1:
    return (int)(block - CO_BLOCK_SLOT0) < slots ? table : 0;
  case CO_BLOCK_STEPS:
    return slots ? rows * sizeof(int32_t) : 0;
  case CO_BLOCK_GRADIENT:
    return capacity * (table / rows);
  case CO_BLOCK_IDS:
    return capacity * sizeof(int32_t);
  case CO_BLOCK_COUNT:
    return sizeof(int32_t);
  default:
    return 0;
  }
}

size_t co_store_row_bytes(const co_store *store, co_block block) {
  size_t bytes = 0;
  for (int64_t i = 0; i < store->count; i++)
    if (store->entries[i].rows[block])
      bytes += co_store_row_block(store, i, block, true, store->slots);
  return bytes;
}

// Adds the positions of the operation, per effective batch, to those of the table that it reads, if
// losses need it (`trained`): what only scores are made of has no gradient.
static co_status count_positions(const co_store *store, const co_graph *graph,
                                 const co_graph_op *op, const co_shape_class *shape, bool trained,
                                 int64_t *positions) {
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    if (op->in[k] == CO_NO_VALUE || graph->values[op->in[k]].storage != CO_STORAGE_PARAM) continue;
    const int64_t entry = co_store_find(store, graph->values[op->in[k]].name);
    if (!store->entries[entry].info.rows) continue;
    if (op->op != CO_OP_EMBEDDING)
      return co_fail(CO_ERR_CONFIG,
                     "layer '%s' reads all of '%s', which has update: rows; it wants update: dense",
                     op->layer, store->entries[entry].info.name);
    if (!trained) continue;
    co_shape index = graph->values[op->in[CO_EMBEDDING_index]].desc.shape;
    co_shape_bind(&index, shape);
    positions[entry] += co_shape_count(&index);
  }
  return CO_OK;
}

static co_status reserve(co_store *store, const co_graph *graph, const co_shape_class *shape,
                         const bool *needed, int64_t *positions) {
  memset(positions, 0, (size_t)store->count * sizeof *positions);
  for (int64_t i = 0; i < graph->op_count; i++)
    CO_RETURN_IF_FAILED(count_positions(store, graph, &graph->ops[i], shape,
                                        co_graph_op_is_needed(&graph->ops[i], needed), positions));
  for (int64_t i = 0; i < store->count; i++) {
    if (positions[i] > INT32_MAX)
      return co_fail(CO_ERR_CONFIG, "'%s' is read at %lld positions of a batch, beyond 2^31 - 1",
                     store->entries[i].info.name, (long long)positions[i]);
    if (positions[i] > store->entries[i].row_capacity)
      store->entries[i].row_capacity = positions[i];
  }
  return CO_OK;
}

co_status co_store_reserve_rows(co_store *store, const co_graph *graph,
                                const co_shape_class *classes, int64_t count) {
  int64_t *positions = co_alloc_zero(store->ctx, (size_t)store->count + 1, sizeof *positions);
  bool *needed = co_alloc_zero(store->ctx, (size_t)graph->value_count + 1, sizeof *needed);
  co_status status = positions && needed ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < graph->loss_count; i++)
    needed[graph->losses[i].sum] = true;
  if (status == CO_OK) co_graph_mark_needed(graph, needed);
  for (int64_t i = 0; status == CO_OK && i < count; i++)
    status = reserve(store, graph, &classes[i], needed, positions);
  co_free(store->ctx, positions);
  co_free(store->ctx, needed);
  return status;
}

static void add_rows(const co_store *store, const co_shape *table, const int32_t *ids,
                     const void *rows, int64_t count, void *values) {
  const int64_t V = table->dim[0], D = table->dim[1];
  for (int64_t i = 0; i < count; i++)
    for (int64_t d = 0; ids[i] >= 0 && ids[i] < V && d < D; d++)
      if (store->real == CO_F64)
        ((double *)values)[ids[i] * D + d] += ((const double *)rows)[i * D + d];
      else
        ((float *)values)[ids[i] * D + d] += ((const float *)rows)[i * D + d];
}

co_status co_store_read_row_gradient(co_store *store, int64_t index, void *values) {
  const co_store_entry *entry = &store->entries[index];
  co_backend *backend = store->backend;
  const co_backend_api *api = backend->api;
  if (!entry->rows[CO_BLOCK_COUNT])
    return co_fail(CO_ERR_INTERNAL, "'%s' has no gradient", entry->info.name);
  const size_t bytes = co_store_row_block(store, index, CO_BLOCK_GRADIENT, true, 0);
  const size_t ids_bytes = co_store_row_block(store, index, CO_BLOCK_IDS, true, 0);
  void *rows = co_alloc(store->ctx, bytes);
  int32_t *ids = co_alloc(store->ctx, ids_bytes), count = 0;
  co_status status = rows && ids ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = api->download(backend, rows, entry->rows[CO_BLOCK_GRADIENT], bytes);
  if (status == CO_OK) status = api->download(backend, ids, entry->rows[CO_BLOCK_IDS], ids_bytes);
  if (status == CO_OK)
    status = api->download(backend, &count, entry->rows[CO_BLOCK_COUNT], sizeof count);
  if (status == CO_OK) {
    memset(values, 0, (size_t)co_shape_count(&entry->info.shape) * co_dtype_size(store->real));
    add_rows(store, &entry->info.shape, ids, rows, count, values);
  }
  co_free(store->ctx, rows);
  co_free(store->ctx, ids);
  return status;
}
