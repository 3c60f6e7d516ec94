// SPDX-License-Identifier: Apache-2.0
// Two passes over the files: the first looks at their headers and hashes them, the second decodes them
// into blocks of rows, which are written in order. What a decoder stumbles on in the second makes it
// begin anew without that file.
#include "datasets/import_images.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/format.h"
#include "datasets/image_folder.h"
#include "datasets/import_existing.h"
#include "datasets/writer.h"
#include "host/core/hash.h"
#include "host/core/output.h"
#include "host/core/utf8.h"

#define ENTITY "images"
enum {
  BLOCK_FILES = 256,
  BLOCK_BYTES = 1 << 26,
  MAX_NAMED = 20 // files that the log names
};
static const char *const split_names[CO_SPLIT_COUNT] = {"training", "validation", "test"};

typedef struct photo {
  uint64_t hash; // of the file's bytes
  co_image_info info;
  char *reason; // why it is left out; owned; NULL = it is not
} photo;

typedef struct images_import {
  co_context *ctx;
  const co_import_images_options *options;
  co_diagnostics *skipped;
  co_import_images_result *result;
  co_image_folder folder;
  photo *photos;           // of each file
  co_image_recipe recipe;  // complete after the first pass
  int64_t *row_file, rows; // the file of each row
  uint8_t *split;          // of each row
  uint8_t *block;
  co_text text;
  co_dataset_writer *writer;
} images_import;

// ---- all files at once -------------------------------------------------------------------------

typedef co_status photo_work(images_import *m, int64_t file, const uint8_t *bytes, size_t length,
                             uint8_t *row);

static co_status work_on(images_import *m, photo_work *work, int64_t file, uint8_t *row) {
  uint8_t *bytes = NULL;
  size_t length;
  co_status status = co_image_folder_bytes(&m->folder, file, &bytes, &length);
  if (status == CO_OK) status = work(m, file, bytes, length, row);
  co_free(m->ctx, bytes);
  co_alive(m->ctx, CO_PATIENCE_DISK);
  return status;
}

// A file that cannot be taken keeps its reason; all else is the end.
static co_status keep_reason(images_import *m, int64_t file, co_status status) {
  if (status != CO_ERR_DATA && status != CO_ERR_IO) return status;
  m->photos[file].reason = co_strdup(m->ctx, co_error_last()->message);
  return m->photos[file].reason ? CO_OK : CO_ERR_MEMORY;
}

// Of the files listed (NULL = 0, 1, …), all threads. `rows`: of `row_bytes` for each; may be NULL.
static co_status each_file(images_import *m, photo_work *work, const int64_t *files, int64_t count,
                           uint8_t *rows, int64_t row_bytes) {
  co_error first = {.status = CO_OK};
#pragma omp parallel for schedule(dynamic, 1) num_threads(co_context_threads(m->ctx))
  for (int64_t i = 0; i < count; i++) {
    int64_t file = files ? files[i] : i;
    co_status status = work_on(m, work, file, rows ? rows + i * row_bytes : NULL);
    if (status != CO_OK) status = keep_reason(m, file, status);
    if (status != CO_OK) {
#pragma omp critical(co_import_images)
      co_error_copy(&first);
    }
  }
  return first.status == CO_OK ? CO_OK : co_error_raise(&first);
}

static co_status tell_progress(const images_import *m, const char *what, int64_t done,
                               int64_t total) {
  const co_import_images_options *o = m->options;
  if (o->progress) o->progress(o->progress_user, what, done, total);
  if (o->stop && *o->stop) return co_fail(CO_INTERRUPTED, "stopped; no output was written");
  return CO_OK;
}

// ---- what is left out --------------------------------------------------------------------------

static bool more_than_may_be(const images_import *m, int64_t bad) {
  const co_reject_rule *rule = &m->options->errors;
  return (double)bad > (rule->share ? rule->most * (double)m->folder.count : rule->most);
}

