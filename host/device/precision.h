// SPDX-License-Identifier: Apache-2.0
// Number formats of a computation, by the names that configs and --precision use.
#ifndef COHORT_HOST_DEVICE_PRECISION_H
#define COHORT_HOST_DEVICE_PRECISION_H

#include "host/core/status.h"

typedef enum co_precision {
  CO_PRECISION_TF32, // "tf32": data in f32, products may round their operands to TF32
  CO_PRECISION_F32,  // "32", "32-true": f32 strictly
  CO_PRECISION_BF16  // "bf16", "bf16-mixed": data in bf16, parameters and sums in f32
} co_precision;

extern const char co_precision_known[]; // "tf32, 32 or bf16"
const char *co_precision_name(co_precision precision);
// CO_ERR_USAGE with "<what> WORD: …" and a hint if `text` is none of them.
co_status co_precision_parse(co_precision *out, const char *text, const char *what);

#endif
