// SPDX-License-Identifier: Apache-2.0
// Softmax, losses and hits: a group of threads per row (one, a warp or a block), sums over rows in
// double, by block and then, in the same launch, over blocks in order.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/rows.cuh"

namespace co {

constexpr int64_t most_loss_blocks = 512;

static int64_t loss_blocks(int64_t rows, int64_t row) {
  int64_t per_block = block_threads / width_for(row);
  int64_t blocks = (rows + per_block - 1) / per_block;
  return blocks < most_loss_blocks ? blocks : most_loss_blocks;
}

// Rows of K, of which the first lengths[row / of_length] count, or all (NULL).
struct MaskedRows {
  const int32_t *lengths;
  int64_t rows, K, of_length;

  __device__ int64_t length(int64_t row) const {
    int64_t length = lengths ? lengths[row / of_length] : K;
    return length < 0 ? 0 : length < K ? length : K;
  }
};

template <int Width, typename Y, typename T>
__global__ void softmax(Y *y, const T *x, MaskedRows all) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  for (int64_t n = first_row<Width>(); n < all.rows; n += row_step<Width>()) {
    const T *row = x + n * all.K;
    int64_t length = all.length(n);
    float largest = -INFINITY, sum = 0;
    for (int64_t k = lane; k < length; k += Width)
      largest = fmaxf(largest, static_cast<float>(row[k]));
    largest = Group<Width>::largest(largest);
    for (int64_t k = lane; k < length; k += Width)
      sum += expf(static_cast<float>(row[k]) - largest);
    sum = Group<Width>::sum(sum);
    for (int64_t k = lane; k < all.K; k += Width)
      y[n * all.K + k] =
          static_cast<Y>(k < length ? expf(static_cast<float>(row[k]) - largest) / sum : 0.0f);
  }
}

template <int Width, typename T>
__global__ void softmax_gradient(T *dx, const T *y, const T *dy, MaskedRows all, bool accumulate) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  for (int64_t n = first_row<Width>(); n < all.rows; n += row_step<Width>()) {
    const T *p = y + n * all.K, *d = dy + n * all.K;
    int64_t length = all.length(n);
    float sum = 0;
    for (int64_t k = lane; k < length; k += Width)
      sum += static_cast<float>(p[k]) * static_cast<float>(d[k]);
    sum = Group<Width>::sum(sum);
    for (int64_t k = lane; k < all.K; k += Width)
      put(&dx[n * all.K + k],
          k < length ? static_cast<float>(p[k]) * (static_cast<float>(d[k]) - sum) : 0.0f,
          accumulate);
  }
}

template <typename T> struct LossRows {
  const T *x;
  const float *weight;
  const co_step *step;
  float *loss;
  T *dx;
  double *sum, *hits, *partials; // hits: NULL, or the sums of CATEGORICAL_HITS
  unsigned *ticket;
  int64_t rows, row;
  int output; // of the model
  float smoothing;
  bool accumulate_sum, accumulate_dx, accumulate_hits;
};

__device__ __forceinline__ void put_total(double *sum, double total, bool accumulate) {
  *sum = accumulate ? *sum + total : total;
}

// The first of the largest of a row, given the largest that is no NaN; nothing is larger than a NaN
// in front.
template <int Width, typename T>
__device__ __forceinline__ int64_t first_largest(const T *row, int64_t K, int lane, float largest) {
  long long best = K;
  for (int64_t k = lane; k < K && best == K; k += Width)
    if (static_cast<float>(row[k]) == largest) best = k;
  best = Group<Width>::least(best);
  float first = static_cast<float>(row[0]);
  return best == K || first != first ? 0 : best;
}

