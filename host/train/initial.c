// SPDX-License-Identifier: Apache-2.0
// What a training begins with: weights that are drawn, or those of a model (`init_from`). A run that goes on
// reads that model no more, unless it has no checkpoint yet, or goes on to a refit.
#include <string.h>

#include "host/train/initial_heads.h"
#include "host/train/initial_tokens.h"
#include "host/train/session_private.h"

// ---- which model -------------------------------------------------------------------------------

static co_status read_model(co_session *t, const char *given, co_model_file *file) {
  CO_RETURN_IF_FAILED(co_model_file_find_and_read(file, &t->initial_path, t->arena, given));
  t->initial_sha256 = file->weights_sha256;
  return CO_OK;
}

static bool same_classes(const co_column *a, const co_column *b) {
  if (a->type != b->type || a->category_count != b->category_count) return false;
  for (int64_t i = 0; i < a->category_count; i++)
    if (strcmp(a->categories[i], b->categories[i]) != 0) return false;
  return true;
}

// Rows of an embedding and units of a head belong to classes by their number.
static void warn_of_classes(const co_session *t, const co_model_file *file) {
  for (int64_t i = 0; i < file->schema.column_count; i++) {
    const co_column *there = &file->schema.columns[i];
    const co_column *here = co_schema_find(co_dataset_schema(t->dataset), there->name);
    if (here && here->category_count && there->category_count && !same_classes(here, there))
      co_log(
          t->ctx, CO_LOG_WARN, "init_from",
          "column '%s' has other classes than in %s: weights that belong to a class become those "
          "of the one with its number",
          here->name, t->initial_path);
  }
}

static co_status refuse_other(const co_session *t) {
  co_status status =
      co_fail_at(CO_ERR_CONFIG, t->run_path, 0, 0,
                 "this run was not started with the weights of %s", t->options->init_from);
  co_hint("resume without --init-from");
  return status;
}

// The recorded one, wherever it lies now; it may be gone.
static co_status find_recorded(co_session *t) {
  const char *given = t->options->init_from, *path = co_session_recorded(t, "init_from"),
             *sha256 = co_session_recorded(t, "init_from_sha256");
  if (given && !sha256) return refuse_other(t);
  if (!sha256 || !path) return CO_OK;
  t->initial_path = path;
  co_model_file file;
  if (given && co_path_exists(given)) {
    CO_RETURN_IF_FAILED(read_model(t, given, &file));
    if (strcmp(t->initial_sha256, sha256) != 0) return refuse_other(t);
  }
  t->initial_sha256 = sha256;
  return CO_OK;
}

// ---- its weights -------------------------------------------------------------------------------

// The first part of the name of the first parameter.
static const char *first_part(const co_session *t) {
  const co_store *store = co_program_store(t->program);
  const char *name = store->count ? store->entries[0].info.name : "", *slash = strchr(name, '/');
  return co_arena_strndup(t->arena, name, slash ? (size_t)(slash - name) : strlen(name));
}

static co_status refuse_all(const co_session *t, const char *reshaped) {
  const char *part = first_part(t);
  co_status status =
      co_fail_at(CO_ERR_MODEL, t->initial_path, 0, 0,
                 "none of its weights has the name and shape of one here%s", reshaped);
  co_hint("names begin with the column's: `cohort inspect` lists them; of a model of Keras "
          "`cohort convert --input %s` makes them agree",
          part ? part : "COLUMN");
  return status;
}

static void list_some(const co_session *t, const co_weight_match *matches, bool known,
                      co_text *out) {
  const co_store *store = co_program_store(t->program);
  const char *before = known ? "; of another shape: " : "; new: ";
  char there[96], here[96];
  for (int64_t i = 0; i < store->count; i++) {
    const co_param_info *info = &store->entries[i].info;
    if (matches[i].taken || matches[i].known != known) continue;
    co_text_printf(out, "%s%s", before, info->name);
    before = ", ";
    if (!known) continue;
    co_shape_print(&matches[i].shape, there, sizeof there);
    co_shape_print(&info->shape, here, sizeof here);
    co_text_printf(out, " %s instead of %s", there, here);
  }
}

static co_status take(co_session *t, co_weight_match *matches, bool write) {
  co_store *store = co_program_store(t->program);
  int64_t taken = 0;
  co_text others;
  CO_RETURN_IF_FAILED(
      co_initial_tokens(matches, t->arena, store, t->model, t->initial_path, write));
  CO_RETURN_IF_FAILED(co_model_file_take_weights(matches, t->ctx, t->initial_path, store, write));
  co_text_init(&others, t->ctx);
  for (int64_t i = 0; i < store->count; i++)
    taken += matches[i].taken;
  if (taken) list_some(t, matches, false, &others); // else they all are
  list_some(t, matches, true, &others);
  co_status status = others.status;
  const char *text = others.data ? others.data : "";
  if (status == CO_OK && !taken) status = refuse_all(t, text);
  if (status == CO_OK && write)
    co_log(t->ctx, CO_LOG_INFO, "init_from", "%lld of %lld parameters of %s%s", (long long)taken,
           (long long)store->count, t->initial_path, text);
  co_text_free(&others);
  return status;
}

static co_status take_weights(co_session *t, bool write) {
  co_weight_match *matches =
      co_alloc_zero(t->ctx, (size_t)co_program_store(t->program)->count + 1, sizeof *matches);
  if (!matches) return CO_ERR_MEMORY;
  co_status status = take(t, matches, write);
  co_free(t->ctx, matches);
  return status;
}

// The model must be there, and that which the run was started with.
static co_status read_again(co_session *t) {
  const char *sha256 = t->first ? t->first->initial_sha256 : t->initial_sha256;
  const bool there = co_path_exists(t->initial_path);
  co_model_file file;
  if (there) CO_RETURN_IF_FAILED(read_model(t, t->initial_path, &file));
  if (there && strcmp(t->initial_sha256, sha256) == 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_MODEL, t->initial_path, 0, 0,
                                there ? "%s was started with other weights than it has now"
                                      : "the model that %s begins with is gone",
                                t->run_path);
  co_hint("give a copy of that model: --init-from MODEL");
  return status;
}

co_status co_session_find_initial(co_session *t) {
  if (t->resumed) return find_recorded(t);
  if (!t->options->init_from) return CO_OK;
  if (t->estimator) {
    co_status status =
        co_fail(CO_ERR_CONFIG, "predictor %s has no weights to begin with", t->model->predictor);
    co_hint("leave --init-from out");
    return status;
  }
  if (t->first) { // its first has read it
    t->initial_path = t->first->initial_path;
    t->initial_sha256 = t->first->initial_sha256;
    return CO_OK;
  }
  co_model_file file;
  CO_RETURN_IF_FAILED(read_model(t, t->options->init_from, &file));
  warn_of_classes(t, &file);
  return take_weights(t, false);
}

co_status co_session_initial_weights(co_session *t) {
  co_store *store = co_program_store(t->program);
  CO_RETURN_IF_FAILED(co_store_initialize(store, t->state.seed));
  CO_RETURN_IF_FAILED(co_initial_heads(store, t->model, t->dataset, t->samples[CO_SPLIT_TRAIN],
                                       t->sample_count[CO_SPLIT_TRAIN]));
  if (!t->initial_path) return CO_OK;
  CO_RETURN_IF_FAILED(read_again(t));
  return take_weights(t, true);
}
