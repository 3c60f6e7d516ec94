// SPDX-License-Identifier: Apache-2.0
// The reference as a backend, and as the fallback of other CPU backends.
#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/widen.h"

static co_ref_function *const functions[CO_OP_COUNT][2] = {
#define X(ENUM, name, ...) {co_ref_##name##_f32, co_ref_##name##_f64},
    CO_OPS(X)
#undef X
};

static co_status check_operands(const co_op_desc *desc, bool inputs) {
  const co_op_info *info = co_op_get_info(desc->op);
  const char *list = inputs ? info->inputs : info->outputs;
  const co_tensor_desc *operands = inputs ? desc->in : desc->out;
  uint32_t present = inputs ? desc->has_in : desc->has_out;
  int count = co_operand_count(list);
  if (present >> count != 0)
    return co_fail(CO_ERR_INTERNAL, "%s: more operands than the operation has", info->name);
  for (int i = 0; i < count; i++) {
    const char *name;
    size_t length;
    bool optional;
    (void)co_operand_get(list, i, &name, &length, &optional);
    if ((present >> i & 1) == 0) {
      if (optional) continue;
      return co_fail(CO_ERR_INTERNAL, "%s: operand %.*s is missing", info->name, (int)length, name);
    }
    if (co_shape_count(&operands[i].shape) < 0)
      return co_fail(CO_ERR_INTERNAL, "%s: operand %.*s has no concrete shape", info->name,
                     (int)length, name);
  }
  return CO_OK;
}

co_status co_ref_query(const co_op_desc *desc, co_op_choice *out) {
  memset(out, 0, sizeof *out); // CO_LAYOUT_CANONICAL everywhere
  out->implementation = "ref";
  CO_RETURN_IF_FAILED(check_operands(desc, true));
  CO_RETURN_IF_FAILED(check_operands(desc, false));
  CO_RETURN_IF_FAILED(co_op_check_bf16(desc));
  co_widened widened;
  if (co_widen(desc, &widened)) {
    out->implementation = "ref+bf16";
    out->workspace = widened.bytes;
  }
  if ((desc->accumulate & ~co_op_accumulable(desc)) != 0)
    return co_fail(CO_ERR_DEVICE, "%s: this output cannot be accumulated into",
                   co_op_get_info(desc->op)->name);
  return CO_OK;
}

static bool has_dtype(const co_op_desc *desc, co_dtype dtype) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if ((desc->has_in >> i & 1) && desc->in[i].dtype == dtype) return true;
    if ((desc->has_out >> i & 1) && desc->out[i].dtype == dtype) return true;
  }
  return false;
}

static void widen(const void *user, float *to, const co_bf16 *from, int64_t count) {
  (void)user;
  for (int64_t i = 0; i < count; i++)
    to[i] = co_bf16_widen(from[i]);
}

static void round_to_bf16(const void *user, co_bf16 *to, const float *from, int64_t count) {
  (void)user;
  for (int64_t i = 0; i < count; i++)
    to[i] = co_bf16_round(from[i]);
}

co_status co_ref_run_in(const co_op_desc *desc, void *const *in, void *const *out,
                        void *workspace) {
  const co_widen_loops loops = {widen, round_to_bf16, NULL};
  void *wide_in[CO_OP_MAX_OPERANDS], *wide_out[CO_OP_MAX_OPERANDS];
  co_widened widened;
  if (!co_widen(desc, &widened)) return co_ref_run(desc, in, out);
  co_widen_begin(&widened, &loops, in, out, workspace, wide_in, wide_out);
  CO_RETURN_IF_FAILED(co_ref_run(&widened.desc, wide_in, wide_out));
  co_widen_end(&widened, &loops, out, wide_out);
  return CO_OK;
}

co_status co_ref_run(const co_op_desc *desc, void *const *in, void *const *out) {
  // Sums and gates are f64 under either policy, so that one f32 operand decides.
  int is_double = !has_dtype(desc, CO_F32) && has_dtype(desc, CO_F64);
  functions[desc->op][is_double](desc, in, out);
  return CO_OK;
}

