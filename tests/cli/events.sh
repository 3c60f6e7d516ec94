#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: events.sh COHORT CHECK_JSON PRESETS. Event logs, from the raw file to scores, and what is
# wrong with them: one clear line, the right exit code, nothing half-written.
set -u
cohort=$1
check_json=$2
presets=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Customers with a rhythm of their own; the next item follows from the last.
awk '
function rnd() { seed = seed * 16807 % 2147483647; return seed / 2147483647 }
BEGIN {
  seed = 4711
  print "Customer,Date,Item,Quantity,Price"
  for (c = 1; c <= 150; c++) {
    item = int(rnd() * 6); gap = 2 + int(rnd() * 40)
    for (day = int(rnd() * 30); day < 200; day += 1 + int(rnd() * 2 * gap)) {
      printf "%d,2011-%02d-%02d,item %d,%d,%.2f\n", c, 1 + int(day / 28), 1 + day % 28, item,
        1 + int(rnd() * 3), 1 + item
      item = (item + 1 + (rnd() < .2)) % 6
    }
  }
}' >log.csv
log=(--events log.csv --entity Customer --time Date --item Item)

expect 0 import -O d.h5 "${log[@]}" --amount 'Quantity*Price' --where 'Quantity > 0' \
  --cutoff 2011-06-01 --label-window 30d --label repurchase --seed 3 --json
json ok=true entities=150 items=6 up_to_date=false
expect 0 import -O d.h5 "${log[@]}" --amount 'Quantity*Price' --where 'Quantity > 0' \
  --cutoff 2011-06-01 --label-window 30d --label repurchase --seed 3
grep -q 'up to date' out || fail "an equal import is not up to date"
expect 0 train -c "$presets/purchase-lstm.yaml" --dataset d.h5 --run-dir l --seed 3 --set trainer.max_epochs=2 --set trainer.min_steps=0
expect 0 train -c "$presets/purchase-gru.yaml" --dataset d.h5 --run-dir g --seed 3 --set trainer.max_epochs=1 --set trainer.min_steps=0 \
  --set event_encoder.layers=2 --set event_encoder.bidirectional=true
expect 0 evaluate -m g --dataset d.h5 --split test
expect 0 train -c "$presets/purchase-gru.yaml" --dataset d.h5 --run-dir s --seed 3 --set trainer.max_epochs=1 --set trainer.min_steps=0 \
  --set event_encoder.layers=3 --set event_encoder.cell_type=rnn --set event_encoder.dropout=0
expect 0 evaluate -m l --dataset d.h5 --split test --json
json ok=true split=test
grep -q '"roc_auc":' out || fail "no roc_auc"
expect 0 predict -m l --dataset d.h5 -O l.csv
head -1 l.csv | grep -q '^Customer,' || fail "scores lack the customer"

# A log is scored as the dataset that was made of it; a population in its own order, with customers
# who never came.
expect 0 predict -m l --source events=log.csv --as-of 2011-06-01 -O s.csv
cmp -s l.csv s.csv || fail "the log scores otherwise than the dataset"
printf 'Customer,x\n20,1\nnobody,1\n3,1\n' >population.csv
expect 0 predict -m l --source events=log.csv --as-of 2011-06-01 --population population.csv -O p.csv
empty='WARN events no history: 1 of 3 rows have no event before --as-of, 1 of them unknown keys; the training had no such row'
grep -qF "$empty" err || fail "not said who has no history: $(cat err)"
expect 0 predict -m l --source events=log.csv --as-of 2011-06-01 --population population.csv -O -
grep -qF "$empty" err || fail "not said of standard output: $(cat err)"
[ "$(cut -d, -f1 p.csv | tr '\n' ' ')" = 'Customer 20 nobody 3 ' ] || fail "not the population: $(cat p.csv)"
[ "$(grep '^20,' p.csv)" = "$(grep '^20,' l.csv)" ] || fail "scores depend on the population"
refused 2 'needs --as-of' -- predict -m l --source events=log.csv -O x.csv
refused 2 'goes with --source' -- predict -m l --dataset d.h5 --as-of 2011-06-01 -O x.csv
refused 2 'the model reads events=FILE, no other' -- predict -m l --source customers=log.csv --as-of 2011-06-01 -O x.csv
printf 'Kunde\n3\n' >kunden.csv
refused 4 "there is no column 'Customer'" -- predict -m l --source events=log.csv --as-of 2011-06-01 \
  --population kunden.csv -O x.csv
