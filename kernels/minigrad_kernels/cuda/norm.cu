// Normalisation: mean, variance and result of a line in one read, and its gradients in one read.
//
// A team that can hold its line in registers sums it, sums the squares about the mean, and writes: memory is
// passed once. Long lines (a channel of batch norm, all images of a batch) are cut into parts, a block each,
// so that few channels fill the card: every part leaves its mean and its squares about that mean, which
// add up without cancellation (Chan, Golub & LeVeque 1979), and a second kernel combines and writes. All
// sums have one fixed order. Weight and bias may change along a line, from line to line, or both.
#include "lines.cuh"

// Where the weights of a line are: its number i has w[i / per].
template <typename T, int KIND> struct Weights {
    const T* w;
    int per, n;

    __device__ Weights(const T* all, const Line<KIND>& line, long long each, int wrap, int row, int per_, int n_)
        : w(all ? all + line.number / each % wrap * row : all), per(per_), n(line.n ? n_ : 0) {}

    __device__ bool changes() const { return w && per < n; }  // along the line

    // What all numbers of the line share.
    __device__ Wide<T> common() const { return w && per >= n ? wide(*w) : Wide<T>(1); }

    __device__ void load(const Line<KIND>& line, int from, int end, bool packed, Wide<T> otherwise, Wide<T> (&v)[HELD]) const {
        if (!changes()) {
            Wide<T> one = w && n ? wide(*w) : otherwise;
            for (int k = 0; k < HELD; k++) v[k] = one;
        } else if (per == 1 && packed && on_packs(w)) {
            line.fetch(w, 1, from, end, packed, otherwise, v);
        } else {
            for (int k = 0; k < HELD; k++) {
                int at = from + line.template place<T>(k, packed);
                v[k] = at < end ? wide(w[per == 1 ? at : at / per]) : otherwise;
            }
        }
    }
};

// A number of about the line's size, that sums are taken relative to: large means then cost no digits.
template <typename T, int KIND> __device__ inline Wide<T> pivot_of(const Line<KIND>& line, const T* x, bool centered) {
    Wide<T> v = centered && line.n ? wide(x[line.start]) : Wide<T>(0);
    return finite(v) ? v : Wide<T>(0);
}

// z <- (v - mean) / s and y <- z w + b, for the numbers v of a span.
template <typename T, int KIND>
__device__ inline void write(
    const Line<KIND>& line, Wide<T> (&v)[HELD], Wide<T> mean, Wide<T> inverse, const Weights<T, KIND>& weight,
    const Weights<T, KIND>& bias, T* z, T* y, int from, int end, bool packed) {
    Wide<T> w[HELD], b[HELD];
#pragma unroll
    for (int k = 0; k < HELD; k++) v[k] = (v[k] - mean) * inverse;
    line.store(z, from, end, packed, v);
    if (!y) return;
    weight.load(line, from, end, packed, 1, w);
    bias.load(line, from, end, packed, 0, b);
#pragma unroll
    for (int k = 0; k < HELD; k++) v[k] = v[k] * w[k] + b[k];
    line.store(y, from, end, packed, v);
}

// ---- forward, lines that a team holds

template <typename T, int KIND>
__global__ void norm_forward(
    const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias, T* __restrict__ z,
    T* __restrict__ y, Wide<T>* __restrict__ center, Wide<T>* __restrict__ variance, Wide<T>* __restrict__ inverse, long long lines,
    int n, long long inner, long long each, int wrap, int row, int per, Wide<T> eps, bool centered) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    bool packed = line.template packs<T>(n) && on_packs(x) && on_packs(z) && on_packs(y);
    S v[HELD], pivot = pivot_of(line, x, centered), sum = 0, squares = 0;
    line.load(x, 0, line.n, packed, pivot, v);
#pragma unroll
    for (int k = 0; k < HELD; k++) v[k] -= pivot, sum += v[k];
    S mean = centered ? line.sum(sum) / n : S(0);
