// SPDX-License-Identifier: Apache-2.0
// From rows to what is written of them.
#include <stdio.h>
#include <string.h>

#include "host/api/predict.h"
#include "host/core/file.h"
#include "host/eval/calibration.h"

enum { SAVE_ROWS = 1 << 16 };

// ---- room --------------------------------------------------------------------------------------

static int64_t width_of(const co_model *model) {
  int64_t width = 0;
  for (int64_t i = 0; i < co_model_score_count(model); i++)
    width += co_model_score_width(model, i);
  return width;
}

static co_status create_ranking(co_scoring *s, int64_t columns, int64_t width) {
  const char *folder = s->options->temporary_folder, *file = co_sink_file(s->where.output);
  if (!folder && !file) folder = s->options->source.temporary_folder;
  char *beside = !folder && file
                     ? co_arena_format(s->arena, "%s.scores", file)
                     : co_arena_format(s->arena, "%s/cohort.scores", co_temporary_root(folder));
  const co_ranking_options options = {.columns = columns, .width = width, .beside = beside};
  return beside ? co_ranking_create(&s->ranking, s->ctx, &options) : CO_ERR_MEMORY;
}

static co_status make_calibrated(co_scoring *s) {
  const co_model *model = s->told;
  bool any = false;
  for (int64_t i = 0; i < model->output_count; i++)
    any = any || model->outputs[i].decided;
  if (!any) return co_fail(CO_ERR_USAGE, "--calibrated: no output has probabilities to calibrate");
  float *at = co_arena_alloc(s->arena, (size_t)s->width, sizeof *at);
  s->calibrated = co_arena_alloc(s->arena, (size_t)model->output_count, sizeof *s->calibrated);
  if (!at || !s->calibrated) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->output_count; at += model->outputs[i++].width)
    s->calibrated[i] = at;
  return CO_OK;
}

co_status co_scoring_make_room(co_scoring *s) {
  const co_model *scored = s->predictor->model;
  bool means = s->ensemble == CO_ENSEMBLE_RANK_MEAN;
  s->width = width_of(s->told);
  s->cells = co_arena_alloc(s->arena, (size_t)s->columns.count, sizeof *s->cells);
  s->scores = co_arena_alloc(s->arena, (size_t)co_model_score_count(scored), sizeof *s->scores);
  s->values = co_arena_alloc(s->arena, (size_t)s->width, sizeof *s->values);
  s->ranked = co_arena_alloc(s->arena, (size_t)s->model_count, sizeof *s->ranked);
  s->ranks = co_arena_alloc(s->arena, (size_t)s->model_count, sizeof *s->ranks);
  if (!s->cells || !s->scores || !s->values || !s->ranked || !s->ranks) return CO_ERR_MEMORY;
  if (s->options->calibrated) CO_RETURN_IF_FAILED(make_calibrated(s));
  if (means) return create_ranking(s, s->model_count, 0);
  return s->columns.ranked ? create_ranking(s, 1, s->width) : CO_OK;
}

// Of an ensemble all models are told of, else the one that the output is of.
static co_status list_members(const co_scoring *s, co_reasons_request *request) {
  co_reasons_member *members = co_arena_alloc(s->arena, (size_t)s->model_count, sizeof *members);
  const bool all = s->ensemble == CO_ENSEMBLE_MEAN;
  if (!members) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->model_count; i++) {
    const co_scored_model *m = &s->models[i];
    const int64_t output = all ? request->output : request->output - m->first_output;
    if (output < 0 || output >= m->predictor->model->output_count) continue;
    members[request->member_count++] = (co_reasons_member){m->predictor, s->of_model[i]};
    if (all) continue;
    request->output = output;
    break;
  }
  request->members = members;
  return CO_OK;
}

co_status co_scoring_open_reasons(co_scoring *s) {
  const co_score_columns *columns = &s->columns;
  const co_score_piece *piece = s->piece;
  if (!columns->reasoned || s->reasons || !piece->count) return CO_OK;
  if (s->ensemble == CO_ENSEMBLE_RANK_MEAN)
    return co_fail(CO_ERR_USAGE, "reasons are of scores; means of places have none");
  co_reasons_request request = {.output = columns->reasoned - s->told->outputs,
                                .count = columns->reasons,
                                .class_ = -1,
                                .samples = s->samples,
                                .sample_count = piece->count,
                                .workers = s->options->workers,
                                .watch = &s->context->watch};
  CO_RETURN_IF_FAILED(list_members(s, &request));
  return co_reasons_open(&s->reasons, &request);
}

