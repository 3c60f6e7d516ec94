// SPDX-License-Identifier: Apache-2.0
// Softmax cross-entropy over classes whose logits come in tiles: what is known of each row is kept from
// one tile to the next (Milakov & Gimelshein 2018), then tiles of logits become tiles of slopes.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/rows.cuh"

namespace co {

constexpr int64_t most_statistics_blocks = 512;

struct ClassRow {
  double logits;           // their sum, where labels are smoothed
  float largest, sum, own; // of the logits; of exp(logit - largest); the target's logit
  int32_t best;            // the first of the largest
};

struct ClassTile {
  const float *weight;
  const int32_t *target;
  const co_step *step;
  float *loss;
  double *sum, *hits, *partials; // hits may be NULL
  unsigned *ticket;
  int64_t rows, classes, first, count; // all classes; the tile's
  int output;                          // of the model
  float smoothing;
  bool accumulate_sum, accumulate_hits;
};

// Of exponents: a row of which nothing is larger than minus infinity yet has none.
__device__ __forceinline__ float origin(float largest) {
  return largest == -INFINITY ? 0.0f : largest;
}

// A tile's classes to what is known of their row. Nothing is larger than a NaN in front, and a NaN behind
// stays in the sum.
template <int Width>
__device__ __forceinline__ void add_classes(ClassRow *row, const float *z, const ClassTile &a,
                                            int lane) {
  float largest = -INFINITY, sum = 0, logits = 0;
  for (int64_t k = lane; k < a.count; k += Width)
    largest = fmaxf(largest, z[k]);
  largest = Group<Width>::largest(largest);
  if (a.first == 0 && z[0] != z[0]) row->largest = z[0];
  if (largest > row->largest) {
    long long best = a.count;
    for (int64_t k = lane; k < a.count && best == a.count; k += Width)
      if (z[k] == largest) best = k;
    row->best = static_cast<int32_t>(a.first + Group<Width>::least(best));
    row->sum *= expf(row->largest - largest);
    row->largest = largest;
  }
  float from = origin(row->largest);
  for (int64_t k = lane; k < a.count; k += Width) {
    sum += expf(z[k] - from);
    logits += z[k];
  }
  row->sum += Group<Width>::sum(sum);
  if (a.smoothing > 0) row->logits += static_cast<double>(Group<Width>::sum(logits));
}

template <int Width>
__global__ void catalogue_statistics(ClassTile a, const float *z, ClassRow *rows) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  bool last = a.first + a.count == a.classes;
  double totals[3] = {}; // the loss, the weight of hits, all weight
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    float weight = a.weight[n];
    if (weight == 0) { // missing: neither target nor prediction counts, not even a NaN
      if (last && lane == 0) a.loss[n] = 0;
      continue;
    }
    ClassRow row = {0, -INFINITY, 0, NAN, 0}; // of a wild target the loss is NaN
    if (a.first > 0) row = rows[n];
    add_classes<Width>(&row, z + n * a.count, a, lane);
    int64_t wanted = a.target[n], own = wanted - a.first;
    if (own >= 0 && own < a.count) row.own = z[n * a.count + own];
    if (lane > 0) continue;
    rows[n] = row;
    if (!last) continue;
    float even = a.smoothing / static_cast<float>(a.classes);
    double below = a.smoothing > 0
                       ? static_cast<double>(a.classes) * static_cast<double>(row.own) - row.logits
                       : 0;
    float value = logf(row.sum) + (row.largest - row.own) + even * static_cast<float>(below);
    a.loss[n] = value;
    totals[0] += static_cast<double>(weight) * static_cast<double>(value);
    if (row.best == wanted) totals[1] += static_cast<double>(weight);
    totals[2] += static_cast<double>(weight);
  }
  if (!last) return;
  grid_sums<3>(a.partials, a.ticket, totals, [&](int k, double total) {
    double *to = k == 0 ? a.sum : a.hits ? &a.hits[k - 1] : nullptr;
    if (to) *to = (k == 0 ? a.accumulate_sum : a.accumulate_hits) ? *to + total : total;
  });
}

