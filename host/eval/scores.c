// SPDX-License-Identifier: Apache-2.0
#include "host/eval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/text_output.h"

// Of a catalogue.
enum {
  PROBABILITY,
  RANK,
  BEST,
  PLACES,
  SEEN = PLACES,
  LISTED_SEEN,
  LISTED,
  LISTS = LISTED + CO_LISTED
};

enum { EXACT, EDITS, LENGTH, TEXT_KEPT }; // of a text

int64_t co_scores_kept(const co_scores *s) {
  if (s->type == CO_COLUMN_TEXT) return TEXT_KEPT;
  return s->kept == CO_KEPT_SCORES ? s->width : s->kept == CO_KEPT_PLACES ? PLACES : LISTS;
}

co_status co_scores_create(co_scores *s, co_context *ctx, co_column_type type, int64_t width,
                           co_kept kept, int64_t rows) {
  *s = (co_scores){.ctx = ctx, .type = type, .width = width, .kept = kept, .capacity = rows};
  s->score = co_alloc(ctx, (size_t)(rows * co_scores_kept(s) + 1) * sizeof *s->score);
  s->target = co_alloc(ctx, (size_t)(rows + 1) * sizeof *s->target);
  s->weight = co_alloc(ctx, (size_t)(rows + 1) * sizeof *s->weight);
  s->sample = co_alloc_zero(ctx, (size_t)rows + 1, sizeof *s->sample);
  s->unit = co_alloc_zero(ctx, (size_t)rows + 1, sizeof *s->unit);
  return s->score && s->target && s->weight && s->sample && s->unit ? CO_OK : CO_ERR_MEMORY;
}

co_status co_scores_compare_with(co_scores *s, const co_text_output *text, const char *const *texts,
                                 int64_t rows, const int64_t *index) {
  size_t longest = 0; // bytes: as many as tokens or more
  for (int64_t i = 0; i < rows; i++) {
    const size_t length = strlen(texts[i]);
    if (length > longest) longest = length;
  }
  s->text = text;
  s->texts = texts;
  s->text_index = index;
  s->longest = (int64_t)longest;
  s->room = co_alloc(s->ctx, 2 * (longest + 1) * sizeof *s->room);
  s->codes = co_alloc(s->ctx, (longest + 1) * sizeof *s->codes);
  return s->room && s->codes ? CO_OK : CO_ERR_MEMORY;
}

void co_scores_free(co_scores *s) {
  if (!s->ctx) return;
  co_free(s->ctx, s->score);
  co_free(s->ctx, s->target);
  co_free(s->ctx, s->weight);
  co_free(s->ctx, s->sample);
  co_free(s->ctx, s->unit);
  co_free(s->ctx, s->room);
  co_free(s->ctx, s->codes);
  memset(s, 0, sizeof *s);
}

// The true class has the last place of those of equal score: an order that says nothing is worth
// nothing.
static void keep_place(const co_scores *s, const float *score, int32_t target, float *out) {
  int64_t rank = 0, best = 0;
  for (int64_t k = 0; k < s->width; k++) {
    rank += score[k] >= score[target];
    if (score[k] > score[best]) best = k;
  }
  out[PROBABILITY] = score[target];
  out[RANK] = (float)(rank ? rank : s->width); // NaN is found later
  out[BEST] = (float)best;
}

// Of equal scores the item that comes first is before the others, as where they are predicted.
static int list_best(const co_scores *s, const float *score, int32_t listed[CO_LISTED]) {
  int count = 0;
  for (int32_t k = 0; k < s->width; k++) {
    if (count == CO_LISTED && !(score[k] > score[listed[CO_LISTED - 1]])) continue;
    if (s->exclude_seen && s->seen && co_seen_has(s->seen, k)) continue;
    int at = count < CO_LISTED ? count++ : CO_LISTED - 1;
    for (; at && score[k] > score[listed[at - 1]]; at--)
      listed[at] = listed[at - 1];
    listed[at] = k;
  }
  return count;
}

