// SPDX-License-Identifier: Apache-2.0
// An image: pixels (H, W, C), mirrored and shifted at random in training, normalised per channel.
#include <math.h>

#include "host/core/rng.h"
#include "models/features/numeric.h"

typedef struct augmentation_options {
  double flip;
  int64_t crop;
  double resized_crop, rotation, brightness, contrast;
  int64_t cutout;
  double mixup, cutmix;
} augmentation_options;

static const char *const words[] = {"none", "zscore", "minmax", "scale", NULL};

static const co_field preprocessing[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(co_numeric_options, normalization), "scale", 0, 0,
     words, "scale: pixel / 255; zscore and minmax: fitted per channel.", NULL},
    {.key = NULL}};

static const co_field augmentation[] = {
    {"flip", CO_FIELD_DOUBLE, offsetof(augmentation_options, flip), "0.0", 0, 1, NULL,
     "Probability of a left-right mirror image.", NULL},
    {"crop", CO_FIELD_INT, offsetof(augmentation_options, crop), "0", 0, 1024, NULL,
     "Largest random shift in pixels.", NULL},
    {"resized_crop", CO_FIELD_DOUBLE, offsetof(augmentation_options, resized_crop), "1.0", 0.01, 1,
     NULL,
     "Least part of the area that a random crop keeps, which is then as large as the image; its "
     "sides "
     "are 3:4 to 4:3 of the image's.",
     NULL},
    {"rotation", CO_FIELD_DOUBLE, offsetof(augmentation_options, rotation), "0.0", 0, 180, NULL,
     "Largest random turn in degrees, either way; what comes in from outside is the image "
     "mirrored.",
     NULL},
    {"brightness", CO_FIELD_DOUBLE, offsetof(augmentation_options, brightness), "0.0", 0, 1, NULL,
     "Largest random change of all pixels, in parts of their range.", NULL},
    {"contrast", CO_FIELD_DOUBLE, offsetof(augmentation_options, contrast), "0.0", 0, 1, NULL,
     "Largest random change of the distance from the middle grey, in parts of it.", NULL},
    {"cutout", CO_FIELD_INT, offsetof(augmentation_options, cutout), "0", 0, 1024, NULL,
     "Side in pixels of a random black square.", NULL},
    {"mixup", CO_FIELD_DOUBLE, offsetof(augmentation_options, mixup), "0.0", 0, 1, NULL,
     "Mixes each image with another of the batch, in shares of Beta(mixup, mixup); 0 = never. The "
     "target is that of either, drawn by its share, which gives the expected loss of mixed "
     "targets.",
     NULL},
    {"cutmix", CO_FIELD_DOUBLE, offsetof(augmentation_options, cutmix), "0.0", 0, 1, NULL,
     "Likewise by a box of the other image, whose area Beta(cutmix, cutmix) decides; beside mixup, "
     "either half of the time.",
     NULL},
    {.key = NULL}};

static co_status cast(co_section_builder *b, co_value *value) {
  co_op_attr attr = {.dtype = CO_F32};
  if (b->block->features[0].column->dtype == CO_F32) return CO_OK;
  return co_emit(b->section->graph, CO_OP_CAST, &attr, 1, value, value);
}

// Before normalising: the pixels that a crop vacates are black, whatever the channel's statistics.
static co_status augment(co_section_builder *b, co_value *value) {
  const augmentation_options *options = b->block->features[0].augmentation;
  co_graph *graph = b->section->graph;
  co_value in[3] = {*value, b->ids, CO_NO_VALUE};
  const bool more = options->resized_crop < 1 || options->rotation > 0 || options->brightness > 0 ||
                    options->contrast > 0 || options->cutout > 0;
  if (options->flip > 0 || options->crop > 0 || more)
    CO_RETURN_IF_FAILED(co_graph_get_step(graph, &in[2]));
  if (options->flip > 0) {
    co_op_attr flip = {.rate = options->flip, .purpose = co_purpose("flip", b->block->name)};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_FLIP, &flip, 3, in, &in[0]));
  }
  if (options->crop > 0) {
    co_op_attr crop = {.pad = options->crop, .purpose = co_purpose("crop", b->block->name)};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_SHIFTED_CROP, &crop, 3, in, &in[0]));
  }
  if (more) {
    co_op_attr attr = {.least_area = options->resized_crop,
                       .rotation = options->rotation,
                       .brightness = options->brightness,
                       .contrast = options->contrast,
                       .cutout = options->cutout,
                       .purpose = co_purpose("augment", b->block->name)};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_AUGMENT, &attr, 3, in, &in[0]));
  }
  *value = in[0];
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  CO_RETURN_IF_FAILED(co_section_rows(b, false, out));
  CO_RETURN_IF_FAILED(cast(b, out));
  CO_RETURN_IF_FAILED(augment(b, out));
  return co_numeric_emit(b, out);
}

static bool mixes(const co_input_feature *feature, co_op_attr *attr) {
  const augmentation_options *options = feature->augmentation;
  attr->mixup = options->mixup;
  attr->cutmix = options->cutmix;
  return options->mixup > 0 || options->cutmix > 0;
}

void co_image_pixels(const co_input_feature *feature, const float *values, int64_t count,
                     uint8_t *pixels) {
  const float *mean = co_feature_fitted(feature, "mean")->bytes;
  const float *scale = co_feature_fitted(feature, "scale")->bytes;
  const int64_t channels = feature->column->shape.dim[2];
  for (int64_t i = 0; i < count; i++) {
    const int64_t c = i % channels;
    const double value = (double)values[i] / (double)scale[c] + (double)mean[c];
    pixels[i] = (uint8_t)(value > 0 ? value < 255 ? lround(value) : 255 : 0);
  }
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(co_numeric_options),
                                     .augmentation = augmentation,
                                     .augmentation_size = sizeof(augmentation_options),
                                     .encoder = "stacked_cnn",
                                     .declare = co_numeric_declare,
                                     .is_fitted = co_numeric_is_fitted,
                                     .fit = &co_numeric_fit,
                                     .mixes = mixes,
                                     .describe = co_numeric_describe,
                                     .emit = emit};

extern const co_feature_class co_feature_image;
const co_feature_class co_feature_image = {.name = "image",
                                           .doc = "Of type image: pixels.",
                                           .columns = 1u << CO_COLUMN_IMAGE,
                                           .input = &input};