static co_status check_reasons(images_import *m) {
  const char *folder = m->options->folder;
  int64_t bad = 0;
  m->skipped->count = 0; // all are told anew, in order
  for (int64_t i = 0; i < m->folder.count; i++) {
    if (!m->photos[i].reason) continue;
    char *path = co_path_join(m->ctx, folder, m->folder.files[i].path);
    if (!path) return CO_ERR_MEMORY;
    co_status status = co_fail_at(CO_ERR_DATA, path, 0, 0, "%s", m->photos[i].reason);
    co_free(m->ctx, path);
    if (m->options->errors.on_error == CO_ON_ERROR_FAIL) {
      co_hint("take it away, or leave such files out: --on-error skip");
      return status;
    }
    bad++;
    CO_RETURN_IF_FAILED(co_diagnostics_add_last(m->skipped));
  }
  m->result->skipped = bad;
  if (bad == m->folder.count)
    return co_fail(CO_ERR_DATA, "'%s': none of its %" PRId64 " images can be read", folder, bad);
  if (!more_than_may_be(m, bad)) return CO_OK;
  co_status status = co_fail(
      CO_ERR_DATA, "'%s': %" PRId64 " of %" PRId64 " images cannot be read, as '%.200s': %s",
      folder, bad, m->folder.count, m->skipped->item[0].file, m->skipped->item[0].message);
  co_hint("that is more than --max-errors allows (default 1%%)");
  return status;
}

static void tell_skipped(const images_import *m) {
  const co_diagnostics *s = m->skipped;
  for (int64_t i = 0; i < s->count && i < MAX_NAMED; i++)
    co_log(m->ctx, CO_LOG_WARN, "import", "'%s' is left out: %s", s->item[i].file,
           s->item[i].message);
  if (s->count > MAX_NAMED)
    co_log(m->ctx, CO_LOG_WARN, "import", "%" PRId64 " more files are left out",
           s->count - MAX_NAMED);
  if (m->folder.others)
    co_log(m->ctx, CO_LOG_WARN, "import",
           "%" PRId64 " files are called neither .jpg nor .png nor .webp, as '%s': left out",
           m->folder.others, m->folder.other);
}

// ---- the first pass ----------------------------------------------------------------------------

static co_status look_at(images_import *m, int64_t file, const uint8_t *bytes, size_t length,
                         uint8_t *row) {
  const char *name = m->folder.files[file].path;
  photo *p = &m->photos[file];
  (void)row;
  if (co_utf8_find_bad(name) >= 0) return co_fail(CO_ERR_DATA, "its name is not UTF-8");
  if (strlen(name) > CO_DATASET_KEY_MAX)
    return co_fail(CO_ERR_DATA, "its name is longer than %d bytes", (int)CO_DATASET_KEY_MAX);
  p->hash = co_hash64(m->options->seed, bytes, length);
  return co_image_measure(&p->info, bytes, length, m->options->most_pixels);
}

static co_status complete_recipe(images_import *m) {
  co_image_look *looks = co_alloc(m->ctx, (size_t)m->folder.count * sizeof *looks);
  int64_t count = 0;
  if (!looks) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->folder.count; i++)
    if (!m->photos[i].reason)
      looks[count++] = (co_image_look){m->folder.files[i].path, m->photos[i].info};
  m->recipe = m->options->recipe;
  co_status status = co_image_recipe_complete(&m->recipe, m->ctx, m->options->folder, looks, count);
  co_free(m->ctx, looks);
  m->result->height = m->recipe.height;
  m->result->width = m->recipe.width;
  m->result->channels = m->recipe.channels;
  return status;
}

