// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "kernels/backend.h"
#include "kernels/bf16.h"

#define OK(call) assert_int_equal(call, CO_OK)

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void rounding_is_to_nearest_even(void **unused) {
  (void)unused;
  static const struct {
    uint32_t wide;
    co_bf16 narrow;
  } known[] = {
      {0x3F800000, 0x3F80},                       // 1
      {0x3F808000, 0x3F80},                       // 1 + 2^-8, a tie: to even, down
      {0x3F808001, 0x3F81},                       // just above it
      {0x3F818000, 0x3F82},                       // 1 + 3 2^-8, a tie: to even, up
      {0x3F817FFF, 0x3F81},                       // just below it
      {0xBF808000, 0xBF80}, {0xBF818000, 0xBF82}, // the same below zero
      {0x00000000, 0x0000}, {0x80000000, 0x8000}, // signed zeros
      {0x00008000, 0x0000}, {0x00018000, 0x0002}, // subnormal ties
      {0x7F7F7FFF, 0x7F7F},                       // still finite
      {0x7F7F8000, 0x7F80},                       // beyond the largest: infinity
      {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80},
      {0x7FC00000, 0x7FFF}, {0xFFC12345, 0x7FFF}, // every NaN is one NaN
      {0x7F800001, 0x7FFF},                       // its payload in the half that is cut off
      {0x7FFFFFFF, 0x7FFF},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    assert_int_equal(co_bf16_round(from_bits(known[i].wide)), known[i].narrow);
}

static void what_is_narrow_stays(void **unused) {
  (void)unused;
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    float wide = co_bf16_widen((co_bf16)bits);
    assert_int_equal(co_bf16_round(wide), isnan(wide) ? 0x7FFF : bits);
  }
}

static co_tensor_desc vector(co_dtype dtype, int64_t count) {
  return (co_tensor_desc){dtype, CO_LAYOUT_CANONICAL, co_shape_make(1, count)};
}

// Both backends, which differ in how they come to bf16.
static co_backend *open_backend(co_context **ctx, int which) {
  const co_context_options options = {.threads = 2};
  co_backend *backend = NULL;
  OK(co_context_create(ctx, &options));
  OK(which ? co_cpu_backend_open(&backend, *ctx, NULL) : co_ref_backend_open(&backend, *ctx, NULL));
  return backend;
}

static void run(co_backend *backend, co_op_desc *desc, void *const *in, void *const *out) {
  co_op_choice choice;
  co_prepared *prepared;
  void *workspace = NULL;
  OK(backend->api->query(backend, desc, &choice));
  OK(backend->api->prepare(backend, desc, &prepared));
  if (choice.workspace) OK(backend->api->buffer_create(backend, choice.workspace, &workspace));
  OK(backend->api->run(backend, prepared, in, out, workspace));
  backend->api->buffer_free(backend, workspace);
  backend->api->release(backend, prepared);
}

static void close_backend(co_context *ctx, co_backend *backend) {
  backend->api->free(backend);
  co_context_free(ctx);
}

static void values_that_are_not_finite_pass(void **unused) {
  (void)unused;
  for (int which = 0; which < 2; which++) {
    co_context *ctx;
    co_backend *backend = open_backend(&ctx, which);
    co_op_desc desc = {.op = CO_OP_RELU, .has_in = 1, .has_out = 1};
    desc.in[0] = desc.out[0] = vector(CO_BF16, 4);
    co_bf16 x[4] = {0x7FFF, 0x7F80, 0xFF80, 0xBF80}, y[4]; // NaN, infinities, -1
    run(backend, &desc, (void *[CO_OP_MAX_OPERANDS]){x}, (void *[CO_OP_MAX_OPERANDS]){y});
    assert_int_equal(y[0], 0x7FFF);
    assert_int_equal(y[1], 0x7F80);
    assert_int_equal(y[2], 0);
    assert_int_equal(y[3], 0);
    // What is too large for bf16 (and not for float, in which the sum is made) becomes infinite.
    co_bf16 large[4] = {0x7F7F, 0x7F00, 0xFF7F, 0x0000}, sum[4];
    desc.op = CO_OP_ADD;
    desc.has_in = 3;
    desc.in[1] = desc.in[0];
    run(backend, &desc, (void *[CO_OP_MAX_OPERANDS]){large, large},
        (void *[CO_OP_MAX_OPERANDS]){sum});
    assert_int_equal(sum[0], 0x7F80);
    assert_int_equal(sum[1], 0x7F80);
    assert_int_equal(sum[2], 0xFF80);
    assert_int_equal(sum[3], 0);
    close_backend(ctx, backend);
  }
}

