#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: models.sh COHORT CHECK_JSON KILL_AT. Several models in one job: side by side, and as one score.
set -u
cohort=$1
check_json=$2
kill_at=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
same() { cmp -s "$1" "$2" || fail "$3: $(diff "$1" "$2" | head -3)"; }
column() { # column FILE NAME: its cells
  awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } NR > 1 { print $at }' "$1"
}

# Models of other columns, other categories and another date format each.
awk 'BEGIN {
  print "customer,plan,visits,since,bought,value"
  for (i = 0; i < 900; i++) {
    plan = i % 3 == 0 ? "yearly" : i % 3 == 1 ? "monthly" : "free"
    visits = (i * 37) % 50
    printf "C-%d,%s,%s,2024-%02d-%02d,%s,%d\n", i, plan, i % 11 ? visits : "", i % 12 + 1, i % 28 + 1,
      (visits + (i % 3 == 1 ? 20 : 0) > 40 ? "Yes" : "No"), visits * 2 + i % 3
  }
}' >t.csv
cut -d, -f1-3,5 t.csv >some.csv
awk -F, -v OFS=, '$2 != "free" { $4 = ""; print }' t.csv | cut -d, -f1-2,5 >others.csv
epochs=(--set trainer.max_epochs=1 --quiet)
expect 0 train --target bought --key customer --dataset some.csv --run-dir A --seed 1 "${epochs[@]}"
expect 0 train --target bought --key customer --dataset some.csv --run-dir B --seed 2 "${epochs[@]}"
expect 0 train --target bought --key customer --dataset others.csv --run-dir C "${epochs[@]}"
expect 0 train --target value --key customer --dataset t.csv --run-dir V "${epochs[@]}" --set input_features=all
score=(predict --dataset t.csv --quiet)
for model in A B C V; do expect 0 "${score[@]}" -m $model -O $model.csv; done

# ---- side by side: what each alone gives, whatever it reads; the source, a pipe, is read once
"$cohort" predict -m A -m second=B -m C/model.h5 -m V --dataset - --quiet -O all.csv --json <t.csv >out 2>err || fail 'a pipe'
json rows=900 models.1.name=second models.2.name=C models.3.golden.rows=16 ensemble=null
[ "$(head -1 all.csv)" = customer,A_bought,A_bought_score,second_bought,second_bought_score,C_bought,C_bought_score,V_value ] ||
  fail "header: $(head -1 all.csv)"
same <(column all.csv A_bought_score) <(column A.csv bought_score) 'scores of A'
same <(column all.csv second_bought_score) <(column B.csv bought_score) 'scores of B'
same <(column all.csv C_bought_score) <(column C.csv bought_score) 'scores of C'
same <(column all.csv V_value) <(column V.csv value) 'values of V'
"$check_json" models.0.name=A "models.2.sha256=$(sha256sum C/model.h5 | cut -d' ' -f1)" models.3.golden.rows=16 \
  rows.scored=900 <all.csv.manifest.json || fail 'manifest of several models'
expect 0 "${score[@]}" -m A -m C -O chosen.csv --columns C_bought.score=c,key,A_bought.decile,C_bought.label
same <(column chosen.csv c) <(column C.csv bought_score) 'a chosen column'
expect 0 predict -m first=A -m C --dataset some.csv --quiet -O named.csv
same <(column named.csv first_bought_score) <(column A.csv bought_score) 'a first model that has a name'
expect 0 "${score[@]}" -m A -m C -O part.csv --shard 2/3 --passthrough visits
same <(column part.csv C_bought_score) <(column C.csv bought_score | sed -n '301,600p') 'a shard of several'
same <(column part.csv visits) <(column t.csv visits | sed -n '301,600p') 'a column passed through'

# ---- a table that is joined for one of them
printf 'plan,price\nyearly,90\nmonthly,9\nfree,0\n' >plans.csv
expect 0 train --target bought --key customer --dataset some.csv --join plans.csv:plan --run-dir joined "${epochs[@]}"
sources=(--source some=some.csv --source plans=plans.csv)
expect 0 predict -m joined "${sources[@]}" --quiet -O joined.csv
expect 0 predict -m A -m joined "${sources[@]}" --quiet -O with.csv --passthrough visits
same <(column with.csv A_bought_score) <(column A.csv bought_score) 'a model beside one of joined tables'
same <(column with.csv joined_bought_score) <(column joined.csv bought_score) 'one of joined tables beside another'
refused 2 'there is no such table' -- predict -m A -m joined "${sources[@]}" --source nobody=plans.csv --quiet -O x.csv
refused 4 "no source of table 'plans'" -- predict -m A -m joined --dataset some.csv --quiet -O x.csv

