#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: items.sh COHORT CHECK_JSON MAKE_IMAGES. A log whose items have a table of their own, with numbers,
# categories, pictures and texts, from the raw files to scores; and what is wrong with it.
set -u
cohort=$1
check_json=$2
make_images=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir vertical horizontal
"$make_images" vertical 3 8 8
"$make_images" horizontal 3 8 8
cat >items.csv <<'END'
sku,kind,price,photo,about
i0,shoe,10,vertical/000.png,a cheap plain thing
i1,shirt,,vertical/001.png,a dear shiny thing
i2,shoe,12.5,vertical/002.png,a cheap red thing
i3,shirt,20,horizontal/000.png,a dear plain thing
i4,hat,7,horizontal/001.png,
i5,hat,30,,a dear blue thing
unsold,coat,99,horizontal/002.png,nobody has it
END
# Who bought what stands upright comes back.
awk 'BEGIN {
  print "who,when,what"
  for (c = 0; c < 90; c++) {
    for (k = 0; k <= c % 4; k++) printf "c%d,2024-01-%02d,i%d\n", c, 1 + k * 5 + c % 3, (c * 3 + k * 5) % 7
    if ((c * 3 + (c % 4) * 5) % 7 < 3) printf "c%d,2024-02-10,i1\n", c
  }
  print "c0,2024-03-30,i0"
}' >log.csv
log=(--events log.csv --entity who --time when --cutoff 2024-02-01 --label-window 30d --label back)
joined=(--item what --join items.csv:what=sku --type items.photo=image --type items.about=text)
expect 0 import -O d.h5 "${log[@]}" "${joined[@]}" --json
json ok=true items=7 unlisted_items=1
grep -q "1 of 7 items are not in 'items.csv', such as 'i6'" err || fail 'no word of an item without a row'
grep -q 'have no image; they get a white one' err || fail 'no word of an item without a picture'
expect 0 import -O d.h5 "${log[@]}" "${joined[@]}"
grep -q 'up to date' out || fail 'an equal import is not up to date'
expect 0 inspect d.h5
grep -q '7 classes of events, with pictures (8, 8, 3), with texts' out || fail 'what items have is not told'

cat >c.yaml <<'END'
input_features:
  - {name: item, encoder: {type: embedding, unknown_rate: 0.3}}
  - {select: price}
  - {select: kind}
  - name: photo
    column: item
    type: event_image
    encoder: {type: stacked_cnn, filters: [4], output_size: 4, dropout: 0.1}
  - {name: about, column: item, type: event_text, preprocessing: {buckets: 16}, encoder: {type: mlp, sizes: [4]}}
event_encoder: {type: bag, pooling: mean}
trainer: {max_epochs: 2, batch_size: 32}
baselines: none
END
of_rows="[{name: item, preprocessing: {min_frequency: 9999}}, {select: price}, {select: kind}" # no item is known
looks="{name: photo, column: item, type: event_image, encoder: {type: stacked_cnn, filters: [4], output_size: 4}}, \
  {name: about, column: item, type: event_text, preprocessing: {buckets: 16}, encoder: {type: mlp, sizes: [4]}}"
expect 0 plan -c c.yaml --dataset d.h5
grep -q '^photo  *gather .* u8 ' out || fail 'pictures of no event become floats'
grep -q 'photo/conv2d .*N\*T0, 8, 8, 4' out || fail 'pictures are no rows of the encoder'
expect 0 train -c c.yaml --dataset d.h5 --run-dir m --seed 3
grep -qa classes m/model.h5 && fail 'which row is of which class can be damaged in a file'
expect 0 verify resume -c c.yaml --dataset d.h5 --kills 1
# The model has what it needs of the items; a table that is given counts.
expect 0 predict -m m --dataset d.h5 -O d.csv
expect 0 predict -m m --source events=log.csv --as-of 2024-02-01 -O l.csv
cmp -s d.csv l.csv || fail 'the log scores otherwise than the dataset'
sed 's/^i0,shoe,10/i0,hat,95/' items.csv >dearer.csv
expect 0 predict -m m --source events=log.csv --source items=dearer.csv --as-of 2024-02-01 -O other.csv
cmp -s l.csv other.csv && fail 'the table given does not count'

