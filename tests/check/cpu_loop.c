// SPDX-License-Identifier: Apache-2.0
// A fixed amount of work: what a second of CPU time is worth on this machine, now. Prints the CPU
// seconds that it took: one on the machine for which the budgets of tests/README.md were written
// down. Integers and memory in equal parts, as compilers and tests have them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORDS = 1 << 21, ROUNDS = 64 };

int main(void) {
  uint64_t *table = calloc(WORDS, sizeof *table), state = 1;
  if (!table) return 1;
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < WORDS; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      table[state >> 43] += state ^ (state >> 29);
    }
  uint64_t sum = 0;
  for (int i = 0; i < WORDS; i++)
    sum += table[i] * (uint64_t)(2 * i + 1);
  // The result is printed, too: nothing of the work may be left out.
  printf("%.3f %llx\n", (double)clock() / CLOCKS_PER_SEC, (unsigned long long)sum);
  free(table);
  return 0;
}
