// SPDX-License-Identifier: Apache-2.0
#include "datasets/rejects.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/output.h"

// ---- the rule ----------------------------------------------------------------------------------

static const char *const words[] = {"fail", "skip", "quarantine"};

static co_status parse_most(co_reject_rule *out, const char *text) {
  char *end;
  out->most = strtod(text, &end);
  out->share = *end == '%';
  end += out->share;
  bool good =
      *text >= '0' && *text <= '9' && !*end && out->most >= 0 && (!out->share || out->most <= 100);
  if (out->share) out->most /= 100;
  if (good) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--max-errors %.100s: must be rows, or a share", text);
  co_hint("for example --max-errors 100, or --max-errors 0.5%%");
  return status;
}

co_status co_reject_rule_parse(co_reject_rule *out, const char *on_error, const char *most,
                               co_on_error fallback) {
  *out = (co_reject_rule){.on_error = fallback, .most = 0.01, .share = true};
  if (on_error) {
    int kind = 0;
    while (kind < 3 && strcmp(words[kind], on_error) != 0)
      kind++;
    if (kind == 3) {
      co_status status = co_fail(CO_ERR_USAGE, "--on-error %.100s: not understood", on_error);
      co_hint("fail, skip or quarantine");
      return status;
    }
    out->on_error = (co_on_error)kind;
  }
  return most ? parse_most(out, most) : CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

void co_rejects_init(co_rejects *r, co_context *ctx, const co_reject_rule *rule) {
  *r = (co_rejects){.ctx = ctx, .rule = *rule};
}

void co_rejects_free(co_rejects *r) {
  if (r->ctx) co_free(r->ctx, r->cells);
  *r = (co_rejects){0};
}

co_status co_rejects_add(co_rejects *r, const co_bad_cell *cell) {
  CO_RETURN_IF_FAILED(
      co_grow(r->ctx, (void **)&r->cells, &r->capacity, r->count, sizeof *r->cells));
  r->cells[r->count++] = *cell;
  return CO_OK;
}

static int by_place(const void *a, const void *b) {
  const co_bad_cell *x = a, *y = b;
  if (x->file != y->file) return x->file < y->file ? -1 : 1;
  if (x->row != y->row) return x->row < y->row ? -1 : 1;
  return (x->column > y->column) - (x->column < y->column);
}

void co_rejects_settle(co_rejects *r) {
  int64_t kept = 0;
  if (!r->count) return;
  qsort(r->cells, (size_t)r->count, sizeof *r->cells, by_place);
  for (int64_t i = 0; i < r->count; i++)
    if (!kept || r->cells[i].file != r->cells[kept - 1].file ||
        r->cells[i].row != r->cells[kept - 1].row)
      r->cells[kept++] = r->cells[i];
  r->count = kept;
}

// Threads may tell in any order.
void co_rejects_tell(co_rejects *r, const co_bad_cell *cell, const char *column,
                     const char *reason) {
  if (r->first.row && by_place(cell, &r->first) >= 0) return;
  r->first = *cell;
  snprintf(r->first_reason, sizeof r->first_reason, "%s%.100s%s%s", column ? "column '" : "",
           column ? column : "", column ? "': " : "", reason);
}

const co_bad_cell *co_rejects_find(const co_rejects *r, int64_t file, int64_t row) {
  int64_t low = 0, high = r->count;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    const co_bad_cell *cell = &r->cells[middle];
    if (cell->file == file && cell->row == row) return cell;
    if (cell->file < file || (cell->file == file && cell->row < row))
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

int64_t co_rejects_total(const co_rejects *r) {
  return r->damaged + r->count;
}

co_status co_rejects_check(const co_rejects *r, const char *path, int64_t rows) {
  char first[320] = "", file[32] = "";
  if (r->first.file) snprintf(file, sizeof file, "file %" PRId64 ", ", r->first.file + 1);
  if (r->first.row)
    snprintf(first, sizeof first, "%srow %" PRId64 ", %s", file, r->first.row, r->first_reason);
  return co_reject_rule_check(&r->rule, path, rows, co_rejects_total(r), first);
}

co_status co_reject_rule_check(const co_reject_rule *rule, const char *path, int64_t rows,
                               int64_t bad, const char *first) {
  double all = (double)(rows + bad), most = rule->share ? rule->most * all : rule->most;
  if ((double)bad <= most) return CO_OK;
  char limit[48];
  snprintf(limit, sizeof limit, "%g%s", rule->share ? 100 * rule->most : rule->most,
           rule->share ? " %" : "");
  co_status status =
      co_fail_at(CO_ERR_DATA, path, 0, 0,
                 "%" PRId64 " of %" PRId64 " rows cannot be taken, more than the %s allowed%s%s",
                 bad, rows + bad, limit, *first ? ", such as " : "", first);
  co_hint("correct them, or allow more by --max-errors N or P%%; --on-error quarantine then lists "
          "them all");
  return status;
}

void co_reject_explain(char out[160], co_reject_reason reason, const co_cell *cell) {
  static const char *const texts[] = {"is no number", "is beyond the range of numbers, 3.4e38",
                                      "is no date", "is no key: it is missing"};
  int length = (int)(cell->length < 40 ? cell->length : 40);
  snprintf(out, 160, "'%.*s%s' %s", length, cell->text, cell->length > 40 ? "…" : "",
           texts[reason]);
}

// ---- the file ----------------------------------------------------------------------------------

struct co_reject_file {
  co_context *ctx;
  co_atomic_file file;
  co_writer *writer;
};

char *co_reject_file_path(co_context *ctx, const char *output) {
  return co_format(ctx, "%s.rejects.csv", output);
}

co_status co_reject_file_begin(co_reject_file **out, co_context *ctx, const char *output,
                               bool replace) {
  co_reject_file *f = *out = co_alloc_zero(ctx, 1, sizeof *f);
  char *path = co_reject_file_path(ctx, output);
  co_status status = f && path ? CO_OK : CO_ERR_MEMORY;
  if (f) f->ctx = ctx;
  const co_output wanted = {path, replace, NULL, 0};
  if (status == CO_OK) status = co_output_begin(&f->file, ctx, &wanted);
  if (status == CO_OK) status = co_writer_open(&f->writer, ctx, f->file.temporary, false);
  if (status == CO_OK)
    status = co_writer_printf(f->writer, "line,row,key,column,reason,text,file\n");
  co_free(ctx, path);
  if (status == CO_OK) return CO_OK;
  co_reject_file_free(f);
  *out = NULL;
  return status;
}

// In quotes, each quote doubled; bytes that are no text stay as they are.
static co_status write_quoted(co_writer *writer, const char *text, size_t length) {
  CO_RETURN_IF_FAILED(co_writer_write(writer, "\"", 1));
  for (size_t i = 0; i < length;) {
    const char *quote = memchr(text + i, '"', length - i);
    size_t run = quote ? (size_t)(quote - text) + 1 - i : length - i;
    CO_RETURN_IF_FAILED(co_writer_write(writer, text + i, run));
    if (quote) CO_RETURN_IF_FAILED(co_writer_write(writer, "\"", 1));
    i += run;
  }
  return co_writer_write(writer, "\"", 1);
}

co_status co_reject_file_add(co_reject_file *f, const char *shown, const co_row_place *place,
                             const co_cell *key, const char *column, const char *reason) {
  co_writer *w = f->writer;
  if (place->line) CO_RETURN_IF_FAILED(co_writer_printf(w, "%" PRId64, place->line));
  CO_RETURN_IF_FAILED(co_writer_printf(w, ",%" PRId64 ",", place->row));
  if (key) CO_RETURN_IF_FAILED(write_quoted(w, key->text, key->length));
  CO_RETURN_IF_FAILED(co_writer_write(w, ",", 1));
  if (column) CO_RETURN_IF_FAILED(write_quoted(w, column, strlen(column)));
  CO_RETURN_IF_FAILED(co_writer_write(w, ",", 1));
  CO_RETURN_IF_FAILED(write_quoted(w, reason, strlen(reason)));
  CO_RETURN_IF_FAILED(co_writer_write(w, ",", 1));
  if (place->raw.text) CO_RETURN_IF_FAILED(write_quoted(w, place->raw.text, place->raw.length));
  CO_RETURN_IF_FAILED(co_writer_write(w, ",", 1));
  CO_RETURN_IF_FAILED(write_quoted(w, shown, strlen(shown)));
  return co_writer_write(w, "\n", 1);
}

co_status co_reject_file_commit(co_reject_file *f) {
  if (!f) return CO_OK;
  co_writer *writer = f->writer;
  f->writer = NULL;
  CO_RETURN_IF_FAILED(co_writer_close(writer));
  return co_atomic_commit(&f->file);
}

void co_reject_file_free(co_reject_file *f) {
  if (!f) return;
  co_error error;
  co_error_copy(&error);
  co_writer_close(f->writer);
  co_atomic_abort(&f->file);
  if (error.status != CO_OK) co_error_raise(&error);
  co_free(f->ctx, f);
}
