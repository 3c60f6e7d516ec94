#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: table.sh COHORT CHECK_JSON. Tables in text, from the raw file to scores, and what is wrong
# with them: one clear line, the right exit code, nothing half-written.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Customers, of whom those with many visits and a monthly contract buy.
awk 'BEGIN {
  print "customer;plan;visits;spend;paper;bought"
  for (i = 0; i < 600; i++) {
    plan = i % 3 == 0 ? "yearly" : i % 3 == 1 ? "monthly" : "none"
    visits = (i * 37) % 50
    spend = i % 11 == 0 ? "" : ((i * 53) % 400) / 4
    buys = visits + (i % 3 == 1 ? 20 : 0) > 40
    print "C-" i ";" plan ";" visits ";" spend ";" (i % 2 ? "TRUE" : "FALSE") ";" (buys ? "Yes" : "No")
  }
}' >customers.csv

# ---- import: types, schema, up to date
expect 0 import -O d.h5 --target bought --key customer --seed 3 customers.csv --json
json ok=true verb=import up_to_date=false output=d.h5
grep -q '"name":"plan","type":"category","role":"input"' out || fail 'plan is a category'
grep -q '"name":"bought","type":"binary","role":"target","positive":"Yes"' out || fail 'bought: Yes'
expect 0 import -O d.h5 --target bought --key customer --seed 3 customers.csv
grep -q 'up to date' out || fail 'an equal import is up to date'
refused 9 'not made from these inputs' -- import -O d.h5 --target bought --seed 3 customers.csv
expect 0 import --print-schema --target bought --key customer customers.csv
cp out schema.yaml
grep -q '"spend": {type: number, role: input}  # 55 missing' schema.yaml || fail 'the schema: spend'
grep -q 'delimiter: ";"' schema.yaml || fail 'the schema: delimiter'
expect 0 import -O e.h5 --schema schema.yaml --seed 3 customers.csv --json
a=$(grep -o '"fingerprint":"[0-9a-f]*"' out)
expect 0 import -O d.h5 --target bought --key customer --seed 3 customers.csv --json
grep -qF "$a" out || fail 'a dataset by its own schema is another'
sed -i 's/"visits": {type: number, role: input}/"visits": {type: number, role: ignore}/' schema.yaml
expect 0 import -O f.h5 --schema schema.yaml customers.csv --json
grep -q '"name":"visits"' out && fail 'what the schema ignores is in the dataset'
gzip -c customers.csv >customers.csv.gz
expect 0 import -O g.h5 --target bought customers.csv.gz
rm -f e.h5 f.h5 g.h5

# ---- import: mistakes
refused 2 '--output' -- import --target bought customers.csv
refused 2 'needs FILE' -- import -O x.h5 --target bought
refused 2 'no such type' -- import -O x.h5 --type visits=colour --target bought customers.csv
refused 2 'not understood' -- import -O x.h5 --split thirds --target bought customers.csv
refused 2 'needs one target' -- import -O x.h5 --positive Yes customers.csv
refused 2 'does not go with' -- import -O x.h5 --format idx --training-set a b customers.csv
refused 2 'one file for each split' -- import -O x.h5 --format csv --training-set a b
refused 4 "there is no column 'bougth'" -- import -O x.h5 --target bougth customers.csv
grep -q "did you mean 'bought'?" err || fail 'a hint at the nearest column'
refused 4 "there is no column 'nothing'" -- import -O x.h5 --target bought --ignore nothing customers.csv
refused 4 'cannot open' -- import -O x.h5 --target bought nothing.csv
refused 4 "no value 'perhaps'" -- import -O x.h5 --target bought --positive perhaps customers.csv
printf 'a,b\n1,2\n3\n' >ragged.csv
refused 4 'ragged.csv:3: row 2: 1 field instead of 2' -- import -O x.h5 --target b ragged.csv
printf 'a,b\n1,caf\351\n' >latin.csv
refused 4 "latin.csv:2: row 1, column 'b': the text is not UTF-8 at 0xE9" -- import -O x.h5 --target b latin.csv
printf 'a,b\n1,0\n2,1\n' >one.csv
printf 'a,c\n1,0\n2,1\n' >two.csv
refused 4 "two.csv: there is no column 'b', which 'one.csv' has" -- import -O x.h5 --target b one.csv two.csv
refused 9 'one.csv' -- import -O one.csv --target b one.csv --force
cat >bad.yaml <<'YAML'
tables:
  t: {columns: {a: {type: colour}, b: {role: target, tpye: number}}}
