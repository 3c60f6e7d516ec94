// SPDX-License-Identifier: Apache-2.0
// cohort_explain: what made the scores of rows.
#include "host/api/explain.h"

#include <math.h>
#include <string.h>

#include "host/core/output.h"
#include "host/eval/opening.h"
#include "host/feed/fit_features.h"

enum { ROWS = 5, IMAGES = 24 }; // by default, without a file and on a page

// ---- rows --------------------------------------------------------------------------------------

static bool is_asked_for(co_explaining *e, const char *key) {
  const cohort_explain_options *o = e->options;
  bool asked = !o->key_count;
  for (int64_t i = 0; i < o->key_count; i++)
    if (strcmp(o->keys[i], key) == 0) asked = e->found[i] = true;
  return asked;
}

static co_status choose_rows(co_explaining *e) {
  const cohort_explain_options *o = e->options;
  const int64_t *split = NULL;
  int64_t count = co_dataset_rows(e->dataset);
  char key[CO_DATASET_KEY_MAX + 1];
  e->count = 0;
  if (o->split) {
    int which = co_split_parse(o->split);
    if (which < 0) return co_fail(CO_ERR_USAGE, "--split %.100s: no such split", o->split);
    CO_RETURN_IF_FAILED(co_dataset_split(e->dataset, (co_split)which, &split, &count));
  }
  for (int64_t i = 0; i < count && e->left; i++) {
    int64_t sample = split ? split[i] : i;
    CO_RETURN_IF_FAILED(co_dataset_key(e->dataset, sample, key, sizeof key));
    if (!is_asked_for(e, key)) continue;
    CO_RETURN_IF_FAILED(
        co_grow(e->ctx, (void **)&e->samples, &e->capacity, e->count, sizeof *e->samples));
    e->samples[e->count++] = sample;
    e->left--;
  }
  return CO_OK;
}

co_status co_explain_write_header(const co_explaining *e, const char *columns) {
  const co_column *key = co_dataset_key_column(e->dataset);
  co_text line;
  if (!e->writer || e->lines || e->rows) return CO_OK;
  co_text_init(&line, e->ctx);
  co_score_add_text(&line, key ? key->name : "row", ',');
  co_text_printf(&line, ",%s\n", columns);
  co_status status = line.status;
  if (status == CO_OK) status = co_writer_write(e->writer, line.data, line.length);
  co_text_free(&line);
  return status;
}

static co_status explain_part(co_explaining *e, const char *path, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_dataset_open(&e->dataset, e->ctx, path));
  CO_RETURN_IF_FAILED(co_check_dataset(e->predictor->model, e->dataset, false));
  CO_RETURN_IF_FAILED(choose_rows(e));
  if (e->count) {
    CO_RETURN_IF_FAILED(
        co_check_inputs(e->predictor->model, e->dataset, e->samples, e->count, NULL));
    CO_RETURN_IF_FAILED(e->page              ? co_explain_images(e)
                        : e->options->events ? co_explain_events(e, result)
                                             : co_explain_columns(e, result));
    e->rows += e->count;
  }
  co_dataset_close(e->dataset);
  e->dataset = NULL;
  return CO_OK;
}

static co_status check_found(const co_explaining *e) {
  for (int64_t i = 0; i < e->options->key_count; i++)
    if (!e->found[i]) {
      co_status status = co_fail(CO_ERR_DATA, "no row%s has the key '%.200s'",
                                 e->options->split ? " of the split" : "", e->options->keys[i]);
      co_hint("without a key column rows are called by their number, from 0; --key names one");
      return status;
    }
  return CO_OK;
}

static co_status explain_parts(co_explaining *e, cohort_result *result) {
  const bool raw = e->table.arena != NULL;
  for (int64_t i = 0; i < (raw ? e->table.parts.count : 1) && e->left; i++)
    CO_RETURN_IF_FAILED(explain_part(
        e, raw ? e->table.parts.items[i].files[0].temporary : e->table.options.dataset, result));
  return check_found(e);
}

// ---- what was asked for ------------------------------------------------------------------------

