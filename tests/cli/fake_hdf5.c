// SPDX-License-Identifier: Apache-2.0
// Preloaded before libhdf5: opening a file crashes, hangs or takes memory, as FAKE_HDF5 says, but
// only in the process that probes one. What real damage does depends on HDF5's version.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int64_t file_id; // hid_t of HDF5 1.10 and later

file_id H5Fopen(const char *path, unsigned flags, file_id access);

static int probes(void) {
  char words[256] = "";
  int fd = open("/proc/self/cmdline", O_RDONLY);
  ssize_t size = fd < 0 ? 0 : read(fd, words, sizeof words);
  if (fd >= 0) close(fd);
  for (ssize_t i = 0; i + 8 < size; i++)
    if (memcmp(words + i, "\0--probe", 9) == 0) return 1;
  return 0;
}

__attribute__((visibility("default"))) file_id H5Fopen(const char *path, unsigned flags,
                                                       file_id access) {
  union {
    void *object;
    file_id (*call)(const char *, unsigned, file_id);
  } real = {dlsym(RTLD_NEXT, "H5Fopen")};
  const char *how = getenv("FAKE_HDF5");
  if (how && probes()) {
    if (strcmp(how, "crash") == 0) raise(SIGSEGV);
    if (strcmp(how, "exit") == 0) _exit(3);
    if (strcmp(how, "wait") == 0) pause();
    for (volatile int forever = strcmp(how, "hang") == 0; forever;) {
    }
    // Reserved, not used: refused by the limit on addresses alone.
    if (strcmp(how, "memory") == 0 &&
        mmap(NULL, (size_t)1 << 46, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
      raise(SIGBUS);
  }
  return real.call(path, flags, access);
}
