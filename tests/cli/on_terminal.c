// SPDX-License-Identifier: Apache-2.0
// usage: on_terminal COLUMNS PROGRAM [ARGUMENTS...]
// Runs a program on a pseudo-terminal of so many columns, prints all that it wrote there, control
// characters included, and ends with its exit code.
// Pseudo-terminals need the X/Open extensions.
#define _XOPEN_SOURCE 700

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

// The child: its standard streams are the terminal.
static void run(const char *terminal, unsigned short columns, char **command) {
  setsid();
  int slave = open(terminal, O_RDWR);
  struct winsize size = {.ws_row = 24, .ws_col = columns};
  struct termios raw;
  if (slave < 0 || tcgetattr(slave, &raw) != 0) _exit(126);
  raw.c_oflag &= ~(tcflag_t)OPOST; // line ends as they were written
  if (tcsetattr(slave, TCSANOW, &raw) != 0 || ioctl(slave, TIOCSWINSZ, &size) != 0) _exit(126);
  for (int fd = 0; fd <= 2; fd++)
    if (dup2(slave, fd) < 0) _exit(126);
  if (slave > 2) close(slave);
  execvp(command[0], command);
  _exit(127);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  setbuf(stdout, NULL); // who reads it sees what there is
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    printf("NOT RUN: there are no pseudo-terminals\n");
    return 77;
  }
  const char *terminal = ptsname(master);
  pid_t child = terminal ? fork() : -1;
  if (child < 0) return 1;
  if (child == 0) run(terminal, (unsigned short)strtoul(argv[1], NULL, 10), argv + 2);
  char bytes[4096];
  ssize_t got;
  while ((got = read(master, bytes, sizeof bytes)) > 0) // fails once the last end there is closed
    fwrite(bytes, 1, (size_t)got, stdout);
  int state;
  if (waitpid(child, &state, 0) != child) return 1;
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}
