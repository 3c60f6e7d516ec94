// SPDX-License-Identifier: Apache-2.0
// Folders of images, shared by the verbs that take them.
#ifndef COHORT_HOST_API_IMAGES_H
#define COHORT_HOST_API_IMAGES_H

#include "datasets/import_images.h"
#include "host/api/api.h"

// A scoring whose dataset may be a folder of images: then `options` name a temporary dataset, made as
// that of the model's training was, its keys the files. To be ended in any case.
typedef struct co_image_scoring {
  co_context *ctx;
  co_arena *arena; // NULL where there is no folder
  cohort_predict_options options;
  co_atomic_file images; // the temporary dataset
  co_import_images_result result;
} co_image_scoring;
co_status co_image_scoring_begin(co_image_scoring *scoring, cohort_context *context,
                                 const cohort_predict_options *options);
void co_image_scoring_report(const co_image_scoring *scoring, co_json *json, co_text *text);
void co_image_scoring_end(co_image_scoring *scoring);

#endif
