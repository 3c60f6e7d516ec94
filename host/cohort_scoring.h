// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): what is done with a trained model.
#ifndef COHORT_COHORT_SCORING_H
#define COHORT_COHORT_SCORING_H

#include "cohort_sources.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cohort_evaluate_options {
  const char *model; // run directory, checkpoint or model file
  // A raw table is split as that of the training was, and must have the targets.
  const char *dataset;
  const char *split; // "train", "validation", "test"; NULL = "test"; of a raw table also "all"
  cohort_source_options source; // of a raw table
  const char *const *sources;   // in its place, of a model of several: as for scoring
  int64_t source_count;
  const char *device;    // "auto", "cpu", "ref", "cuda[:N]"; NULL = "auto"
  const char *precision; // "tf32", "32" or "bf16"; NULL = "tf32", however it was trained
  int threads, workers;  // 0 = the context's; 0 = 1 loader thread
  // As for training, but "auto" takes what the model's run has chosen first, where device and library are
  // the same, and what is timed now goes into the cache alone.
  const char *autotune, *autotune_cache;
  int64_t batch_size;         // rows, at most 2^24; 0 = the model's
  const char *const *require; // gates such as "accuracy>=0.9"
  int64_t require_count;
  int64_t draws;  // of the bootstrap behind the intervals; 0 = 1000, fewer of many rows, < 0 = none
  uint64_t seed;  // of those
  const char *by; // column by whose values metrics are told, too; NULL = none
  const char *const *profit; // what rows of binary targets bring: "tp=10", "fp=-1", "fn=…", "tn=…"
  int64_t profit_count;      // 0 = as the model's config says
  bool exclude_seen;         // of next items, rank only those that a sample's own history has not
  // Further models, measured on the same rows: "NAME=MODEL" or MODEL, as `model` then may be, too. The
  // document has a list "models" and "pairs", the differences of each from the first. Gates are for all.
  const char *const *more_models;
  int64_t more_model_count;
} cohort_evaluate_options;
COHORT_API cohort_status cohort_evaluate(cohort_context *context,
                                         const cohort_evaluate_options *options,
                                         cohort_result **out);

// Some scored rows, by columns, in their order. Borrowed for the call.
typedef enum cohort_score_type {
  COHORT_SCORE_TEXT,   // const char *
  COHORT_SCORE_NUMBER, // float
  COHORT_SCORE_INTEGER // int64_t
} cohort_score_type;
typedef struct cohort_scores {
  int64_t first, rows; // how many came before; how many these are, at most 4,096
  int64_t column_count;
  const char *const *names;
  const cohort_score_type *types;
  const void *const *values; // of each column as many as rows
} cohort_scores;
// Called on the thread that scores; at least once.
typedef void (*cohort_scores_function)(void *user, const cohort_scores *scores);

