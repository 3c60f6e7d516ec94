// SPDX-License-Identifier: Apache-2.0
// A picture of each event: that of its item, say. Pictures are of the classes of a category, and lie in the
// model; each event's is looked up and goes through an encoder of images of its own.
#include <string.h>

#include "models/builder.h"
#include "models/features/classes.h"

typedef struct picture_options {
  int64_t max_length;
} picture_options;

static const co_field preprocessing[] = {
    {"max_length", CO_FIELD_INT, offsetof(picture_options, max_length), "256", 1, 1 << 20, NULL,
     "Events that are read of a row; of more, the last.", NULL},
    {.key = NULL}};

static int64_t most_events(const co_input_feature *feature) {
  return ((const picture_options *)feature->preprocessing)->max_length;
}

static co_status read(co_model_builder *b, const co_node *item, const char *path,
                      co_input_feature *feature) {
  if (feature->column->picture.rank) return CO_OK;
  return co_node_problem(b->problems, item,
                         "cohort import --events LOG --item ITEM --join ITEMS.csv:ITEM --type "
                         "ITEMS.COL=image gives items pictures",
                         "%s: the classes of column '%s' have no pictures", path,
                         feature->column->name);
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const co_shape *picture = &feature->column->picture;
  const co_fitted array = {.name = "pictures",
                           .dtype = CO_U8,
                           .shape =
                               co_shape_make(2, co_classes_rows(feature), co_shape_count(picture)),
                           .new_rows = feature->column->new_classes};
  CO_RETURN_IF_FAILED(co_classes_declare(model, feature));
  return co_feature_declare(model, feature, &array, 1);
}

// What is no class, or has no picture, has a white one, as rows of tables have.
static co_status take_classes(co_context *ctx, co_input_feature *feature,
                              const co_class_members *members) {
  const co_fitted *array = co_feature_fitted(feature, "pictures");
  const size_t bytes = (size_t)array->shape.dim[1];
  uint8_t *pixels = array->bytes;
  (void)ctx;
  memset(pixels, 255, bytes);
  memcpy(pixels + bytes, members->pictures, (size_t)feature->column->category_count * bytes);
  return CO_OK;
}

static void take_new_classes(co_input_feature *feature, const co_class_members *members) {
  const co_column *column = feature->column;
  const co_fitted *array = co_feature_fitted(feature, "pictures");
  const size_t bytes = (size_t)array->shape.dim[1], count = (size_t)column->new_classes;
  uint8_t *pixels = (uint8_t *)array->bytes + ((size_t)column->category_count + 1) * bytes;
  if (members->pictures)
    memcpy(pixels, members->pictures, count * bytes);
  else
    memset(pixels, 255, count * bytes);
}

// Pixels / 255 of (N T, H, W, C).
static co_status look_up(co_model *model, const co_input_block *block, co_value *value) {
  const co_input_feature *feature = block->features;
  const co_fitted *array = co_feature_fitted(feature, "pictures");
  const co_shape *picture = &feature->column->picture;
  const co_op_attr real = {.dtype = CO_F32};
  const co_op_attr each = {.shape = co_shape_make(1, CO_DIM_NT(block->event_table))};
  const co_op_attr rows = {.shape = co_shape_make(4, CO_DIM_NT(block->event_table), picture->dim[0],
                                                  picture->dim[1], picture->dim[2])};
  const float factor = 1.0f / 255, offset = 0;
  const co_shape one = co_shape_make(1, (int64_t)1);
  co_graph *graph = model->network;
  co_value in[3] = {*value};
  char *name = co_arena_format(model->arena, "%s/pictures", block->name);
  char *mean = co_arena_format(model->arena, "%s/offset", block->name);
  char *scale = co_arena_format(model->arena, "%s/factor", block->name);
  if (!name || !mean || !scale) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_graph_add_variable(graph, name, CO_U8, &array->shape, array->bytes, &in[1]));
  // Bytes are looked up, not reals: of the batch's events alone they become such.
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &each, 1, &in[0], &in[0]));
  co_value of_event[] = {in[1], in[0]};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_GATHER, NULL, 2, of_event, &in[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &rows, 1, in, &in[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CAST, &real, 1, in, &in[0]));
  CO_RETURN_IF_FAILED(co_graph_add_constant(graph, mean, CO_F32, &one, &offset, &in[1]));
  CO_RETURN_IF_FAILED(co_graph_add_constant(graph, scale, CO_F32, &one, &factor, &in[2]));
  return co_emit(graph, CO_OP_NORMALIZE, NULL, 3, in, value);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(picture_options),
                                     .encoder = "stacked_cnn",
                                     .most_events = most_events,
                                     .read = read,
                                     .declare = declare,
                                     .take_classes = take_classes,
                                     .take_new_classes = take_new_classes,
                                     .look_up = look_up,
                                     .check = co_classes_check,
                                     .describe = co_classes_describe,
                                     .emit = co_classes_emit};

extern const co_feature_class co_feature_event_image;
const co_feature_class co_feature_event_image = {
    .name = "event_image",
    .doc = "Of type event_image: the picture of each event's class, such as an item bought.",
    .of_events = true,
    .columns = 1u << CO_COLUMN_CATEGORY,
    .input = &input};
