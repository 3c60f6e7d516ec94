// SPDX-License-Identifier: Apache-2.0
// Resuming from folders of all kinds: damaged, unreadable, finished, of another dataset or device, taken.
// Wrap: co_io_fault
// Timeout: 240
#include "resuming.h"

#include <errno.h>
#include <hdf5.h>
#include <sys/syscall.h>

// Stands before the C library's, whose callers include HDF5: the disk fails to read this file.
static const char *unreadable;
static bool is_unreadable(int fd) {
  struct stat wanted, info;
  return unreadable && stat(unreadable, &wanted) == 0 && fstat(fd, &info) == 0 &&
         wanted.st_ino == info.st_ino && wanted.st_dev == info.st_dev;
}
__attribute__((visibility("default"))) ssize_t pread(int fd, void *out, size_t size, off_t offset) {
  if (!is_unreadable(fd)) return syscall(SYS_pread64, fd, out, size, offset);
  errno = EIO;
  return -1;
}
__attribute__((visibility("default"))) ssize_t pread64(int fd, void *out, size_t size,
                                                       off_t offset);
ssize_t pread64(int fd, void *out, size_t size, off_t offset) {
  return pread(fd, out, size, offset);
}

static void flip_byte(const char *path, double where) {
  size_t length = 0;
  char *bytes = read_whole(path, &length);
  bytes[(size_t)((double)length * where)] ^= 0x55;
  FILE *stream = fopen(path, "wb");
  fwrite(bytes, 1, length, stream);
  fclose(stream);
  free(bytes);
}

static void test_damaged_checkpoint(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  training stopped = {.run_dir = "stopped", .config = "c.yaml", .dataset = "d.h5", .stop_at = 13};
  assert_int_equal(train_apart(&stopped), 143);
  for (int how = 0; how < 24; how++) {
    assert_int_equal(system("rm -rf run && cp -a stopped run"), 0);
    char newest[300], target[256] = "";
    assert_true(readlink("run/checkpoints/last.h5", target, sizeof target - 1) > 0);
    snprintf(newest, sizeof newest, "run/checkpoints/%s", target);
    struct stat info;
    assert_int_equal(stat(newest, &info), 0);
    if (how == 0)
      assert_int_equal(truncate(newest, 0), 0);
    else if (how == 1)
      assert_int_equal(truncate(newest, info.st_size / 2), 0);
    else if (how == 2)
      assert_int_equal(truncate(newest, info.st_size - 1), 0);
    else if (how == 3)
      write_text(newest, "not HDF5 at all");
    else
      flip_byte(newest, (how - 3) / 21.0);
    char aside[320];
    snprintf(aside, sizeof aside, "%s.damaged", newest);
    assert_int_equal(system("rm -rf damaged && cp -a run damaged"), 0);
    assert_int_equal(go_on("run", "records"), 0);
    char before[310];
    snprintf(before, sizeof before, "damaged/%s", newest + strlen("run/"));
    assert_true(file_has("records", "not usable"));
    assert_true(file_has("records", aside));
    assert_true(same_file(before, aside));
    unlink(aside);
    const char *difference = run_difference("whole", "run");
    if (*difference) {
      char *records = read_whole("records", NULL);
      fail_msg("damage %d: %s\n%s", how, difference, records);
    }
  }
  // All of them: from the start.
  assert_int_equal(system("rm -rf run && cp -a stopped run && "
                          "for f in run/checkpoints/s*.h5; do : >$f; done"),
                   0);
  assert_int_equal(go_on("run", "records"), 0);
  assert_int_equal(system("ls run/checkpoints/*.damaged >/dev/null && "
                          "rm run/checkpoints/*.damaged"),
                   0);
  assert_string_equal(run_difference("whole", "run"), "");
}

// A checkpoint that cannot be read may be whole: it ends the run, and nothing is touched.
static void check_stopped(const char *newest, int wanted, const char *message) {
  training t = {.resume = "run", .records = "records"};
  assert_int_equal(system("rm -rf copy && cp -a run copy"), 0);
  int code = train_apart(&t);
  char *records = read_whole("records", NULL);
  if (code != wanted || !strstr(records, message) || !strstr(records, newest))
    fail_msg("exit %d, not %d with '%s'\n%s", code, wanted, message, records);
  free(records);
  assert_int_equal(system("diff -r --no-dereference -x LOCK run copy"), 0);
}