refused 2 'no output of the model' -- predict -m l --dataset d.h5 --top-k 3 -O x.csv

# Whether, how often and for how much: beside a network stand models of customers who come and leave.
expect 0 import -O v.h5 "${log[@]}" --amount 'Quantity*Price' --cutoff 2011-06-01 --gap 2d --label-window 30d \
  --label repurchase --label-count purchases --label-amount spend
echo '{input_features: [{select: "rfm.*"}], trainer: {max_epochs: 1}}' >rfm.yaml
expect 0 train -c rfm.yaml --dataset v.h5 --run-dir v --set blend=bg_nbd
grep -Eq 'blend purchases: (0\.[0-9]*|1) of bg_nbd' err || fail 'no weight of a blend was chosen'
expect 0 train -c rfm.yaml --dataset v.h5 --run-dir regressed --set blend=logistic
grep -Eq 'blend repurchase: [01][.0-9]* of linear' err || fail 'a blend has another name than its baseline'
grep -q 'bg_nbd: r .* ± .*log-likelihood' err || fail "BG/NBD tells nothing of its fit"
expect 0 evaluate -m v --dataset v.h5 --split test --json
for baseline in bg_nbd pareto_nbd; do
  grep -Eq "\"$baseline\":\{\"repurchase\":\{.*\"purchases\":\{.*\"spend\":\{" out || fail "no $baseline beside the model"
done
grep -Eq '"network":\{"repurchase":\{.*"purchases":\{.*"spend":\{' out || fail "no network beside the blend"
grep -Eq '"total_error":.*"decile_error":.*"deciles":\{.*"spend":\[\{"decile":1,"rows":.*"mean_target":' out ||
  fail "no calibration of what is spent"
expect 0 inspect v --json
grep -q '"bg_nbd":{"purchases":{"parameters":{"r":.*"standard_errors":.*"state":"' out || fail "no report of the fit: $(cat out)"
expect 0 predict -m v --dataset v.h5 -O v.csv
for encoder in 'parallel_cnn, kernel_sizes: [2, 3], filters: 4' 'bag, pooling: max' 'rnn, layers: 2, pooling: attention'; do
  rm -rf e
  echo "{event_encoder: {type: $encoder}, trainer: {max_epochs: 1}, baselines: none}" >e.yaml
  expect 0 train -c e.yaml --dataset v.h5 --run-dir e
done
# Histories through a few numbers and back, with columns of the sample, or alone, without any target.
expect 0 train -c "$presets/sequence-autoencoder.yaml" --dataset v.h5 --run-dir codes --set trainer.max_epochs=1
expect 0 evaluate -m codes --dataset v.h5 --split test --json
grep -q '"reconstruction":{"reconstruction_error":[0-9.]*,"mse":[0-9.]*,"log_loss":' out || fail "errors: $(cat out)"
expect 0 import -O u.h5 "${log[@]}" --no-rfm --cutoff 2011-06-01
expect 0 train -c "$presets/sequence-autoencoder.yaml" --dataset u.h5 --run-dir alone --set trainer.max_epochs=2
expect 0 predict -m alone --dataset u.h5 -O u.csv
[ "$(head -1 u.csv)" = 'Customer,reconstruction_error,reconstruction_error:dt,reconstruction_error:item' ] ||
  fail "parts of the error: $(head -1 u.csv)"
expect 0 predict -m alone --source events=log.csv --as-of 2011-06-01 -O u2.csv
cmp -s u.csv u2.csv || fail "the log scores otherwise than the dataset"
refused 3 'nothing but events is given back' -- train -c "$presets/sequence-autoencoder.yaml" --dataset u.h5 --run-dir x \
  -c <(echo '{output_features: [{name: r, type: reconstruction, of: all, decoder: {type: mlp}}]}')
refused 3 'no events are given back' -- train --dataset v.h5 --run-dir x \
  -c <(echo '{input_features: [{select: "rfm.*"}], output_features: [{name: r, type: reconstruction, of: all, event_decoder: {}}]}')
refused 3 'is of reconstructions' -- train --dataset v.h5 --run-dir x \
  -c <(echo '{output_features: [{name: spend, event_decoder: {}}]}')

