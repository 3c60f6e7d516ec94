// SPDX-License-Identifier: Apache-2.0
// The columns of a model as JSON: what model files store of a schema.
#ifndef COHORT_HOST_PERSIST_MODEL_SCHEMA_H
#define COHORT_HOST_PERSIST_MODEL_SCHEMA_H

#include "host/config/config.h"
#include "host/core/schema.h"

co_status co_model_schema_render(co_text *out, co_context *ctx, const co_schema *schema);
// Of such JSON, which must outlive it; CO_ERR_MODEL, naming the file at `path`, for what none has written.
co_status co_model_schema_parse(co_schema *out, co_arena *arena, const char *path,
                                const co_node *list);

#endif
