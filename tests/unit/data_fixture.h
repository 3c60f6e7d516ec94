// SPDX-License-Identifier: Apache-2.0
// What the dataset tests share: a fresh folder as the current one, a context whose warnings are
// kept, small IDX files.
#ifndef COHORT_TESTS_DATA_FIXTURE_H
#define COHORT_TESTS_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>
#include <zlib.h>

#include "host/core/context.h"

typedef struct fixture {
  co_context *ctx;
  char folder[64];
} fixture;

static inline int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  snprintf(f->folder, sizeof f->folder, "/tmp/cohort_data_XXXXXX");
  if (!mkdtemp(f->folder) || chdir(f->folder) != 0) return -1;
  *state = f;
  return co_context_create(&f->ctx, &(co_context_options){.level = CO_LOG_WARN}) == CO_OK ? 0 : -1;
}

static inline int tear_down(void **state) {
  fixture *f = *state;
  char command[128];
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
  int rc = chdir("/") || system(command);
  co_context_free(f->ctx);
  free(f);
  return rc == 0 && live == 0 ? 0 : -1;
}

#define DATA_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

// The folder of the shared test data, or NULL after printing why; with CI set its absence fails.
static inline const char *test_data(const char *file, char *out, size_t size) {
  const char *root = getenv("COHORT_TEST_DATA");
  snprintf(out, size, "%s/%s", root ? root : COHORT_TEST_DATA_DEFAULT, file);
  if (access(out, R_OK) == 0) return out;
  if (getenv("CI")) fail_msg("no '%s'", out);
  print_message("NOT RUN: no '%s' (set COHORT_TEST_DATA)\n", out);
  return NULL;
}

static inline void write_bytes(const char *path, const void *bytes, size_t length) {
  FILE *stream = fopen(path, "wb");
  assert_non_null(stream);
  assert_int_equal(fwrite(bytes, 1, length, stream), length);
  assert_int_equal(fclose(stream), 0);
}

static inline void write_gzip(const char *path, const void *bytes, size_t length) {
  gzFile stream = gzopen(path, "wb");
  assert_non_null(stream);
  assert_int_equal(gzwrite(stream, bytes, (unsigned)length), (int)length);
  assert_int_equal(gzclose(stream), Z_OK);
}

static inline unsigned char *read_bytes(const char *path, size_t *length) {
  FILE *stream = fopen(path, "rb");
  assert_non_null(stream);
  fseek(stream, 0, SEEK_END);
  *length = (size_t)ftell(stream);
  rewind(stream);
  unsigned char *bytes = malloc(*length + 1);
  assert_int_equal(fread(bytes, 1, *length, stream), *length);
  fclose(stream);
  return bytes;
}

// Files in the current folder whose name starts with `prefix`.
static inline int count_files(const char *prefix) {
  int count = 0;
  DIR *stream = opendir(".");
  assert_non_null(stream);
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    count += !strncmp(entry->d_name, prefix, strlen(prefix));
  closedir(stream);
  return count;
}

// True if a kept warning contains `text`.
static inline bool warned(co_context *ctx, const char *text) {
  const char *warning;
  for (int64_t i = 0; (warning = co_context_warning(ctx, i)) != NULL; i++)
    if (strstr(warning, text)) return true;
  return false;
}

// An IDX file of bytes in memory; `extents` of them, then values(i). Returns the length.
typedef uint8_t (*idx_value)(int64_t i);
static inline size_t make_idx(unsigned char *out, int extents, const uint32_t *extent,
                              idx_value value) {
  size_t at = 4, count = 1;
  memcpy(out, (unsigned char[]){0, 0, 8, (unsigned char)extents}, 4);
  for (int i = 0; i < extents; i++) {
    for (int shift = 24; shift >= 0; shift -= 8)
      out[at++] = (unsigned char)(extent[i] >> shift);
    count *= extent[i];
  }
  for (size_t i = 0; i < count; i++)
    out[at++] = value((int64_t)i);
  return at;
}

#endif
