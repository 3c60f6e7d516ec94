// SPDX-License-Identifier: Apache-2.0
// Gradients of some rows of a table, as a list, and the updates that they make.
#include "kernels/ref/real.h"

void CO_REF(append_rows)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t D = desc->in[CO_APPEND_ROWS_rows].shape.dim[1];
  const int64_t positions = co_shape_count(&desc->in[CO_APPEND_ROWS_index].shape);
  const int64_t room = desc->in[CO_APPEND_ROWS_ids].shape.dim[0];
  const int32_t *index = in[CO_APPEND_ROWS_index], *count = in[CO_APPEND_ROWS_count];
  const real *dy = in[CO_APPEND_ROWS_dy]; // (N, …, D)
  int32_t *ids = out[CO_APPEND_ROWS_new_ids], *new_count = out[CO_APPEND_ROWS_new_count];
  real *rows = out[CO_APPEND_ROWS_new_rows]; // (R, D)
  const int64_t begin = desc->attr.append != 0 ? *count : 0;
  for (int64_t i = 0; i < positions && begin + i < room; i++) {
    ids[begin + i] = index[i];
    for (int64_t d = 0; d < D; d++)
      rows[(begin + i) * D + d] = dy[i * D + d];
  }
  *new_count = (int32_t)(begin + positions < room ? begin + positions : room);
}

// The id that comes after `last` among the first `count`, and at how many entries it stands; 0: none.
static int64_t next_id(const int32_t *ids, int64_t count, int64_t last, int64_t *id) {
  int64_t entries = 0;
  for (int64_t i = 0; i < count; i++) {
    if (ids[i] <= last) continue;
    if (entries == 0 || ids[i] < *id) {
      *id = ids[i];
      entries = 0;
    }
    entries += ids[i] == *id;
  }
  return entries;
}

void CO_REF(sum_rows)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t R = desc->in[CO_SUM_ROWS_rows].shape.dim[0];
  const int64_t D = desc->in[CO_SUM_ROWS_rows].shape.dim[1];
  const int32_t *ids = in[CO_SUM_ROWS_ids], *count = in[CO_SUM_ROWS_count];
  const real *rows = in[CO_SUM_ROWS_rows]; // (R, D)
  int32_t *unique = out[CO_SUM_ROWS_unique];
  real *sums = out[CO_SUM_ROWS_sums]; // (R, D)
  for (int64_t i = 0; i < R; i++)
    unique[i] = -1;
  for (int64_t i = 0; i < R * D; i++)
    sums[i] = 0;
  int64_t id = -1;
  for (int64_t first = 0, n; (n = next_id(ids, *count, id, &id)) > 0; first += n) {
    unique[first] = (int32_t)id;
    for (int64_t d = 0; d < D; d++) {
      double sum = 0;
      for (int64_t i = 0; i < *count; i++)
        if (ids[i] == id) sum += (double)rows[i * D + d];
      sums[first * D + d] = (real)sum;
    }
  }
}

void CO_REF(sgd_rows)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_op_attr *attr = &desc->attr;
  const int64_t V = desc->in[CO_SGD_ROWS_w].shape.dim[0], D = desc->in[CO_SGD_ROWS_w].shape.dim[1];
  const int64_t R = desc->in[CO_SGD_ROWS_ids].shape.dim[0];
  const int32_t *ids = in[CO_SGD_ROWS_ids];
  const real *g = in[CO_SGD_ROWS_g]; // (R, D)
  const co_step *step = in[CO_SGD_ROWS_step];
  const double *gate = in[CO_SGD_ROWS_gate];
  real *w = out[CO_SGD_ROWS_new_w]; // the memory of w
  for (int64_t i = 0; i < R && gate[0] != 0; i++) {
    if (ids[i] < 0 || ids[i] >= V) continue;
    for (int64_t d = 0; d < D; d++) {
      real *weight = &w[ids[i] * D + d];
      const double direction = co_clipped(attr, gate[1], (double)g[i * D + d]);
      *weight = (real)((double)*weight - step->learning_rate * attr->rate *
                                             (direction + attr->weight_decay * (double)*weight));
    }
  }
}

// Row `i` of the list is that of w, m and v (D); t: how often the row has been updated, this time too.
static void adam_row(const co_op_attr *attr, double rate, double clip, const real *g, real *w,
                     real *m, real *v, int64_t D, int32_t t) {
  const double correction1 = 1 / (1 - pow(attr->beta1, t)),
               correction2 = 1 / (1 - pow(attr->beta2, t));
  for (int64_t d = 0; d < D; d++) {
    double weight = (double)w[d], gradient = co_clipped(attr, clip, (double)g[d]);
    if (!attr->decoupled) gradient += attr->weight_decay * weight;
    const double first = attr->beta1 * (double)m[d] + (1 - attr->beta1) * gradient;
    const double second = attr->beta2 * (double)v[d] + (1 - attr->beta2) * gradient * gradient;
    if (attr->decoupled) weight -= rate * attr->weight_decay * weight;
    w[d] = (real)(weight -
                  rate * (first * correction1) / (sqrt(second * correction2) + attr->epsilon));
    m[d] = (real)first;
    v[d] = (real)second;
  }
}

