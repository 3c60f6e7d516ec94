// SPDX-License-Identifier: Apache-2.0
#include "host/eval/ranking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/core/file.h"
#include "host/core/temporary.h"

struct co_ranking {
  co_context *ctx;
  const char *beside;
  int64_t rows, width, count;
  float *scores; // of all rows, sorted in the end
  co_writer *writer;
  FILE *reader;
};

// The file has no name any more once it is opened: it goes however the process ends.
static co_status open_temporary(co_ranking *r) {
  char *name;
  int lock;
  CO_RETURN_IF_FAILED(co_temporary_create(&name, &lock, r->ctx, r->beside));
  co_status status = co_writer_open(&r->writer, r->ctx, name, false);
  if (status == CO_OK && !(r->reader = fopen(name, "rbe")))
    status = co_fail_errno(CO_ERR_IO, errno, "cannot read '%s'", name);
  unlink(name);
  close(lock);
  co_free(r->ctx, name);
  return status;
}

co_status co_ranking_create(co_ranking **out, co_context *ctx, int64_t rows, int64_t width,
                            const char *beside) {
  co_ranking *r = *out = co_alloc_zero(ctx, 1, sizeof *r);
  if (!r) return CO_ERR_MEMORY;
  *r = (co_ranking){.ctx = ctx, .beside = beside, .rows = rows, .width = width};
  r->scores = co_alloc_zero(ctx, (size_t)rows + 1, sizeof *r->scores);
  co_status status = r->scores ? open_temporary(r) : CO_ERR_MEMORY;
  if (status == CO_OK) return CO_OK;
  co_ranking_free(r);
  *out = NULL;
  return status;
}

void co_ranking_free(co_ranking *r) {
  if (!r) return;
  co_writer_close(r->writer);
  if (r->reader) fclose(r->reader);
  co_free(r->ctx, r->scores);
  co_free(r->ctx, r);
}

co_status co_ranking_add(co_ranking *r, float score, const float *row) {
  r->scores[r->count++] = score;
  CO_RETURN_IF_FAILED(co_writer_write(r->writer, &score, sizeof score));
  return co_writer_write(r->writer, row, (size_t)r->width * sizeof *row);
}

static int falling(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x < y) - (x > y);
}

co_status co_ranking_sort(co_ranking *r) {
  co_status status = co_writer_close(r->writer);
  r->writer = NULL;
  qsort(r->scores, (size_t)r->count, sizeof *r->scores, falling);
  return status;
}

// How many scores are higher.
static int64_t higher(const co_ranking *r, float score) {
  int64_t first = 0, end = r->count;
  while (first < end) {
    int64_t middle = first + (end - first) / 2;
    if (r->scores[middle] > score)
      first = middle + 1;
    else
      end = middle;
  }
  return first;
}

co_status co_ranking_next(co_ranking *r, float *row, int64_t *rank) {
  float score;
  if (fread(&score, sizeof score, 1, r->reader) != 1 ||
      fread(row, sizeof *row, (size_t)r->width, r->reader) != (size_t)r->width)
    return co_fail(CO_ERR_IO, "the temporary file beside '%s' ends early", r->beside);
  *rank = higher(r, score) + 1;
  return CO_OK;
}
