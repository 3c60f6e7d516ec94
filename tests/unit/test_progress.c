// SPDX-License-Identifier: Apache-2.0
// Pseudo-terminals need the X/Open extensions.
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "host/core/progress.h"

typedef struct fixture {
  co_context *ctx;
  double time;
  char text[65536];
} fixture;

static double clock_of(void *user) {
  return *(double *)user;
}

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  *state = f;
  return co_context_create(&f->ctx, NULL) == CO_OK ? 0 : -1;
}

static int tear_down(void **state) {
  fixture *f = *state;
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  co_context_free(f->ctx);
  free(f);
  return live == 0 ? 0 : -1;
}

static int count(const char *text, const char *part) {
  int n = 0;
  for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
    n++;
  return n;
}

static co_progress *make(fixture *f, FILE *stream, co_progress_mode mode) {
  co_progress *p;
  assert_int_equal(co_progress_create(&p, f->ctx, stream, mode), CO_OK);
  co_progress_set_clock(p, clock_of, &f->time);
  return p;
}

static const char *contents(fixture *f, FILE *stream) {
  rewind(stream);
  f->text[fread(f->text, 1, sizeof f->text - 1, stream)] = '\0';
  return f->text;
}

// Every mode on a file gives complete plain lines, no control characters.
static void files_get_plain_lines(void **state) {
  fixture *f = *state;
  for (int mode = CO_PROGRESS_AUTO; mode <= CO_PROGRESS_PLAIN; mode++) {
    FILE *stream = tmpfile();
    f->time = 100;
    co_progress *p = make(f, stream, (co_progress_mode)mode);
    co_progress_begin(p, "train", 1000, "rows");
    for (int i = 1; i <= 1000; i++) {
      f->time = 100 + i / 8.0;
      co_progress_update(p, i, "loss=0.41\r\033[2Jacc\n=.85");
      co_progress_erase(p);
    }
    co_progress_end(p);
    co_progress_free(p);
    contents(f, stream);
    assert_int_equal(count(f->text, "\n"), 5); // at 30, 60, 90, 120 s and at the end
    assert_int_equal(count(f->text, "\r") + count(f->text, "\033"), 0);
    assert_non_null(strstr(f->text, "train:  24% 240/1000 rows 8.00/s 1:35 left loss=0.41"));
    assert_non_null(strstr(f->text, "train: 100% 1000/1000 rows"));
    assert_int_equal(f->text[strlen(f->text) - 1], '\n');
    fclose(stream);
  }
}

static void short_stages_print_nothing(void **state) {
  fixture *f = *state;
  FILE *stream = tmpfile();
  co_progress *p = make(f, stream, CO_PROGRESS_PLAIN);
  for (int stage = 0; stage < 50; stage++) {
    co_progress_begin(p, "quick", 10, "files");
    f->time += 29;
    co_progress_update(p, 9, NULL);
  }
  co_progress_end(p);
  co_progress_end(p);
  co_progress_update(p, 10, "after the end");
  co_progress_free(p);
  assert_string_equal(contents(f, stream), "");
  fclose(stream);
}

static void plain_lines_back_off(void **state) {
  fixture *f = *state;
  FILE *stream = tmpfile();
  co_progress *p = make(f, stream, CO_PROGRESS_PLAIN);
  co_progress_begin(p, "train", 0, "steps");
  for (int i = 0; i < 3 * 3600; i++) {
    f->time += 1;
    co_progress_update(p, i, NULL);
  }
  co_progress_free(p);
  contents(f, stream);
  // 119 or 120 in the first hour, 24 in the two after it, one at the end.
  assert_in_range(count(f->text, "\n"), 143, 145);
  assert_int_equal(count(f->text, "%"), 0);
  assert_non_null(strstr(f->text, "train: 29 steps "));
  fclose(stream);
}

