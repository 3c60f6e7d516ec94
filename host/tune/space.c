// SPDX-License-Identifier: Apache-2.0
#include "host/tune/space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct parameter_options {
  int kind; // co_space_kind
  double lower, upper;
  int64_t step, points;
  bool log;
  const co_node *categories, *when;
} parameter_options;

#define AT(member) offsetof(parameter_options, member)
static const char *const kinds[] = {"uniform", "loguniform", "int", "choice", NULL};

static const co_field fields[] = {
    {"space", CO_FIELD_ENUM, AT(kind), NULL, 0, 0, kinds,
     "uniform, loguniform (numbers from lower to upper), int (whole ones), choice.", NULL},
    {"lower", CO_FIELD_DOUBLE, AT(lower), "0.0", 0, 0, NULL, "The least value.", "low"},
    {"upper", CO_FIELD_DOUBLE, AT(upper), "0.0", 0, 0, NULL, "The largest value.", "high"},
    {"step", CO_FIELD_INT, AT(step), "1", 1, 1e9, NULL, "Of an int: between two values.", NULL},
    {"log", CO_FIELD_BOOL, AT(log), "false", 0, 0, NULL, "Of an int: spaced by ratio.", NULL},
    {"categories", CO_FIELD_NODE, AT(categories), "null", 0, 0, NULL,
     "Of a choice: a list of values.", NULL},
    {"points", CO_FIELD_INT, AT(points), "0", 0, 1e6, NULL,
     "Values in a grid; 0 = all of an int or a choice, else 5.", NULL},
    {"when", CO_FIELD_NODE, AT(when), "null", 0, 0, NULL,
     "{PATH: VALUE}: it counts only where that choice has this value.", NULL},
    {.key = NULL}};

const co_field *co_space_fields(void) {
  return fields;
}

// ---- reading -----------------------------------------------------------------------------------

static const char *node_text(co_arena *arena, const co_node *node) {
  co_json json;
  co_json_init(&json, co_arena_context(arena), 0);
  co_node_render(&json, node);
  const char *text =
      json.text.status == CO_OK && json.text.data ? co_arena_strdup(arena, json.text.data) : NULL;
  co_json_free(&json);
  return text;
}

static co_status parse_choice(co_parameter *p, const parameter_options *o, const co_node *node,
                              co_arena *arena, co_diagnostics *problems) {
  if (!o->categories || o->categories->kind != CO_NODE_LIST || !o->categories->count)
    return co_node_problem(problems, o->categories ? o->categories : node,
                           "for example categories: [relu, gelu]",
                           "hyperopt.parameters.%s: a choice needs categories", p->path);
  if (!isnan(o->lower) || !isnan(o->upper))
    return co_node_problem(problems, node, NULL,
                           "hyperopt.parameters.%s: a choice has neither lower nor upper", p->path);
  p->category_count = o->categories->count;
  p->category = co_arena_alloc(arena, (size_t)p->category_count, sizeof *p->category);
  if (!p->category) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < p->category_count; i++) {
    if (!(p->category[i] = node_text(arena, o->categories->items[i]))) return CO_ERR_MEMORY;
    for (int64_t k = 0; k < i; k++)
      if (strcmp(p->category[k], p->category[i]) == 0)
        return co_node_problem(problems, o->categories->items[i], NULL,
                               "hyperopt.parameters.%s: the category %s is there twice", p->path,
                               p->category[i]);
  }
  p->upper = (double)(p->category_count - 1);
  p->points = p->category_count;
  return CO_OK;
}

