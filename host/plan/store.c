// SPDX-License-Identifier: Apache-2.0
#include "host/plan/store.h"

#include <math.h>
#include <string.h>

#include "host/core/hash.h"
#include "host/core/rng.h"
#include "host/plan/store_rows.h"
#include "kernels/bf16.h"

co_status co_store_create(co_store **out, co_backend *backend, co_dtype real) {
  *out = NULL;
  co_store *store = co_alloc_zero(backend->ctx, 1, sizeof *store);
  if (!store) return CO_ERR_MEMORY;
  store->ctx = backend->ctx;
  store->backend = backend;
  store->real = real;
  co_status status = co_arena_create(&store->arena, store->ctx);
  if (status != CO_OK) {
    co_free(store->ctx, store);
    return status;
  }
  *out = store;
  return CO_OK;
}

void co_store_free(co_store *store) {
  if (!store) return;
  const co_backend_api *api = store->backend->api;
  api->buffer_free(store->backend, store->param);
  api->buffer_free(store->backend, store->state);
  api->buffer_free(store->backend, store->gradient);
  api->buffer_free(store->backend, store->narrow);
  api->buffer_free(store->backend, store->mirror);
  api->buffer_free(store->backend, store->ema);
  api->buffer_free(store->backend, store->ema_mirror);
  for (int64_t i = 0; i < store->count; i++)
    for (int k = 0; k < CO_BLOCKS; k++)
      api->buffer_free(store->backend, store->entries[i].rows[k]);
  if (store->mirror_cast) api->release(store->backend, store->mirror_cast);
  for (int i = 0; i < CO_MAX_SLOTS; i++)
    api->buffer_free(store->backend, store->slot[i]);
  co_free(store->ctx, store->entries);
  co_arena_free(store->arena);
  co_free(store->ctx, store);
}

int64_t co_store_find(const co_store *store, const char *name) {
  for (int64_t i = 0; i < store->count; i++)
    if (strcmp(store->entries[i].info.name, name) == 0) return i;
  return -1;
}

static co_status add_entry(co_store *store, const co_param_info *info) {
  if (store->allocated)
    return co_fail(CO_ERR_INTERNAL, "parameter '%s' is new to an allocated store", info->name);
  CO_RETURN_IF_FAILED(co_grow(store->ctx, (void **)&store->entries, &store->capacity, store->count,
                              sizeof *store->entries));
  co_store_entry *entry = &store->entries[store->count];
  memset(entry, 0, sizeof *entry);
  entry->info = *info;
  entry->info.name = co_arena_strdup(store->arena, info->name);
  entry->info.layer = co_arena_strdup(store->arena, info->layer);
  if (!entry->info.name || !entry->info.layer) return CO_ERR_MEMORY;
  entry->home = (co_tensor_desc){store->real, CO_LAYOUT_ANY, info->shape};
  // Vectors have one sensible order; leaving them open would only invite reorders.
  if (info->state || info->shape.rank <= 1 || info->rows) entry->home.layout = CO_LAYOUT_CANONICAL;
  store->count++;
  return CO_OK;
}

co_status co_store_add_graph(co_store *store, const co_graph *graph) {
  for (int64_t i = 0; i < graph->param_count; i++) {
    const co_param_info *info = &graph->params[i];
    int64_t known = co_store_find(store, info->name);
    if (known < 0) {
      CO_RETURN_IF_FAILED(add_entry(store, info));
    } else if (!co_shape_equal(&store->entries[known].info.shape, &info->shape)) {
      return co_fail(CO_ERR_CONFIG, "parameter '%s' has two shapes", info->name);
    }
  }
  return CO_OK;
}

