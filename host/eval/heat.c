// SPDX-License-Identifier: Apache-2.0
#include "host/eval/heat.h"

#include <math.h>
#include <string.h>

#include "host/eval/integrated_gradients.h"
#include "host/feed/pipeline.h"
#include "host/graph/layer.h"
#include "models/feature.h"

enum { ROWS = 32, SQUARES = 7 }; // rows of a batch; squares along the longer side

typedef struct heating {
  co_context *ctx;
  co_arena *arena;
  co_network_parts network;
  const co_attribution_run *run;
  co_heat_sink *sink;
  void *user;
  int64_t height, width, channels, numbers; // of the image
  co_encoding *pixels, *maps; // maps: what the last convolution gives; NULL = there is none
  co_integrated_gradients *of_pixels, *of_maps;
  int64_t map_height, map_width, map_channels;
  float *image, *map;                          // (ROWS, numbers), (ROWS, numbers of a map)
  float *points;                               // occluded images
  int32_t *classes;                            // as many
  double *values;                              // as many
  double *fine, *slopes;                       // of an image, of a map
  double *gradients, *occlusion, *cam, *cover; // (H, W)
} heating;

// ---- opening -----------------------------------------------------------------------------------

static co_status refuse(const char *why) {
  co_status status = co_fail(CO_ERR_CONFIG, "there are pictures of networks alone%s", why);
  co_hint("-O FILE.csv tells the effects of columns");
  return status;
}

// Of zero pixels, as the input section makes them.
static void write_black(const heating *h, float *out) {
  const co_input_feature *feature = &h->network.model->inputs[0];
  const float *mean = NULL, *scale = NULL;
  for (int64_t i = 0; i < feature->fitted_count; i++) {
    if (strcmp(feature->fitted[i].name, "mean") == 0) mean = feature->fitted[i].bytes;
    if (strcmp(feature->fitted[i].name, "scale") == 0) scale = feature->fitted[i].bytes;
  }
  for (int64_t i = 0; i < h->numbers; i++)
    out[i] = mean && scale ? (0 - mean[i % h->channels]) * scale[i % h->channels] : 0;
}

static co_value last_convolution(const co_graph *graph) {
  for (int64_t i = graph->layer_count - 1; i >= 0; i--)
    if (strcmp(graph->layers[i].class_->name, "Conv2D") == 0) return graph->layers[i].output;
  return CO_NO_VALUE;
}

static co_status open_gradients(heating *h, co_encoding *of, const float *reference,
                                const co_attribution_options *options,
                                co_integrated_gradients **out) {
  int64_t count;
  const co_encoded_value *values = co_encoding_values(of, &count);
  const co_integrated_request request = {.network = &h->network,
                                         .output = &h->network.model->outputs[options->output],
                                         .values = values,
                                         .value_count = count,
                                         .width = co_encoding_width(of),
                                         .reference = reference,
                                         .class_ = options->class_,
                                         .steps = options->steps ? options->steps
                                                                 : CO_ATTRIBUTION_STEPS};
  return co_integrated_gradients_open(out, &request);
}

static co_status open_maps(heating *h, const co_attribution_options *options) {
  const co_graph *graph = h->network.model->network;
  const co_value map = last_convolution(graph);
  if (map == CO_NO_VALUE) return CO_OK;
  const co_shape *shape = &graph->values[map].desc.shape;
  h->map_height = shape->dim[1];
  h->map_width = shape->dim[2];
  h->map_channels = shape->dim[3];
  CO_RETURN_IF_FAILED(co_encoding_open_at(&h->maps, &h->network, &map, 1));
  const size_t width = (size_t)co_encoding_width(h->maps);
  float *zeros = co_arena_alloc(h->arena, width, sizeof *zeros);
  h->map = co_arena_alloc(h->arena, ROWS * width, sizeof *h->map);
  h->slopes = co_arena_alloc(h->arena, width, sizeof *h->slopes);
  if (!zeros || !h->map || !h->slopes) return CO_ERR_MEMORY;
  return open_gradients(h, h->maps, zeros, options, &h->of_maps);
}

static co_status make_room(heating *h) {
  const size_t numbers = (size_t)h->numbers, places = (size_t)(h->height * h->width);
  const size_t most = (size_t)co_integrated_gradients_most(h->of_pixels);
  if (h->map_height * h->map_width > h->height * h->width)
    return refuse(" whose last convolution gives maps no larger than the image");
  h->image = co_arena_alloc(h->arena, ROWS * numbers, sizeof *h->image);
  h->points = co_arena_alloc(h->arena, most * numbers, sizeof *h->points);
  h->classes = co_arena_alloc(h->arena, most, sizeof *h->classes);
  h->values = co_arena_alloc(h->arena, most, sizeof *h->values);
  h->fine = co_arena_alloc(h->arena, numbers, sizeof *h->fine);
  double *maps = co_arena_alloc(h->arena, 4 * places, sizeof *maps);
  if (!h->image || !h->points || !h->classes || !h->values || !h->fine || !maps)
    return CO_ERR_MEMORY;
  h->gradients = maps;
  h->occlusion = maps + places;
  h->cam = maps + 2 * places;
  h->cover = maps + 3 * places;
  return CO_OK;
}