// HDF5 leaves the checksum as it was, so it goes.
static void set_format_version(const char *path, int64_t version) {
  static const char none[16];
  FILE *block = fopen(path, "r+b");
  assert_true(block && fwrite(none, sizeof none, 1, block) == 1 && fclose(block) == 0);
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t group = H5Gopen2(file, "/cohort", H5P_DEFAULT), scalar = H5Screate(H5S_SCALAR);
  assert_true(H5Adelete(group, "format_version") >= 0);
  hid_t attribute =
      H5Acreate2(group, "format_version", H5T_STD_I64LE, scalar, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Awrite(attribute, H5T_NATIVE_INT64, &version) >= 0);
  assert_true(H5Aclose(attribute) >= 0 && H5Sclose(scalar) >= 0);
  assert_true(H5Gclose(group) >= 0 && H5Fclose(file) >= 0);
}

static void test_unreadable_checkpoint(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  training stopped = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .stop_at = 13};
  assert_int_equal(train_apart(&stopped), 143);
  static const char newest[] = "run/checkpoints/stop-00000013.h5";
  // The disk fails.
  unreadable = newest;
  check_stopped(newest, CO_ERR_IO, strerror(EIO));
  unreadable = NULL;
  // It cannot be opened.
  assert_int_equal(rename(newest, "aside"), 0);
  assert_int_equal(symlink("stop-00000013.h5", newest), 0);
  check_stopped(newest, CO_ERR_IO, strerror(ELOOP));
  assert_int_equal(rename("aside", newest), 0);
  // It is of a later version of the program.
  set_format_version(newest, 2);
  check_stopped(newest, CO_ERR_MODEL, "its format version is 2; this program reads 1");
  assert_true(file_has("records", "or move it away"));
  set_format_version(newest, 1);
  assert_int_equal(go_on("run", "records"), 0);
  assert_string_equal(run_difference("whole", "run"), "");
}

// Done is done, as long as there is the model.
static void test_finished_without_checkpoints(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  assert_int_equal(system("cp -a whole run && rm -rf run/checkpoints/* && cp -a run copy"), 0);
  training t = {.run_dir = "run",
                .resume = "auto",
                .config = "c.yaml",
                .dataset = "d.h5",
                .records = "records"};
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("records", "is done since step 16; nothing to do"));
  assert_int_equal(system("diff -r -x LOCK run copy"), 0);
  t.set[0] = "trainer.seed=5";
  assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
  // With an older checkpoint only.
  t.set[0] = NULL;
  assert_int_equal(system("cp whole/checkpoints/step-0000001[25].h5 run/checkpoints"), 0);
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("records", "nothing to do"));
  // Without a usable model it is not done: from the checkpoint, or from the start.
  for (int i = 0; i < 2; i++) {
    flip_byte("run/model.h5", 0.3);
    assert_int_equal(truncate("run/model.h5", 9000), 0);
    if (train_apart(&t) != 0) fail_msg("%s", read_whole("records", NULL));
    assert_true(file_has("records", "it is trained again"));
    assert_true(same_file("run/model.h5", "whole/model.h5"));
    assert_true(same_file("run/metrics.jsonl", "whole/metrics.jsonl"));
    assert_int_equal(system(i ? "rm -rf run/checkpoints" : "rm -f run/checkpoints/*"), 0);
  }
  // Without the folder, too.
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("records", "nothing to do"));
  assert_int_equal(truncate("run/model.h5", 9000), 0);
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("whole", "run"), "");
}

static void test_finished_run(void **state) {
  (void)state;
  begin_with(rich_config);
  training t = whole;
  t.records = "first";
  assert_int_equal(train_apart(&t), 0);
  assert_int_equal(system("cp -a whole copy"), 0);
  t.resume = "auto";
  t.records = "second";
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("whole", "copy"), "");
  assert_true(same_file("whole/run.json", "copy/run.json"));
  assert_true(same_file("whole/events.jsonl", "copy/events.jsonl"));
  // The same answer: steps, best, fingerprint of the weights in model.h5.
  char *first = read_whole("first", NULL), *second = read_whole("second", NULL);
  char *a = strstr(first, "\"weights_sha256\""), *b = strstr(second, "\"weights_sha256\"");
  assert_non_null(a);
  assert_non_null(b);
  assert_memory_equal(a, b, 82);
  free(first);
  free(second);
  // Killed after the model and before the last record of its status.
  write_text("whole/run.json", "{\"status\": \"running\", \"dataset\": \"d.h5\", \"threads\": 1}");
  assert_int_equal(go_on("whole", NULL), 0);
  assert_true(file_has("whole/run.json", "\"status\": \"done\""));
  t = (training){.resume = "nothing"};
  assert_int_equal(train_apart(&t), CO_ERR_MODEL);
  assert_true(access("nothing", F_OK) != 0);
  t = whole;
  assert_int_equal(train_apart(&t), CO_ERR_IO);
}