# ---- one score: means, and means of places, by hand
expect 0 "${score[@]}" -m A -m B -m C --ensemble mean -O mean.csv --json
json ensemble=mean models.2.name=C
paste -d, <(column mean.csv bought_score) <(column A.csv bought_score) <(column B.csv bought_score) <(column C.csv bought_score) |
  awk -F, '{ d = $1 - ($2 + $3 + $4) / 3; if (d > 1e-6 || d < -1e-6) exit 1 }' || fail 'means'
expect 0 "${score[@]}" -m A -m C --ensemble rank_mean -O rank.csv --columns key,score=s,rank=r
expect 0 "${score[@]}" -m A -m C --ensemble rank_mean -O rank0.csv
same <(column rank.csv s) <(column rank0.csv bought_rank_mean) 'with and without ranks'
paste -d, <(column rank.csv s) <(column rank.csv r) <(column A.csv bought_score) <(column C.csv bought_score) | awk -F, '
  { n++; s[n] = $1; r[n] = $2; a[n] = $3; c[n] = $4 }
  END {
    for (i = 1; i <= n; i++) {
      x = y = higher = 0
      for (k = 1; k <= n; k++) { x += a[k] + 0 <= a[i] + 0; y += c[k] + 0 <= c[i] + 0; higher += s[k] + 0 > s[i] + 0 }
      d = s[i] - (x + y) / 2 / n
      if (d > 1e-6 || d < -1e-6 || r[i] != higher + 1) exit 1
    }
  }' || fail 'means of places'
refused 5 'its targets and classes are not those of A/model.h5' -- "${score[@]}" -m A -m V --ensemble mean -O x.csv
refused 5 'its targets and classes are not those of A/model.h5' -- "${score[@]}" -m A -m V --ensemble rank_mean -O x.csv
refused 2 'there is one model only' -- "${score[@]}" -m A --ensemble mean -O x.csv
refused 2 'there are mean and rank_mean' -- "${score[@]}" -m A -m B --ensemble median -O x.csv
refused 2 'one by one' -- "${score[@]}" -m A -m B --ensemble mean --calibrated -O x.csv
refused 2 "would both be called 'A'" -- "${score[@]}" -m A -m A/model.h5 -O x.csv
refused 5 'no such run directory' -- "${score[@]}" -m A -m nobody -O x.csv

# ---- an experiment: all of its runs are members
expect 0 import -O d.h5 --target bought --key customer some.csv
expect 0 experiment --dataset d.h5 -c A/config.yaml --k-fold 3 --run-dir folds --quiet
expect 0 "${score[@]}" -m folds -O folds.csv --json
json ensemble=mean models.0.name=fold-0 models.2.name=fold-2
expect 0 "${score[@]}" -m folds/fold-0 -m folds/fold-1 -m folds/fold-2 --ensemble mean -O runs.csv
same folds.csv runs.csv 'an experiment, and its runs'
refused 2 'do not stand side by side' -- "${score[@]}" -m A -m folds -O x.csv

# ---- measured on the same rows: what each alone is, and their differences
metrics() { sed 's/.*"metrics":{\("[^{]*{[^}]*}\).*/\1/' out; }
expect 0 evaluate -m A --dataset d.h5 --json
alone=$(metrics)
expect 0 evaluate -m C -m a=A -m V --dataset t.csv --split all --json
json rows=900 models.0.name=C models.1.name=a models.2.model=V/model.h5 pairs.0.model=a pairs.0.than=C pairs.0.metric=log_loss
grep -q '"than":"C","output":"value"' out && fail 'a difference of outputs that are not the same'
expect 0 evaluate -m B -m A --dataset d.h5 --json
cp out both
grep -qF "$alone" both || fail "metrics of a model beside another: $alone"
refused 10 "required roc_auc>=2, but it is" -- evaluate -m B --dataset d.h5 --require 'roc_auc>=2'
expect 10 evaluate -m B -m A --dataset d.h5 --require 'roc_auc>=2' --quiet
[ "$(grep -c 'of [AB]$' err)" = 2 ] || fail 'a gate for each of two models'
refused 2 "would both be called 'A'" -- evaluate -m A -m A/model.h5 --dataset d.h5
refused 2 'standard input is read once' -- evaluate -m A -m B --dataset -

# ---- a row has to be good for all; one golden row that differs ends it
sed '5s/,[0-9]*,2024/,many,2024/' t.csv >bad.csv
expect 0 predict -m C -m A --dataset bad.csv --quiet -O bad.out --json
json rows=899 rejected=1
cut -d, -f1-4 bad.out.rejects.csv | grep -q '^5,4,"C-3","visits"' || fail "reject: $(cat bad.out.rejects.csv)"

