#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: train.sh COHORT CHECK_JSON MAKE_IDX KILL_AT. From raw files to scores, and every way to get it
# wrong: one clear line, the right exit code, nothing half-written.
set -u
cohort=$1
check_json=$2
make_idx=$3
kill_at=$4
# In memory where that is possible: every checkpoint waits for the disk.
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
no_temporaries() { [ -z "$(find . "$1" -name '*.tmp-*')" ] || fail "temporaries are left in $1"; }
# refused EXIT TEXT... -- ARGUMENTS...: an error in one line (and a hint) that has these texts, the
# same as one JSON document, and no new file.
refused() {
  local wanted=$1 texts=() text before after
  shift
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  before=$(find . ! -name out ! -name err | sort)
  expect "$wanted" "$@" --quiet
  [ ! -s out ] || fail "something on stdout: cohort $*"
  [ "$(grep -c '^error\[' err)" = "${errors:-1}" ] || fail "not ${errors:-1} error(s): cohort $*"
  grep -qvE '^(error\[[a-z]+\]: |  hint: )' err && fail "more than error and hint: cohort $*"
  for text in "${texts[@]}"; do
    grep -qF -- "$text" err || fail "stderr lacks '$text': cohort $*"
  done
  expect "$wanted" "$@" --quiet --json
  "$check_json" ok=false "exit=$wanted" "error.exit=$wanted" <out || fail "JSON: cohort $*"
  after=$(find . ! -name out ! -name err | sort)
  [ "$before" = "$after" ] || fail "files appeared: cohort $*: $(diff <(echo "$before") <(echo "$after"))"
}

cat >c.yaml <<'YAML'
input_features:
  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [3], output_size: 8}}
output_features:
  - {name: label, type: category}
trainer: {max_epochs: 3, batch_size: 32, learning_rate: 0.01, log_every_n_steps: 4}
YAML
"$make_idx" 300 8 3 1 i l
"$make_idx" 60 8 3 2 ti tl
raw=(--format idx --training-set i l --test-set ti tl)
with=(-c c.yaml --dataset d.h5)

# ---- the way through
expect 0 import -O d.h5 "${raw[@]}"
expect 0 plan "${with[@]}"
[ -s out ] || fail 'plan says nothing'
expect 0 train "${with[@]}" --run-dir run --threads 1 --json
"$check_json" ok=true status=done run=run resumed=false <out || fail 'JSON of train'
for word in 'INFO begin run: ' 'beginning at step 0' 'steps/s=' 'wait=' 'INFO eval' 'INFO checkpoint'; do
  grep -qF "$word" err || fail "the log of train lacks: $word"
done
cp out first
# What a GPU would compute with, CPUs do not look at.
echo garbage >run/autotune.tsv
expect 0 evaluate -m run --dataset d.h5 --device cpu --autotune auto --json
rm run/autotune.tsv
expect 0 evaluate -m run --dataset d.h5 --json
"$check_json" ok=true rows=60 split=test <out || fail 'JSON of evaluate'
expect 0 inspect run/model.h5 --json
sha=$(grep -o '"weights_sha256":"[0-9a-f]*"' out)
grep -qF "$sha" first || fail 'inspect and train disagree on the weights'
expect 0 inspect run/checkpoints/last.h5
grep -q finished out || fail 'inspect of a checkpoint'
expect 0 predict -m run --dataset d.h5 --split test -O s.csv
[ "$(wc -l <s.csv)" = 61 ] || fail 'scores: number of rows'
expect 0 predict -m run --dataset d.h5 --split test -O -
cmp -s out s.csv || fail 'scores on standard output differ from those in a file'
expect 0 predict -m run --dataset d.h5 --split test -O s.csv --force
expect 0 train "${with[@]}" --run-dir run --threads 1 --resume=auto
grep -q 'nothing to do' err || fail 'a finished run says so'
"$cohort" predict -m run --dataset d.h5 -O - 2>err | head -1 >out
[ ! -s err ] || fail 'noise after | head'
expect 0 evaluate -m run --dataset d.h5 --require 'accuracy >= 1e-1' --require 'label.log_loss<5'
refused 2 'is for binary targets' -- evaluate -m run --dataset d.h5 --profit tp=1
expect 10 evaluate -m run --dataset d.h5 --require 'accuracy>1' --require 'log_loss<0' --json
"$check_json" ok=false error.code=gate error.exit=10 rows=60 <out || fail 'JSON of a gate'
[ "$(grep -c 'error\[gate\]' err)" = 2 ] || fail 'not every gate that failed is named'

# ---- every record of an event has one form in the log for machines
expect 0 train "${with[@]}" --run-dir logged --log-format json --log-level trace \
  --set trainer.validation_metric=label.accuracy
