// SPDX-License-Identifier: Apache-2.0
#include "host/api/api.h"

#include "host/core/memory.h"

co_status co_result_create(cohort_result **out, cohort_context *context) {
  co_context *ctx = context->ctx;
  *out = co_alloc_zero(ctx, 1, sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  (*out)->ctx = ctx;
  (*out)->stop = context->options.stop;
  co_json_init(&(*out)->json, ctx, 0);
  co_text_init(&(*out)->text, ctx);
  co_diagnostics_init(&(*out)->errors, ctx);
  co_json_open(&(*out)->json, '{');
  return CO_OK;
}

static void render_error(co_json *json, const co_error *error, int exit_code) {
  co_json_open(json, '{');
  co_json_key(json, "code");
  co_json_string(json, co_status_name(error->status));
  co_json_key(json, "exit");
  co_json_int(json, error->status == CO_INTERRUPTED ? exit_code : (int)error->status);
  co_json_key(json, "message");
  co_json_string(json, error->message);
  if (error->file[0]) {
    co_json_key(json, "where");
    co_json_open(json, '{');
    co_json_key(json, "file");
    co_json_string(json, error->file);
    if (error->line) {
      co_json_key(json, "line");
      co_json_int(json, error->line);
      co_json_key(json, "column");
      co_json_int(json, error->column);
    }
    co_json_close(json);
  }
  if (error->hint[0]) {
    co_json_key(json, "hint");
    co_json_string(json, error->hint);
  }
  co_json_close(json);
}

static void render_failure(co_json *json, const co_diagnostics *errors, int exit_code) {
  co_json_key(json, "error");
  render_error(json, &errors->item[0], exit_code);
  co_json_key(json, "errors");
  co_json_open(json, '[');
  for (int64_t i = 0; i < errors->count; i++)
    render_error(json, &errors->item[i], exit_code);
  co_json_close(json);
}

// {"ok":…, …} of a call that ended so; `more` are the verb's own fields behind them, or NULL.
static char *render_document(co_context *ctx, const char *verb, const co_diagnostics *errors,
                             int exit_code, const char *more) {
  co_json json;
  co_json_init(&json, ctx, 0);
  co_json_open(&json, '{');
  co_json_key(&json, "ok");
  co_json_bool(&json, exit_code == 0);
  co_json_key(&json, "verb");
  co_json_string(&json, verb);
  co_json_key(&json, "exit");
  co_json_int(&json, exit_code);
  if (errors->count) render_failure(&json, errors, exit_code);
  co_json_close(&json);
  char *document = NULL;
  if (json.text.status == CO_OK)
    document = more ? co_format(ctx, "%.*s,%s", (int)json.text.length - 1, json.text.data, more)
                    : co_strdup(ctx, json.text.data);
  co_json_free(&json);
  return document;
}

cohort_status co_result_finish(cohort_result *result, const char *verb, co_status status) {
  // Half an answer is none.
  if (status == CO_OK) status = result->json.text.status;
  if (status == CO_OK) status = result->text.status;
  if (status != CO_OK) (void)co_diagnostics_lead(&result->errors, status);
  // What a shell reports of a program that a signal ended.
  int exit_code = (int)status;
  if (status == CO_INTERRUPTED && result->stop && *result->stop) exit_code = 128 + *result->stop;
  // The verb's own fields are left out where it failed in the midst of one.
  bool whole = result->json.depth == 1 && result->json.text.status == CO_OK;
  co_json_close(&result->json);
  whole = whole && result->json.text.status == CO_OK && result->json.text.length > 2;
  result->document = render_document(result->ctx, verb, &result->errors, exit_code,
                                     whole ? result->json.text.data + 1 : NULL);
  if (result->document || status != CO_OK) return exit_code;
  (void)co_diagnostics_lead(&result->errors, CO_ERR_MEMORY);
  return CO_ERR_MEMORY;
}

const char *cohort_result_json(const cohort_result *result) {
  return result->document ? result->document : "{\"ok\":false}";
}

const char *cohort_result_text(const cohort_result *result) {
  return result->text.data ? result->text.data : "";
}

int64_t cohort_result_error_count(const cohort_result *result) {
  return result->errors.count;
}

bool cohort_result_error(const cohort_result *result, int64_t i, cohort_error *out) {
  if (i < 0 || i >= result->errors.count) return false;
  const co_error *error = &result->errors.item[i];
  *out = (cohort_error){error->status,  co_status_name(error->status),
                        error->message, error->file,
                        error->line,    error->column,
                        error->hint};
  return true;
}

void cohort_result_free(cohort_result *result) {
  if (!result) return;
  co_json_free(&result->json);
  co_text_free(&result->text);
  co_diagnostics_free(&result->errors);
  co_free(result->ctx, result->document);
  co_free(result->ctx, result);
}

void co_result_memory(cohort_result *result) {
  char amount[32];
  const double peak = (double)co_memory_peak();
  co_json_key(&result->json, "peak_memory_bytes");
  co_json_int(&result->json, (int64_t)peak);
  co_text_printf(&result->text, "memory   %s at most\n", co_memory_print(amount, peak));
}
