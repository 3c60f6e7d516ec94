// SPDX-License-Identifier: Apache-2.0
#include "host/core/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include "host/core/hash.h"

enum { NAME_BYTES = 1024, SLAB_BYTES = 1 << 20, MAX_MEMBERS = 1 << 24 };

// What a file may claim without proof: this many bytes in a dataset and in a chunk, or this many
// times what it stores.
static const uint64_t FREE_BYTES = (uint64_t)4 << 30, FREE_CHUNK_BYTES = (uint64_t)256 << 20;
static const uint64_t MAX_EXPANSION = 1000;
static const char CHECKSUM_NAME[] = "crc32c";

struct co_h5 {
  co_context *ctx;
  char *path;
  hid_t id;
  co_status failure;
  bool writing;
  int error; // writing: the first errno; from then on nothing reaches the disk
};

// ---- errors ------------------------------------------------------------------------------------

// The library must not print. Its error stack, and so this setting, is per thread, and a file may
// be used by another thread than opened it.
static void silence(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

// Closes an identifier of any kind; a negative one is none.
static void drop(hid_t id) {
  if (id >= 0) H5Idec_ref(id);
}

typedef struct reason {
  char text[256];
  bool no_memory;
} reason;

static herr_t take_innermost(unsigned n, const H5E_error2_t *entry, void *user) {
  reason *r = user;
  if (entry->maj_num == H5E_RESOURCE && entry->min_num == H5E_NOSPACE) r->no_memory = true;
  if (n != 0 || !entry->desc) return 0;
  // System errors come with times and addresses around the part that says something.
  const char *mark = "error message = '", *found = strstr(entry->desc, mark);
  const char *text = found ? found + strlen(mark) : entry->desc;
  size_t length = found ? strcspn(text, "'") : strlen(text);
  snprintf(r->text, sizeof r->text, "%.*s", (int)(length < 200 ? length : 200), text);
  return 0;
}

static reason library_reason(void) {
  reason r = {.text = "no reason given"};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &r);
  return r;
}

static co_status disk_failed(co_h5 *file) {
  return co_fail_errno(CO_ERR_IO, file->error, "cannot write '%s'", file->path);
}

// After a failed library call, and before any other: `what` is like "read the dataset".
static co_status library_failed(co_h5 *file, const char *what, const char *object) {
  if (file->error) return disk_failed(file);
  reason r = library_reason();
  return co_fail(r.no_memory ? CO_ERR_MEMORY : file->failure, "'%s': cannot %s '%s': %s",
                 file->path, what, object, r.text);
}

static co_status refuse(co_h5 *file, const char *object, const char *why) {
  return co_fail(file->failure, "'%s': '%s' %s", file->path, object, why);
}

// ---- the driver for writing --------------------------------------------------------------------
//
// HDF5 writes much of a file only while closing it, and a close that fails leaves the library with
// a file it can neither finish nor forget: it leaks, or aborts at exit. So it never sees a failed
// write. This driver remembers the first error, drops all that follows, and says that all is well;
// the functions below ask for the error after every call. It is also where faults are injected.

typedef struct driver {
  H5FD_t pub; // first, as the library wants it
  co_h5 *owner;
  int fd;
  haddr_t eoa, eof;
} driver;

typedef struct driver_settings {
  co_h5 *owner;
} driver_settings;

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
  return d;
}

// The library first tries a file without creating it; only the second try is an operation of ours.
static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
  const driver_settings *settings = H5Pget_driver_info(fapl);
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
    ssize_t got = pread(d->fd, p, size, (off_t)address);
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

