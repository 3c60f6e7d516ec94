// SPDX-License-Identifier: Apache-2.0
// cohort_train: config and dataset to a run directory with a model.
#include "host/api/table.h"
#include "host/train/session.h"

static co_status train(co_session *session, const cohort_train_options *options,
                       cohort_result *result) {
  while (!options->dry_run && !co_session_is_done(session))
    CO_RETURN_IF_FAILED(co_session_advance(session));
  if (!options->dry_run) CO_RETURN_IF_FAILED(co_session_finish(session));
  return co_session_report(session, &result->json, &result->text);
}

static co_status run(cohort_context *context, const cohort_train_options *options,
                     cohort_result *result) {
  co_session *session;
  co_status status =
      co_session_open(&session, context->ctx, &context->watch, options, &result->errors);
  if (status == CO_OK) status = train(session, options, result);
  return co_session_close(session, status);
}

cohort_status cohort_train(cohort_context *context, const cohort_train_options *options,
                           cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_table_training table;
  co_status status = co_table_training_begin(&table, context, options, &(*out)->errors);
  if (status == CO_OK) status = run(context, &table.options, *out);
  co_table_training_end(&table);
  return co_result_finish(*out, "train", status);
}
