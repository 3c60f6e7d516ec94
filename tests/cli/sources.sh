#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: sources.sh COHORT CHECK_JSON. One table from every source that there is: the same dataset, the
# same scores; and what becomes of rows that cannot be taken.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export TMPDIR=$dir
# expect EXIT ARGUMENTS...: runs the program on standard input, its output in out and err.
expect() {
  local wanted=$1 code
  shift
  "$cohort" "$@" >out 2>err
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: cohort $*"
}
fingerprint() { grep -o '"fingerprint":"[0-9a-f]*"' out; }

# One table of 400 customers as CSV, as JSON lines and as statements of SQL.
awk -v q="'" 'BEGIN {
  print "customer,town,visits,spend,bought" >"t.csv"
  print "CREATE TABLE customers (customer TEXT, town TEXT, visits INTEGER, spend REAL, bought TEXT);" \
        "BEGIN;" >"t.sql"
  for (i = 0; i < 400; i++) {
    town = i % 3 ? "K\303\266ln" : "Li\303\250ge, \"centre\""
    quoted = town; gsub("\"", "\"\"", quoted)
    escaped = town; gsub("\"", "\\\"", escaped)
    visits = (i * 37) % 50
    spend = i % 11 ? ((i * 53) % 400) / 4 : ""
    bought = visits > 25 ? "Yes" : "No"
    printf "C-%d,\"%s\",%d,%s,%s\n", i, quoted, visits, spend, bought >"t.csv"
    printf "{\"customer\":\"C-%d\",\"town\":\"%s\",\"visits\":%d,\"spend\":%s,\"bought\":\"%s\"}\n", i,
           escaped, visits, spend == "" ? "null" : spend, bought >"t.jsonl"
    printf "INSERT INTO customers VALUES (%sC-%d%s,%s%s%s,%d,%s,%s%s%s);\n", q, i, q, q, town, q,
           visits, spend == "" ? "NULL" : spend, q, bought, q >"t.sql"
  }
  print "COMMIT;" >"t.sql"
}'
recipe=(--target bought --key customer --seed 3)
expect 0 import -O csv.h5 "${recipe[@]}" t.csv --json
json ok=true rejected=0
same=$(fingerprint)

# ---- the same from elsewhere
expect 0 import -O x.h5 "${recipe[@]}" t.jsonl --json
[ "$(fingerprint)" = "$same" ] || fail 'JSON lines make another dataset'
gzip -c t.jsonl >t.jsonl.gz
expect 0 import -O x.h5 --force "${recipe[@]}" t.jsonl.gz --json
[ "$(fingerprint)" = "$same" ] || fail 'JSON lines in gzip make another dataset'
expect 0 import -O x.h5 --force "${recipe[@]}" - --json <t.csv
json rows.train=287 rows.validation=36 rows.test=77 # of another name
expect 0 import -O x.h5 --force "${recipe[@]}" <(cat t.csv) --json
json rows.train=287 rows.validation=36 rows.test=77
mkdir wide latin bad
iconv -f utf-8 -t utf-16 t.csv >wide/t.csv
expect 0 import -O x.h5 --force "${recipe[@]}" --encoding utf-16 wide/t.csv --json
[ "$(fingerprint)" = "$same" ] || fail 'UTF-16 makes another dataset'
iconv -f utf-8 -t latin1 t.csv >latin/t.csv
expect 0 import -O x.h5 --force "${recipe[@]}" --encoding latin1 latin/t.csv --json
[ "$(fingerprint)" = "$same" ] || fail 'latin1 makes another dataset'
for encoding in utf-16 latin1; do # JSON lines, too
  iconv -f utf-8 -t $encoding t.jsonl >latin/t.jsonl
  expect 0 import -O x.h5 --force "${recipe[@]}" --encoding $encoding latin/t.jsonl --json
  [ "$(fingerprint)" = "$same" ] || fail "JSON lines in $encoding make another dataset"
done
OMP_NUM_THREADS=3 expect 0 import -O x.h5 --force "${recipe[@]}" t.csv --json
[ "$(fingerprint)" = "$same" ] || fail 'three threads make another dataset'
cmp -s csv.h5 x.h5 || fail 'three threads make other bytes'
head -1 t.csv >a.csv
sed -n '2,150p' t.csv >>a.csv
sed -n '150,$p' t.jsonl | sed 's/^{\(.*\),\("bought":"[A-Za-z]*"\)}$/{\2,\1}/' >b.jsonl
expect 0 import -O x.h5 --force "${recipe[@]}" a.csv b.jsonl --json
json rows.train=287

