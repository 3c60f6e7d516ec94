// SPDX-License-Identifier: Apache-2.0
// Trees and options structs as JSON and YAML. What is written reads back as the same.
#include <string.h>

#include "host/config/config.h"

// ---- JSON --------------------------------------------------------------------------------------

void co_fields_render(co_json *json, const co_field *fields, const void *options) {
  for (const co_field *f = fields; f->key; f++) {
    const void *at = (const char *)options + f->offset;
    co_json_key(json, f->key);
    switch (f->type) {
    case CO_FIELD_BOOL:
      co_json_bool(json, *(const bool *)at);
      break;
    case CO_FIELD_INT:
      co_json_int(json, *(const int64_t *)at);
      break;
    case CO_FIELD_DOUBLE:
      co_json_double(json, *(const double *)at);
      break;
    case CO_FIELD_STRING:
      co_json_string(json, *(const char *const *)at);
      break;
    case CO_FIELD_ENUM:
      co_json_string(json, f->words[*(const int *)at]);
      break;
    case CO_FIELD_PAIR:
      co_json_open(json, '[');
      co_json_int(json, ((const int64_t *)at)[0]);
      co_json_int(json, ((const int64_t *)at)[1]);
      co_json_close(json);
      break;
    case CO_FIELD_NODE:
      co_node_render(json, *(const co_node *const *)at);
      break;
    }
  }
}

// A number of JSON keeps its spelling: `1.10` may be meant as a name.
static bool is_json_number(const char *p) {
  p += *p == '-';
  if (*p == '0' && p[1] >= '0' && p[1] <= '9') return false;
  if (*p < '0' || *p > '9') return false;
  p += strspn(p, "0123456789");
  if (*p == '.' && (p[1] < '0' || p[1] > '9')) return false;
  return true; // the caller knows that it is a number; the exponent is the same in both
}

static void render_scalar(co_json *json, const co_node *node) {
  bool truth;
  int64_t integer;
  double number;
  if (co_node_bool(node, &truth))
    co_json_bool(json, truth);
  else if (co_node_double(node, &number) && is_json_number(node->text))
    co_json_raw(json, node->text);
  else if (co_node_int(node, &integer))
    co_json_int(json, integer);
  else if (co_node_double(node, &number))
    co_json_double(json, number);
  else
    co_json_string(json, node->text);
}

void co_node_render(co_json *json, const co_node *node) {
  if (!node || node->kind == CO_NODE_NULL) {
    co_json_null(json);
    return;
  }
  if (node->kind == CO_NODE_SCALAR) {
    render_scalar(json, node);
    return;
  }
  co_json_open(json, node->kind == CO_NODE_MAP ? '{' : '[');
  for (int64_t i = 0; i < node->count; i++) {
    if (node->kind == CO_NODE_MAP) co_json_key(json, node->keys[i]);
    co_node_render(json, node->items[i]);
  }
  co_json_close(json);
}

// ---- YAML --------------------------------------------------------------------------------------

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Words that some YAML reader takes for something else than text.
static bool is_reserved(const char *text) {
  static const char *const words[] = {"true", "false", "null", "yes", "no",  "on",
                                      "off",  "y",     "n",    "~",   "inf", "nan"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    const char *a = text, *b = words[i];
    while (*a && (*a | 0x20) == *b) {
      a++;
      b++;
    }
    if (!*a && !*b) return true;
  }
  return false;
}

// Text that stands without quotes and still reads as text.
static bool is_plain_word(const char *text) {
  if (!is_letter(*text) || strlen(text) > 200 || is_reserved(text)) return false;
  for (const char *p = text; *p; p++) {
    if (*p == ' ' && p[1] && p[1] != ' ') continue;
    if (!is_letter(*p) && !is_digit(*p) && !strchr("./+*%@()=<>-", *p)) return false;
  }
  return true;
}

static void indent(co_text *out, int level) {
  for (int i = 0; i < level; i++)
    co_text_append(out, "  ", 2);
}

