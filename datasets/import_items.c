// SPDX-License-Identifier: Apache-2.0
#include "datasets/import_items.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/format.h"
#include "datasets/import_columns.h"

enum { IMAGES_BYTES = 64 << 20 };

// ---- which columns -----------------------------------------------------------------------------

static bool is_taken(const co_import_events_options *o, const char *name) {
  const co_event_recipe *r = &o->recipe;
  bool taken = strcmp(name, r->entity) == 0 || co_event_name_reserved(name);
  for (int k = 0; k < CO_LABEL_KIND_COUNT; k++)
    taken |= o->labels[k] && strcmp(name, o->labels[k]) == 0;
  for (int64_t i = 0; i < r->column_count; i++) {
    const char *colon = strrchr(r->columns[i], ':');
    const size_t length = colon ? (size_t)(colon - r->columns[i]) : strlen(r->columns[i]);
    taken |= strlen(name) == length && strncmp(name, r->columns[i], length) == 0;
  }
  return taken;
}

static co_status check_name(const co_items *items, const co_import_events_options *o,
                            const char *table, const char *name, const char *event_name) {
  bool twice = is_taken(o, event_name);
  for (int64_t i = 0; i < items->column_count; i++)
    twice |= strcmp(items->columns[i].column.name, event_name) == 0;
  if (!twice && co_dataset_name_ok(event_name)) return CO_OK;
  co_status status =
      twice ? co_fail_at(CO_ERR_DATA, co_scan_shown(&items->scan, 0), 0, 0,
                         "column '%.200s': events have another column '%.200s'", name, event_name)
            : co_fail_at(CO_ERR_DATA, co_scan_shown(&items->scan, 0), 0, 0,
                         "'%.200s' cannot be the name of a column: at most %d bytes, no '/'", name,
                         (int)CO_DATASET_NAME_MAX);
  co_hint("rename it, or leave it out by --ignore %.100s.%.100s", table, name);
  return status;
}

// The table's column `name` as one of the events.
static co_status add_column(co_items *items, const co_import_events_options *o, const char *table,
                            const char *name, const char *event_name, bool category,
                            const co_dictionary *words) {
  if (items->column_count + o->recipe.column_count + 4 > CO_EVENT_MAX_VALUES)
    return co_fail(CO_ERR_USAGE, "more than %d columns of events", CO_EVENT_MAX_VALUES - 3);
  if (!event_name)
    event_name = is_taken(o, name) ? co_arena_format(items->arena, "%s.%s", table, name) : name;
  if (!event_name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(check_name(items, o, table, name, event_name));
  items->columns[items->column_count++] =
      (co_item_column){.name = name,
                       .words = words,
                       .column = {.name = event_name,
                                  .type = category ? CO_COLUMN_CATEGORY : CO_COLUMN_NUMBER,
                                  .role = CO_ROLE_INPUT,
                                  .dtype = category ? CO_I32 : CO_F32}};
  return CO_OK;
}

static co_status add_category(co_items *items, const co_import_events_options *o, const char *table,
                              co_column_survey *c) {
  const char *const *texts;
  CO_RETURN_IF_FAILED(co_dictionary_sort(&c->words, &texts));
  CO_RETURN_IF_FAILED(add_column(items, o, table, c->name, NULL, true, &c->words));
  co_column *column = &items->columns[items->column_count - 1].column;
  column->categories = texts;
  column->category_count = c->words.count;
  return CO_OK;
}

static co_status second(const co_items *items, const char *a, const char *b, const char *what) {
  co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(&items->scan, 0), 0, 0,
                                "'%.200s' and '%.200s': an item has one %s", a, b, what);
  co_hint("leave it out by --ignore %.100s.%.100s", items->found.joins[0].table.table, b);
  return status;
}

