// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/core/file.h"

// Each test works in a fresh folder, as the current one.
typedef struct fixture {
  co_context *ctx;
  char folder[64];
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  snprintf(f->folder, sizeof f->folder, "/tmp/cohort_file_XXXXXX");
  if (!mkdtemp(f->folder) || chdir(f->folder) != 0) return -1;
  *state = f;
  return co_context_create(&f->ctx, NULL) == CO_OK ? 0 : -1;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[128];
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
  int rc = chdir("/") || system(command);
  co_context_free(f->ctx);
  free(f);
  return rc == 0 && live == 0 ? 0 : -1;
}

static void expect_contents(co_context *ctx, const char *path, const char *contents) {
  char *text;
  size_t length;
  assert_int_equal(co_read_file(ctx, path, 1 << 20, CO_ERR_DATA, &text, &length), CO_OK);
  assert_int_equal(length, strlen(contents));
  assert_string_equal(text, contents);
  co_free(ctx, text);
}

static int entries(void) {
  FILE *pipe = popen("ls -A | wc -l", "r");
  int count = -1;
  assert_int_equal(fscanf(pipe, "%d", &count), 1);
  pclose(pipe);
  return count;
}

static void atomic_write_replaces(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  assert_int_equal(co_write_file_atomic(ctx, "a.txt", "one", 3), CO_OK);
  expect_contents(ctx, "a.txt", "one");
  assert_int_equal(co_write_file_atomic(ctx, "a.txt", "", 0), CO_OK);
  expect_contents(ctx, "a.txt", "");
  assert_int_equal(entries(), 1);
  assert_int_equal(co_write_file_atomic(ctx, "no/such/a.txt", "x", 1), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->message, "no/such/a.txt"));
}

// Whatever fails, the name holds the old or the new contents and no temporary stays; the new ones
// only where the disk failed, after the rename.
static void atomic_write_survives_every_fault(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  char big[200000];
  memset(big, 'b', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  for (int kind = 0; kind < 4; kind++) {
    bool persistent = kind % 2, memory = kind / 2;
    int failures = 0;
    for (int n = 1;; n++) {
      assert_true(n < 50);
      assert_int_equal(co_write_file_atomic(ctx, "a.txt", "old", 3), CO_OK);
      if (memory)
        co_alloc_fail_at(ctx, n, persistent);
      else
        co_io_fail_at(ctx, n, persistent, ENOSPC);
      co_status status = co_write_file_atomic(ctx, "a.txt", big, strlen(big));
      co_alloc_fail_at(ctx, 0, false);
      co_io_fail_at(ctx, 0, false, 0);
      assert_int_equal(entries(), 1);
      assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
      if (status == CO_OK) break;
      failures++;
      assert_int_equal(status, memory ? CO_ERR_MEMORY : CO_ERR_IO);
      if (!memory) assert_non_null(strstr(co_error_last()->message, "No space left"));
      char *text;
      assert_int_equal(co_read_file(ctx, "a.txt", 1 << 20, CO_ERR_DATA, &text, NULL), CO_OK);
      assert_true(strcmp(text, "old") == 0 || (!memory && strcmp(text, big) == 0));
      co_free(ctx, text);
    }
    assert_true(failures >= (memory ? 4 : 5)); // open, write, sync, rename, sync of the folder
    expect_contents(ctx, "a.txt", big);
  }
}

static void abort_is_always_legal(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  co_atomic_file file = {0};
  co_atomic_abort(&file);
  assert_int_equal(co_atomic_begin(&file, ctx, "x"), CO_OK);
  assert_int_equal(unlink(file.temporary), 0);
  assert_int_equal(co_atomic_commit(&file), CO_ERR_IO); // somebody took it away
  co_atomic_abort(&file);
  assert_int_equal(co_atomic_begin(&file, ctx, "x"), CO_OK);
  assert_int_equal(entries(), 1);
  co_atomic_abort(&file);
  assert_int_equal(entries(), 0);
}

static void writer_counts_and_appends(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  co_writer *w;
  char longer[900];
  memset(longer, 'z', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_int_equal(co_writer_open(&w, ctx, "log", true), CO_OK);
  assert_int_equal(co_writer_position(w), 0);
  assert_int_equal(co_writer_printf(w, "%s|%d\n", "a", 5), CO_OK);
  assert_int_equal(co_writer_position(w), 4);
  assert_int_equal(co_writer_flush(w), CO_OK);
  expect_contents(ctx, "log", "a|5\n");
  assert_int_equal(co_writer_close(w), CO_OK);
  assert_int_equal(co_writer_open(&w, ctx, "log", true), CO_OK);
  assert_int_equal(co_writer_position(w), 4);
  assert_int_equal(co_writer_printf(w, "%s", longer), CO_OK);
  assert_int_equal(co_writer_position(w), 903);
  assert_int_equal(co_writer_sync(w), CO_OK);
  assert_int_equal(co_writer_close(w), CO_OK);
  assert_int_equal(co_writer_open(&w, ctx, "log", false), CO_OK);
  assert_int_equal(co_writer_close(w), CO_OK);
  expect_contents(ctx, "log", "");
  assert_int_equal(co_writer_close(NULL), CO_OK);
}

// Pieces around the buffer's size must come out in order and whole.
static void writer_keeps_the_order(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  static const size_t pieces[] = {1, 65535, 1, 65536, 3, 65537, 200000, 0, 40000, 40000};
  size_t total = 0;
  co_writer *w;
  unsigned char *data = malloc(500000);
  for (size_t i = 0; i < 500000; i++)
    data[i] = (unsigned char)(i * 31 + i / 251);
  assert_int_equal(co_writer_open(&w, ctx, "f", false), CO_OK);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    assert_int_equal(co_writer_write(w, data + total, pieces[i]), CO_OK);
    total += pieces[i];
    assert_int_equal(co_writer_position(w), total);
  }
  assert_int_equal(co_writer_close(w), CO_OK);
  char *text;
  size_t length;
  assert_int_equal(co_read_file(ctx, "f", total, CO_ERR_DATA, &text, &length), CO_OK);
  assert_int_equal(length, total);
  assert_memory_equal(text, data, total);
  co_free(ctx, text);
  free(data);
}

static void writer_reports_a_full_disk(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  co_writer *w;
  assert_int_equal(co_writer_open(&w, ctx, "/dev/full", false), CO_OK);
  assert_int_equal(co_writer_write(w, "x", 1), CO_OK); // still in the buffer
  assert_int_equal(co_writer_close(w), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->message, "/dev/full"));
  assert_int_equal(co_writer_open(&w, ctx, "/dev/full", false), CO_OK);
  assert_int_equal(co_writer_write(w, "x", 1), CO_OK);
  assert_int_equal(co_writer_flush(w), CO_ERR_IO);
  assert_int_equal(co_writer_write(w, "y", 1), CO_ERR_IO); // it sticks
  assert_int_equal(co_writer_close(w), CO_ERR_IO);
  assert_int_equal(co_writer_open(&w, ctx, "no/such", false), CO_ERR_IO);
  assert_null(w);
}

