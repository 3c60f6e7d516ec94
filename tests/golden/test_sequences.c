// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, attention, pooling by it and convolutions over time must compute what PyTorch does
// (scripts/gen_sequences): the reference in double to its rounding, the CPU's loops to that of float.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/core/h5.h"
#include "kernels/backend.h"

#define OK(expression) assert_int_equal(expression, CO_OK)
#define FIXTURE COHORT_TEST_SOURCE_DIR "/tests/golden/sequences.h5"
enum { N = 5, T = 7, I = 3, U = 4, HEADS = 2, WIDTH = 6, MOST = N * T * 5 * U };

typedef struct fixture {
  co_context *ctx;
  co_h5 *file;
  co_backend *backend;
  co_dtype real;
  double tolerance;
  int32_t lengths[N];
  const char *group;
} fixture;

static void open_fixture(fixture *f, co_dtype real) {
  OK(co_context_create(&f->ctx, NULL));
  OK(co_h5_open(&f->file, f->ctx, FIXTURE, CO_ERR_DATA));
  OK(co_h5_read(f->file, "lengths", CO_I32, NULL, f->lengths));
  const co_backend_options options = {.threads = 2};
  f->real = real;
  f->tolerance = real == CO_F64 ? 1e-13 : 1e-5;
  OK((real == CO_F64 ? co_ref_backend_open : co_cpu_backend_open)(&f->backend, f->ctx, &options));
}

static void close_fixture(fixture *f) {
  f->backend->api->free(f->backend);
  co_h5_abandon(f->file);
  co_context_free(f->ctx);
}

static double *get(const fixture *f, const char *name, double *out) {
  char path[64];
  (void)snprintf(path, sizeof path, "%s/%s", f->group, name);
  OK(co_h5_read(f->file, path, CO_F64, NULL, out));
  return out;
}

static void compare(const fixture *f, const char *name, const double *mine, int64_t count) {
  double theirs[MOST];
  (void)get(f, name, theirs);
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(mine[i] - theirs[i]) <= f->tolerance * (1 + fabs(theirs[i]))))
      fail_msg("%s/%s[%lld]: %.17g instead of %.17g", f->group, name, (long long)i, mine[i],
               theirs[i]);
}

static void add(const fixture *f, co_op_desc *desc, bool input, int i, co_shape shape) {
  *(input ? &desc->has_in : &desc->has_out) |= 1u << i;
  (input ? desc->in : desc->out)[i] = (co_tensor_desc){.dtype = f->real, .shape = shape};
}

// A device's copy of doubles, or room for a result where there are none.
static void place(const fixture *f, const co_tensor_desc *desc, const void *values, void **out) {
  const size_t bytes = co_tensor_bytes(desc);
  OK(f->backend->api->buffer_create(f->backend, bytes, out));
  if (values && desc->dtype != CO_F32) memcpy(*out, values, bytes);
  for (int64_t i = 0; values && desc->dtype == CO_F32 && i < co_shape_count(&desc->shape); i++)
    ((float *)*out)[i] = (float)((const double *)values)[i];
}

static void run(const fixture *f, co_op_desc *desc, const void *const *in, double *const *out) {
  const co_backend_api *api = f->backend->api;
  co_op_choice choice;
  co_prepared *prepared;
  void *operands[CO_OP_MAX_OPERANDS] = {0}, *results[CO_OP_MAX_OPERANDS] = {0}, *workspace;
  OK(api->query(f->backend, desc, &choice));
  OK(api->prepare(f->backend, desc, &prepared));
  OK(api->buffer_create(f->backend, choice.workspace + 1, &workspace));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (desc->has_in >> i & 1) place(f, &desc->in[i], in[i], &operands[i]);
    if (desc->has_out >> i & 1) place(f, &desc->out[i], NULL, &results[i]);
  }
  OK(api->run(f->backend, prepared, operands, results, workspace));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    for (int64_t k = 0; results[i] && k < co_shape_count(&desc->out[i].shape); k++)
      out[i][k] = f->real == CO_F32 ? (double)((float *)results[i])[k] : ((double *)results[i])[k];
    if (operands[i]) api->buffer_free(f->backend, operands[i]);
    if (results[i]) api->buffer_free(f->backend, results[i]);
  }
  api->release(f->backend, prepared);
  api->buffer_free(f->backend, workspace);
}

