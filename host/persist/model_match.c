// SPDX-License-Identifier: Apache-2.0
// Weights of one model for another, by name and shape; what belongs to tokens, by these.
#include <string.h>

#include "host/persist/model_file.h"

// Shapes agree but for the dimension of tokens, if what is there is (or, before it is written, may be)
// dealt out by tokens.
static bool agrees(const co_weight_match *match, const co_shape *here, bool write) {
  co_shape there = match->shape;
  if (match->of_tokens && (match->from || !write) && there.rank == here->rank)
    there.dim[match->of_tokens - 1] = here->dim[match->of_tokens - 1];
  return co_shape_equal(&there, here);
}

static co_status match_entry(co_weight_match *out, co_h5 *file, const char *path,
                             const co_shape *shape, bool write) {
  co_h5_info info;
  *out = (co_weight_match){.known = false, .of_tokens = out->of_tokens, .from = out->from};
  if (!co_h5_exists(file, path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(file, path, &info));
  out->known = !info.is_group;
  out->shape = info.shape;
  out->taken = out->known && agrees(out, shape, write);
  return CO_OK;
}

// The values of known tokens take the place of those here.
static void deal_out(const co_weight_match *match, const co_shape *shape, size_t size,
                     const char *there, char *here) {
  const int at = match->of_tokens - 1;
  const int64_t count = shape->dim[at], known = match->shape.dim[at];
  int64_t outer = 1;
  for (int i = 0; i < at; i++)
    outer *= shape->dim[i];
  for (int i = at + 1; i < shape->rank; i++)
    size *= (size_t)shape->dim[i];
  for (int64_t i = 0; i < outer; i++)
    for (int64_t k = 0; k < count; k++) {
      const int64_t from = match->from[k];
      if (from >= 0 && from < known)
        memcpy(here + (size_t)(i * count + k) * size, there + (size_t)(i * known + from) * size,
               size);
    }
}

static co_status write_entry(co_store *store, int64_t i, const void *values) {
  CO_RETURN_IF_FAILED(co_store_write(store, i, CO_BLOCK_PARAM, values));
  return store->ema ? co_store_write(store, i, CO_BLOCK_EMA, values) : CO_OK;
}

static co_status take_entry(const co_weight_match *match, co_h5 *file, const char *path,
                            co_store *store, int64_t i) {
  const co_shape *shape = &store->entries[i].info.shape;
  const size_t size = co_dtype_size(store->real);
  void *there = co_alloc(store->ctx, (size_t)co_shape_count(&match->shape) * size);
  void *here = match->from ? co_alloc(store->ctx, (size_t)co_shape_count(shape) * size) : NULL;
  co_status status = there && (here || !match->from) ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_h5_read(file, path, store->real, &match->shape, there);
  if (status == CO_OK && here) status = co_store_read(store, i, CO_BLOCK_PARAM, here);
  if (status == CO_OK && here) deal_out(match, shape, size, there, here);
  if (status == CO_OK) status = write_entry(store, i, here ? here : there);
  co_free(store->ctx, there);
  co_free(store->ctx, here);
  return status;
}

co_status co_model_file_take_weights(co_weight_match *out, co_context *ctx, const char *path,
                                     co_store *store, bool write) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < store->count; i++) {
    char *name = co_format(ctx, "/model_weights/%s", store->entries[i].info.name);
    status = name ? match_entry(&out[i], file, name, &store->entries[i].info.shape, write)
                  : CO_ERR_MEMORY;
    if (status == CO_OK && write && out[i].taken)
      status = take_entry(&out[i], file, name, store, i);
    co_free(ctx, name);
  }
  co_h5_abandon(file);
  return status;
}
