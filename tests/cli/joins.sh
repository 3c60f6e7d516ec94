#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: joins.sh COHORT CHECK_JSON MAKE_IMAGES PRESETS. Several tables: joined as join(1) does, scored raw as the dataset
# made of them, told of, and what is wrong with them.
set -u
cohort=$1
check_json=$2
make_images=$3
presets=$4
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export TMPDIR=$dir
fingerprint() { grep -o '"fingerprint":"[0-9a-f]*"' out; }

# Customers, of whom those of some regions and with many visits buy. Every 97th has no region, every
# 101st one that there is not; both tables have a column 'size'.
awk 'BEGIN {
  print "customer,region,visits,size,bought" >"customers.csv"
  print "code;area;size;kind" >"regions.csv"
  for (r = 0; r < 12; r++)
    printf "%s;%s;%d;%s\n", r + 1, r == 4 ? "" : r * 10.5, r * 3 % 5, r % 3 ? "town" : "land" >"regions.csv"
  for (i = 0; i < 900; i++) {
    r = i * 31 % 12
    visits = i * 37 % 50
    region = i % 97 == 0 ? "" : i % 101 == 0 ? "99" : r + 1
    buys = (visits + r * 2 > 40) ? "Yes" : "No"
    printf "C-%d,%s,%d,%d,%s\n", i, region, visits, i % 7, buys >"customers.csv"
  }
}'
recipe=(--target bought --key customer --seed 3)
joined=(customers.csv --join regions.csv:region=code)

# ---- the dataset is what join(1) makes
expect 0 import -O d.h5 "${recipe[@]}" "${joined[@]}" --json
json ok=true joins.0.table=regions joins.0.on=region joins.0.rows=12 joins.0.matched=882 \
  joins.0.unmatched=8 joins.0.without_key=10
same=$(fingerprint)
grep -q "8 rows have a key that table 'regions' has not, the first is '99'" err || fail 'unknown keys'
expect 0 data show d.h5 --csv --rows 900
sed 1d out | cut -d, -f1,3- | LC_ALL=C sort >made
tail -n +2 customers.csv | sort -t, -k2,2 >left
tail -n +2 regions.csv | tr ';' , | sort -t, -k1,1 >right
join -t, -1 2 -2 1 -a 1 -e '' -o 1.1,1.3,1.4,1.5,2.2,2.3,2.4 left right | LC_ALL=C sort >wanted
cmp -s made wanted || fail "the joined rows: $(diff made wanted | head -5)"
head -1 out | grep -q '^customer,region,visits,size,bought,area,regions.size,kind$' || fail 'the names'
expect 0 inspect d.h5
grep -q 'regions.size  *number  *input  *of regions' out || fail 'inspect tells of the table'
expect 0 data profile d.h5 --json
json tables.0.name=regions tables.0.kind=entity
expect 0 data check customers.csv --join regions.csv:region=code "${recipe[@]}"
grep -q '^joined table regions, 13 rows: area, regions.size, kind$' out || fail 'check tells of the table'

# ---- the schema shows it and makes the same; threads and order change nothing
expect 0 import --print-schema "${recipe[@]}" "${joined[@]}"
cp out schema.yaml
grep -q '^  - {table: "regions", to: "customers", on: "region", kind: many_to_one}$' schema.yaml ||
  fail 'the schema: joins'
grep -q '"region": {type: category, role: input}' schema.yaml || fail 'keys are no amounts'
expect 0 import -O e.h5 --schema schema.yaml --seed 3 --json
[ "$(fingerprint)" = "$same" ] || fail 'a dataset by its own schema is another'
expect 0 import -O e.h5 --schema schema.yaml --seed 3
grep -q 'up to date' out || fail 'an equal import is up to date'
OMP_NUM_THREADS=3 expect 0 import -O e.h5 --force "${recipe[@]}" "${joined[@]}" --json
cmp -s d.h5 e.h5 || fail 'three threads make other bytes'
mkdir moved
(head -1 regions.csv && tail -n +2 regions.csv | tac) >moved/r.csv
cp customers.csv moved/c.csv
expect 0 import -O e.h5 --force --schema schema.yaml --seed 3 --source regions=moved/r.csv \
  --source customers=moved/c.csv --json
json joins.0.matched=882

printf 'input_features: all\noutput_features: targets\n' >c.yaml

