// SPDX-License-Identifier: Apache-2.0
#include "models/preset.h"

static const co_column *only_target(const co_schema *schema) {
  const co_column *target = NULL;
  for (int64_t i = 0; i < schema->column_count; i++) {
    if (schema->columns[i].role != CO_ROLE_TARGET) continue;
    if (target) return NULL;
    target = &schema->columns[i];
  }
  return target;
}

// Of several targets, and of classes or numbers, the loss decides.
static const char *validation_metric(const co_column *target) {
  return target && target->type == CO_COLUMN_BINARY ? "roc_auc" : "loss";
}

// Some 16 updates an epoch at least, while there are rows for them.
static int64_t batch_size(int64_t rows) {
  int64_t batch = 256;
  while (batch > 16 && rows / batch < 16)
    batch /= 2;
  return batch;
}

co_status co_preset_auto(co_text *out, const co_schema *schema, int64_t training_rows) {
  const char *metric = validation_metric(only_target(schema));
  co_text_printf(out,
                 "version: 1\n"
                 "input_features: all\n"
                 "output_features: targets\n"
                 "combiner:\n"
                 "  type: concat\n"
                 "  layers:\n"
                 "    - Dense: {units: 128}\n"
                 "    - ReLU\n"
                 "    - Dropout: {rate: 0.2}\n"
                 "    - Dense: {units: 64}\n"
                 "    - ReLU\n"
                 "    - Dropout: {rate: 0.2}\n"
                 "trainer:\n"
                 "  max_epochs: 60\n"
                 "  batch_size: %lld\n"
                 "  eval_batch_size: 1024\n"
                 "  optimizer: {type: adamw, weight_decay: 0.01}\n"
                 "  learning_rate: 1.0e-3\n"
                 "  validation_metric: %s\n"
                 "  early_stop: 8\n",
                 (long long)batch_size(training_rows), metric);
  return out->status;
}
