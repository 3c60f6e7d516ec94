// SPDX-License-Identifier: Apache-2.0
#include "datasets/relevance.h"

#include <string.h>

enum { BINS = 20, MOST_CLASSES = 1 << 16, MOST_CELLS = 1 << 24 };

// More than three standard deviations above the mean of chi squared.
static bool is_unlikely(double statistic, double degrees) {
  return degrees > 0 && statistic > degrees + 3 * sqrt(2 * degrees);
}

// ---- classes -----------------------------------------------------------------------------------

// A column as classes 0 … count - 1 of each row.
typedef struct classes {
  int32_t *of_row;
  int64_t count;
} classes;

static bool has_classes(const co_view *view) {
  return co_column_type_has_names(view->column->type);
}

// The bin of a value: how many of the cuts are below it.
static int32_t bin_of(const double *cuts, int count, double value) {
  int32_t bin = 0;
  while (bin < count && cuts[bin] < value)
    bin++;
  return bin;
}

static co_status cut(classes *out, co_context *ctx, const co_view *view, const int64_t *rows,
                     int64_t count) {
  double cuts[BINS], *values = co_alloc(ctx, 2 * (size_t)(count + 1) * sizeof *values);
  int64_t known = 0;
  int used = 0;
  if (!values) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    values[known] = co_view_at(view, rows[i]);
    known += !isnan(values[known]);
  }
  co_sort_doubles(values, values + count, known);
  for (int b = 1; known && b < BINS; b++) {
    double at = values[(int64_t)((double)known * b / BINS)];
    if (!used || at > cuts[used - 1]) cuts[used++] = at;
  }
  co_free(ctx, values);
  for (int64_t i = 0; i < count; i++) {
    double value = co_view_at(view, rows[i]);
    out->of_row[i] = isnan(value) ? used + 1 : bin_of(cuts, used, value);
  }
  out->count = used + 2;
  return CO_OK;
}

static co_status classify(classes *out, co_context *ctx, const co_view *view, const int64_t *rows,
                          int64_t count) {
  *out = (classes){.of_row = co_alloc(ctx, (size_t)(count + 1) * sizeof *out->of_row)};
  if (!out->of_row) return CO_ERR_MEMORY;
  if (!has_classes(view)) return cut(out, ctx, view, rows, count);
  int64_t known = view->codes ? view->column->category_count : 2;
  for (int64_t i = 0; i < count; i++) {
    double value = co_view_at(view, rows[i]);
    out->of_row[i] = isnan(value) ? (int32_t)known : (int32_t)value;
  }
  out->count = known + 1;
  return CO_OK;
}

// ---- mutual information ------------------------------------------------------------------------

static double count_log(int64_t count) {
  return count ? (double)count * log((double)count) : 0;
}

// From counts of (x, y), of rows whose target is known.
static co_relevance information(const int64_t *cells, const classes *x, int64_t targets) {
  int64_t n = 0, used_x = 0, used_y = 0;
  double joint = 0, of_x = 0, of_y = 0;
  for (int64_t a = 0; a < x->count; a++) {
    int64_t sum = 0;
    for (int64_t b = 0; b < targets; b++) {
      sum += cells[a * targets + b];
      joint += count_log(cells[a * targets + b]);
    }
    of_x += count_log(sum);
    used_x += sum > 0;
    n += sum;
  }
  for (int64_t b = 0; b < targets; b++) {
    int64_t sum = 0;
    for (int64_t a = 0; a < x->count; a++)
      sum += cells[a * targets + b];
    of_y += count_log(sum);
    used_y += sum > 0;
  }
  if (!n) return (co_relevance){0, false};
  double all = (double)n, mi = log(all) + (joint - of_x - of_y) / all;
  double degrees = (double)((used_x - 1) * (used_y - 1));
  double unbiased = mi - degrees / (2 * all);
  return (co_relevance){unbiased > 0 ? unbiased : 0, is_unlikely(2 * all * mi, degrees)};
}

static co_status mutual_information(co_relevance *out, co_context *ctx, const co_view *column,
                                    const co_view *target, const int64_t *rows, int64_t count) {
  classes x = {0}, y = {0};
  int64_t *cells = NULL;
  co_status status = classify(&x, ctx, column, rows, count);
  if (status == CO_OK) status = classify(&y, ctx, target, rows, count);
  int64_t targets = y.count - 1; // the last class is that of missing ones
  if (status == CO_OK && x.count * targets > MOST_CELLS)
    status = co_fail(CO_ERR_DATA, "columns '%.100s' and '%.100s' have too many classes to compare",
                     column->column->name, target->column->name);
  if (status == CO_OK) {
    cells = co_alloc_zero(ctx, (size_t)(x.count * targets) + 1, sizeof *cells);
    status = cells ? CO_OK : CO_ERR_MEMORY;
  }
  for (int64_t i = 0; status == CO_OK && i < count; i++)
    if (y.of_row[i] < targets) cells[x.of_row[i] * targets + y.of_row[i]]++;
  if (status == CO_OK) *out = information(cells, &x, targets);
  co_free(ctx, cells);
  co_free(ctx, x.of_row);
  co_free(ctx, y.of_row);
  return status;
}

