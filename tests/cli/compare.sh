#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: compare.sh COHORT CHECK_JSON. Runs beside each other: the figures are those of evaluate, their
# differences paired, configs told where they differ.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
has() { grep -qF -- "$1" "$2" || fail "no '$1' in $2"; }
awk 'BEGIN {
  print "plan,visits,bought"
  for (i = 0; i < 300; i++) {
    visits = (i * 37) % 90 + i / 1000
    print (i % 3 ? "monthly" : "yearly") "," visits "," (visits + (i * 7) % 30 > 60 ? "yes" : "no")
  }
}' >visitors.csv
expect 0 import -O d.h5 --target bought --positive yes visitors.csv
expect 0 import -O other.h5 --target bought --positive yes --split random:0.5,0.2,0.3 visitors.csv
cat >c.yaml <<'YAML'
combiner: {layers: [{Dense: {units: 8, activation: relu}}]}
trainer: {max_epochs: 1, batch_size: 32}
YAML
train=(train -c c.yaml --dataset d.h5)
expect 0 "${train[@]}" --run-dir few
expect 0 "${train[@]}" --run-dir many --set trainer.max_epochs=40 --set trainer.learning_rate=0.01
expect 0 "${train[@]}" --run-dir again
expect 0 train -c c.yaml --dataset other.h5 --run-dir other

expect 0 compare few many --json
json ok=true split=validation runs.0.run=few runs.1.config.trainer=null pairs.0.run=many pairs.0.than=few
has '"config":{"trainer.max_epochs":40,"trainer.learning_rate":0.01}' out
cp out both.json
value() { grep -o "\"$1\":[-0-9.e]*" "$2" | head -"${3:-1}" | tail -1 | cut -d: -f2; }
for run in few many; do
  expect 0 evaluate -m $run --dataset d.h5 --split validation --json
  value log_loss out >$run.loss
  grep -qF "\"log_loss\":$(cat $run.loss)" both.json || fail "another metric of $run than evaluate has"
done
# The difference is that of the two, and so large that no draw says otherwise.
grep -o '"metric":"log_loss","difference":[-0-9.e]*,"interval":\[[-0-9.e]*,[-0-9.e]*\],"p":[-0-9.e]*' both.json >pair
awk -F'[]:,[]' -v few="$(cat few.loss)" -v many="$(cat many.loss)" '
  { d = many - few - $4; exit !(d * d < 1e-20 && $7 < $8 && $8 < 0 && $NF < 0.01) }' pair || fail "the pair: $(cat pair)"

expect 0 compare few many
has 'trainer.max_epochs                                          1               40' out
grep -q 'log_loss .*better$' out || fail 'the better one is not called so'
expect 0 compare many few again
grep -q 'p=.*worse$' out || fail 'the worse one is not called so'
expect 0 compare few again
has 'their configs say the same' out
[ "$(grep -c 'p=1$' out)" -gt 5 ] || fail 'equal runs differ'
expect 0 compare few many --csv
[ "$(head -1 out | cut -d, -f1-4)" = run,trainer.max_epochs,trainer.learning_rate,bought.log_loss ] || fail 'head of the CSV'
[ "$(tail -1 out | cut -d, -f1-3)" = many,40,0.01 ] || fail 'line of the CSV'
# Validation rows were scored when the training ended: without the data, the same bytes as when scored anew.
mv d.h5 away.h5
expect 0 compare few many --json
json runs.0.scores=kept runs.1.scores=kept
cmp -s out both.json || fail 'without the data other figures'
mv away.h5 d.h5
mv few/scores.h5 kept.h5
expect 0 compare few many --json
json runs.0.scores=computed runs.1.scores=kept
[ "$(sed 's/"scores":"computed"/"scores":"kept"/' out)" = "$(cat both.json)" ] || fail 'scored anew, other figures'
head -c 3000 kept.h5 >few/scores.h5
refused 5 'few/scores.h5' -- compare few many
printf 'no scores' >few/scores.h5
refused 5 'no file of scores' -- compare few many
cp many/scores.h5 few/scores.h5 # of other weights
expect 0 compare few many --json
json runs.0.scores=computed
mv kept.h5 few/scores.h5
expect 0 compare few other --dataset d.h5 --json
json runs.0.scores=kept runs.1.scores=computed
expect 0 compare few other --dataset d.h5 --split test --json
json split=test
refused 4 'was trained on another dataset' -- compare few other
refused 5 'there is no run' -- compare few nothing
mkdir folded
echo fold,validation >folded/folds.csv
refused 5 'folded/experiment.json has it beside its baselines' -- compare few folded
mkdir seeded
echo seed >seeded/seeds.csv
refused 5 'seeded/experiment.json has it beside its baselines' -- compare few seeded
refused 5 'seeded/experiment.json has it beside its baselines' -- report seeded -O x.html
refused 2 'no such split' -- compare few many --split none
refused 2 'compare' -- compare few

exit $failed
