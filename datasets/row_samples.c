// SPDX-License-Identifier: Apache-2.0
#include "datasets/row_samples.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/date.h"
#include "datasets/moment.h"

static co_status no_column(const char *shown, const char *name, const char *what) {
  return co_fail_at(CO_ERR_DATA, shown, 0, 0, "there is no column '%.200s', %s", name, what);
}

static co_status find(co_joined_field *out, const co_recipe *recipe, const char *const *names,
                      int64_t count, const char *name) {
  const co_recipe_column *known = co_recipe_find(recipe, name);
  *out = (co_joined_field){-1, known ? known->strip_suffix : NULL};
  for (int64_t i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) out->column = i;
  return out->column < 0 ? CO_ERR_DATA : CO_OK;
}

int64_t co_row_samples_dated(const co_recipe *recipe, const char **column) {
  *column = recipe->samples.as_of;
  const char *dot = *column ? strchr(*column, '.') : NULL;
  for (int64_t i = 0; dot && i < recipe->join_count; i++) {
    const char *table = recipe->joins[i].table.table;
    if (strlen(table) != (size_t)(dot - *column) || strncmp(table, *column, strlen(table)) != 0)
      continue;
    *column = dot + 1;
    return i;
  }
  return -1;
}

static co_status begin_label(co_row_samples *s, const char *const *names, int64_t count,
                             int64_t rows, const co_row_samples_files *files) {
  static const co_reject_rule none = {.on_error = CO_ON_ERROR_FAIL};
  const co_recipe_join *label = s->recipe->samples.label;
  co_scan *scan;
  if (!files->exists) return CO_OK;
  s->labelled = true;
  s->exists_path = files->exists;
  s->exists_shown = files->exists_shown ? files->exists_shown : files->exists;
  s->exists_scan = *files->scan;
  co_rejects_init(&s->rejects, s->ctx, &none);
  s->exists_scan.paths = &s->exists_path;
  s->exists_scan.shown = &s->exists_shown;
  s->exists_scan.path_count = 1;
  s->exists_scan.rows = label->table.rows;
  s->exists_scan.skip_lines = NULL;
  s->exists_scan.rejects = &s->rejects;
  s->exists_scan.duplicates = CO_DUPLICATES_KEEP;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, &s->exists_scan));
  co_status status = co_joined_any_keys(&s->exists_keys, s->ctx, &label->table, scan);
  co_scan_close(scan);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(
      co_joined_begin(&s->exists, s->ctx, label, &s->exists_scan, &s->exists_keys, rows));
  for (int64_t i = 0; i < label->table.key_count; i++)
    if (find(&s->exists.on[i], s->recipe, names, count, label->on[i]) != CO_OK)
      return no_column(co_scan_shown(files->scan, 0), label->on[i], "by which the label is found");
  return CO_OK;
}

co_status co_row_samples_begin(co_row_samples *s, co_context *ctx, co_arena *arena,
                               const co_recipe *recipe, const char *const *names, int64_t count,
                               int64_t rows, const co_row_samples_files *files) {
  const char *date, *shown = co_scan_shown(files->scan, 0);
  *s = (co_row_samples){
      .ctx = ctx, .arena = arena, .recipe = recipe, .date.column = -1, .room = rows};
  s->row_entity = co_alloc(ctx, ((size_t)rows + 1) * sizeof *s->row_entity);
  s->row_date = co_alloc(ctx, ((size_t)rows + 1) * sizeof *s->row_date);
  if (!s->row_entity || !s->row_date) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_dictionary_create(&s->entities, ctx));
  if (find(&s->entity, recipe, names, count, recipe->samples.entity) != CO_OK)
    return no_column(shown, recipe->samples.entity, "which names samples' entities");
  if (co_row_samples_dated(recipe, &date) < 0 && date &&
      find(&s->date, recipe, names, count, date) != CO_OK)
    return no_column(shown, date, "which has samples' dates");
  return begin_label(s, names, count, rows, files);
}

