// SPDX-License-Identifier: Apache-2.0
// Options of the command line. One table per verb says it all: parsing, checks and help text come
// from it. In names '-' and '_' are the same.
#ifndef COHORT_CLI_OPTION_H
#define COHORT_CLI_OPTION_H

#include "host/core/context.h"

typedef enum cli_kind {
  CLI_FLAG,      // bool
  CLI_COUNT,     // int: how often it was given
  CLI_TEXT,      // const char *, NULL if not given
  CLI_OPTIONAL,  // const char *: the value, "" without one, NULL if not given
  CLI_INT,       // int64_t, CLI_UNSET if not given and without default
  CLI_DOUBLE,    // double, NAN likewise
  CLI_WORD,      // int: index into `words`, -1 likewise
  CLI_LIST,      // cli_list: repeatable
  CLI_NAMES,     // cli_list: one value, split at commas
  CLI_PAIR,      // const char *[2]: two values
  CLI_ONE_OR_TWO // const char *[2]: one value, or two
} cli_kind;

#define CLI_UNSET INT64_MIN

typedef struct cli_list {
  const char **item;
  int64_t count, capacity;
} cli_list;

typedef struct cli_option {
  const char *name; // long, without "--"; NULL ends a table
  char letter;      // short, or 0
  cli_kind kind;
  size_t offset;            // into the options struct
  const char *value;        // what help calls the value: "FILE"
  const char *doc;          // one line
  const char *aliases;      // other long names, separated by blanks, or NULL
  const char *fallback;     // default as text, or NULL
  const char *const *words; // WORD: NULL-terminated
  double minimum, maximum;  // INT, DOUBLE: inclusive; both 0 = unbounded
  bool required;
} cli_option;

// Flags that several verbs share. Every options struct starts with them.
typedef struct cli_common {
  bool help, json, dry_run, force;
  int quiet, verbose;
  int log_level, log_format, progress, color; // indices into the words of the table
  const char *log_file, *device, *precision;
  int64_t threads, seed;
  cli_list configs, sets;
} cli_common;

enum { // which of them a verb takes, beside those that all take
  CLI_DEVICE = 1,
  CLI_THREADS = 2,
  CLI_SEED = 4,
  CLI_CONFIG = 8, // -c, -s and --NAME.SUB
  CLI_DRY_RUN = 16,
  CLI_FORCE = 32,
  CLI_PRECISION = 64
};

// What may be given to a verb.
typedef struct cli_syntax {
  const char *verb;
  unsigned common;           // CLI_DEVICE | …
  const cli_option *options; // the verb's own, or NULL
  const char *operand;       // what help calls operands ("FILE"), NULL = none
  int min_operands, max_operands;
  size_t operands; // offset of their cli_list
} cli_syntax;

// Fills `out` (zeroed, starting with a cli_common) from the words after the verb. `arena` holds
// lists. Checks for required options are left out when help is asked for. Errors are
// CO_ERR_USAGE with a hint.
co_status cli_parse(void *out, const cli_syntax *syntax, co_arena *arena, int count,
                    char *const *words);
// The name of an option, other than --log-file, or operand whose value is this file, by whatever
// path; NULL if there is none.
const char *cli_option_naming(const void *options, const cli_syntax *syntax, const char *path);
// The lines "-c, --config FILE   doc" of a verb's own options and of the shared ones.
void cli_describe(co_text *text, const cli_syntax *syntax);

bool cli_same_name(const char *a, const char *b); // '-' and '_' are the same
// True if `name` is one of the blank-separated `names` (may be NULL).
bool cli_in_names(const char *names, const char *name);

#endif
