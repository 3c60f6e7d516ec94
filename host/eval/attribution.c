// SPDX-License-Identifier: Apache-2.0
#include "host/eval/attribution.h"

#include <string.h>

#include "host/eval/integrated_gradients.h"
#include "host/feed/pipeline.h"

enum { ROWS = 256, REFERENCE_ROWS = 4096, MOST_BYTES = 1 << 20 };

// Of what is no network: of which feature's name its one array is.
static const char design_name[] = "inputs";

struct co_attribution {
  co_context *ctx;
  co_arena *arena;
  co_network_parts network;
  co_attribution_options options;
  co_encoded_part *parts;
  int64_t part_count;
  // Of a network.
  co_encoding *encoding;
  co_integrated_gradients *gradients;
  float *encoded; // (ROWS, width)
  // Of what is none: a batch as a matrix, its columns' means among training rows.
  co_design_columns columns;
  co_design design;
  const double *mean;
  int32_t *part_of; // per number of a row, or number and code of the matrix
  int64_t width;    // numbers that have a share of their own
  double *fine;     // (ROWS, width): their shares
  double *shares;   // (ROWS, parts)
  co_head_values head;
};

const co_encoded_part *co_attribution_parts(const co_attribution *a, int64_t *count) {
  *count = a->part_count;
  return a->parts;
}

const char *co_attribution_method(const co_attribution *a) {
  return a->network.estimator ? a->network.estimator->class_->attribution : "integrated gradients";
}

bool co_attribution_takes(const co_output_feature *output) {
  if (!output->column || output->head == CO_NO_VALUE) return false;
  return output->column->type == CO_COLUMN_BINARY || output->column->type == CO_COLUMN_CATEGORY ||
         (output->column->type == CO_COLUMN_NUMBER && output->width == 1);
}

co_status co_attribution_refuse(const co_model *model, const co_output_feature *output,
                                const char *what) {
  const co_output_feature *other = NULL;
  for (int64_t i = model->output_count; i-- > 0;)
    if (co_attribution_takes(&model->outputs[i])) other = &model->outputs[i];
  co_status status =
      co_fail(CO_ERR_USAGE, "'%.200s' has no single value that %s", output->name, what);
  if (other)
    co_hint("--target %.200s has one", other->name);
  else if (output->text)
    co_hint("of texts, `cohort evaluate --by COLUMN` tells in which rows they are written well");
  else if (output->parts)
    co_hint("`cohort predict` writes how far off each input of a row is, beside the score");
  return status;
}

// ---- rows --------------------------------------------------------------------------------------

typedef co_status take_view(void *user, const co_view *view);

// Goes through rows as they come to the network's inputs.
static co_status read_rows(co_model *model, co_dataset *dataset, const co_attribution_run *run,
                           take_view *take, void *user) {
  const co_pipeline_options options = {.samples = run->samples,
                                       .sample_count = run->count,
                                       .batch_rows = ROWS,
                                       .epochs = 1,
                                       .workers = run->workers > 0 ? run->workers : 1};
  co_pipeline *pipeline;
  co_view view;
  bool done = false;
  int64_t rows = 0;
  if (!run->count) return CO_OK;
  CO_RETURN_IF_FAILED(co_pipeline_create(&pipeline, model, dataset, &options));
  co_status status = CO_OK;
  while (status == CO_OK && !done) {
    status = co_pipeline_next(pipeline, &view, &done);
    if (status != CO_OK || done) break;
    status = take(user, &view);
    rows += view.valid;
    co_pipeline_release(pipeline, &view);
    if (run->stage && run->watch)
      co_watch_progress(run->watch, run->stage, "rows", rows, run->count, NULL);
    if (status == CO_OK && run->watch && co_watch_stopped(run->watch))
      status = co_fail(CO_INTERRUPTED, "stopped before all rows were explained");
  }
  if (run->stage && run->watch)
    co_watch_progress(run->watch, run->stage, "rows", -1, run->count, NULL);
  co_pipeline_free(pipeline);
  return status;
}

