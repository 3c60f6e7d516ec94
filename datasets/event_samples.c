// SPDX-License-Identifier: Apache-2.0
// Samples of an entity's events: at cut-offs, of its last events, or of its first purchase after a time.
#include <math.h>
#include <string.h>

#include "datasets/date.h"
#include "datasets/events_import.h"
#include "datasets/joined.h"
#include "host/core/hash.h"

static const double validating_share = 0.1; // of entities, where a time says what tests

static co_status add_sample(co_events_import *m, const co_event_sample *s) {
  CO_RETURN_IF_FAILED(co_grow(m->ctx, (void **)&m->samples, &m->sample_capacity, m->sample_count,
                              sizeof *m->samples));
  m->samples[m->sample_count++] = *s;
  return CO_OK;
}

static double share_of(const co_events_import *m, int64_t entity) {
  const char *name = m->log.entity_names[entity];
  return (double)(co_hash64(m->options->seed, name, strlen(name)) >> 11) * 0x1p-53;
}

static uint8_t split_at(const co_events_import *m, int64_t entity, bool tests) {
  if (tests) return CO_SPLIT_TEST;
  return share_of(m, entity) < validating_share ? CO_SPLIT_VALIDATION : CO_SPLIT_TRAIN;
}

// Whether an event `a` is of the same purchase as the one before it, `b`: of the same session, or of the same
// basket, else of the same time.
static bool same_basket(const co_events_import *m, const co_event *a, const co_event *b) {
  const int64_t gap = m->options->recipe.session_gap;
  if (gap) return a->time - b->time <= gap;
  if (m->basket >= 0 && a->value[m->basket] >= 0) return a->value[m->basket] == b->value[m->basket];
  return a->time == b->time;
}

// Recency and tenure in days, purchases, sum of amounts (of purchases without amounts: of events).
static void measure_rfm(const co_events_import *m, const co_event *const *events, int64_t count,
                        int64_t cutoff, float out[CO_EVENT_RFM]) {
  double purchases = 0, amount = 0;
  for (int64_t i = 0; i < count; i++) {
    purchases += i == 0 || !same_basket(m, events[i], events[i - 1]);
    double value = m->amount >= 0 ? events[i]->value[m->amount] : 1;
    if (!isnan(value)) amount += value;
  }
  out[0] = count ? (float)((double)(cutoff - events[count - 1]->time) / CO_EVENT_DAY) : NAN;
  out[1] = (float)purchases;
  out[2] = (float)amount;
  out[3] = count ? (float)((double)(cutoff - events[0]->time) / CO_EVENT_DAY) : NAN;
}

