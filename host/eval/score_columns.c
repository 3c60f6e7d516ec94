// SPDX-License-Identifier: Apache-2.0
#include "host/eval/score_columns.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/hash.h"
#include "host/core/number.h"

// ---- the list ----------------------------------------------------------------------------------

static const char *key_name(const co_dataset *dataset) {
  const co_column *key = co_dataset_key_column(dataset);
  return key ? key->name : "row";
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// A name that two columns have; NULL = none.
static co_status find_repeated(const char **out, co_arena *arena, const co_score_columns *columns) {
  const char **sorted = co_arena_alloc(arena, (size_t)columns->count, sizeof *sorted);
  *out = NULL;
  if (!sorted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < columns->count; i++)
    sorted[i] = columns->column[i].name;
  qsort(sorted, (size_t)columns->count, sizeof *sorted, by_name);
  for (int64_t i = 1; !*out && i < columns->count; i++)
    if (strcmp(sorted[i - 1], sorted[i]) == 0) *out = sorted[i];
  return CO_OK;
}

static co_status check_names(co_arena *arena, const co_score_columns *columns,
                             const co_dataset *dataset) {
  const char *repeated;
  CO_RETURN_IF_FAILED(find_repeated(&repeated, arena, columns));
  if (!repeated) return CO_OK;
  bool key = strcmp(repeated, columns->column[0].name) == 0;
  co_status status = co_fail_at(CO_ERR_DATA, co_dataset_path(dataset), 0, 0,
                                "scores would have two columns called '%.200s'%s", repeated,
                                key ? ": the key's and an output's" : "");
  co_hint("give %s another name in the dataset", key ? "the key" : "one of the targets");
  return status;
}

// `name` NULL = there was no memory for it.
static co_status add(co_score_columns *columns, co_arena *arena, const char *name,
                     const co_score_column *column) {
  if (!name) return CO_ERR_MEMORY;
  if (columns->count == columns->capacity) {
    int64_t capacity = 2 * columns->capacity + 8;
    co_score_column *larger = co_arena_alloc(arena, (size_t)capacity, sizeof *larger);
    if (!larger) return CO_ERR_MEMORY;
    if (columns->count) memcpy(larger, columns->column, (size_t)columns->count * sizeof *larger);
    columns->column = larger;
    columns->capacity = capacity;
  }
  co_score_column *added = &columns->column[columns->count++];
  *added = *column;
  added->name = name;
  return CO_OK;
}

static co_status add_key(co_score_columns *columns, co_arena *arena, const co_dataset *dataset,
                         const char *name) {
  const co_score_column column = {.content = CO_SCORE_KEY,
                                  .type = co_dataset_key_column(dataset) ? CO_SCORE_TEXT
                                                                         : CO_SCORE_INTEGER};
  return add(columns, arena, co_arena_strdup(arena, name ? name : key_name(dataset)), &column);
}

// Whether a cell is a text does not hang on the scores.
static co_status find_type(co_score_columns *columns, co_arena *arena,
                           const co_output_feature *output, int64_t index, co_score_type *out) {
  if (columns->zero_count < output->width) {
    columns->zeros = co_arena_alloc(arena, (size_t)output->width, sizeof *columns->zeros);
    if (!columns->zeros) return CO_ERR_MEMORY;
    columns->zero_count = output->width;
  }
  const char *text = output->class_->output->cell(output, columns->zeros, index).text;
  *out = text ? CO_SCORE_TEXT : CO_SCORE_NUMBER;
  return CO_OK;
}

// A cell as the output's class has it; `name` NULL = as the class calls it.
static co_status add_cell(co_score_columns *columns, co_arena *arena,
                          const co_output_feature *output, int64_t index, const char *name) {
  const co_output_class *class_ = output->class_->output;
  co_score_column column = {.content = CO_SCORE_CELL, .output = output, .index = index};
  char *own = name ? NULL : class_->cell_name(columns->model->ctx, output, index);
  const char *kept = name || own ? co_arena_strdup(arena, name ? name : own) : NULL;
  co_free(columns->model->ctx, own);
  CO_RETURN_IF_FAILED(find_type(columns, arena, output, index, &column.type));
  return add(columns, arena, kept, &column);
}

static bool has_classes(const co_output_feature *output) {
  return output->column && output->column->type == CO_COLUMN_CATEGORY;
}

// Of an output, how many of its likeliest classes are shown.
static int64_t top_of(const co_output_feature *output, int64_t top) {
  return !top || !has_classes(output) ? 0 : top < output->width ? top : output->width;
}

static co_status add_top(co_score_columns *columns, co_arena *arena,
                         const co_output_feature *output, int64_t top) {
  for (int64_t k = 0; k < top; k++)
    for (int score = 0; score < 2; score++) {
      const co_score_column column = {.content = score ? CO_SCORE_TOP_SCORE : CO_SCORE_TOP,
                                      .type = score ? CO_SCORE_NUMBER : CO_SCORE_TEXT,
                                      .output = output,
                                      .index = k};
      CO_RETURN_IF_FAILED(add(columns, arena,
                              co_arena_format(arena, "%s_%lld%s", output->name, (long long)k + 1,
                                              score ? "_score" : ""),
                              &column));
    }
  return CO_OK;
}

co_status co_score_columns_list(co_score_columns *out, co_arena *arena, const co_model *model,
                                const co_dataset *dataset, int64_t top) {
  int64_t ranked = 0;
  *out = (co_score_columns){.model = model};
  CO_RETURN_IF_FAILED(add_key(out, arena, dataset, NULL));
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    int64_t most = top_of(output, top);
    ranked += most;
    CO_RETURN_IF_FAILED(add_top(out, arena, output, most));
    for (int64_t k = 0; !most && k < output->class_->output->cells(output); k++)
      CO_RETURN_IF_FAILED(add_cell(out, arena, output, k, NULL));
  }
  if (top && !ranked)
    return co_fail(CO_ERR_USAGE, "--top-k: no output of the model is one of several classes");
  return check_names(arena, out, dataset);
}

