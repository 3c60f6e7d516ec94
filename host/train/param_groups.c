// SPDX-License-Identifier: Apache-2.0
#include "host/train/param_groups.h"

#include <fnmatch.h>
#include <string.h>

static const char path_of_groups[] = "trainer.param_groups";

const co_field co_param_group_fields[] = {
    {"params", CO_FIELD_NODE, offsetof(co_param_group, params), NULL, 0, 0, NULL,
     "List of what is in it: features, layers or parameters (image, image/dense, "
     "'image/*/kernel').",
     NULL},
    {"learning_rate", CO_FIELD_DOUBLE, offsetof(co_param_group, learning_rate), "-1.0", 0, 1e6,
     NULL, "Base step size, which the schedule moves as the trainer's; -1 = the trainer's.", "lr"},
    {"weight_decay", CO_FIELD_DOUBLE, offsetof(co_param_group, weight_decay), "-1.0", 0, 1e6, NULL,
     "Of its kernels, in place of the optimizer's; -1 = the optimizer's.", NULL},
    {"trainable", CO_FIELD_BOOL, offsetof(co_param_group, trainable), "true", 0, 0, NULL,
     "false: frozen. Weights stay as they are, batch normalisation uses its stored statistics.",
     NULL},
    {.key = NULL}};

// ---- reading -----------------------------------------------------------------------------------

// 0 where the optimizer has none.
static double decay_of(const co_optimizer_settings *optimizer) {
  for (const co_field *f = optimizer->class_ ? optimizer->class_->fields : NULL; f && f->key; f++)
    if (strcmp(f->key, "weight_decay") == 0)
      return *(const double *)((const char *)optimizer->options + f->offset);
  return 0;
}

static co_status parse_group(co_param_group *out, const co_param_groups *groups,
                             const co_node *node, const char *path, co_arena *arena,
                             co_diagnostics *problems) {
  const int64_t before = problems->count;
  CO_RETURN_IF_FAILED(co_fields_parse(out, co_param_group_fields, node, path, arena, problems));
  if (problems->count > before) return CO_OK;
  bool names = out->params && out->params->kind == CO_NODE_LIST && out->params->count;
  for (int64_t i = 0; names && i < out->params->count; i++)
    names = out->params->items[i]->kind == CO_NODE_SCALAR;
  if (!names)
    return co_node_problem(problems, out->params, "for example [image, 'label/*/kernel']",
                           "%s.params: must be a list of names", path);
  if (out->learning_rate > 0 && groups->learning_rate == 0)
    return co_node_problem(problems, node, "set trainer.learning_rate",
                           "%s.learning_rate: the trainer's, which the schedule moves, is 0", path);
  if (out->weight_decay > 0 && groups->weight_decay == 0)
    return co_node_problem(problems, node,
                           "for example optimizer: {type: adamw, weight_decay: 0.01}",
                           "%s.weight_decay: the trainer's optimizer has none", path);
  return CO_OK;
}

co_status co_param_groups_parse(co_param_groups *out, const co_node *list,
                                const co_phase_settings *trainer, co_arena *arena,
                                co_diagnostics *problems) {
  *out = (co_param_groups){.learning_rate = trainer->learning_rate,
                           .weight_decay = decay_of(&trainer->optimizer)};
  if (!list || list->kind == CO_NODE_NULL) return CO_OK;
  if (list->kind != CO_NODE_LIST || !list->count)
    return co_node_problem(problems, list, "for example [{params: [image], learning_rate: 1.0e-4}]",
                           "%s: must be a list of groups", path_of_groups);
  out->list = list;
  out->items = co_arena_alloc(arena, (size_t)list->count, sizeof *out->items);
  if (!out->items) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++) {
    char *path = co_arena_format(arena, "%s[%lld]", path_of_groups, (long long)i);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        parse_group(&out->items[out->count++], out, list->items[i], path, arena, problems));
  }
  return CO_OK;
}

// ---- of a graph --------------------------------------------------------------------------------

