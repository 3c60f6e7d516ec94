// SPDX-License-Identifier: Apache-2.0
#include "datasets/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/temporary.h"

enum { BLOCK_BYTES = 1 << 18 };

bool co_spool_is_needed(const char *path) {
  struct stat info;
  if (strcmp(path, "-") == 0) return true;
  return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static co_status copy(co_context *ctx, int from, const char *shown, co_writer *to,
                      const volatile int *stop) {
  char *block = co_alloc(ctx, BLOCK_BYTES);
  co_status status = block ? CO_OK : CO_ERR_MEMORY;
  while (status == CO_OK) {
    ssize_t got = read(from, block, BLOCK_BYTES);
    co_alive(ctx, CO_PATIENCE);
    if (stop && *stop)
      status = co_fail(CO_INTERRUPTED, "stopped; no output was written");
    else if (got < 0 && errno != EINTR)
      status = co_fail_errno(CO_ERR_DATA, errno, "cannot read '%s'", shown);
    else if (got > 0)
      status = co_writer_write(to, block, (size_t)got);
    else if (got == 0)
      break;
  }
  co_free(ctx, block);
  return status;
}

static co_status begin(co_atomic_file *out, co_context *ctx, const char *folder) {
  char *name = co_format(ctx, "%s/cohort.input", folder);
  if (!name) return CO_ERR_MEMORY;
  co_remove_stale_temporaries(ctx, name);
  co_status status = co_atomic_begin(out, ctx, name);
  co_free(ctx, name);
  return status;
}

co_status co_spool_text(co_atomic_file *out, co_context *ctx, const char *text,
                        const char *folder) {
  co_writer *writer = NULL;
  CO_RETURN_IF_FAILED(begin(out, ctx, folder));
  co_status status = co_writer_open(&writer, ctx, out->temporary, false);
  if (status == CO_OK) status = co_writer_write(writer, text, strlen(text));
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  if (status != CO_OK) co_atomic_abort(out);
  return status;
}

co_status co_spool(co_atomic_file *out, co_context *ctx, const char *path, const char *folder,
                   const volatile int *stop) {
  bool standard = strcmp(path, "-") == 0;
  co_writer *writer = NULL;
  co_status status = begin(out, ctx, folder);
  CO_RETURN_IF_FAILED(status);
  int from = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  if (from < 0) status = co_fail_errno(CO_ERR_DATA, errno, "cannot open '%s'", path);
  if (status == CO_OK) status = co_writer_open(&writer, ctx, out->temporary, false);
  if (status == CO_OK) status = copy(ctx, from, standard ? "standard input" : path, writer, stop);
  if (!standard && from >= 0) close(from);
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  if (status != CO_OK) co_atomic_abort(out);
  return status;
}