# Distributions of how often and for how much: a score is the mean, the loss a likelihood.
cat >law.yaml <<'END'
output_features: [{name: purchases, loss: {type: negative_binomial}}, {name: spend}]
trainer: {max_epochs: 2}
END
expect 0 train -c "$presets/clv-lstm.yaml" -c law.yaml --dataset v.h5 --run-dir law
grep -q "INFO train validation rows were still better told at the last epoch: more trainer.max_epochs" err ||
  fail "not said that it is still improving: $(cat err)"
grep -q "WARN baselines 'purchases': the baseline [a-z_]* has mae [0-9.]* on 15 validation rows, better than the model's" err ||
  fail "not said that a baseline is better: $(cat err)"
expect 0 evaluate -m law --dataset v.h5 --split test
[ "$(grep -c ' nll ' out)" = 2 ] || fail "a likelihood that baselines have not is told beside them: $(cat out)"
! sed '1,/^beside/d' out | grep -qw nan || fail "a value that a baseline has not: $(cat out)"
! grep -q ' $' out || fail "blanks at the ends of lines: $(cat out)"
expect 0 predict -m law --dataset v.h5 -O law.csv
awk -F, 'NR > 1 && !($2 > 0 && $3 > 0 && $2 < 1e9 && $3 < 1e9) { exit 1 }' law.csv || fail "no expected values"
expect 0 predict -m law --source events=log.csv --as-of 2011-06-01 -O law2.csv
cmp -s law.csv law2.csv || fail "the log scores otherwise than the dataset"
refused 5 "operation 'distribution_mean' cannot be exported" -- export onnx -m law -O law.onnx
refused 3 'nothing is attributed to inputs' -- explain -m law --dataset v.h5 --split test
awk 'BEGIN { print "x,y"; for (i = 0; i < 60; i++) print i % 7 "," i / 4 }' >quarters.csv
for loss in 'negative_binomial quarters.csv whole numbers' 'zero_inflated_lognormal debts.csv numbers'; do
  read -r name file what <<<"$loss"
  sed 's/,/,-/2; 1!s/,/,-/' quarters.csv >debts.csv
  refused 4 "takes $what from 0 on" -- train --target y --dataset "$file" --run-dir x \
    --set defaults.number.loss.type="$name"
