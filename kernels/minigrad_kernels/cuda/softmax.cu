// Softmax, its logarithm, cross-entropy: a line is read once where its team can hold it.
//
// A longer line is read twice. On the first way each thread keeps the largest number so far and the sum of
// exponentials relative to it, scaled anew when a larger one comes (Milakov & Gimelshein 2018); the second
// way writes. The mean of a cross-entropy needs the weight of all labels before the first slope is written:
// it is added up on the device by a kernel of its own.
#include "lines.cuh"

// A constant that cancels: the largest number, or 0 where that is infinite or NaN.
template <typename S> __device__ inline S shift_for(S largest) { return finite(largest) ? largest : S(0); }

// sum * e^(from - to), also where the sum is still empty.
template <typename S> __device__ inline S rescaled(S sum, S from, S to) {
    return sum == S(0) ? sum : sum * exponential(from - to);
}

// v <- the last numbers of the line that were read (all of them, if the team holds it); total <- sum of e^(x - shift).
template <typename T, int KIND>
__device__ inline void totals(const Line<KIND>& line, const T* x, bool packed, Wide<T> (&v)[HELD], Wide<T>& shift, Wide<T>& total) {
    using S = Wide<T>;
    S top = -INFINITY, sum = 0;
    int from = 0;
    do {
        line.load(x, from, line.n, packed, S(-INFINITY), v);
        S before = top;
#pragma unroll
        for (int k = 0; k < HELD; k++) top = larger(v[k], top);
        sum = rescaled(sum, shift_for(before), shift_for(top));
#pragma unroll
        for (int k = 0; k < HELD; k++) sum += exponential(v[k] - shift_for(top));
        from += line.span();
    } while (from < line.n);
    S largest = line.max(top);
    shift = shift_for(largest);
    total = line.sum(rescaled(sum, shift_for(top), shift));
}

template <typename T, int KIND>
__global__ void softmax_forward(const T* __restrict__ x, T* __restrict__ y, long long lines, int n, long long inner, bool logarithm) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    bool packed = line.template packs<T>(n) && on_packs(x) && on_packs(y);
    S v[HELD], shift, total;
    totals(line, x, packed, v, shift, total);
    S less = logarithm_of(total), factor = S(1) / total;
    for (int from = 0; from < line.n; from += line.span()) {
        if (n > line.span()) line.load(x, from, line.n, packed, S(0), v);
#pragma unroll
        for (int k = 0; k < HELD; k++) v[k] = logarithm ? v[k] - shift - less : exponential(v[k] - shift) * factor;
        line.store(y, from, line.n, packed, v);
    }
}

// y (g - <g, y>), or where y is a logarithm g - e^y sum g.
template <typename T, int KIND>
__global__ void softmax_backward(const T* __restrict__ g, const T* __restrict__ y, T* __restrict__ gx, long long lines, int n, long long inner, bool logarithm) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    bool packed = line.template packs<T>(n) && on_packs(g) && on_packs(y) && on_packs(gx);
    S gv[HELD], yv[HELD], sum = 0;
    int from = 0;
    do {
        line.load(g, from, line.n, packed, S(0), gv);
        line.load(y, from, line.n, packed, S(0), yv);
#pragma unroll
        for (int k = 0; k < HELD; k++) sum += logarithm ? gv[k] : gv[k] * yv[k];
        from += line.span();
    } while (from < line.n);
    sum = line.sum(sum);
    for (from = 0; from < line.n; from += line.span()) {
        if (n > line.span()) {
            line.load(g, from, line.n, packed, S(0), gv);
            line.load(y, from, line.n, packed, S(0), yv);
        }
#pragma unroll
        for (int k = 0; k < HELD; k++) gv[k] = logarithm ? gv[k] - exponential(yv[k]) * sum : yv[k] * (gv[k] - sum);
        line.store(gx, from, line.n, packed, gv);
    }
}

// ---- cross-entropy

// What a label counts: its class's weight; 0 if it is ignored or no class at all.
template <typename T> __device__ inline Wide<T> counts(long long label, const T* weight, int n, long long ignored) {
    if (label == ignored || label < 0 || label >= n) return 0;
    return weight ? wide(weight[label]) : Wide<T>(1);
}