// 256 + 3/4 + 3/4: 256 if each addition were rounded, 258 if the sum is.
static void sums_are_rounded_once(void **unused) {
  (void)unused;
  for (int which = 0; which < 2; which++) {
    co_context *ctx;
    co_backend *backend = open_backend(&ctx, which);
    co_op_desc desc = {.op = CO_OP_DENSE, .has_in = 3, .has_out = 1};
    desc.in[0] = desc.in[1] = desc.out[0] = vector(CO_BF16, 1);
    desc.in[0].shape = co_shape_make(2, (int64_t)1, (int64_t)3);
    desc.in[1].shape = co_shape_make(2, (int64_t)3, (int64_t)1);
    desc.out[0].shape = co_shape_make(2, (int64_t)1, (int64_t)1);
    co_bf16 x[3] = {co_bf16_round(256), co_bf16_round(0.75f), co_bf16_round(0.75f)};
    co_bf16 w[3] = {0x3F80, 0x3F80, 0x3F80}, y;
    run(backend, &desc, (void *[CO_OP_MAX_OPERANDS]){x, w}, (void *[CO_OP_MAX_OPERANDS]){&y});
    assert_true(co_bf16_widen(y) == 258); // 257.5 to the nearer of 256 and 258
    float wide;
    desc.out[0].dtype = CO_F32; // or not at all
    run(backend, &desc, (void *[CO_OP_MAX_OPERANDS]){x, w}, (void *[CO_OP_MAX_OPERANDS]){&wide});
    assert_true(wide == 257.5f);
    close_backend(ctx, backend);
  }
}

static void a_mirror_follows_what_is_listed(void **unused) {
  (void)unused;
  for (int which = 0; which < 2; which++)
    for (int open = 0; open < 2; open++) {
      co_context *ctx;
      co_backend *backend = open_backend(&ctx, which);
      co_op_desc desc = {.op = CO_OP_SGD, .has_in = 1 | 2 | 8 | 16 | 32, .has_out = 1 | 4};
      desc.in[0] = desc.in[1] = desc.out[0] = vector(CO_F32, 4);
      desc.in[3] = vector(CO_U8, (int64_t)sizeof(co_segment));
      desc.in[4] = vector(CO_U8, (int64_t)sizeof(co_step));
      desc.in[5] = vector(CO_F64, 2);
      desc.out[2] = vector(CO_BF16, 4);
      float w[4] = {1, 2, 3, 4}, g[4] = {0.0078125f, 1, -1, 1}; // the first a quarter ulp of bf16
      co_segment segment = {.begin = 0, .count = 3, .rate = 1};
      co_step step = {.learning_rate = 0.5};
      double gate[2] = {open, 1};
      co_bf16 mirror[4] = {7, 7, 7, 7};
      void *in[CO_OP_MAX_OPERANDS] = {w, g, NULL, &segment, &step, gate},
           *out[CO_OP_MAX_OPERANDS] = {w, NULL, mirror};
      run(backend, &desc, in, out);
      for (int i = 0; i < 4; i++)
        assert_int_equal(mirror[i], open && i < 3 ? co_bf16_round(w[i]) : 7);
      assert_true(w[0] == (open ? 0.99609375f : 1));
      close_backend(ctx, backend);
    }
}

