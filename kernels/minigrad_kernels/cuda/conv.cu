// Convolution in one to three dimensions as one product of matrices whose columns are never stored.
//
// Memory is batch last: x (C, D, H, W, N), y (O, D, H, W, N), w (O, C / groups, taps). Neighbouring columns are
// neighbouring images, so a warp reads runs of memory whatever the kernel, stride and dilation.
// conv_gather is the forward and the gradient in x (both gather), conv_weights the gradient in w, whose depth is
// all places of all images: it is cut into shares, summed in a fixed order afterwards. No atomics: same bits always.
#include "conv_geometry.cuh"
#include "conv_tile.cuh"

// w as rows of the product: filters by (channel, tap) forward, channels by (filter, tap) backward.
template <typename T> struct Weights {
    using Line = int;
    const T* w;
    const Field& field;
    const Axis (&axes)[3];
    int rows, depth, row_step, channel_step;
    Divisor by[3];

    __device__ int line(int i) const { return i < rows ? i * row_step : -1; }
    __device__ int step(int k) const {
        if (k >= depth) return -1;
        int x = field.x.tap + last(k, by[0]) * field.x.skip;
        int y = field.y.tap + last(k, by[1]) * field.y.skip;
        int z = field.z.tap + last(k, by[2]) * field.z.skip;
        return k * channel_step + (z * axes[1].kernel + y) * axes[2].kernel + x;
    }
    __device__ void read(int line, int step, Pack<T, 1>& to) const {
        to.at[0] = line >= 0 && step >= 0 ? w[line + step] : narrow<T>(0);
    }
};

// x (or gy) as columns of the product: places by depth.
template <typename T> struct Windows {
    using Line = Spot;
    const T* x;
    const Field& field;
    int columns, depth;
    Divisor by[3];

    __device__ Spot line(int i) const {
        const int plain[3] = {field.batch, field.x.places, field.y.places};
        return i < columns ? field.column(i, plain) : Spot{0, NOWHERE, 0, 0};
    }
    __device__ Spot step(int k) const { return k < depth ? field.depth(k, by) : Spot{0, NOWHERE, 0, 0}; }
    template <int V> __device__ void read(const Spot& line, const Spot& step, Pack<T, V>& to) const {
        if (field.inside(line, step)) {
            to = *reinterpret_cast<const Pack<T, V>*>(x + line.at + step.at);
        } else {
#pragma unroll
            for (int v = 0; v < V; v++) to.at[v] = narrow<T>(0);
        }
    }
};

// Where sums go: (rows, result places, batch), bias added.
template <typename T, int V> struct Result {
    template <int C> struct Places { long long at[C]; };
    T* y;
    const T* bias;
    const Field& field;
    int rows, columns;
    int height, width;  // of the result
    long long volume;

    __device__ long long place(int i) const {
        if (i >= columns) return -1;
        int n = last(i, field.batch), x = last(i, field.x.places), y = last(i, field.y.places);
        x = field.x.first + x * field.x.apart, y = field.y.first + y * field.y.apart;
        return ((1ll * (field.z.first + i * field.z.apart) * height + y) * width + x) * field.batch + n;
    }
    template <int C> __device__ Places<C> column(int i) const {
        Places<C> to;
#pragma unroll
        for (int c = 0; c < C; c++) to.at[c] = c == 0 || V == 1 ? place(i + c) : -1;
        return to;
    }
    template <int C> __device__ void put(const Places<C>& to, int row, const float* sums) const {
        if (row >= rows) return;
        float more = bias ? wide(bias[row]) : 0.0f;
        T* line = y + row * volume;
        if (V == 1) {
#pragma unroll
            for (int c = 0; c < C; c++)
                if (to.at[c] >= 0) line[to.at[c]] = narrow<T>(sums[c] + more);
        } else if (to.at[0] >= 0) {  // images by V: all C of them are here, side by side
            Pack<T, C> all;
#pragma unroll
            for (int c = 0; c < C; c++) all.at[c] = narrow<T>(sums[c] + more);
            *reinterpret_cast<Pack<T, C>*>(line + to.at[0]) = all;
        }
    }
};

