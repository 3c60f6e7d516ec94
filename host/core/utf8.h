// SPDX-License-Identifier: Apache-2.0
// Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing beyond
// U+10FFFF.
#ifndef COHORT_CORE_UTF8_H
#define COHORT_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The length of the character at `text`, 0 if it is not well-formed. The NUL that ends a text is a
// character of one byte.
size_t co_utf8_length(const char *text);
// The offset of the first byte that does not belong to a character, -1 if there is none.
int64_t co_utf8_find_bad(const char *text);

#ifdef __cplusplus
}
#endif
#endif
