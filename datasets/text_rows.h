// SPDX-License-Identifier: Apache-2.0
// Formats of text in rows: the text, plain or gzip, in whatever encoding, is cut into pieces that are
// parsed on all threads. Where a piece begins is guessed, at a line's beginning; a guess that turns
// out to be wrong (a line end within quotes) is parsed again. So rows are those of one pass.
#ifndef COHORT_DATASETS_TEXT_ROWS_H
#define COHORT_DATASETS_TEXT_ROWS_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_text_rows co_text_rows;

// A piece of text, and what is found in it.
typedef struct co_text_piece {
  const co_text_rows *rows;
  const unsigned char *begin;
  const unsigned char *stop; // rows that begin before it are this piece's
  const unsigned char *end;  // of what is there; 16 zero bytes follow
  bool last;                 // it is the end of the text, too
  int64_t most;              // rows
  int64_t offset;            // of `begin` in the text
  // Filled by the parser: rows and lines count from the piece's begin.
  const unsigned char *rest; // where the first row begins that was not taken
  int64_t lines;             // line ends before `rest`
  int64_t rows_seen;         // good and bad
  co_arena *arena;           // for cells that are not as they stand, and reasons
  co_cell *cells;
  int64_t cell_count, cell_capacity;
  co_row_place *places;
  int64_t count, capacity;
  co_bad_row *bad;
  int64_t bad_count, bad_capacity;
  co_status status; // CO_ERR_MEMORY
} co_text_piece;

// Takes rows up to the stop, or to one that does not end before `end`, which then is not `last`.
typedef void (*co_text_parser)(co_text_piece *piece);

struct co_text_rows {
  co_rows base; // first
  const co_rows_options *options;
  co_text_parser parse;
  bool quotes; // a line end between two of them ends no row
  struct co_text_input *input;
  unsigned char *buffer;
  size_t at, end, capacity; // [at, end) is unread
  bool finished;            // the input is
  int64_t offset;           // of the buffer's begin in the text
  int64_t lines, row;       // before `at`
  co_text_piece *pieces;
  co_row_part *parts;
  int64_t piece_capacity;
};

// Opens the text and reads its beginning, behind a byte order mark.
co_status co_text_rows_open(co_text_rows *rows, const char *path, const co_rows_options *options);
co_status co_text_rows_next(co_rows *rows, co_row_block *block);
co_status co_text_rows_each(co_rows *rows, const co_rows_visitor *visitor);
void co_text_rows_digest(co_rows *rows, char hex[65]);
void co_text_rows_close(co_text_rows *rows); // all but the struct
// From the beginning again.
co_status co_text_rows_rewind(co_text_rows *rows);
// Takes the next rows, `most` at most, by one piece, which stays until the next call.
co_status co_text_rows_take(co_text_rows *rows, int64_t most, co_text_piece **piece);

// ---- for text_*.c ------------------------------------------------------------------------------

enum {
  CO_TEXT_PADDING = 16,
  CO_TEXT_PIECE = 1 << 18
}; // a piece with its cells is within a core's cache

// Reads `wanted` bytes on behind what is unread, which moves to the front.
co_status co_text_rows_read(co_text_rows *rows, size_t wanted);
int64_t co_text_rows_position(const co_text_rows *rows); // how far the stored file has been read
// Parses [begin, stop) of the piece, with its offset set.
co_status co_text_piece_parse(const co_text_rows *rows, co_text_piece *piece);

// ---- for parsers -------------------------------------------------------------------------------

void co_text_piece_widen(co_text_piece *piece); // makes room for another cell and row
// Adds a cell to the row in work; the row becomes one by co_text_piece_end_row.
static inline void co_text_piece_add(co_text_piece *piece, const char *text, size_t length) {
  if (piece->cell_count == piece->cell_capacity) co_text_piece_widen(piece);
  if (piece->status == CO_OK) piece->cells[piece->cell_count++] = (co_cell){text, length};
}
// Ends a row whose text is [begin, end), on a line counted from the piece's begin.
static inline void co_text_piece_end_row(co_text_piece *piece, const unsigned char *begin,
                                         const unsigned char *end, int64_t line) {
  if (piece->count == piece->capacity) co_text_piece_widen(piece);
  piece->rows_seen++;
  if (piece->status == CO_OK)
    piece->places[piece->count++] =
        (co_row_place){piece->rows_seen, line, {(const char *)begin, (size_t)(end - begin)}};
}
// Ends it as a bad one: its cells are dropped. `hint` may be NULL; both are copied.
void co_text_piece_reject(co_text_piece *piece, const unsigned char *begin,
                          const unsigned char *end, int64_t line, int64_t column,
                          const char *reason, const char *hint);
// Why bytes at `at` are no character.
void co_text_piece_explain(const co_text_piece *piece, const unsigned char *at, char reason[160],
                           const char **hint);

#ifdef __cplusplus
}
#endif
#endif
