// SPDX-License-Identifier: Apache-2.0
// Tables in text, RFC 4180 (Y. Shafranovich, 2005) with any of , ; tab | between the fields: a field
// in quotes holds anything, with each quote doubled; one without holds no quote. LF, CRLF or CR end
// lines; those without any character are passed over. UTF-8 is well-formed as in the Unicode
// Standard, table 3-7.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/text_rows.h"
#include "host/core/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct csv {
  co_text_rows text; // first
  bool header_read;  // rows have as many fields
} csv;

// The row in work.
typedef struct row {
  co_text_piece *piece;
  const csv *csv;
  const unsigned char *at;
  const unsigned char *begin;
  int64_t line, fields;
  const unsigned char *field;
} row;

typedef enum outcome {
  TAKEN,  // a field, another follows
  ENDED,  // the row's last
  CUT,    // the text goes on behind the piece's end
  DAMAGED // the row is rejected, and what follows it is next
} outcome;

// ---- bytes -------------------------------------------------------------------------------------

// The first special byte from `at` on; the zeros behind the text are such.
static const unsigned char *find_special(const csv *c, const unsigned char *at) {
#ifdef __SSE2__
  const __m128i delimiter = _mm_set1_epi8(c->text.base.delimiter), quote = _mm_set1_epi8('"'),
                lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
  for (;; at += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i found = _mm_or_si128(_mm_cmpeq_epi8(x, delimiter), _mm_cmpeq_epi8(x, lf));
    found = _mm_or_si128(found, _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, cr)));
    found =
        _mm_or_si128(found, _mm_or_si128(_mm_cmpeq_epi8(x, zero), x)); // the highest bit: no ASCII
    int mask = _mm_movemask_epi8(found);
    if (mask) return at + __builtin_ctz((unsigned)mask);
  }
#else
  while (*at && *at < 0x80 && *at != '"' && *at != '\n' && *at != '\r' &&
         *at != (unsigned char)c->text.base.delimiter)
    at++;
  return at;
#endif
}

static bool at_end(const row *r) {
  return r->at == r->piece->end;
}

// Passes over one line end, which is next. False: a CR may have its LF behind the piece's end.
static bool pass_line_end(row *r) {
  if (*r->at == '\r' && r->at + 1 == r->piece->end && !r->piece->last) return false;
  r->at += *r->at == '\r' && r->at + 1 < r->piece->end && r->at[1] == '\n' ? 2 : 1;
  return true;
}

// ---- what is wrong -----------------------------------------------------------------------------

// Goes on behind the line in which the damage is.
static outcome reject(row *r, const char *reason, const char *hint) {
  co_text_piece *p = r->piece;
  while (r->at < p->end && *r->at != '\n' && *r->at != '\r')
    r->at++;
  if (at_end(r) && !p->last && r->at - r->begin <= CO_ROWS_MAX_ROW) return CUT;
  const unsigned char *end = r->at;
  if (!at_end(r) && !pass_line_end(r)) return CUT;
  p->lines = r->line - 1 + (r->at > end);
  for (const unsigned char *at = r->begin; at < end; at++)
    p->lines += *at == '\n';
  co_text_piece_reject(p, r->begin, end, r->line, r->fields, reason, hint);
  return DAMAGED;
}

// A quote that is never closed may be the only damage: what follows its first line is taken again.
static outcome reject_open_quote(row *r, const char *reason) {
  r->at = r->field;
  return reject(r, reason, "close it; --no-quotes reads files whose quotes are text");
}

static outcome reject_character(row *r) {
  char reason[160];
  const char *hint = NULL;
  if (!r->piece->last && r->piece->end - r->at < 4 && *r->at) return CUT;
  co_text_piece_explain(r->piece, r->at, reason, &hint);
  return reject(r, reason, hint);
}

// ---- fields ------------------------------------------------------------------------------------

// Behind a field: what ends it is next, or the end of the text.
static outcome end_field(row *r, const char *text, size_t length) {
  co_text_piece *p = r->piece;
  if (at_end(r) && !p->last) return CUT;
  if (length > CO_ROWS_MAX_CELL)
    return reject_open_quote(r, "a field of more than 10 MiB; is a quote missing?");
  bool more = !at_end(r) && *r->at == (unsigned char)r->csv->text.base.delimiter;
  if (!more && !at_end(r)) {
    if (!pass_line_end(r)) return CUT;
    p->lines++;
  }
  r->at += more;
  co_text_piece_add(p, text, length);
  if (p->status != CO_OK) return DAMAGED;
  r->fields++;
  return more ? TAKEN : ENDED;
}

