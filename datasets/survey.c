// SPDX-License-Identifier: Apache-2.0
#include "datasets/survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/core/diagnostics.h"

enum { MOST_PART_BYTES = 64 << 20 };

// ---- rows --------------------------------------------------------------------------------------

static co_column_part *slot_of(const co_survey *s, int slot) {
  return &s->parts[slot * s->column_count];
}

static co_status count_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  co_survey *s = user;
  co_column_part *columns = slot_of(s, slot);
  for (int64_t i = 0; i < s->column_count; i++)
    CO_RETURN_IF_FAILED(co_survey_count(s, i, part, &columns[i]));
  return s->guest ? s->guest->work(s->guest->user, slot, scan, part) : CO_OK;
}

static co_status keep_values(co_survey *s, const co_column_part *columns, int64_t rows) {
  for (int64_t i = 0; i < s->column_count; i++)
    s->kept[i] = (co_column_values){.kind = s->likely[i] ? columns[i].kind : CO_VALUES_UNKNOWN,
                                    .values = columns[i].values,
                                    .wide = columns[i].found.wide || columns[i].found.large.row ||
                                            columns[i].kind == CO_VALUES_DATES,
                                    .word_of = columns[i].word_of,
                                    .word_count = columns[i].words.count};
  return co_values_append(s->values, rows, s->kept);
}

// Of rows that cannot be taken for their keys the first counts.
static co_status check_keys(const co_survey *s, const co_scan *scan, const co_scan_part *part,
                            const co_column_part *columns) {
  int64_t first = part->rows.count, column = -1;
  for (int64_t i = 0; i < s->column_count; i++) {
    if (s->columns[i].recipe.role != CO_RECIPE_KEY) continue;
    int64_t row = co_survey_bad_key(&columns[i]);
    if (row < 0 || row >= first) continue;
    first = row;
    column = i;
  }
  return column < 0 ? CO_OK : co_survey_refuse_key(s, column, scan, part, &columns[column]);
}

static co_status add_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  co_survey *s = user;
  co_column_part *columns = slot_of(s, slot);
  for (int64_t i = 0; i < s->column_count; i++)
    CO_RETURN_IF_FAILED(co_survey_add(s, i, part, &columns[i]));
  CO_RETURN_IF_FAILED(check_keys(s, scan, part, columns));
  if (s->values) CO_RETURN_IF_FAILED(keep_values(s, columns, part->rows.count));
  s->rows += part->rows.count;
  return s->guest ? s->guest->merge(s->guest->user, slot, scan, part) : CO_OK;
}

static co_status read_rows(co_survey *s, co_scan *scan) {
  s->rows = 0;
  if (s->values) CO_RETURN_IF_FAILED(co_values_clear(s->values, s->column_count));
  if (s->guest) CO_RETURN_IF_FAILED(s->guest->begin(s->guest->user, s));
  CO_RETURN_IF_FAILED(co_scan_each(scan, s->slots, count_part, add_part, s));
  s->dropped = co_scan_dropped(scan);
  s->excluded = co_scan_excluded(scan);
  co_scan_digest(scan, s->digest);
  return CO_OK;
}

static co_status count_cells(co_survey *s) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, &s->scan));
  co_status status = read_rows(s, scan);
  co_scan_close(scan);
  return status;
}

// Of a column nothing but what is known of it before its cells are.
static void forget(co_column_survey *c, co_context *ctx, const co_recipe_column *recipe) {
  co_column_survey fresh = {.name = c->name,
                            .shown = c->shown,
                            .suffix = c->suffix,
                            .given = c->given,
                            .recipe = *recipe,
                            .wants_words = c->wants_words || c->lacks_words};
  co_dictionary_free(&c->words);
  co_free(ctx, c->bad);
  *c = fresh;
}

// A column that turned out to be of texts behind its first cells has lost those: it is read again.
static bool forget_incomplete(co_survey *s) {
  bool again = false;
  for (int64_t i = 0; i < s->column_count; i++) {
    co_column_survey *c = &s->columns[i];
    c->lacks_words |= co_survey_is_code(c) && !c->has_words;
    again |= c->lacks_words;
  }
  for (int64_t i = 0; again && i < s->column_count; i++)
    forget(&s->columns[i], s->ctx, &s->columns[i].given);
  return again;
}

