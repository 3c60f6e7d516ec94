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

static size_t part_bytes(const co_staging_layout *layout, int64_t rows, int64_t fields) {
  size_t bytes = align(sizeof(co_step));
  for (int64_t i = 0; i < fields; i++)
    bytes += align((size_t)rows * layout->fields[i].row_bytes);
  return bytes;
}

size_t co_staging_part_offset(const co_staging_layout *layout, int64_t part) {
  return (size_t)part * part_bytes(layout, layout->micro_rows, layout->field_count);
}

size_t co_staging_field_offset(const co_staging_layout *layout, int64_t rows, int64_t part,
                               int64_t field) {
  return co_staging_part_offset(layout, part) +
         part_bytes(layout, co_staging_part_rows(layout, rows, part), field);
}

size_t co_staging_bytes(const co_staging_layout *layout, int64_t rows) {
  int64_t last = co_staging_parts(layout, rows) - 1;
  return co_staging_field_offset(layout, rows, last, layout->field_count);
}
