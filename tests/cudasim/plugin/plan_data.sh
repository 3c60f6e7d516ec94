#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: plan_data.sh COHORT MAKE_IDX FOLDER. Makes FOLDER/images.h5, 28 x 28 grey images of 10 classes.
set -eu
cd "$3"
"$2" 600 28 10 1 images labels
"$2" 60 28 10 2 test-images test-labels
"$1" import -O images.h5 --force --format idx --training-set images labels \
  --test-set test-images test-labels
