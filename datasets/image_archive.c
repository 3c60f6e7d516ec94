// SPDX-License-Identifier: Apache-2.0
// What is used of libarchive's interface (archive.h, archive_entry.h; stable since 3.0) is declared here.
#include "datasets/image_archive.h"

#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "datasets/split_rows.h"
#include "host/core/library.h"

#define LIBRARY "libarchive.so.13"

enum {
  ARCHIVE_EOF = 1,
  ARCHIVE_WARN = -20, // what was read can be used
  BLOCK_BYTES = 1 << 18,
  TAR_BLOCK = 512,
  TAR_MAGIC = 257 // "ustar": of POSIX and of GNU
};

typedef struct archive_api {
  void *library;
  void *(*read_new)(void);
  int (*filter_bzip2)(void *), (*filter_gzip)(void *), (*filter_xz)(void *), (*filter_zstd)(void *);
  int (*format_tar)(void *), (*format_zip)(void *);
  int (*open_filename)(void *, const char *, size_t);
  int (*next_header)(void *, void **);
  ssize_t (*read_data)(void *, void *, size_t);
  int (*read_free)(void *);
  const char *(*error_string)(void *);
  const char *(*pathname)(void *), *(*pathname_utf8)(void *);
  const char *(*hardlink)(void *), *(*hardlink_utf8)(void *);
  mode_t (*filetype)(void *);
} archive_api;

// A second name of a file that came before.
typedef struct second_name {
  const char *path, *target;
} second_name;

typedef struct reader {
  co_image_folder *out;
  const char *path;
  const volatile int *stop;
  archive_api api;
  void *archive;
  char *block;
  int64_t place; // of the next file
  bool here;     // some name began with "./": what was packed is the folder itself
  second_name *links;
  int64_t link_count, link_capacity;
} reader;

static co_status load(archive_api *a) {
  void *l = a->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (l && co_library_find(l, "archive_read_new", &a->read_new) &&
      co_library_find(l, "archive_read_support_filter_bzip2", &a->filter_bzip2) &&
      co_library_find(l, "archive_read_support_filter_gzip", &a->filter_gzip) &&
      co_library_find(l, "archive_read_support_filter_xz", &a->filter_xz) &&
      co_library_find(l, "archive_read_support_filter_zstd", &a->filter_zstd) &&
      co_library_find(l, "archive_read_support_format_tar", &a->format_tar) &&
      co_library_find(l, "archive_read_support_format_zip", &a->format_zip) &&
      co_library_find(l, "archive_read_open_filename", &a->open_filename) &&
      co_library_find(l, "archive_read_next_header", &a->next_header) &&
      co_library_find(l, "archive_read_data", &a->read_data) &&
      co_library_find(l, "archive_read_free", &a->read_free) &&
      co_library_find(l, "archive_error_string", &a->error_string) &&
      co_library_find(l, "archive_entry_pathname", &a->pathname) &&
      co_library_find(l, "archive_entry_pathname_utf8", &a->pathname_utf8) &&
      co_library_find(l, "archive_entry_hardlink", &a->hardlink) &&
      co_library_find(l, "archive_entry_hardlink_utf8", &a->hardlink_utf8) &&
      co_library_find(l, "archive_entry_filetype", &a->filetype))
    return CO_OK;
  co_status status = co_fail(CO_ERR_DEVICE, "%s cannot be used: %s", LIBRARY, dlerror());
  co_hint("archives are read by it: apt install libarchive13, or unpack them into a folder");
  return status;
}

void co_image_archive_version(char out[64]) {
  int (*version)(void) = NULL;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library && co_library_find(library, "archive_version_number", &version))
    snprintf(out, 64, "%d.%d.%d", version() / 1000000, version() / 1000 % 1000, version() % 1000);
  else
    snprintf(out, 64, "missing (apt install libarchive13)");
  if (library) dlclose(library);
}

// ---- what it is --------------------------------------------------------------------------------

static bool is_tar(const unsigned char *bytes, size_t length) {
  return length >= TAR_BLOCK && memcmp(bytes + TAR_MAGIC, "ustar", 5) == 0;
}