# ---- raw rows score as the dataset made of them
options=(--set 'trainer={max_epochs: 2}' --quiet)
expect 0 train --target bought --key customer --dataset "${joined[@]}" --run-dir run "${options[@]}"
expect 0 train --schema schema.yaml --source customers=moved/c.csv --source regions=moved/r.csv \
  --carry regions --run-dir carries "${options[@]}"
expect 0 predict -m run --dataset run/dataset.h5 -O wanted.csv
expect 0 predict -m run --source customers=moved/c.csv --source regions=moved/r.csv -O made.csv
cmp -s wanted.csv made.csv || fail 'raw rows of two tables score differently'
expect 0 predict -m carries --dataset carries/dataset.h5 -O wanted.csv --force
expect 0 predict -m carries --dataset moved/c.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'with the table of the model raw rows score differently'
expect 0 predict -m carries --dataset <(cat moved/c.csv) -O made.csv --force
cmp -s wanted.csv made.csv || fail 'rows from a pipe score differently'
expect 0 inspect carries --json
json carried.0=regions
(head -1 regions.csv && tail -n +2 regions.csv | sed 's/;[^;]*;/;7;/') >other.csv
expect 0 predict -m carries --source customers=moved/c.csv --source regions=other.csv -O made.csv --force
cmp -s wanted.csv made.csv && fail 'a given table does not count'
expect 0 predict -m carries --source customers=moved/c.csv --source regions=regions.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'the table itself counts otherwise than that of the model'
find . -name '*cohort.input*' | grep -q . && fail 'temporary tables stay'

# ---- and are measured as it, whatever split them
measure() { sed 's/"dataset":[^,]*,//; s/"draws".*//' out; }
expect 0 evaluate -m carries --dataset carries/dataset.h5 --json
measure >wanted
expect 0 evaluate -m carries --dataset moved/c.csv --json
measure | cmp -s - wanted || fail 'raw rows are measured differently'
expect 0 evaluate -m carries --source customers=moved/c.csv --source regions=regions.csv --json
measure | cmp -s - wanted || fail 'raw rows of two tables are measured differently'
expect 0 evaluate -m carries --dataset customers.csv --split all --json
json split=all rows=900
awk -F, 'NR == 1 { print $0 ",part,day" }
  NR > 1 { print $0 "," (NR % 5 ? NR % 3 ? "train" : "test" : "val") "," (NR % 2 ? "2011-01-0" NR % 9 + 1 : "2012-01-01") }' \
  customers.csv >parts.csv
for rule in stratified:0.5,0.2,0.3 hash:visits:0.5,0.2,0.3 column:part time:day:2011-01-05,2012-01-01; do
  rm -rf split.h5 split
  expect 0 import -O split.h5 --target bought --split "$rule" --seed 7 --type day=date --ignore customer parts.csv
  expect 0 train -c c.yaml --dataset split.h5 --run-dir split "${options[@]}"
  for split in validation test; do
    expect 0 evaluate -m split --dataset split.h5 --split $split --json
    measure >wanted
    expect 0 evaluate -m split --dataset parts.csv --split $split --json
    measure | cmp -s - wanted || fail "$rule: the $split split of raw rows is another"
  done
done
refused 4 "the model's target 'bought' is missing" -- evaluate -m carries --dataset <(cut -d, -f1-4 customers.csv)
refused 2 'do not go together' -- evaluate -m run --dataset customers.csv --source regions=regions.csv
refused 4 "there is no source of table 'regions'" -- evaluate -m run --dataset customers.csv
refused 2 'no such split' -- evaluate -m carries --dataset carries/dataset.h5 --split all
expect 0 import -O split.h5 --force --target bought --training-set parts.csv
expect 0 train -c c.yaml --dataset split.h5 --run-dir files "${options[@]}"
refused 4 'does not know how rows of a table were split' -- evaluate -m files --dataset parts.csv

# ---- erased customers leave no table of others behind
cp carries/dataset.h5 erased.h5
grep -qa '"code","area","size","kind"' erased.h5 || fail 'the dataset lacks the table that models carry'
expect 0 data erase erased.h5 --key C-5
grep -qa '"code","area","size","kind"' erased.h5 && fail 'a carried table stays after data erase'
expect 0 data show erased.h5 --csv --rows 1000
[ "$(wc -l <out)" = 900 ] || fail 'data erase of joined tables'

