// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/dnnl_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#if DNNL_VERSION_MAJOR < 2 || (DNNL_VERSION_MAJOR == 2 && DNNL_VERSION_MINOR < 6)
#error "Cohort needs oneDNN 2.6 or newer"
#endif

const char *co_dnnl_status_name(dnnl_status_t status) {
  switch (status) {
  case dnnl_success:
    return "success";
  case dnnl_out_of_memory:
    return "out of memory";
  case dnnl_invalid_arguments:
    return "invalid arguments";
  case dnnl_unimplemented:
    return "unimplemented";
  case dnnl_runtime_error:
    return "run-time error";
  default:
    return "failure";
  }
}

co_status co_dnnl_fail(dnnl_status_t status, const char *what) {
  if (status == dnnl_out_of_memory)
    return co_fail(CO_ERR_MEMORY, "oneDNN: %s: out of memory", what);
  return co_fail(CO_ERR_DEVICE, "oneDNN: %s: %s", what, co_dnnl_status_name(status));
}

// ---- memory descriptors ------------------------------------------------------------------------

#if DNNL_VERSION_MAJOR >= 3
co_md_borrowed co_md_borrow(const co_md *md) {
  return md->value;
}

co_status co_md_clone(co_md *out, co_md_borrowed md) {
  out->value = NULL;
  dnnl_status_t status = dnnl_memory_desc_clone(&out->value, md);
  return status == dnnl_success ? CO_OK : co_dnnl_fail(status, "memory descriptor");
}

void co_md_free(co_md *md) {
  if (md->value) dnnl_memory_desc_destroy(md->value);
  md->value = NULL;
}

static dnnl_status_t create_strided(co_md *out, dnnl_data_type_t type, int rank,
                                    const dnnl_dims_t dims, const dnnl_dims_t strides) {
  return dnnl_memory_desc_create_with_strides(&out->value, rank, dims, type, strides);
}

static dnnl_status_t create_tagged(co_md *out, dnnl_data_type_t type, int rank,
                                   const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(&out->value, rank, dims, type, tag);
}
#else
co_md_borrowed co_md_borrow(const co_md *md) {
  return &md->value;
}

co_status co_md_clone(co_md *out, co_md_borrowed md) {
  out->value = *md;
  return CO_OK;
}

void co_md_free(co_md *md) {
  memset(md, 0, sizeof *md);
}

static dnnl_status_t create_strided(co_md *out, dnnl_data_type_t type, int rank,
                                    const dnnl_dims_t dims, const dnnl_dims_t strides) {
  return dnnl_memory_desc_init_by_strides(&out->value, rank, dims, type, strides);
}

static dnnl_status_t create_tagged(co_md *out, dnnl_data_type_t type, int rank,
                                   const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(&out->value, rank, dims, type, tag);
}
#endif

static co_status checked(co_md *out, dnnl_status_t status) {
  if (status == dnnl_success) return CO_OK;
  memset(out, 0, sizeof *out);
  return co_dnnl_fail(status, "memory descriptor");
}

// oneDNN's prototypes ask for arrays of full length.
static void pad_dims(dnnl_dims_t out, int rank, const int64_t *dims) {
  memset(out, 0, sizeof(dnnl_dims_t));
  memcpy(out, dims, (size_t)rank * sizeof *dims);
}

co_status co_md_strided(co_md *out, dnnl_data_type_t type, int rank, const int64_t *dims,
                        const int64_t *strides) {
  dnnl_dims_t d, s;
  pad_dims(d, rank, dims);
  pad_dims(s, rank, strides);
  return checked(out, create_strided(out, type, rank, d, s));
}

co_status co_md_any(co_md *out, dnnl_data_type_t type, int rank, const int64_t *dims) {
  dnnl_dims_t d;
  pad_dims(d, rank, dims);
  return checked(out, create_tagged(out, type, rank, d, dnnl_format_tag_any));
}

co_status co_md_channel_blocked(co_md *out, const int64_t dims[4], int block) {
  dnnl_dims_t d;
  pad_dims(d, 4, dims);
  dnnl_format_tag_t tag = block == 16 ? dnnl_aBcd16b : block == 8 ? dnnl_aBcd8b : dnnl_aBcd4b;
  return checked(out, create_tagged(out, dnnl_f32, 4, d, tag));
}

