// SPDX-License-Identifier: Apache-2.0
#include "host/train/settings.h"

#include <string.h>

#include "host/eval/golden.h"
#include "host/graph/metric/metric.h"

// Nested sections are read by their own tables below.
typedef struct section_options {
  co_trainer_settings settings;
  const char *precision; // its name
  const co_node *optimizer, *schedule, *clipping, *ema, *checkpoint, *phases, *param_groups;
} section_options;

#define IN(member) offsetof(section_options, settings.member)

static const char *const nan_policies[] = {"stop", "skip", "rollback", NULL}; // co_nan_policy

static const co_field trainer_fields[] = {
    {"max_epochs", CO_FIELD_INT, IN(max_epochs), "10", 1, 1e9, NULL,
     "Passes over the training rows.", "epochs"},
    {"max_steps", CO_FIELD_INT, IN(max_steps), "0", 0, 1e15, NULL,
     "Updates after which training ends; 0 = by max_epochs alone.", NULL},
    {"min_steps", CO_FIELD_INT, IN(min_steps), "0", 0, 1e15, NULL,
     "Of few rows more than max_epochs, until there are so many updates, but where max_steps is "
     "given.",
     NULL},
    {"batch_size", CO_FIELD_INT, IN(batch_size), "128", 1, 1 << 24, NULL,
     "Rows of a (micro-)batch.", NULL},
    {"eval_batch_size", CO_FIELD_INT, IN(eval_batch_size), "256", 1, 1 << 24, NULL,
     "Rows of a batch in evaluation and scoring; fewer where probabilities of classes would "
     "take more than 32 MiB.",
     NULL},
    {"overfit_batches", CO_FIELD_INT, IN(overfit_batches), "0", 0, 1e9, NULL,
     "Training on so many batches of rows alone, on which is validated, too: a network that can "
     "learn "
     "comes to a loss of about 0; 0 = all rows.",
     NULL},
    {"accumulate_grad_batches", CO_FIELD_INT, IN(accumulate_grad_batches), "1", 1, 65536, NULL,
     "Micro-batches whose gradients add up to one update.", NULL},
    {"learning_rate", CO_FIELD_DOUBLE, IN(learning_rate), "1.0e-3", 0, 1e6, NULL, "Base step size.",
     NULL},
    {"seed", CO_FIELD_INT, IN(seed), "42", 0, 9e18, NULL,
     "Start of every random choice: weights, order, dropout, augmentation.", "random_seed"},
    {"threads", CO_FIELD_INT, IN(threads), "0", 0, 4096, NULL,
     "Compute threads, which decide in which order sums are made; 0 = as the machine has. "
     "--threads "
     "overrides it.",
     NULL},
    {"steps_per_checkpoint", CO_FIELD_INT, IN(steps_per_checkpoint), "0", 0, 1e15, NULL,
     "Updates between checkpoints; 0 = at the end of each epoch.", NULL},
    {"early_stop", CO_FIELD_INT, IN(early_stop), "0", -1, 1e6, NULL,
     "Epochs without a better validation metric after which training ends; 0 or -1 = never.", NULL},
    {"early_stop_min_delta", CO_FIELD_DOUBLE, IN(early_stop_min_delta), "0.0", 0, 1e30, NULL,
     "By how much a validation metric has to be better to count as such.", NULL},
    {"refit", CO_FIELD_BOOL, IN(refit), "false", 0, 0, NULL,
     "Once validation rows have chosen the best epoch, train anew on training and validation rows "
     "for "
     "so many epochs, and ship that model (`train --refit`; experiments and searches leave it "
     "aside).",
     NULL},
    {"log_every_n_steps", CO_FIELD_INT, IN(log_every_n_steps), "50", 1, 1e9, NULL,
     "Updates between records in metrics.jsonl.", NULL},
    {"tensorboard_details", CO_FIELD_INT, IN(tensorboard_details), "10", 0, 1e6, NULL,
     "Epochs, evenly spread, after which histograms of weights and gradients and pictures go to "
     "RUN/tb; 0 = scalars alone.",
     NULL},
    {"precision", CO_FIELD_STRING, offsetof(section_options, precision), "tf32", 0, 0, NULL,
     "tf32: f32, products may round to TF32 where the device can; 32: f32 strictly; bf16: data in "
     "bf16, weights and sums in f32.",
     NULL},
    {"golden_rows", CO_FIELD_INT, IN(golden_rows), "16", 0, CO_GOLDEN_ROWS, NULL,
     "Training rows that the model keeps as they are, texts as they were written; before others "
     "are "
     "scored these have to score as they did in training. 0: none, and nothing is checked.",
     NULL},
    {"deterministic", CO_FIELD_BOOL, IN(deterministic), "true", 0, 0, NULL,
     "Equal inputs give equal bytes.", NULL},
    {"validation_metric", CO_FIELD_STRING, IN(validation_metric), "null", 0, 0, NULL,
     "[OUTPUT.]ID that chooses the best checkpoint; the loss if absent.", NULL},
    {"on_nan", CO_FIELD_ENUM, IN(on_nan), "stop", 0, 0, nan_policies,
     "When a gradient is not finite: stop; skip: leave the update out and go on; rollback: go on "
     "from "
     "the last checkpoint of the schedule at half the learning rate, at most 8 times.",
     NULL},
    {"optimizer", CO_FIELD_NODE, offsetof(section_options, optimizer), "null", 0, 0, NULL,
     "{type: adam, …}", NULL},
    {"learning_rate_scheduler", CO_FIELD_NODE, offsetof(section_options, schedule), "null", 0, 0,
     NULL, "{decay: cosine, warmup_fraction: 0.05}", NULL},
    {"gradient_clipping", CO_FIELD_NODE, offsetof(section_options, clipping), "null", 0, 0, NULL,
     "{clip_global_norm: 1.0}", NULL},
    {"ema", CO_FIELD_NODE, offsetof(section_options, ema), "null", 0, 0, NULL, "{decay: 0.998}",
     NULL},
    {"checkpoint", CO_FIELD_NODE, offsetof(section_options, checkpoint), "null", 0, 0, NULL,
     "{keep_last: 2}", NULL},
    {"param_groups", CO_FIELD_NODE, offsetof(section_options, param_groups), "null", 0, 0, NULL,
     "Parameters with a learning rate of their own, or frozen: [{params: [image], learning_rate: "
     "1.0e-4}, …].",
     NULL},
    {"phases", CO_FIELD_NODE, offsetof(section_options, phases), "null", 0, 0, NULL,
     "Networks that are trained in turn: [{losses: [real], groups: [image, real]}, …]; all at once "
     "if "
     "absent.",
     NULL},
    {.key = NULL}};