# ---- databases
if [ -n "$(command -v sqlite3)" ]; then
  sqlite3 t.db <t.sql
  expect 0 import -O x.h5 --force "${recipe[@]}" sqlite:t.db --source-table customers --json
  [ "$(fingerprint)" = "$same" ] || fail 'a database makes another dataset'
  expect 0 import -O x.h5 "${recipe[@]}" sqlite:t.db --source-table customers
  grep -q 'up to date' out || fail 'an equal import from a database is up to date'
  expect 0 import -O x.h5 --force "${recipe[@]}" t.db --json \
    --query 'SELECT * FROM customers WHERE visits > 10'
  [ "$(fingerprint)" != "$same" ] || fail 'a query has no effect'
  refused 2 'needs --source-table TABLE or --query SQL' -- import -O y.h5 --target bought sqlite:t.db
  refused 4 'no such table: nothing' -- import -O y.h5 --target bought sqlite:t.db --source-table nothing
  refused 2 'one statement that reads rows' -- import -O y.h5 --target bought sqlite:t.db --query 'DELETE FROM customers'
  refused 2 'one statement that reads rows' -- import -O y.h5 --target bought sqlite:t.db --query 'SELECT 1; SELECT 2'
  refused 4 'cannot open the database' -- import -O y.h5 --target bought sqlite:nothing.db --query 'SELECT 1'
else
  echo 'NOT RUN: databases: there is no sqlite3'
fi
refused 2 '--query is for a database' -- import -O y.h5 --target bought t.csv --query 'SELECT 1'
refused 2 "no encoding 'klingon'" -- import -O y.h5 --target bought t.csv --encoding klingon
refused 2 'leave --header out' -- import -O y.h5 --target bought --header a,b t.jsonl
refused 4 "there is no column 'nothing'" -- import -O y.h5 --target bought a.csv b.jsonl --ignore nothing

# ---- training and scoring
expect 0 train --target bought --key customer --dataset - --run-dir run --set trainer.max_epochs=2 <t.jsonl
expect 0 predict -m run --dataset t.csv -O csv.csv
expect 0 predict -m run --dataset t.jsonl -O json.csv
cmp -s csv.csv json.csv || fail 'JSON lines are scored otherwise'
expect 0 predict -m run --dataset - -O - <t.csv
cmp -s csv.csv out || fail 'standard input is scored otherwise'
expect 0 predict -m run --dataset latin/t.csv --encoding latin1 -O latin-scores.csv
cmp -s csv.csv latin-scores.csv || fail 'latin1 is scored otherwise'
[ ! -f t.db ] || expect 0 predict -m run --dataset sqlite:t.db --source-table customers -O db.csv
[ ! -f t.db ] || cmp -s csv.csv db.csv || fail 'a database is scored otherwise'
refused 2 '--encoding is for a raw table' -- predict -m run --dataset csv.h5 --encoding latin1 -O y.csv
[ -z "$(find . -name '*.tmp-*')" ] || fail 'temporaries are left'

