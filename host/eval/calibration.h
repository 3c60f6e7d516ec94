// SPDX-License-Identifier: Apache-2.0
// What is learned from the validation rows once a training is done: a temperature that makes scores
// better probabilities, and the threshold from which a row is taken for positive.
#ifndef COHORT_HOST_EVAL_CALIBRATION_H
#define COHORT_HOST_EVAL_CALIBRATION_H

#include "host/eval/evaluation.h"

#ifdef __cplusplus
extern "C" {
#endif

// Divides the logits behind probabilities by the temperature (Guo et al. 2017, temperature scaling):
// (rows, width) in place, one probability a row of a binary, else one per class.
void co_calibrate(float *scores, int64_t rows, int64_t width, double temperature);
// A copy of scores (of no catalogue) so calibrated: its `score` is the caller's (co_free), all else is borrowed.
co_status co_calibrated_scores(co_scores *out, const co_scores *scores, double temperature);
// The temperature within [1/20, 20] with the least log loss, of a binary or a category; 1 if there
// is no row. Of large splits, evenly spaced rows of 2^20 probabilities.
double co_fit_temperature(const co_scores *scores);

// A cut-off: rows that score at or above the threshold are taken for positive.
typedef struct co_cutoff {
  double threshold;
  double share; // of all rows
  double value; // what is largest there: F1, or mean profit of a row
} co_cutoff;
// The best for F1, or for the profit (whose costs must be known). It lies midway between two scores;
// 2 = it is best to take no row. Of equally good ones the highest.
co_cutoff co_best_f1(const co_binary_scores *scores);
co_cutoff co_best_profit(const co_binary_scores *scores);

// A tenth of the rows, by falling score; of a tie on its border, a fraction.
typedef struct co_decile {
  double rows, positives; // weights
  double rate;            // positives / rows
  double lift;            // rate over that of all rows
  double gain;            // share of all positives in this and the higher ones
  double score;           // mean
} co_decile;
void co_deciles(co_decile out[CO_DECILES], const co_binary_scores *scores);

// Fits temperature and threshold of each output of the model to scores of the validation rows, which
// the evaluation kept.
co_status co_decide(const co_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
#endif
