// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli, RFC 3720 B.4; stored checksums) and SHA-256 (FIPS 180-4; identities).
#ifndef COHORT_CORE_HASH_H
#define COHORT_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Continues `crc` (0 to start) over the bytes.
uint32_t co_crc32c(uint32_t crc, const void *bytes, size_t length);

// 64-bit content hash for split assignment and the like: the first 8 bytes (little-endian) of
// SHA-256 over seed (8 bytes little-endian) followed by the bytes.
uint64_t co_hash64(uint64_t seed, const void *bytes, size_t length);
// The same of `count` texts that stand one behind the other, the i-th up to end[i].
void co_hash64_each(uint64_t seed, const void *bytes, const size_t *end, int64_t count,
                    uint64_t *hash);

typedef struct co_sha256 {
  uint32_t state[8];
  uint64_t length;
  unsigned char block[64];
} co_sha256;
void co_sha256_init(co_sha256 *hash);
void co_sha256_update(co_sha256 *hash, const void *bytes, size_t length);
void co_sha256_final(co_sha256 *hash, char hex[65]); // lower case, NUL-terminated

#ifdef __cplusplus
}
#endif
#endif
