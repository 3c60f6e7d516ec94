// SPDX-License-Identifier: Apache-2.0
#include "host/train/run_compare.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"
#include "host/core/h5.h"
#include "host/eval/kept_scores.h"

enum { MAX_METRICS = 1 << 30 };

static void differs(co_run_comparison *c, const char *format, ...) CO_PRINTF(2, 3);

static void differs(co_run_comparison *c, const char *format, ...) {
  va_list arguments;
  if (*c->difference) return;
  va_start(arguments, format);
  vsnprintf(c->difference, sizeof c->difference, format, arguments);
  va_end(arguments);
}

// ---- tensors -----------------------------------------------------------------------------------

typedef struct pair {
  co_context *ctx;
  co_arena *arena;
  co_h5 *a, *b;
  const char *name; // of the file, within the run
  co_run_comparison *out;
  const char *text; // the first text that differs, NULL if none does: tensors are told before
} pair;

static co_status compare_values(pair *p, const char *path, const co_h5_info *info) {
  size_t bytes = (size_t)co_shape_count(&info->shape) * co_dtype_size(info->dtype);
  void *a = co_alloc(p->ctx, bytes + 1), *b = co_alloc(p->ctx, bytes + 1);
  co_status status = a && b ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_h5_read(p->a, path, info->dtype, &info->shape, a);
  if (status == CO_OK) status = co_h5_read(p->b, path, info->dtype, &info->shape, b);
  if (status == CO_OK && memcmp(a, b, bytes) != 0) differs(p->out, "%s: tensor %s", p->name, path);
  co_free(p->ctx, a);
  co_free(p->ctx, b);
  return status;
}

static co_status compare_texts(pair *p, const char *path) {
  char **a, **b;
  int64_t na, nb;
  CO_RETURN_IF_FAILED(co_h5_read_strings(p->a, path, p->arena, &a, &na));
  CO_RETURN_IF_FAILED(co_h5_read_strings(p->b, path, p->arena, &b, &nb));
  bool same = na == nb;
  for (int64_t i = 0; i < na && same; i++)
    same = strcmp(a[i], b[i]) == 0;
  if (!same && !p->text) p->text = path;
  return CO_OK;
}

static co_status compare_member(pair *p, const char *path, bool *is_group) {
  co_h5_info a, b;
  CO_RETURN_IF_FAILED(co_h5_get_info(p->a, path, &a));
  *is_group = a.is_group;
  if (!co_h5_exists(p->b, path)) {
    differs(p->out, "%s: %s is in one of them", p->name, path);
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_h5_get_info(p->b, path, &b));
  if (a.is_group != b.is_group || a.is_string != b.is_string || a.dtype != b.dtype ||
      !co_shape_equal(&a.shape, &b.shape))
    differs(p->out, "%s: the shape or type of %s", p->name, path);
  if (a.is_group || *p->out->difference) return CO_OK;
  CO_RETURN_IF_FAILED(a.is_string ? compare_texts(p, path) : compare_values(p, path, &a));
  if (!*p->out->difference && !a.is_string) p->out->tensors++;
  return CO_OK;
}

// All that is in a group, by way of a list of groups still to be looked into.
static co_status compare_groups(pair *p) {
  char **groups = NULL;
  int64_t count = 0, capacity = 0;
  co_status status = co_grow(p->ctx, (void **)&groups, &capacity, count, sizeof *groups);
  if (status == CO_OK) groups[count++] = "";
  for (int64_t g = 0; status == CO_OK && g < count && !*p->out->difference; g++) {
    char **members;
    int64_t member_count = 0;
    status = co_h5_list(p->a, *groups[g] ? groups[g] : "/", p->arena, &members, &member_count);
    for (int64_t i = 0; status == CO_OK && i < member_count && !*p->out->difference; i++) {
      bool is_group = false;
      char *path = co_arena_format(p->arena, "%s/%s", groups[g], members[i]);
      status = path ? compare_member(p, path, &is_group) : CO_ERR_MEMORY;
      if (status == CO_OK && is_group)
        status = co_grow(p->ctx, (void **)&groups, &capacity, count, sizeof *groups);
      if (status == CO_OK && is_group) groups[count++] = path;
    }
  }
  co_free(p->ctx, groups);
  return status;
}

static co_status compare_tensors(co_run_comparison *out, co_context *ctx, const char *name,
                                 const char *a, const char *b) {
  pair p = {.ctx = ctx, .name = name, .out = out};
  co_status status;
  CO_TRY(co_arena_create(&p.arena, ctx));
  CO_TRY(co_h5_open(&p.a, ctx, a, CO_ERR_MODEL));
  CO_TRY(co_h5_open(&p.b, ctx, b, CO_ERR_MODEL));
  CO_TRY(compare_groups(&p));
  if (p.text) differs(out, "%s: %s", name, p.text);
cleanup:
  co_h5_abandon(p.a);
  co_h5_abandon(p.b);
  co_arena_free(p.arena);
  return status;
}

// ---- files -------------------------------------------------------------------------------------

