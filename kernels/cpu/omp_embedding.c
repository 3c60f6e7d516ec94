// SPDX-License-Identifier: Apache-2.0
// Rows of tables by index, and gradients of tables: positions are sorted by index first, each row of
// a gradient is summed by one thread, in the order of the positions.
#include <math.h>

#include "kernels/cpu/cpu.h"

enum { MOST_TABLES = CO_OP_MAX_OPERANDS / 2 }; // each has two operands, the first at 2 t

static void pick_rows(const co_shape *shape, const int32_t *index, const float *table, float *y,
                      int64_t begin, int64_t end) {
  const int64_t V = shape->dim[0], D = shape->dim[1];
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
  for (int t = 0; t < MOST_TABLES; t++) {
    if (!co_cpu_has_out(&prepared->desc, t)) continue;
    const co_tensor_desc *operands = &prepared->desc.in[2 * t];
    const int64_t count = co_shape_count(&operands[0].shape);
    if (count * operands[1].shape.dim[1] <= CO_CPU_SERIAL) {
      pick_rows(&operands[1].shape, in[2 * t], in[2 * t + 1], out[t], 0, count);
      continue;
    }
#pragma omp parallel
    {
      int64_t begin, end;
      co_cpu_share(count, 1, &begin, &end);
      pick_rows(&operands[1].shape, in[2 * t], in[2 * t + 1], out[t], begin, end);
    }
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

// One table after the other uses it.
static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  int64_t most = 0;
  for (int t = 0; t < MOST_TABLES; t++) {
    if (!co_cpu_has_out(desc, t)) continue;
    const int64_t count = desc->out[t].shape.dim[0] + 1 + co_shape_count(&desc->in[2 * t].shape);
    if (count > most) most = count;
  }
  return (size_t)most * sizeof(int32_t);
}

// Rows [first, last) of the gradient of table t.
static void sum_rows(const co_cpu *cpu, const co_op_desc *desc, int t, const sorted *s,
                     const float *dy, float *dtable, int64_t first, int64_t last) {
  const int64_t D = desc->out[t].shape.dim[1];
  if (!co_cpu_accumulates(desc, t) && last > first)
    memset(dtable + first * D, 0, (size_t)((last - first) * D) * sizeof *dtable);
  for (int64_t v = first; v < last; v++) {
    const int64_t begin = begin_of(s, v);
    if (s->ends[v] > begin)
      add_rows[cpu->isa](dy, s->order + begin, s->ends[v] - begin, dtable + v * D, D);
  }
}

static void sum_table(const co_cpu *cpu, const co_op_desc *desc, int t, const int32_t *index,
                      const float *dy, float *dtable, int32_t *workspace) {
  const int64_t count = co_shape_count(&desc->in[2 * t].shape);
  const int64_t V = desc->out[t].shape.dim[0], D = desc->out[t].shape.dim[1];
  const sorted s = sort_positions(index, count, V, workspace);
  const int64_t work = begin_of(&s, V) + V;
  if ((count + V) * D <= CO_CPU_SERIAL) {
    sum_rows(cpu, desc, t, &s, dy, dtable, 0, V);
    return;
  }
#pragma omp parallel
  {
    const int64_t parts = co_cpu_parts(), part = co_cpu_part();
    sum_rows(cpu, desc, t, &s, dy, dtable, row_at(&s, V, work * part / parts),
             row_at(&s, V, work * (part + 1) / parts));
  }
}

static co_status run_embedding_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  for (int t = 0; t < MOST_TABLES; t++)
    if (co_cpu_has_out(&prepared->desc, t))
      sum_table(cpu, &prepared->desc, t, in[2 * t], in[2 * t + 1], out[t], workspace);
  return CO_OK;
}

static bool is_counted(const co_op_desc *desc, co_cpu_answer *answer) {
  for (int t = 0; t < MOST_TABLES; t++)
    if (co_cpu_has_out(desc, t) && (co_shape_count(&desc->in[2 * t].shape) >= INT32_MAX ||
                                    desc->out[t].shape.dim[0] >= INT32_MAX)) {
      (void)co_cpu_refuse(answer, "more than 2^31 - 2 positions or rows");
      return false;
    }
  return true;
}

const co_cpu_impl co_cpu_embedding[] = {
    {.op = CO_OP_EMBEDDING,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_embedding,
     .f32_in = 0xAAAA, // of each pair the second
     .f32_out = 0xFF},
    {.op = CO_OP_EMBEDDING_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_embedding_backward,
     .workspace = backward_workspace,
     .accepts = is_counted,
     .f32_in = 0xAAAA,
     .f32_out = 0xFF,
     .accumulate = 0xFF},
    {.name = NULL},
};