// Another config, dataset, device or thread count is refused, and nothing changes.
static void test_drift(void **state) {
  (void)state;
  begin_with(rich_config);
  make_images("e.h5", ROWS, 2);
  // With and without a checkpoint.
  for (int64_t kill = 60; kill < 160; kill += 90) {
    training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .kill_at = kill};
    assert_int_equal(train_apart(&t), 128 + SIGKILL);
    assert_int_equal(system("rm -rf copy && cp -a run copy"), 0);
    t = (training){.resume = "run", .records = "records", .set = {"trainer.max_epochs=5"}};
    assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
    assert_true(file_has("records", "trainer.max_epochs is 5, was "));
    t = (training){
        .resume = "run", .records = "records", .config = "c.yaml", .set = {"trainer.seed=5"}};
    assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
    assert_true(file_has("records", "trainer.seed is 5, was "));
    t = (training){.resume = "run", .records = "records", .dataset = "e.h5"};
    assert_int_equal(train_apart(&t), CO_ERR_DATA);
    assert_true(file_has("records", "e.h5"));
    t = (training){.resume = "run", .records = "records", .threads = 2};
    assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
    assert_true(file_has("records", "thread"));
    t = (training){.resume = "run", .records = "records", .device = "ref"};
    assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
    assert_int_equal(system("diff -r -x LOCK -x '*.tmp-*' run copy"), 0);
    t = (training){.resume = "run", .config = "c.yaml", .dataset = "d.h5"};
    assert_int_equal(train_apart(&t), 0);
    remove_tree("run");
  }
}

// Without --device, or with auto, a run goes on where it was.
static void test_device(void **state) {
  (void)state;
  begin_with(rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .device = "ref"};
  t.stop_at = 3;
  assert_int_equal(train_apart(&t), 143);
  t = (training){.resume = "run", .stop_at = 5};
  assert_int_equal(train_apart(&t), 143);
  t = (training){.resume = "run", .records = "records", .device = "auto"};
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("run/run.json", "\"device\": \"ref\""));
}

// The processor and the libraries may decide the bytes: they are recorded, and a change is said.
static void test_machine(void **state) {
  (void)state;
  begin_with(rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .stop_at = 3};
  assert_int_equal(train_apart(&t), 143);
  assert_true(file_has("run/run.json", "oneDNN "));
  assert_true(file_has("run/run.json", "HDF5 "));
  t = (training){.resume = "run", .records = "records", .stop_at = 5};
  assert_int_equal(train_apart(&t), 143);
  assert_false(file_has("records", "may differ"));
  assert_int_equal(system("sed -i 's/\"machine\": \".*\"/\"machine\": \"abacus\"/' run/run.json"),
                   0);
  t = (training){.resume = "run", .records = "records"};
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("records", "this run was begun on abacus"));
}

// A checkpoint that is due at the end of an epoch is not left out.
static void test_due_at_epochs(void **state) {
  (void)state;
  begin_with(rich_config); // of 4 updates an epoch
  training t = {.run_dir = "run",
                .config = "c.yaml",
                .dataset = "d.h5",
                .set = {"trainer.steps_per_checkpoint=4", "trainer.learning_rate=0"}};
  assert_int_equal(train_apart(&t), 0);
  for (int step = 4; step <= 16; step += 4) {
    char event[64];
    snprintf(event, sizeof event, "\"checkpoint\",\"step\":%d}", step);
    if (!file_has("run/events.jsonl", event)) fail_msg("no checkpoint at step %d", step);
  }
}

static void test_lock(void **state) {
  (void)state;
  begin_with(rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .stop_at = 3};
  assert_int_equal(train_apart(&t), 143);
  co_context *ctx;
  int lock;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_lock_file(&lock, ctx, "run/LOCK", "taken"), CO_OK);
  t = (training){.resume = "run", .records = "records"};
  assert_int_equal(train_apart(&t), CO_ERR_IO);
  assert_true(file_has("records", "another run has this folder: 'run/LOCK'"));
  co_unlock_file(lock);
  assert_int_equal(train_apart(&t), 0);
  co_context_free(ctx);
}