# ---- mistakes
refused 4 "there is no source of table 'regions'" -- predict -m run --dataset customers.csv -O x.csv
grep -q -- '--source regions=FILE' err || fail 'a hint at the source'
refused 4 "there is no source of table 'customers'" -- predict -m run --source regions=regions.csv -O x.csv
refused 2 'do not go together' -- predict -m run --dataset customers.csv --source regions=regions.csv -O x.csv
refused 2 'do not go together' -- train --dataset customers.csv --source regions=regions.csv --run-dir x
refused 2 'there is no such table' -- predict -m run --source region=regions.csv -O x.csv
refused 2 'must be FILE:COLUMN' -- import -O x.h5 "${recipe[@]}" customers.csv --join regions.csv
refused 2 "another table is called 'customers'" -- import -O x.h5 "${recipe[@]}" customers.csv \
  --join moved/customers.csv:region
refused 2 '--carry towns' -- import -O x.h5 "${recipe[@]}" "${joined[@]}" --carry towns
refused 4 "there is no column 'regoin'" -- import -O x.h5 "${recipe[@]}" customers.csv --join regions.csv:regoin=code
refused 4 "there is no column 'region'" -- import -O x.h5 "${recipe[@]}" customers.csv --join regions.csv:region
grep -q "first columns are 'code' and 'area'; --join FILE:COLUMN=KEY where the key of FILE has another name" err ||
  fail 'the hint at the form of a key with another name'
(cat regions.csv && sed -n 3p regions.csv) >twice.csv
refused 4 "twice.csv:14: row 13, column 'code': the key '2' occurs in line 3 already" -- \
  import -O x.h5 "${recipe[@]}" customers.csv --join twice.csv:region=code
expect 0 import -O x.h5 "${recipe[@]}" customers.csv --join twice.csv:region=code --duplicates drop
rm x.h5
refused 4 "the key '2' occurs in line 3 already" -- predict -m run --source customers=customers.csv \
  --source regions=twice.csv -O x.csv
sed 's/many_to_one/one_to_one/' schema.yaml >one.yaml
refused 4 "customers.csv:15: row 14, column 'region': the key '8' occurs in line 3 already" -- import -O x.h5 --schema one.yaml
sed '/^joins:/,$d' schema.yaml >alone.yaml
refused 3 "tables: 'regions' is joined to no other" -- import -O x.h5 --schema alone.yaml
sed 's/to: "customers"/to: "clients"/' schema.yaml >unknown.yaml
refused 3 "there is no table 'clients'" -- import -O x.h5 --schema unknown.yaml
sed '/^    file: "regions.csv"/d' schema.yaml >nowhere.yaml
refused 4 "there is no source of table 'regions'" -- import -O x.h5 --schema nowhere.yaml

# ---- rows that count
sed 's/^    delimiter: ";"/    delimiter: ";"\n    where: "area > 20"/' schema.yaml >some.yaml
expect 0 import -O x.h5 --schema some.yaml --seed 3 --json
json joins.0.rows=9
refused 4 "there is no column 'kindness'" -- import -O y.h5 "${recipe[@]}" "${joined[@]}" --where 'kindness > 1'
expect 0 import -O x.h5 --force "${recipe[@]}" "${joined[@]}" --where "visits > 24 and bought is not null" --json
json excluded=450

# ---- keys of several columns, and along a chain: as made by hand
awk 'BEGIN {
  print "name,year,price" >"plans.csv"
  for (p = 0; p < 3; p++) for (y = 2019; y < 2022; y++) print "p" p "," y "," p * 7 + y % 5 >"plans.csv"
  print "shop,land,size" >"shops.csv"
  for (s = 0; s < 20; s++) print "s" s "," (s % 6 ? "L" s % 5 : "") "," s % 3 >"shops.csv"
  print "iso,gdp" >"lands.csv"
  for (l = 0; l < 4; l++) print "L" l "," l * 1.5 >"lands.csv"
  print "id,shop,plan,since,bought" >"buyers.csv"
  print "id,price,size,gdp" >"wanted"
  for (i = 0; i < 300; i++) {
    s = i * 7 % 23; p = i % 4; y = i % 11 ? 2019 + i % 3 : ""
    print "b" i ",s" s ",p" p "," y "," (i % 5 < 2 ? "yes" : "no") >"buyers.csv"
    there = s < 20
    land = there && s % 6 && s % 5 < 4
    print "b" i "," (p < 3 && y ? p * 7 + y % 5 : "") "," (there ? s % 3 : "") "," (land ? s % 5 * 1.5 : "") >"wanted"
  }
}'
chain=(--target bought --key id --join shops.csv:shop --join lands.csv:shops.land=iso --join 'plans.csv:plan=name,since=year')
expect 0 train --dataset buyers.csv "${chain[@]}" --carry shops --carry plans --run-dir chain "${options[@]}"
expect 0 data show chain/dataset.h5 --csv --rows 300
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } { print $at["id"] "," $at["price"] "," $at["size"] "," $at["gdp"] }' \
  out | cmp -s - wanted || fail 'rows joined by two columns and along a chain'
