// SPDX-License-Identifier: Apache-2.0
// Readers of raw tables: what it takes, and what it refuses with which place.
#include "tests/unit/data_fixture.h"

#include <float.h>
#include <math.h>

#include "datasets/cell.h"
#include "datasets/rows.h"

static void write_text(const char *text) {
  write_bytes("t.csv", text, strlen(text));
}

typedef struct reading {
  char *out;
  size_t used, size;
  int64_t columns, rows;
} reading;

static void show(reading *r, const char *text, size_t length) {
  if (r->used + length + 1 > r->size) return;
  memcpy(r->out + r->used, text, length);
  r->out[r->used += length] = '\0';
}

static void show_part(reading *r, const co_row_part *part) {
  for (int64_t i = 0; i < part->count; i++, r->rows++) {
    show(r, "/", 1);
    for (int64_t c = 0; c < r->columns; c++) {
      const co_cell *cell = &part->cells[i * r->columns + c];
      show(r, "[", 1);
      show(r, cell->text, cell->length);
      show(r, "]", 1);
    }
  }
}

// All rows as "a b /[1][2]"; the first bad one is an error.
static co_status read_all(fixture *f, const co_rows_options *options, char *out, size_t size) {
  co_rows *rows;
  co_row_block block;
  reading r = {.out = out, .size = size};
  out[0] = '\0';
  co_status status = co_rows_open(&rows, f->ctx, "t.csv", options);
  if (status != CO_OK) return status;
  r.columns = rows->column_count;
  for (int64_t i = 0; i < rows->column_count; i++) {
    show(&r, rows->names[i], strlen(rows->names[i]));
    show(&r, " ", 1);
  }
  do {
    status = co_rows_next(rows, &block);
    for (int64_t k = 0; status == CO_OK && k < block.part_count; k++) {
      show_part(&r, &block.parts[k]);
      if (block.parts[k].bad_count) status = co_rows_raise(rows, &block.parts[k].bad[0]);
    }
  } while (status == CO_OK && block.part_count);
  co_rows_close(rows);
  return status;
}

static co_status take_part(void *user, int slot, co_row_part *part, int64_t row, int64_t line) {
  reading *r = user;
  (void)slot;
  assert_int_equal(part->places[0].row + row, r->rows + 1);
  assert_true(part->places[0].line + line > r->rows);
  show_part(r, part);
  return CO_OK;
}

static co_status no_work(void *user, int slot, co_row_part *part) {
  (void)user, (void)slot, (void)part;
  return CO_OK;
}

// The same in one go, and by blocks what is left by that.
static co_status read_each(fixture *f, char *out, size_t size) {
  co_rows *rows;
  co_row_block block;
  reading r = {.out = out, .size = size};
  const co_rows_visitor visitor = {&r, co_context_threads(f->ctx), no_work, take_part};
  out[0] = '\0';
  co_status status = co_rows_open(&rows, f->ctx, "t.csv", NULL);
  if (status != CO_OK) return status;
  r.columns = rows->column_count;
  for (int64_t i = 0; i < rows->column_count; i++) {
    show(&r, rows->names[i], strlen(rows->names[i]));
    show(&r, " ", 1);
  }
  do {
    status = rows->class_->each(rows, &visitor);
    if (status == CO_OK) status = co_rows_next(rows, &block);
    for (int64_t k = 0; status == CO_OK && k < block.part_count; k++)
      show_part(&r, &block.parts[k]);
  } while (status == CO_OK && block.part_count);
  co_rows_close(rows);
  return status;
}

static void check(fixture *f, const char *text, const char *wanted) {
  char got[1024];
  write_text(text);
  assert_int_equal(read_all(f, NULL, got, sizeof got), CO_OK);
  assert_string_equal(got, wanted);
}

