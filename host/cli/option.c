// SPDX-License-Identifier: Apache-2.0
#include "host/cli/option.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/diagnostics.h"
#include "host/core/file.h"

// ---- shared options ----------------------------------------------------------------------------

#define AT(member) offsetof(cli_common, member)

static const char *const level_words[] = {"error", "warn", "info", "debug", "trace", NULL};
static const char *const format_words[] = {"text", "json", NULL};
static const char *const progress_words[] = {"auto", "bar", "plain", "none", NULL};
static const char *const color_words[] = {"auto", "always", "never", NULL};

typedef struct shared_option {
  unsigned group; // 0 = every verb takes it
  cli_option option;
} shared_option;

static const shared_option shared[] = {
    {CLI_CONFIG,
     {.name = "config",
      .letter = 'c',
      .kind = CLI_LIST,
      .offset = AT(configs),
      .value = "FILE",
      .doc = "config file; repeatable, later ones win; - is standard input"}},
    {CLI_CONFIG,
     {.name = "set",
      .letter = 's',
      .kind = CLI_LIST,
      .offset = AT(sets),
      .value = "PATH=VALUE",
      .doc = "override a config value; also --PATH VALUE where PATH has a dot"}},
    {CLI_DEVICE,
     {.name = "device",
      .kind = CLI_TEXT,
      .offset = AT(device),
      .value = "DEVICE",
      .doc = "auto, cpu, ref (slow, the reference) or cuda:N",
      .aliases = "accelerator",
      .fallback = "auto"}},
    {CLI_PRECISION,
     {.name = "precision",
      .kind = CLI_TEXT,
      .offset = AT(precision),
      .value = "P",
      .doc = "tf32, 32 or bf16 (default: the config's; in scoring tf32, in verify 32)"}},
    {CLI_THREADS,
     {.name = "threads",
      .kind = CLI_INT,
      .offset = AT(threads),
      .value = "N",
      .doc = "compute threads (default: OMP_NUM_THREADS, else the cores that it may use)",
      .minimum = 1,
      .maximum = 4096}},
    {CLI_SEED,
     {.name = "seed",
      .kind = CLI_INT,
      .offset = AT(seed),
      .value = "N",
      .doc = "start of every random choice",
      .aliases = "random-seed seed-everything",
      .minimum = 0,
      .maximum = 9e18}},
    {CLI_DRY_RUN,
     {.name = "dry-run",
      .kind = CLI_FLAG,
      .offset = AT(dry_run),
      .doc = "check everything and say what would be done"}},
    {CLI_FORCE,
     {.name = "force", .kind = CLI_FLAG, .offset = AT(force), .doc = "replace outputs that exist"}},
    {0,
     {.name = "json",
      .kind = CLI_FLAG,
      .offset = AT(json),
      .doc = "one JSON document on stdout, also on failure"}},
    {0,
     {.name = "quiet",
      .letter = 'q',
      .kind = CLI_COUNT,
      .offset = AT(quiet),
      .doc = "log less; repeatable"}},
    {0,
     {.name = "verbose",
      .letter = 'v',
      .kind = CLI_COUNT,
      .offset = AT(verbose),
      .doc = "log more; repeatable"}},
    {0,
     {.name = "log-level",
      .letter = 'l',
      .kind = CLI_WORD,
      .offset = AT(log_level),
      .value = "LEVEL",
      .doc = "error, warn, info, debug or trace",
      .fallback = "info",
      .words = level_words}},
    {0,
     {.name = "log-file",
      .kind = CLI_TEXT,
      .offset = AT(log_file),
      .value = "FILE",
      .doc = "append a copy of the log"}},
    {0,
     {.name = "log-format",
      .kind = CLI_WORD,
      .offset = AT(log_format),
      .value = "FORMAT",
      .doc = "text or json (one object per line)",
      .fallback = "text",
      .words = format_words}},
    {0,
     {.name = "progress",
      .kind = CLI_WORD,
      .offset = AT(progress),
      .value = "MODE",
      .doc = "auto, bar, plain or none",
      .fallback = "auto",
      .words = progress_words}},
    {0,
     {.name = "color",
      .kind = CLI_WORD,
      .offset = AT(color),
      .value = "WHEN",
      .doc = "auto, always or never",
      .aliases = "colour",
      .fallback = "auto",
      .words = color_words}},
    {0, {.name = "help", .letter = 'h', .kind = CLI_FLAG, .offset = AT(help), .doc = "this text"}},
};

