#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: experiment.sh COHORT CHECK_JSON KILL_AT. Cross-validation by the program: folds made and
# given, killed and gone on with to equal bytes, what is refused; on real data where there are any.
set -u
cohort=$1
check_json=$2
kill_at=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
has() { grep -qF -- "$1" "$2" || fail "no '$1' in $2"; }
# A run's or an experiment's files that have to be equal.
same() {
  local file
  for file in experiment.json oof.csv folds.csv fold-{0,1,2}/{model.h5,metrics.jsonl}; do
    cmp -s "$1/$file" "$2/$file" || fail "$2/$file differs from $1/$file"
  done
  [ -z "$(find "$2" -name '*.tmp-*')" ] || fail "temporaries are left in $2"
}

# Visitors, of whom those with many visits buy; the last 30 rows are copies of the first.
awk 'BEGIN {
  print "plan,visits,bought"
  for (i = 0; i < 300; i++) {
    row = i < 270 ? i : i - 270
    visits = (row * 37) % 90 + row / 1000
    print (row % 3 ? "monthly" : "yearly") "," visits "," (visits + (row * 7) % 30 > 60 ? "yes" : "no")
  }
}' >visitors.csv
expect 0 import -O d.h5 --target bought visitors.csv
cat >c.yaml <<'YAML'
input_features: all
output_features: targets
trainer: {max_epochs: 3, batch_size: 32, steps_per_checkpoint: 4}
YAML

# ---- whole
expect 0 experiment -c c.yaml --dataset d.h5 --k-fold 3 --seed 5 --run-dir whole --json
json ok=true verb=experiment folds.0.run=fold-0 folds.2.seed=7 interval.level=0.95
for key in '"mean":{"bought":{"log_loss":' '"intervals":{"bought":{"log_loss":['; do has "$key" out; done
for file in model.h5 run.json metrics.jsonl config.full.yaml checkpoints/last.h5; do
  [ -s "whole/fold-2/$file" ] || fail "no whole/fold-2/$file"
done
has 'seed: 7' whole/fold-2/config.full.yaml
[ "$(head -1 whole/oof.csv)" = row,fold,bought,bought_score ] || fail 'header of scores'
[ "$(wc -l <whole/oof.csv)" = 301 ] || fail 'not every row has a score'
cut -d, -f1 whole/oof.csv | tail -n +2 | cmp -s - <(seq 0 299) || fail 'rows are out of order'
cut -d, -f2 whole/oof.csv | tail -n +2 | cmp -s - <(cut -d, -f1 whole/folds.csv | tail -n +2) ||
  fail 'scores are of other folds'
cmp -s <(sed -n '2,31p' whole/folds.csv) <(sed -n '272,301p' whole/folds.csv) || fail 'copies are apart'
# A fold's mean is that of its rows' scores: the log loss, from oof.csv.
paste -d, <(tail -n +2 whole/oof.csv) <(tail -n +2 visitors.csv) | awk -F, '
  $2 == 0 { n++; sum -= log($7 == "yes" ? $4 : 1 - $4) } END { printf "%.4f\n", sum / n }' >by_hand
tr -d ' \n' <whole/experiment.json | grep -o '"log_loss":[0-9.]*' | head -1 |
  awk -F: '{ printf "%.4f\n", $2 }' | cmp -s - by_hand || fail 'scores do not give the log loss'
expect 0 experiment -c c.yaml --dataset d.h5 --k-fold 3 --seed 5 --run-dir whole --resume=auto
has 'nothing to do' err
has 'mean, standard deviation and 95 % t-interval over the folds' out

# What stands beside it: means of the folds, and the difference of means.
tr -d ' \n' <whole/experiment.json >flat
for key in '"baselines":{"prior":{"bought":{"log_loss":' '"paired":{"prior":{"bought":{"log_loss":{"difference":' \
  '"logistic":{"bought":'; do has "$key" flat; done