// ---- chosen columns ----------------------------------------------------------------------------

static bool is_binary(const co_output_feature *output) {
  return output->column && output->column->type == CO_COLUMN_BINARY;
}

// A reconstruction of columns has its error.
bool co_score_is_one(const co_output_feature *output) {
  return output->width == 1 || is_binary(output) || has_classes(output) || output->parts;
}

// The class's cell with the score.
static int64_t score_cell(const co_output_feature *output) {
  return is_binary(output) || has_classes(output) ? 1 : 0;
}

double co_score_of(const co_output_feature *output, const float *row) {
  return output->class_->output->cell(output, row, score_cell(output)).number;
}

typedef struct choice {
  const char *text; // as it was given
  const char *what; // without output and name
  const char *name; // NULL = by default
  const co_output_feature *output;
} choice;

static co_status no_such(const choice *c, const char *why) {
  return co_fail(CO_ERR_USAGE, "--columns %.200s: the output '%.200s' %s", c->text, c->output->name,
                 why);
}

static co_status choose_prediction(co_score_columns *columns, co_arena *arena, const choice *c) {
  int64_t cells = is_binary(c->output) || has_classes(c->output)
                      ? 1
                      : c->output->class_->output->cells(c->output);
  if (c->name && cells > 1) return no_such(c, "has several of them; one name is not enough");
  for (int64_t k = 0; k < cells; k++)
    CO_RETURN_IF_FAILED(add_cell(columns, arena, c->output, k, c->name));
  return CO_OK;
}

static co_status choose_score(co_score_columns *columns, co_arena *arena, const choice *c) {
  if (!co_score_is_one(c->output))
    return no_such(c, c->output->text ? "has no single score; prediction has its text"
                                      : "has no single score; prediction has its numbers");
  const char *name = c->name ? c->name : co_arena_format(arena, "%s_score", c->output->name);
  if (!name) return CO_ERR_MEMORY;
  return add_cell(columns, arena, c->output, score_cell(c->output), name);
}

// What the decision says; of one of several classes, the likeliest.
static co_status choose_label(co_score_columns *columns, co_arena *arena, const choice *c) {
  if (!is_binary(c->output) && !has_classes(c->output)) return no_such(c, "has no classes");
  const char *name = c->name ? c->name : co_arena_format(arena, "%s_label", c->output->name);
  if (!name) return CO_ERR_MEMORY;
  return add_cell(columns, arena, c->output, is_binary(c->output) ? 2 : 0, name);
}

