// SPDX-License-Identifier: Apache-2.0
// Operations as calls in C: one function for each, in a table; the functions that they call stand in
// scorer/operations.inc.
#ifndef COHORT_HOST_OUTPUT_C_OPERATIONS_H
#define COHORT_HOST_OUTPUT_C_OPERATIONS_H

#include "host/output/export.h"

typedef struct co_c_program {
  co_exported *exported;
  co_text body;       // of the function that scores a row
  const char **parts; // names of what is taken of the sources, in order
  int64_t part_count, part_capacity;
  int64_t widest; // result of a product
} co_c_program;

// Names a part of the sources that is needed; once, however often it is. NULL = no memory for its name.
co_status co_c_need(co_c_program *program, const char *part);
// All that stands between the marks of a name in the sources; of several names, to NULL.
co_status co_c_part(co_text *out, const char *name);
co_status co_c_parts(co_text *out, const char *const *names);
// Prints the operation to the body. CO_ERR_MODEL where there is no such operation in C.
co_status co_c_operation(co_c_program *program, const co_plan *plan, const co_plan_op *op);
// What names of a plan's values begin with: 's' of the section's, 'n' of the network's, 'b' of a blend's baseline.
char co_c_letter(const co_exported *exported, const co_plan *plan);
// "n12" of the network's plan, "s3" of the section's: what the memory is called that a value lies in.
void co_c_value(co_text *out, const co_exported *exported, const co_plan *plan, co_value value);

#endif
