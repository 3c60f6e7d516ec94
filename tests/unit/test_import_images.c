// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include <png.h>

#include "datasets/image_cells.h"
#include "datasets/import_images.h"

enum { SIDE = 20, FILES = 24 };

// A grey image, light by `value`, of which the left half is dark.
static void make_image(const char *path, uint32_t width, uint32_t height, int value) {
  uint8_t pixels[64 * 64];
  for (uint32_t i = 0; i < width * height; i++)
    pixels[i] = (uint8_t)(i % width < width / 2 ? 10 : value);
  png_image image = {
      .version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_GRAY};
  assert_true(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
}

// Two classes, in folders below `root`, which exists or is "".
static void make_folder(const char *root, int count, int first) {
  static const char *const classes[] = {"hat", "shoe"};
  char path[128];
  mkdir(root, 0777);
  for (int c = 0; c < 2; c++) {
    snprintf(path, sizeof path, "%s/%s", root, classes[c]);
    mkdir(path, 0777);
  }
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%s/%03d.png", root, classes[i % 2], first + i);
    make_image(path, SIDE, SIDE, 50 + first + i);
  }
}

static co_import_images_options defaults(void) {
  return (co_import_images_options){.output = "out.h5",
                                    .folder = "photos",
                                    .validation_fraction = 0.1,
                                    .seed = 42,
                                    .errors = {CO_ON_ERROR_FAIL, 0.1, true},
                                    .most_pixels = 4096};
}

static co_status import(fixture *f, const co_import_images_options *o,
                        co_import_images_result *result) {
  co_diagnostics skipped;
  co_diagnostics_init(&skipped, f->ctx);
  co_status status = co_import_images(result, f->ctx, o, &skipped);
  if (status == CO_OK) assert_int_equal(skipped.count, result->skipped);
  co_diagnostics_free(&skipped);
  return status;
}

static void fails(fixture *f, const co_import_images_options *o, co_status wanted,
                  const char *text) {
  co_import_images_result result;
  assert_int_equal(import(f, o, &result), wanted);
  const co_error *error = co_error_last();
  if (!strstr(error->message, text) && !strstr(error->file, text))
    fail_msg("unexpected error '%s: %s'", error->file, error->message);
  assert_int_equal(count_files("out.h5"), 0);
}

static void folders_are_classes(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  const co_import_images_options o = defaults();
  make_folder("photos", FILES, 0);
  write_bytes("photos/notes.txt", "x", 1);
  write_bytes("photos/.hidden.png", "x", 1);
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.rows[0] + r.rows[1] + r.rows[2], FILES);
  assert_true(r.rows[0] > r.rows[2] && r.rows[2] > 0);
  assert_int_equal(r.classes, 2);
  assert_int_equal(r.channels, 1);
  assert_int_equal(r.height, SIDE);
  assert_int_equal(r.others, 1);

  co_dataset *d;
  uint8_t pixels[SIDE * SIDE];
  int32_t code;
  char key[32];
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  const co_column *label = co_schema_find(co_dataset_schema(d), "label");
  assert_string_equal(label->categories[1], "shoe");
  for (int64_t i = 0; i < FILES; i++) {
    bool shoe = i >= FILES / 2;
    int number = (int)(2 * (i % (FILES / 2)) + shoe);
    snprintf(key, sizeof key, "%s/%03d.png", shoe ? "shoe" : "hat", number);
    char found[32];
    assert_int_equal(co_dataset_key(d, i, found, sizeof found), CO_OK);
    assert_string_equal(found, key);
    assert_int_equal(co_dataset_gather(d, "label", &i, 1, &code), CO_OK);
    assert_int_equal(code, shoe);
    assert_int_equal(co_dataset_gather(d, "image", &i, 1, pixels), CO_OK);
    assert_int_equal(pixels[0], 10);
    assert_int_equal(pixels[SIDE - 1], 50 + number);
  }
  co_dataset_close(d);
}

static void folders_are_splits(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  co_import_images_options o = defaults();
  mkdir("photos", 0777);
  make_folder("photos/train", FILES, 0);
  make_folder("photos/test", 6, 100);
  o.validation_fraction = 0.3;
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.rows[0] + r.rows[1], FILES);
  assert_true(r.rows[1] > 0);
  assert_int_equal(r.rows[2], 6);
  assert_int_equal(r.classes, 2);
  make_folder("photos/validation", 4, 200);
  o.force = true;
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.rows[0], FILES);
  assert_int_equal(r.rows[1], 4);
  // A copy across splits is warned of.
  make_image("photos/test/hat/copy.png", SIDE, SIDE, 50);
  int64_t warnings = co_context_warning_count(f->ctx);
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.duplicates, 1);
  assert_int_equal(co_context_warning_count(f->ctx), warnings + 1);

  remove("out.h5");
  o.split = &(co_split_rule){.kind = CO_SPLIT_RANDOM, .share = {.5, 0, .5}};
  fails(f, &o, CO_ERR_USAGE, "folders of splits");
  o.split = NULL;
  assert_int_equal(system("rm -r photos/train"), 0);
  fails(f, &o, CO_ERR_DATA, "none for training");
}