static bool is_gzip_of_tar(const char *path) {
  unsigned char begin[TAR_BLOCK];
  gzFile file = gzopen(path, "rbe");
  int got = file ? gzread(file, begin, sizeof begin) : 0;
  if (file) gzclose(file);
  return got > 0 && is_tar(begin, (size_t)got);
}

bool co_image_archive_is(const char *path) {
  static const struct {
    const char *bytes;
    size_t length;
  } marks[] = {{"PK\3\4", 4}, {"BZh", 3}, {"\3757zXZ", 5}, {"\x28\xB5\x2F\xFD", 4}};
  unsigned char begin[TAR_BLOCK];
  struct stat info;
  if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  FILE *file = fopen(path, "rbe");
  size_t got = file ? fread(begin, 1, sizeof begin, file) : 0;
  if (file) fclose(file);
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
    if (got >= marks[i].length && memcmp(begin, marks[i].bytes, marks[i].length) == 0) return true;
  bool gzip = got >= 2 && begin[0] == 0x1F && begin[1] == 0x8B;
  return gzip ? is_gzip_of_tar(path) : is_tar(begin, got);
}

// ---- its files ---------------------------------------------------------------------------------

static co_status damaged(const reader *r, const char *name) {
  const char *reason = r->api.error_string(r->archive);
  co_status status = co_fail_at(CO_ERR_DATA, r->path, 0, 0,
                                "the archive cannot be read%s%.200s%s: %s", name ? ", at '" : "",
                                name ? name : "", name ? "'" : "", reason ? reason : "damaged");
  co_hint("its other images: unpack it into a folder, as far as that goes, and import that");
  return status;
}

static bool is_hidden(const char *path) {
  for (const char *at = path; *at; at += strcspn(at, "/") + (at[strcspn(at, "/")] == '/'))
    if (*at == '.') return true;
  return false;
}

// Without "./" and "/" before it. NULL = no memory.
static const char *keep_name(reader *r, const char *name) {
  for (; name[0] == '/' || (name[0] == '.' && name[1] == '/'); name += name[0] == '/' ? 1 : 2)
    r->here |= name[0] == '.';
  return co_arena_strdup(r->out->arena, name);
}

static co_status copy_bytes(reader *r, co_image_file *file) {
  file->place = r->place;
  for (ssize_t got; (got = r->api.read_data(r->archive, r->block, BLOCK_BYTES)) != 0;) {
    if (got < 0) return damaged(r, file->path);
    co_alive(r->out->ctx, CO_PATIENCE_DISK);
    if (r->stop && *r->stop) return co_fail(CO_INTERRUPTED, "stopped; no output was written");
    if (file->length + got > CO_IMAGE_FILE_MOST) {
      file->length = CO_IMAGE_TOO_LONG;
      break;
    }
    CO_RETURN_IF_FAILED(
        co_scratch_write(&r->out->scratch, r->block, (size_t)got, file->place + file->length));
    file->length += got;
  }
  r->place += file->length > 0 ? file->length : 1; // places are in the order of the archive
  return CO_OK;
}

static co_status keep_link(reader *r, const char *path, const char *target) {
  if (!co_image_is_called(path)) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_grow(r->out->ctx, (void **)&r->links, &r->link_capacity, r->link_count, sizeof *r->links));
  r->links[r->link_count] = (second_name){path, keep_name(r, target)};
  return r->links[r->link_count++].target ? CO_OK : CO_ERR_MEMORY;
}

static co_status take_entry(reader *r, void *entry) {
  const char *name = r->api.pathname_utf8(entry), *target = r->api.hardlink_utf8(entry);
  if (!name) name = r->api.pathname(entry); // whose bytes are told to be no UTF-8, later
  if (!target) target = r->api.hardlink(entry);
  if (!name) return damaged(r, NULL);
  co_image_file file = {.path = keep_name(r, name), .class_ = -1, .split = -1};
  if (!file.path) return CO_ERR_MEMORY;
  if (is_hidden(file.path)) return CO_OK;
  if (target) return keep_link(r, file.path, target);
  if (r->api.filetype(entry) != S_IFREG) return CO_OK;
  if (co_image_is_called(file.path)) CO_RETURN_IF_FAILED(copy_bytes(r, &file));
  return co_image_folder_add(r->out, &file);
}