#pragma unroll
    for (int k = 0; k < HELD; k++)
        if (line.template place<T>(k, packed) < line.n) squares += (v[k] - mean) * (v[k] - mean);
    S var = line.sum(squares) / n, factor = S(1) / sqrt(var + eps);
    Weights<T, KIND> w(weight, line, each, wrap, row, per, n), b(bias, line, each, wrap, row, per, n);
    write(line, v, mean, factor, w, b, z, y, 0, line.n, packed);
    if (line.leads()) center[line.number] = pivot + mean, variance[line.number] = var, inverse[line.number] = factor;
}

// ---- forward, long lines: blockIdx.y is the part

// means, squares (lines, parts) <- each part's mean less the line's pivot, and the squares about that mean.
template <typename T, int KIND>
__global__ void norm_moments(
    const T* __restrict__ x, Wide<T>* __restrict__ means, Wide<T>* __restrict__ squares, long long lines, int n, long long inner,
    int part, bool centered) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    bool packed = line.template packs<T>(n) && on_packs(x);
    int begin = blockIdx.y * part, end = line.n - begin < part ? line.n : begin + part;
    S v[HELD], pivot = pivot_of(line, x, centered), count = 0, sum = 0, mean = 0, square = 0;
    for (int from = begin; from < end; from += line.span()) {
        line.load(x, from, end, packed, pivot, v);
        S many = 0, here = 0;
#pragma unroll
        for (int k = 0; k < HELD; k++) {
            many += from + line.template place<T>(k, packed) < end ? 1 : 0;
            v[k] -= pivot, here += v[k];
        }
        if (many == 0) continue;
        S own = centered ? here / many : S(0);
#pragma unroll
        for (int k = 0; k < HELD; k++)
            if (from + line.template place<T>(k, packed) < end) square += (v[k] - own) * (v[k] - own);
        if (count > 0) square += (own - mean) * (own - mean) * (count * many / (count + many));
        count += many, sum += here, mean = centered ? sum / count : S(0);
    }
    S middle = centered ? line.sum(sum) / line.sum(count) : S(0);
    square = line.sum(square + count * (mean - middle) * (mean - middle));
    if (line.leads()) {
        means[line.number * gridDim.y + blockIdx.y] = middle;
        squares[line.number * gridDim.y + blockIdx.y] = square;
    }
}

template <typename T, int KIND>
__global__ void norm_apply(
    const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias, const Wide<T>* __restrict__ means,
    const Wide<T>* __restrict__ squares, T* __restrict__ z, T* __restrict__ y, Wide<T>* __restrict__ center,
    Wide<T>* __restrict__ variance, Wide<T>* __restrict__ inverse, long long lines, int n, long long inner, int part,
    long long each, int wrap, int row, int per, Wide<T> eps, bool centered) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    bool packed = line.template packs<T>(n) && on_packs(x) && on_packs(z) && on_packs(y);
    int parts = line.n ? gridDim.y : 0, begin = blockIdx.y * part, end = line.n - begin < part ? line.n : begin + part;
    S sum = 0, square = 0;
    for (int p = line.me; p < parts; p += line.width) {
        S count = p < parts - 1 ? part : n - p * part;
        sum += count * means[line.number * parts + p];
    }
    S mean = line.sum(sum) / n;
    for (int p = line.me; p < parts; p += line.width) {
        S count = p < parts - 1 ? part : n - p * part, apart = means[line.number * parts + p] - mean;
        square += squares[line.number * parts + p] + count * apart * apart;
    }
    S var = line.sum(square) / n, factor = S(1) / sqrt(var + eps), pivot = pivot_of(line, x, centered), v[HELD];
    Weights<T, KIND> w(weight, line, each, wrap, row, per, n), b(bias, line, each, wrap, row, per, n);
    for (int from = begin; from < end; from += line.span()) {
        line.load(x, from, end, packed, pivot, v);
#pragma unroll
        for (int k = 0; k < HELD; k++) v[k] -= pivot;
        write(line, v, mean, factor, w, b, z, y, from, end, packed);
    }
    if (line.leads() && blockIdx.y == 0)
        center[line.number] = pivot + mean, variance[line.number] = var, inverse[line.number] = factor;
}

