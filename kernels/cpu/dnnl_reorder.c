// SPDX-License-Identifier: Apache-2.0
// REORDER: between any two layouts of one view by oneDNN; a plain copy where they are the same.
#include <stdio.h>

#include "kernels/cpu/cpu.h"

typedef struct prepared_reorder {
  co_prepared base;
  co_dnnl_exec exec;
  size_t bytes; // of a copy; else 0
} prepared_reorder;

static co_status run_copy(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)cpu;
  (void)workspace;
  size_t bytes = ((prepared_reorder *)prepared)->bytes;
  if (bytes > 0 && in[0] != out[0]) memcpy(out[0], in[0], bytes);
  return CO_OK;
}

static co_status run_reorder(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  void *const handles[2] = {in[0], out[0]};
  return co_dnnl_exec_run(&((prepared_reorder *)prepared)->exec, &cpu->dnnl, handles, workspace);
}

static void release_reorder(co_cpu *cpu, co_prepared *prepared) {
  (void)cpu;
  co_dnnl_exec_free(&((prepared_reorder *)prepared)->exec);
}

static co_status plan_copy(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                           co_cpu_answer *answer, co_prepared **out) {
  answer->choice.implementation = "copy";
  if (out == NULL) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_cpu_prepared_create(cpu, impl, desc, "copy", sizeof(prepared_reorder), run_copy, out));
  ((prepared_reorder *)*out)->bytes = co_cpu_layout_bytes(cpu, &desc->in[0]);
  return CO_OK;
}

static co_status plan_reorder(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                              bool strict, co_cpu_answer *answer, co_prepared **out) {
  (void)strict; // the layouts are what the operation is about
  const co_layout from = desc->in[0].layout, to = desc->out[0].layout;
  if (from == CO_LAYOUT_ANY || to == CO_LAYOUT_ANY)
    return co_cpu_refuse(answer, "both layouts must be given");
  if (desc->accumulate & desc->has_out) {
    answer->accumulate = true;
    return co_cpu_refuse(answer, "cannot accumulate");
  }
  answer->choice.in[0] = from;
  answer->choice.out[0] = to;
  if (desc->in[0].dtype != desc->out[0].dtype) return co_cpu_refuse(answer, "types differ");
  if (from == to) return plan_copy(cpu, impl, desc, answer, out);
  if (desc->in[0].dtype != CO_F32) return co_cpu_refuse(answer, "f32 only");

  const co_cpu_layout *known = co_cpu_layout_get(cpu, from > 0 ? from : to);
  if (known == NULL || known->view == CO_VIEW_OPAQUE)
    return co_cpu_refuse(answer, "opaque layouts cannot be reordered");
  co_status status = CO_OK;
  co_md x = {0}, y = {0};
  dnnl_primitive_desc_t pd = NULL;
  co_prepared *prepared = NULL;
  char name[64];
  CO_TRY(co_cpu_operand_md(cpu, from, known->view, dnnl_f32, known->dims, &x));
  CO_TRY(co_cpu_operand_md(cpu, to, known->view, dnnl_f32, known->dims, &y));
  dnnl_status_t made = co_dnnl_reorder_create(&pd, &cpu->dnnl, &x, &y);
  if (made != dnnl_success) {
    status = made == dnnl_out_of_memory ? co_dnnl_fail(made, "reorder")
                                        : co_cpu_refuse(answer, "%s", co_dnnl_status_name(made));
    goto cleanup;
  }
  snprintf(name, sizeof name, "dnnl:%s", co_dnnl_implementation(pd));
  answer->choice.implementation = co_cpu_intern(cpu, name);
  if (answer->choice.implementation == NULL) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  answer->choice.workspace = co_dnnl_scratch_bytes(pd);
  if (out) {
    static const int args[2] = {DNNL_ARG_FROM, DNNL_ARG_TO};
    CO_TRY(co_cpu_prepared_create(cpu, impl, desc, answer->choice.implementation,
                                  sizeof(prepared_reorder), run_reorder, &prepared));
    CO_TRY(co_dnnl_exec_create(&((prepared_reorder *)prepared)->exec, &cpu->dnnl, pd, args, 2));
    prepared->release = release_reorder;
    *out = prepared;
    prepared = NULL;
  }
cleanup:
  co_free(cpu->base.ctx, prepared);
  if (pd) dnnl_primitive_desc_destroy(pd);
  co_md_free(&x);
  co_md_free(&y);
  return status;
}

const co_cpu_impl co_cpu_reorder[] = {
    {.op = CO_OP_REORDER, .name = "dnnl", .plan = plan_reorder},
    {.name = NULL},
};
