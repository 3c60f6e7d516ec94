// SPDX-License-Identifier: Apache-2.0
#include "host/eval/scores.h"

#include <stdlib.h>

co_status co_scores_create(co_scores *s, co_context *ctx, int64_t rows) {
  double *room = co_alloc(ctx, (size_t)(3 * rows + 1) * sizeof *room);
  *s = (co_scores){room, room ? room + rows : NULL, room ? room + 2 * rows : NULL, 0, rows};
  return room ? CO_OK : CO_ERR_MEMORY;
}

void co_scores_free(co_scores *s, co_context *ctx) {
  co_free(ctx, s->score);
  *s = (co_scores){.count = 0};
}

void co_scores_add(co_scores *s, const float *score, const float *target, const float *weight,
                   int64_t rows) {
  for (int64_t i = 0; i < rows && s->count < s->capacity; i++) {
    if (!(weight[i] > 0)) continue;
    s->score[s->count] = (double)score[i];
    s->target[s->count] = (double)target[i];
    s->weight[s->count++] = (double)weight[i];
  }
}

typedef struct ranked {
  double score, target, weight;
} ranked;

// A score that is no number comes last.
static int by_falling_score(const void *a, const void *b) {
  double x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
  if (x != x || y != y) return (x != x) - (y != y);
  return x > y ? -1 : x < y;
}

co_status co_scores_rank(co_scores *s, co_context *ctx, co_scored_rows *out) {
  ranked *rows = co_alloc(ctx, (size_t)(s->count + 1) * sizeof *rows);
  if (!rows) return CO_ERR_MEMORY;
  *out = (co_scored_rows){s->count, s->score, s->target, s->weight, 0, 0};
  for (int64_t i = 0; i < s->count; i++)
    rows[i] = (ranked){s->score[i], s->target[i], s->weight[i]};
  qsort(rows, (size_t)s->count, sizeof *rows, by_falling_score);
  for (int64_t i = 0; i < s->count; i++) {
    s->score[i] = rows[i].score;
    s->target[i] = rows[i].target;
    s->weight[i] = rows[i].weight;
    out->positive += rows[i].weight * rows[i].target;
    out->negative += rows[i].weight * (1 - rows[i].target);
  }
  co_free(ctx, rows);
  return CO_OK;
}
