#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: plan.sh COHORT CHECK_JSON DATASET CONFIG... Plans for CUDA with neither device nor driver.
set -u
cohort=$1
check_json=$2
dataset=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' out err
  failed=1
}
plan() { "$cohort" plan --dataset "$dataset" "$@" >out 2>err </dev/null || fail "exit $?: plan $*"; }
step_of() { sed -n 's/^launches \([0-9]*\) in a training step of .*/\1/p' out; }
# Launches of a training step in f32 and in bf16, where updates read the weight gradients of convolutions
# as cuDNN rounds them. A change of these numbers is one of speed; kernels/cuda/README.md says
# what they are made of.
check_count() {
  case $1 in
  mlp.yaml) wanted=12,12 ;; # 1 + 3 + 1 + 5 + 2
  cnn.yaml) wanted=21,21 ;;
  product-cnn.yaml) wanted=32,32 ;;
  *) return ;;
  esac
  counted=$((counted + 1))
  [ "$2" = "$wanted" ] || fail "$2 launches in a training step instead of $wanted: $1"
}
# Convolutions: the engine taken, with tensor cores. Where no cuDNN is installed, none is named.
check_engines() {
  awk '/^plan: /{inside = 1; next} /^$/{inside = 0} inside && /  cudnn/' out >convolutions
  # The doubles always are.
  grep -q ' engine ' convolutions || [ -n "${COHORT_SIM_CONV_WORKSPACE:-}" ] || return 0
  grep -v '[ ;] engine [0-9]*, [0-9]* of [0-9]*, tensor cores, [0-9.]* MiB$' convolutions &&
    fail "a convolution without tensor cores, or that tells no engine: $1"
}
counted=0
for config in "$@"; do
  plan -c "$config" --device cuda
  [ ! -s err ] || fail "something on stderr: $config"
  grep -q '^cuda:0, planned for compute capability 9.0; no device was opened' out ||
    fail "does not say that it is planned: $config"
  # Launches of a step of each phase: its inputs, the training plan of the whole batch, the update.
  rows=$(sed -n 's/^plan: train, \([0-9]*\) rows, .*/\1/p' out | head -1)
  phases=$(grep -c '^plan: update, ' out)
  input=$(sed -n 's/^plan: train input, .*, \([0-9]*\) launches$/\1/p' out | head -1)
  train=$(sed -n "s/^plan: train, $rows rows, .*, \\([0-9]*\\) launches\$/\\1/p" out | paste -sd+)
  update=$(sed -n 's/^plan: update, .*, \([0-9]*\) launches$/\1/p' out | paste -sd+)
  step=$(step_of)
  [ "$step" = $((phases * input + train + update)) ] ||
    fail "$step is not $phases * $input + $train + $update: $config"
  # What is no product of a library says why it is there.
  awk '/^plan: /{inside = 1; next} /^$/{inside = 0} inside && /  cuda  /' out >own
  [ -s own ] || fail "no kernels of our own: $config"
  grep -E ' [0-9]+  +$' own && fail "a kernel without a reason: $config"
  check_engines "$config"
  cp out first
  plan -c "$config" --device cuda
  cmp -s out first || fail "a second plan differs: $config"
  plan -c "$config" --device cuda --json
  "$check_json" ok=true verb=plan device=cuda:0 compute_capability=9.0 planned=true \
    "launches_per_step=$step" <out || fail "JSON: $config"
  plan -c "$config" --device cuda --trainer.precision bf16
  check_engines "$config in bf16"
  check_count "$(basename "$config")" "$step,$(step_of)"
  plan -c "$config" --device cuda:3 --mode infer --batch-size 7
  grep -q '^cuda:3, planned' out || fail "not of the device asked for: $config"
  batch=$(sed -n 's/^plan: infer.*, \([0-9]*\) launches$/\1/p' out | paste -sd+)
  [ "$(sed -n 's/^launches \([0-9]*\) in a batch of 7 rows.*/\1/p' out)" = $((batch)) ] ||
    fail "not the launches of a batch, $batch: $config"
  grep -q 'stored values, [1-9][0-9]* bytes' out || fail "no bytes of a batch: $config"
  plan -c "$config" --device cpu
  grep -q launches out && fail "the CPU has no launches: $config"
done
[ "$counted" = 3 ] || fail "$counted configs whose launches are known, not 3"
# Several micro-batches: what the step repeats counts as often as it runs.
plan -c "$1" --device cuda --trainer.batch_size 32 --trainer.accumulate_grad_batches 3
read -r first added < <(sed -n 's/^plan: train, 32 rows, .*, \([0-9]*\) launches$/\1/p' out | xargs)
input=$(sed -n 's/^plan: train input, 32 rows, .*, \([0-9]*\) launches$/\1/p' out)
update=$(sed -n 's/^plan: update, .*, \([0-9]*\) launches$/\1/p' out)
step=$(sed -n 's/^launches \([0-9]*\) in a training step of 96 rows.*/\1/p' out)
[ "$step" = $((3 * input + first + 2 * added + update)) ] ||
  fail "$step is not 3 * $input + $first + 2 * $added + $update"
[ "$failed" = 0 ] && echo 'all passed'
exit "$failed"
