// SPDX-License-Identifier: Apache-2.0
// IDX files (https://yann.lecun.com/exdb/mnist): a big-endian magic 0x0000TTDD (type TT, DD
// dimensions), DD big-endian 32-bit extents, then the values. Only unsigned bytes (TT = 8) occur
// here. Images are streamed; labels, a byte each, are held in memory.
#include "datasets/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/dataset.h"
#include "datasets/import_existing.h"
#include "datasets/source.h"
#include "datasets/writer.h"
#include "host/core/h5.h"
#include "host/core/hash.h"
#include "host/core/output.h"
#include "host/core/utf8.h"

enum {
  BLOCK_BYTES = 1 << 20,
  MAX_EXTENT = 65535,
  MAX_ROW_BYTES = 1 << 26,
  DEFLATE_MOST = 1032, // no deflate stream expands more
  LABELS_MAGIC = 0x801,
  IMAGES_MAGIC = 0x803,   // (rows, height, width)
  CHANNELS_MAGIC = 0x804, // (rows, height, width, channels)
  CLASSES = 256
};

static const char *const pair_names[CO_SPLIT_COUNT] = {"training", "validation", "test"};

// ---- files -------------------------------------------------------------------------------------

typedef struct idx_file {
  const char *path;
  co_source *source;
  int64_t rows, height, width, channels; // of labels: rows only
  int64_t row_bytes;
} idx_file;

static co_status wrong(const idx_file *f, const char *format, ...) CO_PRINTF(2, 3);
static co_status wrong(const idx_file *f, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return co_fail_at(CO_ERR_DATA, f->path, 0, 0, "%s", text);
}

// There must be nothing left; reads a gzip trailer, and so its checksum, too.
static co_status finish(const idx_file *f) {
  unsigned char byte;
  size_t got;
  CO_RETURN_IF_FAILED(co_source_read(f->source, &byte, 1, &got));
  if (!got) return CO_OK;
  return wrong(f, "there is more data after the last of %" PRId64 " rows", f->rows);
}

// ---- headers -----------------------------------------------------------------------------------

