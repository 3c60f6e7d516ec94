// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "datasets/dataset.h"
#include "datasets/import.h"

enum { N = 40, H = 3, W = 2, T = 10 };
static unsigned char buffer[4096];

static uint8_t pixel(int64_t i) {
  return (uint8_t)(i * 31 + i / 7);
}

static uint8_t test_pixel(int64_t i) {
  return (uint8_t)(i * 17 + 5);
}

static uint8_t label(int64_t i) {
  return (uint8_t)(i % 3);
}

static size_t images(uint32_t n, idx_value value) {
  return make_idx(buffer, 3, (uint32_t[]){n, H, W}, value);
}

static size_t labels(uint32_t n, idx_value value) {
  return make_idx(buffer, 1, (uint32_t[]){n}, value);
}

static void write_inputs(void) {
  write_bytes("x", buffer, images(N, pixel));
  write_bytes("y", buffer, labels(N, label));
  write_gzip("tx", buffer, images(T, test_pixel));
  write_gzip("ty", buffer, labels(T, label));
}

static const co_import_idx_options defaults = {.output = "out.h5",
                                               .training = {"x", "y"},
                                               .test = {"tx", "ty"},
                                               .validation_fraction = 0.2,
                                               .seed = 42};

static co_status import(fixture *f, const co_import_idx_options *options,
                        co_import_result *result) {
  co_diagnostics problems;
  co_diagnostics_init(&problems, f->ctx);
  co_status status = co_import_idx(result, f->ctx, options, &problems);
  assert_true((status != CO_OK) == (problems.count > 0) || status == CO_ERR_MEMORY);
  if (problems.count) assert_int_equal(problems.item[0].status, status);
  co_diagnostics_free(&problems);
  return status;
}

// The import fails with a message about `file` that contains `text`, and leaves nothing.
static void fails(fixture *f, const co_import_idx_options *options, co_status wanted,
                  const char *file, const char *text) {
  co_import_result result;
  assert_int_equal(import(f, options, &result), wanted);
  const co_error *error = co_error_last();
  if (!strstr(error->message, text) ||
      (file && strcmp(error->file, file) && !strstr(error->message, file)))
    fail_msg("unexpected error '%s' about '%s'", error->message, error->file);
  assert_int_equal(count_files("out.h5"), 0);
}

static void plain_and_gzip_give_the_stored_rows(void **state) {
  fixture *f = *state;
  co_import_result result;
  co_dataset *d;
  write_inputs();
  assert_int_equal(system("head -c 100000 /dev/zero >> tx"), 0); // padding, as on tapes
  assert_int_equal(import(f, &defaults, &result), CO_OK);
  assert_int_equal(result.rows[0] + result.rows[1], N);
  assert_true(result.rows[1] > 0);
  assert_int_equal(result.rows[2], T);
  assert_int_equal(result.height, H);
  assert_int_equal(result.width, W);
  assert_int_equal(result.channels, 1);
  assert_int_equal(result.classes, 3);
  assert_int_equal(count_files("out.h5"), 1);
  assert_int_equal(co_context_warning_count(f->ctx), 0);

  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_string_equal(co_dataset_fingerprint(d), result.fingerprint);
  assert_int_equal(co_dataset_rows(d), N + T);
  const co_column *c = co_schema_find(co_dataset_schema(d), "label");
  assert_int_equal(c->role, CO_ROLE_TARGET);
  assert_string_equal(c->categories[2], "2");
  const int64_t *rows;
  int64_t count, last = -1;
  assert_int_equal(co_dataset_split(d, CO_SPLIT_TEST, &rows, &count), CO_OK);
  for (int64_t i = 0; i < T; i++)
    assert_int_equal(rows[i], N + i);
  assert_int_equal(co_dataset_split(d, CO_SPLIT_VALIDATION, &rows, &count), CO_OK);
  assert_int_equal(count, result.rows[1]);
  for (int64_t i = 0; i < count; last = rows[i++])
    assert_true(rows[i] > last && rows[i] < N);
  const void *data;
  const int64_t *entity_row;
  assert_int_equal(co_dataset_column(d, "image", &data, &count, &entity_row), CO_OK);
  assert_null(entity_row);
  for (int64_t i = 0; i < N * H * W; i++)
    assert_int_equal(((const uint8_t *)data)[i], pixel(i));
  for (int64_t i = 0; i < T * H * W; i++)
    assert_int_equal(((const uint8_t *)data)[N * H * W + i], test_pixel(i));
  uint8_t got[2][H * W];
  int32_t code[2];
  assert_int_equal(co_dataset_gather(d, "image", (int64_t[]){N, 7}, 2, got), CO_OK);
  assert_int_equal(got[0][1], test_pixel(1));
  assert_int_equal(got[1][0], pixel(7 * H * W));
  assert_int_equal(co_dataset_gather(d, "label", (int64_t[]){N + 4, 8}, 2, code), CO_OK);
  assert_int_equal(code[0], 1);
  assert_int_equal(code[1], 2);
  co_dataset_close(d);
}

