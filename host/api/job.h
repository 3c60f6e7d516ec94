// SPDX-License-Identifier: Apache-2.0
// What the public functions share: the context behind cohort_context, results, and a model opened
// for evaluation or scoring.
#ifndef COHORT_HOST_API_JOB_H
#define COHORT_HOST_API_JOB_H

#include "datasets/dataset.h"
#include "host/cohort.h"
#include "host/config/config.h"
#include "host/device/precision.h"
#include "host/feed/resident.h"
#include "host/persist/model_file.h"

struct cohort_context {
  co_context *ctx;
  cohort_context_options options;
};

struct cohort_result {
  co_context *ctx;
  co_json json;   // the verb's fields, inside one open object
  co_text text;   // for people
  char *document; // the finished JSON document
  co_diagnostics errors;
  const volatile int *stop;
};

// Starts a result: {"ok":…} is added by co_result_finish.
co_status co_result_create(cohort_result **out, cohort_context *context);
// Ends the document according to `status`; on failure the recorded errors (or this thread's last
// error) replace the fields. Returns `status` for the caller to return.
cohort_status co_result_finish(cohort_result *result, const char *verb, co_status status);

void co_job_progress(cohort_context *context, const char *stage, const char *unit, int64_t done,
                     int64_t total, const char *detail);
bool co_job_stopped(const cohort_context *context);

// What a caller from C may have left out, or set to nonsense, is CO_ERR_USAGE. 0 rows = not given.
enum { CO_MAX_BATCH_ROWS = 1 << 24 };
co_status co_job_require(const char *value, const char *verb, const char *what);
co_status co_job_check_batch_size(int64_t rows);

// Opens a backend by device name; what is not there is CO_ERR_DEVICE.
co_status co_job_open_backend(co_backend **out, co_context *ctx, const char *device, int threads,
                              co_precision precision);
// The precision that an option asks for; NULL = `*precision` as it is.
co_status co_job_choose_precision(co_precision *precision, const char *asked);

// Opens a run's, checkpoint's or model file's model with what was fitted for it, and checks that the
// file has its weights. *path (co_free it) is the file.
co_status co_job_open_model(co_model **out, co_model_file *file, char **path, co_arena *arena,
                            const char *model, co_diagnostics *problems);
// The rows asked for, else those under trainer.`key` of the file's config, else `fallback`.
co_status co_job_choose_batch_size(int64_t *rows, int64_t asked, const co_model_file *file,
                                   const char *key, int64_t fallback);

// What inspecting a model reads of its weights, and nothing else.
co_status co_inspect_weights(co_context *ctx, const char *path);

// A model file made ready to run over a dataset.
typedef struct co_scorer {
  co_arena *arena;
  co_diagnostics problems;
  char *path;
  co_model_file file;
  co_dataset *dataset;
  co_model *model;
  co_backend *backend;
  co_resident *source;
  co_program *program;
  int64_t rows; // of a batch
} co_scorer;
co_status co_scorer_open(co_scorer *scorer, co_context *ctx, const char *model, const char *dataset,
                         const char *device, int threads, int64_t batch_size, co_mode mode,
                         const char *precision);
void co_scorer_close(co_scorer *scorer); // legal on a zeroed struct
// Checks that the dataset has what the model needs: names, types, shapes, classes.
co_status co_check_dataset(const co_model *model, const co_dataset *dataset, bool targets);

// Sums over a split: accumulators of the network's metrics, and weight sums per output.
typedef struct co_evaluation {
  double *sums;       // graph->metric_doubles
  double *weight_sum; // outputs
  int64_t rows;
} co_evaluation;
co_status co_evaluation_create(co_evaluation *evaluation, const co_model *model);
void co_evaluation_free(co_evaluation *evaluation, const co_model *model);
// Runs the program's evaluation plan over the samples. `stage` names the progress line.
co_status co_evaluate_samples(co_evaluation *out, cohort_context *context, bool stoppable,
                              co_resident *source, co_program *program, co_dataset *dataset,
                              const int64_t *samples, int64_t count, int64_t batch_rows,
                              int workers, const char *stage);
// Total loss: weighted mean losses of all outputs. NaN where there was no row.
double co_evaluation_loss(const co_evaluation *evaluation, const co_model *model);
// {"label":{"log_loss":…,"accuracy":…}}
void co_evaluation_render(co_json *json, const co_evaluation *evaluation, const co_model *model);
// What co_evaluation_find finds, for hints: "known: loss, label.log_loss, …" (to be freed; NULL = no
// memory).
char *co_evaluation_known(const co_model *model);
// Finds "[OUTPUT.]ID" or "loss"; false if there is none. *higher tells which direction is better.
bool co_evaluation_find(const co_evaluation *evaluation, const co_model *model, const char *metric,
                        double *value, bool *higher);

#endif
