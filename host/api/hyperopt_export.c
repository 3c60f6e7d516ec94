// SPDX-License-Identifier: Apache-2.0
// cohort_hyperopt_export: a study as CSV, or as Optuna's journal.
#include <math.h>
#include <string.h>

#include "host/api/hyperopt.h"
#include "host/core/output.h"

typedef struct exporting {
  co_context *ctx;
  const cohort_hyperopt_best_options *options;
  co_read_study read;
  co_atomic_file file;
} exporting;

static void add_text(co_text *csv, const char *value, size_t length) {
  if (strcspn(value, ",\"\r\n") >= length) {
    co_text_append(csv, value, length);
    return;
  }
  co_text_append(csv, "\"", 1);
  for (size_t i = 0; i < length; i++)
    co_text_append(csv, value[i] == '"' ? "\"\"" : value + i, value[i] == '"' ? 2 : 1);
  co_text_append(csv, "\"", 1);
}

static void add_cell(co_text *csv, const char *value) {
  add_text(csv, value, strlen(value));
}

static void add_number(co_text *csv, double value) {
  char text[32];
  if (isnan(value)) return;
  co_double_print(value, text, sizeof text);
  co_text_printf(csv, "%s", text);
}

// As the config has it: a text without quotes.
static void add_value(co_text *csv, const co_parameter *p, double value) {
  char text[96];
  if (isnan(value)) return;
  if (!p->category_count) {
    add_number(csv, value);
    return;
  }
  const char *category = p->category[(int64_t)value];
  if (*category == '"') {
    co_parameter_print_value(text, p, value);
    category = text;
  }
  add_cell(csv, category);
}

// A text without its quotes, all else as JSON.
static void add_attribute(co_text *csv, const co_trial *t, const co_attribute *wanted) {
  for (int64_t i = 0; i < t->attributes.count; i++) {
    const co_attribute *a = &t->attributes.item[i];
    if (a->system != wanted->system || strcmp(a->key, wanted->key) != 0) continue;
    size_t length = strlen(a->json);
    bool plain = *a->json == '"' && length > 2 && !memchr(a->json, '\\', length);
    add_text(csv, a->json + plain, plain ? length - 2 : length);
  }
}

static void add_trial(co_text *csv, const co_tune_settings *settings, const co_trial *t,
                      const co_attributes *columns) {
  const co_space *space = &settings->space;
  co_text_printf(csv, "%lld,", (long long)t->number);
  add_number(csv, t->value);
  if (settings->second) {
    co_text_printf(csv, ",");
    add_number(csv, t->second);
  }
  co_text_printf(csv, ",%s,%s", t->started ? t->started : "", t->ended ? t->ended : "");
  for (int64_t i = 0; i < space->count; i++) {
    co_text_printf(csv, ",");
    add_value(csv, &space->item[i], t->values[i]);
  }
  for (int64_t i = 0; i < columns->count; i++) {
    co_text_printf(csv, ",");
    add_attribute(csv, t, &columns->item[i]);
  }
  co_text_printf(csv, ",%s\n", co_trial_state_name(t->state));
}

// Each that some trial has, once, the user's first.
static co_status find_columns(co_attributes *out, const co_read_study *r) {
  int64_t most = 0;
  for (int64_t i = 0; i < r->trials.count; i++)
    most += r->trials.item[i].attributes.count;
  co_attribute *item = co_arena_alloc(r->arena, (size_t)most + 1, sizeof *item);
  *out = (co_attributes){.item = item};
  for (int pass = 0; item && pass < 2; pass++)
    for (int64_t i = 0; i < r->trials.count; i++)
      for (int64_t k = 0; k < r->trials.item[i].attributes.count; k++) {
        const co_attribute *a = &r->trials.item[i].attributes.item[k];
        bool there = a->system != (pass == 1);
        for (int64_t c = 0; c < out->count && !there; c++)
          there = item[c].system == a->system && strcmp(item[c].key, a->key) == 0;
        if (!there) item[out->count++] = *a;
      }
  return item ? CO_OK : CO_ERR_MEMORY;
}

static co_status write_file(exporting *e, const co_text *csv) {
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, e->ctx, e->file.temporary, false));
  co_status status = co_writer_write(writer, csv->data, csv->length);
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  return status == CO_OK ? co_atomic_commit(&e->file) : status;
}

static co_status add_table(co_text *csv, const co_read_study *r) {
  const co_space *space = &r->settings.space;
  co_attributes columns;
  CO_RETURN_IF_FAILED(find_columns(&columns, r));
  if (r->settings.second) {
    co_text_printf(csv, "number,values_");
    add_cell(csv, r->settings.metric ? r->settings.metric : "loss");
    co_text_printf(csv, ",values_");
    add_cell(csv, r->settings.second);
  } else {
    co_text_printf(csv, "number,value");
  }
  co_text_printf(csv, ",datetime_start,datetime_complete");
  for (int64_t i = 0; i < space->count; i++) {
    co_text_printf(csv, ",params_");
    add_cell(csv, space->item[i].path);
  }
  for (int64_t i = 0; i < columns.count; i++) {
    co_text_printf(csv, columns.item[i].system ? ",system_attrs_" : ",user_attrs_");
    add_cell(csv, columns.item[i].key);
  }
  co_text_printf(csv, ",state\n");
  for (int64_t i = 0; i < r->trials.count; i++)
    add_trial(csv, &r->settings, &r->trials.item[i], &columns);
  return csv->status;
}

static bool is_journal(const char *path) {
  const char *dot = path ? strrchr(path, '.') : NULL;
  return dot && (strcmp(dot, ".log") == 0 || strcmp(dot, ".jsonl") == 0);
}

static co_status export(exporting *e, cohort_result *result) {
  const cohort_hyperopt_best_options *o = e->options;
  co_text *text = &result->text;
  CO_RETURN_IF_FAILED(co_require(o->study, "hyperopt export", "a study"));
  const char *const inputs[] = {o->study};
  const co_output output = {o->output, o->force, inputs, 1};
  if (o->output) CO_RETURN_IF_FAILED(co_output_begin(&e->file, e->ctx, &output));
  CO_RETURN_IF_FAILED(co_read_study_open(&e->read, e->ctx, o->study, o->name));
  if (is_journal(o->output))
    CO_RETURN_IF_FAILED(co_study_journal(text, &e->read));
  else
    CO_RETURN_IF_FAILED(add_table(text, &e->read));
  CO_RETURN_IF_FAILED(text->status);
  co_json_key(&result->json, "trials");
  co_json_int(&result->json, e->read.trials.count);
  if (!o->output) return CO_OK;
  CO_RETURN_IF_FAILED(write_file(e, text));
  text->length = 0;
  co_text_printf(text, "%s: %lld trials\n", o->output, (long long)e->read.trials.count);
  return CO_OK;
}

cohort_status cohort_hyperopt_export(cohort_context *context,
                                     const cohort_hyperopt_best_options *options,
                                     cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  exporting e = {.ctx = context->ctx, .options = options};
  co_status status = export(&e, *out);
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&e.file);
  co_read_study_free(&e.read);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "hyperopt export", status);
}