expect 0 predict -m chain --dataset chain/dataset.h5 -O wanted.csv --force
expect 0 predict -m chain --source buyers=buyers.csv --source lands=lands.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'raw rows of a chain score differently'
refused 4 "there is no source of table 'lands'" -- predict -m chain --dataset buyers.csv -O x.csv
printf 'input_features: [{name: gdp, type: number}]\noutput_features: targets\ntrainer: {max_epochs: 1}\n' >end.yaml
expect 0 train -c end.yaml --dataset chain/dataset.h5 --run-dir end --quiet
expect 0 predict -m end --dataset chain/dataset.h5 -O wanted.csv --force
expect 0 predict -m end --source buyers=buyers.csv --source lands=lands.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'a model of the end of a chain alone scores raw rows differently'
expect 0 import --print-schema buyers.csv "${chain[@]}"
cp out chain.yaml
expect 0 import -O x.h5 --force --schema chain.yaml --json
json joins.1.table=lands joins.1.matched=12 joins.2.on='plan, since' joins.2.matched=204
sed 's/"land", kind: many/"land", kind: one/' chain.yaml >one.yaml
refused 4 "column 'land': the key 'L2' occurs in line 4 already" -- import -O y.h5 --schema one.yaml
sed 's/to: "buyers", on: "shop"/to: "lands", on: "iso"/' chain.yaml >circle.yaml
refused 3 "tables: 'shops' is joined to no other that leads to 'buyers'" -- import -O y.h5 --schema circle.yaml
sed 's/key: \["name", "year"\]/key: "name"/' chain.yaml >short.yaml
refused 3 "'plans' is joined by 2, but its key has 1 columns" -- import -O y.h5 --schema short.yaml
echo p2,2021,1 >>plans.csv
refused 4 "plans.csv:11: row 10, column 'name': the key 'p2,2021' occurs in line 10 already" -- \
  import -O y.h5 buyers.csv "${chain[@]}"
refused 2 'its columns are of two tables' -- import -O y.h5 --target bought buyers.csv --join shops.csv:shop \
  --join lands.csv:shops.land,plan

# ---- rows that are samples: each of a customer at a date, sees what is before it alone
awk 'BEGIN {
  print "who,at,what,cost" >"log.csv"
  for (i = 0; i < 40; i++) for (d = 1; d < 10; d++) if ((i + d) % 3) print "c" i ",2020-01-0" d ",i" (i * d) % 7 "," d >"log.csv"
  print "who,campaign,bought" >"calls.csv"
  print "campaign,start,kind" >"campaigns.csv"
  print "campaign,who" >"answers.csv"
  print "who,frequency,answered" >"wanted"
  for (k = 0; k < 4; k++) print "k" k ",2020-01-0" 2 * k + 2 "," (k % 2 ? "mail" : "call") >"campaigns.csv"
  for (i = 0; i < 44; i++) for (k = 0; k < 4; k++) {
    answers = (i + k) % 3 == 0
    n = 0
    for (d = 1; d < 2 * k + 2; d++) n += i < 40 && (i + d) % 3 > 0
    print "c" i ",k" k "," (answers ? "yes" : "no") >"calls.csv"
    if (answers) { print "k" k ",c" i >"answers.csv"; print "k" k ",c" i >"answers.csv" }
    print "c" i "," n "," (answers ? "yes" : "no") >"wanted"
  }
}'
log=(--events log.csv --entity who --time at --item what --amount cost)
expect 0 import -O s.h5 "${log[@]}" --samples calls.csv --join campaigns.csv:campaign --as-of campaigns.start \
  --target bought --seed 2 --json
