#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: data.sh COHORT CHECK_JSON. Looking at data: what is found in tables with planted faults,
# profiles, rows as text, CSV and JSON.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export TMPDIR=$dir/tmp
mkdir tmp
# expect EXIT ARGUMENTS...: runs the program, its output in out and err.
expect() {
  local wanted=$1 code
  shift
  "$cohort" "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: cohort $*"
  [ -z "$(ls tmp)" ] || fail "something is left in TMPDIR: cohort $*"
}
# refused EXIT TEXT -- ARGUMENTS...: an error in one line that has the text.
refused() {
  local wanted=$1 text=$2
  shift 3
  expect "$wanted" "$@" --quiet
  [ "$(grep -c '^error\[' err)" = 1 ] || fail "not one error: cohort $*"
  grep -qF -- "$text" err || fail "stderr lacks '$text': cohort $*"
}
finds() { grep -q "\"id\":\"$1\",\"severity\":\"$2\",\"column\":\"$3\"" out || fail "no $1 of $3"; }

# Customers with a fee that only those who left have paid, and a running number.
awk 'BEGIN {
  print "customer,number,plan,visits,fee,country,left"
  for (i = 0; i < 900; i++) {
    gone = (i * 7919) % 10 < 3
    print "C-" i "," 5000 + i "," (i % 3 ? "monthly" : "yearly") "," (i * 37) % 1000 / 10 "," \
      (gone ? 25 + i % 7 : (i * 13) % 9) ",DE," (gone ? "Yes" : "No")
  }
}' >customers.csv

# ---- check
expect 0 data check customers.csv --target left --key customer --json
json ok=true verb=data dataset=customers.csv inputs=5 targets=1
finds target_leak error fee
finds identifier_like warning number
finds constant_column warning country
[ "$(grep -o '"id":' out | wc -l)" = 3 ] || fail 'more findings than planted'
grep -q '"way_out":"[^"]' out || fail 'no way out'
expect 0 data check customers.csv --target left --key customer
grep -q '^error    target_leak: fee$' out || fail 'the finding as text'
refused 10 'target_leak of fee' -- data check customers.csv --target left --key customer --strict
expect 10 data check customers.csv --target left --key customer --strict --json
json ok=false error.code=gate
finds target_leak error fee
expect 0 import -O d.h5 --target left --key customer --ignore fee --ignore number --ignore country customers.csv
expect 0 data check d.h5 --strict
grep -q 'no findings' out || fail 'a clean dataset has findings'
expect 0 data check customers.csv
grep -q 'there is no target' out || fail 'a table without target'

# ---- profile
expect 0 data profile customers.csv --target left --key customer --json
json dataset=customers.csv
grep -q '"name":"visits","table":"customers","type":"number","role":"input","all":{"rows":900,"missing":0,"distinct":900,"distinct_exact":true,"mean":' out ||
  fail 'the profile of visits'
grep -q '"top":\[{"value":"monthly","count":600,"share":0.6666666666666666}' out || fail 'classes'
grep -q '"quantiles":{"0.01":' out || fail 'quantiles'
expect 0 data profile d.h5
grep -Eq '^left +Yes +[0-9.]+ % +[0-9.]+ % +[0-9.]+ %$' out || fail 'target rates by split'
grep -Eq '^customer +text +900 different$' out || fail 'the key'
expect 0 data profile d.h5 --split test
grep -q '^below are those of split test' out || fail 'one split'

# ---- show
expect 0 data show d.h5 --rows 3
[ "$(grep -c '^C-' out)" = 3 ] || fail 'three rows'
expect 0 data show d.h5 --csv --rows 2
[ "$(cat out)" = "$(printf 'customer,plan,visits,left\nC-0,yearly,0,Yes\nC-1,monthly,3.7,No')" ] || fail 'CSV'
expect 0 data show d.h5 --rows 1 --split test --json
grep -Eq '"data":\[\{"customer":"C-[0-9]+","plan":"(monthly|yearly)","visits":[0-9.]+,"left":"(Yes|No)"\}\]' out ||
  fail 'a row as JSON'

