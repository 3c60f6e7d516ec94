// SPDX-License-Identifier: Apache-2.0
#include "datasets/recipe.h"

#include <string.h>

#include "datasets/format.h"
#include "host/core/json.h"

static const char *const type_names[CO_RECIPE_TYPE_COUNT] = {"any",  "number", "binary", "category",
                                                             "date", "text",   "id"};
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
  co_text_printf(out, "}%s%s\n", column->note ? "  # " : "", column->note ? column->note : "");
}

co_status co_recipe_print(co_text *out, const co_recipe *recipe) {
  co_text_printf(out, "tables:\n  ");
  print_text(out, recipe->table);
  co_text_printf(out, ":\n");
  if (recipe->file) {
    co_text_printf(out, "    file: ");
    print_text(out, recipe->file);
    co_text_printf(out, "\n");
  }
  if (recipe->rows.delimiter) {
    const char delimiter[] = {recipe->rows.delimiter, '\0'};
    co_text_printf(out, "    delimiter: ");
    print_text(out, delimiter);
    co_text_printf(out, "\n");
  }
  if (recipe->rows.encoding) {
    co_text_printf(out, "    encoding: ");
    print_text(out, recipe->rows.encoding);
    co_text_printf(out, "\n");
  }
  if (recipe->rows.no_quotes) co_text_printf(out, "    quotes: false\n");
  if (recipe->rows.table || recipe->rows.query) {
    co_text_printf(out, recipe->rows.table ? "    source_table: " : "    query: ");
    print_text(out, recipe->rows.table ? recipe->rows.table : recipe->rows.query);
    co_text_printf(out, "\n");
  }
  if (recipe->rows.skip_lines)
    co_text_printf(out, "    skip_lines: %lld\n", (long long)recipe->rows.skip_lines);
  for (int64_t i = 0; i < recipe->rows.pseudonymized_count; i++) {
    co_text_printf(out, i ? ", " : "    pseudonymized: [");
    print_text(out, recipe->rows.pseudonymized[i]);
    if (i + 1 == recipe->rows.pseudonymized_count)
      co_text_printf(out, "]\n    key_check: \"%s\"\n", recipe->rows.key_check);
  }
  for (int64_t i = 0; recipe->rows.header && i < recipe->rows.header_count; i++) {
    co_text_printf(out, i ? ", " : "    header: [");
    print_text(out, recipe->rows.header[i]);
    if (i + 1 == recipe->rows.header_count) co_text_printf(out, "]\n");
  }
  co_text_printf(out, "    columns:%s\n", recipe->column_count ? "" : " {}");
  for (int64_t i = 0; i < recipe->column_count; i++)
    print_column(out, &recipe->columns[i]);
  return out->status;
}

char *co_recipe_table_name(co_arena *arena, const char *path) {
  static const char *const endings[] = {".gz",  ".csv", ".tsv",   ".txt",    ".data",
                                        ".tab", ".db",  ".jsonl", ".ndjson", ".sqlite"};
  bool server = strstr(path, "://") || strcmp(path, "-") == 0;
  const char *file = server ? "table" : co_rows_file(path);
  const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
  size_t length = strlen(name);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t ending = strlen(endings[i]);
    if (length > ending && memcmp(name + length - ending, endings[i], ending) == 0)
      length -= ending;
  }
  char *made = co_arena_strndup(arena, name, length);
  if (!made || co_dataset_name_ok(made)) return made;
  return co_arena_strdup(arena, "table");
}
