// SPDX-License-Identifier: Apache-2.0
#include "host/tune/settings.h"

#include <string.h>

#include "datasets/folds.h"
#include "host/graph/metric/metric.h"

typedef struct section_options {
  co_tune_settings settings;
  const co_node *parameters, *sampler, *pruner;
} section_options;

typedef struct sampler_options {
  int type; // co_sampler_kind
} sampler_options;

#define AT(member) offsetof(section_options, member)
static const char *const goals[] = {"metric", "minimize", "maximize", NULL};     // co_goal
static const char *const costs[] = {NULL, "parameters", "model_bytes", "flops"}; // co_tune_cost
static const char *const samplers[] = {"auto", "random", "grid", "sobol",
                                       "tpe",  "gp",     NULL}; // co_sampler_kind

static const co_field section_fields[] = {
    {"metric", CO_FIELD_STRING, AT(settings.metric), "null", 0, 0, NULL,
     "[OUTPUT.]ID on validation rows that trials are compared by; the loss if absent.", NULL},
    {"goal", CO_FIELD_ENUM, AT(settings.goal), "metric", 0, 0, goals,
     "minimize or maximize; by default what the metric is better for.", NULL},
    {"second_metric", CO_FIELD_STRING, AT(settings.second), "null", 0, 0, NULL,
     "A second goal: [OUTPUT.]ID as metric has it, or what the model costs: parameters, "
     "model_bytes "
     "(of model.h5), flops (that scoring a row takes, by the plan); seconds are none, since they "
     "would be others in each repetition. Then there is no best trial but a Pareto front: those "
     "that no other one beats in both.",
     NULL},
    {"second_goal", CO_FIELD_ENUM, AT(settings.second_goal), "metric", 0, 0, goals,
     "minimize or maximize; by default what the metric is better for, of costs minimize.", NULL},
    {"sampler", CO_FIELD_NODE, AT(sampler), "null", 0, 0, NULL,
     "How values are chosen: {type: sobol}, or its type alone.", NULL},
    {"pruner", CO_FIELD_NODE, AT(pruner), "null", 0, 0, NULL,
     "Which trials are given up early: {type: median}, or its type alone.", NULL},
    {"lag", CO_FIELD_INT, AT(settings.lag), "2", 1, 1024, NULL,
     "A trial's values are chosen from the results of those up to so many before it, whatever the "
     "number of workers: so many can run at once, and the more there are the less each one knows. "
     "Samplers that look at no results have no such limit, unless there is a pruner.",
     NULL},
    {"threads", CO_FIELD_INT, AT(settings.threads), "1", 1, 4096, NULL, "Of each trial.", NULL},
    {"k_fold", CO_FIELD_INT, AT(settings.k_fold), "0", 0, CO_MAX_FOLDS, NULL,
     "So many folds of all rows but the test split's, each of which validates what the others "
     "train; a "
     "trial's value is the mean. 0: the dataset's own splits.",
     NULL},
    {"seeds", CO_FIELD_INT, AT(settings.seeds), "1", 1, 1000, NULL,
     "Each trial is trained with trainer.seed, + 1, …: so many times, over each fold; its value is "
     "the "
     "mean.",
     NULL},
    {"parameters", CO_FIELD_NODE, AT(parameters), "null", 0, 0, NULL,
     "{PATH: {space: …}}: what is varied, by paths as --set has them.", NULL},
    {.key = NULL}};

static const co_field sampler_fields[] = {
    {"type", CO_FIELD_ENUM, offsetof(sampler_options, type), "auto", 0, 0, samplers,
     "random; grid: every combination of each parameter's points, in order; sobol: a scrambled "
     "Sobol sequence; tpe: a tree-structured Parzen estimator; gp: a Gaussian process with "
     "expected "
     "improvement; auto: gp below 200 trials and 20 parameters, else tpe. The first 10 trials of "
     "the "
     "last three are of a Sobol sequence. Of two goals tpe ranks trials by fronts and hypervolume, "
     "gp weighs the goals anew for each trial (ParEGO).",
     NULL},
    {.key = NULL}};

#define IN(member) offsetof(co_pruner_settings, member)
static const char *const pruners[] = {"none",      "median",   "successive_halving",
                                      "hyperband", "wilcoxon", NULL};

static const co_field pruner_fields[] = {
    {"type", CO_FIELD_ENUM, IN(type), "none", 0, 0, pruners,
     "median: worse than the median of the others at an epoch; successive_halving: at certain "
     "epochs "
     "not among the best; hyperband: the same, with several first epochs; wilcoxon: worse than the "
     "best trial over folds and seeds so far, by a signed-rank test. With k_fold or seeds the "
     "others "
     "train all of a trial's runs together, and compare their means by epoch.",
     NULL},
    {"startup_trials", CO_FIELD_INT, IN(startup_trials), "5", 1, 1e6, NULL,
     "Of the median: so many others must have come to an epoch.", NULL},
    {"warmup_epochs", CO_FIELD_INT, IN(warmup_epochs), "0", 0, 1e6, NULL,
     "Of the median: epochs without pruning.", NULL},
    {"min_resource", CO_FIELD_INT, IN(min_resource), "1", 1, 1e6, NULL,
     "Of the halving ones: the first epoch at which is pruned …", NULL},
    {"reduction_factor", CO_FIELD_INT, IN(reduction_factor), "3", 2, 100, NULL,
     "… of which one in so many goes on, up to so many times the epochs.", NULL},
    {"p_threshold", CO_FIELD_DOUBLE, IN(p_threshold), "0.1", 0, 1, NULL,
     "Of wilcoxon: below which p a trial is given up.", NULL},
    {"startup_steps", CO_FIELD_INT, IN(startup_steps), "2", 1, 1e6, NULL,
     "Of wilcoxon: folds and seeds without pruning.", NULL},
    {"thaw", CO_FIELD_BOOL, IN(thaw), "true", 0, 0, NULL,
     "At the end, pruned trials that would be kept by what is known by then go on, exactly where "
     "they "
     "were.",
     NULL},
    {.key = NULL}};

