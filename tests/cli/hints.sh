#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hints.sh COHORT MAKE_IDX SOURCES MAKE_IMAGES. An error's hint is followed, and then there is no error. Each
# hint in the sources that names a command, an option or a key of a config has its line here, or the
# reason why it cannot be tried.
# shellcheck disable=SC2016 # back quotes are part of hints
set -u
cohort=$1
make_idx=$2
sources=$3
make_images=$4
[ -w /dev/shm ] && export TMPDIR=/dev/shm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' err
  failed=1
}
: >err
: >followed

# hint EXIT TEXT ARGUMENTS...: the command fails with a hint that has this text.
hint() {
  local wanted=$1 text=$2 code
  shift 2
  "$cohort" "$@" >out 2>err </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: cohort $*"
  grep -F -- "$text" err | grep -q 'hint: ' || fail "no hint '$text': cohort $*"
  echo "$text" >>followed
}
# follow ARGUMENTS...: what the hint says helps.
follow() { "$cohort" "$@" >out 2>err </dev/null || fail "following the hint: exit $?: cohort $*"; }

cat >c.yaml <<'YAML'
trainer: {max_epochs: 1, batch_size: 32}
YAML
"$make_idx" 200 12 3 1 i l
"$make_idx" 200 12 3 2 i2 l2
raw=(--format idx --training-set i l)
follow import -O d.h5 "${raw[@]}"
with=(-c c.yaml --dataset d.h5 -q)
score=(predict -m run --dataset d.h5 -q)

# ---- data
hint 9 'choose another output, or replace it with --force' import -O d.h5 --format idx --training-set i2 l2
follow import -O e.h5 --format idx --training-set i2 l2
follow import -O d.h5 --format idx --training-set i2 l2 --force
follow import -O d.h5 "${raw[@]}" --force
cp d.h5 whole.h5
printf '\377' | dd of=d.h5 bs=1 seek=$(($(stat -c %s d.h5) / 2)) conv=notrunc 2>/dev/null
cmp -s d.h5 whole.h5 && fail 'nothing is damaged'
hint 4 'import the data again, with --force' train "${with[@]}" --run-dir damaged
follow import -O d.h5 "${raw[@]}" --force
cmp -s d.h5 whole.h5 || fail 'the damaged dataset was not made again'
# Values of big columns are checked on their first use, and do not keep the rest from being read.
"$make_idx" 8000 12 3 1 i3 l3
follow import -O big.h5 --format idx --training-set i3 l3
cp big.h5 whole.h5
printf '\377' | dd of=big.h5 bs=1 seek=$(($(stat -c %s big.h5) / 2)) conv=notrunc 2>/dev/null
cmp -s big.h5 whole.h5 && fail 'nothing is damaged'
hint 4 'replaces what it made and finds damaged' train -c c.yaml --dataset big.h5 -q --run-dir damaged
follow import -O big.h5 --format idx --training-set i3 l3
cmp -s big.h5 whole.h5 || fail 'the damaged dataset was not made again'
follow train "${with[@]}" --run-dir mended
hint 4 "make one with 'cohort import'" train -c c.yaml --dataset mended/model.h5 --run-dir none -q

# Numbers with decimal commas: the model reads them as its table was read.
printf 'name;price;bought\n' >comma.csv
for i in $(seq 40); do echo "n$i;$((i % 3)).$((100 + i)),$((i % 10))5;$((i % 2))" | sed 's/;0\./;/'; done >>comma.csv
sed 's/\.//; s/,/./' comma.csv >point.csv
raw_numbers=(--target bought --type price=number --key name)
hint 4 '--decimal , reads 9,38 and 1.234,56; ' import -O comma.h5 comma.csv "${raw_numbers[@]}"
follow import -O comma.h5 comma.csv "${raw_numbers[@]}" --decimal ,
follow import -O point.h5 point.csv "${raw_numbers[@]}"
for form in comma point; do
  follow train -c c.yaml --dataset $form.h5 --run-dir $form -q
  follow predict -m $form --dataset $form.csv -O scores-$form.csv -q
done
cmp -s scores-comma.csv scores-point.csv || fail 'decimal commas are read otherwise than points'
hint 2 'give --decimal , or --decimal .' import -O comma.h5 comma.csv --target bought --decimal x
printf 'who;when;paid\na;2024-01-01;9,38\na;2024-03-01;1.000,5\nb;2024-01-05;2\n' >paid.csv
paid=(import -O paid.h5 --events paid.csv --entity who --time when --amount paid --cutoff 2024-02-01
  --label-window 30d --label-amount spent --allow-censored)
hint 4 '--decimal , reads 9,38 and 1.234,56 as numbers' "${paid[@]}"
follow "${paid[@]}" --decimal ,
sed 's/9,38/9.38/' paid.csv >mixed.csv
mv mixed.csv paid.csv
hint 4 'with --decimal , points part thousands (1.234,56)' "${paid[@]}" --decimal , --force

# Texts without blanks are taken as classes; what is said then helps.
printf 'name,said\n' >said.csv
for i in $(seq 30); do echo "$i,很好用第${i}次"; done >>said.csv
echo '31,很好用第1次' >>said.csv
follow import -O said.h5 said.csv --key name
grep -qF -- '--type said=text would read it as text' err || fail 'no word of texts'
echo 'input_features: [{select: text}]' >texts.yaml
hint 3 '`cohort import --type said=text` reads a column as text' train -c texts.yaml --dataset said.h5 --run-dir texts -q
follow import -O said.h5 said.csv --key name --type said=text --force
sed 's/很好用/这家店的东西很好用/' said.csv >long.csv
"$cohort" import -O long.h5 long.csv --key name >out 2>err
grep -q 'left out: free text; --type said=text makes it an input' err || fail 'sentences without blanks are no text'
follow import -O long.h5 long.csv --key name --type said=text
"$cohort" inspect said.h5 2>&1 | grep -q 'said.*text' || fail 'the texts are none'

