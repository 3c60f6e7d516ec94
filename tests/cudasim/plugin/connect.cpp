// SPDX-License-Identifier: Apache-2.0
// Sends kernel launches of the emulated plugin through the double of the CUDA runtime, from the
// moment it is loaded.
#include "tests/cudasim/control.h"
#include "tests/cudasim/doubles/cuda_double.h"

__attribute__((constructor)) static void connect() {
  co_double_connect_emulator(emu_set_launch_hook, emu_call_run, emu_call_free, emu_call_kernel,
                             emu_call_pointer);
}