bool co_tune_describe(int i, const char **path, const char **doc, const co_field **fields) {
  const struct {
    const char *path, *doc;
    const co_field *fields;
  } tables[] = {
      {"hyperopt", "What `cohort hyperopt` searches for, and how.", section_fields},
      {"hyperopt.sampler", "How the values of a trial are chosen.", sampler_fields},
      {"hyperopt.pruner", "Which trials are given up early.", pruner_fields},
      {"hyperopt.parameters.PATH", "The values that a parameter may have.", co_space_fields()}};
  if (i < 0 || (size_t)i >= sizeof tables / sizeof *tables) return false;
  *path = tables[i].path;
  *doc = tables[i].doc;
  *fields = tables[i].fields;
  return true;
}

// `sampler: random` is `sampler: {type: random}`.
static co_status as_map(const co_node **node, const char *key, co_arena *arena) {
  if (!*node || (*node)->kind != CO_NODE_SCALAR) return CO_OK;
  co_node *map = co_arena_alloc(arena, 1, sizeof *map);
  const char **keys = co_arena_alloc(arena, 1, sizeof *keys);
  co_node **items = co_arena_alloc(arena, 1, sizeof *items);
  if (!map || !keys || !items) return CO_ERR_MEMORY;
  *map = **node;
  map->kind = CO_NODE_MAP;
  map->count = 1;
  map->keys = keys;
  map->items = items;
  keys[0] = key;
  items[0] = (co_node *)*node;
  *node = map;
  return CO_OK;
}

static co_status wrong(co_diagnostics *problems, const co_node *at, const char *message) {
  return co_diagnostics_add(problems, CO_ERR_CONFIG, at ? at->file : NULL, at ? at->line : 0,
                            at ? at->column : 0, NULL, "%s", message);
}

static const char *canonical(co_arena *arena, const char *given) {
  const char *dot = strrchr(given, '.');
  return dot ? co_arena_format(arena, "%.*s%s", (int)(dot + 1 - given), given,
                               co_metric_canonical(dot + 1))
             : co_metric_canonical(given);
}

static co_status check_goals(co_tune_settings *s, const co_node *section,
                             co_diagnostics *problems) {
  const co_node *at = co_node_get(section, "second_metric");
  const char *first = s->metric ? s->metric : "loss";
  if (!s->second)
    return s->second_goal == CO_GOAL_METRIC
               ? CO_OK
               : wrong(problems, section, "hyperopt.second_goal: there is no second_metric");
  for (int i = 1; i <= CO_COST_FLOPS; i++)
    if (strcmp(s->second, costs[i]) == 0) s->cost = (co_tune_cost)i;
  if (strcmp(s->second, first) == 0)
    CO_RETURN_IF_FAILED(
        wrong(problems, at, "hyperopt.second_metric: it is the first goal already"));
  if (s->pruner.type != CO_PRUNER_NONE)
    return wrong(
        problems, at,
        "hyperopt.second_metric: a pruner compares by one goal; leave hyperopt.pruner out");
  return CO_OK;
}

// What prunes by folds and seeds needs several.
static co_status check_parts(const section_options *o, co_diagnostics *problems) {
  const co_tune_settings *s = &o->settings;
  bool several = co_tune_parts(s) > 1, wilcoxon = s->pruner.type == CO_PRUNER_WILCOXON;
  if (s->k_fold == 1)
    CO_RETURN_IF_FAILED(
        wrong(problems, o->pruner, "hyperopt.k_fold: one fold leaves nothing to train"));
  return wilcoxon && !several
             ? wrong(problems, o->pruner,
                     "hyperopt.pruner: wilcoxon compares over folds and seeds; set k_fold or seeds")
             : CO_OK;
}

co_status co_tune_settings_parse(co_tune_settings *out, const co_node *root, co_arena *arena,
                                 co_diagnostics *problems) {
  section_options options;
  sampler_options sampler;
  const co_node *section = co_node_get(root, "hyperopt");
  memset(&options, 0, sizeof options);
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, section_fields, section, "hyperopt", arena, problems));
  CO_RETURN_IF_FAILED(as_map(&options.sampler, "type", arena));
  CO_RETURN_IF_FAILED(co_fields_parse(&sampler, sampler_fields, options.sampler, "hyperopt.sampler",
                                      arena, problems));
  CO_RETURN_IF_FAILED(as_map(&options.pruner, "type", arena));
  CO_RETURN_IF_FAILED(co_fields_parse(&options.settings.pruner, pruner_fields, options.pruner,
                                      "hyperopt.pruner", arena, problems));
  CO_RETURN_IF_FAILED(co_space_parse(&options.settings.space, options.parameters, arena, problems));
  const char *given[2] = {options.settings.metric, options.settings.second};
  if (given[0]) options.settings.metric = canonical(arena, given[0]);
  if (given[1]) options.settings.second = canonical(arena, given[1]);
  if ((given[0] && !options.settings.metric) || (given[1] && !options.settings.second))
    return CO_ERR_MEMORY;
  options.settings.sampler = sampler.type;
  CO_RETURN_IF_FAILED(check_goals(&options.settings, section, problems));
  *out = options.settings;
  return problems->count ? CO_OK : check_parts(&options, problems);
}
