#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: sinks.sh COHORT CHECK_JSON KILL_AT. Where scores go: columns, ranks, shards, formats of text,
# tables of databases; killed in front of operations on files, what was there is there.
set -u
cohort=$1
check_json=$2
kill_at=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
same() { cmp -s "$1" "$2" || fail "$3: $(diff "$1" "$2" | head -3)"; }

# Customers, some of them alike, so that scores are equal.
awk 'BEGIN {
  print "customer,plan,visits,bought"
  for (i = 0; i < 2000; i++) {
    plan = i % 3 == 0 ? "yearly" : i % 3 == 1 ? "monthly" : "a \"b\""
    visits = (i * 37) % 50
    print "C-" i "," (plan ~ /"/ ? "\"a \"\"b\"\"\"" : plan) "," visits "," (visits + (i % 3 == 1 ? 20 : 0) > 40 ? "Yes" : "No")
  }
}' >t.csv
expect 0 train --target bought --key customer --dataset t.csv --run-dir run --set trainer.max_epochs=1
expect 0 train --target plan --key customer --dataset t.csv --run-dir class --set trainer.max_epochs=1
score=(predict -m run --dataset t.csv --quiet)

# ---- columns: chosen, renamed, in that order; places agree with a count of higher scores
expect 0 "${score[@]}" -O all.csv
expect 0 "${score[@]}" -O chosen.csv --columns score=p,key,label,rank,percentile,decile,probabilities --json
json rows=2000 columns.0=p columns.1=customer columns.3=bought_rank
[ "$(head -1 chosen.csv)" = p,customer,bought_label,bought_rank,bought_percentile,bought_decile,bought:No,bought:Yes ] ||
  fail 'header of chosen columns'
same <(cut -d, -f1,3 all.csv | tail -n +2) <(awk -F, -v OFS=, 'NR > 1 { print $2, $1 }' chosen.csv) 'chosen scores'
awk -F, 'NR > 1 { n++; score[n] = $1; rank[n] = $4; percentile[n] = $5; decile[n] = $6; if ($8 != $1) exit 1 }
  END {
    for (i = 1; i <= n; i++) {
      higher = 0
      for (k = 1; k <= n; k++) higher += score[k] + 0 > score[i] + 0
      ties += rank[i] != i && seen[rank[i]]++ > 0
      if (rank[i] != higher + 1 || percentile[i] != int(higher * 100 / n) + 1 || decile[i] != int(higher * 10 / n) + 1) exit 1
    }
    if (!ties) exit 1
  }' chosen.csv || fail 'ranks are not those of a count'
