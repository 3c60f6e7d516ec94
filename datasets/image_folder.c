// SPDX-License-Identifier: Apache-2.0
#include "datasets/image_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "datasets/split_rows.h"

enum { MAX_DEPTH = 32 }; // links may lead in circles

// ---- files -------------------------------------------------------------------------------------

static bool is_image(const char *name) {
  static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp"};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
    if (strcasecmp(dot, endings[i]) == 0) return true;
  return false;
}

static co_status add_file(co_image_folder *f, const char *path) {
  if (!is_image(path)) {
    if (!f->others++ || strcmp(path, f->other) < 0) f->other = path;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(
      co_grow(f->ctx, (void **)&f->files, &f->capacity, f->count, sizeof *f->files));
  f->files[f->count++] = (co_image_file){.path = path, .class_ = -1, .split = -1};
  return CO_OK;
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
      status = add_file(f, name);
    }
    co_alive(f->ctx, CO_PATIENCE_DISK);
  }
  closedir(directory);
  return status;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const co_image_file *)a)->path, ((const co_image_file *)b)->path);
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

static co_status read(co_image_folder *f, const char *path) {
  CO_RETURN_IF_FAILED(walk(f, path, "", 0));
  if (!f->count) {
    co_status status = co_fail(CO_ERR_DATA, "'%s' holds no image", path);
    co_hint("files called .jpg, .jpeg, .png or .webp, in a folder for each class");
    return status;
  }
  qsort(f->files, (size_t)f->count, sizeof *f->files, by_path);
  if (has_splits(f)) place(f);
  return classify(f, path);
}

co_status co_image_folder_read(co_image_folder *out, co_context *ctx, const char *path) {
  *out = (co_image_folder){.ctx = ctx};
  co_status status = co_arena_create(&out->arena, ctx);
  if (status == CO_OK) status = read(out, path);
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
  co_free(f->ctx, f->files);
  co_arena_free(f->arena);
  *f = (co_image_folder){0};
}
