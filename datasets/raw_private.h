// SPDX-License-Identifier: Apache-2.0
// Raw rows as their own files see them: raw_rows.c reads them, raw_parts.c writes their parts.
#ifndef COHORT_DATASETS_RAW_PRIVATE_H
#define COHORT_DATASETS_RAW_PRIVATE_H

#include "datasets/key_check.h"
#include "datasets/place_rows.h"
#include "datasets/raw_joins.h"
#include "datasets/raw_rows.h"
#include "datasets/row_samples.h"

// What is written for one model.
typedef struct co_raw_table {
  const co_raw_model *model;
  const char *name; // in its datasets
  co_raw_columns columns;
  co_raw_joins joins;
  bool sampled; // rows see a log of events, all in one part:
  co_row_samples samples;
  co_import_events_result events;
  co_dataset_writer *writer; // of the part in work, as is:
  co_encoder encoder;
} co_raw_table;

typedef struct co_raw_rows {
  co_context *ctx;
  co_arena *arena;
  const co_raw_rows_options *options;
  co_scan_options scan;
  co_raw_table *tables; // parallel to options->models
  int64_t table_count;
  co_encoded_column **columns; // of all tables
  int64_t column_count;
  int64_t key; // column of the table, -1 = none
  const char *key_name;
  co_key_check *key_check;
  const char *const *names; // of the rows' columns
  int64_t name_count;
  int64_t rows, part_rows, this_part; // all; of a part at most; of the one in work
  co_values *values;                  // of the part in work, where one reading suffices
  co_text key_texts;                  // its keys, each with a NUL
  co_encoded_column *encoded;         // of each slot all columns
  co_column_values *kept;
  bool odd[CO_ROWS_MAX_SLOTS], again; // rows that want another look
  co_survey survey;                   // no more of the columns than the placer asks for
  co_placer placer;
  char sha256[65];
  co_raw_part places; // of the rows of the part in work; no more of it is used
  int64_t taken, row; // of them so far; the last one's number in the table
  co_rejects rejects;
  co_reject_file *reject_file;
} co_raw_rows;

// ---- raw_parts.c ---------------------------------------------------------------------------------

// Begins a part of so many rows, of which each table's encoder and joins take all.
co_status co_raw_part_begin(co_raw_rows *r, int64_t rows);
// Notes the number of its next row in the table.
co_status co_raw_part_place(co_raw_rows *r, int64_t row);
// Writes it with its keys, which are the first of r->key_texts.
co_status co_raw_part_end(co_raw_rows *r);
void co_raw_part_drop(co_raw_rows *r); // the one in work; legal if there is none

#endif
