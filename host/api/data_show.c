// SPDX-License-Identifier: Apache-2.0
// cohort_data_show: rows as people read them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/view.h"
#include "host/api/data.h"
#include "host/core/text_width.h"

enum { MOST_ROWS = 100000, CELL = 24 };

// What is shown in a column: the key, a column's value, or how many events of a table there are.
typedef struct shown_column {
  const char *name;
  bool key;
  co_view view; // column NULL = neither
  const int64_t *begin, *end;
} shown_column;

typedef struct showing {
  const cohort_data_show_options *options;
  co_dataset *dataset;
  shown_column *columns;
  int count;
  const int64_t *samples; // NULL = all
  int64_t rows;
  bool has_key; // else rows are called by their number
} showing;

static int64_t sample_of(const showing *s, int64_t row) {
  return s->samples ? s->samples[row] : row;
}

// ---- columns -----------------------------------------------------------------------------------

static co_status add_columns(showing *s) {
  const co_schema *schema = co_dataset_schema(s->dataset);
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *c = &schema->columns[i];
    const co_table *table = co_schema_table(schema, c->table);
    if (!co_view_exists(c) || (table && table->kind == CO_TABLE_EVENTS)) continue;
    shown_column *shown = &s->columns[s->count++];
    *shown = (shown_column){.name = c->name};
    CO_RETURN_IF_FAILED(co_view_open(&shown->view, s->dataset, c));
  }
  for (int64_t i = 0; i < schema->table_count; i++) {
    if (schema->tables[i].kind != CO_TABLE_EVENTS) continue;
    shown_column *shown = &s->columns[s->count++];
    *shown = (shown_column){.name = schema->tables[i].name};
    CO_RETURN_IF_FAILED(co_dataset_ranges(s->dataset, shown->name, &shown->begin, &shown->end));
  }
  return CO_OK;
}

static co_status choose(showing *s, co_arena *arena) {
  const co_schema *schema = co_dataset_schema(s->dataset);
  const co_column *key = co_dataset_key_column(s->dataset);
  int64_t wanted = s->options->rows ? s->options->rows : 10;
  size_t room = (size_t)(schema->column_count + schema->table_count) + 1;
  if (!(s->columns = co_arena_alloc(arena, room, sizeof *s->columns))) return CO_ERR_MEMORY;
  s->has_key = key != NULL;
  s->columns[s->count++] = (shown_column){.name = key ? key->name : "row", .key = true};
  s->rows = co_dataset_rows(s->dataset);
  if (s->options->rows_of) {
    int split = co_split_parse(s->options->rows_of);
    CO_RETURN_IF_FAILED(co_dataset_split(s->dataset, (co_split)split, &s->samples, &s->rows));
  }
  if (s->rows > wanted) s->rows = wanted;
  return add_columns(s);
}

// ---- cells -------------------------------------------------------------------------------------

static co_status cell(const showing *s, const shown_column *c, int64_t sample, char *room,
                      size_t size, const char **out) {
  *out = room;
  if (c->key) return co_dataset_key(s->dataset, sample, room, size);
  if (!c->view.column) {
    snprintf(room, size, "%lld", (long long)(c->end[sample] - c->begin[sample]));
    return CO_OK;
  }
  *out = co_view_print(&c->view, sample, room, size);
  return CO_OK;
}

// ---- text --------------------------------------------------------------------------------------

static void put_csv(co_text *out, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    co_text_append(out, text, strlen(text));
    return;
  }
  co_text_append(out, "\"", 1);
  for (; *text; text++)
    co_text_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
  co_text_append(out, "\"", 1);
}

static co_status print_csv(const showing *s, co_text *text) {
  char room[CO_DATASET_KEY_MAX + 1];
  for (int64_t row = -1; row < s->rows; row++) {
    for (int i = 0; i < s->count; i++) {
      const char *value = s->columns[i].name;
      if (row >= 0)
        CO_RETURN_IF_FAILED(cell(s, &s->columns[i], sample_of(s, row), room, sizeof room, &value));
      co_text_append(text, ",", i > 0);
      put_csv(text, value);
    }
    co_text_append(text, "\n", 1);
  }
  return CO_OK;
}

static bool is_right(const shown_column *c) {
  return !c->key && (!c->view.column || c->view.column->type == CO_COLUMN_NUMBER);
}

static co_status column_width(const showing *s, const shown_column *c, int *width) {
  char room[CO_DATASET_KEY_MAX + 1];
  *width = co_text_width(c->name);
  for (int64_t row = 0; row < s->rows; row++) {
    const char *value;
    CO_RETURN_IF_FAILED(cell(s, c, sample_of(s, row), room, sizeof room, &value));
    int own = co_text_width(value);
    if (own > *width) *width = own;
  }
  if (*width > CELL) *width = CELL;
  return CO_OK;
}

