// SPDX-License-Identifier: Apache-2.0
// The config's `trainer.param_groups`: parameters with a learning rate or a weight decay of their own, or frozen,
// as PyTorch's groups of an optimizer. What no group names is trained as the trainer says.
#ifndef COHORT_HOST_TRAIN_PARAM_GROUPS_H
#define COHORT_HOST_TRAIN_PARAM_GROUPS_H

#include "host/config/config.h"
#include "host/graph/graph.h"
#include "host/train/phases.h"

typedef struct co_param_group {
  const co_node *params; // list of patterns (fnmatch) of parameters, layers or graph groups
  double learning_rate;  // base, below 0: the trainer's
  double weight_decay;   // of what the optimizer decays, below 0: the optimizer's
  bool trainable;
} co_param_group;

typedef struct co_param_groups {
  const co_node *list; // as it stands in the config; NULL = there are none
  co_param_group *items;
  int64_t count;
  double learning_rate, weight_decay; // the trainer's, which the groups' are relative to
} co_param_groups;

extern const co_field co_param_group_fields[];

// `trainer`: learning rate and optimizer of what no group names.
co_status co_param_groups_parse(co_param_groups *out, const co_node *list,
                                const co_phase_settings *trainer, co_arena *arena,
                                co_diagnostics *problems);
// Marks the parameters of a graph, before a program is made of it: each is of the first group that names it. The
// statistics of a layer whose parameters are all frozen are, too. Patterns that name nothing, and groups whose
// parameters are all of groups before them, are added to `problems`. Once for a graph.
co_status co_param_groups_apply(co_graph *graph, const co_param_groups *groups,
                                co_diagnostics *problems);

#endif