static void data_are_of_one_type(void **unused) {
  (void)unused;
  for (int which = 0; which < 2; which++) {
    co_context *ctx;
    co_backend *backend = open_backend(&ctx, which);
    co_op_choice choice;
    co_op_desc desc = {.op = CO_OP_ADD, .has_in = 3, .has_out = 1};
    desc.in[0] = desc.out[0] = vector(CO_BF16, 4);
    desc.in[1] = vector(CO_F32, 4);
    assert_int_equal(backend->api->query(backend, &desc, &choice), CO_ERR_DEVICE);
    desc.in[1].dtype = CO_BF16;
    OK(backend->api->query(backend, &desc, &choice));
    assert_non_null(strstr(choice.implementation, "+bf16"));
    desc.op = CO_OP_GRADIENT_NORM; // gradients of parameters are never bf16
    desc.in[1] = vector(CO_U8, (int64_t)sizeof(co_segment));
    desc.out[0] = vector(CO_F64, 1);
    assert_int_equal(backend->api->query(backend, &desc, &choice), CO_ERR_DEVICE);
    co_op_desc masked = {.op = CO_OP_DENSE_RELU_BACKWARD, .has_in = 7, .has_out = 1};
    masked.in[0] = masked.in[1] = masked.in[2] = masked.out[0] = vector(CO_BF16, 1);
    masked.in[0].shape = masked.in[1].shape = masked.out[0].shape = co_shape_make(2, 1, 1);
    masked.in[2].shape = masked.out[0].shape;
    masked.in[2].dtype = CO_U8;
    masked.out[1] = vector(CO_F32, 1);
    OK(backend->api->query(backend, &masked, &choice));
    masked.has_out |= 2; // a bias gradient is not beside a result in bf16
    assert_int_equal(backend->api->query(backend, &masked, &choice), CO_ERR_DEVICE);
    close_backend(ctx, backend);
  }
}

// y (2, 3) = x (2, 64) w (64, 3) + b, by the processor's own products where it has them.
static void products_are_the_processors(void **unused) {
  (void)unused;
  enum { N = 2, I = 64, O = 3 };
  co_context *ctx;
  co_backend *backend = open_backend(&ctx, 1);
  co_op_choice choice;
  co_prepared *prepared;
  co_op_desc desc = {.op = CO_OP_DENSE, .has_in = 7, .has_out = 1};
  desc.in[0] = (co_tensor_desc){CO_BF16, CO_LAYOUT_CANONICAL, co_shape_make(2, N, I)};
  desc.in[1] = (co_tensor_desc){CO_BF16, CO_LAYOUT_CANONICAL, co_shape_make(2, I, O)};
  desc.in[2] = (co_tensor_desc){CO_BF16, CO_LAYOUT_CANONICAL, co_shape_make(1, O)};
  desc.out[0] = (co_tensor_desc){CO_BF16, CO_LAYOUT_CANONICAL, co_shape_make(2, N, O)};
  OK(backend->api->query(backend, &desc, &choice));
  const bool wide = strcmp(co_dnnl_bf16(), "float") == 0;
  assert_int_equal(strstr(choice.implementation, "+bf16") != NULL, wide);
  OK(backend->api->prepare(backend, &desc, &prepared));
  co_bf16 x[N * I], w[I * O], b[O], y[N * O];
  for (int i = 0; i < N * I; i++)
    x[i] = co_bf16_round((float)(i / I + 1) / 64);
  for (int i = 0; i < I * O; i++)
    w[i] = co_bf16_round((float)(i % O + 1));
  for (int i = 0; i < O; i++)
    b[i] = co_bf16_round((float)i / 4);
  void *in[CO_OP_MAX_OPERANDS] = {x, w, b}, *out[CO_OP_MAX_OPERANDS] = {y};
  void *workspace = NULL;
  OK(backend->api->buffer_create(backend, choice.workspace + 1, &workspace));
  for (int run = 0; run < 2; run++) { // packed again each time: weights may have changed
    OK(backend->api->run(backend, prepared, in, out, workspace));
    for (int n = 0; n < N; n++)
      for (int o = 0; o < O; o++)
        assert_float_equal(co_bf16_widen(y[n * O + o]),
                           (float)((n + 1) * (o + 1) * (run + 1)) + (float)o / 4, 0);
    for (int i = 0; i < I * O; i++)
      w[i] = co_bf16_round((float)(2 * (i % O + 1)));
  }
  backend->api->buffer_free(backend, workspace);
  backend->api->release(backend, prepared);
  close_backend(ctx, backend);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rounding_is_to_nearest_even),     cmocka_unit_test(what_is_narrow_stays),
      cmocka_unit_test(values_that_are_not_finite_pass), cmocka_unit_test(sums_are_rounded_once),
      cmocka_unit_test(a_mirror_follows_what_is_listed), cmocka_unit_test(data_are_of_one_type),
      cmocka_unit_test(products_are_the_processors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