template <int Width> __global__ void catalogue_slopes(ClassTile a, float *z, const ClassRow *rows) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  double inv_norm = a.step->inv_norm[a.output];
  float even = a.smoothing / static_cast<float>(a.classes);
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    float *slopes = z + n * a.count, weight = a.weight[n];
    if (weight == 0) {
      for (int64_t k = lane; k < a.count; k += Width)
        slopes[k] = 0;
      continue;
    }
    ClassRow row = rows[n];
    int64_t own = a.target[n] - a.first;
    float factor = static_cast<float>(static_cast<double>(weight) * inv_norm);
    for (int64_t k = lane; k < a.count; k += Width)
      slopes[k] = factor * (expf(slopes[k] - row.largest) / row.sum -
                            (k == own ? 1.0f - a.smoothing : 0.0f) - even);
  }
}

static ClassTile class_tile(const co_cuda_call *call, int64_t first, int64_t count,
                            double *partials) {
  const co_op_desc *desc = call->desc;
  const int64_t *w = desc->in[CO_LINEAR_CROSS_ENTROPY_w].shape.dim;
  return {static_cast<const float *>(call->in[CO_LINEAR_CROSS_ENTROPY_weight]),
          static_cast<const int32_t *>(call->in[CO_LINEAR_CROSS_ENTROPY_target]),
          static_cast<const co_step *>(call->in[CO_LINEAR_CROSS_ENTROPY_step]),
          static_cast<float *>(call->out[CO_LINEAR_CROSS_ENTROPY_loss]),
          static_cast<double *>(call->out[CO_LINEAR_CROSS_ENTROPY_sum]),
          static_cast<double *>(call->out[CO_LINEAR_CROSS_ENTROPY_hits]),
          partials,
          call->tickets,
          desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim[0],
          w[desc->attr.transposed ? 0 : 1],
          first,
          count,
          desc->attr.output,
          static_cast<float>(desc->attr.label_smoothing),
          co_cuda_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_sum),
          co_cuda_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_hits)};
}

// A warp a row, or a block where rows are long.
static bool is_long(const ClassTile &a) {
  return width_for(a.count) == block_threads;
}

static unsigned row_blocks(const ClassTile &a, int64_t most) {
  int64_t per_block = is_long(a) ? 1 : block_threads / warp_lanes;
  int64_t blocks = (a.rows + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < most ? blocks : most);
}

constexpr size_t partials_bytes = most_statistics_blocks * 3 * sizeof(double);

} // namespace co

extern "C" size_t co_cuda_catalogue_scratch(int64_t rows) {
  return co::partials_bytes + static_cast<size_t>(rows) * sizeof(co::ClassRow);
}

extern "C" cudaError_t co_cuda_catalogue_statistics(const float *z, int64_t first, int64_t count,
                                                    void *scratch, const co_cuda_call *call) {
  using namespace co;
  ClassTile a = class_tile(call, first, count, static_cast<double *>(scratch));
  ClassRow *rows = reinterpret_cast<ClassRow *>(static_cast<char *>(scratch) + partials_bytes);
  unsigned blocks = row_blocks(a, most_statistics_blocks);
  if (is_long(a))
    CO_LAUNCH(catalogue_statistics<block_threads>, blocks, block_threads, 0, call->stream, a, z,
              rows);
  else
    CO_LAUNCH(catalogue_statistics<warp_lanes>, blocks, block_threads, 0, call->stream, a, z, rows);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_catalogue_slopes(float *z, int64_t first, int64_t count,
                                                const void *scratch, const co_cuda_call *call) {
  using namespace co;
  ClassTile a = class_tile(call, first, count, nullptr);
  const ClassRow *rows =
      reinterpret_cast<const ClassRow *>(static_cast<const char *>(scratch) + partials_bytes);
  unsigned blocks = row_blocks(a, most_blocks);
  if (is_long(a))
    CO_LAUNCH(catalogue_slopes<block_threads>, blocks, block_threads, 0, call->stream, a, z, rows);
  else
    CO_LAUNCH(catalogue_slopes<warp_lanes>, blocks, block_threads, 0, call->stream, a, z, rows);
  return cudaGetLastError();
}