// Totals: the loss and, where Hits, the weight of hits and all weight.
template <int Width, bool Hits, typename T>
__global__ void softmax_cross_entropy(LossRows<T> a, const int32_t *target) {
  constexpr int sums = Hits ? 3 : 1;
  int lane = static_cast<int>(threadIdx.x) % Width;
  double totals[sums] = {};
  double inv_norm = a.step->inv_norm[a.output];
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    const T *row = a.x + n * a.row;
    T *dx = a.dx + n * a.row;
    float weight = a.weight[n];
    if (weight == 0) { // missing: neither target nor prediction counts, not even a NaN
      for (int64_t k = lane; k < a.row; k += Width)
        put(&dx[k], 0.0f, a.accumulate_dx);
      if (lane == 0) a.loss[n] = 0;
      continue;
    }
    float largest = -INFINITY, sum = 0;
    for (int64_t k = lane; k < a.row; k += Width)
      largest = fmaxf(largest, static_cast<float>(row[k]));
    largest = Group<Width>::largest(largest);
    for (int64_t k = lane; k < a.row; k += Width)
      sum += expf(static_cast<float>(row[k]) - largest);
    sum = Group<Width>::sum(sum);
    int32_t wanted = target[n]; // a wild one gives NaN rather than a wild read
    bool known = wanted >= 0 && wanted < a.row;
    float own = known ? static_cast<float>(row[wanted]) : NAN, below = 0;
    float even = a.smoothing / static_cast<float>(a.row);
    if (a.smoothing > 0) {
      for (int64_t k = lane; k < a.row; k += Width)
        below += own - static_cast<float>(row[k]);
      below = Group<Width>::sum(below);
    }
    if (lane == 0) {
      float value = logf(sum) + (largest - own) + even * below;
      a.loss[n] = value;
      totals[0] += static_cast<double>(weight) * static_cast<double>(value);
    }
    if constexpr (Hits) {
      int64_t best = first_largest<Width>(row, a.row, lane, largest);
      if (lane == 0) {
        if (best == wanted) totals[1] += static_cast<double>(weight);
        totals[2] += static_cast<double>(weight);
      }
    }
    float factor = static_cast<float>(static_cast<double>(weight) * inv_norm);
    for (int64_t k = lane; k < a.row; k += Width)
      put(&dx[k],
          factor * (expf(static_cast<float>(row[k]) - largest) / sum -
                    (k == wanted ? 1.0f - a.smoothing : 0.0f) - even),
          a.accumulate_dx);
  }
  grid_sums<sums>(a.partials, a.ticket, totals, [&](int k, double total) {
    if (k == 0)
      put_total(a.sum, total, a.accumulate_sum);
    else
      put_total(&a.hits[k - 1], total, a.accumulate_hits);
  });
}

struct Pointwise {
  co_pointwise kind;
  float delta, gamma, positive_weight, smoothing;
  float levels[CO_MAX_QUANTILES];
};

// kernels/ref/pointwise_loss.c has the formulas.
__device__ __forceinline__ float binary_loss(const Pointwise &p, float x, float target,
                                             float *slope) {
  float t = target * (1.0f - p.smoothing) + p.smoothing / 2;
  float e = expf(-fabsf(x)), near = log1pf(e), inverse = 1.0f / (1.0f + e);
  float s = x >= 0 ? inverse : e * inverse, r = x >= 0 ? e * inverse : inverse;
  float miss = (x >= 0 ? 0.0f : -x) + near, hit = (x >= 0 ? x : 0.0f) + near;
  float positive = p.positive_weight * t, negative = 1.0f - t;
  if (p.gamma == 0) {
    *slope = negative * s - positive * r;
    return positive * miss + negative * hit;
  }
  float of_r = powf(r, p.gamma), of_s = powf(s, p.gamma);
  *slope = negative * of_s * (p.gamma * r * hit + s) - positive * of_r * (p.gamma * s * miss + r);
  return positive * of_r * miss + negative * of_s * hit;
}

