// SPDX-License-Identifier: Apache-2.0
// Ten steps of a small network under each loss and each optimizer must give PyTorch's losses and weights
// (scripts/gen_steps has the network): to 1e-9 in double, and to what single precision allows.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/h5.h"
#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"
#include "host/graph/schedule/schedule.h"
#include "host/train/settings.h"
#include "tests/train/helpers.h"

enum { STEPS = 10, ROWS = 8, IN = 5, HIDDEN = 4, OUT = 3, FACTORS = 20 };

typedef enum targets { NUMBERS, FIRST_NUMBER, FLAGS, CLASSES, AMOUNT, COUNT } targets;

typedef struct objective {
  const char *name, *loss; // in the fixture; ours
  targets target;
  double gamma, positive_weight, label_smoothing, delta;
  bool class_weights;
} objective;

static const objective objectives[] = {
    {.name = "mean_squared_error", .loss = "mean_squared_error", .target = NUMBERS},
    {.name = "mean_absolute_error", .loss = "mean_absolute_error", .target = NUMBERS},
    {.name = "huber", .loss = "huber", .target = NUMBERS, .delta = 0.5},
    {.name = "quantile", .loss = "quantile", .target = FIRST_NUMBER},
    {.name = "hinge", .loss = "hinge", .target = FLAGS},
    {.name = "binary_cross_entropy", .loss = "binary_cross_entropy", .target = FLAGS},
    {.name = "positive_weight",
     .loss = "binary_cross_entropy",
     .target = FLAGS,
     .positive_weight = 3},
    {.name = "binary_smoothing",
     .loss = "binary_cross_entropy",
     .target = FLAGS,
     .label_smoothing = 0.1},
    {.name = "focal", .loss = "focal", .target = FLAGS, .gamma = 2},
    {.name = "softmax_cross_entropy", .loss = "softmax_cross_entropy", .target = CLASSES},
    {.name = "label_smoothing",
     .loss = "softmax_cross_entropy",
     .target = CLASSES,
     .label_smoothing = 0.1},
    {.name = "class_weights",
     .loss = "softmax_cross_entropy",
     .target = CLASSES,
     .class_weights = true},
    {.name = "zero_inflated_lognormal", .loss = "zero_inflated_lognormal", .target = AMOUNT},
    {.name = "negative_binomial", .loss = "negative_binomial", .target = COUNT},
};

typedef struct update {
  const char *name, *optimizer;
  double clip_norm, clip_value, ema_decay;
  const char *groups; // trainer.param_groups, at rate 0.01
} update;

static const update updates[] = {
    {.name = "sgd", .optimizer = "{sgd: {}}"},
    {.name = "nesterov", .optimizer = "{sgd: {momentum: 0.9, nesterov: true, weight_decay: 0.1}}"},
    {.name = "adam", .optimizer = "{adam: {epsilon: 1.0e-7, weight_decay: 0.1}}"},
    {.name = "adamw", .optimizer = "{adamw: {epsilon: 1.0e-7, weight_decay: 0.1}}"},
    {.name = "rmsprop", .optimizer = "{rmsprop: {rho: 0.9, momentum: 0.5, epsilon: 1.0e-7}}"},
    {.name = "adagrad", .optimizer = "{adagrad: {epsilon: 1.0e-7}}"},
    {.name = "clip_norm", .optimizer = "{sgd: {}}", .clip_norm = 0.5},
    {.name = "clip_value", .optimizer = "{adam: {epsilon: 1.0e-7}}", .clip_value = 0.05},
    {.name = "ema", .optimizer = "{adam: {epsilon: 1.0e-7}}", .ema_decay = 0.5},
    {.name = "groups",
     .optimizer = "{adamw: {epsilon: 1.0e-7, weight_decay: 0.1}}",
     .groups =
         "{learning_rate: 0.01, optimizer: {type: adamw, weight_decay: 0.1}, param_groups: [\n"
         "  {params: [two/bias], trainable: false},\n"
         "  {params: ['o*/kernel', one], lr: 0.002, weight_decay: 0.05}]}"},
};

// ---- network and batches -----------------------------------------------------------------------

