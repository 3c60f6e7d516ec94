// SPDX-License-Identifier: Apache-2.0
#ifndef COHORT_TESTS_CUDASIM_REDUCE_KERNELS_H
#define COHORT_TESTS_CUDASIM_REDUCE_KERNELS_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

// x (rows, columns) -> sum, max (rows); one block a row, block.x * block.y a multiple of 32
template <typename T>
cudaError_t launch_row_statistics(const T *x, T *sum, T *max, int rows, int columns, dim3 block,
                                  cudaStream_t stream);
// y = 2 x, four elements a thread
template <typename T> cudaError_t launch_twice4(const T *x, T *y, int n, cudaStream_t stream);

#endif
