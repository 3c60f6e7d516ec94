// SPDX-License-Identifier: Apache-2.0
// The messages by the field numbers of onnx.proto.
#include "host/output/onnx.h"

#include <stdarg.h>
#include <string.h>

#include "host/core/protobuf.h"

void co_onnx_fail(co_onnx *x, co_status status) {
  if (x->status == CO_OK) x->status = status;
}

static const char *take(co_onnx *x, const char *name) {
  if (!name) co_onnx_fail(x, CO_ERR_MEMORY);
  return name ? name : "";
}

static const char *next_name(co_onnx *x) {
  return take(x, co_arena_format(x->e->arena, "%lld", (long long)++x->named));
}

// ---- nodes -------------------------------------------------------------------------------------

// AttributeProto: 1 name, 2 f, 3 i, 4 s, 8 ints, 20 type.
static void put_attribute(co_onnx *x, co_text *node, const co_onnx_attribute *a) {
  enum { FLOAT = 1, INT = 2, STRING = 3, INTS = 7 };
  co_text message;
  co_text_init(&message, x->e->ctx);
  co_protobuf_string(&message, 1, a->name);
  if (a->type == 'f') co_protobuf_float(&message, 2, (float)a->f);
  if (a->type == 'i') co_protobuf_int(&message, 3, a->i);
  if (a->type == 's') co_protobuf_string(&message, 4, a->s);
  for (int64_t i = 0; a->type == 'l' && i < a->count; i++)
    co_protobuf_int(&message, 8, a->list[i]);
  co_protobuf_int(&message, 20,
                  a->type == 'f'   ? FLOAT
                  : a->type == 'i' ? INT
                  : a->type == 's' ? STRING
                                   : INTS);
  co_protobuf_message(node, 5, &message);
}

// NodeProto: 1 input, 2 output, 3 name, 4 op_type, 5 attribute.
static void put_node(co_onnx *x, const char *op, const co_onnx_attribute *attributes,
                     const char *const *in, int in_count, const char *const *out, int out_count) {
  co_text node;
  co_text_init(&node, x->e->ctx);
  for (int i = 0; i < in_count; i++)
    co_protobuf_string(&node, 1, in[i]);
  for (int i = 0; i < out_count; i++)
    co_protobuf_string(&node, 2, out[i]);
  co_protobuf_string(&node, 4, op);
  for (; attributes && attributes->name; attributes++)
    put_attribute(x, &node, attributes);
  co_protobuf_message(&x->nodes, 1, &node);
}

const char *co_onnx_node(co_onnx *x, const char *op, const co_onnx_attribute *attributes, ...) {
  const char *in[CO_OP_MAX_OPERANDS], *out = next_name(x);
  int count = 0;
  va_list inputs;
  va_start(inputs, attributes);
  for (const char *name; (name = va_arg(inputs, const char *));)
    if (count < CO_OP_MAX_OPERANDS) in[count++] = name;
  va_end(inputs);
  put_node(x, op, attributes, in, count, &out, 1);
  return out;
}

void co_onnx_node2(co_onnx *x, const char *op, const co_onnx_attribute *attributes,
                   const char *out[2], const char *const *in, int count) {
  out[0] = next_name(x);
  out[1] = next_name(x);
  put_node(x, op, attributes, in, count, out, 2);
}

// ---- constants ---------------------------------------------------------------------------------

static size_t bytes_of_type(int type) {
  return type == CO_ONNX_UINT8 ? 1 : type == CO_ONNX_FLOAT || type == CO_ONNX_INT32 ? 4 : 8;
}

// TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data (little-endian, as all machines that Cohort runs
// on).
const char *co_onnx_constant(co_onnx *x, const char *name, int type, const co_shape *shape,
                             const void *values) {
  co_text tensor;
  name = name ? name : next_name(x);
  co_text_init(&tensor, x->e->ctx);
  for (int i = 0; i < shape->rank; i++)
    co_protobuf_int(&tensor, 1, shape->dim[i]);
  co_protobuf_int(&tensor, 2, type);
  co_protobuf_string(&tensor, 8, name);
  co_protobuf_bytes(&tensor, 9, values, (size_t)co_shape_count(shape) * bytes_of_type(type));
  co_protobuf_message(&x->initializers, 5, &tensor);
  return name;
}

