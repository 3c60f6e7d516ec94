// SPDX-License-Identifier: Apache-2.0
// RUN/scores.h5: how the chosen model scored the validation rows, so that runs are compared without scoring
// anything again. HDF5 with a checksum over all (core/h5.h, kind "scores"); no clock, path or host in it:
// equal runs give equal bytes. The root's attributes:
//
//     format               "cohort-kept-scores", version 3
//     split                "validation"
//     dataset_fingerprint  of the dataset and its splits, whose rows are numbered
//     weights_sha256       of the model: that of model.h5; of selected.h5, where there is one
//     rows                 of the split
//
//     /sums, /weight_sums  f64: sums of losses and metrics over all rows, and what they are divided by
//     /scores/OUTPUT/      of each output with metrics over scores, a value a row whose target is known:
//         row              i64, number in the dataset
//         target           f64, value or number of the class
//         weight           f64
//         score            f32 (rows, width): prediction, or probability of each class; of more than 100
//                          classes, and of next items, (rows, 15): the probability and the place of the true
//                          one, which is the likeliest, whether the row's history has the true one, what share
//                          of the list it has, and the list of the 10 likeliest (-1 = no more)
//         unit             i64, there, and where entities have several rows: rows of one number belong together
//     /scores/OUTPUT/quality  of images given back: weight, and sums of squared and absolute errors and SSIM
//
// Splits whose scores would take more than CO_MOST_KEPT_BYTES have no file.
#ifndef COHORT_HOST_EVAL_KEPT_SCORES_H
#define COHORT_HOST_EVAL_KEPT_SCORES_H

#include "host/eval/evaluation.h"

#define CO_SCORES_FILE "scores.h5"
enum { CO_MOST_KEPT_BYTES = 1 << 28 };

// What scores are of.
typedef struct co_scores_identity {
  const char *split, *dataset_fingerprint, *weights_sha256;
} co_scores_identity;

// Whether the scores that an evaluation keeps (co_evaluation.keeps) are few enough for a file.
bool co_kept_scores_fit(const co_evaluation *evaluation);
// Writes them, by rename.
co_status co_kept_scores_write(const co_evaluation *evaluation, const char *path,
                               const co_scores_identity *identity);
enum { CO_KEPT_SCORES_VERSION = 3 };
typedef enum co_kept_state { CO_KEPT_NONE, CO_KEPT_OTHER_VERSION, CO_KEPT_FOUND } co_kept_state;
// Reads the file into a created evaluation, as if co_evaluate had just been called with `keeps`. *state: whether
// there is such a file, and it is of this version and identity; else nothing is changed. What is damaged is
// CO_ERR_MODEL.
co_status co_kept_scores_read(co_evaluation *evaluation, const char *path,
                              const co_scores_identity *identity, co_kept_state *state);

#endif
