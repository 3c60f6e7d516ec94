// SPDX-License-Identifier: Apache-2.0
// cohort_describe: what configs may say, from the same tables that parse them.
#include <string.h>

#include "host/job.h"
#include "host/layer.h"
#include "host/metric/metric.h"
#include "host/settings.h"
#include "models/encoders.h"

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
  co_text_printf(&result->text, "\n");
  co_json_close(json);
}

static void describe_entry(cohort_result *result, const char *name, const char *doc,
                           const co_field *fields) {
  co_json *json = &result->json;
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, name);
  co_json_key(json, "doc");
  co_json_string(json, doc);
  co_text_printf(&result->text, "  %-26s %s\n", name, doc);
  co_json_key(json, "options");
  co_json_open(json, '[');
  for (int i = 0; fields && fields[i].key; i++)
    describe_field(result, &fields[i]);
  co_json_close(json);
  co_json_close(json);
}

static void describe_layers(cohort_result *result) {
  for (int i = 0; co_layer_list()[i]; i++)
    describe_entry(result, co_layer_list()[i]->name, co_layer_list()[i]->doc,
                   co_layer_list()[i]->fields);
}

static void describe_encoders(cohort_result *result) {
  const char *name, *doc;
  const co_field *fields;
  for (int i = 0; co_encoder_describe(i, &name, &doc, &fields); i++)
    describe_entry(result, name, doc, fields);
}

static void describe_losses(cohort_result *result) {
  for (int i = 0; co_loss_list()[i]; i++)
    describe_entry(result, co_loss_list()[i]->name, co_loss_list()[i]->doc, NULL);
}

static void describe_metrics(cohort_result *result) {
  for (int i = 0; co_metric_list()[i]; i++)
    describe_entry(result, co_metric_list()[i]->name, co_metric_list()[i]->doc, NULL);
  for (int i = 0; co_loss_list()[i]; i++)
    describe_entry(result, co_loss_list()[i]->metric, co_loss_list()[i]->doc, NULL);
}

static void describe_optimizers(cohort_result *result) {
  for (int i = 0; co_optimizer_list()[i]; i++)
    describe_entry(result, co_optimizer_list()[i]->name, co_optimizer_list()[i]->doc,
                   co_optimizer_list()[i]->fields);
}

static void describe_trainer(cohort_result *result) {
  describe_entry(result, "trainer", "How the model is trained.", co_trainer_fields);
  describe_entry(result, "learning_rate_scheduler", "How the learning rate moves.",
                 co_schedule_fields);
}

typedef struct topic {
  const char *name;
  void (*describe)(cohort_result *result);
} topic;

static const topic topics[] = {{"layers", describe_layers},         {"encoders", describe_encoders},
                               {"losses", describe_losses},         {"metrics", describe_metrics},
                               {"optimizers", describe_optimizers}, {"trainer", describe_trainer}};
enum { TOPIC_COUNT = sizeof topics / sizeof *topics };

static co_status describe(const char *name, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_job_require(name, "describe", "a topic"));
  for (int i = 0; i < TOPIC_COUNT; i++) {
    if (strcmp(topics[i].name, name) != 0) continue;
    co_json_key(&result->json, name);
    co_json_open(&result->json, '[');
    co_text_printf(&result->text, "%s\n", name);
    topics[i].describe(result);
    co_json_close(&result->json);
    return CO_OK;
  }
  co_status status = co_fail(CO_ERR_USAGE, "there is no topic '%s'", name);
  co_hint("known: layers, encoders, losses, metrics, optimizers, trainer");
  return status;
}

cohort_status cohort_describe(cohort_context *context, const char *topic_name,
                              cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  return co_result_finish(*out, "describe", describe(topic_name, *out));
}
