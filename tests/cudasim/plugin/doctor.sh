#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: doctor.sh COHORT CHECK_JSON DRIVER_FOLDER. What doctor says of machines that lack something.
# COHORT finds the emulated plugin, whose libraries come from the doubles.
set -u
cohort=$1
check_json=$2
driver=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' out err
  failed=1
}
# doctor SETTING... -- FIELD...: exit 0 with these fields in JSON; the text goes to out.
doctor() {
  local settings=()
  while [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  shift
  env "${settings[@]}" "$cohort" doctor --json --quiet >out 2>err || fail "exit $?: ${settings[*]}"
  "$check_json" ok=true verb=doctor exit=0 "$@" <out || fail "JSON: ${settings[*]}"
  env "${settings[@]}" "$cohort" doctor --quiet >out 2>err || fail "exit $?: ${settings[*]}"
  [ ! -s err ] || fail "something on stderr: ${settings[*]}"
}
has() { grep -qF -- "$1" out || fail "lacks: $1"; }
missing() { # in one line, with the way out
  [ "$(grep -c '^missing ' out)" = 1 ] || fail 'not one line says what is missing'
  for text in "$@"; do
    grep '^missing ' out | grep -qF -- "$text" || fail "missing lacks: $text"
  done
}
devices() { [ "$(grep -c '^cuda:[0-9]' out)" = "$1" ] || fail "not $1 devices"; }
with=LD_LIBRARY_PATH=$driver

doctor "$with" -- cuda_usable=true cuda_missing=null
devices 1
has 'cuda:0 is usable'
has 'cuda:0     cudasim, 8.0 of 8.0 GiB free, compute capability 9.0'
grep -Eq '^plugin +interface [0-9]+, code for 75$' out || fail 'the plugin'
grep -Eq '^driver +CUDA [0-9]+\.[0-9]+$' out || fail 'the driver'
grep -Eq '^runtime +CUDA [0-9]+\.[0-9]+$' out || fail 'the runtime'
grep -Eq '^cublaslt +[0-9]+\.[0-9]+\.[0-9]+$' out || fail 'cuBLASLt'
grep -Eq '^cudnn +[0-9]+\.[0-9]+\.[0-9]+$' out || fail 'cuDNN'
grep -q '^missing' out && fail 'nothing is missing'
doctor "$with" COHORT_SIM_DEVICES=3 COHORT_SIM_MEMORY=3221225472 -- cuda_usable=true
devices 3
has 'cuda:2     cudasim, 3.0 of 3.0 GiB free'
doctor "$with" COHORT_SIM_DEVICES=20 -- cuda_usable=true
devices 16
doctor "$with" COHORT_SIM_DEVICES=0 -- cuda_usable=false
devices 0
missing 'no NVIDIA GPU is visible' 'CUDA_VISIBLE_DEVICES'
# Somewhat too old, busy, or of another version.
doctor "$with" COHORT_SIM_DRIVER=11080 -- cuda_usable=false cuda_driver=11.8
missing 'the NVIDIA driver is for CUDA 11.8 at most' 'update the NVIDIA driver'
devices 0
doctor "$with" COHORT_SIM_CAPABILITY=6.1 -- cuda_usable=false
missing 'compute capability 6.1; 7.5 is needed' '--device cpu'
has 'compute capability 6.1 (no code for it)'
doctor "$with" COHORT_SIM_CAPABILITY=12.1 -- cuda_usable=true
doctor "$with" COHORT_SIM_BUSY=1 -- cuda_usable=false
missing 'busy or unavailable' 'another program may have the GPU to itself'
devices 1
doctor "$with" COHORT_SIM_CUBLASLT=110500 -- cuda_usable=false cublaslt=11.5.0
missing 'cuBLASLt 11.5 is installed' 'install cuBLAS'
doctor "$with" COHORT_SIM_CUDNN=8907 -- cuda_usable=true cudnn=8.9.7
missing 'cuDNN 8 (version 8907) is installed' 'or models with convolutions fail'
# Not there: the driver, then a library that the plugin needs.
if ! ldconfig -p | grep -q 'libcuda\.so\.1'; then
  doctor -- cuda_usable=false
  missing 'libcuda.so.1 cannot be loaded' 'install or update the NVIDIA driver'
fi
mkdir broken
for library in cudart cublasLt; do
  rm -f broken/*
  name=$(ldd "$(dirname "$cohort")/../lib/libcohort_cuda.so" | sed -n "s/^[[:space:]]*\(lib$library\.so\.[0-9]*\) .*/\1/p")
  echo 'no library' >"broken/$name"
  doctor "LD_LIBRARY_PATH=broken:$driver" -- cuda_usable=false cuda_plugin=null
  missing 'the CUDA plugin cannot be loaded' "$name" 'install the CUDA libraries'
  devices 0
done
[ "$failed" = 0 ] && echo 'all passed'
exit "$failed"
