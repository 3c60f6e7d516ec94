// SPDX-License-Identifier: Apache-2.0
// A few histories, event by event, with what each event made of the score.
#include <stdio.h>

#include "host/eval/timeline.h"
#include "host/output/page.h"
#include "host/output/report.h"
#include "models/feature.h"

enum { HISTORIES = 3, EVENTS = 12, LEAST = 3 };

static bool reads_events(const co_model *model) {
  for (int64_t i = 0; i < model->input_count; i++)
    if (model->inputs[i].class_->of_events) return true;
  return false;
}

// Evenly spaced rows, from each the next with some events.
static co_status choose(co_report *r, int64_t *samples, int64_t *count) {
  const co_model *model = r->predictor->model;
  const int64_t *begin = NULL, *end = NULL;
  for (int64_t i = 0; i < model->input_count && !begin; i++)
    if (model->inputs[i].class_->of_events)
      CO_RETURN_IF_FAILED(
          co_dataset_ranges(r->dataset, model->inputs[i].column->table, &begin, &end));
  for (int64_t k = 0, i = 0; k < HISTORIES; k++, i++) {
    if (i < k * r->count / HISTORIES) i = k * r->count / HISTORIES;
    while (i < r->count && end[r->samples[i]] - begin[r->samples[i]] < LEAST)
      i++;
    if (i < r->count) samples[(*count)++] = r->samples[i];
  }
  return CO_OK;
}

static co_status draw(co_report *r, const co_timeline *t, int64_t i, int64_t sample) {
  static const char *const heads[] = {"event", "effect", "score", NULL};
  const co_timeline_row row = co_timeline_at(t, i);
  char key[CO_DATASET_KEY_MAX + 1];
  co_text text;
  CO_RETURN_IF_FAILED(co_dataset_key(r->dataset, sample, key, sizeof key));
  co_text_init(&text, r->ctx);
  co_page_card(&r->page, key, NULL, false);
  co_page_table(&r->page, NULL, heads);
  for (int64_t k = 0; k < co_timeline_step_count(&row); k++) {
    const co_timeline_step step = co_timeline_step_at(&row, k);
    text.length = 0;
    if (step.row >= 0)
      co_timeline_describe(t, step.row, &text);
    else if (step.number)
      co_text_printf(&text, "%lld before", (long long)step.number);
    co_page_row(&r->page, text.length ? text.data : k ? "" : "none");
    if (k)
      co_page_cell(&r->page, "%+.4f", step.effect);
    else
      co_page_cell(&r->page, " ");
    co_page_cell(&r->page, "%s", co_show(co_timeline_score(t, step.value)).text);
    co_page_row_end(&r->page);
  }
  co_page_table_end(&r->page);
  co_page_card_end(&r->page);
  co_status status = text.status;
  co_text_free(&text);
  return status;
}

co_status co_report_histories(co_report *r) {
  const co_model *model = r->predictor->model;
  int64_t samples[HISTORIES], count = 0;
  co_timeline *timeline;
  char note[512];
  if (!reads_events(model) || !model->output_count) return CO_OK;
  CO_RETURN_IF_FAILED(choose(r, samples, &count));
  if (!count) return CO_OK;
  const co_timeline_request request = {.predictor = r->predictor,
                                       .dataset = r->dataset,
                                       .samples = samples,
                                       .count = count,
                                       .class_ = -1,
                                       .most = EVENTS,
                                       .workers = r->workers,
                                       .stage = "histories",
                                       .watch = r->watch};
  co_status status = co_timeline_make(&timeline, &request);
  if (status == CO_ERR_USAGE) { // of such a model nothing is told
    co_error_clear();
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(status);
  snprintf(note, sizeof note,
           "Rows evenly spaced among those evaluated: what each event moved the score of '%.100s' "
           "by when it "
           "came, in %s. Effects add up to what the score is above that without events.",
           model->outputs[0].name, co_timeline_unit(timeline));
  co_page_section(&r->page, "histories", "Single histories", note);
  co_page_grid(&r->page, false);
  for (int64_t i = 0; status == CO_OK && i < count; i++)
    status = draw(r, timeline, i, samples[i]);
  co_page_grid_end(&r->page);
  co_page_section_end(&r->page);
  co_timeline_free(timeline);
  return status;
}