void co_row_samples_free(co_row_samples *s) {
  if (!s->ctx) return;
  co_joined_free(&s->exists);
  co_dictionary_free(&s->exists_keys);
  co_dictionary_free(&s->entities);
  if (s->labelled) co_rejects_free(&s->rejects);
  co_free(s->ctx, s->row_entity);
  co_free(s->ctx, s->row_date);
  *s = (co_row_samples){0};
}

// ---- dates -------------------------------------------------------------------------------------

static bool read_date(const co_cell *cell, const char *format, int64_t *out) {
  double seconds;
  if (!format) return co_moment_read(cell, out);
  if (co_date_read(cell->text, cell->length, format, &seconds) != CO_DATE_GOOD) return false;
  *out = (int64_t)seconds;
  return true;
}

static const char *format_of(const co_recipe *table, const char *column) {
  const co_recipe_column *known = co_recipe_find(table, column);
  return known ? known->format : NULL;
}

static co_status take_date(const co_scan *scan, const co_row_place *place, int64_t column,
                           const co_cell *field, const char *suffix, const char *format,
                           int64_t *out) {
  co_cell cell = co_cell_trim(field, suffix);
  if (co_cell_is_missing(&cell))
    return co_scan_wrong(scan, place, column, "the date of a sample is missing");
  if (read_date(&cell, format, out)) return CO_OK;
  co_status status = co_scan_wrong(scan, place, column, "'%.*s' is no date",
                                   (int)(cell.length < 40 ? cell.length : 40), cell.text);
  co_hint("it should be one like %s; import with --type COLUMN=date:%%d/%%m/%%Y reads others",
          format ? format : "2011-12-31");
  return status;
}

static co_status read_dates(co_row_samples *s, co_scan *scan, int64_t column, const char *suffix,
                            const char *format) {
  co_scan_block block = {.count = 1};
  int64_t rows = 0;
  while (block.count) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    for (int64_t k = 0; k < block.part_count; k++) {
      const co_row_part *part = &block.parts[k];
      for (int64_t i = 0; i < part->count && rows < s->dated->keys->count; i++)
        CO_RETURN_IF_FAILED(take_date(scan, &part->places[i], column,
                                      co_block_cell(&block, part, i, column), suffix, format,
                                      &s->date_of[rows++]));
    }
  }
  return rows == s->dated->keys->count ? CO_OK
                                       : co_fail_at(CO_ERR_DATA, co_scan_file(scan)->shown, 0, 0,
                                                    "the file changed while it was read");
}

co_status co_row_samples_dates(co_row_samples *s, const co_scan_options *table,
                               const co_joined *joined) {
  const char *name;
  co_joined_field date;
  co_scan *scan;
  int64_t index = co_row_samples_dated(s->recipe, &name);
  const co_recipe *dated = &s->recipe->joins[index].table;
  s->dated = joined;
  s->date_of = co_arena_alloc(s->arena, (size_t)joined->keys->count + 1, sizeof *s->date_of);
  if (!s->date_of) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, table));
  const co_rows *rows = co_scan_file(scan);
  co_status status = find(&date, dated, rows->names, rows->column_count, name);
  if (status != CO_OK)
    status = no_column(rows->shown, name, "which has samples' dates");
  else
    status = read_dates(s, scan, date.column, date.suffix, format_of(dated, name));
  co_scan_close(scan);
  return status;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status take_row(co_row_samples *s, const co_scan *scan, const co_scan_block *block,
                          const co_row_part *part, int64_t i) {
  const co_row_place *place = &part->places[i];
  int64_t line = place->line ? place->line : place->row;
  co_cell cell = co_cell_trim(co_block_cell(block, part, i, s->entity.column), s->entity.suffix);
  if (co_cell_is_missing(&cell))
    return co_scan_wrong(scan, place, s->entity.column, "the entity of a sample is missing");
  if (s->count == s->room)
    return co_fail_at(CO_ERR_DATA, co_scan_file(scan)->shown, 0, 0,
                      "the file changed while it was read");
  CO_RETURN_IF_FAILED(co_dictionary_take(&s->entities, cell.text, cell.length,
                                         co_dictionary_hash(cell.text, cell.length), 1, line,
                                         &s->row_entity[s->count]));
  if (s->date.column >= 0)
    CO_RETURN_IF_FAILED(take_date(
        scan, place, s->date.column, co_block_cell(block, part, i, s->date.column), s->date.suffix,
        format_of(s->recipe, s->recipe->samples.as_of), &s->row_date[s->count]));
  s->count++;
  return CO_OK;
}