__device__ __forceinline__ float pointwise(const Pointwise &p, int64_t i, float x, float t,
                                           float *slope) {
  float error = x - t, size = fabsf(error), sign = 2.0f * t - 1.0f;
  float side = error > 0 ? 1.0f : error < 0 ? -1.0f : error;
  float q = p.levels[i < CO_MAX_QUANTILES ? i : 0];
  switch (p.kind) {
  case CO_POINTWISE_SQUARED:
    *slope = 2.0f * error;
    return error * error;
  case CO_POINTWISE_ABSOLUTE:
    *slope = side;
    return size;
  case CO_POINTWISE_HUBER:
    *slope = size > p.delta ? p.delta * side : error;
    return size > p.delta ? p.delta * (size - p.delta / 2) : error * error / 2;
  case CO_POINTWISE_QUANTILE:
    *slope = error > 0 ? 1.0f - q : error < 0 ? -q : error;
    return error > 0 ? (1.0f - q) * error : -q * error;
  case CO_POINTWISE_HINGE:
    *slope = sign * x >= 1 ? 0.0f : -sign;
    return sign * x >= 1 ? 0.0f : 1.0f - sign * x;
  case CO_POINTWISE_GIVEN:
    *slope = 1.0f;
    return x;
  default:
    return binary_loss(p, x, t, slope);
  }
}

template <int Width, typename T>
__global__ void pointwise_loss(LossRows<T> a, const float *target, int64_t targets, Pointwise p) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  double total = 0, inv_norm = a.step->inv_norm[a.output];
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    float weight = a.weight[n], sum = 0;
    float factor =
        static_cast<float>(static_cast<double>(weight) * inv_norm / static_cast<double>(a.row));
    for (int64_t k = lane; k < a.row; k += Width) {
      int64_t i = n * a.row + k;
      float slope = 0;
      if (weight != 0) // a missing target may be NaN
        sum += pointwise(p, k, static_cast<float>(a.x[i]),
                         target[targets == a.row ? i : n * targets], &slope);
      put(&a.dx[i], factor * slope, a.accumulate_dx);
    }
    sum = Group<Width>::sum(sum);
    if (lane != 0) continue;
    float value = sum / static_cast<float>(a.row);
    a.loss[n] = value;
    total += static_cast<double>(weight) * static_cast<double>(value);
  }
  grid_sums<1>(a.partials, a.ticket, &total,
               [&](int, double sum) { put_total(a.sum, sum, a.accumulate_sum); });
}

// Of a warp's row: each lane keeps the first of its largest, the lanes agree on the first of all; K where
// there is none but NaN. Of what is allowed; NULL = of all.
template <typename T>
__device__ __forceinline__ int warp_arg_max(const T *row, const uint8_t *allowed, int K, int lane) {
  float value = -INFINITY;
  int best = K;
  for (int k = lane; k < K; k += warp_lanes) {
    float score = static_cast<float>(row[k]);
    if (allowed && !allowed[k]) continue;
    if (score > value || (score == value && k < best)) {
      value = score;
      best = k;
    }
  }
  for (int distance = warp_lanes / 2; distance > 0; distance /= 2) {
    float other = __shfl_xor_sync(full_warp, value, distance);
    int at = __shfl_xor_sync(full_warp, best, distance);
    if (other > value || (other == value && at < best)) {
      value = other;
      best = at;
    }
  }
  return best;
}

template <typename T>
__global__ void arg_max(int32_t *y, const T *x, const uint8_t *allowed, int64_t rows, int64_t K) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  for (int64_t n = first_row<warp_lanes>(); n < rows; n += row_step<warp_lanes>()) {
    int best = warp_arg_max(x + n * K, allowed, static_cast<int>(K), lane);
    if (lane == 0) y[n] = best == K ? 0 : best;
  }
}

