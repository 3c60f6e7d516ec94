// SPDX-License-Identifier: Apache-2.0
// What a model needs to be fed: a list, told by the model, that whoever makes batches goes through
// without knowing any type of feature.
#ifndef COHORT_HOST_GRAPH_FEED_H
#define COHORT_HOST_GRAPH_FEED_H

#include "host/core/schema.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// An array learned from training rows. It is stored in models under its names and read back without
// knowing what it means.
typedef struct co_fitted {
  const char *feature, *name; // "age", "mean"
  co_dtype dtype;
  co_shape shape;
  void *bytes;      // owned by the model
  bool optional;    // models written before it was known lack it: it keeps the value it begins with
  bool given;       // files do not have it, or are not asked: it is what it was declared with
  int64_t new_rows; // the last of them, which files do not have: of classes that came later
} co_fitted;

// What a feature is fed in place of stored scalars, or a text: made of a row by the host, in double,
// so that every device is fed the same bits.
enum { CO_DERIVED_COLUMNS = 256 };

// What a derivation makes of one number x, as exports write it down: bounds, then the logarithm.
typedef struct co_scalar_formula {
  enum { CO_FORMULA_IDENTITY, CO_FORMULA_LOG1P, CO_FORMULA_SIGNED_LOG1P } function;
  const double *bounds;  // (2): the least and the most x
  bool clips;            // x beyond them is the bound; else missing
  const double *minimum; // stands in for x of LOG1P where that is -1 or less
  const double *pivot;   // what is taken off in the end
} co_scalar_formula;

typedef struct co_derivation {
  const co_column *const *columns; // scalars that it reads, at most CO_DERIVED_COLUMNS
  int64_t column_count;
  co_dtype dtype; // f32 or i32
  int64_t width;  // values that it makes of a row
  bool of_sample; // they differ between the samples of one row of a table
  // `values`: one a column, NaN = missing; of categories the code. `sample`: in training, which of the
  // samples that were learned from; else -1. `out`: `width` values.
  void (*derive)(const void *user, const double *values, int64_t sample, void *out);
  // In its place, of one column of several numbers: those of a row.
  void (*derive_row)(const void *user, const float *values, void *out);
  void (*derive_text)(const void *user, const char *text, void *out); // in its place, of one text
  // In its place, of a TEACHER: of the i32 codes (taught_width) of the same row that the target before
  // it is fed.
  void (*derive_taught)(const void *user, const int32_t *codes, void *out);
  int64_t taught_width;
  // In their place, a sequence: writes at most `most` of a text's i32 codes, `width` is 1; returns how
  // many it has.
  int64_t (*derive_sequence)(const void *user, const char *text, int64_t most, int32_t *out);
  const void *user;
  // Prints what it does as the body of a C function of `values`, `text` and `out`, with what of
  // Cohort's sources stands there between the marks "scorer: NAME" (output/c_program.h); NULL = it
  // cannot be had.
  void (*print_c)(const void *user, co_text *out);
  const char *c_sections;           // "NAME, NAME"; NULL = none
  const co_scalar_formula *formula; // all that `derive` does, of one column; NULL = more than that
} co_derivation;

typedef enum co_feed_kind {
  CO_FEED_TABLE, // every row of the table that the columns belong to (R, …)
  CO_FEED_INDEX, // i64 (N): which of them are the batch's
  CO_FEED_ROWS, // in place of both: the batch's rows themselves (N, …); of events (N, T, …), zero
                // behind a sample's last
  CO_FEED_EVENTS,  // every event of the table that the columns belong to (E, …)
  CO_FEED_BEGIN,   // i64 (N): where the batch's samples have their first event
  CO_FEED_LENGTHS, // i32 (N): how many events they have
  CO_FEED_IDS,     // i64 (N): sample ids
  CO_FEED_FITTED,  // fitted arrays, one behind the other
  CO_FEED_TARGET,  // a column's values (N) or (N, …); codes as numbers where the input is one
  CO_FEED_TEACHER, // (N) or (N, width): what is made of the target before it for what learns by steps
  CO_FEED_NOISE,   // f32 (N, width): standard normal numbers of each sample and epoch
  CO_FEED_CONSTANT, // f32 (N, width): of targets, the same numbers for every row
  CO_FEED_WEIGHT    // (N): sample weight, 0 where the target is missing and in padding
} co_feed_kind;

// One input of a graph. Columns that are fed together lie side by side in each row. BEGIN, LENGTHS
// and rows of events take the last T of a sample's events, if there are more. Of a sequence that is
// made of texts, ROWS are (N, T).
typedef struct co_feed {
  co_feed_kind kind;
  bool network;  // of the network's graph, else of the input section's
  int32_t input; // its position there
  const co_column *const *columns;
  int64_t column_count;
  // Of numbers, f64 (1) per column, or NULL: what is taken off the stored value before it is rounded.
  co_fitted *const *pivots;
  // What is made of the columns, which lie behind one another here; NULL = they are fed as stored.
  const co_derivation *const *derivations;
  int64_t derivation_count;
  co_fitted *const *fitted;
  int64_t fitted_count;
  int32_t event_table;   // of events: number of the table, as in CO_DIM_T
  int32_t loss;          // TARGET, WEIGHT, CONSTANT: of the graph's losses
  uint32_t purpose;      // NOISE
  const float *constant; // CONSTANT: those of a row
} co_feed;

typedef struct co_feed_list {
  co_feed *items;
  int64_t count, capacity;
} co_feed_list;

// Whether it is a sequence that is made of texts, or its lengths.
static inline bool co_feed_is_sequence(const co_feed *feed) {
  return feed->derivations && feed->derivations[0]->derive_sequence;
}

// Whether a feed differs from batch to batch.
static inline bool co_feed_is_of_rows(const co_feed *feed) {
  return feed->kind != CO_FEED_TABLE && feed->kind != CO_FEED_EVENTS &&
         feed->kind != CO_FEED_FITTED;
}

#ifdef __cplusplus
}
#endif
#endif
