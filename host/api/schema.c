// SPDX-License-Identifier: Apache-2.0
// cohort_schema: what a config may say as JSON Schema, for editors, from the same tables that parse
// configs. What hangs on the data (which columns there are, of which type) is left open.
#include <stdio.h>
#include <string.h>

#include "host/api/api.h"
#include "host/eval/estimator.h"
#include "host/graph/layer.h"
#include "host/train/settings.h"
#include "host/tune/settings.h"
#include "models/encoders.h"
#include "models/feature.h"
#include "models/layers.h"

static void text(co_json *json, const char *key, const char *value) {
  co_json_key(json, key);
  co_json_string(json, value);
}

static void open(co_json *json, const char *key, char bracket) {
  co_json_key(json, key);
  co_json_open(json, bracket);
}

static void refer(co_json *json, const char *to) {
  char path[160];
  (void)snprintf(path, sizeof path, "#/$defs/%s", to);
  text(json, "$ref", path);
}

static void option_refer(co_json *json, const char *to) {
  co_json_open(json, '{');
  refer(json, to);
  co_json_close(json);
}

// ---- fields ------------------------------------------------------------------------------------

static bool has_null(const co_field *field) {
  return field->fallback != NULL;
}

static void add_words(co_json *json, const co_field *field) {
  open(json, "enum", '[');
  for (int i = 0; field->words[i]; i++)
    co_json_string(json, field->words[i]);
  if (has_null(field)) co_json_null(json);
  co_json_close(json);
}

static void add_types(co_json *json, const co_field *field, const char *const *types) {
  open(json, "type", '[');
  for (; *types; types++)
    co_json_string(json, *types);
  if (has_null(field)) co_json_string(json, "null");
  co_json_close(json);
}

static void add_range(co_json *json, const co_field *field) {
  if (field->minimum == 0 && field->maximum == 0) return;
  co_json_key(json, "minimum");
  co_json_double(json, field->minimum);
  co_json_key(json, "maximum");
  co_json_double(json, field->maximum);
}

static void add_pair(co_json *json, const co_field *field) {
  open(json, "items", '{');
  text(json, "type", "integer");
  add_range(json, field);
  co_json_close(json);
  co_json_key(json, "minItems");
  co_json_int(json, 2);
  co_json_key(json, "maxItems");
  co_json_int(json, 2);
  add_range(json, field);
}

// Sections that have a table of their own, by the key that they stand under.
static const char *section_of(const char *key) {
  static const char *const known[][2] = {{"encoder", "encoder"},
                                         {"decoder", "encoder"},
                                         {"event_encoder", "encoder"},
                                         {"layers", "layers"},
                                         {"phases", "phases"},
                                         {"param_groups", "param_groups"},
                                         {"loss", "loss"},
                                         {"optimizer", "optimizer"},
                                         {"predictor", "predictor"},
                                         {"input_features", "features_in"},
                                         {"output_features", "features_out"},
                                         {"defaults", "defaults"},
                                         {"preprocessing", "preprocessing"},
                                         {"augmentation", "augmentation"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i][0], key) == 0) return known[i][1];
  return NULL;
}

// The table of a section below another.
static bool has_table(const char *path) {
  const char *other, *doc;
  const co_field *fields;
  for (int i = 0; co_settings_describe(i, &other, &doc, &fields); i++)
    if (*other && strcmp(other, path) == 0) return true;
  for (int i = 0; co_tune_describe(i, &other, &doc, &fields); i++)
    if (strcmp(other, path) == 0) return true;
  for (int i = 0; co_model_describe(i, &other, &doc, &fields); i++)
    if (strcmp(other, path) == 0) return true;
  return false;
}

static void add_section(co_json *json, const char *path, const char *key) {
  char below[128];
  const char *section = section_of(key);
  (void)snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
  if (!section && !has_table(below)) return;
  open(json, "anyOf", '[');
  option_refer(json, section ? section : below);
  co_json_open(json, '{'); // nothing; of some sections a word stands for {type: word}
  open(json, "type", '[');
  co_json_string(json, "null");
  co_json_string(json, "string");
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
}

static void add_field(co_json *json, const char *path, const co_field *field) {
  // A word in YAML may look like a number.
  static const char *const texts[] = {"string", "number", "boolean", NULL};
  static const char *const pairs[] = {"integer", "array", NULL};
  static const char *const types[][2] = {
      [CO_FIELD_BOOL] = {"boolean"}, [CO_FIELD_INT] = {"integer"}, [CO_FIELD_DOUBLE] = {"number"}};
  co_json_open(json, '{');
  text(json, "description", field->doc);
  switch (field->type) {
  case CO_FIELD_STRING:
    add_types(json, field, texts);
    break;
  case CO_FIELD_ENUM:
    add_words(json, field);
    break;
  case CO_FIELD_PAIR:
    add_types(json, field, pairs);
    add_pair(json, field);
    break;
  case CO_FIELD_NODE:
    add_section(json, path, field->key);
    break;
  default:
    add_types(json, field, types[field->type]);
    add_range(json, field);
  }
  co_json_close(json);
}

