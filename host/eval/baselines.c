// SPDX-License-Identifier: Apache-2.0
#include "host/eval/baselines.h"

#include <stdio.h>
#include <string.h>

#include "host/config/tree.h"

// Rows x inputs x outputs: beyond, some of the rows say as much.
static const double most_values = 2e7;
enum { LEAST_ROWS = 10000 };

// ---- config ------------------------------------------------------------------------------------

static const co_estimator_class *find_class(const char *name) {
  return co_estimator_find(strcmp(name, "logistic") == 0 ? "linear" : name);
}

static co_status add_class(co_baseline_settings *out, const co_node *item,
                           co_diagnostics *problems) {
  const char *name = item->kind == CO_NODE_SCALAR ? item->text : "";
  const co_estimator_class *class_ = find_class(name);
  if (!class_)
    return co_node_problem(problems, item,
                           "known: prior, logistic, linear, boosted_trees, and others that "
                           "`cohort help baselines` lists",
                           "baselines: unknown baseline '%s'", name);
  for (int64_t i = 0; i < out->count; i++)
    if (out->classes[i] == class_) return CO_OK; // logistic is linear
  if (out->count == CO_MOST_BASELINES)
    return co_node_problem(problems, item, NULL, "baselines: at most %d", (int)CO_MOST_BASELINES);
  out->classes[out->count++] = class_;
  return CO_OK;
}

// After the list, which it joins.
static co_status parse_blend(co_baseline_settings *out, const co_node *root,
                             co_diagnostics *problems) {
  const co_node *node = co_node_get(root, "blend");
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  const co_estimator_class *class_ = node->kind == CO_NODE_SCALAR ? find_class(node->text) : NULL;
  if (!class_)
    return co_node_problem(problems, node,
                           "for example blend: repeat_logistic (of next items), bag_of_words (of "
                           "texts), bg_nbd (of purchases), logistic",
                           "blend: must be a baseline");
  out->blend = class_;
  return add_class(out, node, problems);
}

static bool is_word(const co_node *node, const char *word) {
  return node->kind == CO_NODE_SCALAR && strcmp(node->text, word) == 0;
}

static co_status parse_list(co_baseline_settings *out, const co_node *root,
                            co_diagnostics *problems) {
  static const char *const automatic[] = {
      "prior",      "linear",     "boosted_trees",      "bag_of_words",       "bg_nbd",
      "pareto_nbd", "popularity", "personal_frequency", "weighted_frequency", "repeat_logistic",
      "markov",     "item_knn"};
  const co_node *node = co_node_get(root, "baselines");
  *out = (co_baseline_settings){.count = 0};
  out->automatic = !node || node->kind == CO_NODE_NULL || is_word(node, "auto");
  for (size_t i = 0; out->automatic && i < sizeof automatic / sizeof *automatic; i++)
    out->classes[out->count++] = co_estimator_find(automatic[i]);
  if (out->automatic || is_word(node, "none")) return CO_OK;
  if (node->kind != CO_NODE_LIST)
    return co_node_problem(problems, node, "for example baselines: [prior, logistic]",
                           "baselines: must be auto, none or a list of names");
  for (int64_t i = 0; i < node->count; i++)
    CO_RETURN_IF_FAILED(add_class(out, node->items[i], problems));
  return CO_OK;
}

co_status co_baseline_settings_parse(co_baseline_settings *out, const co_node *root,
                                     co_diagnostics *problems) {
  CO_RETURN_IF_FAILED(parse_list(out, root, problems));
  return parse_blend(out, root, problems);
}

static void render_blend(co_json *json, const co_baseline_settings *settings) {
  if (!settings->blend) return;
  co_json_key(json, "blend");
  co_json_string(json, settings->blend->name);
}

void co_baseline_settings_render(co_json *json, const co_baseline_settings *settings) {
  render_blend(json, settings);
  if (settings->automatic) return;
  co_json_key(json, "baselines");
  if (!settings->count) {
    co_json_string(json, "none");
    return;
  }
  co_json_open(json, '[');
  for (int64_t i = 0; i < settings->count; i++)
    co_json_string(json, settings->classes[i]->name);
  co_json_close(json);
}

const char *co_baseline_name(const co_estimator *baseline, const co_output_feature *output) {
  bool linear = strcmp(baseline->class_->name, "linear") == 0;
  return linear && output->column->type != CO_COLUMN_NUMBER ? "logistic" : baseline->class_->name;
}

// ---- creating ----------------------------------------------------------------------------------

// Columns of a sample, no images: what such baselines are made for. Of events they see what samples
// have beside them: recency, frequency, monetary value and tenure, say.
static bool is_table(const co_model *model) {
  for (int64_t i = 0; i < model->input_count; i++)
    if (model->inputs[i].column->shape.rank) return false;
  int64_t others = 0;
  for (int64_t i = 0; i < model->output_count; i++) {
    if (!model->outputs[i].column || model->outputs[i].column->shape.rank) return false;
    others += !model->outputs[i].text;
  }
  return others > 0;
}