static co_status parse_range(co_parameter *p, const parameter_options *o, const co_node *node,
                             co_diagnostics *problems) {
  bool whole = p->kind == CO_SPACE_INT;
  const char *wrong =
      isnan(o->lower) || isnan(o->upper)           ? "needs lower and upper"
      : !isfinite(o->lower) || !isfinite(o->upper) ? "is not finite"
      : o->lower >= o->upper                       ? "is empty: lower is not below upper"
      : whole && (o->lower != floor(o->lower) || o->upper != floor(o->upper))
          ? "is of whole numbers, and lower or upper is none"
      : whole && (fabs(o->lower) > 1e15 || fabs(o->upper) > 1e15) ? "goes beyond 1e15"
      : o->log && p->kind == CO_SPACE_UNIFORM ? "is spaced evenly: loguniform is by ratio"
      : !whole && o->step != 1                ? "has no step: only int has one"
      : p->log && o->lower <= 0               ? "is spaced by ratio: lower must be above 0"
      : p->log && whole && o->step != 1       ? "has either log or step"
                                              : NULL;
  if (wrong)
    return co_node_problem(problems, node,
                           "for example {space: loguniform, lower: 1.0e-4, upper: "
                           "1.0e-2}",
                           "hyperopt.parameters.%s: the space %s", p->path, wrong);
  p->lower = o->lower;
  p->upper = o->upper;
  p->step = whole ? (double)o->step : 0;
  if (whole) p->upper = p->lower + floor((p->upper - p->lower) / p->step) * p->step;
  double values = whole ? (p->upper - p->lower) / p->step + 1 : 0;
  if (p->lower == p->upper)
    return co_node_problem(
        problems, node, NULL,
        "hyperopt.parameters.%s: the space is of one value: step goes beyond upper", p->path);
  p->points = o->points ? o->points : whole && values < 1e6 ? (int64_t)values : 5;
  if (whole && (double)p->points > values) p->points = (int64_t)values;
  return CO_OK;
}

static co_status parse_parameter(co_parameter *p, const char *path, const co_node *node,
                                 const co_node **when, co_arena *arena, co_diagnostics *problems) {
  parameter_options o;
  const char *place = co_arena_format(arena, "hyperopt.parameters.%s", path);
  int64_t before = problems->count;
  if (!place) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(&o, fields, node, place, arena, problems));
  if (problems->count > before) return CO_OK;
  if (!co_node_get(node, "lower") && !co_node_get(node, "low")) o.lower = NAN;
  if (!co_node_get(node, "upper") && !co_node_get(node, "high")) o.upper = NAN;
  *p = (co_parameter){.path = path,
                      .node = node,
                      .kind = (co_space_kind)o.kind,
                      .log = o.kind == CO_SPACE_LOGUNIFORM || o.log,
                      .step = 1,
                      .parent = -1};
  *when = o.when;
  return o.kind == CO_SPACE_CHOICE ? parse_choice(p, &o, node, arena, problems)
                                   : parse_range(p, &o, node, problems);
}

static co_status resolve(co_space *space, int64_t i, const co_node *when, co_arena *arena,
                         co_diagnostics *problems) {
  co_parameter *p = &space->item[i];
  if (!when || when->kind == CO_NODE_NULL) return CO_OK;
  if (when->kind != CO_NODE_MAP || when->count != 1)
    return co_node_problem(problems, when, "for example when: {trainer.optimizer.type: sgd}",
                           "hyperopt.parameters.%s.when: must be one {PATH: VALUE}", p->path);
  for (int64_t k = 0; k < space->count; k++)
    if (strcmp(space->item[k].path, when->keys[0]) == 0) p->parent = k;
  if (p->parent < 0 || p->parent == i || space->item[p->parent].kind != CO_SPACE_CHOICE)
    return co_node_problem(problems, when, NULL,
                           "hyperopt.parameters.%s.when: '%s' is no choice among the parameters",
                           p->path, when->keys[0]);
  const co_parameter *parent = &space->item[p->parent];
  const char *value = node_text(arena, when->items[0]);
  if (!value) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < parent->category_count; k++) {
    p->parent_value = (double)k;
    if (strcmp(parent->category[k], value) == 0) return CO_OK;
  }
  return co_node_problem(problems, when, NULL,
                         "hyperopt.parameters.%s.when: %s is no category of '%s'", p->path, value,
                         parent->path);
}

// Parents before their children, else as they were given. False where they go in a circle.
static bool sort(co_space *space, co_parameter *sorted, int64_t *place) {
  int64_t done = 0, before;
  for (int64_t i = 0; i < space->count; i++)
    place[i] = -1;
  do {
    before = done;
    for (int64_t i = 0; i < space->count; i++) {
      const co_parameter *p = &space->item[i];
      if (place[i] >= 0 || (p->parent >= 0 && place[p->parent] < 0)) continue;
      place[i] = done;
      sorted[done] = *p;
      if (p->parent >= 0) sorted[done].parent = place[p->parent];
      done++;
    }
  } while (done > before);
  return done == space->count;
}

