// SPDX-License-Identifier: Apache-2.0
// Networks over sequences: classes of rows and lengths in one program, padding that changes nothing,
// masks that do not depend on it, gradients. With a device's name, what a device does with classes.
// Timeout: 240
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "helpers.h"
#include "host/exec/program_private.h"
#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"
#include "models/text_output.h"

enum { FEATURES = 3, MAX_LENGTH = 13 };

static const char *only_device;

// Beyond PLAIN: all there is for sequences.
typedef enum network { PLAIN, DEEP, ATTENTIVE, WRITING } network;

static co_value input_of(rig *r, const char *name, co_dtype dtype, co_shape shape) {
  co_value out;
  OK(co_graph_add_input(r->graph, name, dtype, &shape, &out));
  return out;
}

// What a decoder's states, of which there are two of a row, make of what they attend to.
static co_value attend(rig *r, const co_value *x) {
  const co_text_output text = {.units = FEATURES, .memory_count = 1};
  const co_param_info kernel = {.shape = co_shape_make(2, (int64_t)2 * FEATURES, (int64_t)FEATURES),
                                .init = CO_INIT_GLOROT_UNIFORM,
                                .fan_in = 2 * FEATURES,
                                .fan_out = FEATURES};
  const co_param_info bias = {.shape = co_shape_make(1, (int64_t)FEATURES)};
  const co_op_attr flat = {.shape = co_shape_make(2, CO_DIM_N, (int64_t)2 * FEATURES)};
  const co_value memory = layer(r, "Dense", "memory", "{units: 3, use_bias: false}", x, 1);
  const co_value once = layer(r, "GRU", "states", "{units: 6}", x, 2);
  const co_op_attr steps = {.shape = co_shape_make(3, CO_DIM_N, (int64_t)2, (int64_t)FEATURES)};
  co_value params[2], out;
  r->graph->layer = "attention";
  OK(co_emit(r->graph, CO_OP_RESHAPE, &steps, 1, &once, &out));
  OK(co_graph_add_param(r->graph, "kernel", &kernel, &params[0]));
  OK(co_graph_add_param(r->graph, "bias", &bias, &params[1]));
  OK(co_text_attention_emit(r->graph, &text, &memory, &x[1], params, CO_DIM_MEMBERS(2), &out));
  OK(co_emit(r->graph, CO_OP_RESHAPE, &flat, 1, &out, &out));
  r->graph->layer = NULL;
  return out;
}

// Means of x by the shares of two queries.
static co_value weighted(rig *r, const co_value *x) {
  co_value shares[2], in[2] = {CO_NO_VALUE, x[0]};
  for (int i = 0; i < 2; i++) {
    const char score[] = {'q', (char)('0' + i), 0}, share[] = {'w', (char)('0' + i), 0};
    const co_value scores[2] = {layer(r, "Dense", score, "{units: 1, use_bias: false}", x, 1),
                                x[1]};
    shares[i] = layer(r, "Softmax", share, "{axis: 1}", scores, 2);
  }
  in[0] = layer(r, "Concatenate", "shares", "{}", shares, 2);
  const co_value means = layer(r, "Dot", "means", "{axes: 1}", in, 2);
  return layer(r, "Flatten", "weighted", "{}", &means, 1);
}

