// SPDX-License-Identifier: Apache-2.0
// Images with where a network sees what it says: a page of HTML.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/image.h"
#include "datasets/view.h"
#include "host/api/explain.h"
#include "host/eval/heat.h"
#include "host/output/page.h"

typedef struct painting {
  co_explaining *e;
  co_text *page;
  co_view view, target; // target: rows 0 where the dataset has none
  int64_t height, width, channels;
  uint8_t *picture; // (H, W, 3)
  double *sizes;    // (H, W), room
} painting;

static const uint8_t *pixels_of(const painting *p, int64_t sample) {
  return p->view.bytes + (size_t)co_view_row(&p->view, sample) * p->view.row_bytes;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// What is as large as the hundredth of the places with the largest sizes has full colour.
static double full_colour(const painting *p, const double *map) {
  const int64_t places = p->height * p->width;
  for (int64_t i = 0; i < places; i++)
    p->sizes[i] = fabs(map[i]);
  qsort(p->sizes, (size_t)places, sizeof *p->sizes, by_value);
  return p->sizes[places - 1 - places / 100];
}

static void paint(const painting *p, const uint8_t *pixels, const double *map) {
  static const double up[3] = {245, 110, 30}, down[3] = {40, 120, 230};
  const double full = map ? full_colour(p, map) : 0;
  for (int64_t i = 0; i < p->height * p->width; i++) {
    const uint8_t *from = pixels + i * p->channels;
    double grey = 0;
    for (int64_t c = 0; c < p->channels; c++)
      grey += from[c] / (double)p->channels;
    for (int64_t c = 0; c < 3; c++) {
      double share = map && full > 0 ? fmin(fabs(map[i]) / full, 1) : 0;
      double colour = share * (map && map[i] < 0 ? down[c] : up[c]) + (1 - share) * 0.6 * grey;
      p->picture[i * 3 + c] = map ? (uint8_t)colour : from[p->channels >= 3 ? c : 0];
    }
  }
}

static co_status add_picture(const painting *p, const uint8_t *pixels, const double *map,
                             const char *caption) {
  paint(p, pixels, map);
  const co_image image = {{.height = p->height, .width = p->width, .channels = 3, .orientation = 1},
                          p->picture};
  co_text_printf(p->page, "<figure>");
  CO_RETURN_IF_FAILED(co_page_image(p->page, p->e->ctx, &image, caption));
  co_text_printf(p->page, "<figcaption>");
  co_page_text(p->page, caption);
  co_text_printf(p->page, "</figcaption></figure>\n");
  return p->page->status;
}

static void add_note(char *out, size_t size, const painting *p, const co_heat *heat) {
  const co_column *column = p->e->output->column;
  char room[64];
  if (column->type != CO_COLUMN_CATEGORY) {
    snprintf(out, size, "%s: %.4g; of a black image %.4g", p->e->output->name, heat->value,
             heat->reference);
    return;
  }
  int used = snprintf(out, size, "%.80s, logit %.4g; of a black image %.4g",
                      column->categories[heat->class_], heat->value, heat->reference);
  if (p->target.rows)
    snprintf(out + used, size - (size_t)used, "; in truth %.80s",
             co_view_print(&p->target, heat->sample, room, sizeof room));
}

// A co_heat_sink.
static co_status add_row(void *user, const co_heat *heat) {
  const painting *p = user;
  char key[CO_DATASET_KEY_MAX + 1], note[320];
  const uint8_t *pixels = pixels_of(p, heat->sample);
  CO_RETURN_IF_FAILED(co_dataset_key(p->e->dataset, heat->sample, key, sizeof key));
  add_note(note, sizeof note, p, heat);
  co_page_card(p->page, key, note, false);
  co_text_printf(p->page, "<div class=\"pics\">");
  CO_RETURN_IF_FAILED(add_picture(p, pixels, NULL, "image"));
  CO_RETURN_IF_FAILED(add_picture(p, pixels, heat->gradients, "integrated gradients"));
  CO_RETURN_IF_FAILED(add_picture(p, pixels, heat->occlusion, "occlusion"));
  if (heat->cam) CO_RETURN_IF_FAILED(add_picture(p, pixels, heat->cam, "Grad-CAM"));
  co_text_printf(p->page, "</div>");
  co_page_card_end(p->page);
  return p->page->status;
}

static co_status open_columns(painting *p) {
  co_explaining *e = p->e;
  const co_column *asked = e->predictor->model->inputs[0].column;
  const co_schema *schema = co_dataset_schema(e->dataset);
  const co_column *image = co_schema_find(schema, asked->name);
  const co_column *target = co_schema_find(schema, e->output->name);
  if (!image || asked->type != CO_COLUMN_IMAGE || image->dtype != CO_U8)
    return co_fail(CO_ERR_USAGE, "-O %.200s: there are pictures of images alone; tables become CSV",
                   e->options->output);
  p->height = asked->shape.dim[0];
  p->width = asked->shape.dim[1];
  p->channels = asked->shape.dim[2];
  p->picture = co_arena_alloc(e->arena, (size_t)(p->height * p->width), 3);
  p->sizes = co_arena_alloc(e->arena, (size_t)(p->height * p->width), sizeof *p->sizes);
  if (!p->picture || !p->sizes) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_view_open(&p->view, e->dataset, image));
  return target ? co_view_open(&p->target, e->dataset, target) : CO_OK;
}

static co_status add_rows(painting *p) {
  co_explaining *e = p->e;
  const co_attribution_options options = {.output = e->output - e->predictor->model->outputs,
                                          .class_ = e->class_,
                                          .steps = e->options->steps};
  const co_attribution_run run = {.samples = e->samples,
                                  .count = e->count,
                                  .workers = e->options->workers,
                                  .watch = &e->context->watch};
  CO_RETURN_IF_FAILED(open_columns(p));
  co_page_open(p->page, "What the network sees");
  co_text_printf(p->page, "<header>\n<h1>");
  co_page_text(p->page, e->output->name);
  co_text_printf(p->page, "</h1>\n</header>\n<main>\n");
  co_page_section(
      p->page, "images", "Where the network looks",
      "Orange speaks for what is written above the pictures, blue against it. Integrated "
      "gradients: of each pixel, from a black image. Occlusion: what is lost when a "
      "square is covered. Grad-CAM: where the last convolution found something for it.");
  co_page_grid(p->page, false);
  CO_RETURN_IF_FAILED(co_heat_rows(e->predictor, e->dataset, &options, &run, add_row, p));
  co_page_grid_end(p->page);
  co_page_section_end(p->page);
  co_text_printf(p->page, "</main>\n");
  co_page_close(p->page);
  return p->page->status;
}

co_status co_explain_images(co_explaining *e) {
  co_text page;
  co_text_init(&page, e->ctx);
  painting p = {.e = e, .page = &page};
  e->method = "integrated gradients, occlusion, Grad-CAM";
  co_status status = add_rows(&p);
  if (status == CO_OK) status = co_writer_write(e->writer, page.data, page.length);
  co_text_free(&page);
  return status;
}
