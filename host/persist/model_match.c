// SPDX-License-Identifier: Apache-2.0
// Weights of one model for another, by name and shape.
#include "host/persist/model_file.h"

static co_status match_entry(co_weight_match *out, co_h5 *file, const char *path,
                             const co_shape *shape) {
  co_h5_info info;
  *out = (co_weight_match){.known = false};
  if (!co_h5_exists(file, path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(file, path, &info));
  out->known = !info.is_group;
  out->shape = info.shape;
  out->taken = out->known && co_shape_equal(&info.shape, shape);
  return CO_OK;
}

static co_status take_entry(co_h5 *file, const char *path, co_store *store, int64_t i) {
  const co_shape *shape = &store->entries[i].info.shape;
  void *values = co_alloc(store->ctx, (size_t)co_shape_count(shape) * co_dtype_size(store->real));
  if (!values) return CO_ERR_MEMORY;
  co_status status = co_h5_read(file, path, store->real, shape, values);
  if (status == CO_OK) status = co_store_write(store, i, CO_BLOCK_PARAM, values);
  if (status == CO_OK && store->ema) status = co_store_write(store, i, CO_BLOCK_EMA, values);
  co_free(store->ctx, values);
  return status;
}

co_status co_model_file_take_weights(co_weight_match *out, co_context *ctx, const char *path,
                                     co_store *store, bool write) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < store->count; i++) {
    char *name = co_format(ctx, "/model_weights/%s", store->entries[i].info.name);
    status = name ? match_entry(&out[i], file, name, &store->entries[i].info.shape) : CO_ERR_MEMORY;
    if (status == CO_OK && write && out[i].taken) status = take_entry(file, name, store, i);
    co_free(ctx, name);
  }
  co_h5_abandon(file);
  return status;
}
