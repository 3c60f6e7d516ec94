// SPDX-License-Identifier: Apache-2.0
// Writing: the same bytes for the same contents, and every failure reported.
#include "tests/unit/h5_fixture.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "host/core/hash.h"

// ---- writing the same bytes, and failing to ----------------------------------------------------

// A bit of everything.
static co_status write_sample(co_context *ctx, const char *path) {
  static const char *const words[] = {"one", "two", ""};
  static const co_h5_storage packed = {64, 1, true}, plain_chunks = {100, 0, false};
  static float data[3000];
  co_shape shape = co_shape_make(2, (int64_t)1000, (int64_t)3);
  co_status status;
  co_h5 *h = NULL;
  for (int i = 0; i < 3000; i++)
    data[i] = (float)(i % 17);
  CO_TRY(co_h5_create(&h, ctx, path));
  CO_TRY(co_h5_make_group(h, "a/b/c"));
  CO_TRY(co_h5_write(h, "a/plain", CO_F32, &shape, data, NULL, true));
  CO_TRY(co_h5_write(h, "a/packed", CO_F32, &shape, data, &packed, false));
  CO_TRY(co_h5_create_dataset(h, "rows", CO_F32, &shape, &plain_chunks));
  for (int64_t row = 0; row < 1000; row += 250)
    CO_TRY(co_h5_write_rows(h, "rows", row, 250, data));
  CO_TRY(co_h5_write_strings(h, "words", words, 3));
  CO_TRY(co_h5_set_strings(h, "/", "words", words, 3));
  CO_TRY(co_h5_set_string(h, "a", "title", "sample"));
  CO_TRY(co_h5_set_int(h, "rows", "n", 1));
  CO_TRY(co_h5_set_double(h, "rows", "x", 0.5));
  status = co_h5_close(h);
  h = NULL;
cleanup:
  co_h5_abandon(h);
  return status;
}

static co_status read_sample(co_context *ctx, const char *path) {
  float *data = NULL;
  double *wide = NULL;
  char **text;
  int64_t count;
  co_arena *arena = NULL;
  co_status status;
  co_h5 *h = NULL;
  CO_TRY(co_h5_open(&h, ctx, path, CO_ERR_DATA));
  CO_TRY(co_arena_create(&arena, ctx));
  status = CO_ERR_MEMORY;
  if (!(data = co_alloc(ctx, 3000 * sizeof *data))) goto cleanup;
  if (!(wide = co_alloc(ctx, 3000 * sizeof *wide))) goto cleanup;
  CO_TRY(co_h5_read(h, "a/plain", CO_F32, NULL, data));
  CO_TRY(co_h5_read(h, "a/packed", CO_F64, NULL, wide));
  CO_TRY(co_h5_read_rows(h, "rows", CO_F32, 500, 400, data));
  CO_TRY(co_h5_read_strings(h, "words", arena, &text, &count));
  CO_TRY(co_h5_get_strings(h, "/", "words", arena, &text, &count));
  CO_TRY(co_h5_get_string(h, "a", "title", arena, text));
  CO_TRY(co_h5_list(h, "/", arena, &text, &count));
  status = co_h5_close(h);
  h = NULL;
cleanup:
  co_free(ctx, data);
  co_free(ctx, wide);
  co_arena_free(arena);
  co_h5_abandon(h);
  return status;
}

static unsigned char *contents(const char *path, size_t *size) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  unsigned char *bytes = malloc((size_t)info.st_size);
  FILE *stream = fopen(path, "rb");
  *size = fread(bytes, 1, (size_t)info.st_size, stream);
  fclose(stream);
  return bytes;
}

// Neither the clock nor what memory held before may show.
static void equal_contents_give_equal_bytes(void **state) {
  fixture *f = *state;
  size_t a_size, b_size;
  mallopt(M_PERTURB, 0x55);
  OK(write_sample(f->ctx, "a.h5"));
  mallopt(M_PERTURB, 0xC3);
  struct timespec wait = {1, 100000000};
  nanosleep(&wait, NULL);
  OK(write_sample(f->ctx, "b.h5"));
  mallopt(M_PERTURB, 0);
  unsigned char *a = contents("a.h5", &a_size), *b = contents("b.h5", &b_size);
  assert_int_equal(a_size, b_size);
  assert_memory_equal(a, b, a_size);
  free(a);
  free(b);
  OK(read_sample(f->ctx, "a.h5"));
}