# ---- dates and texts
awk 'BEGIN {
  print "since,said,left"
  for (i = 0; i < 60; i++) printf "2024-%02d-%02d,%s,%s\n", 1 + i % 12, 1 + i % 28, (i % 5 ? "said " i : ""), (i % 3 ? "no" : "yes")
}' >dated.csv
expect 0 import -O dated.h5 --target left --type since=date --type said=text dated.csv
expect 0 data profile dated.h5 --json
grep -q '"name":"since","table":"dated","type":"date","role":"input","all":{"rows":60,"missing":0,"distinct":60,"distinct_exact":true,"mean":"2024' out ||
  fail 'the profile of a date'
grep -q '"name":"said","table":"dated","type":"text","role":"input","all":{"rows":60,"missing":12,"distinct":48,"distinct_exact":true}' out ||
  fail 'the profile of a text'
expect 0 data show dated.h5 --rows 1 --csv
[ "$(tail -1 out)" = 0,2024-01-01,,yes ] || fail 'a date as CSV'
expect 0 data check dated.h5 --strict

# ---- erase
grep -q C-17 d.h5 || fail 'the key is not in the dataset'
expect 0 data erase d.h5 --key C-17 --json
json samples=1 rows=1 samples_left=899
grep -qw C-17 d.h5 && fail 'the key is still in the file'
refused 4 'no row has' -- data erase d.h5 --key C-17
printf 'C-18\r\n\n C-19 \nC-17\n' >keys
refused 4 '1 of the 3 keys' -- data erase d.h5 --keys keys
expect 0 data erase d.h5 --keys keys --allow-missing --json
json samples=2 samples_left=897
expect 0 data show d.h5 --rows 1000 --csv
[ "$(grep -c '^C-' out)" = 897 ] || fail 'the rest is not there'
refused 2 'needs a key' -- data erase d.h5
refused 2 'does not go with erase' -- data erase d.h5 --key a --strict
refused 2 'does not go with check' -- data check d.h5 --keys keys

# ---- privacy
printf 'trainer: {max_epochs: 1}\n' >c0.yaml
awk 'BEGIN {
  print "id,mail,phone,card,x,t"
  for (i = 0; i < 60; i++)
    print "P-" i ",user" i "@example.org,+4930" 1234560 + i "," (i % 2 ? "4111111111111111" : "378282246310005") \
      "," i % 7 "," (i % 3 ? "no" : "yes")
}' >people.csv
expect 0 import -O people.h5 --target t --key id --type card=category --type phone=number people.csv --json
grep -q '"privacy":\[{"column":"phone","kind":"phone","count":60},{"column":"card","kind":"card","count":60}\]' out ||
  fail 'what is personal'
expect 0 import -O people.h5 --force --target t --key mail --ignore phone --ignore card people.csv
grep -q "column 'mail': 60 values look like e-mail addresses" err || fail 'e-mails as keys'
grep -q 'user7@' out err && fail 'a value was printed'
refused 2 'needs --key-file' -- import -O p.h5 --target t --key id --pseudonymize id people.csv
printf 'a key of sixteen bytes and more\n' >secret
chmod 600 secret
if "$cohort" doctor | grep -q '^ *sodium *missing'; then
  echo 'NOT RUN: pseudonyms, without libsodium'
