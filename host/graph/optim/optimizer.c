// SPDX-License-Identifier: Apache-2.0
#include "host/graph/optim/optimizer.h"

#include <string.h>

#define CO_OPTIMIZER(symbol) extern const co_optimizer_class symbol;
#include "host/graph/optim/optimizers.def"
#undef CO_OPTIMIZER

static const co_optimizer_class *const all[] = {
#define CO_OPTIMIZER(symbol) &symbol,
#include "host/graph/optim/optimizers.def"
#undef CO_OPTIMIZER
    NULL};

const co_optimizer_class *co_optimizer_find(const char *name) {
  for (int i = 0; all[i]; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

const co_optimizer_class *const *co_optimizer_list(void) {
  return all;
}