static co_status look_at_all(images_import *m) {
  const co_image_folder_options from = {.path = m->options->folder,
                                        .beside = m->options->output,
                                        .table = m->options->labels,
                                        .stop = m->options->stop};
  CO_RETURN_IF_FAILED(from.table ? co_image_folder_list(&m->folder, m->ctx, &from)
                                 : co_image_folder_read(&m->folder, m->ctx, &from));
  m->result->files = m->folder.count;
  m->result->others = m->folder.others;
  m->photos = co_alloc_zero(m->ctx, (size_t)m->folder.count, sizeof *m->photos);
  m->row_file = co_alloc(m->ctx, (size_t)m->folder.count * sizeof *m->row_file);
  m->split = co_alloc(m->ctx, (size_t)m->folder.count);
  if (!m->photos || !m->row_file || !m->split) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->folder.count; i++)
    m->row_file[i] = i;
  for (int64_t at = 0; at < m->folder.count; at += BLOCK_FILES) {
    int64_t left = m->folder.count - at;
    CO_RETURN_IF_FAILED(tell_progress(m, "look", at, m->folder.count));
    CO_RETURN_IF_FAILED(
        each_file(m, look_at, m->row_file + at, left < BLOCK_FILES ? left : BLOCK_FILES, NULL, 0));
  }
  CO_RETURN_IF_FAILED(check_reasons(m));
  return complete_recipe(m);
}

// ---- splits ------------------------------------------------------------------------------------

static bool by_folders(const images_import *m) {
  return !m->options->unlabelled && m->folder.files[0].split >= 0;
}

static co_status check_splits(const images_import *m) {
  const co_split_rule *rule = m->options->split;
  if (!by_folders(m)) {
    if (rule && rule->kind != CO_SPLIT_RANDOM && rule->kind != CO_SPLIT_STRATIFIED) {
      co_status status = co_fail(CO_ERR_USAGE, "images are split at random or stratified by class");
      co_hint("--split random:0.7,0.1,0.2, --split stratified:0.7,0.1,0.2, or folders train, "
              "validation and test");
      return status;
    }
    if (rule && rule->kind == CO_SPLIT_STRATIFIED && !m->folder.class_count)
      return co_fail(CO_ERR_USAGE, "--split stratified needs folders of classes");
    return CO_OK;
  }
  if (rule)
    return co_fail(CO_ERR_USAGE, "'%s' has %s of splits: --split does not go with them",
                   m->options->labels ? m->options->labels : m->options->folder,
                   m->options->labels ? "a column" : "folders");
  if (m->folder.splits[CO_SPLIT_TRAIN]) return CO_OK;
  co_status status =
      co_fail(CO_ERR_DATA, "'%s' has folders of splits, but none for training", m->options->folder);
  co_hint(m->folder.archive ? "it would be called train; to split one of them anew, unpack it and "
                              "name that folder: DIR/test --split RULE"
                            : "it would be called train; to split one of them anew, name it: "
                              "DIR/test --split RULE");
  return status;
}

static co_status split_by_rule(images_import *m) {
  co_split_rule rule = {.kind = CO_SPLIT_RANDOM, .share = {.7, .1, .2}};
  if (m->options->split) rule = *m->options->split;
  uint64_t *hash = co_alloc(m->ctx, (size_t)m->rows * sizeof *hash);
  int32_t *class_ = co_alloc(m->ctx, (size_t)m->rows * sizeof *class_);
  co_status status = hash && class_ ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < m->rows; i++) {
    hash[i] = m->photos[m->row_file[i]].hash;
    class_[i] = m->folder.files[m->row_file[i]].class_;
    m->split[i] = (uint8_t)co_split_of_hash(&rule, hash[i]);
  }
  if (status == CO_OK && rule.kind == CO_SPLIT_STRATIFIED)
    status = co_split_stratified(&rule, m->ctx, m->rows, hash, class_, m->split);
  co_free(m->ctx, hash);
  co_free(m->ctx, class_);
  return status;
}

static void split_by_folder(images_import *m) {
  double part = m->options->validation_fraction;
  bool draw = !m->folder.splits[CO_SPLIT_VALIDATION];
  co_split_rule rule = {.share = {1 - part, part, 0}};
  for (int64_t i = 0; i < m->rows; i++) {
    int64_t file = m->row_file[i];
    m->split[i] = (uint8_t)m->folder.files[file].split;
    if (draw && m->split[i] == CO_SPLIT_TRAIN)
      m->split[i] = (uint8_t)co_split_of_hash(&rule, m->photos[file].hash);
  }
}

