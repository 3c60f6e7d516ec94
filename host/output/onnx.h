// SPDX-License-Identifier: Apache-2.0
// Building an ONNX model (IR version 8, operators of opset 17: ONNX 1.12 and ONNX Runtime 1.12 on): nodes,
// initializers, inputs and outputs, each as the message it will be. Failures stick and are told by
// co_onnx_finish, so that whoever builds need not look at each step; what failed is called "".
// Integers are int64, numbers float; tensors lie as Cohort has them, rows first, channels last.
#ifndef COHORT_HOST_OUTPUT_ONNX_H
#define COHORT_HOST_OUTPUT_ONNX_H

#include "host/core/json.h"
#include "host/output/export.h"

enum {
  CO_ONNX_FLOAT = 1,
  CO_ONNX_UINT8 = 2,
  CO_ONNX_INT32 = 6,
  CO_ONNX_INT64 = 7,
  CO_ONNX_DOUBLE = 11
};

typedef struct co_onnx {
  co_exported *e;
  co_text nodes, initializers, inputs, outputs;
  co_json described;                           // the inputs, for people
  int64_t named;                               // tensors that have a number for a name
  const char **section_names, **network_names; // per value of the plans; NULL = not made yet
  const char **input_names;
  int64_t input_count, input_capacity;
  const char *batch, *time[CO_MAX_EVENT_TABLES]; // their extents, int64 (1)
  const char *positions[CO_MAX_EVENT_TABLES];    // 0 … T - 1, int64 (T)
  co_status status;
} co_onnx;

// An attribute of a node: of `ints`, a float, a text, or one integer. A list ends with a name of NULL.
typedef struct co_onnx_attribute {
  const char *name;
  char type; // 'i', 'f', 's' or 'l': a list of `count` integers
  int64_t i;
  double f;
  const char *s;
  const int64_t *list;
  int64_t count;
} co_onnx_attribute;

// Adds a node with one output, whose name it returns; then come the names of its inputs, "" = left
// out, and NULL. `attributes` may be NULL.
const char *co_onnx_node(co_onnx *x, const char *op, const co_onnx_attribute *attributes, ...);
// The same with two outputs.
void co_onnx_node2(co_onnx *x, const char *op, const co_onnx_attribute *attributes,
                   const char *out[2], const char *const *in, int count);

// Constants; `name` NULL = a number.
const char *co_onnx_constant(co_onnx *x, const char *name, int type, const co_shape *shape,
                             const void *values);
const char *co_onnx_number(co_onnx *x, double value);                       // float, scalar
const char *co_onnx_integers(co_onnx *x, int count, const int64_t *values); // (count)
const char *co_onnx_integer(co_onnx *x, int64_t value);                     // (1)
const char *co_onnx_vector(co_onnx *x, const char *name, const float *values, int64_t count);

// An input, once by its name; extents -1 are called "batch", those of an event table "TABLE".
// `description`: a JSON object's members, or "".
const char *co_onnx_input(co_onnx *x, const char *name, int type, const co_shape *shape);
void co_onnx_output(co_onnx *x, const char *name, int type, const co_shape *shape,
                    const char *value);

// The tensor of a plan's value; of a parameter its initializer. Another shape of a value is a node.
const char *co_onnx_value(co_onnx *x, const co_plan *plan, co_value value);
void co_onnx_name(co_onnx *x, const co_plan *plan, co_value value, const char *name);
// x as a shape in which N and T may stand.
const char *co_onnx_reshape(co_onnx *x, const char *value, const co_shape *shape);
void co_onnx_fail(co_onnx *x, co_status status);

// Adds the nodes of an operation.
co_status co_onnx_operation(co_onnx *x, const co_plan *plan, const co_plan_op *op);

#endif