// Items are numbers below 2^24, which floats are exact for.
static void keep_list(const co_scores *s, int64_t sample, const float *score, int32_t target,
                      float *out) {
  int32_t listed[CO_LISTED];
  if (s->seen) co_seen_take(s->seen, sample);
  const int count = list_best(s, score, listed);
  int seen = 0;
  for (int k = 0; k < CO_LISTED; k++) {
    out[LISTED + k] = k < count ? (float)listed[k] : -1;
    seen += k < count && s->seen && co_seen_has(s->seen, listed[k]);
  }
  out[SEEN] = s->seen && co_seen_has(s->seen, target);
  out[LISTED_SEEN] = count ? (float)seen / (float)count : 0;
}

static double keep_match(const co_scores *s, int64_t sample, const float *codes,
                         float out[TEXT_KEPT]) {
  const char *true_text = s->texts[s->text_index ? s->text_index[sample] : sample];
  const int64_t length = co_text_output_tell_apart(s->text, true_text, s->longest, s->codes);
  const co_text_match match = co_text_match_of(codes, s->width, s->codes, length, s->room);
  out[EXACT] = match.exact;
  out[EDITS] = (float)match.edits;
  out[LENGTH] = (float)match.length;
  return (double)match.length;
}

// Returns the row's target.
static double keep_row(const co_scores *s, int64_t sample, const float *from, const void *target,
                       int64_t i, float *to) {
  if (s->type == CO_COLUMN_TEXT) return keep_match(s, sample, from, to);
  const double value = s->type == CO_COLUMN_CATEGORY ? (double)((const int32_t *)target)[i]
                                                     : (double)((const float *)target)[i];
  if (s->kept != CO_KEPT_SCORES)
    keep_place(s, from, (int32_t)value, to);
  else
    memcpy(to, from, (size_t)s->width * sizeof *to);
  if (s->kept == CO_KEPT_LISTS) keep_list(s, sample, from, (int32_t)value, to);
  return value;
}

void co_scores_add(co_scores *s, const int64_t *samples, const int64_t *units, const float *score,
                   const void *target, const float *weight, int64_t rows) {
  for (int64_t i = 0; i < rows && s->count < s->capacity; i++) {
    if (!(weight[i] > 0)) continue;
    s->target[s->count] = keep_row(s, samples ? samples[i] : 0, score + i * s->width, target, i,
                                   s->score + s->count * co_scores_kept(s));
    if (samples) s->sample[s->count] = samples[i];
    s->unit[s->count] = samples && units ? units[samples[i]] : s->count;
    s->weight[s->count++] = (double)weight[i];
  }
}

void co_scores_copy(co_scores *s, const co_scores *from, int64_t i) {
  memcpy(s->score + s->count * co_scores_kept(s), from->score + i * co_scores_kept(s),
         (size_t)co_scores_kept(s) * sizeof *s->score);
  s->target[s->count] = from->target[i];
  s->sample[s->count] = from->sample[i];
  s->unit[s->count] = from->unit[i];
  s->weight[s->count++] = from->weight[i];
}

// Of numbers that were stored as reals.
static bool is_whole(double x, double least, double most) {
  return x >= least && x <= most && x == floor(x);
}

static bool has_sound_places(const co_scores *s, const float *row) {
  const double classes = (double)s->width;
  if (!is_whole((double)row[RANK], 1, classes)) return false;
  if (!is_whole((double)row[BEST], 0, classes - 1)) return false;
  if (s->kept != CO_KEPT_LISTS) return true;
  bool sound = is_whole((double)row[SEEN], 0, 1) && row[LISTED_SEEN] >= 0 && row[LISTED_SEEN] <= 1;
  for (int k = 0; k < CO_LISTED; k++)
    sound = sound && is_whole((double)row[LISTED + k], -1, classes - 1);
  return sound;
}

static bool is_sound_match(const float *kept) {
  return is_whole((double)kept[EXACT], 0, 1) && is_whole((double)kept[EDITS], 0, INT32_MAX) &&
         is_whole((double)kept[LENGTH], 0, INT32_MAX);
}

