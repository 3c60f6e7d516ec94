// SPDX-License-Identifier: Apache-2.0
// `trainer.refit`: once validation rows have chosen how long to train, a second training, in the run's
// folder `refit`, of training and validation rows for as many epochs. Its model is the run's model.h5;
// that of the first, which all figures of the run are of, stays beside it as selected.h5. The schedule
// of the learning rate is the whole one, cut off where the first's was at its best. What validation
// rows decide beside the length (temperature, threshold, weight of a blend) is the first's.
#include <string.h>

#include "host/eval/blend.h"
#include "host/train/session_private.h"

co_status co_session_check_refit(co_session *t) {
  if (!t->settings.refit || t->first) return CO_OK;
  const co_node *trainer = co_node_get(t->config, "trainer");
  const co_node *at = trainer ? co_node_get(trainer, "refit") : NULL;
  if (t->settings.schedule.decay == CO_DECAY_PLATEAU) {
    CO_RETURN_IF_FAILED(co_node_problem(
        t->problems, at, "choose another learning_rate_scheduler.decay",
        "trainer.refit: the decay plateau follows validation rows, which a refit has none of"));
    return co_diagnostics_result(t->problems);
  }
  if (t->sample_count[CO_SPLIT_VALIDATION]) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, t->dataset_path, 0, 0,
                                "trainer.refit: there are no validation rows to choose by");
  co_hint("import with a split that has some, such as --split random:0.7,0.1,0.2");
  return status;
}

int64_t co_session_refit_epochs(const co_session *t) {
  return (t->state.best_step + t->batches_per_epoch - 1) / t->batches_per_epoch;
}

static bool is_last(void *user, const co_session *session, int64_t epoch, double value) {
  (void)session;
  (void)value;
  return epoch >= *(const int64_t *)user;
}

// Training and validation rows are training rows.
static co_status join_rows(co_dataset **out, const co_session *t) {
  const int64_t *rows;
  int64_t count;
  uint8_t *split = co_alloc(t->ctx, (size_t)co_dataset_rows(t->dataset) + 1);
  if (!split) return CO_ERR_MEMORY;
  memset(split, CO_SPLIT_COUNT, (size_t)co_dataset_rows(t->dataset));
  co_status status = CO_OK;
  for (int s = 0; status == CO_OK && s < CO_SPLIT_COUNT; s++) {
    status = co_dataset_split(t->dataset, (co_split)s, &rows, &count);
    for (int64_t i = 0; status == CO_OK && i < count; i++)
      split[rows[i]] = s == CO_SPLIT_VALIDATION ? CO_SPLIT_TRAIN : (uint8_t)s;
  }
  if (status == CO_OK) status = co_dataset_resplit(out, t->dataset, split);
  co_free(t->ctx, split);
  return status;
}

static co_status train(co_session *t, const char *folder, const char *config, co_dataset *joined) {
  cohort_train_options options = *t->options;
  int64_t epochs = co_session_refit_epochs(t);
  options.config = (cohort_config){.files = &config, .file_count = 1};
  options.preset = NULL;
  options.own_dataset = false;
  options.run_dir = folder;
  options.resume = "auto";
  options.init_from = t->initial_path;
  options.threads = t->threads;
  co_session *refit;
  co_status status = co_session_open_refit(&refit, t, &options, joined);
  if (status == CO_OK) {
    co_session_set_epoch_hook(refit, is_last, &epochs);
    status = co_session_advance_by(refit, INT64_MAX);
  }
  if (status == CO_OK) status = co_session_finish(refit);
  return co_session_close(refit, status);
}

co_status co_session_refit(co_session *t) {
  co_dataset *joined = NULL;
  if (!t->settings.refit || t->already_done) return CO_OK;
  if (t->state.best_step < 1) {
    co_status failed =
        co_fail(CO_ERR_DATA, "trainer.refit: no epoch was the best of validation rows");
    co_hint("look into metrics.jsonl: the metric that chooses may never have been a number");
    return failed;
  }
  char *folder = co_path_join(t->ctx, t->run.path, "refit");
  char *config = co_path_join(t->ctx, t->run.path, "config.full.yaml");
  char *from = co_format(t->ctx, "%s/refit/model.h5", t->run.path);
  char *to = co_path_join(t->ctx, t->run.path, "model.h5");
  co_status status = folder && config && from && to ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = join_rows(&joined, t);
  if (status == CO_OK)
    co_log(t->ctx, CO_LOG_INFO, "refit", "training and validation rows, %lld epochs",
           (long long)co_session_refit_epochs(t));
  if (status == CO_OK) status = train(t, folder, config, joined);
  co_dataset_close(joined);
  if (status == CO_OK) status = co_rename(t->ctx, from, to);
  co_free(t->ctx, folder);
  co_free(t->ctx, config);
  co_free(t->ctx, from);
  co_free(t->ctx, to);
  return status;
}

// ---- what the first one decided ----------------------------------------------------------------

static co_status take_weights(co_session *t, const char *path, co_estimator *baseline) {
  const co_shape shape = co_shape_make(1, (int64_t)1);
  co_model_arrays arrays = {.count = 0};
  void **bytes = co_arena_alloc(t->arena, (size_t)t->model->output_count, sizeof *bytes);
  char *group =
      co_arena_format(t->arena, "%s/%s", CO_MODEL_BASELINES_GROUP, baseline->class_->name);
  if (!group || !bytes) return CO_ERR_MEMORY;
  co_status status = co_model_file_read_arrays(&arrays, t->arena, path, group);
  for (int64_t i = 0; status == CO_OK && i < t->model->output_count; i++)
    status = co_estimator_add(baseline, i, "blend", CO_F64, &shape, &bytes[i]);
  for (int64_t i = 0; status == CO_OK && i < arrays.count; i++)
    for (int64_t k = 0; k < t->model->output_count; k++)
      if (strcmp(arrays.items[i].name, "blend") == 0 && arrays.items[i].dtype == CO_F64 &&
          strcmp(arrays.items[i].feature, t->model->outputs[k].name) == 0)
        memcpy(bytes[k], arrays.items[i].bytes, sizeof(double));
  co_free(t->ctx, arrays.items);
  return status;
}

co_status co_session_take_decisions(co_session *t, co_estimator *blended) {
  char *path = co_arena_format(t->arena, "%s/%s", t->first->run.path, CO_SELECTED_MODEL);
  if (!path) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < t->model->output_count; i++) {
    co_fitted *decided = t->model->outputs[i].decided;
    if (decided) CO_RETURN_IF_FAILED(co_model_file_read_fitted(t->ctx, path, &decided, 1));
  }
  return blended ? take_weights(t, path, blended) : CO_OK;
}
