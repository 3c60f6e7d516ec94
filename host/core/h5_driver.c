// SPDX-License-Identifier: Apache-2.0
// The driver for writing; and for reading a file that is a part of another.
//
// HDF5 writes much of a file only while closing it, and a close that fails leaves the library with
// a file it can neither finish nor forget: it leaks, or aborts at exit. So it never sees a failed
// write. This driver remembers the first error, drops all that follows, and says that all is well;
// the functions that write ask for the error after every call. It is also where faults are injected.
#include "host/core/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct driver {
  H5FD_t pub; // first, as the library wants it
  co_h5 *owner;
  int fd;
  haddr_t eoa, eof;
} driver;

static driver *driver_create(co_h5 *owner, int fd) {
  struct stat info;
  driver *d = co_alloc_zero(owner->ctx, 1, sizeof *d);
  if (!d) {
    owner->error = ENOMEM;
    return NULL;
  }
  d->owner = owner;
  d->fd = fd;
  if (fstat(fd, &info) == 0) d->eof = (haddr_t)info.st_size;
  if (owner->part.bytes) d->eof = owner->part.bytes;
  return d;
}

// The library first tries a file without creating it; only the second try is an operation of ours.
static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
  const h5_driver_settings *settings = H5Pget_driver_info(fapl);
  co_h5 *owner = settings->owner;
  bool creates = (flags & (H5F_ACC_CREAT | H5F_ACC_TRUNC)) != 0;
  int mode = O_CLOEXEC | (flags & H5F_ACC_RDWR ? O_RDWR : O_RDONLY);
  if (flags & H5F_ACC_CREAT) mode |= O_CREAT;
  if (flags & H5F_ACC_TRUNC) mode |= O_TRUNC;
  (void)maxaddr;
  if (creates && !owner->error) owner->error = co_io_fault(owner->ctx);
  int fd = owner->error ? -1 : open(name, mode, 0666);
  if (fd == -1) {
    if (creates && !owner->error) owner->error = errno;
    return NULL;
  }
  driver *d = driver_create(owner, fd);
  if (!d) close(fd);
  return (H5FD_t *)d;
}

static herr_t driver_close(H5FD_t *handle) {
  driver *d = (driver *)handle;
  co_h5 *owner = d->owner;
  // Some file systems report a failed write only here.
  if (close(d->fd) == -1 && errno != EINTR && !owner->error) owner->error = errno;
  co_free(owner->ctx, d);
  return 0;
}

// The features of the library's own POSIX driver, so that files come out the same.
static herr_t driver_query(const H5FD_t *handle, unsigned long *flags) {
  (void)handle;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *handle, H5FD_mem_t type) {
  (void)type;
  return ((const driver *)handle)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *handle, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((driver *)handle)->eoa = address;
  return 0;
}

static haddr_t driver_get_eof(const H5FD_t *handle, H5FD_mem_t type) {
  (void)type;
  return ((const driver *)handle)->eof;
}

static herr_t driver_read(H5FD_t *handle, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size,
                          void *buffer) {
  driver *d = (driver *)handle;
  char *p = buffer;
  (void)type, (void)dxpl;
  while (size > 0) {
    ssize_t got = pread(d->fd, p, size, (off_t)(d->owner->part.offset + address));
    if (got == -1 && errno == EINTR) continue;
    if (got == -1) return -1;
    if (got == 0) { // allocated, not written yet
      memset(p, 0, size);
      break;
    }
    p += got;
    address += (haddr_t)got;
    size -= (size_t)got;
  }
  return 0;
}

int co_h5_write_at(int fd, const char *bytes, size_t size, off_t offset) {
  while (size > 0) {
    ssize_t written = pwrite(fd, bytes, size, offset);
    if (written == -1 && errno == EINTR) continue;
    if (written == -1) return errno;
    bytes += written;
    offset += written;
    size -= (size_t)written;
  }
  return 0;
}

static herr_t driver_write(H5FD_t *handle, H5FD_mem_t type, hid_t dxpl, haddr_t address,
                           size_t size, const void *buffer) {
  driver *d = (driver *)handle;
  co_h5 *owner = d->owner;
  (void)type, (void)dxpl;
  if (!owner->error) owner->error = co_io_fault(owner->ctx);
  co_alive(owner->ctx, CO_PATIENCE_DISK);
  if (!owner->error) owner->error = co_h5_write_at(d->fd, buffer, size, (off_t)address);
  if (address + size > d->eof) d->eof = address + size;
  return 0;
}

static herr_t driver_truncate(H5FD_t *handle, hid_t dxpl, hbool_t closing) {
  driver *d = (driver *)handle;
  co_h5 *owner = d->owner;
  (void)dxpl, (void)closing;
  if (d->eof == d->eoa) return 0;
  if (!owner->error) owner->error = co_io_fault(owner->ctx);
  if (!owner->error && ftruncate(d->fd, (off_t)d->eoa) == -1) owner->error = errno;
  d->eof = d->eoa;
  return 0;
}

hid_t co_h5_driver_register(void) {
  const H5FD_class_t methods = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, // the range for drivers that are not registered
#endif
    .name = "cohort",
    .maxaddr = ((haddr_t)1 << (8 * sizeof(off_t) - 1)) - 1,
    .fc_degree = H5F_CLOSE_SEMI,
    .fapl_size = sizeof(h5_driver_settings),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
  };
  return H5FDregister(&methods);
}