bool co_scores_are_sound(const co_scores *s) {
  const bool places = s->type == CO_COLUMN_CATEGORY && s->kept != CO_KEPT_SCORES;
  for (int64_t i = 0; i < s->count; i++) {
    const float *kept = s->score + i * co_scores_kept(s);
    if (!(s->weight[i] > 0) || s->unit[i] < 0) return false;
    if (s->type == CO_COLUMN_TEXT && !is_sound_match(kept)) return false;
    if (s->type == CO_COLUMN_CATEGORY && !is_whole(s->target[i], 0, (double)s->width - 1))
      return false;
    if (places && !has_sound_places(s, kept)) return false;
  }
  return true;
}

// ---- measuring ---------------------------------------------------------------------------------

static void *take(co_measured *m, int64_t count, size_t size) {
  void *block = co_alloc_zero(m->ctx, (size_t)count + 1, size);
  m->memory[m->memory_count++] = block;
  return block;
}

// Probabilities of which a logarithm is taken: as far from 0 and 1 as floats below 1 are from it.
static double safe_log(double p) {
  const double least = 0x1p-24;
  return log(p < least ? least : p > 1 - least ? 1 - least : p);
}

typedef struct ranked {
  double value, target, weight;
  int64_t row;
} ranked;

// Equal rows are equal whatever their order, so that sums over a tie are, too.
static int by_rising_value(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->value != y->value) return x->value < y->value ? -1 : 1;
  if (x->target != y->target) return x->target < y->target ? -1 : 1;
  return (x->weight > y->weight) - (x->weight < y->weight);
}

static int by_falling_value(const void *a, const void *b) {
  return by_rising_value(b, a);
}

static co_status prepare_binary(co_measured *m, ranked *rows) {
  double *room[3];
  int64_t groups = 0;
  for (int i = 0; i < 3; i++)
    if (!(room[i] = take(m, m->rows, sizeof(double)))) return CO_ERR_MEMORY;
  for (int i = 0; i < 2; i++)
    if (!(m->share[i] = take(m, m->rows, sizeof(double))) ||
        !(m->grouped[i] = take(m, m->rows, sizeof(double))))
      return CO_ERR_MEMORY;
  m->group = take(m, m->rows, sizeof *m->group);
  m->sorted = take(m, m->rows, sizeof *m->sorted);
  if (!m->group || !m->sorted) return CO_ERR_MEMORY;
  qsort(rows, (size_t)m->rows, sizeof *rows, by_falling_value);
  for (int64_t i = 0; i < m->rows; i++) {
    const ranked *r = &rows[i];
    if (i == 0 || r->value != rows[i - 1].value) {
      room[0][groups] = r->value;
      room[1][groups] = safe_log(r->value);
      room[2][groups++] = safe_log(1 - r->value);
    }
    m->sorted[i] = r->row;
    m->group[i] = (int32_t)(groups - 1);
    m->share[0][i] = r->weight * r->target;
    m->share[1][i] = r->weight * (1 - r->target);
  }
  m->binary.count = groups;
  m->binary.score = room[0];
  m->binary.positive = m->grouped[0];
  m->binary.negative = m->grouped[1];
  m->binary.log_true = room[1];
  m->binary.log_false = room[2];
  return CO_OK;
}

static co_status prepare_number(co_measured *m, const co_scores *s, ranked *rows) {
  double *prediction = take(m, m->rows, sizeof *prediction);
  int64_t *order[2];
  if (!prediction) return CO_ERR_MEMORY;
  for (int k = 0; k < 2; k++)
    if (!(order[k] = take(m, m->rows, sizeof *order[k])) ||
        !(m->number.rank[k] = take(m, m->rows, sizeof(double))))
      return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++)
    prediction[i] = (double)s->score[i * s->width + s->point];
  for (int k = 0; k < 2; k++) {
    for (int64_t i = 0; i < m->rows; i++) {
      double x = prediction[i], y = s->target[i];
      rows[i] = (ranked){k ? y : x, k ? x : y, s->weight[i], i};
    }
    qsort(rows, (size_t)m->rows, sizeof *rows, by_rising_value);
    for (int64_t i = 0; i < m->rows; i++)
      order[k][i] = rows[i].row;
  }
  m->number.count = m->rows;
  m->number.prediction = prediction;
  m->number.target = s->target;
  m->number.weight = m->drawn;
  m->number.by_prediction = order[0];
  m->number.by_target = order[1];
  return CO_OK;
}

