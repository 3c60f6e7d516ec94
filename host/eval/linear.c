// SPDX-License-Identifier: Apache-2.0
// Linear models: linear, logistic or multinomial regression, as the target is; and the linear
// support vector machine. Of each output are stored "coefficients" f64 (columns of the design
// matrix, width) and "intercepts" f64 (width); of the machine also "calibration" f64 (width, 2).
#include <math.h>
#include <string.h>

#include "host/eval/estimator.h"
#include "host/eval/solver.h"

typedef struct linear_options {
  double l2, tolerance;
  int64_t max_iterations;
} linear_options;

#define L2_DOC                                                                                     \
  "Penalty: the sum of losses over rows + l2/2 |coefficients|^2, intercepts free; scikit-learn's " \
  "1/C, Ridge's alpha."

static const co_field fields[] = {
    {"l2", CO_FIELD_DOUBLE, offsetof(linear_options, l2), "1.0", 0, 1e12, NULL, L2_DOC, NULL},
    {"tolerance", CO_FIELD_DOUBLE, offsetof(linear_options, tolerance), "1.0e-8", 1e-12, 1, NULL,
     "Norm of the gradient, over that at zero, at which fitting ends.", NULL},
    {"max_iterations", CO_FIELD_INT, offsetof(linear_options, max_iterations), "200", 1, 1e6, NULL,
     "Newton steps at most.", NULL},
    {.key = NULL}};

static const co_output_feature *output_of(const co_estimator *e, int64_t i) {
  return &e->model->outputs[i];
}

static co_linear_loss regression_loss(const co_output_feature *output) {
  switch (output->column->type) {
  case CO_COLUMN_BINARY:
    return CO_LINEAR_LOGISTIC;
  case CO_COLUMN_CATEGORY:
    return CO_LINEAR_SOFTMAX;
  default:
    return CO_LINEAR_SQUARED;
  }
}

// The solution's arrays, made part of the estimator.
static co_status add_solution(co_estimator *e, int64_t output, co_linear_solution *out) {
  int64_t width = output_of(e, output)->width;
  const co_shape matrix = co_shape_make(2, e->columns.count, width),
                 vector = co_shape_make(1, width);
  void *coefficients, *intercepts;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "coefficients", CO_F64, &matrix, &coefficients));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "intercepts", CO_F64, &vector, &intercepts));
  *out = (co_linear_solution){.coefficients = coefficients, .intercepts = intercepts};
  return CO_OK;
}

static co_status fit(co_estimator *e, int64_t output, co_linear_loss loss, const co_fit_data *data,
                     co_linear_solution *solution) {
  const linear_options *options = e->options;
  const co_linear_problem problem = {.rows = data->training,
                                     .target = data->training->target[output],
                                     .weight = data->training->weight[output],
                                     .loss = loss,
                                     .outputs = output_of(e, output)->width,
                                     .l2 = options->l2,
                                     .tolerance = options->tolerance,
                                     .max_iterations = options->max_iterations,
                                     .watch = data->watch};
  CO_RETURN_IF_FAILED(add_solution(e, output, solution));
  CO_RETURN_IF_FAILED(co_linear_solve(solution, e->ctx, &problem));
  e->iterations += solution->iterations;
  co_log(e->ctx, CO_LOG_INFO, "fit", "'%s' %s: %lld Newton steps, objective=%.9g gradient=%.2g",
         output_of(e, output)->name, e->class_->name, (long long)solution->iterations,
         solution->objective, solution->gradient);
  if (!solution->converged)
    co_log(e->ctx, CO_LOG_WARN, "fit",
           "'%s' %s: not converged, the gradient is still %.2g of what it was; a larger "
           "predictor.l2 makes it better conditioned",
           output_of(e, output)->name, e->class_->name, solution->gradient);
  return CO_OK;
}

