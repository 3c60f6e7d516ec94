// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "call.h"

// A table and what is picked of it; most positions have its row `hot`, if it is one.
struct Table {
  Table(int64_t positions_, int64_t V_, int64_t D_, int hot, bool accumulate_)
      : positions(positions_), V(V_), D(D_), accumulate(accumulate_), index(size(positions_)),
        data(size(positions_ * D_)), rows(size(V_ * D_)), wanted(size(V_ * D_), 0.0) {
    for (size_t i = 0; i < index.size(); i++) {
      index[i] = static_cast<int32_t>(i * 2654435761u % size(V));
      if (hot >= 0 && i % 7 != 0) index[i] = hot;
      if (i % 11 == 5) index[i] = i % 2 ? -1 : static_cast<int32_t>(V); // none
    }
  }
  static size_t size(int64_t count) {
    return static_cast<size_t>(count);
  }
  bool is_none(size_t i) {
    return index[i] < 0 || index[i] >= V;
  }

  int64_t positions, V, D;
  bool accumulate;
  DeviceArray<int32_t> index;
  DeviceArray<float> data, rows; // y or dy; the table or its gradient
  std::vector<double> wanted;
};

using Tables = std::vector<std::unique_ptr<Table>>;

static std::unique_ptr<Table> table(int64_t positions, int64_t V, int64_t D, int hot,
                                    bool accumulate) {
  return std::make_unique<Table>(positions, V, D, hot, accumulate);
}

static void test_backward(const Tables &tables) {
  Call call;
  for (const auto &t : tables) {
    fill_integers(t->data, 3);
    for (size_t i = 0; i < t->rows.size(); i++) {
      t->rows[i] = 7;
      t->wanted[i] = t->accumulate ? 7 : 0;
    }
    for (size_t i = 0; i < t->index.size(); i++)
      for (size_t d = 0, D = Table::size(t->D); d < D && !t->is_none(i); d++)
        t->wanted[static_cast<size_t>(t->index[i]) * D + d] +=
            static_cast<double>(t->data[i * D + d]);
    call.desc.accumulate |= (t->accumulate ? 1u : 0u) << __builtin_popcount(call.desc.has_out);
    call.input(t->index, CO_I32, {t->positions});
    call.input(t->data, CO_F32, {t->positions, t->D});
    call.output(t->rows, CO_F32, {t->V, t->D});
  }
  call.run(co_cuda_embedding_backward, nullptr);
  for (const auto &t : tables)
    for (size_t i = 0; i < t->rows.size(); i++)
      CHECK(static_cast<double>(t->rows[i]) == t->wanted[i], "element %zu is %g instead of %g", i,
            static_cast<double>(t->rows[i]), t->wanted[i]);
}

static void test_forward(const Tables &tables) {
  Call call;
  for (const auto &t : tables) {
    fill_integers(t->rows, 1);
    call.input(t->index, CO_I32, {t->positions});
    call.input(t->rows, CO_F32, {t->V, t->D});
    call.output(t->data, CO_F32, {t->positions, t->D});
  }
  call.run(co_cuda_embedding, nullptr);
  for (const auto &t : tables)
    for (size_t i = 0, D = Table::size(t->D); i < t->data.size(); i++) {
      const float y = t->data[i];
      CHECK(t->is_none(i / D) ? y != y
                              : y == t->rows[static_cast<size_t>(t->index[i / D]) * D + i % D],
            "element %zu of row %d is %g", i, t->index[i / D], static_cast<double>(y));
    }
}

static void test_one(std::unique_ptr<Table> t) {
  Tables tables;
  tables.push_back(std::move(t));
  test_backward(tables);
}

// Of different sizes, so that blocks of some have nothing to do.
static void test_many(void (*test)(const Tables &)) {
  Tables tables;
  tables.push_back(table(100, 3, 5, 1, true));
  tables.push_back(table(70, 40, 2, -1, false));
  tables.push_back(table(300, 1, 33, -1, true));
  test(tables);
}

int main() {
  test_many(test_forward);
  test_many(test_backward);
  test_one(table(1, 1, 1, -1, false));
  test_one(table(100, 3, 5, 1, true));
  test_one(table(1500, 2, 33, -1, false));
  test_one(table(2500, 260, 2, 100, false)); // more than the list of a block holds
  return test_result();
}
