// SPDX-License-Identifier: Apache-2.0
// test_branches [DEVICE]: weight gradients beside the rest give the bytes that they give behind it, launched
// one by one and recorded, and share no memory with what may run at the same time. On the CPU nothing
// runs beside anything.
#include "helpers.h"

#include <string.h>

#include "branches.h"
#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"

enum { ROWS = 4, EVENTS = 9 };

static const char *only_device;

typedef void build_function(rig *r);

static void add_loss(rig *r, const char *path, const char *name, co_value y, co_value target) {
  char weight[32];
  (void)snprintf(weight, sizeof weight, "%s.weight", path);
  co_value weights = input(r, weight, 0);
  r->graph->layer = path;
  OK(co_loss_emit(r->graph, co_loss_find(name), NULL, path, 1, y, target, weights));
  r->graph->layer = NULL;
}

static co_value input_of(rig *r, const char *name, co_dtype dtype, co_shape shape) {
  co_value out;
  OK(co_graph_add_input(r->graph, name, dtype, &shape, &out));
  return out;
}

// Two losses behind a pooled normalisation and a masked convolution.
static void build_images(rig *r) {
  co_value x = input_of(r, "x", CO_F32,
                        co_shape_make(4, CO_DIM_N, (int64_t)6, (int64_t)6, (int64_t)2)),
           label = input_of(r, "label", CO_I32, co_shape_make(1, CO_DIM_N)),
           score = input(r, "score", 1);
  x = layer(r, "Conv2D", "one", "{filters: 4, kernel_size: 3, padding: same, use_bias: false}", &x,
            1);
  x = layer(r, "BatchNormalization", "norm", "{}", &x, 1);
  x = layer(r, "ReLU", "relu", "{}", &x, 1);
  x = layer(r, "MaxPooling2D", "pool", "{pool_size: 2}", &x, 1);
  x = layer(r, "Conv2D", "two", "{filters: 4, kernel_size: 2, activation: relu}", &x, 1);
  x = layer(r, "Flatten", "flatten", "{}", &x, 1);
  x = layer(r, "Dense", "dense", "{units: 8, activation: relu}", &x, 1);
  add_loss(r, "label", "softmax_cross_entropy", layer(r, "Dense", "logits", "{units: 4}", &x, 1),
           label);
  add_loss(r, "score", "mean_squared_error", layer(r, "Dense", "number", "{units: 1}", &x, 1),
           score);
}

// A table of which rows learn, read twice, and one that learns as a whole.
static void build_rows(rig *r) {
  co_value words = input_of(r, "words", CO_I32, co_shape_make(2, CO_DIM_N, (int64_t)3)),
           word = input_of(r, "word", CO_I32, co_shape_make(1, CO_DIM_N)),
           label = input_of(r, "label", CO_I32, co_shape_make(1, CO_DIM_N));
  static const char rows[] = "{input_dim: 4, output_dim: 5, update: rows}";
  co_value parts[3] = {layer(r, "Embedding", "table", rows, &words, 1),
                       layer(r, "Embedding", "table", rows, &word, 1),
                       layer(r, "Embedding", "other", "{input_dim: 4, output_dim: 2}", &word, 1)};
  parts[0] = layer(r, "Flatten", "flatten", "{}", parts, 1);
  co_value y = layer(r, "Concatenate", "concatenate", "{}", parts, 3);
  y = layer(r, "Dense", "below", "{units: 8, activation: relu}", &y, 1);
  y = layer(r, "Dense", "above", "{units: 6, activation: relu}", &y, 1);
  add_loss(r, "label", "softmax_cross_entropy", layer(r, "Dense", "logits", "{units: 4}", &y, 1),
           label);
}

// So many events that cuDNN computes the cells.
static void build_events(rig *r) {
  co_graph_set_max_length(r->graph, 0, EVENTS);
  co_value x[2] = {input_of(r, "x", CO_F32, co_shape_make(3, CO_DIM_N, CO_DIM_T(0), (int64_t)3)),
                   input_of(r, "lengths", CO_I32, co_shape_make(1, CO_DIM_N))};
  co_value score = input(r, "score", 1);
  x[0] = layer(r, "Dense", "dense", "{units: 4, activation: relu}", x, 1);
  x[0] = layer(r, "GRU", "gru", "{units: 3, return_sequences: true}", x, 2);
  x[0] = layer(r, "LSTM", "lstm", "{units: 4}", x, 2);
  x[0] = layer(r, "Dense", "hidden", "{units: 5, activation: relu}", x, 1);
  add_loss(r, "score", "mean_squared_error", layer(r, "Dense", "out", "{units: 1}", x, 1), score);
}