static void nothing_leaks(co_context *ctx, int64_t live) {
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, live);
  assert_true(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) <= 0);
}

static void every_failing_write_is_reported(void **state) {
  fixture *f = *state;
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  for (int persistent = 0; persistent <= 1; persistent++) {
    int failures = 0;
    for (int n = 1;; n++) {
      co_io_fail_at(f->ctx, n, persistent, ENOSPC);
      int64_t before = co_io_calls(f->ctx);
      co_status status = write_sample(f->ctx, "a.h5");
      int64_t calls = co_io_calls(f->ctx) - before;
      co_io_fail_at(f->ctx, 0, false, 0);
      nothing_leaks(f->ctx, live);
      if (status == CO_OK) {
        assert_true(calls < n); // the fault was never reached
        break;
      }
      failures++;
      assert_int_equal(status, CO_ERR_IO);
      assert_int_equal(calls, n); // nothing is tried after a failure
      assert_non_null(strstr(co_error_last()->message, "'a.h5'"));
      assert_non_null(strstr(co_error_last()->message, "No space left on device"));
    }
    assert_true(failures > 10);
    OK(read_sample(f->ctx, "a.h5"));
  }
}

static void every_failing_allocation_is_survived(void **state) {
  fixture *f = *state;
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  for (int kind = 0; kind < 4; kind++) {
    int failures = 0;
    for (int n = 1;; n++) {
      co_alloc_fail_at(f->ctx, n, kind % 2);
      co_status status = kind / 2 ? read_sample(f->ctx, "a.h5") : write_sample(f->ctx, "a.h5");
      co_alloc_fail_at(f->ctx, 0, false);
      nothing_leaks(f->ctx, live);
      if (status == CO_OK) break;
      failures++;
      assert_int_equal(status, CO_ERR_MEMORY);
      assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
    }
    assert_true(failures >= (kind / 2 ? 8 : 3));
  }
}

static void a_full_device_is_reported(void **state) {
  fixture *f = *state;
  FAILS(write_sample(f->ctx, "/dev/full"), CO_ERR_IO, "No space left on device");
  FAILS(write_sample(f->ctx, "no/such/a.h5"), CO_ERR_IO, "No such file");
  FAILS(write_sample(f->ctx, "."), CO_ERR_IO, "Is a directory");
}

// A real limit, at many places, in children that must exit cleanly with the library's own clean-up.
static void a_size_limit_is_reported(void **state) {
  fixture *f = *state;
  struct stat info;
  OK(write_sample(f->ctx, "a.h5"));
  assert_int_equal(stat("a.h5", &info), 0);
  for (int i = 0; i <= 8; i++) {
    off_t limit = info.st_size * i / 8;
    pid_t child = fork();
    if (child == 0) {
      struct rlimit rule = {(rlim_t)limit, (rlim_t)limit};
      signal(SIGXFSZ, SIG_IGN);
      setrlimit(RLIMIT_FSIZE, &rule);
      co_status status = write_sample(f->ctx, "b.h5");
      exit(status == CO_ERR_IO && strstr(co_error_last()->message, "'b.h5'") ? 3
           : status == CO_OK                                                 ? 4
                                                                             : 5);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), limit < info.st_size ? 3 : 4);
  }
}

static void abandoned_files_are_harmless(void **state) {
  fixture *f = *state;
  co_shape shape = co_shape_make(1, (int64_t)10000);
  static double data[10000];
  co_h5_storage chunked = {1000, 1, false};
  co_h5 *h;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "d", CO_F64, &shape, data, &chunked, true));
  co_h5_abandon(h);
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  co_io_fail_at(f->ctx, 1, false, EIO);
  FAILS(co_h5_write(h, "d", CO_F64, &shape, data, NULL, true), CO_ERR_IO, "Input/output error");
  FAILS(co_h5_set_int(h, "/", "x", 1), CO_ERR_IO, "Input/output error"); // it sticks
  FAILS(co_h5_close(h), CO_ERR_IO, "Input/output error");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H5_TEST(equal_contents_give_equal_bytes),
      H5_TEST(every_failing_write_is_reported),
      H5_TEST(every_failing_allocation_is_survived),
      H5_TEST(a_full_device_is_reported),
      H5_TEST(a_size_limit_is_reported),
      H5_TEST(abandoned_files_are_harmless),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
