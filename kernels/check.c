// SPDX-License-Identifier: Apache-2.0
#include "kernels/check.h"

#include <string.h>

enum { SHAPE_TEXT = 128 };

static const char *op_name(const co_op_desc *desc) {
  return co_op_get_info(desc->op)->name;
}

// Slice of the operand's name, for "%.*s".
static const char *operand_name(const co_op_desc *desc, int i, int *length) {
  const char *name = "?";
  size_t size = 1;
  bool optional;
  (void)co_operand_get(co_op_get_info(desc->op)->inputs, i, &name, &size, &optional);
  *length = (int)size;
  return name;
}

co_status co_check_rank(const co_op_desc *desc, int i, int low, int high) {
  const co_shape *shape = &desc->in[i].shape;
  if (shape->rank >= low && shape->rank <= high) return CO_OK;
  char text[SHAPE_TEXT];
  int length;
  const char *name = operand_name(desc, i, &length);
  co_shape_print(shape, text, sizeof text);
  if (low == high)
    return co_fail(CO_ERR_CONFIG, "%s: %.*s has shape %s but needs %d dimensions", op_name(desc),
                   length, name, text, low);
  return co_fail(CO_ERR_CONFIG, "%s: %.*s has shape %s but needs %d to %d dimensions",
                 op_name(desc), length, name, text, low, high);
}

co_status co_check_shape(const co_op_desc *desc, int i, const co_shape *wanted) {
  if (co_shape_equal(&desc->in[i].shape, wanted)) return CO_OK;
  char text[SHAPE_TEXT], wanted_text[SHAPE_TEXT];
  int length;
  const char *name = operand_name(desc, i, &length);
  co_shape_print(&desc->in[i].shape, text, sizeof text);
  co_shape_print(wanted, wanted_text, sizeof wanted_text);
  return co_fail(CO_ERR_CONFIG, "%s: %.*s has shape %s but %s is needed", op_name(desc), length,
                 name, text, wanted_text);
}

co_status co_check_dtype(const co_op_desc *desc, int i, co_dtype wanted) {
  if (desc->in[i].dtype == wanted) return CO_OK;
  int length;
  const char *name = operand_name(desc, i, &length);
  return co_fail(CO_ERR_CONFIG, "%s: %.*s is of type %s but %s is needed", op_name(desc), length,
                 name, co_dtype_name(desc->in[i].dtype), co_dtype_name(wanted));
}

co_status co_check_real(const co_op_desc *desc, int i, int like) {
  co_dtype wanted = desc->in[like].dtype;
  if (wanted != CO_F32 && wanted != CO_F64) {
    int length;
    const char *name = operand_name(desc, like, &length);
    return co_fail(CO_ERR_CONFIG, "%s: %.*s is of type %s but f32 or f64 is needed", op_name(desc),
                   length, name, co_dtype_name(wanted));
  }
  return co_check_dtype(desc, i, wanted);
}

static co_status check_records(const co_op_desc *desc, int i, size_t size, bool one) {
  CO_RETURN_IF_FAILED(co_check_dtype(desc, i, CO_U8));
  int64_t bytes = co_shape_count(&desc->in[i].shape);
  if (bytes >= 0 && bytes % (int64_t)size == 0 && (!one || bytes == (int64_t)size)) return CO_OK;
  int length;
  const char *name = operand_name(desc, i, &length);
  return co_fail(CO_ERR_INTERNAL, "%s: %.*s has %lld bytes for records of %zu", op_name(desc),
                 length, name, (long long)bytes, size);
}

co_status co_check_step(const co_op_desc *desc, int i) {
  return check_records(desc, i, sizeof(co_step), true);
}

co_status co_check_segments(const co_op_desc *desc, int i) {
  return check_records(desc, i, sizeof(co_segment), false);
}

