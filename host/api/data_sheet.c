// SPDX-License-Identifier: Apache-2.0
// A contact sheet: images of a dataset side by side, as one PNG file.
#include "host/api/data.h"
#include "host/api/sheet.h"

enum { DEFAULT_IMAGES = 100 };

typedef struct sheet {
  co_context *ctx;
  co_dataset *dataset;
  const co_column *column;
  int64_t *samples, count;
  uint8_t *pixels; // of the images
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
  return CO_OK;
}

static co_status write_sheet(sheet *s, const cohort_data_show_options *o) {
  const int64_t *shape = s->column->shape.dim;
  co_sheet made = {.count = s->count, .height = shape[0], .width = shape[1], .channels = shape[2]};
  const char *const inputs[] = {o->data.dataset};
  const co_output output = {o->sheet, o->force, inputs, 1};
  CO_RETURN_IF_FAILED(co_sheet_check(&made, "--rows"));
  s->pixels = co_alloc(s->ctx, (size_t)(s->count * co_shape_count(&s->column->shape)));
  if (!s->pixels) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_dataset_gather(s->dataset, s->column->name, s->samples, s->count, s->pixels));
  made.pixels = s->pixels;
  return co_sheet_write(&made, s->ctx, &output);
}

co_status co_data_write_sheet(co_dataset *dataset, co_context *ctx,
                              const cohort_data_show_options *o, cohort_result *result) {
  sheet s = {.ctx = ctx, .dataset = dataset};
  co_status status = find_column(&s);
  if (status == CO_OK) status = choose_rows(&s, o->rows_of, o->rows ? o->rows : DEFAULT_IMAGES);
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
  return status;
}
