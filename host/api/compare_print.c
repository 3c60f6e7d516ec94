// SPDX-License-Identifier: Apache-2.0
// What comes of a comparison of runs: JSON, a table, CSV.
#include <math.h>
#include <string.h>

#include "host/api/compare.h"

// ---- JSON --------------------------------------------------------------------------------------

static void render_run(co_json *json, const co_compared *c, int64_t run) {
  const co_compared_run *r = &c->runs[run];
  co_json_open(json, '{');
  co_json_key(json, "run");
  co_json_string(json, r->path);
  co_json_key(json, "scores"); // from scores.h5, or of now
  co_json_string(json, r->opened ? "kept" : "computed");
  co_json_key(json, "loss");
  co_json_double(json, co_evaluation_loss(&r->evaluation));
  co_json_key(json, "metrics");
  co_evaluation_render(json, &r->evaluation, true);
  co_json_key(json, "intervals");
  co_evaluation_render_intervals(json, &r->evaluation);
  co_json_key(json, "config"); // where it differs
  co_json_open(json, '{');
  for (int64_t i = 0; i < c->difference_count; i++) {
    co_json_key(json, c->differences[i].path);
    co_node_render(json, c->differences[i].values[run]);
  }
  co_json_close(json);
  co_json_close(json);
}

void co_pair_render(co_json *json, const char *key, const co_pair_named *p) {
  co_json_open(json, '{');
  co_json_key(json, key);
  co_json_string(json, p->of);
  co_json_key(json, "than");
  co_json_string(json, p->than);
  co_json_key(json, "output");
  co_json_string(json, p->output);
  co_json_key(json, "metric");
  co_json_string(json, p->metric->name);
  co_json_key(json, "difference");
  co_json_double(json, p->found->value);
  co_json_key(json, "interval");
  co_json_open(json, '[');
  co_json_double(json, p->found->interval.low);
  co_json_double(json, p->found->interval.high);
  co_json_close(json);
  co_json_key(json, "p");
  co_json_double(json, p->found->p);
  co_json_close(json);
}

static void render_pair(co_json *json, const co_compared *c, const co_compared_pair *p) {
  const co_pair_named named = {c->runs[p->run].path, c->runs[0].path, p->output, p->metric,
                               &p->found};
  co_pair_render(json, "run", &named);
}

void co_compared_render(const co_compared *c, co_json *json) {
  co_json_key(json, "dataset");
  co_json_string(json, c->dataset_path);
  co_json_key(json, "split");
  co_json_string(json, co_split_name(c->split));
  co_json_key(json, "rows");
  co_json_int(json, c->runs[0].evaluation.rows);
  co_json_key(json, "runs");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->count; i++)
    render_run(json, c, i);
  co_json_close(json);
  co_json_key(json, "pairs");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->pair_count; i++)
    render_pair(json, c, &c->pairs[i]);
  co_json_close(json);
}

// ---- text --------------------------------------------------------------------------------------

// A value of a config in one line; the arena's.
static const char *node_text(const co_compared *c, const co_node *node) {
  co_json json;
  if (!node) return "-";
  if (node->kind == CO_NODE_SCALAR) return node->text;
  co_json_init(&json, c->ctx, 0);
  co_node_render(&json, node);
  const char *text = json.text.data ? co_arena_strdup(c->arena, json.text.data) : NULL;
  co_json_free(&json);
  return text ? text : "";
}

static void print_configs(const co_compared *c, co_text *text) {
  if (!c->difference_count) {
    co_text_printf(text, "\ntheir configs say the same\n");
    return;
  }
  co_text_printf(text, "\n%-44s", "config");
  for (int64_t i = 0; i < c->count; i++)
    co_text_printf(text, " %16lld", (long long)i + 1);
  co_text_printf(text, "\n");
  for (int64_t i = 0; i < c->difference_count; i++) {
    co_text_printf(text, "%-44s", c->differences[i].path);
    for (int64_t k = 0; k < c->count; k++)
      co_text_printf(text, " %16s", node_text(c, c->differences[i].values[k]));
    co_text_printf(text, "\n");
  }
}

static const co_compared_pair *find_pair(const co_compared *c, int64_t run, const char *output,
                                         const char *metric) {
  for (int64_t i = 0; i < c->pair_count; i++)
    if (c->pairs[i].run == run && strcmp(c->pairs[i].output, output) == 0 &&
        strcmp(c->pairs[i].metric->name, metric) == 0)
      return &c->pairs[i];
  return NULL;
}

