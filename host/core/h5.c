// SPDX-License-Identifier: Apache-2.0
// Opening and closing files, finding and listing what is in them, and the errors of all of it.
#include "host/core/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/utf8.h"

// ---- errors ------------------------------------------------------------------------------------

void co_h5_silence(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void co_h5_drop(hid_t id) {
  if (id >= 0) H5Idec_ref(id);
}

typedef struct reason {
  char text[256];
  bool no_memory;
  int error; // errno of a system call that failed, 0 if none did
} reason;

static herr_t take_innermost(unsigned n, const H5E_error2_t *entry, void *user) {
  reason *r = user;
  if (entry->maj_num == H5E_RESOURCE && entry->min_num == H5E_NOSPACE) r->no_memory = true;
  if (n != 0 || !entry->desc) return 0;
  // System errors come with times and addresses around the part that says something.
  const char *number = strstr(entry->desc, "errno = ");
  if (number) r->error = (int)strtol(number + strlen("errno = "), NULL, 10);
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

co_status co_h5_disk_failed(co_h5 *file) {
  return co_fail_errno(CO_ERR_IO, file->error, "cannot write '%s'", file->path);
}

// A file that cannot be read says nothing of what is in it.
static co_status cannot_read(const co_h5 *file, int error) {
  return co_fail_errno(CO_ERR_IO, error, "cannot read '%s'", file->path);
}

co_status co_h5_library_failed(co_h5 *file, const char *what, const char *object) {
  if (file->error) return co_h5_disk_failed(file);
  reason r = library_reason();
  if (r.error && !file->writing) return cannot_read(file, r.error);
  return co_fail(r.no_memory ? CO_ERR_MEMORY : file->failure, "'%s': cannot %s '%s': %s",
                 file->path, what, object, r.text);
}

co_status co_h5_refuse(co_h5 *file, const char *object, const char *why) {
  return co_fail(file->failure, "'%s': '%s' %s", file->path, object, why);
}

// ---- opening and closing -----------------------------------------------------------------------

static void file_free(co_h5 *file) {
  if (!file) return;
  if (file->methods > 0) H5FDunregister(file->methods);
  co_free(file->ctx, file->ranges);
  co_free(file->ctx, file->parent_path);
  co_free(file->ctx, file->path);
  co_free(file->ctx, file);
}

static co_h5 *file_create(co_context *ctx, const char *path, co_status failure, bool writing) {
  co_h5_silence();
  H5PLset_loading_state(0); // a file must not make the library load code
  co_h5 *file = co_alloc_zero(ctx, 1, sizeof *file);
  if (!file) return NULL;
  *file = (co_h5){.ctx = ctx,
                  .id = -1,
                  .failure = failure,
                  .writing = writing,
                  .parent = -1,
                  .links = -1,
                  .found = -1,
                  .found_in = -1};
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
  htri_t signature = file->part.bytes ? 1 : looks_like_hdf5(file->path, fapl);
  if (r.no_memory) return co_fail(CO_ERR_MEMORY, "cannot open '%s': %s", file->path, r.text);
  if (r.error) return cannot_read(file, r.error);
  if (signature > 0)
    return co_fail(file->failure, "'%s' is truncated or damaged: %s", file->path, r.text);
  if (signature == 0) return co_fail(file->failure, "'%s' is not an HDF5 file", file->path);
  return co_fail(file->failure, "cannot open '%s': %s", file->path, r.text);
}

// What the file system says of a file. (Without waiting: it may be a pipe.)
static co_status look_at(const co_h5 *file, int *fd, struct stat *info) {
  *fd = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int error = *fd < 0 || fstat(*fd, info) != 0 ? errno : 0;
  bool missing = error == ENOENT || error == ENOTDIR;
  if (error)
    return co_fail_errno(missing ? file->failure : CO_ERR_IO, error, "cannot open '%s'",
                         file->path);
  if (!S_ISREG(info->st_mode))
    return co_fail(file->failure, "'%s' is not a regular file", file->path);
  if (info->st_size == 0)
    return co_fail(file->failure, "'%s' is empty, not an HDF5 file", file->path);
  return CO_OK;
}

// All that can be known before the library parses the file; the library also does not say why it
// could not open one.
static co_status check_before_parsing(co_h5 *file) {
  struct stat info = {0};
  bool has_checksum = false;
  int fd;
  co_status status = look_at(file, &fd, &info);
  if (status == CO_OK) status = co_h5_check_file(file, fd, (uint64_t)info.st_size, &has_checksum);
  if (fd >= 0) close(fd);
  if (status == CO_OK && !has_checksum)
    status = co_context_probe(file->ctx, file->path, file->failure);
  return status;
}

static co_status open_for_reading(co_h5 *file) {
  CO_RETURN_IF_FAILED(check_before_parsing(file));
  hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(fapl, H5F_CLOSE_SEMI);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(fapl, 0, 1); // locks fail on some network file systems
#endif
  if (file->part.bytes) {
    h5_driver_settings settings = {file};
    file->methods = co_h5_driver_register();
    H5Pset_driver(fapl, file->methods, &settings);
  }
  co_status status = CO_OK;
  file->id = H5Fopen(file->path, H5F_ACC_RDONLY, fapl);
  if (file->id < 0) status = open_failed(file, fapl);
  co_h5_drop(fapl);
  return status;
}

co_status co_h5_open_part(co_h5 **out, co_context *ctx, const char *path, uint64_t offset,
                          uint64_t bytes, co_status failure) {
  *out = NULL;
  co_h5 *file = file_create(ctx, path, failure, false);
  if (!file) return CO_ERR_MEMORY;
  file->part = (h5_range){offset, bytes};
  co_status status = open_for_reading(file);
  if (status == CO_OK)
    *out = file;
  else
    file_free(file);
  return status;
}

co_status co_h5_open(co_h5 **out, co_context *ctx, const char *path, co_status failure) {
  return co_h5_open_part(out, ctx, path, 0, 0, failure);
}

void co_h5_set_group_properties(hid_t plist) {
  H5Pset_obj_track_times(plist, 0);
  H5Pset_link_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
}

static co_status open_for_writing(co_h5 *file) {
  h5_driver_settings settings = {file};
  hid_t methods = co_h5_driver_register();
  hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), fcpl = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fclose_degree(fapl, H5F_CLOSE_SEMI);
  co_h5_set_group_properties(fcpl);
  if (file->block_bytes) H5Pset_userblock(fcpl, file->block_bytes);
  co_status status = CO_OK;
  if (H5Pset_driver(fapl, methods, &settings) >= 0)
    file->id = H5Fcreate(file->path, H5F_ACC_TRUNC, fcpl, fapl);
  if (file->id < 0)
    status = file->error ? co_fail_errno(CO_ERR_IO, file->error, "cannot create '%s'", file->path)
                         : co_h5_library_failed(file, "create", "/");
  co_h5_drop(fcpl);
  co_h5_drop(fapl);
  // Until the file is closed: the library drops a file's own hold on the methods before it calls
  // the last of them.
  if (methods >= 0) file->methods = methods;
  return status;
}

static co_status create(co_h5 **out, co_context *ctx, const char *path, const char *kind,
                        size_t block_bytes) {
  *out = NULL;
  co_h5 *file = file_create(ctx, path, CO_ERR_IO, true);
  if (!file) return CO_ERR_MEMORY;
  file->block_bytes = block_bytes;
  snprintf(file->kind, sizeof file->kind, "%s", kind);
  co_status status = open_for_writing(file);
  if (status == CO_OK && file->error) status = co_h5_disk_failed(file);
  if (status == CO_OK)
    *out = file;
  else
    co_h5_abandon(file);
  return status;
}

co_status co_h5_create(co_h5 **out, co_context *ctx, const char *path) {
  return create(out, ctx, path, "", 0);
}

co_status co_h5_create_checked(co_h5 **out, co_context *ctx, const char *path, const char *kind,
                               int ranges) {
  return create(out, ctx, path, kind, co_h5_block_bytes(ranges));
}

static void drop_kept(co_h5 *file) {
  co_h5_drop(file->parent);
  co_h5_drop(file->links);
  co_h5_drop(file->found);
  co_h5_drop(file->found_in);
  file->parent = file->links = file->found = file->found_in = -1;
}

co_status co_h5_close(co_h5 *file) {
  if (!file) return CO_OK;
  co_h5_silence();
  co_status status = CO_OK;
  drop_kept(file);
  // The library says "closed" with identifiers open, and then does not finish the file. (Only those
  // of this handle count: the file may be open twice.)
  if (H5Fget_obj_count(file->id, H5F_OBJ_ALL | H5F_OBJ_LOCAL) != 1)
    status = co_fail(CO_ERR_INTERNAL, "'%s': objects are still open at its close", file->path);
  if (file->writing && !file->error) file->error = co_io_fault(file->ctx);
  if (H5Fclose(file->id) < 0 && status == CO_OK && !file->error)
    status = co_h5_library_failed(file, "close", "/");
  if (file->error && status == CO_OK) status = co_h5_disk_failed(file);
  if (file->block_bytes && status == CO_OK) status = co_h5_write_checksum(file);
  file_free(file);
  return status;
}

void co_h5_abandon(co_h5 *file) {
  if (!file) return;
  co_h5_silence();
  if (file->writing && !file->error) file->error = ECANCELED; // nothing more need be written
  drop_kept(file);
  if (file->id >= 0) H5Fclose(file->id);
  file_free(file);
}

const char *co_h5_path(const co_h5 *file) {
  return file->path;
}

bool co_h5_is_thread_safe(void) {
  hbool_t safe = false;
  return H5is_library_threadsafe(&safe) >= 0 && safe;
}

void co_h5_version(char *out, size_t size) {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(out, size, "%u.%u.%u", major, minor, release);
}

// ---- finding objects ---------------------------------------------------------------------------

const char *co_h5_next_component(const char *path, char name[H5_NAME_BYTES]) {
  path += strspn(path, "/");
  size_t length = strcspn(path, "/");
  if (length == 0) return NULL;
  name[0] = '\0';
  if (length < H5_NAME_BYTES) {
    memcpy(name, path, length);
    name[length] = '\0';
  }
  return path + length;
}

h5_lookup co_h5_step(hid_t at, const char *name, hid_t *out) {
  H5L_info_t info;
  *out = -1;
  if (H5Iget_type(at) != H5I_GROUP || name[0] == '\0' || strcmp(name, ".") == 0) return H5_ABSENT;
  htri_t exists = H5Lexists(at, name, H5P_DEFAULT);
  if (exists <= 0) return exists == 0 ? H5_ABSENT : H5_BROKEN;
  if (H5Lget_info(at, name, &info, H5P_DEFAULT) < 0) return H5_BROKEN;
  if (info.type != H5L_TYPE_HARD) return H5_LINKED;
  *out = H5Oopen(at, name, H5P_DEFAULT);
  return *out < 0 ? H5_BROKEN : H5_FOUND;
}

static hid_t hold(hid_t id) {
  return H5Iinc_ref(id) < 0 ? -1 : id;
}

// Of a path that begins in the group of what was found last, the length of the group's; else 0.
static size_t known_length(const co_h5 *file, const char *path) {
  const char *slash = strrchr(path, '/');
  if (file->found < 0 || !slash) return 0;
  size_t length = (size_t)(slash - path) + 1;
  bool same =
      strncmp(file->found_path, path, length) == 0 && !strchr(file->found_path + length, '/');
  return same ? length : 0;
}

// Both are held by who asked, too.
static void keep_found(co_h5 *file, const char *path, hid_t object, hid_t group) {
  size_t length = strlen(path);
  co_h5_drop(file->found);
  co_h5_drop(file->found_in);
  file->found = file->found_in = -1;
  if (file->writing || length >= sizeof file->found_path) return;
  memcpy(file->found_path, path, length + 1);
  file->found = hold(object);
  file->found_in = hold(group);
}

// Component by component, because the library itself would follow any link on the way. The error of
// the library is recorded here, before closing anything clears it.
static h5_lookup walk(co_h5 *file, const char *path, hid_t *out) {
  char name[H5_NAME_BYTES];
  h5_lookup result = H5_FOUND;
  size_t known = known_length(file, path);
  *out = -1;
  if (known && strcmp(file->found_path, path) == 0)
    return (*out = hold(file->found)) < 0 ? H5_BROKEN : H5_FOUND;
  hid_t at = known ? hold(file->found_in) : H5Oopen(file->id, "/", H5P_DEFAULT), in = -1;
  if (at < 0) result = H5_BROKEN;
  for (const char *rest = path + known;
       result == H5_FOUND && (rest = co_h5_next_component(rest, name)) != NULL;) {
    hid_t next;
    result = co_h5_step(at, name, &next);
    if (result != H5_FOUND) break;
    co_h5_drop(in);
    in = at;
    at = next;
  }
  if (result == H5_BROKEN) co_h5_library_failed(file, "open", path);
  if (result == H5_FOUND && in >= 0) keep_found(file, path, at, in);
  co_h5_drop(in);
  if (result == H5_FOUND)
    *out = at;
  else
    co_h5_drop(at);
  return result;
}

co_status co_h5_open_object(co_h5 *file, const char *path, hid_t *out) {
  co_h5_silence();
  switch (walk(file, path, out)) {
  case H5_FOUND:
    return CO_OK;
  case H5_ABSENT:
    return co_fail(file->failure, "'%s' has no '%s'", file->path, path);
  case H5_LINKED:
    return co_h5_refuse(file, path, "is, or lies behind, a soft, external or user-defined link");
  default:
    return co_error_last()->status;
  }
}

bool co_h5_exists(co_h5 *file, const char *path) {
  hid_t object;
  co_h5_silence();
  if (walk(file, path, &object) != H5_FOUND) return false;
  H5I_type_t type = H5Iget_type(object);
  co_h5_drop(object);
  return type == H5I_GROUP || type == H5I_DATASET;
}

bool co_h5_has_attribute(co_h5 *file, const char *object, const char *name) {
  hid_t id;
  co_h5_silence();
  if (walk(file, object, &id) != H5_FOUND) return false;
  bool has = H5Aexists(id, name) > 0;
  co_h5_drop(id);
  return has;
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
  co_h5_drop(plist);
  return flags & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

static co_status list_members(co_h5 *file, const char *path, hid_t group, name_list *list) {
  H5G_info_t info;
  hsize_t position = 0;
  if (H5Iget_type(group) != H5I_GROUP) return co_h5_refuse(file, path, "is not a group");
  if (H5Gget_info(group, &info) < 0) return co_h5_library_failed(file, "list", path);
  if (info.nlinks > H5_MAX_MEMBERS) return co_h5_refuse(file, path, "has too many members");
  list->capacity = (int64_t)info.nlinks;
  list->name = co_arena_alloc(list->arena, (size_t)list->capacity, sizeof *list->name);
  if (!list->name) return CO_ERR_MEMORY;
  if (H5Literate(group, index_of(group), H5_ITER_INC, &position, take_name, list) < 0)
    return list->no_memory ? CO_ERR_MEMORY : co_h5_library_failed(file, "list", path);
  return CO_OK;
}

static co_status check_names(co_h5 *file, const char *group, const name_list *list) {
  for (int64_t i = 0; i < list->count; i++) {
    int64_t bad = co_utf8_find_bad(list->name[i]);
    if (bad < 0) continue;
    co_status status = co_fail(
        file->failure, "'%s': the name of member %lld of '%s' is not UTF-8 in byte %lld (0x%02X)",
        file->path, (long long)i, group, (long long)bad, (unsigned char)list->name[i][bad]);
    co_hint("rename it, in UTF-8");
    return status;
  }
  return CO_OK;
}

co_status co_h5_list(co_h5 *file, const char *group, co_arena *arena, char ***out, int64_t *count) {
  hid_t id;
  name_list list = {.arena = arena};
  *out = NULL;
  *count = 0;
  CO_RETURN_IF_FAILED(co_h5_open_object(file, group, &id));
  co_status status = list_members(file, group, id, &list);
  co_h5_drop(id);
  if (status == CO_OK) status = check_names(file, group, &list);
  if (status != CO_OK) return status;
  *out = list.name;
  *count = list.count;
  return CO_OK;
}
