// SPDX-License-Identifier: Apache-2.0
#include "datasets/encode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/date.h"

enum { BLOCK_BYTES = 8 << 20, IMAGES_BYTES = 64 << 20, MOST_IMAGES = 256 };

static double number_of(const char *text) {
  double value = NAN;
  const co_cell cell = {text, text ? strlen(text) : 0};
  if (!text) return NAN;
  bool comma = co_cell_read(&cell, &value) == CO_CELL_COMMA; // a class of a table with such
  return co_cell_read_as(&cell, comma, &value) == CO_CELL_NUMBER ? value : NAN;
}

// Until they are written, images are the names of their files.
static bool is_of_texts(const co_encoded_column *c) {
  return c->column.type == CO_COLUMN_TEXT || c->column.type == CO_COLUMN_IMAGE;
}

// In a block; of texts their place, which becomes a pointer.
static size_t value_bytes(const co_encoded_column *c) {
  return is_of_texts(c) ? sizeof(const char *) : co_dtype_size(c->column.dtype);
}

void co_encode_prepare(co_encoded_column *c) {
  for (int k = 0; k < 2; k++)
    c->class_values[k] = number_of(c->classes[k]);
}

co_status co_encoder_begin(co_encoder *e, co_context *ctx, co_dataset_writer *writer,
                           const char *table, co_encoded_column *columns, int64_t count,
                           int64_t rows) {
  *e = (co_encoder){.ctx = ctx, .writer = writer, .columns = columns, .column_count = count};
  for (int64_t i = 0; i < count; i++) {
    co_encoded_column *c = &columns[i];
    co_text_init(&c->texts, ctx);
    e->row_bytes += value_bytes(c);
    co_encode_prepare(c);
    CO_RETURN_IF_FAILED(
        c->column.type == CO_COLUMN_TEXT
            ? co_dataset_writer_open_texts(writer, table, c->column.name, c->column.role, rows,
                                           &c->id)
            : co_dataset_writer_open_column(writer, table, &c->column, rows, &c->id));
  }
  return CO_OK;
}

// ---- cells -------------------------------------------------------------------------------------

typedef struct place {
  const co_scan *scan;
  const co_row_place *row;
} place;

static co_status no_number(const co_encoded_column *c, const place *at, const co_cell *cell) {
  co_status status = co_scan_wrong(
      at->scan, at->row, c->field, "'%.*s%s' is no number of the range of float32",
      (int)(cell->length < 40 ? cell->length : 40), cell->text, cell->length < 40 ? "" : "…");
  co_cell_hint(cell, c->decimal_comma, "or leave it empty: then it is missing");
  return status;
}

// A text that the column does not know.
static co_status unknown(co_encoded_column *c, const place *at, const co_cell *cell) {
  int length = (int)(cell->length < 40 ? cell->length : 40);
  if (!c->open)
    return co_scan_wrong(at->scan, at->row, c->field, "the file changed while it was read");
  if (!c->unseen++) snprintf(c->first_unseen, sizeof c->first_unseen, "%.*s", length, cell->text);
  return CO_OK;
}

// The class of a binary, NaN if it is none.
static double class_of(const co_encoded_column *c, const co_cell *cell) {
  double value = NAN;
  for (int k = 0; k < 2; k++)
    if (strlen(c->classes[k]) == cell->length && !memcmp(c->classes[k], cell->text, cell->length))
      return k;
  if (isnan(c->class_values[0]) || isnan(c->class_values[1]) ||
      co_cell_read_as(cell, c->decimal_comma, &value) != CO_CELL_NUMBER)
    return NAN;
  return value == c->class_values[0] ? 0 : value == c->class_values[1] ? 1 : NAN;
}

static void store_number(co_encoded_column *c, double value) {
  if (c->column.dtype == CO_F64)
    ((double *)(void *)c->block)[c->filled] = value;
  else
    ((float *)(void *)c->block)[c->filled] = (float)value;
}

