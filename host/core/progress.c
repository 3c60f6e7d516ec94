// SPDX-License-Identifier: Apache-2.0
#include "host/core/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 14, LINE_BYTES = 1024 };

static const double REDRAW = 0.1, PLAIN_FIRST = 30, PLAIN_LATER = 300, LATER = 3600, AT_ONCE = 1e-3;

struct co_progress {
  co_context *ctx;
  FILE *stream;
  co_progress_mode mode; // never CO_PROGRESS_AUTO
  double (*now)(void *user);
  void *now_user;
  pthread_mutex_t mutex; // guards everything below; the log may erase from any thread
  char what[64], unit[32];
  int64_t total, done;
  int64_t first;                  // done when the stage began, -1 until it is told
  double created, begun, printed; // seconds; when the last line was printed
  bool active, visible, reported; // a stage runs; the bar is on screen; a plain line was printed
};

static double monotonic(void *unused) {
  struct timespec t;
  (void)unused;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static co_progress_mode choose(FILE *stream, co_progress_mode mode) {
  if (!stream || mode == CO_PROGRESS_NONE) return CO_PROGRESS_NONE;
  bool terminal = isatty(fileno(stream)) == 1;
  return terminal && mode != CO_PROGRESS_PLAIN ? CO_PROGRESS_BAR : CO_PROGRESS_PLAIN;
}

co_status co_progress_create(co_progress **out, co_context *ctx, FILE *stream,
                             co_progress_mode mode) {
  *out = NULL;
  co_progress *p = co_alloc_zero(ctx, 1, sizeof *p);
  if (!p) return CO_ERR_MEMORY;
  p->ctx = ctx;
  p->stream = stream;
  p->mode = choose(stream, mode);
  if (pthread_mutex_init(&p->mutex, NULL) != 0) {
    co_free(ctx, p);
    return co_fail(CO_ERR_MEMORY, "cannot create a mutex");
  }
  co_progress_set_clock(p, monotonic, NULL);
  *out = p;
  return CO_OK;
}

void co_progress_set_clock(co_progress *progress, double (*now)(void *user), void *user) {
  progress->now = now;
  progress->now_user = user;
  progress->created = now(user);
  progress->printed = progress->created - PLAIN_LATER; // nothing printed yet
}

// ---- one line ----------------------------------------------------------------------------------

// Text from elsewhere: no line breaks, and nothing that a terminal would obey.
static void copy_plain(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text ? text : "");
  for (char *p = out; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = ' ';
}

static void print_duration(double seconds, char *out, size_t size) {
  int64_t s = seconds < 1e9 ? (int64_t)(seconds + 0.5) : 1000000000;
  if (s >= 3600)
    snprintf(out, size, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
  else
    snprintf(out, size, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

static void append(char *line, const char *text) {
  size_t used = strlen(line);
  snprintf(line + used, LINE_BYTES - used, "%s%s", used ? " " : "", text);
}

static double fraction(const co_progress *p) {
  if (p->done <= 0) return 0;
  return p->done >= p->total ? 1 : (double)p->done / (double)p->total;
}

static void append_bar(const co_progress *p, char *line) {
  char bar[BAR_CELLS + 3] = "[";
  int full = (int)(fraction(p) * BAR_CELLS);
  for (int i = 0; i < BAR_CELLS; i++)
    bar[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
  bar[BAR_CELLS + 1] = ']';
  append(line, bar);
}

static void append_count(const co_progress *p, char *line) {
  char text[128];
  if (p->total > 0)
    snprintf(text, sizeof text, "%3d%% %" PRId64 "/%" PRId64 " %s", (int)(fraction(p) * 100),
             p->done, p->total, p->unit);
  else
    snprintf(text, sizeof text, "%" PRId64 " %s", p->done, p->unit);
  append(line, text);
}

static void append_speed(const co_progress *p, double now, char *line) {
  char text[96], left[32];
  double elapsed = now - p->begun;
  if (elapsed <= 0 || p->done <= p->first) return;
  double rate = (double)(p->done - p->first) / elapsed;
  snprintf(text, sizeof text, "%.*f/s", rate < 10 ? 2 : 0, rate);
  append(line, text);
  if (p->total <= p->done) return;
  print_duration((double)(p->total - p->done) / rate, left, sizeof left);
  snprintf(text, sizeof text, "%s left", left);
  append(line, text);
}

static void compose(const co_progress *p, double now, const char *detail, char line[LINE_BYTES]) {
  char clean[512];
  bool bar = p->mode == CO_PROGRESS_BAR;
  copy_plain(clean, sizeof clean, detail);
  snprintf(line, LINE_BYTES, "%s%s", p->what, bar ? "" : ":");
  if (bar && p->total > 0) append_bar(p, line);
  append_count(p, line);
  append_speed(p, now, line);
  if (clean[0]) append(line, clean);
}

// A line that wraps could not be erased again.
static void fit_to_width(FILE *stream, char *line) {
  struct winsize size;
  int columns = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
  for (int used = 0; *line; line++) {
    bool starts = ((unsigned char)*line & 0xC0) != 0x80; // a character, not the rest of one
    if (starts && ++used >= columns) break;
  }
  *line = '\0';
}

// ---- printing ----------------------------------------------------------------------------------

static void erase(co_progress *p) {
  if (!p->visible) return;
  fputs("\r\033[K", p->stream);
  fflush(p->stream);
  p->visible = false;
}

static double interval(const co_progress *p, double now) {
  if (p->mode == CO_PROGRESS_BAR) return REDRAW;
  return now - p->created < LATER ? PLAIN_FIRST : PLAIN_LATER;
}

static void print(co_progress *p, double now, const char *detail) {
  char line[LINE_BYTES];
  compose(p, now, detail, line);
  if (p->mode == CO_PROGRESS_BAR) {
    fit_to_width(p->stream, line);
    fprintf(p->stream, "\r%s\033[K", line);
    p->visible = true;
  } else {
    fprintf(p->stream, "%s\n", line);
    p->reported = true;
  }
  fflush(p->stream);
  p->printed = now;
}

static void finish(co_progress *p) {
  // Whoever saw plain lines of this stage also sees its end.
  if (p->active && p->reported) print(p, p->now(p->now_user), NULL);
  erase(p);
  p->active = false;
  p->reported = false;
}

void co_progress_begin(co_progress *progress, const char *what, int64_t total, const char *unit) {
  co_progress *p = progress;
  if (!p || p->mode == CO_PROGRESS_NONE) return;
  pthread_mutex_lock(&p->mutex);
  finish(p);
  copy_plain(p->what, sizeof p->what, what);
  copy_plain(p->unit, sizeof p->unit, unit);
  p->total = total;
  p->done = 0;
  p->first = -1;
  p->begun = p->now(p->now_user);
  p->active = true;
  // A plain line is for long waits only; a bar shows at once.
  if (p->mode == CO_PROGRESS_PLAIN)
    p->printed = p->begun;
  else if (p->begun - p->printed >= REDRAW)
    print(p, p->begun, NULL);
  pthread_mutex_unlock(&p->mutex);
}

void co_progress_update(co_progress *progress, int64_t done, const char *detail) {
  co_progress *p = progress;
  if (!p || p->mode == CO_PROGRESS_NONE) return;
  pthread_mutex_lock(&p->mutex);
  p->done = done;
  double now = p->now(p->now_user);
  // A stage that goes on where it stopped says so at once; only what follows makes its speed.
  if (p->first < 0) p->first = now - p->begun < AT_ONCE ? done : 0;
  if (p->active && now - p->printed >= interval(p, now)) print(p, now, detail);
  pthread_mutex_unlock(&p->mutex);
}

void co_progress_end(co_progress *progress) {
  if (!progress || progress->mode == CO_PROGRESS_NONE) return;
  pthread_mutex_lock(&progress->mutex);
  finish(progress);
  pthread_mutex_unlock(&progress->mutex);
}

void co_progress_erase(co_progress *progress) {
  if (!progress || progress->mode == CO_PROGRESS_NONE) return;
  pthread_mutex_lock(&progress->mutex);
  erase(progress);
  pthread_mutex_unlock(&progress->mutex);
}

void co_progress_free(co_progress *progress) {
  if (!progress) return;
  co_progress_end(progress);
  pthread_mutex_destroy(&progress->mutex);
  co_free(progress->ctx, progress);
}
