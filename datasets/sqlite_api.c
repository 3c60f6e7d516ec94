// SPDX-License-Identifier: Apache-2.0
#include "datasets/sqlite_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "datasets/rows.h"
#include "host/core/library.h"

#define LIBRARY "libsqlite3.so.0"

co_status co_sqlite_load(co_sqlite_api *api) {
  void *l = api->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (l && co_library_find(l, "sqlite3_open_v2", &api->open_v2) &&
      co_library_find(l, "sqlite3_close", &api->close) &&
      co_library_find(l, "sqlite3_busy_timeout", &api->busy_timeout) &&
      co_library_find(l, "sqlite3_exec", &api->exec) &&
      co_library_find(l, "sqlite3_prepare_v2", &api->prepare_v2) &&
      co_library_find(l, "sqlite3_step", &api->step) &&
      co_library_find(l, "sqlite3_reset", &api->reset) &&
      co_library_find(l, "sqlite3_finalize", &api->finalize) &&
      co_library_find(l, "sqlite3_stmt_readonly", &api->stmt_readonly) &&
      co_library_find(l, "sqlite3_bind_double", &api->bind_double) &&
      co_library_find(l, "sqlite3_bind_int64", &api->bind_int64) &&
      co_library_find(l, "sqlite3_bind_text", &api->bind_text) &&
      co_library_find(l, "sqlite3_column_count", &api->column_count) &&
      co_library_find(l, "sqlite3_column_name", &api->column_name) &&
      co_library_find(l, "sqlite3_column_type", &api->column_type) &&
      co_library_find(l, "sqlite3_column_text", &api->column_text) &&
      co_library_find(l, "sqlite3_column_bytes", &api->column_bytes) &&
      co_library_find(l, "sqlite3_column_double", &api->column_double) &&
      co_library_find(l, "sqlite3_errmsg", &api->errmsg))
    return CO_OK;
  co_status status = co_fail(CO_ERR_DEVICE, "%s cannot be used: %s", LIBRARY, dlerror());
  co_hint("SQLite databases are read and written by it: apt install libsqlite3-0");
  return status;
}

void co_sqlite_unload(co_sqlite_api *api) {
  if (api->library) dlclose(api->library);
  api->library = NULL;
}

void co_sqlite_version(char out[64]) {
  const char *(*version)(void) = NULL;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library && co_library_find(library, "sqlite3_libversion", &version))
    snprintf(out, 64, "%s", version());
  else
    snprintf(out, 64, "missing (apt install libsqlite3-0)");
  if (library) dlclose(library);
}

void co_sqlite_add_name(co_text *sql, const char *name) {
  co_text_append(sql, "\"", 1);
  for (; *name; name++)
    co_text_append(sql, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
  co_text_append(sql, "\"", 1);
}
