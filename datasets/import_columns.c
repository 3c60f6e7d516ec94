// SPDX-License-Identifier: Apache-2.0
#include "datasets/import_columns.h"

#include <string.h>

#include "datasets/format.h"

co_status co_import_check_name(const co_survey *s, const char *name) {
  if (co_dataset_name_ok(name)) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(&s->scan, 0), 0, 0,
                                "'%.200s' cannot be the name of a column: at most %d bytes, no '/'",
                                name, (int)CO_DATASET_NAME_MAX);
  co_hint("rename it, give names by --header NAMES (and --skip-lines 1), or --ignore it");
  return status;
}

static co_image_cells cells_of(const co_survey *s, const co_column_survey *c) {
  return (co_image_cells){.column = c->name,
                          .table = co_scan_shown(&s->scan, 0),
                          .recipe = c->recipe.image,
                          .stop = s->scan.stop,
                          .names = &c->words,
                          .hashes = c->image_hashes};
}

// The size of images that a recipe leaves open is told by their files.
static co_status look_at_images(co_survey *s, co_column_survey *c) {
  const char *const *names;
  CO_RETURN_IF_FAILED(co_dictionary_sort(&c->words, &names));
  c->image_hashes = co_arena_alloc(s->arena, (size_t)c->words.count + 1, sizeof *c->image_hashes);
  if (!c->image_hashes) return CO_ERR_MEMORY;
  co_image_cells cells = cells_of(s, c);
  CO_RETURN_IF_FAILED(co_image_cells_look(&cells, s->ctx, names, c->words.count, c->images));
  c->recipe.image = cells.recipe;
  if (c->missing)
    co_log(s->ctx, CO_LOG_WARN, "import",
           "column '%s': %lld rows have no image; they get a white one", c->shown,
           (long long)c->missing);
  return CO_OK;
}

co_status co_import_plan_column(co_encoded_column *out, co_survey *s, int64_t field,
                                const char *name) {
  static const co_role roles[CO_RECIPE_ROLE_COUNT] = {[CO_RECIPE_INPUT] = CO_ROLE_INPUT,
                                                      [CO_RECIPE_TARGET] = CO_ROLE_TARGET,
                                                      [CO_RECIPE_WEIGHT] = CO_ROLE_WEIGHT};
  co_column_survey *c = &s->columns[field];
  CO_RETURN_IF_FAILED(co_import_check_name(s, name));
  out->column = (co_column){.name = name, .role = roles[c->recipe.role], .dtype = CO_F32};
  out->field = field;
  out->suffix = c->suffix;
  out->decimal_comma = s->decimal_comma;
  out->format = c->recipe.format;
  switch (c->recipe.type) {
  case CO_RECIPE_CATEGORY: {
    const char *const *texts;
    CO_RETURN_IF_FAILED(co_dictionary_sort(&c->words, &texts));
    out->words = &c->words;
    out->column.type = CO_COLUMN_CATEGORY;
    out->column.dtype = CO_I32;
    out->column.categories = texts;
    out->column.category_count = c->words.count;
    return CO_OK;
  }
  case CO_RECIPE_BINARY:
    out->column.type = CO_COLUMN_BINARY;
    out->column.categories = c->classes;
    out->column.category_count = 2;
    out->column.label = c->recipe.label;
    memcpy(out->classes, c->classes, sizeof out->classes);
    if (c->has_words) out->words = &c->words;
    return CO_OK;
  case CO_RECIPE_DATE:
    out->column.type = CO_COLUMN_DATE;
    out->column.dtype = CO_F64;
    return CO_OK;
  case CO_RECIPE_IMAGE: {
    const co_image_recipe *image = &c->recipe.image;
    out->column.type = CO_COLUMN_IMAGE;
    out->column.dtype = CO_U8;
    out->column.shape = (co_shape){3, {image->height, image->width, image->channels}};
    out->images = cells_of(s, c);
    return CO_OK;
  }
  case CO_RECIPE_TEXT:
    out->column.type = CO_COLUMN_TEXT;
    out->column.dtype = CO_U8;
    return CO_OK;
  default:
    out->column.type = CO_COLUMN_NUMBER;
    out->column.label = c->recipe.label;
    out->column.dtype = c->wide ? CO_F64 : CO_F32;
    return CO_OK;
  }
}

co_status co_import_describe(co_recipe *out, co_survey *s) {
  out->rows.delimiter = s->delimiter;
  out->rows.decimal_comma = s->decimal_comma;
  out->column_count = s->column_count;
  out->columns = co_arena_alloc(s->arena, (size_t)s->column_count, sizeof *out->columns);
  if (!out->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->column_count; i++) {
    co_column_survey *c = &s->columns[i];
    if (c->recipe.type == CO_RECIPE_IMAGE && c->recipe.role == CO_RECIPE_INPUT)
      CO_RETURN_IF_FAILED(look_at_images(s, c));
    out->columns[i] = c->recipe;
  }
  return CO_OK;
}

void co_import_print_labels(co_text *out, const co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->column_count; i++) {
    const co_label *label = &recipe->columns[i].label;
    if (label->kind)
      co_text_printf(out, "label %s: %lld %lld\n", co_label_kind_name(label->kind),
                     (long long)label->gap, (long long)label->window);
  }
}
