// SPDX-License-Identifier: Apache-2.0
// Input: an archive of images.
#include "tests/fuzz/driver.h"

#include <zlib.h>

#include "datasets/image_archive.h"

enum { ROOM = 1 << 14, BLOCK = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char folder[64];
  co_context *ctx;
  co_image_folder files;
  fuzz_enter_folder(folder, sizeof folder);
  fuzz_write_file("a", data, size);
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  const co_image_folder_options options = {.path = "a", .beside = "out.h5"};
  co_status status = co_image_folder_begin(&files, ctx, &options);
  FUZZ_CHECK(status == CO_OK);
  status = co_image_archive_read(&files, "a", NULL);
  FUZZ_CHECK(status == CO_OK || status == CO_ERR_DATA);
  files.archive = true;
  for (int64_t i = 0; status == CO_OK && i < files.count; i++) {
    uint8_t *bytes;
    size_t length;
    FUZZ_CHECK(!i || strcmp(files.files[i - 1].path, files.files[i].path) < 0);
    co_status got = co_image_folder_bytes(&files, i, &bytes, &length);
    FUZZ_CHECK(got == CO_OK || got == CO_ERR_DATA);
    co_free(ctx, bytes);
  }
  co_image_folder_free(&files);
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  remove("a");
  FUZZ_CHECK(chdir("/") == 0 && rmdir(folder) == 0); // so no other file was left
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
// A header of tar (POSIX.1-1988, ustar) and what it is of.
static size_t add_file(uint8_t *out, const char *name, char type, const char *link, size_t bytes) {
  memset(out, 0, BLOCK);
  snprintf((char *)out, 100, "%s", name);
  snprintf((char *)out + 100, 8, "%07o", 0644);
  snprintf((char *)out + 124, 12, "%011o", (unsigned)bytes);
  snprintf((char *)out + 136, 12, "%011o", 0);
  memset(out + 148, ' ', 8);
  out[156] = (uint8_t)type;
  snprintf((char *)out + 157, 100, "%s", link);
  memcpy(out + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (int i = 0; i < BLOCK; i++)
    sum += out[i];
  snprintf((char *)out + 148, 8, "%06o", sum);
  for (size_t i = 0; i < bytes; i++)
    out[BLOCK + i] = (uint8_t)(i * 7);
  return BLOCK + (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static size_t make_tar(uint8_t *out) {
  size_t size = 0;
  memset(out, 0, ROOM);
  size += add_file(out + size, "p/hat/1.png", '0', "", 700);
  size += add_file(out + size, "p/hat/2.jpg", '1', "p/hat/1.png", 0);
  size += add_file(out + size, "p/shoe/", '5', "", 0);
  size += add_file(out + size, "p/shoe/3.webp", '0', "", 10);
  size += add_file(out + size, "p/hat/1.png", '0', "", 1);
  return size + 2 * BLOCK;
}

static size_t make_gzip(uint8_t *out, const uint8_t *in, size_t length) {
  z_stream z = {
      .next_in = (Bytef *)in, .avail_in = (uInt)length, .next_out = out, .avail_out = ROOM};
  FUZZ_CHECK(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
  deflateEnd(&z);
  return ROOM - z.avail_out;
}

// One stored file, without a directory at the end: it is read as a stream.
static size_t make_zip(uint8_t *out) {
  static const uint8_t zip[] =
      "PK\3\4\n\0\0\0\0\0\0\0!\0\xb9\x4f\xc8\x8c\4\0\0\0\4\0\0\0\7\0\0\0a/b.pngdata";
  memcpy(out, zip, sizeof zip - 1);
  return sizeof zip - 1;
}

int main(int argc, char **argv) {
  enum { KINDS = 3 };
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 3000;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  static uint8_t sample[KINDS][ROOM], data[ROOM];
  size_t length[KINDS];
  length[0] = make_tar(sample[0]);
  length[1] = make_gzip(sample[1], sample[0], length[0]);
  length[2] = make_zip(sample[2]);
  for (long i = 0; i < inputs; i++) {
    size_t size = length[i % KINDS];
    memcpy(data, sample[i % KINDS], size);
    if (i >= KINDS) size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_archive: %ld inputs\n", inputs);
  return 0;
}
#endif