// ---- rows --------------------------------------------------------------------------------------

// What is told of a row's scores.
static const float *const *shown(co_scoring *s) {
  const co_model *model = s->told;
  if (!s->calibrated) return s->scores;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    memcpy(s->calibrated[i], s->scores[i], (size_t)output->width * sizeof(float));
    if (output->decided)
      co_calibrate(s->calibrated[i], 1, output->width, co_output_temperature(output));
  }
  return (const float *const *)s->calibrated;
}

static int64_t number_of(const co_scoring *s, int64_t sample) {
  return s->parts ? s->parts->items[s->part].first + sample : sample;
}

static co_status write_row(co_scoring *s, int64_t sample, int64_t rank) {
  char key[CO_DATASET_KEY_MAX + 1];
  const co_reason *reasons = NULL;
  if (s->reasons)
    CO_RETURN_IF_FAILED(co_reasons_at(s->reasons, s->written - s->piece->at, &reasons));
  if (s->parts && !co_dataset_key_column(s->datasets[0]))
    snprintf(key, sizeof key, "%lld", (long long)number_of(s, sample));
  else
    CO_RETURN_IF_FAILED(co_dataset_key(s->datasets[0], sample, key, sizeof key));
  const co_score_row row = {.key = key,
                            .sample = sample,
                            .number = number_of(s, sample),
                            .scores = s->scores,
                            .shown = shown(s),
                            .rank = rank,
                            .rows = s->count,
                            .reasons = reasons};
  CO_RETURN_IF_FAILED(co_score_cells(s->cells, &s->columns, &row));
  CO_RETURN_IF_FAILED(co_sink_row(s->sink, s->cells));
  co_drift_add(s, row.scores, row.shown);
  s->written++;
  return CO_OK;
}

co_status co_scoring_note(co_scoring *s, co_status (*to)(co_sink *, const co_position *)) {
  co_text state;
  co_text_init(&state, s->ctx);
  co_drift_print_state(s, &state);
  const co_position at = {.rows = s->written, .state = state.data};
  co_status status = state.status;
  if (status == CO_OK) status = to(s->sink, &at);
  co_text_free(&state);
  return status;
}

// Now and then, so that not all is lost.
static co_status save(co_scoring *s) {
  int64_t every = s->options->save_rows ? s->options->save_rows : SAVE_ROWS;
  if (s->written - s->saved < every || s->written == s->count) return CO_OK;
  CO_RETURN_IF_FAILED(co_scoring_note(s, co_sink_save));
  s->saved = s->written;
  return CO_OK;
}

static co_status rank_row(co_scoring *s, int64_t sample) {
  const co_model *model = s->predictor->model;
  CO_RETURN_IF_FAILED(co_score_check(model, s->scores, number_of(s, sample)));
  if (s->ensemble == CO_ENSEMBLE_RANK_MEAN) {
    for (int64_t i = 0; i < s->model_count; i++)
      s->ranked[i] = (float)co_score_of(&model->outputs[i], s->scores[i]);
    return co_ranking_add(s->ranking, s->ranked, s->values);
  }
  float *at = s->values;
  for (int64_t i = 0; i < co_model_score_count(model); i++) {
    const int64_t width = co_model_score_width(model, i);
    memcpy(at, s->scores[i], (size_t)width * sizeof *at);
    at += width;
  }
  const co_output_feature *ranked = s->columns.ranked;
  s->ranked[0] = (float)co_score_of(ranked, shown(s)[ranked - model->outputs]);
  return co_ranking_add(s->ranking, s->ranked, s->values);
}

// A co_score_sink.
static co_status take_rows(void *user, const int64_t *samples, int64_t rows,
                           const float *const *scores) {
  co_scoring *s = user;
  const co_model *model = s->predictor->model;
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t i = 0; i < co_model_score_count(model); i++)
      s->scores[i] = scores[i] + row * co_model_score_width(model, i);
    CO_RETURN_IF_FAILED(s->ranking ? rank_row(s, samples[row]) : write_row(s, samples[row], 0));
  }
  return save(s); // after whole batches: those of who goes on are the same
}

static co_status stopped(const co_scoring *s) {
  bool to_file = strcmp(s->options->output, "-") != 0;
  co_status status = co_fail(CO_INTERRUPTED, to_file ? "stopped; no output was written"
                                                     : "stopped; the output is not complete");
  if (s->saved)
    co_hint("--resume goes on behind row %lld of %lld", (long long)s->saved, (long long)s->count);
  return status;
}