// Of a row of the target.
static int width_of(const objective *o) {
  return o->target == NUMBERS || o->target == FLAGS ? OUT : 1;
}

static void build(rig *r, const objective *o) {
  static const double levels[OUT] = {0.1, 0.5, 0.9};
  const bool classes = o->target == CLASSES;
  const co_shape rows = co_shape_make(1, CO_DIM_N);
  const co_loss_class *loss = co_loss_find(o->loss);
  co_value target, weight;
  co_op_attr attr;
  OK(co_graph_create(&r->graph, r->ctx));
  co_value y = input(r, "x", IN);
  y = layer(r, "Dense", "one", "{units: 4, activation: tanh}", &y, 1);
  y = layer(r, "Dense", "two", o->target == COUNT ? "{units: 2}" : "{units: 3}", &y, 1);
  if (classes)
    OK(co_graph_add_input(r->graph, "target", CO_I32, &rows, &target));
  else
    target = input(r, "target", width_of(o));
  OK(co_graph_add_input(r->graph, "target.weight", CO_F32, &rows, &weight));
  OK(co_loss_attributes(loss, NULL, &attr));
  if (o->gamma > 0) attr.gamma = o->gamma;
  if (o->positive_weight > 0) attr.positive_weight = o->positive_weight;
  if (o->delta > 0) attr.delta = o->delta;
  attr.label_smoothing = o->label_smoothing;
  attr.level_count = o->target == FIRST_NUMBER ? OUT : 0;
  for (int i = 0; i < attr.level_count; i++)
    attr.levels[i] = levels[i];
  r->graph->layer = "target";
  OK(co_loss_emit(r->graph, loss, &attr, "target", 1, y, target, weight));
  r->graph->layer = NULL;
}

static double target_of(const objective *o, int b, int n, int k) {
  if (o->target == CLASSES) return (b + 2 * n) % 3;
  if (o->target == AMOUNT || o->target == COUNT) {
    const int count = (5 * b + 3 * n) % 13 - 6;
    return count <= 0 ? 0 : o->target == COUNT ? count : count / 4.0;
  }
  if (o->target == FLAGS) return (b + 3 * n + k) % 3 == 0;
  return ((5 * b + 3 * n + 7 * k) % 13 - 6) / 4.0;
}

static void fill(rig *r, batch *out, const objective *o, int b) {
  static const double class_weights[OUT] = {1, 2, 0.5};
  const int width = width_of(o);
  for (int n = 0; n < ROWS; n++) {
    double weight = n == b % ROWS ? 0 : (n + 1) / 4.0;
    for (int i = 0; i < IN; i++)
      batch_set(r, out, "x", n * IN + i, ((7 * b + 3 * n + 5 * i) % 17 - 8) / 8.0);
    for (int k = 0; k < width; k++)
      batch_set(r, out, "target", n * width + k, target_of(o, b, n, k));
    if (o->class_weights) weight *= class_weights[(b + 2 * n) % 3];
    batch_set(r, out, "target.weight", n, weight);
  }
}

static void start(rig *r) {
  for (int64_t e = 0; e < r->store->count; e++) {
    double values[IN * HIDDEN];
    for (int64_t j = 0; j < entry_count(r, e); j++)
      values[j] = (double)((11 * j + 3) % 23 - 11) / 32;
    entry_write(r, e, CO_BLOCK_PARAM, values);
    if (r->setup.phase[0].ema_decay > 0) entry_write(r, e, CO_BLOCK_EMA, values);
  }
}

// ---- comparing ---------------------------------------------------------------------------------

typedef struct lane {
  const char *backend;
  co_dtype real;
  double tolerance; // relative to the largest; single precision: some hundred roundings in a row
} lane;

static const lane lanes[] = {{"ref", CO_F64, 1e-9}, {"ref", CO_F32, 3e-5}, {"cpu", CO_F32, 3e-5}};

static void read(co_h5 *file, const char *path, int64_t count, double *out) {
  co_h5_info info;
  OK(co_h5_get_info(file, path, &info));
  assert_int_equal(co_shape_count(&info.shape), count);
  OK(co_h5_read(file, path, CO_F64, NULL, out));
}