# ---- rows that cannot be taken
{
  sed -n '1,20p' t.csv
  printf 'C-x,"open\n'
  sed -n '21,40p' t.csv
  printf 'C-y,caf\351,1,2,Yes\nC-z,a,1e999,1,No\nC-q,a,1\n'
  sed -n '41,$p' t.csv
} >bad/t.csv
refused 4 'bad/t.csv:21: row 20' -- import -O y.h5 "${recipe[@]}" bad/t.csv
sed -i 21d bad/t.csv
refused 4 "bad/t.csv:41: row 40, column 'town': the text is not UTF-8" -- import -O y.h5 "${recipe[@]}" bad/t.csv
expect 0 import -O y.h5 "${recipe[@]}" --on-error quarantine bad/t.csv --json
json rejected=3
[ "$(fingerprint)" = "$same" ] || fail 'bad rows change what is made of the good ones'
[ "$(wc -l <y.h5.rejects.csv)" = 4 ] || fail 'not three rejects'
sed -n 2p y.h5.rejects.csv | grep -aq '^41,40,,"town","the text is not UTF-8 at 0xE9, byte [0-9]* of the text","C-y,' || fail 'the first reject'
grep -qxF '42,41,"C-z","visits","'\''1e999'\'' is beyond the range of numbers, 3.4e38","C-z,a,1e999,1,No","bad/t.csv"' y.h5.rejects.csv || fail 'the second reject'
grep -qxF '43,42,,,"3 fields instead of 5","C-q,a,1","bad/t.csv"' y.h5.rejects.csv || fail 'the third reject'
expect 0 import -O z.h5 "${recipe[@]}" --on-error skip bad/t.csv --json
[ "$(fingerprint)" = "$same" ] || fail 'rows that are skipped'
[ ! -e z.h5.rejects.csv ] || fail 'rows that are skipped are in a file'
refused 4 "3 of 403 rows cannot be taken, more than the 2 allowed, such as row 40, column 'town': the text is not UTF-8" -- import -O w.h5 "${recipe[@]}" --on-error skip --max-errors 2 bad/t.csv
head -3 t.csv >few.csv
echo 'C-z,a,1e999,1,No' >>few.csv
refused 4 "such as row 3, column 'visits': '1e999' is beyond the range" -- import -O w.h5 "${recipe[@]}" --on-error skip few.csv
refused 2 'must be rows, or a share' -- import -O w.h5 "${recipe[@]}" --max-errors many bad/t.csv
refused 2 'not understood' -- import -O w.h5 "${recipe[@]}" --on-error shrug bad/t.csv
expect 0 predict -m run --dataset bad/t.csv -O scores.csv --json
json rows=400 rejected=3
cmp -s csv.csv scores.csv || fail 'good rows among bad ones are scored otherwise'
[ "$(wc -l <scores.csv.rejects.csv)" = 4 ] || fail 'rejects of scoring'
grep -q '3 rows cannot be taken and are not scored; they are in scores.csv.rejects.csv' err || fail 'rejects are told'
refused 4 "more than the 0.5 % allowed, such as row 40, column 'town': the text is not UTF-8" -- predict -m run --dataset bad/t.csv -O w.csv --max-errors 0.5%
refused 4 'bad/t.csv:41: row 40' -- predict -m run --dataset bad/t.csv -O w.csv --on-error fail

# ---- copies, and splits by time
awk 'BEGIN { print "day,town,n,t"; for (i = 0; i < 300; i++) printf "2011-%02d-%02d,%s,%d,%d\n", i % 12 + 1, i % 28 + 1, i % 2 ? "a" : "b", i % 7, i % 5 == 0 }' >days.csv
{ cat days.csv; sed -n '10,59p' days.csv; } >copies.csv
distinct=$(($(sort -u days.csv | wc -l) - 1))
expect 0 import -O k.h5 --target t copies.csv --duplicates drop --json
json dropped=$((350 - distinct))
same=$(fingerprint)
mkdir one
awk '!seen[$0]++' days.csv >one/copies.csv
expect 0 import -O l.h5 --target t one/copies.csv --json
[ "$(fingerprint)" = "$same" ] || fail 'without copies another dataset'
refused 4 'the row repeats an earlier one' -- import -O m.h5 --target t copies.csv --duplicates fail
refused 2 'must be keep, drop or fail' -- import -O m.h5 --target t copies.csv --duplicates often
expect 0 import -O m.h5 --target t --split time:2011-07-01,2011-10-01 days.csv --json
json rows.train=150 rows.validation=75 rows.test=75
expect 0 import -O m.h5 --force --target t --split 'time:day:2011-07-01 00:00,2011-12-15T12:00Z' days.csv --json
json rows.test=14
refused 4 "'a' is no date to split by" -- import -O n.h5 --target t --split time:town:2011-07-01,2011-10-01 <(sed 's/,b,/,a,/' days.csv)
refused 4 '0 columns are of dates' -- import -O n.h5 --target t --split time:2011-07-01,2011-10-01 <(cut -d, -f2- days.csv)
refused 2 'not understood' -- import -O n.h5 --target t --split time:2011-10-01,2011-07-01 days.csv
exit $failed