// The key and the columns from `begin` to `end`.
static co_status print_block(const showing *s, co_text *text, const int *widths, int begin,
                             int end) {
  char room[CO_DATASET_KEY_MAX + 1];
  for (int64_t row = -1; row < s->rows; row++) {
    for (int i = 0; i < end; i = i ? i + 1 : begin) {
      const shown_column *c = &s->columns[i];
      const char *value = c->name;
      bool last = i + 1 == end;
      if (row >= 0) CO_RETURN_IF_FAILED(cell(s, c, sample_of(s, row), room, sizeof room, &value));
      if (i) co_text_printf(text, "  ");
      co_text_pad(text, value, last && !is_right(c) ? 0 : widths[i], CELL, is_right(c));
    }
    co_text_append(text, "\n", 1);
  }
  return CO_OK;
}

// As many columns side by side as fit, the rest below, each time behind the key.
static co_status print_table(const showing *s, co_text *text, co_arena *arena) {
  int width = s->options->width ? s->options->width : 100;
  int *widths = co_arena_alloc(arena, (size_t)s->count, sizeof *widths);
  if (!widths) return CO_ERR_MEMORY;
  for (int i = 0; i < s->count; i++)
    CO_RETURN_IF_FAILED(column_width(s, &s->columns[i], &widths[i]));
  for (int begin = 1, end; begin < s->count; begin = end) {
    int used = widths[0] + 2 + widths[begin];
    for (end = begin + 1; end < s->count && used + 2 + widths[end] <= width; end++)
      used += 2 + widths[end];
    co_text_printf(text, "\n");
    CO_RETURN_IF_FAILED(print_block(s, text, widths, begin, end));
  }
  return CO_OK;
}

// ---- JSON --------------------------------------------------------------------------------------

static co_status put_cell(const showing *s, co_json *json, const shown_column *c, int64_t sample) {
  char room[CO_DATASET_KEY_MAX + 1];
  const char *text;
  const co_column *column = c->view.column;
  CO_RETURN_IF_FAILED(cell(s, c, sample, room, sizeof room, &text));
  co_json_key(json, c->name);
  bool number = c->key ? !s->has_key : !column || column->type == CO_COLUMN_NUMBER;
  bool missing = column && !c->view.bytes && isnan(co_view_at(&c->view, sample));
  if (missing)
    co_json_null(json);
  else if (number)
    co_json_raw(json, text);
  else
    co_json_string(json, text);
  return CO_OK;
}

static co_status put_rows(const showing *s, co_json *json) {
  co_json_key(json, "data");
  co_json_open(json, '[');
  for (int64_t row = 0; row < s->rows; row++) {
    co_json_open(json, '{');
    for (int i = 0; i < s->count; i++)
      CO_RETURN_IF_FAILED(put_cell(s, json, &s->columns[i], sample_of(s, row)));
    co_json_close(json);
  }
  co_json_close(json);
  return CO_OK;
}

static co_status check(const cohort_data_show_options *o) {
  if (o->rows < 0 || o->rows > MOST_ROWS)
    return co_fail(CO_ERR_USAGE, "--rows must be from 1 to %d", (int)MOST_ROWS);
  if (!o->rows_of || co_split_parse(o->rows_of) >= 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "there is no split '%s'", o->rows_of);
  co_hint("known: train, validation, test; without one the rows are those of all");
  return status;
}

static co_status show(showing *s, co_arena *arena, cohort_result *result) {
  CO_RETURN_IF_FAILED(choose(s, arena));
  CO_RETURN_IF_FAILED(co_data_report_rows(result, &s->options->data, s->dataset));
  CO_RETURN_IF_FAILED(put_rows(s, &result->json));
  if (!s->options->csv) return print_table(s, &result->text, arena);
  result->text.length = 0; // rows alone
  return print_csv(s, &result->text);
}

cohort_status cohort_data_show(cohort_context *context, const cohort_data_show_options *options,
                               cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_data_source source = {0};
  showing s = {.options = options};
  co_status status = check(options);
  if (status == CO_OK)
    status = co_data_begin(&source, context, &options->data, "data show", &(*out)->errors);
  s.dataset = source.dataset;
  if (status == CO_OK)
    status = options->sheet ? co_data_write_sheet(s.dataset, context->ctx, options, *out)
                            : show(&s, source.arena, *out);
  co_data_end(&source);
  return co_result_finish(*out, "data", status);
}
