// SPDX-License-Identifier: Apache-2.0
// Parameters, state, gradients and optimizer slots: one block each, made of 'entries' at equal,
// aligned offsets, each in a home layout that the first plan to use it fixes. Frozen parameters come last in their
// block; gradients and slots have no room for them. Before these come parameters whose gradient is in
// bf16, which has a block of its own. Padding is zero and stays zero. Plans that compute in bf16 read copies of the parameters in a further block, the
// mirror: the same elements in the same order, rounded. The optimizer writes it with the parameters;
// whatever else writes those is followed by co_store_refresh. It is never stored. Names and canonical shapes come from graphs; several graphs (and plans) may share a
// store, matched by parameter name.
#ifndef COHORT_HOST_PLAN_STORE_H
#define COHORT_HOST_PLAN_STORE_H

#include "host/graph/graph.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_store_entry {
  co_param_info info;   // strings are the store's own
  co_tensor_desc home;  // layout is CO_LAYOUT_ANY until fixed
  bool narrow;          // its gradient is in bf16 (co_plan_options.narrow_gradients)
  size_t bytes, offset; // within the block, once allocated
  // With info.rows instead of a place in the blocks: memory of its own by block, NULL where there is
  // none, and the length of its list of gradients.
  void *rows[CO_BLOCKS];
  int64_t row_capacity;
} co_store_entry;

typedef struct co_store {
  co_context *ctx;
  co_backend *backend; // borrowed
  co_arena *arena;
  co_dtype real; // CO_F32, or CO_F64 under the double policy
  co_store_entry *entries;
  int64_t count, capacity;
  size_t param_bytes, state_bytes;
  size_t trained_bytes; // of the parameters that are trained, which come first
  size_t wide_bytes;    // of those whose gradient is not in bf16, which come before the others
  int slots;            // optimizer slots allocated
  bool allocated;
  size_t alignment; // of entries in the blocks, once allocated
  uint64_t version; // grows with every change of parameters or state: derived data follow it
  void *param, *state, *gradient, *slot[CO_MAX_SLOTS]; // device
  void *narrow;                // device, gradients in bf16; NULL if none are
  bool mirrored;               // a plan reads the mirror
  void *mirror;                // device, bf16; NULL if not mirrored
  uint64_t mirror_version;     // of the parameters it was made from
  bool averaged;               // keeps a moving average of the parameters; before allocation
  void *ema, *ema_mirror;      // device, as the parameters and their mirror; NULL if not averaged
  uint64_t ema_mirror_version; // of the average it was made from
  co_prepared *mirror_cast;
} co_store;

co_status co_store_create(co_store **out, co_backend *backend, co_dtype real);
void co_store_free(co_store *store);
// Adds the graph's parameters; those known by name must have equal shapes. Before allocation.
co_status co_store_add_graph(co_store *store, const co_graph *graph);
int64_t co_store_find(const co_store *store, const char *name); // -1 if absent
// Bytes that co_store_allocate will take; fixes offsets as it does.
size_t co_store_bytes(co_store *store, bool training, int slots);
// Fixes offsets and allocates: parameters and state; gradients and `slots` only if `training`.
// Entries whose layout is still open become canonical.
co_status co_store_allocate(co_store *store, bool training, int slots);
// Brings the mirror up to date, by one cast where parameters were written since. Before each run.
co_status co_store_refresh(co_store *store);
// The same of the moving average's mirror.
co_status co_store_refresh_averages(co_store *store);
// The parameters that are evaluated and stored in models: their moving average where there is one.
co_block co_store_result(const co_store *store);
// After an update that wrote the parameters and, with them, the mirror.
void co_store_note_update(co_store *store);
size_t co_store_mirror_offset(const co_store *store, int64_t entry); // bytes
// Makes room in the lists of gradients of tables with `rows` for the positions, of the largest of these
// effective batches, that losses need. Before plans for training. CO_ERR_CONFIG where an operation reads such a
// table in another way than by index.
co_status co_store_reserve_rows(co_store *store, const co_graph *graph,
                                const co_shape_class *classes, int64_t count);
// Of one block of all tables with `rows`, once allocated.
size_t co_store_row_bytes(const co_store *store, co_block block);
// Where an entry lies in a block; NULL if it does not.
void *co_store_address(const co_store *store, int64_t entry, co_block block);
// Reals of the parameters that are trained, padding included: the length of flat updates.
int64_t co_store_elements(const co_store *store);
// Of those the ones with gradients in bf16, the last.
int64_t co_store_narrow_elements(const co_store *store);
size_t co_store_gradient_bytes(const co_store *store); // of gradients in blocks

bool co_store_is_trained(const co_store *store, int64_t entry); // has gradients and slots

// Which copy of an entry: CO_BLOCK_PARAM and CO_BLOCK_EMA mean state for state entries.
// Canonical values on the host, converted to or from the store's layout; `count` must be the
// canonical element count. `values` is float (`real` CO_F32) or double; int32_t of CO_BLOCK_STEPS, of
// which there is one a row. Gradients in bf16 are widened, and not written. Of a table with `rows` the gradient is made from its list; it is not written.
co_status co_store_read(co_store *store, int64_t entry, co_block block, void *values);
co_status co_store_write(co_store *store, int64_t entry, co_block block, const void *values);
// Initial values by each entry's initialiser, a pure function of (seed, name, canonical index);
// clears gradients and slots. The moving average begins as the parameters.
co_status co_store_initialize(co_store *store, uint64_t seed);
// SHA-256 over names and canonical float values of parameters (co_store_result) and state, in order.
co_status co_store_fingerprint(co_store *store, char hex[65]);

#ifdef __cplusplus
}
#endif
#endif