static int write_at(int fd, const char *bytes, size_t size, off_t offset) {
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
  if (!owner->error) owner->error = write_at(d->fd, buffer, size, (off_t)address);
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

static hid_t driver_register(void) {
  const H5FD_class_t methods = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, // the range for drivers that are not registered
#endif
    .name = "cohort",
    .maxaddr = ((haddr_t)1 << (8 * sizeof(off_t) - 1)) - 1,
    .fc_degree = H5F_CLOSE_SEMI,
    .fapl_size = sizeof(driver_settings),
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

// ---- opening and closing -----------------------------------------------------------------------

static void file_free(co_h5 *file) {
  if (!file) return;
  co_free(file->ctx, file->path);
  co_free(file->ctx, file);
}

static co_h5 *file_create(co_context *ctx, const char *path, co_status failure, bool writing) {
  silence();
  H5PLset_loading_state(0); // a file must not make the library load code
  co_h5 *file = co_alloc_zero(ctx, 1, sizeof *file);
  if (!file) return NULL;
  *file = (co_h5){.ctx = ctx, .id = -1, .failure = failure, .writing = writing};
  file->path = co_strdup(ctx, path);
  if (file->path) return file;
  file_free(file);
  return NULL;
}

static htri_t looks_like_hdf5(const char *path, hid_t fapl) {
#if H5_VERSION_GE(1, 12, 0)
  return H5Fis_accessible(path, fapl);
#else
  (void)fapl;
  return H5Fis_hdf5(path);
#endif
}

static co_status open_failed(co_h5 *file, hid_t fapl) {
  reason r = library_reason();
  htri_t signature = looks_like_hdf5(file->path, fapl);
  if (r.no_memory) return co_fail(CO_ERR_MEMORY, "cannot open '%s': %s", file->path, r.text);
  if (signature > 0)
    return co_fail(file->failure, "'%s' is truncated or damaged: %s", file->path, r.text);
  if (signature == 0) return co_fail(file->failure, "'%s' is not an HDF5 file", file->path);
  return co_fail(file->failure, "cannot open '%s': %s", file->path, r.text);
}

static co_status open_for_reading(co_h5 *file) {
  struct stat info;
  if (stat(file->path, &info) != 0)
    return co_fail_errno(file->failure, errno, "cannot open '%s'", file->path);
  if (!S_ISREG(info.st_mode))
    return co_fail(file->failure, "'%s' is not a regular file", file->path);
  if (info.st_size == 0)
    return co_fail(file->failure, "'%s' is empty, not an HDF5 file", file->path);
  hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(fapl, H5F_CLOSE_SEMI);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(fapl, 0, 1); // locks fail on some network file systems
#endif
  co_status status = CO_OK;
  file->id = H5Fopen(file->path, H5F_ACC_RDONLY, fapl);
  if (file->id < 0) status = open_failed(file, fapl);
  drop(fapl);
  return status;
}

co_status co_h5_open(co_h5 **out, co_context *ctx, const char *path, co_status failure) {
  *out = NULL;
  co_h5 *file = file_create(ctx, path, failure, false);
  if (!file) return CO_ERR_MEMORY;
  co_status status = open_for_reading(file);
  if (status == CO_OK)
    *out = file;
  else
    file_free(file);
  return status;
}

// Groups without time stamps whose members keep their order; also for the root group.
static void set_group_properties(hid_t plist) {
  H5Pset_obj_track_times(plist, 0);
  H5Pset_link_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
}

static co_status open_for_writing(co_h5 *file) {
  driver_settings settings = {file};
  hid_t methods = driver_register();
  hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), fcpl = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fclose_degree(fapl, H5F_CLOSE_SEMI);
  set_group_properties(fcpl);
  co_status status = CO_OK;
  if (H5Pset_driver(fapl, methods, &settings) >= 0)
    file->id = H5Fcreate(file->path, H5F_ACC_TRUNC, fcpl, fapl);
  if (file->id < 0)
    status = file->error ? co_fail_errno(CO_ERR_IO, file->error, "cannot create '%s'", file->path)
                         : library_failed(file, "create", "/");
  drop(fcpl);
  drop(fapl);
  if (methods >= 0) H5FDunregister(methods); // the open file holds it
  return status;
}

co_status co_h5_create(co_h5 **out, co_context *ctx, const char *path) {
  *out = NULL;
  co_h5 *file = file_create(ctx, path, CO_ERR_IO, true);
  if (!file) return CO_ERR_MEMORY;
  co_status status = open_for_writing(file);
  if (status == CO_OK && file->error) status = disk_failed(file);
  if (status == CO_OK)
    *out = file;
  else
    co_h5_abandon(file);
  return status;
}

co_status co_h5_close(co_h5 *file) {
  if (!file) return CO_OK;
  silence();
  co_status status = CO_OK;
  // The library says "closed" with identifiers open, and then does not finish the file. (Only those
  // of this handle count: the file may be open twice.)
  if (H5Fget_obj_count(file->id, H5F_OBJ_ALL | H5F_OBJ_LOCAL) != 1)
    status = co_fail(CO_ERR_INTERNAL, "'%s': objects are still open at its close", file->path);
  if (file->writing && !file->error) file->error = co_io_fault(file->ctx);
  if (H5Fclose(file->id) < 0 && status == CO_OK && !file->error)
    status = library_failed(file, "close", "/");
  if (file->error && status == CO_OK) status = disk_failed(file);
  file_free(file);
  return status;
}

void co_h5_abandon(co_h5 *file) {
  if (!file) return;
  silence();
  if (file->writing && !file->error) file->error = ECANCELED; // nothing more need be written
  if (file->id >= 0) H5Fclose(file->id);
  file_free(file);
}

const char *co_h5_path(const co_h5 *file) {
  return file->path;
}

void co_h5_version(char *out, size_t size) {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(out, size, "%u.%u.%u", major, minor, release);
}

// ---- finding objects ---------------------------------------------------------------------------

// Takes the next component of a path into `name`. The rest of the path, or NULL at its end; `name`
// is empty if the component is too long to be one of ours.
static const char *next_component(const char *path, char name[NAME_BYTES]) {
  path += strspn(path, "/");
  size_t length = strcspn(path, "/");
  if (length == 0) return NULL;
  name[0] = '\0';
  if (length < NAME_BYTES) {
    memcpy(name, path, length);
    name[length] = '\0';
  }
  return path + length;
}

typedef enum lookup { FOUND, ABSENT, LINKED, BROKEN } lookup;

// One step: `name` in the object `at`, through a hard link only.
static lookup step(hid_t at, const char *name, hid_t *out) {
  H5L_info_t info;
  *out = -1;
  if (H5Iget_type(at) != H5I_GROUP || name[0] == '\0' || strcmp(name, ".") == 0) return ABSENT;
  htri_t exists = H5Lexists(at, name, H5P_DEFAULT);
  if (exists <= 0) return exists == 0 ? ABSENT : BROKEN;
  if (H5Lget_info(at, name, &info, H5P_DEFAULT) < 0) return BROKEN;
  if (info.type != H5L_TYPE_HARD) return LINKED;
  *out = H5Oopen(at, name, H5P_DEFAULT);
  return *out < 0 ? BROKEN : FOUND;
}

// Component by component, because the library itself would follow any link on the way. The error of
// the library is recorded here, before closing anything clears it.
static lookup walk(co_h5 *file, const char *path, hid_t *out) {
  char name[NAME_BYTES];
  lookup result = FOUND;
  hid_t at = H5Oopen(file->id, "/", H5P_DEFAULT);
  if (at < 0) result = BROKEN;
  for (const char *rest = path; result == FOUND && (rest = next_component(rest, name)) != NULL;) {
    hid_t next;
    result = step(at, name, &next);
    if (result == BROKEN) break;
    drop(at);
    at = next;
  }
  if (result == BROKEN) {
    library_failed(file, "open", path);
    drop(at);
  }
  *out = result == FOUND ? at : -1;
  return result;
}

static co_status open_object(co_h5 *file, const char *path, hid_t *out) {
  silence();
  switch (walk(file, path, out)) {
  case FOUND:
    return CO_OK;
  case ABSENT:
    return co_fail(file->failure, "'%s' has no '%s'", file->path, path);
  case LINKED:
    return refuse(file, path, "is, or lies behind, a soft, external or user-defined link");
  default:
    return co_error_last()->status;
  }
}

bool co_h5_exists(co_h5 *file, const char *path) {
  hid_t object;
  silence();
  if (walk(file, path, &object) != FOUND) return false;
  H5I_type_t type = H5Iget_type(object);
  drop(object);
  return type == H5I_GROUP || type == H5I_DATASET;
}

bool co_h5_has_attribute(co_h5 *file, const char *object, const char *name) {
  hid_t id;
  silence();
  if (walk(file, object, &id) != FOUND) return false;
  bool has = H5Aexists(id, name) > 0;
  drop(id);
  return has;
}

// ---- element types -----------------------------------------------------------------------------

// How stored elements come into memory: as `dtype`, by reading them as `memory`.
typedef struct element {
  co_dtype dtype;
  hid_t memory; // borrowed; of the library, or the stored type itself
  size_t size;  // stored bytes
  bool is_string, variable;
  bool huge; // unsigned 64 bit, checked to fit on reading
  bool ours; // stored exactly as co_h5_write does
} element;

static hid_t stored_type(co_dtype dtype) {
  switch (dtype) {
  case CO_U8:
    return H5T_STD_U8LE;
  case CO_I32:
    return H5T_STD_I32LE;
  case CO_I64:
    return H5T_STD_I64LE;
  case CO_F32:
    return H5T_IEEE_F32LE;
  case CO_F64:
    return H5T_IEEE_F64LE;
  default:
    return -1;
  }
}

static hid_t memory_type(co_dtype dtype) {
  switch (dtype) {
  case CO_U8:
    return H5T_NATIVE_UINT8;
  case CO_I32:
    return H5T_NATIVE_INT32;
  case CO_I64:
    return H5T_NATIVE_INT64;
  case CO_F32:
    return H5T_NATIVE_FLOAT;
  case CO_F64:
    return H5T_NATIVE_DOUBLE;
  default:
    return -1;
  }
}

static bool classify_integer(hid_t type, element *e) {
  bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
  if (e->size != 1 && e->size != 2 && e->size != 4 && e->size != 8) return false;
  if (e->size == 1 && !is_signed)
    e->dtype = CO_U8;
  else
    e->dtype = e->size < 4 || (e->size == 4 && is_signed) ? CO_I32 : CO_I64;
  e->huge = e->size == 8 && !is_signed;
  e->memory = e->huge ? H5T_NATIVE_UINT64 : memory_type(e->dtype);
  return true;
}

static bool classify_float(element *e) {
  if (e->size != 2 && e->size != 4 && e->size != 8) return false;
  e->dtype = e->size == 8 ? CO_F64 : CO_F32;
  e->memory = memory_type(e->dtype);
  return true;
}

// h5py's booleans: one byte, FALSE = 0 and TRUE = 1. Read as they are.
static bool classify_boolean(hid_t type, element *e) {
  unsigned char no = 9, yes = 9;
  if (e->size != 1 || H5Tget_nmembers(type) != 2) return false;
  if (H5Tenum_valueof(type, "FALSE", &no) < 0 || H5Tenum_valueof(type, "TRUE", &yes) < 0)
    return false;
  e->dtype = CO_U8;
  e->memory = type;
  return no == 0 && yes == 1;
}

static bool classify(hid_t type, element *e) {
  *e = (element){.memory = -1, .size = H5Tget_size(type)};
  switch (H5Tget_class(type)) {
  case H5T_INTEGER:
    if (!classify_integer(type, e)) return false;
    break;
  case H5T_FLOAT:
    if (!classify_float(e)) return false;
    break;
  case H5T_ENUM:
    return classify_boolean(type, e);
  case H5T_STRING:
    e->is_string = true;
    e->variable = H5Tis_variable_str(type) > 0;
    e->memory = type;
    return e->size > 0;
  default:
    return false;
  }
  e->ours = H5Tequal(type, stored_type(e->dtype)) > 0;
  return true;
}

// ---- opening datasets --------------------------------------------------------------------------

typedef struct dataset {
  hid_t id, type, space, plist;
  H5D_layout_t layout;
  element element;
  co_shape shape;
  int64_t count, row; // elements in all, and of one row
  uint64_t stored_bytes;
} dataset;

static void dataset_close(dataset *d) {
  drop(d->plist);
  drop(d->space);
  drop(d->type);
  drop(d->id);
}

static co_status check_extents(co_h5 *file, const char *path, dataset *d) {
  hsize_t extent[H5S_MAX_RANK];
  H5S_class_t kind = H5Sget_simple_extent_type(d->space);
  if (kind != H5S_SIMPLE && kind != H5S_SCALAR) return refuse(file, path, "holds no array");
  int rank = H5Sget_simple_extent_ndims(d->space);
  if (rank < 0 || rank > CO_MAX_RANK) return refuse(file, path, "has too many dimensions");
  if (H5Sget_simple_extent_dims(d->space, extent, NULL) < 0)
    return library_failed(file, "read the shape of", path);
  d->shape.rank = rank;
  for (int i = 0; i < rank; i++) {
    if (extent[i] > INT64_MAX) return refuse(file, path, "has an impossible shape");
    d->shape.dim[i] = (int64_t)extent[i];
  }
  co_shape row = d->shape;
  if (rank > 0) row.dim[0] = 1;
  d->count = co_shape_count(&d->shape);
  d->row = co_shape_count(&row);
  if (d->count < 0 || d->row < 0) return refuse(file, path, "has an impossible shape");
  return CO_OK;
}

static co_status check_filters(co_h5 *file, const char *path, const dataset *d) {
  int count = H5Pget_nfilters(d->plist);
  if (count < 0) return library_failed(file, "read the filters of", path);
  for (int i = 0; i < count; i++) {
    unsigned flags, config;
    size_t values = 0;
    H5Z_filter_t filter =
        H5Pget_filter2(d->plist, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32)
      return refuse(file, path,
                    "is stored through a filter other than deflate, shuffle, fletcher32");
  }
  return CO_OK;
}

// The library allocates whole chunks, so what one claims must be plausible as well.
static uint64_t chunk_elements(const dataset *d) {
  hsize_t extent[H5S_MAX_RANK];
  uint64_t elements = 1;
  int rank = H5Pget_chunk(d->plist, H5S_MAX_RANK, extent);
  for (int i = 0; i < rank; i++) {
    if (extent[i] && elements > UINT64_MAX / extent[i]) return UINT64_MAX;
    elements *= extent[i];
  }
  return elements;
}

static bool plausible(const dataset *d, uint64_t elements, uint64_t free_bytes) {
  if (elements > UINT64_MAX / d->element.size) return false;
  uint64_t bytes = elements * d->element.size;
  return bytes <= free_bytes || bytes / MAX_EXPANSION <= d->stored_bytes;
}

static co_status check_storage(co_h5 *file, const char *path, dataset *d) {
  d->layout = H5Pget_layout(d->plist);
  if (d->layout != H5D_COMPACT && d->layout != H5D_CONTIGUOUS && d->layout != H5D_CHUNKED)
    return refuse(file, path, "is virtual, or stored in an unknown way");
  if (H5Pget_external_count(d->plist) != 0)
    return refuse(file, path, "keeps its data in another file");
  CO_RETURN_IF_FAILED(check_filters(file, path, d));
  d->stored_bytes = H5Dget_storage_size(d->id);
  if (!plausible(d, (uint64_t)d->count, FREE_BYTES) ||
      (d->layout == H5D_CHUNKED && !plausible(d, chunk_elements(d), FREE_CHUNK_BYTES)))
    return refuse(file, path, "claims to be far larger than what is stored");
  return CO_OK;
}

static co_status check_dataset(co_h5 *file, const char *path, dataset *d) {
  d->type = H5Dget_type(d->id);
  d->space = H5Dget_space(d->id);
  d->plist = H5Dget_create_plist(d->id);
  if (d->type < 0 || d->space < 0 || d->plist < 0) return library_failed(file, "open", path);
  if (!classify(d->type, &d->element))
    return refuse(file, path, "has an element type that is not supported");
  CO_RETURN_IF_FAILED(check_extents(file, path, d));
  return check_storage(file, path, d);
}

// On failure nothing is left open. Takes over `object`.
static co_status dataset_adopt(co_h5 *file, const char *path, hid_t object, dataset *d) {
  *d = (dataset){.id = object, .type = -1, .space = -1, .plist = -1};
  co_status status = H5Iget_type(object) == H5I_DATASET ? check_dataset(file, path, d)
                                                        : refuse(file, path, "is not a dataset");
  if (status != CO_OK) dataset_close(d);
  return status;
}

static co_status dataset_open(co_h5 *file, const char *path, dataset *d) {
  hid_t object;
  CO_RETURN_IF_FAILED(open_object(file, path, &object));
  return dataset_adopt(file, path, object, d);
}

static co_status number_dataset_open(co_h5 *file, const char *path, dataset *d) {
  CO_RETURN_IF_FAILED(dataset_open(file, path, d));
  if (!d->element.is_string) return CO_OK;
  dataset_close(d);
  return refuse(file, path, "holds text where numbers are expected");
}

co_status co_h5_get_info(co_h5 *file, const char *path, co_h5_info *out) {
  hid_t object;
  dataset d;
  *out = (co_h5_info){0};
  CO_RETURN_IF_FAILED(open_object(file, path, &object));
  if (H5Iget_type(object) == H5I_GROUP) {
    out->is_group = true;
    drop(object);
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(dataset_adopt(file, path, object, &d));
  out->dtype = d.element.dtype;
  out->shape = d.shape;
  out->is_string = d.element.is_string;
  out->stored_bytes = (int64_t)d.stored_bytes;
  dataset_close(&d);
  return CO_OK;
}

co_status co_h5_get_offset(co_h5 *file, const char *path, int64_t *offset) {
  dataset d;
  hsize_t size = 0;
  *offset = -1;
  CO_RETURN_IF_FAILED(dataset_open(file, path, &d));
  haddr_t address = HADDR_UNDEF;
  if (d.layout == H5D_CONTIGUOUS && d.element.ours) address = H5Dget_offset(d.id);
  uint64_t bytes = (uint64_t)d.count * d.element.size;
  dataset_close(&d);
  if (address == HADDR_UNDEF) return CO_OK;
  // Reading past the end of a mapped file would kill the process. A file being written may still
  // have to grow.
  if (!file->writing &&
      (H5Fget_filesize(file->id, &size) < 0 || address > size || bytes > size - address))
    return refuse(file, path, "lies beyond the end of the file");
  *offset = (int64_t)address;
  return CO_OK;
}

// ---- converting numbers ------------------------------------------------------------------------

static bool is_float(co_dtype dtype) {
  return dtype == CO_F32 || dtype == CO_F64;
}

static int64_t load_integer(co_dtype dtype, const void *data, int64_t i) {
  return dtype == CO_U8    ? ((const uint8_t *)data)[i]
         : dtype == CO_I32 ? ((const int32_t *)data)[i]
                           : ((const int64_t *)data)[i];
}

static double load_float(co_dtype dtype, const void *data, int64_t i) {
  return dtype == CO_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

// The store functions answer whether the value came through unchanged.
static bool store_integer(co_dtype dtype, void *data, int64_t i, int64_t value) {
  double wide;
  switch (dtype) {
  case CO_U8:
    ((uint8_t *)data)[i] = (uint8_t)value;
    return value >= 0 && value <= UINT8_MAX;
  case CO_I32:
    ((int32_t *)data)[i] = (int32_t)value;
    return value >= INT32_MIN && value <= INT32_MAX;
  case CO_I64:
    ((int64_t *)data)[i] = value;
    return true;
  case CO_F32:
    wide = (double)(((float *)data)[i] = (float)value);
    break;
  default:
    wide = ((double *)data)[i] = (double)value;
    break;
  }
  return wide < 0x1p63 && (int64_t)wide == value;
}

static bool store_float(co_dtype dtype, void *data, int64_t i, double value) {
  if (dtype == CO_F64) {
    ((double *)data)[i] = value;
    return true;
  }
  if (dtype == CO_F32) {
    float narrow = fabs(value) <= 0x1.fffffep127 || isinf(value) || isnan(value) ? (float)value : 0;
    ((float *)data)[i] = narrow;
    return isnan(value) || (double)narrow == value;
  }
  if (!(value >= -0x1p63 && value < 0x1p63) || floor(value) != value) return false;
  return store_integer(dtype, data, i, (int64_t)value);
}

// The index of the first value that does not fit, or -1.
static int64_t convert(co_dtype from, const void *in, co_dtype to, void *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    bool exact = is_float(from) ? store_float(to, out, i, load_float(from, in, i))
                                : store_integer(to, out, i, load_integer(from, in, i));
    if (!exact) return i;
  }
  return -1;
}

// ---- reading numbers ---------------------------------------------------------------------------

// Selects rows [begin, begin+count) in the dataset's space and gives the space in memory.
static hid_t select_rows(dataset *d, int64_t begin, int64_t count) {
  hsize_t start[CO_MAX_RANK] = {0}, extent[CO_MAX_RANK];
  int rank = d->shape.rank;
  if (rank == 0) return H5Screate(H5S_SCALAR);
  for (int i = 0; i < rank; i++)
    extent[i] = (hsize_t)d->shape.dim[i];
  start[0] = (hsize_t)begin;
  extent[0] = (hsize_t)count;
  if (H5Sselect_hyperslab(d->space, H5S_SELECT_SET, start, NULL, extent, NULL) < 0) return -1;
  return H5Screate_simple(rank, extent, NULL);
}

static co_status read_slab(co_h5 *file, const char *path, dataset *d, int64_t begin, int64_t count,
                           void *out) {
  co_status status = CO_OK;
  if (count == 0 || d->row == 0) return CO_OK;
  hid_t memory = select_rows(d, begin, count);
  if (memory < 0 || H5Dread(d->id, d->element.memory, memory, d->space, H5P_DEFAULT, out) < 0)
    status = library_failed(file, "read", path);
  drop(memory);
  if (status != CO_OK || !d->element.huge) return status;
  for (int64_t i = 0; i < count * d->row; i++)
    if (((const uint64_t *)out)[i] > INT64_MAX)
      return refuse(file, path, "holds a number beyond 63 bits");
  return CO_OK;
}

static void update_checksum(const dataset *d, const void *data, int64_t rows, uint32_t *checksum) {
  size_t size = co_dtype_size(d->element.dtype);
  if (checksum) *checksum = co_crc32c(*checksum, data, (size_t)(rows * d->row) * size);
}

static co_status lossy(co_h5 *file, const char *path, co_dtype from, co_dtype to) {
  return co_fail(file->failure, "'%s': '%s' (%s) holds a value that %s cannot", file->path, path,
                 co_dtype_name(from), co_dtype_name(to));
}

// Through a buffer of some rows at a time, so that a conversion does not double the memory.
static co_status read_converted(co_h5 *file, const char *path, dataset *d, co_dtype dtype,
                                int64_t begin, int64_t count, char *out, uint32_t *checksum) {
  size_t size = co_dtype_size(d->element.dtype), row_bytes = (size_t)d->row * size;
  int64_t step_rows = row_bytes && row_bytes < SLAB_BYTES ? (int64_t)(SLAB_BYTES / row_bytes) : 1;
  if (step_rows > count) step_rows = count;
  co_status status = CO_OK;
  char *buffer = co_alloc(file->ctx, (size_t)step_rows * row_bytes);
  if (!buffer) return CO_ERR_MEMORY;
  for (int64_t done = 0; done < count && status == CO_OK; done += step_rows) {
    int64_t rows = count - done < step_rows ? count - done : step_rows;
    status = read_slab(file, path, d, begin + done, rows, buffer);
    if (status != CO_OK) break;
    update_checksum(d, buffer, rows, checksum);
    char *target = out + (size_t)(done * d->row) * co_dtype_size(dtype);
    if (convert(d->element.dtype, buffer, dtype, target, rows * d->row) >= 0)
      status = lossy(file, path, d->element.dtype, dtype);
  }
  co_free(file->ctx, buffer);
  return status;
}

static co_status read_rows(co_h5 *file, const char *path, dataset *d, co_dtype dtype, int64_t begin,
                           int64_t count, void *out, uint32_t *checksum) {
  if (stored_type(dtype) < 0)
    return co_fail(CO_ERR_INTERNAL, "'%s': cannot read '%s' as %s", file->path, path,
                   co_dtype_name(dtype));
  if (dtype != d->element.dtype)
    return read_converted(file, path, d, dtype, begin, count, out, checksum);
  CO_RETURN_IF_FAILED(read_slab(file, path, d, begin, count, out));
  update_checksum(d, out, count, checksum);
  return CO_OK;
}

static co_status check_shape(co_h5 *file, const char *path, const co_shape *has,
                             const co_shape *wanted) {
  char a[160], b[160];
  if (!wanted || co_shape_equal(has, wanted)) return CO_OK;
  co_shape_print(has, a, sizeof a);
  co_shape_print(wanted, b, sizeof b);
  return co_fail(file->failure, "'%s': '%s' has shape %s, expected %s", file->path, path, a, b);
}

static co_status read_number_attribute(co_h5 *file, const char *object, hid_t id, const char *name,
                                       co_dtype dtype, void *out);

static co_status read_checked(co_h5 *file, const char *path, dataset *d, co_dtype dtype,
                              void *out) {
  int64_t rows = d->shape.rank ? d->shape.dim[0] : 1, expected = 0;
  uint32_t checksum = 0;
  htri_t has = d->element.ours ? H5Aexists(d->id, CHECKSUM_NAME) : 0;
  if (has < 0) return library_failed(file, "read", path);
  if (!has) return read_rows(file, path, d, dtype, 0, rows, out, NULL);
  CO_RETURN_IF_FAILED(read_number_attribute(file, path, d->id, CHECKSUM_NAME, CO_I64, &expected));
  CO_RETURN_IF_FAILED(read_rows(file, path, d, dtype, 0, rows, out, &checksum));
  if ((int64_t)checksum == expected) return CO_OK;
  return refuse(file, path, "is damaged: its checksum does not match");
}

co_status co_h5_read(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                     void *out) {
  dataset d;
  CO_RETURN_IF_FAILED(number_dataset_open(file, path, &d));
  co_status status = check_shape(file, path, &d.shape, shape);
  if (status == CO_OK) status = read_checked(file, path, &d, dtype, out);
  dataset_close(&d);
  return status;
}

static co_status check_rows(co_h5 *file, const char *path, const dataset *d, int64_t begin,
                            int64_t count) {
  int64_t rows = d->shape.rank ? d->shape.dim[0] : 0;
  if (begin >= 0 && count >= 0 && begin <= rows && count <= rows - begin) return CO_OK;
  return co_fail(file->failure, "'%s': '%s' has %lld rows, %lld from row %lld on are wanted",
                 file->path, path, (long long)rows, (long long)count, (long long)begin);
}

co_status co_h5_read_rows(co_h5 *file, const char *path, co_dtype dtype, int64_t begin,
                          int64_t count, void *out) {
  dataset d;
  CO_RETURN_IF_FAILED(number_dataset_open(file, path, &d));
  co_status status = check_rows(file, path, &d, begin, count);
  if (status == CO_OK) status = read_rows(file, path, &d, dtype, begin, count, out, NULL);
  dataset_close(&d);
  return status;
}

// ---- reading text ------------------------------------------------------------------------------

// Lets the library put variable-length strings straight into the arena, within a budget.
typedef struct string_pool {
  co_arena *arena;
  uint64_t budget;
  bool no_memory, exhausted;
} string_pool;

static void *pool_alloc(size_t size, void *user) {
  string_pool *pool = user;
  if (size > pool->budget) {
    pool->exhausted = true;
    return NULL;
  }
  pool->budget -= size;
  void *pointer = co_arena_alloc(pool->arena, size, 1);
  if (!pointer) pool->no_memory = true;
  return pointer;
}

static void pool_free(void *pointer, void *user) {
  (void)pointer, (void)user; // the arena frees all at once
}

static co_status read_variable_strings(co_h5 *file, const char *path, dataset *d, co_arena *arena,
                                       char **text) {
  string_pool pool = {.arena = arena, .budget = FREE_BYTES};
  co_status status = CO_OK;
  hid_t plist = H5Pcreate(H5P_DATASET_XFER);
  if (H5Pset_vlen_mem_manager(plist, pool_alloc, &pool, pool_free, &pool) < 0 ||
      H5Dread(d->id, d->type, H5S_ALL, H5S_ALL, plist, text) < 0)
    status = pool.no_memory   ? CO_ERR_MEMORY
             : pool.exhausted ? refuse(file, path, "holds too much text")
                              : library_failed(file, "read", path);
  drop(plist);
  return status;
}

// The length of a fixed-length string without its padding.
static size_t fixed_length(const char *bytes, size_t size, H5T_str_t padding) {
  size_t length = strnlen(bytes, size);
  if (padding == H5T_STR_SPACEPAD)
    while (length > 0 && bytes[length - 1] == ' ')
      length--;
  return length;
}

static co_status cut_fixed_strings(const char *bytes, int64_t count, size_t size, H5T_str_t padding,
                                   co_arena *arena, char **text) {
  for (int64_t i = 0; i < count; i++) {
    const char *one = bytes + (size_t)i * size;
    text[i] = co_arena_strndup(arena, one, fixed_length(one, size, padding));
    if (!text[i]) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static co_status read_fixed_strings(co_h5 *file, const char *path, dataset *d, co_arena *arena,
                                    char **text) {
  size_t size = d->element.size;
  char *bytes = co_alloc_zero(file->ctx, (size_t)d->count, size);
  if (!bytes) return CO_ERR_MEMORY;
  co_status status =
      H5Dread(d->id, d->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0
          ? library_failed(file, "read", path)
          : cut_fixed_strings(bytes, d->count, size, H5Tget_strpad(d->type), arena, text);
  co_free(file->ctx, bytes);
  return status;
}

// Strings never written read as null pointers.
static co_status fill_missing(co_arena *arena, char **text, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!text[i] && !(text[i] = co_arena_strdup(arena, ""))) return CO_ERR_MEMORY;
  return CO_OK;
}

static co_status read_strings(co_h5 *file, const char *path, dataset *d, co_arena *arena,
                              char ***out, int64_t *count) {
  if (!d->element.is_string) return refuse(file, path, "holds no text");
  if (d->shape.rank > 1) return refuse(file, path, "is not a list");
  char **text = co_arena_alloc(arena, (size_t)d->count, sizeof *text);
  if (!text) return CO_ERR_MEMORY;
  if (d->count > 0)
    CO_RETURN_IF_FAILED(d->element.variable ? read_variable_strings(file, path, d, arena, text)
                                            : read_fixed_strings(file, path, d, arena, text));
  CO_RETURN_IF_FAILED(fill_missing(arena, text, d->count));
  *out = text;
  *count = d->count;
  return CO_OK;
}

co_status co_h5_read_strings(co_h5 *file, const char *path, co_arena *arena, char ***out,
                             int64_t *count) {
  dataset d;
  *out = NULL;
  *count = 0;
  CO_RETURN_IF_FAILED(dataset_open(file, path, &d));
  co_status status = read_strings(file, path, &d, arena, out, count);
  dataset_close(&d);
  return status;
}

// ---- reading attributes ------------------------------------------------------------------------

typedef struct attribute {
  hid_t id, type, space;
  element element;
  int64_t count;
} attribute;

static void attribute_close(attribute *a) {
  drop(a->space);
  drop(a->type);
  drop(a->id);
}

static co_status attribute_failed(co_h5 *file, const char *object, const char *name,
                                  const char *why) {
  return co_fail(file->failure, "'%s': the attribute '%s' of '%s' %s", file->path, name, object,
                 why);
}

static co_status check_attribute(co_h5 *file, const char *object, const char *name, attribute *a) {
  a->type = H5Aget_type(a->id);
  a->space = H5Aget_space(a->id);
  if (a->type < 0 || a->space < 0) return library_failed(file, "read the attributes of", object);
  H5S_class_t kind = H5Sget_simple_extent_type(a->space);
  hssize_t count = kind == H5S_NULL ? 0 : H5Sget_simple_extent_npoints(a->space);
  if (!classify(a->type, &a->element) || count < 0 || H5Sget_simple_extent_ndims(a->space) > 1)
    return attribute_failed(file, object, name, "has a type that is not supported");
  if (count > MAX_MEMBERS || a->element.size > SIZE_MAX / MAX_MEMBERS ||
      (uint64_t)count * a->element.size > FREE_BYTES)
    return attribute_failed(file, object, name, "is far too large");
  a->count = (int64_t)count;
  return CO_OK;
}

static co_status attribute_open(co_h5 *file, const char *object, hid_t id, const char *name,
                                attribute *a) {
  *a = (attribute){.id = -1, .type = -1, .space = -1};
  htri_t exists = H5Aexists(id, name);
  if (exists == 0)
    return co_fail(file->failure, "'%s': '%s' has no attribute '%s'", file->path, object, name);
  if (exists > 0) a->id = H5Aopen(id, name, H5P_DEFAULT);
  if (a->id < 0) return library_failed(file, "read the attributes of", object);
  co_status status = check_attribute(file, object, name, a);
  if (status != CO_OK) attribute_close(a);
  return status;
}

static co_status convert_attribute(co_h5 *file, const char *object, const char *name, attribute *a,
                                   co_dtype dtype, void *out) {
  uint64_t value = 0; // room for any element
  if (a->element.is_string || a->count != 1)
    return attribute_failed(file, object, name, "is not a number");
  if (H5Aread(a->id, a->element.memory, &value) < 0)
    return library_failed(file, "read the attributes of", object);
  if ((a->element.huge && value > INT64_MAX) ||
      convert(a->element.dtype, &value, dtype, out, 1) >= 0)
    return attribute_failed(file, object, name, "holds a number that does not fit");
  return CO_OK;
}

static co_status read_number_attribute(co_h5 *file, const char *object, hid_t id, const char *name,
                                       co_dtype dtype, void *out) {
  attribute a;
  CO_RETURN_IF_FAILED(attribute_open(file, object, id, name, &a));
  co_status status = convert_attribute(file, object, name, &a, dtype, out);
  attribute_close(&a);
  return status;
}

static co_status get_number(co_h5 *file, const char *object, const char *name, co_dtype dtype,
                            void *out) {
  hid_t id;
  CO_RETURN_IF_FAILED(open_object(file, object, &id));
  co_status status = read_number_attribute(file, object, id, name, dtype, out);
  drop(id);
  return status;
}

co_status co_h5_get_int(co_h5 *file, const char *object, const char *name, int64_t *out) {
  return get_number(file, object, name, CO_I64, out);
}

co_status co_h5_get_double(co_h5 *file, const char *object, const char *name, double *out) {
  return get_number(file, object, name, CO_F64, out);
}

// The library's own allocator, because reading an attribute takes no other.
static co_status copy_variable_strings(co_h5 *file, const char *object, attribute *a,
                                       co_arena *arena, char **text) {
  char **raw = co_alloc_zero(file->ctx, (size_t)a->count, sizeof *raw);
  if (!raw) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  if (H5Aread(a->id, a->type, raw) < 0)
    status = library_failed(file, "read the attributes of", object);
  for (int64_t i = 0; i < a->count && status == CO_OK; i++)
    if (!(text[i] = co_arena_strdup(arena, raw[i] ? raw[i] : ""))) status = CO_ERR_MEMORY;
  H5Dvlen_reclaim(a->type, a->space, H5P_DEFAULT, raw);
  co_free(file->ctx, raw);
  return status;
}

static co_status copy_fixed_strings(co_h5 *file, const char *object, attribute *a, co_arena *arena,
                                    char **text) {
  size_t size = a->element.size;
  char *bytes = co_alloc_zero(file->ctx, (size_t)a->count, size);
  if (!bytes) return CO_ERR_MEMORY;
  co_status status =
      H5Aread(a->id, a->type, bytes) < 0
          ? library_failed(file, "read the attributes of", object)
          : cut_fixed_strings(bytes, a->count, size, H5Tget_strpad(a->type), arena, text);
  co_free(file->ctx, bytes);
  return status;
}

static co_status read_string_attribute(co_h5 *file, const char *object, const char *name,
                                       attribute *a, co_arena *arena, char ***out) {
  if (!a->element.is_string) return attribute_failed(file, object, name, "is not text");
  char **text = co_arena_alloc(arena, (size_t)a->count, sizeof *text);
  if (!text) return CO_ERR_MEMORY;
  if (a->count > 0)
    CO_RETURN_IF_FAILED(a->element.variable ? copy_variable_strings(file, object, a, arena, text)
                                            : copy_fixed_strings(file, object, a, arena, text));
  *out = text;
  return CO_OK;
}

co_status co_h5_get_strings(co_h5 *file, const char *object, const char *name, co_arena *arena,
                            char ***out, int64_t *count) {
  hid_t id;
  attribute a;
  *out = NULL;
  *count = 0;
  CO_RETURN_IF_FAILED(open_object(file, object, &id));
  co_status status = attribute_open(file, object, id, name, &a);
  if (status == CO_OK) {
    status = read_string_attribute(file, object, name, &a, arena, out);
    if (status == CO_OK) *count = a.count;
    attribute_close(&a);
  }
  drop(id);
  return status;
}

co_status co_h5_get_string(co_h5 *file, const char *object, const char *name, co_arena *arena,
                           char **out) {
  char **text;
  int64_t count;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_h5_get_strings(file, object, name, arena, &text, &count));
  if (count != 1) return attribute_failed(file, object, name, "is not a single text");
  *out = text[0];
  return CO_OK;
}

// ---- listing -----------------------------------------------------------------------------------

typedef struct name_list {
  co_arena *arena;
  char **name;
  int64_t count, capacity;
  bool no_memory;
} name_list;

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *user) {
  name_list *list = user;
  (void)group, (void)info;
  if (list->count == list->capacity) return -1; // more than the group itself said
  char *copy = co_arena_strdup(list->arena, name);
  if (!copy) {
    list->no_memory = true;
    return -1;
  }
  list->name[list->count++] = copy;
  return 0;
}

// By creation order where the group kept it.
static H5_index_t index_of(hid_t group) {
  unsigned flags = 0;
  hid_t plist = H5Gget_create_plist(group);
  if (plist < 0 || H5Pget_link_creation_order(plist, &flags) < 0) flags = 0;
  drop(plist);
  return flags & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

static co_status list_members(co_h5 *file, const char *path, hid_t group, name_list *list) {
  H5G_info_t info;
  hsize_t position = 0;
  if (H5Iget_type(group) != H5I_GROUP) return refuse(file, path, "is not a group");
  if (H5Gget_info(group, &info) < 0) return library_failed(file, "list", path);
  if (info.nlinks > MAX_MEMBERS) return refuse(file, path, "has too many members");
  list->capacity = (int64_t)info.nlinks;
  list->name = co_arena_alloc(list->arena, (size_t)list->capacity, sizeof *list->name);
  if (!list->name) return CO_ERR_MEMORY;
  if (H5Literate(group, index_of(group), H5_ITER_INC, &position, take_name, list) < 0)
    return list->no_memory ? CO_ERR_MEMORY : library_failed(file, "list", path);
  return CO_OK;
}

co_status co_h5_list(co_h5 *file, const char *group, co_arena *arena, char ***out, int64_t *count) {
  hid_t id;
  name_list list = {.arena = arena};
  *out = NULL;
  *count = 0;
  CO_RETURN_IF_FAILED(open_object(file, group, &id));
  co_status status = list_members(file, group, id, &list);
  drop(id);
  if (status != CO_OK) return status;
  *out = list.name;
  *count = list.count;
  return CO_OK;
}

// ---- writing -----------------------------------------------------------------------------------

// Before and after each writing function: an earlier failure sticks, and one of the driver during
// the call counts although the library saw nothing.
static co_status ready_to_write(co_h5 *file) {
  silence();
  if (!file->writing) return co_fail(CO_ERR_INTERNAL, "'%s' is open for reading", file->path);
  return file->error ? disk_failed(file) : CO_OK;
}

static co_status written(co_h5 *file, co_status status) {
  return status == CO_OK && file->error ? disk_failed(file) : status;
}

// Names are UTF-8.
static hid_t link_properties(void) {
  hid_t plist = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_char_encoding(plist, H5T_CSET_UTF8);
  return plist;
}

static hid_t create_group(hid_t parent, const char *name) {
  hid_t lcpl = link_properties(), gcpl = H5Pcreate(H5P_GROUP_CREATE);
  set_group_properties(gcpl);
  hid_t group = H5Gcreate2(parent, name, lcpl, gcpl, H5P_DEFAULT);
  drop(gcpl);
  drop(lcpl);
  return group;
}

// Replaces the group *at by its member `name`, which is made if absent.
static co_status enter(co_h5 *file, const char *path, const char *name, hid_t *at) {
  hid_t next;
  if (name[0] == '\0' || strcmp(name, ".") == 0) return refuse(file, path, "is not a usable name");
  lookup result = step(*at, name, &next);
  if (result == ABSENT) next = create_group(*at, name);
  if (next < 0) return library_failed(file, "create the group", path);
  drop(*at);
  *at = next;
  if (H5Iget_type(next) == H5I_GROUP) return CO_OK;
  return refuse(file, path, "lies behind something that is not a group");
}

// Opens the group that `path` lies in, making it, and gives the last component.
static co_status enter_parent(co_h5 *file, const char *path, hid_t *out, char name[NAME_BYTES]) {
  co_status status = CO_OK;
  char following[NAME_BYTES];
  *out = H5Oopen(file->id, "/", H5P_DEFAULT);
  if (*out < 0) return library_failed(file, "open", "/");
  const char *rest = next_component(path, name);
  if (!rest || name[0] == '\0') status = refuse(file, path, "is not a usable name");
  while (status == CO_OK && (rest = next_component(rest, following)) != NULL) {
    status = enter(file, path, name, out);
    memcpy(name, following, strlen(following) + 1);
  }
  if (status == CO_OK && name[0] == '\0') status = refuse(file, path, "is not a usable name");
  if (status != CO_OK) drop(*out);
  return status;
}

static co_status make_group(co_h5 *file, const char *path) {
  hid_t group;
  char name[NAME_BYTES];
  CO_RETURN_IF_FAILED(enter_parent(file, path, &group, name));
  co_status status = enter(file, path, name, &group);
  drop(group);
  return status;
}

co_status co_h5_make_group(co_h5 *file, const char *path) {
  CO_RETURN_IF_FAILED(ready_to_write(file));
  if (path[strspn(path, "/")] == '\0') return CO_OK; // the root is always there
  return written(file, make_group(file, path));
}

static herr_t set_chunks(hid_t plist, const co_shape *shape, size_t size,
                         const co_h5_storage *storage) {
  hsize_t chunk[CO_MAX_RANK];
  for (int i = 0; i < shape->rank; i++)
    chunk[i] = (hsize_t)shape->dim[i];
  if (storage->chunk_rows < shape->dim[0]) chunk[0] = (hsize_t)storage->chunk_rows;
  herr_t result = H5Pset_chunk(plist, shape->rank, chunk);
  // Edge chunks are stored whole: their padding must be zero, not what memory held.
  if (result >= 0) result = H5Pset_fill_time(plist, H5D_FILL_TIME_ALLOC);
  if (result >= 0 && storage->deflate > 0) {
    if (size > 1) result = H5Pset_shuffle(plist);
    if (result >= 0) result = H5Pset_deflate(plist, (unsigned)storage->deflate);
  }
  if (result >= 0 && storage->fletcher32) result = H5Pset_fletcher32(plist);
  return result;
}

// The creation properties; negative on failure.
static hid_t storage_properties(const co_shape *shape, size_t size, const co_h5_storage *storage) {
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
  bool chunked = storage && storage->chunk_rows > 0 && shape->rank > 0 && co_shape_count(shape) > 0;
  herr_t result = H5Pset_obj_track_times(plist, 0);
  if (result >= 0)
    result = chunked ? set_chunks(plist, shape, size, storage)
                     : H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
  if (result >= 0) return plist;
  drop(plist);
  return -1;
}

static hid_t make_space(const co_shape *shape) {
  hsize_t extent[CO_MAX_RANK];
  if (shape->rank == 0) return H5Screate(H5S_SCALAR);
  for (int i = 0; i < shape->rank; i++)
    extent[i] = (hsize_t)shape->dim[i];
  return H5Screate_simple(shape->rank, extent, NULL);
}

// Creates the dataset and leaves it open in *out.
static co_status create_dataset(co_h5 *file, const char *path, hid_t type, size_t size,
                                const co_shape *shape, const co_h5_storage *storage, hid_t *out) {
  hid_t group;
  char name[NAME_BYTES];
  co_status status = CO_OK;
  *out = -1;
  if (type < 0 || co_shape_count(shape) < 0)
    return co_fail(CO_ERR_INTERNAL, "'%s': '%s' has a type or shape that cannot be stored",
                   file->path, path);
  CO_RETURN_IF_FAILED(enter_parent(file, path, &group, name));
  hid_t plist = storage_properties(shape, size, storage), space = -1, lcpl = -1;
  if (plist >= 0) space = make_space(shape);
  if (space >= 0) lcpl = link_properties();
  if (lcpl >= 0) *out = H5Dcreate2(group, name, type, space, lcpl, plist, H5P_DEFAULT);
  if (*out < 0) status = library_failed(file, "create the dataset", path);
  drop(lcpl);
  drop(space);
  drop(plist);
  drop(group);
  return status;
}

// Closing writes what the chunk cache holds, so it can fail.
static co_status finish_dataset(co_h5 *file, const char *path, hid_t id, co_status status) {
  if (id >= 0 && H5Dclose(id) < 0 && status == CO_OK) status = library_failed(file, "write", path);
  return written(file, status);
}

static co_status write_attribute(co_h5 *file, const char *object, hid_t id, const char *name,
                                 hid_t stored, hid_t memory, hid_t space, const void *value) {
  co_status status = CO_OK;
  htri_t exists = H5Aexists(id, name);
  if (exists > 0) H5Adelete(id, name);
  hid_t plist = H5Pcreate(H5P_ATTRIBUTE_CREATE);
  H5Pset_char_encoding(plist, H5T_CSET_UTF8);
  hid_t attr = H5Acreate2(id, name, stored, space, plist, H5P_DEFAULT);
  if (attr < 0 || (value && H5Awrite(attr, memory, value) < 0))
    status = library_failed(file, "write an attribute of", object);
  drop(attr);
  drop(plist);
  return status;
}

static co_status write_scalar(co_h5 *file, const char *object, hid_t id, const char *name,
                              co_dtype dtype, const void *value) {
  hid_t space = H5Screate(H5S_SCALAR);
  co_status status =
      write_attribute(file, object, id, name, stored_type(dtype), memory_type(dtype), space, value);
  drop(space);
  return status;
}

co_status co_h5_write(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                      const void *data, const co_h5_storage *storage, bool checksum) {
  hid_t id;
  int64_t count = co_shape_count(shape);
  size_t size = co_dtype_size(dtype);
  CO_RETURN_IF_FAILED(ready_to_write(file));
  co_status status = create_dataset(file, path, stored_type(dtype), size, shape, storage, &id);
  if (status == CO_OK && count > 0 &&
      H5Dwrite(id, memory_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    status = library_failed(file, "write", path);
  if (status == CO_OK && checksum) {
    int64_t crc = co_crc32c(0, data, (size_t)count * size);
    status = write_scalar(file, path, id, CHECKSUM_NAME, CO_I64, &crc);
  }
  return finish_dataset(file, path, id, status);
}

co_status co_h5_create_dataset(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                               const co_h5_storage *storage) {
  hid_t id;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  co_status status =
      create_dataset(file, path, stored_type(dtype), co_dtype_size(dtype), shape, storage, &id);
  return finish_dataset(file, path, id, status);
}

static co_status write_slab(co_h5 *file, const char *path, dataset *d, int64_t begin, int64_t count,
                            const void *data) {
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(check_rows(file, path, d, begin, count));
  if (count == 0 || d->row == 0) return CO_OK;
  hid_t memory = select_rows(d, begin, count);
  if (memory < 0 || H5Dwrite(d->id, d->element.memory, memory, d->space, H5P_DEFAULT, data) < 0)
    status = library_failed(file, "write", path);
  drop(memory);
  return status;
}

co_status co_h5_write_rows(co_h5 *file, const char *path, int64_t begin, int64_t count,
                           const void *data) {
  dataset d;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  CO_RETURN_IF_FAILED(number_dataset_open(file, path, &d));
  co_status status = write_slab(file, path, &d, begin, count, data);
  hid_t id = d.id;
  d.id = -1;
  dataset_close(&d);
  return finish_dataset(file, path, id, status);
}

static hid_t string_type(void) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

co_status co_h5_write_strings(co_h5 *file, const char *path, const char *const *text,
                              int64_t count) {
  hid_t id;
  co_shape shape = co_shape_make(1, count);
  CO_RETURN_IF_FAILED(ready_to_write(file));
  hid_t type = string_type();
  co_status status = create_dataset(file, path, type, 1, &shape, NULL, &id);
  if (status == CO_OK && count > 0 && H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
    status = library_failed(file, "write", path);
  drop(type);
  return finish_dataset(file, path, id, status);
}

static co_status set_text(co_h5 *file, const char *object, const char *name, hid_t space,
                          const char *const *text) {
  hid_t id;
  co_status status = open_object(file, object, &id);
  if (status == CO_OK) {
    hid_t type = string_type();
    status = write_attribute(file, object, id, name, type, type, space, text);
    drop(type);
    drop(id);
  }
  drop(space);
  return written(file, status);
}

co_status co_h5_set_string(co_h5 *file, const char *object, const char *name, const char *value) {
  CO_RETURN_IF_FAILED(ready_to_write(file));
  return set_text(file, object, name, H5Screate(H5S_SCALAR), &value);
}

co_status co_h5_set_strings(co_h5 *file, const char *object, const char *name,
                            const char *const *text, int64_t count) {
  hsize_t extent = (hsize_t)count;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  return set_text(file, object, name, H5Screate_simple(1, &extent, NULL), count ? text : NULL);
}

static co_status set_number(co_h5 *file, const char *object, const char *name, co_dtype dtype,
                            const void *value) {
  hid_t id;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  CO_RETURN_IF_FAILED(open_object(file, object, &id));
  co_status status = write_scalar(file, object, id, name, dtype, value);
  drop(id);
  return written(file, status);
}

co_status co_h5_set_int(co_h5 *file, const char *object, const char *name, int64_t value) {
  return set_number(file, object, name, CO_I64, &value);
}

co_status co_h5_set_double(co_h5 *file, const char *object, const char *name, double value) {
  return set_number(file, object, name, CO_F64, &value);
}
