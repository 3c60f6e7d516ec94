// SPDX-License-Identifier: Apache-2.0
#include "host/eval/history.h"

#include <string.h>

// The items of the events are the classes of the target, in the same order: one dictionary. New ones follow
// both, of the target as categories.
static bool same_classes(const co_column *a, const co_column *b) {
  if (a->category_count + a->new_classes != b->category_count) return false;
  for (int64_t i = 0; i < a->category_count; i++)
    if (strcmp(a->categories[i], b->categories[i]) != 0) return false;
  return true;
}

static const co_column *find_items(const co_schema *schema, const co_column *target) {
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    const co_table *table = column->table ? co_schema_table(schema, column->table) : NULL;
    if (table && table->kind == CO_TABLE_EVENTS && column->type == CO_COLUMN_CATEGORY &&
        !column->shape.rank && same_classes(column, target))
      return column;
  }
  return NULL;
}

static const co_column *items_of(const co_model *model) {
  const co_column *target = model->output_count == 1 ? model->outputs[0].column : NULL;
  bool category = target && target->type == CO_COLUMN_CATEGORY && !target->shape.rank;
  return category ? find_items(&model->schema, target) : NULL;
}

bool co_history_is_there(const co_model *model) {
  return items_of(model) != NULL;
}

static co_status read_targets(co_history *out, const co_model *model, co_dataset *dataset) {
  const char *name = model->outputs[0].column->name;
  const co_column *stored = co_schema_find(co_dataset_schema(dataset), name);
  const int64_t *index;
  const void *data;
  int64_t rows;
  if (!stored) return CO_OK;
  CO_RETURN_IF_FAILED(co_dataset_column(dataset, name, &data, &rows, &index));
  if (!index) out->target = data; // else it is no column of samples
  return CO_OK;
}

static co_status read_items(co_history *out, const co_model *model, co_dataset *dataset,
                            const co_column *items) {
  const void *data;
  int64_t rows;
  out->classes = items->category_count + items->new_classes;
  CO_RETURN_IF_FAILED(co_dataset_column(dataset, items->name, &data, &rows, NULL));
  out->item = data;
  return read_targets(out, model, dataset);
}

static const co_table *find_events(const co_schema *schema) {
  for (int64_t i = 0; i < schema->table_count; i++)
    if (schema->tables[i].kind == CO_TABLE_EVENTS && schema->tables[i].time)
      return &schema->tables[i];
  return NULL;
}

// Column `amount` of a table of events, under the name that it has in the dataset.
static const co_column *find_amount(const co_schema *schema, const co_table *events) {
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    const char *dot = strrchr(column->name, '.');
    if (column->table && strcmp(column->table, events->name) == 0 &&
        column->type == CO_COLUMN_NUMBER && strcmp(dot ? dot + 1 : column->name, "amount") == 0)
      return column;
  }
  return NULL;
}

co_status co_history_open(co_history *out, const co_model *model, co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  const co_column *items = items_of(model);
  const co_table *events = items ? co_schema_table(schema, items->table) : find_events(schema);
  *out = (co_history){.classes = 0};
  if (!events)
    return co_fail_at(CO_ERR_DATA, co_dataset_path(dataset), 0, 0,
                      "there is no table of events with times");
  const co_column *amount = find_amount(schema, events);
  if (items) CO_RETURN_IF_FAILED(read_items(out, model, dataset, items));
  if (events->time) CO_RETURN_IF_FAILED(co_dataset_numbers(dataset, events->time, &out->time));
  if (amount) CO_RETURN_IF_FAILED(co_dataset_numbers(dataset, amount->name, &out->amount));
  out->as_of = co_dataset_as_of(dataset);
  CO_RETURN_IF_FAILED(co_dataset_ranges(dataset, events->name, &out->begin, &out->end));
  CO_RETURN_IF_FAILED(co_dataset_index(dataset, events->entity, &out->entity));
  out->entities = co_schema_table(schema, events->entity)->rows;
  return CO_OK;
}

co_status co_history_check_times(const co_history *history) {
  return history->as_of && history->time.values
             ? CO_OK
             : co_fail(CO_ERR_DATA, "samples have no cut-offs, or events no times");
}

bool co_history_same_step(const co_history *h, int64_t a, int64_t b) {
  return a == b || (h->time.values && co_numbers_at(&h->time, a) == co_numbers_at(&h->time, b));
}

int64_t co_history_last_step(const co_history *h, int64_t sample) {
  int64_t first = h->begin[sample], event = h->end[sample] - 1;
  while (event > first && co_history_same_step(h, event - 1, event))
    event--;
  return event < first ? first : event;
}

co_status co_seen_open(co_seen *out, co_context *ctx, const co_history *h) {
  *out = (co_seen){.history = h,
                   .begin = -1,
                   .mark = co_alloc_zero(ctx, (size_t)h->classes + 1, sizeof *out->mark)};
  return out->mark ? CO_OK : CO_ERR_MEMORY;
}

void co_seen_close(co_seen *seen, co_context *ctx) {
  co_free(ctx, seen->mark);
  *seen = (co_seen){.history = NULL};
}

void co_seen_take(co_seen *seen, int64_t sample) {
  const co_history *h = seen->history;
  if (seen->begin == h->begin[sample] && seen->end == h->end[sample]) return;
  seen->begin = h->begin[sample];
  seen->end = h->end[sample];
  seen->number++;
  for (int64_t event = seen->begin; event < seen->end; event++)
    if (h->item[event] >= 0) seen->mark[h->item[event]] = seen->number;
}

bool co_seen_has(const co_seen *seen, int64_t item) {
  return seen->mark[item] == seen->number;
}

co_status co_history_longest(int64_t **begin, int64_t **end, co_context *ctx, const co_history *h,
                             const int64_t *samples, int64_t count) {
  *begin = co_alloc_zero(ctx, (size_t)h->entities + 1, sizeof **begin);
  *end = co_alloc_zero(ctx, (size_t)h->entities + 1, sizeof **end);
  if (!*begin || !*end) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    int64_t sample = samples[i], entity = h->entity ? h->entity[sample] : sample;
    if (entity < 0 || h->end[sample] <= (*end)[entity]) continue;
    (*begin)[entity] = h->begin[sample];
    (*end)[entity] = h->end[sample];
  }
  return CO_OK;
}
