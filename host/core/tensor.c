// SPDX-License-Identifier: Apache-2.0
#include "host/core/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
  size_t size;
  const char *name;
} dtypes[CO_DTYPE_COUNT] = {
    [CO_U8] = {1, "u8"},   [CO_I32] = {4, "i32"}, [CO_I64] = {8, "i64"},
    [CO_F32] = {4, "f32"}, [CO_F64] = {8, "f64"}, [CO_BF16] = {2, "bf16"},
};

static bool known(co_dtype dtype) {
  return (unsigned)dtype < CO_DTYPE_COUNT;
}

size_t co_dtype_size(co_dtype dtype) {
  assert(known(dtype));
  return known(dtype) ? dtypes[dtype].size : 0;
}

const char *co_dtype_name(co_dtype dtype) {
  return known(dtype) ? dtypes[dtype].name : "unknown";
}

co_shape co_shape_make(int rank, ...) {
  assert(rank >= 0 && rank <= CO_MAX_RANK);
  co_shape shape = {.rank = rank};
  va_list arguments;
  va_start(arguments, rank);
  for (int i = 0; i < rank && i < CO_MAX_RANK; i++)
    shape.dim[i] = va_arg(arguments, int64_t);
  va_end(arguments);
  return shape;
}

bool co_shape_equal(const co_shape *a, const co_shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

int64_t co_shape_count(const co_shape *shape) {
  bool empty = false;
  int64_t count = 1;
  if (shape->rank < 0 || shape->rank > CO_MAX_RANK) return -1;
  for (int i = 0; i < shape->rank; i++) {
    if (shape->dim[i] < 0) return -1;
    if (shape->dim[i] == 0) empty = true;
  }
  if (empty) return 0; // however large the other extents are
  for (int i = 0; i < shape->rank; i++) {
    if (count > INT64_MAX / shape->dim[i]) return -1;
    count *= shape->dim[i];
  }
  return count;
}

bool co_shape_class_equal(const co_shape_class *a, const co_shape_class *b) {
  bool equal = a->rows == b->rows;
  for (int k = 0; k < CO_MAX_EVENT_TABLES; k++)
    equal = equal && a->t[k] == b->t[k];
  return equal;
}

int co_dim_event_table(int64_t extent) {
  if (extent >= 0 || extent == CO_DIM_N) return -1;
  int64_t table = extent <= CO_DIM_NT(0) ? CO_DIM_NT(0) - extent : CO_DIM_T(0) - extent;
  return table < CO_MAX_EVENT_TABLES ? (int)table : -1;
}

int64_t co_dim_members(int64_t extent) {
  int64_t members = CO_DIM_NT(CO_MAX_EVENT_TABLES) - extent;
  return members > 0 ? members : 0;
}

static int64_t bind_extent(int64_t extent, const co_shape_class *class_) {
  int table = co_dim_event_table(extent);
  if (extent == CO_DIM_N) return class_->rows;
  int64_t members = co_dim_members(extent);
  if (members) return class_->rows > INT64_MAX / members ? -1 : class_->rows * members;
  if (table < 0) return extent;
  int64_t t = class_->t[table];
  if (extent > CO_DIM_NT(0)) return t;
  return t > 0 && class_->rows > INT64_MAX / t ? -1 : class_->rows * t;
}

void co_shape_bind(co_shape *shape, const co_shape_class *class_) {
  for (int i = 0; i < shape->rank; i++)
    shape->dim[i] = bind_extent(shape->dim[i], class_);
}

static void print_extent(int64_t extent, char *out, size_t size) {
  if (extent >= 0) {
    snprintf(out, size, "%" PRId64, extent);
  } else if (extent == CO_DIM_N) {
    snprintf(out, size, "N");
  } else if (co_dim_members(extent)) {
    snprintf(out, size, "N*%" PRId64, co_dim_members(extent));
  } else {
    const char *rows = extent <= CO_DIM_NT(0) ? "N*" : "";
    snprintf(out, size, "%sT%" PRId64, rows, (rows[0] ? CO_DIM_NT(0) : CO_DIM_T(0)) - extent);
  }
}

void co_shape_print(const co_shape *shape, char *out, size_t size) {
  char text[CO_MAX_RANK * 24 + 8] = "(";
  size_t used = 1;
  for (int i = 0; i < shape->rank && i < CO_MAX_RANK; i++) {
    char extent[24];
    print_extent(shape->dim[i], extent, sizeof extent);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "", extent);
  }
  if (size) snprintf(out, size, "%s)", text);
}

size_t co_tensor_bytes(const co_tensor_desc *desc) {
  int64_t count = co_shape_count(&desc->shape);
  size_t size = co_dtype_size(desc->dtype);
  // No size at all: an allocation of this many bytes fails cleanly.
  if (count < 0 || (size && (uint64_t)count > SIZE_MAX / size)) return SIZE_MAX;
  return (size_t)count * size;
}