# An item that training never saw is what its row of the table given says: the same under another name.
sed -n 's/^i0,/twin,/p' items.csv | cat items.csv - >twin.csv
sed 's/,i0$/,twin/' log.csv >twins.csv
for what in "$of_rows]" "$of_rows, $looks]" "[$looks]"; do
  rm -rf rows
  expect 0 train -c c.yaml --dataset d.h5 --run-dir rows --seed 3 --set "input_features=$what"
  expect 0 predict -m rows --source events=log.csv --as-of 2024-02-01 -O known.csv --force
  expect 0 predict -m rows --source events=twins.csv --source items=twin.csv --as-of 2024-02-01 -O new.csv --force --json
  json new_items=1
  cmp -s known.csv new.csv || fail "a new item is not what its row says: $what"
  expect 0 predict -m rows --source events=twins.csv --as-of 2024-02-01 -O new.csv --force --json
  json new_items=0
  cmp -s known.csv new.csv && fail "a new item is known without its row: $what"
done
# Of items that neither the model nor the table has, nothing is kept.
awk -F, -v OFS=, '{ print } NR > 1 { $3 = "stranger" NR; print }' twins.csv >strangers.csv
expect 0 predict -m rows --source events=strangers.csv --source items=twin.csv --as-of 2024-02-01 -O new.csv --force --json
json new_items=1
grep -q '1 of 8 items are not in' err || fail 'items that nobody knows are kept'
# What is explained is what is scored.
told=(--source events=twins.csv --source items=twin.csv --as-of 2024-02-01)
for what in '' '--events 9'; do
  # shellcheck disable=SC2086 # words
  expect 0 explain -m rows --source events=log.csv --as-of 2024-02-01 $what -O known.csv --force
  # shellcheck disable=SC2086 # words
  expect 0 explain -m rows "${told[@]}" $what -O new.csv --force
  sed 's/item twin/item i0/' new.csv | cmp -s known.csv - || fail "a new item is not explained as its row says: $what"
done
# Rows of other pictures or texts are others.
expect 0 predict -m rows "${told[@]}" -O again.csv
expect 0 predict -m rows "${told[@]}" -O again.csv --resume
grep -q 'nothing to do' out || fail 'equal new items are a new job'
for what in 's/^\(twin.*\)cheap/\1dear/' '/^twin/s/vertical/horizontal/'; do
  sed "$what" twin.csv >other.csv
  refused 9 'not by this job' -- predict -m rows --source events=twins.csv --source items=other.csv --as-of 2024-02-01 -O again.csv --resume
done
# Of known items no pictures and texts are needed.
cut -d, -f1-3 items.csv >bare.csv
expect 0 predict -m rows --source events=log.csv --as-of 2024-02-01 -O known.csv --force
expect 0 predict -m rows --source events=log.csv --source items=bare.csv --as-of 2024-02-01 -O new.csv --force
cmp -s known.csv new.csv || fail 'known items need pictures and texts'
cut -d, -f1-3 twin.csv >bare.csv
refused 4 "there is no column 'photo'" -- predict -m rows --source events=twins.csv --source items=bare.csv --as-of 2024-02-01 -O x.csv
grep -q 'new items, here 1, by this column' err || fail 'not said why the column is needed'
sed 's/^i/j/' items.csv >wrong.csv
refused 4 "is in column 'sku'" -- predict -m rows --source events=log.csv --source items=wrong.csv --as-of 2024-02-01 -O x.csv
grep -q -- '--join' err && fail 'predict is told of an option of import'
# Beside models that ask less of items, or have other pictures, a model scores as alone.
expect 0 import -O large.h5 "${log[@]}" "${joined[@]}" --image-size 16x16
expect 0 train -c c.yaml --dataset large.h5 --run-dir large --seed 3 --set "input_features=$of_rows, $looks]"
expect 0 train -c c.yaml --dataset d.h5 --run-dir blind --seed 3 --set "input_features=$of_rows]"
for name in rows large blind; do
  expect 0 predict -m $name "${told[@]}" -O $name.csv --columns key,score
done
expect 0 predict -m blind -m rows -m large "${told[@]}" -O all.csv --columns key,blind_back.score,rows_back.score,large_back.score
for name in blind rows large; do cut -d, -f2 $name.csv | tail -n +2; done >alone
for k in 2 3 4; do cut -d, -f$k all.csv | tail -n +2; done | cmp -s alone - || fail 'models beside others score otherwise'
refused 2 'the model reads events=FILE, and may read items=FILE' -- predict -m m --source events=log.csv --source goods=items.csv --as-of 2024-02-01 -O x.csv
# Models and schema files say it in the same way.
# of_items TEXT RECIPE [TABLES]: refused.
of_items() {
  echo "{tables: {t: {file: items.csv}${3-\}}, samples: {from: t, entity: sku, as_of: kind}, events: {file: log.csv, entity: who, time: when, $2}}" >s.yaml
  refused 3 "$1" -- import -O x.h5 --schema s.yaml
}
for line in 'items: t, items_key: k' 'item: what, items_key: k, item_columns: [price]' 'item: what, items: t, item_columns: []'; do
  of_items 'a table of items needs item, items and items_key' "$line"