static void colour_images_and_class_names(void **state) {
  fixture *f = *state;
  co_import_result result;
  co_import_idx_options options = {.output = "out.h5",
                                   .training = {"x", "y"},
                                   .class_names = (const char *const[]){"a", "b", "c", "d"},
                                   .class_name_count = 4};
  write_bytes("x", buffer, make_idx(buffer, 4, (uint32_t[]){9, 2, 5, 3}, pixel));
  write_bytes("y", buffer, labels(9, label));
  assert_int_equal(import(f, &options, &result), CO_OK);
  assert_int_equal(result.channels, 3);
  assert_int_equal(result.width, 5);
  assert_int_equal(result.classes, 4);
  assert_int_equal(result.rows[0], 9);
  assert_true(warned(f->ctx, "label 3")); // named, but never used
}

static uint8_t one_image(int64_t i) {
  return (uint8_t)(i % (H * W));
}

static uint8_t gap(int64_t i) {
  return (uint8_t)(i % 2 * 5);
}

static void suspicious_inputs_are_warned_about(void **state) {
  fixture *f = *state;
  co_import_result result;
  write_inputs();
  co_import_idx_options options = defaults;
  options.test = options.training; // the classic slip
  assert_int_equal(import(f, &options, &result), CO_OK);
  assert_int_equal(result.duplicates, N);
  assert_true(warned(f->ctx, "40 of 40 test rows"));
  options.force = true;
  write_bytes("y", buffer, labels(N, gap));
  assert_int_equal(import(f, &options, &result), CO_OK);
  assert_int_equal(result.classes, 6);
  assert_true(warned(f->ctx, "no training row has label 1 (4 of 6"));
  write_bytes("x", buffer, images(N, one_image)); // copies never straddle the split
  options =
      (co_import_idx_options){.output = "b.h5", .training = {"x", "y"}, .validation_fraction = 0.5};
  assert_int_equal(import(f, &options, &result), CO_OK);
  assert_int_equal(result.duplicates, N - 1);
  assert_true(result.rows[0] == N || result.rows[1] == N);
}

static void the_split_of_a_row_depends_on_its_content_and_the_seed(void **state) {
  fixture *f = *state;
  co_import_result a, b, c;
  co_import_idx_options options = defaults;
  write_inputs();
  assert_int_equal(import(f, &options, &a), CO_OK);
  options.output = "b.h5";
  assert_int_equal(import(f, &options, &b), CO_OK);
  assert_string_equal(a.fingerprint, b.fingerprint);
  size_t na, nb;
  unsigned char *bytes_a = read_bytes("out.h5", &na), *bytes_b = read_bytes("b.h5", &nb);
  assert_int_equal(na, nb);
  assert_memory_equal(bytes_a, bytes_b, na);
  free(bytes_a);
  free(bytes_b);
  options.output = "c.h5";
  options.seed = 43;
  assert_int_equal(import(f, &options, &c), CO_OK);
  assert_string_not_equal(a.fingerprint, c.fingerprint);
}

