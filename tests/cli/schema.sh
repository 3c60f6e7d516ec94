#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: schema.sh COHORT CHECK_JSON. The schema of configs knows what the program knows.
set -u
cohort=$1
check_json=$2
# shellcheck source=tests/cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

expect 0 schema --json
json ok=true schema.title=Cohort schema.type=object schema.additionalProperties=false
# shellcheck disable=SC2016 # names of JSON Schema
json 'schema.$defs.bottleneck.properties.size.minimum=1' 'schema.$defs.bottleneck.required.0=size' \
  'schema.properties.trainer.anyOf.0.$ref=#/$defs/trainer'
expect 0 schema
mv out schema.json
grep -o '#/[$]defs/[^"]*' schema.json | sort -u >references
[ "$(wc -l <references)" -gt 20 ] || fail 'references'
while read -r reference; do
  grep -qF "\"${reference##*/}\":{" schema.json || fail "it leads nowhere: $reference"
done <references
for topic in layers encoders optimizers losses; do
  expect 0 help $topic
  sed -n 's/^  \([A-Za-z][A-Za-z0-9_]*\)  .*/\1/p' out >names
  [ -s names ] || fail "names of $topic"
  while read -r name; do
    grep -qF "\"$name\"" schema.json || fail "the schema lacks $name of $topic"
  done <names
done

exit $failed
