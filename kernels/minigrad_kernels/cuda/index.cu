// Rows added up by their numbers (the gradient of an embedding, of x[index]): sorted, then each run summed.
//
// Atomic additions of floats come in another order at every launch. Here a stable radix sort brings equal
// numbers together in their own order, and runs are summed in that order, so results are the same bits every
// time. The price is the sort: two passes over the numbers for every 8 bits of the largest.
#include "common.cuh"

constexpr int THREADS = 256, DIGITS = 256, TILE = 2048;  // elements of a block in a pass: TILE
constexpr int CHUNK = 32;                                // rows that one sum takes in turn

// ---- keys: where each row goes; what is out of range goes to row `size`, which is dropped

template <typename I>
__global__ void make_keys(const I* __restrict__ index, unsigned* __restrict__ keys, int* __restrict__ order, int n,
                          long long size) {
    for (int i = first(); i < n; i += stride()) {
        long long at = index[i] < 0 ? index[i] + size : index[i];
        keys[i] = at < 0 || at >= size ? size : at;
        order[i] = i;
    }
}

// ---- one pass of the radix sort: count digits by block, sum the counts up, move

__global__ void count_digits(const unsigned* __restrict__ keys, int* __restrict__ counts, int n, int shift) {
    __shared__ int found[DIGITS];
    found[threadIdx.x] = 0;
    __syncthreads();
    int start = blockIdx.x * TILE, end = min(start + TILE, n);
    for (int i = start + threadIdx.x; i < end; i += THREADS) atomicAdd(&found[keys[i] >> shift & (DIGITS - 1)], 1);
    __syncthreads();
    counts[threadIdx.x * gridDim.x + blockIdx.x] = found[threadIdx.x];  // by digit first: the order of the result
}

// counts[i] becomes the sum of all before it; one block.
__global__ void sum_up(int* __restrict__ counts, int n) {
    __shared__ int totals[WARP];
    int before = 0, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    for (int start = 0; start < n; start += blockDim.x) {
        int i = start + threadIdx.x, own = i < n ? counts[i] : 0, sum = own;
        for (int reach = 1; reach < WARP; reach *= 2) {
            int left = __shfl_up_sync(ALL, sum, reach);
            if (lane >= reach) sum += left;
        }
        if (lane == WARP - 1) totals[warp] = sum;
        __syncthreads();
        int whole = 0;
        for (int w = 0; w < blockDim.x / WARP; ++w) {
            if (w < warp) sum += totals[w];
            whole += totals[w];
        }
        if (i < n) counts[i] = before + sum - own;
        before += whole;
        __syncthreads();  // totals are written again
    }
}

// Elements move to their digit's place; those of one digit keep their order.
__global__ void move(const unsigned* __restrict__ keys, const int* __restrict__ order, unsigned* __restrict__ new_keys,
                     int* __restrict__ new_order, const int* __restrict__ starts, int n, int shift) {
    __shared__ int next[DIGITS], in_warp[THREADS / WARP][DIGITS];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    next[threadIdx.x] = starts[threadIdx.x * gridDim.x + blockIdx.x];
    for (int round = 0; round < TILE; round += THREADS) {
        for (int w = 0; w < THREADS / WARP; ++w) in_warp[w][threadIdx.x] = 0;
        __syncthreads();
        int i = blockIdx.x * TILE + round + threadIdx.x;
        unsigned key = i < n ? keys[i] : 0;
        int digit = key >> shift & (DIGITS - 1);
        unsigned alike = __ballot_sync(ALL, i < n);  // lanes with my digit: those that agree in all its bits
        for (int bit = 0; bit < 8; ++bit) {
            unsigned set = __ballot_sync(ALL, digit >> bit & 1);
            alike &= digit >> bit & 1 ? set : ~set;
        }
        int rank = __popc(alike & ((1u << lane) - 1));
        if (i < n && rank == 0) in_warp[warp][digit] = __popc(alike);
        __syncthreads();
        if (i < n) {
            int at = next[digit] + rank;
            for (int w = 0; w < warp; ++w) at += in_warp[w][digit];
            new_keys[at] = key;
            new_order[at] = order[i];
        }
        __syncthreads();
        for (int w = 0; w < THREADS / WARP; ++w) next[threadIdx.x] += in_warp[w][threadIdx.x];
        __syncthreads();
    }
}

// ---- sums of runs: CHUNK sorted rows at a time, then what crosses from chunk to chunk

// A run inside the chunk is finished here. The sum of what began before goes to heads, of what goes on to tails.
template <typename T>
__global__ void sum_chunks(const T* __restrict__ x, const unsigned* __restrict__ keys, const int* __restrict__ order,
                           T* __restrict__ y, Wide<T>* __restrict__ heads, Wide<T>* __restrict__ tails, int n,
                           long long width, unsigned size) {
    long long column = static_cast<long long>(blockIdx.y) * blockDim.x + threadIdx.x;
    if (column >= width) return;
    int start = blockIdx.x * CHUNK, end = min(start + CHUNK, n);
    bool entered = start > 0 && keys[start - 1] == keys[start];
    Wide<T> sum = 0;
    for (int i = start; i < end; ++i) {
        sum += wide(x[order[i] * width + column]);
        bool ends = i + 1 == n || keys[i + 1] != keys[i];
        if (!ends && i + 1 < end) continue;
        if (entered) heads[blockIdx.x * width + column] = sum;
        else if (!ends) tails[blockIdx.x * width + column] = sum;
        else if (keys[i] < size) y[keys[i] * width + column] = narrow<T>(sum);
        entered = false;
        sum = 0;
    }
}

// Runs that cross chunks: the chunk where one begins adds the heads of those that follow.
template <typename T>
__global__ void join_chunks(const unsigned* __restrict__ keys, T* __restrict__ y, const Wide<T>* __restrict__ heads,
                            const Wide<T>* __restrict__ tails, int n, long long width, unsigned size) {
    long long column = static_cast<long long>(blockIdx.y) * blockDim.x + threadIdx.x;
    int next = (blockIdx.x + 1) * CHUNK, chunk = blockIdx.x;
    if (column >= width || next >= n) return;
    unsigned key = keys[next - 1];
    bool begins = chunk == 0 || keys[chunk * CHUNK - 1] != key;
    if (keys[next] != key || !begins || key >= size) return;
    Wide<T> sum = tails[chunk * width + column];
    for (; next < n && keys[next] == key; next += CHUNK) sum += heads[next / CHUNK * width + column];
    y[key * width + column] = narrow<T>(sum);
}
