// SPDX-License-Identifier: Apache-2.0
// Every form of an option, over a table with every kind of option.
// Labels: asan
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/cli/option.h"

typedef struct options {
  cli_common common;
  const char *run_dir, *resume, *pair[2];
  int mode;
  int64_t batch;
  double fraction;
  cli_list names, gates, operands;
} options;

#define AT(member) offsetof(options, member)

static const char *const modes[] = {"train", "infer", NULL};
static const cli_option table[] = {
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "DIR",
     .doc = "",
     .required = true},
    {.name = "resume",
     .kind = CLI_OPTIONAL,
     .offset = AT(resume),
     .value = "RUN",
     .doc = "",
     .aliases = "model-resume-path -mrp"},
    {.name = "training-set", .kind = CLI_PAIR, .offset = AT(pair), .value = "A B", .doc = ""},
    {.name = "mode",
     .letter = 'm',
     .kind = CLI_WORD,
     .offset = AT(mode),
     .value = "M",
     .doc = "",
     .fallback = "train",
     .words = modes},
    {.name = "batch-size",
     .kind = CLI_INT,
     .offset = AT(batch),
     .value = "N",
     .doc = "",
     .minimum = 1,
     .maximum = 100},
    {.name = "fraction",
     .kind = CLI_DOUBLE,
     .offset = AT(fraction),
     .value = "F",
     .doc = "",
     .minimum = 0,
     .maximum = 1},
    {.name = "names", .kind = CLI_NAMES, .offset = AT(names), .value = "A,B", .doc = ""},
    {.name = "require", .kind = CLI_LIST, .offset = AT(gates), .value = "TEST", .doc = ""},
    {.name = NULL},
};
static const cli_syntax syntax = {.verb = "fit",
                                  .common = CLI_CONFIG | CLI_SEED,
                                  .options = table,
                                  .operand = "FILE",
                                  .max_operands = 1,
                                  .operands = AT(operands)};

static int setup(void **state) {
  co_context *ctx;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  co_arena *arena;
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  *state = arena;
  return 0;
}

static int teardown(void **state) {
  co_context *ctx = co_arena_context(*state);
  co_arena_free(*state);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
  return 0;
}

// Words separated by blanks.
static co_status parse(co_arena *arena, options *out, const char *line) {
  char *copy = co_arena_strdup(arena, line), *words[32];
  int count = 0;
  for (char *p = copy; *p;) {
    words[count++] = p;
    p += strcspn(p, " ");
    if (*p) *p++ = '\0';
  }
  memset(out, 0, sizeof *out);
  return cli_parse(out, &syntax, arena, count, words);
}

static void reads_every_form(void **state) {
  options o;
  assert_int_equal(parse(*state, &o,
                         "--run_dir=r -qvv -cone.yaml -c two.yaml --training-set a b -m infer "
                         "--names=x,,y --require p --require=q --fraction .5 --random_seed 7 "
                         "--batch-size 5 -s a=1 --trainer.max_steps 10 --a.b=c=d file"),
                   CO_OK);
  assert_string_equal(o.run_dir, "r");
  assert_int_equal(o.common.quiet, 1);
  assert_int_equal(o.common.verbose, 2);
  assert_int_equal(o.common.configs.count, 2);
  assert_string_equal(o.common.configs.item[0], "one.yaml");
  assert_string_equal(o.pair[1], "b");
  assert_int_equal(o.mode, 1);
  assert_int_equal(o.names.count, 3);
  assert_string_equal(o.names.item[2], "y");
  assert_int_equal(o.gates.count, 2);
  assert_true(o.fraction == .5);
  assert_int_equal(o.common.seed, 7);
  assert_int_equal(o.batch, 5);
  assert_int_equal(o.common.sets.count, 3);
  assert_string_equal(o.common.sets.item[1], "trainer.max_steps=10");
  assert_string_equal(o.common.sets.item[2], "a.b=c=d");
  assert_string_equal(o.operands.item[0], "file");
  assert_null(o.resume);
}

