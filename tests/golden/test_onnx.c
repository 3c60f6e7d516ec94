// SPDX-License-Identifier: Apache-2.0
// Exports to ONNX: byte by byte the files that ONNX Runtime ran to the models' golden rows when they were
// made (scripts/interop --fixtures), and what every such file must be, read with a reader of protocol
// buffers of its own.
#include "tests/train/training.h"

#define GOLDEN COHORT_TEST_SOURCE_DIR "/tests/golden/onnx/"

// ---- a reader ----------------------------------------------------------------------------------

typedef struct message {
  const unsigned char *at, *end;
} message;

typedef struct field {
  uint64_t number, value; // value: of varints and fixed32
  message inside;         // of what has a length
} field;

static uint64_t read_varint(message *m) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    assert_true(m->at < m->end && shift < 70);
    value |= (uint64_t)(*m->at & 0x7F) << shift;
    if (!(*m->at++ & 0x80)) return value;
  }
}

static bool next(message *m, field *out) {
  if (m->at == m->end) return false;
  uint64_t tag = read_varint(m);
  *out = (field){.number = tag >> 3};
  assert_true(out->number > 0);
  if ((tag & 7) == 0) {
    out->value = read_varint(m);
  } else if ((tag & 7) == 5) {
    assert_true(m->end - m->at >= 4);
    memcpy(&out->value, m->at, 4);
    m->at += 4;
  } else {
    assert_int_equal(tag & 7, 2);
    uint64_t length = read_varint(m);
    assert_true(length <= (uint64_t)(m->end - m->at));
    out->inside = (message){m->at, m->at + length};
    m->at += length;
  }
  return true;
}

static bool find(message m, uint64_t number, field *out) {
  while (next(&m, out))
    if (out->number == number) return true;
  return false;
}

static int count(message m, uint64_t number) {
  int found = 0;
  for (field f; next(&m, &f);)
    found += f.number == number;
  return found;
}

// ---- names -------------------------------------------------------------------------------------

enum { MOST = 400 };
typedef struct names {
  message item[MOST];
  int count;
} names;

static bool knows(const names *n, message name) {
  for (int i = 0; i < n->count; i++)
    if (n->item[i].end - n->item[i].at == name.end - name.at &&
        memcmp(n->item[i].at, name.at, (size_t)(name.end - name.at)) == 0)
      return true;
  return false;
}

static void define(names *n, message name) {
  assert_true(n->count < MOST && name.at < name.end);
  if (knows(n, name)) fail_msg("'%.*s' twice", (int)(name.end - name.at), (const char *)name.at);
  n->item[n->count++] = name;
}

static bool is(message m, const char *text) {
  return (size_t)(m.end - m.at) == strlen(text) && memcmp(m.at, text, strlen(text)) == 0;
}

// ---- a model -----------------------------------------------------------------------------------

// Each name is made once, before it is read; attributes have types; tensors have their bytes.
static void check_tensor(message tensor) {
  uint64_t elements = 1;
  field f, raw;
  for (message m = tensor; next(&m, &f);)
    if (f.number == 1) elements *= f.value;
  assert_true(find(tensor, 2, &f) && find(tensor, 9, &raw));
  uint64_t size = f.value == 1 ? 4 : f.value == 7 || f.value == 11 ? 8 : 0;
  assert_true(size > 0);
  assert_int_equal(raw.inside.end - raw.inside.at, elements * size);
}

static void check_node(message node, names *known, names *read) {
  field f;
  assert_true(find(node, 4, &f));
  for (message m = node; next(&m, &f);) {
    field type;
    if (f.number == 1 && f.inside.at < f.inside.end) {
      if (!knows(known, f.inside))
        fail_msg("'%.*s' is read before it is made", (int)(f.inside.end - f.inside.at),
                 (const char *)f.inside.at);
      if (!knows(read, f.inside)) define(read, f.inside);
    }
    if (f.number == 5) assert_true(find(f.inside, 20, &type) && type.value > 0);
  }
  for (message m = node; next(&m, &f);)
    if (f.number == 2) define(known, f.inside);
}