// What of it something else than a network has as well.
static const char *const shared_keys[] = {"eval_batch_size", "seed",          "random_seed",
                                          "threads",         "deterministic", "validation_metric",
                                          "golden_rows"};
static const co_field shared_fields[] = {
    {"eval_batch_size", CO_FIELD_INT, IN(eval_batch_size), "256", 1, 1 << 24, NULL, "", NULL},
    {"seed", CO_FIELD_INT, IN(seed), "42", 0, 9e18, NULL, "", NULL},
    {"threads", CO_FIELD_INT, IN(threads), "0", 0, 4096, NULL, "", NULL},
    {"golden_rows", CO_FIELD_INT, IN(golden_rows), "16", 0, CO_GOLDEN_ROWS, NULL, "", NULL},
    {"deterministic", CO_FIELD_BOOL, IN(deterministic), "true", 0, 0, NULL, "", NULL},
    {"validation_metric", CO_FIELD_STRING, IN(validation_metric), "null", 0, 0, NULL, "", NULL},
    {.key = NULL}};

typedef struct clipping_options {
  double clip_global_norm, clip_value;
} clipping_options;

static const co_field clipping_fields[] = {
    {"clip_global_norm", CO_FIELD_DOUBLE, offsetof(clipping_options, clip_global_norm), "0.0", 0,
     1e30, NULL, "Longest gradient over all parameters; 0 = off.", NULL},
    {"clip_value", CO_FIELD_DOUBLE, offsetof(clipping_options, clip_value), "0.0", 0, 1e30, NULL,
     "Largest size of each element of the gradient, after the norm; 0 = off.", "clipvalue"},
    {.key = NULL}};

