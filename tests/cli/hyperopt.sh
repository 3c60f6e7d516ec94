#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hyperopt.sh COHORT CHECK_JSON KILL_AT. A search by the program: the same trials whatever runs
# at once, killed and gone on with; the best one's config; what is refused.
set -u
cohort=$1
check_json=$2
kill_at=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
has() { grep -qF -- "$1" "$2" || fail "no '$1' in $2"; }
# What a study says of its trials, without clocks.
trials() { "$cohort" hyperopt show "$1" --json | sed -E 's/"(started|ended)":("[^"]*"|null)/"\1":0/g; s/"(study|name)":"[^"]*",//g'; }
same() {
  cmp -s <(trials "$1") <(trials "$2") || fail "$2 has other trials than $1"
  local run
  for run in "$1".trials/trial-*/; do
    for file in model.h5 metrics.jsonl; do
      cmp -s "$run/$file" "$2.trials/$(basename "$run")/$file" || fail "$2: $run/$file differs"
    done
  done
  nothing_left "$2"
}
nothing_left() { # of killed processes
  local left
  left=$(find . -path "./$1*" \( -name '*.tmp-*' -o -name '*.lock' -o -name '*-journal' \))
  [ -z "$left" ] || fail "$1: $left is left"
}

# Visitors of whom those with many visits buy; test rows once so, once the other way round.
make_rows() { # FILE FROM TO FLIP
  awk -v from="$2" -v to="$3" -v flip="$4" 'BEGIN {
    print "plan,visits,bought"
    for (i = from; i < to; i++) {
      visits = (i * 37) % 90 + i / 1000
      buys = visits + (i * 7) % 30 > 60
      print (i % 3 ? "monthly" : "yearly") "," visits "," ((flip ? !buys : buys) ? "yes" : "no")
    }
  }' >"$1"
}
make_rows train.csv 0 200 0
make_rows validation.csv 200 270 0
make_rows test.csv 270 330 0
make_rows flipped.csv 270 330 1
split=(--training-set train.csv --validation-set validation.csv --target bought --positive yes)
expect 0 import -O d.h5 "${split[@]}" --test-set test.csv
expect 0 import -O other.h5 "${split[@]}" --test-set flipped.csv
cat >c.yaml <<'YAML'
input_features: all
output_features: targets
combiner: {layers: [{Dense: {units: 8, activation: relu}}]}
trainer: {max_epochs: 3, batch_size: 32}
YAML
cat >tune.yaml <<'YAML'
hyperopt:
  metric: auc
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 1.0e-3, upper: 1.0e-1}
    trainer.optimizer.type: {space: choice, categories: [adam, sgd]}
    trainer.optimizer.momentum: {space: uniform, low: 0, high: 0.95, when: {trainer.optimizer.type: sgd}}
    trainer.batch_size: {space: int, lower: 16, upper: 64, step: 16}
YAML
search=(hyperopt run -c c.yaml -c tune.yaml --dataset d.h5 --seed 5)

# ---- whole, one by one and three at once
expect 0 "${search[@]}" -O one.db --n-trials 8 --json
json ok=true trials=8 complete=8 failed=0 metric=roc_auc
cp out one.json
expect 0 "${search[@]}" -O three.db --n-trials 8 --n-jobs 3 --json
cmp -s <(sed 's/one.db/three.db/g' one.json) out || fail 'three at once have another result'
same one.db three.db
for file in model.h5 config.full.yaml run.json tb/{train,validation}/events.out.tfevents.cohort; do
  [ -s "one.db.trials/trial-0007/$file" ] || fail "no $file of the last trial"
done
expect 0 hyperopt show one.db
[ "$(grep -c COMPLETE out)" = 8 ] || fail 'show does not list the trials'
cp out shown
expect 0 hyperopt show one.db --follow # nobody works on it
cmp -s out shown || fail 'followed to its end, it shows another end'
[ "$(grep -c ' INFO trial number=.* state=COMPLETE .* batch_size=' err)" = 8 ] || fail "not a line a trial: $(cat err)"
refused 2 '--follow does not go with hyperopt best' -- hyperopt best one.db --follow
# Momentum is there exactly where the optimizer has one.
expect 0 hyperopt show one.db --json
grep -o '"params":{[^}]*}' out >params
[ "$(grep -c sgd params)" = "$(grep -c momentum params)" ] || fail 'momentum without sgd'
for optimizer in sgd adam; do has "$optimizer" params; done

