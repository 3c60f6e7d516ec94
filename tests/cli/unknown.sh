#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: unknown.sh COHORT CHECK_JSON. Classes that training never saw, beside what is known of them:
# embeddings of which a share is dropped in training, the same on any number of workers, and resumed.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1

# rows FIRST COUNT ROWS: of items FIRST …; who buys hangs on the price, and on the item.
rows() {
  awk -v first="$1" -v count="$2" -v rows="$3" '
    function uniform() { state = (state * 69069 + 1) % 4294967296; return int(state / 65536) / 65536 }
    BEGIN {
      state = first
      print "item,price,bought"
      for (i = 0; i < count; i++) { price[i] = uniform(); own[i] = uniform() - 0.5 }
      for (r = 0; r < rows; r++) {
        i = int(uniform() * count)
        p = (price[i] > 0.5 ? 0.7 : 0.3) + 0.6 * own[i]
        print "i" first + i "," price[i] "," (uniform() < p)
      }
    }'
}
rows 0 60 1800 >known.csv
rows 1000 400 2000 >new.csv
expect 0 import -O d.h5 known.csv --target bought --split random:0.7,0.15,0.15
cat >c.yaml <<'END'
input_features: [{name: price, preprocessing: {normalization: zscore}}, {name: item, encoder: {type: embedding}}]
combiner: {layers: [{Dense: {units: 16, activation: relu}}]}
trainer: {max_epochs: 20, batch_size: 64, early_stop: 0}
baselines: none
END
# auc RATE: of items that are new, after a training in which that share of the items was unknown.
auc() {
  expect 0 train -c c.yaml --dataset d.h5 --run-dir "r$1" --seed 3 --set "input_features.item.encoder.unknown_rate=$1"
  expect 0 evaluate -m "r$1" --dataset new.csv --split all --json --draws 0
  auc=$(grep -o '"roc_auc":[0-9.]*' out | head -1 | cut -d: -f2)
}
auc 0
without=$auc
auc 0.5
awk -v without="$without" -v with="$auc" 'BEGIN { exit !(with > 0.65 && with > without + 0.1) }' ||
  fail "new items have an AUC of $auc, and of $without where none is unknown in training"
short=(-c c.yaml --dataset d.h5 --seed 3 --set trainer.max_epochs=2 --set input_features.item.encoder.unknown_rate=0.3)
expect 0 verify resume "${short[@]}" --kills 2
expect 0 verify determinism "${short[@]}"
refused 3 'unknown_rate: ' -- train -c c.yaml --dataset d.h5 --run-dir x --set input_features.item.encoder.unknown_rate=1
exit $failed