json entities=44 events=240
expect 0 data show s.h5 --csv --rows 200
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; print "who,frequency,answered"; next }
  { print $at["who"] "," $at["rfm.frequency"] "," $at["bought"] }' out | cmp -s - wanted || fail 'samples see what they should not'
expect 0 data check s.h5 --json
grep -q 'entity_across_splits' out && fail 'a customer is in two splits'
expect 0 import -O s.h5 "${log[@]}" --samples calls.csv --join campaigns.csv:campaign --as-of campaigns.start \
  --target bought --seed 2
grep -q 'up to date' out || fail 'equal samples are up to date'
cat >samples.yaml <<'YAML'
tables:
  calls: {file: calls.csv, columns: {campaign: {}}}
  campaigns: {file: campaigns.csv}
  answers: {file: answers.csv}
joins: [{table: campaigns, to: calls, on: campaign}]
samples: {from: calls, entity: who, as_of: campaigns.start, label: {name: bought, exists_in: answers, on: [who, campaign]}}
events: {file: log.csv, entity: who, time: at, item: what, amount: cost}
YAML
expect 0 import -O t.h5 --schema samples.yaml --seed 2
expect 0 data show t.h5 --csv --rows 200
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; print "who,frequency,answered"; next }
  { print $at["who"] "," $at["rfm.frequency"] "," $at["bought"] }' out | cmp -s - wanted || fail 'labels of another table'
expect 0 import --print-schema --schema samples.yaml
cp out printed.yaml
expect 0 import -O u.h5 --schema printed.yaml --seed 2
printf 'input_features: [{name: rfm.frequency, type: number},{name: kind, type: binary},{name: campaign, type: category}]\noutput_features: targets\n' >s.yaml
expect 0 train -c s.yaml --dataset t.h5 --run-dir sampled "${options[@]}"
expect 0 predict -m sampled --dataset t.h5 -O wanted.csv --force
expect 0 predict -m sampled --source calls=calls.csv --source campaigns=campaigns.csv --source events=log.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'raw rows that are samples score differently'
# For intervals customers are drawn, not their samples: each there twice, they say no more than once.
awk 'NR > 1 { print } { print }' calls.csv >twice.csv
expect 0 import -O twice.h5 --schema samples.yaml --source calls=twice.csv --seed 2
for file in t twice; do
  expect 0 evaluate -m sampled --dataset $file.h5 --split test --json
  sed 's/.*"intervals":{"bought":{"log_loss":\[\([^]]*\).*/\1/' out
done >intervals
awk -F, 'NR == 1 { low = $1; high = $2 } END { exit !(NR == 2 && low < high && (low - $1) ^ 2 + (high - $2) ^ 2 < 1e-10) }' \
  intervals || fail 'samples of a customer are drawn one by one'
refused 4 "there is no source of table 'events'" -- predict -m sampled --source calls=calls.csv \
  --source campaigns=campaigns.csv -O x.csv
grep -q 'hint: --source events=FILE; its tables: .*, events$' err || fail 'a hint at all tables'
refused 2 "the model scores the rows of table 'calls': --as-of does not go with it" -- predict -m sampled \
  --source events=campaigns.csv --as-of 2020-01-01 -O x.csv
grep -q -- '--source calls=FILE --source events=FILE' err || fail 'a hint at the sources of samples'
refused 2 'is measured on a dataset.h5' -- evaluate -m sampled --source calls=calls.csv --source events=campaigns.csv
grep -q -- 'hint: cohort import --events LOG --samples FILE' err || fail 'a hint at import'
sed 's/2020-01-04/soon/' campaigns.csv >when.csv
refused 4 "when.csv:3: row 2, column 'start': 'soon' is no date" -- import -O y.h5 --schema samples.yaml \
  --source campaigns=when.csv
refused 9 'the output is also read' -- import -O answers.csv --force --schema samples.yaml
for broken in 'time_format: "%d.%m"' 'encoding: nosuch'; do
  refused 3 "events.${broken%%:*}: " -- import -O y.h5 --schema <(sed "s/time: at/time: at, $broken/" samples.yaml)
done
refused 3 "tables.answers.encoding: there is no encoding 'nosuch'" -- import -O y.h5 --schema \
  <(sed 's/answers.csv}/answers.csv, encoding: nosuch}/' samples.yaml)