typedef struct ema_options {
  double decay;
} ema_options;

static const co_field ema_fields[] = {
    {"decay", CO_FIELD_DOUBLE, offsetof(ema_options, decay), "0.0", 0, 0.9999999, NULL,
     "Of an exponential moving average of the weights, at most (1 + t) / (10 + t) after update t. "
     "Validation reads it, checkpoints and models hold it as their weights; 0 = off.",
     NULL},
    {.key = NULL}};

typedef struct checkpoint_options {
  int64_t keep_last;
} checkpoint_options;

static const co_field checkpoint_fields[] = {{"keep_last", CO_FIELD_INT,
                                              offsetof(checkpoint_options, keep_last), "2", 1, 1000,
                                              NULL, "Checkpoints kept beside the best one.", NULL},
                                             {.key = NULL}};

// ---- reading -----------------------------------------------------------------------------------

// Read by their own tables.
static const co_field section_fields[] = {
    {"version", CO_FIELD_INT, 0, "1", 1, 1, NULL, "Of the config's form.", NULL},
    {"dataset", CO_FIELD_NODE, 0, "null", 0, 0, NULL, "Which data, if not by --dataset.", NULL},
    {"input_features", CO_FIELD_NODE, 0, "all", 0, 0, NULL, "A list, or `all` input columns.",
     NULL},
    {"defaults", CO_FIELD_NODE, 0, "null", 0, 0, NULL, "Settings of features by their type.", NULL},
    {"event_encoder", CO_FIELD_NODE, 0, "null", 0, 0, NULL,
     "Layers over the joined columns of a table of events: {type: …}; `cohort help encoders`.",
     NULL},
    {"combiner", CO_FIELD_NODE, 0, "null", 0, 0, NULL, "What joins the inputs.", NULL},
    {"bottleneck", CO_FIELD_NODE, 0, "null", 0, 0, NULL,
     "A small layer behind the combiner: codes, `predict --columns embedding`.", NULL},
    {"output_features", CO_FIELD_NODE, 0, "targets", 0, 0, NULL, "A list, or all `targets`.", NULL},
    {"predictor", CO_FIELD_NODE, 0, "{type: network}", 0, 0, NULL,
     "{type: linear, …}: what is trained; `cohort help predictors` lists them.", NULL},
    {"baselines", CO_FIELD_NODE, 0, "auto", 0, 0, NULL,
     "What is fitted beside a network and measured with it: auto (of a table, those that can be "
     "had of prior, logistic or linear, boosted_trees (these of at most 1000 classes); of "
     "texts bag_of_words; of repurchase "
     "bg_nbd, pareto_nbd; of next items popularity, personal_frequency, weighted_frequency, "
     "repeat_logistic, markov, item_knn), none, or a list: `cohort help baselines`.",
     NULL},
    {"blend", CO_FIELD_NODE, 0, "null", 0, 0, NULL,
     "A baseline that a network's predictions are mixed with, by a weight of each output that is "
     "chosen on validation rows: of next items repeat_logistic, say, of texts bag_of_words, of "
     "purchases bg_nbd, of columns logistic.",
     NULL},
    {"trainer", CO_FIELD_NODE, 0, "null", 0, 0, NULL, "How it is trained.", NULL},
    {"hyperopt", CO_FIELD_NODE, 0, "null", 0, 0, NULL,
     "What `cohort hyperopt` searches for; all others leave it alone. `cohort help hyperopt`.",
     NULL},
    {.key = NULL}};

typedef struct dataset_options {
  const char *path;
} dataset_options;

static const co_field dataset_fields[] = {{"path", CO_FIELD_STRING, offsetof(dataset_options, path),
                                           "null", 0, 0, NULL,
                                           "The dataset.h5; --dataset overrides it.", NULL},
                                          {.key = NULL}};

