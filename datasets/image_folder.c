// SPDX-License-Identifier: Apache-2.0
#include "datasets/image_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "datasets/image_archive.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"

enum { MAX_DEPTH = 32 }; // links may lead in circles

// ---- files -------------------------------------------------------------------------------------

bool co_image_is_called(const char *name) {
  static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp"};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
    if (strcasecmp(dot, endings[i]) == 0) return true;
  return false;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const co_image_file *)a)->path, ((const co_image_file *)b)->path);
}

const co_image_file *co_image_folder_find(const co_image_folder *f, int64_t count,
                                          const char *path) {
  const co_image_file wanted = {.path = path};
  return count ? bsearch(&wanted, f->files, (size_t)count, sizeof wanted, by_path) : NULL;
}

co_status co_image_folder_add(co_image_folder *f, const co_image_file *file) {
  if (!co_image_is_called(file->path)) {
    if (!f->others++ || strcmp(file->path, f->other) < 0) f->other = file->path;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(
      co_grow(f->ctx, (void **)&f->files, &f->capacity, f->count, sizeof *f->files));
  f->files[f->count++] = *file;
  return CO_OK;
}

co_status co_image_folder_bytes(const co_image_folder *f, int64_t i, uint8_t **bytes,
                                size_t *length) {
  const co_image_file *file = &f->files[i];
  *bytes = NULL;
  *length = file->length > 0 ? (size_t)file->length : 0;
  if (!f->archive) {
    char *path = co_path_join(f->ctx, f->path, file->path);
    if (!path) return CO_ERR_MEMORY;
    co_status status =
        co_read_file(f->ctx, path, CO_IMAGE_FILE_MOST, CO_ERR_DATA, (char **)bytes, length);
    co_free(f->ctx, path);
    return status;
  }
  if (file->length < 0)
    return co_fail(CO_ERR_DATA, file->length == CO_IMAGE_TOO_LONG
                                    ? "the file is longer than 256 MiB"
                                    : "the archive has no such file");
  if (!(*bytes = co_alloc(f->ctx, *length + 1))) return CO_ERR_MEMORY;
  co_status status = co_scratch_read(&f->scratch, *bytes, *length, file->place);
  if (status == CO_OK) return CO_OK;
  co_free(f->ctx, *bytes);
  *bytes = NULL;
  return status;
}

// Of what lies in `root`, below `path` ("" = itself).
static co_status walk(co_image_folder *f, const char *root, const char *path, int depth) {
  char *full = co_arena_format(f->arena, "%s/%s", root, path);
  DIR *directory = full ? opendir(full) : NULL;
  if (!full) return CO_ERR_MEMORY;
  if (!directory) return co_fail_errno(CO_ERR_DATA, errno, "cannot read the folder '%s'", full);
  co_status status = depth <= MAX_DEPTH
                         ? CO_OK
                         : co_fail(CO_ERR_DATA, "'%s': more than %d folders deep", full, MAX_DEPTH);
  for (struct dirent *entry; status == CO_OK && (entry = readdir(directory));) {
    struct stat info;
    if (entry->d_name[0] == '.') continue;
    char *name = *path ? co_arena_format(f->arena, "%s/%s", path, entry->d_name)
                       : co_arena_strdup(f->arena, entry->d_name);
    if (!name) {
      status = CO_ERR_MEMORY;
    } else if (fstatat(dirfd(directory), entry->d_name, &info, 0) != 0) {
      status = co_fail_errno(CO_ERR_DATA, errno, "cannot read '%s/%s'", root, name);
    } else if (S_ISDIR(info.st_mode)) {
      status = walk(f, root, name, depth + 1);
    } else if (S_ISREG(info.st_mode)) {
      status = co_image_folder_add(f, &(co_image_file){.path = name, .class_ = -1, .split = -1});
    }
    co_alive(f->ctx, CO_PATIENCE_DISK);
  }
  closedir(directory);
  return status;
}

// ---- splits and classes ------------------------------------------------------------------------

// Whether all files lie in folders that are called as splits.
static bool has_splits(const co_image_folder *f) {
  for (int64_t i = 0; i < f->count; i++)
    if (!strchr(f->files[i].path, '/') ||
        co_split_of_cell(f->files[i].path, strcspn(f->files[i].path, "/")) < 0)
      return false;
  return true;
}

static void place(co_image_folder *f) {
  for (int64_t i = 0; i < f->count; i++) {
    int split = co_split_of_cell(f->files[i].path, strcspn(f->files[i].path, "/"));
    f->files[i].split = (int8_t)split;
    f->splits[split] = true;
  }
}

// The folder that is the file's class, as a part of its path; NULL = none.
static const char *class_of(const co_image_file *file, size_t *length) {
  const char *text = file->split >= 0 ? strchr(file->path, '/') + 1 : file->path;
  *length = strcspn(text, "/");
  return text[*length] ? text : NULL;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static co_status list_classes(co_image_folder *f) {
  const char **names = f->classes = co_arena_alloc(f->arena, (size_t)f->count, sizeof *names);
  int64_t count = 0;
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < f->count; i++) {
    size_t length;
    const char *text = class_of(&f->files[i], &length);
    // Files of a class mostly follow one another.
    if (!text || (count && strlen(names[count - 1]) == length &&
                  memcmp(names[count - 1], text, length) == 0))
      continue;
    if (!(names[count++] = co_arena_strndup(f->arena, text, length))) return CO_ERR_MEMORY;
  }
  if (count) qsort(names, (size_t)count, sizeof *names, by_text);
  for (int64_t i = 0; i < count; i++)
    if (!i || strcmp(names[f->class_count - 1], names[i]) != 0) names[f->class_count++] = names[i];
  return CO_OK;
}

static co_status classify(co_image_folder *f, const char *root) {
  CO_RETURN_IF_FAILED(list_classes(f));
  for (int64_t i = 0; f->class_count && i < f->count; i++) {
    size_t length;
    const char *text = class_of(&f->files[i], &length);
    if (!text) {
      co_status status = co_fail(CO_ERR_DATA, "'%s/%s' lies in no folder that would be its class",
                                 root, f->files[i].path);
      co_hint("other images do, say of the class '%.100s': put it into one, or take it away",
              f->classes[0]);
      return status;
    }
    char *name = co_arena_strndup(f->arena, text, length);
    if (!name) return CO_ERR_MEMORY;
    const char **found = bsearch(&name, f->classes, (size_t)f->class_count, sizeof name, by_text);
    f->files[i].class_ = (int32_t)(found - f->classes);
  }
  return CO_OK;
}

static co_status read(co_image_folder *f, const co_image_folder_options *o) {
  f->archive = !co_path_is_directory(o->path) && co_image_archive_is(o->path);
  CO_RETURN_IF_FAILED(f->archive ? co_image_archive_read(f, o->path, o->stop)
                                 : walk(f, o->path, "", 0));
  if (!f->count) {
    co_status status = co_fail(CO_ERR_DATA, "'%s' holds no image", o->path);
    co_hint("files called .jpg, .jpeg, .png or .webp, in a folder for each class");
    return status;
  }
  if (!f->archive) qsort(f->files, (size_t)f->count, sizeof *f->files, by_path);
  if (has_splits(f)) place(f);
  return classify(f, o->path);
}

co_status co_image_folder_begin(co_image_folder *out, co_context *ctx,
                                const co_image_folder_options *o) {
  *out = (co_image_folder){.ctx = ctx, .path = o->path, .scratch = co_scratch_make(ctx, o->beside)};
  return co_arena_create(&out->arena, ctx);
}

co_status co_image_folder_read(co_image_folder *out, co_context *ctx,
                               const co_image_folder_options *options) {
  co_status status = co_image_folder_begin(out, ctx, options);
  if (status == CO_OK) status = read(out, options);
  if (status != CO_OK) {
    co_error error;
    co_error_copy(&error);
    co_image_folder_free(out);
    return co_error_raise(&error);
  }
  return CO_OK;
}

void co_image_folder_free(co_image_folder *f) {
  if (!f->ctx) return;
  co_scratch_close(&f->scratch);
  co_free(f->ctx, f->files);
  co_arena_free(f->arena);
  *f = (co_image_folder){0};
}
