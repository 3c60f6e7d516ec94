// SPDX-License-Identifier: Apache-2.0
// Recipes of tables in text from options and schema files.
#include "host/api/table.h"

#include <stdio.h>
#include <string.h>

#include "datasets/date.h"
#include "datasets/postgres.h"
#include "datasets/pseudonym.h"
#include "datasets/spool.h"
#include "host/api/events.h"
#include "host/core/file.h"

co_status co_table_parse_delimiter(char *out, const char *text) {
  bool tab = strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0;
  *out = tab ? '\t' : text[0];
  if (tab || (text[0] && !text[1] && (unsigned char)text[0] < 0x80)) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--delimiter must be one character, or tab");
}

// A dataset, whole or damaged, has NUL bytes soon; a table in text has none, but in gzip or UTF-16.
bool co_table_is_raw(const char *path, const cohort_source_options *options) {
  unsigned char begin[512];
  if (co_postgres_is_url(path) || co_spool_is_needed(path) || co_rows_is_database(path))
    return true;
  FILE *file = co_path_is_directory(path) ? NULL : fopen(path, "rbe");
  if (!file) return false; // whoever opens it says why
  size_t got = fread(begin, 1, sizeof begin, file);
  fclose(file);
  bool gzip = got >= 2 && begin[0] == 0x1f && begin[1] == 0x8b;
  bool wide = got >= 2 && begin[0] + begin[1] == 0xFF + 0xFE && begin[0] >= 0xFE;
  bool hdf5 = got >= 8 && (!memcmp(begin, "\x89HDF\r\n\x1a\n", 8) || !memcmp(begin, "cohort-f", 8));
  return gzip || wide || (options->encoding && !hdf5) || (got && !memchr(begin, 0, got));
}

co_status co_table_refuse_option(const char *option, const char *path) {
  if (path && co_path_is_directory(path)) {
    co_status status =
        co_fail(CO_ERR_USAGE, "%s is for a raw table as --dataset; '%s' is a folder", option, path);
    co_hint("import a folder of images first: cohort import --format images %s -O dataset.h5",
            path);
    return status;
  }
  co_status status =
      co_fail(CO_ERR_USAGE, "%s is for a raw table as --dataset; a dataset.h5 has its own", option);
  co_hint("give --dataset TABLE.csv, or leave %s out", option);
  return status;
}

const char *co_table_source_option(const cohort_source_options *o) {
  return o->encoding              ? "--encoding"
         : o->no_quotes           ? "--no-quotes"
         : o->decimal             ? "--decimal"
         : o->source_table        ? "--source-table"
         : o->query               ? "--query"
         : o->on_error            ? "--on-error"
         : o->max_errors          ? "--max-errors"
         : o->key_file            ? "--key-file"
         : o->pseudonymized_count ? "--pseudonymize"
                                  : NULL;
}

// Columns are named here or by the recipe, which also tells whether the key is the same.
static co_status read_pseudonyms(co_rows_options *out, const cohort_source_options *o,
                                 co_arena *arena) {
  co_pseudonym *pseudonym;
  const char *before = out->key_check;
  if (o->pseudonymized_count && !o->key_file) {
    co_status status = co_fail(CO_ERR_USAGE, "--pseudonymize needs --key-file FILE");
    co_hint("make one: (umask 077; openssl rand -hex 32 >FILE); whoever has it can name customers");
    return status;
  }
  if (!o->key_file) return CO_OK;
  out->pseudonyms_by_recipe = !o->pseudonymized_count;
  if (o->pseudonymized_count) {
    out->pseudonymized = o->pseudonymized;
    out->pseudonymized_count = o->pseudonymized_count;
  }
  if (!out->pseudonymized_count)
    return co_fail(CO_ERR_USAGE, "--key-file needs --pseudonymize COLUMN");
  CO_RETURN_IF_FAILED(co_pseudonym_open(&pseudonym, arena, o->key_file));
  out->pseudonym = pseudonym;
  out->key_check = co_pseudonym_check(pseudonym);
  if (!before || strcmp(before, out->key_check) == 0) return CO_OK;
  return co_fail_at(CO_ERR_USAGE, o->key_file, 0, 0,
                    "not the key that the pseudonyms of the schema were made with");
}

co_status co_table_parse_decimal(bool *comma, const char *text) {
  *comma = strcmp(text, ",") == 0;
  if (*comma || strcmp(text, ".") == 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "'%.40s' is no decimal mark", text);
  co_hint("give --decimal , or --decimal .");
  return status;
}

