// Where a convolution's numbers lie, in any of its directions, and how to find them without division.
//
// A convolution is a product of matrices: rows (filters) times columns (output places x batch), summed over a
// depth (channels x taps of the kernel). An element of x belongs to a column and a depth: its address is a sum
// of two parts, one for each, and so is its place on each axis, which tells whether it lies inside the borders.
#include "common.cuh"

// Division by a number known only at run time, as a multiplication (Granlund and Montgomery 1994):
// shift = ceil(log2 by), magic = floor(2^32 (2^shift - by) / by) + 1. Exact for 0 <= n < 2^31.
struct Divisor { unsigned by, magic; int shift; };

// n % d; n becomes n / d.
__device__ inline int last(int& n, const Divisor& d) {
    unsigned whole = (__umulhi(n, d.magic) + n) >> d.shift;
    int rest = n - static_cast<int>(whole * d.by);
    n = whole;
    return rest;
}

// How one axis of a result meets its source. Result q (of `places`) lies at first + q apart, and its tap j (of
// `taps`) meets the source at q step + shift + j reach, with the weight at tap + j skip.
struct Reach { int length, places, step, shift, reach, first, apart, taps, tap, skip; };

// One part of an address, with its part of the place on each axis.
struct Spot { long long at; int z, y, x; };
constexpr int NOWHERE = -(1 << 30);  // a z that lies outside whatever is added

// Passed by value: such arguments cost no registers. conv.py fills it in.
struct Field {
    long long volume, result_volume;  // numbers to a channel of the source, and of the result
    Reach z, y, x;
    Divisor tap_x, tap_y, tap_z, image, place_x, place_y;  // by x.taps, ..., by batch, by x.places, ...
    int batch, rows, columns, others, depth, groups;       // others: channels summed; depth: others x taps
    int height, width;                                     // of the result
    int kernel_y, kernel_x, row_step, other_step, group_step;  // of the weights, and how far apart rows, others lie

    __device__ long long offset(int at_z, int at_y, int at_x) const {
        return ((1ll * at_z * y.length + at_y) * x.length + at_x) * batch;
    }

    // Column i counts (place, image), the image last.
    __device__ Spot column(int i) const {
        int n = last(i, image), at_x = last(i, place_x), at_y = last(i, place_y);
        at_x = at_x * x.step + x.shift, at_y = at_y * y.step + y.shift, i = i * z.step + z.shift;
        return {offset(i, at_y, at_x) + n, i, at_y, at_x};
    }

    // Depth k counts (channel, tap), the tap last.
    __device__ Spot tap(int k) const {
        int at_x = last(k, tap_x) * x.reach, at_y = last(k, tap_y) * y.reach, at_z = last(k, tap_z) * z.reach;
        return {k * volume + offset(at_z, at_y, at_x), at_z, at_y, at_x};
    }

    // And the weight of depth k in row 0.
    __device__ int weight(int k) const {
        int at_x = x.tap + last(k, tap_x) * x.skip, at_y = y.tap + last(k, tap_y) * y.skip, at_z = z.tap + last(k, tap_z) * z.skip;
        return k * other_step + (at_z * kernel_y + at_y) * kernel_x + at_x;
    }

    // Where column i lies in a row of the result.
    __device__ long long target(int i) const {
        int n = last(i, image), at_x = last(i, place_x), at_y = last(i, place_y);
        at_x = x.first + at_x * x.apart, at_y = y.first + at_y * y.apart, i = z.first + i * z.apart;
        return ((1ll * i * height + at_y) * width + at_x) * batch + n;
    }

    __device__ bool inside(const Spot& a, const Spot& b) const {
        return static_cast<unsigned>(a.z + b.z) < static_cast<unsigned>(z.length) &&
               static_cast<unsigned>(a.y + b.y) < static_cast<unsigned>(y.length) &&
               static_cast<unsigned>(a.x + b.x) < static_cast<unsigned>(x.length);
    }

    // V neighbouring images of x where the two parts meet; zeros on the border.
    template <int V, typename T> __device__ Pack<T, V> read(const T* x, const Spot& a, const Spot& b) const {
        if (inside(a, b)) return *reinterpret_cast<const Pack<T, V>*>(x + a.at + b.at);
        return zeros<V, T>();
    }
    template <int V, typename T> __device__ static Pack<T, V> zeros() {
        Pack<T, V> none;
#pragma unroll
        for (int v = 0; v < V; v++) none.at[v] = narrow<T>(0);
        return none;
    }
};
