// SPDX-License-Identifier: Apache-2.0
#include "call.h"

template <typename T> static void test_shape(size_t rows, size_t columns, co_dtype dtype) {
  DeviceArray<T> x(rows * columns), y(rows * columns);
  for (size_t i = 0; i < rows * columns; i++)
    x[i] = static_cast<T>(i * 7 % 251);
  cudaError_t status = co_cuda_transpose(y.get(), x.get(), dtype, static_cast<int64_t>(rows),
                                         static_cast<int64_t>(columns), nullptr);
  CHECK(status == cudaSuccess, "status %d", status);
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++)
      CHECK(y[c * rows + r] == x[r * columns + c], "%zu x %zu at %zu %zu", rows, columns, r, c);
}

int main() {
  test_shape<float>(1, 1, CO_F32);
  test_shape<float>(27, 33, CO_F32);
  test_shape<float>(100, 65, CO_F32);
  test_shape<uint16_t>(27, 33, CO_BF16);
  test_shape<uint16_t>(100, 65, CO_BF16);
  return test_result();
}
