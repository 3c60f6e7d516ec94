#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: export.sh COHORT CHECK_JSON MAKE_IDX PRESETS. Models as programs: they compile without warnings,
# are equal to predict and to their golden rows, and what cannot be exported is said so.
set -u
cohort=$1
check_json=$2
make_idx=$3
presets=$4
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
cc=${CC:-cc}
command -v "$cc" >/dev/null || { echo 'NOT RUN: there is no C compiler'; exit 77; }
# Sanitizers stop at the first finding.
flags=(-std=c11 -Wall -Wextra -Werror -O1 "-fsanitize=address,undefined" -fno-sanitize-recover=all)

# same A B WHAT: equal header and texts, numbers to 1e-6 of the larger of them and 1.
same() {
  paste -d '\n' "$1" "$2" | awk -F, '
    NR % 2 { n = split($0, first, ","); next }
    { if (NF != n) exit 1
      for (i = 1; i <= NF; i++) {
        if ($i == first[i]) continue
        size = $i ^ 2 > 1 ? $i ^ 2 : 1
        if ($i !~ /^-?[0-9.]+(e[-+][0-9]+)?$/ || ($i - first[i]) ^ 2 > 1e-12 * size) { print first[i], $i; exit 1 } } }
    END { if (NR < 4) exit 1 }' >out || fail "$3: $(cat out)"
  [ "$(wc -l <"$1")" = "$(wc -l <"$2")" ] || fail "$3: another number of rows"
}
# exported RUN: to a program in RUN.x that passes its own test.
exported() {
  expect 0 export c -m "$1" -O "$1.c" --quiet
  "$cc" "${flags[@]}" -o "$1.x" "$1.c" -lm >out 2>&1 || fail "$1 does not compile"
  "./$1.x" --self-test >out 2>err || fail "$1: self-test"
}

# ---- customers of all kinds: quoted, missing, unseen, with blanks and a suffix
awk 'BEGIN {
  srand(3)
  print "customer,plan,since,visits,spent,city,note,gold,bought"
  for (i = 0; i < 600; i++) {
    plan = i % 4 == 0 ? "yearly" : i % 4 == 1 ? "monthly" : i % 4 == 2 ? "\"a \"\"b\"\", c\"" : ""
    visits = i % 13 == 5 ? "" : (i * 37) % 50
    spent = i % 17 == 3 ? "NA" : exp(rand() * 8) - 1
    date = sprintf("%02d/%02d/20%02d", 1 + i % 28, 1 + i % 12, i % 20)
    note = i % 11 ? "\"Likes " (i % 3 ? "Über" : "red, small") " shoes " i "\"" : ""
    print "C-" i "," plan "," (i % 19 ? date : "") ", " visits " ," spent "," (i * i) % 23 "k," note "," (i % 2 ? "T" : "F") "," (visits + (i % 4 == 1 ? 20 : 0) > 40 ? "Yes" : "No")
  }
}' >t.csv
cat >schema.yaml <<'END'
tables:
  t:
    columns:
      customer: {type: id, role: key}
      plan: {type: category, role: input}
      since: {type: date, role: input, format: '%d/%m/%Y'}
      visits: {type: number, role: input}
      spent: {type: number, role: input}
      city: {type: category, role: input, strip_suffix: k}
      note: {type: text, role: input}
      gold: {type: binary, role: input, positive: T}
      bought: {type: binary, role: target, positive: 'Yes'}
END
sed -e '1!s/^C-7,[a-z]*/C-7,never seen/' -e '1s/plan/ plan /' t.csv >new.csv
cat >features.yaml <<'END'
input_features:
  - {name: plan, encoder: {type: embedding, embedding_size: 3}}
  - {name: hashed, column: city, type: category, preprocessing: {hashing: {buckets: 5}}}
  - {name: often, column: city, type: category, preprocessing: {encoding: frequency}}
  - {name: mean, column: plan, type: category, preprocessing: {encoding: target_mean}}
  - {name: both, columns: [plan, city], type: cross}
  - {name: many, columns: [plan, city], type: cross, preprocessing: {buckets: 7}}
  - {name: visits, preprocessing: {encoding: piecewise_linear, bins: 8}, encoder: {type: piecewise_linear, embedding_size: 2}}
  - {name: range, column: visits, type: bucket}
  - {name: spent, preprocessing: {normalization: log1p, missing: indicator, outliers: {method: iqr, action: clip}}}
  - {name: signed, column: spent, type: number, preprocessing: {normalization: signed_log1p, missing: median}}
  - {name: ranks, column: spent, type: number, preprocessing: {normalization: quantile, quantile_output: normal, quantiles: 20, missing: mean, outliers: {method: zscore, action: missing}}}
  - {name: parts, columns: [visits, spent], type: pca, preprocessing: {components: 2}}
  - {name: least, column: plan, type: aggregate, preprocessing: {of: visits, function: min}}
  - {name: since, preprocessing: {parts: [days, month, weekday, is_weekend, missing, year]}}
  - {name: day, column: since, type: date_part, preprocessing: {part: weekday}}
  - {name: note, preprocessing: {buckets: 64, ngram: 2}}
  - {name: pieces, column: note, type: text, preprocessing: {buckets: 32, tokens: characters}}
  - {name: gold}
