// SPDX-License-Identifier: Apache-2.0
#include "datasets/split_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/date.h"

enum { KINDS = 5 };
static const char *const kinds[KINDS] = {"random", "stratified", "hash", "column", "time"};

static const double default_share[CO_SPLIT_COUNT] = {0.7, 0.1, 0.2};

// "0.7,0.1,0.2": three shares of 1.
static bool read_shares(const char *text, double share[CO_SPLIT_COUNT]) {
  double sum = 0;
  for (int i = 0; i < CO_SPLIT_COUNT; i++) {
    char *end;
    if (!((*text >= '0' && *text <= '9') || *text == '.')) return false;
    share[i] = strtod(text, &end);
    if (!(share[i] >= 0 && share[i] <= 1) || *end != (i + 1 < CO_SPLIT_COUNT ? ',' : '\0'))
      return false;
    sum += share[i];
    text = end + 1;
  }
  return fabs(sum - 1) < 1e-6;
}

static co_status wrong(const char *text) {
  co_status status = co_fail(CO_ERR_USAGE, "--split %.200s: not understood", text);
  co_hint("random:0.7,0.1,0.2 or stratified:0.7,0.1,0.2 (training, validation, test: three shares "
          "of 1), hash:COLUMN:0.7,0.1,0.2, column:COLUMN, time:COLUMN:2011-09-01,2011-11-01 "
          "(when validation and test begin)");
  return status;
}

// "DATE,DATE" or "COLUMN:DATE,DATE"; times have colons, too.
static co_status read_times(co_split_rule *out, co_arena *arena, const char *whole,
                            const char *text) {
  const char *comma = strrchr(text, ',');
  if (!comma || co_date_read(comma + 1, strlen(comma + 1), NULL, &out->since[1]) != CO_DATE_GOOD)
    return wrong(whole);
  const char *first = text;
  for (; first; first = strchr(first, ':') ? strchr(first, ':') + 1 : NULL)
    if (first < comma &&
        co_date_read(first, (size_t)(comma - first), NULL, &out->since[0]) == CO_DATE_GOOD)
      break;
  if (!first || !(out->since[0] <= out->since[1]) || first == text + 1) return wrong(whole);
  if (first == text) return CO_OK;
  out->column = co_arena_strndup(arena, text, (size_t)(first - text) - 1);
  return out->column ? CO_OK : CO_ERR_MEMORY;
}

co_status co_split_rule_parse(co_split_rule *out, co_arena *arena, const char *text) {
  *out = (co_split_rule){.kind = CO_SPLIT_RANDOM};
  memcpy(out->share, default_share, sizeof default_share);
  if (!text) return CO_OK;
  size_t length = strcspn(text, ":");
  int kind = 0;
  while (kind < KINDS && (strlen(kinds[kind]) != length || memcmp(kinds[kind], text, length) != 0))
    kind++;
  if (kind == KINDS) return wrong(text);
  out->kind = (co_split_kind)kind;
  const char *rest = text + length + (text[length] == ':');
  if (kind == CO_SPLIT_RANDOM || kind == CO_SPLIT_STRATIFIED)
    return !text[length] || read_shares(rest, out->share) ? CO_OK : wrong(text);
  if (kind == CO_SPLIT_TIME) return read_times(out, arena, text, rest);
  // A column's name may have colons.
  const char *last = strrchr(rest, ':');
  size_t name = strlen(rest);
  if (kind == CO_SPLIT_HASH && last && read_shares(last + 1, out->share))
    name = (size_t)(last - rest);
  else
    memcpy(out->share, default_share, sizeof default_share);
  if (!name) return wrong(text);
  out->column = co_arena_strndup(arena, rest, name);
  return out->column ? CO_OK : CO_ERR_MEMORY;
}

static void print_shares(co_text *out, const co_split_rule *rule) {
  co_text_printf(out, ":%.17g,%.17g,%.17g", rule->share[0], rule->share[1], rule->share[2]);
}

co_status co_split_rule_print(co_text *out, const co_split_rule *rule) {
  co_text_printf(out, "%s", kinds[rule->kind]);
  if (rule->column) co_text_printf(out, ":%s", rule->column);
  if (rule->kind <= CO_SPLIT_HASH) print_shares(out, rule);
  for (int i = 0; rule->kind == CO_SPLIT_TIME && i < 2; i++) {
    char date[32];
    co_date_print(rule->since[i], date, sizeof date);
    co_text_printf(out, "%s%s", i ? "," : ":", date);
  }
  return out->status;
}

co_split co_split_of_hash(const co_split_rule *rule, uint64_t hash) {
  double at = (double)(hash >> 11) * 0x1p-53;
  if (at < rule->share[CO_SPLIT_TRAIN]) return CO_SPLIT_TRAIN;
  bool test = at >= rule->share[CO_SPLIT_TRAIN] + rule->share[CO_SPLIT_VALIDATION] &&
              rule->share[CO_SPLIT_TEST] > 0;
  return test                                   ? CO_SPLIT_TEST
         : rule->share[CO_SPLIT_VALIDATION] > 0 ? CO_SPLIT_VALIDATION
                                                : CO_SPLIT_TRAIN;
}

co_split co_split_of_time(const co_split_rule *rule, double seconds) {
  return seconds < rule->since[0]   ? CO_SPLIT_TRAIN
         : seconds < rule->since[1] ? CO_SPLIT_VALIDATION
                                    : CO_SPLIT_TEST;
}

int co_split_of_cell(const char *text, size_t length) {
  static const struct {
    const char *text;
    co_split split;
  } words[] = {{"train", CO_SPLIT_TRAIN},           {"training", CO_SPLIT_TRAIN},
               {"validation", CO_SPLIT_VALIDATION}, {"valid", CO_SPLIT_VALIDATION},
               {"val", CO_SPLIT_VALIDATION},        {"test", CO_SPLIT_TEST}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i].text) == length && memcmp(words[i].text, text, length) == 0)
      return words[i].split;
  return -1;
}

// ---- stratified --------------------------------------------------------------------------------

typedef struct placed {
  uint64_t hash;
  int64_t row;
  int32_t class_;
} placed;

static int by_class(const void *a, const void *b) {
  const placed *x = a, *y = b;
  if (x->class_ != y->class_) return x->class_ < y->class_ ? -1 : 1;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

co_status co_split_stratified(const co_split_rule *rule, co_context *ctx, int64_t rows,
                              const uint64_t *hash, const int32_t *class_, uint8_t *split) {
  placed *order = co_alloc(ctx, (size_t)rows * sizeof *order);
  if (!order) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows; i++)
    order[i] = (placed){hash[i], i, class_[i]};
  qsort(order, (size_t)rows, sizeof *order, by_class);
  for (int64_t begin = 0, end; begin < rows; begin = end) {
    for (end = begin; end < rows && order[end].class_ == order[begin].class_;)
      end++;
    double count = (double)(end - begin);
    int64_t training = begin + llround(count * rule->share[CO_SPLIT_TRAIN]);
    int64_t validation =
        begin + llround(count * (rule->share[CO_SPLIT_TRAIN] + rule->share[CO_SPLIT_VALIDATION]));
    for (int64_t i = begin; i < end; i++) {
      bool copy = i > begin && order[i].hash == order[i - 1].hash;
      split[order[i].row] = copy             ? split[order[i - 1].row]
                            : i < training   ? CO_SPLIT_TRAIN
                            : i < validation ? CO_SPLIT_VALIDATION
                                             : CO_SPLIT_TEST;
    }
  }
  co_free(ctx, order);
  return CO_OK;
}