enum { SHARED_COUNT = sizeof shared / sizeof *shared };

static bool takes(const cli_syntax *syntax, const shared_option *s) {
  return !s->group || (syntax->common & s->group);
}

// ---- names -------------------------------------------------------------------------------------

static bool same_letter(char a, char b) {
  return (a == '_' ? '-' : a) == (b == '_' ? '-' : b);
}

static bool same_span(const char *a, size_t a_length, const char *b, size_t b_length) {
  if (a_length != b_length) return false;
  for (size_t i = 0; i < a_length; i++)
    if (!same_letter(a[i], b[i])) return false;
  return true;
}

bool cli_same_name(const char *a, const char *b) {
  return same_span(a, strlen(a), b, strlen(b));
}

static bool in_names(const char *names, const char *name, size_t length) {
  while (names && *names) {
    size_t span = strcspn(names, " ");
    if (same_span(names, span, name, length)) return true;
    names += span + (names[span] == ' ');
  }
  return false;
}

bool cli_in_names(const char *names, const char *name) {
  return in_names(names, name, strlen(name));
}

static bool is_called(const cli_option *option, const char *name, size_t length) {
  return same_span(option->name, strlen(option->name), name, length) ||
         in_names(option->aliases, name, length);
}

// ---- parsing -----------------------------------------------------------------------------------

typedef struct parser {
  char *out;
  const cli_syntax *syntax;
  co_arena *arena;
  char *const *words;
  int count, next;
} parser;

// Finds by long name, or by letter where `letter` is not 0. *refused tells of a shared option that
// this verb does not take.
static const cli_option *find(const parser *p, const char *name, size_t length, char letter,
                              const cli_option **refused) {
  *refused = NULL;
  for (const cli_option *o = p->syntax->options; o && o->name; o++)
    if (letter ? o->letter == letter : is_called(o, name, length)) return o;
  for (size_t i = 0; i < SHARED_COUNT; i++) {
    const cli_option *o = &shared[i].option;
    if (!(letter ? o->letter == letter : is_called(o, name, length))) continue;
    if (takes(p->syntax, &shared[i])) return o;
    *refused = o;
  }
  return NULL;
}

static void hint_help(const parser *p) {
  co_hint("see: cohort %s --help", p->syntax->verb);
}

static co_status unknown(const parser *p, const char *word, const char *name, size_t length) {
  const char *names[128];
  int64_t count = 0;
  for (const cli_option *o = p->syntax->options; o && o->name && count < 100; o++)
    names[count++] = o->name;
  for (size_t i = 0; i < SHARED_COUNT; i++)
    if (takes(p->syntax, &shared[i])) names[count++] = shared[i].option.name;
  char *wanted = co_arena_strndup(p->arena, name, length);
  if (!wanted) return CO_ERR_MEMORY;
  for (char *c = wanted; *c; c++)
    if (*c == '_') *c = '-';
  const char *near = co_nearest(wanted, names, count);
  co_fail(CO_ERR_USAGE, "unknown option '%s' of 'cohort %s'", word, p->syntax->verb);
  if (near)
    co_hint("did you mean --%s?", near);
  else
    hint_help(p);
  return CO_ERR_USAGE;
}

static co_status refuse(const parser *p, const cli_option *option) {
  co_fail(CO_ERR_USAGE, "'cohort %s' does not take --%s", p->syntax->verb, option->name);
  hint_help(p);
  return CO_ERR_USAGE;
}

static co_status add(const parser *p, cli_list *list, const char *value) {
  if (list->count == list->capacity) {
    int64_t capacity = list->capacity ? 2 * list->capacity : 8;
    const char **grown = co_arena_alloc(p->arena, (size_t)capacity, sizeof *grown);
    if (!grown) return CO_ERR_MEMORY;
    if (list->count) memcpy(grown, list->item, (size_t)list->count * sizeof *grown);
    list->item = grown;
    list->capacity = capacity;
  }
  list->item[list->count++] = value;
  return CO_OK;
}