static void rows_are_read(void **state) {
  fixture *f = *state;
  check(f, "a,b\n1,2\n3,4\n", "a b /[1][2]/[3][4]");
  check(f, "a,b\r\n1,2\r\n3,4", "a b /[1][2]/[3][4]");
  check(f, "a,b\r1,2\r", "a b /[1][2]");
  check(f,
        "\xEF\xBB\xBF"
        "a,b\n1,2\n",
        "a b /[1][2]");
  check(f, "a,b\n\n1,\n\n,\n", "a b /[1][]/[][]");
  check(f, " a ,,b \n1,2,3\n", "a column_2 b /[1][2][3]");
  check(f, "a\n1\n2\n", "a /[1]/[2]");
  check(f, "a,b\n\"1,\n\"\"2\"\"\r\n\",\"\"\n", "a b /[1,\n\"2\"\r\n][]");
  check(f, "a,b\n\xC3\xA9,\xF0\x9F\x9B\x92\n", "a b /[\xC3\xA9][\xF0\x9F\x9B\x92]");
}

static void delimiters_are_found(void **state) {
  fixture *f = *state;
  check(f, "a;b\n1,5;2\n2,5;3\n", "a b /[1,5][2]/[2,5][3]");
  check(f, "a\tb\n1,2\t3\n", "a b /[1,2][3]");
  check(f, "a|b|c\n1|2|3\n", "a b c /[1][2][3]");
  check(f, "\"a;b\",c\n\"1;2;3\",4\n", "a;b c /[1;2;3][4]");
  char got[256];
  write_text("a,b;c\n1,2;3\n");
  assert_int_equal(read_all(f, &(co_rows_options){.delimiter = ';'}, got, sizeof got), CO_OK);
  assert_string_equal(got, "a,b c /[1,2][3]");
}

static void headers_are_given(void **state) {
  fixture *f = *state;
  static const char *const names[] = {"x", "y"};
  char got[256];
  write_text("note, of any form \"\n\nmore\n1,2\n3,4\n");
  const co_rows_options options = {.skip_lines = 3, .header = names, .header_count = 2};
  assert_int_equal(read_all(f, &options, got, sizeof got), CO_OK);
  assert_string_equal(got, "x y /[1][2]/[3][4]");
}

static void gzip_is_read(void **state) {
  fixture *f = *state;
  char got[64];
  write_gzip("t.csv", "a,b\n1,2\n", 8);
  assert_int_equal(read_all(f, NULL, got, sizeof got), CO_OK);
  assert_string_equal(got, "a b /[1][2]");
  size_t length;
  unsigned char *bytes = read_bytes("t.csv", &length);
  write_bytes("t.csv", bytes, length - 6);
  free(bytes);
  assert_int_equal(read_all(f, NULL, got, sizeof got), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "truncated"));
}

static void refuses(fixture *f, const char *text, size_t length, long line, const char *message) {
  char got[4096];
  write_bytes("t.csv", text, length);
  assert_int_equal(read_all(f, NULL, got, sizeof got), CO_ERR_DATA);
  const co_error *e = co_error_last();
  if (!strstr(e->message, message)) fail_msg("'%s' lacks '%s'", e->message, message);
  assert_string_equal(e->file, "t.csv");
  assert_int_equal(e->line, line);
}
#define REFUSES(text, line, message) refuses(f, text, sizeof(text) - 1, line, message)

