// SPDX-License-Identifier: Apache-2.0
#include "datasets/recipe.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/format.h"
#include "datasets/import_events.h"
#include "host/core/json.h"

static const char *const type_names[CO_RECIPE_TYPE_COUNT] = {"any",  "number", "binary", "category",
                                                             "date", "text",   "image",  "id"};
static const char *const role_names[CO_RECIPE_ROLE_COUNT] = {"any",    "input", "target", "key",
                                                             "weight", "split", "ignore"};

// The first, "any", is not for writing.
static int parse(const char *const *names, int count, const char *name) {
  for (int i = 1; i < count; i++)
    if (!strcmp(names[i], name)) return i;
  return -1;
}

const char *co_recipe_type_name(co_recipe_type type) {
  return type_names[type];
}

const char *co_recipe_role_name(co_recipe_role role) {
  return role_names[role];
}

int co_recipe_type_parse(const char *name) {
  return parse(type_names, CO_RECIPE_TYPE_COUNT, name);
}

int co_recipe_role_parse(const char *name) {
  return parse(role_names, CO_RECIPE_ROLE_COUNT, name);
}

co_recipe_column *co_recipe_find(const co_recipe *recipe, const char *name) {
  for (int64_t i = 0; i < recipe->column_count; i++)
    if (!strcmp(recipe->columns[i].name, name)) return &recipe->columns[i];
  return NULL;
}

// A JSON string is a YAML string.
static void print_text(co_text *out, const char *text) {
  co_json json;
  co_json_init(&json, out->ctx, 0);
  co_json_string(&json, text);
  if (json.text.status != CO_OK) out->status = json.text.status;
  co_text_append(out, json.text.data ? json.text.data : "", json.text.length);
  co_json_free(&json);
}

// What is not known yet is left out.
static void print_image(co_text *out, const co_image_recipe *r) {
  if (r->height) co_text_printf(out, ", height: %" PRId64 ", width: %" PRId64, r->height, r->width);
  if (r->channels) co_text_printf(out, ", channels: %d", r->channels);
  co_text_printf(out, ", fit: %s", co_image_fit_name(r->fit));
}

static void print_column(co_text *out, const co_recipe_column *column) {
  co_text_printf(out, "      ");
  print_text(out, column->name);
  co_text_printf(out, ": {");
  if (column->type) co_text_printf(out, "type: %s, ", type_names[column->type]);
  co_text_printf(out, "role: %s", role_names[column->role ? column->role : CO_RECIPE_INPUT]);
  if (column->positive) {
    co_text_printf(out, ", positive: ");
    print_text(out, column->positive);
  }
  if (column->format) {
    co_text_printf(out, ", format: ");
    print_text(out, column->format);
  }
  if (column->strip_suffix) {
    co_text_printf(out, ", strip_suffix: ");
    print_text(out, column->strip_suffix);
  }
  if (column->type == CO_RECIPE_IMAGE) print_image(out, &column->image);
  co_text_printf(out, "}%s%s\n", column->note ? "  # " : "", column->note ? column->note : "");
}

static void print_value(co_text *out, const char *key, const char *text) {
  if (!text) return;
  co_text_printf(out, "    %s: ", key);
  print_text(out, text);
  co_text_printf(out, "\n");
}

static void print_texts(co_text *out, const char *const *texts, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    co_text_printf(out, i ? ", " : "[");
    print_text(out, texts[i]);
  }
  co_text_printf(out, "]");
}

static void print_list(co_text *out, const char *key, const char *const *texts, int64_t count) {
  if (!count) return;
  co_text_printf(out, "    %s: ", key);
  print_texts(out, texts, count);
  co_text_printf(out, "\n");
}