// The name of a group of the graph's, "" where none is left for it.
static const char *group_of(const co_graph *graph, const co_param_info *param) {
  return param->group < graph->group_count ? graph->groups[param->group] : "";
}

static bool names(const char *pattern, const co_graph *graph, const co_param_info *param) {
  return fnmatch(pattern, param->name, 0) == 0 || fnmatch(pattern, param->layer, 0) == 0 ||
         fnmatch(pattern, group_of(graph, param), 0) == 0;
}

static co_status unknown_params(const co_graph *graph, const co_node *pattern, int64_t group,
                                co_diagnostics *problems) {
  const size_t most = (size_t)(2 * graph->param_count + graph->group_count + 1);
  const char **known = co_alloc(graph->ctx, most * sizeof *known);
  if (!known) return CO_ERR_MEMORY;
  int64_t count = 0;
  for (int64_t i = 0; i < graph->param_count; i++) {
    known[count++] = graph->params[i].name;
    known[count++] = graph->params[i].layer;
  }
  for (int64_t i = 0; i < graph->group_count; i++)
    known[count++] = graph->groups[i];
  const char *near = co_nearest(pattern->text, known, count);
  co_status status =
      co_node_problem(problems, pattern, "`cohort plan` lists the layers",
                      "%s[%lld].params: no parameter or layer is called '%s'%s%s%s", path_of_groups,
                      (long long)group, pattern->text, near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
  co_free(graph->ctx, known);
  return status;
}

// Marks what it names and no group before it did. *any: there was such.
static co_status apply_pattern(co_graph *graph, const co_param_groups *groups, int64_t index,
                               const co_node *pattern, bool *taken, bool *any,
                               co_diagnostics *problems) {
  const co_param_group *group = &groups->items[index];
  bool found = false;
  for (int64_t i = 0; i < graph->param_count; i++) {
    co_param_info *param = &graph->params[i];
    if (!names(pattern->text, graph, param)) continue;
    found = true;
    if (taken[i]) continue;
    taken[i] = *any = true;
    param->trainable = param->trainable && group->trainable;
    if (group->learning_rate >= 0 && groups->learning_rate > 0)
      param->rate *= group->learning_rate / groups->learning_rate;
    if (group->weight_decay >= 0 && groups->weight_decay > 0)
      param->decay *= group->weight_decay / groups->weight_decay;
  }
  return found ? CO_OK : unknown_params(graph, pattern, index, problems);
}

// Statistics go with the parameters of their layer, if it has any.
static void freeze_statistics(co_graph *graph) {
  for (int64_t i = 0; i < graph->param_count; i++) {
    bool has = false, trains = false;
    for (int64_t k = 0; graph->params[i].state && k < graph->param_count; k++) {
      const co_param_info *other = &graph->params[k];
      if (other->state || strcmp(other->layer, graph->params[i].layer) != 0) continue;
      has = true;
      trains = trains || other->trainable;
    }
    if (has) graph->params[i].trainable = trains;
  }
}

static co_status apply_group(co_graph *graph, const co_param_groups *groups, int64_t index,
                             bool *taken, co_diagnostics *problems) {
  const co_node *params = groups->items[index].params;
  const int64_t before = problems->count;
  bool any = false;
  for (int64_t i = 0; i < params->count; i++)
    CO_RETURN_IF_FAILED(
        apply_pattern(graph, groups, index, params->items[i], taken, &any, problems));
  if (any || problems->count > before) return CO_OK;
  return co_node_problem(problems, params, "put the narrower group first",
                         "%s[%lld].params: groups before it have them all", path_of_groups,
                         (long long)index);
}

co_status co_param_groups_apply(co_graph *graph, const co_param_groups *groups,
                                co_diagnostics *problems) {
  if (!groups->count) return CO_OK;
  bool *taken = co_alloc_zero(graph->ctx, (size_t)graph->param_count + 1, sizeof *taken);
  if (!taken) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < groups->count; i++)
    status = apply_group(graph, groups, i, taken, problems);
  co_free(graph->ctx, taken);
  freeze_statistics(graph);
  return status;
}