static void damage_is_refused_with_its_place(void **state) {
  fixture *f = *state;
  REFUSES("", 0, "empty");
  REFUSES("\n\n", 0, "no header");
  REFUSES("a,b\n1,2\n3\n", 3, "row 2: 1 field instead of 2");
  REFUSES("a,b\n1,2,3\n", 2, "row 1: 3 fields instead of 2");
  REFUSES("a,b\n1,2\"3\n", 2, "row 1, column 'b': a quote within a field");
  REFUSES("a,b\n1,\"2\"3\n", 2, "row 1, column 'b': text after the quote");
  REFUSES("a,b\n1,2\n\"3,\n4\n", 3, "row 2, column 'a': the quote that opens the field");
  REFUSES("a,b\n1,\0\n", 2, "row 1, column 'b': a NUL byte, byte 6 of the text");
  REFUSES("a,b\n1,\"\0\"\n", 2, "a NUL byte, byte 7");
  REFUSES("a,b\nx,caf\xE9\n", 2, "row 1, column 'b': the text is not UTF-8 at 0xE9, byte 9");
  REFUSES("a,b\n\xC0\xAF,1\n", 2, "not UTF-8 at 0xC0, byte 4");
  REFUSES("a,b\n\xED\xA0\x80,1\n", 2, "not UTF-8 at 0xED, byte 4"); // half a pair
  REFUSES("a,b\n\xF4\x90\x80\x80,1\n", 2, "not UTF-8");             // beyond U+10FFFF
  REFUSES("a,b\n1,\xE2\x82", 2, "not UTF-8 at 0xE2, byte 6");
  REFUSES("a,\"b\n", 1, "header, column 2: the quote");
  REFUSES("a,b,a\n1,2,3\n", 1, "columns 1 and 3 are both called 'a'");
  REFUSES("\xFF\xFE"
          "a\0,\0",
          1, "UTF-16");
}

// Fields of 10 MB and 5,000 columns are taken, beyond the limits is an error.
static void sizes_are_bounded(void **state) {
  fixture *f = *state;
  enum { BIG = 10 * 1000 * 1000, WIDE = 5000 };
  size_t size = (size_t)CO_ROWS_MAX_CELL + 200, used = 0;
  char *text = malloc(size), *got = malloc(size);
  memcpy(text, "a,b\n1,", 6);
  memset(text + 6, 'x', (size_t)CO_ROWS_MAX_CELL + 90);
  write_bytes("t.csv", text, 6 + BIG);
  assert_int_equal(read_all(f, NULL, got, size), CO_OK);
  assert_int_equal(strlen(got), strlen("a b /[1][]") + BIG);
  write_bytes("t.csv", text, 6 + (size_t)CO_ROWS_MAX_CELL + 90);
  assert_int_equal(read_all(f, NULL, got, size), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "column 'b': a field of more than 10 MiB"));

  for (int row = 0; row < 2; row++)
    for (int i = 0; i < WIDE; i++)
      used +=
          (size_t)snprintf(text + used, 16, "%s%d%c", row ? "" : "c", i, i + 1 < WIDE ? ',' : '\n');
  write_bytes("t.csv", text, used);
  assert_int_equal(read_all(f, NULL, got, size), CO_OK);
  assert_non_null(strstr(got, "c4999 /[0][1]"));
  assert_non_null(strstr(got, "[4998][4999]"));
  used = 0;
  for (int i = 0; i <= CO_ROWS_MAX_COLUMNS; i++)
    text[used++] = ',';
  write_bytes("t.csv", text, used);
  assert_int_equal(read_all(f, NULL, got, size), CO_ERR_DATA);
  free(text);
  free(got);
}

// However the text is cut into pieces and blocks, and wherever line ends stand within quotes: rows
// are those that were written.
static void pieces_have_no_seams(void **state) {
  fixture *f = *state;
  enum { SIZE = 3 << 20 };
  char *text = malloc(SIZE + 64), *got = malloc(2 * SIZE), *wanted = malloc(2 * SIZE);
  for (int shape = 0; shape < 6; shape++) {
    size_t used = (size_t)snprintf(text, 64, "a,b%.*s\n", shape, "bbbbbbbb"), length = 0;
    length += (size_t)snprintf(wanted, 64, "a b%.*s ", shape, "bbbbbbbb");
    for (int row = 0; used < SIZE; row++) {
      int lines = shape == 3 ? row % 1000 : shape == 4 ? 3 : shape == 5 && row == 5 ? 900000 : 0;
      used += (size_t)snprintf(text + used, 40, "%d,\"\xE2\x82\xAC\"\"", row);
      length += (size_t)snprintf(wanted + length, 40, "/[%d][\xE2\x82\xAC\"", row);
      for (int i = 0; i < lines && used < SIZE; i++) {
        text[used++] = i % 7 ? '\n' : ',';
        wanted[length++] = text[used - 1];
      }
      used += (size_t)snprintf(text + used, 16, "\"%s", shape % 2 ? "\r\n" : "\n");
      length += (size_t)snprintf(wanted + length, 16, "]");
    }
    write_bytes("t.csv", text, used);
    for (int threads = 1; threads <= 4; threads += 3) {
      co_context_set_threads(f->ctx, threads);
      assert_int_equal(read_all(f, NULL, got, 2 * SIZE), CO_OK);
      if (strcmp(got, wanted) != 0) fail_msg("shape %d, %d threads", shape, threads);
      assert_int_equal(read_each(f, got, 2 * SIZE), CO_OK);
      if (strcmp(got, wanted) != 0) fail_msg("shape %d, %d threads, in one go", shape, threads);
    }
  }
  free(text);
  free(got);
  free(wanted);
}

