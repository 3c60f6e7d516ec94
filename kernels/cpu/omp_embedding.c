// SPDX-License-Identifier: Apache-2.0
// Rows of a table by index, and the gradient of the table: positions are sorted by index first, each
// row of the gradient is summed by one thread, in the order of the positions.
#include <math.h>

#include "kernels/cpu/cpu.h"

static void pick_rows(const co_op_desc *desc, const int32_t *index, const float *table, float *y,
                      int64_t begin, int64_t end) {
  const int64_t V = desc->in[1].shape.dim[0], D = desc->in[1].shape.dim[1];
  for (int64_t i = begin; i < end; i++) {
    if (index[i] >= 0 && index[i] < V)
      memcpy(y + i * D, table + index[i] * D, (size_t)D * sizeof *y);
    else
      for (int64_t d = 0; d < D; d++)
        y[i * D + d] = NAN;
  }
}

// A model has many small tables: for those even a region of one thread is much.
static co_status run_embedding(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t count = co_shape_count(&desc->in[0].shape);
  if (count * desc->in[1].shape.dim[1] <= CO_CPU_SERIAL) {
    pick_rows(desc, in[0], in[1], out[0], 0, count);
    return CO_OK;
  }
#pragma omp parallel
  {
    int64_t begin, end;
    co_cpu_share(count, 1, &begin, &end);
    pick_rows(desc, in[0], in[1], out[0], begin, end);
  }
  return CO_OK;
}

// ---- backward ----------------------------------------------------------------------------------

// The positions in the order of their indices; those of index v end at ends[v] and begin where those
// of v - 1 end.
typedef struct sorted {
  const int32_t *ends, *order;
} sorted;

static int64_t begin_of(const sorted *s, int64_t v) {
  return v > 0 ? s->ends[v - 1] : 0;
}

// Sorts by counting, so that equal indices keep the order of their positions.
static sorted sort_positions(const int32_t *index, int64_t count, int64_t V, int32_t *workspace) {
  int32_t *ends = workspace, *order = workspace + V + 1; // ends begin as begins
  memset(ends, 0, (size_t)(V + 1) * sizeof *ends);
  for (int64_t i = 0; i < count; i++)
    if (index[i] >= 0 && index[i] < V) ends[index[i] + 1]++;
  for (int64_t v = 0; v < V; v++)
    ends[v + 1] += ends[v];
  for (int64_t i = 0; i < count; i++)
    if (index[i] >= 0 && index[i] < V) order[ends[index[i]]++] = (int32_t)i;
  return (sorted){ends, order};
}

// The first row in front of which there is at least `work`: a row counts one, a position another.
static int64_t row_at(const sorted *s, int64_t V, int64_t work) {
  int64_t low = 0, high = V;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (begin_of(s, middle) + middle < work)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// clang-format off
CO_CPU_KERNEL(add_rows,
              (const float *dy, const int32_t *order, int64_t count, float *row, int64_t D),
              (dy, order, count, row, D)) {
  for (int64_t i = 0; i < count; i++) {
    const float *from = dy + order[i] * D;
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
      row[d] += from[d];
  }
}
// clang-format on

static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  return (size_t)(desc->out[0].shape.dim[0] + 1 + co_shape_count(&desc->in[0].shape)) *
         sizeof(int32_t);
}

// Rows [first, last) of the gradient.
static void sum_rows(const co_cpu *cpu, const co_op_desc *desc, const sorted *s, const float *dy,
                     float *dtable, int64_t first, int64_t last) {
  const int64_t D = desc->out[0].shape.dim[1];
  if (!co_cpu_accumulates(desc, 0) && last > first)
    memset(dtable + first * D, 0, (size_t)((last - first) * D) * sizeof *dtable);
  for (int64_t v = first; v < last; v++) {
    const int64_t begin = begin_of(s, v);
    if (s->ends[v] > begin)
      add_rows[cpu->isa](dy, s->order + begin, s->ends[v] - begin, dtable + v * D, D);
  }
}

static co_status run_embedding_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t count = co_shape_count(&desc->in[0].shape);
  const int64_t V = desc->out[0].shape.dim[0], D = desc->out[0].shape.dim[1];
  const sorted s = sort_positions(in[0], count, V, workspace);
  const int64_t work = begin_of(&s, V) + V;
  if ((count + V) * D <= CO_CPU_SERIAL) {
    sum_rows(cpu, desc, &s, in[1], out[0], 0, V);
    return CO_OK;
  }
#pragma omp parallel
  {
    const int64_t parts = co_cpu_parts(), part = co_cpu_part();
    sum_rows(cpu, desc, &s, in[1], out[0], row_at(&s, V, work * part / parts),
             row_at(&s, V, work * (part + 1) / parts));
  }
  return CO_OK;
}

static bool is_counted(const co_op_desc *desc, co_cpu_answer *answer) {
  if (co_shape_count(&desc->in[0].shape) < INT32_MAX && desc->out[0].shape.dim[0] < INT32_MAX)
    return true;
  (void)co_cpu_refuse(answer, "more than 2^31 - 2 positions or rows");
  return false;
}

const co_cpu_impl co_cpu_embedding[] = {
    {.op = CO_OP_EMBEDDING,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_embedding,
     .f32_in = 2,
     .f32_out = 1},
    {.op = CO_OP_EMBEDDING_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_embedding_backward,
     .workspace = backward_workspace,
     .accepts = is_counted,
     .f32_in = 2,
     .f32_out = 1,
     .accumulate = 1},
    {.name = NULL},
};