bool co_settings_describe(int i, const char **path, const char **doc, const co_field **fields) {
  static const struct {
    const char *path, *doc;
    const co_field *fields;
  } tables[] = {
      {"", "The sections of a config.", section_fields},
      {"dataset", "Which data.", dataset_fields},
      {"trainer", "How the model is trained.", trainer_fields},
      {"trainer.learning_rate_scheduler", "How the learning rate moves.", co_schedule_fields},
      {"trainer.gradient_clipping", "What is done about large gradients.", clipping_fields},
      {"trainer.ema", "A moving average of the weights.", ema_fields},
      {"trainer.checkpoint", "Which checkpoints are kept.", checkpoint_fields},
      {"trainer.param_groups", "Parameters that are trained otherwise, or not at all.",
       co_param_group_fields},
      {"trainer.phases", "What is trained in its turn.", co_phase_fields}};
  if (i < 0 || (size_t)i >= sizeof tables / sizeof *tables) return false;
  *path = tables[i].path;
  *doc = tables[i].doc;
  *fields = tables[i].fields;
  return true;
}

static const char *const later[] = {"evaluation", "privacy", "model_type"};

static co_status check_sections(const co_node *root, co_arena *arena, co_diagnostics *problems) {
  const char *sections[16];
  int64_t section_count = 0;
  for (; section_fields[section_count].key; section_count++)
    sections[section_count] = section_fields[section_count].key;
  for (int64_t i = 0; i < root->count; i++) {
    const char *key = root->keys[i];
    bool known = false;
    for (int64_t k = 0; k < section_count; k++)
      known = known || strcmp(key, sections[k]) == 0;
    if (known) continue;
    bool planned = false;
    for (size_t k = 0; k < sizeof later / sizeof *later; k++)
      planned = planned || strcmp(key, later[k]) == 0;
    const char *near = co_nearest(key, sections, section_count);
    co_node place = *root->items[i];
    place.line = place.key_line;
    place.column = place.key_column;
    CO_RETURN_IF_FAILED(
        co_node_problem(problems, &place, planned ? "remove it for now" : NULL, "%s: %s%s%s%s", key,
                        planned ? "this section is not there yet" : "unknown key",
                        !planned && near ? "; did you mean '" : "", !planned && near ? near : "",
                        !planned && near ? "'?" : ""));
  }
  dataset_options ignored;
  CO_RETURN_IF_FAILED(co_fields_parse(&ignored, dataset_fields, co_node_get(root, "dataset"),
                                      "dataset", arena, problems));
  const co_node *version = co_node_get(root, "version");
  int64_t number = 1;
  if (version && (!co_node_int(version, &number) || number != 1))
    return co_node_problem(problems, version, NULL, "version: this program reads version 1");
  return CO_OK;
}

static co_status assign(co_node **root, co_arena *arena, const char *const *assignments,
                        int64_t count, co_diagnostics *problems) {
  for (int64_t i = 0; i < count; i++)
    CO_RETURN_IF_FAILED(co_node_set(root, arena, assignments[i], problems));
  return check_sections(*root, arena, problems);
}

co_status co_settings_read(co_node **root, co_arena *arena, const char *const *files,
                           int64_t file_count, const char *const *assignments,
                           int64_t assignment_count, co_diagnostics *problems) {
  *root = NULL;
  for (int64_t i = 0; i < file_count; i++) {
    co_node *tree = NULL;
    CO_RETURN_IF_FAILED(co_yaml_read_file(&tree, arena, files[i], problems));
    if (tree && tree->kind != CO_NODE_MAP) {
      CO_RETURN_IF_FAILED(
          co_node_problem(problems, tree, NULL, "a config is a map of sections, this is not"));
    } else if (tree) {
      CO_RETURN_IF_FAILED(co_node_merge(root, arena, tree));
    }
  }
  if (!*root) CO_RETURN_IF_FAILED(co_yaml_parse(root, arena, "config", "{}", 2, problems));
  return assign(root, arena, assignments, assignment_count, problems);
}

