// SPDX-License-Identifier: Apache-2.0
#include "host/eval/golden.h"

#include <math.h>
#include <string.h>

#include "datasets/view.h"
#include "datasets/writer.h"
#include "host/eval/blend.h"

enum { MOST_BYTES = 1 << 20 };

static const double most_rounding_of_texts = 1e-3;
static const char rows_table[] = "rows"; // of the dataset that is replayed

double co_golden_rounding(const co_backend *backend, co_precision precision) {
  bool cpu = backend->api->host_memory;
  return precision == CO_PRECISION_BF16 ? 5e-2 : precision == CO_PRECISION_F32 || cpu ? 1e-4 : 1e-2;
}

void co_golden_free(co_model_golden *golden, co_context *ctx) {
  co_free(ctx, golden->inputs.items);
  co_free(ctx, golden->scores.items);
  *golden = (co_model_golden){.rounding = 0};
}

int64_t co_golden_rows(const co_model_golden *golden) {
  const co_model_arrays *scores = &golden->scores;
  return scores->count && scores->items[0].shape.rank == 2 ? scores->items[0].shape.dim[0] : 0;
}

// ---- the columns that a model reads ------------------------------------------------------------

typedef struct column_list {
  const co_column **items;
  int64_t count;
} column_list;

static bool is_listed(const column_list *list, const co_column *column) {
  for (int64_t i = 0; i < list->count; i++)
    if (strcmp(list->items[i]->name, column->name) == 0) return true;
  return false;
}

// Each once, however many features are made of it.
static co_status list_columns(column_list *out, co_arena *arena, const co_model *model) {
  int64_t most = 0;
  for (int64_t i = 0; i < model->input_count; i++)
    most += model->inputs[i].column_count;
  *out = (column_list){co_arena_alloc(arena, (size_t)most + 1, sizeof *out->items), 0};
  if (!out->items) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->inputs[i].column_count; k++)
      if (!is_listed(out, model->inputs[i].columns[k]))
        out->items[out->count++] = model->inputs[i].columns[k];
  return CO_OK;
}

static const char *events_of(const co_model *model, const co_column *column) {
  for (int64_t i = 0; column->table && i < model->event_table_count; i++)
    if (!model->event_tables[i].of_text && strcmp(model->event_tables[i].name, column->table) == 0)
      return column->table;
  return NULL;
}

static bool is_scalar(const co_column *column) {
  return column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_BINARY ||
         column->type == CO_COLUMN_DATE;
}

// As it is kept: numbers with all their digits.
static co_dtype kept_dtype(const co_column *column) {
  return is_scalar(column) ? CO_F64 : co_column_type_dtype(column->type);
}

// ---- making ------------------------------------------------------------------------------------

typedef struct making {
  co_model_golden *out;
  co_arena *arena;
  co_context *ctx;
  const co_model *model;
  co_dataset *dataset;
  column_list columns;
  int64_t samples[CO_GOLDEN_ROWS];
  int64_t count;
} making;

static co_status add_array(co_model_arrays *arrays, co_arena *arena, const char *feature,
                           const char *name, co_dtype dtype, const co_shape *shape, void **bytes) {
  co_fitted array = {.feature = feature, .name = name, .dtype = dtype, .shape = *shape};
  array.bytes =
      co_arena_alloc(arena, (size_t)co_shape_count(shape) + 1, co_dtype_size(array.dtype));
  if (!(*bytes = array.bytes)) return CO_ERR_MEMORY;
  return co_model_arrays_add(arrays, co_arena_context(arena), &array);
}

static void copy_value(const co_view *view, int64_t row, int64_t i, void *out) {
  if (view->codes)
    ((int32_t *)out)[i] = view->codes[row];
  else if (view->bytes)
    memcpy((char *)out + (size_t)i * view->row_bytes, view->bytes + (size_t)row * view->row_bytes,
           view->row_bytes);
  else
    ((double *)out)[i] = co_numbers_at(&view->numbers, row);
}

