#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: init_from.sh COHORT CHECK_JSON MAKE_IDX KILL_AT MODELS. Trainings that begin with the weights of a model:
# all of them, those that agree, none; killed and resumed, with the model and without it.
set -u
cohort=$1
check_json=$2
make_idx=$3
kill_at=$4
models=$5
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
said() { grep -qF -- "$1" err || fail "not said: $1"; }

"$make_idx" 200 12 3 1 i l
expect 0 import -O d.h5 --format idx --training-set i l --quiet
expect 0 convert "$models/sequential.model.h5" -O m.h5 --output label --input image --quiet
expect 0 predict -m m.h5 --dataset d.h5 -O m.csv --quiet

# ---- all weights and statistics: at a rate of 0 the model is the one that it began with
expect 0 render-config -m m.h5 -O own.yaml
refused 2 'a model has a config of its own' -- render-config -m m.h5 -c own.yaml
expect 0 inspect m.h5 --json
sed 's/.*"config"://; s/}$//' out >own.json
sed 's/"momentum":0.99/"momentum":1.0/' own.json >still.yaml
still=(--set trainer.learning_rate=0 --set trainer.max_epochs=1)
expect 0 train -c still.yaml --dataset d.h5 --run-dir still --init-from m.h5 "${still[@]}"
said "init_from 11 of 11 parameters of $dir/m.h5"
expect 0 predict -m still --dataset d.h5 -O still.csv --quiet
cmp -s m.csv still.csv || fail 'the scores are not those of the model'
expect 0 train -c still.yaml --dataset d.h5 --run-dir drawn "${still[@]}"
expect 0 predict -m drawn --dataset d.h5 -O drawn.csv --quiet
cmp -s m.csv drawn.csv && fail 'drawn weights score the same'
# Where validation reads a moving average, that begins with them as well.
expect 0 train -c still.yaml --dataset d.h5 --run-dir averaged --init-from m.h5 "${still[@]}" \
  --set trainer.ema.decay=0.9
expect 0 predict -m averaged --dataset d.h5 -O averaged.csv --quiet
cmp -s m.csv averaged.csv || fail 'the average did not begin with them'

# ---- some of them
sed 's/"output_features":.*/"output_features":[{"name":"label"}], "trainer":{"max_epochs":2,"batch_size":32,\
  "param_groups":[{"params":["image\/batch_norm*","image\/conv2d"],"trainable":false},{"params":["image"],"lr":1e-4}]}}/' \
  own.json >head.yaml
expect 0 plan -c head.yaml --dataset d.h5
[ "$(grep -c '  frozen$' out) $(grep -c '  rate x 0.1$' out)" = '2 2' ] || fail "groups: $(grep image/ out)"
with=(-c head.yaml --dataset d.h5 --threads 1)
expect 0 train "${with[@]}" --run-dir whole --init-from m.h5
said '9 of 11 parameters'
said '; new: label/logits/kernel, label/logits/bias'
{ tr -d '\n' <whole/run.json && echo; } >out
json "init_from=$dir/m.h5" "init_from_sha256=$("$cohort" inspect m.h5 | awk '/^sha256/ { print $3 }')"
sed 's/"units":7/"units":9/' head.yaml >wide.yaml
expect 0 train -c wide.yaml --dataset d.h5 --run-dir wide --init-from whole
said "8 of 11 parameters of $dir/whole/model.h5; of another shape: image/dense/kernel (48, 7) instead of (48, 9), "
expect 0 train "${with[@]}" --run-dir none --init-from m.h5 --dry-run --json
[ ! -e none ] || fail 'a dry run left a folder'

# A class is a number to the weights.
expect 0 import -O named.h5 --format idx --training-set i l --class-names b,a,c --quiet
expect 0 train -c own.yaml --dataset named.h5 --run-dir named --init-from m.h5 "${still[@]}"
said "WARN init_from column 'label' has other classes than in $dir/m.h5"
grep -q 'other classes' whole/run.json && fail 'a warning of equal classes'

# ---- none of them
printf 'input_features: [{name: image, encoder: {type: stacked_cnn, filters: [3], output_size: 5}}]\n' >other.yaml
refused 5 'none of its weights has the name and shape of one here' -- train -c other.yaml --dataset d.h5 \
  --run-dir none --init-from m.h5