static co_status choose_probabilities(co_score_columns *columns, co_arena *arena, const choice *c) {
  static const char *const plain[] = {"0", "1"};
  if (!is_binary(c->output) && !has_classes(c->output)) return no_such(c, "has no classes");
  if (c->name) return no_such(c, "has several of them; one name is not enough");
  const char *const *classes =
      c->output->column->categories ? c->output->column->categories : plain;
  int64_t count = is_binary(c->output) ? 2 : c->output->width;
  for (int64_t k = 0; k < count; k++) {
    const co_score_column column = {
        .content = CO_SCORE_PROBABILITY, .type = CO_SCORE_NUMBER, .output = c->output, .index = k};
    CO_RETURN_IF_FAILED(
        add(columns, arena, co_arena_format(arena, "%s:%s", c->output->name, classes[k]), &column));
  }
  return CO_OK;
}

static co_status choose_place(co_score_columns *columns, co_arena *arena, const choice *c,
                              co_score_content content) {
  if (!co_score_is_one(c->output)) return no_such(c, "has no single score to rank by");
  if (columns->ranked && columns->ranked != c->output)
    return no_such(c, "is the second that is ranked; there can be one");
  columns->ranked = c->output;
  const co_score_column column = {
      .content = content, .type = CO_SCORE_INTEGER, .output = c->output};
  return add(columns, arena,
             c->name ? co_arena_strdup(arena, c->name)
                     : co_arena_format(arena, "%s_%s", c->output->name, c->what),
             &column);
}

// "top3": the three likeliest classes with their scores.
static co_status choose_top(co_score_columns *columns, co_arena *arena, const choice *c) {
  char *end;
  int64_t top = strtoll(c->what + 3, &end, 10);
  if (*end || top < 1)
    return co_fail(CO_ERR_USAGE, "--columns %.200s: must be top1, top2, …", c->text);
  if (!has_classes(c->output)) return no_such(c, "is not one of several classes");
  if (c->name) return no_such(c, "has several of them; one name is not enough");
  return add_top(columns, arena, c->output, top_of(c->output, top));
}

static co_status add_extra(co_score_columns *columns, co_arena *arena, int64_t extra,
                           const char *name, int64_t index) {
  const co_score_column column = {
      .content = CO_SCORE_EXTRA, .type = CO_SCORE_NUMBER, .extra = extra, .index = index};
  return add(columns, arena, name, &column);
}

// "embedding" and "kl": numbers of the bottleneck.
static co_status choose_bottleneck(co_score_columns *columns, co_arena *arena, const choice *c) {
  const co_model *model = columns->model;
  const bool kl = strcmp(c->what, "kl") == 0;
  int64_t at = 0;
  while (at < model->extra_count && strcmp(model->extras[at].name, c->what) != 0)
    at++;
  if (at == model->extra_count) {
    co_status status = co_fail(CO_ERR_USAGE, "--columns %.200s: the model has no%s bottleneck",
                               c->text, kl ? " variational" : "");
    co_hint("bottleneck: {size: 16%s} in its config makes one", kl ? ", variational: true" : "");
    return status;
  }
  for (int64_t k = 0; k < model->extras[at].width; k++)
    CO_RETURN_IF_FAILED(
        add_extra(columns, arena, at,
                  co_arena_format(arena, "%s_%lld", c->name ? c->name : c->what, (long long)k), k));
  return CO_OK;
}

static co_status choose_error(co_score_columns *columns, co_arena *arena, const choice *c) {
  const co_model *model = columns->model;
  const char *name = c->name ? c->name : co_arena_format(arena, "%s_error", c->output->name);
  if (!name) return CO_ERR_MEMORY;
  if (c->output->parts) return add_cell(columns, arena, c->output, 0, name);
  for (int64_t i = 0; i < model->extra_count; i++)
    if (model->extras[i].output == c->output) return add_extra(columns, arena, i, name, 0);
  return no_such(c, "is no reconstruction");
}

enum { REASONS = 3 };

