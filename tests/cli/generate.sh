#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: generate.sh COHORT CHECK_JSON MAKE_IDX. Two networks trained in turn, and the images that one of them makes.
set -u
cohort=$1
check_json=$2
make_idx=$3
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
"$make_idx" 300 8 3 1 images labels
expect 0 import -O d.h5 --format idx --training-set images labels --quiet
cat >gan.yaml <<'YAML'
input_features:
  - name: image
    encoder: {type: graph, layers: [{Conv2D: {filters: 8, kernel_size: 4, strides: 2, padding: same}}, LeakyReLU, {Dropout: 0.2}, Flatten]}
output_features:
  - {name: real, type: discriminator}
  - {name: generated, type: generator, noise_size: 5, decoder: {type: stacked_cnn_decoder, filters: [8], activation: sigmoid}}
trainer:
  max_epochs: 6
  batch_size: 16
  learning_rate: 2.0e-3
  ema: {decay: 0.99}
  optimizer: {type: adam, beta1: 0.5}
  phases:
    - {losses: [real], groups: [image, real], updates: 2}
    - {losses: [generated], groups: [generated], learning_rate: 4.0e-3}
YAML

# ---- training
expect 0 train -c gan.yaml --dataset d.h5 --run-dir run --quiet --workers 1
expect 0 train -c gan.yaml --dataset d.h5 --run-dir again --quiet --workers 3
cmp -s run/model.h5 again/model.h5 || fail 'loader threads are in the model'
expect 0 train -c run/config.full.yaml --dataset d.h5 --run-dir full --quiet
cmp -s run/model.h5 full/model.h5 || fail 'the config written out trains another model'
expect 0 train -c gan.yaml --dataset d.h5 --run-dir first --quiet --set trainer.max_steps=1 --set trainer.log_every_n_steps=1
grep -q '"generated":{"log_loss":null,' first/metrics.jsonl || fail 'the loss of a phase that had no turn'
expect 0 train -c gan.yaml --dataset d.h5 --run-dir narrow --quiet --precision bf16 --set trainer.max_steps=6
expect 0 evaluate -m narrow --dataset d.h5 --split train --precision bf16
expect 0 verify resume -c gan.yaml --dataset d.h5 --kills 1 --set trainer.max_epochs=2 --json
json ok=true