static void threads_and_seeds(void **state) {
  fixture *f = *state;
  co_import_images_result a, b;
  co_import_images_options o = defaults();
  o.recipe = (co_image_recipe){.height = 8, .width = 6, .fit = CO_FIT_PAD, .channels = 3};
  make_folder("photos", FILES, 0);
  co_context_set_threads(f->ctx, 1);
  assert_int_equal(import(f, &o, &a), CO_OK);
  co_context_set_threads(f->ctx, 4);
  o.output = "b.h5";
  assert_int_equal(import(f, &o, &b), CO_OK);
  assert_int_equal(system("cmp out.h5 b.h5"), 0);
  assert_int_equal(import(f, &o, &b), CO_OK);
  assert_true(b.up_to_date);
  assert_string_equal(a.fingerprint, b.fingerprint);
  assert_memory_equal(a.rows, b.rows, sizeof a.rows);
  make_image("photos/hat/000.png", SIDE, SIDE, 7);
  assert_int_equal(import(f, &o, &b), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->message, "not made from these"));
}

static void stratified_shares_are_exact(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  co_import_images_options o = defaults();
  make_folder("photos", 20, 0);
  o.split = &(co_split_rule){.kind = CO_SPLIT_STRATIFIED, .share = {.6, .2, .2}};
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.rows[0], 12);
  assert_int_equal(r.rows[1], 4);
  o.split = &(co_split_rule){.kind = CO_SPLIT_HASH, .column = "x"};
  o.output = "other.h5";
  assert_int_equal(import(f, &o, &r), CO_ERR_USAGE);
}

static void several_sizes_need_one(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  co_import_images_options o = defaults();
  make_folder("photos", FILES, 0);
  make_image("photos/hat/zz.png", 60, 50, 9);
  fails(f, &o, CO_ERR_DATA, "several sizes");
  assert_non_null(strstr(co_error_last()->hint, "--image-size 32x32 --fit crop"));
  o.recipe = (co_image_recipe){.height = 10, .width = 10};
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.height, 10);
}

static void bad_files_are_named(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  co_import_images_options o = defaults();
  make_folder("photos", FILES, 0);
  make_image("photos/hat/000.png", 64, 64, 9);
  size_t length;
  unsigned char *bytes = read_bytes("photos/shoe/001.png", &length);
  write_bytes("photos/shoe/001.png", bytes, length - 20); // its header is good
  free(bytes);
  fails(f, &o, CO_ERR_DATA, "several sizes");
  o.recipe = (co_image_recipe){.height = 10, .width = 10};
  fails(f, &o, CO_ERR_DATA, "photos/shoe/001.png");
  o.most_pixels = 400;
  fails(f, &o, CO_ERR_DATA, "photos/hat/000.png");
  o.errors.on_error = CO_ON_ERROR_SKIP;
  o.errors.most = 0.05;
  fails(f, &o, CO_ERR_DATA, "2 of 24 images cannot be read");
  o.errors.most = 0.1;
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.skipped, 2);
  assert_int_equal(r.rows[0] + r.rows[1] + r.rows[2], FILES - 2);
  remove("out.h5");
  write_bytes("photos/hat/000.png", "text", 4);
  o.errors.on_error = CO_ON_ERROR_FAIL;
  fails(f, &o, CO_ERR_DATA, "neither JPEG nor PNG");
  o.errors.on_error = CO_ON_ERROR_QUARANTINE;
  fails(f, &o, CO_ERR_USAGE, "tables");
}

static void folders_that_cannot_be_taken_are_refused(void **state) {
  fixture *f = *state;
  const co_import_images_options o = defaults();
  fails(f, &o, CO_ERR_DATA, "cannot read the folder");
  mkdir("photos", 0777);
  fails(f, &o, CO_ERR_DATA, "holds no image");
  make_folder("photos", 4, 0);
  make_image("photos/stray.png", SIDE, SIDE, 9);
  fails(f, &o, CO_ERR_DATA, "lies in no folder");
  remove("photos/stray.png");
  assert_int_equal(symlink("..", "photos/hat/circle"), 0);
  fails(f, &o, CO_ERR_DATA, "folders deep");
}

