// SPDX-License-Identifier: Apache-2.0
// The real cuDNN has an engine for each pass of every convolution of the list, in float and in
// bfloat16; and it does refuse what is wrong; it takes our recurrent layers and refuses what the double
// does. Usage: test_deviceless h100.json [LIST]
// LIST: lines of plugin/plan_configs convolutions, in place of the shapes here, which are of the
// kinds that configs may ask for.
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "deviceless.h"
#include "rnn_descriptors.h"

typedef struct named_shape {
  const char *name;
  conv_shape shape;
} named_shape;

// n, c, h, w, k, r, s, padding, stride, dilation, groups
static const named_shape shapes[] = {
    {"first layer, grey image", {128, 1, 28, 28, 32, 3, 3, 1, 1, 1, 1}},
    {"first layer, colour image", {128, 3, 32, 32, 64, 3, 3, 1, 1, 1, 1}},
    {"3x3", {128, 64, 32, 32, 128, 3, 3, 1, 1, 1, 1}},
    {"3x3, stride 2", {64, 64, 32, 32, 128, 3, 3, 1, 2, 1, 1}},
    {"1x1", {64, 256, 14, 14, 64, 1, 1, 0, 1, 1, 1}},
    {"7x7, stride 2", {32, 3, 224, 224, 64, 7, 7, 3, 2, 1, 1}},
    {"5x5 without padding", {128, 32, 14, 14, 64, 5, 5, 0, 1, 1, 1}},
    {"dilated", {16, 32, 28, 28, 32, 3, 3, 2, 1, 2, 1}},
    {"over a sequence", {128, 64, 1, 50, 64, 1, 1, 0, 1, 1, 1}},
    {"odd batch", {37, 16, 9, 9, 24, 3, 3, 1, 1, 1, 1}},
    {"depthwise", {32, 32, 14, 14, 32, 3, 3, 1, 1, 1, 32}},
    {"two groups", {32, 32, 14, 14, 32, 3, 3, 1, 1, 1, 2}},
};

static const char *const pass_names[CONV_PASS_COUNT] = {"forward", "forward+bias+relu", "dgrad",
                                                        "wgrad"};

static int check_shape(cudnnBackendDescriptor_t device, const named_shape *s) {
  static const cudnnDataType_t types[] = {CUDNN_DATA_FLOAT, CUDNN_DATA_BFLOAT16};
  int failures = 0;
  for (int type = 0; type < 2; type++)
    for (int pass = 0; pass < CONV_PASS_COUNT; pass++) {
      int engines = deviceless_conv_engines(device, (conv_pass)pass, &s->shape, types[type]);
      if (engines >= 1) continue;
      failures++;
      printf("FAIL %s, %s, %s: %d engines\n", s->name, pass_names[pass],
             types[type] == CUDNN_DATA_FLOAT ? "float" : "bfloat16", engines);
    }
  return failures;
}

enum { PLANNED = 16 }; // numbers of a line

static bool read_shape(char *line, char *name, named_shape *out) {
  long long v[PLANNED];
  int used = 0;
  if (sscanf(line, "%255s%n", name, &used) != 1) return false;
  for (int i = 0, length; i < PLANNED; i++, used += length)
    if (sscanf(line + used, "%lld%n", &v[i], &length) != 1) return false;
  // N C H W, O C KH KW, padding (4), stride (2), dilation (2)
  const conv_shape shape = {v[0], v[1], v[2], v[3], v[4], v[6], v[7], v[8], v[12], v[14], 1};
  *out = (named_shape){name, shape};
  // What conv_graph.c describes.
  return v[1] == v[5] && v[8] == v[9] && v[8] == v[10] && v[8] == v[11] && v[12] == v[13] &&
         v[14] == v[15];
}

static int check_list(cudnnBackendDescriptor_t device, const char *path) {
  char line[512], name[256];
  int failures = 0, count = 0;
  named_shape shape;
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    count++;
    if (read_shape(line, name, &shape)) {
      failures += check_shape(device, &shape);
    } else {
      failures++;
      printf("FAIL no convolution that this test can describe: %s\n", line);
    }
  }
  fclose(file);
  printf("%s: cuDNN %zu, %d planned convolutions\n", failures == 0 && count > 0 ? "ok" : "FAILED",
         cudnnGetVersion(), count);
  return failures != 0 || count == 0;
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) return 2;
  cudnnBackendDescriptor_t device = deviceless_device(argv[1]);
  if (device == NULL) return 1;
  if (argc == 3) {
    int failed = check_list(device, argv[2]);
    cudnnBackendDestroyDescriptor(device);
    return failed;
  }
  int failures = rnn_descriptors_wrong();
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    failures += check_shape(device, &shapes[i]);
  conv_shape too_large_a_filter = {8, 16, 4, 4, 16, 7, 7, 0, 1, 1, 1};
  if (deviceless_conv_engines(device, CONV_FORWARD, &too_large_a_filter, CUDNN_DATA_FLOAT) >= 1) {
    failures++;
    printf("FAIL a filter larger than its input was accepted\n");
  }
  cudnnBackendDestroyDescriptor(device);
  printf("%s: cuDNN %zu, %zu shapes\n", failures == 0 ? "ok" : "FAILED", cudnnGetVersion(),
         sizeof shapes / sizeof *shapes);
  return failures != 0;
}
