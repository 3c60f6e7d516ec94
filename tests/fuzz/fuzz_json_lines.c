// SPDX-License-Identifier: Apache-2.0
// Input: JSON lines, with target "t".
#include "tests/fuzz/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_table(data, size);
}

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {
    "0{\"k\":\"u1\",\"a\":1.5,\"t\":true}\n{\"k\":\"u2\",\"t\":false,\"b\":null}\n",
    "3{\"t\":1,\"k\":2,\"a\":\"\\u00e9\\\"\"}\r\n\n{\"t\":0,\"k\":[1]}\n{\"t\":0,\"k\":1e999}\n{"
    "\"t\":0,\"k\":7}\n",
    "6{\"t\":\"x\",\"n\":{\"a\":1}}\n{\"t\":\"y\"}\n{\"t\":\"y\",\"t\":\"x\"}\n{\"t\":\"x\"}\n"};

int main(int argc, char **argv) {
  return fuzz_tables("fuzz_json_lines", samples, sizeof samples / sizeof *samples, argc, argv);
}
#endif