// ---- places ------------------------------------------------------------------------------------

// The mean, over the models, of the share of rows that score no higher than this one.
static co_status next_mean(co_scoring *s, float *out) {
  double sum = 0;
  CO_RETURN_IF_FAILED(co_ranking_next(s->ranking, s->values, s->ranks));
  for (int64_t i = 0; i < s->model_count; i++)
    sum += (double)(s->count - s->ranks[i] + 1) / (double)s->count;
  *out = (float)(sum / (double)s->model_count);
  return CO_OK;
}

// Places rows by those means.
static co_status rank_means(co_scoring *s) {
  co_ranking *of_models = s->ranking, *of_means;
  s->ranking = NULL;
  co_status status = create_ranking(s, 1, 1);
  of_means = s->ranking;
  s->ranking = of_models;
  for (int64_t i = 0; status == CO_OK && i < s->count; i++) {
    float mean;
    status = next_mean(s, &mean);
    if (status == CO_OK) status = co_ranking_add(of_means, &mean, &mean);
    if (i % (1 << 16) == 0) co_alive(s->ctx, CO_PATIENCE);
  }
  s->ranking = of_means;
  co_ranking_free(of_models);
  return status == CO_OK ? co_ranking_sort(s->ranking) : status;
}

static co_status next_row(co_scoring *s, bool means, int64_t *rank) {
  *rank = 0;
  if (means) return next_mean(s, s->values);
  return co_ranking_next(s->ranking, s->values, rank);
}

static co_status write_piece(co_scoring *s, const co_score_piece *piece, bool means) {
  int64_t rank;
  CO_RETURN_IF_FAILED(co_scoring_open_piece(s, piece));
  CO_RETURN_IF_FAILED(co_scoring_open_reasons(s));
  for (int64_t i = 0; i < piece->count; i++) {
    if (co_watch_stopped(&s->context->watch)) return stopped(s);
    CO_RETURN_IF_FAILED(next_row(s, means, &rank));
    if (piece->at + i < s->sink->at.rows) continue; // which a job before has written
    CO_RETURN_IF_FAILED(write_row(s, s->samples[i], rank));
    CO_RETURN_IF_FAILED(save(s));
    if (i % (1 << 16) == 0) co_alive(s->ctx, CO_PATIENCE);
  }
  return CO_OK;
}

// Once the scores of all rows are known.
static co_status write_ranked(co_scoring *s) {
  bool means = s->ensemble == CO_ENSEMBLE_RANK_MEAN;
  CO_RETURN_IF_FAILED(co_ranking_sort(s->ranking));
  if (means && s->columns.ranked) CO_RETURN_IF_FAILED(rank_means(s));
  float *at = s->values;
  for (int64_t i = 0; i < co_model_score_count(s->told); at += co_model_score_width(s->told, i++))
    s->scores[i] = at;
  for (int64_t i = 0; i < s->piece_count; i++)
    CO_RETURN_IF_FAILED(write_piece(s, &s->pieces[i], means && !s->columns.ranked));
  return CO_OK;
}

// ---- scoring -----------------------------------------------------------------------------------

co_status co_scoring_run(co_scoring *s) {
  const co_scoring_options options = {.watch = &s->context->watch,
                                      .workers = s->options->workers,
                                      .stage = "predict",
                                      .exclude_seen = s->options->exclude_seen,
                                      .stoppable = true,
                                      .sink = take_rows,
                                      .user = s};
  // Of places among all rows all scores are needed, of which none were kept.
  int64_t from = s->ranking ? 0 : s->written;
  if (s->written == s->count) return CO_OK;
  for (int64_t i = 0; i < s->piece_count; i++) {
    const co_score_piece *piece = &s->pieces[i];
    int64_t skipped = from > piece->at ? from - piece->at : 0;
    if (skipped >= piece->count) continue;
    CO_RETURN_IF_FAILED(co_scoring_open_piece(s, piece));
    CO_RETURN_IF_FAILED(co_scoring_open_reasons(s));
    co_status status = s->predictor->class_->run(s->predictor, s->of_model[0], s->samples + skipped,
                                                 piece->count - skipped, &options);
    if (status == CO_INTERRUPTED) return stopped(s);
    CO_RETURN_IF_FAILED(status);
  }
  return s->ranking ? write_ranked(s) : CO_OK;
}
