// SPDX-License-Identifier: Apache-2.0
#include "host/eval/timeline.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/date.h"
#include "host/core/json.h"
#include "host/eval/attribution.h"
#include "models/feature.h"

static const double least = 0x1p-24; // probability that is told from 0, and from 1

struct co_timeline {
  co_context *ctx;
  co_arena *arena;
  co_timeline_request request;
  const co_output_feature *output;
  const char *table;
  const int64_t *begin, *end; // of the dataset's samples
  co_numbers time;            // of events; values NULL where none is stored
  co_timeline_value *values;
  int64_t value_count;
  // What is scored, sample by sample: all of its events, one less each as far as they are told of, none.
  co_dataset *cut;
  co_dataset_cuts cuts;
  int64_t at, less; // whose score comes next: of `count`, without so many events
  int32_t *class_;  // (count)
  int64_t longest;  // the most events of a sample that are told of
  double *value;    // (count, longest + 1): before the events that are told of, after each
  double *none;     // (count)
};

// ---- what is asked for -------------------------------------------------------------------------

static co_status find_table(co_timeline *t) {
  const co_model *model = t->request.predictor->model;
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_input_feature *feature = &model->inputs[i];
    if (!feature->class_->of_events) continue;
    const char *table = feature->column->table;
    if (t->table && strcmp(t->table, table) != 0)
      return co_fail(CO_ERR_USAGE,
                     "the model reads events of '%.200s' and of '%.200s': single ones of several "
                     "tables are not told of",
                     t->table, table);
    t->table = table;
  }
  if (t->table) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "the model reads no events");
  co_hint("without --events the effects are those of columns");
  return status;
}

static int64_t length_of(const co_timeline *t, int64_t i) {
  const int64_t sample = t->request.samples[i];
  return t->end[sample] - t->begin[sample];
}

static bool has_value(const co_timeline *t) {
  const co_column *column = t->output->column;
  if (!column) return false;
  return column->type == CO_COLUMN_BINARY || column->type == CO_COLUMN_CATEGORY ||
         (column->type == CO_COLUMN_NUMBER &&
          co_model_score_width(t->request.predictor->model, t->request.output) == 1);
}

// How many of its events are told of.
static int64_t told_of(const co_timeline *t, int64_t i) {
  const int64_t length = length_of(t, i);
  return length < t->request.most ? length : t->request.most;
}

static co_status open_values(co_timeline *t) {
  const co_schema *schema = co_dataset_schema(t->request.dataset);
  const char *time = co_schema_table(schema, t->table)->time;
  if (time) CO_RETURN_IF_FAILED(co_dataset_numbers(t->request.dataset, time, &t->time));
  t->values = co_arena_alloc(t->arena, (size_t)schema->column_count + 1, sizeof *t->values);
  if (!t->values) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    if (!co_view_exists(column) || !column->table || strcmp(column->table, t->table) != 0) continue;
    co_timeline_value *value = &t->values[t->value_count++];
    value->name = column->name;
    CO_RETURN_IF_FAILED(co_view_open(&value->view, t->request.dataset, column));
  }
  return CO_OK;
}

// What samples see, and each of them by its number.
static co_status list_cuts(co_timeline *t, int64_t **numbers) {
  int64_t count = 0, *sample;
  for (int64_t i = 0; i < t->request.count; i++)
    count += told_of(t, i) + 2;
  t->cuts.sample = sample = co_arena_alloc(t->arena, (size_t)count + 1, sizeof *sample);
  t->cuts.begin = co_arena_alloc(t->arena, (size_t)count + 1, sizeof *t->cuts.begin);
  t->cuts.end = co_arena_alloc(t->arena, (size_t)count + 1, sizeof *t->cuts.end);
  *numbers = co_arena_alloc(t->arena, (size_t)count + 1, sizeof **numbers);
  if (!sample || !t->cuts.begin || !t->cuts.end || !*numbers) return CO_ERR_MEMORY;
  for (int64_t i = 0, k = 0; i < t->request.count; i++)
    for (int64_t less = 0; less < told_of(t, i) + 2; less++, k++) {
      const int64_t of = t->request.samples[i];
      sample[k] = of;
      t->cuts.begin[k] = t->begin[of];
      t->cuts.end[k] = less > told_of(t, i) ? t->begin[of] : t->end[of] - less;
      (*numbers)[k] = k;
    }
  t->cuts.count = count;
  return CO_OK;
}

static co_status open_all(co_timeline *t, int64_t **numbers) {
  const co_timeline_request *r = &t->request;
  const size_t count = (size_t)r->count;
  t->output = &r->predictor->model->outputs[r->output];
  if (!has_value(t))
    return co_attribution_refuse(r->predictor->model, t->output, "events could change");
  CO_RETURN_IF_FAILED(find_table(t));
  CO_RETURN_IF_FAILED(co_dataset_ranges(r->dataset, t->table, &t->begin, &t->end));
  for (int64_t i = 0; i < r->count; i++)
    if (told_of(t, i) > t->longest) t->longest = told_of(t, i);
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, t->ctx));
  t->class_ = co_arena_alloc(t->arena, count + 1, sizeof *t->class_);
  t->value = co_arena_alloc(t->arena, count * (size_t)(t->longest + 1) + 1, sizeof *t->value);
  t->none = co_arena_alloc(t->arena, count + 1, sizeof *t->none);
  if (!t->class_ || !t->value || !t->none) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(open_values(t));
  CO_RETURN_IF_FAILED(list_cuts(t, numbers));
  return co_dataset_cut(&t->cut, r->dataset, t->table, &t->cuts);
}

// ---- values ------------------------------------------------------------------------------------

static double within(double p) {
  return fmin(fmax(p, least), 1 - least);
}

