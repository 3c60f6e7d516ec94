// SPDX-License-Identifier: Apache-2.0
// cohort_data_check: the leakage linter.
#include "datasets/check.h"
#include "host/api/data.h"
#include "host/core/text_width.h"

static void report_finding(cohort_result *result, const co_finding *finding) {
  co_json *json = &result->json;
  co_json_open(json, '{');
  co_json_key(json, "id");
  co_json_string(json, finding->id);
  co_json_key(json, "severity");
  co_json_string(json, co_severity_name(finding->severity));
  if (finding->column) {
    co_json_key(json, "column");
    co_json_string(json, finding->column);
  }
  if (finding->rows >= 0) {
    co_json_key(json, "rows");
    co_json_int(json, finding->rows);
  }
  co_json_key(json, "message");
  co_json_string(json, finding->message);
  co_json_key(json, "way_out");
  co_json_string(json, finding->way_out);
  co_json_close(json);
  co_text_printf(&result->text, "\n%-7s  %s", co_severity_name(finding->severity), finding->id);
  if (finding->column) {
    co_text_printf(&result->text, ": ");
    co_text_pad(&result->text, finding->column, 0, 60, false);
  }
  co_text_printf(&result->text, "\n         ");
  co_text_pad(&result->text, finding->message, 0, 0, false);
  co_text_printf(&result->text, "\n         way out: ");
  co_text_pad(&result->text, finding->way_out, 0, 0, false);
  co_text_printf(&result->text, "\n");
}

static co_status report(cohort_result *result, const cohort_data_check_options *o,
                        co_dataset *dataset, const co_findings *found) {
  char rows[32];
  CO_RETURN_IF_FAILED(co_data_report_rows(result, &o->data, dataset));
  co_data_count(rows, found->rows);
  co_text_printf(&result->text, "looked at %lld input%s and %lld target%s in %s training rows: ",
                 (long long)found->inputs, found->inputs == 1 ? "" : "s", (long long)found->targets,
                 found->targets == 1 ? "" : "s", rows);
  co_text_printf(&result->text,
                 found->count == 1 ? "one finding\n"
                 : found->count    ? "%lld findings\n"
                                   : "no findings\n",
                 (long long)found->count);
  if (!found->targets)
    co_text_printf(&result->text,
                   "there is no target, so no column was looked at for giving it away\n");
  co_json_key(&result->json, "inputs");
  co_json_int(&result->json, found->inputs);
  co_json_key(&result->json, "targets");
  co_json_int(&result->json, found->targets);
  co_json_key(&result->json, "findings");
  co_json_open(&result->json, '[');
  for (int64_t i = 0; i < found->count; i++)
    report_finding(result, &found->items[i]);
  co_json_close(&result->json);
  if (!o->strict || !found->count) return CO_OK;
  co_status status = co_fail_at(
      CO_ERR_GATE, o->data.dataset, 0, 0, "%lld finding%s %s%s%s", (long long)found->count,
      found->count == 1 ? ":" : "s, the first is", found->items[0].id,
      found->items[0].column ? " of " : "", found->items[0].column ? found->items[0].column : "");
  co_hint("%s", found->items[0].way_out);
  return status;
}

cohort_status cohort_data_check(cohort_context *context, const cohort_data_check_options *options,
                                cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_data_source source;
  co_findings found;
  co_status status = co_data_begin(&source, context, &options->data, "data check", &(*out)->errors);
  if (status == CO_OK)
    status =
        co_dataset_check(&found, source.ctx, source.arena, source.dataset, context->options.stop);
  if (status == CO_OK) status = report(*out, options, source.dataset, &found);
  co_data_end(&source);
  return co_result_finish(*out, "data", status);
}
