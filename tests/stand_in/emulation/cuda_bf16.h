// __nv_bfloat16: the upper half of a float32. Rounds to nearest, ties to even, as the GPU does.
#pragma once
#include "half_operators.hpp"

namespace emulation {
inline unsigned short to_bfloat16(float x) {
    unsigned bits = same_bits<unsigned>(x);
    return x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
// From double by way of a float that is rounded to odd, so that nothing is rounded twice.
inline unsigned short to_bfloat16(double x) {
    float near = float(x);
    unsigned bits = same_bits<unsigned>(near);
    if (x != x || double(near) == x || isinf(near)) return to_bfloat16(near);
    if (fabs(double(near)) > fabs(x)) bits--;
    return to_bfloat16(same_bits<float>(bits | 1));
}
}  // namespace emulation

struct __nv_bfloat16 {
    unsigned short bits;
    __nv_bfloat16() = default;
    __nv_bfloat16(float x) : bits(emulation::to_bfloat16(x)) {}
    __nv_bfloat16(double x) : bits(emulation::to_bfloat16(x)) {}
    __nv_bfloat16(int x) : bits(emulation::to_bfloat16(double(x))) {}
    __nv_bfloat16(unsigned x) : bits(emulation::to_bfloat16(double(x))) {}
    __nv_bfloat16(long long x) : bits(emulation::to_bfloat16(float(x))) {}
    operator float() const { return emulation::same_bits<float>(unsigned(bits) << 16); }
};
using nv_bfloat16 = __nv_bfloat16;
OPERATORS(__nv_bfloat16)
PAIRS(__nv_bfloat16, __nv_bfloat162)
using nv_bfloat162 = __nv_bfloat162;

inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline __nv_bfloat16 __double2bfloat16(double x) { return x; }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) { __nv_bfloat16 y; y.bits = x; return y; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline __nv_bfloat162 make_bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) { return {x, x}; }
inline __nv_bfloat162 __float2bfloat162_rn(float x) { return {__nv_bfloat16(x), __nv_bfloat16(x)}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 x) { return {__nv_bfloat16(x.x), __nv_bfloat16(x.y)}; }
inline float2 __bfloat1622float2(__nv_bfloat162 x) { return {float(x.x), float(x.y)}; }
inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 x) { return x.x; }
inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 x) { return x.y; }
inline float __low2float(__nv_bfloat162 x) { return x.x; }
inline float __high2float(__nv_bfloat162 x) { return x.y; }