done
of_items "items cannot be called 'events'" 'item: what, items: events, items_key: k'
of_items "'j' is a table of the samples" 'item: what, items: j, items_key: k' \
  ", j: {file: items.csv}}, joins: [{table: j, to: t, on: sku}]"
expect 0 explain -m m --dataset d.h5 --split test
# Without customers who alone had an item, without what it looks like.
expect 0 data erase d.h5 --key c0
expect 0 train -c c.yaml --dataset d.h5 --run-dir erased --seed 3 --set trainer.max_epochs=1

refused 5 "it lacks its table 'items'" -- predict -m erased --source events=log.csv --as-of 2024-02-01 -O x.csv

expect 0 train -c c.yaml --dataset d.h5 --run-dir plain --set 'input_features=[{name: item}]' --set trainer.max_epochs=1
refused 2 'the model reads events=FILE, no other' -- predict -m plain --source events=log.csv --source items=items.csv --as-of 2024-02-01 -O x.csv
expect 0 predict -m plain --source events=log.csv --as-of 2024-02-01 -O x.csv
rm x.csv

# What the log's cells become, the table's key becomes; and it is read as the log is.
echo 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f >key
chmod 600 key
hidden=(--pseudonymize who --pseudonymize what --key-file key)
sed 's/shoe/sho\xe9/' items.csv >latin.csv
expect 0 import -O h.h5 "${log[@]}" --item what --join latin.csv:what=sku --encoding latin1 --no-quotes
grep -aq 'shoé' h.h5 || fail 'the table of items is not read in the encoding given'
expect 9 import -O h.h5 "${log[@]}" --item what --join latin.csv:what=sku --encoding latin1 --no-quotes "${hidden[@]}"
printf '{"sku": "i%d", "kind": "sho\xe9", "price": 1}\n' 0 1 2 3 4 5 6 >latin.jsonl
expect 0 import -O j.h5 "${log[@]}" --item what --join latin.jsonl:what=sku --encoding latin1
grep -aq 'shoé' j.h5 || fail 'JSON lines of items are not read in the encoding given'
expect 0 import -O h.h5 "${log[@]}" --item what --join items.csv:what=sku "${hidden[@]}" --force --json
json unlisted_items=1
expect 0 train -c c.yaml --dataset h.h5 --run-dir h --set 'input_features=[{select: price}]' --set trainer.max_epochs=1
expect 0 predict -m h --dataset h.h5 -O d.csv --force
for given in '' '--source items=items.csv'; do
  # shellcheck disable=SC2086 # words
  expect 0 predict -m h --source events=log.csv $given --as-of 2024-02-01 "${hidden[@]}" -O l.csv --force
  cmp -s d.csv l.csv || fail "pseudonyms of items are not found $given"
done

# ---- the same of samples of a table, whose log lies in several files
awk -F, 'NR > 1 && $2 < "2024-02-01" { seen[$1] = 1 } NR > 1 && $2 ~ /^2024-02/ { back[$1] = 1 }
  END { print "who,asked,back"; for (c = 0; c < 90; c++) if (seen["c" c]) print "c" c ",2024-02-01," (back["c" c] ? "yes" : "no") }' \
  log.csv >calls.csv
