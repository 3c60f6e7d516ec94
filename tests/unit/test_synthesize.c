// SPDX-License-Identifier: Apache-2.0
// Made-up customers follow the process that datasets/synthesize.h writes down.
#include "tests/unit/data_fixture.h"

#include <math.h>

#include "datasets/synthesize.h"
#include "datasets/view.h"

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != CO_OK) fail_msg("%s: %s", #call, co_error_last()->message);                      \
  } while (0)

enum { CUSTOMERS = 70000 }; // more than a block

static void make(fixture *f, int64_t rows, uint64_t seed, bool leak, int threads) {
  co_writer *table, *truth;
  co_context_set_threads(f->ctx, threads);
  OK(co_writer_open(&table, f->ctx, "t.csv", false));
  OK(co_writer_open(&truth, f->ctx, "truth.csv", false));
  const co_synthesize_options options = {
      .table = table, .truth = truth, .rows = rows, .seed = seed, .leak = leak};
  OK(co_synthesize(f->ctx, &options));
  OK(co_writer_close(table));
  OK(co_writer_close(truth));
}

typedef struct row {
  int age, tenure, visits, orders, recency, tickets, satisfaction; // 0 = missing
  char region[16], channel[16], plan[16];
  double basket, discounts, p, contacted_p, other_p;
  bool newsletter, contacted, bought;
} row;

static row *read_rows(void) {
  row *rows = calloc(CUSTOMERS, sizeof *rows);
  char line[512], newsletter[8], contacted[8], bought[8], key[16], other[16];
  FILE *table = fopen("t.csv", "r"), *truth = fopen("truth.csv", "r");
  assert_true(rows && table && truth && fgets(line, sizeof line, table));
  assert_string_equal(line, "customer,age,region,channel,plan,tenure,visits,basket,orders,recency,"
                            "discounts,tickets,newsletter,satisfaction,contacted,bought\n");
  assert_non_null(fgets(line, sizeof line, truth));
  for (int i = 0; i < CUSTOMERS; i++) {
    row *r = &rows[i];
    char *tail;
    int at = 0;
    assert_non_null(fgets(line, sizeof line, table));
    assert_int_equal(
        sscanf(line, "%15[^,],%d,%15[^,],%15[^,],%15[^,],%d,%d,%lf,%d,%d,%lf,%d,%7[^,],%n", key,
               &r->age, r->region, r->channel, r->plan, &r->tenure, &r->visits, &r->basket,
               &r->orders, &r->recency, &r->discounts, &r->tickets, newsletter, &at),
        13);
    r->satisfaction = (int)strtol(line + at, &tail, 10);
    assert_int_equal(sscanf(tail, ",%7[^,],%7s", contacted, bought), 2);
    r->newsletter = !strcmp(newsletter, "yes");
    r->contacted = !strcmp(contacted, "yes");
    r->bought = !strcmp(bought, "yes");
    assert_int_equal(
        fscanf(truth, "%15[^,],%lf,%lf,%lf\n", other, &r->p, &r->contacted_p, &r->other_p), 4);
    assert_string_equal(key, other);
  }
  assert_null(fgets(line, sizeof line, table));
  fclose(table);
  fclose(truth);
  return rows;
}

// A share is within five standard errors of what it should be.
static void is_share(double count, double of, double expected) {
  double error = sqrt(expected * (1 - expected) / of);
  if (fabs(count / of - expected) > 5 * error) fail_msg("%g, not %g", count / of, expected);
}

static double logit(double p) {
  return log(p / (1 - p));
}

