// SPDX-License-Identifier: Apache-2.0
// Primitives whose operands are moved into the order that oneDNN wants, and its results out of it, around
// each run.
#include <string.h>

#include "kernels/cpu/dnnl_api.h"

enum { ALIGNMENT = 64 };

static size_t aligned(size_t bytes) {
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

// Between the caller's order and the primitive's; *scratch grows to what it needs.
static co_status plan_move(co_dnnl_packed *out, const co_dnnl *dnnl, int i, const co_md *given,
                           const co_md *wanted, bool create, size_t *scratch) {
  static const int args[2] = {DNNL_ARG_FROM, DNNL_ARG_TO};
  const bool result = out->results >> i & 1;
  dnnl_primitive_desc_t pd = NULL;
  co_status status = CO_OK;
  dnnl_status_t made =
      co_dnnl_reorder_create(&pd, dnnl, result ? wanted : given, result ? given : wanted);
  if (made != dnnl_success) return co_dnnl_fail(made, "reorder");
  if (co_dnnl_scratch_bytes(pd) > *scratch) *scratch = co_dnnl_scratch_bytes(pd);
  if (create) status = co_dnnl_exec_create(&out->move[i], dnnl, pd, args, 2);
  dnnl_primitive_desc_destroy(pd);
  if (status == CO_OK) out->moved |= 1u << i;
  return status;
}

co_status co_dnnl_packed_create(co_dnnl_packed *out, const co_dnnl *dnnl, dnnl_primitive_desc_t pd,
                                const int *args, const co_md *const *given, int count,
                                uint32_t results, bool create) {
  size_t scratch = co_dnnl_scratch_bytes(pd);
  co_status status = CO_OK;
  co_md wanted = {0};
  memset(out, 0, sizeof *out);
  out->results = results;
  for (int i = 0; i < count; i++) {
    if (co_md_equal(co_dnnl_md(pd, args[i]), co_md_borrow(given[i]))) continue;
    CO_TRY(co_md_clone(&wanted, co_dnnl_md(pd, args[i])));
    CO_TRY(plan_move(out, dnnl, i, given[i], &wanted, create, &scratch));
    out->place[i] = out->bytes;
    out->bytes += aligned(co_md_bytes(co_md_borrow(&wanted)));
    co_md_free(&wanted);
  }
  for (int i = 0; i < count; i++) // behind the scratch memory, which all share
    out->place[i] += aligned(scratch);
  out->bytes += aligned(scratch);
  if (create) CO_TRY(co_dnnl_exec_create(&out->exec, dnnl, pd, args, count));
  return CO_OK;
cleanup:
  co_md_free(&wanted);
  co_dnnl_packed_free(out);
  return status;
}

void co_dnnl_packed_free(co_dnnl_packed *packed) {
  co_dnnl_exec_free(&packed->exec);
  for (int i = 0; i < CO_DNNL_MAX_ARGS; i++)
    co_dnnl_exec_free(&packed->move[i]);
  memset(packed, 0, sizeof *packed);
}

co_status co_dnnl_packed_run(const co_dnnl_packed *packed, const co_dnnl *dnnl,
                             void *const *handles, void *workspace) {
  void *places[CO_DNNL_MAX_ARGS];
  for (int i = 0; i < packed->exec.count; i++) {
    const bool moved = packed->moved >> i & 1;
    places[i] = moved ? (char *)workspace + packed->place[i] : handles[i];
    void *const ends[2] = {handles[i], places[i]};
    if (moved && !(packed->results >> i & 1))
      CO_RETURN_IF_FAILED(co_dnnl_exec_run(&packed->move[i], dnnl, ends, workspace));
  }
  CO_RETURN_IF_FAILED(co_dnnl_exec_run(&packed->exec, dnnl, places, workspace));
  for (int i = 0; i < packed->exec.count; i++) {
    void *const ends[2] = {places[i], handles[i]};
    if (packed->moved & packed->results & 1u << i)
      CO_RETURN_IF_FAILED(co_dnnl_exec_run(&packed->move[i], dnnl, ends, workspace));
  }
  return CO_OK;
}
