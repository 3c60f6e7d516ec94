// SPDX-License-Identifier: Apache-2.0
// RFC 4180 (Y. Shafranovich, 2005): a field in quotes holds anything, with each quote doubled; one
// without holds no quote. UTF-8 is well-formed as in the Unicode Standard, table 3-7.
#include "datasets/csv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/source.h"

enum { BUFFER_BYTES = 1 << 18 };

struct co_csv {
  co_context *ctx;
  co_arena *arena;
  const char *path;
  co_source *source;
  unsigned char *buffer; // contents [offset, offset + end), of which `at` bytes are read
  size_t at, end;
  int64_t offset;
  bool finished; // the source is
  char delimiter;
  bool special[256]; // bytes that a run of plain ones ends at
  char *text;        // of the row: fields, each with a NUL behind it
  size_t length, capacity;
  size_t *begin; // of each field in it
  int64_t fields, field_capacity;
  co_csv_field *shown;
  const char **names; // NULL until the header is read
  int64_t columns;
  int64_t line, row_line, row; // in work
};

typedef enum field_end { FIELD_DELIMITER, FIELD_LINE, FIELD_FILE } field_end;

// ---- errors ------------------------------------------------------------------------------------

static co_status wrong(const co_csv *c, int64_t column, const char *format, va_list arguments) {
  char text[512], name[224] = "";
  vsnprintf(text, sizeof text, format, arguments);
  if (column >= 0 && c->names && column < c->columns)
    snprintf(name, sizeof name, ", column '%.200s'", c->names[column]);
  else if (column >= 0)
    snprintf(name, sizeof name, ", column %" PRId64, column + 1);
  if (!c->names)
    return co_fail_at(CO_ERR_DATA, c->path, (long)c->row_line, 0, "header%s: %s", name, text);
  return co_fail_at(CO_ERR_DATA, c->path, (long)c->row_line, 0, "row %" PRId64 "%s: %s", c->row,
                    name, text);
}

co_status co_csv_wrong(const co_csv *c, int64_t column, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  co_status status = wrong(c, column, format, arguments);
  va_end(arguments);
  return status;
}

// In the field that is being read.
static co_status bad_field(const co_csv *c, const char *format, ...) CO_PRINTF(2, 3);
static co_status bad_field(const co_csv *c, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  co_status status = wrong(c, c->fields - 1, format, arguments);
  va_end(arguments);
  return status;
}

static co_status bad_character(const co_csv *c, unsigned char first, int64_t at) {
  co_status status =
      bad_field(c, "the text is not UTF-8 at 0x%02X, byte %" PRId64 " of the text", first, at);
  co_hint("convert the file, for example with iconv -f LATIN1 -t UTF-8");
  return status;
}

static co_status nul_byte(const co_csv *c) {
  return bad_field(c, "a NUL byte, byte %" PRId64 " of the text", c->offset + (int64_t)c->at);
}

// ---- bytes -------------------------------------------------------------------------------------

// Fills the buffer up; what is unread stays.
static co_status top_up(co_csv *c) {
  size_t got;
  if (c->finished) return CO_OK;
  memmove(c->buffer, c->buffer + c->at, c->end - c->at);
  c->offset += (int64_t)c->at;
  c->end -= c->at;
  c->at = 0;
  co_status status = co_source_read(c->source, c->buffer + c->end, BUFFER_BYTES - c->end, &got);
  if (status == CO_ERR_DATA && c->names) co_note("after row %" PRId64, c->row - 1);
  CO_RETURN_IF_FAILED(status);
  c->finished = got < BUFFER_BYTES - c->end;
  c->end += got;
  return CO_OK;
}

// The next byte, which stays unread; -1 at the end.
static co_status peek(co_csv *c, int *byte) {
  if (c->at == c->end) CO_RETURN_IF_FAILED(top_up(c));
  *byte = c->at < c->end ? c->buffer[c->at] : -1;
  return CO_OK;
}

static co_status make_room(co_csv *c, size_t more) {
  size_t field = c->length - c->begin[c->fields - 1];
  if (more > CO_CSV_MAX_FIELD - field)
    return bad_field(c, "a field of more than %d MiB; is a quote missing?", CO_CSV_MAX_FIELD >> 20);
  if (more + 1 > CO_CSV_MAX_ROW - c->length)
    return bad_field(c, "a row of more than %d MiB", CO_CSV_MAX_ROW >> 20);
  if (c->capacity - c->length > more) return CO_OK;
  size_t capacity = 2 * c->capacity > c->length + more + 1 ? 2 * c->capacity : c->length + more + 1;
  char *grown = co_realloc(c->ctx, c->text, capacity);
  if (!grown) return CO_ERR_MEMORY;
  c->text = grown;
  c->capacity = capacity;
  return CO_OK;
}

