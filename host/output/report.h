// SPDX-License-Identifier: Apache-2.0
// The report of a run: what it was, how it went, how good its model is and on what it relies, as one
// page of HTML. Equal runs, measured on equal rows, give equal pages but for what run.json tells of
// machine and time.
#ifndef COHORT_HOST_OUTPUT_REPORT_H
#define COHORT_HOST_OUTPUT_REPORT_H

#include "host/config/config.h"
#include "host/eval/comparison.h"
#include "host/eval/evaluation.h"
#include "host/eval/importance.h"
#include "host/eval/shares.h"

typedef struct co_report {
  co_context *ctx;
  co_text page;
  const char *path, *name;     // of the run
  const co_node *run, *config; // run.json, the model's config
  const co_node *profile;      // profile.json; NULL = there is none
  co_node *const *records;     // lines of metrics.jsonl
  int64_t record_count;
  co_predictor *predictor;
  co_dataset *dataset;
  const char *dataset_name;
  const co_watch *watch; // of what is scored for the page …
  const char *device;    // … where …
  int workers;           // … and its loader threads
  co_split split;        // whose rows were evaluated
  const int64_t *samples;
  int64_t count;
  co_evaluation evaluation; // of them; its scores are kept, with intervals
  co_comparison comparison; // baselines, of which there may be none
  const char *importance_metric;
  co_importance *importance; // per input, NaN of one of events; NULL = not measured
  co_shares shares;          // attributions of some of the rows; no rows = not measured …
  const char *no_shares;     // … and why
} co_report;

// Writes the whole page.
co_status co_report_render(co_report *report);

// Parts, each a section or none. What belongs to an output is told for each.
void co_report_overview(co_report *report);
void co_report_training(co_report *report);
co_status co_report_scores(co_report *report, int64_t output);
co_status co_report_images(co_report *report);
co_status co_report_generated(co_report *report);
co_status co_report_importance(co_report *report);
co_status co_report_histories(co_report *report);
co_status co_report_slices(co_report *report);
co_status co_report_data(co_report *report);
void co_report_facts(co_report *report);

// A scalar's text by dotted path in a tree, NULL if there is none.
const char *co_report_text(const co_node *node, const char *path);
// The same as a number; NaN.
double co_report_number(const co_node *node, const char *path);

#endif