// One mark for all tables, where it is given.
co_status co_table_share_decimal(co_recipe *recipe, const cohort_source_options *o,
                                 co_arena *arena) {
  if (!o->decimal) return CO_OK;
  for (int64_t i = 0; i < recipe->join_count; i++)
    recipe->joins[i].table.rows.decimal_comma = recipe->rows.decimal_comma;
  if (!recipe->events) return CO_OK;
  co_event_recipe *events = co_arena_alloc(arena, 1, sizeof *events);
  if (!events) return CO_ERR_MEMORY;
  *events = *recipe->events;
  events->decimal_comma = recipe->rows.decimal_comma;
  recipe->events = events;
  return CO_OK;
}

co_status co_table_read_options(co_rows_options *out, const cohort_source_options *o,
                                co_arena *arena) {
  if (o->encoding) out->encoding = o->encoding;
  if (o->no_quotes) out->no_quotes = true;
  if (o->decimal) CO_RETURN_IF_FAILED(co_table_parse_decimal(&out->decimal_comma, o->decimal));
  CO_RETURN_IF_FAILED(read_pseudonyms(out, o, arena));
  if (!o->source_table && !o->query) return CO_OK;
  out->table = o->source_table;
  out->query = o->query;
  return CO_OK;
}

static co_status spool_server(co_table_files *f, int64_t i, cohort_context *context,
                              co_arena *arena, const co_rows_options *rows,
                              const cohort_source_options *o) {
  const co_postgres_read read = {.url = f->paths[i],
                                 .table = rows ? rows->table : o->source_table,
                                 .query = rows ? rows->query : o->query,
                                 .folder = co_temporary_root(o->temporary_folder),
                                 .stop = context->options.stop};
  char *shown = co_postgres_shown(context->ctx, f->paths[i]);
  f->shown[i] = shown ? co_arena_strdup(arena, shown) : NULL;
  co_free(context->ctx, shown);
  if (!f->shown[i]) return CO_ERR_MEMORY;
  return co_postgres_spool(&f->spooled[i], context->ctx, &read);
}

void co_table_files_adapt(co_rows_options *rows, const char *path) {
  if (!path || !co_postgres_is_url(path)) return;
  rows->queried = true;
  rows->delimiter = ',';
  rows->encoding = NULL;
  rows->no_quotes = rows->decimal_comma = false;
  rows->skip_lines = rows->header_count = 0;
  rows->header = NULL;
}

co_status co_table_files_begin(co_table_files *f, cohort_context *context, co_arena *arena,
                               const char *const *paths, const co_rows_options *const *rows,
                               int64_t count, const cohort_source_options *o) {
  size_t room = (size_t)count + 1;
  *f = (co_table_files){.paths = co_arena_alloc(arena, room, sizeof *f->paths),
                        .shown = co_arena_alloc(arena, room, sizeof *f->shown),
                        .spooled = co_arena_alloc(arena, room, sizeof *f->spooled)};
  if (!f->paths || !f->shown || !f->spooled) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    f->paths[i] = f->shown[i] = paths[i];
    f->count++;
    bool server = paths[i] && co_postgres_is_url(paths[i]);
    if (!paths[i] || (!server && !co_spool_is_needed(paths[i]))) continue;
    CO_RETURN_IF_FAILED(server ? spool_server(f, i, context, arena, rows ? rows[i] : NULL, o)
                               : co_spool(&f->spooled[i], context->ctx, paths[i],
                                          co_temporary_root(o->temporary_folder),
                                          context->options.stop));
    f->paths[i] = f->spooled[i].temporary;
    if (strcmp(paths[i], "-") == 0) f->shown[i] = "standard input";
  }
  return CO_OK;
}

void co_table_files_end(co_table_files *f) {
  for (int64_t i = 0; i < f->count; i++)
    co_atomic_abort(&f->spooled[i]);
  f->count = 0;
}

// "COLUMN=TEXT" taken apart at the last '='; a column's name may have one.
static co_status take_pair(const char *option, const char *text, co_arena *arena, char **name,
                           const char **value) {
  const char *equals = strrchr(text, '=');
  if (!equals || equals == text || !equals[1])
    return co_fail(CO_ERR_USAGE, "--%s %.200s: must be COLUMN=VALUE", option, text);
  *name = co_arena_strndup(arena, text, (size_t)(equals - text));
  *value = equals + 1;
  return *name ? CO_OK : CO_ERR_MEMORY;
}

// Whether it is "TABLE.COLUMN" of the log's items.
static bool is_of_items(const co_recipe *recipe, const char *name) {
  const char *items = recipe->items ? recipe->items->joins[0].table.table : NULL;
  return items && strcspn(name, ".") == strlen(items) && name[strlen(items)] &&
         !strncmp(name, items, strlen(items));
}

