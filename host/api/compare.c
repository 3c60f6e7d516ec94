// SPDX-License-Identifier: Apache-2.0
// cohort_compare: runs beside each other.
#include "host/api/compare.h"

#include <stdio.h>
#include <string.h>

#include "host/api/run_record.h"
#include "host/core/file.h"
#include "host/eval/kept_scores.h"
#include "host/eval/opening.h"
#include "host/feed/fit_features.h"
#include "host/feed/labels.h"
#include "host/train/run.h"

// ---- configs -----------------------------------------------------------------------------------

typedef struct differing {
  co_compared *c;
  char path[512];
} differing;

static co_status add_difference(differing *d, const co_node *const *nodes) {
  co_compared *c = d->c;
  CO_RETURN_IF_FAILED(co_grow(c->ctx, (void **)&c->differences, &c->difference_capacity,
                              c->difference_count, sizeof *c->differences));
  const co_node **own = co_arena_alloc(c->arena, (size_t)c->count, sizeof *own);
  const char *path = co_arena_strdup(c->arena, d->path);
  if (!own || !path) return CO_ERR_MEMORY;
  memcpy(own, nodes, (size_t)c->count * sizeof *own);
  c->differences[c->difference_count++] = (co_config_difference){path, own};
  return CO_OK;
}

// Lists of one length, or maps.
static bool all_are(const co_compared *c, const co_node *const *nodes, co_node_kind kind) {
  for (int64_t i = 0; i < c->count; i++)
    if (!nodes[i] || nodes[i]->kind != kind ||
        (kind == CO_NODE_LIST && nodes[i]->count != nodes[0]->count))
      return false;
  return true;
}

static bool all_equal(const co_compared *c, const co_node *const *nodes) {
  co_difference ignored;
  for (int64_t i = 1; i < c->count; i++) {
    if (!nodes[0] != !nodes[i]) return false;
    if (nodes[0] && co_node_differ(&ignored, nodes[0], nodes[i])) return false;
  }
  return true;
}

static co_status find_differences(differing *d, const co_node *const *nodes);

static co_status descend(differing *d, const co_node *const *nodes, const char *key,
                         int64_t index) {
  size_t length = strlen(d->path);
  const co_node **items = co_arena_alloc(d->c->arena, (size_t)d->c->count, sizeof *items);
  if (!items) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < d->c->count; i++)
    items[i] = key ? co_node_get(nodes[i], key) : nodes[i]->items[index];
  const co_node *name = !key ? co_node_get(nodes[0]->items[index], "name") : NULL;
  if (key || (name && name->kind == CO_NODE_SCALAR))
    snprintf(d->path + length, sizeof d->path - length, "%s%s", length ? "." : "",
             key ? key : name->text);
  else
    snprintf(d->path + length, sizeof d->path - length, "%s%lld", length ? "." : "",
             (long long)index);
  co_status status = find_differences(d, items);
  d->path[length] = '\0';
  return status;
}

// As deep as all of them are alike.
static co_status find_differences(differing *d, const co_node *const *nodes) {
  const co_compared *c = d->c;
  if (all_equal(c, nodes)) return CO_OK;
  if (all_are(c, nodes, CO_NODE_LIST)) {
    for (int64_t i = 0; i < nodes[0]->count; i++)
      CO_RETURN_IF_FAILED(descend(d, nodes, NULL, i));
    return CO_OK;
  }
  if (!all_are(c, nodes, CO_NODE_MAP)) return add_difference(d, nodes);
  for (int64_t i = 0; i < c->count; i++)
    for (int64_t k = 0; k < nodes[i]->count; k++) {
      bool seen = false;
      for (int64_t j = 0; j < i; j++)
        seen = seen || co_node_get(nodes[j], nodes[i]->keys[k]);
      if (!seen) CO_RETURN_IF_FAILED(descend(d, nodes, nodes[i]->keys[k], 0));
    }
  return CO_OK;
}

static co_status compare_configs(co_compared *c) {
  differing d = {.c = c};
  const co_node **roots = co_arena_alloc(c->arena, (size_t)c->count, sizeof *roots);
  if (!roots) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < c->count; i++)
    roots[i] = c->runs[i].config;
  return find_differences(&d, roots);
}

// ---- runs --------------------------------------------------------------------------------------

static const char *text_of(const co_node *node, const char *key) {
  const co_node *value = node ? co_node_get(node, key) : NULL;
  return value && value->kind == CO_NODE_SCALAR ? value->text : NULL;
}

