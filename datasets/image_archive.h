// SPDX-License-Identifier: Apache-2.0
// Archives of images: tar (plain or compressed) and zip, by libarchive, opened on use. Names count as
// those of a folder do that was packed, with or without itself. Nothing is unpacked under its name.
#ifndef COHORT_DATASETS_IMAGE_ARCHIVE_H
#define COHORT_DATASETS_IMAGE_ARCHIVE_H

#include "datasets/image_folder.h"

#ifdef __cplusplus
extern "C" {
#endif

// By the first bytes; of gzip, by those within.
bool co_image_archive_is(const char *path);
// Adds all files of the archive to `out`, their bytes to its scratch file. Of several with one name the
// last counts, as when it is unpacked. CO_ERR_DATA: no archive, or a damaged one.
co_status co_image_archive_read(co_image_folder *out, const char *path, const volatile int *stop);

// "3.6.2", or what is missing and the way out.
void co_image_archive_version(char out[64]);

#ifdef __cplusplus
}
#endif
#endif
