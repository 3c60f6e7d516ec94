// SPDX-License-Identifier: Apache-2.0
// Gradients of some rows of a table, and the updates that they make. Time and memory go with the
// positions of a batch, never with the rows of the table; each row is summed and updated by one thread.
#include <math.h>

#include "kernels/cpu/cpu.h"

enum { CHUNK = 64 }; // entries that a thread takes at once

static co_status run_append_rows(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                 void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t room = desc->in[CO_APPEND_ROWS_rows].shape.dim[0],
                D = desc->in[CO_APPEND_ROWS_rows].shape.dim[1],
                positions = co_shape_count(&desc->in[CO_APPEND_ROWS_index].shape);
  int32_t *ids = out[CO_APPEND_ROWS_new_ids], *count = out[CO_APPEND_ROWS_new_count];
  float *rows = out[CO_APPEND_ROWS_new_rows];
  const int64_t first = desc->attr.append ? *count : 0;
  const int64_t n = positions < room - first ? positions : room - first;
#pragma omp parallel if (n * D > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 1, &begin, &end);
    if (end > begin) {
      memcpy(ids + first + begin, (const int32_t *)in[CO_APPEND_ROWS_index] + begin,
             (size_t)(end - begin) * sizeof *ids);
      memcpy(rows + (first + begin) * D, (const float *)in[CO_APPEND_ROWS_dy] + begin * D,
             (size_t)((end - begin) * D) * sizeof *rows);
    }
  }
  *count = (int32_t)(first + n);
  return CO_OK;
}

// ---- sums --------------------------------------------------------------------------------------

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, ROUNDS = 3 }; // of 31 bits

typedef struct entry {
  int32_t id, position;
} entry;

static size_t sum_workspace(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  return 2 * (size_t)desc->in[CO_SUM_ROWS_ids].shape.dim[0] * sizeof(entry);
}

// Sorts by digits of the id, the lowest first, each time keeping the order there is among equal ones.
// The result is `from` or `to`.
static entry *sort_entries(entry *from, entry *to, int64_t count) {
  for (int round = 0; round < ROUNDS; round++) {
    int64_t places[DIGITS] = {0}, place = 0;
    const int shift = round * DIGIT_BITS;
    for (int64_t i = 0; i < count; i++)
      places[from[i].id >> shift & (DIGITS - 1)]++;
    if (count && places[from[0].id >> shift & (DIGITS - 1)] == count) continue; // all are equal
    for (int digit = 0; digit < DIGITS; digit++) {
      const int64_t entries = places[digit];
      places[digit] = place;
      place += entries;
    }
    for (int64_t i = 0; i < count; i++)
      to[places[from[i].id >> shift & (DIGITS - 1)]++] = from[i];
    entry *swap = from;
    from = to;
    to = swap;
  }
  return from;
}

// clang-format off
CO_CPU_KERNEL(sum_entries,
              (const float *rows, const entry *entries, int64_t count, float *sum, int64_t D),
              (rows, entries, count, sum, D)) {
  memcpy(sum, rows + entries[0].position * D, (size_t)D * sizeof *sum);
  for (int64_t i = 1; i < count; i++) {
    const float *row = rows + entries[i].position * D;
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
      sum[d] += row[d];
  }
}
// clang-format on

// Results [begin, end) of the sorted entries, of which there are `count`.
static void sum_range(const co_cpu *cpu, const entry *entries, int64_t count, const float *rows,
                      int64_t D, int32_t *unique, float *sums, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const bool first = i < count && (i == 0 || entries[i - 1].id != entries[i].id);
    unique[i] = first ? entries[i].id : -1;
    if (!first) {
      memset(sums + i * D, 0, (size_t)D * sizeof *sums);
      continue;
    }
    int64_t last = i + 1;
    while (last < count && entries[last].id == entries[i].id)
      last++;
    sum_entries[cpu->isa](rows, entries + i, last - i, sums + i * D, D);
  }
}

static co_status run_sum_rows(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                              void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t R = desc->in[CO_SUM_ROWS_rows].shape.dim[0],
                D = desc->in[CO_SUM_ROWS_rows].shape.dim[1];
  const int32_t *ids = in[CO_SUM_ROWS_ids];
  const int32_t filled = *(const int32_t *)in[CO_SUM_ROWS_count];
  entry *entries = workspace;
  int64_t count = 0;
  for (int32_t i = 0; i < filled; i++)
    if (ids[i] >= 0) entries[count++] = (entry){ids[i], i};
  entries = sort_entries(entries, entries + R, count);
#pragma omp parallel if (R * D > CO_CPU_SERIAL)
  for (int64_t at = co_cpu_part() * CHUNK; at < R; at += (int64_t)co_cpu_parts() * CHUNK)
    sum_range(cpu, entries, count, in[CO_SUM_ROWS_rows], D, out[CO_SUM_ROWS_unique],
              out[CO_SUM_ROWS_sums], at, at + CHUNK < R ? at + CHUNK : R);
  return CO_OK;
}

