// Where a convolution's numbers lie, in any of its three directions, and how to find them without division.
//
// A convolution is written as a product: rows (filters) times columns (output places x batch), summed over a
// depth (channels x taps of the kernel). An element of x belongs to a column and a depth: its address is a sum
// of two parts, one for each, and so is the test whether it lies inside the borders.
#include "common.cuh"

// One spatial axis: lengths of x and y, and y's place p meets x's place p stride + tap dilation - before.
struct Axis { int x, y, kernel, stride, before, dilation; };
struct Geometry { Axis axes[3]; int batch, channels, filters, groups; };

// Division by a number known only at run time, as a multiplication (Granlund and Montgomery 1994).
// Exact for 0 <= n < 2^31.
struct Divisor {
    unsigned by, magic;
    int shift;
    __device__ explicit Divisor(int d) : by(d), shift(d > 1 ? 32 - __clz(d - 1) : 0) {
        magic = static_cast<unsigned>(((1ull << 32) * ((1ull << shift) - by)) / by + 1);
    }
};

// n % by; n becomes n / by.
__device__ inline int last(int& n, int by) {
    int whole = n / by, rest = n - whole * by;
    n = whole;
    return rest;
}
__device__ inline int last(int& n, const Divisor& by) {
    unsigned whole = (__umulhi(n, by.magic) + n) >> by.shift;
    int rest = n - static_cast<int>(whole * by.by);
    n = whole;
    return rest;
}

// How one axis of a result meets its source. Result q (of `places`) lies at first + q apart, and its tap j (of
// `taps`) meets the source at q step + shift + j reach, with the weight at tap + j skip.
struct Reach { int length, places, step, shift, reach, first, apart, taps, tap, skip; };

__device__ inline Reach forward(const Axis& a) {
    return {a.x, a.y, a.stride, -a.before, a.dilation, 0, 1, a.kernel, 0, 1};
}

// The gradient in x gathers too. Places of x fall into classes by their remainder at the stride; those of one
// class meet the same taps, every skip-th, and neighbours in y: no zero is ever multiplied.
__device__ inline Reach backward(const Axis& a, int remainder) {
    int common = a.stride, rest = a.dilation;
    while (rest) {
        int next = common % rest;
        common = rest;
        rest = next;
    }
    int skip = a.stride / common, most = min(skip, a.kernel), tap = 0;
    while (tap < most && (remainder + a.before - tap * a.dilation) % a.stride) tap++;
    return {a.y, static_cast<int>(ceil_div(a.x - remainder, a.stride)), 1, (remainder + a.before - tap * a.dilation) / a.stride,
            -(a.dilation / common), remainder, a.stride, tap < most ? static_cast<int>(ceil_div(a.kernel - tap, skip)) : 0, tap, skip};
}

// One part of an address, with its part of the place on each axis.
struct Spot { long long at; int z, y, x; };
constexpr int NOWHERE = -(1 << 30);  // a z that lies outside whatever is added

struct Field {
    Reach z, y, x;
    int batch;

    __device__ int places() const { return z.places * y.places * x.places; }
    __device__ int taps() const { return z.taps * y.taps * x.taps; }
    __device__ long long volume() const { return 1ll * z.length * y.length * x.length * batch; }

    __device__ long long offset(int at_z, int at_y, int at_x) const {
        return ((1ll * at_z * y.length + at_y) * x.length + at_x) * batch;
    }

    // Column i counts (place, image) with the image last; `by`: batch, x.places, y.places, or their Divisors.
    template <class N> __device__ Spot column(int i, const N (&by)[3]) const {
        int n = last(i, by[0]), at_x = last(i, by[1]), at_y = last(i, by[2]);
        at_x = at_x * x.step + x.shift, at_y = at_y * y.step + y.shift, i = i * z.step + z.shift;
        return {offset(i, at_y, at_x) + n, i, at_y, at_x};
    }

    // Depth k counts (channel, tap) with the tap last; `by`: x.taps, y.taps, z.taps, or their Divisors.
    template <class N> __device__ Spot depth(int k, const N (&by)[3]) const {
        int at_x = last(k, by[0]) * x.reach, at_y = last(k, by[1]) * y.reach, at_z = last(k, by[2]) * z.reach;
        return {k * volume() + offset(at_z, at_y, at_x), at_z, at_y, at_x};
    }

    __device__ bool inside(const Spot& a, const Spot& b) const {
        return static_cast<unsigned>(a.z + b.z) < static_cast<unsigned>(z.length) &&
               static_cast<unsigned>(a.y + b.y) < static_cast<unsigned>(y.length) &&
               static_cast<unsigned>(a.x + b.x) < static_cast<unsigned>(x.length);
    }
};
