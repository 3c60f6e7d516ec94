// SPDX-License-Identifier: Apache-2.0
// YAML text to a tree that remembers where everything stood, merging, overrides, and checked
// parsing into structs by field tables. (JSON is read with the same parser.)
#ifndef COHORT_CONFIG_CONFIG_H
#define COHORT_CONFIG_CONFIG_H

#include "host/core/context.h"
#include "host/core/diagnostics.h"
#include "host/core/field.h"
#include "host/core/json.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_node_kind { CO_NODE_NULL, CO_NODE_SCALAR, CO_NODE_LIST, CO_NODE_MAP } co_node_kind;

// A node of the tree; all memory belongs to the arena the tree was read into.
typedef struct co_node {
  co_node_kind kind;
  const char *text;  // SCALAR: the text
  bool quoted;       // SCALAR: stood in quotes (then it is a string whatever it looks like)
  int64_t count;     // LIST, MAP
  const char **keys; // MAP: in the order of the file
  struct co_node **items;
  const char *file;          // origin, e.g. "config.yaml" or "--set trainer.max_steps"
  long line, column;         // 1-based; 0 = not from a file
  long key_line, key_column; // where its key stood, for a map's item
} co_node;

// Parses YAML. Duplicate keys, anchors, aliases, tags, several documents, nesting beyond 64 and
// more than a million nodes are errors (all with line and column, collected in `problems`). An
// empty text is an empty map. On failure *out is NULL after an error of syntax; it is a tree where
// reading could go on, so that later checks can report their errors as well.
co_status co_yaml_parse(co_node **out, co_arena *arena, const char *name, const char *text,
                        size_t length, co_diagnostics *problems);
co_status co_yaml_read_file(co_node **out, co_arena *arena, const char *path,
                            co_diagnostics *problems);
const char *co_yaml_version(void); // of libyaml
// Maps merge deeply, `input_features` and `output_features` by "name" (selectors of targets go), other
// lists are replaced, an explicit null removes a key. *base may be NULL. `over` is copied and may come
// from elsewhere.
co_status co_node_merge(co_node **base, co_arena *arena, const co_node *over);
// A map without some keys (NULL-terminated); its items are those of `map`. NULL for what is no map.
co_status co_node_without(const co_node **out, co_arena *arena, const co_node *map,
                          const char *const *keys);
// Applies "a.b=c" (value in YAML syntax). A step may be a list item's "name", or an index; the name
// of a feature may start a path, also as "features.NAME"; names with dots are found where they
// exist. Missing maps are created, null removes, maps merge.
co_status co_node_set(co_node **root, co_arena *arena, const char *assignment,
                      co_diagnostics *problems);

const co_node *co_node_get(const co_node *map, const char *key); // NULL if absent or not a map
// Strict readers: false if the scalar is not exactly of the type (`2000*12`, `1e3` as an integer,
// `yes` as a bool and quoted numbers are not).
bool co_node_bool(const co_node *node, bool *out);
bool co_node_int(const co_node *node, int64_t *out);
bool co_node_double(const co_node *node, double *out);

// Where two trees first say different things: the dotted path (cut if very long), and what stands
// there in each, NULL where nothing does. Order in maps does not count. False if they say the same.
typedef struct co_difference {
  char path[256];
  const co_node *a, *b;
} co_difference;
bool co_node_differ(co_difference *out, const co_node *a, const co_node *b);
// A scalar's text, else what kind of thing it is, for messages. NULL is "not given".
const char *co_node_brief(const co_node *node);

// Fills `out` (a struct described by `fields`) from a map, with defaults; `map` may be NULL (all
// defaults), and a null value is as good as an absent key. Unknown keys ("did you mean"), wrong
// types, values out of range and missing required keys are collected in `problems`, each with place
// and dotted `path`. The return is not CO_OK only without memory.
co_status co_fields_parse(void *out, const co_field *fields, const co_node *map, const char *path,
                          co_arena *arena, co_diagnostics *problems);
// The inverse: writes the struct as key-value pairs into an open JSON object, defaults included;
// absent sections (CO_FIELD_NODE) are left out.
void co_fields_render(co_json *json, const co_field *fields, const void *options);
// A copy of the struct of `size` bytes, with all that its fields point to.
co_status co_fields_copy(void **out, co_arena *arena, const co_field *fields, const void *options,
                         size_t size);
// A node as JSON (scalars typed by their text).
void co_node_render(co_json *json, const co_node *node);
// Adds an error located at `node` (which may be NULL).
co_status co_node_problem(co_diagnostics *problems, const co_node *node, const char *hint,
                          const char *format, ...) CO_PRINTF(4, 5);
// A node as YAML text (block style), for config.full.yaml.
co_status co_node_to_yaml(co_text *out, const co_node *node);

#ifdef __cplusplus
}
#endif
#endif