static co_status split(const parser *p, cli_list *list, const char *value) {
  list->count = 0;
  for (;;) {
    size_t length = strcspn(value, ",");
    char *name = co_arena_strndup(p->arena, value, length);
    if (!name) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(add(p, list, name));
    if (!value[length]) return CO_OK;
    value += length + 1;
  }
}

static co_status bad_value(const cli_option *o, const char *value, const char *expected) {
  return co_fail(CO_ERR_USAGE, "--%s: '%s' is not %s", o->name, value, expected);
}

static co_status check_range(const cli_option *o, const char *text, double value) {
  if ((o->minimum == 0 && o->maximum == 0) || (value >= o->minimum && value <= o->maximum))
    return CO_OK;
  return co_fail(CO_ERR_USAGE, "--%s: %s is not between %.15g and %.15g", o->name, text, o->minimum,
                 o->maximum);
}

static co_status read_int(const cli_option *o, const char *text, int64_t *out) {
  const char *digits = text + (*text == '-' || *text == '+');
  errno = 0;
  long long value = strtoll(text, NULL, 10);
  if (!*digits || digits[strspn(digits, "0123456789")] || errno)
    return bad_value(o, text, "a whole number");
  *out = value;
  return check_range(o, text, (double)value);
}

static co_status read_double(const cli_option *o, const char *text, double *out) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !isfinite(value) || strpbrk(text, "xX \t"))
    return bad_value(o, text, "a number");
  *out = value;
  return check_range(o, text, value);
}

static co_status read_word(const cli_option *o, const char *text, int *out) {
  int64_t count = 0;
  for (; o->words[count]; count++) {
    if (!cli_same_name(o->words[count], text)) continue;
    *out = (int)count;
    return CO_OK;
  }
  const char *near = co_nearest(text, o->words, count);
  co_fail(CO_ERR_USAGE, "--%s: '%s' is none of its words", o->name, text);
  if (near)
    co_hint("did you mean '%s'?", near);
  else
    co_hint("%s", o->doc);
  return CO_ERR_USAGE;
}

static co_status store(const parser *p, const cli_option *o, const char *value) {
  void *at = p->out + o->offset;
  switch (o->kind) {
  case CLI_TEXT:
  case CLI_OPTIONAL:
    *(const char **)at = value;
    return CO_OK;
  case CLI_INT:
    return read_int(o, value, at);
  case CLI_DOUBLE:
    return read_double(o, value, at);
  case CLI_WORD:
    return read_word(o, value, at);
  case CLI_LIST:
    return add(p, at, value);
  case CLI_NAMES:
    return split(p, at, value);
  default:
    return co_fail(CO_ERR_INTERNAL, "option --%s has no value", o->name);
  }
}

// The next word as a value. Another option is not taken for one: `--run-dir --json` is a slip.
static co_status take(parser *p, const cli_option *o, const char *name, const char **out) {
  const char *word = p->next < p->count ? p->words[p->next] : NULL;
  if (!word || strncmp(word, "--", 2) == 0) {
    co_fail(CO_ERR_USAGE, "--%s needs %s%s", name, o && o->kind == CLI_PAIR ? "two values: " : "",
            o ? o->value : "a value");
    if (word) co_hint("a value that starts with '--' is written --%s=%s", name, word);
    return CO_ERR_USAGE;
  }
  p->next++;
  *out = word;
  return CO_OK;
}

// `value` is what followed '=' or a letter, or NULL.
static co_status apply(parser *p, const cli_option *o, const char *value) {
  void *at = p->out + o->offset;
  if (o->kind == CLI_FLAG || o->kind == CLI_COUNT) {
    if (value) return co_fail(CO_ERR_USAGE, "--%s takes no value", o->name);
    if (o->kind == CLI_FLAG) *(bool *)at = true;
    if (o->kind == CLI_COUNT) ++*(int *)at;
    return CO_OK;
  }
  if (o->kind == CLI_OPTIONAL && !value) {
    bool follows = p->next < p->count && p->words[p->next][0] != '-';
    value = follows ? p->words[p->next++] : "";
  }
  if (!value) CO_RETURN_IF_FAILED(take(p, o, o->name, &value));
  if (o->kind != CLI_PAIR && o->kind != CLI_ONE_OR_TWO) return store(p, o, value);
  const char **pair = at;
  pair[0] = value;
  pair[1] = NULL;
  bool follows = p->next < p->count && p->words[p->next][0] != '-';
  if (o->kind == CLI_ONE_OR_TWO && !follows) return CO_OK;
  return take(p, o, o->name, &pair[1]);
}

