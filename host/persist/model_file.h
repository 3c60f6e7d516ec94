// SPDX-License-Identifier: Apache-2.0
// model.h5 and checkpoints: one HDF5 file with the weights in Keras orientation under
// /model_weights and the attribute model_config (what Keras' load_model reads, of networks that it has
// layers for), and Cohort's own groups beside them: /cohort
// (config, schema, preprocessing), and in checkpoints /optimizer and /trainer. Where a training keeps
// a moving average of its weights (trainer.ema), that is what /model_weights holds, and
// /optimizer/weights those that it goes on with. No clock, host or
// path in it: equal runs give equal bytes. Both carry a checksum over the whole file (h5.h), which is
// verified before anything in it is read; files without one, as written before there was any, are
// read as well.
#ifndef COHORT_HOST_PERSIST_MODEL_FILE_H
#define COHORT_HOST_PERSIST_MODEL_FILE_H

#include "host/config/config.h"
#include "host/core/schema.h"
#include "host/exec/program.h"
#include "host/persist/model_arrays.h"

#define CO_MODEL_FILE_KIND "model" // of checkpoints, too: what h5.h calls the kind of a file

// Where training stands, as a checkpoint keeps it.
typedef struct co_training_state {
  int64_t step;                   // updates done (skipped ones count)
  uint32_t epoch;                 // epoch in work
  int64_t batch;                  // next batch of it
  int64_t updates[CO_MAX_PHASES]; // of each phase's optimizer
  int64_t phase_count;            // 1 without trainer.phases
  uint64_t seed;
  double best;           // best monitored value so far, NaN if none
  int64_t best_step;     // its checkpoint's step, -1 if none
  int64_t bad_epochs;    // since the best
  bool finished;         // early stop or the last epoch
  double rate;           // what plateaus and rollbacks have left of the learning rate: 1 at first
  int64_t plateau;       // epochs since the best or since the rate fell
  int64_t rollbacks;     // so far
  int64_t metrics_bytes; // length of metrics.jsonl that belongs to it
  int64_t sum_count;     // accumulators of the epoch in work
  double *sums;          // owned by whoever filled it
} co_training_state;

typedef struct co_model_baseline {
  const char *name;
  const co_model_arrays *arrays;
} co_model_baseline;

#define CO_MODEL_PREDICTOR_GROUP "/cohort/predictor"
#define CO_MODEL_BASELINES_GROUP "/cohort/baselines" // with a group for each, by its name

#define CO_MODEL_GOLDEN_GROUP "/cohort/golden"

// Some training rows and what the model made of them when it was trained (eval/golden.h).
typedef struct co_model_golden {
  // INPUT: "values" (rows, …), of texts "texts" u8, each with a NUL behind it; of columns of events
  // "values" (events, …). TABLE: "offsets" i64 (rows + 1), of a table of events.
  co_model_arrays inputs;
  co_model_arrays scores; // OUTPUT: "scores" f32 (rows, width)
  double rounding;        // of those scores, as a share of the largest
  // The network of a blend with a model of next items has these scores; in files that do not say so, the blend.
  bool of_network;
} co_model_golden;

#define CO_MODEL_PROFILE_GROUP "/cohort/profile"

// How training rows and scores were distributed (eval/drift.h): "edges" f64 or "codes" i64, "counts" i64.
typedef struct co_model_profile {
  co_model_arrays inputs, outputs;
} co_model_profile;

// What attributions are measured from (eval/attribution.h): "reference" of each encoded input.
#define CO_MODEL_REFERENCE_GROUP "/cohort/reference"

