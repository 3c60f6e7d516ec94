// SPDX-License-Identifier: Apache-2.0
// A .keras file: a ZIP archive (PKWARE's APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16) of config.json, metadata.json and
// model.weights.h5. Keras stores its members as they are, so HDF5 reads the weights where they lie in the
// file; whatever is compressed, encrypted or of 4 GiB and more is refused. A member counts only where its
// checksum is right.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/persist/keras/keras_private.h"

enum {
  END_BYTES = 22,
  LONGEST_COMMENT = 65535,
  ENTRY_BYTES = 46,
  LOCAL_BYTES = 30,
  MOST_DIRECTORY = 16 << 20,
  MOST_TEXT = 64 << 20
};

typedef struct archive {
  keras_file *file;
  int fd;
  int64_t bytes;
  const unsigned char *directory;
  int64_t directory_at, directory_bytes;
} archive;

typedef struct member {
  int64_t offset, bytes;
  uint32_t crc;
} member;

static uint32_t number(const unsigned char *at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++)
    value |= (uint32_t)at[i] << 8 * i;
  return value;
}

// CRC-32 (ISO 3309), reflected polynomial 0xEDB88320, four bits at a time.
static uint32_t crc32_of(uint32_t crc, const unsigned char *bytes, size_t count) {
  uint32_t table[16];
  for (uint32_t i = 0; i < 16; i++) {
    table[i] = i;
    for (int k = 0; k < 4; k++)
      table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320U : 0);
  }
  crc = ~crc;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

static co_status refuse(const archive *a, const char *what) {
  return co_fail_at(CO_ERR_MODEL, a->file->path, 0, 0, "%s", what);
}

static co_status damaged(const archive *a) {
  return refuse(a, "the archive is truncated or damaged");
}