static uint32_t big_endian(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static co_status check_magic(const idx_file *f, uint32_t magic, bool images) {
  bool is_labels = magic == LABELS_MAGIC,
       is_images = magic == IMAGES_MAGIC || magic == CHANNELS_MAGIC;
  if (images ? is_images : is_labels) return CO_OK;
  co_status status;
  if (is_labels || is_images) {
    status = wrong(f, "these are %s, but %s are expected", images ? "labels" : "images",
                   images ? "images" : "labels");
    co_hint("were the image and the label file exchanged?");
  } else if (magic >> 16 == 0 && (magic >> 8 & 0xff) >= 8 && (magic >> 8 & 0xff) <= 14) {
    status =
        wrong(f, "an IDX file with magic 0x%08" PRIx32 ", but %s need %s", magic,
              images ? "images" : "labels", images ? "0x00000803 or 0x00000804" : "0x00000801");
    co_hint("only unsigned bytes are read: (rows), (rows, height, width[, channels])");
  } else {
    status = wrong(f, "not an IDX file: it starts with 0x%08" PRIx32, magic);
  }
  return status;
}

static co_status check_size(const idx_file *f, int64_t header) {
  // Extents are below 2^32 and rows below 2^26 bytes, so this cannot overflow.
  int64_t need = header + f->rows * f->row_bytes;
  int64_t size = co_source_size(f->source);
  bool gzip = co_source_is_gzip(f->source);
  if (size < 0) return CO_OK;
  if (gzip ? size < need / DEFLATE_MOST : size < need) {
    if (gzip)
      return wrong(f, "too small to hold the %" PRId64 " rows that its header promises", f->rows);
    return wrong(f, "the file ends in row %" PRId64 " (from 0) of %" PRId64,
                 (size - header) / f->row_bytes, f->rows);
  }
  return CO_OK;
}

static co_status idx_open(idx_file *f, co_context *ctx, const char *path, bool images) {
  unsigned char bytes[16];
  size_t got;
  *f = (idx_file){.path = path, .height = 1, .width = 1, .channels = 1, .row_bytes = 1};
  CO_RETURN_IF_FAILED(co_source_open(&f->source, ctx, path));
  CO_RETURN_IF_FAILED(co_source_read(f->source, bytes, 4, &got));
  if (got < 4) return wrong(f, "not an IDX file: only %zu bytes", got);
  uint32_t magic = big_endian(bytes);
  CO_RETURN_IF_FAILED(check_magic(f, magic, images));
  size_t extents = magic & 0xff;
  CO_RETURN_IF_FAILED(co_source_read(f->source, bytes, 4 * extents, &got));
  if (got < 4 * extents) return wrong(f, "the file ends within its header");
  f->rows = big_endian(bytes);
  if (extents > 1) f->height = big_endian(bytes + 4);
  if (extents > 2) f->width = big_endian(bytes + 8);
  if (extents > 3) f->channels = big_endian(bytes + 12);
  if (!f->rows) return wrong(f, "there are no rows");
  if (f->height < 1 || f->width < 1 || f->channels < 1 || f->height > MAX_EXTENT ||
      f->width > MAX_EXTENT || f->channels > MAX_EXTENT ||
      f->height * f->width > MAX_ROW_BYTES / f->channels)
    return wrong(f, "images of %" PRId64 " x %" PRId64 " x %" PRId64 " are out of range", f->height,
                 f->width, f->channels);
  f->row_bytes = f->height * f->width * f->channels;
  return check_size(f, 4 + 4 * (int64_t)extents);
}

// ---- the import --------------------------------------------------------------------------------

// Which rows had equal content so far: open addressing by a 64-bit hash of the content.
typedef struct seen {
  uint64_t *hash;
  unsigned char *splits; // bit set; 0 = free slot
  uint64_t mask;
} seen;

typedef struct import {
  co_context *ctx;
  const co_import_idx_options *options;
  co_diagnostics *problems;
  int64_t problems_before;
  co_import_result *result;
  idx_file images[CO_SPLIT_COUNT], labels[CO_SPLIT_COUNT];
  int64_t pair_rows[CO_SPLIT_COUNT], rows;
  char digest[2 * CO_SPLIT_COUNT][65]; // of images, labels, images, …
  uint8_t *split;                      // of each row
  uint8_t *label_bytes;
  int32_t *codes;
  unsigned char *block;
  seen seen;
  int64_t repeated[CO_SPLIT_COUNT]; // rows that an earlier split also has
  co_text recipe;
  co_arena *arena;
} import;

static const co_idx_pair *pair_of(const import *m, int split) {
  const co_import_idx_options *o = m->options;
  return split == CO_SPLIT_TRAIN        ? &o->training
         : split == CO_SPLIT_VALIDATION ? &o->validation
                                        : &o->test;
}

static bool given(const import *m, int split) {
  return pair_of(m, split)->images != NULL;
}

// Keeps an input's error and goes on with the next input; only a lack of memory ends at once.
static co_status collect(import *m, co_status status) {
  if (status == CO_OK || status == CO_ERR_MEMORY) return status;
  return co_diagnostics_add_last(m->problems);
}

static co_status stop_if_any(const import *m) {
  if (m->problems->count == m->problems_before) return CO_OK;
  return co_error_raise(&m->problems->item[m->problems_before]);
}

static co_status check_options(const import *m) {
  const co_import_idx_options *o = m->options;
  if (!o->output || !o->training.images)
    return co_fail(CO_ERR_USAGE, "import needs training images, training labels and an output");
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    if (!pair_of(m, s)->images != !pair_of(m, s)->labels)
      return co_fail(CO_ERR_USAGE, "%s images and labels must be given together", pair_names[s]);
  if (!(o->validation_fraction >= 0 && o->validation_fraction < 1))
    return co_fail(CO_ERR_USAGE, "the validation share must be at least 0 and below 1, not %g",
                   o->validation_fraction);
  if (o->class_names && (o->class_name_count < 1 || o->class_name_count > CLASSES))
    return co_fail(CO_ERR_USAGE, "%" PRId64 " class names, but IDX labels have 1 to %d classes",
                   o->class_name_count, CLASSES);
  for (int64_t i = 0; o->class_names && i < o->class_name_count; i++) {
    if (co_utf8_find_bad(o->class_names[i]) >= 0)
      return co_fail(CO_ERR_USAGE, "class name %" PRId64 " is not UTF-8", i);
    for (int64_t j = 0; j < i; j++)
      if (!strcmp(o->class_names[i], o->class_names[j]))
        return co_fail(CO_ERR_USAGE, "class name '%.100s' occurs twice", o->class_names[i]);
  }
  return CO_OK;
}

// Everything that decides the output: two imports with equal recipes make equal files.
static co_status write_recipe(import *m) {
  const co_import_idx_options *o = m->options;
  co_text *t = &m->recipe;
  co_text_init(t, m->ctx);
  co_text_printf(t, "importer: idx 1\n");
  for (int i = 0; i < 2 * CO_SPLIT_COUNT; i++)
    if (given(m, i / 2))
      co_text_printf(t, "%s_%s: sha256 %s\n", pair_names[i / 2], i % 2 ? "labels" : "images",
                     m->digest[i]);
  if (!given(m, CO_SPLIT_VALIDATION))
    co_text_printf(t, "validation_fraction: %.17g\nseed: %" PRIu64 "\n", o->validation_fraction,
                   o->seed);
  for (int64_t i = 0; o->class_names && i < o->class_name_count; i++)
    co_text_printf(t, "class: %s\n", o->class_names[i]);
  return t->status;
}

// What the result of an import says can all be read from its output; so can whether it is whole.
static co_status describe_existing(import *m, const char *path, const char *duplicates) {
  co_dataset *d;
  int scanned = sscanf(duplicates, "%" SCNd64, &m->result->duplicates);
  CO_RETURN_IF_FAILED(co_dataset_open(&d, m->ctx, path));
  const co_column *image = co_schema_find(co_dataset_schema(d), "image");
  const co_column *label = co_schema_find(co_dataset_schema(d), "label");
  co_status status = CO_OK;
  if (scanned == 1 && image && label && image->type == CO_COLUMN_IMAGE) {
    const void *data;
    int64_t rows;
    const int64_t *map;
    for (int s = 0; s < CO_SPLIT_COUNT; s++)
      co_dataset_split(d, (co_split)s, &map, &m->result->rows[s]);
    m->result->height = image->shape.dim[0];
    m->result->width = image->shape.dim[1];
    m->result->channels = image->shape.dim[2];
    m->result->classes = label->category_count;
    snprintf(m->result->fingerprint, sizeof m->result->fingerprint, "%s",
             co_dataset_fingerprint(d));
    CO_TRY(co_dataset_column(d, "image", &data, &rows, &map)); // against their checksums
    CO_TRY(co_dataset_column(d, "label", &data, &rows, &map));
    m->result->up_to_date = true;
  }
cleanup:
  co_dataset_close(d);
  return status;
}

// The recipe that a file was made by; NULL if it has none.
static co_status read_recipe(import *m, const char *path, char **recipe, char **duplicates) {
  co_h5 *h5;
  CO_RETURN_IF_FAILED(co_h5_open(&h5, m->ctx, path, CO_ERR_DATA));
  co_status status = CO_OK;
  if (co_h5_exists(h5, "/source") && co_h5_has_attribute(h5, "/source", "recipe") &&
      co_h5_has_attribute(h5, "/source", "duplicates")) {
    status = co_h5_get_string(h5, "/source", "recipe", m->arena, recipe);
    if (status == CO_OK)
      status = co_h5_get_string(h5, "/source", "duplicates", m->arena, duplicates);
  }
  co_h5_abandon(h5);
  return status;
}

// An output that these inputs and options made is left alone, or made again if it is damaged; any
// other is not overwritten.
static co_status check_existing(import *m) {
  const char *path = m->options->output;
  char *recipe = NULL, *duplicates = NULL;
  for (int i = 0; i < 2 * CO_SPLIT_COUNT; i++) {
    const co_idx_pair *pair = pair_of(m, i / 2);
    if (given(m, i / 2))
      CO_RETURN_IF_FAILED(collect(
          m, co_source_hash_file(m->ctx, i % 2 ? pair->labels : pair->images, m->digest[i])));
  }
  CO_RETURN_IF_FAILED(stop_if_any(m));
  CO_RETURN_IF_FAILED(write_recipe(m));
  co_status status = read_recipe(m, path, &recipe, &duplicates);
  if (status == CO_OK && duplicates && !strcmp(recipe, m->recipe.data)) {
    status = describe_existing(m, path, duplicates);
    if (m->result->up_to_date || (status != CO_OK && status != CO_ERR_DATA)) return status;
  }
  if (status == CO_ERR_DATA && duplicates) {
    co_import_warn_damaged(m->ctx, path);
    *m->result = (co_import_result){0};
    return CO_OK;
  }
  return co_import_refuse_existing(path, status);
}

static co_status open_inputs(import *m) {
  const idx_file *first = &m->images[CO_SPLIT_TRAIN];
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    if (!given(m, s)) continue;
    const co_idx_pair *pair = pair_of(m, s);
    idx_file *images = &m->images[s], *labels = &m->labels[s];
    int64_t before = m->problems->count;
    CO_RETURN_IF_FAILED(collect(m, idx_open(images, m->ctx, pair->images, true)));
    CO_RETURN_IF_FAILED(collect(m, idx_open(labels, m->ctx, pair->labels, false)));
    if (m->problems->count > before) continue;
    if (images->rows != labels->rows)
      CO_RETURN_IF_FAILED(
          collect(m, wrong(labels, "%" PRId64 " labels, but '%.200s' holds %" PRId64 " images",
                           labels->rows, pair->images, images->rows)));
    if (first->rows && (images->height != first->height || images->width != first->width ||
                        images->channels != first->channels))
      CO_RETURN_IF_FAILED(
          collect(m, wrong(images,
                           "images of %" PRId64 " x %" PRId64 " x %" PRId64
                           ", but training has %" PRId64 " x %" PRId64 " x %" PRId64,
                           images->height, images->width, images->channels, first->height,
                           first->width, first->channels)));
    m->pair_rows[s] = images->rows;
    m->rows += images->rows;
  }
  return stop_if_any(m);
}

