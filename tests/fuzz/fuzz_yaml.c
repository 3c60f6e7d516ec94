// SPDX-License-Identifier: Apache-2.0
// Any bytes as a config: no crash, no leak, and what is accepted reads back as the same after
// rendering. As a test it runs over mutated samples with a fixed seed; with -fsanitize=fuzzer and
// FUZZ_WITHOUT_MAIN defined it is driven by libFuzzer.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "fuzz_yaml: %s\n", what);
  abort();
}

// Equal in type and value; the spelling of a number counts where `exact`.
static bool same_scalar(const co_node *a, const co_node *b, bool exact) {
  bool x, y, typed = co_node_bool(a, &x), again = co_node_bool(b, &y);
  double p, q;
  bool number = co_node_double(a, &p), number_again = co_node_double(b, &q);
  if (typed != again || number != number_again) return false;
  if (number && !exact) return memcmp(&p, &q, sizeof p) == 0 || (p == 0 && q == 0);
  return strcmp(a->text, b->text) == 0;
}

static bool equal(const co_node *a, const co_node *b, bool exact) {
  if (a->kind != b->kind) return false;
  if (a->kind == CO_NODE_NULL) return true;
  if (a->kind == CO_NODE_SCALAR) return same_scalar(a, b, exact);
  if (a->count != b->count) return false;
  for (int64_t i = 0; i < a->count; i++) {
    if (a->kind == CO_NODE_MAP && strcmp(a->keys[i], b->keys[i]) != 0) return false;
    if (!equal(a->items[i], b->items[i], exact)) return false;
  }
  return true;
}

static void check_round_trip(co_context *ctx, co_arena *arena, const co_node *node) {
  co_diagnostics problems;
  co_diagnostics_init(&problems, ctx);
  co_text text;
  co_text_init(&text, ctx);
  require(co_node_to_yaml(&text, node) == CO_OK, "cannot render");
  co_node *back;
  co_status status = co_yaml_parse(&back, arena, "again", text.data, text.length, &problems);
  if (status != CO_OK || !equal(node, back, true)) fprintf(stderr, "---\n%s\n---\n", text.data);
  require(status == CO_OK, "the rendered text does not parse");
  require(equal(node, back, true), "the rendered text reads differently");
  co_text_free(&text);
  co_json json;
  co_json_init(&json, ctx, 0);
  co_node_render(&json, node);
  require(json.text.status == CO_OK, "cannot render JSON");
  status = co_yaml_parse(&back, arena, "json", json.text.data, json.text.length, &problems);
  if (status != CO_OK) fprintf(stderr, "---\n%s\n---\n", json.text.data);
  require(status == CO_OK, "the rendered JSON does not parse");
  require(equal(node, back, false), "the rendered JSON reads differently");
  co_json_free(&json);
  co_diagnostics_free(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  co_context *ctx;
  co_arena *arena;
  require(co_context_create(&ctx, NULL) == CO_OK, "no context");
  require(co_arena_create(&arena, ctx) == CO_OK, "no arena");
  co_diagnostics problems;
  co_diagnostics_init(&problems, ctx);
  co_node *node;
  co_status status = co_yaml_parse(&node, arena, "fuzz", (const char *)data, size, &problems);
  require((status == CO_OK) == (problems.count == 0), "status and problems disagree");
  if (status == CO_OK) {
    check_round_trip(ctx, arena, node);
    co_node *merged = NULL;
    require(co_node_merge(&merged, arena, node) == CO_OK, "cannot copy");
    require(co_node_merge(&merged, arena, node) == CO_OK, "cannot merge");
  }
  // The same bytes as an override.
  char *assignment = malloc(size + 1);
  require(assignment != NULL, "no memory");
  if (size) memcpy(assignment, data, size);
  assignment[size] = '\0';
  co_node *root = status == CO_OK && node->kind == CO_NODE_MAP ? node : NULL;
  co_node_set(&root, arena, assignment, &problems);
  free(assignment);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  require(co_alloc_get_stats(ctx).live_blocks == 0, "a leak");
  co_context_free(ctx);
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {
    "version: 1\ntrainer: {max_steps: 200, lr: 1e-3}\nlayers:\n  - {a: [1, 2]}\n  - b: 'x'\n",
    "{\"a\": [1, 2.5, true, null, \"\\u00e9\\n\"], \"b\": {\"c\": {}}}",
    "a: |\n  text\n  more\nb: >-\n  folded\n  lines\n\nc: \"d\\\n  e\"\n",
    "- - - a\n    - b\n- ? c\n  : d\n- &x e\n- *x\n- !!str f\n",
    "%YAML 1.1\n---\na: b # c\n...\n",
    "a.b.0.c=[1, {d: e}]",
    "\xEF\xBB\xBFk\xC3\xA9y: \xF0\x9F\x98\x80\n",
};
static const char pieces[] = "\n\t :-?,[]{}#&*!|>'\"%@`~\\0129eE.+\x80\xC3\xFF=<";

static uint64_t next(uint64_t *state) { // splitmix64
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static size_t mutate(uint8_t *data, size_t size, size_t capacity, uint64_t *random) {
  uint64_t times = 1 + next(random) % 8;
  while (times--) {
    size_t at = size ? (size_t)(next(random) % size) : 0;
    uint8_t byte = (uint8_t)pieces[next(random) % (sizeof pieces - 1)];
    uint64_t what = next(random) % 5;
    if (what == 0 && size) data[at] = (uint8_t)next(random);
    if (what == 1 && size) data[at] = byte;
    if (what == 2 && size) { // remove
      memmove(data + at, data + at + 1, size - at - 1);
      size--;
    }
    if (what == 3 && size < capacity) { // insert
      memmove(data + at + 1, data + at, size - at);
      data[at] = byte;
      size++;
    }
    if (what == 4 && size) { // repeat a part
      size_t length = 1 + (size_t)(next(random) % 40);
      if (length > size - at) length = size - at;
      if (size + length > capacity) continue;
      memmove(data + at + length, data + at, size - at);
      size += length;
    }
  }
  return size;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  uint8_t data[512];
  long runs = 0;
  for (clock_t start = clock(); (double)(clock() - start) / CLOCKS_PER_SEC < seconds; runs++) {
    const char *sample = samples[next(&random) % (sizeof samples / sizeof *samples)];
    size_t size = strlen(sample);
    memcpy(data, sample, size);
    size = mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_yaml: %ld inputs\n", runs);
  return 0;
}
#endif