// "TABLE.COLUMN" of a joined table, else a column of the first.
static co_recipe_column *named_column(co_recipe *recipe, co_arena *arena, const char *name) {
  const char *dot = strchr(name, '.');
  if (is_of_items(recipe, name)) return named_column(recipe->items, arena, name);
  for (int64_t i = 0; dot && i < recipe->join_count; i++) {
    co_recipe *table = &recipe->joins[i].table;
    size_t length = strlen(table->table);
    if (strncmp(name, table->table, length) == 0 && name[length] == '.' && name[length + 1])
      return co_table_column(table, arena, name + length + 1);
  }
  return co_table_column(recipe, arena, name);
}

static co_status add_role(co_recipe *recipe, co_arena *arena, const char *name,
                          co_recipe_role role) {
  co_recipe_column *column = role == CO_RECIPE_IGNORE ? named_column(recipe, arena, name)
                                                      : co_table_column(recipe, arena, name);
  if (!column) return CO_ERR_MEMORY;
  column->role = role;
  return CO_OK;
}

static co_status add_roles(co_recipe *recipe, const cohort_import_csv_options *o, co_arena *arena) {
  for (int64_t i = 0; i < o->target_count; i++)
    CO_RETURN_IF_FAILED(add_role(recipe, arena, o->targets[i], CO_RECIPE_TARGET));
  for (int64_t i = 0; i < o->ignored_count; i++)
    CO_RETURN_IF_FAILED(add_role(recipe, arena, o->ignored[i], CO_RECIPE_IGNORE));
  return o->key ? add_role(recipe, arena, o->key, CO_RECIPE_KEY) : CO_OK;
}

static co_status add_types(co_recipe *recipe, const cohort_import_csv_options *o, co_arena *arena) {
  for (int64_t i = 0; i < o->type_count; i++) {
    char *name = NULL;
    const char *value = NULL;
    CO_RETURN_IF_FAILED(take_pair("type", o->types[i], arena, &name, &value));
    const char *format = strncmp(value, "date:", 5) == 0 ? value + 5 : NULL;
    int type = format ? CO_RECIPE_DATE : co_recipe_type_parse(value);
    if (type < 0) {
      co_status status = co_fail(CO_ERR_USAGE, "--type %.200s: there is no such type", o->types[i]);
      co_hint("known: number, binary, category, date, date:%%d/%%m/%%Y, text, image, id");
      return status;
    }
    co_recipe_column *column = named_column(recipe, arena, name);
    if (!column) return CO_ERR_MEMORY;
    if (format) CO_RETURN_IF_FAILED(co_date_check_format(format));
    column->type = (co_recipe_type)type;
    column->format = format;
  }
  return CO_OK;
}

// Of all columns of images, and how many these are.
static int64_t set_images(const co_recipe *recipe, const co_image_recipe *given, bool fit) {
  int64_t found = recipe->items ? set_images(recipe->items, given, fit) : 0;
  for (int64_t t = -1; t < recipe->join_count; t++) {
    const co_recipe *table = t < 0 ? recipe : &recipe->joins[t].table;
    for (int64_t i = 0; i < table->column_count; i++) {
      co_image_recipe *image = &table->columns[i].image;
      if (table->columns[i].type != CO_RECIPE_IMAGE) continue;
      found++;
      if (given->height) image->height = given->height;
      if (given->height) image->width = given->width;
      if (given->channels) image->channels = given->channels;
      if (fit) image->fit = given->fit;
    }
  }
  return found;
}

static co_status add_image_options(co_recipe *recipe, const cohort_import_csv_options *o) {
  co_image_recipe given;
  if (!o->image_width && !o->image_height && !o->channels && !o->fit) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_image_recipe_make(&given, o->image_width, o->image_height, o->channels, o->fit));
  if (set_images(recipe, &given, o->fit != NULL)) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "no column is one of images");
  co_hint("--type COLUMN=image says which names their files");
  return status;
}

static co_status add_suffixes(co_recipe *recipe, const cohort_import_csv_options *o,
                              co_arena *arena) {
  for (int64_t i = 0; i < o->strip_suffix_count; i++) {
    char *name = NULL;
    const char *value = NULL;
    CO_RETURN_IF_FAILED(take_pair("strip-suffix", o->strip_suffixes[i], arena, &name, &value));
    if (is_of_items(recipe, name)) {
      co_status status =
          co_fail(CO_ERR_USAGE,
                  "--strip-suffix %.200s: events have columns of their items as they "
                  "stand",
                  o->strip_suffixes[i]);
      co_hint("take it off in the table itself");
      return status;
    }
    co_recipe_column *column = named_column(recipe, arena, name);
    if (!column) return CO_ERR_MEMORY;
    column->strip_suffix = value;
  }
  return CO_OK;
}

