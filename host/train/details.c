// SPDX-License-Identifier: Apache-2.0
// What TensorBoard gets beside scalars, at the end of `trainer.tensorboard_details` epochs: histograms of weights
// and of the last step's gradients, images as the network is given them, what it gives back of them, and
// which class is taken for which; and of the whole run its hyperparameters.
#include <math.h>
#include <string.h>

#include "datasets/image_sheet.h"
#include "host/feed/collate.h"
#include "host/train/session_private.h"
#include "models/feature.h"

enum { IMAGES = 16, MOST_PIXELS = 1 << 21, MOST_CLASSES = 64, MOST_VALUES = 1 << 20 };

bool co_session_details_due(const co_session *t) {
  const int64_t epochs = t->settings.max_epochs, wanted = t->settings.tensorboard_details;
  return wanted && t->state.epoch % ((epochs + wanted - 1) / wanted) == 0;
}

// Adds a picture under "KIND/NAME"; frees the PNG.
static void add_picture(co_text *summary, const char *kind, const char *name,
                        const char *description, co_text *png) {
  char *tag = co_format(summary->ctx, "%s/%s", kind, name);
  if (tag)
    co_summary_image(summary, tag, description, png);
  else
    summary->status = CO_ERR_MEMORY;
  co_free(summary->ctx, tag);
  co_text_free(png);
}

static void add_sheet(co_text *summary, const char *kind, const char *name, const char *description,
                      const co_sheet *sheet) {
  co_text png;
  co_text_init(&png, summary->ctx);
  co_status status = co_sheet_write_png(&png, summary->ctx, sheet);
  if (status != CO_OK) summary->status = status;
  add_picture(summary, kind, name, description, &png);
}

// How many images of a column are shown; 0 = it has none that are pictures.
static int64_t images_of(const co_column *column, int64_t rows) {
  if (!column || column->type != CO_COLUMN_IMAGE || column->shape.rank != 3) return 0;
  const int64_t *dim = column->shape.dim;
  if (dim[2] != 1 && dim[2] != 3) return 0;
  const int64_t most = MOST_PIXELS / (dim[0] * dim[1]);
  const int64_t count = most < IMAGES ? most : IMAGES;
  return rows < count ? rows : count;
}

static co_sheet sheet_of(const co_column *column, int64_t columns, int64_t count,
                         const uint8_t *pixels) {
  return (co_sheet){.count = count,
                    .columns = columns,
                    .height = column->shape.dim[0],
                    .width = column->shape.dim[1],
                    .channels = column->shape.dim[2],
                    .pixels = pixels};
}

// ---- after training rows -----------------------------------------------------------------------

// Of very large tensors evenly spaced values.
static co_status add_histogram(co_session *t, co_text *summary, int64_t entry, co_block block,
                               float *values) {
  co_store *store = co_program_store(t->program);
  const co_store_entry *e = &store->entries[entry];
  const int64_t count = co_shape_count(&e->info.shape), every = (count - 1) / MOST_VALUES + 1;
  const bool weights = block != CO_BLOCK_GRADIENT;
  CO_RETURN_IF_FAILED(co_store_read(store, entry, block, values));
  for (int64_t i = 0; i * every < count; i++)
    values[i] = values[i * every];
  char *tag = co_format(t->ctx, "%s/%s", weights ? "weights" : "gradients", e->info.name);
  if (!tag) return CO_ERR_MEMORY;
  co_summary_histogram(summary, tag, values, (count + every - 1) / every);
  co_free(t->ctx, tag);
  return CO_OK;
}

static co_status add_histograms(co_session *t, co_text *summary) {
  const co_store *store = co_program_store(t->program);
  int64_t most = 0;
  for (int64_t i = 0; i < store->count; i++) {
    const int64_t count = co_shape_count(&store->entries[i].info.shape);
    if (count > most) most = count;
  }
  float *values = co_alloc(t->ctx, (size_t)(most + 1) * sizeof *values);
  co_status status = values ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < store->count; i++) {
    if (store->entries[i].info.state) continue;
    status = add_histogram(t, summary, i, co_store_result(store), values);
    if (status == CO_OK && co_store_is_trained(store, i))
      status = add_histogram(t, summary, i, CO_BLOCK_GRADIENT, values);
  }
  co_free(t->ctx, values);
  return status;
}

