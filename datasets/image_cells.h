// SPDX-License-Identifier: Apache-2.0
// A column of a table whose cells name image files: as paths from the folder in which the table's own file
// is (of a server or a pipe: from the working directory). A cell that is missing becomes a white image.
#ifndef COHORT_DATASETS_IMAGE_CELLS_H
#define COHORT_DATASETS_IMAGE_CELLS_H

#include "datasets/dictionary.h"
#include "datasets/image_recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_image_cells {
  const char *column; // that has them
  const char *table;  // its path; borrowed
  co_image_recipe recipe;
  const volatile int *stop; // non-zero: end with CO_INTERRUPTED; NULL = never
  // Where files are looked at before they are decoded: their names, in order, and of each the hash of what
  // it held then; borrowed. NULL = they are not.
  const co_dictionary *names;
  uint64_t *hashes;
} co_image_cells;

// Looks at all files named, `count` different ones in some order, on all threads, fills `hashes` (count)
// and completes the recipe. `digest`: SHA-256 over names and hashes (co_hash64) of contents. CO_ERR_DATA
// names the first file that cannot be taken.
co_status co_image_cells_look(co_image_cells *cells, co_context *ctx, const char *const *names,
                              int64_t count, char digest[65]);
// The images of so many cells ("" = missing), each co_image_recipe_bytes long; on all threads. CO_ERR_DATA,
// too, where a file is no longer what was looked at.
co_status co_image_cells_decode(const co_image_cells *cells, co_context *ctx,
                                const char *const *names, int64_t count, uint8_t *rows);

#ifdef __cplusplus
}
#endif
#endif
