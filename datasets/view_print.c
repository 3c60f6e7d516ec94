// SPDX-License-Identifier: Apache-2.0
// Values as people read them.
#include <stdio.h>
#include <stdlib.h>

#include "datasets/date.h"
#include "datasets/view.h"
#include "host/core/json.h"

const char *co_class_name(const co_column *column, int64_t code) {
  static const char *const plain[] = {"0", "1"};
  return code < column->category_count ? column->categories[code] : plain[code & 1];
}

static void print_number(char *out, size_t size, double value, bool is_float) {
  if (!is_float) {
    co_double_print(value, out, size);
    return;
  }
  for (int digits = 6; digits <= 9; digits++) {
    snprintf(out, size, "%.*g", digits, value);
    if (strtof(out, NULL) == (float)value) return;
  }
}

const char *co_view_print(const co_view *view, int64_t sample, char *room, size_t size) {
  char shape[96];
  *room = '\0';
  if (view->texts) return view->texts[co_view_row(view, sample)];
  if (view->bytes) {
    co_shape_print(&view->column->shape, shape, sizeof shape);
    snprintf(room, size, "%s", shape);
    return room;
  }
  double value = co_view_at(view, sample);
  if (isnan(value)) return room;
  if (co_column_type_has_names(view->column->type))
    return co_class_name(view->column, (int64_t)value);
  if (view->column->type == CO_COLUMN_DATE)
    co_date_print(value, room, size);
  else
    print_number(room, size, value, view->numbers.dtype == CO_F32);
  return room;
}