co_status co_row_samples_block(co_row_samples *s, const co_scan *scan, const co_scan_block *block) {
  if (s->labelled) CO_RETURN_IF_FAILED(co_joined_block(&s->exists, scan, block));
  for (int64_t k = 0; k < block->part_count; k++)
    for (int64_t i = 0; i < block->parts[k].count; i++)
      CO_RETURN_IF_FAILED(take_row(s, scan, block, &block->parts[k], i));
  return CO_OK;
}

// ---- writing -----------------------------------------------------------------------------------

static co_status write_label(const co_row_samples *s, co_dataset_writer *writer) {
  static const char *const classes[] = {"no", "yes"};
  const co_column column = {.name = s->recipe->samples.label_name,
                            .type = CO_COLUMN_BINARY,
                            .role = CO_ROLE_TARGET,
                            .dtype = CO_U8,
                            .category_count = 2,
                            .categories = classes};
  uint8_t *values = co_alloc(s->ctx, (size_t)s->count + 1);
  if (!values) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++)
    values[i] = s->exists.row[i] < s->exists_keys.count;
  co_status status = co_dataset_writer_column(writer, NULL, &column, s->count);
  if (status == CO_OK) status = co_dataset_writer_rows(writer, s->count, values);
  co_free(s->ctx, values);
  return status;
}

static co_status check_label(const co_row_samples *s) {
  int64_t positive = s->exists.found.matched;
  if (positive && positive < s->count) return CO_OK;
  return co_fail(CO_ERR_DATA, "the label '%.200s' is %s of all samples",
                 s->recipe->samples.label_name, positive ? "yes" : "no");
}

// Of joined tables the rows are known by now.
static co_status find_dates(co_row_samples *s) {
  for (int64_t i = 0; s->dated && i < s->count; i++) {
    int64_t row = s->dated->row[i];
    if (row == s->dated->keys->count)
      return co_fail(CO_ERR_DATA,
                     "sample %" PRId64 " (from 1) has no date: table '%.200s' has no row for it",
                     i + 1, s->dated->join->table.table);
    s->row_date[i] = s->date_of[row];
  }
  return CO_OK;
}

static co_status write_entities(const co_row_samples *s, co_dataset_writer *writer,
                                const char *const *names) {
  const char *entity = s->recipe->samples.entity;
  return co_dataset_writer_texts(writer, entity, entity, CO_ROLE_KEY, names, s->entities.count);
}

co_status co_row_samples_write(co_row_samples *s, co_dataset_writer *writer, const uint8_t *split,
                               co_import_events_options *events, co_import_events_result *found) {
  const char *entity = s->recipe->samples.entity;
  const char **names = co_arena_alloc(s->arena, (size_t)s->entities.count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->entities.count; i++)
    names[i] = s->entities.words[i].text;
  CO_RETURN_IF_FAILED(find_dates(s));
  if (s->labelled) CO_RETURN_IF_FAILED(check_label(s));
  if (s->labelled) CO_RETURN_IF_FAILED(write_label(s, writer));
  CO_RETURN_IF_FAILED(write_entities(s, writer, names));
  const bool timed = s->recipe->samples.as_of != NULL;
  CO_RETURN_IF_FAILED(co_dataset_writer_samples(writer, entity, s->count, s->row_entity,
                                                timed ? s->row_date : NULL, split));
  if (!events) return CO_OK;
  events->sampling = CO_SAMPLE_ROWS;
  events->into = writer;
  events->entity = entity;
  events->population = names;
  events->population_count = s->entities.count;
  events->row_entity = s->row_entity;
  events->row_date = s->row_date;
  events->row_count = s->count;
  return co_import_events(found, s->ctx, s->arena, events);
}
