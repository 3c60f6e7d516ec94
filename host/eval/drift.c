// SPDX-License-Identifier: Apache-2.0
#include "host/eval/drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/view.h"
#include "host/eval/score_columns.h"

enum { AT_ONCE = 64, FEW_ROWS = 4096, QUANTILES = 50, MOST_CODES = 20, MOST_SAMPLED = 1 << 18 };
static const double wide = 0.1;   // of training rows: a bin of PSI has at least so many
static const double least = 1e-4; // share in PSI

// ---- bins --------------------------------------------------------------------------------------

// The first edge that is not below each value, without a branch that depends on it, and for several
// values at once, so that none waits for another.
static void find_edges(const co_profile_part *p, const double *values, int64_t count,
                       int64_t *out) {
  memset(out, 0, (size_t)count * sizeof *out);
  for (int64_t left = p->edge_count; left > 0;) {
    int64_t half = (left + 1) / 2;
    for (int64_t i = 0; i < count; i++)
      out[i] += p->edges[out[i] + half - 1] < values[i] ? half : 0;
    left -= half;
  }
}

int64_t co_profile_bin(const co_profile_part *p, double value) {
  if (isnan(value)) return p->bins - 1;
  if (p->codes) {
    int64_t code = (int64_t)value, i = 0;
    while (i < p->code_count && p->codes[i] != code)
      i++;
    return i; // behind the last: others
  }
  int64_t bin;
  find_edges(p, &value, 1, &bin);
  return bin;
}

static void count_some(const co_profile_part *p, const co_view *view, const int64_t *samples,
                       int64_t count, int64_t *seen) {
  double values[AT_ONCE];
  int64_t bins[AT_ONCE];
  for (int64_t i = 0; i < count; i++)
    values[i] = co_view_at(view, samples[i]);
  if (!p->codes) find_edges(p, values, count, bins);
  for (int64_t i = 0; i < count; i++)
    seen[p->codes || isnan(values[i]) ? co_profile_bin(p, values[i]) : bins[i]]++;
}

co_status co_profile_count(const co_profile_part *p, co_dataset *dataset, const int64_t *samples,
                           int64_t count, int threads, int64_t *seen) {
  co_view view;
  (void)threads; // a build without OpenMP has one
  CO_RETURN_IF_FAILED(co_view_open(&view, dataset, p->column));
#pragma omp parallel num_threads(count < FEW_ROWS ? 1 : threads)
  {
    int64_t own[CO_PROFILE_MOST_BINS] = {0};
#pragma omp for
    for (int64_t from = 0; from < count; from += AT_ONCE)
      count_some(p, &view, samples + from, count - from < AT_ONCE ? count - from : AT_ONCE, own);
    for (int64_t bin = 0; bin < p->bins; bin++)
#pragma omp atomic
      seen[bin] += own[bin];
  }
  return CO_OK;
}

static bool has_profile(const co_column *column, const co_schema *schema) {
  const co_table *table = column->table ? co_schema_table(schema, column->table) : NULL;
  bool type = column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_BINARY ||
              column->type == CO_COLUMN_CATEGORY;
  return column->role == CO_ROLE_INPUT && type && (!table || table->kind != CO_TABLE_EVENTS);
}

// ---- making ------------------------------------------------------------------------------------

typedef struct making {
  co_arena *arena;
  co_context *ctx;
  co_model_arrays *arrays;
} making;

static co_status keep(const making *m, const char *feature, const char *name, co_dtype dtype,
                      int64_t count, const void *values) {
  co_fitted array = {
      .feature = feature, .name = name, .dtype = dtype, .shape = co_shape_make(1, count)};
  array.bytes = co_arena_alloc(m->arena, (size_t)count + 1, sizeof(double));
  if (!array.bytes) return CO_ERR_MEMORY;
  memcpy(array.bytes, values, (size_t)count * sizeof(double));
  return co_model_arrays_add(m->arrays, m->ctx, &array);
}

