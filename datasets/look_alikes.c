// SPDX-License-Identifier: Apache-2.0
// Hashes that differ in six bits at most agree in one of seven bands of bits at least: so each is compared
// with the training images of its buckets alone.
#include "datasets/look_alikes.h"

#include <stdlib.h>
#include <string.h>

enum {
  HASH_HEIGHT = 8,
  HASH_WIDTH = 9,
  SIDE = 16,
  SMALL = SIDE * SIDE,
  MOST_CHANNELS = 3,
  BANDS = CO_LOOK_ALIKE_BITS + 1,
  BAND_BITS = 10, // of the last; the others have 9
  BUCKETS = 1 << BAND_BITS,
  LEAST_SET = 6 // bits of a hash that tells anything, set and not set
};

typedef struct search {
  co_context *ctx;
  const co_view *view;
  const volatile int *stop;
  int64_t height, width, stride, channels; // stride: channels stored, of which three count
  const int64_t *train;                    // samples
  int64_t train_count;
  uint64_t *hashes; // of training samples
  uint8_t *small;   // [train_count][small_bytes]
  int64_t small_bytes;
  int32_t *members; // [BANDS][train_count]: training samples by bucket
  int64_t *begin;   // [BANDS][BUCKETS + 1]
} search;

// ---- images ------------------------------------------------------------------------------------

enum { GREY = -1 };

static float tone_at(const search *s, const uint8_t *pixels, int64_t y, int64_t x, int channel) {
  const uint8_t *p = pixels + (y * s->width + x) * s->stride;
  if (channel != GREY || s->channels < 3) return (float)p[channel == GREY ? 0 : channel];
  return 0.299f * (float)p[0] + 0.587f * (float)p[1] + 0.114f * (float)p[2];
}

// How much of the pixel `at` lies between `from` and `to`.
static float share(int64_t at, double from, double to) {
  double begin = (double)at > from ? (double)at : from;
  double end = (double)at + 1 < to ? (double)at + 1 : to;
  return (float)(end - begin);
}

// Means of rectangles; those of a pixel's parts count by their area.
static void shrink(float *out, int height, int width, const search *s, const uint8_t *pixels,
                   int channel) {
  const double tall = (double)s->height / height, wide = (double)s->width / width;
  for (int i = 0; i < height * width; i++) {
    const double top = i / width * tall, left = i % width * wide;
    float sum = 0;
    for (int64_t y = (int64_t)top; (double)y < top + tall && y < s->height; y++)
      for (int64_t x = (int64_t)left; (double)x < left + wide && x < s->width; x++)
        sum += share(y, top, top + tall) * share(x, left, left + wide) *
               tone_at(s, pixels, y, x, channel);
    out[i] = sum / (float)(tall * wide);
  }
}

static const uint8_t *pixels_of(const search *s, int64_t sample) {
  return s->view->bytes + (size_t)co_view_row(s->view, sample) * s->view->row_bytes;
}

static uint64_t hash_of(const search *s, int64_t sample) {
  float means[HASH_HEIGHT * HASH_WIDTH];
  uint64_t hash = 0;
  shrink(means, HASH_HEIGHT, HASH_WIDTH, s, pixels_of(s, sample), GREY);
  for (int i = 0; i < HASH_HEIGHT * HASH_WIDTH; i++)
    if (i % HASH_WIDTH) hash = hash << 1 | (means[i] > means[i - 1]);
  return hash;
}

static bool tells_nothing(uint64_t hash) {
  int set = __builtin_popcountll(hash);
  return set < LEAST_SET || set > 64 - LEAST_SET;
}

// Its 16 x 16 means, channel by channel.
static void draw_small(const search *s, int64_t sample, uint8_t *small) {
  float means[SMALL];
  for (int c = 0; c < s->channels; c++) {
    shrink(means, SIDE, SIDE, s, pixels_of(s, sample), c);
    for (int i = 0; i < SMALL; i++)
      small[c * SMALL + i] = (uint8_t)(means[i] + 0.5f);
  }
}

static bool are_alike(const uint8_t *a, const uint8_t *b, int64_t count) {
  int64_t sum = 0, squares = 0;
  for (int64_t i = 0; i < count; i++) {
    int difference = a[i] - b[i];
    sum += difference;
    squares += difference * difference;
  }
  // The variance, times the square of their number.
  return count * squares - sum * sum <= count * count * CO_LOOK_ALIKE_RMS * CO_LOOK_ALIKE_RMS;
}

static bool are_copies(const search *s, int64_t a, int64_t b) {
  return memcmp(pixels_of(s, a), pixels_of(s, b), s->view->row_bytes) == 0;
}

// ---- buckets -----------------------------------------------------------------------------------

static int64_t bucket_of(uint64_t hash, int band) {
  return (int64_t)(hash >> (9 * band) & (band == BANDS - 1 ? BUCKETS - 1 : BUCKETS / 2 - 1));
}

