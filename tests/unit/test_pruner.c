// SPDX-License-Identifier: Apache-2.0
// Which trials a pruner gives up, and what it may know.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host/tune/pruner.h"

enum { TRIALS = 12, EPOCHS = 9 };

// Trial i has the loss 10 + i - epoch / 10 at each epoch.
static co_trial_value steps[TRIALS][EPOCHS];
static co_trial trials[TRIALS];
static const co_trials all = {trials, TRIALS};
static co_tune_settings settings;

static co_pruner_view begin(int type, int64_t number) {
  for (int i = 0; i < TRIALS; i++) {
    trials[i] = (co_trial){.number = i, .steps = steps[i], .step_count = EPOCHS};
    for (int e = 0; e < EPOCHS; e++)
      steps[i][e] = (co_trial_value){.trial = i, .step = e + 1, .value = 10 + i - (e + 1) / 10.0};
  }
  settings = (co_tune_settings){.lag = 1,
                                .pruner = {.type = type,
                                           .startup_trials = 5,
                                           .min_resource = 1,
                                           .reduction_factor = 3,
                                           .thaw = true}};
  return (co_pruner_view){
      .settings = &settings, .trials = &all, .number = number, .max_epochs = EPOCHS};
}

static bool keeps(const co_pruner_view *v, int64_t epoch, double value) {
  const co_trial_value own[] = {{.step = epoch - 1, .value = 1e9}, {.step = epoch, .value = value}};
  return co_pruner_keeps(v, own + (epoch == 1), epoch == 1 ? 1 : 2);
}

// Of trials 0 to 8 the median at epoch 2 is 14 - 0.2.
static void the_median_parts_them(void **state) {
  (void)state;
  co_pruner_view v = begin(CO_PRUNER_MEDIAN, 9);
  assert_true(keeps(&v, 2, 13.8));
  assert_false(keeps(&v, 2, 13.9));
  const co_trial_value was_better[] = {{.step = 1, .value = 5}, {.step = 2, .value = 99}};
  assert_true(co_pruner_keeps(&v, was_better, 2));
  settings.pruner.warmup_epochs = 2;
  assert_true(keeps(&v, 2, 99));
  assert_false(keeps(&v, 3, 99));
  settings.pruner.warmup_epochs = 0;
  v.number = 4; // knows trials 0 to 3: too few
  assert_true(keeps(&v, 2, 99));
  v.number = 9;
  settings.lag = 6; // the same
  assert_true(keeps(&v, 2, 99));
  settings.lag = 1;
  v.maximize = true;
  assert_false(keeps(&v, 1, 13.8));
  assert_true(keeps(&v, 1, 13.9));
}

// Rungs at epochs 1 and 3: of 9 rivals with itself the best three go on.
static void one_in_three_goes_on(void **state) {
  (void)state;
  co_pruner_view v = begin(CO_PRUNER_SUCCESSIVE_HALVING, 8);
  for (int rung = 1; rung <= 3; rung += 2) {
    assert_true(keeps(&v, rung, 11.9 - rung / 10.0));  // behind two
    assert_false(keeps(&v, rung, 12.1 - rung / 10.0)); // behind three
  }
  assert_true(keeps(&v, 2, 99));
  assert_true(keeps(&v, 9, 99)); // it is through
  assert_false(keeps(&v, 3, NAN));
  v.number = 0; // alone
  assert_true(keeps(&v, 1, 99));
}

static void hyperband_has_several_first_rungs(void **state) {
  (void)state;
  int pruned_at[EPOCHS + 1] = {0}, never = 0;
  for (int64_t number = 0; number < 300; number++) {
    co_pruner_view v = begin(CO_PRUNER_HYPERBAND, number);
    co_trials some = {trials, 0}; // no rivals: a value that is none falls at the first rung
    v.trials = &some;
    int64_t epoch = 1;
    while (epoch < EPOCHS && keeps(&v, epoch, NAN))
      epoch++;
    if (epoch == EPOCHS)
      never++;
    else
      pruned_at[epoch]++;
  }
  assert_true(pruned_at[1] > pruned_at[3] && pruned_at[3] > 30 && never > 30);
  assert_int_equal(pruned_at[1] + pruned_at[3] + never, 300);
}

