// SPDX-License-Identifier: Apache-2.0
#include "host/eval/units.h"

co_status co_sample_units(int64_t **out, co_context *ctx, co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  const int64_t *begin, *end, *entity;
  int64_t rows = co_dataset_rows(dataset), table = 0;
  *out = NULL;
  while (table < schema->table_count && schema->tables[table].kind != CO_TABLE_EVENTS)
    table++;
  if (table == schema->table_count) return CO_OK;
  CO_RETURN_IF_FAILED(co_dataset_ranges(dataset, schema->tables[table].name, &begin, &end));
  CO_RETURN_IF_FAILED(co_dataset_index(dataset, schema->tables[table].entity, &entity));
  int64_t *units = *out = co_alloc_zero(ctx, (size_t)rows + 1, sizeof *units);
  for (int64_t i = 1; units && i < rows; i++) {
    bool same =
        entity && entity[i] == entity[i - 1] && begin[i] == begin[i - 1] && end[i] == end[i - 1];
    units[i] = units[i - 1] + !same;
  }
  return units ? CO_OK : CO_ERR_MEMORY;
}

co_status co_sample_owners(const int64_t **out, co_dataset *dataset) {
  const co_table *entity = co_schema_entity(co_dataset_schema(dataset));
  *out = NULL;
  return entity ? co_dataset_index(dataset, entity->name, out) : CO_OK;
}
