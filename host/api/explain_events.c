// SPDX-License-Identifier: Apache-2.0
// The effects of events, one by one: as text, CSV or JSON.
#include <math.h>
#include <string.h>

#include "host/api/data.h"
#include "host/api/explain.h"
#include "host/core/text_width.h"
#include "host/eval/timeline.h"

enum { CELL = 64, WIDTH = 58, SCORED = 1 << 18 }; // at once: rows, each with fewer events each time

// What is told of a row.
typedef struct told {
  const char *key;
  co_timeline_row row;
} told;

typedef struct telling {
  co_explaining *e;
  co_timeline *timeline;
} telling;

static const char *class_of(const telling *t, const told *row) {
  const co_column *column = t->e->output->column;
  return column->type == CO_COLUMN_CATEGORY ? column->categories[row->row.class_] : NULL;
}

// ---- JSON --------------------------------------------------------------------------------------

static void put_event(const telling *t, co_json *json, const co_timeline_step *step) {
  char room[CELL];
  int64_t count;
  const co_timeline_value *values = co_timeline_values(t->timeline, &count);
  co_json_open(json, '{');
  co_json_key(json, "event");
  co_json_int(json, step->number);
  const char *time = co_timeline_time(t->timeline, step->row, room, sizeof room);
  if (time) {
    co_json_key(json, "time");
    co_json_string(json, time);
  }
  co_json_key(json, "values");
  co_json_open(json, '{');
  for (int64_t k = 0; k < count; k++) {
    co_json_key(json, values[k].name);
    co_json_string(json, co_view_print(&values[k].view, step->row, room, sizeof room));
  }
  co_json_close(json);
  co_json_key(json, "effect");
  co_json_double(json, step->effect);
  co_json_key(json, "score");
  co_json_double(json, co_timeline_score(t->timeline, step->value));
  co_json_close(json);
}

static void put_json(const telling *t, co_json *json, const told *of) {
  const co_timeline_row *row = &of->row;
  co_json_open(json, '{');
  co_json_key(json, "key");
  co_json_string(json, of->key);
  if (class_of(t, of)) {
    co_json_key(json, "class");
    co_json_string(json, class_of(t, of));
  }
  co_json_key(json, "score");
  co_json_double(json, co_timeline_score(t->timeline, row->value[row->count]));
  co_json_key(json, "value");
  co_json_double(json, row->value[row->count]);
  co_json_key(json, "without_events");
  co_json_double(json, row->none);
  co_json_key(json, "earlier_events");
  co_json_int(json, row->earlier);
  co_json_key(json, "earlier_effect");
  co_json_double(json, row->value[0] - row->none);
  co_json_key(json, "events");
  co_json_open(json, '[');
  for (int64_t i = co_timeline_step_count(row) - row->count; i < co_timeline_step_count(row); i++) {
    const co_timeline_step step = co_timeline_step_at(row, i);
    put_event(t, json, &step);
  }
  co_json_close(json);
  co_json_close(json);
}

// ---- a file ------------------------------------------------------------------------------------

static void put_number(co_text *out, double value) {
  char number[32];
  snprintf(number, sizeof number, "%.9g", value);
  co_number_use_point(number);
  co_text_printf(out, ",%s", number);
}

static void put_lines(const telling *t, const told *of, co_text *out, co_text *values) {
  char event[24];
  for (int64_t i = 0; i < co_timeline_step_count(&of->row); i++) {
    const co_timeline_step step = co_timeline_step_at(&of->row, i);
    values->length = 0;
    if (step.row >= 0) co_timeline_describe(t->timeline, step.row, values);
    snprintf(event, sizeof event, "%lld", (long long)step.number);
    co_score_add_text(out, of->key, ',');
    co_text_printf(out, ",%s,", step.row >= 0 ? event : step.number ? "earlier" : "none");
    co_score_add_text(out, values->length ? values->data : "", ',');
    put_number(out, step.effect);
    put_number(out, co_timeline_score(t->timeline, step.value));
    co_text_append(out, "\n", 1);
  }
}

