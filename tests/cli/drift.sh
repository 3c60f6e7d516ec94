#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: drift.sh COHORT CHECK_JSON. How far rows are from those of the training, and the gates on that.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
# customers SEED VISITS PLANS: `visits` moved by so much; so many plans, of which training has three.
customers() {
  awk -v seed="$1" -v move="$2" -v plans="$3" 'BEGIN {
    srand(seed)
    print "customer,plan,visits,bought"
    for (i = 0; i < 4000; i++) {
      plan = int(plans * rand())
      visits = int(100 * rand())
      print "C-" seed "-" i ",plan " plan "," (rand() < 0.05 ? "" : visits + move) "," (visits + 20 * plan > 60 ? "Yes" : "No")
    }
  }'
}
customers 1 0 3 >train.csv
customers 2 0 3 >same.csv
customers 3 40 3 >moved.csv
customers 4 0 6 >plans.csv
sed '2~3s/,[0-9]*,\([A-Z]\)/,,\1/' same.csv >missing.csv
expect 0 train --target bought --key customer --dataset train.csv --run-dir run --set trainer.max_epochs=2
score=(predict -m run --quiet --batch-size 100)

expect 0 "${score[@]}" --dataset same.csv -O same.out --max-drift psi=0.1,ks=0.1,missing=0.05,unseen=0
[ ! -s err ] || fail 'a warning about rows like those of the training'
drift() { # drift MANIFEST PLACE: the number there
  "$check_json" "$2=x" <"$1" 2>&1 | sed -n "s/.*found '\([^']*\)'.*/\1/p"
}
between() { awk -v x="$2" -v low="$3" -v high="$4" 'BEGIN { exit !(x != "" && x >= low && x <= high) }' || fail "$1 is '$2', not $3 to $4"; }
between 'PSI of equal rows' "$(drift same.out.manifest.json drift.inputs.visits.psi)" 0 0.02
between 'KS of equal rows' "$(drift same.out.manifest.json drift.inputs.visits.ks)" 0 0.05
between 'missing' "$(drift same.out.manifest.json drift.inputs.visits.missing)" 0.03 0.07
between 'PSI of equal scores' "$(drift same.out.manifest.json drift.scores.bought.psi)" 0 0.1
between 'the first bin' "$(drift same.out.manifest.json histogram.bought.0)" 1 4000

# Of uniform values that move by 0.4 of their range, four tenths are lost and what was above the last
# edge has gained them: KS 0.4, PSI 0.4 ln(0.1 / 0.0001) and (0.5 - 0.1) ln(0.5 / 0.1), but for chance.
refused 10 "input 'visits' has drifted: psi" -- "${score[@]}" --dataset moved.csv -O x --max-drift psi=0.25
refused 10 "input 'visits' has drifted: ks 0.4" -- "${score[@]}" --dataset moved.csv -O x --max-drift ks=0.25
expect 0 "${score[@]}" --dataset moved.csv -O moved.out
grep -q "input 'visits' has drifted since the training" err || fail 'drift is told'
between 'PSI' "$(drift moved.out.manifest.json drift.inputs.visits.psi)" 3.0 3.6
refused 10 "input 'visits' has drifted: missing 0.3" -- "${score[@]}" --dataset missing.csv -O x --max-drift missing=0.1
refused 10 "input 'plan' has drifted: unseen 0.5" -- "${score[@]}" --dataset plans.csv -O x --max-drift unseen=0.01
refused 10 "input 'plan' has drifted: unseen 0.5" -- "${score[@]}" --dataset plans.csv -O - --max-drift unseen=0.01
# Scores alone: who visits often has another plan, of which there are as many as before.
awk -F, -v OFS=, 'NR > 1 && $3 != "" { $2 = "plan " int($3 * 3 / 100) } 1' same.csv >tied.csv
refused 10 "score 'bought' has drifted: ks" -- "${score[@]}" --dataset tied.csv -O x --max-drift ks=0.08 --columns score
# Of an ensemble each model's own scores, as if it were alone, also where rows are placed first.
cp -r run twin
both=(predict -m run -m twin --quiet --dataset)
refused 10 "score 'run_bought' has drifted: ks" -- "${both[@]}" tied.csv -O x --ensemble mean --max-drift ks=0.08
expect 0 "${both[@]}" same.csv -O mean.out --ensemble mean
expect 0 "${both[@]}" same.csv -O places.out --ensemble rank_mean --columns key,score,rank
for manifest in mean places; do
  [ "$(drift $manifest.out.manifest.json models.1.drift.scores.bought.ks)" = "$(drift same.out.manifest.json drift.scores.bought.ks)" ] ||
    fail "drift of the scores of an ensemble's models: $manifest"
done
refused 10 '4000 rows are scored, fewer than the 4001 required' -- "${score[@]}" --dataset same.csv -O x --require-rows 4001
expect 0 "${score[@]}" --dataset same.csv -O y --require-rows 4000
for wrong in psi psi= psi=much psi=-1 sum=1 psi=1x psi=1,ks; do
  refused 2 'not understood' -- "${score[@]}" --dataset same.csv -O x --max-drift $wrong
done

# A gate leaves nothing that the next job would have to go on with.
refused 10 'fewer than the 4001 required' -- "${score[@]}" --dataset same.csv -O x --save-rows 500 --require-rows 4001
expect 0 "${score[@]}" --dataset moved.csv -O x --resume
expect 0 doctor
if ! grep -q 'sqlite.*missing' out; then
  expect 0 "${score[@]}" --dataset same.csv -O sqlite:x.db --table other
  expect 10 "${score[@]}" --dataset same.csv -O sqlite:x.db --table t --save-rows 500 --require-rows 4001 --resume
  expect 0 "${score[@]}" --dataset moved.csv -O sqlite:x.db --table t --resume
fi

# What a job that went on has counted is what one counts that was never stopped.
expect 0 "${score[@]}" --dataset moved.csv -O part.csv --save-rows 500
sed 's/"rows":.*"drift"/"drift"/; s/"finished":.*//' part.csv.manifest.json >whole
rm part.csv*
until [ -s part.csv.journal ] && [ "$(wc -l <part.csv.journal)" -gt 2 ]; do
  rm -f part.csv*
  "$cohort" "${score[@]}" --dataset moved.csv -O part.csv --save-rows 500 >out 2>err &
  pid=$!
  until [ ! -d /proc/$pid ] || { [ -s part.csv.journal ] && [ "$(wc -l <part.csv.journal)" -gt 2 ]; }; do :; done
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
done
expect 0 "${score[@]}" --dataset moved.csv -O part.csv --resume
sed 's/"rows":.*"drift"/"drift"/; s/"finished":.*//' part.csv.manifest.json >state
cmp -s state whole || fail "counts after going on: $(diff state whole)"
# Of several models an input is told once, and scores by the name of their columns.
expect 0 train --target bought --key customer --dataset train.csv --run-dir other --seed 2 --set trainer.max_epochs=2
expect 0 predict -m run -m other --quiet --dataset moved.csv -O both.out
[ "$(grep -c "input 'visits' has drifted" err)" = 1 ] || fail 'drift of an input that two models have'
grep -q "score 'run_bought' has drifted" err || fail 'the name of scores that drifted'
refused 10 "score 'run_bought' has drifted" -- predict -m run -m other --dataset tied.csv -O z --max-drift ks=0.08
exit $failed
