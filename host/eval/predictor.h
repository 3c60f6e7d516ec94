// SPDX-License-Identifier: Apache-2.0
// Whatever scores rows: a network today; behind the same interface trees, tables of neighbours or a
// formula get the same metrics, reports and outputs. The rows are those of a dataset: typed columns
// that come from a dataset.h5 or from whoever reads raw rows.
#ifndef COHORT_HOST_EVAL_PREDICTOR_H
#define COHORT_HOST_EVAL_PREDICTOR_H

#include "datasets/dataset.h"
#include "host/core/watch.h"
#include "models/model.h"

typedef struct co_predictor co_predictor;

// Scores of `rows` samples: per output and extra (co_model_score_width), (rows, width) in host memory,
// borrowed for the call.
typedef co_status co_score_sink(void *user, const int64_t *samples, int64_t rows,
                                const float *const *scores);

typedef struct co_scoring_options {
  const co_watch *watch;
  bool stoppable; // by watch->stop, with CO_INTERRUPTED
  int workers;
  bool exclude_seen; // of next items, those of a sample's own history have probability 0 (unseen.h)
  const char *stage; // names the progress line
  co_score_sink *sink; // called in the order of the samples; NULL = scores are not wanted
  void *user;
  // What a network sums up on its way, where targets are there (a predictor opened to evaluate):
  // per accumulator of its graph, and weights per loss. NULL = not wanted. Others leave them alone.
  double *sums, *weight_sum;
} co_scoring_options;

typedef struct co_predictor_class {
  const char *name;
  co_status (*run)(co_predictor *predictor, co_dataset *rows, const int64_t *samples, int64_t count,
                   const co_scoring_options *options);
  void (*close)(co_predictor *predictor);
} co_predictor_class;

struct co_predictor {
  const co_predictor_class *class_;
  co_context *ctx;
  const char *path;      // of the model file; NULL = it is of none
  const co_model *model; // inputs, outputs, and the columns that rows must have
  double rounding;       // of its scores, of one of a file (co_golden_rounding)
};

typedef struct co_predictor_options {
  const char *model;  // a run, checkpoint or model file
  const char *device; // as cohort_train_options has it
  const char *precision;
  int threads;
  int64_t batch_size;                // 0 = as the model was trained with
  bool evaluate;                     // rows have targets
  bool scores;                       // scores are wanted, too
  const co_new_classes *new_classes; // that rows may have; NULL = there are none
  // As cohort_evaluate_options has them.
  const char *autotune, *autotune_cache;
} co_predictor_options;
co_status co_predictor_open(co_predictor **out, co_context *ctx,
                            const co_predictor_options *options);
void co_predictor_close(co_predictor *predictor); // NULL is legal

#endif