static co_status encode_number(co_encoded_column *c, const place *at, const co_cell *cell,
                               bool missing) {
  double value = NAN;
  if (!missing && co_cell_read_as(cell, c->decimal_comma, &value) != CO_CELL_NUMBER)
    return no_number(c, at, cell);
  if (c->column.role == CO_ROLE_WEIGHT && !(value >= 0))
    return co_scan_wrong(at->scan, at->row, c->field, "a weight must be a number of at least 0");
  store_number(c, value);
  return CO_OK;
}

static co_status encode_date(co_encoded_column *c, const place *at, const co_cell *cell,
                             bool missing) {
  double seconds = NAN;
  if (!missing && co_date_read(cell->text, cell->length, c->format, &seconds) != CO_DATE_GOOD) {
    co_status status = co_scan_wrong(at->scan, at->row, c->field, "'%.*s%s' is no date like %s",
                                     (int)(cell->length < 40 ? cell->length : 40), cell->text,
                                     cell->length < 40 ? "" : "…",
                                     c->format ? c->format : "2011-12-31 or 2011-12-31 23:59:59");
    co_hint("correct the cell, or leave it empty: then it is missing");
    return status;
  }
  store_number(c, seconds);
  return CO_OK;
}

static co_status encode_text(co_encoded_column *c, const co_cell *cell, bool missing) {
  ((size_t *)(void *)c->block)[c->filled] = c->texts.length;
  if (!missing) co_text_append(&c->texts, cell->text, cell->length);
  co_text_append(&c->texts, "", 1);
  return c->texts.status;
}

static co_status encode_cell(co_encoded_column *c, const place *at, const co_cell *field) {
  co_cell cell = co_cell_trim(field, c->suffix);
  bool missing = co_cell_is_missing(&cell);
  c->missing += missing;
  if (c->column.type == CO_COLUMN_NUMBER) return encode_number(c, at, &cell, missing);
  if (c->column.type == CO_COLUMN_DATE) return encode_date(c, at, &cell, missing);
  if (is_of_texts(c)) return encode_text(c, &cell, missing);
  if (c->column.type == CO_COLUMN_BINARY) {
    double value = missing ? NAN : class_of(c, &cell);
    store_number(c, value);
    return missing || !isnan(value) ? CO_OK : unknown(c, at, &cell);
  }
  const co_word *word = missing ? NULL : co_dictionary_find(c->words, cell.text, cell.length);
  ((int32_t *)(void *)c->block)[c->filled] = word ? word->code : -1;
  return missing || word ? CO_OK : unknown(c, at, &cell);
}

// ---- blocks ------------------------------------------------------------------------------------

static co_status make_room(co_context *ctx, co_encoded_column *c, int64_t rows) {
  if (c->filled + rows <= c->room) return CO_OK;
  int64_t room = c->filled + rows > 2 * c->room ? c->filled + rows : 2 * c->room;
  unsigned char *grown = co_realloc(ctx, c->block, (size_t)room * value_bytes(c));
  if (!grown) return CO_ERR_MEMORY;
  c->block = grown;
  c->room = room;
  return CO_OK;
}

static co_status encode_column(void *user, const co_scan *scan, const co_scan_block *block,
                               int64_t column, int64_t *row) {
  co_encoder *e = user;
  co_encoded_column *c = &e->columns[column];
  place at = {.scan = scan};
  c->decimal_comma = co_scan_file(scan)->decimal_comma;
  CO_RETURN_IF_FAILED(make_room(e->ctx, c, block->count));
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++, ++*row, c->filled++) {
      at.row = &part->places[i];
      CO_RETURN_IF_FAILED(encode_cell(c, &at, co_block_cell(block, part, i, c->field)));
    }
  }
  return CO_OK;
}