# ---- training
hint 2 'give -c CONFIG.yaml' train --dataset d.h5 --run-dir run
hint 2 'give --dataset FILE.h5' train -c c.yaml --run-dir run
hint 2 'give --resume RUN_DIRECTORY, or --run-dir' train "${with[@]}" --resume
follow train "${with[@]}" --run-dir run --resume=auto
hint 5 '--run-dir DIR --resume=auto begins one' train "${with[@]}" --resume none
follow train "${with[@]}" --run-dir none --resume=auto
hint 9 'continue it with --resume run' train "${with[@]}" --run-dir run
follow train --resume run -q
hint 9 'choose another --run-dir' train "${with[@]}" --run-dir c.yaml
follow train "${with[@]}" --run-dir other
{ "$cohort" --kill-at 2 train "${with[@]}" --run-dir killed; } >out 2>&1
hint 137 'go on with: cohort train --resume killed' watch killed -q
follow train --resume killed -q
follow watch killed -q
hint 2 'leave --run-dir out' train --resume run --run-dir other -q
follow train --resume run -q
hint 3 'resume without -c and --set' train --resume run --set trainer.seed=7 -q
hint 3 'resume without --threads' train --resume run --threads 77 -q
hint 3 'resume without --device' train --resume run --device ref -q
follow train --resume run -q
hint 8 'lower trainer.learning_rate, or set trainer.gradient_clipping' train "${with[@]}" \
  --run-dir hot --set trainer.learning_rate=1e6 --set trainer.optimizer.type=sgd \
  --set 'output_features=[{name: label, weight: 1.0e+9}]' --set trainer.max_epochs=30
follow train "${with[@]}" --run-dir cool --set trainer.learning_rate=1e-3
hint 2 'known: auto, device, host' train "${with[@]}" --run-dir p --dataset-placement nowhere
follow train "${with[@]}" --run-dir p --dataset-placement host --autotune off
hint 5 'unless they are told --autotune off' plan "${with[@]}" --run-dir p --device cuda
sed 's/max_epochs: 1/max_epochs: 100000/' c.yaml >long.yaml
hint 75 'go on with --resume timed' train -c long.yaml --dataset d.h5 -q --run-dir timed --max-time 0:01
sed -i 's/max_epochs: 100000/max_epochs: 1/' long.yaml
"$cohort" train --resume timed --max-time 0:01 -q >out 2>err </dev/null
[ $? = 75 ] || fail 'a run that stopped does not go on'

# The model of Keras has another column than the data; then it is another than the run began with.
keras=$sources/tests/golden/keras/sequential.model.h5
follow convert "$keras" -O keras.h5 --input picture -q
cat >tune.yaml <<'YAML'
input_features:
  - {name: image, encoder: {type: graph, layers: [{Conv2D: {filters: 6, kernel_size: [3, 2]}, name: conv2d}, Flatten]}}
YAML
tune=(train -c tune.yaml --dataset d.h5 -q --set trainer.max_epochs=1)
hint 5 'of a model of Keras `cohort convert --input' "${tune[@]}" --run-dir tuned --init-from keras.h5
follow convert "$keras" -O keras.h5 --input image --force -q
follow "${tune[@]}" --run-dir tuned --init-from keras.h5
hint 3 'resume without --init-from' train --resume tuned --init-from run -q
follow train --resume tuned -q
rm -r tuned/checkpoints tuned/model.h5
cp keras.h5 copy.h5
rm keras.h5
hint 5 'give a copy of that model: --init-from MODEL' train --resume tuned -q
follow train --resume tuned --init-from copy.h5 -q
printf 'predictor: {type: linear}\n' >linear.yaml
linear=(train -c linear.yaml --dataset d.h5 -q --run-dir linear)
hint 3 'leave --init-from out' "${linear[@]}" --init-from copy.h5
follow "${linear[@]}"
echo 'hyperopt: {parameters: {trainer.batch_size: {space: choice, categories: [32, 64]}}}' >space.yaml
tuning=(hyperopt run -c tune.yaml -c space.yaml --dataset d.h5 -O begun.db --n-trials 1 -q --set trainer.max_epochs=1)
follow "${tuning[@]}" --init-from copy.h5
mv copy.h5 there.h5
hint 5 '--init-from MODEL says where it is now' "${tuning[@]}"
follow "${tuning[@]}" --init-from there.h5

hint 3 'choose another learning_rate_scheduler.decay' train "${with[@]}" --run-dir refit --refit \
  --set trainer.learning_rate_scheduler.decay=plateau
follow train "${with[@]}" --run-dir refit --refit --set trainer.learning_rate_scheduler.decay=cosine

# ---- scores
hint 9 'replace it with --force, or choose another -O' "${score[@]}" -O c.yaml
follow "${score[@]}" -O s.csv
follow "${score[@]}" -O s.csv --force
hint 9 'choose another -O' "${score[@]}" -O d.h5 --force
mkfifo pipe
mkdir folder
ln -s nothing loose
hint 9 'goes there with -O -' "${score[@]}" -O pipe
follow "${score[@]}" -O -
hint 9 'name a file in it: -O folder/' "${score[@]}" -O folder
follow "${score[@]}" -O folder/s.csv
hint 9 'remove the link, or choose another -O' "${score[@]}" -O loose
rm loose
follow "${score[@]}" -O loose
hint 2 'give -O FILE' "${score[@]}" -O - --json
hint 2 'without --split all rows are scored' "${score[@]}" -O x.csv --split nowhere
follow "${score[@]}" -O x.csv
hint 2 "for example --require 'accuracy>=0.9'" evaluate -m run --dataset d.h5 --split train --require x
follow evaluate -m run --dataset d.h5 --split train --require 'accuracy>=0' -q
hint 2 "choose another --log-file" "${score[@]}" -O y.csv --log-file y.csv
follow "${score[@]}" -O y.csv --log-file log

# ---- configs and options
hint 2 'give --dataset FILE.h5: shapes' plan -c c.yaml
follow plan -c c.yaml --dataset d.h5
hint 3 'for example decay_steps: 1000' plan -c c.yaml --dataset d.h5 \
  --set trainer.learning_rate_scheduler.decay=step
