// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/hash.h"

static uint32_t crc_by_bits(uint32_t crc, const unsigned char *bytes, size_t length) {
  crc = ~crc;
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

// RFC 3720 B.4.
static void crc_gives_known_answers(void **unused) {
  (void)unused;
  unsigned char block[32];
  assert_int_equal(co_crc32c(0, "123456789", 9), 0xE3069283u);
  memset(block, 0, 32);
  assert_int_equal(co_crc32c(0, block, 32), 0x8A9136AAu);
  memset(block, 0xFF, 32);
  assert_int_equal(co_crc32c(0, block, 32), 0x62A8AB43u);
  for (int i = 0; i < 32; i++)
    block[i] = (unsigned char)i;
  assert_int_equal(co_crc32c(0, block, 32), 0x46DD794Eu);
  assert_int_equal(co_crc32c(0, NULL, 0), 0);
}

// Short pieces use the table, long ones the instruction: any cut must give the same.
static void crc_continues_at_any_cut(void **unused) {
  (void)unused;
  unsigned char data[600];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (unsigned char)(i * 167 + i / 256 * 31);
  for (size_t begin = 0; begin < 9; begin++)
    for (size_t length = 0; length < sizeof data - begin; length += 1 + length / 9) {
      uint32_t whole = co_crc32c(0, data + begin, length);
      assert_int_equal(whole, crc_by_bits(0, data + begin, length));
      for (size_t cut = 0; cut <= length; cut += 5)
        assert_int_equal(
            co_crc32c(co_crc32c(0, data + begin, cut), data + begin + cut, length - cut), whole);
    }
  uint32_t bytewise = 0;
  for (size_t i = 0; i < sizeof data; i++)
    bytewise = co_crc32c(bytewise, data + i, 1);
  assert_int_equal(bytewise, co_crc32c(0, data, sizeof data));
}

static void check_sha(const void *bytes, size_t length, const char *expected) {
  char hex[65];
  for (size_t piece = 1; piece <= length + 1; piece = piece * 3 + 1) {
    co_sha256 hash;
    co_sha256_init(&hash);
    for (size_t at = 0; at < length; at += piece)
      co_sha256_update(&hash, (const char *)bytes + at, piece < length - at ? piece : length - at);
    co_sha256_final(&hash, hex);
    assert_string_equal(hex, expected);
  }
}

// FIPS 180-4 examples and NIST's short messages; 55, 56 and 64 bytes straddle the padding.
static void sha_gives_known_answers(void **unused) {
  (void)unused;
  check_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  check_sha(two, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  char a[64];
  memset(a, 'a', sizeof a);
  check_sha(a, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  check_sha(a, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
  char *million = malloc(1000000);
  memset(million, 'a', 1000000);
  check_sha(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  free(million);
}

static void hash64_is_the_start_of_sha(void **unused) {
  (void)unused;
  unsigned char seeded[11] = {0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 'r', 'o', 'w'};
  char hex[65], byte[3] = "";
  co_sha256 hash;
  co_sha256_init(&hash);
  co_sha256_update(&hash, seeded, sizeof seeded);
  co_sha256_final(&hash, hex);
  uint64_t expected = 0;
  for (int i = 7; i >= 0; i--) {
    memcpy(byte, hex + 2 * i, 2);
    expected = expected << 8 | strtoul(byte, NULL, 16);
  }
  assert_true(co_hash64(0x0102030405060708u, "row", 3) == expected);
  assert_true(co_hash64(1, "row", 3) != co_hash64(2, "row", 3));
}

// Texts of all lengths, in pairs whose lengths differ.
static void many_hashes_are_those_of_each(void **unused) {
  (void)unused;
  enum { COUNT = 301 };
  static unsigned char bytes[COUNT * COUNT];
  size_t end[COUNT], used = 0;
  uint64_t hash[COUNT];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)(i * i >> 3);
  for (int i = 0; i < COUNT; i++)
    end[i] = used += (size_t)(i * 7 % COUNT);
  co_hash64_each(5, bytes, end, COUNT, hash);
  for (int i = 0; i < COUNT; i++) {
    size_t begin = i ? end[i - 1] : 0;
    assert_true(hash[i] == co_hash64(5, bytes + begin, end[i] - begin));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(crc_gives_known_answers),       cmocka_unit_test(crc_continues_at_any_cut),
      cmocka_unit_test(sha_gives_known_answers),       cmocka_unit_test(hash64_is_the_start_of_sha),
      cmocka_unit_test(many_hashes_are_those_of_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