static co_status add_positive(co_recipe *recipe, const char *positive) {
  int64_t targets = 0;
  for (int64_t i = 0; i < recipe->column_count; i++)
    if (recipe->columns[i].role == CO_RECIPE_TARGET) {
      recipe->columns[i].positive = positive;
      recipe->columns[i].type = CO_RECIPE_BINARY;
      targets++;
    }
  if (targets == 1) return CO_OK;
  co_status status =
      co_fail(CO_ERR_USAGE, "--positive needs one target, not %lld", (long long)targets);
  co_hint("give --target COLUMN; a schema file can say `positive:` for each of several");
  return status;
}

// The names by which a joined table has what the first one is joined by.
static co_status name_pseudonyms(co_rows_options *rows, const co_rows_options *first,
                                 const co_recipe_join *join, co_arena *arena) {
  const char **names = co_arena_alloc(arena, (size_t)first->pseudonymized_count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < first->pseudonymized_count; i++) {
    names[i] = first->pseudonymized[i];
    for (int64_t k = 0; join->to < 0 && k < join->table.key_count; k++)
      if (strcmp(join->on[k], first->pseudonymized[i]) == 0) names[i] = join->table.key[k];
  }
  rows->pseudonymized = names;
  rows->pseudonymized_count = first->pseudonymized_count;
  return CO_OK;
}

// Who names columns to pseudonymize names them of all tables that have them.
co_status co_table_share_pseudonyms(co_recipe *recipe, co_arena *arena) {
  const co_rows_options *first = &recipe->rows;
  for (int64_t i = 0; first->pseudonym && i < recipe->join_count; i++) {
    co_rows_options *rows = &recipe->joins[i].table.rows;
    if (!rows->pseudonymized_count)
      CO_RETURN_IF_FAILED(name_pseudonyms(rows, first, &recipe->joins[i], arena));
    rows->pseudonym = first->pseudonym;
    rows->key_check = first->key_check;
    rows->pseudonyms_by_recipe = true;
  }
  return CO_OK;
}

co_rows_options co_table_log_rows(const co_recipe *recipe) {
  return (co_rows_options){.encoding = recipe->events ? recipe->events->encoding : NULL,
                           .decimal_comma = recipe->events && recipe->events->decimal_comma,
                           .pseudonymized = recipe->rows.pseudonymized,
                           .pseudonymized_count = recipe->rows.pseudonymized_count,
                           .pseudonym = recipe->rows.pseudonym,
                           .key_check = recipe->rows.key_check,
                           .pseudonyms_by_recipe = true};
}

static co_status check_pseudonyms(const co_recipe *recipe) {
  bool lacking = recipe->rows.pseudonymized_count && !recipe->rows.pseudonym;
  for (int64_t i = 0; i < recipe->join_count; i++) {
    const co_rows_options *rows = &recipe->joins[i].table.rows;
    lacking |= rows->pseudonymized_count && !rows->pseudonym;
  }
  if (!lacking) return CO_OK;
  return co_fail(CO_ERR_USAGE, "the schema has pseudonymized columns: --key-file FILE is needed");
}

static co_status add_log(co_recipe *recipe, const cohort_import_events_options *o,
                         co_arena *arena) {
  co_event_recipe *events = co_arena_alloc(arena, 1, sizeof *events);
  if (!events) return CO_ERR_MEMORY;
  if (!o->entity || !o->time) {
    co_status status = co_fail(CO_ERR_USAGE, "events need --entity COL and --time COL");
    co_hint("--entity CustomerID --time InvoiceDate [--item StockCode]");
    return status;
  }
  *events = (co_event_recipe){.entity = o->entity,
                              .time = o->time,
                              .time_format = o->time_format,
                              .encoding = o->source.encoding,
                              .item = o->item,
                              .basket = o->basket,
                              .amount = o->amount,
                              .where = o->where,
                              .columns = o->columns,
                              .column_count = o->column_count,
                              .rfm = !o->no_rfm};
  CO_RETURN_IF_FAILED(co_events_set_session_gap(events, o));
  recipe->events = events;
  recipe->logs = o->files;
  recipe->log_count = o->file_count;
  return CO_OK;
}

// Of cut-offs the import made the rows itself (host/api/import_events.c).
static bool are_of_cutoffs(const cohort_import_csv_options *o) {
  return o->events && o->events->cutoff_count;
}

