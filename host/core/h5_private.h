// SPDX-License-Identifier: Apache-2.0
// What the files h5*.c share; they alone include this header, and so hdf5.h.
#ifndef COHORT_CORE_H5_PRIVATE_H
#define COHORT_CORE_H5_PRIVATE_H

#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include "host/core/h5.h"

#define H5_CHECKSUM_NAME "crc32c"
// What a file may claim without proof.
#define H5_FREE_BYTES ((uint64_t)4 << 30)
enum { H5_NAME_BYTES = 1024, H5_MAX_MEMBERS = 1 << 24 };

typedef struct h5_range {
  uint64_t offset, bytes;
} h5_range;

struct co_h5 {
  hid_t methods; // of the driver, when writing or reading a part; 0 = none
  co_context *ctx;
  char *path;
  hid_t id;
  co_status failure;
  bool writing;
  h5_range part; // reading: of the file, 0 bytes = all of it
  int error;     // writing: the first errno; from then on nothing reaches the disk
  // Writing: the group that was last written into, and what is the same for all links; -1 = none yet.
  hid_t parent, links;
  char *parent_path;
  // Reading: what was looked for last, for the next may be the same or beside it; -1 = nothing yet.
  hid_t found, found_in;
  char found_path[1024]; // longer ones are looked for again
  // Writing with a checksum: the user block, and what is left out of the sum.
  size_t block_bytes; // 0 = none
  char kind[8];
  h5_range *ranges;
  int64_t range_count, range_capacity;
};

// ---- h5.c: errors, finding ---------------------------------------------------------------------

// The library must not print. Its error stack, and so this setting, is per thread, and a file may
// be used by another thread than opened it.
void co_h5_silence(void);
void co_h5_drop(hid_t id); // closes an identifier of any kind; a negative one is none
co_status co_h5_disk_failed(co_h5 *file);
// After a failed library call, and before any other: `what` is like "read the dataset".
co_status co_h5_library_failed(co_h5 *file, const char *what, const char *object);
co_status co_h5_refuse(co_h5 *file, const char *object, const char *why);

// Groups without time stamps whose members keep their order; also for the root group.
void co_h5_set_group_properties(hid_t plist);
// Takes the next component of a path into `name`. The rest of the path, or NULL at its end; `name`
// is empty if the component is too long to be one of ours.
const char *co_h5_next_component(const char *path, char name[H5_NAME_BYTES]);
typedef enum h5_lookup { H5_FOUND, H5_ABSENT, H5_LINKED, H5_BROKEN } h5_lookup;
// One step: `name` in the object `at`, through a hard link only.
h5_lookup co_h5_step(hid_t at, const char *name, hid_t *out);
co_status co_h5_open_object(co_h5 *file, const char *path, hid_t *out);

// ---- h5_driver.c -------------------------------------------------------------------------------

typedef struct h5_driver_settings {
  co_h5 *owner;
} h5_driver_settings;
hid_t co_h5_driver_register(void); // the driver for writing, and for reading a part of a file
int co_h5_write_at(int fd, const char *bytes, size_t size, off_t offset); // 0, or the errno

// ---- h5_checksum.c -----------------------------------------------------------------------------

size_t co_h5_block_bytes(int ranges); // of a user block with room for that many
// Verifies the checksum of a file of `file_bytes`, if it has one.
co_status co_h5_check_file(co_h5 *file, int fd, uint64_t file_bytes, bool *has_checksum);
co_status co_h5_write_checksum(co_h5 *file); // of a file that the library has closed

// ---- h5_element.c ------------------------------------------------------------------------------

// How stored elements come into memory: as `dtype`, by reading them as `memory`.
typedef struct h5_element {
  co_dtype dtype;
  hid_t memory; // borrowed; of the library, or the stored type itself
  size_t size;  // stored bytes
  bool is_string, variable;
  bool huge; // unsigned 64 bit, checked to fit on reading
  bool ours; // stored exactly as co_h5_write does
} h5_element;

hid_t co_h5_stored_type(co_dtype dtype); // negative: cannot be stored
hid_t co_h5_memory_type(co_dtype dtype);
bool co_h5_classify(hid_t type, h5_element *e); // false: not supported
// The index of the first value that does not fit, or -1.
int64_t co_h5_convert(co_dtype from, const void *in, co_dtype to, void *out, int64_t count);

// ---- h5_dataset.c ------------------------------------------------------------------------------

typedef struct h5_dataset {
  hid_t id, type, space, plist;
  H5D_layout_t layout;
  h5_element element;
  co_shape shape;
  int64_t count, row; // elements in all, and of one row
  uint64_t stored_bytes;
} h5_dataset;

// On failure nothing is left open.
co_status co_h5_dataset_open(co_h5 *file, const char *path, h5_dataset *d);
co_status co_h5_number_dataset_open(co_h5 *file, const char *path, h5_dataset *d);
void co_h5_dataset_close(h5_dataset *d);
co_status co_h5_check_rows(co_h5 *file, const char *path, const h5_dataset *d, int64_t begin,
                           int64_t count);
// Selects rows [begin, begin+count) in the dataset's space and gives the space in memory.
hid_t co_h5_select_rows(h5_dataset *d, int64_t begin, int64_t count);

// ---- h5_read.c ---------------------------------------------------------------------------------

// `count` strings of fixed length, one after the other, without their padding.
co_status co_h5_cut_fixed_strings(const char *bytes, int64_t count, size_t size, H5T_str_t padding,
                                  co_arena *arena, char **text);

co_status co_h5_check_utf8(co_h5 *file, const char *object, const char *name, char *const *text,
                           int64_t count);

// ---- h5_attribute.c ----------------------------------------------------------------------------

co_status co_h5_read_number_attribute(co_h5 *file, const char *object, hid_t id, const char *name,
                                      co_dtype dtype, void *out);

#endif