template <typename T>
__global__ void categorical_hits(double *sums, double *partials, const T *x, const int32_t *target,
                                 const float *weight, int64_t rows, int64_t K, bool accumulate,
                                 unsigned *ticket) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  double totals[2] = {0, 0};
  for (int64_t n = first_row<warp_lanes>(); n < rows; n += row_step<warp_lanes>()) {
    const T *row = x + n * K;
    int best = warp_arg_max(row, nullptr, static_cast<int>(K), lane);
    if (lane != 0) continue;
    float first = static_cast<float>(row[0]);
    if (best == K || first != first) best = 0; // nothing is larger than a NaN
    if (best == target[n]) totals[0] += static_cast<double>(weight[n]);
    totals[1] += static_cast<double>(weight[n]);
  }
  grid_sums<2>(partials, ticket, totals,
               [&](int k, double total) { put_total(&sums[k], total, accumulate); });
}

// A warp a row.
__global__ void row_means(double *sums, double *partials, const float *x, const float *weight,
                          int64_t rows, int64_t size, bool accumulate, unsigned *ticket) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  double totals[2] = {0, 0};
  for (int64_t n = first_row<warp_lanes>(); n < rows; n += row_step<warp_lanes>()) {
    float sum = 0, own = weight[n];
    for (int64_t k = lane; own != 0 && k < size; k += warp_lanes)
      sum += x[n * size + k];
    sum = warp_sum(sum);
    if (lane != 0) continue;
    totals[0] += static_cast<double>(own) * static_cast<double>(sum / static_cast<float>(size));
    totals[1] += static_cast<double>(own);
  }
  grid_sums<2>(partials, ticket, totals,
               [&](int k, double total) { put_total(&sums[k], total, accumulate); });
}

static int64_t hits_blocks(int64_t rows) {
  constexpr int64_t per_block = block_threads / warp_lanes;
  int64_t blocks = (rows + per_block - 1) / per_block;
  return blocks < most_loss_blocks ? blocks : most_loss_blocks;
}

template <typename T> static LossRows<T> loss_rows(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  return {static_cast<const T *>(call->in[0]),
          static_cast<const float *>(call->in[2]),
          static_cast<const co_step *>(call->in[3]),
          static_cast<float *>(call->out[0]),
          static_cast<T *>(call->out[2]),
          static_cast<double *>(call->out[1]),
          nullptr,
          static_cast<double *>(call->workspace),
          call->tickets,
          desc->in[0].shape.dim[0],
          co_cuda_row(&desc->in[0].shape),
          desc->attr.output,
          static_cast<float>(desc->attr.label_smoothing),
          co_cuda_accumulates(desc, 1),
          co_cuda_accumulates(desc, 2),
          false};
}

// `lengths`: the place of that input, -1 where there is none.
static MaskedRows masked_rows(const co_cuda_call *call, int lengths) {
  const co_shape *shape = &call->desc->in[0].shape;
  int64_t K = co_cuda_last(shape), rows = co_cuda_count(shape) / K;
  bool cut = lengths >= 0 && co_cuda_has_in(call->desc, lengths);
  return {cut ? static_cast<const int32_t *>(call->in[lengths]) : nullptr, rows, K,
          rows / shape->dim[0]};
}

static unsigned row_blocks(const MaskedRows &all) {
  int64_t per_block = block_threads / width_for(all.K);
  int64_t blocks = (all.rows + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks);
}

