// SPDX-License-Identifier: Apache-2.0
#include "host/device/choices.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"

#define HEADING "cohort autotune 1"

enum { FIELDS = 5, MOST_BYTES = 16 << 20 };

typedef struct choice {
  const char *machine, *operation, *way; // the arena's
  double microseconds;
  co_op_chosen chosen; // then
  co_op_chosen source; // of what was read: CACHED, PINNED; of what was not: as `chosen`
  bool taken;
} choice;

struct co_choices {
  co_context *ctx;
  co_arena *arena;
  choice *all;
  int64_t count, room;
  bool again;
  co_run_choices run;
  const char *offered; // a run's file that is read when a device first asks, NULL = none (left)
  co_op_ways ways;
};

static const char *const names[] = {"heuristic", "tuned", "cached", "run"};

const char *co_chosen_name(co_op_chosen chosen) {
  return names[chosen];
}

co_status co_autotune_parse(co_autotune *out, const char *name) {
  static const char *const words[] = {"off", "auto", "again"};
  for (int i = 0; i < 3; i++)
    if (strcmp(name ? name : "off", words[i]) == 0) {
      *out = (co_autotune)i;
      return CO_OK;
    }
  co_status status = co_fail(CO_ERR_USAGE, "--autotune %s: no such choice", name);
  co_hint("known: auto, off, again");
  return status;
}

// ---- what a backend asks -----------------------------------------------------------------------

static bool is_of(const choice *c, const char *machine, const char *operation) {
  return strcmp(c->operation, operation) == 0 && (!machine || strcmp(c->machine, machine) == 0);
}

static co_status chosen_elsewhere(const choice *c, const char *machine) {
  co_status status =
      co_fail(CO_ERR_DEVICE, "the run has chosen by times how to compute %s on %s; this is %s",
              c->operation, c->machine, machine);
  co_hint(
      "resume where it was begun, or choose anew with --autotune again: its bytes may then differ "
      "from those of a run never stopped");
  return status;
}

// As it is given out.
static co_op_chosen source_of(const co_choices *choices, const choice *c) {
  if (c->source != CO_CHOSEN_PINNED || choices->run == CO_RUN_PINS) return c->source;
  return choices->run == CO_RUN_TELLS ? c->chosen : CO_CHOSEN_CACHED;
}

// A run's own come first; of several the latest.
static co_status find(void *user, const char *machine, const char *operation, const char **way,
                      co_op_chosen *chosen) {
  co_choices *choices = user;
  const choice *other = NULL;
  *way = NULL;
  if (choices->offered)
    CO_RETURN_IF_FAILED(co_choices_read_run(choices, choices->offered, CO_RUN_OFFERS));
  choices->offered = NULL;
  for (int64_t i = choices->count - 1; i >= 0; i--) {
    const choice *c = &choices->all[i];
    bool read = c->source == CO_CHOSEN_CACHED || c->source == CO_CHOSEN_PINNED;
    if (!is_of(c, NULL, operation) || (read && choices->again)) continue;
    if (c->source == CO_CHOSEN_PINNED) {
      if (is_of(c, machine, operation)) {
        *way = c->way;
        *chosen = source_of(choices, c);
        return CO_OK;
      }
      if (choices->run == CO_RUN_PINS) return chosen_elsewhere(c, machine);
      continue;
    }
    bool timed = c->source == CO_CHOSEN_CACHED || c->source == CO_CHOSEN_TUNED;
    if (!other && timed && is_of(c, machine, operation)) other = c;
  }
  if (!other) return CO_OK;
  *way = other->way;
  *chosen = other->source;
  return CO_OK;
}

static co_status add(co_choices *choices, const char *const texts[3], choice **out) {
  if (choices->count == choices->room) {
    int64_t room = choices->room ? 2 * choices->room : 64;
    choice *more = co_arena_alloc(choices->arena, (size_t)room, sizeof *more);
    if (!more) return CO_ERR_MEMORY;
    if (choices->count) memcpy(more, choices->all, (size_t)choices->count * sizeof *more);
    choices->all = more;
    choices->room = room;
  }
  choice *c = &choices->all[choices->count];
  *c = (choice){.machine = co_arena_strdup(choices->arena, texts[0]),
                .operation = co_arena_strdup(choices->arena, texts[1]),
                .way = co_arena_strdup(choices->arena, texts[2])};
  if (!c->machine || !c->operation || !c->way) return CO_ERR_MEMORY;
  choices->count++;
  *out = c;
  return CO_OK;
}

