// SPDX-License-Identifier: Apache-2.0
//
// Atomics, memory access hints, integer and floating-point intrinsics. Part of emu.h. Add here what
// a new kernel needs; what is missing is a compile error.
#ifndef COHORT_TESTS_CUDASIM_INTRINSICS_H
#define COHORT_TESTS_CUDASIM_INTRINSICS_H

// ---- atomics

namespace emu {

// The value of an atomic takes its type from the pointer, as CUDA's overloads do.
template <typename T> struct Identity { using type = T; };
template <typename T> using Same = typename Identity<T>::type;

template <typename T, typename... List>
constexpr bool is_one_of = (std::is_same<T, List>::value || ...);
template <typename T>
constexpr bool is_atomic_integer = is_one_of<T, int, unsigned, unsigned long long>;

// The emulator's own records are no business of the sanitizer.
__attribute__((no_sanitize("thread"))) inline void note_atomic(const void *address) {
  thread->last_atomic = address;
}

// CUDA's atomics are relaxed. They order other memory only together with __threadfence, so they are
// acquire-release here in a thread that has fenced, and the thread sanitizer judges accordingly.
template <typename T, typename Change> T atomic_update(T *address, Change change) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t,
                                  std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
  static_assert(sizeof(T) == sizeof(Bits), "atomics work on 2, 4 or 8 bytes");
  note_atomic(address);
  Bits *target = reinterpret_cast<Bits *>(address);
  Bits seen = __atomic_load_n(target, __ATOMIC_RELAXED);
  for (;;) {
    T before;
    memcpy(static_cast<void *>(&before), &seen, sizeof before);
    T after = change(before);
    Bits wanted;
    memcpy(&wanted, &after, sizeof wanted);
    bool done = thread->fenced ? __atomic_compare_exchange_n(target, &seen, wanted, false,
                                                             __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
                               : __atomic_compare_exchange_n(target, &seen, wanted, false,
                                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    if (done) return before;
  }
}

} // namespace emu

template <typename T> T atomicAdd(T *address, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T> ||
                    emu::is_one_of<T, float, double, __half, __nv_bfloat16>,
                "CUDA has no atomicAdd for this type");
  return emu::atomic_update(address, [value](T old) { return static_cast<T>(old + value); });
}
template <typename T> T atomicSub(T *address, emu::Same<T> value) {
  static_assert(emu::is_one_of<T, int, unsigned>, "CUDA has no atomicSub for this type");
  return emu::atomic_update(address, [value](T old) { return static_cast<T>(old - value); });
}
template <typename T> T atomicMax(T *address, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T> || std::is_same<T, long long>::value,
                "CUDA has no atomicMax for this type");
  return emu::atomic_update(address, [value](T old) { return old > value ? old : value; });
}
template <typename T> T atomicMin(T *address, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T> || std::is_same<T, long long>::value,
                "CUDA has no atomicMin for this type");
  return emu::atomic_update(address, [value](T old) { return old < value ? old : value; });
}
template <typename T> T atomicExch(T *address, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T> || std::is_same<T, float>::value,
                "CUDA has no atomicExch for this type");
  return emu::atomic_update(address, [value](T) { return value; });
}
template <typename T> T atomicCAS(T *address, emu::Same<T> expected, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T> || std::is_same<T, unsigned short>::value,
                "CUDA has no atomicCAS for this type");
  return emu::atomic_update(address, [=](T old) { return old == expected ? value : old; });
}
template <typename T> T atomicOr(T *address, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T>, "CUDA has no atomicOr for this type");
  return emu::atomic_update(address, [value](T old) { return old | value; });
}
template <typename T> T atomicAnd(T *address, emu::Same<T> value) {
  static_assert(emu::is_atomic_integer<T>, "CUDA has no atomicAnd for this type");
  return emu::atomic_update(address, [value](T old) { return old & value; });
}
inline unsigned atomicInc(unsigned *address, unsigned limit) {
  return emu::atomic_update(address, [limit](unsigned old) { return old >= limit ? 0 : old + 1; });
}
inline unsigned atomicDec(unsigned *address, unsigned limit) {
  return emu::atomic_update(
      address, [limit](unsigned old) { return old == 0 || old > limit ? limit : old - 1; });
}