typedef struct cohort_predict_options {
  // The dataset: a dataset.h5, a raw table, or a folder or archive (tar, zip) of images, named by their files, of which those
  // that cannot be read are left out (source.on_error "skip" or "fail", source.max_errors).
  const char *model, *dataset;
  const char *split; // NULL = all rows
  // A file, by `format` "csv", "tsv" (values in quotes where they need them), "jsonl" or "h5", NULL = by its
  // name, else csv; "-" = standard output; "sqlite:FILE", "postgresql://…": a table of a database, made if it is not
  // there. If it is, "fail" (NULL), "append", "replace" (made anew) or "upsert" (rows in place of those
  // with their key). All rows are committed at once.
  const char *output, *format, *table, *if_exists;
  // What is written of each row, in this order: "WHAT", "OUTPUT.WHAT" (else of the first output),
  // "WHAT=NAME" to rename it, WHAT being key, prediction, score, label, probabilities, top3 (the likeliest
  // classes with their scores), reasons (or reasons5: the three, or five, columns of the source with the
  // largest shares in the score, what the row has there, and the share, of log-odds), rank, percentile, decile, reconstruction_error, embedding, kl (of a variational
  // bottleneck, of each of its numbers), model (its
  // weights_sha256), scored_at, holdout. Rank 1, the first percentile and decile have the highest scores; rows of equal
  // scores share them. They are of all rows scored. None = the key, and
  // what the outputs' types have.
  const char *const *columns;
  int64_t column_count;
  // What was done: rows, columns, hashes, time. NULL = beside a file, OUTPUT.manifest.json, beside a
  // database in a file, FILE.TABLE.manifest.json; of standard output none.
  const char *manifest;
  // Goes on where the same job was killed, to the same result; begins where there was none, and does
  // nothing where it is complete. A job of other rows, of another model or with other options is
  // refused. `save_rows`: rows between two positions that are safe on disk, 0 = 65,536.
  bool resume;
  int64_t save_rows;
  // Gates, status 10: nothing is written. "psi=0.25": the most that an input or the scores may differ from
  // those of the training, by psi, ks, the share that is missing beyond that of the training, or the
  // share unseen; several by commas. Rows that have to be scored, at least.
  const char *max_drift;
  int64_t require_rows;
  // Columns that follow the others: of the source, as they are; `scored_at`, the caller's; `holdout`, "10%"
  // or "10%:NAME": 1 for so many rows, by a hash of NAME and the key, who stay the same from job to job.
  const char *const *passthrough;
  int64_t passthrough_count;
  const char *scored_at, *holdout;
  const char *shard; // "I/N": the I-th of N contiguous parts of the rows; NULL = all
  const char *device, *precision;
  int threads, workers;
  const char *autotune, *autotune_cache; // these six as for evaluation
  int64_t batch_size;
  bool force;      // replace an existing output; only regular files are, and none that is read
  bool calibrated; // probabilities after temperature scaling; else as the network gives them
  const char *key; // of a raw table as dataset: the column that names rows; NULL = as
                   // where the model was trained, else their number
  // Of a raw table; its rows lie meanwhile in source.temporary_folder if the output is "-".
  cohort_source_options source;
  // In place of a dataset: raw tables "NAME=SOURCE", by the names that the model was trained with; of
  // joined ones that it carries they need not be given. Of models of event logs it is events=LOG: of
  // the events before `as_of` ("2011-09-01") each entity is scored that has some, in ascending order,
  // or those of `population`, a table with their column, in its order. Beside it, ITEMS=FILE is a newer table
  // of its items, called as in training: those that training never saw are then what their rows say.
  const char *const *sources;
  int64_t source_count;
  const char *as_of, *population;
  int64_t top_k;     // of outputs of one of several classes only the so many likeliest; 0 = all
  int64_t reasons;   // columns with so many reasons of the first output follow; 0 = none
  bool exclude_seen; // of next items, those of a sample's own history have the score 0
  cohort_scores_function take; // gets the rows in place of `output`; there is no manifest then
  void *take_user;
  // Further models, which score the same rows, read once: "NAME=MODEL" or MODEL, called as its folder or
  // file (as `model` is, too). Their outputs, NAME_OUTPUT, stand side by side; or `ensemble` makes one
  // score of all: "mean" of theirs, "rank_mean" of the share of rows that score no higher. Of an
  // experiment, as any of them, all models are members; NULL is then "mean". Tables are scored so.
  const char *const *more_models;
  int64_t more_model_count;
  const char *ensemble;
  // Where rows and scores lie meanwhile; NULL = beside the output.
  const char *temporary_folder;
} cohort_predict_options;
COHORT_API cohort_status cohort_predict(cohort_context *context,
                                        const cohort_predict_options *options, cohort_result **out);

// Several runs over one dataset, beside each other: in what their configs differ, their metrics with
// intervals, and of each run but the first the paired differences from it, with a p-value. Validation rows
// are not scored anew where a run has kept its scores of them (RUN/scores.h5).
typedef struct cohort_compare_options {
  const char *const *runs; // directories; at least two
  int64_t run_count;
  const char *dataset;  // NULL = the one that their run.json name
  const char *split;    // NULL = "validation"
  const char *device;   // as for evaluation
  int threads, workers; // these two too
  int64_t draws;        // of the bootstrap, as for evaluation
  uint64_t seed;        // of it
  bool csv;             // text as CSV, a line for each run
} cohort_compare_options;
COHORT_API cohort_status cohort_compare(cohort_context *context,
                                        const cohort_compare_options *options, cohort_result **out);

// A run as one page of HTML that asks for nothing else: how good its model is, on what it relies, how
// it learned, what its data are like. Rows of the split are scored; of no other is more than the
// profile shown.
typedef struct cohort_report_options {
  const char *run; // its directory, with run.json, metrics.jsonl and a model or checkpoint; or
      // the file of a study, of which only these count: `study_name`, `output`, `force`
  const char *study_name; // of one of several in the file; NULL = the only one
  const char *output;     // HTML file
  const char *dataset;    // NULL = the one that run.json names
  const char *split;      // NULL = "validation"
  const char *device;     // as for evaluation
  int threads, workers;
  const char *const *profit; // as for evaluation
  int64_t profit_count;
  bool force; // replace an existing output
} cohort_report_options;
COHORT_API cohort_status cohort_report(cohort_context *context,
                                       const cohort_report_options *options, cohort_result **out);

