#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: terminal.sh COHORT ON_TERMINAL MAKE_IDX CHECK_JSON. What a person sees of a training on a terminal,
# and what programs see elsewhere; of his own one, and of one that is watched.
set -u
cohort=$1
on_terminal=$2
make_idx=$3
check_json=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' seen
  failed=1
}

cat >c.yaml <<'YAML'
input_features:
  - {name: image, type: image, encoder: {type: mlp}}
output_features:
  - {name: label, type: category}
trainer: {max_epochs: 3, batch_size: 32, learning_rate: 0.01, log_every_n_steps: 4, validation_metric: accuracy}
YAML
"$make_idx" 300 8 3 1 i l
"$cohort" import -O d.h5 --format idx --training-set i l --quiet >seen 2>&1 || fail 'import'

# watch COLUMNS ARGUMENTS...: a training on a terminal; all bytes in raw, what stays on the screen in
# seen (a line begins anew where it was taken back).
run=0
watch() {
  local columns=$1
  shift
  run=$((run + 1))
  env -u NO_COLOR -u CLICOLOR_FORCE TERM=xterm "$on_terminal" "$columns" "$cohort" train -c c.yaml \
    --dataset d.h5 --run-dir "run$run" --threads 1 "$@" >raw
  local code=$?
  if [ $code = 77 ]; then
    cat raw
    exit 77
  fi
  sed 's/.*\r//; s/\x1b\[[0-9]*[Km]//g' raw >seen
  [ $code = 0 ] || fail "exit $code on a terminal"
}
seen() { grep -qE -- "$1" seen || fail "a terminal of $columns columns lacks: $1"; }
unseen() { ! grep -qE -- "$1" seen || fail "a terminal of $columns columns shows: $1"; }
dated='^20[0-9]{2}-[0-9]{2}-[0-9]{2}T'

# ---- wide and narrow
for columns in 100 60; do
  watch $columns
  if [ $columns = 100 ]; then
    seen '^epoch +step  train loss  val\. loss  accuracy +rate +rows/s +time$'
    line='^ +[123] +[0-9]+  +[0-9.e-]+  +[0-9.e-]+  +[01]\.[0-9]{4} +0\.01 +[0-9]+ +[0-9.:]+s?(  best)?$'
  else
    seen '^ +step +train +valid\. accuracy +rate rows/s +time$'
    line='^ +[0-9]+ +[0-9.e-]+ +[0-9.e-]+ +[01]\.[0-9]{4} +0\.01 +[0-9]+ +[0-9.:]+s?( \*)?$'
  fi
  [ "$(grep -cE "$line" seen)" = 3 ] || fail "not one line an epoch in $columns columns"
  grep -E "$line" seen | head -1 | grep -qE '(best|\*)$' || fail 'the first epoch has no mark'
  [ "$(grep -cE '^ *(epoch +)?step ' seen)" = 1 ] || fail 'not one head line'
  unseen "$dated"
  unseen 'INFO|checkpoint|split='
  seen '^beginning at step 0 of '
  seen '^best +accuracy'
  grep -E "$line|step .*rate" seen | awk -v most=$columns 'length($0) >= most { exit 1 }' ||
    fail "the table is wider than $columns columns"
  grep -q $'\rtrain \[' raw || fail 'there was no bar'
  # The record has the same figures: the last line's step and accuracy.
  read -r step accuracy < <(sed -nE \
    's/.*"step":([0-9]+),.*"split":"validation".*"accuracy":([0-9.e-]+).*/\1 \2/p' \
    "run$run/metrics.jsonl" | tail -1)
  seen " $step .* $(printf '%.4f' "$accuracy") "
done

# ---- without validation rows there is nothing to compare
columns=80
"$cohort" import -O n.h5 --format idx --training-set i l --validation-fraction 0 --quiet >seen 2>&1
watch $columns --dataset n.h5
seen '^epoch +step  train loss +rate +rows/s +time$'
seen '^warning: there are no validation rows'
unseen 'best|nan'

# ---- less, and otherwise, where it is asked for
watch $columns --quiet
unseen 'train loss|beginning'
watch $columns --progress none
seen 'train loss'
grep -q $'\rtrain \[' raw && fail 'a bar in spite of --progress none'
watch $columns --log-file log
grep -qE "$dated"'[0-9:]+Z INFO eval step=' log || fail 'the log file lacks dated records'
for option in --json '--log-format json' '--progress plain' --verbose; do
  # shellcheck disable=SC2086
  watch $columns $option
  seen '20[0-9]{2}-[0-9]{2}-[0-9]{2}T.*checkpoint'
  unseen 'train loss'
