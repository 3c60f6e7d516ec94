// SPDX-License-Identifier: Apache-2.0
// A folder of images by a table of their names.
#include <stdlib.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/image_archive.h"
#include "datasets/scan.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"

// One line: the file and its texts, NULL where one is missing.
typedef struct listed {
  const char *path;
  const char **values; // of each attribute
  int8_t split;
} listed;

typedef struct listing {
  co_image_folder *out;
  const char *table;
  co_scan *scan;
  int64_t file, split; // columns; split -1 = there is none
  int64_t *columns;    // of the attributes
  listed *lines;
  int64_t count, capacity;
} listing;

static co_status find_columns(listing *l) {
  const co_rows *rows = co_scan_file(l->scan);
  co_image_folder *f = l->out;
  const int64_t file = co_rows_find(rows, "file");
  l->file = file < 0 ? 0 : file;
  l->split = co_rows_find(rows, "split");
  l->columns = co_arena_alloc(f->arena, (size_t)rows->column_count, sizeof *l->columns);
  f->attributes = co_arena_alloc(f->arena, (size_t)rows->column_count, sizeof *f->attributes);
  if (!l->columns || !f->attributes) return CO_ERR_MEMORY;
  for (int64_t c = 0; c < rows->column_count; c++) {
    if (c == l->file || c == l->split) continue;
    if (strcmp(rows->names[c], "image") == 0)
      return co_fail_at(CO_ERR_DATA, l->table, 1, 0,
                        "a column cannot be called 'image', as the pixels are");
    l->columns[f->attribute_count] = c;
    f->attributes[f->attribute_count++] =
        (co_image_attribute){.name = co_arena_strdup(f->arena, rows->names[c])};
    if (!f->attributes[f->attribute_count - 1].name) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static co_status read_line(listing *l, const co_scan_block *block, const co_row_part *part,
                           int64_t i) {
  co_image_folder *f = l->out;
  co_cell cell = co_cell_trim(co_block_cell(block, part, i, l->file), NULL);
  if (co_cell_is_missing(&cell))
    return co_scan_wrong(l->scan, &part->places[i], l->file, "it names no file");
  CO_RETURN_IF_FAILED(
      co_grow(f->ctx, (void **)&l->lines, &l->capacity, l->count, sizeof *l->lines));
  listed *line = &l->lines[l->count];
  *line = (listed){.path = co_arena_strndup(f->arena, cell.text, cell.length), .split = -1};
  line->values = co_arena_alloc(f->arena, (size_t)f->attribute_count + 1, sizeof *line->values);
  if (!line->path || !line->values) return CO_ERR_MEMORY;
  l->count++;
  for (int64_t a = 0; a < f->attribute_count; a++) {
    cell = co_cell_trim(co_block_cell(block, part, i, l->columns[a]), NULL);
    if (co_cell_is_missing(&cell)) continue;
    if (!(line->values[a] = co_arena_strndup(f->arena, cell.text, cell.length)))
      return CO_ERR_MEMORY;
  }
  if (l->split < 0) return CO_OK;
  cell = co_cell_trim(co_block_cell(block, part, i, l->split), NULL);
  line->split = (int8_t)co_split_of_cell(cell.text, cell.length);
  if (line->split >= 0) return CO_OK;
  return co_scan_wrong(l->scan, &part->places[i], l->split,
                       "'%.*s' is not train, validation or test",
                       (int)(cell.length < 40 ? cell.length : 40), cell.text);
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const listed *)a)->path, ((const listed *)b)->path);
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Classes in the order of bytes, and of each file its class.
static co_status classify(listing *l, int64_t a) {
  co_image_folder *f = l->out;
  co_image_attribute *attribute = &f->attributes[a];
  const char **names = co_arena_alloc(f->arena, (size_t)l->count, sizeof *names);
  int64_t count = 0;
  attribute->codes = co_arena_alloc(f->arena, (size_t)l->count, sizeof *attribute->codes);
  if (!names || !attribute->codes) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < l->count; i++)
    if (l->lines[i].values[a]) names[count++] = l->lines[i].values[a];
  if (!count)
    return co_fail_at(CO_ERR_DATA, l->table, 0, 0, "the column '%.100s' is empty", attribute->name);
  qsort(names, (size_t)count, sizeof *names, by_text);
  for (int64_t i = 0; i < count; i++)
    if (!i || strcmp(names[attribute->class_count - 1], names[i]) != 0)
      names[attribute->class_count++] = names[i];
  attribute->classes = names;
  for (int64_t i = 0; i < l->count; i++) {
    const char *const *value = (const char *const *)&l->lines[i].values[a];
    const char **found =
        *value ? bsearch(value, names, (size_t)attribute->class_count, sizeof *names, by_text)
               : NULL;
    attribute->codes[i] = found ? (int32_t)(found - names) : -1;
  }
  return CO_OK;
}