static size_t row_bytes(const co_estimator *e) {
  size_t most = 0;
  for (int64_t i = 0; i < e->model->output_count; i++) {
    size_t bytes = co_linear_row_bytes(output_of(e, i)->width);
    if (bytes > most) most = bytes;
  }
  return most;
}

// z of rows; co_free it. NULL = no memory.
static co_status apply(const co_estimator *e, int64_t output, const co_design *rows, double **z) {
  int64_t width = output_of(e, output)->width;
  const co_shape matrix = co_shape_make(2, e->columns.count, width),
                 vector = co_shape_make(1, width);
  const co_fitted *coefficients, *intercepts;
  *z = NULL;
  CO_RETURN_IF_FAILED(
      co_estimator_array(e, output, "coefficients", CO_F64, &matrix, &coefficients));
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "intercepts", CO_F64, &vector, &intercepts));
  *z = co_alloc(e->ctx, ((size_t)(rows->rows * width) + 1) * sizeof **z);
  if (!*z) return CO_ERR_MEMORY;
  co_linear_apply(rows, width, coefficients->bytes, intercepts->bytes, *z);
  return CO_OK;
}

// ---- regression --------------------------------------------------------------------------------

static co_status fit_regression(co_estimator *e, int64_t output, const co_fit_data *data) {
  co_linear_solution solution;
  return fit(e, output, regression_loss(output_of(e, output)), data, &solution);
}

static co_status score_regression(const co_estimator *e, int64_t output, const co_design *rows,
                                  float *heads) {
  double *z;
  CO_RETURN_IF_FAILED(apply(e, output, rows, &z));
  for (int64_t i = 0; i < rows->rows * output_of(e, output)->width; i++)
    heads[i] = (float)z[i];
  co_free(e->ctx, z);
  return CO_OK;
}

// Of each column coefficient * (x - mean); the columns of a code together.
static void attribute_row(const co_design *rows, int64_t row, const double *coefficients,
                          int64_t width, const double *mean, double *shares) {
  const co_design_columns *columns = rows->columns;
  for (int64_t k = 0; k < columns->numbers; k++)
    shares[k] =
        coefficients[k * width] * ((double)rows->numbers[row * columns->numbers + k] - mean[k]);
  for (int64_t k = 0; k < columns->codes; k++) {
    double *share = &shares[columns->numbers + k];
    int64_t first = columns->code_first[k], code = rows->codes[row * columns->codes + k];
    *share = coefficients[(first + code) * width];
    for (int64_t i = 0; i < columns->code_rows[k]; i++)
      *share -= coefficients[(first + i) * width] * mean[first + i];
  }
}

// The first of the largest.
static int64_t likeliest(const double *z, int64_t width) {
  int64_t best = 0;
  for (int64_t i = 1; i < width; i++)
    if (z[i] > z[best]) best = i;
  return best;
}

// Of each row's class, chosen by `heads` (rows, width): shares of z, which is value.
static co_status attribute_forms(const co_estimator *e, const co_estimator_attribution *a,
                                 const double *z, const double *heads) {
  const int64_t width = output_of(e, a->output)->width;
  const int64_t inputs = e->columns.numbers + e->columns.codes;
  const co_shape shape = co_shape_make(2, e->columns.count, width);
  const co_fitted *coefficients;
  CO_RETURN_IF_FAILED(
      co_estimator_array(e, a->output, "coefficients", CO_F64, &shape, &coefficients));
  for (int64_t row = 0; row < a->rows->rows; row++) {
    int64_t c = a->class_ < 0 ? likeliest(heads + row * width, width) : a->class_;
    double *shares = a->shares + row * inputs;
    attribute_row(a->rows, row, (const double *)coefficients->bytes + c, width, a->mean, shares);
    a->chosen[row] = (int32_t)c;
    a->value[row] = a->reference[row] = z[row * width + c];
    for (int64_t i = 0; i < inputs; i++)
      a->reference[row] -= shares[i];
  }
  return CO_OK;
}

