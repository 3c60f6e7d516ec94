// SPDX-License-Identifier: Apache-2.0
// The table of a log's items: columns that events get by their item, and once for each item what it looks
// like and says. In memory are its columns of the log's items, 4 bytes a value.
#ifndef COHORT_DATASETS_IMPORT_ITEMS_H
#define COHORT_DATASETS_IMPORT_ITEMS_H

#include "datasets/import_events.h"
#include "datasets/import_joins.h"

#ifdef __cplusplus
extern "C" {
#endif

// A column that events have of their items.
typedef struct co_item_column {
  const char *name;           // in the table
  co_column column;           // of the events: f32 numbers, or i32 categories
  const co_dictionary *words; // of categories
  co_dictionary own;          // … of those that a model knows
  void *values;               // by the item's code: NaN, -1 = missing
} co_item_column;

typedef struct co_items {
  co_context *ctx;
  co_arena *arena;
  const char *key;    // the table's column with the items
  co_dictionary keys; // … where they are read before the log
  co_scan_options scan;
  co_import_joins joins; // where columns are found out
  co_recipe found;
  char digest[65]; // of the table's file, then
  co_item_column *columns;
  int64_t column_count;
  co_encoded_column picture;                   // its shape has rank 0 where items have none
  const char *picture_name, *description_name; // columns of the table; NULL = there is none
  const char **pictures, **descriptions; // by the item's code: a file's name, a text; "" = missing
  bool *listed;                          // by the item's code: whether the table has it
  bool of_scoring;
  int64_t known;     // … of it: items of the model, which come first; 0 = all
  int64_t newcomers; // others that the table has
  int64_t unlisted;  // items that the table lacks
} co_items;

// Finds out the columns of the table that o->joined names; *recipe gets them. CO_ERR_DATA as of
// co_survey_run, and for columns that events cannot have.
co_status co_items_survey(co_items *items, co_context *ctx, co_arena *arena,
                          const co_import_events_options *o, const co_scan_options *scan,
                          co_event_recipe *recipe);
// Whether a model's events have columns of the recipe's items.
bool co_items_needed(const co_event_recipe *recipe, const co_schema *schema);
// The same of a model's: those of the recipe's columns that o->schema has.
co_status co_items_begin(co_items *items, co_context *ctx, co_arena *arena,
                         const co_import_events_options *o, const co_scan_options *scan);
// Reads which items the table has, so that of a log no others are kept.
co_status co_items_read_keys(co_items *items);
// Reads what the table says of these items, whose codes are their places. CO_ERR_DATA where it has one twice,
// or none of them.
co_status co_items_read(co_items *items, const char *const *names, int64_t count);
// What they look like, and say, beside category `column` of `table`; and the columns that events have of
// them, for models to take along.
co_status co_items_write(co_items *items, co_dataset_writer *writer, const char *table,
                         const char *column, const char *const *names, int64_t count);
// Of a scoring: the items that the model lacks and the table has, in the arena. *code, by the item's code less
// `known`, is the class of each; -1 = the table lacks it.
// `names`: of all items.
co_status co_items_new_classes(co_new_classes *out, int32_t **code, co_items *items,
                               const char *const *names, int64_t count);
// Of a scoring: items of the table that are none of the `*count` names are put behind them, in its order.
co_status co_items_append(const co_items *items, const char *const **names, int64_t *count);
void co_items_free(co_items *items); // legal on a zeroed struct

#ifdef __cplusplus
}
#endif
#endif
