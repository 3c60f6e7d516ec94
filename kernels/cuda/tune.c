// SPDX-License-Identifier: Apache-2.0
// The choice among a library's ways to compute an operation: the one that was chosen before, else the
// fastest of a few on this device, as long as there is time for it. An operation's own queries tell of
// its ways, one candidate after the other.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cuda/cuda.h"

enum { ROUNDS = 5, TEXT = 512, FILL = 16 << 10 };

// ---- what is chosen for ------------------------------------------------------------------------

static size_t add_operand(const co_tensor_desc *operand, char *out, size_t size) {
  size_t length = (size_t)snprintf(out, size, " %s", operand->dtype == CO_BF16 ? "bf16" : "f32");
  for (int i = 0; i < operand->shape.rank && length < size; i++)
    length += (size_t)snprintf(out + length, size - length, "%c%lld", i ? 'x' : ' ',
                               (long long)operand->shape.dim[i]);
  return length;
}

// All that makes it another problem to a library; the layouts follow from it.
static void describe(const co_cuda *cuda, const co_op_desc *desc, char out[TEXT]) {
  const co_op_attr *a = &desc->attr;
  size_t length = (size_t)snprintf(out, TEXT, "%s", cuda->host.op_name(desc->op));
  for (int i = 0; i < CO_OP_MAX_OPERANDS && length < TEXT; i++)
    if (co_cuda_has_in(desc, i)) length += add_operand(&desc->in[i], out + length, TEXT - length);
  if (length < TEXT) length += (size_t)snprintf(out + length, TEXT - length, " >");
  for (int i = 0; i < CO_OP_MAX_OPERANDS && length < TEXT; i++)
    if (co_cuda_has_out(desc, i)) length += add_operand(&desc->out[i], out + length, TEXT - length);
  if (a->stride[0] && length < TEXT)
    length += (size_t)snprintf(
        out + length, TEXT - length, " stride %lldx%lld pad %lld+%lldx%lld+%lld dilation %lldx%lld",
        (long long)a->stride[0], (long long)a->stride[1], (long long)a->pad_begin[0],
        (long long)a->pad_end[0], (long long)a->pad_begin[1], (long long)a->pad_end[1],
        (long long)a->dilation[0], (long long)a->dilation[1]);
  if (length < TEXT)
    (void)snprintf(out + length, TEXT - length, "%s%s%s",
                   a->activation == CO_ACTIVATION_NONE ? "" : " relu",
                   desc->accumulate ? " added" : "", cuda->strict_f32 ? " strict" : "");
}

// ---- times -------------------------------------------------------------------------------------

typedef struct bench {
  co_cuda *cuda;
  char *memory, *workspace;
  void *in[CO_OP_MAX_OPERANDS], *out[CO_OP_MAX_OPERANDS];
  cudaEvent_t begin, end;
} bench;

// Numbers from 1/128 to 2 of both signs, as bf16 and as f32: a device is faster on zeros than on data.
static void draw(uint16_t *out, size_t count) {
  uint32_t state = 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    out[i] = (uint16_t)(0x3C00u | (state >> 16 & 0x83FFu));
  }
}

// The memory of all operands, one behind the other; NULL only measures.
static size_t place(bench *b, const co_op_desc *desc, char *memory) {
  size_t bytes = 0;
  for (int side = 0; side < 2; side++)
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
      if (!(side ? co_cuda_has_out(desc, i) : co_cuda_has_in(desc, i))) continue;
      if (memory) (side ? b->out : b->in)[i] = memory + bytes;
      bytes += b->cuda->api.layout_bytes(&b->cuda->base, side ? &desc->out[i] : &desc->in[i]);
      bytes = (bytes + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
    }
  return bytes;
}

static co_status fill(const bench *b, size_t bytes) {
  uint16_t block[FILL / sizeof(uint16_t)];
  draw(block, sizeof block / sizeof *block);
  for (size_t at = 0; at < bytes; at += FILL)
    CO_RETURN_IF_FAILED(b->cuda->api.upload(&b->cuda->base, b->memory + at, block,
                                            bytes - at < FILL ? bytes - at : FILL));
  return CO_OK;
}

static void close_bench(bench *b) {
  if (b->begin) (void)cudaEventDestroy(b->begin);
  if (b->end) (void)cudaEventDestroy(b->end);
  if (b->workspace) (void)cudaFree(b->workspace);
  if (b->memory) (void)cudaFree(b->memory);
}

