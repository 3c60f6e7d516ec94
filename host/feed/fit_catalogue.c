// SPDX-License-Identifier: Apache-2.0
#include "host/feed/fit_catalogue.h"

#include <math.h>
#include <string.h>

static co_status differs(const co_catalogue *c, const co_dataset *dataset, int64_t k,
                         int64_t item) {
  co_status status = co_fail_at(
      CO_ERR_DATA, co_dataset_path(dataset), 0, 0,
      "events of item '%.100s' differ in '%.100s': it is no column of the items, and cannot be one "
      "of the decoder's `columns`",
      c->items->column->categories[item], c->columns[k]->name);
  co_hint("columns of the items' table are those that `import --join ITEMS.csv:ITEM` took");
  return status;
}

// Values of both types have 4 bytes.
typedef union value {
  float number;
  int32_t code;
} value;

static bool is_same(bool number, value a, value b) {
  if (!number) return a.code == b.code;
  return isnan(a.number) || isnan(b.number) ? isnan(a.number) && isnan(b.number)
                                            : a.number == b.number;
}

// `values`: per class, from the first of its events.
static co_status read_column(const co_catalogue *c, co_dataset *dataset, const int32_t *item,
                             int64_t events, int64_t k, uint8_t *met, value *values) {
  const bool number = c->columns[k]->column->type == CO_COLUMN_NUMBER;
  const void *data;
  int64_t rows;
  CO_RETURN_IF_FAILED(co_dataset_column(dataset, c->columns[k]->column->name, &data, &rows, NULL));
  for (int64_t i = 0; i < c->classes; i++) {
    met[i] = 0;
    if (number)
      values[i].number = NAN;
    else
      values[i].code = -1;
  }
  for (int64_t i = 0; i < events && i < rows; i++) {
    const int32_t code = item[i];
    value here;
    if (code < 0 || code >= c->classes) continue;
    memcpy(&here, (const char *)data + i * (int64_t)sizeof here, sizeof here);
    if (met[code] && !is_same(number, here, values[code])) return differs(c, dataset, k, code);
    met[code] = 1;
    values[code] = here;
  }
  return CO_OK;
}

co_status co_fit_catalogue(co_catalogue *c, co_context *ctx, co_dataset *dataset,
                           const int64_t *counts) {
  const void *item;
  int64_t events;
  CO_RETURN_IF_FAILED(co_dataset_column(dataset, c->items->column->name, &item, &events, NULL));
  uint8_t *met = co_alloc(ctx, (size_t)c->classes + 1);
  value *values = co_alloc(ctx, (size_t)(c->classes + 1) * sizeof *values);
  co_status status = met && values ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) co_catalogue_take_counts(c, counts);
  for (int64_t k = 0; status == CO_OK && k < c->column_count; k++) {
    status = read_column(c, dataset, item, events, k, met, values);
    if (status == CO_OK) status = co_catalogue_fit_column(c, ctx, k, values);
  }
  co_free(ctx, met);
  co_free(ctx, values);
  return status;
}
