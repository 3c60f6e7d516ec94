// SPDX-License-Identifier: Apache-2.0
#include "host/output/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"
#include "host/core/hash.h"

enum { MOST_BYTES = 1 << 30 };

static const char magic[] = "cohort-journal-1 ";

struct co_journal {
  co_context *ctx;
  co_writer *writer;
};

// ---- jobs --------------------------------------------------------------------------------------

void co_sink_job_print(char out[200], const co_sink_job *job) {
  snprintf(out, 200, "%s %s %s", job->model, job->source, job->options);
}

co_status co_sink_job_check(const char *stored, const co_sink_job *job, const char *output) {
  char wanted[200];
  co_status status = CO_OK;
  co_sink_job_print(wanted, job);
  if (strcmp(stored, wanted) == 0) return CO_OK;
  if (strlen(stored) != strlen(wanted))
    status = co_fail_at(CO_ERR_IO, output, 0, 0, "what the job before left cannot be read");
  else if (strncmp(stored, wanted, 64) != 0)
    status = co_fail_at(CO_ERR_MODEL, output, 0, 0,
                        "the job that was begun has another model; it cannot go on with this one");
  else if (strncmp(stored + 65, wanted + 65, 64) != 0)
    status =
        co_fail_at(CO_ERR_DATA, output, 0, 0,
                   "the rows have changed since the job was begun; it cannot go on with these");
  else
    status = co_fail_at(CO_ERR_USAGE, output, 0, 0,
                        "the job was begun with other options, or another number of threads");
  co_hint("without --resume it is begun anew");
  return status;
}

// ---- reading -----------------------------------------------------------------------------------

static char *journal_path(co_context *ctx, const char *path) {
  return co_format(ctx, "%s.journal", path);
}

// "ROWS BYTES STATE CRC", the checksum over what stands in front of it.
static bool parse_line(char *line, int64_t *rows, int64_t *bytes, const char **state) {
  char *check = strrchr(line, ' '), *end;
  if (!check) return false;
  *check = 0;
  if (strtoul(check + 1, &end, 16) != co_crc32c(0, line, strlen(line)) || *end) return false;
  *rows = strtoll(line, &end, 10);
  *bytes = *end == ' ' ? strtoll(end + 1, &end, 10) : -1;
  *state = *end == ' ' ? end + 1 : "";
  return *rows >= 0 && *bytes >= 0;
}

static co_status parse(co_position *at, co_context *ctx, char *text, const char *path,
                       const co_sink_job *job) {
  const char *state = "";
  char *line = strchr(text, '\n');
  if (strncmp(text, magic, strlen(magic)) != 0 || !line)
    return co_fail_at(CO_ERR_IO, path, 0, 0, "this is no journal of scoring");
  *line++ = 0;
  for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    int64_t rows, bytes;
    const char *found;
    *end = 0;
    if (!parse_line(line, &rows, &bytes, &found)) break;
    at->rows = rows;
    at->bytes = bytes;
    state = found;
  }
  if (!at->rows) return CO_OK; // of which nothing is lost
  CO_RETURN_IF_FAILED(co_sink_job_check(text + strlen(magic), job, path));
  co_free(ctx, at->state);
  at->state = co_strdup(ctx, state);
  return at->state ? CO_OK : CO_ERR_MEMORY;
}

co_status co_journal_read(co_position *at, co_context *ctx, const char *path,
                          const co_sink_job *job) {
  char *text = NULL, *file = journal_path(ctx, path);
  if (!file) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  if (co_path_exists(file)) status = co_read_file(ctx, file, MOST_BYTES, CO_ERR_IO, &text, NULL);
  if (text) status = parse(at, ctx, text, file, job);
  co_free(ctx, text);
  co_free(ctx, file);
  return status;
}

// ---- writing -----------------------------------------------------------------------------------

static void add_line(co_text *out, const co_position *p) {
  size_t begin = out->length;
  co_text_printf(out, "%" PRId64 " %" PRId64 " %s", p->rows, p->bytes, p->state ? p->state : "");
  if (out->status != CO_OK) return;
  uint32_t check = co_crc32c(0, out->data + begin, out->length - begin);
  co_text_printf(out, " %08" PRIx32 "\n", check);
}

co_status co_journal_begin(co_journal **out, co_context *ctx, const char *path,
                           const co_sink_job *job, const co_position *at) {
  char print[200], *file = journal_path(ctx, path);
  co_journal *j = *out = co_alloc_zero(ctx, 1, sizeof *j);
  co_text text;
  co_text_init(&text, ctx);
  co_sink_job_print(print, job);
  co_text_printf(&text, "%s%s\n", magic, print);
  add_line(&text, at);
  co_status status = j && file ? text.status : CO_ERR_MEMORY;
  if (j) j->ctx = ctx;
  if (status == CO_OK) status = co_write_file_atomic(ctx, file, text.data, text.length);
  if (status == CO_OK) status = co_writer_open(&j->writer, ctx, file, true);
  co_text_free(&text);
  co_free(ctx, file);
  return status;
}

co_status co_journal_add(co_journal *j, const co_position *position) {
  co_text text;
  co_text_init(&text, j->ctx);
  add_line(&text, position);
  co_status status = text.status;
  if (status == CO_OK) status = co_writer_write(j->writer, text.data, text.length);
  if (status == CO_OK) status = co_writer_sync(j->writer);
  co_text_free(&text);
  return status;
}

void co_journal_close(co_journal *j) {
  if (!j) return;
  co_writer_close(j->writer);
  co_free(j->ctx, j);
}

co_status co_journal_remove(co_context *ctx, const char *path) {
  char *file = journal_path(ctx, path);
  co_status status = file ? co_remove_file(ctx, file) : CO_ERR_MEMORY;
  co_free(ctx, file);
  return status;
}
