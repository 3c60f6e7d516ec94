// SPDX-License-Identifier: Apache-2.0
#include "host/exec/staging.h"

// Of every part and field: what devices ask of tensors' addresses.
static size_t align(size_t bytes) {
  const size_t alignment = 256;
  return (bytes + alignment - 1) / alignment * alignment;
}

int64_t co_staging_parts(const co_staging_layout *layout, int64_t rows) {
  return (rows + layout->micro_rows - 1) / layout->micro_rows;
}

int64_t co_staging_part_rows(const co_staging_layout *layout, int64_t rows, int64_t part) {
  int64_t left = rows - part * layout->micro_rows;
  return left < layout->micro_rows ? left : layout->micro_rows;
}

size_t co_staging_row_bytes(const co_staging_field *field, const co_shape_class *shape) {
  co_tensor_desc row = field->row;
  co_shape_bind(&row.shape, shape);
  return co_tensor_bytes(&row);
}

// Of `rows` rows and the first `fields` of them.
static size_t part_bytes(const co_staging_layout *layout, const co_shape_class *shape, int64_t rows,
                         int64_t fields) {
  size_t bytes = align(sizeof(co_step));
  for (int64_t i = 0; i < fields; i++)
    bytes += align((size_t)rows * co_staging_row_bytes(&layout->fields[i], shape));
  return bytes;
}

size_t co_staging_part_offset(const co_staging_layout *layout, const co_shape_class *shape,
                              int64_t part) {
  return (size_t)part * part_bytes(layout, shape, layout->micro_rows, layout->field_count);
}

size_t co_staging_field_offset(const co_staging_layout *layout, const co_shape_class *shape,
                               int64_t part, int64_t field) {
  return co_staging_part_offset(layout, shape, part) +
         part_bytes(layout, shape, co_staging_part_rows(layout, shape->rows, part), field);
}

size_t co_staging_bytes(const co_staging_layout *layout, const co_shape_class *shape) {
  int64_t last = co_staging_parts(layout, shape->rows) - 1;
  return co_staging_field_offset(layout, shape, last, layout->field_count);
}
