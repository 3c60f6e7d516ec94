// SPDX-License-Identifier: Apache-2.0
// Tables with update: rows: they learn what dense ones do where every row is read, and otherwise only
// rows that are read; no step goes through the table.
#include "helpers.h"

#include <math.h>
#include <string.h>

#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"

static const struct policy {
  const char *backend;
  co_dtype real;
  double tolerance;
} policies[] = {{"ref", CO_F64, 1e-12}, {"ref", CO_F32, 2e-5}, {"cpu", CO_F32, 2e-5}};
enum { POLICIES = sizeof policies / sizeof *policies, ROWS = 6, LIST = 3 };

// A table that is read by lists of indices and by single ones, and another one.
static void build(rig *r, const char *table, const char *other) {
  const co_shape list = co_shape_make(2, CO_DIM_N, (int64_t)LIST), one = co_shape_make(1, CO_DIM_N);
  co_value words, word, label, weight = input(r, "label.weight", 0);
  OK(co_graph_add_input(r->graph, "words", CO_I32, &list, &words));
  OK(co_graph_add_input(r->graph, "word", CO_I32, &one, &word));
  OK(co_graph_add_input(r->graph, "label", CO_I32, &one, &label));
  co_value parts[3] = {layer(r, "Embedding", "table", table, &words, 1),
                       layer(r, "Embedding", "table", table, &word, 1),
                       layer(r, "Embedding", "other", other, &word, 1)};
  parts[0] = layer(r, "Flatten", "flatten", "{}", parts, 1);
  co_value y = layer(r, "Concatenate", "concatenate", "{}", parts, 3);
  y = layer(r, "Dense", "logits", "{units: 4}", &y, 1);
  r->graph->layer = "label";
  OK(co_loss_emit(r->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, y, label,
                  weight));
  r->graph->layer = NULL;
}

static void make(rig *r, const setup *s, const char *table, const char *other) {
  rig_open(r, s);
  OK(co_graph_create(&r->graph, r->ctx));
  build(r, table, other);
  rig_program(r);
}

static setup make_setup(int p, const char *optimizer) {
  return (setup){.backend = policies[p].backend,
                 .real = policies[p].real,
                 .rows = ROWS,
                 .batch = {ROWS},
                 .phase = {{.optimizer = optimizer, .clip_norm = 0.2, .clip_value = 0.05}}};
}

// Of the words of a batch the i-th is first + i % count.
static void set_words(rig *r, batch *b, int first, int count) {
  for (int64_t i = 0; i < b->rows * LIST; i++)
    batch_set(r, b, "words", i, first + (double)(i % count));
  for (int64_t i = 0; i < b->rows; i++)
    batch_set(r, b, "word", i, first + (double)(i % count));
}

static void equals_dense(int p, const char *optimizer, int64_t micro) {
  setup s = make_setup(p, optimizer);
  rig dense, rows;
  make(&dense, &s, "{input_dim: 4, output_dim: 5}", "{input_dim: 4, output_dim: 2}");
  s.rows = micro;
  make(&rows, &s, "{input_dim: 4, output_dim: 5, update: rows}",
       "{input_dim: 4, output_dim: 2, update: rows}");
  for (uint32_t step = 0; step < 4; step++) {
    batch b, c;
    batch_make(&dense, &b, ROWS, step);
    batch_make(&rows, &c, ROWS, step);
    set_words(&dense, &b, 0, 4);
    set_words(&rows, &c, 0, 4);
    co_step scalars = step_for(&dense, &b, step, 0.1);
    co_step_result x, y;
    train_with(&dense, 0, &b, &scalars, &x);
    train_with(&rows, 0, &c, &scalars, &y);
    assert_true(fabs(x.gradient_norm - y.gradient_norm) <= policies[p].tolerance);
    assert_true(x.gradient_norm > 0.2); // clipped
    for (int64_t e = 0; e < dense.store->count; e++)
      for (int block = CO_BLOCK_PARAM; block <= CO_BLOCK_GRADIENT; block++)
        assert_true(entry_difference(&rows, &dense, e, (co_block)block) <= policies[p].tolerance);
    batch_free(&dense, &b);
    batch_free(&rows, &c);
  }
  rig_free(&dense);
  rig_free(&rows);
}

static void where_every_row_is_read_it_is_dense(void **unused) {
  (void)unused;
  static const char *const optimizers[] = {"{adam: {}}", "{adamw: {weight_decay: 0.1}}",
                                           "{sgd: {weight_decay: 0.1}}"};
  for (int p = 0; p < POLICIES; p++)
    for (int o = 0; o < 3; o++) {
      equals_dense(p, optimizers[o], ROWS);
      equals_dense(p, optimizers[o], 4); // in two parts
    }
}