void CO_REF(adam_rows)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t V = desc->in[CO_ADAM_ROWS_w].shape.dim[0];
  const int64_t D = desc->in[CO_ADAM_ROWS_w].shape.dim[1];
  const int64_t R = desc->in[CO_ADAM_ROWS_ids].shape.dim[0];
  const int32_t *ids = in[CO_ADAM_ROWS_ids];
  const real *g = in[CO_ADAM_ROWS_g]; // (R, D)
  const co_step *step = in[CO_ADAM_ROWS_step];
  const double *gate = in[CO_ADAM_ROWS_gate];
  real *w = out[CO_ADAM_ROWS_new_w], *m = out[CO_ADAM_ROWS_new_m], *v = out[CO_ADAM_ROWS_new_v];
  int32_t *steps = out[CO_ADAM_ROWS_new_steps]; // (V), the memory of steps, as w, m and v are
  for (int64_t i = 0; i < R && gate[0] != 0; i++) {
    if (ids[i] < 0 || ids[i] >= V) continue;
    const int64_t at = ids[i] * D;
    adam_row(&desc->attr, step->learning_rate * desc->attr.rate, gate[1], g + i * D, w + at, m + at,
             v + at, D, ++steps[ids[i]]);
  }
}

#if CO_REF_ONCE
static co_status check_typed(const co_op_desc *desc, int operand, co_dtype dtype, int64_t extent) {
  const co_shape shape = co_shape_vector(extent);
  CO_RETURN_IF_FAILED(co_check_dtype(desc, operand, dtype));
  return co_check_shape(desc, operand, &shape);
}

co_status co_infer_append_rows(co_op_desc *desc) {
  const int rows = CO_APPEND_ROWS_rows, ids = CO_APPEND_ROWS_ids;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_APPEND_ROWS_index, 1, CO_MAX_RANK - 1));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_APPEND_ROWS_index, CO_I32));
  CO_RETURN_IF_FAILED(co_check_rank(desc, rows, 2, 2));
  co_shape dy = desc->in[CO_APPEND_ROWS_index].shape;
  dy.dim[dy.rank++] = desc->in[rows].shape.dim[1];
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_APPEND_ROWS_dy, &dy));
  CO_RETURN_IF_FAILED(check_typed(desc, ids, CO_I32, desc->in[rows].shape.dim[0]));
  CO_RETURN_IF_FAILED(check_typed(desc, CO_APPEND_ROWS_count, CO_I32, 1));
  co_set_out(desc, CO_APPEND_ROWS_new_ids, CO_I32, &desc->in[ids].shape);
  co_set_out(desc, CO_APPEND_ROWS_new_rows, desc->in[rows].dtype, &desc->in[rows].shape);
  co_set_out(desc, CO_APPEND_ROWS_new_count, CO_I32, &desc->in[CO_APPEND_ROWS_count].shape);
  return CO_OK;
}

co_status co_infer_sum_rows(co_op_desc *desc) {
  const co_tensor_desc *rows = &desc->in[CO_SUM_ROWS_rows];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_SUM_ROWS_rows, 2, 2));
  CO_RETURN_IF_FAILED(check_typed(desc, CO_SUM_ROWS_ids, CO_I32, rows->shape.dim[0]));
  CO_RETURN_IF_FAILED(check_typed(desc, CO_SUM_ROWS_count, CO_I32, 1));
  co_set_out(desc, CO_SUM_ROWS_unique, CO_I32, &desc->in[CO_SUM_ROWS_ids].shape);
  co_set_out(desc, CO_SUM_ROWS_sums, rows->dtype, &rows->shape);
  return CO_OK;
}

// Of an update: table, list of gradients, scalars.
static co_status check_update(const co_op_desc *desc, int ids, int g, int step, int gate) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  CO_RETURN_IF_FAILED(co_check_rank(desc, g, 2, 2));
  const co_shape rows = co_shape_make(2, desc->in[g].shape.dim[0], desc->in[0].shape.dim[1]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, g, &rows));
  CO_RETURN_IF_FAILED(check_typed(desc, ids, CO_I32, desc->in[g].shape.dim[0]));
  CO_RETURN_IF_FAILED(co_check_step(desc, step));
  return check_typed(desc, gate, CO_F64, 2);
}

co_status co_infer_sgd_rows(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(
      check_update(desc, CO_SGD_ROWS_ids, CO_SGD_ROWS_g, CO_SGD_ROWS_step, CO_SGD_ROWS_gate));
  co_set_out(desc, CO_SGD_ROWS_new_w, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}

co_status co_infer_adam_rows(co_op_desc *desc) {
  const co_shape *table = &desc->in[CO_ADAM_ROWS_w].shape;
  CO_RETURN_IF_FAILED(
      check_update(desc, CO_ADAM_ROWS_ids, CO_ADAM_ROWS_g, CO_ADAM_ROWS_step, CO_ADAM_ROWS_gate));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_ADAM_ROWS_m, table));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_ADAM_ROWS_v, table));
  CO_RETURN_IF_FAILED(check_typed(desc, CO_ADAM_ROWS_steps, CO_I32, table->dim[0]));
  for (int i = CO_ADAM_ROWS_new_w; i <= CO_ADAM_ROWS_new_v; i++)
    co_set_out(desc, i, desc->in[0].dtype, table);
  co_set_out(desc, CO_ADAM_ROWS_new_steps, CO_I32, &desc->in[CO_ADAM_ROWS_steps].shape);
  return CO_OK;
}
#endif
