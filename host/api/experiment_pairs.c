// SPDX-License-Identifier: Apache-2.0
// What an experiment's models are worth beside their baselines, on the same rows of the same folds.
#include <math.h>
#include <string.h>

#include "host/api/experiment.h"

static co_bootstrap_options of_run(const co_experiment *e, int64_t run) {
  // Folds have rows of their own, and are drawn by themselves; seeds are measured on the same rows.
  return (co_bootstrap_options){
      .draws = e->draws, .seed = e->seeds ? 0 : (uint64_t)run, .watch = &e->context->watch};
}

static co_status find_pair(co_experiment *e, const char *baseline, const char *output,
                           const co_evaluation_value *metric, co_experiment_pair **out) {
  for (int64_t i = 0; i < e->pair_count; i++) {
    co_experiment_pair *p = *out = &e->pairs[i];
    if (strcmp(p->baseline, baseline) == 0 && strcmp(p->output, output) == 0 &&
        strcmp(p->id, metric->name) == 0)
      return CO_OK;
  }
  CO_RETURN_IF_FAILED(
      co_grow(e->ctx, (void **)&e->pairs, &e->pair_capacity, e->pair_count, sizeof *e->pairs));
  co_experiment_pair *p = *out = &e->pairs[e->pair_count];
  *p = (co_experiment_pair){.baseline = co_arena_strdup(e->arena, baseline),
                            .output = co_arena_strdup(e->arena, output),
                            .id = co_arena_strdup(e->arena, metric->name),
                            .higher_is_better = metric->higher_is_better};
  if (!p->baseline || !p->output || !p->id) return CO_ERR_MEMORY;
  if (metric->scored) {
    p->differences = co_arena_alloc(e->arena, (size_t)e->draws, sizeof *p->differences);
    if (!p->differences) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < e->draws; i++)
      p->differences[i] = 0;
  }
  e->pair_count++;
  return CO_OK;
}

// Of an output those of its metrics that are over scores.
typedef struct scored_pairs {
  int64_t at[CO_MOST_COMPARED], count; // of e->pairs, which may move
  const co_metric_class *metrics[CO_MOST_COMPARED];
} scored_pairs;

// Sums up what they are at each draw; `room` has e->draws for each.
static co_status add_draws(co_experiment *e, const scored_pairs *scored, const co_comparison *c,
                           int64_t baseline, int64_t output, double *room, int64_t run) {
  const co_evaluation *own = c->request->evaluation, *other = &c->evaluations[baseline];
  const int64_t place = co_comparison_place(c, baseline, output);
  const co_bootstrap_options options = of_run(e, run);
  co_measured mine = {.ctx = NULL}, theirs = {.ctx = NULL};
  co_status status = co_evaluation_measure(&mine, own, output, &own->scores[output]);
  if (status == CO_OK) status = co_evaluation_measure(&theirs, other, place, &other->scores[place]);
  if (status == CO_OK)
    status =
        co_bootstrap_differences(room, &mine, &theirs, scored->metrics, scored->count, &options);
  for (int64_t i = 0; status == CO_OK && i < scored->count * e->draws; i++)
    e->pairs[scored->at[i / e->draws]].differences[i % e->draws] += room[i];
  co_measured_free(&mine);
  co_measured_free(&theirs);
  return status;
}

static co_status add_output(co_experiment *e, const co_comparison *c, int64_t baseline,
                            int64_t output, double *room, int64_t run) {
  const co_output_feature *feature = &c->model->outputs[output];
  co_evaluation_value mine;
  scored_pairs scored = {.count = 0};
  if (!*co_comparison_name(c, baseline, output)) return CO_OK;
  for (int64_t k = 0;
       k < CO_MOST_COMPARED && co_evaluation_metric(c->request->evaluation, output, k, &mine);
       k++) {
    co_experiment_pair *p;
    const double theirs = co_comparison_value(c, baseline, output, k, &mine);
    if (isnan(theirs) || isnan(mine.value)) continue;
    CO_RETURN_IF_FAILED(
        find_pair(e, co_comparison_name(c, baseline, output), feature->name, &mine, &p));
    p->runs++;
    p->value += theirs;
    p->paired += mine.value - theirs;
    if (!p->differences) continue;
    scored.at[scored.count] = p - e->pairs;
    scored.metrics[scored.count++] = co_metric_find(p->id, feature->column->type);
  }
  return scored.count ? add_draws(e, &scored, c, baseline, output, room, run) : CO_OK;
}

co_status co_experiment_pair_run(co_experiment *e, int64_t run,
                                 const co_comparison_request *request) {
  co_comparison c;
  if (!e->draws) e->draws = co_bootstrap_draws(request->evaluation->rows);
  double *room = co_alloc(e->ctx, CO_MOST_COMPARED * (size_t)e->draws * sizeof *room);
  if (!room) return CO_ERR_MEMORY;
  co_status status = co_comparison_measure(&c, request);
  for (int64_t i = 0; status == CO_OK && i < c.count; i++)
    for (int64_t k = 0; status == CO_OK && k < c.model->output_count; k++)
      status = add_output(e, &c, i, k, room, run);
  co_comparison_free(&c);
  co_free(e->ctx, room);
  return status;
}

