// SPDX-License-Identifier: Apache-2.0
// Metrics over scores: what scikit-learn measures, values worked out by hand, ties, weights, order of
// rows; the bootstrap.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/config/config.h"
#include "host/eval/bootstrap.h"

#define GOLDEN COHORT_TEST_SOURCE_DIR "/tests/golden/metrics.json"

static co_context *ctx;

// ---- scikit-learn ------------------------------------------------------------------------------

static char *read_golden(size_t *length) {
  FILE *file = fopen(GOLDEN, "rb");
  char *text = malloc(1 << 20);
  assert_non_null(file);
  *length = fread(text, 1, 1 << 20, file);
  assert_true(*length > 0 && *length < 1 << 20);
  fclose(file);
  return text;
}

static double number_at(const co_node *list, int64_t i) {
  double value;
  assert_true(co_node_double(list->items[i], &value));
  return value;
}

// The case's rows, in their order or from the last to the first.
static void add_rows(co_scores *scores, const co_node *c, bool backwards) {
  const co_node *score = co_node_get(c, "score"), *target = co_node_get(c, "target");
  for (int64_t k = 0; k < target->count; k++) {
    int64_t i = backwards ? target->count - 1 - k : k;
    float s[16], value = (float)number_at(target, i),
                 weight = (float)number_at(co_node_get(c, "weight"), i);
    int32_t code = (int32_t)value;
    for (int64_t j = 0; j < scores->width; j++)
      s[j] = (float)number_at(score, i * scores->width + j);
    co_scores_add(scores, &i, NULL, s,
                  scores->type == CO_COLUMN_CATEGORY ? (const void *)&code : (const void *)&value,
                  &weight, 1);
  }
}

static void check_case(const co_node *c, const co_decision_rule *rule, bool backwards) {
  const char *type = co_node_get(c, "type")->text;
  const co_node *metrics = co_node_get(c, "metrics");
  int64_t rows = co_node_get(c, "target")->count;
  co_column_type kind = strcmp(type, "binary") == 0   ? CO_COLUMN_BINARY
                        : strcmp(type, "number") == 0 ? CO_COLUMN_NUMBER
                                                      : CO_COLUMN_CATEGORY;
  co_scores scores;
  co_measured measured;
  assert_int_equal(co_scores_create(&scores, ctx, kind, co_node_get(c, "score")->count / rows,
                                    CO_KEPT_SCORES, rows),
                   CO_OK);
  add_rows(&scores, c, backwards);
  assert_int_equal(co_measured_create(&measured, &scores, rule), CO_OK);
  int64_t known = 0;
  for (int64_t k = 0; co_metric_list()[k]; k++)
    known += co_metric_is_scored(co_metric_list()[k], kind) &&
             !co_metric_list()[k]->needs_catalogue &&
             scores.width >= co_metric_list()[k]->needs_classes;
  assert_int_equal(metrics->count, known); // each metric is compared
  for (int64_t k = 0; k < metrics->count; k++) {
    const co_metric_class *metric = co_metric_find(metrics->keys[k], kind);
    assert_non_null(metric);
    double value = co_measured_value(&measured, metric), expected = number_at(metrics, k);
    // Probabilities of several classes are floats, which need not add up to 1.
    double tolerance = kind == CO_COLUMN_CATEGORY && strcmp(metric->name, "log_loss") == 0
                           ? 1e-6
                           : 1e-12 * (1 + fabs(expected));
    if (!(fabs(value - expected) <= tolerance))
      fail_msg("%s %s: %.17g instead of %.17g", type, metric->name, value, expected);
  }
  co_measured_free(&measured);
  co_scores_free(&scores);
}