// ---- the reference -----------------------------------------------------------------------------

// What rows become, summed up.
typedef struct summing {
  co_attribution *a;
  double *sums;
} summing;

static void write_design(co_attribution *a, const co_view *view) {
  co_design_write(&a->columns, a->network.model, view->inputs, view->valid, a->design.numbers,
                  a->design.codes);
  a->design.rows = view->valid;
}

// A take_view.
static co_status add_design(void *user, const co_view *view) {
  summing *s = user;
  const co_design_columns *columns = &s->a->columns;
  write_design(s->a, view);
  for (int64_t row = 0; row < view->valid; row++) {
    for (int64_t k = 0; k < columns->numbers; k++)
      s->sums[k] += (double)s->a->design.numbers[row * columns->numbers + k];
    for (int64_t k = 0; k < columns->codes; k++)
      s->sums[columns->code_first[k] + s->a->design.codes[row * columns->codes + k]]++;
  }
  return CO_OK;
}

// A take_view.
static co_status add_encoded(void *user, const co_view *view) {
  summing *s = user;
  CO_RETURN_IF_FAILED(
      co_encoding_run(s->a->encoding, &view->shape, view->inputs, view->valid, s->a->encoded));
  for (int64_t row = 0; row < view->valid; row++)
    for (int64_t k = 0; k < s->a->width; k++)
      s->sums[k] += (double)s->a->encoded[row * s->a->width + k];
  return CO_OK;
}

static co_status add_array(co_model_arrays *out, co_arena *arena, const char *name, co_dtype dtype,
                           int64_t count, void **bytes) {
  const co_fitted array = {.feature = name,
                           .name = "reference",
                           .dtype = dtype,
                           .shape = co_shape_make(1, count),
                           .bytes = co_arena_alloc(arena, (size_t)count + 1, co_dtype_size(dtype))};
  if (!(*bytes = array.bytes)) return CO_ERR_MEMORY;
  return co_model_arrays_add(out, co_arena_context(arena), &array);
}

static co_status keep_sums(const summing *s, co_model_arrays *out, co_arena *arena, int64_t rows) {
  void *bytes;
  if (s->a->network.estimator) {
    CO_RETURN_IF_FAILED(add_array(out, arena, design_name, CO_F64, s->a->columns.count, &bytes));
    for (int64_t k = 0; k < s->a->columns.count; k++)
      ((double *)bytes)[k] = s->sums[k] / (double)rows;
    return CO_OK;
  }
  int64_t count;
  const co_encoded_value *values = co_encoding_values(s->a->encoding, &count);
  for (int64_t i = 0; i < count; i++) {
    CO_RETURN_IF_FAILED(
        add_array(out, arena, values[i].block->name, CO_F32, values[i].width, &bytes));
    for (int64_t k = 0; k < values[i].width; k++)
      ((float *)bytes)[k] = (float)(s->sums[values[i].first + k] / (double)rows);
  }
  return CO_OK;
}

// The array of a name with so many numbers, NULL if there is none.
static const void *find_array(const co_model_arrays *arrays, const char *name, co_dtype dtype,
                              int64_t count) {
  const co_fitted *found = co_model_arrays_find(arrays, name, "reference");
  const co_shape shape = co_shape_make(1, count);
  return found && found->dtype == dtype && co_shape_equal(&found->shape, &shape) ? found->bytes
                                                                                 : NULL;
}

static co_status no_reference(const char *path) {
  co_status status =
      co_fail_at(CO_ERR_MODEL, path, 0, 0,
                 "it has no mean of its training rows, which attributions are measured from");
  co_hint("train it anew; models of over %d encoded numbers a row have none",
          MOST_BYTES / (int)sizeof(float));
  return status;
}