static void build(rig *r, network kind) {
  OK(co_graph_create(&r->graph, r->ctx));
  co_graph_set_max_length(r->graph, 0, MAX_LENGTH);
  co_value x[2];
  x[0] = input_of(r, "x", CO_F32, co_shape_make(3, CO_DIM_N, CO_DIM_T(0), (int64_t)FEATURES));
  x[1] = input_of(r, "lengths", CO_I32, co_shape_make(1, CO_DIM_N));
  co_value target = input(r, "score", 1), weight = input(r, "row.weight", 0);
  if (kind == DEEP) {
    x[0] = layer(r, "Dense", "dense", "{units: 4, activation: relu}", x, 1);
    x[0] = layer(r, "Dropout", "dropout", "{rate: 0.3}", x, 1);
    x[0] = layer(r, "LSTM", "below", "{units: 5, return_sequences: true}", x, 2);
    x[0] =
        layer(r, "Bidirectional", "both", "{layer: GRU, units: 3, return_sequences: true}", x, 2);
    x[0] = layer(r, "SimpleRNN", "back", "{units: 4, return_sequences: true, go_backwards: true}",
                 x, 2);
    x[0] = layer(r, "Reverse", "reversed", "{}", x, 2);
  }
  co_value last;
  if (kind == ATTENTIVE) {
    co_value pooled[6];
    x[0] = layer(r, "Dense", "dense", "{units: 4}", x, 1);
    x[0] = layer(r, "LayerNormalization", "norm", "{}", x, 1);
    x[0] = layer(r, "MultiHeadAttention", "attention",
                 "{num_heads: 2, key_dim: 3, use_causal_mask: true, relative_positions: 3}", x, 2);
    x[0] = layer(r, "Dropout", "dropout", "{rate: 0.3}", x, 1);
    x[0] = layer(r, "RMSNormalization", "rms", "{}", x, 1);
    x[0] = layer(r, "MultiHeadAttention", "all", "{num_heads: 1, key_dim: 2}", x, 2);
    pooled[0] = layer(r, "GlobalPooling1D", "last", "{pooling: last}", x, 2);
    const co_value code[3] = {pooled[0], x[0], x[1]};
    co_value again[2] = {layer(r, "RepeatVector", "repeat", "{}", code, 3), x[1]};
    pooled[0] = layer(r, "GlobalPooling1D", "often", "{pooling: sum}", again, 2);
    pooled[1] = layer(r, "GlobalPooling1D", "mean", "{pooling: mean}", x, 2);
    pooled[2] = layer(r, "GlobalPooling1D", "sum", "{pooling: sum}", x, 2);
    co_value wide[2] = {layer(r, "Conv1D", "causal",
                              "{filters: 3, kernel_size: 3, dilation_rate: 2, padding: causal}", x,
                              2),
                        x[1]};
    wide[0] = layer(r, "Conv1D", "same", "{filters: 2, kernel_size: 4, use_bias: false}", wide, 2);
    pooled[3] = layer(r, "GlobalPooling1D", "max", "{pooling: max}", wide, 2);
    pooled[4] = layer(r, "GlobalPooling1D", "attend", "{pooling: attention, units: 3}", x, 2);
    co_value scores[2] = {layer(r, "Dense", "score", "{units: 1, use_bias: false}", x, 1), x[1]};
    scores[0] = layer(r, "Softmax", "shares", "{axis: 1}", scores, 2);
    pooled[5] = layer(r, "GlobalPooling1D", "share", "{pooling: max}", scores, 2);
    last = layer(r, "Concatenate", "pooled", "{}", pooled, 6);
  } else if (kind == WRITING) {
    const co_value both[2] = {attend(r, x), weighted(r, x)};
    last = layer(r, "Concatenate", "written", "{}", both, 2);
  } else {
    last = layer(r, "LSTM", "lstm", "{units: 6}", x, 2);
  }
  co_value score = layer(r, "Dense", "out", "{units: 1}", &last, 1);
  r->graph->layer = "score";
  OK(co_loss_emit(r->graph, co_loss_find("mean_squared_error"), NULL, "score", 1, score, target,
                  weight));
  r->graph->layer = NULL;
  OK(co_graph_add_output(r->graph, "score", score));
  OK(co_graph_add_output(r->graph, "events", x[0]));
}

static void make(rig *r, const setup *s, network kind) {
  rig_open(r, s);
  build(r, kind);
  rig_program(r);
}

static double value_at(uint64_t seed, int64_t n, int64_t t, int64_t i) {
  uint64_t bits = (seed * 31 + (uint64_t)n) * 2654435761u + (uint64_t)(t * 97 + i * 13);
  return (double)(bits * 11400714819323198485u >> 44) / 524288 - 1;
}

