// SPDX-License-Identifier: Apache-2.0
// A date: its parts as numbers, those that come round again as points of a circle; or one part as a
// class. All of it in UTC.
#include <math.h>
#include <string.h>

#include "host/core/c_text.h"
#include "models/builder.h"
#include "models/features/vocabulary.h"

// scorer: date parts
enum { YEAR, MONTH, DAY, WEEKDAY, HOUR, WEEKEND, DAYS, MISSING, PARTS };

// scorer: end

static const char *const part_words[] = {"year",       "month", "day",     "weekday", "hour",
                                         "is_weekend", "days",  "missing", NULL};

// Of those that come round again: how many values they have.
static double period_of(int which) {
  static const double periods[PARTS] = {[MONTH] = 12, [DAY] = 31, [WEEKDAY] = 7, [HOUR] = 24};
  return periods[which];
}

// scorer: date parts
static const double day_seconds = 86400;

// Year, month (1 to 12) and day (1 to 31) of the proleptic Gregorian calendar, of a number of days
// since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
static void civil_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
  int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * y + y / 4 - y / 100), from_march = (5 * of_year + 2) / 153;
  *day = of_year - (153 * from_march + 2) / 5 + 1;
  *month = from_march < 10 ? from_march + 3 : from_march - 9;
  *year = y + era * 400 + (*month <= 2);
}

// All parts of a time that is not missing; month and day from 0, weekdays from Monday.
static void take_date_apart(double seconds, double *parts) {
  double days = floor(seconds / day_seconds);
  int64_t year, month, day, number = (int64_t)days;
  civil_from_days(number, &year, &month, &day);
  int64_t weekday = ((number + 3) % 7 + 7) % 7; // 1970-01-01 was a Thursday
  parts[YEAR] = (double)year;
  parts[MONTH] = (double)(month - 1);
  parts[DAY] = (double)(day - 1);
  parts[WEEKDAY] = (double)weekday;
  parts[HOUR] = floor((seconds - days * day_seconds) / 3600);
  parts[WEEKEND] = weekday >= 5;
  parts[DAYS] = seconds / day_seconds;
  parts[MISSING] = 0;
}

// Whether the calendar can tell: within ten thousand years.
static bool is_date(double seconds) {
  return fabs(seconds) < 3.2e11;
}

// scorer: end

// ---- numbers -----------------------------------------------------------------------------------

typedef struct date_options {
  const co_node *parts;
  bool cyclical;
  int count, part[PARTS];
} date_options;

static const co_field date_fields[] = {
    {"parts", CO_FIELD_NODE, offsetof(date_options, parts), "null", 0, 0, NULL,
     "A list of year, month, day, weekday, hour, is_weekend, days (since the first training date) "
     "and missing; without one days, month, day, weekday, hour.",
     NULL},
    {"cyclical", CO_FIELD_BOOL, offsetof(date_options, cyclical), "true", 0, 0, NULL,
     "month, day, weekday and hour as sine and cosine, so that December is beside January.", NULL},
    {.key = NULL}};

static const date_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static int find_part(const co_node *node) {
  int found = 0;
  if (node->kind != CO_NODE_SCALAR) return -1;
  while (part_words[found] && strcmp(part_words[found], node->text) != 0)
    found++;
  return part_words[found] ? found : -1;
}

static co_status read_date(struct co_model_builder *b, const co_node *item, const char *path,
                           co_input_feature *feature) {
  static const int usual[] = {DAYS, MONTH, DAY, WEEKDAY, HOUR};
  date_options *options = feature->preprocessing;
  const co_node *list = options->parts;
  (void)item;
  options->parts = NULL; // what it says decides whether options are equal
  options->count = sizeof usual / sizeof *usual;
  memcpy(options->part, usual, sizeof usual);
  if (!list || list->kind == CO_NODE_NULL) return CO_OK;
  bool fits = list->kind == CO_NODE_LIST && list->count > 0 && list->count <= PARTS;
  options->count = 0;
  for (int64_t i = 0; fits && i < list->count; i++) {
    options->part[options->count] = find_part(list->items[i]);
    fits = options->part[options->count++] >= 0;
  }
  if (fits) return CO_OK;
  return co_node_problem(b->problems, list,
                         "known: year, month, day, weekday, hour, is_weekend, days, missing",
                         "%s.preprocessing.parts: must be a list of parts of a date", path);
}

static bool is_circle(const date_options *options, int i) {
  return options->cyclical && period_of(options->part[i]) > 0;
}

static int64_t width_of(const co_input_feature *feature) {
  const date_options *options = options_of(feature);
  int64_t width = 0;
  for (int i = 0; i < options->count; i++)
    width += is_circle(options, i) ? 2 : 1;
  return width;
}

typedef struct derivation {
  const date_options *options;
  const double *reference;
} derivation;

