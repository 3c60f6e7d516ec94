#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: images.sh COHORT CHECK_JSON MAKE_IMAGES PRESETS. A folder of images, from the files to a trained
# model, and what is wrong with it.
set -u
cohort=$1
check_json=$2
make_images=$3
presets=$4
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p photos/vertical photos/horizontal
"$make_images" photos/vertical 40 40 30
"$make_images" photos/horizontal 40 40 30

# ---- import
expect 0 import -O d.h5 --format images --image-size 16x12 --fit pad photos --json
json ok=true verb=import classes=2 files=80 image.0=12 image.1=16 image.2=3 up_to_date=false
expect 0 import -O d.h5 --image-size 16x12 --fit pad photos --threads 1
grep -q 'up to date' out || fail 'a folder needs no --format, and an equal import is up to date'
grep -q '16 wide, 12 high, 3 channels, 2 classes' out || fail 'the text tells the size'
expect 0 data show d.h5
grep -q 'horizontal/000.png' out || fail 'keys are names of files'
refused 9 'not made from these inputs' -- import -O d.h5 --image-size 16x16 photos
expect 0 import -O grey.h5 --channels 1 --split stratified:0.6,0.2,0.2 photos --json
json rows.train=48 rows.validation=16 rows.test=16 image.0=30 image.1=40 image.2=1