// The properties of a table, and which there must be. An alias stands for what is required.
static void add_properties(co_json *json, const char *path, const co_field *fields) {
  for (const co_field *f = fields; f && f->key; f++) {
    co_json_key(json, f->key);
    add_field(json, path, f);
    if (!f->alias) continue;
    co_json_key(json, f->alias);
    add_field(json, path, f);
  }
}

static void add_required(co_json *json, const co_field *fields) {
  open(json, "required", '[');
  for (const co_field *f = fields; f && f->key; f++)
    if (!f->fallback && !f->alias) co_json_string(json, f->key);
  co_json_close(json);
}

static void close_object(co_json *json) {
  co_json_key(json, "additionalProperties");
  co_json_bool(json, false);
}

static void define(co_json *json, const char *name, const char *doc, const char *path,
                   const co_field *fields) {
  open(json, name, '{');
  text(json, "description", doc);
  text(json, "type", "object");
  open(json, "properties", '{');
  add_properties(json, path, fields);
  co_json_close(json);
  add_required(json, fields);
  close_object(json);
  co_json_close(json);
}

// ---- what a word `type` chooses ----------------------------------------------------------------

typedef struct kind {
  const char *name, *doc;
  const co_field *fields;
} kind;

// The i-th of a section, false past the end.
typedef bool kind_list(int i, kind *out);

static bool list_encoders(int i, kind *out) {
  return co_encoder_describe(i, &out->name, &out->doc, &out->fields);
}

static bool list_optimizers(int i, kind *out) {
  const co_optimizer_class *const c = co_optimizer_list()[i];
  if (c) *out = (kind){c->name, c->doc, c->fields};
  return c != NULL;
}

static bool list_losses(int i, kind *out) {
  const co_loss_class *const c = co_loss_list()[i];
  if (c) *out = (kind){c->name, c->doc, c->fields};
  return c != NULL;
}

static bool list_predictors(int i, kind *out) {
  static const kind network = {"network", "Layers, by the sections beside it.", NULL};
  if (i == 0) {
    *out = network;
    return true;
  }
  const co_estimator_class *const c = co_estimator_list()[i - 1];
  if (c) *out = (kind){c->name, c->doc, c->fields};
  return c != NULL;
}

static bool has_key(const co_field *fields, const char *key) {
  for (; fields && fields->key; fields++)
    if (strcmp(fields->key, key) == 0) return true;
  return false;
}

// One of the kinds by its name; `shared`: fields that all have.
static void define_kind(co_json *json, const char *section, const kind *k, const co_field *shared) {
  co_json_open(json, '{');
  text(json, "description", k->doc);
  open(json, "properties", '{');
  add_properties(json, section, k->fields);
  if (shared) add_properties(json, section, shared);
  if (!has_key(k->fields, "type") && !has_key(shared, "type")) {
    open(json, "type", '{');
    co_json_close(json);
  }
  co_json_close(json);
  add_required(json, k->fields);
  close_object(json);
  co_json_close(json);
}

