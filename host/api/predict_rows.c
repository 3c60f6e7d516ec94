// SPDX-License-Identifier: Apache-2.0
// The rows of a scoring: those of a dataset, of a log of events, or of a raw table part by part.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/api/predict.h"
#include "host/core/hash.h"
#include "host/eval/opening.h"
#include "host/eval/units.h"

enum { MAX_SHARDS = 1 << 20, WINDOW = 1 << 18 };

// ---- parts -------------------------------------------------------------------------------------

static void close_part(co_scoring *s) {
  co_reasons_close(s->reasons);
  s->reasons = NULL;
  for (int64_t i = 0; i < s->dataset_count; i++) {
    co_dataset_close(s->datasets[i]);
    s->datasets[i] = NULL;
  }
  s->part = -1;
}

void co_scoring_close_rows(co_scoring *s) {
  close_part(s);
  for (int64_t i = 0; i < s->piece_count; i++)
    co_free(s->ctx, s->pieces[i].refused);
  co_free(s->ctx, s->all);
}

static co_status open_part(co_scoring *s, int64_t part) {
  if (s->part == part) return CO_OK;
  close_part(s);
  for (int64_t i = 0; i < s->dataset_count; i++)
    CO_RETURN_IF_FAILED(
        co_dataset_open(&s->datasets[i], s->ctx,
                        s->parts ? s->parts->items[part].files[i].temporary : s->paths[i]));
  for (int64_t i = 0; !s->parts && i < s->dataset_count; i++)
    co_dataset_release(s->datasets[i]); // which opening has looked through
  for (int64_t i = 0; i < s->model_count; i++) {
    const co_scored_model *m = &s->models[i];
    s->of_model[i] = s->datasets[m->dataset];
    CO_RETURN_IF_FAILED(co_check_dataset(m->predictor->model, s->of_model[i], false));
  }
  s->part = part;
  return co_score_columns_bind(&s->columns, s->datasets[0]);
}

static void list_samples(co_scoring *s, const co_score_piece *piece) {
  int64_t count = 0, refused = 0;
  for (int64_t i = piece->first; i < piece->first + piece->rows; i++)
    if (refused < piece->refused_count && piece->refused[refused] == i)
      refused++;
    else
      s->all[count++] = i;
  s->samples = s->all;
}

co_status co_scoring_open_piece(co_scoring *s, const co_score_piece *piece) {
  if (s->piece != piece && s->part == piece->part) { // of one dataset no more is held than of parts
    co_reasons_close(s->reasons);
    s->reasons = NULL;
    for (int64_t i = 0; i < s->dataset_count; i++)
      co_dataset_release(s->datasets[i]);
  }
  CO_RETURN_IF_FAILED(open_part(s, piece->part));
  s->piece = piece;
  s->samples = piece->samples;
  if (!piece->samples) list_samples(s, piece);
  return CO_OK;
}

// ---- which rows --------------------------------------------------------------------------------

co_status co_shard_parse(int64_t *shard, int64_t *shards, const char *text) {
  char *end;
  *shard = strtoll(text, &end, 10);
  bool right = isdigit((unsigned char)*text) && *end == '/' && isdigit((unsigned char)end[1]);
  *shards = right ? strtoll(end + 1, &end, 10) : 0;
  if (right && !*end && *shard >= 1 && *shard <= *shards && *shards <= MAX_SHARDS) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--shard %.200s: it is no part of a whole", text);
  co_hint("--shard 3/16 is the third of 16 parts");
  return status;
}

// Where a part of the rows begins, without overflow.
static int64_t part_begin(int64_t rows, int64_t i, int64_t parts) {
  return rows / parts * i + rows % parts * i / parts;
}

// The I-th of N contiguous parts of the rows, nearly equal.
static co_status choose_shard(const co_scoring *s, int64_t rows, int64_t *begin, int64_t *end) {
  int64_t shard, shards;
  *begin = 0;
  *end = rows;
  if (!s->options->shard) return CO_OK;
  CO_RETURN_IF_FAILED(co_shard_parse(&shard, &shards, s->options->shard));
  *begin = part_begin(rows, shard - 1, shards);
  *end = part_begin(rows, shard, shards);
  return CO_OK;
}

static co_status number_all(co_scoring *s, int64_t rows) {
  s->all = co_alloc(s->ctx, ((size_t)rows + 1) * sizeof *s->all);
  if (!s->all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows; i++)
    s->all[i] = i;
  s->samples = s->all;
  return CO_OK;
}