else
  hidden=(--key mail --pseudonymize mail --key-file secret)
  refused 4 'to pseudonymize' -- import -O p.h5 --target t --key id --pseudonymize mial --key-file secret people.csv
  expect 0 import -O p.h5 --target t "${hidden[@]}" --ignore phone --ignore card people.csv
  grep -q 'e-mail' err && fail 'e-mails are not there any more'
  grep -q '@example' p.h5 && fail 'an e-mail address is in the dataset'
  grep -q 'a key of sixteen' p.h5 && fail 'the key is in the dataset'
  expect 0 import -O p.h5 --target t "${hidden[@]}" --ignore phone --ignore card people.csv
  grep -q 'up to date' out || fail 'an equal import is up to date'
  printf 'another key of sixteen bytes\n' >other
  chmod 600 other
  refused 9 'not made from these inputs' -- import -O p.h5 --target t --key mail --pseudonymize mail \
    --key-file other --ignore phone --ignore card people.csv
  expect 0 data show p.h5 --rows 1 --csv
  hash=$(sed -n '2s/,.*//p' out)
  [ "${#hash}" = 64 ] || fail 'a key is no hash'
  expect 0 train --dataset p.h5 -c c0.yaml --run-dir people -q
  expect 0 predict -m people --dataset people.csv -O scores.csv -q
  [ "$(sed -n '2s/,.*//p' scores.csv)" = user0@example.org ] || fail 'keys stay as they are'
  expect 0 predict -m people --dataset people.csv --key-file secret -O scores.csv -q --force
  [ "$(sed -n '2s/,.*//p' scores.csv)" = "$hash" ] || fail 'keys become those of the training'
  refused 2 'not the key' -- predict -m people --dataset people.csv --key-file other -O x.csv
  refused 4 'to pseudonymize' -- predict -m people --dataset people.csv --pseudonymize mial \
    --key-file secret -O x.csv
  expect 0 data erase p.h5 --key user0@example.org --key-file secret --json
  json samples=1
  grep -q "$hash" p.h5 && fail 'the pseudonym is still there'
  # As an input a pseudonym is a category: scoring needs the key.
  awk -F, -v OFS=, 'NR > 1 { $2 = "shop" NR % 3 "@example.org" } { print $1, $2, $5, $6 }' people.csv >shops.csv
  expect 0 train --dataset shops.csv --target t --key id --pseudonymize mail --key-file secret \
    --run-dir shops -q --set trainer.max_steps=5
  grep -rq 'shop1@' shops && fail 'an address is in the run'
  refused 2 "'mail' was pseudonymized" -- predict -m shops --dataset shops.csv -O x.csv
  expect 0 predict -m shops --dataset shops.csv --key-file secret -O x.csv --json
  grep -q '"unseen":{}' out || fail 'hashes that the model does not know'
  expect 0 import --print-schema --target t --key id --pseudonymize mail --key-file secret shops.csv
  cp out hidden.yaml
  refused 2 '--key-file FILE is needed' -- import -O s.h5 --schema hidden.yaml shops.csv
  expect 0 import -O s.h5 --schema hidden.yaml --key-file secret shops.csv
  rm -f s.h5
fi

# ---- synthesize
expect 0 synthesize -O s.csv --truth truth.csv --rows 5000 --seed 5 --json
json ok=true verb=synthesize output=s.csv truth=truth.csv rows=5000
[ "$(wc -l <s.csv) $(wc -l <truth.csv)" = '5001 5001' ] || fail 'rows of customers and truth'
expect 0 synthesize -O - --rows 5000 --seed 5 --threads 1
cmp -s out s.csv || fail 'the same seed, other customers'
refused 9 'exists' -- synthesize -O s.csv
refused 2 'the same file' -- synthesize -O x.csv --truth x.csv
refused 2 'standard output' -- synthesize -O - --json
expect 0 data check s.csv --target bought --key customer --strict
expect 0 synthesize -O leak.csv --rows 2000 --leak
expect 0 data check leak.csv --target bought --key customer --json
finds target_leak error invoice
# ---- select: the columns that the process does not use are left out
expect 0 import -O s.h5 --target bought --key customer s.csv
printf 'input_features: all\noutput_features: targets\ntrainer: {batch_size: 64}\n' >c.yaml
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --json
json ok=true verb=select method=mutual_information output=selected.yaml
grep -Eq '"name":"recency","score":0.0[0-9]+,"chosen":true' out || fail 'recency is chosen'
grep -Eq '"name":"discounts","score":[0-9.e-]+,"chosen":false' out || fail 'discounts are not'
grep -Eq '^  - name: visits  # mutual_information 0.0[0-9]+$' selected.yaml || fail 'why a column was chosen'
grep -Eq '^  # - name: discounts  # ' selected.yaml || fail 'what was not chosen'
grep -q 'batch_size: 64' selected.yaml || fail 'the rest of the config'
expect 0 plan -c selected.yaml --dataset s.h5
refused 9 'exists' -- select -c c.yaml --dataset s.h5 -O selected.yaml
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --force --method correlation --top 2
[ "$(grep -c '^  - name.*# correlation' selected.yaml)" = 2 ] || fail 'the two best'
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --force --min-score 0
grep -q '# - name' selected.yaml && fail 'all have a score of 0 at least'
expect 0 train --dataset s.h5 -c c.yaml --run-dir asked -q --set trainer.max_steps=300
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --force --method permutation -m asked --json
json method=permutation
grep -Eq '"name":"recency","score":0.0[0-9]+,"chosen":true' out || fail 'the model needs recency'
cp out first
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --force --method permutation -m asked --json
cmp -s out first || fail 'the same question, another answer'
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --force --method permutation -m asked \
  --metric roc_auc --top 3