// --trainer.max_steps 10 is --set trainer.max_steps=10.
static co_status apply_path(parser *p, const char *name, size_t length, const char *value) {
  char *path = co_arena_strndup(p->arena, name, length);
  if (!path) return CO_ERR_MEMORY;
  if (!value) CO_RETURN_IF_FAILED(take(p, NULL, path, &value));
  char *assignment = co_arena_format(p->arena, "%s=%s", path, value);
  if (!assignment) return CO_ERR_MEMORY;
  return add(p, &((cli_common *)p->out)->sets, assignment);
}

static co_status parse_long(parser *p, const char *word) {
  const char *name = word + 2;
  size_t length = strcspn(name, "=");
  const char *value = name[length] ? name + length + 1 : NULL;
  const cli_option *refused, *o = find(p, name, length, 0, &refused);
  if (o) return apply(p, o, value);
  if (refused) return refuse(p, refused);
  if (memchr(name, '.', length) && (p->syntax->common & CLI_CONFIG))
    return apply_path(p, name, length, value);
  return unknown(p, word, name, length);
}

static co_status parse_letters(parser *p, const char *word) {
  const cli_option *refused;
  const char *rest = word + 1;
  // Ludwig's "-mrp" and the like are aliases that stand behind one dash.
  for (const cli_option *o = p->syntax->options; rest[1] && o && o->name; o++)
    if (in_names(o->aliases, word, strlen(word))) return apply(p, o, NULL);
  while (*rest) {
    char letter = *rest++;
    const cli_option *o = find(p, NULL, 0, letter, &refused);
    if (refused) return refuse(p, refused);
    if (!o) return unknown(p, word, word + 1, strlen(word + 1));
    bool bare = o->kind == CLI_FLAG || o->kind == CLI_COUNT;
    CO_RETURN_IF_FAILED(apply(p, o, bare || !*rest ? NULL : rest));
    if (!bare) return CO_OK;
  }
  return CO_OK;
}

static co_status parse_operand(parser *p, const char *word) {
  cli_list *list = (cli_list *)(void *)(p->out + p->syntax->operands);
  if (p->syntax->operand && list->count < p->syntax->max_operands) return add(p, list, word);
  co_fail(CO_ERR_USAGE, "'cohort %s': what to do with '%s'?", p->syntax->verb, word);
  hint_help(p);
  return CO_ERR_USAGE;
}

static co_status set_default(const parser *p, const cli_option *o) {
  void *at = p->out + o->offset;
  if (o->fallback) return store(p, o, o->fallback);
  if (o->kind == CLI_INT) *(int64_t *)at = CLI_UNSET;
  if (o->kind == CLI_DOUBLE) *(double *)at = NAN;
  if (o->kind == CLI_WORD) *(int *)at = -1;
  return CO_OK;
}

static co_status set_defaults(const parser *p) {
  for (size_t i = 0; i < SHARED_COUNT; i++)
    CO_RETURN_IF_FAILED(set_default(p, &shared[i].option));
  for (const cli_option *o = p->syntax->options; o && o->name; o++)
    CO_RETURN_IF_FAILED(set_default(p, o));
  return CO_OK;
}

static bool is_given(const parser *p, const cli_option *o) {
  const void *at = p->out + o->offset;
  switch (o->kind) {
  case CLI_TEXT:
  case CLI_OPTIONAL:
  case CLI_PAIR:
  case CLI_ONE_OR_TWO:
    return *(const char *const *)at != NULL;
  case CLI_INT:
    return *(const int64_t *)at != CLI_UNSET;
  case CLI_DOUBLE:
    return !isnan(*(const double *)at);
  case CLI_WORD:
    return *(const int *)at >= 0;
  case CLI_LIST:
  case CLI_NAMES:
    return ((const cli_list *)at)->count > 0;
  default:
    return true;
  }
}