// As they are stored: some training rows, drawn evenly.
static co_status add_inputs(co_session *t, co_text *summary) {
  const int64_t rows = t->sample_count[CO_SPLIT_TRAIN];
  for (int64_t i = 0; i < t->model->input_count; i++) {
    const co_column *column = t->model->inputs[i].column;
    const int64_t count = images_of(column, rows);
    int64_t samples[IMAGES];
    if (!count) continue;
    for (int64_t k = 0; k < count; k++)
      samples[k] = t->samples[CO_SPLIT_TRAIN][k * rows / count];
    uint8_t *pixels = co_alloc(t->ctx, (size_t)(count * co_shape_count(&column->shape)));
    if (!pixels) return CO_ERR_MEMORY;
    const co_sheet sheet = sheet_of(column, count, count, pixels);
    co_status status = co_dataset_gather(t->dataset, column->name, samples, count, pixels);
    if (status == CO_OK)
      add_sheet(summary, "inputs", t->model->inputs[i].name, "training rows, drawn evenly", &sheet);
    co_free(t->ctx, pixels);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}

co_status co_session_write_details(co_session *t) {
  co_text summary;
  if (!co_session_details_due(t)) return CO_OK;
  co_text_init(&summary, t->ctx);
  co_status status = t->program ? add_histograms(t, &summary) : CO_OK;
  if (status == CO_OK && !t->state.epoch) status = add_inputs(t, &summary);
  if (status == CO_OK && summary.length)
    return co_run_write_summary(&t->run, CO_TB_TRAIN, t->state.step, &summary);
  co_text_free(&summary);
  return status;
}

co_status co_session_show_samples(co_session *t, const char *output, const co_text *png) {
  co_text summary;
  if (!co_session_details_due(t)) return CO_OK;
  char *tag = co_format(t->ctx, "samples/%s", output);
  if (!tag) return CO_ERR_MEMORY;
  co_text_init(&summary, t->ctx);
  co_summary_image(&summary, tag, "always of the same noise", png);
  co_free(t->ctx, tag);
  return co_run_write_summary(&t->run, CO_TB_VALIDATION, t->state.step, &summary);
}

// ---- of validation rows ------------------------------------------------------------------------

struct co_validation_pictures {
  co_session *session;
  co_collator *collator;
  double **confusion; // per output: (classes, classes), true by taken for; NULL = none
  float **given;      // per output: images given back, as the network gives them; NULL = none
  int64_t taken;      // rows so far
};

static int64_t classes_of(const co_output_feature *output) {
  const co_column *column = output->column;
  return column && column->type == CO_COLUMN_CATEGORY && output->width <= MOST_CLASSES
             ? output->width
             : 0;
}

static int64_t images_given(const co_session *t, int64_t output) {
  return images_of(co_output_image(&t->model->outputs[output]),
                   t->sample_count[CO_SPLIT_VALIDATION]);
}

void co_validation_pictures_free(co_validation_pictures *p) {
  if (!p) return;
  co_context *ctx = p->session->ctx;
  for (int64_t i = 0; i < p->session->model->output_count; i++) {
    if (p->confusion) co_free(ctx, p->confusion[i]);
    if (p->given) co_free(ctx, p->given[i]);
  }
  co_free(ctx, p->confusion);
  co_free(ctx, p->given);
  co_collator_free(p->collator);
  co_free(ctx, p);
}

static co_status make_room(co_validation_pictures *p) {
  co_session *t = p->session;
  const size_t outputs = (size_t)t->model->output_count;
  p->confusion = co_alloc_zero(t->ctx, outputs + 1, sizeof *p->confusion);
  p->given = co_alloc_zero(t->ctx, outputs + 1, sizeof *p->given);
  if (!p->confusion || !p->given) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < t->model->output_count; i++) {
    const int64_t classes = classes_of(&t->model->outputs[i]), images = images_given(t, i);
    const size_t width = (size_t)t->model->outputs[i].width;
    if (classes)
      p->confusion[i] = co_alloc_zero(t->ctx, (size_t)(classes * classes), sizeof(double));
    if (images) p->given[i] = co_alloc(t->ctx, (size_t)images * width * sizeof(float));
    if ((classes && !p->confusion[i]) || (images && !p->given[i])) return CO_ERR_MEMORY;
  }
  return co_collator_create_targets(&p->collator, t->model, t->dataset);
}

co_status co_validation_pictures_open(co_validation_pictures **out, co_session *t) {
  bool any = false;
  *out = NULL;
  for (int64_t i = 0; i < t->model->output_count; i++)
    any = any || classes_of(&t->model->outputs[i]) || images_given(t, i);
  if (!any || !co_session_details_due(t)) return CO_OK;
  co_validation_pictures *p = *out = co_alloc_zero(t->ctx, 1, sizeof *p);
  if (!p) return CO_ERR_MEMORY;
  p->session = t;
  return make_room(p);
}