template <typename Y, typename T>
static cudaError_t launch_softmax(const co_cuda_call *call, int lengths) {
  MaskedRows all = masked_rows(call, lengths);
  unsigned grid = row_blocks(all);
  int width = width_for(all.K);
  Y *y = static_cast<Y *>(call->out[0]);
  const T *x = static_cast<const T *>(call->in[0]);
  if (width == 1)
    CO_LAUNCH((softmax<1, Y, T>), grid, block_threads, 0, call->stream, y, x, all);
  else if (width == warp_lanes)
    CO_LAUNCH((softmax<warp_lanes, Y, T>), grid, block_threads, 0, call->stream, y, x, all);
  else
    CO_LAUNCH((softmax<block_threads, Y, T>), grid, block_threads, 0, call->stream, y, x, all);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_softmax_gradient(const co_cuda_call *call) {
  MaskedRows all = masked_rows(call, CO_MASKED_SOFTMAX_BACKWARD_lengths);
  unsigned grid = row_blocks(all);
  int width = width_for(all.K);
  bool adds = co_cuda_accumulates(call->desc, CO_MASKED_SOFTMAX_BACKWARD_dx);
  T *dx = static_cast<T *>(call->out[CO_MASKED_SOFTMAX_BACKWARD_dx]);
  const T *y = static_cast<const T *>(call->in[CO_MASKED_SOFTMAX_BACKWARD_y]);
  const T *dy = static_cast<const T *>(call->in[CO_MASKED_SOFTMAX_BACKWARD_dy]);
  if (width == 1)
    CO_LAUNCH((softmax_gradient<1, T>), grid, block_threads, 0, call->stream, dx, y, dy, all, adds);
  else if (width == warp_lanes)
    CO_LAUNCH((softmax_gradient<warp_lanes, T>), grid, block_threads, 0, call->stream, dx, y, dy,
              all, adds);
  else
    CO_LAUNCH((softmax_gradient<block_threads, T>), grid, block_threads, 0, call->stream, dx, y, dy,
              all, adds);
  return cudaGetLastError();
}

template <bool Hits, typename T>
static void launch_cross_entropy(const LossRows<T> &a, const int32_t *target, cudaStream_t stream) {
  unsigned grid = static_cast<unsigned>(loss_blocks(a.rows, a.row));
  int width = width_for(a.row);
  if (width == 1)
    CO_LAUNCH((softmax_cross_entropy<1, Hits, T>), grid, block_threads, 0, stream, a, target);
  else if (width == warp_lanes)
    CO_LAUNCH((softmax_cross_entropy<warp_lanes, Hits, T>), grid, block_threads, 0, stream, a,
              target);
  else
    CO_LAUNCH((softmax_cross_entropy<block_threads, Hits, T>), grid, block_threads, 0, stream, a,
              target);
}

template <typename T> static cudaError_t launch_softmax_cross_entropy(const co_cuda_call *call) {
  LossRows<T> a = loss_rows<T>(call);
  const int32_t *target = static_cast<const int32_t *>(call->in[1]);
  a.hits = static_cast<double *>(call->out[3]);
  a.accumulate_hits = co_cuda_accumulates(call->desc, 3);
  if (a.hits)
    launch_cross_entropy<true>(a, target, call->stream);
  else
    launch_cross_entropy<false>(a, target, call->stream);
  return cudaGetLastError();
}

static Pointwise pointwise_of(const co_op_attr *attr) {
  Pointwise p = {};
  p.kind = attr->pointwise;
  p.delta = static_cast<float>(attr->delta);
  p.gamma = static_cast<float>(attr->gamma);
  p.positive_weight = static_cast<float>(attr->positive_weight);
  p.smoothing = static_cast<float>(attr->label_smoothing);
  for (int i = 0; i < CO_MAX_QUANTILES; i++)
    p.levels[i] = static_cast<float>(attr->levels[i]);
  return p;
}

template <typename T> static cudaError_t launch_pointwise_loss(const co_cuda_call *call) {
  LossRows<T> a = loss_rows<T>(call);
  Pointwise p = pointwise_of(&call->desc->attr);
  const float *target = static_cast<const float *>(call->in[1]);
  int64_t targets = co_cuda_row(&call->desc->in[1].shape);
  unsigned grid = static_cast<unsigned>(loss_blocks(a.rows, a.row));
  int width = width_for(a.row);
  if (width == 1)
    CO_LAUNCH((pointwise_loss<1, T>), grid, block_threads, 0, call->stream, a, target, targets, p);
  else if (width == warp_lanes)
    CO_LAUNCH((pointwise_loss<warp_lanes, T>), grid, block_threads, 0, call->stream, a, target,
              targets, p);
  else
    CO_LAUNCH((pointwise_loss<block_threads, T>), grid, block_threads, 0, call->stream, a, target,
              targets, p);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_arg_max(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const int64_t *x = desc->in[CO_ARG_MAX_x].shape.dim;
  bool some = co_cuda_has_in(desc, CO_ARG_MAX_allowed);
  CO_LAUNCH(arg_max<T>, static_cast<unsigned>(hits_blocks(x[0])), block_threads, 0, call->stream,
            static_cast<int32_t *>(call->out[CO_ARG_MAX_y]),
            static_cast<const T *>(call->in[CO_ARG_MAX_x]),
            some ? static_cast<const uint8_t *>(call->in[CO_ARG_MAX_allowed]) : nullptr, x[0],
            x[1]);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_categorical_hits(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t rows = desc->in[0].shape.dim[0], K = desc->in[0].shape.dim[1];
  int64_t blocks = hits_blocks(rows);
  double *sums = static_cast<double *>(call->out[0]);
  double *partials = static_cast<double *>(call->workspace);
  CO_LAUNCH(categorical_hits<T>, static_cast<unsigned>(blocks), block_threads, 0, call->stream,
            sums, partials, static_cast<const T *>(call->in[0]),
            static_cast<const int32_t *>(call->in[1]), static_cast<const float *>(call->in[2]),
            rows, K, co_cuda_accumulates(desc, 0), call->tickets);
  return cudaGetLastError();
}

} // namespace co

extern "C" size_t co_cuda_loss_scratch(const co_op_desc *desc) {
  return 3 * static_cast<size_t>(co::most_loss_blocks) * sizeof(double) *
         (desc->in[0].shape.dim[0] > 1 ? 1 : 0);
}

extern "C" cudaError_t co_cuda_softmax(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_softmax<float, co::bf16>(call, -1)
                                        : co::launch_softmax<float, float>(call, -1);
}
extern "C" cudaError_t co_cuda_masked_softmax(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_MASKED_SOFTMAX_x])
             ? co::launch_softmax<co::bf16, co::bf16>(call, CO_MASKED_SOFTMAX_lengths)
             : co::launch_softmax<float, float>(call, CO_MASKED_SOFTMAX_lengths);
}
extern "C" cudaError_t co_cuda_masked_softmax_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_MASKED_SOFTMAX_BACKWARD_y])
             ? co::launch_softmax_gradient<co::bf16>(call)
             : co::launch_softmax_gradient<float>(call);
}

extern "C" cudaError_t co_cuda_softmax_cross_entropy(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_softmax_cross_entropy<co::bf16>(call)
                                        : co::launch_softmax_cross_entropy<float>(call);
}

extern "C" cudaError_t co_cuda_pointwise_loss(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_pointwise_loss<co::bf16>(call)
                                        : co::launch_pointwise_loss<float>(call);
}

extern "C" cudaError_t co_cuda_row_means(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t rows = desc->in[0].shape.dim[0];
  CO_LAUNCH(co::row_means, static_cast<unsigned>(co::hits_blocks(rows)), co::block_threads, 0,
            call->stream, static_cast<double *>(call->out[0]),
            static_cast<double *>(call->workspace), static_cast<const float *>(call->in[0]),
            static_cast<const float *>(call->in[1]), rows, co_cuda_row(&desc->in[0].shape),
            co_cuda_accumulates(desc, 0), call->tickets);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_categorical_hits(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_categorical_hits<co::bf16>(call)
                                        : co::launch_categorical_hits<float>(call);
}

extern "C" cudaError_t co_cuda_arg_max(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_ARG_MAX_x]) ? co::launch_arg_max<co::bf16>(call)
                                                   : co::launch_arg_max<float>(call);
}