static co_status read_at(const archive *a, int64_t offset, void *bytes, int64_t count) {
  char *to = bytes;
  if (offset < 0 || count < 0 || offset > a->bytes || count > a->bytes - offset) return damaged(a);
  while (count > 0) {
    const ssize_t got = pread(a->fd, to, (size_t)count, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return co_fail_errno(CO_ERR_IO, errno, "cannot read '%s'", a->file->path);
    if (got == 0) return damaged(a);
    to += got;
    offset += got;
    count -= got;
  }
  return CO_OK;
}

// The end of the archive says where its directory lies.
static co_status read_directory(archive *a) {
  const int64_t most = END_BYTES + LONGEST_COMMENT, tail = a->bytes < most ? a->bytes : most;
  unsigned char *end = co_arena_alloc(a->file->arena, (size_t)tail + 1, 1), *directory;
  if (!end) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(read_at(a, a->bytes - tail, end, tail));
  int64_t at = tail - END_BYTES;
  while (at >= 0 && (number(end + at, 4) != 0x06054b50 ||
                     at + END_BYTES + (int64_t)number(end + at + 20, 2) != tail))
    at--;
  if (at < 0) return damaged(a);
  a->directory_bytes = number(end + at + 12, 4);
  a->directory_at = number(end + at + 16, 4);
  if (number(end + at + 10, 2) == UINT16_MAX || a->directory_at == UINT32_MAX)
    return refuse(a, "it is an archive of 4 GiB or more; there are none");
  if (a->directory_bytes > MOST_DIRECTORY) return damaged(a);
  directory = co_arena_alloc(a->file->arena, (size_t)a->directory_bytes + 1, 1);
  if (!directory) return CO_ERR_MEMORY;
  a->directory = directory;
  return read_at(a, a->directory_at, directory, a->directory_bytes);
}

static co_status check_sum(const archive *a, const member *m, const char *name) {
  enum { PIECE = 1 << 16 };
  unsigned char *piece = co_arena_alloc(a->file->arena, PIECE, 1);
  uint32_t crc = 0;
  if (!piece) return CO_ERR_MEMORY;
  for (int64_t at = 0; at < m->bytes; at += PIECE) {
    const int64_t count = m->bytes - at < PIECE ? m->bytes - at : PIECE;
    CO_RETURN_IF_FAILED(read_at(a, m->offset + at, piece, count));
    crc = crc32_of(crc, piece, (size_t)count);
  }
  return crc == m->crc
             ? CO_OK
             : co_fail_at(CO_ERR_MODEL, a->file->path, 0, 0,
                          "the archive is damaged: the checksum of %s does not match", name);
}

static co_status locate(const archive *a, const unsigned char *entry, const char *name,
                        member *out) {
  unsigned char local[LOCAL_BYTES];
  const int64_t at = number(entry + 42, 4);
  const bool encrypted = number(entry + 8, 2) & 1;
  *out = (member){.bytes = number(entry + 24, 4), .crc = number(entry + 16, 4)};
  if (encrypted || number(entry + 10, 2)) {
    co_status status =
        co_fail_at(CO_ERR_MODEL, a->file->path, 0, 0, "%s is %s in the archive, not stored", name,
                   encrypted ? "encrypted" : "compressed");
    co_hint("unpack it, and pack its three files again without compression");
    return status;
  }
  if (out->bytes == UINT32_MAX || at == UINT32_MAX)
    return refuse(a, "it is an archive of 4 GiB or more; there are none");
  CO_RETURN_IF_FAILED(read_at(a, at, local, sizeof local));
  out->offset = at + LOCAL_BYTES + number(local + 26, 2) + number(local + 28, 2);
  if (number(local, 4) != 0x04034b50 || number(entry + 20, 4) != (uint64_t)out->bytes ||
      out->offset + out->bytes > a->directory_at)
    return damaged(a);
  return check_sum(a, out, name);
}

static co_status find(const archive *a, const char *name, member *out) {
  const unsigned char *at = a->directory, *end = at + a->directory_bytes;
  while (end - at >= ENTRY_BYTES && number(at, 4) == 0x02014b50) {
    const uint32_t length = number(at + 28, 2);
    const int64_t all = ENTRY_BYTES + (int64_t)length + number(at + 30, 2) + number(at + 32, 2);
    if (all > end - at) return damaged(a);
    if (length == strlen(name) && memcmp(at + ENTRY_BYTES, name, length) == 0)
      return locate(a, at, name, out);
    at += all;
  }
  if (at != end) return damaged(a);
  return co_fail_at(CO_ERR_MODEL, a->file->path, 0, 0,
                    "it is an archive without %s: not what Keras saves", name);
}

static co_status read_text(const archive *a, const char *name, char **out) {
  member m;
  CO_RETURN_IF_FAILED(find(a, name, &m));
  if (m.bytes > MOST_TEXT)
    return co_fail_at(CO_ERR_MODEL, a->file->path, 0, 0, "%s is far too large", name);
  char *text = co_arena_alloc(a->file->arena, (size_t)m.bytes + 1, 1);
  if (!text) return CO_ERR_MEMORY;
  text[m.bytes] = '\0';
  *out = text;
  return read_at(a, m.offset, text, m.bytes);
}

static co_status read_all(archive *a, char **metadata, char **config) {
  member weights;
  CO_RETURN_IF_FAILED(read_directory(a));
  CO_RETURN_IF_FAILED(read_text(a, "metadata.json", metadata));
  CO_RETURN_IF_FAILED(read_text(a, "config.json", config));
  CO_RETURN_IF_FAILED(find(a, "model.weights.h5", &weights));
  if (!weights.bytes) return damaged(a);
  return co_h5_open_part(&a->file->h5, co_arena_context(a->file->arena), a->file->path,
                         (uint64_t)weights.offset, (uint64_t)weights.bytes, CO_ERR_MODEL);
}

bool co_keras_is_archive(const char *path) {
  char start[4] = "";
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const bool is = fd >= 0 && pread(fd, start, sizeof start, 0) == sizeof start &&
                  memcmp(start, "PK\3\4", sizeof start) == 0;
  if (fd >= 0) close(fd);
  return is;
}

co_status keras_archive_open(keras_file *file, char **metadata, char **config) {
  archive a = {.file = file, .fd = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  if (a.fd < 0) return co_fail_errno(CO_ERR_IO, errno, "cannot open '%s'", file->path);
  a.bytes = (int64_t)lseek(a.fd, 0, SEEK_END);
  co_status status = read_all(&a, metadata, config);
  close(a.fd);
  return status;
}
