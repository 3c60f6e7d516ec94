// SPDX-License-Identifier: Apache-2.0
// bf16 data: conversions, and any operation by way of its implementation in float.
#include <stdio.h>

#include "kernels/cpu/cpu.h"
#include "kernels/widen.h"

typedef struct prepared_widened {
  co_prepared base;
  co_widened widened;
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

// By all threads.
static void widen_all(const void *user, float *to, const co_bf16 *from, int64_t count) {
#pragma omp parallel if (count > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(count, 64, &b, &e);
    co_cpu_widen(user, to + b, from + b, e - b);
  }
}

static void round_all(const void *user, co_bf16 *to, const float *from, int64_t count) {
#pragma omp parallel if (count > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(count, 64, &b, &e);
    co_cpu_round(user, to + b, from + b, e - b);
  }
}

static co_status run_widened(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  prepared_widened *self = (prepared_widened *)prepared;
  const co_widen_loops loops = {widen_all, round_all, cpu};
  void *wide_in[CO_OP_MAX_OPERANDS], *wide_out[CO_OP_MAX_OPERANDS];
  co_widen_begin(&self->widened, &loops, in, out, workspace, wide_in, wide_out);
  CO_RETURN_IF_FAILED(self->inner->run(cpu, self->inner, wide_in, wide_out,
                                       (char *)workspace + self->widened.bytes));
  co_widen_end(&self->widened, &loops, out, wide_out);
  return CO_OK;
}

static void release_widened(co_cpu *cpu, co_prepared *prepared) {
  co_prepared *inner = ((prepared_widened *)prepared)->inner;
  if (inner->release) inner->release(cpu, inner);
  co_free(cpu->base.ctx, inner);
}

// The first that takes the operation in float and canonical layouts; NULL if there is none.
static co_status find_inner(co_cpu *cpu, const co_op_desc *desc, co_cpu_answer *answer,
                            const co_cpu_impl **out) {
  for (int i = 0; (*out = co_cpu_implementation(desc->op, i)) != NULL; i++) {
    if (*out == &co_cpu_widened) continue;
    memset(answer, 0, sizeof *answer);
    co_status status = (*out)->plan(cpu, *out, desc, true, answer, NULL);
    const char *name = answer->choice.implementation;
    if (status == CO_OK && (!cpu->force || strncmp(name, cpu->force, strlen(cpu->force)) == 0))
      return CO_OK;
    if (status != CO_OK && status != CO_ERR_DEVICE) return status;
    if (answer->accumulate) break; // rather a temporary and an addition
  }
  *out = NULL;
  return CO_OK;
}

static co_status plan_widened(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                              bool strict, co_cpu_answer *answer, co_prepared **out) {
  co_widened widened;
  co_cpu_answer inner_answer;
  const co_cpu_impl *inner;
  char name[64];
  if (!co_widen(desc, &widened)) return CO_ERR_DEVICE; // nothing to say of it
  if (co_op_check_bf16(desc) != CO_OK) return co_cpu_refuse(answer, "%s", co_error_last()->message);
  if (strict && !co_cpu_all_canonical(desc))
    return co_cpu_refuse(answer, "takes canonical layouts only");
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    widened.desc.in[i].layout = widened.desc.out[i].layout = CO_LAYOUT_CANONICAL;
  CO_RETURN_IF_FAILED(find_inner(cpu, &widened.desc, &inner_answer, &inner));
  if (inner == NULL) {
    answer->accumulate = inner_answer.accumulate;
    return co_cpu_refuse(answer, "%s", inner_answer.reason);
  }
  (void)snprintf(name, sizeof name, "%s+bf16", inner_answer.choice.implementation);
  answer->choice.implementation = co_cpu_intern(cpu, name);
  if (answer->choice.implementation == NULL) return CO_ERR_MEMORY;
  answer->choice.workspace = widened.bytes + inner_answer.choice.workspace;
  if (out == NULL) return CO_OK;
  co_prepared *made = NULL;
  CO_RETURN_IF_FAILED(inner->plan(cpu, inner, &widened.desc, true, &inner_answer, &made));
  co_status status = co_cpu_prepared_create(cpu, impl, desc, answer->choice.implementation,
                                            sizeof(prepared_widened), run_widened, out);
  if (status != CO_OK) {
    if (made->release) made->release(cpu, made);
    co_free(cpu->base.ctx, made);
    return status;
  }
  (*out)->release = release_widened;
  ((prepared_widened *)*out)->widened = widened;
  ((prepared_widened *)*out)->inner = made;
  return CO_OK;
}

const co_cpu_impl co_cpu_widened = {.name = "bf16", .plan = plan_widened};
