// SPDX-License-Identifier: Apache-2.0
#include "host/api/select.h"

#include <string.h>

#include "datasets/relevance.h"
#include "host/feed/fit_features.h"

enum { MOST_CLASSES = 100, MOST_ITERATIONS = 100 };
static const double tolerance = 1e-7;

typedef struct judging {
  co_context *ctx;
  co_arena *arena;
  co_dataset *dataset;
  co_model *model; // with the inputs as linear models have them
  co_l1_judgement *out;
  const co_watch *watch;
  co_design_columns columns;
  co_design training, validation;
  float *class_[2]; // targets of one class against the rest, of both
  double *strength; // of each column
} judging;

static bool is_judged(const co_output_feature *output) {
  co_column_type type = output->column ? output->column->type : CO_COLUMN_TEXT;
  return type == CO_COLUMN_BINARY || type == CO_COLUMN_NUMBER || type == CO_COLUMN_CATEGORY;
}

static co_status read_rows(judging *j, co_design *out, const int64_t *samples, int64_t count,
                           bool learned) {
  const co_design_request request = {.samples = samples,
                                     .count = count,
                                     .learned = learned,
                                     .workers = co_context_threads(j->ctx),
                                     .extra_bytes = co_l1_row_bytes(&j->columns),
                                     .watch = j->watch};
  return co_design_read(out, &j->columns, j->model, j->dataset, &request);
}

static co_status read_validation(judging *j) {
  const int64_t *rows;
  int64_t all = 0;
  CO_RETURN_IF_FAILED(co_dataset_split(j->dataset, CO_SPLIT_VALIDATION, &rows, &all));
  int64_t count = all < CO_RELEVANCE_ROWS ? all : CO_RELEVANCE_ROWS;
  int64_t *some = co_alloc(j->ctx, ((size_t)count + 1) * sizeof *some);
  if (!some) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    some[i] = rows[co_stretch_draw(i, count, all)];
  co_status status = read_rows(j, &j->validation, some, count, false);
  co_free(j->ctx, some);
  j->out->validation_rows = count;
  return status;
}

static bool has_rows(const co_design *rows, int64_t output) {
  for (int64_t i = 0; i < rows->rows; i++)
    if (rows->weight[output][i] > 0) return true;
  return false;
}

// What a column tells is told of its input.
static void take_strength(judging *j) {
  for (int64_t k = 0; k < j->columns.count; k++) {
    const co_input_feature *feature = co_design_feature(&j->columns, j->model, k);
    if (!feature) continue;
    double *strength = &j->out->strength[feature - j->model->inputs];
    if (j->strength[k] > *strength) *strength = j->strength[k];
  }
}

static co_status judge(judging *j, int64_t output, const float *training, const float *validation,
                       const char *of) {
  const co_column *column = j->model->outputs[output].column;
  const co_l1_problem problem = {.rows = &j->training,
                                 .target = training,
                                 .weight = j->training.weight[output],
                                 .loss = column->type == CO_COLUMN_NUMBER ? CO_LINEAR_SQUARED
                                                                          : CO_LINEAR_LOGISTIC,
                                 .tolerance = tolerance,
                                 .max_iterations = MOST_ITERATIONS,
                                 .watch = j->watch};
  co_l1_choice *choice = &j->out->choices[j->out->count];
  if (!of) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_l1_choose(choice, j->strength, j->ctx, &problem, &j->validation,
                                   validation, j->validation.weight[output]));
  co_log(
      j->ctx, CO_LOG_INFO, "select",
      "'%s': penalty %.6g of %.6g keeps %lld of %lld columns, validation loss %.6g (least %.6g)%s",
      of, choice->penalty, choice->most, (long long)choice->kept, (long long)j->columns.count,
      choice->loss, choice->least, choice->converged ? "" : "; not converged");
  j->out->of[j->out->count++] = of;
  take_strength(j);
  return CO_OK;
}

static void mark_class(const co_design *rows, int64_t output, int64_t class_, float *out) {
  for (int64_t i = 0; i < rows->rows; i++)
    out[i] = (int64_t)rows->target[output][i] == class_;
}