static double value_of(const co_timeline *t, const float *score, int64_t class_) {
  if (t->output->column->type == CO_COLUMN_NUMBER) return score[0];
  if (t->output->column->type == CO_COLUMN_CATEGORY) return log(fmax(score[class_], least));
  const double p = within(score[0]);
  return log(p) - log1p(-p);
}

static int32_t class_of(const co_timeline *t, const float *score) {
  int32_t best = 0;
  if (t->output->column->type != CO_COLUMN_CATEGORY) return 0;
  if (t->request.class_ >= 0) return (int32_t)t->request.class_;
  for (int32_t k = 1; k < t->output->width; k++)
    if (score[k] > score[best]) best = k;
  return best;
}

static co_status take_scores(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  co_timeline *t = user;
  const int64_t width = co_model_score_width(t->request.predictor->model, t->request.output);
  (void)samples;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t i = t->at, told = told_of(t, i);
    const float *score = scores[t->request.output] + row * width;
    double *value = t->less > told ? &t->none[i] : &t->value[i * (t->longest + 1) + told - t->less];
    if (!t->less) t->class_[i] = class_of(t, score);
    *value = value_of(t, score, t->class_[i]);
    if (t->less++ <= told) continue;
    t->at++;
    t->less = 0;
  }
  return CO_OK;
}

static co_status make(co_timeline *t) {
  const co_timeline_request *r = &t->request;
  const co_scoring_options options = {.watch = r->watch,
                                      .stoppable = true,
                                      .workers = r->workers,
                                      .stage = r->stage,
                                      .sink = take_scores,
                                      .user = t};
  int64_t *numbers = NULL;
  CO_RETURN_IF_FAILED(open_all(t, &numbers));
  return r->predictor->class_->run(r->predictor, t->cut, numbers, t->cuts.count, &options);
}

co_status co_timeline_make(co_timeline **out, const co_timeline_request *request) {
  co_context *ctx = request->predictor->ctx;
  *out = NULL;
  co_timeline *t = co_alloc_zero(ctx, 1, sizeof *t);
  if (!t) return CO_ERR_MEMORY;
  t->ctx = ctx;
  t->request = *request;
  co_status status = make(t);
  if (status == CO_OK)
    *out = t;
  else
    co_timeline_free(t);
  return status;
}

void co_timeline_free(co_timeline *t) {
  if (!t) return;
  co_dataset_close(t->cut);
  co_arena_free(t->arena);
  co_free(t->ctx, t);
}

double co_timeline_score(const co_timeline *t, double value) {
  const co_column_type type = t->output->column->type;
  return type == CO_COLUMN_BINARY     ? 1 / (1 + exp(-value))
         : type == CO_COLUMN_CATEGORY ? exp(value)
                                      : value;
}

const char *co_timeline_unit(const co_timeline *t) {
  const co_column_type type = t->output->column->type;
  return type == CO_COLUMN_BINARY     ? "log-odds"
         : type == CO_COLUMN_CATEGORY ? "the logarithm of the likeliest class's probability"
                                      : "the number predicted";
}

const co_timeline_value *co_timeline_values(const co_timeline *t, int64_t *count) {
  *count = t->value_count;
  return t->values;
}

const char *co_timeline_time(const co_timeline *t, int64_t event, char *room, size_t size) {
  if (!t->time.values) return NULL;
  co_date_print(co_numbers_at(&t->time, event), room, size);
  return room;
}

// Gaps are quotients: in all their digits they say no more. Amounts keep four decimals.
static void round_number(char *out, size_t size, double value) {
  const double magnitude = fabs(value);
  const bool plain = magnitude >= 1 && magnitude < 1e15;
  if (plain)
    snprintf(out, size, "%.4f", value);
  else
    snprintf(out, size, "%.4g", value);
  co_number_use_point(out);
  if (!plain) return;
  size_t length = strlen(out);
  while (out[length - 1] == '0')
    length--;
  if (out[length - 1] == '.') length--;
  out[length] = '\0';
}

static const char *describe_value(const co_view *view, int64_t event, char *room, size_t size) {
  const char *value = co_view_print(view, event, room, size);
  if (*value && view->column->type == CO_COLUMN_NUMBER && !view->bytes)
    round_number(room, size, co_view_at(view, event));
  return value;
}

void co_timeline_describe(const co_timeline *t, int64_t event, co_text *out) {
  char room[64];
  const char *time = co_timeline_time(t, event, room, sizeof room), *between = time ? ": " : "";
  if (time) co_text_printf(out, "%s", time);
  for (int64_t i = 0; i < t->value_count; i++) {
    const char *value = describe_value(&t->values[i].view, event, room, sizeof room);
    if (!*value) continue;
    co_text_printf(out, "%s%s %s", between, t->values[i].name, value);
    between = ", ";
  }
}

co_timeline_row co_timeline_at(const co_timeline *t, int64_t i) {
  const int64_t count = told_of(t, i);
  return (co_timeline_row){.class_ = t->class_[i],
                           .first = t->end[t->request.samples[i]] - count,
                           .count = count,
                           .earlier = length_of(t, i) - count,
                           .none = t->none[i],
                           .value = t->value + i * (t->longest + 1)};
}

co_timeline_step co_timeline_step_at(const co_timeline_row *row, int64_t i) {
  const int64_t k = i - 1 - (row->earlier > 0); // of the events told of
  if (i == 0) return (co_timeline_step){-1, 0, row->none, row->none};
  if (k < 0) return (co_timeline_step){-1, row->earlier, row->value[0] - row->none, row->value[0]};
  return (co_timeline_step){row->first + k, row->earlier + k + 1, row->value[k + 1] - row->value[k],
                            row->value[k + 1]};
}
