// SPDX-License-Identifier: Apache-2.0
// cohort_data_profile: what every column holds.
#include "datasets/date.h"
#include "datasets/profile.h"

#include <stdio.h>
#include <string.h>

#include "datasets/view.h"
#include "host/api/data.h"
#include "host/core/text_width.h"

enum { ALL = CO_SPLIT_COUNT, PARTS = CO_SPLIT_COUNT + 1, NAME = 28, TYPE = 8, CELL = 10 };

// A column over the rows of each split, and over all. Of events only those.
typedef struct column_profile {
  const co_column *column;
  bool of_events;
  co_profile part[PARTS];
} column_profile;

typedef struct profiling {
  cohort_context *context;
  co_context *ctx;
  const cohort_data_profile_options *options;
  co_dataset *dataset;
  column_profile *columns;
  int64_t count;
  int shown; // the part that the text shows
} profiling;

static bool has_quantiles(const co_column *column) {
  return column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_DATE;
}

// ---- looking -----------------------------------------------------------------------------------

static bool is_key(const profiling *p, const co_column *column) {
  return column == co_dataset_key_column(p->dataset);
}

static bool is_seen(const profiling *p, const co_column *column) {
  return co_view_exists(column) || is_key(p, column);
}

static co_status profile_part(profiling *p, column_profile *c, const co_view *view, int part) {
  const int64_t *rows = NULL;
  int64_t count = c->of_events ? view->rows : co_dataset_rows(p->dataset);
  if (part != ALL) CO_RETURN_IF_FAILED(co_dataset_split(p->dataset, (co_split)part, &rows, &count));
  if (is_key(p, c->column)) return co_profile_keys(&c->part[part], p->ctx, p->dataset, rows, count);
  return co_profile_rows(&c->part[part], p->ctx, view, rows, count);
}

static co_status profile_column(profiling *p, const co_column *column) {
  co_view view = {0};
  const co_table *table = co_schema_table(co_dataset_schema(p->dataset), column->table);
  column_profile *c = &p->columns[p->count++];
  *c = (column_profile){.column = column, .of_events = table && table->kind == CO_TABLE_EVENTS};
  if (!is_key(p, column)) CO_RETURN_IF_FAILED(co_view_open(&view, p->dataset, column));
  for (int part = c->of_events ? ALL : 0; part < PARTS; part++)
    CO_RETURN_IF_FAILED(profile_part(p, c, &view, part));
  return CO_OK;
}

static co_status profile_columns(profiling *p, co_arena *arena) {
  const co_schema *schema = co_dataset_schema(p->dataset);
  p->columns = co_arena_alloc(arena, (size_t)schema->column_count + 1, sizeof *p->columns);
  if (!p->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < schema->column_count; i++) {
    if (co_watch_stopped(&p->context->watch)) return co_fail(CO_INTERRUPTED, "stopped");
    co_watch_progress(&p->context->watch, "profile", "columns", i, schema->column_count, NULL);
    if (is_seen(p, &schema->columns[i]))
      CO_RETURN_IF_FAILED(profile_column(p, &schema->columns[i]));
  }
  co_watch_progress(&p->context->watch, "profile", "columns", -1, 0, NULL);
  return CO_OK;
}

// ---- JSON --------------------------------------------------------------------------------------

static void put_number(co_json *json, const char *key, double value) {
  co_json_key(json, key);
  co_json_double(json, value);
}

// A value of the column: a number, or a date as text.
static void put_value(co_json *json, const co_column *column, const char *key, double value) {
  char date[32];
  if (column->type != CO_COLUMN_DATE || isnan(value)) {
    put_number(json, key, value);
    return;
  }
  co_date_print(value, date, sizeof date);
  co_json_key(json, key);
  co_json_string(json, date);
}

static void put_quantiles(co_json *json, const co_column *column, const co_profile *part) {
  co_json_key(json, "quantiles_exact");
  co_json_bool(json, part->quantiles_exact);
  co_json_key(json, "quantiles");
  co_json_open(json, '{');
  for (int q = 0; q < CO_PROFILE_QUANTILES; q++) {
    char share[32];
    co_double_print(co_profile_shares[q], share, sizeof share);
    put_value(json, column, share, part->quantile[q]);
  }
  co_json_close(json);
}

static double share_of(const co_profile *part, int64_t count) {
  return (double)count / (double)(part->rows - part->missing);
}

static void put_top(co_json *json, const co_column *column, const co_profile *part) {
  co_json_key(json, "top");
  co_json_open(json, '[');
  for (int i = 0; i < part->top_count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "value");
    co_json_string(json, co_class_name(column, part->top[i].code));
    co_json_key(json, "count");
    co_json_int(json, part->top[i].count);
    put_number(json, "share", share_of(part, part->top[i].count));
    co_json_close(json);
  }
  co_json_close(json);
}

