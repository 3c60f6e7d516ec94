// SPDX-License-Identifier: Apache-2.0
// cohort_data_erase: customers out of a dataset.
#include "datasets/erase.h"
#include "datasets/pseudonym.h"

#include <string.h>

#include "host/api/api.h"
#include "host/core/file.h"

typedef struct wanted {
  co_dictionary keys;
  co_pseudonym *pseudonym; // of the keys; NULL = as they are
} wanted;

static co_status add_key(wanted *w, const char *text, size_t length) {
  char hash[CO_PSEUDONYM_TEXT];
  while (length &&
         (text[length - 1] == '\r' || text[length - 1] == ' ' || text[length - 1] == '\t'))
    length--;
  for (; length && (*text == ' ' || *text == '\t'); text++)
    length--;
  if (!length) return CO_OK;
  if (!w->pseudonym) return co_dictionary_add(&w->keys, text, length, 1, NULL);
  co_pseudonym_make(w->pseudonym, text, length, hash);
  return co_dictionary_add(&w->keys, hash, sizeof hash, 1, NULL);
}

static co_status read_keys(wanted *w, co_context *ctx, const char *path) {
  enum { MOST = 1 << 30 };
  char *text;
  size_t length;
  CO_RETURN_IF_FAILED(co_read_file(ctx, path, MOST, CO_ERR_DATA, &text, &length));
  co_status status = CO_OK;
  for (char *line = text, *end; status == CO_OK && line < text + length; line = end + 1) {
    end = memchr(line, '\n', (size_t)(text + length - line));
    if (!end) end = text + length;
    status = add_key(w, line, (size_t)(end - line));
  }
  co_free(ctx, text);
  return status;
}

static co_status collect(wanted *w, co_arena *arena, const cohort_data_erase_options *o) {
  co_context *ctx = co_arena_context(arena);
  if (o->key_file) CO_RETURN_IF_FAILED(co_pseudonym_open(&w->pseudonym, arena, o->key_file));
  CO_RETURN_IF_FAILED(co_dictionary_create(&w->keys, ctx));
  for (int64_t i = 0; i < o->key_count; i++)
    CO_RETURN_IF_FAILED(add_key(w, o->keys[i], strlen(o->keys[i])));
  if (o->keys_file) CO_RETURN_IF_FAILED(read_keys(w, ctx, o->keys_file));
  if (w->keys.count) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "data erase needs a key");
  co_hint("give --key VALUE, or --keys FILE with one a line");
  return status;
}

static void report(cohort_result *result, const cohort_data_erase_options *o,
                   const co_erase_result *done) {
  const struct {
    const char *name;
    int64_t count;
  } counts[] = {{"samples", done->samples},
                {"rows", done->rows},
                {"events", done->events},
                {"categories", done->categories},
                {"samples_left", done->samples_left}};
  co_json *json = &result->json;
  co_json_key(json, "dataset");
  co_json_string(json, o->dataset);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    co_json_key(json, counts[i].name);
    co_json_int(json, counts[i].count);
  }
  co_json_key(json, "fingerprint");
  co_json_string(json, done->fingerprint);
  co_text_printf(&result->text,
                 "%s: erased %lld samples, %lld rows, %lld events, %lld values of categories; %lld "
                 "samples are left\n",
                 o->dataset, (long long)done->samples, (long long)done->rows,
                 (long long)done->events, (long long)done->categories,
                 (long long)done->samples_left);
}

static co_status erase(co_context *ctx, const cohort_data_erase_options *o, co_arena *arena,
                       wanted *w, cohort_result *result) {
  co_erase_result done;
  CO_RETURN_IF_FAILED(co_require(o->dataset, "data erase", "a dataset"));
  CO_RETURN_IF_FAILED(collect(w, arena, o));
  CO_RETURN_IF_FAILED(co_dataset_erase(&done, ctx, arena, o->dataset, &w->keys, o->allow_missing));
  report(result, o, &done);
  return CO_OK;
}

cohort_status cohort_data_erase(cohort_context *context, const cohort_data_erase_options *options,
                                cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_arena *arena = NULL;
  wanted w = {0};
  co_status status = co_arena_create(&arena, context->ctx);
  if (status == CO_OK) status = erase(context->ctx, options, arena, &w, *out);
  co_error error;
  co_error_copy(&error);
  co_dictionary_free(&w.keys);
  co_arena_free(arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "data", status);
}
