// SPDX-License-Identifier: Apache-2.0
// A part of Fashion-MNIST (Xiao et al. 2017) as a data set, from the shared data.
#ifndef COHORT_TESTS_FASHION_H
#define COHORT_TESTS_FASHION_H

#include <zlib.h>

#include "training.h"

enum { FASHION_SIDE = 28, FASHION_PIXELS = FASHION_SIDE * FASHION_SIDE, FASHION_CLASSES = 10 };

static inline bool read_idx(const char *name, size_t header, void *out, size_t bytes) {
  const char *root = getenv("COHORT_TEST_DATA");
  char path[512];
  snprintf(path, sizeof path, "%s/fashion_mnist/%s", root ? root : COHORT_TEST_DATA_DEFAULT, name);
  if (access(path, R_OK) != 0) {
    if (getenv("CI")) fail_msg("no '%s'", path);
    print_message("NOT RUN: no '%s' (set COHORT_TEST_DATA; shared data)\n", path);
    return false;
  }
  unsigned char skipped[16];
  gzFile file = gzopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(gzread(file, skipped, (unsigned)header), (int)header);
  assert_int_equal(gzread(file, out, (unsigned)bytes), (int)bytes);
  gzclose(file);
  return true;
}

// The first `rows` training images: every third is for validation. False, with a message, where
// the data are not there.
static inline bool make_fashion(const char *path, int64_t rows) {
  static const char *const classes[FASHION_CLASSES] = {"t-shirt", "trouser", "pullover", "dress",
                                                       "coat",    "sandal",  "shirt",    "sneaker",
                                                       "bag",     "boot"};
  size_t count = (size_t)rows;
  uint8_t *images = calloc(count, FASHION_PIXELS), *bytes = calloc(count, 1);
  uint8_t *split = calloc(count, 1);
  int32_t *labels = calloc(count, sizeof *labels);
  bool there = read_idx("train-images-idx3-ubyte.gz", 16, images, count * FASHION_PIXELS) &&
               read_idx("train-labels-idx1-ubyte.gz", 8, bytes, count);
  for (size_t r = 0; r < count; r++) {
    labels[r] = bytes[r];
    split[r] = r % 3 == 2;
  }
  if (there) {
    co_context *ctx;
    const labelled_images data = {.side = FASHION_SIDE,
                                  .rows = rows,
                                  .class_count = FASHION_CLASSES,
                                  .classes = classes,
                                  .images = images,
                                  .split = split,
                                  .labels = labels};
    assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
    write_labelled(ctx, path, &data);
    co_context_free(ctx);
  }
  free(images);
  free(bytes);
  free(split);
  free(labels);
  return there;
}

// A small network that reaches three quarters right within seconds on a processor.
static const char fashion_config[] =
    "input_features:\n"
    "  - name: image\n"
    "    type: image\n"
    "    preprocessing: {normalization: zscore}\n"
    "    encoder: {type: stacked_cnn, filters: [6], batch_normalization: true, output_size: 32}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "trainer:\n"
    "  max_epochs: 4\n"
    "  batch_size: 32\n"
    "  eval_batch_size: 100\n"
    "  learning_rate: 0.01\n"
    "  validation_metric: accuracy\n";

// The last number behind `key` in a file, NaN if there is none.
static inline double last_number(const char *path, const char *key) {
  char *text = read_whole(path, NULL);
  double value = NAN;
  for (const char *at = text; at && (at = strstr(at, key));) {
    at += strlen(key);
    value = strtod(at, NULL);
  }
  free(text);
  return value;
}

// Accuracy on the validation rows after the last epoch: the last record of a run.
static inline double fashion_accuracy(const char *run) {
  char path[256];
  snprintf(path, sizeof path, "%s/metrics.jsonl", run);
  return last_number(path, "\"accuracy\":");
}

#endif
