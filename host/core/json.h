// SPDX-License-Identifier: Apache-2.0
// JSON output. (Cohort reads JSON with the YAML parser of host/config: JSON is a subset.) Numbers
// print shortest-round-trip; NaN and infinities as null; strings are escaped (also the characters
// that YAML readers refuse or take for line breaks), invalid UTF-8 bytes become U+FFFD. Separators
// and nesting are handled here; misuse trips an assert.
#ifndef COHORT_CORE_JSON_H
#define COHORT_CORE_JSON_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_json {
  co_text text;             // the document so far; text.status carries a failed allocation
  int depth, indent;        // indent 0 = one line
  unsigned char state[128]; // a config may nest 64 deep, inside other documents
} co_json;

void co_json_init(co_json *json, co_context *ctx, int indent);
void co_json_free(co_json *json);
void co_json_open(co_json *json, char bracket); // '{' or '['
void co_json_close(co_json *json);              // the innermost one
void co_json_key(co_json *json, const char *key);
void co_json_string(co_json *json, const char *value); // NULL gives null
void co_json_int(co_json *json, int64_t value);
void co_json_double(co_json *json, double value); // shortest text that reads back equal
void co_json_float(co_json *json, float value);   // shortest text that reads back as this float
void co_json_bool(co_json *json, bool value);
void co_json_null(co_json *json);
void co_json_raw(co_json *json, const char *document); // an already serialised value

// Shortest decimal text that reads back as `value`; `size` >= 32.
void co_double_print(double value, char *out, size_t size);
// Of a number that was printed: a point in place of another decimal sign, since the program may have
// set a locale.
void co_number_use_point(char *text);

#ifdef __cplusplus
}
#endif
#endif