static void reading_respects_limits(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  char *text = (char *)1;
  size_t length;
  assert_int_equal(co_write_file_atomic(ctx, "f", "a\0bc", 4), CO_OK);
  assert_int_equal(co_read_file(ctx, "f", 4, CO_ERR_DATA, &text, &length), CO_OK);
  assert_memory_equal(text, "a\0bc", 5);
  co_free(ctx, text);
  assert_int_equal(co_read_file(ctx, "f", 3, CO_ERR_CONFIG, &text, &length), CO_ERR_CONFIG);
  assert_null(text);
  assert_int_equal(co_read_file(ctx, "none", 3, CO_ERR_MODEL, &text, &length), CO_ERR_MODEL);
  assert_non_null(strstr(co_error_last()->message, "'none'"));
  assert_int_equal(co_read_file(ctx, "f/x", 3, CO_ERR_MODEL, &text, &length), CO_ERR_MODEL);
  assert_int_equal(co_read_file(ctx, ".", 99, CO_ERR_CONFIG, &text, &length), CO_ERR_CONFIG);
  // Endless, and without a size to be asked for.
  assert_int_equal(co_read_file(ctx, "/dev/zero", 100000, CO_ERR_DATA, &text, NULL), CO_ERR_DATA);
  assert_int_equal(co_read_file(ctx, "/proc/self/status", 1 << 20, CO_ERR_DATA, &text, &length),
                   CO_OK);
  assert_true(length > 100 && strlen(text) == length);
  co_free(ctx, text);
  for (int n = 1; n <= 1; n++) {
    co_alloc_fail_at(ctx, n, false);
    assert_int_equal(co_read_file(ctx, "f", 4, CO_ERR_DATA, &text, &length), CO_ERR_MEMORY);
    assert_null(text);
  }
}

static void standard_input_is_a_dash(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  int ends[2], saved = dup(STDIN_FILENO);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "piped", 5), 5);
  close(ends[1]);
  dup2(ends[0], STDIN_FILENO);
  close(ends[0]);
  expect_contents(ctx, "-", "piped");
  dup2(saved, STDIN_FILENO);
  close(saved);
}

