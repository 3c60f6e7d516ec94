// SPDX-License-Identifier: Apache-2.0
// Golden rows: some training rows as they are stored, and the scores that they had when the model was
// trained, both in the model file. Before each scoring job they are scored anew, by the same predictor
// on the same device: a damaged vocabulary, another library or a wrong build is found before a row is
// written. There are 16 of them, or as many fewer as trainer.golden_rows says, and fewer where so many
// would take over a MiB, evenly chosen; without keys. Inputs that were pseudonymized are pseudonyms here,
// too; texts lie there as they were written.
#ifndef COHORT_HOST_EVAL_GOLDEN_H
#define COHORT_HOST_EVAL_GOLDEN_H

#include "host/core/file.h"
#include "host/device/precision.h"
#include "host/eval/predictor.h"
#include "host/persist/model_file.h"
#include "kernels/backend.h"

// How far scores of one model may lie apart, as a share of an output's largest golden score: 1e-4; of
// products in TF32 on a GPU 1e-2, in bf16 5e-2.
double co_golden_rounding(const co_backend *backend, co_precision precision);

enum { CO_GOLDEN_ROWS = 16 };

// Chooses at most `most` (up to CO_GOLDEN_ROWS) of `samples` (ascending) and scores them. `out` is zeroed before; its arrays are the
// arena's, its lists to be freed by co_golden_free in any case. Nothing is chosen where a score is not
// finite, or all of the rows lack events.
co_status co_golden_make(co_model_golden *out, co_arena *arena, co_predictor *predictor,
                         co_dataset *dataset, const int64_t *samples, int64_t count, int64_t most);
void co_golden_free(co_model_golden *golden, co_context *ctx);
int64_t co_golden_rows(const co_model_golden *golden); // 0 = there are none

// Writes the inputs as a dataset, a temporary beside `beside` that co_atomic_abort removes.
co_status co_golden_write(co_atomic_file *out, co_context *ctx, const co_model *model,
                          const co_model_golden *golden, const char *beside);

typedef struct co_golden_result {
  int64_t rows; // 0: the model has none, nothing was checked
  // The largest, as a share of the output's largest golden score; of texts, the share of rows that differ.
  double difference;
  double allowed;
} co_golden_result;
// Scores the rows of the predictor's file. CO_ERR_GATE naming row and output if a score differs by
// more than rounding. `folder`: for a temporary file.
co_status co_golden_replay(co_golden_result *out, co_predictor *predictor, const char *folder);

#endif