// ---- backend -----------------------------------------------------------------------------------

struct co_prepared {
  co_op_desc desc;
};

static void ref_free(co_backend *backend) {
  if (backend != NULL) co_free(backend->ctx, backend);
}

static co_status ref_query(co_backend *backend, const co_op_desc *desc, co_op_choice *out) {
  (void)backend;
  return co_ref_query(desc, out);
}

static co_status ref_prepare(co_backend *backend, const co_op_desc *desc, co_prepared **out) {
  *out = NULL;
  co_op_choice choice;
  CO_RETURN_IF_FAILED(co_ref_query(desc, &choice));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (((desc->has_in >> i & 1) && desc->in[i].layout != CO_LAYOUT_CANONICAL) ||
        ((desc->has_out >> i & 1) && desc->out[i].layout != CO_LAYOUT_CANONICAL))
      return co_fail(CO_ERR_INTERNAL, "%s: the reference takes canonical layouts only",
                     co_op_get_info(desc->op)->name);
  co_prepared *prepared = co_alloc(backend->ctx, sizeof *prepared);
  if (prepared == NULL) return CO_ERR_MEMORY;
  prepared->desc = *desc;
  *out = prepared;
  return CO_OK;
}

static void ref_release(co_backend *backend, co_prepared *prepared) {
  co_free(backend->ctx, prepared);
}

static co_status ref_run(co_backend *backend, co_prepared *prepared, void *const *in,
                         void *const *out, void *workspace) {
  (void)backend;
  return co_ref_run_in(&prepared->desc, in, out, workspace);
}

static size_t ref_layout_bytes(co_backend *backend, const co_tensor_desc *desc) {
  (void)backend;
  return co_tensor_bytes(desc);
}

static const char *ref_layout_name(co_backend *backend, co_layout layout) {
  (void)backend;
  return layout == CO_LAYOUT_CANONICAL ? "canonical" : "unknown";
}

static co_status ref_buffer_create(co_backend *backend, size_t bytes, void **out) {
  *out = co_alloc(backend->ctx, bytes);
  return *out != NULL ? CO_OK : CO_ERR_MEMORY;
}

static void ref_buffer_free(co_backend *backend, void *buffer) {
  co_free(backend->ctx, buffer);
}

static co_status ref_upload(co_backend *backend, void *device, const void *host, size_t bytes) {
  (void)backend;
  memcpy(device, host, bytes);
  return CO_OK;
}

static co_status ref_download(co_backend *backend, void *host, const void *device, size_t bytes) {
  (void)backend;
  memcpy(host, device, bytes);
  return CO_OK;
}

static co_status ref_fill_zero(co_backend *backend, void *device, size_t bytes) {
  (void)backend;
  memset(device, 0, bytes);
  return CO_OK;
}

static co_status ref_synchronize(co_backend *backend) {
  (void)backend;
  return CO_OK;
}

static const co_backend_api ref_api = {
    .name = "ref",
    .alignment = 64,
    .free = ref_free,
    .query = ref_query,
    .prepare = ref_prepare,
    .release = ref_release,
    .run = ref_run,
    .layout_bytes = ref_layout_bytes,
    .layout_name = ref_layout_name,
    .buffer_create = ref_buffer_create,
    .buffer_free = ref_buffer_free,
    .upload = ref_upload,
    .download = ref_download,
    .fill_zero = ref_fill_zero,
    .synchronize = ref_synchronize,
    .relu_masks = true,
    .norm_pools = true,
    .host_memory = true,
};

co_status co_ref_backend_open(co_backend **out, co_context *ctx,
                              const co_backend_options *options) {
  (void)options; // one thread and one implementation: nothing to choose
  *out = NULL;
  co_backend *backend = co_alloc(ctx, sizeof *backend);
  if (backend == NULL) return CO_ERR_MEMORY;
  backend->api = &ref_api;
  backend->ctx = ctx;
  *out = backend;
  return CO_OK;
}
