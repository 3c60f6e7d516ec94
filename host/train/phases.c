// SPDX-License-Identifier: Apache-2.0
#include "host/train/phases.h"

#include <string.h>

static const char path_of_phases[] = "trainer.phases";

typedef struct phase_options {
  co_phase_settings settings;
  const co_node *optimizer;
} phase_options;

#define IN(member) offsetof(phase_options, settings.member)

const co_field co_phase_fields[] = {
    {"losses", CO_FIELD_NODE, IN(losses), NULL, 0, 0, NULL,
     "List of outputs whose losses are minimised.", NULL},
    {"groups", CO_FIELD_NODE, IN(groups), NULL, 0, 0, NULL,
     "List of what is trained: features, `combiner`, or what layers call their `group`.", NULL},
    {"updates", CO_FIELD_INT, IN(updates), "1", 1, 1e6, NULL,
     "Steps, each of one batch and one update, until it is the next phase's turn.", NULL},
    {"learning_rate", CO_FIELD_DOUBLE, IN(learning_rate), "0.0", 0, 1e6, NULL,
     "Base step size; 0 = the trainer's.", NULL},
    {"optimizer", CO_FIELD_NODE, offsetof(phase_options, optimizer), "null", 0, 0, NULL,
     "{type: adam, …}; the trainer's if absent.", NULL},
    {.key = NULL}};

// ---- optimizers --------------------------------------------------------------------------------