# ---- its model
expect 0 evaluate -m run --dataset d.h5 --split train --json
json ok=true
grep -q '"real":{"log_loss":[0-9.]*,"score":[0-9.]*},"generated":{"log_loss":' out || fail 'losses and scores'
expect 0 predict -m run --dataset d.h5 -O scores.csv
[ "$(head -1 scores.csv)" = row,real_score ] || fail 'what rows are told of'
expect 0 report run -O run.html
[ "$(grep -o 'src="data:image/png' run.html | wc -l)" = 54 ] || fail 'pictures in the report: 48, and one of each epoch'
cmp -s run/samples/step-00000051.png again/samples/step-00000051.png || fail 'samples of an epoch'
refused 5 "the generator 'generated' cannot be exported to C" -- export c -m run -O m.c
refused 5 "the generator 'generated' cannot be exported to ONNX" -- export onnx -m run -O m.onnx

# ---- images
expect 0 generate -m run --seed 1 -O a.png --json
json ok=true verb=generate images=64 seed=1 output=a.png
expect 0 generate -m run --seed 1 -O b.png --threads 2
cmp -s a.png b.png || fail 'a seed makes the same images'
expect 0 generate -m again --count 64 --seed 2 -O b.png --force
cmp -s a.png b.png && fail 'other seeds make other images'
mkdir sheets
cp a.png sheets
expect 0 import -O sheet.h5 sheets --json # 8 x 8 of them
json image.0=82 image.1=82 image.2=1
expect 0 generate -m run --count 70 --seed 1 -O g.h5
expect 0 data show g.h5 --sheet c.png --rows 64
expect 0 predict -m run --dataset g.h5 -O g.csv --json
json rows=70
expect 0 generate -m run --count 3 --seed 1 -O few.h5
expect 0 predict -m run --dataset few.h5 -O few.csv
cmp -s <(head -4 g.csv) few.csv || fail 'an image is the same however many are made'
refused 9 'exists already' -- generate -m run -O a.png
refused 9 'exists already' -- generate -m run -O g.h5
refused 2 'neither a picture nor a dataset' -- generate -m run -O a.txt
refused 2 'count' -- generate -m run --count 0 -O x.png
refused 5 'no such run' -- generate -m nothing -O x.png
cat >plain.yaml <<'YAML'
input_features: [{name: image, encoder: {type: graph, layers: [Flatten, {Dense: 4}]}}]
trainer: {max_steps: 2}
YAML
expect 0 train -c plain.yaml --dataset d.h5 --run-dir plain --quiet
refused 5 'has no generator' -- generate -m plain -O x.png

# ---- noise on the inputs of an autoencoder
cat >codes.yaml <<'YAML'
input_features: [{name: image, encoder: {type: graph, layers: [Flatten]}}]
bottleneck: {size: 8, mask_noise: 0.5}
output_features: [{name: back, type: reconstruction, of: image, decoder: {type: graph, layers: [{Dense: 64}]}}]
trainer: {max_epochs: 8, batch_size: 16}
YAML
expect 0 train -c codes.yaml --dataset d.h5 --run-dir masked --quiet
expect 0 train -c codes.yaml --dataset d.h5 --run-dir clear --quiet --set bottleneck.mask_noise=0
cmp -s masked/model.h5 clear/model.h5 && fail 'noise makes another model'
expect 0 evaluate -m masked --dataset d.h5 --split train --require 'mse<=0.05' # of what was without noise
expect 0 verify parity -m masked --dataset d.h5 --device cpu
expect 0 train -c codes.yaml --dataset d.h5 --run-dir all --quiet --set back.of=all --precision bf16

# ---- a variational autoencoder makes images, too
expect 0 train -c codes.yaml --dataset d.h5 --run-dir vae --quiet --set bottleneck.mask_noise=0 \
  --set bottleneck.variational=true --set bottleneck.kl_warmup_fraction=0.5 --set bottleneck.kl_cycles=2
expect 0 evaluate -m vae --dataset d.h5 --split train --require 'kl>=0.1' --require 'elbo>=-1000'
expect 0 generate -m vae --count 64 --seed 1 -O v.png
cmp -s v.png a.png && fail 'another model makes other images'
expect 0 predict -m vae --dataset d.h5 --columns key,kl,embedding -O v.csv
head -1 v.csv | grep -q '^row,kl_0,.*kl_7,embedding_0' || fail 'the divergence of each number'
refused 2 'has no variational bottleneck' -- predict -m masked --dataset d.h5 --columns kl -O x.csv
refused 3 'is of a variational bottleneck' -- train -c codes.yaml --dataset d.h5 --run-dir x --set bottleneck.kl_weight=2
refused 3 'the reconstruction of one image or vector' -- train -c codes.yaml --dataset d.h5 --run-dir x \
  --set bottleneck.variational=true --set back.of=all
refused 5 "the variational output 'back' cannot be exported" -- export onnx -m vae -O x.onnx

# ---- configs
wrong() { # MESSAGE, then how the config above is changed
  local message=$1
  shift
  sed "$@" gan.yaml >wrong.yaml
  refused 3 "$message" -- train -c wrong.yaml --dataset d.h5 --run-dir x
}
wrong "trainer.phases[0].losses: there is no 'reel'" 's/losses: \[real\]/losses: [reel]/'
wrong "trainer.phases[1].groups: there is no 'g'" 's/groups: \[generated\]/groups: [g]/'
wrong 'trainer.phases[0].groups: must be a list of names' 's/groups: \[image, real\]/groups: image/'
wrong 'trainer.phases: must be a list of 2 to 8 phases' '/losses: \[generated\]/d'
wrong 'with phases it needs a metric' 's/max_epochs: 6/early_stop: 2/'
wrong 'trainer.refit: with phases it needs a metric' 's/max_epochs: 6/refit: true/'
wrong 'one generator goes with one discriminator' '/type: discriminator/d'
wrong 'decoder: is required' 's/, decoder:.*}}/}/'
wrong 'there is no combiner, no bottleneck' '1s/^/bottleneck: {size: 3}\n/'
wrong 'mean_absolute_error does not fit' 's/type: discriminator/&, loss: {type: mean_absolute_error}/'
wrong 'must end in the 64 numbers of an image' 's/decoder:.*}}/decoder: {type: mlp, sizes: [63]}}/'
expect 0 plan -c gan.yaml --dataset d.h5
expect 0 train -c gan.yaml --dataset d.h5 --run-dir squares --quiet --set trainer.max_steps=6 \
  --set real.loss.type=mean_squared_error --set generated.loss.type=mean_squared_error
exit $failed