// ---- recurrent layers --------------------------------------------------------------------------

static void check_cell(fixture *f, co_rnn_cell cell, bool reverse) {
  const int64_t width = co_rnn_gates(cell) * U;
  double x[MOST], kernel[MOST], recurrent[MOST], biases[MOST], last[MOST], y[MOST], saved[MOST];
  double dlast[MOST], dy[MOST], dx[MOST], dkernel[MOST], drecurrent[MOST], dbias[MOST];
  (void)get(f, "biases", biases);
  // PyTorch has two biases; only GRU's matter both.
  for (int64_t j = 0; cell != CO_CELL_GRU && j < width; j++)
    biases[j] += biases[width + j];
  co_op_desc desc = {.op = CO_OP_RECURRENT, .attr = {.cell = cell, .reverse = reverse}};
  add(f, &desc, true, CO_RECURRENT_x, co_shape_make(3, (int64_t)N, (int64_t)T, (int64_t)I));
  add(f, &desc, true, CO_RECURRENT_lengths, co_shape_make(1, (int64_t)N));
  desc.in[CO_RECURRENT_lengths].dtype = CO_I32;
  add(f, &desc, true, CO_RECURRENT_kernel, co_shape_make(2, (int64_t)I, width));
  add(f, &desc, true, CO_RECURRENT_recurrent, co_shape_make(2, (int64_t)U, width));
  add(f, &desc, true, CO_RECURRENT_bias, co_shape_make(1, width));
  if (cell == CO_CELL_GRU) desc.in[CO_RECURRENT_bias].shape = co_shape_make(2, (int64_t)2, width);
  OK(co_op_infer(&desc));
  desc.has_out = 7;
  run(f, &desc,
      (const void *[CO_OP_MAX_OPERANDS]){get(f, "x", x), f->lengths, get(f, "kernel", kernel),
                                         get(f, "recurrent", recurrent), biases},
      (double *[CO_OP_MAX_OPERANDS]){last, y, saved});
  compare(f, "last", last, N * U);
  compare(f, "y", y, N * T * U);

  co_op_desc back = {.op = CO_OP_RECURRENT_BACKWARD, .attr = desc.attr, .has_in = 127};
  back.has_out = 15;
  for (int i = 0; i < 4; i++)
    back.in[i] = desc.in[i];
  back.in[CO_RECURRENT_BACKWARD_saved] = desc.out[CO_RECURRENT_saved];
  back.in[CO_RECURRENT_BACKWARD_dlast] = desc.out[CO_RECURRENT_last];
  back.in[CO_RECURRENT_BACKWARD_dy] = desc.out[CO_RECURRENT_y];
  back.out[CO_RECURRENT_BACKWARD_dx] = desc.in[CO_RECURRENT_x];
  back.out[CO_RECURRENT_BACKWARD_dkernel] = desc.in[CO_RECURRENT_kernel];
  back.out[CO_RECURRENT_BACKWARD_drecurrent] = desc.in[CO_RECURRENT_recurrent];
  back.out[CO_RECURRENT_BACKWARD_dbias] = desc.in[CO_RECURRENT_bias];
  run(f, &back,
      (const void *[CO_OP_MAX_OPERANDS]){x, f->lengths, kernel, recurrent, saved,
                                         get(f, "dlast", dlast), get(f, "dy", dy)},
      (double *[CO_OP_MAX_OPERANDS]){dx, dkernel, drecurrent, dbias});
  compare(f, "dx", dx, N * T * I);
  compare(f, "dkernel", dkernel, I * width);
  compare(f, "drecurrent", drecurrent, U * width);
  compare(f, "dbiases", dbias, (cell == CO_CELL_GRU ? 2 : 1) * width);
}