// NAME_1, NAME_1_value, NAME_1_effect, and so on.
static co_status add_reasons(co_score_columns *columns, co_arena *arena,
                             const co_output_feature *output, int64_t count, const char *name) {
  static const char *const parts[] = {"", "_value", "_effect"};
  const bool only = columns->model->output_count == 1;
  const char *list = name   ? co_arena_strdup(arena, name)
                     : only ? "reasons"
                            : co_arena_format(arena, "%s_reasons", output->name);
  if (!name) name = only ? "reason" : co_arena_format(arena, "%s_reason", output->name);
  if (!list || !name) return CO_ERR_MEMORY;
  columns->reasoned = output;
  columns->reasons = count < columns->model->input_count ? count : columns->model->input_count;
  for (int64_t i = 0; i < columns->reasons; i++)
    for (int k = 0; k < 3; k++) {
      const co_score_column column = {.content = (co_score_content)(CO_SCORE_REASON + k),
                                      .type = k < 2 ? CO_SCORE_TEXT : CO_SCORE_NUMBER,
                                      .index = i,
                                      .list = list};
      CO_RETURN_IF_FAILED(add(columns, arena,
                              co_arena_format(arena, "%s_%lld%s", name, (long long)i + 1, parts[k]),
                              &column));
    }
  return CO_OK;
}

static co_status choose_reasons(co_score_columns *columns, co_arena *arena, const choice *c) {
  const char *digits = c->what + strlen("reasons");
  char *end;
  int64_t count = *digits ? strtoll(digits, &end, 10) : REASONS;
  if (count < 1 || (*digits && *end))
    return co_fail(CO_ERR_USAGE, "--columns %.200s: must be reasons1, reasons2, …", c->text);
  if (columns->reasoned)
    return co_fail(CO_ERR_USAGE, "--columns %.200s: there are reasons already", c->text);
  return add_reasons(columns, arena, c->output, count, c->name);
}

static co_status choose_one(co_score_columns *columns, co_arena *arena, const choice *c) {
  if (strncmp(c->what, "reasons", 7) == 0 && (!c->what[7] || isdigit((unsigned char)c->what[7])))
    return choose_reasons(columns, arena, c);
  if (strncmp(c->what, "top", 3) == 0 && isdigit((unsigned char)c->what[3]))
    return choose_top(columns, arena, c);
  if (strcmp(c->what, "prediction") == 0) return choose_prediction(columns, arena, c);
  if (strcmp(c->what, "score") == 0) return choose_score(columns, arena, c);
  if (strcmp(c->what, "label") == 0) return choose_label(columns, arena, c);
  if (strcmp(c->what, "probabilities") == 0) return choose_probabilities(columns, arena, c);
  if (strcmp(c->what, "rank") == 0) return choose_place(columns, arena, c, CO_SCORE_RANK);
  if (strcmp(c->what, "percentile") == 0)
    return choose_place(columns, arena, c, CO_SCORE_PERCENTILE);
  if (strcmp(c->what, "decile") == 0) return choose_place(columns, arena, c, CO_SCORE_DECILE);
  if (strcmp(c->what, "reconstruction_error") == 0) return choose_error(columns, arena, c);
  if (strcmp(c->what, "embedding") == 0 || strcmp(c->what, "kl") == 0)
    return choose_bottleneck(columns, arena, c);
  co_status status = co_fail(CO_ERR_USAGE, "--columns %.200s: there is no such column", c->text);
  co_hint("key, prediction, score, label, probabilities, top3, reasons, rank, percentile, decile, "
          "reconstruction_error, embedding, kl, model; "
          "OUTPUT.score of one of several outputs; score=NAME renames");
  return status;
}

static co_status no_output(const choice *c, const co_model *model) {
  co_status status =
      co_fail(CO_ERR_USAGE, "--columns %.200s: the model has no such output", c->text);
  co_text names;
  co_text_init(&names, model->ctx);
  for (int64_t i = 0; i < model->output_count; i++)
    co_text_printf(&names, "%s%.200s", i ? ", " : "", model->outputs[i].name);
  if (names.status == CO_OK) co_hint("it has: %s", names.data);
  co_text_free(&names);
  return status;
}

bool co_score_columns_place(const char *const *chosen, int64_t chosen_count) {
  static const char *const places[] = {"rank", "percentile", "decile"};
  for (int64_t i = 0; i < chosen_count; i++) {
    size_t end = strcspn(chosen[i], "="), begin = end;
    while (begin && chosen[i][begin - 1] != '.')
      begin--;
    for (int k = 0; k < 3; k++)
      if (strlen(places[k]) == end - begin &&
          strncmp(chosen[i] + begin, places[k], end - begin) == 0)
        return true;
  }
  return false;
}