static int length_at(int64_t n, int most) {
  return (int)(n == 0 ? most : n == 1 ? 0 : (n * 7 + 1) % (most + 1));
}

// Rows of the same events whatever the class: at most `most` of them each, then `padding`.
static void fill(rig *r, batch *b, const co_shape_class *shape, uint64_t seed, int most,
                 double padding) {
  batch_make_class(r, b, shape, seed);
  for (int64_t n = 0; n < shape->rows; n++) {
    int length = length_at(n, most);
    batch_set(r, b, "lengths", n, length);
    batch_set(r, b, "score", n, value_at(seed, n, 99, 0));
    for (int64_t t = 0; t < shape->t[0]; t++)
      for (int i = 0; i < FEATURES; i++)
        batch_set(r, b, "x", (n * shape->t[0] + t) * FEATURES + i,
                  t < length ? value_at(seed, n, t, i) : padding);
  }
}

// The parameters after a few steps, one entry after the other.
static int64_t run(const setup *s, network kind, const co_shape_class *shape, int most,
                   double padding, double *out, double *loss) {
  rig r;
  batch b;
  int64_t count = 0;
  make(&r, s, kind);
  for (uint32_t step = 0; step < 3; step++) {
    fill(&r, &b, shape, step, most, padding);
    *loss = train(&r, 0, &b, step, 0.05);
    batch_free(&r, &b);
  }
  for (int64_t e = 0; e < r.store->count; e++) {
    memcpy(out + count, entry_read(&r, e, CO_BLOCK_PARAM), (size_t)entry_count(&r, e) * 8);
    count += entry_count(&r, e);
  }
  rig_free(&r);
  return count;
}

enum { MOST_VALUES = 2000 };

static double largest_difference(const double *a, const double *b, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++)
    most = fmax(most, fabs(a[i] - b[i]));
  return most;
}

// ---- tests -------------------------------------------------------------------------------------

static const struct {
  const char *backend;
  co_dtype real;
  double rounding;
} policies[] = {{"ref", CO_F64, 1e-14}, {"ref", CO_F32, 1e-6}, {"cpu", CO_F32, 1e-6}};
enum { POLICIES = sizeof policies / sizeof *policies };

static const co_shape_class tight = {.rows = 9, .t = {5}}, wide = {.rows = 9, .t = {MAX_LENGTH}};

static setup setup_of(int policy) {
  setup s = {.backend = only_device ? only_device : policies[policy].backend,
             .real = only_device ? CO_F32 : policies[policy].real,
             .rows = 9,
             .class_count = 1};
  return s;
}

// What lies behind a row's events is not read: not even where it is no number. Behind a dense layer,
// it comes as whatever that makes of it.
static void padding_changes_nothing(void **unused) {
  (void)unused;
  static double zero[MOST_VALUES], other[MOST_VALUES];
  for (int p = 0; p < (only_device ? 1 : POLICIES); p++)
    for (int kind = PLAIN; kind <= WRITING; kind++) {
      setup s = setup_of(p);
      double one, two, padding = kind == PLAIN ? (double)NAN : 17.25;
      s.classes = &wide;
      int64_t count = run(&s, (network)kind, &wide, 5, 0, zero, &one);
      assert_int_equal(run(&s, (network)kind, &wide, 5, padding, other, &two), count);
      assert_true(count <= MOST_VALUES && isfinite(one));
      assert_memory_equal(zero, other, (size_t)count * sizeof *zero);
      assert_true(one == two);
    }
}

// Longer padding adds no terms but zeros, and draws no other masks.
static void lengths_change_rounding_only(void **unused) {
  (void)unused;
  static double some[MOST_VALUES], more[MOST_VALUES];
  for (int p = 0; p < (only_device ? 1 : POLICIES); p++)
    for (int kind = DEEP; kind <= WRITING; kind++) {
      setup s = setup_of(p);
      double one, two;
      s.classes = &tight;
      int64_t count = run(&s, (network)kind, &tight, 5, 0, some, &one);
      s.classes = &wide;
      (void)run(&s, (network)kind, &wide, 5, 0, more, &two);
      double rounding = only_device ? 1e-6 : policies[p].rounding;
      assert_true(fabs(one - two) <= rounding);
      assert_true(largest_difference(some, more, count) <= rounding);
    }
}