static co_status append(co_csv *c, const void *bytes, size_t length) {
  CO_RETURN_IF_FAILED(make_room(c, length));
  memcpy(c->text + c->length, bytes, length);
  c->length += length;
  return CO_OK;
}

// Takes the bytes up to the next special one.
static co_status take_plain(co_csv *c) {
  size_t from = c->at;
  while (c->at < c->end && !c->special[c->buffer[c->at]])
    c->at++;
  return append(c, c->buffer + from, c->at - from);
}

static co_status take_byte(co_csv *c) {
  return append(c, c->buffer + c->at++, 1);
}

// A character of several bytes, of which the first is next.
static co_status take_wide(co_csv *c) {
  unsigned char first = c->buffer[c->at];
  int following = first < 0xC2 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : 0;
  int low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  int high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  int64_t at = c->offset + (int64_t)c->at;
  if (!following) return bad_character(c, first, at);
  CO_RETURN_IF_FAILED(take_byte(c));
  for (int i = 0; i < following; i++) {
    int byte;
    CO_RETURN_IF_FAILED(peek(c, &byte));
    if (byte < low || byte > high) return bad_character(c, first, at);
    CO_RETURN_IF_FAILED(take_byte(c));
    low = 0x80;
    high = 0xBF;
  }
  return CO_OK;
}