// The code point at *p, which is moved behind it. The text is valid UTF-8: it came from the parser.
static unsigned next_character(const char **p) {
  const unsigned char *s = (const unsigned char *)*p;
  int more = s[0] >= 0xF0 ? 3 : s[0] >= 0xE0 ? 2 : s[0] >= 0xC0 ? 1 : 0;
  unsigned code = more == 3 ? s[0] & 7 : more == 2 ? s[0] & 15 : more == 1 ? s[0] & 31 : s[0];
  int used = 1;
  for (; used <= more && (s[used] & 0xC0) == 0x80; used++)
    code = code << 6 | (s[used] & 63);
  *p += used;
  return code;
}

// What YAML readers refuse or take for a line break.
static bool needs_escape(unsigned code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
         code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
}

static void write_quoted(co_text *out, const char *text) {
  co_text_append(out, "\"", 1);
  for (const char *p = text; *p;) {
    const char *start = p;
    unsigned code = next_character(&p);
    if (code == '"' || code == '\\')
      co_text_printf(out, "\\%c", (char)code);
    else if (code == '\n')
      co_text_append(out, "\\n", 2);
    else if (code == '\t')
      co_text_append(out, "\\t", 2);
    else if (needs_escape(code))
      co_text_printf(out, "\\u%04X", code);
    else
      co_text_append(out, start, (size_t)(p - start));
  }
  co_text_append(out, "\"", 1);
}

static void write_text(co_text *out, const char *text) {
  if (is_plain_word(text))
    co_text_append(out, text, strlen(text));
  else
    write_quoted(out, text);
}

static void write_scalar(co_text *out, const co_node *node) {
  bool truth;
  double number;
  if (co_node_bool(node, &truth) || co_node_double(node, &number))
    co_text_append(out, node->text, strlen(node->text));
  else
    write_text(out, node->text);
}

static bool is_container(const co_node *node) {
  return (node->kind == CO_NODE_MAP || node->kind == CO_NODE_LIST) && node->count > 0;
}

static bool is_short_list(const co_node *node) {
  if (node->kind != CO_NODE_LIST || node->count > 8) return false;
  for (int64_t i = 0; i < node->count; i++)
    if (node->items[i]->kind != CO_NODE_SCALAR || strlen(node->items[i]->text) > 24) return false;
  return true;
}

static void write_leaf(co_text *out, const co_node *node) {
  if (node->kind == CO_NODE_SCALAR) {
    write_scalar(out, node);
  } else if (node->kind == CO_NODE_NULL) {
    co_text_append(out, "null", 4);
  } else if (node->kind == CO_NODE_MAP) {
    co_text_append(out, "{}", 2);
  } else {
    co_text_append(out, "[", 1);
    for (int64_t i = 0; i < node->count; i++) {
      if (i) co_text_append(out, ", ", 2);
      write_scalar(out, node->items[i]);
    }
    co_text_append(out, "]", 1);
  }
}

// Writes the lines of a container. With `inline_first` the first one continues a line ("- ").
static void write_block(co_text *out, const co_node *node, int level, bool inline_first) {
  for (int64_t i = 0; i < node->count; i++) {
    const co_node *item = node->items[i];
    if (i || !inline_first) indent(out, level);
    bool block = is_container(item) && !is_short_list(item);
    if (node->kind == CO_NODE_MAP) {
      write_text(out, node->keys[i]);
      co_text_append(out, block ? ":\n" : ": ", 2);
    } else {
      co_text_append(out, "- ", 2);
    }
    if (block)
      write_block(out, item, level + 1, node->kind == CO_NODE_LIST);
    else
      write_leaf(out, item);
    if (!block) co_text_append(out, "\n", 1);
  }
}

co_status co_node_to_yaml(co_text *out, const co_node *node) {
  if (is_container(node) && !is_short_list(node)) {
    write_block(out, node, 0, false);
  } else {
    write_leaf(out, node);
    co_text_append(out, "\n", 1);
  }
  return out->status;
}