sed -n 's/.*"event":"\([^"]*\)","\(fields\|text\)":.*/\1 \2/p' err | sort -u >forms
if [ "$(wc -l <forms)" -lt 5 ] || [ -n "$(cut -d' ' -f1 forms | uniq -d)" ]; then
  fail "records of one event differ in form: $(cat forms)"
fi
[ "$(grep '"event":"eval"' err | grep -cE '"accuracy":[0-9.]+,"best":(true|false)}')" = 3 ] ||
  fail 'the fields of eval'
rm -rf logged

# ---- of few rows more epochs
steps_of() { sed -n 's/.*"step":\([0-9]*\),.*/\1/p' "$1/metrics.jsonl" | tail -1; }
expect 0 train "${with[@]}" --run-dir least --set trainer.max_epochs=1 --set trainer.min_steps=12 -q
expect 0 train "${with[@]}" --run-dir most --set trainer.max_epochs=1 --set trainer.min_steps=12 --set trainer.max_steps=3 -q
[ "$(steps_of least)" = 18 ] || fail "min_steps in whole epochs: $(steps_of least)"
[ "$(steps_of most)" = 3 ] || fail "max_steps over min_steps: $(steps_of most)"
rm -rf least most

# ---- the record of the command line can be given to a shell
odd="it's \$HOME & \"co\" *"
expect 0 train "${with[@]}" --run-dir "$odd" --threads 1 --trainer.max_steps 1
eval "set -- $(cat "$odd/command.txt")"
[ "$*" = "cohort train ${with[*]} --run-dir $odd --threads 1 --trainer.max_steps 1" ] ||
  fail "command.txt: $(cat "$odd/command.txt")"