static void has_defaults(void **state) {
  options o;
  assert_int_equal(parse(*state, &o, "--run-dir r"), CO_OK);
  assert_int_equal(o.mode, 0);
  assert_true(o.batch == CLI_UNSET);
  assert_true(isnan(o.fraction));
  assert_int_equal(o.common.log_level, CO_LOG_INFO);
  assert_true(o.common.seed == CLI_UNSET);
  assert_int_equal(parse(*state, &o, "--help"), CO_OK); // nothing is required then
  assert_true(o.common.help);
}

static void an_optional_value(void **state) {
  static const struct {
    const char *line, *value;
  } cases[] = {
      {"--run-dir r --resume", ""},          {"--resume --run-dir r", ""},
      {"--resume=auto --run-dir r", "auto"}, {"--resume d --run-dir r", "d"},
      {"--run-dir r -mrp d", "d"},           {"--run-dir r --model_resume_path=d", "d"},
  };
  options o;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(parse(*state, &o, cases[i].line), CO_OK);
    assert_string_equal(o.resume, cases[i].value);
  }
}

static void dashes_end_the_options(void **state) {
  options o;
  assert_int_equal(parse(*state, &o, "--run-dir r -- --json"), CO_OK);
  assert_string_equal(o.operands.item[0], "--json");
  assert_false(o.common.json);
  assert_int_equal(parse(*state, &o, "--run-dir r -"), CO_OK);
  assert_string_equal(o.operands.item[0], "-");
}

static void explains_misuse(void **state) {
  static const struct {
    const char *line, *message, *hint;
  } cases[] = {
      {"", "'cohort fit' also needs --run-dir DIR", "see: cohort fit --help"},
      {"--run-dor r", "unknown option '--run-dor' of 'cohort fit'", "did you mean --run-dir?"},
      {"--batch_sise 5", "unknown option '--batch_sise' of 'cohort fit'",
       "did you mean --batch-size?"},
      {"--wholly-other", "unknown option '--wholly-other' of 'cohort fit'",
       "see: cohort fit --help"},
      {"-x", "unknown option '-x' of 'cohort fit'", "see: cohort fit --help"},
      {"--device cpu", "'cohort fit' does not take --device", "see: cohort fit --help"},
      {"--force", "'cohort fit' does not take --force", "see: cohort fit --help"},
      {"--run-dir --json", "--run-dir needs DIR",
       "a value that starts with '--' is written --run-dir=--json"},
      {"--run-dir", "--run-dir needs DIR", ""},
      {"--training-set a", "--training-set needs two values: A B", ""},
      {"--json=1", "--json takes no value", ""},
      {"--batch-size 2000*12", "--batch-size: '2000*12' is not a whole number", ""},
      {"--batch-size 0", "--batch-size: 0 is not between 1 and 100", ""},
      {"--batch-size 99999999999999999999",
       "--batch-size: '99999999999999999999' is not a whole number", ""},
      {"--fraction nan", "--fraction: 'nan' is not a number", ""},
      {"--fraction 0x1", "--fraction: '0x1' is not a number", ""},
      {"--mode trian", "--mode: 'trian' is none of its words", "did you mean 'train'?"},
      {"--run-dir r a b", "'cohort fit': what to do with 'b'?", "see: cohort fit --help"},
      {"--a.b", "--a.b needs a value", ""},
  };
  options o;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(parse(*state, &o, cases[i].line), CO_ERR_USAGE);
    assert_string_equal(co_error_last()->message, cases[i].message);
    assert_string_equal(co_error_last()->hint, cases[i].hint);
  }
}

static void help_lists_what_is_taken(void **state) {
  co_text text;
  co_text_init(&text, co_arena_context(*state));
  cli_describe(&text, &syntax);
  assert_non_null(strstr(text.data, "--resume [RUN]"));
  assert_non_null(strstr(text.data, "-m, --mode M"));
  assert_non_null(strstr(text.data, "--seed N"));
  assert_null(strstr(text.data, "--device"));
  co_text_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reads_every_form, setup, teardown),
      cmocka_unit_test_setup_teardown(has_defaults, setup, teardown),
      cmocka_unit_test_setup_teardown(an_optional_value, setup, teardown),
      cmocka_unit_test_setup_teardown(dashes_end_the_options, setup, teardown),
      cmocka_unit_test_setup_teardown(explains_misuse, setup, teardown),
      cmocka_unit_test_setup_teardown(help_lists_what_is_taken, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