static int64_t likeliest(const float *score, int64_t classes) {
  int64_t best = 0;
  for (int64_t k = 1; k < classes; k++)
    if (score[k] > score[best]) best = k;
  return best;
}

static void count_classes(co_validation_pictures *p, int64_t output, const int64_t *samples,
                          int64_t rows, const float *scores) {
  enum { ROWS = 256 };
  const co_output_feature *feature = &p->session->model->outputs[output];
  const int64_t classes = feature->width;
  int32_t target[ROWS] = {0};
  float weight[ROWS] = {0};
  double ignored = 0;
  for (int64_t first = 0; first < rows; first += ROWS) {
    const int64_t count = rows - first < ROWS ? rows - first : ROWS;
    const co_shape_class shape = {.rows = count};
    for (int64_t k = 0; k < co_collator_count(p->collator); k++) {
      const co_feed *feed = co_collator_feed(p->collator, k);
      if (feed->loss == feature->loss_index)
        co_collate(p->collator, k, &shape, samples + first, count,
                   feed->kind == CO_FEED_TARGET ? (void *)target : weight, &ignored);
    }
    for (int64_t i = 0; i < count; i++)
      if (weight[i] > 0)
        p->confusion[output][target[i] * classes + likeliest(scores + (first + i) * classes,
                                                             classes)] += (double)weight[i];
  }
}

co_status co_validation_pictures_take(void *user, const int64_t *samples, int64_t rows,
                                      const float *const *scores) {
  co_validation_pictures *p = user;
  const co_model *model = p->session->model;
  for (int64_t i = 0; i < model->output_count; i++) {
    if (p->confusion[i]) count_classes(p, i, samples, rows, scores[i]);
    if (!p->given[i]) continue;
    const int64_t left = images_given(p->session, i) - p->taken, width = model->outputs[i].width;
    if (left > 0)
      memcpy(p->given[i] + p->taken * width, scores[i],
             (size_t)((left < rows ? left : rows) * width) * sizeof(float));
  }
  p->taken += rows;
  return CO_OK;
}

// Shares of each true class, from white to blue.
static co_status add_confusion(const co_validation_pictures *p, int64_t output, co_text *summary) {
  static const double blue[3] = {8, 48, 107};
  const co_output_feature *feature = &p->session->model->outputs[output];
  const int64_t classes = feature->width, cell = 320 / classes, side = classes * cell;
  uint8_t *pixels = co_alloc(summary->ctx, (size_t)(side * side * 3));
  if (!pixels) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < side * side; i++) {
    const double *line = p->confusion[output] + i / side / cell * classes;
    double sum = 0;
    for (int64_t k = 0; k < classes; k++)
      sum += line[k];
    const double share = sum > 0 ? line[i % side / cell] / sum : 0;
    for (int64_t c = 0; c < 3; c++)
      pixels[i * 3 + c] = (uint8_t)lround(255 + share * (blue[c] - 255));
  }
  const co_sheet sheet = {
      .count = 1, .columns = 1, .height = side, .width = side, .channels = 3, .pixels = pixels};
  add_sheet(summary, "confusion", feature->name,
            "true classes from top to bottom, what they are taken for from left to right, in the "
            "order of the dataset's classes; blue: all of a class",
            &sheet);
  co_free(summary->ctx, pixels);
  return CO_OK;
}

// Above each image that is given back the one that it is of.
static co_status add_reconstructions(const co_validation_pictures *p, int64_t output,
                                     co_text *summary) {
  co_session *t = p->session;
  const co_output_feature *feature = &t->model->outputs[output];
  const co_column *column = co_output_image(feature);
  const int64_t count = images_given(t, output), values = count * feature->width;
  uint8_t *pixels = co_alloc(t->ctx, (size_t)(2 * values));
  if (!pixels) return CO_ERR_MEMORY;
  const co_sheet sheet = sheet_of(column, count, 2 * count, pixels);
  co_status status =
      co_dataset_gather(t->dataset, column->name, t->samples[CO_SPLIT_VALIDATION], count, pixels);
  if (status == CO_OK) {
    co_image_pixels(feature->reconstructs, p->given[output], values, pixels + values);
    add_sheet(summary, "reconstruction", feature->name,
              "validation rows, and what is given back of them", &sheet);
  }
  co_free(t->ctx, pixels);
  return status;
}