static co_status no_output(const co_model *model, const char *name) {
  co_status status = co_fail(CO_ERR_USAGE, "the model has no output '%.200s'", name);
  co_text names;
  co_text_init(&names, model->ctx);
  for (int64_t i = 0; i < model->output_count; i++)
    co_text_printf(&names, "%s%.200s", i ? ", " : "", model->outputs[i].name);
  if (names.status == CO_OK) co_hint("it has: %s", names.data);
  co_text_free(&names);
  return status;
}

static co_status choose_output(co_explaining *e) {
  const co_model *model = e->predictor->model;
  const char *name = e->options->target;
  e->output = &model->outputs[0];
  for (int64_t i = model->output_count; i-- > 0;)
    if (co_attribution_takes(&model->outputs[i])) e->output = &model->outputs[i];
  for (int64_t i = 0; name && i < model->output_count; i++) {
    e->output = &model->outputs[i];
    if (strcmp(e->output->name, name) == 0) break;
  }
  if (name && strcmp(e->output->name, name) != 0) return no_output(model, name);
  e->class_ = -1;
  if (!e->options->class_) return CO_OK;
  const co_column *column = e->output->column;
  if (!column || column->type != CO_COLUMN_CATEGORY)
    return co_fail(CO_ERR_USAGE, "--class: '%.200s' is not one of several classes",
                   e->output->name);
  for (int64_t i = 0; i < column->category_count; i++)
    if (strcmp(column->categories[i], e->options->class_) == 0) e->class_ = i;
  if (e->class_ >= 0) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--class %.200s: '%.200s' has no such class", e->options->class_,
                 e->output->name);
}

static co_status open_output(co_explaining *e) {
  const cohort_explain_options *o = e->options;
  const char *const inputs[] = {o->dataset};
  const co_output wanted = {o->output, o->force, inputs, 1};
  if (!o->output) return CO_OK;
  if (strcmp(o->output, "-") == 0)
    return co_fail(CO_ERR_USAGE, "-O -: leave it out; what is explained goes to standard output");
  e->lines = co_output_ends_in(o->output, ".jsonl");
  e->page = co_output_ends_in(o->output, ".html");
  return co_output_begin(&e->file, e->ctx, &wanted);
}

static co_status check_options(const cohort_explain_options *o) {
  CO_RETURN_IF_FAILED(co_require(o->model, "explain", "a model"));
  if (o->steps < 0 || o->steps > CO_ATTRIBUTION_MOST_STEPS)
    return co_fail(CO_ERR_USAGE, "--steps must be 1 to %d", CO_ATTRIBUTION_MOST_STEPS);
  if (o->events < 0 || o->events > CO_EXPLAIN_EVENTS)
    return co_fail(CO_ERR_USAGE, "--events must be 1 to %d", CO_EXPLAIN_EVENTS);
  if (o->events && o->steps)
    return co_fail(CO_ERR_USAGE,
                   "--steps is of integrals, which effects of events (--events) are not");
  if (o->events && o->output && co_output_ends_in(o->output, ".html"))
    return co_fail(CO_ERR_USAGE, "-O %s: a page is of images; events go into .csv or .jsonl",
                   o->output);
  if (o->key_count && o->rows)
    return co_fail(CO_ERR_USAGE, "rows are chosen by their keys, or the first so many are taken");
  return CO_OK;
}

static co_status open_predictor(co_explaining *e, const co_new_classes *new_classes) {
  const cohort_explain_options *o = e->options;
  const co_predictor_options predictor = {
      .model = o->model, .device = o->device, .threads = o->threads, .new_classes = new_classes};
  CO_RETURN_IF_FAILED(co_predictor_open(&e->predictor, e->ctx, &predictor));
  return choose_output(e);
}