static size_t align_up(size_t value, size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

static bool is_trained(const co_store_entry *entry) {
  return entry->info.trainable && !entry->info.state;
}

static void place_entry(co_store *store, co_store_entry *entry, size_t *total) {
  if (entry->home.layout == CO_LAYOUT_ANY) entry->home.layout = CO_LAYOUT_CANONICAL;
  entry->bytes = store->backend->api->layout_bytes(store->backend, &entry->home);
  if (entry->info.rows) return;
  entry->offset = *total;
  *total += align_up(entry->bytes, store->alignment);
}

static void place_trained(co_store *store, bool narrow) {
  for (int64_t i = 0; i < store->count; i++)
    if (is_trained(&store->entries[i]) && store->entries[i].narrow == narrow)
      place_entry(store, &store->entries[i], &store->trained_bytes);
}

static bool any_narrow(const co_store *store) {
  bool any = false;
  for (int64_t i = 0; i < store->count; i++)
    any = any || store->entries[i].narrow;
  return any;
}

// Offsets follow the order of the table: parameters that are trained, those with gradients in bf16 last,
// then frozen ones; state in a block of its own. The block of gradients in f32 is never empty beside the other.
static void place_entries(co_store *store) {
  // Elements of the mirror are half as large, and start as well aligned.
  store->alignment = store->backend->api->alignment * (store->mirrored ? 2 : 1);
  store->trained_bytes = store->state_bytes = 0;
  place_trained(store, false);
  if (!store->trained_bytes && any_narrow(store)) store->trained_bytes = store->alignment;
  store->wide_bytes = store->trained_bytes;
  place_trained(store, true);
  store->param_bytes = store->trained_bytes;
  for (int64_t i = 0; i < store->count; i++) {
    co_store_entry *entry = &store->entries[i];
    if (!is_trained(entry))
      place_entry(store, entry, entry->info.state ? &store->state_bytes : &store->param_bytes);
  }
}

bool co_store_is_trained(const co_store *store, int64_t entry) {
  return is_trained(&store->entries[entry]);
}

size_t co_store_bytes(co_store *store, bool training, int slots) {
  if (!store->allocated) place_entries(store);
  size_t bytes = store->param_bytes + store->state_bytes;
  if (training) bytes += co_store_gradient_bytes(store) + store->trained_bytes * (size_t)slots;
  if (store->averaged) bytes += store->param_bytes;
  size_t mirrors = store->averaged ? 2 : 1;
  for (int64_t i = 0; i < store->count; i++)
    for (int k = 0; k < CO_BLOCKS; k++)
      bytes += co_store_row_block(store, i, (co_block)k, training, slots);
  return bytes + (store->mirrored ? mirrors * store->param_bytes / 2 : 0);
}

static co_status create_zeroed(co_store *store, size_t bytes, void **out) {
  const co_backend_api *api = store->backend->api;
  CO_RETURN_IF_FAILED(api->buffer_create(store->backend, bytes ? bytes : api->alignment, out));
  return api->fill_zero(store->backend, *out, bytes);
}

// ---- the mirror --------------------------------------------------------------------------------

static co_op_desc cast_to_mirror(const co_store *store) {
  co_op_desc desc = {.op = CO_OP_CAST, .has_in = 1, .has_out = 1, .attr = {.dtype = CO_BF16}};
  desc.in[0] = (co_tensor_desc){CO_F32, CO_LAYOUT_CANONICAL,
                                co_shape_make(1, (int64_t)(store->param_bytes / sizeof(float)))};
  desc.out[0] = desc.in[0];
  desc.out[0].dtype = CO_BF16;
  return desc;
}

static co_status create_mirror(co_store *store) {
  if (!store->mirrored || !store->param_bytes) return CO_OK;
  co_backend *backend = store->backend;
  co_op_desc desc = cast_to_mirror(store);
  co_op_choice choice;
  CO_RETURN_IF_FAILED(backend->api->query(backend, &desc, &choice));
  if (choice.workspace) return co_fail(CO_ERR_INTERNAL, "a cast that needs memory");
  CO_RETURN_IF_FAILED(backend->api->prepare(backend, &desc, &store->mirror_cast));
  store->mirror_version = store->ema_mirror_version = store->version - 1; // of nothing yet
  size_t bytes = co_tensor_bytes(&desc.out[0]);
  if (store->averaged)
    CO_RETURN_IF_FAILED(backend->api->buffer_create(backend, bytes, &store->ema_mirror));
  return backend->api->buffer_create(backend, bytes, &store->mirror);
}

static co_status refresh(co_store *store, void *from, void *mirror, uint64_t *made_from) {
  if (!mirror || *made_from == store->version) return CO_OK;
  CO_RETURN_IF_FAILED(
      store->backend->api->run(store->backend, store->mirror_cast, &from, &mirror, NULL));
  *made_from = store->version;
  return CO_OK;
}

co_status co_store_refresh(co_store *store) {
  return refresh(store, store->param, store->mirror, &store->mirror_version);
}

co_status co_store_refresh_averages(co_store *store) {
  return refresh(store, store->ema, store->ema_mirror, &store->ema_mirror_version);
}

co_block co_store_result(const co_store *store) {
  return store->ema ? CO_BLOCK_EMA : CO_BLOCK_PARAM;
}

void co_store_note_update(co_store *store) {
  bool fresh = store->mirror_version == store->version;
  store->version++;
  if (fresh) store->mirror_version = store->version;
}

size_t co_store_mirror_offset(const co_store *store, int64_t entry) {
  return store->entries[entry].offset / co_dtype_size(CO_F32) * co_dtype_size(CO_BF16);
}

// ---- blocks ------------------------------------------------------------------------------------

co_status co_store_allocate(co_store *store, bool training, int slots) {
  if (store->allocated) return CO_OK;
  place_entries(store);
  CO_RETURN_IF_FAILED(create_zeroed(store, store->param_bytes, &store->param));
  CO_RETURN_IF_FAILED(create_zeroed(store, store->state_bytes, &store->state));
  const size_t narrow = co_store_gradient_bytes(store) - store->wide_bytes;
  if (training) CO_RETURN_IF_FAILED(create_zeroed(store, store->wide_bytes, &store->gradient));
  if (training && narrow) CO_RETURN_IF_FAILED(create_zeroed(store, narrow, &store->narrow));
  if (store->averaged) CO_RETURN_IF_FAILED(create_zeroed(store, store->param_bytes, &store->ema));
  store->slots = training ? slots : 0;
  for (int i = 0; i < store->slots; i++)
    CO_RETURN_IF_FAILED(create_zeroed(store, store->trained_bytes, &store->slot[i]));
  for (int64_t i = 0; i < store->count; i++)
    for (int k = 0; k < CO_BLOCKS; k++) {
      const size_t bytes = co_store_row_block(store, i, (co_block)k, training, slots);
      if (bytes) CO_RETURN_IF_FAILED(create_zeroed(store, bytes, &store->entries[i].rows[k]));
    }
  store->allocated = true;
  return create_mirror(store);
}

int64_t co_store_elements(const co_store *store) {
  return (int64_t)(store->trained_bytes / co_dtype_size(store->real));
}

static bool is_narrow(const co_store_entry *entry, co_block block) {
  return entry->narrow && block == CO_BLOCK_GRADIENT;
}

int64_t co_store_narrow_elements(const co_store *store) {
  return (int64_t)((store->trained_bytes - store->wide_bytes) / co_dtype_size(store->real));
}

size_t co_store_gradient_bytes(const co_store *store) {
  return store->wide_bytes + (size_t)co_store_narrow_elements(store) * co_dtype_size(CO_BF16);
}

void *co_store_address(const co_store *store, int64_t index, co_block block) {
  const co_store_entry *entry = &store->entries[index];
  char *base = store->param;
  // No phase with averages trains such a table (co_program_check_rows): it is its own average.
  if (entry->info.rows) return entry->rows[block == CO_BLOCK_EMA ? CO_BLOCK_PARAM : block];
  if (block >= CO_BLOCK_STEPS) return NULL;
  if (block == CO_BLOCK_GRADIENT) base = store->gradient;
  if (block == CO_BLOCK_SLOT0) base = store->slot[0];
  if (block == CO_BLOCK_SLOT1) base = store->slot[1];
  if (block == CO_BLOCK_EMA) base = store->ema;
  if (entry->info.state)
    base = block == CO_BLOCK_PARAM || block == CO_BLOCK_EMA ? store->state : NULL;
  else if (block != CO_BLOCK_PARAM && block != CO_BLOCK_EMA && !entry->info.trainable)
    base = NULL;
  if (base && is_narrow(entry, block))
    return (char *)store->narrow + (entry->offset - store->wide_bytes) / 2;
  return base ? base + entry->offset : NULL;
}

// Runs one REORDER between two device addresses; not for hot paths.
static co_status reorder_once(co_backend *backend, const co_tensor_desc *from, void *source,
                              const co_tensor_desc *to, void *destination) {
  co_op_desc desc = {.op = CO_OP_REORDER, .has_in = 1, .has_out = 1};
  desc.in[0] = *from;
  desc.out[0] = *to;
  co_op_choice choice;
  CO_RETURN_IF_FAILED(backend->api->query(backend, &desc, &choice));
  co_prepared *prepared = NULL;
  void *workspace = NULL;
  co_status status;
  CO_TRY(backend->api->prepare(backend, &desc, &prepared));
  if (choice.workspace) CO_TRY(backend->api->buffer_create(backend, choice.workspace, &workspace));
  CO_TRY(backend->api->run(backend, prepared, &source, &destination, workspace));
  CO_TRY(backend->api->synchronize(backend));
cleanup:
  backend->api->release(backend, prepared);
  backend->api->buffer_free(backend, workspace);
  return status;
}

// Moves one entry between host canonical order and its place in a block.
static co_status transfer(co_store *store, int64_t index, co_block block, void *host, bool write) {
  co_store_entry *entry = &store->entries[index];
  co_backend *backend = store->backend;
  char *address = co_store_address(store, index, block);
  if (!address) return co_fail(CO_ERR_INTERNAL, "'%s' has no such block", entry->info.name);
  co_tensor_desc home = entry->home;
  if (is_narrow(entry, block)) home.dtype = CO_BF16;
  co_tensor_desc canonical = home;
  canonical.layout = CO_LAYOUT_CANONICAL;
  if (block == CO_BLOCK_STEPS)
    canonical =
        (co_tensor_desc){CO_I32, CO_LAYOUT_CANONICAL, co_shape_make(1, entry->info.shape.dim[0])};
  size_t bytes = co_tensor_bytes(&canonical);
  if (entry->home.layout == CO_LAYOUT_CANONICAL)
    return write ? backend->api->upload(backend, address, host, bytes)
                 : backend->api->download(backend, host, address, bytes);
  void *staging = NULL;
  co_status status;
  CO_TRY(backend->api->buffer_create(backend, bytes, &staging));
  if (write) {
    CO_TRY(backend->api->upload(backend, staging, host, bytes));
    CO_TRY(reorder_once(backend, &canonical, staging, &home, address));
  } else {
    CO_TRY(reorder_once(backend, &home, address, &canonical, staging));
    CO_TRY(backend->api->download(backend, host, staging, bytes));
  }
cleanup:
  backend->api->buffer_free(backend, staging);
  return status;
}

static co_status read_narrow(co_store *store, int64_t index, co_block block, float *values) {
  const int64_t count = co_shape_count(&store->entries[index].info.shape);
  co_bf16 *narrow = co_alloc_zero(store->ctx, (size_t)count, sizeof *narrow);
  if (!narrow) return CO_ERR_MEMORY;
  co_status status = transfer(store, index, block, narrow, false);
  for (int64_t i = 0; i < count; i++)
    values[i] = co_bf16_widen(narrow[i]);
  co_free(store->ctx, narrow);
  return status;
}

co_status co_store_read(co_store *store, int64_t entry, co_block block, void *values) {
  if (is_narrow(&store->entries[entry], block)) return read_narrow(store, entry, block, values);
  if (store->entries[entry].info.rows && block == CO_BLOCK_GRADIENT)
    return co_store_read_row_gradient(store, entry, values);
  return transfer(store, entry, block, values, false);
}

co_status co_store_write(co_store *store, int64_t entry, co_block block, const void *values) {
  if (is_narrow(&store->entries[entry], block))
    return co_fail(CO_ERR_INTERNAL, "the gradient of '%s' is in bf16: only steps write it",
                   store->entries[entry].info.name);
  store->version++;
  return transfer(store, entry, block, (void *)(uintptr_t)values, true);
}

// Two uniforms in [0, 1) of one element; `attempt` separates rejected draws.
static void two_uniforms(uint64_t seed, uint64_t index, uint32_t attempt, uint32_t purpose,
                         double out[2]) {
  co_philox_block bits = co_philox(seed, index, attempt, purpose);
  for (int i = 0; i < 2; i++) {
    uint64_t wide = (uint64_t)bits.word[2 * i] << 32 | bits.word[2 * i + 1];
    out[i] = (double)(wide >> 11) * 0x1p-53;
  }
}

// Standard normal truncated at two sigma: Box-Muller, redrawn while outside.
static double truncated_normal(uint64_t seed, uint64_t index, uint32_t purpose) {
  for (uint32_t attempt = 0;; attempt++) {
    double u[2];
    two_uniforms(seed, index, attempt, purpose, u);
    double value = sqrt(-2 * log(1 - u[0])) * cos(6.283185307179586 * u[1]);
    if (fabs(value) <= 2) return value;
  }
}

// Standard deviation of a standard normal truncated at two sigma, divided out as Keras does.
static const double truncated_deviation = 0.87962566103423978;

static double normal(uint64_t seed, uint64_t index, uint32_t purpose) {
  double u[2];
  two_uniforms(seed, index, 0, purpose, u);
  return sqrt(-2 * log(1 - u[0])) * cos(6.283185307179586 * u[1]);
}

static double dot(const double *a, const double *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += a[i] * b[i];
  return sum;
}

// Normal values, then Gram-Schmidt from row to row, twice over: once leaves errors where rows nearly
// lie in each other's plane.
static void make_rows(double *values, int64_t rows, int64_t width, uint64_t seed,
                      uint32_t purpose) {
  for (int64_t i = 0; i < rows; i++) {
    double *row = values + i * width;
    for (int64_t k = 0; k < width; k++)
      row[k] = normal(seed, (uint64_t)(i * width + k), purpose);
    for (int64_t before = 0; before < 2 * i; before++) {
      const double *other = values + before % i * width;
      double share = dot(row, other, width);
      for (int64_t k = 0; k < width; k++)
        row[k] -= share * other[k];
    }
    double length = sqrt(dot(row, row, width));
    for (int64_t k = 0; k < width; k++)
      row[k] /= length;
  }
}

// Of a matrix that is higher than wide its columns are made, and `turned` to where they belong.
static void fill_orthogonal(double *values, double *turned, const co_param_info *info,
                            uint64_t seed, uint32_t purpose) {
  const int64_t width = info->shape.dim[info->shape.rank - 1];
  const int64_t height = co_shape_count(&info->shape) / width;
  if (height <= width) {
    make_rows(values, height, width, seed, purpose);
    return;
  }
  make_rows(turned, width, height, seed, purpose);
  for (int64_t i = 0; i < height * width; i++)
    values[i] = turned[i % width * height + i / width];
}

// Of variance share / fans.
static double scaled_uniform(double share, int64_t fans, uint64_t seed, uint64_t index,
                             uint32_t purpose) {
  double u[2];
  two_uniforms(seed, index, 0, purpose, u);
  return (2 * u[0] - 1) * sqrt(3 * share / (double)fans);
}

static double scaled_normal(double share, int64_t fans, uint64_t seed, uint64_t index,
                            uint32_t purpose) {
  return truncated_normal(seed, index, purpose) * sqrt(share / (double)fans) / truncated_deviation;
}

static double initial_value(const co_param_info *info, uint64_t seed, uint64_t index,
                            uint32_t purpose) {
  double u[2];
  if (info->zero_first && index < (uint64_t)(co_shape_count(&info->shape) / info->shape.dim[0]))
    return 0;
  switch (info->init) {
  case CO_INIT_ZEROS:
    return 0;
  case CO_INIT_ONES:
    return 1;
  case CO_INIT_GLOROT_UNIFORM:
    return scaled_uniform(2, info->fan_in + info->fan_out, seed, index, purpose);
  case CO_INIT_GLOROT_NORMAL:
    return scaled_normal(2, info->fan_in + info->fan_out, seed, index, purpose);
  case CO_INIT_HE_UNIFORM:
    return scaled_uniform(2, info->fan_in, seed, index, purpose);
  case CO_INIT_HE_NORMAL:
    return scaled_normal(2, info->fan_in, seed, index, purpose);
  case CO_INIT_LECUN_UNIFORM:
    return scaled_uniform(1, info->fan_in, seed, index, purpose);
  case CO_INIT_LECUN_NORMAL:
    return scaled_normal(1, info->fan_in, seed, index, purpose);
  case CO_INIT_FORGET_GATE:
    return index >= (uint64_t)info->shape.dim[0] / 4 && index < (uint64_t)info->shape.dim[0] / 2;
  case CO_INIT_ORTHOGONAL:
    break; // fill_orthogonal
  case CO_INIT_SIGNS:
    two_uniforms(seed, index, 0, purpose, u);
    return u[0] < 0.5 ? -1 : 1;
  case CO_INIT_UNIFORM:
    two_uniforms(seed, index, 0, purpose, u);
    return (2 * u[0] - 1) * 0.05;
  case CO_INIT_NORMAL:
    return (info->deviation > 0 ? info->deviation : 0.05) * normal(seed, index, purpose);
  case CO_INIT_FAN_IN_UNIFORM:
    two_uniforms(seed, index, 0, purpose, u);
    return (2 * u[0] - 1) / sqrt((double)info->fan_in);
  }
  return 0;
}

static co_status initialize_entry(co_store *store, int64_t index, uint64_t seed) {
  const co_store_entry *entry = &store->entries[index];
  int64_t count = co_shape_count(&entry->info.shape);
  uint32_t purpose = co_purpose("init", entry->info.name);
  const bool whole = entry->info.init == CO_INIT_ORTHOGONAL;
  void *values = co_alloc_zero(store->ctx, (size_t)count, co_dtype_size(store->real));
  double *matrix = co_alloc_zero(store->ctx, whole ? 2 * (size_t)count : 1, sizeof *matrix);
  if (!values || !matrix) {
    co_free(store->ctx, values);
    co_free(store->ctx, matrix);
    return CO_ERR_MEMORY;
  }
  if (whole) fill_orthogonal(matrix, matrix + count, &entry->info, seed, purpose);
  for (int64_t i = 0; whole && entry->info.zero_first && i < count / entry->info.shape.dim[0]; i++)
    matrix[i] = 0;
  for (int64_t i = 0; i < count; i++) {
    // Rounded to float under every policy, so that a double run starts from the same weights.
    float value =
        (float)(whole ? matrix[i] : initial_value(&entry->info, seed, (uint64_t)i, purpose));
    if (store->real == CO_F64)
      ((double *)values)[i] = value;
    else
      ((float *)values)[i] = value;
  }
  co_status status = co_store_write(store, index, CO_BLOCK_PARAM, values);
  if (status == CO_OK && store->ema) status = co_store_write(store, index, CO_BLOCK_EMA, values);
  co_free(store->ctx, values);
  co_free(store->ctx, matrix);
  return status;
}

co_status co_store_initialize(co_store *store, uint64_t seed) {
  const co_backend_api *api = store->backend->api;
  for (int64_t i = 0; i < store->count; i++)
    CO_RETURN_IF_FAILED(initialize_entry(store, i, seed));
  if (store->gradient)
    CO_RETURN_IF_FAILED(api->fill_zero(store->backend, store->gradient, store->wide_bytes));
  if (store->narrow)
    CO_RETURN_IF_FAILED(api->fill_zero(store->backend, store->narrow,
                                       co_store_gradient_bytes(store) - store->wide_bytes));
  for (int i = 0; i < store->slots; i++)
    CO_RETURN_IF_FAILED(api->fill_zero(store->backend, store->slot[i], store->trained_bytes));
  for (int64_t i = 0; i < store->count; i++)
    for (int k = CO_BLOCK_GRADIENT; k < CO_BLOCKS; k++) {
      void *block = store->entries[i].rows[k];
      const size_t bytes = co_store_row_block(store, i, (co_block)k, true, store->slots);
      if (block) CO_RETURN_IF_FAILED(api->fill_zero(store->backend, block, bytes));
    }
  return CO_OK;
}

co_status co_store_fingerprint(co_store *store, char hex[65]) {
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < store->count; i++) {
    const co_param_info *info = &store->entries[i].info;
    size_t bytes = (size_t)co_shape_count(&info->shape) * co_dtype_size(store->real);
    void *values = co_alloc(store->ctx, bytes);
    if (!values) return CO_ERR_MEMORY;
    co_status status = co_store_read(store, i, co_store_result(store), values);
    if (status == CO_OK) {
      co_sha256_update(&hash, info->name, strlen(info->name) + 1);
      co_sha256_update(&hash, values, bytes);
    }
    co_free(store->ctx, values);
    if (status != CO_OK) return status;
  }
  co_sha256_final(&hash, hex);
  return CO_OK;
}
