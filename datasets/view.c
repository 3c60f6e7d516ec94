// SPDX-License-Identifier: Apache-2.0
#include "datasets/view.h"

#include <string.h>

#include "host/core/rng.h"

bool co_view_exists(const co_column *column) {
  return column->role != CO_ROLE_KEY && column->role != CO_ROLE_IGNORE;
}

static bool is_of_events(co_dataset *dataset, const co_column *column) {
  const co_table *table = co_schema_table(co_dataset_schema(dataset), column->table);
  return table && table->kind == CO_TABLE_EVENTS;
}

co_status co_view_open(co_view *out, co_dataset *dataset, const co_column *column) {
  const void *data;
  bool events = is_of_events(dataset, column);
  *out = (co_view){.column = column};
  if (column->type == CO_COLUMN_TEXT)
    return co_dataset_texts(dataset, column->name, &out->texts, &out->rows,
                            events ? NULL : &out->index);
  CO_RETURN_IF_FAILED(
      co_dataset_column(dataset, column->name, &data, &out->rows, events ? NULL : &out->index));
  switch (column->type) {
  case CO_COLUMN_NUMBER:
  case CO_COLUMN_DATE:
  case CO_COLUMN_BINARY:
    return co_dataset_numbers(dataset, column->name, &out->numbers);
  case CO_COLUMN_CATEGORY:
    out->codes = data;
    return CO_OK;
  default:
    out->bytes = data;
    out->row_bytes = co_dtype_size(column->dtype) * (size_t)co_shape_count(&column->shape);
    return CO_OK;
  }
}

uint64_t co_mix_bytes(uint64_t hash, const void *bytes, size_t length) {
  const unsigned char *at = bytes;
  uint64_t word;
  for (; length >= sizeof word; at += sizeof word, length -= sizeof word) {
    memcpy(&word, at, sizeof word);
    hash = co_mix64(hash, word);
  }
  word = 0;
  memcpy(&word, at, length);
  return co_mix64(hash, word ^ (uint64_t)length << 56);
}

// 53 bits of a hash.
double co_text_value(const char *text) {
  if (!*text) return (double)NAN;
  return (double)(co_mix_bytes(0, text, strlen(text)) >> 11);
}