// What is damaged is told with its place, and what follows it is read.
static void damage_is_passed_over(void **state) {
  fixture *f = *state;
  static const char text[] =
      "a,b\n1,2\n3\n\"4\n\",\"5\"x\n6,7\n8,9\"\n\n10,\xE9\n11,12\n13,\"14\n15,16\n";
  static const struct {
    int64_t row, line;
    const char *raw, *reason;
  } bad[] = {{2, 3, "3", "1 field instead of 2"},
             {3, 4, "\"4\n\",\"5\"x", "text after the quote"},
             {5, 7, "8,9\"", "a quote within a field"},
             {6, 9, "10,\xE9", "not UTF-8 at 0xE9, byte 33"},
             {8, 11, "13,\"14", "never closed"}};
  co_rows *rows;
  co_row_block block;
  char got[256];
  reading r = {.out = got, .size = sizeof got, .columns = 2};
  write_text(text);
  assert_int_equal(co_rows_open(&rows, f->ctx, "t.csv", NULL), CO_OK);
  assert_int_equal(co_rows_next(rows, &block), CO_OK);
  assert_int_equal(block.part_count, 1);
  const co_row_part *part = &block.parts[0];
  show_part(&r, part);
  assert_string_equal(got, "/[1][2]/[6][7]/[11][12]/[15][16]");
  assert_int_equal(part->places[3].row, 9);
  assert_int_equal(part->places[3].line, 12);
  assert_int_equal(part->bad_count, 5);
  for (int i = 0; i < 5; i++) {
    const co_bad_row *b = &part->bad[i];
    if (b->place.row != bad[i].row || b->place.line != bad[i].line ||
        b->place.raw.length != strlen(bad[i].raw) ||
        memcmp(b->place.raw.text, bad[i].raw, b->place.raw.length) != 0 ||
        !strstr(b->reason, bad[i].reason))
      fail_msg("%d: row %d, line %d, '%.*s': %s", i, (int)b->place.row, (int)b->place.line,
               (int)b->place.raw.length, b->place.raw.text, b->reason);
  }
  assert_int_equal(co_rows_next(rows, &block), CO_OK);
  assert_int_equal(block.part_count, 0);
  co_rows_close(rows);
}

static void encodings_are_converted(void **state) {
  fixture *f = *state;
  char got[256];
  write_text("a,b\ncaf\xE9,\x80\n");
  assert_int_equal(read_all(f, &(co_rows_options){.encoding = "windows-1252"}, got, sizeof got),
                   CO_OK);
  assert_string_equal(got, "a b /[caf\xC3\xA9][\xE2\x82\xAC]");
  static const char wide[] = "\xFF\xFE"
                             "a\0\n\0\xAC\x20\n\0";
  write_bytes("t.csv", wide, sizeof wide - 1);
  assert_int_equal(read_all(f, &(co_rows_options){.encoding = "utf-16"}, got, sizeof got), CO_OK);
  assert_string_equal(got, "a /[\xE2\x82\xAC]");
  write_text("{\"a\": \"caf\xE9\", \"b\": 1}\n");
  assert_int_equal(read_all(f, &(co_rows_options){.encoding = "latin1"}, got, sizeof got), CO_OK);
  assert_string_equal(got, "a b /[caf\xC3\xA9][1]");
  write_text("a,b\n1,caf\xE9\n");
  assert_int_equal(read_all(f, &(co_rows_options){.encoding = "ascii"}, got, sizeof got),
                   CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "row 1, column 'b': the text is not ascii"));
  assert_int_equal(read_all(f, &(co_rows_options){.encoding = "klingon"}, got, sizeof got),
                   CO_ERR_USAGE);
}