static co_status read_labels(import *m) {
  const co_import_idx_options *o = m->options;
  int64_t used[CLASSES] = {0}, begin = 0;
  m->label_bytes = co_alloc(m->ctx, (size_t)m->rows);
  if (!m->label_bytes) return CO_ERR_MEMORY;
  m->result->classes = o->class_names ? o->class_name_count : 0;
  for (int s = 0; s < CO_SPLIT_COUNT; begin += m->pair_rows[s++]) {
    if (!given(m, s)) continue;
    const idx_file *in = &m->labels[s];
    uint8_t *label = m->label_bytes + begin;
    int64_t rows = m->pair_rows[s];
    size_t got;
    co_status status = co_source_read(in->source, label, (size_t)rows, &got);
    if (status == CO_OK && (int64_t)got < rows)
      status = wrong(in, "the file ends in row %zu (from 0) of %" PRId64, got, rows);
    if (status == CO_OK) status = finish(in);
    for (int64_t i = 0; i < rows && status == CO_OK; i++) {
      if (o->class_names && label[i] >= o->class_name_count)
        status =
            wrong(in, "row %" PRId64 " (from 0): label %d, but there are %" PRId64 " class names",
                  i, label[i], o->class_name_count);
      if (label[i] >= m->result->classes && !o->class_names) m->result->classes = label[i] + 1;
      if (s == CO_SPLIT_TRAIN) used[label[i]]++;
    }
    CO_RETURN_IF_FAILED(collect(m, status));
    co_source_digest(in->source, m->digest[2 * s + 1]);
  }
  CO_RETURN_IF_FAILED(stop_if_any(m));
  int64_t unused = 0, named = -1;
  for (int64_t c = m->result->classes - 1; c >= 0; c--)
    if (!used[c]) {
      unused++;
      named = c;
    }
  if (unused)
    co_log(m->ctx, CO_LOG_WARN, "import",
           "'%s': no training row has label %" PRId64 " (%" PRId64 " of %" PRId64
           " classes are unused)",
           m->options->training.labels, named, unused, m->result->classes);
  return CO_OK;
}

