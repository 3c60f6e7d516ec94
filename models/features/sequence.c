// SPDX-License-Identifier: Apache-2.0
// A sequence: what a customer's events say, as numbers of any count. Neighbouring columns of one
// table of events are fed as one block (N, T, C).
#include "models/features/numeric.h"

typedef struct sequence_options {
  co_numeric_options numeric;
  int64_t max_length;
} sequence_options;

static const char *const normalizations[] = {"none", "zscore", "minmax", NULL};

static const co_field preprocessing[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(sequence_options, numeric.normalization), "zscore", 0,
     0, normalizations, "zscore and minmax: fitted on the events of training rows.", NULL},
    {"missing", CO_FIELD_ENUM, offsetof(sequence_options, numeric.missing), "auto", 0, 0,
     co_missing_words, CO_MISSING_DOC, NULL},
    {"max_length", CO_FIELD_INT, offsetof(sequence_options, max_length), "256", 1, 1 << 20, NULL,
     "Events that are read of a row; of more, the last.", NULL},
    {.key = NULL}};

static int64_t most_events(const co_input_feature *feature) {
  return ((const sequence_options *)feature->preprocessing)->max_length;
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  CO_RETURN_IF_FAILED(co_numeric_describe(block, dtype, shape));
  *shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(block->event_table), shape->dim[1]);
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  CO_RETURN_IF_FAILED(co_section_events(b, true, out));
  return co_numeric_emit(b, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(sequence_options),
                                     .encoder = "rnn",
                                     .most_events = most_events,
                                     .packs = true,
                                     .declare = co_numeric_declare,
                                     .is_fitted = co_numeric_is_fitted,
                                     .fit = &co_numeric_fit,
                                     .check = co_numeric_check,
                                     .describe = describe,
                                     .emit = emit};

extern const co_feature_class co_feature_sequence;
const co_feature_class co_feature_sequence = {
    .name = "sequence",
    .doc = "Of type sequence: numbers of a row's events, in their order.",
    .of_events = true,
    .columns = 1u << CO_COLUMN_NUMBER | 1u << CO_COLUMN_BINARY,
    .input = &input};
