// SPDX-License-Identifier: Apache-2.0
// Writing protocol buffers: fields one behind the other into a text, inner messages first.
#ifndef COHORT_CORE_PROTOBUF_H
#define COHORT_CORE_PROTOBUF_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

void co_protobuf_int(co_text *out, int field, int64_t value);
void co_protobuf_float(co_text *out, int field, float value);
void co_protobuf_double(co_text *out, int field, double value);
// A list of them, packed.
void co_protobuf_doubles(co_text *out, int field, const double *values, int64_t count);
void co_protobuf_bytes(co_text *out, int field, const void *bytes, size_t length);
void co_protobuf_string(co_text *out, int field, const char *text);
// A message that was written to a text of its own, which is emptied.
void co_protobuf_message(co_text *out, int field, co_text *message);

#ifdef __cplusplus
}
#endif
#endif