static outcome read_plain(row *r) {
  const csv *c = r->csv;
  for (r->field = r->at;;) {
    r->at = find_special(c, r->at);
    unsigned char byte = *r->at;
    if (byte >= 0x80) {
      size_t length = co_utf8_length((const char *)r->at);
      if (!length) return reject_character(r);
      r->at += length;
    } else if (byte == '"') {
      if (!c->text.options->no_quotes)
        return reject(r, "a quote within a field that does not begin with one",
                      "such a field stands in quotes, with each quote in it doubled; --no-quotes "
                      "takes quotes as they are");
      r->at++;
    } else if (!byte && !at_end(r)) {
      return reject_character(r);
    } else if (at_end(r) && !r->piece->last && r->at - r->field > CO_ROWS_MAX_CELL) {
      return reject(r, "a field of more than 10 MiB", NULL);
    } else {
      return end_field(r, (const char *)r->field, (size_t)(r->at - r->field));
    }
  }
}

// The text of a field in quotes, each doubled one taken as one.
static const char *without_doubled(co_text_piece *p, const unsigned char *from, size_t *length) {
  char *text = co_arena_strndup(p->arena, (const char *)from, *length);
  size_t to = 0;
  if (!text) p->status = CO_ERR_MEMORY;
  for (size_t i = 0; text && i < *length; i++) {
    text[to++] = text[i];
    i += text[i] == '"';
  }
  *length = to;
  return text;
}

static outcome read_quoted(row *r) {
  co_text_piece *p = r->piece;
  int64_t lines = 0;
  bool doubled = false;
  r->field = r->at++;
  const unsigned char *text = r->at;
  for (;; r->at++) {
    r->at = find_special(r->csv, r->at);
    unsigned char byte = *r->at;
    if (byte >= 0x80) {
      size_t length = co_utf8_length((const char *)r->at);
      if (!length) return reject_character(r);
      r->at += length - 1;
    } else if (byte == '"') {
      if (r->at + 1 == p->end && !p->last) return CUT;
      if (r->at[1] != '"' || r->at + 1 == p->end) break;
      doubled = true;
      r->at++;
    } else if (at_end(r)) {
      if (p->last) return reject_open_quote(r, "the quote that opens the field is never closed");
      if (r->at - r->field <= CO_ROWS_MAX_CELL) return CUT;
      return reject_open_quote(r, "a field of more than 10 MiB; is a quote missing?");
    } else if (!byte) {
      return reject_character(r);
    }
    lines += *r->at == '\n';
  }
  size_t length = (size_t)(r->at++ - text);
  if (!at_end(r) && *r->at != (unsigned char)r->csv->text.base.delimiter && *r->at != '\n' &&
      *r->at != '\r')
    return reject(r, "text after the quote that closes the field",
                  "a quote within a field in quotes is doubled");
  p->lines += lines;
  const char *kept = doubled ? without_doubled(p, text, &length) : (const char *)text;
  return end_field(r, kept, length);
}

// ---- rows --------------------------------------------------------------------------------------

static bool pass_blank_lines(row *r) {
  while (!at_end(r) && (*r->at == '\n' || *r->at == '\r')) {
    if (!pass_line_end(r)) return false;
    r->piece->lines++;
    r->piece->rest = r->at;
  }
  return true;
}

// A row whose fields are not as many as the columns.
static void refuse_ragged(row *r, const unsigned char *end) {
  char reason[96], hint[96];
  char delimiter = r->csv->text.base.delimiter;
  snprintf(reason, sizeof reason, "%" PRId64 " field%s instead of %" PRId64, r->fields,
           r->fields == 1 ? "" : "s", r->csv->text.base.column_count);
  snprintf(hint, sizeof hint,
           "a field with a delimiter (here %s) or a line end in it stands in quotes",
           delimiter == '\t' ? "a tab" : (const char[]){delimiter, '\0'});
  co_text_piece_reject(r->piece, r->begin, end, r->line, -1, reason, hint);
}

static const unsigned char *trim_line_end(const unsigned char *begin, const unsigned char *end) {
  if (end > begin && end[-1] == '\n') end--;
  if (end > begin && end[-1] == '\r') end--;
  return end;
}