static void check_graph(message graph) {
  names known = {.count = 0}, read = {.count = 0};
  field f, name;
  for (int part = 5; part <= 11; part += 6)
    for (message m = graph; next(&m, &f);)
      if (f.number == (uint64_t)part) {
        assert_true(find(f.inside, part == 5 ? 8 : 1, &name));
        define(&known, name.inside);
        if (part == 5) check_tensor(f.inside);
      }
  int constants = known.count;
  for (message m = graph; next(&m, &f);)
    if (f.number == 1) check_node(f.inside, &known, &read);
  for (int i = 0; i < constants; i++) // what nobody reads has no place in a file
    if (!knows(&read, known.item[i]))
      fail_msg("'%.*s' is not read", (int)(known.item[i].end - known.item[i].at),
               (const char *)known.item[i].at);
  for (message m = graph; next(&m, &f);)
    if (f.number == 12) assert_true(find(f.inside, 1, &name) && knows(&known, name.inside));
}

static int count_nodes(message graph, const char *op) {
  int found = 0;
  field f, type;
  for (message m = graph; next(&m, &f);)
    found += f.number == 1 && find(f.inside, 4, &type) && is(type.inside, op);
  return found;
}

static message open_model(const char *bytes, size_t length) {
  const message model = {(const unsigned char *)bytes, (const unsigned char *)bytes + length};
  field f, version;
  assert_true(find(model, 1, &f));
  assert_int_equal(f.value, 8);
  assert_true(find(model, 8, &f) && find(f.inside, 2, &version));
  assert_int_equal(version.value, 17);
  assert_int_equal(count(model, 14), 4);
  assert_true(find(model, 7, &f));
  return f.inside;
}

static char *export(const char *model, size_t *length) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, NULL), 0);
  const cohort_export_options options = {
      .model = model, .format = "onnx", .output = "model.onnx", .force = true};
  if (cohort_export(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(context->ctx).live_blocks, 1);
  cohort_context_free(context);
  char *bytes = read_whole("model.onnx", length);
  assert_non_null(bytes);
  return bytes;
}

static void same_as(const char *name) {
  char model[512], wanted[512];
  size_t length = 0, known_length = 0;
  snprintf(model, sizeof model, GOLDEN "%s.h5", name);
  snprintf(wanted, sizeof wanted, GOLDEN "%s.onnx", name);
  char *bytes = export(model, &length), *known = read_whole(wanted, &known_length);
  assert_non_null(known);
  check_graph(open_model(bytes, length));
  if (length != known_length || memcmp(bytes, known, length) != 0)
    fail_msg("%s.onnx is not what it was; scripts/interop --fixtures makes it anew", name);
  free(bytes);
  free(known);
}

static void test_table(void **unused) {
  (void)unused;
  same_as("table");
}

static void test_events(void **unused) {
  (void)unused;
  same_as("events");
}

// Convolutions over time, their largest, and the events from behind.
static void test_windows(void **unused) {
  (void)unused;
  same_as("windows");
}

// Of events and columns, with a linear model of the columns.
static void test_blended(void **unused) {
  (void)unused;
  same_as("blended");
}

static void test_images(void **unused) {
  (void)unused;
  same_as("images");
}

// A model of images, numbers and a vector at once, written by an earlier version.
static void test_mixed(void **unused) {
  size_t length = 0;
  (void)unused;
  char *bytes = export(COHORT_TEST_SOURCE_DIR "/tests/golden/e825062/model.h5", &length);
  message graph = open_model(bytes, length);
  check_graph(graph);
  assert_int_equal(count(graph, 11), 4);
  assert_int_equal(count(graph, 12), 2);
  assert_int_equal(count_nodes(graph, "Conv"), 1);
  assert_int_equal(count_nodes(graph, "Gemm"), 4);
  assert_int_equal(count_nodes(graph, "Softmax"), 1);
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_table),   TRAINING_TEST(test_events),
                                     TRAINING_TEST(test_windows), TRAINING_TEST(test_blended),
                                     TRAINING_TEST(test_images),  TRAINING_TEST(test_mixed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