static void silence_is_silent(void **state) {
  fixture *f = *state;
  FILE *stream = tmpfile();
  co_progress *p = make(f, stream, CO_PROGRESS_NONE);
  co_progress_begin(p, "x", 1, "y");
  f->time += 1000;
  co_progress_update(p, 1, NULL);
  co_progress_free(p);
  assert_string_equal(contents(f, stream), "");
  fclose(stream);
  p = make(f, NULL, CO_PROGRESS_AUTO);
  co_progress_begin(p, "x", 1, "y");
  co_progress_update(p, 1, NULL);
  co_progress_free(p);
  co_progress_begin(NULL, "x", 1, "y");
  co_progress_update(NULL, 1, NULL);
  co_progress_erase(NULL);
  co_progress_end(NULL);
  co_progress_free(NULL);
  co_alloc_fail_at(f->ctx, 1, false);
  assert_int_equal(co_progress_create(&p, f->ctx, NULL, CO_PROGRESS_AUTO), CO_ERR_MEMORY);
  assert_null(p);
}

// What came through a terminal; the kernel hands it over in its own time, in pieces.
static size_t receive(fixture *f, int master) {
  struct pollfd ready = {.fd = master, .events = POLLIN};
  size_t got = 0;
  while (got < sizeof f->text - 1 && poll(&ready, 1, 200) > 0) {
    ssize_t piece = read(master, f->text + got, sizeof f->text - 1 - got);
    if (piece <= 0) break;
    got += (size_t)piece;
  }
  assert_true(got >= 4);
  f->text[got] = '\0';
  return got;
}

static int open_terminal(void) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master >= 0 && !grantpt(master) && !unlockpt(master)) return master;
  print_message("NOT RUN: no pseudo-terminal\n");
  skip();
  return -1;
}

// A pseudo-terminal of 60 columns; what arrives at its other end.
static void terminals_get_one_line(void **state) {
  fixture *f = *state;
  int master = open_terminal();
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  struct winsize size = {.ws_row = 24, .ws_col = 60};
  struct termios raw;
  tcgetattr(slave, &raw);
  raw.c_oflag &= ~(tcflag_t)OPOST;
  tcsetattr(slave, TCSANOW, &raw);
  ioctl(slave, TIOCSWINSZ, &size);
  FILE *stream = fdopen(slave, "w");
  co_progress *p = make(f, stream, CO_PROGRESS_AUTO);
  co_progress_begin(p, "train", 1000, "rows");
  for (int i = 1; i <= 1000; i++) {
    f->time += 0.001;
    co_progress_update(p, i, "Zürich Zürich Zürich Zürich Zürich Zürich Zürich Zürich");
  }
  co_progress_erase(p);
  co_progress_erase(p);
  co_progress_end(p);
  co_progress_free(p);
  size_t got = receive(f, master);
  assert_in_range(count(f->text, "\rtrain ["), 10, 11); // one second, ten a second
  assert_int_equal(count(f->text, "\n"), 0);
  assert_int_equal(count(f->text, "\r\033[K"), 1); // erased once
  assert_string_equal(f->text + got - 4, "\r\033[K");
  assert_memory_equal(f->text, "\rtrain [>", 9);
  fclose(stream);
  close(master);
}

static void lines_fit_the_terminal(void **state) {
  fixture *f = *state;
  int master = open_terminal();
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  struct winsize size = {.ws_row = 24, .ws_col = 50};
  ioctl(slave, TIOCSWINSZ, &size);
  FILE *stream = fdopen(slave, "w");
  co_progress *p = make(f, stream, CO_PROGRESS_BAR);
  co_progress_begin(p, "Zürich", 0, "é");
  f->time += 10;
  co_progress_update(p, 3, "ééééééééééééééééééééééééééééééééééééééééééééééééééééééé");
  receive(f, master);
  char *last = strrchr(f->text, '\r') + 1, *end = strstr(last, "\033[K");
  assert_non_null(end);
  int columns = 0;
  for (char *c = last; c < end; c++)
    columns += ((unsigned char)*c & 0xC0) != 0x80;
  assert_int_equal(columns, 49);
  assert_int_equal((unsigned char)end[-2], 0xC3); // the last character is whole
  co_progress_free(p);
  fclose(stream);
  close(master);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(files_get_plain_lines), TEST(short_stages_print_nothing), TEST(plain_lines_back_off),
      TEST(silence_is_silent),     TEST(terminals_get_one_line),     TEST(lines_fit_the_terminal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
