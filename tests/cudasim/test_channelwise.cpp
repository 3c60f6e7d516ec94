// SPDX-License-Identifier: Apache-2.0
#include "call.h"

static void test_shape(int64_t rows, int64_t channels) {
  size_t n = static_cast<size_t>(rows * channels);
  DeviceArray<float> y(n), dy(n), dx(n), db(static_cast<size_t>(channels));
  fill_integers(y, 1);
  fill_integers(dy, 2);
  Call call;
  call.input(y, CO_F32, {rows, channels});
  call.input(dy, CO_F32, {rows, channels});
  call.output(dx, CO_F32, {rows, channels});
  call.output(db, CO_F32, {channels});
  call.run(co_cuda_relu_bias_backward, co_cuda_relu_bias_backward_scratch);
  for (int64_t c = 0; c < channels; c++) {
    float sum = 0;
    for (int64_t r = 0; r < rows; r++) {
      size_t i = static_cast<size_t>(r * channels + c);
      float wanted = y[i] > 0 ? dy[i] : 0.0f;
      CHECK(dx[i] == wanted, "element %zu is %g", i, static_cast<double>(dx[i]));
      sum += wanted;
    }
    float got = db[static_cast<size_t>(c)];
    CHECK(got == sum, "channel %lld of %lld x %lld is %g", static_cast<long long>(c),
          static_cast<long long>(rows), static_cast<long long>(channels), static_cast<double>(got));
  }
}

int main() {
  test_shape(1, 1);
  test_shape(4099, 1);
  test_shape(517, 3);
  test_shape(300, 33);
  test_shape(300, 36); // four channels a thread, lanes without any
  test_shape(9001, 4);
  test_shape(40, 260);
  return test_result();
}
