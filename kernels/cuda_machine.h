// SPDX-License-Identifier: Apache-2.0
// What CUDA finds on a machine, as the plugin tells it.
#ifndef COHORT_KERNELS_CUDA_MACHINE_H
#define COHORT_KERNELS_CUDA_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CO_CUDA_MOST_DEVICES = 16, CO_CUDA_TEXT = 256 };

typedef struct co_cuda_device_info {
  char name[CO_CUDA_TEXT];
  size_t memory_free, memory_total; // bytes; free is 0 where it was not asked for
  int capability;                   // 90 = 9.0
  bool has_code;                    // the plugin has code for it
  char problem[CO_CUDA_TEXT];       // why it cannot be used, "" if it can
  char hint[CO_CUDA_TEXT];          // the way out
} co_cuda_device_info;

typedef struct co_cuda_machine {
  bool brief;                       // asked: no free memory, which takes a context, and no cuDNN
  bool loaded;                      // the plugin answers; else only `problem` and `hint` are set
  uint32_t abi;                     // of the plugin
  int driver, runtime;              // CUDA versions, 12040 = 12.4; driver 0 = none answers
  size_t cublaslt, cudnn;           // as the libraries count, 120402 = 12.4.2; 0 = cannot be used
  char codes[CO_CUDA_TEXT];         // what the plugin has code for: "80-real,90"
  char problem[CO_CUDA_TEXT];       // why no device can be used, "" if one can
  char hint[CO_CUDA_TEXT];          // the way out
  char cudnn_problem[CO_CUDA_TEXT]; // why cuDNN is not used, "" if it is
  int device_count;                 // may exceed the list
  co_cuda_device_info devices[CO_CUDA_MOST_DEVICES];
} co_cuda_machine;

#endif
