// SPDX-License-Identifier: Apache-2.0
// `export c`: a program of one file. What differs between models is printed here: weights, columns,
// the calls that score a row, golden rows; all else stands in scorer/ and in Cohort's own sources.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/c_text.h"
#include "host/output/c_operations.h"
#include "models/feature.h"

typedef struct printing {
  co_c_program program;
  co_exported *e;
  const co_recipe *recipe;
  co_text *out;
  co_text derived; // functions that make features of columns
  const co_column **columns;
  int64_t column_count;
  bool *declared; // per value of the section, then of the network
} printing;

// ---- columns -----------------------------------------------------------------------------------

static int64_t find_column(const printing *p, const char *name) {
  for (int64_t i = 0; i < p->column_count; i++)
    if (strcmp(p->columns[i]->name, name) == 0) return i;
  return -1;
}

static bool is_image(const printing *p) {
  return p->column_count == 1 && p->columns[0]->type == CO_COLUMN_IMAGE;
}

// What rows in text can have: no events, no vectors, and images alone.
static co_status check_columns(const printing *p) {
  for (int64_t i = 0; i < p->column_count; i++) {
    const co_column *column = p->columns[i];
    if (column->table || column->type == CO_COLUMN_VECTOR)
      return co_exported_refuse(p->e, column->table ? "the column of events" : "the vector",
                                column->name, "C");
    if (column->type == CO_COLUMN_IMAGE && p->column_count > 1)
      return co_exported_refuse(p->e, "the image beside other columns", column->name, "C");
  }
  return CO_OK;
}

static co_status list_columns(printing *p) {
  const co_model *model = p->e->model;
  int64_t most = 0;
  for (int64_t i = 0; i < model->input_count; i++)
    most += model->inputs[i].column_count;
  p->columns = co_arena_alloc(p->e->arena, (size_t)most + 1, sizeof *p->columns);
  if (!p->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->inputs[i].column_count; k++)
      if (find_column(p, model->inputs[i].columns[k]->name) < 0)
        p->columns[p->column_count++] = model->inputs[i].columns[k];
  return check_columns(p);
}

// Hashed inputs would need the key.
static co_status check_pseudonyms(const printing *p) {
  for (int64_t i = 0; i < p->recipe->rows.pseudonymized_count; i++)
    if (find_column(p, p->recipe->rows.pseudonymized[i]) >= 0)
      return co_exported_refuse(p->e, "the pseudonymized input", p->recipe->rows.pseudonymized[i],
                                "C");
  if (p->recipe->rows.decimal_comma)
    return co_exported_refuse(p->e, "the table with decimal commas", p->recipe->table, "C");
  return CO_OK;
}

// Whether a feature that is made of this number or binary refuses a missing one.
static bool is_required(const printing *p, const co_column *column) {
  const co_model *model = p->e->model;
  const double missing = (double)NAN;
  const int64_t sample = 0;
  bool scalar = column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_BINARY;
  for (int64_t i = 0; scalar && i < model->input_count; i++) {
    const co_input_feature *feature = &model->inputs[i];
    int64_t counts[CO_COUNT_KINDS] = {0};
    if (feature->column_count != 1 || strcmp(feature->column->name, column->name) != 0 ||
        !feature->class_->input->check)
      continue;
    if (feature->class_->input->check(feature, &missing, 1, &sample, counts) == CO_OK) continue;
    co_error_clear();
    return true;
  }
  return false;
}