// ---- loads and stores with a cache hint

template <typename T> T __ldg(const T *address) {
  return *address;
}
template <typename T> T __ldca(const T *address) {
  return *address;
}
template <typename T> T __ldcg(const T *address) {
  return *address;
}
template <typename T> T __ldcs(const T *address) {
  return *address;
}
template <typename T> void __stcg(T *address, emu::Same<T> value) {
  *address = value;
}
template <typename T> void __stcs(T *address, emu::Same<T> value) {
  *address = value;
}

// ---- integers and bits

inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}
inline int __mulhi(int a, int b) {
  return static_cast<int>((static_cast<int64_t>(a) * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __ffsll(long long x) {
  return __builtin_ffsll(x);
}
inline int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; i++)
    reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}
// CUDA's overloads take two integers or two floating-point numbers; a mixed call is ambiguous to
// nvcc.
template <typename A, typename B> constexpr std::common_type_t<A, B> min(A a, B b) {
  static_assert(std::is_integral<A>::value == std::is_integral<B>::value, "ambiguous for nvcc");
  std::common_type_t<A, B> x = a, y = b;
  return y < x ? y : x;
}
template <typename A, typename B> constexpr std::common_type_t<A, B> max(A a, B b) {
  static_assert(std::is_integral<A>::value == std::is_integral<B>::value, "ambiguous for nvcc");
  std::common_type_t<A, B> x = a, y = b;
  return x < y ? y : x;
}

// ---- reinterpreting bits

namespace emu {
template <typename To, typename From> To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "sizes must agree");
  To to;
  memcpy(static_cast<void *>(&to), &from, sizeof to);
  return to;
}
} // namespace emu

inline int __float_as_int(float x) {
  return emu::bit_cast<int>(x);
}
inline unsigned __float_as_uint(float x) {
  return emu::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
  return emu::bit_cast<float>(x);
}
inline float __uint_as_float(unsigned x) {
  return emu::bit_cast<float>(x);
}
inline long long __double_as_longlong(double x) {
  return emu::bit_cast<long long>(x);
}
inline double __longlong_as_double(long long x) {
  return emu::bit_cast<double>(x);
}

// ---- floating point; approximations of the device are exact here

// Macros, because glibc declares functions of these names.
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)

inline float rsqrtf(float x) {
  return 1.0f / sqrtf(x);
}
inline double rsqrt(double x) {
  return 1.0 / sqrt(x);
}
inline float __frsqrt_rn(float x) {
  return 1.0f / sqrtf(x);
}
inline float __fsqrt_rn(float x) {
  return sqrtf(x);
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fdividef(float x, float y) {
  return x / y;
}
inline float __fdiv_rn(float x, float y) {
  return x / y;
}
// The _rn forms keep nvcc from contracting; the emulator is compiled with -ffp-contract=off.
inline float __fadd_rn(float x, float y) {
  return x + y;
}
inline float __fsub_rn(float x, float y) {
  return x - y;
}
inline float __fmul_rn(float x, float y) {
  return x * y;
}
inline float __fmaf_rn(float x, float y, float z) {
  return fmaf(x, y, z);
}
inline double __dadd_rn(double x, double y) {
  return x + y;
}
inline double __dmul_rn(double x, double y) {
  return x * y;
}
inline float __saturatef(float x) {
  return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; // a NaN becomes 0, as on the device
}
inline int __float2int_rn(float x) {
  return static_cast<int>(rintf(x));
}
inline int __float2int_rz(float x) {
  return static_cast<int>(x);
}
inline unsigned __float2uint_rn(float x) {
  return static_cast<unsigned>(rintf(x));
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
  return static_cast<float>(x);
}

#endif
