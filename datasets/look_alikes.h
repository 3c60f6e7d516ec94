// SPDX-License-Identifier: Apache-2.0
// Images of validation and test that are a training image over again: compressed, resized, made lighter or
// darker. Cropped and mirrored ones are not found, nor those that are mostly of one tone.
//
// Two images are alike where their difference hashes (N. Krawetz, "Kind of Like That", 2013: of the image as
// 9 x 8 means of grey, whether each is lighter than its left neighbour) differ in at most
// CO_LOOK_ALIKE_BITS of 64 bits, and 16 x 16 means of each channel, less the mean of all, by at most
// CO_LOOK_ALIKE_RMS of 255 in the root of the mean square. Those of equal bytes are left out: they are duplicates.
#ifndef COHORT_DATASETS_LOOK_ALIKES_H
#define COHORT_DATASETS_LOOK_ALIKES_H

#include "datasets/view.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_LOOK_ALIKE_BITS = 6, CO_LOOK_ALIKE_RMS = 8 };

typedef struct co_look_alikes {
  int64_t count[CO_SPLIT_COUNT]; // samples that have one; of training none
  int64_t sample, like;          // the first, and the training sample that it is like; -1 = none
} co_look_alikes;

// `view` is of images. All threads; the result does not depend on how many. Held in memory: 8 bytes a sample,
// and 36 and 256 a channel a training sample.
co_status co_look_alikes_find(co_look_alikes *out, co_context *ctx, co_dataset *dataset,
                              const co_view *view, const volatile int *stop);

#ifdef __cplusplus
}
#endif
#endif
