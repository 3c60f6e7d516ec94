// SPDX-License-Identifier: Apache-2.0
// Cells that look like something personal which nobody meant to keep in a dataset.
#ifndef COHORT_DATASETS_PERSONAL_H
#define COHORT_DATASETS_PERSONAL_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_personal {
  CO_PERSONAL_NONE,
  CO_PERSONAL_EMAIL, // a@b.cd
  CO_PERSONAL_PHONE, // E.164: "+" and 8 to 15 digits, among which blanks, -, /, . and brackets may be
  CO_PERSONAL_CARD, // 13 to 19 digits in groups, of an issuer's range (2 to 6), with Luhn's check digit
  CO_PERSONAL_DIGITS, // as a card, but with a wrong check digit: what cards are told from
  CO_PERSONAL_COUNT
} co_personal;

// Of a whole, trimmed cell.
co_personal co_personal_kind(const co_cell *cell);
const char *co_personal_name(co_personal kind); // "email", "phone", "card"
const char *co_personal_text(co_personal kind); // "e-mail addresses", …

#ifdef __cplusplus
}
#endif
#endif