static co_status keep_texts(making *m, const co_view *view) {
  int64_t bytes = 0;
  void *out;
  for (int64_t i = 0; i < m->count; i++)
    bytes += (int64_t)strlen(view->texts[co_view_row(view, m->samples[i])]) + 1;
  const co_shape shape = co_shape_make(1, bytes);
  CO_RETURN_IF_FAILED(
      add_array(&m->out->inputs, m->arena, view->column->name, "texts", CO_U8, &shape, &out));
  char *to = out;
  for (int64_t i = 0; i < m->count; i++) {
    const char *text = view->texts[co_view_row(view, m->samples[i])];
    size_t length = strlen(text) + 1;
    memcpy(to, text, length);
    to += length;
  }
  return CO_OK;
}

static co_shape kept_shape(const co_column *column, int64_t rows) {
  co_shape shape = {.rank = column->shape.rank + 1, .dim = {rows}};
  for (int i = 0; i < column->shape.rank; i++)
    shape.dim[i + 1] = column->shape.dim[i];
  return shape;
}

// Of events the last so many of each sample are read; they are kept.
static int64_t first_event(const making *m, const char *table, const int64_t *begin,
                           const int64_t *end, int64_t sample) {
  int64_t most = 0;
  for (int64_t i = 0; i < m->model->event_table_count; i++)
    if (!m->model->event_tables[i].of_text && strcmp(m->model->event_tables[i].name, table) == 0)
      most = m->model->event_tables[i].most_events;
  return end[sample] - begin[sample] > most ? end[sample] - most : begin[sample];
}

static co_status keep_offsets(making *m, const char *table, const int64_t *begin,
                              const int64_t *end, const int64_t **out) {
  const co_fitted *there = co_model_arrays_find(&m->out->inputs, table, "offsets");
  void *bytes;
  if (!there) {
    const co_shape shape = co_shape_make(1, m->count + 1);
    CO_RETURN_IF_FAILED(
        add_array(&m->out->inputs, m->arena, table, "offsets", CO_I64, &shape, &bytes));
    int64_t *offsets = bytes;
    for (int64_t i = 0; i < m->count; i++) {
      int64_t sample = m->samples[i];
      offsets[i + 1] = offsets[i] + end[sample] - first_event(m, table, begin, end, sample);
    }
    there = co_model_arrays_find(&m->out->inputs, table, "offsets");
  }
  *out = there->bytes;
  return CO_OK;
}

static co_status keep_events(making *m, const co_view *view, const char *table) {
  const int64_t *begin, *end, *offsets;
  void *out;
  CO_RETURN_IF_FAILED(co_dataset_ranges(m->dataset, table, &begin, &end));
  CO_RETURN_IF_FAILED(keep_offsets(m, table, begin, end, &offsets));
  const co_column *column = view->column;
  const co_shape shape = kept_shape(column, offsets[m->count]);
  CO_RETURN_IF_FAILED(add_array(&m->out->inputs, m->arena, column->name, "values",
                                kept_dtype(column), &shape, &out));
  for (int64_t i = 0, to = 0; i < m->count; i++)
    for (int64_t row = end[m->samples[i]] - (offsets[i + 1] - offsets[i]); row < end[m->samples[i]];
         row++)
      copy_value(view, row, to++, out);
  return CO_OK;
}

static co_status keep_column(making *m, const co_column *column) {
  const co_column *stored = co_schema_find(co_dataset_schema(m->dataset), column->name);
  const char *table = events_of(m->model, column);
  co_view view;
  void *out;
  if (!stored) return co_fail(CO_ERR_INTERNAL, "golden rows: no column '%s'", column->name);
  CO_RETURN_IF_FAILED(co_view_open(&view, m->dataset, stored));
  if (table) return keep_events(m, &view, table);
  if (view.texts) return keep_texts(m, &view);
  const co_shape shape = kept_shape(column, m->count);
  CO_RETURN_IF_FAILED(add_array(&m->out->inputs, m->arena, column->name, "values",
                                kept_dtype(column), &shape, &out));
  for (int64_t i = 0; i < m->count; i++)
    copy_value(&view, co_view_row(&view, m->samples[i]), i, out);
  return CO_OK;
}

static co_status keep_inputs(making *m) {
  m->out->inputs.count = 0;
  for (int64_t i = 0; i < m->columns.count; i++)
    CO_RETURN_IF_FAILED(keep_column(m, m->columns.items[i]));
  return CO_OK;
}

