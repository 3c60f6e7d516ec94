// SPDX-License-Identifier: Apache-2.0
// What a generator makes of noise.
#include <string.h>

#include "datasets/image.h"
#include "host/eval/generation.h"
#include "host/output/page.h"
#include "host/output/report.h"
#include "host/train/run.h"

enum { SHOWN = 48, SEED = 1, EPOCHS = 8, MOST_BYTES = 1 << 26 };

static bool generates(const co_model *model) {
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].generator) return true;
  return false;
}

static co_status draw_samples(co_report *r, int64_t step, double epoch) {
  char *path = co_run_samples_path(r->ctx, r->path, step), *bytes = NULL;
  size_t length = 0;
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_read_file(r->ctx, path, MOST_BYTES, CO_ERR_MODEL, &bytes, &length);
  if (bytes) {
    co_text_printf(&r->page, "<figure>");
    co_page_png(&r->page, bytes, length, "generated");
    co_text_printf(&r->page, "<figcaption>Epoch %s</figcaption></figure>\n",
                   co_show(epoch + 1).text);
  }
  co_free(r->ctx, bytes);
  co_free(r->ctx, path);
  return status;
}

static bool has_samples(const co_report *r, const co_node *record) {
  const char *split = co_report_text(record, "split");
  if (!split || strcmp(split, "validation") != 0) return false;
  char *path = co_run_samples_path(r->ctx, r->path, (int64_t)co_report_number(record, "step"));
  const bool exists = path && co_path_exists(path);
  co_free(r->ctx, path);
  return exists;
}

// At the ends of some epochs, of the same noise.
static co_status draw_over_time(co_report *r) {
  int64_t count = 0, seen = 0;
  for (int64_t i = 0; i < r->record_count; i++)
    count += has_samples(r, r->records[i]);
  if (!count) return CO_OK;
  co_page_card(&r->page, "As it learned", "The same noise at the ends of epochs.", true);
  for (int64_t i = 0; i < r->record_count; i++) {
    if (!has_samples(r, r->records[i])) continue;
    const int64_t shown = count < EPOCHS ? count : EPOCHS, place = seen++;
    // Evenly spaced, the last among them.
    if ((place + 1) * shown / count == place * shown / count) continue;
    CO_RETURN_IF_FAILED(draw_samples(r, (int64_t)co_report_number(r->records[i], "step"),
                                     co_report_number(r->records[i], "epoch")));
  }
  co_page_card_end(&r->page);
  return CO_OK;
}

static co_status draw(co_report *r, co_generation *generation) {
  const co_shape *shape = &co_generation_column(generation)->shape;
  const int64_t bytes = co_shape_count(shape);
  const co_image_info info = {.height = shape->dim[0],
                              .width = shape->dim[1],
                              .channels = (int)shape->dim[2],
                              .orientation = 1};
  if (info.channels != 1 && info.channels != 3) return CO_OK; // no picture
  uint8_t *pixels = co_alloc(r->ctx, (size_t)(SHOWN * bytes));
  if (!pixels) return CO_ERR_MEMORY;
  co_status status = co_generation_run(generation, SEED, 0, SHOWN, pixels);
  co_page_section(
      &r->page, "generated", "What it generates",
      "As cohort generate --seed 1 makes them. Of images that were learned by heart they "
      "would be no measure: look for variety as well.");
  co_page_card(&r->page, "Of noise", NULL, true);
  co_text_printf(&r->page, "<div class=\"pairs\">\n");
  for (int64_t i = 0; status == CO_OK && i < SHOWN; i++) {
    const co_image image = {info, pixels + i * bytes};
    status = co_page_image(&r->page, r->ctx, &image, "generated");
  }
  co_text_printf(&r->page, "</div>\n");
  co_page_card_end(&r->page);
  if (status == CO_OK) status = draw_over_time(r);
  co_page_section_end(&r->page);
  co_free(r->ctx, pixels);
  return status;
}

co_status co_report_generated(co_report *r) {
  co_generation *generation;
  const co_predictor_options options = {.model = r->predictor->path, .device = r->device};
  if (!generates(r->predictor->model)) return CO_OK;
  CO_RETURN_IF_FAILED(co_generation_open(&generation, r->ctx, &options));
  co_status status = draw(r, generation);
  co_generation_close(generation);
  return status;
}
