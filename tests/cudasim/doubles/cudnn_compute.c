// SPDX-License-Identifier: Apache-2.0
// Operation graphs by plain loops, with sums in double. Values between operations are floats,
// rounded to the type of the tensor they belong to.
#include <stdlib.h>
#include <string.h>

#include "bfloat16.h"
#include "cudnn_double.h"
#include "tf32.h"

enum { MAX_TENSORS = 64 };

typedef struct value {
  dn_tensor tensor;
  char *data; // NULL: virtual
  float *numbers;
} value;

typedef struct run_state {
  const dn_call *call;
  int value_count;
  value values[MAX_TENSORS];
} run_state;

static size_t count_of(const dn_tensor *t) {
  return (size_t)(t->n * t->c * t->h * t->w);
}

static void load(value *v) {
  size_t count = count_of(&v->tensor);
  if (v->data == NULL) return;
  if (v->tensor.type == CUDNN_DATA_FLOAT) {
    memcpy(v->numbers, v->data, count * sizeof(float));
    return;
  }
  for (size_t i = 0; i < count; i++)
    v->numbers[i] = bfloat16_to_float(((const uint16_t *)v->data)[i]);
}

static void store(value *v) {
  size_t count = count_of(&v->tensor);
  if (v->tensor.type == CUDNN_DATA_BFLOAT16)
    for (size_t i = 0; i < count; i++) {
      uint16_t rounded = bfloat16_from_float(v->numbers[i]);
      v->numbers[i] = bfloat16_to_float(rounded);
      if (v->data != NULL) ((uint16_t *)v->data)[i] = rounded;
    }
  else if (v->data != NULL)
    memcpy(v->data, v->numbers, count * sizeof(float));
}

// The value of a tensor, loaded from memory at its first use.
static value *get_value(run_state *run, const dn_descriptor *descriptor) {
  dn_tensor tensor = dn_resolve_tensor(descriptor);
  for (int i = 0; i < run->value_count; i++)
    if (run->values[i].tensor.uid == tensor.uid) return &run->values[i];
  if (run->value_count == MAX_TENSORS) co_double_die("more than %d tensors", MAX_TENSORS);
  value *v = &run->values[run->value_count++];
  *v = (value){.tensor = tensor, .numbers = malloc(count_of(&tensor) * sizeof(float))};
  if (v->numbers == NULL) abort();
  for (int64_t i = 0; i < run->call->binding_count && !tensor.is_virtual; i++)
    if (run->call->bindings[i].uid == tensor.uid) v->data = run->call->bindings[i].data;
  load(v);
  return v;
}

// ---- convolution

typedef void (*inner_loop)(double *sums, int64_t x, int64_t w, int64_t y, int64_t channels,
                           const float *x_data, const float *w_data, const float *y_data);

static void forward(double *sums, int64_t x, int64_t w, int64_t y, int64_t channels,
                    const float *x_data, const float *w_data, const float *y_data) {
  (void)y_data;
  double sum = 0;
  for (int64_t c = 0; c < channels; c++)
    sum += (double)x_data[x + c] * w_data[w + c];
  sums[y] += sum;
}

static void backward_data(double *sums, int64_t x, int64_t w, int64_t y, int64_t channels,
                          const float *x_data, const float *w_data, const float *y_data) {
  (void)x_data;
  for (int64_t c = 0; c < channels; c++)
    sums[x + c] += (double)y_data[y] * w_data[w + c];
}

static void backward_filter(double *sums, int64_t x, int64_t w, int64_t y, int64_t channels,
                            const float *x_data, const float *w_data, const float *y_data) {
  (void)w_data;
  for (int64_t c = 0; c < channels; c++)
    sums[w + c] += (double)y_data[y] * x_data[x + c];
}

// Calls the inner loop for every pair of an output element and a filter position that meet.
static void for_all_taps(const dn_operation *op, const value *xv, const value *wv, const value *yv,
                         inner_loop loop, double *sums) {
  const dn_tensor *x = &xv->tensor, *w = &wv->tensor, *y = &yv->tensor;
  int64_t outputs_per_group = y->c / (x->c / w->c);
  for (int64_t n = 0; n < y->n; n++)
    for (int64_t h = 0; h < y->h; h++)
      for (int64_t v = 0; v < y->w; v++)
        for (int64_t k = 0; k < y->c; k++)
          for (int64_t r = 0; r < w->h; r++)
            for (int64_t s = 0; s < w->w; s++) {
              int64_t row = h * op->stride[0] - op->padding[0] + r * op->dilation[0];
              int64_t column = v * op->stride[1] - op->padding[1] + s * op->dilation[1];
              if (row < 0 || row >= x->h || column < 0 || column >= x->w) continue;
              int64_t first_channel = k / outputs_per_group * w->c;
              loop(sums, ((n * x->h + row) * x->w + column) * x->c + first_channel,
                   ((k * w->h + r) * w->w + s) * w->c, ((n * y->h + h) * y->w + v) * y->c + k, w->c,
                   xv->numbers, wv->numbers, yv->numbers);
            }
}

