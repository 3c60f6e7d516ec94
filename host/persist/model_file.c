// SPDX-License-Identifier: Apache-2.0
#include "host/persist/model_file.h"

#include <math.h>
#include <string.h>

#include "host/core/file.h"
#include "host/core/h5.h"
#include "host/core/hash.h"
#include "host/persist/keras/write.h"
#include "host/persist/model_arrays.h"
#include "host/persist/model_schema.h"

enum { FORMAT_VERSION = 1 };

#define CARRIED_GROUP "/cohort/carried"

// ---- checksum ----------------------------------------------------------------------------------

// Whether the learning rate has anything but its schedule.
static bool has_moved(const co_training_state *state) {
  return state->rate != 1 || state->plateau || state->rollbacks;
}

// Arrays have a CRC of their own; this is for what stands in texts and attributes.
static void digest(char hex[65], const char *config, const char *schema, const char *dataset,
                   const char *weights, const co_training_state *state) {
  const char *const texts[] = {config, schema, dataset, weights};
  co_sha256 hash;
  co_sha256_init(&hash);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    co_sha256_update(&hash, texts[i], strlen(texts[i]) + 1);
  if (state) {
    const int64_t numbers[] = {state->step,       (int64_t)state->epoch, state->batch,
                               state->updates[0], (int64_t)state->seed,  state->best_step,
                               state->bad_epochs, state->finished,       state->metrics_bytes};
    char best[64];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
      co_sha256_update(&hash, &numbers[i], sizeof numbers[i]);
    int length = snprintf(best, sizeof best, "%a", state->best);
    co_sha256_update(&hash, best, (size_t)length);
    if (has_moved(state)) { // others are written as they were before there was such a thing
      length = snprintf(best, sizeof best, "%a %lld %lld", state->rate, (long long)state->plateau,
                        (long long)state->rollbacks);
      co_sha256_update(&hash, best, (size_t)length);
    }
    if (state->phase_count > 1)
      co_sha256_update(&hash, state->updates, (size_t)state->phase_count * sizeof(int64_t));
  }
  co_sha256_final(&hash, hex);
}

// ---- what is trained ---------------------------------------------------------------------------

// Blocks that go on with a training, beside its result: the optimizer's slots, and the weights that it
// updates where the result is their average.
static const struct {
  const char *group;
  co_block block;
} trained[] = {{"/optimizer/weights", CO_BLOCK_PARAM},
               {"/optimizer/slot0", CO_BLOCK_SLOT0},
               {"/optimizer/slot1", CO_BLOCK_SLOT1},
               {"/optimizer/steps", CO_BLOCK_STEPS}}; // of tables with update: rows
enum { TRAINED = sizeof trained / sizeof *trained };

static bool has_trained(const co_store *store, int64_t i, int k) {
  if (store->entries[i].info.state) return false;
  return k == 0 ? store->ema != NULL : co_store_address(store, i, trained[k].block) != NULL;
}

// A block of an entry as it is stored.
static co_tensor_desc stored_as(co_dtype real, const co_param_info *info, co_block block) {
  if (block == CO_BLOCK_STEPS)
    return (co_tensor_desc){CO_I32, CO_LAYOUT_CANONICAL, co_shape_make(1, info->shape.dim[0])};
  return (co_tensor_desc){real, CO_LAYOUT_CANONICAL, info->shape};
}

static char *trained_path(co_context *ctx, int k, const co_param_info *info) {
  return co_format(ctx, "%s/%s", trained[k].group, info->name);
}

// ---- writing -----------------------------------------------------------------------------------

// Writes one block of an entry, canonical, as float or double.
static co_status write_entry(co_h5 *file, co_store *store, int64_t i, co_block block,
                             const char *path) {
  const co_tensor_desc as = stored_as(store->real, &store->entries[i].info, block);
  void *values = co_alloc(store->ctx, co_tensor_bytes(&as));
  if (!values) return CO_ERR_MEMORY;
  co_status status = co_store_read(store, i, block, values);
  if (status == CO_OK) status = co_h5_write(file, path, as.dtype, &as.shape, values, NULL, true);
  co_free(store->ctx, values);
  return status;
}

