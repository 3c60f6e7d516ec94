// SPDX-License-Identifier: Apache-2.0
// LSTM forward and backward against plain loops in double: the barriers between the gates, the states
// and the next event, and padding that is neither read nor left unwritten.
#include <cmath>

#include "call.h"

struct Sizes {
  int N, T, I, U;
};

static size_t count(int a, int b, int c = 1) {
  return static_cast<size_t>(a) * static_cast<size_t>(b) * static_cast<size_t>(c);
}

static void fill(DeviceArray<float> &array, unsigned salt) {
  fill_integers(array, salt);
  for (size_t i = 0; i < array.size(); i++)
    array[i] *= 0.1f;
}

static void near_to(const char *what, size_t i, float got, double want) {
  CHECK(std::fabs(static_cast<double>(got) - want) <= 1e-5 * (1 + std::fabs(want)),
        "%s %zu is %g instead of %g", what, i, static_cast<double>(got), want);
}

struct Row {
  std::vector<double> h, c;
};

// Gates of one event (i f g o), and the states after it.
static void step(const Sizes &s, const float *x, DeviceArray<float> &kernel,
                 DeviceArray<float> &recurrent, DeviceArray<float> &bias, Row &row, double *gates) {
  for (int j = 0; j < 4 * s.U; j++) {
    double z = static_cast<double>(bias[static_cast<size_t>(j)]);
    for (int i = 0; i < s.I; i++)
      z += static_cast<double>(x[i]) * static_cast<double>(kernel[count(i, 4 * s.U) + j]);
    for (int u = 0; u < s.U; u++)
      z += row.h[static_cast<size_t>(u)] *
           static_cast<double>(recurrent[count(u, 4 * s.U) + static_cast<size_t>(j)]);
    gates[j] = j / s.U == 2 ? std::tanh(z) : 1 / (1 + std::exp(-z));
  }
  for (size_t u = 0, U = static_cast<size_t>(s.U); u < U; u++) {
    row.c[u] = gates[U + u] * row.c[u] + gates[u] * gates[2 * U + u];
    row.h[u] = gates[3 * U + u] * std::tanh(row.c[u]);
  }
}

