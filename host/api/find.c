// SPDX-License-Identifier: Apache-2.0
// cohort_find_learning_rate and cohort_find_batch_size: what a training had better begin with.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/api/rehearse.h"
#include "host/api/table.h"
#include "host/config/tree.h"
#include "host/core/file.h"
#include "host/train/session.h"

// ---- learning rate -----------------------------------------------------------------------------
// The range test of Smith (2017): steps at rates that rise by the same factor each. Where the smoothed
// loss falls most for a rise of the rate is a good one to begin with.

enum { STEPS = 100, FIRST = 5 };
enum { MEDIAN = 6, MEAN = 12 }; // steps on either side that smooth one
static const double lowest = 1e-6, highest = 10, too_far = 4;

typedef struct range_test {
  co_context *ctx;
  double rate[STEPS], loss[STEPS], smooth[STEPS];
  int64_t count; // steps until it diverged
} range_test;

static co_status read_step(range_test *r, co_arena *arena, const char *path, const char *line,
                           size_t length) {
  co_node *record = NULL;
  co_diagnostics problems;
  co_diagnostics_init(&problems, r->ctx);
  co_status status = co_yaml_parse(&record, arena, path, line, length, &problems);
  co_diagnostics_free(&problems);
  CO_RETURN_IF_FAILED(status);
  const co_node *split = co_node_get(record, "split");
  double rate, loss;
  if (!split || strcmp(split->text, "train") != 0 || r->count == STEPS ||
      !co_node_double(co_node_get(record, "learning_rate"), &rate) ||
      !co_node_double(co_node_get(record, "loss"), &loss) || !isfinite(loss))
    return CO_OK;
  r->rate[r->count] = rate;
  r->loss[r->count++] = loss;
  return CO_OK;
}

static co_status read_steps(range_test *r, const co_rehearsal *rehearsal) {
  char *text = NULL, *path = co_arena_format(rehearsal->arena, "%s/metrics.jsonl", rehearsal->run);
  size_t length;
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_read_file(r->ctx, path, 1 << 24, CO_ERR_MODEL, &text, &length);
  for (char *at = text, *end; status == CO_OK && (end = strchr(at, '\n')); at = end + 1)
    status = read_step(r, rehearsal->arena, path, at, (size_t)(end - at));
  co_free(r->ctx, text);
  return status;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Of the losses of the steps around one, as many as there are on either side.
static double median_around(const range_test *r, int64_t step) {
  double window[2 * MEDIAN + 1];
  int64_t count = 0;
  for (int64_t i = step - MEDIAN; i <= step + MEDIAN; i++)
    if (i >= 0 && i < r->count) window[count++] = r->loss[i];
  qsort(window, (size_t)count, sizeof *window, ascending);
  return count % 2 ? window[count / 2] : (window[count / 2 - 1] + window[count / 2]) / 2;
}

// Medians first, as single batches of numbers with long tails would drown all else; then weighted means, with
// the weights of a triangle. Ends where the loss is far above its least.
static void smooth(range_test *r) {
  double medians[STEPS], least = INFINITY;
  const int64_t count = r->count;
  for (int64_t i = 0; i < count; i++)
    medians[i] = median_around(r, i);
  for (r->count = 0; r->count < count; r->count++) {
    double sum = 0, weight = 0;
    for (int64_t i = r->count - MEAN; i <= r->count + MEAN; i++) {
      if (i < 0 || i >= count) continue;
      const double share = (double)(MEAN + 1 - llabs(i - r->count));
      sum += share * medians[i];
      weight += share;
    }
    const double value = r->smooth[r->count] = sum / weight;
    if (r->count >= FIRST && value > too_far * least) break;
    least = fmin(least, value);
  }
}

// The step of the steepest fall, before the least loss; -1 where it does not fall.
static int64_t steepest(const range_test *r) {
  int64_t least = 0, best = -1;
  double fall = 0;
  for (int64_t i = 0; i < r->count; i++)
    if (r->smooth[i] < r->smooth[least]) least = i;
  for (int64_t i = FIRST; i < least; i++) {
    double slope = (r->smooth[i + 1] - r->smooth[i - 1]) / 2;
    if (slope >= fall) continue;
    fall = slope;
    best = i;
  }
  return best;
}

static co_status tell_rate(const range_test *r, cohort_result *result) {
  co_json *json = &result->json;
  const int64_t best = steepest(r);
  if (best < 0)
    return co_fail(CO_ERR_DIVERGED, "the loss falls at no learning rate from %g to %g", lowest,
                   highest);
  co_json_key(json, "learning_rate");
  co_json_double(json, r->rate[best]);
  co_json_key(json, "steps");
  co_json_open(json, '[');
  for (int64_t i = 0; i < r->count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "learning_rate");
    co_json_double(json, r->rate[i]);
    co_json_key(json, "loss");
    co_json_double(json, r->loss[i]);
    co_json_key(json, "smoothed");
    co_json_double(json, r->smooth[i]);
    co_json_close(json);
  }
  co_json_close(json);
  co_text_printf(&result->text, "learning rate   loss (smoothed)\n");
  for (int64_t i = FIRST - 1; i < r->count; i += FIRST)
    co_text_printf(&result->text, "%-15.3g %.5g\n", r->rate[i], r->smooth[i]);
  co_text_printf(&result->text, "steepest at %.3g: --set trainer.learning_rate=%.2g\n",
                 r->rate[best], r->rate[best]);
  return CO_OK;
}