// "OUTPUT.WHAT=NAME" into its parts; names of outputs may have dots.
static co_status split_choice(choice *c, co_arena *arena, const co_model *model, const char *text) {
  const char *equals = strchr(text, '=');
  char *what = co_arena_strndup(arena, text, equals ? (size_t)(equals - text) : strlen(text));
  if (!what) return CO_ERR_MEMORY;
  *c = (choice){text, what, equals ? equals + 1 : NULL, &model->outputs[0]};
  if (c->name && !*c->name)
    return co_fail(CO_ERR_USAGE, "--columns %.200s: there is no name behind '='", text);
  char *dot = strrchr(what, '.');
  if (!dot) return CO_OK;
  *dot = 0;
  c->what = dot + 1;
  for (int64_t i = 0; i < model->output_count; i++)
    if (strcmp(model->outputs[i].name, what) == 0) {
      c->output = &model->outputs[i];
      return CO_OK;
    }
  return no_output(c, model);
}

// ---- what is told beside the scores --------------------------------------------------------------

static bool is_there(const co_score_columns *columns, co_score_content content,
                     const char *constant) {
  for (int64_t i = 0; i < columns->count; i++)
    if (columns->column[i].content == content && columns->column[i].constant == constant)
      return true;
  return false;
}

static co_status add_constant(co_score_columns *columns, co_arena *arena, const char *name,
                              const char *value) {
  const co_score_column column = {
      .content = CO_SCORE_CONSTANT, .type = CO_SCORE_TEXT, .constant = value};
  return add(columns, arena, co_arena_strdup(arena, name), &column);
}

static co_status add_holdout(co_score_columns *columns, co_arena *arena, const co_dataset *dataset,
                             const char *name, const char *text) {
  const co_score_column column = {.content = CO_SCORE_HOLDOUT, .type = CO_SCORE_INTEGER};
  char *end;
  double share = strtod(text, &end) / 100;
  if (end == text || *end != '%' || (end[1] && end[1] != ':') || !(share > 0 && share < 1)) {
    co_status status = co_fail(CO_ERR_USAGE, "--holdout %.100s: must be a share", text);
    co_hint("--holdout 10%%, or --holdout 10%%:NAME for a group of its own");
    return status;
  }
  if (!co_dataset_key_column(dataset)) {
    co_status status = co_fail(CO_ERR_USAGE, "--holdout needs a key: rows have numbers only");
    co_hint("--key COL names the column that tells customers apart");
    return status;
  }
  columns->holdout = share;
  columns->holdout_name = end[1] ? end + 2 : "";
  return add(columns, arena, co_arena_strdup(arena, name), &column);
}

static bool is_held_out(const co_score_columns *columns, const char *key) {
  char text[CO_DATASET_KEY_MAX + 256];
  int length = snprintf(text, sizeof text, "%.200s%c%s", columns->holdout_name, '\n', key);
  uint64_t hash = co_hash64(0, text, (size_t)length);
  return (double)hash < columns->holdout * 0x1p64;
}

static co_status bind(co_score_column *column, co_dataset *dataset) {
  int64_t rows;
  return co_dataset_texts(dataset, column->source, &column->texts, &rows, &column->rows);
}

co_status co_score_columns_bind(co_score_columns *columns, co_dataset *dataset) {
  for (int64_t i = 0; i < columns->count; i++)
    if (columns->column[i].content == CO_SCORE_SOURCE)
      CO_RETURN_IF_FAILED(bind(&columns->column[i], dataset));
  return CO_OK;
}

static co_status add_source(co_score_columns *columns, co_arena *arena, co_dataset *dataset,
                            const char *name) {
  co_score_column column = {.content = CO_SCORE_SOURCE, .type = CO_SCORE_TEXT};
  char *passed = co_arena_format(arena, CO_SCORE_PASSED "%s", name);
  if (!passed) return CO_ERR_MEMORY;
  const co_schema *schema = co_dataset_schema(dataset);
  const co_column *found = co_schema_find(schema, passed);
  if (!found) found = co_schema_find(schema, name);
  if (!found || (found->type != CO_COLUMN_TEXT)) {
    co_status status =
        co_fail(CO_ERR_USAGE, "--passthrough %.200s: the source has no such column%s", name,
                found ? " of texts" : "");
    co_hint("of a raw table any column can be passed through, of a dataset.h5 those of texts");
    return status;
  }
  column.source = co_arena_strdup(arena, found->name);
  if (!column.source) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(bind(&column, dataset));
  return add(columns, arena, co_arena_strdup(arena, name), &column);
}