static void step_with(rig *r, uint32_t step, int first, int count) {
  batch b;
  batch_make(r, &b, ROWS, step);
  set_words(r, &b, first, count);
  train(r, 0, &b, step, 0.1);
  batch_free(r, &b);
}

static void rows_that_are_not_read_stay(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{adam: {epsilon: 1.0e-12}}");
    s.phase[0].clip_norm = s.phase[0].clip_value = 0;
    rig r;
    make(&r, &s, "{input_dim: 9, output_dim: 5, update: rows}", "{input_dim: 9, output_dim: 2}");
    const int64_t table = entry_find(&r, "table/embeddings");
    const double *start = entry_read(&r, table, CO_BLOCK_PARAM);
    step_with(&r, 0, 1, 2); // rows 1 and 2
    const double *before = entry_read(&r, table, CO_BLOCK_PARAM);
    const double *moments = entry_read(&r, table, CO_BLOCK_SLOT0);
    step_with(&r, 1, 2, 2); // rows 2 and 3
    const double *after = entry_read(&r, table, CO_BLOCK_PARAM);
    const double *later = entry_read(&r, table, CO_BLOCK_SLOT0);
    const double *gradient = entry_read(&r, table, CO_BLOCK_GRADIENT);
    static const int32_t wanted[9] = {0, 1, 2, 1};
    int32_t steps[9];
    OK(co_store_read(r.store, table, CO_BLOCK_STEPS, steps));
    assert_memory_equal(steps, wanted, sizeof steps);
    for (int i = 0; i < 9 * 5; i++) {
      const int row = i / 5;
      assert_int_equal(before[i] == start[i], row < 1 || row > 2);
      assert_int_equal(after[i] == before[i], row < 2 || row > 3);
      if (row == 1) assert_true(later[i] == moments[i] && moments[i] != 0);
      // The first step of a row goes as far as that of Adam, however late it is.
      if (row == 3)
        assert_true(fabs(after[i] - (before[i] - 0.1 * gradient[i] / (fabs(gradient[i]) + 1e-12))) <
                    policies[p].tolerance);
    }
    rig_free(&r);
  }
}

// Neither plan nor memory has anything as large as a table but the table and its moments.
static void nothing_else_is_as_large_as_the_table(void **unused) {
  (void)unused;
  const int64_t large = 1000000;
  setup s = make_setup(2, "{adam: {}}");
  rig r;
  make(&r, &s, "{input_dim: 1000000, output_dim: 4, update: rows}",
       "{input_dim: 1000000, output_dim: 2, update: rows}");
  co_program_bytes bytes;
  co_program_get_bytes(r.program, &bytes);
  assert_true(bytes.parameters >= 6 * 4 * (size_t)large);
  assert_true(bytes.slots >= (2 * 6 + 2) * 4 * (size_t)large);
  assert_true(bytes.gradients < 1 << 14 && bytes.arena < 1 << 16);
  int appended = 0;
  const co_plan *plan;
  for (int64_t i = 0; (plan = co_program_plan(r.program, i)); i++)
    for (int64_t k = 0; k < plan->op_count; k++) {
      const co_op op = plan->ops[k].desc.op;
      assert_int_not_equal(op, CO_OP_EMBEDDING_BACKWARD);
      appended += op == CO_OP_APPEND_ROWS;
      for (int o = 0; o < CO_OP_MAX_OPERANDS; o++)
        if (plan->ops[k].out[o] != CO_NO_VALUE && op != CO_OP_ADAM_ROWS)
          assert_true(co_shape_count(&plan->ops[k].desc.out[o].shape) < large);
    }
  assert_int_equal(appended, 3);
  rig_free(&r);
}

// The rows of a catalogue that is only scored have no gradient: there is no room for one.
static void what_no_loss_needs_has_no_room(void **unused) {
  (void)unused;
  static int32_t all[5000];
  const co_shape shape = co_shape_make(1, (int64_t)5000);
  setup s = make_setup(2, "{adam: {}}");
  rig r;
  rig_open(&r, &s);
  OK(co_graph_create(&r.graph, r.ctx));
  build(&r, "{input_dim: 5000, output_dim: 4, update: rows}", "{input_dim: 5000, output_dim: 2}");
  co_value items;
  OK(co_graph_add_constant(r.graph, "items", CO_I32, &shape, all, &items));
  items =
      layer(&r, "Embedding", "table", "{input_dim: 5000, output_dim: 4, update: rows}", &items, 1);
  OK(co_graph_add_output(r.graph, "scores", items));
  rig_program(&r);
  assert_int_equal(r.store->entries[entry_find(&r, "table/embeddings")].row_capacity,
                   ROWS * (LIST + 1));
  step_with(&r, 0, 1, 2);
  rig_free(&r);
}