bool co_md_equal(co_md_borrowed a, co_md_borrowed b) {
  return dnnl_memory_desc_equal(a, b) != 0;
}

static dnnl_data_type_t type_of(co_md_borrowed md) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_data_type_t type = dnnl_data_type_undef;
  dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
  return type;
#else
  return md->data_type;
#endif
}

size_t co_md_bytes(co_md_borrowed md) {
  return dnnl_memory_desc_get_size(md);
}

void co_md_describe(co_md_borrowed md, co_md_form *out) {
  memset(out, 0, sizeof *out);
#if DNNL_VERSION_MAJOR >= 3
  dnnl_format_kind_t kind = dnnl_format_kind_undef;
  dnnl_dims_t *dims = NULL, *values = NULL;
  dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &out->rank);
  dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind);
  dnnl_memory_desc_query(md, dnnl_query_dims, &dims);
  memcpy(out->dims, *dims, sizeof(dnnl_dims_t));
  out->blocked = kind == dnnl_blocked;
  if (!out->blocked) return;
  dnnl_memory_desc_query(md, dnnl_query_padded_dims, &values);
  memcpy(out->padded, *values, sizeof(dnnl_dims_t));
  dnnl_memory_desc_query(md, dnnl_query_strides, &values);
  memcpy(out->strides, *values, sizeof(dnnl_dims_t));
  dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &out->blocks);
  dnnl_memory_desc_query(md, dnnl_query_inner_blks, &values);
  memcpy(out->block_size, *values, sizeof(dnnl_dims_t));
  dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &values);
  memcpy(out->block_dim, *values, sizeof(dnnl_dims_t));
#else
  out->rank = md->ndims;
  out->blocked = md->format_kind == dnnl_blocked;
  memcpy(out->dims, md->dims, sizeof out->dims);
  if (!out->blocked) return;
  const dnnl_blocking_desc_t *blocking = &md->format_desc.blocking;
  memcpy(out->padded, md->padded_dims, sizeof out->padded);
  memcpy(out->strides, blocking->strides, sizeof out->strides);
  out->blocks = blocking->inner_nblks;
  memcpy(out->block_size, blocking->inner_blks, sizeof out->block_size);
  memcpy(out->block_dim, blocking->inner_idxs, sizeof out->block_dim);
#endif
}

void co_md_name(co_md_borrowed md, char *out, size_t size) {
  co_md_form form;
  co_md_describe(md, &form);
  if (!form.blocked) {
    snprintf(out, size, "opaque");
    return;
  }
  int order[DNNL_MAX_NDIMS];
  bool inner[DNNL_MAX_NDIMS] = {false};
  for (int b = 0; b < form.blocks; b++)
    inner[form.block_dim[b]] = true;
  for (int d = 0; d < form.rank; d++) { // stable insertion by falling stride
    int at = d;
    while (at > 0 && form.strides[order[at - 1]] < form.strides[d]) {
      order[at] = order[at - 1];
      at--;
    }
    order[at] = d;
  }
  size_t used = 0;
  for (int d = 0; d < form.rank && used + 1 < size; d++)
    out[used++] = (char)((inner[order[d]] ? 'A' : 'a') + order[d]);
  out[used < size ? used : size - 1] = '\0';
  for (int b = 0; b < form.blocks && used + 1 < size; b++) {
    int n = snprintf(out + used, size - used, "%d%c", (int)form.block_size[b],
                     (char)('a' + form.block_dim[b]));
    if (n > 0) used += (size_t)n;
  }
}

// ---- engine ------------------------------------------------------------------------------------

co_status co_dnnl_open(co_dnnl *out) {
  memset(out, 0, sizeof *out);
  dnnl_status_t status = dnnl_engine_create(&out->engine, dnnl_cpu, 0);
  if (status != dnnl_success) return co_dnnl_fail(status, "engine");
  status = dnnl_stream_create(&out->stream, out->engine, dnnl_stream_default_flags);
  if (status == dnnl_success) return CO_OK;
  dnnl_engine_destroy(out->engine);
  memset(out, 0, sizeof *out);
  return co_dnnl_fail(status, "stream");
}

