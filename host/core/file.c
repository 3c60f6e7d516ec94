// SPDX-License-Identifier: Apache-2.0
// Renaming without replacing is only reachable with the GNU extensions.
#define _GNU_SOURCE
#include "host/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/temporary.h"

// ---- small pieces ------------------------------------------------------------------------------

// The injected errno, or 0 after doing the call; `call` returns -1 and sets errno on failure.
#define DO_FAULTY(error, ctx, call)                                                                \
  do {                                                                                             \
    (error) = co_io_fault(ctx);                                                                    \
    if (!(error) && (call) == -1) (error) = errno;                                                 \
  } while (0)

static int sync_patiently(co_context *ctx, int fd) {
  co_alive(ctx, CO_PATIENCE_DISK);
  int result = fsync(fd), error = errno;
  co_alive(ctx, CO_PATIENCE);
  errno = error;
  return result;
}

// The folder a path lies in, to be freed; NULL without memory.
static char *folder_of(co_context *ctx, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return co_strdup(ctx, ".");
  if (slash == path) return co_strdup(ctx, "/");
  return co_format(ctx, "%.*s", (int)(slash - path), path);
}

static int open_retry(const char *path, int flags, mode_t mode) {
  int fd;
  do {
    fd = open(path, flags | O_CLOEXEC, mode);
  } while (fd == -1 && errno == EINTR);
  return fd;
}

static co_status sync_folder(co_context *ctx, const char *folder) {
  int error, fd = open_retry(folder, O_RDONLY | O_DIRECTORY, 0);
  if (fd == -1) {
    error = errno;
  } else {
    DO_FAULTY(error, ctx, sync_patiently(ctx, fd));
    if (error == EINVAL) error = 0; // this file system has no such thing
    close(fd);
  }
  return error ? co_fail_errno(CO_ERR_IO, error, "cannot sync the folder '%s'", folder) : CO_OK;
}

static co_status sync_file(co_context *ctx, const char *path) {
  int error, fd = open_retry(path, O_RDONLY, 0);
  if (fd == -1) return co_fail_errno(CO_ERR_IO, errno, "cannot open '%s' to sync it", path);
  DO_FAULTY(error, ctx, sync_patiently(ctx, fd));
  close(fd);
  return error ? co_fail_errno(CO_ERR_IO, error, "cannot sync '%s'", path) : CO_OK;
}

