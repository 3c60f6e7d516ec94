// SPDX-License-Identifier: Apache-2.0
#include "host/eval/text_baselines.h"

#include <string.h>

#include "host/eval/units.h"
#include "host/feed/collate.h"
#include "models/text_output.h"

enum { ROWS_AT_ONCE = 256 };

static bool comes_again(const co_model *model, int64_t input) {
  for (int64_t i = 0; i < input; i++)
    if (strcmp(model->inputs[i].column->name, model->inputs[input].column->name) == 0) return true;
  return false;
}

// The text column of the input that is copied; NULL past the last.
static const co_column *copied(const co_model *model, int64_t number) {
  for (int64_t i = 0; i < model->input_count; i++) {
    if (model->inputs[i].column->type != CO_COLUMN_TEXT || comes_again(model, i)) continue;
    if (number-- == 0) return model->inputs[i].column;
  }
  return NULL;
}

int64_t co_text_baseline_count(const co_model *model) {
  int64_t count = 1;
  bool any = false;
  for (int64_t i = 0; i < model->output_count; i++)
    any = any || model->outputs[i].text;
  while (any && count < CO_MOST_TEXT_BASELINES && copied(model, count - 1))
    count++;
  return any ? count : 0;
}

char *co_text_baseline_name(const co_model *model, int64_t baseline) {
  return baseline ? co_format(model->ctx, "copy %s", copied(model, baseline - 1)->name)
                  : co_strdup(model->ctx, "most_frequent");
}

typedef struct copying {
  co_evaluation *out;
  const co_output_feature *output;
  co_collator *targets;
  const char *const *texts;      // NULL = the most frequent target
  const int64_t *index, *owners; // NULL = the sample's number; each is its own
  float *codes, *weight;         // of ROWS_AT_ONCE
  int32_t *target, *row;
} copying;

// What the text is cut to, as what is written is.
static void write_row(copying *c, const char *text, float *codes) {
  const int64_t most = c->output->width - 1;
  const int64_t count = co_text_output_tell_apart(c->output->text, text, most, c->row);
  for (int64_t k = 0; k < count; k++)
    codes[k] = (float)c->row[k];
  codes[count] = CO_TEXT_END;
  for (int64_t k = count + 1; k <= most; k++)
    codes[k] = CO_TEXT_NOTHING;
}

static void write_codes(copying *c, const int64_t *samples, int64_t rows) {
  const int64_t width = c->output->width;
  const int32_t *codes = c->output->text->most_frequent->bytes;
  for (int64_t i = 0; i < rows; i++) {
    if (c->texts) {
      write_row(c, c->texts[c->index ? c->index[samples[i]] : samples[i]], c->codes + i * width);
      continue;
    }
    for (int64_t k = 0; k < width; k++)
      c->codes[i * width + k] = (float)codes[k];
  }
}

static void add_rows(copying *c, const int64_t *samples, int64_t rows) {
  const co_shape_class shape = {.rows = rows};
  double ignored = 0;
  for (int64_t k = 0; k < co_collator_count(c->targets); k++) {
    const co_feed *feed = co_collator_feed(c->targets, k);
    if (feed->loss != c->output->loss_index) continue;
    co_collate(c->targets, k, &shape, samples, rows,
               feed->kind == CO_FEED_TARGET ? (void *)c->target : c->weight, &ignored);
  }
  write_codes(c, samples, rows);
  co_scores_add(&c->out->scores[c->output - c->out->model->outputs], samples, c->owners, c->codes,
                c->target, c->weight, rows);
}

static co_status measure_output(copying *c, const int64_t *samples, int64_t count) {
  co_context *ctx = c->out->model->ctx;
  const size_t rows = ROWS_AT_ONCE, width = (size_t)c->output->width;
  c->codes = co_alloc(ctx, rows * width * sizeof *c->codes);
  c->target = co_alloc(ctx, rows * width * sizeof *c->target);
  c->weight = co_alloc(ctx, rows * sizeof *c->weight);
  c->row = co_alloc(ctx, width * sizeof *c->row);
  const bool room = c->codes && c->target && c->weight && c->row;
  for (int64_t i = 0; room && i < count; i += ROWS_AT_ONCE)
    add_rows(c, samples + i, count - i < ROWS_AT_ONCE ? count - i : ROWS_AT_ONCE);
  co_free(ctx, c->codes);
  co_free(ctx, c->target);
  co_free(ctx, c->weight);
  co_free(ctx, c->row);
  return room ? CO_OK : CO_ERR_MEMORY;
}

static co_status measure_all(copying *c, co_dataset *dataset, const int64_t *samples,
                             int64_t count) {
  for (int64_t i = 0; i < c->out->model->output_count; i++) {
    c->output = &c->out->model->outputs[i];
    c->out->collects[i] = c->output->text != NULL;
    if (!c->output->text) continue;
    CO_RETURN_IF_FAILED(co_evaluation_make_room(c->out, i, count));
    CO_RETURN_IF_FAILED(co_evaluation_open_texts(c->out, i, dataset));
    CO_RETURN_IF_FAILED(measure_output(c, samples, count));
  }
  return co_evaluation_measure_all(c->out);
}

co_status co_text_baseline_evaluate(co_evaluation *out, int64_t baseline, co_dataset *dataset,
                                    const int64_t *samples, int64_t count) {
  copying c = {.out = out};
  int64_t rows;
  out->keeps = true;
  out->rows = count;
  if (baseline)
    CO_RETURN_IF_FAILED(co_dataset_texts(dataset, copied(out->model, baseline - 1)->name, &c.texts,
                                         &rows, &c.index));
  CO_RETURN_IF_FAILED(co_sample_owners(&c.owners, dataset));
  CO_RETURN_IF_FAILED(co_collator_create_targets(&c.targets, out->model, dataset));
  co_status status = measure_all(&c, dataset, samples, count);
  co_collator_free(c.targets);
  return status;
}