// A map whose `type` says by which table the rest is read. Other names are left to the program: they
// may be those of other programs, which it explains.
static void define_kinds(co_json *json, const char *section, const char *doc, kind_list *list,
                         const co_field *shared) {
  kind k;
  open(json, section, '{');
  text(json, "description", doc);
  text(json, "type", "object");
  open(json, "properties", '{');
  open(json, "type", '{');
  open(json, "examples", '[');
  for (int i = 0; list(i, &k); i++)
    co_json_string(json, k.name);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  open(json, "allOf", '[');
  for (int i = 0; list(i, &k); i++) {
    co_json_open(json, '{');
    open(json, "if", '{');
    open(json, "properties", '{');
    open(json, "type", '{');
    text(json, "const", k.name);
    co_json_close(json);
    co_json_close(json);
    open(json, "required", '[');
    co_json_string(json, "type");
    co_json_close(json);
    co_json_close(json);
    co_json_key(json, "then");
    define_kind(json, section, &k, shared);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_close(json);
}

// ---- layers ------------------------------------------------------------------------------------

static void define_layer(co_json *json, const co_layer_class *c) {
  co_json_key(json, c->name);
  co_json_open(json, '{');
  text(json, "description", c->doc);
  open(json, "anyOf", '[');
  co_json_open(json, '{');
  text(json, "type", "object");
  open(json, "properties", '{');
  add_properties(json, "layers", c->fields);
  co_json_close(json);
  add_required(json, c->fields);
  close_object(json);
  co_json_close(json);
  co_json_open(json, '{'); // its shorthand, or nothing
  open(json, "not", '{');
  text(json, "type", "object");
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
}

static void define_layers(co_json *json) {
  open(json, "layers", '{');
  text(json, "type", "array");
  open(json, "items", '{');
  open(json, "anyOf", '[');
  co_json_open(json, '{');
  open(json, "enum", '[');
  for (int i = 0; co_layer_list()[i]; i++)
    co_json_string(json, co_layer_list()[i]->name);
  co_json_close(json);
  co_json_close(json);
  co_json_open(json, '{');
  text(json, "type", "object");
  open(json, "properties", '{');
  for (int i = 0; co_layer_list()[i]; i++)
    define_layer(json, co_layer_list()[i]);
  add_properties(json, "layers", co_layer_item_fields);
  co_json_close(json);
  close_object(json);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
}

// ---- features ----------------------------------------------------------------------------------

// Which table it is hangs on the column's type: one of all.
static void define_options(co_json *json, const char *name, bool augmentation) {
  open(json, name, '{');
  open(json, "anyOf", '[');
  for (int i = 0; co_feature_class_list()[i]; i++) {
    const co_feature_class *c = co_feature_class_list()[i];
    const co_field *fields = !c->input      ? NULL
                             : augmentation ? c->input->augmentation
                                            : c->input->preprocessing;
    if (!fields) continue;
    co_json_open(json, '{');
    text(json, "description", c->doc);
    text(json, "type", "object");
    open(json, "properties", '{');
    add_properties(json, "input_features.preprocessing", fields);
    co_json_close(json);
    close_object(json);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_close(json);
}

// `word`: what may stand in its place, or NULL.
static void define_list(co_json *json, const char *name, const char *word,
                        const char *const *items) {
  open(json, name, '{');
  open(json, "anyOf", '[');
  if (word) {
    co_json_open(json, '{');
    text(json, "const", word);
    co_json_close(json);
  }
  co_json_open(json, '{');
  text(json, "type", "array");
  open(json, "items", '{');
  open(json, "anyOf", '[');
  for (; *items; items++)
    option_refer(json, *items);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
}

static void define_defaults(co_json *json) {
  open(json, "defaults", '{');
  text(json, "type", "object");
  open(json, "propertyNames", '{');
  open(json, "enum", '[');
  for (int i = 0; co_feature_class_list()[i]; i++)
    co_json_string(json, co_feature_class_list()[i]->name);
  co_json_close(json);
  co_json_close(json);
  open(json, "additionalProperties", '{');
  refer(json, "defaults.TYPE");
  co_json_close(json);
  co_json_close(json);
}

// ---- the schema --------------------------------------------------------------------------------

static void define_tables(co_json *json) {
  const char *path, *doc;
  const co_field *fields;
  for (int i = 0; co_settings_describe(i, &path, &doc, &fields); i++)
    if (*path) define(json, path, doc, path, fields);
  for (int i = 0; co_tune_describe(i, &path, &doc, &fields); i++)
    define(json, path, doc, path, fields);
  for (int i = 0; co_model_describe(i, &path, &doc, &fields); i++)
    if (!section_of(strrchr(path, '.') ? strrchr(path, '.') + 1 : ""))
      define(json, path, doc, path, fields);
}

static const co_field *table_of(const char *wanted) {
  const char *path, *doc;
  const co_field *fields;
  for (int i = 0; co_settings_describe(i, &path, &doc, &fields); i++)
    if (strcmp(path, wanted) == 0) return fields;
  for (int i = 0; co_model_describe(i, &path, &doc, &fields); i++)
    if (strcmp(path, wanted) == 0) return fields;
  return NULL;
}

static void define_all(co_json *json) {
  static const char *const in[] = {"input_features", "input_features.select", NULL};
  static const char *const out[] = {"output_features", "output_features.select", NULL};
  static const char *const phases[] = {"trainer.phases", NULL};
  static const char *const groups[] = {"trainer.param_groups", NULL};
  define_tables(json);
  define_kinds(json, "encoder", "Layers by a name, or written out.", list_encoders, NULL);
  define_kinds(json, "optimizer", "How gradients become updates.", list_optimizers, NULL);
  define_kinds(json, "loss", "What training minimises.", list_losses,
               table_of("output_features.loss"));
  define_kinds(json, "predictor", "What is trained.", list_predictors, NULL);
  define_layers(json);
  define_options(json, "preprocessing", false);
  define_options(json, "augmentation", true);
  define_list(json, "phases", NULL, phases);
  define_list(json, "param_groups", NULL, groups);
  define_list(json, "features_in", "all", in);
  define_list(json, "features_out", "targets", out);
  define_defaults(json);
}

cohort_status cohort_schema(cohort_context *context, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_json json;
  co_json_init(&json, context->ctx, 0);
  co_json_open(&json, '{');
  text(&json, "$schema", "https://json-schema.org/draft/2020-12/schema");
  text(&json, "title", "Cohort");
  text(&json, "type", "object");
  open(&json, "properties", '{');
  add_properties(&json, "", table_of(""));
  co_json_close(&json);
  close_object(&json);
  open(&json, "$defs", '{');
  define_all(&json);
  co_json_close(&json);
  co_json_close(&json);
  co_status status = json.text.status;
  if (status == CO_OK) {
    co_text_printf(&(*out)->text, "%s\n", json.text.data);
    co_json_key(&(*out)->json, "schema");
    co_json_raw(&(*out)->json, json.text.data);
  }
  co_json_free(&json);
  return co_result_finish(*out, "schema", status);
}