static co_status keep(void *user, const char *machine, const char *operation, const char *way,
                      double microseconds, co_op_chosen chosen) {
  co_choices *choices = user;
  const char *const texts[3] = {machine, operation, way};
  choice *c;
  for (int64_t i = choices->count - 1; i >= 0; i--) {
    c = &choices->all[i];
    if (!is_of(c, machine, operation) || source_of(choices, c) != chosen ||
        strcmp(c->way, way) != 0)
      continue;
    c->taken = true;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(add(choices, texts, &c));
  c->microseconds = microseconds;
  c->chosen = c->source = chosen;
  c->taken = true;
  return CO_OK;
}

co_status co_choices_create(co_choices **out, co_context *ctx, double seconds, bool again) {
  co_choices *choices = *out = co_alloc_zero(ctx, 1, sizeof *choices);
  if (!choices) return CO_ERR_MEMORY;
  choices->ctx = ctx;
  choices->again = again;
  choices->ways = (co_op_ways){.user = choices, .seconds = seconds, .find = find, .keep = keep};
  return co_arena_create(&choices->arena, ctx);
}

void co_choices_free(co_choices *choices) {
  if (!choices) return;
  co_arena_free(choices->arena);
  co_free(choices->ctx, choices);
}

const co_op_ways *co_choices_ways(const co_choices *choices) {
  return choices ? &choices->ways : NULL;
}

int64_t co_choices_count(const co_choices *choices, co_op_chosen chosen) {
  int64_t count = 0;
  for (int64_t i = 0; i < choices->count; i++)
    count += choices->all[i].taken && choices->all[i].source == chosen;
  return count;
}

// ---- files -------------------------------------------------------------------------------------

// Cuts the line at its tabs; false where there are more or fewer fields than there should be.
static bool cut(char *line, char *fields[FIELDS]) {
  int count = 0;
  for (char *at = line; at; count++) {
    if (count == FIELDS) return false;
    fields[count] = at;
    at = strchr(at, '\t');
    if (at) *at++ = '\0';
  }
  return count == FIELDS;
}

static bool read_line(co_choices *choices, char *line, co_op_chosen source, co_status *status) {
  char *fields[FIELDS], *end;
  if (!cut(line, fields)) return false;
  double microseconds = strtod(fields[3], &end);
  int chosen = 0;
  while (chosen < CO_CHOSEN_PINNED && strcmp(fields[4], names[chosen]) != 0)
    chosen++;
  if (*end || end == fields[3] || !(microseconds >= 0) || chosen == CO_CHOSEN_PINNED) return false;
  const char *const texts[3] = {fields[0], fields[1], fields[2]};
  choice *c;
  *status = add(choices, texts, &c);
  if (*status != CO_OK) return true;
  c->microseconds = microseconds;
  c->chosen = (co_op_chosen)chosen;
  c->source = source;
  return true;
}

// CO_ERR_MODEL with the line that is none.
static co_status read_choices(co_choices *choices, const char *path, co_op_chosen source) {
  char *text = NULL;
  size_t length;
  int64_t number = 0;
  co_status status = CO_OK;
  if (!co_path_exists(path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_read_file(choices->ctx, path, MOST_BYTES, CO_ERR_MODEL, &text, &length));
  for (char *line = text, *next; *line && status == CO_OK; line = next) {
    char *end = strchr(line, '\n');
    next = end ? end + 1 : line + strlen(line);
    if (end) *end = '\0';
    number++;
    bool good =
        number == 1 ? strcmp(line, HEADING) == 0 : end && read_line(choices, line, source, &status);
    if (!good)
      status = co_fail_at(CO_ERR_MODEL, path, number, 0, "it is no line of a file of choices");
  }
  co_free(choices->ctx, text);
  return status;
}

co_status co_choices_read_cache(co_choices *choices, const char *path) {
  const int64_t before = choices->count;
  co_status status = read_choices(choices, path, CO_CHOSEN_CACHED);
  if (status == CO_OK || status == CO_ERR_MEMORY) return status;
  choices->count = before;
  co_log(choices->ctx, CO_LOG_WARN, "autotune", "%s is left out, and written anew: %s", path,
         co_error_last()->message);
  co_error_clear();
  return CO_OK;
}

co_status co_choices_read_run(co_choices *choices, const char *path, co_run_choices as) {
  choices->run = as;
  co_status status = read_choices(choices, path, CO_CHOSEN_PINNED);
  if (status == CO_ERR_MODEL)
    co_hint("choose anew with --autotune again, or compute in the libraries' first ways with "
            "--autotune off: results may then differ in their last digits");
  return status;
}

static co_status read_files(co_choices *choices, const co_choices_request *request, bool pins) {
  if (!pins && request->cache) CO_RETURN_IF_FAILED(co_choices_read_cache(choices, request->cache));
  if (!request->run || choices->again) return CO_OK;
  char *path = co_path_join(choices->ctx, request->run, CO_RUN_CHOICES);
  if (!path) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  if (pins)
    status = co_choices_read_run(choices, path, CO_RUN_PINS);
  else if (!(choices->offered = co_arena_strdup(choices->arena, path)))
    status = CO_ERR_MEMORY;
  co_free(choices->ctx, path);
  return status;
}

co_status co_choices_open(co_choices **out, co_context *ctx, const co_choices_request *request) {
  co_autotune mode = CO_AUTOTUNE_OFF;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_autotune_parse(&mode, request->when));
  if (mode == CO_AUTOTUNE_OFF) return CO_OK;
  const bool pins = request->goes_on && mode == CO_AUTOTUNE_AUTO;
  CO_RETURN_IF_FAILED(
      co_choices_create(out, ctx, pins ? 0 : CO_AUTOTUNE_SECONDS, mode == CO_AUTOTUNE_AGAIN));
  return read_files(*out, request, pins);
}

// Whether it is superseded by a later one.
static bool is_old(const co_choices *choices, int64_t at) {
  const choice *c = &choices->all[at];
  for (int64_t i = at + 1; i < choices->count; i++)
    if (choices->all[i].source == CO_CHOSEN_TUNED &&
        is_of(&choices->all[i], c->machine, c->operation))
      return true;
  return false;
}

static void render(const co_choices *choices, bool run, co_text *out) {
  bool any = false;
  for (int64_t i = 0; i < choices->count; i++) {
    const choice *c = &choices->all[i];
    bool cached = c->source == CO_CHOSEN_CACHED || c->source == CO_CHOSEN_TUNED;
    if (run ? !c->taken : !cached || is_old(choices, i)) continue;
    if (!any) co_text_printf(out, HEADING "\n");
    any = true;
    co_op_chosen told = run && c->source == CO_CHOSEN_CACHED ? CO_CHOSEN_CACHED : c->chosen;
    co_text_printf(out, "%s\t%s\t%s\t%.1f\t%s\n", c->machine, c->operation, c->way, c->microseconds,
                   names[told]);
  }
}

void co_choices_render_run(const co_choices *choices, co_text *out) {
  render(choices, true, out);
}

co_status co_choices_write_cache(const co_choices *choices, const char *path) {
  co_text text;
  if (!co_choices_count(choices, CO_CHOSEN_TUNED)) return CO_OK;
  co_text_init(&text, choices->ctx);
  render(choices, false, &text);
  const char *slash = strrchr(path, '/');
  char *folder = slash ? co_strdup(choices->ctx, path) : NULL;
  if (folder) folder[slash - path] = '\0';
  co_status status = slash && !folder ? CO_ERR_MEMORY : text.status;
  if (status == CO_OK && slash && slash > path) status = co_make_directories(choices->ctx, folder);
  if (status == CO_OK) status = co_write_file_atomic(choices->ctx, path, text.data, text.length);
  co_free(choices->ctx, folder);
  co_text_free(&text);
  return status;
}

void co_choices_save(const co_choices *choices, const char *cache) {
  static const co_op_chosen kinds[] = {CO_CHOSEN_TUNED, CO_CHOSEN_CACHED, CO_CHOSEN_PINNED,
                                       CO_CHOSEN_HEURISTIC};
  long long counts[4], all = 0;
  for (int i = 0; i < 4; i++)
    all += counts[i] = choices ? (long long)co_choices_count(choices, kinds[i]) : 0;
  if (!all) return;
  co_log(choices->ctx, CO_LOG_INFO, "autotune",
         "of %lld operations of the GPU's libraries %lld were timed, %lld are from the cache, %lld "
         "from the run, and %lld in the libraries' first way",
         all, counts[0], counts[1], counts[2], counts[3]);
  if (!cache || co_choices_write_cache(choices, cache) == CO_OK) return;
  co_log(choices->ctx, CO_LOG_WARN, "autotune", "the next time they are timed anew: %s",
         co_error_last()->message);
  co_error_clear();
}
