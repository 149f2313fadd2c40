// What CUDA has beside C++: words, vector types, warp and block functions, arithmetic.
#pragma once
#include <math.h>
#include <assert.h>
#include <stdint.h>
#include "fibers.hpp"
#ifdef EMULATION_CHECKED
#include "checks.hpp"
#define ATOMIC_ACCESS(p, n) emulation::touched(p, n, true, (const char*)__builtin_return_address(0), true)
#else
#define ATOMIC_ACCESS(p, n)
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

constexpr int warpSize = 32;
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// ---- vectors: float4 and make_float4, for every element type

#define VECTORS(T, N)                                                                             \
    struct __align__(2 * sizeof(T)) N##2 { T x, y; };                                             \
    struct N##3 { T x, y, z; };                                                                   \
    struct __align__(sizeof(T) > 4 ? 16 : 4 * sizeof(T)) N##4 { T x, y, z, w; };                  \
    inline N##2 make_##N##2(T x, T y) { return {x, y}; }                                          \
    inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }                                  \
    inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTORS(float, float) VECTORS(double, double) VECTORS(int, int) VECTORS(short, short) VECTORS(signed char, char)
VECTORS(unsigned char, uchar) VECTORS(unsigned short, ushort) VECTORS(long long, longlong)
VECTORS(unsigned long long, ulonglong)
struct __align__(8) uint2 { unsigned x, y; };
struct __align__(16) uint4 { unsigned x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// ---- a block

inline void __syncthreads(int line = __builtin_LINE()) { emulation::barrier("__syncthreads", line, false); }
inline int __syncthreads_count(int yes, int line = __builtin_LINE()) {
    emulation::barrier("__syncthreads_count", line, yes);
    return emulation::barrier_count;
}
inline int __syncthreads_or(int yes, int line = __builtin_LINE()) {
    emulation::barrier("__syncthreads_or", line, yes);
    return emulation::barrier_count > 0;
}
inline int __syncthreads_and(int yes, int line = __builtin_LINE()) {
    emulation::barrier("__syncthreads_and", line, yes);
    return emulation::barrier_count == emulation::count;
}
inline void __threadfence() { emulation::machine.fenced = true; }
inline void __threadfence_block() {}
inline void __threadfence_system() {}
[[noreturn]] inline void __trap() { emulation::fail("__trap"); }

// ---- a warp

inline void __syncwarp(unsigned mask = 0xffffffff, int line = __builtin_LINE()) { emulation::gather("__syncwarp", line, mask, 0); }
inline unsigned __activemask() { return emulation::live(emulation::me->number / 32); }

namespace emulation {
// The lane whose value is taken; one outside the segment of `width` lanes gives the own value.
template <typename T> T shuffle(const char* what, int line, unsigned mask, T mine, int from, int width) {
    int lane = me->number % LANES, first = lane / width * width;
    Gathered all = gather(what, line, mask, mine);
    return all.template from<T>(from < first || from >= first + width ? lane : from);
}
inline int lane() { return me->number % LANES; }
inline unsigned ballot(const char* what, int line, unsigned mask, int yes) {
    Gathered all = gather(what, line, mask, yes);
    unsigned bits = 0;
    for (int lane = 0; lane < LANES; lane++)
        if ((all.present() >> lane & 1) && all.from<int>(lane)) bits |= 1u << lane;
    return bits;
}
}  // namespace emulation

#define SHUFFLE(name, number, place)                                                                             \
    template <typename T> T name(unsigned mask, T x, number by, int width = 32, int line = __builtin_LINE()) {   \
        int lane = emulation::lane();                                                                            \
        return emulation::shuffle(#name, line, mask, x, place, width);                                           \
    }
SHUFFLE(__shfl_sync, int, lane / width * width + (by & (width - 1)))
SHUFFLE(__shfl_xor_sync, int, lane ^ by)
SHUFFLE(__shfl_up_sync, unsigned, lane - int(by))
SHUFFLE(__shfl_down_sync, unsigned, lane + int(by))

inline unsigned __ballot_sync(unsigned mask, int yes, int line = __builtin_LINE()) { return emulation::ballot("__ballot_sync", line, mask, yes); }
inline int __any_sync(unsigned mask, int yes, int line = __builtin_LINE()) { return emulation::ballot("__any_sync", line, mask, yes) != 0; }
inline int __all_sync(unsigned mask, int yes, int line = __builtin_LINE()) { return emulation::ballot("__all_sync", line, mask, !yes) == 0; }

// ---- memory

template <typename T> T __ldg(const T* p) { return *p; }
template <typename T> T __ldcs(const T* p) { return *p; }
template <typename T> T __ldcg(const T* p) { return *p; }
template <typename T> T __ldca(const T* p) { return *p; }
template <typename T> void __stcs(T* p, T x) { *p = x; }
template <typename T> void __stcg(T* p, T x) { *p = x; }
template <typename T> void __stwt(T* p, T x) { *p = x; }

// Whole numbers only: an atomic sum of floats has another result at every run, and no kernel may use one.
#define ATOMIC_OP(name, T, result) \
    UNCHECKED inline T name(T* p, T x) { ATOMIC_ACCESS(p, sizeof *p); T former = *p; *p = result; return former; }
#define ATOMIC(T)                                                                                                 \
    ATOMIC_OP(atomicAdd, T, former + x) ATOMIC_OP(atomicSub, T, former - x) ATOMIC_OP(atomicExch, T, x)             \
    ATOMIC_OP(atomicMax, T, former > x ? former : x) ATOMIC_OP(atomicMin, T, former < x ? former : x)               \
    ATOMIC_OP(atomicOr, T, former | x) ATOMIC_OP(atomicAnd, T, former & x) ATOMIC_OP(atomicXor, T, former ^ x)       \
    UNCHECKED inline T atomicCAS(T* p, T was, T x) {                                                               \
        ATOMIC_ACCESS(p, sizeof *p);                                                                               \
        T former = *p;                                                                                             \
        if (former == was) *p = x;                                                                                 \
        return former;                                                                                             \
    }
ATOMIC(int) ATOMIC(unsigned) ATOMIC(unsigned long long)
void atomicAdd(float*, float) = delete;
void atomicAdd(double*, double) = delete;

// ---- arithmetic

#define LARGER(T)                                             \
    inline T max(T a, T b) { return a > b ? a : b; }          \
    inline T min(T a, T b) { return a < b ? a : b; }
LARGER(int) LARGER(unsigned) LARGER(long) LARGER(unsigned long) LARGER(long long) LARGER(unsigned long long)
inline float max(float a, float b) { return fmaxf(a, b); }
inline float min(float a, float b) { return fminf(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline unsigned max(int a, unsigned b) { return max(unsigned(a), b); }
inline unsigned max(unsigned a, int b) { return max(a, unsigned(b)); }
inline unsigned min(int a, unsigned b) { return min(unsigned(a), b); }
inline unsigned min(unsigned a, int b) { return min(a, unsigned(b)); }
inline double max(float a, double b) { return fmax(a, b); }
inline double max(double a, float b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin(a, b); }
inline double min(double a, float b) { return fmin(a, b); }

inline float rsqrtf(float x) { return float(1 / sqrt(double(x))); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __exp2f(float x) { return exp2f(x); }
inline float __exp10f(float x) { return powf(10, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678118654752f); }
inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; i++) y = y << 1 | (x >> i & 1);
    return y;
}
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned long long)x * y >> 32; }
inline int __mulhi(int x, int y) { return (long long)x * y >> 32; }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) { return (unsigned __int128)x * y >> 64; }
inline long long __mul64hi(long long x, long long y) { return (__int128)x * y >> 64; }
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) { return ((unsigned long long)high << 32 | low) << (by & 31) >> 32; }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) { return ((unsigned long long)high << 32 | low) >> (by & 31); }