refused 2 '--samples needs --as-of COL' -- import -O y.h5 "${log[@]}" --samples calls.csv --target bought
refused 3 'samples: there is no table' -- import -O y.h5 --schema <(sed 's/exists_in: answers/exists_in: nobody/' samples.yaml)

# ---- cut-offs of customers who have a table: as samples whose labels are reckoned by hand
awk 'BEGIN {
  print "name,region,age" >"people.csv"
  print "who,cut,again,spent" >"cuts.csv"
  print "who" >"asked.csv"
  for (i = 39; i > 2; i--) print "c" i "," (i % 4 ? "north" : "süd") "," 20 + i >"people.csv"
  for (c = 3; c < 7; c += 3) for (i = 0; i < 40; i++)
    print "c" i ",2020-01-0" c "," ((i + c) % 3 ? "yes" : "no") "," ((i + c) % 3 ? c : 0) >"cuts.csv"
  for (i = 50; i >= 0; i -= 2) print "c" i >"asked.csv"
}'
cuts=(import "${log[@]}" --cutoff 2020-01-03 --cutoff 2020-01-06 --label-window 1d --label again --label-amount spent --seed 5)
people=(--join people.csv:who=name --type people.region=category)
expect 0 "${cuts[@]}" -O plain.h5 --json
grep -o '"rows":{[^}]*}' out >wanted
expect 0 "${cuts[@]}" -O c.h5 "${people[@]}" --json
grep -o '"rows":{[^}]*}' out | cmp -s wanted - || fail 'a table of customers moves the splits'
json positives=52 joins.0.matched=74 joins.0.unmatched=6
expect 0 "${cuts[@]}" -O c.h5 "${people[@]}"
grep -q 'up to date' out || fail 'equal cut-offs are up to date'
refused 9 'was not made from these inputs' -- "${cuts[@]/1d/86399s}" -O c.h5 "${people[@]}"
expect 0 data show c.h5 --csv --rows 200
sort out >made
expect 0 import -O h.h5 "${log[@]}" --samples cuts.csv --as-of cut --target again --target spent "${people[@]}"
expect 0 data show h.h5 --csv --rows 200
sort out | cmp -s made - || fail 'cut-offs are not what samples by hand are'
printf 'input_features: [{name: rfm.monetary, type: number},{name: region, type: category},{name: age, type: number, preprocessing: {missing: mean}}]\noutput_features: targets\n' >c.yaml
expect 0 train -c c.yaml --dataset c.h5 --run-dir cut "${options[@]}"
expect 0 evaluate -m cut --dataset c.h5 --json
grep -q '"bg_nbd"' out || fail 'no baseline of purchases beside a table of customers'
expect 0 predict -m cut --dataset c.h5 --split test -O wanted.csv --force
expect 0 predict -m cut --source events=log.csv --source people=people.csv --as-of 2020-01-06 -O made.csv --force
cmp -s wanted.csv made.csv || fail 'a log and a table score differently'
grep -v '^c4[0-9]\|^c50' asked.csv >known.csv
expect 0 predict -m cut --source events=log.csv --source people=people.csv --as-of 2020-01-06 --population known.csv -O made.csv --force
grep -q 'no history: ' err && fail "known customers are said to be without history: $(cat err)"
{ head -n 3 known.csv; sed -n 3p known.csv | sed 's/^[^,]*/nobody/'; } >some.csv
expect 0 predict -m cut --source events=log.csv --source people=people.csv --as-of 2020-01-06 --population some.csv -O -
grep -q 'INFO samples no history: 1 of 3 rows have no event before their date, 1 of them unknown keys' err ||
  fail "not said who has no history: $(cat err)"
