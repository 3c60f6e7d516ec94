#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: rehearse.sh COHORT CHECK_JSON. What helps before a training: a rehearsal, few batches learned by
# heart, a learning rate and a batch size found. But for the second nothing is kept. And what its steps
# take, by layer.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1 TMPDIR=$dir/tmp
mkdir tmp
kept() {
  if [ -n "$(ls tmp)" ] || [ -e runs ]; then fail "something is kept: $(ls tmp runs)"; fi
}

expect 0 synthesize -O customers.csv --rows 4000 --seed 4
table=(--target bought --key customer --dataset customers.csv)
expect 0 import -O d.h5 customers.csv --target bought --key customer
cat >c.yaml <<'YAML'
input_features: all
output_features: targets
combiner: {layers: [{Dense: {units: 16, activation: relu}}]}
trainer: {max_epochs: 50, batch_size: 32}
YAML

# ---- a rehearsal: of a table, of a network, of what is none; it finds what would fail at the end
expect 0 train "${table[@]}" --fast-dev-run
grep -qF 'rehearsed on 1 batch:' out || fail 'it does not say what it did'
kept
expect 0 train -c c.yaml --dataset d.h5 --fast-dev-run=3 --json
json status=fast_dev_run batches=3
grep -qF 'beginning at step 0 of 3, 3 steps an epoch' err || fail 'other steps'
grep -qF '96 training and' err || fail 'other rows'
echo '{input_features: all, output_features: targets, predictor: {type: linear}}' >linear.yaml
expect 0 train --dataset d.h5 -c linear.yaml --fast-dev-run=4
refused 3 "no output has a metric 'aucc'" -- train -c c.yaml --dataset d.h5 --fast-dev-run --set trainer.validation_metric=aucc
expect 8 train -c c.yaml --dataset d.h5 --fast-dev-run=9 --set trainer.learning_rate=9e5 --set trainer.optimizer.type=sgd
refused 2 'nothing is kept' -- train -c c.yaml --dataset d.h5 --fast-dev-run --run-dir x
refused 2 'is no number of batches' -- train -c c.yaml --dataset d.h5 --fast-dev-run=0
refused 2 'give one of' -- train -c c.yaml --dataset d.h5 --fast-dev-run --find-batch-size
kept

# ---- by heart, goes on after a stop, and is noted in the run
expect 0 train -c c.yaml --dataset d.h5 --overfit-batches 1 --run-dir heart --set trainer.learning_rate=0.02 \
  --set trainer.max_epochs=200 --set trainer.steps_per_checkpoint=100
grep -qF 'overfit_batches: 1' heart/config.full.yaml || fail 'the run does not know'
grep -qF '32 training and 32 validation rows' err || fail 'other rows'
tail -1 heart/metrics.jsonl | grep -o '"loss":[0-9.e-]*' | head -1 | cut -d: -f2 |
  awk '{ exit !($1 < 0.01) }' || fail "not learned by heart: $(tail -1 heart/metrics.jsonl)"
expect 75 train -c c.yaml --dataset d.h5 --overfit-batches 1 --run-dir stopped --set trainer.learning_rate=0.02 \
  --set trainer.max_epochs=1000000 --max-time 0:01
expect 75 train --resume stopped --max-time 0:01

# ---- a learning rate: the loss falls from there, and the same is found again
expect 0 train -c c.yaml --dataset d.h5 --find-learning-rate --json
cp out first
rate=$(sed -E 's/.*"learning_rate":([0-9.e-]+),"steps".*/\1/' out)
awk -v rate="$rate" 'BEGIN { exit !(rate > 1e-4 && rate < 1) }' || fail "a rate of $rate"
steps=$(grep -o '"smoothed"' out | wc -l)
if [ "$steps" -le 50 ] || [ "$steps" -gt 100 ]; then fail "$steps steps"; fi
expect 0 train -c c.yaml --dataset d.h5 --find-learning-rate --json
cmp -s out first || fail 'another rate the second time'
expect 0 train "${table[@]}" --find-learning-rate
grep -qE -- '--set trainer.learning_rate=0[.][0-9]+$' out || fail 'no rate to copy'
# Of a target with a long tail single batches say little.
awk 'BEGIN {
  srand(7)
  print "a,b,spent"
  for (i = 0; i < 400; i++) { a = rand(); b = rand(); print a "," b "," 100 * exp(5 * a * a + 3 * rand() * rand() * rand()) }
}' >tail.csv
expect 0 train --target spent --dataset tail.csv --find-learning-rate --json
rate=$(sed -E 's/.*"learning_rate":([0-9.e-]+),"steps".*/\1/' out)
awk -v rate="$rate" 'BEGIN { exit !(rate > 5e-4 && rate < 1) }' || fail "a rate of $rate for a long tail"
kept

