// SPDX-License-Identifier: Apache-2.0
#include "host/core/hash.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_INSTRUCTIONS 1
#else
#define HAVE_INSTRUCTIONS 0
#endif

// ---- CRC-32C -----------------------------------------------------------------------------------

// Remainders of one byte, reflected polynomial 0x82F63B78.
static const uint32_t crc_table[256] = {
    0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f, 0x35f1141c, 0x26a1e7e8, 0xd4ca64eb,
    0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3, 0xac78bf27, 0x5e133c24,
    0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b, 0xd7c45070, 0x25afd373, 0x36ff2087, 0xc494a384,
    0x9a879fa0, 0x68ec1ca3, 0x7bbcef57, 0x89d76c54, 0x5d1d08bf, 0xaf768bbc, 0xbc267848, 0x4e4dfb4b,
    0x20bd8ede, 0xd2d60ddd, 0xc186fe29, 0x33ed7d2a, 0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35,
    0xaa64d611, 0x580f5512, 0x4b5fa6e6, 0xb93425e5, 0x6dfe410e, 0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa,
    0x30e349b1, 0xc288cab2, 0xd1d83946, 0x23b3ba45, 0xf779deae, 0x05125dad, 0x1642ae59, 0xe4292d5a,
    0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a, 0x7da08661, 0x8fcb0562, 0x9c9bf696, 0x6ef07595,
    0x417b1dbc, 0xb3109ebf, 0xa0406d4b, 0x522bee48, 0x86e18aa3, 0x748a09a0, 0x67dafa54, 0x95b17957,
    0xcba24573, 0x39c9c670, 0x2a993584, 0xd8f2b687, 0x0c38d26c, 0xfe53516f, 0xed03a29b, 0x1f682198,
    0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927, 0x96bf4dcc, 0x64d4cecf, 0x77843d3b, 0x85efbe38,
    0xdbfc821c, 0x2997011f, 0x3ac7f2eb, 0xc8ac71e8, 0x1c661503, 0xee0d9600, 0xfd5d65f4, 0x0f36e6f7,
    0x61c69362, 0x93ad1061, 0x80fde395, 0x72966096, 0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789,
    0xeb1fcbad, 0x197448ae, 0x0a24bb5a, 0xf84f3859, 0x2c855cb2, 0xdeeedfb1, 0xcdbe2c45, 0x3fd5af46,
    0x7198540d, 0x83f3d70e, 0x90a324fa, 0x62c8a7f9, 0xb602c312, 0x44694011, 0x5739b3e5, 0xa55230e6,
    0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36, 0x3cdb9bdd, 0xceb018de, 0xdde0eb2a, 0x2f8b6829,
    0x82f63b78, 0x709db87b, 0x63cd4b8f, 0x91a6c88c, 0x456cac67, 0xb7072f64, 0xa457dc90, 0x563c5f93,
    0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043, 0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c,
    0x92a8fc17, 0x60c37f14, 0x73938ce0, 0x81f80fe3, 0x55326b08, 0xa759e80b, 0xb4091bff, 0x466298fc,
    0x1871a4d8, 0xea1a27db, 0xf94ad42f, 0x0b21572c, 0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033,
    0xa24bb5a6, 0x502036a5, 0x4370c551, 0xb11b4652, 0x65d122b9, 0x97baa1ba, 0x84ea524e, 0x7681d14d,
    0x2892ed69, 0xdaf96e6a, 0xc9a99d9e, 0x3bc21e9d, 0xef087a76, 0x1d63f975, 0x0e330a81, 0xfc588982,
    0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d, 0x758fe5d6, 0x87e466d5, 0x94b49521, 0x66df1622,
    0x38cc2a06, 0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2, 0xff56bd19, 0x0d3d3e1a, 0x1e6dcdee, 0xec064eed,
    0xc38d26c4, 0x31e6a5c7, 0x22b65633, 0xd0ddd530, 0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f,
    0x49547e0b, 0xbb3ffd08, 0xa86f0efc, 0x5a048dff, 0x8ecee914, 0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0,
    0xd3d3e1ab, 0x21b862a8, 0x32e8915c, 0xc083125f, 0x144976b4, 0xe622f5b7, 0xf5720643, 0x07198540,
    0x590ab964, 0xab613a67, 0xb831c993, 0x4a5a4a90, 0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f,
    0xe330a81a, 0x115b2b19, 0x020bd8ed, 0xf0605bee, 0x24aa3f05, 0xd6c1bc06, 0xc5914ff2, 0x37faccf1,
    0x69e9f0d5, 0x9b8273d6, 0x88d28022, 0x7ab90321, 0xae7367ca, 0x5c18e4c9, 0x4f48173d, 0xbd23943e,
    0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81, 0x34f4f86a, 0xc69f7b69, 0xd5cf889d, 0x27a40b9e,
    0x79b737ba, 0x8bdcb4b9, 0x988c474d, 0x6ae7c44e, 0xbe2da0a5, 0x4c4623a6, 0x5f16d052, 0xad7d5351,
};

