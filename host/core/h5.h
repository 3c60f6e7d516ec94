// SPDX-License-Identifier: Apache-2.0
// The one door to HDF5: h5*.c alone include hdf5.h, through h5_private.h. Writing: time stamps off,
// so equal contents give equal bytes; default (oldest) format bounds. Reading: the file is treated
// as untrusted: no soft, external or user-defined links, no external or virtual storage, filters
// only deflate, shuffle and fletcher32, ranks and sizes checked before any allocation. Errors name
// file and object. All calls on one file must come from one thread at a time.
//
// The library does not survive every damage: one bit that fell over in a file's structure can crash
// it or keep it busy for ever. So files of Cohort's own begin with a *user block*, which HDF5 leaves
// to whoever writes a file and other readers skip, and in it a checksum over the file, which is
// verified before the library parses a byte. Numbers are little-endian:
//
//     0   16  "cohort-file-1", padded with NUL
//     16   8  what the file is, padded with NUL: "dataset", "model" (checkpoints are models)
//     24   4  CRC-32C over the file but for these four bytes and the ranges
//     28   4  bytes of the user block: 512, or 2, 4, 8 … times as many
//     32   8  bytes of the file
//     40   8  number of ranges
//     48  16  of each: offset in the file and bytes, in ascending order; the rest of the block is 0
//
// The ranges are values that have a checksum of their own and are verified on their first use.
// A file whose block does not begin so is foreign: the context's probe (context.h) is asked first.
#ifndef COHORT_CORE_H5_H
#define COHORT_CORE_H5_H

#include "host/core/context.h"
#include "host/core/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_h5 co_h5;

// Opens for reading. `failure` is the status of every error of this file (CO_ERR_DATA for datasets,
// CO_ERR_MODEL for models and checkpoints). A missing, foreign or truncated file is said so.
co_status co_h5_open(co_h5 **out, co_context *ctx, const char *path, co_status failure);
// The same of an HDF5 file of `bytes` (not 0) that lies within another, as an archive's member that is stored.
co_status co_h5_open_part(co_h5 **out, co_context *ctx, const char *path, uint64_t offset,
                          uint64_t bytes, co_status failure);
// Creates or truncates for writing (callers pass an atomic file's temporary).
co_status co_h5_create(co_h5 **out, co_context *ctx, const char *path);
// The same with a checksum over the file, written by co_h5_close. `kind`: what the file is, up to 7
// letters; `ranges`: room for that many calls of co_h5_leave_out.
co_status co_h5_create_checked(co_h5 **out, co_context *ctx, const char *path, const char *kind,
                               int ranges);
// The values of a dataset need not count for the file's checksum, since they have one of their own.
// Where there is no room for all, the largest are left out.
co_status co_h5_leave_out(co_h5 *file, const char *path);
// Whether a file begins with a checksum and says that it is a `kind`; nothing else is looked at.
bool co_h5_is_kind(const char *path, const char *kind);
// Closes and frees. After writing, the close is checked: all objects released, data handed over.
co_status co_h5_close(co_h5 *file);
void co_h5_abandon(co_h5 *file); // for error paths; NULL is legal
const char *co_h5_path(const co_h5 *file);

// ---- writing; groups on the way are created ----------------------------------------------------
co_status co_h5_make_group(co_h5 *file, const char *path);
typedef struct co_h5_storage {
  int64_t chunk_rows; // 0 = contiguous (allocated early, so it can be mapped)
  int deflate;        // 0-9, chunked only; with shuffle for elements wider than a byte
  bool fletcher32;    // chunked only
} co_h5_storage;
// Writes a whole dataset in native little-endian types. `storage` NULL = contiguous. A CRC-32C of
// the contents is stored as attribute "crc32c" when `checksum`.
co_status co_h5_write(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                      const void *data, const co_h5_storage *storage, bool checksum);
// Creates without data, for row-wise writing along the first dimension.
co_status co_h5_create_dataset(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                               const co_h5_storage *storage);
co_status co_h5_write_rows(co_h5 *file, const char *path, int64_t begin, int64_t count,
                           const void *data);
