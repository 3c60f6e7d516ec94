// SPDX-License-Identifier: Apache-2.0
// From libyaml's events to a tree of co_node.
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "host/config/config.h"
#include "host/core/file.h"

enum {
  MAX_DEPTH = 64,
  MAX_NODES = 1000000,
  MAX_KEY_BYTES = 255, // libyaml reads no key of more than 1024 characters, escapes included
  MAX_PROBLEMS = 100,  // of one text: a hostile one must not fill the memory with messages
  MAX_FILE_BYTES = 64 << 20
};

typedef struct reader {
  yaml_parser_t parser;
  co_arena *arena;
  co_context *ctx;
  co_diagnostics *problems;
  const char *name, *text;
  size_t length;
  int64_t nodes, problem_count;
} reader;

// Items of a list or map while it is read.
typedef struct entry {
  const char *key;
  co_node *value;
} entry;

typedef struct entries {
  entry *item;
  int64_t count, capacity;
} entries;

const char *co_yaml_version(void) {
  return yaml_get_version_string();
}

// ---- errors ------------------------------------------------------------------------------------

// Adds a problem; the result is CO_OK while reading may go on.
static co_status problem(reader *r, long line, long column, const char *hint, const char *message) {
  CO_RETURN_IF_FAILED(
      co_diagnostics_add(r->problems, CO_ERR_CONFIG, r->name, line, column, hint, "%s", message));
  return ++r->problem_count < MAX_PROBLEMS ? CO_OK : CO_ERR_CONFIG;
}

static co_status fatal(reader *r, const yaml_mark_t *mark, const char *message) {
  CO_RETURN_IF_FAILED(problem(r, (long)mark->line + 1, (long)mark->column + 1, NULL, message));
  return CO_ERR_CONFIG;
}

// First byte of character `column` of line `line` (both from 0), or 0 beyond the end.
static char character_at(const reader *r, size_t line, size_t column) {
  const char *p = r->text, *end = r->text + r->length;
  for (; line && p < end; p++)
    line -= *p == '\n';
  for (; column && p < end && *p != '\n'; column--) {
    p++;
    while (p < end && ((unsigned char)*p & 0xC0) == 0x80)
      p++;
  }
  return p < end ? *p : '\0';
}

static co_status encoding_problem(reader *r, size_t offset) {
  long line = 1, column = 1;
  for (size_t i = 0; i < offset && i < r->length; i++) {
    column += ((unsigned char)r->text[i] & 0xC0) != 0x80;
    if (r->text[i] == '\n') {
      line++;
      column = 1;
    }
  }
  bool control = strstr(r->parser.problem, "control") != NULL;
  return problem(r, line, column, control ? NULL : "save the file in UTF-8",
                 control ? "control characters are not allowed" : "this is not UTF-8 text");
}

static co_status syntax_problem(reader *r) {
  const yaml_parser_t *p = &r->parser;
  if (p->error == YAML_MEMORY_ERROR) return co_fail(CO_ERR_MEMORY, "out of memory reading YAML");
  co_status status;
  if (p->error == YAML_READER_ERROR) {
    status = encoding_problem(r, p->problem_offset);
  } else {
    const char *what = p->problem ? p->problem : "syntax error";
    bool tab = character_at(r, p->problem_mark.line, p->problem_mark.column) == '\t';
    char *message = p->context ? co_arena_format(r->arena, "%s %s", what, p->context)
                               : co_arena_strdup(r->arena, what);
    if (!message) return CO_ERR_MEMORY;
    status = problem(r, (long)p->problem_mark.line + 1, (long)p->problem_mark.column + 1,
                     tab ? "indent with spaces, not with tabs" : NULL, message);
  }
  return status == CO_OK ? CO_ERR_CONFIG : status;
}

static co_status next_event(reader *r, yaml_event_t *event) {
  return yaml_parser_parse(&r->parser, event) ? CO_OK : syntax_problem(r);
}

// ---- nodes -------------------------------------------------------------------------------------