YAML
expect 3 import -O x.h5 --schema bad.yaml one.csv --quiet
grep -q "bad.yaml:2:.*unknown type 'colour'" err || fail 'the place of a wrong type'
grep -q 'tpye' err || fail 'every problem of a schema is told'
[ ! -e x.h5 ] || fail 'a refused import left its output'

# ---- splits by file and by column
head -401 customers.csv >a.csv
{ head -1 customers.csv; tail -200 customers.csv; } >b.csv
expect 0 import -O x.h5 --target bought --training-set a.csv --test-set b.csv --json
json rows.test=200
awk -F';' 'NR == 1 { print $0 ";part" } NR > 1 { print $0 ";" (NR % 4 ? "train" : "test") }' customers.csv >p.csv
expect 0 import -O x.h5 --target bought --split column:part --force p.csv --json
json rows.train=450 rows.validation=0 rows.test=150
grep -q '"name":"part"' out && fail 'the column of splits is an input'
rm -f x.h5

# ---- the model has the recipe: names, lines to skip, suffixes
{ echo '# a note'; tail -n +2 customers.csv | sed 's/;\(yearly\|monthly\|none\);/;\1.;/'; } >bare.csv
expect 0 import -O x.h5 --force --target bought --key customer --skip-lines 1 \
  --header customer,plan,visits,spend,paper,bought --strip-suffix plan=. bare.csv
echo '{input_features: all, output_features: targets, trainer: {max_epochs: 1}}' >c.yaml
expect 0 train -c c.yaml --dataset x.h5 --run-dir bare
expect 0 predict -m bare --dataset x.h5 -O bare-stored.csv
expect 0 predict -m bare --dataset bare.csv -O bare-raw.csv --json
grep -q '"unseen":{}' out || fail 'suffixes are stripped by the recipe'
cmp -s bare-stored.csv bare-raw.csv || fail 'raw rows by the recipe score differently'
rm -f x.h5

# ---- training on the raw table
expect 0 train --target bought --key customer --dataset customers.csv --run-dir run --seed 1 --json
json ok=true status=done
for name in dataset.h5 model.h5 config.full.yaml; do [ -s "run/$name" ] || fail "no run/$name"; done
[ -z "$(find . -name '*.tmp-*')" ] || fail 'temporaries are left'
expect 0 evaluate -m run --dataset run/dataset.h5 --split test --require 'roc_auc>=0.9' --json
json split=test thresholds.bought=0.5 draws=1000
grep -qE '"intervals":\{"bought":\{"log_loss":\[[0-9.e-]+,[0-9.e-]+\]' out || fail 'no interval'
expect 0 train --target bought --key customer --dataset customers.csv --run-dir run --resume=auto
grep -q 'nothing to do' err || fail 'a finished run says so'
refused 9 'exists already' -- train --target bought --dataset customers.csv --run-dir run
refused 2 'needs --target' -- train --dataset customers.csv --run-dir other
refused 4 "no column 'nothing'" -- train --target nothing --dataset customers.csv --run-dir other
refused 2 'is for a raw table' -- train --target bought --dataset d.h5 --run-dir other
refused 3 'trainer.no_such_key' -- train --target bought --dataset customers.csv --run-dir other --set trainer.no_such_key=1
expect 0 train --target bought --dataset customers.csv --run-dir other --dry-run
[ ! -e other ] || fail 'a dry run left a folder'
expect 0 train --target visits --dataset customers.csv --run-dir number --set trainer.max_epochs=1
expect 0 train --target visits --dataset customers.csv --run-dir counts --set trainer.max_epochs=1 \
  --set defaults.number.loss.type=zero_inflated_lognormal
expect 0 train --target plan --dataset customers.csv --run-dir class --set trainer.max_epochs=1

