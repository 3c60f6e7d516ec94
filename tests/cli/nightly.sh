#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: nightly.sh COHORT CHECK_JSON SCRIPTS. The examples for schedulers: nights that follow one another,
# are killed, meet a gate; shards of an array; units that systemd takes.
set -u
cohort=$1
check_json=$2
scripts=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1 COHORT=$cohort
night() { # night EXIT NAME SOURCE OPTION...
  local wanted=$1 name=$2 from=$3 code
  shift 3
  "$scripts/nightly" --source "$from" --target bought --key customer --into sqlite:scores.db --table scores --state models \
    --night "$name" --require-rows 1000 "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "night $name: exit $code instead of $wanted"
}
rows() { "$cohort" data show sqlite:scores.db --source-table scores --key customer --csv --rows 100000 2>err; }
expect 0 doctor
grep -q 'sqlite.*missing' out && { echo 'NOT RUN: nights: there is no SQLite'; exit 77; }
expect 0 synthesize -O first.csv --rows 2000 --seed 1
expect 0 synthesize -O second.csv --rows 3000 --seed 1
night 0 2026-11-28 first.csv
[ "$(readlink models/champion)" = 2026-11-28 ] || fail 'the first model is in use'
[ "$(rows | wc -l)" = 2001 ] || fail 'scores of the first night'
night 0 2026-11-29 second.csv
grep -q "roc_auc on tonight's test rows: 2026-11-29 0.*, 2026-11-28 0" out || fail 'models are compared'
[ "$(rows | wc -l)" = 3001 ] || fail 'scores of the second night'
champion=$(readlink models/champion)
rows >before
night 0 2026-11-29 second.csv # again: nothing to do
grep -q 'nothing to do' out || fail 'a night that is done is done again'
night 10 2026-11-30 first.csv --require-rows 2500
rows >after
cmp -s before after || fail 'a gate left something'
ln -sfn "$champion" models/champion
for ((i = 0; i < 4; i++)); do
  timeout -s KILL "0.$((i * 2 + 1))" "$scripts/nightly" --source first.csv --target bought --key customer --into sqlite:scores.db \
    --table scores --state models --night 2026-12-01 >out 2>err
done 2>/dev/null
night 0 2026-12-01 first.csv
[ "$(rows | wc -l)" = 3001 ] || fail 'scores after nights that were killed'
"$cohort" data show sqlite:scores.db --query "SELECT * FROM scores WHERE scored_at = '2026-12-01'" --key customer --csv --rows 100000 >state 2>err
[ "$(wc -l <state)" = 2001 ] || fail 'scores of the last night'
"$scripts/nightly" --source x >out 2>err
[ $? = 2 ] || fail 'a wrong command line'

# ---- an array of tasks, in whatever order, one of them twice
expect 0 predict -m models/champion --dataset second.csv --key customer -O whole.csv
for task in 3 1 4 2 2; do
  SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=4 SLURM_CPUS_PER_TASK=1 "$scripts/examples/cohort.sbatch" models/champion second.csv customer joined >out 2>err || fail "task $task"
done
cmp -s joined.csv whole.csv || fail 'joined shards'

# ---- systemd
if systemd-analyze --version >/dev/null 2>&1; then
  mkdir units
  sed "s|/usr/local/bin/nightly|$scripts/nightly|; s/^User=.*//" "$scripts/examples/cohort.service" >units/cohort.service
  cp "$scripts/examples/cohort.timer" units
  systemd-analyze verify units/cohort.service units/cohort.timer >out 2>&1
  grep -E 'cohort\.(service|timer)' out && fail 'systemd does not take the units'
else
  echo 'note: units were not verified: there is no systemd-analyze'
fi
exit $failed
