// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct up_sampling_options {
  int64_t size[2];
} up_sampling_options;

static const co_field fields[] = {
    {"size", CO_FIELD_PAIR, offsetof(up_sampling_options, size), "2", 1, 4096, NULL,
     "How often each pixel is repeated, down and to the right (the nearest one; a convolution "
     "behind it smooths).",
     NULL},
    {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const up_sampling_options *o = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const co_op_attr attr = {.stride = {o->size[0], o->size[1]}};
  return co_emit(graph, CO_OP_UPSAMPLE2D, &attr, 1, in, out);
}

extern const co_layer_class co_layer_up_sampling2d;
const co_layer_class co_layer_up_sampling2d = {.name = "UpSampling2D",
                                               .doc = "A larger image, of repeated pixels.",
                                               .fields = fields,
                                               .options_size = sizeof(up_sampling_options),
                                               .shorthand = "size",
                                               .inputs_min = 1,
                                               .inputs_max = 1,
                                               .build = build};
