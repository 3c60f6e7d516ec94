// SPDX-License-Identifier: Apache-2.0
// A rig: a model built from YAML on one backend, with a program and made-up batches. Failures of
// what a test takes for granted end the test with the library's message.
#ifndef COHORT_TESTS_TRAIN_HELPERS_H
#define COHORT_TESTS_TRAIN_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/exec/program.h"
#include "models/model.h"

// Asserts CO_OK and shows the library's message otherwise.
#define OK(expression)                                                                             \
  do {                                                                                             \
    co_status ok_status_ = (expression);                                                           \
    if (ok_status_ != CO_OK)                                                                       \
      fail_msg("%s: %s: %s", #expression, co_status_name(ok_status_), co_error_last()->message);   \
  } while (0)

enum { MAX_INPUTS = 8, MAX_PHASES = 2 };

typedef struct phase_setup {
  uint32_t losses, groups;
  const char *optimizer; // YAML, `{sgd: {momentum: 0.9}}`; NULL = {sgd: {}}
  double clip_norm, clip_value, ema_decay;
} phase_setup;

typedef struct setup {
  const char *backend; // "ref", "cpu", "cuda:0"
  co_dtype real;
  bool bf16;
  int threads;      // 0 = 1
  int64_t rows;     // of a micro-batch
  int64_t batch[4]; // effective batch sizes, until 0; none = rows
  int64_t evaluation_rows;
  // Of effective and of evaluation batches, instead of the above.
  const co_shape_class *classes, *evaluation_classes;
  int class_count, evaluation_class_count;
  int phases; // 0 = one
  phase_setup phase[MAX_PHASES];
  bool no_fusion, no_training, infer, no_capture;
  size_t logit_bytes; // 0 = as a run has it
  const co_input_section *section;
} setup;

typedef struct rig {
  co_context *ctx;
  co_backend *backend;
  co_arena *arena;
  co_diagnostics problems;
  co_model *model; // NULL where the test made the graph
  co_graph *graph;
  co_program *program;
  co_store *store;
  setup setup;
} rig;

// One batch on the device; inputs in the graph's order.
typedef struct batch {
  int64_t rows;
  co_shape_class shape;
  int count;
  void *data[MAX_INPUTS];
  const void *inputs[MAX_INPUTS];
} batch;

// Columns that the models of the tests choose from: "image" (6, 6, 2), "wide_image" (16, 16, 16),
// "x" (5), "z" (3); targets "label" (4 classes), "score" (a number), "vector" (3), "words"
// (texts).
extern const co_schema test_schema;

// Context and backend only; then a graph may be built by hand and handed to rig_program.
void rig_open(rig *r, const setup *s);
void rig_model(rig *r, const char *yaml);
// Initialises the store with seed 1.
void rig_program(rig *r);
// All three.
void rig_make(rig *r, const setup *s, const char *yaml);
// Frees all, and asserts that nothing of it is left.
void rig_free(rig *r);
// A program like rig_program's, with its status (for faults); *out is the caller's.
co_status rig_try_program(const rig *r, co_program **out);

// Reals are multiples of 1/64 in [-1, 1], the same for every policy; row weights are 1.
void batch_make(rig *r, batch *b, int64_t rows, uint64_t seed);
void batch_make_class(rig *r, batch *b, const co_shape_class *shape, uint64_t seed);
void batch_free(rig *r, batch *b);
// A batch of rows [first, first + rows) of another.
void batch_slice(rig *r, batch *out, const batch *from, int64_t first, int64_t rows);
int batch_input(const rig *r, const char *name); // its position
void batch_set(rig *r, batch *b, const char *input, int64_t element, double value);
double batch_get(const rig *r, const batch *b, const char *input, int64_t element);
// Scalars for a batch: seed 7, the given step and rate, inv_norm from the row weights.
co_step step_for(rig *r, const batch *b, uint32_t step, double rate);
// One step; the total loss of the batch is returned (weights and inv_norm applied).
double train(rig *r, int64_t phase, const batch *b, uint32_t step, double rate);
double train_with(rig *r, int64_t phase, const batch *b, const co_step *step,
                  co_step_result *result);

// All canonical values of an entry as double, in the test's arena.
double *entry_read(rig *r, int64_t entry, co_block block);
void entry_write(rig *r, int64_t entry, co_block block, const double *values);
int64_t entry_count(const rig *r, int64_t entry);
int64_t entry_find(const rig *r, const char *name); // asserts that it is there
// Largest |a - b| over an entry of two rigs (which may differ in policy), relative to the largest
// |value| that it has in b: a zero where there should be a value is a difference of 1.
double entry_difference(rig *a, rig *b, int64_t entry, co_block block);
// The same relative to `scale`: what is zero by construction consists of rounding errors, which
// are small against something else only.
double entry_difference_to(rig *a, rig *b, int64_t entry, co_block block, double scale);
double entry_largest(rig *r, int64_t entry, co_block block); // absolute value
// Raw bytes of whole blocks: parameters, state, gradients, slots; and a copy to compare with.
size_t block_bytes(const rig *r, co_block block, bool state);
void *block_copy(rig *r, co_block block, bool state);
bool block_equal(const rig *r, co_block block, bool state, const void *copy);

// For graphs made by hand: a layer with its options in YAML, and an input of reals (N, width), or
// (N) where width is 0.
co_value layer(rig *r, const char *class_name, const char *path, const char *yaml,
               const co_value *in, int count);
co_value input(rig *r, const char *name, int64_t width);

#endif
