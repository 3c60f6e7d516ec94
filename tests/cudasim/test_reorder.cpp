// SPDX-License-Identifier: Apache-2.0
#include "call.h"

static void test_shape(size_t rows, size_t columns) {
  DeviceArray<float> x(rows * columns), y(rows * columns);
  fill_integers(x, 9);
  cudaError_t status = co_cuda_transpose(y.get(), x.get(), static_cast<int64_t>(rows),
                                         static_cast<int64_t>(columns), nullptr);
  CHECK(status == cudaSuccess, "status %d", status);
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++)
      CHECK(y[c * rows + r] == x[r * columns + c], "%zu x %zu at %zu %zu", rows, columns, r, c);
}

int main() {
  test_shape(1, 1);
  test_shape(27, 33);
  test_shape(100, 65);
  return test_result();
}
