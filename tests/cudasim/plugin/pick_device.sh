#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: pick_device.sh SCRIPT COHORT DRIVER_FOLDER QUICKSTART. Which device the quickstart takes, and
# its reason, on machines that have or lack a GPU, nvcc and a plugin that works.
set -u
script=$1
cohort=$2
driver=$3
quickstart=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
export CUDA_HOME=/nowhere CUDA_PATH=/nowhere COHORT_TOOLKIT=/nowhere
mkdir "$dir/tools" "$dir/gpu" "$dir/no_gpu" "$dir/nvcc"
for tool in bash head sed grep env; do ln -s "$(command -v $tool)" "$dir/tools/$tool"; done
printf '#!/bin/sh\necho "9.0, NVIDIA H100"\n' >"$dir/gpu/nvidia-smi"
printf '#!/bin/sh\necho "No devices were found"\nexit 6\n' >"$dir/no_gpu/nvidia-smi"
printf '#!/bin/sh\n' >"$dir/nvcc/nvcc"
chmod +x "$dir"/*/nv*
expect() { # EXIT TEXT WORDS...; with the folders in $path
  local code=0 wanted=$1 text=$2 out
  shift 2
  out=$(PATH=$path:$dir/tools "$@" 2>&1) || code=$?
  if [ "$code" != "$wanted" ] || ! [[ $out == *"$text"* ]] || [ "$(wc -l <<<"$out")" != 1 ]; then
    echo "FAILED: exit $code, not $wanted with '$text': $out"
    failed=1
  fi
}
path=$dir/nvcc
expect 1 'no NVIDIA driver is installed' "$script" tools
path=$dir/nvcc:$dir/no_gpu
expect 1 'no NVIDIA GPU answers' "$script" tools
path=$dir/gpu
expect 1 'there is a GPU (NVIDIA H100), but no nvcc' "$script" tools
expect 0 'cpu, since there is a GPU (NVIDIA H100), but no nvcc' \
  env COHORT_SIM_DEVICES=0 LD_LIBRARY_PATH="$driver" "$script" device "$cohort"
path=$dir/gpu:$dir/nvcc
expect 0 90 "$script" tools
expect 0 'cuda:0, since it is usable' env LD_LIBRARY_PATH="$driver" "$script" device "$cohort"
expect 0 'cpu, since no NVIDIA GPU is visible' \
  env COHORT_SIM_DEVICES=0 LD_LIBRARY_PATH="$driver" "$script" device "$cohort"
expect 0 'cpu, since' "$script" device /nowhere/cohort
# The quickstart takes what is picked.
for text in 'scripts/pick_device tools' 'scripts/pick_device device build/cohort' \
  '--target cohort_cuda' "common=(--device"; do
  grep -qF -- "$text" "$quickstart" || {
    echo "FAILED: the quickstart lacks: $text"
    failed=1
  }
done
[ "$failed" = 0 ] && echo 'all passed'
exit "$failed"
