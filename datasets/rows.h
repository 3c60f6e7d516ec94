// SPDX-License-Identifier: Apache-2.0
// Rows of cells, whatever a table comes from: what stands in front of the formats (CSV, JSON lines,
// SQLite), so that inference, recipes, splits and scoring know none of them. Rows come in blocks,
// which consumers may go through on several threads, column by column. What is wrong with a row does
// not end the reading: it is told beside the rows that are good.
#ifndef COHORT_DATASETS_ROWS_H
#define COHORT_DATASETS_ROWS_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CO_ROWS_MAX_COLUMNS = 16384,
  CO_ROWS_MAX_CELL = 10 << 20, // bytes
  CO_ROWS_MAX_ROW = 64 << 20
};

typedef struct co_rows_options {
  const char *shown;         // what messages call the file; NULL = its path
  const char *encoding;      // of text, as iconv names it; NULL = UTF-8
  char delimiter;            // of CSV; 0 = found out from the first rows
  bool no_quotes;            // of CSV: a quote is a character as any other
  bool decimal_comma;        // of CSV: numbers as co_cell_read_as has them
  int64_t skip_lines;        // of CSV, before the header
  const char *const *header; // of CSV: names, where the file has none; NULL = the first row
  int64_t header_count;
  const char *const *keys; // of JSON lines: the columns; NULL = all keys that there are
  int64_t key_count;
  const char *table, *query; // of a database: one of both
  const char *where;         // condition (datasets/expression.h) of the rows that count; NULL = all
  bool queried;              // what they name has been read into the file that is opened, a CSV
  bool unhashed;             // there will be no digest
  // Columns whose cells are replaced by pseudonyms, and the check of their key (co_pseudonym_check). A
  // scan replaces them where `pseudonym` is there; a column that the table lacks is then an error,
  // unless only the recipe names it.
  const char *const *pseudonymized;
  int64_t pseudonymized_count;
  const char *key_check;
  const struct co_pseudonym *pseudonym;
  bool pseudonyms_by_recipe;
} co_rows_options;

typedef struct co_cell {
  const char *text; // UTF-8 without NUL; nothing ends it but its length
  size_t length;
} co_cell;

typedef struct co_row_place {
  int64_t row;  // from 1, in its file
  int64_t line; // where it begins, from 1; 0 = there are no lines
  co_cell raw;  // as it stands in the file, without the line's end; text NULL = not known
} co_row_place;

// A row that cannot be taken.
typedef struct co_bad_row {
  co_row_place place;
  int64_t column; // -1 = no one column
  const char *reason, *hint;
} co_bad_row;

// Some rows that follow each other. All of it lasts until the next block is read.
typedef struct co_row_part {
  int64_t count;
  const co_cell *cells; // row by row, one a column
  const co_row_place *places;
  int64_t bad_count; // among and behind those rows, by place
  const co_bad_row *bad;
} co_row_part;

typedef struct co_row_block {
  int64_t part_count; // 0 = after the last row
  const co_row_part *parts;
} co_row_block;

typedef struct co_rows co_rows;

// Who takes rows part by part: `work` on any thread, several parts at once, each with one of `slots`
// of its own until it is merged; `merge` one at a time, in the order of the rows. Rows and lines of the
// part's places count from `row` and `line`, which only `merge` knows. Both may change the part.
typedef struct co_rows_visitor {
  void *user;
  int slots; // CO_ROWS_MAX_SLOTS at most
  co_status (*work)(void *user, int slot, co_row_part *part);
  co_status (*merge)(void *user, int slot, co_row_part *part, int64_t row, int64_t line);
} co_rows_visitor;
enum { CO_ROWS_MAX_SLOTS = 64 };

// One format.
typedef struct co_rows_class {
  const char *name; // "CSV", …
  co_status (*next)(co_rows *rows, co_row_block *block);
  // May be NULL. Takes as many of the next rows as can be taken in one go, perhaps none; `next` goes
  // on behind them.
  co_status (*each)(co_rows *rows, const co_rows_visitor *visitor);
  void (*digest)(co_rows *rows, char hex[65]);
  void (*close)(co_rows *rows); // frees it; also of one that is half open
} co_rows_class;

// The beginning of each format's own struct.
struct co_rows {
  const co_rows_class *class_;
  co_context *ctx;
  co_arena *arena;
  const char *path, *shown;
  const char *const *names; // of the columns
  int64_t column_count;
  int64_t header_line;    // 0 = there is none
  char delimiter;         // of CSV; else 0
  bool decimal_comma;     // of CSV; numbers of all else have points
  int64_t position, size; // how far the file, as it is stored, has been read; -1 = not known
};

// Opens a table, of a format told by its content, and finds out its columns. "sqlite:FILE" is a
// database, too. `path` and `options` with all they point to must outlive it. Errors are CO_ERR_DATA
// with file and line.
co_status co_rows_open(co_rows **out, co_context *ctx, const char *path,
                       const co_rows_options *options);
void co_rows_close(co_rows *rows); // NULL is legal
co_status co_rows_next(co_rows *rows, co_row_block *block);
// After the last block: SHA-256 of the file as it is stored, or of what a query gave.
void co_rows_digest(co_rows *rows, char hex[65]);
// The same without a look at the rows of a file. A database, which may lie in several files, is read.
co_status co_rows_hash(co_context *ctx, const char *path, const co_rows_options *options,
                       char hex[65]);
int64_t co_rows_find(const co_rows *rows, const char *name); // a column; -1 if there is none
// CO_ERR_DATA: "FILE:LINE: row R, column 'C': …".
co_status co_rows_wrong(const co_rows *rows, const co_row_place *place, int64_t column,
                        const char *format, ...) CO_PRINTF(4, 5);
co_status co_rows_raise(const co_rows *rows, const co_bad_row *bad);
// Whether it is one of a database: "sqlite:FILE", or a file that begins as such.
bool co_rows_is_database(const char *path);
// The file of a path: without "sqlite:".
const char *co_rows_file(const char *path);

// What reads JSON lines, and SQLite databases: its version, or "missing (…)".
const char *co_jansson_version(void);
void co_sqlite_version(char out[64]);

// ---- for formats -------------------------------------------------------------------------------

// Takes names of columns, trimmed; one without is called column_N (from 1), two equal ones are an
// error.
co_status co_rows_take_names(co_rows *rows, const co_cell *names, int64_t count);
co_status co_csv_open(co_rows **out, co_context *ctx, const char *path,
                      const co_rows_options *options);
co_status co_json_lines_open(co_rows **out, co_context *ctx, const char *path,
                             const co_rows_options *options);
co_status co_sqlite_open(co_rows **out, co_context *ctx, const char *path,
                         const co_rows_options *options);

#ifdef __cplusplus
}
#endif
#endif
