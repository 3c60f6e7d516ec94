#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: postgres.sh COHORT CHECK_JSON. PostgreSQL as source and as sink, on a server of its own: the same
# rows as from files, and none lost or there twice when connections break and the server is killed.
set -u
cohort=$1
check_json=$2
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
# shellcheck source=tests/cli/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/cli/server.sh
. "$here/server.sh"
export OMP_NUM_THREADS=1
same() { cmp -s "$1" "$2" || fail "$3: $(diff "$1" "$2" | head -3)"; }
server_or_not_run || exit $((failed ? 1 : 77))

awk 'BEGIN {
  print "customer,plan,visits,spend,bought"
  for (i = 0; i < 2000; i++) {
    plan = i % 3 == 0 ? "ye\303\244rly" : i % 3 == 1 ? "\"a \"\"b\"\"\\, c\"" : ""
    visits = (i * 37) % 50
    print "C-" i "," plan "," visits "," (i % 11 ? ((i * 53) % 400) / 4 : "") "," (visits > 25 ? "Yes" : "No")
  }
}' >t.csv
sql 'CREATE SCHEMA crm; CREATE TABLE crm.customers (customer text, plan text, visits integer, spend real, bought text)'
"$server_of/psql" "$url" -q -c '\copy crm.customers FROM t.csv CSV HEADER'
expect 0 train --target bought --key customer --dataset t.csv --run-dir run --set trainer.max_epochs=1
expect 0 predict -m run --dataset t.csv -O csv.csv

# ---- source
expect 0 predict -m run --dataset "$url" --source-table crm.customers -O table.csv
same table.csv csv.csv 'a table is scored otherwise'
expect 0 predict -m run --dataset "$url" --query "SELECT customer, plan, visits, spend FROM crm.customers" -O query.csv
same query.csv csv.csv 'a query is scored otherwise'
expect 0 import -O pg.h5 --target bought --key customer "$url" --source-table crm.customers --json
fingerprint=$(grep -o '"fingerprint":"[0-9a-f]*"' out)
"$cohort" import -O file.h5 --target bought --key customer - --json <t.csv >out 2>err
[ "$(grep -o '"fingerprint":"[0-9a-f]*"' out)" = "$fingerprint" ] || fail 'a server makes another dataset'
refused 4 'cannot connect' -- predict -m run --dataset 'postgresql://u:secret@/x?host=/nowhere' --query 'SELECT 1' -O x.csv
grep -q secret err && fail 'a password is told'
refused 4 'does not exist' -- predict -m run --dataset "$url" --source-table nothing -O x.csv
refused 2 'needs --source-table TABLE or --query SQL' -- predict -m run --dataset "$url" -O x.csv
refused 4 'read-only transaction' -- predict -m run --dataset "$url" --query 'SELECT 1; DROP TABLE crm.customers' -O x.csv
refused 4 'the query cannot be run' -- predict -m run --dataset "$url" --query 'DELETE FROM crm.customers' -O x.csv

# ---- a table on the server that is joined
printf 'plan,price\nye\303\244rly,90\nother,1\n' >plans.csv
sql 'CREATE TABLE plans (plan text, price real)'
"$server_of/psql" "$url" -q -c '\copy plans FROM plans.csv CSV HEADER'
expect 0 train --target bought --key customer --dataset t.csv --join plans.csv:plan --run-dir joined --set trainer.max_epochs=1
expect 0 predict -m joined --source t=t.csv --source plans=plans.csv -O joined.csv
expect 0 predict -m joined --source t=t.csv --source "plans=$url" -O served.csv
same served.csv joined.csv 'a joined table on a server'
cat >joined.yaml <<YAML
tables:
  t: {file: t.csv, key: customer, columns: {plan: {}, visits: {}, spend: {}, bought: {role: target}}}
  plans: {file: '$url', query: 'SELECT * FROM plans WHERE price > 0', key: plan}
joins: [{table: plans, to: t, on: plan}]
YAML
expect 0 import -O joined.h5 --target bought --key customer t.csv --join plans.csv:plan --json
fingerprint=$(grep -o '"fingerprint":"[0-9a-f]*"' out)
expect 0 import -O served.h5 --schema joined.yaml --json
[ "$(grep -o '"fingerprint":"[0-9a-f]*"' out)" = "$fingerprint" ] || fail 'a joined table on a server makes another dataset'

