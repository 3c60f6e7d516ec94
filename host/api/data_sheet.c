// SPDX-License-Identifier: Apache-2.0
// A contact sheet: images of a dataset side by side, as one PNG file.
#include <string.h>

#include "datasets/image.h"
#include "host/api/data.h"
#include "host/core/output.h"

enum { GAP = 2, GROUND = 128, DEFAULT_IMAGES = 100, MOST_BYTES = 1 << 28 };

typedef struct sheet {
  co_context *ctx;
  co_dataset *dataset;
  const co_column *column;
  int64_t *samples, count, columns;
  uint8_t *pixels; // of the images
  co_image image;  // the sheet
} sheet;

static co_status find_column(sheet *s) {
  const co_schema *schema = co_dataset_schema(s->dataset);
  for (int64_t i = 0; i < schema->column_count && !s->column; i++)
    if (schema->columns[i].type == CO_COLUMN_IMAGE && schema->columns[i].role != CO_ROLE_IGNORE)
      s->column = &schema->columns[i];
  if (!s->column)
    return co_fail_at(CO_ERR_DATA, co_dataset_path(s->dataset), 0, 0, "it has no images to show");
  const int64_t channels = s->column->shape.dim[2];
  if (channels == 1 || channels == 3) return CO_OK;
  return co_fail_at(CO_ERR_DATA, co_dataset_path(s->dataset), 0, 0,
                    "images of %lld channels are no pictures", (long long)channels);
}

// Evenly spaced among the rows: those that follow one another are often of one class.
static co_status choose_rows(sheet *s, const char *split, int64_t wanted) {
  const int64_t *rows = NULL;
  int64_t all = co_dataset_rows(s->dataset);
  if (split)
    CO_RETURN_IF_FAILED(co_dataset_split(s->dataset, (co_split)co_split_parse(split), &rows, &all));
  s->count = all < wanted ? all : wanted;
  if (!s->count)
    return co_fail_at(CO_ERR_DATA, co_dataset_path(s->dataset), 0, 0, "there is no row to show");
  s->samples = co_alloc(s->ctx, (size_t)s->count * sizeof *s->samples);
  if (!s->samples) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++) {
    const int64_t at = i * all / s->count;
    s->samples[i] = rows ? rows[at] : at;
  }
  while (s->columns * s->columns < s->count)
    s->columns++;
  return CO_OK;
}

static co_status lay_out(sheet *s) {
  const int64_t h = s->column->shape.dim[0], w = s->column->shape.dim[1];
  const int64_t channels = s->column->shape.dim[2],
                lines = (s->count + s->columns - 1) / s->columns;
  co_image_info *info = &s->image.info;
  *info = (co_image_info){.height = lines * (h + GAP) + GAP,
                          .width = s->columns * (w + GAP) + GAP,
                          .channels = (int)channels,
                          .orientation = 1};
  if (info->height > CO_IMAGE_MAX_EXTENT || info->width > CO_IMAGE_MAX_EXTENT ||
      info->height * info->width * channels > MOST_BYTES) {
    co_status status = co_fail(CO_ERR_USAGE, "%lld images of %lld x %lld are too many for a sheet",
                               (long long)s->count, (long long)w, (long long)h);
    co_hint("show fewer: --rows N");
    return status;
  }
  const size_t bytes = (size_t)(info->height * info->width * channels);
  s->image.pixels = co_alloc(s->ctx, bytes);
  s->pixels = co_alloc(s->ctx, (size_t)(s->count * h * w * channels));
  if (!s->image.pixels || !s->pixels) return CO_ERR_MEMORY;
  memset(s->image.pixels, GROUND, bytes);
  CO_RETURN_IF_FAILED(
      co_dataset_gather(s->dataset, s->column->name, s->samples, s->count, s->pixels));
  for (int64_t i = 0; i < s->count; i++)
    for (int64_t y = 0; y < h; y++) {
      const int64_t row = i / s->columns * (h + GAP) + GAP + y;
      const int64_t column = i % s->columns * (w + GAP) + GAP;
      memcpy(s->image.pixels + (row * info->width + column) * channels,
             s->pixels + (i * h + y) * w * channels, (size_t)(w * channels));
    }
  return CO_OK;
}

static co_status write_sheet(const sheet *s, const cohort_data_show_options *o) {
  const char *const inputs[] = {o->data.dataset};
  const co_output output = {o->sheet, o->force, inputs, 1};
  co_atomic_file file = {0};
  co_writer *writer;
  co_text png;
  co_text_init(&png, s->ctx);
  co_status status = co_output_begin(&file, s->ctx, &output);
  if (status == CO_OK) status = co_image_write_png(&png, &s->image);
  if (status == CO_OK) status = co_writer_open(&writer, s->ctx, file.temporary, false);
  if (status == CO_OK) {
    status = co_writer_write(writer, png.data, png.length);
    const co_status closed = co_writer_close(writer);
    if (status == CO_OK) status = closed;
  }
  if (status == CO_OK) status = co_atomic_commit(&file);
  co_atomic_abort(&file);
  co_text_free(&png);
  return status;
}

co_status co_data_write_sheet(co_dataset *dataset, co_context *ctx,
                              const cohort_data_show_options *o, cohort_result *result) {
  sheet s = {.ctx = ctx, .dataset = dataset};
  co_status status = find_column(&s);
  if (status == CO_OK) status = choose_rows(&s, o->rows_of, o->rows ? o->rows : DEFAULT_IMAGES);
  if (status == CO_OK) status = lay_out(&s);
  if (status == CO_OK) status = write_sheet(&s, o);
  if (status == CO_OK) {
    co_json_key(&result->json, "sheet");
    co_json_string(&result->json, o->sheet);
    co_json_key(&result->json, "images");
    co_json_int(&result->json, s.count);
    co_text_printf(&result->text, "%lld images in %s\n", (long long)s.count, o->sheet);
  }
  co_free(ctx, s.samples);
  co_free(ctx, s.pixels);
  co_free(ctx, s.image.pixels);
  return status;
}
