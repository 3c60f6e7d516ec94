// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  const int64_t *k = desc->attr.kernel;
  switch (desc->op) {
  case CO_OP_CONV2D: // taps, channels and the bias
    return k[0] * k[1] * desc->in[1].shape.dim[2] + 1;
  case CO_OP_CONV2D_BACKWARD_DATA:
    return k[0] * k[1] * desc->in[0].shape.dim[3];
  default: // output pixels, for dw and db
    (void)output;
    return desc->in[1].shape.dim[0] * desc->in[1].shape.dim[1] * desc->in[1].shape.dim[2];
  }
}

// A NaN reaches every output whose window it is in but through relu.
static void adjust(ops_problem *p) {
  if (!ops_problem_has_flag(p, "nan")) return;
  double *x = p->in[CO_CONV2D_x];
  x[co_shape_count(&p->desc.in[CO_CONV2D_x].shape) / 2] = NAN;
}

static const char *const cases[] = {
    "x=1x1x1x1 w=1x1x1x1",
    "x=1x3x3x1 w=3x3x1x1 b=1",          // the kernel is the image
    "x=2x5x4x3 w=5x4x3x10 b=10 relu",   // the same, not square
    "x=2x7x7x3 w=3x3x3x16 b=16 pads=1", // as in networks
    "x=2x6x6x16 w=1x1x16x32 stride=2",
    "x=2x8x8x3 w=2x2x3x16 b=16 stride=2",                    // even kernels
    "x=2x7x7x16 w=4x2x16x10 b=10 pad_begin=1x0 pad_end=2x1", // uneven padding
    "x=2x11x10x3 w=3x3x3x8 stride=3 b=8",                    // a remainder is dropped
    "x=1x5x5x3 w=3x3x3x10 pads=2 stride=2 b=10",             // padding as large as stride
    "x=2x4x4x1 w=3x3x1x16 pads=3 stride=2",                  // … and as the window
    "x=2x9x9x3 w=3x3x3x16 dilation=2 pads=2 b=16 relu",
    "x=1x5x17x1 w=1x7x1x3 pads=0x3 b=3",  // flat kernels
    "x=7x1x1x16 w=3x3x16x17 pads=1 b=17", // mostly padding
    "x=2x7x7x3 w=3x3x3x16 b=16 pads=1 nan",
    "x=2x7x7x3 w=3x3x3x16 b=16 pads=1 relu nan",
    "x=2x7x7x3 w=3x3x3x16 relu nan",
    "x=2x5x4x6 w=3x3x2x9 b=9 pads=1 relu",        // three groups
    "x=2x6x5x16 w=3x3x1x16 b=16 pads=1",          // depthwise
    "x=1x7x6x5 w=3x2x1x10 stride=2 dilation=1x2", // two results a channel
    OPS_SWEEP,
    "x=2x7x7x32 w=3x3x16x32 b=32 pads=1 relu",
    "x=1x9x9x33 w=5x5x1x33 stride=2 pads=2 b=33",
    "x=1x8x8x16 w=3x3x16x16 b=16 pads=1 relu",
    "x=3x9x7x17 w=3x3x17x33 b=33 pads=1",
    "x=2x6x6x33 w=1x1x33x17 b=17",
    "x=2x11x11x16 w=3x3x16x16 stride=3x2 pads=1x2",
    "x=1x13x12x17 w=3x2x17x16 dilation=3x4 stride=2x1 pads=1",
    "x=1x17x5x3 w=7x1x3x17 pads=3x0",
    "x=2x28x28x1 w=3x3x1x32 pads=1 b=32 relu",
    "x=1x14x14x32 w=3x3x32x32 pads=1 b=32",
    NULL,
};

OPS_FAMILY(conv2d) = {
    .op = CO_OP_CONV2D,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .flags = "nan",
    .terms = terms,
    .adjust = adjust,
    .cases = cases,
};

// Gradients of kernels in bf16. (A backward operation derives no attributes from its operands.)
#define CONV "dilation=1 stride="

static const char *const weight_cases[] = {
    "x=2x5x5x3 dy=2x5x5x8 dw=3x3x3x8 kernel=3 pads=1 " CONV "1",
    "x=2x6x6x16 dy=2x3x3x32 dw=1x1x16x32 db=32 kernel=1 " CONV "2",
    "x=2x5x5x3 dy=2x6x6x4 dw=4x2x3x4 db=4 kernel=4x2 pad_begin=1x0 pad_end=3x2 " CONV "1",
    NULL,
};

OPS_FAMILY(conv2d_backward_weights) = {
    .op = CO_OP_CONV2D_BACKWARD_WEIGHTS,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = terms,
    .cases = weight_cases,
};

static int64_t transposed_terms(const co_op_desc *desc, int output) {
  const int64_t *k = desc->attr.kernel;
  switch (desc->op) {
  case CO_OP_CONV2D_TRANSPOSE: // taps, channels and the bias
    return k[0] * k[1] * desc->in[1].shape.dim[3] + 1;
  case CO_OP_CONV2D:
    return k[0] * k[1] * desc->in[1].shape.dim[2];
  default: { // pixels of x, for dw; of dy, for db
    const int64_t *pixels = desc->in[output == 0 ? 0 : 1].shape.dim;
    return pixels[0] * pixels[1] * pixels[2];
  }
  }
}

static const char *const transposed_cases[] = {
    "x=1x1x1x1 w=1x1x1x1",
    "x=2x4x3x5 w=3x3x4x5 b=4 stride=2 pad_begin=0 pad_end=1 relu", // same, as Keras pads
    "x=1x3x3x16 w=4x4x16x16 stride=2 pads=1 b=16",                 // as of a DCGAN
    "x=2x3x2x3 w=2x2x2x3 stride=3 pad_end=-1x-2",                  // gaps that no tap reaches
    "x=1x4x5x3 w=3x2x7x3 dilation=2x1 pads=1x0 b=7",
    OPS_SWEEP,
    "x=2x7x7x32 w=5x5x16x32 stride=2 pad_begin=1 pad_end=2 b=16 relu",
    "x=1x5x5x17 w=3x3x33x17 pads=1 b=33",
    NULL,
};

OPS_FAMILY(conv2d_transpose) = {
    .op = CO_OP_CONV2D_TRANSPOSE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = transposed_terms,
    .cases = transposed_cases,
};

static const char *const transposed_weight_cases[] = {
    "x=1x3x3x4 dy=1x6x6x3 dw=4x4x3x4 db=3 kernel=4 pads=1 " CONV "2",
    NULL,
};

OPS_FAMILY(conv2d_transpose_backward_weights) = {
    .op = CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = transposed_terms,
    .cases = transposed_weight_cases,
};
