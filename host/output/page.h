// SPDX-License-Identifier: Apache-2.0
// A page of HTML as text: one file that asks for nothing else. Whatever comes from data is escaped.
#ifndef COHORT_HOST_OUTPUT_PAGE_H
#define COHORT_HOST_OUTPUT_PAGE_H

#include "datasets/image.h"
#include "host/core/context.h"

// Text within elements and attributes: & < > " ' are escaped, control characters are left out.
void co_page_text(co_text *page, const char *text);

// RFC 4648, section 4.
void co_page_base64(co_text *page, const void *bytes, size_t length);

// A picture within the page, and what it shows for those who do not see it.
void co_page_png(co_text *page, const void *bytes, size_t length, const char *what);
co_status co_page_image(co_text *page, co_context *ctx, const co_image *image, const char *what);

void co_page_open(co_text *page, const char *title);
void co_page_close(co_text *page);
// A part of the page, with a link to it at the top. `id` is a word; `note` may be NULL.
void co_page_section(co_text *page, const char *id, const char *title, const char *note);
void co_page_section_end(co_text *page);

// Numbers in big: within co_page_tiles … co_page_tiles_end. `note` may be NULL.
void co_page_tiles(co_text *page);
void co_page_tile(co_text *page, const char *name, const char *value, const char *note);
void co_page_tiles_end(co_text *page);

// A card: heading and, if not NULL, a note; then anything.
void co_page_card(co_text *page, const char *title, const char *note, bool wide);
void co_page_card_end(co_text *page);
void co_page_grid(co_text *page, bool narrow); // cards side by side
void co_page_grid_end(co_text *page);

// A table; `heads` NULL-terminated. The first column is text, others are numbers.
void co_page_table(co_text *page, const char *caption, const char *const *heads);
void co_page_row(co_text *page, const char *name);
void co_page_cell(co_text *page, const char *format, ...) CO_PRINTF(2, 3); // escaped
void co_page_row_end(co_text *page);
void co_page_table_end(co_text *page);

// A number for people, of some four digits; "–" of NaN.
typedef struct co_number_text {
  char text[32];
} co_number_text;
co_number_text co_show(double value);
co_number_text co_show_brief(double value); // from a million on in short: "15.82 M"
co_number_text co_show_percent(double share);

#endif
