// SPDX-License-Identifier: Apache-2.0
// What is made of image files, whoever names them: a folder (datasets/import_images.h), or the cells of a
// table's column (datasets/image_cells.h).
#ifndef COHORT_DATASETS_IMAGE_RECIPE_H
#define COHORT_DATASETS_IMAGE_RECIPE_H

#include "datasets/image_fit.h"
#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_IMAGE_MOST_PIXELS = 100000000 }; // the default limit

typedef struct co_image_recipe {
  int64_t height, width; // 0 = all have one size, which it is
  co_image_fit fit;
  int channels; // 1, 3; 0 = 1 where all are grey, else 3
} co_image_recipe;

// As YAML: "images: …".
co_status co_image_recipe_print(co_text *out, const co_image_recipe *recipe);
// CO_ERR_USAGE where a size, or a number of channels, is none; `fit` NULL = crop. 0 = as of the struct.
co_status co_image_recipe_make(co_image_recipe *out, int64_t width, int64_t height,
                               int64_t channels, const char *fit);

// An image whose header was read.
typedef struct co_image_look {
  const char *name; // of its file
  co_image_info info;
} co_image_look;
// Completes a recipe by all of the images, of which there is one at least. CO_ERR_DATA where they are of
// several sizes and the recipe says none; `where`: what holds them.
co_status co_image_recipe_complete(co_image_recipe *recipe, co_context *ctx, const char *where,
                                   const co_image_look *looks, int64_t count);
// Bytes of an image as it is stored.
int64_t co_image_recipe_bytes(const co_image_recipe *recipe);
// Decodes and resizes a file into `row`. Any thread; very large ones take turns. Errors as of
// co_image_decode.
co_status co_image_recipe_row(const co_image_recipe *recipe, co_context *ctx, const uint8_t *bytes,
                              size_t length, const co_image_info *info, int64_t most, uint8_t *row);

#ifdef __cplusplus
}
#endif
#endif