static const char *weight_name(const co_param_info *info) {
  size_t prefix = strlen(info->layer);
  return prefix ? info->name + prefix + 1 : info->name;
}

// One group a layer, in model order, with its weights in Keras order.
static co_status write_layer(co_h5 *file, co_store *store, co_arena *arena, int64_t first,
                             int64_t *next, const char **layer) {
  const char *name = store->entries[first].info.layer;
  const char **names = co_arena_alloc(arena, (size_t)(store->count - first), sizeof *names);
  int64_t count = 0;
  char *group = co_arena_format(arena, "/model_weights/%s", name);
  if (!names || !group) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_h5_make_group(file, group));
  int64_t i = first;
  for (; i < store->count && strcmp(store->entries[i].info.layer, name) == 0; i++) {
    names[count] = weight_name(&store->entries[i].info);
    char *path = co_arena_format(arena, "%s/%s", group, names[count]);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(write_entry(file, store, i, co_store_result(store), path));
    count++;
  }
  *next = i;
  *layer = name;
  return co_h5_set_strings(file, group, "weight_names", names, count);
}

// What keras.models.load_model wants beside the weights; of models that Keras has no equal for nothing.
static co_status write_keras_config(co_h5 *file, co_arena *arena, const co_graph *network,
                                    const char **layers, int64_t count) {
  co_keras_config keras = {.json = NULL};
  if (network) CO_RETURN_IF_FAILED(co_keras_describe(&keras, arena, network));
  if (keras.json) CO_RETURN_IF_FAILED(co_h5_set_string(file, "/", "model_config", keras.json));
  if (keras.why_not)
    CO_RETURN_IF_FAILED(co_h5_set_string(file, "/model_weights", "not_for_keras", keras.why_not));
  return co_h5_set_strings(file, "/model_weights", "layer_names",
                           keras.json ? keras.weighted : layers,
                           keras.json ? keras.weighted_count : count);
}

static co_status write_weights(co_h5 *file, const co_graph *network, co_store *store,
                               co_arena *arena) {
  const char **layers = co_arena_alloc(arena, (size_t)store->count + 1, sizeof *layers);
  if (!layers) return CO_ERR_MEMORY;
  int64_t count = 0;
  CO_RETURN_IF_FAILED(co_h5_make_group(file, "/model_weights"));
  for (int64_t i = 0; i < store->count; count++)
    CO_RETURN_IF_FAILED(write_layer(file, store, arena, i, &i, &layers[count]));
  CO_RETURN_IF_FAILED(write_keras_config(file, arena, network, layers, count));
  // Readers of Keras files ask for these two at both places.
  static const char *const places[] = {"/", "/model_weights"};
  for (int i = 0; i < 2; i++) {
    CO_RETURN_IF_FAILED(co_h5_set_string(file, places[i], "backend", "tensorflow"));
    CO_RETURN_IF_FAILED(co_h5_set_string(file, places[i], "keras_version", "3.6.0"));
  }
  return CO_OK;
}

static co_status write_text(co_h5 *file, const char *path, const char *text) {
  return co_h5_write_strings(file, path, &text, 1);
}

static char *fitted_path(co_arena *arena, const co_fitted *fitted) {
  return co_arena_format(arena, "/cohort/preprocessing/%s/%s", fitted->feature, fitted->name);
}

static co_status write_fitted(co_h5 *file, co_fitted *const *fitted, int64_t count,
                              co_arena *arena) {
  for (int64_t i = 0; i < count; i++) {
    if (fitted[i]->given) continue;
    char *path = fitted_path(arena, fitted[i]);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        co_h5_write(file, path, fitted[i]->dtype, &fitted[i]->shape, fitted[i]->bytes, NULL, true));
  }
  return CO_OK;
}

static co_status write_estimators(co_h5 *file, const co_model_file_content *content,
                                  co_arena *arena) {
  if (content->predictor)
    CO_RETURN_IF_FAILED(
        co_model_arrays_write(file, CO_MODEL_PREDICTOR_GROUP, content->predictor, arena));
  for (int64_t i = 0; i < content->baseline_count; i++) {
    const co_model_baseline *baseline = &content->baselines[i];
    char *group = co_arena_format(arena, "%s/%s", CO_MODEL_BASELINES_GROUP, baseline->name);
    if (!group) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_model_arrays_write(file, group, baseline->arrays, arena));
  }
  return CO_OK;
}