[ $# = $((${#with[@]} + 8)) ] || fail "command.txt: $# words"
grep -qF "cohort train ${with[0]} " "$odd/command.txt" || fail 'words without need are quoted'

# ---- killed at six places all over the training, with real writes: before the n-th operation on files
# Sanitizers want to be first, which they need not be here.
preloaded() { env "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}" LD_PRELOAD="$kill_at" "$@"; }
preloaded COHORT_TEST_COUNT="$dir/count" "$cohort" train "${with[@]}" --run-dir counted \
  --threads 1 >out 2>err || fail 'the training that is counted'
operations=$(cat count)
[ "$operations" -gt 100 ] || fail "only $operations operations on files"
for i in 1 2 3 4 5 6; do
  # What was done is not done again: a sixth of the whole each time.
  preloaded COHORT_TEST_KILL_AT=$((operations / 6 - i)) "$cohort" train "${with[@]}" \
    --run-dir killed --threads 1 --resume=auto >out 2>err
  code=$?
  [ $code = 137 ] || fail "exit $code instead of 137 where it is killed"
done 2>/dev/null
expect 0 train "${with[@]}" --run-dir killed --threads 1 --resume=auto
grep -q 'going on at step' err || fail 'the last one began anew'
for file in model.h5 scores.h5 metrics.jsonl $(cd run && ls checkpoints/*.h5); do
  cmp -s "run/$file" "killed/$file" || fail "$file differs after kills"
done
# For TensorBoard the same, but for the time of each record: what was cut off is there once.
for part in . train validation; do
  for run in run killed; do
    LC_ALL=C grep -aoE '(weights|gradients|inputs|confusion|label|_hparams_)/[a-z0-9_/]*|PNG' \
      $run/tb/$part/events.out.tfevents.cohort >$run.tags
    wc -c <$run/tb/$part/events.out.tfevents.cohort >>$run.tags
  done
  [ "$(wc -l <run.tags)" -gt 2 ] || fail "little in tb/$part"
  cmp -s run.tags killed.tags || fail "tb/$part differs after kills: $(diff run.tags killed.tags | head -3)"
done
no_temporaries killed

# ---- raw files
: >empty
head -c 50 i >short
gzip -c i | head -c 500 >cut.gz
printf 'hello world, this is not it' >words
head -c 200 l >fewer
refused 4 none -- import -O e.h5 --format idx --training-set none l
refused 4 empty -- import -O e.h5 --format idx --training-set empty l
refused 4 short -- import -O e.h5 --format idx --training-set short l
refused 4 cut.gz -- import -O e.h5 --format idx --training-set cut.gz l
refused 4 words -- import -O e.h5 --format idx --training-set words l
refused 4 fewer -- import -O e.h5 --format idx --training-set i fewer
refused 4 60 300 -- import -O e.h5 --format idx --training-set i tl
errors=2 refused 4 "l: row 0" "tl: row 1" -- import -O e.h5 "${raw[@]}" --class-names only,two
refused 9 no/such -- import -O no/such/e.h5 "${raw[@]}"
mkdir folder
refused 9 folder -- import -O folder "${raw[@]}"

# ---- data sets and models
head -c 5000 d.h5 >truncated.h5
refused 4 none.h5 -- train -c c.yaml --dataset none.h5 --run-dir r
refused 4 empty -- train -c c.yaml --dataset empty --run-dir r
refused 4 truncated.h5 -- train -c c.yaml --dataset truncated.h5 --run-dir r
refused 4 words -- train -c c.yaml --dataset words --run-dir r
refused 4 model.h5 -- train -c c.yaml --dataset run/model.h5 --run-dir r
refused 5 d.h5 -- evaluate -m d.h5 --dataset d.h5
refused 5 none -- evaluate -m none --dataset d.h5
refused 5 folder -- predict -m folder --dataset d.h5 -O x.csv
refused 5 words -- predict -m words --dataset d.h5 -O x.csv
head -c 9000 run/model.h5 >m.h5
refused 5 m.h5 -- predict -m m.h5 --dataset d.h5 -O x.csv
"$make_idx" 50 8 5 3 i5 l5 && "$make_idx" 50 6 3 3 i6 l6
expect 0 import -O five.h5 --format idx --training-set i5 l5
expect 0 import -O six.h5 --format idx --training-set i6 l6
refused 4 five.h5 label 5 3 -- evaluate -m run --dataset five.h5 --split train
refused 4 six.h5 image 6 8 -- predict -m run --dataset six.h5 -O x.csv

# ---- outputs
refused 9 s.csv --force -- predict -m run --dataset d.h5 -O s.csv
refused 9 no/such -- predict -m run --dataset d.h5 -O no/such/x.csv
# Nothing but a regular file is replaced, and never what the command reads; said before the rows are
# scored.
mkfifo pipe
mkdir full && cp s.csv full
cp d.h5 safe.h5
cp run/model.h5 safe-model.h5
ln -s d.h5 way.h5
for force in '' --force; do
  refused 9 pipe "a pipe" "-O -" -- predict -m run --dataset d.h5 -O pipe $force
  refused 9 full "a folder" -- predict -m run --dataset d.h5 -O full $force
  refused 9 "a device" -- predict -m run --dataset d.h5 -O /dev/null $force
done
for output in d.h5 ./d.h5 way.h5; do
  refused 9 "also read" -- predict -m run --dataset d.h5 -O $output --force
done
refused 9 "also read" -- predict -m run --dataset d.h5 -O run/model.h5 --force
refused 9 "also read" -- render-config -c c.yaml -O c.yaml --force
refused 9 "also read" -- import -O i --format idx --training-set i l --force
refused 9 "a pipe" -- import -O pipe --format idx --training-set i l --force
refused 9 "a folder" -- render-config -c c.yaml -O full --force
refused 2 --log-file --dataset -- predict -m run --dataset d.h5 -O x.csv --log-file ./d.h5
refused 2 --log-file --output -- predict -m run --dataset d.h5 -O x.csv --log-file x.csv
refused 2 --log-file FILE -- inspect d.h5 --log-file d.h5
if [ ! -p pipe ] || [ ! -c /dev/null ] || [ ! -f full/s.csv ]; then
  fail "something special was replaced"
fi
cmp -s d.h5 safe.h5 || fail "the dataset was overwritten"
cmp -s run/model.h5 safe-model.h5 || fail "the model was overwritten"
# Through a link, what it leads to is replaced.
cp s.csv far.csv && ln -s far.csv near.csv
expect 0 predict -m run --dataset d.h5 --split test -O near.csv --force
if [ ! -L near.csv ] || ! cmp -s far.csv s.csv; then fail "the link was replaced"; fi
rm -rf pipe full safe.h5 safe-model.h5 way.h5 near.csv far.csv
# A new run goes where nothing is.
refused 9 "holds something else" -- train -c c.yaml --dataset d.h5 --run-dir .
refused 9 "that of a file" -- train -c c.yaml --dataset d.h5 --run-dir s.csv
refused 2 --run-dir -- train --resume run --run-dir other
refused 9 run --resume -- train "${with[@]}" --run-dir run
refused 9 words -- train "${with[@]}" --run-dir words/run
refused 5 nothing -- train --resume nothing
for gate in 'accuracy>>0.1' 'accuracy><1' 'accuracy=>0.1' 'accuracy>=' 'accuracy>=0x1' '>=1' accuracy \
  'accuracy>=nan' 'accuracy==1' 'accuracy>=0.9 '; do
  refused 2 'METRIC>=NUMBER' -- evaluate -m run --dataset d.h5 --require "$gate"
done
refused 2 -c -- train --dataset d.h5 --run-dir r
refused 2 dataset -- train -c c.yaml --run-dir r
expect 2 predict -m run --dataset d.h5 -O - --json
"$check_json" ok=false exit=2 error.code=usage <out || fail 'JSON: -O - and --json'
refused 6 cuda -- train "${with[@]}" --run-dir r --device cuda
refused 3 'this run' -- train --resume run --set trainer.max_epochs=4
if [ -w /dev/full ]; then
  "$cohort" predict -m run --dataset d.h5 -O - >/dev/full 2>err
  [ $? = 9 ] || fail 'scores into a full disk'
  grep -q 'standard output' err || fail 'scores into a full disk: message'
fi
# A disk that fills up: limited PROGRAM_ARGUMENTS..., where no file may grow beyond $limit KiB.
limited() {
  {
    (ulimit -f "$limit" && exec "$cohort" "$@" 2>&1)
    echo $? >code
  } | cat >err
  [ "$(cat code)" = 9 ] || fail "exit $(cat code) on a full disk: cohort $*"
  [ "$(grep -c '^error\[io\]' err)" = 1 ] || fail "not one error on a full disk: cohort $*"
}
for limit in 0 4 12; do
  limited train "${with[@]}" --run-dir full --threads 1
  expect 0 train "${with[@]}" --run-dir full --threads 1 --resume=auto
  cmp -s run/model.h5 full/model.h5 || fail 'the model differs after a full disk'
  no_temporaries full
  rm -rf full
  limited import -O e.h5 "${raw[@]}"
  limited predict -m run --dataset d.h5 -O x.csv
  if [ -e e.h5 ] || [ -e x.csv ]; then fail 'half an output'; fi
  no_temporaries .
done

# ---- configs
bad() { # bad EXIT YAML TEXT...: the config with one more file
  printf '%b' "$2" >bad.yaml
  refused "$1" "${@:3}" -- train -c c.yaml -c bad.yaml --dataset d.h5 --run-dir r
}
bad 3 'trainer: {epoch: 3}\n' 'bad.yaml:1:' 'trainer.epoch'
bad 3 'trainer: {max_steps: 2000*12}\n' 'bad.yaml:1:' '2000*12'
bad 3 'trainer: {batch_size: 0}\n' 'bad.yaml:1:' batch_size
bad 3 'trainer: {optimizer: {type: adan}}\n' 'bad.yaml:1:' adan "'adam'"
bad 3 'trainer: {validation_metric: mrr}\n' 'bad.yaml:1:' mrr accuracy
bad 3 'trainers: {batch_size: 3}\n' 'bad.yaml:1:' trainers
bad 3 'a: [1, 2\nb: }\n' 'bad.yaml:'
bad 3 '- a\n- b\n' 'bad.yaml:1:'
bad 3 'output_features: [{name: label, loss: {type: hinge}}]\n' 'bad.yaml:1:' hinge
bad 3 'output_features: [{name: label, normalization: zscore}]\n' 'bad.yaml:1:' 'zscore is of numbers'
bad 3 'output_features: [{name: price, type: number}]\n' 'bad.yaml:1:' price
bad 3 'input_features: [{name: image, encoder: {type: vggnet}}]\n' 'bad.yaml:1:' vggnet
graph() { # graph LAYERS TEXT...: an encoder written out
  printf 'input_features:\n  - {name: image, encoder: {type: graph, layers: [%s]}}\n' "$1" >bad.yaml
  printf 'output_features: [{name: label}]\n' >>bad.yaml
  refused 3 'bad.yaml:2:' "${@:2}" -- train -c bad.yaml --dataset d.h5 --run-dir r
}
graph '{Conv2: 3}, {Flatten: {}}' Conv2 Conv2D
graph '{Conv2D: {filters: 2, kernel_size: 9}}, {Flatten: {}}' 9 8
graph '{Conv2D: {filters: 2, kernel_size: 3, stride: 2}}, {Flatten: {}}' stride
graph '{Flatten: {}}, {Dense: {units: 3, activation: softmax}}' softmax
errors=3 bad 3 'trainer:\n  epoch: 3\n  max_steps: x\n  seed: -1\n' 'bad.yaml:2:3' 'bad.yaml:3:14' 'bad.yaml:4:9'
refused 3 none.yaml -- train -c none.yaml --dataset d.h5 --run-dir r
refused 3 words -- train -c words --dataset d.h5 --run-dir r

[ $failed = 0 ] && echo 'all passed'
exit $failed
