// SPDX-License-Identifier: Apache-2.0
#include "host/eval/shares.h"

#include <math.h>
#include <string.h>

#include "datasets/view.h"

// A co_attribution_sink.
static co_status take_rows(void *user, const co_attributed *rows) {
  co_shares *s = user;
  memcpy(s->shares + s->rows * s->parts, rows->shares,
         (size_t)(rows->rows * s->parts) * sizeof *s->shares);
  for (int64_t row = 0; row < rows->rows; row++) {
    double rest = rows->value[row] - rows->reference[row];
    for (int64_t i = 0; i < s->parts; i++) {
      double share = rows->shares[row * s->parts + i];
      s->mean[i] += fabs(share);
      rest -= share;
    }
    s->rest = fmax(s->rest, fabs(rest));
    s->reference += rows->reference[row];
  }
  s->rows += rows->rows;
  return CO_OK;
}

static bool has_order(const co_encoded_part *part) {
  if (!part->feature || part->feature->column_count != 1 || part->feature->event_table >= 0)
    return false;
  co_column_type type = part->feature->column->type;
  return type == CO_COLUMN_NUMBER || type == CO_COLUMN_BINARY || type == CO_COLUMN_DATE;
}

static co_status take_values(co_shares *s, int64_t i, const co_encoded_part *part,
                             co_dataset *dataset, const int64_t *samples) {
  co_view view;
  for (int64_t row = 0; row < s->rows; row++)
    s->values[row * s->parts + i] = NAN;
  if (!has_order(part)) return CO_OK;
  const co_column *column = co_schema_find(co_dataset_schema(dataset), part->feature->column->name);
  if (!column) return co_fail(CO_ERR_INTERNAL, "no column '%s'", part->name);
  CO_RETURN_IF_FAILED(co_view_open(&view, dataset, column));
  for (int64_t row = 0; row < s->rows; row++)
    s->values[row * s->parts + i] = co_view_at(&view, samples[row]);
  return CO_OK;
}

static co_status measure(co_shares *s, co_arena *arena, co_attribution *attribution,
                         co_dataset *dataset, const co_attribution_run *run) {
  const co_encoded_part *parts = co_attribution_parts(attribution, &s->parts);
  const size_t all = (size_t)(run->count * s->parts) + 1, each = (size_t)s->parts + 1;
  co_attribution_run own = *run;
  own.sink = take_rows;
  own.user = s;
  s->method = co_attribution_method(attribution);
  s->names = co_arena_alloc(arena, each, sizeof *s->names);
  s->mean = co_arena_alloc(arena, each, sizeof *s->mean);
  s->shares = co_arena_alloc(arena, all, sizeof *s->shares);
  s->values = co_arena_alloc(arena, all, sizeof *s->values);
  if (!s->names || !s->mean || !s->shares || !s->values) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_attribution_rows(attribution, dataset, &own));
  for (int64_t i = 0; i < s->parts; i++) {
    s->names[i] = co_arena_strdup(arena, parts[i].name);
    if (!s->names[i]) return CO_ERR_MEMORY;
    s->mean[i] /= (double)s->rows;
    CO_RETURN_IF_FAILED(take_values(s, i, &parts[i], dataset, run->samples));
  }
  s->reference /= (double)s->rows;
  return CO_OK;
}

co_status co_shares_measure(co_shares *out, co_arena *arena, co_predictor *predictor,
                            co_dataset *dataset, int64_t most, const co_attribution_run *run) {
  const co_model *model = predictor->model;
  co_attribution_options options = {.class_ = -1};
  co_attribution *attribution;
  co_attribution_run own = *run;
  *out = (co_shares){.rows = 0};
  while (options.output < model->output_count - 1 &&
         !co_attribution_takes(&model->outputs[options.output]))
    options.output++;
  own.count = run->count < most ? run->count : most;
  int64_t *samples = co_arena_alloc(arena, (size_t)own.count + 1, sizeof *samples);
  if (!samples) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < own.count; i++)
    samples[i] = run->samples[i * run->count / own.count];
  own.samples = samples;
  CO_RETURN_IF_FAILED(co_attribution_open(&attribution, predictor, &options));
  out->output = &model->outputs[options.output];
  co_status status = measure(out, arena, attribution, dataset, &own);
  co_attribution_close(attribution);
  return status;
}