static void test_scikit_learn(void **state) {
  (void)state;
  size_t length;
  char *text = read_golden(&length);
  co_arena *arena;
  co_diagnostics problems;
  co_node *root;
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  co_diagnostics_init(&problems, ctx);
  assert_int_equal(co_yaml_parse(&root, arena, "golden", text, length, &problems), CO_OK);
  const co_node *cases = co_node_get(root, "cases"), *p = co_node_get(root, "profit");
  const co_profit profit = {number_at(p, 0), number_at(p, 1), number_at(p, 2), number_at(p, 3)};
  assert_int_equal(cases->count, 7);
  for (int64_t i = 0; i < cases->count; i++) {
    co_decision_rule rule = {.threshold = 0.5, .profit = &profit};
    const co_node *threshold = co_node_get(cases->items[i], "threshold");
    if (threshold) assert_true(co_node_double(threshold, &rule.threshold));
    check_case(cases->items[i], &rule, false);
    check_case(cases->items[i], &rule, true);
  }
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  free(text);
}

// ---- by hand -----------------------------------------------------------------------------------

static void open_binary(co_scores *scores, const float *score, const float *target,
                        const float *weight, int64_t rows) {
  assert_int_equal(co_scores_create(scores, ctx, CO_COLUMN_BINARY, 1, CO_KEPT_SCORES, rows), CO_OK);
  co_scores_add(scores, NULL, NULL, score, target, weight, rows);
}

static double measure(const char *metric, const float *score, const float *target,
                      const float *weight, int64_t rows) {
  co_scores scores;
  co_measured measured;
  open_binary(&scores, score, target, weight, rows);
  assert_int_equal(co_measured_create(&measured, &scores, NULL), CO_OK);
  double value = co_measured_value(&measured, co_metric_find(metric, CO_COLUMN_BINARY));
  co_measured_free(&measured);
  co_scores_free(&scores);
  return value;
}