static void fill_band(const search *s, int band) {
  int64_t *begin = s->begin + band * (BUCKETS + 1), next[BUCKETS];
  int32_t *members = s->members + band * s->train_count;
  for (int64_t i = 0; i < s->train_count; i++)
    if (!tells_nothing(s->hashes[i])) begin[bucket_of(s->hashes[i], band) + 1]++;
  for (int64_t b = 0; b < BUCKETS; b++) {
    next[b] = begin[b];
    begin[b + 1] += begin[b];
  }
  for (int64_t i = 0; i < s->train_count; i++)
    if (!tells_nothing(s->hashes[i])) members[next[bucket_of(s->hashes[i], band)]++] = (int32_t)i;
}

// The first training sample that looks like it; -1 = none.
static int64_t find_one(const search *s, int64_t sample) {
  uint64_t hash = hash_of(s, sample);
  int32_t first = (int32_t)s->train_count;
  uint8_t small[MOST_CHANNELS * SMALL];
  if (tells_nothing(hash)) return -1;
  draw_small(s, sample, small);
  for (int band = 0; band < BANDS; band++) {
    const int64_t *begin = s->begin + band * (BUCKETS + 1) + bucket_of(hash, band);
    const int32_t *members = s->members + band * s->train_count;
    for (int64_t k = begin[0]; k < begin[1] && members[k] < first; k++)
      if (__builtin_popcountll(hash ^ s->hashes[members[k]]) <= CO_LOOK_ALIKE_BITS &&
          are_alike(small, s->small + members[k] * s->small_bytes, s->small_bytes) &&
          !are_copies(s, sample, s->train[members[k]]))
        first = members[k];
  }
  return first < s->train_count ? s->train[first] : -1;
}

static co_status stopped(const search *s) {
  return s->stop && *s->stop ? co_fail(CO_INTERRUPTED, "stopped") : CO_OK;
}

static co_status fill(search *s) {
  s->hashes = co_alloc(s->ctx, (size_t)s->train_count * sizeof *s->hashes);
  s->members = co_alloc(s->ctx, (size_t)(BANDS * s->train_count) * sizeof *s->members);
  s->begin = co_alloc_zero(s->ctx, BANDS * (BUCKETS + 1), sizeof *s->begin);
  s->small = co_alloc(s->ctx, (size_t)(s->train_count * s->small_bytes));
  if (!s->hashes || !s->members || !s->begin || !s->small) return CO_ERR_MEMORY;
#pragma omp parallel for schedule(static) num_threads(co_context_threads(s->ctx))
  for (int64_t i = 0; i < s->train_count; i++)
    if (!s->stop || !*s->stop) {
      s->hashes[i] = hash_of(s, s->train[i]);
      draw_small(s, s->train[i], s->small + i * s->small_bytes);
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(co_context_threads(s->ctx))
  for (int band = 0; band < BANDS; band++)
    fill_band(s, band);
  return stopped(s);
}

static co_status search_split(search *s, co_dataset *dataset, co_split split, co_look_alikes *out) {
  const int64_t *rows;
  int64_t count;
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, split, &rows, &count));
  int64_t *like = co_alloc(s->ctx, (size_t)(count + 1) * sizeof *like);
  if (!like) return CO_ERR_MEMORY;
#pragma omp parallel for schedule(dynamic, 16) num_threads(co_context_threads(s->ctx))
  for (int64_t i = 0; i < count; i++)
    like[i] = s->stop && *s->stop ? -1 : find_one(s, rows[i]);
  for (int64_t i = 0; i < count; i++) {
    if (like[i] < 0) continue;
    if (out->sample < 0) {
      out->sample = rows[i];
      out->like = like[i];
    }
    out->count[split]++;
  }
  co_free(s->ctx, like);
  return stopped(s);
}

co_status co_look_alikes_find(co_look_alikes *out, co_context *ctx, co_dataset *dataset,
                              const co_view *view, const volatile int *stop) {
  const int64_t *shape = view->column->shape.dim;
  search s = {.ctx = ctx,
              .view = view,
              .stop = stop,
              .height = shape[0],
              .width = shape[1],
              .stride = shape[2],
              .channels = shape[2] < MOST_CHANNELS ? shape[2] : MOST_CHANNELS};
  s.small_bytes = s.channels * SMALL;
  *out = (co_look_alikes){.sample = -1, .like = -1};
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, CO_SPLIT_TRAIN, &s.train, &s.train_count));
  if (!s.train_count) return CO_OK;
  co_status status = fill(&s);
  if (status == CO_OK) status = search_split(&s, dataset, CO_SPLIT_VALIDATION, out);
  if (status == CO_OK) status = search_split(&s, dataset, CO_SPLIT_TEST, out);
  co_free(ctx, s.hashes);
  co_free(ctx, s.members);
  co_free(ctx, s.begin);
  co_free(ctx, s.small);
  return status;
}
