// SPDX-License-Identifier: Apache-2.0
// What in a dataset makes scores look better than they are, or cannot teach a model anything: rows
// of one key in several splits, equal inputs and nearly equal images across splits, columns that give the target away,
// constant or identifier-like columns, targets of one class. Columns are judged by training rows,
// at most CO_CHECK_ROWS of them, one drawn from each of as many equal stretches. Held in memory: 16
// bytes a sample, and 40 a row judged.
#ifndef COHORT_DATASETS_CHECK_H
#define COHORT_DATASETS_CHECK_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_CHECK_ROWS = 1 << 20 };
// A column gives the target away where its ROC AUC, in whichever direction, is above this, with at
// least CO_CHECK_LEAST rows on either side.
#define CO_CHECK_AUC 0.99
enum { CO_CHECK_LEAST = 10 };

typedef enum co_severity {
  CO_SEVERITY_WARNING, // worth a look
  CO_SEVERITY_ERROR    // figures of a model trained on this cannot be believed
} co_severity;
const char *co_severity_name(co_severity severity); // "warning", "error"

typedef struct co_finding {
  const char *id; // "target_leak", …
  co_severity severity;
  const char *column;            // NULL = of rows, not of one column
  int64_t rows;                  // how many it is about; -1 = none are counted
  const char *message, *way_out; // the arena's; one line each
} co_finding;

typedef struct co_findings {
  co_finding *items; // the arena's; errors first, else in the order of the columns
  int64_t count;
  int64_t inputs, targets, rows; // that were looked at: columns, columns, training rows
} co_findings;

co_status co_dataset_check(co_findings *out, co_context *ctx, co_arena *arena, co_dataset *dataset,
                           const volatile int *stop);

#ifdef __cplusplus
}
#endif
#endif
