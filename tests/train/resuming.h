// SPDX-License-Identifier: Apache-2.0
// Trainings that are stopped somewhere and go on: what their tests share. Each is a program with the line
// "Wrap: co_io_fault".
#ifndef COHORT_TESTS_TRAIN_RESUMING_H
#define COHORT_TESTS_TRAIN_RESUMING_H

#include "training.h"

// Stands before every operation of the library on files: here the process is killed.
int __real_co_io_fault(co_context *ctx);
int __wrap_co_io_fault(co_context *ctx);
int __wrap_co_io_fault(co_context *ctx) {
  if (io_operations) ++*io_operations;
  if (io_kill_at && --io_kill_at == 0) raise(SIGKILL);
  return __real_co_io_fault(ctx);
}

enum { ROWS = 90 };

static inline void begin_with(const char *config) {
  io_operations =
      mmap(NULL, sizeof *io_operations, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", config);
}

static const training whole = {.run_dir = "whole", .config = "c.yaml", .dataset = "d.h5"};

// Continues what a kill left of `run`: by itself where the run exists, else from the start.
static inline int go_on(const char *run, const char *records) {
  training t = {.resume = run, .records = records};
  char path[256];
  snprintf(path, sizeof path, "%s/run.json", run);
  if (access(path, F_OK) == 0) return train_apart(&t);
  t = (training){
      .run_dir = run, .resume = "auto", .config = "c.yaml", .dataset = "d.h5", .records = records};
  return train_apart(&t);
}

#endif