static co_status find_rate(co_rehearsal *r, cohort_context *context,
                           const cohort_train_options *options, cohort_result *result) {
  char decay[128], rate[48], steps[48], epochs[48];
  snprintf(rate, sizeof rate, "trainer.learning_rate=%.17g", lowest);
  snprintf(steps, sizeof steps, "trainer.max_steps=%d", STEPS);
  snprintf(epochs, sizeof epochs, "trainer.max_epochs=%d", STEPS);
  snprintf(
      decay, sizeof decay,
      "trainer.learning_rate_scheduler={decay: exponential, decay_rate: %.17g, decay_steps: %d}",
      highest / lowest, STEPS - 1);
  const char *const assignments[] = {rate,
                                     decay,
                                     steps,
                                     epochs,
                                     "trainer.log_every_n_steps=1",
                                     "trainer.steps_per_checkpoint=1000",
                                     "trainer.early_stop=0",
                                     "trainer.on_nan=stop",
                                     "baselines=none"};
  range_test test = {.ctx = context->ctx};
  CO_RETURN_IF_FAILED(co_rehearsal_begin(r, context->ctx, options, assignments,
                                         sizeof assignments / sizeof *assignments));
  co_status status = co_rehearsal_train(r, context, &result->errors);
  if (status != CO_OK && status != CO_ERR_DIVERGED) return status;
  co_error_clear();
  CO_RETURN_IF_FAILED(read_steps(&test, r));
  smooth(&test);
  return tell_rate(&test, result);
}

cohort_status cohort_find_learning_rate(cohort_context *context,
                                        const cohort_train_options *options, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_rehearsal r = {.folder = NULL};
  co_status status = find_rate(&r, context, options, *out);
  co_rehearsal_end(&r);
  return co_result_finish(*out, "train", status);
}

// ---- batch size --------------------------------------------------------------------------------

enum { LEAST_ROWS = 16, MOST_ROWS = 1 << 24 };

typedef struct trying {
  cohort_context *context;
  cohort_train_options options; // the last assignment is the batch size
  cohort_result *result;
  int64_t rows, steps; // of the last that fits; of an epoch then
  size_t bytes;
  bool fits;
} trying;

// Plans a training with so many rows a batch, and takes nothing.
static co_status plan(trying *t, int64_t rows) {
  char size[48];
  co_session *session = NULL;
  cohort_training_state state;
  snprintf(size, sizeof size, "trainer.batch_size=%lld", (long long)rows);
  ((const char **)t->options.config.assignments)[t->options.config.assignment_count - 1] = size;
  co_status status = co_session_open(&session, t->context->ctx, &t->context->watch, &t->options,
                                     &t->result->errors);
  t->fits = status == CO_OK;
  if (t->fits) {
    co_session_get_state(session, &state);
    t->rows = rows;
    t->steps = state.steps / state.epochs;
    t->bytes = co_session_planned_bytes(session);
  }
  return co_session_close(session, status);
}

static co_status try_sizes(trying *t) {
  co_json *json = &t->result->json;
  co_status status = CO_OK;
  co_json_key(json, "tried");
  co_json_open(json, '[');
  for (int64_t rows = LEAST_ROWS; rows <= MOST_ROWS && t->steps != 1; rows *= 2) {
    status = plan(t, rows);
    if (status != CO_OK) break;
    co_json_open(json, '{');
    co_json_key(json, "batch_size");
    co_json_int(json, rows);
    co_json_key(json, "steps_per_epoch");
    co_json_int(json, t->steps);
    co_json_key(json, "planned_bytes");
    co_json_int(json, (int64_t)t->bytes);
    co_json_close(json);
    if (rows == LEAST_ROWS)
      co_text_printf(&t->result->text, "batch size   steps an epoch   planned memory\n");
    co_text_printf(&t->result->text, "%-12lld %-16lld %.1f MiB\n", (long long)rows,
                   (long long)t->steps, (double)t->bytes / 1048576);
  }
  co_json_close(json);
  return status == CO_ERR_MEMORY && t->rows ? CO_OK : status;
}

static co_status find_batch(co_rehearsal *r, cohort_context *context,
                            const cohort_train_options *options, cohort_result *result) {
  static const char *const assignments[] = {"trainer.max_steps=0", "trainer.batch_size=16"};
  co_table_training table = {.ctx = NULL};
  CO_RETURN_IF_FAILED(co_rehearsal_begin(r, context->ctx, options, assignments, 2));
  r->options.dry_run = true;
  co_status status = co_table_training_begin(&table, context, &r->options, &result->errors);
  trying t = {.context = context, .options = table.options, .result = result};
  if (status == CO_OK) status = try_sizes(&t);
  co_table_training_end(&table);
  CO_RETURN_IF_FAILED(status);
  co_json_key(&result->json, "batch_size");
  co_json_int(&result->json, t.rows);
  co_json_key(&result->json, "limit");
  co_json_string(&result->json, t.fits ? "rows" : "memory");
  co_text_printf(&result->text, "%s: --set trainer.batch_size=%lld\n",
                 t.fits ? "all training rows are one batch" : "the largest that fits",
                 (long long)t.rows);
  return CO_OK;
}

cohort_status cohort_find_batch_size(cohort_context *context, const cohort_train_options *options,
                                     cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_rehearsal r = {.folder = NULL};
  co_status status = find_batch(&r, context, options, *out);
  co_rehearsal_end(&r);
  return co_result_finish(*out, "train", status);
}
