// SPDX-License-Identifier: Apache-2.0
// From the cells of rows to columns of a dataset, a block of rows at a time.
#ifndef COHORT_DATASETS_ENCODE_H
#define COHORT_DATASETS_ENCODE_H

#include "datasets/dictionary.h"
#include "datasets/image_cells.h"
#include "datasets/scan.h"
#include "datasets/values.h"
#include "datasets/writer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_encoded_column {
  co_column column;   // name, type, role, dtype; numbers and binaries are f32 or f64, dates f64
  int64_t field;      // column of the scan
  const char *suffix; // taken off its cells; NULL = none
  const char *format; // of dates; NULL = ISO 8601
  const co_dictionary
      *words;             // of categories the code of each text; of binaries those of the values
  const char *classes[2]; // of binaries: the texts of 0 and 1; numbers are compared as such
  co_image_cells images;  // of images: where they are and what becomes of them
  bool decimal_comma;     // as of the file that is read
  bool open;              // a text that is in neither is missing, and counted; else an error
  // Filled in.
  int64_t missing, unseen;
  char first_unseen[48];
  double class_values[2]; // NaN = no number
  int64_t id;             // for the writer
  unsigned char *block;   // values not yet written; of texts and names where each begins in `texts`
  int64_t room, filled;
  co_text texts;
  int32_t *of_word; // of values that are words: code or class, -1 = missing
} co_encoded_column;

typedef struct co_encoder {
  co_context *ctx;
  co_dataset_writer *writer;
  co_encoded_column *columns; // the caller's
  int64_t column_count;
  size_t row_bytes;
} co_encoder;

// Declares the columns of `table`, of `rows` rows each. `columns` must stay until the end.
co_status co_encoder_begin(co_encoder *encoder, co_context *ctx, co_dataset_writer *writer,
                           const char *table, co_encoded_column *columns, int64_t count,
                           int64_t rows);
// Takes the rows of a block, columns on all threads. CO_ERR_DATA at a cell that cannot be one of its
// column.
co_status co_encoder_block(co_encoder *encoder, const co_scan *scan, const co_scan_block *block);
// Takes a row in which all is missing.
co_status co_encoder_missing(co_encoder *encoder);
// Takes all rows, whose cells are kept as values (of `field`) that the columns take.
co_status co_encoder_values(co_encoder *encoder, co_values *values);
bool co_encoder_takes(const co_encoded_column *column, co_value_kind kind);
// Makes a column ready for co_encode_part.
void co_encode_prepare(co_encoded_column *column);
// Encodes the cells of a part into the block of `out`, a copy of a column that is of no texts; counts what
// is missing and unseen there. An error has no place.
co_status co_encode_part(co_context *ctx, co_encoded_column *out, const co_scan *scan,
                         const co_scan_part *part);
// Takes the rows at hand, whose cells were encoded so, columns in their order from the values' column
// `first` on.
co_status co_encoder_encoded(co_encoder *encoder, const co_values *values, int64_t first,
                             int64_t rows);
co_status co_encoder_flush(co_encoder *encoder); // after the last row
void co_encoder_free(co_encoder *encoder);       // legal on a zeroed struct

#ifdef __cplusplus
}
#endif
#endif
