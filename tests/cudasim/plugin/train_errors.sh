#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: train_errors.sh COHORT CHECK_JSON MAKE_IDX LIBRARY_PATH [PLUGIN_FOLDER...]
# Training on a device that fails, in every way the doubles know: one line and the way out, the right
# exit code, nothing half-written, no leak, and a resumed run that ends with the bytes of an
# undisturbed one. In each PLUGIN_FOLDER there is a plugin of another version.
# shellcheck source=tests/cudasim/plugin/lib.sh
. "$(dirname "$0")/lib.sh"
shift 4
make_inputs 3 60

# train SETTING... -- ARGUMENTS...: sets $code; output in out and err.
train() {
  local settings=()
  while [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  shift
  what="${settings[*]} $*"
  env "${settings[@]}" "$cohort" train -c c.yaml --dataset d.h5 --device cuda --threads 1 --quiet --autotune off \
    "$@" >out 2>err </dev/null
  code=$?
}
# One error of a kind with these texts and a hint, and nothing else on stderr or stdout.
one_error() { # EXIT KIND TEXT...
  [ "$code" = "$1" ] || fail "exit $code instead of $1: $what"
  [ "$(grep -c "^error\[$2\]: " err)" = 1 ] || fail "not one error[$2]: $what"
  [ "$(grep -c '^  hint: ' err)" = 1 ] || fail "no hint: $what"
  grep -qvE '^(error\[[a-z]+\]: |  hint: |cudasim: [A-Za-z_]+: injected )' err && fail "more than that: $what"
  [ ! -s out ] || fail "something on stdout: $what"
  local text
  for text in "${@:3}"; do
    grep -qF -- "$text" err || fail "stderr lacks '$text': $what"
  done
  [ -z "$(find . -name '*.tmp-*')" ] || fail "temporaries are left: $what"
}
# What has begun goes on, and ends as if nothing had been.
goes_on() { # RUN
  train -- --run-dir "$1" --resume=auto
  [ "$code" = 0 ] || fail "exit $code: $what"
  local file
  for file in model.h5 metrics.jsonl $(cd whole && ls checkpoints/*.h5); do
    cmp -s "whole/$file" "$1/$file" || fail "$file differs in $1"
  done
  rm -rf "$1"
}
train -- --run-dir whole
[ "$code" = 0 ] || fail "exit $code: $what"

# ---- memory: each allocation in turn
for place in device host; do
  step=1
  for ((n = 1; n < 200; n += step)); do
    train COHORT_SIM_FAIL_ALLOC="$n" -- --run-dir r --dataset-placement "$place"
    [ "$code" = 0 ] && break
    one_error 7 memory 'cuda:0: out of memory: ' ' bytes (' ' MiB) asked for, ' 'MiB free' \
      trainer.batch_size trainer.accumulate_grad_batches trainer.precision
    if ((n % 5 == 0)); then goes_on r; else rm -rf r; fi
    [ "$place" = host ] && step=4 # most are the same
  done
  echo "$((n - 1)) allocations of device memory, $place"
  ((n > 10 && n < 200)) || fail "$n allocations are not likely"
  rm -rf r
done
count=0 # each evaluation has some of its own: the first ones, then a choice
for ((n = 1; n < 10000; n = n < 12 ? n + 1 : n * 3 / 2)); do
  train COHORT_SIM_FAIL_HOST_ALLOC="$n" -- --run-dir r --dataset-placement host
  [ "$code" = 0 ] && break
  one_error 7 memory 'cuda:0: ' ' bytes of pinned host memory'
  count=$((count + 1))
  if ((n < 12)); then rm -rf r; else goes_on r; fi
done
echo "$count allocations of pinned memory"
((count > 8 && n < 10000)) || fail "$count pinned allocations are not likely"
rm -rf r
# Too little from the start: neither with the data set on the device nor without.
train COHORT_SIM_MEMORY=20000 -- --run-dir r
one_error 7 memory 'of 0.0 MiB free'

# ---- a device that is lost; what is lost with it is no leak
lost=0
for ((n = 1; n < 100000; n = n * 8 / 5 + 3)); do
  train COHORT_SIM_FAIL_LAUNCH="$n" COHORT_SIM_LEAKS=0 COHORT_SIM_SEED=$((n % 3)) -- --run-dir r
  [ "$code" = 0 ] && break
  one_error 6 device 'cuda:0: ' 'unspecified launch failure' --resume
  if ls r/checkpoints/*.h5 >files 2>/dev/null; then
    lost=$((lost + 1))
    while read -r file; do
      "$cohort" inspect "$file" >out 2>err || fail "a damaged checkpoint: $what"
    done <files
  fi
  goes_on r
done
rm -rf r
echo "$lost devices lost after a checkpoint"
((lost > 2)) || fail 'no device was lost amid a run'

# ---- machines that cannot
refused() { # TEXT... -- SETTING...
  local texts=()
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  train "$@" -- --run-dir r
  one_error 6 device "${texts[@]}"
  [ ! -e r ] || fail "a run was begun: $what"
  train "$@" -- --run-dir r --json
  "$check_json" ok=false verb=train exit=6 error.code=device error.exit=6 <out || fail "JSON: $what"
  rm -rf r
}
refused 'busy or unavailable' 'nvidia-smi' -- COHORT_SIM_BUSY=1
refused 'no NVIDIA GPU is visible' CUDA_VISIBLE_DEVICES -- COHORT_SIM_DEVICES=0
refused 'the NVIDIA driver is for CUDA 11.8 at most' 'update the NVIDIA driver' -- COHORT_SIM_DRIVER=11080
refused 'compute capability 6.1' '--device cpu' -- COHORT_SIM_CAPABILITY=6.1
refused 'cuBLASLt 11.5 is installed' 'install cuBLAS' -- COHORT_SIM_CUBLASLT=110500
refused 'cuDNN 8 (version 8907) is installed' 'install cuDNN' -- COHORT_SIM_CUDNN=8907
refused 'cuDNN 10 (version 100100) is installed' 'install cuDNN' -- COHORT_SIM_CUDNN=100100
for folder in "$@"; do # a program that has no plugin beside it
  cp "$cohort" cohort
  beside=$cohort
  cohort=./cohort
  refused 'of another version' 'install program and plugin together' -- "LD_LIBRARY_PATH=$folder:$libraries"
  cohort=$beside
done

# ---- a training that diverges on the device
train -- --run-dir r --trainer.optimizer.type sgd --trainer.learning_rate 1e6
[ "$code" = 8 ] || fail "exit $code: $what"
one_error 8 diverged 'is not finite'
rm -rf r

finish
