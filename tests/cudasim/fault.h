// SPDX-License-Identifier: Apache-2.0
#ifndef COHORT_TESTS_CUDASIM_FAULT_H
#define COHORT_TESTS_CUDASIM_FAULT_H

namespace emu {

// Reports a mistake of the running kernel, says where and under which schedule, and aborts.
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace emu

#endif