static co_status check_repeated(const co_score_columns *columns, co_arena *arena) {
  const char *repeated;
  CO_RETURN_IF_FAILED(find_repeated(&repeated, arena, columns));
  if (!repeated) return CO_OK;
  co_status status =
      co_fail(CO_ERR_USAGE, "--columns: two columns would be called '%.200s'", repeated);
  co_hint("WHAT=NAME gives one another name, as in score=p_churn");
  return status;
}

co_status co_score_columns_add_notes(co_score_columns *columns, co_arena *arena,
                                     co_dataset *dataset, const co_score_notes *notes) {
  if (notes->scored_at && !is_there(columns, CO_SCORE_CONSTANT, notes->scored_at))
    CO_RETURN_IF_FAILED(add_constant(columns, arena, "scored_at", notes->scored_at));
  if (notes->holdout && !is_there(columns, CO_SCORE_HOLDOUT, NULL))
    CO_RETURN_IF_FAILED(add_holdout(columns, arena, dataset, "holdout", notes->holdout));
  if (notes->reasons && !columns->reasoned)
    CO_RETURN_IF_FAILED(
        add_reasons(columns, arena, &columns->model->outputs[0], notes->reasons, NULL));
  for (int64_t i = 0; i < notes->passthrough_count; i++)
    CO_RETURN_IF_FAILED(add_source(columns, arena, dataset, notes->passthrough[i]));
  return check_repeated(columns, arena);
}

static co_status lacks_option(const char *what, const char *option) {
  return co_fail(CO_ERR_USAGE, "--columns %s needs %s", what, option);
}

// Whether a choice is one of those: *taken.
static co_status choose_note(co_score_columns *columns, co_arena *arena, const co_dataset *dataset,
                             const choice *c, const co_score_notes *notes, bool *taken) {
  const char *name = c->name ? c->name : c->what;
  *taken = true;
  if (strcmp(c->what, "key") == 0) return add_key(columns, arena, dataset, c->name);
  if (strcmp(c->what, "model") == 0) return add_constant(columns, arena, name, notes->model);
  if (strcmp(c->what, "scored_at") == 0)
    return notes->scored_at ? add_constant(columns, arena, name, notes->scored_at)
                            : lacks_option("scored_at", "--scored-at TIME");
  if (strcmp(c->what, "holdout") == 0)
    return notes->holdout ? add_holdout(columns, arena, dataset, name, notes->holdout)
                          : lacks_option("holdout", "--holdout 10%");
  *taken = false;
  return CO_OK;
}

co_status co_score_columns_choose(co_score_columns *out, co_arena *arena, const co_model *model,
                                  const co_dataset *dataset, const char *const *chosen,
                                  int64_t chosen_count, const co_score_notes *notes) {
  *out = (co_score_columns){.model = model};
  for (int64_t i = 0; i < chosen_count; i++) {
    choice c;
    bool taken;
    CO_RETURN_IF_FAILED(split_choice(&c, arena, model, chosen[i]));
    CO_RETURN_IF_FAILED(choose_note(out, arena, dataset, &c, notes, &taken));
    if (!taken) CO_RETURN_IF_FAILED(choose_one(out, arena, &c));
  }
  return check_repeated(out, arena);
}

// ---- rows --------------------------------------------------------------------------------------

co_status co_score_check(const co_model *model, const float *const *scores, int64_t number) {
  for (int64_t i = 0; i < co_model_score_count(model); i++) {
    bool extra = i >= model->output_count;
    for (int64_t k = 0; k < co_model_score_width(model, i); k++)
      if (!isfinite(scores[i][k]))
        return co_fail(CO_ERR_MODEL, "row %lld: the model's %s%s%s is not a finite number",
                       (long long)number, extra ? "" : "score of '",
                       extra ? model->extras[i - model->output_count].name : model->outputs[i].name,
                       extra ? "" : "'");
  }
  return CO_OK;
}

static co_score_cell cell_of(const co_score_column *column, const float *scores,
                             const float *shown) {
  const co_output_class *class_ = column->output->class_->output;
  co_score_cell cell = class_->cell(column->output, scores, column->index);
  return cell.text ? cell : class_->cell(column->output, shown, column->index);
}