void co_dnnl_close(co_dnnl *dnnl) {
  if (dnnl->stream) dnnl_stream_destroy(dnnl->stream);
  if (dnnl->engine) dnnl_engine_destroy(dnnl->engine);
  memset(dnnl, 0, sizeof *dnnl);
}

bool co_dnnl_has_bf16(void) {
  return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
         dnnl_cpu_isa_avx512_core_bf16;
}

// ---- primitive descriptors ---------------------------------------------------------------------

static dnnl_status_t append_relu(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f);
#else
  return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
  return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
}

static dnnl_status_t attr_create(dnnl_primitive_attr_t *out, const co_dnnl_attr *attr) {
  dnnl_post_ops_t ops = NULL;
  dnnl_status_t status = dnnl_primitive_attr_create(out);
  if (status != dnnl_success) return status;
  status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
  if (status == dnnl_success && attr && (attr->accumulate || attr->relu)) {
    status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && attr->accumulate) status = append_sum(ops);
    if (status == dnnl_success && attr->relu) status = append_relu(ops);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, ops);
    if (ops) dnnl_post_ops_destroy(ops);
  }
  if (status != dnnl_success) {
    dnnl_primitive_attr_destroy(*out);
    *out = NULL;
  }
  return status;
}

static dnnl_status_t conv_forward(dnnl_primitive_desc_t *out, const co_dnnl *dnnl, const co_md *x,
                                  const co_md *w, const co_md *bias, const co_md *y,
                                  const co_dnnl_window *window, dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_forward_primitive_desc_create(
      out, dnnl->engine, dnnl_forward_training, dnnl_convolution_direct, x->value, w->value,
      bias ? bias->value : NULL, y->value, window->stride, window->dilation, window->pad_begin,
      window->pad_end, attr);
#else
  dnnl_convolution_desc_t desc;
  dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
      &desc, dnnl_forward_training, dnnl_convolution_direct, &x->value, &w->value,
      bias ? &bias->value : NULL, &y->value, window->stride, window->dilation, window->pad_begin,
      window->pad_end);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(out, &desc, attr, dnnl->engine, NULL);
#endif
}

static dnnl_status_t conv_backward_data(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                        const co_md *dx, const co_md *w, const co_md *dy,
                                        const co_dnnl_window *window, dnnl_primitive_desc_t hint,
                                        dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_backward_data_primitive_desc_create(
      out, dnnl->engine, dnnl_convolution_direct, dx->value, w->value, dy->value, window->stride,
      window->dilation, window->pad_begin, window->pad_end, hint, attr);
#else
  dnnl_convolution_desc_t desc;
  dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
      &desc, dnnl_convolution_direct, &dx->value, &w->value, &dy->value, window->stride,
      window->dilation, window->pad_begin, window->pad_end);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(out, &desc, attr, dnnl->engine, hint);
#endif
}

static dnnl_status_t conv_backward_weights(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                           const co_md *x, const co_md *dw, const co_md *db,
                                           const co_md *dy, const co_dnnl_window *window,
                                           dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_backward_weights_primitive_desc_create(
      out, dnnl->engine, dnnl_convolution_direct, x->value, dw->value, db ? db->value : NULL,
      dy->value, window->stride, window->dilation, window->pad_begin, window->pad_end, hint, attr);
#else
  dnnl_convolution_desc_t desc;
  dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
      &desc, dnnl_convolution_direct, &x->value, &dw->value, db ? &db->value : NULL, &dy->value,
      window->stride, window->dilation, window->pad_begin, window->pad_end);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(out, &desc, attr, dnnl->engine, hint);
#endif
}

// ---- transposed

static dnnl_status_t deconv_forward(dnnl_primitive_desc_t *out, const co_dnnl *dnnl, const co_md *x,
                                    const co_md *w, const co_md *bias, const co_md *y,
                                    const co_dnnl_window *window, dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_deconvolution_forward_primitive_desc_create(
      out, dnnl->engine, dnnl_forward_training, dnnl_deconvolution_direct, x->value, w->value,
      bias ? bias->value : NULL, y->value, window->stride, window->dilation, window->pad_begin,
      window->pad_end, attr);
#else
  dnnl_deconvolution_desc_t desc;
  dnnl_status_t status = dnnl_dilated_deconvolution_forward_desc_init(
      &desc, dnnl_forward_training, dnnl_deconvolution_direct, &x->value, &w->value,
      bias ? &bias->value : NULL, &y->value, window->stride, window->dilation, window->pad_begin,
      window->pad_end);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(out, &desc, attr, dnnl->engine, NULL);
#endif
}

