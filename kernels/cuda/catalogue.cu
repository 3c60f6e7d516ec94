// SPDX-License-Identifier: Apache-2.0
// Softmax cross-entropy over classes whose logits come in tiles: what is known of each row is kept from
// one tile to the next (Milakov & Gimelshein 2018), then tiles of logits become tiles of slopes. Classes of
// a row's own events may be copied into its logits.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/rows.cuh"

namespace co {

constexpr int64_t most_statistics_blocks = 512;

struct ClassRow {
  double logits;           // their sum, where labels are smoothed
  float largest, sum, own; // of the logits; of exp(logit - largest); the target's logit
  int32_t best;            // the first of the largest
};

// Of an event whose class is copied: that class's logit without events and with them, then the slope of
// the former.
struct CopiedClass {
  float x, y, slope;
};

struct ClassTile {
  const float *weight, *score; // score, codes and lengths are NULL where no events are copied
  const int32_t *target, *codes, *lengths;
  const co_step *step;
  float *loss, *dscore;          // dscore may be NULL
  double *sum, *hits, *partials; // hits may be NULL
  unsigned *ticket;
  int64_t rows, classes, first, count; // all classes; the tile's
  int64_t events;                      // of a row
  int output;                          // of the model
  float smoothing, shift;              // logarithm of the factor of events
  bool accumulate_sum, accumulate_hits, accumulate_score;
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

__device__ __forceinline__ int64_t length_of(const ClassTile &a, int64_t n) {
  int64_t length = a.events ? a.lengths[n] : 0;
  return length < 0 ? 0 : length < a.events ? length : a.events;
}
// The class of event t of row n, -1 where it is of none.
__device__ __forceinline__ int64_t class_of(const ClassTile &a, int64_t n, int64_t t) {
  int64_t code = a.codes[n * a.events + t];
  return code > 0 && code <= a.classes ? code - 1 : -1;
}

// Of the classes of a row's events those of the tile.
template <int Width>
__device__ __forceinline__ void read_copied(CopiedClass *copies, const float *z, const ClassTile &a,
                                            int64_t n, int lane) {
  for (int64_t t = lane; t < length_of(a, n); t += Width) {
    int64_t k = class_of(a, n, t) - a.first;
    if (k >= 0 && k < a.count) copies[t].x = z[k];
  }
}

// The logit of the class of event t, together with all events of that class; whether it is their first.
__device__ __forceinline__ float mix(const CopiedClass &copied, const ClassTile &a, int64_t n,
                                     int64_t t, bool *first) {
  const int32_t *codes = a.codes + n * a.events;
  const float *score = a.score + n * a.events;
  int64_t length = length_of(a, n);
  float most = copied.x, sum = 0;
  *first = true;
  for (int64_t i = 0; i < length; i++) {
    if (codes[i] != codes[t]) continue;
    most = fmaxf(most, score[i] + a.shift);
    if (i < t) *first = false;
  }
  float from = origin(most);
  for (int64_t i = 0; i < length; i++)
    if (codes[i] == codes[t]) sum += expf(score[i] + a.shift - from);
  return from + logf(sum + expf(copied.x - from));
}

// What is known of a row by its tiles becomes what it is with events.
template <int Width>
__device__ __forceinline__ void add_events(ClassRow *row, CopiedClass *copies, const ClassTile &a,
                                           int64_t n, int lane) {
  float largest = -INFINITY, own = -INFINITY, sum = 0, logits = 0;
  for (int64_t t = lane; t < length_of(a, n); t += Width) {
    int64_t k = class_of(a, n, t);
    if (k < 0) continue;
    bool first;
    float y = mix(copies[t], a, n, t, &first);
    copies[t].y = y;
    largest = fmaxf(largest, y);
    if (first) logits += y - copies[t].x;
    if (k == a.target[n]) own = y;
  }
  largest = fmaxf(row->largest, Group<Width>::largest(largest));
  own = Group<Width>::largest(own);
  if (own > row->own) row->own = own;
  if (a.smoothing > 0) row->logits += static_cast<double>(Group<Width>::sum(logits));
  float from = origin(largest);
  long long best = row->largest == largest ? row->best : a.classes;
  for (int64_t t = lane; t < length_of(a, n); t += Width) {
    int64_t k = class_of(a, n, t);
    if (k < 0) continue;
    sum += expf(a.score[n * a.events + t] + a.shift - from);
    if (copies[t].y == largest && k < best) best = k;
  }
  row->best = static_cast<int32_t>(Group<Width>::least(best));
  row->sum = row->sum * expf(row->largest - from) + Group<Width>::sum(sum);
  row->largest = largest;
}

// The slopes of the logits with events are shared out among what made them.
template <int Width>
__device__ __forceinline__ void share_slopes(const ClassRow &row, CopiedClass *copies,
                                             const ClassTile &a, int64_t n, int lane) {
  float even = a.smoothing / static_cast<float>(a.classes);
  float factor = static_cast<float>(static_cast<double>(a.weight[n]) * a.step->inv_norm[a.output]);
  int64_t length = a.weight[n] == 0 ? 0 : length_of(a, n);
  for (int64_t t = lane; t < a.events; t += Width) {
    int64_t at = n * a.events + t, k = class_of(a, n, t);
    float slope = 0;
    if (t < length && k >= 0) {
      CopiedClass copied = copies[t];
      slope = factor * (expf(copied.y - row.largest) / row.sum -
                        (k == a.target[n] ? 1.0f - a.smoothing : 0.0f) - even);
      // Not of two of minus infinity.
      copies[t].slope = copied.x == copied.y ? slope : slope * expf(copied.x - copied.y);
      slope *= expf(a.score[at] + a.shift - copied.y);
    }
    if (a.dscore) put(&a.dscore[at], slope, a.accumulate_score);
  }
}

template <int Width>
__global__ void catalogue_statistics(ClassTile a, const float *z, ClassRow *rows,
                                     CopiedClass *copies) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  bool last = a.first + a.count == a.classes;
  double totals[3] = {}; // the loss, the weight of hits, all weight
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    float weight = a.weight[n];
    CopiedClass *copied = copies + n * a.events;
    if (weight == 0) { // missing: neither target nor prediction counts, not even a NaN
      if (last && lane == 0) a.loss[n] = 0;
      if (last) share_slopes<Width>({}, copied, a, n, lane);
      continue;
    }
    ClassRow row = {0, -INFINITY, 0, NAN, 0}; // of a wild target the loss is NaN
    if (a.first > 0) row = rows[n];
    add_classes<Width>(&row, z + n * a.count, a, lane);
    int64_t wanted = a.target[n], own = wanted - a.first;
    if (own >= 0 && own < a.count) row.own = z[n * a.count + own];
    read_copied<Width>(copied, z + n * a.count, a, n, lane);
    if (last && a.events) {
      add_events<Width>(&row, copied, a, n, lane);
      share_slopes<Width>(row, copied, a, n, lane);
    }
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

template <int Width>
__global__ void catalogue_slopes(ClassTile a, float *z, const ClassRow *rows,
                                 const CopiedClass *copies) {
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
    if (a.events == 0) continue;
    Group<Width>::wait(); // for the slopes that are replaced
    for (int64_t t = lane; t < length_of(a, n); t += Width) {
      int64_t k = class_of(a, n, t) - a.first;
      if (k >= 0 && k < a.count) slopes[k] = copies[n * a.events + t].slope;
    }
  }
}

// Between bf16 and float, rows of `columns` that lie `stride` apart in bf16.
__global__ void widen_rows(float *to, const bf16 *from, int64_t rows, int64_t columns,
                           int64_t stride) {
  for (int64_t i = grid_index(); i < rows * columns; i += grid_size())
    to[i] = static_cast<float>(from[i / columns * stride + i % columns]);
}
__global__ void round_all(bf16 *to, const float *from, int64_t count, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size())
    put(&to[i], from[i], accumulate);
}