// What labels number from, from + by, ... count together, added up over the block.
template <typename T>
__device__ inline Wide<T> mass_of(const long long* target, const T* weight, long long from, long long by, long long lines, int n, long long ignored) {
    Wide<T> sum = 0;
    for (long long i = from; i < lines; i += by) sum += counts(target[i], weight, n, ignored);
    return block_sum(sum);
}

// parts[block] <- what the block's share of the labels counts.
template <typename T>
__global__ void label_mass(const long long* __restrict__ target, const T* __restrict__ weight, Wide<T>* __restrict__ parts, long long lines, int n, long long ignored) {
    Wide<T> sum = mass_of(target, weight, first(), stride(), lines, n, ignored);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// out[block] <- the sum of the block's share of x, divided by *divisor if there is one. A mean of nothing is NaN.
template <typename T>
__global__ void fold(const Wide<T>* __restrict__ x, const Wide<T>* __restrict__ divisor, T* __restrict__ out, long long n) {
    using S = Wide<T>;
    S sum = 0;
    for (long long i = first(); i < n; i += stride()) sum += x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x] = narrow<T>(divisor ? (*divisor == S(0) ? S(NAN) : sum / *divisor) : sum);
}

// Each line's loss -sum_c Q_c log p_c, and its derivative by the scores, over *mass if that is given. With
// `count` labels are few, and every block finds the mass for itself.
// Q is the weighted label: own at the label, and with smoothing spread * weight_c at every class.
template <typename T, int KIND>
__global__ void cross_entropy_forward(
    const T* __restrict__ x, const long long* __restrict__ target, const T* __restrict__ weight,
    Wide<T>* __restrict__ mass, Wide<T>* __restrict__ losses, T* __restrict__ slope, long long lines, int n,
    long long inner, long long ignored, double smoothing, bool count) {
    using S = Wide<T>;
    Line<KIND> line(lines, n, inner);
    bool packed = line.template packs<T>(n) && on_packs(x) && on_packs(slope);
    S v[HELD], shift, total, log_total;
    totals(line, x, packed, v, shift, total);
    log_total = logarithm_of(total);

    long long label = line.n ? target[line.number] : ignored;
    bool kept = label != ignored, fits = kept && label >= 0 && label < n;
    S own = S(1 - smoothing) * counts(label, weight, n, ignored), spread = kept ? S(smoothing / n) : S(0);
    S loss = 0, all = own;
    if (smoothing != 0) {
        S along = 0, weights = 0;
        for (int from = 0; from < line.n; from += line.span()) {
            if (n > line.span()) line.load(x, from, line.n, packed, S(0), v);
            for (int k = 0; k < HELD; k++) {
                int c = from + line.template place<T>(k, packed);
                if (c >= line.n) continue;
                S w = spread * (weight ? wide(weight[c]) : S(1));
                weights += w, along += w * (v[k] - shift - log_total);
            }
        }
        all += line.sum(weights);
        loss -= line.sum(along);
    }
    if (fits) loss -= own * (wide(x[line.start + label * line.step]) - shift - log_total);
    if (line.leads()) losses[line.number] = kept && !fits ? S(NAN) : loss;

    S whole = 1;  // what a slope is divided by
    if (mass) whole = count ? mass_of(target, weight, threadIdx.x, blockDim.x, lines, n, ignored) : *mass;
    if (count && mass && first() == 0) *mass = whole;
    S scale = whole == S(0) ? (kept ? S(NAN) : S(0)) : S(1) / whole;
    bool nothing = kept && !fits;  // an impossible label has no slope
    S factor = all / total;  // own is 0 where a label is ignored or impossible
    for (int from = 0; from < line.n; from += line.span()) {
        if (n > line.span()) line.load(x, from, line.n, packed, S(0), v);
#pragma unroll
        for (int k = 0; k < HELD; k++) {
            int c = from + line.template place<T>(k, packed);
            S part = exponential(v[k] - shift) * factor - (c == label ? own : S(0));
            if (smoothing != 0 && c < n) part -= spread * (weight ? wide(weight[c]) : S(1));
            v[k] = nothing ? S(0) : part * scale;
        }
        line.store(slope, from, line.n, packed, v);
    }
}