# ---- a table of names, with attributes
(cd photos && ls horizontal/*.png vertical/*.png) | awk 'BEGIN { print "file,colour,fit" }
  NR > 40 && NR % 2 { print $1 "," (NR % 3 ? "red" : "blue") "," (NR % 5 ? "tight" : "") }' >names.csv
expect 0 import -O named.h5 --format images --image-size 16x12 --labels names.csv photos --json
json "files=$(($(wc -l <names.csv) - 1))" classes=0
expect 0 data show named.h5 --rows 3
grep -q 'file.*colour.*fit' out || fail 'attributes are columns'
cat >two.yaml <<'END'
input_features: [{name: image, encoder: {type: resnet, filters: [4, 8], blocks: 1}}]
output_features: [{name: colour}, {name: fit}]
trainer: {max_epochs: 1, batch_size: 8}
END
expect 0 train -c two.yaml --dataset named.h5 --run-dir two --quiet
expect 0 train -c "$presets/product-attributes.yaml" --dataset named.h5 --run-dir attributes --quiet --set trainer.max_epochs=1
expect 0 predict -m attributes --dataset named.h5 -O attributes.csv --quiet
[ "$(head -1 attributes.csv | grep -c '^file,.*colour.*fit')" = 1 ] || fail 'two attributes are scored'
sed 's/^/{"file":"/; s/,.*/","split":"train"}/' names.csv | sed 1d >names.jsonl
expect 0 import -O named.h5 --image-size 16x12 --labels names.jsonl photos --force
echo 'nobody.png,red,' >>names.csv
refused 4 'nobody.png' -- import -O x.h5 --image-size 16x12 --labels names.csv photos
printf 'file,split\na.png,never\n' >bad.csv
refused 4 "'never' is not train" -- import -O x.h5 --labels bad.csv photos

# ---- a contact sheet
expect 0 data show d.h5 --sheet sheet.png --rows 10 --json
json ok=true sheet=sheet.png images=10
mkdir sheets
cp sheet.png sheets
expect 0 import -O sheet.h5 sheets --json # 4 images beside each other, 3 lines
json image.0=44 image.1=74 image.2=3
refused 9 'exists' -- data show d.h5 --sheet sheet.png
expect 0 data show d.h5 --sheet sheet.png --split test --force
refused 2 '--sheet does not go with check' -- data check d.h5 --sheet x.png
refused 2 '--force does not go' -- data show d.h5 --force

# ---- import: mistakes
refused 2 'one folder' -- import -O x.h5 --format images
refused 2 'not understood' -- import -O x.h5 --image-size 64 photos
refused 2 'not understood' -- import -O x.h5 --image-size 16x16 --fit tight photos
refused 2 'option of images' -- import -O x.h5 --max-pixels 9 --target a table.csv
refused 2 'an option of tables' -- import -O x.h5 --target a photos
refused 2 'at random or stratified' -- import -O x.h5 --split hash:a photos
refused 2 'not 2' -- import -O x.h5 --channels 2 photos
"$make_images" photos/vertical 1 41 30
refused 4 'several sizes' -- import -O x.h5 photos
grep -q 'image-size 32x32 --fit crop' err || fail 'a proposal'
echo 'no image' >photos/vertical/001.png
refused 4 'photos/vertical/001.png: neither JPEG' -- import -O x.h5 --image-size 16x16 photos
refused 4 'more than --max-pixels 1200' -- import -O x.h5 --image-size 16x16 --max-pixels 1200 photos
refused 4 '1 of 80' -- import -O x.h5 --image-size 16x16 --on-error skip photos
expect 0 import -O s.h5 --image-size 16x12 --on-error skip --max-errors 1 photos --json
json files=80 skipped.0.file=photos/vertical/001.png other_files=0
grep -q "'photos/vertical/001.png' is left out" err || fail 'a skipped file is named'

# ---- a model, and the scores of a folder
expect 0 init-config --dataset d.h5 -O c.yaml
expect 0 train -c c.yaml --dataset d.h5 --run-dir run --set trainer.max_epochs=6 \
  --set trainer.batch_size=8 --quiet
expect 0 evaluate -m run --dataset d.h5 --split test --require 'accuracy>=0.9'
"$make_images" photos/vertical 40 40 30
expect 0 predict -m run --dataset d.h5 -O a.csv --columns key,prediction,probabilities
expect 0 predict -m run --dataset photos -O b.csv --columns key,prediction,probabilities --json
json ok=true rows=80 images=80 skipped=0
cmp -s a.csv b.csv || fail 'a folder scores as the dataset made of it'
find . -name '*.rows*' | grep -q . && fail 'a temporary is left'
mkdir other
cp photos/vertical/00[0-4].png other
: >other/009.png
expect 0 predict -m run --dataset other -O - --columns key,prediction --max-errors 1
[ "$(cat out)" = "$(printf 'file,label\n'; for i in 0 1 2 3 4; do echo "00$i.png,vertical"; done)" ] ||
  fail 'scores by file'
grep -q "'other/009.png' is left out: the file is empty" err || fail 'a file that cannot be read'
refused 4 '1 of 6 images' -- predict -m run --dataset other -O c.csv
refused 4 'other/009.png: the file is empty' -- predict -m run --dataset other -O c.csv --on-error fail
refused 2 '--key does not go' -- predict -m run --dataset other -O c.csv --key a

# ---- an autoencoder
expect 0 import -O d.h5 --format images --image-size 16x12 --fit pad photos --force --json
validation=$(grep -o '"validation":[0-9]*' out | cut -d: -f2)
if [ "$validation" -lt 1 ] || [ "$validation" -gt 12 ]; then
  fail 'some validation rows, all of them shown'
fi
expect 0 import -O small.h5 --channels 1 --image-size 28x28 --fit pad photos --quiet
expect 0 plan -c "$presets/product-dense-autoencoder.yaml" --dataset small.h5
grep -q ' 1100112 in all' out || fail 'the dense autoencoder'
refused 3 'both are multiples of 4' -- train -c "$presets/product-autoencoder.yaml" --dataset grey.h5 --run-dir x
expect 0 train -c "$presets/product-autoencoder.yaml" --dataset d.h5 --run-dir codes --quiet \
  --set trainer.max_epochs=6 --set trainer.batch_size=8
expect 0 train -c "$presets/product-autoencoder.yaml" --dataset d.h5 --run-dir codes16 --quiet \
  --set trainer.max_epochs=6 --set trainer.batch_size=8 --set trainer.precision=bf16
expect 0 evaluate -m codes16 --dataset d.h5 --split test --require 'mse<=0.045'
expect 0 evaluate -m codes --dataset d.h5 --split test --require 'mse<=0.04' --json
grep -q '"metrics":{"reconstruction":{"mse":0.0.*"mae":0.*"psnr":.*"ssim":' out || fail 'the error of the pixels'
expect 0 predict -m codes --dataset photos -O codes.csv --columns key,reconstruction_error,embedding
head -1 codes.csv | grep -q '^file,reconstruction_error,embedding_0,.*embedding_63$' || fail 'codes'
# Look-alikes are the rows of the most alike codes, as awk finds them.
key=$(sed -n 2p codes.csv | cut -d, -f1)
awk -F, 'NR == 2 { for (i = 3; i <= NF; i++) q[i] = $i }
  NR > 2 { d = a = b = 0
    for (i = 3; i <= NF; i++) { d += q[i] * $i; a += q[i] ^ 2; b += $i ^ 2 }
    printf "%.6f %s\n", d / sqrt(a * b), $1 }' codes.csv | sort -rn | head -3 | cut -d' ' -f2 >wanted
expect 0 similar -m codes --dataset photos --row "$key" --top 3
sed 1d out | awk '{ print $3 }' | cmp -s - wanted || fail "look-alikes: $(cat wanted)"
expect 0 similar -m codes --dataset d.h5 --row "$key" --measure euclidean --split test --json
grep -q '"distance":' out || fail 'distances'
refused 4 'no row has the key' -- similar -m codes --dataset d.h5 --row nobody
refused 2 'cosine or euclidean' -- similar -m codes --dataset d.h5 --row "$key" --measure far
refused 3 'bottleneck' -- similar -m run --dataset d.h5 --row "$key"
expect 0 import -O flat.h5 --image-size 16x12 photos/horizontal # without classes
expect 0 init-config --dataset flat.h5 -O flat.yaml
grep -q 'type: reconstruction' flat.yaml || fail 'images without classes are given back'
expect 0 plan -c flat.yaml --dataset flat.h5
expect 0 report codes -O codes.html
[ "$(grep -o 'src="data:image/png;base64,iVBORw0KGgo[A-Za-z0-9+/]*=*"' codes.html | wc -l)" = $((4 * validation)) ] ||
  fail 'pictures in the report'
expect 0 predict -m codes --dataset other -O - --columns key,reconstruction_error --max-errors 1

exit $failed
