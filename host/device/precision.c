// SPDX-License-Identifier: Apache-2.0
#include "host/device/precision.h"

#include <stdbool.h>
#include <string.h>

const char co_precision_known[] = "tf32, 32 or bf16";

static const struct {
  const char *word;
  co_precision precision;
} words[] = {{"tf32", CO_PRECISION_TF32},
             {"32", CO_PRECISION_F32},
             {"bf16", CO_PRECISION_BF16},
             {"32-true", CO_PRECISION_F32},
             {"bf16-mixed", CO_PRECISION_BF16}};

static const char *const planned[] = {"16", "fp16", "16-mixed", "64", "64-true"};

const char *co_precision_name(co_precision precision) {
  return words[precision].word; // the first ones are in the order of the enum
}

co_status co_precision_parse(co_precision *out, const char *text, const char *what) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(text, words[i].word) != 0) continue;
    *out = words[i].precision;
    return CO_OK;
  }
  bool later = false;
  for (size_t i = 0; i < sizeof planned / sizeof *planned; i++)
    later = later || strcmp(text, planned[i]) == 0;
  co_status status = co_fail(CO_ERR_USAGE, "%s %s: %s", what, text,
                             later ? "this precision is not there yet" : "no such precision");
  co_hint("use %s", co_precision_known);
  return status;
}