// The network's config without the texts that it writes, in the network's arena.
static const co_node *config_beside(const co_model *network) {
  const int64_t at = co_node_find(network->config, "output_features", strlen("output_features"));
  const co_node *all = network->config->items[at];
  co_node *root = co_arena_alloc(network->arena, 1, sizeof *root);
  co_node *list = co_arena_alloc(network->arena, 1, sizeof *list);
  co_node **items =
      co_arena_alloc(network->arena, (size_t)network->config->count, sizeof(co_node *));
  co_node **kept = co_arena_alloc(network->arena, (size_t)all->count, sizeof(co_node *));
  if (!root || !list || !items || !kept) return NULL;
  *root = *network->config;
  memcpy(items, root->items, (size_t)root->count * sizeof *items);
  root->items = items;
  *list = *all;
  list->items = kept;
  list->count = 0;
  for (int64_t i = 0; i < all->count; i++) // of each an output
    if (!network->outputs[i].text) kept[list->count++] = all->items[i];
  items[at] = list;
  return root;
}

static co_status create_model(co_baselines *out, const co_model *network) {
  co_diagnostics problems;
  const co_node *config = config_beside(network);
  if (!config) return CO_ERR_MEMORY;
  co_diagnostics_init(&problems, network->ctx);
  co_status status =
      co_model_create_beside(&out->model, network->ctx, config, &network->schema, &problems);
  co_diagnostics_free(&problems);
  return status;
}

static co_status add(co_baselines *out, const co_estimator_class *class_) {
  co_estimator *made;
  CO_RETURN_IF_FAILED(co_estimator_create(&made, class_, NULL, out->model));
  if (!made->columns.count && !class_->baseline) { // events alone: it would be the prior
    co_estimator_free(made);
    return CO_OK;
  }
  out->stored[out->count] = (co_model_baseline){class_->name, &made->arrays};
  out->items[out->count++] = made;
  return CO_OK;
}

static bool suits(const co_model *model, const co_estimator_class *class_) {
  for (int64_t i = 0; i < model->output_count; i++)
    if (class_->refuses(&model->outputs[i])) return false;
  return is_table(model) && (!class_->reads_texts || class_->reads_texts(model)) &&
         (!class_->score_history || class_->purchases || co_history_is_there(model));
}

// Whether `add` would keep one.
static bool sees_inputs(co_model *model, const co_estimator_class *class_) {
  co_estimator *made;
  if (!suits(model, class_) || co_estimator_create(&made, class_, NULL, model) != CO_OK)
    return false;
  bool sees = made->columns.count || class_->baseline;
  co_estimator_free(made);
  return sees;
}

static co_status predicts_nothing(co_model *model, const co_estimator_class *blend) {
  char names[256] = "";
  for (const co_estimator_class *const *c = co_estimator_list(); *c; c++) {
    size_t length = strlen(names);
    if (sees_inputs(model, *c))
      snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", (*c)->name);
  }
  co_status status =
      co_fail(CO_ERR_CONFIG, "blend: %s predicts nothing of such inputs", blend->name);
  if (*names) co_hint("these do: %s", names);
  return status;
}

// What has a weight or a tree for each class, of an output with thousands, takes longer than the network.
enum { MOST_CLASSES = 1000 };
static bool is_too_large(const co_model *model, const co_estimator_class *class_) {
  for (int64_t i = 0; !class_->baseline && i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    if (output->column->type != CO_COLUMN_CATEGORY || output->width <= MOST_CLASSES) continue;
    co_log(model->ctx, CO_LOG_INFO, "baselines",
           "%s is left out: '%s' has %lld classes, more than %d (baselines: [prior, %s] fits it)",
           class_->name, output->name, (long long)output->width, (int)MOST_CLASSES, class_->name);
    return true;
  }
  return false;
}

// A blend is of all outputs; other baselines are of those that are no texts.
static co_status refuse_texts(const co_model *network, const co_baseline_settings *settings) {
  const co_output_feature *text = NULL;
  bool other = false;
  for (int64_t i = 0; i < network->output_count; i++) {
    if (network->outputs[i].text) text = &network->outputs[i];
    other = other || !network->outputs[i].text;
  }
  if (!text || (other && !settings->blend)) return CO_OK;
  co_status status =
      co_fail(CO_ERR_CONFIG, "baselines, blend: none writes texts, as '%.200s' is one", text->name);
  co_hint("leave both out: `evaluate` tells of the input copied and the most frequent target");
  return status;
}

