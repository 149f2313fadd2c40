// Convolution in one to three dimensions as one product of matrices whose columns are never stored.
//
// Memory is batch last: x (C, D, H, W, N), y (O, D, H, W, N), w (O, C / groups, taps). Neighbouring columns are
// neighbouring images, so a warp reads runs of memory whatever the kernel, stride and dilation.
// conv_gather is the forward and the gradient in x: that gathers too, one launch for all places of x that have
// the same remainder at the stride and so meet the same taps, and no zero is ever multiplied. conv_weights is the
// gradient in w, whose depth is all places of all images: it is cut into shares (as others are, where columns are
// few), which conv_sum_shares adds up in a fixed order. No atomics: the same bits at every run.
#include "conv_geometry.cuh"
#include "conv_tile.cuh"

constexpr int ROWS = 8;  // packed weights have whole packs of rows

// w as rows of the product: (filter) by (channel, tap), and backward (channel) by (filter, tap).
template <typename T> struct Weights {
    using Line = int;
    using Step = int;
    const T* w;
    const Field& field;

    __device__ int line(int i) const { return i < field.rows ? i * field.row_step : -1; }
    __device__ int step(int k) const { return k < field.depth ? field.weight(k) : -1; }
    __device__ void read(int line, int step, Pack<T, 1>& to) const {
        to.at[0] = line >= 0 && step >= 0 ? w[line + step] : narrow<T>(0);
    }
};

// The same from conv_pack: rows lie side by side, so that 16 bytes of them are fetched at once.
template <typename T> struct PackedWeights {
    using Line = int;
    using Step = int;
    const T* w;
    const Field& field;

    __device__ int pitch() const { return ceil_div(field.rows, ROWS) * ROWS; }
    __device__ int line(int i) const { return i < pitch() ? i : -1; }
    __device__ int step(int k) const { return k < field.depth ? k * pitch() : -1; }
    template <int V> __device__ void read(int line, int step, Pack<T, V>& to) const {
        if (line >= 0 && step >= 0) to = *reinterpret_cast<const Pack<T, V>*>(w + line + step);
        else to = Field::zeros<V, T>();
    }
};

// packed[group][depth][row] of one launch, zeros in rows up to the next multiple of ROWS.
template <typename T> __global__ void conv_pack(const T* __restrict__ w, T* __restrict__ packed, Field field, int pitch) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, row = i % pitch, k = i / pitch, group = blockIdx.y;
    if (k >= field.depth) return;
    packed[(1ll * group * field.depth + k) * pitch + row] =
        row < field.rows ? w[1ll * group * field.group_step + row * field.row_step + field.weight(k)] : narrow<T>(0);
}

// Tensor cores are so fast that fetching their operands counts: they get weights that were packed.
template <class S, bool tensor = S::tensor> struct Left {
    using Source = Weights<typename S::Number>;
    using Layout = AlongDepth<S, S::BM, 1>;
    __device__ static long long group(const Field& field) { return field.group_step; }
};
template <class S> struct Left<S, true> {
    using Source = PackedWeights<typename S::Number>;
    using Layout = AcrossLines<S, S::BM, 16 / sizeof(typename S::Number)>;
    __device__ static long long group(const Field& field) { return field.depth * (ceil_div(field.rows, ROWS) * ROWS); }
};

// x (or gy) as columns of the product: (place, image) by (channel, tap).
template <typename T> struct Windows {
    using Line = Spot;
    using Step = Spot;
    const T* x;
    const Field& field;

    __device__ Spot line(int i) const { return i < field.columns ? field.column(i) : Spot{0, NOWHERE, 0, 0}; }
    __device__ Spot step(int k) const { return k < field.depth ? field.tap(k) : Spot{0, NOWHERE, 0, 0}; }
    template <int V> __device__ void read(const Spot& line, const Spot& step, Pack<T, V>& to) const {
        to = field.template read<V>(x, line, step);
    }
};

// Where sums go: to the result, bias added, or as they are to this share's sums.
template <typename T, int V> struct Result {
    template <int C> struct Places { long long at[C]; };
    T* y;
    float* share;
    const T* bias;
    const Field& field;

    template <int C> __device__ Places<C> column(int i) const {
        Places<C> to;
#pragma unroll
        for (int c = 0; c < C; c++) to.at[c] = (c == 0 || V == 1) && i + c < field.columns ? field.target(i + c) : -1;
        return to;
    }
    template <int C> __device__ void put(const Places<C>& to, int row, const float* sums) const {
        if (row >= field.rows) return;
        if (share) store(share + row * field.result_volume, to, sums, 0.0f);
        else store(y + row * field.result_volume, to, sums, bias ? wide(bias[row]) : 0.0f);
    }
    template <typename Y, int C> __device__ static void store(Y* line, const Places<C>& to, const float* sums, float more) {
        if (V == 1) {
#pragma unroll
            for (int c = 0; c < C; c++)
                if (to.at[c] >= 0) line[to.at[c]] = narrow<Y>(sums[c] + more);
        } else if (to.at[0] >= 0) {  // images by V: all C of them are here, side by side
            Pack<Y, C> all;
#pragma unroll
            for (int c = 0; c < C; c++) all.at[c] = narrow<Y>(sums[c] + more);
            *reinterpret_cast<Pack<Y, C>*>(line + to.at[0]) = all;
        }
    }
};