static int by_word(const void *a, const void *b) {
  return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

// Of a category in the order of their bytes, with the codes; of a binary as they are.
static co_status print_words(printing *p, int64_t number, const co_column *column, int64_t *count) {
  static const char *const plain[] = {"0", "1"};
  const char *const *words = column->category_count ? column->categories : plain;
  *count = column->type == CO_COLUMN_BINARY ? 2 : column->category_count;
  const char *const **order = co_arena_alloc(p->e->arena, (size_t)*count + 1, sizeof *order);
  if (!order) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < *count; i++)
    order[i] = &words[i];
  if (column->type == CO_COLUMN_CATEGORY) qsort(order, (size_t)*count, sizeof *order, by_word);
  co_text_printf(p->out, "static const word words_%lld[] = {\n", (long long)number);
  for (int64_t i = 0; i < *count; i++) {
    co_text_printf(p->out, "  {");
    co_c_string(p->out, *order[i]);
    co_text_printf(p->out, ", %lld},\n", (long long)(order[i] - words));
  }
  co_text_printf(p->out, "%s};\n", *count ? "" : "  {\"\", 0},\n");
  return CO_OK;
}

static bool has_words(const co_column *column) {
  return column->type == CO_COLUMN_CATEGORY || column->type == CO_COLUMN_BINARY;
}

static char type_letter(const co_column *column) {
  static const char letters[CO_COLUMN_TYPE_COUNT] = {[CO_COLUMN_NUMBER] = 'n',
                                                     [CO_COLUMN_CATEGORY] = 'c',
                                                     [CO_COLUMN_BINARY] = 'b',
                                                     [CO_COLUMN_DATE] = 'd',
                                                     [CO_COLUMN_TEXT] = 't'};
  return letters[column->type];
}

static co_status print_columns(printing *p) {
  int64_t *counts = co_arena_alloc(p->e->arena, (size_t)p->column_count + 1, sizeof *counts);
  if (!counts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < p->column_count; i++)
    if (has_words(p->columns[i])) CO_RETURN_IF_FAILED(print_words(p, i, p->columns[i], &counts[i]));
  co_text_printf(p->out, "static const column columns[] = {\n");
  for (int64_t i = 0; i < p->column_count; i++) {
    const co_column *column = p->columns[i];
    const co_recipe_column *recipe = co_recipe_find(p->recipe, column->name);
    co_text_printf(p->out, "  {");
    co_c_string(p->out, column->name);
    co_text_printf(p->out, ", '%c', %s, ", type_letter(column),
                   is_required(p, column) ? "true" : "false");
    co_c_string(p->out, recipe ? recipe->strip_suffix : NULL);
    co_text_printf(p->out, ", ");
    co_c_string(p->out, recipe ? recipe->format : NULL);
    if (has_words(column))
      co_text_printf(p->out, ", words_%lld, %lld},\n", (long long)i, (long long)counts[i]);
    else
      co_text_printf(p->out, ", NULL, 0},\n");
  }
  co_text_printf(p->out, "};\n");
  return p->out->status;
}

// ---- what operations read and write ------------------------------------------------------------

static const char *type_word(co_dtype dtype) {
  return dtype == CO_I32 ? "int" : dtype == CO_U8 ? "unsigned char" : "float";
}

static co_status print_array(co_text *out, const char *name, co_dtype dtype, const void *values,
                             int64_t count) {
  if (dtype == CO_I32)
    co_c_ints(out, name, values, count);
  else if (dtype == CO_F32)
    co_c_floats(out, name, values, count);
  else
    return co_fail(CO_ERR_INTERNAL, "a constant of type %s in C", co_dtype_name(dtype));
  return out->status;
}

static co_status constant_of(printing *p, const co_plan *plan, co_value value, const void **out) {
  const co_plan_value *v = &plan->values[value];
  const float *weights;
  *out = NULL;
  if (v->info.storage == CO_STORAGE_PARAM || v->info.storage == CO_STORAGE_STATE) {
    CO_RETURN_IF_FAILED(co_exported_weights(p->e, value, &weights));
    *out = weights;
  } else if (v->info.storage == CO_STORAGE_CONSTANT) {
    *out = plan->graph->constants[v->info.index].bytes;
  } else if (v->info.storage == CO_STORAGE_INPUT && plan == p->e->section_plan) {
    const co_feed *feed = co_exported_feed(p->e, v->info.index);
    if (feed && feed->kind == CO_FEED_FITTED) return co_exported_fitted(p->e, feed, out);
  }
  return CO_OK;
}