static co_status judge_output(judging *j, int64_t output) {
  const co_output_feature *feature = &j->model->outputs[output];
  if (!has_rows(&j->training, output) || !has_rows(&j->validation, output))
    return co_fail_at(CO_ERR_DATA, co_dataset_path(j->dataset), 0, 0,
                      "there are no %s rows with a '%.200s'",
                      has_rows(&j->training, output) ? "validation" : "training", feature->name);
  if (feature->column->type != CO_COLUMN_CATEGORY)
    return judge(j, output, j->training.target[output], j->validation.target[output],
                 co_arena_strdup(j->arena, feature->name)); // it outlives the model
  for (int64_t k = 0; k < feature->column->category_count; k++) {
    mark_class(&j->training, output, k, j->class_[0]);
    mark_class(&j->validation, output, k, j->class_[1]);
    co_watch_progress(j->watch, "select", "classes", k, feature->column->category_count, NULL);
    CO_RETURN_IF_FAILED(
        judge(j, output, j->class_[0], j->class_[1],
              co_arena_format(j->arena, "%s=%s", feature->name, feature->column->categories[k])));
  }
  return CO_OK;
}

// Room for what will be told; which outputs can be judged.
static co_status begin(judging *j) {
  int64_t most = 0;
  for (int64_t i = 0; i < j->model->output_count; i++) {
    const co_output_feature *output = &j->model->outputs[i];
    bool classes = is_judged(output) && output->column->type == CO_COLUMN_CATEGORY;
    if (classes && output->column->category_count > MOST_CLASSES)
      return co_fail(CO_ERR_CONFIG, "--method l1: '%.200s' has %lld classes; it takes %d",
                     output->name, (long long)output->column->category_count, (int)MOST_CLASSES);
    most += classes ? output->column->category_count : 1;
  }
  j->out->of = co_arena_alloc(j->arena, (size_t)most + 1, sizeof *j->out->of);
  j->out->choices = co_arena_alloc(j->arena, (size_t)most + 1, sizeof *j->out->choices);
  j->out->strength =
      co_arena_alloc(j->arena, (size_t)j->model->input_count + 1, sizeof *j->out->strength);
  j->strength = co_arena_alloc(j->arena, (size_t)j->columns.count + 1, sizeof *j->strength);
  if (!j->out->of || !j->out->choices || !j->out->strength || !j->strength) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < j->model->input_count; i++)
    j->out->strength[i] = -1;
  for (int64_t k = 0; k < j->columns.count; k++) {
    const co_input_feature *feature = co_design_feature(&j->columns, j->model, k);
    if (feature) j->out->strength[feature - j->model->inputs] = 0;
  }
  return CO_OK;
}

static co_status run(judging *j, const int64_t *samples, int64_t count) {
  int64_t judged = 0;
  CO_RETURN_IF_FAILED(co_fit_features(j->model, j->dataset, co_context_threads(j->ctx)));
  CO_RETURN_IF_FAILED(co_design_describe(&j->columns, j->arena, j->model, true));
  CO_RETURN_IF_FAILED(begin(j));
  CO_RETURN_IF_FAILED(read_rows(j, &j->training, samples, count, true));
  CO_RETURN_IF_FAILED(read_validation(j));
  j->class_[0] = co_alloc(j->ctx, ((size_t)j->training.rows + 1) * sizeof(float));
  j->class_[1] = co_alloc(j->ctx, ((size_t)j->validation.rows + 1) * sizeof(float));
  if (!j->class_[0] || !j->class_[1]) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < j->model->output_count; i++) {
    if (!is_judged(&j->model->outputs[i])) continue;
    CO_RETURN_IF_FAILED(judge_output(j, i));
    judged++;
  }
  if (judged) return CO_OK;
  return co_fail(CO_ERR_CONFIG,
                 "--method l1 takes targets that are numbers, binaries or categories");
}

co_status co_l1_judge(co_l1_judgement *out, co_context *ctx, co_arena *arena, co_dataset *dataset,
                      const co_model *network, const int64_t *samples, int64_t count,
                      const co_watch *watch) {
  co_diagnostics problems;
  judging j = {.ctx = ctx, .arena = arena, .dataset = dataset, .out = out, .watch = watch};
  *out = (co_l1_judgement){.count = 0};
  co_diagnostics_init(&problems, ctx);
  co_status status =
      co_model_create_beside(&j.model, ctx, network->config, &network->schema, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK) status = run(&j, samples, count);
  co_design_free(&j.training, ctx);
  co_design_free(&j.validation, ctx);
  co_free(ctx, j.class_[0]);
  co_free(ctx, j.class_[1]);
  co_model_free(j.model);
  return status;
}