awk -F, 'NR == FNR { line[$1] = $0; next } { print line[$1] }' wanted.csv known.csv | cmp -s - made.csv || fail 'a population is scored differently'
expect 0 explain -m cut --source events=log.csv --source people=people.csv --as-of 2020-01-06
expect 0 "${cuts[@]}" -O carried.h5 "${people[@]}" --carry people
expect 0 train -c c.yaml --dataset carried.h5 --run-dir carried "${options[@]}"
expect 0 predict -m carried --source events=log.csv --as-of 2020-01-06 -O made.csv --force
cmp -s wanted.csv made.csv || fail 'a table that travels scores differently'
# With a table of the items, too; and with pseudonyms, which a scoring needs the key of.
awk 'BEGIN { print "what,price"; for (i = 0; i < 7; i++) print "i" i "," i * i }' >prices.csv
(umask 077 && printf '%064d' 7 >secret)
secret=("${people[@]}" --pseudonymize who --key-file secret)
expect 0 "${cuts[@]}" -O priced.h5 --join prices.csv:what "${secret[@]}" --json
json positives=52 joins.0.matched=74 joins.0.unmatched=6
expect 0 data show priced.h5 --csv --rows 200
grep -q '^c[0-9]*,' out && fail 'a name is in the dataset'
expect 0 train -c "$presets/purchase-lstm.yaml" --dataset priced.h5 --run-dir priced "${options[@]}" --set trainer.max_epochs=1 --set trainer.min_steps=0
expect 0 predict -m priced --dataset priced.h5 --split test -O wanted.csv --force
expect 0 predict -m priced --source events=log.csv --source people=people.csv --as-of 2020-01-06 --key-file secret -O made.csv --force
cmp -s wanted.csv made.csv || fail 'pseudonyms and items score differently'
at=(predict -m cut --source events=log.csv --source people=people.csv)
refused 4 "there is no source of table 'people'" -- predict -m cut --source events=log.csv --as-of 2020-01-06 -O x.csv
refused 2 '--as-of does not go with a table of samples' -- "${at[@]}" --source samples=cuts.csv --as-of 2020-01-06 -O x.csv
refused 2 '--population needs --as-of' -- "${at[@]}" --source samples=cuts.csv --population asked.csv -O x.csv
refused 2 "--as-of soon: no time" -- "${at[@]}" --as-of soon -O x.csv
refused 2 '--next-item does not go with a table of the entities' -- import -O x.h5 "${log[@]}" --next-item leave-one-out "${people[@]}"
refused 2 '--delimiter does not go with a table of the entities' -- "${cuts[@]}" -O x.h5 "${people[@]}" --delimiter ,
refused 2 'events take one table' -- "${cuts[@]}" -O x.h5 "${people[@]}" --type region=category
echo c5,north,3 >>people.csv
refused 4 "occurs in line 36 already" -- "${cuts[@]}" -O twofold.h5 "${people[@]}"
sed -i '$d' people.csv

# ---- images that a joined table names: profile, events and image from raw files
mkdir -p photos/v photos/h
"$make_images" photos/v 4 20 16
"$make_images" photos/h 4 20 16
awk -F, 'NR == 1 { print $0 ",photo"; next } { print $0 "," (NR == 5 ? "" : "photos/" (NR % 2 ? "v" : "h") "/00" NR % 4 ".png") }' \
  campaigns.csv >shown.csv
shown=("${log[@]}" --samples calls.csv --join shown.csv:campaign --as-of shown.start --target bought --seed 2
  --type shown.photo=image)
expect 0 import -O p.h5 "${shown[@]}" --image-size 12x8 --fit pad
grep -q '^inputs .* 1 images$' out || fail 'images are told of'
grep -q "column 'shown.photo': 1 rows have no image; they get a white one" err || fail 'rows without an image'
expect 0 inspect p.h5
grep -q 'photo  *image  *input  *(8, 12, 3) of shown' out || fail 'the column of images'
expect 0 import -O p.h5 "${shown[@]}" --image-size 12x8 --fit pad
grep -q 'up to date' out || fail 'equal images are up to date'
expect 0 train -c "$presets/profile-events-image.yaml" --dataset p.h5 --run-dir shown "${options[@]}" --set trainer.max_epochs=1
expect 0 predict -m shown --dataset p.h5 -O wanted.csv --force
expect 0 predict -m shown --source calls=calls.csv --source shown=shown.csv --source events=log.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'raw rows with images score differently'
refused 4 "table 'shown' has images, 'photo': it cannot travel" -- import -O y.h5 "${shown[@]}" --carry shown
refused 4 "column 'bought': images are inputs" -- import -O y.h5 customers.csv --type bought=image --target bought
cp photos/h/003.png photos/h/002.png
refused 9 'was not made from these inputs' -- import -O p.h5 "${shown[@]}" --image-size 12x8 --fit pad
head -c 90 photos/v/001.png >photos/h/002.png
refused 4 'photos/h/002.png: ' -- import -O y.h5 "${shown[@]}"
refused 4 'photos/h/002.png: ' -- predict -m shown --source calls=calls.csv --source shown=shown.csv --source events=log.csv \
  -O y.csv
exit $failed
