# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What scripts share that train on the doubles: a folder of their own, and a small network with its
# images. To be sourced with COHORT CHECK_JSON MAKE_IDX LIBRARY_PATH.
set -u
cohort=$1
check_json=$2
make_idx=$3
libraries=$4
[ -w /dev/shm ] && export TMPDIR=/dev/shm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export LD_LIBRARY_PATH=$libraries COHORT_SIM_LEAKS=1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' err
  failed=1
}
# c.yaml and d.h5, both in the folder.
make_inputs() { # EPOCHS ROWS
  cat >c.yaml <<YAML
input_features:
  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [3], output_size: 8}}
output_features:
  - {name: label, type: category}
trainer: {max_epochs: $1, batch_size: 16, steps_per_checkpoint: 2, log_every_n_steps: 3}
YAML
  "$make_idx" "$2" 6 3 1 i l
  "$make_idx" 12 6 3 2 ti tl
  "$cohort" import -O d.h5 --format idx --training-set i l --test-set ti tl >out 2>err || fail import
}
finish() {
  [ "$failed" = 0 ] && echo 'all passed'
  exit "$failed"
}