# ---- the best one's config gives its model
best=$(sed -E 's/.*"best":\{"number":([0-9]+).*/\1/' one.json)
expect 0 hyperopt best one.db -O best.yaml
refused 9 'exists' -- hyperopt best one.db -O best.yaml
expect 0 train -c best.yaml --dataset d.h5 --run-dir b
cmp -s b/model.h5 "one.db.trials/trial-000$best/model.h5" || fail 'the best config gives another model'
has 'threads: 1' best.yaml
# The value is the model's on validation rows.
expect 0 evaluate -m b --dataset d.h5 --split validation --json
value=$(sed -E 's/.*"best":\{"number":[0-9]+,"value":([0-9.]+).*/\1/' one.json)
has "\"roc_auc\":$value" out

# ---- trials do not refit, nor does the best one's config, so it gives the trial's model again
best_of=(hyperopt run -c c.yaml -c tune.yaml --dataset d.h5 --seed 5 --n-trials 2 --set trainer.refit=true)
expect 0 "${best_of[@]}" -O refit.db --json
has 'trials leave trainer.refit aside' err
best_refit=$(sed -E 's/.*"best":\{"number":([0-9]+).*/\1/' out)
expect 0 hyperopt best refit.db -O best-refit.yaml
has 'trials leave trainer.refit aside' err
has 'refit: false' best-refit.yaml
expect 0 train -c best-refit.yaml --dataset d.h5 --run-dir before
cmp -s before/model.h5 "refit.db.trials/trial-000$best_refit/model.h5" || fail 'the best config of a study with refit gives another model'
expect 0 train -c best-refit.yaml --dataset d.h5 --run-dir refitted --refit
cmp -s before/model.h5 refitted/model.h5 && fail 'nothing was refitted'
sed 's/learning_rate:.*/refit: {space: choice, categories: [true, false]}/' tune.yaml >wrong.yaml
refused 3 'hyperopt.parameters.trainer.refit: trials are compared on validation rows' -- \
  hyperopt run -c c.yaml -c wrong.yaml --dataset d.h5 -O x.db --n-trials 1

# ---- as CSV
expect 0 hyperopt export one.db -O one.csv
[ "$(wc -l <one.csv)" = 9 ] || fail 'not a line a trial'
[ "$(head -1 one.csv | cut -d, -f1-5)" = number,value,datetime_start,datetime_complete,params_trainer.learning_rate ] ||
  fail "head of the CSV: $(head -1 one.csv)"
awk -F, -v best="$best" -v value="$(sed -E 's/.*"best":\{"number":[0-9]+,"value":([0-9.]+).*/\1/' one.json)" '
  NF != 10 { exit 1 } $1 == best { found = $2 == value && $NF == "COMPLETE" && $4 > $3 } END { exit !found }' one.csv ||
  fail "the CSV: $(cat one.csv)"
refused 9 'exists' -- hyperopt export one.db -O one.csv

# ---- as Optuna's journal: a study, what is known of it, a line a trial
expect 0 hyperopt export one.db -O one.log
[ "$(wc -l <one.log)" = $((1 + 1 + 3 + 8)) ] || fail "lines of the journal: $(cut -c1-80 one.log)"
while read -r line; do
  "$check_json" worker_id=cohort <<<"$line" || fail "a line of the journal: $line"
done <one.log
[ "$(grep -c '"op_code":4,.*"state":1,"values":\[' one.log)" = 8 ] || fail 'trials of the journal'
grep -qE '"datetime_start":"[0-9-]{10}T[0-9:.]{15}[+]00:00"' one.log || fail 'times of the journal'

# ---- a page of it
expect 0 report one.db -O one.html --json
json trials=8
for part in '<svg' 'Parallel coordinates' 'best so far' 'trainer.learning_rate' 'COMPLETE'; do has "$part" one.html; done
grep -q -E '(src|href)="https?:|<script' one.html && fail 'the page asks for something'
refused 2 '--profit is for reports of runs' -- report one.db -O x.html --profit tp=1

# ---- the test split decides nothing
expect 0 "${search[@]}" --dataset other.h5 -O flipped.db --n-trials 8 --json
cmp -s <(trials one.db) <(trials flipped.db) || fail 'test rows have changed the search'

