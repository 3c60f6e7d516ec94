// SPDX-License-Identifier: Apache-2.0
// Opening what a verb was asked to work with: models, devices, numbers of rows.
#ifndef COHORT_HOST_EVAL_OPENING_H
#define COHORT_HOST_EVAL_OPENING_H

#include "datasets/dataset.h"
#include "host/config/config.h"
#include "host/device/choices.h"
#include "host/device/precision.h"
#include "host/persist/model_file.h"
#include "kernels/backend.h"
#include "models/model.h"

// A number of rows that is nonsense is CO_ERR_USAGE. 0 rows = not given.
enum { CO_MAX_BATCH_ROWS = 1 << 24 };
co_status co_check_batch_size(int64_t rows);
// The rows asked for, else those under trainer.`key` of the file's config, else `fallback`.
co_status co_choose_batch_size(int64_t *rows, int64_t asked, const co_model_file *file,
                               const char *key, int64_t fallback);
// Of so many rows those to be scored at a time: of outputs with more than CO_METRIC_CLASSES classes their
// probabilities stay within CO_CLASS_BYTES (of 8,388 items 1,000 rows), so that a catalogue of any size
// takes no more memory. So do logits of a text's next token.
enum { CO_CLASS_BYTES = 32 << 20 };
int64_t co_bound_rows(const co_model *model, int64_t rows);

// Opens a backend by device name; what is not there is CO_ERR_DEVICE. `choices`, of ways in which a GPU's
// libraries compute, live as long as it; NULL = their first.
co_status co_open_backend(co_backend **out, co_context *ctx, const char *device, int threads,
                          co_precision precision, const co_choices *choices);
// The precision that an option asks for; NULL = `*precision` as it is.
co_status co_choose_precision(co_precision *precision, const char *asked);

// Opens a run's, checkpoint's or model file's model with what was fitted for it, and checks that the
// file has its weights. *path (co_free it) is the file.
co_status co_model_open(co_model **out, co_model_file *file, char **path, co_arena *arena,
                        const char *model, co_diagnostics *problems);
// The same of a model that is to know further classes of one of its columns, too.
co_status co_model_open_with(co_model **out, co_model_file *file, char **path, co_arena *arena,
                             const char *model, const co_new_classes *classes,
                             co_diagnostics *problems);
// Checks that the dataset has what the model needs: names, types, shapes, classes. An input of any name
// (co_column.any) is from then on the dataset's only input column.
co_status co_check_dataset(const co_model *model, const co_dataset *dataset, bool targets);

#endif