# value MEMBER PATTERN: the number behind it there
value() { sed "s/.*\"$1\"://" flat | grep -o "$2[-0-9.e]*" | head -1 | sed 's/.*[:{]//'; }
awk -v mean="$(value mean '"log_loss":')" -v theirs="$(value baselines 'logistic":{"bought":{"log_loss":')" \
  -v less="$(value paired 'logistic":{"bought":{"log_loss":{"difference":')" \
  'BEGIN { d = mean - theirs - less; exit !(theirs > 0 && less != 0 && d * d < 1e-20) }' ||
  fail 'the difference is not that of the means'

# ---- the folds are read again, and workers change nothing
expect 0 experiment -c c.yaml --dataset d.h5 --folds whole/folds.csv --seed 5 --run-dir given --workers 3
same whole given

# ---- killed in front of an operation on files, wherever that is
env COHORT_TEST_COUNT=operations LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" experiment -c c.yaml --dataset d.h5 --k-fold 3 --seed 5 --run-dir counted >out 2>err
operations=$(cat operations)
[ "$operations" -gt 50 ] || fail "only $operations operations on files"
for part in 3 9 25 40 55 70 85 99; do
  env COHORT_TEST_KILL_AT=$((operations * part / 100)) LD_PRELOAD="$kill_at" \
    ASAN_OPTIONS=verify_asan_link_order=0 \
    "$cohort" experiment -c c.yaml --dataset d.h5 --k-fold 3 --seed 5 --run-dir "k$part" >out 2>err
  [ $? = 137 ] || fail "it was not killed at $part %"
  expect 0 experiment -c c.yaml --dataset d.h5 --k-fold 3 --seed 5 --run-dir "k$part" --resume=auto
  same whole "k$part"
done
# With --resume alone, from another folder.
(cd / && "$cohort" experiment --resume "$dir/k70" --json) >out 2>err || fail '--resume alone'
same whole k70

# ---- a fixed test set; rows of -1 are not scored
awk 'BEGIN { print "fold,validation"; for (i = 0; i < 300; i++) print (i < 200 ? -1 : 0) "," (i % 9 == 0) }' >fixed.csv
expect 0 experiment -c c.yaml --dataset d.h5 --folds fixed.csv --run-dir fixed --json
json folds.0.rows.test=100 folds.0.rows.validation=23 folds.0.rows.train=177
has '"intervals":{"bought":{"log_loss":null' out
[ "$(wc -l <fixed/oof.csv)" = 101 ] || fail 'rows that only train are scored'

# A fold whose rows are all of one class has no area under a curve: what is not in every run is listed, with how often
# it is there, and has no mean.
has '"not_in_every_run":[]' out
(echo fold,validation && awk -F, 'NR > 1 { print ($3 == "no" && NR % 2 ? 0 : NR % 3 == 0 ? 1 : 2) ",0" }' visitors.csv) >one_class.csv
expect 0 experiment -c c.yaml --dataset d.h5 --folds one_class.csv --run-dir one_class --json
tr -d ' \n' <one_class/experiment.json >flat
for file in out flat; do
  has '"not_in_every_run":[{"baseline":"' "$file"
  has '"output":"bought","metric":"roc_auc","runs":2}' "$file"
done
! sed 's/.*"baselines"//; s/"not_in_every_run".*//' flat | grep -q roc_auc || fail 'means of other rows'


# ---- seeds instead of folds: plain runs over the stored splits; killed and gone on with
expect 0 experiment -c c.yaml --dataset d.h5 --seeds 3 --seed 5 --run-dir seeds --json
json split=test seeds.0.run=seed-0 seeds.2.seed=7 interval.method=student_t_over_seeds
tr -d ' \n' <seeds/experiment.json >flat
# By hand: mean and standard deviation of the seeds' log losses.
grep -o '"log_loss":[0-9.]*' flat | head -5 | cut -d: -f2 | awk '
  NR <= 3 { value[NR] = $1; sum += $1 / 3 } NR == 4 { mean = $1 } NR == 5 { spread = $1 }
  END { for (i = 1; i <= 3; i++) squares += (value[i] - sum) ^ 2
        bad = (mean - sum) ^ 2 > 1e-16 || (spread - sqrt(squares / 2)) ^ 2 > 1e-16 || spread == 0
        exit bad }' || fail 'mean and standard deviation of the seeds'
expect 0 train -c c.yaml --dataset d.h5 --seed 6 --run-dir alone
# What is beside seeds is the mean of what evaluate tells of each.
for k in 0 1 2; do
  expect 0 evaluate -m seeds/seed-$k --dataset d.h5 --json
  sed 's/.*"paired"://' out | grep -o '"logistic":{"bought":{"log_loss":{"difference":[-0-9.e]*' | sed 's/.*://'
done >each
awk -v less="$(value paired 'logistic":{"bought":{"log_loss":{"difference":')" '{ sum += $1 / 3 }
  END { d = sum - less; exit !(NR == 3 && d * d < 1e-20) }' each || fail 'the differences of seeds'
cmp -s alone/model.h5 seeds/seed-1/model.h5 || fail 'a seed is no run of its own'
env COHORT_TEST_COUNT=operations LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" experiment -c c.yaml --dataset d.h5 --seeds 3 --seed 5 --run-dir counted-seeds >out 2>err
for part in 4 50 99; do
  env COHORT_TEST_KILL_AT=$(($(cat operations) * part / 100)) LD_PRELOAD="$kill_at" \
    ASAN_OPTIONS=verify_asan_link_order=0 \
    "$cohort" experiment -c c.yaml --dataset d.h5 --seeds 3 --seed 5 --run-dir "s$part" >out 2>err
  [ $? = 137 ] || fail "it was not killed at $part %"
  expect 0 experiment -c c.yaml --dataset d.h5 --seeds 3 --seed 5 --run-dir "s$part" --resume=auto
  cmp -s seeds/experiment.json "s$part/experiment.json" || fail "killed at $part %, the result differs"
  cmp -s seeds/seed-2/model.h5 "s$part/seed-2/model.h5" || fail "killed at $part %, a model differs"
done
expect 3 experiment -c c.yaml --dataset d.h5 --seeds 4 --seed 5 --run-dir seeds --resume
has 'the seeds differ' err
expect 2 experiment -c c.yaml --dataset d.h5 --seeds 3 --k-fold 3 --run-dir x

# ---- latest is the run that was done last, by its own name
expect 0 train -c c.yaml --dataset d.h5 -o runs
first=$(readlink runs/c/latest)
expect 0 evaluate -m runs/c --dataset d.h5 --json
json model="runs/c/$first/model.h5"
expect 75 train -c c.yaml --dataset d.h5 -o runs --max-time 0:01 --set trainer.max_epochs=100000
[ "$(readlink runs/c/latest)" = "$first" ] || fail 'latest moved for a run that is not done'
rm runs/c/latest
mkdir runs/c/latest
expect 0 train -c c.yaml --dataset d.h5 -o runs
has "latest' is not moved: it is no link" err
[ -d runs/c/latest ] || fail 'a folder called latest is gone'

# ---- refused
expect 9 experiment -c c.yaml --dataset d.h5 --k-fold 3 --run-dir whole
has '--resume whole' err
expect 3 experiment -c c.yaml --dataset d.h5 --k-fold 4 --seed 5 --run-dir whole --resume
has 'the folds differ' err
expect 3 experiment -c c.yaml --dataset d.h5 --seed 5 --run-dir whole --resume --set trainer.batch_size=16
has 'fold 0: ' err
has 'trainer.batch_size is 16, was 32' err
expect 5 experiment --resume nothing
expect 2 experiment -c c.yaml --dataset d.h5 --run-dir x
has '--k-fold N' err
expect 2 experiment -c c.yaml --dataset d.h5 --k-fold 3 --folds fixed.csv --run-dir x
expect 2 experiment --dataset d.h5 --k-fold 3 --run-dir x
expect 2 experiment -c - --dataset d.h5 --k-fold 3 --run-dir x
expect 2 verify resume -c - --dataset d.h5
expect 2 experiment -c c.yaml --k-fold 3 --run-dir x
expect 2 experiment -c c.yaml --dataset d.h5 --k-fold 1 --run-dir x
expect 3 experiment -c c.yaml --dataset d.h5 --k-fold 3 --run-dir x --set trainer.no_such_key=1
expect 4 experiment -c c.yaml --dataset d.h5 --folds visitors.csv --run-dir x
expect 4 experiment -c c.yaml --dataset d.h5 --k-fold 299 --run-dir x
has 'too few for 299 folds' err
expect 3 experiment -c c.yaml --dataset d.h5 --k-fold 3 --run-dir x --set trainer.validation_metric=nothing
[ ! -e x ] || fail 'a refused experiment left a folder'
expect 5 evaluate -m whole --dataset d.h5
has 'whole/fold-0' err
expect 4 train --resume whole/fold-0
has 'cohort experiment --resume' err

# ---- proofs of resuming and of repeating
expect 0 verify resume -c c.yaml --dataset d.h5 --kills 4 --seed 3 --json
json ok=true verb=verify steps=21 compared.metric_lines=6 first_difference=null
[ "$(grep -o '"kills":\[[0-9,]*\]' out | tr -cd , | wc -c)" = 3 ] || fail 'not four kills'
cp out first
expect 0 verify resume -c c.yaml --dataset d.h5 --kills 4 --seed 3 --json
cmp -s first out || fail 'other steps for the same seed'
expect 0 verify determinism -c c.yaml --dataset d.h5 --run-dir proof
cmp -s proof/undisturbed/model.h5 proof/repeated/model.h5 || fail 'runs differ'
for arguments in 'resume --dataset d.h5' 'resume -c c.yaml' 'determinism -c c.yaml --dataset d.h5 --kills 2' \
  'resume -c c.yaml --dataset d.h5 -m whole/fold-0' 'parity -m whole/fold-0 --dataset d.h5 -c c.yaml' \
  'resume -c c.yaml --dataset d.h5 --kills 99'; do
  # shellcheck disable=SC2086 # words
  expect 2 verify $arguments
done
expect 9 verify determinism -c c.yaml --dataset d.h5 --run-dir proof
[ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'cohort-verify-*' -user "$(id -u)" -newer first)" ] ||
  fail 'a temporary folder is left'

# ---- real data, folds that others use too
data=${COHORT_TEST_DATA:-}
if [ -r "$data/folds/online_shoppers_folds.csv" ]; then
  expect 0 import -O s.h5 --target Revenue "$data/online_shoppers/online_shoppers_intention.csv"
  expect 0 experiment -c c.yaml --dataset s.h5 --folds "$data/folds/online_shoppers_folds.csv" \
    --run-dir shoppers --set trainer.batch_size=256 --set trainer.max_epochs=2 --json
  # The rows that stop training early, as the protocol counts them.
  json folds.0.rows.validation=1019 folds.1.rows.validation=985 folds.2.rows.validation=986 \
    folds.3.rows.validation=982 folds.4.rows.validation=964
elif [ -n "${CI:-}" ]; then
  echo "NOT RUN: no shared data in '$data'"
  failed=1
fi
exit $failed
