// SPDX-License-Identifier: Apache-2.0
// Types of features: each a file in models/features, listed in features.def. A class says which
// columns it takes, what it learns from training rows, which operations make a network's input of
// stored values and which encoder follows; as an output, which head, loss and scores it has.
#ifndef COHORT_MODELS_FEATURE_H
#define COHORT_MODELS_FEATURE_H

#include "host/graph/layer.h"
#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- inputs ------------------------------------------------------------------------------------

struct co_model_builder;

// A section being built, for one block.
typedef struct co_section_builder {
  co_section *section;
  const co_input_block *block;
  int64_t rows; // of the block's table, or CO_DIM_N
  co_value ids;
} co_section_builder;

// What is counted of rows as a feature takes them.
enum {
  CO_COUNT_ROWS,
  CO_COUNT_MISSING,   // values that are missing, or taken as missing
  CO_COUNT_OUTLIERS,  // values beyond fitted bounds
  CO_COUNT_UNSEEN,    // classes that have no row of their own: rare, or not seen in training
  CO_COUNT_DROPPED,   // training rows that are left out for this feature's value
  CO_COUNT_TRUNCATED, // texts of which not all is read
  CO_COUNT_KINDS,
  CO_COUNT_ROOM = 8 // of which models store so many
};
extern const char *const co_count_names[CO_COUNT_KINDS]; // "rows", …

// Learning from training rows, in order, a piece at a time. Several features are fitted at once, each
// by one thread; `end` runs on one thread, in the features' order.
typedef struct co_fit_class {
  size_t state_size; // zeroed before begin
  co_status (*begin)(co_context *ctx, const co_input_feature *feature, void *state);
  // `values` (rows, …) of the column's type, of numbers as double; `samples` tells which rows. Of
  // events, a row is an event of that sample. Of a feature that is derived, (rows, columns) as
  // double, as derivations are given them, behind them the column that is only learned from; of texts, (rows) pointers to them.
  co_status (*add)(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                   const int64_t *samples);
  // Once, after the last of them, on the same thread: what took much memory goes. NULL = nothing does.
  co_status (*settle)(const co_input_feature *feature, void *state);
  // Fills feature->fitted.
  co_status (*end)(co_context *ctx, co_input_feature *feature, void *state);
  void (*free)(co_context *ctx, void *state);
} co_fit_class;

// What a dataset says of the classes of a category: what they look like, u8 (classes, H, W, C), and say;
// NULL = nothing.
typedef struct co_class_members {
  const uint8_t *pictures;
  const char *const *descriptions;
} co_class_members;

typedef struct co_input_class {
  const co_field *preprocessing; // NULL = no options
  size_t preprocessing_size;
  const co_field *augmentation; // NULL = there is none
  size_t augmentation_size;
  const char *encoder; // name of the one that follows where none is asked for; of codes
  bool several;        // takes a list of `columns`
  int64_t (*table_rows)(const co_input_block *block); // that codes pick from; NULL or 0 = no codes
  int64_t (*bins)(const co_input_block *block);       // that places lie in; NULL or 0 = no places
  int64_t (*most_events)(
      const co_input_feature *feature); // of sequences: how many are read at most
  // Neighbours with equal options and without an encoder of their own are fed as one block (N, C).
  bool packs;
  // Checks options beyond their fields, and those that are maps; `path` is the feature's. NULL =
  // there are none.
  co_status (*read)(struct co_model_builder *b, const co_node *item, const char *path,
                    co_input_feature *feature);
  // Declares feature->fitted, with what it is before fitting, and feature->derivation. NULL = nothing
  // is learned.
  co_status (*declare)(co_model *model, co_input_feature *feature);
  // Whether these options need fitting. NULL = never.
  bool (*is_fitted)(const co_input_feature *feature);
  const co_fit_class *fit;
  // Fills fitted arrays with what the dataset says of its column's classes. NULL = it is not looked at.
  co_status (*take_classes)(co_context *ctx, co_input_feature *feature,
                            const co_class_members *members);
  // The same of the column's new classes, into the last rows, once what is learned is there. NULL = they are
  // unknown.
  void (*take_new_classes)(co_input_feature *feature, const co_class_members *members);
  const co_fit_class *(*choose_fit)(const co_input_feature *feature); // by options; NULL = `fit`
  // Whether rows may be left out of training for a scalar's value, and, once it is fitted on all of
  // them, which. NULL = never.
  bool (*drops)(const co_input_feature *feature);
  bool (*drops_row)(const co_input_feature *feature, double value);
  // Refuses values, of any split, that the section cannot make an input of, and adds to
  // counts[CO_COUNT_KINDS]; called as fit->add is. NULL = all are taken.
  co_status (*check)(const co_input_feature *feature, const void *values, int64_t rows,
                     const int64_t *samples, int64_t *counts);
  // Whether training mixes whole rows of the batch, and how: attributes of MIX_ROWS. NULL = never.
  bool (*mixes)(const co_input_feature *feature, co_op_attr *attr);
  // Of the block's input of the network.
  co_status (*describe)(const co_input_block *block, co_dtype *dtype, co_shape *shape);
  // Of events whose encoder, whichever it is, works on each by itself: from the block's input of the network to
  // what that reads, (N T, …). NULL = none does.
  co_status (*look_up)(co_model *model, const co_input_block *block, co_value *value);
  // The operations of the section, from stored values to the network's input.
  co_status (*emit)(co_section_builder *builder, co_value *out);
} co_input_class;

