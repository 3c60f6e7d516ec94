// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, forward and backward, against plain loops in double: the barriers between the gates, the states
// and the next event, and padding that is neither read nor left unwritten.
#include <cmath>

#include "call.h"

struct Sizes {
  co_rnn_cell cell;
  bool reverse;
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

// Values saved of one event, and the states after it.
static void step(const Sizes &s, const float *x, DeviceArray<float> &kernel,
                 DeviceArray<float> &recurrent, DeviceArray<float> &bias, Row &row, double *saved) {
  const int width = static_cast<int>(co_rnn_gates(s.cell)) * s.U;
  std::vector<double> zx(count(1, width)), zh(count(1, width));
  for (size_t j = 0, W = count(1, width); j < W; j++) {
    zx[j] = static_cast<double>(bias[j]);
    zh[j] = s.cell == CO_CELL_GRU ? static_cast<double>(bias[W + j]) : 0;
    for (int i = 0; i < s.I; i++)
      zx[j] += static_cast<double>(x[i]) * static_cast<double>(kernel[count(i, width) + j]);
    for (int u = 0; u < s.U; u++)
      zh[j] += row.h[static_cast<size_t>(u)] * static_cast<double>(recurrent[count(u, width) + j]);
  }
  auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  for (size_t u = 0, U = static_cast<size_t>(s.U); u < U; u++) {
    double *v = saved + u, &h = row.h[u], &c = row.c[u];
    if (s.cell == CO_CELL_SIMPLE_RNN) {
      v[0] = h = std::tanh(zx[u] + zh[u]);
    } else if (s.cell == CO_CELL_GRU) {
      v[0] = sigmoid(zx[u] + zh[u]);
      v[U] = sigmoid(zx[U + u] + zh[U + u]);
      v[2 * U] = std::tanh(zx[2 * U + u] + v[U] * zh[2 * U + u]);
      v[3 * U] = zh[2 * U + u];
      v[4 * U] = h = v[0] * h + (1 - v[0]) * v[2 * U];
    } else {
      v[0] = sigmoid(zx[u] + zh[u]);
      v[U] = sigmoid(zx[U + u] + zh[U + u]);
      v[2 * U] = std::tanh(zx[2 * U + u] + zh[2 * U + u]);
      v[3 * U] = sigmoid(zx[3 * U + u] + zh[3 * U + u]);
      v[4 * U] = c = v[U] * c + v[0] * v[2 * U];
      h = v[3 * U] * std::tanh(c);
    }
  }
}

static void test_shape(const Sizes &s) {
  const int width = static_cast<int>(co_rnn_gates(s.cell)) * s.U;
  const int saved_width = static_cast<int>(co_rnn_saved(s.cell)) * s.U;
  const int biases = s.cell == CO_CELL_GRU ? 2 : 1;
  DeviceArray<float> x(count(s.N, s.T, s.I)), kernel(count(s.I, width)),
      recurrent(count(s.U, width)), bias(count(biases, width));
  DeviceArray<int32_t> lengths(count(s.N, 1));
  DeviceArray<float> last(count(s.N, s.U)), y(count(s.N, s.T, s.U)),
      saved(count(s.N, s.T, saved_width)), dlast(count(s.N, s.U)), dy(count(s.N, s.T, s.U));
  DeviceArray<float> dx(count(s.N, s.T, s.I)), dkernel(count(s.I, width)),
      drecurrent(count(s.U, width)), dbias(count(biases, width));
  fill(x, 1), fill(kernel, 2), fill(recurrent, 3), fill(bias, 4), fill(dlast, 5), fill(dy, 6);
  for (int n = 0; n < s.N; n++) {
    lengths[static_cast<size_t>(n)] = n % 3 == 0 ? s.T : n % 3 == 1 ? 0 : s.T / 2;
    for (int t = lengths[static_cast<size_t>(n)]; t < s.T; t++)
      for (int i = 0; i < s.I; i++)
        x[count(n * s.T + t, s.I) + static_cast<size_t>(i)] = NAN;
  }

  Call forward;
  forward.desc.attr.cell = s.cell;
  forward.desc.attr.reverse = s.reverse;
  forward.input(x, CO_F32, {s.N, s.T, s.I});
  forward.input(lengths, CO_I32, {s.N});
  forward.input(kernel, CO_F32, {s.I, width});
  forward.input(recurrent, CO_F32, {s.U, width});
  if (biases == 2)
    forward.input(bias, CO_F32, {2, width});
  else
    forward.input(bias, CO_F32, {width});
  forward.output(last, CO_F32, {s.N, s.U});
  forward.output(y, CO_F32, {s.N, s.T, s.U});
  forward.output(saved, CO_F32, {s.N, s.T, saved_width});
  forward.run(co_cuda_recurrent, co_cuda_recurrent_scratch);
  for (int n = 0; n < s.N; n++) {
    Row row = {std::vector<double>(count(1, s.U)), std::vector<double>(count(1, s.U))};
    std::vector<double> want(count(1, saved_width));
    const int length = lengths[static_cast<size_t>(n)];
    for (int k = 0; k < s.T; k++) {
      bool event = k < length;
      size_t at = count(n, s.T) + static_cast<size_t>(event && s.reverse ? length - 1 - k : k);
      if (event) step(s, &x[at * count(1, s.I)], kernel, recurrent, bias, row, want.data());
      for (size_t j = 0, S = count(1, saved_width); j < S; j++)
        near_to("saved", at * S + j, saved[at * S + j], event ? want[j] : 0);
      for (size_t u = 0; u < count(1, s.U); u++)
        near_to("y", at * count(1, s.U) + u, y[at * count(1, s.U) + u], event ? row.h[u] : 0);
    }
    for (size_t u = 0; u < count(1, s.U); u++)
      near_to("last", u, last[count(n, s.U) + u], row.h[u]);
  }

  Call backward;
  backward.desc.attr.cell = s.cell;
  backward.desc.attr.reverse = s.reverse;
  backward.input(x, CO_F32, {s.N, s.T, s.I});
  backward.input(lengths, CO_I32, {s.N});
  backward.input(kernel, CO_F32, {s.I, width});
  backward.input(recurrent, CO_F32, {s.U, width});
  backward.input(saved, CO_F32, {s.N, s.T, saved_width});
  backward.input(dlast, CO_F32, {s.N, s.U});
  backward.input(dy, CO_F32, {s.N, s.T, s.U});
  backward.output(dx, CO_F32, {s.N, s.T, s.I});
  backward.output(dkernel, CO_F32, {s.I, width});
  backward.output(drecurrent, CO_F32, {s.U, width});
  if (biases == 2)
    backward.output(dbias, CO_F32, {2, width});
  else
    backward.output(dbias, CO_F32, {width});
  backward.run(co_cuda_recurrent_backward, co_cuda_recurrent_backward_scratch);
  // The loss is linear in dlast and dy: moving a bias moves it by what dbias says.
  for (int j : {0, width / 2, width - 1, biases * width - 1}) {
    double loss[2] = {0, 0};
    const float was = bias[static_cast<size_t>(j)];
    for (int side = 0; side < 2; side++) {
      bias[static_cast<size_t>(j)] = was + (side ? 1e-2f : -1e-2f);
      for (int n = 0; n < s.N; n++) {
        Row row = {std::vector<double>(count(1, s.U)), std::vector<double>(count(1, s.U))};
        std::vector<double> unused(count(1, saved_width));
        const int length = lengths[static_cast<size_t>(n)];
        for (int k = 0; k < length; k++) {
          size_t at = count(n, s.T) + static_cast<size_t>(s.reverse ? length - 1 - k : k);
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
  test_shape({CO_CELL_LSTM, false, 1, 1, 1, 1});
  test_shape({CO_CELL_LSTM, false, 4, 3, 2, 5});
  test_shape({CO_CELL_LSTM, true, 3, 2, 3, 70}); // more columns than threads
  test_shape({CO_CELL_GRU, false, 4, 3, 2, 5});
  test_shape({CO_CELL_GRU, true, 3, 2, 3, 70});
  test_shape({CO_CELL_SIMPLE_RNN, true, 4, 3, 2, 5});
  return test_result();
}