// Blocks: tiles, groups, shares of the depth. `shares` is null where there is but one.
template <typename T, int V, bool TENSOR, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__(BM / TM * BN / TN, 512 * TM * TN / BM / BN)
    conv_gather(const T* __restrict__ source, const T* __restrict__ w, const T* __restrict__ bias, T* __restrict__ result,
                float* __restrict__ shares, Field field, int share) {
    using S = Shape<T, TENSOR, BM, BN, TM, TN>;
    int tiles = ceil_div(field.rows, BM), row = blockIdx.x % tiles * BM, column = blockIdx.x / tiles * BN, group = blockIdx.y;
    int first = blockIdx.z * share, end = min(field.depth - first, share) + first;
    typename Left<S>::Source weights = {w + group * Left<S>::group(field), field};
    Windows<T> windows = {source + group * field.others * field.volume, field};
    Operand<S, typename Left<S>::Layout, typename Left<S>::Source> a(weights, row);
    Operand<S, AcrossLines<S, BN, V>, Windows<T>> b(windows, column);
    typename SumsOf<S>::type sums;
    multiply<S>(a, b, sums, first, end);
    long long rows = 1ll * group * field.rows, all = 1ll * field.groups * field.rows;
    Result<T, V> target = {result + rows * field.result_volume, shares ? shares + (blockIdx.z * all + rows) * field.result_volume : nullptr,
                           bias ? bias + rows : nullptr, field};
    sums.give(target, row, column);
}

// ---- the gradient in w

// gy as rows: (filter) by (place, image), as it lies in memory.
template <typename T> struct Gradients {
    using Line = long long;
    using Step = int;
    const T* gy;
    const Field& field;
    int end;

    __device__ long long line(int i) const { return i < field.rows ? i * field.result_volume : -1; }
    __device__ int step(int k) const { return k; }
    template <int V> __device__ void read(long long line, int k, Pack<T, V>& to) const {
        if (line >= 0 && k < end) to = *reinterpret_cast<const Pack<T, V>*>(gy + line + k);
        else to = Field::zeros<V, T>();
    }
};

// x as columns: (channel, tap) by (place, image). What is a line of Windows is a step here.
template <typename T> struct Taps {
    using Line = Spot;
    using Step = Spot;
    const T* x;
    const Field& field;
    int end;

    __device__ Spot line(int i) const { return i < field.depth ? field.tap(i) : Spot{0, NOWHERE, 0, 0}; }
    __device__ Spot step(int k) const { return k < end ? field.column(k) : Spot{0, NOWHERE, 0, 0}; }
    template <int V> __device__ void read(const Spot& line, const Spot& step, Pack<T, V>& to) const {
        to = field.template read<V>(x, line, step);
    }
};

// One share's sums: (filter) by (channel, tap).
struct Share {
    template <int C> struct Columns { int first; };
    float* sums;
    const Field& field;

    template <int C> __device__ Columns<C> column(int i) const { return {i}; }
    template <int C> __device__ void put(const Columns<C>& to, int row, const float* given) const {
#pragma unroll
        for (int c = 0; c < C; c++)
            if (row < field.rows && to.first + c < field.depth) sums[1ll * row * field.depth + to.first + c] = given[c];
    }
};

template <typename T, int V, bool TENSOR, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__(BM / TM * BN / TN, 512 * TM * TN / BM / BN)
    conv_weights(const T* __restrict__ gy, const T* __restrict__ x, float* __restrict__ shares, Field field, int share) {
    using S = Shape<T, TENSOR, BM, BN, TM, TN>;
    int tiles = ceil_div(field.rows, BM), row = blockIdx.x % tiles * BM, column = blockIdx.x / tiles * BN, group = blockIdx.y;
    int first = blockIdx.z * share, end = min(field.columns - first, share) + first;
    Gradients<T> left = {gy + group * field.rows * field.result_volume, field, end};
    Taps<T> right = {x + group * field.others * field.volume, field, end};
    Operand<S, AlongDepth<S, BM, V>, Gradients<T>> a(left, row);
    Operand<S, AlongDepth<S, BN, V>, Taps<T>> b(right, column);
    typename SumsOf<S>::type sums;
    multiply<S>(a, b, sums, first, end);
    Share target = {shares + (1ll * blockIdx.z * field.groups + group) * field.rows * field.depth, field};
    sums.give(target, row, column);
}

// shares[share][row]: the sum of a row over columns [share number * share, + share), for the gradient in the bias.
template <typename T, int V>
__global__ void __launch_bounds__(256) conv_row_sums(const T* __restrict__ gy, float* __restrict__ shares, int columns, int share) {
    int first = blockIdx.x * share, end = min(columns - first, share) + first;
    const T* row = gy + 1ll * blockIdx.y * columns;
    float sum = 0;
    for (int i = first + threadIdx.x * V; i < end; i += 256 * V) {
        Pack<T, V> numbers = *reinterpret_cast<const Pack<T, V>*>(row + i);
#pragma unroll
        for (int v = 0; v < V; v++) sum += wide(numbers.at[v]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) shares[1ll * blockIdx.x * gridDim.y + blockIdx.y] = sum;
}

// y[i] = shares[0][i] + shares[1][i] + ... + bias[i / volume]. Of a block's 256 threads `lanes` work on one number,
// each on every lanes-th share; what they find is added in order.
template <typename T>
__global__ void conv_sum_shares(const float* __restrict__ shares, const T* __restrict__ bias, T* __restrict__ y, long long n, int count,
                                int lanes, int volume) {
    __shared__ float parts[256];
    int width = 256 / lanes, lane = threadIdx.x / width;
    long long i = 1ll * blockIdx.x * width + threadIdx.x % width;
    float sum = 0;
    if (i < n)
        for (int share = lane; share < count; share += lanes) sum += shares[share * n + i];
    parts[threadIdx.x] = sum;
    __syncthreads();
    if (lane > 0 || i >= n) return;
    for (int part = 1; part < lanes; part++) sum += parts[part * width + threadIdx.x];
    y[i] = narrow<T>(bias ? sum + wide(bias[i / volume]) : sum);
}
