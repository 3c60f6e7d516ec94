// SPDX-License-Identifier: Apache-2.0
// What the functions that look at data share.
#ifndef COHORT_HOST_API_DATA_H
#define COHORT_HOST_API_DATA_H

#include "datasets/dataset.h"
#include "host/api/api.h"
#include "host/core/file.h"

typedef struct co_data_source {
  co_context *ctx;
  co_arena *arena;
  co_dataset *dataset;
  co_atomic_file file; // the temporary dataset of a raw table
} co_data_source;
// `verb` for what it says; `problems` takes what is wrong in a schema file. To be ended in any case.
co_status co_data_begin(co_data_source *source, cohort_context *context, const cohort_data *data,
                        const char *verb, co_diagnostics *problems);
void co_data_end(co_data_source *source);

// The first lines of every report: the dataset, its rows by split.
// Writes o->sheet, of o->rows images.
co_status co_data_write_sheet(co_dataset *dataset, co_context *ctx,
                              const cohort_data_show_options *o, cohort_result *result);
co_status co_data_report_rows(cohort_result *result, const cohort_data *data, co_dataset *dataset);

// 1234567 as "1,234,567"
void co_data_count(char out[32], int64_t count);

#endif