static void the_process_is_as_written(void **state) {
  fixture *f = *state;
  make(f, CUSTOMERS, 7, false, 2);
  row *rows = read_rows();
  double bought = 0, expected = 0, spread = 0, contacted = 0, store = 0, gaps = 0, yearly = 0;
  for (int i = 0; i < CUSTOMERS; i++) {
    const row *r = &rows[i];
    assert_true(r->age >= 18 && r->age <= 81 && r->recency <= 365 && r->discounts <= 1);
    assert_true(fabs(r->p - (r->contacted ? r->contacted_p : r->other_p)) < 1e-7);
    bought += r->bought;
    expected += r->p;
    spread += r->p * (1 - r->p);
    contacted += r->contacted;
    yearly += !strcmp(r->plan, "plus");
    if (!strcmp(r->channel, "store") && r->age <= 60) {
      store++;
      gaps += !r->satisfaction;
    }
    double effect = 0.5 + 0.6 * r->newsletter - 0.9 * (r->recency < 14);
    assert_true(fabs(logit(r->contacted_p) - logit(r->other_p) - effect) < 1e-4);
    if (!r->satisfaction) continue;
    // The formula, once more.
    static const char *const regions[] = {"north",  "west",  "south", "east",
                                          "centre", "coast", "hills"};
    static const double of_region[] = {.2, 0, -.2, -.1, .1, .3, -.3};
    double s = -2.2 + 0.8 * log(1.0 + r->visits) + 0.01 * fmin(r->tenure, 60) - 0.01 * r->recency;
    s += !strcmp(r->channel, "social") ? -.4 : !strcmp(r->channel, "email") ? .3 : 0;
    s += !strcmp(r->channel, "store") ? .1 : !strcmp(r->channel, "referral") ? .7 : 0;
    s += !strcmp(r->plan, "plus") ? .3 : !strcmp(r->plan, "premium") ? .8 : 0;
    for (int k = 0; k < 7; k++)
      s += strcmp(r->region, regions[k]) ? 0 : of_region[k];
    s += -0.3 * pow((r->age - 42) / 18.0, 2) + 0.15 * (r->satisfaction - 7) - 0.25 * r->tickets;
    s += 0.9 * (!strcmp(r->channel, "social") && r->age < 30);
    double discounts = !strcmp(r->plan, "premium") && r->discounts > 0.505; // of two decimals
    if (fabs(r->discounts - 0.5) < 0.006) continue;
    assert_true(fabs(logit(r->other_p) - (s - 0.5 * discounts)) < 1e-4);
  }
  assert_true(fabs(bought - expected) < 5 * sqrt(spread));
  is_share(contacted, CUSTOMERS, 0.5);
  is_share(yearly, CUSTOMERS, 0.3);
  is_share(gaps, store, 0.38);
  free(rows);
}

// What a model can reach at best, over all rows.
static void the_truth_is_the_best_score(void **state) {
  fixture *f = *state;
  make(f, CUSTOMERS, 8, false, 1);
  row *rows = read_rows();
  static double yes[CUSTOMERS], no[CUSTOMERS], scratch[CUSTOMERS];
  int64_t positives = 0, negatives = 0;
  for (int i = 0; i < CUSTOMERS; i++)
    if (rows[i].bought)
      yes[positives++] = rows[i].p;
    else
      no[negatives++] = rows[i].p;
  co_sort_doubles(yes, scratch, positives);
  co_sort_doubles(no, scratch, negatives);
  double auc = co_sorted_auc(yes, positives, no, negatives);
  if (auc < 0.76 || auc > 0.80) fail_msg("AUC %g", auc);
  free(rows);
}

static void bytes_depend_on_the_seed_alone(void **state) {
  fixture *f = *state;
  size_t length, other;
  make(f, CUSTOMERS, 7, false, 2);
  unsigned char *a = read_bytes("t.csv", &length);
  make(f, CUSTOMERS, 7, false, 1);
  unsigned char *b = read_bytes("t.csv", &other);
  assert_true(length == other && !memcmp(a, b, length));
  free(b);
  // More customers are the same ones and others; another seed gives others.
  make(f, 10, 7, false, 1);
  b = read_bytes("t.csv", &other);
  assert_true(other < length && !memcmp(a, b, other));
  free(b);
  make(f, 10, 6, false, 1);
  b = read_bytes("t.csv", &other);
  assert_true(memcmp(a, b, other) != 0);
  free(b);
  free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(the_process_is_as_written),
      DATA_TEST(the_truth_is_the_best_score),
      DATA_TEST(bytes_depend_on_the_seed_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
