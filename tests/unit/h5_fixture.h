// SPDX-License-Identifier: Apache-2.0
// What the tests of host/core/h5 share: a fresh folder as the current one, a context, an arena, and
// the check that nothing is left of them, neither a block nor an identifier of HDF5.
#ifndef COHORT_TESTS_H5_FIXTURE_H
#define COHORT_TESTS_H5_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/h5.h"

typedef struct fixture {
  co_context *ctx;
  co_arena *arena;
  char folder[64];
} fixture;

static inline int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  snprintf(f->folder, sizeof f->folder, "/tmp/cohort_h5_XXXXXX");
  if (!mkdtemp(f->folder) || chdir(f->folder) != 0) return -1;
  *state = f;
  if (co_context_create(&f->ctx, NULL) != CO_OK) return -1;
  return co_arena_create(&f->arena, f->ctx) == CO_OK ? 0 : -1;
}

// Nothing may be left: no block, no identifier of the library.
static inline int tear_down(void **state) {
  fixture *f = *state;
  char command[128];
  co_arena_free(f->arena);
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  ssize_t open_ids = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
  snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
  int rc = chdir("/") || system(command);
  co_context_free(f->ctx);
  free(f);
  if (live || open_ids > 0) fprintf(stderr, "left: %d blocks, %d ids\n", (int)live, (int)open_ids);
  return rc == 0 && live == 0 && open_ids <= 0 ? 0 : -1;
}

#define H5_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define OK(expression)                                                                             \
  do {                                                                                             \
    co_status status_ = (expression);                                                              \
    if (status_ != CO_OK) fprintf(stderr, "%s: %s\n", #expression, co_error_last()->message);      \
    assert_int_equal(status_, CO_OK);                                                              \
  } while (0)

#define FAILS(expression, expected, words)                                                         \
  do {                                                                                             \
    co_error_clear();                                                                              \
    assert_int_equal(expression, expected);                                                        \
    assert_int_equal(co_error_last()->status, expected);                                           \
    if (!strstr(co_error_last()->message, words))                                                  \
      fprintf(stderr, "%s\n", co_error_last()->message);                                           \
    assert_non_null(strstr(co_error_last()->message, words));                                      \
  } while (0)

static inline co_h5 *reopen(fixture *f, const char *path) {
  co_h5 *h;
  OK(co_h5_open(&h, f->ctx, path, CO_ERR_DATA));
  return h;
}

// A data set as another program writes it.
static inline void put(hid_t file, const char *name, hid_t stored, hid_t memory, hsize_t count,
                       const void *data) {
  hid_t space = H5Screate_simple(1, &count, NULL);
  hid_t set = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  if (set < 0) H5Eprint2(H5E_DEFAULT, stderr);
  assert_true(set >= 0);
  assert_true(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
  H5Sclose(space);
}

#endif