static co_status append_images(co_encoder *e, const co_encoded_column *c, const char *const *name) {
  const int64_t bytes = co_image_recipe_bytes(&c->images.recipe);
  int64_t most = IMAGES_BYTES / bytes + 1;
  if (most > MOST_IMAGES) most = MOST_IMAGES;
  uint8_t *rows = co_alloc(e->ctx, (size_t)(most * bytes));
  co_status status = rows ? CO_OK : CO_ERR_MEMORY;
  for (int64_t at = 0, some; status == CO_OK && at < c->filled; at += some) {
    some = c->filled - at < most ? c->filled - at : most;
    status = co_image_cells_decode(&c->images, e->ctx, name + at, some, rows);
    if (status == CO_OK) status = co_dataset_writer_append(e->writer, c->id, some, rows);
  }
  co_free(e->ctx, rows);
  return status;
}

static co_status append_texts(co_encoder *e, co_encoded_column *c) {
  const char **text = (const char **)(void *)c->block;
  for (int64_t i = 0; i < c->filled; i++)
    text[i] = c->texts.data + ((const size_t *)(void *)c->block)[i];
  c->texts.length = 0;
  return c->column.type == CO_COLUMN_IMAGE
             ? append_images(e, c, text)
             : co_dataset_writer_append_texts(e->writer, c->id, c->filled, text);
}

co_status co_encoder_flush(co_encoder *e) {
  for (int64_t i = 0; i < e->column_count; i++) {
    co_encoded_column *c = &e->columns[i];
    CO_RETURN_IF_FAILED(is_of_texts(c)
                            ? append_texts(e, c)
                            : co_dataset_writer_append(e->writer, c->id, c->filled, c->block));
    c->filled = 0;
  }
  return CO_OK;
}

static bool is_full(const co_encoder *e) {
  size_t bytes = e->column_count ? e->row_bytes * (size_t)e->columns[0].filled : 0;
  for (int64_t i = 0; i < e->column_count; i++)
    bytes += e->columns[i].texts.length;
  return bytes > BLOCK_BYTES;
}

co_status co_encoder_block(co_encoder *e, const co_scan *scan, const co_scan_block *block) {
  CO_RETURN_IF_FAILED(co_scan_columns(scan, block, e->column_count, encode_column, e));
  return is_full(e) ? co_encoder_flush(e) : CO_OK;
}

co_status co_encoder_missing(co_encoder *e) {
  static const co_cell empty = {"", 0};
  const place nowhere = {0};
  for (int64_t i = 0; i < e->column_count; i++) {
    co_encoded_column *c = &e->columns[i];
    CO_RETURN_IF_FAILED(make_room(e->ctx, c, 1));
    CO_RETURN_IF_FAILED(encode_cell(c, &nowhere, &empty));
    c->missing--; // it is no row of the table
    c->filled++;
  }
  return CO_OK;
}

// ---- values ------------------------------------------------------------------------------------

bool co_encoder_takes(const co_encoded_column *c, co_value_kind kind) {
  if (kind == CO_VALUES_NONE) return true;
  switch (c->column.type) {
  case CO_COLUMN_NUMBER:
    return kind == CO_VALUES_NUMBERS;
  case CO_COLUMN_DATE:
    return kind == CO_VALUES_DATES;
  case CO_COLUMN_BINARY:
    return kind == CO_VALUES_NUMBERS || kind == CO_VALUES_WORDS;
  case CO_COLUMN_CATEGORY:
    return kind == CO_VALUES_WORDS;
  default:
    return false;
  }
}

static void take_numbers(co_encoded_column *c, const double *value, int64_t rows) {
  bool binary = c->column.type == CO_COLUMN_BINARY;
  for (int64_t i = 0; i < rows; i++, c->filled++) {
    double v = value[i];
    store_number(c, !binary ? v : v == c->class_values[0] ? 0 : v == c->class_values[1] ? 1 : NAN);
  }
}

// The code or class of each word of the column.
static co_status look_up(co_context *ctx, co_encoded_column *c, const co_dictionary *words) {
  int64_t count = words->count;
  if (!(c->of_word = co_alloc(ctx, ((size_t)count + 1) * sizeof *c->of_word))) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    const co_word *word = &words->words[i];
    const co_cell cell = {word->text, word->length};
    double class_ = c->column.type == CO_COLUMN_BINARY ? class_of(c, &cell) : word->code;
    c->of_word[i] = isnan(class_) ? -1 : (int32_t)class_;
  }
  return CO_OK;
}

