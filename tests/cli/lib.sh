# shellcheck shell=bash disable=SC2034,SC2154 # it reads what the scripts set, and they what it sets
# SPDX-License-Identifier: Apache-2.0
# What scripts here share; sourced, with the program in $cohort and the checker of JSON in $check_json.
# Goes to a folder that is removed at the end; the script ends with `exit $failed`.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' out err
  failed=1
}
# expect EXIT ARGUMENTS...: runs the program, its output in out and err.
expect() {
  local wanted=$1 code
  shift
  "$cohort" "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: cohort $*"
}
# refused EXIT TEXT -- ARGUMENTS...: one error in a line (and a hint) that has the text, no new file.
refused() {
  local wanted=$1 text=$2 before after
  shift 3
  before=$(find . ! -name out ! -name err | sort)
  expect "$wanted" "$@" --quiet </dev/null
  [ "$(grep -c '^error\[' err)" = 1 ] || fail "not one error: cohort $*"
  grep -qF -- "$text" err || fail "stderr lacks '$text': cohort $*"
  after=$(find . ! -name out ! -name err | sort)
  [ "$before" = "$after" ] || fail "files appeared: cohort $*: $(diff <(echo "$before") <(echo "$after"))"
}
# json PATH=VALUE...: out is one JSON document with these values.
json() { "$check_json" "$@" <out || fail "JSON: $*"; }
# searched EPOCHS: customers in d.h5 and the beginning of a search's config, c.yaml.
searched() {
  expect 0 synthesize -O customers.csv --rows 250 --seed 9
  expect 0 import -O d.h5 customers.csv --target bought --key customer --split random:0.6,0.2,0.2
  cat >c.yaml <<YAML
input_features: all
output_features: targets
combiner: {layers: [{Dense: {units: 8, activation: relu}}]}
trainer: {max_epochs: $1, batch_size: 64}
YAML
}