static co_status take_column(co_items *items, const co_import_events_options *o, co_survey *survey,
                             int64_t i) {
  co_column_survey *c = &survey->columns[i];
  const char *table = items->found.joins[0].table.table;
  switch (c->recipe.type) {
  case CO_RECIPE_IMAGE:
    if (items->picture_name) return second(items, items->picture_name, c->name, "picture");
    items->picture_name = c->name;
    return co_import_plan_column(&items->picture, survey, i, c->name);
  case CO_RECIPE_TEXT:
    if (items->description_name) return second(items, items->description_name, c->name, "text");
    items->description_name = c->name;
    return CO_OK;
  case CO_RECIPE_NUMBER:
    return add_column(items, o, table, c->name, NULL, false, NULL);
  case CO_RECIPE_BINARY:
    return c->has_words ? add_category(items, o, table, c)
                        : add_column(items, o, table, c->name, NULL, false, NULL);
  case CO_RECIPE_CATEGORY:
    return add_category(items, o, table, c);
  default: {
    co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(&items->scan, 0), 0, 0,
                                  "column '%.200s': events have no %s of their items", c->name,
                                  co_recipe_type_name(c->recipe.type));
    co_hint("leave it out by --ignore %.100s.%.100s", table, c->name);
    return status;
  }
  }
}

static co_status name_columns(const co_items *items, co_event_recipe *recipe) {
  const char **names = co_arena_alloc(items->arena, (size_t)items->column_count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < items->column_count; i++) {
    const co_item_column *c = &items->columns[i];
    names[i] = co_arena_format(items->arena, "%s:%s", c->name, co_column_type_name(c->column.type));
    if (!names[i]) return CO_ERR_MEMORY;
  }
  recipe->items = items->found.joins[0].table.table;
  recipe->items_key = items->key;
  recipe->item_columns = names;
  recipe->item_column_count = items->column_count;
  recipe->items_picture = items->picture_name;
  recipe->items_text = items->description_name;
  if (items->picture_name) recipe->items_fit = co_image_fit_name(items->picture.images.recipe.fit);
  return CO_OK;
}

co_status co_items_survey(co_items *items, co_context *ctx, co_arena *arena,
                          const co_import_events_options *o, const co_scan_options *scan,
                          co_event_recipe *recipe) {
  *items = (co_items){.ctx = ctx, .arena = arena, .found = *o->joined};
  co_scan_options begun = *scan;
  begun.duplicates = CO_DUPLICATES_KEEP;
  CO_RETURN_IF_FAILED(co_import_joins_begin(&items->joins, ctx, arena, o->joined, &o->items_path,
                                            &o->items_shown, &begun));
  items->scan = items->joins.items[0].scan;
  items->key = o->joined->joins[0].table.key[0];
  CO_RETURN_IF_FAILED(co_import_joins_survey(&items->joins, &items->found, true));
  co_survey *survey = &items->joins.items[0].survey;
  items->scan = survey->scan;
  memcpy(items->digest, survey->digest, sizeof items->digest);
  items->columns = co_arena_alloc(arena, (size_t)survey->column_count + 1, sizeof *items->columns);
  if (!items->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < survey->column_count; i++)
    if (survey->columns[i].recipe.role == CO_RECIPE_INPUT &&
        strcmp(survey->columns[i].name, items->key) != 0)
      CO_RETURN_IF_FAILED(take_column(items, o, survey, i));
  return name_columns(items, recipe);
}

// The model's column of the recipe's "COL:TYPE"; NULL = it has none.
static const co_column *find_known(const co_import_events_options *o, const char *text) {
  char name[2 * CO_DATASET_NAME_MAX + 2];
  const char *colon = strrchr(text, ':'), *own;
  const size_t length = colon ? (size_t)(colon - text) : strlen(text);
  const int before = snprintf(name, sizeof name, "%s.", o->recipe.items);
  if (before < 0 || (size_t)before + length >= sizeof name) return NULL;
  memcpy(name + before, text, length);
  name[(size_t)before + length] = '\0';
  own = name + before;
  const co_column *known = co_event_find(o->schema, name);
  return known || is_taken(o, own) ? known : co_event_find(o->schema, own);
}

