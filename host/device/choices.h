// SPDX-License-Identifier: Apache-2.0
// Which of a library's ways to compute an operation were taken, because they were the fastest when they
// were timed: read from the cache and from a run, and written there. A file of them is a heading and one
// line each: machine (device and library's version), operation, way, microseconds, and how it was chosen,
// apart by tabs.
#ifndef COHORT_HOST_DEVICE_CHOICES_H
#define COHORT_HOST_DEVICE_CHOICES_H

#include "host/core/context.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// "off": the libraries' first ways; "auto": the run's, else the cache's, else timed; "again": timed,
// whatever there is.
typedef enum co_autotune { CO_AUTOTUNE_OFF, CO_AUTOTUNE_AUTO, CO_AUTOTUNE_AGAIN } co_autotune;
co_status co_autotune_parse(co_autotune *out, const char *name); // NULL = off; CO_ERR_USAGE

#define CO_AUTOTUNE_SECONDS 20.0

const char *co_chosen_name(co_op_chosen chosen); // "heuristic", "tuned", "cached", "run"

typedef struct co_choices co_choices;
// `seconds`: how long timing may take. `again`: what is read counts for nothing but to be written anew.
co_status co_choices_create(co_choices **out, co_context *ctx, double seconds, bool again);
void co_choices_free(co_choices *choices); // NULL is legal

// A run's, in its folder.
#define CO_RUN_CHOICES "autotune.tsv"
typedef enum co_run_choices {
  CO_RUN_PINS,  // it goes on: these and no others, CO_CHOSEN_PINNED
  CO_RUN_TELLS, // as they were chosen then, to plan with
  CO_RUN_OFFERS // its model is used: these before the cache's, where device and library are the same
} co_run_choices;
// Adds what a file tells, where there is one. A cache that cannot be read is left out with a warning: it
// can be made again. What cannot be read of a run is CO_ERR_MODEL.
co_status co_choices_read_cache(co_choices *choices, const char *path);
co_status co_choices_read_run(co_choices *choices, const char *path, co_run_choices as);
// As a verb is asked for them: none (*out is NULL) with "off". What a run offers is read when a backend
// first asks: CPUs never do, and a damaged file does not stop them.
typedef struct co_choices_request {
  const char *when;  // cohort_train_options.autotune
  const char *cache; // a file, or NULL
  const char *run;   // a folder, or NULL: what it has chosen comes before the cache
  bool goes_on;      // that run: with "auto" nothing else counts, and nothing is timed
} co_choices_request;
co_status co_choices_open(co_choices **out, co_context *ctx, const co_choices_request *request);
// For co_backend_options; as long as `choices`.
const co_op_ways *co_choices_ways(const co_choices *choices);

// Operations whose way was taken so.
int64_t co_choices_count(const co_choices *choices, co_op_chosen chosen);
// All that were taken, as a run's file; nothing where there are none. Failures stay in `out`.
void co_choices_render_run(const co_choices *choices, co_text *out);
// The cache's and those that were timed now; nothing is written where none was.
co_status co_choices_write_cache(const co_choices *choices, const char *path);
// The same, with the counts in the log; of a cache that cannot be written only a warning. NULL is legal.
void co_choices_save(const co_choices *choices, const char *cache);

#ifdef __cplusplus
}
#endif
#endif
