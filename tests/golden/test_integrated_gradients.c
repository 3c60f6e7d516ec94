// SPDX-License-Identifier: Apache-2.0
// Integrated gradients must be PyTorch's (scripts/gen_integrated_gradients has the networks), as far as single
// precision allows, and add up to what the head's value is above the reference's.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/h5.h"
#include "host/eval/integrated_gradients.h"
#include "tests/train/helpers.h"

enum { ROWS = 6, NUMBERS = 8, STEPS = 32 };

static const char *const classes[] = {"a", "b", "c"};

static const co_column columns[] = {
    {.name = "x",
     .type = CO_COLUMN_VECTOR,
     .role = CO_ROLE_INPUT,
     .dtype = CO_F32,
     .shape = {1, {5}}},
    {.name = "z",
     .type = CO_COLUMN_VECTOR,
     .role = CO_ROLE_INPUT,
     .dtype = CO_F32,
     .shape = {1, {3}}},
    {.name = "flag", .type = CO_COLUMN_BINARY, .role = CO_ROLE_TARGET, .dtype = CO_F32},
    {.name = "kind",
     .type = CO_COLUMN_CATEGORY,
     .role = CO_ROLE_TARGET,
     .dtype = CO_I32,
     .category_count = 3,
     .categories = classes}};
static const co_schema schema = {.column_count = sizeof columns / sizeof *columns,
                                 .columns = columns};

typedef struct network {
  const char *name, *target;
  int members;
  int64_t class_;
} network;

static const network networks[] = {{"binary", "flag", 0, -1},
                                   {"classes", "kind", 0, 1},
                                   {"binary_members", "flag", 4, -1},
                                   {"classes_members", "kind", 4, 1}};

static void build(rig *r, const network *n) {
  char yaml[512];
  co_node *config;
  snprintf(yaml, sizeof yaml,
           "input_features: [{name: x, preprocessing: {normalization: none}},"
           " {name: z, preprocessing: {normalization: none}}]\n"
           "combiner: {type: concat, members: %d, layers: [{Dense: {units: 8, activation: tanh}},"
           " {Dense: {units: 6, activation: relu}}, {Dropout: {rate: 0.5}}]}\n"
           "output_features: [{name: %s}]\n",
           n->members, n->target);
  OK(co_yaml_parse(&config, r->arena, "test.yaml", yaml, strlen(yaml), &r->problems));
  OK(co_model_create(&r->model, r->ctx, config, &schema, &r->problems));
  r->graph = r->model->network;
  rig_program(r);
  for (int64_t e = 0; e < r->store->count; e++) {
    double values[6 * 8 * 4];
    for (int64_t j = 0; j < entry_count(r, e); j++)
      values[j] = (double)((11 * j + 3) % 23 - 11) / 16;
    entry_write(r, e, CO_BLOCK_PARAM, values);
  }
}

static void close_to(co_h5 *file, const network *n, const char *what, const double *got,
                     int64_t count, double tolerance) {
  char path[64];
  double wanted[ROWS * NUMBERS], most = 0;
  snprintf(path, sizeof path, "%s/%s", n->name, what);
  OK(co_h5_read(file, path, CO_F64, NULL, wanted));
  for (int64_t i = 0; i < count; i++)
    most = fmax(most, fabs(wanted[i]));
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(got[i] - wanted[i]) <= tolerance * most))
      fail_msg("%s[%lld]: %.9g, not %.9g", path, (long long)i, got[i], wanted[i]);
}

static void attribute(rig *r, const network *n, int64_t steps, double *shares,
                      const co_head_values *head) {
  float points[ROWS * NUMBERS], reference[NUMBERS];
  int64_t count;
  co_encoding *encoding;
  co_integrated_gradients *gradients;
  const co_network_parts parts = {.model = r->model, .program = r->program};
  OK(co_encoding_open(&encoding, &parts));
  for (int i = 0; i < NUMBERS; i++)
    reference[i] = (float)(3 * i % 7 - 3) / 8;
  for (int i = 0; i < ROWS * NUMBERS; i++)
    points[i] = (float)((7 * (i / NUMBERS) + 5 * (i % NUMBERS)) % 17 - 8) / 8;
  const co_integrated_request request = {.network = &parts,
                                         .output = &r->model->outputs[0],
                                         .values = co_encoding_values(encoding, &count),
                                         .value_count = 2,
                                         .width = NUMBERS,
                                         .reference = reference,
                                         .class_ = n->class_,
                                         .steps = steps};
  assert_int_equal(count, 2);
  assert_int_equal(co_encoding_width(encoding), NUMBERS);
  OK(co_integrated_gradients_open(&gradients, &request));
  OK(co_integrated_gradients_run(gradients, points, ROWS, shares, head));
  co_integrated_gradients_close(gradients);
  co_encoding_close(encoding);
}

static double gap(const double *shares, const co_head_values *head) {
  double most = 0;
  for (int row = 0; row < ROWS; row++) {
    double rest = head->value[row] - head->reference[row];
    for (int i = 0; i < NUMBERS; i++)
      rest -= shares[row * NUMBERS + i];
    most = fmax(most, fabs(rest));
  }
  return most;
}

static void check(const char *backend, const network *n, bool no_fusion) {
  rig r;
  co_h5 *file;
  double shares[ROWS * NUMBERS], value[ROWS], reference[ROWS];
  int32_t chosen[ROWS];
  const co_head_values head = {value, reference, chosen};
  rig_open(&r, &(setup){.backend = backend,
                        .real = CO_F32,
                        .rows = 4,
                        .no_training = true,
                        .infer = true,
                        .no_fusion = no_fusion});
  build(&r, n);
  OK(co_h5_open(&file, r.ctx, COHORT_TEST_SOURCE_DIR "/tests/golden/integrated_gradients.h5",
                CO_ERR_DATA));
  attribute(&r, n, STEPS, shares, &head);
  close_to(file, n, "shares", shares, ROWS * NUMBERS, 2e-5);
  close_to(file, n, "value", value, ROWS, 1e-5);
  close_to(file, n, "reference", reference, 1, 1e-5);
  attribute(&r, n, 2000, shares, &head); // more points than one run takes
  close_to(file, n, "exact", shares, ROWS * NUMBERS, 1e-3);
  assert_true(gap(shares, &head) < 1e-3);
  OK(co_h5_close(file));
  rig_free(&r);
}

static void test_pytorchs(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
    check("ref", &networks[i], false);
    check("cpu", &networks[i], false);
    check("cpu", &networks[i], true);
  }
}

// Of each row the class with the largest value, when none is asked for.
static void test_likeliest(void **unused) {
  rig r;
  double shares[ROWS * NUMBERS], value[3][ROWS], reference[ROWS], best[ROWS];
  int32_t chosen[ROWS];
  (void)unused;
  rig_open(
      &r,
      &(setup){.backend = "cpu", .real = CO_F32, .rows = 4, .no_training = true, .infer = true});
  build(&r, &networks[1]);
  for (int64_t c = 0; c < 3; c++) {
    const network n = {"classes", "kind", 0, c};
    attribute(&r, &n, STEPS, shares, &(co_head_values){value[c], reference, chosen});
  }
  const network any = {"classes", "kind", 0, -1};
  attribute(&r, &any, STEPS, shares, &(co_head_values){best, reference, chosen});
  for (int row = 0; row < ROWS; row++) {
    assert_true(best[row] == fmax(value[0][row], fmax(value[1][row], value[2][row])));
    assert_true(best[row] == value[chosen[row]][row]);
  }
  rig_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pytorchs),
                                     cmocka_unit_test(test_likeliest)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
