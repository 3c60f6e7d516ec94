// SPDX-License-Identifier: Apache-2.0
// Images beside what an autoencoder gives back of them: some drawn evenly, and those that it gives back
// worst.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/image.h"
#include "host/output/page.h"
#include "host/output/report.h"
#include "models/feature.h"

enum { SHOWN = 12, MOST_LOOKED_AT = 2000 };

typedef struct gallery {
  co_report *report;
  int64_t output, extra; // positions in the scores: of the image, of its error
  const co_output_feature *feature;
  co_image_info info;
  int64_t width, looked_at, taken;
  int64_t *samples; // those looked at …
  double *errors;   // … and how well they are given back
  float *values;    // of the images shown, as the network gives them
} gallery;

// ---- scores ------------------------------------------------------------------------------------

static co_status take_errors(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  gallery *g = user;
  (void)samples;
  for (int64_t i = 0; i < rows; i++)
    g->errors[g->taken++] = (double)scores[g->extra][i];
  return CO_OK;
}

static co_status take_values(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  gallery *g = user;
  (void)samples;
  memcpy(g->values + g->taken * g->width, scores[g->output],
         (size_t)(rows * g->width) * sizeof *g->values);
  g->taken += rows;
  return CO_OK;
}

static co_status score(gallery *g, const int64_t *samples, int64_t count, co_score_sink *sink) {
  const co_report *r = g->report;
  const co_scoring_options options = {.watch = r->watch,
                                      .stoppable = true,
                                      .workers = r->workers,
                                      .stage = "images",
                                      .sink = sink,
                                      .user = g};
  g->taken = 0;
  return r->predictor->class_->run(r->predictor, r->dataset, samples, count, &options);
}

// ---- drawing -----------------------------------------------------------------------------------

static co_status draw_image(gallery *g, uint8_t *pixels, const char *what) {
  const co_image image = {g->info, pixels};
  return co_page_image(&g->report->page, g->report->ctx, &image, what);
}

static co_status draw_pairs(gallery *g, const int64_t *places) {
  co_report *r = g->report;
  int64_t samples[SHOWN];
  const int64_t count = g->looked_at < SHOWN ? g->looked_at : SHOWN;
  uint8_t *pixels = co_alloc(r->ctx, (size_t)(2 * count * g->width));
  if (!pixels) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    samples[i] = g->samples[places[i]];
  co_status status =
      co_dataset_gather(r->dataset, g->feature->reconstructs->column->name, samples, count, pixels);
  if (status == CO_OK) status = score(g, samples, count, take_values);
  co_text_printf(&r->page, "<div class=\"pairs\">\n");
  for (int64_t i = 0; status == CO_OK && i < count; i++) {
    char key[CO_DATASET_KEY_MAX + 1];
    uint8_t *given = pixels + (count + i) * g->width;
    status = co_dataset_key(r->dataset, samples[i], key, sizeof key);
    co_image_pixels(g->feature->reconstructs, g->values + i * g->width, g->width, given);
    co_text_printf(&r->page, "<figure title=\"");
    co_page_text(&r->page, status == CO_OK ? key : "");
    co_text_printf(&r->page, "\">");
    if (status == CO_OK) status = draw_image(g, pixels + i * g->width, "input");
    if (status == CO_OK) status = draw_image(g, given, "reconstruction");
    co_text_printf(&r->page, "<figcaption>%s</figcaption></figure>\n",
                   co_show(g->errors[places[i]]).text);
  }
  co_text_printf(&r->page, "</div>\n");
  co_free(r->ctx, pixels);
  return status;
}

// ---- which ones --------------------------------------------------------------------------------

typedef struct ranked {
  double error;
  int64_t place;
} ranked;

static int by_error(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->error != y->error) return x->error > y->error ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

static co_status draw_worst(gallery *g) {
  int64_t places[SHOWN];
  ranked *all = co_alloc(g->report->ctx, (size_t)g->looked_at * sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < g->looked_at; i++)
    all[i] = (ranked){g->errors[i], i};
  qsort(all, (size_t)g->looked_at, sizeof *all, by_error);
  for (int64_t i = 0; i < SHOWN && i < g->looked_at; i++)
    places[i] = all[i].place;
  co_free(g->report->ctx, all);
  return draw_pairs(g, places);
}

static co_status draw_drawn(gallery *g) {
  int64_t places[SHOWN];
  for (int64_t i = 0; i < SHOWN && i < g->looked_at; i++)
    places[i] = g->looked_at < SHOWN ? i : i * g->looked_at / SHOWN;
  return draw_pairs(g, places);
}

static co_status draw(gallery *g) {
  co_report *r = g->report;
  for (int64_t i = 0; i < g->looked_at; i++) // evenly spaced
    g->samples[i] = r->samples[i * r->count / g->looked_at];
  CO_RETURN_IF_FAILED(score(g, g->samples, g->looked_at, take_errors));
  char note[160];
  (void)snprintf(note, sizeof note,
                 "Each image, what is given back of it, and the mean squared error between them, "
                 "of %lld rows.",
                 (long long)g->looked_at);
  co_page_section(&r->page, "images", "What it gives back", note);
  co_page_card(&r->page, "Drawn evenly", NULL, true);
  CO_RETURN_IF_FAILED(draw_drawn(g));
  co_page_card_end(&r->page);
  co_page_card(&r->page, "Given back worst", "Unlike what it has learned: odd, or wrong.", true);
  CO_RETURN_IF_FAILED(draw_worst(g));
  co_page_card_end(&r->page);
  co_page_section_end(&r->page);
  return CO_OK;
}

// The position of its error in the scores.
static int64_t find_error(const co_model *model, const co_output_feature *feature) {
  int64_t i = 0;
  while (model->extras[i].output != feature)
    i++;
  return model->output_count + i;
}

static co_status draw_output(co_report *r, int64_t output) {
  const co_model *model = r->predictor->model;
  const co_output_feature *feature = &model->outputs[output];
  const co_column *column = feature->reconstructs ? feature->reconstructs->column : NULL;
  if (!column || column->type != CO_COLUMN_IMAGE || feature->parts) return CO_OK;
  gallery g = {.report = r,
               .output = output,
               .extra = find_error(model, feature),
               .feature = feature,
               .info = {.height = column->shape.dim[0],
                        .width = column->shape.dim[1],
                        .channels = (int)column->shape.dim[2],
                        .orientation = 1},
               .width = feature->width,
               .looked_at = r->count < MOST_LOOKED_AT ? r->count : MOST_LOOKED_AT};
  if (g.info.channels != 1 && g.info.channels != 3) return CO_OK; // no picture
  g.samples = co_alloc(r->ctx, (size_t)g.looked_at * sizeof *g.samples);
  g.errors = co_alloc(r->ctx, (size_t)g.looked_at * sizeof *g.errors);
  g.values = co_alloc(r->ctx, (size_t)(SHOWN * g.width) * sizeof *g.values);
  co_status status = g.samples && g.errors && g.values ? draw(&g) : CO_ERR_MEMORY;
  co_free(r->ctx, g.samples);
  co_free(r->ctx, g.errors);
  co_free(r->ctx, g.values);
  return status;
}

co_status co_report_images(co_report *r) {
  for (int64_t i = 0; i < r->predictor->model->output_count; i++)
    CO_RETURN_IF_FAILED(draw_output(r, i));
  return CO_OK;
}
