#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/gpu_session, tried on the doubles: what its parts find, what is there when the time is over or
# when it is killed, and that a device that fails is told. session_on_doubles.sh ROOT BUILD
set -eu
root=$1
build=$2
dir=$(mktemp -d "${TMPDIR:-/tmp}/gpu_session.XXXXXX")
export XDG_CACHE_HOME="$dir/cache"
trap 'rm -rf "$dir"' EXIT

run() { # RESULTS EXPECTED-EXIT ACTION ARGUMENTS...
  name=$1 expected=$2 action=$3
  shift 3
  code=0
  "$root/scripts/gpu_session" "$action" --on-doubles --build "$build" --session "$dir/session" -O "$dir/$name" "$@" \
    >"$dir/out" 2>&1 || code=$?
  if [ $code -ne "$expected" ]; then
    echo "$name: exit $code, not $expected"
    cat "$dir/out"
    exit 1
  fi
}
has() { # FILE TEXT
  grep -q -- "$2" "$dir/$1" || {
    echo "$1 lacks: $2"
    cat "$dir/$1" "$dir/out"
    exit 1
  }
}

run none 1 correct --part training # before there is anything to compare with
has none/correct.md 'gpu_session prepare'
run prepared 0 prepare

run all 0 correct
for text in 'the device opens | pass' 'libraries | pass .*libcublasLt' 'NaN, strict float32 | pass .*[0-9] checks' \
  'epilogues, each twice, strict float32 | pass' 'a recorded step replayed | pass' 'device properties of cuDNN | pass' \
  'mlp: as the CPU, 32 | pass .*losses apart' 'purchase-lstm: as the CPU, bf16 | pass' 'mlp: equal bytes twice | pass' \
  'purchase-lstm: recorded = eager | pass' 'operations, strict float32 | pass' 'compute-sanitizer memcheck | not run'; do
  has all/correct.md "$text"
done
run all 0 speed
for text in 'plan of mlp, bf16 | pass .*12 launches' 'operations of mlp, TF32 | pass .*a double' 'ways of mlp, tf32 | pass .*tuned' \
  'PyTorch: images | not run'; do
  has all/speed.md "$text"
done
has all/speed.log '^adam .*cuda'
has all/autotune.tsv 'tuned'
# What a machine gives back: eight files, no folders, plain names.
if [ "$(find "$dir/all" -mindepth 1 | wc -l)" -gt 8 ] || find "$dir/all" -mindepth 1 | grep -E '\.part$' ||
  [ -n "$(find "$dir/all" -mindepth 1 -type d)" ]; then
  echo 'too many results'
  ls -R "$dir/all"
  exit 1
fi

# Its own limit, and another's: what was found is there, the rest says that it was not reached.
run short 1 correct --budget 1.2 --part machine --part training
has short/correct.md 'training.*not reached\|no time was left'
"$root/scripts/gpu_session" correct --on-doubles --build "$build" --session "$dir/session" -O "$dir/killed" \
  --part machine --part training --part operations >"$dir/out" 2>&1 &
pid=$!
until grep -q 'training .*under way' "$dir/killed/correct.md" 2>/dev/null; do
  kill -0 $pid
  sleep 0.05
done
kill -9 $pid
wait $pid 2>/dev/null || true
has killed/correct.md 'the device opens | pass'
has killed/correct.md 'operations | | not reached'
has killed/correct.json '"status": "under way"'

COHORT_SIM_FAIL_LAUNCH=3 run broken 1 correct --part worst
has broken/correct.md 'FAIL'
has broken/correct.log 'injected'
echo checked
