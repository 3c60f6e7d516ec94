// SPDX-License-Identifier: Apache-2.0
#include "host/tune/goals.h"

#include <math.h>
#include <stdlib.h>

typedef struct point {
  double loss, second;
  int64_t which;
} point;

static int by_losses(const void *a, const void *b) {
  const point *x = a, *y = b;
  if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
  if (x->second != y->second) return x->second < y->second ? -1 : 1;
  return (x->which > y->which) - (x->which < y->which);
}

// Of sorted points moves the front's to the beginning; the others stay sorted, too. How many it has.
static int64_t part_front(point *points, int64_t count, point *room) {
  int64_t front = 0, rest = 0;
  for (int64_t i = 0; i < count; i++) {
    const point p = points[i], *last = front ? &points[front - 1] : NULL;
    bool on =
        !last || p.second < last->second || (p.second == last->second && p.loss == last->loss);
    if (on)
      points[front++] = p;
    else
      room[rest++] = p;
  }
  for (int64_t i = 0; i < rest; i++)
    points[front + i] = room[i];
  return front;
}

co_status co_front_find(co_front *out, co_arena *arena, const co_trials *trials, bool maximize,
                        bool maximize_second) {
  int64_t count = 0;
  const size_t most = (size_t)trials->count + 1;
  point *points = co_arena_alloc(arena, 2 * most, sizeof *points);
  out->number = co_arena_alloc(arena, most, sizeof *out->number);
  if (!points || !out->number) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < trials->count; i++) {
    const co_trial *t = &trials->item[i];
    if (t->state == CO_TRIAL_COMPLETE && !t->infeasible && !isnan(t->value) && !isnan(t->second))
      points[count++] =
          (point){maximize ? -t->value : t->value, maximize_second ? -t->second : t->second, i};
  }
  qsort(points, (size_t)count, sizeof *points, by_losses);
  out->count = part_front(points, count, points + most);
  for (int64_t i = 0; i < out->count; i++)
    out->number[i] = points[i].which;
  return CO_OK;
}

// ---- an order ----------------------------------------------------------------------------------

static double beyond(double worst) {
  double reference = fmax(1.1 * worst, 0.9 * worst);
  return reference == 0 ? 1e-12 : reference;
}

// What a point adds to the chosen ones, both of a front: the rectangle up to its neighbours among them.
static double contribution(const point *front, const bool *chosen, int64_t count, int64_t i,
                           const point *reference) {
  double right = reference->loss, above = reference->second;
  for (int64_t k = i + 1; k < count; k++)
    if (chosen[k]) {
      right = front[k].loss;
      break;
    }
  for (int64_t k = i - 1; k >= 0; k--)
    if (chosen[k]) {
      above = front[k].second;
      break;
    }
  return (right - front[i].loss) * (above - front[i].second);
}

// Gives the points of a front the places from `place` on.
static void place_front(const point *front, int64_t count, bool *chosen, int64_t place,
                        co_known_trial *known) {
  const point reference = {beyond(front[count - 1].loss), beyond(front[0].second), 0};
  int64_t left = place < CO_GOALS_ORDERED ? CO_GOALS_ORDERED - place : 0;
  for (int64_t i = 0; i < count; i++)
    chosen[i] = false;
  for (int64_t n = 0; n < left && n < count; n++) {
    double most = -1;
    int64_t best = -1;
    for (int64_t i = 0; i < count; i++) {
      double own = chosen[i] ? -1 : contribution(front, chosen, count, i, &reference);
      if (best < 0 ? !chosen[i] : own > most) {
        best = i;
        most = own;
      }
    }
    chosen[best] = true;
    known[front[best].which].loss = (double)place++;
  }
  for (int64_t i = 0; i < count; i++)
    if (!chosen[i]) known[front[i].which].loss = (double)place++;
}

// Those with both losses; the others have no place, or the last of all.
static int64_t collect(co_known_trial *known, int64_t count, point *points) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++)
    if (isfinite(known[i].loss) && isfinite(known[i].second))
      points[found++] = (point){known[i].loss, known[i].second, i};
    else if (!isnan(known[i].loss))
      known[i].loss = isnan(known[i].second) ? NAN : INFINITY;
  return found;
}

co_status co_goals_order(co_known_trial *known, int64_t count, co_context *ctx) {
  const size_t most = (size_t)count + 1;
  point *points = co_alloc(ctx, 2 * most * sizeof *points), *room = points ? points + most : NULL;
  bool *chosen = co_alloc(ctx, most * sizeof *chosen);
  if (points && chosen) {
    int64_t found = collect(known, count, points);
    qsort(points, (size_t)found, sizeof *points, by_losses);
    for (int64_t done = 0, front; done < found; done += front) {
      front = part_front(points + done, found - done, room);
      if (done >= CO_GOALS_ORDERED) front = found - done; // one as good as the other
      place_front(points + done, front, chosen, done, known);
    }
  }
  co_status status = points && chosen ? CO_OK : CO_ERR_MEMORY;
  co_free(ctx, points);
  co_free(ctx, chosen);
  return status;
}

// ---- weights -----------------------------------------------------------------------------------

typedef struct range {
  double low, high;
} range;

static void widen(range *r, double value) {
  r->low = fmin(r->low, value);
  r->high = fmax(r->high, value);
}

static double share(const range *r, double value) {
  return r->high > r->low ? (value - r->low) / (r->high - r->low) : 0;
}

void co_goals_weigh(co_known_trial *known, int64_t count, uint64_t seed, int64_t number) {
  const double weight = co_sampler_uniform(seed, number, INT64_MAX), both = 0.05;
  range first = {INFINITY, -INFINITY}, second = first;
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(known[i].loss) || !isfinite(known[i].second)) continue;
    widen(&first, known[i].loss);
    widen(&second, known[i].second);
  }
  for (int64_t i = 0; i < count; i++) {
    co_known_trial *k = &known[i];
    if (isnan(k->loss)) continue;
    double a = weight * share(&first, k->loss), b = (1 - weight) * share(&second, k->second);
    k->loss = isfinite(k->loss) && isfinite(k->second) ? fmax(a, b) + both * (a + b)
              : isnan(k->second)                       ? NAN
                                                       : INFINITY;
  }
}
