// SPDX-License-Identifier: Apache-2.0
#include "host/core/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_DIGITS = 16, TRIES = 100 };

// ---- names -------------------------------------------------------------------------------------

static const char mark[] = ".tmp-";

char *co_temporary_name(co_context *ctx, const char *path) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t stamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  return co_format(ctx, "%s%s%ld-%016" PRIx64, path, mark, (long)getpid(), stamp);
}

// Whether `entry` is the name of a temporary; *length is that of the NAME in it.
static bool parse(const char *entry, size_t *length, pid_t *pid) {
  const char *at = NULL;
  for (const char *next = strstr(entry, mark); next; next = strstr(next + 1, mark))
    at = next;
  if (!at || at == entry) return false;
  const char *digits = at + strlen(mark);
  size_t count = strspn(digits, "0123456789");
  if (!count || count > 10 || digits[0] == '0' || digits[count] != '-') return false;
  const char *stamp = digits + count + 1;
  if (strspn(stamp, "0123456789abcdef") != STAMP_DIGITS || stamp[STAMP_DIGITS]) return false;
  long long number = strtoll(digits, NULL, 10);
  if (number > INT_MAX) return false;
  *length = (size_t)(at - entry);
  *pid = (pid_t)number;
  return true;
}

// ---- locks -------------------------------------------------------------------------------------

static int lock(int fd, int operation) {
  int result;
  do {
    result = flock(fd, operation);
  } while (result == -1 && errno == EINTR);
  return result;
}

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

// Who cleans up may have taken a new file for an abandoned one before it was locked.
static bool is_still_there(int fd, const char *name) {
  struct stat opened, named;
  return fstat(fd, &opened) == 0 && lstat(name, &named) == 0 && same_file(&opened, &named);
}

static int create_locked(const char *name) {
  int fd;
  do {
    fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd == -1 && errno == EINTR);
  if (fd == -1) return -1;
  // A file system without locks: nobody will remove what it cannot lock.
  if (lock(fd, LOCK_EX) == -1 || is_still_there(fd, name)) return fd;
  close(fd);
  errno = EEXIST;
  return -1;
}

co_status co_temporary_create(char **name, int *lock_, co_context *ctx, const char *path) {
  *lock_ = -1;
  for (int i = 0; i < TRIES; i++) {
    *name = co_temporary_name(ctx, path);
    if (!*name) return CO_ERR_MEMORY;
    int error = co_io_fault(ctx);
    if (!error && (*lock_ = create_locked(*name)) == -1) error = errno;
    if (!error) return CO_OK;
    co_free(ctx, *name);
    *name = NULL;
    if (error != EEXIST) return co_fail_errno(CO_ERR_IO, error, "cannot write '%s'", path);
  }
  return co_fail(CO_ERR_IO, "cannot write '%s': its temporary files vanish", path);
}

// Opened and locked; -1 if somebody has it, or nobody can tell.
static int take(int folder, const char *name) {
  struct stat opened, named;
  int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd == -1) return -1;
  if (lock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) &&
      fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&opened, &named))
    return fd;
  close(fd);
  return -1;
}

bool co_temporary_is_abandoned(int folder, const char *name) {
  int fd = take(folder, name);
  if (fd == -1) return false;
  close(fd);
  return true;
}

// ---- removing ----------------------------------------------------------------------------------

void co_temporary_visit(const char *folder, co_temporary_filter is_ours, co_temporary_visitor visit,
                        void *user) {
  DIR *stream = opendir(folder);
  if (!stream) return;
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    char name[sizeof entry->d_name];
    size_t length;
    co_temporary found = {.folder = dirfd(stream), .name = entry->d_name};
    if (!parse(entry->d_name, &length, &found.pid)) continue;
    memcpy(name, entry->d_name, length);
    name[length] = '\0';
    if (is_ours(user, name)) visit(user, &found);
  }
  closedir(stream);
}

typedef struct cleaning {
  co_temporary_filter is_ours;
  void *user;
} cleaning;

static bool is_accepted(void *user, const char *name) {
  const cleaning *c = user;
  return c->is_ours(c->user, name);
}

static void remove_abandoned(void *user, const co_temporary *found) {
  struct stat info;
  (void)user;
  if (fstatat(found->folder, found->name, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISLNK(info.st_mode)) { // exists for a moment only, and cannot be locked
    if (kill(found->pid, 0) == -1 && errno == ESRCH) unlinkat(found->folder, found->name, 0);
    return;
  }
  if (!S_ISREG(info.st_mode)) return;
  int fd = take(found->folder, found->name);
  if (fd == -1) return;
  unlinkat(found->folder, found->name, 0);
  close(fd);
}

void co_remove_stale_temporaries_in(const char *folder, co_temporary_filter is_ours, void *user) {
  cleaning c = {is_ours, user};
  co_temporary_visit(folder, is_accepted, remove_abandoned, &c);
}

static bool is_named(void *user, const char *name) {
  return strcmp(name, user) == 0;
}

void co_remove_stale_temporaries(co_context *ctx, const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder =
      slash ? co_format(ctx, "%.*s", (int)(slash - path) + 1, path) : co_strdup(ctx, ".");
  char *name = co_strdup(ctx, slash ? slash + 1 : path);
  if (folder && name) co_remove_stale_temporaries_in(folder, is_named, name);
  co_free(ctx, folder);
  co_free(ctx, name);
}