// ---- correlation -------------------------------------------------------------------------------

// A target's value, or whether it is of a class.
static double target_at(const co_view *target, int64_t class_, int64_t row) {
  double value = co_view_at(target, row);
  return class_ < 0 || isnan(value) ? value : value == (double)class_;
}

static co_relevance pearson(const co_view *column, const co_view *target, int64_t class_,
                            const int64_t *rows, int64_t count) {
  double n = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
  for (int64_t i = 0; i < count; i++) {
    double x = co_view_at(column, rows[i]), y = target_at(target, class_, rows[i]);
    if (isnan(x) || isnan(y)) continue;
    double from_x = x - mean_x, from_y = y - mean_y;
    mean_x += from_x / ++n;
    mean_y += from_y / n;
    xx += from_x * (x - mean_x);
    yy += from_y * (y - mean_y);
    xy += from_x * (y - mean_y);
  }
  if (!(xx > 0 && yy > 0)) return (co_relevance){0, false};
  double square = xy / xx * xy / yy;
  return (co_relevance){sqrt(square), is_unlikely(n * square, 1)};
}

typedef struct group {
  double count, sum;
} group;

static co_relevance ratio(const co_view *column, const co_view *target, int64_t class_,
                          const int64_t *rows, int64_t count, group *groups, int64_t group_count) {
  double n = 0, sum = 0, squares = 0, between = 0, used = 0;
  memset(groups, 0, (size_t)group_count * sizeof *groups);
  for (int64_t i = 0; i < count; i++) { // about 0: classes and shares are small numbers
    double x = co_view_at(column, rows[i]), y = target_at(target, class_, rows[i]);
    if (isnan(x) || isnan(y)) continue;
    groups[(int64_t)x].count++;
    groups[(int64_t)x].sum += y;
    n++;
    sum += y;
  }
  double mean = n ? sum / n : 0;
  for (int64_t i = 0; i < count; i++) {
    double y = target_at(target, class_, rows[i]);
    if (!isnan(y) && !isnan(co_view_at(column, rows[i]))) squares += (y - mean) * (y - mean);
  }
  for (int64_t g = 0; g < group_count; g++) {
    if (!groups[g].count) continue;
    double off = groups[g].sum / groups[g].count - mean;
    between += groups[g].count * off * off;
    used++;
  }
  if (!(squares > 0) || n <= used) return (co_relevance){0, false};
  double share = between / squares, adjusted = 1 - (1 - share) * (n - 1) / (n - used);
  return (co_relevance){adjusted > 0 ? sqrt(adjusted) : 0, is_unlikely(n * share, used - 1)};
}

static co_status correlation(co_relevance *out, co_context *ctx, const co_view *column,
                             const co_view *target, const int64_t *rows, int64_t count) {
  int64_t groups = column->codes ? column->column->category_count : 0;
  int64_t classes_ = target->codes ? target->column->category_count : 0;
  if (classes_ > MOST_CLASSES)
    return co_fail(CO_ERR_DATA, "target '%.200s' has too many classes", target->column->name);
  group *room = co_alloc_zero(ctx, (size_t)groups + 1, sizeof *room);
  if (!room) return CO_ERR_MEMORY;
  *out = (co_relevance){0, false};
  for (int64_t c = classes_ ? 0 : -1; c < classes_ || c < 0; c++) {
    co_relevance one = column->codes ? ratio(column, target, c, rows, count, room, groups)
                                     : pearson(column, target, c, rows, count);
    if (one.score > out->score) out->score = one.score;
    out->relevant |= one.relevant;
  }
  co_free(ctx, room);
  return CO_OK;
}

co_status co_relevance_of(co_relevance *out, co_context *ctx, const co_view *column,
                          const co_view *target, co_relevance_method method, const int64_t *rows,
                          int64_t count) {
  return method == CO_RELEVANCE_CORRELATION
             ? correlation(out, ctx, column, target, rows, count)
             : mutual_information(out, ctx, column, target, rows, count);
}