static int64_t count_before(const co_event *const *events, int64_t count, int64_t time) {
  int64_t low = 0, high = count;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (events[middle]->time < time)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static int64_t latest(const co_import_events_options *o) {
  int64_t last = o->cutoffs[0];
  for (int64_t i = 1; i < o->cutoff_count; i++)
    if (o->cutoffs[i] > last) last = o->cutoffs[i];
  return last;
}

// Whether there are any of the events, their purchases, the sum of their amounts.
static void measure_labels(const co_events_import *m, const co_event *const *events, int64_t count,
                           float out[CO_LABEL_KIND_COUNT]) {
  double purchases = 0, amount = 0;
  for (int64_t i = 0; i < count; i++) {
    purchases += i == 0 || !same_basket(m, events[i], events[i - 1]);
    double value = m->amount >= 0 ? events[i]->value[m->amount] : NAN;
    if (!isnan(value)) amount += value;
  }
  out[CO_LABEL_ANY] = count > 0;
  out[CO_LABEL_COUNT] = (float)purchases;
  out[CO_LABEL_SUM] = (float)amount;
}

static co_status sample_cutoffs(co_events_import *m, int64_t entity, const co_event *const *events,
                                int64_t count) {
  const co_import_events_options *o = m->options;
  int64_t base = m->log.offsets[entity], last = latest(o);
  for (int64_t i = 0; i < o->cutoff_count; i++) {
    int64_t cutoff = o->cutoffs[i], from = cutoff + o->gap;
    int64_t seen = count_before(events, count, cutoff);
    if (seen < (o->least_events ? o->least_events : 1) && !o->population) continue;
    co_event_sample s = {.entity = entity, .begin = base, .end = base + seen, .as_of = cutoff};
    int64_t first = count_before(events, count, from);
    measure_labels(m, events + first, count_before(events, count, from + o->window) - first,
                   s.label);
    m->result->positives += o->sampling == CO_SAMPLE_CUTOFFS && s.label[CO_LABEL_ANY] > 0;
    measure_rfm(m, events, seen, cutoff, s.rfm);
    m->result->empty += !seen;
    m->result->unknown += !count;
    if (o->sampling == CO_SAMPLE_AS_OF)
      s.split = CO_SPLIT_TEST;
    else if (o->cutoff_count > 1)
      s.split = split_at(m, entity, cutoff == last);
    else
      s.split =
          (uint8_t)co_split_of_hash(&o->split, co_hash64(o->seed, m->log.entity_names[entity],
                                                         strlen(m->log.entity_names[entity])));
    CO_RETURN_IF_FAILED(add_sample(m, &s));
  }
  return CO_OK;
}

// Where the last session of events[0, end) begins; 0 also of none.
static int64_t last_session(const co_events_import *m, const co_event *const *events, int64_t end) {
  int64_t from = end;
  while (from > 0 && (from == end || same_basket(m, events[from], events[from - 1])))
    from--;
  return from;
}

// The last event tests, the last but one validates; or the last sessions, but an entity's only one trains, and
// of two the first.
static co_status sample_last(co_events_import *m, int64_t entity, const co_event *const *events,
                             int64_t count) {
  int64_t base = m->log.offsets[entity], test = count - 1, validation = count - 2;
  if (count < (m->options->least_events ? m->options->least_events : 1)) return CO_OK;
  if (m->options->sampling == CO_SAMPLE_SESSIONS) {
    test = last_session(m, events, count);
    validation = last_session(m, events, test);
    if (!test) test = count;
    if (!validation) validation = test;
  }
  for (int64_t i = 1; i < count; i++) {
    const co_event_sample s = {.entity = entity,
                               .begin = base,
                               .end = base + i,
                               .target = (int32_t)events[i]->value[m->item],
                               .split = i >= test         ? CO_SPLIT_TEST
                                        : i >= validation ? CO_SPLIT_VALIDATION
                                                          : CO_SPLIT_TRAIN};
    CO_RETURN_IF_FAILED(add_sample(m, &s));
  }
  return CO_OK;
}

// Samples of one purchase [from, to): an item of it each, all with the events before it. Repeated
// items of a purchase are one.
static co_status sample_purchase(co_events_import *m, int64_t entity, const co_event *const *events,
                                 int64_t from, int64_t to, bool tests) {
  int64_t base = m->log.offsets[entity];
  co_event_sample s = {.entity = entity,
                       .begin = base,
                       .end = base + count_before(events, from, events[from]->time),
                       .as_of = events[from]->time,
                       .split = split_at(m, entity, tests)};
  if (s.end == s.begin) return CO_OK;
  for (int64_t i = from; i < to; i++) {
    int32_t item = (int32_t)events[i]->value[m->item];
    bool repeated = false;
    for (int64_t k = from; k < i && !repeated; k++)
      repeated = (int32_t)events[k]->value[m->item] == item;
    if (repeated) continue;
    if (tests && !m->known[item]) {
      m->result->unknown_targets++;
      if (!m->options->keep_new_items) continue;
    }
    s.target = item;
    CO_RETURN_IF_FAILED(add_sample(m, &s));
  }
  return CO_OK;
}

// All events of one time are one purchase, or those of a session; an entity tests with its first one from the
// time on.
static co_status sample_time(co_events_import *m, int64_t entity, const co_event *const *events,
                             int64_t count) {
  int64_t split = m->options->cutoffs[0];
  if (count_before(events, count, split) <
      (m->options->least_events ? m->options->least_events : 1))
    return CO_OK;
  for (int64_t from = 0, to; from < count; from = to) {
    for (to = from + 1;
         to < count && (m->options->recipe.session_gap ? same_basket(m, events[to], events[to - 1])
                                                       : events[to]->time == events[from]->time);)
      to++;
    bool tests = events[from]->time >= split;
    CO_RETURN_IF_FAILED(sample_purchase(m, entity, events, from, to, tests));
    if (tests) return CO_OK;
  }
  return CO_OK;
}

// Rows are by their entities, and keep their order among those of one.
static co_status sort_rows(co_events_import *m) {
  const co_import_events_options *o = m->options;
  int64_t entities = o->population_count;
  m->row = co_arena_alloc(m->arena, (size_t)o->row_count + 1, sizeof *m->row);
  m->row_begin = co_arena_alloc(m->arena, (size_t)entities + 2, sizeof *m->row_begin);
  m->samples = co_alloc_zero(m->ctx, (size_t)o->row_count + 1, sizeof *m->samples);
  if (!m->row || !m->row_begin || !m->samples) return CO_ERR_MEMORY;
  m->sample_count = o->row_count;
  for (int64_t i = 0; i < o->row_count; i++)
    m->row_begin[o->row_entity[i] + 2]++;
  for (int64_t e = 0; e < entities; e++)
    m->row_begin[e + 2] += m->row_begin[e + 1];
  for (int64_t i = 0; i < o->row_count; i++)
    m->row[m->row_begin[o->row_entity[i] + 1]++] = i;
  return CO_OK;
}

static co_status sample_rows(co_events_import *m, int64_t entity, const co_event *const *events,
                             int64_t count) {
  int64_t base = m->log.offsets[entity];
  for (int64_t i = m->row_begin[entity]; i < m->row_begin[entity + 1]; i++) {
    int64_t date = m->options->row_date[m->row[i]], seen = count_before(events, count, date);
    co_event_sample *s = &m->samples[m->row[i]];
    *s = (co_event_sample){.entity = entity, .begin = base, .end = base + seen, .as_of = date};
    m->result->empty += !seen;
    m->result->unknown += !count;
    m->result->late += date > m->log.last_time;
    measure_rfm(m, events, seen, date, s->rfm);
  }
  return CO_OK;
}

co_status co_event_samples_add(co_events_import *m, int64_t entity, const co_event *const *events,
                               int64_t count) {
  switch (m->options->sampling) {
  case CO_SAMPLE_LEAVE_ONE_OUT:
  case CO_SAMPLE_SESSIONS:
    return sample_last(m, entity, events, count);
  case CO_SAMPLE_TIME:
    return sample_time(m, entity, events, count);
  case CO_SAMPLE_ROWS:
    return sample_rows(m, entity, events, count);
  default:
    return sample_cutoffs(m, entity, events, count);
  }
}

co_status co_event_samples_begin(co_events_import *m) {
  const co_event *const *events;
  int64_t first, end;
  if (m->options->sampling == CO_SAMPLE_ROWS) return sort_rows(m);
  if (m->options->sampling != CO_SAMPLE_TIME) return CO_OK;
  m->known = co_arena_alloc(m->arena, (size_t)m->result->items, sizeof *m->known);
  if (!m->known) return CO_ERR_MEMORY;
  for (;;) {
    CO_RETURN_IF_FAILED(co_event_log_next(&m->log, &events, &first, &end));
    if (first == end) break;
    for (int64_t i = 0; i < m->log.offsets[end] - m->log.offsets[first]; i++)
      if (events[i]->time < m->options->cutoffs[0])
        m->known[(int64_t)events[i]->value[m->item]] = true;
  }
  co_event_log_rewind(&m->log);
  return CO_OK;
}

// ---- what cannot be meant ------------------------------------------------------------------------

void co_event_warn_times(const co_events_import *m) {
  const int64_t since = -2208988800, until = 4102444800; // 1900, 2100
  char first[32], last[32];
  if (m->log.first_time >= since && m->log.last_time < until) return;
  co_date_print((double)m->log.first_time, first, sizeof first);
  co_date_print((double)m->log.last_time, last, sizeof last);
  co_log(m->ctx, CO_LOG_WARN, "import",
         "the log is of %s to %s: does one stand for a missing time?%s", first, last,
         m->options->schema ? "" : " --where leaves lines out");
}

co_status co_event_check_cutoffs(const co_events_import *m) {
  const co_import_events_options *o = m->options;
  char first[32], last[32], at[32];
  co_date_print((double)m->log.first_time, first, sizeof first);
  co_date_print((double)m->log.last_time, last, sizeof last);
  for (int64_t i = 0; i < o->cutoff_count; i++) {
    int64_t cutoff = o->cutoffs[i], end = cutoff + o->gap + o->window;
    if (o->sampling == CO_SAMPLE_AS_OF) continue; // a population may have no history
    co_date_print((double)cutoff, at, sizeof at);
    if (cutoff <= m->log.first_time || cutoff > m->log.last_time) {
      co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                                    "%s is outside the log, which is of %s to %s", at, first, last);
      co_hint("give a time within it");
      return status;
    }
    if (o->sampling == CO_SAMPLE_CUTOFFS && !o->allow_censored && end - 1 > m->log.last_time) {
      co_date_print((double)end, at, sizeof at);
      co_status status =
          co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                     "the label window ends %s, after the last event (%s)", at, last);
      co_hint(
          "an earlier --cutoff or a shorter --label-window; --allow-censored takes what there is");
      return status;
    }
  }
  return CO_OK;
}

