// SPDX-License-Identifier: Apache-2.0
// What a search varies: parameters of a config by their paths, each with the values it may have. A
// value is a double, as Optuna's storage has it: of a choice the number of the category, NaN of a
// parameter that does not count because the one it depends on is something else.
#ifndef COHORT_HOST_TUNE_SPACE_H
#define COHORT_HOST_TUNE_SPACE_H

#include "host/config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_space_kind {
  CO_SPACE_UNIFORM,
  CO_SPACE_LOGUNIFORM,
  CO_SPACE_INT,
  CO_SPACE_CHOICE
} co_space_kind;

typedef struct co_parameter {
  const char *path;    // "trainer.learning_rate"
  const co_node *node; // where it stands, for messages
  co_space_kind kind;
  bool log;            // LOGUNIFORM, and an INT that is spaced so
  double lower, upper; // inclusive; of a CHOICE 0 and the number of the last category
  double step;         // of an INT; of a CHOICE 1; of others 0, but for what Optuna has with a step
  const char **category;  // of a CHOICE, as JSON
  int64_t category_count; // 0 = it is none
  int64_t points;         // values in a grid
  int64_t parent;         // the parameter, before this one, that it depends on; -1 = none
  double parent_value;    // which then must have this value
} co_parameter;

enum { CO_MOST_PARAMETERS = 256 };

typedef struct co_space {
  co_parameter *item; // parents before their children
  int64_t count;
} co_space;

// From a map {PATH: {space: …}}. What is wrong goes to `problems`; the memory is the arena's.
co_status co_space_parse(co_space *out, const co_node *parameters, co_arena *arena,
                         co_diagnostics *problems);
// The field table of one parameter, for help.
const co_field *co_space_fields(void);

// The value at a place u in [0, 1), and the place of a value: the middle of where it comes from.
double co_parameter_value(const co_parameter *parameter, double u);
double co_parameter_place(const co_parameter *parameter, double value);
// The part of [0, 1] that a value comes from: a point of numbers, else an interval around its place.
void co_parameter_cell(const co_parameter *parameter, double value, double *low, double *high);
// The i-th of its `points` values in a grid.
double co_parameter_grid(const co_parameter *parameter, int64_t i);
// Whether it may have the value.
bool co_parameter_holds(const co_parameter *parameter, double value);
// The value that a node of a config stands for; false where it is none of the parameter's.
bool co_parameter_read(const co_parameter *parameter, const co_node *node, co_arena *arena,
                       double *value);
// Whether two categories, as JSON, are the same: numbers by their values.
bool co_category_equals(const char *a, const char *b);
// Makes values NaN that do not count.
void co_space_prune(const co_space *space, double *values);
bool co_space_counts(const co_space *space, const double *values, int64_t i);
// Whether just those have values that count: not so of a trial of Optuna's out of this space.
bool co_space_fits(const co_space *space, const double *values);

// For people: a value, "-" of one that does not count, in at most 95 bytes; and the end of the path, as
// much as tells what it is ("learning_rate", "optimizer.type").
void co_parameter_print_value(char out[96], const co_parameter *parameter, double value);
const char *co_parameter_name(const co_parameter *parameter);

// As JSON: the value.
void co_parameter_render_value(co_json *json, const co_parameter *parameter, double value);

// distribution.c: a parameter as Optuna 5.0.0 has it, in JSON. What is read may be of Optuna 2, too; it
// has no node and no parent, and may be of one value alone.
void co_parameter_render_distribution(co_json *json, const co_parameter *parameter);
// CO_ERR_DATA where it is none; the memory is the arena's.
co_status co_parameter_read_distribution(co_parameter *out, const char *name, const char *json,
                                         co_arena *arena);
// Whether Optuna takes both for the same parameter: of one kind, spacing and categories; ranges may
// differ. False tells why, the arena's.
bool co_parameter_agrees(const co_parameter *a, const co_parameter *b, co_arena *arena,
                         const char **why);

// {PATH: value} of those that count.
void co_space_render_values(co_json *json, const co_space *space, const double *values);
// Sets the values in a config. `features` = only paths that begin so, which need a config with its
// features written out one by one; else only the others.
co_status co_space_apply(const co_space *space, const double *values, bool features, co_node **root,
                         co_arena *arena, co_diagnostics *problems);
// Whether some path begins with "features.".
bool co_space_has_features(const co_space *space);

#ifdef __cplusplus
}
#endif
#endif