static void quotes_may_be_characters(void **state) {
  fixture *f = *state;
  char got[256];
  write_text("a\tb\n\"x\t5\" and\n");
  assert_int_equal(read_all(f, &(co_rows_options){.no_quotes = true}, got, sizeof got), CO_OK);
  assert_string_equal(got, "a b /[\"x][5\" and]");
}

// An object a line; columns are all keys.
static void json_lines_are_read(void **state) {
  fixture *f = *state;
  check(f,
        "{\"a\": 1, \"b\": \"x, \\\"y\\\"\"}\r\n\n{\"c\": true, \"b\": "
        "null}\n{\"b\":2.5,\"a\":-1e300}",
        "a b c /[1][x, \"y\"][]/[][][true]/[-1.0000000000000001e+300][2.5][]");
  REFUSES("{\"a\": 1}\n{\"a\": [1]}\n", 2, "row 2, column 'a': a list in a cell");
  REFUSES("{\"a\": 1}\n{\"a\": {\"b\": 1}}\n", 2, "an object in a cell");
  REFUSES("{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n", 2, "row 2: no JSON: duplicate object key");
  REFUSES("{\"a\": 1}\n{\"a\": 1\n", 2, "row 2: no JSON: ");
  REFUSES("{\"a\": 1}\n[1]\n", 2, "row 2: the line holds no object");
  REFUSES("{\"a\": 1}\n{\"a\": \"\xE9\"}\n", 2, "row 2: no JSON: ");
  REFUSES("{}\n", 0, "there is no row with a key");
  char deep[9000] = "{\"a\": 1}\n{\"a\": ";
  size_t used = strlen(deep);
  memset(deep + used, '[', 4000);
  refuses(f, deep, used + 4000, 2, "maximum parsing depth");
}

static co_cell_kind kind_of(const char *text, double *value) {
  const co_cell cell = {text, strlen(text)};
  return co_cell_read(&cell, value);
}

static void cells_are_read(void **state) {
  (void)state;
  static const char *const numbers[] = {"0",
                                        "-0",
                                        "007",
                                        "+1.5",
                                        "-.5",
                                        "5.",
                                        "1e3",
                                        "1.25E-2",
                                        "123456789012345678901234567890",
                                        "0.1",
                                        "1e22",
                                        "3.4e38",
                                        "4.9e-324",
                                        "9007199254740993",
                                        "0.000000000000000000000000000001",
                                        "29.85",
                                        "1e-400"};
  double value;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    assert_int_equal(kind_of(numbers[i], &value), CO_CELL_NUMBER);
    double wanted = strtod(numbers[i], NULL);
    assert_memory_equal(&value, &wanted, sizeof value);
  }
  assert_int_equal(kind_of("1e999", &value), CO_CELL_TOO_LARGE);
  assert_int_equal(kind_of("-1e39", &value), CO_CELL_TOO_LARGE);
  static const char *const commas[] = {"1,5", "1.234,56", "1,234,567", "-3,0"};
  for (size_t i = 0; i < sizeof commas / sizeof *commas; i++)
    assert_int_equal(kind_of(commas[i], &value), CO_CELL_COMMA);
  assert_int_equal(kind_of("2011-12-31", &value), CO_CELL_DATE);
  assert_int_equal(kind_of("2011-12-31 10:00:00", &value), CO_CELL_DATE);
  static const char *const texts[] = {"1e",  "e5", ".",  "-",     "0x10",  "inf", "nan(1)",
                                      "1 2", "1,", ",5", "12-31", "1.2.3", "--1", "x"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_int_equal(kind_of(texts[i], &value), CO_CELL_TEXT);
}

