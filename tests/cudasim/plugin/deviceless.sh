#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: deviceless.sh PLAN_CONFIGS PLUGIN_FOLDER TEST_DEVICELESS DEVICE_JSON DATASET CONFIG...
# The real cuDNN, asked without a device, has an engine for every convolution that the configs plan.
set -euo pipefail
plan_configs=$1
plugin=$2
test_deviceless=$3
device=$4
shift 4
list=$(mktemp)
trap 'rm -f "$list" "$list.all"' EXIT
LD_LIBRARY_PATH=$plugin "$plan_configs" convolutions "$@" >"$list.all"
sort -u "$list.all" >"$list"
"$test_deviceless" "$device" "$list"