co_status co_check_gradient(const co_op_desc *desc, int g, int narrow) {
  co_shape wide = desc->in[0].shape;
  CO_RETURN_IF_FAILED(co_check_real(desc, g, 0));
  if (desc->has_in >> narrow & 1) {
    CO_RETURN_IF_FAILED(co_check_rank(desc, narrow, 1, 1));
    CO_RETURN_IF_FAILED(co_check_dtype(desc, narrow, CO_BF16));
    if (g != 0) wide.dim[0] -= desc->in[narrow].shape.dim[0];
    if (wide.dim[0] % 8 != 0)
      return co_fail(CO_ERR_CONFIG,
                     "%s: gradients in bf16 begin behind %lld others, not a multiple of 8",
                     op_name(desc), (long long)wide.dim[0]);
  }
  return co_check_shape(desc, g, &wide);
}

co_status co_check_smoothing(const co_op_attr *attr) {
  if (attr->label_smoothing >= 0 && attr->label_smoothing < 1) return CO_OK;
  return co_fail(CO_ERR_CONFIG, "label_smoothing must be at least 0 and below 1");
}

co_status co_check_window(const co_op_desc *desc, int axis, int64_t size, int64_t dilation,
                          int64_t *out) {
  const char *side = axis == 0 ? "height" : "width";
  int64_t kernel = desc->attr.kernel[axis], stride = desc->attr.stride[axis];
  int64_t begin = desc->attr.pad_begin[axis], end = desc->attr.pad_end[axis];
  // The limit keeps the sums below free of overflow.
  const int64_t limit = INT32_MAX;
  if (size < 1 || size > limit)
    return co_fail(CO_ERR_CONFIG, "%s: the image %s must be known and positive", op_name(desc),
                   side);
  if (kernel < 1 || kernel > limit || stride < 1 || stride > limit || dilation < 1 ||
      dilation > limit)
    return co_fail(CO_ERR_CONFIG, "%s: kernel, stride and dilation must be at least 1",
                   op_name(desc));
  if (begin < 0 || begin > limit || end < 0 || end > limit)
    return co_fail(CO_ERR_CONFIG, "%s: padding must not be negative", op_name(desc));
  int64_t window = (kernel - 1) * dilation + 1, room = size + begin + end;
  if (window > room)
    return co_fail(CO_ERR_CONFIG, "%s: a window of %lld does not fit into the image %s %lld",
                   op_name(desc), (long long)window, side, (long long)room);
  *out = (room - window) / stride + 1;
  return CO_OK;
}

co_status co_check_pool(const co_op_desc *desc, int64_t *P, int64_t *Q) {
  const co_op_attr *attr = &desc->attr;
  const co_shape *x = &desc->in[0].shape;
  CO_RETURN_IF_FAILED(co_check_window(desc, 0, x->dim[1], 1, P));
  CO_RETURN_IF_FAILED(co_check_window(desc, 1, x->dim[2], 1, Q));
  for (int axis = 0; axis < 2; axis++)
    if (attr->pad_begin[axis] >= attr->kernel[axis] || attr->pad_end[axis] >= attr->kernel[axis])
      return co_fail(CO_ERR_CONFIG, "%s: padding must be smaller than the window", op_name(desc));
  if (attr->kernel[0] > INT32_MAX / attr->kernel[1])
    return co_fail(CO_ERR_CONFIG, "%s: the window is too large", op_name(desc));
  return CO_OK;
}

int64_t co_row_count(const co_shape *shape) {
  co_shape row = *shape;
  if (row.rank > 0) row.dim[0] = 1;
  return co_shape_count(&row);
}

void co_set_out(co_op_desc *desc, int i, co_dtype dtype, const co_shape *shape) {
  co_shape copy = *shape; // may lie within desc
  memset(&desc->out[i], 0, sizeof desc->out[i]);
  desc->out[i].dtype = dtype;
  desc->out[i].layout = CO_LAYOUT_CANONICAL;
  desc->out[i].shape = copy;
}

co_shape co_shape_vector(int64_t count) {
  co_shape shape;
  memset(&shape, 0, sizeof shape);
  shape.rank = 1;
  shape.dim[0] = count;
  return shape;
}