// Micro-batches share masks and sums with the whole.
static void micro_batches_add_up(void **unused) {
  (void)unused;
  static double whole[MOST_VALUES], parts[MOST_VALUES];
  for (int p = 0; p < (only_device ? 1 : POLICIES); p++)
    for (int kind = DEEP; kind <= WRITING; kind++) {
      setup s = setup_of(p);
      double one, two;
      s.classes = &tight;
      int64_t count = run(&s, (network)kind, &tight, 5, 0, whole, &one);
      s.rows = 4;
      (void)run(&s, (network)kind, &tight, 5, 0, parts, &two);
      double rounding = only_device ? 1e-6 : policies[p].rounding;
      assert_true(largest_difference(whole, parts, count) <= rounding);
    }
}

// Whoever computes a row or an element of a gradient, its sums are the same.
static void threads_change_nothing(void **unused) {
  (void)unused;
  static const char *const names[] = {"lstm/kernel", "lstm/recurrent_kernel", "lstm/bias"};
  double *gradient[2][3];
  rig r[2];
  for (int i = 0; i < 2; i++) {
    batch b;
    setup s = setup_of(2);
    s.classes = &tight;
    s.threads = i ? 3 : 1;
    make(&r[i], &s, PLAIN);
    fill(&r[i], &b, &tight, 2, 5, 0);
    (void)train(&r[i], 0, &b, 0, 0.05);
    for (int k = 0; k < 3; k++)
      gradient[i][k] = entry_read(&r[i], entry_find(&r[i], names[k]), CO_BLOCK_GRADIENT);
    batch_free(&r[i], &b);
  }
  for (int k = 0; k < 3; k++) {
    size_t bytes = (size_t)entry_count(&r[0], entry_find(&r[0], names[k])) * sizeof(double);
    assert_memory_equal(gradient[0][k], gradient[1][k], bytes);
  }
  for (int i = 0; i < 2; i++)
    rig_free(&r[i]);
}

static void check_gradients(network kind) {
  const double h = 1e-5;
  rig r;
  batch b;
  setup s = setup_of(0);
  s.classes = &tight;
  make(&r, &s, kind);
  fill(&r, &b, &tight, 3, 5, 0);
  for (int64_t e = 0; e < r.store->count; e++) {
    double *values = entry_read(&r, e, CO_BLOCK_PARAM), largest = 0;
    (void)train(&r, 0, &b, 3, 0);
    double *gradient = entry_read(&r, e, CO_BLOCK_GRADIENT);
    for (int64_t i = 0; i < entry_count(&r, e); i += 1 + i / 7) {
      double was = values[i], loss[2];
      for (int side = 0; side < 2; side++) {
        values[i] = was + (side ? h : -h);
        entry_write(&r, e, CO_BLOCK_PARAM, values);
        loss[side] = train(&r, 0, &b, 3, 0);
      }
      values[i] = was;
      entry_write(&r, e, CO_BLOCK_PARAM, values);
      double measured = (loss[1] - loss[0]) / (2 * h);
      largest = fmax(largest, fabs(measured));
      if (!(fabs(measured - gradient[i]) < 1e-8 * (1 + fabs(measured))))
        fail_msg("%s[%lld]: %.12g, measured %.12g", r.store->entries[e].info.name, (long long)i,
                 gradient[i], measured);
    }
    // A bias of the keys moves all scores of an event alike: it has no gradient.
    assert_true(largest > 1e-5 || strstr(r.store->entries[e].info.name, "key_bias"));
  }
  batch_free(&r, &b);
  rig_free(&r);
}

static void gradients_are_derivatives(void **unused) {
  (void)unused;
  check_gradients(DEEP);
  check_gradients(ATTENTIVE);
  check_gradients(WRITING);
}

