#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: convert.sh COHORT CHECK_JSON MAKE_IDX MODELS. Models of Keras become models that score; the numbers
# themselves are tested in golden/keras.
set -u
cohort=$1
check_json=$2
make_idx=$3
models=$4
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1

"$make_idx" 60 12 3 1 i l
expect 0 import -O d.h5 --format idx --training-set i l --quiet

expect 0 convert "$models/sequential.model.h5" -O m.h5 --output label --json
json ok=true layers=10 inputs.0.column=null inputs.0.type=image targets.0.column=label targets.0.type=category
grep -q '"left_out":\["layer ' out || fail 'what is left out is not told'
expect 0 inspect m.h5 --json
expect 0 evaluate -m m.h5 --dataset d.h5 --split train --json
grep -q '"accuracy":' out || fail 'no accuracy'
expect 0 predict -m m.h5 --dataset d.h5 -O any.csv --quiet
# The same bytes whenever it is converted; a column by its name, scaled first.
expect 0 convert "$models/sequential.model.h5" -O again.h5 --output label --quiet
cmp m.h5 again.h5 || fail 'the model differs'
expect 0 convert "$models/sequential.model.h5" -O named.h5 --output label --input image:1 --quiet
expect 0 predict -m named.h5 --dataset d.h5 -O named.csv --quiet
cmp any.csv named.csv || fail 'scores differ by the name of the input'
expect 0 convert "$models/sequential.model.h5" -O scaled.h5 --output label --input image:1/255 --quiet
expect 0 predict -m scaled.h5 --dataset d.h5 -O scaled.csv --quiet
cmp -s any.csv scaled.csv && fail 'the scale does nothing'
expect 0 export c -m scaled.h5 -O scaled.c --quiet
expect 0 export onnx -m scaled.h5 -O scaled.onnx --quiet

# Several inputs and outputs, by Keras' names or in their order.
expect 0 convert "$models/several.model.h5" -O several.h5 --input a=first --input word=item --output yes=bought --json
json inputs.0.column=first inputs.1.column=b inputs.2.column=item inputs.3.type=image targets.0.column=kind targets.2.column=bought
expect 0 render-config -m several.h5
grep -q 'size: 5' out || fail 'the rows of the table'
refused 2 '--input c=x: the model has 4' -- convert "$models/several.model.h5" -O x.h5 --input c=x
refused 2 'some with NAME=, some without' -- convert "$models/several.model.h5" -O x.h5 --input b=x --input y
refused 2 "--input a=y: it is 'x' already" -- convert "$models/several.model.h5" -O x.h5 --input a=x --input a=y
refused 2 'two columns are called' -- convert "$models/several.model.h5" -O x.h5 --output a
expect 0 convert "$models/embedded.model.h5" -O embedded.h5 --quiet
refused 4 'vector' -- predict -m embedded.h5 --dataset d.h5 -O x.csv

# An archive is the same model.
expect 0 convert "$models/sequential.model.keras" -O archive.h5 --output label --quiet
cmp m.h5 archive.h5 || fail 'the model differs from that of the archive'
head -c 20000 "$models/sequential.model.keras" >cut.keras
refused 5 'cut.keras: the archive is truncated' -- convert cut.keras -O x.h5
sed 's/"units": 7/"units": 9/' "$models/sequential.model.keras" >flipped.keras
refused 5 'checksum of config.json' -- convert flipped.keras -O x.h5

refused 9 'exists' -- convert "$models/sequential.model.h5" -O m.h5
refused 5 'model of Cohort already' -- convert m.h5 -O x.h5
refused 5 'no model_config' -- convert "$models/sequential.rows.h5" -O x.h5
refused 5 'No such file' -- convert nothing.h5 -O x.h5
head -c 9000 "$models/sequential.model.h5" >cut.h5
refused 5 'cut.h5' -- convert cut.h5 -O x.h5
sed 's/"units": 7/"units": 9/' "$models/sequential.model.h5" >shape.h5
refused 5 'has shape' -- convert shape.h5 -O x.h5
sed 's/"units": 7/"units": [/' "$models/sequential.model.h5" >type.h5
refused 5 'no JSON' -- convert type.h5 -O x.h5
refused 2 'no number follows' -- convert "$models/sequential.model.h5" -O x.h5 --input image:big
expect 0 convert "$models/functional.model.h5" -O functional.h5 --quiet
refused 4 "is of type image, the model's is vector" -- predict -m functional.h5 --dataset d.h5 -O x.csv
exit $failed