// ---- backward: with z = (x - m) / s and gz = g w,  gx = (gz - mean gz - z mean(gz z)) / s
//
// A weight that is the same along its line waits to the end; the two sums are then its gradient and its
// bias's. For one that changes along the line (layer norm) a block takes line after line and keeps the sums of
// its places in registers; fold_columns adds up what the blocks leave.

// From v = g and zv = z:  v <- g w, w only where it changes along the line; along, total <- sums of v z and v.
template <typename T, int KIND>
__device__ inline void products(
    const Line<KIND>& line, const Weights<T, KIND>& weight, int from, int end, bool packed, Wide<T> (&v)[HELD],
    const Wide<T> (&zv)[HELD], Wide<T>& along, Wide<T>& total) {
    if (weight.changes()) {
        Wide<T> w[HELD];
        weight.load(line, from, end, packed, 0, w);
#pragma unroll
        for (int k = 0; k < HELD; k++) v[k] *= w[k];
    }
#pragma unroll
    for (int k = 0; k < HELD; k++) along += v[k] * zv[k], total += v[k];
}

// gx <- (v - t - a z) factor, for the numbers v of a span.
template <typename T, int KIND>
__device__ inline void write_slope(
    const Line<KIND>& line, Wide<T> (&v)[HELD], const Wide<T> (&zv)[HELD], Wide<T> a, Wide<T> t, Wide<T> factor, T* gx,
    int from, int end, bool packed) {
#pragma unroll
    for (int k = 0; k < HELD; k++) v[k] = (v[k] - t - zv[k] * a) * factor;
    line.store(gx, from, end, packed, v);
}

// Lines that a team holds; `blocks` is how many blocks it would take if each had one round. along and total
// (lines) and parts (teams, 2, n), the sums of g z and g by place, are written where they are given.
template <typename T, int KIND>
__global__ void norm_backward(
    const T* __restrict__ g, const T* __restrict__ z, const T* __restrict__ weight, const Wide<T>* __restrict__ inverse,
    T* __restrict__ gx, Wide<T>* __restrict__ along, Wide<T>* __restrict__ total, Wide<T>* __restrict__ parts, long long lines, int n,
    long long inner, long long blocks, long long each, int wrap, int row, int per, bool centered) {
    using S = Wide<T>;
    bool packed = false;
    S gw[HELD] = {}, gb[HELD] = {}, v[HELD], zv[HELD];
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        Line<KIND> line(lines, n, inner, block);
        Weights<T, KIND> w(weight, line, each, wrap, row, per, n);
        packed = line.template packs<T>(n) && on_packs(g) && on_packs(z) && on_packs(gx);
        S a = 0, t = 0;
        line.load(g, 0, line.n, packed, 0, v);
        line.load(z, 0, line.n, packed, 0, zv);
#pragma unroll
        for (int k = 0; k < HELD; k++) gw[k] += v[k] * zv[k], gb[k] += v[k];
        products(line, w, 0, line.n, packed, v, zv, a, t);
        a = line.sum(a), t = line.sum(t);
        S factor = line.n ? inverse[line.number] * w.common() : S(0);
        write_slope(line, v, zv, a / n, centered ? t / n : S(0), factor, gx, 0, line.n, packed);
        if (along && line.leads()) along[line.number] = a, total[line.number] = t;
    }
    if (!parts) return;
    long long team = KIND == IN_WARP ? first() / WARP : blockIdx.x;
    Line<KIND> line(lines, n, inner);
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int at = line.template place<T>(k, packed);
        S w = KIND == IN_COLUMNS ? warp_sum(gw[k]) : gw[k], b = KIND == IN_COLUMNS ? warp_sum(gb[k]) : gb[k];
        if (at < n && (KIND != IN_COLUMNS || threadIdx.x % WARP == 0))
            parts[team * 2 * n + at] = w, parts[(team * 2 + 1) * n + at] = b;
    }
}