static co_status create_all(co_baselines *out, const co_model *network,
                            const co_baseline_settings *settings) {
  CO_RETURN_IF_FAILED(create_model(out, network));
  for (int64_t i = 0; i < settings->count; i++) {
    const co_estimator_class *class_ = settings->classes[i];
    if (settings->automatic && class_ != settings->blend &&
        (!suits(out->model, class_) || is_too_large(out->model, class_)))
      continue;
    co_status status = add(out, class_);
    if (status == CO_ERR_DEVICE && settings->automatic) {
      co_log(out->ctx, CO_LOG_INFO, "baselines", "%s is left out: %s", class_->name,
             co_error_last()->message);
      co_error_clear();
    } else if (status != CO_OK) {
      return status;
    }
  }
  if (!settings->blend || co_baselines_find(out, settings->blend->name)) return CO_OK;
  return predicts_nothing(out->model, settings->blend);
}

co_status co_baselines_create(co_baselines *out, const co_model *network,
                              const co_baseline_settings *settings) {
  *out = (co_baselines){.ctx = network->ctx};
  if (!settings->count || (settings->automatic && !settings->blend && !is_table(network)))
    return CO_OK;
  CO_RETURN_IF_FAILED(refuse_texts(network, settings));
  co_status status = create_all(out, network, settings);
  if (status != CO_OK) co_baselines_free(out);
  return status;
}

co_estimator *co_baselines_find(const co_baselines *b, const char *name) {
  for (int64_t i = 0; i < b->count; i++)
    if (strcmp(b->items[i]->class_->name, name) == 0) return b->items[i];
  return NULL;
}

void co_baselines_free(co_baselines *b) {
  for (int64_t i = 0; i < b->count; i++)
    co_estimator_free(b->items[i]);
  co_model_free(b->model);
  *b = (co_baselines){.ctx = NULL};
}

// ---- fitting -----------------------------------------------------------------------------------

// The network has all features that stand beside it, and so their arrays.
static const co_fitted *find_fitted(const co_model *model, const co_fitted *wanted) {
  for (int64_t i = 0; i < model->fitted_count; i++) {
    const co_fitted *f = model->fitted[i];
    if (strcmp(f->feature, wanted->feature) == 0 && strcmp(f->name, wanted->name) == 0 &&
        f->dtype == wanted->dtype && co_shape_equal(&f->shape, &wanted->shape))
      return f;
  }
  return NULL;
}

static co_status copy_fitted(const co_model *to, const co_model *from) {
  for (int64_t i = 0; i < to->fitted_count; i++) {
    co_fitted *mine = to->fitted[i];
    const co_fitted *theirs = find_fitted(from, mine);
    if (!theirs) return co_fail(CO_ERR_INTERNAL, "a baseline has other inputs than its network");
    memcpy(mine->bytes, theirs->bytes,
           (size_t)co_shape_count(&mine->shape) * co_dtype_size(mine->dtype));
  }
  return CO_OK;
}

static int64_t most_rows(const co_model *model, const co_design_columns *columns) {
  int64_t widest = 1;
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].width > widest) widest = model->outputs[i].width;
  double rows = most_values / ((double)(columns->numbers + columns->codes + 1) * (double)widest);
  return rows < LEAST_ROWS ? LEAST_ROWS : (int64_t)rows;
}

static co_status read_some(co_baselines *b, co_dataset *dataset, const int64_t *samples,
                           int64_t count, bool learned, const co_baseline_request *request,
                           co_design *out) {
  const co_design_columns *columns = &b->items[0]->columns;
  int64_t most = most_rows(b->model, columns), taken = count < most ? count : most;
  int64_t *some = co_alloc(b->ctx, ((size_t)taken + 1) * sizeof *some);
  if (!some) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < taken; i++)
    some[i] = samples[(int64_t)((double)i * (double)count / (double)taken)];
  if (taken < count)
    co_log(b->ctx, CO_LOG_INFO, "baselines", "fitted to %lld of %lld rows", (long long)taken,
           (long long)count);
  co_design_request rows = {.samples = some,
                            .count = taken,
                            .learned = learned,
                            .workers = request->workers,
                            .watch = request->watch};
  for (int64_t i = 0; i < b->count; i++) {
    size_t bytes = b->items[i]->class_->row_bytes(b->items[i]);
    if (bytes > rows.extra_bytes) rows.extra_bytes = bytes;
  }
  co_status status = co_design_read(out, columns, b->model, dataset, &rows);
  co_free(b->ctx, some);
  return status;
}

// It stays behind the others until all are fitted: rows that were read have its columns.
static void leave_out(co_baselines *b, int64_t i) {
  co_estimator *e = b->items[i];
  co_log(b->ctx, CO_LOG_WARN, "baselines", "%s is left out: %s", b->items[i]->class_->name,
         co_error_last()->message);
  co_error_clear();
  b->count--;
  memmove(&b->items[i], &b->items[i + 1], (size_t)(b->count - i) * sizeof *b->items);
  memmove(&b->stored[i], &b->stored[i + 1], (size_t)(b->count - i) * sizeof *b->stored);
  b->items[b->count] = e;
}