co_status co_space_parse(co_space *out, const co_node *map, co_arena *arena,
                         co_diagnostics *problems) {
  int64_t before = problems->count;
  *out = (co_space){.count = 0};
  if (!map || map->kind != CO_NODE_MAP || !map->count)
    return co_node_problem(problems, map,
                           "for example parameters: {trainer.learning_rate: {space: loguniform, "
                           "lower: 1.0e-4, upper: 1.0e-2}}",
                           "hyperopt.parameters: there is nothing to vary");
  if (map->count > CO_MOST_PARAMETERS)
    return co_node_problem(problems, map, NULL, "hyperopt.parameters: more than %d",
                           CO_MOST_PARAMETERS);
  size_t count = (size_t)map->count;
  co_parameter *sorted = co_arena_alloc(arena, count, sizeof *sorted);
  const co_node **when = co_arena_alloc(arena, count, sizeof *when);
  int64_t *place = co_arena_alloc(arena, count, sizeof *place);
  out->item = co_arena_alloc(arena, count, sizeof *out->item);
  if (!sorted || !when || !place || !out->item) return CO_ERR_MEMORY;
  out->count = map->count;
  for (int64_t i = 0; i < map->count; i++) {
    const char *path = co_arena_strdup(arena, map->keys[i]);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        parse_parameter(&out->item[i], path, map->items[i], &when[i], arena, problems));
  }
  if (problems->count > before) return CO_OK;
  for (int64_t i = 0; i < map->count; i++)
    CO_RETURN_IF_FAILED(resolve(out, i, when[i], arena, problems));
  if (problems->count > before) return CO_OK;
  if (!sort(out, sorted, place))
    return co_node_problem(problems, map, NULL,
                           "hyperopt.parameters: some depend on each other in a circle");
  out->item = sorted;
  return CO_OK;
}

// ---- values ------------------------------------------------------------------------------------

static double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

// How many values a parameter of whole numbers has.
static double value_count(const co_parameter *p) {
  return (p->upper - p->lower) / p->step + 1;
}

double co_parameter_value(const co_parameter *p, double u) {
  if (p->kind == CO_SPACE_UNIFORM && !p->step)
    return clamp(p->lower + u * (p->upper - p->lower), p->lower, p->upper);
  if (p->kind == CO_SPACE_LOGUNIFORM)
    return clamp(exp(log(p->lower) + u * (log(p->upper) - log(p->lower))), p->lower, p->upper);
  if (p->log) {
    double low = log(p->lower - 0.5), high = log(p->upper + 0.5);
    return clamp(floor(exp(low + u * (high - low)) + 0.5), p->lower, p->upper);
  }
  return clamp(p->lower + floor(u * value_count(p)) * p->step, p->lower, p->upper);
}

double co_parameter_place(const co_parameter *p, double value) {
  if (p->lower == p->upper) return 0.5;
  if (p->kind == CO_SPACE_UNIFORM && !p->step) return (value - p->lower) / (p->upper - p->lower);
  if (p->kind == CO_SPACE_LOGUNIFORM)
    return (log(value) - log(p->lower)) / (log(p->upper) - log(p->lower));
  if (p->log) {
    double low = log(p->lower - 0.5), high = log(p->upper + 0.5);
    return (log(value) - low) / (high - low);
  }
  return ((value - p->lower) / p->step + 0.5) / value_count(p);
}

void co_parameter_cell(const co_parameter *p, double value, double *low, double *high) {
  *low = *high = co_parameter_place(p, value);
  if (!p->step) return;
  if (p->log) {
    double start = log(p->lower - 0.5), range = log(p->upper + 0.5) - start;
    *low = (log(value - 0.5) - start) / range;
    *high = (log(value + 0.5) - start) / range;
  } else {
    *low -= 0.5 / value_count(p);
    *high += 0.5 / value_count(p);
  }
}

double co_parameter_grid(const co_parameter *p, int64_t i) {
  if (p->points == 1) return p->lower;
  double u = (double)i / (double)(p->points - 1);
  if (p->kind == CO_SPACE_UNIFORM)
    return clamp(p->lower + u * (p->upper - p->lower), p->lower, p->upper);
  if (p->log) {
    double value = exp(log(p->lower) + u * (log(p->upper) - log(p->lower)));
    if (p->kind == CO_SPACE_INT) value = floor(value + 0.5);
    return clamp(value, p->lower, p->upper);
  }
  return p->lower + floor(u * (value_count(p) - 1) + 0.5) * p->step;
}

bool co_parameter_holds(const co_parameter *p, double value) {
  if (!(value >= p->lower && value <= p->upper)) return false;
  if (!p->step) return true;
  double k = (value - p->lower) / p->step;
  return fabs(k - floor(k + 0.5)) < 1e-8; // steps of Optuna's may be fractions
}

