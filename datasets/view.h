// SPDX-License-Identifier: Apache-2.0
// A column as one value a sample, whatever its type and table, and the sums over such values that
// profiles and checks are made of: sorting, ROC AUC, counts of different values.
#ifndef COHORT_DATASETS_VIEW_H
#define COHORT_DATASETS_VIEW_H

#include <math.h>

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_view {
  const co_column *column;
  int64_t rows;               // of its table
  const int64_t *index;       // the row of each sample; NULL = the sample's own number
  co_numbers numbers;         // of numbers and binaries
  const int32_t *codes;       // of categories
  const char *const *texts;   // of texts; empty = missing
  const unsigned char *bytes; // of vectors and images, as delivered
  size_t row_bytes;
} co_view;

// A 64-bit hash of one more value (the finaliser of MurmurHash3 over both).
static inline uint64_t co_mix64(uint64_t hash, uint64_t value) {
  uint64_t x = (hash ^ value) + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDu;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53u;
  return x ^ (x >> 33);
}
uint64_t co_mix_bytes(uint64_t hash, const void *bytes, size_t length);
double co_text_value(const char *text); // NaN of an empty one

// Whether a column's values can be looked at: neither a key nor ignored.
bool co_view_exists(const co_column *column);
// Borrows from the dataset. Of events the rows are the events, and the index is NULL.
co_status co_view_open(co_view *out, co_dataset *dataset, const co_column *column);
static inline int64_t co_view_row(const co_view *view, int64_t sample) {
  return view->index ? view->index[sample] : sample;
}
// Of a number, date, binary or category column (its code); of a text a number that equal texts share.
// NaN = missing.
static inline double co_view_at(const co_view *view, int64_t sample) {
  int64_t row = co_view_row(view, sample);
  if (view->texts) return co_text_value(view->texts[row]);
  if (!view->codes) return co_numbers_at(&view->numbers, row);
  return view->codes[row] < 0 ? (double)NAN : view->codes[row];
}

// As people read it: of a number the shortest text that reads back as what is stored, of a class its name,
// of a vector or an image its shape; missing is empty. Borrowed from the dataset, or in `room`.
const char *co_view_print(const co_view *view, int64_t sample, char *room, size_t size);
// The name of a class; those of a binary without names are 0 and 1.
const char *co_class_name(const co_column *column, int64_t code);

// Equal values have equal bits: -0 is 0, and all NaN are one.
uint64_t co_double_bits(double value);

// Of `count` rows cut into `kept` equal stretches, kept <= count, one drawn from stretch `i`.
int64_t co_stretch_draw(int64_t i, int64_t kept, int64_t count);

// Sorts ascending; `scratch` has room for as many.
void co_sort_u64(uint64_t *values, uint64_t *scratch, int64_t count);
void co_sort_doubles(double *values, double *scratch, int64_t count); // no NaN
// P(a positive's value > a negative's) + P(equal) / 2 of two sorted lists; 0.5 if one is empty.
double co_sorted_auc(const double *positives, int64_t positive_count, const double *negatives,
                     int64_t negative_count);
// The quantile `share` of sorted values by linear interpolation between neighbours (type 7 of
// Hyndman & Fan 1996, the default of NumPy and R). NaN of none.
double co_sorted_quantile(const double *values, int64_t count, double share);

// How many different values a stream has: exactly up to CO_SKETCH_EXACT, whose 64-bit hashes are kept;
// beyond, an estimate (Flajolet et al., "HyperLogLog", 2007) by the estimator of
// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017: standard error
// 1.04 / sqrt(2^14) = 0.8 % at any size.
enum { CO_SKETCH_BITS = 14, CO_SKETCH_EXACT = 1 << 16 };
typedef struct co_sketch {
  uint8_t most[1 << CO_SKETCH_BITS];
  uint64_t known[2 * CO_SKETCH_EXACT]; // open addressing; 0 = free
  int64_t known_count;                 // CO_SKETCH_EXACT + 1 = there are more
} co_sketch;
void co_sketch_add(co_sketch *sketch, uint64_t hash);
int64_t co_sketch_count(const co_sketch *sketch);
static inline bool co_sketch_is_exact(const co_sketch *sketch) {
  return sketch->known_count <= CO_SKETCH_EXACT;
}

#ifdef __cplusplus
}
#endif
#endif