static co_status attribute_regression(const co_estimator *e, const co_estimator_attribution *a) {
  double *z;
  CO_RETURN_IF_FAILED(apply(e, a->output, a->rows, &z));
  co_status status = attribute_forms(e, a, z, z);
  co_free(e->ctx, z);
  return status;
}

extern const co_estimator_class co_estimator_linear;
const co_estimator_class co_estimator_linear = {
    .name = "linear",
    .doc = "Linear, logistic or multinomial regression, as the target is a number, binary or "
           "category.",
    .fields = fields,
    .options_size = sizeof(linear_options),
    .refuses = co_estimator_takes_scalars,
    .row_bytes = row_bytes,
    .fit = fit_regression,
    .score = score_regression,
    .attribution = "coefficient times distance from the mean",
    .attribute = attribute_regression};

// ---- support vector machine --------------------------------------------------------------------
// Squared hinge loss, as liblinear's and LinearSVC's default; of several classes one against the
// rest. Probabilities are a logistic function of each margin (Platt 1999), fitted on validation rows,
// or on training rows where there are none; of several classes, normalised.

static const char *svm_refuses(const co_output_feature *output) {
  const char *reason = co_estimator_takes_scalars(output);
  if (reason) return reason;
  return output->column->type == CO_COLUMN_NUMBER ? "the target must be binary or a category"
                                                  : NULL;
}

static bool is_positive(const co_design *rows, int64_t output, int64_t row, int64_t width,
                        int64_t k) {
  double target = (double)rows->target[output][row];
  return width == 1 ? target > 0 : (int64_t)target == k;
}

// The targets that Platt takes for known: a little within 0 and 1.
static void smooth_targets(const co_design *rows, int64_t output, int64_t width, int64_t k,
                           float *target) {
  double positive = 0, negative = 0;
  for (int64_t i = 0; i < rows->rows; i++) {
    if (!(rows->weight[output][i] > 0)) continue;
    positive += is_positive(rows, output, i, width, k);
    negative += !is_positive(rows, output, i, width, k);
  }
  for (int64_t i = 0; i < rows->rows; i++)
    target[i] = (float)(is_positive(rows, output, i, width, k) ? (positive + 1) / (positive + 2)
                                                               : 1 / (negative + 2));
}

static co_status calibrate_margin(co_estimator *e, const co_linear_problem *problem,
                                  const double *z, int64_t width, double *slope_and_shift) {
  co_linear_solution solution = {.coefficients = slope_and_shift,
                                 .intercepts = slope_and_shift + 1};
  for (int64_t i = 0; i < problem->rows->rows; i++)
    problem->rows->numbers[i] = (float)z[i * width];
  return co_linear_solve(&solution, e->ctx, problem);
}

static co_status calibrate(co_estimator *e, int64_t output, const co_design *rows,
                           const co_watch *watch) {
  int64_t width = output_of(e, output)->width;
  const co_shape shape = co_shape_make(2, width, (int64_t)2);
  const co_design_columns one = {.numbers = 1, .count = 1};
  co_design margins = {.columns = &one, .rows = rows->rows};
  double *z = NULL;
  void *calibration;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "calibration", CO_F64, &shape, &calibration));
  size_t room = ((size_t)rows->rows + 1) * sizeof(float);
  float *target = co_alloc(e->ctx, room);
  margins.numbers = co_alloc(e->ctx, room);
  const co_linear_problem problem = {.rows = &margins,
                                     .target = target,
                                     .weight = rows->weight[output],
                                     .loss = CO_LINEAR_LOGISTIC,
                                     .outputs = 1,
                                     .tolerance = 1e-8,
                                     .max_iterations = 100,
                                     .watch = watch};
  co_status status = target && margins.numbers ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = apply(e, output, rows, &z);
  for (int64_t k = 0; status == CO_OK && k < width; k++) {
    smooth_targets(rows, output, width, k, target);
    status = calibrate_margin(e, &problem, z + k, width, (double *)calibration + 2 * k);
  }
  co_free(e->ctx, z);
  co_free(e->ctx, target);
  co_free(e->ctx, margins.numbers);
  return status;
}