bool co_items_needed(const co_event_recipe *recipe, const co_schema *schema) {
  const co_import_events_options o = {.recipe = *recipe, .schema = schema};
  for (int64_t i = 0; i < recipe->item_column_count; i++)
    if (find_known(&o, recipe->item_columns[i])) return true;
  return false;
}

// A model's categories, by their codes.
static co_status list_words(co_items *items, co_item_column *c, const co_column *known) {
  CO_RETURN_IF_FAILED(co_dictionary_create(&c->own, items->ctx));
  c->column.categories = known->categories;
  c->column.category_count = known->category_count;
  c->words = &c->own;
  for (int64_t i = 0; i < known->category_count; i++) {
    const char *text = known->categories[i];
    CO_RETURN_IF_FAILED(co_dictionary_add(&c->own, text, strlen(text), 0, NULL));
    c->own.words[i].code = (int32_t)i;
  }
  return CO_OK;
}

// What items look like and say, as the model has it of its own.
static co_status begin_members(co_items *items, const co_import_events_options *o) {
  const co_event_recipe *r = &o->recipe;
  const co_column *item = co_event_find(o->schema, "item");
  if (!o->members || !item) return CO_OK;
  if (item->described) items->description_name = r->items_text;
  if (!item->picture.rank || !r->items_picture) return CO_OK;
  co_image_recipe image = {.height = item->picture.dim[0],
                           .width = item->picture.dim[1],
                           .channels = (int)item->picture.dim[2]};
  if (r->items_fit && !co_image_fit_parse(&image.fit, r->items_fit))
    return co_fail(CO_ERR_MODEL, "its recipe of events has no fit of images '%.40s'", r->items_fit);
  items->picture_name = r->items_picture;
  items->picture.column.shape = item->picture;
  items->picture.images = (co_image_cells){.column = r->items_picture,
                                           .table = o->items_path,
                                           .recipe = image,
                                           .stop = items->scan.stop};
  return CO_OK;
}

co_status co_items_begin(co_items *items, co_context *ctx, co_arena *arena,
                         const co_import_events_options *o, const co_scan_options *scan) {
  const co_event_recipe *r = &o->recipe;
  *items = (co_items){
      .ctx = ctx, .arena = arena, .key = r->items_key, .scan = *scan, .of_scoring = true};
  items->scan.paths = &o->items_path;
  items->scan.shown = &o->items_shown;
  items->scan.path_count = 1;
  items->scan.rows = o->item_rows;
  items->columns = co_arena_alloc(arena, (size_t)r->item_column_count + 1, sizeof *items->columns);
  if (!items->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < r->item_column_count; i++) {
    const char *text = r->item_columns[i], *colon = strrchr(text, ':');
    const bool category = colon && strcmp(colon, ":category") == 0;
    char *name = co_arena_strndup(arena, text, colon ? (size_t)(colon - text) : strlen(text));
    if (!name) return CO_ERR_MEMORY;
    const co_column *known = find_known(o, text);
    if (!known) continue; // the model does not use it
    CO_RETURN_IF_FAILED(add_column(items, o, r->items, name, known->name, category, NULL));
    if (category)
      CO_RETURN_IF_FAILED(list_words(items, &items->columns[items->column_count - 1], known));
  }
  return begin_members(items, o);
}

void co_items_free(co_items *items) {
  for (int64_t i = 0; i < items->column_count; i++) {
    co_dictionary_free(&items->columns[i].own);
    co_free(items->ctx, items->columns[i].values);
  }
  co_import_joins_free(&items->joins);
  co_dictionary_free(&items->keys);
  *items = (co_items){0};
}

// ---- reading -----------------------------------------------------------------------------------

// The reading of the table, for the items of a log.
typedef struct reading {
  co_items *items;
  co_scan *scan;
  co_dictionary codes; // of items
  int64_t *row;        // of each, from 1; 0 = not yet
  int64_t key, picture, description;
  int64_t *field; // of each column
} reading;

static int64_t field_of(const reading *r, const char *name) {
  return name ? co_rows_find(co_scan_file(r->scan), name) : -1;
}