static void print_table(co_text *out, const co_recipe *recipe) {
  const co_rows_options *rows = &recipe->rows;
  const char delimiter[] = {rows->delimiter, '\0'};
  co_text_printf(out, "  ");
  print_text(out, recipe->table);
  co_text_printf(out, ":\n");
  print_value(out, "file", recipe->file);
  print_value(out, "delimiter", rows->delimiter ? delimiter : NULL);
  print_value(out, "encoding", rows->encoding);
  if (rows->no_quotes) co_text_printf(out, "    quotes: false\n");
  print_value(out, "decimal", rows->decimal_comma ? "," : NULL);
  print_value(out, "source_table", rows->table);
  print_value(out, "query", rows->table ? NULL : rows->query);
  print_value(out, "where", rows->where);
  print_value(out, "time", recipe->time);
  if (rows->skip_lines) co_text_printf(out, "    skip_lines: %lld\n", (long long)rows->skip_lines);
  print_list(out, "pseudonymized", rows->pseudonymized, rows->pseudonymized_count);
  if (rows->pseudonymized_count) print_value(out, "key_check", rows->key_check);
  print_list(out, "header", rows->header, rows->header ? rows->header_count : 0);
  if (recipe->key_count > 1) print_list(out, "key", recipe->key, recipe->key_count);
  if (recipe->carry) co_text_printf(out, "    carry: true\n");
  co_text_printf(out, "    columns:%s\n", recipe->column_count ? "" : " {}");
  for (int64_t i = 0; i < recipe->column_count; i++)
    print_column(out, &recipe->columns[i]);
}

static void print_join(co_text *out, const co_recipe *recipe, int64_t index) {
  const co_recipe_join *join = &recipe->joins[index];
  co_text_printf(out, "  - {table: ");
  print_text(out, join->table.table);
  co_text_printf(out, ", to: ");
  print_text(out, co_recipe_parent(recipe, index)->table);
  co_text_printf(out, ", on: ");
  if (join->table.key_count > 1)
    print_texts(out, join->on, join->table.key_count);
  else
    print_text(out, join->on[0]);
  co_text_printf(out, ", kind: %s}\n", join->one_to_one ? "one_to_one" : "many_to_one");
}

static void print_samples(co_text *out, const co_recipe *recipe) {
  const co_recipe_samples *s = &recipe->samples;
  co_text_printf(out, "samples: {from: ");
  print_text(out, recipe->table);
  co_text_printf(out, ", entity: ");
  print_text(out, s->entity);
  if (s->as_of) co_text_printf(out, ", as_of: ");
  if (s->as_of) print_text(out, s->as_of);
  if (s->label_name) {
    co_text_printf(out, ", label: {name: ");
    print_text(out, s->label_name);
    co_text_printf(out, ", exists_in: ");
    print_text(out, s->label->table.table);
    co_text_printf(out, ", on: ");
    print_texts(out, s->label->on, s->label->table.key_count);
    co_text_printf(out, "}");
  }
  co_text_printf(out, "}\n");
}

// "  key: "text"", or with "  -" an item of a list.
static void print_line(co_text *out, const char *key, const char *text) {
  if (!text) return;
  co_text_printf(out, "  %s%s ", key, strchr(key, '-') ? "" : ":");
  print_text(out, text);
  co_text_printf(out, "\n");
}

co_status co_event_recipe_print(co_text *out, const co_event_recipe *r) {
  co_text_printf(out, "events:\n");
  print_line(out, "entity", r->entity);
  print_line(out, "time", r->time);
  print_line(out, "time_format", r->time_format);
  print_line(out, "encoding", r->encoding);
  print_line(out, "decimal", r->decimal_comma ? "," : NULL);
  print_line(out, "item", r->item);
  print_line(out, "basket", r->basket);
  if (r->session_gap) co_text_printf(out, "  session_gap: %" PRId64 "\n", r->session_gap);
  print_line(out, "amount", r->amount);
  print_line(out, "where", r->where);
  if (r->column_count) co_text_printf(out, "  columns:\n");
  for (int64_t i = 0; i < r->column_count; i++)
    print_line(out, "  -", r->columns[i]);
  print_line(out, "items", r->items);
  print_line(out, "items_key", r->items_key);
  if (r->item_column_count) co_text_printf(out, "  item_columns:\n");
  for (int64_t i = 0; i < r->item_column_count; i++)
    print_line(out, "  -", r->item_columns[i]);
  print_line(out, "items_picture", r->items_picture);
  print_line(out, "items_fit", r->items_fit);
  print_line(out, "items_text", r->items_text);
  co_text_printf(out, "  rfm: %s\n", r->rfm ? "true" : "false");
  return out->status;
}

