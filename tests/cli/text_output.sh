#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: text_output.sh COHORT CHECK_JSON. A network learns to write texts: letters from behind; what it is
# beside, what it writes, and what goes with no text.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1

# Some rows have no target; those that begin with an x share one.
awk 'BEGIN {
  srand(11)
  split("a b c d é", letters, " ")
  print "id,word,behind"
  for (i = 0; i < 1600; i++) {
    word = behind = ""
    for (k = 1 + int(rand() * 3); k > 0; k--) {
      letter = letters[1 + int(rand() * 5)]
      word = word letter
      behind = letter behind
    }
    if (i % 12 == 5) { word = "x" word; behind = "none" }
    print i "," word "," (i % 40 == 7 ? "" : behind)
  }
}' >t.csv
expect 0 import -O d.h5 t.csv --key id --target behind --type behind=text --type word=text --seed 2
cat >c.yaml <<'END'
input_features:
  - name: word
    type: text_sequence
    preprocessing: {tokens: characters, min_frequency: 1, max_size: 16}
    encoder: {type: rnn, cell_type: gru, units: 32, embedding_size: 8}
output_features:
  - {name: behind, decoder: {cell_type: gru, units: 32, embedding_size: 8, max_length: 5, max_size: 16}}
trainer: {max_epochs: 40, batch_size: 32, learning_rate: 0.01}
END
expect 0 train -c c.yaml --dataset d.h5 --run-dir run --seed 4 --quiet
expect 0 verify parity -m run --dataset d.h5
expect 0 evaluate -m run --dataset d.h5 --json --quiet --require 'behind.exact_match>=0.95' \
  --require 'token_error_rate<=0.03' --require 'token_accuracy>=0.95'
for known in '"most_frequent":{"behind":{"log_loss":null,"token_accuracy":null,"exact_match":0.0' \
  '"copy word":{"behind":{' '"paired":{"most_frequent":{"behind":{"exact_match":{"difference":0.'; do
  grep -qF "$known" out || fail "evaluate lacks $known"
done

expect 0 evaluate -m run --dataset d.h5 --quiet
! grep -qw nan out || fail 'numbers are told that no baseline has'

# What is written is what was measured, from the table, too, and at any number of rows at a time.
expect 0 predict -m run --dataset t.csv -O all.csv --quiet
expect 0 predict -m run --dataset t.csv -O few.csv --batch-size 7 --quiet
cmp -s all.csv few.csv || fail 'what is written hangs on the batch'
[ "$(head -1 all.csv)" = id,behind ] || fail "columns: $(head -1 all.csv)"
paste -d, t.csv all.csv | awk -F, 'NR > 1 && $3 != "" { n++; right += $3 == $5 }
  END { exit !(n > 1500 && right >= 0.95 * n) }' || fail 'what is written is not right'
expect 0 predict -m run --dataset d.h5 --split test -O test.csv --columns key,prediction=text --quiet
[ "$(head -1 test.csv)" = id,text ] || fail "columns: $(head -1 test.csv)"

# A page tells how many are written right, and how far off others are.
expect 0 report run -O page.html --quiet
for known in '>exact_match<' '>token_error_rate<' '<title>Rows by edits</title>'; do
  grep -qF "$known" page.html || fail "the page lacks $known"
done
! grep -qF 'Predicted and true' page.html || fail 'texts are drawn as numbers'

# Customers with several texts each: what is beside the model is paired by customer, too.
awk 'BEGIN {
  print "customer,at,reply" >"s.csv"
  print "customer,day,amount" >"log.csv"
  for (i = 0; i < 60; i++) {
    for (k = 1; k <= 3; k++)
      print i ",2024-0" k + 2 "-01," (i % 3 ? "yes" : "no") (k == 2 ? "!" : "") >"s.csv"
    print i ",2024-01-0" 1 + i % 9 "," i >"log.csv"
  }
}'
expect 0 import -O several.h5 --samples s.csv --events log.csv --entity customer --time day \
  --as-of at --target reply --type reply=text --seed 3
expect 0 init-config --dataset several.h5 -O several.yaml
expect 0 train -c several.yaml --dataset several.h5 --run-dir several --quiet --set trainer.max_epochs=2 \
  --set output_features.reply.decoder.attention=true
grep -q 'memory_0' several/model.h5 || fail 'no attention to events'
! grep -q 'memory_1' several/model.h5 || fail 'events of one encoder are attended to twice'
expect 0 evaluate -m several --dataset several.h5 --json --quiet
grep -qF '"paired":{"most_frequent":{"reply":' out || fail 'several samples: no baseline is paired'

# Columns of one log, each with an encoder of its own, are sequences of their own; more than a decoder attends to
# are refused.
own='input_features:'
for i in 1 2 3 4 5; do
  own+="
  - {name: apart$i, column: dt, encoder: {type: rnn, units: 3}}"
  [ "$i" = 2 ] && echo "$own" >apart.yaml