co_status co_settings_read_text(co_node **root, co_arena *arena, const char *name, const char *text,
                                const char *const *assignments, int64_t assignment_count,
                                co_diagnostics *problems) {
  CO_RETURN_IF_FAILED(co_yaml_parse(root, arena, name, text, strlen(text), problems));
  return assign(root, arena, assignments, assignment_count, problems);
}

static co_status check_schedule(const co_schedule_options *schedule, const co_node *node,
                                co_diagnostics *problems) {
  static const char path[] = "trainer.learning_rate_scheduler";
  const co_decay decay = (co_decay)schedule->decay;
  const bool steps =
      decay == CO_DECAY_STEP || decay == CO_DECAY_EXPONENTIAL || decay == CO_DECAY_COSINE_RESTARTS;
  if (decay == CO_DECAY_NONE && schedule->minimum_fraction > 0)
    return co_node_problem(
        problems, co_node_get(node, "minimum_fraction"),
        "add decay: cosine or decay: linear, or remove it",
        "%s.minimum_fraction: without a decay the learning rate stays at its base", path);
  if (decay == CO_DECAY_ONE_CYCLE &&
      (schedule->minimum_fraction > 0 || schedule->warmup_fraction > 0))
    return co_node_problem(problems, node, NULL,
                           "%s: one_cycle has a warm-up and an end of its own", path);
  if (steps && !schedule->decay_steps)
    return co_node_problem(problems, node, "for example decay_steps: 1000",
                           "%s.decay_steps: is required of this decay", path);
  if (!steps && schedule->decay_steps)
    return co_node_problem(problems, co_node_get(node, "decay_steps"),
                           "add decay: step or decay: exponential, or remove it",
                           "%s.decay_steps: this decay has none", path);
  if (decay != CO_DECAY_POLYNOMIAL && schedule->power != 1)
    return co_node_problem(problems, co_node_get(node, "power"),
                           "add decay: polynomial, or remove it", "%s.power: this decay has none",
                           path);
  if (decay != CO_DECAY_COSINE_RESTARTS && schedule->restart_factor != 1)
    return co_node_problem(problems, co_node_get(node, "restart_factor"),
                           "add decay: cosine_restarts, or remove it",
                           "%s.restart_factor: this decay has none", path);
  return CO_OK;
}

// What goes by epochs needs a metric: the sum of losses that work against each other is none.
static co_status check_choice(const co_trainer_settings *settings, const co_node *phases,
                              co_diagnostics *problems) {
  const char *key = settings->refit                                ? "refit"
                    : settings->early_stop > 0                     ? "early_stop"
                    : settings->schedule.decay == CO_DECAY_PLATEAU ? "learning_rate_scheduler"
                                                                   : NULL;
  if (!settings->phases.count || settings->validation_metric || !key) return CO_OK;
  return co_node_problem(problems, phases, "add validation_metric: [OUTPUT.]ID",
                         "trainer.%s: with phases it needs a metric to go by", key);
}

static co_status parse_phases(section_options *options, co_arena *arena, co_diagnostics *problems) {
  const co_phase_settings trainer = {.learning_rate = options->settings.learning_rate,
                                     .optimizer = options->settings.optimizer};
  CO_RETURN_IF_FAILED(
      co_phases_parse(&options->settings.phases, options->phases, &trainer, arena, problems));
  CO_RETURN_IF_FAILED(co_param_groups_parse(&options->settings.param_groups, options->param_groups,
                                            &trainer, arena, problems));
  if (options->settings.param_groups.count && options->settings.phases.count)
    CO_RETURN_IF_FAILED(co_node_problem(
        problems, options->param_groups, "let layers say trainable: false",
        "trainer.param_groups: each phase has groups and a learning rate of its own"));
  return check_choice(&options->settings, options->phases, problems);
}

