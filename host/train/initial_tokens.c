// SPDX-License-Identifier: Apache-2.0
#include "host/train/initial_tokens.h"

#include <string.h>

#include "models/feature.h"
#include "models/text_output.h"

// The vocabulary of one text, here and in the file.
typedef struct vocabulary {
  const char *name;   // of the feature
  int64_t count;      // places here
  int64_t *from;      // of each that there; NULL = the same one
  int64_t size, same; // tokens here; that are known there
} vocabulary;

typedef struct finding {
  co_weight_match *matches;
  co_arena *arena;
  const co_store *store;
  const char *path;
  bool fitted;
} finding;

// ---- which parameters --------------------------------------------------------------------------

static void mark(const finding *f, const vocabulary *v, const char *suffix, int of_tokens) {
  const size_t length = strlen(v->name), behind = strlen(suffix);
  for (int64_t i = 0; i < f->store->count; i++) {
    const co_param_info *info = &f->store->entries[i].info;
    const size_t whole = strlen(info->name);
    if (whole < length + behind || strncmp(info->name, v->name, length) != 0 ||
        info->name[length] != '/' || strcmp(info->name + whole - behind, suffix) != 0 ||
        info->shape.rank < of_tokens || info->shape.dim[of_tokens - 1] != v->count)
      continue;
    f->matches[i].of_tokens = of_tokens;
    f->matches[i].from = v->from;
  }
}

static void tell(const finding *f, const vocabulary *v, const char *what) {
  if (v->from)
    co_log(co_arena_context(f->arena), CO_LOG_INFO, "init_from",
           "%s '%s': %lld of its %lld tokens are known in %s, whose weights they begin with; the "
           "others' are drawn",
           what, v->name, (long long)v->same, (long long)v->size, f->path);
}

static co_status begin_map(const finding *f, vocabulary *v) {
  v->from = co_arena_alloc(f->arena, (size_t)v->count, sizeof *v->from);
  if (!v->from) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < v->count; i++)
    v->from[i] = -1;
  return CO_OK;
}

static void take(vocabulary *v, int64_t here, int64_t there) {
  v->size++;
  v->same += there >= 0;
  v->from[here] = there;
}

// ---- texts that are read -----------------------------------------------------------------------

// The row of a word's hash, -1 = none; hashes grow.
static int64_t row_there(const co_fitted *hashes, const co_fitted *rows, int64_t hash) {
  const int64_t *known = hashes->bytes;
  int64_t low = 0, high = hashes->shape.dim[0];
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (known[middle] < hash)
      low = middle + 1;
    else
      high = middle;
  }
  const bool found = low < hashes->shape.dim[0] && known[low] == hash;
  return found ? ((const int32_t *)rows->bytes)[low] : -1;
}

static co_status map_read(const finding *f, const co_fitted *hashes, const co_fitted *rows,
                          vocabulary *v) {
  co_fitted there[] = {{.feature = v->name, .name = "hashes", .dtype = CO_I64},
                       {.feature = v->name, .name = "rows", .dtype = CO_I32}};
  for (int i = 0; i < 2; i++)
    CO_RETURN_IF_FAILED(co_model_file_find_fitted(&there[i], f->arena, f->path));
  if (!there[0].bytes || !there[1].bytes || there[0].shape.rank != 1 ||
      !co_shape_equal(&there[0].shape, &there[1].shape))
    return CO_OK;
  const size_t bytes = (size_t)(v->count - 1) * sizeof(int64_t);
  if (there[0].shape.dim[0] == v->count - 1 && !memcmp(there[0].bytes, hashes->bytes, bytes) &&
      !memcmp(there[1].bytes, rows->bytes, bytes / 2))
    return CO_OK;
  CO_RETURN_IF_FAILED(begin_map(f, v));
  v->from[0] = 0; // of rare and unseen ones
  for (int64_t i = 0; i < v->count - 1; i++) {
    const int32_t row = ((const int32_t *)rows->bytes)[i];
    if (row > 0) take(v, row, row_there(&there[0], &there[1], ((const int64_t *)hashes->bytes)[i]));
  }
  return CO_OK;
}

static co_status find_read(const finding *f, const co_input_feature *input) {
  const co_fitted *hashes = co_feature_fitted(input, "hashes");
  vocabulary v = {.name = input->name, .count = hashes->shape.dim[0] + 1};
  if (f->fitted) CO_RETURN_IF_FAILED(map_read(f, hashes, co_feature_fitted(input, "rows"), &v));
  mark(f, &v, "/embeddings", 1);
  tell(f, &v, "input");
  return CO_OK;
}

// ---- texts that are written --------------------------------------------------------------------

static co_status map_written(const finding *f, const co_text_output *text, vocabulary *v) {
  co_fitted there[] = {{.feature = v->name, .name = "vocabulary", .dtype = CO_U8},
                       {.feature = v->name, .name = "size", .dtype = CO_I64}};
  for (int i = 0; i < 2; i++)
    CO_RETURN_IF_FAILED(co_model_file_find_fitted(&there[i], f->arena, f->path));
  if (!there[0].bytes || !there[1].bytes || there[0].shape.rank != 2 || there[1].shape.rank != 1 ||
      there[1].shape.dim[0] != 1)
    return CO_OK;
  const int64_t room = there[0].shape.dim[1], known = *(const int64_t *)there[1].bytes,
                size = *(const int64_t *)text->size->bytes;
  char *others = there[0].bytes;
  if (known < 0 || known > there[0].shape.dim[0] || room < 1) return CO_OK;
  CO_RETURN_IF_FAILED(begin_map(f, v));
  for (int64_t i = 0; i < CO_TEXT_FIRST; i++)
    v->from[i] = i;
  for (int64_t i = 0, k = 0; i < size; i++) { // both grow
    const char *token = (const char *)text->vocabulary->bytes + i * text->token_bytes;
    while (k < known && strncmp(others + k * room, token, (size_t)room) < 0)
      k++;
    const bool found = k < known && strncmp(others + k * room, token, (size_t)room) == 0;
    take(v, CO_TEXT_FIRST + i, found ? CO_TEXT_FIRST + k : -1);
  }
  if (known == size && v->same == size && there[0].shape.dim[0] == text->max_size) v->from = NULL;
  return CO_OK;
}

static co_status find_written(const finding *f, const co_output_feature *output) {
  vocabulary v = {.name = output->name, .count = co_text_output_classes(output->text)};
  if (f->fitted) CO_RETURN_IF_FAILED(map_written(f, output->text, &v));
  mark(f, &v, "/embedding/embeddings", 1);
  mark(f, &v, "/logits/kernel", 2);
  mark(f, &v, "/logits/bias", 1);
  tell(f, &v, "output");
  return CO_OK;
}

co_status co_initial_tokens(co_weight_match *matches, co_arena *arena, const co_store *store,
                            const co_model *model, const char *path, bool fitted) {
  const finding f = {matches, arena, store, path, fitted};
  const co_feature_class *text = co_feature_class_find("text_sequence");
  for (int64_t i = 0; i < model->input_count; i++)
    if (model->inputs[i].class_ == text) CO_RETURN_IF_FAILED(find_read(&f, &model->inputs[i]));
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].text) CO_RETURN_IF_FAILED(find_written(&f, &model->outputs[i]));
  return CO_OK;
}
