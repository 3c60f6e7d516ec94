#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: bad_tables.sh COHORT. What is wrong with raw tables, one case a line: import ends with the code
# and one line that names the place, and leaves nothing; or, where it says 0, takes it.
set -u
cohort=$1
[ -w /dev/shm ] && export TMPDIR=/dev/shm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/    | /' out err
  failed=1
}
# table EXIT TEXT CONTENT [OPTIONS...]: imports CONTENT, an argument of printf, with target t. TEXT stands
# in the error, of which there is one, or in what is said of a table that is taken.
table() {
  local wanted=$1 text=$2 content=$3 code
  shift 3
  # shellcheck disable=SC2059
  printf "$content" >t.csv
  rm -f t.h5
  "$cohort" import -O t.h5 --target t "$@" t.csv >out 2>err </dev/null
  code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: $content"
  if [ "$wanted" = 0 ]; then
    [ -s t.h5 ] || fail "no dataset: $content"
    cat out >>err
  else
    [ "$(grep -c '^error\[' err)" = 1 ] || fail "not one error: $content"
    [ "$(find . -type f ! -name t.csv ! -name out ! -name err | wc -l)" = 0 ] || fail "files are left: $content"
  fi
  grep -qF -- "$text" err || fail "lacks '$text': $content"
}
rows='1,2,0\n2,3,1\n3,4,0\n'

# ---- structure
table 4 't.csv:5: row 4: 2 fields instead of 3' "a,b,t\n${rows}4,5\n"
table 4 't.csv:5: row 4: 4 fields instead of 3' "a,b,t\n${rows}4,5,0,\n"
table 4 "t.csv:5: row 4, column 'b': a quote within a field" "a,b,t\n${rows}4,5\"6,0\n"
table 4 "t.csv:5: row 4, column 'b': text after the quote" "a,b,t\n${rows}4,\"5\"6,0\n"
table 4 "t.csv:5: row 4, column 'b': the quote that opens the field is never closed" "a,b,t\n${rows}4,\"5,0\n5,6,1\n"
table 4 "t.csv:5: row 4, column 'a': a NUL byte" "a,b,t\n${rows}4\\0005,6,0\n"
table 4 "t.csv:5: row 4, column 'b': the text is not UTF-8" "a,b,t\n${rows}4,\\351,0\n"
table 4 'there is no header and no row' '\n\n'
table 4 'the file is empty' ''
table 4 'there are no rows' 'a,b,t\n'

# ---- columns
table 4 "t.csv:1: header: columns 1 and 3 are both called 'a'" 'a,b,a,t\n1,2,3,0\n2,3,4,1\n'
table 4 "t.csv:1: there is no column 't'" 'a,b,T\n1,2,0\n2,3,1\n'
table 4 "t.csv:1: there is no column 'nothing'" "a,b,t\n$rows" --ignore nothing
table 4 "t.csv:1: there is no column 'nothing'" "a,b,t\n$rows" --type nothing=number
table 4 "cannot be the name of a column" 'a/b,b,t\n1,2,0\n2,3,1\n'
table 4 'no column is left as an input' 't\n0\n1\n'
table 0 "column 'b': left out: it has no value" 'a,b,t\n1,,0\n2,NA,1\n3,null,0\n'

# ---- cells
table 4 "t.csv:4: row 3, column 'b': '1e999' is beyond the range of numbers" 'a,b,t\n1,2,0\n2,3,1\n3,1e999,0\n'
table 4 "t.csv:2: row 1, column 'b': '1,5' is no number: decimal commas are not read" 'a;b;t\n1;1,5;0\n2;2,25;1\n3;3;0\n'
table 4 "t.csv:3: row 2, column 'b': '1,234' is no number: decimal commas are not read" 'a;b;t\n1;999;0\n2;1,234;1\n3;1,234,567.5;0\n'
table 4 "t.csv:3: row 2, column 'b': '2011-02-29' is no date" 'a,b,t\n1,2011-02-28,0\n2,2011-02-29,1\n3,2011-03-01,0\n'
table 4 "t.csv:3: row 2, column 'b': '31/04/11' is no date" 'a,b,t\n1,30/04/11,0\n2,31/04/11,1\n' --type b=date:%d/%m/%y
table 4 "t.csv:3: row 2, column 'b': 'x' is no number" 'a,b,t\n1,2,0\n2,x,1\n' --type b=number
table 4 "t.csv:3: row 2, column 'a': the key is missing" 'a,b,t\n1,2,0\n,3,1\n' --key a
table 4 "t.csv:4: row 3, column 'a': the key '1' occurs in line 2 already" 'a,b,t\n1,2,0\n2,3,1\n1,4,0\n' --key a

# ---- what stands in front of numbers, whichever row has it; the first rows tell only how to read
kept="taken as a category: of numbers, what stands in front of '01067' in row"
lost='is lost; --type b=category or b=text keeps it, and so does --key'
table 0 "column 'b': $kept 1 would be lost" 'a,b,t\n1,01067,0\n2,80331,1\n3,80331,0\n4,20095,1\n'
table 0 "column 'b': $kept 4 would be lost" 'a,b,t\n1,80331,0\n2,80331,1\n3,20095,0\n4,01067,1\n'
table 0 "taken as a category: of numbers, what stands in front of '+4970819152'" \
  'a,b,t\n1,+4970819152,0\n2,+498912345678,1\n3,+4970819152,0\n4,0891234567,1\n'
