// SPDX-License-Identifier: Apache-2.0
#include "host/output/sink.h"

#include <string.h>

#include "datasets/postgres.h"

static const char database_prefix[] = "sqlite:";

const char *co_sink_file(const char *output) {
  size_t length = sizeof database_prefix - 1;
  if (strcmp(output, "-") == 0 || co_postgres_is_url(output)) return NULL;
  return strncmp(output, database_prefix, length) == 0 ? output + length : output;
}

bool co_sink_is_database(const char *output) {
  return strncmp(output, database_prefix, sizeof database_prefix - 1) == 0 ||
         co_postgres_is_url(output);
}

const char *co_sink_shown(co_arena *arena, const char *output) {
  if (!co_postgres_is_url(output)) return output;
  char *shown = co_postgres_shown(co_arena_context(arena), output);
  const char *kept = shown ? co_arena_strdup(arena, shown) : NULL;
  co_free(co_arena_context(arena), shown);
  return kept;
}

static co_status refuse(const co_sink_options *o) {
  if (o->take && (o->format || o->table || o->if_exists || o->resume))
    return co_fail(CO_ERR_USAGE,
                   "scores that are taken from memory have no format, table or resume");
  if (strcmp(o->output, "-") == 0 && o->format && strcmp(o->format, "h5") == 0)
    return co_fail(CO_ERR_USAGE, "--format h5 is for files; HDF5 cannot be written as a stream");
  if (o->resume && strcmp(o->output, "-") == 0)
    return co_fail(CO_ERR_USAGE, "--resume is for files and databases; the output is neither");
  if (co_sink_is_database(o->output)) {
    if (o->format)
      return co_fail(CO_ERR_USAGE, "--format %.200s is for files; the output is a database",
                     o->format);
    if (o->replace) {
      co_status status = co_fail(CO_ERR_USAGE, "--force is for files; the output is a database");
      co_hint("--if-exists replace makes its table anew, upsert and append keep its rows");
      return status;
    }
    return CO_OK;
  }
  if (o->table || o->if_exists) {
    co_status status =
        co_fail(CO_ERR_USAGE, "%s is for a database", o->table ? "--table" : "--if-exists");
    co_hint("-O sqlite:FILE --table TABLE");
    return status;
  }
  return CO_OK;
}

static bool is_h5(const co_sink_options *o) {
  if (o->format) return strcmp(o->format, "h5") == 0;
  const char *ending = strrchr(o->output, '.');
  return ending && (strcmp(ending, ".h5") == 0 || strcmp(ending, ".hdf5") == 0);
}

co_status co_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options) {
  *out = NULL;
  CO_RETURN_IF_FAILED(refuse(options));
  if (options->take) return co_memory_sink_open(out, ctx, options);
  return (co_postgres_is_url(options->output)    ? co_postgres_sink_open
          : co_sink_is_database(options->output) ? co_sqlite_sink_open
          : is_h5(options)                       ? co_h5_sink_open
                                                 : co_text_sink_open)(out, ctx, options);
}

co_status co_sink_begin(co_sink *sink, const co_score_columns *columns, const co_sink_job *job) {
  sink->columns = columns;
  return sink->class_->begin(sink, job);
}

co_status co_sink_row(co_sink *sink, const co_score_cell *cells) {
  return sink->class_->row(sink, cells);
}

co_status co_sink_save(co_sink *sink, const co_position *position) {
  return sink->class_->save ? sink->class_->save(sink, position) : CO_OK;
}

co_status co_sink_finish(co_sink *sink, const co_position *position) {
  return sink->class_->finish ? sink->class_->finish(sink, position) : CO_OK;
}

co_status co_sink_commit(co_sink *sink) {
  return sink->class_->commit(sink);
}

void co_sink_close(co_sink *sink) {
  if (!sink) return;
  co_free(sink->ctx, sink->at.state);
  sink->class_->close(sink);
}
