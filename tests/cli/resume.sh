#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: resume.sh COHORT CHECK_JSON KILL_AT [KILLS]. Jobs of scoring that are killed, by SIGKILL in
# front of operations on files and at random moments, and go on with --resume: nothing may be lost,
# nothing be there twice. KILLS in all, 20 by default.
set -u
cohort=$1
check_json=$2
kill_at=$3
kills=${4:-20}
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
# shellcheck source=tests/cli/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/cli/server.sh
. "$here/server.sh"
export OMP_NUM_THREADS=1
same() { cmp -s "$1" "$2" || fail "$3: $(diff "$1" "$2" | head -3)"; }

awk 'BEGIN {
  print "customer,plan,visits,bought"
  for (i = 0; i < 3000; i++) {
    plan = i % 3 == 0 ? "yearly" : i % 3 == 1 ? "monthly" : "none"
    visits = (i * 37) % 50
    print "C-" i "," plan "," visits "," (visits + (i % 3 == 1 ? 20 : 0) > 40 ? "Yes" : "No")
  }
}' >t.csv
expect 0 train --target bought --key customer --dataset t.csv --run-dir run --set trainer.max_epochs=1
score=(predict -m run --dataset t.csv --quiet --save-rows 200 --batch-size 100)

# ---- what may go on, and what may not
expect 0 "${score[@]}" -O whole.csv
cp whole.csv.manifest.json out
json rows.scored=3000 rows.resumed_at=0 "output.sha256=$(sha256sum whole.csv | cut -d' ' -f1)" \
  "source.sha256=$(sha256sum t.csv | cut -d' ' -f1)" "model.sha256=$(sha256sum run/model.h5 | cut -d' ' -f1)"