static void recurrent_layers_are_those_of_pytorch(void **unused) {
  (void)unused;
  static const char *const groups[3][2] = {
      {"lstm", "lstm_reverse"}, {"gru", "gru_reverse"}, {"simple_rnn", "simple_rnn_reverse"}};
  for (int single = 0; single < 2; single++) {
    fixture f;
    open_fixture(&f, single ? CO_F32 : CO_F64);
    for (int cell = 0; cell < 3; cell++)
      for (int way = 0; way < 2; way++) {
        f.group = groups[cell][way];
        check_cell(&f, (co_rnn_cell)cell, way == 1);
      }
    close_fixture(&f);
  }
}

// ---- attention ---------------------------------------------------------------------------------

static void check_attention(fixture *f, bool causal) {
  const co_shape events = co_shape_make(3, (int64_t)N, (int64_t)T, (int64_t)WIDTH);
  double q[MOST], k[MOST], v[MOST], y[MOST], logsum[MOST], dy[MOST], d[3][MOST];
  co_op_desc desc = {.op = CO_OP_ATTENTION, .attr = {.heads = HEADS, .causal = causal}};
  for (int i = 0; i < 3; i++)
    add(f, &desc, true, i, events);
  add(f, &desc, true, CO_ATTENTION_lengths, co_shape_make(1, (int64_t)N));
  desc.in[CO_ATTENTION_lengths].dtype = CO_I32;
  OK(co_op_infer(&desc));
  desc.has_out = 3;
  run(f, &desc,
      (const void *[CO_OP_MAX_OPERANDS]){get(f, "q", q), get(f, "k", k), get(f, "v", v),
                                         f->lengths},
      (double *[CO_OP_MAX_OPERANDS]){y, logsum});
  compare(f, "y", y, N * T * WIDTH);

  co_op_desc back = {.op = CO_OP_ATTENTION_BACKWARD, .attr = desc.attr};
  for (int i = 0; i < 3; i++) {
    add(f, &back, true, i, events);
    add(f, &back, false, i, events);
  }
  add(f, &back, true, CO_ATTENTION_BACKWARD_lengths, desc.in[CO_ATTENTION_lengths].shape);
  back.in[CO_ATTENTION_BACKWARD_lengths].dtype = CO_I32;
  add(f, &back, true, CO_ATTENTION_BACKWARD_y, events);
  add(f, &back, true, CO_ATTENTION_BACKWARD_logsum, desc.out[CO_ATTENTION_logsum].shape);
  add(f, &back, true, CO_ATTENTION_BACKWARD_dy, events);
  const void *in[CO_OP_MAX_OPERANDS] = {q, k, v, f->lengths};
  in[CO_ATTENTION_BACKWARD_y] = y;
  in[CO_ATTENTION_BACKWARD_logsum] = logsum;
  in[CO_ATTENTION_BACKWARD_dy] = get(f, "dy", dy);
  run(f, &back, in, (double *[CO_OP_MAX_OPERANDS]){d[0], d[1], d[2]});
  compare(f, "dq", d[0], N * T * WIDTH);
  compare(f, "dk", d[1], N * T * WIDTH);
  compare(f, "dv", d[2], N * T * WIDTH);
}

static void attention_is_that_of_pytorch(void **unused) {
  (void)unused;
  for (int single = 0; single < 2; single++) {
    fixture f;
    open_fixture(&f, single ? CO_F32 : CO_F64);
    f.group = "attention";
    check_attention(&f, false);
    f.group = "attention_causal";
    check_attention(&f, true);
    close_fixture(&f);
  }
}

// ---- convolutions over time --------------------------------------------------------------------

static void add_all(const fixture *f, co_op_desc *desc, const co_shape *in, const co_shape *out) {
  for (int i = 0; in[i].rank; i++)
    add(f, desc, true, i, in[i]);
  for (int i = 0; out[i].rank; i++)
    add(f, desc, false, i, out[i]);
}

