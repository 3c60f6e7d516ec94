#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: no_cudnn.sh COHORT DATASET CONFIG LIBRARY_PATH. Without cuDNN convolutions run on kernels of
# our own, and training and doctor say so.
set -eu
cohort=$1
dataset=$2
config=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir broken
# Whichever is found later must not be taken.
for major in 8 9 10; do echo 'no library' >"broken/libcudnn.so.$major"; done
export LD_LIBRARY_PATH=broken:$4
"$cohort" doctor --quiet >out 2>err
grep -q '^missing *cuDNN cannot be loaded: .*; install it, or convolutions and recurrent layers are slow$' out
grep -q '^cudnn *none (cuDNN cannot be loaded' out
"$cohort" train -c "$config" --dataset "$dataset" --run-dir r --device cuda --threads 1 --autotune off \
  --trainer.max_steps 1 --trainer.batch_size 2 --trainer.eval_batch_size 70 >out 2>err
[ "$(grep -c 'WARN device cuda:0: convolutions and recurrent layers run on slow kernels of our own: cuDNN cannot' err)" = 1 ]
echo passed