static co_status open_all(heating *h, co_predictor *predictor,
                          const co_attribution_options *options) {
  if (!co_network_get_parts(&h->network, predictor) || h->network.estimator) return refuse("");
  const co_model *model = h->network.model;
  if (model->input_count != 1 || model->inputs[0].column->type != CO_COLUMN_IMAGE)
    return refuse(" whose only input is an image");
  if (!co_attribution_takes(&model->outputs[options->output]))
    return refuse(" that give a class or a number");
  const co_value input = model->blocks[0].network_input;
  const co_shape *shape = &model->network->values[input].desc.shape;
  h->height = shape->dim[1];
  h->width = shape->dim[2];
  h->channels = shape->dim[3];
  h->numbers = h->height * h->width * h->channels;
  CO_RETURN_IF_FAILED(co_arena_create(&h->arena, h->ctx));
  float *black = co_arena_alloc(h->arena, (size_t)h->numbers, sizeof *black);
  if (!black) return CO_ERR_MEMORY;
  write_black(h, black);
  CO_RETURN_IF_FAILED(co_encoding_open_at(&h->pixels, &h->network, &input, 1));
  CO_RETURN_IF_FAILED(open_gradients(h, h->pixels, black, options, &h->of_pixels));
  CO_RETURN_IF_FAILED(open_maps(h, options));
  return make_room(h);
}

// ---- maps --------------------------------------------------------------------------------------

static void sum_channels(const heating *h) {
  for (int64_t i = 0; i < h->height * h->width; i++) {
    h->gradients[i] = 0;
    for (int64_t c = 0; c < h->channels; c++)
      h->gradients[i] += h->fine[i * h->channels + c];
  }
}

// An image with a square in its mean colour.
static void cover(const heating *h, const float *image, int64_t top, int64_t left, int64_t side,
                  float *out) {
  memcpy(out, image, (size_t)h->numbers * sizeof *out);
  for (int64_t c = 0; c < h->channels; c++) {
    double sum = 0;
    for (int64_t i = c; i < h->numbers; i += h->channels)
      sum += (double)image[i];
    const float mean = (float)(sum / (double)(h->height * h->width));
    for (int64_t y = top; y < top + side && y < h->height; y++)
      for (int64_t x = left; x < left + side && x < h->width; x++)
        out[(y * h->width + x) * h->channels + c] = mean;
  }
}

static void add_square(const heating *h, int64_t top, int64_t left, int64_t side, double effect) {
  for (int64_t y = top; y < top + side && y < h->height; y++)
    for (int64_t x = left; x < left + side && x < h->width; x++) {
      h->occlusion[y * h->width + x] += effect;
      h->cover[y * h->width + x]++;
    }
}

static co_status occlude(heating *h, const float *image, int32_t class_, double value) {
  const int64_t longer = h->height > h->width ? h->height : h->width;
  const int64_t side = (longer + SQUARES - 1) / SQUARES, step = side > 1 ? side / 2 : 1;
  const int64_t across = (h->width + step - 1) / step,
                all = across * ((h->height + step - 1) / step);
  const int64_t most = co_integrated_gradients_most(h->of_pixels);
  memset(h->occlusion, 0, (size_t)(h->height * h->width) * sizeof *h->occlusion);
  memset(h->cover, 0, (size_t)(h->height * h->width) * sizeof *h->cover);
  for (int64_t first = 0; first < all; first += most) {
    const int64_t count = all - first < most ? all - first : most;
    for (int64_t i = 0; i < count; i++) {
      const int64_t at = first + i;
      cover(h, image, at / across * step, at % across * step, side, h->points + i * h->numbers);
      h->classes[i] = class_;
    }
    CO_RETURN_IF_FAILED(co_head_values_of(h->of_pixels, h->points, count, h->classes, h->values));
    for (int64_t i = 0; i < count; i++)
      add_square(h, (first + i) / across * step, (first + i) % across * step, side,
                 value - h->values[i]);
  }
  for (int64_t i = 0; i < h->height * h->width; i++)
    h->occlusion[i] /= h->cover[i];
  return CO_OK;
}

