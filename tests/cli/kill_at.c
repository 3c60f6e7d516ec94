// SPDX-License-Identifier: Apache-2.0
// Preloaded into the program (LD_PRELOAD): kills it in front of the operation on files whose number is
// in the environment's COHORT_TEST_KILL_AT, counted from 1; with COHORT_TEST_KILL_REMOVING only the
// removals of files whose names end so count. From the number COHORT_TEST_FULL_AT on the disk is full:
// what would write fails. Without a number it counts only, into the file that COHORT_TEST_COUNT names,
// when the program ends.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long operations;

// Of a removal, what is removed; else NULL. True = the disk is full.
static bool count(const char *removed) {
  const char *at = getenv("COHORT_TEST_KILL_AT"), *end = getenv("COHORT_TEST_KILL_REMOVING"),
             *full = getenv("COHORT_TEST_FULL_AT");
  size_t length = removed ? strlen(removed) : 0;
  if (end && (length < strlen(end) || strcmp(removed + length - strlen(end), end) != 0))
    return false;
  long number = atomic_fetch_add(&operations, 1) + 1;
  if (at && number == strtol(at, NULL, 10)) raise(SIGKILL);
  if (!full || number < strtol(full, NULL, 10)) return false;
  errno = ENOSPC;
  return true;
}

__attribute__((destructor)) static void tell(void) {
  const char *path = getenv("COHORT_TEST_COUNT");
  FILE *out = path ? fopen(path, "w") : NULL;
  if (!out) return;
  fprintf(out, "%ld\n", atomic_load(&operations));
  fclose(out);
}

// The function of that name behind this one.
static void find(void *function, const char *name) {
  void *symbol = dlsym(RTLD_NEXT, name);
  memcpy(function, &symbol, sizeof symbol);
}

#define EXPORT __attribute__((visibility("default")))
EXPORT int fsync(int fd);
EXPORT int rename(const char *from, const char *to);
EXPORT int symlink(const char *target, const char *path);
EXPORT ssize_t write(int fd, const void *bytes, size_t size);
EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset);
// What SQLite calls.
EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset);
EXPORT int fdatasync(int fd);
EXPORT int unlink(const char *path);
// What libpq calls.
EXPORT ssize_t send(int fd, const void *bytes, size_t size, int flags);

int fsync(int fd) {
  int (*next)(int);
  find(&next, "fsync");
  count(NULL);
  return next(fd);
}

int rename(const char *from, const char *to) {
  int (*next)(const char *, const char *);
  find(&next, "rename");
  count(NULL);
  return next(from, to);
}

int symlink(const char *target, const char *path) {
  int (*next)(const char *, const char *);
  find(&next, "symlink");
  return count(NULL) ? -1 : next(target, path);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  ssize_t (*next)(int, const void *, size_t);
  find(&next, "write");
  return fd > 2 && count(NULL) ? -1 : next(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
  ssize_t (*next)(int, const void *, size_t, off_t);
  find(&next, "pwrite");
  return count(NULL) ? -1 : next(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
  ssize_t (*next)(int, const void *, size_t, off64_t);
  find(&next, "pwrite64");
  return count(NULL) ? -1 : next(fd, bytes, size, offset);
}

int fdatasync(int fd) {
  int (*next)(int);
  find(&next, "fdatasync");
  count(NULL);
  return next(fd);
}

int unlink(const char *path) {
  int (*next)(const char *);
  find(&next, "unlink");
  count(path);
  return next(path);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  ssize_t (*next)(int, const void *, size_t, int);
  find(&next, "send");
  count(NULL);
  return next(fd, bytes, size, flags);
}