static void parameters_start_as_in_keras(void **unused) {
  (void)unused;
  rig r;
  setup s = setup_of(0);
  s.classes = &tight;
  make(&r, &s, PLAIN);
  const double *bias = entry_read(&r, entry_find(&r, "lstm/bias"), CO_BLOCK_PARAM);
  for (int i = 0; i < 24; i++)
    assert_true(bias[i] == (i >= 6 && i < 12 ? 1 : 0));
  const double *rows = entry_read(&r, entry_find(&r, "lstm/recurrent_kernel"), CO_BLOCK_PARAM);
  for (int a = 0; a < 6; a++)
    for (int b = 0; b < 6; b++) {
      double dot = 0;
      for (int k = 0; k < 24; k++)
        dot += rows[a * 24 + k] * rows[b * 24 + k];
      assert_true(fabs(dot - (a == b ? 1 : 0)) < 1e-6); // values are floats
    }
  rig_free(&r);
}

// What is not among the classes is refused, and so are lengths beyond the greatest.
static void only_planned_classes_run(void **unused) {
  (void)unused;
  const co_shape_class classes[] = {tight, {.rows = 4, .t = {5}}};
  const co_shape_class others[] = {wide, {.rows = 4, .t = {4}}, {.rows = 9}, {.rows = 5, .t = {5}}};
  const co_shape_class beyond = {.rows = 9, .t = {MAX_LENGTH + 1}}, none = {.rows = 9};
  rig r;
  batch b;
  co_step_result result;
  co_program *program;
  setup s = setup_of(1);
  s.classes = classes;
  s.class_count = 2;
  make(&r, &s, DEEP);
  fill(&r, &b, &wide, 1, 5, 0);
  const co_step step = step_for(&r, &b, 0, 0.1);
  for (int i = 0; i < 4; i++)
    assert_int_equal(co_program_step(r.program, 0, &others[i], b.inputs, &step, &result),
                     CO_ERR_INTERNAL);
  batch_free(&r, &b);
  r.setup.class_count = 1;
  r.setup.classes = &beyond;
  assert_int_equal(rig_try_program(&r, &program), CO_ERR_INTERNAL);
  r.setup.classes = &none;
  assert_int_equal(rig_try_program(&r, &program), CO_ERR_INTERNAL);
  co_error_clear();
  rig_free(&r);
}

// In bf16 data are rounded, no more.
static void bf16_is_near(void **unused) {
  (void)unused;
  static double exact[MOST_VALUES], narrow[MOST_VALUES];
  for (int p = 1; p < (only_device ? 2 : POLICIES); p++) {
    setup s = setup_of(p);
    double one, two;
    s.classes = &tight;
    int64_t count = run(&s, DEEP, &tight, 5, 0, exact, &one);
    s.bf16 = true;
    (void)run(&s, DEEP, &tight, 5, 0, narrow, &two);
    assert_true(one != two && fabs(one - two) < 0.02 * one);
    assert_true(largest_difference(exact, narrow, count) < 0.01);
  }
}

// Plans without a need for it hold neither what a gradient needs nor, where only the last state counts, those of
// single events.
static void what_nobody_reads_is_not_there(void **unused) {
  (void)unused;
  rig r;
  setup s = setup_of(1);
  s.classes = &tight;
  s.evaluation_classes = &wide;
  s.evaluation_class_count = 1;
  make(&r, &s, DEEP);
  int found = 0;
  for (int64_t i = 0; co_program_plan(r.program, i); i++) {
    const co_plan *plan = co_program_plan(r.program, i);
    bool trains = plan->options.mode == CO_MODE_TRAIN;
    for (int64_t k = 0; k < plan->op_count; k++) {
      const co_plan_op *op = &plan->ops[k];
      if (op->desc.op != CO_OP_RECURRENT) continue;
      assert_int_equal(op->out[CO_RECURRENT_y] != CO_NO_VALUE, strcmp(op->layer, "lstm") != 0);
      assert_int_equal(op->out[CO_RECURRENT_saved] != CO_NO_VALUE, trains);
      found++;
    }
  }
  assert_int_equal(found, 10);
  rig_free(&r);
}