// Numbers of which one is missing are all missing, but for the one that tells.
static void derive(const void *user, const double *values, int64_t sample, void *out) {
  const derivation *d = user;
  const date_options *options = d->options;
  double parts[PARTS];
  float *to = out;
  (void)sample;
  if (is_date(values[0])) {
    take_date_apart(values[0], parts);
    parts[DAYS] = (values[0] - *d->reference) / day_seconds;
  } else {
    for (int k = 0; k < PARTS; k++)
      parts[k] = k == MISSING ? 1 : (double)NAN;
  }
  for (int i = 0; i < options->count; i++) {
    double value = parts[options->part[i]];
    double angle = is_circle(options, i)
                       ? 2 * 3.14159265358979323846 * value / period_of(options->part[i])
                       : 0;
    if (is_circle(options, i)) {
      *to++ = (float)sin(angle);
      *to++ = (float)cos(angle);
    } else {
      *to++ = (float)value;
    }
  }
}

// As `derive`.
static void print_c(const void *user, co_text *out) {
  const derivation *d = user;
  const date_options *options = d->options;
  co_c_doubles(out, "reference", d->reference, 1);
  co_text_printf(out, "  double parts[PARTS];\n"
                      "  for (int i = 0; i < PARTS; i++)\n"
                      "    parts[i] = i == MISSING ? 1 : (double)NAN;\n"
                      "  if (is_date(values[0])) {\n"
                      "    take_date_apart(values[0], parts);\n"
                      "    parts[DAYS] = (values[0] - *reference) / day_seconds;\n"
                      "  }\n");
  for (int i = 0, at = 0; i < options->count; i++) {
    bool circle = is_circle(options, i);
    for (int k = 0; k < (circle ? 2 : 1); k++)
      if (circle)
        co_text_printf(out, "  out[%d] = (float)%s(2 * 3.14159265358979323846 * parts[%d] / %d);\n",
                       at++, k ? "cos" : "sin", options->part[i], (int)period_of(options->part[i]));
      else
        co_text_printf(out, "  out[%d] = (float)parts[%d];\n", at++, options->part[i]);
  }
}

static co_status declare_date(co_model *model, co_input_feature *feature) {
  int64_t width = width_of(feature);
  const co_fitted arrays[] = {
      {.name = "reference", .dtype = CO_F64, .shape = co_shape_make(1, (int64_t)1)},
      {.name = "fill", .dtype = CO_F32, .shape = co_shape_make(1, width)},
      {.name = "mean", .dtype = CO_F32, .shape = co_shape_make(1, width)},
      {.name = "scale", .dtype = CO_F32, .shape = co_shape_make(1, width)}};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, 4));
  derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (derivation){options_of(feature), co_feature_fitted(feature, "reference")->bytes};
  const co_derivation d = {.dtype = CO_F32,
                           .width = width,
                           .derive = derive,
                           .user = made,
                           .print_c = print_c,
                           .c_sections = "date parts"};
  return co_feature_derive(model, feature, &d);
}

static bool is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

typedef struct fitting {
  co_context *ctx;
  double *values;
  int64_t count, capacity;
} fitting;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  (void)feature;
  ((fitting *)state)->ctx = ctx;
  return CO_OK;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  fitting *f = state;
  (void)feature;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    double value = ((const double *)values)[i];
    if (!is_date(value)) continue;
    CO_RETURN_IF_FAILED(
        co_grow(f->ctx, (void **)&f->values, &f->capacity, f->count, sizeof *f->values));
    f->values[f->count++] = value;
  }
  return CO_OK;
}

// Sines, cosines and flags stay as they are.
static bool is_normalized(const date_options *options, int64_t column) {
  int i = 0;
  for (int64_t at = 0;; i++) {
    int64_t width = is_circle(options, i) ? 2 : 1;
    if (column < at + width) break;
    at += width;
  }
  return !is_circle(options, i) && options->part[i] != WEEKEND && options->part[i] != MISSING;
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const fitting *f = state;
  double *reference = co_feature_fitted(feature, "reference")->bytes;
  float *fill = co_feature_fitted(feature, "fill")->bytes;
  float *mean = co_feature_fitted(feature, "mean")->bytes;
  float *scale = co_feature_fitted(feature, "scale")->bytes;
  int64_t width = width_of(feature);
  const co_derivation *d = feature->derivation;
  float row[2 * PARTS];
  double sums[2 * PARTS] = {0}, squares[2 * PARTS] = {0};
  for (int64_t i = 0; i < f->count; i++)
    if (!i || f->values[i] < *reference) *reference = f->values[i];
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < f->count; i++) {
      d->derive(d->user, &f->values[i], -1, row);
      for (int64_t w = 0; w < width; w++) {
        double value = (double)row[w], differs = value - sums[w] / (double)f->count;
        if (pass == 0)
          sums[w] += value;
        else
          squares[w] += differs * differs;
      }
    }
  for (int64_t w = 0; w < width; w++) {
    double count = f->count ? (double)f->count : 1, deviation = sqrt(squares[w] / count);
    bool normalized = is_normalized(options_of(feature), w);
    fill[w] = (float)(sums[w] / count);
    mean[w] = normalized ? fill[w] : 0;
    scale[w] = normalized && deviation > 0 ? (float)(1 / deviation) : 1;
  }
  if (!f->count)
    co_log(ctx, CO_LOG_WARN, "data", "column '%s': no training row has a date",
           feature->column->name);
  return CO_OK;
}

