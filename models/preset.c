// SPDX-License-Identifier: Apache-2.0
#include "models/preset.h"

// Some 16 updates an epoch at least, while there are rows for them, and 4096 at most, while batches
// are small.
static int64_t batch_size(int64_t rows) {
  int64_t batch = 256;
  while (batch > 16 && rows / batch < 16)
    batch /= 2;
  while (batch < 2048 && rows / batch > 4096)
    batch *= 2;
  return batch;
}

// Features of a number: fewer where there are so many that the first layer would be most of it all.
static int64_t embedding_size(const co_schema *schema) {
  int64_t numbers = 0;
  for (int64_t i = 0; i < schema->column_count; i++)
    numbers +=
        schema->columns[i].role == CO_ROLE_INPUT && schema->columns[i].type == CO_COLUMN_NUMBER;
  return numbers <= 128 ? 16 : numbers <= 512 ? 8 : 4;
}

static void print_layers(co_text *out, int count) {
  for (int i = 0; i < count; i++)
    co_text_printf(out, "    - Dense: {units: 256, kernel_initializer: fan_in_uniform, "
                        "bias_initializer: fan_in_uniform}\n"
                        "    - ReLU\n"
                        "    - Dropout: {rate: 0.2}\n");
}

co_status co_preset_auto(co_text *out, const co_schema *schema, int64_t training_rows) {
  co_text_printf(out,
                 "version: 1\n"
                 "input_features: all\n"
                 "output_features: targets\n"
                 "defaults:\n"
                 "  number:\n"
                 "    preprocessing: {encoding: piecewise_linear, bins: 48}\n"
                 "    encoder: {type: piecewise_linear, embedding_size: %lld}\n"
                 "combiner:\n"
                 "  type: concat\n"
                 "  layers:\n",
                 (long long)embedding_size(schema));
  print_layers(out, 3);
  co_text_printf(out,
                 "trainer:\n"
                 "  max_epochs: 100\n"
                 "  batch_size: %lld\n"
                 "  eval_batch_size: 1024\n"
                 "  optimizer: {type: adamw, weight_decay: 0.01}\n"
                 "  learning_rate: 1.0e-3\n"
                 "  ema: {decay: 0.998}\n"
                 "  validation_metric: loss\n"
                 "  early_stop: 12\n"
                 "  early_stop_min_delta: 1.0e-6\n",
                 (long long)batch_size(training_rows));
  return out->status;
}
