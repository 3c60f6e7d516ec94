// SPDX-License-Identifier: Apache-2.0
#include "host/api/column_notes.h"
#include "datasets/view.h"

#include <string.h>

#include "datasets/check.h"
#include "datasets/profile.h"
#include "host/api/data.h"
#include "host/config/config.h"

typedef struct noting {
  co_text *out;
  co_arena *arena;
  co_context *ctx;
  co_dataset *dataset;
  co_findings findings;
} noting;

// ---- what a column holds -----------------------------------------------------------------------

// Comments end with the line: control characters of names become question marks.
static void print_plain(co_text *out, const char *text) {
  for (const char *p = text; *p; p++)
    co_text_append(out, (unsigned char)*p < 0x20 || *p == 0x7F ? "?" : p, 1);
}

static double share(int64_t count, int64_t of) {
  return of ? 100 * (double)count / (double)of : 0;
}

static void note_classes(co_text *out, const co_column *column, const co_profile *profile) {
  enum { SHOWN = 3 };
  for (int i = 0; i < profile->top_count && i < SHOWN; i++) {
    co_text_printf(out, "%s", i ? ", " : ": ");
    print_plain(out, co_class_name(column, profile->top[i].code));
    co_text_printf(out, " %.3g %%", share(profile->top[i].count, profile->rows - profile->missing));
  }
  if (profile->top_count > SHOWN) co_text_printf(out, ", ...");
}

static void note_profile(co_text *out, const co_column *column, const co_profile *profile) {
  co_text_printf(out, "%s", co_column_type_name(column->type));
  if (column->type == CO_COLUMN_CATEGORY)
    co_text_printf(out, " of %lld classes", (long long)column->category_count);
  if (column->type == CO_COLUMN_NUMBER && profile->rows > profile->missing)
    co_text_printf(out, " from %.6g to %.6g, median %.6g", profile->min, profile->max,
                   profile->quantile[3]);
  if (co_column_type_has_names(column->type)) note_classes(out, column, profile);
  if (profile->missing)
    co_text_printf(out, "; %.3g %% missing", share(profile->missing, profile->rows));
}

static co_status note_column(noting *n, const co_column *column) {
  const co_table *table = co_schema_table(co_dataset_schema(n->dataset), column->table);
  bool events = table && table->kind == CO_TABLE_EVENTS;
  co_profile profile;
  co_view view;
  if (!co_view_exists(column)) return CO_OK;
  CO_RETURN_IF_FAILED(co_view_open(&view, n->dataset, column));
  CO_RETURN_IF_FAILED(co_profile_rows(&profile, n->ctx, &view, NULL,
                                      events ? view.rows : co_dataset_rows(n->dataset)));
  co_text_printf(n->out, " # ");
  note_profile(n->out, column, &profile);
  if (events) co_text_printf(n->out, "; of events");
  return CO_OK;
}

// ---- the config --------------------------------------------------------------------------------

static void note_finding(noting *n, const co_column *column) {
  for (int64_t i = 0; i < n->findings.count; i++) {
    const co_finding *f = &n->findings.items[i];
    if (!f->column || strcmp(f->column, column->name) != 0) continue;
    co_text_printf(n->out, "  # better left out? %s: ", f->id);
    print_plain(n->out, f->message);
    co_text_printf(n->out, "\n");
  }
}

// The column that a line "  - name: NAME" is about, NULL if there is none.
static const co_column *column_of(noting *n, const char *line, size_t length) {
  static const char item[] = "  - name: ";
  co_diagnostics ignored;
  co_node *node = NULL;
  if (length < sizeof item || strncmp(line, item, sizeof item - 1) != 0) return NULL;
  co_diagnostics_init(&ignored, n->ctx);
  co_status status = co_yaml_parse(&node, n->arena, "name", line + sizeof item - 1,
                                   length - (sizeof item - 1), &ignored);
  co_diagnostics_free(&ignored);
  if (status != CO_OK) co_error_clear();
  return status == CO_OK && node->kind == CO_NODE_SCALAR
             ? co_schema_find(co_dataset_schema(n->dataset), node->text)
             : NULL;
}

static void note_head(noting *n) {
  const co_schema *schema = co_dataset_schema(n->dataset);
  co_text_printf(n->out, "# Made of %lld rows; `cohort help` explains every key.\n",
                 (long long)co_dataset_rows(n->dataset));
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    if (column->role != CO_ROLE_IGNORE && column->role != CO_ROLE_KEY) continue;
    co_text_printf(n->out, "# no input: ");
    print_plain(n->out, column->name);
    co_text_printf(n->out, " (%s)\n",
                   column->role == CO_ROLE_KEY ? "it names rows" : "left out by the import");
  }
}

static co_status note_line(noting *n, const char *line, size_t length, bool inputs) {
  const co_column *column = inputs ? column_of(n, line, length) : NULL;
  if (column) note_finding(n, column);
  co_text_append(n->out, line, length);
  if (column) CO_RETURN_IF_FAILED(note_column(n, column));
  co_text_append(n->out, "\n", 1);
  return n->out->status;
}

static co_status note_lines(noting *n, const char *yaml) {
  bool inputs = false;
  for (const char *line = yaml; *line;) {
    size_t length = strcspn(line, "\n");
    if (*line != ' ') inputs = strncmp(line, "input_features:", 15) == 0;
    CO_RETURN_IF_FAILED(note_line(n, line, length, inputs));
    line += length + (line[length] == '\n');
  }
  return CO_OK;
}

co_status co_note_columns(co_text *out, co_arena *arena, const char *yaml, co_dataset *dataset,
                          const volatile int *stop) {
  noting n = {.out = out, .arena = arena, .ctx = co_arena_context(arena), .dataset = dataset};
  CO_RETURN_IF_FAILED(co_dataset_check(&n.findings, n.ctx, arena, dataset, stop));
  note_head(&n);
  return note_lines(&n, yaml);
}