// What made the scores of rows: effects of columns, in log-odds of a binary target (of one of several classes
// the logit of the likeliest, or of `class_`; of a number its unit), against the mean training row; they
// add up to what the row's value is above that row's. Integrated gradients of networks at `steps` points,
// exact shares of linear models and SVMs, SHAP values of trees. Of other models exit code 3.
typedef struct cohort_explain_options {
  const char *model, *dataset; // as cohort_predict_options has these …
  const char *split, *key;
  cohort_source_options source;
  const char *const *sources;
  int64_t source_count;
  const char *as_of;       // … seven
  const char *const *keys; // the rows of these keys; none = the first
  int64_t key_count, rows; // `rows` of them; 0 = all into a file, else five
  const char *target;      // which output; NULL = the first
  const char *class_;      // of one of several classes; NULL = of each row the likeliest
  // A CSV file with the key, column, value and effect, a line for each column, the reference's value before
  // them; or JSON lines (.jsonl). NULL = the result has the rows. Of a network
  // whose only input is an image also a page (.html) with maps: integrated gradients of pixels, occlusion,
  // Grad-CAM; `rows` 0 = 24 images.
  const char *output;
  int64_t steps; // 0 = 32
  // Of a model of events: in place of columns the last so many events of each row, at most 1000, and the
  // score as they came. The file then has the key, event, values, effect and score. 0 = columns.
  int64_t events;
  const char *device;
  int threads, workers;
  bool force;
} cohort_explain_options;
COHORT_API cohort_status cohort_explain(cohort_context *context,
                                        const cohort_explain_options *options, cohort_result **out);

// The rows of a dataset whose embeddings are nearest to those of some: look-alikes. Of a model with a
// bottleneck; of others exit code 3.
typedef struct cohort_similar_options {
  const char *model, *dataset; // a dataset.h5, a folder or an archive of images
  const char *split;           // among whose rows; NULL = all. The row itself is left out.
  const char *const *keys;     // of the rows that others are compared to
  int64_t key_count, top;      // so many of each; 0 = 10
  const char *measure;         // "cosine" (also NULL) or "euclidean"
  const char *device;
  int threads, workers;
} cohort_similar_options;
COHORT_API cohort_status cohort_similar(cohort_context *context,
                                        const cohort_similar_options *options, cohort_result **out);

// Images that a model's output of type generator, or a variational autoencoder, makes of noise, by the seed and
// the number of each alone. A model without one is exit code 5.
typedef struct cohort_generate_options {
  const char *model;
  const char *output; // a picture of all of them (.png), or a dataset (.h5)
  int64_t count;      // 0 = 64
  uint64_t seed;
  const char *device, *precision; // as cohort_predict_options has them
  int threads;
  bool force; // replace an existing output
} cohort_generate_options;
COHORT_API cohort_status cohort_generate(cohort_context *context,
                                         const cohort_generate_options *options,
                                         cohort_result **out);

// A model as something else: "c", a program of one C11 file that scores tables (CSV) or images (IDX) as
// cohort_predict does, to rounding, and needs libc and libm alone. Exit code 5 names what there
// is no such thing of: predictors of trees, inputs of events. "onnx": ONNX, IR version 8, opset 17, with an
// input for each column, and what can be computed of the preprocessing in the graph; of sequences, too.
typedef struct cohort_export_options {
  const char *model, *format, *output;
  bool force; // replace an existing output
} cohort_export_options;
COHORT_API cohort_status cohort_export(cohort_context *context,
                                       const cohort_export_options *options, cohort_result **out);

// A model of Keras 1 to 3 (`file`, HDF5 or a .keras archive) as a model of Cohort's that scores the
// same. What there is no equal layer or option for is exit code 5, by its name.
typedef struct cohort_convert_options {
  const char *file, *output;
  // [NAME=]COLUMN[:SCALE], NAME as Keras calls the input, of each or of none: in order; without any, one input is
  // the only input column, several are called as in Keras.
  const char *const *inputs;
  const char *const *outputs; // [NAME=]TARGET; without any, called as Keras' layers
  // [NAME=]20x3: the whole shape of an input, without the batch, where the file leaves lengths or sizes open.
  const char *const *input_shapes;
  int64_t input_count, output_count, input_shape_count;
  bool force; // replace an existing output
} cohort_convert_options;
COHORT_API cohort_status cohort_convert(cohort_context *context,
                                        const cohort_convert_options *options, cohort_result **out);

#ifdef __cplusplus
}
#endif
#endif
