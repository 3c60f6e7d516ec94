// SPDX-License-Identifier: Apache-2.0
// What may be written, and which temporaries may be removed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/core/output.h"
#include "host/core/temporary.h"

// Each test works in a fresh folder, as the current one.
typedef struct fixture {
  co_context *ctx;
  char folder[64];
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  snprintf(f->folder, sizeof f->folder, "/tmp/cohort_output_XXXXXX");
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

static void put(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static bool holds(const char *path, const char *text) {
  char found[64] = "";
  FILE *file = fopen(path, "r");
  if (!file) return false;
  size_t length = fread(found, 1, sizeof found - 1, file);
  fclose(file);
  return length == strlen(text) && memcmp(found, text, length) == 0;
}

static bool is_there(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0;
}

// Writes "new" under the name, as a command would.
static co_status write_new(co_context *ctx, const char *path, bool replace, const char *input) {
  const char *const inputs[] = {NULL, "no such file", input};
  co_output output = {path, replace, inputs, 3};
  co_atomic_file file;
  CO_RETURN_IF_FAILED(co_output_begin(&file, ctx, &output));
  put(file.temporary, "new");
  return co_atomic_commit(&file);
}

static void refused(co_context *ctx, const char *path, const char *input, const char *why) {
  assert_int_equal(write_new(ctx, path, true, input), CO_ERR_IO);
  if (!strstr(co_error_last()->message, why)) fail_msg("%s", co_error_last()->message);
}

static void regular_files_are_replaced_if_asked(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  assert_int_equal(write_new(ctx, "a", false, NULL), CO_OK);
  assert_true(holds("a", "new"));
  put("a", "old");
  assert_int_equal(write_new(ctx, "a", false, NULL), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->hint, "--force"));
  assert_true(holds("a", "old"));
  assert_int_equal(write_new(ctx, "a", true, NULL), CO_OK);
  assert_true(holds("a", "new"));
  refused(ctx, "no/such/a", NULL, "no/such/a");
  refused(ctx, "a/b", NULL, "a/b");
  refused(ctx, "", NULL, "not the name");
}

static void nothing_but_files_is_replaced(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  struct stat info;
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  close(fd);
  assert_int_equal(mkfifo("pipe", 0666), 0);
  assert_int_equal(mkdir("folder", 0777), 0);
  assert_int_equal(symlink("/dev/null", "device"), 0);
  refused(ctx, "pipe", NULL, "a pipe");
  assert_null(strstr(co_error_last()->hint, "--force"));
  refused(ctx, "socket", NULL, "a socket");
  refused(ctx, "folder", NULL, "a folder");
  refused(ctx, "folder/", NULL, "a folder");
  refused(ctx, "device", NULL, "a device");
  assert_true(stat("pipe", &info) == 0 && S_ISFIFO(info.st_mode));
  assert_true(stat("socket", &info) == 0 && S_ISSOCK(info.st_mode));
  assert_true(stat("folder", &info) == 0 && S_ISDIR(info.st_mode));
  assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}

static void links_lead_to_what_is_written(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  struct stat info;
  assert_int_equal(mkdir("far", 0777), 0);
  put("far/file", "old");
  assert_int_equal(symlink("far/file", "link"), 0);
  assert_int_equal(symlink("far/none", "loose"), 0);
  assert_int_equal(write_new(ctx, "link", true, NULL), CO_OK);
  assert_true(lstat("link", &info) == 0 && S_ISLNK(info.st_mode));
  assert_true(holds("far/file", "new"));
  refused(ctx, "loose", NULL, "leads to nothing");
}

// Whatever it is called there: links of both kinds, other ways to the same folder.
static void inputs_are_never_replaced(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  char whole[128];
  put("input", "old");
  assert_int_equal(link("input", "hard"), 0);
  assert_int_equal(symlink("input", "soft"), 0);
  snprintf(whole, sizeof whole, "%s/input", ((fixture *)*state)->folder);
  const char *const names[] = {"input", "./input", "hard", "soft", whole};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
      refused(ctx, names[i], names[k], "also read by this command");
  assert_true(holds("input", "old"));
}

// Between the check and the end of the work.
static void what_appears_meanwhile_is_not_replaced(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  co_output output = {.path = "a"};
  co_atomic_file file;
  assert_int_equal(co_output_begin(&file, ctx, &output), CO_OK);
  put("a", "theirs");
  assert_int_equal(co_atomic_commit(&file), CO_ERR_IO);
  assert_true(holds("a", "theirs"));
  output.replace = true;
  assert_int_equal(co_output_begin(&file, ctx, &output), CO_OK);
  assert_int_equal(unlink("a"), 0);
  assert_int_equal(mkfifo("a", 0666), 0);
  assert_int_equal(co_atomic_commit(&file), CO_ERR_IO);
  struct stat info;
  assert_true(stat("a", &info) == 0 && S_ISFIFO(info.st_mode));
}

// A process that has begun a file and waits, or has died.
static pid_t begin_apart(co_context *ctx, const char *path, char *name, size_t size) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    co_atomic_file file;
    if (co_atomic_begin(&file, ctx, path) != CO_OK) _exit(1);
    if (write(ends[1], file.temporary, strlen(file.temporary) + 1) < 0) _exit(1);
    pause();
    _exit(0);
  }
  close(ends[1]);
  assert_true(read(ends[0], name, size) > 0);
  close(ends[0]);
  return child;
}

static void temporaries_go_with_their_process_only(void **state) {
  co_context *ctx = ((fixture *)*state)->ctx;
  char name[128];
  pid_t child = begin_apart(ctx, "m.h5", name, sizeof name);
  // As a process of this number would leave it, but locked by nobody of ours.
  static const char *const kept[] = {"m.h5.tmp-",
                                     "m.h5.tmp-12",
                                     "m.h5.tmp-12-34",
                                     "m.h5.tmp-12-0123456789abcdeg",
                                     "m.h5.tmp-12-0123456789abcdef0",
                                     "xm.h5.tmp-12-0123456789abcdef",
                                     ".tmp-12-0123456789abcdef",
                                     "m.h5"};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    put(kept[i], "x");
  assert_int_equal(mkdir("m.h5.tmp-12-0123456789abcdef", 0777), 0);
  put("m.h5.tmp-12-0123456789abcdef/inside", "x");
  assert_int_equal(mkfifo("m.h5.tmp-13-0123456789abcdef", 0666), 0);
  co_remove_stale_temporaries(ctx, "m.h5");
  assert_true(is_there(name));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  char path[160];
  snprintf(path, sizeof path, "%s/m.h5", ((fixture *)*state)->folder);
  co_remove_stale_temporaries(ctx, path);
  assert_false(is_there(name));
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    assert_true(is_there(kept[i]));
  assert_true(is_there("m.h5.tmp-12-0123456789abcdef/inside"));
  assert_true(is_there("m.h5.tmp-13-0123456789abcdef"));
  co_remove_stale_temporaries(ctx, "no/such/folder/x");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(regular_files_are_replaced_if_asked),    TEST(nothing_but_files_is_replaced),
      TEST(links_lead_to_what_is_written),          TEST(inputs_are_never_replaced),
      TEST(what_appears_meanwhile_is_not_replaced), TEST(temporaries_go_with_their_process_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