static bool parse_row(row *r) {
  co_text_piece *p = r->piece;
  const csv *c = r->csv;
  outcome o = TAKEN;
  r->begin = r->at;
  r->fields = 0;
  int64_t lines = p->lines;
  r->line = lines + 1;
  while (o == TAKEN) {
    if (r->fields == CO_ROWS_MAX_COLUMNS)
      o = reject(r, "more than 16384 columns", NULL);
    else if (r->at - r->begin > CO_ROWS_MAX_ROW)
      o = reject(r, "a row of more than 64 MiB", NULL);
    else
      o = *r->at == '"' && !at_end(r) && !c->text.options->no_quotes ? read_quoted(r)
                                                                     : read_plain(r);
  }
  if (o == CUT) {
    p->cell_count -= r->fields;
    p->lines = lines;
    return false;
  }
  p->rest = r->at;
  if (o == DAMAGED) return p->status == CO_OK;
  const unsigned char *end = trim_line_end(r->begin, r->at);
  if (c->header_read && r->fields != c->text.base.column_count)
    refuse_ragged(r, end);
  else
    co_text_piece_end_row(p, r->begin, end, r->line);
  return p->status == CO_OK;
}

#ifdef __SSE2__
// ---- plain rows --------------------------------------------------------------------------------

// One bit for each of 64 bytes that may be special, as of find_special.
static inline uint64_t specials(const unsigned char *at, char delimiter) {
  const __m128i d = _mm_set1_epi8(delimiter), quote = _mm_set1_epi8('"'), lf = _mm_set1_epi8('\n'),
                cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
  uint64_t bits = 0;
  for (int i = 0; i < 4; i++) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
    __m128i found = _mm_or_si128(_mm_cmpeq_epi8(x, d), _mm_cmpeq_epi8(x, lf));
    found = _mm_or_si128(found, _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, cr)));
    found = _mm_or_si128(found, _mm_or_si128(_mm_cmpeq_epi8(x, zero), x));
    bits |= (uint64_t)(unsigned)_mm_movemask_epi8(found) << (16 * i);
  }
  return bits;
}

// Ends a row of fields without quotes, behind which `at` is a line feed. False: it is none to be taken.
static inline bool end_plain_row(row *r, const unsigned char *at, int64_t fields) {
  co_text_piece *p = r->piece;
  const unsigned char *end = at > r->begin && at[-1] == '\r' ? at - 1 : at;
  if (end > r->begin) {
    if (fields + 1 != r->csv->text.base.column_count || end - r->begin > CO_ROWS_MAX_CELL)
      return false;
    co_text_piece_add(p, (const char *)r->field, (size_t)(end - r->field));
    co_text_piece_end_row(p, r->begin, end, p->lines + 1);
  }
  p->lines++;
  p->rest = r->at = r->begin = r->field = at + 1;
  return p->status == CO_OK;
}

// Takes rows while they have nothing but delimiters, line feeds and well-formed characters; the first
// other one is left where it begins.
static void parse_plain_rows(row *r) {
  co_text_piece *p = r->piece;
  const unsigned char *behind = r->at; // of a character of several bytes
  char delimiter = r->csv->text.base.delimiter;
  int64_t fields = 0;
  r->begin = r->field = r->at;
  for (const unsigned char *block = r->at; p->end - block >= 64; block += 64)
    for (uint64_t bits = specials(block, delimiter); bits; bits &= bits - 1) {
      const unsigned char *at = block + __builtin_ctzll(bits);
      if (*at == (unsigned char)delimiter) {
        co_text_piece_add(p, (const char *)r->field, (size_t)(at - r->field));
        r->field = at + 1;
        fields++;
      } else if (*at == '\n') {
        if (!end_plain_row(r, at, fields)) goto other;
        fields = 0;
        if (r->at >= p->stop) return;
      } else if (*at >= 0x80) {
        size_t length = at < behind ? 1 : co_utf8_length((const char *)at);
        if (!length) goto other;
        if (at >= behind) behind = at + length;
      } else if (*at != '\r' || at[1] != '\n') {
        goto other;
      }
    }
other:
  p->cell_count -= fields;
}
#else
static void parse_plain_rows(row *r) {
  (void)r;
}
#endif