// The model, and what it is to explain.
static co_status open_rows(co_explaining *e) {
  const cohort_explain_options *o = e->options;
  // A table of items may have some that the model is told when it is opened.
  const bool members = o->source_count > 1;
  char *found;
  CO_RETURN_IF_FAILED(co_model_file_find(&found, e->ctx, o->model));
  const char *path = co_arena_strdup(e->arena, found); // the table's description keeps it
  co_free(e->ctx, found);
  if (!path) return CO_ERR_MEMORY;
  const cohort_predict_options rows = {.model = path,
                                       .dataset = o->dataset,
                                       .output = "-",
                                       .key = o->key,
                                       .source = o->source,
                                       .sources = o->sources,
                                       .source_count = o->source_count,
                                       .as_of = o->as_of,
                                       .workers = o->workers};
  co_model_list list = {.paths = &path, .count = 1};
  if (o->split && o->dataset && co_table_is_raw(o->dataset, &o->source))
    return co_fail(CO_ERR_USAGE, "--split is for a dataset.h5; a raw table has none");
  if (!members) CO_RETURN_IF_FAILED(open_predictor(e, NULL));
  CO_RETURN_IF_FAILED(co_event_scoring_begin(&e->events, e->context, &rows, members, &list));
  CO_RETURN_IF_FAILED(co_image_scoring_begin(&e->images, e->context, &e->events.options));
  CO_RETURN_IF_FAILED(
      co_table_scoring_begin(&e->table, e->context, &e->images.options, members, &list));
  if (members)
    CO_RETURN_IF_FAILED(open_predictor(e, list.new_classes ? list.new_classes[0] : NULL));
  return e->table.arena ? CO_OK : co_require(e->table.options.dataset, "explain", "a dataset");
}

// ---- all of it ---------------------------------------------------------------------------------

static void report(const co_explaining *e, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, e->predictor->path);
  co_json_key(json, "target");
  co_json_string(json, e->output->name);
  co_json_key(json, "method");
  co_json_string(json, e->method ? e->method : "");
  co_json_key(json, "explained");
  co_json_int(json, e->rows);
  if (!e->options->events) {
    co_json_key(json, "largest_rest");
    co_json_double(json, e->rest);
  }
  if (!e->options->output) return;
  co_json_key(json, "output");
  co_json_string(json, e->options->output);
  co_text_printf(&result->text, "%lld rows explained into %s\n", (long long)e->rows,
                 e->options->output);
}

static co_status explain(co_explaining *e, cohort_result *result) {
  const cohort_explain_options *o = e->options;
  CO_RETURN_IF_FAILED(check_options(o));
  CO_RETURN_IF_FAILED(open_output(e));
  CO_RETURN_IF_FAILED(co_arena_create(&e->arena, e->ctx));
  CO_RETURN_IF_FAILED(open_rows(e));
  e->left = o->rows        ? o->rows
            : o->key_count ? INT64_MAX
            : e->page      ? IMAGES
            : o->output    ? INT64_MAX
                           : ROWS;
  e->found = co_arena_alloc(e->arena, (size_t)o->key_count + 1, sizeof *e->found);
  if (!e->found) return CO_ERR_MEMORY;
  if (o->output) CO_RETURN_IF_FAILED(co_writer_open(&e->writer, e->ctx, e->file.temporary, false));
  if (!o->output) {
    co_json_key(&result->json, "rows");
    co_json_open(&result->json, '[');
  }
  CO_RETURN_IF_FAILED(explain_parts(e, result));
  if (!o->output) co_json_close(&result->json);
  if (o->output) {
    co_status closed = co_writer_close(e->writer);
    e->writer = NULL;
    CO_RETURN_IF_FAILED(closed);
    CO_RETURN_IF_FAILED(co_atomic_commit(&e->file));
  }
  report(e, result);
  return CO_OK;
}

cohort_status cohort_explain(cohort_context *context, const cohort_explain_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_explaining e = {.context = context, .ctx = context->ctx, .options = options};
  co_status status = explain(&e, *out);
  co_error error;
  co_error_copy(&error);
  if (e.writer) co_writer_close(e.writer);
  co_atomic_abort(&e.file);
  co_dataset_close(e.dataset);
  co_free(e.ctx, e.samples);
  co_predictor_close(e.predictor);
  co_table_scoring_end(&e.table);
  co_image_scoring_end(&e.images);
  co_event_scoring_end(&e.events);
  co_arena_free(e.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "explain", status);
}