static bool has_rows(const co_design *rows, int64_t output) {
  for (int64_t i = 0; i < rows->rows; i++)
    if (rows->weight[output][i] > 0) return true;
  return false;
}

static co_status fit_svm(co_estimator *e, int64_t output, const co_fit_data *data) {
  co_linear_solution solution;
  CO_RETURN_IF_FAILED(fit(e, output, CO_LINEAR_SQUARED_HINGE, data, &solution));
  return calibrate(e, output,
                   has_rows(data->validation, output) ? data->validation : data->training,
                   data->watch);
}

// What makes a head of a margin: the class's slope and shift.
typedef struct platt {
  const double *line;
  bool alone; // there is one class
} platt;

// A co_head_function. Of classes, the softmax of the logarithms normalises the probabilities.
static double head_of(const void *user, double z) {
  const platt *p = user;
  double logit = p->line[0] * z + p->line[1];
  return p->alone ? logit : -(fmax(-logit, 0) + log1p(exp(-fabs(logit))));
}

// Margins and heads, (rows, width); to be freed.
typedef struct svm_heads {
  double *margins, *heads;
  const double *lines; // (width, 2)
} svm_heads;

static void free_heads(const co_estimator *e, svm_heads *h) {
  co_free(e->ctx, h->margins);
  co_free(e->ctx, h->heads);
}

static co_status make_heads(svm_heads *h, const co_estimator *e, int64_t output,
                            const co_design *rows) {
  int64_t width = output_of(e, output)->width;
  const co_shape shape = co_shape_make(2, width, (int64_t)2);
  const co_fitted *calibration;
  *h = (svm_heads){.margins = NULL};
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "calibration", CO_F64, &shape, &calibration));
  h->lines = calibration->bytes;
  CO_RETURN_IF_FAILED(apply(e, output, rows, &h->margins));
  h->heads = co_alloc(e->ctx, ((size_t)(rows->rows * width) + 1) * sizeof *h->heads);
  if (!h->heads) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows->rows * width; i++)
    h->heads[i] = head_of(&(platt){h->lines + 2 * (i % width), width == 1}, h->margins[i]);
  return CO_OK;
}

static co_status score_svm(const co_estimator *e, int64_t output, const co_design *rows,
                           float *heads) {
  svm_heads h;
  co_status status = make_heads(&h, e, output, rows);
  for (int64_t i = 0; status == CO_OK && i < rows->rows * output_of(e, output)->width; i++)
    heads[i] = (float)h.heads[i];
  free_heads(e, &h);
  return status;
}

static co_status attribute_svm(const co_estimator *e, const co_estimator_attribution *a) {
  svm_heads h;
  co_status status = make_heads(&h, e, a->output, a->rows);
  if (status == CO_OK) status = attribute_forms(e, a, h.margins, h.heads);
  for (int64_t row = 0; status == CO_OK && row < a->rows->rows; row++)
    co_estimator_rescale(
        a, row, head_of,
        &(platt){h.lines + (ptrdiff_t)2 * a->chosen[row], output_of(e, a->output)->width == 1});
  free_heads(e, &h);
  return status;
}

extern const co_estimator_class co_estimator_svm;
const co_estimator_class co_estimator_svm = {
    .name = "svm",
    .doc = "Linear support vector machine (squared hinge), with calibrated probabilities.",
    .fields = fields,
    .options_size = sizeof(linear_options),
    .refuses = svm_refuses,
    .row_bytes = row_bytes,
    .fit = fit_svm,
    .score = score_svm,
    .attribution = "coefficient times distance from the mean",
    .attribute = attribute_svm};