// Without folders there is nothing to learn from but the images themselves.
static void a_flat_folder_has_no_classes(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  co_dataset *d;
  co_import_images_options o = defaults();
  o.folder = "photos/hat";
  make_folder("photos", FILES, 0);
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.classes, 0);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_null(co_schema_find(co_dataset_schema(d), "label"));
  co_dataset_close(d);
  remove("out.h5");
  o.split = &(co_split_rule){.kind = CO_SPLIT_STRATIFIED, .share = {.6, .2, .2}};
  fails(f, &o, CO_ERR_USAGE, "needs folders of classes");
}

static void is_as_packed(fixture *f, const char *archive, const char *fingerprint) {
  co_import_images_result r;
  co_import_images_options o = defaults();
  o.folder = archive;
  o.force = true;
  assert_int_equal(import(f, &o, &r), CO_OK);
  if (strcmp(r.fingerprint, fingerprint) != 0) fail_msg("%s is not as the folder", archive);
}

static void archives_are_as_the_folder_that_was_packed(void **state) {
  fixture *f = *state;
  co_import_images_result r;
  co_import_images_options o = defaults();
  make_folder("photos", FILES, 0);
  write_bytes("photos/notes.txt", "x", 1);
  write_bytes("photos/.hidden.png", "x", 1);
  assert_int_equal(link("photos/hat/000.png", "photos/shoe/second.png"), 0);
  make_image("photos/hat/h\303\274tte.png", SIDE, SIDE, 9);
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.duplicates, 1);
  assert_int_equal(system("tar cf a.tar photos && tar czf b.tgz -C photos . && "
                          "tar --format=pax -cf c.tar -C .. \"$(basename \"$PWD\")/photos\" && "
                          "tar cf d.tar -C photos hat shoe notes.txt"),
                   0);
  is_as_packed(f, "a.tar", r.fingerprint);
  is_as_packed(f, "b.tgz", r.fingerprint);
  is_as_packed(f, "c.tar", r.fingerprint);
  is_as_packed(f, "d.tar", r.fingerprint);
  // Of two files with one name the later counts.
  assert_int_equal(
      system("mkdir -p old/photos/hat && cp photos/hat/002.png old/photos/hat/000.png && "
             "tar cf e.tar -C old photos && tar rf e.tar photos"),
      0);
  is_as_packed(f, "e.tar", r.fingerprint);
  remove("out.h5");

  // A table names files as they are called in the folder.
  const char *table = "file,colour\nhat/000.png,red\nshoe/001.png,blue\n";
  write_bytes("names.csv", table, strlen(table));
  o.labels = "names.csv";
  o.folder = "a.tar";
  assert_int_equal(import(f, &o, &r), CO_OK);
  assert_int_equal(r.files, 2);
  remove("out.h5");
  table = "file,colour\nhat/000.png,red\nshoe/nobody.png,blue\n";
  write_bytes("names.csv", table, strlen(table));
  fails(f, &o, CO_ERR_DATA, "a.tar/shoe/nobody.png");
}

static void bad_archives_are_named(void **state) {
  fixture *f = *state;
  co_import_images_options o = defaults();
  size_t length;
  make_folder("photos", 4, 0);
  assert_int_equal(system("tar cf a.tar photos && mkdir none && tar cf none.tar none"), 0);
  unsigned char *bytes = read_bytes("a.tar", &length);
  o.folder = "cut.tar";
  write_bytes("cut.tar", bytes, 3 * 512 + 40);
  fails(f, &o, CO_ERR_DATA, "cut.tar");
  free(bytes);
  o.folder = "none.tar";
  fails(f, &o, CO_ERR_DATA, "holds no image");
  o.folder = "text.tar";
  write_bytes("text.tar", "PK\3\4text", 8);
  fails(f, &o, CO_ERR_DATA, "text.tar");
  const volatile int stop = 1;
  o.folder = "a.tar";
  o.stop = &stop;
  fails(f, &o, CO_INTERRUPTED, "stopped");
}

// Nothing, or (where only the folder could not be synced) all of it.
static void assert_clean(fixture *f) {
  co_dataset *d;
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  assert_int_equal(count_files("out.h5.tmp-"), 0);
  if (!count_files("out.h5")) return;
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(co_dataset_check_all(d), CO_OK);
  co_dataset_close(d);
  remove("out.h5");
}

static void leaves_nothing(fixture *f, const char *folder) {
  co_import_images_result r;
  co_import_images_options o = defaults();
  o.folder = folder;
  co_status status = CO_ERR_MEMORY;
  for (int64_t nth = 1; status != CO_OK; nth++) {
    co_alloc_fail_at(f->ctx, nth, false);
    status = import(f, &o, &r);
    co_alloc_fail_at(f->ctx, 0, false);
    assert_true(status == CO_OK || status == CO_ERR_MEMORY);
    assert_clean(f);
  }
  status = CO_ERR_IO;
  for (int64_t nth = 1; status != CO_OK; nth++) {
    co_io_fail_at(f->ctx, nth, false, ENOSPC);
    status = import(f, &o, &r);
    co_io_fail_at(f->ctx, 0, false, 0);
    assert_true(status == CO_OK || status == CO_ERR_IO);
    assert_clean(f);
  }
}