static bool is_passed_over(co_status status) {
  return status != CO_OK && status != CO_INTERRUPTED && status != CO_ERR_MEMORY;
}

static co_status fit_one(co_estimator *e, const co_fit_data *data) {
  co_fit_data own = *data;
  if (!e->class_->score_history) own.history = NULL;
  if (e->class_->purchases && !own.history)
    return co_fail(CO_ERR_DATA, "the dataset has no events with times");
  return co_estimator_fit(e, &own);
}

static co_status fit_all(co_baselines *b, const co_fit_data *data) {
  for (int64_t i = 0; i < b->count;) {
    co_status status = fit_one(b->items[i], data);
    if (is_passed_over(status)) {
      leave_out(b, i);
      continue;
    }
    CO_RETURN_IF_FAILED(status);
    i++;
  }
  return CO_OK;
}

static bool sees_history(const co_baselines *b, const co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  bool events = co_history_is_there(b->model);
  for (int64_t i = 0; i < schema->table_count; i++)
    events = events || (schema->tables[i].kind == CO_TABLE_EVENTS && schema->tables[i].time);
  for (int64_t i = 0; events && i < b->count; i++)
    if (b->items[i]->class_->score_history) return true;
  return false;
}

co_status co_baselines_fit(co_baselines *b, const co_model *network, co_dataset *dataset,
                           const co_baseline_request *request) {
  co_design training = {.rows = 0}, validation = {.rows = 0};
  co_history history = {.classes = 0};
  const int64_t all = b->count;
  co_status status;
  if (!all) return CO_OK;
  CO_RETURN_IF_FAILED(copy_fitted(b->model, network));
  CO_TRY(
      read_some(b, dataset, request->training, request->training_count, true, request, &training));
  CO_TRY(read_some(b, dataset, request->validation, request->validation_count, false, request,
                   &validation));
  if (sees_history(b, dataset)) CO_TRY(co_history_open(&history, b->model, dataset));
  const co_fit_data data = {.training = &training,
                            .validation = &validation,
                            .history = history.begin ? &history : NULL,
                            .dataset = dataset,
                            .samples = request->training,
                            .sample_count = request->training_count,
                            .validation_samples = request->validation,
                            .validation_count = request->validation_count,
                            .threads = request->threads,
                            .seed = request->seed,
                            .watch = request->watch};
  CO_TRY(fit_all(b, &data));
cleanup:
  co_design_free(&training, b->ctx);
  co_design_free(&validation, b->ctx);
  for (int64_t i = b->count; i < all; i++) {
    co_estimator_free(b->items[i]);
    b->items[i] = NULL;
  }
  return status;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status read_one(co_baselines *out, const char *path, const char *name,
                          const co_estimator_class *class_) {
  char *group = co_format(out->ctx, "%s/%s", CO_MODEL_BASELINES_GROUP, name);
  if (!group) return CO_ERR_MEMORY;
  co_status status = add(out, class_);
  if (status == CO_OK) status = co_estimator_read(out->items[out->count - 1], path, group);
  co_free(out->ctx, group);
  return status;
}

static co_status read_all(co_baselines *out, const co_model *network, const co_model_file *file) {
  if (!file->baseline_count) return CO_OK;
  CO_RETURN_IF_FAILED(create_model(out, network));
  CO_RETURN_IF_FAILED(copy_fitted(out->model, network));
  for (int64_t i = 0; i < file->baseline_count && out->count < CO_MOST_BASELINES; i++) {
    const char *name = file->baselines[i];
    const co_estimator_class *class_ = co_estimator_find(name);
    if (!class_)
      return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "its baseline '%s' is not known", name);
    co_status status = read_one(out, file->path, name, class_);
    if (status == CO_ERR_DEVICE) {
      co_log(out->ctx, CO_LOG_WARN, "baselines", "%s is left out: %s", name,
             co_error_last()->message);
      co_error_clear();
    } else if (status != CO_OK) {
      return status;
    }
  }
  return CO_OK;
}

co_status co_baselines_read(co_baselines *out, const co_model *network, const char *path) {
  co_arena *arena;
  co_model_file file;
  *out = (co_baselines){.ctx = network->ctx};
  CO_RETURN_IF_FAILED(co_arena_create(&arena, network->ctx));
  co_status status = co_model_file_read(&file, arena, path);
  if (status == CO_OK) status = read_all(out, network, &file);
  co_arena_free(arena);
  if (status != CO_OK) co_baselines_free(out);
  return status;
}