grep -Eq '^  - name: recency  # permutation 0.0' selected.yaml || fail 'by ROC AUC'
expect 0 select -c c.yaml --dataset s.h5 -O selected.yaml --force --method l1 --json
json method=l1
grep -Eq '"name":"recency","score":[0-9.]+,"chosen":true' out || fail 'l1 keeps recency'
grep -Eq '"penalties":\{"bought":\{"penalty":[0-9.]+,' out || fail 'the penalty'
grep -q '"converged":true' out || fail 'l1 has converged'
grep -q '^# bought: penalty .* by [0-9]* validation rows$' selected.yaml || fail 'why, in the config'
OMP_NUM_THREADS=3 expect 0 select -c c.yaml --dataset s.h5 -O again.yaml --method l1
cmp -s selected.yaml again.yaml || fail 'l1 depends on threads'
refused 2 'no metric' -- select -c c.yaml --dataset s.h5 -O x.yaml --method permutation -m asked --metric best
refused 2 'asks a model' -- select -c c.yaml --dataset s.h5 -O x.yaml --method permutation
refused 2 'without a model' -- select -c c.yaml --dataset s.h5 -O x.yaml -m asked
refused 2 "no method 'l2'" -- select -c c.yaml --dataset s.h5 -O x.yaml --method l2
refused 2 'does not go with' -- select -c c.yaml --dataset s.h5 -O x.yaml --top 2 --min-score 1
refused 4 'no column tells' -- select -c c.yaml --dataset s.h5 -O x.yaml --min-score 9

# A model comes near what can be known: the truth's AUC is 0.78.
expect 0 train --target bought --key customer --dataset s.csv --run-dir run -q \
  --set trainer.max_steps=400
expect 0 evaluate -m run --dataset run/dataset.h5 --split test --require 'roc_auc>=0.70' -q

# ---- real customers
telco=${COHORT_TEST_DATA:-}/telco_churn/Telco-Customer-Churn.csv
if [ ! -r "$telco" ]; then
  echo 'NOT RUN: real customers (set COHORT_TEST_DATA)'
else
  expect 0 data check "$telco" --target Churn --key customerID --json
  [ "$(grep -o '"id":"[a-z_]*"' out)" = '"id":"duplicates_across_splits"' ] || fail 'findings of real customers'
  expect 0 data profile "$telco" --target Churn --key customerID --json
  grep -q '"name":"TotalCharges",[^{]*{"rows":7043,"missing":11,"distinct":6530,"distinct_exact":true,"mean":2283.30044084' out ||
    fail 'the profile of TotalCharges differs from that of pandas'
  grep -q '"value":"Month-to-month","count":3875,' out || fail 'classes of real customers'
  expect 0 import -O telco.h5 --target Churn --key customerID "$telco" -q
  grep -q 7590-VHVEG telco.h5 || fail 'the first customer is not there'
  expect 0 data erase telco.h5 --key 7590-VHVEG
  grep -q 7590-VHVEG telco.h5 && fail 'the first customer is still in the file'
  expect 0 data show telco.h5 --rows 7043 --csv
  [ "$(wc -l <out)" = 7043 ] || fail 'rows of the others'
fi

# ---- mistakes
refused 2 'there is no' -- data look d.h5
refused 2 'does not go with check' -- data check d.h5 --rows 3
refused 2 'does not go with --json' -- data show d.h5 --csv --json
refused 2 'are for a raw table' -- data check d.h5 --target left
refused 2 'no split' -- data show d.h5 --split most
refused 4 '' -- data profile none.h5
refused 4 "gone" -- data check customers.csv --target gone
exit $failed