static co_status declare(printing *p, const co_plan *plan, co_value value) {
  char name[32];
  const void *values;
  if (value == CO_NO_VALUE) return CO_OK;
  value = co_exported_base(plan, value);
  const co_plan_value *v = &plan->values[value];
  int64_t count = co_shape_count(&v->info.desc.shape);
  bool network = plan == p->e->network;
  bool *done = &p->declared[(network ? p->e->section_plan->value_count : 0) + value];
  bool fed = network && v->info.storage == CO_STORAGE_INPUT && !p->e->model->scored;
  if (*done || fed) return CO_OK;
  *done = true;
  CO_RETURN_IF_FAILED(constant_of(p, plan, value, &values));
  snprintf(name, sizeof name, "%c%d", co_c_letter(p->e, plan), (int)value);
  if (values) {
    co_text_printf(p->out, "// %s\n", v->info.name ? v->info.name : "");
    return print_array(p->out, name, v->info.desc.dtype, values, count);
  }
  co_text_printf(p->out, "static %s %s[%lld];\n", type_word(v->info.desc.dtype), name,
                 (long long)count);
  return p->out->status;
}

static co_status print_operations(printing *p, const co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      CO_RETURN_IF_FAILED(declare(p, plan, plan->ops[i].in[k]));
      CO_RETURN_IF_FAILED(declare(p, plan, plan->ops[i].out[k]));
    }
    CO_RETURN_IF_FAILED(co_c_operation(&p->program, plan, &plan->ops[i]));
  }
  return CO_OK;
}

// ---- from columns to what the section is fed ---------------------------------------------------

// A function that makes a feature of its columns, and its call.
static co_status print_derivation(printing *p, const co_derivation *d, const char *feature,
                                  int number, const char *name, int64_t at) {
  co_text *body = &p->program.body;
  if (!d->print_c) return co_exported_refuse(p->e, "the feature", feature, "C");
  for (const char *part = d->c_sections; part && *part;) {
    size_t length = strcspn(part, ",");
    CO_RETURN_IF_FAILED(co_c_need(&p->program, co_arena_strndup(p->e->arena, part, length)));
    part += length + strspn(part + length, ", ");
  }
  co_text_printf(&p->derived,
                 "\nstatic void derive_%d(const double *values, const char *text, %s *out) {\n"
                 "  (void)values, (void)text;\n",
                 number, type_word(d->dtype));
  d->print_c(d->user, &p->derived);
  co_text_printf(&p->derived, "}\n");
  co_text_printf(body, "  derive_%d((const double[]){", number);
  for (int64_t i = 0; i < d->column_count; i++)
    co_text_printf(body, "%snumber[%lld]", i ? ", " : "",
                   (long long)find_column(p, d->columns[i]->name));
  co_text_printf(body, "}, text[%lld], %s + %lld);\n",
                 (long long)find_column(p, d->columns[0]->name), name, (long long)at);
  return CO_OK;
}

static co_status print_derivations(printing *p, const co_feed *feed, const char *name,
                                   int *number) {
  int64_t at = 0;
  for (int64_t k = 0; k < feed->derivation_count; k++) {
    const co_derivation *d = feed->derivations[k];
    CO_RETURN_IF_FAILED(print_derivation(p, d, d->columns[0]->name, (*number)++, name, at));
    at += d->width;
  }
  return CO_OK;
}

static void print_stored(printing *p, const co_feed *feed, const char *name) {
  co_text *body = &p->program.body;
  for (int64_t k = 0; k < feed->column_count; k++) {
    const co_column *column = feed->columns[k];
    long long to = (long long)k, from = (long long)find_column(p, column->name);
    const double *pivot = feed->pivots ? feed->pivots[k]->bytes : NULL;
    if (column->type == CO_COLUMN_IMAGE) {
      co_text_printf(body, "  memcpy(%s, image, sizeof %s);\n", name, name);
    } else if (column->type == CO_COLUMN_CATEGORY) {
      co_text_printf(body, "  %s[%lld] = isnan(number[%lld]) ? -1 : (int)number[%lld];\n", name, to,
                     from, from);
    } else {
      co_text_printf(body, "  %s[%lld] = (float)(number[%lld]", name, to, from);
      if (pivot && *pivot != 0) {
        co_text_printf(body, " - ");
        co_c_double(body, *pivot);
      }
      co_text_printf(body, ");\n");
    }
  }
}

