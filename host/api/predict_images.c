// SPDX-License-Identifier: Apache-2.0
// Scoring a folder or an archive of images: they become a temporary dataset beside the output, by the model's own
// recipe, which is scored as any other and removed.
#include <string.h>

#include "datasets/image_archive.h"
#include "host/api/images.h"
#include "host/config/config.h"
#include "host/core/file.h"
#include "host/output/sink.h"
#include "host/persist/model_file.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "images", done, total, NULL);
}

typedef struct recipe_options {
  int64_t height, width, channels;
  int fit;
} recipe_options;

static const char *const fits[] = {"crop", "pad", "stretch", NULL};
static const co_field recipe_fields[] = {
    {"height", CO_FIELD_INT, offsetof(recipe_options, height), NULL, 1, CO_IMAGE_MAX_EXTENT, NULL,
     "", NULL},
    {"width", CO_FIELD_INT, offsetof(recipe_options, width), NULL, 1, CO_IMAGE_MAX_EXTENT, NULL, "",
     NULL},
    {"channels", CO_FIELD_INT, offsetof(recipe_options, channels), NULL, 1, 3, NULL, "", NULL},
    {"fit", CO_FIELD_ENUM, offsetof(recipe_options, fit), NULL, 0, 0, fits, "", NULL},
    {.key = NULL}};

static co_status no_recipe(const char *model) {
  co_status status = co_fail_at(CO_ERR_MODEL, model, 0, 0,
                                "the model was not trained on an imported folder of images");
  co_hint("score a dataset.h5, or train on one that 'cohort import DIR' made");
  return status;
}

static co_status parse_recipe(co_image_recipe *out, const co_model_file *file, co_arena *arena,
                              co_diagnostics *problems) {
  co_node *root = NULL;
  recipe_options o;
  if (!file->recipe || strncmp(file->recipe, "images:", 7) != 0) return no_recipe(file->path);
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&root, arena, "recipe", file->recipe, strlen(file->recipe), problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(&o, recipe_fields, co_node_get(root, "images"), "images", arena, problems));
  if (problems->count) return no_recipe(file->path);
  *out = (co_image_recipe){.height = o.height,
                           .width = o.width,
                           .fit = (co_image_fit)o.fit,
                           .channels = (int)o.channels};
  return CO_OK;
}

static co_status check(const cohort_predict_options *o) {
  const cohort_source_options *s = &o->source;
  const char *option = o->key                 ? "--key"
                       : o->split             ? "--split"
                       : s->encoding          ? "--encoding"
                       : s->no_quotes         ? "--no-quotes"
                       : s->decimal           ? "--decimal"
                       : s->source_table      ? "--source-table"
                       : s->query             ? "--query"
                       : s->key_file          ? "--key-file"
                       : o->passthrough_count ? "--passthrough"
                                              : NULL;
  if (option) return co_fail(CO_ERR_USAGE, "%s does not go with images as --dataset", option);
  return CO_OK;
}

static co_status write_images(co_image_scoring *s, cohort_context *context,
                              const cohort_predict_options *o, co_diagnostics *problems) {
  co_model_file file;
  char *found;
  CO_RETURN_IF_FAILED(check(o));
  CO_RETURN_IF_FAILED(co_model_file_find(&found, s->ctx, o->model));
  char *path = co_arena_strdup(s->arena, found);
  co_free(s->ctx, found);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_model_file_read(&file, s->arena, path));
  const char *output = co_sink_file(o->output);
  const char *folder = co_temporary_root(o->source.temporary_folder);
  char *beside = output && strcmp(o->output, "-") != 0
                     ? co_arena_format(s->arena, "%s.rows", output)
                     : co_arena_format(s->arena, "%s/cohort.rows", folder);
  if (!beside) return CO_ERR_MEMORY;
  co_import_images_options options = {.output = beside,
                                      .folder = o->dataset,
                                      .most_pixels = CO_IMAGE_MOST_PIXELS,
                                      .unlabelled = true,
                                      .temporary = &s->images,
                                      .progress = forward_progress,
                                      .progress_user = context,
                                      .stop = context->options.stop};
  CO_RETURN_IF_FAILED(parse_recipe(&options.recipe, &file, s->arena, problems));
  CO_RETURN_IF_FAILED(co_reject_rule_parse(&options.errors, o->source.on_error,
                                           o->source.max_errors, CO_ON_ERROR_SKIP));
  co_status status = co_import_images(&s->result, s->ctx, &options, problems);
  co_watch_progress(&context->watch, "decode", "images", -1, 0, NULL);
  return status;
}

co_status co_image_scoring_begin(co_image_scoring *s, cohort_context *context,
                                 const cohort_predict_options *o) {
  *s = (co_image_scoring){.ctx = context->ctx, .options = *o};
  if (!o->model || !o->output || !o->dataset) return CO_OK;
  if (!co_path_is_directory(o->dataset) && !co_image_archive_is(o->dataset)) return CO_OK;
  co_diagnostics problems;
  co_diagnostics_init(&problems, s->ctx);
  co_status status = co_arena_create(&s->arena, s->ctx);
  if (status == CO_OK) status = write_images(s, context, o, &problems);
  co_diagnostics_free(&problems);
  CO_RETURN_IF_FAILED(status);
  s->options.dataset = s->images.temporary;
  s->options.source = (cohort_source_options){.temporary_folder = o->source.temporary_folder};
  return CO_OK;
}

void co_image_scoring_report(const co_image_scoring *s, co_json *json, co_text *text) {
  if (!s->arena) return;
  co_json_key(json, "images");
  co_json_int(json, s->result.files);
  co_json_key(json, "skipped");
  co_json_int(json, s->result.skipped);
  if (s->result.skipped && strcmp(s->options.output, "-") != 0)
    co_text_printf(text, "%lld of %lld images could not be read\n", (long long)s->result.skipped,
                   (long long)s->result.files);
}

void co_image_scoring_end(co_image_scoring *s) {
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&s->images);
  co_arena_free(s->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}