// Of bytes that are read in pieces; *at is where they first differ, -1 if they do not.
static co_status compare_bytes(const char *a, const char *b, int64_t *at) {
  FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
  co_status status = x && y ? CO_OK : co_fail_at(CO_ERR_IO, x ? b : a, 0, 0, "cannot be read");
  int64_t offset = 0;
  for (*at = -1; status == CO_OK && *at < 0; offset++) {
    int c = getc(x), d = getc(y);
    if (c != d) *at = offset;
    if (c == EOF || d == EOF) break;
  }
  if (status == CO_OK && (ferror(x) || ferror(y)))
    status = co_fail_at(CO_ERR_IO, a, 0, 0, "cannot be read");
  if (x) fclose(x);
  if (y) fclose(y);
  return status;
}

static co_status compare_file(co_run_comparison *out, co_context *ctx, const char *name,
                              const char *a, const char *b) {
  int64_t at = -1;
  char *x = co_path_join(ctx, a, name), *y = co_path_join(ctx, b, name);
  co_status status = x && y ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK && co_path_exists(x) != co_path_exists(y)) {
    differs(out, "%s is in one of them", name);
  } else if (status == CO_OK && co_path_exists(x)) {
    status = compare_tensors(out, ctx, name, x, y);
    if (status == CO_OK && !*out->difference) status = compare_bytes(x, y, &at);
    if (at >= 0) differs(out, "%s: byte %lld, amid equal tensors", name, (long long)at);
  }
  co_free(ctx, x);
  co_free(ctx, y);
  return status;
}

static co_status read_metrics(co_context *ctx, const char *run, char **out) {
  char *path = co_path_join(ctx, run, "metrics.jsonl");
  *out = NULL;
  co_status status =
      path ? co_read_file(ctx, path, MAX_METRICS, CO_ERR_MODEL, out, NULL) : CO_ERR_MEMORY;
  co_free(ctx, path);
  return status;
}

static co_status compare_metrics(co_run_comparison *out, co_context *ctx, const char *a,
                                 const char *b) {
  char *x, *y = NULL;
  co_status status = read_metrics(ctx, a, &x);
  if (status == CO_OK) status = read_metrics(ctx, b, &y);
  const char *p = x, *q = y;
  while (status == CO_OK && (*p || *q) && !*out->difference) {
    size_t length = strcspn(p, "\n"), other = strcspn(q, "\n");
    if (length != other || memcmp(p, q, length) != 0)
      differs(out, "metrics.jsonl: line %lld", (long long)out->metric_lines + 1);
    else
      out->metric_lines++;
    p += length + (p[length] == '\n');
    q += other + (q[other] == '\n');
  }
  co_free(ctx, x);
  co_free(ctx, y);
  return status;
}

static int is_checkpoint(const struct dirent *entry) {
  return strlen(entry->d_name) > 3 && co_text_ends_in(entry->d_name, ".h5");
}

// Names ascending; each with its file, links too.
static co_status compare_checkpoints(co_run_comparison *out, co_context *ctx, const char *a,
                                     const char *b) {
  struct dirent **list[2] = {NULL, NULL};
  int count[2] = {0, 0};
  co_status status = CO_OK;
  for (int k = 0; k < 2 && status == CO_OK; k++) {
    char *folder = co_path_join(ctx, k ? b : a, "checkpoints");
    if (!folder) status = CO_ERR_MEMORY;
    count[k] = folder ? scandir(folder, &list[k], is_checkpoint, alphasort) : 0;
    if (count[k] < 0) status = co_fail_at(CO_ERR_IO, folder, 0, 0, "cannot be read");
    co_free(ctx, folder);
  }
  for (int i = 0; status == CO_OK && !*out->difference && (i < count[0] || i < count[1]); i++) {
    const char *x = i < count[0] ? list[0][i]->d_name : "",
               *y = i < count[1] ? list[1][i]->d_name : "";
    char name[300];
    snprintf(name, sizeof name, "checkpoints/%s", *x ? x : y);
    if (strcmp(x, y) != 0)
      differs(out, "%s is in one of them", name);
    else
      status = compare_file(out, ctx, name, a, b);
    if (status == CO_OK && !*out->difference) out->checkpoints++;
  }
  for (int k = 0; k < 2; k++) {
    for (int i = 0; i < count[k]; i++)
      free(list[k][i]);
    free(list[k]);
  }
  return status;
}

co_status co_run_compare(co_run_comparison *out, co_context *ctx, const char *a, const char *b) {
  *out = (co_run_comparison){.tensors = 0};
  CO_RETURN_IF_FAILED(compare_file(out, ctx, "model.h5", a, b));
  int64_t tensors = out->tensors; // those of checkpoints are told by their number
  if (!*out->difference) CO_RETURN_IF_FAILED(compare_file(out, ctx, CO_SCORES_FILE, a, b));
  if (!*out->difference) CO_RETURN_IF_FAILED(compare_metrics(out, ctx, a, b));
  if (!*out->difference) CO_RETURN_IF_FAILED(compare_checkpoints(out, ctx, a, b));
  out->tensors = tensors;
  return CO_OK;
}
