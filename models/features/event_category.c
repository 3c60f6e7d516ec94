// SPDX-License-Identifier: Apache-2.0
// A category of each event: the item bought, the page seen. It is embedded event by event, beside
// the event's other columns.
#include "models/features/vocabulary.h"

typedef struct event_options {
  co_vocabulary_options vocabulary;
  int64_t max_length;
} event_options;

static const co_field preprocessing[] = {
    CO_VOCABULARY_FIELDS,
    {"max_length", CO_FIELD_INT, offsetof(event_options, max_length), "256", 1, 1 << 20, NULL,
     "Events that are read of a row; of more, the last.", NULL},
    {.key = NULL}};

static int64_t most_events(const co_input_feature *feature) {
  return ((const event_options *)feature->preprocessing)->max_length;
}

static co_status declare(co_model *model, co_input_feature *feature) {
  return co_vocabulary_declare(model, feature, feature->column->category_count);
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_I32;
  *shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(block->event_table), (int64_t)1);
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  co_value in[2];
  CO_RETURN_IF_FAILED(co_section_events(b, false, &in[0]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "vocabulary", &in[1]));
  return co_emit(b->section->graph, CO_OP_LOOKUP, NULL, 2, in, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(event_options),
                                     .encoder = "embedding",
                                     .table_rows = co_vocabulary_rows,
                                     .most_events = most_events,
                                     .declare = declare,
                                     .is_fitted = co_vocabulary_is_fitted,
                                     .fit = &co_vocabulary_fit,
                                     .check = co_vocabulary_check,
                                     .describe = describe,
                                     .emit = emit};

extern const co_feature_class co_feature_event_category;
const co_feature_class co_feature_event_category = {
    .name = "event_category",
    .doc = "Of type event_category: one of several classes of each of a row's events.",
    .of_events = true,
    .columns = 1u << CO_COLUMN_CATEGORY,
    .input = &input};