static co_status read_reference(co_attribution *a, const char *path, const float **out) {
  co_model_arrays arrays = {0};
  int64_t count;
  float *row = co_arena_alloc(a->arena, (size_t)a->width + 1, sizeof *row);
  if (!row) return CO_ERR_MEMORY;
  co_status status = co_model_file_read_reference(&arrays, a->arena, path);
  bool found = status == CO_OK;
  if (found && a->network.estimator) {
    a->mean = find_array(&arrays, design_name, CO_F64, a->columns.count);
    found = a->mean;
  } else if (found) {
    const co_encoded_value *values = co_encoding_values(a->encoding, &count);
    for (int64_t i = 0; i < count && found; i++) {
      const void *bytes = find_array(&arrays, values[i].block->name, CO_F32, values[i].width);
      found = bytes;
      if (found) memcpy(row + values[i].first, bytes, (size_t)values[i].width * sizeof *row);
    }
  }
  co_free(a->ctx, arrays.items);
  if (status != CO_OK) return status;
  *out = row;
  return found ? CO_OK : no_reference(path);
}

// ---- opening -----------------------------------------------------------------------------------

static co_status cannot(const char *what) {
  co_status status = co_fail(CO_ERR_CONFIG, "what %s makes of its inputs cannot be told", what);
  co_hint("networks, linear models, SVMs and trees can be explained");
  return status;
}

static void *copy(co_arena *arena, const void *from, int64_t count, size_t size) {
  void *to = co_arena_alloc(arena, (size_t)count + 1, size);
  if (to && count) memcpy(to, from, (size_t)count * size);
  return to;
}

static co_status describe_network(co_attribution *a) {
  CO_RETURN_IF_FAILED(co_encoding_open(&a->encoding, &a->network));
  a->width = co_encoding_width(a->encoding);
  const int32_t *part_of;
  const co_encoded_part *parts = co_encoding_parts(a->encoding, &a->part_count, &part_of);
  a->parts = copy(a->arena, parts, a->part_count, sizeof *parts);
  a->part_of = copy(a->arena, part_of, a->width, sizeof *part_of);
  a->encoded = co_alloc(a->ctx, (size_t)(ROWS * a->width + 1) * sizeof *a->encoded);
  return a->parts && a->part_of && a->encoded ? CO_OK : CO_ERR_MEMORY;
}

static co_status describe_design(co_attribution *a) {
  const co_model *model = a->network.model;
  CO_RETURN_IF_FAILED(co_design_describe(&a->columns, a->arena, model, false));
  a->width = a->columns.numbers + a->columns.codes;
  co_encoded_part *parts = co_arena_alloc(a->arena, (size_t)model->input_count + 1, sizeof *parts);
  int32_t *part_of = co_arena_alloc(a->arena, (size_t)a->width + 1, sizeof *part_of);
  a->design = (co_design){
      .columns = &a->columns,
      .numbers = co_alloc(a->ctx, (size_t)(ROWS * a->columns.numbers + 1) * sizeof(float)),
      .codes = co_alloc(a->ctx, (size_t)(ROWS * a->columns.codes + 1) * sizeof(int32_t))};
  if (!parts || !part_of || !a->design.numbers || !a->design.codes) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++)
    parts[i] = (co_encoded_part){model->inputs[i].name, &model->inputs[i], NULL};
  for (int64_t i = 0; i < a->width; i++) {
    int64_t column = i < a->columns.numbers ? i : a->columns.code_first[i - a->columns.numbers];
    part_of[i] = (int32_t)(co_design_feature(&a->columns, model, column) - model->inputs);
  }
  a->parts = parts;
  a->part_of = part_of;
  a->part_count = model->input_count;
  return CO_OK;
}

// What is made of one and the same column is one part, called as the column is.
static co_status join_parts(co_attribution *a) {
  int32_t *to = co_arena_alloc(a->arena, (size_t)a->part_count + 1, sizeof *to);
  int64_t count = 0;
  if (!to) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < a->part_count; i++) {
    co_encoded_part part = a->parts[i];
    const bool single = part.feature && part.feature->column_count == 1;
    if (single) part.name = part.feature->column->name;
    to[i] = (int32_t)count;
    for (int64_t k = 0; single && k < count; k++) {
      const co_input_feature *other = a->parts[k].feature;
      if (other && other->column_count == 1 && strcmp(a->parts[k].name, part.name) == 0)
        to[i] = (int32_t)k;
    }
    if (to[i] == count) a->parts[count++] = part;
  }
  for (int64_t i = 0; i < a->width; i++)
    a->part_of[i] = to[a->part_of[i]];
  a->part_count = count;
  return CO_OK;
}