co_status co_event_check_rows(const co_events_import *m) {
  const co_import_events_options *o = m->options;
  char first[32], last[32];
  if (o->schema || m->result->empty < o->row_count) return CO_OK;
  co_date_print((double)m->log.first_time, first, sizeof first);
  co_date_print((double)m->log.last_time, last, sizeof last);
  co_status status =
      co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                 "no sample has an event before its date; the log is of %s to %s", first, last);
  co_hint("--as-of names the column with samples' dates, --time that with events'");
  return status;
}

static void print_sample(const co_events_import *m, co_text *out, const co_event_sample *s) {
  const co_import_events_options *o = m->options;
  const char *name = m->log.entity_names[s->entity];
  char at[32];
  co_date_print((double)s->as_of, at, sizeof at);
  co_joined_print_cell(out, name, strlen(name), false);
  if (o->sampling == CO_SAMPLE_CUTOFFS)
    co_text_printf(out, "%s,", co_split_name((co_split)s->split));
  if (o->labels[CO_LABEL_ANY])
    co_text_printf(out, "%s,", s->label[CO_LABEL_ANY] > 0 ? "yes" : "no");
  for (int k = CO_LABEL_ANY + 1; k < CO_LABEL_KIND_COUNT; k++)
    if (o->labels[k]) co_text_printf(out, "%.9g,", (double)s->label[k]);
  co_text_printf(out, "%s\n", at);
}

