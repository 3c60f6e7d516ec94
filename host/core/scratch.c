// SPDX-License-Identifier: Apache-2.0
#include "host/core/scratch.h"

#include <errno.h>
#include <unistd.h>

#include "host/core/temporary.h"

co_scratch co_scratch_make(co_context *ctx, const char *beside) {
  return (co_scratch){.ctx = ctx, .beside = beside, .file = -1};
}

void co_scratch_close(co_scratch *s) {
  if (s->file >= 0) close(s->file);
  s->file = -1;
}

static co_status open_file(co_scratch *s) {
  char *name;
  CO_RETURN_IF_FAILED(co_temporary_create(&name, &s->file, s->ctx, s->beside));
  int failed = unlink(name);
  co_free(s->ctx, name);
  return failed ? co_fail_errno(CO_ERR_IO, errno, "cannot remove a temporary of '%s'", s->beside)
                : CO_OK;
}

co_status co_scratch_write(co_scratch *s, const void *bytes, size_t length, int64_t place) {
  if (s->file < 0) CO_RETURN_IF_FAILED(open_file(s));
  for (const char *from = bytes; length;) {
    int error = co_io_fault(s->ctx);
    ssize_t done = error ? -1 : pwrite(s->file, from, length, (off_t)place);
    if (done < 0 && !error) error = errno;
    if (done < 0 && error != EINTR)
      return co_fail_errno(CO_ERR_IO, error, "cannot write a temporary of '%s'", s->beside);
    if (done < 0) continue;
    from += done;
    place += done;
    length -= (size_t)done;
  }
  return CO_OK;
}

co_status co_scratch_read(const co_scratch *s, void *bytes, size_t length, int64_t place) {
  for (char *to = bytes; length;) {
    ssize_t done = pread(s->file, to, length, (off_t)place);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0)
      return co_fail_errno(CO_ERR_IO, done ? errno : EIO, "cannot read a temporary of '%s'",
                           s->beside);
    to += done;
    place += done;
    length -= (size_t)done;
  }
  return CO_OK;
}