// Which files are rows, and of which split.
static co_status place_rows(images_import *m) {
  m->rows = 0;
  for (int64_t i = 0; i < m->folder.count; i++)
    if (!m->photos[i].reason) m->row_file[m->rows++] = i;
  memset(m->result->rows, 0, sizeof m->result->rows);
  memset(m->split, CO_SPLIT_TEST, (size_t)m->rows);
  if (by_folders(m))
    split_by_folder(m);
  else if (!m->options->unlabelled)
    CO_RETURN_IF_FAILED(split_by_rule(m));
  for (int64_t i = 0; i < m->rows; i++)
    m->result->rows[m->split[i]]++;
  return CO_OK;
}

typedef struct copy {
  uint64_t hash;
  uint8_t split;
} copy;

static int by_hash(const void *a, const void *b) {
  const copy *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->split > y->split) - (x->split < y->split);
}

// Copies within a split are told, those across splits (folders may have them) warned of.
static co_status count_copies(images_import *m) {
  int64_t repeated[CO_SPLIT_COUNT] = {0};
  copy *copies = co_alloc(m->ctx, (size_t)m->rows * sizeof *copies);
  if (!copies) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++)
    copies[i] = (copy){m->photos[m->row_file[i]].hash, m->split[i]};
  qsort(copies, (size_t)m->rows, sizeof *copies, by_hash);
  m->result->duplicates = 0;
  for (int64_t i = 1, first = 0; i < m->rows; i++) {
    if (copies[i].hash != copies[first].hash) first = i;
    if (first == i) continue;
    m->result->duplicates++;
    repeated[copies[i].split] += copies[i].split != copies[first].split;
  }
  co_free(m->ctx, copies);
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    if (repeated[s])
      co_log(m->ctx, CO_LOG_WARN, "import",
             "%" PRId64 " of %" PRId64
             " %s images are copies of one of an earlier split; scores on "
             "them will be too good",
             repeated[s], m->result->rows[s], split_names[s]);
  if (m->folder.class_count == 1 && !m->options->unlabelled)
    co_log(m->ctx, CO_LOG_WARN, "import", "all images are of one class, '%s'",
           m->folder.classes[0]);
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    if (!m->result->rows[s] && !m->options->unlabelled)
      co_log(m->ctx, CO_LOG_WARN, "import", "no image fell into the %s split", split_names[s]);
  return CO_OK;
}

// ---- the second pass ---------------------------------------------------------------------------

static co_status decode_file(images_import *m, int64_t file, const uint8_t *bytes, size_t length,
                             uint8_t *row) {
  const co_image_info *info = &m->photos[file].info;
  if (co_hash64(m->options->seed, bytes, length) != m->photos[file].hash)
    return co_fail(CO_ERR_DATA, "it changed while it was read");
  return co_image_recipe_row(&m->recipe, m->ctx, bytes, length, info, m->options->most_pixels, row);
}

static co_status write_images(images_import *m, bool *whole) {
  const co_image_recipe *r = &m->recipe;
  const co_column image = {.name = "image",
                           .type = CO_COLUMN_IMAGE,
                           .role = CO_ROLE_INPUT,
                           .dtype = CO_U8,
                           .shape = {3, {r->height, r->width, r->channels}}};
  int64_t row_bytes = co_image_recipe_bytes(r), block = BLOCK_BYTES / row_bytes;
  block = block < 1 ? 1 : block > BLOCK_FILES ? BLOCK_FILES : block;
  CO_RETURN_IF_FAILED(co_dataset_writer_column(m->writer, ENTITY, &image, m->rows));
  if (!m->block && !(m->block = co_alloc(m->ctx, (size_t)(block * row_bytes))))
    return CO_ERR_MEMORY;
  for (int64_t at = 0, count; at < m->rows; at += count) {
    count = m->rows - at < block ? m->rows - at : block;
    CO_RETURN_IF_FAILED(tell_progress(m, "decode", at, m->rows));
    CO_RETURN_IF_FAILED(each_file(m, decode_file, m->row_file + at, count, m->block, row_bytes));
    for (int64_t i = at; i < at + count; i++)
      *whole &= !m->photos[m->row_file[i]].reason;
    if (!*whole && m->options->errors.on_error == CO_ON_ERROR_FAIL) return check_reasons(m);
    if (*whole) CO_RETURN_IF_FAILED(co_dataset_writer_rows(m->writer, count, m->block));
  }
  return CO_OK;
}

