// SPDX-License-Identifier: Apache-2.0
// The runner of operation tests notices mistakes: each is planted in a wrapper around the
// reference, in the reference's gradients or in the list of cases, and the runner must fail for
// that reason.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "ops_test.h"

typedef enum mistake {
  NONE,
  WRONG_VALUE,   // one element off by 1e-4
  LAST_BIT,      // one element off by one unit in the last place
  BF16_BIT,      // the same in bf16 alone
  PAST_END,      // one byte
  BEFORE_START,  // one byte
  UNWRITTEN,     // the last element
  INPUT_CHANGED, // the lowest bit of its first byte
  UNREPEATABLE,  // every other run differs by a little
  WORKSPACE,     // one byte more than asked for
  NOT_ADDED,     // accumulate is accepted and ignored
  REFUSED,       // a case that is not taken
  NOT_CANONICAL, // asks for a layout that it cannot reorder to
} mistake;

typedef struct wrapper {
  co_backend backend; // first, so that the runner's pointer is ours
  co_backend *inner;
  mistake mistake;
  int runs;
} wrapper;

struct co_prepared {
  co_op_desc desc;
};

static wrapper *self(co_backend *backend) {
  return (wrapper *)backend;
}

static co_status query(co_backend *backend, const co_op_desc *desc, co_op_choice *out) {
  CO_RETURN_IF_FAILED(co_ref_query(desc, out));
  out->implementation = "planted";
  if (self(backend)->mistake == WORKSPACE) out->workspace += 64;
  if (self(backend)->mistake == REFUSED) return co_fail(CO_ERR_DEVICE, "planted refusal");
  if (self(backend)->mistake == NOT_CANONICAL && desc->op != CO_OP_REORDER) out->out[0] = 77;
  if (self(backend)->mistake == NOT_CANONICAL && desc->op == CO_OP_REORDER)
    return co_fail(CO_ERR_DEVICE, "planted refusal");
  return CO_OK;
}

static co_status prepare(co_backend *backend, const co_op_desc *desc, co_prepared **out) {
  *out = co_alloc(backend->ctx, sizeof **out);
  if (*out == NULL) return CO_ERR_MEMORY;
  (*out)->desc = *desc;
  if (self(backend)->mistake == NOT_ADDED) (*out)->desc.accumulate = 0;
  return CO_OK;
}

static void release(co_backend *backend, co_prepared *prepared) {
  co_free(backend->ctx, prepared);
}

static co_status run(co_backend *backend, co_prepared *prepared, void *const *in, void *const *out,
                     void *workspace) {
  wrapper *w = self(backend);
  const co_op_desc *desc = &prepared->desc;
  size_t size = co_tensor_bytes(&desc->out[0]), element = co_dtype_size(desc->out[0].dtype);
  unsigned char *y = out[0], *last = y + size - element, kept[8];
  memcpy(kept, last, element);
  CO_RETURN_IF_FAILED(co_ref_run_in(desc, in, out, workspace));
  float value = 0;
  bool is_float = desc->out[0].dtype == CO_F32;
  if (is_float) memcpy(&value, last, sizeof value);
  w->runs++;
  switch (w->mistake) {
  case WRONG_VALUE:
    value += 1e-4f;
    if (is_float) memcpy(last, &value, sizeof value);
    break;
  case LAST_BIT:
    value = nextafterf(value, 100);
    if (is_float) memcpy(last, &value, sizeof value);
    break;
  case BF16_BIT:
    if (desc->out[0].dtype == CO_BF16) last[0] ^= 1;
    break;
  case PAST_END:
    y[size] = 0;
    break;
  case BEFORE_START:
    y[-1] = 0;
    break;
  case UNWRITTEN:
    memcpy(last, kept, element);
    break;
  case INPUT_CHANGED:
    *(unsigned char *)in[0] ^= 1;
    break;
  case UNREPEATABLE:
    *last ^= (unsigned char)(w->runs & 1);
    break;
  case WORKSPACE:
    memset(workspace, 0, 65);
    break;
  default:
    break;
  }
  return CO_OK;
}

static size_t layout_bytes(co_backend *backend, const co_tensor_desc *desc) {
  (void)backend;
  return co_tensor_bytes(desc);
}

