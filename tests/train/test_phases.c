// SPDX-License-Identifier: Apache-2.0
// Programs of two phases: a toy generative adversarial network with least-squares losses (Mao et
// al. 2017) that learns to imitate a normal distribution.
#include "helpers.h"

#include <math.h>
#include <string.h>

#include "host/core/rng.h"
#include "host/graph/loss/loss.h"

enum { ROWS = 64, GENERATED = 2000 };
enum { DISCRIMINATOR, GENERATOR }; // phases; groups are "d" and "g", 1 and 0

static co_value discriminate(rig *r, co_value x) {
  co_value y = layer(r, "Dense", "d/hidden", "{units: 16, activation: relu}", &x, 1);
  y = layer(r, "Dense", "d/middle", "{units: 16, activation: relu}", &y, 1);
  return layer(r, "Dense", "d/out", "{units: 1}", &y, 1);
}

static void add_loss(rig *r, const char *name, co_value prediction, co_value target,
                     co_value weight) {
  r->graph->layer = name;
  OK(co_loss_emit(r->graph, co_loss_find("mean_squared_error"), NULL, name, 1, prediction, target,
                  weight));
  r->graph->layer = NULL;
}

static void build(rig *r) {
  OK(co_graph_create(&r->graph, r->ctx));
  co_value noise = input(r, "noise", 2), real = input(r, "real", 1);
  co_value yes = input(r, "yes", 1), no = input(r, "no", 1), weight = input(r, "row.weight", 0);
  co_value fake = layer(r, "Dense", "g/hidden", "{units: 16, activation: relu}", &noise, 1);
  fake = layer(r, "Dense", "g/out", "{units: 1}", &fake, 1);
  co_value of_real = discriminate(r, real), of_fake = discriminate(r, fake);
  add_loss(r, "real", of_real, yes, weight);
  add_loss(r, "fake", of_fake, no, weight);
  add_loss(r, "fooled", of_fake, yes, weight);
  OK(co_graph_add_output(r->graph, "sample", fake));
}

// Normal by the sum of twelve uniforms.
static double normal(uint32_t step, uint64_t index, uint32_t purpose) {
  double sum = -6;
  for (uint64_t i = 0; i < 12; i++)
    sum += co_uniform_from_bits(co_philox(1, 12 * index + i, step, purpose).word[0]);
  return sum;
}

static void draw(rig *r, batch *b, uint32_t step) {
  for (int64_t i = 0; i < b->rows; i++) {
    batch_set(r, b, "noise", 2 * i, normal(step, (uint64_t)i, 1));
    batch_set(r, b, "noise", 2 * i + 1, normal(step, (uint64_t)i, 2));
    batch_set(r, b, "real", i, 3 + 0.5 * normal(step, (uint64_t)i, 3));
    batch_set(r, b, "yes", i, 1);
    batch_set(r, b, "no", i, 0);
  }
}

// Runs a phase; the parameters and moments of the other group must keep their bytes.
static double run_phase(rig *r, int phase, batch *b, uint32_t step, bool check) {
  static const co_block blocks[] = {CO_BLOCK_PARAM, CO_BLOCK_SLOT0, CO_BLOCK_SLOT1};
  double *before[16][3];
  for (int64_t e = 0; check && e < r->store->count; e++)
    for (int k = 0; k < 3; k++)
      before[e][k] = entry_read(r, e, blocks[k]);
  const void *real = b->inputs[batch_input(r, "real")];
  if (phase == GENERATOR) b->inputs[batch_input(r, "real")] = NULL; // must not be looked at
  double loss = train(r, phase, b, step, 0.002);
  b->inputs[batch_input(r, "real")] = real;
  for (int64_t e = 0; check && e < r->store->count; e++)
    for (int k = 0; k < 3; k++) {
      const double *after = entry_read(r, e, blocks[k]);
      bool same = memcmp(before[e][k], after, (size_t)entry_count(r, e) * sizeof *after) == 0;
      bool generator = r->store->entries[e].info.name[0] == 'g';
      assert_int_equal(same, generator != (phase == GENERATOR));
    }
  return loss;
}

static void judge(rig *r, double *mean, double *deviation) {
  batch b;
  batch_make(r, &b, GENERATED, 1);
  draw(r, &b, 1000000);
  const void *inputs[MAX_INPUTS] = {b.inputs[batch_input(r, "noise")]}; // scoring needs no target
  assert_int_equal(batch_input(r, "noise"), 0);
  OK(co_program_evaluate(r->program, inputs));
  float *sample = b.data[batch_input(r, "real")];
  OK(co_executor_read_output(co_program_evaluator(r->program), 0, sample));
  double sum = 0, squares = 0;
  for (int i = 0; i < GENERATED; i++)
    sum += (double)sample[i];
  *mean = sum / GENERATED;
  for (int i = 0; i < GENERATED; i++)
    squares += pow((double)sample[i] - *mean, 2);
  *deviation = sqrt(squares / GENERATED);
  batch_free(r, &b);
}

static void two_networks_learn_in_turn(void **unused) {
  (void)unused;
  rig r;
  setup s = {
      .backend = "cpu",
      .real = CO_F32,
      .rows = ROWS,
      .evaluation_rows = GENERATED,
      .infer = true,
      .phases = 2,
      .phase = {[DISCRIMINATOR] = {.losses = 3, .groups = 2, .optimizer = "{adam: {beta1: 0.5}}"},
                [GENERATOR] = {.losses = 4, .groups = 1, .optimizer = "{adam: {beta1: 0.5}}"}}};
  rig_open(&r, &s);
  build(&r);
  rig_program(&r);
  batch b;
  batch_make(&r, &b, ROWS, 1);
  double mean, deviation;
  judge(&r, &mean, &deviation);
  assert_true(fabs(mean - 3) > 1.5);
  for (uint32_t step = 0; step < 3000; step++) {
    draw(&r, &b, step);
    run_phase(&r, DISCRIMINATOR, &b, step, step % 500 < 2);
    run_phase(&r, GENERATOR, &b, step, step % 500 < 2);
  }
  judge(&r, &mean, &deviation);
  print_message("generated %.3f +- %.3f of 3 +- 0.5\n", mean, deviation);
  assert_true(fabs(mean - 3) < 0.3);
  assert_true(deviation > 0.25 && deviation < 0.75);
  assert_int_equal(co_program_updates(r.program, GENERATOR), 3000);
  batch_free(&r, &b);
  rig_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(two_networks_learn_in_turn)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