static bool is_null_text(const char *text) {
  return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
         strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static co_status check_properties(reader *r, const yaml_event_t *event) {
  const yaml_char_t *anchor = NULL, *tag = NULL;
  if (event->type == YAML_SCALAR_EVENT) {
    anchor = event->data.scalar.anchor;
    tag = event->data.scalar.tag;
  } else if (event->type == YAML_SEQUENCE_START_EVENT) {
    anchor = event->data.sequence_start.anchor;
    tag = event->data.sequence_start.tag;
  } else if (event->type == YAML_MAPPING_START_EVENT) {
    anchor = event->data.mapping_start.anchor;
    tag = event->data.mapping_start.tag;
  }
  long line = (long)event->start_mark.line + 1, column = (long)event->start_mark.column + 1;
  if (anchor)
    CO_RETURN_IF_FAILED(problem(r, line, column, "write the value out where it is used",
                                "anchors (&name) are not supported"));
  if (tag)
    CO_RETURN_IF_FAILED(problem(r, line, column, "remove it; types follow from the key",
                                "tags (!name) are not supported"));
  return CO_OK;
}

static co_status new_node(reader *r, const yaml_mark_t *mark, co_node **out) {
  if (++r->nodes > MAX_NODES) return fatal(r, mark, "more than a million values");
  co_node *node = co_arena_alloc(r->arena, 1, sizeof *node);
  if (!node) return CO_ERR_MEMORY;
  node->file = r->name;
  node->line = (long)mark->line + 1;
  node->column = (long)mark->column + 1;
  *out = node;
  return CO_OK;
}

static co_status fill_scalar(reader *r, const yaml_event_t *event, co_node *node) {
  const char *value = (const char *)event->data.scalar.value;
  if (strlen(value) != event->data.scalar.length)
    CO_RETURN_IF_FAILED(
        problem(r, node->line, node->column, NULL, "a NUL character is not allowed"));
  node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  if (!node->quoted && is_null_text(value)) return CO_OK; // CO_NODE_NULL
  node->kind = CO_NODE_SCALAR;
  node->text = co_arena_strdup(r->arena, value);
  return node->text ? CO_OK : CO_ERR_MEMORY;
}

static const char *key_fault(const yaml_event_t *event) {
  if (event->type != YAML_SCALAR_EVENT) return "a key must be a plain word or a string";
  const unsigned char *value = event->data.scalar.value;
  size_t length = event->data.scalar.length;
  if (length == 0) return "a key is missing before ':'";
  if (length > MAX_KEY_BYTES) return "a key of more than 255 bytes";
  for (size_t i = 0; i < length; i++)
    if (value[i] < 0x20) return "a key holds a control character";
  if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp((const char *)value, "<<") == 0)
    return "merge keys (<<) are not supported";
  return NULL;
}

static co_status read_node(reader *r, yaml_event_t *event, int depth, co_node **out);

// Reads a key and its value; a faulty key is reported and its value read and dropped.
static co_status read_pair(reader *r, yaml_event_t *event, int depth, entry *out) {
  yaml_mark_t mark = event->start_mark;
  const char *fault = key_fault(event);
  if (fault) {
    CO_RETURN_IF_FAILED(problem(r, (long)mark.line + 1, (long)mark.column + 1, NULL, fault));
    co_node *dropped;
    CO_RETURN_IF_FAILED(read_node(r, event, depth, &dropped));
  } else {
    CO_RETURN_IF_FAILED(check_properties(r, event));
    out->key = co_arena_strdup(r->arena, (const char *)event->data.scalar.value);
    if (!out->key) return CO_ERR_MEMORY;
  }
  yaml_event_t value;
  CO_RETURN_IF_FAILED(next_event(r, &value));
  co_status status = read_node(r, &value, depth, &out->value);
  yaml_event_delete(&value);
  if (status == CO_OK) {
    out->value->key_line = (long)mark.line + 1;
    out->value->key_column = (long)mark.column + 1;
  }
  return status;
}

static int compare_entries(const void *a, const void *b) {
  const entry *x = a, *y = b;
  int order = strcmp(x->key, y->key);
  if (order) return order;
  const co_node *p = x->value, *q = y->value;
  if (p->key_line != q->key_line) return p->key_line < q->key_line ? -1 : 1;
  return (p->key_column > q->key_column) - (p->key_column < q->key_column);
}

// By sorting a copy, as a map may have a million keys.
static co_status check_duplicates(reader *r, const entries *list) {
  if (list->count < 2) return CO_OK;
  entry *sorted = co_alloc_zero(r->ctx, (size_t)list->count, sizeof *sorted);
  if (!sorted) return CO_ERR_MEMORY;
  memcpy(sorted, list->item, (size_t)list->count * sizeof *sorted);
  qsort(sorted, (size_t)list->count, sizeof *sorted, compare_entries);
  co_status status = CO_OK;
  for (int64_t i = 1, first = 0; i < list->count && status == CO_OK; i++) {
    if (strcmp(sorted[i].key, sorted[first].key) != 0) {
      first = i;
      continue;
    }
    const co_node *again = sorted[i].value;
    char *message = co_arena_format(r->arena, "duplicate key '%s' (first in line %ld)",
                                    sorted[i].key, sorted[first].value->key_line);
    status =
        message ? problem(r, again->key_line, again->key_column, NULL, message) : CO_ERR_MEMORY;
  }
  co_free(r->ctx, sorted);
  return status;
}

static co_status store_entries(reader *r, const entries *list, co_node *node) {
  node->count = list->count;
  node->items = co_arena_alloc(r->arena, (size_t)list->count, sizeof *node->items);
  if (!node->items) return CO_ERR_MEMORY;
  if (node->kind == CO_NODE_MAP) {
    node->keys = co_arena_alloc(r->arena, (size_t)list->count, sizeof *node->keys);
    if (!node->keys) return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < list->count; i++) {
    node->items[i] = list->item[i].value;
    if (node->keys) node->keys[i] = list->item[i].key;
  }
  return node->keys ? check_duplicates(r, list) : CO_OK;
}