output_features: [{name: bought, decision: {threshold: f1}}]
combiner:
  layers:
    - {Dense: 16, name: a}
    - LayerNormalization
    - RMSNormalization
    - {Activation: gelu}
    - {Dense: {units: 16, activation: relu}, name: b}
    - {Add: {}, inputs: [a, b]}
    - {CrossNetwork: 2, name: cross}
    - {FactorizationMachine: 3, name: pairs, inputs: [cross]}
    - {FactorizationMachine: {field_size: 4}, name: fields, inputs: [b]}
    - {BatchNormalization: {}, inputs: [cross], name: normal}
    - {Dot: {axes: 1, normalize: true}, name: alike, inputs: [a, b]}
    - {Reshape: {target_shape: [4, 4]}, name: square, inputs: [b]}
    - {Dot: {axes: [1, 2]}, name: turned, inputs: [square, square]}
    - {Softmax: {}, name: shares}
    - {Flatten: {}, name: flat}
    - {Concatenate: {}, inputs: [normal, pairs, fields, alike, flat]}
trainer: {max_epochs: 3, batch_size: 64}
baselines: none
END
expect 0 train -c features.yaml --target bought --schema schema.yaml --dataset t.csv --run-dir all
expect 0 export c -m all -O all.c --json
json format=c golden_rows=16
refused 9 'exists' -- export c -m all -O all.c
rm -f all.c
exported all
expect 0 predict -m all --dataset new.csv -O all.csv --quiet
./all.x new.csv >all.out 2>err || fail 'a table cannot be scored'
same all.out all.csv 'features of all kinds'
./all.x -k nobody <new.csv >out 2>err && fail 'a key that is not there'
./all.x --nonsense >out 2>err && fail 'an unknown option'
[ "$(./all.x -h | grep -c COLUMN)" -ge 1 ] || fail 'help'

# ---- the same as ONNX, of which tests/golden knows more
expect 0 export onnx -m all -O all.onnx --json
json format=onnx golden_rows=16
for input in plan since visits note range many bought_score; do
  grep -qaF "$input" all.onnx || fail "no $input in ONNX"
done
grep -qaF '"name":"signed","is"' all.onnx && fail 'a logarithm that the caller has to take'
grep -qaE '"name":"ranks","is"[^}]*"columns":\["spent"\]' all.onnx || fail 'no word of what ranks are made of'
refused 9 'exists' -- export onnx -m all -O all.onnx

# ---- a network and a linear model of the same columns, mixed
# Of targets that are partly chance neither is right alone, so that both have a part in it.
awk 'NR > 1 && (NR * NR * 31 + NR * 17) % 101 < 25 { if (!sub(/Yes$/, "No")) sub(/No$/, "Yes") } { print }' t.csv >chance.csv
expect 0 train -c features.yaml --target bought --schema schema.yaml --dataset chance.csv --run-dir mixed --seed 3 \
  --set blend=linear --set trainer.learning_rate=0.01 --set trainer.batch_size=32 --set trainer.max_epochs=8
grep -Eq 'blend bought: 0\.[0-9]+ of linear' err || fail "not both have a weight: $(grep blend err)"
exported mixed
grep -q '^  mix(' mixed.c || fail 'nothing is mixed in C'
expect 0 predict -m mixed --dataset new.csv -O mixed.csv --quiet
./mixed.x new.csv >mixed.out 2>err || fail 'a table cannot be scored by a blend'
same mixed.out mixed.csv 'a blend'

# ---- rows that cannot be scored: one line naming file, line and column
wrong() { # TEXT: of the table on standard input
  "$run" - >out 2>err
  [ $? = 4 ] || fail "not refused: $1"
  grep -qF -- "$1" err || fail "not said: $1"
}
run=./all.x
{ head -3 t.csv; echo 'x,yearly,01/01/2011,many,1,1k,n,T,No'; } | wrong "standard input:4: column 'visits': 'many' is no number"
{ head -3 t.csv; echo 'x,yearly,31/02/2011,1,1,1k,n,T,No'; } | wrong "column 'since': '31/02/2011' is no date"
{ head -3 t.csv; echo 'x,yearly,01/01/2011,1'; } | wrong 'another number of fields'
{ head -3 t.csv; echo 'x,"yearly,1'; } | wrong 'a quote is not closed'
{ head -3 t.csv; echo 'x,year"ly,01/01/2011,1,1,1k,n,T,No'; } | wrong 'a quote amid a field'
{ head -3 t.csv; echo ',yearly,01/01/2011,1,1,1k,n,T,No'; } | wrong 'the key is missing'
{ head -3 t.csv; echo 'x,yearly,01/01/2011,1,1,1k,n,,No'; } | wrong "column 'gold': a value is missing"
cut -d, -f1-5 t.csv | wrong "column 'city': the model's input is missing"
wrong 'there are no rows' </dev/null