# ---- sink
score=(predict -m run --dataset t.csv --quiet --batch-size 100 --save-rows 100)
rows() { "$server_of/psql" "$url" -qAt --csv -c "SELECT * FROM $1 ORDER BY substr(customer, 3)::integer, 2"; }
columns=(--columns 'key,label,score')
expect 0 "${score[@]}" "${columns[@]}" -O whole.csv
sql 'CREATE TABLE whole (customer text, bought_label text, bought_score real)'
"$server_of/psql" "$url" -q -c '\copy whole FROM whole.csv CSV HEADER'
rows whole >state
cp state whole
[ "$(wc -l <whole)" = 2000 ] || fail 'the whole'
expect 0 "${score[@]}" "${columns[@]}" -O "$url" --table scores --json
json rows=2000 resumed_at=0
rows scores >state
same state whole 'a table is not the file'
refused 9 "a table 'scores' already" -- "${score[@]}" "${columns[@]}" -O "$url" --table scores
expect 0 "${score[@]}" "${columns[@]}" -O "$url" --table crm.scores --if-exists replace
expect 0 "${score[@]}" "${columns[@]}" -O "$url" --table crm.scores --if-exists replace
rows crm.scores >state
same state whole 'a table that was replaced'
expect 0 "${score[@]}" "${columns[@]}" -O "$url" --table crm.scores --if-exists append
[ "$(sql 'SELECT count(*), count(DISTINCT customer) FROM crm.scores')" = '4000|2000' ] || fail 'rows that were appended'
refused 9 'this very job has added its rows' -- "${score[@]}" "${columns[@]}" -O "$url" --table crm.scores --if-exists append
refused 9 'do not fit the table' -- "${score[@]}" -O "$url" --table crm.scores --if-exists append --columns key,score=p
refused 9 'ON CONFLICT' -- "${score[@]}" "${columns[@]}" -O "$url" --table crm.scores --if-exists upsert
head -101 t.csv >few.csv
expect 0 predict -m run --dataset few.csv "${columns[@]}" -O "$url" --table upserted --if-exists upsert
sql 'UPDATE upserted SET bought_score = 0'
expect 0 "${score[@]}" "${columns[@]}" -O "$url" --table upserted --if-exists upsert
rows upserted >state
same state whole 'an upsert'
awk -F, -v OFS=, 'NR > 1 { $1 = "\"" $1 "\\\t\nx\"" } 1' t.csv >odd.csv
expect 0 predict -m run --dataset odd.csv -O "$url" --table 'a "b"; --'
[ "$(sql "SELECT count(*) FROM \"a \"\"b\"\"; --\" WHERE customer = 'C-' || '77' || chr(92) || chr(9) || chr(10) || 'x'")" = 1 ] || fail 'characters that COPY has a use for'
expect 0 "${score[@]}" -O "$url" --table ranked --columns key,decile --manifest m.json
refused 2 'needs --table' -- "${score[@]}" -O "$url"
refused 9 'cannot connect' -- "${score[@]}" -O 'postgresql:///x?host=/nowhere' --table t
[ -z "$(sql "SELECT relname FROM pg_class WHERE relname LIKE 'cohort_part%' AND relkind = 'r'")" ] || fail 'parts are left'

# ---- connections that break, a server that is killed; positions take their time, so that there is some
sql 'CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
     CREATE TRIGGER wait BEFORE UPDATE ON cohort_jobs FOR EACH ROW EXECUTE FUNCTION wait()'
cut_off() { sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'cohort'" 2>/dev/null; }
job=("${score[@]}" "${columns[@]}" -O "$url" --table broken)
cuts=0
"$cohort" "${job[@]}" >out 2>err </dev/null &
pid=$!
while kill -0 $pid 2>/dev/null; do
  [ $cuts -ge 3 ] || cuts=$((cuts + $(cut_off)))
  sleep 0.3
done
wait $pid || fail 'a job whose connection broke'
[ $cuts -gt 0 ] || fail 'no connection was cut'
rows broken >state
same state whole "after $cuts connections that broke"
until_saved() { until [ "$(sql "SELECT count(*) FROM cohort_jobs WHERE output = '$1' AND rows_saved > 0 AND done = 0" 2>/dev/null)" = 1 ] || ! kill -0 $pid 2>/dev/null; do :; done; }
for how in 'comes back' 'stays away'; do
  sql 'DROP TABLE broken; DELETE FROM cohort_jobs'
  sql 'CREATE TABLE broken AS SELECT * FROM scores WHERE false'
  "$cohort" "${job[@]}" --if-exists replace --resume >out 2>err </dev/null &
  pid=$!
  until_saved broken
  server_stop
  if [ "$how" = 'comes back' ]; then
    server_start
    wait $pid || fail 'a server that was killed and came back'
  else
    kill -KILL $pid || fail 'it ended too early' # it would wait for half a minute
    wait $pid 2>/dev/null
    server_start
    [ "$(sql 'SELECT count(*) FROM broken')" = 0 ] || fail 'the former table is not intact'
    expect 0 "${job[@]}" --if-exists replace --resume --json
    "$check_json" resumed_at=0 <out >/dev/null 2>&1 && fail 'it did not go on'
  fi
  rows broken >state
  same state whole "a server that $how"
done
expect 0 "${job[@]}" --if-exists append --resume
[ "$(sql 'SELECT count(*) FROM broken')" = 4000 ] || fail 'another job is not that of before'
expect 0 "${job[@]}" --if-exists append --resume --json
json resumed_at=2000
[ "$(sql 'SELECT count(*) FROM broken')" = 4000 ] || fail 'a job that is complete was done again'

# ---- two jobs on one table
"$server_of/psql" "$url" -qAt -c "SELECT pg_advisory_lock(hashtext('cohort'), hashtext('\"broken\"')); SELECT pg_sleep(20)" >locked 2>&1 &
pid=$!
until [ "$(sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" = 1 ]; do :; done
refused 9 'another job is writing the table' -- "${job[@]}" --if-exists replace
kill $pid
wait $pid 2>/dev/null
exit $failed
