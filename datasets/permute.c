// SPDX-License-Identifier: Apache-2.0
#include "datasets/permute.h"

#include <string.h>

#include "datasets/dataset_private.h"
#include "host/core/rng.h"

static co_status copy_of(void **out, co_context *ctx, const void *data, size_t bytes) {
  if (!data) return CO_OK;
  *out = co_alloc(ctx, bytes);
  if (!*out) return CO_ERR_MEMORY;
  memcpy(*out, data, bytes);
  return CO_OK;
}

co_status co_permuted_begin(co_permuted *out, co_dataset *d, const char *name) {
  const void *data;
  const char *const *text;
  int64_t rows;
  *out = (co_permuted){0};
  const co_column *c = co_schema_find(&d->schema, name);
  if (!c) return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "there is no column '%.200s'", name);
  // As numbers are asked for as they are stored as well, these are there from now on.
  if (c->type == CO_COLUMN_TEXT)
    CO_RETURN_IF_FAILED(co_dataset_texts(d, name, &text, &rows, NULL));
  else
    CO_RETURN_IF_FAILED(co_dataset_column(d, name, &data, &rows, NULL));
  if (c->type == CO_COLUMN_NUMBER || c->type == CO_COLUMN_DATE) {
    co_numbers numbers;
    CO_RETURN_IF_FAILED(co_dataset_numbers(d, name, &numbers));
  }
  dataset_column *part = &d->parts[c - d->columns];
  size_t count = (size_t)rows;
  out->dataset = d;
  out->column = c - d->columns;
  out->data = part->data;
  out->stored = part->stored;
  out->text = part->text;
  co_status status = CO_OK;
  CO_TRY(copy_of(&out->copy, d->ctx, part->data, count * part->row_bytes));
  CO_TRY(
      copy_of(&out->stored_copy, d->ctx, part->stored, count * co_dtype_size(part->stored_dtype)));
  CO_TRY(copy_of((void **)&out->text_copy, d->ctx, part->text, count * sizeof *part->text));
  part->data = out->copy;
  part->stored = out->stored_copy;
  part->text = out->text_copy;
  return CO_OK;

cleanup:
  co_permuted_end(out);
  return status;
}

static void deal(void *copy, const void *from, size_t bytes, int64_t to_row, int64_t from_row) {
  if (copy)
    memcpy((char *)copy + (size_t)to_row * bytes, (const char *)from + (size_t)from_row * bytes,
           bytes);
}

void co_permuted_shuffle(co_permuted *p, const int64_t *samples, int64_t count, uint64_t seed,
                         uint32_t round) {
  const dataset_column *part = &p->dataset->parts[p->column];
  const int64_t *index = p->dataset->reach[part->table].index;
  uint32_t purpose = co_purpose("permute", p->dataset->columns[p->column].name);
  for (int64_t i = 0; i < count; i++) {
    int64_t other = samples[co_permute(seed, round, purpose, (uint64_t)count, (uint64_t)i)];
    int64_t to = index ? index[samples[i]] : samples[i], from = index ? index[other] : other;
    deal(p->copy, p->data, part->row_bytes, to, from);
    deal(p->stored_copy, p->stored, co_dtype_size(part->stored_dtype), to, from);
    if (p->text_copy) p->text_copy[to] = p->text[from];
  }
}

void co_permuted_end(co_permuted *p) {
  if (!p->dataset) return;
  dataset_column *part = &p->dataset->parts[p->column];
  part->data = p->data;
  part->stored = p->stored;
  part->text = p->text;
  co_free(p->dataset->ctx, p->copy);
  co_free(p->dataset->ctx, p->stored_copy);
  co_free(p->dataset->ctx, p->text_copy);
  *p = (co_permuted){0};
}