// Of samples that see the same events one line is enough where only the likeliest are told.
static co_status drop_repeated(co_scoring *s) {
  int64_t *units, *kept, count = 0;
  if (!s->options->top_k) return CO_OK;
  CO_RETURN_IF_FAILED(co_sample_units(&units, s->ctx, s->datasets[0]));
  if (!units) return CO_OK;
  kept = co_alloc(s->ctx, ((size_t)s->count + 1) * sizeof *kept);
  for (int64_t i = 0; kept && i < s->count; i++)
    if (!i || units[s->samples[i]] != units[s->samples[i - 1]]) kept[count++] = s->samples[i];
  co_free(s->ctx, units);
  if (!kept) return CO_ERR_MEMORY;
  co_free(s->ctx, s->all);
  s->samples = s->all = kept;
  s->count = count;
  return CO_OK;
}

static co_status choose_split(co_scoring *s) {
  int split = co_split_parse(s->options->split);
  if (split < 0) {
    co_status status = co_fail(CO_ERR_USAGE, "--split %s: no such split", s->options->split);
    co_hint("known: train, validation, test; without --split all rows are scored");
    return status;
  }
  return co_dataset_split(s->datasets[0], (co_split)split, &s->samples, &s->count);
}

// Of a split, or of samples of which some are left out, all are listed.
static co_status choose_listed(co_scoring *s) {
  int64_t begin, end;
  CO_RETURN_IF_FAILED(s->options->split ? choose_split(s) : number_all(s, s->rows));
  CO_RETURN_IF_FAILED(drop_repeated(s));
  CO_RETURN_IF_FAILED(choose_shard(s, s->count, &begin, &end));
  s->samples += begin;
  s->count = end - begin;
  s->pieces[0] = (co_score_piece){.samples = s->samples, .count = s->count};
  s->piece_count = 1;
  return CO_OK;
}

static co_status choose_windows(co_scoring *s) {
  int64_t begin, end;
  CO_RETURN_IF_FAILED(number_all(s, s->rows < WINDOW ? s->rows : WINDOW));
  CO_RETURN_IF_FAILED(choose_shard(s, s->rows, &begin, &end));
  s->count = end - begin;
  for (int64_t from = begin, rows; from < end || !s->piece_count; from += rows) {
    rows = end - from < WINDOW ? end - from : WINDOW;
    s->pieces[s->piece_count++] =
        (co_score_piece){.first = from, .rows = rows, .count = rows, .at = from - begin};
  }
  return CO_OK;
}

static co_status choose_of_dataset(co_scoring *s) {
  CO_RETURN_IF_FAILED(open_part(s, 0));
  s->rows = s->count = co_dataset_rows(s->datasets[0]);
  s->pieces = co_arena_alloc(s->arena, (size_t)(s->rows / WINDOW) + 2, sizeof *s->pieces);
  if (!s->pieces) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(s->options->split || s->options->top_k ? choose_listed(s)
                                                             : choose_windows(s));
  return co_scoring_open_piece(s, &s->pieces[0]);
}

static co_status choose_of_parts(co_scoring *s) {
  int64_t begin, end, most = 0;
  s->pieces = co_arena_alloc(s->arena, (size_t)s->parts->count, sizeof *s->pieces);
  if (!s->pieces) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->parts->count; i++) {
    s->rows += s->parts->items[i].rows;
    if (s->parts->items[i].rows > most) most = s->parts->items[i].rows;
  }
  CO_RETURN_IF_FAILED(number_all(s, most));
  CO_RETURN_IF_FAILED(choose_shard(s, s->rows, &begin, &end));
  for (int64_t i = 0; i < s->parts->count; i++) {
    const co_raw_part *part = &s->parts->items[i];
    int64_t from = begin > part->first ? begin - part->first : 0;
    int64_t to = end - part->first < part->rows ? end - part->first : part->rows;
    if (from >= to) continue;
    s->pieces[s->piece_count++] = (co_score_piece){
        .part = i, .first = from, .rows = to - from, .count = to - from, .at = s->count};
    s->count += to - from;
  }
  return co_scoring_open_piece(s, &s->pieces[0]); // one of no rows, where there are none
}

co_status co_scoring_choose_rows(co_scoring *s, const co_model_list *list,
                                 const co_table_scoring *table) {
  for (int64_t i = 0; list->dataset_of && i < list->count; i++)
    s->models[i].dataset = list->dataset_of[i];
  s->parts = table->parts.count ? &table->parts : NULL;
  s->paths = list->datasets ? list->datasets : &s->options->dataset;
  s->dataset_count = s->parts ? s->parts->models : list->datasets ? list->dataset_count : 1;
  s->datasets = co_arena_alloc(s->arena, (size_t)s->dataset_count, sizeof(co_dataset *));
  if (!s->datasets) return CO_ERR_MEMORY;
  return s->parts ? choose_of_parts(s) : choose_of_dataset(s);
}

// ---- looking through them ------------------------------------------------------------------------