static dnnl_status_t deconv_backward_weights(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                             const co_md *x, const co_md *dw, const co_md *db,
                                             const co_md *dy, const co_dnnl_window *window,
                                             dnnl_primitive_desc_t hint,
                                             dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_deconvolution_backward_weights_primitive_desc_create(
      out, dnnl->engine, dnnl_deconvolution_direct, x->value, dw->value, db ? db->value : NULL,
      dy->value, window->stride, window->dilation, window->pad_begin, window->pad_end, hint, attr);
#else
  dnnl_deconvolution_desc_t desc;
  dnnl_status_t status = dnnl_dilated_deconvolution_backward_weights_desc_init(
      &desc, dnnl_deconvolution_direct, &x->value, &dw->value, db ? &db->value : NULL, &dy->value,
      window->stride, window->dilation, window->pad_begin, window->pad_end);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(out, &desc, attr, dnnl->engine, hint);
#endif
}

// Weight gradients may be float where the data are not; weights are of the data's type.
static dnnl_data_type_t hint_type(const co_md *const *given, int i) {
  return type_of(co_md_borrow(given[i == 1 ? 0 : i]));
}

dnnl_status_t co_dnnl_conv_create(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                  co_dnnl_conv kind, const co_md *x, const co_md *w,
                                  const co_md *bias, const co_md *y, const co_dnnl_window *window,
                                  const co_dnnl_attr *attr) {
  dnnl_primitive_attr_t a = NULL;
  dnnl_primitive_desc_t hint = NULL;
  *out = NULL;
  dnnl_status_t status = attr_create(&a, attr);
  if (status != dnnl_success) return status;
  if (kind == CO_DNNL_CONV_FORWARD) {
    status = conv_forward(out, dnnl, x, w, bias, y, window, a);
  } else if (kind == CO_DNNL_DECONV_FORWARD) {
    status = deconv_forward(out, dnnl, x, w, bias, y, window, a);
  } else {
    // The hint is only looked at for its kind and shapes: free formats always give one.
    co_md any[3] = {0};
    const co_md *given[3] = {x, w, y};
    for (int i = 0; i < 3 && status == dnnl_success; i++) {
      co_md_form form;
      co_md_describe(co_md_borrow(given[i]), &form);
      status =
          create_tagged(&any[i], hint_type(given, i), form.rank, form.dims, dnnl_format_tag_any);
    }
    if (status == dnnl_success)
      status = (kind == CO_DNNL_DECONV_BACKWARD_WEIGHTS ? deconv_forward : conv_forward)(
          &hint, dnnl, &any[0], &any[1], NULL, &any[2], window, NULL);
    for (int i = 0; i < 3; i++)
      co_md_free(&any[i]);
    if (status == dnnl_success)
      status = kind == CO_DNNL_CONV_BACKWARD_DATA
                   ? conv_backward_data(out, dnnl, x, w, y, window, hint, a)
               : kind == CO_DNNL_DECONV_BACKWARD_WEIGHTS
                   ? deconv_backward_weights(out, dnnl, x, w, bias, y, window, hint, a)
                   : conv_backward_weights(out, dnnl, x, w, bias, y, window, hint, a);
  }
  if (hint) dnnl_primitive_desc_destroy(hint);
  dnnl_primitive_attr_destroy(a);
  return status;
}

dnnl_status_t co_dnnl_matmul_create(dnnl_primitive_desc_t *out, const co_dnnl *dnnl, const co_md *a,
                                    const co_md *b, const co_md *bias, const co_md *c,
                                    const co_dnnl_attr *attr) {
  dnnl_primitive_attr_t at = NULL;
  *out = NULL;
  dnnl_status_t status = attr_create(&at, attr);
  if (status != dnnl_success) return status;
#if DNNL_VERSION_MAJOR >= 3
  status = dnnl_matmul_primitive_desc_create(out, dnnl->engine, a->value, b->value,
                                             bias ? bias->value : NULL, c->value, at);
#else
  dnnl_matmul_desc_t desc;
  status =
      dnnl_matmul_desc_init(&desc, &a->value, &b->value, bias ? &bias->value : NULL, &c->value);
  if (status == dnnl_success)
    status = dnnl_primitive_desc_create(out, &desc, at, dnnl->engine, NULL);
#endif
  dnnl_primitive_attr_destroy(at);
  return status;
}