follow plan -c c.yaml --dataset d.h5 --set trainer.learning_rate_scheduler.decay=step \
  --set trainer.learning_rate_scheduler.decay_steps=1000
hint 3 'add decay: step or decay: exponential, or remove it' plan -c c.yaml --dataset d.h5 \
  --set trainer.learning_rate_scheduler.decay_steps=1000
follow plan -c c.yaml --dataset d.h5 --set trainer.learning_rate_scheduler.decay_steps=1000 \
  --set trainer.learning_rate_scheduler.decay=exponential
hint 3 'for example {type: huber}' plan -c c.yaml --dataset d.h5 \
  --set 'output_features=[{name: label, loss: [3]}]'
follow plan -c c.yaml --dataset d.h5 --set 'output_features=[{name: label, loss: {}}]'
hint 3 'for example {yes: 5}' plan -c c.yaml --dataset d.h5 \
  --set 'output_features=[{name: label, loss: {class_weights: 3}}]'
follow plan -c c.yaml --dataset d.h5 \
  --set 'output_features=[{name: label, loss: {class_weights: balanced}}]'
hint 3 '`cohort inspect DATASET` lists the columns' plan -c c.yaml --dataset d.h5 \
  --set 'input_features=[{name: q}]'
follow inspect d.h5
hint 3 'add decay: cosine' plan -c c.yaml --dataset d.h5 \
  --set trainer.learning_rate_scheduler.minimum_fraction=0.1
follow plan -c c.yaml --dataset d.h5 --set trainer.learning_rate_scheduler.minimum_fraction=0.1 \
  --set trainer.learning_rate_scheduler.decay=cosine
hint 3 'did you mean trainer.max_epochs?' plan -c c.yaml --dataset d.h5 --set trainer.max_epoch=3
follow plan -c c.yaml --dataset d.h5 --set trainer.max_epochs=3
hint 2 'see: cohort train --help' train --qqq
follow train --help
hint 2 'did you mean --' train --datset d.h5
hint 2 "a value that starts with '--' is written --" train -c c.yaml --dataset --q
hint 2 '`cohort help` lists the verbs' qqqqqqqq
follow help
hint 2 "did you mean 'train'?" trian
hint 6 'devices are auto, cpu, cuda' plan -c c.yaml --dataset d.h5 --device tpu
follow plan -c c.yaml --dataset d.h5 --device cpu
hint 3 'use tf32' plan -c c.yaml --dataset d.h5 --set trainer.precision=7

export OMP_THREAD_LIMIT=1
hint 6 'give --threads 1, or raise the limit' train "${with[@]}" --run-dir many --threads 2
follow train "${with[@]}" --run-dir many --threads 1
unset OMP_THREAD_LIMIT

# ---- tables in text
printf 'id,n,w,t\nu1,1,x,yes\nu2,2,y,no\nu3,3,x,no\nu4,4,y,yes\n' >t.csv
table() { follow import -O table.h5 --force "$@"; }
hint 2 'see cohort import --help' import --target t t.csv
follow import --help
table --target t t.csv
hint 2 'the dataset keeps its schema' import -O x.h5 --print-schema --target t t.csv
follow import --print-schema --target t t.csv
follow inspect table.h5
hint 2 'three shares' import -O x.h5 --target t --split random:3 t.csv
for rule in random:0.7,0.1,0.2 stratified:0.7,0.1,0.2 hash:n:0.7,0.1,0.2; do table --target t --split $rule t.csv; done
hint 2 'takes any' import -O x.h5 --target n --split stratified t.csv
table --target n --split random:0.7,0.1,0.2 t.csv
hint 2 '--training-set A.csv' import -O x.h5 --target t --training-set t.csv --split random
table --target t --training-set t.csv --test-set t.csv
hint 2 'give --target COLUMN; a schema' import -O x.h5 --positive no t.csv
table --target t --positive no t.csv
hint 4 'takes it as a word' import -O x.h5 --target t --type w=number t.csv
table --target t --type w=category t.csv
table --target t --ignore w t.csv
hint 4 'makes it one that is written' import -O x.h5 --target id t.csv
table --target id --type id=text t.csv
hint 4 'takes them as classes' import -O x.h5 --type id=id --target id t.csv
table --target id --type id=category t.csv
sed 's/,2,/,1e999,/' t.csv >large.csv
printf 'd,t\n01/02/2011,yes\n03/02/2011,no\n03/02/2011,yes\n' >dates.csv
hint 4 'it should be one like' import -O x.h5 --target t --type d=date dates.csv
table --target t --type d=date:%d/%m/%Y dates.csv
table --target t --type d=category dates.csv
hint 4 'correct the cell, or leave the column out' import -O x.h5 --target t large.csv
sed 3d large.csv >less.csv
table --target t less.csv
sed 's/u2/u1/' t.csv >twice.csv
hint 4 'leave --key out where rows have none' import -O x.h5 --target t --key id twice.csv
table --target t twice.csv
sed 's/,n,/,t,/' t.csv >names.csv
hint 4 'give other names by --header' import -O x.h5 --target t names.csv
table --target t --header id,n,w,t --skip-lines 1 names.csv
sed 's/,n,/,a\/b,/' t.csv >slash.csv
hint 4 'rename it, give names by --header' import -O x.h5 --target t slash.csv
table --target t --header id,n,w,t --skip-lines 1 slash.csv
table --target t --ignore a/b slash.csv
hint 2 '--split-rule RULE says' data check t.csv --target t --split test
follow data check t.csv --target t --split-rule random:0.5,0.2,0.3
table --target t --key id t.csv
hint 2 'give --key VALUE, or --keys FILE' data erase table.h5
hint 4 'with --allow-missing those that are there go' data erase table.h5 --key u1 --key u9
follow data show table.h5
follow data erase table.h5 --key u1 --key u9 --allow-missing
table --target t t.csv
hint 4 'import with --key COLUMN' data erase table.h5 --key u1
table --target t --key id t.csv
follow data erase table.h5 --key u1
hint 2 'or give --method permutation' select -c c.yaml --dataset table.h5 -O x.yaml -m run
hint 2 'give -m RUN' select -c c.yaml --dataset table.h5 -O x.yaml --method permutation
hint 4 '--top N chooses the best ones' select -c c.yaml --dataset table.h5 -O x.yaml --min-score 9
follow select -c c.yaml --dataset table.h5 -O x.yaml --top 1
hint 2 'its first line names the columns' train --dataset t.csv --run-dir tabled
follow train --target t --dataset t.csv --run-dir tabled --set trainer.max_epochs=1 -q
hint 2 'give --dataset TABLE.csv' train --target t --dataset table.h5 --run-dir tabled
hint 2 'leave --split out' predict -m tabled --dataset t.csv --split test -O x.csv
follow predict -m tabled --dataset t.csv -O scores.csv -q
hint 4 '--key names another column' predict -m tabled --dataset twice.csv --key id -O x2.csv -q
awk -v OFS=, '{ print $0, (NR > 1 ? NR : "m") }' twice.csv >named.csv
follow predict -m tabled --dataset named.csv --key m -O x2.csv -q

