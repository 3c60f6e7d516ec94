// SPDX-License-Identifier: Apache-2.0
// Opening datasets: nothing that a file claims about itself is believed unchecked.
#include "host/core/h5_private.h"

// What a chunk may claim without proof, and how many times what it stores a dataset may hold.
static const uint64_t FREE_CHUNK_BYTES = (uint64_t)256 << 20, MAX_EXPANSION = 1000;

void co_h5_dataset_close(h5_dataset *d) {
  co_h5_drop(d->plist);
  co_h5_drop(d->space);
  co_h5_drop(d->type);
  co_h5_drop(d->id);
}

static co_status check_extents(co_h5 *file, const char *path, h5_dataset *d) {
  hsize_t extent[H5S_MAX_RANK];
  H5S_class_t kind = H5Sget_simple_extent_type(d->space);
  if (kind != H5S_SIMPLE && kind != H5S_SCALAR) return co_h5_refuse(file, path, "holds no array");
  int rank = H5Sget_simple_extent_ndims(d->space);
  if (rank < 0 || rank > CO_MAX_RANK) return co_h5_refuse(file, path, "has too many dimensions");
  if (H5Sget_simple_extent_dims(d->space, extent, NULL) < 0)
    return co_h5_library_failed(file, "read the shape of", path);
  d->shape.rank = rank;
  for (int i = 0; i < rank; i++) {
    if (extent[i] > INT64_MAX) return co_h5_refuse(file, path, "has an impossible shape");
    d->shape.dim[i] = (int64_t)extent[i];
  }
  co_shape row = d->shape;
  if (rank > 0) row.dim[0] = 1;
  d->count = co_shape_count(&d->shape);
  d->row = co_shape_count(&row);
  if (d->count < 0 || d->row < 0) return co_h5_refuse(file, path, "has an impossible shape");
  return CO_OK;
}

static co_status check_filters(co_h5 *file, const char *path, const h5_dataset *d) {
  int count = H5Pget_nfilters(d->plist);
  if (count < 0) return co_h5_library_failed(file, "read the filters of", path);
  for (int i = 0; i < count; i++) {
    unsigned flags, config;
    size_t values = 0;
    H5Z_filter_t filter =
        H5Pget_filter2(d->plist, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32)
      return co_h5_refuse(file, path,
                          "is stored through a filter other than deflate, shuffle, fletcher32");
  }
  return CO_OK;
}

// The library allocates whole chunks, so what one claims must be plausible as well.
static uint64_t chunk_elements(const h5_dataset *d) {
  hsize_t extent[H5S_MAX_RANK];
  uint64_t elements = 1;
  int rank = H5Pget_chunk(d->plist, H5S_MAX_RANK, extent);
  for (int i = 0; i < rank; i++) {
    if (extent[i] && elements > UINT64_MAX / extent[i]) return UINT64_MAX;
    elements *= extent[i];
  }
  return elements;
}

static bool plausible(const h5_dataset *d, uint64_t elements, uint64_t free_bytes) {
  if (elements > UINT64_MAX / d->element.size) return false;
  uint64_t bytes = elements * d->element.size;
  return bytes <= free_bytes || bytes / MAX_EXPANSION <= d->stored_bytes;
}

static co_status check_storage(co_h5 *file, const char *path, h5_dataset *d) {
  d->layout = H5Pget_layout(d->plist);
  if (d->layout != H5D_COMPACT && d->layout != H5D_CONTIGUOUS && d->layout != H5D_CHUNKED)
    return co_h5_refuse(file, path, "is virtual, or stored in an unknown way");
  if (H5Pget_external_count(d->plist) != 0)
    return co_h5_refuse(file, path, "keeps its data in another file");
  CO_RETURN_IF_FAILED(check_filters(file, path, d));
  d->stored_bytes = H5Dget_storage_size(d->id);
  if (!plausible(d, (uint64_t)d->count, H5_FREE_BYTES) ||
      (d->layout == H5D_CHUNKED && !plausible(d, chunk_elements(d), FREE_CHUNK_BYTES)))
    return co_h5_refuse(file, path, "claims to be far larger than what is stored");
  // A chunk is read into memory of the library's own, and unpacked into more.
  if (d->layout == H5D_CHUNKED)
    return co_memory_require(file->ctx, (size_t)(2 * chunk_elements(d) * d->element.size));
  return CO_OK;
}

