// SPDX-License-Identifier: Apache-2.0
// cohort_export: a model as something that other programs run.
#include <string.h>

#include "host/api/table.h"
#include "host/core/output.h"
#include "host/output/export.h"

typedef struct exporting {
  co_exported exported;
  co_recipe recipe;
  co_text text;
  co_atomic_file file;
} exporting;

static co_status read_recipe(exporting *x) {
  co_exported *e = &x->exported;
  co_diagnostics problems;
  if (!e->file.recipe) return CO_OK;
  co_diagnostics_init(&problems, e->ctx);
  co_status status =
      co_table_parse_schema(&x->recipe, "recipe", e->file.recipe, e->arena, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK || status == CO_ERR_MEMORY) return status;
  x->recipe = (co_recipe){0}; // of events, say
  co_error_clear();
  return CO_OK;
}

static co_status check_options(const cohort_export_options *o) {
  CO_RETURN_IF_FAILED(co_require(o->model, "export", "a model"));
  CO_RETURN_IF_FAILED(co_require(o->output, "export", "an output"));
  CO_RETURN_IF_FAILED(co_require(o->format, "export", "a format"));
  if (strcmp(o->format, "c") == 0 || strcmp(o->format, "onnx") == 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "models are not exported as '%.100s'", o->format);
  co_hint("known: c, onnx");
  return status;
}

static co_status export_model(exporting *x, co_context *ctx, const cohort_export_options *o) {
  CO_RETURN_IF_FAILED(check_options(o));
  char *found = NULL;
  CO_RETURN_IF_FAILED(co_model_file_find(&found, ctx, o->model));
  const char *const inputs[] = {found};
  const co_output wanted = {
      .path = o->output, .replace = o->force, .inputs = inputs, .input_count = 1};
  co_status status = co_output_begin(&x->file, ctx, &wanted);
  co_free(ctx, found);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(co_exported_open(&x->exported, ctx, o->model));
  CO_RETURN_IF_FAILED(read_recipe(x));
  CO_RETURN_IF_FAILED(strcmp(o->format, "c") == 0 ? co_export_c(&x->text, &x->exported, &x->recipe)
                                                  : co_export_onnx(&x->text, &x->exported));
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, ctx, x->file.temporary, false));
  status = co_writer_write(writer, x->text.data, x->text.length);
  co_status closed = co_writer_close(writer);
  CO_RETURN_IF_FAILED(status == CO_OK ? closed : status);
  return co_atomic_commit(&x->file);
}

static void report(const exporting *x, const cohort_export_options *o, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, x->exported.path);
  co_json_key(json, "format");
  co_json_string(json, o->format);
  co_json_key(json, "output");
  co_json_string(json, o->output);
  co_json_key(json, "bytes");
  co_json_int(json, (int64_t)x->text.length);
  co_json_key(json, "golden_rows");
  co_json_int(json, co_golden_rows(&x->exported.golden));
  co_text_printf(&result->text, "%s exported into %s\n", x->exported.path, o->output);
  if (x->exported.made_inputs)
    co_text_printf(&result->text,
                   "%lld of its inputs, such as '%s', are made of columns by who runs it: the "
                   "metadata `inputs` tells of which\n",
                   (long long)x->exported.made_inputs, x->exported.made_input);
}

cohort_status cohort_export(cohort_context *context, const cohort_export_options *options,
                            cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  exporting x = {.exported = {.ctx = context->ctx}};
  co_text_init(&x.text, context->ctx);
  co_status status = export_model(&x, context->ctx, options);
  if (status == CO_OK) report(&x, options, *out);
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&x.file);
  co_text_free(&x.text);
  co_exported_close(&x.exported);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "export", status);
}