static co_status print_feeds(printing *p) {
  const co_section *section = p->e->section;
  int number = 0;
  for (int64_t i = 0; i < section->feeds.count; i++) {
    const co_feed *feed = &section->feeds.items[i];
    co_value value = section->graph->inputs[feed->input];
    char name[32];
    if (feed->kind != CO_FEED_ROWS) continue;
    snprintf(name, sizeof name, "s%d", (int)value);
    CO_RETURN_IF_FAILED(declare(p, p->e->section_plan, value));
    if (feed->derivations)
      CO_RETURN_IF_FAILED(print_derivations(p, feed, name, &number));
    else
      print_stored(p, feed, name);
  }
  return p->program.body.status;
}

// ---- linear models -----------------------------------------------------------------------------

// Where the columns of the design matrix come from: numbers side by side, codes as places.
static void print_design(printing *p) {
  const co_exported *e = p->e;
  const co_design_columns *columns = &e->estimator->columns;
  co_text *body = &p->program.body;
  int64_t number = 0, code = 0;
  co_text_printf(p->out, "static float design[%lld];\nstatic int places[%lld];\n",
                 (long long)columns->numbers + 1, (long long)columns->codes + 1);
  for (int64_t i = 0; i < e->model->block_count; i++) {
    co_value input = e->model->blocks[i].network_input;
    const co_tensor_desc *desc = &e->network->values[input].info.desc;
    if (desc->dtype == CO_I32) {
      co_text_printf(body, "  places[%lld] = %lld + ", (long long)code,
                     (long long)columns->code_first[code]);
      co_c_value(body, e, e->network, input);
      co_text_printf(body, "[0];\n");
      code++;
      continue;
    }
    co_text_printf(body, "  memcpy(design + %lld, ", (long long)number);
    co_c_value(body, e, e->network, input);
    co_text_printf(body, ", sizeof ");
    co_c_value(body, e, e->network, input);
    co_text_printf(body, ");\n");
    number += co_shape_count(&desc->shape);
  }
}

static co_status print_estimator(printing *p) {
  co_exported *e = p->e;
  CO_RETURN_IF_FAILED(co_c_need(&p->program, "linear"));
  print_design(p);
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    const co_fitted *coefficients, *intercepts;
    const co_shape matrix = co_shape_make(2, e->estimator->columns.count, output->width);
    const co_shape vector = co_shape_make(1, output->width);
    co_value head = e->model->network->inputs[output->head_input];
    char name[48];
    CO_RETURN_IF_FAILED(
        co_estimator_array(e->estimator, i, "coefficients", CO_F64, &matrix, &coefficients));
    CO_RETURN_IF_FAILED(
        co_estimator_array(e->estimator, i, "intercepts", CO_F64, &vector, &intercepts));
    CO_RETURN_IF_FAILED(declare(p, e->network, head));
    snprintf(name, sizeof name, "coefficients_%d", (int)i);
    co_c_doubles(p->out, name, coefficients->bytes, co_shape_count(&matrix));
    snprintf(name, sizeof name, "intercepts_%d", (int)i);
    co_c_doubles(p->out, name, intercepts->bytes, output->width);
    co_text_printf(&p->program.body,
                   "  linear(design, %lld, places, %lld, coefficients_%d, intercepts_%d, %c%d, "
                   "%lld);\n",
                   (long long)e->estimator->columns.numbers, (long long)e->estimator->columns.codes,
                   (int)i, (int)i, co_c_letter(e, e->network),
                   (int)co_exported_base(e->network, head), (long long)output->width);
  }
  return CO_OK;
}