template <typename T, int V, bool TENSOR, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__(BM / TM * BN / TN)
    conv_gather(const T* __restrict__ source, const T* __restrict__ w, const T* __restrict__ bias, T* __restrict__ result,
                Geometry how, bool turned) {
    using S = Shape<T, TENSOR, BM, BN, TM, TN>;
    const Axis &z = how.axes[0], &y = how.axes[1], &x = how.axes[2];
    int group = blockIdx.y % how.groups, kind = blockIdx.y / how.groups;  // kind: which class of places, backward
    Field field = {forward(z), forward(y), forward(x), how.batch};
    if (turned) {
        field.x = backward(x, last(kind, min(x.stride, x.x)));
        field.y = backward(y, last(kind, min(y.stride, y.x)));
        field.z = backward(z, kind);
    }
    int filters = how.filters / how.groups, channels = how.channels / how.groups, taps = z.kernel * y.kernel * x.kernel;
    int rows = turned ? channels : filters, others = turned ? filters : channels;
    int columns = field.places() * how.batch, depth = others * field.taps();
    int tiles = ceil_div(rows, BM), row = blockIdx.x % tiles * BM, column = blockIdx.x / tiles * BN;
    if (column >= columns) return;  // this class has fewer places than the first

    Divisor by[3] = {Divisor(max(field.x.taps, 1)), Divisor(max(field.y.taps, 1)), Divisor(max(field.z.taps, 1))};
    int of_filter = channels * taps;
    Weights<T> weights = {w + 1ll * group * filters * of_filter, field, how.axes, rows, depth, turned ? taps : of_filter,
                          turned ? of_filter : taps, {by[0], by[1], by[2]}};
    Windows<T> windows = {source + group * others * field.volume(), field, columns, depth, {by[0], by[1], by[2]}};
    AlongDepth<S, BM, 1, Weights<T>> a(weights, row);
    AcrossColumns<S, BN, V, Windows<T>> b(windows, column);
    typename SumsOf<S>::type sums;
    multiply<S>(a, b, sums, 0, depth);

    int height = turned ? y.x : y.y, width = turned ? x.x : x.y;
    long long volume = 1ll * (turned ? z.x : z.y) * height * width * how.batch;
    Result<T, V> target = {result + group * rows * volume, bias ? bias + group * rows : nullptr, field, rows, columns, height, width, volume};
    sums.give(target, row, column);
}

// ---- the gradient in w

// gy as rows: filters by (place, image), which lie in memory so.
template <typename T> struct Gradients {
    using Line = long long;
    const T* gy;
    int rows, end;
    long long volume;

    __device__ long long line(int i) const { return i < rows ? i * volume : -1; }
    __device__ int step(int k) const { return k; }
    template <int V> __device__ void read(long long line, int k, Pack<T, V>& to) const {
        if (line >= 0 && k < end) {
            to = *reinterpret_cast<const Pack<T, V>*>(gy + line + k);
        } else {
#pragma unroll
            for (int v = 0; v < V; v++) to.at[v] = narrow<T>(0);
        }
    }
};

// x as columns: (channel, tap) by (place, image). What was a line of Windows is a step here.
template <typename T> struct Taps {
    using Line = Spot;
    const T* x;
    const Field& field;
    int columns, end;
    Divisor by[3];

    __device__ Spot line(int i) const {
        const int plain[3] = {field.x.taps, field.y.taps, field.z.taps};
        return i < columns ? field.depth(i, plain) : Spot{0, NOWHERE, 0, 0};
    }
    __device__ Spot step(int k) const { return k < end ? field.column(k, by) : Spot{0, NOWHERE, 0, 0}; }
    template <int V> __device__ void read(const Spot& line, const Spot& step, Pack<T, V>& to) const {
        if (field.inside(line, step)) {
            to = *reinterpret_cast<const Pack<T, V>*>(x + line.at + step.at);
        } else {
#pragma unroll
            for (int v = 0; v < V; v++) to.at[v] = narrow<T>(0);
        }
    }
};

// One share's sums: (rows, columns).
struct Share {
    template <int C> struct Columns { int first; };
    float* sums;
    int rows, columns;

    template <int C> __device__ Columns<C> column(int i) const { return {i}; }
    template <int C> __device__ void put(const Columns<C>& to, int row, const float* given) const {
#pragma unroll
        for (int c = 0; c < C; c++)
            if (row < rows && to.first + c < columns) sums[1ll * row * columns + to.first + c] = given[c];
    }
};

template <typename T, int V, bool TENSOR, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__(BM / TM * BN / TN)
    conv_weights(const T* __restrict__ gy, const T* __restrict__ x, float* __restrict__ shares, Geometry how, int share) {
    using S = Shape<T, TENSOR, BM, BN, TM, TN>;
    Field field = {forward(how.axes[0]), forward(how.axes[1]), forward(how.axes[2]), how.batch};
    int rows = how.filters / how.groups, channels = how.channels / how.groups, columns = channels * field.taps();
    int tiles = ceil_div(rows, BM), row = blockIdx.x % tiles * BM, column = blockIdx.x / tiles * BN, group = blockIdx.y;
    int all = field.places() * how.batch, first = blockIdx.z * share, end = min(all - first, share) + first;

    Gradients<T> left = {gy + 1ll * group * rows * all, rows, end, all};
    Taps<T> right = {x + group * channels * field.volume(), field, columns, end,
                     {Divisor(how.batch), Divisor(field.x.places), Divisor(field.y.places)}};
    AlongDepth<S, BM, V, Gradients<T>> a(left, row);
    AlongDepth<S, BN, V, Taps<T>> b(right, column);
    typename SumsOf<S>::type sums;
    multiply<S>(a, b, sums, first, end);
    Share target = {shares + (1ll * blockIdx.z * how.groups + group) * rows * columns, rows, columns};
    sums.give(target, row, column);
}

// y[i] = the sum of shares[0][i], shares[1][i], ..., in this order.
template <typename T> __global__ void conv_sum_shares(const float* __restrict__ shares, T* __restrict__ y, long long n, int count) {
    for (long long i = first(); i < n; i += stride()) {
        float sum = 0;
        for (int share = 0; share < count; share++) sum += shares[share * n + i];
        y[i] = narrow<T>(sum);
    }
}