table 0 "column 'b': its texts are numbers, with something in front that would be lost, as of '+4970819152'" \
  'a,b,t\n1,+4970819152,0\n2,+498912345678,1\n3,+4970819153,0\n'
table 0 "column 'b': taken as a number: what stands in front of such as '007' in row 3 $lost" 'a,b,t\n1,7,0\n2,19,1\n3,007,0\n'
table 0 "column 'b': taken as a number: what stands in front of such as '+4970819152' in row 1 $lost" 'a,b,t\n1,+4970819152,0\n2,12,1\n3,7,0\n'
table 0 "column 'b': taken as a number: what stands in front of such as '000.5' in row 2 $lost" 'a,b,t\n1,120.5,0\n2,000.5,1\n3,-03.5,0\n'
table 0 "column 'b': taken as a number: what stands in front of such as '+007' in row 1 $lost" 'a,b,t\n1,+007,0\n2,+012,1\n3,+007,0\n4,5,1\n'
table 0 "column 'b': taken as a number: what stands in front of such as '-03' in row 2 $lost" 'a,b,t\n1,7,0\n2,-03,1\n3,5,0\n'
# Amounts may be printed so: that they all differ makes them no names of rows, and an exponent no codes.
table 0 "column 'b': taken as a number: what stands in front of such as '000250' in row 1 $lost" 'a,b,t\n1,000250,0\n2,000100,1\n3,012000,0\n'
table 0 "column 'b': taken as a number: what stands in front of such as '01e2' in row 1 $lost" 'a,b,t\n1,01e2,0\n2,02e2,1\n3,02e2,0\n4,03e1,1\n'
table 0 "WARN import column 'b': taken as a category" 'a,b,t\n1,08,0\n2,09,1\n3,10,0\n4,10,1\n'
for of in 0 0.5 +5 -0.5; do # nothing is lost of these
  table 0 'inputs   2:' "a,b,t\n1,$of,0\n2,12,1\n3,7,0\n"
  ! grep -q 'stands in front' err || fail "'$of' is told of"
done
table 0 'inputs   2:' 'a,b,t\n1,007,0\n2,12,1\n3,007,0\n' --type b=category
! grep -q 'stands in front' err || fail 'what is kept by --type is told of'
# Of many rows the zero is in the last one: the column is read again.
table 0 "column 'b': taken as a category: of numbers, what stands in front of '01067' in row 60002" \
  "a,b,t\n$(seq -f '%.0f,80331,1' 60000)\n2,20095,0\n1,01067,0\n"

# ---- targets
table 0 "column 't': taken as a category: of numbers" 'a,b,t\n1,2,01\n2,3,02\n3,4,10\n4,5,10\n'
table 0 "column 't': taken as a number: what stands in front of such as '01' in row 1" 'a,b,t\n1,2,01\n2,3,02\n3,4,10\n'
table 4 "column 't': the target has only one value" 'a,b,t\n1,2,0\n2,3,0\n3,4,0\n'
table 4 "column 't': the target has only one value, 'no'" 'a,b,t\n1,2,no\n2,3,no\n3,4,\n'
table 4 "column 't': the target has no value" 'a,b,t\n1,2,\n2,3,NA\n'
table 0 "column 't': 1 rows have no target" 'a,b,t\n1,2,0\n2,3,1\n3,4,\n'
table 4 "column 't': every row of the target has a text of its own" 'a,b,t\n1,2,x\n2,3,y\n3,4,z\n'
table 4 "column 't': there is no value 'maybe'" 'a,b,t\n1,2,no\n2,3,yes\n' --positive maybe

# ---- sizes: a field of 10 MB and 5,000 columns are taken, more than 10 MiB is an error
wide=$(seq -s, 5000)
table 0 'inputs   5000' "$(seq -f c%g -s, 5000),t\n$wide,0\n$wide,1\n"
table 0 'inputs   1' "a,b,t\n1,$(head -c 10000000 /dev/zero | tr '\0' x),0\n2,y,1\n3,,0\n" --ignore b
table 4 "t.csv:2: row 1, column 'b': a field of more than 10 MiB" "a,b,t\n1,$(head -c 10500000 /dev/zero | tr '\0' x),0\n2,y,1\n"

# ---- files that disagree
printf 'a,b,t\n1,2,0\n2,3,1\n' >one.csv
printf 'b,t,a\n2,0,1\n' >turned.csv
printf 'a,c,t\n1,2,0\n' >renamed.csv
printf 'a,b,t,d\n1,2,0,9\n' >more.csv
disagree() {
  local text=$1
  shift
  "$cohort" import -O x.h5 --target t "$@" >out 2>err </dev/null
  [ $? = 4 ] || fail "exit: $*"
  [ "$(grep -c '^error\[' err)" = 1 ] || fail "not one error: $*"
  grep -qF -- "$text" err || fail "lacks '$text': $*"
  [ ! -e x.h5 ] || fail "an output is left: $*"
}
disagree "renamed.csv: there is no column 'b', which 'one.csv' has" one.csv renamed.csv
disagree "more.csv: 'one.csv' has no column 'd', which is here" one.csv more.csv
disagree "renamed.csv: there is no column 'b'" --training-set one.csv --test-set renamed.csv
"$cohort" import -O x.h5 --target t one.csv turned.csv >out 2>err || fail 'columns in another order'
exit $failed
