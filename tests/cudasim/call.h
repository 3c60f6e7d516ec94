// SPDX-License-Identifier: Apache-2.0
// Calls a launcher of kernels/cuda/kernels.h with device arrays, for tests of kernels by themselves.
// What is computed is compared with the reference elsewhere (plugin/); here the lanes look for races
// and for results that depend on the order of threads.
#ifndef COHORT_TESTS_CUDASIM_CALL_H
#define COHORT_TESTS_CUDASIM_CALL_H

#include <initializer_list>

#include "kernels/cuda/kernels.h"
#include "testing.h"

class Call {
public:
  template <typename T>
  void input(DeviceArray<T> &array, co_dtype dtype, std::initializer_list<int64_t> dims) {
    add(desc.in, in_, desc.has_in, array.get(), dtype, dims);
  }
  template <typename T>
  void output(DeviceArray<T> &array, co_dtype dtype, std::initializer_list<int64_t> dims) {
    add(desc.out, out_, desc.has_out, array.get(), dtype, dims);
  }
  void run(co_cuda_launcher *launcher, co_cuda_scratch *scratch) {
    DeviceArray<double> workspace(scratch ? scratch(&desc) / sizeof(double) + 1 : 1);
    DeviceArray<unsigned> tickets(std::vector<unsigned>(CO_CUDA_TICKETS, 0));
    co_cuda_call call = {&desc, in_, out_, workspace.get(), nullptr, tickets.get()};
    cudaError_t status = launcher(&call);
    CHECK(status == cudaSuccess, "status %d", status);
    for (size_t i = 0; i < CO_CUDA_TICKETS; i++)
      CHECK(tickets[i] == 0, "ticket %zu is left at %u", i, tickets[i]);
  }

  co_op_desc desc{};

private:
  static void add(co_tensor_desc *descs, void **pointers, uint32_t &present, void *data,
                  co_dtype dtype, std::initializer_list<int64_t> dims) {
    int i = __builtin_popcount(present);
    descs[i].dtype = dtype;
    for (int64_t dim : dims)
      descs[i].shape.dim[descs[i].shape.rank++] = dim;
    pointers[i] = data;
    present |= 1u << i;
  }
  void *in_[CO_OP_MAX_OPERANDS]{};
  void *out_[CO_OP_MAX_OPERANDS]{};
};

// Small integers: sums are exact in any order.
template <typename T> void fill_integers(DeviceArray<T> &array, unsigned salt) {
  for (size_t i = 0; i < array.size(); i++)
    array[i] = static_cast<T>(static_cast<int>((i * 2654435761u + salt * 40503u) >> 7 & 7) - 3);
}

#endif