# ---- more trials; what is there stays
expect 0 "${search[@]}" -O grows.db --n-trials 3
expect 0 hyperopt run -O grows.db --n-trials 8 --n-jobs 2
same one.db grows.db
expect 0 hyperopt run -O grows.db --n-trials 8 --json
json trials=8

# ---- killed in front of an operation on files, wherever that is
env COHORT_TEST_COUNT=operations LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" "${search[@]}" -O counted.db --n-trials 8 --n-jobs 2 >out 2>err
operations=$(cat operations)
[ "$operations" -gt 100 ] || fail "only $operations operations on files"
killed_at() { # STUDY NUMBER [ENDING]: in front of that operation; of that removal of such a file
  env COHORT_TEST_KILL_AT="$2" ${3:+"COHORT_TEST_KILL_REMOVING=$3"} LD_PRELOAD="$kill_at" \
    ASAN_OPTIONS=verify_asan_link_order=0 "$cohort" "${search[@]}" -O "$1" --n-trials 8 --n-jobs 2 >out 2>err
  [ $? = 137 ] || fail "$1: it was not killed"
  expect 0 "${search[@]}" -O "$1" --n-trials 8 --n-jobs 2
  same one.db "$1"
}
killed_at first.db 20 # while the study is made
for part in 3 12 40 65 90; do
  killed_at "k$part.db" $((operations * part / 100))
done
killed_at lock.db 2 .lock # where a trial is over, or nearly so

# ---- two processes of one study
"$cohort" "${search[@]}" -O shared.db --n-trials 1 >out 2>err || fail 'the first trial'
"$cohort" hyperopt run -O shared.db --n-trials 8 >out-b 2>err-b &
other=$!
expect 0 hyperopt run -O shared.db --n-trials 8
wait "$other" || fail 'the second process'
same one.db shared.db

# ---- the time is over, and it goes on
expect 75 "${search[@]}" -O slow.db --n-trials 100000 --max-time 0:01 --set trainer.max_epochs=1000000
[ "$("$cohort" hyperopt show slow.db --json | grep -o RUNNING | wc -l)" = 1 ] || fail 'no trial waits'
expect 0 hyperopt show slow.db --follow
has 'nobody works on the study; the command that began it goes on with 1 trial' out

# ---- samplers that look at results: the same, whatever runs at once, killed as well
for sampler in auto tpe; do
  results=(hyperopt run -c c.yaml -c tune.yaml --dataset d.h5 --seed 5 --set "hyperopt.sampler=$sampler" --set hyperopt.lag=3
    --n-trials 16)
  expect 0 "${results[@]}" -O "$sampler-1.db"
  expect 0 "${results[@]}" -O "$sampler-3.db" --n-jobs 3
  same "$sampler-1.db" "$sampler-3.db"
done
cmp -s <(trials auto-1.db) <(trials tpe-1.db) && fail 'two samplers have the same trials'
env COHORT_TEST_KILL_AT=$((operations * 3 / 2)) LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" "${results[@]}" -O tpe-k.db --n-jobs 2 >out 2>err
[ $? = 137 ] || fail 'it was not killed'
expect 0 "${results[@]}" -O tpe-k.db --n-jobs 2
same tpe-1.db tpe-k.db

# ---- pruned, and thawed where that was too early: what is complete is as if it had never been paused
pruned=(hyperopt run -c c.yaml -c tune.yaml --dataset d.h5 --seed 8 --n-trials 14 --set trainer.max_epochs=9
  --set hyperopt.sampler=random --set hyperopt.metric=loss --set hyperopt.lag=3)
expect 0 "${pruned[@]}" -O never.db
expect 0 "${pruned[@]}" -O halving.db --set hyperopt.pruner=successive_halving
thawed=$(sed -n 's/.*trial \([0-9]*\) goes on/\1/p' err)
expect 0 hyperopt show halving.db
cp out shown
for trial in ${thawed:-none}; do
  grep -qE "^ *${trial}[* ] +COMPLETE" shown && thawed_through=$trial
done
[ -n "${thawed_through:-}" ] || fail "no thawed trial came to its end: '$thawed'"
[ "$(grep -c PRUNED shown)" -gt 4 ] || fail 'few are pruned'
[ "$(grep -c COMPLETE shown)" -gt 2 ] || fail 'few are complete'
awk '/COMPLETE/ { sub(/[*]/, "", $1); printf "trial-%04d\n", $1 }' shown >complete
while read -r run; do
  for file in model.h5 metrics.jsonl; do
    cmp -s "never.db.trials/$run/$file" "halving.db.trials/$run/$file" || fail "pruning changed $run/$file"
  done