static co_status lacks(const reading *r, const char *name) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&r->items->scan, 0), 0, 0,
                    "there is no column '%.200s'", name);
}

static co_status find_field(const reading *r, const char *name, int64_t *out) {
  *out = field_of(r, name);
  return *out >= 0 ? CO_OK : lacks(r, name);
}

// A scoring needs what items look like and say of new ones alone.
static co_status find_member(const reading *r, const char *name, int64_t *out) {
  *out = field_of(r, name);
  return !name || *out >= 0 || r->items->of_scoring ? CO_OK : lacks(r, name);
}

static co_status check_newcomers(const reading *r) {
  const co_items *items = r->items;
  const char *name = items->picture_name && r->picture < 0           ? items->picture_name
                     : items->description_name && r->description < 0 ? items->description_name
                                                                     : NULL;
  if (!name || !items->newcomers) return CO_OK;
  co_status status = lacks(r, name);
  co_hint("the model knows new items, here %" PRId64 ", by this column; it may be empty",
          items->newcomers);
  return status;
}

static co_status take_number(const reading *r, const co_row_place *place, int64_t field,
                             const co_cell *cell, float *out) {
  double value = NAN;
  bool comma = co_scan_file(r->scan)->decimal_comma;
  if (!co_cell_is_missing(cell) && co_cell_read_as(cell, comma, &value) != CO_CELL_NUMBER) {
    co_status status =
        co_scan_wrong(r->scan, place, field, "'%.*s' is no number of the range of float32",
                      (int)(cell->length < 40 ? cell->length : 40), cell->text);
    co_cell_hint(cell, comma, "or leave it empty: then it is missing");
    return status;
  }
  *out = (float)value;
  return CO_OK;
}

static co_status take_text(const reading *r, const co_cell *cell, const char **out) {
  if (co_cell_is_missing(cell)) return CO_OK;
  *out = co_arena_strndup(r->items->arena, cell->text, cell->length);
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static co_cell cell_at(const co_scan_block *block, const co_row_part *part, int64_t row,
                       int64_t field) {
  return co_cell_trim(co_block_cell(block, part, row, field), NULL);
}

static co_status take_row(reading *r, const co_scan_block *block, const co_row_part *part,
                          int64_t i) {
  co_items *items = r->items;
  const co_row_place *place = &part->places[i];
  co_cell cell = cell_at(block, part, i, r->key);
  const co_word *word = co_dictionary_find(&r->codes, cell.text, cell.length);
  if (!word) return CO_OK; // not in the log
  const int64_t code = word - r->codes.words;
  if (r->row[code])
    return co_scan_wrong(r->scan, place, r->key, "'%.100s' stands in row %" PRId64 " already",
                         word->text, r->row[code]);
  r->row[code] = place->row;
  items->listed[code] = true;
  for (int64_t k = 0; k < items->column_count; k++) {
    co_item_column *c = &items->columns[k];
    cell = cell_at(block, part, i, r->field[k]);
    if (c->words) {
      const co_word *known =
          co_cell_is_missing(&cell) ? NULL : co_dictionary_find(c->words, cell.text, cell.length);
      ((int32_t *)c->values)[code] = known ? known->code : -1;
    } else {
      CO_RETURN_IF_FAILED(take_number(r, place, r->field[k], &cell, (float *)c->values + code));
    }
  }
  if (r->picture >= 0) {
    cell = cell_at(block, part, i, r->picture);
    CO_RETURN_IF_FAILED(take_text(r, &cell, &items->pictures[code]));
  }
  if (r->description < 0) return CO_OK;
  cell = cell_at(block, part, i, r->description);
  return take_text(r, &cell, &items->descriptions[code]);
}

// All is missing at first.
static co_status make_room(reading *r, const char *const *names, int64_t count) {
  co_items *items = r->items;
  const size_t room = (size_t)count + 1;
  CO_RETURN_IF_FAILED(co_dictionary_create(&r->codes, items->ctx));
  for (int64_t i = 0; i < count; i++)
    CO_RETURN_IF_FAILED(co_dictionary_add(&r->codes, names[i], strlen(names[i]), 0, NULL));
  r->row = co_alloc_zero(items->ctx, room, sizeof *r->row);
  r->field = co_arena_alloc(items->arena, (size_t)items->column_count + 1, sizeof *r->field);
  items->pictures = co_arena_alloc(items->arena, room, sizeof *items->pictures);
  items->descriptions = co_arena_alloc(items->arena, room, sizeof *items->descriptions);
  items->listed = co_arena_alloc(items->arena, room, sizeof *items->listed);
  if (!r->row || !r->field || !items->pictures || !items->descriptions || !items->listed)
    return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    items->pictures[i] = items->descriptions[i] = "";
  for (int64_t k = 0; k < items->column_count; k++) {
    co_item_column *c = &items->columns[k];
    if (!(c->values = co_alloc(items->ctx, room * co_dtype_size(c->column.dtype))))
      return CO_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++)
      if (c->words)
        ((int32_t *)c->values)[i] = -1;
      else
        ((float *)c->values)[i] = NAN;
  }
  return CO_OK;
}