static co_status write_golden(co_h5 *file, const co_model_golden *golden, co_arena *arena) {
  if (!golden) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_model_arrays_write(file, CO_MODEL_GOLDEN_GROUP "/inputs", &golden->inputs, arena));
  CO_RETURN_IF_FAILED(
      co_model_arrays_write(file, CO_MODEL_GOLDEN_GROUP "/scores", &golden->scores, arena));
  if (golden->of_network)
    CO_RETURN_IF_FAILED(co_h5_set_int(file, CO_MODEL_GOLDEN_GROUP, "of_network", 1));
  return co_h5_set_double(file, CO_MODEL_GOLDEN_GROUP, "rounding", golden->rounding);
}

static co_status write_profile(co_h5 *file, const co_model_profile *profile, co_arena *arena) {
  if (!profile) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_model_arrays_write(file, CO_MODEL_PROFILE_GROUP "/inputs", &profile->inputs, arena));
  return co_model_arrays_write(file, CO_MODEL_PROFILE_GROUP "/outputs", &profile->outputs, arena);
}

#define PHASE_UPDATES "/trainer/phase_updates" // where there are several

static co_status write_training(co_h5 *file, co_store *store, const co_training_state *state) {
  CO_RETURN_IF_FAILED(co_h5_make_group(file, "/trainer"));
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"step", state->step},
                 {"epoch", (int64_t)state->epoch},
                 {"batch", state->batch},
                 {"updates", state->updates[0]},
                 {"seed", (int64_t)state->seed},
                 {"best_step", state->best_step},
                 {"bad_epochs", state->bad_epochs},
                 {"finished", state->finished},
                 {"metrics_bytes", state->metrics_bytes}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    CO_RETURN_IF_FAILED(co_h5_set_int(file, "/trainer", numbers[i].name, numbers[i].value));
  CO_RETURN_IF_FAILED(co_h5_set_double(file, "/trainer", "best", state->best));
  if (has_moved(state)) {
    CO_RETURN_IF_FAILED(co_h5_set_double(file, "/trainer", "rate", state->rate));
    CO_RETURN_IF_FAILED(co_h5_set_int(file, "/trainer", "plateau", state->plateau));
    CO_RETURN_IF_FAILED(co_h5_set_int(file, "/trainer", "rollbacks", state->rollbacks));
  }
  co_shape shape = co_shape_make(1, state->sum_count),
           phases = co_shape_make(1, state->phase_count);
  CO_RETURN_IF_FAILED(co_h5_write(file, "/trainer/sums", CO_F64, &shape, state->sums, NULL, true));
  if (state->phase_count > 1)
    CO_RETURN_IF_FAILED(
        co_h5_write(file, PHASE_UPDATES, CO_I64, &phases, state->updates, NULL, true));
  for (int k = 0; k < TRAINED; k++)
    for (int64_t i = 0; i < store->count; i++) {
      if (!has_trained(store, i, k)) continue;
      char *path = trained_path(store->ctx, k, &store->entries[i].info);
      co_status status = path ? write_entry(file, store, i, trained[k].block, path) : CO_ERR_MEMORY;
      co_free(store->ctx, path);
      CO_RETURN_IF_FAILED(status);
    }
  return CO_OK;
}

