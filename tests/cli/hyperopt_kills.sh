#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hyperopt_kills.sh COHORT CHECK_JSON KILL_AT SCRIPTS [KILLS]. Studies of two processes with two workers
# each, both begun at once and killed in front of operations on files at random, again and again, KILLS
# times in all (6 by default); then on disks that are full from an operation on. All end with the trials,
# values and models of a study that nobody disturbed.
set -u
cohort=$1
check_json=$2
kill_at=$3
scripts=$4
kills=${5:-6}
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
preloaded() { env "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}" LD_PRELOAD="$kill_at" "$@"; }
trials() { "$cohort" hyperopt show "$1" --json | sed -E 's/"(started|ended)":("[^"]*"|null)/"\1":0/g; s/"(study|name)":"[^"]*",//g'; }

searched 6
cat >>c.yaml <<'YAML'
hyperopt:
  metric: log_loss
  lag: 4
  sampler: tpe
  pruner: successive_halving
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 1.0e-4, upper: 1.0e-1}
    combiner.layers.0.Dense.units: {space: int, lower: 4, upper: 16}
YAML
search=(hyperopt run -c c.yaml --dataset d.h5 --n-trials 14 --seed 2)
expect 0 "${search[@]}" -O whole.db
models=$(find whole.db.trials -name model.h5 | wc -l)
[ "$models" -gt 2 ] || fail "only $models are complete"
same() {
  cmp -s <(trials whole.db) <(trials "$1") || fail "$1 has other trials"
  local run left
  for run in whole.db.trials/*/; do
    [ -e "$run/model.h5" ] || continue
    cmp -s "$run/model.h5" "$1.trials/$(basename "$run")/model.h5" || fail "$1: $run/model.h5 differs"
  done
  left=$(find . -path "./$1*" \( -name '*.tmp-*' -o -name '*.lock' -o -name '*-journal' \))
  [ -z "$left" ] || fail "$1: $left is left"
}

# ---- killed
RANDOM=7
killed=0 studies=0
while [ $killed -lt "$kills" ]; do
  study=k$studies.db
  for _ in $(seq 20); do
    processes=()
    for worker in a b; do
      at=$((RANDOM % 700 + 10))
      [ $killed -lt "$kills" ] || at=0
      preloaded COHORT_TEST_KILL_AT=$at "$cohort" "${search[@]}" -O "$study" --n-jobs 2 >out-$worker 2>err-$worker &
      processes+=($!)
    done
    over=0
    for process in "${processes[@]}"; do
      wait "$process"
      case $? in
      0) over=1 ;;
      137) killed=$((killed + 1)) ;;
      *) fail "$study: exit $?: $(cat err-a err-b)" ;;
      esac
    done 2>/dev/null
    [ $over = 0 ] || break
  done
  same "$study"
  studies=$((studies + 1))
done

# ---- an array of tasks
awk '/^hyperopt:/ { tune = 1 } { print >(tune ? "tune.yaml" : "base.yaml") }' c.yaml
for task in 0 1; do
  sed 's/--quiet/--seed 2/' "$scripts/examples/hyperopt.sbatch" >task
  COHORT=$cohort SLURM_CPUS_PER_TASK=2 bash task base.yaml tune.yaml d.h5 array.db 14 >out-$task 2>err-$task &
done
wait -n || fail "task: $(cat err-0 err-1)"
wait -n || fail "task: $(cat err-0 err-1)"
same array.db

# ---- the disk is full
full=0
preloaded COHORT_TEST_COUNT=operations "$cohort" "${search[@]}" -O counted.db --n-jobs 2 >out 2>err
for part in $(seq $((kills < 20 ? 3 : 20))); do
  study=f$part.db
  preloaded COHORT_TEST_FULL_AT=$(($(cat operations) * part / (kills < 20 ? 4 : 21))) \
    "$cohort" "${search[@]}" -O "$study" --n-jobs 2 >out 2>err
  [ $? = 9 ] || fail "$study: not exit 9 on a full disk"
  [ "$(grep -c '^error\[io\]' err)" = 1 ] || fail "$study: not one error"
  full=$((full + 1))
  expect 0 "${search[@]}" -O "$study" --n-jobs 2
  same "$study"
done
echo "$killed kills over $studies studies, $full full disks: the same trials, values and models"
exit $failed
