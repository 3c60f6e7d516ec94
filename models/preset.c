// SPDX-License-Identifier: Apache-2.0
#include "models/preset.h"

#include <string.h>

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

// Input columns of a type, of events or of samples.
static int64_t count_inputs(const co_schema *schema, co_column_type type, bool events) {
  int64_t count = 0;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    const co_table *table = column->table ? co_schema_table(schema, column->table) : NULL;
    count += column->role == CO_ROLE_INPUT && column->type == type &&
             events == (table && table->kind == CO_TABLE_EVENTS);
  }
  return count;
}

// Which of many items: it takes attention and a wider look.
static bool chooses_item(const co_schema *schema) {
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    if (column->role == CO_ROLE_TARGET && column->type == CO_COLUMN_CATEGORY &&
        (column->category_count > 100 || strcmp(column->name, "next_item") == 0))
      return true;
  }
  return false;
}

static int64_t count_events(const co_schema *schema) {
  return count_inputs(schema, CO_COLUMN_NUMBER, true) +
         count_inputs(schema, CO_COLUMN_CATEGORY, true);
}

// As models/presets/product-cnn.yaml.
static void print_images(co_text *out, int64_t batch) {
  co_text_printf(out,
                 "version: 1\n"
                 "input_features: all\n"
                 "output_features: targets\n"
                 "defaults:\n"
                 "  image:\n"
                 "    preprocessing: {normalization: zscore}\n"
                 "    augmentation: {flip: 0.5}\n"
                 "    encoder: {type: stacked_cnn, filters: [32, 64, 128], output_size: 128, "
                 "dropout: 0.3}\n"
                 "trainer:\n"
                 "  max_epochs: 14\n"
                 "  batch_size: %lld\n"
                 "  optimizer: {type: adamw, weight_decay: 0.01}\n"
                 "  learning_rate: 2.0e-3\n"
                 "  learning_rate_scheduler: {decay: cosine, warmup_fraction: 0.05}\n"
                 "  validation_metric: loss\n",
                 (long long)(batch < 128 ? batch : 128));
}

// As models/presets/product-autoencoder.yaml: without targets, images are learned from by themselves.
static void print_codes(co_text *out, int64_t batch) {
  co_text_printf(out,
                 "version: 1\n"
                 "input_features: all\n"
                 "defaults:\n"
                 "  image:\n"
                 "    encoder: {type: stacked_cnn, filters: [32, 64], output_size: 256}\n"
                 "bottleneck: {size: 64}\n"
                 "output_features:\n"
                 "  - {name: reconstruction, type: reconstruction, decoder: {type: "
                 "stacked_cnn_decoder, activation: sigmoid}}\n"
                 "trainer:\n"
                 "  max_epochs: 8\n"
                 "  batch_size: %lld\n"
                 "  optimizer: {type: adamw, weight_decay: 0.0001}\n"
                 "  learning_rate: 2.0e-3\n"
                 "  learning_rate_scheduler: {decay: cosine, warmup_fraction: 0.05}\n"
                 "  validation_metric: loss\n",
                 (long long)(batch < 128 ? batch : 128));
}

static bool has_target(const co_schema *schema) {
  for (int64_t i = 0; i < schema->column_count; i++)
    if (schema->columns[i].role == CO_ROLE_TARGET) return true;
  return false;
}

// As models/presets/next-item-attention.yaml.
static void print_items(co_text *out, int64_t batch) {
  co_text_printf(
      out,
      "version: 1\n"
      "input_features: all\n"
      "output_features: targets\n"
      "defaults:\n"
      "  event_category:\n"
      "    preprocessing: {max_length: 64}\n"
      "    encoder: {type: embedding, embedding_size: 64, dropout: 0.1}\n"
      "  sequence:\n"
      "    preprocessing: {max_length: 64}\n"
      "event_encoder: {type: transformer, units: 64, layers: 2, num_heads: 2, dropout: 0.1}\n"
      "trainer:\n"
      "  max_epochs: 20\n"
      "  batch_size: %lld\n"
      "  eval_batch_size: 256\n"
      "  optimizer: {type: adamw, weight_decay: 0.01}\n"
      "  learning_rate: 1.0e-3\n"
      "  learning_rate_scheduler: {decay: cosine, warmup_fraction: 0.05}\n"
      "  validation_metric: loss\n"
      "  early_stop: 3\n",
      (long long)(batch < 128 ? batch : 128));
}

// As models/presets/purchase-lstm.yaml.
static void print_events(co_text *out, int64_t batch) {
  co_text_printf(out,
                 "version: 1\n"
                 "input_features: all\n"
                 "output_features: targets\n"
                 "defaults:\n"
                 "  number:\n"
                 "    normalization: auto\n"
                 "    preprocessing: {missing: mean}\n"
                 "  binary:\n"
                 "    preprocessing: {missing: mean}\n"
                 "  event_category:\n"
                 "    preprocessing: {min_frequency: 20, max_length: 128}\n"
                 "    encoder: {type: embedding, embedding_size: 16, dropout: 0.2}\n"
                 "  sequence:\n"
                 "    preprocessing: {max_length: 128}\n"
                 "event_encoder: {type: rnn, units: 32, dropout: 0.3}\n"
                 "combiner:\n"
                 "  layers: [{Dense: {units: 32, activation: relu}}, {Dropout: 0.3}]\n"
                 "trainer:\n"
                 "  max_epochs: 30\n"
                 "  batch_size: %lld\n"
                 "  eval_batch_size: 256\n"
                 "  optimizer: {type: adamw, weight_decay: 0.02}\n"
                 "  learning_rate: 1.0e-3\n"
                 "  validation_metric: loss\n"
                 "  early_stop: 5\n",
                 (long long)(batch < 128 ? batch : 128));
}

static void print_table(co_text *out, const co_schema *schema, int64_t batch) {
  co_text_printf(out,
                 "version: 1\n"
                 "input_features: all\n"
                 "output_features: targets\n"
                 "defaults:\n"
                 "  number:\n"
                 "    normalization: auto\n"
                 "    preprocessing: {encoding: piecewise_linear, bins: 48, missing: median}\n"
                 "    encoder: {type: piecewise_linear, embedding_size: %lld}\n"
                 "  binary:\n"
                 "    preprocessing: {missing: mean}\n"
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
                 (long long)batch);
}

co_status co_preset_auto(co_text *out, const co_schema *schema, int64_t training_rows) {
  int64_t batch = batch_size(training_rows);
  if (count_inputs(schema, CO_COLUMN_IMAGE, false) && has_target(schema))
    print_images(out, batch);
  else if (count_inputs(schema, CO_COLUMN_IMAGE, false) == 1)
    print_codes(out, batch);
  else if (count_events(schema) && chooses_item(schema))
    print_items(out, batch);
  else if (count_events(schema))
    print_events(out, batch);
  else
    print_table(out, schema, batch);
  return out->status;
}