// ---- outputs -----------------------------------------------------------------------------------

static char output_letter(const co_output_feature *output) {
  co_column_type type = output->column ? output->column->type : CO_COLUMN_NUMBER;
  return type == CO_COLUMN_BINARY ? 'b' : type == CO_COLUMN_CATEGORY ? 'c' : 'n';
}

static void print_names(printing *p, int64_t number, const co_output_feature *output) {
  static const char *const plain[] = {"0", "1"};
  const co_column *column = output->column;
  int64_t count = output_letter(output) == 'b' ? 2 : column->category_count;
  const char *const *names = column->category_count ? column->categories : plain;
  co_text_printf(p->out, "static const char *const names_%lld[] = {\n", (long long)number);
  for (int64_t i = 0; i < count; i++) {
    co_text_printf(p->out, "  ");
    co_c_string(p->out, names[i]);
    co_text_printf(p->out, ",\n");
  }
  co_text_printf(p->out, "};\n");
}

static void print_output(printing *p, int64_t i) {
  const co_exported *e = p->e;
  const co_output_feature *output = &e->model->outputs[i];
  char letter = output_letter(output);
  co_text_printf(p->out, "  {'%c', %lld, ", letter, (long long)output->width);
  co_c_value(p->out, e, e->network, e->network->outputs[output->prediction]);
  if (letter == 'n')
    co_text_printf(p->out, ", NULL, ");
  else
    co_text_printf(p->out, ", names_%lld, ", (long long)i);
  co_c_double(p->out,
              letter == 'b' && output->decision.labels ? co_output_threshold(output) : (double)NAN);
  co_text_printf(p->out, "},\n");
}

static co_status print_cells(printing *p) {
  int64_t count = 0;
  co_text_printf(p->out, "static const char *const cells[] = {\n");
  for (int64_t i = 0; i < p->e->model->output_count; i++) {
    const co_output_feature *output = &p->e->model->outputs[i];
    const co_output_class *class_ = output->class_->output;
    for (int64_t k = 0; k < class_->cells(output); k++, count++) {
      char *name = class_->cell_name(p->e->ctx, output, k);
      if (!name) return CO_ERR_MEMORY;
      co_text_printf(p->out, "  ");
      co_c_string(p->out, name);
      co_text_printf(p->out, ",\n");
      co_free(p->e->ctx, name);
    }
  }
  co_text_printf(p->out, "};\nenum { CELLS = %lld };\n", (long long)count);
  return p->out->status;
}

static co_status print_outputs(printing *p) {
  const co_model *model = p->e->model;
  CO_RETURN_IF_FAILED(co_c_part(p->out, "output type"));
  for (int64_t i = 0; i < model->output_count; i++)
    if (output_letter(&model->outputs[i]) != 'n') print_names(p, i, &model->outputs[i]);
  co_text_printf(p->out, "static const output outputs[] = {\n");
  for (int64_t i = 0; i < model->output_count; i++)
    print_output(p, i);
  co_text_printf(p->out, "};\nenum { OUTPUTS = %lld };\n", (long long)model->output_count);
  CO_RETURN_IF_FAILED(print_cells(p));
  return co_c_part(p->out, "outputs");
}

// ---- golden rows -------------------------------------------------------------------------------

static co_status damaged(const printing *p) {
  return co_fail_at(CO_ERR_MODEL, p->e->path, 0, 0, "its golden rows are damaged");
}

// Row by row, a number a column; texts have none.
static co_status collect_numbers(const printing *p, int64_t rows, double *out) {
  for (int64_t i = 0; i < p->column_count; i++) {
    const co_column *column = p->columns[i];
    const co_fitted *array = co_model_arrays_find(&p->e->golden.inputs, column->name, "values");
    co_dtype dtype = column->type == CO_COLUMN_CATEGORY ? CO_I32 : CO_F64;
    bool text = column->type == CO_COLUMN_TEXT;
    if (!text && (!array || array->dtype != dtype || co_shape_count(&array->shape) != rows))
      return damaged(p);
    for (int64_t r = 0; r < rows; r++) {
      double value = (double)NAN;
      if (!text && dtype == CO_F64) value = ((const double *)array->bytes)[r];
      if (!text && dtype == CO_I32 && ((const int32_t *)array->bytes)[r] >= 0)
        value = ((const int32_t *)array->bytes)[r];
      out[r * p->column_count + i] = value;
    }
  }
  return CO_OK;
}

