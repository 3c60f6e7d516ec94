#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: run.sh COHORT CHECK_JSON. Drives the built program as a user would.
set -u
cohort=$1
check_json=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' "$dir/out" "$dir/err"
  failed=1
}

# expect EXIT ARGUMENTS...: runs the program, output in $dir/out and $dir/err.
expect() {
  local wanted=$1 code
  shift
  "$cohort" "$@" >"$dir/out" 2>"$dir/err" </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: cohort $*"
}
stderr_has() { grep -qF -- "$1" "$dir/err" || fail "stderr lacks: $1"; }
stdout_has() { grep -qF -- "$1" "$dir/out" || fail "stdout lacks: $1"; }
stdout_is_empty() { [ ! -s "$dir/out" ] || fail "stdout is not empty"; }
stderr_is_empty() { [ ! -s "$dir/err" ] || fail "stderr is not empty"; }
# json [PATH=VALUE]...: stdout is one JSON document with these values.
json() {
  "$check_json" "$@" <"$dir/out" || fail "JSON: $*"
  if command -v python3 >/dev/null; then
    python3 -m json.tool <"$dir/out" >/dev/null 2>&1 || fail "not JSON for python3"
  fi
}

# ---- usage
expect 2
stderr_has 'usage: cohort VERB'
stdout_is_empty
expect 2 doktor
stderr_has "unknown verb 'doktor'"
stderr_has "did you mean 'doctor'?"
stdout_is_empty
expect 2 --verbose doctor
stderr_has 'the verb comes first'
expect 2 doctor --jsn
stderr_has 'error[usage]'
stderr_has 'did you mean --json?'
stderr_has 'usage: cohort doctor'
stdout_is_empty
expect 2 doctor --seed 5
stderr_has 'does not take --seed'
expect 2 doctor surplus
expect 2 import -O x.h5 --format idx
stderr_has '--training-set IMAGES LABELS'
expect 2 doctor --log-level loud
expect 2 doktor --json
json ok=false exit=2 error.code=usage error.exit=2 "error.hint=did you mean 'doctor'?"
expect 2 doctor --jsn --json
json ok=false verb=doctor error.code=usage
expect 2 --json
json ok=false

# ---- help and version
expect 0 --help
stdout_has 'doctor'
stderr_is_empty
expect 0 -h
expect 0 help
verbs=$(sed -n 's/^  \([a-z][a-z-]*\)  *.*/\1/p' "$dir/out")
[ "$(echo "$verbs" | wc -w)" -ge 4 ] || fail 'help lists no verbs'
sed -n '/^verbs:$/,/^$/p' "$dir/out" | grep -vE '^(verbs:|)$' | grep -qvE '^  [a-z-]+ +[a-z].{,60}$' &&
  fail 'help has more than one line a verb'
for verb in $verbs; do
  expect 0 "$verb" --help
  stdout_has "usage: cohort $verb"
  stdout_has '--log-level'
  stderr_is_empty
  cp "$dir/out" "$dir/help"
  expect 0 help "$verb"
  cmp -s "$dir/out" "$dir/help" || fail "'help $verb' and '$verb --help' differ"
  expect 2 "$verb" --no-such-option
done
expect 0 render_config --help
stdout_has 'usage: cohort render-config'
expect 2 help doktor
expect 0 --version
stdout_has 'cohort '
expect 0 --version --json
json ok=true

# ---- documents
expect 0 doctor
stdout_has 'hdf5'
stdout_has 'limit '
stderr_is_empty
expect 0 doctor --json
json ok=true verb=doctor exit=0
cat >"$dir/bad.yaml" <<'YAML'
trainer:
  max_steps: 2000*12
  learning_ratee: 1
YAML
expect 3 render-config -c "$dir/bad.yaml"
stdout_is_empty
stderr_has "bad.yaml:2:14: trainer.max_steps: '2000*12' is not a whole number"
stderr_has 'bad.yaml:3:3: trainer.learning_ratee: unknown key'
stderr_has '  hint: did you mean trainer.learning_rate?'
expect 3 render-config -c "$dir/bad.yaml" --json
json ok=false verb=render-config exit=3 error.code=config error.exit=3 \
  "error.where.file=$dir/bad.yaml" error.where.line=3 error.where.column=3
