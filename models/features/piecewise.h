// SPDX-License-Identifier: Apache-2.0
// Numbers by bins: the piecewise linear encoding (Gorishniy et al. 2022). Edges are fitted on training
// rows; a number becomes its place among them, from which the encoder piecewise_linear goes on.
#ifndef COHORT_MODELS_FEATURES_PIECEWISE_H
#define COHORT_MODELS_FEATURES_PIECEWISE_H

#include "models/features/scalar.h"

enum { CO_PIECEWISE_BINS = 256 }; // at most

// Edges of `bins` bins at most, into `edges` (bins + 1), ascending: all values, where they are no more
// than that; else those held by at least count / bins of the values, and beside them quantiles of the
// rest at equal steps. `sorted` ascending, at least one; it is overwritten. Returns how many.
int64_t co_piecewise_edges(double *sorted, int64_t count, int64_t bins, double *edges);

// Fitted arrays: "edges" f32 (bins + 1), counted from the pivot, beyond the last one infinite; "fill"
// and "pivot" as of other numbers (numeric.h), with the median where those have the mean by default.
co_status co_piecewise_declare(co_model *model, co_input_feature *feature, int64_t bins);
// Holds the training rows of a column, sorts them, and lets them go before `end`.
extern const co_fit_class co_piecewise_fit;
// f32 (N, C) places in bins; beside them 1 where they were missing, with an indicator.
co_status co_piecewise_emit_rows(co_section_builder *builder, co_value *out);

#endif