static int64_t bytes_of(const co_model_arrays *arrays) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < arrays->count; i++)
    bytes +=
        co_shape_count(&arrays->items[i].shape) * (int64_t)co_dtype_size(arrays->items[i].dtype);
  return bytes;
}

// Whether a table of events has none in all of the rows: no dataset can be made of them.
static bool lacks_events(const co_model_golden *golden, int64_t rows) {
  for (int64_t i = 0; i < golden->inputs.count; i++) {
    const co_fitted *array = &golden->inputs.items[i];
    if (strcmp(array->name, "offsets") == 0 && ((const int64_t *)array->bytes)[rows] == 0)
      return true;
  }
  return false;
}

typedef struct receiving {
  const co_model *model;
  float *const *to; // per output
  int64_t rows;
} receiving;

// A co_score_sink.
static co_status receive(void *user, const int64_t *samples, int64_t rows,
                         const float *const *scores) {
  receiving *r = user;
  (void)samples;
  for (int64_t i = 0; i < r->model->output_count; i++) {
    size_t width = (size_t)r->model->outputs[i].width;
    memcpy(r->to[i] + (size_t)r->rows * width, scores[i], (size_t)rows * width * sizeof(float));
  }
  r->rows += rows;
  return CO_OK;
}

// Fills `to`, per output (count, width).
static co_status score(co_predictor *predictor, co_dataset *dataset, const int64_t *samples,
                       int64_t count, bool of_network, float *const *to) {
  static const co_watch nobody = {.stop = NULL};
  receiving r = {.model = predictor->model, .to = to};
  const co_scoring_options options = {
      .watch = &nobody, .workers = 1, .stage = "golden rows", .sink = receive, .user = &r};
  co_predictor *scored = co_blend_of_rows(predictor, of_network);
  return scored->class_->run(scored, dataset, samples, count, &options);
}

