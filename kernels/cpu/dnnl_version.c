// SPDX-License-Identifier: Apache-2.0
#include <dnnl.h>
#include <stdio.h>

#include "kernels/backend.h"

void co_dnnl_library_version(char *out, size_t size) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(out, size, "%d.%d.%d", v->major, v->minor, v->patch);
}