static double probability(const co_score_column *column, const float *shown) {
  if (!is_binary(column->output)) return (double)shown[column->index];
  return column->index ? (double)shown[0] : (double)(1 - shown[0]);
}

// The likeliest class but those that come before the one that was last, of equal ones the class that
// is listed first; -1 = none was.
static int64_t next_class(const co_output_feature *output, const float *scores, int64_t last) {
  int64_t best = -1;
  for (int64_t c = 0; c < output->width; c++) {
    bool left = last < 0 || scores[c] < scores[last] || (scores[c] == scores[last] && c > last);
    if (left && (best < 0 || scores[c] > scores[best])) best = c;
  }
  return best;
}

// Of `parts` equal parts of all rows, the one that a rank falls into.
static double part_of(const co_score_row *row, int64_t parts) {
  return (double)((row->rank - 1) * parts / row->rows + 1);
}

co_status co_score_cells(co_score_cell *cells, const co_score_columns *columns,
                         const co_score_row *row) {
  int64_t top = -1;
  CO_RETURN_IF_FAILED(co_score_check(columns->model, row->scores, row->number));
  for (int64_t i = 0; i < columns->count; i++) {
    const co_score_column *column = &columns->column[i];
    int64_t output = column->output ? column->output - columns->model->outputs : 0;
    const float *scores = row->scores[output], *shown = row->shown[output];
    cells[i] = (co_score_cell){NULL, 0};
    switch (column->content) {
    case CO_SCORE_KEY:
      cells[i].text = row->key;
      break;
    case CO_SCORE_CELL:
      cells[i] = cell_of(column, scores, shown);
      break;
    case CO_SCORE_PROBABILITY:
      cells[i].number = probability(column, shown);
      break;
    case CO_SCORE_TOP:
      top = next_class(column->output, scores, column->index ? top : -1);
      cells[i].text = column->output->column->categories[top];
      break;
    case CO_SCORE_TOP_SCORE:
      cells[i].number = (double)scores[top];
      break;
    case CO_SCORE_SOURCE:
      cells[i].text = column->texts[column->rows ? column->rows[row->sample] : row->sample];
      break;
    case CO_SCORE_CONSTANT:
      cells[i].text = column->constant;
      break;
    case CO_SCORE_HOLDOUT:
      cells[i].number = is_held_out(columns, row->key);
      break;
    case CO_SCORE_REASON:
      cells[i].text = row->reasons[column->index].name;
      break;
    case CO_SCORE_REASON_VALUE:
      cells[i].text = row->reasons[column->index].value;
      break;
    case CO_SCORE_REASON_EFFECT:
      cells[i].number = row->reasons[column->index].effect;
      break;
    case CO_SCORE_RANK:
      cells[i].number = (double)row->rank;
      break;
    case CO_SCORE_PERCENTILE:
      cells[i].number = part_of(row, 100);
      break;
    case CO_SCORE_DECILE:
      cells[i].number = part_of(row, 10);
      break;
    case CO_SCORE_EXTRA:
      cells[i].number =
          (double)row->scores[columns->model->output_count + column->extra][column->index];
      break;
    }
  }
  return CO_OK;
}

// ---- as text -----------------------------------------------------------------------------------

void co_score_add_text(co_text *line, const char *text, char separator) {
  size_t length = 0;
  bool plain = true;
  for (; text[length]; length++) {
    char c = text[length];
    plain &= c != separator && c != '"' && c != '\r' && c != '\n';
  }
  if (plain) {
    co_text_append(line, text, length);
    return;
  }
  co_text_append(line, "\"", 1);
  for (const char *at = text; *at; at++)
    co_text_append(line, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
  co_text_append(line, "\"", 1);
}

void co_score_add_cell(co_text *line, co_score_type type, const co_score_cell *cell,
                       char separator) {
  char number[CO_NUMBER_PRINT];
  if (cell->text) {
    co_score_add_text(line, cell->text, separator);
    return;
  }
  size_t length = type == CO_SCORE_INTEGER
                      ? (size_t)snprintf(number, sizeof number, "%lld", (long long)cell->number)
                      : co_number_print(cell->number, number);
  co_text_append(line, number, length);
}