done
# Heads begin as what training rows say of their distribution, or with the weights that are given.
awk 'BEGIN { print "x,y"; for (i = 0; i < 60; i++) print i % 7 "," (i % 3 ? exp(4 + 2 * sin(i)) : 0) }' >amounts.csv
mean=$(awk -F, 'NR > 1 { n++ } NR > 1 && $2 > 0 { k++; l = log($2); s += l; q += l * l }
  END { m = s / k; printf "%.2f", (k + .5) / (n + 1) * exp(m + (q / k - m * m) / 2) }' amounts.csv)
cat >head.yaml <<'END'
output_features:
  - {name: y, loss: {type: zero_inflated_lognormal},
     decoder: {type: graph, layers: [{Dense: {units: 3, kernel_initializer: zeros}}]}}
trainer: {max_epochs: 1, learning_rate: 1.0e-9}
baselines: none
END
expect 0 import -O amounts.h5 amounts.csv --target y --split random:1,0,0
expect 0 train -c head.yaml --dataset amounts.h5 --run-dir head
expect 0 predict -m head --dataset amounts.h5 --split train -O head.csv
awk -F, -v mean="$mean" 'NR > 1 && ($2 - mean > .01 || mean - $2 > .01) { exit 1 }' head.csv ||
  fail "a head begins elsewhere than at $mean: $(head -3 head.csv)"
expect 0 train -c head.yaml --dataset amounts.h5 --run-dir moved --set trainer.learning_rate=0.1
expect 0 train -c head.yaml --dataset amounts.h5 --run-dir given --init-from moved
expect 0 predict -m moved --dataset amounts.h5 --split train -O moved.csv
expect 0 predict -m given --dataset amounts.h5 --split train -O given.csv
cmp -s head.csv moved.csv && fail "the head has not moved"
cmp -s moved.csv given.csv || fail "weights that are given are not what it begins with"
echo '{output_features: [{name: spend, loss: {type: zero_inflated_lognormal}}], predictor: {type: linear}}' >line.yaml
refused 3 'only networks have it' -- train -c line.yaml --dataset v.h5 --run-dir x
refused 3 "leave the members out" -- train -c rfm.yaml -c law.yaml --set combiner.members=2 --dataset v.h5 --run-dir x
expect 0 predict -m v --source events=log.csv --as-of 2011-06-01 -O w.csv
cmp -s v.csv w.csv || fail "the log scores otherwise than the dataset"
refused 2 'needs --amount' -- import -O x.h5 "${log[@]}" --cutoff 2011-06-01 --label-window 30d --label-amount spend

expect 0 import -O n.h5 "${log[@]}" --next-item leave-one-out
expect 0 train -c "$presets/next-item-attention.yaml" --dataset n.h5 --run-dir n --seed 3 --set trainer.max_epochs=10
expect 0 evaluate -m n --dataset n.h5 --split test --require 'accuracy>=0.6' --require 'ndcg@10>=0.8' --require 'hit_rate@10>=1' --json
for baseline in prior popularity personal_frequency weighted_frequency repeat_logistic markov item_knn; do
  grep -q "\"$baseline\":{\"next_item\":{" out || fail "no $baseline beside the model"
done
refused 3 "neither more nor less of 'next_item.repeat_share' is better" -- train -c "$presets/next-item-attention.yaml" \
  --dataset n.h5 --run-dir x --set trainer.validation_metric=next_item.repeat_share
grep -q 'hint: known: .*next_item.ndcg@10' err || fail "other metrics to choose by: $(cat err)"
cat >tune.yaml <<'END'
hyperopt: {metric: repetition_ratio@10, parameters: {trainer.learning_rate: {space: uniform, lower: 0.001, upper: 0.1}}}
END
refused 3 "neither more nor less of 'repetition_ratio@10' is better" -- hyperopt run -c "$presets/next-item-attention.yaml" \
  -c tune.yaml --dataset n.h5 -O x.db --n-trials 1
# How much of the catalogue is listed grows with the rows: draws of them say nothing of it.
expect 0 experiment -c "$presets/next-item-attention.yaml" --dataset n.h5 --run-dir ns --seeds 2 --set trainer.max_epochs=1
grep -Eq 'next_item +coverage@10 .*[0-9] *$' out || fail "coverage in an experiment: $(grep coverage out)"
grep -q '  next_item .*ndcg@10 .*\]$' out || fail 'no interval of ndcg@10'
expect 0 predict -m n --dataset n.h5 --split test --top-k 2 -O n.csv
[ "$(head -1 n.csv)" = Customer,next_item_1,next_item_1_score,next_item_2,next_item_2_score ] ||
  fail "columns of the likeliest: $(head -1 n.csv)"

# Of a customer who had all six items none is left to discover; of others none that they had.
expect 0 predict -m n --dataset n.h5 --split test --top-k 1 --exclude-seen -O unseen.csv
grep -q 'score .* has drifted' err && fail 'scores of which items are taken out are compared with those of all'
grep -q '"scores":{}' unseen.csv.manifest.json || fail "drift of such scores: $(cat unseen.csv.manifest.json)"
awk -F, 'NR == FNR { if (FNR > 1) seen[$1, $3] = ++had[$1, $3]; next }
  FNR > 1 && $3 > 0 && had[$1, $2] > 1 { print "had before: " $0; bad = 1 } END { exit bad }' log.csv unseen.csv ||
  fail "--exclude-seen tells what was seen"
expect 0 evaluate -m n --dataset n.h5 --split test --exclude-seen --json
grep -q '"ndcg@10":0[.,]' out || fail "targets that were seen still count: $(cat out)"
refused 2 'models that choose the next' -- evaluate -m l --dataset d.h5 --exclude-seen
refused 2 'models that choose the next' -- predict -m l --dataset d.h5 --exclude-seen -O x.csv

# Several models over one log, here a pipe: what each alone gives, whatever it reads of the log.
as_of=(--source events=log.csv --as-of 2011-06-01)
column() { awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } NR > 1 { print $at }' "$1"; }
expect 0 predict -m g "${as_of[@]}" -O g.csv
"$cohort" predict -m l -m g --source events=- --as-of 2011-06-01 -O both.csv --json <log.csv >out 2>err || fail 'a log from a pipe'
json models.0.name=l models.1.golden.rows=16 unseen_items=0
[ "$(column both.csv l_repurchase_score)" = "$(column l.csv repurchase_score)" ] || fail 'the first of two models over a log'
[ "$(column both.csv g_repurchase_score)" = "$(column g.csv repurchase_score)" ] || fail 'the second of two models over a log'
refused 5 'was imported with another --where than that of l/model.h5' -- predict -m l -m n "${as_of[@]}" -O x.csv
whom=(--population population.csv)
expect 0 predict -m n "${as_of[@]}" "${whom[@]}" -O next.csv
expect 0 predict -m l -m n "${as_of[@]}" "${whom[@]}" -O with.csv
[ "$(column with.csv l_repurchase_score)" = "$(column p.csv repurchase_score)" ] || fail 'a model beside one of next items'
[ "$(column with.csv n_next_item)" = "$(column next.csv next_item)" ] || fail 'one of next items beside another model'
expect 0 predict -m l -m g "${as_of[@]}" --ensemble mean -O mean.csv
paste -d, <(column mean.csv repurchase_score) <(column l.csv repurchase_score) <(column g.csv repurchase_score) |
  awk -F, '{ d = $1 - ($2 + $3) / 2; if (d > 1e-6 || d < -1e-6) exit 1 }' || fail 'means over a log'

# What was bought may come again: the same from the log's own codes, whatever the vocabulary leaves out.
expect 0 train -c "$presets/next-item-gru.yaml" --dataset n.h5 --run-dir copy --seed 3 \
  --set trainer.max_epochs=10 --set trainer.min_steps=0 --set trainer.batch_size=128
expect 0 evaluate -m copy --dataset n.h5 --split test --require 'accuracy>=0.6' --require 'ndcg@10>=0.8'
expect 0 predict -m copy --dataset n.h5 --split test -O copy.csv
refused 3 'not all classes of' -- train -c "$presets/next-item-gru.yaml" --dataset n.h5 --run-dir x \
  --set defaults.event_category.preprocessing.max_size=3
refused 3 'no events of the classes of' -- train -c "$presets/purchase-lstm.yaml" --dataset d.h5 --run-dir x \
  --set defaults.binary.decoder.type=copy

# A network that knows little yet, trained on few of the items by the table that embeds them, is mixed with
# the chain that the items really follow.
cat >tied.yaml <<'END'
output_features: [{name: next_item, decoder: {type: tied}, loss: {type: sampled_softmax, num_sampled: 4}}]
END
expect 0 train -c "$presets/next-item-attention.yaml" -c tied.yaml --dataset n.h5 --run-dir blend --seed 3 \
  --set trainer.max_epochs=1 --set blend=markov
refused 3 'sampled_softmax goes with no decoder' -- train -c "$presets/next-item-gru.yaml" --dataset n.h5 \
  --run-dir x --set defaults.category.loss.type=sampled_softmax
refused 3 'only networks have it' -- train -c tied.yaml --set predictor.type=linear --dataset n.h5 --run-dir x
expect 0 evaluate -m blend --dataset n.h5 --split test --require 'accuracy>=0.7' --json
grep -q '"network":{"next_item":{"log_loss":{"difference":-' out ||
  fail "a blend is no better than its network: $(cat out)"
expect 0 predict -m blend --dataset n.h5 --split test -O blend.csv
# Golden rows have no times, and of long histories the last events alone: what goes by all of them is not asked.
awk 'function rnd() { seed = seed * 16807 % 2147483647; return seed / 2147483647 }
BEGIN { seed = 99; print "Customer,Basket,Date,Item"
  for (c = 1; c <= 40; c++) for (v = 0; v < 5; v++) { day = 1 + int(rnd() * 28)
    for (k = int(rnd() * 3); k >= 0; k--)
      printf "%d,%d,2011-0%d-%02d,item %d\n", c, c * 5 + v, 1 + v, day, int(rnd() * 3) + 4 * (c % 2) } }' >baskets.csv
expect 0 import -O baskets.h5 --events baskets.csv --entity Customer --time Date --item Item --basket Basket \
  --next-item leave-one-out
for baseline in repeat_logistic markov personal_frequency; do
  expect 0 train -c "$presets/next-item-gru.yaml" --dataset baskets.h5 --run-dir "b_$baseline" --seed 3 \
    --set trainer.max_epochs=1 --set trainer.min_steps=0 --set blend=$baseline --set baselines=none \
    --set defaults.event_category.preprocessing.max_length=3
  grep -Eq "blend next_item: (0\.[0-9]+|1) of $baseline" err || fail "nothing of $baseline is mixed in: $(grep blend err)"
  expect 0 predict -m "b_$baseline" --dataset baskets.h5 --split test -O "b_$baseline.csv"
done
refused 3 'what a blend makes of its inputs cannot be told' -- predict -m blend --dataset n.h5 -O x.csv --reasons 1
grep -q 'trained without .blend., the network can be explained' err || fail 'no way out for a blend'
expect 0 report blend -O blend.html
grep -q 'There are none here: what a blend makes' blend.html || fail 'why there are no effects'
grep -q 'id="histories"' blend.html || fail 'no histories in the report'

# Effects of events, which a blend has, too: they add up to the score, and before the last event that is the score
# of a log without it.
steps=(explain -m blend --events 3 -q)
expect 0 "${steps[@]}" --dataset n.h5 --split test -O steps.csv
awk -F, 'NR == FNR { if (FNR > 1) score[$1] = $3; next }
  FNR > 1 { value[$1] = ($2 == "none" ? 0 : value[$1]) + $(NF - 1); last[$1] = $NF; rows++ }
  function off(a, b) { return a - b > 1e-6 || b - a > 1e-6 }
  END { for (key in last) if (off(last[key], score[key]) || off(exp(value[key]), score[key])) exit 1; exit !(rows > 300) }' \
  blend.csv steps.csv || fail 'effects of events do not make the score'
grep -v "$(grep '^5,' log.csv | tail -1)" log.csv >short.csv
for name in log short; do
  expect 0 "${steps[@]}" --source events=$name.csv --as-of 2011-09-01 --row 5 --class 'item 0' -O "steps_$name.csv"
done
[ "$(tail -2 steps_log.csv | head -1 | sed 's/.*,//')" = "$(tail -1 steps_short.csv | sed 's/.*,//')" ] ||
  fail 'the score before the last event'
awk -F, 'BEGIN { OFS = "," } NR > 1 { $2 = $2 " 0" NR % 7 + 1 ":23:00" } 1' log.csv >hours.csv
expect 0 "${steps[@]}" --source events=hours.csv --as-of 2011-09-01 --row 5 --class 'item 0' -O hours_steps.csv
grep -qE 'dt [0-9]+\.[0-9]{2,4}("|,|$)' hours_steps.csv || fail "gaps with all their digits: $(cat hours_steps.csv)"
! grep -qE 'dt [0-9]*\.[0-9]{5}' hours_steps.csv || fail "gaps with all their digits: $(cat hours_steps.csv)"
expect 0 explain -m blend --dataset n.h5 --row 5 --events 2
grep -q 'and those before' out || fail "no events before: $(cat out)"
grep -q '^ *[0-9]*  2011-.*: item item [0-5], dt .*[+-]0\.' out || fail "events as text: $(cat out)"
expect 0 "${steps[@]}" --dataset n.h5 --rows 2 -O steps.jsonl
refused 2 '-O x.html: a page is of images' -- "${steps[@]}" --dataset n.h5 -O x.html
refused 2 '--steps is of integrals' -- "${steps[@]}" --dataset n.h5 --steps 8
refused 3 'blend: must be a baseline' -- train -c "$presets/next-item-attention.yaml" \
  --dataset n.h5 --run-dir x --set blend=nobody
refused 3 'boosted_trees predicts nothing of such inputs' -- train -c "$presets/next-item-attention.yaml" \
  --dataset n.h5 --run-dir x --set blend=boosted_trees
grep -q 'hint: these do: .*markov' err || fail 'which baselines predict of such inputs'
refused 3 'needs events' -- train -c "$presets/purchase-lstm.yaml" --dataset d.h5 --run-dir x --set blend=markov
expect 0 import -O o.h5 "${log[@]}" --next-item session --session-gap 10d --json
json ok=true
refused 2 'session needs --session-gap' -- import -O x.h5 "${log[@]}" --next-item session
refused 2 'no duration' -- import -O x.h5 "${log[@]}" --next-item session --session-gap soon
expect 0 import -O t.h5 "${log[@]}" --next-item time:2011-06-01
expect 0 import -O m.h5 "${log[@]}" --cutoff 2011-04-01 --cutoff 2011-05-01 --cutoff 2011-06-01 \
  --label-window 30d --label again
# The same whatever the order of the lines.
(head -1 log.csv; tail -n +2 log.csv | sort -t, -k4) >sorted.csv
expect 0 import -O s.h5 --events sorted.csv "${log[@]:2}" --next-item time:2011-06-01 --json
sum() { "$cohort" inspect "$1" | grep sha256; }
[ "$(sum s.h5)" = "$(sum t.h5)" ] || fail "the order of lines changes the dataset"

label=(--cutoff 2011-06-01 --label-window 30d --label again)
refused 9 'was not made from these' -- import -O d.h5 "${log[@]}" "${label[@]}"
refused 4 'is outside the log' -- import -O x.h5 "${log[@]}" --cutoff 2031-01-01 --label-window 90d --label again
refused 4 'after the last event' -- import -O x.h5 "${log[@]}" --cutoff 2011-07-01 --label-window 90d --label again
refused 4 "there is no column 'Kunde'" -- import -O x.h5 --events log.csv --entity Kunde --time Date "${label[@]}"
refused 4 "there is no column 'Preis'" -- import -O x.h5 "${log[@]}" --amount Preis "${label[@]}"
refused 2 'a condition is wanted' -- import -O x.h5 "${log[@]}" --where Quantity "${label[@]}"
refused 2 'no time' -- import -O x.h5 "${log[@]}" --cutoff June --label-window 30d --label again
refused 2 'no duration' -- import -O x.h5 "${log[@]}" --cutoff 2011-06-01 --label-window month --label again
refused 2 'events need --cutoff' -- import -O x.h5 "${log[@]}"
refused 2 'does not go with' -- import -O x.h5 "${log[@]}" "${label[@]}" --next-item leave-one-out
refused 2 'ends after' -- import -O x.h5 "${log[@]}" "${label[@]}" --cutoff 2011-05-15
refused 2 'does not go with --format events' -- import -O x.h5 "${log[@]}" "${label[@]}" --target Item
sed '3s/2011-[0-9-]*/2011-02-30/' log.csv >wrong.csv
refused 4 "wrong.csv:3: row 2, column 'Date'" -- import -O x.h5 --events wrong.csv "${log[@]:2}" "${label[@]}"

# Times in other forms, which models know.
expect 0 import -O iso.h5 "${log[@]}" "${label[@]}"
sed 's/,\(2011\)-\(..\)-\(..\),/,\3.\2.\1,/' log.csv >german.csv
awk -F, -v OFS=, 'NR > 1 { split($2, d, "-"); $2 = (d[2] - 1) * 31 + d[3]; $2 = 1300000000 + 86400 * $2 "000" } { print }' log.csv >ms.csv
sed 's/000,item/,item/' ms.csv >seconds.csv
german=(--events german.csv "${log[@]:2}" --time-format %d.%m.%Y)
expect 0 import -O german.h5 "${german[@]}" "${label[@]}"
expect 0 import -O ms.h5 --events ms.csv "${log[@]:2}" --cutoff 2011-08-01 --label-window 30d --label again --time-format ms
expect 0 import -O seconds.h5 --events seconds.csv "${log[@]:2}" --cutoff 2011-08-01 --label-window 30d --label again
for pair in 'iso german' 'ms seconds'; do
  # shellcheck disable=SC2086 # words
  for name in $pair; do "$cohort" inspect $name.h5 | grep '^sha256'; done | sort -u >sums
  [ "$(wc -l <sums)" = 1 ] || fail "times in other forms are other times: $pair"
done
# Options' times may be written so, too, by day where the log has the time of day.
sed '2,$s/,\([0-9.]*2011\),/,\1 00:00,/' german.csv >daytime.csv
daytime=(--events daytime.csv "${log[@]:2}" --time-format '%d.%m.%Y %H:%M' --label-window 30d --label again --seed 3)
for cutoff in 2011-05-04 04.05.2011 '04.05.2011 00:00'; do
  expect 0 import -O day.h5 "${daytime[@]}" --cutoff "$cutoff" --force
  "$cohort" inspect day.h5 | grep '^sha256'
done | sort -u >sums
[ "$(wc -l <sums)" = 1 ] || fail "cut-offs in other forms are other times: $(cat sums)"
refused 2 'no time' -- import -O x.h5 "${daytime[@]}" --cutoff 31.02.2011
grep -qF "as the log's times are, '%d.%m.%Y %H:%M', or 2011-12-31" err || fail "the form is not named: $(cat err)"
expect 0 train -c "$presets/purchase-lstm.yaml" --dataset german.h5 --run-dir german --seed 3 --set trainer.max_epochs=1 --set trainer.min_steps=0
expect 0 predict -m german --dataset german.h5 -O d.csv --force
expect 0 predict -m german --source events=german.csv --as-of 2011-06-01 -O s.csv --force
cmp -s d.csv s.csv || fail 'a model does not know how times are written'
refused 4 "the model reads times as '%d.%m.%Y'" -- predict -m german --source events=log.csv --as-of 2011-06-01 -O x.csv
refused 4 "--time-format '%d/%m/%Y' reads others, ms milliseconds" -- import -O x.h5 --events german.csv "${log[@]:2}" "${label[@]}"
refused 2 'it needs year, month and day' -- import -O x.h5 "${log[@]}" --time-format %d.%m "${label[@]}"
refused 4 'is no time' -- import -O x.h5 "${log[@]}" --time-format ms "${label[@]}"

# What a sample of a table cannot be.
awk 'BEGIN { print "Customer,asked,again"; for (c = 1; c <= 60; c++) print c ",01/06/2011," (c % 2 ? "yes" : "no") }' >asked.csv
asked=(--samples asked.csv "${german[@]:2}" --as-of asked --target again --type asked=date:%d/%m/%Y)
sed 's/item/caf\xe9/' german.csv >latin.csv
expect 0 import -O x.h5 --events latin.csv "${asked[@]}" --encoding latin1
expect 0 train -c "$presets/purchase-lstm.yaml" --dataset x.h5 --run-dir latin --seed 3 --set trainer.max_epochs=1 --set trainer.min_steps=0
expect 0 predict -m latin --dataset x.h5 -O d.csv --force
expect 0 predict -m latin --source asked=asked.csv --source events=latin.csv -O s.csv --force
cmp -s d.csv s.csv || fail 'a model of samples does not know how the log is written'
rm x.h5
sed 's/2011/2001/' asked.csv >early.csv
refused 4 'no sample has an event before its date; the log is of 2011-01-' -- import -O x.h5 --events german.csv --samples early.csv "${asked[@]:2}"
sed 's/2011/2031/' asked.csv >late.csv
expect 0 import -O x.h5 --events german.csv --samples late.csv "${asked[@]:2}"
grep -q 'note     60 samples are of after the last event' out || fail 'no word of late samples'
rm x.h5
refused 2 'labels and events of samples are read from files alone' -- import -O x.h5 "${asked[@]}" --events sqlite:log.db

# What stands for a missing time; keys, quotes, lists and names that cannot be.
sed '3s/,2011-..-..,/,9999-12-31,/' log.csv >far.csv
expect 0 import -O far.h5 --events far.csv "${log[@]:2}" "${label[@]}"
grep -q 'to 9999-12-31: does one stand for a missing time? --where' err || fail 'no word of a time that cannot be'
expect 0 predict -m german --source events=<(sed '3s/,..\...\.2011,/,31.12.9999,/' german.csv) --as-of 2011-06-01 -O x.csv --force
grep -q 'does one stand for a missing time?$' err || fail 'a scoring is told of an option that it lacks'
rm x.csv*
sed '1s/Customer/[who]/' log.csv >named.csv
refused 4 "there is no column 'Customer'" -- import -O x.h5 --events named.csv "${log[@]:2}" "${label[@]}"
grep -qF 'the log has: [who], ' err || fail 'a name in brackets is taken for a list of JSON'
awk -F, -v OFS=, 'NR == 3 { while (length($1) < 2000) $1 = $1 $1 "0" } { print }' log.csv >long.csv
refused 4 "long.csv:3: row 2, column 'Customer': a key of" -- import -O x.h5 --events long.csv "${log[@]:2}" "${label[@]}"
sed '3s/item/"item/' log.csv >quote.csv
refused 4 'is never closed' -- import -O x.h5 --events quote.csv "${log[@]:2}" "${label[@]}"
grep -q -- '--no-quotes reads files' err || fail 'no way out of an open quote'
printf '[\n{"Customer": 1}\n]\n' >list.json
refused 4 'lines are read that hold an object each, not a list of them' -- import -O x.h5 --events list.json "${log[@]:2}" "${label[@]}"
sed 1s/Price/Item/ log.csv >twice.csv
refused 4 'of a log, rename one in the file' -- import -O x.h5 --events twice.csv "${log[@]:2}" "${label[@]}"
refused 4 'correct the cell, or leave it empty, or leave such events out with --where' -- import -O x.h5 "${log[@]}" --amount Item "${label[@]}"
exit $failed