# ---- joined tables, configs made of data
printf 'w,size\nx,3\ny,5\n' >w.csv
hint 2 '--dataset TABLE.csv --join FILE:COL joins' train --source w=w.csv --target t --run-dir joined -q
hint 2 'a source of one table is --dataset FILE' train --dataset t.csv --source w=w.csv --target t --run-dir joined -q
hint 2 '--schema FILE names tables, --join FILE' import -O joined.h5 --target t --carry v t.csv -q
follow import -O joined.h5 --target t --join w.csv:w --carry w t.csv -q
follow train --target t --dataset t.csv --join w.csv:w --run-dir joined --set trainer.max_epochs=1 -q
hint 4 'cohort import --target says what the targets' init-config --dataset table.h5 --target w
follow init-config --dataset table.h5

# ---- where scores go
to=(predict -m tabled --dataset t.csv -q)
hint 2 'name it .csv, .tsv, .jsonl or .h5, or say --format' "${to[@]}" -O x3.parquet
follow "${to[@]}" -O x3.parquet --format csv
hint 2 '--columns WHAT=NAME gives' "${to[@]}" -O x5.h5 --columns key=a/b
follow "${to[@]}" -O x5.h5 --columns key=a
hint 2 '--holdout 10%, or --holdout 10%:NAME' "${to[@]}" -O x6.csv --holdout many
hint 2 '--key COL names the column that tells' "${to[@]}" -O x6.csv --holdout 10%
follow "${to[@]}" -O x6.csv --holdout 10% --key id
hint 2 'psi, ks, missing or unseen, as in --max-drift' "${to[@]}" -O x7.csv --max-drift much
awk -F, -v OFS=, 'NR > 1 { $3 = "z" } { print }' t.csv >drifted.csv
hint 10 '--max-drift allows more' predict -m tabled --dataset drifted.csv -O x7.csv -q --max-drift unseen=0.5
follow "${to[@]}" -O x7.csv --max-drift unseen=0.5
hint 2 '--shard 3/16 is the third of 16 parts' "${to[@]}" -O x3.csv --shard 3
follow "${to[@]}" -O x3.csv --shard 3/16
hint 2 '-O sqlite:FILE --table TABLE' "${to[@]}" -O x4.csv --table scores
hint 2 '-O sqlite:x4.db --table TABLE' "${to[@]}" -O x4.db
hint 2 '--table scores' "${to[@]}" -O sqlite:x4.db
if "$cohort" doctor | grep -q 'sqlite.*missing'; then
  echo 'NOT RUN: hints about tables of databases: there is no SQLite'
  printf '%s\n' '--if-exists append, replace or upsert' 'or --if-exists replace makes it anew' \
    'choose another --table' >>followed
else
  follow "${to[@]}" -O sqlite:x4.db --table scores
  hint 9 '--if-exists append, replace or upsert' "${to[@]}" -O sqlite:x4.db --table scores
  follow "${to[@]}" -O sqlite:x4.db --table scores --if-exists append
  hint 9 'or --if-exists replace makes it anew' "${to[@]}" -O sqlite:x4.db --table scores --if-exists upsert
  follow "${to[@]}" -O sqlite:x4.db --table scores --if-exists replace
  hint 9 'choose another --table' predict -m tabled --dataset sqlite:x4.db --source-table scores \
    -O sqlite:x4.db --table scores --if-exists replace -q
fi
hint 2 '--if-exists replace makes its table anew' "${to[@]}" -O sqlite:x4.db --table scores --force

# ---- proofs
hint 2 'see: cohort verify --help' verify resume -c c.yaml --dataset d.h5 -m run
follow verify --help

# ---- experiments
folds=(experiment -c c.yaml --dataset d.h5 -q)
hint 2 'give --k-fold N, --folds FILE with' "${folds[@]}" --run-dir folded
follow "${folds[@]}" --run-dir folded --k-fold 2
follow "${folds[@]}" --run-dir refolded --folds folded/folds.csv
hint 9 'continue it with --resume folded' "${folds[@]}" --run-dir folded --k-fold 2
follow "${folds[@]}" --resume folded
hint 2 'give --resume DIRECTORY' "${folds[@]}" --k-fold 2 --resume=auto
follow "${folds[@]}" --k-fold 2 --run-dir folded --resume=auto
hint 5 'begins one where none is' "${folds[@]}" --resume missing
follow "${folds[@]}" --k-fold 2 --run-dir begun --resume=auto
hint 3 'resume without --k-fold, --folds and --seeds' "${folds[@]}" --k-fold 3 --resume folded
hint 4 'goes on with cohort experiment --resume' train --resume folded/fold-0
follow experiment --resume folded -q
hint 5 'give the run of a fold: folded/fold-0' evaluate -m folded --dataset d.h5
follow evaluate -m folded/fold-0 --dataset d.h5 --split train -q

