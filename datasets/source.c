// SPDX-License-Identifier: Apache-2.0
#include "datasets/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "host/core/hash.h"

enum { INPUT_BYTES = 1 << 16, MOST_AT_ONCE = 1 << 20 };

struct co_source {
  co_context *ctx;
  const char *path;
  int fd;
  int64_t size, position; // of the file; how much of it was read
  unsigned char *input;
  size_t at, end;
  bool gzip, inflating, member_done, hashed, unhashed;
  z_stream z;
  co_sha256 hash;
  char digest[65];
};

static co_status wrong(const co_source *s, const char *what, const char *detail) {
  return co_fail_at(CO_ERR_DATA, s->path, 0, 0, "%s%s%s", what, detail ? ": " : "",
                    detail ? detail : "");
}

static co_status read_stored(co_source *s, unsigned char *out, size_t bytes, size_t *got) {
  ssize_t some;
  do
    some = read(s->fd, out, bytes);
  while (some < 0 && errno == EINTR);
  *got = 0;
  if (some < 0) return co_fail_errno(CO_ERR_DATA, errno, "cannot read '%s'", s->path);
  *got = (size_t)some;
  s->position += some;
  if (!s->unhashed) co_sha256_update(&s->hash, out, *got);
  return CO_OK;
}

// Refills the input buffer; at the end of the file it stays empty.
static co_status refill(co_source *s) {
  if (s->at < s->end) return CO_OK;
  s->at = s->end = 0;
  return read_stored(s, s->input, INPUT_BYTES, &s->end);
}

static voidpf z_allocate(voidpf ctx, uInt items, uInt size) {
  return co_alloc(ctx, (size_t)items * size);
}

static void z_release(voidpf ctx, voidpf pointer) {
  co_free(ctx, pointer);
}

static co_status open_file(co_source *s) {
  struct stat info;
  s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
  if (s->fd < 0 || fstat(s->fd, &info) != 0)
    return co_fail_errno(CO_ERR_DATA, errno, "cannot open '%s'", s->path);
  s->size = S_ISREG(info.st_mode) ? info.st_size : -1;
  CO_RETURN_IF_FAILED(refill(s));
  if (!s->end) return wrong(s, "the file is empty", NULL);
  s->gzip = s->end >= 2 && s->input[0] == 0x1f && s->input[1] == 0x8b;
  if (!s->gzip) return CO_OK;
  s->z.zalloc = z_allocate;
  s->z.zfree = z_release;
  s->z.opaque = s->ctx;
  if (inflateInit2(&s->z, 15 + 16) != Z_OK) return CO_ERR_MEMORY;
  s->inflating = true;
  return CO_OK;
}

co_status co_source_open(co_source **out, co_context *ctx, const char *path) {
  co_source *s = *out = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->ctx = ctx;
  s->path = path;
  s->fd = -1;
  co_sha256_init(&s->hash);
  s->input = co_alloc(ctx, INPUT_BYTES);
  co_status status = s->input ? open_file(s) : CO_ERR_MEMORY;
  if (status == CO_OK) return CO_OK;
  co_source_close(s);
  *out = NULL;
  return status;
}

void co_source_close(co_source *s) {
  if (!s) return;
  if (s->inflating) inflateEnd(&s->z);
  co_free(s->ctx, s->input);
  if (s->fd >= 0) close(s->fd);
  co_free(s->ctx, s);
}

static co_status read_plain(co_source *s, unsigned char *out, size_t bytes, size_t *got) {
  size_t some = s->end - s->at < bytes ? s->end - s->at : bytes;
  memcpy(out, s->input + s->at, some);
  s->at += some;
  *got = some;
  while (*got < bytes) {
    CO_RETURN_IF_FAILED(read_stored(s, out + *got, bytes - *got, &some));
    if (!some) break;
    *got += some;
  }
  return CO_OK;
}

// Whether nothing but zero bytes, of which archives on tape have some at the end, is left.
static co_status skip_padding(co_source *s, bool *at_end) {
  bool padded = false;
  CO_RETURN_IF_FAILED(refill(s));
  for (; s->at < s->end && !s->input[s->at]; padded = true) {
    s->at++;
    CO_RETURN_IF_FAILED(refill(s));
  }
  *at_end = s->at == s->end;
  if (*at_end || !padded) return CO_OK;
  return wrong(s, "there is something else after the gzip data and its padding", NULL);
}

static co_status inflate_some(co_source *s, unsigned char *out, size_t bytes, size_t *got) {
  size_t room = bytes - *got;
  s->z.next_in = s->input + s->at;
  s->z.avail_in = (uInt)(s->end - s->at);
  s->z.next_out = out + *got;
  s->z.avail_out = room < MOST_AT_ONCE ? (uInt)room : MOST_AT_ONCE;
  uInt offered = s->z.avail_out;
  int result = inflate(&s->z, Z_NO_FLUSH);
  s->at = s->end - s->z.avail_in;
  *got += offered - s->z.avail_out;
  s->member_done = result == Z_STREAM_END;
  if (result == Z_MEM_ERROR) return CO_ERR_MEMORY;
  if (result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END) return CO_OK;
  return wrong(s, "the gzip data is corrupt", s->z.msg);
}

static co_status read_gzip(co_source *s, unsigned char *out, size_t bytes, size_t *got) {
  while (*got < bytes) {
    if (s->member_done) { // gzip files may be concatenated
      bool at_end;
      CO_RETURN_IF_FAILED(skip_padding(s, &at_end));
      if (at_end) break;
      if (inflateReset(&s->z) != Z_OK) return wrong(s, "the gzip data is corrupt", NULL);
      s->member_done = false;
    }
    CO_RETURN_IF_FAILED(refill(s));
    if (s->at == s->end) return wrong(s, "the gzip data ends early; the file is truncated", NULL);
    CO_RETURN_IF_FAILED(inflate_some(s, out, bytes, got));
  }
  return CO_OK;
}

co_status co_source_read(co_source *s, void *out, size_t bytes, size_t *got) {
  *got = 0;
  return s->gzip ? read_gzip(s, out, bytes, got) : read_plain(s, out, bytes, got);
}

void co_source_leave_unhashed(co_source *s) {
  s->unhashed = true;
}

void co_source_digest(co_source *s, char hex[65]) {
  if (!s->hashed) co_sha256_final(&s->hash, s->digest);
  s->hashed = true;
  memcpy(hex, s->digest, sizeof s->digest);
}

int64_t co_source_position(const co_source *s) {
  return s->position;
}

int64_t co_source_size(const co_source *s) {
  return s->size;
}

bool co_source_is_gzip(const co_source *s) {
  return s->gzip;
}

const char *co_zlib_version(void) {
  return zlibVersion();
}

co_status co_source_hash_file(co_context *ctx, const char *path, char hex[65]) {
  co_source *s;
  CO_RETURN_IF_FAILED(co_source_open(&s, ctx, path));
  co_status status = CO_OK;
  while (status == CO_OK && s->at < s->end) {
    s->at = s->end;
    status = refill(s);
  }
  if (status == CO_OK) co_source_digest(s, hex);
  co_source_close(s);
  return status;
}
