#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: process.sh COHORT CHECK_JSON MAKE_IDX. The program in hostile surroundings: threads that are
# limited or refused, strange environments, closed streams, small limits, states in which it is stuck
# when a signal comes. The right result, or an error with its exit code; no hang, no crash.
set -u
cohort=$1
check_json=$2
make_idx=$3
[ -w /dev/shm ] && export TMPDIR=/dev/shm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  head -n 20 err | sed 's/^/    | /'
  failed=1
}
for name in $(compgen -e | grep -E '^(OMP|GOMP|KMP|DNNL|ONEDNN)_'); do unset "$name"; done

cat >c.yaml <<'YAML'
input_features:
  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [4], output_size: 8}}
output_features:
  - {name: label, type: category}
trainer: {max_epochs: 1, batch_size: 64, learning_rate: 0.01}
YAML
"$make_idx" 128 12 3 1 i l
"$make_idx" 2500 12 3 2 ti tl
"$cohort" import -O d.h5 --format idx --training-set i l --test-set ti tl >out 2>err || fail import
train=(train -c c.yaml --dataset d.h5 --quiet)
"$cohort" "${train[@]}" --threads 2 --run-dir base >out 2>err || fail 'train'

# ---- threads: how many, and why
doctor() { # doctor NUMBER WHY ENVIRONMENT_AND_OPTIONS...: of the default thread count
  local number=$1 why=$2 options=() environment=()
  shift 2
  for word in "$@"; do
    case $word in *=*) environment+=("$word") ;; *) options+=("$word") ;; esac
  done
  env "${environment[@]}" "$cohort" doctor --json "${options[@]}" >out 2>err || fail "doctor: $*"
  "$check_json" ok=true "threads=$number" "threads_why=$why" <out || fail "doctor: $*"
}
doctor 3 OMP_NUM_THREADS OMP_NUM_THREADS=3
doctor 3 OMP_NUM_THREADS OMP_NUM_THREADS=3,2
doctor 1 OMP_THREAD_LIMIT OMP_THREAD_LIMIT=1 OMP_NUM_THREADS=3
doctor 5 --threads --threads 5 OMP_NUM_THREADS=3
if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
  core=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
  taskset -c "$core" "$cohort" doctor >out 2>err || fail 'doctor on one core'
  grep -q "^threads *1 (this process's CPU set" out || fail "doctor on one core: $(grep ^threads out)"
fi
for wrong in abc 0 -1 1.5 99999999999; do
  OMP_NUM_THREADS=$wrong "$cohort" doctor >out 2>err || fail "OMP_NUM_THREADS=$wrong"
  grep -q 'WARN.*OMP_NUM_THREADS.*ignored' err || fail "OMP_NUM_THREADS=$wrong: no warning"
  [ "$(wc -l <err)" = 1 ] || fail "OMP_NUM_THREADS=$wrong: more than a warning"
done
OMP_THREAD_LIMIT=1 "$cohort" train -c c.yaml --dataset d.h5 --run-dir limited >out 2>err ||
  fail 'a thread limit of 1'
grep -q 'with 1 threads (OMP_THREAD_LIMIT)' err || fail 'the log does not say why there is one thread'

# refused EXIT TEXT COMMAND...: one error, and not of a library
refused() {
  local wanted=$1 text=$2 code
  shift 2
  "$@" >out 2>err
  code=$?
  [ $code = "$wanted" ] || fail "exit $code instead of $wanted: $*"
  [ "$(grep -c '^error\[' err)" = 1 ] || fail "not one error: $*"
  grep -qvE '^(error\[[a-z]+\]: |  hint: )' err && fail "more than error and hint: $*"
  grep -qF -- "$text" err || fail "stderr lacks '$text': $*"
}
refused 6 'OMP_THREAD_LIMIT allows 1' env OMP_THREAD_LIMIT=1 "$cohort" "${train[@]}" --threads 2 --run-dir r
grep -q -- '--threads 1' err || fail 'no way out of a thread limit'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  chmod 755 .
  chmod a+r d.h5 c.yaml
  mkdir -m 777 open
  # Where the program lies may be closed to others.
  setpriv --reuid=65533 --regid=65533 --clear-groups bash -c '"$@"' - "$cohort" --version >out 2>err &&
    refused 7 '8 threads cannot be created' setpriv --reuid=65533 --regid=65533 --clear-groups \
      bash -c 'ulimit -u 5; exec "$@"' - "$cohort" "${train[@]}" --threads 8 --run-dir open/r
