// SPDX-License-Identifier: Apache-2.0
// A training as an object: open, advance until it is done, close. cohort_train is a loop around it;
// several sessions may be open in one process, each with a run directory of its own.
#ifndef COHORT_HOST_TRAIN_SESSION_H
#define COHORT_HOST_TRAIN_SESSION_H

#include "datasets/dataset.h"
#include "host/cohort.h"
#include "host/core/context.h"
#include "host/core/diagnostics.h"
#include "host/core/json.h"
#include "host/core/watch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_session co_session;

// Reads config and dataset, plans, and starts the run directory or continues the run that is in it.
// All is borrowed until the session is closed. *out is set wherever there is something to be closed,
// on failure too; problems of the config are added to `problems`.
co_status co_session_open(co_session **out, co_context *ctx, const co_watch *watch,
                          const cohort_train_options *options, co_diagnostics *problems);
// The same over a dataset that is open already, whatever options and config name; borrowed too.
co_status co_session_open_on(co_session **out, co_context *ctx, const co_watch *watch,
                             const cohort_train_options *options, co_dataset *dataset,
                             co_diagnostics *problems);

// Called after each epoch's validation with the epoch's number, from 1, and the value of the chosen
// metric (NaN without validation rows); true ends the training there, as early stopping does.
typedef bool co_epoch_hook(void *user, const co_session *session, int64_t epoch, double value);
void co_session_set_epoch_hook(co_session *session, co_epoch_hook *hook, void *user);

// Before it advances: has each validation measure this metric too, "[OUTPUT.]ID" (NULL = the loss).
// CO_ERR_CONFIG names those there are if there is none, CO_ERR_DATA where there are no validation rows.
co_status co_session_follow(co_session *session, const char *metric, bool *higher_is_better);
// Its value at the last validation; NaN before.
double co_session_followed(const co_session *session, const char *metric);

bool co_session_is_done(const co_session *session);
int64_t co_session_step(const co_session *session);      // updates done
int64_t co_session_best_step(const co_session *session); // whose weights are the model; -1 = none
size_t co_session_planned_bytes(const co_session *session); // of a network; else 0
int64_t co_session_parameters(const co_session *session);   // likewise
// Of the plan that evaluates, for one row: of sequences as long as they may be; of a network, else 0.
double co_session_row_flops(const co_session *session);
// Of a step of a full batch, with its update; of a network whose steps are all alike, else 0.
double co_session_step_flops(const co_session *session);
int64_t co_session_batch_rows(const co_session *session);
int64_t co_session_evaluation_rows(const co_session *session); // of a batch of evaluation
// Seconds in which steps waited for data, and those of validation and checkpoints, so far.
void co_session_get_seconds(const co_session *session, double *waited, double *apart);
// What the machine can do: operations a second in a large product, bytes a second in a large sum. NAN
// where the device works beside the host.
co_status co_session_measure_machine(co_session *session, double *flops_per_second,
                                     double *bytes_per_second);
// Of the file of a finished one's model, before a refit if there is to be one.
int64_t co_session_model_bytes(co_session *session);
void co_session_get_state(const co_session *session, cohort_training_state *out);
// Submits the next steps, or collects the oldest and does what is due behind them (a record,
// validation, a checkpoint). CO_INTERRUPTED and CO_STOPPED after a checkpoint, where that was asked.
co_status co_session_advance(co_session *session);
// Does so many further steps, or all that are left; fewer where CO_INTERRUPTED and so on end it.
co_status co_session_advance_by(co_session *session, int64_t steps);
// Writes a checkpoint of where it stands, waiting for what is in flight.
co_status co_session_save(co_session *session);
// The same, and CO_STOPPED; CO_OK where that was the end of the training.
co_status co_session_stop(co_session *session);
// Makes the last step that was done the last of all, with its validation and checkpoint.
co_status co_session_end(co_session *session);
// Once done: writes model.h5.
co_status co_session_finish(co_session *session);
// Once finished, where the config says trainer.refit: trains on validation rows, too (train/refit.c), or
// goes on with that; model.h5 is then of that. Else nothing.
co_status co_session_refit(co_session *session);
// Once finished, or for a dry run: what there is to tell.
co_status co_session_report(co_session *session, co_json *json, co_text *text);

// Records in the run how it ended (`status`) and frees the session. Returns `status`, or what failed
// in recording. NULL is legal.
co_status co_session_close(co_session *session, co_status status);

#ifdef __cplusplus
}
#endif
#endif
