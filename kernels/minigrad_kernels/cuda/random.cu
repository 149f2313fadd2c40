// Random numbers by Philox4x64 with 10 rounds (Salmon et al. 2011): word i of a stream is a function of (key, i).
//
// So each thread computes the words it needs, four at a time, from nothing but their number: no state is read
// or written, no order matters, and the bits are those of the CPU. The stream's place is given by value, or,
// for a captured step, lies on the device as (key0, key1, start), where every replay finds the next one.
#include "philox.cuh"

// A draw of words start, start + 1, ...: thread t has the block in which words 4 t - skip ... of the draw lie.
struct Draw {
    Word key0, key1, start;

    __device__ Draw(Word k0, Word k1, Word at, const Word* place)
        : key0(place ? place[0] : k0), key1(place ? place[1] : k1), start(place ? place[2] : at) {}
    __device__ Block block(long long t) const { return philox((start >> 2) + t, key0, key1); }
    __device__ long long word(long long t) const { return 4 * t - static_cast<long long>(start & 3); }
};

// Two uniform numbers of 24 bits from a word, the low half first; one of 53 bits for double.
__device__ inline float uniform_of(unsigned half) { return (half >> 8) * 5.9604644775390625e-8f; }
__device__ inline double uniform_of(Word word) { return (word >> 11) * 1.1102230246251565404e-16; }

// 16-bit floats round 1 - 2^-24 up to 1: held below it.
template <typename T> __device__ inline T below_one(float u) { return u; }
template <> __device__ inline __half below_one<__half>(float u) {
    __half y = narrow<__half>(u);
    return wide(y) < 1.0f ? y : narrow<__half>(0.99951171875f);
}
template <> __device__ inline __nv_bfloat16 below_one<__nv_bfloat16>(float u) {
    __nv_bfloat16 y = narrow<__nv_bfloat16>(u);
    return wide(y) < 1.0f ? y : narrow<__nv_bfloat16>(0.99609375f);
}

// Both numbers of a word go out in one store. Fresh arrays are aligned for it.
template <typename T> struct alignas(2 * sizeof(T)) Pair {
    T a, b;
};

template <typename T> __device__ inline void put_pair(T* y, long long i, T a, T b, long long n) {
    if (i + 1 < n) *reinterpret_cast<Pair<T>*>(y + i) = {a, b};
    else if (i < n) y[i] = a;
}

__global__ void random_words(unsigned long long* __restrict__ y, unsigned long long key0, unsigned long long key1,
                             unsigned long long start, const unsigned long long* __restrict__ place, long long n) {
    Draw draw(key0, key1, start, place);
    long long t = first(), w = draw.word(t);
    if (w >= n) return;
    Block block = draw.block(t);
    for (int j = 0; j < 4; j++)
        if (w + j >= 0 && w + j < n) y[w + j] = block.word[j];
}

__global__ void uniform_double(double* __restrict__ y, unsigned long long key0, unsigned long long key1,
                               unsigned long long start, const unsigned long long* __restrict__ place, long long n) {
    Draw draw(key0, key1, start, place);
    long long t = first(), w = draw.word(t);
    if (w >= n) return;
    Block block = draw.block(t);
    for (int j = 0; j < 4; j++)
        if (w + j >= 0 && w + j < n) y[w + j] = uniform_of(block.word[j]);
}

template <typename T>
__global__ void uniform_single(T* __restrict__ y, unsigned long long key0, unsigned long long key1,
                               unsigned long long start, const unsigned long long* __restrict__ place, long long n) {
    Draw draw(key0, key1, start, place);
    long long t = first(), w = draw.word(t);
    if (2 * w >= n) return;
    Block block = draw.block(t);
    for (int j = 0; j < 4; j++) {
        if (w + j < 0) continue;
        float a = uniform_of(static_cast<unsigned>(block.word[j]));
        float b = uniform_of(static_cast<unsigned>(block.word[j] >> 32));
        put_pair(y, 2 * (w + j), below_one<T>(a), below_one<T>(b), n);
    }
}

// y = x m with m = 0 where a uniform number is below p, else scale; m is kept for the backward pass.
template <typename T>
__global__ void dropout_forward(const T* __restrict__ x, T* __restrict__ y, T* __restrict__ mask, float p, double scale,
                                unsigned long long key0, unsigned long long key1, unsigned long long start,
                                const unsigned long long* __restrict__ place, long long n) {
    Draw draw(key0, key1, start, place);
    long long t = first(), w = draw.word(t);
    if (2 * w >= n) return;
    Block block = draw.block(t);
    Wide<T> kept = static_cast<Wide<T>>(scale);
    for (int j = 0; j < 4; j++) {
        long long i = 2 * (w + j);
        if (i < 0 || i >= n) continue;
        Wide<T> a = uniform_of(static_cast<unsigned>(block.word[j])) < p ? Wide<T>(0) : kept;
        Wide<T> b = uniform_of(static_cast<unsigned>(block.word[j] >> 32)) < p ? Wide<T>(0) : kept;
        Wide<T> other = i + 1 < n ? wide(x[i + 1]) : Wide<T>(0);
        put_pair(mask, i, narrow<T>(a), narrow<T>(b), n);
        put_pair(y, i, narrow<T>(wide(x[i]) * a), narrow<T>(other * b), n);
    }
}