static co_status read_rows(reading *r) {
  co_items *items = r->items;
  co_scan_block block;
  CO_RETURN_IF_FAILED(co_scan_open(&r->scan, items->ctx, &items->scan));
  CO_RETURN_IF_FAILED(find_field(r, items->key, &r->key));
  CO_RETURN_IF_FAILED(find_member(r, items->picture_name, &r->picture));
  CO_RETURN_IF_FAILED(find_member(r, items->description_name, &r->description));
  for (int64_t k = 0; k < items->column_count; k++)
    CO_RETURN_IF_FAILED(find_field(r, items->columns[k].name, &r->field[k]));
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(r->scan, &block));
    if (!block.count) return CO_OK;
    for (int64_t k = 0; k < block.part_count; k++)
      for (int64_t i = 0; i < block.parts[k].count; i++)
        CO_RETURN_IF_FAILED(take_row(r, &block, &block.parts[k], i));
  }
}

static co_status count_unlisted(const reading *r, const char *const *names, int64_t count) {
  co_items *items = r->items;
  const char *first = NULL;
  for (int64_t i = 0; i < count; i++) {
    items->newcomers += r->row[i] && items->known && i >= items->known;
    if (r->row[i]) continue;
    if (!first) first = names[i];
    items->unlisted++;
  }
  if (!items->unlisted) return CO_OK;
  if (items->unlisted == count) {
    co_status status =
        co_fail_at(CO_ERR_DATA, co_scan_shown(&items->scan, 0), 0, 0,
                   "none of the log's %" PRId64 " items is in column '%.200s', not '%.100s'", count,
                   items->key, first);
    if (items->of_scoring)
      co_hint("that column is to have the items as the log has them");
    else
      co_hint("--join FILE:ITEM=KEY, where the items have another name there");
    return status;
  }
  co_log(items->ctx, CO_LOG_WARN, "import",
         "%" PRId64 " of %" PRId64 " items are not in '%s', such as '%.40s': they lack its columns",
         items->unlisted, count, co_scan_shown(&items->scan, 0), first);
  return CO_OK;
}

static co_status take_keys(co_items *items, co_scan *scan) {
  const int64_t key = co_rows_find(co_scan_file(scan), items->key);
  co_scan_block block;
  if (key < 0) return CO_OK; // which reading tells
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count) return CO_OK;
    for (int64_t k = 0; k < block.part_count; k++)
      for (int64_t i = 0; i < block.parts[k].count; i++) {
        const co_cell cell = cell_at(&block, &block.parts[k], i, key);
        if (co_cell_is_missing(&cell)) continue;
        CO_RETURN_IF_FAILED(co_dictionary_add(&items->keys, cell.text, cell.length, 0, NULL));
      }
  }
}

