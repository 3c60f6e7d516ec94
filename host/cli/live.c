// SPDX-License-Identifier: Apache-2.0
// A table on a terminal that takes the place of the one before.
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/cli/cli.h"

// At most so many columns; a character is one.
static int fitting(const char *line, int length, int columns) {
  int used = 0;
  for (int i = 0; i < length; i++)
    if (((unsigned char)line[i] & 0xC0) != 0x80 && ++used > columns) return i;
  return length;
}

static const char *put_line(const char *line, int columns) {
  const int length = (int)strcspn(line, "\n");
  fprintf(stderr, "%.*s\n", fitting(line, length, columns), line);
  return line + length + (line[length] == '\n');
}

void cli_live_clear(cli_job *cli) {
  if (cli->progress) co_progress_erase(cli->progress);
  if (cli->live_lines) fprintf(stderr, "\033[%dA\r\033[J", cli->live_lines);
  cli->live_lines = 0;
  fflush(stderr);
}

void cli_live_show(cli_job *cli, const char *text) {
  struct winsize size;
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
  const int rows = known ? size.ws_row : 24, columns = (known ? size.ws_col : 80) - 1;
  int lines = 0;
  for (const char *at = text; (at = strchr(at, '\n')); at++)
    lines++;
  cli_live_clear(cli);
  // The head, and of the rest what fits above the line of progress: the last.
  const int most = rows > 4 ? rows - 2 : 2, skipped = lines > most ? lines - most : 0;
  const char *at = put_line(text, columns);
  for (int i = 0; i < skipped; i++)
    at += strcspn(at, "\n") + 1;
  while (*at)
    at = put_line(at, columns);
  cli->live_lines = lines - skipped;
  fflush(stderr);
}
