#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: init_config.sh COHORT CHECK_JSON MAKE_IDX PRESETS. Configs to begin with, of tables, logs and images.
set -u
cohort=$1
check_json=$2
make_idx=$3
presets=$4
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

awk 'BEGIN {
  print "id,spend,visits,plan,same,bought"
  for (i = 1; i <= 400; i++)
    printf "k%d,%s,%d,\"plan # %d\",1,%s\n", i, (i % 7 ? i * 37 % 101 / 4 : ""), i % 9, i % 3, (i * 37 % 101 > 50 ? "yes" : "no")
}' >t.csv
expect 0 import -O t.h5 --target bought --key id --type plan=category t.csv
expect 0 init-config --dataset t.h5 --preset "$presets/shopper-mlp.yaml" -O c.yaml
grep -q '^  - name: spend # number from .*; 14.2 % missing$' c.yaml || fail "no note on spend: $(cat c.yaml)"
grep -q '^  - name: plan # category of 3 classes: plan # 1 33.5 %, plan # 0' c.yaml || fail "no note on plan: $(cat c.yaml)"
grep -B1 '^  - name: same' c.yaml | grep -q '^  # better left out? ' || fail "the constant is not told of: $(cat c.yaml)"
grep -q '^# no input: id' c.yaml || fail "the key is not told of: $(cat c.yaml)"

# What is made of the preset trains as the preset does, to the same bytes; so does what is rendered of it.
expect 0 render-config -c "$presets/shopper-mlp.yaml" --dataset t.h5 -O rendered.yaml
for config in "$presets/shopper-mlp.yaml" c.yaml rendered.yaml; do
  expect 0 train -c "$config" --dataset t.h5 --run-dir run --seed 5 --set trainer.max_epochs=1
  mv run/model.h5 "$(basename "$config").h5"
  rm -rf run
done
cmp -s shopper-mlp.yaml.h5 c.yaml.h5 || fail "init-config trains another model than its preset"
cmp -s shopper-mlp.yaml.h5 rendered.yaml.h5 || fail "render-config trains another model than its preset"

# Without a preset one is chosen by what there is.
expect 0 init-config --dataset t.h5
grep -q 'encoding: piecewise_linear' out || fail "no preset for a table"
expect 0 init-config --dataset t.h5 --set trainer.max_epochs=7 --json
json ok=true verb=init-config config.trainer.max_epochs=7
"$make_idx" 60 8 3 1 images labels || fail "cannot make images"
expect 0 import -O i.h5 --training-set images labels
expect 0 init-config --dataset i.h5 -O i.yaml
grep -q 'filters: \[32, 64, 128\]' i.yaml || fail "no preset for images: $(cat i.yaml)"
expect 0 plan -c i.yaml --dataset i.h5
awk 'BEGIN {
  print "who,day,item"
  for (i = 0; i < 300; i++) printf "%d,2020-01-%02d,%d\n", i % 30, 1 + i / 30, i * i % 11
}' >log.csv
expect 0 import -O e.h5 --events log.csv --entity who --time day --item item --next-item leave-one-out
expect 0 init-config --dataset e.h5 -O e.yaml
grep -q 'type: transformer\|MultiHeadAttention' e.yaml || fail "no preset for next items: $(cat e.yaml)"
expect 0 plan -c e.yaml --dataset e.h5

refused 9 'exists' -- init-config --dataset t.h5 -O c.yaml
refused 4 'is no target' -- init-config --dataset t.h5 --target spend
refused 4 "no column 'x'" -- init-config --dataset t.h5 --target x
refused 2 'does not go with' -- init-config --dataset t.h5 --preset c.yaml -c c.yaml
refused 3 'nothing.yaml' -- init-config --dataset t.h5 --preset nothing.yaml
exit $failed
