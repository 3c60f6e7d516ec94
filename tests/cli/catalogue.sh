#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: catalogue.sh COHORT CHECK_JSON. A model of the next item that scores items by their table: those that
# are new in the test, those that a table given has beside the model's, and what is refused.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1

# 140 items of 4 kinds, every fourth of them new from July on; each customer buys of one kind.
awk 'BEGIN {
  state = 7
  print "sku,kind,price" >"items.csv"
  for (i = 0; i < 140; i++) print "i" i ",k" i % 4 "," 10 + i % 7 >"items.csv"
  print "who,day,sku,paid"
  for (c = 0; c < 240; c++)
    for (k = 0; k < 9; k++) {
      do {
        state = (state * 69069 + 1) % 4294967296
        i = 4 * int(state / 4294967296 * 35) + c % 4
      } while (k < 8 && int(i / 4) % 4 == 3)
      if (k == 8) i = 4 * (3 + 4 * (int(i / 16) % 8)) + c % 4
      printf "c%d,2024-0%d-%02d,i%d,%d\n", c, k < 8 ? 1 + int(k / 2) : 7, 1 + c % 20 + k, i, c + k
    }
}' >log.csv
log=(--events log.csv --entity who --time day --item sku --join items.csv:sku --event-column paid:number)
expect 0 import -O few.h5 "${log[@]}" --next-item time:2024-07-01
expect 0 import -O d.h5 "${log[@]}" --next-item time:2024-07-01 --keep-new-items --json
json ok=true unknown_targets=240
grep -q '"test":240' out || fail 'new items are no targets of the test'
expect 9 import -O few.h5 "${log[@]}" --next-item time:2024-07-01 --keep-new-items
refused 2 'keep-new-items goes with --next-item time' -- import -O x.h5 "${log[@]}" --next-item leave-one-out --keep-new-items
refused 2 'keep-new-items goes with --next-item time' -- import -O x.h5 "${log[@]}" --cutoff 2024-06-01 --keep-new-items

cat >c.yaml <<'END'
input_features: [{name: item}, {name: kind}, {name: price}, {name: paid}]
defaults: {event_category: {encoder: {type: embedding, embedding_size: 8, unknown_rate: 0.5}}}
event_encoder: {type: bag, pooling: mean}
output_features:
  - {name: next_item, decoder: {type: catalogue, columns: [kind, price], embedding_size: 16, units: 16,
                                   unknown_rate: 0.8}}
trainer: {max_epochs: 8, batch_size: 64, learning_rate: 1.0e-2}
baselines: none
END
expect 0 train -c c.yaml --dataset d.h5 --run-dir m --seed 3
# Without a word of them 10 of 140 are found; of the customer's kind there are 35.
expect 0 evaluate -m m --dataset d.h5 --split test --json --draws 0
hits=$(grep -o '"new_hit_rate@10":[0-9.]*' out | head -1 | cut -d: -f2)
awk -v hits="$hits" 'BEGIN { exit !(hits > 0.18) }' || fail "of new items $hits are found among the first 10"
short=(-c c.yaml --dataset d.h5 --seed 3 --set trainer.max_epochs=2)
expect 0 verify resume "${short[@]}" --kills 2
expect 0 verify determinism "${short[@]}"

# Items of a table that the model has not: equal rows are equal, whether the log has them or not.
told=(--source events=log.csv --as-of 2024-06-01)
expect 0 predict -m m "${told[@]}" -O log.csv.scores --top-k 3
sed -n 's/^i3,/late,/p' items.csv | cat items.csv - >one.csv
{ cat one.csv; sed -n 's/^i3,/later,/p' items.csv; } >two.csv
expect 0 predict -m m "${told[@]}" --source items=one.csv -O one.csv.scores --json
json new_items=1
expect 0 predict -m m "${told[@]}" --source items=two.csv -O two.csv.scores --json
json new_items=2
head -1 two.csv.scores | grep -q ',next_item:late,next_item:later$' || fail 'new items have no columns'
awk -F, 'NR > 1 { sum = 0; for (i = 4; i <= NF; i++) sum += $i
  if ($(NF - 1) != $NF || $NF <= 0 || sum < 0.999 || sum > 1.001) exit 1 }' two.csv.scores ||
  fail 'equal new items have other scores, or probabilities are none'
awk 'NR == 1 { print; next } { sub(/,i[0-9]*,/, ",late,"); print }' log.csv >lately.csv
expect 0 predict -m m --source events=lately.csv --as-of 2024-06-01 --source items=two.csv -O bought.csv --top-k 40 --exclude-seen
grep -q ',late,' bought.csv && fail 'an item of the history is recommended in spite of --exclude-seen'
grep -q ',later,' bought.csv || fail 'a new item is never recommended'
expect 0 predict -m m "${told[@]}" --source items=two.csv -O again.csv --top-k 3 --workers 3
expect 0 predict -m m "${told[@]}" --source items=two.csv -O once.csv --top-k 3 --workers 1
cmp -s again.csv once.csv || fail 'scores hang on the workers'

decoder=output_features.next_item.decoder
wrong() { refused "$1" "$2" -- train -c c.yaml --dataset d.h5 --run-dir x --set "$3"; }
wrong 4 "differ in 'paid'" "$decoder.columns=[paid]"
wrong 3 "'size' is no number or category of the events" "$decoder.columns=[size]"
wrong 3 "'item' is no number or category of the events" "$decoder.columns=[item]"
wrong 3 'columns: must be a list' "$decoder.columns=kind"
wrong 3 "'kind' is given twice" "$decoder.columns=[kind, price, kind]"
wrong 3 'label_smoothing: does not go with the decoder' 'output_features.next_item.loss={type: softmax_cross_entropy, label_smoothing: 0.1}'
wrong 3 'sampled_softmax goes with no decoder' 'output_features.next_item.loss={type: sampled_softmax, num_sampled: 8}'
wrong 3 'unknown_rate' "$decoder.unknown_rate=1"
expect 0 train "${short[@]}" --run-dir balanced --set trainer.max_epochs=1 --set trainer.validation_metric=new_mrr --set 'output_features.next_item.loss={type: softmax_cross_entropy, class_weights: balanced}'
grep -q "trainer.validation_metric has no value" out err || fail 'a metric without a value chooses in silence'
expect 0 predict -m balanced "${told[@]}" --source items=one.csv -O balanced.csv --top-k 3
expect 0 train -c c.yaml --dataset d.h5 --run-dir blended --seed 3 --set trainer.max_epochs=1 --set baselines=auto --set blend=popularity
expect 0 predict -m blended "${told[@]}" -O blended.csv
expect 0 predict -m blended "${told[@]}" --source items=items.csv -O same.csv
cmp -s blended.csv same.csv || fail 'a table without new items changes a blend'
refused 5 'has no scores of the new items' -- predict -m blended "${told[@]}" --source items=two.csv -O x.csv
exit $failed