static void freeze(rig *r, const char *but) {
  for (int64_t i = 0; i < r->graph->param_count; i++)
    if (!strstr(r->graph->params[i].name, but)) r->graph->params[i].trainable = false;
}

// Nothing else is trained: the tables' gradients alone are the norm.
static void tables_alone_are_trained(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++)
    for (int both = 0; both < 2; both++) {
      setup s = make_setup(p, "{adam: {}}");
      rig r[2];
      for (int rows = 0; rows < 2; rows++) {
        rig_open(&r[rows], &s);
        OK(co_graph_create(&r[rows].graph, r[rows].ctx));
        build(
            &r[rows],
            rows ? "{input_dim: 4, output_dim: 5, update: rows}" : "{input_dim: 4, output_dim: 5}",
            rows ? "{input_dim: 4, output_dim: 2, update: rows}" : "{input_dim: 4, output_dim: 2}");
        freeze(&r[rows], both ? "embeddings" : "table");
        rig_program(&r[rows]);
      }
      for (uint32_t step = 0; step < 2; step++) {
        co_step_result result[2];
        for (int rows = 0; rows < 2; rows++) {
          batch b;
          batch_make(&r[rows], &b, ROWS, step);
          set_words(&r[rows], &b, 0, 4);
          co_step scalars = step_for(&r[rows], &b, step, 0.1);
          train_with(&r[rows], 0, &b, &scalars, &result[rows]);
          batch_free(&r[rows], &b);
        }
        assert_true(fabs(result[0].gradient_norm - result[1].gradient_norm) <=
                    policies[p].tolerance);
        assert_true(result[0].gradient_norm > 0);
        for (int64_t e = 0; e < r[0].store->count; e++)
          assert_true(entry_difference(&r[1], &r[0], e, CO_BLOCK_PARAM) <= policies[p].tolerance);
      }
      rig_free(&r[0]);
      rig_free(&r[1]);
    }
}

// It stays as it is: so does its average.
static void a_frozen_table_is_its_own_average(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{adam: {}}");
    s.phase[0].ema_decay = 0.9;
    s.evaluation_rows = ROWS;
    rig r;
    rig_open(&r, &s);
    OK(co_graph_create(&r.graph, r.ctx));
    build(&r, "{input_dim: 9, output_dim: 5, update: rows}", "{input_dim: 9, output_dim: 2}");
    for (int64_t i = 0; i < r.graph->param_count; i++)
      if (r.graph->params[i].rows) r.graph->params[i].trainable = false;
    rig_program(&r);
    const int64_t table = entry_find(&r, "table/embeddings"),
                  other = entry_find(&r, "other/embeddings");
    const size_t bytes = 9 * 5 * sizeof(double);
    const double *start = entry_read(&r, table, CO_BLOCK_PARAM);
    step_with(&r, 0, 1, 2);
    assert_memory_equal(entry_read(&r, table, CO_BLOCK_EMA), start, bytes);
    assert_memory_equal(entry_read(&r, table, CO_BLOCK_PARAM), start, bytes);
    assert_memory_not_equal(entry_read(&r, other, CO_BLOCK_EMA),
                            entry_read(&r, other, CO_BLOCK_PARAM), 9 * 2 * sizeof(double));
    char hex[65];
    OK(co_store_fingerprint(r.store, hex));
    rig_free(&r);
  }
}

static void refuses(const setup *s, const char *table, const char *message) {
  rig r;
  rig_open(&r, s);
  OK(co_graph_create(&r.graph, r.ctx));
  build(&r, table, "{input_dim: 4, output_dim: 2}");
  assert_int_equal(rig_try_program(&r, &r.program), CO_ERR_CONFIG);
  if (!strstr(co_error_last()->message, message)) fail_msg("%s", co_error_last()->message);
  rig_free(&r);
}

static void what_does_not_go_with_it_is_refused(void **unused) {
  (void)unused;
  static const char table[] = "{input_dim: 4, output_dim: 5, update: rows}";
  setup s = make_setup(0, "{rmsprop: {}}");
  refuses(&s, table, "layer 'table' has update: rows, which rmsprop does not do");
  s = make_setup(0, "{sgd: {momentum: 0.9}}");
  refuses(&s, table, "momentum moves every row");
  s = make_setup(0, "{adam: {}}");
  s.phase[0].ema_decay = 0.9;
  refuses(&s, table, "moving average");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(where_every_row_is_read_it_is_dense),
      cmocka_unit_test(rows_that_are_not_read_stay),
      cmocka_unit_test(nothing_else_is_as_large_as_the_table),
      cmocka_unit_test(what_no_loss_needs_has_no_room),
      cmocka_unit_test(tables_alone_are_trained),
      cmocka_unit_test(a_frozen_table_is_its_own_average),
      cmocka_unit_test(what_does_not_go_with_it_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
