// SPDX-License-Identifier: Apache-2.0
// Input: a table in text, with target "t".
#include "tests/fuzz/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_table(data, size);
}

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {
    "3k,d,t\n1,2011-12-31 23:59,0\n2,2011-02-30,\n3,,1\n\"4,\n\",x\"y,1\n5,\"\"\"\",0\n",
    "6a,t\n\"x\ny\",1\n2\n\"z\"\"\",0\n1e999,1\n",
    "0k,a,b,c,t\n1,1.5,x,0,yes\n2,2e3,y,1,no\n3,,\"z, \"\"q\"\"\",1,no\n4,-7,x,NA,yes\n",
    "1k;a;b;t\r\nu1;3;\xC3\xA9;1\r\nu2;4;\"\r\n\";2\r\nu3;5;b;3\r\n",
    "0\xEF\xBB\xBF"
    "t\tk\n1\t2\n2\t3\n"};

int main(int argc, char **argv) {
  return fuzz_tables("fuzz_csv", samples, sizeof samples / sizeof *samples, argc, argv);
}
#endif