// Rows with cells that cannot be of their columns are passed over from now on; *found: there are some.
static co_status reject_rows(co_survey *s, bool *found) {
  *found = false;
  for (int64_t i = 0; i < s->column_count; i++) {
    const co_column_survey *c = &s->columns[i];
    bool of_values = c->recipe.type == CO_RECIPE_NUMBER || c->recipe.type == CO_RECIPE_DATE;
    if (!of_values || c->recipe.role == CO_RECIPE_IGNORE) continue;
    for (int64_t k = 0; k < c->bad_count; k++, *found = true)
      CO_RETURN_IF_FAILED(co_rejects_add(s->rejects, &c->bad[k]));
  }
  co_rejects_settle(s->rejects);
  for (int64_t i = 0; *found && i < s->column_count; i++)
    forget(&s->columns[i], s->ctx, &s->columns[i].given);
  return CO_OK;
}

// ---- the recipe --------------------------------------------------------------------------------

static bool is_key(const co_recipe *recipe, const char *name) {
  for (int64_t i = 0; i < recipe->key_count; i++)
    if (strcmp(recipe->key[i], name) == 0) return true;
  return false;
}

static co_status no_column(const co_rows *rows, const co_recipe *recipe, const char *name) {
  const char *names[256];
  const int64_t count = rows->column_count < 256 ? rows->column_count : 256;
  for (int64_t i = 0; i < count; i++)
    names[i] = rows->names[i];
  const char *near = co_nearest(name, names, count);
  const char *form =
      is_key(recipe, name) ? "; --join FILE:COLUMN=KEY where the key of FILE has another name" : "";
  co_status status = co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                                "there is no column '%.200s'", name);
  if (near)
    co_hint("did you mean '%.200s'?%s", near, form);
  else
    co_hint("its first columns are '%.100s'%s%.100s%s%s", names[0], count > 1 ? " and '" : "",
            count > 1 ? names[1] : "", count > 1 ? "'" : "", form);
  return status;
}

static co_status check_names(const co_rows *rows, const co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->column_count; i++)
    if (co_rows_find(rows, recipe->columns[i].name) < 0)
      return no_column(rows, recipe, recipe->columns[i].name);
  return CO_OK;
}

static co_status begin_column(co_survey *s, co_column_survey *c, const char *name,
                              const co_recipe *recipe) {
  const co_recipe_column *given = co_recipe_find(recipe, name);
  if (!(c->name = co_arena_strdup(s->arena, name))) return CO_ERR_MEMORY;
  c->shown = s->joined ? co_arena_format(s->arena, "%s.%s", s->joined, name) : c->name;
  if (!c->shown) return CO_ERR_MEMORY;
  if (given) c->recipe = *given;
  if (!given && recipe->whole) c->recipe.role = CO_RECIPE_IGNORE;
  c->recipe.name = c->name;
  c->suffix = c->recipe.strip_suffix;
  co_recipe_type type = c->recipe.type;
  c->wants_words = type == CO_RECIPE_CATEGORY || type == CO_RECIPE_ID || type == CO_RECIPE_IMAGE ||
                   c->recipe.role == CO_RECIPE_KEY || c->recipe.reference;
  c->given = c->recipe;
  return CO_OK;
}

// The columns' names, which JSON lines need not be searched for again.
static co_status keep_columns(co_survey *s, const co_rows *rows) {
  const char **names = co_arena_alloc(s->arena, (size_t)rows->column_count, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->column_count; i++)
    names[i] = s->columns[i].name;
  s->scan.rows.keys = names;
  s->scan.rows.key_count = s->column_count;
  return CO_OK;
}