bool co_category_equals(const char *a, const char *b) {
  char *end_a, *end_b;
  if (strcmp(a, b) == 0) return true;
  double x = strtod(a, &end_a), y = strtod(b, &end_b);
  return end_a != a && end_b != b && !*end_a && !*end_b && x == y;
}

bool co_parameter_read(const co_parameter *p, const co_node *node, co_arena *arena, double *value) {
  if (!p->category_count) return co_node_double(node, value) && co_parameter_holds(p, *value);
  const char *text = node_text(arena, node);
  const char *bare =
      node->kind == CO_NODE_SCALAR ? node->text : ""; // of a list Optuna has its text
  for (int64_t i = 0; text && i < p->category_count; i++) {
    bool nested = *p->category[i] == '[' || *p->category[i] == '{';
    if (!co_category_equals(p->category[i], text) && !(nested && !strcmp(p->category[i], bare)))
      continue;
    *value = (double)i;
    return true;
  }
  return false;
}

bool co_space_counts(const co_space *space, const double *values, int64_t i) {
  const co_parameter *p = &space->item[i];
  return p->parent < 0 ||
         (co_space_counts(space, values, p->parent) && values[p->parent] == p->parent_value);
}

bool co_space_fits(const co_space *space, const double *values) {
  for (int64_t i = 0; i < space->count; i++)
    if (co_space_counts(space, values, i) == isnan(values[i])) return false;
  return true;
}

void co_space_prune(const co_space *space, double *values) {
  for (int64_t i = 0; i < space->count; i++) // parents come first
    if (!co_space_counts(space, values, i)) values[i] = NAN;
}

// ---- text --------------------------------------------------------------------------------------

void co_parameter_print_value(char out[96], const co_parameter *p, double value) {
  if (isnan(value)) {
    snprintf(out, 96, "-");
  } else if (!p->category_count) {
    snprintf(out, 96, "%.6g", value);
  } else {
    const char *text = p->category[(int64_t)value];
    size_t length = strlen(text), quoted = *text == '"' && length > 2;
    snprintf(out, 96, "%.*s", (int)(quoted ? length - 2 : length), text + quoted);
  }
}

const char *co_parameter_name(const co_parameter *p) {
  enum { SHORT = 8 };
  const char *dot = strrchr(p->path, '.');
  if (!dot) return p->path;
  if (strlen(dot) > SHORT) return dot + 1;
  while (dot > p->path && dot[-1] != '.')
    dot--;
  return dot;
}

// ---- JSON --------------------------------------------------------------------------------------

void co_parameter_render_value(co_json *json, const co_parameter *p, double value) {
  if (p->kind == CO_SPACE_CHOICE)
    co_json_raw(json, p->category[(int64_t)value]);
  else if (p->kind == CO_SPACE_INT)
    co_json_int(json, (int64_t)value);
  else
    co_json_double(json, value);
}

void co_space_render_values(co_json *json, const co_space *space, const double *values) {
  co_json_open(json, '{');
  for (int64_t i = 0; i < space->count; i++) {
    if (isnan(values[i])) continue;
    co_json_key(json, space->item[i].path);
    co_parameter_render_value(json, &space->item[i], values[i]);
  }
  co_json_close(json);
}

// ---- configs -----------------------------------------------------------------------------------

static bool is_feature(const co_parameter *p) {
  return strncmp(p->path, "features.", 9) == 0;
}

bool co_space_has_features(const co_space *space) {
  for (int64_t i = 0; i < space->count; i++)
    if (is_feature(&space->item[i])) return true;
  return false;
}

co_status co_space_apply(const co_space *space, const double *values, bool features, co_node **root,
                         co_arena *arena, co_diagnostics *problems) {
  for (int64_t i = 0; i < space->count; i++) {
    const co_parameter *p = &space->item[i];
    if (isnan(values[i]) || is_feature(p) != features) continue;
    co_json json;
    co_json_init(&json, co_arena_context(arena), 0);
    co_parameter_render_value(&json, p, values[i]);
    char *assignment =
        json.text.status == CO_OK ? co_arena_format(arena, "%s=%s", p->path, json.text.data) : NULL;
    co_json_free(&json);
    if (!assignment) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_node_set(root, arena, assignment, problems));
  }
  return CO_OK;
}
