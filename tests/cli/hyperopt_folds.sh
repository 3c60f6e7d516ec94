#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hyperopt_folds.sh COHORT CHECK_JSON KILL_AT. Searches whose trials are trained over folds and
# seeds, what the best of them are worth with new seeds, and failed ones that get another chance.
set -u
cohort=$1
check_json=$2
kill_at=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
trials() { "$cohort" hyperopt show "$1" --json | sed -E 's/"(started|ended)":("[^"]*"|null)/"\1":0/g; s/"(study|name)":"[^"]*",//g'; }
same() { cmp -s <(trials "$1") <(trials "$2") || fail "$2 has other trials than $1"; }

expect 0 synthesize -O customers.csv --rows 300 --seed 3
# Where each row goes is in the file; a second data set has other answers in its test rows.
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "bought") at = i; print $0 ",part"; next }
  { print $0 "," (NR % 5 == 0 ? "test" : NR % 5 == 1 ? "validation" : "train") }' customers.csv >rows.csv
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "bought") at = i }
  $NF == "test" { $at = $at == "yes" ? "no" : $at == "no" ? "yes" : 1 - $at } { print }' rows.csv >flipped.csv
cmp -s rows.csv flipped.csv && fail 'no answers were flipped'
table=(--target bought --key customer --split column:part)
expect 0 import -O d.h5 rows.csv "${table[@]}"
expect 0 import -O other.h5 flipped.csv "${table[@]}"
cat >c.yaml <<'YAML'
input_features: all
output_features: targets
combiner: {layers: [{Dense: {units: 8, activation: relu}}]}
trainer: {max_epochs: 2, batch_size: 64}
YAML
cat >tune.yaml <<'YAML'
hyperopt:
  metric: log_loss
  sampler: random
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 1.0e-4, upper: 3.0e-1}
YAML
search=(hyperopt run -c c.yaml -c tune.yaml --dataset d.h5 --seed 5)

# ---- a run for each fold and seed; the value is their mean
expect 0 "${search[@]}" -O one.db --n-trials 2 --k-fold 2 --seeds 2 --json
json trials=2 complete=2
for part in fold-0-seed-0 fold-1-seed-1; do
  [ -s "one.db.trials/trial-0001/$part/model.h5" ] || fail "no run $part"
done
[ "$(find one.db.trials -name model.h5 | wc -l)" = 8 ] || fail 'not four runs a trial'
expect 0 hyperopt show one.db --json
tr '{' '\n' <out | grep -o '"value":[0-9.]*\|"intermediate":\[[^a-z]*\]\]' | tr -d '":a-z[' | tr ']' ' ' >values
awk 'NR % 2 { value = $1; next }
  { gsub(/ ,/, " "); sum = 0; n = split($0, v, " "); for (i = 1; i <= n; i++) { sub(/.*,/, "", v[i]); sum += v[i] }
    if (n != 4 || (sum / 4 - value) ^ 2 > 1e-24) exit 1; good++ } END { exit good != 2 }' values ||
  fail "values are not the means of four: $(cat values)"
expect 0 "${search[@]}" -O three.db --n-trials 2 --k-fold 2 --seeds 2 --n-jobs 3
same one.db three.db
expect 0 "${search[@]}" --dataset other.h5 -O flipped.db --n-trials 2 --k-fold 2 --seeds 2
cmp -s <(trials one.db) <(trials flipped.db) || fail 'test rows have changed the search'
env COHORT_TEST_KILL_AT=400 LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" "${search[@]}" -O killed.db --n-trials 2 --k-fold 2 --seeds 2 --n-jobs 2 >out 2>err
[ $? = 137 ] || fail 'it was not killed'
expect 0 hyperopt run -O killed.db --n-trials 2 --n-jobs 2
same one.db killed.db
refused 9 'another config' -- "${search[@]}" -O one.db --n-trials 2 --k-fold 3 --seeds 2

# ---- given up where it is surely worse; what is complete is as if nothing had been given up
many=("${search[@]}" --n-trials 6 --k-fold 2 --seeds 2 --set hyperopt.lag=2)
wilcoxon=(--set hyperopt.pruner.type=wilcoxon --set hyperopt.pruner.p_threshold=0.2)
expect 0 "${many[@]}" -O never.db
expect 0 "${many[@]}" -O pruned.db "${wilcoxon[@]}"
expect 0 hyperopt show pruned.db
[ "$(grep -c PRUNED out)" -gt 0 ] || fail 'none was given up'
grep COMPLETE out | tr -d '*' >complete
expect 0 hyperopt show never.db
tr -d '*' <out >never
grep -vxFf never complete && fail 'complete ones have other values'
expect 0 "${many[@]}" -O pruned-2.db "${wilcoxon[@]}" --n-jobs 2
same pruned.db pruned-2.db
refused 3 'wilcoxon compares over folds and seeds' -- "${search[@]}" -O x.db --n-trials 1 --set hyperopt.pruner=wilcoxon
refused 3 'one fold leaves nothing to train' -- "${search[@]}" -O x.db --n-trials 1 --set hyperopt.k_fold=1

