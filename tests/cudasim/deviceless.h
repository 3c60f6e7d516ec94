// SPDX-License-Identifier: Apache-2.0
// Asks the real cuDNN, on a machine without a GPU, whether it has engines for a convolution on a
// device given by its properties.
#ifndef COHORT_CUDASIM_DEVICELESS_H
#define COHORT_CUDASIM_DEVICELESS_H

#include "conv_graph.h"

// Device properties in cuDNN's JSON, from a file. NULL if it cannot be read or is refused.
// Free with cudnnBackendDestroyDescriptor.
cudnnBackendDescriptor_t deviceless_device(const char *json_file);

// Number of engine configurations that the heuristics (mode A, else the fallback) offer; negative
// if a descriptor was refused, with cuDNN's reason on stderr.
int deviceless_conv_engines(cudnnBackendDescriptor_t device, conv_pass pass,
                            const conv_shape *shape, cudnnDataType_t type);

#endif
