// SPDX-License-Identifier: Apache-2.0
// Numbers as text, faster than the C library prints them and to the same digits.
#ifndef COHORT_CORE_NUMBER_H
#define COHORT_CORE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_NUMBER_PRINT = 32 };

// Nine significant digits, correctly rounded, which bring a float back: what "%.9g" prints in the C
// locale, whatever the locale is. Returns the length.
size_t co_number_print(double value, char out[CO_NUMBER_PRINT]);
size_t co_integer_print(int64_t value, char out[CO_NUMBER_PRINT]);

#ifdef __cplusplus
}
#endif
#endif