static co_status order_classes(co_measured *m, const co_scores *s, ranked *rows) {
  int64_t *order = take(m, m->rows * s->width, sizeof *order);
  if (!order) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < s->width; k++) {
    for (int64_t i = 0; i < m->rows; i++)
      rows[i] = (ranked){(double)s->score[i * s->width + k], s->target[i], s->weight[i], i};
    qsort(rows, (size_t)m->rows, sizeof *rows, by_falling_value);
    for (int64_t i = 0; i < m->rows; i++)
      order[k * m->rows + i] = rows[i].row;
  }
  m->classes.order = order;
  return CO_OK;
}

// Numbers the units of a catalogue from 0: those of one stand together.
static co_status number_units(co_measured *m, const co_scores *s) {
  int64_t *unit = take(m, m->rows, sizeof *unit);
  m->unit_first = take(m, m->rows, sizeof *m->unit_first);
  if (!unit || !m->unit_first) return CO_ERR_MEMORY;
  m->units = 0;
  for (int64_t i = 0; i < m->rows; i++) {
    if (i == 0 || s->unit[i] != s->unit[i - 1]) m->unit_first[m->units++] = i;
    unit[i] = m->units - 1;
  }
  m->unit_first[m->units] = m->rows;
  m->unit = unit;
  m->unit_weight = take(m, m->units, sizeof *m->unit_weight);
  return m->unit_weight ? CO_OK : CO_ERR_MEMORY;
}

static bool is_counted(co_item_part part, bool seen, bool is_new) {
  switch (part) {
  case CO_ITEMS_ALL:
    return true;
  case CO_ITEMS_NEW:
  case CO_ITEMS_KNOWN:
    return (part == CO_ITEMS_NEW) == is_new;
  default:
    return (part == CO_ITEMS_REPEAT) == seen;
  }
}

// Of unit `u` the true items of a part, whose places go into `rank`.
static co_true_items true_items(const co_measured *m, const co_scores *s, int64_t u,
                                co_item_part part, int32_t *rank) {
  const int64_t first = m->unit_first[u], end = m->unit_first[u + 1];
  const bool lists = s->kept == CO_KEPT_LISTS;
  co_true_items items = {.rank = rank, .all = end - first};
  if (lists) items.listed_repeats = (double)s->score[first * LISTS + LISTED_SEEN];
  for (int64_t i = first; i < end; i++) {
    const bool seen = lists && s->score[i * LISTS + SEEN] > 0;
    items.repeats += seen;
    const bool is_new = s->trained && !s->trained[(int64_t)s->target[i]];
    if (is_counted(part, seen, is_new)) rank[items.count++] = m->classes.rank[i];
  }
  return items;
}

// What a unit is worth to a metric does not depend on how often it is drawn.
static co_status measure_units(co_measured *m, const co_scores *s) {
  int64_t metrics = 0;
  for (int64_t k = 0; co_metric_list()[k]; k++)
    metrics += co_metric_list()[k]->unit_score != NULL;
  double *value = m->unit_value = take(m, metrics * m->units, sizeof *value);
  int32_t *rank = take(m, m->rows, sizeof *rank);
  if (!value || !rank) return CO_ERR_MEMORY;
  for (int64_t k = 0; co_metric_list()[k]; k++) {
    const co_metric_class *metric = co_metric_list()[k];
    const bool none = (metric->needs_history && s->kept != CO_KEPT_LISTS) ||
                      (metric->needs_new_items && !s->trained) ||
                      (metric->part == CO_ITEMS_REPEAT && s->exclude_seen);
    for (int64_t u = 0; metric->unit_score && u < m->units; u++) {
      const co_true_items items = true_items(m, s, u, metric->part, rank);
      *value++ = none || !items.count ? NAN : metric->unit_score(&items);
    }
  }
  return CO_OK;
}