static void take_words(co_encoded_column *c, const int32_t *word, int64_t rows) {
  bool binary = c->column.type == CO_COLUMN_BINARY;
  for (int64_t i = 0; i < rows; i++, c->filled++) {
    int32_t code = word[i] < 0 ? -1 : c->of_word[word[i]];
    if (binary)
      store_number(c, code < 0 ? NAN : code);
    else
      ((int32_t *)(void *)c->block)[c->filled] = code;
  }
}

static co_status take_values(co_encoder *e, co_values *values, co_encoded_column *c, int64_t rows,
                             void *at_hand) {
  CO_RETURN_IF_FAILED(make_room(e->ctx, c, rows));
  if (c->column.type == CO_COLUMN_CATEGORY || c->of_word) {
    co_values_words(values, c->field, at_hand);
    take_words(c, at_hand, rows);
  } else {
    co_values_numbers(values, c->field, at_hand);
    take_numbers(c, at_hand, rows);
  }
  return CO_OK;
}

co_status co_encoder_values(co_encoder *e, co_values *values) {
  double *at_hand = NULL;
  int64_t rows, room = 0;
  co_status status;
  for (int64_t i = 0; i < e->column_count; i++) {
    co_encoded_column *c = &e->columns[i];
    if (c->words) CO_TRY(look_up(e->ctx, c, c->words));
  }
  for (;;) {
    CO_TRY(co_values_next(values, &rows));
    if (!rows) break;
    if (rows > room) {
      double *grown = co_realloc(e->ctx, at_hand, (size_t)rows * sizeof *grown);
      if (!grown) status = CO_ERR_MEMORY;
      if (!grown) goto cleanup;
      at_hand = grown;
      room = rows;
    }
    for (int64_t i = 0; i < e->column_count; i++)
      CO_TRY(take_values(e, values, &e->columns[i], rows, at_hand));
    if (is_full(e)) CO_TRY(co_encoder_flush(e));
  }
  status = co_encoder_flush(e);

cleanup:
  co_free(e->ctx, at_hand);
  return status;
}

// ---- parts -------------------------------------------------------------------------------------

co_status co_encode_part(co_context *ctx, co_encoded_column *out, const co_scan *scan,
                         const co_scan_part *part) {
  place at = {.scan = scan};
  out->filled = out->missing = out->unseen = 0;
  out->decimal_comma = part->decimal_comma;
  CO_RETURN_IF_FAILED(make_room(ctx, out, part->rows.count));
  for (int64_t i = 0; i < part->rows.count; i++, out->filled++) {
    at.row = &part->rows.places[i];
    CO_RETURN_IF_FAILED(encode_cell(out, &at, co_part_cell(part, i, out->field)));
  }
  return CO_OK;
}

co_status co_encoder_encoded(co_encoder *e, const co_values *values, int64_t first, int64_t rows) {
  for (int64_t i = 0; i < e->column_count; i++) {
    co_encoded_column *c = &e->columns[i];
    size_t bytes = value_bytes(c);
    CO_RETURN_IF_FAILED(make_room(e->ctx, c, rows));
    memcpy(c->block + (size_t)c->filled * bytes, co_values_encoded(values, first + i),
           (size_t)rows * bytes);
    c->filled += rows;
  }
  return is_full(e) ? co_encoder_flush(e) : CO_OK;
}

void co_encoder_free(co_encoder *e) {
  for (int64_t i = 0; i < e->column_count; i++) {
    co_free(e->ctx, e->columns[i].block);
    e->columns[i].block = NULL;
    e->columns[i].room = e->columns[i].filled = 0;
    co_free(e->ctx, e->columns[i].of_word);
    e->columns[i].of_word = NULL;
    co_text_free(&e->columns[i].texts);
  }
  e->column_count = 0;
}