static const float ones[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void test_without_ties(void **state) {
  (void)state;
  const float score[] = {.9f, .8f, .7f, .6f}, target[] = {1, 0, 1, 0};
  // Pairs (positive, negative): 3 of 4 in order.
  assert_true(fabs(measure("roc_auc", score, target, ones, 4) - .75) < 1e-12);
  assert_true(fabs(measure("pr_auc", score, target, ones, 4) - (1 + 2.0 / 3) / 2) < 1e-12);
  double squares = .1 * .1 + .8 * .8 + .3 * .3 + .6 * .6;
  assert_true(fabs(measure("brier", score, target, ones, 4) - squares / 4) < 1e-6);
}

static void test_ties(void **state) {
  (void)state;
  const float score[] = {.5f, .5f, .5f, .5f}, one[] = {1, 0, 0, 0}, last[] = {0, 0, 0, 1};
  assert_true(fabs(measure("roc_auc", score, one, ones, 4) - .5) < 1e-12);
  assert_true(fabs(measure("pr_auc", score, last, ones, 4) - .25) < 1e-12);
  assert_true(fabs(measure("lift@10", score, one, ones, 4) - 1) < 1e-12);
  assert_true(fabs(measure("ks", score, one, ones, 4)) < 1e-12);
  assert_true(fabs(measure("ece", score, one, ones, 4) - .25) < 1e-12);
}

// A row of weight 2 is two rows; one of weight 0 is none, whatever its target. To the last bit, in
// whatever order they come.
static void test_weights(void **state) {
  (void)state;
  const float score[] = {.9f, .7f, .6f, .2f}, target[] = {1, 0, 1, NAN}, weight[] = {2, 1, 1, 0};
  const float score2[] = {.6f, .9f, .7f, .9f}, target2[] = {1, 1, 0, 1};
  for (int i = 0; co_metric_list()[i]; i++) {
    const co_metric_class *metric = co_metric_list()[i];
    if (!metric->binary_score || metric->needs_profit) continue;
    double a = measure(metric->name, score, target, weight, 4);
    double b = measure(metric->name, score2, target2, ones, 4);
    if (a != b) fail_msg("%s: %.17g and %.17g", metric->name, a, b);
  }
}

// Nothing to tell apart; nothing to measure; no number.
static void test_without_a_value(void **state) {
  (void)state;
  const float score[] = {.9f, .8f}, target[] = {1, 1}, broken[] = {.9f, NAN};
  assert_true(isnan(measure("roc_auc", score, target, ones, 2)));
  assert_true(isnan(measure("ks", score, target, ones, 2)));
  assert_true(measure("accuracy", score, target, ones, 2) == 1);
  assert_true(measure("mcc", score, target, ones, 2) == 0);
  for (int i = 0; co_metric_list()[i]; i++) {
    if (!co_metric_list()[i]->binary_score) continue;
    assert_true(isnan(measure(co_metric_list()[i]->name, broken, target, ones, 2)));
    assert_true(isnan(measure(co_metric_list()[i]->name, score, target, ones, 0)));
  }
  // A probability of exactly 0 costs no more than floats can tell from it.
  const float sure[] = {0, 1};
  assert_true(fabs(measure("log_loss", sure, target, ones, 2) - 24 * log(2) / 2) < 1e-6);
}

// ---- bootstrap ---------------------------------------------------------------------------------

enum { ROWS = 2000 };

// Half of the rows positive, right with probability `share`.
static void make_scores(co_scores *scores, double share, int seed) {
  float score[ROWS], target[ROWS], weight[ROWS];
  srand48(seed);
  for (int i = 0; i < ROWS; i++) {
    target[i] = (float)(i % 2);
    score[i] = drand48() < share ? target[i] : 1 - target[i];
    weight[i] = 1;
  }
  open_binary(scores, score, target, weight, ROWS);
}

// Of a share the interval is known: Wald's.
static void test_bootstrap(void **state) {
  (void)state;
  co_scores scores;
  co_measured measured;
  co_interval again, other, all;
  make_scores(&scores, .8, 1);
  assert_int_equal(co_measured_create(&measured, &scores, NULL), CO_OK);
  const co_metric_class *accuracy = co_metric_find("accuracy", CO_COLUMN_BINARY);
  double value = co_measured_value(&measured, accuracy);
  const co_bootstrap_options options = {.seed = 3}, another = {.seed = 4};
  assert_int_equal(co_bootstrap(&all, &measured, &accuracy, 1, &options), CO_OK);
  double wald = 1.96 * sqrt(value * (1 - value) / ROWS);
  assert_true(fabs(all.high - all.low - 2 * wald) < .15 * wald);
  assert_true(fabs((all.high + all.low) / 2 - value) < .1 * wald);
  assert_true(co_measured_value(&measured, accuracy) == value);
  assert_int_equal(co_bootstrap(&again, &measured, &accuracy, 1, &options), CO_OK);
  assert_int_equal(co_bootstrap(&other, &measured, &accuracy, 1, &another), CO_OK);
  assert_memory_equal(&again, &all, sizeof all);
  assert_true(other.low != all.low || other.high != all.high);
  // Rows drawn anew are off by more than the rows are: no interval, rather than one above the value.
  const co_metric_class *ece = co_metric_find("ece", CO_COLUMN_BINARY);
  assert_int_equal(co_bootstrap(&all, &measured, &ece, 1, &options), CO_OK);
  assert_true(isnan(all.low) && isnan(all.high));
  co_measured_free(&measured);
  co_scores_free(&scores);
}

static void test_paired(void **state) {
  (void)state;
  co_scores scores[2];
  co_measured m[2];
  co_paired difference;
  const co_metric_class *accuracy = co_metric_find("accuracy", CO_COLUMN_BINARY);
  const co_bootstrap_options options = {.seed = 3};
  for (int i = 0; i < 2; i++) {
    make_scores(&scores[i], i ? .75 : .8, 1); // the same rows are hard for both
    assert_int_equal(co_measured_create(&m[i], &scores[i], NULL), CO_OK);
  }
  assert_int_equal(co_bootstrap_paired(&difference, &m[0], &m[1], &accuracy, 1, &options), CO_OK);
  double d = difference.value;
  assert_true(d == co_measured_value(&m[0], accuracy) - co_measured_value(&m[1], accuracy));
  // They differ in the same direction wherever they do: a share d of the rows.
  double wald = 1.96 * sqrt(d * (1 - d) / ROWS);
  assert_true(fabs(difference.interval.high - difference.interval.low - 2 * wald) < .15 * wald);
  assert_true(difference.interval.low > 0);
  assert_true(difference.p == 2.0 / 1001); // no draw of 1000 is on the other side
  // The draws themselves say the same.
  enum { DRAWS = 1000 };
  double *draws = malloc(DRAWS * sizeof *draws);
  const co_bootstrap_options all = {.draws = DRAWS, .seed = 3};
  assert_int_equal(co_bootstrap_differences(draws, &m[0], &m[1], &accuracy, 1, &all), CO_OK);
  const co_paired again = co_bootstrap_summary(d, draws, DRAWS);
  assert_true(again.value == d && again.p == difference.p);
  assert_memory_equal(&again.interval, &difference.interval, sizeof again.interval);
  free(draws);
  assert_int_equal(co_bootstrap_paired(&difference, &m[0], &m[0], &accuracy, 1, &options), CO_OK);
  assert_true(difference.interval.low == 0 && difference.interval.high == 0);
  assert_true(difference.p == 1);
  for (int i = 0; i < 2; i++) {
    co_measured_free(&m[i]);
    co_scores_free(&scores[i]);
  }
}

// Rows that belong together are drawn together: each there twice, they say no more than once. Nor does the
// order of rows or the numbers of units matter.
static void test_units(void **state) {
  (void)state;
  co_scores once, twice;
  co_measured m[2];
  co_interval interval[3];
  const co_metric_class *metrics[] = {co_metric_find("roc_auc", CO_COLUMN_BINARY),
                                      co_metric_find("accuracy", CO_COLUMN_BINARY)};
  int64_t samples[2 * ROWS], units[2 * ROWS];
  float score[2 * ROWS], target[2 * ROWS], weight[2 * ROWS];
  make_scores(&once, .8, 1);
  for (int64_t i = 0; i < 2 * ROWS; i++) {
    samples[i] = i;
    units[i] = 7 * (i % ROWS) + 1;
    score[i] = once.score[i % ROWS];
    target[i] = (float)once.target[i % ROWS];
    weight[i] = 1;
  }
  assert_int_equal(co_scores_create(&twice, ctx, CO_COLUMN_BINARY, 1, CO_KEPT_SCORES, 2 * ROWS),
                   CO_OK);
  co_scores_add(&twice, samples, units, score, target, weight, 2 * ROWS);
  assert_int_equal(co_measured_create(&m[0], &once, NULL), CO_OK);
  assert_int_equal(co_measured_create(&m[1], &twice, NULL), CO_OK);
  assert_true(m[0].units == ROWS && m[1].units == ROWS && m[1].rows == 2 * ROWS);
  for (int k = 0; k < 2; k++) {
    const co_bootstrap_options options = {.draws = 200, .seed = 3};
    for (int i = 0; i < 2; i++)
      assert_int_equal(co_bootstrap(&interval[i], &m[i], &metrics[k], 1, &options), CO_OK);
    assert_true(fabs(interval[0].low - interval[1].low) < 1e-12);
    assert_true(fabs(interval[0].high - interval[1].high) < 1e-12);
    co_measured apart;
    for (int64_t i = 0; i < 2 * ROWS; i++)
      twice.unit[i] = 2 * ROWS - i; // as if each were somebody else
    assert_int_equal(co_measured_create(&apart, &twice, NULL), CO_OK);
    assert_int_equal(co_bootstrap(&interval[2], &apart, &metrics[k], 1, &options), CO_OK);
    assert_true(interval[2].high - interval[2].low < .8 * (interval[0].high - interval[0].low));
    co_measured_free(&apart);
    // As many others: a draw of one is none of the other's.
    co_paired pair;
    for (int64_t i = 0; i < 2 * ROWS; i++)
      twice.unit[i] = i / 2;
    assert_int_equal(co_measured_create(&apart, &twice, NULL), CO_OK);
    assert_true(apart.units == ROWS);
    assert_int_equal(co_bootstrap_paired(&pair, &m[1], &m[1], &metrics[k], 1, &options), CO_OK);
    assert_int_equal(co_bootstrap_paired(&pair, &m[1], &apart, &metrics[k], 1, &options),
                     CO_ERR_INTERNAL);
    co_measured_free(&apart);
    memcpy(twice.unit, units, sizeof units);
  }
  for (int i = 0; i < 2; i++)
    co_measured_free(&m[i]);
  co_scores_free(&once);
  co_scores_free(&twice);
}

// One class only has no AUC, hence no interval of it.
static void test_no_interval(void **state) {
  (void)state;
  const float score[] = {.9f, .8f}, target[] = {1, 1};
  co_scores scores;
  co_measured measured;
  co_interval interval;
  const co_metric_class *auc = co_metric_find("roc_auc", CO_COLUMN_BINARY);
  open_binary(&scores, score, target, ones, 2);
  assert_int_equal(co_measured_create(&measured, &scores, NULL), CO_OK);
  assert_int_equal(co_bootstrap(&interval, &measured, &auc, 1, &(co_bootstrap_options){0}), CO_OK);
  assert_true(isnan(interval.low) && isnan(interval.high));
  co_measured_free(&measured);
  co_scores_free(&scores);
}

// Two customers: true items at places 1 and 3 of the first, 12 of the second, whose equals all stand
// before it.
static void test_catalogue(void **state) {
  (void)state;
  enum { ITEMS = 12 };
  float score[3 * ITEMS];
  const int64_t samples[] = {0, 1, 2}, units[] = {5, 5, 9}; // by sample
  const int32_t target[] = {0, 2, 7};
  const struct {
    const char *metric;
    double want;
  } cases[] = {{"hit_rate@10", 0.5},
               {"recall@10", 0.5},
               {"ndcg@10", (1 + 0.5) / (1 + 1 / log2(3)) / 2},
               {"mrr", (1 + 1 / 12.0) / 2},
               {"map@10", (1 + 2 / 3.0) / 2 / 2},
               {"accuracy", 1 / 3.0},
               {"log_loss", -(log((double)0.5f) + log((double)0.3f) + log((double)0.1f)) / 3}};
  co_scores scores;
  co_measured measured;
  co_interval interval;
  for (int i = 0; i < ITEMS; i++) {
    score[i] = score[ITEMS + i] = i == 0 ? .5f : i == 1 ? .4f : i == 2 ? .3f : .2f;
    score[2 * ITEMS + i] = .1f;
  }
  assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_CATEGORY, ITEMS, CO_KEPT_LISTS, 3),
                   CO_OK);
  co_scores_add(&scores, samples, units, score, target, ones, 3);
  assert_int_equal(co_measured_create(&measured, &scores, NULL), CO_OK);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const co_metric_class *metric = co_metric_find(cases[i].metric, CO_COLUMN_CATEGORY);
    double got = co_measured_value(&measured, metric);
    if (!(fabs(got - cases[i].want) < 1e-7)) fail_msg("%s: %.9g", cases[i].metric, got);
  }
  // Customers are drawn, not items: the first alone, both, or the second alone.
  const co_metric_class *hit = co_metric_find("hit_rate@10", CO_COLUMN_CATEGORY);
  co_measured_draw(&measured, (const uint32_t[]){2, 0});
  assert_true(co_measured_value(&measured, hit) == 1);
  co_measured_draw(&measured, (const uint32_t[]){0, 2});
  assert_true(co_measured_value(&measured, hit) == 0);
  assert_int_equal(co_bootstrap(&interval, &measured, &hit, 1, &(co_bootstrap_options){0}), CO_OK);
  assert_true(interval.low == 0 && interval.high == 1);
  co_measured_free(&measured);
  co_scores_free(&scores);
}

