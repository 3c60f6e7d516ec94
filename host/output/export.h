// SPDX-License-Identifier: Apache-2.0
// A model opened to be written as something else: its input section and network as flat lists of the
// operations that scoring one row takes, not fused, in canonical layouts, and its weights.
#ifndef COHORT_HOST_OUTPUT_EXPORT_H
#define COHORT_HOST_OUTPUT_EXPORT_H

#include "datasets/recipe.h"
#include "host/eval/blend.h"
#include "host/eval/golden.h"
#include "host/plan/plan.h"

typedef struct co_exported {
  co_context *ctx;
  co_arena *arena;
  char *path; // of the model file
  co_model_file file;
  co_model *model;
  co_model_golden golden;  // may be empty
  co_estimator *estimator; // NULL of a network
  co_backend *backend;     // the reference
  co_store *store;         // of the network
  co_plan *network;
  co_section *section; // its outputs are the blocks'
  co_store *nothing;   // sections have no parameters
  co_plan *section_plan;
  co_baselines baselines;
  // Of a blend, what the network's predictions are mixed with, and with which weight in each output's.
  struct co_exported *baseline;
  float *blend;
  int64_t made_inputs;    // of ONNX: inputs that the caller makes of columns …
  const char *made_input; // … the first of them
  bool is_baseline;       // this is that: it borrows all but `network` and `store`
} co_exported;

// To be closed in any case.
co_status co_exported_open(co_exported *out, co_context *ctx, const char *model);
void co_exported_close(co_exported *exported);

// The value that a value shares its memory with, where it is another shape of it.
co_value co_exported_base(const co_plan *plan, co_value value);
// The values of a parameter or state of the network, f32, canonical; the arena's.
co_status co_exported_weights(co_exported *exported, co_value value, const float **out);
// What a feed of fitted arrays brings, one behind the other; the arena's.
co_status co_exported_fitted(co_exported *exported, const co_feed *feed, const void **out);
// The section's feed of input `index`.
const co_feed *co_exported_feed(const co_exported *exported, int32_t index);

// CO_ERR_MODEL: what cannot be exported, and what to use instead.
co_status co_exported_refuse(const co_exported *exported, const char *what, const char *name,
                             const char *format);

// The same of what no format has.
co_status co_exported_check(const co_exported *exported, const char *format);

// `recipe`: how the model's raw rows were read; may be empty.
co_status co_export_c(co_text *out, co_exported *exported, const co_recipe *recipe);
co_status co_export_onnx(co_text *out, co_exported *exported);

#endif