# ---- scores of raw rows: those of the dataset, by name, without the target
expect 0 predict -m run --dataset run/dataset.h5 -O stored.csv
expect 0 predict -m run --dataset customers.csv --key customer -O raw.csv --json
json ok=true rows=600
cmp -s stored.csv raw.csv || fail 'raw rows score differently from those of the dataset'
[ "$(head -1 raw.csv)" = customer,bought,bought_score ] || fail 'header of scores'
awk -F';' -v OFS=, '{ print $5, $4, $1, $3, $2, (NR > 1 ? "x" : "extra") }' customers.csv >turned.csv
expect 0 predict -m run --dataset turned.csv --key customer -O turned-scores.csv
grep -q "column 'extra' is not used" err || fail 'an extra column is noted'
cmp -s stored.csv turned-scores.csv || fail 'the order of columns matters'
expect 0 predict -m run --dataset customers.csv -O -
cmp -s stored.csv out || fail 'the key is that of the training'
TMPDIR=$dir/nowhere refused 9 "$dir/nowhere" -- predict -m run --dataset customers.csv -O -
cut -d';' -f2- customers.csv >nameless.csv
expect 0 predict -m run --dataset nameless.csv -O -
[ "$(sed -n 1p out) $(wc -l <out)" = 'row,bought,bought_score 601' ] || fail 'rows without a key'
sed 's/;yearly;/;weekly;/' customers.csv >unseen.csv
expect 0 predict -m run --dataset unseen.csv -O unseen-scores.csv --json
json unseen.plan=200
grep -q "column 'plan': 200 values are unknown to the model" err || fail 'unseen values are told'
cut -d';' -f1-3 customers.csv >narrow.csv
refused 4 "narrow.csv:1: the model's input 'spend' is missing" -- predict -m run --dataset narrow.csv -O x.csv
sed '7s/^\([^;]*;[^;]*\);[^;]*;/\1;many;/' customers.csv >wrong.csv
refused 4 "wrong.csv:7: row 6, column 'visits': 'many' is no number" -- predict -m run --dataset wrong.csv -O x.csv --on-error fail
refused 4 "1 of 600 rows cannot be taken, more than the 0.1 % allowed, such as row 6, column 'visits': 'many' is no number" -- predict -m run --dataset wrong.csv -O x.csv --max-errors 0.1%
sed '3s/^C-1;/C-0;/' customers.csv >twice.csv
refused 4 'the key occurs in line 2 already' -- predict -m run --dataset twice.csv --key customer -O x.csv
refused 4 "column 'spend' is an input" -- predict -m run --dataset customers.csv --key spend -O x.csv
refused 4 "no column 'nobody'" -- predict -m run --dataset customers.csv --key nobody -O x.csv
refused 2 'a raw table has none' -- predict -m run --dataset customers.csv --split test -O x.csv
refused 2 'is for a raw table' -- predict -m run --dataset d.h5 --key customer -O x.csv
refused 9 'exists' -- predict -m run --dataset customers.csv -O raw.csv
refused 9 'customers.csv' -- predict -m run --dataset customers.csv -O customers.csv --force
: >left.csv.rows.tmp-1-0123456789abcdef # as of a killed process
expect 0 predict -m run --dataset customers.csv -O left.csv
[ -z "$(find . -name '*.tmp-*')" ] || fail 'temporaries are left'

# ---- decisions, costs, groups
cat >decision.yaml <<'END'
output_features: [{name: bought, decision: {threshold: profit, profit: {tp: 10, false_positive: -4}}}]
trainer: {validation_metric: profit, max_epochs: 3}
END
bad_decision() { # bad_decision TEXT DECISION
  echo "output_features: [{name: bought, decision: $2}]" >bad.yaml
  refused 3 "$1" -- train -c decision.yaml -c bad.yaml --dataset d.h5 --run-dir bad
}
bad_decision "'often' is neither" '{threshold: often}'
bad_decision "'1.5' is neither" '{threshold: 1.5}'
bad_decision 'profit needs to know' '{threshold: profit, profit: null}'
rm bad.yaml
expect 0 train -c decision.yaml --dataset d.h5 --run-dir decided
expect 0 evaluate -m decided --dataset d.h5 --by plan --json
json profit.bought.true_positive=10 by.column=plan
grep -q '"groups":\[{"value":"monthly","rows":' out || fail 'no groups'
grep -q '"thresholds":{"bought":0.5}' out && fail 'the threshold is the best of the validation rows'
grep -q '"calibration":{"bought":{"temperature":' out || fail 'no temperature'
mkdir halted && cp -r decided/checkpoints halted
expect 0 evaluate -m halted --dataset d.h5 --json
grep -q 'WARN model halted is not finished: halted/checkpoints/last.h5 is .*--resume halted$' err ||
  fail "not said that a run is not finished: $(cat err)"