// *room is false where the device has no memory for it.
static co_status open_bench(bench *b, size_t bytes, size_t workspace, bool *room) {
  co_cuda *cuda = b->cuda;
  *room = cudaMalloc((void **)&b->memory, bytes) == cudaSuccess &&
          cudaMalloc((void **)&b->workspace, workspace > 0 ? workspace : 1) == cudaSuccess;
  if (!*room) {
    (void)cudaGetLastError();
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaEventCreate(&b->begin), "create an event"));
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaEventCreate(&b->end), "create an event"));
  return fill(b, bytes);
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

// The median of a few runs after one that warms up; infinite where the library does not run it.
static co_status time_one(bench *b, co_prepared *prepared, float *microseconds) {
  co_cuda *cuda = b->cuda;
  const co_cuda_call call = {&prepared->desc, b->in,        b->out,
                             b->workspace,    cuda->stream, cuda->tickets};
  float rounds[ROUNDS];
  *microseconds = INFINITY;
  if (prepared->run(cuda, prepared, &call) != CO_OK) return CO_OK;
  for (int i = 0; i < ROUNDS; i++) {
    CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaEventRecord(b->begin, cuda->stream), "time"));
    if (prepared->run(cuda, prepared, &call) != CO_OK) return CO_OK;
    CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaEventRecord(b->end, cuda->stream), "time"));
    CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaEventSynchronize(b->end), "time"));
    CO_RETURN_IF_FAILED(
        co_cuda_check(cuda, cudaEventElapsedTime(&rounds[i], b->begin, b->end), "time"));
  }
  qsort(rounds, ROUNDS, sizeof *rounds, by_size);
  *microseconds = 1000 * rounds[ROUNDS / 2];
  return CO_OK;
}

// ---- candidates --------------------------------------------------------------------------------

typedef struct candidate {
  co_cuda_answer answer;
  co_prepared *prepared; // NULL = there is none
} candidate;

static co_status plan_candidate(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                                int number, candidate *out) {
  memset(out, 0, sizeof *out);
  out->answer.candidate = number;
  out->answer.choice.implementation = impl->name;
  co_status status = impl->plan(cuda, impl, desc, &out->answer, &out->prepared);
  return status == CO_ERR_DEVICE && !out->answer.failed ? CO_OK : status;
}

static void take(co_cuda *cuda, candidate *from, co_cuda_answer *answer, co_prepared **prepared) {
  co_cuda_release(cuda, *prepared);
  *answer = from->answer;
  *prepared = from->prepared;
  from->prepared = NULL;
}

// With the layouts that an answer has chosen.
static void offer(const co_op_desc *desc, const co_op_choice *choice, co_op_desc *out) {
  *out = *desc;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    out->in[i].layout = choice->in[i];
    out->out[i].layout = choice->out[i];
  }
}

// Takes the fastest; *best stays 0 where none could be timed.
static co_status time_candidates(co_cuda *cuda, const co_op_desc *desc,
                                 candidate others[CO_CUDA_CANDIDATES], co_cuda_answer *answer,
                                 co_prepared **prepared, float *best) {
  size_t workspace = 0, bytes = 0;
  bench b = {.cuda = cuda};
  for (int i = 0; i < CO_CUDA_CANDIDATES; i++) {
    co_prepared *one = i ? others[i].prepared : *prepared;
    const co_op_choice *choice = i ? &others[i].answer.choice : &answer->choice;
    if (!one) continue;
    offer(desc, choice, &one->desc);
    const size_t needed = place(&b, &one->desc, NULL);
    if (needed > bytes) bytes = needed;
    if (choice->workspace > workspace) workspace = choice->workspace;
  }
  bool room;
  co_status status = open_bench(&b, bytes, workspace, &room);
  float least = INFINITY;
  int fastest = 0;
  for (int i = 0; i < CO_CUDA_CANDIDATES && room && status == CO_OK; i++) {
    co_prepared *one = i ? others[i].prepared : *prepared;
    float microseconds = INFINITY;
    if (!one) continue;
    (void)place(&b, &one->desc, b.memory);
    status = time_one(&b, one, &microseconds);
    if (status == CO_OK)
      cuda->host.log(cuda->base.ctx, CO_LOG_DEBUG, "autotune", "op=%s way=\"%s\" microseconds=%.1f",
                     cuda->host.op_name(desc->op), i ? others[i].answer.way : answer->way,
                     (double)microseconds);
    if (!(microseconds < least)) continue;
    least = microseconds;
    fastest = i;
  }
  close_bench(&b);
  if (fastest && status == CO_OK) take(cuda, &others[fastest], answer, prepared);
  *best = isfinite(least) ? least : 0;
  return status;
}

