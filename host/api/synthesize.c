// SPDX-License-Identifier: Apache-2.0
// cohort_synthesize: customers from a known process.
#include "datasets/synthesize.h"

#include <string.h>

#include "host/api/api.h"
#include "host/core/output.h"

typedef struct synthesis {
  cohort_context *context;
  const cohort_synthesize_options *options;
  co_atomic_file files[2]; // the table, the truth
  co_writer *writers[2];
} synthesis;

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "rows", done, total, NULL);
}

static co_status open_output(synthesis *s, int i, const char *path, const char *other) {
  const char *const inputs[] = {other};
  const co_output output = {path, s->options->force, inputs, other != NULL};
  co_context *ctx = s->context->ctx;
  if (strcmp(path, "-") == 0) return co_writer_open(&s->writers[i], ctx, "-", true);
  CO_RETURN_IF_FAILED(co_output_begin(&s->files[i], ctx, &output));
  return co_writer_open(&s->writers[i], ctx, s->files[i].temporary, false);
}

static co_status open_outputs(synthesis *s) {
  const cohort_synthesize_options *o = s->options;
  CO_RETURN_IF_FAILED(co_require(o->output, "synthesize", "an output"));
  if (o->rows < 1 || o->rows > 1000000000)
    return co_fail(CO_ERR_USAGE, "--rows must be from 1 to 1,000,000,000");
  if (o->truth && strcmp(o->truth, o->output) == 0)
    return co_fail(CO_ERR_USAGE, "--output and --truth name the same file");
  CO_RETURN_IF_FAILED(open_output(s, 0, o->output, NULL));
  return o->truth ? open_output(s, 1, o->truth, NULL) : CO_OK;
}

static co_status close_outputs(synthesis *s) {
  for (int i = 0; i < 2; i++) {
    co_writer *writer = s->writers[i];
    s->writers[i] = NULL; // closed in any case
    if (writer) CO_RETURN_IF_FAILED(co_writer_close(writer));
  }
  for (int i = 1; i >= 0; i--) // the table last: where it is, all is
    if (s->files[i].temporary) CO_RETURN_IF_FAILED(co_atomic_commit(&s->files[i]));
  return CO_OK;
}

static co_status synthesize(synthesis *s, cohort_result *result) {
  const cohort_synthesize_options *o = s->options;
  CO_RETURN_IF_FAILED(open_outputs(s));
  const co_synthesize_options request = {.table = s->writers[0],
                                         .truth = s->writers[1],
                                         .rows = o->rows,
                                         .seed = o->seed,
                                         .leak = o->leak,
                                         .progress = forward_progress,
                                         .progress_user = s->context,
                                         .stop = s->context->options.stop};
  co_status status = co_synthesize(s->context->ctx, &request);
  co_watch_progress(&s->context->watch, "synthesize", "rows", -1, 0, NULL);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(close_outputs(s));
  co_json *json = &result->json;
  co_json_key(json, "output");
  co_json_string(json, o->output);
  co_json_key(json, "truth");
  co_json_string(json, o->truth);
  co_json_key(json, "rows");
  co_json_int(json, o->rows);
  if (strcmp(o->output, "-") != 0)
    co_text_printf(&result->text, "%lld customers in %s\n", (long long)o->rows, o->output);
  return CO_OK;
}

cohort_status cohort_synthesize(cohort_context *context, const cohort_synthesize_options *options,
                                cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  synthesis s = {.context = context, .options = options};
  co_status status = synthesize(&s, *out);
  co_error error;
  co_error_copy(&error);
  for (int i = 0; i < 2; i++) {
    co_writer_close(s.writers[i]);
    co_atomic_abort(&s.files[i]);
  }
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "synthesize", status);
}
