// SPDX-License-Identifier: Apache-2.0
#include <dnnl.h>
#include <stdio.h>

#include "kernels/backend.h"
#include "kernels/cpu/dnnl_api.h"

void co_dnnl_library_version(char *out, size_t size) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(out, size, "%d.%d.%d", v->major, v->minor, v->patch);
}

const char *co_dnnl_bf16(void) {
  const int isa = dnnl_get_effective_cpu_isa();
  if ((isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx) return "amx";
  return co_dnnl_has_bf16() ? "avx512_bf16" : "float";
}
