// SPDX-License-Identifier: Apache-2.0
#include "host/api/data.h"

#include <stdio.h>
#include <string.h>

#include "host/api/table.h"
#include "host/core/file.h"

static co_status import(co_data_source *s, cohort_context *context, const cohort_data *data,
                        co_diagnostics *problems) {
  const char *folder = co_temporary_root(data->source.temporary_folder);
  char *beside = co_arena_format(s->arena, "%s/cohort.data", folder);
  const cohort_import_csv_options request = {.output = beside,
                                             .files = &data->dataset,
                                             .file_count = 1,
                                             .schema = data->schema,
                                             .targets = data->targets,
                                             .target_count = data->target_count,
                                             .key = data->key,
                                             .split = data->split,
                                             .validation_fraction = -1,
                                             .seed = data->seed,
                                             .source = data->source,
                                             .tables = data->tables};
  co_import_csv_result done;
  if (!beside) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_table_import(&done, context, s->arena, &request, &s->file, &s->dataset, NULL, problems));
  return CO_OK;
}

co_status co_data_begin(co_data_source *s, cohort_context *context, const cohort_data *data,
                        const char *verb, co_diagnostics *problems) {
  *s = (co_data_source){.ctx = context->ctx};
  CO_RETURN_IF_FAILED(co_require(data->dataset, verb, "a dataset"));
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, s->ctx));
  if (co_table_is_raw(data->dataset, &data->source)) return import(s, context, data, problems);
  const char *option = co_table_source_option(&data->source);
  if (!option) option = co_table_joins_option(&data->tables);
  if (data->target_count || data->key || data->schema || data->split || option) {
    co_status status =
        co_fail(CO_ERR_USAGE, "%s %s for a raw table; a dataset.h5 has its own",
                option ? option : "--target, --key, --schema and --split", option ? "is" : "are");
    co_hint("leave them out, or name the raw table");
    return status;
  }
  return co_dataset_open(&s->dataset, s->ctx, data->dataset);
}

void co_data_end(co_data_source *s) {
  co_error error;
  co_error_copy(&error);
  co_dataset_close(s->dataset);
  co_atomic_abort(&s->file);
  co_arena_free(s->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}

void co_data_count(char out[32], int64_t count) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)count), at = 0;
  for (int i = 0; i < length; i++) {
    if (i && (length - i) % 3 == 0 && digits[i - 1] != '-') out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = '\0';
}

// Tables besides that of the samples, with their columns.
static void report_tables(cohort_result *result, const co_schema *schema) {
  if (schema->table_count < 3) return;
  co_json_key(&result->json, "tables");
  co_json_open(&result->json, '[');
  for (int64_t i = 0; i < schema->table_count; i++) {
    const co_table *table = &schema->tables[i];
    char count[32];
    const char *between = ": ";
    if (!i || table->kind == CO_TABLE_SAMPLES) continue;
    co_json_open(&result->json, '{');
    co_json_key(&result->json, "name");
    co_json_string(&result->json, table->name);
    co_json_key(&result->json, "kind");
    co_json_string(&result->json, co_table_kind_name(table->kind));
    co_json_key(&result->json, "rows");
    co_json_int(&result->json, table->rows);
    co_json_close(&result->json);
    co_data_count(count, table->rows);
    co_text_printf(&result->text, "%s %s, %s rows",
                   table->kind == CO_TABLE_EVENTS ? "events" : "joined table", table->name, count);
    for (int64_t k = 0; k < schema->column_count; k++) {
      if (strcmp(schema->columns[k].table, table->name) != 0) continue;
      co_text_printf(&result->text, "%s%s", between, schema->columns[k].name);
      between = ", ";
    }
    co_text_printf(&result->text, "\n");
  }
  co_json_close(&result->json);
}

co_status co_data_report_rows(cohort_result *result, const cohort_data *data, co_dataset *dataset) {
  co_json *json = &result->json;
  char count[32];
  co_json_key(json, "dataset");
  co_json_string(json, data->dataset);
  co_json_key(json, "rows");
  co_json_open(json, '{');
  co_data_count(count, co_dataset_rows(dataset));
  co_text_printf(&result->text, "%s: %s rows", data->dataset, count);
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    const int64_t *rows;
    int64_t number = 0;
    CO_RETURN_IF_FAILED(co_dataset_split(dataset, (co_split)s, &rows, &number));
    co_json_key(json, co_split_name((co_split)s));
    co_json_int(json, number);
    co_data_count(count, number);
    co_text_printf(&result->text, "%s %s %s", s ? "," : ":", count, co_split_name((co_split)s));
  }
  co_json_close(json);
  co_text_printf(&result->text, "\n");
  report_tables(result, co_dataset_schema(dataset));
  return CO_OK;
}
