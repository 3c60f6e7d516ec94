// SPDX-License-Identifier: Apache-2.0
#include "host/core/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/temporary.h"

static co_status refuse_kind(const char *path, mode_t mode) {
  const char *what = S_ISDIR(mode)    ? "a folder"
                     : S_ISFIFO(mode) ? "a pipe"
                     : S_ISSOCK(mode) ? "a socket"
                                      : "a device";
  co_status status =
      co_fail_at(CO_ERR_IO, path, 0, 0, "the output is %s; only regular files are written", what);
  if (S_ISDIR(mode))
    co_hint("name a file in it: -O %s%sNAME", path, path[strlen(path) - 1] == '/' ? "" : "/");
  else
    co_hint("choose another -O; what can be written to standard output goes there with -O -");
  return status;
}

static co_status check_inputs(const co_output *output, const struct stat *target) {
  struct stat input;
  for (int64_t i = 0; i < output->input_count; i++) {
    const char *path = output->inputs[i];
    if (!path || stat(path, &input) != 0) continue;
    if (input.st_dev != target->st_dev || input.st_ino != target->st_ino) continue;
    co_status status = co_fail_at(CO_ERR_IO, output->path, 0, 0,
                                  "the output is also read by this command, as '%s'", path);
    co_hint("choose another -O");
    return status;
  }
  return CO_OK;
}

// A name that is still free.
static co_status check_folder(co_context *ctx, const char *path) {
  struct stat info;
  if (lstat(path, &info) == 0) {
    co_status status = co_fail_at(CO_ERR_IO, path, 0, 0, "a symbolic link that leads to nothing");
    co_hint("remove the link, or choose another -O");
    return status;
  }
  const char *slash = strrchr(path, '/');
  char *folder =
      slash ? co_format(ctx, "%.*s", (int)(slash - path) + 1, path) : co_strdup(ctx, ".");
  if (!folder) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  if (stat(folder, &info) != 0)
    status = co_fail_errno(CO_ERR_IO, errno, "cannot write '%s'", path);
  else if (!S_ISDIR(info.st_mode))
    status = co_fail_errno(CO_ERR_IO, ENOTDIR, "cannot write '%s'", path);
  else if (!*path || (slash && !slash[1]))
    status = co_fail(CO_ERR_IO, "'%s' is not the name of a file", path);
  else if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0)
    status = co_fail_errno(CO_ERR_IO, errno, "cannot write '%s'", path);
  co_free(ctx, folder);
  return status;
}

co_status co_output_check(co_context *ctx, const co_output *output) {
  struct stat info;
  if (stat(output->path, &info) != 0) return check_folder(ctx, output->path);
  if (!S_ISREG(info.st_mode)) return refuse_kind(output->path, info.st_mode);
  CO_RETURN_IF_FAILED(check_inputs(output, &info));
  if (output->replace) return CO_OK;
  co_status status = co_fail_at(CO_ERR_IO, output->path, 0, 0, "the output exists already");
  co_hint("replace it with --force, or choose another -O");
  return status;
}

co_status co_output_begin(co_atomic_file *file, co_context *ctx, const co_output *output) {
  CO_RETURN_IF_FAILED(co_output_check(ctx, output));
  co_remove_stale_temporaries(ctx, output->path);
  CO_RETURN_IF_FAILED(co_atomic_begin(file, ctx, output->path));
  file->keep_existing = !output->replace;
  return CO_OK;
}

bool co_output_ends_in(const char *path, const char *ending) {
  const size_t length = strlen(path), end = strlen(ending);
  return length > end && strcasecmp(path + length - end, ending) == 0;
}