static const char *layout_name(co_backend *backend, co_layout layout) {
  return self(backend)->inner->api->layout_name(self(backend)->inner, layout);
}

static co_status buffer_create(co_backend *backend, size_t bytes, void **out) {
  return self(backend)->inner->api->buffer_create(self(backend)->inner, bytes, out);
}

static void buffer_free(co_backend *backend, void *buffer) {
  self(backend)->inner->api->buffer_free(self(backend)->inner, buffer);
}

static co_status upload(co_backend *backend, void *device, const void *host, size_t bytes) {
  return self(backend)->inner->api->upload(self(backend)->inner, device, host, bytes);
}

static co_status download(co_backend *backend, void *host, const void *device, size_t bytes) {
  return self(backend)->inner->api->download(self(backend)->inner, host, device, bytes);
}

static co_status synchronize(co_backend *backend) {
  return self(backend)->inner->api->synchronize(self(backend)->inner);
}

static const co_backend_api api = {
    .name = "planted",
    .alignment = 64,
    .query = query,
    .prepare = prepare,
    .release = release,
    .run = run,
    .layout_bytes = layout_bytes,
    .layout_name = layout_name,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .upload = upload,
    .download = download,
    .synchronize = synchronize,
    .host_memory = true,
};

// Gradients that are off by a millionth.
static co_status slanted_reference(const co_op_desc *desc, void *const *in, void *const *out) {
  CO_RETURN_IF_FAILED(co_ref_run(desc, in, out));
  if (desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS) {
    int64_t count = co_shape_count(&desc->out[0].shape);
    for (int64_t i = 0; i < count; i++)
      ((double *)out[0])[i] *= 1 + 1e-6;
  }
  return CO_OK;
}

// Losses whose dx forgets a row's weight.
static co_status heavy_reference(const co_op_desc *desc, void *const *in, void *const *out) {
  CO_RETURN_IF_FAILED(co_ref_run(desc, in, out));
  if (desc->op == CO_OP_POINTWISE_LOSS) ((double *)out[2])[0] *= 1.001;
  return CO_OK;
}

static int wrong;

// Runs a suite and checks that it fails with `expected` in some message, or passes if NULL.
static void expect(ops_suite *suite, const char *what, const char *expected) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  if (stream == NULL) exit(1);
  suite->report.stream = stream;
  ops_suite_run(suite);
  (void)fclose(stream);
  bool passed = suite->report.failures == 0;
  bool right = expected == NULL ? passed && suite->report.checks > 0
                                : !passed && strstr(text, expected) != NULL;
  (void)printf("%s %s\n", right ? "ok  " : "FAIL", what);
  if (!right) {
    (void)printf("%s", text);
    wrong++;
  }
  free(text);
}

static const ops_family *family_of(co_op op) {
  const ops_family *const *family = ops_families;
  while (*family && (*family)->op != op)
    family++;
  return *family;
}

static int count_checks(const ops_suite *base, int sweep) {
  ops_suite suite = *base;
  suite.sweep = sweep;
  ops_suite_run(&suite);
  return suite.report.failures == 0 ? suite.report.checks : -1;
}

// Edges always run; the quarters of a sweep make the whole of it.
static void check_sweep(ops_suite suite) {
  static const char *const cases[] = {"x=1",   "x=17", OPS_SWEEP, "x=2", "x=3",
                                      "x=2x5", "x=7",  "x=9",     NULL};
  ops_family family = **suite.families;
  family.cases = cases;
  const ops_family *const families[] = {&family, NULL};
  suite.families = families;
  int edges = count_checks(&suite, OPS_SWEEP_NONE), all = count_checks(&suite, OPS_SWEEP_ALL);
  int swept = 0, least = all;
  for (int part = 1; part <= OPS_SWEEP_PARTS; part++) {
    int checks = count_checks(&suite, part) - edges;
    swept += checks;
    if (checks < least) least = checks;
  }
  bool right = edges > 0 && least > 0 && edges + swept == all;
  (void)printf("%s the quarters of a sweep\n", right ? "ok  " : "FAIL");
  wrong += !right;
}

