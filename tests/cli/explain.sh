#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: explain.sh COHORT CHECK_JSON. What made a score: reasons beside scores, the verb explain, the report.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
awk 'BEGIN {
  srand(1)
  print "customer,plan,visits,noise,since,bought"
  for (i = 0; i < 3000; i++) {
    plan = int(3 * rand())
    visits = int(100 * rand())
    print "C-" i ",\"plan " plan ", so\"," (rand() < 0.05 ? "" : visits) "," rand() ",20" 10 + int(10 * rand()) "-05-01," \
      (visits + 20 * plan > 70 ? "Yes" : "No")
  }
}' >t.csv
expect 0 train --target bought --key customer --dataset t.csv --run-dir run --set trainer.max_epochs=6 --set baselines=none
score=(predict -m run --dataset t.csv --quiet)

# ---- columns
expect 0 "${score[@]}" -O r.csv --columns key,score,reasons2
[ "$(head -n 1 r.csv)" = customer,bought_score,reason_1,reason_1_value,reason_1_effect,reason_2,reason_2_value,reason_2_effect ] || fail 'names of columns'
expect 0 predict -m run --dataset t.csv --quiet -O all.csv --reasons 9
[ "$(head -n 1 all.csv | tr , '\n' | grep -c _effect)" = 3 ] || fail 'more reasons than the model reads columns'
# What decides comes first, with what stands there, and its sign is that of what it does.
awk -F '\t' 'NR > 1 {
  if ($3 == "visits" || $3 == "plan") decides++
  if ($3 == "visits" && $4 >= 60) { high++; up += $5 > 0 }
  if ($3 == "visits" && $4 != "" && $4 <= 20) { low++; down += $5 < 0 }
} END { exit !(decides > 2700 && high > 200 && low > 200 && up > 0.95 * high && down > 0.95 * low) }' \
  <("$cohort" "${score[@]}" -O - --format tsv --columns key,score,reasons2 2>err) || fail 'reasons of a known process'
awk -F '\t' 'NR == FNR { visits[FNR] = $3; next } FNR > 1 && $1 == "visits" && $2 != visits[FNR] { exit 1 }' \
  <(sed 's/"plan \([0-9]\), so"/plan \1/; y/,/\t/' t.csv) \
  <("$cohort" "${score[@]}" -O - --format tsv --columns reasons1 2>err) || fail 'values'
grep -q ',plan,"plan [0-9], so",' r.csv || fail 'a value with a comma'
expect 0 "${score[@]}" -O two.csv --columns bought.reasons2=why
[ "$(head -n 1 two.csv)" = why_1,why_1_value,why_1_effect,why_2,why_2_value,why_2_effect ] || fail 'another name'
expect 0 "${score[@]}" -O r.jsonl --columns key,reasons2
head -n 1 r.jsonl >out
json "reasons.0.column=$(sed -n '2s/^[^,]*,[^,]*,\([^,]*\),.*/\1/p' r.csv)"
[ "$(grep -o '"column"' out | wc -l)" = 2 ] || fail 'as many in lists'

# ---- the same rows have the same reasons, wherever they are scored
expect 0 "${score[@]}" -O ranked.csv --columns rank,key,score,reasons2
cmp -s <(cut -d , -f 2- ranked.csv) r.csv || fail 'reasons of ranked rows'
for shard in 1 2; do expect 0 "${score[@]}" -O "s$shard.csv" --columns key,score,reasons2 --shard "$shard/2"; done
cmp -s <(cat s1.csv; tail -n +2 s2.csv) r.csv || fail 'reasons of shards'
for workers in 1 3; do expect 0 "${score[@]}" -O "w$workers.csv" --columns key,score,reasons2 --workers "$workers"; done
cmp -s w1.csv r.csv || fail 'reasons with one worker'
cmp -s w3.csv r.csv || fail 'reasons with workers'
resumed=("${score[@]}" -O k.csv --columns "key,score,reasons2" --save-rows 100 --batch-size 100 --resume)
for ((i = 1; i < 12 && i; i++)); do
  timeout -s KILL "0.$((i % 4 + 1))" "$cohort" "${resumed[@]}" >out 2>err
  [ -e k.csv ] && i=-1
done 2>/dev/null
expect 0 "${resumed[@]}"
cmp -s k.csv r.csv || fail 'reasons of a job that was killed'
expect 0 "${resumed[@]}"

# ---- the verb
explain=(explain -m run --dataset t.csv)
expect 0 "${explain[@]}" --row C-7 --row C-2999 --json
json ok=true verb=explain target=bought explained=2 rows.0.key=C-7 rows.1.key=C-2999 'method=integrated gradients'
expect 0 "${explain[@]}" --row C-7
grep -q '^C-7: bought 0\.[0-9]*, log-odds ' out || fail 'text'
grep -q '^  visits  ' out || fail 'effects as text'
expect 0 "${explain[@]}"
[ "$(grep -c '^C-' out)" = 5 ] || fail 'rows by default'
expect 0 "${explain[@]}" -O e.csv --quiet
[ "$(head -n 1 e.csv)" = customer,column,value,effect ] || fail 'the first line'
[ "$(wc -l <e.csv)" = 12001 ] || fail 'a line for each column'
# A row's effects and the reference add up to its score's log-odds, and are those of its reasons.
expect 0 "${score[@]}" -O p.tsv --format tsv --columns key,score,reasons3
awk -F '\t' 'function odds(p) { return log(p / (1 - p)) }
  NR == FNR { if (FNR > 1) { score[$1] = $2; first[$1] = $3; effect[$1] = $5 } next }
  { sum[$1] += $4 }
  $2 == first[$1] && $4 != effect[$1] { exit bad = 1 }
  END { if (bad) exit 1; for (k in score) { d = sum[k] - odds(score[k]); if (d < -0.15 || d > 0.15) exit 1 } }' \
  p.tsv <(tail -n +2 e.csv | sed 's/"plan \([0-9]\), so"/plan \1/; y/,/\t/') || fail 'effects do not add up to scores'