co_status co_items_read_keys(co_items *items) {
  co_scan *scan = NULL;
  co_status status = co_dictionary_create(&items->keys, items->ctx);
  if (status == CO_OK) status = co_scan_open(&scan, items->ctx, &items->scan);
  if (status == CO_OK) status = take_keys(items, scan);
  co_scan_close(scan);
  return status;
}

co_status co_items_read(co_items *items, const char *const *names, int64_t count) {
  reading r = {.items = items};
  co_status status = make_room(&r, names, count);
  if (status == CO_OK) status = read_rows(&r);
  if (status == CO_OK) status = count_unlisted(&r, names, count);
  if (status == CO_OK) status = check_newcomers(&r);
  co_scan_close(r.scan);
  co_dictionary_free(&r.codes);
  co_free(items->ctx, r.row);
  return status;
}

// ---- writing -----------------------------------------------------------------------------------

static co_status write_pictures(co_items *items, co_dataset_writer *writer, const char *table,
                                const char *column, int64_t count) {
  const co_image_cells *cells = &items->picture.images;
  const int64_t bytes = co_image_recipe_bytes(&cells->recipe);
  int64_t id, most = IMAGES_BYTES / bytes + 1;
  CO_RETURN_IF_FAILED(co_dataset_writer_open_pictures(writer, table, column,
                                                      &items->picture.column.shape, count, &id));
  if (most > count) most = count;
  uint8_t *rows = co_alloc(items->ctx, (size_t)(most * bytes));
  co_status status = rows ? CO_OK : CO_ERR_MEMORY;
  for (int64_t at = 0, some; status == CO_OK && at < count; at += some) {
    some = count - at < most ? count - at : most;
    status = co_image_cells_decode(cells, items->ctx, items->pictures + at, some, rows);
    if (status == CO_OK) status = co_dataset_writer_append(writer, id, some, rows);
  }
  co_free(items->ctx, rows);
  return status;
}

static void print_cell(co_text *out, const char *text, bool last) {
  co_joined_print_cell(out, text, strlen(text), last);
}

static void print_value(co_text *out, const co_item_column *c, int64_t code, bool last) {
  char number[48] = "";
  const float value = c->words ? 0 : ((const float *)c->values)[code];
  const int32_t class_ = c->words ? ((const int32_t *)c->values)[code] : -1;
  if (!c->words && !isnan(value)) (void)snprintf(number, sizeof number, "%.9g", (double)value);
  print_cell(out, class_ < 0 ? number : c->column.categories[class_], last);
}

// As CSV, names first.
static co_status carry(const co_items *items, co_dataset_writer *writer, const char *const *names,
                       int64_t count) {
  const int64_t last = items->column_count - 1;
  co_text text;
  co_text_init(&text, items->ctx);
  print_cell(&text, items->key, false);
  for (int64_t k = 0; k <= last; k++)
    print_cell(&text, items->columns[k].name, k == last);
  for (int64_t i = 0; i < count; i++) {
    print_cell(&text, names[i], false);
    for (int64_t k = 0; k <= last; k++)
      print_value(&text, &items->columns[k], i, k == last);
  }
  co_status status = text.status;
  if (status == CO_OK && text.length > CO_JOINED_MOST_CARRIED) {
    status = co_fail_at(CO_ERR_DATA, co_scan_shown(&items->scan, 0), 0, 0,
                        "the items have %zu MiB of columns; a model takes %d along",
                        text.length >> 20, CO_JOINED_MOST_CARRIED >> 20);
    co_hint("leave columns out by --ignore %.100s.COL", items->found.joins[0].table.table);
  }
  if (status == CO_OK)
    status = co_dataset_writer_carried(writer, items->found.joins[0].table.table, text.data);
  co_text_free(&text);
  return status;
}

co_status co_items_write(co_items *items, co_dataset_writer *writer, const char *table,
                         const char *column, const char *const *names, int64_t count) {
  if (items->picture_name) CO_RETURN_IF_FAILED(write_pictures(items, writer, table, column, count));
  if (items->description_name)
    CO_RETURN_IF_FAILED(
        co_dataset_writer_descriptions(writer, table, column, items->descriptions, count));
  return items->column_count ? carry(items, writer, names, count) : CO_OK;
}

