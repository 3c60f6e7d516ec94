// SPDX-License-Identifier: Apache-2.0
// What a scoring tells of its rows beside their scores: how far inputs and scores are from those of the
// training, a histogram; and the gates on them.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/api/predict.h"

enum { FEW_ROWS = 500 };            // of which an index says little
static const double notable = 0.25; // PSI by which a population is commonly held to have changed

// ---- gates -------------------------------------------------------------------------------------

static const char *const measures[] = {"psi", "ks", "missing", "unseen"};

// "psi=0.25,ks=0.1": the largest values that may be; INFINITY = any.
static co_status parse_gate(co_drift_gate *out, const char *text) {
  for (int i = 0; i < CO_DRIFT_MEASURES; i++)
    out->most[i] = INFINITY;
  while (text && *text) {
    int i = 0;
    size_t length = strcspn(text, "=");
    while (i < CO_DRIFT_MEASURES &&
           (strlen(measures[i]) != length || strncmp(measures[i], text, length) != 0))
      i++;
    char *end = NULL;
    double most = text[length] ? strtod(text + length + 1, &end) : NAN;
    if (i == CO_DRIFT_MEASURES || !end || end == text + length + 1 || !(most >= 0) ||
        (*end && *end != ',')) {
      co_status status = co_fail(CO_ERR_USAGE, "--max-drift %.100s: not understood", text);
      co_hint("psi, ks, missing or unseen, as in --max-drift psi=0.25,missing=0.05");
      return status;
    }
    out->most[i] = most;
    text = *end ? end + 1 : end;
  }
  return CO_OK;
}

co_status co_drift_check_options(const cohort_predict_options *o) {
  co_drift_gate gate;
  return parse_gate(&gate, o->max_drift);
}

static co_status refuse(const char *kind, const char *name, const char *measure, double value,
                        double most) {
  co_status status =
      co_fail(CO_ERR_GATE, "%s '%.200s' has drifted: %s %.3g, more than %g; nothing is written",
              kind, name, measure, value, most);
  co_hint("look at its values; --max-drift allows more; a new training takes the change in");
  return status;
}

// `name`: of the part, in messages. `told`: a warning of it has been given already.
static co_status check_part(const co_scoring *s, const char *kind, const char *name,
                            const co_profile_part *part, const int64_t *seen, double unseen,
                            bool told) {
  const co_drift drift = co_drift_of(part, seen);
  const double values[] = {drift.psi, drift.ks, drift.missing - drift.trained_missing, unseen};
  for (int i = 0; i < CO_DRIFT_MEASURES; i++)
    if (values[i] > s->gate.most[i])
      return refuse(kind, name, measures[i], values[i], s->gate.most[i]);
  if (drift.psi > notable && s->count >= FEW_ROWS && !told)
    co_log(s->ctx, CO_LOG_WARN, "predict", "%s '%s' has drifted since the training: PSI %.3g", kind,
           name, drift.psi);
  return CO_OK;
}

// ---- inputs ------------------------------------------------------------------------------------

static double unseen_share(const co_table_scoring *table, const co_scored_model *model,
                           const char *name) {
  const co_raw_rows_result *r = &table->result;
  for (int64_t i = 0; table->arena && i < r->column_count; i++)
    if (r->columns[i].model == model->dataset && strcmp(r->columns[i].name, name) == 0)
      return r->rows ? (double)r->columns[i].unseen / (double)r->rows : 0;
  return 0;
}

