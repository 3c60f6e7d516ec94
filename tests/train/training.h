// SPDX-License-Identifier: Apache-2.0
// What the training tests share: a fresh folder as the current one, small data sets, trainings in
// child processes (which may be killed), comparison of run directories.
#ifndef COHORT_TESTS_TRAINING_H
#define COHORT_TESTS_TRAINING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/dataset.h"
#include "datasets/writer.h"
#include "host/api/api.h"
#include "host/core/file.h"
#include "host/eval/opening.h"

enum { IMAGE_SIDE = 6, IMAGE_CLASSES = 3 };

// ---- files -------------------------------------------------------------------------------------

// In memory where that is possible: every checkpoint waits for the disk.
static inline int enter_folder(void **state) {
  bool memory = access("/dev/shm", W_OK) == 0;
  char *folder = strdup(memory ? "/dev/shm/cohort_train_XXXXXX" : "/tmp/cohort_train_XXXXXX");
  *state = folder;
  return folder && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static inline int leave_folder(void **state) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  int rc = chdir("/") || system(command);
  free(*state);
  return rc;
}

#define TRAINING_TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

static inline void write_text(const char *path, const char *text) {
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  fputs(text, stream);
  assert_int_equal(fclose(stream), 0);
}

// The contents and a NUL; NULL if there is no such file. To be freed.
static inline char *read_whole(const char *path, size_t *length) {
  FILE *stream = fopen(path, "rb");
  if (!stream) return NULL;
  fseek(stream, 0, SEEK_END);
  size_t size = (size_t)ftell(stream);
  rewind(stream);
  char *bytes = malloc(size + 1);
  assert_int_equal(fread(bytes, 1, size, stream), size);
  bytes[size] = '\0';
  fclose(stream);
  if (length) *length = size;
  return bytes;
}

static inline bool file_has(const char *path, const char *text) {
  char *bytes = read_whole(path, NULL);
  bool found = bytes && strstr(bytes, text);
  free(bytes);
  return found;
}

static inline bool same_file(const char *a, const char *b) {
  size_t na = 0, nb = 0;
  char *x = read_whole(a, &na), *y = read_whole(b, &nb);
  bool same = x && y && na == nb && memcmp(x, y, na) == 0;
  free(x);
  free(y);
  return same;
}

static inline int remove_tree(const char *path) {
  char command[512];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  return system(command);
}

// Names in a folder, sorted, one a line.
static inline void list_folder(const char *path, char *out, size_t size) {
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort);
  *out = '\0';
  for (int i = 0; i < count; i++) {
    size_t used = strlen(out);
    if (entries[i]->d_name[0] != '.') snprintf(out + used, size - used, "%s\n", entries[i]->d_name);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
}

// "" if the two runs ended with equal bytes, else what differs (static storage).
static inline const char *run_difference(const char *a, const char *b) {
  static const char *const files[] = {"model.h5", "metrics.jsonl", "config.full.yaml"};
  static char what[4096];
  char x[512], y[512], in_a[2048], in_b[1024];
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(x, sizeof x, "%s/%s", a, files[i]);
    snprintf(y, sizeof y, "%s/%s", b, files[i]);
    if (!same_file(x, y)) return files[i];
  }
  snprintf(x, sizeof x, "%s/checkpoints", a);
  snprintf(y, sizeof y, "%s/checkpoints", b);
  list_folder(x, in_a, sizeof in_a);
  list_folder(y, in_b, sizeof in_b);
  if (strcmp(in_a, in_b) != 0) {
    snprintf(what, sizeof what, "checkpoints: %s against %s", in_a, in_b);
    return what;
  }
  char *rest;
  for (char *name = strtok_r(in_a, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
    snprintf(x, sizeof x, "%s/checkpoints/%s", a, name);
    snprintf(y, sizeof y, "%s/checkpoints/%s", b, name);
    if (same_file(x, y)) continue;
    snprintf(what, sizeof what, "checkpoints/%s", name);
    return what;
  }
  return "";
}

// How many temporaries are in the current folder, a run in it and the run's checkpoints.
static inline int count_temporaries(const char *run) {
  char folder[512], names[8192];
  int count = 0;
  for (int i = 0; i < 3; i++) {
    snprintf(folder, sizeof folder, "%s%s", i ? run : ".", i == 2 ? "/checkpoints" : "");
    list_folder(folder, names, sizeof names);
    for (const char *at = names; (at = strstr(at, ".tmp-")); at++)
      count++;
  }
  return count;
}