static co_status write_content(co_h5 *file, const co_model_file_content *content,
                               const char *schema, co_arena *arena) {
  char hex[65], checksum[65];
  if (!content->predictor)
    CO_RETURN_IF_FAILED(write_weights(file, content->network, content->store, arena));
  CO_RETURN_IF_FAILED(co_h5_make_group(file, "/cohort"));
  CO_RETURN_IF_FAILED(co_h5_set_string(file, "/cohort", "format", "cohort-model"));
  CO_RETURN_IF_FAILED(co_h5_set_int(file, "/cohort", "format_version", FORMAT_VERSION));
  CO_RETURN_IF_FAILED(
      co_h5_set_string(file, "/cohort", "dataset_fingerprint", content->dataset_fingerprint));
  if (content->predictor)
    co_model_arrays_fingerprint(content->predictor, hex);
  else
    CO_RETURN_IF_FAILED(co_store_fingerprint(content->store, hex));
  CO_RETURN_IF_FAILED(co_h5_set_string(file, "/cohort", "weights_sha256", hex));
  CO_RETURN_IF_FAILED(write_text(file, "/cohort/config", content->config));
  CO_RETURN_IF_FAILED(write_text(file, "/cohort/schema", schema));
  if (content->recipe) CO_RETURN_IF_FAILED(write_text(file, "/cohort/recipe", content->recipe));
  if (content->split) CO_RETURN_IF_FAILED(write_text(file, "/cohort/split", content->split));
  for (int64_t i = 0; i < content->carried_count; i++) {
    char *path = co_arena_format(arena, CARRIED_GROUP "/%s", content->carried[i].name);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_h5_make_group(file, CARRIED_GROUP));
    CO_RETURN_IF_FAILED(write_text(file, path, content->carried[i].text));
  }
  digest(checksum, content->config, schema, content->dataset_fingerprint, hex, content->training);
  CO_RETURN_IF_FAILED(co_h5_set_string(file, "/cohort", "checksum", checksum));
  CO_RETURN_IF_FAILED(write_fitted(file, content->fitted, content->fitted_count, arena));
  CO_RETURN_IF_FAILED(write_estimators(file, content, arena));
  CO_RETURN_IF_FAILED(write_golden(file, content->golden, arena));
  CO_RETURN_IF_FAILED(write_profile(file, content->profile, arena));
  if (content->reference && content->reference->count)
    CO_RETURN_IF_FAILED(
        co_model_arrays_write(file, CO_MODEL_REFERENCE_GROUP, content->reference, arena));
  return content->training ? write_training(file, content->store, content->training) : CO_OK;
}

// Reads back what was written: a checkpoint that cannot be opened is not published.
static co_status verify(co_context *ctx, const char *path) {
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_model_file file;
  co_status status = co_model_file_read(&file, arena, path);
  co_arena_free(arena);
  return status;
}

co_status co_model_file_write(co_context *ctx, const char *path,
                              const co_model_file_content *content) {
  co_atomic_file atomic = {0};
  co_h5 *file = NULL;
  co_arena *arena = NULL;
  co_text schema;
  co_text_init(&schema, ctx);
  co_status status;
  CO_TRY(co_atomic_begin(&atomic, ctx, path));
  CO_TRY(co_arena_create(&arena, ctx));
  CO_TRY(co_model_schema_render(&schema, ctx, content->schema));
  CO_TRY(co_h5_create_checked(&file, ctx, atomic.temporary, CO_MODEL_FILE_KIND, 0));
  CO_TRY(write_content(file, content, schema.data, arena));
  status = co_h5_close(file);
  file = NULL;
  if (status != CO_OK) goto cleanup;
  CO_TRY(verify(ctx, atomic.temporary));
  CO_TRY(co_atomic_commit(&atomic));
cleanup:
  co_h5_abandon(file);
  co_atomic_abort(&atomic);
  co_text_free(&schema);
  co_arena_free(arena);
  return status;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status damaged(const char *path, const char *what) {
  return co_fail_at(CO_ERR_MODEL, path, 0, 0, "%s", what);
}

static co_status read_text(co_h5 *file, co_arena *arena, const char *path, char **out) {
  char **text;
  int64_t count;
  CO_RETURN_IF_FAILED(co_h5_read_strings(file, path, arena, &text, &count));
  if (count != 1) return damaged(co_h5_path(file), "a text entry is damaged");
  *out = text[0];
  return CO_OK;
}

// Parses JSON that Cohort wrote; a problem means damage.
static co_status parse(co_arena *arena, const char *path, const char *name, const char *text,
                       co_node **out) {
  co_diagnostics problems;
  co_diagnostics_init(&problems, co_arena_context(arena));
  co_status status = co_yaml_parse(out, arena, name, text, strlen(text), &problems);
  if (status == CO_ERR_CONFIG || (status == CO_OK && problems.count))
    status = damaged(path, "its stored config is damaged");
  co_diagnostics_free(&problems);
  return status;
}

static co_status read_schema(co_h5 *file, co_arena *arena, const char *text, co_schema *out) {
  co_node *list;
  CO_RETURN_IF_FAILED(parse(arena, co_h5_path(file), "schema", text, &list));
  return co_model_schema_parse(out, arena, co_h5_path(file), list);
}

static co_status read_phases(co_h5 *file, co_training_state *state) {
  co_h5_info info;
  state->phase_count = 1;
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "updates", &state->updates[0]));
  if (!co_h5_exists(file, PHASE_UPDATES)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(file, PHASE_UPDATES, &info));
  if (info.shape.rank != 1 || info.shape.dim[0] < 2 || info.shape.dim[0] > CO_MAX_PHASES)
    return damaged(co_h5_path(file), "its training state is damaged");
  state->phase_count = info.shape.dim[0];
  return co_h5_read(file, PHASE_UPDATES, CO_I64, &info.shape, state->updates);
}

