// SPDX-License-Identifier: Apache-2.0
// cohort_train and cohort_training_…: config and dataset to a run directory with a model.
#include <stdint.h>

#include "host/api/rehearse.h"
#include "host/api/table.h"
#include "host/train/session.h"

struct cohort_training {
  cohort_context *context;
  cohort_result *result;
  co_table_training table;
  co_session *session; // NULL where there was none to open
  bool dry;
  co_error error; // of the first call that failed, else of status CO_OK
};

// What failed stays so.
static cohort_status keep(cohort_training *t, co_status status) {
  if (status != CO_OK && t->error.status == CO_OK) {
    co_error_copy(&t->error);
    t->error.status = status;
  }
  const volatile int *stop = t->context->options.stop;
  return t->error.status == CO_INTERRUPTED && stop && *stop ? 128 + *stop : (int)t->error.status;
}

cohort_status cohort_training_open(cohort_training **out, cohort_context *context,
                                   const cohort_train_options *options) {
  cohort_training *t = *out = co_alloc_zero(context->ctx, 1, sizeof *t);
  if (!t) return CO_ERR_MEMORY;
  t->context = context;
  t->dry = options->dry_run;
  co_status status = co_result_create(&t->result, context);
  if (status != CO_OK) {
    co_free(context->ctx, t);
    *out = NULL;
    return status;
  }
  status = co_table_training_begin(&t->table, context, options, &t->result->errors);
  if (status == CO_OK)
    status = co_session_open(&t->session, context->ctx, &context->watch, &t->table.options,
                             &t->result->errors);
  return keep(t, status);
}

cohort_status cohort_training_advance(cohort_training *t, int64_t steps) {
  if (t->error.status != CO_OK || t->dry) return keep(t, CO_OK);
  return keep(t, co_session_advance_by(t->session, steps));
}

void cohort_training_get_state(const cohort_training *t, cohort_training_state *out) {
  *out = (cohort_training_state){.done = false};
  if (t->session) co_session_get_state(t->session, out);
}

cohort_status cohort_training_save(cohort_training *t) {
  if (t->error.status != CO_OK || t->dry) return keep(t, CO_OK);
  return keep(t, co_session_save(t->session));
}

cohort_status cohort_training_end(cohort_training *t) {
  if (t->error.status != CO_OK || t->dry) return keep(t, CO_OK);
  return keep(t, co_session_end(t->session));
}

static co_status finish(cohort_training *t) {
  if (!t->dry && !co_session_is_done(t->session)) CO_RETURN_IF_FAILED(co_session_stop(t->session));
  if (!t->dry) CO_RETURN_IF_FAILED(co_session_finish(t->session));
  if (!t->dry) CO_RETURN_IF_FAILED(co_session_refit(t->session));
  return co_session_report(t->session, &t->result->json, &t->result->text);
}

cohort_status cohort_training_close(cohort_training *t, cohort_result **out) {
  co_status status = t->error.status == CO_OK ? finish(t) : co_error_raise(&t->error);
  status = co_session_close(t->session, status);
  co_table_training_end(&t->table);
  *out = t->result;
  co_free(t->context->ctx, t);
  return co_result_finish(*out, "train", status);
}

cohort_status cohort_train(cohort_context *context, const cohort_train_options *options,
                           cohort_result **out) {
  cohort_training *training;
  if (options->fast_dev_run > 0) return co_rehearse(context, options, out);
  (void)cohort_training_open(&training, context, options);
  *out = NULL;
  if (!training) return CO_ERR_MEMORY;
  (void)cohort_training_advance(training, INT64_MAX);
  return cohort_training_close(training, out);
}
