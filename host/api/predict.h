// SPDX-License-Identifier: Apache-2.0
// cohort_predict's own: a scoring, and its manifest.
#ifndef COHORT_HOST_API_PREDICT_H
#define COHORT_HOST_API_PREDICT_H

#include "host/api/events.h"
#include "host/api/table.h"
#include "host/eval/drift.h"
#include "host/eval/golden.h"
#include "host/eval/predictor.h"
#include "host/eval/ranking.h"
#include "host/eval/reasons.h"
#include "host/eval/score_columns.h"
#include "host/feed/fit_features.h"
#include "host/output/sink.h"

enum { CO_DRIFT_MEASURES = 4, CO_HISTOGRAM_BINS = 20 };

typedef struct co_drift_gate {
  double most[CO_DRIFT_MEASURES]; // psi, ks, missing, unseen
} co_drift_gate;

typedef struct co_scoring {
  cohort_context *context;
  co_context *ctx;
  const cohort_predict_options *options;
  co_arena *arena;
  co_predictor *predictor;
  co_dataset *dataset;
  const int64_t *samples;
  int64_t count;
  int64_t *all; // owned, when no split is asked for
  co_score_columns columns;
  co_score_cell *cells;  // room for a row, per column …
  const float **scores;  // … and per output and extra
  float *values;         // of all of them, of a row
  float **calibrated;    // parts of such a row; NULL = scores are shown as they are
  int64_t width;         // of it
  co_ranking *ranking;   // NULL = rows are not placed among each other
  co_reasons *reasons;   // NULL = none are told
  co_sink_options where; // of the sink
  co_sink *sink;
  co_sink_job job;
  int64_t written, saved;   // rows that are in the sink; that another process need not write again
  char *manifest;           // its file; NULL = none
  double started;           // seconds, of a clock that only runs forwards
  co_input_counts *counts;  // per input of the model
  co_golden_result golden;  // of the model's golden rows, which are scored before all others
  co_profile profile;       // of the model, and counts of rows in its bins:
  int64_t **seen, **scored; // of inputs, of all rows; of scores that are written
  int64_t (*histogram)[CO_HISTOGRAM_BINS]; // per output: of scores that are written, over 0 to 1
  co_drift_gate gate;
} co_scoring;

// ---- predict_drift.c -----------------------------------------------------------------------------
co_status co_drift_check_options(const cohort_predict_options *options);
// Reads the model's profile, counts the inputs and checks them: CO_ERR_GATE.
co_status co_drift_begin(co_scoring *scoring, const co_table_scoring *table);
// Counts a row that is written, by its scores per output.
void co_drift_add(co_scoring *scoring, const float *const *scores, const float *const *shown);
// What is counted of scores, as a word without blanks, and back.
void co_drift_print_state(co_scoring *scoring, co_text *out);
void co_drift_read_state(co_scoring *scoring, char *state); // NULL = nothing
co_status co_drift_check_scores(co_scoring *scoring);       // when all are counted: CO_ERR_GATE
void co_drift_render(const co_scoring *scoring, const co_table_scoring *table, co_json *json);

// ---- predict_manifest.c --------------------------------------------------------------------------
// Where the manifest goes, and whether it can be written.
co_status co_manifest_check(co_scoring *scoring, const cohort_predict_options *options);
// Once all is known of a job, before its output appears. `table`: what was read of a raw one.
co_status co_manifest_write(const co_scoring *scoring, const co_table_scoring *table);
// The output is there already: whether the same job made it, by its manifest; else CO_ERR_IO.
co_status co_manifest_confirm(const co_scoring *scoring);

#endif