static co_status read_training(co_h5 *file, co_arena *arena, co_training_state *state) {
  int64_t epoch, seed, finished;
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "step", &state->step));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "epoch", &epoch));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "batch", &state->batch));
  CO_RETURN_IF_FAILED(read_phases(file, state));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "seed", &seed));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "best_step", &state->best_step));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "bad_epochs", &state->bad_epochs));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "finished", &finished));
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "metrics_bytes", &state->metrics_bytes));
  CO_RETURN_IF_FAILED(co_h5_get_double(file, "/trainer", "best", &state->best));
  state->rate = 1;
  state->plateau = state->rollbacks = 0;
  if (co_h5_has_attribute(file, "/trainer", "rate")) {
    CO_RETURN_IF_FAILED(co_h5_get_double(file, "/trainer", "rate", &state->rate));
    CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "plateau", &state->plateau));
    CO_RETURN_IF_FAILED(co_h5_get_int(file, "/trainer", "rollbacks", &state->rollbacks));
  }
  state->epoch = (uint32_t)epoch;
  state->seed = (uint64_t)seed;
  state->finished = finished != 0;
  co_h5_info info;
  CO_RETURN_IF_FAILED(co_h5_get_info(file, "/trainer/sums", &info));
  if (info.shape.rank != 1 || info.shape.dim[0] > 4096)
    return damaged(co_h5_path(file), "its training state is damaged");
  state->sum_count = info.shape.dim[0];
  state->sums = co_arena_alloc(arena, (size_t)state->sum_count + 1, sizeof *state->sums);
  if (!state->sums) return CO_ERR_MEMORY;
  return co_h5_read(file, "/trainer/sums", CO_F64, &info.shape, state->sums);
}

static co_status read_carried(co_model_file *out, co_arena *arena, co_h5 *file) {
  char **names, *text = NULL;
  int64_t count;
  if (!co_h5_exists(file, CARRIED_GROUP)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_list(file, CARRIED_GROUP, arena, &names, &count));
  out->carried = co_arena_alloc(arena, (size_t)count + 1, sizeof *out->carried);
  if (!out->carried) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    char *path = co_arena_format(arena, CARRIED_GROUP "/%s", names[i]);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(read_text(file, arena, path, &text));
    out->carried[out->carried_count++] = (co_carried){names[i], text};
  }
  return CO_OK;
}