// Quantiles of values that are sorted, each once.
static int64_t choose_edges(double edges[QUANTILES], const double *sorted, int64_t count) {
  int64_t kept = 0;
  for (int i = 1; i < QUANTILES; i++) {
    double edge = sorted[(count - 1) * i / QUANTILES];
    if (count && (!kept || edge > edges[kept - 1])) edges[kept++] = edge;
  }
  return kept;
}

// At most so many of the values, evenly chosen, less those that are missing.
static co_status sample_values(const making *m, const double *values, int64_t count,
                               double **sorted, int64_t *kept) {
  int64_t most = count < MOST_SAMPLED ? count : MOST_SAMPLED;
  double *room = co_alloc(m->ctx, 2 * ((size_t)most + 1) * sizeof *room);
  if (!(*sorted = room)) return CO_ERR_MEMORY;
  *kept = 0;
  for (int64_t i = 0; i < most; i++) {
    double value = values[i * count / most];
    if (!isnan(value)) room[(*kept)++] = value;
  }
  co_sort_doubles(room, room + most, *kept);
  return CO_OK;
}

static co_status keep_counts(const making *m, const co_profile_part *part, const double *values,
                             int64_t count) {
  int64_t seen[CO_PROFILE_MOST_BINS] = {0};
  for (int64_t i = 0; i < count; i++)
    seen[co_profile_bin(part, values[i])]++;
  return keep(m, part->name, "counts", CO_I64, part->bins, seen);
}

static co_status keep_numbers(const making *m, const char *name, const double *values,
                              int64_t count) {
  double *sorted, edges[QUANTILES];
  int64_t kept;
  co_status status = sample_values(m, values, count, &sorted, &kept);
  int64_t edge_count = status == CO_OK ? choose_edges(edges, sorted, kept) : 0;
  co_free(m->ctx, sorted);
  CO_RETURN_IF_FAILED(status);
  if (!edge_count) return CO_OK; // there is nothing to compare with
  CO_RETURN_IF_FAILED(keep(m, name, "edges", CO_F64, edge_count, edges));
  const co_profile_part part = {
      .name = name, .edges = edges, .edge_count = edge_count, .bins = edge_count + 2};
  return keep_counts(m, &part, values, count);
}

typedef struct frequent {
  int64_t count, code;
} frequent;

static int by_falling_count(const void *a, const void *b) {
  const frequent *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  return (x->code > y->code) - (x->code < y->code);
}

static co_status keep_codes(const making *m, const co_column *column, const double *values,
                            int64_t count) {
  int64_t codes[MOST_CODES], classes = column->category_count, kept = 0;
  frequent *all = co_alloc_zero(m->ctx, (size_t)classes + 1, sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < classes; i++)
    all[i].code = i;
  for (int64_t i = 0; i < count; i++)
    if (!isnan(values[i])) all[(int64_t)values[i]].count++;
  qsort(all, (size_t)classes, sizeof *all, by_falling_count);
  for (; kept < MOST_CODES && kept < classes && all[kept].count; kept++)
    codes[kept] = all[kept].code;
  co_free(m->ctx, all);
  if (!kept) return CO_OK;
  CO_RETURN_IF_FAILED(keep(m, column->name, "codes", CO_I64, kept, codes));
  const co_profile_part part = {
      .name = column->name, .codes = codes, .code_count = kept, .bins = kept + 2};
  return keep_counts(m, &part, values, count);
}

static co_status keep_column(const making *m, co_dataset *dataset, const co_column *column,
                             const int64_t *samples, int64_t count, double *values) {
  co_view view;
  CO_RETURN_IF_FAILED(co_view_open(&view, dataset, column));
  for (int64_t i = 0; i < count; i++)
    values[i] = co_view_at(&view, samples[i]);
  return column->type == CO_COLUMN_CATEGORY ? keep_codes(m, column, values, count)
                                            : keep_numbers(m, column->name, values, count);
}