preloaded() { env "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}" LD_PRELOAD="$kill_at" "$@"; }
# interrupted ARGUMENTS...: killed in front of one of its last operations on files.
interrupted() {
  preloaded COHORT_TEST_COUNT="$dir/count" "$cohort" "${@//part.csv/count.csv}" >out 2>err || fail 'what is counted'
  rm -f count.csv*
  preloaded COHORT_TEST_KILL_AT=$(($(cat count) - 20)) "$cohort" "$@" >out 2>err
  [ $? = 137 ] || fail 'not killed'
  rm -f ./*.rows.tmp-*
} 2>/dev/null
interrupted "${score[@]}" -O part.csv
[ ! -e part.csv ] || fail 'a part has the name of the whole'
[ -s part.csv.part ] || fail 'the part is not beside'
refused 2 'with other options' -- "${score[@]}" -O part.csv --resume --columns key,score
expect 0 train --target bought --key customer --dataset t.csv --run-dir other --seed 2 --set trainer.max_epochs=1
refused 5 'has another model' -- predict -m other --dataset t.csv --quiet -O part.csv --resume
cp t.csv kept.csv
for change in 2999s/,[0-9]*,/,49,/ 3000d; do
  sed -i "$change" t.csv
  refused 4 'the rows have changed since' -- "${score[@]}" -O part.csv --resume
  cp kept.csv t.csv
done
exec 8<part.csv.part
flock -n 8 || fail 'the lock of a dead process is held'
refused 9 'another job is writing this output' -- "${score[@]}" -O part.csv --resume
exec 8<&-
expect 0 "${score[@]}" -O part.csv --resume --json
"$check_json" resumed_at=0 <out >/dev/null 2>&1 && fail 'it did not go on'
same part.csv whole.csv 'a job that went on'
[ "$(echo part.csv*)" = 'part.csv part.csv.manifest.json' ] || fail "left behind: $(echo part.csv*)"
expect 0 predict -m run --dataset t.csv --batch-size 100 -O part.csv --resume
grep -q 'nothing to do' out || fail 'a job that is complete is done again'
expect 0 "${score[@]}" -O part.csv --resume --json
json rows=3000 resumed_at=3000
refused 9 'exists already, and not by this job' -- "${score[@]}" -O part.csv --resume --columns key
refused 2 'the output is neither' -- "${score[@]}" -O - --resume
# Without --resume a part counts for nothing.
rm part.csv*
interrupted "${score[@]}" -O part.csv
expect 0 "${score[@]}" -O part.csv --json
json resumed_at=0
same part.csv whole.csv 'a job that was begun anew'

# ---- a disk that is full
rm -f part.csv*
if mkdir small && mount -t tmpfs -o size=96k tmpfs small 2>/dev/null; then
  "$cohort" "${score[@]}" -O small/part.csv --manifest "$dir/m.json" >out 2>err
  [ $? = 9 ] || fail 'a full disk is no error of input or output'
  [ ! -e small/part.csv ] || fail 'an output on a full disk'
  mount -o remount,size=4m small
  expect 0 "${score[@]}" -O small/part.csv --resume --manifest "$dir/m.json"
  same small/part.csv whole.csv 'after a full disk'
  umount small
else
  echo 'note: a full disk was not tried: no file system can be mounted'
fi

# ---- killed again and again
# Each sink: how its state is shown, and what the state of a job that was never killed is.
show() { # show NAME
  case $1 in
    csv | ranked) cat k.csv ;;
    jsonl) cat k.jsonl ;;
    pg_*) sql 'SELECT * FROM scores' ;;
    *) "$cohort" data show sqlite:k.db --source-table scores --csv --rows 100000 2>/dev/null ;;
  esac
}
arguments() { # arguments NAME: one a line
  case $1 in
    csv) printf '%s\n' -O k.csv ;;
    ranked) printf '%s\n' -O k.csv --columns key,score,decile ;;
    jsonl) printf '%s\n' -O k.jsonl --columns key,label ;;
    pg_*) printf '%s\n' -O "$url" --table scores --if-exists "${1#pg_}" --columns key,score ;;
    new) printf '%s\n' -O sqlite:k.db --table scores ;;
    *) printf '%s\n' -O sqlite:k.db --table scores --if-exists "$1" --columns key,score ;;
  esac
}
sinks=(csv ranked jsonl)
expect 0 doctor
sed '2,$s/,\([0-9]*\),\(Yes\|No\)$/,3,\2/' t.csv >former.csv
if grep -q 'sqlite.*missing' out; then
  echo 'NOT RUN: databases: there is no SQLite'
else
  sinks+=(new append replace upsert)
  expect 0 predict -m run --dataset former.csv -O sqlite:former.db --table scores --if-exists upsert --columns key,score
  expect 0 predict -m run --dataset former.csv -O sqlite:log.db --table scores --columns key,score
fi
if server_begin; then
  sinks+=(pg_append pg_replace pg_upsert)
  expect 0 predict -m run --dataset former.csv -O "$url" --table former --if-exists upsert --columns key,score
else
  echo 'note: PostgreSQL was not tried: there is no server'
fi
restore() { # restore NAME: as it was before the job
  rm -f k.csv* k.jsonl* k.db*
  case $1 in append) cp log.db k.db ;; replace | upsert) cp former.db k.db ;; esac
  case $1 in
    pg_append) sql 'DROP TABLE IF EXISTS scores, cohort_jobs; CREATE TABLE scores AS SELECT * FROM former' 2>/dev/null ;;
    pg_*) sql 'DROP TABLE IF EXISTS scores, cohort_jobs; CREATE TABLE scores (LIKE former INCLUDING ALL); INSERT INTO scores SELECT * FROM former' 2>/dev/null ;;
  esac
}
lost=0 done_=0 early=0
# once NAME HOW: kills, goes on, kills that too, and so on, until one ends.
once() {
  local name=$1 how=$2 code
  restore "$name"
  show "$name" >before 2>/dev/null
  for ((i = 0; i < 40; i++)); do
    if [ "$how" = counted ]; then
      preloaded COHORT_TEST_KILL_AT=$((at + i * 7)) "$cohort" "${score[@]}" "${job[@]}" --resume >out 2>err
    else
      timeout -s KILL "0.0$((RANDOM % 90 + 10))" "$cohort" "${score[@]}" "${job[@]}" --resume >out 2>err
    fi
    code=$?
    [ $code = 0 ] && break
    [ $code = 137 ] || fail "$name: exit $code"
    done_=$((done_ + 1))
    show "$name" >state 2>/dev/null
    cmp -s state before && early=$((early + 1))
    cmp -s state before || cmp -s state "$name.whole" || lost=$((lost + 1))
    [ $done_ -lt "$kills" ] || break
  done 2>/dev/null
  expect 0 "${score[@]}" "${job[@]}" --resume # of one that is complete: nothing
  show "$name" >state
  cmp -s state "$name.whole" || fail "$name: other rows after kills: $(diff state "$name.whole" | head -3)"
}
RANDOM=7
for name in "${sinks[@]}"; do
  mapfile -t job < <(arguments "$name")
  restore "$name"
  preloaded COHORT_TEST_COUNT="$dir/count" "$cohort" "${score[@]}" "${job[@]}" --resume >out 2>err || fail "$name: what is counted"
  show "$name" >"$name.whole"
  operations=$(cat count)
  eval "of_$name=$operations"
  [ "$(wc -l <"$name.whole")" -ge 3000 ] || fail "$name: too few rows"
done
for ((round = 0; done_ < kills && round < 10 * kills; round++)); do
  name=${sinks[round % ${#sinks[@]}]}
  mapfile -t job < <(arguments "$name")
  eval "operations=\$of_$name"
  at=$((RANDOM % operations + 1))
  if [ $((round % 3)) = 2 ]; then once "$name" random; else once "$name" counted; fi
done
echo "$done_ kills over ${sinks[*]}: $early left what was there before, $lost something else"
[ "$done_" -ge "$kills" ] || fail "only $done_ kills"
[ $lost = 0 ] || fail "$lost states are neither the former nor the whole"
[ "$early" -gt 0 ] || fail 'no kill came before the end'
for file in *.part *.journal; do [ ! -e "$file" ] || fail "left behind: $file"; done
exit $failed
