// SPDX-License-Identifier: Apache-2.0
#include "host/core/diagnostics.h"

#include <stdio.h>
#include <string.h>

void co_diagnostics_init(co_diagnostics *list, co_context *ctx) {
  *list = (co_diagnostics){.ctx = ctx};
}

void co_diagnostics_free(co_diagnostics *list) {
  if (list->item) co_free(list->ctx, list->item);
  *list = (co_diagnostics){.ctx = list->ctx};
}

static co_status push(co_diagnostics *list, const co_error *error) {
  void *items = list->item;
  CO_RETURN_IF_FAILED(co_grow(list->ctx, &items, &list->capacity, list->count, sizeof *error));
  list->item = items;
  list->item[list->count++] = *error;
  return CO_OK;
}

co_status co_diagnostics_add(co_diagnostics *list, co_status status, const char *file, long line,
                             long column, const char *hint, const char *format, ...) {
  co_error before, added;
  char message[sizeof added.message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  // The record is borrowed to shape the error, and given back: collecting is not failing.
  co_error_copy(&before);
  co_fail_at(status, file, line, column, "%s", message);
  if (hint) co_hint("%s", hint);
  co_error_copy(&added);
  co_error_raise(&before);
  return push(list, &added);
}

co_status co_diagnostics_add_last(co_diagnostics *list) {
  co_error last; // a copy, because running out of memory overwrites the record
  co_error_copy(&last);
  return push(list, &last);
}

co_status co_diagnostics_lead(co_diagnostics *list, co_status status) {
  int64_t at = 0;
  while (at < list->count && list->item[at].status != status)
    at++;
  if (at == list->count) {
    if (co_error_last()->status != status) co_fail(status, "failed without a message");
    CO_RETURN_IF_FAILED(co_diagnostics_add_last(list));
  }
  co_error lead = list->item[at];
  memmove(list->item + 1, list->item, (size_t)at * sizeof lead);
  list->item[0] = lead;
  return CO_OK;
}

co_status co_diagnostics_result(const co_diagnostics *list) {
  return list->count ? co_error_raise(&list->item[0]) : CO_OK;
}

// ---- did you mean ------------------------------------------------------------------------------

enum { LONGEST_WORD = 127 };

static int least(int a, int b) {
  return a < b ? a : b;
}

// Optimal string alignment distance: insertions, deletions, changes and swaps of neighbours.
static int distance(const char *a, int na, const char *b, int nb) {
  int row[3][LONGEST_WORD + 1]; // rows i-2, i-1 and i of the table, in turn
  for (int j = 0; j <= nb; j++)
    row[0][j] = j;
  for (int i = 1; i <= na; i++) {
    int *now = row[i % 3], *last = row[(i + 2) % 3], *older = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= nb; j++) {
      int best = least(last[j], now[j - 1]) + 1;
      best = least(best, last[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = least(best, older[j - 2] + 1);
      now[j] = best;
    }
  }
  return row[na % 3][nb];
}

const char *co_nearest(const char *word, const char *const *words, int64_t count) {
  size_t length = strlen(word);
  if (length > LONGEST_WORD) return NULL;
  int best = length / 3 > 1 ? (int)(length / 3) : 1;
  const char *found = NULL;
  for (int64_t i = 0; i < count; i++) {
    size_t other = strlen(words[i]);
    if (other > LONGEST_WORD) continue;
    int d = distance(word, (int)length, words[i], (int)other);
    if (d < best || (d == best && !found)) {
      best = d;
      found = words[i];
    }
  }
  return found;
}
