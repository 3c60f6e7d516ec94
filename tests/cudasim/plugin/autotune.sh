#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: autotune.sh COHORT CHECK_JSON MAKE_IDX LIBRARY_PATH
# --autotune on a device whose clock is made up: the fastest way is taken, kept in the cache and in
# the run, and a run that goes on takes its own, or says why it cannot.
# shellcheck source=tests/cudasim/plugin/lib.sh
. "$(dirname "$0")/lib.sh"
export XDG_CACHE_HOME=$dir/cache
cache=$dir/cache/cohort/autotune.tsv
make_inputs 2 64

train() { # EXIT [SETTING...] -- ARGUMENTS...
  local expected=$1 settings=()
  shift
  while [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  shift
  env "${settings[@]}" "$cohort" train -c c.yaml --dataset d.h5 --device cuda --threads 1 "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$expected" ] || fail "exit $code, not $expected: ${settings[*]} $*"
}
says() { grep -qF -- "$1" err || fail "stderr lacks '$1'"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
count() { # FILE WORD: operations that were chosen so
  awk -F '\t' -v word="$2" '$5 == word' "$1" | wc -l
}
fast='COHORT_SIM_FAST_ENGINE=2 COHORT_SIM_FAST_ALGORITHM=1'

# The fastest: cuDNN's engine 2, cuBLASLt's algorithm 1. Neither is the library's first.
# shellcheck disable=SC2086
train 0 $fast -- --run-dir whole
says 'were timed'
timed=$(count whole/autotune.tsv tuned)
((timed > 8)) || fail "$timed operations were timed"
awk -F '\t' '$2 ~ /^conv/ && $3 !~ /engine 2,/ || $2 ~ /^dense/ && $3 !~ /algorithm 1$/' whole/autotune.tsv |
  grep . && fail 'these are not the fastest'
[ "$(count "$cache" tuned)" = "$timed" ] || fail 'the cache lacks some'
cp "$cache" fastest.tsv
train 0 -- --run-dir off --autotune off
[ ! -e off/autotune.tsv ] || fail 'choices without a choice'
cmp -s whole/model.h5 off/model.h5 && fail 'another engine rounds alike: the test sees nothing'

# From the cache, whatever would be the fastest now: equal bytes.
train 0 -- --run-dir again
says ' 0 were timed'
[ "$(count again/autotune.tsv cached)" = "$timed" ] || fail 'not all are from the cache'
same whole/model.h5 again/model.h5
train 0 -- --run-dir anew --autotune again
[ "$(count anew/autotune.tsv tuned)" = "$timed" ] || fail 'not all were timed again'
same anew/model.h5 off/model.h5 # all are as fast, so the first ones
[ "$(count "$cache" tuned)" = "$timed" ] || fail 'the cache holds what is superseded'

# A run that goes on takes its own choices; the cache says something else by now.
train 6 COHORT_SIM_LEAKS=0 COHORT_SIM_FAIL_LAUNCH=90 -- --run-dir lost --autotune-cache fastest.tsv
[ -n "$(find lost -name 'step-*.h5')" ] || fail 'the device was not lost amid the run'
cp -r lost gone
cp -r lost elsewhere
cp -r lost torn
train 0 -- --resume lost
says "$timed from the run"
same whole/model.h5 lost/model.h5
same whole/metrics.jsonl lost/metrics.jsonl

# What cannot be as it was is said, with a way out.
train 6 COHORT_SIM_FEWER=2 -- --resume gone
says 'is no longer offered by cuBLASLt'
says '--autotune again'
train 0 COHORT_SIM_FEWER=2 -- --resume gone --autotune again
[ "$(count gone/autotune.tsv tuned)" -gt 0 ] || fail 'the run does not keep what was chosen anew'
train 6 COHORT_SIM_CUDNN=92600 -- --resume elsewhere
says 'cuDNN 91900; this is'
train 0 COHORT_SIM_CUDNN=92600 -- --resume elsewhere --autotune off
sed -i '3s/.*/no choice/' torn/autotune.tsv
train 5 -- --resume torn
says 'autotune.tsv:3: it is no line of a file of choices'
# Of a cache no more than a warning: it is made anew.
echo garbage >"$cache"
train 0 -- --run-dir mended --json
says 'is left out, and written anew'
[ "$(count "$cache" tuned)" = "$timed" ] || fail 'the cache was not made anew'

# Without memory to time in, and with a device that is lost.
rm -r "$cache"
train 0 COHORT_SIM_FAIL_ALLOC=2 -- --run-dir tight
[ "$(count tight/autotune.tsv heuristic)" = 1 ] || fail 'what could not be timed is not the first'
train 6 COHORT_SIM_LEAKS=0 COHORT_SIM_FAIL_LAUNCH=3 -- --run-dir early --autotune again
[ ! -e early ] || fail 'a run was begun'

# What a run has chosen, in its plan.
plan() { "$cohort" plan -c c.yaml --dataset d.h5 --device cuda "$@" >out 2>err; }
plan --run-dir whole || fail 'no plan'
grep -q 'timed: [0-9]: engine 2,' out || fail 'the plan does not tell'
plan --run-dir again --json || fail 'no plan'
"$check_json" ok=true <out || fail 'no JSON'
grep -q '"chosen": *"cached"' out || fail 'the plan does not tell of the cache'
plan --run-dir off && fail 'a run that has chosen nothing has a plan of choices'
says 'the run has chosen nothing'

train 2 -- --run-dir r --autotune sometimes
says 'known: auto, off, again'

# What scores takes the ways of the model's run, whatever the cache says or times would say now.
use() { # VERB CACHE ARGUMENTS...
  "$cohort" "$1" --autotune-cache "$2" --device cuda --threads 1 "${@:3}" >out 2>err </dev/null || fail "$*"
}
score() { use predict "$1" -m whole --dataset d.h5 -O "$2" --force "${@:3}"; }
score none.tsv run.csv
says ' 0 were timed, 0 are from the cache'
[ ! -e none.tsv ] || fail 'nothing was timed, and yet there is a cache'
score "$cache" cache.csv
same run.csv cache.csv
score none.tsv first.csv --autotune off
cmp -s run.csv first.csv && fail 'scores of another engine are alike: the test sees nothing'
# Of a model without a run, and of other numbers of rows, they are timed once.
cp whole/model.h5 alone.h5
for turn in 1 2; do
  COHORT_SIM_FAST_ENGINE=$((3 - turn)) COHORT_SIM_FAST_ALGORITHM=$((2 - turn)) \
    use predict scoring.tsv -m alone.h5 --dataset d.h5 -O "alone$turn.csv"
done
says ' 0 were timed'
same alone1.csv alone2.csv
same alone1.csv run.csv
COHORT_SIM_FAST_ENGINE=2 use predict scoring.tsv -m whole --dataset d.h5 -O more.csv --batch-size 5
grep -q ' [1-9][0-9]* were timed' err || fail 'other numbers of rows were not timed'
use evaluate none.tsv -m whole --dataset d.h5 --json
mv out evaluated
use evaluate "$cache" -m whole --dataset d.h5 --json
same out evaluated
use evaluate none.tsv -m whole --dataset d.h5 --json --autotune off
cmp -s out evaluated && fail 'metrics of another engine are alike: the test sees nothing'

# Runs of experiments, and trials where that is asked.
use experiment fastest.tsv -c c.yaml --dataset d.h5 --seeds 2 --run-dir e
[ "$(count e/seed-1/autotune.tsv cached)" = "$timed" ] || fail 'an experiment leaves the cache'
cat >>c.yaml <<YAML
hyperopt: {parameters: {trainer.learning_rate: {space: loguniform, lower: 0.001, upper: 0.01}}}
YAML
use hyperopt fastest.tsv run -c c.yaml --dataset d.h5 -O study.db --n-trials 1 --autotune auto
[ "$(count study.db.trials/trial-0000/autotune.tsv cached)" = "$timed" ] || fail 'a trial leaves the cache'
use hyperopt fastest.tsv run -c c.yaml --dataset d.h5 -O plain.db --n-trials 1
find plain.db.trials -name autotune.tsv | grep -q . && fail 'trials choose without being asked'
finish