// Conv1D is a dense layer of what stands around each event.
static void check_convolution(fixture *f, int64_t size, int64_t dilation, bool causal) {
  const int64_t reach = (size - 1) * dilation;
  const co_op_attr attr = {
      .kernel = {size}, .dilation = {dilation}, .pad_begin = {causal ? reach : reach / 2}};
  const co_shape none = {0}, events = co_shape_make(3, (int64_t)N, (int64_t)T, (int64_t)I),
                 around = co_shape_make(3, (int64_t)N, (int64_t)T, size * I),
                 rows = co_shape_make(2, (int64_t)N * T, size * I),
                 results = co_shape_make(2, (int64_t)N * T, (int64_t)U),
                 kernel = co_shape_make(2, size * I, (int64_t)U),
                 bias = co_shape_make(1, (int64_t)U), lengths = co_shape_make(1, (int64_t)N);
  double x[MOST], w[MOST], b[MOST], y[MOST], wide[MOST], dy[MOST], dwide[MOST], d[3][MOST];
  co_op_desc unfold = {.op = CO_OP_UNFOLD_EVENTS, .attr = attr}, dense = {.op = CO_OP_DENSE};
  add_all(f, &unfold, (co_shape[]){events, lengths, none}, (co_shape[]){around, none});
  unfold.in[CO_UNFOLD_EVENTS_lengths].dtype = CO_I32;
  run(f, &unfold, (const void *[CO_OP_MAX_OPERANDS]){get(f, "x", x), f->lengths},
      (double *[CO_OP_MAX_OPERANDS]){wide});
  add_all(f, &dense, (co_shape[]){rows, kernel, bias, none}, (co_shape[]){results, none});
  run(f, &dense, (const void *[CO_OP_MAX_OPERANDS]){wide, get(f, "kernel", w), get(f, "bias", b)},
      (double *[CO_OP_MAX_OPERANDS]){y});
  for (int64_t i = 0; i < N * T * U; i++) // behind a sequence stands the bias
    if (i / U % T >= f->lengths[i / U / T]) y[i] -= b[i % U];
  compare(f, "y", y, N * T * U);

  co_op_desc data = {.op = CO_OP_DENSE_BACKWARD_DATA},
             weights = {.op = CO_OP_DENSE_BACKWARD_WEIGHTS},
             fold = {.op = CO_OP_UNFOLD_EVENTS_BACKWARD, .attr = attr};
  add_all(f, &data, (co_shape[]){results, kernel, none}, (co_shape[]){rows, none});
  run(f, &data, (const void *[CO_OP_MAX_OPERANDS]){get(f, "dy", dy), w},
      (double *[CO_OP_MAX_OPERANDS]){dwide});
  add_all(f, &weights, (co_shape[]){rows, results, none}, (co_shape[]){kernel, bias, none});
  run(f, &weights, (const void *[CO_OP_MAX_OPERANDS]){wide, dy},
      (double *[CO_OP_MAX_OPERANDS]){d[1], d[2]});
  add_all(f, &fold, (co_shape[]){lengths, around, none}, (co_shape[]){events, none});
  fold.in[CO_UNFOLD_EVENTS_BACKWARD_lengths].dtype = CO_I32;
  run(f, &fold, (const void *[CO_OP_MAX_OPERANDS]){f->lengths, dwide},
      (double *[CO_OP_MAX_OPERANDS]){d[0]});
  compare(f, "dx", d[0], N * T * I);
  compare(f, "dkernel", d[1], size * I * U);
  compare(f, "dbias", d[2], U);
}

static void convolutions_over_time_are_those_of_pytorch(void **unused) {
  (void)unused;
  for (int single = 0; single < 2; single++) {
    fixture f;
    open_fixture(&f, single ? CO_F32 : CO_F64);
    f.group = "conv1d";
    check_convolution(&f, 4, 1, false);
    f.group = "conv1d_causal";
    check_convolution(&f, 3, 2, true);
    close_fixture(&f);
  }
}