static co_status keep_columns(const making *m, co_dataset *dataset, const co_model *model,
                              const int64_t *samples, int64_t count) {
  const co_schema *schema = co_dataset_schema(dataset);
  double *values = co_alloc(m->ctx, ((size_t)count + 1) * sizeof *values);
  co_status status = values ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < model->schema.column_count; i++) {
    const co_column *column = co_schema_find(schema, model->schema.columns[i].name);
    if (column && has_profile(column, schema))
      status = keep_column(m, dataset, column, samples, count, values);
  }
  co_free(m->ctx, values);
  return status;
}

// A co_score_sink.
typedef struct receiver {
  const co_model *model;
  double **values; // per output; NULL = it has no one score
  int64_t rows;
} receiver;

static co_status receive(void *user, const int64_t *samples, int64_t rows,
                         const float *const *scores) {
  receiver *r = user;
  (void)samples;
  for (int64_t i = 0; i < r->model->output_count; i++) {
    const co_output_feature *output = &r->model->outputs[i];
    for (int64_t row = 0; r->values[i] && row < rows; row++)
      r->values[i][r->rows + row] = co_score_of(output, scores[i] + row * output->width);
  }
  r->rows += rows;
  return CO_OK;
}

static co_status keep_scores(const making *m, co_predictor *predictor, co_dataset *dataset,
                             const int64_t *samples, int64_t count, double **values) {
  static const co_watch nobody = {.stop = NULL};
  const co_model *model = predictor->model;
  receiver r = {.model = model, .values = values};
  const co_scoring_options options = {
      .watch = &nobody, .workers = 1, .stage = "profile", .sink = receive, .user = &r};
  bool any = false;
  for (int64_t i = 0; i < model->output_count; i++) {
    if (!co_score_is_one(&model->outputs[i])) continue;
    values[i] = co_alloc(m->ctx, ((size_t)count + 1) * sizeof **values);
    if (!values[i]) return CO_ERR_MEMORY;
    any = true;
  }
  if (!any || !count) return CO_OK;
  CO_RETURN_IF_FAILED(predictor->class_->run(predictor, dataset, samples, count, &options));
  for (int64_t i = 0; i < model->output_count; i++)
    if (values[i]) CO_RETURN_IF_FAILED(keep_numbers(m, model->outputs[i].name, values[i], count));
  return CO_OK;
}

co_status co_profile_make(co_model_profile *out, co_arena *arena, co_predictor *predictor,
                          co_dataset *dataset, const int64_t *samples, int64_t count,
                          const int64_t *scored, int64_t scored_count) {
  const co_model *model = predictor->model;
  making m = {.arena = arena, .ctx = predictor->ctx, .arrays = &out->inputs};
  CO_RETURN_IF_FAILED(keep_columns(&m, dataset, model, samples, count));
  m.arrays = &out->outputs;
  double **values = co_alloc_zero(m.ctx, (size_t)model->output_count + 1, sizeof *values);
  if (!values) return CO_ERR_MEMORY;
  co_status status = keep_scores(&m, predictor, dataset, scored, scored_count, values);
  for (int64_t i = 0; i < model->output_count; i++)
    co_free(m.ctx, values[i]);
  co_free(m.ctx, values);
  return status;
}

void co_model_profile_free(co_model_profile *profile, co_context *ctx) {
  co_free(ctx, profile->inputs.items);
  co_free(ctx, profile->outputs.items);
}

// ---- reading -----------------------------------------------------------------------------------

static co_status damaged(const char *path, const char *name) {
  return co_fail_at(CO_ERR_MODEL, path, 0, 0, "the profile of '%.200s' is damaged", name);
}

static bool is_list(const co_fitted *array, co_dtype dtype, int64_t most) {
  return array->dtype == dtype && array->shape.rank == 1 && array->shape.dim[0] >= 1 &&
         array->shape.dim[0] <= most;
}

