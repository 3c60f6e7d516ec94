// SPDX-License-Identifier: Apache-2.0
// usage: make_idx ROWS SIDE CLASSES SALT IMAGES LABELS
// Writes an IDX pair: squares with noise whose bright row tells the class.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t scramble(uint32_t i) {
  i = (i ^ 61) ^ (i >> 16);
  i *= 9;
  i ^= i >> 4;
  i *= 0x27d4eb2du;
  return i ^ i >> 15;
}

static void put_number(FILE *out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    putc((int)(value >> shift & 255), out);
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  uint32_t number[4];
  for (int i = 0; i < 4; i++)
    number[i] = (uint32_t)strtoul(argv[1 + i], NULL, 10);
  uint32_t rows = number[0], side = number[1], classes = number[2], salt = number[3];
  FILE *images = fopen(argv[5], "wb"), *labels = fopen(argv[6], "wb");
  if (!images || !labels || !classes || !side) return 1;
  put_number(images, 0x803);
  put_number(images, rows);
  put_number(images, side);
  put_number(images, side);
  put_number(labels, 0x801);
  put_number(labels, rows);
  for (uint32_t r = 0; r < rows; r++) {
    uint32_t label = scramble(r + salt) % classes;
    putc((int)label, labels);
    for (uint32_t p = 0; p < side * side; p++)
      putc((int)(scramble(r * 1024 + p + salt) % 120 + (p / side == label % side ? 110 : 0)),
           images);
  }
  return fclose(images) || fclose(labels);
}