static co_status take_lists(co_measured *m, const co_scores *s) {
  int32_t *listed = take(m, m->units * CO_LISTED, sizeof *listed);
  if (!listed) return CO_ERR_MEMORY;
  for (int64_t u = 0; u < m->units; u++)
    for (int k = 0; k < CO_LISTED; k++) {
      const float item = s->score[m->unit_first[u] * LISTS + LISTED + k];
      listed[u * CO_LISTED + k] = item >= 0 && item < (float)s->width ? (int32_t)item : -1;
    }
  m->classes.listed = listed;
  return CO_OK;
}

static co_status prepare_catalogue(co_measured *m, const co_scores *s, int32_t *best,
                                   double *log_true) {
  const int64_t width = co_scores_kept(s);
  int32_t *rank = take(m, m->rows, sizeof *rank);
  if (!rank) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++) {
    const float *row = s->score + i * width;
    rank[i] = (int32_t)row[RANK];
    best[i] = (int32_t)row[BEST];
    log_true[i] = safe_log((double)row[PROBABILITY]);
  }
  m->classes.rank = rank;
  CO_RETURN_IF_FAILED(number_units(m, s));
  m->classes.units = m->units;
  m->classes.unit_weight = m->unit_weight;
  if (s->kept == CO_KEPT_LISTS) CO_RETURN_IF_FAILED(take_lists(m, s));
  return measure_units(m, s);
}

static co_status prepare_classes(co_measured *m, const co_scores *s, ranked *rows) {
  int32_t *target = take(m, m->rows, sizeof *target), *best = take(m, m->rows, sizeof *best);
  double *log_true = take(m, m->rows, sizeof *log_true);
  m->classes.room = take(m, 3 * s->width, sizeof(double));
  if (!target || !best || !log_true || !m->classes.room) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++) {
    target[i] = (int32_t)s->target[i];
    if (s->kept != CO_KEPT_SCORES) continue;
    const float *score = s->score + i * s->width;
    for (int32_t k = 1; k < s->width; k++)
      if (score[k] > score[best[i]]) best[i] = k;
    log_true[i] = safe_log((double)score[target[i]]);
  }
  m->classes.count = m->rows;
  m->classes.classes = s->width;
  m->classes.score = s->kept == CO_KEPT_SCORES ? s->score : NULL;
  m->classes.target = target;
  m->classes.best = best;
  m->classes.log_true = log_true;
  m->classes.weight = m->drawn;
  return s->kept == CO_KEPT_SCORES ? order_classes(m, s, rows)
                                   : prepare_catalogue(m, s, best, log_true);
}

static co_status prepare_texts(co_measured *m, const co_scores *s) {
  double *part[TEXT_KEPT];
  for (int k = 0; k < TEXT_KEPT; k++) {
    if (!(part[k] = take(m, m->rows, sizeof(double)))) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < m->rows; i++)
      part[k][i] = (double)s->score[i * TEXT_KEPT + k];
  }
  m->texts = (co_text_scores){.count = m->rows,
                              .exact = part[EXACT],
                              .edits = part[EDITS],
                              .length = part[LENGTH],
                              .weight = m->drawn};
  return CO_OK;
}

// Rows of one unit are drawn together; where each has one of its own, rows are.
static co_status group_rows(co_measured *m, const co_scores *s, ranked *rows) {
  int64_t ascending = 1;
  while (ascending < m->rows && s->unit[ascending] > s->unit[ascending - 1])
    ascending++;
  if (s->kept != CO_KEPT_SCORES || ascending >= m->rows) return CO_OK;
  int64_t *unit = take(m, m->rows, sizeof *unit), units = 0;
  if (!unit) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++)
    rows[i] = (ranked){.value = (double)s->unit[i], .row = i};
  qsort(rows, (size_t)m->rows, sizeof *rows, by_rising_value);
  for (int64_t i = 0; i < m->rows; i++) {
    units += i == 0 || rows[i].value != rows[i - 1].value;
    unit[rows[i].row] = units - 1;
  }
  if (units == m->rows) return CO_OK;
  m->units = units;
  m->unit = unit;
  return CO_OK;
}

