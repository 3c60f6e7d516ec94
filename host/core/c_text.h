// SPDX-License-Identifier: Apache-2.0
// Printing C: constants that compile to the very same bits, and strings.
#ifndef COHORT_CORE_C_TEXT_H
#define COHORT_CORE_C_TEXT_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

// "  static const float NAME[COUNT] = {…};": `count` > 0 values, hexadecimal, NAN and INFINITY by name.
void co_c_floats(co_text *out, const char *name, const float *values, int64_t count);
void co_c_doubles(co_text *out, const char *name, const double *values, int64_t count);
void co_c_ints(co_text *out, const char *name, const int32_t *values, int64_t count);
void co_c_bytes(co_text *out, const char *name, const uint8_t *values, int64_t count);
// One double as an expression.
void co_c_double(co_text *out, double value);
// A string in quotes; what is not printable ASCII is an escape. NULL gives NULL.
void co_c_string(co_text *out, const char *text);

#ifdef __cplusplus
}
#endif
#endif