static void put_part(co_json *json, const co_column *column, const co_profile *part) {
  co_json_open(json, '{');
  co_json_key(json, "rows");
  co_json_int(json, part->rows);
  co_json_key(json, "missing");
  co_json_int(json, part->missing);
  if (part->distinct >= 0) {
    co_json_key(json, "distinct");
    co_json_int(json, part->distinct);
    co_json_key(json, "distinct_exact");
    co_json_bool(json, part->distinct_exact);
  }
  if (column->type != CO_COLUMN_CATEGORY && column->type != CO_COLUMN_TEXT) {
    put_value(json, column, "mean", part->mean);
    put_number(json, "sd", part->sd); // of dates in seconds
    put_value(json, column, "min", part->min);
    put_value(json, column, "max", part->max);
  }
  if (has_quantiles(column)) put_quantiles(json, column, part);
  if (co_column_type_has_names(column->type)) put_top(json, column, part);
  co_json_close(json);
}

static void put_column(co_json *json, const column_profile *c) {
  static const char *const names[PARTS] = {"train", "validation", "test", "all"};
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, c->column->name);
  co_json_key(json, "table");
  co_json_string(json, c->column->table);
  co_json_key(json, "type");
  co_json_string(json, co_column_type_name(c->column->type));
  co_json_key(json, "role");
  co_json_string(json, co_role_name(c->column->role));
  for (int part = ALL; part >= (c->of_events ? ALL : 0); part--) {
    co_json_key(json, names[part]);
    put_part(json, c->column, &c->part[part]);
  }
  co_json_close(json);
}

// ---- text --------------------------------------------------------------------------------------

static void print_cell(co_text *text, int width, const char *format, double value) {
  char cell[64];
  if (isnan(value))
    snprintf(cell, sizeof cell, "-");
  else
    snprintf(cell, sizeof cell, format, value);
  co_text_printf(text, "  ");
  co_text_pad(text, cell, width, 0, true);
}

static void print_count(co_text *text, int width, int64_t count, bool exact) {
  char digits[32], cell[40];
  co_data_count(digits, count);
  snprintf(cell, sizeof cell, "%s%s", exact ? "" : "~", digits);
  co_text_printf(text, "  ");
  co_text_pad(text, cell, width, 0, true);
}

static void print_missing(co_text *text, const co_profile *part) {
  double share = part->rows ? 100.0 * (double)part->missing / (double)part->rows : (double)NAN;
  print_cell(text, 7, part->missing ? "%.1f %%" : "%.0f %%", share);
}

// The names' width: that of the longest, within bounds.
static int name_width(const profiling *p) {
  int width = 8;
  for (int64_t i = 0; i < p->count; i++) {
    int own = co_text_width(p->columns[i].column->name);
    if (own > width) width = own;
  }
  return width < NAME ? width : NAME;
}

static void print_name(co_text *text, const profiling *p, const column_profile *c, bool typed) {
  co_text_pad(text, c->column->name, name_width(p), NAME, false);
  if (typed) {
    co_text_printf(text, "  ");
    co_text_pad(text, co_column_type_name(c->column->type), TYPE, 0, false);
  }
}

// "Two year 24.1 %, One year 20.9 %": as many as fit.
static void print_top(co_text *text, const co_column *column, const co_profile *part, int width) {
  enum { MOST = 24 };
  for (int i = 0; i < part->top_count; i++) {
    const char *name = co_class_name(column, part->top[i].code);
    char share[32];
    snprintf(share, sizeof share, " %.1f %%", 100 * share_of(part, part->top[i].count));
    int own = co_text_width(name),
        needed = (own < MOST ? own : MOST) + (int)strlen(share) + 2 * !!i;
    bool last = i + 1 == part->distinct;
    if (i && needed + (last ? 0 : 3) > width) {
      co_text_printf(text, ", …");
      return;
    }
    co_text_printf(text, i ? ", " : "");
    co_text_pad(text, name, 0, MOST, false);
    co_text_printf(text, "%s", share);
    width -= needed;
  }
}

static void print_targets(co_text *text, const profiling *p) {
  bool head = true;
  for (int64_t i = 0; i < p->count; i++) {
    const column_profile *c = &p->columns[i];
    if (c->column->role != CO_ROLE_TARGET) continue;
    bool binary = c->column->type == CO_COLUMN_BINARY, number = c->column->type == CO_COLUMN_NUMBER;
    if (!binary && !number) continue;
    if (head) {
      co_text_printf(text, "\n%-*s  %-24s  %10s  %10s  %10s\n", name_width(p), "target",
                     "rate or mean", "train", "validation", "test");
      head = false;
    }
    print_name(text, p, c, false);
    co_text_printf(text, "  ");
    co_text_pad(text, binary ? co_class_name(c->column, 1) : "mean", 24, 24, false);
    for (int s = 0; s < CO_SPLIT_COUNT; s++)
      print_cell(text, 10, binary ? "%.2f %%" : "%.6g", c->part[s].mean * (binary ? 100 : 1));
    co_text_printf(text, "\n");
  }
}

// Of a date the day.
static void print_of(co_text *text, const co_column *column, double value) {
  char date[32];
  if (column->type != CO_COLUMN_DATE || isnan(value)) {
    print_cell(text, CELL, "%.6g", value);
    return;
  }
  co_date_print(floor(value / 86400) * 86400, date, sizeof date);
  co_text_printf(text, "  ");
  co_text_pad(text, date, CELL, 0, true);
}