co_status co_recipe_print(co_text *out, const co_recipe *recipe) {
  co_text_printf(out, "tables:\n");
  print_table(out, recipe);
  for (int64_t i = 0; i < recipe->join_count; i++)
    print_table(out, &recipe->joins[i].table);
  if (recipe->samples.label) print_table(out, &recipe->samples.label->table);
  if (recipe->join_count) co_text_printf(out, "joins:\n");
  for (int64_t i = 0; i < recipe->join_count; i++)
    print_join(out, recipe, i);
  if (recipe->samples.entity) print_samples(out, recipe);
  if (!recipe->events) return out->status;
  CO_RETURN_IF_FAILED(co_event_recipe_print(out, recipe->events));
  if (recipe->log_count) {
    co_text_printf(out, "  file: ");
    if (recipe->log_count > 1)
      print_texts(out, recipe->logs, recipe->log_count);
    else
      print_text(out, recipe->logs[0]);
    co_text_printf(out, "\n");
  }
  if (recipe->items && recipe->items->joins[0].table.file) {
    co_text_printf(out, "  items_file: ");
    print_text(out, recipe->items->joins[0].table.file);
    co_text_printf(out, "\n");
  }
  return out->status;
}

const co_recipe *co_recipe_parent(const co_recipe *recipe, int64_t join) {
  int64_t to = recipe->joins[join].to;
  return to < 0 ? recipe : &recipe->joins[to].table;
}

bool co_recipe_leads_on(const co_recipe *recipe, int64_t join) {
  for (int64_t i = join + 1; i < recipe->join_count; i++)
    if (recipe->joins[i].to == join) return true;
  return false;
}

// Whether the dataset has the table's column of that name.
static bool is_stored(const co_recipe *recipe, const char *name) {
  const co_recipe_column *column = co_recipe_find(recipe, name);
  if (!column) return false;
  if (recipe->key_count) return column->role == CO_RECIPE_INPUT;
  return column->role != CO_RECIPE_IGNORE && column->role != CO_RECIPE_SPLIT;
}

const char *co_recipe_joined_name(const co_recipe *recipe, co_arena *arena, int64_t join,
                                  const char *name) {
  bool taken = is_stored(recipe, name);
  for (int64_t i = 0; i < join && !taken; i++)
    taken = is_stored(&recipe->joins[i].table, name);
  return taken ? co_arena_format(arena, "%s.%s", recipe->joins[join].table.table, name) : name;
}

co_status co_recipe_locate(const co_recipe *recipe, co_arena *arena, const char *name,
                           int64_t *join, const char **local) {
  *join = -1;
  *local = name;
  for (int64_t i = 0; i < recipe->join_count; i++) {
    const co_recipe *table = &recipe->joins[i].table;
    for (int64_t k = 0; k < table->column_count; k++) {
      if (table->columns[k].role != CO_RECIPE_INPUT) continue;
      const char *full = co_recipe_joined_name(recipe, arena, i, table->columns[k].name);
      if (!full) return CO_ERR_MEMORY;
      if (strcmp(full, name) != 0) continue;
      *join = i;
      *local = table->columns[k].name;
      return CO_OK;
    }
  }
  return CO_OK;
}

bool co_recipe_has_images(const co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->column_count; i++)
    if (recipe->columns[i].type == CO_RECIPE_IMAGE) return true;
  return false;
}

char *co_recipe_table_name(co_arena *arena, const char *path) {
  static const char *const endings[] = {".gz",  ".csv", ".tsv",   ".txt",    ".data",
                                        ".tab", ".db",  ".jsonl", ".ndjson", ".sqlite"};
  bool server = strstr(path, "://") || strcmp(path, "-") == 0;
  const char *file = server ? "table" : co_rows_file(path);
  const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
  char *made = co_arena_strdup(arena, name);
  for (size_t i = 0; made && i < sizeof endings / sizeof *endings; i++) {
    const size_t length = strlen(made), ending = strlen(endings[i]);
    if (length > ending && co_text_ends_in(made, endings[i])) made[length - ending] = '\0';
  }
  if (!made || co_dataset_name_ok(made)) return made;
  return co_arena_strdup(arena, "table");
}
