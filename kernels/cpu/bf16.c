// SPDX-License-Identifier: Apache-2.0
// bf16 data: conversions, and any operation by way of its implementation in float.
#include <stdio.h>

#include "kernels/cpu/cpu.h"
#include "kernels/widen.h"

// An operand that the float implementation wants in another layout than the canonical one.
typedef struct move {
  co_prepared *reorder; // NULL if it stays
  size_t offset;        // of it in that layout
} move;

typedef struct prepared_widened {
  co_prepared base;
  co_widened widened;
  move in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  size_t scratch; // of the implementation and the reorders
  co_prepared *inner;
} prepared_widened;

// clang-format off
CO_CPU_KERNEL(widen_array, (float *to, const co_bf16 *from, int64_t n), (to, from, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    to[i] = co_bf16_widen(from[i]);
}

CO_CPU_KERNEL(round_array, (co_bf16 *to, const float *from, int64_t n), (to, from, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    to[i] = co_bf16_round(from[i]);
}
// clang-format on

void co_cpu_widen(const co_cpu *cpu, float *to, const co_bf16 *from, int64_t count) {
  widen_array[cpu->isa](to, from, count);
}

void co_cpu_round(const co_cpu *cpu, co_bf16 *to, const float *from, int64_t count) {
  round_array[cpu->isa](to, from, count);
}

void co_cpu_widen_all(const void *cpu, float *to, const co_bf16 *from, int64_t count) {
#pragma omp parallel if (count > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(count, 64, &b, &e);
    co_cpu_widen(cpu, to + b, from + b, e - b);
  }
}

// By all threads.
static void round_all(const void *user, co_bf16 *to, const float *from, int64_t count) {
#pragma omp parallel if (count > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(count, 64, &b, &e);
    co_cpu_round(user, to + b, from + b, e - b);
  }
}

static co_status run_move(co_cpu *cpu, const move *m, void *from, void *to, void *scratch) {
  return m->reorder->run(cpu, m->reorder, &from, &to, scratch);
}

static co_status run_widened(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  prepared_widened *self = (prepared_widened *)prepared;
  const co_widen_loops loops = {co_cpu_widen_all, round_all, cpu};
  char *memory = workspace, *scratch = memory + self->scratch;
  void *wide_in[CO_OP_MAX_OPERANDS], *wide_out[CO_OP_MAX_OPERANDS];
  void *inner_in[CO_OP_MAX_OPERANDS], *inner_out[CO_OP_MAX_OPERANDS];
  co_widen_begin(&self->widened, &loops, in, out, workspace, wide_in, wide_out);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    inner_in[i] = self->in[i].reorder ? memory + self->in[i].offset : wide_in[i];
    inner_out[i] = self->out[i].reorder ? memory + self->out[i].offset : wide_out[i];
    if (self->in[i].reorder)
      CO_RETURN_IF_FAILED(run_move(cpu, &self->in[i], wide_in[i], inner_in[i], scratch));
  }
  CO_RETURN_IF_FAILED(self->inner->run(cpu, self->inner, inner_in, inner_out, scratch));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (self->out[i].reorder)
      CO_RETURN_IF_FAILED(run_move(cpu, &self->out[i], inner_out[i], wide_out[i], scratch));
  co_widen_end(&self->widened, &loops, out, wide_out);
  return CO_OK;
}

static void release_inner(co_cpu *cpu, co_prepared *inner) {
  if (inner == NULL) return;
  if (inner->release) inner->release(cpu, inner);
  co_free(cpu->base.ctx, inner);
}

static void release_widened(co_cpu *cpu, co_prepared *prepared) {
  prepared_widened *self = (prepared_widened *)prepared;
  release_inner(cpu, self->inner);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    release_inner(cpu, self->in[i].reorder);
    release_inner(cpu, self->out[i].reorder);
  }
}

// ---- plan --------------------------------------------------------------------------------------

// Convolutions are slow in canonical layouts, so that two passes over memory pay.
static bool takes_any_layout(co_op op) {
  return op == CO_OP_CONV2D || op == CO_OP_CONV2D_BACKWARD_DATA ||
         op == CO_OP_CONV2D_BACKWARD_WEIGHTS || op == CO_OP_CONV2D_TRANSPOSE ||
         op == CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS;
}

// The winners of a pool, which have layouts of their own, are between it and its backward alone.
static bool is_private(const co_tensor_desc *operand) {
  return operand->dtype == CO_I32;
}

static void set_layouts(co_op_desc *desc, const co_op_choice *choice) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i)) desc->in[i].layout = choice->in[i];
    if (co_cpu_has_out(desc, i)) desc->out[i].layout = choice->out[i];
  }
}

static bool canonical_but_private(const co_op_desc *desc) {
  co_op_desc rest = *desc;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (is_private(&rest.in[i])) rest.in[i].layout = CO_LAYOUT_CANONICAL;
    if (is_private(&rest.out[i])) rest.out[i].layout = CO_LAYOUT_CANONICAL;
  }
  return co_cpu_all_canonical(&rest);
}

// Asks one implementation in float; `desc` gets the layouts it will work on. Private ones are those
// of `outer`.
static co_status ask_inner(co_cpu *cpu, const co_cpu_impl *inner, const co_op_desc *outer,
                           co_op_desc *desc, co_cpu_answer *answer) {
  const co_layout others = takes_any_layout(desc->op) ? CO_LAYOUT_ANY : CO_LAYOUT_CANONICAL;
  memset(answer, 0, sizeof *answer);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    desc->in[i].layout = is_private(&desc->in[i]) ? outer->in[i].layout : others;
    desc->out[i].layout = is_private(&desc->out[i]) ? outer->out[i].layout : others;
  }
  CO_RETURN_IF_FAILED(inner->plan(cpu, inner, desc, false, answer, NULL));
  set_layouts(desc, &answer->choice);
  memset(answer, 0, sizeof *answer);
  return inner->plan(cpu, inner, desc, true, answer, NULL);
}

