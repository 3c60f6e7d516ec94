// SPDX-License-Identifier: Apache-2.0
#include "datasets/raw_columns.h"

#include <inttypes.h>
#include <string.h>

co_status co_raw_columns_begin(co_raw_columns *r, co_context *ctx, co_arena *arena,
                               const co_recipe *recipe, int64_t most, const volatile int *stop) {
  *r = (co_raw_columns){.ctx = ctx,
                        .recipe = recipe,
                        .stop = stop,
                        .items = co_arena_alloc(arena, (size_t)most + 1, sizeof *r->items),
                        .words = co_arena_alloc(arena, (size_t)most + 1, sizeof *r->words)};
  return r->items && r->words ? CO_OK : CO_ERR_MEMORY;
}

void co_raw_columns_free(co_raw_columns *r) {
  for (int64_t i = 0; i < r->count; i++)
    co_dictionary_free(&r->words[i]);
  r->count = 0;
}

// The codes of a category are the model's.
static co_status take_categories(co_context *ctx, const co_column *column, co_dictionary *words) {
  CO_RETURN_IF_FAILED(co_dictionary_create(words, ctx));
  for (int64_t i = 0; i < column->category_count; i++) {
    const char *text = column->categories[i];
    CO_RETURN_IF_FAILED(co_dictionary_add(words, text, strlen(text), 1, NULL));
  }
  for (int64_t i = 0; i < words->count; i++)
    words->words[i].code = (int32_t)i;
  return CO_OK;
}

static co_status is_missing(const co_column *column, const char *local, const co_rows *rows) {
  co_status status =
      co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                 "the model's %s '%.200s' is missing%s%.200s%s",
                 column->role == CO_ROLE_TARGET ? "target" : "input", column->name,
                 local == column->name ? "" : ": there is no column '",
                 local == column->name ? "" : local, local == column->name ? "" : "'");
  const char *near = co_nearest(local, rows->names, rows->column_count);
  if (near)
    co_hint("columns are found by their names; is it '%.200s'?", near);
  else
    co_hint("columns are found by their names, in any order");
  return status;
}

// Such a column was not made of a table in text.
static co_status has_none(const co_column *column, const co_rows *rows) {
  return co_fail_at(CO_ERR_DATA, rows->shown, 0, 0,
                    "the model's input '%.200s' is of type %s, which a table in text has not",
                    column->name, co_column_type_name(column->type));
}

static co_status take_images(co_encoded_column *out, const co_column *column, const char *local,
                             const co_rows *rows, const co_recipe_column *recipe,
                             const volatile int *stop) {
  const co_image_recipe *made = &recipe->image;
  const co_shape shape = {3, {made->height, made->width, made->channels}};
  if (!co_shape_equal(&shape, &column->shape) || co_shape_count(&shape) <= 0)
    return co_fail(CO_ERR_MODEL,
                   "the model's recipe makes images of %" PRId64 " x %" PRId64
                   " with %d channels for '%.200s', which is of others",
                   made->width, made->height, made->channels, column->name);
  out->column.shape = shape;
  out->images = (co_image_cells){
      .column = local, .table = rows->shown, .recipe = recipe->image, .stop = stop};
  return CO_OK;
}

co_status co_raw_columns_add(co_raw_columns *r, const co_column *column, const char *local,
                             const co_rows *rows) {
  static const char *const plain[] = {"0", "1"};
  const char *const *classes = column->category_count == 2 ? column->categories : plain;
  int64_t field = co_rows_find(rows, local), i = r->count;
  if (field < 0) return is_missing(column, local, rows);
  co_encoded_column *out = &r->items[r->count++];
  out->column = (co_column){.name = column->name,
                            .type = column->type,
                            .role = column->role == CO_ROLE_TARGET ? CO_ROLE_TARGET : CO_ROLE_INPUT,
                            .dtype = co_column_type_dtype(column->type),
                            .category_count = column->category_count,
                            .categories = column->categories};
  const co_recipe_column *recipe = co_recipe_find(r->recipe, local);
  out->field = field;
  out->suffix = recipe ? recipe->strip_suffix : NULL;
  out->format = recipe ? recipe->format : NULL;
  out->open = true;
  switch (column->type) {
  case CO_COLUMN_CATEGORY:
    out->words = &r->words[i];
    return take_categories(r->ctx, column, &r->words[i]);
  case CO_COLUMN_BINARY:
    memcpy(out->classes, classes, sizeof out->classes);
    return CO_OK;
  case CO_COLUMN_TEXT:
    return CO_OK;
  case CO_COLUMN_IMAGE:
    if (!recipe || recipe->type != CO_RECIPE_IMAGE) return has_none(column, rows);
    return take_images(out, column, local, rows, recipe, r->stop);
  case CO_COLUMN_DATE:
  case CO_COLUMN_NUMBER:
    out->column.dtype = CO_F64; // what is fitted takes differences of numbers as they are written
    return CO_OK;
  default:
    return has_none(column, rows);
  }
}