static void a_lack_of_memory_or_disk_leaves_nothing(void **state) {
  fixture *f = *state;
  make_folder("photos", 4, 0);
  co_context_set_threads(f->ctx, 1);
  leaves_nothing(f, "photos");
  assert_int_equal(system("ln photos/hat/000.png photos/hat/second.png && tar cf a.tar photos"), 0);
  leaves_nothing(f, "a.tar");
}

// ---- named by the cells of a table -------------------------------------------------------------

enum { CELLS = 4 };

static void begin_cells(fixture *f, co_dictionary *words, const char *const **names,
                        co_image_cells *cells, uint64_t *hashes) {
  static const char *const files[CELLS] = {"-", "a.png", "b.png", "c.png"};
  assert_int_equal(co_dictionary_create(words, f->ctx), CO_OK);
  for (int i = CELLS; i-- > 0;) {
    char path[16];
    snprintf(path, sizeof path, "./%s", files[i]);
    make_image(path, SIDE, SIDE, 100 + i);
    assert_int_equal(co_dictionary_add(words, files[i], strlen(files[i]), i + 1, NULL), CO_OK);
  }
  assert_int_equal(co_dictionary_sort(words, names), CO_OK);
  *cells = (co_image_cells){.column = "photo", .table = "t.csv", .names = words, .hashes = hashes};
}

// "-" is a file as well. What changed since it was looked at is not taken.
static void cells_name_files(void **state) {
  fixture *f = *state;
  co_dictionary words;
  co_image_cells cells;
  const char *const *names;
  char digest[65];
  uint64_t hashes[CELLS];
  uint8_t rows[CELLS][SIDE * SIDE];
  begin_cells(f, &words, &names, &cells, hashes);
  assert_int_equal(co_image_cells_look(&cells, f->ctx, names, CELLS, digest), CO_OK);
  assert_int_equal(co_image_cells_decode(&cells, f->ctx, names, CELLS, rows[0]), CO_OK);
  for (int i = 0; i < CELLS; i++)
    assert_int_equal(rows[i][SIDE - 1], 100 + i);
  make_image("b.png", SIDE, SIDE, 200);
  assert_int_equal(co_image_cells_decode(&cells, f->ctx, names, CELLS, rows[0]), CO_ERR_DATA);
  assert_string_equal(co_error_last()->file, "./b.png");
  assert_string_equal(co_error_last()->message, "it changed while it was read");
  co_dictionary_free(&words);
}

// Of several bad files the first is told, whatever the threads; a stop leaves out all that is left.
static void cells_end_at_the_first_bad_file_or_a_stop(void **state) {
  fixture *f = *state;
  co_dictionary words;
  co_image_cells cells;
  const char *const *names;
  const int stop = 1;
  char digest[65];
  uint64_t hashes[CELLS];
  begin_cells(f, &words, &names, &cells, hashes);
  for (int i = 1; i < CELLS; i++)
    write_bytes(names[i], "x", 1);
  for (int threads = 1; threads <= 4; threads++) {
    co_context_set_threads(f->ctx, threads);
    assert_int_equal(co_image_cells_look(&cells, f->ctx, names, CELLS, digest), CO_ERR_DATA);
    assert_string_equal(co_error_last()->file, "./a.png");
  }
  cells.stop = &stop;
  assert_int_equal(co_image_cells_look(&cells, f->ctx, names, CELLS, digest), CO_INTERRUPTED);
  assert_int_equal(co_image_cells_decode(&cells, f->ctx, names, CELLS, NULL), CO_INTERRUPTED);
  co_dictionary_free(&words);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(folders_are_classes),
      DATA_TEST(folders_are_splits),
      DATA_TEST(threads_and_seeds),
      DATA_TEST(stratified_shares_are_exact),
      DATA_TEST(several_sizes_need_one),
      DATA_TEST(bad_files_are_named),
      DATA_TEST(folders_that_cannot_be_taken_are_refused),
      DATA_TEST(a_flat_folder_has_no_classes),
      DATA_TEST(archives_are_as_the_folder_that_was_packed),
      DATA_TEST(bad_archives_are_named),
      DATA_TEST(cells_name_files),
      DATA_TEST(cells_end_at_the_first_bad_file_or_a_stop),
      DATA_TEST(a_lack_of_memory_or_disk_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
