// SPDX-License-Identifier: Apache-2.0
#include "host/feed/shape_classes.h"

#include <stdlib.h>
#include <string.h>

// The lengths (CO_MAX_LENGTHS, CO_MAX_EVENT_TABLES); rows behind the last distinct one repeat it.
static int64_t *lengths_of(const co_model *model) {
  return model->lengths ? model->lengths->bytes : NULL;
}

// How long the sequences of a table of the model are.
typedef struct lengths_reader {
  const int64_t *begin, *end;
  const char *const *texts; // of a text, NULL = of events
  const int64_t *index;
  const co_derivation *sequence;
} lengths_reader;

static co_status open_lengths(lengths_reader *out, const co_model *model, co_dataset *dataset,
                              int64_t table) {
  const co_event_table *t = &model->event_tables[table];
  int64_t rows;
  *out = (lengths_reader){.sequence = t->sequence};
  if (!t->of_text) return co_dataset_ranges(dataset, t->name, &out->begin, &out->end);
  return co_dataset_texts(dataset, t->sequence->columns[0]->name, &out->texts, &rows, &out->index);
}

static int64_t length_at(const lengths_reader *l, int64_t sample) {
  if (!l->texts) return l->end[sample] - l->begin[sample];
  return l->sequence->derive_sequence(l->sequence->user,
                                      l->texts[l->index ? l->index[sample] : sample], 0, NULL);
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int64_t at_most(int64_t value, int64_t most) {
  return value < most ? value : most;
}

static co_status fit_table(const co_model *model, co_dataset *dataset, int64_t table) {
  const int64_t *samples;
  int64_t count;
  lengths_reader of;
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, CO_SPLIT_TRAIN, &samples, &count));
  CO_RETURN_IF_FAILED(open_lengths(&of, model, dataset, table));
  int64_t *sorted = co_alloc(model->ctx, (size_t)(count + 1) * sizeof *sorted);
  if (!sorted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    sorted[i] = length_at(&of, samples[i]);
  qsort(sorted, (size_t)count, sizeof *sorted, by_value);
  for (int64_t i = 0; i < CO_MAX_LENGTHS; i++) {
    int64_t last = (i + 1) * count / CO_MAX_LENGTHS - 1;
    int64_t length = last >= 0 ? at_most(sorted[last], model->event_tables[table].most_events) : 0;
    lengths_of(model)[i * CO_MAX_EVENT_TABLES + table] = length > 1 ? length : 1;
  }
  co_free(model->ctx, sorted);
  return CO_OK;
}

co_status co_fit_lengths(co_model *model, co_dataset *dataset) {
  for (int64_t i = 0; i < model->event_table_count; i++)
    CO_RETURN_IF_FAILED(fit_table(model, dataset, i));
  return CO_OK;
}

static bool is_repeated(const int64_t *lengths, int i) {
  return i > 0 && memcmp(&lengths[i * CO_MAX_EVENT_TABLES], &lengths[(i - 1) * CO_MAX_EVENT_TABLES],
                         CO_MAX_EVENT_TABLES * sizeof *lengths) == 0;
}

// Row of the i-th distinct vector.
static int distinct(const int64_t *lengths, int i) {
  for (int row = 0; row < CO_MAX_LENGTHS; row++)
    if (!is_repeated(lengths, row) && i-- == 0) return row;
  return CO_MAX_LENGTHS;
}

int co_length_count(const co_model *model) {
  int count = 0;
  if (!lengths_of(model)) return 1;
  for (int row = 0; row < CO_MAX_LENGTHS; row++)
    count += !is_repeated(lengths_of(model), row);
  return count;
}

co_shape_class co_shape_class_of(const co_model *model, int64_t rows, int i) {
  co_shape_class shape = {.rows = rows};
  const int64_t *lengths = lengths_of(model);
  if (lengths)
    memcpy(shape.t, &lengths[distinct(lengths, i) * CO_MAX_EVENT_TABLES], sizeof shape.t);
  return shape;
}

void co_shape_classes_add(const co_model *model, int64_t rows, co_shape_class *classes,
                          int64_t *count) {
  for (int i = 0; rows && i < co_length_count(model); i++)
    classes[(*count)++] = co_shape_class_of(model, rows, i);
}

co_status co_sample_classes(uint8_t **out, const co_model *model, co_dataset *dataset,
                            const int64_t *samples, int64_t count) {
  int last = co_length_count(model) - 1;
  *out = NULL;
  if (!model->event_table_count) return CO_OK;
  uint8_t *classes = co_alloc_zero(model->ctx, (size_t)count + 1, sizeof *classes);
  if (!classes) return CO_ERR_MEMORY;
  *out = classes;
  for (int64_t k = 0; k < model->event_table_count; k++) {
    lengths_reader of;
    CO_RETURN_IF_FAILED(open_lengths(&of, model, dataset, k));
    for (int64_t i = 0; i < count; i++) {
      const int64_t length = length_at(&of, samples[i]);
      while (classes[i] < last && co_shape_class_of(model, 1, classes[i]).t[k] < length)
        classes[i]++;
    }
  }
  return CO_OK;
}
