// SPDX-License-Identifier: Apache-2.0
// cohort_describe: what configs may say, from the same tables that parse them.
#include <stdio.h>
#include <string.h>

#include "host/api/api.h"
#include "host/eval/estimator.h"
#include "host/eval/image_quality.h"
#include "host/graph/layer.h"
#include "host/graph/metric/metric.h"
#include "host/train/settings.h"
#include "host/tune/settings.h"
#include "models/encoders.h"
#include "models/layers.h"
#include "models/model.h"

typedef struct listing {
  cohort_result *result;
  const char *topic;
  const char *only; // the entry of that name; NULL = all
  const char *last; // the name of the entry before
  int64_t found;
} listing;

static const char *type_name(co_field_type type) {
  static const char *const names[] = {"true|false", "integer", "number", "text",
                                      "word",       "pair",    "section"};
  return names[type];
}

static void describe_field(cohort_result *result, const co_field *field) {
  co_json *json = &result->json;
  co_json_open(json, '{');
  co_json_key(json, "key");
  co_json_string(json, field->key);
  co_json_key(json, "type");
  co_json_string(json, type_name(field->type));
  co_json_key(json, "default");
  co_json_string(json, field->fallback);
  co_json_key(json, "doc");
  co_json_string(json, field->doc);
  co_text_printf(&result->text, "    %-24s %-10s %-10s %s", field->key, type_name(field->type),
                 !field->fallback                       ? "required"
                 : strcmp(field->fallback, "null") == 0 ? "-"
                                                        : field->fallback,
                 field->doc);
  if (field->words) {
    co_json_key(json, "words");
    co_json_open(json, '[');
    co_text_printf(&result->text, " (");
    for (int i = 0; field->words[i]; i++) {
      co_json_string(json, field->words[i]);
      co_text_printf(&result->text, "%s%s", i ? ", " : "", field->words[i]);
    }
    co_text_printf(&result->text, ")");
    co_json_close(json);
  }
  if (field->alias) {
    co_json_key(json, "alias");
    co_json_string(json, field->alias);
    co_text_printf(&result->text, " (also %s)", field->alias);
  }
  co_text_printf(&result->text, "\n");
  co_json_close(json);
}

// "optimizer" is as good as "trainer.optimizer".
static bool is_asked(const listing *list, const char *name) {
  if (!list->only || strcmp(list->only, name) == 0) return true;
  const size_t topic = strlen(list->topic), length = strlen(list->only);
  return strncmp(name, list->topic, topic) == 0 && name[topic] == '.' &&
         strncmp(name + topic + 1, list->only, length) == 0 &&
         (!name[topic + 1 + length] || name[topic + 1 + length] == '.');
}

static void describe_entry(listing *list, const char *name, const char *doc,
                           const co_field *fields) {
  cohort_result *result = list->result;
  co_json *json = &result->json;
  if (!is_asked(list, name)) return;
  if (!list->found++) co_text_printf(&result->text, "%s\n", list->topic);
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, name);
  co_json_key(json, "doc");
  co_json_string(json, doc);
  // Several tables of one section have one heading.
  const bool again = list->last && strcmp(list->last, name) == 0;
  co_text_printf(&result->text, "  %-32s %s\n", again ? "" : name, doc);
  list->last = name;
  co_json_key(json, "options");
  co_json_open(json, '[');
  for (int i = 0; fields && fields[i].key; i++)
    describe_field(result, &fields[i]);
  co_json_close(json);
  co_json_close(json);
}

static void describe_layers(listing *list) {
  describe_entry(list, "{LAYER: OPTIONS, …}",
                 "Any layer; beside its name may stand:", co_layer_item_fields);
  for (int i = 0; co_layer_list()[i]; i++)
    describe_entry(list, co_layer_list()[i]->name, co_layer_list()[i]->doc,
                   co_layer_list()[i]->fields);
}

static void describe_encoders(listing *list) {
  const char *name, *doc;
  const co_field *fields;
  for (int i = 0; co_encoder_describe(i, &name, &doc, &fields); i++)
    describe_entry(list, name, doc, fields);
}

static void describe_losses(listing *list) {
  for (int i = 0; co_loss_list()[i]; i++)
    describe_entry(list, co_loss_list()[i]->name, co_loss_list()[i]->doc,
                   co_loss_list()[i]->fields);
}

static void describe_metrics(listing *list) {
  for (int i = 0; co_metric_list()[i]; i++)
    describe_entry(list, co_metric_list()[i]->name, co_metric_list()[i]->doc, NULL);
  for (int i = 0; i < CO_IMAGE_METRICS; i++)
    describe_entry(list, co_image_metrics[i].name, co_image_metrics[i].doc, NULL);
  for (int i = 0; co_loss_list()[i]; i++)
    describe_entry(list, co_loss_list()[i]->metric, co_loss_list()[i]->doc, NULL);
}

static void describe_optimizers(listing *list) {
  static const co_field type[] = {{"type", CO_FIELD_STRING, 0, "adam", 0, 0, NULL,
                                   "One of those below, whose options stand beside it.", NULL},
                                  {.key = NULL}};
  describe_entry(list, "trainer.optimizer", "How gradients become updates.", type);
  for (int i = 0; co_optimizer_list()[i]; i++)
    describe_entry(list, co_optimizer_list()[i]->name, co_optimizer_list()[i]->doc,
                   co_optimizer_list()[i]->fields);
}