// On CUDA long sequences are cuDNN's, short ones our own kernel's, both ways through.
static void length_decides_who_computes(void **unused) {
  (void)unused;
  const co_shape_class *const shapes[] = {&tight, &wide};
  for (int i = 0; i < 2; i++) {
    rig r;
    setup s = setup_of(0);
    int found = 0;
    s.classes = shapes[i];
    make(&r, &s, DEEP);
    for (int64_t p = 0; co_program_plan(r.program, p); p++) {
      const co_plan *plan = co_program_plan(r.program, p);
      for (int64_t k = 0; k < plan->op_count; k++) {
        const co_plan_op *op = &plan->ops[k];
        const bool backward = op->desc.op == CO_OP_RECURRENT_BACKWARD;
        if (op->desc.op != CO_OP_RECURRENT && !backward) continue;
        assert_string_equal(op->choice.implementation, i ? "cudnn" : "cuda");
        assert_int_equal(op->choice.launches, i ? 3 + backward : 1 + backward);
        found++;
      }
    }
    assert_int_equal(found, 10); // and of each the backward operation
    rig_free(&r);
  }
}

// ---- many classes --------------------------------------------------------------------------------

enum { CLASSES = 25 }; // each in another place from round to round: more graphs than are kept

static void run_classes(const setup *s, double *out, int64_t *count) {
  rig r;
  make(&r, s, PLAIN);
  int64_t bytes = 0;
  for (uint32_t step = 0; step < 4 * CLASSES; step++) {
    batch b;
    const co_shape_class *shape = &s->classes[step * 7 % CLASSES];
    fill(&r, &b, shape, step, (int)shape->t[0], 0);
    (void)train(&r, 0, &b, step, 0.05);
    OK(co_program_evaluate(r.program, b.inputs));
    batch_free(&r, &b);
    if (step == 0) bytes = co_alloc_get_stats(r.ctx).live_bytes;
    assert_int_equal(co_alloc_get_stats(r.ctx).live_bytes, bytes);
  }
  assert_int_equal(r.program->captured_graph_count,
                   only_device && !s->no_capture ? CO_CAPTURED_GRAPHS : 0);
  *count = 0;
  for (int64_t e = 0; e < r.store->count; e++) {
    memcpy(out + *count, entry_read(&r, e, CO_BLOCK_PARAM), (size_t)entry_count(&r, e) * 8);
    *count += entry_count(&r, e);
  }
  rig_free(&r);
}

static void many_classes_share_a_program(void **unused) {
  (void)unused;
  static double some[MOST_VALUES], other[MOST_VALUES];
  co_shape_class classes[CLASSES];
  for (int i = 0; i < CLASSES; i++)
    classes[i] = (co_shape_class){.rows = 2 + i % 2, .t = {1 + i / 2}};
  setup s = setup_of(2);
  s.rows = 2; // of three rows, one is a micro-batch of its own
  s.classes = classes;
  s.class_count = CLASSES;
  s.evaluation_classes = &classes[0];
  s.evaluation_class_count = 1;
  int64_t count, again;
  run_classes(&s, some, &count);
  s.no_capture = true;
  run_classes(&s, other, &again);
  assert_int_equal(count, again);
  assert_memory_equal(some, other, (size_t)count * sizeof *some);
}

// ---- events on the device ------------------------------------------------------------------------

enum { EVENTS = 64, STEPS = 24 };

