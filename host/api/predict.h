// SPDX-License-Identifier: Apache-2.0
// cohort_predict's own: a scoring, and its manifest.
#ifndef COHORT_HOST_API_PREDICT_H
#define COHORT_HOST_API_PREDICT_H

#include "host/api/events.h"
#include "host/api/table.h"
#include "host/eval/golden.h"
#include "host/eval/predictor.h"
#include "host/eval/ranking.h"
#include "host/eval/score_columns.h"
#include "host/feed/fit_features.h"
#include "host/output/sink.h"

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
  const float **scores;  // … and per output
  float *values;         // of all outputs of a row
  float **calibrated;    // parts of such a row; NULL = scores are shown as they are
  int64_t width;         // of it
  co_ranking *ranking;   // NULL = rows are not placed among each other
  co_sink_options where; // of the sink
  co_sink *sink;
  co_sink_job job;
  int64_t written, saved;  // rows that are in the sink; that another process need not write again
  char *manifest;          // its file; NULL = none
  double started;          // seconds, of a clock that only runs forwards
  co_input_counts *counts; // per input of the model
  co_golden_result golden; // of the model's golden rows, which are scored before all others
} co_scoring;

// ---- predict_manifest.c --------------------------------------------------------------------------
// Where the manifest goes, and whether it can be written.
co_status co_manifest_check(co_scoring *scoring, const cohort_predict_options *options);
// Once all is known of a job, before its output appears. `rejected` rows of the source were not taken.
co_status co_manifest_write(const co_scoring *scoring, const char *source_sha256, int64_t rejected);
// The output is there already: whether the same job made it, by its manifest; else CO_ERR_IO.
co_status co_manifest_confirm(const co_scoring *scoring);

#endif
