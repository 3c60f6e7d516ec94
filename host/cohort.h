// SPDX-License-Identifier: Apache-2.0
// The public interface of libcohort, unstable until 1.0; this file takes in its parts. Every verb of the
// command line is a function in one of them. The library has no globals, reads no environment, installs
// no signal handler, and writes only what it is asked to.
//
// Ownership: cohort_result objects are the caller's (cohort_result_free); strings read from one are
// borrowed from it. Options are only read during the call; zeroed, they mean what is said with them,
// and what has no default is required (status 2 without it). Text is UTF-8. A context serves
// one call at a time; several contexts may be used from several threads if HDF5 was built to be
// thread-safe. Nothing aborts or exits; `options` and `out` must not be NULL unless it is said.
//
// Recurrent layers on CUDA have equal bits in each run only in a process whose environment has
// CUBLAS_WORKSPACE_CONFIG=:4096:2 before a device is opened; the program and the Python module set it.
#ifndef COHORT_COHORT_H
#define COHORT_COHORT_H

#include "cohort_config.h"   // configs to begin with, what they may say; what a file holds
#include "cohort_context.h"  // contexts, results, errors
#include "cohort_data.h"     // import, a look at data, erase, select, synthesize
#include "cohort_hyperopt.h" // searches
#include "cohort_scoring.h"  // evaluate, predict, explain, report, export: of trained models
#include "cohort_sources.h"  // configs and raw tables, as options name them
#include "cohort_training.h" // plan, train, experiment, verify, bench

#endif