// Of the piece in work; counts what is found where all models take all rows.
static co_status check_inputs(co_scoring *s) {
  for (int64_t i = 0; i < s->model_count; i++) {
    co_scored_model *m = &s->models[i];
    const co_model *model = m->predictor->model;
    co_input_counts *counts = co_alloc_zero(s->ctx, (size_t)model->input_count + 1, sizeof *counts);
    if (!counts) return CO_ERR_MEMORY;
    co_status status = co_check_inputs(model, s->of_model[i], s->samples, s->piece->count, counts);
    for (int64_t k = 0; status == CO_OK && k < model->input_count; k++)
      for (int c = 0; c < CO_COUNT_ROOM; c++)
        m->counts[k].of[c] += counts[k].of[c];
    co_free(s->ctx, counts);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}

// What the error says of the row, without its number among those of the part.
static void explain(char out[200]) {
  const char *message = co_error_last()->message, *row = strstr(message, ", row ");
  const char *reason = row ? strchr(row, ':') : NULL;
  if (reason)
    snprintf(out, 200, "%.*s%.120s", (int)(row - message < 70 ? row - message : 70), message,
             reason);
  else
    snprintf(out, 200, "%.199s", message);
}

static co_status try_row(co_scoring *s, co_table_scoring *table, co_score_piece *piece,
                         int64_t sample) {
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < s->model_count; i++)
    status = co_check_inputs(s->models[i].predictor->model, s->of_model[i], &sample, 1, NULL);
  if (status != CO_ERR_DATA) return status;
  char reason[200], key[CO_DATASET_KEY_MAX + 1];
  bool named = co_dataset_key_column(s->datasets[0]) != NULL;
  explain(reason);
  if (named) CO_RETURN_IF_FAILED(co_dataset_key(s->datasets[0], sample, key, sizeof key));
  CO_RETURN_IF_FAILED(co_table_scoring_reject(table, &s->parts->items[piece->part], sample,
                                              named ? key : NULL, reason));
  co_error_clear();
  CO_RETURN_IF_FAILED(co_grow(s->ctx, (void **)&piece->refused, &piece->refused_capacity,
                              piece->refused_count, sizeof *piece->refused));
  piece->refused[piece->refused_count++] = sample;
  return CO_OK;
}

// A row that some model cannot take is found out by trying one after the other.
static co_status refuse_rows(co_scoring *s, co_table_scoring *table, co_score_piece *piece) {
  for (int64_t i = 0; i < piece->rows; i++)
    CO_RETURN_IF_FAILED(try_row(s, table, piece, piece->first + i));
  piece->count = piece->rows - piece->refused_count;
  s->rows -= piece->refused_count;
  return co_scoring_open_piece(s, piece);
}

static co_status look_into(co_scoring *s, co_table_scoring *table, co_score_piece *piece) {
  CO_RETURN_IF_FAILED(co_scoring_open_piece(s, piece));
  co_status status = check_inputs(s);
  if (status == CO_ERR_DATA && s->parts) {
    CO_RETURN_IF_FAILED(refuse_rows(s, table, piece));
    status = check_inputs(s);
  }
  CO_RETURN_IF_FAILED(status);
  return co_drift_count(s, s->samples, piece->count);
}

// What new items look like and say, which the datasets do not have; whether there is any.
static bool hash_new_classes(const co_scoring *s, co_sha256 *hash) {
  bool any = false;
  for (int64_t i = 0; i < s->model_count; i++) {
    const co_new_classes *c = s->models[i].new_classes;
    if (!c || !c->column) continue;
    any = true;
    if (c->pictures) co_sha256_update(hash, c->pictures, (size_t)(c->count * c->picture_bytes));
    for (int64_t k = 0; c->descriptions && k < c->count; k++)
      co_sha256_update(hash, c->descriptions[k], strlen(c->descriptions[k]) + 1);
    for (int64_t k = 0; c->target && k < c->count; k++)
      co_sha256_update(hash, c->names[k], strlen(c->names[k]) + 1);
    for (int64_t k = 0; c->target && k < c->value_count; k++)
      co_sha256_update(hash, c->values[k].values, (size_t)c->count * 4);
  }
  return any;
}

co_status co_scoring_look_through(co_scoring *s, co_table_scoring *table) {
  co_sha256 hash;
  co_sha256_init(&hash);
  memcpy(s->job.source, co_dataset_fingerprint(s->datasets[0]), sizeof s->job.source);
  s->count = 0;
  for (int64_t i = 0; i < s->piece_count; i++) {
    co_score_piece *piece = &s->pieces[i];
    CO_RETURN_IF_FAILED(look_into(s, table, piece));
    piece->at = s->count;
    s->count += piece->count;
    for (int64_t k = 0; k < s->dataset_count; k++)
      co_sha256_update(&hash, co_dataset_fingerprint(s->datasets[k]), 64);
    co_alive(s->ctx, CO_PATIENCE);
    if (co_watch_stopped(&s->context->watch))
      return co_fail(CO_INTERRUPTED, "stopped; no output was written");
  }
  if (hash_new_classes(s, &hash) || s->piece_count > 1 || s->dataset_count > 1)
    co_sha256_final(&hash, s->job.source);
  return co_table_scoring_settle(table);
}