static double now(void) {
  struct timespec time;
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static co_status tune(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                      co_cuda_answer *answer, co_prepared **prepared, float *best) {
  candidate others[CO_CUDA_CANDIDATES];
  memset(others, 0, sizeof others);
  const double begun = now();
  co_status status = CO_OK;
  int count = 1;
  for (int i = 1; i < CO_CUDA_CANDIDATES && status == CO_OK; i++) {
    status = plan_candidate(cuda, impl, desc, i, &others[i]);
    count += others[i].prepared != NULL;
  }
  if (status == CO_OK && count > 1)
    status = time_candidates(cuda, desc, others, answer, prepared, best);
  for (int i = 1; i < CO_CUDA_CANDIDATES; i++)
    if (others[i].prepared) co_cuda_release(cuda, others[i].prepared);
  cuda->tuned_seconds += now() - begun;
  return status;
}

// ---- choice ------------------------------------------------------------------------------------

// The way that was chosen before, if the library still offers it; *found says so.
static co_status restore(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                         const char *way, co_cuda_answer *answer, co_prepared **prepared,
                         bool *found) {
  candidate other = {.prepared = NULL};
  *found = strcmp(way, answer->way) == 0;
  long number = strtol(way, NULL, 10);
  if (*found || number < 1 || number >= CO_CUDA_CANDIDATES) return CO_OK;
  CO_RETURN_IF_FAILED(plan_candidate(cuda, impl, desc, (int)number, &other));
  *found = other.prepared && strcmp(way, other.answer.way) == 0;
  if (*found) take(cuda, &other, answer, prepared);
  if (other.prepared) co_cuda_release(cuda, other.prepared);
  return CO_OK;
}

static co_status gone(const co_cuda *cuda, const char *operation, const char *way,
                      const char *library) {
  co_status status = cuda->host.fail(
      CO_ERR_DEVICE, "%s: %s: the way that the run has chosen (%s) is no longer offered by %s",
      cuda->name, operation, way, library);
  cuda->host.hint(
      "resume with the libraries that it was begun with, or choose anew with --autotune "
      "again: its bytes may then differ from those of a run never stopped");
  return status;
}

static void tell(co_cuda_answer *answer, co_prepared *prepared, const char *way,
                 co_op_chosen chosen) {
  (void)snprintf(prepared->way, sizeof prepared->way, "%s", way);
  answer->choice.way = prepared->way;
  answer->choice.chosen = chosen;
}

co_status co_cuda_tune(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                       co_cuda_answer *answer, co_prepared **prepared) {
  const co_op_ways *tuning = cuda->tuning;
  if (!tuning || !impl->library) return CO_OK;
  char operation[TEXT], library[64], machine[256], chosen_way[CO_CUDA_WAY] = "";
  const char *way;
  co_op_chosen chosen = CO_CHOSEN_HEURISTIC;
  float best = 0;
  describe(cuda, desc, operation);
  if (cuda->planning) { // what is known of it, whichever machine it was chosen on
    CO_RETURN_IF_FAILED(tuning->find(tuning->user, NULL, operation, &way, &chosen));
    if (!way) return CO_OK;
    (void)snprintf(chosen_way, sizeof chosen_way, "%s", way);
    bool same; // those of a library that a device chooses among cannot be told apart here
    CO_RETURN_IF_FAILED(restore(cuda, impl, desc, chosen_way, answer, prepared, &same));
    tell(answer, *prepared, chosen_way, chosen);
    return CO_OK;
  }
  impl->library(cuda, library, sizeof library);
  (void)snprintf(machine, sizeof machine, "%s, %s", cuda->machine, library);
  bool found = false;
  co_status status = tuning->find(tuning->user, machine, operation, &way, &chosen);
  if (status == CO_OK && way) {
    (void)snprintf(chosen_way, sizeof chosen_way, "%s", way);
    status = restore(cuda, impl, desc, chosen_way, answer, prepared, &found);
    if (status == CO_OK && !found && chosen == CO_CHOSEN_PINNED)
      status = gone(cuda, operation, chosen_way, library);
  }
  if (status == CO_OK && !found) {
    if (cuda->tuned_seconds < tuning->seconds && !cuda->capturing)
      status = tune(cuda, impl, desc, answer, prepared, &best);
    chosen = best > 0 ? CO_CHOSEN_TUNED : CO_CHOSEN_HEURISTIC;
  }
  if (status == CO_OK)
    status = tuning->keep(tuning->user, machine, operation, answer->way, (double)best, chosen);
  if (status != CO_OK) {
    co_cuda_release(cuda, *prepared);
    *prepared = NULL;
    return status;
  }
  tell(answer, *prepared, answer->way, chosen);
  return CO_OK;
}
