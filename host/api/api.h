// SPDX-License-Identifier: Apache-2.0
// What the public functions share: the context behind cohort_context, and results.
#ifndef COHORT_HOST_API_API_H
#define COHORT_HOST_API_API_H

#include "host/cohort.h"
#include "host/core/context.h"
#include "host/core/diagnostics.h"
#include "host/core/json.h"
#include "host/core/watch.h"

struct cohort_context {
  co_context *ctx;
  cohort_context_options options;
  co_watch watch; // the same wishes, for the rooms below
};

struct cohort_result {
  co_context *ctx;
  co_json json;   // the verb's fields, inside one open object
  co_text text;   // for people
  char *document; // the finished JSON document
  co_diagnostics errors;
  const volatile int *stop;
};

// Starts a result: {"ok":…} is added by co_result_finish.
co_status co_result_create(cohort_result **out, cohort_context *context);
// Ends the document according to `status`; on failure the recorded errors (or this thread's last
// error) replace the fields. Returns `status` for the caller to return.
cohort_status co_result_finish(cohort_result *result, const char *verb, co_status status);
// What the process held at most, with what was read and written: "peak_memory_bytes".
void co_result_memory(cohort_result *result);

// What inspecting a model reads of its weights, and nothing else.
co_status co_inspect_weights(co_context *ctx, const char *path);

// CO_ERR_USAGE where a caller from C left out what has no default.
co_status co_require(const char *value, const char *verb, const char *what);
// CO_ERR_USAGE if a config comes by standard input, for verbs that read it more than once.
co_status co_require_config_files(const cohort_config *config, const char *verb);

#endif
