// SPDX-License-Identifier: Apache-2.0
// The effects of events, one by one: as text, CSV or JSON.
#include <math.h>
#include <string.h>

#include "host/api/explain.h"
#include "host/eval/timeline.h"

enum { CELL = 64 };

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

static void put_event(const telling *t, co_json *json, const told *of, int64_t i) {
  const co_timeline_row *row = &of->row;
  char room[CELL];
  int64_t count;
  const co_timeline_value *values = co_timeline_values(t->timeline, &count);
  co_json_open(json, '{');
  co_json_key(json, "event");
  co_json_int(json, row->earlier + i + 1);
  const char *time = co_timeline_time(t->timeline, row->first + i, room, sizeof room);
  if (time) {
    co_json_key(json, "time");
    co_json_string(json, time);
  }
  co_json_key(json, "values");
  co_json_open(json, '{');
  for (int64_t k = 0; k < count; k++) {
    co_json_key(json, values[k].name);
    co_json_string(json, co_view_print(&values[k].view, row->first + i, room, sizeof room));
  }
  co_json_close(json);
  co_json_key(json, "effect");
  co_json_double(json, row->value[i + 1] - row->value[i]);
  co_json_key(json, "score");
  co_json_double(json, co_timeline_score(t->timeline, row->value[i + 1]));
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
  for (int64_t i = 0; i < row->count; i++)
    put_event(t, json, of, i);
  co_json_close(json);
  co_json_close(json);
}

// ---- a file ------------------------------------------------------------------------------------

static void put_line(const telling *t, const told *of, const char *event, const char *values,
                     double effect, double value, co_text *out) {
  char numbers[64];
  co_score_add_text(out, of->key, ',');
  co_text_printf(out, ",%s,", event);
  co_score_add_text(out, values, ',');
  snprintf(numbers, sizeof numbers, ",%.9g", effect);
  co_number_use_point(numbers + 1);
  co_text_printf(out, "%s", numbers);
  snprintf(numbers, sizeof numbers, ",%.9g", co_timeline_score(t->timeline, value));
  co_number_use_point(numbers + 1);
  co_text_printf(out, "%s\n", numbers);
}

// A line for no events, one for those before the ones that are told of, one for each of these: effects
// add up to the row's value.
static void put_lines(const telling *t, const told *of, co_text *out, co_text *values) {
  const co_timeline_row *row = &of->row;
  char event[24];
  put_line(t, of, "none", "", row->none, row->none, out);
  if (row->earlier) put_line(t, of, "earlier", "", row->value[0] - row->none, row->value[0], out);
  for (int64_t i = 0; i < row->count; i++) {
    values->length = 0;
    co_timeline_describe(t->timeline, row->first + i, values);
    snprintf(event, sizeof event, "%lld", (long long)(row->earlier + i + 1));
    put_line(t, of, event, values->length ? values->data : "", row->value[i + 1] - row->value[i],
             row->value[i + 1], out);
  }
}

static co_status write_header(co_explaining *e) {
  const co_column *key = co_dataset_key_column(e->dataset);
  co_text line;
  if (e->lines || e->rows) return CO_OK;
  co_text_init(&line, e->ctx);
  co_score_add_text(&line, key ? key->name : "row", ',');
  co_text_printf(&line, ",event,values,effect,score\n");
  co_status status = line.status;
  if (status == CO_OK) status = co_writer_write(e->writer, line.data, line.length);
  co_text_free(&line);
  return status;
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
  co_text_printf(text, "  %6s  %-58s %10s %10s\n", "event", "", "effect", "score");
  if (row->earlier)
    co_text_printf(text, "  %6s  %-58s %+10.4f %10.4g\n", "", "those before",
                   row->value[0] - row->none, co_timeline_score(t->timeline, row->value[0]));
  co_text_init(&values, t->e->ctx);
  for (int64_t i = 0; i < row->count; i++) {
    values.length = 0;
    co_timeline_describe(t->timeline, row->first + i, &values);
    co_text_printf(text, "  %6lld  %-58.58s %+10.4f %10.4g\n", (long long)(row->earlier + i + 1),
                   values.length ? values.data : "", row->value[i + 1] - row->value[i],
                   co_timeline_score(t->timeline, row->value[i + 1]));
  }
  co_status status = values.status;
  co_text_free(&values);
  return status;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status tell(const telling *t, int64_t i, cohort_result *result) {
  co_explaining *e = t->e;
  char key[CO_DATASET_KEY_MAX + 1];
  const told row = {.key = key, .row = co_timeline_at(t->timeline, i)};
  CO_RETURN_IF_FAILED(co_dataset_key(e->dataset, e->samples[i], key, sizeof key));
  if (e->writer) return write_row(t, &row);
  put_json(t, &result->json, &row);
  return put_text(t, &result->text, &row, !e->rows && !i);
}

co_status co_explain_events(co_explaining *e, cohort_result *result) {
  const co_timeline_request request = {.predictor = e->predictor,
                                       .dataset = e->dataset,
                                       .samples = e->samples,
                                       .count = e->count,
                                       .output = e->output - e->predictor->model->outputs,
                                       .class_ = e->class_,
                                       .most = e->options->events,
                                       .workers = e->options->workers,
                                       .watch = &e->context->watch};
  telling t = {.e = e};
  if (e->writer) CO_RETURN_IF_FAILED(write_header(e));
  co_status status = co_timeline_make(&t.timeline, &request);
  for (int64_t i = 0; status == CO_OK && i < e->count; i++)
    status = tell(&t, i, result);
  e->method = "the score as events come";
  co_timeline_free(t.timeline);
  return status;
}
