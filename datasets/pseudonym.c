// SPDX-License-Identifier: Apache-2.0
#include "datasets/pseudonym.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/file.h"
#include "host/core/library.h"

#define LIBRARY "libsodium.so.23"

enum { HASH = CO_PSEUDONYM_TEXT / 2, KEY_LEAST = 16, KEY_MOST = 64 };

struct co_pseudonym {
  int (*generichash)(unsigned char *out, size_t out_length, const unsigned char *in,
                     unsigned long long in_length, const unsigned char *key, size_t key_length);
  unsigned char key[KEY_MOST];
  size_t key_length;
  char check[CO_PSEUDONYM_CHECK + 1];
};

// The library stays open.
static co_status load(co_pseudonym *p) {
  int (*initialise)(void) = NULL;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library && co_library_find(library, "sodium_init", &initialise) &&
      co_library_find(library, "crypto_generichash", &p->generichash) && initialise() >= 0)
    return CO_OK;
  const char *reason = dlerror();
  co_status status = co_fail(CO_ERR_DEVICE, "%s cannot be used%s%s", LIBRARY, reason ? ": " : "",
                             reason ? reason : "");
  co_hint("pseudonyms are made by it: apt install libsodium23");
  return status;
}

void co_sodium_version(char out[64]) {
  const char *(*version)(void) = NULL;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library && co_library_find(library, "sodium_version_string", &version))
    snprintf(out, 64, "%s", version());
  else
    snprintf(out, 64, "missing (apt install libsodium23)");
  if (library) dlclose(library);
}

static co_status take_key(co_pseudonym *p, const char *path, const char *bytes, size_t length) {
  if (length && bytes[length - 1] == '\n') length--;
  if (length && bytes[length - 1] == '\r') length--;
  if (length < KEY_LEAST || length > KEY_MOST) {
    co_status status =
        co_fail_at(CO_ERR_USAGE, path, 0, 0, "no key: it holds %zu bytes, but must hold %d to %d",
                   length, (int)KEY_LEAST, (int)KEY_MOST);
    co_hint("make one: (umask 077; openssl rand -hex 32 >FILE); whoever has it can name customers");
    return status;
  }
  memcpy(p->key, bytes, length);
  p->key_length = length;
  return CO_OK;
}

static co_status read_key(co_pseudonym *p, co_context *ctx, const char *path) {
  char *bytes;
  size_t length;
  struct stat facts;
  co_status status = co_read_file(ctx, path, KEY_MOST + 2, CO_ERR_USAGE, &bytes, &length);
  if (status == CO_ERR_MEMORY) return status;
  CO_RETURN_IF_FAILED(status);
  if (stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & (S_IRGRP | S_IROTH)))
    co_log(ctx, CO_LOG_WARN, "privacy", "'%s': others may read this key; chmod 600 it", path);
  status = take_key(p, path, bytes, length);
  memset(bytes, 0, length);
  co_free(ctx, bytes);
  return status;
}

co_status co_pseudonym_open(co_pseudonym **out, co_arena *arena, const char *key_file) {
  static const char text[] = "cohort key check";
  char hex[CO_PSEUDONYM_TEXT];
  co_pseudonym *p = *out = co_arena_alloc(arena, 1, sizeof *p);
  if (!p) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(read_key(p, co_arena_context(arena), key_file));
  CO_RETURN_IF_FAILED(load(p));
  co_pseudonym_make(p, text, sizeof text - 1, hex);
  snprintf(p->check, sizeof p->check, "%.*s", (int)CO_PSEUDONYM_CHECK, hex);
  return CO_OK;
}

void co_pseudonym_make(const co_pseudonym *p, const char *text, size_t length,
                       char out[CO_PSEUDONYM_TEXT]) {
  static const char digits[] = "0123456789abcdef";
  unsigned char hash[HASH];
  // It fails only for lengths that take_key refuses.
  (void)p->generichash(hash, sizeof hash, (const unsigned char *)text, length, p->key,
                       p->key_length);
  for (int i = 0; i < HASH; i++) {
    out[2 * i] = digits[hash[i] >> 4];
    out[2 * i + 1] = digits[hash[i] & 15];
  }
}

const char *co_pseudonym_check(const co_pseudonym *p) {
  return p->check;
}
