// SPDX-License-Identifier: Apache-2.0
#include "host/output/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/output/chart.h"
#include "host/output/page.h"

const char *co_report_text(const co_node *node, const char *path) {
  char key[128];
  while (node && *path) {
    size_t length = strcspn(path, ".");
    snprintf(key, sizeof key, "%.*s", (int)length, path);
    node = co_node_get(node, key);
    path += length + (path[length] == '.');
  }
  return node && node->kind == CO_NODE_SCALAR ? node->text : NULL;
}

double co_report_number(const co_node *node, const char *path) {
  const char *text = co_report_text(node, path);
  const co_node scalar = {.kind = CO_NODE_SCALAR, .text = text};
  double value;
  return text && co_node_double(&scalar, &value) ? value : (double)NAN;
}

// ---- overview ----------------------------------------------------------------------------------

static void add_tile(co_report *r, const co_evaluation_value *value) {
  char note[96] = "";
  if (!isnan(value->interval.low))
    snprintf(note, sizeof note, "%s – %s", co_show_brief(value->interval.low).text,
             co_show_brief(value->interval.high).text);
  co_page_tile(&r->page, value->name, co_show_brief(value->value).text, *note ? note : NULL);
}

// A few of many; the others stand in the table of all.
static bool is_headline(const char *name) {
  static const char *const names[] = {"roc_auc", "pr_auc",      "log_loss",    "lift@10",
                                      "ece",     "f1",          "accuracy",    "macro_f1",
                                      "rmse",    "mae",         "r2",          "spearman",
                                      "mse",     "profit",      "pinball",     "mean_squared_error",
                                      "ndcg@10", "hit_rate@10", "exact_match", "token_error_rate"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

static void add_output_tiles(co_report *r, int64_t output) {
  co_evaluation_value value;
  co_page_tiles(&r->page);
  for (int64_t k = 0; co_evaluation_metric(&r->evaluation, output, k, &value); k++)
    if (is_headline(value.name)) add_tile(r, &value);
  co_page_tiles_end(&r->page);
}

// Not of networks that are trained in turn, unless a metric tells which epoch is best.
static bool chose_epoch(const co_report *r) {
  const co_node *trainer = co_node_get(r->config, "trainer");
  return r->split == CO_SPLIT_VALIDATION &&
         (!co_node_get(trainer, "phases") || co_report_text(trainer, "validation_metric"));
}

void co_report_overview(co_report *r) {
  char note[256];
  const co_model *model = r->predictor->model;
  snprintf(note, sizeof note, "Measured on %s %s rows%s.%s", co_show((double)r->count).text,
           co_split_name(r->split), chose_epoch(r) ? ", which also chose the best epoch" : "",
           co_evaluation_needs_scores(model)
               ? " Below each number: the middle 95 % of bootstrap draws of those rows."
               : "");
  co_page_section(&r->page, "overview", "How good it is", note);
  for (int64_t i = 0; i < model->output_count; i++) {
    if (model->output_count > 1) {
      co_text_printf(&r->page, "<h3>");
      co_page_text(&r->page, model->outputs[i].name);
      co_text_printf(&r->page, "</h3>\n");
    }
    add_output_tiles(r, i);
  }
  co_page_section_end(&r->page);
}

// ---- training ----------------------------------------------------------------------------------

typedef struct curve {
  double *x, *y;
  int64_t count;
} curve;

// Values at `path` of the records of a split, by step.
static co_status read_curve(const co_report *r, const char *split, const char *path, curve *out) {
  size_t room = (size_t)r->record_count + 1;
  *out =
      (curve){co_alloc(r->ctx, room * sizeof(double)), co_alloc(r->ctx, room * sizeof(double)), 0};
  if (!out->x || !out->y) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < r->record_count; i++) {
    const char *of = co_report_text(r->records[i], "split");
    double value = co_report_number(r->records[i], path);
    if (!of || strcmp(of, split) != 0 || isnan(value)) continue;
    out->x[out->count] = co_report_number(r->records[i], "step");
    out->y[out->count++] = value;
  }
  return CO_OK;
}

static void free_curve(const co_report *r, curve *c) {
  co_free(r->ctx, c->x);
  co_free(r->ctx, c->y);
}

static void draw_loss(co_report *r) {
  const co_axis x = {.label = "step"}, y = {.label = "loss"};
  curve train = {0}, validation = {0};
  if (read_curve(r, "train", "loss", &train) == CO_OK &&
      read_curve(r, "validation", "loss", &validation) == CO_OK &&
      train.count + validation.count > 0) {
    const co_series series[] = {{.name = "training",
                                 .colour = 'm',
                                 .x = train.x,
                                 .y = train.y,
                                 .count = train.count,
                                 .dots = train.count == 1},
                                {.name = validation.count ? "validation" : NULL,
                                 .colour = 'a',
                                 .x = validation.x,
                                 .y = validation.y,
                                 .count = validation.count,
                                 .dots = validation.count <= 80}};
    co_page_card(&r->page, "Loss",
                 "Training rows as they pass, dropout and all; validation after each epoch.",
                 false);
    co_chart_lines(&r->page, "Loss by step", "Training and validation loss over the steps.", &x, &y,
                   series, 2);
    co_page_card_end(&r->page);
  }
  free_curve(r, &train);
  free_curve(r, &validation);
}

static void draw_metric(co_report *r, const char *output, const char *name) {
  char path[192], title[128];
  curve c = {0};
  const co_axis x = {.label = "step"}, y = {.label = name};
  snprintf(path, sizeof path, "metrics.%s.%s", output, name);
  snprintf(title, sizeof title, "Validation %s", name);
  if (read_curve(r, "validation", path, &c) == CO_OK && c.count > 1) {
    const co_series series = {
        .colour = 'c', .x = c.x, .y = c.y, .count = c.count, .dots = c.count <= 80};
    co_page_card(&r->page, title, output, false);
    co_chart_lines(&r->page, title, "By step, after each epoch.", &x, &y, &series, 1);
    co_page_card_end(&r->page);
  }
  free_curve(r, &c);
}

static void draw_rate(co_report *r) {
  const co_axis x = {.label = "step"}, y = {.label = "learning rate"};
  curve c = {0};
  bool changes = false;
  co_status status = read_curve(r, "train", "learning_rate", &c);
  for (int64_t i = 1; i < c.count; i++)
    changes = changes || c.y[i] != c.y[0];
  if (status == CO_OK && changes) {
    const co_series series = {.colour = 'd', .x = c.x, .y = c.y, .count = c.count};
    co_page_card(&r->page, "Learning rate", "By schedule.", false);
    co_chart_lines(&r->page, "Learning rate by step", NULL, &x, &y, &series, 1);
    co_page_card_end(&r->page);
  }
  free_curve(r, &c);
}

static const char *watched_metric(const co_report *r, int64_t output) {
  const co_column *column = r->predictor->model->outputs[output].column;
  if (!column) return co_loss_metric(&r->predictor->model->outputs[output]);
  return column->type == CO_COLUMN_BINARY ? "roc_auc"
         : column->type == CO_COLUMN_CATEGORY
             ? "accuracy"
             : co_loss_metric(&r->predictor->model->outputs[output]);
}

void co_report_training(co_report *r) {
  const co_model *model = r->predictor->model;
  if (!r->record_count) return;
  co_page_section(&r->page, "training", "How it learned", NULL);
  co_page_grid(&r->page, false);
  draw_loss(r);
  for (int64_t i = 0; i < model->output_count && i < 4; i++)
    draw_metric(r, model->outputs[i].name, watched_metric(r, i));
  draw_rate(r);
  co_page_grid_end(&r->page);
  co_page_section_end(&r->page);
}

// ---- facts -------------------------------------------------------------------------------------

static void fact(co_report *r, const char *name, const char *value) {
  if (!value) return;
  co_page_row(&r->page, name);
  co_text_printf(&r->page, "<td style=\"white-space:normal;overflow-wrap:anywhere\">");
  co_page_text(&r->page, value);
  co_text_printf(&r->page, "</td>");
  co_page_row_end(&r->page);
}

static int64_t parameters(const co_graph *graph) {
  int64_t total = 0;
  for (int64_t i = 0; i < graph->param_count; i++)
    total += co_shape_count(&graph->params[i].shape);
  return total;
}

static void draw_time(co_report *r) {
  double total = co_report_number(r->run, "time_s.total");
  double wait = co_report_number(r->run, "time_s.data_wait");
  double evaluation = co_report_number(r->run, "time_s.evaluation");
  double checkpoint = co_report_number(r->run, "time_s.checkpoint");
  double baselines = co_report_number(r->run, "time_s.baselines");
  if (!(total > 0)) return;
  const co_bar bars[] = {
      {.name = "training steps",
       .value = fmax(0, total - wait - evaluation - checkpoint - fmax(baselines, 0))},
      {.name = "evaluation", .value = evaluation},
      {.name = "checkpoints", .value = checkpoint},
      {.name = "baselines", .value = isnan(baselines) ? 0 : baselines},
      {.name = "waiting for data", .value = wait}};
  co_page_card(&r->page, "Where the time went", "Seconds of the process that ended the run.",
               false);
  co_chart_bars(&r->page, "Seconds by activity", NULL, bars, 5, 'c');
  co_page_card_end(&r->page);
}

static void draw_layers(co_report *r) {
  enum { MOST = 20 };
  co_bar bars[MOST];
  char text[MOST][64];
  int count = 0;
  const co_node *layers = r->profile ? co_node_get(r->profile, "layers") : NULL;
  for (int64_t i = 0; layers && i < layers->count && count < MOST; i++) {
    const co_node *l = layers->items[i];
    double seconds = co_report_number(l, "seconds");
    const char *name = co_report_text(l, "layer"), *ceiling = co_report_text(l, "ceiling");
    if (!name || !ceiling || !(seconds >= 0)) continue;
    snprintf(text[count], sizeof text[count], "%.3g s, %.0f %% of %s", seconds,
             100 * co_report_number(l, "share_of_ceiling"), ceiling);
    bars[count] = (co_bar){.name = name, .value = seconds, .text = text[count]};
    count++;
  }
  if (!count) return;
  co_page_card(&r->page, "Time by layer",
               "Seconds of the steps, and how near to what the machine can compute or move.",
               false);
  co_chart_bars(&r->page, "Seconds by layer", NULL, bars, count, 'a');
  co_page_card_end(&r->page);
}

void co_report_facts(co_report *r) {
  static const char *const heads[] = {"", "", NULL};
  char text[128];
  const co_model *model = r->predictor->model;
  co_page_section(&r->page, "run", "The run", NULL);
  co_page_grid(&r->page, false);
  co_page_card(&r->page, "Facts", NULL, false);
  co_page_table(&r->page, NULL, heads);
  fact(r, "status", co_report_text(r->run, "status"));
  fact(r, "model", r->predictor->class_->name);
  snprintf(text, sizeof text, "%s", co_show((double)parameters(model->network)).text);
  fact(r, "parameters", text);
  fact(r, "steps", co_report_text(r->run, "step"));
  fact(r, "optimizer", co_report_text(r->config, "trainer.optimizer.type"));
  fact(r, "learning rate", co_report_text(r->config, "trainer.learning_rate"));
  fact(r, "batch size", co_report_text(r->config, "trainer.batch_size"));
  fact(r, "seed", co_report_text(r->run, "seed"));
  fact(r, "device", co_report_text(r->run, "device"));
  fact(r, "threads", co_report_text(r->run, "threads"));
  fact(r, "machine", co_report_text(r->run, "machine"));
  fact(r, "version", co_report_text(r->run, "version"));
  fact(r, "dataset", r->dataset_name);
  fact(r, "dataset fingerprint", co_dataset_fingerprint(r->dataset));
  co_page_table_end(&r->page);
  co_page_card_end(&r->page);
  draw_time(r);
  draw_layers(r);
  co_page_grid_end(&r->page);
  co_page_section_end(&r->page);
}

// ---- the page ----------------------------------------------------------------------------------

static bool has_part(const co_text *body, const char *id) {
  char mark[64];
  snprintf(mark, sizeof mark, "<section id=\"%s\"", id);
  return body->data && strstr(body->data, mark);
}

static void add_header(co_report *r, const co_text *body) {
  const co_model *model = r->predictor->model;
  static const struct {
    const char *id, *name;
  } parts[] = {{"overview", "How good it is"},
               {"scores-0", "Scores"},
               {"images", "Images"},
               {"generated", "Generated"},
               {"importance", "What it relies on"},
               {"slices", "By group"},
               {"training", "How it learned"},
               {"data", "The data"},
               {"run", "The run"}};
  co_text_printf(&r->page, "<header>\n<h1>");
  co_page_text(&r->page, r->name);
  co_text_printf(&r->page, "</h1>\n<p class=\"lead\">");
  for (int64_t i = 0; i < model->output_count && i < 8; i++) {
    if (i) co_text_printf(&r->page, ", ");
    co_page_text(&r->page, model->outputs[i].name);
  }
  co_text_printf(&r->page, " from %lld %s of ", (long long)model->input_count,
                 model->input_count == 1 ? "column" : "columns");
  co_page_text(&r->page, r->dataset_name);
  co_text_printf(&r->page, "</p>\n</header>\n<nav aria-label=\"Parts\"><div>");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (has_part(body, parts[i].id))
      co_text_printf(&r->page, "<a href=\"#%s\">%s</a>", parts[i].id, parts[i].name);
  co_text_printf(&r->page, "</div></nav>\n<main>\n");
}

static co_status add_parts(co_report *r) {
  co_report_overview(r);
  for (int64_t i = 0; i < r->predictor->model->output_count; i++)
    CO_RETURN_IF_FAILED(co_report_scores(r, i));
  CO_RETURN_IF_FAILED(co_report_images(r));
  CO_RETURN_IF_FAILED(co_report_generated(r));
  CO_RETURN_IF_FAILED(co_report_importance(r));
  CO_RETURN_IF_FAILED(co_report_histories(r));
  CO_RETURN_IF_FAILED(co_report_slices(r));
  co_report_training(r);
  CO_RETURN_IF_FAILED(co_report_data(r));
  co_report_facts(r);
  return r->page.status;
}

// The parts first: the header links to those that there are.
co_status co_report_render(co_report *r) {
  CO_RETURN_IF_FAILED(add_parts(r));
  co_text body = r->page;
  const char *version = co_report_text(r->run, "version");
  co_text_init(&r->page, r->ctx);
  co_page_open(&r->page, r->name);
  add_header(r, &body);
  co_text_append(&r->page, body.data, body.length);
  co_text_free(&body);
  co_text_printf(&r->page, "</main>\n<footer>Made by Cohort ");
  co_page_text(&r->page, version ? version : "");
  co_text_printf(&r->page, ". This page asks for nothing else.</footer>\n");
  co_page_close(&r->page);
  return r->page.status;
}
