// SPDX-License-Identifier: Apache-2.0
// Where in an image a network sees what it says: maps (H, W) of one output's head, of a class.
//
//   gradients  integrated gradients (attribution.h) of the pixels from a black image, summed over channels.
//   occlusion  how much of the head's value goes when a square of a seventh of the image's longer side takes
//              on the image's mean colour (Zeiler & Fergus, "Visualizing and Understanding Convolutional
//              Networks", 2014), at half its side from one to the next; of a pixel the mean over the
//              squares that cover it.
//   cam        Grad-CAM (Selvaraju et al. 2017) of the last convolution: its channels weighed by the mean of
//              the head's gradient by them, what is negative left out, between its points linear.
#ifndef COHORT_HOST_EVAL_HEAT_H
#define COHORT_HOST_EVAL_HEAT_H

#include "host/eval/attribution.h"

typedef struct co_heat {
  int64_t sample;
  int32_t class_;
  double value;     // of the head
  double reference; // of a black image
  // (H, W); cam is NULL where there is no convolution.
  const double *gradients, *occlusion, *cam;
} co_heat;
typedef co_status co_heat_sink(void *user, const co_heat *heat);

// Of a network whose only input is an image; else CO_ERR_CONFIG. `run` without a sink.
co_status co_heat_rows(co_predictor *predictor, co_dataset *dataset,
                       const co_attribution_options *options, const co_attribution_run *run,
                       co_heat_sink *sink, void *user);

#endif