fi

# ---- the environment: the same bytes, and not a word
same() { # same ENVIRONMENT...
  rm -rf r
  timeout -k 1 60 env "$@" "$cohort" "${train[@]}" --threads 2 --run-dir r >out 2>err
  local code=$?
  [ $code = 0 ] || fail "exit $code: $*"
  [ ! -s err ] || fail "something on stderr: $*"
  cmp -s base/model.h5 r/model.h5 || fail "other bytes: $*"
}
nonsense=()
for name in OMP_DYNAMIC OMP_MAX_ACTIVE_LEVELS OMP_STACKSIZE OMP_PLACES OMP_PROC_BIND OMP_SCHEDULE \
  OMP_WAIT_POLICY OMP_CANCELLATION OMP_TARGET_OFFLOAD OMP_DISPLAY_ENV GOMP_CPU_AFFINITY \
  GOMP_SPINCOUNT GOMP_STACKSIZE KMP_AFFINITY KMP_BLOCKTIME; do
  nonsense+=("$name=x,,{y")
done
same "${nonsense[@]}"
same OMP_NUM_THREADS=1 OMP_DYNAMIC=true OMP_SCHEDULE=dynamic,1 OMP_STACKSIZE=16k 'OMP_PLACES={9999}'
same OMP_MAX_ACTIVE_LEVELS=0 OMP_STACKSIZE=1000G OMP_CANCELLATION=true GOMP_CPU_AFFINITY=9999
same OMP_NESTED=true OMP_MAX_ACTIVE_LEVELS=3 OMP_PROC_BIND=true OMP_PLACES=cores OMP_WAIT_POLICY=active
same DNNL_MAX_CPU_ISA=SSE41 ONEDNN_MAX_CPU_ISA=SSE41 ONEDNN_DEFAULT_FPMATH_MODE=BF16 DNNL_JIT_DUMP=1
same -u HOME -u PATH LC_ALL=de_DE.UTF-8 TZ=nowhere TMPDIR=/no/such/folder
same -i
[ -z "$(find . -name 'dnnl_dump*')" ] || fail 'oneDNN wrote its code into the folder'

# What a library prints does not go to standard output.
ONEDNN_VERBOSE=1 "$cohort" evaluate -m base --dataset d.h5 --json --quiet >out 2>err || fail evaluate
"$check_json" ok=true rows=2500 <out || fail 'JSON with ONEDNN_VERBOSE=1'
grep -q verbose err || fail 'nothing of ONEDNN_VERBOSE=1 on standard error'

# A sanitizer takes address space by the terabyte, and opens files of its own.
sanitized=
{ (ulimit -v 4000000 && "$cohort" --version) >out 2>err || sanitized=1; } 2>/dev/null

# ---- streams and limits; 127 is the system's loader, which had no descriptor or memory left
limited() { # limited CODES SHELL_WORDS: exits with one of the codes, with the right bytes where it is 0
  local codes=$1 words=$2 code
  rm -rf r
  timeout -k 1 60 bash -c "$words; exec \"\$@\"" - "$cohort" "${train[@]}" --threads 2 --run-dir r >out 2>err
  code=$?
  case " $codes " in *" $code "*) ;; *) fail "exit $code: $words" ;; esac
  [ $code != 0 ] || cmp -s base/model.h5 r/model.h5 || fail "other bytes: $words"
  case $code in 0 | 127) ;; *) [ "$(grep -c '^error\[' err)" = "${errors:-1}" ] || fail "not one error: $words" ;; esac
}
limited 0 'umask 0'
limited 0 'exec <&-'
limited 0 'exec 2>&-'
limited 9 'exec >&-'
errors=0 limited 9 'exec <&- >&- 2>&-'
limited 0 'ulimit -n 32'
limited '0 7' 'ulimit -s 128'
limited 0 'ulimit -S -s 128'
limited 0 'ulimit -s 1024'
limited 0 'ulimit -s unlimited'
if [ -z "$sanitized" ]; then
  for files in 4 5 6 7 8; do limited '0 4 9 127' "ulimit -n $files"; done
  for megabytes in 60 80 95 100 108 120 180 260 400; do limited '0 7 127' "ulimit -v ${megabytes}000"; done
  refused 7 '4096 threads cannot be created' bash -c 'ulimit -v 4000000; exec "$@"' - \
    "$cohort" evaluate -m base --dataset d.h5 --threads 4096 --quiet