// `flags` as renameat2's. Nothing is allocated once the rename is done: who lacks memory has not
// renamed.
static co_status rename_durably(co_context *ctx, const char *from, const char *to,
                                unsigned int flags) {
  int error;
  char *folder = folder_of(ctx, to);
  if (!folder) return CO_ERR_MEMORY;
  DO_FAULTY(error, ctx, renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
  if (flags && (error == EINVAL || error == ENOSYS)) // not on this file system
    DO_FAULTY(error, ctx, rename(from, to));
  co_status status = error ? co_fail_errno(CO_ERR_IO, error, "cannot rename '%s' to '%s'", from, to)
                           : sync_folder(ctx, folder);
  co_free(ctx, folder);
  return status;
}

co_status co_rename(co_context *ctx, const char *from, const char *to) {
  return rename_durably(ctx, from, to, 0);
}

// ---- atomic publication ------------------------------------------------------------------------

// Where `path` leads, to be freed.
static co_status resolve(char **out, co_context *ctx, const char *path) {
  struct stat info;
  *out = NULL;
  if (lstat(path, &info) != 0 || !S_ISLNK(info.st_mode)) {
    *out = co_strdup(ctx, path);
    return *out ? CO_OK : CO_ERR_MEMORY;
  }
  char *target = realpath(path, NULL);
  if (!target) return co_fail_errno(CO_ERR_IO, errno, "cannot follow the link '%s'", path);
  *out = co_strdup(ctx, target);
  free(target);
  return *out ? CO_OK : CO_ERR_MEMORY;
}

co_status co_atomic_begin(co_atomic_file *file, co_context *ctx, const char *path) {
  *file = (co_atomic_file){.ctx = ctx, .lock = -1};
  co_status status = resolve(&file->path, ctx, path);
  if (status == CO_OK) status = co_temporary_create(&file->temporary, &file->lock, ctx, file->path);
  if (status != CO_OK) co_atomic_abort(file);
  return status;
}

// Whether the file that is open is still the one of that name: whoever had it may have renamed it.
static bool is_named(int fd, const char *path) {
  struct stat opened, named;
  return fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) && lstat(path, &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static co_status lock_part(co_atomic_file *file) {
  enum { TRIES = 100 };
  for (int i = 0; i < TRIES; i++) {
    int error, result;
    DO_FAULTY(error, file->ctx,
              file->lock = open_retry(file->temporary, O_RDWR | O_CREAT | O_NOFOLLOW, 0666));
    if (error) return co_fail_errno(CO_ERR_IO, error, "cannot write '%s'", file->temporary);
    do
      result = flock(file->lock, LOCK_EX | LOCK_NB);
    while (result == -1 && errno == EINTR);
    if (result == -1 && errno == EWOULDBLOCK) {
      co_status status =
          co_fail_at(CO_ERR_IO, file->path, 0, 0, "another job is writing this output");
      co_hint("it has '%s'; wait until it is done, or choose another -O", file->temporary);
      return status;
    }
    // A file system without locks has none to wait for.
    if (is_named(file->lock, file->temporary)) return CO_OK;
    close(file->lock);
    file->lock = -1;
  }
  return co_fail(CO_ERR_IO, "cannot write '%s': not a regular file, or it vanishes",
                 file->temporary);
}

co_status co_atomic_begin_part(co_atomic_file *file, co_context *ctx, const char *path) {
  *file = (co_atomic_file){.ctx = ctx, .lock = -1};
  co_status status = resolve(&file->path, ctx, path);
  if (status == CO_OK && !(file->temporary = co_format(ctx, "%s.part", file->path)))
    status = CO_ERR_MEMORY;
  if (status == CO_OK) status = lock_part(file);
  if (status == CO_OK) return CO_OK;
  file->keep = true; // it is another's
  co_atomic_abort(file);
  return status;
}

// Makes the temporary the file, unless something stands there that must not go.
static co_status publish(const co_atomic_file *file) {
  struct stat info;
  bool exists = lstat(file->path, &info) == 0;
  if (exists && (file->keep_existing || !S_ISREG(info.st_mode)))
    return co_fail_at(CO_ERR_IO, file->path, 0, 0, "%s",
                      file->keep_existing ? "somebody else has made this file meanwhile"
                                          : "not a regular file; it is not replaced");
  return rename_durably(file->ctx, file->temporary, file->path,
                        file->keep_existing ? RENAME_NOREPLACE : 0);
}

co_status co_atomic_commit(co_atomic_file *file) {
  co_status status = sync_file(file->ctx, file->temporary);
  if (status == CO_OK) status = publish(file);
  co_atomic_abort(file); // the temporary is gone already if all went well
  return status;
}

void co_atomic_abort(co_atomic_file *file) {
  if (!file->ctx) return;
  if (file->temporary && !file->keep) unlink(file->temporary);
  if (file->lock >= 0) close(file->lock);
  co_free(file->ctx, file->temporary);
  co_free(file->ctx, file->path);
  *file = (co_atomic_file){0};
}

co_status co_write_file_atomic(co_context *ctx, const char *path, const void *bytes,
                               size_t length) {
  co_status status;
  co_atomic_file file = {0};
  co_writer *writer = NULL;
  CO_TRY(co_atomic_begin(&file, ctx, path));
  CO_TRY(co_writer_open(&writer, ctx, file.temporary, false));
  CO_TRY(co_writer_write(writer, bytes, length));
  status = co_writer_close(writer);
  writer = NULL;
  if (status == CO_OK) return co_atomic_commit(&file);
cleanup:
  co_writer_close(writer);
  co_atomic_abort(&file);
  return status;
}

// ---- writer ------------------------------------------------------------------------------------

enum { BUFFER_BYTES = 64 * 1024 };

struct co_writer {
  co_context *ctx;
  char *path;
  int fd;
  int error; // the first failure; what follows it would leave a hole, so it sticks
  int64_t position;
  size_t used;
  char buffer[BUFFER_BYTES];
};

static co_status writer_failed(co_writer *writer, int error) {
  writer->error = error;
  return co_fail_errno(CO_ERR_IO, error, "cannot write '%s'", writer->path);
}

co_status co_writer_open(co_writer **out, co_context *ctx, const char *path, bool append) {
  int error, flags = O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC);
  *out = NULL;
  bool standard = strcmp(path, "-") == 0;
  co_writer *writer = co_alloc(ctx, sizeof *writer);
  char *copy = writer ? co_strdup(ctx, standard ? "standard output" : path) : NULL;
  if (!copy) {
    co_free(ctx, writer);
    return CO_ERR_MEMORY;
  }
  writer->ctx = ctx;
  writer->path = copy;
  writer->error = 0;
  writer->used = 0;
  writer->fd = -1;
  DO_FAULTY(error, ctx,
            writer->fd =
                standard ? dup(co_context_standard_output(ctx)) : open_retry(path, flags, 0666));
  writer->position = writer->fd != -1 && append ? (int64_t)lseek(writer->fd, 0, SEEK_END) : 0;
  if (writer->position < 0) writer->position = 0; // a pipe has no position: count from here
  if (error) {
    co_fail_errno(CO_ERR_IO, error, "cannot open '%s' for writing", path);
    co_free(ctx, writer->path);
    co_free(ctx, writer);
    return co_error_last()->status;
  }
  *out = writer;
  return CO_OK;
}

// Writes all of it, in as many calls as the kernel wants; 0 or errno.
static int write_fully(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written == -1 && errno == EINTR) continue;
    if (written == -1) return errno;
    bytes += written;
    length -= (size_t)written;
  }
  return 0;
}

