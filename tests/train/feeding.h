// SPDX-License-Identifier: Apache-2.0
// What a model is fed with the rows of a small dataset: for tests of features.
#ifndef COHORT_TESTS_FEEDING_H
#define COHORT_TESTS_FEEDING_H

#include "training.h"

#include "host/feed/fit_features.h"
#include "host/feed/pipeline.h"
#include "models/feature.h"

typedef struct rig {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_dataset *dataset;
  co_model *model;
  const int64_t *samples;
  int64_t count;
  bool training, learned; // feed as to a training, or to what is fitted in order
} rig;

// Makes the model of a config over "f.h5"; what fitting it gives is returned.
static inline co_status fit_rig(rig *r, const char *text, co_split split) {
  co_node *config;
  memset(r, 0, sizeof *r);
  assert_int_equal(co_context_create(&r->ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&r->arena, r->ctx), CO_OK);
  co_diagnostics_init(&r->problems, r->ctx);
  assert_int_equal(co_dataset_open(&r->dataset, r->ctx, "f.h5"), CO_OK);
  assert_int_equal(co_yaml_parse(&config, r->arena, "c", text, strlen(text), &r->problems), CO_OK);
  if (co_model_create(&r->model, r->ctx, config, co_dataset_schema(r->dataset), &r->problems) !=
      CO_OK)
    fail_msg("%s\n%s", text, co_error_last()->message);
  assert_int_equal(co_dataset_split(r->dataset, split, &r->samples, &r->count), CO_OK);
  return co_fit_features(r->model, r->dataset, 3);
}

static inline void open_rig(rig *r, const char *text, co_split split) {
  if (fit_rig(r, text, split) != CO_OK) fail_msg("%s\n%s", text, co_error_last()->message);
}

static inline void close_rig(rig *r) {
  co_model_free(r->model);
  co_dataset_close(r->dataset);
  co_diagnostics_free(&r->problems);
  co_arena_free(r->arena);
  assert_int_equal(co_alloc_get_stats(r->ctx).live_blocks, 0);
  co_context_free(r->ctx);
}

// What block `block`'s input of the network holds for the rig's samples, in their order.
static inline void feed_block(const rig *r, int64_t block, double *out, int64_t width) {
  const co_pipeline_options options = {.samples = r->samples,
                                       .sample_count = r->count,
                                       .batch_rows = r->count,
                                       .training = r->training,
                                       .learned = r->learned,
                                       .targets = true,
                                       .epochs = 1,
                                       .workers = 1};
  co_pipeline *pipeline;
  co_view view;
  bool done;
  assert_int_equal(co_pipeline_create(&pipeline, r->model, r->dataset, &options), CO_OK);
  assert_int_equal(co_pipeline_next(pipeline, &view, &done), CO_OK);
  assert_false(done);
  const co_graph *network = r->model->network;
  co_value input = r->model->blocks[block].network_input;
  const co_tensor_desc *desc = &network->values[input].desc;
  co_shape shape = desc->shape;
  co_shape_bind(&shape, &view.shape);
  assert_int_equal(shape.dim[shape.rank - 1], width);
  const void *data = view.inputs[network->values[input].index];
  for (int64_t n = 0; n < r->count; n++) {
    int64_t to = 0;
    while (r->samples[to] != view.batch->samples[n])
      to++;
    for (int64_t i = n * width, k = to * width; i < (n + 1) * width; i++, k++)
      out[k] = desc->dtype == CO_I32 ? (double)((const int32_t *)data)[i]
                                     : (double)((const float *)data)[i];
  }
  assert_true(view.weight_sum[0] == (double)r->count);
  co_pipeline_release(pipeline, &view);
  co_pipeline_free(pipeline);
}

#endif
