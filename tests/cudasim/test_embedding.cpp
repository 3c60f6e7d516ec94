// SPDX-License-Identifier: Apache-2.0
#include "call.h"

// The gradient of a table; most positions have its row `hot`, if it is one.
static void test_backward(int64_t positions, int64_t V, int64_t D, int hot, bool accumulate) {
  size_t n = static_cast<size_t>(positions), columns = static_cast<size_t>(D);
  size_t count = static_cast<size_t>(V * D);
  DeviceArray<int32_t> index(n);
  DeviceArray<float> dy(n * columns), dtable(count);
  std::vector<double> wanted(count, 0.0);
  fill_integers(dy, 3);
  for (size_t i = 0; i < count; i++)
    dtable[i] = 7;
  for (size_t i = 0; i < count && accumulate; i++)
    wanted[i] = 7;
  for (size_t i = 0; i < n; i++) {
    index[i] = static_cast<int32_t>(i * 2654435761u % static_cast<size_t>(V));
    if (hot >= 0 && i % 7 != 0) index[i] = hot;
    if (i % 11 == 5) index[i] = i % 2 ? -1 : static_cast<int32_t>(V); // none
    if (index[i] < 0 || index[i] >= V) continue;
    for (size_t d = 0; d < columns; d++)
      wanted[static_cast<size_t>(index[i]) * columns + d] +=
          static_cast<double>(dy[i * columns + d]);
  }
  Call call;
  call.input(index, CO_I32, {positions});
  call.input(dy, CO_F32, {positions, D});
  call.output(dtable, CO_F32, {V, D});
  call.desc.accumulate = accumulate ? 1 : 0;
  call.run(co_cuda_embedding_backward, nullptr);
  for (size_t i = 0; i < count; i++)
    CHECK(static_cast<double>(dtable[i]) == wanted[i], "element %zu is %g instead of %g", i,
          static_cast<double>(dtable[i]), wanted[i]);
}

static void test_forward() {
  const size_t n = 600, V = 5, D = 3;
  DeviceArray<int32_t> index(n);
  DeviceArray<float> table(V * D), y(n * D);
  fill_integers(table, 1);
  for (size_t i = 0; i < n; i++)
    index[i] = static_cast<int32_t>(i % (V + 1)) - (i % 2 ? 0 : 1);
  Call call;
  call.input(index, CO_I32, {static_cast<int64_t>(n)});
  call.input(table, CO_F32, {static_cast<int64_t>(V), static_cast<int64_t>(D)});
  call.output(y, CO_F32, {static_cast<int64_t>(n), static_cast<int64_t>(D)});
  call.run(co_cuda_embedding, nullptr);
  for (size_t i = 0; i < n * D; i++) {
    int32_t row = index[i / D];
    bool none = row < 0 || row >= static_cast<int32_t>(V);
    CHECK(none ? y[i] != y[i] : y[i] == table[static_cast<size_t>(row) * D + i % D],
          "element %zu of row %d is %g", i, row, static_cast<double>(y[i]));
  }
}

int main() {
  test_forward();
  test_backward(1, 1, 1, -1, false);
  test_backward(100, 3, 5, 1, true);
  test_backward(1500, 2, 33, -1, false);
  test_backward(2500, 260, 2, 100, false); // more than the list of a block holds
  return test_result();
}