// With a decimal comma, points part thousands, and any other is refused.
static void decimal_commas_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double value;
  } numbers[] = {{"9,38", 9.38},
                 {"-1.234,56", -1234.56},
                 {"1.234", 1234},
                 {"12.345.678", 1.2345678e7},
                 {"0,125", 0.125},
                 {",5", .5},
                 {"42", 42},
                 {"1,5e3", 1500},
                 {"123456,5", 123456.5}};
  static const char *const points[] = {"9.38",    "0.125", "1234.567", "1.2345,6",
                                       "1,234.5", ".5",    "1,234,567"};
  double value;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    const co_cell cell = {numbers[i].text, strlen(numbers[i].text)};
    assert_int_equal(co_cell_read_as(&cell, true, &value), CO_CELL_NUMBER);
    assert_true(value == numbers[i].value);
  }
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    const co_cell cell = {points[i], strlen(points[i])};
    assert_int_equal(co_cell_read_as(&cell, true, &value), CO_CELL_COMMA);
    assert_true(isnan(value));
  }
  const co_cell date = {"2011-12-31", 10}, word = {"a,b", 3}, large = {"1e39", 4};
  assert_int_equal(co_cell_read_as(&date, true, &value), CO_CELL_DATE);
  assert_int_equal(co_cell_read_as(&word, true, &value), CO_CELL_TEXT);
  assert_int_equal(co_cell_read_as(&large, true, &value), CO_CELL_TOO_LARGE);
}

static void missing_cells_are_known(void **state) {
  (void)state;
  static const char *const missing[] = {"",     "  ",   "NA",  "N/A",  "NaN",
                                        "null", "NULL", "\\N", " NA\t"};
  static const char *const there[] = {"0", "n", "none", "NAN0", "na", "-", "?"};
  for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
    co_cell cell = co_cell_trim(&(co_cell){missing[i], strlen(missing[i])}, NULL);
    assert_true(co_cell_is_missing(&cell));
  }
  for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
    co_cell cell = co_cell_trim(&(co_cell){there[i], strlen(there[i])}, NULL);
    assert_false(co_cell_is_missing(&cell));
  }
  co_cell cell = co_cell_trim(&(co_cell){" >50K. ", 7}, ".");
  assert_int_equal(cell.length, 4);
}

// Texts of all short forms, against the C library.
static void numbers_are_exact(void **state) {
  static const char letters[] = "0123456789015.-+e,";
  uint32_t random = 1;
  char text[16];
  (void)state;
  for (int i = 0; i < 200000; i++) {
    size_t length = (size_t)(i % 12) + 1;
    for (size_t k = 0; k < length; k++) {
      random = random * 1664525 + 1013904223;
      text[k] = letters[(random >> 16) % (i % 2 ? 13 : sizeof letters - 1)];
    }
    text[length] = '\0';
    char *end;
    double value, wanted = strtod(text, &end);
    const co_cell cell = {text, length};
    bool number = co_cell_read(&cell, &value) == CO_CELL_NUMBER;
    bool fits = *end == '\0' && fabs(wanted) <= (double)FLT_MAX;
    if (number != fits || (number && memcmp(&value, &wanted, sizeof value) != 0))
      fail_msg("'%s' is %g, not %g", text, value, wanted);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(rows_are_read),
      DATA_TEST(delimiters_are_found),
      DATA_TEST(headers_are_given),
      DATA_TEST(gzip_is_read),
      DATA_TEST(damage_is_refused_with_its_place),
      DATA_TEST(sizes_are_bounded),
      DATA_TEST(pieces_have_no_seams),
      DATA_TEST(damage_is_passed_over),
      DATA_TEST(encodings_are_converted),
      DATA_TEST(quotes_may_be_characters),
      DATA_TEST(json_lines_are_read),
      cmocka_unit_test(cells_are_read),
      cmocka_unit_test(decimal_commas_are_read),
      cmocka_unit_test(missing_cells_are_known),
      cmocka_unit_test(numbers_are_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