static void free_fitting(co_context *ctx, void *state) {
  co_free(ctx, ((fitting *)state)->values);
}

static const co_fit_class fit = {
    .state_size = sizeof(fitting), .begin = begin, .add = add, .end = end, .free = free_fitting};

static co_status check(const co_input_feature *feature, const void *values, int64_t rows,
                       const int64_t *samples, int64_t *counts) {
  (void)feature;
  (void)samples;
  for (int64_t i = 0; i < rows; i++)
    counts[CO_COUNT_MISSING] += !is_date(((const double *)values)[i]);
  return CO_OK;
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_F32;
  *shape = co_shape_make(2, CO_DIM_N, block->count * width_of(&block->features[0]));
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  co_value in[3], filled[2];
  CO_RETURN_IF_FAILED(co_section_rows(b, false, &filled[CO_IMPUTE_x]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "fill", &filled[CO_IMPUTE_fill]));
  CO_RETURN_IF_FAILED(
      co_emit(b->section->graph, CO_OP_IMPUTE, NULL, 2, filled, &in[CO_NORMALIZE_x]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "mean", &in[CO_NORMALIZE_mean]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "scale", &in[CO_NORMALIZE_scale]));
  return co_emit(b->section->graph, CO_OP_NORMALIZE, NULL, 3, in, out);
}

static const co_input_class date = {.preprocessing = date_fields,
                                    .preprocessing_size = sizeof(date_options),
                                    .encoder = "passthrough",
                                    .packs = true,
                                    .read = read_date,
                                    .declare = declare_date,
                                    .is_fitted = is_fitted,
                                    .fit = &fit,
                                    .check = check,
                                    .describe = describe,
                                    .emit = emit};

extern const co_feature_class co_feature_date;
const co_feature_class co_feature_date = {.name = "date",
                                          .doc = "Of type date: its parts as numbers.",
                                          .columns = 1u << CO_COLUMN_DATE,
                                          .input = &date};

// ---- a class -----------------------------------------------------------------------------------

typedef struct part_options {
  co_vocabulary_options vocabulary;
  int part;
} part_options;

// The beginning of part_words.
static const char *const code_words[] = {"year", "month",      "day", "weekday",
                                         "hour", "is_weekend", NULL};

static const co_field part_fields[] = {{"part", CO_FIELD_ENUM, offsetof(part_options, part), NULL,
                                        0, 0, code_words, "Which part; weekdays from Monday.",
                                        NULL},
                                       CO_VOCABULARY_FIELDS,
                                       {.key = NULL}};

enum { FIRST_YEAR = 1900, YEARS = 300 };

static int64_t codes_of(int which) {
  static const int64_t counts[] = {YEARS, 12, 31, 7, 24, 2};
  return counts[which];
}

static void derive_part(const void *user, const double *values, int64_t sample, void *out) {
  const part_options *options = ((const co_input_feature *)user)->preprocessing;
  double parts[PARTS];
  (void)sample;
  *(int32_t *)out = -1;
  if (!is_date(values[0])) return;
  take_date_apart(values[0], parts);
  double code = parts[options->part] - (options->part == YEAR ? FIRST_YEAR : 0);
  if (code >= 0 && code < (double)codes_of(options->part)) *(int32_t *)out = (int32_t)code;
}

static void print_part(const void *user, co_text *out) {
  const part_options *options = ((const co_input_feature *)user)->preprocessing;
  co_text_printf(out,
                 "  double parts[PARTS];\n"
                 "  *out = -1;\n"
                 "  if (!is_date(values[0])) return;\n"
                 "  take_date_apart(values[0], parts);\n"
                 "  double code = parts[%d] - %d;\n"
                 "  if (code >= 0 && code < %lld) *out = (int)code;\n",
                 options->part, options->part == YEAR ? FIRST_YEAR : 0,
                 (long long)codes_of(options->part));
}

static co_status declare_part(co_model *model, co_input_feature *feature) {
  const co_derivation made = {.dtype = CO_I32,
                              .width = 1,
                              .derive = derive_part,
                              .print_c = print_part,
                              .c_sections = "date parts"};
  int which = ((const part_options *)feature->preprocessing)->part;
  CO_RETURN_IF_FAILED(co_vocabulary_declare(model, feature, codes_of(which)));
  return co_feature_derive(model, feature, &made);
}

static const co_input_class date_part = {.preprocessing = part_fields,
                                         .preprocessing_size = sizeof(part_options),
                                         .encoder = "embedding",
                                         .table_rows = co_vocabulary_rows,
                                         .declare = declare_part,
                                         .is_fitted = co_vocabulary_is_fitted,
                                         .fit = &co_vocabulary_fit,
                                         .check = co_vocabulary_check,
                                         .describe = co_vocabulary_describe,
                                         .emit = co_vocabulary_emit};

extern const co_feature_class co_feature_date_part;
const co_feature_class co_feature_date_part = {.name = "date_part",
                                               .doc = "Of type date_part: one part of a date as a "
                                                      "class.",
                                               .columns = 1u << CO_COLUMN_DATE,
                                               .input = &date_part};