// The r-th text of a column, NULL where there is none.
static const char *text_at(const printing *p, int64_t column, int64_t r) {
  const co_fitted *array =
      co_model_arrays_find(&p->e->golden.inputs, p->columns[column]->name, "texts");
  if (!array || array->dtype != CO_U8) return NULL;
  const char *at = array->bytes, *end = at + co_shape_count(&array->shape);
  for (; at < end; at += strlen(at) + 1) {
    if (!memchr(at, 0, (size_t)(end - at))) return NULL;
    if (r-- == 0) return at;
  }
  return NULL;
}

static co_status print_golden_table(printing *p, int64_t rows) {
  double *numbers =
      co_arena_alloc(p->e->arena, (size_t)(rows * p->column_count) + 1, sizeof *numbers);
  if (!numbers) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(collect_numbers(p, rows, numbers));
  co_c_doubles(p->out, "golden_numbers", numbers, rows * p->column_count);
  co_text_printf(p->out, "static const char *const golden_texts[] = {\n");
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < p->column_count; i++) {
      bool is_text = p->columns[i]->type == CO_COLUMN_TEXT;
      const char *text = is_text ? text_at(p, i, r) : "";
      if (!text) return damaged(p);
      co_text_printf(p->out, "  ");
      co_c_string(p->out, text);
      co_text_printf(p->out, ",\n");
    }
  co_text_printf(p->out, "};\n\n"
                         "static void score_golden_row(int r) {\n"
                         "  score(golden_numbers + r * COLUMNS, golden_texts + r * COLUMNS, "
                         "NULL);\n"
                         "}\n");
  return p->out->status;
}

static co_status print_golden_images(printing *p, int64_t rows) {
  const co_fitted *array =
      co_model_arrays_find(&p->e->golden.inputs, p->columns[0]->name, "values");
  int64_t pixels = co_shape_count(&p->columns[0]->shape);
  if (!array || array->dtype != CO_U8 || co_shape_count(&array->shape) != rows * pixels)
    return damaged(p);
  co_c_bytes(p->out, "golden_images", array->bytes, rows * pixels);
  co_text_printf(p->out,
                 "\nstatic void score_golden_row(int r) {\n"
                 "  score(NULL, NULL, golden_images + r * %lld);\n"
                 "}\n",
                 (long long)pixels);
  return p->out->status;
}

static co_status print_golden(printing *p) {
  const co_model *model = p->e->model;
  const co_model_golden *golden = &p->e->golden;
  int64_t rows = co_golden_rows(golden), width = 0, at = 0;
  if (!rows) return co_c_part(p->out, "no golden");
  for (int64_t i = 0; i < model->output_count; i++)
    width += model->outputs[i].width;
  float *scores = co_arena_alloc(p->e->arena, (size_t)(rows * width) + 1, sizeof *scores);
  if (!scores) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_fitted *array =
        co_model_arrays_find(&golden->scores, model->outputs[i].name, "scores");
    int64_t count = rows * model->outputs[i].width;
    if (!array || array->dtype != CO_F32 || co_shape_count(&array->shape) != count)
      return damaged(p);
    memcpy(scores + at, array->bytes, (size_t)count * sizeof *scores);
    at += count;
  }
  co_text_printf(p->out,
                 "\nenum { GOLDEN_ROWS = %lld };\nstatic const double GOLDEN_ROUNDING = %.1g;\n",
                 (long long)rows, golden->rounding);
  co_c_floats(p->out, "golden_scores", scores, rows * width);
  CO_RETURN_IF_FAILED(is_image(p) ? print_golden_images(p, rows) : print_golden_table(p, rows));
  return co_c_part(p->out, "golden");
}