dnnl_status_t co_dnnl_reorder_create(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                     const co_md *x, const co_md *y) {
  dnnl_primitive_attr_t attr = NULL;
  *out = NULL;
  dnnl_status_t status = attr_create(&attr, NULL);
  if (status != dnnl_success) return status;
  status = dnnl_reorder_primitive_desc_create(out, co_md_borrow(x), dnnl->engine, co_md_borrow(y),
                                              dnnl->engine, attr);
  dnnl_primitive_attr_destroy(attr);
  return status;
}

const char *co_dnnl_implementation(dnnl_primitive_desc_t pd) {
  const char *name = NULL;
  if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success || !name)
    return "unknown";
  return name;
}

co_md_borrowed co_dnnl_md(dnnl_primitive_desc_t pd, int arg) {
  return dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
}

size_t co_dnnl_scratch_bytes(dnnl_primitive_desc_t pd) {
  co_md_borrowed md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
  return md ? co_md_bytes(md) : 0;
}

// ---- execution ---------------------------------------------------------------------------------

static dnnl_status_t add_argument(co_dnnl_exec *exec, int at, const co_dnnl *dnnl, int arg,
                                  co_md_borrowed md) {
  exec->args[at].arg = arg;
  return dnnl_memory_create(&exec->args[at].memory, md, dnnl->engine, DNNL_MEMORY_NONE);
}

// oneDNN writes code it makes into memory that it has not checked to be there: asked for in its place.
static co_status check_room_for_code(void) {
  enum { ROOM = 16 << 20 };
  void *room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED)
    return co_fail_errno(CO_ERR_MEMORY, errno, "oneDNN has no room for the code of an operation");
  munmap(room, ROOM);
  return CO_OK;
}

co_status co_dnnl_exec_create(co_dnnl_exec *out, const co_dnnl *dnnl, dnnl_primitive_desc_t pd,
                              const int *args, int count) {
  memset(out, 0, sizeof *out);
  CO_RETURN_IF_FAILED(check_room_for_code());
  dnnl_status_t status = dnnl_primitive_create(&out->primitive, pd);
  for (int i = 0; i < count && status == dnnl_success; i++) {
    status = add_argument(out, i, dnnl, args[i], co_dnnl_md(pd, args[i]));
    out->count = i + 1;
  }
  if (status == dnnl_success && co_dnnl_scratch_bytes(pd) > 0) {
    out->scratch = true;
    status = add_argument(out, out->count, dnnl, DNNL_ARG_SCRATCHPAD,
                          dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
  }
  if (status == dnnl_success) return CO_OK;
  co_dnnl_exec_free(out);
  return co_dnnl_fail(status, "primitive");
}

void co_dnnl_exec_free(co_dnnl_exec *exec) {
  for (int i = 0; i < exec->count + (exec->scratch ? 1 : 0); i++)
    if (exec->args[i].memory) dnnl_memory_destroy(exec->args[i].memory);
  if (exec->primitive) dnnl_primitive_destroy(exec->primitive);
  memset(exec, 0, sizeof *exec);
}

co_status co_dnnl_exec_run(const co_dnnl_exec *exec, const co_dnnl *dnnl, void *const *handles,
                           void *scratch) {
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < exec->count && status == dnnl_success; i++)
    status = dnnl_memory_set_data_handle(exec->args[i].memory, handles[i]);
  if (exec->scratch && status == dnnl_success)
    status = dnnl_memory_set_data_handle(exec->args[exec->count].memory, scratch);
  if (status == dnnl_success)
    status = dnnl_primitive_execute(exec->primitive, dnnl->stream,
                                    exec->count + (exec->scratch ? 1 : 0), exec->args);
  return status == dnnl_success ? CO_OK : co_dnnl_fail(status, "execution");
}
