// SPDX-License-Identifier: Apache-2.0
// What was planned, by descriptor: a library is asked once for each, and an operation runs by the
// very plan that its query told the layouts and the scratch memory of.
#include <string.h>

#include "kernels/cuda/cuda.h"

struct co_cuda_planned {
  co_cuda_planned *next;
  co_op_desc asked; // as `key` makes it
  uint64_t hash;
  co_op_choice choice;
  co_prepared *prepared;
  bool owns; // the prepared operation
};

// All that counts of a descriptor, the rest zero.
static void key(const co_op_desc *desc, co_op_desc *out) {
  memset(out, 0, sizeof *out);
  out->op = desc->op;
  out->has_in = desc->has_in;
  out->has_out = desc->has_out;
  out->accumulate = desc->accumulate;
  memcpy(&out->attr, &desc->attr, sizeof out->attr);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    for (int side = 0; side < 2; side++) {
      if (!(side ? co_cuda_has_out(desc, i) : co_cuda_has_in(desc, i))) continue;
      const co_tensor_desc *from = side ? &desc->out[i] : &desc->in[i];
      co_tensor_desc *to = side ? &out->out[i] : &out->in[i];
      to->dtype = from->dtype;
      to->layout = from->layout;
      to->shape.rank = from->shape.rank;
      memcpy(to->shape.dim, from->shape.dim, (size_t)from->shape.rank * sizeof *from->shape.dim);
    }
}

// FNV-1a.
static uint64_t hash_of(const co_op_desc *asked) {
  const unsigned char *bytes = (const unsigned char *)asked;
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < sizeof *asked; i++)
    hash = (hash ^ bytes[i]) * 0x100000001B3u;
  return hash;
}

static const co_cuda_planned *find(const co_cuda *cuda, const co_op_desc *asked, uint64_t hash) {
  for (const co_cuda_planned *p = cuda->planned; p != NULL; p = p->next)
    if (p->hash == hash && memcmp(&p->asked, asked, sizeof *asked) == 0) return p;
  return NULL;
}

bool co_cuda_planned_find(const co_cuda *cuda, const co_op_desc *desc, co_op_choice *choice,
                          co_prepared **prepared) {
  co_op_desc asked;
  key(desc, &asked);
  const co_cuda_planned *found = find(cuda, &asked, hash_of(&asked));
  if (found == NULL) return false;
  *choice = found->choice;
  *prepared = found->prepared;
  return true;
}

static co_status keep(co_cuda *cuda, const co_op_desc *asked, const co_op_choice *choice,
                      co_prepared *prepared, bool owns) {
  co_cuda_planned *p = cuda->host.alloc_zero(cuda->base.ctx, 1, sizeof *p);
  if (p == NULL) return CO_ERR_MEMORY;
  memcpy(&p->asked, asked, sizeof *asked);
  p->hash = hash_of(asked);
  p->choice = *choice;
  p->prepared = prepared;
  p->owns = owns;
  p->next = cuda->planned;
  cuda->planned = p;
  return CO_OK;
}

co_status co_cuda_planned_keep(co_cuda *cuda, const co_op_desc *desc, const co_op_choice *choice,
                               co_prepared *prepared) {
  co_op_desc asked, offered = *desc;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    offered.in[i].layout = choice->in[i];
    offered.out[i].layout = choice->out[i];
  }
  prepared->desc = offered;
  key(desc, &asked);
  co_status status = keep(cuda, &asked, choice, prepared, true);
  if (status != CO_OK) {
    co_cuda_release(cuda, prepared);
    return status;
  }
  key(&offered, &asked);
  if (find(cuda, &asked, hash_of(&asked))) return CO_OK;
  return keep(cuda, &asked, choice, prepared, false);
}

void co_cuda_planned_free(co_cuda *cuda) {
  while (cuda->planned != NULL) {
    co_cuda_planned *p = cuda->planned;
    cuda->planned = p->next;
    if (p->owns) co_cuda_release(cuda, p->prepared);
    cuda->host.free(cuda->base.ctx, p);
  }
}