# ---- pruned by epochs: the folds train together, and what counts is their mean
together=("${search[@]}" --seed 7 --n-trials 8 --k-fold 2 --set trainer.max_epochs=6 --set trainer.early_stop=2)
halving=(--set hyperopt.pruner.type=successive_halving --set hyperopt.pruner.reduction_factor=2)
expect 0 "${together[@]}" -O apart.db
expect 0 "${together[@]}" -O folds.db "${halving[@]}"
grep -q 'goes on' err || fail 'none was thawed'
expect 0 hyperopt show folds.db
cp out shown
[ "$(grep -c PRUNED shown)" -gt 0 ] || fail 'none of the folds was pruned'
grep COMPLETE shown | tr -d '*' >complete
expect 0 hyperopt show apart.db
tr -d '*' <out >apart
grep -vxFf apart complete && fail 'complete ones have other values than alone'
awk '{ printf "trial-%04d\n", $1 }' complete >runs
same_folds() { # STUDY: trials as in folds.db, models as where nothing was pruned
  local run fold
  same folds.db "$1"
  while read -r run; do
    for fold in 0 1; do
      cmp -s "apart.db.trials/$run/fold-$fold/model.h5" "$1.trials/$run/fold-$fold/model.h5" || fail "$1: $run, fold $fold differs"
    done
  done <runs
}
same_folds folds.db
expect 0 "${together[@]}" -O folds-2.db "${halving[@]}" --n-jobs 2
same_folds folds-2.db
# Steps are epochs, of which the value is the mean over folds.
"$cohort" hyperopt show folds.db --json | tr '{' '\n' | grep '"state":"PRUNED"' | head -1 >pruned
number=$(sed -E 's/.*"number":([0-9]+).*/\1/' pruned)
mean=$(cat "$(printf 'folds.db.trials/trial-%04d' "$number")"/fold-?/metrics.jsonl | grep '"epoch":0' | grep '"validation"' |
  grep -o '"log_loss":[0-9.e-]*' | awk -F: '{ s += $2 } END { printf "%.9f", s / NR }')
"$cohort" hyperopt show folds.db --json | tr '{' '\n' | grep -A1 "\"number\":$number," | grep -o '"intermediate":\[\[1,[0-9.]*' |
  awk -F, -v mean="$mean" '{ exit ($2 - mean) ^ 2 > 1e-16 }' || fail "the first epoch of trial $number is not the mean $mean"
env COHORT_TEST_COUNT=operations LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" "${together[@]}" -O counted.db "${halving[@]}" >out 2>err
for part in 40 90; do
  env COHORT_TEST_KILL_AT=$(($(cat operations) * part / 100)) LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
    "$cohort" "${together[@]}" -O "folds-$part.db" "${halving[@]}" --n-jobs 2 >out 2>err
  [ $? = 137 ] || fail "it was not killed at $part %"
  expect 0 hyperopt run -O "folds-$part.db" --n-trials 8 --n-jobs 2
  same_folds "folds-$part.db"
done
expect 75 "${together[@]}" -O long.db "${halving[@]}" --set trainer.max_epochs=1000000 --set trainer.early_stop=0 --max-time 0:01

# ---- what the best are worth
expect 0 hyperopt confirm one.db --top 2 --seeds 3 --json
json confirmed.first_seed=7 confirmed.seeds=3
cp out confirmed
[ "$(grep -o '"estimate"' confirmed | wc -l)" = 2 ] || fail 'not two trials'
[ "$(find one.db.confirmed -name model.h5 | wc -l)" = 12 ] || fail 'not six runs of each of them'
expect 0 hyperopt confirm one.db --top 2 --seeds 3 --json
cmp -s out confirmed || fail 'it is another result the second time'
expect 0 hyperopt show one.db
[ "$(grep -c 'in the search, with new seeds' out)" = 2 ] || fail 'show does not tell'
# One run of it, by hand: the config of the best, with the seed.
expect 0 "${search[@]}" -O plain.db --n-trials 2
expect 0 hyperopt confirm plain.db --top 1 --seeds 2 --json
number=$(sed -E 's/.*"number":([0-9]+).*/\1/' out)
expect 0 hyperopt best plain.db -O best.yaml
expect 0 train -c best.yaml --dataset d.h5 --seed 7 --run-dir again
cmp -s again/model.h5 "plain.db.confirmed/trial-000$number/seed-2/model.h5" || fail 'the new seed is another'
refused 2 '--set does not go with hyperopt confirm' -- hyperopt confirm plain.db --set trainer.seed=1
refused 9 'there is no study' -- hyperopt confirm none.db
refused 2 '--seeds does not go with hyperopt show' -- hyperopt show one.db --seeds 2

# ---- another chance; where folds train together, too
cat >far.yaml <<'YAML'
hyperopt:
  sampler: grid
  parameters: {trainer.learning_rate: {space: choice, categories: [1.0e-2, 9.0e+5]}}
YAML
far=(hyperopt run -c c.yaml -c far.yaml --dataset d.h5 -O far.db --n-trials 2 --seeds 2 --set trainer.optimizer.type=sgd)
expect 0 "${far[@]}" --json
json trials=2 complete=1 failed=1
expect 0 hyperopt show far.db --json
grep -qF '"reason":"seed-0: diverged: ' out || fail 'no reason with its run'
expect 0 "${far[@]}"
grep -q 'trial 1 failed' err && fail 'it was repeated unasked'
expect 0 "${far[@]}" --retry-failed --json
grep -q 'trial 1 failed' err || fail 'it was not repeated'
json trials=2 complete=1 failed=1
expect 0 "${far[@]}" -O far-2.db --set hyperopt.pruner=median --json
json trials=2 complete=1 failed=1
expect 0 hyperopt show far-2.db --json
grep -qE '"reason":"seed-[01]: diverged: ' out || fail 'no reason with its run, of those together'
exit $failed
