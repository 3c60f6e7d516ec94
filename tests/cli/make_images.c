// SPDX-License-Identifier: Apache-2.0
// usage: make_images FOLDER COUNT WIDTH HEIGHT. Writes COUNT colour PNG files 000.png, 001.png, …: a
// bright bar on noise, upright where FOLDER's name begins with "v", else lying. The folder exists.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  long count = strtol(argv[2], NULL, 10);
  uint32_t width = (uint32_t)strtoul(argv[3], NULL, 10), noise = 1;
  uint32_t height = (uint32_t)strtoul(argv[4], NULL, 10);
  const char *slash = strrchr(argv[1], '/');
  int upright = (slash ? slash[1] : argv[1][0]) == 'v';
  uint8_t *pixels = malloc((size_t)width * height * 3);
  for (long i = 0; pixels && i < count; i++) {
    char path[512];
    for (uint32_t y = 0; y < height; y++)
      for (uint32_t x = 0; x < width; x++)
        for (uint32_t c = 0; c < 3; c++) {
          noise = noise * 1664525u + 1013904223u;
          uint32_t across = upright ? x * 8 / width : y * 8 / height;
          uint32_t bar = across == 2 + (uint32_t)i % 4 ? 150 : 0;
          pixels[(y * width + x) * 3 + c] = (uint8_t)(bar + (noise >> 24) % 80);
        }
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
    snprintf(path, sizeof path, "%s/%03ld.png", argv[1], i);
    if (!png_image_write_to_file(&image, path, 0, pixels, 0, NULL)) return 1;
  }
  free(pixels);
  return 0;
}