static co_status make_seen(import *m) {
  uint64_t slots = 16;
  while (slots < 2 * (uint64_t)m->rows)
    slots *= 2;
  m->seen.mask = slots - 1;
  m->seen.hash = co_alloc_zero(m->ctx, slots, sizeof *m->seen.hash);
  if (!m->seen.hash) return CO_ERR_MEMORY;
  m->seen.splits = co_alloc_zero(m->ctx, slots, 1);
  return m->seen.splits ? CO_OK : CO_ERR_MEMORY;
}

// Assigns the row's split, and counts it if its content occurred before.
static uint8_t place_row(import *m, int pair, const void *bytes, int64_t length) {
  uint64_t hash = co_hash64(m->options->seed, bytes, (size_t)length), at = hash & m->seen.mask;
  uint8_t split = (uint8_t)pair;
  // By content, so that copies share a split and a row keeps its split when others are added.
  if (pair == CO_SPLIT_TRAIN && !given(m, CO_SPLIT_VALIDATION) &&
      (double)(hash >> 11) * 0x1p-53 < m->options->validation_fraction)
    split = CO_SPLIT_VALIDATION;
  while (m->seen.splits[at] && m->seen.hash[at] != hash)
    at = (at + 1) & m->seen.mask;
  unsigned char others = m->seen.splits[at];
  if (others) m->result->duplicates++;
  if (others & ~(1u << split)) m->repeated[split]++;
  m->seen.hash[at] = hash;
  m->seen.splits[at] = (unsigned char)(others | 1u << split);
  return split;
}

