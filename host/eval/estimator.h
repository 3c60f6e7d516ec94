// SPDX-License-Identifier: Apache-2.0
// What predicts without being a network: fitted to all training rows at once, listed in
// estimators.def, one file each. It gives the values of the heads (logits, numbers), from which the
// model's graph makes predictions, losses and metrics as it does from a network's. What it learned
// are named arrays, which model files store and read back without knowing what they mean.
#ifndef COHORT_HOST_EVAL_ESTIMATOR_H
#define COHORT_HOST_EVAL_ESTIMATOR_H

#include "host/config/config.h"
#include "host/eval/history.h"
#include "host/feed/design.h"
#include "host/persist/model_file.h"

typedef struct co_estimator co_estimator;

// What it is fitted to.
typedef struct co_fit_data {
  const co_design *training, *validation; // the latter may have no rows
  const co_history *history;              // of classes with score_history: in place of both
  co_dataset *dataset;                    // of classes with score_texts: where texts are
  const int64_t *samples, *validation_samples;
  int64_t sample_count, validation_count;
  int threads;
  uint64_t seed;
  const co_watch *watch;
} co_fit_data;

// What inputs make of the head's value of a batch (attribution.h).
typedef struct co_estimator_attribution {
  int64_t output, class_; // of which output, and class; -1 = of each row the likeliest
  const co_design *rows;
  const double *mean; // per column of the matrix, of training rows
  // Filled: (rows, numbers + codes), and per row.
  double *shares, *value, *reference;
  int32_t *chosen;
} co_estimator_attribution;

typedef struct co_estimator_class {
  const char *name; // what `predictor: {type: …}` calls it
  const char *doc;
  bool baseline; // it stands beside networks alone and is no `predictor`
  // Of those with score_history that see when and for how much, not items, and learn from that alone,
  // without targets: the model behind them. Else NULL.
  const struct co_buyers_model *purchases;
  const co_field *fields;
  size_t options_size;
  co_status (*find_library)(void); // that it needs; NULL = none
  // Why it cannot predict such an output, NULL if it can.
  const char *(*refuses)(const co_output_feature *output);
  // Bytes for each row that fitting takes beside the matrix.
  size_t (*row_bytes)(const co_estimator *estimator);
  // Fills estimator->arrays of one output.
  co_status (*fit)(co_estimator *estimator, int64_t output, const co_fit_data *data);
  // Gets ready to score, with all arrays there: fitted, or read from a file, whose shapes are not yet
  // checked. NULL = nothing is to be done.
  co_status (*open)(co_estimator *estimator);
  // The head's values of a batch, (rows, width). Any thread, several at once.
  co_status (*score)(const co_estimator *estimator, int64_t output, const co_design *rows,
                     float *heads);
  // In place of `score`, of those that see what happened before a sample (history.h) and no matrix.
  co_status (*score_history)(const co_estimator *estimator, int64_t output,
                             const co_history *history, const int64_t *samples, int64_t rows,
                             float *heads);
  // The same of those that see texts; whether a model reads some.
  bool (*reads_texts)(const co_model *model);
  co_status (*score_texts)(const co_estimator *estimator, int64_t output, co_dataset *dataset,
                           const int64_t *samples, int64_t rows, float *heads);
  const char *attribution; // what `attribute` gives: "SHAP values"
  // NULL = it cannot be told.
  co_status (*attribute)(const co_estimator *estimator, const co_estimator_attribution *asked);
  // Of the arrays of a model file: what they say, into an open object, and as text without a line's
  // end. NULL = nothing to be read.
  void (*report)(const struct co_estimator_class *class_, const co_model_arrays *arrays,
                 co_json *json, co_text *text);
  void (*close)(co_estimator *estimator); // NULL = nothing is to be done
} co_estimator_class;

struct co_estimator {
  const co_estimator_class *class_;
  co_context *ctx;
  co_arena *arena;
  co_model *model; // borrowed; scored
  co_design_columns columns;
  const void *options;
  co_model_arrays arrays; // what models store
  void *state;            // the class's
  int64_t iterations;     // of fitting, of all outputs
};

const co_estimator_class *co_estimator_find(const char *name); // NULL if unknown
const co_estimator_class *const *co_estimator_list(void);      // NULL-terminated

// The section `predictor` of a config: class NULL = a network.
typedef struct co_predictor_settings {
  const co_estimator_class *class_;
  void *options;
} co_predictor_settings;
co_status co_predictor_settings_parse(co_predictor_settings *out, const co_node *root,
                                      co_arena *arena, co_diagnostics *problems);
void co_predictor_settings_render(co_json *json, const co_predictor_settings *settings);

// The device for one: the CPU, whichever was asked for; CO_ERR_DEVICE if that was another.
co_status co_estimator_choose_device(const char **device, const char *type);
// Of a scored model. `options` NULL: all as by default, beside a network, to which it leaves inputs of
// events. A problem of the model (an output that the class cannot predict, events) is CO_ERR_CONFIG.
co_status co_estimator_create(co_estimator **out, const co_estimator_class *class_,
                              const void *options, co_model *model);
void co_estimator_free(co_estimator *estimator); // NULL is legal
// Fits all outputs and gets ready to score.
co_status co_estimator_fit(co_estimator *estimator, const co_fit_data *data);
// Reads what a model file has under `group` and gets ready to score.
co_status co_estimator_read(co_estimator *estimator, const char *path, const char *group);
// Scoring the rows of a dataset.
typedef struct co_estimator_run {
  const co_estimator *estimator;
  co_history history;  // of classes that see it
  co_dataset *dataset; // of those that see texts
} co_estimator_run;
co_status co_estimator_start(co_estimator_run *run, const co_estimator *estimator,
                             co_dataset *dataset);
// A co_fill_heads, of a co_estimator_run.
co_status co_estimator_fill_heads(void *user, const int64_t *samples, const void *const *inputs,
                                  int64_t rows, float *const *heads);

// ---- for classes -------------------------------------------------------------------------------

// For refuses: takes one number, binary or category.
const char *co_estimator_takes_scalars(const co_output_feature *output);
// Adds an array of an output, zeroed.
co_status co_estimator_add(co_estimator *estimator, int64_t output, const char *name,
                           co_dtype dtype, const co_shape *shape, void **bytes);
// One of that dtype and shape (-1: any); CO_ERR_MODEL if there is none.
co_status co_estimator_array(const co_estimator *estimator, int64_t output, const char *name,
                             co_dtype dtype, const co_shape *shape, const co_fitted **out);

// Shares of a value become shares of a function of it by its mean slope between the reference's value and
// the row's: of Shapley values the chain rule of Chen, Lundberg & Lee, "Explaining a series of models by
// propagating Shapley values", 2022; of a linear value that is what integrated gradients are.
typedef double co_head_function(const void *user, double value);
double co_mean_slope(co_head_function *function, const void *user, double from, double to);
// Of a row, whose value and reference become the head's, too.
void co_estimator_rescale(const co_estimator_attribution *asked, int64_t row,
                          co_head_function *head, const void *user);

#endif