// "[OUTPUT.]ID" with the canonical id.
static co_status parse_metric(co_trainer_settings *out, co_arena *arena) {
  const char *given = out->validation_metric;
  const char *dot = given ? strrchr(given, '.') : NULL;
  if (!given) return CO_OK;
  out->validation_metric = dot ? co_arena_format(arena, "%.*s%s", (int)(dot + 1 - given), given,
                                                 co_metric_canonical(dot + 1))
                               : co_metric_canonical(given);
  return out->validation_metric ? CO_OK : CO_ERR_MEMORY;
}

static co_status parse_precision(co_trainer_settings *out, const char *text, const co_node *trainer,
                                 co_diagnostics *problems) {
  if (!text || co_precision_parse(&out->precision, text, "trainer.precision:") == CO_OK)
    return CO_OK;
  co_error error;
  co_error_copy(&error);
  co_error_clear();
  return co_node_problem(problems, co_node_get(trainer, "precision"), error.hint, "%s",
                         error.message);
}

static bool is_shared(const char *key) {
  for (size_t i = 0; i < sizeof shared_keys / sizeof *shared_keys; i++)
    if (strcmp(shared_keys[i], key) == 0) return true;
  return false;
}

// Keys of the trainer that only networks have, beside another predictor.
static co_status check_shared(const co_node *trainer, const char *type, co_diagnostics *problems) {
  for (int64_t i = 0; trainer && trainer->kind == CO_NODE_MAP && i < trainer->count; i++) {
    if (is_shared(trainer->keys[i])) continue;
    co_node place = *trainer->items[i];
    place.line = place.key_line;
    place.column = place.key_column;
    CO_RETURN_IF_FAILED(co_node_problem(
        problems, &place, "remove it, or leave `predictor` out",
        "trainer.%s: only networks have it, not a predictor of type %s", trainer->keys[i], type));
  }
  return CO_OK;
}