// What a thawed trial knows are all values that there were when its round began.
static void rounds_do_not_see_each_other(void **state) {
  (void)state;
  co_pruner_view v = begin(CO_PRUNER_SUCCESSIVE_HALVING, 2);
  assert_true(keeps(&v, 3, 99) == false); // behind trials 0 and 1
  assert_int_equal(co_pruner_round(&all), 0);
  v.round = 1;
  assert_true(keeps(&v, 3, 12.65)); // of all 12 four go on, and three are better
  for (int i = 0; i < 3; i++) {     // those were thawed with it, and came to epoch 3 since
    if (i == 2) continue;
    trials[i].thaw_round = 1;
    trials[i].thaw_from = 1;
  }
  assert_int_equal(co_pruner_round(&all), 1);
  assert_true(keeps(&v, 3, 13.65)); // of ten, three go on; only trial 3 counts
  assert_true(keeps(&v, 1, 12.0));
  v.round = 2; // later they are known
  assert_false(keeps(&v, 3, 14.65));
}

// As scipy.stats.wilcoxon(alternative="greater", method="exact") has them; zeros left out, ties by hand.
static void signed_ranks_have_their_p(void **state) {
  (void)state;
  const double all_worse[] = {1, 2, 3, 4}, one_better[] = {1, 2, -3, 4, 5};
  const double mixed[] = {0.5, -0.25, 1.5, 2, -3, 4, 0.75}, zeros[] = {0, 1, 2, 0, 3, 4, 0};
  const double better[] = {-1, -2, -3}, tied[] = {1, 1, -1};
  assert_true(co_signed_rank_p(all_worse, 4) == 0.0625);
  assert_true(co_signed_rank_p(one_better, 5) == 0.15625);
  assert_true(co_signed_rank_p(mixed, 7) == 0.1484375);
  assert_true(co_signed_rank_p(better, 3) == 1);
  assert_true(co_signed_rank_p(zeros, 7) == 0.0625);
  assert_true(co_signed_rank_p(tied, 3) ==
              0.5); // 4 of 8 ways have at least two of the three equal ranks
  assert_true(co_signed_rank_p(NULL, 0) == 1);
}

// Trial 0 is the best at every part; of 4 worse ones in a row p is 1/16.
static void who_is_surely_worse_than_the_best_is_given_up(void **state) {
  (void)state;
  co_pruner_view v = begin(CO_PRUNER_WILCOXON, 9);
  co_trial_value own[5];
  settings.pruner.p_threshold = 0.1;
  settings.pruner.startup_steps = 2;
  for (int i = 0; i < TRIALS; i++) {
    trials[i].state = CO_TRIAL_COMPLETE;
    trials[i].value = 10 + i;
  }
  for (int i = 0; i < 5; i++)
    own[i] = (co_trial_value){.step = i + 1, .value = 10.5 + i};
  assert_true(co_pruner_keeps(&v, own, 3)); // 1/8
  assert_false(co_pruner_keeps(&v, own, 4));
  settings.pruner.startup_steps = 5;
  assert_true(co_pruner_keeps(&v, own, 4));
  settings.pruner.startup_steps = 2;
  own[4].value = 1; // better in the mean
  assert_true(co_pruner_keeps(&v, own, 5));
  settings.lag = 10; // knows none
  assert_true(co_pruner_keeps(&v, own, 4));
  settings.lag = 1;
  trials[0].state = CO_TRIAL_PRUNED; // then trial 1 is the best, which this one beats twice
  assert_true(co_pruner_keeps(&v, own, 2));
  trials[1].thaw_round = v.round = 1; // what is thawed with it is not compared with
  trials[2].state = CO_TRIAL_FAIL;
  own[0].value = own[1].value = own[2].value = own[3].value = 12.7; // worse than 1, better than 3
  assert_true(co_pruner_keeps(&v, own, 4));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_median_parts_them),
      cmocka_unit_test(one_in_three_goes_on),
      cmocka_unit_test(hyperband_has_several_first_rungs),
      cmocka_unit_test(rounds_do_not_see_each_other),
      cmocka_unit_test(signed_ranks_have_their_p),
      cmocka_unit_test(who_is_surely_worse_than_the_best_is_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