# A value that one of the models refuses, and a row without a key: from a database there is no text to tell.
cat >strict.yaml <<'YAML'
input_features:
  - {name: visits, preprocessing: {missing: refuse}}
output_features: targets
trainer: {max_epochs: 1}
YAML
awk -F, 'NR == 1 || $3 != ""' some.csv >full.csv
expect 0 import -O full.h5 --target bought --key customer full.csv
expect 0 train -c strict.yaml --dataset full.h5 --run-dir strict --quiet
sed '21s/,[0-9]*,2024/,,2024/; 31s/^C-29/ /' t.csv | awk -F, -v OFS=, 'NR > 1 && NR != 21 && $3 == "" { $3 = 9 } 1' >gaps.csv
gaps=(predict -m A -m strict --quiet '--columns=key,strict_bought.score')
expect 0 "${gaps[@]}" --dataset gaps.csv --key customer -O gaps.out --json
json rows=898 rejected=2
[ "$(cut -d, -f1 gaps.out | grep -cx -e C-19 -e C-29)" = 0 ] || fail 'rows that were refused are scored'
[ "$(wc -l <gaps.out)" = 899 ] || fail 'rows are missing'
[ "$(head -1 gaps.out.rejects.csv)" = line,row,key,column,reason,text,file ] || fail 'header of rejects'
grep -qxF ",20,\"C-19\",,\"column 'visits': the value is missing\",,\"gaps.csv\"" gaps.out.rejects.csv || fail "rejects: $(cat gaps.out.rejects.csv)"
grep -q '^31,30,"","customer",' gaps.out.rejects.csv || fail "a reject without a key: $(cat gaps.out.rejects.csv)"
expect 0 "${gaps[@]}" --dataset gaps.csv --key customer -O skipped.out --on-error skip
cmp -s skipped.out gaps.out || fail 'skipped rows'
[ ! -e skipped.out.rejects.csv ] || fail 'rows that are skipped are in a file'
expect 0 "${gaps[@]}" --dataset gaps.csv --key customer -O ranked.out --columns key,strict_bought.rank
[ "$(wc -l <ranked.out)" = 899 ] || fail 'places among rows that are left'
refused 4 "row 20, key C-19: column 'visits': the value is missing" -- "${gaps[@]}" --dataset <(sed 31d gaps.csv) --key customer -O x.csv --on-error fail
refused 4 "2 of 900 rows cannot be taken, more than the 1 allowed, such as row 20, key C-19: column 'visits': the value is missing" -- "${gaps[@]}" --dataset gaps.csv --key customer -O x.csv --max-errors 1
if command -v sqlite3 >/dev/null; then
  sqlite3 gaps.db '.mode csv' '.import gaps.csv rows' 2>/dev/null
  expect 0 "${gaps[@]}" --dataset sqlite:gaps.db --source-table rows --key customer -O gapdb.out --json
  json rows=898 rejected=2
  grep -q "^,20,\"C-19\",,\"column 'visits': the value is missing\",,\"" gapdb.out.rejects.csv || fail "rejects: $(cat gapdb.out.rejects.csv)"
  cmp -s gapdb.out gaps.out || fail 'the same rows of a database'
fi

# ---- killed and resumed: the same bytes; of other models it is refused
preloaded() { env "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}" LD_PRELOAD="$kill_at" "$@"; }
for i in {1..40}; do tail -n +2 t.csv | sed "s/^C/C$i/"; done | cat <(head -1 t.csv) - >long.in
begun=(--dataset long.in --quiet -O long.csv --batch-size 200 --save-rows 100 '--columns=key,score')
long=(predict -m A -m C --ensemble mean "${begun[@]}")
preloaded COHORT_TEST_COUNT=count "$cohort" "${long[@]}" >out 2>err || fail 'a job that is counted'
mv long.csv whole.csv
for before in 22 16 9; do
  preloaded COHORT_TEST_KILL_AT=$(($(cat count) - before)) "$cohort" "${long[@]}" >out 2>err
  [ $? = 137 ] || fail "not killed $before operations before the end"
  [ ! -f long.csv ] || fail "it was killed $before operations before the end, and is complete"
  expect 5 predict -m A -m B --ensemble mean "${begun[@]}" --resume
  expect 2 predict -m A -m C --ensemble rank_mean "${begun[@]}" --resume
  expect 0 "${long[@]}" --resume --json
  "$check_json" resumed_at=0 <out >/dev/null 2>&1 && fail 'it did not go on'
  same long.csv whole.csv "killed $before operations before the end"
  rm -f long.csv*
done
exit $failed