// A factor within a few units in the last place of 1.
static double jitter(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return 1 + (double)(state >> 30) * 0x1p-23;
}

static void cut(value *v, dn_operands operands) {
  size_t count = count_of(&v->tensor);
  for (size_t i = 0; i < count; i++)
    v->numbers[i] = operands == DN_TF32 ? tf32_cut(v->numbers[i])
                                        : bfloat16_to_float(bfloat16_from_float(v->numbers[i]));
}

static void run_convolution(run_state *run, const dn_operation *op) {
  static const inner_loop loops[] = {forward, backward_data, backward_filter};
  value *x = get_value(run, op->x), *w = get_value(run, op->w), *y = get_value(run, op->y);
  value *result = op->kind == DN_FORWARD ? y : op->kind == DN_BACKWARD_DATA ? x : w;
  size_t count = count_of(&result->tensor);
  double *sums = calloc(count, sizeof *sums);
  if (sums == NULL) abort();
  value *operands[] = {x, w, y};
  for (int i = 0; i < 3; i++)
    if (run->call->operands != DN_FLOAT && operands[i] != result)
      cut(operands[i], run->call->operands);
  for_all_taps(op, x, w, y, loops[op->kind], sums);
  for (size_t i = 0; i < count; i++) {
    double sum = op->alpha * sums[i];
    if (op->beta != 0) sum += op->beta * result->numbers[i];
    if (run->call->nondeterministic) sum *= jitter();
    result->numbers[i] = (float)sum;
  }
  free(sums);
  store(result);
}

// ---- pointwise

static float apply(const dn_operation *op, float x, float b) {
  switch ((int)op->mode) {
  case CUDNN_POINTWISE_ADD:
    return x + b;
  case CUDNN_POINTWISE_MUL:
    return x * b;
  case CUDNN_POINTWISE_RELU_FWD:
    return x > 0 || (op->propagates_nan && x != x) ? x : 0;
  default: // CUDNN_POINTWISE_RELU_BWD: b is the gradient of the output
    return x > 0 ? b : 0;
  }
}

static void run_pointwise(run_state *run, const dn_operation *op) {
  value *x = get_value(run, op->x), *y = get_value(run, op->y);
  value *b = op->w == NULL ? NULL : get_value(run, op->w);
  const dn_tensor *t = &y->tensor;
  size_t i = 0;
  for (int64_t n = 0; n < t->n; n++)
    for (int64_t h = 0; h < t->h; h++)
      for (int64_t w = 0; w < t->w; w++)
        for (int64_t c = 0; c < t->c; c++, i++) {
          float second = 0;
          if (b != NULL) {
            const dn_tensor *s = &b->tensor; // extents of 1 are repeated
            int64_t row = (s->n == 1 ? 0 : n) * s->h + (s->h == 1 ? 0 : h);
            int64_t pixel = row * s->w + (s->w == 1 ? 0 : w);
            second = b->numbers[pixel * s->c + (s->c == 1 ? 0 : c)];
          }
          y->numbers[i] = apply(op, x->numbers[i], second);
        }
  store(y);
}

void dn_run(void *closure) {
  const dn_call *call = closure;
  run_state run = {.call = call};
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
  const dn_attribute *operations = dn_find(call->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  bool fast = (uint64_t)call->engine == co_double_setting("COHORT_SIM_FAST_ENGINE", UINT64_MAX);
  co_double_charge((fast ? 1 : 10) + (double)(operations->count - 1) *
                                         (double)co_double_setting("COHORT_SIM_FUSION", 0));
  for (int64_t i = 0; i < operations->count; i++) {
    dn_operation op = dn_resolve_operation(((dn_descriptor **)operations->data)[i]);
    if (op.kind == DN_POINTWISE)
      run_pointwise(&run, &op);
    else
      run_convolution(&run, &op);
  }
  for (int i = 0; i < run.value_count; i++)
    free(run.values[i].numbers);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
}
