// SPDX-License-Identifier: Apache-2.0
// The same prediction for every row: the training rows' mean, or how frequent each class is. Of each
// output is stored "heads" f64 (width): a mean, or logarithms of odds or of shares.
#include <math.h>

#include "host/eval/estimator.h"

static const co_field fields[] = {{.key = NULL}};

static size_t row_bytes(const co_estimator *e) {
  (void)e;
  return 0;
}

// A class that no training row has counts as half a row.
static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  const co_output_feature *feature = &e->model->outputs[output];
  const float *target = data->training->target[output], *weight = data->training->weight[output];
  const co_shape shape = co_shape_make(1, feature->width);
  void *bytes;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "heads", CO_F64, &shape, &bytes));
  double *heads = bytes, total = 0;
  for (int64_t i = 0; i < data->training->rows; i++) {
    if (!(weight[i] > 0)) continue;
    total += (double)weight[i];
    if (feature->column->type == CO_COLUMN_CATEGORY)
      heads[(int64_t)target[i]] += (double)weight[i];
    else
      heads[0] += (double)weight[i] * (double)target[i];
  }
  for (int64_t k = 0; k < feature->width; k++) {
    if (feature->column->type == CO_COLUMN_NUMBER)
      heads[k] = total > 0 ? heads[k] / total : 0;
    else if (feature->column->type == CO_COLUMN_BINARY)
      heads[k] = log(fmax(heads[k], .5)) - log(fmax(total - heads[k], .5));
    else
      heads[k] = log(fmax(heads[k], .5));
  }
  return CO_OK;
}

static co_status score(const co_estimator *e, int64_t output, const co_design *rows, float *heads) {
  int64_t width = e->model->outputs[output].width;
  const co_shape shape = co_shape_make(1, width);
  const co_fitted *array;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "heads", CO_F64, &shape, &array));
  for (int64_t i = 0; i < rows->rows * width; i++)
    heads[i] = (float)((const double *)array->bytes)[i % width];
  return CO_OK;
}

extern const co_estimator_class co_estimator_prior;
const co_estimator_class co_estimator_prior = {
    .name = "prior",
    .doc = "The training rows' mean, or shares of classes, for every row.",
    .baseline = true,
    .fields = fields,
    .options_size = 1,
    .refuses = co_estimator_takes_scalars,
    .row_bytes = row_bytes,
    .fit = fit,
    .score = score};
