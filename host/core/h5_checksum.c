// SPDX-License-Identifier: Apache-2.0
// The checksum over a whole file, in the user block in front of it (h5.h has the format).
#include "host/core/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/hash.h"

static const char MAGIC[16] = "cohort-file-1";
enum {
  KIND_AT = 16,
  KIND_BYTES = 8,
  CRC_AT = 24,
  BLOCK_BYTES_AT = 28,
  FILE_BYTES_AT = 32,
  COUNT_AT = 40,
  RANGES_AT = 48,
  RANGE_BYTES = 16,
  LEAST_BLOCK = 512, // what HDF5 allows: 512 and its doubles
  MOST_BLOCK = 1 << 20,
  BUFFER_BYTES = 1 << 20
};

// ---- the block ---------------------------------------------------------------------------------

size_t co_h5_block_bytes(int ranges) {
  size_t bytes = LEAST_BLOCK;
  while (bytes < RANGES_AT + (size_t)ranges * RANGE_BYTES)
    bytes *= 2;
  return bytes;
}

static void put_number(unsigned char *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    out[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_number(const unsigned char *bytes, int count) {
  uint64_t value = 0;
  for (int i = count; i-- > 0;)
    value = value << 8 | bytes[i];
  return value;
}

static h5_range get_range(const unsigned char *block, uint64_t i) {
  const unsigned char *at = block + RANGES_AT + i * RANGE_BYTES;
  return (h5_range){get_number(at, 8), get_number(at + 8, 8)};
}

// The errno of a failed read; -1 where the file ends too early.
static int read_at(int fd, unsigned char *bytes, size_t size, uint64_t offset) {
  while (size > 0) {
    ssize_t got = pread(fd, bytes, size, (off_t)offset);
    if (got == -1 && errno == EINTR) continue;
    if (got == -1) return errno;
    if (got == 0) return -1;
    bytes += got;
    offset += (uint64_t)got;
    size -= (size_t)got;
  }
  return 0;
}

// ---- the checksum ------------------------------------------------------------------------------

// Continues `crc` over [begin, end) of the file.
static int sum_range(int fd, unsigned char *buffer, uint64_t begin, uint64_t end, uint32_t *crc) {
  while (begin < end) {
    size_t size = end - begin < BUFFER_BYTES ? (size_t)(end - begin) : BUFFER_BYTES;
    int error = read_at(fd, buffer, size, begin);
    if (error) return error;
    *crc = co_crc32c(*crc, buffer, size);
    begin += size;
  }
  return 0;
}

// Over the block without the checksum itself, and the file behind it without the ranges, which are
// in order.
static int sum_file(int fd, const unsigned char *block, unsigned char *buffer, uint32_t *crc) {
  uint64_t at = get_number(block + BLOCK_BYTES_AT, 4), count = get_number(block + COUNT_AT, 8);
  *crc = co_crc32c(0, block, CRC_AT);
  *crc = co_crc32c(*crc, block + BLOCK_BYTES_AT, at - BLOCK_BYTES_AT);
  for (uint64_t i = 0; i < count; i++) {
    h5_range range = get_range(block, i);
    int error = sum_range(fd, buffer, at, range.offset, crc);
    if (error) return error;
    at = range.offset + range.bytes;
  }
  return sum_range(fd, buffer, at, get_number(block + FILE_BYTES_AT, 8), crc);
}

// ---- checking ----------------------------------------------------------------------------------

static co_status damaged(const co_h5 *file) {
  co_status status =
      co_fail(file->failure, "'%s' is damaged: its checksum does not match", file->path);
  if (file->failure == CO_ERR_DATA)
    co_hint("import the data again, with --force; of a file that was changed on purpose see "
            "datasets/README.md, \"Changing a file\"");
  return status;
}

static co_status sum_failed(const co_h5 *file, int error) {
  return error > 0 ? co_fail_errno(CO_ERR_IO, error, "cannot read '%s'", file->path)
                   : damaged(file);
}

static bool ranges_make_sense(const unsigned char *block, size_t block_bytes, uint64_t file_bytes) {
  uint64_t at = block_bytes, count = get_number(block + COUNT_AT, 8);
  if (count > (block_bytes - RANGES_AT) / RANGE_BYTES) return false;
  for (uint64_t i = 0; i < count; i++) {
    h5_range range = get_range(block, i);
    if (range.offset < at || range.offset > file_bytes || range.bytes > file_bytes - range.offset)
      return false;
    at = range.offset + range.bytes;
  }
  return true;
}

// Of a file that has a block, of `bytes` plausible bytes.
static co_status check_block(const co_h5 *file, int fd, unsigned char *block, size_t bytes,
                             uint64_t file_bytes, unsigned char *buffer) {
  uint32_t crc;
  int error = read_at(fd, block, bytes, 0);
  if (error) return sum_failed(file, error);
  uint64_t written = get_number(block + FILE_BYTES_AT, 8);
  if (file_bytes < written)
    return co_fail(file->failure, "'%s' is truncated or damaged: it has %llu bytes of %llu",
                   file->path, (unsigned long long)file_bytes, (unsigned long long)written);
  if (file_bytes > written || !ranges_make_sense(block, bytes, file_bytes)) return damaged(file);
  error = sum_file(fd, block, buffer, &crc);
  if (error) return sum_failed(file, error);
  return crc == get_number(block + CRC_AT, 4) ? CO_OK : damaged(file);
}

co_status co_h5_check_file(co_h5 *file, int fd, uint64_t file_bytes, bool *has_checksum) {
  unsigned char start[RANGES_AT];
  *has_checksum = false;
  if (file_bytes < LEAST_BLOCK) return CO_OK;
  int error = read_at(fd, start, sizeof start, 0);
  if (error) return sum_failed(file, error);
  if (memcmp(start, MAGIC, sizeof MAGIC) != 0) return CO_OK;
  *has_checksum = true;
  size_t bytes = get_number(start + BLOCK_BYTES_AT, 4);
  if (bytes < LEAST_BLOCK || bytes > MOST_BLOCK || bytes > file_bytes || (bytes & (bytes - 1)))
    return damaged(file);
  size_t buffer_bytes = file_bytes < BUFFER_BYTES ? (size_t)file_bytes : BUFFER_BYTES;
  unsigned char *block = co_alloc(file->ctx, bytes + buffer_bytes);
  if (!block) return CO_ERR_MEMORY;
  co_status status = check_block(file, fd, block, bytes, file_bytes, block + bytes);
  co_free(file->ctx, block);
  return status;
}

bool co_h5_is_kind(const char *path, const char *kind) {
  unsigned char start[CRC_AT];
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  bool is = fd >= 0 && read_at(fd, start, sizeof start, 0) == 0 &&
            memcmp(start, MAGIC, sizeof MAGIC) == 0 &&
            strncmp((const char *)start + KIND_AT, kind, KIND_BYTES) == 0;
  if (fd >= 0) close(fd);
  return is;
}

// ---- writing -----------------------------------------------------------------------------------

co_status co_h5_leave_out(co_h5 *file, const char *path) {
  h5_dataset d;
  int64_t offset;
  if (!file->block_bytes)
    return co_fail(CO_ERR_INTERNAL, "'%s' has no checksum to leave '%s' out of", file->path, path);
  CO_RETURN_IF_FAILED(co_h5_get_offset(file, path, &offset));
  CO_RETURN_IF_FAILED(co_h5_dataset_open(file, path, &d));
  h5_range range = {(uint64_t)offset, (uint64_t)d.count * d.element.size};
  co_h5_dataset_close(&d);
  if (offset < 0 || range.bytes == 0) return CO_OK; // not in one piece
  int64_t room = (int64_t)((file->block_bytes - RANGES_AT) / RANGE_BYTES), at = file->range_count;
  if (at == room) { // the smallest is cheapest to read
    at = 0;
    for (int64_t i = 1; i < room; i++)
      if (file->ranges[i].bytes < file->ranges[at].bytes) at = i;
    if (file->ranges[at].bytes >= range.bytes) return CO_OK;
  } else {
    CO_RETURN_IF_FAILED(co_grow(file->ctx, (void **)&file->ranges, &file->range_capacity,
                                file->range_count, sizeof *file->ranges));
    file->range_count++;
  }
  file->ranges[at] = range;
  return CO_OK;
}

static int ascending(const void *a, const void *b) {
  const h5_range *x = a, *y = b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void fill_block(const co_h5 *file, unsigned char *block, uint64_t file_bytes) {
  memset(block, 0, file->block_bytes);
  memcpy(block, MAGIC, sizeof MAGIC);
  memcpy(block + KIND_AT, file->kind, strnlen(file->kind, KIND_BYTES));
  put_number(block + BLOCK_BYTES_AT, file->block_bytes, 4);
  put_number(block + FILE_BYTES_AT, file_bytes, 8);
  put_number(block + COUNT_AT, (uint64_t)file->range_count, 8);
  for (int64_t i = 0; i < file->range_count; i++) {
    unsigned char *at = block + RANGES_AT + i * RANGE_BYTES;
    put_number(at, file->ranges[i].offset, 8);
    put_number(at + 8, file->ranges[i].bytes, 8);
  }
}

static int write_block(const co_h5 *file, int fd, unsigned char *block, unsigned char *buffer) {
  uint32_t crc;
  off_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) return errno;
  fill_block(file, block, (uint64_t)end);
  int error = sum_file(fd, block, buffer, &crc);
  if (error) return error > 0 ? error : EIO;
  put_number(block + CRC_AT, crc, 4);
  error = co_io_fault(file->ctx);
  return error ? error : co_h5_write_at(fd, (const char *)block, file->block_bytes, 0);
}

co_status co_h5_write_checksum(co_h5 *file) {
  unsigned char *block = co_alloc(file->ctx, file->block_bytes + BUFFER_BYTES);
  if (!block) return CO_ERR_MEMORY;
  if (file->range_count) // qsort wants no null pointer
    qsort(file->ranges, (size_t)file->range_count, sizeof *file->ranges, ascending);
  int fd = open(file->path, O_RDWR | O_CLOEXEC), error = fd < 0 ? errno : 0;
  if (!error) error = write_block(file, fd, block, block + file->block_bytes);
  if (fd >= 0 && close(fd) != 0 && errno != EINTR && !error) error = errno;
  co_free(file->ctx, block);
  if (!error) return CO_OK;
  file->error = error;
  return co_h5_disk_failed(file);
}