static void folders_are_made(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  assert_int_equal(co_make_directories(ctx, "a//b/c/"), CO_OK);
  assert_true(co_path_is_directory("a/b/c"));
  assert_int_equal(co_make_directories(ctx, "a/b"), CO_OK);
  assert_int_equal(co_make_directories(ctx, ((fixture *)*state)->folder), CO_OK);
  assert_int_equal(co_write_file_atomic(ctx, "a/f", "", 0), CO_OK);
  assert_true(co_path_exists("a/f") && !co_path_is_directory("a/f"));
  assert_int_equal(co_make_directories(ctx, "a/f"), CO_ERR_IO);
  assert_int_equal(co_make_directories(ctx, "a/f/g"), CO_ERR_IO);
  co_io_fail_at(ctx, 2, false, EACCES);
  assert_int_equal(co_make_directories(ctx, "p/q/r"), CO_ERR_IO);
  assert_true(co_path_is_directory("p") && !co_path_exists("p/q"));
  static const char *const joins[][3] = {
      {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "/b", "/b"}, {"/", "b", "/b"}};
  for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
    char *joined = co_path_join(ctx, joins[i][0], joins[i][1]);
    assert_string_equal(joined, joins[i][2]);
    co_free(ctx, joined);
  }
}

static void files_are_cut_renamed_and_removed(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  assert_int_equal(co_write_file_atomic(ctx, "f", "abcdef", 6), CO_OK);
  assert_int_equal(co_truncate_file(ctx, "f", 2), CO_OK);
  expect_contents(ctx, "f", "ab");
  assert_int_equal(co_truncate_file(ctx, "none", 2), CO_ERR_IO);
  assert_int_equal(co_rename(ctx, "f", "g"), CO_OK);
  assert_int_equal(co_rename(ctx, "f", "g"), CO_ERR_IO);
  expect_contents(ctx, "g", "ab");
  assert_int_equal(co_remove_file(ctx, "g"), CO_OK);
  assert_int_equal(co_remove_file(ctx, "g"), CO_OK);
  assert_int_equal(co_remove_file(ctx, "."), CO_ERR_IO);
}

static void links_are_replaced(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  assert_int_equal(co_write_file_atomic(ctx, "one", "1", 1), CO_OK);
  assert_int_equal(co_write_file_atomic(ctx, "two", "2", 1), CO_OK);
  assert_int_equal(co_replace_symlink(ctx, "one", "best"), CO_OK);
  expect_contents(ctx, "best", "1");
  for (int n = 1; n <= 2; n++) {
    co_io_fail_at(ctx, n, false, EIO);
    assert_int_equal(co_replace_symlink(ctx, "two", "best"), CO_ERR_IO);
    expect_contents(ctx, "best", "1");
  }
  assert_int_equal(co_replace_symlink(ctx, "two", "best"), CO_OK);
  expect_contents(ctx, "best", "2");
  assert_int_equal(entries(), 3);
}

static void locks_exclude(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  int first, second;
  char holder[32];
  assert_int_equal(co_lock_file(&first, ctx, "lock", "it is taken"), CO_OK);
  assert_int_equal(co_lock_file(&second, ctx, "lock", "it is taken"), CO_ERR_IO);
  assert_int_equal(second, -1);
  snprintf(holder, sizeof holder, "process %ld", (long)getpid());
  assert_non_null(strstr(co_error_last()->message, holder));
  assert_non_null(strstr(co_error_last()->message, "it is taken: 'lock'"));
  assert_int_equal(co_lock_look("lock"), CO_LOCK_TAKEN);
  co_unlock_file(first);
  assert_int_equal(co_lock_look("lock"), CO_LOCK_FREE);
  assert_int_equal(co_lock_look("no lock"), CO_LOCK_FREE);
  int shared[2];
  for (int i = 0; i < 2; i++)
    assert_int_equal(co_lock_file_shared(&shared[i], ctx, "shared"), CO_OK);
  co_unlock_file(shared[0]);
  assert_int_equal(co_lock_look("shared"), CO_LOCK_TAKEN);
  co_unlock_file(shared[1]);
  assert_int_equal(co_lock_look("shared"), CO_LOCK_FREE);
  co_io_fail_at(ctx, 2, false, ENOSPC);
  assert_int_equal(co_lock_file(&second, ctx, "lock", "it is taken"), CO_ERR_IO);
  assert_int_equal(co_lock_file(&second, ctx, "lock", "it is taken"),
                   CO_OK); // a failure holds nothing
  co_unlock_file(second);
  co_unlock_file(-1);
  assert_int_equal(co_lock_file(&second, ctx, "no/lock", "it is taken"), CO_ERR_IO);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(atomic_write_replaces),   TEST(atomic_write_survives_every_fault),
      TEST(abort_is_always_legal),   TEST(writer_counts_and_appends),
      TEST(writer_keeps_the_order),  TEST(writer_reports_a_full_disk),
      TEST(reading_respects_limits), TEST(standard_input_is_a_dash),
      TEST(folders_are_made),        TEST(files_are_cut_renamed_and_removed),
      TEST(links_are_replaced),      TEST(locks_exclude),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