int main(void) {
  static const struct {
    mistake mistake;
    const char *what, *op, *kase, *expected;
  } plants[] = {
      {NONE, "no mistake", "dense", "x=7x13", NULL},
      {WRONG_VALUE, "a wrong value", "dense", "x=7x13", "instead of"},
      {WRONG_VALUE, "a wrong gradient value", "conv2d_backward_weights", "x=2x8x8x3", "instead of"},
      {WRONG_VALUE, "a wrong optimizer step", "adam", "w=17", "instead of"},
      {LAST_BIT, "a last bit where sums are exact", "dense", "x=7x13", "(integers)"},
      {LAST_BIT, "a last bit where values are moved", "flip", "x=5x2x7x3", "instead of"},
      {BF16_BIT, "a last bit of an exact sum in bf16", "dense", "x=7x13", "bf16"},
      {BF16_BIT, "a last bit of a moved value in bf16", "flip", "x=5x2x7x3", "bf16"},
      {BF16_BIT, "a last bit of a gradient in bf16", "dense_backward_data", "x=7x13", "bf16"},
      {PAST_END, "a write past the end", "relu", "x=17", "wrote past the end"},
      {BEFORE_START, "a write before the start", "relu", "x=17", "wrote before the start"},
      {UNWRITTEN, "an unwritten output", "relu", "x=17", "is unwritten"},
      {UNWRITTEN, "an unwritten row", "gather", "table:u8=11x28", "is unwritten"},
      {INPUT_CHANGED, "a changed input", "add", "a=17", "was changed"},
      {UNREPEATABLE, "an unrepeatable result", "softmax", "x=3x17", "differs in a second run"},
      {WORKSPACE, "a workspace overrun", "relu", "x=17", "more workspace"},
      {NOT_ADDED, "an ignored accumulate", "relu_backward", "x=17", "accumulating"},
      {NOT_ADDED, "an ignored accumulate of a sum", "gradient_norm", "g=17", "accumulating"},
      {REFUSED, "a refused operation", "relu", "x=17", "refused: planted refusal"},
      {NOT_CANONICAL, "a layout nobody can read", "relu", "x=17", "cannot be brought back"},
  };
  co_context *ctx = NULL;
  if (co_context_create(&ctx, NULL) != CO_OK) return 1;
  co_backend *ref = NULL;
  if (co_ref_backend_open(&ref, ctx, NULL) != CO_OK) return 1;
  for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
    wrapper planted = {.backend = {.api = &api, .ctx = ctx}, .inner = ref};
    planted.mistake = plants[i].mistake;
    ops_suite suite = {.families = ops_families,
                       .backends = {&planted.backend},
                       .backend_count = 1,
                       .reference = co_ref_run,
                       .only_op = plants[i].op,
                       .only_case = plants[i].kase};
    expect(&suite, plants[i].what, plants[i].expected);
  }
  const ops_suite base = {
      .families = ops_families, .backends = {ref}, .backend_count = 1, .reference = co_ref_run};
  ops_suite slanted = base;
  slanted.reference = slanted_reference;
  slanted.only_op = "dense";
  slanted.only_case = "x=7x13";
  expect(&slanted, "a gradient off by a millionth", "on gradient");
  ops_suite heavy = base;
  heavy.reference = heavy_reference;
  heavy.only_op = "pointwise_loss";
  heavy.only_case = "x=5x33";
  expect(&heavy, "a loss gradient off in one element", "on gradient");

  const ops_family *const few[] = {family_of(CO_OP_DENSE), NULL};
  ops_suite missing = base;
  missing.families = few;
  missing.only_op = "softmax";
  expect(&missing, "an operation without a case", "softmax has no case");
  const char *const bad_cases[] = {"x=7x13 w=13x11 strid=2", NULL};
  ops_family bad = *family_of(CO_OP_DENSE);
  bad.cases = bad_cases;
  const ops_family *const malformed[] = {&bad, NULL};
  ops_suite typo = base;
  typo.families = malformed;
  typo.only_op = "dense";
  typo.only_case = "strid";
  ops_suite_run(&typo);
  bool noticed = typo.report.failures > 0;
  (void)printf("%s a malformed case\n", noticed ? "ok  " : "FAIL");
  wrong += !noticed;
  ops_suite swept = base;
  swept.only_op = "relu";
  const ops_family *const relu[] = {family_of(CO_OP_RELU), NULL};
  swept.families = relu;
  check_sweep(swept);
  ref->api->free(ref);
  co_context_free(ctx);
  return wrong == 0 ? 0 : 1;
}
