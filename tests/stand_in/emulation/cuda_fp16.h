// __half: 1 sign, 5 exponent, 10 fraction bits. Rounds to nearest, ties to even, as the GPU does.
#pragma once
#include "half_operators.hpp"

namespace emulation {
inline unsigned short to_half(double x) {
    unsigned long long bits = same_bits<unsigned long long>(x);
    unsigned short sign = bits >> 48 & 0x8000;
    double size = fabs(x);
    if (size != size) return 0x7fff;
    if (size >= 65520) return sign | 0x7c00;
    // The spacing of half numbers near x: 2^-24 among the subnormal ones, else 2^(exponent - 10).
    int exponent = int(bits >> 52 & 0x7ff) - 1023;
    double spacing = ldexp(1.0, (exponent < -14 ? -14 : exponent) - 10), rounded = nearbyint(size / spacing) * spacing;
    if (rounded < 0x1p-14) return sign | (unsigned short)(rounded * 0x1p24);
    bits = same_bits<unsigned long long>(rounded);
    return sign | (unsigned short)((bits >> 42) - ((1023ull - 15) << 10));
}
inline float from_half(unsigned short h) {
    int exponent = h >> 10 & 31;
    float fraction = h & 0x3ff, size;
    if (exponent == 31) size = fraction ? NAN : INFINITY;
    else size = exponent ? ldexpf(1024 + fraction, exponent - 25) : ldexpf(fraction, -24);
    return h & 0x8000 ? -size : size;
}
}  // namespace emulation

struct __half {
    unsigned short bits;
    __half() = default;
    __half(float x) : bits(emulation::to_half(x)) {}
    __half(double x) : bits(emulation::to_half(x)) {}
    __half(int x) : bits(emulation::to_half(x)) {}
    __half(unsigned x) : bits(emulation::to_half(x)) {}
    __half(long long x) : bits(emulation::to_half(double(x))) {}
    operator float() const { return emulation::from_half(bits); }
};
using half = __half;
OPERATORS(__half)
PAIRS(__half, __half2)
using half2 = __half2;

inline __half __float2half(float x) { return x; }
inline __half __float2half_rn(float x) { return x; }
inline __half __double2half(double x) { return x; }
inline float __half2float(__half x) { return x; }
inline __half __int2half_rn(int x) { return x; }
inline __half __ushort_as_half(unsigned short x) { __half y; y.bits = x; return y; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 make_half2(__half x, __half y) { return {x, y}; }
inline __half2 __half2half2(__half x) { return {x, x}; }
inline __half2 __float2half2_rn(float x) { return {__half(x), __half(x)}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline __half2 __float22half2_rn(float2 x) { return {__half(x.x), __half(x.y)}; }
inline float2 __half22float2(__half2 x) { return {float(x.x), float(x.y)}; }
inline __half __low2half(__half2 x) { return x.x; }
inline __half __high2half(__half2 x) { return x.y; }
inline float __low2float(__half2 x) { return x.x; }
inline float __high2float(__half2 x) { return x.y; }
