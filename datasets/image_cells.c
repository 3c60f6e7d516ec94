// SPDX-License-Identifier: Apache-2.0
#include "datasets/image_cells.h"

#include <string.h>

#include "datasets/image_folder.h"
#include "datasets/rows.h"
#include "host/core/file.h"
#include "host/core/hash.h"

// ---- files -------------------------------------------------------------------------------------

static char *path_of(const co_image_cells *c, co_context *ctx, const char *name) {
  const char *table = co_rows_file(c->table);
  const char *slash = strstr(table, "://") ? NULL : strrchr(table, '/');
  if (!slash) return co_path_join(ctx, ".", name); // "-" is a file, too
  char *folder = co_strdup(ctx, table), *path = NULL;
  if (folder) {
    folder[slash - table + (slash == table)] = '\0';
    path = co_path_join(ctx, folder, name);
  }
  co_free(ctx, folder);
  return path;
}

typedef struct cell_work {
  const co_image_cells *cells;
  co_context *ctx;
  const char *const *names;
  co_image_look *looks;
  uint8_t *rows;
} cell_work;
typedef co_status cell_function(const cell_work *w, int64_t i, const uint8_t *bytes, size_t length);

// What is wrong with a file becomes an error at its path.
static co_status work_on(const cell_work *w, cell_function *work, int64_t i) {
  uint8_t *bytes = NULL;
  size_t length;
  if (!*w->names[i]) { // of missing cells are rows alone
    memset(w->rows + i * co_image_recipe_bytes(&w->cells->recipe), 0xFF,
           (size_t)co_image_recipe_bytes(&w->cells->recipe));
    return CO_OK;
  }
  char *path = path_of(w->cells, w->ctx, w->names[i]);
  if (!path) return CO_ERR_MEMORY;
  co_status status =
      co_read_file(w->ctx, path, CO_IMAGE_FILE_MOST, CO_ERR_DATA, (char **)&bytes, &length);
  const bool read = status == CO_OK;
  if (read) status = work(w, i, bytes, length);
  if (status == CO_ERR_DATA || status == CO_ERR_IO) {
    co_error error;
    co_error_copy(&error);
    status = read ? co_fail_at(CO_ERR_DATA, path, 0, 0, "%s", error.message)
                  : co_fail(CO_ERR_DATA, "%s", error.message);
    co_hint("column '%.100s' of %.200s names it: correct or empty the cell", w->cells->column,
            w->cells->table);
  }
  co_free(w->ctx, bytes);
  co_free(w->ctx, path);
  co_alive(w->ctx, CO_PATIENCE_DISK);
  return status;
}

// Of several errors the first cell's counts: what comes after one that failed is left out.
static co_status each_cell(const cell_work *w, cell_function *work, int64_t count) {
  const volatile int *stop = w->cells->stop;
  co_error first = {.status = CO_OK};
  int64_t failed = count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(co_context_threads(w->ctx))
  for (int64_t i = 0; i < count; i++) {
    int64_t before;
#pragma omp atomic read
    before = failed;
    if (i > before || (stop && *stop) || work_on(w, work, i) == CO_OK) continue;
#pragma omp critical(co_image_cells)
    if (i < failed) {
#pragma omp atomic write
      failed = i;
      co_error_copy(&first);
    }
  }
  if (stop && *stop) return co_fail(CO_INTERRUPTED, "stopped; no output was written");
  return failed == count ? CO_OK : co_error_raise(&first);
}

// ---- looking -----------------------------------------------------------------------------------

static co_status look_at(const cell_work *w, int64_t i, const uint8_t *bytes, size_t length) {
  w->looks[i].name = w->names[i];
  w->cells->hashes[i] = co_hash64(0, bytes, length);
  return co_image_measure(&w->looks[i].info, bytes, length, CO_IMAGE_MOST_PIXELS);
}

static void take_digest(const cell_work *w, int64_t count, char digest[65]) {
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < count; i++) {
    co_sha256_update(&hash, w->names[i], strlen(w->names[i]) + 1);
    co_sha256_update(&hash, &w->cells->hashes[i], sizeof *w->cells->hashes);
  }
  co_sha256_final(&hash, digest);
}

co_status co_image_cells_look(co_image_cells *cells, co_context *ctx, const char *const *names,
                              int64_t count, char digest[65]) {
  if (!count)
    return co_fail_at(CO_ERR_DATA, cells->table, 0, 0, "column '%.200s' names no image",
                      cells->column);
  const cell_work w = {.cells = cells,
                       .ctx = ctx,
                       .names = names,
                       .looks = co_alloc(ctx, (size_t)count * sizeof *w.looks)};
  co_status status = w.looks ? each_cell(&w, look_at, count) : CO_ERR_MEMORY;
  if (status == CO_OK)
    status = co_image_recipe_complete(&cells->recipe, ctx, cells->column, w.looks, count);
  if (status == CO_OK) take_digest(&w, count, digest);
  co_free(ctx, w.looks);
  return status;
}

// ---- decoding ----------------------------------------------------------------------------------

static bool has_changed(const cell_work *w, int64_t i, const uint8_t *bytes, size_t length) {
  const co_image_cells *c = w->cells;
  const co_word *word =
      c->names ? co_dictionary_find(c->names, w->names[i], strlen(w->names[i])) : NULL;
  return word && c->hashes[word->code] != co_hash64(0, bytes, length);
}

static co_status decode(const cell_work *w, int64_t i, const uint8_t *bytes, size_t length) {
  const co_image_recipe *recipe = &w->cells->recipe;
  co_image_info info;
  if (has_changed(w, i, bytes, length)) return co_fail(CO_ERR_DATA, "it changed while it was read");
  CO_RETURN_IF_FAILED(co_image_measure(&info, bytes, length, CO_IMAGE_MOST_PIXELS));
  return co_image_recipe_row(recipe, w->ctx, bytes, length, &info, CO_IMAGE_MOST_PIXELS,
                             w->rows + i * co_image_recipe_bytes(recipe));
}

co_status co_image_cells_decode(const co_image_cells *cells, co_context *ctx,
                                const char *const *names, int64_t count, uint8_t *rows) {
  const cell_work w = {.cells = cells, .ctx = ctx, .names = names, .rows = rows};
  return each_cell(&w, decode, count);
}