co_status co_validation_pictures_write(const co_validation_pictures *p) {
  co_session *t = p->session;
  co_status status = CO_OK;
  co_text summary;
  co_text_init(&summary, t->ctx);
  for (int64_t i = 0; status == CO_OK && i < t->model->output_count; i++) {
    if (p->confusion[i]) status = add_confusion(p, i, &summary);
    if (status == CO_OK && p->given[i]) status = add_reconstructions(p, i, &summary);
  }
  if (status == CO_OK)
    return co_run_write_summary(&t->run, CO_TB_VALIDATION, t->state.step, &summary);
  co_text_free(&summary);
  return status;
}

// ---- hyperparameters ---------------------------------------------------------------------------

enum { MOST_HPARAMS = 100 };

typedef struct hparam_list {
  co_arena *arena;
  co_hparam items[MOST_HPARAMS];
  int64_t count;
} hparam_list;

static co_status add_scalar(hparam_list *list, const char *path, const co_node *node) {
  co_hparam hparam = {.name = path, .kind = CO_HPARAM_TEXT, .text = node->text};
  bool yes;
  if (list->count == MOST_HPARAMS) return CO_OK;
  if (co_node_double(node, &hparam.number)) {
    hparam.kind = CO_HPARAM_NUMBER;
  } else if (co_node_bool(node, &yes)) {
    hparam.kind = CO_HPARAM_BOOL;
    hparam.number = yes;
  }
  list->items[list->count++] = hparam;
  return CO_OK;
}

// Paths are those of --set; lists of names say nothing that a table could show.
static co_status add_hparams(hparam_list *list, const char *path, const co_node *node) {
  for (int64_t i = 0; i < node->count; i++) {
    const co_node *item = node->items[i], *name = NULL;
    if (node->kind == CO_NODE_LIST && item->kind != CO_NODE_MAP) continue;
    if (node->kind == CO_NODE_LIST) name = co_node_get(item, "name");
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)i);
    const char *key = node->kind == CO_NODE_MAP              ? node->keys[i]
                      : name && name->kind == CO_NODE_SCALAR ? name->text
                                                             : number;
    if (!*path && (strcmp(key, "dataset") == 0 || strcmp(key, "hyperopt") == 0 ||
                   strcmp(key, "version") == 0))
      continue;
    const char *below = co_arena_format(list->arena, "%s%s%s", path, *path ? "." : "", key);
    if (!below) return CO_ERR_MEMORY;
    if (strcmp(below, "trainer.seed") == 0) continue; // told anyway
    if (item->kind == CO_NODE_SCALAR)
      CO_RETURN_IF_FAILED(add_scalar(list, below, item));
    else if (item->kind != CO_NODE_NULL)
      CO_RETURN_IF_FAILED(add_hparams(list, below, item));
  }
  return CO_OK;
}

// The config as it was given, also of a run that goes on.
static co_status read_config(co_node **out, co_session *t) {
  co_diagnostics ignored;
  char *path = co_arena_format(t->arena, "%s/config.yaml", t->run.path);
  *out = NULL;
  if (!path) return CO_ERR_MEMORY;
  if (!co_path_exists(path)) return CO_OK;
  co_diagnostics_init(&ignored, t->ctx);
  co_status status = co_yaml_read_file(out, t->arena, path, &ignored);
  co_diagnostics_free(&ignored);
  return status;
}

co_status co_session_write_hparams(co_session *t) {
  co_node *config;
  co_text summary;
  if (t->first) return CO_OK; // of a refit: they are the first's
  hparam_list *list = co_arena_alloc(t->arena, 1, sizeof *list);
  if (!list) return CO_ERR_MEMORY;
  list->arena = t->arena;
  list->items[0] =
      (co_hparam){.name = "seed", .kind = CO_HPARAM_NUMBER, .number = (double)t->state.seed};
  list->count = 1;
  CO_RETURN_IF_FAILED(read_config(&config, t));
  if (config) CO_RETURN_IF_FAILED(add_hparams(list, "", config));
  co_text_init(&summary, t->ctx);
  co_summary_session_start(&summary, list->items, list->count, co_events_now());
  return co_run_write_summary(&t->run, CO_TB_RUN, 0, &summary);
}

co_status co_session_end_hparams(co_session *t, bool success) {
  co_text summary;
  if (t->first || !t->run.tb[CO_TB_RUN]) return CO_OK;
  co_text_init(&summary, t->ctx);
  co_summary_session_end(&summary, success, co_events_now());
  return co_run_write_summary(&t->run, CO_TB_RUN, t->state.step, &summary);
}