uint64_t co_double_bits(double value) {
  uint64_t bits;
  if (isnan(value)) return 0x7FF8u << 16;
  value += 0.0; // -0 + 0 = 0
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

int64_t co_stretch_draw(int64_t i, int64_t kept, int64_t count) {
  if (kept == count) return i;
  int64_t begin = (int64_t)((__int128)i * count / kept);
  int64_t length = (int64_t)((__int128)(i + 1) * count / kept) - begin;
  return begin + co_random_bits(0, (uint64_t)i, 0, 0) % length;
}

// ---- sorting -----------------------------------------------------------------------------------

enum { RADIX_BITS = 8, RADIX = 1 << RADIX_BITS };

// By bytes, the lowest first; those that all values share are passed over.
void co_sort_u64(uint64_t *values, uint64_t *scratch, int64_t count) {
  uint64_t *from = values, *to = scratch;
  for (int shift = 0; shift < 64; shift += RADIX_BITS) {
    int64_t begin[RADIX + 1] = {0};
    for (int64_t i = 0; i < count; i++)
      begin[(from[i] >> shift & (RADIX - 1)) + 1]++;
    if (count && begin[(from[0] >> shift & (RADIX - 1)) + 1] == count) continue;
    for (int b = 0; b < RADIX; b++)
      begin[b + 1] += begin[b];
    for (int64_t i = 0; i < count; i++)
      to[begin[from[i] >> shift & (RADIX - 1)]++] = from[i];
    uint64_t *other = from;
    from = to;
    to = other;
  }
  if (from != values) memcpy(values, from, (size_t)count * sizeof *values);
}

// The bits of doubles sort as integers once negative ones are turned round.
static uint64_t to_key(double value) {
  uint64_t bits;
  value += 0.0;
  memcpy(&bits, &value, sizeof bits);
  return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static double from_key(uint64_t key) {
  uint64_t bits = key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

void co_sort_doubles(double *values, double *scratch, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    uint64_t key = to_key(values[i]);
    memcpy(&values[i], &key, sizeof key);
  }
  co_sort_u64((uint64_t *)(void *)values, (uint64_t *)(void *)scratch, count);
  for (int64_t i = 0; i < count; i++) {
    uint64_t key;
    memcpy(&key, &values[i], sizeof key);
    values[i] = from_key(key);
  }
}

double co_sorted_auc(const double *positives, int64_t positive_count, const double *negatives,
                     int64_t negative_count) {
  int64_t below = 0, upto = 0;
  double sum = 0;
  if (!positive_count || !negative_count) return 0.5;
  for (int64_t i = 0; i < positive_count; i++) {
    while (below < negative_count && negatives[below] < positives[i])
      below++;
    if (upto < below) upto = below;
    while (upto < negative_count && negatives[upto] <= positives[i])
      upto++;
    sum += 0.5 * (double)(below + upto);
  }
  return sum / (double)positive_count / (double)negative_count;
}

double co_sorted_quantile(const double *values, int64_t count, double share) {
  if (!count) return (double)NAN;
  double at = share * (double)(count - 1);
  int64_t low = (int64_t)at;
  if (low >= count - 1) return values[count - 1];
  return values[low] + (at - (double)low) * (values[low + 1] - values[low]);
}

// ---- counting different values -----------------------------------------------------------------

static void keep_hash(co_sketch *sketch, uint64_t hash) {
  enum { MASK = 2 * CO_SKETCH_EXACT - 1 };
  uint64_t at = hash & MASK, kept = hash ? hash : 1;
  while (sketch->known[at] && sketch->known[at] != kept)
    at = (at + 1) & MASK;
  if (sketch->known[at]) return;
  if (sketch->known_count++ < CO_SKETCH_EXACT) sketch->known[at] = kept;
}

void co_sketch_add(co_sketch *sketch, uint64_t hash) {
  if (co_sketch_is_exact(sketch)) keep_hash(sketch, hash);
  uint8_t *most = &sketch->most[hash >> (64 - CO_SKETCH_BITS)], zeros = 1;
  for (uint64_t rest = hash << CO_SKETCH_BITS; zeros <= 64 - CO_SKETCH_BITS && !(rest >> 63);
       rest <<= 1)
    zeros++;
  if (zeros > *most) *most = zeros;
}

// x + x^2 + 2 x^4 + 4 x^8 + …
static double sigma(double x) {
  double sum = x, before, weight = 1;
  if (x == 1) return INFINITY;
  do {
    x *= x;
    before = sum;
    sum += x * weight;
    weight += weight;
  } while (sum != before);
  return sum;
}

static double tau(double x) {
  double sum = 1 - x, before, weight = 1;
  if (x == 0 || x == 1) return 0;
  do {
    x = sqrt(x);
    before = sum;
    weight *= 0.5;
    sum -= (1 - x) * (1 - x) * weight;
  } while (sum != before);
  return sum / 3;
}

int64_t co_sketch_count(const co_sketch *sketch) {
  enum { MOST = 64 - CO_SKETCH_BITS };
  const double registers = 1 << CO_SKETCH_BITS;
  if (co_sketch_is_exact(sketch)) return sketch->known_count;
  int64_t of_value[MOST + 2] = {0};
  for (int i = 0; i < 1 << CO_SKETCH_BITS; i++)
    of_value[sketch->most[i]]++;
  double z = registers * tau(1 - (double)of_value[MOST + 1] / registers);
  for (int k = MOST; k >= 1; k--)
    z = 0.5 * (z + (double)of_value[k]);
  z += registers * sigma((double)of_value[0] / registers);
  return llround(registers * registers / (2 * log(2)) / z);
}
