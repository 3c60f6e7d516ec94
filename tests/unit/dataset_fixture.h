// SPDX-License-Identifier: Apache-2.0
// Data set files as a stranger writes them, for the tests of reading: a table of every kind of
// column, one with samples apart from their entities, and either with something broken.
#ifndef COHORT_TESTS_DATASET_FIXTURE_H
#define COHORT_TESTS_DATASET_FIXTURE_H

#include "tests/unit/data_fixture.h"

#include <math.h>

#include "datasets/dataset.h"
#include "host/core/h5.h"

enum { ROWS = 5 };
static const float numbers[ROWS] = {1, NAN, 3, 4, -5};
static const float weights[ROWS] = {1, 2, 0, 1, 1};
static const int32_t codes[ROWS] = {0, 1, -1, 1, 0};
static const char *const words[2] = {"no", "yes"};
static const char *const keys[ROWS] = {"k0", "k1", "k2", "k3", "k4"};
static const int64_t splits[ROWS] = {0, 2, 0, 1, 0};
static uint8_t pixels[ROWS * 12];

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != CO_OK) fail_msg("%s: %s", #call, co_error_last()->message);                      \
  } while (0)

static inline co_shape one(int64_t rows) {
  return (co_shape){1, {rows}};
}

static inline void describe(co_h5 *h, const char *path, const char *type, const char *role) {
  if (type) OK(co_h5_set_string(h, path, "type", type));
  if (role) OK(co_h5_set_string(h, path, "role", role));
}

static inline void put(co_h5 *h, const char *path, co_dtype dtype, const co_shape *shape,
                       const void *data, const char *type, const char *role) {
  OK(co_h5_write(h, path, dtype, shape, data, NULL, false));
  describe(h, path, type, role);
}

static inline void put_category(co_h5 *h, const char *path, const int32_t *code, int64_t rows,
                                const char *const *names, int64_t count, const char *role) {
  char part[64];
  co_shape shape = one(rows);
  OK(co_h5_make_group(h, path));
  describe(h, path, "category", role);
  snprintf(part, sizeof part, "%s/codes", path);
  OK(co_h5_write(h, part, CO_I32, &shape, code, NULL, false));
  snprintf(part, sizeof part, "%s/categories", path);
  OK(co_h5_write_strings(h, part, names, count));
}

static inline co_h5 *begin(co_context *ctx) {
  co_h5 *h;
  OK(co_h5_create(&h, ctx, "d.h5"));
  OK(co_h5_set_string(h, "/", "format", "cohort-dataset"));
  OK(co_h5_set_int(h, "/", "version", 1));
  return h;
}

// A good file; `break_it` (may be NULL) then adds something bad.
static inline void build(co_context *ctx, void (*break_it)(co_h5 *h)) {
  co_h5 *h = begin(ctx);
  co_shape flat = one(ROWS), image = {4, {ROWS, 2, 2, 3}};
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  put(h, "/entities/e/i", CO_U8, &image, pixels, "image", "input");
  put_category(h, "/entities/e/y", codes, ROWS, words, 2, "target");
  put(h, "/entities/e/w", CO_F32, &flat, weights, "number", "weight");
  OK(co_h5_write_strings(h, "/entities/e/k", keys, ROWS));
  describe(h, "/entities/e/k", NULL, "key");
  OK(co_h5_write(h, "/samples/split", CO_I64, &flat, splits, NULL, false));
  if (break_it) break_it(h);
  OK(co_h5_close(h));
}

static inline void opens(fixture *f, co_dataset **d) {
  if (co_dataset_open(d, f->ctx, "d.h5") != CO_OK) fail_msg("%s", co_error_last()->message);
}

static inline void refused(fixture *f, const char *object, const char *text) {
  co_dataset *d = NULL;
  assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_ERR_DATA);
  assert_null(d);
  const co_error *error = co_error_last();
  if (!strstr(error->message, object) || !strstr(error->message, text) ||
      (!strstr(error->file, "d.h5") && !strstr(error->message, "d.h5")))
    fail_msg("unexpected error '%s' about '%s'", error->message, error->file);
}

static const int64_t entity_row[7] = {4, 4, 0, 1, 2, 3, 4}, as_of[7] = {1, 2, 3, 4, 5, 6, 7},
                     ids[7] = {70, 71, 72, 73, 74, 75, 76};
static const float outcome[7] = {0, 1, 2, 3, 4, 5, NAN};

static inline void relate(co_h5 *h) {
  co_shape flat = one(7), five = one(ROWS);
  OK(co_h5_make_group(h, "/samples"));
  OK(co_h5_set_string(h, "/samples", "entity", "e"));
  OK(co_h5_write(h, "/samples/entity_row", CO_I64, &flat, entity_row, NULL, false));
  OK(co_h5_write(h, "/samples/as_of", CO_I64, &flat, as_of, NULL, false));
  put(h, "/samples/outcome", CO_F32, &flat, outcome, "number", "target");
  put(h, "/samples/id", CO_I64, &flat, ids, "text", "key");
  put(h, "/entities/other/n", CO_F32, &five, numbers, "number", "input");
}

static inline void build_related(co_context *ctx, void (*break_it)(co_h5 *h)) {
  co_h5 *h = begin(ctx);
  co_shape flat = one(ROWS);
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  OK(co_h5_write_strings(h, "/entities/e/k", keys, ROWS));
  describe(h, "/entities/e/k", "text", "key");
  relate(h);
  if (break_it) break_it(h);
  OK(co_h5_close(h));
}

#endif