static co_status hand_over(co_writer *writer, const char *bytes, size_t length) {
  int error = co_io_fault(writer->ctx);
  if (!error) error = write_fully(writer->fd, bytes, length);
  return error ? writer_failed(writer, error) : CO_OK;
}

co_status co_writer_flush(co_writer *writer) {
  if (writer->error) return writer_failed(writer, writer->error);
  if (writer->used == 0) return CO_OK;
  size_t length = writer->used;
  writer->used = 0;
  return hand_over(writer, writer->buffer, length);
}

co_status co_writer_write(co_writer *writer, const void *bytes, size_t length) {
  if (writer->error) return writer_failed(writer, writer->error);
  if (length == 0) return CO_OK;
  if (length > BUFFER_BYTES - writer->used) CO_RETURN_IF_FAILED(co_writer_flush(writer));
  if (length >= BUFFER_BYTES) {
    CO_RETURN_IF_FAILED(hand_over(writer, bytes, length));
  } else {
    memcpy(writer->buffer + writer->used, bytes, length);
    writer->used += length;
  }
  writer->position += (int64_t)length;
  return CO_OK;
}

co_status co_writer_printf(co_writer *writer, const char *format, ...) {
  char line[512], *text = line;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length < 0) return co_fail(CO_ERR_INTERNAL, "cannot format text for '%s'", writer->path);
  if ((size_t)length >= sizeof line) {
    text = co_alloc(writer->ctx, (size_t)length + 1);
    if (!text) return CO_ERR_MEMORY;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
  }
  co_status status = co_writer_write(writer, text, (size_t)length);
  if (text != line) co_free(writer->ctx, text);
  return status;
}

co_status co_writer_sync(co_writer *writer) {
  int error;
  CO_RETURN_IF_FAILED(co_writer_flush(writer));
  DO_FAULTY(error, writer->ctx, sync_patiently(writer->ctx, writer->fd));
  return error ? writer_failed(writer, error) : CO_OK;
}

int64_t co_writer_position(const co_writer *writer) {
  return writer->position;
}