// ---- the file ----------------------------------------------------------------------------------

static const char *key_of(const printing *p) {
  for (int64_t i = 0; i < p->recipe->column_count; i++)
    if (p->recipe->columns[i].role == CO_RECIPE_KEY) return p->recipe->columns[i].name;
  return NULL;
}

static bool has_dates(const printing *p) {
  for (int64_t i = 0; i < p->column_count; i++)
    if (p->columns[i]->type == CO_COLUMN_DATE) return true;
  return false;
}

static co_status print_head(printing *p) {
  static const char *const headers[] = {"float", "math",   "stdbool", "stdint",
                                        "stdio", "stdlib", "string",  "strings"};
  co_text_printf(p->out,
                 "// A model as a program, made by `cohort export c` %s. Weights: SHA-256\n"
                 "// %s.\n"
                 "// Compile: cc -std=c11 -O2 -o scorer THIS_FILE -lm\n",
                 COHORT_VERSION, p->e->file.weights_sha256);
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    if (strcmp(headers[i], "strings") != 0 || has_dates(p))
      co_text_printf(p->out, "#include <%s.h>\n", headers[i]);
  return co_c_part(p->out, "basics");
}

// Names of columns where files have none, as in training.
static void print_header(printing *p) {
  const co_rows_options *rows = &p->recipe->rows;
  co_text_printf(p->out, "enum { HEADER = %lld, SKIPPED_LINES = %lld, USUAL_DELIMITER = %d };\n",
                 (long long)rows->header_count, (long long)rows->skip_lines, rows->delimiter);
  co_text_printf(p->out, "static const char *const header[] = {");
  for (int64_t i = 0; i < rows->header_count; i++) {
    co_c_string(p->out, rows->header[i]);
    co_text_printf(p->out, ", ");
  }
  co_text_printf(p->out, "NULL};\n");
}

static co_status print_table_head(printing *p) {
  static const char *const parts[] = {"cells", "date kinds", "columns", NULL};
  static const char *const without[] = {"cells", "columns", NULL};
  CO_RETURN_IF_FAILED(co_c_parts(p->out, has_dates(p) ? parts : without));
  if (has_dates(p)) CO_RETURN_IF_FAILED(co_c_part(p->out, "dates"));
  co_text_printf(p->out, "\n#define DATES %d\n", has_dates(p));
  co_text_printf(p->out, "enum { COLUMNS = %lld, QUOTES = %d };\n", (long long)p->column_count,
                 !p->recipe->rows.no_quotes);
  co_text_printf(p->out, "static const char *const default_key = ");
  co_c_string(p->out, key_of(p));
  co_text_printf(p->out, ";\n");
  print_header(p);
  return print_columns(p);
}

static void print_image_head(printing *p) {
  const co_shape *shape = &p->columns[0]->shape;
  co_text_printf(p->out, "\nenum { HEIGHT = %lld, WIDTH = %lld, CHANNELS = %lld };\n",
                 (long long)shape->dim[0], (long long)shape->dim[1], (long long)shape->dim[2]);
}

static co_status print_predictions(printing *p) {
  if (p->e->estimator) CO_RETURN_IF_FAILED(print_estimator(p));
  return print_operations(p, p->e->network);
}

static void print_prediction(printing *p, const co_exported *e, int64_t output) {
  co_c_value(&p->program.body, e, e->network,
             e->network->outputs[e->model->outputs[output].prediction]);
}

// Of a blend: what its network predicts becomes what both do.
static co_status print_mix(printing *p) {
  const co_exported *e = p->e;
  co_text *body = &p->program.body;
  CO_RETURN_IF_FAILED(co_c_need(&p->program, "mix"));
  for (int64_t i = 0; i < e->model->output_count; i++) {
    co_text_printf(body, "  mix(");
    print_prediction(p, e, i);
    co_text_printf(body, ", ");
    print_prediction(p, e->baseline, i);
    co_text_printf(body, ", %lld, ", (long long)e->model->outputs[i].width);
    co_c_double(body, (double)e->blend[i]);
    co_text_printf(body, ");\n");
  }
  return CO_OK;
}