// The input section gathers the events of each row from their table and normalises them.
static void build_section(rig *r, co_graph **out) {
  co_value table, begin, lengths, mean, scale, x, y;
  const co_shape rows = co_shape_make(1, CO_DIM_N), features = co_shape_make(1, (int64_t)FEATURES);
  const co_shape stored = co_shape_make(2, (int64_t)EVENTS, (int64_t)FEATURES);
  const float zero[FEATURES] = {0}, two[FEATURES] = {2, 2, 2};
  OK(co_graph_create(out, r->ctx));
  OK(co_graph_add_input(*out, "table", CO_F32, &stored, &table));
  OK(co_graph_add_input(*out, "begin", CO_I64, &rows, &begin));
  OK(co_graph_add_input(*out, "lengths", CO_I32, &rows, &lengths));
  OK(co_graph_add_constant(*out, "mean", CO_F32, &features, zero, &mean));
  OK(co_graph_add_constant(*out, "scale", CO_F32, &features, two, &scale));
  const co_op_attr attr = {.shape = co_shape_make(1, CO_DIM_T(0))};
  OK(co_emit(*out, CO_OP_GATHER_EVENTS, &attr, 3, (co_value[3]){table, begin, lengths}, &x));
  OK(co_emit(*out, CO_OP_NORMALIZE, NULL, 3, (co_value[3]){x, mean, scale}, &y));
  OK(co_graph_add_output(*out, "x", y));
}

static int64_t begin_at(uint32_t step, int64_t n) {
  return (int64_t)(step * 11 + (uint32_t)n * 5) % (EVENTS - MAX_LENGTH);
}

static float event_at(int64_t event, int64_t i) {
  return (float)value_at(1, event, 0, i);
}

// The rows of a step as a packet, from the batch that has them gathered.
static void write_packet(rig *r, const co_staging_layout *layout, const batch *b, uint32_t step,
                         char *packet) {
  int64_t first = 0;
  for (int64_t part = 0; part < co_staging_parts(layout, b->rows); part++) {
    int64_t rows = co_staging_part_rows(layout, b->rows, part);
    for (int64_t f = 0; f < layout->field_count; f++) {
      const co_staging_field *field = &layout->fields[f];
      size_t bytes = co_staging_row_bytes(field, &b->shape);
      char *to = packet + co_staging_field_offset(layout, &b->shape, part, f);
      int input = field->section ? batch_input(r, "lengths") : (int)field->input;
      if (field->section && field->input == 1)
        for (int64_t n = 0; n < rows; n++)
          ((int64_t *)to)[n] = begin_at(step, first + n);
      else
        memcpy(to, (const char *)b->data[input] + (size_t)first * bytes, (size_t)rows * bytes);
    }
    first += rows;
  }
}

static void fill_events(rig *r, batch *b, const co_shape_class *shape, uint32_t step) {
  fill(r, b, shape, step, (int)shape->t[0], 0);
  for (int64_t n = 0; n < shape->rows; n++)
    for (int64_t t = 0; t < length_at(n, (int)shape->t[0]); t++)
      for (int i = 0; i < FEATURES; i++)
        batch_set(r, b, "x", (n * shape->t[0] + t) * FEATURES + i,
                  (double)(2 * event_at(begin_at(step, n) + t, i)));
}

static const co_shape_class event_classes[] = {
    {.rows = 5, .t = {4}}, {.rows = 3, .t = {4}}, {.rows = 5, .t = {MAX_LENGTH}}};

// Steps of one class after another, `together` of them in a submission.
static void submit_steps(rig *r, co_program *program, int64_t together, char *packets,
                         size_t packet_bytes) {
  const co_staging_layout *layout = co_program_staging(program, false);
  for (uint32_t step = 0; step < STEPS; step += (uint32_t)together) {
    const co_shape_class *shape = &event_classes[step / 4 % 3];
    co_program_batch batches[CO_SUBMISSION_STEPS];
    co_step steps[CO_SUBMISSION_STEPS];
    co_submission_result result;
    for (int64_t i = 0; i < together; i++) {
      batch b;
      uint32_t number = step + (uint32_t)i;
      fill_events(r, &b, shape, number);
      steps[i] = step_for(r, &b, number, 0.05);
      batches[i] = (co_program_batch){.staged = packets + (size_t)i * packet_bytes};
      write_packet(r, layout, &b, number, batches[i].staged);
      batch_free(r, &b);
    }
    OK(co_program_submit(program, 0, shape, together, batches, steps, false));
    OK(co_program_collect(program, &result));
    assert_int_equal(result.count, together);
    for (int64_t i = 0; i < together; i++)
      assert_true(result.steps[i].finite && result.steps[i].gradient_norm > 0);
  }
}