static void parse(co_text_piece *p) {
  row r = {.piece = p, .csv = (const csv *)p->rows, .at = p->begin};
  bool plain = r.csv->header_read && p->most == INT64_MAX;
  for (;;) {
    if (plain && r.at < p->stop) parse_plain_rows(&r);
    if (!pass_blank_lines(&r)) return;
    if (r.at >= p->stop || p->rows_seen >= p->most || !parse_row(&r)) return;
  }
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

static reading try_delimiter(const csv *c, char delimiter) {
  reading r = {.fields = 1};
  bool quoted = false, field_begins = true, quotes = !c->text.options->no_quotes;
  for (size_t i = c->text.at; i < c->text.end; i++) {
    char byte = (char)c->text.buffer[i];
    if (quotes && byte == '"' && (quoted || field_begins)) {
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
  if (c->text.finished || !r.rows) end_reading(&r);
  return r;
}

// The delimiter that makes most rows as long as the first; of equals, the one that makes more fields.
static char find_delimiter(const csv *c) {
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

// Lines of any form, which end within the first piece.
static co_status skip_lines(co_text_rows *t, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    while (t->at < t->end && t->buffer[t->at] != '\n' && t->buffer[t->at] != '\r')
      t->at++;
    if (t->at == t->end)
      return co_fail_at(CO_ERR_DATA, t->base.shown, (long)i + 1, 0,
                        "the file ends within the %" PRId64 " lines to be skipped%s", count,
                        t->finished ? "" : ", or they are longer than 256 KiB");
    t->at += t->buffer[t->at] == '\r' && t->buffer[t->at + 1] == '\n' ? 2 : 1;
    t->lines++;
  }
  return CO_OK;
}

static co_status take_header(csv *c) {
  co_text_rows *t = &c->text;
  const co_rows_options *o = t->options;
  co_text_piece *p;
  if (o->header) {
    co_cell *names = co_arena_alloc(t->base.arena, (size_t)o->header_count + 1, sizeof *names);
    for (int64_t i = 0; names && i < o->header_count; i++)
      names[i] = (co_cell){o->header[i], strlen(o->header[i])};
    return names ? co_rows_take_names(&t->base, names, o->header_count) : CO_ERR_MEMORY;
  }
  CO_RETURN_IF_FAILED(co_text_rows_take(t, 1, &p));
  if (p->bad_count) {
    const co_bad_row *bad = &p->bad[0];
    char column[48] = "";
    if (bad->column >= 0) snprintf(column, sizeof column, ", column %" PRId64, bad->column + 1);
    co_status status = co_fail_at(CO_ERR_DATA, t->base.shown, (long)bad->place.line, 0,
                                  "header%s: %s", column, bad->reason);
    if (bad->hint) co_hint("%s", bad->hint);
    return status;
  }
  if (!p->count)
    return co_fail_at(CO_ERR_DATA, t->base.shown, 0, 0, "there is no header and no row");
  t->row = 0; // rows count behind it
  t->base.header_line = p->places[0].line;
  return co_rows_take_names(&t->base, p->cells, p->cell_count);
}

static co_status open_csv(csv *c, const char *path, const co_rows_options *options) {
  co_text_rows *t = &c->text;
  unsigned char d = (unsigned char)options->delimiter;
  if (d && (d == '"' || d == '\n' || d == '\r' || d >= 0x80))
    return co_fail(CO_ERR_USAGE, "the delimiter must be one ASCII character, and no quote");
  CO_RETURN_IF_FAILED(co_text_rows_open(t, path, options));
  CO_RETURN_IF_FAILED(skip_lines(t, options->skip_lines));
  t->base.decimal_comma = options->decimal_comma && !options->queried;
  t->base.delimiter = d ? (char)d : find_delimiter(c);
  CO_RETURN_IF_FAILED(take_header(c));
  c->header_read = true;
  return CO_OK;
}

static void close_csv(co_rows *rows) {
  co_text_rows_close((co_text_rows *)rows);
  co_free(rows->ctx, rows);
}

co_status co_csv_open(co_rows **out, co_context *ctx, const char *path,
                      const co_rows_options *options) {
  static const co_rows_class class_ = {.name = "CSV",
                                       .next = co_text_rows_next,
                                       .each = co_text_rows_each,
                                       .digest = co_text_rows_digest,
                                       .close = close_csv};
  csv *c = co_alloc_zero(ctx, 1, sizeof *c);
  *out = NULL;
  if (!c) return CO_ERR_MEMORY;
  c->text.base.class_ = &class_;
  c->text.base.ctx = ctx;
  c->text.parse = parse;
  c->text.quotes = !options->no_quotes;
  co_status status = open_csv(c, path, options);
  if (status == CO_OK)
    *out = &c->text.base;
  else
    close_csv(&c->text.base);
  return status;
}