static co_status write_keys(images_import *m) {
  const char **names = co_alloc(m->ctx, (size_t)m->rows * sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++)
    names[i] = m->folder.files[m->row_file[i]].path;
  co_status status =
      co_dataset_writer_texts(m->writer, ENTITY, "file", CO_ROLE_KEY, names, m->rows);
  co_free(m->ctx, names);
  return status;
}

static co_status write_classes(images_import *m, const co_image_attribute *attribute) {
  const co_column column = {.name = attribute->name,
                            .type = CO_COLUMN_CATEGORY,
                            .role = CO_ROLE_TARGET,
                            .dtype = CO_I32,
                            .category_count = attribute->class_count,
                            .categories = attribute->classes};
  int32_t *codes = co_alloc(m->ctx, (size_t)m->rows * sizeof *codes);
  if (!codes) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++)
    codes[i] = attribute->codes ? attribute->codes[m->row_file[i]]
                                : m->folder.files[m->row_file[i]].class_;
  co_status status = co_dataset_writer_column(m->writer, ENTITY, &column, m->rows);
  if (status == CO_OK) status = co_dataset_writer_rows(m->writer, m->rows, codes);
  co_free(m->ctx, codes);
  return status;
}

static co_status write_labels(images_import *m) {
  const co_image_folder *f = &m->folder;
  const co_image_attribute label = {
      .name = "label", .classes = f->classes, .class_count = f->class_count};
  if (m->options->unlabelled) return CO_OK;
  m->result->classes = f->class_count;
  if (f->class_count) CO_RETURN_IF_FAILED(write_classes(m, &label));
  for (int64_t a = 0; a < f->attribute_count; a++)
    CO_RETURN_IF_FAILED(write_classes(m, &f->attributes[a]));
  return CO_OK;
}

static co_status write_source(images_import *m) {
  CO_RETURN_IF_FAILED(co_dataset_writer_source(m->writer, "recipe", m->text.data));
  co_text schema;
  co_text_init(&schema, m->ctx);
  co_status status = co_image_recipe_print(&schema, &m->recipe);
  if (status == CO_OK) status = co_dataset_writer_source(m->writer, "schema", schema.data);
  co_text_free(&schema);
  return status;
}

// Not whole: some file could not be decoded, and another try will do without it.
static co_status try_to_write(images_import *m, bool *whole) {
  *whole = true;
  CO_RETURN_IF_FAILED(check_reasons(m));
  CO_RETURN_IF_FAILED(place_rows(m));
  CO_RETURN_IF_FAILED(co_dataset_writer_create(&m->writer, m->ctx, m->options->output));
  CO_RETURN_IF_FAILED(write_keys(m));
  CO_RETURN_IF_FAILED(write_images(m, whole));
  if (!*whole) return CO_OK;
  CO_RETURN_IF_FAILED(write_labels(m));
  CO_RETURN_IF_FAILED(co_dataset_writer_samples(m->writer, ENTITY, m->rows, NULL, NULL, m->split));
  CO_RETURN_IF_FAILED(write_source(m));
  return m->options->temporary ? co_dataset_writer_commit_temporary(
                                     m->writer, m->result->fingerprint, m->options->temporary)
                               : co_dataset_writer_commit(m->writer, m->result->fingerprint);
}

static co_status write_output(images_import *m) {
  for (bool whole = false; !whole;) {
    CO_RETURN_IF_FAILED(try_to_write(m, &whole));
    co_dataset_writer_free(m->writer);
    m->writer = NULL;
  }
  tell_skipped(m);
  return count_copies(m);
}