// The value of a run's metric, NaN where it has no such output or metric.
static double find_value(const co_compared *c, int64_t run, const char *output,
                         const char *metric) {
  const co_compared_run *r = &c->runs[run];
  const co_model *model = r->model;
  co_evaluation_value value;
  for (int64_t i = 0; i < model->output_count; i++)
    for (int64_t k = 0; strcmp(model->outputs[i].name, output) == 0 &&
                        co_evaluation_metric(&r->evaluation, i, k, &value);
         k++)
      if (strcmp(value.name, metric) == 0) return value.value;
  return NAN;
}

void co_pair_print(co_text *text, const co_paired *pair, bool higher_is_better) {
  char sign = co_comparison_sign(pair, higher_is_better);
  co_text_printf(text, " %+10.4g [%+.4g, %+.4g] p=%.3g%s", pair->value, pair->interval.low,
                 pair->interval.high, pair->p,
                 sign == '+'   ? "  better"
                 : sign == '-' ? "  worse"
                               : "");
}

static void print_value(const co_compared *c, co_text *text, int64_t run, const char *output,
                        const co_evaluation_value *value) {
  const co_compared_pair *p = run ? find_pair(c, run, output, value->name) : NULL;
  co_text_printf(text, " %-10.6g", find_value(c, run, output, value->name));
  if (!p) return;
  co_pair_print(text, &p->found, value->higher_is_better);
}

// Of two runs a line, of more one for each.
static void print_metric(const co_compared *c, co_text *text, const char *output,
                         const co_evaluation_value *value) {
  co_text_printf(text, "  %-24s %-18s", output, value->name);
  for (int64_t i = 0; i < c->count; i++) {
    if (c->count > 2) co_text_printf(text, "\n%6lld", (long long)i + 1);
    print_value(c, text, i, output, value);
  }
  co_text_printf(text, "\n");
}

void co_compared_print(const co_compared *c, co_text *text) {
  const co_compared_run *first = &c->runs[0];
  const co_model *model = first->model;
  co_evaluation_value value;
  for (int64_t i = 0; i < c->count; i++)
    co_text_printf(text, "%lld  %s\n", (long long)i + 1, c->runs[i].path);
  print_configs(c, text);
  co_text_printf(
      text,
      "\non %lld %s rows; of each but the first its difference from that, with the 95 %% "
      "interval (+ better, - worse)\n",
      (long long)first->evaluation.rows, co_split_name(c->split));
  for (int64_t i = 0; i < model->output_count; i++)
    for (int64_t k = 0; co_evaluation_metric(&first->evaluation, i, k, &value); k++)
      print_metric(c, text, model->outputs[i].name, &value);
}

// ---- CSV ---------------------------------------------------------------------------------------

static void print_cell(co_text *text, const char *value) {
  if (!value[strcspn(value, ",\"\r\n")]) {
    co_text_printf(text, "%s", value);
    return;
  }
  co_text_append(text, "\"", 1);
  for (; *value; value++)
    co_text_append(text, *value == '"' ? "\"\"" : value, *value == '"' ? 2 : 1);
  co_text_append(text, "\"", 1);
}

void co_compared_print_csv(const co_compared *c, co_text *text) {
  const co_model *model = c->runs[0].model;
  co_evaluation_value value;
  char number[32];
  co_text_printf(text, "run");
  for (int64_t i = 0; i < c->difference_count; i++) {
    co_text_printf(text, ",");
    print_cell(text, c->differences[i].path);
  }
  for (int64_t i = 0; i < model->output_count; i++)
    for (int64_t k = 0; co_evaluation_metric(&c->runs[0].evaluation, i, k, &value); k++)
      co_text_printf(text, ",%s.%s", model->outputs[i].name, value.name);
  for (int64_t run = 0; run < c->count; run++) {
    co_text_printf(text, "\n");
    print_cell(text, c->runs[run].path);
    for (int64_t i = 0; i < c->difference_count; i++) {
      const co_node *node = c->differences[i].values[run];
      co_text_printf(text, ",");
      print_cell(text, node ? node_text(c, node) : "");
    }
    for (int64_t i = 0; i < model->output_count; i++)
      for (int64_t k = 0; co_evaluation_metric(&c->runs[0].evaluation, i, k, &value); k++) {
        double found = find_value(c, run, model->outputs[i].name, value.name);
        co_double_print(found, number, sizeof number);
        co_text_printf(text, ",%s", isnan(found) ? "" : number);
      }
  }
  co_text_printf(text, "\n");
}
