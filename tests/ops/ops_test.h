// SPDX-License-Identifier: Apache-2.0
// Tests of operations: problems in one line of text, run on a backend between guard bytes and
// compared with the double-precision reference.
#ifndef COHORT_TESTS_OPS_OPS_TEST_H
#define COHORT_TESTS_OPS_OPS_TEST_H

#include <stdio.h>

#include "kernels/backend.h"

// Unit roundoff of the computing types.
#define OPS_ROUNDOFF_F32 0x1p-24
#define OPS_ROUNDOFF_F64 0x1p-53
#define OPS_ROUNDOFF_BF16 0x1p-8
#define OPS_ROUNDOFF_TF32 0x1p-10 // cut, not rounded

typedef enum ops_values {
  OPS_REAL,    // distinct values within (-1, 1), none at a kink of relu
  OPS_INTEGER, // integers within [-4, 4]: sums are exact in any order, and there are ties
  OPS_VALUES_COUNT
} ops_values;

typedef enum ops_exact {
  OPS_EXACT_NEVER,
  OPS_EXACT_ON_INTEGERS, // the operation and its backward
  OPS_EXACT_ALWAYS       // the operation always (it only moves values), its backward on integers
} ops_exact;

#define OPS_SWEEP "sweep"
enum { OPS_SWEEP_NONE = -1, OPS_SWEEP_ALL = 0, OPS_SWEEP_PARTS = 4 };

typedef struct ops_problem ops_problem;

// What a file of cases/ says about one operation and, through its rules, about its backward.
typedef struct ops_family {
  co_op op;
  ops_exact exact;
  // Rounding errors grow with the sum of magnitudes (the oracle on absolute values), element by
  // element; otherwise with the largest magnitude of the output.
  bool linear;
  bool loss;         // out[1] times inv_norm is what outputs named d<input> are gradients of
  const char *flags; // words that cases may use beside operands and attributes
  // Terms in the sums behind output i of `desc` (the operation or one of its backward), NULL = 1.
  int64_t (*terms)(const co_op_desc *desc, int output);
  // Replaces some of the inputs' values; NULL = the defaults by name will do.
  void (*adjust)(ops_problem *problem);
  // Magnitude of what cancels in output i, where the output itself may be smaller; NULL = nothing.
  double (*magnitude)(const ops_problem *problem, int output);
  // The edges, which always run; behind OPS_SWEEP more sizes of the same kind, of which a run may
  // take a part. Ends with NULL.
  const char *const *cases;
} ops_family;
// Defines a family: OPS_FAMILY(relu) = {.op = CO_OP_RELU, …}; CMake finds it by these words at the
// beginning of a line.
#define OPS_FAMILY(name)                                                                           \
  extern const ops_family ops_##name;                                                              \
  const ops_family ops_##name

// An operation with inputs. Real operands are held as f64, with values that f32 holds, too; in a
// problem for the policy bf16, data with values that bf16 holds.
struct ops_problem {
  const ops_family *family;
  const char *text;
  ops_values values;
  bool bf16;
  co_op_desc desc;            // canonical, under the f64 policy
  uint32_t real_in, real_out; // operands whose type follows the policy
  void *in[CO_OP_MAX_OPERANDS];
  const ops_problem *forward; // of a backward problem: where it comes from
};

// ---- problem.c ---------------------------------------------------------------------------------
void *ops_allocate(size_t bytes); // zeroed; ends the program where there is none
// NULL, with a message on stderr, where the text is wrong.
ops_problem *ops_problem_create(const ops_family *family, const char *text, ops_values values,
                                bool bf16);
// The problem of one rule; NULL if an operand it needs is absent.
ops_problem *ops_problem_derive(const ops_problem *forward, const co_rule *rule,
                                void *const *forward_out);
void ops_problem_free(ops_problem *problem);
bool ops_problem_has_flag(const ops_problem *problem, const char *flag);
// Index of a named input of the operation, -1 if absent.
int ops_problem_input(const ops_problem *problem, const char *name);
// Descriptor under the policy f32, f64 or bf16 (data bf16, other reals f32).
co_op_desc ops_problem_desc(const ops_problem *problem, co_dtype policy);
// A copy of an operand's values: reals (f64) as `to`, others (`dtype`) as they are.
void *ops_narrow(const void *values, int64_t count, bool real, co_dtype dtype, co_dtype to);
double ops_random(uint32_t purpose, int64_t i);            // within (-1, 1)
double ops_largest(const ops_problem *problem, int input); // absolute value of a real input, or 0

// ---- execute.c ---------------------------------------------------------------------------------
typedef struct ops_report {
  FILE *stream; // NULL = silent
  int checks, failures, refusals;
  char last[512];         // the latest failure
  long (*enqueued)(void); // launches so far, of a device that counts them; or NULL
} ops_report;
void ops_fail(ops_report *report, const ops_problem *problem, const char *where, const char *format,
              ...) CO_PRINTF(4, 5);

typedef enum ops_outcome { OPS_RAN, OPS_REFUSED, OPS_SAME, OPS_FAILED } ops_outcome;

typedef struct ops_mode {
  co_dtype policy;
  bool any;                  // the backend chooses layouts; otherwise canonical operands are facts
  const co_op_choice *facts; // or they lie so (layouts only; CO_LAYOUT_ANY where they are open)
  bool in_place;             // outputs that may share an input's memory do
  uint32_t
      accumulate; // outputs that start from `start` (values as in problem->in) and are added to
  void *const *start;
  const co_op_choice *unlike; // OPS_SAME where the layouts would be these
} ops_mode;

// Runs the problem twice, checks guards, inputs and repeatability, and brings the outputs back
// canonical (allocated; NULL where absent or in a layout that cannot be brought back).
ops_outcome ops_execute(ops_report *report, const ops_problem *problem, co_backend *backend,
                        const ops_mode *mode, co_op_choice *choice, void **out);

// ---- check.c -----------------------------------------------------------------------------------
typedef co_status ops_reference(const co_op_desc *desc, void *const *in, void *const *out);

typedef struct ops_suite {
  const ops_family *const *families; // ends with NULL
  co_backend *backends[4];           // those under test
  int backend_count;
  ops_reference *reference; // the oracle: co_ref_run
  const char *only_op;      // lower-case name, NULL = all
  const char *only_case;    // text contained in the case, NULL = all
  int sweep;                // of the sweeps OPS_SWEEP_ALL, …_NONE or that quarter, 1 to 4
  bool list;                // only print the problems
  bool tf32;                // operands of f32 products may be rounded to TF32
  ops_report report;
} ops_suite;

// Runs everything selected; failures are counted in suite->report.
void ops_suite_run(ops_suite *suite);

extern const ops_family *const ops_families[]; // ends with NULL

#endif