static co_status print_blend(printing *p) {
  co_exported *e = p->e;
  const int64_t values = e->section_plan->value_count + e->baseline->network->value_count;
  p->declared = co_arena_alloc(e->arena, (size_t)values + 1, sizeof *p->declared);
  if (!p->declared) return CO_ERR_MEMORY;
  p->e = p->program.exported = e->baseline;
  co_status status = print_predictions(p);
  p->e = p->program.exported = e;
  return status == CO_OK ? print_mix(p) : status;
}

// Data to p->out, calls to the body; both are put together by print_score.
static co_status collect_score(printing *p) {
  CO_RETURN_IF_FAILED(print_feeds(p));
  CO_RETURN_IF_FAILED(print_operations(p, p->e->section_plan));
  CO_RETURN_IF_FAILED(print_predictions(p));
  return p->e->baseline ? print_blend(p) : CO_OK;
}

static co_status print_score(printing *p) {
  co_text *final = p->out, data;
  co_text_init(&data, p->e->ctx);
  p->out = &data;
  co_status status = collect_score(p);
  p->out = final;
  if (status == CO_OK && p->program.widest)
    co_text_printf(final, "\nstatic double sums[%lld];\n", (long long)p->program.widest);
  for (int64_t i = 0; status == CO_OK && i < p->program.part_count; i++)
    status = co_c_part(final, p->program.parts[i]);
  co_text_append(final, p->derived.data ? p->derived.data : "", p->derived.length);
  co_text_printf(final, "\n");
  co_text_append(final, data.data ? data.data : "", data.length);
  co_text_printf(final, "\n// All that the model makes of one row.\n"
                        "static void score(const double *number, const char *const *text,\n"
                        "                  const unsigned char *image) {\n"
                        "  (void)number, (void)text, (void)image;\n");
  co_text_append(final, p->program.body.data ? p->program.body.data : "", p->program.body.length);
  co_text_printf(final, "}\n");
  const co_text *const texts[] = {&data, &p->program.body, &p->derived, final};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (status == CO_OK) status = texts[i]->status; // of a text that is cut off
  co_text_free(&data);
  return status;
}

static co_status print_program(printing *p) {
  static const char *const table[] = {"table", "table help", NULL};
  static const char *const images[] = {"images", "image help", NULL};
  CO_RETURN_IF_FAILED(list_columns(p));
  CO_RETURN_IF_FAILED(check_pseudonyms(p));
  p->declared = co_arena_alloc(
      p->e->arena, (size_t)(p->e->section_plan->value_count + p->e->network->value_count) + 1,
      sizeof *p->declared);
  if (!p->declared) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(print_head(p));
  if (is_image(p))
    print_image_head(p);
  else
    CO_RETURN_IF_FAILED(print_table_head(p));
  CO_RETURN_IF_FAILED(print_score(p));
  CO_RETURN_IF_FAILED(print_outputs(p));
  CO_RETURN_IF_FAILED(co_c_parts(p->out, is_image(p) ? images : table));
  CO_RETURN_IF_FAILED(print_golden(p));
  return co_c_part(p->out, "main");
}

co_status co_export_c(co_text *out, co_exported *exported, const co_recipe *recipe) {
  CO_RETURN_IF_FAILED(co_exported_check(exported, "C"));
  printing p = {.program = {.exported = exported}, .e = exported, .recipe = recipe, .out = out};
  co_text_init(&p.program.body, exported->ctx);
  co_text_init(&p.derived, exported->ctx);
  co_status status = print_program(&p);
  co_text_free(&p.program.body);
  co_text_free(&p.derived);
  co_free(exported->ctx, p.program.parts);
  return status == CO_OK ? out->status : status;
}