co_status co_settings_parse_trainer(co_trainer_settings *out, const co_node *root, co_arena *arena,
                                    co_diagnostics *problems) {
  section_options options;
  clipping_options clipping;
  ema_options ema;
  checkpoint_options checkpoint;
  memset(&options, 0, sizeof options);
  CO_RETURN_IF_FAILED(co_fields_parse(&options, trainer_fields, co_node_get(root, "trainer"),
                                      "trainer", arena, problems));
  CO_RETURN_IF_FAILED(parse_metric(&options.settings, arena));
  CO_RETURN_IF_FAILED(parse_precision(&options.settings, options.precision,
                                      co_node_get(root, "trainer"), problems));
  CO_RETURN_IF_FAILED(co_optimizer_settings_parse(&options.settings.optimizer, options.optimizer,
                                                  "trainer.optimizer", arena, problems));
  CO_RETURN_IF_FAILED(co_fields_parse(&options.settings.schedule, co_schedule_fields,
                                      options.schedule, "trainer.learning_rate_scheduler", arena,
                                      problems));
  CO_RETURN_IF_FAILED(check_schedule(&options.settings.schedule, options.schedule, problems));
  CO_RETURN_IF_FAILED(parse_phases(&options, arena, problems));
  CO_RETURN_IF_FAILED(co_fields_parse(&clipping, clipping_fields, options.clipping,
                                      "trainer.gradient_clipping", arena, problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(&ema, ema_fields, options.ema, "trainer.ema", arena, problems));
  CO_RETURN_IF_FAILED(co_fields_parse(&checkpoint, checkpoint_fields, options.checkpoint,
                                      "trainer.checkpoint", arena, problems));
  co_predictor_settings *predictor = &options.settings.predictor;
  CO_RETURN_IF_FAILED(co_predictor_settings_parse(predictor, root, arena, problems));
  CO_RETURN_IF_FAILED(co_baseline_settings_parse(&options.settings.baselines, root, problems));
  if (predictor->class_ && co_node_get(root, "baselines"))
    CO_RETURN_IF_FAILED(co_node_problem(
        problems, co_node_get(root, "baselines"), "remove it, or leave `predictor` out",
        "baselines: stand beside networks, not a predictor of type %s", predictor->class_->name));
  if (predictor->class_)
    CO_RETURN_IF_FAILED(
        check_shared(co_node_get(root, "trainer"), predictor->class_->name, problems));
  options.settings.clip_norm = clipping.clip_global_norm;
  options.settings.ema_decay = ema.decay;
  options.settings.clip_value = clipping.clip_value;
  options.settings.keep_last = checkpoint.keep_last;
  *out = options.settings;
  return CO_OK;
}

co_status co_settings_phases(co_phase_options *out, int64_t *count,
                             const co_trainer_settings *settings, const co_graph *graph,
                             co_diagnostics *problems) {
  const co_phase_options common = {.optimizer = settings->optimizer.class_,
                                   .optimizer_options = settings->optimizer.options,
                                   .clip_norm = settings->clip_norm,
                                   .ema_decay = settings->ema_decay,
                                   .clip_value = settings->clip_value};
  return co_phases_resolve(out, count, &settings->phases, &common, graph, problems);
}

const char *co_settings_dataset(const co_node *root) {
  const co_node *dataset = co_node_get(root, "dataset");
  const co_node *path = dataset ? co_node_get(dataset, "path") : NULL;
  return path && path->kind == CO_NODE_SCALAR ? path->text : NULL;
}

// ---- rendering ---------------------------------------------------------------------------------

static void render_shared(co_json *json, const co_trainer_settings *settings) {
  section_options options = {.settings = *settings};
  co_json_open(json, '{');
  co_fields_render(json, shared_fields, &options);
  co_json_close(json);
}

static void render_trainer(co_json *json, const co_trainer_settings *settings) {
  section_options options;
  memset(&options, 0, sizeof options);
  options.settings = *settings;
  options.precision = co_precision_name(settings->precision);
  co_json_open(json, '{');
  // Sections (fields of kind NODE) are absent here and follow in full.
  co_fields_render(json, trainer_fields, &options);
  co_json_key(json, "optimizer");
  co_optimizer_settings_render(json, &settings->optimizer);
  co_json_key(json, "learning_rate_scheduler");
  co_json_open(json, '{');
  co_fields_render(json, co_schedule_fields, &settings->schedule);
  co_json_close(json);
  clipping_options clipping = {settings->clip_norm, settings->clip_value};
  co_json_key(json, "gradient_clipping");
  co_json_open(json, '{');
  co_fields_render(json, clipping_fields, &clipping);
  co_json_close(json);
  ema_options ema = {settings->ema_decay};
  co_json_key(json, "ema");
  co_json_open(json, '{');
  co_fields_render(json, ema_fields, &ema);
  co_json_close(json);
  checkpoint_options checkpoint = {settings->keep_last};
  co_json_key(json, "checkpoint");
  co_json_open(json, '{');
  co_fields_render(json, checkpoint_fields, &checkpoint);
  co_json_close(json);
  if (settings->phases.count) {
    co_json_key(json, "phases");
    co_phases_render(json, &settings->phases);
  }
  if (settings->param_groups.list) {
    co_json_key(json, "param_groups");
    co_node_render(json, settings->param_groups.list);
  }
  co_json_close(json);
}

co_status co_settings_render(co_json *json, const co_node *root,
                             const co_trainer_settings *settings) {
  static const char *const model_sections[] = {"input_features", "defaults",   "event_encoder",
                                               "combiner",       "bottleneck", "output_features"};
  co_json_open(json, '{');
  co_json_key(json, "version");
  co_json_int(json, 1);
  for (size_t i = 0; i < sizeof model_sections / sizeof *model_sections; i++) {
    const co_node *node = co_node_get(root, model_sections[i]);
    if (!node) continue;
    co_json_key(json, model_sections[i]);
    co_node_render(json, node);
  }
  if (settings->predictor.class_)
    co_predictor_settings_render(json, &settings->predictor);
  else
    co_baseline_settings_render(json, &settings->baselines);
  co_json_key(json, "trainer");
  if (settings->predictor.class_)
    render_shared(json, settings);
  else
    render_trainer(json, settings);
  co_json_close(json);
  return json->text.status;
}
