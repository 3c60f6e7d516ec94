// SPDX-License-Identifier: Apache-2.0
// The passes of co_plan_create and what they share. Private to host/plan.
#ifndef COHORT_HOST_PLAN_PASS_H
#define COHORT_HOST_PLAN_PASS_H

#include "host/plan/plan.h"

// Copies what the mode needs of the graph, with N concrete and inference rules applied.
co_status co_pass_build(co_plan *plan, co_store *store);
// Folds activations, flattens and metrics into the operations before or after them.
co_status co_pass_fuse_forward(co_plan *plan);
// Appends gradient operations, op by op from the rules, for trainable parameters of the groups.
co_status co_pass_backward(co_plan *plan, co_store *store);
// Joins neighbouring backward operations.
co_status co_pass_fuse_backward(co_plan *plan);
// Losses over many classes in tiles, where the backend has that.
co_status co_pass_fuse_catalogue(co_plan *plan);
// Joins operations on tables.
co_status co_pass_fuse_tables(co_plan *plan);
// Applies the element type policy.
co_status co_pass_dtypes(co_plan *plan, co_store *store);
// Lets dense products apply the relu of the layer below, where the backend does.
co_status co_pass_fuse_masks(co_plan *plan);
// Asks the backend for layouts, fixes open home layouts, inserts REORDERs and the temporaries for
// accumulation that the backend refuses.
co_status co_pass_layouts(co_plan *plan, co_store *store);
// Creates the backend's primitives.
co_status co_pass_prepare(co_plan *plan);
// Chooses what runs beside the rest, where the backend has a second queue.
void co_pass_branches(co_plan *plan);
// Packs the arena by lifetime.
co_status co_pass_pack(co_plan *plan);

// Adds a value; the name is copied.
co_status co_plan_add_value(co_plan *plan, const char *name, const co_tensor_desc *desc,
                            co_storage storage, int32_t index, co_value *out);
// Appends an operation and returns it for further filling (valid until the next append).
co_status co_plan_add_op(co_plan *plan, const co_plan_op *op, co_plan_op **out);
// An operation with all operands absent.
co_plan_op co_plan_op_make(co_op op, const char *layer, const char *note);
// The value whose memory it shares, by way of views; itself where there are none.
co_value co_plan_root(const co_plan *plan, co_value value);
// Number of operations that read `value`; *reader is one of them (may be NULL).
int co_plan_count_readers(const co_plan *plan, co_value value, int64_t *reader);
// Drops operations whose desc.op is CO_OP_COUNT (the mark passes leave).
void co_plan_compact(co_plan *plan);
// Writes the operands' descriptions and presence bits into op->desc from the values.
void co_plan_describe(const co_plan *plan, co_plan_op *op);
// Whether the backend has the operation on layouts of its own choice; `choice` (may be NULL): and how.
co_status co_plan_offers(const co_plan *plan, const co_plan_op *op, bool *out,
                         co_op_choice *choice);
// The same of operands that values do not describe yet.
co_status co_plan_asks(const co_plan *plan, co_op_desc desc, bool *out, co_op_choice *choice);
// Whether there is a backward pass.
bool co_plan_differentiates(const co_plan *plan);
bool co_plan_is_output(const co_plan *plan, co_value value);

#endif