static void print_spread(co_text *text, const co_column *column, double sd) {
  if (column->type == CO_COLUMN_DATE)
    print_cell(text, CELL, "%.4g days", sd / 86400);
  else
    print_cell(text, CELL, "%.6g", sd);
}

static void print_numbers(co_text *text, const profiling *p, int width) {
  enum { P05 = 1, MEDIAN = 3, P95 = 5 };
  bool wide = width >= name_width(p) + 20 + 7 * (CELL + 2), head = true;
  for (int64_t i = 0; i < p->count; i++) {
    const column_profile *c = &p->columns[i];
    const co_profile *part = &c->part[c->of_events ? ALL : p->shown];
    if (!has_quantiles(c->column)) continue;
    if (head)
      co_text_printf(text, "\n%-*s  %7s  %9s  %10s  %10s  %10s%s  %10s%s  %10s\n", name_width(p),
                     "number", "missing", "distinct", "mean", "sd", "min",
                     wide ? "         5 %" : "", "median", wide ? "        95 %" : "", "max");
    head = false;
    print_name(text, p, c, false);
    print_missing(text, part);
    print_count(text, 9, part->distinct, part->distinct_exact);
    print_of(text, c->column, part->mean);
    print_spread(text, c->column, part->sd);
    print_of(text, c->column, part->min);
    if (wide) print_of(text, c->column, part->quantile[P05]);
    print_of(text, c->column, part->quantile[MEDIAN]);
    if (wide) print_of(text, c->column, part->quantile[P95]);
    print_of(text, c->column, part->max);
    co_text_printf(text, "\n");
  }
}

static void print_classes(co_text *text, const profiling *p, int width) {
  bool head = true;
  for (int64_t i = 0; i < p->count; i++) {
    const column_profile *c = &p->columns[i];
    const co_profile *part = &c->part[c->of_events ? ALL : p->shown];
    if (!co_column_type_has_names(c->column->type)) continue;
    if (head)
      co_text_printf(text, "\n%-*s  %-8s  %7s  %9s  %s\n", name_width(p), "classes", "type",
                     "missing", "distinct", "most frequent");
    head = false;
    print_name(text, p, c, true);
    print_missing(text, part);
    print_count(text, 9, part->distinct, true);
    co_text_printf(text, "  ");
    print_top(text, c->column, part, width - name_width(p) - TYPE - 24);
    co_text_printf(text, "\n");
  }
}

static void print_others(co_text *text, const profiling *p) {
  bool head = true;
  for (int64_t i = 0; i < p->count; i++) {
    const column_profile *c = &p->columns[i];
    const co_profile *part = &c->part[c->of_events ? ALL : p->shown];
    if (has_quantiles(c->column) || co_column_type_has_names(c->column->type)) continue;
    if (head) co_text_printf(text, "\n%-*s  type\n", name_width(p), "others");
    head = false;
    print_name(text, p, c, true);
    if (c->column->type == CO_COLUMN_TEXT) {
      print_count(text, 0, part->distinct, part->distinct_exact);
      co_text_printf(text, " different");
    } else {
      char shape[96];
      co_shape_print(&c->column->shape, shape, sizeof shape);
      co_text_printf(text, "  %s, mean %.6g, sd %.6g, from %.6g to %.6g", shape, part->mean,
                     part->sd, part->min, part->max);
    }
    co_text_printf(text, "\n");
  }
}

static co_status report(profiling *p, cohort_result *result) {
  int width = p->options->width ? p->options->width : 100;
  co_text *text = &result->text;
  CO_RETURN_IF_FAILED(co_data_report_rows(result, &p->options->data, p->dataset));
  co_json_key(&result->json, "columns");
  co_json_open(&result->json, '[');
  for (int64_t i = 0; i < p->count; i++)
    put_column(&result->json, &p->columns[i]);
  co_json_close(&result->json);
  if (p->shown != ALL)
    co_text_printf(text, "below are those of split %s\n", co_split_name((co_split)p->shown));
  print_targets(text, p);
  print_numbers(text, p, width);
  print_classes(text, p, width);
  print_others(text, p);
  return CO_OK;
}

static co_status choose_split(profiling *p) {
  const char *split = p->options->rows_of;
  p->shown = ALL;
  if (!split) return CO_OK;
  p->shown = co_split_parse(split);
  if (p->shown >= 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "there is no split '%s'", split);
  co_hint("known: train, validation, test; without one all rows count");
  return status;
}

cohort_status cohort_data_profile(cohort_context *context,
                                  const cohort_data_profile_options *options, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_data_source source = {0};
  profiling p = {.context = context, .ctx = context->ctx, .options = options};
  co_status status = choose_split(&p);
  if (status == CO_OK)
    status = co_data_begin(&source, context, &options->data, "data profile", &(*out)->errors);
  p.dataset = source.dataset;
  if (status == CO_OK) status = profile_columns(&p, source.arena);
  if (status == CO_OK) status = report(&p, *out);
  co_data_end(&source);
  return co_result_finish(*out, "data", status);
}