fi

# ---- signals
ends() { # ends PID CODE SECONDS WHAT: the process ends by itself within that time
  local i
  for ((i = 0; i < $3 * 20; i++)); do
    kill -0 "$1" 2>/dev/null || break
    sleep 0.05
  done
  if kill -KILL "$1" 2>/dev/null; then fail "does not end within $3 s: $4"; fi
  wait "$1" 2>/dev/null
  local code=$?
  [ $code = "$2" ] || fail "exit $code instead of $2: $4"
}
# until PID COMMAND...: waits, at most 30 s, until it is true or the process is gone
until_true() {
  local pid=$1 i
  shift
  for ((i = 0; i < 600; i++)); do
    "$@" && return
    kill -0 "$pid" 2>/dev/null || return
    sleep 0.05
  done
}
# A config from a pipe that says nothing: nothing has been begun, so one signal is enough.
mkfifo pipe
exec 7<>pipe
# In a read of standard input, which is system call 0 or 63, by the kind of processor.
# shellcheck disable=SC2317 # until_true calls it
waits_for_input() {
  local words
  read -r -a words <"/proc/$1/syscall" 2>/dev/null
  [[ ${words[*]} =~ ^(0|63)\ 0x0\  ]]
}
for signal in TERM:143 INT:130; do
  env --default-signal=INT "$cohort" render-config -c - --json <&7 >out 2>err &
  pid=$!
  if [ -r "/proc/$pid/syscall" ]; then until_true $pid waits_for_input $pid; else sleep 1; fi
  kill "-${signal%:*}" $pid
  ends $pid "${signal#*:}" 20 "a config that does not come, SIG${signal%:*}"
  "$check_json" ok=false "exit=${signal#*:}" error.code=interrupted verb=render-config <out ||
    fail 'JSON of a program that a signal ended'
done

# Scores that nobody reads: the pipe is full, the work half done.
mkfifo scores
exec 6<>scores
# shellcheck disable=SC2317
written() { # written PID BYTES
  local bytes
  bytes=$(sed -n 's/^wchar: //p' "/proc/$1/io" 2>/dev/null)
  [ "${bytes:-0}" -ge "$2" ]
}
blocked() { # starts one that is stuck; its number in pid
  "$cohort" predict -m base --dataset d.h5 --split test -O - --quiet >&6 2>err &
  pid=$!
  until_true $pid written $pid 65536
}
blocked
kill -TERM $pid
sleep 0.3 # beyond what counts as one request
kill -0 $pid 2>/dev/null || fail 'the first signal ended work half done'
kill -TERM $pid
ends $pid 143 20 'two signals'
grep -q 'second signal' err || fail 'the second signal is not named'
exec 6>&-
exec 6<>scores # empty again
blocked
kill -TERM $pid
ends $pid 143 60 'one signal and a bounded time'
grep -q 'nothing moves' err || fail 'why it ended is not said'

# One request that comes twice, as timeout(1) sends it, is one: the checkpoint is written.
"$cohort" train -c c.yaml --dataset d.h5 --run-dir twice --trainer.max_epochs 1000000 \
  --trainer.steps_per_checkpoint 1000000 >out 2>err &
pid=$!
until_true $pid grep -qs eval err
kill -TERM $pid $pid
ends $pid 143 60 'a signal that comes twice'
grep -q 'a checkpoint is written' err || fail 'a signal that comes twice: no checkpoint'

[ $failed = 0 ] && echo 'all passed'
exit $failed