static co_status read_entries(reader *r, int depth, co_node *node, entries *list) {
  bool map = node->kind == CO_NODE_MAP;
  for (;;) {
    yaml_event_t event;
    CO_RETURN_IF_FAILED(next_event(r, &event));
    if (event.type == (map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT)) {
      yaml_event_delete(&event);
      return store_entries(r, list, node);
    }
    entry e = {0};
    co_status status =
        map ? read_pair(r, &event, depth, &e) : read_node(r, &event, depth, &e.value);
    yaml_event_delete(&event);
    if (status != CO_OK) return status;
    if (map && !e.key) continue;
    void *items = list->item;
    CO_RETURN_IF_FAILED(co_grow(r->ctx, &items, &list->capacity, list->count, sizeof e));
    list->item = items;
    list->item[list->count++] = e;
  }
}

// Reads the node that starts with `event`, which stays the caller's; `depth` is that of what
// holds it.
static co_status read_node(reader *r, yaml_event_t *event, int depth, co_node **out) {
  CO_RETURN_IF_FAILED(new_node(r, &event->start_mark, out));
  CO_RETURN_IF_FAILED(check_properties(r, event));
  if (event->type == YAML_SCALAR_EVENT) return fill_scalar(r, event, *out);
  if (event->type == YAML_ALIAS_EVENT)
    return problem(r, (*out)->line, (*out)->column, "write the value out",
                   "aliases (*name) are not supported");
  if (depth >= MAX_DEPTH) return fatal(r, &event->start_mark, "nested deeper than 64 levels");
  (*out)->kind = event->type == YAML_MAPPING_START_EVENT ? CO_NODE_MAP : CO_NODE_LIST;
  entries list = {0};
  co_status status = read_entries(r, depth + 1, *out, &list);
  if (list.item) co_free(r->ctx, list.item);
  return status;
}

// ---- documents ---------------------------------------------------------------------------------

// Reads the only document; `event` is its start.
static co_status read_document(reader *r, co_node **out) {
  yaml_event_t event;
  CO_RETURN_IF_FAILED(next_event(r, &event));
  bool empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
               event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  co_status status = read_node(r, &event, 0, out);
  yaml_event_delete(&event);
  if (status != CO_OK) return status;
  if (empty) (*out)->kind = CO_NODE_MAP;
  CO_RETURN_IF_FAILED(next_event(r, &event)); // the document's end
  yaml_event_delete(&event);
  CO_RETURN_IF_FAILED(next_event(r, &event));
  if (event.type == YAML_DOCUMENT_START_EVENT)
    status = problem(r, (long)event.start_mark.line + 1, (long)event.start_mark.column + 1,
                     "keep one document per file", "a second document ('---') is not supported");
  yaml_event_delete(&event);
  return status;
}

static co_status read_stream(reader *r, co_node **out) {
  yaml_event_t event;
  CO_RETURN_IF_FAILED(next_event(r, &event)); // the stream's start
  yaml_event_delete(&event);
  CO_RETURN_IF_FAILED(next_event(r, &event));
  bool document = event.type == YAML_DOCUMENT_START_EVENT;
  yaml_mark_t mark = event.start_mark;
  yaml_event_delete(&event);
  if (document) return read_document(r, out);
  CO_RETURN_IF_FAILED(new_node(r, &mark, out));
  (*out)->kind = CO_NODE_MAP;
  return CO_OK;
}

co_status co_yaml_parse(co_node **out, co_arena *arena, const char *name, const char *text,
                        size_t length, co_diagnostics *problems) {
  *out = NULL;
  reader r = {.arena = arena,
              .ctx = co_arena_context(arena),
              .problems = problems,
              .name = co_arena_strdup(arena, name),
              .text = text,
              .length = length};
  if (!r.name) return CO_ERR_MEMORY;
  if (!yaml_parser_initialize(&r.parser)) return co_fail(CO_ERR_MEMORY, "out of memory");
  yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
  int64_t before = problems->count;
  co_status status = read_stream(&r, out);
  yaml_parser_delete(&r.parser);
  if (status != CO_OK) *out = NULL;
  if (status == CO_ERR_MEMORY) return status;
  return problems->count > before ? co_error_raise(&problems->item[before]) : CO_OK;
}

co_status co_yaml_read_file(co_node **out, co_arena *arena, const char *path,
                            co_diagnostics *problems) {
  *out = NULL;
  co_context *ctx = co_arena_context(arena);
  char *text;
  size_t length;
  co_status status = co_read_file(ctx, path, MAX_FILE_BYTES, CO_ERR_CONFIG, &text, &length);
  if (status == CO_ERR_MEMORY) return status;
  if (status != CO_OK) {
    CO_RETURN_IF_FAILED(co_diagnostics_add_last(problems));
    return status;
  }
  const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
  status = co_yaml_parse(out, arena, name, text, length, problems);
  co_free(ctx, text);
  return status;
}