static void damaged_inputs_are_named(void **state) {
  fixture *f = *state;
  co_import_idx_options o = defaults;
  write_inputs();
  size_t length = images(N, pixel);

  write_bytes("x", buffer, 0);
  fails(f, &o, CO_ERR_DATA, "x", "empty");
  write_bytes("x", buffer, 3);
  fails(f, &o, CO_ERR_DATA, "x", "not an IDX file");
  write_bytes("x", buffer, 11);
  fails(f, &o, CO_ERR_DATA, "x", "header");
  write_bytes("x", buffer, length - 1);
  fails(f, &o, CO_ERR_DATA, "x", "row 39 (from 0) of 40");
  write_bytes("x", buffer, length + 1);
  fails(f, &o, CO_ERR_DATA, "x", "more data");
  write_bytes("x", "\x89PNG\r\n\x1a\n", 8);
  fails(f, &o, CO_ERR_DATA, "x", "not an IDX file: it starts with 0x89504e47");
  buffer[2] = 0x0d;
  write_bytes("x", buffer, length);
  fails(f, &o, CO_ERR_DATA, "x", "magic 0x00000d03");

  static const uint32_t absurd[][3] = {
      {0, 3, 2}, {5, 0, 2}, {5, 70000, 2}, {5, 60000, 60000}, {0xffffffff, 3, 2}};
  for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    uint32_t one = 1;
    make_idx(buffer, 1, &one, pixel);
    length = images(1, pixel);
    for (int k = 0; k < 12; k++)
      buffer[4 + k] = (unsigned char)(absurd[i][k / 4] >> (24 - k % 4 * 8));
    write_bytes("x", buffer, length);
    fails(f, &o, CO_ERR_DATA, "x", "");
    write_gzip("x", buffer, length);
    fails(f, &o, CO_ERR_DATA, "x", "");
  }

  write_gzip("x", buffer, images(N, pixel));
  unsigned char *gz = read_bytes("x", &length);
  gz = realloc(gz, length + 100000);
  memset(gz + length, 0, 100000);
  gz[length + 70000] = 1; // zeros are padding, as on tapes; this is not
  write_bytes("x", gz, length + 100000);
  fails(f, &o, CO_ERR_DATA, "x", "something else after the gzip data");
  write_bytes("x", gz, length - 4); // without the end of the trailer
  fails(f, &o, CO_ERR_DATA, "x", "truncated");
  write_bytes("x", gz, length / 2);
  fails(f, &o, CO_ERR_DATA, "x", "row ");
  gz[length - 6] ^= 1; // the checksum
  write_bytes("x", gz, length);
  fails(f, &o, CO_ERR_DATA, "x", "corrupt");
  free(gz);
  remove("x");
  fails(f, &o, CO_ERR_DATA, "x", "No such file");
  mkdir("x", 0777);
  fails(f, &o, CO_ERR_DATA, "x", "directory");
}

static void inputs_that_do_not_fit_are_named(void **state) {
  fixture *f = *state;
  co_import_idx_options o = defaults;
  write_inputs();
  o.training = (co_idx_pair){"y", "x"};
  fails(f, &o, CO_ERR_DATA, "y", "these are labels");
  assert_non_null(strstr(co_error_last()->hint, "exchanged"));
  o = defaults;
  write_bytes("y", buffer, labels(N - 1, label));
  fails(f, &o, CO_ERR_DATA, "y", "39 labels, but 'x' holds 40 images");
  write_bytes("y", buffer, labels(N, label) - 2);
  fails(f, &o, CO_ERR_DATA, "y", "row 38");
  write_bytes("y", buffer, labels(N, label));
  write_bytes("tx", buffer, make_idx(buffer, 3, (uint32_t[]){T, H, W + 1}, pixel));
  fails(f, &o, CO_ERR_DATA, "tx", "images of 3 x 3 x 1, but training has 3 x 2 x 1");
  o.test = (co_idx_pair){0};
  o.class_names = (const char *const[]){"a", "b"};
  o.class_name_count = 2;
  fails(f, &o, CO_ERR_DATA, "y", "row 2 (from 0): label 2, but there are 2 class names");
  o.class_names = (const char *const[]){"a", "a"};
  fails(f, &o, CO_ERR_USAGE, NULL, "twice");
  o = defaults;
  o.test.labels = NULL;
  fails(f, &o, CO_ERR_USAGE, NULL, "together");
  o = defaults;
  o.validation_fraction = 1;
  fails(f, &o, CO_ERR_USAGE, NULL, "share");
}

static void every_broken_input_is_listed(void **state) {
  fixture *f = *state;
  co_import_result result;
  co_diagnostics problems;
  write_inputs();
  write_bytes("x", "", 0);
  remove("ty");
  co_diagnostics_init(&problems, f->ctx);
  assert_int_equal(co_import_idx(&result, f->ctx, &defaults, &problems), CO_ERR_DATA);
  assert_int_equal(problems.count, 2);
  assert_string_equal(problems.item[0].file, "x");
  assert_non_null(strstr(problems.item[1].message, "ty"));
  co_diagnostics_free(&problems);
}