# Tables cut and joined anywhere: scored or refused, and no finding of a sanitizer.
for i in $(seq 1 60); do
  { head -c $((i * 97)) new.csv; [ $((i % 3)) = 0 ] && printf '"'; [ $((i % 7)) = 0 ] && printf '\0'; tail -c $((i * 131)) new.csv; } >cut.csv
  ./all.x cut.csv >out 2>err
  code=$?
  [ $code = 0 ] || [ $code = 4 ] || fail "exit $code for cut $i"
done

# ---- what the presets of tables make of the same rows
for preset in shopper-mlp shopper-members shopper-logistic bank-wide-deep auto; do
  given=(-c "$presets/$preset.yaml" --set trainer.max_epochs=1 --set baselines=none)
  [ $preset = shopper-logistic ] && given=(-c "$presets/$preset.yaml")
  [ $preset = auto ] && given=(--set trainer.max_epochs=1 --set baselines=none)
  expect 0 train "${given[@]}" --target bought --key customer --dataset t.csv --run-dir "$preset"
  exported "$preset"
  expect 0 predict -m "$preset" --dataset t.csv -O "$preset.csv" --quiet
  "./$preset.x" -d , t.csv >"$preset.out" 2>err || fail "$preset: rows"
  same "$preset.out" "$preset.csv" "$preset"
done

# ---- classes, numbers; delimiters, a byte order mark, line ends
expect 0 train --target plan --target visits --key customer --dataset t.csv --run-dir two --set trainer.max_epochs=1 --set baselines=none \
  --set defaults.number.normalization=zscore
exported two
expect 0 predict -m two --dataset t.csv -O two.csv --quiet
{ printf '\xef\xbb\xbf' && sed 's/$/\r/' t.csv; } | ./two.x >two.out 2>err || fail 'a byte order mark'
same two.out two.csv 'classes and numbers'

# ---- a file without a header, behind two lines of other things
tail -n +2 t.csv | cut -d, -f1-2 --complement | awk -F, -v OFS=, '{ print $2, $3, $NF }' | sed 's/^ *//' >bare.rows
{ echo 'made,by'; echo; tr , '\t' <bare.rows; } >bare.csv
expect 0 import -O bare.h5 --skip-lines 2 --delimiter tab --header visits,spent,bought --target bought bare.csv
expect 0 train -c "$presets/bank-wide-deep.yaml" --dataset bare.h5 --run-dir bare --set trainer.max_epochs=1 --set baselines=none
exported bare
expect 0 predict -m bare --dataset bare.csv -O bare.out --quiet
./bare.x bare.csv >bare.own 2>err || fail 'rows without a header'
same bare.own bare.out 'rows without a header'

# ---- images
"$make_idx" 60 8 3 1 images labels >out 2>err || fail 'images'
expect 0 import -O i.h5 --format idx --training-set images labels --test-set images labels
cat >cnn.yaml <<'END'
input_features: [{name: image, type: image, augmentation: {flip: 0.5, crop: 1, resized_crop: 0.7, rotation: 10, brightness: 0.1, contrast: 0.2, cutout: 2, mixup: 0.2, cutmix: 1}, encoder: {type: graph, layers: [
  {Conv2D: {filters: 4, kernel_size: 3, padding: same, use_bias: false}}, BatchNormalization, ReLU, MaxPooling2D,
  {ZeroPadding2D: [[1, 0], [2, 1]]}, {DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2, activation: relu}},
  {AveragePooling2D: {pool_size: 2, strides: 1, padding: same}}, {Conv2D: {filters: 6, kernel_size: 2, groups: 2, padding: same}},
  {Conv2DTranspose: {filters: 5, kernel_size: 3, strides: 2, padding: same, activation: relu}}, {Cropping2D: 1},
  {SeparableConv2D: {filters: 4, kernel_size: 2}, name: r}, {GroupNormalization: 2}, {SpatialDropout2D: 0.1}, {SqueezeExcitation: 2},
  {GroupNormalization: -1}, {StochasticDepth: 0.2, name: s}, {Add: {}, inputs: [r, s]}, Flatten, {Dense: 8}]}}]