// Of 24 items the first customer had 1 and 3 and takes 1 (place 2), 2 (place 3) and 20 (place 21), the second
// had nothing and takes 5 (place 6), the third had 4, 23 and what is no item, and takes 23 (place 1).
static void test_repeats(void **state) {
  (void)state;
  enum { ITEMS = 24, ROWS_HERE = 5 };
  float score[ROWS_HERE * ITEMS];
  const int64_t samples[] = {0, 1, 2, 3, 4}, units[] = {0, 0, 0, 1, 2};
  const int64_t begin[] = {0, 0, 0, 3, 3}, end[] = {3, 3, 3, 3, 6};
  const int32_t target[] = {1, 2, 20, 5, 23}, item[] = {1, 3, 1, 4, 23, -1};
  const co_history history = {.classes = ITEMS, .item = item, .begin = begin, .end = end};
  const double first = 1 / log2(3), second = 1 / log2(4), sixth = 1 / log2(7);
  const struct {
    const char *metric;
    double want, excluded; // where what was had is not recommended
  } cases[] = {
      {"hit_rate@10", 1, 1},
      {"repeat_share", (1 / 3.0 + 0 + 1) / 3, (1 / 3.0 + 0 + 1) / 3},
      {"repetition_ratio@10", (.2 + 0 + .2) / 3, 0},
      {"repeat_hit_rate@10", 1, NAN},
      {"repeat_ndcg@10", (first + 1) / 2, NAN},
      {"repeat_mrr", (.5 + 1) / 2, NAN},
      {"explore_hit_rate@10", 1, 1},
      {"explore_recall@10", (.5 + 1) / 2, (.5 + 1) / 2},
      {"explore_ndcg@10", (second / (1 + first) + sixth) / 2, (second / (1 + first) + sixth) / 2},
      {"explore_mrr", (1 / 3.0 + 1 / 6.0) / 2, (1 / 3.0 + 1 / 6.0) / 2},
      {"explore_map@10", (1 / 3.0 / 2 + 1 / 6.0) / 2, (1 / 3.0 / 2 + 1 / 6.0) / 2},
      {"coverage@10", 11 / 24.0, 12 / 24.0}};
  for (int i = 0; i < ROWS_HERE; i++)
    for (int k = 0; k < ITEMS; k++)
      score[i * ITEMS + k] = i == 4 && k == 23 ? .5f : .1f - .001f * (float)k;
  for (int excluded = 0; excluded < 2; excluded++) {
    co_scores scores;
    co_measured measured;
    co_seen seen;
    co_paired paired[2];
    assert_int_equal(co_seen_open(&seen, ctx, &history), CO_OK);
    assert_int_equal(
        co_scores_create(&scores, ctx, CO_COLUMN_CATEGORY, ITEMS, CO_KEPT_LISTS, ROWS_HERE), CO_OK);
    scores.seen = &seen;
    scores.exclude_seen = excluded;
    co_scores_add(&scores, samples, units, score, target, ones, ROWS_HERE);
    assert_int_equal(co_measured_create(&measured, &scores, NULL), CO_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      const double got =
          co_measured_value(&measured, co_metric_find(cases[i].metric, CO_COLUMN_CATEGORY));
      const double want = excluded ? cases[i].excluded : cases[i].want;
      if (isnan(want) ? !isnan(got) : !(fabs(got - want) < 1e-6))
        fail_msg("%s: %.9g, not %.9g", cases[i].metric, got, want);
    }
    // Who takes no repeat counts for none; what the draws of a list tell is no interval.
    const co_metric_class *compared[] = {co_metric_find("coverage@10", CO_COLUMN_CATEGORY),
                                         co_metric_find("explore_mrr", CO_COLUMN_CATEGORY)};
    assert_int_equal(
        co_bootstrap_paired(paired, &measured, &measured, compared, 2, &(co_bootstrap_options){0}),
        CO_OK);
    assert_true(paired[0].value == 0 && isnan(paired[0].interval.low) && isnan(paired[0].p));
    assert_true(paired[1].interval.low == 0 && paired[1].interval.high == 0);
    double draws[2 * 8];
    assert_int_equal(co_bootstrap_differences(draws, &measured, &measured, compared, 2,
                                              &(co_bootstrap_options){.draws = 8}),
                     CO_OK);
    assert_true(isnan(draws[0]) && isnan(draws[7]) && draws[8] == 0 && draws[15] == 0);
    co_measured_draw(&measured, (const uint32_t[]){0, 3, 0});
    assert_true(
        isnan(co_measured_value(&measured, co_metric_find("repeat_mrr", CO_COLUMN_CATEGORY))));
    assert_true(co_measured_value(&measured, compared[0]) == 10 / 24.0);
    co_measured_free(&measured);
    co_scores_free(&scores);
    co_seen_close(&seen, ctx);
  }
}