co_status co_experiment_pairs_end(co_experiment *e) {
  int64_t kept = 0;
  e->partial = co_arena_alloc(e->arena, (size_t)e->pair_count + 1, sizeof *e->partial);
  if (!e->partial) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->pair_count; i++) {
    co_experiment_pair p = e->pairs[i];
    if (p.runs < e->count) { // means would be of other rows
      co_log(e->ctx, CO_LOG_INFO, "experiment",
             "%s of '%s' beside %s is there in %lld of %lld runs only, and left out", p.id,
             p.output, p.baseline, (long long)p.runs, (long long)e->count);
      e->partial[e->partial_count++] = p;
      continue;
    }
    p.value /= (double)e->count;
    p.paired /= (double)e->count;
    p.found = (co_paired){p.paired, {NAN, NAN}, NAN};
    for (int64_t k = 0; p.differences && k < e->draws; k++)
      p.differences[k] /= (double)e->count;
    if (p.differences) p.found = co_bootstrap_summary(p.paired, p.differences, e->draws);
    e->pairs[kept++] = p;
  }
  e->pair_count = kept;
  return CO_OK;
}

// ---- the report --------------------------------------------------------------------------------

static void render_value(co_json *json, const co_experiment_pair *p) {
  co_json_double(json, p->value);
}

static void render_paired(co_json *json, const co_experiment_pair *p) {
  co_json_open(json, '{');
  co_json_key(json, "difference");
  co_json_double(json, p->found.value);
  co_json_key(json, "interval");
  co_json_open(json, '[');
  co_json_double(json, p->found.interval.low);
  co_json_double(json, p->found.interval.high);
  co_json_close(json);
  co_json_close(json);
}

static bool same(const co_experiment_pair *a, const co_experiment_pair *b, bool output) {
  return strcmp(a->baseline, b->baseline) == 0 && (!output || strcmp(a->output, b->output) == 0);
}

// Whether no pair before it has its baseline, or output of that.
static bool is_first(const co_experiment *e, int64_t at, bool output) {
  for (int64_t i = 0; i < at; i++)
    if (same(&e->pairs[i], &e->pairs[at], output)) return false;
  return true;
}

typedef void render_pair(co_json *json, const co_experiment_pair *p);

static void render_output(const co_experiment *e, co_json *json, int64_t at, render_pair *value) {
  co_json_key(json, e->pairs[at].output);
  co_json_open(json, '{');
  for (int64_t i = at; i < e->pair_count; i++) {
    if (!same(&e->pairs[i], &e->pairs[at], true)) continue;
    if (value == render_paired && !e->pairs[i].differences) continue;
    co_json_key(json, e->pairs[i].id);
    value(json, &e->pairs[i]);
  }
  co_json_close(json);
}

// {BASELINE: {OUTPUT: {ID: …}}}
static void render(const co_experiment *e, co_json *json, render_pair *value) {
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->pair_count; i++) {
    if (!is_first(e, i, false)) continue;
    co_json_key(json, e->pairs[i].baseline);
    co_json_open(json, '{');
    for (int64_t k = i; k < e->pair_count; k++)
      if (same(&e->pairs[k], &e->pairs[i], false) && is_first(e, k, true))
        render_output(e, json, k, value);
    co_json_close(json);
  }
  co_json_close(json);
}

// [{baseline, output, metric, runs: in which it is there}]
static void render_partial(const co_experiment *e, co_json *json) {
  co_json_open(json, '[');
  for (int64_t i = 0; i < e->partial_count; i++) {
    const co_experiment_pair *p = &e->partial[i];
    co_json_open(json, '{');
    co_json_key(json, "baseline");
    co_json_string(json, p->baseline);
    co_json_key(json, "output");
    co_json_string(json, p->output);
    co_json_key(json, "metric");
    co_json_string(json, p->id);
    co_json_key(json, "runs");
    co_json_int(json, p->runs);
    co_json_close(json);
  }
  co_json_close(json);
}

void co_experiment_pairs_render(const co_experiment *e, co_json *json) {
  co_json_key(json, "baselines");
  render(e, json, render_value);
  co_json_key(json, "paired");
  render(e, json, render_paired);
  co_json_key(json, "not_in_every_run");
  render_partial(e, json);
}

static const co_experiment_pair *find_shown(const co_experiment *e, const char *baseline,
                                            const co_experiment_metric *metric) {
  for (int64_t i = 0; i < e->pair_count; i++) {
    const co_experiment_pair *p = &e->pairs[i];
    if (strcmp(p->baseline, baseline) == 0 && strcmp(p->output, metric->output) == 0 &&
        strcmp(p->id, metric->id) == 0)
      return p;
  }
  return NULL;
}

static void print_baseline(const co_experiment *e, const char *baseline, co_text *text) {
  co_text_printf(text, "less %s\n", baseline);
  for (int64_t i = 0; i < e->metric_count; i++) {
    const co_experiment_pair *p = find_shown(e, baseline, &e->metrics[i]);
    if (!p || !p->differences) continue;
    co_text_printf(text, "%c %-24s %-20s %-12.6g %+-12.6g",
                   co_comparison_sign(&p->found, p->higher_is_better), p->output, p->id, p->value,
                   p->found.value);
    if (!isnan(p->found.interval.low))
      co_text_printf(text, " [%.6g, %.6g]", p->found.interval.low, p->found.interval.high);
    co_text_printf(text, "\n");
  }
}

void co_experiment_pairs_print(const co_experiment *e, co_text *text) {
  if (e->pair_count)
    co_text_printf(
        text,
        "beside baselines, on the same rows: theirs, what the model's are more, with its 95 %% "
        "bootstrap interval (+ the model is better, - it is worse)\n");
  for (int64_t i = 0; i < e->pair_count; i++)
    if (is_first(e, i, false)) print_baseline(e, e->pairs[i].baseline, text);
}