static uint32_t crc_bytes(uint32_t crc, const unsigned char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++)
    crc = crc >> 8 ^ crc_table[(crc ^ bytes[i]) & 0xFF];
  return crc;
}

#if HAVE_INSTRUCTIONS
__attribute__((target("sse4.2"))) static uint32_t
crc_words(uint32_t crc, const unsigned char *bytes, size_t words) {
  uint64_t wide = crc;
  for (size_t i = 0; i < words; i++) {
    uint64_t word;
    memcpy(&word, bytes + 8 * i, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  return (uint32_t)wide;
}
#endif

uint32_t co_crc32c(uint32_t crc, const void *bytes, size_t length) {
  const unsigned char *p = bytes;
  crc = ~crc;
#if HAVE_INSTRUCTIONS
  if (length >= 8 && __builtin_cpu_supports("sse4.2")) {
    crc = crc_words(crc, p, length / 8);
    p += length / 8 * 8;
    length %= 8;
  }
#endif
  return ~crc_bytes(crc, p, length);
}

// ---- SHA-256 -----------------------------------------------------------------------------------

static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int by) {
  return x >> by | x << (32 - by);
}

static void expand(uint32_t w[64], const unsigned char *block) {
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
           (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
}

static void compress_block(uint32_t state[8], const unsigned char *block) {
  uint32_t w[64], v[8];
  expand(w, block);
  memcpy(v, state, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
    uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    uint32_t t1 = v[7] + s1 + choice + round_constant[i] + w[i];
    uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
    uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    memmove(v + 1, v, 7 * sizeof v[0]);
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (int i = 0; i < 8; i++)
    state[i] += v[i];
}

#if HAVE_INSTRUCTIONS
// Four rounds an instruction pair (Intel, "SHA Extensions", 2013): the state as words ABEF and CDGH, the
// last 16 words of the schedule as four vectors, of which each is replaced by the next when it is used.
typedef struct lane {
  __m128i abef, cdgh, before_abef, before_cdgh, w[4];
} lane;

#define SHA __attribute__((target("sha,sse4.1"), always_inline)) static inline

SHA void take_state(lane *l, const uint32_t state[8]) {
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xB1);
  __m128i efgh =
      _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1B);
  l->abef = _mm_alignr_epi8(abcd, efgh, 8);
  l->cdgh = _mm_blend_epi16(efgh, abcd, 0xF0);
}

SHA void give_state(const lane *l, uint32_t state[8]) {
  __m128i feba = _mm_shuffle_epi32(l->abef, 0x1B), dchg = _mm_shuffle_epi32(l->cdgh, 0xB1);
  _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

SHA void take_block(lane *l, const unsigned char *bytes) {
  const __m128i order = _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203);
  l->before_abef = l->abef;
  l->before_cdgh = l->cdgh;
  for (int i = 0; i < 4; i++)
    l->w[i] =
        _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i)), order);
}

SHA void four_rounds(lane *l, int i) {
  __m128i last = l->w[(i + 3) % 4];
  if (i >= 4)
    l->w[i % 4] =
        _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(l->w[i % 4], l->w[(i + 1) % 4]),
                                           _mm_alignr_epi8(last, l->w[(i + 2) % 4], 4)),
                             last);
  __m128i constants = _mm_loadu_si128((const __m128i *)(const void *)&round_constant[4 * i]);
  __m128i sum = _mm_add_epi32(l->w[i % 4], constants);
  l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, sum);
  l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

SHA void end_block(lane *l) {
  l->abef = _mm_add_epi32(l->abef, l->before_abef);
  l->cdgh = _mm_add_epi32(l->cdgh, l->before_cdgh);
}

__attribute__((target("sha,sse4.1"))) static void
compress_by_instructions(uint32_t state[8], const unsigned char *bytes, size_t blocks) {
  lane l;
  take_state(&l, state);
  for (; blocks; blocks--, bytes += 64) {
    take_block(&l, bytes);
    for (int i = 0; i < 16; i++)
      four_rounds(&l, i);
    end_block(&l);
  }
  give_state(&l, state);
}

// The rounds of one message wait for each other: those of another fill the gaps.
__attribute__((target("sha,sse4.1"))) static void
compress_two_by_instructions(uint32_t state_a[8], uint32_t state_b[8], const unsigned char *a,
                             const unsigned char *b, size_t blocks) {
  lane l, k;
  take_state(&l, state_a);
  take_state(&k, state_b);
  for (; blocks; blocks--, a += 64, b += 64) {
    take_block(&l, a);
    take_block(&k, b);
    for (int i = 0; i < 16; i++) {
      four_rounds(&l, i);
      four_rounds(&k, i);
    }
    end_block(&l);
    end_block(&k);
  }
  give_state(&l, state_a);
  give_state(&k, state_b);
}
#endif

