// SPDX-License-Identifier: Apache-2.0
// cohort_report of a study: one page of HTML.
#include "host/api/hyperopt.h"
#include "host/core/output.h"
#include "host/output/study_page.h"
#include "host/tune/importance.h"

typedef struct reporting {
  co_context *ctx;
  const cohort_report_options *options;
  co_read_study read;
  co_forest *forest;
  co_study_page page;
  co_atomic_file file;
} reporting;

static co_status check_options(const cohort_report_options *o) {
  const char *option = o->dataset ? "--dataset" : o->profit_count ? "--profit" : NULL;
  return option
             ? co_fail(CO_ERR_USAGE, "%s is for reports of runs, and %s is a study", option, o->run)
             : CO_OK;
}

static co_status write_page(reporting *r) {
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, r->ctx, r->file.temporary, false));
  co_status status = co_writer_write(writer, r->page.page.data, r->page.page.length);
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  return status == CO_OK ? co_atomic_commit(&r->file) : status;
}

static void render_shares(co_json *json, const char *key, const co_space *space,
                          const double *shares) {
  co_json_key(json, key);
  co_json_open(json, '{');
  for (int64_t i = 0; i < space->count; i++) {
    co_json_key(json, space->item[i].path);
    co_json_double(json, shares[i]);
  }
  co_json_close(json);
}

// By PED-ANOVA and fANOVA, of the first goal.
static co_status take_importances(reporting *r, double *importance, double *explained) {
  const co_space *space = &r->read.settings.space;
  CO_RETURN_IF_FAILED(co_study_importances(importance, r->ctx, space, &r->read.trials,
                                           co_study_maximizes(r->read.study, 0)));
  CO_RETURN_IF_FAILED(co_forest_create(&r->forest, r->ctx, space, &r->read.trials));
  for (int64_t i = 0; i < space->count; i++)
    explained[i] = 0;
  return r->forest ? co_forest_importances(explained, r->forest) : CO_OK;
}

static co_status report(reporting *r, cohort_result *result) {
  const cohort_report_options *o = r->options;
  const char *const inputs[] = {o->run};
  const co_output wanted = {o->output, o->force, inputs, 1};
  CO_RETURN_IF_FAILED(check_options(o));
  CO_RETURN_IF_FAILED(co_output_begin(&r->file, r->ctx, &wanted));
  CO_RETURN_IF_FAILED(co_read_study_open(&r->read, r->ctx, o->run, o->study_name));
  const co_space *space = &r->read.settings.space;
  const bool two = r->read.settings.second != NULL;
  double *importance = co_arena_alloc(r->read.arena, (size_t)space->count, sizeof *importance);
  double *explained = co_arena_alloc(r->read.arena, (size_t)space->count, sizeof *explained);
  if (!importance || !explained) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(take_importances(r, importance, explained));
  r->page.ctx = r->ctx;
  r->page.name = co_study_name(r->read.study);
  r->page.metric = r->read.settings.metric ? r->read.settings.metric : "loss";
  r->page.version = cohort_version();
  r->page.second = r->read.settings.second;
  r->page.maximize = co_study_maximizes(r->read.study, 0);
  r->page.maximize_second = two && co_study_maximizes(r->read.study, 1);
  r->page.space = space;
  r->page.trials = &r->read.trials;
  r->page.importance = importance;
  r->page.explained = explained;
  r->page.forest = r->forest;
  r->page.front = &r->read.front;
  r->page.best = r->read.best;
  CO_RETURN_IF_FAILED(co_study_page_render(&r->page));
  CO_RETURN_IF_FAILED(write_page(r));
  co_json *json = &result->json;
  co_json_key(json, "study");
  co_json_string(json, o->run);
  co_json_key(json, "output");
  co_json_string(json, o->output);
  co_json_key(json, "trials");
  co_json_int(json, r->read.trials.count);
  render_shares(json, "importance", space, importance);
  render_shares(json, "fanova", space, explained);
  co_text_printf(&result->text, "%s: %lld trials\n", o->output, (long long)r->read.trials.count);
  return CO_OK;
}

co_status co_report_study(cohort_context *context, const cohort_report_options *options,
                          cohort_result *result) {
  reporting r = {.ctx = context->ctx, .options = options};
  co_text_init(&r.page.page, r.ctx);
  co_status status = report(&r, result);
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&r.file);
  co_text_free(&r.page.page);
  co_forest_free(r.forest);
  co_read_study_free(&r.read);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