static void test_shape(const Sizes &s) {
  const int width = 4 * s.U;
  DeviceArray<float> x(count(s.N, s.T, s.I)), kernel(count(s.I, width)),
      recurrent(count(s.U, width)), bias(count(1, width));
  DeviceArray<int32_t> lengths(count(s.N, 1));
  DeviceArray<float> last(count(s.N, s.U)), y(count(s.N, s.T, s.U)), gates(count(s.N, s.T, width)),
      cells(count(s.N, s.T, s.U)), dlast(count(s.N, s.U)), dy(count(s.N, s.T, s.U));
  DeviceArray<float> dx(count(s.N, s.T, s.I)), dkernel(count(s.I, width)),
      drecurrent(count(s.U, width)), dbias(count(1, width));
  fill(x, 1), fill(kernel, 2), fill(recurrent, 3), fill(bias, 4), fill(dlast, 5), fill(dy, 6);
  for (int n = 0; n < s.N; n++) {
    lengths[static_cast<size_t>(n)] = n % 3 == 0 ? s.T : n % 3 == 1 ? 0 : s.T / 2;
    for (int t = lengths[static_cast<size_t>(n)]; t < s.T; t++)
      for (int i = 0; i < s.I; i++)
        x[count(n * s.T + t, s.I) + static_cast<size_t>(i)] = NAN;
  }

  Call forward;
  forward.input(x, CO_F32, {s.N, s.T, s.I});
  forward.input(lengths, CO_I32, {s.N});
  forward.input(kernel, CO_F32, {s.I, width});
  forward.input(recurrent, CO_F32, {s.U, width});
  forward.input(bias, CO_F32, {width});
  forward.output(last, CO_F32, {s.N, s.U});
  forward.output(y, CO_F32, {s.N, s.T, s.U});
  forward.output(gates, CO_F32, {s.N, s.T, width});
  forward.output(cells, CO_F32, {s.N, s.T, s.U});
  forward.run(co_cuda_lstm, co_cuda_lstm_scratch);
  for (int n = 0; n < s.N; n++) {
    Row row = {std::vector<double>(count(1, s.U)), std::vector<double>(count(1, s.U))};
    std::vector<double> want(count(1, width));
    for (int t = 0; t < s.T; t++) {
      bool event = t < lengths[static_cast<size_t>(n)];
      size_t at = count(n, s.T) + static_cast<size_t>(t);
      if (event) step(s, &x[at * count(1, s.I)], kernel, recurrent, bias, row, want.data());
      for (size_t j = 0; j < count(1, width); j++)
        near_to("gate", at * count(1, width) + j, gates[at * count(1, width) + j],
                event ? want[j] : 0);
      for (size_t u = 0; u < count(1, s.U); u++) {
        near_to("y", at * count(1, s.U) + u, y[at * count(1, s.U) + u], event ? row.h[u] : 0);
        near_to("cell", at * count(1, s.U) + u, cells[at * count(1, s.U) + u],
                event ? row.c[u] : 0);
      }
    }
    for (size_t u = 0; u < count(1, s.U); u++)
      near_to("last", u, last[count(n, s.U) + u], row.h[u]);
  }

  Call backward;
  backward.input(x, CO_F32, {s.N, s.T, s.I});
  backward.input(lengths, CO_I32, {s.N});
  backward.input(kernel, CO_F32, {s.I, width});
  backward.input(recurrent, CO_F32, {s.U, width});
  backward.input(gates, CO_F32, {s.N, s.T, width});
  backward.input(cells, CO_F32, {s.N, s.T, s.U});
  backward.input(dlast, CO_F32, {s.N, s.U});
  backward.input(dy, CO_F32, {s.N, s.T, s.U});
  backward.output(dx, CO_F32, {s.N, s.T, s.I});
  backward.output(dkernel, CO_F32, {s.I, width});
  backward.output(drecurrent, CO_F32, {s.U, width});
  backward.output(dbias, CO_F32, {width});
  backward.run(co_cuda_lstm_backward, co_cuda_lstm_backward_scratch);
  // The loss is linear in dlast and dy: moving a bias moves it by what dbias says.
  for (int j : {0, s.U, 2 * s.U, width - 1}) {
    double loss[2] = {0, 0};
    const float was = bias[static_cast<size_t>(j)];
    for (int side = 0; side < 2; side++) {
      bias[static_cast<size_t>(j)] = was + (side ? 1e-2f : -1e-2f);
      for (int n = 0; n < s.N; n++) {
        Row row = {std::vector<double>(count(1, s.U)), std::vector<double>(count(1, s.U))};
        std::vector<double> unused(count(1, width));
        for (int t = 0; t < lengths[static_cast<size_t>(n)]; t++) {
          size_t at = count(n, s.T) + static_cast<size_t>(t);
          step(s, &x[at * count(1, s.I)], kernel, recurrent, bias, row, unused.data());
          for (size_t u = 0; u < count(1, s.U); u++)
            loss[side] += row.h[u] * static_cast<double>(dy[at * count(1, s.U) + u]);
        }
        for (size_t u = 0; u < count(1, s.U); u++)
          loss[side] += row.h[u] * static_cast<double>(dlast[count(n, s.U) + u]);
      }
    }
    bias[static_cast<size_t>(j)] = was;
    double measured = (loss[1] - loss[0]) / 2e-2;
    double got = static_cast<double>(dbias[static_cast<size_t>(j)]);
    CHECK(std::fabs(got - measured) <= 1e-3 * (1 + std::fabs(measured)),
          "dbias %d is %g, differences give %g", j, got, measured);
  }
  for (size_t i = 0; i < dx.size(); i++) {
    size_t t = i / count(1, s.I) % count(1, s.T), n = i / count(s.T, s.I);
    bool event = static_cast<int>(t) < lengths[n];
    CHECK(event ? std::isfinite(dx[i]) : dx[i] == 0, "dx %zu is %g", i, static_cast<double>(dx[i]));
  }
  for (size_t i = 0; i < drecurrent.size(); i++)
    CHECK(std::isfinite(drecurrent[i]), "drecurrent %zu", i);
  for (size_t i = 0; i < dkernel.size(); i++)
    CHECK(std::isfinite(dkernel[i]), "dkernel %zu", i);
}

int main() {
  test_shape({1, 1, 1, 1});
  test_shape({4, 3, 2, 5});
  test_shape({3, 2, 3, 70}); // more columns than threads
  return test_result();
}
