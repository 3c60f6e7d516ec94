// SPDX-License-Identifier: Apache-2.0
// usage: make_events LINES CUSTOMERS ITEMS SEED. A log of purchases as CSV on standard output: customer, time
// (of 2010 and 2011, in no order), item, quantity, price. Few customers and items have most of the lines.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state;

static double draw(void) { // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (double)(state * 2685821657736338717u >> 11) * 0x1p-53;
}

static char *put(char *to, uint64_t value, int digits) {
  char text[20];
  int count = 0;
  do
    text[count++] = (char)('0' + value % 10);
  while ((value /= 10) || count < digits);
  while (count)
    *to++ = text[--count];
  return to;
}

// Days from 2010-01-01 on.
static char *put_day(char *to, int day) {
  static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int month = 0;
  to = put(to, 2010 + (uint64_t)day / 365, 4);
  for (day %= 365; day >= days[month]; month++)
    day -= days[month];
  *to++ = '-';
  to = put(to, (uint64_t)month + 1, 2);
  *to++ = '-';
  return put(to, (uint64_t)day + 1, 2);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const long lines = strtol(argv[1], NULL, 10);
  const double customers = strtod(argv[2], NULL), items = strtod(argv[3], NULL);
  state = strtoull(argv[4], NULL, 10) * 0x9E3779B97F4A7C15u + 1;
  puts("customer,time,item,quantity,price");
  for (long i = 0; i < lines; i++) {
    char line[128], *to = line;
    double who = draw(), what = draw();
    const uint64_t second = (uint64_t)(draw() * 86400),
                   item = (uint64_t)(what * what * what * items);
    to = put(to, 1 + (uint64_t)(who * who * customers), 1);
    *to++ = ',';
    to = put_day(to, (int)(draw() * 730));
    *to++ = ' ';
    to = put(to, second / 3600, 2);
    *to++ = ':';
    to = put(to, second / 60 % 60, 2);
    *to++ = ':';
    to = put(to, second % 60, 2);
    *to++ = ',';
    *to++ = 'P';
    to = put(to, item, 5);
    *to++ = ',';
    to = put(to, 1 + (uint64_t)(draw() * 6), 1);
    *to++ = ',';
    to = put(to, 1 + item % 97, 1);
    *to++ = '.';
    to = put(to, (uint64_t)(draw() * 100), 2);
    *to++ = '\n';
    if (fwrite(line, 1, (size_t)(to - line), stdout) != (size_t)(to - line)) return 1;
  }
  return fflush(stdout) ? 1 : 0;
}
