// SPDX-License-Identifier: Apache-2.0
#include "host/eval/generation.h"

#include "host/core/rng.h"
#include "host/eval/opening.h"
#include "host/exec/program.h"
#include "models/feature.h"

enum { ROWS = 64 }; // of a batch, always: so no image depends on how many are made

struct co_generation {
  co_context *ctx;
  co_arena *arena;
  char *path;
  co_model *model;
  const co_output_feature *output;
  co_graph *graph; // from noise to image
  co_backend *backend;
  co_program *program;
  float *noise, *values; // of a batch
  int64_t width;         // of an image
};

static co_status find_generator(co_generation *g) {
  for (int64_t i = 0; i < g->model->output_count; i++)
    if (g->model->outputs[i].generator) g->output = &g->model->outputs[i];
  if (g->output) return CO_OK;
  co_status status =
      co_fail_at(CO_ERR_MODEL, g->path, 0, 0, "the model has no generator: it makes no images");
  co_hint("train one, for example with -c models/presets/product-gan.yaml, or an autoencoder with "
          "--set bottleneck.variational=true");
  return status;
}

static co_status create_program(co_generation *g, const co_predictor_options *options) {
  const co_generator *generator = g->output->generator;
  const co_shape_class shape = {.rows = ROWS};
  co_precision precision = CO_PRECISION_TF32;
  CO_RETURN_IF_FAILED(co_choose_precision(&precision, options->precision));
  CO_RETURN_IF_FAILED(co_graph_part(&g->graph, g->model->network, &generator->noise, 1,
                                    &generator->image, 1, false));
  CO_RETURN_IF_FAILED(
      co_open_backend(&g->backend, g->ctx, options->device, options->threads, precision, NULL));
  const co_program_options program = {.evaluation_classes = &shape,
                                      .evaluation_class_count = 1,
                                      .evaluation_mode = CO_MODE_INFER,
                                      .real = CO_F32,
                                      .bf16 = precision == CO_PRECISION_BF16};
  CO_RETURN_IF_FAILED(co_program_create(&g->program, g->graph, g->backend, &program));
  return co_model_file_read_weights(g->ctx, g->path, co_program_store(g->program), false);
}

static co_status open_model(co_generation *g, const co_predictor_options *options,
                            co_diagnostics *problems) {
  co_model_file file;
  CO_RETURN_IF_FAILED(co_arena_create(&g->arena, g->ctx));
  CO_RETURN_IF_FAILED(
      co_model_open(&g->model, &file, &g->path, g->arena, options->model, problems));
  CO_RETURN_IF_FAILED(find_generator(g));
  CO_RETURN_IF_FAILED(create_program(g, options));
  g->width = co_shape_count(&co_generation_column(g)->shape);
  g->noise =
      co_arena_alloc(g->arena, (size_t)(ROWS * g->output->generator->noise_size), sizeof *g->noise);
  g->values = co_arena_alloc(g->arena, (size_t)(ROWS * g->width), sizeof *g->values);
  return g->noise && g->values ? CO_OK : CO_ERR_MEMORY;
}

co_status co_generation_open(co_generation **out, co_context *ctx,
                             const co_predictor_options *options) {
  co_diagnostics problems;
  *out = NULL;
  co_generation *g = co_alloc_zero(ctx, 1, sizeof *g);
  if (!g) return CO_ERR_MEMORY;
  g->ctx = ctx;
  co_diagnostics_init(&problems, ctx);
  co_status status = open_model(g, options, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK) {
    *out = g;
    return CO_OK;
  }
  co_error error;
  co_error_copy(&error);
  co_generation_close(g);
  return co_error_raise(&error);
}

void co_generation_close(co_generation *g) {
  if (!g) return;
  co_program_free(g->program);
  if (g->backend) g->backend->api->free(g->backend);
  co_graph_free(g->graph);
  co_model_free(g->model);
  co_free(g->ctx, g->path);
  co_arena_free(g->arena);
  co_free(g->ctx, g);
}

const char *co_generation_path(const co_generation *g) {
  return g->path;
}

const co_column *co_generation_column(const co_generation *g) {
  return g->output->generator->of->column;
}

static co_status run_batch(co_generation *g, uint64_t seed, int64_t first) {
  const int64_t size = g->output->generator->noise_size;
  const uint32_t purpose = co_purpose("generate", g->output->name);
  const void *inputs[] = {g->noise};
  for (int64_t i = 0; i < ROWS; i++)
    co_normals(seed, (uint64_t)(first + i), 0, purpose, size, g->noise + i * size);
  CO_RETURN_IF_FAILED(co_program_evaluate(g->program, inputs));
  return co_executor_read_output(co_program_evaluator(g->program), 0, g->values);
}

co_status co_generation_run(co_generation *g, uint64_t seed, int64_t first, int64_t count,
                            uint8_t *pixels) {
  for (int64_t done = 0; done < count; done += ROWS) {
    CO_RETURN_IF_FAILED(run_batch(g, seed, first + done));
    const int64_t rows = count - done < ROWS ? count - done : ROWS;
    co_image_pixels(g->output->generator->of, g->values, rows * g->width, pixels + done * g->width);
  }
  return CO_OK;
}