expect 3 render-config -c "$dir/bad.yaml" --log-format json
grep -q '^{"time":".*"level":"ERROR"' "$dir/err" || fail 'the error is not a JSON line'
expect 3 render-config -c "$dir/missing.yaml"
stderr_has 'missing.yaml'
printf 'trainer: {max_steps: 7}\n' >"$dir/good.yaml"
expect 0 render-config -c "$dir/good.yaml" --trainer.batch_size 9
stdout_has 'max_steps: 7'
stdout_has 'batch_size: 9'
cp "$dir/out" "$dir/full.yaml"
expect 0 render-config -c "$dir/full.yaml"
cmp -s "$dir/out" "$dir/full.yaml" || fail 'rendering a rendered config changes it'
expect 0 render-config -c "$dir/good.yaml" --json
json ok=true config.trainer.max_steps=7
expect 0 render-config -c "$dir/good.yaml"
cp "$dir/out" "$dir/plain"
expect 0 render-config -c "$dir/good.yaml" -O -
cmp -s "$dir/out" "$dir/plain" || fail 'render-config -O - is not standard output'
expect 0 render-config -c "$dir/good.yaml" -O "$dir/copy.yaml"
stdout_is_empty
expect 9 render-config -c "$dir/good.yaml" -O "$dir/copy.yaml"
stderr_has '--force'
expect 0 render-config -c "$dir/good.yaml" -O "$dir/copy.yaml" --force
expect 3 render-config -c "$dir/good.yaml" --trainer.batch_size=many
stderr_has '--set trainer.batch_size'

# ---- streams
: >"$dir/out"
if [ -w /dev/full ]; then
  for arguments in doctor 'doctor --json' --help --version; do
    # shellcheck disable=SC2086
    "$cohort" $arguments >/dev/full 2>"$dir/err"
    code=$?
    [ $code = 9 ] || fail "exit $code with a full disk: $arguments"
    stderr_has 'error[io]'
  done
fi
"$cohort" doctor >&- 2>"$dir/err"
[ $? = 9 ] || fail 'a closed stdout is not exit 9'
{
  sleep 0.3
  "$cohort" doctor 2>"$dir/err"
  echo $? >"$dir/code"
} | true
[ "$(cat "$dir/code")" = 9 ] || fail 'a reader that went away is not exit 9'
stderr_is_empty
"$cohort" doctor >"$dir/out" 2>&- || fail 'a closed stderr is fatal'
expect 9 doctor --log-file "$dir/no/such/log"
expect 3 render-config -c "$dir/bad.yaml" --color always
grep -q $'\033' "$dir/err" || fail 'no colours with --color always'
expect 3 render-config -c "$dir/bad.yaml"
grep -q $'\033' "$dir/err" && fail 'colours without a terminal'
CLICOLOR_FORCE=1 NO_COLOR=1 expect 3 render-config -c "$dir/bad.yaml"
grep -q $'\033' "$dir/err" && fail 'colours in spite of NO_COLOR'

# ---- import
if command -v python3 >/dev/null; then
  python3 - "$dir" <<'PYTHON'
import struct, sys
rows = 20
for name in ("train", "test"):
    shift = name == "test"
    with open(f"{sys.argv[1]}/{name}-images", "wb") as f:
        f.write(struct.pack(">IIII", 0x803, rows, 4, 4))
        f.write(bytes((i * 7 + shift) % 256 for i in range(rows * 16)))
    with open(f"{sys.argv[1]}/{name}-labels", "wb") as f:
        f.write(struct.pack(">II", 0x801, rows) + bytes(i % 2 for i in range(rows)))