// What the first rows say of the columns tells how to read them; wrong guesses cost another reading.
static co_status look_at_first(co_survey *s, co_scan *scan) {
  co_scan_block block;
  CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
  for (int64_t i = 0; i < s->column_count; i++) {
    co_column_survey *c = &s->columns[i];
    if (block.part_count) {
      const co_scan_part part = {.file = block.file,
                                 .rows = block.parts[0],
                                 .stride = block.stride,
                                 .map = block.map,
                                 .decimal_comma = s->decimal_comma};
      CO_RETURN_IF_FAILED(co_survey_count(s, i, &part, &s->parts[i]));
      CO_RETURN_IF_FAILED(co_survey_add(s, i, &part, &s->parts[i]));
    }
    s->likely[i] = co_survey_is_likely(c);
    c->wants_words |= c->has_words || co_survey_is_code(c);
    forget(c, s->ctx, &c->given);
  }
  return CO_OK;
}

// Beyond some columns the parts of many threads would take much memory.
static co_status make_parts(co_survey *s) {
  size_t bytes = (size_t)s->column_count * sizeof *s->parts;
  size_t most = bytes < MOST_PART_BYTES ? MOST_PART_BYTES / bytes : 1;
  s->slots = co_scan_slots(s->ctx);
  if ((size_t)s->slots > most) s->slots = (int)most;
  s->likely = co_arena_alloc(s->arena, (size_t)s->column_count, sizeof *s->likely);
  s->kept = co_arena_alloc(s->arena, (size_t)s->column_count, sizeof *s->kept);
  s->parts = co_alloc_zero(s->ctx, (size_t)(s->slots * s->column_count), sizeof *s->parts);
  return s->likely && s->kept && s->parts ? CO_OK : CO_ERR_MEMORY;
}

static co_status begin(co_survey *s, const co_recipe *recipe) {
  co_scan *scan;
  co_scan_options options = s->scan;
  options.progress = NULL;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, &options));
  const co_rows *rows = co_scan_file(scan);
  s->column_count = rows->column_count;
  s->delimiter = rows->delimiter;
  s->decimal_comma = rows->decimal_comma;
  s->columns = co_alloc_zero(s->ctx, (size_t)s->column_count, sizeof *s->columns);
  co_status status = s->columns ? check_names(rows, recipe) : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < s->column_count; i++)
    status = begin_column(s, &s->columns[i], rows->names[i], recipe);
  if (status == CO_OK) status = keep_columns(s, rows);
  if (status == CO_OK) status = make_parts(s);
  if (status == CO_OK) status = look_at_first(s, scan);
  co_scan_close(scan);
  return status;
}

static co_status no_rows(const co_survey *s) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&s->scan, 0), 0, 0, "there are no rows");
}

co_status co_survey_run(co_survey *s, co_context *ctx, co_arena *arena, const co_scan_options *scan,
                        const co_recipe *recipe, const co_survey_guest *guest, co_values *values) {
  bool again;
  *s = (co_survey){.ctx = ctx,
                   .arena = arena,
                   .scan = *scan,
                   .rejects = scan->rejects,
                   .joined = recipe->key_count ? recipe->table : NULL,
                   .guest = guest,
                   .values = values};
  CO_RETURN_IF_FAILED(begin(s, recipe));
  do {
    do
      CO_RETURN_IF_FAILED(count_cells(s));
    while (forget_incomplete(s));
    const char *path = co_scan_shown(&s->scan, 0);
    if (!s->rows && !co_rejects_total(s->rejects)) return no_rows(s);
    CO_RETURN_IF_FAILED(co_rejects_check(s->rejects, path, s->rows));
    if (!s->rows) return no_rows(s);
    CO_RETURN_IF_FAILED(co_survey_decide(s));
    CO_RETURN_IF_FAILED(reject_rows(s, &again));
  } while (again);
  return CO_OK;
}

void co_survey_free(co_survey *s) {
  for (int64_t i = 0; i < s->column_count && s->columns; i++) {
    co_dictionary_free(&s->columns[i].words);
    co_free(s->ctx, s->columns[i].bad);
  }
  for (int64_t i = 0; i < s->slots * s->column_count && s->parts; i++)
    co_column_part_free(&s->parts[i], s->ctx);
  if (s->ctx) co_free(s->ctx, s->columns);
  if (s->ctx) co_free(s->ctx, s->parts);
  *s = (co_survey){0};
}