awk -F, 'NR == 1 || $3 < "i3"' log.csv >low.csv
awk -F, -v OFS=, 'NR == 1 || $3 >= "i3" { print $3, $2, $1 }' log.csv | gzip >high.csv.gz
asked=(--samples calls.csv --entity who --time when --as-of asked --target back --seed 4)
logs=(--events high.csv.gz --events low.csv)
expect 0 import -O one.h5 "${asked[@]}" "${joined[@]}" --events log.csv
expect 0 import -O s.h5 "${asked[@]}" "${joined[@]}" "${logs[@]}" --json
json ok=true unlisted_items=1 excluded_lines=0 without_events=0 late_samples=0
expect 0 import -O few.h5 "${asked[@]}" --events low.csv --where "what <> 'i0'" --json
json excluded_lines="$(grep -c ',i0$' low.csv)"
expect 0 import -O few.h5 "${log[@]}" --where "what <> 'i3'" --force --json
json excluded_lines="$(grep -c ',i3$' log.csv)"
expect 0 import -O order.h5 "${asked[@]}" "${joined[@]}" --events low.csv --events high.csv.gz
for file in one s order; do "$cohort" inspect $file.h5 | grep '^sha256'; done | sort -u >sums
[ "$(wc -l <sums)" = 1 ] || fail 'a log in several files is another log'
expect 0 import --print-schema "${asked[@]}" "${joined[@]}" "${logs[@]}"
cp out s.yaml
expect 0 import -O again.h5 --schema s.yaml --seed 4
"$cohort" inspect again.h5 | grep '^sha256' | cmp -s sums - || fail 'the schema makes another dataset'
expect 0 import -O s.h5 "${asked[@]}" "${joined[@]}" "${logs[@]}"
grep -q 'up to date' out || fail 'an equal import of samples is not up to date'
sed 's/^i3,shirt,20/i3,shirt,21/' items.csv >new && cp items.csv kept && mv new items.csv
refused 9 'not made from these inputs' -- import -O s.h5 "${asked[@]}" "${joined[@]}" "${logs[@]}"
mv kept items.csv
expect 0 train -c c.yaml --dataset s.h5 --run-dir s --seed 3 --set "input_features=$of_rows, $looks]"
expect 0 predict -m s --dataset s.h5 -O wanted.csv
expect 0 predict -m s --source calls=calls.csv --source events=low.csv --source events=high.csv.gz -O made.csv
cmp -s wanted.csv made.csv || fail 'raw samples score otherwise than the dataset'
expect 0 predict -m s --source calls=calls.csv --source events=twins.csv --source items=twin.csv -O new.csv --force
cmp -s wanted.csv new.csv || fail 'a new item is not what its row says to samples'
expect 0 predict -m s --source calls=calls.csv --source events=twins.csv -O new.csv --force
cmp -s wanted.csv new.csv && fail 'a new item is known to samples without its row'
# Those of one cut-off read it so, too.
expect 0 predict -m m --source events=log.csv --as-of 2024-02-01 -O l.csv --force
expect 0 predict -m m --source events=high.csv.gz --source events=low.csv --as-of 2024-02-01 -O made.csv --force
cmp -s l.csv made.csv || fail 'a log in several files scores otherwise'
expect 0 explain -m s --source calls=calls.csv --source events=twins.csv --source items=twin.csv -O new.csv --force
expect 0 explain -m s --source calls=calls.csv --source events=log.csv -O known.csv --force
cmp -s known.csv new.csv || fail 'a new item of samples is not explained as its row says'

# Events, pictures and texts are computed as the reference does, in a batch of one shape.
expect 0 verify parity -m s --dataset s.h5 --json
json ok=true out_of_tolerance=0
expect 0 verify parity -m m --dataset d.h5 --split validation
grep -q 'photo/.* gradient kernel ' out || fail 'no gradients of models of events are compared'
expect 10 verify parity -m m --dataset d.h5 --tolerance 1e-12
expect 0 verify parity -m m --dataset d.h5 --split validation --batch-size 64
grep -q 'rows, not 64: the validation split has no more of one shape' err || fail 'fewer rows than asked for are not told'

for twice in low.csv ./low.csv; do
  refused 2 "$twice is given twice" -- import -O x.h5 "${asked[@]}" --events low.csv --events $twice
done
refused 9 'the output is also read' -- import -O low.csv --force "${asked[@]}" --events high.csv.gz --events low.csv
refused 2 'columns of their items as they stand' -- import -O x.h5 "${asked[@]}" "${joined[@]}" --events log.csv \
  --strip-suffix items.kind=e
# Of a table one source counts, of whatever kind of model.
refused 2 "table 'items' has a source already" -- predict -m m --source events=log.csv --as-of 2024-02-01 \
  --source items=items.csv --source items=twin.csv -O x.csv
refused 2 "table 'calls' has a source already" -- predict -m s --source calls=calls.csv --source calls=wares.csv \
  --source events=log.csv -O x.csv
# A recipe that is broken is the model's fault. Without the checksum in front the file is as a foreign one.
for broken in 's/  items_key: /  items_kex: /' 's/  items: .items/  item_: "items/' 's/  time: "when"/  time_: "whe"/'; do
  tail -c +513 s/model.h5 | LC_ALL=C sed "$broken" >broken.h5
  refused 5 'its recipe for raw rows cannot be read' -- predict -m broken.h5 --source calls=calls.csv --source events=log.csv -O x.csv
