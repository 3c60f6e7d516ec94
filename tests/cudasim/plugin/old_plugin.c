// SPDX-License-Identifier: Apache-2.0
// A plugin of another version: it refuses every caller, and looks at nothing of theirs.
__attribute__((visibility("default"))) int co_cuda_open(void **out, const void *host, unsigned abi,
                                                        int device_index);

int co_cuda_open(void **out, const void *host, unsigned abi, int device_index) {
  enum { CO_ERR_DEVICE = 6 };
  (void)host, (void)abi, (void)device_index;
  *out = 0;
  return CO_ERR_DEVICE;
}
