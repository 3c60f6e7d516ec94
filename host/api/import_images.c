// SPDX-License-Identifier: Apache-2.0
// cohort_import_images: the public face of the importer of folders of images.
#include "datasets/import_images.h"

#include "host/api/api.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "images", done, total, NULL);
}

static void integer(co_json *json, const char *key, int64_t value) {
  co_json_key(json, key);
  co_json_int(json, value);
}

static void report_skipped(co_json *json, const co_diagnostics *skipped) {
  co_json_key(json, "skipped");
  co_json_open(json, '[');
  for (int64_t i = 0; i < skipped->count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "file");
    co_json_string(json, skipped->item[i].file);
    co_json_key(json, "reason");
    co_json_string(json, skipped->item[i].message);
    co_json_close(json);
  }
  co_json_close(json);
}

static void report(cohort_result *result, const cohort_import_images_options *options,
                   const co_import_images_result *done, const co_diagnostics *skipped) {
  co_json *json = &result->json;
  co_json_key(json, "output");
  co_json_string(json, options->output);
  co_json_key(json, "rows");
  co_json_open(json, '{');
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    integer(json, co_split_name((co_split)s), done->rows[s]);
  co_json_close(json);
  co_json_key(json, "image");
  co_json_open(json, '[');
  co_json_int(json, done->height);
  co_json_int(json, done->width);
  co_json_int(json, done->channels);
  co_json_close(json);
  integer(json, "classes", done->classes);
  integer(json, "files", done->files);
  report_skipped(json, skipped);
  integer(json, "other_files", done->others);
  integer(json, "duplicates", done->duplicates);
  co_json_key(json, "up_to_date");
  co_json_bool(json, done->up_to_date);
  co_json_key(json, "fingerprint");
  co_json_string(json, done->fingerprint);
  co_text *text = &result->text;
  co_text_printf(text, "dataset  %s%s\n", options->output,
                 done->up_to_date ? " (up to date, left alone)" : "");
  co_text_printf(text, "rows     %lld train, %lld validation, %lld test\n",
                 (long long)done->rows[0], (long long)done->rows[1], (long long)done->rows[2]);
  co_text_printf(text, "images   %lld wide, %lld high, %lld channel%s", (long long)done->width,
                 (long long)done->height, (long long)done->channels,
                 done->channels == 1 ? "" : "s");
  if (done->classes) co_text_printf(text, ", %lld classes", (long long)done->classes);
  co_text_printf(text, "\n");
  if (done->skipped)
    co_text_printf(text, "note     %lld of %lld images are left out\n", (long long)done->skipped,
                   (long long)done->files);
  if (done->duplicates)
    co_text_printf(text, "note     %lld images are copies of others\n",
                   (long long)done->duplicates);
}

static co_status run(cohort_context *context, const cohort_import_images_options *o,
                     co_arena *arena, cohort_result *result, co_diagnostics *skipped) {
  co_import_images_result done;
  co_split_rule split;
  co_import_images_options options = {
      .output = o->output,
      .folder = o->folder,
      .labels = o->labels,
      .validation_fraction = o->validation_fraction < 0 ? 0.1 : o->validation_fraction,
      .seed = o->seed,
      .force = o->force,
      .most_pixels = o->max_pixels ? o->max_pixels : CO_IMAGE_MOST_PIXELS,
      .progress = forward_progress,
      .progress_user = context,
      .stop = context->options.stop};
  if (!o->output || !o->folder) return co_fail(CO_ERR_USAGE, "images need an output and a folder");
  CO_RETURN_IF_FAILED(
      co_image_recipe_make(&options.recipe, o->image_width, o->image_height, o->channels, o->fit));
  CO_RETURN_IF_FAILED(
      co_reject_rule_parse(&options.errors, o->on_error, o->max_errors, CO_ON_ERROR_FAIL));
  if (o->split) {
    CO_RETURN_IF_FAILED(co_split_rule_parse(&split, arena, o->split));
    options.split = &split;
  }
  co_status status = co_import_images(&done, context->ctx, &options, skipped);
  co_watch_progress(&context->watch, "import", "images", -1, 0, NULL);
  if (status == CO_OK) report(result, o, &done, skipped);
  return status;
}

cohort_status cohort_import_images(cohort_context *context,
                                   const cohort_import_images_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_arena *arena = NULL;
  co_diagnostics skipped;
  co_diagnostics_init(&skipped, context->ctx);
  co_status status = co_arena_create(&arena, context->ctx);
  if (status == CO_OK) status = run(context, options, arena, *out, &skipped);
  co_diagnostics_free(&skipped);
  co_arena_free(arena);
  return co_result_finish(*out, "import", status);
}