// What a file says is asked before it is an index.
static void test_damaged_places(void **state) {
  (void)state;
  enum { CLASSES = 12, KEPT = 15 }; // probability, place, likeliest, seen, share seen, list
  static const struct {
    int at;
    float value;
    bool sound;
  } cases[] = {{0, NAN, true},  {1, 0, false},    {1, 13, false},   {1, 1.5f, false},
               {1, NAN, false}, {1, 12, true},    {1, 4e9f, false}, {2, -1, false},
               {2, 12, false},  {2, 4e8f, false}, {2, .5f, false},  {2, 11, true},
               {3, .5f, false}, {3, 2, false},    {3, 1, true},     {4, -1, false},
               {4, NAN, false}, {4, 1.5f, false}, {5, -1, true},    {5, -2, false},
               {14, 12, false}, {14, .5f, false}, {14, 11, true}};
  for (int kept = CO_KEPT_PLACES; kept <= CO_KEPT_LISTS; kept++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      float score[CLASSES] = {.1f, .3f, .6f};
      const int32_t target = 1;
      const float weight = 1;
      co_scores scores;
      assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_CATEGORY, CLASSES, kept, 1), CO_OK);
      co_scores_add(&scores, NULL, NULL, score, &target, &weight, 1);
      assert_true(co_scores_are_sound(&scores));
      if (cases[i].at < co_scores_kept(&scores)) {
        assert_true(kept == CO_KEPT_PLACES || co_scores_kept(&scores) == KEPT);
        scores.score[cases[i].at] = cases[i].value;
        assert_int_equal(co_scores_are_sound(&scores), cases[i].sound);
        scores.score[cases[i].at] = 1;
      }
      scores.target[0] = CLASSES;
      assert_false(co_scores_are_sound(&scores));
      co_scores_free(&scores);
    }
}