done <complete
expect 0 "${pruned[@]}" -O halving-3.db --set hyperopt.pruner=successive_halving --n-jobs 3
same_study() { # pruned runs have no model
  cmp -s <(trials "$1") <(trials "$2") || fail "$2 has other trials than $1"
  while read -r run; do
    cmp -s "$1.trials/$run/model.h5" "$2.trials/$run/model.h5" || fail "$2: $run/model.h5 differs"
  done <complete
  nothing_left "$2"
}
same_study halving.db halving-3.db
env COHORT_TEST_COUNT=operations LD_PRELOAD="$kill_at" ASAN_OPTIONS=verify_asan_link_order=0 \
  "$cohort" "${pruned[@]}" -O counted-p.db --set hyperopt.pruner=successive_halving --n-jobs 2 >out 2>err
operations=$(cat operations)
for part in 20 60 85 97; do
  env COHORT_TEST_KILL_AT=$((operations * part / 100)) LD_PRELOAD="$kill_at" \
    ASAN_OPTIONS=verify_asan_link_order=0 \
    "$cohort" "${pruned[@]}" -O "p$part.db" --set hyperopt.pruner=successive_halving --n-jobs 2 >out 2>err
  [ $? = 137 ] || fail "it was not killed at $part %"
  expect 0 hyperopt run -O "p$part.db" --n-trials 14 --n-jobs 2
  same_study halving.db "p$part.db"
done

# ---- a grid ends by itself
cat >grid.yaml <<'YAML'
hyperopt:
  sampler: grid
  metric: loss
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 1.0e-3, upper: 1.0e-1, points: 3}
    trainer.batch_size: {space: choice, categories: [16, 32]}
YAML
expect 0 hyperopt run -c c.yaml -c grid.yaml --dataset d.h5 -O grid.db --n-trials 100 --json
json trials=6 complete=6

# ---- two goals: a front in place of a best one
cat >two.yaml <<'YAML'
hyperopt:
  metric: auc
  second_metric: flops
  sampler: tpe
  lag: 3
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 1.0e-3, upper: 1.0e-1}
    combiner.layers: {space: choice, categories: [[{Dense: 2}], [{Dense: 16}], [{Dense: 7}]]}
YAML
two=(hyperopt run -c c.yaml -c two.yaml --dataset d.h5 --seed 5 --n-trials 12)
expect 0 "${two[@]}" -O two.db --json
json trials=12 complete=12 best=null second_metric=flops
cp out two.json
expect 0 "${two[@]}" -O two-3.db --n-jobs 3 --json
same two.db two-3.db
expect 0 hyperopt export two.db -O two.csv
[ "$(head -1 two.csv | cut -d, -f1-4)" = number,values_roc_auc,values_flops,datetime_start ] || fail "head of two.csv: $(head -1 two.csv)"
# Of the front by comparing each with each: more area or fewer operations than any other.
tail -n +2 two.csv | cut -d, -f1-3 >pairs
awk -F, '{ n[NR] = $1; a[NR] = $2; f[NR] = $3 } END {
  for (i = 1; i <= NR; i++) { beaten = 0
    for (k = 1; k <= NR; k++) beaten += a[k] >= a[i] && f[k] <= f[i] && (a[k] > a[i] || f[k] < f[i])
    if (!beaten) print n[i] } }' pairs >front
sed 's/.*"best_trials"//' two.json | grep -o '"number":[0-9]*' | cut -d: -f2 | sort -n | cmp -s - front || fail "the front is $(tr '\n' ' ' <front), not of $(cat two.json)"
expect 0 hyperopt show two.db
[ "$(grep -c '[*] COMPLETE' out)" = "$(wc -l <front)" ] || fail 'show marks others'
refused 2 'the study has two goals' -- hyperopt best two.db -O best-two.yaml
number=$(tail -1 front)
expect 0 hyperopt best two.db --trial "$number" -O best-two.yaml
expect 0 train -c best-two.yaml --dataset d.h5 --run-dir of-two
cmp -s of-two/model.h5 "$(printf 'two.db.trials/trial-%04d/model.h5' "$number")" || fail 'the config of the front gives another model'
expect 0 hyperopt export two.db -O two.log
has '"directions":[2,1]' two.log
expect 0 report two.db -O two.html
has 'Pareto' two.html
for part in 'trainer.learning_rate: roc_auc' 'trainer.learning_rate: flops' 'combiner.layers: flops' 'those of the front are darker'; do
  has "$part" two.html
