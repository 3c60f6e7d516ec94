// SPDX-License-Identifier: Apache-2.0
// How much each input makes of a row's score: attributions, which add up to what the score is above
// that of the *reference*, the mean of training rows as the model encodes them. What is attributed is the
// head's value: the log-odds of a binary (of members, of their mean probability), a class's logit, a number.
//
//   networks        integrated gradients (Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep
//                   Networks", 2017): the gradient by the encoded inputs, averaged over `steps` points
//                   of the straight line from the reference to the row (midpoint rule; 512, where the
//                   sum is off by over a quarter percent of all shares' sizes), times the
//                   difference, summed over what encodes each input. The line lies in the space of
//                   encoded inputs (encoding.h), where categories and bins have one: layer integrated
//                   gradients at the combiner. A table of events is one input.
//   linear, svm     coefficient * (x - mean of x), exactly; of an SVM of several classes times the
//                   mean slope of the head along it, which is what integrated gradients are.
//   boosted trees   SHAP values of XGBoost's (Lundberg et al., "Consistent Individualized Feature
//                   Attribution for Tree Ensembles", 2018): the reference is the expectation over the
//                   training rows that reach a node.
//   forests, trees  the same of the share that the trees vote for, times the mean slope of the head
//                   between the two shares (co_estimator_rescale).
//
// The mean, not a row of missing values: the row of a table that stands for what is missing or unseen is
// never trained where nothing was, and nobody asks how a customer differs from one without any values.
#ifndef COHORT_HOST_EVAL_ATTRIBUTION_H
#define COHORT_HOST_EVAL_ATTRIBUTION_H

#include "host/eval/encoding.h"

enum { CO_ATTRIBUTION_STEPS = 32, CO_ATTRIBUTION_MOST_STEPS = 4096 };

typedef struct co_attribution_options {
  int64_t output; // of the model
  int64_t class_; // of one of several classes; -1 = of each row the likeliest
  int64_t steps;  // 0 = CO_ATTRIBUTION_STEPS
} co_attribution_options;

// Rows of one call of the sink; borrowed.
typedef struct co_attributed {
  const int64_t *samples;
  int64_t rows;
  const double *shares;    // (rows, parts)
  const double *value;     // (rows): the head's value …
  const double *reference; // (rows): … and the reference's, of the same class
  const int32_t *class_;   // (rows): 0 where there is one value
} co_attributed;
typedef co_status co_attribution_sink(void *user, const co_attributed *rows);

typedef struct co_attribution_run {
  const int64_t *samples;
  int64_t count;
  int workers;
  const co_watch *watch;     // stopped: CO_INTERRUPTED
  const char *stage;         // names the progress line; NULL = there is none
  co_attribution_sink *sink; // in the samples' order
  void *user;
} co_attribution_run;

typedef struct co_attribution co_attribution;
// Of a predictor of a model file, which is borrowed. An output that has no single value is CO_ERR_USAGE;
// a predictor that cannot be looked into CO_ERR_CONFIG; a model without a reference CO_ERR_MODEL.
co_status co_attribution_open(co_attribution **out, co_predictor *predictor,
                              const co_attribution_options *options);
void co_attribution_close(co_attribution *attribution); // NULL is legal
// The columns that have a share, in the order of the model's inputs: what several features make of one
// column is added up; a feature of several columns is one of its own.
const co_encoded_part *co_attribution_parts(const co_attribution *attribution, int64_t *count);
const char *co_attribution_method(const co_attribution *attribution); // "integrated gradients"
co_status co_attribution_rows(co_attribution *attribution, co_dataset *dataset,
                              const co_attribution_run *run);
// Whether an output has a value that can be attributed.
bool co_attribution_takes(const co_output_feature *output);
// CO_ERR_USAGE of one that has none, with what can be done in its place; "inputs could have a share in".
co_status co_attribution_refuse(const co_model *model, const co_output_feature *output,
                                const char *what);

// The reference, as model files keep it: the mean over at most 4096 of the samples, evenly chosen. `out`
// is zeroed before; its arrays are the arena's, its list to be freed. Nothing is kept where it would
// take over a MiB, or of predictors that cannot be looked into.
co_status co_attribution_reference(co_model_arrays *out, co_arena *arena, co_predictor *predictor,
                                   co_dataset *dataset, const int64_t *samples, int64_t count);

#endif
