// SPDX-License-Identifier: Apache-2.0
// Columns of a raw table as a model has them, whatever the cells look like.
#ifndef COHORT_DATASETS_RAW_COLUMNS_H
#define COHORT_DATASETS_RAW_COLUMNS_H

#include "datasets/encode.h"
#include "datasets/recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_raw_columns {
  co_context *ctx;
  const co_recipe *recipe;  // what is known of them
  const volatile int *stop; // of their images
  co_encoded_column *items;
  co_dictionary *words; // parallel to them
  int64_t count;
} co_raw_columns;

// Room for `most`; in the arena. `stop` as of co_scan_options.
co_status co_raw_columns_begin(co_raw_columns *columns, co_context *ctx, co_arena *arena,
                               const co_recipe *recipe, int64_t most, const volatile int *stop);
void co_raw_columns_free(co_raw_columns *columns); // legal on a zeroed struct
// The model's column, which the table has by the name `local`; else CO_ERR_DATA. CO_ERR_MODEL where the
// recipe makes other images than the model takes.
co_status co_raw_columns_add(co_raw_columns *columns, const co_column *column, const char *local,
                             const co_rows *rows);

#ifdef __cplusplus
}
#endif
#endif