static void close_to(const char *what, const double *got, const double *wanted, int64_t count,
                     double tolerance) {
  double most = 0;
  for (int64_t i = 0; i < count; i++)
    most = fmax(most, fabs(wanted[i]));
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(got[i] - wanted[i]) <= tolerance * most))
      fail_msg("%s[%lld]: %.12g, not %.12g", what, (long long)i, got[i], wanted[i]);
}

static void check_weights(rig *r, co_h5 *file, const char *group, double tolerance) {
  static const char *const names[][2] = {{"one/kernel", "W1"},   {"one/bias", "b1"},
                                         {"two/kernel", "W2"},   {"two/bias", "b2"},
                                         {"three/kernel", "W3"}, {"three/bias", "b3"}};
  const co_block block = r->setup.phase[0].ema_decay > 0 ? CO_BLOCK_EMA : CO_BLOCK_PARAM;
  for (int i = 0; i < r->store->count; i++) {
    char path[96];
    double wanted[IN * HIDDEN];
    const int64_t entry = entry_find(r, names[i][0]), count = entry_count(r, entry);
    snprintf(path, sizeof path, "%s/final/%s", group, names[i][1]);
    read(file, path, count, wanted);
    close_to(path, entry_read(r, entry, block), wanted, count, tolerance);
  }
}

static void check_losses(rig *r, const char *group, const double *got, double tolerance) {
  co_h5 *file;
  char path[96];
  double wanted[STEPS];
  OK(co_h5_open(&file, r->ctx, COHORT_TEST_SOURCE_DIR "/tests/golden/steps.h5", CO_ERR_DATA));
  snprintf(path, sizeof path, "%s/losses", group);
  read(file, path, STEPS, wanted);
  close_to(path, got, wanted, STEPS, tolerance);
  check_weights(r, file, group, tolerance);
  OK(co_h5_close(file));
}

static void group(rig *r, const char *trainer) {
  co_trainer_settings settings;
  char *text = co_arena_format(r->arena, "{trainer: %s}", trainer);
  co_node *root;
  OK(co_settings_read_text(&root, r->arena, "groups", text, NULL, 0, &r->problems));
  OK(co_settings_parse_trainer(&settings, root, r->arena, &r->problems));
  OK(co_param_groups_apply(r->graph, &settings.param_groups, &r->problems));
  OK(co_diagnostics_result(&r->problems));
}

static void check(const lane *l, const char *group_name, const objective *o, const update *u,
                  double rate) {
  rig r;
  batch b;
  double got[STEPS];
  rig_open(&r, &(setup){.backend = l->backend,
                        .real = l->real,
                        .rows = ROWS,
                        .phase = {{.optimizer = u->optimizer,
                                   .clip_norm = u->clip_norm,
                                   .clip_value = u->clip_value,
                                   .ema_decay = u->ema_decay}}});
  build(&r, o);
  if (u->groups) group(&r, u->groups);
  rig_program(&r);
  start(&r);
  batch_make(&r, &b, ROWS, 0);
  for (int step = 0; step < STEPS; step++) {
    fill(&r, &b, o, step);
    got[step] = train(&r, 0, &b, (uint32_t)step, rate);
  }
  check_losses(&r, group_name, got, l->tolerance);
  batch_free(&r, &b);
  rig_free(&r);
}

static void losses_are_pytorchs(void **unused) {
  static const update momentum = {.optimizer = "{sgd: {momentum: 0.9}}"};
  (void)unused;
  for (size_t l = 0; l < sizeof lanes / sizeof *lanes; l++)
    for (size_t k = 0; k < sizeof objectives / sizeof *objectives; k++) {
      char group[64];
      snprintf(group, sizeof group, "losses/%s", objectives[k].name);
      check(&lanes[l], group, &objectives[k], &momentum, 0.1);
    }
}

static void optimizers_are_pytorchs(void **unused) {
  (void)unused;
  for (size_t l = 0; l < sizeof lanes / sizeof *lanes; l++)
    for (size_t k = 0; k < sizeof updates / sizeof *updates; k++) {
      char group[64];
      snprintf(group, sizeof group, "optimizers/%s", updates[k].name);
      check(&lanes[l], group, &objectives[0], &updates[k], 0.01);
    }
}