refused 5 'none of its weights' -- train -c other.yaml --dataset d.h5 --run-dir none --init-from m.h5 --dry-run
refused 5 'no such run directory' -- train "${with[@]}" --run-dir none --init-from nothing
head -c 9000 m.h5 >cut.h5
refused 5 'cut.h5' -- train "${with[@]}" --run-dir none --init-from cut.h5
printf 'predictor: {type: linear}\n' >linear.yaml
refused 3 'predictor linear has no weights' -- train -c linear.yaml --dataset d.h5 --run-dir none --init-from m.h5

# ---- the runs of an experiment and the trials of a search
seeds=(experiment --run-dir seeds --set trainer.max_epochs=1 --set trainer.learning_rate=0)
expect 0 "${seeds[@]}" -c still.yaml --dataset d.h5 --seeds 2 --init-from m.h5
expect 0 predict -m seeds/seed-1 --dataset d.h5 -O seed.csv --quiet
cmp -s m.csv seed.csv || fail 'a run of an experiment began with other weights'
rm -r seeds/seed-1 seeds/experiment.json
mv m.h5 moved.h5
refused 5 'no such run directory' -- experiment --resume seeds
expect 0 experiment --resume seeds --init-from moved.h5
said 'init_from 11 of 11'
refused 3 'not started with those weights' -- experiment --resume seeds --init-from drawn
echo 'hyperopt: {parameters: {trainer.batch_size: {space: choice, categories: [32, 64]}}}' >space.yaml
study=(hyperopt run -c still.yaml -c space.yaml --dataset d.h5 -O study.db --n-trials 1 "${still[@]}")
expect 0 "${study[@]}" --init-from moved.h5
expect 0 predict -m study.db.trials/trial-0000 --dataset d.h5 -O trial.csv --quiet
cmp -s m.csv trial.csv || fail 'a trial began with other weights'
refused 9 'another model to begin with' -- "${study[@]}" --init-from drawn
expect 0 "${study[@]}"
mv moved.h5 m.h5
refused 5 'no such run directory' -- "${study[@]}"
sed -i 's/choice/other/' space.yaml
refused 3 'hyperopt.parameters.trainer.batch_size' -- "${study[@]}"

# ---- killed anywhere and resumed: the same bytes
preloaded() { env "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}" LD_PRELOAD="$kill_at" "$@"; }
same() {
  for file in model.h5 metrics.jsonl $(cd whole && ls checkpoints/*.h5); do
    cmp -s "whole/$file" "$1/$file" || fail "$file differs: $2"
  done
}
preloaded COHORT_TEST_COUNT="$dir/count" "$cohort" train "${with[@]}" --run-dir counted --init-from m.h5 \
  >out 2>err || fail 'the training that is counted'
begin() { # RUN PART [OPTION]: killed where so much of the operations on files is done
  preloaded COHORT_TEST_KILL_AT=$(($(cat count) * $2 / 100)) "$cohort" train "${with[@]}" --run-dir "$1" \
    --init-from "$model" "${@:3}" >out 2>err
  [ $? = 137 ] || fail 'not killed'
} 2>/dev/null
model=m.h5
begin early 20
[ -e early/run.json ] || fail 'no run'
ls early/checkpoints/*.h5 >/dev/null 2>&1 && fail 'a checkpoint that early'
begin late 70
ls late/checkpoints/step-*.h5 >/dev/null || fail 'no checkpoint'
refused 3 'was not started with the weights of wide' -- train --resume late --init-from wide
mv m.h5 moved.h5
expect 5 train --resume early
said 'the model that early begins with is gone'
cp wide/model.h5 m.h5
expect 5 train --resume early
said 'early was started with other weights'
rm m.h5
expect 0 train --resume early --init-from moved.h5
same early 'without a checkpoint'
expect 0 train "${with[@]}" --run-dir late --resume=auto --init-from m.h5
grep -q 'init_from' err && fail 'the model was read again'
same late 'with a checkpoint'
# A refit begins with them, too, though the run it is of went on without the option.
model=moved.h5
begin refit 70 --refit
expect 0 train --resume refit
[ "$(grep -c 'init_from 9 of 11' err)" = 1 ] || fail 'the refit did not begin with them'
expect 0 train "${with[@]}" --run-dir refitted --refit --init-from moved.h5
cmp -s refit/model.h5 refitted/model.h5 || fail 'the refit differs'
exit $failed
