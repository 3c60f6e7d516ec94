#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hyperopt_optuna.sh COHORT CHECK_JSON STUDIES. Studies that Optuna 5.0.0 made (scripts/gen_optuna): read,
# told of, gone on with, or refused by what differs.
set -u
cohort=$1
check_json=$2
studies=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
has() { grep -qF -- "$1" "$2" || fail "no '$1' in $2"; }
cp "$studies" s.db
chmod u+w s.db

# ---- read
refused 9 "it holds 2 studies: 'begun', 'free'" -- hyperopt show s.db
refused 9 "it holds no study 'none', but 'begun', 'free'" -- hyperopt show s.db --study-name none
begun=(s.db --study-name begun)
expect 0 hyperopt show "${begun[@]}" --json
json has_config=false metric=value goal=maximize best.number=7 trials.1.state=PRUNED trials.2.state=FAIL trials.9.state=WAITING
has '"params":{"trainer.learning_rate":0.02419659346' out
has '"intermediate":[[1,0.52419' out
expect 0 hyperopt show s.db --study-name free
[ "$(grep -c '^ *[0-9]*[*]' out)" = 1 ] || fail 'what breaks a constraint is on the front'
has 'made by Optuna' out
grep -qE '^ +5 +COMPLETE +0 +0.0625 +0 +4 +2 +null' out || fail 'values of a trial'
expect 0 hyperopt best "${begun[@]}" --json
json best.number=7 config=null
refused 9 'its study has no config' -- hyperopt best "${begun[@]}" -O best.yaml
expect 0 hyperopt export "${begun[@]}" -O begun.csv
[ "$(head -1 begun.csv | cut -d, -f4-)" = datetime_complete,params_trainer.learning_rate,params_trainer.batch_size,params_trainer.optimizer.type,params_trainer.optimizer.momentum,user_attrs_machine,system_attrs_fixed_params,state ] ||
  fail "head of the CSV: $(head -1 begun.csv)"
has '32,sgd,0.28208176034331855,"a, b",,COMPLETE' begun.csv
expect 0 hyperopt export s.db --study-name free -O free.log
has '"constraints":[' free.log
has '\"step\":0.25' free.log
grep -q 'datetime_complete":null' free.log && fail 'Optuna reads no time null'
for name in begun free; do
  expect 0 report s.db --study-name "$name" -O "$name.html"
  grep -qiE '[^a-z](nan|inf)[^a-z]' "$name.html" && fail "$name.html: a number that is none"
done
refused 2 'Optuna began it' -- hyperopt confirm "${begun[@]}"

# ---- gone on with
searched 2
cat >>c.yaml <<'YAML'
hyperopt:
  metric: auc
  pruner: {type: median, startup_trials: 1}
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 2.0e-3, upper: 1.0e-1}
    trainer.batch_size: {space: choice, categories: [16, 32]}
    trainer.optimizer.type: {space: choice, categories: [adam, sgd]}
    trainer.optimizer.momentum: {space: uniform, lower: 0, upper: 0.9, when: {trainer.optimizer.type: sgd}}
YAML
search=(hyperopt run -c c.yaml --dataset d.h5 --seed 5 --n-trials 14)
differs() { # SED TEXT
  sed "$1" c.yaml >wrong.yaml
  refused 9 "Optuna began its study with another $2" -- hyperopt run -c wrong.yaml --dataset d.h5 --n-trials 14 -O "${begun[@]}"
}
differs 's/auc/loss/' 'direction: it has maximize, not minimize loss'
differs 's/metric: auc/second_metric: flops/;/pruner/d' 'number of goals: it has one, not two'
differs '/batch_size: {/d' "space: it has 'trainer.batch_size', which hyperopt.parameters lacks"
differs 's/loguniform/uniform/' "space: it has 'trainer.learning_rate': numbers spaced by ratio, not numbers"
differs 's/16, 32/16, 64/' "space: it has 'trainer.batch_size'"
expect 0 hyperopt export "${begun[@]}" -O same.csv
cmp -s begun.csv same.csv || fail 'a refused search has changed the study'
cp s.db two.db
expect 0 "${search[@]}" -O "${begun[@]}"
has 'of its 10 trials 7 have values of these spaces' err
has "hyperopt best s.db --study-name 'begun'" out
expect 0 hyperopt run -O "${begun[@]}" --n-trials 14 --json
json trials=14 failed=2
expect 0 hyperopt show "${begun[@]}" --json
json has_config=true metric=roc_auc trials.1.state=PRUNED trials.9.state=FAIL trials.13.number=13
has '"params":{"trainer.learning_rate":0.02,"trainer.batch_size":32,"trainer.optimizer.type":"adam"}' out
# Whatever runs at once.
expect 0 "${search[@]}" -O two.db --study-name begun --n-jobs 2
without() { "$cohort" hyperopt show "$1" --study-name begun --json | sed -E 's/"(started|ended|study)":("[^"]*"|null)/"\1":0/g'; }
cmp -s <(without s.db) <(without two.db) || fail 'two at once have other trials'
refused 9 "another config: it has trainer.seed 5, this one none" -- hyperopt run -c c.yaml --dataset d.h5 --n-trials 1 -O "${begun[@]}"
cat >of-free.yaml <<'YAML'
hyperopt:
  metric: loss
  second_metric: flops
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 2.0e-3, upper: 1.0e-1}
YAML
refused 9 'another goal: it has first, not loss' -- hyperopt run -c c.yaml -c of-free.yaml --set hyperopt.pruner=none \
  --dataset d.h5 --n-trials 1 -O s.db --study-name free

# ---- what others have kept of old versions
for file in "${COHORT_TEST_DATA:-none}"/optuna_dbs/optuna_test_[0123].*.db; do
  version=$(basename "$file" .db)
  version=${version#optuna_test_}
  case $file:$version in
  *'*'*) ;;
  *:3.2.0.a) refused 9 "it holds 5 studies: 'single_empty', 'single'" -- hyperopt show "$file" ;;
  *:0.9.0.a) refused 9 'older than v1.3.0' -- hyperopt show "$file" ;;
  *) refused 9 "its schema is Optuna's v$version" -- hyperopt show "$file" ;;
  esac
done

exit $failed