static co_status read_content(co_model_file *out, co_arena *arena, co_h5 *file) {
  int64_t version;
  char *text = NULL, *config = NULL, *schema = NULL, *checksum = NULL, actual[65];
  if (!co_h5_exists(file, "/cohort"))
    return damaged(co_h5_path(file), "this is an HDF5 file, but not a Cohort model");
  CO_RETURN_IF_FAILED(co_h5_get_int(file, "/cohort", "format_version", &version));
  out->newer = version > FORMAT_VERSION;
  if (version != FORMAT_VERSION) {
    co_status status = co_fail_at(CO_ERR_MODEL, co_h5_path(file), 0, 0,
                                  "its format version is %lld; this program reads %d",
                                  (long long)version, FORMAT_VERSION);
    if (out->newer) co_hint("use the version of Cohort that wrote it, or a later one");
    return status;
  }
  CO_RETURN_IF_FAILED(co_h5_get_string(file, "/cohort", "dataset_fingerprint", arena, &text));
  out->dataset_fingerprint = text;
  CO_RETURN_IF_FAILED(co_h5_get_string(file, "/cohort", "weights_sha256", arena, &text));
  out->weights_sha256 = text;
  CO_RETURN_IF_FAILED(read_text(file, arena, "/cohort/config", &config));
  out->config_text = config;
  CO_RETURN_IF_FAILED(read_text(file, arena, "/cohort/schema", &schema));
  if (co_h5_exists(file, "/cohort/recipe")) {
    CO_RETURN_IF_FAILED(read_text(file, arena, "/cohort/recipe", &text));
    out->recipe = text;
  }
  if (co_h5_exists(file, "/cohort/split")) {
    CO_RETURN_IF_FAILED(read_text(file, arena, "/cohort/split", &text));
    out->split = text;
  }
  CO_RETURN_IF_FAILED(read_carried(out, arena, file));
  if (co_h5_exists(file, CO_MODEL_BASELINES_GROUP))
    CO_RETURN_IF_FAILED(
        co_h5_list(file, CO_MODEL_BASELINES_GROUP, arena, &out->baselines, &out->baseline_count));
  CO_RETURN_IF_FAILED(co_h5_get_string(file, "/cohort", "checksum", arena, &checksum));
  out->has_training = co_h5_exists(file, "/trainer");
  if (out->has_training) CO_RETURN_IF_FAILED(read_training(file, arena, &out->training));
  digest(actual, config, schema, out->dataset_fingerprint, out->weights_sha256,
         out->has_training ? &out->training : NULL);
  if (strcmp(actual, checksum) != 0)
    return damaged(co_h5_path(file), "it is damaged: its checksum differs");
  CO_RETURN_IF_FAILED(parse(arena, co_h5_path(file), "config", config, &out->config));
  return read_schema(file, arena, schema, &out->schema);
}

co_status co_model_file_read(co_model_file *out, co_arena *arena, const char *path) {
  memset(out, 0, sizeof *out);
  out->path = co_arena_strdup(arena, path);
  if (!out->path) return CO_ERR_MEMORY;
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, co_arena_context(arena), path, CO_ERR_MODEL));
  co_status status = read_content(out, arena, file);
  co_h5_abandon(file);
  return status;
}

static co_status read_fitted(co_h5 *file, co_arena *arena, const co_fitted *fitted) {
  char *path = fitted_path(arena, fitted);
  if (!path) return CO_ERR_MEMORY;
  if (fitted->given) return CO_OK;
  if (fitted->optional && !co_h5_exists(file, path)) return CO_OK;
  co_shape stored = fitted->shape;
  if (fitted->new_rows) stored.dim[0] -= fitted->new_rows;
  return co_h5_read(file, path, fitted->dtype, &stored, fitted->bytes);
}

co_status co_model_file_read_fitted(co_context *ctx, const char *path, co_fitted *const *fitted,
                                    int64_t count) {
  co_h5 *file = NULL;
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_status status = co_h5_open(&file, ctx, path, CO_ERR_MODEL);
  for (int64_t i = 0; status == CO_OK && i < count; i++)
    status = read_fitted(file, arena, fitted[i]);
  co_h5_abandon(file);
  co_arena_free(arena);
  return status;
}

