#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: probe.sh COHORT MAKE_IDX FAKE_HDF5. Files that may crash HDF5: those with a checksum are not
# even parsed, foreign ones are read by another process first, whose end is one line here.
set -u
cohort=$1
make_idx=$2
fake=$3
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
# expect EXIT ARGUMENTS...
expect() {
  local wanted=$1 code
  shift
  "$cohort" "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: cohort $*"
}
# fakes HOW EXIT ARGUMENTS...: HDF5 does so in whatever process probes.
fakes() {
  local how=$1
  shift
  FAKE_HDF5=$how LD_PRELOAD=$fake expect "$@"
}
one_error() {
  [ "$(grep -c '^error\[' err)" = 1 ] || fail "not one error"
  grep -qvE '^(error\[[a-z]+\]: |  hint: )' err && fail "more than error and hint"
  grep -qF -- "$1" err || fail "stderr lacks '$1'"
}
without_checksum() { dd if=/dev/zero of="$1" bs=16 count=1 conv=notrunc status=none; }

cat >c.yaml <<'YAML'
input_features: [{name: image, encoder: {type: graph, layers: [Flatten, {Dense: {units: 4}}]}}]
output_features: [{name: label}]
trainer: {max_epochs: 4, batch_size: 32, steps_per_checkpoint: 3}
YAML
"$make_idx" 100 6 3 1 i l
expect 0 import -O d.h5 --format idx --training-set i l -q
expect 0 train -c c.yaml --dataset d.h5 --run-dir run --seed 1 -q --device ref
cp d.h5 foreign.h5
cp run/model.h5 model.h5
without_checksum foreign.h5
without_checksum model.h5

# Foreign files that are whole are read as ever, without a word.
for file in d.h5 foreign.h5 run/model.h5 model.h5; do
  expect 0 inspect "$file" -q
  [ ! -s err ] || fail "inspect $file says something"
done
expect 0 predict -m model.h5 --dataset foreign.h5 -O a.csv -q
expect 0 predict -m run --dataset d.h5 -O b.csv -q
cmp -s a.csv b.csv || fail "scores of foreign files differ"

# HDF5 crashes. Files with a checksum never get there.
fakes crash 0 inspect d.h5 -q
fakes crash 0 predict -m run --dataset d.h5 -O c.csv -q
fakes crash 4 inspect foreign.h5 -q
one_error "'foreign.h5' is damaged: HDF5 could not read it and ended by signal 11"
fakes crash 4 predict -m run --dataset foreign.h5 -O d.csv -q
one_error "foreign.h5' is damaged"
[ ! -e d.csv ] || fail "there is an output"
fakes crash 5 evaluate -m model.h5 --dataset d.h5 -q
one_error "model.h5' is damaged: HDF5 could not read it and ended by signal 11"
fakes exit 4 inspect foreign.h5 -q
one_error "(exit 3)"

# It wants too much memory, or does not come to an end.
fakes memory 4 inspect foreign.h5 -q
one_error "ended by signal 7"
fakes hang 4 inspect foreign.h5 -q
one_error "HDF5 did not come to an end reading it (given up after 3 s of processor time)"
# A signal ends the waiting at once, and the other process with it.
FAKE_HDF5=wait LD_PRELOAD=$fake "$cohort" inspect foreign.h5 -q >out 2>err </dev/null &
waiting=$!
other=
for _ in $(seq 200); do
  other=$(grep -ls "^PPid:[[:space:]]*$waiting\$" /proc/[0-9]*/status | head -n 1 | cut -d/ -f3)
  [ -n "$other" ] && break
  sleep 0.02
done
[ -n "$other" ] || fail "no process probes"
kill -TERM "$waiting"
wait "$waiting"
[ $? = 143 ] || fail "not ended by the signal"
# A process that has ended may wait for whoever adopted it to take note.
goes_on() { [ -n "$other" ] && grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$other/status"; }
for _ in $(seq 100); do
  goes_on || break
  sleep 0.02
done
if goes_on; then fail "the other process goes on"; fi

# Ended before the other process could ask to end with it.
(
  sleep 0.1
  FAKE_HDF5=wait LD_PRELOAD=$fake timeout 5 "$cohort" --probe foreign.h5 2>err
  echo $? >code
) | true
[ "$(cat code)" != 124 ] || fail "the other process goes on where nobody waits"

# What is no fault of the file is said as if there were no probe.
echo "a,b" >text.h5
expect 4 inspect text.h5 -q
one_error "'text.h5' is not an HDF5 file"
expect 5 evaluate -m text.h5 --dataset d.h5 -q
one_error "text.h5' is not an HDF5 file"
expect 4 inspect none.h5 -q
one_error "none.h5"

# A checkpoint that crashes HDF5 is set aside, and the one before it used.
cp -a run copy
rm copy/model.h5
sed -i 's/"status": *"done"/"status":"stopped"/' copy/run.json
last=$(readlink copy/checkpoints/last.h5)
without_checksum "copy/checkpoints/$last"
fakes crash 0 train --resume copy --dataset d.h5
grep -q "is not usable" err || fail "the checkpoint was used"
[ -e "copy/checkpoints/$last.damaged" ] || fail "the checkpoint is not set aside"
cmp -s copy/model.h5 run/model.h5 || fail "another model"

exit $failed