static co_status check_dataset(co_h5 *file, const char *path, h5_dataset *d) {
  d->type = H5Dget_type(d->id);
  d->space = H5Dget_space(d->id);
  d->plist = H5Dget_create_plist(d->id);
  if (d->type < 0 || d->space < 0 || d->plist < 0) return co_h5_library_failed(file, "open", path);
  if (!co_h5_classify(d->type, &d->element))
    return co_h5_refuse(file, path, "has an element type that is not supported");
  CO_RETURN_IF_FAILED(check_extents(file, path, d));
  return check_storage(file, path, d);
}

// On failure nothing is left open. Takes over `object`.
static co_status dataset_adopt(co_h5 *file, const char *path, hid_t object, h5_dataset *d) {
  *d = (h5_dataset){.id = object, .type = -1, .space = -1, .plist = -1};
  co_status status = H5Iget_type(object) == H5I_DATASET
                         ? check_dataset(file, path, d)
                         : co_h5_refuse(file, path, "is not a dataset");
  if (status != CO_OK) co_h5_dataset_close(d);
  return status;
}

co_status co_h5_dataset_open(co_h5 *file, const char *path, h5_dataset *d) {
  hid_t object;
  CO_RETURN_IF_FAILED(co_h5_open_object(file, path, &object));
  return dataset_adopt(file, path, object, d);
}

co_status co_h5_number_dataset_open(co_h5 *file, const char *path, h5_dataset *d) {
  CO_RETURN_IF_FAILED(co_h5_dataset_open(file, path, d));
  if (!d->element.is_string) return CO_OK;
  co_h5_dataset_close(d);
  return co_h5_refuse(file, path, "holds text where numbers are expected");
}

co_status co_h5_get_info(co_h5 *file, const char *path, co_h5_info *out) {
  hid_t object;
  h5_dataset d;
  *out = (co_h5_info){0};
  CO_RETURN_IF_FAILED(co_h5_open_object(file, path, &object));
  if (H5Iget_type(object) == H5I_GROUP) {
    out->is_group = true;
    co_h5_drop(object);
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(dataset_adopt(file, path, object, &d));
  out->dtype = d.element.dtype;
  out->shape = d.shape;
  out->is_string = d.element.is_string;
  out->stored_bytes = (int64_t)d.stored_bytes;
  co_h5_dataset_close(&d);
  return CO_OK;
}

co_status co_h5_get_offset(co_h5 *file, const char *path, int64_t *offset) {
  h5_dataset d;
  hsize_t size = 0;
  *offset = -1;
  CO_RETURN_IF_FAILED(co_h5_dataset_open(file, path, &d));
  haddr_t address = HADDR_UNDEF;
  if (d.layout == H5D_CONTIGUOUS && d.element.ours) address = H5Dget_offset(d.id);
  uint64_t bytes = (uint64_t)d.count * d.element.size;
  co_h5_dataset_close(&d);
  if (address == HADDR_UNDEF) return CO_OK;
  // Reading past the end of a mapped file would kill the process. A file being written may still
  // have to grow.
  if (!file->writing &&
      (H5Fget_filesize(file->id, &size) < 0 || address > size || bytes > size - address))
    return co_h5_refuse(file, path, "lies beyond the end of the file");
  *offset = (int64_t)(file->part.offset + address);
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

co_status co_h5_check_rows(co_h5 *file, const char *path, const h5_dataset *d, int64_t begin,
                           int64_t count) {
  int64_t rows = d->shape.rank ? d->shape.dim[0] : 0;
  if (begin >= 0 && count >= 0 && begin <= rows && count <= rows - begin) return CO_OK;
  return co_fail(file->failure, "'%s': '%s' has %lld rows, %lld from row %lld on are wanted",
                 file->path, path, (long long)rows, (long long)count, (long long)begin);
}

hid_t co_h5_select_rows(h5_dataset *d, int64_t begin, int64_t count) {
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
