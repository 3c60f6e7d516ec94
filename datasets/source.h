// SPDX-License-Identifier: Apache-2.0
// The bytes of a plain or gzip file, read once from the front in bounded memory, and the SHA-256 of
// the file as it is stored.
#ifndef COHORT_DATASETS_SOURCE_H
#define COHORT_DATASETS_SOURCE_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_source co_source;
// An empty file is an error, as is one that cannot be read: CO_ERR_DATA naming `path`, which must
// outlive the source.
co_status co_source_open(co_source **out, co_context *ctx, const char *path);
void co_source_close(co_source *source); // NULL is legal
// Reads `bytes` of the contents, or fewer only at their end.
co_status co_source_read(co_source *source, void *out, size_t bytes, size_t *got);
// There will be no digest.
void co_source_leave_unhashed(co_source *source);
// Once the end has been read: the hash. A second call gives the same.
void co_source_digest(co_source *source, char hex[65]);
// How far the stored file has been read, and its size, -1 where it is no regular file.
int64_t co_source_position(const co_source *source);
int64_t co_source_size(const co_source *source);
bool co_source_is_gzip(const co_source *source);
// Opens, reads and hashes a whole file without unpacking it.
co_status co_source_hash_file(co_context *ctx, const char *path, char hex[65]);
const char *co_zlib_version(void); // of the library that reads gzip files

#ifdef __cplusplus
}
#endif
#endif