// ---- data --------------------------------------------------------------------------------------

// A number that only depends on its index.
static inline uint32_t scramble(uint32_t i) {
  i = (i ^ 61) ^ (i >> 16);
  i *= 9;
  i ^= i >> 4;
  i *= 0x27d4eb2du;
  return i ^ i >> 15;
}

// Square images of one channel, each with its class, as a data set.
typedef struct labelled_images {
  int64_t side, rows, class_count;
  const char *const *classes;
  const uint8_t *images, *split;
  const int32_t *labels;
} labelled_images;

static inline void write_labelled(co_context *ctx, const char *path, const labelled_images *data) {
  co_column image = {.name = "image",
                     .type = CO_COLUMN_IMAGE,
                     .role = CO_ROLE_INPUT,
                     .dtype = CO_U8,
                     .shape = co_shape_make(3, data->side, data->side, (int64_t)1)};
  co_column label = {.name = "label",
                     .type = CO_COLUMN_CATEGORY,
                     .role = CO_ROLE_TARGET,
                     .dtype = CO_I32,
                     .category_count = data->class_count,
                     .categories = data->classes};
  int64_t rows = data->rows;
  co_dataset_writer *writer;
  assert_int_equal(co_dataset_writer_create(&writer, ctx, path), CO_OK);
  assert_int_equal(co_dataset_writer_column(writer, "images", &image, rows), CO_OK);
  assert_int_equal(co_dataset_writer_rows(writer, rows, data->images), CO_OK);
  assert_int_equal(co_dataset_writer_column(writer, "images", &label, rows), CO_OK);
  assert_int_equal(co_dataset_writer_rows(writer, rows, data->labels), CO_OK);
  assert_int_equal(co_dataset_writer_samples(writer, "images", rows, NULL, NULL, data->split),
                   CO_OK);
  assert_int_equal(co_dataset_writer_commit(writer, NULL), CO_OK);
  co_dataset_writer_free(writer);
}

// Images whose bright row tells the class, with noise: split 4 : 1 : 1.
static inline void write_images(co_context *ctx, const char *path, int64_t rows, uint32_t salt) {
  static const char *const classes[] = {"shoe", "bag", "coat, \"long\""};
  size_t pixels = IMAGE_SIDE * IMAGE_SIDE;
  uint8_t *images = calloc((size_t)rows, pixels), *split = calloc((size_t)rows, 1);
  int32_t *labels = calloc((size_t)rows, sizeof *labels);
  for (int64_t r = 0; r < rows; r++) {
    labels[r] = (int32_t)(scramble((uint32_t)r + salt) % IMAGE_CLASSES);
    split[r] = r % 6 == 4 ? 1 : r % 6 == 5 ? 2 : 0;
    for (size_t p = 0; p < pixels; p++) {
      uint32_t noise = scramble((uint32_t)(r * 64) + (uint32_t)p + salt * 7919) % 120;
      bool bright = (int32_t)(p / IMAGE_SIDE / 2) == labels[r];
      images[(size_t)r * pixels + p] = (uint8_t)(noise + (bright ? 100 : 0));
    }
  }
  const labelled_images data = {.side = IMAGE_SIDE,
                                .rows = rows,
                                .class_count = IMAGE_CLASSES,
                                .classes = classes,
                                .images = images,
                                .split = split,
                                .labels = labels};
  write_labelled(ctx, path, &data);
  free(images);
  free(labels);
  free(split);
}

