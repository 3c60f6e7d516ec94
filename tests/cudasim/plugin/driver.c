// SPDX-License-Identifier: Apache-2.0
// Stands in for libcuda.so.1, as far as the library asks whether there is one.
__attribute__((visibility("default"))) int cuInit(unsigned flags);

int cuInit(unsigned flags) {
  return (int)flags;
}