static void compress(uint32_t state[8], const unsigned char *bytes, size_t blocks) {
#if HAVE_INSTRUCTIONS
  if (__builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1")) {
    compress_by_instructions(state, bytes, blocks);
    return;
  }
#endif
  for (; blocks; blocks--, bytes += 64)
    compress_block(state, bytes);
}

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void co_sha256_init(co_sha256 *hash) {
  memset(hash, 0, sizeof *hash);
  memcpy(hash->state, initial, sizeof initial);
}

void co_sha256_update(co_sha256 *hash, const void *bytes, size_t length) {
  const unsigned char *p = bytes;
  size_t used = hash->length % 64;
  hash->length += length;
  if (used) {
    size_t part = length < 64 - used ? length : 64 - used;
    memcpy(hash->block + used, p, part);
    p += part;
    length -= part;
    if (used + part < 64) return;
    compress(hash->state, hash->block, 1);
  }
  compress(hash->state, p, length / 64);
  p += length / 64 * 64;
  length %= 64;
  if (length) memcpy(hash->block, p, length);
}

// Appends the padding; the digest is then hash->state.
static void finish(co_sha256 *hash) {
  uint64_t bits = hash->length * 8;
  unsigned char tail[72] = {0x80};
  size_t zeros = (size_t)((119 - hash->length % 64) % 64);
  for (int i = 0; i < 8; i++)
    tail[1 + zeros + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
  co_sha256_update(hash, tail, 1 + zeros + 8);
}

void co_sha256_final(co_sha256 *hash, char hex[65]) {
  static const char digit[] = "0123456789abcdef";
  finish(hash);
  for (int i = 0; i < 64; i++)
    hex[i] = digit[hash->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
  hex[64] = '\0';
}

static uint64_t first_bytes(const uint32_t state[8]) {
  uint64_t out = 0; // byte i of the digest is the i-th most significant one of its word
  for (int i = 0; i < 8; i++)
    out |= (uint64_t)(state[i / 4] >> (24 - 8 * (i % 4)) & 0xFF) << (8 * i);
  return out;
}

static void put_seed(unsigned char out[8], uint64_t seed) {
  for (int i = 0; i < 8; i++)
    out[i] = (unsigned char)(seed >> (8 * i));
}

uint64_t co_hash64(uint64_t seed, const void *bytes, size_t length) {
  unsigned char prefix[8];
  put_seed(prefix, seed);
  co_sha256 hash;
  co_sha256_init(&hash);
  co_sha256_update(&hash, prefix, sizeof prefix);
  co_sha256_update(&hash, bytes, length);
  finish(&hash);
  return first_bytes(hash.state);
}

// ---- two messages at once ----------------------------------------------------------------------

enum { SHORT_BLOCKS = 4 };

// A short message with its padding.
typedef struct message {
  unsigned char bytes[64 * SHORT_BLOCKS];
  size_t blocks;
  uint32_t state[8];
} message;

static bool is_short(size_t length) {
  return length + 8 + 9 <= 64 * SHORT_BLOCKS;
}

static void lay_out(message *m, uint64_t seed, const unsigned char *bytes, size_t length) {
  size_t whole = length + 8;
  m->blocks = (whole + 9 + 63) / 64;
  put_seed(m->bytes, seed);
  memcpy(m->bytes + 8, bytes, length);
  memset(m->bytes + whole, 0, 64 * m->blocks - whole);
  m->bytes[whole] = 0x80;
  for (int i = 0; i < 8; i++)
    m->bytes[64 * m->blocks - 1 - (size_t)i] = (unsigned char)(8 * (uint64_t)whole >> (8 * i));
  memcpy(m->state, initial, sizeof initial);
}

static void compress_two(message *a, message *b) {
  size_t both = a->blocks < b->blocks ? a->blocks : b->blocks;
#if HAVE_INSTRUCTIONS
  if (__builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1"))
    compress_two_by_instructions(a->state, b->state, a->bytes, b->bytes, both);
  else
#endif
  {
    compress(a->state, a->bytes, both);
    compress(b->state, b->bytes, both);
  }
  compress(a->state, a->bytes + 64 * both, a->blocks - both);
  compress(b->state, b->bytes + 64 * both, b->blocks - both);
}

void co_hash64_each(uint64_t seed, const void *bytes, const size_t *end, int64_t count,
                    uint64_t *hash) {
  message m[2];
  int64_t at[2];
  int waiting = 0;
  for (int64_t i = 0; i < count; i++) {
    size_t begin = i ? end[i - 1] : 0, length = end[i] - begin;
    const unsigned char *from = (const unsigned char *)bytes + begin;
    if (!is_short(length)) {
      hash[i] = co_hash64(seed, from, length);
      continue;
    }
    lay_out(&m[waiting], seed, from, length);
    at[waiting++] = i;
    if (waiting < 2) continue;
    compress_two(&m[0], &m[1]);
    for (waiting = 2; waiting; waiting--)
      hash[at[waiting - 1]] = first_bytes(m[waiting - 1].state);
  }
  if (!waiting) return;
  compress(m[0].state, m[0].bytes, m[0].blocks);
  hash[at[0]] = first_bytes(m[0].state);
}