static co_status copy_images(import *m, int s, int64_t begin, co_dataset_writer *writer) {
  idx_file *f = &m->images[s];
  int64_t block = BLOCK_BYTES / f->row_bytes > 1 ? BLOCK_BYTES / f->row_bytes : 1;
  for (int64_t row = 0; row < f->rows;) {
    int64_t count = f->rows - row < block ? f->rows - row : block;
    size_t got, bytes = (size_t)(count * f->row_bytes);
    co_status status = co_source_read(f->source, m->block, bytes, &got);
    int64_t broken = row + (int64_t)got / f->row_bytes;
    if (status == CO_ERR_DATA) co_note("row %" PRId64 " (from 0) of %" PRId64, broken, f->rows);
    CO_RETURN_IF_FAILED(status);
    if (got < bytes)
      return wrong(f, "the file ends in row %" PRId64 " (from 0) of %" PRId64, broken, f->rows);
    for (int64_t i = 0; i < count; i++)
      m->split[begin + row + i] = place_row(m, s, m->block + i * f->row_bytes, f->row_bytes);
    CO_RETURN_IF_FAILED(co_dataset_writer_rows(writer, count, m->block));
    row += count;
    if (m->options->progress)
      m->options->progress(m->options->progress_user, pair_names[s], begin + row, m->rows);
    if (m->options->stop && *m->options->stop)
      return co_fail(CO_INTERRUPTED, "stopped; no output was written");
  }
  CO_RETURN_IF_FAILED(finish(f));
  co_source_digest(f->source, m->digest[2 * s]);
  return CO_OK;
}

static void report(const import *m) {
  static const char *const others[CO_SPLIT_COUNT] = {"another split", "training",
                                                     "training or validation"};
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    if (m->repeated[s])
      co_log(m->ctx, CO_LOG_WARN, "import",
             "%" PRId64 " of %" PRId64 " %s rows have the same image as a row of %s; scores on "
             "them will be too good",
             m->repeated[s], m->result->rows[s], pair_names[s], others[s]);
  if (m->result->duplicates)
    co_log(m->ctx, CO_LOG_INFO, "import", "%" PRId64 " rows repeat the image of an earlier row",
           m->result->duplicates);
  if (m->options->validation_fraction > 0 && !m->result->rows[CO_SPLIT_VALIDATION])
    co_log(m->ctx, CO_LOG_WARN, "import", "no row fell into the validation split");
  if (!m->result->rows[CO_SPLIT_TRAIN])
    co_log(m->ctx, CO_LOG_WARN, "import", "no row fell into the training split");
}

static const char *const *class_names(import *m) {
  if (m->options->class_names) return m->options->class_names;
  const char **names = co_arena_alloc(m->arena, (size_t)m->result->classes, sizeof *names);
  for (int64_t i = 0; names && i < m->result->classes; i++)
    if (!(names[i] = co_arena_format(m->arena, "%" PRId64, i))) return NULL;
  return (const char *const *)names;
}

static co_status write_labels(import *m, co_dataset_writer *writer) {
  co_column label = {.name = "label",
                     .type = CO_COLUMN_CATEGORY,
                     .role = CO_ROLE_TARGET,
                     .dtype = CO_I32,
                     .category_count = m->result->classes,
                     .categories = class_names(m)};
  m->codes = co_alloc_zero(m->ctx, (size_t)m->rows, sizeof *m->codes);
  if (!label.categories || !m->codes) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->rows; i++)
    m->codes[i] = m->label_bytes[i];
  CO_RETURN_IF_FAILED(co_dataset_writer_column(writer, "images", &label, m->rows));
  return co_dataset_writer_rows(writer, m->rows, m->codes);
}