// Paired differences are of the same rows.
static co_status check_rows(co_compared *c, const co_compared_run *r) {
  const char *fingerprint = text_of(r->status, "dataset_fingerprint");
  if (c->options->dataset || !fingerprint || strcmp(fingerprint, c->fingerprint) == 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, r->path, 0, 0,
                                "it was trained on another dataset, or other splits of it, than %s",
                                c->runs[0].path);
  co_hint("--dataset FILE measures all of them on the rows of one");
  return status;
}

static co_status open_dataset(co_compared *c) {
  if (c->dataset) return CO_OK;
  co_status status = co_dataset_open(&c->dataset, c->ctx, c->dataset_path);
  if (status == CO_ERR_DATA && !c->options->dataset && !co_path_exists(c->dataset_path))
    co_hint("%s%s; where it is now: --dataset FILE",
            c->outdated ? "rows are scored again, of which another version kept "
                        : "the run was trained on it",
            c->outdated ? c->outdated : "");
  CO_RETURN_IF_FAILED(status);
  c->dataset_path = co_dataset_path(c->dataset);
  c->fingerprint = co_dataset_fingerprint(c->dataset);
  return CO_OK;
}

// What rows there are is the first run's to say, unless the caller does.
static co_status choose_rows(co_compared *c) {
  const cohort_compare_options *o = c->options;
  const co_compared_run *first = &c->runs[0];
  const char *name = o->split ? o->split : "validation";
  int split = co_split_parse(name);
  if (split < 0) {
    co_status status = co_fail(CO_ERR_USAGE, "--split %s: no such split", name);
    co_hint("known: train, validation, test");
    return status;
  }
  c->split = (co_split)split;
  c->dataset_path = o->dataset ? o->dataset : text_of(first->status, "dataset");
  if (!c->dataset_path)
    return co_fail_at(CO_ERR_MODEL, first->path, 0, 0, "its run.json names no dataset");
  c->fingerprint = text_of(first->status, "dataset_fingerprint");
  return o->dataset || !c->fingerprint ? open_dataset(c) : CO_OK;
}

static co_status prepare_evaluation(co_compared_run *r) {
  CO_RETURN_IF_FAILED(co_evaluation_create(&r->evaluation, r->model));
  co_evaluation_collect_all(&r->evaluation);
  r->evaluation.keeps = true;
  return CO_OK;
}

// The model that a run's figures are of, and how it scored validation rows.
static co_status read_scores(co_compared *c, co_compared_run *r, co_diagnostics *problems) {
  co_model_file file;
  co_kept_state state = CO_KEPT_NONE;
  char *scores = co_arena_format(c->arena, "%s/%s", r->path, CO_SCORES_FILE);
  char *selected = co_arena_format(c->arena, "%s/%s", r->path, CO_SELECTED_MODEL), *path = NULL;
  if (!scores || !selected) return CO_ERR_MEMORY;
  if (c->split != CO_SPLIT_VALIDATION || !co_path_exists(scores)) return CO_OK;
  co_status status = co_model_open(&r->opened, &file, &path, c->arena,
                                   co_path_exists(selected) ? selected : r->path, problems);
  co_free(c->ctx, path);
  CO_RETURN_IF_FAILED(status);
  const co_scores_identity identity = {.split = co_split_name(c->split),
                                       .dataset_fingerprint = c->fingerprint,
                                       .weights_sha256 = file.weights_sha256};
  r->model = r->opened;
  CO_RETURN_IF_FAILED(prepare_evaluation(r));
  CO_RETURN_IF_FAILED(co_kept_scores_read(&r->evaluation, scores, &identity, &state));
  if (state == CO_KEPT_FOUND) return CO_OK;
  if (state == CO_KEPT_OTHER_VERSION) {
    co_log(c->ctx, CO_LOG_INFO, "compare",
           "%s was kept by another version of Cohort: its rows are scored again", scores);
    c->outdated = scores;
  }
  co_evaluation_free(&r->evaluation);
  co_model_free(r->opened);
  r->model = r->opened = NULL;
  return CO_OK;
}

