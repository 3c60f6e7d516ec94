// SPDX-License-Identifier: Apache-2.0
// The config's `trainer.phases`: networks that are trained in turn, as the two of a generative
// adversarial network. Each step is of one phase: it takes a batch, differentiates that phase's losses
// with respect to its groups of parameters, and updates those by an optimizer of its own. Without
// phases there is one, of all losses and parameters.
#ifndef COHORT_HOST_TRAIN_PHASES_H
#define COHORT_HOST_TRAIN_PHASES_H

#include "host/config/config.h"
#include "host/exec/program.h"

// An optimizer with its options.
typedef struct co_optimizer_settings {
  const co_optimizer_class *class_;
  void *options;
} co_optimizer_settings;

typedef struct co_phase_settings {
  const co_node *losses, *groups; // lists of names
  int64_t updates;                // steps of its turn
  double learning_rate;           // base
  co_optimizer_settings optimizer;
} co_phase_settings;

typedef struct co_phases {
  co_phase_settings items[CO_MAX_PHASES];
  int64_t count; // 0 = the config has none
} co_phases;

extern const co_field co_phase_fields[];

// `path` is for messages. A problem leaves out->class_ NULL.
co_status co_optimizer_settings_parse(co_optimizer_settings *out, const co_node *node,
                                      const char *path, co_arena *arena, co_diagnostics *problems);
void co_optimizer_settings_render(co_json *json, const co_optimizer_settings *optimizer);

// What a phase does not say is `trainer`'s: learning rate and optimizer.
co_status co_phases_parse(co_phases *out, const co_node *list, const co_phase_settings *trainer,
                          co_arena *arena, co_diagnostics *problems);
void co_phases_render(co_json *json, const co_phases *phases);

// Those of a program over `graph`, each a copy of `common` with its own losses, groups and optimizer;
// without phases `common` alone. `out` has room for CO_MAX_PHASES. Names that the graph has not are
// added to `problems`.
co_status co_phases_resolve(co_phase_options *out, int64_t *count, const co_phases *phases,
                            const co_phase_options *common, const co_graph *graph,
                            co_diagnostics *problems);

// The phase of a step, and how many steps of its turn are left, with this one (no end without phases).
int64_t co_phases_at(const co_phases *phases, int64_t step, int64_t *left);

#endif