# ---- event logs
awk 'BEGIN {
  print "who,when,what,n"
  for (c = 1; c <= 60; c++) {
    printf "%d,2011-01-%02d,i%d,1\n%d,2011-02-01,i1,2\n", c, c % 10 + 1, c % 3, c
    if (c % 2) printf "%d,2011-01-20,i2,1\n", c
  }
}' >log.csv
log=(import -O log.h5 --force -q --entity who --time when)
cut=(--cutoff 2011-01-15 --label-window 10d --label again)
hint 2 '--entity CustomerID --time InvoiceDate' import -O log.h5 --events log.csv "${cut[@]}"
hint 2 '--cutoff 2011-09-01 --label-window' "${log[@]}" --events log.csv
hint 4 'an earlier --cutoff or a shorter' "${log[@]}" --events log.csv --cutoff 2011-01-25 \
  --label-window 9d --label again
hint 4 'another --label-window or --cutoff' "${log[@]}" --events log.csv --cutoff 2011-01-15 \
  --label-window 1d --label again
hint 2 "for example --amount 'Quantity*UnitPrice'" "${log[@]}" --events log.csv "${cut[@]}" --label-amount spend
follow "${log[@]}" --events log.csv "${cut[@]}" --label-amount spend --amount n
awk 'BEGIN { print "who,asked,answers"; for (c = 1; c <= 60; c++) print c ",2011-01-25," c % 2 }' >asked.csv
sed '1s/$/,what/; 2,$s/$/,a/' asked.csv >wares.csv
printf 'what,price\ni0,1\ni1,2\ni2,4\n' >prices.csv
wares=("${log[@]}" --events log.csv --item what --samples wares.csv --as-of asked --target answers)
hint 2 "events.what is the log's, whose items it tells of; wares.what the samples'" "${wares[@]}" --join prices.csv:what
follow "${wares[@]}" --join prices.csv:events.what
sed '1s/$/,since/; 2,$s/$/,2010-01-25/' asked.csv >since.csv
dotted=(import -O dotted.h5 --force -q asked.csv --target answers)
hint 2 'a column of dates is read by --type asked=date:%d/%m/%Y' "${dotted[@]}" --entity who --as-of asked --time-format %d/%m/%Y
hint 2 '--events LOG.csv gives one' "${dotted[@]}" --basket who
follow "${dotted[@]}"
early=("${log[@]}" --events log.csv --samples since.csv --target answers --ignore asked)
hint 4 "--as-of names the column with samples' dates" "${early[@]}" --as-of since
follow "${early[@]}" --as-of asked
sed 's/,2011-\(..\)-\(..\),/,\2.\1.2011,/' log.csv >dotted.csv
hint 4 'reads others, ms milliseconds' "${log[@]}" --events dotted.csv "${cut[@]}"
hint 4 "times are as --time-format '" "${log[@]}" --events dotted.csv "${cut[@]}" --time-format %d/%m/%Y
follow "${log[@]}" --events dotted.csv "${cut[@]}" --time-format %d.%m.%Y
hint 2 '--session-gap 30m' import -O next.h5 --events log.csv --entity who --time when --item what --next-item session -q
follow import -O next.h5 --events log.csv --entity who --time when --item what --next-item session --session-gap 30m -q
hint 2 'leave it out, or give --next-item time:2011-09-01' import -O new.h5 --events log.csv --entity who --time when \
  --item what --cutoff 2011-01-20 --keep-new-items -q
follow import -O new.h5 --events log.csv --entity who --time when --item what --next-item time:2011-01-20 --keep-new-items -q
hint 4 ' excluded by --where, ' "${log[@]}" --events log.csv "${cut[@]}" --where 'n > 9'
sed '2s/,1$/,one/' log.csv >word.csv
hint 4 'leave such events out with --where' "${log[@]}" --events word.csv "${cut[@]}" --amount n
follow "${log[@]}" --events word.csv "${cut[@]}" --amount n --where "n != 'one'"
follow "${log[@]}" --events log.csv "${cut[@]}"
follow train -c c.yaml --dataset log.h5 --run-dir logged -q
hint 2 'or --source events=LOG --as-of T' predict -m logged -O again.csv -q
hint 2 'events before it count: --as-of 2011-09-01' predict -m logged --source events=log.csv -O again.csv -q
hint 2 '--source events=LOG.csv --as-of' predict -m logged --source who=log.csv --as-of 2011-01-15 -O again.csv -q
follow predict -m logged --source events=log.csv --as-of 2011-01-15 -O again.csv -q
printf 'what,kind\n1,a\n' >kinds.csv
hint 4 '--source events=LOG --as-of T' predict -m logged --dataset log.csv -O again.csv --force -q
grep -q 'recipe' err && fail 'a log is no recipe that cannot be read'
hint 2 'cohort import --events LOG --cutoff T makes one' evaluate -m logged --dataset log.csv -q
hint 4 'it has: what, kind' predict -m logged --source events=log.csv --as-of 2011-01-15 --population kinds.csv -O again.csv --force -q
printf 'what,kind,since,twin,other\ni0,a,2010-01-01,i0,x\ni1,b,2010-01-02,i1,y\ni2,a,2010-01-03,i2,z\n' >items.csv
listed=("${log[@]}" -O listed.h5 --events log.csv "${cut[@]}")
hint 2 '--item COL --join FILE:COL, and TABLE.COL' "${listed[@]}" --join items.csv:what
follow "${listed[@]}" --item what --join items.csv:what
hint 4 'leave it out by --ignore' "${listed[@]}" --item what --join items.csv:what --type items.since=date
follow "${listed[@]}" --item what --join items.csv:what --type items.since=date --ignore items.since
hint 4 '--join FILE:ITEM=KEY, where' "${listed[@]}" --item what --join items.csv:what=other --ignore items.since
follow "${listed[@]}" --item what --join items.csv:what=twin --ignore items.since
# A model of a dataset from which was erased does not have the table.
follow data erase listed.h5 --key 1
follow train -c c.yaml --dataset listed.h5 --run-dir listed -q
hint 5 '=FILE gives it' predict -m listed --source events=log.csv --as-of 2011-01-15 -O again.csv --force -q
follow predict -m listed --source events=log.csv --source items=items.csv --as-of 2011-01-15 -O again.csv --force -q
sed 's/,b,/,\xe9,/' items.csv >latin.csv
hint 4 'for example --encoding latin1' "${listed[@]}" --item what --join latin.csv:what --ignore latin.since
follow "${listed[@]}" --item what --join latin.csv:what --ignore latin.since --encoding latin1
printf 'who\n1\n2\n' >whom.csv
follow "${log[@]}" -O some.h5 --events log.csv "${cut[@]}" --where "what != 'i9'"
follow train -c c.yaml --dataset some.h5 --run-dir some -q
awk 'BEGIN {
  print "who,when,what,n"
  for (c = 1; c <= 30; c++)
    for (k = 1; k <= 5; k++) printf "%d,2011-01-%02d,i%d,%d\n", c, 4 * k, (c + k) % 3, k
}' >bought.csv
sed -n 's/^i2,/i9,/p' items.csv | cat items.csv - >more.csv
towers=(import --force -q -O towers.h5 --events bought.csv --entity who --time when --item what --next-item leave-one-out)
cat >towers.yaml <<'YAML'
input_features: [{name: item}, {name: n}]
event_encoder: {type: bag}
output_features: [{name: next_item, decoder: {type: catalogue, columns: [n]}}]
trainer: {max_epochs: 1}
YAML
sed 's/\bn\b/kind/' towers.yaml >kinds.yaml
follow "${towers[@]}" --event-column n:number
hint 4 'items'"'"' table are those that `import --join ITEMS.csv:ITEM` took' train -c towers.yaml --dataset towers.h5 --run-dir towers -q
follow "${towers[@]}" --join items.csv:what --ignore items.since --ignore items.twin --ignore items.other
follow train -c kinds.yaml --dataset towers.h5 --run-dir towers -q
follow train -c kinds.yaml --dataset towers.h5 --run-dir blended --set blend=popularity -q
told=(predict --source events=bought.csv --as-of 2011-03-01 -q)
hint 5 'leave out --source of the items, or train without `blend`' "${told[@]}" -m blended --source items=more.csv -O more.scores.csv
follow "${told[@]}" -m blended -O blended.csv
follow "${told[@]}" -m towers --source items=more.csv -O more.scores.csv
hint 5 '--population FILE says whom both' predict -m logged -m some --source events=log.csv --as-of 2011-01-15 -O both-log.csv -q
follow predict -m logged -m some --source events=log.csv --as-of 2011-01-15 --population whom.csv -O both-log.csv -q
hint 5 'score a dataset.h5 with --dataset' predict -m run --source events=log.csv --as-of 2011-01-15 -O images.csv -q
follow predict -m run --dataset d.h5 -O images.csv -q