// LF, CRLF or a CR alone.
static co_status take_line_end(co_csv *c) {
  int byte = c->buffer[c->at++], next;
  c->line++;
  if (byte == '\n') return CO_OK;
  CO_RETURN_IF_FAILED(peek(c, &next));
  c->at += next == '\n';
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status begin_field(co_csv *c) {
  if (c->fields == CO_CSV_MAX_COLUMNS)
    return bad_field(c, "more than %d columns", CO_CSV_MAX_COLUMNS);
  CO_RETURN_IF_FAILED(
      co_grow(c->ctx, (void **)&c->begin, &c->field_capacity, c->fields, sizeof *c->begin));
  c->begin[c->fields++] = c->length;
  return CO_OK;
}

// What stands behind a field: its end, which is taken.
static co_status end_field(co_csv *c, int byte, field_end *end) {
  CO_RETURN_IF_FAILED(append(c, "", 1));
  *end = byte < 0 ? FIELD_FILE : byte == c->delimiter ? FIELD_DELIMITER : FIELD_LINE;
  if (*end == FIELD_LINE) return take_line_end(c);
  c->at += *end == FIELD_DELIMITER;
  return CO_OK;
}

static bool ends_field(const co_csv *c, int byte) {
  return byte < 0 || byte == c->delimiter || byte == '\n' || byte == '\r';
}

static co_status read_plain(co_csv *c, field_end *end) {
  for (;;) {
    int byte;
    CO_RETURN_IF_FAILED(take_plain(c));
    CO_RETURN_IF_FAILED(peek(c, &byte));
    if (ends_field(c, byte)) return end_field(c, byte, end);
    if (byte == '"') {
      co_status status = bad_field(c, "a quote within a field that does not begin with one");
      co_hint("such a field stands in quotes, with each quote in it doubled");
      return status;
    }
    if (!byte) return nul_byte(c);
    if (byte >= 0x80) CO_RETURN_IF_FAILED(take_wide(c));
  }
}

static co_status read_quoted(co_csv *c, field_end *end) {
  c->at++;
  for (;;) {
    int byte;
    CO_RETURN_IF_FAILED(take_plain(c));
    CO_RETURN_IF_FAILED(peek(c, &byte));
    if (byte < 0) return bad_field(c, "the quote that opens the field is never closed");
    if (!byte) return nul_byte(c);
    if (byte >= 0x80) {
      CO_RETURN_IF_FAILED(take_wide(c));
      continue;
    }
    if (byte == '"') {
      c->at++;
      CO_RETURN_IF_FAILED(peek(c, &byte));
      if (ends_field(c, byte)) return end_field(c, byte, end);
      if (byte != '"') {
        co_status status = bad_field(c, "text after the quote that closes the field");
        co_hint("a quote within a field in quotes is doubled");
        return status;
      }
    }
    c->line += byte == '\n';
    if (c->at < c->end && c->special[c->buffer[c->at]]) CO_RETURN_IF_FAILED(take_byte(c));
  }
}

// Reads a row, whatever its number of fields; *more is false at the end. The first line that has
// a character counts.
static co_status read_row(co_csv *c, bool *more) {
  int byte;
  *more = false;
  for (;;) {
    CO_RETURN_IF_FAILED(peek(c, &byte));
    if (byte != '\n' && byte != '\r') break;
    CO_RETURN_IF_FAILED(take_line_end(c));
  }
  if (byte < 0) return CO_OK;
  *more = true;
  c->fields = 0;
  c->length = 0;
  c->row_line = c->line;
  for (field_end end = FIELD_DELIMITER; end == FIELD_DELIMITER;) {
    CO_RETURN_IF_FAILED(begin_field(c));
    CO_RETURN_IF_FAILED(peek(c, &byte));
    CO_RETURN_IF_FAILED(byte == '"' ? read_quoted(c, &end) : read_plain(c, &end));
  }
  return CO_OK;
}

static void show_row(co_csv *c) {
  for (int64_t i = 0; i < c->fields; i++) {
    size_t next = i + 1 < c->fields ? c->begin[i + 1] : c->length;
    c->shown[i] = (co_csv_field){c->text + c->begin[i], next - c->begin[i] - 1};
  }
}

co_status co_csv_next(co_csv *c, const co_csv_field **fields) {
  bool more;
  *fields = NULL;
  c->row++;
  CO_RETURN_IF_FAILED(read_row(c, &more));
  if (!more) {
    c->row--;
    return CO_OK;
  }
  if (c->fields != c->columns) {
    co_status status = co_csv_wrong(c, -1, "%" PRId64 " field%s instead of %" PRId64, c->fields,
                                    c->fields == 1 ? "" : "s", c->columns);
    co_hint("a field with a delimiter (here %s) or a line end in it stands in quotes",
            c->delimiter == '\t' ? "a tab" : (const char[]){c->delimiter, '\0'});
    return status;
  }
  show_row(c);
  *fields = c->shown;
  return CO_OK;
}

// ---- opening -----------------------------------------------------------------------------------

// How the beginning of a file reads with a delimiter.
typedef struct reading {
  int64_t first;          // fields of the first row
  int64_t rows, alike;    // those seen; those with as many fields
  int64_t fields, length; // of the row in work
} reading;

static void end_reading(reading *r) {
  if (!r->length) return;
  if (!r->rows) r->first = r->fields;
  r->rows++;
  r->alike += r->fields == r->first;
  r->fields = 1;
  r->length = 0;
}

static reading try_delimiter(const co_csv *c, char delimiter) {
  reading r = {.fields = 1};
  bool quoted = false, field_begins = true;
  for (size_t i = c->at; i < c->end; i++) {
    char byte = (char)c->buffer[i];
    if (byte == '"' && (quoted || field_begins)) {
      quoted = !quoted; // a doubled one closes and opens
      r.length++;
      field_begins = false;
    } else if (!quoted && (byte == '\n' || byte == '\r')) {
      end_reading(&r);
      field_begins = true;
    } else {
      bool ends = !quoted && byte == delimiter;
      r.fields += ends;
      r.length++;
      field_begins = ends;
    }
  }
  if (c->finished || !r.rows) end_reading(&r);
  return r;
}

// The delimiter that makes most rows as long as the first; of equals, the one that makes more fields.
static char find_delimiter(const co_csv *c) {
  static const char candidates[] = {',', ';', '\t', '|'};
  char best = ',';
  reading best_reading = {.rows = 1};
  for (size_t i = 0; i < sizeof candidates; i++) {
    reading r = try_delimiter(c, candidates[i]);
    int64_t a = r.alike * best_reading.rows, b = best_reading.alike * r.rows;
    if (r.first < 2 || a < b || (a == b && r.first <= best_reading.first)) continue;
    best = candidates[i];
    best_reading = r;
  }
  return best;
}

static co_status skip_mark(co_csv *c) {
  const unsigned char *p = c->buffer;
  if (c->end >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF))) {
    co_status status = co_fail_at(CO_ERR_DATA, c->path, 1, 0, "the text is UTF-16, not UTF-8");
    co_hint("convert the file with iconv -f UTF-16 -t UTF-8");
    return status;
  }
  if (c->end >= 3 && p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF) c->at = 3;
  return CO_OK;
}

static co_status skip_lines(co_csv *c, int64_t count) {
  for (int64_t i = 0; i < count;) {
    int byte;
    CO_RETURN_IF_FAILED(peek(c, &byte));
    if (byte < 0)
      return co_fail_at(CO_ERR_DATA, c->path, (long)c->line, 0,
                        "the file ends within the %" PRId64 " lines to be skipped", count);
    bool ends = byte == '\n' || byte == '\r';
    i += ends;
    if (ends)
      CO_RETURN_IF_FAILED(take_line_end(c));
    else
      c->at++;
  }
  return CO_OK;
}

