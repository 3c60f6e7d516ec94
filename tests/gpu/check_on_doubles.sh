#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/gpu_check, tried on the doubles: what passes, that a passed stage is not run again, that a
# device that fails is told. check_on_doubles.sh ROOT BUILD
set -eu
root=$1
build=$2
output=$(mktemp -d "${TMPDIR:-/tmp}/gpu_check.XXXXXX")
export XDG_CACHE_HOME="$output/cache"
trap 'rm -rf "$output"' EXIT

run() { # NAME EXPECTED-EXIT ARGUMENTS...
  name=$1 expected=$2
  shift 2
  code=0
  "$root/scripts/gpu_check" --on-doubles --quick --build "$build" -O "$output/results" "$@" \
    >"$output/$name" 2>&1 || code=$?
  if [ $code -ne "$expected" ]; then
    echo "$name: exit $code, not $expected"
    cat "$output/$name"
    exit 1
  fi
}
has() { # NAME TEXT
  grep -q -- "$2" "$output/$1" || {
    echo "$1 lacks: $2"
    cat "$output/$1"
    exit 1
  }
}

run first 0 --capability 90 --stage build --stage ops --stage train
for text in 'the device opens *pass' 'TF32 *pass .*[0-9][0-9] checks' 'a recorded step replayed *pass' \
  'product-cnn: 3 steps as the CPU.*pass .*losses apart' 'layer by layer *pass' \
  'equal bytes twice *pass' 'recorded = eager *pass' 'bf16 *pass' 'cudnn 9' \
  'killed and resumed *pass' 'out of memory *pass .*out of memory' \
  ' 0 failed'; do
  has first "$text"
done
grep -q '| train | out of memory | pass' "$output/results/RESULTS.md"

# The plugin of the stage build knows what it is for.
if [ -f "$output/results/plugin/libcohort_cuda.so" ]; then
  grep -aq '90-real' "$output/results/plugin/libcohort_cuda.so" || {
    echo 'the plugin does not say that it has code for 9.0'
    exit 1
  }
fi

run second 0 --stage ops --stage train
has second 'ops *passed for these binaries'
has second 'train *passed for these binaries'

COHORT_SIM_FAIL_LAUNCH=7 run broken 1 --stage ops --again
has broken 'operations, strict float32 *FAIL'
run mended 0 --stage ops
has mended 'operations, strict float32 *pass'

run absent 0 --stage sanitize --stage bench
has absent 'compute-sanitizer memcheck *not run'
has absent '0 passed, 0 failed, 5 not run'
echo checked