// Of texts whether they are equal, edits and length are kept.
static void test_damaged_matches(void **state) {
  (void)state;
  enum { LENGTH = 3 };
  static const struct {
    int at;
    float value;
    bool sound;
  } cases[] = {{0, 0, true},   {0, .5f, false}, {0, 2, false},   {0, NAN, false},
               {1, -1, false}, {1, 7, true},    {1, .5f, false}, {1, INFINITY, false},
               {2, -1, false}, {2, 0, true},    {2, NAN, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_scores s;
    assert_int_equal(co_scores_create(&s, ctx, CO_COLUMN_TEXT, LENGTH, CO_KEPT_SCORES, 1), CO_OK);
    s.count = 1;
    s.weight[0] = 1;
    s.target[0] = 2;
    s.score[0] = 1;
    s.score[1] = 0;
    s.score[2] = 2;
    assert_true(co_scores_are_sound(&s));
    s.score[cases[i].at] = cases[i].value;
    assert_int_equal(co_scores_are_sound(&s), cases[i].sound);
    s.score[cases[i].at] = 1;
    s.unit[0] = -1;
    assert_false(co_scores_are_sound(&s));
    co_scores_free(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scikit_learn),
      cmocka_unit_test(test_without_ties),
      cmocka_unit_test(test_ties),
      cmocka_unit_test(test_weights),
      cmocka_unit_test(test_without_a_value),
      cmocka_unit_test(test_bootstrap),
      cmocka_unit_test(test_paired),
      cmocka_unit_test(test_units),
      cmocka_unit_test(test_no_interval),
      cmocka_unit_test(test_catalogue),
      cmocka_unit_test(test_repeats),
      cmocka_unit_test(test_damaged_places),
      cmocka_unit_test(test_damaged_matches),
  };
  if (co_context_create(&ctx, NULL) != CO_OK) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  co_context_free(ctx);
  return failed;
}