// A 1-D dataset of variable-length UTF-8 strings.
co_status co_h5_write_strings(co_h5 *file, const char *path, const char *const *text,
                              int64_t count);
// Creates such a dataset without data, for row-wise writing.
co_status co_h5_create_strings(co_h5 *file, const char *path, int64_t count);
co_status co_h5_write_string_rows(co_h5 *file, const char *path, int64_t begin, int64_t count,
                                  const char *const *text);
// Attributes on a group or dataset ("/" = root). Strings are variable-length UTF-8.
co_status co_h5_set_string(co_h5 *file, const char *object, const char *name, const char *value);
co_status co_h5_set_strings(co_h5 *file, const char *object, const char *name,
                            const char *const *text, int64_t count);
co_status co_h5_set_int(co_h5 *file, const char *object, const char *name, int64_t value);
co_status co_h5_set_double(co_h5 *file, const char *object, const char *name, double value);

// ---- reading -----------------------------------------------------------------------------------
bool co_h5_exists(co_h5 *file, const char *path); // a group or a dataset
bool co_h5_has_attribute(co_h5 *file, const char *object, const char *name);
// Element type and shape. Booleans (h5py enum) read as u8; other integer widths are widened to i32
// or i64 on reading; float16 to f32. Strings: is_string = true.
typedef struct co_h5_info {
  co_dtype dtype;
  co_shape shape;
  bool is_group, is_string;
  int64_t stored_bytes;
} co_h5_info;
co_status co_h5_get_info(co_h5 *file, const char *path, co_h5_info *out);
// Reads all, or rows [begin, begin+count) of the first dimension, converted to `dtype` where the
// conversion loses nothing (else an error). `shape` must equal the stored one (NULL = any). Where a
// "crc32c" attribute exists a whole read checks it.
co_status co_h5_read(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                     void *out);
// The same for numbers of any type, rounded to float; one beyond its range is an error.
co_status co_h5_read_rounded(co_h5 *file, const char *path, const co_shape *shape, float *out);
// The same of values in memory: the index of the first that is beyond float's range, and goes into
// *beyond; -1 = none is.
int64_t co_h5_round(co_dtype from, const void *in, float *out, int64_t count, double *beyond);
co_status co_h5_read_rows(co_h5 *file, const char *path, co_dtype dtype, int64_t begin,
                          int64_t count, void *out);
// String arrays, variable or fixed length, into the arena. What is not UTF-8, here and below, is an
// error that says where.
co_status co_h5_read_strings(co_h5 *file, const char *path, co_arena *arena, char ***out,
                             int64_t *count);
// Of a list, `count` of them from `begin` on.
co_status co_h5_read_string_rows(co_h5 *file, const char *path, co_arena *arena, int64_t begin,
                                 int64_t count, char ***out);
co_status co_h5_get_string(co_h5 *file, const char *object, const char *name, co_arena *arena,
                           char **out);
co_status co_h5_get_strings(co_h5 *file, const char *object, const char *name, co_arena *arena,
                            char ***out, int64_t *count);
co_status co_h5_get_int(co_h5 *file, const char *object, const char *name, int64_t *out);
co_status co_h5_get_double(co_h5 *file, const char *object, const char *name, double *out);
// Names of a group's members in creation order where tracked, else by name.
co_status co_h5_list(co_h5 *file, const char *group, co_arena *arena, char ***out, int64_t *count);
// File offset of a contiguous, unfiltered, native-endian dataset with storage allocated: such data
// may be read with pread or mmap. CO_OK with *offset = -1 where that does not hold.
co_status co_h5_get_offset(co_h5 *file, const char *path, int64_t *offset);
// "1.10.8"
void co_h5_version(char *out, size_t size);
// Whether several threads may use the library at once.
bool co_h5_is_thread_safe(void);

#ifdef __cplusplus
}
#endif
#endif