static void describe_predictors(listing *list) {
  static const co_field type[] = {{"type", CO_FIELD_STRING, 0, "network", 0, 0, NULL,
                                   "network, or one of those below, whose options stand beside it.",
                                   NULL},
                                  {.key = NULL}};
  describe_entry(list, "predictor", "What is trained.", type);
  for (int i = 0; co_estimator_list()[i]; i++)
    if (!co_estimator_list()[i]->baseline)
      describe_entry(list, co_estimator_list()[i]->name, co_estimator_list()[i]->doc,
                     co_estimator_list()[i]->fields);
}

static void describe_baselines(listing *list) {
  static const char *const lines[] = {
      "auto, none, or a list of those below, scored beside a network.",
      "Those of next items need a dataset imported with --next-item,",
      "those of repurchase samples of an event log (--cutoff, --label),",
      "those of texts an input of texts, all others inputs of columns."};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    describe_entry(list, "baselines", lines[i], NULL);
  for (int i = 0; co_estimator_list()[i]; i++)
    describe_entry(list, co_estimator_list()[i]->name, co_estimator_list()[i]->doc, NULL);
}

static bool is_of(const char *path, const char *section) {
  size_t length = strlen(section);
  return strncmp(path, section, length) == 0 && (!path[length] || path[length] == '.');
}

// The tables of the settings that belong to the trainer, or all others.
static void describe_settings(listing *list, bool trainer) {
  const char *path, *doc;
  const co_field *fields;
  for (int i = 0; co_settings_describe(i, &path, &doc, &fields); i++)
    if (is_of(path, "trainer") == trainer)
      describe_entry(list, *path ? path : "config.yaml", doc, fields);
}

static void describe_config(listing *list) {
  describe_settings(list, false);
}

static void describe_hyperopt(listing *list) {
  const char *path, *doc;
  const co_field *fields;
  for (int i = 0; co_tune_describe(i, &path, &doc, &fields); i++)
    describe_entry(list, path, doc, fields);
}

static void describe_trainer(listing *list) {
  describe_settings(list, true);
}

static void describe_features(listing *list) {
  const char *path, *doc;
  const co_field *fields;
  for (int i = 0; co_model_describe(i, &path, &doc, &fields); i++)
    describe_entry(list, path, doc, fields);
}

static void describe_topics(listing *list);

typedef struct topic {
  const char *name, *doc;
  void (*describe)(listing *list);
} topic;

static const topic topics[] = {
    {"config", "The sections of a config.", describe_config},
    {"features", "Inputs, their preprocessing and augmentation; the combiner; outputs.",
     describe_features},
    {"encoders", "What makes features of an input, or an output of features.", describe_encoders},
    {"layers", "What encoders, combiner and decoders are made of.", describe_layers},
    {"losses", "What training minimises.", describe_losses},
    {"metrics", "What evaluation measures.", describe_metrics},
    {"predictors", "What is trained: a network, or something else.", describe_predictors},
    {"baselines", "What stands beside a network to be compared with.", describe_baselines},
    {"trainer", "How a model is trained.", describe_trainer},
    {"optimizers", "How gradients become updates.", describe_optimizers},
    {"hyperopt", "What a search for good values varies, and how.", describe_hyperopt},
    {"topics", "This list.", describe_topics}};
enum { TOPIC_COUNT = sizeof topics / sizeof *topics };

static void describe_topics(listing *list) {
  for (int i = 0; i < TOPIC_COUNT; i++)
    describe_entry(list, topics[i].name, topics[i].doc, NULL);
}

static co_status unknown_topic(const char *name) {
  co_status status = co_fail(CO_ERR_USAGE, "there is no topic '%s'", name);
  char known[256] = "";
  for (int i = 0; i < TOPIC_COUNT; i++)
    snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
             topics[i].name);
  co_hint("known: %s", known);
  return status;
}

// By its name or a beginning that is its alone: of one entry "layer" is as good as "layers".
static const topic *find_topic(const char *name, size_t length) {
  const topic *found = NULL;
  for (int i = 0; i < TOPIC_COUNT; i++) {
    if (strncmp(topics[i].name, name, length) != 0) continue;
    if (!topics[i].name[length]) return &topics[i];
    if (found) return NULL;
    found = &topics[i];
  }
  return found;
}

static co_status describe(const char *name, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_require(name, "describe", "a topic"));
  const char *dot = strchr(name, '.');
  const topic *found = find_topic(name, dot ? (size_t)(dot - name) : strlen(name));
  if (!found) return unknown_topic(name);
  listing list = {.result = result, .topic = found->name, .only = dot ? dot + 1 : NULL};
  co_json_key(&result->json, found->name);
  co_json_open(&result->json, '[');
  found->describe(&list);
  co_json_close(&result->json);
  if (list.found || !dot) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "there is no '%s' among the %s", list.only, found->name);
  co_hint("`cohort help %s` lists them", found->name);
  return status;
}

cohort_status cohort_describe(cohort_context *context, const char *topic_name,
                              cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  return co_result_finish(*out, "describe", describe(topic_name, *out));
}