static co_status find_fitted(co_fitted *out, co_arena *arena, co_h5 *file) {
  const char *path = fitted_path(arena, out);
  co_h5_info info;
  if (!path) return CO_ERR_MEMORY;
  if (!co_h5_exists(file, path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(file, path, &info));
  if (info.is_group || info.is_string || !co_model_is_stored(&info, &info.shape)) return CO_OK;
  out->shape = info.shape;
  out->bytes =
      co_arena_alloc(arena, (size_t)co_shape_count(&info.shape) + 1, co_dtype_size(out->dtype));
  return out->bytes ? co_h5_read(file, path, out->dtype, &info.shape, out->bytes) : CO_ERR_MEMORY;
}

co_status co_model_file_find_fitted(co_fitted *out, co_arena *arena, const char *path) {
  co_h5 *file;
  out->bytes = NULL;
  CO_RETURN_IF_FAILED(co_h5_open(&file, co_arena_context(arena), path, CO_ERR_MODEL));
  co_status status = find_fitted(out, arena, file);
  co_h5_abandon(file);
  return status;
}

co_status co_model_file_check_weights(co_context *ctx, const char *path, const co_graph *network) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < network->param_count; i++) {
    const co_param_info *param = &network->params[i];
    co_h5_info info;
    char *name = co_format(ctx, "/model_weights/%s", param->name), has[96], want[96];
    status = name ? co_h5_get_info(file, name, &info) : CO_ERR_MEMORY;
    if (status == CO_OK && (info.is_group || !co_shape_equal(&info.shape, &param->shape))) {
      co_shape_print(&info.shape, has, sizeof has);
      co_shape_print(&param->shape, want, sizeof want);
      status = co_fail_at(CO_ERR_MODEL, path, 0, 0, "'%s' has shape %s, its config says %s", name,
                          info.is_group ? "of a group" : has, want);
    }
    if (status == CO_OK && !co_model_is_stored(&info, &param->shape))
      status =
          co_fail_at(CO_ERR_MODEL, path, 0, 0, "'%s' has %lld values, but stores %lld bytes", name,
                     (long long)co_shape_count(&param->shape), (long long)info.stored_bytes);
    co_free(ctx, name);
  }
  co_h5_abandon(file);
  return status;
}

static co_status read_entry(co_h5 *file, co_store *store, int64_t i, co_block block,
                            const char *path) {
  const co_tensor_desc as = stored_as(store->real, &store->entries[i].info, block);
  void *values = co_alloc(store->ctx, co_tensor_bytes(&as));
  if (!values) return CO_ERR_MEMORY;
  co_status status = co_h5_read(file, path, as.dtype, &as.shape, values);
  if (status == CO_OK) status = co_store_write(store, i, block, values);
  co_free(store->ctx, values);
  return status;
}

static co_status read_all(co_h5 *file, co_store *store, bool training) {
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < store->count; i++) {
    const co_param_info *info = &store->entries[i].info;
    char *path = co_format(store->ctx, "/model_weights/%s", info->name);
    status = path ? read_entry(file, store, i, co_store_result(store), path) : CO_ERR_MEMORY;
    co_free(store->ctx, path);
    for (int k = 0; status == CO_OK && training && k < TRAINED; k++) {
      if (!has_trained(store, i, k)) continue;
      path = trained_path(store->ctx, k, info);
      status = path ? read_entry(file, store, i, trained[k].block, path) : CO_ERR_MEMORY;
      co_free(store->ctx, path);
    }
  }
  return status;
}

co_status co_model_file_read_weights(co_context *ctx, const char *path, co_store *store,
                                     bool training) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  co_status status = read_all(file, store, training);
  co_h5_abandon(file);
  return status;
}

static co_status drop_entry(co_context *ctx, co_h5 *file, const co_param_info *info, co_block block,
                            const char *path) {
  const co_tensor_desc as = stored_as(CO_F32, info, block);
  void *values = co_alloc(ctx, co_tensor_bytes(&as));
  if (!values) return CO_ERR_MEMORY;
  co_status status = co_h5_read(file, path, as.dtype, &as.shape, values);
  co_free(ctx, values);
  return status;
}

static co_status drop_param(co_context *ctx, co_h5 *file, const co_param_info *info) {
  char *path = co_format(ctx, "/model_weights/%s", info->name);
  co_status status = path ? drop_entry(ctx, file, info, CO_BLOCK_PARAM, path) : CO_ERR_MEMORY;
  co_free(ctx, path);
  for (int k = 0; status == CO_OK && !info->state && k < TRAINED; k++) {
    path = trained_path(ctx, k, info);
    if (!path) return CO_ERR_MEMORY;
    if (co_h5_exists(file, path)) status = drop_entry(ctx, file, info, trained[k].block, path);
    co_free(ctx, path);
  }
  return status;
}

co_status co_model_file_read_all(co_context *ctx, const char *path, const co_graph *network) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < network->param_count; i++)
    status = drop_param(ctx, file, &network->params[i]);
  co_h5_abandon(file);
  return status;
}
