// SPDX-License-Identifier: Apache-2.0
// A folder of images, or an archive of one: which files it has, of which class and split. Folders below it are classes; or
// they are train, validation and test, with classes below. A file's own folder, at whatever depth,
// belongs to the class that the first one is called. Without folders there are no classes.
#ifndef COHORT_DATASETS_IMAGE_FOLDER_H
#define COHORT_DATASETS_IMAGE_FOLDER_H

#include "datasets/dataset.h"
#include "host/core/scratch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_image_file {
  const char *path;      // within the folder: "train/dress/1.jpg"
  int32_t class_;        // -1 = the folder has none
  int8_t split;          // co_split; -1 = the folder does not say
  int64_t place, length; // of an archive: in the scratch file, or a length below
} co_image_file;

// What a table says of images beside their names: one of several classes.
typedef struct co_image_attribute {
  const char *name;
  const char **classes; // in the order of bytes
  int64_t class_count;
  int32_t *codes; // of each file; -1 = it is not known
} co_image_attribute;

typedef struct co_image_folder {
  co_context *ctx;
  const char *path;
  bool archive;
  co_scratch scratch;   // the bytes of an archive's images
  co_image_file *files; // by path, in the order of bytes
  int64_t count, capacity;
  const char **classes; // in the order of bytes
  int64_t class_count;
  bool splits[CO_SPLIT_COUNT];    // which of them are folders
  int64_t others;                 // files with endings other than .jpg, .jpeg, .png and .webp …
  const char *other;              // … the first of them
  co_image_attribute *attributes; // of a table
  int64_t attribute_count;
  co_arena *arena; // of all texts
} co_image_folder;

enum { CO_IMAGE_FILE_MOST = 1 << 28 }; // bytes

// Texts are borrowed. `beside`: in whose folder an archive's temporary lies; `stop` ends the reading of one.
typedef struct co_image_folder_options {
  const char *path, *beside;
  const char *table; // co_image_folder_list
  const volatile int *stop;
} co_image_folder_options;
// Names that begin with a dot are passed over. CO_ERR_DATA: no folder, no image, images both in
// folders of classes and outside.
co_status co_image_folder_read(co_image_folder *out, co_context *ctx,
                               const co_image_folder_options *options);
// The files that a table (CSV, JSON lines, …) names: in its column `file`, else the first; their splits,
// where it has a column `split`; its other columns as attributes. CO_ERR_DATA names the line.
co_status co_image_folder_list(co_image_folder *out, co_context *ctx,
                               const co_image_folder_options *options);
void co_image_folder_free(co_image_folder *folder); // a zeroed one is legal

// The bytes of a file, to be freed. Any thread. CO_ERR_DATA: it is missing, or longer than
// CO_IMAGE_FILE_MOST.
co_status co_image_folder_bytes(const co_image_folder *folder, int64_t file, uint8_t **bytes,
                                size_t *length);

// ---- for those who fill one ----
enum { CO_IMAGE_ABSENT = -1, CO_IMAGE_TOO_LONG = -2 }; // lengths
bool co_image_is_called(const char *name);             // .jpg, .jpeg, .png, .webp
co_status co_image_folder_begin(co_image_folder *out, co_context *ctx,
                                const co_image_folder_options *options);
// Among the first `count` files, which are in order; NULL = none is called so.
const co_image_file *co_image_folder_find(const co_image_folder *folder, int64_t count,
                                          const char *path);
// A file that was found: an image, or one of `others`. The path is the arena's.
co_status co_image_folder_add(co_image_folder *folder, const co_image_file *file);

#ifdef __cplusplus
}
#endif
#endif