static void read_program(rig *r, co_program *program, double *out) {
  co_store *known = r->store;
  r->store = co_program_store(program);
  for (int64_t e = 0, count = 0; e < r->store->count; count += entry_count(r, e), e++)
    memcpy(out + count, entry_read(r, e, CO_BLOCK_PARAM), (size_t)entry_count(r, e) * 8);
  r->store = known;
}

// Events from a table on the device, one step or several a submission: what rows gathered by the
// host give.
static void events_lie_on_the_device(void **unused) {
  (void)unused;
  static double want[MOST_VALUES], got[MOST_VALUES];
  static const int32_t network_inputs[] = {0};
  rig r;
  co_graph *section;
  setup s = setup_of(0);
  s.rows = 2;
  s.classes = event_classes;
  s.class_count = 3;
  make(&r, &s, DEEP);
  build_section(&r, &section);
  for (uint32_t step = 0; step < STEPS; step++) {
    batch b;
    fill_events(&r, &b, &event_classes[step / 4 % 3], step);
    (void)train(&r, 0, &b, step, 0.05);
    batch_free(&r, &b);
  }
  read_program(&r, r.program, want);
  float table[EVENTS * FEATURES];
  for (int i = 0; i < EVENTS * FEATURES; i++)
    table[i] = event_at(i / FEATURES, i % FEATURES);
  const co_backend_api *api = r.backend->api;
  void *device, *packets;
  OK(api->buffer_create(r.backend, sizeof table, &device));
  OK(api->upload(r.backend, device, table, sizeof table));
  const int64_t together[] = {1, 2, 4};
  r.setup.section = &(co_input_section){section, network_inputs};
  for (int i = 0; i < 3; i++) {
    co_program *program;
    OK(rig_try_program(&r, &program));
    OK(co_store_initialize(co_program_store(program), 1));
    co_program_fix_input(program, 0, device);
    assert_true(co_program_submission_limit(program, false) > 4);
    size_t bytes = co_staging_bytes(co_program_staging(program, false), &event_classes[2]);
    OK(api->host_buffer_create(r.backend, 4 * bytes, &packets));
    submit_steps(&r, program, together[i], packets, bytes);
    read_program(&r, program, got);
    assert_memory_equal(got, want, sizeof got);
    co_program_free(program);
    api->host_buffer_free(r.backend, packets);
  }
  api->buffer_free(r.backend, device);
  co_graph_free(section);
  rig_free(&r);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(padding_changes_nothing),
      cmocka_unit_test(lengths_change_rounding_only),
      cmocka_unit_test(micro_batches_add_up),
      cmocka_unit_test(bf16_is_near),
      cmocka_unit_test(many_classes_share_a_program),
      cmocka_unit_test(threads_change_nothing),
      cmocka_unit_test(gradients_are_derivatives),
      cmocka_unit_test(parameters_start_as_in_keras),
      cmocka_unit_test(only_planned_classes_run),
      cmocka_unit_test(what_nobody_reads_is_not_there),
  };
  const struct CMUnitTest device_tests[] = {
      cmocka_unit_test(padding_changes_nothing),
      cmocka_unit_test(lengths_change_rounding_only),
      cmocka_unit_test(micro_batches_add_up),
      cmocka_unit_test(bf16_is_near),
      cmocka_unit_test(many_classes_share_a_program),
      cmocka_unit_test(events_lie_on_the_device),
      cmocka_unit_test(length_decides_who_computes),
  };
  if (argc > 1) only_device = argv[1];
  return only_device ? cmocka_run_group_tests(device_tests, NULL, NULL)
                     : cmocka_run_group_tests(tests, NULL, NULL);
}
