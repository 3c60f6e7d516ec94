// SPDX-License-Identifier: Apache-2.0
// What trials came to as a function of their parameters, by a random forest (Breiman, Machine Learning
// 45, 2001), and its marginals: the mean over all other parameters, exact, since a tree is constant on
// boxes. From these fANOVA (Hutter, Hoos & Leyton-Brown, ICML 2014): which share of the function's
// variance a parameter explains alone. Means are over the space as it is searched: numbers by their place
// in it (logarithms where it has them; Optuna 5.0.0 takes numbers as they are), categories alike. What does
// not count in a trial lies amid its range. 64 trees, each over as many trials as there are, drawn with
// replacement; grown until the trials in a leaf are alike; all parameters are tried at each split.
#ifndef COHORT_HOST_TUNE_FOREST_H
#define COHORT_HOST_TUNE_FOREST_H

#include "host/tune/study.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_forest co_forest;

// Of the complete trials with a finite value, the first goal's. The same trials, the same forest. *out is
// NULL where there are fewer than two.
co_status co_forest_create(co_forest **out, co_context *ctx, const co_space *space,
                           const co_trials *trials);
void co_forest_free(co_forest *forest); // NULL is legal

// out[i] of parameter i; they add up to 1, or are all 0 where nothing varies.
co_status co_forest_importances(double *out, const co_forest *forest);

// How finely a parameter is cut for co_forest_surface: its categories, else CO_SURFACE_CELLS.
enum { CO_SURFACE_CELLS = 24 };
int64_t co_surface_cells(const co_parameter *parameter);
// The marginal of two parameters in the middle of each cell, (cells of b, cells of a).
co_status co_forest_surface(double *out, const co_forest *forest, int64_t a, int64_t b);

#ifdef __cplusplus
}
#endif
#endif