// Both losses have the rows' weights.
static void build_variational(rig *r) {
  const co_shape rows = co_shape_make(1, CO_DIM_N);
  co_value weight, weights, divergence, in[3];
  OK(co_graph_create(&r->graph, r->ctx));
  co_value x = input(r, "x", IN);
  in[0] = layer(r, "Dense", "one", "{units: 4}", &x, 1);
  in[1] = layer(r, "Dense", "two", "{units: 4}", &x, 1);
  in[2] = input(r, "noise", HIDDEN);
  r->graph->layer = "drawn";
  OK(co_emit(r->graph, CO_OP_SAMPLE_NORMAL, NULL, 3, in, &x));
  OK(co_emit(r->graph, CO_OP_KL_NORMAL, NULL, 2, in, &divergence));
  x = layer(r, "Dense", "three", "{units: 3}", &x, 1);
  co_value target = input(r, "target", OUT);
  OK(co_graph_add_input(r->graph, "target.weight", CO_F32, &rows, &weight));
  OK(co_graph_add_input(r->graph, "kl.weight", CO_F32, &rows, &weights));
  r->graph->layer = "target";
  OK(co_loss_emit(r->graph, co_loss_find("mean_squared_error"), NULL, "target", 1, x, target,
                  weight));
  OK(co_loss_emit(r->graph, co_loss_find("kl_divergence"), NULL, "kl", 0.5, divergence, divergence,
                  weights));
  r->graph->layer = NULL;
}

static void variational_is_pytorchs(void **unused) {
  (void)unused;
  for (size_t l = 0; l < sizeof lanes / sizeof *lanes; l++) {
    rig r;
    batch b;
    double got[STEPS];
    rig_open(&r, &(setup){.backend = lanes[l].backend,
                          .real = lanes[l].real,
                          .rows = ROWS,
                          .phase = {{.optimizer = "{sgd: {momentum: 0.9}}"}}});
    build_variational(&r);
    rig_program(&r);
    start(&r);
    batch_make(&r, &b, ROWS, 0);
    for (int step = 0; step < STEPS; step++) {
      fill(&r, &b, &objectives[0], step);
      for (int n = 0; n < ROWS; n++)
        batch_set(&r, &b, "kl.weight", n, n == step % ROWS ? 0 : (n + 1) / 4.0);
      for (int i = 0; i < ROWS * HIDDEN; i++)
        batch_set(&r, &b, "noise", i,
                  ((3 * step + 5 * (i / HIDDEN) + 2 * (i % HIDDEN)) % 11 - 5) / 4.0);
      got[step] = train(&r, 0, &b, (uint32_t)step, 0.1);
    }
    check_losses(&r, "variational", got, lanes[l].tolerance);
    batch_free(&r, &b);
    rig_free(&r);
  }
}

static void schedules_are_pytorchs(void **unused) {
  static const struct {
    const char *path;
    co_schedule_options options;
    int64_t total;
  } known[] = {
      {"schedules/step", {.decay = CO_DECAY_STEP, .decay_rate = 0.5, .decay_steps = 3}, FACTORS},
      {"schedules/cosine", {.decay = CO_DECAY_COSINE}, FACTORS},
      {"schedules/one_cycle", {.decay = CO_DECAY_ONE_CYCLE}, FACTORS + 1},
  };
  (void)unused;
  rig r;
  co_h5 *file;
  rig_open(&r, &(setup){.backend = "ref", .real = CO_F64});
  OK(co_h5_open(&file, r.ctx, COHORT_TEST_SOURCE_DIR "/tests/golden/steps.h5", CO_ERR_DATA));
  for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
    double wanted[FACTORS], got[FACTORS];
    read(file, known[k].path, FACTORS, wanted);
    for (int64_t step = 0; step < FACTORS; step++)
      got[step] = co_schedule_factor(&known[k].options, step, known[k].total);
    close_to(known[k].path, got, wanted, FACTORS, 1e-12);
  }
  OK(co_h5_close(file));
  rig_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(losses_are_pytorchs),
      cmocka_unit_test(optimizers_are_pytorchs),
      cmocka_unit_test(variational_is_pytorchs),
      cmocka_unit_test(schedules_are_pytorchs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