// ---- new items ---------------------------------------------------------------------------------

co_status co_items_append(const co_items *items, const char *const **names, int64_t *count) {
  const char **all =
      co_arena_alloc(items->arena, (size_t)(*count + items->keys.count) + 1, sizeof *all);
  co_dictionary own = {0};
  co_status status = all ? co_dictionary_create(&own, items->ctx) : CO_ERR_MEMORY;
  int64_t found = *count;
  for (int64_t i = 0; status == CO_OK && i < *count; i++) {
    all[i] = (*names)[i];
    status = co_dictionary_add(&own, all[i], strlen(all[i]), 0, NULL);
  }
  for (int64_t i = 0; status == CO_OK && i < items->keys.count; i++) {
    const co_word *word = &items->keys.words[i];
    if (co_dictionary_find(&own, word->text, word->length)) continue;
    all[found] = co_arena_strndup(items->arena, word->text, word->length);
    status = all[found++] ? CO_OK : CO_ERR_MEMORY;
  }
  co_dictionary_free(&own);
  *names = all;
  *count = found;
  return status;
}

// What the columns that the model reads say of the `count` new items of these codes.
static co_status list_values(co_new_classes *out, const co_items *items, const int64_t *code) {
  co_class_values *values =
      co_arena_alloc(items->arena, (size_t)items->column_count + 1, sizeof *values);
  if (!values) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < items->column_count; k++) {
    const co_item_column *c = &items->columns[k];
    const size_t size = co_dtype_size(c->column.dtype);
    char *bytes = co_arena_alloc(items->arena, (size_t)out->count + 1, size);
    if (!bytes) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < out->count; i++)
      memcpy(bytes + (size_t)i * size, (const char *)c->values + (size_t)code[i] * size, size);
    values[k] = (co_class_values){co_arena_strdup(items->arena, c->column.name), bytes};
    if (!values[k].column) return CO_ERR_MEMORY;
  }
  out->values = values;
  out->value_count = items->column_count;
  return CO_OK;
}

co_status co_items_new_classes(co_new_classes *out, int32_t **code, co_items *items,
                               const char *const *names, int64_t count) {
  const co_image_cells *cells = &items->picture.images;
  const size_t room = (size_t)(count - items->known) + 1;
  const char **pictures = co_arena_alloc(items->arena, room, sizeof *pictures);
  const char **texts = co_arena_alloc(items->arena, room, sizeof *texts);
  const char **called = co_arena_alloc(items->arena, room, sizeof *called);
  int64_t *old = co_arena_alloc(items->arena, room, sizeof *old);
  int32_t *codes = *code = co_arena_alloc(items->arena, room, sizeof *codes);
  int64_t found = 0;
  *out = (co_new_classes){.column = NULL};
  if (!pictures || !texts || !called || !old || !codes) return CO_ERR_MEMORY;
  for (int64_t i = items->known; i < count; i++) {
    codes[i - items->known] = items->listed[i] ? (int32_t)(items->known + found) : -1;
    if (!items->listed[i]) continue;
    pictures[found] = items->pictures[i];
    called[found] = names[i];
    old[found] = i;
    texts[found++] = items->descriptions[i];
  }
  if (!found) return CO_OK;
  *out = (co_new_classes){.column = "item", .count = found, .names = called};
  CO_RETURN_IF_FAILED(list_values(out, items, old));
  if (items->description_name) out->descriptions = texts;
  if (!items->picture_name) return CO_OK;
  uint8_t *pixels =
      co_arena_alloc(items->arena, (size_t)found, (size_t)co_image_recipe_bytes(&cells->recipe));
  out->pictures = pixels;
  out->picture_bytes = co_image_recipe_bytes(&cells->recipe);
  return pixels ? co_image_cells_decode(cells, items->ctx, pictures, found, pixels) : CO_ERR_MEMORY;
}