static co_status read_entries(reader *r) {
  archive_api *a = &r->api;
  void *entry;
  if (!(r->archive = a->read_new()) || !(r->block = co_alloc(r->out->ctx, BLOCK_BYTES)))
    return CO_ERR_MEMORY;
  a->filter_bzip2(r->archive);
  a->filter_gzip(r->archive);
  a->filter_xz(r->archive);
  a->filter_zstd(r->archive);
  a->format_tar(r->archive);
  a->format_zip(r->archive);
  if (a->open_filename(r->archive, r->path, BLOCK_BYTES) < ARCHIVE_WARN) return damaged(r, NULL);
  for (int result; (result = a->next_header(r->archive, &entry)) != ARCHIVE_EOF;) {
    if (result < ARCHIVE_WARN) return damaged(r, NULL);
    if (r->stop && *r->stop) return co_fail(CO_INTERRUPTED, "stopped; no output was written");
    co_alive(r->out->ctx, CO_PATIENCE_DISK);
    CO_RETURN_IF_FAILED(take_entry(r, entry));
  }
  return CO_OK;
}

// ---- their order -------------------------------------------------------------------------------

static int by_path(const void *a, const void *b) {
  const co_image_file *x = a, *y = b;
  int order = strcmp(x->path, y->path);
  return order ? order : (x->place > y->place) - (x->place < y->place);
}

static void sort_files(co_image_folder *f) {
  int64_t count = 0;
  if (f->count) qsort(f->files, (size_t)f->count, sizeof *f->files, by_path);
  for (int64_t i = 0; i < f->count; i++) {
    if (count && strcmp(f->files[count - 1].path, f->files[i].path) == 0) count--;
    f->files[count++] = f->files[i];
  }
  f->count = count;
}

static co_status follow_links(reader *r) {
  co_image_folder *f = r->out;
  const int64_t count = f->count;
  for (int64_t i = 0; i < r->link_count; i++) {
    const co_image_file *found = co_image_folder_find(f, count, r->links[i].target);
    co_image_file file = {
        .path = r->links[i].path, .class_ = -1, .split = -1, .length = CO_IMAGE_ABSENT};
    if (found) {
      file.place = found->place;
      file.length = found->length;
    }
    CO_RETURN_IF_FAILED(co_image_folder_add(f, &file));
  }
  if (r->link_count) sort_files(f);
  return CO_OK;
}

// The bytes of a folder that all files lie in, with its slash; 0 = there is none, or it is a split.
static size_t common_folder(const co_image_folder *f, bool *deeper) {
  const char *first = f->files[0].path, *last = f->files[f->count - 1].path; // in order
  size_t length = strcspn(first, "/");
  *deeper = true;
  if (!first[length] || co_split_of_cell(first, length) >= 0 ||
      strncmp(first, last, length + 1) != 0)
    return 0;
  for (int64_t i = 0; i < f->count; i++)
    *deeper &= strchr(f->files[i].path + length + 1, '/') != NULL;
  return length + 1;
}

// The folder that was packed, and those it lies in: there may be classes only below.
static void drop_common_folders(reader *r) {
  co_image_folder *f = r->out;
  bool deeper;
  for (bool first = true; f->count && !r->here; first = false) {
    size_t length = common_folder(f, &deeper);
    if (!length || (!first && !deeper)) return;
    for (int64_t i = 0; i < f->count; i++)
      f->files[i].path += length;
  }
}

static co_status read_all(reader *r) {
  CO_RETURN_IF_FAILED(load(&r->api));
  CO_RETURN_IF_FAILED(read_entries(r));
  sort_files(r->out);
  CO_RETURN_IF_FAILED(follow_links(r));
  drop_common_folders(r);
  return CO_OK;
}

co_status co_image_archive_read(co_image_folder *out, const char *path, const volatile int *stop) {
  reader r = {.out = out, .path = path, .stop = stop};
  // libarchive gives names in the thread's locale, and drops those that it does not have.
  locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
  co_status status = read_all(&r);
  if (utf8) {
    uselocale(before);
    freelocale(utf8);
  }
  if (r.archive) r.api.read_free(r.archive);
  if (r.api.library) dlclose(r.api.library);
  co_free(out->ctx, r.block);
  co_free(out->ctx, r.links);
  return status;
}