hint 5 'with -c models/presets/product-gan.yaml' generate -m run -O made.png
follow train -c "$sources/models/presets/product-gan.yaml" --dataset d.h5 --run-dir gan --set trainer.max_steps=2 -q
hint 2 'give -O FILE.png, or -O FILE.h5' generate -m gan -O made.txt
follow generate -m gan -O made.png
follow generate -m gan -O made.h5

# ---- tables of every kind
awk 'BEGIN { print "day,x,y"; for (i = 1; i <= 90; i++) printf "2011-01-%02d,%d,%d\n", i % 28 + 1, i, i % 2 }' >rows.csv
table=(import --target y -q)
{ printf '\377\376' && iconv -f utf-8 -t utf-16le rows.csv; } >wide.csv
hint 4 '--encoding utf-16 reads it' "${table[@]}" -O wide.h5 wide.csv
follow "${table[@]}" -O wide.h5 wide.csv --encoding utf-16
{ cat rows.csv && printf '1\n%.0s' 1 2 3; } >ragged.csv
hint 2 'for example --max-errors 100, or' "${table[@]}" -O ragged.h5 ragged.csv --max-errors few
hint 4 'correct them, or allow more by --max-errors N or P%; --on-error quarantine' "${table[@]}" -O ragged.h5 ragged.csv --on-error skip
follow "${table[@]}" -O ragged.h5 ragged.csv --on-error skip --max-errors '50%'
{ cat rows.csv && tail -n 1 rows.csv; } >twice.csv
hint 4 '--duplicates drop leaves such rows out' "${table[@]}" -O twice.h5 twice.csv --duplicates fail
follow "${table[@]}" -O twice.h5 twice.csv --duplicates drop
sed 's/^day,/first,last,/; s/^\(2011-[0-9-]*\),/\1,\1,/' rows.csv >days.csv
hint 4 '--split time:COLUMN:DATE,DATE' "${table[@]}" -O days.h5 days.csv --split time:2011-01-10,2011-01-20
follow "${table[@]}" -O days.h5 days.csv --split time:last:2011-01-10,2011-01-20
echo 'predictor: {type: linear}' >linear.yaml
hint 6 'leave --device out' train -c linear.yaml --dataset twice.h5 --run-dir lined --device ref -q
follow train -c linear.yaml --dataset twice.h5 --run-dir lined -q
follow "${table[@]}" -O whole.h5 rows.csv --split random:1,0,0 --force
follow train -c linear.yaml --dataset whole.h5 --run-dir whole -q
hint 4 'name one that has: --split train' report whole -O r.html -q
follow report whole -O r.html --split train -q
# Several models in one job.
follow import --target x -q -O x.h5 rows.csv --split random:1,0,0
follow train -c linear.yaml --dataset x.h5 --run-dir other-target -q
both=(-m whole -m other-target --dataset rows.csv -q)
hint 5 'without --ensemble their scores stand side by side' predict "${both[@]}" -O both.csv --ensemble mean
follow predict "${both[@]}" -O both.csv
hint 2 '-m champion=' predict -m whole -m whole --dataset rows.csv -O twins.csv -q
follow predict -m whole -m champion=whole --dataset rows.csv -O twins.csv -q
follow experiment -c linear.yaml --dataset twice.h5 --seeds 2 --run-dir seeds -q
hint 2 '--ensemble mean makes one score of all of them' predict -m whole -m seeds --dataset rows.csv -O three.csv -q
follow predict -m whole -m seeds --dataset rows.csv -O three.csv --ensemble mean -q
if [ -f x4.db ]; then
  hint 2 '--source-table customers, or --query' import -O q.h5 --target tabled -q sqlite:x4.db
  follow import --print-schema sqlite:x4.db --source-table scores