done

# ---- elsewhere the log is dated
"$cohort" train -c c.yaml --dataset d.h5 --run-dir file --threads 1 >out 2>seen
for text in ' INFO train step=' ' INFO eval step=' ' INFO checkpoint step='; do
  [ "$(grep -cE "$dated" seen)" = "$(grep -c . seen)" ] || fail 'a line without a date'
  grep -qF "$text" seen || fail "the log lacks '$text'"
done
grep -qE $'\r|\x1b|train loss' seen && fail 'what is for terminals in a file'
cmp -s run1/model.h5 file/model.h5 || fail 'who watches changes the model'

# ---- watched: the same table of a run of another process, which ends as that does
watched() { # watched EXIT STATUS RUN
  "$cohort" watch "$3" --json >out 2>seen </dev/null
  local code=$?
  [ $code = "$1" ] || fail "exit $code instead of $1: watch $3"
  "$check_json" verb=watch "exit=$1" "status=$2" "run=$3" <out || fail "JSON of watch $3: $(cat out)"
}
# has FILE PATTERN: waits until it has, as long as the process that is watched lives.
has() { until grep -qs -- "$2" "$1" || ! kill -0 $pid; do sleep 0.02; done; }
watched 0 "done" run1
"$check_json" step=27 steps=27 epochs.0.epoch=1 epochs.2.step=27 metric=accuracy <out || fail 'epochs'
[ "$(grep -c ' INFO epoch step=.*accuracy=' seen)" = 3 ] || fail 'not one line an epoch'
"$cohort" train -c c.yaml --dataset d.h5 --run-dir live --threads 1 --quiet --set trainer.max_epochs=1000000 >/dev/null 2>&1 &
pid=$!
has live/events.jsonl '"epoch"'
env -u NO_COLOR TERM=xterm "$on_terminal" 100 "$cohort" watch live >raw &
watcher=$!
has raw 'rows/s'
has raw $'\rtrain \\['
kill -KILL $pid
wait $watcher
[ $? = 137 ] || fail 'a killed run is not told by 137'
sed 's/.*\r//; s/\x1b\[[0-9]*[Km]//g' raw >seen
columns=100
seen '^epoch +step  train loss  val\. loss  accuracy +rate +rows/s +time$'
seen '^ +[0-9]+ +[0-9]+  +[0-9.e-]+  +[0-9.e-]+  +[01]\.[0-9]{4} +0\.01 +[0-9.e+]+ +[0-9.:]+s?(  best)?$'
unseen "$dated"
grep -q $'\rtrain \[' raw || fail 'there was no bar'
seen '^error\[killed\]: live: process [0-9]+, which trained it, is gone'
seen 'hint: go on with: cohort train --resume live$'
watched 137 killed live
"$cohort" train --resume live --quiet >/dev/null 2>&1 &
pid=$!
has live/events.jsonl '"resume"'
"$cohort" watch live >out 2>seen &
watcher=$!
has seen ' INFO epoch'
kill -TERM $pid
wait $watcher
[ $? = 75 ] || fail 'a stopped run is not told by 75'
seen 'error\[stopped\]: live: it was stopped at step'
watched 75 stopped live
"$cohort" watch d.h5 >out 2>seen
[ $? = 5 ] || fail 'a file is watched'

# ---- a study that another process searches: a table that is drawn anew in its place
printf 'hyperopt: {metric: loss, sampler: {type: random}, parameters: {trainer.learning_rate: {space: uniform, lower: 0.001, upper: 0.01}}}\n' >tune.yaml
"$cohort" hyperopt run -c c.yaml -c tune.yaml --dataset d.h5 -O s.db --n-trials 100000 --seed 1 --threads 1 --quiet >/dev/null 2>&1 &
pid=$!
until [ -e s.db.trials/trial-0000 ] || ! kill -0 $pid; do sleep 0.02; done
env -u NO_COLOR TERM=xterm "$on_terminal" 40 "$cohort" hyperopt show s.db --follow >raw &
follower=$!
has raw $'\x1b\\[[0-9]*A\r\x1b\\[J'
kill -TERM $pid
wait $follower || fail 'a study is not followed to its end'
sed 's/.*\x1b\[J//' raw | awk '/^trial / { table = "" } { table = table $0 "\n" } END { printf "%s", table }' >seen # the last
columns=40
seen '^trial  state     loss  '
seen '^ +[0-9]+[* ] COMPLETE  [0-9.]+  '
[ "$(grep -c '[*] COMPLETE' seen)" = 1 ] || fail 'not one best trial'

[ $failed = 0 ] && echo 'all passed'
exit $failed