// The operations that GlobalPooling1D emits, and the gradient of its scores.
static void check_pooling(fixture *f) {
  const co_shape none = {0}, rows = co_shape_make(2, (int64_t)N * T, (int64_t)I),
                 hidden = co_shape_make(2, (int64_t)N * T, (int64_t)U),
                 score = co_shape_make(2, (int64_t)N * T, (int64_t)1),
                 kernel = co_shape_make(2, (int64_t)I, (int64_t)U),
                 query = co_shape_make(2, (int64_t)U, (int64_t)1),
                 bias = co_shape_make(1, (int64_t)U), lengths = co_shape_make(1, (int64_t)N),
                 shares = co_shape_make(3, (int64_t)N, (int64_t)1, (int64_t)T),
                 events = co_shape_make(3, (int64_t)N, (int64_t)T, (int64_t)I),
                 pooled = co_shape_make(3, (int64_t)N, (int64_t)1, (int64_t)I);
  double x[MOST], w[MOST], b[MOST], q[MOST], u[MOST], s[MOST], a[MOST], y[MOST], dy[MOST], da[MOST];
  co_op_desc dense = {.op = CO_OP_DENSE}, tanhs = {.op = CO_OP_TANH}, scores = {.op = CO_OP_DENSE};
  co_op_desc softmax = {.op = CO_OP_MASKED_SOFTMAX}, product = {.op = CO_OP_MATMUL};
  add_all(f, &dense, (co_shape[]){rows, kernel, bias, none}, (co_shape[]){hidden, none});
  run(f, &dense,
      (const void *[CO_OP_MAX_OPERANDS]){get(f, "x", x), get(f, "kernel", w), get(f, "bias", b)},
      (double *[CO_OP_MAX_OPERANDS]){u});
  add_all(f, &tanhs, (co_shape[]){hidden, none}, (co_shape[]){hidden, none});
  run(f, &tanhs, (const void *[CO_OP_MAX_OPERANDS]){u}, (double *[CO_OP_MAX_OPERANDS]){u});
  add_all(f, &scores, (co_shape[]){hidden, query, none}, (co_shape[]){score, none});
  run(f, &scores, (const void *[CO_OP_MAX_OPERANDS]){u, get(f, "query", q)},
      (double *[CO_OP_MAX_OPERANDS]){s});
  add_all(f, &softmax, (co_shape[]){shares, lengths, none}, (co_shape[]){shares, none});
  softmax.in[CO_MASKED_SOFTMAX_lengths].dtype = CO_I32;
  run(f, &softmax, (const void *[CO_OP_MAX_OPERANDS]){s, f->lengths},
      (double *[CO_OP_MAX_OPERANDS]){a});
  add_all(f, &product, (co_shape[]){shares, events, none}, (co_shape[]){pooled, none});
  run(f, &product, (const void *[CO_OP_MAX_OPERANDS]){a, x}, (double *[CO_OP_MAX_OPERANDS]){y});
  compare(f, "y", y, N * I);

  co_op_desc weights = {.op = CO_OP_MATMUL_BACKWARD_A};
  co_op_desc gradient = {.op = CO_OP_MASKED_SOFTMAX_BACKWARD};
  add_all(f, &weights, (co_shape[]){pooled, events, none}, (co_shape[]){shares, none});
  run(f, &weights, (const void *[CO_OP_MAX_OPERANDS]){get(f, "dy", dy), x},
      (double *[CO_OP_MAX_OPERANDS]){da});
  add_all(f, &gradient, (co_shape[]){shares, shares, lengths, none}, (co_shape[]){shares, none});
  gradient.in[CO_MASKED_SOFTMAX_BACKWARD_lengths].dtype = CO_I32;
  run(f, &gradient, (const void *[CO_OP_MAX_OPERANDS]){a, da, f->lengths},
      (double *[CO_OP_MAX_OPERANDS]){s});
  compare(f, "dscores", s, N * T);
}

static void pooling_by_attention_is_that_of_pytorch(void **unused) {
  (void)unused;
  for (int single = 0; single < 2; single++) {
    fixture f;
    open_fixture(&f, single ? CO_F32 : CO_F64);
    f.group = "pooling";
    check_pooling(&f);
    close_fixture(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(recurrent_layers_are_those_of_pytorch),
      cmocka_unit_test(attention_is_that_of_pytorch),
      cmocka_unit_test(convolutions_over_time_are_those_of_pytorch),
      cmocka_unit_test(pooling_by_attention_is_that_of_pytorch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
