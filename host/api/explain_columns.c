// SPDX-License-Identifier: Apache-2.0
// The effects of columns: as text, CSV or JSON.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/api/explain.h"
#include "host/core/text_width.h"

// What is told of a row.
typedef struct told {
  const char *key;
  const co_reason *effects;
  int64_t count;
  co_explained head;
} told;

static bool is_binary(const co_explaining *e) {
  return e->output->column->type == CO_COLUMN_BINARY;
}

static const char *class_of(const co_explaining *e, const told *row) {
  const co_column *column = e->output->column;
  return column->type == CO_COLUMN_CATEGORY ? column->categories[row->head.class_] : NULL;
}

// ---- JSON --------------------------------------------------------------------------------------

static void put_json(const co_explaining *e, co_json *json, const told *row) {
  co_json_open(json, '{');
  co_json_key(json, "key");
  co_json_string(json, row->key);
  if (class_of(e, row)) {
    co_json_key(json, "class");
    co_json_string(json, class_of(e, row));
  }
  if (is_binary(e)) {
    co_json_key(json, "score");
    co_json_double(json, 1 / (1 + exp(-row->head.value)));
  }
  co_json_key(json, "value");
  co_json_double(json, row->head.value);
  co_json_key(json, "reference");
  co_json_double(json, row->head.reference);
  co_json_key(json, "effects");
  co_json_open(json, '[');
  for (int64_t i = 0; i < row->count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "column");
    co_json_string(json, row->effects[i].name);
    co_json_key(json, "value");
    co_json_string(json, row->effects[i].value);
    co_json_key(json, "effect");
    co_json_double(json, row->effects[i].effect);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_close(json);
}

// ---- a file ------------------------------------------------------------------------------------

static void put_line(co_text *out, const char *key, const char *column, const char *value,
                     double effect) {
  char number[32];
  snprintf(number, sizeof number, "%.9g", effect);
  co_number_use_point(number);
  co_score_add_text(out, key, ',');
  co_text_append(out, ",", 1);
  co_score_add_text(out, column, ',');
  co_text_append(out, ",", 1);
  co_score_add_text(out, value, ',');
  co_text_printf(out, ",%s\n", number);
}

// A line for each column, before them one for the reference: they add up to the row's value.
static co_status write_row(co_explaining *e, const told *row) {
  co_json json;
  co_text *out = &json.text;
  co_json_init(&json, e->ctx, 0);
  if (e->lines) {
    put_json(e, &json, row);
    co_text_append(out, "\n", 1);
  } else {
    put_line(out, row->key, "(reference)", "", row->head.reference);
    for (int64_t i = 0; i < row->count; i++)
      put_line(out, row->key, row->effects[i].name, row->effects[i].value, row->effects[i].effect);
  }
  co_status status = out->status;
  if (status == CO_OK) status = co_writer_write(e->writer, out->data, out->length);
  co_json_free(&json);
  return status;
}

// ---- text --------------------------------------------------------------------------------------

static void put_text(const co_explaining *e, co_text *text, const told *row, bool first) {
  if (!first) co_text_printf(text, "\n");
  co_text_printf(text, "%s: %s", row->key, e->output->name);
  if (class_of(e, row)) co_text_printf(text, " is %s,", class_of(e, row));
  if (is_binary(e)) co_text_printf(text, " %.4f,", 1 / (1 + exp(-row->head.value)));
  const char *unit = is_binary(e) ? "log-odds " : class_of(e, row) ? "logit " : "";
  co_text_printf(text, " %s%.4g; the mean training row %.4g\n", unit, row->head.value,
                 row->head.reference);
  for (int64_t i = 0; i < row->count; i++) {
    co_text_printf(text, "  ");
    co_text_pad(text, row->effects[i].name, 28, 28, false);
    co_text_printf(text, " ");
    co_text_pad(text, row->effects[i].value, 24, 24, false);
    co_text_printf(text, " %+10.4f\n", row->effects[i].effect);
  }
}

// ---- rows --------------------------------------------------------------------------------------

static co_status tell_row(co_explaining *e, co_reasons *reasons, int64_t place,
                          cohort_result *result) {
  char key[CO_DATASET_KEY_MAX + 1];
  told row = {.key = key};
  CO_RETURN_IF_FAILED(co_dataset_key(e->dataset, e->samples[place], key, sizeof key));
  CO_RETURN_IF_FAILED(co_reasons_at(reasons, place, &row.effects));
  row.head = co_reasons_explained(reasons);
  double rest = row.head.value - row.head.reference;
  while (row.count < e->predictor->model->input_count && *row.effects[row.count].name)
    rest -= row.effects[row.count++].effect;
  e->rest = fmax(e->rest, fabs(rest));
  if (e->writer) return write_row(e, &row);
  put_json(e, &result->json, &row);
  put_text(e, &result->text, &row, !e->rows && !place);
  return CO_OK;
}

co_status co_explain_columns(co_explaining *e, cohort_result *result) {
  const co_model *model = e->predictor->model;
  const co_reasons_member member = {e->predictor, e->dataset};
  const co_reasons_request request = {.members = &member,
                                      .member_count = 1,
                                      .output = e->output - model->outputs,
                                      .count = model->input_count,
                                      .class_ = e->class_,
                                      .steps = e->options->steps,
                                      .samples = e->samples,
                                      .sample_count = e->count,
                                      .workers = e->options->workers,
                                      .watch = &e->context->watch};
  co_reasons *reasons;
  CO_RETURN_IF_FAILED(co_explain_write_header(e, "column,value,effect"));
  CO_RETURN_IF_FAILED(co_reasons_open(&reasons, &request));
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < e->count; i++)
    status = tell_row(e, reasons, i, result);
  e->method = co_reasons_method(reasons);
  co_reasons_close(reasons);
  return status;
}
