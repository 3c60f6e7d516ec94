// SPDX-License-Identifier: Apache-2.0
// What makes a dataset of a table in text, and of tables joined to it: how their files are read, and
// what their columns are. It is printed as a schema file, stored in the dataset, and can be read back.
#ifndef COHORT_DATASETS_RECIPE_H
#define COHORT_DATASETS_RECIPE_H

#include "datasets/image_recipe.h"
#include "datasets/rows.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_recipe_type {
  CO_RECIPE_TYPE_ANY, // found out from the cells
  CO_RECIPE_NUMBER,
  CO_RECIPE_BINARY,
  CO_RECIPE_CATEGORY,
  CO_RECIPE_DATE,
  CO_RECIPE_TEXT,  // free text
  CO_RECIPE_IMAGE, // the name of an image's file
  CO_RECIPE_ID,    // a text that names rows: a key, or not used
  CO_RECIPE_TYPE_COUNT
} co_recipe_type;

typedef enum co_recipe_role {
  CO_RECIPE_ROLE_ANY, // input, or ignore where a model could learn nothing from it
  CO_RECIPE_INPUT,
  CO_RECIPE_TARGET,
  CO_RECIPE_KEY,
  CO_RECIPE_WEIGHT,
  CO_RECIPE_SPLIT,
  CO_RECIPE_IGNORE, // left out of the dataset
  CO_RECIPE_ROLE_COUNT
} co_recipe_role;

typedef struct co_recipe_column {
  const char *name;
  co_recipe_type type;
  co_recipe_role role;
  const char *positive;     // of binaries: the text of 1; NULL = by the rule of datasets/README.md
  const char *format;       // of dates, as co_date_read; NULL = ISO 8601
  const char *strip_suffix; // taken off its cells; NULL = none
  co_image_recipe image;    // of images
  co_label label;           // of targets: what they tell of events; not printed
  const char *note;         // printed as a comment; NULL = none
  bool reference;           // its cells are keys of a joined table: never amounts
} co_recipe_column;

// Rows that are samples: what is known of an entity before a date.
typedef struct co_recipe_samples {
  const char *entity;           // column that names it; NULL = rows are of themselves
  const char *as_of;            // column with the date, TABLE.COLUMN of a joined table; NULL = none
  const char *label_name;       // a target of whether another table has a row's key; NULL = none
  struct co_recipe_join *label; // that table, in which a key may be there more than once
} co_recipe_samples;

typedef struct co_recipe {
  const char *table;    // its name
  const char *file;     // as it was given; NULL = not known
  co_rows_options rows; // how the file is read
  co_recipe_column *columns;
  int64_t column_count;
  bool whole;       // columns that are not listed are ignored, not found out
  const char *time; // the column of dates that a split by time goes by; NULL = not said
  struct co_recipe_join *joins;
  int64_t join_count;
  const char *const *key; // of a table that is joined to another: the columns of its key …
  int64_t key_count;      // … of others 0
  bool carry;             // it travels in models
  co_recipe_samples samples;
  const struct co_event_recipe *events; // the log that samples see, NULL = none …
  const char *const *logs;              // … its files, of which none = not known
  int64_t log_count;
  // The table of its items, joined to a recipe without a table of its own; NULL = there is none.
  struct co_recipe *items;
} co_recipe;

enum { CO_JOIN_MOST_COLUMNS = 8 };

// A table whose row belongs to those rows of another that have its key.
typedef struct co_recipe_join {
  co_recipe table;
  int64_t to;            // the other: a join before this one, -1 = the first table
  const char *const *on; // its columns with the keys, parallel to table.key
  const char *shown;     // … with commas between them
  bool one_to_one;       // a row belongs to one row of the other at most
  bool implied;          // `on` has no table before a dot: it might be another's
} co_recipe_join;

const char *co_recipe_type_name(co_recipe_type type); // "number", …; "any"
const char *co_recipe_role_name(co_recipe_role role); // "input", …; "any"
int co_recipe_type_parse(const char *name);           // -1 if unknown
int co_recipe_role_parse(const char *name);
co_recipe_column *co_recipe_find(const co_recipe *recipe, const char *name); // NULL if absent
// The name that column `name` of joined table `join` has in the dataset: "TABLE.COLUMN" where another
// column there, of the first table or of an earlier one, has it already. NULL = no memory.
const char *co_recipe_joined_name(const co_recipe *recipe, co_arena *arena, int64_t join,
                                  const char *name);
// The other way round: whose column a name in the dataset is, and what it is called there; a joined
// table, or -1 for the first.
co_status co_recipe_locate(const co_recipe *recipe, co_arena *arena, const char *name,
                           int64_t *join, const char **local);
// The table to which a joined one is joined.
const co_recipe *co_recipe_parent(const co_recipe *recipe, int64_t join);
// Whether other tables are joined to a joined one.
bool co_recipe_leads_on(const co_recipe *recipe, int64_t join);
// The schema file: YAML (its texts in quotes as in JSON).
co_status co_recipe_print(co_text *out, const co_recipe *recipe);
// Whether a table has a column of images.
bool co_recipe_has_images(const co_recipe *recipe);
// The name of a table by its file: without folder and endings, and what names may not have.
char *co_recipe_table_name(co_arena *arena, const char *path); // NULL = no memory

#ifdef __cplusplus
}
#endif
#endif
