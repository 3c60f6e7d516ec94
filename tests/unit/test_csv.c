// SPDX-License-Identifier: Apache-2.0
// The reader of tables in text: what it takes, and what it refuses with which place.
#include "tests/unit/data_fixture.h"

#include "datasets/cell.h"
#include "datasets/csv.h"

static void write_text(const char *text) {
  write_bytes("t.csv", text, strlen(text));
}

// All rows as "a|b\n…", with fields in brackets.
static co_status read_all(fixture *f, const co_csv_options *options, char *out, size_t size) {
  co_csv *csv;
  const co_csv_field *fields;
  size_t used = 0;
  out[0] = '\0';
  co_status status = co_csv_open(&csv, f->ctx, "t.csv", options);
  if (status != CO_OK) return status;
  for (int64_t i = 0; i < co_csv_column_count(csv); i++)
    used += (size_t)snprintf(out + used, size - used, "%s ", co_csv_column_name(csv, i));
  while ((status = co_csv_next(csv, &fields)) == CO_OK && fields) {
    used += (size_t)snprintf(out + used, size - used, "/");
    for (int64_t i = 0; i < co_csv_column_count(csv); i++) {
      assert_int_equal(strlen(fields[i].text), fields[i].length);
      used += (size_t)snprintf(out + used, size - used, "[%s]", fields[i].text);
    }
  }
  co_csv_close(csv);
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
  assert_int_equal(read_all(f, &(co_csv_options){.delimiter = ';'}, got, sizeof got), CO_OK);
  assert_string_equal(got, "a,b c /[1,2][3]");
}

static void headers_are_given(void **state) {
  fixture *f = *state;
  static const char *const names[] = {"x", "y"};
  char got[256];
  write_text("note, of any form \"\n\nmore\n1,2\n3,4\n");
  const co_csv_options options = {.skip_lines = 3, .header = names, .header_count = 2};
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
  co_csv *csv;
  const co_csv_field *fields;
  char *text = malloc((size_t)CO_CSV_MAX_FIELD + 100);
  memcpy(text, "a,b\n1,", 6);
  memset(text + 6, 'x', (size_t)CO_CSV_MAX_FIELD + 90);
  write_bytes("t.csv", text, 6 + BIG);
  assert_int_equal(co_csv_open(&csv, f->ctx, "t.csv", NULL), CO_OK);
  assert_int_equal(co_csv_next(csv, &fields), CO_OK);
  assert_int_equal(fields[1].length, BIG);
  co_csv_close(csv);
  write_bytes("t.csv", text, 6 + (size_t)CO_CSV_MAX_FIELD + 90);
  assert_int_equal(co_csv_open(&csv, f->ctx, "t.csv", NULL), CO_OK);
  assert_int_equal(co_csv_next(csv, &fields), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "column 'b': a field of more than 10 MiB"));
  co_csv_close(csv);

  size_t used = 0;
  for (int row = 0; row < 2; row++)
    for (int i = 0; i < WIDE; i++)
      used +=
          (size_t)snprintf(text + used, 16, "%s%d%c", row ? "" : "c", i, i + 1 < WIDE ? ',' : '\n');
  write_bytes("t.csv", text, used);
  assert_int_equal(co_csv_open(&csv, f->ctx, "t.csv", NULL), CO_OK);
  assert_int_equal(co_csv_column_count(csv), WIDE);
  assert_int_equal(co_csv_next(csv, &fields), CO_OK);
  assert_string_equal(fields[4999].text, "4999");
  assert_int_equal(co_csv_find(csv, "c4999"), 4999);
  co_csv_close(csv);
  used = 0;
  for (int i = 0; i <= CO_CSV_MAX_COLUMNS; i++)
    text[used++] = ',';
  write_bytes("t.csv", text, used);
  assert_int_equal(co_csv_open(&csv, f->ctx, "t.csv", NULL), CO_ERR_DATA);
  free(text);
}

// Rows longer than the reader's buffer, at every offset to its end.
static void buffers_have_no_seams(void **state) {
  fixture *f = *state;
  static char text[600000];
  for (int shift = 0; shift < 8; shift++) {
    co_csv *csv;
    const co_csv_field *fields;
    size_t used = (size_t)snprintf(text, 64, "a,b%.*s\n", shift, "bbbbbbbb");
    int rows = 0;
    while (used < 530000)
      used += (size_t)snprintf(text + used, 64, "%d,\"\xE2\x82\xAC\"\"%d\"\r\n", rows, rows),
          rows++;
    write_bytes("t.csv", text, used);
    assert_int_equal(co_csv_open(&csv, f->ctx, "t.csv", NULL), CO_OK);
    for (int i = 0; i < rows; i++) {
      char wanted[64];
      assert_int_equal(co_csv_next(csv, &fields), CO_OK);
      snprintf(wanted, sizeof wanted, "\xE2\x82\xAC\"%d", i);
      assert_string_equal(fields[1].text, wanted);
    }
    assert_int_equal(co_csv_next(csv, &fields), CO_OK);
    assert_null(fields);
    assert_int_equal(co_csv_row(csv), rows);
    co_csv_close(csv);
  }
}

static co_cell_kind kind_of(const char *text, double *value) {
  const co_csv_field cell = {text, strlen(text)};
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

static void missing_cells_are_known(void **state) {
  (void)state;
  static const char *const missing[] = {"",     "  ",   "NA",  "N/A",  "NaN",
                                        "null", "NULL", "\\N", " NA\t"};
  static const char *const there[] = {"0", "n", "none", "NAN0", "na", "-", "?"};
  for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
    co_csv_field cell = co_cell_trim(&(co_csv_field){missing[i], strlen(missing[i])}, NULL);
    assert_true(co_cell_is_missing(&cell));
  }
  for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
    co_csv_field cell = co_cell_trim(&(co_csv_field){there[i], strlen(there[i])}, NULL);
    assert_false(co_cell_is_missing(&cell));
  }
  co_csv_field cell = co_cell_trim(&(co_csv_field){" >50K. ", 7}, ".");
  assert_int_equal(cell.length, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(rows_are_read),
      DATA_TEST(delimiters_are_found),
      DATA_TEST(headers_are_given),
      DATA_TEST(gzip_is_read),
      DATA_TEST(damage_is_refused_with_its_place),
      DATA_TEST(sizes_are_bounded),
      DATA_TEST(buffers_have_no_seams),
      cmocka_unit_test(cells_are_read),
      cmocka_unit_test(missing_cells_are_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