expect 0 "${explain[@]}" -O e.jsonl --rows 3 --quiet
[ "$(wc -l <e.jsonl)" = 3 ] || fail 'lines of JSON'
expect 0 explain -m run --dataset run/dataset.h5 --split test --rows 2 --steps 512 --json
[ "$("$check_json" largest_rest=x <out 2>&1 | sed -n "s/.*found '\([^']*\)'.*/\1/p" | awk '{ print ($1 < 0.02) }')" = 1 ] || fail 'the error of many steps'
refused 2 'pictures of images alone' -- "${explain[@]}" -O x.html
refused 4 "no row has the key 'C-x'" -- "${explain[@]}" --row C-x
refused 4 "no row has the key 'C-x'" -- "${explain[@]}" --row C-1 --row C-x -O x.csv
refused 2 'chosen by their keys' -- "${explain[@]}" --row C-1 --rows 3
refused 2 'is not one of several classes' -- "${explain[@]}" --class Yes
refused 2 "no output 'x'" -- "${explain[@]}" --target x
refused 9 'e.csv' -- "${explain[@]}" -O e.csv
refused 2 'a raw table has none' -- "${explain[@]}" --split test

# ---- names that take fewer columns than bytes do not shift their lines
awk 'BEGIN {
  print "client,région,dépense,评论数,acheté"
  for (i = 0; i < 400; i++) print "C-" i (i % 3 ? ",Île," : ",Nord,") i % 7 "," i % 5 (i % 7 > 3 ? ",oui" : ",non")
}' >accents.csv
expect 0 train --target acheté --key client --dataset accents.csv --run-dir accents --set trainer.max_epochs=1
# How many columns $1 starts in: a character of two bytes takes one column, those here of three take two.
starts() {
  LC_ALL=C sed 's/[\xE0-\xEF]\(..\)/\1ww/g; s/[\x80-\xBF]//g; s/[\xC2-\xDF]/x/g' | LC_ALL=C awk -v what="$1" '
    { at = match($0, what) }
    at && !seen[at]++ { n++ }
    END { print n + 0 }'
}
expect 0 explain -m accents --dataset accents.csv --row C-3 --row C-4
[ "$(grep '^  ' out | starts '[-+][0-9.]*$')" = 1 ] || fail "effects under each other: $(cat out)"
expect 0 evaluate -m accents --dataset accents/dataset.h5
[ "$(sed '1,/^beside/d; /tenths/,$d' out | grep -E ' (model|log_loss|accuracy) ' | starts '(model|[0-9]\.[0-9]+)')" = 1 ] ||
  fail "metrics under each other: $(cat out)"
! grep -q ' $' out || fail "blanks at the ends of lines: $(cat out)"
expect 0 plan -c accents/config.yaml --dataset accents/dataset.h5
[ "$(starts ' dense ' <out)" = 1 ] || fail "operations under each other: $(cat out)"
! grep -q ' $' out || fail "blanks at the ends of lines: $(cat out)"

expect 0 report accents -O accents.html
[ "$(grep -A 12 'Tenths by score' accents.html | grep -oE '<tr><th scope="row">[0-9]+</th><td>[^<]*</td><td>[^<]*' |
  grep -cE '<td>[0-9]+\.[0-9]</td><td>[0-9]+\.[0-9]$')" = 10 ] || fail 'rows of tenths are written differently'

# ---- the report
expect 0 report run -O report.html --json
[ "$("$check_json" attribution.visits=x <out 2>&1 | sed -n "s/.*found '\([^']*\)'.*/\1/p" | awk '{ print ($1 > 0.5) }')" = 1 ] || fail 'mean effects'
grep -q 'Direction of effects' report.html || fail 'effects in the report'
cp report.html first.html
expect 0 report run -O report.html --force --workers 3
cmp -s report.html first.html || fail 'the report differs'

# ---- mistakes
refused 2 'reasons0' -- "${score[@]}" -O x.csv --columns reasons0
refused 2 'reasons already' -- "${score[@]}" -O x.csv --columns reasons1,reasons2

# ---- an ensemble: effects add up to the log-odds of its score, above those of the mean row
for type in svm linear; do
  echo "predictor: {type: $type}" >$type.yaml
  expect 0 train -c $type.yaml --target bought --key customer --dataset t.csv --run-dir $type
done
expect 0 predict -m svm -m linear --dataset t.csv --ensemble mean -O mean.csv --columns key,score,reasons4
sed 's/"plan [0-9], so"/plan/' mean.csv | awk -F, '
  NR > 1 && $2 < 0.9 { # floats next to 1 have few digits of log-odds
    rest = log($2 / (1 - $2)) - $5 - $8 - $11 - $14
    if (!n++) first = rest
    if (rest - first > 1e-4 || first - rest > 1e-4) exit 1
  }
  END { if (n < 1000) exit 1 }' || fail 'reasons of an ensemble do not add up'
refused 2 'means of places have none' -- predict -m svm -m linear --dataset t.csv --ensemble rank_mean -O x.csv --reasons 1
exit $failed