else
  echo "--source-table customers, or --query" >>followed
fi

# ---- rows explained, runs beside each other, searches
follow "${table[@]}" -O halves.h5 rows.csv --split random:0.5,0.2,0.3
follow train -c linear.yaml --dataset halves.h5 --run-dir halves -q
follow "${table[@]}" -O thirds.h5 rows.csv --split random:0.3,0.3,0.4
follow train -c linear.yaml --dataset thirds.h5 --run-dir thirds -q
hint 4 '--split all takes all rows' evaluate -m halves -m thirds --dataset rows.csv -q
follow evaluate -m halves -m thirds --dataset rows.csv --split all -q
hint 4 'without a key column rows are called by their number' explain -m whole --dataset rows.csv --row nobody -q
follow explain -m whole --dataset rows.csv --row 7 -q
hint 2 'without --events the effects are those of columns' explain -m whole --dataset rows.csv --rows 1 --events 3 -q
follow explain -m whole --dataset rows.csv --rows 1 -q
follow train -c linear.yaml --dataset d.h5 --run-dir pixels -q
hint 3 '-O FILE.csv tells the effects of columns' explain -m pixels --dataset d.h5 --rows 2 -O pixels.html -q
follow explain -m pixels --dataset d.h5 --rows 2 -O pixels.csv -q
cat >tune.yaml <<'YAML'
hyperopt: {metric: loss, parameters: {trainer.learning_rate: {space: uniform, lower: 0.1, upper: 0.2}}}
YAML
search=(hyperopt run -c c.yaml --n-trials 2 -q)
hint 3 'best in a second file: -c preset.yaml -c tune.yaml' "${search[@]}" --dataset twice.h5 -O study.db
follow help hyperopt
grep -q '^  hyperopt.parameters.PATH' out || fail 'help hyperopt does not tell of spaces'
follow help hyperopt parameters
hint 4 'import with a split that has some, such as --split random:0.7,0.1,0.2' "${search[@]}" -c tune.yaml \
  --dataset whole.h5 -O study.db
rm -rf study.db*
hint 9 'cohort hyperopt run -O FILE begins one' hyperopt show study.db
follow "${table[@]}" -O split.h5 rows.csv --split random:0.7,0.1,0.2
follow train -c linear.yaml --dataset split.h5 --run-dir parted -q
hint 4 '--dataset FILE measures all of them on the rows of one' compare lined parted -q
follow compare lined parted --dataset split.h5 -q
cp -a parted again
rm -f parted/scores.h5 again/scores.h5
mv split.h5 moved.h5
hint 4 'where it is now: --dataset FILE' compare parted again -q
follow compare parted again --dataset moved.h5 -q
mv moved.h5 split.h5
follow "${search[@]}" -c tune.yaml --dataset split.h5 -O study.db
hint 9 'go on with it without -c and --set' "${search[@]}" -c tune.yaml --set trainer.max_epochs=2 --dataset split.h5 \
  -O study.db
follow hyperopt run --dataset split.h5 --n-trials 3 -O study.db -q
sed 's/trainer.learning_rate/predictor.l2/' tune.yaml >penalty.yaml
hint 3 'take model_bytes' hyperopt run -c linear.yaml -c penalty.yaml --set hyperopt.second_metric=flops \
  --dataset split.h5 --n-trials 2 -O two.db -q
follow "${search[@]}" -c tune.yaml --set hyperopt.second_metric=model_bytes --dataset split.h5 -O two.db
hint 2 'choose one by --trial N' hyperopt best two.db
follow hyperopt best two.db --trial 1
hint 9 'it is left as it is; choose another name for the study' hyperopt show rows.csv
cp "$sources/tests/golden/optuna/studies.db" optuna.db
chmod u+w optuna.db
hint 9 '--study-name NAME chooses one' hyperopt show optuna.db
follow hyperopt show optuna.db --study-name free
hint 9 "without -O the trial's values are told; "'`cohort hyperopt run -c CONFIG -O ' \
  hyperopt best optuna.db --study-name begun -O best.yaml
follow hyperopt best optuna.db --study-name begun
hint 2 '`cohort hyperopt run -c CONFIG.yaml -O ' hyperopt confirm optuna.db --study-name begun
sed 's/{space: uniform.*}/{space: choice, categories: [9.0e+5, 8.0e+5]}}}/' tune.yaml >wild.yaml
echo 'combiner: {layers: [{Dense: 8}, {Dense: 8}, {Dense: 8}]}' >>wild.yaml
hint 8 'cohort hyperopt show ' "${search[@]}" -c wild.yaml --dataset split.h5 -O wild.db --set trainer.optimizer.type=sgd \
  --set trainer.max_epochs=3
follow hyperopt show wild.db