typedef struct co_model_file_content {
  const co_schema *schema; // columns that the model uses
  co_fitted *const *fitted;
  int64_t fitted_count;
  co_store *store;
  const co_graph *network; // that the store is of, for Keras
  const char *config;      // JSON
  const char *dataset_fingerprint;
  const char *recipe;        // of raw rows (datasets/recipe.h), NULL = none
  const char *split;         // by which such a table is split (co_dataset_split_rule), or NULL
  const co_carried *carried; // tables that it joins to them
  int64_t carried_count;
  const co_training_state *training; // NULL: a model without training state
  const co_model_arrays *predictor;  // NULL: it is a network
  const co_model_baseline *baselines;
  int64_t baseline_count;
  const co_model_golden *golden;    // NULL = none
  const co_model_profile *profile;  // likewise
  const co_model_arrays *reference; // likewise
} co_model_file_content;

// Writes atomically.
co_status co_model_file_write(co_context *ctx, const char *path,
                              const co_model_file_content *content);

// What a file says before a network is built from it. All in the arena.
typedef struct co_model_file {
  const char *path;
  co_node *config;
  const char *config_text;
  co_schema schema; // columns the model uses
  const char *dataset_fingerprint, *weights_sha256;
  const char *recipe; // NULL = none
  const char *split;  // likewise
  co_carried *carried;
  int64_t carried_count;
  char **baselines; // their names
  int64_t baseline_count;
  bool has_training;
  co_training_state training;
  bool newer; // refused, but not damaged: it is of a format that a later version writes
} co_model_file;

// What is damaged or of another format is CO_ERR_MODEL, what cannot be read CO_ERR_IO.
co_status co_model_file_read(co_model_file *out, co_arena *arena, const char *path);
// Fills fitted arrays by their names.
co_status co_model_file_read_fitted(co_context *ctx, const char *path, co_fitted *const *fitted,
                                    int64_t count);
// Empty where the file has none.
co_status co_model_file_read_golden(co_model_golden *out, co_arena *arena, const char *path);
co_status co_model_file_read_profile(co_model_profile *out, co_arena *arena, const char *path);
co_status co_model_file_read_reference(co_model_arrays *out, co_arena *arena, const char *path);
// Whether the file has the parameters of a graph, in their shapes: before memory is taken for them,
// since a small file may claim a huge network.
co_status co_model_file_check_weights(co_context *ctx, const char *path, const co_graph *network);
// Fills the store's parameters (co_store_result) and state; with `training` also what goes on with it:
// the optimizer's slots, and where the parameters are an average the weights behind it. Names, shapes
// and checksums are verified.
co_status co_model_file_read_weights(co_context *ctx, const char *path, co_store *store,
                                     bool training);
// What a model file has of a parameter of another network.
typedef struct co_weight_match {
  bool known;     // one of that name
  bool taken;     // and of the same shape
  co_shape shape; // where it is known: that in the file
  // Given: the dimension + 1 that belongs to tokens, which may be of another size there, 0 = none; and of
  // each of its places that in the file, -1 = none, which stays as it is. NULL: the same one.
  int of_tokens;
  const int64_t *from;
} co_weight_match;
// An array of that feature, name and type, of any shape, into the arena; bytes NULL = the file has none.
co_status co_model_file_find_fitted(co_fitted *out, co_arena *arena, const char *path);
// Fills `out`, parallel to the store's entries, but for what is given. With `write` parameters and state that match become the
// store's (weights and their moving average; optimizer's slots stay), the others stay as they are.
co_status co_model_file_take_weights(co_weight_match *out, co_context *ctx, const char *path,
                                     co_store *store, bool write);
// Reads all weights and optimizer's slots of a file and drops them.
co_status co_model_file_read_all(co_context *ctx, const char *path, const co_graph *network);
// Resolves a run directory, checkpoint or model file to the file to open (co_free it): of a run
// directory model.h5, else the newest checkpoint; of a folder of runs that of its `latest`.
co_status co_model_file_find(char **out, co_context *ctx, const char *path);
// The same by an absolute path, the arena's, which is right in any folder; and reads it.
co_status co_model_file_find_and_read(co_model_file *out, const char **absolute, co_arena *arena,
                                      const char *path);

#endif