static co_status create(co_attribution **out, co_predictor *predictor) {
  co_network_parts parts;
  *out = NULL;
  if (!co_network_get_parts(&parts, predictor)) {
    co_status status = cannot("a blend");
    co_hint("trained without `blend`, the network can be explained");
    return status;
  }
  if (parts.estimator && !parts.estimator->class_->attribute)
    return cannot(parts.estimator->class_->name);
  co_attribution *a = *out = co_alloc_zero(predictor->ctx, 1, sizeof *a);
  if (!a) return CO_ERR_MEMORY;
  a->ctx = predictor->ctx;
  a->network = parts;
  CO_RETURN_IF_FAILED(co_arena_create(&a->arena, a->ctx));
  CO_RETURN_IF_FAILED(parts.estimator ? describe_design(a) : describe_network(a));
  return join_parts(a);
}

static co_status check_output(const co_attribution *a) {
  const co_model *model = a->network.model;
  const co_output_feature *output = &model->outputs[a->options.output];
  if (!co_attribution_takes(output))
    return co_attribution_refuse(model, output, "inputs could have a share in");
  if (a->options.class_ < output->width) return CO_OK;
  return co_fail(CO_ERR_USAGE, "'%s' has no class %lld", output->name,
                 (long long)a->options.class_);
}

static co_status open_gradients(co_attribution *a, const float *reference) {
  int64_t count;
  const co_encoded_value *values = co_encoding_values(a->encoding, &count);
  const co_integrated_request request = {.network = &a->network,
                                         .output = &a->network.model->outputs[a->options.output],
                                         .values = values,
                                         .value_count = count,
                                         .width = a->width,
                                         .reference = reference,
                                         .class_ = a->options.class_,
                                         .steps = a->options.steps,
                                         .rest = 0.0025};
  return co_integrated_gradients_open(&a->gradients, &request);
}

static co_status make_room(co_attribution *a) {
  a->fine = co_alloc(a->ctx, (size_t)(ROWS * a->width + 1) * sizeof *a->fine);
  a->shares = co_alloc(a->ctx, (size_t)(ROWS * a->part_count + 1) * sizeof *a->shares);
  a->head = (co_head_values){.value = co_arena_alloc(a->arena, ROWS, sizeof(double)),
                             .reference = co_arena_alloc(a->arena, ROWS, sizeof(double)),
                             .class_ = co_arena_alloc(a->arena, ROWS, sizeof(int32_t))};
  return a->fine && a->shares && a->head.value && a->head.reference && a->head.class_
             ? CO_OK
             : CO_ERR_MEMORY;
}

co_status co_attribution_open(co_attribution **out, co_predictor *predictor,
                              const co_attribution_options *options) {
  co_attribution *a;
  const float *reference = NULL;
  *out = NULL;
  co_status status;
  CO_TRY(create(&a, predictor));
  a->options = *options;
  if (!a->options.steps) a->options.steps = CO_ATTRIBUTION_STEPS;
  CO_TRY(check_output(a));
  CO_TRY(read_reference(a, predictor->path, &reference));
  CO_TRY(make_room(a));
  if (!a->network.estimator) CO_TRY(open_gradients(a, reference));
  *out = a;
  return CO_OK;
cleanup:
  co_attribution_close(a);
  return status;
}

void co_attribution_close(co_attribution *a) {
  if (!a) return;
  co_integrated_gradients_close(a->gradients);
  co_encoding_close(a->encoding);
  co_free(a->ctx, a->encoded);
  co_free(a->ctx, a->design.numbers);
  co_free(a->ctx, a->design.codes);
  co_free(a->ctx, a->fine);
  co_free(a->ctx, a->shares);
  co_arena_free(a->arena);
  co_free(a->ctx, a);
}