static co_status take_names(co_csv *c, const char *const *names, int64_t count) {
  const char **made = co_arena_alloc(c->arena, (size_t)count + 1, sizeof *made);
  c->shown = co_arena_alloc(c->arena, (size_t)count + 1, sizeof *c->shown);
  if (!made || !c->shown) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    const char *from = names ? names[i] : c->text + c->begin[i];
    from += strspn(from, " \t\r\n");
    size_t length = strlen(from);
    while (length && strchr(" \t\r\n", from[length - 1]))
      length--;
    made[i] = length ? co_arena_strndup(c->arena, from, length)
                     : co_arena_format(c->arena, "column_%" PRId64, i + 1);
    if (!made[i]) return CO_ERR_MEMORY;
    for (int64_t k = 0; k < i; k++)
      if (strcmp(made[k], made[i]) == 0) {
        co_status status =
            co_csv_wrong(c, -1, "columns %" PRId64 " and %" PRId64 " are both called '%.200s'",
                         k + 1, i + 1, made[i]);
        co_hint("give other names by --header NAMES, and skip this line by --skip-lines 1");
        return status;
      }
  }
  c->columns = count;
  c->names = made;
  return CO_OK;
}

static co_status read_header(co_csv *c, const co_csv_options *options) {
  bool more;
  CO_RETURN_IF_FAILED(top_up(c));
  c->delimiter = options->delimiter ? options->delimiter : find_delimiter(c);
  c->special[(unsigned char)c->delimiter] = true;
  c->row_line = c->line;
  if (options->header) return take_names(c, options->header, options->header_count);
  CO_RETURN_IF_FAILED(read_row(c, &more));
  if (!more) return co_fail_at(CO_ERR_DATA, c->path, 0, 0, "there is no header and no row");
  return take_names(c, NULL, c->fields);
}

static co_status open_csv(co_csv *c, const co_csv_options *options) {
  unsigned char d = (unsigned char)options->delimiter;
  if (d && (d == '"' || d == '\n' || d == '\r' || d >= 0x80))
    return co_fail(CO_ERR_USAGE, "the delimiter must be one ASCII character, and no quote");
  for (int i = 0; i < 256; i++)
    c->special[i] = i == 0 || i >= 0x80 || i == '"' || i == '\n' || i == '\r';
  CO_RETURN_IF_FAILED(co_arena_create(&c->arena, c->ctx));
  if (!(c->buffer = co_alloc(c->ctx, BUFFER_BYTES))) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_source_open(&c->source, c->ctx, c->path));
  CO_RETURN_IF_FAILED(top_up(c));
  CO_RETURN_IF_FAILED(skip_mark(c));
  CO_RETURN_IF_FAILED(skip_lines(c, options->skip_lines));
  return read_header(c, options);
}

co_status co_csv_open(co_csv **out, co_context *ctx, const char *path,
                      const co_csv_options *options) {
  static const co_csv_options none;
  co_csv *c = *out = co_alloc_zero(ctx, 1, sizeof *c);
  if (!c) return CO_ERR_MEMORY;
  c->ctx = ctx;
  c->path = path;
  c->line = 1;
  co_status status = open_csv(c, options ? options : &none);
  if (status == CO_OK) return CO_OK;
  co_csv_close(c);
  *out = NULL;
  return status;
}

void co_csv_close(co_csv *c) {
  if (!c) return;
  co_source_close(c->source);
  co_free(c->ctx, c->buffer);
  co_free(c->ctx, c->text);
  co_free(c->ctx, c->begin);
  co_arena_free(c->arena);
  co_free(c->ctx, c);
}

char co_csv_delimiter(const co_csv *c) {
  return c->delimiter;
}

int64_t co_csv_column_count(const co_csv *c) {
  return c->columns;
}

const char *co_csv_column_name(const co_csv *c, int64_t column) {
  return c->names[column];
}

int64_t co_csv_find(const co_csv *c, const char *name) {
  for (int64_t i = 0; i < c->columns; i++)
    if (strcmp(c->names[i], name) == 0) return i;
  return -1;
}

int64_t co_csv_row(const co_csv *c) {
  return c->row;
}

int64_t co_csv_line(const co_csv *c) {
  return c->row_line;
}

int64_t co_csv_position(const co_csv *c) {
  return co_source_position(c->source);
}

int64_t co_csv_size(const co_csv *c) {
  return co_source_size(c->source);
}

void co_csv_digest(co_csv *c, char hex[65]) {
  co_source_digest(c->source, hex);
}