static void an_existing_output_is_kept(void **state) {
  fixture *f = *state;
  co_import_result first, again;
  co_import_idx_options o = defaults;
  write_inputs();
  assert_int_equal(import(f, &o, &first), CO_OK);
  assert_false(first.up_to_date);
  size_t length, after;
  unsigned char *bytes = read_bytes("out.h5", &length);
  assert_int_equal(import(f, &o, &again), CO_OK);
  assert_true(again.up_to_date);
  first.up_to_date = true;
  assert_memory_equal(&first, &again, sizeof first);

  o.seed = 1;
  assert_int_equal(import(f, &o, &again), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->hint, "--force"));
  o.seed = 42;
  write_gzip("y", buffer, labels(N, label)); // other bytes, even if the content is equal
  assert_int_equal(import(f, &o, &again), CO_ERR_IO);
  unsigned char *kept = read_bytes("out.h5", &after);
  assert_int_equal(length, after);
  assert_memory_equal(bytes, kept, length);
  free(kept);
  free(bytes);
  o.force = true;
  assert_int_equal(import(f, &o, &again), CO_OK);
  o.force = false;
  write_bytes("out.h5", "something else", 14);
  assert_int_equal(import(f, &o, &again), CO_ERR_IO);
  remove("x");
  assert_int_equal(import(f, &o, &again), CO_ERR_DATA);
  assert_int_equal(count_files("out.h5"), 1);
}

// Nothing is left over: no memory, no temporary, and an output only if it is complete.
static void assert_clean(fixture *f) {
  co_dataset *d;
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  assert_int_equal(count_files("out.h5.tmp-"), 0);
  if (!count_files("out.h5")) return;
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(co_dataset_rows(d), N + T);
  co_dataset_close(d);
  remove("out.h5");
}

static void every_failing_allocation_is_clean(void **state) {
  fixture *f = *state;
  co_import_result result;
  write_inputs();
  int64_t before = co_alloc_get_stats(f->ctx).calls, survived = 0;
  assert_int_equal(import(f, &defaults, &result), CO_OK);
  int64_t calls = co_alloc_get_stats(f->ctx).calls - before;
  remove("out.h5");
  for (int64_t nth = 1; nth <= calls; nth++) {
    co_alloc_fail_at(f->ctx, nth, nth % 2 == 0);
    co_status status = import(f, &defaults, &result);
    co_alloc_fail_at(f->ctx, 0, false);
    // Tidying up after dead processes is optional work.
    if (status == CO_OK)
      survived++;
    else
      assert_int_equal(status, CO_ERR_MEMORY);
    assert_clean(f);
  }
  print_message("%lld allocations failed in turn\n", (long long)calls);
  assert_true(survived <= 1);
}

static void every_failing_write_is_clean(void **state) {
  fixture *f = *state;
  co_import_result result;
  write_inputs();
  int64_t before = co_io_calls(f->ctx);
  assert_int_equal(import(f, &defaults, &result), CO_OK);
  int64_t calls = co_io_calls(f->ctx) - before;
  remove("out.h5");
  for (int64_t nth = 1; nth <= calls; nth++) {
    co_io_fail_at(f->ctx, nth, nth % 2 == 0, ENOSPC);
    co_status status = import(f, &defaults, &result);
    co_io_fail_at(f->ctx, 0, false, 0);
    assert_int_equal(status, CO_ERR_IO);
    assert_clean(f);
  }
  print_message("%lld operations failed in turn\n", (long long)calls);
  assert_true(calls > 5);
}