done
awk -F, -v OFS=, '{ print $0, (NR > 1 ? "i1" : "what") }' calls.csv >wares.csv
of_wares=(--samples wares.csv "${asked[@]:2}" --events log.csv --item what)
refused 2 'samples and log have this column' -- import -O w1.h5 "${of_wares[@]}" --join items.csv:what=sku
grep -q "events.what is the log's, whose items it tells of; wares.what the samples'" err || fail 'no way out'
expect 0 import -O w1.h5 "${of_wares[@]}" --join items.csv:events.what=sku --ignore items.photo --ignore items.about
grep -q '^joined' out && fail 'the table is not of the items'
expect 0 import -O w2.h5 "${of_wares[@]}" --join items.csv:wares.what=sku --ignore items.photo --ignore items.about
grep -q '^joined   items on what' out || fail 'the table is not of the samples'
cp items.csv goods.csv
refused 2 'goods: events take one table' -- import -O z.h5 "${asked[@]}" "${joined[@]}" --events log.csv --join goods.csv:what=sku
cp items.csv events.csv
refused 2 "a table of items cannot be called 'events'" -- import -O z.h5 "${asked[@]}" --events log.csv --item what --join events.csv:what=sku
cut -d, -f1-2 low.csv >short.csv
refused 4 "short.csv: there is no column 'what', which 'log.csv' has" -- import -O z.h5 "${asked[@]}" --item what \
  --events log.csv --events short.csv
grep -q 'files that are read as one have the same columns' err || fail 'no word of what to do'
# Columns of the samples may be called as those of events are.
awk -F, -v OFS=, '{ print $0, (NR > 1 ? "k" NR % 3 : "item"), (NR > 1 ? "shoe" : "kind") }' calls.csv >same.csv
expect 0 import -O same.h5 --samples same.csv "${asked[@]:2}" --type kind=category "${joined[@]}" --events log.csv
expect 0 train -c c.yaml --dataset same.h5 --run-dir same --seed 3 --set 'input_features=[{select: item}, {select: events.*}]'
expect 0 predict -m same --dataset same.h5 -O wanted.csv --force
expect 0 predict -m same --source same=same.csv --source events=log.csv -O made.csv --force
cmp -s wanted.csv made.csv || fail 'columns of one name are mixed up'

again=(import -O x.h5 "${log[@]}")
refused 9 'the output is also read' -- import -O items.csv --force "${log[@]}" "${joined[@]}"
mkdir other
mv events.csv other
refused 2 "cannot be called 'events'" -- "${again[@]}" --item what --join other/events.csv:what=sku
refused 2 "column 'when' of events is given twice" -- "${again[@]}" --event-column when --event-column when:number
refused 2 "cannot be called 'next_item'" -- "${again[@]}" --event-column next_item
refused 2 '--strip-suffix does not go with' -- "${again[@]}" --strip-suffix what=i
refused 2 '--positive does not go with' -- "${again[@]}" --positive yes
refused 2 '--header does not go with' -- "${again[@]}" --header a,b,c
sed 's/price/a\/b/' items.csv >wrong.csv
refused 4 "'a/b' cannot be the name" -- "${again[@]}" --item what --join wrong.csv:what=sku --ignore wrong.photo
mkdir twice
printf 'sku,time,items.time\ni0,1,2\ni1,2,3\n' >twice/items.csv
refused 4 "events have another column 'items.time'" -- "${again[@]}" --item what --join twice/items.csv:what=sku
expect 0 import -O plain.h5 "${log[@]}" --item what
for type in image text; do
  refused 3 "the classes of column 'item' have no" -- train --dataset plain.h5 --run-dir x \
    -c <(echo "{input_features: [{name: a, column: item, type: event_$type}]}")
done
refused 3 "'photo' cannot be reconstructed" -- train --dataset d.h5 --run-dir x -c c.yaml \
  -c <(echo '{output_features: [{name: r, type: reconstruction, of: all}]}')
refused 2 'events take one table, that of their items' -- "${again[@]}" --join items.csv:what=sku
refused 2 'events take one table, that of their items' -- "${again[@]}" --item what --type what=text
sed 's/^i2,shoe,12.5/i2,shoe,cheap/' items.csv >wrong.csv
refused 4 "wrong.csv:4: row 3, column 'price'" -- "${again[@]}" --item what --join wrong.csv:what=sku --type wrong.price=number
(cat items.csv && echo i2,shoe,1,,) >wrong.csv
refused 4 'wrong.csv:9' -- "${again[@]}" --item what --join wrong.csv:what=sku
refused 4 "there is no column 'nothing'" -- "${again[@]}" --item what --join items.csv:what=nothing
sed 's/^i/j/' items.csv >wrong.csv
refused 4 "none of the log's 7 items" -- "${again[@]}" --item what --join wrong.csv:what=sku
: >vertical/001.png
refused 4 'vertical/001.png' -- "${again[@]}" "${joined[@]}"
refused 4 "an item has one text" -- "${again[@]}" --item what --join items.csv:what=sku --type items.about=text --type items.photo=text
exit $failed