# ---- a batch size: by the rows, or by what is left of memory
expect 0 train "${table[@]}" --find-batch-size --json
json limit=rows tried.0.batch_size=16
if (ulimit -v 4000000 && "$cohort" --version) >out 2>err; then # not under sanitizers
  bash -c 'ulimit -v 900000; exec "$@"' - "$cohort" train "${table[@]}" --find-batch-size --json \
    --set 'combiner={layers: [{Dense: 40000}]}' >out 2>err || fail 'by memory'
  json limit=memory tried.0.batch_size=16
fi
kept

# ---- how fast a config trains and scores: figures in their order, whatever they are; nothing is kept
bench=(bench --dataset d.h5 --rounds 2 --seconds 0.02)
expect 0 "${bench[@]}" -c c.yaml --json
json ok=true rounds=2 device=cpu training.batch_size=32 scoring.0.batch_size=1 scoring.1.batch_size=8 scoring.2.batch_size=64 \
  scoring.3.batch_size=256
grep -oE '"rows_per_second":[^,]*,"range":[^]]*\],"gflop_per_s":[^,]*,"share_of_ceiling":[^,]*' out | tr -d '[]' >figures
awk -F'[:,]' '{ if (!($4 > 0 && $4 <= $2 && $2 <= $5 && $7 > 0 && $9 > 0)) exit 1 } END { if (NR != 5) exit 1 }' figures ||
  fail "figures: $(cat figures)"
for key in open_seconds first_step_seconds peak_bytes planned_bytes ceiling_gflop_per_s ceiling_gb_per_s; do
  grep -qE "\"$key\":[0-9.]*[1-9]" out || fail "no $key"
done
grep -qE 'epoch=|split=validation' err && fail 'epochs of what is only timed'
expect 0 "${bench[@]}" -c linear.yaml
[ "$(grep -c '^scoring ' out)" = 4 ] || fail 'not a line a batch size'
grep -q '^training' out && fail 'steps of what has none'
refused 4 'is not an HDF5 file' -- bench -c c.yaml --dataset customers.csv
kept

# ---- time by layer: it adds up, changes nothing, and is in the report
expect 0 train -c c.yaml --dataset d.h5 --run-dir timed --profile --set trainer.max_epochs=3
grep -qE '^optimizer .* of (compute|memory)$' out || fail "no table: $(cat out)"
expect 0 train -c c.yaml --dataset d.h5 --run-dir plain --set trainer.max_epochs=3
cmp -s timed/model.h5 plain/model.h5 || fail 'timing changes the model'
[ ! -e plain/profile.json ] || fail 'timed unasked'
awk -F'[:,]' '/"seconds"/ && !total { total = $2; next } /"operations_seconds"/ { operations = $2 }
  /"ceiling_g/ && $2 <= 0 { bad = 1 } /"seconds"/ { sum += $2 } /"(forward|backward)_seconds"/ { parts += $2 }
  END { d = sum - operations; e = sum - parts
    exit !(!bad && operations > 0 && operations <= total && d * d < 1e-12 && e * e < 1e-12) }' timed/profile.json ||
  fail "times do not add up: $(cat timed/profile.json)"
for layer in combiner/dense optimizer; do
  grep -q "\"layer\": \"$layer\"" timed/profile.json || fail "no layer $layer: $(cat timed/profile.json)"
done
expect 0 report timed -O timed.html
grep -q 'Time by layer' timed.html || fail 'the report has no times by layer'
refused 2 'has no layers' -- train --dataset d.h5 -c linear.yaml --profile --run-dir x
exit $failed
