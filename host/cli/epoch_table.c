// SPDX-License-Identifier: Apache-2.0
// A training as a table, for whoever watches it on a terminal.
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/cli/cli.h"

enum { EPOCH, STEP, TRAIN, VALIDATION, METRIC, RATE, SPEED, TIME, BEST, COLUMNS };
enum { CELL_BYTES = 24, METRIC_WIDTH = 12, DEFAULT_WIDTH = 80 };

typedef struct column {
  const char *head, *narrow_head;
  int width, narrow_width; // of cells; heads may be longer
} column;

static const column columns[COLUMNS] = {
    [EPOCH] = {"epoch", "epoch", 5, 5},
    [STEP] = {"step", "step", 6, 6},
    [TRAIN] = {"train loss", "train", 8, 8},
    [VALIDATION] = {"val. loss", "valid.", 8, 8},
    [METRIC] = {NULL, NULL, 8, 7},
    [RATE] = {"rate", "rate", 8, 8},
    [SPEED] = {"rows/s", "rows/s", 7, 6},
    [TIME] = {"time", "time", 6, 5},
    [BEST] = {"", "", 4, 1},
};
// What goes first where all does not fit.
static const int dropped[] = {EPOCH, SPEED, RATE, STEP, TIME};

typedef struct line {
  char metric[METRIC_WIDTH + 1];
  char cell[COLUMNS][CELL_BYTES];
  cli_epoch_table layout;
} line;

// ---- cells -------------------------------------------------------------------------------------

static void put_number(char *cell, double value) {
  double size = fabs(value);
  snprintf(cell, CELL_BYTES, size >= 0.01 && size < 1000 ? "%.4f" : "%.3g", value);
}

static void put_speed(char *cell, double value) {
  snprintf(cell, CELL_BYTES, value < 10 ? "%.2f" : value < 1e6 ? "%.0f" : "%.3g", value);
}

static void put_time(char *cell, double seconds) {
  int64_t s = seconds < 1e9 ? (int64_t)(seconds + 0.5) : 1000000000;
  if (seconds < 10)
    snprintf(cell, CELL_BYTES, "%.1fs", seconds);
  else if (s < 3600)
    snprintf(cell, CELL_BYTES, "%d:%02d", (int)(s / 60), (int)(s % 60));
  else
    snprintf(cell, CELL_BYTES, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

static void fill(line *l, const cohort_epoch *epoch) {
  const char *dot = strrchr(epoch->metric, '.'); // "label.accuracy": the output is known
  snprintf(l->metric, sizeof l->metric, "%s", dot ? dot + 1 : epoch->metric);
  snprintf(l->cell[EPOCH], CELL_BYTES, "%lld", (long long)epoch->number);
  snprintf(l->cell[STEP], CELL_BYTES, "%lld", (long long)epoch->step);
  put_number(l->cell[TRAIN], epoch->train_loss);
  put_number(l->cell[VALIDATION], epoch->validation_loss);
  put_number(l->cell[METRIC], epoch->metric_value);
  snprintf(l->cell[RATE], CELL_BYTES, "%.3g", epoch->learning_rate);
  put_speed(l->cell[SPEED], epoch->rows_per_second);
  put_time(l->cell[TIME], epoch->seconds);
}

// ---- lines -------------------------------------------------------------------------------------

static bool shows(const line *l, int i) {
  return l->layout.columns >> i & 1;
}

static const char *head(const line *l, int i) {
  if (i == METRIC) return l->metric;
  return l->layout.narrow ? columns[i].narrow_head : columns[i].head;
}

static int width(const line *l, int i) {
  int least = l->layout.narrow ? columns[i].narrow_width : columns[i].width;
  int length = (int)strlen(head(l, i));
  return length > least ? length : least;
}

static int line_width(const line *l) {
  int used = 0, gap = l->layout.narrow ? 1 : 2;
  for (int i = 0; i < COLUMNS; i++)
    if (shows(l, i)) used += width(l, i) + (used ? gap : 0);
  return used;
}

static void choose_layout(line *l, const cohort_epoch *epoch, int available) {
  l->layout = (cli_epoch_table){.columns = (1u << COLUMNS) - 1};
  if (isnan(epoch->validation_loss))
    l->layout.columns &= ~(1u << VALIDATION | 1u << METRIC | 1u << BEST);
  if (strcmp(epoch->metric, "loss") == 0) l->layout.columns &= ~(1u << METRIC);
  l->layout.narrow = line_width(l) > available;
  for (size_t i = 0; i < sizeof dropped / sizeof *dropped && line_width(l) > available; i++)
    l->layout.columns &= ~(1u << dropped[i]);
  snprintf(l->cell[BEST], CELL_BYTES, "%s", !epoch->best ? "" : l->layout.narrow ? "*" : "best");
}

static size_t put_line(char *out, size_t size, const line *l, bool heads) {
  size_t used = 0;
  int gap = 0;
  for (int i = 0; i < COLUMNS && used < size; i++) {
    if (!shows(l, i)) continue;
    const char *text = heads ? head(l, i) : l->cell[i];
    bool blank = i == BEST && !*text; // no blanks at the end
    if (!blank)
      used += (size_t)snprintf(out + used, size - used, "%*s%*s", gap, "",
                               i == BEST ? 0 : width(l, i), text);
    gap = l->layout.narrow ? 1 : 2;
  }
  if (used < size) used += (size_t)snprintf(out + used, size - used, "\n");
  return used < size ? used : size - 1;
}

void cli_epoch_line(char *out, size_t size, cli_epoch_table *table, const cohort_epoch *epoch,
                    int available) {
  line l = {.metric = ""};
  size_t used = 0;
  fill(&l, epoch);
  choose_layout(&l, epoch, available);
  bool same = table->columns == l.layout.columns && table->narrow == l.layout.narrow;
  if (!same) used = put_line(out, size, &l, true);
  put_line(out + used, size - used, &l, false);
  *table = l.layout;
}

void cli_show_epoch(cli_job *cli, const cohort_epoch *epoch) {
  char text[512];
  struct winsize size;
  if (!cli->attended || cli->level < CO_LOG_INFO) return;
  int available = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col - 1
                                                                              : DEFAULT_WIDTH - 1;
  cli_epoch_line(text, sizeof text, &cli->table, epoch, available);
  if (cli->progress) co_progress_erase(cli->progress);
  fputs(text, stderr);
  fflush(stderr);
}