// along, total (lines, parts) <- the sums of g w z and g w over each part of each line.
template <typename T, int KIND>
__global__ void norm_sums(
    const T* __restrict__ g, const T* __restrict__ z, const T* __restrict__ weight, Wide<T>* __restrict__ along,
    Wide<T>* __restrict__ total, long long lines, int n, long long inner, int part, long long each, int wrap, int row,
    int per) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    Weights<T, KIND> w(weight, line, each, wrap, row, per, n);
    bool packed = line.template packs<T>(n) && on_packs(g) && on_packs(z);
    int begin = blockIdx.y * part, end = line.n - begin < part ? line.n : begin + part;
    S v[HELD], zv[HELD], a = 0, t = 0;
    for (int from = begin; from < end; from += line.span()) {
        line.load(g, from, end, packed, 0, v);
        line.load(z, from, end, packed, 0, zv);
        products(line, w, from, end, packed, v, zv, a, t);
    }
    a = line.sum(a), t = line.sum(t);
    if (line.leads()) {
        along[line.number * gridDim.y + blockIdx.y] = a;
        total[line.number * gridDim.y + blockIdx.y] = t;
    }
}

// gx by those sums; along, total (lines) <- the sums over whole lines, where they are wanted.
template <typename T, int KIND>
__global__ void norm_slopes(
    const T* __restrict__ g, const T* __restrict__ z, const T* __restrict__ weight, const Wide<T>* __restrict__ inverse,
    const Wide<T>* __restrict__ parts_along, const Wide<T>* __restrict__ parts_total, T* __restrict__ gx, Wide<T>* __restrict__ along,
    Wide<T>* __restrict__ total, long long lines, int n, long long inner, int part, long long each, int wrap, int row,
    int per, bool centered) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    Weights<T, KIND> w(weight, line, each, wrap, row, per, n);
    bool packed = line.template packs<T>(n) && on_packs(g) && on_packs(z) && on_packs(gx);
    int parts = line.n ? gridDim.y : 0, begin = blockIdx.y * part, end = line.n - begin < part ? line.n : begin + part;
    S v[HELD], zv[HELD], a = 0, t = 0, unused = 0;
    for (int p = line.me; p < parts; p += line.width)
        a += parts_along[line.number * parts + p], t += parts_total[line.number * parts + p];
    a = line.sum(a), t = line.sum(t);
    S factor = line.n ? inverse[line.number] * w.common() : S(0), mean = centered ? t / n : S(0);
    for (int from = begin; from < end; from += line.span()) {
        line.load(g, from, end, packed, 0, v);
        line.load(z, from, end, packed, 0, zv);
        products(line, w, from, end, packed, v, zv, unused, unused);
        write_slope(line, v, zv, a / n, mean, factor, gx, from, end, packed);
    }
    if (along && line.leads() && blockIdx.y == 0) along[line.number] = a, total[line.number] = t;
}

// out (outer, inner) <- the sums of x (outer, n, inner) over n.
template <typename T>
__global__ void fold_columns(const Wide<T>* __restrict__ x, T* __restrict__ out, long long lines, int n, long long inner) {
    using S = Wide<T>;
    Line<IN_COLUMNS> line(lines, n, inner);
    S v[HELD], sum = 0;
    for (int from = 0; from < line.n; from += line.span()) {
        line.load(x, from, line.n, false, 0, v);
#pragma unroll
        for (int k = 0; k < HELD; k++) sum += v[k];
    }
    sum = line.sum(sum);
    if (line.leads()) out[line.number] = narrow<T>(sum);
}

// Running statistics a step towards those of a batch, whose variance is made unbiased by a factor.
template <typename T>
__global__ void follow(
    T* __restrict__ mean, T* __restrict__ var, const T* __restrict__ new_mean, const T* __restrict__ new_var, int channels,
    T momentum, T unbiased) {
    long long i = first();
    if (i >= channels) return;
    mean[i] = (T(1) - momentum) * mean[i] + momentum * new_mean[i];
    var[i] = (T(1) - momentum) * var[i] + momentum * (new_var[i] * unbiased);
}
