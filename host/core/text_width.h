// SPDX-License-Identifier: Apache-2.0
// Columns of a terminal that texts take: one a character, two of East Asian ones and emoji, none of what
// combines with the character before it. Locales are not asked: output is the same everywhere.
#ifndef COHORT_CORE_TEXT_WIDTH_H
#define COHORT_CORE_TEXT_WIDTH_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

// The bytes of a text that is not well-formed UTF-8 take a column each.
int co_text_width(const char *text);
// `text` in `width` columns at least, cut at `most` (0 = never) with an ellipsis; to the right where
// `right`. What would break a line or steer a terminal is shown as a question mark.
void co_text_pad(co_text *out, const char *text, int width, int most, bool right);
// Ends the line that is written, without blanks at its end.
void co_text_end_line(co_text *out);

#ifdef __cplusplus
}
#endif
#endif