done
refused 2 'there is no trial 12' -- hyperopt best two.db --trial 12
refused 3 'a pruner compares by one goal' -- "${two[@]}" -O x.db --set hyperopt.pruner=median
refused 3 'it is the first goal already' -- "${two[@]}" -O x.db --set hyperopt.second_metric=auc
refused 3 "no output has a metric 'seconds'" -- "${two[@]}" -O x.db --set hyperopt.second_metric=seconds
cat >linear.yaml <<'YAML'
predictor: {type: linear}
hyperopt: {second_metric: flops, parameters: {predictor.l2: {space: uniform, lower: 1, upper: 2}}}
YAML
refused 3 'flops is of networks' -- hyperopt run -c linear.yaml --dataset d.h5 -O x.db --n-trials 1

# ---- what diverges is one failed trial
cat >far.yaml <<'YAML'
hyperopt:
  sampler: grid
  parameters:
    trainer.learning_rate: {space: choice, categories: [1.0e-2, 9.0e5]}
YAML
expect 0 hyperopt run -c c.yaml -c far.yaml --dataset d.h5 -O far.db --n-trials 2 --json \
  --set trainer.optimizer.type=sgd
json trials=2 complete=1 failed=1 best.number=0
expect 0 hyperopt show far.db --json
has '"reason":"diverged: ' out

# ---- refused
refused 9 'a study of another config: it has trainer.max_epochs 3, not 4' -- \
  "${search[@]}" -O one.db --n-trials 8 --set trainer.max_epochs=4
refused 9 'another config: it has trainer.seed 5, not 6' -- "${search[@]}" -O one.db --n-trials 8 --seed 6
refused 9 'a study of another dataset: it was begun on /' -- "${search[@]}" --dataset other.h5 -O one.db --n-trials 8
refused 9 'no database of SQLite' -- "${search[@]}" -O c.yaml --n-trials 8
refused 9 'there is no study' -- hyperopt show none.db
refused 2 '--n-trials' -- "${search[@]}" -O x.db
refused 2 "there is no 'hyperopt walk'" -- hyperopt walk x.db
refused 3 'has no section hyperopt' -- hyperopt run -c c.yaml --dataset d.h5 -O x.db --n-trials 1
sed 's/learning_rate/learning_ratee/' tune.yaml >wrong.yaml
refused 3 'wrong.yaml:4:5: trainer.learning_ratee: unknown key' -- \
  hyperopt run -c c.yaml -c wrong.yaml --dataset d.h5 -O x.db --n-trials 1
sed 's/trainer.learning_rate/features.nothing.encoder.type/' tune.yaml >wrong.yaml
refused 3 'wrong.yaml:4:5: features.nothing.encoder.type: there is no feature of that name' -- \
  hyperopt run -c c.yaml -c wrong.yaml --dataset d.h5 -O x.db --n-trials 1
sed 's/step: 16/step: 99/' tune.yaml >wrong.yaml
refused 3 'hyperopt.parameters.trainer.batch_size: the space is of one value' -- \
  hyperopt run -c c.yaml -c wrong.yaml --dataset d.h5 -O x.db --n-trials 1
refused 2 'there is no study to go on with' -- hyperopt run -O x.db --n-trials 1
sed 's/auc/profit/' tune.yaml >wrong.yaml
refused 3 "no output has a metric 'profit'" -- "${search[@]}" -c wrong.yaml -O x.db --n-trials 1
grep -q 'decision: {profit: {true_positive' err || fail 'no hint of how there is a profit'
sed 's/adam, sgd/adam, sgdd, sgd/' tune.yaml >wrong.yaml
refused 3 "unknown optimizer 'sgdd'" -- \
  hyperopt run -c c.yaml -c wrong.yaml --dataset d.h5 -O x.db --n-trials 1
sed 's/auc/aucc/' tune.yaml >wrong.yaml
refused 3 "no output has a metric 'aucc'" -- \
  hyperopt run -c c.yaml -c wrong.yaml --dataset d.h5 -O x.db --n-trials 1
expect 0 train -c c.yaml -c tune.yaml --dataset d.h5 --run-dir ignored
has 'hyperopt section is left alone' err

exit $failed