co_status co_writer_close(co_writer *writer) {
  if (!writer) return CO_OK;
  co_status status = co_writer_flush(writer);
  // Some file systems report a failed write only here.
  if (close(writer->fd) == -1 && errno != EINTR && status == CO_OK)
    status = writer_failed(writer, errno);
  co_free(writer->ctx, writer->path);
  co_free(writer->ctx, writer);
  return status;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status too_large(const char *name, size_t limit, co_status status) {
  return co_fail(status, "'%s' is larger than the %zu bytes allowed here", name, limit);
}

// Reads to the end into a block that doubles; the block is *out also on failure.
static co_status read_all(co_context *ctx, int fd, const char *name, size_t limit,
                          co_status missing, char **out, size_t *length) {
  struct stat info;
  size_t capacity = 4096, used = 0;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    if ((uint64_t)info.st_size > limit) return too_large(name, limit, missing);
    capacity = (size_t)info.st_size + 2; // one to see the end, one for the NUL
  }
  for (;;) {
    char *grown = co_realloc(ctx, *out, capacity);
    if (!grown) return CO_ERR_MEMORY;
    *out = grown;
    while (used + 1 < capacity) {
      ssize_t got = read(fd, grown + used, capacity - 1 - used);
      if (got == -1 && errno == EINTR) continue;
      if (got == -1)
        return co_fail_errno(errno == EISDIR ? missing : CO_ERR_IO, errno, "cannot read '%s'",
                             name);
      if (got == 0) {
        grown[used] = '\0';
        *length = used;
        return CO_OK;
      }
      used += (size_t)got;
      if (used > limit) return too_large(name, limit, missing);
    }
    capacity *= 2;
  }
}

co_status co_read_file(co_context *ctx, const char *path, size_t limit, co_status missing,
                       char **out, size_t *length) {
  bool standard = strcmp(path, "-") == 0;
  size_t bytes = 0;
  char *data = NULL;
  *out = NULL;
  if (length) *length = 0;
  int fd = standard ? STDIN_FILENO : open_retry(path, O_RDONLY, 0);
  if (fd == -1) {
    bool absent = errno == ENOENT || errno == ENOTDIR;
    return co_fail_errno(absent ? missing : CO_ERR_IO, errno, "cannot open '%s'", path);
  }
  const char *name = standard ? "standard input" : path;
  co_status status = read_all(ctx, fd, name, limit, missing, &data, &bytes);
  if (!standard) close(fd);
  if (status != CO_OK) {
    co_free(ctx, data);
    return status;
  }
  *out = data;
  if (length) *length = bytes;
  return CO_OK;
}

// ---- paths and folders -------------------------------------------------------------------------

char *co_path_join(co_context *ctx, const char *directory, const char *name) {
  size_t length = strlen(directory);
  if (length == 0 || name[0] == '/') return co_strdup(ctx, name);
  return co_format(ctx, "%s%s%s", directory, directory[length - 1] == '/' ? "" : "/", name);
}

bool co_path_exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0;
}