static co_status score_rows(co_compared *c, co_compared_run *r) {
  const cohort_compare_options *o = c->options;
  const co_scoring_options scoring = {
      .watch = &c->context->watch, .stoppable = true, .workers = o->workers, .stage = "evaluate"};
  const co_predictor_options predictor = {
      .model = r->path, .device = o->device, .threads = o->threads, .evaluate = true};
  const int64_t *samples;
  int64_t rows;
  CO_RETURN_IF_FAILED(open_dataset(c));
  CO_RETURN_IF_FAILED(check_rows(c, r));
  CO_RETURN_IF_FAILED(co_dataset_split(c->dataset, c->split, &samples, &rows));
  if (!rows)
    return co_fail_at(CO_ERR_DATA, co_dataset_path(c->dataset), 0, 0, "the %s split has no rows",
                      co_split_name(c->split));
  CO_RETURN_IF_FAILED(co_predictor_open(&r->predictor, c->ctx, &predictor));
  co_model *model = (co_model *)r->predictor->model;
  r->model = model;
  CO_RETURN_IF_FAILED(co_check_dataset(model, c->dataset, true));
  CO_RETURN_IF_FAILED(co_check_labels(model, c->dataset, c->split));
  CO_RETURN_IF_FAILED(co_check_inputs(model, c->dataset, samples, rows, NULL));
  CO_RETURN_IF_FAILED(prepare_evaluation(r));
  return co_evaluate(&r->evaluation, r->predictor, c->dataset, samples, rows, &scoring);
}

static co_status measure_run(co_compared *c, co_compared_run *r) {
  co_diagnostics problems;
  CO_RETURN_IF_FAILED(co_record_read(&r->status, c->arena, r->path, "run.json", "compare"));
  CO_RETURN_IF_FAILED(co_record_read(&r->config, c->arena, r->path, "config.full.yaml", "compare"));
  if (r == c->runs) CO_RETURN_IF_FAILED(choose_rows(c));
  CO_RETURN_IF_FAILED(check_rows(c, r));
  co_diagnostics_init(&problems, c->ctx);
  co_status status = read_scores(c, r, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK && !r->model) status = score_rows(c, r);
  CO_RETURN_IF_FAILED(status);
  return c->options->draws < 0 ? CO_OK : co_evaluation_bootstrap(&r->evaluation, &c->bootstrap);
}

// ---- pairs -------------------------------------------------------------------------------------

static co_status pair_output(co_compared *c, int64_t run, int64_t output) {
  co_output_pairs pairs;
  CO_RETURN_IF_FAILED(co_comparison_of_output(&pairs, &c->runs[run].evaluation, output,
                                              &c->runs[0].evaluation, &c->bootstrap));
  for (int64_t k = 0; k < pairs.count; k++) {
    CO_RETURN_IF_FAILED(
        co_grow(c->ctx, (void **)&c->pairs, &c->pair_capacity, c->pair_count, sizeof *c->pairs));
    c->pairs[c->pair_count++] = (co_compared_pair){run, c->runs[run].model->outputs[output].name,
                                                   pairs.metrics[k], pairs.found[k]};
  }
  return CO_OK;
}

// ---- the whole ---------------------------------------------------------------------------------

static co_status run(co_compared *c) {
  const cohort_compare_options *o = c->options;
  if (o->run_count < 2) return co_fail(CO_ERR_USAGE, "compare needs at least two runs");
  CO_RETURN_IF_FAILED(co_arena_create(&c->arena, c->ctx));
  c->runs = co_arena_alloc(c->arena, (size_t)o->run_count, sizeof *c->runs);
  if (!c->runs) return CO_ERR_MEMORY;
  c->bootstrap =
      (co_bootstrap_options){.draws = o->draws, .seed = o->seed, .watch = &c->context->watch};
  for (; c->count < o->run_count; c->count++) {
    co_compared_run *r = &c->runs[c->count];
    r->path = o->runs[c->count];
    CO_RETURN_IF_FAILED(measure_run(c, r));
  }
  CO_RETURN_IF_FAILED(compare_configs(c));
  for (int64_t i = 1; o->draws >= 0 && i < c->count; i++)
    for (int64_t k = 0; k < c->runs[i].model->output_count; k++)
      CO_RETURN_IF_FAILED(pair_output(c, i, k));
  return CO_OK;
}

cohort_status cohort_compare(cohort_context *context, const cohort_compare_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_compared c = {.context = context, .ctx = context->ctx, .options = options};
  co_status status = run(&c);
  if (status == CO_OK) {
    co_compared_render(&c, &(*out)->json);
    options->csv ? co_compared_print_csv(&c, &(*out)->text) : co_compared_print(&c, &(*out)->text);
  }
  co_error error;
  co_error_copy(&error);
  for (int64_t i = 0; c.runs && i < options->run_count; i++) {
    co_evaluation_free(&c.runs[i].evaluation);
    co_predictor_close(c.runs[i].predictor);
    co_model_free(c.runs[i].opened);
  }
  co_dataset_close(c.dataset);
  co_free(c.ctx, c.differences);
  co_free(c.ctx, c.pairs);
  co_arena_free(c.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "compare", status);
}
