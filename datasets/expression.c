// SPDX-License-Identifier: Apache-2.0
#include "datasets/expression.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "datasets/cell.h"

enum { MOST_DEPTH = 64, MOST_TEXT = 10000 };

typedef enum node_kind {
  NUMBER,
  TEXT,
  COLUMN,
  ADD,
  SUBTRACT,
  MULTIPLY,
  DIVIDE,
  NEGATE,
  EQUAL, // from here on: conditions
  UNEQUAL,
  LESS,
  LESS_EQUAL,
  GREATER,
  GREATER_EQUAL,
  LIKE,
  IS_NULL,
  NOT,
  AND,
  OR
} node_kind;

typedef struct node {
  node_kind kind;
  double number;
  const char *text;
  size_t length;
  int64_t column;
  const struct node *a, *b;
} node;

struct co_expression {
  const node *root;
  bool decimal_comma; // of cells
};

typedef struct parser {
  co_arena *arena;
  const char *option, *text, *at;
  co_expression_find find;
  void *user;
  int depth;
} parser;

static co_status wrong(const parser *p, const char *what) {
  co_status status = co_fail(CO_ERR_USAGE, "%s '%.200s': %s at byte %lld", p->option, p->text, what,
                             (long long)(p->at - p->text) + 1);
  co_hint("columns, numbers, 'texts', + - * /, = != < <= > >=, like, is null, and, or, not, ( )");
  return status;
}

static void skip_blanks(parser *p) {
  while (isspace((unsigned char)*p->at))
    p->at++;
}