namespace emulation {
template <typename To, typename From> To same_bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To y;
    memcpy(&y, &x, sizeof y);
    return y;
}
// Conversions to whole numbers saturate on a GPU, and NaN becomes 0.
template <typename To> To whole(double x) {
    constexpr bool has_sign = To(-1) < To(0);
    constexpr To least = has_sign ? To(1) << (sizeof(To) * 8 - 1) : 0, most = ~least;
    return x != x ? To(0) : x <= double(least) ? least : x >= double(most) ? most : To(x);
}
}  // namespace emulation
inline int __float_as_int(float x) { return emulation::same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emulation::same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return emulation::same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emulation::same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulation::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulation::same_bits<double>(x); }
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }
inline float __ll2float_rn(long long x) { return float(x); }
inline float __ull2float_rn(unsigned long long x) { return float(x); }
inline float __double2float_rn(double x) { return float(x); }
inline int __float2int_rn(float x) { return emulation::whole<int>(nearbyintf(x)); }
inline int __float2int_rd(float x) { return emulation::whole<int>(floorf(x)); }
inline int __float2int_ru(float x) { return emulation::whole<int>(ceilf(x)); }
inline int __float2int_rz(float x) { return emulation::whole<int>(truncf(x)); }
inline unsigned __float2uint_rn(float x) { return emulation::whole<unsigned>(nearbyintf(x)); }
inline unsigned __float2uint_rz(float x) { return emulation::whole<unsigned>(truncf(x)); }
inline long long __float2ll_rz(float x) { return emulation::whole<long long>(truncf(x)); }