static co_status add_cutoff_labels(co_recipe *recipe, const cohort_import_events_options *o,
                                   co_arena *arena) {
  const char *const names[CO_LABEL_KIND_COUNT] = {[CO_LABEL_ANY] = o->label,
                                                  [CO_LABEL_COUNT] = o->label_count,
                                                  [CO_LABEL_SUM] = o->label_amount};
  co_label label = {.kind = CO_LABEL_NONE};
  CO_RETURN_IF_FAILED(co_events_duration(&label.gap, "gap", o->gap));
  CO_RETURN_IF_FAILED(co_events_duration(&label.window, "label-window", o->label_window));
  for (int k = CO_LABEL_ANY; k < CO_LABEL_KIND_COUNT; k++) {
    co_recipe_column *column = names[k] ? co_table_column(recipe, arena, names[k]) : NULL;
    if (!column && names[k]) return CO_ERR_MEMORY;
    if (!column) continue;
    label.kind = (co_label_kind)k;
    column->type = k == CO_LABEL_ANY ? CO_RECIPE_BINARY : CO_RECIPE_NUMBER;
    column->role = CO_RECIPE_TARGET;
    column->label = label;
  }
  return CO_OK;
}

// Rows that are samples, and the log they see.
static co_status add_samples(co_recipe *recipe, const cohort_import_csv_options *o,
                             co_arena *arena) {
  if (o->events && !o->as_of) {
    co_status status =
        co_fail(CO_ERR_USAGE, "--samples needs --as-of COL, the column with their dates");
    co_hint("TABLE.COL of a joined table");
    return status;
  }
  if (o->as_of && !o->entity)
    return co_fail(CO_ERR_USAGE, "--as-of needs --entity COL, which says of whom samples are");
  return o->entity ? co_table_set_samples(recipe, arena, o->entity, o->as_of) : CO_OK;
}

// The table of items is read as the log is.
static co_status read_items(co_recipe *recipe, co_arena *arena) {
  if (!recipe->items) return CO_OK;
  co_recipe_join *join = &recipe->items->joins[0];
  const co_rows_options log = co_table_log_rows(recipe);
  return co_events_item_rows(&join->table.rows, &log, join->on[0], join->table.key[0], arena);
}

co_status co_table_recipe(co_recipe *out, const cohort_import_csv_options *o, co_arena *arena,
                          co_diagnostics *problems) {
  *out = (co_recipe){0};
  if (o->schema) CO_RETURN_IF_FAILED(co_table_read_schema(out, o->schema, arena, problems));
  const char *file = o->file_count ? o->files[0] : o->training ? o->training : out->file;
  if (are_of_cutoffs(o)) out->table = CO_EVENTS_SAMPLES;
  if (!out->table && file && !(out->table = co_recipe_table_name(arena, file)))
    return CO_ERR_MEMORY;
  const char *before = out->file;
  if (o->events) CO_RETURN_IF_FAILED(add_log(out, o->events, arena));
  CO_RETURN_IF_FAILED(co_table_read_joins(out, &o->tables, arena));
  if (out->file != before && (o->file_count || o->training))
    return co_fail(CO_ERR_USAGE, "table '%.200s' has a FILE and a --source", out->table);
  if (o->delimiter)
    CO_RETURN_IF_FAILED(co_table_parse_delimiter(&out->rows.delimiter, o->delimiter));
  if (o->skip_line_count) out->rows.skip_lines = o->skip_lines[0];
  if (o->header_count) {
    out->rows.header = o->header;
    out->rows.header_count = o->header_count;
  }
  if (o->where) out->rows.where = o->where;
  CO_RETURN_IF_FAILED(add_samples(out, o, arena));
  CO_RETURN_IF_FAILED(co_table_read_options(&out->rows, &o->source, arena));
  CO_RETURN_IF_FAILED(co_table_share_decimal(out, &o->source, arena));
  if (are_of_cutoffs(o)) out->rows.decimal_comma = false; // their labels have points
  CO_RETURN_IF_FAILED(co_table_share_pseudonyms(out, arena));
  CO_RETURN_IF_FAILED(read_items(out, arena));
  CO_RETURN_IF_FAILED(check_pseudonyms(out));
  CO_RETURN_IF_FAILED(add_roles(out, o, arena));
  if (are_of_cutoffs(o)) CO_RETURN_IF_FAILED(add_cutoff_labels(out, o->events, arena));
  CO_RETURN_IF_FAILED(add_types(out, o, arena));
  CO_RETURN_IF_FAILED(add_image_options(out, o));
  CO_RETURN_IF_FAILED(add_suffixes(out, o, arena));
  return o->positive ? add_positive(out, o->positive) : CO_OK;
}