done
echo "$own" >five.yaml
for part in apart five; do
  echo 'output_features: [{name: reply, decoder: {attention: true, units: 6, max_length: 4}}]
trainer: {max_epochs: 1}' >>$part.yaml
done
expect 0 train -c apart.yaml --dataset several.h5 --run-dir apart --quiet
for k in 0 1; do
  grep -q "memory_$k" apart/model.h5 || fail "a sequence of one log with others is not attended to: $k"
done
expect 0 evaluate -m apart --dataset several.h5 --quiet
refused 3 'attention: there are more than 4 sequences' -- train -c five.yaml --dataset several.h5 --run-dir five

# Words of which hardly one comes twice, and texts longer than what is written: none is a match, but what is
# copied from where it stands.
awk 'BEGIN {
  srand(5)
  print "id,note,same,reply"
  for (i = 0; i < 240; i++) {
    reply = "ok w" int(rand() * 1e6)
    print i ",u" int(rand() * 1e6) " v" int(rand() * 1e6) "," reply "," reply (i % 2 ? "" : " and more of it")
  }
}' >w.csv
expect 0 import -O w.h5 w.csv --key id --target reply --type reply=text --type note=text --type same=text --seed 2
cat >w.yaml <<'END'
input_features:
  - {select: text, type: text_sequence}
output_features:
  - {name: reply, decoder: {tokens: words, min_frequency: 4, max_length: 2, units: 8, embedding_size: 4}}
trainer: {max_epochs: 8, batch_size: 32, learning_rate: 0.02}
END
expect 0 train -c w.yaml --dataset w.h5 --run-dir w --seed 4 --quiet
expect 0 evaluate -m w --dataset w.h5 --json --quiet --require 'reply.token_accuracy<=0.8' \
  --require 'reply.exact_match<=0' --require 'reply.token_error_rate>=0.7'
grep -qE '"copy note":\{"reply":\{[^}]*"exact_match":0,"token_error_rate":1[},]' out || fail 'words told apart by nothing'
grep -qE '"copy same":\{"reply":\{[^}]*"exact_match":0\.[3-7]' out || fail 'a word that is copied is no match'

# The other cell, which attends to what is read.
expect 0 train -c c.yaml --dataset d.h5 --run-dir lstm --seed 4 --quiet --set trainer.max_epochs=12 \
  --set output_features.behind.decoder.cell_type=lstm --set output_features.behind.decoder.attention=word
expect 0 evaluate -m lstm --dataset d.h5 --quiet --require 'behind.exact_match>=0.9'
expect 0 plan -c c.yaml --dataset d.h5 --mode infer
grep -qE "decoding +[0-9.]+ MiB  \\(beside the total, while 'behind' is written" out || fail 'plan tells of no decoding'
for rows in 256 7; do
  expect 0 predict -m lstm --dataset t.csv -O $rows.csv --batch-size $rows --quiet
done
cmp -s 256.csv 7.csv || fail 'what is written with attention hangs on the batch'
expect 0 verify resume -c c.yaml --dataset d.h5 --set trainer.max_epochs=2 --kills 1 --quiet \
  --set output_features.behind.decoder.attention=true
refused 3 "'other' is no sequence whose encoder ends in states" -- train -c c.yaml --dataset d.h5 --run-dir none \
  --set output_features.behind.decoder.attention=other

# The preset, of other sizes; a run that keeps no rows of texts.
presets=$(dirname "${BASH_SOURCE[0]}")/../../models/presets
expect 0 train -c "$presets/text-writer.yaml" --dataset d.h5 --run-dir preset \
  --seed 4 --quiet --set trainer.max_epochs=8 --set trainer.golden_rows=0 --set trainer.learning_rate=0.01 \
  --set defaults.text_sequence.encoder.units=32 --set defaults.text_sequence.decoder.units=32 \
  --set defaults.text_sequence.decoder.max_length=5
expect 0 evaluate -m preset --dataset d.h5 --quiet --require 'behind.exact_match>=0.5'
expect 0 inspect preset
! grep -q '^golden' out || fail 'rows are kept'
expect 0 inspect run
grep -qF 'golden   16 training rows as they are, with what was written: word' out || fail 'inspect tells of no texts that are kept'

# Of another target it trains nothing that nobody asked for.
expect 0 synthesize -O customers.csv --rows 60 --seed 9
expect 0 import -O number.h5 customers.csv --target age --type plan=text
refused 3 "no target is left for 'select: text'" -- train -c "$presets/text-writer.yaml" --dataset number.h5 --run-dir x
grep -qF 'cohort import --target age --type age=text' err || fail "no way out: $(cat err)"