static co_status take_files(listing *l) {
  co_image_folder *f = l->out;
  qsort(l->lines, (size_t)l->count, sizeof *l->lines, by_path);
  for (int64_t i = 0; i < l->count; i++) {
    if (i && strcmp(l->lines[i - 1].path, l->lines[i].path) == 0)
      return co_fail_at(CO_ERR_DATA, l->table, 0, 0, "it names '%.200s' twice", l->lines[i].path);
    CO_RETURN_IF_FAILED(
        co_grow(f->ctx, (void **)&f->files, &f->capacity, f->count, sizeof *f->files));
    f->files[f->count++] = (co_image_file){.path = l->lines[i].path,
                                           .class_ = -1,
                                           .split = l->lines[i].split,
                                           .length = CO_IMAGE_ABSENT};
    if (l->lines[i].split >= 0) f->splits[l->lines[i].split] = true;
  }
  for (int64_t a = 0; a < f->attribute_count; a++)
    CO_RETURN_IF_FAILED(classify(l, a));
  return CO_OK;
}

static co_status read(listing *l) {
  const co_scan_options options = {.paths = &l->table, .path_count = 1, .rows = {.unhashed = true}};
  co_scan_block block;
  CO_RETURN_IF_FAILED(co_scan_open(&l->scan, l->out->ctx, &options));
  CO_RETURN_IF_FAILED(find_columns(l));
  do {
    CO_RETURN_IF_FAILED(co_scan_next(l->scan, &block));
    for (int64_t k = 0; k < block.part_count; k++)
      for (int64_t i = 0; i < block.parts[k].count; i++)
        CO_RETURN_IF_FAILED(read_line(l, &block, &block.parts[k], i));
  } while (block.count);
  if (!l->count) return co_fail_at(CO_ERR_DATA, l->table, 0, 0, "it names no image");
  return take_files(l);
}

// Where the bytes of the files listed are in the archive.
static co_status find_in_archive(co_image_folder *f, const co_image_folder_options *o) {
  co_image_folder all;
  CO_RETURN_IF_FAILED(co_image_folder_begin(&all, f->ctx, o));
  co_status status = co_image_archive_read(&all, o->path, o->stop);
  for (int64_t i = 0; status == CO_OK && i < f->count; i++) {
    const co_image_file *found = co_image_folder_find(&all, all.count, f->files[i].path);
    if (!found) continue;
    f->files[i].place = found->place;
    f->files[i].length = found->length;
  }
  f->archive = true;
  f->scratch = all.scratch;
  all.scratch.file = -1;
  co_error error;
  co_error_copy(&error);
  co_image_folder_free(&all);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}

co_status co_image_folder_list(co_image_folder *out, co_context *ctx,
                               const co_image_folder_options *o) {
  listing l = {.out = out, .table = o->table};
  co_error error;
  co_status status = co_image_folder_begin(out, ctx, o);
  if (status == CO_OK) status = read(&l);
  if (status == CO_OK && !co_path_is_directory(o->path) && co_image_archive_is(o->path))
    status = find_in_archive(out, o);
  co_error_copy(&error);
  co_scan_close(l.scan);
  co_free(ctx, l.lines);
  if (status == CO_OK) return CO_OK;
  co_image_folder_free(out);
  return co_error_raise(&error);
}
