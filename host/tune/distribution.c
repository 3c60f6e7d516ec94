// SPDX-License-Identifier: Apache-2.0
// Parameters as Optuna's distributions.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/tune/space.h"

// What Optuna takes for a category: a scalar; of a list or a section its text.
static void render_category(co_json *json, const char *category) {
  if (*category == '[' || *category == '{')
    co_json_string(json, category);
  else
    co_json_raw(json, category);
}

void co_parameter_render_distribution(co_json *json, const co_parameter *p) {
  static const char *const names[] = {"FloatDistribution", "FloatDistribution", "IntDistribution",
                                      "CategoricalDistribution"};
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, names[p->kind]);
  co_json_key(json, "attributes");
  co_json_open(json, '{');
  if (p->kind == CO_SPACE_CHOICE) {
    co_json_key(json, "choices");
    co_json_open(json, '[');
    for (int64_t i = 0; i < p->category_count; i++)
      render_category(json, p->category[i]);
    co_json_close(json);
  } else {
    co_json_key(json, "step");
    if (p->kind == CO_SPACE_INT)
      co_json_int(json, (int64_t)p->step);
    else
      p->step ? co_json_double(json, p->step) : co_json_null(json);
    co_json_key(json, "low");
    p->kind == CO_SPACE_INT ? co_json_int(json, (int64_t)p->lower) : co_json_double(json, p->lower);
    co_json_key(json, "high");
    p->kind == CO_SPACE_INT ? co_json_int(json, (int64_t)p->upper) : co_json_double(json, p->upper);
    co_json_key(json, "log");
    co_json_bool(json, p->log);
  }
  co_json_close(json);
  co_json_close(json);
}

// ---- reading -----------------------------------------------------------------------------------

// By class, those that Optuna 3 has put together among them.
static const struct {
  const char *name;
  co_space_kind kind;
  bool log;
} classes[] = {{"FloatDistribution", CO_SPACE_UNIFORM, false},
               {"IntDistribution", CO_SPACE_INT, false},
               {"CategoricalDistribution", CO_SPACE_CHOICE, false},
               {"UniformDistribution", CO_SPACE_UNIFORM, false},
               {"LogUniformDistribution", CO_SPACE_LOGUNIFORM, true},
               {"DiscreteUniformDistribution", CO_SPACE_UNIFORM, false},
               {"IntUniformDistribution", CO_SPACE_INT, false},
               {"IntLogUniformDistribution", CO_SPACE_INT, true}};

static co_status read_categories(co_parameter *p, const co_node *choices, co_arena *arena) {
  if (!choices || choices->kind != CO_NODE_LIST || !choices->count) return CO_ERR_DATA;
  p->step = 1;
  p->points = p->category_count = choices->count;
  p->upper = (double)(choices->count - 1);
  p->category = co_arena_alloc(arena, (size_t)choices->count, sizeof *p->category);
  for (int64_t i = 0; p->category && i < choices->count; i++) {
    co_json json;
    co_json_init(&json, co_arena_context(arena), 0);
    co_node_render(&json, choices->items[i]);
    p->category[i] =
        json.text.status == CO_OK && json.text.data ? co_arena_strdup(arena, json.text.data) : NULL;
    co_json_free(&json);
    if (!p->category[i]) return CO_ERR_MEMORY;
  }
  return p->category ? CO_OK : CO_ERR_MEMORY;
}

static co_status read_range(co_parameter *p, const co_node *attributes) {
  const co_node *step = co_node_get(attributes, "step"), *log = co_node_get(attributes, "log");
  if (!step) step = co_node_get(attributes, "q");
  if (log && co_node_bool(log, &p->log) && p->log && p->kind == CO_SPACE_UNIFORM)
    p->kind = CO_SPACE_LOGUNIFORM;
  if (!co_node_double(co_node_get(attributes, "low"), &p->lower) ||
      !co_node_double(co_node_get(attributes, "high"), &p->upper) || !(p->lower <= p->upper) ||
      !isfinite(p->lower) || !isfinite(p->upper) || (p->log && p->lower <= 0))
    return CO_ERR_DATA;
  p->step = p->kind == CO_SPACE_INT ? 1 : 0;
  if (step && step->kind == CO_NODE_SCALAR && !(co_node_double(step, &p->step) && p->step > 0))
    return CO_ERR_DATA;
  return CO_OK;
}

static co_status read_class(co_parameter *p, const co_node *root, co_arena *arena) {
  const co_node *name = root ? co_node_get(root, "name") : NULL,
                *attributes = root ? co_node_get(root, "attributes") : NULL;
  if (!name || name->kind != CO_NODE_SCALAR || !attributes || attributes->kind != CO_NODE_MAP)
    return CO_ERR_DATA;
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    if (strcmp(classes[i].name, name->text) != 0) continue;
    p->kind = classes[i].kind;
    p->log = classes[i].log;
    return p->kind == CO_SPACE_CHOICE
               ? read_categories(p, co_node_get(attributes, "choices"), arena)
               : read_range(p, attributes);
  }
  return CO_ERR_DATA;
}

co_status co_parameter_read_distribution(co_parameter *out, const char *name, const char *json,
                                         co_arena *arena) {
  co_node *root = NULL;
  co_diagnostics problems;
  *out = (co_parameter){.path = name, .parent = -1};
  co_diagnostics_init(&problems, co_arena_context(arena));
  co_status status = co_yaml_parse(&root, arena, name, json, strlen(json), &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK) status = read_class(out, root, arena);
  return status == CO_OK || status == CO_ERR_MEMORY
             ? status
             : co_fail(CO_ERR_DATA, "the distribution of '%s' is none of Optuna's: %.80s", name,
                       json);
}

// ---- comparing ---------------------------------------------------------------------------------

static const char *describe(const co_parameter *p) {
  return p->category_count         ? "a choice"
         : p->kind == CO_SPACE_INT ? p->log ? "whole numbers spaced by ratio" : "whole numbers"
         : p->log                  ? "numbers spaced by ratio"
                                   : "numbers";
}

static const char *as_text(const co_parameter *p, co_arena *arena) {
  co_json json;
  co_json_init(&json, co_arena_context(arena), 0);
  co_parameter_render_distribution(&json, p);
  const char *text =
      json.text.status == CO_OK && json.text.data ? co_arena_strdup(arena, json.text.data) : NULL;
  co_json_free(&json);
  return text;
}

bool co_parameter_agrees(const co_parameter *a, const co_parameter *b, co_arena *arena,
                         const char **why) {
  co_parameter x, y; // both as they are in a study: of a list the text
  const char *of_a = as_text(a, arena), *of_b = as_text(b, arena);
  *why = NULL;
  if (!of_a || !of_b || co_parameter_read_distribution(&x, a->path, of_a, arena) != CO_OK ||
      co_parameter_read_distribution(&y, b->path, of_b, arena) != CO_OK)
    return false;
  bool same = x.category_count == y.category_count;
  for (int64_t i = 0; same && i < x.category_count; i++)
    same = co_category_equals(x.category[i], y.category[i]);
  if (strcmp(describe(a), describe(b)) != 0)
    *why = co_arena_format(arena, "%s, not %s", describe(a), describe(b));
  else if (!same)
    *why = co_arena_format(arena, "%.160s, not %.160s", of_a, of_b);
  return same && !*why;
}