co_status co_measured_create(co_measured *m, const co_scores *s, const co_decision_rule *rule) {
  memset(m, 0, sizeof *m);
  m->ctx = s->ctx;
  m->type = s->type;
  m->rows = m->units = s->count;
  m->weight = s->weight;
  m->finite = true;
  m->binary.threshold = rule ? rule->threshold : 0.5;
  m->binary.profit = rule ? rule->profit : NULL;
  for (int64_t i = 0; i < s->count * co_scores_kept(s); i++)
    m->finite = m->finite && isfinite(s->score[i]);
  if (!m->finite) return CO_OK;
  m->drawn = take(m, m->rows, sizeof *m->drawn);
  ranked *rows = take(m, m->rows, sizeof *rows);
  if (!m->drawn || !rows) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(group_rows(m, s, rows));
  for (int64_t i = 0; i < m->rows; i++)
    rows[i] = (ranked){(double)s->score[i * co_scores_kept(s)], s->target[i], s->weight[i], i};
  CO_RETURN_IF_FAILED(s->type == CO_COLUMN_BINARY   ? prepare_binary(m, rows)
                      : s->type == CO_COLUMN_NUMBER ? prepare_number(m, s, rows)
                      : s->type == CO_COLUMN_TEXT   ? prepare_texts(m, s)
                                                    : prepare_classes(m, s, rows));
  co_measured_draw(m, NULL);
  return CO_OK;
}

void co_measured_free(co_measured *m) {
  for (int i = 0; i < m->memory_count; i++)
    co_free(m->ctx, m->memory[i]);
  memset(m, 0, sizeof *m);
}

static int64_t unit_of(const co_measured *m, int64_t row) {
  return m->unit ? m->unit[row] : row;
}

static void draw_binary(co_measured *m, const uint32_t *times) {
  double *total[2] = {&m->binary.positives, &m->binary.negatives};
  for (int k = 0; k < 2; k++)
    memset(m->grouped[k], 0, (size_t)m->binary.count * sizeof *m->grouped[k]);
  for (int64_t i = 0; i < m->rows; i++) {
    double often = times ? (double)times[unit_of(m, m->sorted[i])] : 1;
    m->grouped[0][m->group[i]] += often * m->share[0][i];
    m->grouped[1][m->group[i]] += often * m->share[1][i];
  }
  for (int k = 0; k < 2; k++) {
    *total[k] = 0;
    for (int64_t i = 0; i < m->binary.count; i++)
      *total[k] += m->grouped[k][i];
  }
}

void co_measured_draw(co_measured *m, const uint32_t *times) {
  if (!m->finite) return;
  if (m->type == CO_COLUMN_BINARY) draw_binary(m, times);
  for (int64_t i = 0; m->type != CO_COLUMN_BINARY && i < m->rows; i++)
    m->drawn[i] = times ? (double)times[unit_of(m, i)] * m->weight[i] : m->weight[i];
  for (int64_t u = 0; m->unit_first && u < m->units; u++)
    m->unit_weight[u] = m->drawn[m->unit_first[u]];
}

// Over the units that have one.
static double mean_of_units(const co_measured *m, const co_metric_class *metric) {
  const double *value = m->unit_value;
  double sum = 0, weight = 0;
  for (int64_t k = 0; co_metric_list()[k] != metric; k++)
    if (co_metric_list()[k]->unit_score) value += m->units;
  for (int64_t u = 0; u < m->units; u++) {
    if (isnan(value[u])) continue;
    sum += m->unit_weight[u] * value[u];
    weight += m->unit_weight[u];
  }
  return weight > 0 ? sum / weight : (double)NAN;
}

double co_measured_value(const co_measured *m, const co_metric_class *metric) {
  if (!m->finite || !m->rows || (metric->needs_catalogue && !m->unit_first)) return NAN;
  if (metric->unit_score) return mean_of_units(m, metric);
  switch (m->type) {
  case CO_COLUMN_BINARY:
    return metric->binary_score(&m->binary);
  case CO_COLUMN_NUMBER:
    return metric->number_score(&m->number);
  case CO_COLUMN_TEXT:
    return metric->text_score(&m->texts);
  default:
    return metric->class_score(&m->classes);
  }
}
