// SPDX-License-Identifier: Apache-2.0
// Input: length of the image file (2 bytes), image file, label file.
#include "tests/fuzz/driver.h"

#include <zlib.h>

#include "datasets/dataset.h"
#include "datasets/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char folder[64];
  co_context *ctx;
  co_diagnostics problems;
  co_import_result result;
  co_dataset *d;
  if (size < 2) return 0;
  size_t images = (size_t)data[0] << 8 | data[1];
  if (images > size - 2) images = size - 2;
  fuzz_enter_folder(folder, sizeof folder);
  fuzz_write_file("x", data + 2, images);
  fuzz_write_file("y", data + 2 + images, size - 2 - images);

  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  co_diagnostics_init(&problems, ctx);
  const co_import_idx_options options = {
      .output = "out.h5", .training = {"x", "y"}, .validation_fraction = 0.3};
  co_status status = co_import_idx(&result, ctx, &options, &problems);
  if (status == CO_OK) {
    FUZZ_CHECK(co_dataset_open(&d, ctx, "out.h5") == CO_OK);
    FUZZ_CHECK(co_dataset_rows(d) == result.rows[0] + result.rows[1]);
    co_dataset_close(d);
  } else {
    FUZZ_CHECK(status == CO_ERR_DATA && problems.count > 0 && access("out.h5", F_OK) != 0);
  }
  co_diagnostics_free(&problems);
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  remove("x");
  remove("y");
  remove("out.h5");
  FUZZ_CHECK(chdir("/") == 0 && rmdir(folder) == 0); // so no other file was left
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
// A good pair, plain or gzip.
static size_t make_sample(uint8_t *out, size_t most, int gzip, int channels) {
  static const uint8_t header[] = {0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 3};
  static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 6, 0, 1, 2, 0, 1, 2};
  uint8_t images[16 + 4 + 6 * 6 * 3];
  size_t size = sizeof header, pixels = 36;
  memcpy(images, header, size);
  if (channels) {
    images[3] = 4;
    memcpy(images + size, (uint8_t[]){0, 0, 0, 3}, 4);
    size += 4;
    pixels *= 3;
  }
  for (size_t i = 0; i < pixels; i++)
    images[size++] = (uint8_t)(i * 37);
  size_t at = 2;
  if (gzip) {
    z_stream z = {.next_in = images, .avail_in = (uInt)size, .next_out = out + 2};
    z.avail_out = (uInt)(most - 2 - sizeof labels);
    FUZZ_CHECK(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    at += z.total_out;
    deflateEnd(&z);
  } else {
    memcpy(out + at, images, size);
    at += size;
  }
  out[0] = (uint8_t)((at - 2) >> 8);
  out[1] = (uint8_t)(at - 2);
  memcpy(out + at, labels, sizeof labels);
  return at + sizeof labels;
}

int main(int argc, char **argv) {
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 2500;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  uint8_t data[1024];
  for (long i = 0; i < inputs; i++) {
    size_t size = make_sample(data, sizeof data, (int)(i & 1), (int)(i >> 1 & 1));
    if (i >= 4) size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_idx: %ld inputs\n", inputs);
  return 0;
}
#endif