grep -q '"calibration":{}' out || fail "a temperature that nothing was fitted for: $(cat out)"
expect 0 evaluate -m decided --dataset d.h5 --profit tp=1,fn=-7 --draws 0 --json
json profit.bought.true_positive=1 profit.bought.false_negative=-7
expect 10 evaluate -m decided --dataset d.h5 --require 'bought.max_profit>=1000'
expect 0 evaluate -m decided --dataset d.h5 --by visits
grep -q '^  \[0, ' out || fail 'numbers are grouped by fifths'
refused 2 'no such column' -- evaluate -m decided --dataset d.h5 --by plans
refused 2 'makes no groups' -- evaluate -m decided --dataset d.h5 --by customer
refused 2 'tp, fp, fn, tn' -- evaluate -m decided --dataset d.h5 --profit tp=many
expect 0 predict -m decided --dataset d.h5 -O labelled.csv
expect 0 predict -m decided --dataset d.h5 -O calibrated.csv --calibrated
head -n 1 labelled.csv | grep -q '^customer,bought,bought_score,bought_label$' || fail 'no label'
cmp -s labelled.csv calibrated.csv && fail 'calibration changed no score'
cmp -s <(cut -d, -f1,2,4 labelled.csv) <(cut -d, -f1,2,4 calibrated.csv) || fail 'calibration changed labels'

# ---- the report: one page, the same each time, that asks for nothing
grep -q '"log_loss":null' run/metrics.jsonl && fail 'a record lacks its loss'
expect 0 report run -O report.html --json
json ok=true verb=report split=validation output=report.html
grep -qE '"visits":0\.[1-9]' out || fail 'visits decide'
grep -qE '"paper":-?(0[,}]|0\.0|[0-9.]+e-)' out || fail 'paper does not'
grep -q '<svg' report.html || fail 'no picture'
grep -qE '(src|href)="(https?:|//)|@import|url\(|<script' report.html && fail 'the report asks for something'
refused 9 'report.html' -- report run -O report.html
cp report.html first.html
expect 0 report run -O report.html --force
cmp -s report.html first.html || fail 'another report of the same run'
expect 0 report run -O test.html --split test --profit tp=10,fp=-1
grep -q 'Profit' test.html || fail 'no profit'
refused 5 'there is no run' -- report nothing -O x.html
refused 2 'no such split' -- report run -O x.html --split nowhere
refused 5 'there is no run' -- report run/model.h5 -O x.html
# What stands in data is text, never a tag.
sed '1s/plan/<i>pl\&an/; s/monthly/<script>"x"/' customers.csv | sed 's/<script>"x"/"<script>""x"""/' >tags.csv
expect 0 train --target bought --key customer --dataset tags.csv --run-dir tags --set trainer.max_epochs=2
expect 0 report tags -O tags.html
grep -q '&lt;i&gt;pl&amp;an' tags.html || fail 'the name of a column is not there'
grep -qE '<script|<i>' tags.html && fail 'data became tags'

# What no training row lacked, one to be scored may lack, and have a value of its own: it is counted, and
# no end of the job.
awk 'BEGIN {
  print "g,n,y"
  for (i = 1; i <= 200; i++) printf "%s,%d,%s\n", (i % 3 ? "a" : "b"), i * 37 % 101, (i * 37 % 101 > 50 ? "yes" : "no")
}' >whole.csv
expect 0 train --target y --dataset whole.csv --run-dir whole --set trainer.max_epochs=1
printf 'g,n\na,3\nc,4\n,5\nb,\n' >lacking.csv
expect 0 predict -m whole --dataset lacking.csv -O lacking.scores.csv --json
json ok=true rows=4 preprocessing.g.missing=2 preprocessing.n.missing=1 unseen.g=1
exit $failed
