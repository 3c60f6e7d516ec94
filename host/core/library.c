// SPDX-License-Identifier: Apache-2.0
#include "host/core/library.h"

#include <dlfcn.h>
#include <string.h>

// dlsym gives an object pointer, POSIX says it may be a function all the same.
bool co_library_find(void *library, const char *name, void *function) {
  void *symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
  return symbol != NULL;
}