static co_status make_counts(int64_t ***out, co_arena *arena, const co_profile_part *parts,
                             int64_t count) {
  *out = co_arena_alloc(arena, (size_t)count + 1, sizeof **out);
  for (int64_t i = 0; *out && i < count; i++)
    if (!((*out)[i] = co_arena_alloc(arena, (size_t)parts[i].bins, sizeof ***out)))
      return CO_ERR_MEMORY;
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static co_status begin_model(const co_scoring *s, co_scored_model *m) {
  CO_RETURN_IF_FAILED(
      co_profile_read(&m->profile, s->arena, m->predictor->path, m->predictor->model));
  if (s->options->max_drift && !m->profile.input_count && !m->profile.output_count) {
    co_status status = co_fail_at(CO_ERR_MODEL, m->predictor->path, 0, 0,
                                  "the model has no profile that --max-drift could compare with");
    co_hint("it was trained before there was any, or has no inputs of numbers or categories");
    return status;
  }
  if (s->options->exclude_seen) m->profile.output_count = 0; // training's had none taken out
  CO_RETURN_IF_FAILED(make_counts(&m->seen, s->arena, m->profile.inputs, m->profile.input_count));
  return make_counts(&m->scored, s->arena, m->profile.outputs, m->profile.output_count);
}

static co_member_scores add_of_member;

co_status co_drift_begin(co_scoring *s) {
  CO_RETURN_IF_FAILED(parse_gate(&s->gate, s->options->max_drift));
  for (int64_t i = 0; i < s->model_count; i++)
    CO_RETURN_IF_FAILED(begin_model(s, &s->models[i]));
  if (s->ensemble != CO_ENSEMBLE_NONE) co_ensemble_set_listener(s->predictor, add_of_member, s);
  s->histogram = co_arena_alloc(s->arena, (size_t)s->told->output_count + 1, sizeof *s->histogram);
  return s->histogram ? CO_OK : CO_ERR_MEMORY;
}

co_status co_drift_count(co_scoring *s, const int64_t *samples, int64_t count) {
  int threads = s->options->threads ? s->options->threads : co_context_threads(s->ctx);
  for (int64_t i = 0; i < s->model_count; i++) {
    co_scored_model *m = &s->models[i];
    for (int64_t k = 0; k < m->profile.input_count; k++) {
      CO_RETURN_IF_FAILED(co_profile_count(&m->profile.inputs[k], s->of_model[i], samples, count,
                                           threads, m->seen[k]));
      co_alive(s->ctx, CO_PATIENCE);
    }
  }
  return CO_OK;
}

// Models of one ensemble, say, have the same inputs.
static bool is_told(const co_scoring *s, int64_t model, const char *input) {
  for (int64_t i = 0; i < model; i++)
    for (int64_t k = 0; k < s->models[i].profile.input_count; k++)
      if (strcmp(s->models[i].profile.inputs[k].name, input) == 0) return true;
  return false;
}

co_status co_drift_check_inputs(const co_scoring *s, const co_table_scoring *table) {
  for (int64_t i = 0; i < s->model_count; i++) {
    const co_scored_model *m = &s->models[i];
    for (int64_t k = 0; k < m->profile.input_count; k++) {
      const co_profile_part *part = &m->profile.inputs[k];
      CO_RETURN_IF_FAILED(check_part(s, "input", part->name, part, m->seen[k],
                                     unseen_share(table, m, part->name),
                                     is_told(s, i, part->name)));
    }
  }
  return CO_OK;
}

// ---- scores ------------------------------------------------------------------------------------

static bool is_probability(const co_output_feature *output) {
  return output->column &&
         (output->column->type == CO_COLUMN_BINARY || output->column->type == CO_COLUMN_CATEGORY);
}

// `scores`: of a row, per output of the model.
static void add_to_profile(co_scored_model *m, const float *const *scores, int64_t row) {
  for (int64_t i = 0; i < m->profile.output_count; i++) {
    const co_profile_part *part = &m->profile.outputs[i];
    const float *own = scores[part->output - m->predictor->model->outputs];
    double score = co_score_of(part->output, own + row * part->output->width);
    m->scored[i][co_profile_bin(part, score)]++;
  }
}

// Of an ensemble, whose own scores no training had, its members' are compared with their own.
static void add_of_member(void *user, int64_t member, int64_t rows, const float *const *scores) {
  co_scoring *s = user;
  for (int64_t row = 0; row < rows; row++)
    add_to_profile(&s->models[member], scores, row);
}

void co_drift_add(co_scoring *s, const float *const *scores, const float *const *shown) {
  for (int64_t i = 0; s->ensemble == CO_ENSEMBLE_NONE && i < s->model_count; i++)
    add_to_profile(&s->models[i], scores + s->models[i].first_output, 0);
  for (int64_t i = 0; i < s->told->output_count; i++) {
    const co_output_feature *output = &s->told->outputs[i];
    if (!is_probability(output)) continue;
    int bin = (int)(co_score_of(output, shown[i]) * CO_HISTOGRAM_BINS);
    s->histogram[i][bin < 0 ? 0 : bin >= CO_HISTOGRAM_BINS ? CO_HISTOGRAM_BINS - 1 : bin]++;
  }
}

// All counts of scores in a fixed order: `work` for each.
static void each_count(co_scoring *s, void (*work)(void *user, int64_t *count), void *user) {
  for (int64_t m = 0; m < s->model_count; m++)
    for (int64_t i = 0; i < s->models[m].profile.output_count; i++)
      for (int64_t k = 0; k < s->models[m].profile.outputs[i].bins; k++)
        work(user, &s->models[m].scored[i][k]);
  for (int64_t i = 0; i < s->told->output_count; i++)
    for (int k = 0; k < CO_HISTOGRAM_BINS; k++)
      work(user, &s->histogram[i][k]);
}

static void print_count(void *user, int64_t *count) {
  co_text_printf(user, "%" PRId64 ",", *count);
}

static void read_count(void *user, int64_t *count) {
  char **at = user;
  *count = strtoll(*at, at, 10);
  if (**at == ',') ++*at;
}

void co_drift_print_state(co_scoring *s, co_text *out) {
  each_count(s, print_count, out);
}

// Where rows have places, an ensemble scores all of them anew.
void co_drift_read_state(co_scoring *s, char *state) {
  if (!state) return;
  each_count(s, read_count, &state);
  if (s->ensemble == CO_ENSEMBLE_NONE || !s->ranking) return;
  for (int64_t m = 0; m < s->model_count; m++)
    for (int64_t i = 0; i < s->models[m].profile.output_count; i++)
      memset(s->models[m].scored[i], 0,
             (size_t)s->models[m].profile.outputs[i].bins * sizeof(int64_t));
}

static co_status check_scores(const co_scoring *s, const co_scored_model *m) {
  for (int64_t i = 0; i < m->profile.output_count; i++) {
    const co_profile_part *part = &m->profile.outputs[i];
    const char *name =
        s->model_count == 1 ? part->name : co_arena_format(s->arena, "%s_%s", m->name, part->name);
    if (!name) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(check_part(s, "score", name, part, m->scored[i], 0, false));
  }
  return CO_OK;
}

co_status co_drift_check_scores(co_scoring *s) {
  int64_t required = s->options->require_rows;
  if (s->count < required) {
    co_status status = co_fail(CO_ERR_GATE, "%lld rows are scored, fewer than the %lld required",
                               (long long)s->count, (long long)required);
    co_hint("nothing is written; look at the source");
    return status;
  }
  for (int64_t m = 0; m < s->model_count; m++)
    CO_RETURN_IF_FAILED(check_scores(s, &s->models[m]));
  return CO_OK;
}

// ---- the manifest ------------------------------------------------------------------------------

static void render_part(co_json *json, const co_profile_part *part, const int64_t *seen,
                        const double *unseen) {
  const co_drift drift = co_drift_of(part, seen);
  co_json_key(json, part->name);
  co_json_open(json, '{');
  co_json_key(json, "psi");
  co_json_double(json, drift.psi);
  co_json_key(json, "ks");
  co_json_double(json, drift.ks);
  if (unseen) {
    co_json_key(json, "missing");
    co_json_double(json, drift.missing);
    co_json_key(json, "missing_in_training");
    co_json_double(json, drift.trained_missing);
    co_json_key(json, "unseen");
    co_json_double(json, *unseen);
  }
  co_json_close(json);
}

void co_drift_render_histogram(const co_scoring *s, co_json *json) {
  co_json_key(json, "histogram");
  co_json_open(json, '{');
  for (int64_t i = 0; i < s->told->output_count; i++) {
    if (!is_probability(&s->told->outputs[i])) continue;
    co_json_key(json, s->told->outputs[i].name);
    co_json_open(json, '[');
    for (int k = 0; k < CO_HISTOGRAM_BINS; k++)
      co_json_int(json, s->histogram[i][k]);
    co_json_close(json);
  }
  co_json_close(json);
}

void co_drift_render(const co_scored_model *m, const co_table_scoring *table, co_json *json) {
  co_json_key(json, "drift");
  co_json_open(json, '{');
  co_json_key(json, "inputs");
  co_json_open(json, '{');
  for (int64_t i = 0; i < m->profile.input_count; i++) {
    double unseen = unseen_share(table, m, m->profile.inputs[i].name);
    render_part(json, &m->profile.inputs[i], m->seen[i], &unseen);
  }
  co_json_close(json);
  co_json_key(json, "scores");
  co_json_open(json, '{');
  for (int64_t i = 0; i < m->profile.output_count; i++)
    render_part(json, &m->profile.outputs[i], m->scored[i], NULL);
  co_json_close(json);
  co_json_close(json);
}