static bool is_word(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

// Takes a symbol, or a word in any case, if it comes next.
static bool take(parser *p, const char *token) {
  size_t length = strlen(token);
  skip_blanks(p);
  if (strncasecmp(p->at, token, length) != 0) return false;
  if (isalpha((unsigned char)*token) && is_word(p->at[length])) return false;
  p->at += length;
  return true;
}

static co_status make(parser *p, node_kind kind, const node *a, const node *b, const node **out) {
  node *made = co_arena_alloc(p->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (node){.kind = kind, .a = a, .b = b};
  *out = made;
  return CO_OK;
}

// Text up to the closing quote, which stands for itself where it is doubled.
static co_status take_quoted(parser *p, const char **out, size_t *length) {
  char quote = *p->at++;
  char *text = co_arena_alloc(p->arena, strlen(p->at) + 1, 1);
  if (!text) return CO_ERR_MEMORY;
  for (*length = 0;; p->at++) {
    if (!*p->at) return wrong(p, "a quote is not closed");
    if (*p->at == quote && *++p->at != quote) break;
    text[(*length)++] = *p->at;
  }
  text[*length] = '\0';
  *out = text;
  return CO_OK;
}

static co_status take_column(parser *p, const node **out) {
  const char *name;
  size_t length;
  if (*p->at == '"') {
    CO_RETURN_IF_FAILED(take_quoted(p, &name, &length));
  } else {
    for (length = 0; is_word(p->at[length]);)
      length++;
    if (!(name = co_arena_strndup(p->arena, p->at, length))) return CO_ERR_MEMORY;
    p->at += length;
  }
  int64_t column = p->find(p->user, name);
  if (column < 0) {
    co_status status = co_fail(CO_ERR_DATA, "%s: there is no column '%.200s'", p->option, name);
    co_hint("columns are called as in the file's header; texts stand in single quotes");
    return status;
  }
  node *made = co_arena_alloc(p->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (node){.kind = COLUMN, .column = column};
  *out = made;
  return CO_OK;
}

static co_status take_number(parser *p, const node **out) {
  const char *end = p->at;
  while (isalnum((unsigned char)*end) || *end == '.' ||
         ((*end == '-' || *end == '+') && (end[-1] == 'e' || end[-1] == 'E')))
    end++;
  const co_cell cell = {p->at, (size_t)(end - p->at)};
  node *made = co_arena_alloc(p->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (node){.kind = NUMBER};
  if (co_cell_read(&cell, &made->number) != CO_CELL_NUMBER) return wrong(p, "no number");
  p->at = end;
  *out = made;
  return CO_OK;
}

static co_status parse_or(parser *p, const node **out);

static bool is_condition(const node *n) {
  return n->kind >= EQUAL;
}

static co_status parse_primary(parser *p, const node **out) {
  skip_blanks(p);
  if (take(p, "(")) {
    CO_RETURN_IF_FAILED(parse_or(p, out));
    return take(p, ")") ? CO_OK : wrong(p, "a parenthesis is not closed");
  }
  if (*p->at == '\'') {
    node *made = co_arena_alloc(p->arena, 1, sizeof *made);
    if (!made) return CO_ERR_MEMORY;
    *made = (node){.kind = TEXT};
    *out = made;
    return take_quoted(p, &made->text, &made->length);
  }
  if (isdigit((unsigned char)*p->at) || (*p->at == '.' && isdigit((unsigned char)p->at[1])))
    return take_number(p, out);
  if (*p->at == '"' || (is_word(*p->at) && *p->at != '.')) return take_column(p, out);
  return wrong(p, *p->at ? "not understood" : "something is missing");
}

static co_status parse_unary(parser *p, const node **out) {
  if (!take(p, "-")) return parse_primary(p, out);
  const node *a;
  if (p->depth++ > MOST_DEPTH) return wrong(p, "nested too deep");
  CO_RETURN_IF_FAILED(parse_unary(p, &a));
  p->depth--;
  if (is_condition(a) || a->kind == TEXT) return wrong(p, "a number is wanted");
  return make(p, NEGATE, a, NULL, out);
}

typedef co_status level(parser *p, const node **out);

// a OP b OP c, from the left; both sides conditions, or both none.
static co_status parse_chain(parser *p, level *next, const char *const *tokens,
                             const node_kind *kinds, bool conditions, const node **out) {
  CO_RETURN_IF_FAILED(next(p, out));
  for (;;) {
    int i = 0;
    while (tokens[i] && !take(p, tokens[i]))
      i++;
    if (!tokens[i]) return CO_OK;
    const node *a = *out, *b;
    CO_RETURN_IF_FAILED(next(p, &b));
    if (is_condition(a) != conditions || is_condition(b) != conditions || a->kind == TEXT ||
        b->kind == TEXT)
      return wrong(p, conditions ? "a condition is wanted" : "a number is wanted");
    CO_RETURN_IF_FAILED(make(p, kinds[i], a, b, out));
  }
}

static co_status parse_product(parser *p, const node **out) {
  static const char *const tokens[] = {"*", "/", NULL};
  static const node_kind kinds[] = {MULTIPLY, DIVIDE};
  return parse_chain(p, parse_unary, tokens, kinds, false, out);
}

static co_status parse_sum(parser *p, const node **out) {
  static const char *const tokens[] = {"+", "-", NULL};
  static const node_kind kinds[] = {ADD, SUBTRACT};
  return parse_chain(p, parse_product, tokens, kinds, false, out);
}

static co_status negate_if(parser *p, bool negated, const node **out) {
  return negated ? make(p, NOT, *out, NULL, out) : CO_OK;
}

static co_status parse_like(parser *p, const node *a, bool negated, const node **out) {
  const node *b;
  CO_RETURN_IF_FAILED(parse_primary(p, &b));
  if (b->kind != TEXT) return wrong(p, "like wants a 'text'");
  CO_RETURN_IF_FAILED(make(p, LIKE, a, b, out));
  return negate_if(p, negated, out);
}

static co_status parse_predicate(parser *p, const node **out) {
  static const char *const tokens[] = {"==", "=", "!=", "<>", "<=", ">=", "<", ">", NULL};
  static const node_kind kinds[] = {EQUAL,      EQUAL,         UNEQUAL, UNEQUAL,
                                    LESS_EQUAL, GREATER_EQUAL, LESS,    GREATER};
  const node *a, *b;
  CO_RETURN_IF_FAILED(parse_sum(p, &a));
  *out = a;
  if (is_condition(a)) return CO_OK;
  if (take(p, "is")) {
    bool negated = take(p, "not");
    if (!take(p, "null")) return wrong(p, "is [not] null is wanted");
    CO_RETURN_IF_FAILED(make(p, IS_NULL, a, NULL, out));
    return negate_if(p, negated, out);
  }
  if (take(p, "like")) return parse_like(p, a, false, out);
  const char *before = p->at;
  if (take(p, "not")) {
    if (take(p, "like")) return parse_like(p, a, true, out);
    p->at = before;
  }
  for (int i = 0; tokens[i]; i++) {
    if (!take(p, tokens[i])) continue;
    CO_RETURN_IF_FAILED(parse_sum(p, &b));
    if (is_condition(b)) return wrong(p, "a number or a text is wanted");
    return make(p, kinds[i], a, b, out);
  }
  return CO_OK;
}

static co_status parse_not(parser *p, const node **out) {
  if (!take(p, "not")) return parse_predicate(p, out);
  const node *a;
  if (p->depth++ > MOST_DEPTH) return wrong(p, "nested too deep");
  CO_RETURN_IF_FAILED(parse_not(p, &a));
  p->depth--;
  if (!is_condition(a)) return wrong(p, "a condition is wanted");
  return make(p, NOT, a, NULL, out);
}

static co_status parse_and(parser *p, const node **out) {
  static const char *const tokens[] = {"and", NULL};
  static const node_kind kinds[] = {AND};
  return parse_chain(p, parse_not, tokens, kinds, true, out);
}

static co_status parse_or(parser *p, const node **out) {
  static const char *const tokens[] = {"or", NULL};
  static const node_kind kinds[] = {OR};
  if (p->depth++ > MOST_DEPTH) return wrong(p, "nested too deep");
  CO_RETURN_IF_FAILED(parse_chain(p, parse_and, tokens, kinds, true, out));
  p->depth--;
  return CO_OK;
}

co_status co_expression_parse(co_expression **out, co_arena *arena, const char *option,
                              const char *text, bool condition, co_expression_find find,
                              void *user) {
  parser p = {
      .arena = arena, .option = option, .text = text, .at = text, .find = find, .user = user};
  if (strlen(text) > MOST_TEXT)
    return co_fail(CO_ERR_USAGE, "%s: longer than %d bytes", option, MOST_TEXT);
  co_expression *made = *out = co_arena_alloc(arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(parse_or(&p, &made->root));
  skip_blanks(&p);
  if (*p.at) return wrong(&p, "not understood");
  if (is_condition(made->root) != condition || made->root->kind == TEXT)
    return wrong(&p, condition ? "a condition is wanted" : "a number is wanted");
  return CO_OK;
}

// ---- values ------------------------------------------------------------------------------------

typedef struct value {
  bool missing, is_text;
  double number;
  const char *text;
  size_t length;
} value;

typedef struct evaluation {
  const co_cell *row;
  const int64_t *map;
  int64_t bad;
  bool decimal_comma;
} evaluation;

static const value nothing = {.missing = true};

static double number_of(evaluation *e, const node *n, const value *v) {
  if (v->missing || !v->is_text) return v->missing ? (double)NAN : v->number;
  const co_cell cell = {v->text, v->length};
  double number;
  if (co_cell_read_as(&cell, e->decimal_comma, &number) == CO_CELL_NUMBER) return number;
  if (e->bad < 0 && n->kind == COLUMN) e->bad = n->column;
  return NAN;
}

static value as_value(double number) {
  return isfinite(number) ? (value){.number = number} : nothing;
}

// % any text, _ any one byte of ASCII or character of more bytes.
static bool is_like(const char *text, const char *end, const char *pattern, const char *last) {
  const char *star = NULL, *mark = text;
  while (text < end) {
    if (pattern < last && *pattern == '%') {
      star = ++pattern;
      mark = text;
    } else if (pattern < last && *pattern == '_') {
      pattern++;
      do
        text++;
      while (text < end && ((unsigned char)*text & 0xC0) == 0x80);
    } else if (pattern < last && *pattern == *text) {
      pattern++;
      text++;
    } else if (star) {
      pattern = star;
      text = ++mark;
    } else {
      return false;
    }
  }
  while (pattern < last && *pattern == '%')
    pattern++;
  return pattern == last;
}

static bool decide(node_kind kind, int order) {
  switch (kind) {
  case EQUAL:
    return order == 0;
  case UNEQUAL:
    return order != 0;
  case LESS:
    return order < 0;
  case LESS_EQUAL:
    return order <= 0;
  case GREATER:
    return order > 0;
  default:
    return order >= 0;
  }
}

static bool reads_number(const evaluation *e, const value *v, double *number) {
  const co_cell cell = {v->text, v->length};
  if (!v->is_text) *number = v->number;
  return !v->is_text || co_cell_read_as(&cell, e->decimal_comma, number) == CO_CELL_NUMBER;
}

// Texts in quotes are compared as texts, by their bytes; else numbers as numbers where both are
// some. A cell that is none is unequal to any number, and neither less nor greater: an error.
static value compare(evaluation *e, const node *n, const value *a, const value *b) {
  double x, y;
  if (n->a->kind != TEXT && n->b->kind != TEXT && reads_number(e, a, &x) && reads_number(e, b, &y))
    return as_value(decide(n->kind, (x > y) - (x < y)));
  if (a->is_text && b->is_text) {
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, shorter);
    if (!order) order = (a->length > b->length) - (a->length < b->length);
    return as_value(decide(n->kind, order));
  }
  if (n->kind == EQUAL || n->kind == UNEQUAL) return as_value(n->kind == UNEQUAL);
  number_of(e, n->a, a);
  number_of(e, n->b, b);
  return nothing;
}

static value evaluate(evaluation *e, const node *n);

// Three-valued: a false side decides an AND, a true one an OR, whatever is missing.
static value join(evaluation *e, const node *n) {
  bool decisive = n->kind == OR;
  const value a = evaluate(e, n->a);
  if (!a.missing && (a.number != 0) == decisive) return a;
  const value b = evaluate(e, n->b);
  if (!b.missing && (b.number != 0) == decisive) return b;
  return a.missing ? a : b;
}

static value evaluate(evaluation *e, const node *n) {
  switch (n->kind) {
  case NUMBER:
    return (value){.number = n->number};
  case TEXT:
    return (value){.is_text = true, .text = n->text, .length = n->length};
  case COLUMN: {
    const co_cell cell = co_cell_trim(&e->row[e->map ? e->map[n->column] : n->column], NULL);
    return (value){.missing = co_cell_is_missing(&cell),
                   .is_text = true,
                   .text = cell.text,
                   .length = cell.length};
  }
  case AND:
  case OR:
    return join(e, n);
  default:
    break;
  }
  const value a = evaluate(e, n->a);
  if (n->kind == IS_NULL) return as_value(a.missing);
  if (n->kind == NOT) return a.missing ? a : as_value(a.number == 0);
  if (n->kind == NEGATE) return as_value(-number_of(e, n->a, &a));
  const value b = evaluate(e, n->b);
  if (a.missing || b.missing) return nothing;
  if (n->kind == LIKE)
    return a.is_text ? as_value(is_like(a.text, a.text + a.length, b.text, b.text + b.length))
                     : nothing;
  if (n->kind >= EQUAL) return compare(e, n, &a, &b);
  double x = number_of(e, n->a, &a), y = number_of(e, n->b, &b);
  return as_value(n->kind == ADD        ? x + y
                  : n->kind == SUBTRACT ? x - y
                  : n->kind == MULTIPLY ? x * y
                                        : x / y);
}

void co_expression_read_as(co_expression *expression, bool decimal_comma) {
  expression->decimal_comma = decimal_comma;
}

double co_expression_value(const co_expression *expression, const co_cell *row, const int64_t *map,
                           int64_t *bad) {
  evaluation e = {.row = row, .map = map, .bad = -1, .decimal_comma = expression->decimal_comma};
  const value v = evaluate(&e, expression->root);
  *bad = e.bad;
  if (e.bad >= 0) return NAN;
  if (expression->root->kind >= EQUAL) return !v.missing && v.number != 0;
  double number = number_of(&e, expression->root, &v);
  *bad = e.bad;
  return number;
}
