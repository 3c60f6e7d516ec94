// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // pthread_setattr_default_np
#include "host/cli/environment.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/core/status.h"

enum { MAX_THREADS = 4096 }; // as --threads

// ---- hiding ------------------------------------------------------------------------------------

static const char *value_of(const char *variable, const char *name) {
  size_t length = strlen(name);
  return strncmp(variable, name, length) == 0 && variable[length] == '=' ? variable + length + 1
                                                                         : NULL;
}

static bool is_word(const char *text, const char *const *words) {
  for (; *words; words++)
    if (strcasecmp(text, *words) == 0) return true;
  return false;
}

static bool is_count(const char *text) {
  size_t digits = strspn(text, "0123456789");
  return digits > 0 && digits < 18 && !text[digits];
}

// Where /sys does not tell which threads share a core, places by name are a message of the library's.
static bool knows_topology(void) {
  static const char threads[] = "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
                    cores[] = "/sys/devices/system/cpu/cpu0/topology/core_siblings_list";
  return access(threads, R_OK) == 0 && access(cores, R_OK) == 0;
}

static bool may_be_seen(const char *variable) {
  static const char *const policies[] = {"active", "passive", NULL};
  static const char *const bindings[] = {"true",  "false",  "master", "primary",
                                         "close", "spread", NULL};
  static const char *const places[] = {"threads", "cores", "sockets", NULL};
  static const char *const spins[] = {"infinite", "infinity", NULL};
  const char *value;
  if (value_of(variable, "ONEDNN_VERBOSE") || value_of(variable, "DNNL_VERBOSE")) return true;
  if ((value = value_of(variable, "OMP_WAIT_POLICY")) != NULL) return is_word(value, policies);
  if ((value = value_of(variable, "OMP_PROC_BIND")) != NULL) return is_word(value, bindings);
  if ((value = value_of(variable, "OMP_PLACES")) != NULL)
    return is_word(value, places) && knows_topology();
  if ((value = value_of(variable, "GOMP_SPINCOUNT")) != NULL)
    return is_count(value) || is_word(value, spins);
  return false;
}

// The environment is changed where it lies: at this time nothing else may be relied on.
static void hide_variables(int count, char **words, char **environment) {
  static const char *const prefixes[] = {"OMP_", "GOMP_", "DNNL_", "ONEDNN_"};
  (void)count, (void)words;
  for (; *environment; environment++)
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
      char *name = *environment;
      if (strncmp(name, prefixes[i], strlen(prefixes[i])) != 0 || may_be_seen(name)) continue;
      for (char *c = name; *c != '_'; c++)
        *c = (char)(*c + ('a' - 'A'));
    }
}

// Run by the dynamic linker before the initialisation of any library.
__attribute__((section(".preinit_array"),
               used)) static void (*const before_libraries)(int, char **, char **) = hide_variables;

// ---- reading -----------------------------------------------------------------------------------

static const char *variable(const char *hidden, const char *plain) {
  const char *text = getenv(hidden);
  return text ? text : getenv(plain);
}

// The first of the numbers, which commas separate; 0 if there is none.
static int first_number(const char *text) {
  char *end;
  long value = strtol(text, &end, 10);
  end += strspn(end, " ");
  bool good = end != text && (!*end || *end == ',') && value >= 1 && value <= MAX_THREADS;
  return good ? (int)value : 0;
}

void cli_environment_read(cli_environment *out) {
  const char *const texts[2] = {variable("omp_NUM_THREADS", "OMP_NUM_THREADS"),
                                variable("omp_THREAD_LIMIT", "OMP_THREAD_LIMIT")};
  static const char *const names[2] = {"OMP_NUM_THREADS", "OMP_THREAD_LIMIT"};
  int numbers[2] = {0, 0};
  *out = (cli_environment){0};
  for (int i = 0; i < 2; i++) {
    if (!texts[i] || !*texts[i]) continue;
    numbers[i] = first_number(texts[i]);
    if (numbers[i]) continue;
    out->wrong[i] = names[i];
    out->wrong_text[i] = texts[i];
  }
  out->threads = numbers[0];
  out->thread_limit = numbers[1];
}

co_status cli_cache_file(const char **out, co_arena *arena, const char *name) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  *out = NULL;
  if (cache && *cache == '/') // others do not count, says the XDG Base Directory Specification
    *out = co_arena_format(arena, "%s/cohort/%s", cache, name);
  else if (home && *home)
    *out = co_arena_format(arena, "%s/.cache/cohort/%s", home, name);
  else
    return CO_OK;
  return *out ? CO_OK : CO_ERR_MEMORY;
}

// ---- spinning ----------------------------------------------------------------------------------

void cli_bound_spinning(char *const *argv) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
  if (setenv("GOMP_SPINCOUNT", "4000", 1) == 0) execv("/proc/self/exe", argv);
}

// ---- equal bits on a GPU -----------------------------------------------------------------------

void cli_pin_products(void) {
  (void)setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:2", 1);
}

// ---- stacks ------------------------------------------------------------------------------------

bool cli_enlarge_stacks(void) {
  enum { WANTED = 8 << 20, LEAST = 256 << 10 };
  struct rlimit limit;
  pthread_attr_t attributes;
  // Of threads that say nothing of it, OpenMP's among them: else it is the limit at the start.
  if (pthread_getattr_default_np(&attributes) == 0) {
    size_t size;
    if (pthread_attr_getstacksize(&attributes, &size) == 0 && size < WANTED &&
        pthread_attr_setstacksize(&attributes, WANTED) == 0)
      (void)pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= WANTED) return true;
  limit.rlim_cur = limit.rlim_max < WANTED ? limit.rlim_max : WANTED;
  if (setrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= LEAST) return true;
  co_fail(CO_ERR_MEMORY, "the stack may have %llu KiB only",
          (unsigned long long)limit.rlim_cur >> 10);
  co_hint("raise the limit: ulimit -s 8192");
  return false;
}

// ---- files -------------------------------------------------------------------------------------

void cli_allow_files(void) {
  enum { WANTED = 1 << 16 };
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= WANTED) return;
  limit.rlim_cur = limit.rlim_max < WANTED ? limit.rlim_max : WANTED;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}