static co_status write_row(const telling *t, const told *of) {
  co_json json;
  co_text values, *out = &json.text;
  co_json_init(&json, t->e->ctx, 0);
  co_text_init(&values, t->e->ctx);
  if (t->e->lines) {
    put_json(t, &json, of);
    co_text_append(out, "\n", 1);
  } else {
    put_lines(t, of, out, &values);
  }
  co_status status = out->status != CO_OK ? out->status : values.status;
  if (status == CO_OK) status = co_writer_write(t->e->writer, out->data, out->length);
  co_text_free(&values);
  co_json_free(&json);
  return status;
}

// ---- text --------------------------------------------------------------------------------------

static co_status put_text(const telling *t, co_text *text, const told *of, bool first) {
  const co_timeline_row *row = &of->row;
  const bool binary = t->e->output->column->type == CO_COLUMN_BINARY;
  co_text values;
  if (!first) co_text_printf(text, "\n");
  co_text_printf(text, "%s: %s", of->key, t->e->output->name);
  if (class_of(t, of)) co_text_printf(text, " is %s,", class_of(t, of));
  co_text_printf(text, " %.4g", co_timeline_score(t->timeline, row->value[row->count]));
  if (binary) co_text_printf(text, ", log-odds %.4g", row->value[row->count]);
  co_text_printf(text, "; without events %.4g\n", co_timeline_score(t->timeline, row->none));
  co_text_printf(text, "  %6s  %-*s %10s %10s\n", "event", WIDTH, "", "effect", "score");
  co_text_init(&values, t->e->ctx);
  for (int64_t i = 1; i < co_timeline_step_count(row); i++) {
    const co_timeline_step step = co_timeline_step_at(row, i);
    values.length = 0;
    if (step.row >= 0)
      co_timeline_describe(t->timeline, step.row, &values);
    else
      co_text_printf(&values, "and those before");
    co_text_printf(text, "  %6lld  ", (long long)step.number);
    co_text_pad(text, values.length ? values.data : "", WIDTH, WIDTH, false);
    co_text_printf(text, " %+10.4f %10.4g\n", step.effect,
                   co_timeline_score(t->timeline, step.value));
  }
  co_status status = values.status;
  co_text_free(&values);
  return status;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status tell(const telling *t, int64_t begin, int64_t i, cohort_result *result) {
  co_explaining *e = t->e;
  char key[CO_DATASET_KEY_MAX + 1];
  const told row = {.key = key, .row = co_timeline_at(t->timeline, i)};
  CO_RETURN_IF_FAILED(co_dataset_key(e->dataset, e->samples[begin + i], key, sizeof key));
  if (e->writer) return write_row(t, &row);
  put_json(t, &result->json, &row);
  return put_text(t, &result->text, &row, !e->rows && !begin && !i);
}

static co_status tell_rows(telling *t, int64_t begin, int64_t count, cohort_result *result) {
  const co_explaining *e = t->e;
  const co_timeline_request request = {.predictor = e->predictor,
                                       .dataset = e->dataset,
                                       .samples = e->samples + begin,
                                       .count = count,
                                       .output = e->output - e->predictor->model->outputs,
                                       .class_ = e->class_,
                                       .most = e->options->events,
                                       .workers = e->options->workers,
                                       .stage = "explain",
                                       .watch = &e->context->watch};
  co_status status = co_timeline_make(&t->timeline, &request);
  for (int64_t i = 0; status == CO_OK && i < count; i++)
    status = tell(t, begin, i, result);
  co_timeline_free(t->timeline);
  return status;
}

co_status co_explain_events(co_explaining *e, cohort_result *result) {
  telling t = {.e = e};
  e->method = "the score as events come";
  CO_RETURN_IF_FAILED(co_explain_write_header(e, "event,values,effect,score"));
  const int64_t most = SCORED / (e->options->events + 2);
  for (int64_t begin = 0; begin < e->count; begin += most)
    CO_RETURN_IF_FAILED(
        tell_rows(&t, begin, e->count - begin < most ? e->count - begin : most, result));
  return CO_OK;
}