// ---- outputs -----------------------------------------------------------------------------------

// One cell of a scored row: text, or a number.
typedef struct co_score_cell {
  const char *text; // NULL = the number; borrowed from the output's column
  double number;
} co_score_cell;

typedef struct co_output_class {
  const char *loss; // by default
  const char *head; // name of the default Dense layer
  const char *prediction;
  co_op activation; // of the prediction that is shown; CO_OP_COUNT = none
  co_dtype target;  // CO_I32 (N), or CO_F32 (N, width)
  int64_t (*width)(const co_output_feature *output); // of the head
  int64_t (*cells)(const co_output_feature *output); // columns when scoring
  // Name of the i-th; to be freed. NULL = no memory.
  char *(*cell_name)(co_context *ctx, const co_output_feature *output, int64_t i);
  // `scores` is the row's prediction, of `width` numbers.
  co_score_cell (*cell)(const co_output_feature *output, const float *scores, int64_t i);
} co_output_class;

struct co_feature_class {
  const char *name; // what `type:` calls it
  const char *doc;
  bool of_events;     // takes columns of event tables instead of those with one row a sample
  const char *metric; // of an output, what its mean loss is called; NULL = as the loss says
  uint32_t columns;   // bit per co_column_type that it takes; 0 = it is no column's
  const co_input_class *input;   // NULL = it is no input
  const co_output_class *output; // NULL = it is no output
};

const co_feature_class *co_feature_class_find(const char *name); // NULL if unknown
const co_feature_class *const *co_feature_class_list(void);      // NULL-terminated
// The first in the list that takes such columns as an input (or as an output); NULL if none does.
const co_feature_class *co_feature_class_of(co_column_type type, bool of_events, bool output);

// ---- for classes -------------------------------------------------------------------------------

// Declares `count` more fitted arrays of a feature, zeroed.
co_status co_feature_declare(co_model *model, co_input_feature *feature, const co_fitted *arrays,
                             int64_t count);
// The fitted array of that name; it must have been declared.
co_fitted *co_feature_fitted(const co_input_feature *feature, const char *name);
// i64 (CO_COUNT_ROOM) of the training rows; NULL where the class counts nothing.
co_fitted *co_feature_counts(const co_input_feature *feature);
// Feeds what is made of the feature's columns; without a `user`, `derive` is given the feature.
co_status co_feature_derive(co_model *model, co_input_feature *feature, const co_derivation *made);
// Values of images as they are fed, back to pixels.
void co_image_pixels(const co_input_feature *feature, const float *values, int64_t count,
                     uint8_t *pixels);
// The type and number of a feature's values in a row, as they are fed.
co_dtype co_feature_dtype(const co_input_feature *feature);
int64_t co_feature_width(const co_input_feature *feature);

// The block's stored values (N, …): gathered from their table, or as they came. Scalars are (N, C).
// `pivots`: each feature has a fitted array "pivot", which is taken off.
co_status co_section_rows(co_section_builder *builder, bool pivots, co_value *out);
// The same of a block whose columns belong to events: (N, T, …).
co_status co_section_events(co_section_builder *builder, bool pivots, co_value *out);
// The codes of a text: i32 (N, T).
co_status co_section_sequence(co_section_builder *builder, co_value *out);
// The fitted arrays of that name of all the block's features, one behind the other, as (length).
co_status co_section_fitted(co_section_builder *builder, const char *name, co_value *out);

#ifdef __cplusplus
}
#endif
#endif