static co_status write_output(import *m) {
  const idx_file *first = &m->images[CO_SPLIT_TRAIN];
  co_status status = CO_ERR_MEMORY;
  co_dataset_writer *writer = NULL;
  char duplicates[32];
  int64_t block = first->row_bytes > BLOCK_BYTES ? first->row_bytes : BLOCK_BYTES, begin = 0;
  co_column image = {.name = "image",
                     .type = CO_COLUMN_IMAGE,
                     .role = CO_ROLE_INPUT,
                     .dtype = CO_U8,
                     .shape = {3, {first->height, first->width, first->channels}}};
  if (!(m->split = co_alloc(m->ctx, (size_t)m->rows))) goto cleanup;
  if (!(m->block = co_alloc(m->ctx, (size_t)block))) goto cleanup;
  CO_TRY(make_seen(m));
  CO_TRY(co_dataset_writer_create(&writer, m->ctx, m->options->output));
  CO_TRY(co_dataset_writer_column(writer, "images", &image, m->rows));
  for (int s = 0; s < CO_SPLIT_COUNT; begin += m->pair_rows[s++])
    if (given(m, s)) CO_TRY(copy_images(m, s, begin, writer));
  for (int64_t i = 0; i < m->rows; i++)
    m->result->rows[m->split[i]]++;
  CO_TRY(write_labels(m, writer));
  CO_TRY(co_dataset_writer_samples(writer, "images", m->rows, NULL, NULL, m->split));
  co_text_free(&m->recipe);
  CO_TRY(write_recipe(m));
  CO_TRY(co_dataset_writer_source(writer, "recipe", m->recipe.data));
  snprintf(duplicates, sizeof duplicates, "%" PRId64, m->result->duplicates);
  CO_TRY(co_dataset_writer_source(writer, "duplicates", duplicates));
  CO_TRY(co_dataset_writer_commit(writer, m->result->fingerprint));
  report(m);

cleanup:
  co_dataset_writer_free(writer);
  return status;
}

// Of the files that are read, and of anything but a file, none is written.
static co_status check_output(import *m) {
  const co_import_idx_options *o = m->options;
  const char *const inputs[] = {o->training.images,   o->training.labels, o->validation.images,
                                o->validation.labels, o->test.images,     o->test.labels};
  // Whether one that exists may be replaced is for check_existing to say.
  const co_output output = {o->output, true, inputs, sizeof inputs / sizeof *inputs};
  return co_output_check(m->ctx, &output);
}

static co_status run(import *m) {
  CO_RETURN_IF_FAILED(check_options(m));
  CO_RETURN_IF_FAILED(check_output(m));
  CO_RETURN_IF_FAILED(co_arena_create(&m->arena, m->ctx));
  if (!m->options->force && co_path_exists(m->options->output)) {
    CO_RETURN_IF_FAILED(check_existing(m));
    if (m->result->up_to_date) return CO_OK;
  }
  CO_RETURN_IF_FAILED(open_inputs(m));
  m->result->height = m->images[CO_SPLIT_TRAIN].height;
  m->result->width = m->images[CO_SPLIT_TRAIN].width;
  m->result->channels = m->images[CO_SPLIT_TRAIN].channels;
  CO_RETURN_IF_FAILED(read_labels(m));
  return write_output(m);
}

co_status co_import_idx(co_import_result *out, co_context *ctx,
                        const co_import_idx_options *options, co_diagnostics *problems) {
  *out = (co_import_result){0};
  import *m = co_alloc_zero(ctx, 1, sizeof *m);
  if (!m) return CO_ERR_MEMORY;
  m->ctx = ctx;
  m->options = options;
  m->problems = problems;
  m->problems_before = problems->count;
  m->result = out;
  co_text_init(&m->recipe, ctx);

  co_status status = run(m);
  // The last error, unless it came from the list itself.
  if (status != CO_OK && problems->count == m->problems_before) co_diagnostics_add_last(problems);

  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    co_source_close(m->images[s].source);
    co_source_close(m->labels[s].source);
  }
  co_free(ctx, m->seen.hash);
  co_free(ctx, m->seen.splits);
  co_free(ctx, m->split);
  co_free(ctx, m->block);
  co_free(ctx, m->codes);
  co_free(ctx, m->label_bytes);
  co_text_free(&m->recipe);
  co_arena_free(m->arena);
  co_free(ctx, m);
  return status;
}