static int64_t events_of(const co_op_desc *desc) {
  return co_cuda_has_in(desc, CO_LINEAR_CROSS_ENTROPY_score)
             ? desc->in[CO_LINEAR_CROSS_ENTROPY_score].shape.dim[1]
             : 0;
}

static ClassTile class_tile(const co_cuda_call *call, int64_t first, int64_t count,
                            double *partials) {
  const co_op_desc *desc = call->desc;
  const int64_t *w = desc->in[CO_LINEAR_CROSS_ENTROPY_w].shape.dim;
  return {static_cast<const float *>(call->in[CO_LINEAR_CROSS_ENTROPY_weight]),
          static_cast<const float *>(call->in[CO_LINEAR_CROSS_ENTROPY_score]),
          static_cast<const int32_t *>(call->in[CO_LINEAR_CROSS_ENTROPY_target]),
          static_cast<const int32_t *>(call->in[CO_LINEAR_CROSS_ENTROPY_codes]),
          static_cast<const int32_t *>(call->in[CO_LINEAR_CROSS_ENTROPY_lengths]),
          static_cast<const co_step *>(call->in[CO_LINEAR_CROSS_ENTROPY_step]),
          static_cast<float *>(call->out[CO_LINEAR_CROSS_ENTROPY_loss]),
          static_cast<float *>(call->out[CO_LINEAR_CROSS_ENTROPY_dscore]),
          static_cast<double *>(call->out[CO_LINEAR_CROSS_ENTROPY_sum]),
          static_cast<double *>(call->out[CO_LINEAR_CROSS_ENTROPY_hits]),
          partials,
          call->tickets,
          desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim[0],
          w[desc->attr.transposed ? 0 : 1],
          first,
          count,
          events_of(desc),
          desc->attr.output,
          static_cast<float>(desc->attr.label_smoothing),
          events_of(desc) ? static_cast<float>(log(desc->attr.factor)) : 0,
          co_cuda_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_sum),
          co_cuda_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_hits),
          co_cuda_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_dscore)};
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