// ---- the import --------------------------------------------------------------------------------

// Everything that decides the output.
static co_status print_options(images_import *m) {
  const co_import_images_options *o = m->options;
  char digest[65];
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < m->folder.count; i++) {
    const char *path = m->folder.files[i].path;
    co_sha256_update(&hash, path, strlen(path) + 1);
    co_sha256_update(&hash, &m->photos[i].hash, sizeof m->photos[i].hash);
    for (int64_t a = 0; a < m->folder.attribute_count; a++) {
      const co_image_attribute *attribute = &m->folder.attributes[a];
      const char *value = attribute->codes[i] < 0 ? "" : attribute->classes[attribute->codes[i]];
      co_sha256_update(&hash, attribute->name, strlen(attribute->name) + 1);
      co_sha256_update(&hash, value, strlen(value) + 1);
    }
    if (m->folder.attributes) co_sha256_update(&hash, &m->folder.files[i].split, 1);
  }
  co_sha256_final(&hash, digest);
  co_text_printf(&m->text, "importer: images 1\nfiles: %s\n", digest);
  CO_RETURN_IF_FAILED(co_image_recipe_print(&m->text, &m->recipe));
  if (by_folders(m))
    co_text_printf(&m->text, "validation_fraction: %.17g\n", o->validation_fraction);
  else if (o->split)
    CO_RETURN_IF_FAILED(co_split_rule_print(&m->text, o->split));
  co_text_printf(&m->text, "\nseed: %" PRIu64 "\nmost_pixels: %" PRId64 "\n", o->seed,
                 o->most_pixels);
  return m->text.status;
}

static co_status take_existing(images_import *m) {
  const co_import_images_options *o = m->options;
  co_existing existing;
  if (o->temporary || o->force || !co_path_exists(o->output)) return CO_OK;
  CO_RETURN_IF_FAILED(co_import_check_existing(&existing, m->ctx, o->output, m->text.data));
  m->result->up_to_date = existing.up_to_date;
  if (!existing.up_to_date) return CO_OK;
  m->result->classes = m->folder.class_count;
  memcpy(m->result->rows, existing.rows, sizeof existing.rows);
  memcpy(m->result->fingerprint, existing.fingerprint, sizeof existing.fingerprint);
  return CO_OK;
}

static co_status run(images_import *m) {
  const co_import_images_options *o = m->options;
  const co_output output = {o->output, true, NULL, 0};
  CO_RETURN_IF_FAILED(co_output_check(m->ctx, &output));
  if (o->errors.on_error == CO_ON_ERROR_QUARANTINE) {
    co_status status = co_fail(CO_ERR_USAGE, "--on-error quarantine is for rows of tables");
    co_hint("fail, or skip: the log and --json name what is left out");
    return status;
  }
  CO_RETURN_IF_FAILED(look_at_all(m));
  CO_RETURN_IF_FAILED(check_splits(m));
  CO_RETURN_IF_FAILED(print_options(m));
  CO_RETURN_IF_FAILED(take_existing(m));
  return m->result->up_to_date ? CO_OK : write_output(m);
}

co_status co_import_images(co_import_images_result *out, co_context *ctx,
                           const co_import_images_options *options, co_diagnostics *skipped) {
  *out = (co_import_images_result){.up_to_date = false};
  co_error error;
  images_import *m = co_alloc_zero(ctx, 1, sizeof *m);
  if (!m) return CO_ERR_MEMORY;
  *m = (images_import){.ctx = ctx, .options = options, .skipped = skipped, .result = out};
  co_text_init(&m->text, ctx);
  co_status status = run(m);
  co_error_copy(&error);
  for (int64_t i = 0; m->photos && i < m->folder.count; i++)
    co_free(ctx, m->photos[i].reason);
  co_dataset_writer_free(m->writer);
  co_image_folder_free(&m->folder);
  co_free(ctx, m->photos);
  co_free(ctx, m->row_file);
  co_free(ctx, m->split);
  co_free(ctx, m->block);
  co_text_free(&m->text);
  co_free(ctx, m);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
