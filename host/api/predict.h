// SPDX-License-Identifier: Apache-2.0
// cohort_predict's own: a scoring, and its manifest.
#ifndef COHORT_HOST_API_PREDICT_H
#define COHORT_HOST_API_PREDICT_H

#include "host/api/events.h"
#include "host/api/table.h"
#include "host/eval/drift.h"
#include "host/eval/ensemble.h"
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

// One of the models, and what is known of the rows that it scores.
typedef struct co_scored_model {
  const char *name; // of its columns, where there are several
  char sha256[65], weights_sha256[65];
  co_predictor *predictor;
  const co_new_classes *new_classes; // that it was told of; NULL = none
  int64_t dataset;                   // which of the datasets of a part
  int64_t first_output;              // of it, among those of all
  co_golden_result golden;           // of its golden rows, which are scored before all others
  co_input_counts *counts;           // per input
  co_profile profile;                // counts of rows in its bins:
  int64_t **seen, **scored;          // of inputs, of all rows; of scores that are written
} co_scored_model;

// Rows that are scored, of one part of them.
typedef struct co_score_piece {
  int64_t part;
  const int64_t *samples; // of a dataset; NULL = from `first` on `rows`, but those:
  int64_t first, rows;
  int64_t *refused; // that no model can take, ascending; owned
  int64_t refused_count, refused_capacity;
  int64_t count;
  int64_t at; // how many come before
} co_score_piece;

typedef struct co_scoring {
  cohort_context *context;
  co_context *ctx;
  const cohort_predict_options *options;
  co_arena *arena;
  co_scored_model *models;
  int64_t model_count;
  co_ensemble_kind ensemble;
  co_predictor *predictor; // of them all: the one there is, or an ensemble
  const co_model *told; // whose outputs are written: the predictor's, but of ranks that become one
  // Rows: one part, or parts of a raw table, each with datasets of its own for models that differ.
  const co_raw_parts *parts; // NULL = there is one, whose datasets have these …
  const char *const *paths;  // … paths
  int64_t part;              // the one at hand, -1 = none, with its
  co_dataset **datasets;
  int64_t dataset_count;
  co_dataset **of_model; // for each model one of them
  int64_t rows;          // of all parts
  co_score_piece *pieces;
  int64_t piece_count;
  const co_score_piece *piece; // in work
  const int64_t *samples;      // of a dataset; of a part of a raw table all are
  int64_t *all;                // owned, where they are no split's
  int64_t count;               // of all pieces
  co_score_columns columns;
  co_score_cell *cells;  // room for a row, per column …
  const float **scores;  // … and per output and extra
  float *values;         // of all of them, of a row
  float **calibrated;    // parts of such a row; NULL = scores are shown as they are
  int64_t width;         // of it
  co_ranking *ranking;   // NULL = rows are not placed among each other
  float *ranked;         // what a row is placed by …
  int64_t *ranks;        // … and its places
  co_reasons *reasons;   // NULL = none are told
  co_sink_options where; // of the sink
  co_sink *sink;
  co_sink_job job;
  int64_t written, saved; // rows that are in the sink; that another process need not write again
  char *manifest;         // its file; NULL = none
  double started;         // seconds, of a clock that only runs forwards
  int64_t (*histogram)[CO_HISTOGRAM_BINS]; // per output: of scores that are written, over 0 to 1
  co_drift_gate gate;
} co_scoring;

// ---- predict_models.c ----------------------------------------------------------------------------
// The models that options name, an experiment's each; in the arena.
co_status co_model_list_read(co_model_list *out, co_arena *arena,
                             const cohort_predict_options *options);
// Opens them, and replays their golden rows.
co_status co_scoring_open_models(co_scoring *scoring, const co_model_list *list);
void co_scoring_close_models(co_scoring *scoring);
// What stands for all of them: a hash of their files, and in a column.
co_status co_scoring_hash_models(co_scoring *scoring);
co_status co_scoring_weights(const char **out, co_scoring *scoring);
// Of each name, file, golden rows and counts of inputs.
void co_scoring_report_models(co_scoring *scoring, co_json *json, co_text *text);

// ---- predict_rows.c ------------------------------------------------------------------------------
// "I/N", I from 1. CO_ERR_USAGE.
co_status co_shard_parse(int64_t *shard, int64_t *shards, const char *text);
// Which rows are scored. `table`: what was read of a raw one.
co_status co_scoring_choose_rows(co_scoring *scoring, const co_model_list *list,
                                 const co_table_scoring *table);
// Takes a piece into work: its datasets, and scoring->samples.
co_status co_scoring_open_piece(co_scoring *scoring, const co_score_piece *piece);
void co_scoring_close_rows(co_scoring *scoring);
// Checks and counts what models take in, and hashes it: job.source. Rows of a raw table that a model cannot
// take are rejected.
co_status co_scoring_look_through(co_scoring *scoring, co_table_scoring *table);

// ---- predict_scores.c ----------------------------------------------------------------------------
co_status co_scoring_make_room(co_scoring *scoring);
// Where reasons are told: of the piece in work.
co_status co_scoring_open_reasons(co_scoring *scoring);
// Scores and writes the rows that are not written yet.
co_status co_scoring_run(co_scoring *scoring);
// Hands the sink how far the job is.
co_status co_scoring_note(co_scoring *scoring, co_status (*to)(co_sink *, const co_position *));

// ---- predict_drift.c -----------------------------------------------------------------------------
co_status co_drift_check_options(const cohort_predict_options *options);
// Reads the models' profiles.
co_status co_drift_begin(co_scoring *scoring);
// Counts the inputs of some rows of the part at hand.
co_status co_drift_count(co_scoring *scoring, const int64_t *samples, int64_t count);
// When all are counted: CO_ERR_GATE.
co_status co_drift_check_inputs(const co_scoring *scoring, const co_table_scoring *table);
// Counts a row that is written, by its scores per output.
void co_drift_add(co_scoring *scoring, const float *const *scores, const float *const *shown);
// What is counted of scores, as a word without blanks, and back.
void co_drift_print_state(co_scoring *scoring, co_text *out);
void co_drift_read_state(co_scoring *scoring, char *state); // NULL = nothing
co_status co_drift_check_scores(co_scoring *scoring);       // when all are counted: CO_ERR_GATE
void co_drift_render(const co_scored_model *model, const co_table_scoring *table, co_json *json);
void co_drift_render_histogram(const co_scoring *scoring, co_json *json);

// ---- predict_manifest.c --------------------------------------------------------------------------
// Where the manifest goes, and whether it can be written.
co_status co_manifest_check(co_scoring *scoring, const cohort_predict_options *options);
// Once all is known of a job, before its output appears. `table`: what was read of a raw one.
co_status co_manifest_write(const co_scoring *scoring, const co_table_scoring *table);
// The output is there already: whether the same job made it, by its manifest; else CO_ERR_IO.
co_status co_manifest_confirm(const co_scoring *scoring);

#endif