output_features: [{name: label}]
trainer: {max_epochs: 1, batch_size: 16}
END
expect 0 train -c cnn.yaml --dataset i.h5 --run-dir cnn
exported cnn
expect 0 predict -m cnn --dataset i.h5 --split test -O cnn.csv --quiet
./cnn.x images >cnn.out 2>err || fail 'images cannot be scored'
cut -d, -f2- cnn.csv >a && cut -d, -f2- cnn.out >b && same b a images
run=./cnn.x
head -c 500 images | wrong 'it ends amid an image'
wrong 'no IDX file' <t.csv

# ---- texts as sequences: rows and datasets score alike; C has none, ONNX takes rows of the vocabulary
cat >texts.yaml <<'END'
input_features: [{name: note, type: text_sequence, preprocessing: {max_length: 4}, encoder: {type: rnn, units: 4, embedding_size: 8}}]
output_features: [{name: bought}]
trainer: {max_epochs: 1, batch_size: 64}
baselines: none
END
expect 0 train -c texts.yaml --target bought --schema schema.yaml --dataset t.csv --run-dir texts
expect 0 predict -m texts --dataset t.csv -O texts.csv --json
grep -q '"note": *{[^}]*"truncated": *[1-9]' out || fail 'nobody said that texts were cut'
"$cohort" predict -m texts --dataset - -O piped.csv --quiet <t.csv || fail 'texts from a pipe'
cmp -s texts.csv piped.csv || fail 'texts from a pipe score otherwise'
expect 0 predict -m texts --dataset texts/dataset.h5 --split all -O stored.csv --quiet
cmp -s texts.csv stored.csv || fail 'stored texts score otherwise'
# Beside a network of texts stands a regression over their words: here two of them together tell.
awk 'BEGIN {
  split("good bad fine poor", word); print "id,note,praise"
  for (i = 0; i < 400; i++) {
    no = i % 3 == 0; w = i % 4 + 1
    printf "%d,it is %s%s %d,%s\n", i, no ? "not " : "", word[w], i % 7, (w % 2 == 1) != no ? "yes" : "no"
  }
}' >opinions.csv
echo '{input_features: [{name: note, type: text_sequence, encoder: {type: bag}}], trainer: {max_epochs: 1}}' >opinions.yaml
expect 0 import -O opinions.h5 --target praise --type note=text --key id opinions.csv
expect 0 train -c opinions.yaml --dataset opinions.h5 --run-dir opinions --set blend=bag_of_words
for rows in opinions.h5 opinions.csv; do
  expect 0 evaluate -m opinions --dataset $rows --split test --json
  grep -Eq '"praise":\{"log_loss":0\.0[0-9]*,"roc_auc":1,.*"network":\{' out || fail "a blend is not what its better part is: $(cat out)"
  grep -Eq '"bag_of_words":\{"praise":\{"log_loss":0\.0[0-9]*,"roc_auc":1,' out || fail "words in pairs, of $rows: $(cat out)"
done
expect 0 predict -m opinions --dataset opinions.h5 -O opinions_h5.csv
expect 0 predict -m opinions --dataset opinions.csv -O opinions_csv.csv
[ "$(sort opinions_h5.csv)" = "$(sort opinions_csv.csv)" ] || fail 'a blend scores raw texts otherwise'
refused 5 'blended with bag_of_words' -- export c -m opinions -O opinions.c
echo '{input_features: [{name: visits}], baselines: [bag_of_words]}' >wrong.yaml
refused 3 'no input is a text' -- train -c wrong.yaml --target bought --schema schema.yaml --dataset t.csv --run-dir wrong
refused 5 "feature 'note' cannot be exported to C" -- export c -m texts -O texts.c
expect 0 export onnx -m texts -O texts.onnx --json
json format=onnx golden_rows=16
grep -qa note_length texts.onnx || fail 'no lengths in ONNX'
sed 's/type: rnn, units: 4,/type: embedding,/; s/, embedding_size: 8//' texts.yaml >wrong.yaml
refused 3 'embedding is not for a text' -- train -c wrong.yaml --dataset texts/dataset.h5 --run-dir wrong

# ---- what there is no such program of
printf 'who,when,what\n' >log.csv
awk 'BEGIN { srand(1); for (i = 0; i < 400; i++) printf "K%d,2011-%02d-%02d,item%d\n", rand() * 90, 1 + i % 9, 1 + i % 28, i % 7 }' >>log.csv
expect 0 import -O e.h5 --events log.csv --entity who --time when --item what --cutoff 2011-06-01 --label-window 30d --label again
expect 0 train -c "$presets/purchase-lstm.yaml" --dataset e.h5 --run-dir lstm --set trainer.max_epochs=1 --set trainer.min_steps=0 --set baselines=none
refused 5 "the column of events" -- export c -m lstm -O x.c
expect 0 export onnx -m lstm -O lstm.onnx --quiet
refused 2 "not exported as 'pickle'" -- export pickle -m all -O x
refused 5 'no such run' -- export c -m nothing -O x.c
exit $failed