// The bins of a name, where there are some: *there.
static co_status take_part(co_profile_part *out, const co_model_arrays *arrays, const char *path,
                           const char *name, bool *there) {
  const co_fitted *edges = co_model_arrays_find(arrays, name, "edges");
  const co_fitted *codes = co_model_arrays_find(arrays, name, "codes");
  const co_fitted *counts = co_model_arrays_find(arrays, name, "counts");
  *there = edges || codes || counts;
  if (!*there) return CO_OK;
  if (!counts || !edges == !codes || !is_list(counts, CO_I64, CO_PROFILE_MOST_BINS) ||
      !is_list(edges ? edges : codes, edges ? CO_F64 : CO_I64, QUANTILES) ||
      counts->shape.dim[0] != (edges ? edges : codes)->shape.dim[0] + 2)
    return damaged(path, name);
  *out = (co_profile_part){.name = name, .bins = counts->shape.dim[0], .trained = counts->bytes};
  if (edges) {
    out->edges = edges->bytes;
    out->edge_count = edges->shape.dim[0];
  } else {
    out->codes = codes->bytes;
    out->code_count = codes->shape.dim[0];
  }
  return CO_OK;
}

co_status co_profile_read(co_profile *out, co_arena *arena, const char *path,
                          const co_model *model) {
  co_model_profile stored = {.inputs = {0}};
  const co_schema *schema = &model->schema;
  bool there;
  *out = (co_profile){
      .inputs = co_arena_alloc(arena, (size_t)schema->column_count + 1, sizeof *out->inputs),
      .outputs = co_arena_alloc(arena, (size_t)model->output_count + 1, sizeof *out->outputs)};
  if (!out->inputs || !out->outputs) return CO_ERR_MEMORY;
  co_status status = co_model_file_read_profile(&stored, arena, path);
  for (int64_t i = 0; status == CO_OK && i < schema->column_count; i++) {
    co_profile_part *part = &out->inputs[out->input_count];
    status = take_part(part, &stored.inputs, path, schema->columns[i].name, &there);
    part->column = &schema->columns[i];
    out->input_count += status == CO_OK && there;
  }
  for (int64_t i = 0; status == CO_OK && i < model->output_count; i++) {
    co_profile_part *part = &out->outputs[out->output_count];
    status = take_part(part, &stored.outputs, path, model->outputs[i].name, &there);
    part->output = &model->outputs[i];
    out->output_count += status == CO_OK && there;
  }
  co_model_profile_free(&stored, co_arena_context(arena));
  return status;
}

// ---- measures ----------------------------------------------------------------------------------

static int64_t sum(const int64_t *counts, int64_t count) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; i++)
    total += counts[i];
  return total;
}

static double term(double now, double then) {
  if (now < least) now = least;
  if (then < least) then = least;
  return (now - then) * log(now / then);
}

// Neighbours of numbers are joined until they have a tenth of the training rows.
static double psi(const co_profile_part *p, const int64_t *seen, double now, double then) {
  double total = 0, joined_now = 0, joined_then = 0;
  for (int64_t i = 0; i < p->bins; i++) {
    joined_now += (double)seen[i] / now;
    joined_then += (double)p->trained[i] / then;
    bool last = i >= p->bins - 2 || p->codes;
    if (!last && joined_then < wide) continue;
    total += term(joined_now, joined_then);
    joined_now = joined_then = 0;
  }
  return total;
}

static double ks(const co_profile_part *p, const int64_t *seen) {
  int64_t present = p->bins - 1;
  double now = (double)sum(seen, present), then = (double)sum(p->trained, present), most = 0;
  double below_now = 0, below_then = 0;
  if (p->codes || !(now > 0) || !(then > 0)) return NAN;
  for (int64_t i = 0; i < present; i++) {
    below_now += (double)seen[i] / now;
    below_then += (double)p->trained[i] / then;
    most = fmax(most, fabs(below_now - below_then));
  }
  return most;
}

co_drift co_drift_of(const co_profile_part *p, const int64_t *seen) {
  double now = (double)sum(seen, p->bins), then = (double)sum(p->trained, p->bins);
  if (!(now > 0) || !(then > 0)) return (co_drift){NAN, NAN, NAN, NAN};
  return (co_drift){.psi = psi(p, seen, now, then),
                    .ks = ks(p, seen),
                    .missing = (double)seen[p->bins - 1] / now,
                    .trained_missing = (double)p->trained[p->bins - 1] / then};
}