static co_status unknown_optimizer(const co_node *type, const char *path, const char *name,
                                   co_diagnostics *problems) {
  const char *names[32];
  int64_t count = 0;
  for (; co_optimizer_list()[count] && count < 32; count++)
    names[count] = co_optimizer_list()[count]->name;
  const char *near = co_nearest(name, names, count);
  return co_node_problem(problems, type, "known: sgd, adam, adamw, rmsprop, adagrad",
                         "%s.type: unknown optimizer '%s'%s%s%s", path, name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

co_status co_optimizer_settings_parse(co_optimizer_settings *out, const co_node *node,
                                      const char *path, co_arena *arena, co_diagnostics *problems) {
  static const char *const chosen[] = {"type", NULL}; // by it the table; the rest is the table's
  const co_node *type = node ? co_node_get(node, "type") : NULL, *rest;
  *out = (co_optimizer_settings){.class_ = NULL};
  if (type && type->kind != CO_NODE_SCALAR && type->kind != CO_NODE_NULL)
    return co_node_problem(problems, type, "for example {type: adam}", "%s.type: must be a name",
                           path);
  const char *name = type && type->kind == CO_NODE_SCALAR ? type->text : "adam";
  const co_optimizer_class *found = co_optimizer_find(name);
  if (!found) return unknown_optimizer(type, path, name, problems);
  if (node && node->kind != CO_NODE_MAP && node->kind != CO_NODE_NULL)
    return co_node_problem(problems, node, "for example {type: adam}", "%s: must be a map", path);
  out->options = co_arena_alloc(arena, 1, found->options_size);
  if (!out->options) return CO_ERR_MEMORY;
  out->class_ = found;
  CO_RETURN_IF_FAILED(co_node_without(&rest, arena, node, chosen));
  return co_fields_parse(out->options, found->fields, rest, path, arena, problems);
}

void co_optimizer_settings_render(co_json *json, const co_optimizer_settings *optimizer) {
  co_json_open(json, '{');
  co_json_key(json, "type");
  co_json_string(json, optimizer->class_->name);
  co_fields_render(json, optimizer->class_->fields, optimizer->options);
  co_json_close(json);
}

// ---- phases ------------------------------------------------------------------------------------

static co_status check_names(const co_node *list, const co_node *phase, const char *path,
                             const char *key, co_diagnostics *problems) {
  bool good = list && list->kind == CO_NODE_LIST && list->count;
  for (int64_t i = 0; good && i < list->count; i++)
    good = list->items[i]->kind == CO_NODE_SCALAR;
  return good ? CO_OK
              : co_node_problem(problems, list ? list : phase, NULL,
                                "%s.%s: must be a list of names", path, key);
}

static co_status parse_phase(co_phase_settings *out, const co_node *node, const char *path,
                             const co_phase_settings *trainer, co_arena *arena,
                             co_diagnostics *problems) {
  phase_options options;
  const int64_t before = problems->count;
  char *below = co_arena_format(arena, "%s.optimizer", path);
  if (!below) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(&options, co_phase_fields, node, path, arena, problems));
  if (problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(check_names(options.settings.losses, node, path, "losses", problems));
  CO_RETURN_IF_FAILED(check_names(options.settings.groups, node, path, "groups", problems));
  *out = options.settings;
  if (out->learning_rate == 0) out->learning_rate = trainer->learning_rate;
  out->optimizer = trainer->optimizer;
  if (!options.optimizer) return CO_OK;
  return co_optimizer_settings_parse(&out->optimizer, options.optimizer, below, arena, problems);
}

co_status co_phases_parse(co_phases *out, const co_node *list, const co_phase_settings *trainer,
                          co_arena *arena, co_diagnostics *problems) {
  out->count = 0;
  if (!list || list->kind == CO_NODE_NULL) return CO_OK;
  if (list->kind != CO_NODE_LIST || list->count < 2 || list->count > CO_MAX_PHASES)
    return co_node_problem(problems, list, "for example [{losses: [a], groups: [a]}, {…}]",
                           "%s: must be a list of 2 to %d phases", path_of_phases,
                           (int)CO_MAX_PHASES);
  for (int64_t i = 0; i < list->count; i++) {
    char *path = co_arena_format(arena, "%s[%lld]", path_of_phases, (long long)i);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        parse_phase(&out->items[out->count++], list->items[i], path, trainer, arena, problems));
  }
  return CO_OK;
}

void co_phases_render(co_json *json, const co_phases *phases) {
  co_json_open(json, '[');
  for (int64_t i = 0; i < phases->count; i++) {
    const phase_options options = {.settings = phases->items[i]};
    co_json_open(json, '{');
    co_fields_render(json, co_phase_fields, &options);
    co_json_key(json, "optimizer");
    co_optimizer_settings_render(json, &options.settings.optimizer);
    co_json_close(json);
  }
  co_json_close(json);
}

// ---- of a graph --------------------------------------------------------------------------------

static const char *loss_name(const co_graph *graph, int64_t i) {
  return i < graph->loss_count ? graph->losses[i].name : NULL;
}

static const char *group_name(const co_graph *graph, int64_t i) {
  return i < graph->group_count ? graph->groups[i] : NULL;
}

typedef const char *name_list(const co_graph *graph, int64_t i); // NULL past the end

static co_status unknown_name(const co_node *name, int64_t phase, const char *key,
                              const co_graph *graph, name_list *names, co_diagnostics *problems) {
  co_text known;
  co_text_init(&known, graph->ctx);
  for (int64_t i = 0; names(graph, i); i++)
    co_text_printf(&known, "%s%s", i ? ", " : "known: ", names(graph, i));
  co_status status = co_node_problem(problems, name, known.data, "%s[%lld].%s: there is no '%s'",
                                     path_of_phases, (long long)phase, key, name->text);
  co_text_free(&known);
  return status;
}

static co_status find_names(uint32_t *out, const co_node *list, int64_t phase, const char *key,
                            const co_graph *graph, name_list *names, co_diagnostics *problems) {
  *out = 0;
  for (int64_t i = 0; i < list->count; i++) {
    int64_t k = 0;
    while (names(graph, k) && strcmp(names(graph, k), list->items[i]->text) != 0)
      k++;
    if (names(graph, k))
      *out |= 1u << k;
    else
      CO_RETURN_IF_FAILED(unknown_name(list->items[i], phase, key, graph, names, problems));
  }
  return CO_OK;
}

co_status co_phases_resolve(co_phase_options *out, int64_t *count, const co_phases *phases,
                            const co_phase_options *common, const co_graph *graph,
                            co_diagnostics *problems) {
  out[0] = *common;
  *count = phases->count ? phases->count : 1;
  for (int64_t i = 0; i < phases->count; i++) {
    const co_phase_settings *phase = &phases->items[i];
    out[i] = *common;
    out[i].optimizer = phase->optimizer.class_;
    out[i].optimizer_options = phase->optimizer.options;
    CO_RETURN_IF_FAILED(
        find_names(&out[i].losses, phase->losses, i, "losses", graph, loss_name, problems));
    CO_RETURN_IF_FAILED(
        find_names(&out[i].groups, phase->groups, i, "groups", graph, group_name, problems));
  }
  return CO_OK;
}

int64_t co_phases_at(const co_phases *phases, int64_t step, int64_t *left) {
  int64_t round = 0, phase = 0;
  *left = INT64_MAX;
  if (!phases->count) return 0;
  for (int64_t i = 0; i < phases->count; i++)
    round += phases->items[i].updates;
  step %= round;
  while (step >= phases->items[phase].updates)
    step -= phases->items[phase++].updates;
  *left = phases->items[phase].updates - step;
  return phase;
}