static inline void make_images(const char *path, int64_t rows, uint32_t salt) {
  co_context *ctx;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  write_images(ctx, path, rows, salt);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

// Everything that a training has to keep across a stop: dropout, batch norm, augmentation,
// accumulation, checkpoints amid epochs, the best one by validation.
static const char rich_config[] =
    "input_features:\n"
    "  - name: image\n"
    "    type: image\n"
    "    preprocessing: {normalization: zscore}\n"
    "    augmentation: {flip: 0.5, crop: 1}\n"
    "    encoder: {type: stacked_cnn, filters: [3], batch_normalization: true, output_size: 8,\n"
    "      dropout: 0.3}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "trainer:\n"
    "  max_epochs: 4\n"
    "  batch_size: 8\n"
    "  eval_batch_size: 7\n"
    "  accumulate_grad_batches: 2\n"
    "  optimizer: {type: adamw, weight_decay: 0.01}\n"
    "  learning_rate: 0.02\n"
    "  learning_rate_scheduler: {decay: cosine, warmup_fraction: 0.1}\n"
    "  gradient_clipping: {clip_global_norm: 1.0}\n"
    "  validation_metric: accuracy\n"
    "  steps_per_checkpoint: 3\n"
    "  log_every_n_steps: 2\n";

// ---- trainings ---------------------------------------------------------------------------------

typedef struct training {
  const char *run_dir, *resume; // as in cohort_train_options
  const char *config;           // a file; NULL = none given
  const char *dataset;          // NULL = as recorded
  const char *set[6];           // assignments
  const char *device;
  int threads, workers;
  int64_t kill_at; // the operation on files before which the process is killed; 0 = none
  int64_t stop_at; // the step after which SIGTERM's flag is set; 0 = none
  int64_t ask_at;  // the step after which a checkpoint and a status are asked for; 0 = none
  double max_seconds;
  const char *records; // file for log and result; NULL = none
  int level;           // of the log; 0 = COHORT_LOG_INFO
  const char *placement;
  bool eager;
} training;

// Counts the operations on files where a test links with --wrap=co_io_fault.
static int64_t *io_operations, io_kill_at;

typedef struct training_watch {
  FILE *records;
  int64_t stop_at, ask_at;
  volatile int stop, asked;
} training_watch;

static inline void watch_log(void *user, int level, const char *event, const char *text) {
  training_watch *watch = user;
  if (watch->records) fprintf(watch->records, "%d %s %s\n", level, event, text);
}

static inline void watch_progress(void *user, const char *stage, const char *unit, int64_t done,
                                  int64_t total, const char *detail) {
  training_watch *watch = user;
  (void)unit, (void)total, (void)detail;
  if (watch->ask_at && done == watch->ask_at && strcmp(stage, "train") == 0) watch->asked = 1;
  if (watch->stop_at && done >= watch->stop_at && strcmp(stage, "train") == 0) watch->stop = 15;
}

static inline cohort_train_options training_options(const training *t) {
  int64_t count = 0;
  while (count < 6 && t->set[count])
    count++;
  return (cohort_train_options){.config = {.files = &t->config,
                                           .file_count = t->config != NULL,
                                           .assignments = t->set,
                                           .assignment_count = count},
                                .dataset = t->dataset,
                                .run_dir = t->run_dir,
                                .resume = t->resume,
                                .device = t->device,
                                .command = "cohort train",
                                .threads = t->threads,
                                .workers = t->workers,
                                .placement = t->placement,
                                .eager = t->eager,
                                .max_seconds = t->max_seconds};
}

// Trains in this process and returns the status.
static inline int train_here(const training *t) {
  training_watch watch = {.stop_at = t->stop_at, .ask_at = t->ask_at};
  if (t->records) watch.records = fopen(t->records, "w");
  cohort_context_options options = {.threads = t->threads ? t->threads : 1,
                                    .log_level = t->level ? t->level : COHORT_LOG_INFO,
                                    .log = watch_log,
                                    .log_user = &watch,
                                    .progress = watch_progress,
                                    .progress_user = &watch,
                                    .stop = &watch.stop,
                                    .checkpoint = &watch.asked,
                                    .status = &watch.asked};
  cohort_context *context;
  cohort_result *result;
  if (cohort_context_create(&context, &options) != 0) return -1;
  cohort_train_options request = training_options(t);
  int status = cohort_train(context, &request, &result);
  if (watch.records && result) fprintf(watch.records, "%s\n", cohort_result_json(result));
  cohort_result_free(result);
  if (co_alloc_get_stats(context->ctx).live_blocks != 1) { // the context itself
    fprintf(stderr, "cohort_train leaks\n");
    status = 99;
  }
  cohort_context_free(context);
  if (watch.records) fclose(watch.records);
  return status;
}

// Trains in a child process: its exit code, or 128 + the signal that ended it.
static inline int train_apart(const training *t) {
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    io_kill_at = t->kill_at;
    if (io_operations) *io_operations = 0;
    _exit(train_here(t));
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