// ---- running -----------------------------------------------------------------------------------

typedef struct attributing {
  co_attribution *a;
  const co_attribution_run *run;
} attributing;

static co_status attribute_network(co_attribution *a, const co_view *view) {
  const int64_t most = co_integrated_gradients_most(a->gradients);
  CO_RETURN_IF_FAILED(
      co_encoding_run(a->encoding, &view->shape, view->inputs, view->valid, a->encoded));
  for (int64_t row = 0; row < view->valid; row += most) {
    int64_t count = view->valid - row < most ? view->valid - row : most;
    const co_head_values head = {a->head.value + row, a->head.reference + row,
                                 a->head.class_ + row};
    CO_RETURN_IF_FAILED(co_integrated_gradients_run(a->gradients, a->encoded + row * a->width,
                                                    count, a->fine + row * a->width, &head));
  }
  return CO_OK;
}

static co_status attribute_design(co_attribution *a, const co_view *view) {
  write_design(a, view);
  const co_estimator_attribution asked = {.output = a->options.output,
                                          .class_ = a->options.class_,
                                          .rows = &a->design,
                                          .mean = a->mean,
                                          .shares = a->fine,
                                          .value = a->head.value,
                                          .reference = a->head.reference,
                                          .chosen = a->head.class_};
  return a->network.estimator->class_->attribute(a->network.estimator, &asked);
}

// A take_view.
static co_status attribute(void *user, const co_view *view) {
  attributing *t = user;
  co_attribution *a = t->a;
  CO_RETURN_IF_FAILED(a->network.estimator ? attribute_design(a, view)
                                           : attribute_network(a, view));
  memset(a->shares, 0, (size_t)(view->valid * a->part_count) * sizeof *a->shares);
  for (int64_t row = 0; row < view->valid; row++)
    for (int64_t k = 0; k < a->width; k++)
      a->shares[row * a->part_count + a->part_of[k]] += a->fine[row * a->width + k];
  const co_attributed rows = {.samples = view->batch->samples,
                              .rows = view->valid,
                              .shares = a->shares,
                              .value = a->head.value,
                              .reference = a->head.reference,
                              .class_ = a->head.class_};
  return t->run->sink(t->run->user, &rows);
}

co_status co_attribution_rows(co_attribution *a, co_dataset *dataset,
                              const co_attribution_run *run) {
  attributing t = {a, run};
  return read_rows(a->network.model, dataset, run, attribute, &t);
}

// ---- making the reference ----------------------------------------------------------------------

static co_status make_reference(co_attribution *a, co_model_arrays *out, co_arena *arena,
                                co_dataset *dataset, const int64_t *samples, int64_t count) {
  const int64_t rows = count < REFERENCE_ROWS ? count : REFERENCE_ROWS;
  const int64_t width = a->network.estimator ? a->columns.count : a->width;
  if (!rows || width * (int64_t)sizeof(float) > MOST_BYTES) return CO_OK;
  int64_t *chosen = co_arena_alloc(a->arena, (size_t)rows, sizeof *chosen);
  summing s = {a, co_arena_alloc(a->arena, (size_t)width + 1, sizeof(double))};
  if (!chosen || !s.sums) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows; i++)
    chosen[i] = samples[i * count / rows];
  const co_attribution_run run = {.samples = chosen, .count = rows};
  CO_RETURN_IF_FAILED(read_rows(a->network.model, dataset, &run,
                                a->network.estimator ? add_design : add_encoded, &s));
  return keep_sums(&s, out, arena, rows);
}

co_status co_attribution_reference(co_model_arrays *out, co_arena *arena, co_predictor *predictor,
                                   co_dataset *dataset, const int64_t *samples, int64_t count) {
  co_attribution *a;
  co_status status = create(&a, predictor);
  if (status == CO_OK) status = make_reference(a, out, arena, dataset, samples, count);
  co_attribution_close(a);
  if (status != CO_ERR_CONFIG) return status;
  co_error_clear(); // it cannot be looked into
  return CO_OK;
}