bool co_path_is_same(const char *a, const char *b) {
  struct stat first, second;
  if (strcmp(a, b) == 0) return true;
  return stat(a, &first) == 0 && stat(b, &second) == 0 && S_ISREG(first.st_mode) &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

int64_t co_file_bytes(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

bool co_path_is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static co_status make_directory(co_context *ctx, const char *path) {
  int error;
  if (co_path_is_directory(path)) return CO_OK;
  DO_FAULTY(error, ctx, mkdir(path, 0777));
  if (!error || (error == EEXIST && co_path_is_directory(path))) return CO_OK;
  if (error == EEXIST) error = ENOTDIR;
  return co_fail_errno(CO_ERR_IO, error, "cannot create the folder '%s'", path);
}

co_status co_make_directories(co_context *ctx, const char *path) {
  char *part = co_strdup(ctx, path);
  if (!part) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  for (char *p = part; *p && status == CO_OK; p++) {
    if (p == part || *p != '/') continue;
    *p = '\0';
    status = make_directory(ctx, part);
    *p = '/';
  }
  if (status == CO_OK) status = make_directory(ctx, part);
  co_free(ctx, part);
  return status;
}

const char *co_temporary_root(const char *given) {
  return given ? given : "/tmp";
}

co_status co_make_temporary_folder(char **out, co_arena *arena, const char *root,
                                   const char *name) {
  char *path = co_arena_format(arena, "%s/%s-XXXXXX", co_temporary_root(root), name);
  *out = NULL;
  if (!path) return CO_ERR_MEMORY;
  if (!mkdtemp(path))
    return co_fail_errno(CO_ERR_IO, errno, "cannot make the temporary folder '%s'", path);
  *out = path;
  return CO_OK;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
  (void)info, (void)kind, (void)at;
  return remove(path);
}

void co_remove_folder(const char *path) {
  nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

co_status co_truncate_file(co_context *ctx, const char *path, int64_t length) {
  int error;
  DO_FAULTY(error, ctx, truncate(path, (off_t)length));
  if (!error) return CO_OK;
  return co_fail_errno(CO_ERR_IO, error, "cannot truncate '%s'", path);
}

co_status co_remove_file(co_context *ctx, const char *path) {
  int error;
  DO_FAULTY(error, ctx, unlink(path));
  if (!error || error == ENOENT) return CO_OK;
  return co_fail_errno(CO_ERR_IO, error, "cannot remove '%s'", path);
}

co_status co_replace_symlink(co_context *ctx, const char *target, const char *path) {
  int error;
  char *temporary = co_temporary_name(ctx, path);
  if (!temporary) return CO_ERR_MEMORY;
  DO_FAULTY(error, ctx, symlink(target, temporary));
  co_status status = error
                         ? co_fail_errno(CO_ERR_IO, error, "cannot create the link '%s'", temporary)
                         : co_rename(ctx, temporary, path);
  if (status != CO_OK) unlink(temporary);
  co_free(ctx, temporary);
  return status;
}

// ---- locks -------------------------------------------------------------------------------------

static co_status lock_taken(int fd, const char *path, const char *meaning) {
  char holder[32] = "";
  ssize_t got = pread(fd, holder, sizeof holder - 1, 0);
  size_t digits = got > 0 ? strspn(holder, "0123456789") : 0;
  holder[digits] = '\0';
  return co_fail(CO_ERR_IO, "%s: '%s' is locked by %s%s", meaning, path,
                 digits ? "process " : "another process", holder);
}

// The process id in the file tells others whom they wait for.
static int write_holder(co_context *ctx, int fd) {
  char text[32];
  int error, length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  DO_FAULTY(error, ctx, ftruncate(fd, 0));
  return error ? error : write_fully(fd, text, (size_t)length);
}

co_status co_lock_file(int *out_descriptor, co_context *ctx, const char *path,
                       const char *meaning) {
  int error, fd = -1;
  *out_descriptor = -1;
  DO_FAULTY(error, ctx, fd = open_retry(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0666));
  if (error) return co_fail_errno(CO_ERR_IO, error, "cannot open the lock file '%s'", path);
  while ((error = flock(fd, LOCK_EX | LOCK_NB) == -1 ? errno : 0) == EINTR) {
  }
  if (!error) error = write_holder(ctx, fd);
  if (!error) {
    *out_descriptor = fd;
    return CO_OK;
  }
  if (error == EWOULDBLOCK)
    lock_taken(fd, path, meaning);
  else
    co_fail_errno(CO_ERR_IO, error, "cannot lock '%s'", path);
  close(fd);
  return co_error_last()->status;
}

void co_unlock_file(int descriptor) {
  if (descriptor >= 0) close(descriptor);
}

// Waits for those who only look.
co_status co_lock_file_shared(int *out_descriptor, co_context *ctx, const char *path) {
  int error, fd = -1;
  *out_descriptor = -1;
  DO_FAULTY(error, ctx, fd = open_retry(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0666));
  if (error) return co_fail_errno(CO_ERR_IO, error, "cannot open the lock file '%s'", path);
  while ((error = flock(fd, LOCK_SH) == -1 ? errno : 0) == EINTR) {
  }
  if (!error) {
    *out_descriptor = fd;
    return CO_OK;
  }
  close(fd);
  return co_fail_errno(CO_ERR_IO, error, "cannot lock '%s'", path);
}

co_lock_state co_lock_look(const char *path) {
  int error, fd = open_retry(path, O_RDWR | O_NOFOLLOW, 0);
  if (fd == -1 && (errno == EACCES || errno == EROFS))
    fd = open_retry(path, O_RDONLY | O_NOFOLLOW, 0);
  if (fd == -1) return errno == ENOENT ? CO_LOCK_FREE : CO_LOCK_UNKNOWN;
  while ((error = flock(fd, LOCK_EX | LOCK_NB) == -1 ? errno : 0) == EINTR) {
  }
  close(fd); // and with it the lock
  return !error ? CO_LOCK_FREE : error == EWOULDBLOCK ? CO_LOCK_TAKEN : CO_LOCK_UNKNOWN;
}
