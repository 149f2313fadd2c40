// Arithmetic of a 16-bit float type: computed in float32 and rounded, which for + - * / is the same as exact.
#pragma once

#define OPERATORS(T)                                                                                  \
    inline T operator+(T a, T b) { return T(float(a) + float(b)); }                                   \
    inline T operator-(T a, T b) { return T(float(a) - float(b)); }                                   \
    inline T operator*(T a, T b) { return T(float(a) * float(b)); }                                   \
    inline T operator/(T a, T b) { return T(float(a) / float(b)); }                                   \
    inline T operator-(T a) { T y = a; y.bits ^= 0x8000; return y; }                                  \
    inline T operator+(T a) { return a; }                                                             \
    inline T& operator+=(T& a, T b) { return a = a + b; }                                             \
    inline T& operator-=(T& a, T b) { return a = a - b; }                                             \
    inline T& operator*=(T& a, T b) { return a = a * b; }                                             \
    inline T& operator/=(T& a, T b) { return a = a / b; }                                             \
    inline bool operator==(T a, T b) { return float(a) == float(b); }                                 \
    inline bool operator!=(T a, T b) { return float(a) != float(b); }                                 \
    inline bool operator<(T a, T b) { return float(a) < float(b); }                                   \
    inline bool operator>(T a, T b) { return float(a) > float(b); }                                   \
    inline bool operator<=(T a, T b) { return float(a) <= float(b); }                                 \
    inline bool operator>=(T a, T b) { return float(a) >= float(b); }                                 \
    inline T __hadd(T a, T b) { return a + b; }                                                       \
    inline T __hsub(T a, T b) { return a - b; }                                                       \
    inline T __hmul(T a, T b) { return a * b; }                                                       \
    inline T __hdiv(T a, T b) { return a / b; }                                                       \
    inline T __hneg(T a) { return -a; }                                                               \
    inline T __habs(T a) { a.bits &= 0x7fff; return a; }                                              \
    inline T __hfma(T a, T b, T c) { return T(double(float(a)) * float(b) + float(c)); }              \
    inline bool __hisnan(T a) { return a != a; }                                                      \
    inline bool __heq(T a, T b) { return a == b; }                                                    \
    inline bool __hlt(T a, T b) { return a < b; }                                                     \
    inline bool __hgt(T a, T b) { return a > b; }                                                     \
    inline T __hmax(T a, T b) { return T(fmaxf(a, b)); }                                              \
    inline T __hmin(T a, T b) { return T(fminf(a, b)); }                                              \
    inline T hexp(T a) { return T(expf(a)); }                                                         \
    inline T hlog(T a) { return T(logf(a)); }                                                         \
    inline T hsqrt(T a) { return T(sqrtf(a)); }                                                       \
    inline T hrsqrt(T a) { return T(rsqrtf(a)); }

// The pair type: two numbers, side by side, in 32 bits.
#define PAIRS(T, P)                                                                                   \
    struct __align__(4) P {                                                                           \
        T x, y;                                                                                       \
        P() = default;                                                                                \
        constexpr P(T x, T y) : x(x), y(y) {}                                                         \
    };                                                                                                \
    inline P operator+(P a, P b) { return {a.x + b.x, a.y + b.y}; }                                   \
    inline P operator-(P a, P b) { return {a.x - b.x, a.y - b.y}; }                                   \
    inline P operator*(P a, P b) { return {a.x * b.x, a.y * b.y}; }                                   \
    inline P operator/(P a, P b) { return {a.x / b.x, a.y / b.y}; }                                   \
    inline P __hadd2(P a, P b) { return a + b; }                                                      \
    inline P __hsub2(P a, P b) { return a - b; }                                                      \
    inline P __hmul2(P a, P b) { return a * b; }                                                      \
    inline P __hfma2(P a, P b, P c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }        \
    inline P __hmax2(P a, P b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }
