// SPDX-License-Identifier: Apache-2.0
// cohort_generate: images that a model's generator makes of noise.
#include <stdio.h>
#include <string.h>

#include "datasets/writer.h"
#include "host/api/api.h"
#include "host/api/sheet.h"
#include "host/core/output.h"
#include "host/eval/generation.h"

enum { IMAGES = 64, MOST_IMAGES = 10000000, AT_ONCE = 1024 };

typedef struct generating {
  cohort_context *context;
  co_context *ctx;
  const cohort_generate_options *options;
  co_generation *generation;
  int64_t count;
  uint8_t *pixels; // of all for a sheet, else of AT_ONCE
  bool sheet;      // a picture, else a dataset
} generating;

static co_status check_options(generating *g) {
  const cohort_generate_options *o = g->options;
  CO_RETURN_IF_FAILED(co_require(o->model, "generate", "a model"));
  CO_RETURN_IF_FAILED(co_require(o->output, "generate", "an output"));
  g->count = o->count ? o->count : IMAGES;
  if (g->count < 1 || g->count > MOST_IMAGES)
    return co_fail(CO_ERR_USAGE, "--count must be from 1 to %d", MOST_IMAGES);
  g->sheet = co_output_ends_in(o->output, ".png");
  if (g->sheet || co_output_ends_in(o->output, ".h5")) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "-O %.200s: neither a picture nor a dataset", o->output);
  co_hint("give -O FILE.png, or -O FILE.h5");
  return status;
}

static co_status make(generating *g, int64_t first, int64_t count, uint8_t *pixels) {
  const int64_t image = co_shape_count(&co_generation_column(g->generation)->shape);
  for (int64_t done = 0; done < count; done += AT_ONCE) {
    const int64_t rows = count - done < AT_ONCE ? count - done : AT_ONCE;
    CO_RETURN_IF_FAILED(co_generation_run(g->generation, g->options->seed, first + done, rows,
                                          pixels + done * image));
    co_watch_progress(&g->context->watch, "generate", "images", first + done + rows, g->count,
                      NULL);
    if (co_watch_stopped(&g->context->watch))
      return co_fail(CO_INTERRUPTED, "stopped; no output was written");
  }
  return CO_OK;
}

static co_status write_sheet(generating *g, const co_output *output) {
  const co_column *column = co_generation_column(g->generation);
  const int64_t *shape = column->shape.dim;
  co_sheet sheet = {.count = g->count, .height = shape[0], .width = shape[1], .channels = shape[2]};
  if (sheet.channels != 1 && sheet.channels != 3)
    return co_fail_at(CO_ERR_MODEL, co_generation_path(g->generation), 0, 0,
                      "images of %lld channels are no pictures", (long long)sheet.channels);
  CO_RETURN_IF_FAILED(co_sheet_check(&sheet, "--count"));
  g->pixels = co_alloc(g->ctx, (size_t)(g->count * co_shape_count(&column->shape)));
  if (!g->pixels) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(make(g, 0, g->count, g->pixels));
  sheet.pixels = g->pixels;
  return co_sheet_write(&sheet, g->ctx, output);
}

static co_status write_images(generating *g, co_dataset_writer *writer) {
  char seed[32];
  co_column column = *co_generation_column(g->generation);
  column.table = NULL;
  column.dtype = CO_U8;
  g->pixels = co_alloc(g->ctx, (size_t)(AT_ONCE * co_shape_count(&column.shape)));
  if (!g->pixels) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_dataset_writer_column(writer, "images", &column, g->count));
  for (int64_t done = 0; done < g->count; done += AT_ONCE) {
    const int64_t rows = g->count - done < AT_ONCE ? g->count - done : AT_ONCE;
    CO_RETURN_IF_FAILED(make(g, done, rows, g->pixels));
    CO_RETURN_IF_FAILED(co_dataset_writer_rows(writer, rows, g->pixels));
  }
  // Nothing is to be learned from them.
  uint8_t *split = co_alloc(g->ctx, (size_t)g->count);
  if (!split) return CO_ERR_MEMORY;
  memset(split, CO_SPLIT_TEST, (size_t)g->count);
  co_status status = co_dataset_writer_samples(writer, "images", g->count, NULL, NULL, split);
  co_free(g->ctx, split);
  CO_RETURN_IF_FAILED(status);
  (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)g->options->seed);
  CO_RETURN_IF_FAILED(co_dataset_writer_source(writer, "generated_with_seed", seed));
  return co_dataset_writer_commit(writer, NULL);
}

static co_status write_dataset(generating *g, const co_output *output) {
  co_dataset_writer *writer = NULL;
  CO_RETURN_IF_FAILED(co_output_check(g->ctx, output));
  co_status status = co_dataset_writer_create(&writer, g->ctx, output->path);
  if (status == CO_OK) status = write_images(g, writer);
  co_dataset_writer_free(writer);
  return status;
}

static co_status generate(generating *g) {
  const cohort_generate_options *o = g->options;
  CO_RETURN_IF_FAILED(check_options(g));
  const co_predictor_options model = {
      .model = o->model, .device = o->device, .precision = o->precision, .threads = o->threads};
  CO_RETURN_IF_FAILED(co_generation_open(&g->generation, g->ctx, &model));
  const char *const inputs[] = {co_generation_path(g->generation)};
  const co_output output = {o->output, o->force, inputs, 1};
  CO_RETURN_IF_FAILED(co_output_check(g->ctx, &output)); // before the work
  return g->sheet ? write_sheet(g, &output) : write_dataset(g, &output);
}

static void report(const generating *g, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, co_generation_path(g->generation));
  co_json_key(json, "output");
  co_json_string(json, g->options->output);
  co_json_key(json, "images");
  co_json_int(json, g->count);
  co_json_key(json, "seed");
  co_json_int(json, (int64_t)g->options->seed);
  co_text_printf(&result->text, "%lld images generated into %s\n", (long long)g->count,
                 g->options->output);
}

cohort_status cohort_generate(cohort_context *context, const cohort_generate_options *options,
                              cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  generating g = {.context = context, .ctx = context->ctx, .options = options};
  co_status status = generate(&g);
  co_watch_progress(&context->watch, "generate", "images", -1, g.count, NULL);
  if (status == CO_OK) report(&g, *out);
  co_error error;
  co_error_copy(&error);
  co_generation_close(g.generation);
  co_free(g.ctx, g.pixels);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "generate", status);
}