// The first that takes the operation in float; NULL if there is none.
static co_status find_inner(co_cpu *cpu, const co_op_desc *outer, co_op_desc *desc,
                            co_cpu_answer *answer, const co_cpu_impl **out) {
  for (int i = 0; (*out = co_cpu_implementation(desc->op, i)) != NULL; i++) {
    if (*out == &co_cpu_widened) continue;
    co_status status = ask_inner(cpu, *out, outer, desc, answer);
    const char *name = answer->choice.implementation;
    if (status == CO_OK && (!cpu->force || strncmp(name, cpu->force, strlen(cpu->force)) == 0))
      return CO_OK;
    if (status != CO_OK && status != CO_ERR_DEVICE) return status;
    if (answer->accumulate) break; // rather a temporary and an addition
  }
  *out = NULL;
  return CO_OK;
}

// Plans the way of one operand between the canonical layout and the one in `wanted`.
static co_status plan_move(co_cpu *cpu, const co_tensor_desc *wanted, bool input, size_t *bytes,
                           size_t *scratch, bool prepare, move *out) {
  if (wanted->layout == CO_LAYOUT_CANONICAL || is_private(wanted)) return CO_OK;
  const co_cpu_impl *reorder = co_cpu_implementation(CO_OP_REORDER, 0);
  co_op_desc desc = {.op = CO_OP_REORDER, .has_in = 1, .has_out = 1};
  co_cpu_answer answer;
  desc.in[0] = desc.out[0] = *wanted;
  (input ? &desc.in[0] : &desc.out[0])->layout = CO_LAYOUT_CANONICAL;
  memset(&answer, 0, sizeof answer);
  out->offset = *bytes;
  *bytes += (co_cpu_layout_bytes(cpu, wanted) + 63) / 64 * 64;
  CO_RETURN_IF_FAILED(
      reorder->plan(cpu, reorder, &desc, true, &answer, prepare ? &out->reorder : NULL));
  if (answer.choice.workspace > *scratch) *scratch = answer.choice.workspace;
  return CO_OK;
}

static co_status plan_moves(co_cpu *cpu, const co_op_desc *inner, size_t *bytes, size_t *scratch,
                            bool prepare, prepared_widened *out) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(inner, i))
      CO_RETURN_IF_FAILED(
          plan_move(cpu, &inner->in[i], true, bytes, scratch, prepare, &out->in[i]));
    if (co_cpu_has_out(inner, i))
      CO_RETURN_IF_FAILED(
          plan_move(cpu, &inner->out[i], false, bytes, scratch, prepare, &out->out[i]));
  }
  return CO_OK;
}

static co_status prepare_widened(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                 const co_cpu_impl *inner, const prepared_widened *plan,
                                 co_cpu_answer *answer, co_prepared **out) {
  co_cpu_answer ignored;
  size_t bytes = plan->widened.bytes, scratch = 0;
  CO_RETURN_IF_FAILED(co_cpu_prepared_create(cpu, impl, desc, answer->choice.implementation,
                                             sizeof(prepared_widened), run_widened, out));
  prepared_widened *made = (prepared_widened *)*out;
  made->base.release = release_widened;
  made->widened = plan->widened;
  made->scratch = plan->scratch;
  memset(&ignored, 0, sizeof ignored);
  co_status status = plan_moves(cpu, &plan->widened.desc, &bytes, &scratch, true, made);
  if (status == CO_OK)
    status = inner->plan(cpu, inner, &plan->widened.desc, true, &ignored, &made->inner);
  if (status == CO_OK) return CO_OK;
  release_widened(cpu, *out);
  co_free(cpu->base.ctx, *out);
  *out = NULL;
  return status;
}

static co_status plan_widened(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                              bool strict, co_cpu_answer *answer, co_prepared **out) {
  prepared_widened plan;
  co_cpu_answer inner_answer;
  const co_cpu_impl *inner;
  char name[64];
  memset(&plan, 0, sizeof plan);
  if (!co_widen(desc, &plan.widened)) return CO_ERR_DEVICE; // nothing to say of it
  if (co_op_check_bf16(desc) != CO_OK) return co_cpu_refuse(answer, "%s", co_error_last()->message);
  if (strict && !canonical_but_private(desc))
    return co_cpu_refuse(answer, "takes canonical layouts only");
  CO_RETURN_IF_FAILED(find_inner(cpu, desc, &plan.widened.desc, &inner_answer, &inner));
  if (inner == NULL) {
    answer->accumulate = inner_answer.accumulate;
    return co_cpu_refuse(answer, "%s", inner_answer.reason);
  }
  size_t bytes = plan.widened.bytes, scratch = inner_answer.choice.workspace;
  CO_RETURN_IF_FAILED(plan_moves(cpu, &plan.widened.desc, &bytes, &scratch, false, &plan));
  plan.scratch = bytes;
  (void)snprintf(name, sizeof name, "%s+bf16", inner_answer.choice.implementation);
  answer->choice.implementation = co_cpu_intern(cpu, name);
  if (answer->choice.implementation == NULL) return CO_ERR_MEMORY;
  answer->choice.workspace = bytes + scratch;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (is_private(&desc->in[i])) answer->choice.in[i] = plan.widened.desc.in[i].layout;
    if (is_private(&desc->out[i])) answer->choice.out[i] = plan.widened.desc.out[i].layout;
  }
  return out ? prepare_widened(cpu, impl, desc, inner, &plan, answer, out) : CO_OK;
}

const co_cpu_impl co_cpu_widened = {.name = "bf16", .plan = plan_widened};