expect 0 "${score[@]}" -O - --columns key,decile
same out <(cut -d, -f2,6 chosen.csv) 'places on standard output'
expect 0 predict -m class --dataset t.csv -O class.csv --columns plan.probabilities,label,score,plan.decile=tenth
[ "$(head -1 class.csv | tr -d '"')" = 'plan:a b,plan:monthly,plan:yearly,plan_label,plan_score,tenth' ] ||
  fail 'header of classes'
refused 2 'no such column' -- "${score[@]}" -O x.csv --columns key,scroe
refused 2 'no such output' -- "${score[@]}" -O x.csv --columns buoght.score
grep -q 'it has: bought' err || fail 'the outputs are told'
refused 2 "would be called 'customer'" -- "${score[@]}" -O x.csv --columns key,score=customer
refused 2 'one name is not enough' -- "${score[@]}" -O x.csv --columns probabilities=p
refused 2 'no name behind' -- "${score[@]}" -O x.csv --columns score=
refused 2 'does not go with --columns' -- predict -m class --dataset t.csv -O x.csv --columns key --top-k 1

# ---- what stands beside the scores
awk -F, -v OFS=, '{ print $0, NR == 1 ? "note,7th" : "\"n, " NR "\"," NR / 7 }' t.csv >wide.csv
wide=(predict -m run --dataset wide.csv --quiet)
expect 0 "${wide[@]}" -O wide.out --columns score=p,key,model=m,scored_at=day --scored-at 2026-11-29 --holdout 10% --passthrough note,7th,visits
[ "$(head -1 wide.out)" = p,customer,m,day,holdout,note,7th,visits ] || fail 'header beside scores'
same <(cut -d, -f1,2 wide.out | tail -n +2) <(tail -n +2 chosen.csv | cut -d, -f1,2) 'scores beside others'
same <(cut -d, -f6- wide.out | tail -n +2) <(awk -F, -v OFS=, 'NR > 1 { print $(NF - 2), $(NF - 1), $NF, $(NF - 4) }' wide.csv) 'columns passed through'
awk -F, -v id="$("$cohort" inspect run/model.h5 --json | grep -o '"weights_sha256":"[0-9a-f]*"' | cut -d'"' -f4)" \
  'NR > 1 && ($3 != id || $4 != "2026-11-29") { exit 1 }' wide.out || fail 'model and day'
held() { # held FILE: keys of the control group
  awk -F, 'NR > 1 && $2 == 1 { print $1 }' "$1"
}
for share in 10% 20% 10%:spring; do
  expect 0 "${wide[@]}" -O "held$share" --columns key,holdout --holdout $share
  held "held$share" >"keys$share"
done
count=$(wc -l <keys10%)
if [ "$count" -lt 150 ] || [ "$count" -gt 250 ]; then fail "a tenth are $count of 2000"; fi
[ -z "$(sort keys10% keys20% keys20% | uniq -u)" ] || fail 'a larger group lacks some of the smaller'
[ "$(sort keys10% keys10%:spring | uniq -d | wc -l)" -lt 50 ] || fail 'groups of other names are the same'
{ head -1 wide.csv && tail -n +2 wide.csv | tac | head -700; } >night.csv
expect 0 predict -m run --dataset night.csv --quiet -O held.night --columns key,holdout --holdout 10%
same <(held held.night | sort) <(sort keys10% <(tail -700 t.csv | cut -d, -f1) | uniq -d) 'the control group of another night'
expect 0 predict -m class --dataset t.csv -O top.csv --columns key,top2
[ "$(head -1 top.csv)" = customer,plan_1,plan_1_score,plan_2,plan_2_score ] || fail 'header of the likeliest'
refused 4 "no column 'nothing' to pass" -- "${wide[@]}" -O x.csv --passthrough nothing
refused 2 "would be called 'customer'" -- "${wide[@]}" -O x.csv --passthrough customer
refused 2 'needs --scored-at' -- "${wide[@]}" -O x.csv --columns key,scored_at
refused 2 'must be a share' -- "${wide[@]}" -O x.csv --holdout 10
refused 2 'not one of several classes' -- "${wide[@]}" -O x.csv --columns top2

# ---- shards: joined they are the whole
for i in 1 2 3 4 5 6 7; do expect 0 "${score[@]}" -O "part$i.csv" --shard "$i/7"; done
same <(head -1 all.csv && for i in 1 2 3 4 5 6 7; do tail -n +2 "part$i.csv"; done) all.csv 'joined shards'
[ "$(cat part?.csv | wc -l)" = 2007 ] || fail 'each shard has a header'
for shard in 0/3 4/3 1 1/ /3 1/3x -1/3 1/0; do
  refused 2 'no part of a whole' -- "${score[@]}" -O x.csv --shard="$shard"
done
refused 2 'they do not go with --shard' -- "${score[@]}" -O x.csv --shard 1/3 --columns key,bought.decile=d

# ---- formats
expect 0 "${score[@]}" -O all.tsv
same <(tr , '\t' <all.csv) all.tsv 'tab-separated values'
expect 0 "${score[@]}" -O all.jsonl --columns key,prediction,rank
[ "$(wc -l <all.jsonl)" = 2000 ] || fail 'JSON lines'
head -1 all.jsonl >out
json customer=C-0 "bought_rank=$(awk -F, 'NR == 2 { print $4 }' chosen.csv)"
expect 0 "${score[@]}" -O - --format jsonl
same <(sed 's/.*"customer":"\([^"]*\)".*/\1/' out) <(tail -n +2 all.csv | cut -d, -f1) 'keys of JSON lines'
expect 0 "${score[@]}" -O all.h5 --columns key,score,label,rank
python=/usr/bin/python3 # Debian's, which has its h5py
if $python -c 'import h5py' 2>/dev/null; then
  $python -c 'import h5py
with h5py.File("all.h5") as f:
    assert f.attrs["format"] == "cohort-scores" and f.attrs["version"] == 1
    names = list(f.attrs["columns"])
    columns = [f[name].asstr()[:] if f[name].dtype.kind == "O" else f[name][:] for name in names]
    assert [c.dtype.str for c in columns[1::2]] == ["<f4", "<i8"]
    print(",".join(names))
    for row in zip(*columns): print(",".join("%.9g" % v if v.__class__.__name__ == "float32" else str(v) for v in row))' >state
  same state <(awk -F, -v OFS=, '{ print $2, NR == 1 ? "bought_score" : $1, $3, $4 }' chosen.csv) 'HDF5'
  expect 0 predict -m run --dataset t.csv -O all.h5 --columns key,score,label,rank --resume
  grep -q 'nothing to do' out || fail 'an HDF5 file that is complete'
else
  echo 'NOT RUN: HDF5: there is no h5py'
fi
refused 2 'no name of a dataset' -- "${score[@]}" -O x.h5 --columns score=a/b
refused 2 'as a stream' -- "${score[@]}" -O - --format h5
refused 2 'not written as parquet' -- "${score[@]}" -O x.parquet
refused 2 'csv, tsv, jsonl and h5' -- "${score[@]}" -O x.csv --format xml
refused 2 'is for a database' -- "${score[@]}" -O x.csv --table t
refused 2 'sqlite:x.db --table' -- "${score[@]}" -O x.db 2>/dev/null

# ---- a manifest
sed '5s/,[0-9]*,/,many,/' t.csv >wrong.csv
expect 0 predict -m run --dataset wrong.csv -O m.csv --max-errors 1 --columns key,score=p
cp m.csv.manifest.json out
json rows.read=2000 rows.rejected=1 rows.scored=1999 output.columns.1=p \
  "output.sha256=$(sha256sum m.csv | cut -d' ' -f1)" "source.sha256=$(sha256sum wrong.csv | cut -d' ' -f1)" \
  "model.weights_sha256=$("$cohort" inspect run/model.h5 --json | grep -o '"weights_sha256":"[0-9a-f]*"' | cut -d'"' -f4)"
expect 0 "${score[@]}" -O - --manifest stdout.json
cp stdout.json out
json rows.scored=2000
refused 9 'also read by this command' -- "${score[@]}" -O x.csv --manifest t.csv

# ---- databases
expect 0 doctor
if grep -q 'sqlite.*missing' out; then
  echo 'NOT RUN: databases: there is no SQLite'
  exit $failed
fi
# rows DB TABLE: as a table of text.
rows() {
  "$cohort" data show "sqlite:$1" --source-table "$2" --key customer --csv --rows 100000 2>err
}
expect 0 "${score[@]}" -O sqlite:s.db --table other --columns key,decile
rows s.db other >other.txt
same other.txt <(cut -d, -f2,6 chosen.csv) 'the table is that of the file'
expect 0 "${score[@]}" -O sqlite:s.db --table scores --if-exists upsert --columns key,score,label
rows s.db scores >scores.txt
[ "$(wc -l <scores.txt)" = 2001 ] || fail 'rows of a table'
refused 9 "a table 'scores' already" -- "${score[@]}" -O sqlite:s.db --table scores
refused 9 "a table 'SCORES' already" -- "${score[@]}" -O sqlite:s.db --table SCORES
head -101 t.csv >few.csv
expect 0 predict -m run --dataset few.csv -O sqlite:s.db --table scores --if-exists upsert --columns label=bought_label,key,score
rows s.db scores >again.txt
same scores.txt again.txt 'an upsert of equal rows changed the table'
expect 0 predict -m run --dataset few.csv -O sqlite:s.db --table other --if-exists append --columns key,decile
[ "$("$cohort" data show sqlite:s.db --source-table other --csv --rows 100000 2>err | wc -l)" = 2101 ] || fail 'appended rows'
refused 9 'this very job has added its rows' -- predict -m run --dataset few.csv -O sqlite:s.db --table other --if-exists append --columns key,decile
expect 0 predict -m run --dataset few.csv -O sqlite:s.db --table other --if-exists append --columns key,decile --resume
grep -q 'nothing to do' out || fail 'a job that is done, with --resume'
[ "$("$cohort" data show sqlite:s.db --source-table other --csv --rows 100000 2>err | wc -l)" = 2101 ] || fail 'rows appended twice'
refused 9 'do not fit the table' -- "${score[@]}" -O sqlite:s.db --table other --if-exists append
refused 9 'ON CONFLICT' -- "${score[@]}" -O sqlite:s.db --table other --if-exists upsert --columns key,decile
refused 2 'needs the key' -- "${score[@]}" -O sqlite:s.db --table scores --if-exists upsert --columns score
expect 0 "${score[@]}" -O sqlite:s.db --table other --if-exists replace --columns key,decile
[ "$(rows s.db other | sort | cksum)" = "$(sort other.txt | cksum)" ] || fail 'a replaced table'
refused 2 'needs --table' -- "${score[@]}" -O sqlite:s.db
refused 2 'fail, append, replace and upsert' -- "${score[@]}" -O sqlite:s.db --table scores --if-exists perhaps
refused 2 '--if-exists replace' -- "${score[@]}" -O sqlite:s.db --table scores --force
refused 9 'no SQLite database' -- "${score[@]}" -O sqlite:t.csv --table scores --if-exists replace
refused 9 'is a folder' -- "${score[@]}" -O sqlite:run --table scores
refused 9 'nowhere' -- "${score[@]}" -O sqlite:nowhere/s.db --table scores
refused 9 'also read by this command' -- predict -m run --dataset sqlite:s.db --source-table scores \
  -O "sqlite:$dir/s.db" --table Scores --if-exists replace
expect 0 "${score[@]}" -O 'sqlite:odd.db' --table 'a "b"; --' --columns 'key=x"y,score=drop'
"$cohort" data show sqlite:odd.db --source-table 'a "b"; --' --csv --rows 100000 >odd 2>err
[ "$(wc -l <odd)" = 2001 ] || fail 'names are quoted'

# ---- killed in front of operations on files: the former state, or all
# Sanitizers want to be first, which they need not be here.
preloaded() { env "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}" LD_PRELOAD="$kill_at" "$@"; }
kills() { # kills NAME FORMER LATTER ARGUMENTS...: over a copy of s.db, or of nothing
  local name=$1 former=$2 latter=$3 base operations old=0 new=0
  shift 3
  base=$dir/base.db
  restore() { rm -f k.db*; [ ! -e "$base" ] || cp "$base" k.db; }
  restore
  preloaded COHORT_TEST_COUNT="$dir/count" "$cohort" "$@" >out 2>err || fail "$name: what is counted"
  operations=$(cat count)
  for k in 0 1 2 3 4 5 6 7 8 9; do
    # The last ones among them, where the commit is.
    at=$((k < 4 ? operations * (k + 1) / 6 : operations - 9 + k))
    restore
    preloaded COHORT_TEST_KILL_AT=$at "$cohort" "$@" >out 2>err
    [ $? = 137 ] || fail "$name: not killed at $at of $operations"
    if [ ! -e k.db ]; then echo nothing >state; else rows k.db scores >state; fi
    if cmp -s state "$former"; then
      old=$((old + 1))
    elif cmp -s state "$latter"; then
      new=$((new + 1))
    else
      fail "$name: neither before nor after, killed at $at of $operations"
    fi
    if [ -e "$base" ]; then
      rows k.db other >state
      cmp -s state other.txt || fail "$name: another table changed"
    fi
    expect 0 "$@"
    rows k.db scores >state
    cmp -s state "$latter" || fail "$name: done again it differs, killed at $at"
  done 2>/dev/null
  echo "$name: $old times as before, $new times done, of $operations operations"
  [ $old -gt 0 ] || fail "$name: no kill came early"
}
expect 0 "${score[@]}" -O sqlite:base.db --table other --columns key,decile
sed '2,$s/,\([0-9]*\),\(Yes\|No\)$/,3,\2/' t.csv >changed.csv
expect 0 predict -m run --dataset changed.csv -O sqlite:base.db --table scores --if-exists upsert --columns key,score,label
rows base.db scores >former.txt
cmp -s former.txt scores.txt && fail 'changed rows have other scores'
kills upsert former.txt scores.txt "${score[@]}" -O sqlite:k.db --table scores --if-exists upsert --columns key,score,label
kills replace former.txt scores.txt "${score[@]}" -O sqlite:k.db --table scores --if-exists replace --columns key,score,label
rm base.db
echo nothing >nothing
kills new nothing scores.txt "${score[@]}" -O sqlite:k.db --table scores --if-exists upsert --columns key,score,label
[ -z "$(find . -name '*.tmp-*')" ] || fail "temporaries are left: $(find . -name '*.tmp-*')"

exit $failed