static void a_full_disk_is_reported(void **state) {
  fixture *f = *state;
  write_inputs();
  pid_t child = fork(); // the limit must not outlive the test
  if (child == 0) {
    co_import_result result;
    co_diagnostics problems;
    co_diagnostics_init(&problems, f->ctx);
    struct rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    co_status status = co_import_idx(&result, f->ctx, &defaults, &problems);
    _exit(status == CO_ERR_IO && count_files("out.h5") == 0 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void die(void *user, const char *what, int64_t done, int64_t total) {
  (void)user, (void)what, (void)done, (void)total;
  kill(getpid(), SIGKILL);
}

static void a_killed_import_leaves_only_a_temporary(void **state) {
  fixture *f = *state;
  co_import_result result;
  int status;
  write_inputs();
  pid_t child = fork();
  if (child == 0) {
    co_diagnostics problems;
    co_import_idx_options o = defaults;
    o.progress = die;
    co_diagnostics_init(&problems, f->ctx);
    co_import_idx(&result, f->ctx, &o, &problems);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(count_files("out.h5"), 1);
  assert_int_equal(count_files("out.h5.tmp-"), 1);
  assert_int_equal(import(f, &defaults, &result), CO_OK);
  assert_int_equal(count_files("out.h5"), 1);
  assert_int_equal(count_files("out.h5.tmp-"), 0);
}

static volatile int stop_flag;

static void raise_flag(void *user, const char *what, int64_t done, int64_t total) {
  (void)user, (void)what, (void)done, (void)total;
  stop_flag = SIGINT;
}

static void a_stopped_import_leaves_nothing(void **state) {
  fixture *f = *state;
  write_inputs();
  co_import_result result;
  co_import_idx_options o = defaults;
  o.progress = raise_flag;
  o.stop = &stop_flag;
  assert_int_equal(import(f, &o, &result), CO_INTERRUPTED);
  assert_int_equal(count_files("out.h5"), 0);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fashion_mnist(void **state) {
  fixture *f = *state;
  char path[4][512];
  static const char *const names[4] = {
      "fashion_mnist/train-images-idx3-ubyte.gz", "fashion_mnist/train-labels-idx1-ubyte.gz",
      "fashion_mnist/t10k-images-idx3-ubyte.gz", "fashion_mnist/t10k-labels-idx1-ubyte.gz"};
  for (int i = 0; i < 4; i++)
    if (!test_data(names[i], path[i], sizeof path[i])) skip();
  co_import_idx_options o = {.output = "fashion.h5",
                             .training = {path[0], path[1]},
                             .test = {path[2], path[3]},
                             .validation_fraction = 0.1,
                             .seed = 42};
  co_import_result result;
  co_dataset *d;
  double begin = now();
  assert_int_equal(import(f, &o, &result), CO_OK);
  double imported = now();
  assert_int_equal(co_dataset_open(&d, f->ctx, "fashion.h5"), CO_OK);
  double opened = now();
  const void *data;
  const int64_t *rows, *entity_row;
  int64_t count, per_class[10] = {0};
  int32_t code;
  assert_int_equal(co_dataset_column(d, "image", &data, &count, &entity_row), CO_OK);
  double checked = now();
  print_message("import %.2f s, open %.1f ms, check of the images %.1f ms\n", imported - begin,
                (opened - imported) * 1e3, (checked - opened) * 1e3);
  assert_int_equal(count, 70000);
  assert_int_equal(result.rows[0] + result.rows[1], 60000);
  assert_true(result.rows[1] > 5700 && result.rows[1] < 6300);
  assert_int_equal(co_dataset_split(d, CO_SPLIT_TEST, &rows, &count), CO_OK);
  assert_int_equal(count, 10000);
  for (int64_t i = 0; i < count; i++) {
    assert_int_equal(co_dataset_gather(d, "label", &rows[i], 1, &code), CO_OK);
    per_class[code]++;
  }
  for (int i = 0; i < 10; i++)
    assert_int_equal(per_class[i], 1000);
  // The first test image, an ankle boot, as the publisher's own reader shows it.
  uint8_t image[784];
  assert_int_equal(co_dataset_gather(d, "image", rows, 1, image), CO_OK);
  gzFile raw = gzopen(path[2], "rb");
  uint8_t expected[16 + 784];
  assert_int_equal(gzread(raw, expected, sizeof expected), (int)sizeof expected);
  gzclose(raw);
  assert_memory_equal(image, expected + 16, sizeof image);
  co_dataset_close(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(plain_and_gzip_give_the_stored_rows),
      DATA_TEST(colour_images_and_class_names),
      DATA_TEST(suspicious_inputs_are_warned_about),
      DATA_TEST(the_split_of_a_row_depends_on_its_content_and_the_seed),
      DATA_TEST(damaged_inputs_are_named),
      DATA_TEST(inputs_that_do_not_fit_are_named),
      DATA_TEST(every_broken_input_is_listed),
      DATA_TEST(an_existing_output_is_kept),
      DATA_TEST(every_failing_allocation_is_clean),
      DATA_TEST(every_failing_write_is_clean),
      DATA_TEST(a_full_disk_is_reported),
      DATA_TEST(a_killed_import_leaves_only_a_temporary),
      DATA_TEST(a_stopped_import_leaves_nothing),
      DATA_TEST(fashion_mnist),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