const char *co_onnx_number(co_onnx *x, double value) {
  const co_shape scalar = {.rank = 0};
  const float number = (float)value;
  return co_onnx_constant(x, NULL, CO_ONNX_FLOAT, &scalar, &number);
}

const char *co_onnx_integers(co_onnx *x, int count, const int64_t *values) {
  const co_shape shape = co_shape_make(1, (int64_t)count);
  return co_onnx_constant(x, NULL, CO_ONNX_INT64, &shape, values);
}

const char *co_onnx_integer(co_onnx *x, int64_t value) {
  return co_onnx_integers(x, 1, &value);
}

const char *co_onnx_vector(co_onnx *x, const char *name, const float *values, int64_t count) {
  const co_shape shape = co_shape_make(1, count);
  return co_onnx_constant(x, name, CO_ONNX_FLOAT, &shape, values);
}

// ---- inputs and outputs ------------------------------------------------------------------------

// TensorShapeProto: 1 dim; Dimension: 1 dim_value, 2 dim_param.
static void put_shape(co_onnx *x, co_text *tensor, const co_shape *shape) {
  co_text message, extent;
  co_text_init(&message, x->e->ctx);
  for (int i = 0; i < shape->rank; i++) {
    int table = co_dim_event_table(shape->dim[i]);
    co_text_init(&extent, x->e->ctx);
    if (shape->dim[i] >= 0)
      co_protobuf_int(&extent, 1, shape->dim[i]);
    else
      co_protobuf_string(&extent, 2, table < 0 ? "batch" : x->e->model->event_tables[table].name);
    co_protobuf_message(&message, 1, &extent);
  }
  co_protobuf_message(tensor, 2, &message);
}

// ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; Tensor: 1 elem_type, 2 shape.
static void put_value_info(co_onnx *x, co_text *out, int field, const char *name, int type,
                           const co_shape *shape) {
  co_text info, kind, tensor;
  co_text_init(&info, x->e->ctx);
  co_text_init(&kind, x->e->ctx);
  co_text_init(&tensor, x->e->ctx);
  co_protobuf_int(&tensor, 1, type);
  put_shape(x, &tensor, shape);
  co_protobuf_message(&kind, 1, &tensor);
  co_protobuf_string(&info, 1, name);
  co_protobuf_message(&info, 2, &kind);
  co_protobuf_message(out, field, &info);
}

const char *co_onnx_input(co_onnx *x, const char *name, int type, const co_shape *shape) {
  for (int64_t i = 0; i < x->input_count; i++)
    if (strcmp(x->input_names[i], name) == 0) return name;
  co_onnx_fail(x, co_grow(x->e->ctx, (void **)&x->input_names, &x->input_capacity, x->input_count,
                          sizeof *x->input_names));
  if (x->status != CO_OK) return "";
  x->input_names[x->input_count++] = name;
  put_value_info(x, &x->inputs, 11, name, type, shape);
  return name;
}

void co_onnx_output(co_onnx *x, const char *name, int type, const co_shape *shape,
                    const char *value) {
  put_node(x, "Identity", NULL, &value, 1, &name, 1);
  put_value_info(x, &x->outputs, 12, name, type, shape);
}

// ---- values of plans ---------------------------------------------------------------------------

static const char **name_of(co_onnx *x, const co_plan *plan, co_value value) {
  return plan == x->e->network ? &x->network_names[value] : &x->section_names[value];
}

void co_onnx_name(co_onnx *x, const co_plan *plan, co_value value, const char *name) {
  *name_of(x, plan, value) = name;
}

// Both models of a blend have some that are called alike.
static const char *own_name(co_onnx *x, const char *name) {
  return take(x, co_arena_format(x->e->arena, "%s%s", x->e->is_baseline ? "baseline/" : "", name));
}