// What others keep in the run's folder stays, whatever it is called; what a dead process of ours left
// goes, and what a live one is writing stays.
static void test_foreign_temporaries(void **state) {
  static const char *const foreign[] = {"run/notes.tmp-1",
                                        "run/model.h5.tmp-12",
                                        "run/notes.tmp-12-0123456789abcdef",
                                        "run/checkpoints/mine.h5.tmp-12-0123456789abcdef",
                                        "run/run.json.tmp-12-0123456789abcdef.bak",
                                        "run/run.json.tmp-13-0123456789abcdef/inside",
                                        "run.tmp-12-0123456789abcdef/inside"};
  static const char *const left[] = {"run/model.h5.tmp-2000000000-0123456789abcdef",
                                     "run/run.json.tmp-2000000000-0123456789abcdef",
                                     "run/checkpoints/step-00000004.h5.tmp-12-0123456789abcdef",
                                     "run/checkpoints/stop-00000002.h5.tmp-12-0123456789abcdef"};
  (void)state;
  begin_with(rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .stop_at = 3};
  assert_int_equal(train_apart(&t), 143);
  assert_int_equal(mkdir("run/run.json.tmp-13-0123456789abcdef", 0777), 0);
  assert_int_equal(mkdir("run.tmp-12-0123456789abcdef", 0777), 0);
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    write_text(foreign[i], "x");
  for (size_t i = 0; i < sizeof left / sizeof *left; i++)
    write_text(left[i], "x");
  assert_int_equal(symlink("x", "run/checkpoints/last.h5.tmp-2000000000-0123456789abcdef"), 0);
  co_context *ctx;
  co_atomic_file alive;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_atomic_begin(&alive, ctx, "run/model.h5"), CO_OK);
  t = (training){.resume = "run"};
  assert_int_equal(train_apart(&t), 0);
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (!file_has(foreign[i], "x")) fail_msg("%s is gone", foreign[i]);
  for (size_t i = 0; i < sizeof left / sizeof *left; i++)
    if (co_path_exists(left[i])) fail_msg("%s is still there", left[i]);
  struct stat info;
  assert_int_not_equal(lstat("run/checkpoints/last.h5.tmp-2000000000-0123456789abcdef", &info), 0);
  assert_true(co_path_exists(alive.temporary));
  co_atomic_abort(&alive);
  co_context_free(ctx);
}

// Folders of runs that were being made when their process died go; no others, and not while their
// process lives.
static void test_folder_in_the_making(void **state) {
  (void)state;
  begin_with(rich_config);
  static const char *const folders[] = {"run.tmp-12-0000000000000001",
                                        "run.tmp-12-0000000000000002",
                                        "run.tmp-2000000000-0000000000000003"};
  char path[128];
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/checkpoints", folders[i]);
    assert_true(mkdir(folders[i], 0777) == 0 && mkdir(path, 0777) == 0);
    snprintf(path, sizeof path, "%s/LOCK", folders[i]);
    if (i < 2) write_text(path, "");
    snprintf(path, sizeof path, "%s/run.json", folders[i]);
    if (i < 2) write_text(path, "{}");
  }
  co_context *ctx;
  int lock;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  snprintf(path, sizeof path, "%s/LOCK", folders[1]);
  assert_int_equal(co_lock_file(&lock, ctx, path, "taken"), CO_OK);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .stop_at = 1};
  assert_int_equal(train_apart(&t), 143);
  assert_false(co_path_exists(folders[0]));
  assert_true(co_path_exists(folders[1]));
  assert_false(co_path_exists(folders[2]));
  co_unlock_file(lock);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_finished_run),
      TRAINING_TEST(test_drift),
      TRAINING_TEST(test_device),
      TRAINING_TEST(test_machine),
      TRAINING_TEST(test_due_at_epochs),
      TRAINING_TEST(test_lock),
      TRAINING_TEST(test_foreign_temporaries),
      TRAINING_TEST(test_folder_in_the_making),
      TRAINING_TEST(test_damaged_checkpoint),
      TRAINING_TEST(test_unreadable_checkpoint),
      TRAINING_TEST(test_finished_without_checkpoints),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
