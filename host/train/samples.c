// SPDX-License-Identifier: Apache-2.0
// What a generator whose noise is an input makes at the end of each epoch, always of the same:
// RUN/samples/step-00000844.png.
#include "datasets/image_sheet.h"
#include "host/core/rng.h"
#include "host/eval/encoding.h"
#include "host/train/session_private.h"
#include "models/feature.h"

enum { IMAGES = 16 };

typedef struct sampling {
  co_session *session;
  const co_output_feature *output;
  co_encoding *encoding;
  const void **inputs; // of the network
  float *noise, *values;
  uint8_t *pixels;
  co_text png;
} sampling;

static const co_output_feature *find_generator(const co_model *model) {
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].generator &&
        model->network->values[model->outputs[i].generator->noise].storage == CO_STORAGE_INPUT)
      return &model->outputs[i];
  return NULL;
}

static co_status generate(sampling *s) {
  co_session *t = s->session;
  const co_generator *g = s->output->generator;
  const co_graph *network = t->model->network;
  const co_shape_class shape = {.rows = IMAGES};
  co_network_parts parts;
  const size_t width = (size_t)co_shape_count(&g->of->column->shape);
  s->inputs = co_alloc_zero(t->ctx, (size_t)network->input_count, sizeof *s->inputs);
  s->noise = co_alloc(t->ctx, (size_t)(IMAGES * g->noise_size) * sizeof *s->noise);
  s->values = co_alloc(t->ctx, IMAGES * width * sizeof *s->values);
  s->pixels = co_alloc(t->ctx, IMAGES * width);
  if (!s->inputs || !s->noise || !s->values || !s->pixels) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < IMAGES; i++)
    co_normals(t->state.seed, (uint64_t)i, 0, co_purpose("samples", s->output->name), g->noise_size,
               s->noise + i * g->noise_size);
  s->inputs[network->values[g->noise].index] = s->noise;
  (void)co_network_get_parts(&parts, t->predictor); // it is a network
  CO_RETURN_IF_FAILED(co_store_refresh(co_program_store(t->program)));
  CO_RETURN_IF_FAILED(co_store_refresh_averages(co_program_store(t->program)));
  CO_RETURN_IF_FAILED(co_encoding_open_at(&s->encoding, &parts, &g->image, 1));
  CO_RETURN_IF_FAILED(co_encoding_run(s->encoding, &shape, s->inputs, IMAGES, s->values));
  co_image_pixels(g->of, s->values, (int64_t)(IMAGES * width), s->pixels);
  return CO_OK;
}

static co_status write_sheet(sampling *s) {
  co_session *t = s->session;
  const int64_t *shape = s->output->generator->of->column->shape.dim;
  const co_sheet sheet = {.count = IMAGES,
                          .columns = IMAGES,
                          .height = shape[0],
                          .width = shape[1],
                          .channels = shape[2],
                          .pixels = s->pixels};
  CO_RETURN_IF_FAILED(co_sheet_write_png(&s->png, t->ctx, &sheet));
  CO_RETURN_IF_FAILED(co_run_write_samples(&t->run, t->state.step, s->png.data, s->png.length));
  return co_session_show_samples(t, s->output->name, &s->png);
}

co_status co_session_write_samples(co_session *t) {
  sampling s = {.session = t, .output = find_generator(t->model)};
  if (!s.output) return CO_OK;
  const int64_t channels = s.output->generator->of->column->shape.dim[2];
  if (channels != 1 && channels != 3) return CO_OK; // no picture
  co_text_init(&s.png, t->ctx);
  co_status status = generate(&s);
  if (status == CO_OK) status = write_sheet(&s);
  co_encoding_close(s.encoding);
  co_free(t->ctx, s.inputs);
  co_free(t->ctx, s.noise);
  co_free(t->ctx, s.values);
  co_free(t->ctx, s.pixels);
  co_text_free(&s.png);
  return status;
}