// ---- updates -----------------------------------------------------------------------------------

static co_cpu_update update_of(const co_op_attr *attr, const co_step *step, const double *gate) {
  return (co_cpu_update){.attr = attr,
                         .gate = gate[1],
                         .rate = step->learning_rate * attr->rate,
                         .decay = attr->weight_decay};
}

static co_status run_sgd_rows(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                              void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t V = desc->in[CO_SGD_ROWS_w].shape.dim[0], D = desc->in[CO_SGD_ROWS_w].shape.dim[1],
                R = desc->in[CO_SGD_ROWS_ids].shape.dim[0];
  const int32_t *ids = in[CO_SGD_ROWS_ids];
  const float *g = in[CO_SGD_ROWS_g];
  float *w = out[CO_SGD_ROWS_new_w];
  const double *gate = in[CO_SGD_ROWS_gate];
  if (gate[0] == 0) return CO_OK;
  const co_cpu_update update = update_of(&desc->attr, in[CO_SGD_ROWS_step], gate);
#pragma omp parallel if (R * D > CO_CPU_SERIAL)
  for (int64_t at = co_cpu_part() * CHUNK; at < R; at += (int64_t)co_cpu_parts() * CHUNK)
    for (int64_t i = at; i < R && i < at + CHUNK; i++)
      if (ids[i] >= 0 && ids[i] < V) co_cpu_sgd(cpu, &update, w + ids[i] * D, g + i * D, NULL, D);
  return CO_OK;
}

typedef struct adam_table {
  float *w, *m, *v;
  int32_t *steps;
  int64_t V, D;
} adam_table;

static void update_row(const co_cpu *cpu, const adam_table *table, co_cpu_update update, int64_t id,
                       const float *g) {
  const int32_t t = ++table->steps[id];
  const int64_t at = id * table->D;
  update.correction1 = 1 / (1 - pow(update.attr->beta1, t));
  update.correction2 = 1 / (1 - pow(update.attr->beta2, t));
  co_cpu_adam(cpu, &update, table->w + at, g, table->m + at, table->v + at, table->D);
}

static co_status run_adam_rows(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const adam_table table = {out[CO_ADAM_ROWS_new_w],
                            out[CO_ADAM_ROWS_new_m],
                            out[CO_ADAM_ROWS_new_v],
                            out[CO_ADAM_ROWS_new_steps],
                            desc->in[CO_ADAM_ROWS_w].shape.dim[0],
                            desc->in[CO_ADAM_ROWS_w].shape.dim[1]};
  const int64_t R = desc->in[CO_ADAM_ROWS_ids].shape.dim[0];
  const int32_t *ids = in[CO_ADAM_ROWS_ids];
  const float *g = in[CO_ADAM_ROWS_g];
  const double *gate = in[CO_ADAM_ROWS_gate];
  if (gate[0] == 0) return CO_OK;
  const co_cpu_update update = update_of(&desc->attr, in[CO_ADAM_ROWS_step], gate);
#pragma omp parallel if (R * table.D > CO_CPU_SERIAL)
  for (int64_t at = co_cpu_part() * CHUNK; at < R; at += (int64_t)co_cpu_parts() * CHUNK)
    for (int64_t i = at; i < R && i < at + CHUNK; i++)
      if (ids[i] >= 0 && ids[i] < table.V) update_row(cpu, &table, update, ids[i], g + i * table.D);
  return CO_OK;
}

const co_cpu_impl co_cpu_rows[] = {
    {.op = CO_OP_APPEND_ROWS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_append_rows,
     .f32_in = 1u << CO_APPEND_ROWS_dy | 1u << CO_APPEND_ROWS_rows,
     .f32_out = 1u << CO_APPEND_ROWS_new_rows},
    {.op = CO_OP_SUM_ROWS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_sum_rows,
     .workspace = sum_workspace,
     .f32_in = 1u << CO_SUM_ROWS_rows,
     .f32_out = 1u << CO_SUM_ROWS_sums},
    {.op = CO_OP_SGD_ROWS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_sgd_rows,
     .f32_in = 1u << CO_SGD_ROWS_w | 1u << CO_SGD_ROWS_g,
     .f32_out = 1},
    {.op = CO_OP_ADAM_ROWS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_adam_rows,
     .f32_in = 7u | 1u << CO_ADAM_ROWS_g,
     .f32_out = 7},
    {.name = NULL},
};