# A model to begin with, of the same letters; of another one, in whose place the others move; with room for more.
expect 0 train -c c.yaml --dataset d.h5 --run-dir again --init-from run --set trainer.max_epochs=1
! grep -qF 'tokens are known' err || fail 'the same letters are told to be others'
sed '1!s/a/z/g' t.csv >z.csv
expect 0 import -O z.h5 z.csv --key id --target behind --type behind=text --type word=text --seed 2
for size in 16 24; do
  expect 0 train -c c.yaml --dataset z.h5 --run-dir "moved$size" --init-from run --set trainer.max_epochs=1 \
    --set trainer.learning_rate=0 --set output_features.behind.decoder.max_size=$size \
    --set input_features.word.preprocessing.max_size=$size
  grep -qE "input 'word': 5 of its 6 tokens are known in .*/run/model.h5, whose weights they begin with" err || fail "letters read: $(cat err)"
  grep -qE "output 'behind': 7 of its 8 tokens are known in " err || fail "letters written: $(cat err)"
  ! grep -qF 'of another shape' err || fail "not carried over: $(cat err)"
  expect 0 predict -m "moved$size" --dataset z.h5 -O z.out.csv --quiet --force
  # Nothing was learned: words without the new letter are written as they were.
  paste -d, <(tail -n +2 z.csv) <(tail -n +2 z.out.csv) |
    awk -F, '$2 !~ /z/ && $3 != "" { n++; right += $3 == $NF } END { exit !(n > 300 && right >= .9 * n) }' ||
    fail "known letters have lost their weights: $(paste -d, z.csv z.out.csv | head -20)"
done

# Beside another output, which has a share in what is explained, and its baselines.
awk -F, 'NR == 1 { print $0 ",g" } NR > 1 { print $0 "," ($2 ~ /a/ ? "in" : "out") }' t.csv >g.csv
expect 0 import -O g.h5 g.csv --key id --target behind --target g --type behind=text --type word=text --seed 2
sed 's/^output_features:/&\n  - {name: g}/' c.yaml >g.yaml
expect 0 train -c g.yaml --dataset g.h5 --run-dir two --set trainer.max_epochs=1
expect 0 evaluate -m two --dataset g.h5 --json --quiet
# Beside the text stand what copies, beside the other output what is fitted to rows; each of its own alone.
for known in '"bag_of_words":{"g":{' '"prior":{"g":{' '"most_frequent":{"behind":{'; do
  [ "$(grep -oF "$known" out | wc -l)" = 2 ] || fail "no $known, or none paired"
done
expect 0 train -c <(sed 's/^  - {name: behind.*//' g.yaml) --dataset g.h5 --run-dir alone --set trainer.max_epochs=1 --quiet
expect 0 evaluate -m alone --dataset g.h5 --json --quiet
grep -oE '"(prior|bag_of_words)":\{"g":\{"log_loss":[0-9][^}]*' out >alone.baselines
expect 0 evaluate -m two --dataset g.h5 --json --quiet
grep -oE '"(prior|bag_of_words)":\{"g":\{"log_loss":[0-9][^}]*' out | cmp -s - alone.baselines || fail 'baselines differ from those of a model of its own'
expect 0 evaluate -m two --dataset g.h5 --quiet
grep -qE '^  g +model +prior +bag_of_words *$' out || fail "the table of 'g': $(cat out)"
grep -qE '^  behind +model +most_frequent +copy word *$' out || fail "the table of 'behind': $(cat out)"
expect 0 report two -O two.html --quiet
expect 0 experiment -c g.yaml --dataset g.h5 --seeds 2 --run-dir both --set trainer.max_epochs=1 --quiet --json
grep -qF '"prior":{"g":{' out || fail 'an experiment tells of no baselines'
refused 3 'none writes texts' -- train -c g.yaml --dataset g.h5 --run-dir bad --set blend=prior
expect 0 explain -m two --dataset g.h5 --quiet
refused 2 "'behind' has no single value" -- explain -m two --dataset g.h5 --target behind
grep -qF 'hint: --target g has one' err || fail "no way out: $(cat err)"
expect 0 predict -m two --dataset g.h5 -O two.csv --calibrated --quiet

# Ways that a text does not go.
refused 2 'no output has probabilities' -- predict -m run --dataset t.csv -O e.csv --calibrated
refused 5 'cannot be exported to C' -- export c -m run -O x.c
refused 5 'cannot be exported to ONNX' -- export onnx -m run -O x.onnx
refused 5 'write no text together' -- predict -m run -m lstm --ensemble mean --dataset t.csv -O e.csv
refused 2 'has no single score; prediction has its text' -- predict -m run --dataset t.csv -O e.csv --columns key,score
refused 2 'no single value' -- explain -m run --dataset d.h5
grep -qF 'cohort evaluate --by COLUMN' err || fail "no way out: $(cat err)"
expect 0 evaluate -m two --dataset g.h5 --by g --quiet
refused 3 'none writes texts' -- train -c c.yaml --dataset d.h5 --run-dir bad --set blend=prior
refused 3 'hinge does not fit the text_sequence target' -- train -c c.yaml --dataset d.h5 --run-dir bad --set output_features.behind.loss.type=hinge
refused 3 'members write no text together' -- train -c c.yaml --dataset d.h5 --run-dir bad --set combiner.members=2
exit $failed