// Between the points of a map linear, beyond the outer ones as they are.
static double between(const double *map, int64_t height, int64_t width, double y, double x) {
  y = fmin(fmax(y, 0), (double)(height - 1));
  x = fmin(fmax(x, 0), (double)(width - 1));
  const int64_t top = (int64_t)y, left = (int64_t)x;
  const int64_t below = top + 1 < height ? top + 1 : top,
                right = left + 1 < width ? left + 1 : left;
  const double v = y - (double)top, u = x - (double)left;
  return (map[top * width + left] * (1 - u) + map[top * width + right] * u) * (1 - v) +
         (map[below * width + left] * (1 - u) + map[below * width + right] * u) * v;
}

static co_status activate(heating *h, const float *map, int32_t class_) {
  const int64_t places = h->map_height * h->map_width, channels = h->map_channels;
  memset(h->slopes, 0, (size_t)(places * channels) * sizeof *h->slopes);
  CO_RETURN_IF_FAILED(co_head_gradients_at(h->of_maps, map, 1, &class_, h->slopes));
  double *small = h->cover; // room, (H, W) at least
  for (int64_t i = 0; i < places; i++)
    small[i] = 0;
  for (int64_t c = 0; c < channels; c++) {
    double weight = 0;
    for (int64_t i = 0; i < places; i++)
      weight += h->slopes[i * channels + c] / (double)places;
    for (int64_t i = 0; i < places; i++)
      small[i] += weight * (double)map[i * channels + c];
  }
  for (int64_t i = 0; i < places; i++)
    small[i] = fmax(small[i], 0);
  for (int64_t y = 0; y < h->height; y++)
    for (int64_t x = 0; x < h->width; x++)
      h->cam[y * h->width + x] =
          between(small, h->map_height, h->map_width,
                  ((double)y + 0.5) * (double)h->map_height / (double)h->height - 0.5,
                  ((double)x + 0.5) * (double)h->map_width / (double)h->width - 0.5);
  return CO_OK;
}

static co_status heat_row(heating *h, int64_t sample, const float *image, const float *map) {
  double value, reference;
  int32_t class_;
  const co_head_values head = {&value, &reference, &class_};
  CO_RETURN_IF_FAILED(co_integrated_gradients_run(h->of_pixels, image, 1, h->fine, &head));
  sum_channels(h);
  CO_RETURN_IF_FAILED(occlude(h, image, class_, value));
  if (h->maps) CO_RETURN_IF_FAILED(activate(h, map, class_));
  const co_heat heat = {.sample = sample,
                        .class_ = class_,
                        .value = value,
                        .reference = reference,
                        .gradients = h->gradients,
                        .occlusion = h->occlusion,
                        .cam = h->maps ? h->cam : NULL};
  return h->sink(h->user, &heat);
}

// ---- rows --------------------------------------------------------------------------------------

static co_status heat_batch(heating *h, const co_view *view) {
  CO_RETURN_IF_FAILED(
      co_encoding_run(h->pixels, &view->shape, view->inputs, view->valid, h->image));
  if (h->maps)
    CO_RETURN_IF_FAILED(co_encoding_run(h->maps, &view->shape, view->inputs, view->valid, h->map));
  for (int64_t row = 0; row < view->valid; row++) {
    CO_RETURN_IF_FAILED(heat_row(h, view->batch->samples[row], h->image + row * h->numbers,
                                 h->maps ? h->map + row * co_encoding_width(h->maps) : NULL));
    if (co_watch_stopped(h->run->watch))
      return co_fail(CO_INTERRUPTED, "stopped before all images were explained");
  }
  return CO_OK;
}

static co_status heat_all(heating *h, co_dataset *dataset) {
  const co_pipeline_options options = {.samples = h->run->samples,
                                       .sample_count = h->run->count,
                                       .batch_rows = ROWS,
                                       .epochs = 1,
                                       .workers = h->run->workers > 0 ? h->run->workers : 1};
  co_pipeline *pipeline;
  co_view view;
  bool done = false;
  if (!h->run->count) return CO_OK;
  CO_RETURN_IF_FAILED(co_pipeline_create(&pipeline, h->network.model, dataset, &options));
  co_status status = CO_OK;
  while (status == CO_OK) {
    status = co_pipeline_next(pipeline, &view, &done);
    if (status != CO_OK || done) break;
    status = heat_batch(h, &view);
    co_pipeline_release(pipeline, &view);
  }
  co_pipeline_free(pipeline);
  return status;
}

co_status co_heat_rows(co_predictor *predictor, co_dataset *dataset,
                       const co_attribution_options *options, const co_attribution_run *run,
                       co_heat_sink *sink, void *user) {
  heating h = {.ctx = predictor->ctx, .run = run, .sink = sink, .user = user};
  co_status status = open_all(&h, predictor, options);
  if (status == CO_OK) status = heat_all(&h, dataset);
  co_integrated_gradients_close(h.of_maps);
  co_integrated_gradients_close(h.of_pixels);
  co_encoding_close(h.maps);
  co_encoding_close(h.pixels);
  co_arena_free(h.arena);
  return status;
}