// The lower use of a layer adds to the gradient of its upper one.
static void build_shared(rig *r) {
  co_value x = input(r, "x", 5), score = input(r, "score", 1);
  for (int i = 0; i < 2; i++)
    x = layer(r, "Dense", "shared", "{units: 5, activation: relu}", &x, 1);
  add_loss(r, "score", "mean_squared_error", layer(r, "Dense", "out", "{units: 1}", &x, 1), score);
}

static const struct {
  const char *name;
  build_function *build;
  int phases, classes;
  bool bf16, events;
} networks[] = {
    {"images", build_images, 2, 2, false, false},
    {"images in bf16", build_images, 1, 1, true, false}, // gradients of kernels are, too
    {"shared", build_shared, 1, 2, false, false},
    {"rows", build_rows, 1, 2, false, false},
    {"events", build_events, 1, 2, false, true}};
enum { NETWORKS = sizeof networks / sizeof *networks };

// `alone` is the backend's interface without its second queue.
static void make(rig *r, int network, co_backend_api *alone) {
  static const co_shape_class rows[] = {{.rows = ROWS}, {.rows = 2 * ROWS}},
                              events[] = {{.rows = ROWS, .t = {EVENTS}},
                                          {.rows = 2 * ROWS, .t = {EVENTS}}};
  static const char adam[] = "{adam: {}}";
  rig_open(r, &(setup){.backend = only_device ? only_device : "cpu",
                       .real = CO_F32,
                       .bf16 = networks[network].bf16,
                       .rows = ROWS,
                       .classes = networks[network].events ? events : rows,
                       .class_count = networks[network].classes,
                       .phases = networks[network].phases,
                       .phase = {{.losses = 1, .optimizer = adam, .clip_norm = 0.5},
                                 {.losses = 2, .optimizer = adam}}});
  if (alone) {
    *alone = *r->backend->api;
    alone->branch = NULL;
    alone->join = NULL;
    r->backend->api = alone;
  }
  OK(co_graph_create(&r->graph, r->ctx));
  networks[network].build(r);
  rig_program(r);
}

static int count_all_beside(const rig *r) {
  const co_plan *plan;
  int count = 0;
  for (int64_t i = 0; (plan = co_program_plan(r->program, i)) != NULL; i++) {
    int found = count_beside(plan);
    assert_true(found >= 0);
    count += found;
  }
  return count;
}

static int count_narrow(const rig *r) {
  int count = 0;
  for (int64_t i = 0; i < r->store->count; i++)
    count += r->store->entries[i].narrow;
  return count;
}

// Single batches and, where there are two classes, those of two micro-batches, in all phases: the second
// of a kind is a recorded one.
static void train_all(rig *r, int network) {
  for (uint32_t step = 0; step < 4; step++)
    for (int phase = 0; phase < networks[network].phases; phase++) {
      batch b;
      batch_make_class(r, &b, &r->setup.classes[step % (uint32_t)networks[network].classes], step);
      for (int64_t i = 0; networks[network].events && i < b.rows; i++)
        batch_set(r, &b, "lengths", i, (double)(i * 3 % (EVENTS + 1)));
      train(r, phase, &b, step, 0.05);
      batch_free(r, &b);
    }
}

static void same_bytes(rig *a, rig *b, const char *network) {
  static const co_block blocks[] = {CO_BLOCK_PARAM, CO_BLOCK_GRADIENT, CO_BLOCK_SLOT0,
                                    CO_BLOCK_SLOT1};
  for (int64_t e = 0; e < a->store->count; e++)
    for (int k = 0; k < (a->store->entries[e].info.state ? 1 : 4); k++) {
      const double *x = entry_read(a, e, blocks[k]), *y = entry_read(b, e, blocks[k]);
      if (memcmp(x, y, (size_t)entry_count(a, e) * sizeof *x) != 0)
        fail_msg("%s: block %d of %s differs", network, k, a->store->entries[e].info.name);
    }
}

static void branches_change_no_byte(void **unused) {
  (void)unused;
  for (int n = 0; n < NETWORKS; n++) {
    rig branched, straight;
    co_backend_api alone;
    if (networks[n].bf16 && !only_device) continue;
    make(&branched, n, NULL);
    make(&straight, n, &alone);
    int beside = count_all_beside(&branched);
    print_message("%s: %d operations beside others\n", networks[n].name, beside);
    assert_true(only_device ? beside > 1 : beside == 0);
    assert_int_equal(count_all_beside(&straight), 0);
    assert_int_equal(count_narrow(&branched), networks[n].bf16 ? 2 : 0); // both convolutions
    assert_int_equal(count_narrow(&straight), count_narrow(&branched));
    train_all(&branched, n);
    train_all(&straight, n);
    same_bytes(&branched, &straight, networks[n].name);
    rig_free(&branched);
    rig_free(&straight);
  }
}

int main(int argc, char **argv) {
  only_device = argc > 1 ? argv[1] : NULL;
  const struct CMUnitTest tests[] = {cmocka_unit_test(branches_change_no_byte)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