PYTHON
  import=(import -O "$dir/d.h5" --format idx --training-set "$dir/train-images" "$dir/train-labels"
    --test-set "$dir/test-images" "$dir/test-labels" --class-names "no,yes")
  expect 0 "${import[@]}" --json
  json ok=true verb=import up_to_date=false classes=2 rows.test=20
  expect 0 "${import[@]}"
  stdout_has 'up to date'
  expect 2 "${import[@]}" --validation-fraction 0.1 --validation-set a b
  expect 4 import -O "$dir/e.h5" --format idx --training-set "$dir/none" "$dir/none" --json
  json ok=false error.code=data
  [ ! -e "$dir/e.h5" ] || fail 'a failed import left an output'
fi

# ---- from the dataset to the scores
if [ -e "$dir/d.h5" ]; then
  cat >"$dir/c.yaml" <<'YAML'
input_features:
  - {name: image, encoder: {type: mlp}}
output_features: targets
trainer: {max_steps: 6, batch_size: 8, steps_per_checkpoint: 2}
YAML
  with=(-c "$dir/c.yaml" --dataset "$dir/d.h5")
  expect 0 plan "${with[@]}" --json
  json ok=true verb=plan
  json precision=tf32
  layer='"options":{"units":64,"activation":"relu","use_bias":true,"kernel_initializer":"glorot_uniform","bias_initializer":"zeros"},"inputs":["image/flatten"],'
  layer+='"weights":["image/dense/kernel","image/dense/bias"],"weights_of":null}'
  grep -qF "\"id\":\"image/dense\",$layer" "$dir/out" || fail 'no options, inputs and weights in the plan'
  expect 0 plan "${with[@]}" --mode infer --batch-size 3
  expect 0 plan "${with[@]}" --precision bf16-mixed --json
  json ok=true precision=bf16
  grep -q '"type":"bf16"' "$dir/out" || fail 'no type bf16 in the plan'
  expect 0 plan "${with[@]}" --set trainer.precision=bf16
  stdout_has 'bf16'
  stdout_has 'mirror'
  expect 3 plan "${with[@]}" --set trainer.precision=16
  stderr_has 'not there yet'
  expect 2 plan "${with[@]}" --precision 64
  stderr_has 'use tf32, 32 or bf16'
  expect 3 plan "${with[@]}" --image.encoder.type mpl
  stderr_has '--set image.encoder.type'
  expect 0 train "${with[@]}" --run-dir "$dir/run" --seed 3 --json
  json ok=true verb=train exit=0 status=done steps=6
  stderr_has ' INFO '
  expect 0 train "${with[@]}" --run-dir "$dir/run" --seed 3 --resume=auto --json
  json ok=true status=done
  expect 5 train "${with[@]}" --run-dir "$dir/none" --resume --json
  json ok=false error.code=model
  expect 0 evaluate -m "$dir/run" --dataset "$dir/d.h5" --require 'log_loss<1000'
  stdout_has 'accuracy'
  expect 0 evaluate -m "$dir/run" --dataset "$dir/d.h5" --precision bf16
  expect 10 evaluate -m "$dir/run" --dataset "$dir/d.h5" --require 'accuracy>=1.5' --json
  json ok=false exit=10 error.code=gate
  parity=(verify parity -m "$dir/run" --dataset "$dir/d.h5" --device cpu)
  expect 0 "${parity[@]}"
  stdout_has 'gradient kernel'
  stdout_has ': the same'
  stderr_is_empty
  expect 0 "${parity[@]}" --split test --batch-size 5 --json
  json ok=true verb=verify exit=0 device=cpu split=test rows=5 out_of_tolerance=0 first=null
  expect 0 "${parity[@]}" --precision bf16 --json
  json ok=true precision=bf16
  expect 10 "${parity[@]}" --precision bf16 --tolerance 1e-5
  expect 10 "${parity[@]}" --tolerance 1e-12
  stdout_has 'OUT OF TOLERANCE'
  stderr_has "error[gate]: 'image/"
  expect 10 "${parity[@]}" --tolerance 1e-12 --json
  json ok=false verb=verify exit=10 error.code=gate batches=1
  expect 2 verify honesty -m "$dir/run" --dataset "$dir/d.h5"
  stderr_has 'known: parity'
  expect 2 verify -m "$dir/run" --dataset "$dir/d.h5"
  expect 2 verify parity -m "$dir/run"
  expect 2 "${parity[@]}" --split tset
  expect 5 verify parity -m "$dir/none" --dataset "$dir/d.h5"
  expect 0 predict -m "$dir/run" --dataset "$dir/d.h5" --split test -O "$dir/s.csv"
  [ "$(wc -l <"$dir/s.csv")" = 21 ] || fail 'not one line per row and a header'
  expect 9 predict -m "$dir/run" --dataset "$dir/d.h5" --split test -O "$dir/s.csv"
  expect 0 predict -m "$dir/run" --dataset "$dir/d.h5" --split test -O -
  cmp -s "$dir/out" "$dir/s.csv" || fail 'scores on stdout differ from those in a file'
  expect 0 predict -m "$dir/run" --dataset "$dir/d.h5" --split test -O "$dir/n.csv" --precision bf16
  ! cmp -s "$dir/n.csv" "$dir/s.csv" || fail 'bf16 scores to the last bit as float does'
  expect 2 predict -m "$dir/run" --dataset "$dir/d.h5" -O - --json
  for file in d.h5 run run/model.h5; do
    expect 0 inspect "$dir/$file" --json
    json ok=true verb=inspect
  done
  # A signal ends training after a checkpoint; the run can go on.
  for signal in INT:130 TERM:143; do
    run="$dir/${signal%:*}"
    # A shell ignores SIGINT for what it starts in the background; env undoes that.
    env --default-signal=INT "$cohort" train "${with[@]}" --run-dir "$run" \
      --trainer.max_steps 100000000 --trainer.max_epochs 100000000 \
      --trainer.steps_per_checkpoint 1000000 >"$dir/out" 2>"$dir/err" &
    pid=$!
    for _ in $(seq 100); do
      ls "$run"/checkpoints/*.h5 >/dev/null 2>&1 && break
      sleep 0.1
    done
    kill -"${signal%:*}" $pid
    wait $pid
    code=$?
    [ $code = "${signal#*:}" ] || fail "exit $code after SIG${signal%:*}"
    stderr_has 'error[interrupted]'
  done
  # Other signals ask for something, and the training goes on.
  wait_for() { # wait_for TEXT FILE
    for _ in $(seq 100); do
      grep -qF -- "$1" "$2" 2>/dev/null && return
      sleep 0.1
    done
    fail "$2 lacks: $1"
  }
  run="$dir/asked"
  "$cohort" train "${with[@]}" --run-dir "$run" --log-file "$dir/log" \
    --trainer.max_steps 100000000 --trainer.max_epochs 100000000 \
    --trainer.steps_per_checkpoint 100000000 --trainer.learning_rate 0 >"$dir/out" 2>"$dir/err" &
  pid=$!
  wait_for 'eval step=' "$dir/log"
  mv "$dir/log" "$dir/log.1"
  kill -HUP $pid
  kill -USR2 $pid
  wait_for 'INFO status step=' "$dir/err"
  wait_for 'step=' "$dir/log"
  kill -USR1 $pid
  for _ in $(seq 100); do
    ls "$run"/checkpoints/stop-*.h5 >/dev/null 2>&1 && break
    sleep 0.1
  done
  ls "$run"/checkpoints/stop-*.h5 >/dev/null 2>&1 || fail 'SIGUSR1 wrote no checkpoint'
  kill -TERM $pid
  wait $pid
  [ $? = 143 ] || fail 'the training did not go on after SIGUSR1'
  # So does the end of its time.
  expect 75 train "${with[@]}" --run-dir "$dir/timed" --trainer.max_steps 100000000 \
    --trainer.max_epochs 100000000 --max-time 0:01 --json
  json ok=false exit=75 error.code=stopped
  stderr_has "go on with --resume $dir/timed"
  expect 0 inspect "$dir/timed"
  for time in 5 0:00 1:60 1:24:00:00 0:0:0:0:1 1:x -1:00 1:00x ''; do
    expect 2 train "${with[@]}" --run-dir "$dir/none" --max-time "$time"
    stderr_has '[[DD:]HH:]MM:SS'
  done
fi

[ $failed = 0 ] && echo 'all passed'
exit $failed
