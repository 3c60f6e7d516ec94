#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: refit.sh COHORT CHECK_JSON KILL_AT. `train --refit`: the model that is shipped has seen the validation
# rows, for as long as was best without them; killed anywhere it ends with the same bytes.
set -u
cohort=$1
check_json=$2
kill_at=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cat >c.yaml <<'YAML'
input_features: [{select: number, exclude: [age]}]
combiner: {layers: [{Dense: {units: 8, activation: relu}}]}
trainer: {max_epochs: 6, batch_size: 64, learning_rate: 5.0e-2, learning_rate_scheduler: {decay: cosine}}
baselines: [prior]
YAML
expect 0 synthesize -O t.csv --rows 400 --seed 4
expect 0 import -O d.h5 t.csv --target bought --key customer --seed 2
sum_weights() { "$cohort" inspect "$1" --json | sed 's/.*"weights_sha256":"\([0-9a-f]*\).*/\1/'; }

expect 0 train -c c.yaml --dataset d.h5 --seed 7 --threads 1 --run-dir plain
expect 0 train -c c.yaml --dataset d.h5 --seed 7 --threads 1 --run-dir whole --refit --json
json ok=true refit.figures_of=selected.h5
best=$(sed 's/.*"best":{"step":\([0-9]*\).*/\1/' out) epochs=$(sed 's/.*"refit":{"epochs":\([0-9]*\).*/\1/' out)
rows=$(sed 's/.*"refit":{[^}]*"rows":\([0-9]*\).*/\1/' out)
[ "$(sum_weights plain)" = "$(sum_weights whole/selected.h5)" ] ||
  fail "the first training is another than without --refit"
[ "$(sum_weights whole)" != "$(sum_weights whole/selected.h5)" ] || fail "nothing was trained anew"
steps=$(grep '"split":"validation"' whole/metrics.jsonl | head -1 | sed 's/.*"step":\([0-9]*\).*/\1/')
# As many epochs as were best, each of all rows that the first had in both.
last=$(grep '"split":"train"' whole/refit/metrics.jsonl | tail -1 | sed 's/.*"step":\([0-9]*\).*/\1/')
[ "$last" = $((epochs * ((rows + 63) / 64))) ] || fail "$last steps in $epochs epochs of $rows rows"
[ "$epochs" = $(((best + steps - 1) / steps)) ] || fail "$epochs epochs, where step $best was best"
! grep -q '"split":"validation"' whole/refit/metrics.jsonl || fail "it measures what it learned from"

# What validation rows decided is the first's.
"$cohort" evaluate -m whole --dataset d.h5 --split test >shipped
"$cohort" evaluate -m whole/selected.h5 --dataset d.h5 --split test >selected
[ "$(grep -o 'at temperature [0-9.]*' shipped)" = "$(grep -o 'at temperature [0-9.]*' selected)" ] || fail "another temperature"
expect 0 evaluate -m whole --dataset d.h5 --split validation
grep -q 'learned from these rows' err || fail "no warning: it has seen them"
expect 0 predict -m whole --dataset d.h5 -O scores.csv

# Killed in front of operations on files in both trainings.
preload=(env ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$kill_at")
COHORT_TEST_COUNT=$PWD/operations "${preload[@]}" "$cohort" train -c c.yaml --dataset d.h5 --seed 7 --threads 1 --refit \
  --quiet --run-dir counted >out 2>err || fail "no count"
for tenth in 2 4 5 6 7 8 9 10; do
  COHORT_TEST_KILL_AT=$(($(cat operations) * tenth / 10 - 2)) "${preload[@]}" "$cohort" train -c c.yaml --dataset d.h5 \
    --seed 7 --threads 1 --refit --quiet --run-dir "killed$tenth" >out 2>err
  [ $? = 137 ] || fail "not killed at $tenth tenths"
  expect 0 train --resume "killed$tenth"
  cmp -s "killed$tenth/model.h5" whole/model.h5 || fail "killed at $tenth tenths, another model"
  cmp -s "killed$tenth/scores.h5" plain/scores.h5 || fail "killed at $tenth tenths, other scores"
done
expect 0 train --resume whole --json
json ok=true weights_sha256="$(sum_weights whole)"

refused 3 'the decay plateau follows validation rows' -- train -c c.yaml --dataset d.h5 --run-dir x --refit \
  --set trainer.learning_rate_scheduler.decay=plateau
expect 0 import -O all.h5 t.csv --target bought --key customer --split random:0.8,0,0.2
refused 4 'there are no validation rows to choose by' -- train -c c.yaml --dataset all.h5 --run-dir x --refit
exit $failed