static co_status check_required(const parser *p) {
  co_text missing;
  co_text_init(&missing, co_arena_context(p->arena));
  for (const cli_option *o = p->syntax->options; o && o->name; o++)
    if (o->required && !is_given(p, o))
      co_text_printf(&missing, "%s--%s %s", missing.length ? ", " : "", o->name, o->value);
  const cli_list *operands = (const cli_list *)(const void *)(p->out + p->syntax->operands);
  if (p->syntax->operand && operands->count < p->syntax->min_operands)
    co_text_printf(&missing, "%s%s", missing.length ? ", " : "", p->syntax->operand);
  co_status status = missing.status;
  if (status == CO_OK && missing.length) {
    status = co_fail(CO_ERR_USAGE, "'cohort %s' also needs %s", p->syntax->verb, missing.data);
    hint_help(p);
  }
  co_text_free(&missing);
  return status;
}

co_status cli_parse(void *out, const cli_syntax *syntax, co_arena *arena, int count,
                    char *const *words) {
  parser p = {.out = out, .syntax = syntax, .arena = arena, .words = words, .count = count};
  CO_RETURN_IF_FAILED(set_defaults(&p));
  bool only_operands = false;
  while (p.next < count) {
    const char *word = words[p.next++];
    if (only_operands || word[0] != '-' || !word[1])
      CO_RETURN_IF_FAILED(parse_operand(&p, word));
    else if (strcmp(word, "--") == 0)
      only_operands = true;
    else if (word[1] == '-')
      CO_RETURN_IF_FAILED(parse_long(&p, word));
    else
      CO_RETURN_IF_FAILED(parse_letters(&p, word));
  }
  return ((cli_common *)out)->help ? CO_OK : check_required(&p);
}

// ---- files that are named ----------------------------------------------------------------------

static bool names_file(const char *options, const cli_option *o, const char *path) {
  const void *at = options + o->offset;
  const char *const *texts = at;
  bool pair = o->kind == CLI_PAIR || o->kind == CLI_ONE_OR_TWO;
  int64_t count = pair ? 2 : 1;
  if (o->kind == CLI_LIST) {
    texts = ((const cli_list *)at)->item;
    count = ((const cli_list *)at)->count;
  } else if (o->kind != CLI_TEXT && o->kind != CLI_OPTIONAL && !pair) {
    return false;
  }
  for (int64_t i = 0; i < count; i++)
    if (texts[i] && co_path_is_same(texts[i], path)) return true;
  return false;
}

const char *cli_option_naming(const void *options, const cli_syntax *syntax, const char *path) {
  for (const cli_option *o = syntax->options; o && o->name; o++)
    if (names_file(options, o, path)) return o->name;
  for (size_t i = 0; i < SHARED_COUNT; i++) {
    const cli_option *o = &shared[i].option;
    if (o->offset != AT(log_file) && takes(syntax, &shared[i]) && names_file(options, o, path))
      return o->name;
  }
  const cli_option operands = {.kind = CLI_LIST, .offset = syntax->operands};
  return syntax->operand && names_file(options, &operands, path) ? syntax->operand : NULL;
}

// ---- help --------------------------------------------------------------------------------------

static void describe(co_text *text, const cli_option *o) {
  enum { COLUMN = 32 };
  char left[128];
  int used = snprintf(left, sizeof left, o->letter ? "  -%c, --%s" : "  %c   --%s",
                      o->letter ? o->letter : ' ', o->name);
  if (o->value && used > 0 && (size_t)used < sizeof left)
    used += snprintf(left + used, sizeof left - (size_t)used,
                     o->kind == CLI_OPTIONAL ? " [%s]" : " %s", o->value);
  co_text_printf(text, "%s", left);
  if (used >= COLUMN) co_text_printf(text, "\n%*s", COLUMN, "");
  co_text_printf(text, "%*s%s", used >= COLUMN ? 0 : COLUMN - used, "", o->doc);
  if (o->required) co_text_printf(text, " (required)");
  if (o->fallback) co_text_printf(text, " (default %s)", o->fallback);
  co_text_printf(text, "\n");
}

void cli_describe(co_text *text, const cli_syntax *syntax) {
  if (syntax->options && syntax->options->name) {
    co_text_printf(text, "\noptions:\n");
    for (const cli_option *o = syntax->options; o->name; o++)
      describe(text, o);
  }
  co_text_printf(text, "\ncommon options:\n");
  for (size_t i = 0; i < SHARED_COUNT; i++)
    if (takes(syntax, &shared[i])) describe(text, &shared[i].option);
}