# What cannot be tried here: it needs a driver, a GPU, a server, another build, a killed job (cli/resume
# has those), a job done twice (cli/sinks), or a machine without memory.
# ---- folders of images
mkdir -p photos/validation/v photos/test/v
"$make_images" photos/validation/v 8 40 30
"$make_images" photos/test/v 8 40 30
hint 4 'it would be called train; to split one of them anew, name it: DIR/test --split RULE' import -O p.h5 photos
follow import -O p.h5 photos/test --split random:0.7,0.1,0.2
hint 2 'width and height in pixels: --image-size 64x64' import -O q.h5 photos/test --image-size 64
follow import -O q.h5 photos/test --image-size 64x64
printf 'photo,t\nphotos/test/v/000.png,0\n,1\nphotos/test/v/001.png,1\n' >shown.csv
hint 2 '--type COLUMN=image' import -O shown.h5 shown.csv --target t --fit pad
follow import -O shown.h5 shown.csv --target t --fit pad --type photo=image -q
printf 'n,s,y\n1,0,0\n2,1,1\n3,2,1\n4,0,0\n' >seen.csv
awk '{ print NR == 1 ? "s," $0 : NR - 2 "," $0 }' shown.csv >photo.csv
seen=(import -O seen.h5 seen.csv --target y --join photo.csv:s --type photo.photo=image --type s=category --fit pad -q)
hint 4 'leave it out of --carry, and give the table by --source when scoring' "${seen[@]}" --carry photo
follow "${seen[@]}"
hint 2 '--split random:0.7,0.1,0.2, --split stratified:0.7,0.1,0.2, or folders train' import -O u.h5 photos/test --split hash:a
follow import -O u.h5 photos/test --split stratified:0.7,0.1,0.2
hint 2 'import a folder of images first: cohort import --format images' train --target v --dataset photos/test
follow import --format images photos/test -O dataset.h5 --split random:0.7,0.1,0.2
hint 2 'give --dataset TABLE.csv, or leave --target out' train --target v --dataset d.h5
hint 2 'fail, or skip: the log and --json name what is left out' import -O r.h5 photos/test --on-error quarantine
"$make_images" photos/test/v 1 41 30
hint 4 'give them one: --image-size 32x32' import -O r.h5 photos/test
follow import -O r.h5 photos/test --image-size 32x32
: >photos/test/v/001.png
hint 4 'take it away, or leave such files out: --on-error skip' import -O t.h5 photos/test --image-size 32x32
hint 4 'that is more than --max-errors allows (default 1%)' import -O t.h5 photos/test --image-size 32x32 --on-error skip
follow import -O t.h5 photos/test --image-size 32x32 --on-error skip --max-errors 1
hint 5 "score a dataset.h5, or train on one that 'cohort import DIR' made" predict -m run --dataset photos/test -O p.csv -q

# ---- models of Keras
keras=$sources/tests/golden/keras/sequential.model.h5
hint 2 '--input COLUMN:SCALE, for example image:1/255' convert "$keras" -O k.h5 --input image:much
follow convert "$keras" -O k.h5 --input image:1/255
hint 2 '--output NAME' convert "$keras" -O k2.h5 --input dense_1
follow convert "$keras" -O k2.h5 --input dense_1 --output label
follow convert "$keras" -O k3.h5
hint 2 '--input-shape [NAME=]20x3' convert "$keras" -O k5.h5 --input-shape 12x
hint 2 '--input-shape input_layer=12x12x1' convert "$keras" -O k5.h5 --input-shape 8x12x1
follow convert "$keras" -O k5.h5 --input-shape input_layer=12x12x1
sed 's/"batch_shape": \[null, 12, 3\]/"batch_shape": [null,null,3]/' "$sources/tests/golden/keras/convolutions.model.h5" >open.h5
hint 5 '--input-shape input_layer_1=32x3' convert open.h5 -O k6.h5
printf 'a,b,t\n1,2,0\n2,1,1\n1,1,0\n2,2,1\n3,4,0\n' >few.csv
follow import -O few.h5 few.csv --target t
hint 4 'cohort convert --input COLUMN names it' predict -m k3.h5 --dataset few.h5 -O p2.csv -q
sed 's/GlobalAveragePooling1D/GlobalAveragePoolong1D/' "$sources/tests/golden/keras/convolutions.model.h5" >odd.h5
hint 5 '`cohort help layers` lists those that there are' convert odd.h5 -O k4.h5
follow help layers
hint 2 '`cohort help layers` lists them' help layer Densee
follow help layers

cat >>followed <<'END'
--target g has one
of a model of an event log --events N tells what each event adds
cohort import --events LOG --samples FILE makes one of other rows
whom, and as of when, its rows say: --source
leave out --as-of; or the samples: then those are scored who have events before it
`cohort evaluate --by COLUMN` tells in which rows they are written well
`cohort predict` writes how far off each input of a row is
show fewer: --rows N
--query 'SELECT * FROM customers'
--resume goes on behind row
--resume takes it as done
without --resume it is begun anew
without --resume the job is begun anew
leave carry out, and give the table by --source when scoring
leave columns out by --ignore
`cohort verify parity -m MODEL --dataset FILE --device NAME` tells of the device
`cohort predict` scores with any model
--split all measures all rows; a dataset.h5 has its own splits
--run-dir DIR keeps both runs
events that do not fit into memory lie there: --tmp-dir
or use --device cpu
give fewer --threads, or raise the limits
give fewer --workers, or raise the limits
use smaller batches, or fewer --workers
resume where it was begun, or choose anew with --autotune again
choose anew with --autotune again, or compute
lower trainer.batch_size; raising
use fewer rows at a time: trainer.batch_size
lower trainer.eval_batch_size
`cohort doctor` shows where the limit comes from
give --threads
give fewer --threads
give fewer --workers
lower --n-jobs to
not even one fits, as its folds and seeds are trained together
END
follow doctor

# ---- all of them?
# The literals of each co_hint(...), joined.
find "$sources/host" "$sources/models" "$sources/datasets" "$sources/kernels" -name '*.c' -exec cat {} + |
  tr '\n' ' ' | grep -oE 'co_hint\(([^";]|"[^"]*")*\);' |
  sed -E 's/^[^"]*//; s/"[^"]*$//; s/"[ ]*"//g; s/^"//' |
  grep -E -- '--|(^|[ (])-[Oc]([ ,;]|$)|cohort |trainer\.' | sort -u >hints
while IFS= read -r text; do
  known=
  while IFS= read -r tried; do
    case $text in *"$tried"*) known=yes ;; esac
    # A hint's own text ends where a value is put in.
    head=${text%%%*}
    if [ ${#head} -ge 8 ]; then case $tried in *"$head"*) known=yes ;; esac; fi
  done <followed
  if [ -z "$known" ]; then fail "a hint that nobody follows here: $text"; fi
done <hints
[ "$(wc -l <hints)" -gt 30 ] || fail 'the hints were not found in the sources'
exit $failed
