// SPDX-License-Identifier: Apache-2.0
// Formulas over the cells of a row: amounts such as Quantity*UnitPrice, conditions such as
// Quantity > 0 and not InvoiceNo like 'C%'. They have numbers, texts in 'single quotes', columns by
// name (in "double quotes" where it is no plain word), + - * /, = != < <= > >=, like (with % and
// _), is [not] null, and, or, not, parentheses. As in SQL, what is reckoned with a missing cell is
// missing, and a condition that is missing does not hold.
#ifndef COHORT_DATASETS_EXPRESSION_H
#define COHORT_DATASETS_EXPRESSION_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_expression co_expression;

// The column of that name, -1 if there is none.
typedef int64_t (*co_expression_find)(void *user, const char *name);

// `option` names it in messages ("--where"). `condition`: it must say yes or no; else a number.
// CO_ERR_USAGE where the text is no formula, CO_ERR_DATA where it names a column that is not there.
co_status co_expression_parse(co_expression **out, co_arena *arena, const char *option,
                              const char *text, bool condition, co_expression_find find,
                              void *user);
// How numbers in cells are written, as of co_cell_read_as; those of the formula have points.
void co_expression_read_as(co_expression *expression, bool decimal_comma);
// Of a number: its value, NaN where it is missing or not finite. Of a condition: 1 where it holds,
// else 0. *bad is -1, or the column whose cell would have to be a number and is none (a cell that
// is compared with a number by < or the like included); the value is then NaN. `map`: the cell of
// each column in `row`; NULL = the same.
double co_expression_value(const co_expression *expression, const co_cell *row, const int64_t *map,
                           int64_t *bad);

#ifdef __cplusplus
}
#endif
#endif
