// SPDX-License-Identifier: Apache-2.0
// Branches of a captured graph that share memory which one of them writes: whether that goes wrong is
// chance, so it is refused when the capture ends. Of kernels only the addresses that they are given are
// known, not how far they reach; of library calls and copies all is.
#include <stdlib.h>
#include <string.h>

#include "work.h"

enum { MAX_CLAIMS = 64 };

static co_double_access claims[MAX_CLAIMS];
static size_t claim_count;

void co_double_claim(const void *pointer, size_t bytes, bool writes) {
  if (pointer == NULL || bytes == 0) return;
  if (claim_count == MAX_CLAIMS) co_double_die("more than %d operands", MAX_CLAIMS);
  claims[claim_count++] = (co_double_access){pointer, bytes, writes};
}

void co_double_take_claims(co_double_work *work) {
  work->access_count = claim_count;
  work->accesses = claim_count > 0 ? malloc(claim_count * sizeof *claims) : NULL;
  if (claim_count > 0 && work->accesses == NULL) abort();
  if (claim_count > 0) memcpy(work->accesses, claims, claim_count * sizeof *claims);
  claim_count = 0;
}

static void check_pair(const co_double_work *a, const co_double_work *b) {
  for (size_t i = 0; i < a->access_count; i++)
    for (size_t k = 0; k < b->access_count; k++) {
      const co_double_access *x = &a->accesses[i], *y = &b->accesses[k];
      if ((x->writes || y->writes) && x->begin < y->begin + y->bytes &&
          y->begin < x->begin + x->bytes)
        co_double_die("%s and %s may run at the same time, and share memory at %p that is written",
                      a->what, b->what, (const void *)(x->begin > y->begin ? x->begin : y->begin));
    }
}

// By node the bits of all that come before it.
void co_double_check_side_by_side(const struct CUgraph_st *graph) {
  const size_t words = (graph->count + 63) / 64;
  uint64_t *before = calloc(graph->count * words + 1, sizeof *before);
  if (before == NULL) abort();
  for (size_t i = 0; i < graph->count; i++) {
    uint64_t *mine = before + i * words;
    const co_double_nodes *after = &graph->nodes[i]->after;
    for (size_t k = 0; k < after->count; k++) {
      size_t other = after->index[k];
      for (size_t w = 0; w < words; w++)
        mine[w] |= before[other * words + w];
      mine[other / 64] |= (uint64_t)1 << other % 64;
    }
    for (size_t k = 0; k < i; k++)
      if (!(mine[k / 64] >> k % 64 & 1)) check_pair(graph->nodes[k]->work, graph->nodes[i]->work);
  }
  free(before);
}