// Behind the partial sums what is known of each row, behind that what is of each event.
static ClassRow *rows_of(void *scratch) {
  return reinterpret_cast<ClassRow *>(static_cast<char *>(scratch) + partials_bytes);
}
static CopiedClass *copies_of(void *scratch, int64_t rows) {
  return reinterpret_cast<CopiedClass *>(rows_of(scratch) + rows);
}

} // namespace co

extern "C" size_t co_cuda_catalogue_scratch(const co_op_desc *desc) {
  size_t rows = static_cast<size_t>(desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim[0]);
  size_t events = static_cast<size_t>(co::events_of(desc));
  return co::partials_bytes + rows * (sizeof(co::ClassRow) + events * sizeof(co::CopiedClass));
}

extern "C" cudaError_t co_cuda_catalogue_statistics(const float *z, int64_t first, int64_t count,
                                                    void *scratch, const co_cuda_call *call) {
  using namespace co;
  ClassTile a = class_tile(call, first, count, static_cast<double *>(scratch));
  ClassRow *rows = rows_of(scratch);
  CopiedClass *copies = copies_of(scratch, a.rows);
  unsigned blocks = row_blocks(a, most_statistics_blocks);
  if (is_long(a))
    CO_LAUNCH(catalogue_statistics<block_threads>, blocks, block_threads, 0, call->stream, a, z,
              rows, copies);
  else
    CO_LAUNCH(catalogue_statistics<warp_lanes>, blocks, block_threads, 0, call->stream, a, z, rows,
              copies);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_catalogue_slopes(float *z, int64_t first, int64_t count,
                                                void *scratch, const co_cuda_call *call) {
  using namespace co;
  ClassTile a = class_tile(call, first, count, nullptr);
  const ClassRow *rows = rows_of(scratch);
  const CopiedClass *copies = copies_of(scratch, a.rows);
  unsigned blocks = row_blocks(a, most_blocks);
  if (is_long(a))
    CO_LAUNCH(catalogue_slopes<block_threads>, blocks, block_threads, 0, call->stream, a, z, rows,
              copies);
  else
    CO_LAUNCH(catalogue_slopes<warp_lanes>, blocks, block_threads, 0, call->stream, a, z, rows,
              copies);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_widen_rows(float *y, const void *x, int64_t rows, int64_t columns,
                                          int64_t stride, cudaStream_t stream) {
  CO_LAUNCH(co::widen_rows, co::blocks_for(rows * columns), co::block_threads, 0, stream, y,
            static_cast<const co::bf16 *>(x), rows, columns, stride);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_round(void *y, const float *x, int64_t count, bool accumulate,
                                     cudaStream_t stream) {
  CO_LAUNCH(co::round_all, co::blocks_for(count), co::block_threads, 0, stream,
            static_cast<co::bf16 *>(y), x, count, accumulate);
  return cudaGetLastError();
}