co_status co_event_samples_list(co_events_import *m) {
  const co_import_events_options *o = m->options;
  const co_event *const *events;
  co_text *out = o->listed;
  int64_t first, end;
  for (;;) {
    CO_RETURN_IF_FAILED(co_event_log_next(&m->log, &events, &first, &end));
    if (first == end) break;
    for (int64_t e = first; e < end; e++)
      CO_RETURN_IF_FAILED(co_event_samples_add(m, e,
                                               events + (m->log.offsets[e] - m->log.offsets[first]),
                                               m->log.offsets[e + 1] - m->log.offsets[e]));
  }
  CO_RETURN_IF_FAILED(co_event_samples_check(m));
  co_joined_print_cell(out, o->recipe.entity, strlen(o->recipe.entity), false);
  if (o->sampling == CO_SAMPLE_CUTOFFS) co_text_printf(out, "%s,", CO_SAMPLES_SPLIT);
  for (int k = CO_LABEL_ANY; k < CO_LABEL_KIND_COUNT; k++)
    if (o->labels[k]) co_joined_print_cell(out, o->labels[k], strlen(o->labels[k]), false);
  co_text_printf(out, "%s\n", CO_SAMPLES_TIME);
  for (int64_t i = 0; i < m->sample_count; i++)
    print_sample(m, out, &m->samples[i]);
  return out->status;
}

static const char *first_label(const co_import_events_options *o) {
  const char *found = NULL;
  for (int k = CO_LABEL_KIND_COUNT - 1; k >= CO_LABEL_ANY; k--)
    if (o->labels[k]) found = o->labels[k];
  return found;
}

co_status co_event_samples_check(co_events_import *m) {
  const co_import_events_options *o = m->options;
  static const char *const names[] = {"training", "validation", "test"};
  for (int64_t i = 0; i < m->sample_count; i++)
    m->result->rows[m->samples[i].split]++;
  if (!m->sample_count) {
    co_status status =
        co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0, "there is no sample");
    co_hint("no entity has events enough before its cut-off");
    return status;
  }
  if (o->sampling == CO_SAMPLE_CUTOFFS && first_label(o) &&
      (m->result->positives == 0 || m->result->positives == m->sample_count)) {
    co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                                  "the label '%s' is %s of all samples", first_label(o),
                                  m->result->positives ? "yes" : "no");
    co_hint("another --label-window or --cutoff");
    return status;
  }
  for (int s = 0; o->sampling != CO_SAMPLE_AS_OF && s < CO_SPLIT_COUNT; s++)
    if (!m->result->rows[s])
      co_log(m->ctx, CO_LOG_WARN, "import", "no sample fell into the %s split", names[s]);
  return CO_OK;
}