static const char *weights_of(co_onnx *x, co_value value) {
  const co_value_info *info = &x->e->network->values[value].info;
  const float *values;
  co_onnx_fail(x, co_exported_weights(x->e, value, &values));
  if (x->status != CO_OK) return "";
  return co_onnx_constant(x, own_name(x, info->name), CO_ONNX_FLOAT, &info->desc.shape, values);
}

// Integers become int64.
static const char *array_of(co_onnx *x, const co_value_info *info, const void *values) {
  int64_t count = co_shape_count(&info->desc.shape);
  bool codes = info->desc.dtype == CO_I32;
  int64_t *wide = co_arena_alloc(x->e->arena, (size_t)count + 1, sizeof *wide);
  if (!wide) co_onnx_fail(x, CO_ERR_MEMORY);
  if (x->status != CO_OK) return "";
  for (int64_t i = 0; codes && i < count; i++)
    wide[i] = ((const int32_t *)values)[i];
  return co_onnx_constant(x, own_name(x, info->name),
                          codes                       ? CO_ONNX_INT64
                          : info->desc.dtype == CO_U8 ? CO_ONNX_UINT8
                                                      : CO_ONNX_FLOAT,
                          &info->desc.shape, codes ? (const void *)wide : values);
}

static const char *fitted_of(co_onnx *x, const co_feed *feed, const co_value_info *info) {
  const void *values = NULL;
  co_onnx_fail(x, co_exported_fitted(x->e, feed, &values));
  return array_of(x, info, values);
}

// Weights and fitted arrays, under their own names.
static const char *constant_of(co_onnx *x, const co_plan *plan, co_value value) {
  const co_value_info *info = &plan->values[value].info;
  const co_feed *feed = NULL;
  if (info->storage == CO_STORAGE_PARAM || info->storage == CO_STORAGE_STATE)
    return weights_of(x, value);
  if (info->storage == CO_STORAGE_CONSTANT &&
      (info->desc.dtype == CO_F32 || info->desc.dtype == CO_I32 || info->desc.dtype == CO_U8))
    return array_of(x, info, plan->graph->constants[info->index].bytes);
  if (plan == x->e->section_plan && info->storage == CO_STORAGE_INPUT)
    feed = co_exported_feed(x->e, info->index);
  if (feed && feed->kind == CO_FEED_FITTED) return fitted_of(x, feed, info);
  co_onnx_fail(x, co_fail(CO_ERR_INTERNAL, "ONNX: '%s' is read before it is made",
                          info->name ? info->name : ""));
  return "";
}

const char *co_onnx_value(co_onnx *x, const co_plan *plan, co_value value) {
  const char **name = name_of(x, plan, value);
  if (*name) return *name;
  co_value from = plan->values[value].view_of;
  if (from != CO_NO_VALUE)
    *name =
        co_onnx_reshape(x, co_onnx_value(x, plan, from), &plan->graph->values[value].desc.shape);
  else
    *name = constant_of(x, plan, value);
  return *name;
}

// One unknown extent is found out, two are joined from what is known of the inputs.
const char *co_onnx_reshape(co_onnx *x, const char *value, const co_shape *shape) {
  int64_t extents[CO_MAX_RANK], unknown = 0;
  for (int i = 0; i < shape->rank; i++) {
    extents[i] = shape->dim[i] < 0 ? -1 : shape->dim[i];
    unknown += shape->dim[i] < 0;
  }
  const char *wanted;
  if (unknown < 2) {
    wanted = co_onnx_integers(x, shape->rank, extents);
  } else { // (N, T, …) or (N, …, T)
    static const co_onnx_attribute first[] = {{"axis", 'i', .i = 0}, {NULL}};
    const bool behind = shape->dim[1] >= 0;
    const int64_t T = shape->dim[behind ? shape->rank - 1 : 1];
    const char *time = x->time[co_dim_event_table(T)];
    const char *rest = co_onnx_integers(x, shape->rank - 2, extents + (behind ? 1 : 2));
    wanted = co_onnx_node(x, "Concat", first, x->batch, behind ? rest : time, behind ? time : rest,
                          NULL);
  }
  return co_onnx_node(x, "Reshape", NULL, value, wanted, NULL);
}
