// SPDX-License-Identifier: Apache-2.0
// cohort_import_idx: the public face of the importer.
#include "datasets/import.h"

#include "host/api/api.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "rows", done, total, NULL);
}

static void report(cohort_result *result, const cohort_import_idx_options *options,
                   const co_import_result *done) {
  static const char *const splits[] = {"train", "validation", "test"};
  co_json *json = &result->json;
  co_json_key(json, "output");
  co_json_string(json, options->output);
  co_json_key(json, "rows");
  co_json_open(json, '{');
  for (int i = 0; i < 3; i++) {
    co_json_key(json, splits[i]);
    co_json_int(json, done->rows[i]);
  }
  co_json_close(json);
  co_json_key(json, "image");
  co_json_open(json, '[');
  co_json_int(json, done->height);
  co_json_int(json, done->width);
  co_json_int(json, done->channels);
  co_json_close(json);
  co_json_key(json, "classes");
  co_json_int(json, done->classes);
  co_json_key(json, "duplicates");
  co_json_int(json, done->duplicates);
  co_json_key(json, "up_to_date");
  co_json_bool(json, done->up_to_date);
  co_json_key(json, "fingerprint");
  co_json_string(json, done->fingerprint);
  co_text_printf(&result->text, "dataset  %s%s\n", options->output,
                 done->up_to_date ? " (up to date, left alone)" : "");
  co_text_printf(&result->text, "rows     %lld train, %lld validation, %lld test\n",
                 (long long)done->rows[0], (long long)done->rows[1], (long long)done->rows[2]);
  co_text_printf(&result->text, "images   %lld x %lld, %lld channel%s, %lld classes\n",
                 (long long)done->height, (long long)done->width, (long long)done->channels,
                 done->channels == 1 ? "" : "s", (long long)done->classes);
  if (done->duplicates)
    co_text_printf(&result->text, "note     %lld rows occur more than once\n",
                   (long long)done->duplicates);
}

cohort_status cohort_import_idx(cohort_context *context, const cohort_import_idx_options *options,
                                cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_import_idx_options inner = {
      .output = options->output,
      .training = {options->training[0], options->training[1]},
      .validation = {options->validation[0], options->validation[1]},
      .test = {options->test[0], options->test[1]},
      .validation_fraction = options->validation_fraction < 0 ? 0.1 : options->validation_fraction,
      .seed = options->seed,
      .class_names = options->class_names,
      .class_name_count = options->class_name_count,
      .force = options->force,
      .progress = forward_progress,
      .progress_user = context,
      .stop = context->options.stop};
  co_import_result done;
  co_status status = co_import_idx(&done, context->ctx, &inner, &(*out)->errors);
  co_watch_progress(&context->watch, "import", "rows", -1, 0, NULL);
  if (status == CO_OK) report(*out, options, &done);
  return co_result_finish(*out, "import", status);
}