static co_status make_room(float ***out, co_arena *arena, const co_model *model, int64_t rows) {
  *out = co_arena_alloc(arena, (size_t)model->output_count + 1, sizeof **out);
  for (int64_t i = 0; *out && i < model->output_count; i++)
    if (!((*out)[i] =
              co_arena_alloc(arena, (size_t)(rows * model->outputs[i].width) + 1, sizeof(float))))
      return CO_ERR_MEMORY;
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static bool is_finite(const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return false;
  return true;
}

static co_status keep_scores(making *m, co_predictor *predictor) {
  float **scores;
  bool finite = true;
  CO_RETURN_IF_FAILED(make_room(&scores, m->arena, m->model, m->count));
  CO_RETURN_IF_FAILED(
      score(predictor, m->dataset, m->samples, m->count, m->out->of_network, scores));
  for (int64_t i = 0; i < m->model->output_count; i++) {
    const co_output_feature *output = &m->model->outputs[i];
    const co_fitted array = {.feature = output->name,
                             .name = "scores",
                             .dtype = CO_F32,
                             .shape = co_shape_make(2, m->count, output->width),
                             .bytes = scores[i]};
    finite = finite && is_finite(scores[i], m->count * output->width);
    CO_RETURN_IF_FAILED(co_model_arrays_add(&m->out->scores, m->ctx, &array));
  }
  if (!finite) m->out->scores.count = 0;
  return CO_OK;
}

co_status co_golden_make(co_model_golden *out, co_arena *arena, co_predictor *predictor,
                         co_dataset *dataset, const int64_t *samples, int64_t count, int64_t most) {
  making m = {.out = out,
              .arena = arena,
              .ctx = predictor->ctx,
              .model = predictor->model,
              .dataset = dataset};
  int64_t width = 0;
  for (int64_t i = 0; i < m.model->output_count; i++)
    width += m.model->outputs[i].width;
  out->of_network = co_blend_of_rows(predictor, true) != co_blend_of_rows(predictor, false);
  CO_RETURN_IF_FAILED(list_columns(&m.columns, arena, m.model));
  for (int64_t rows = count < most ? count : most; rows; rows /= 2) {
    m.count = rows;
    for (int64_t i = 0; i < rows; i++)
      m.samples[i] = samples[i * count / rows];
    CO_RETURN_IF_FAILED(keep_inputs(&m));
    if (bytes_of(&out->inputs) + rows * width * (int64_t)sizeof(float) <= MOST_BYTES) break;
  }
  return m.count && !lacks_events(out, m.count) ? keep_scores(&m, predictor) : CO_OK;
}

// ---- as a dataset ------------------------------------------------------------------------------

typedef struct writing {
  co_context *ctx;
  co_arena *arena;
  co_dataset_writer *writer;
  const co_model *model;
  const co_model_golden *golden;
  int64_t rows;
} writing;

static co_status damaged(const char *name) {
  return co_fail(CO_ERR_MODEL, "its golden rows are damaged: '%s'", name);
}

// The array of a name, if it has `rows` rows of the shape.
static co_status take_array(const writing *w, const co_column *column, int64_t rows,
                            const co_fitted **out) {
  const co_shape shape = kept_shape(column, rows);
  *out = co_model_arrays_find(&w->golden->inputs, column->name, "values");
  bool fits = *out && (*out)->dtype == kept_dtype(column) && co_shape_equal(&(*out)->shape, &shape);
  return fits ? CO_OK : damaged(column->name);
}

static co_status write_column(const writing *w, const char *table, const co_column *column,
                              int64_t rows) {
  const co_fitted *array;
  co_column kept = *column;
  kept.role = CO_ROLE_INPUT;
  kept.dtype = kept_dtype(column);
  CO_RETURN_IF_FAILED(take_array(w, column, rows, &array));
  CO_RETURN_IF_FAILED(co_dataset_writer_column(w->writer, table, &kept, rows));
  return co_dataset_writer_rows(w->writer, rows, array->bytes);
}

static co_status write_texts(const writing *w, const co_column *column) {
  const co_fitted *array = co_model_arrays_find(&w->golden->inputs, column->name, "texts");
  const char **texts = co_arena_alloc(w->arena, (size_t)w->rows + 1, sizeof *texts);
  int64_t id;
  if (!texts) return CO_ERR_MEMORY;
  if (!array || array->dtype != CO_U8 || array->shape.rank != 1) return damaged(column->name);
  const char *at = array->bytes, *end = at + array->shape.dim[0];
  for (int64_t i = 0; i < w->rows; i++) {
    const char *stop = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
    if (!stop) return damaged(column->name);
    texts[i] = at;
    at = stop + 1;
  }
  CO_RETURN_IF_FAILED(co_dataset_writer_open_texts(w->writer, rows_table, column->name,
                                                   CO_ROLE_INPUT, w->rows, &id));
  return co_dataset_writer_append_texts(w->writer, id, w->rows, texts);
}

static co_status take_offsets(const writing *w, const char *table, const int64_t **out) {
  const co_fitted *array = co_model_arrays_find(&w->golden->inputs, table, "offsets");
  if (!array || array->dtype != CO_I64 || array->shape.rank != 1 ||
      array->shape.dim[0] != w->rows + 1)
    return damaged(table);
  const int64_t *offsets = array->bytes;
  for (int64_t i = 0; i < w->rows; i++)
    if (offsets[0] != 0 || offsets[i + 1] < offsets[i]) return damaged(table);
  *out = offsets;
  return CO_OK;
}

// Each table with its columns, which follow its declaration.
static co_status write_events(const writing *w, const column_list *columns) {
  for (int64_t t = 0; t < w->model->event_table_count; t++) {
    const char *table = w->model->event_tables[t].name;
    const int64_t *offsets;
    if (w->model->event_tables[t].of_text) continue;
    CO_RETURN_IF_FAILED(take_offsets(w, table, &offsets));
    CO_RETURN_IF_FAILED(
        co_dataset_writer_events(w->writer, table, rows_table, NULL, w->rows, offsets));
    for (int64_t i = 0; i < columns->count; i++) {
      const char *own = events_of(w->model, columns->items[i]);
      if (own && strcmp(own, table) == 0)
        CO_RETURN_IF_FAILED(write_column(w, table, columns->items[i], offsets[w->rows]));
    }
  }
  return CO_OK;
}

static co_status write_samples(const writing *w) {
  uint8_t split[CO_GOLDEN_ROWS];
  memset(split, CO_SPLIT_TEST, sizeof split);
  CO_RETURN_IF_FAILED(co_dataset_writer_samples(w->writer, rows_table, w->rows, NULL, NULL, split));
  for (int64_t t = 0; t < w->model->event_table_count; t++) {
    const char *table = w->model->event_tables[t].name;
    const int64_t *offsets;
    if (w->model->event_tables[t].of_text) continue;
    CO_RETURN_IF_FAILED(take_offsets(w, table, &offsets));
    CO_RETURN_IF_FAILED(co_dataset_writer_ranges(w->writer, table, w->rows, offsets, offsets + 1));
  }
  return CO_OK;
}

// A table of samples that have nothing but events has no column of its own.
static co_status write_number(const writing *w) {
  static const double zeros[CO_GOLDEN_ROWS] = {0};
  const co_column number = {
      .name = "row", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F64};
  CO_RETURN_IF_FAILED(co_dataset_writer_column(w->writer, rows_table, &number, w->rows));
  return co_dataset_writer_rows(w->writer, w->rows, zeros);
}

static co_status write_all(const writing *w) {
  column_list columns;
  int64_t scalars = 0;
  CO_RETURN_IF_FAILED(list_columns(&columns, w->arena, w->model));
  for (int64_t i = 0; i < columns.count; i++) {
    const co_column *column = columns.items[i];
    if (events_of(w->model, column)) continue;
    scalars++;
    CO_RETURN_IF_FAILED(column->type == CO_COLUMN_TEXT
                            ? write_texts(w, column)
                            : write_column(w, rows_table, column, w->rows));
  }
  if (!scalars) CO_RETURN_IF_FAILED(write_number(w));
  CO_RETURN_IF_FAILED(write_events(w, &columns));
  return write_samples(w);
}

co_status co_golden_write(co_atomic_file *out, co_context *ctx, const co_model *model,
                          const co_model_golden *golden, const char *beside) {
  writing w = {.ctx = ctx, .model = model, .golden = golden, .rows = co_golden_rows(golden)};
  co_status status;
  if (w.rows < 1 || w.rows > CO_GOLDEN_ROWS) return damaged("scores");
  CO_TRY(co_arena_create(&w.arena, ctx));
  CO_TRY(co_dataset_writer_create(&w.writer, ctx, beside));
  CO_TRY(write_all(&w));
  CO_TRY(co_dataset_writer_commit_temporary(w.writer, NULL, out));
cleanup:
  co_dataset_writer_free(w.writer);
  co_arena_free(w.arena);
  return status;
}

// ---- replaying ---------------------------------------------------------------------------------

// Of two tokens almost as likely another may be written where products are rounded in another way, and all
// behind it hangs on it. So some texts may be others; where all is rounded much, first tokens are compared.
static co_status compare_texts(co_golden_result *out, const co_predictor *predictor,
                               const co_output_feature *feature, const float *golden,
                               const float *now) {
  const bool rounded = out->allowed > most_rounding_of_texts;
  const int64_t width = feature->width, most = out->rows / (rounded ? 2 : 8);
  int64_t others = 0;
  for (int64_t i = 0; i < out->rows; i++)
    others += memcmp(now + i * width, golden + i * width,
                     (size_t)(rounded ? 1 : width) * sizeof *now) != 0;
  out->difference = fmax(out->difference, (double)others / (double)out->rows);
  if (others <= most) return CO_OK;
  co_status status = co_fail_at(
      CO_ERR_GATE, predictor->path, 0, 0,
      "of %lld golden rows %lld have other texts of '%s' than when the model was trained",
      (long long)out->rows, (long long)others, feature->name);
  co_hint("the model file, a library or the device is not what it was; `cohort verify parity -m "
          "MODEL --dataset FILE --device NAME` tells of the device");
  return status;
}

static int64_t known_width(const co_output_feature *output) {
  return output->width - (output->column ? output->column->new_classes : 0);
}

// Probabilities among the classes of the training.
static void leave_out_new(const co_output_feature *output, int64_t rows, float *scores) {
  const int64_t known = known_width(output);
  if (known == output->width) return;
  for (int64_t i = 0; i < rows; i++) {
    const float *from = scores + i * output->width;
    float *to = scores + i * known;
    double sum = 0;
    for (int64_t k = 0; k < known; k++)
      sum += (double)from[k];
    for (int64_t k = 0; k < known; k++)
      to[k] = (float)((double)from[k] / (sum > 0 ? sum : 1));
  }
}

static co_status compare(co_golden_result *out, const co_predictor *predictor, int64_t output,
                         const float *golden, const float *now) {
  const co_output_feature *feature = &predictor->model->outputs[output];
  double largest = 0;
  if (feature->text) return compare_texts(out, predictor, feature, golden, now);
  const int64_t width = known_width(feature);
  for (int64_t i = 0; i < out->rows * width; i++)
    largest = fmax(largest, fabs((double)golden[i]));
  for (int64_t i = 0; i < out->rows * width; i++) {
    double apart = fabs((double)now[i] - (double)golden[i]) / (largest > 0 ? largest : 1);
    if (apart > out->difference) out->difference = apart;
    if (apart <= out->allowed) continue;
    co_status status = co_fail_at(
        CO_ERR_GATE, predictor->path, 0, 0,
        "golden row %lld scores %.9g for '%s' here, but %.9g when the model was trained: more than "
        "rounding (%.0e)",
        (long long)(i / width), (double)now[i], feature->name, (double)golden[i], out->allowed);
    co_hint("the model file, a library or the device is not what it was; `cohort verify parity -m "
            "MODEL --dataset FILE --device NAME` tells of the device");
    return status;
  }
  return CO_OK;
}

static co_status compare_all(co_golden_result *out, co_predictor *predictor,
                             const co_model_golden *golden, float *const *now) {
  for (int64_t i = 0; i < predictor->model->output_count; i++) {
    const co_output_feature *output = &predictor->model->outputs[i];
    const co_fitted *scores = co_model_arrays_find(&golden->scores, output->name, "scores");
    const co_shape shape = co_shape_make(2, out->rows, known_width(output));
    if (!scores || scores->dtype != CO_F32 || !co_shape_equal(&scores->shape, &shape))
      return damaged(output->name);
    leave_out_new(output, out->rows, now[i]);
    CO_RETURN_IF_FAILED(compare(out, predictor, i, scores->bytes, now[i]));
  }
  return CO_OK;
}

static co_status replay(co_golden_result *out, co_arena *arena, co_predictor *predictor,
                        const co_model_golden *golden, const char *folder) {
  int64_t samples[CO_GOLDEN_ROWS];
  co_atomic_file file = {0};
  co_dataset *dataset = NULL;
  float **now = NULL;
  co_status status;
  char *beside = co_arena_format(arena, "%s/cohort.golden", folder);
  if (!beside) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < CO_GOLDEN_ROWS; i++)
    samples[i] = i;
  CO_TRY(co_golden_write(&file, predictor->ctx, predictor->model, golden, beside));
  CO_TRY(co_dataset_open(&dataset, predictor->ctx, file.temporary));
  CO_TRY(make_room(&now, arena, predictor->model, out->rows));
  CO_TRY(score(predictor, dataset, samples, out->rows, golden->of_network, now));
  CO_TRY(compare_all(out, predictor, golden, now));
cleanup:
  co_dataset_close(dataset);
  co_atomic_abort(&file);
  return status;
}

co_status co_golden_replay(co_golden_result *out, co_predictor *predictor, const char *folder) {
  co_model_golden golden = {.rounding = 0};
  co_arena *arena;
  *out = (co_golden_result){.rows = 0};
  CO_RETURN_IF_FAILED(co_arena_create(&arena, predictor->ctx));
  co_status status = co_model_file_read_golden(&golden, arena, predictor->path);
  out->rows = co_golden_rows(&golden);
  out->allowed = fmax(golden.rounding, predictor->rounding);
  if (status == CO_OK && out->rows) status = replay(out, arena, predictor, &golden, folder);
  if (status == CO_OK && !out->rows)
    co_log(predictor->ctx, CO_LOG_INFO, "predict",
           "%s has no golden rows: nothing tells whether it scores here as where it was trained",
           predictor->path);
  co_golden_free(&golden, predictor->ctx);
  co_arena_free(arena);
  return status;
}
