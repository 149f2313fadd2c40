// Where the matrices of one call of attention lie, and what a score is. Shared by all attention kernels.
//
// Leading axes are three (batch, head and group, say); a distance of 0 repeats a matrix: a bias for all heads, a
// key for a group of queries. So heads are read where a projection has left them, and nothing is copied.
#include "philox.cuh"

struct Lead {
    int items, middles, inners;  // items: the product of all three axes
};

// One place of the leading axes, and its number.
struct Item {
    long long number;
    int outer, middle, inner;
    __device__ Item(const Lead& lead, long long number) : number(number) {
        int rest = number / lead.inners;
        outer = rest / lead.middles, middle = rest % lead.middles, inner = number % lead.inners;
    }
};

struct Place {
    long long outer, middle, inner, row, column;  // distances in elements
    __device__ long long of(const Item& item) const {
        return item.outer * outer + item.middle * middle + item.inner * inner;
    }
};

struct Layout {
    Place q, k, v, bias, mask, y, g, dq, dk, dv;
    Word key0, key1;  // the dropout bits' stream
    Lead lead;
    int queries, keys, depth, deep;  // depth: of queries and keys; deep: of values
    unsigned limit;                  // draws below it are dropped
    float up;                        // what survivors are multiplied by
};

__device__ inline float infinity() { return __int_as_float(0x7f800000); }
__device__ inline bool is_finite(float x) { return x - x == 0; }
__device__ inline float finite_or_0(float x) { return is_finite(x) ? x : 0.0f; }

// Scores of one item. What takes no part gets -inf by addition, so that NaN stays.
template <typename T> struct Scores {
    const T* bias;
    const bool* mask;
    long long bias_row, bias_column, mask_row, mask_column;
    int queries, keys;
    float scale, unit;  // unit: what scores are multiplied by beside
    bool causal;

    __device__ Scores(const Layout& at, const Item& item, const T* bias, const bool* mask, float scale, bool causal,
                      float unit = 1)
        : bias(bias ? bias + at.bias.of(item) : nullptr),
          mask(mask ? mask + at.mask.of(item) : nullptr),
          bias_row(at.bias.row), bias_column(at.bias.column), mask_row(at.mask.row), mask_column(at.mask.column),
          queries(at.queries), keys(at.keys), scale(scale * unit), unit(unit), causal(causal) {}

    // Whether a tile of `width` keys has some that lie beyond the last one or above the diagonal.
    __device__ bool cuts(int query, int key, int width) const {
        return key + width > keys || (causal && key + width - 1 > query);
    }

    // Products become scores. query(i, j) and key(i, j) tell which ones s[i][j] belongs to.
    template <int I, int J, typename Query, typename Key>
    __device__ void operator()(float (&s)[I][J], Query query, Key key, bool cut) const {
#define EACH                                      \
    _Pragma("unroll") for (int i = 0; i < I; i++) \
        _Pragma("unroll") for (int j = 0; j < J; j++)
        auto inside = [&](int i, int j) { return query(i, j) < queries && key(i, j) < keys; };
        EACH s[i][j] *= scale;
        if (bias) EACH if (inside(i, j))
            s[i][j] += wide(bias[query(i, j) * bias_row + key(i, j) * bias_column]) * unit;
        if (mask) EACH if (inside(i, j) && !mask[query(i, j) * mask_row + key(i, j) * mask_column])
            s[i][j] -= infinity();
        if (!cut) return;
        EACH if (causal && key(i, j) > query(i, j)) s[i][j] -= infinity();
        EACH if (key(i, j) >= keys) s[i][j] = -infinity();
#undef EACH
    }
};

// Which weights dropout leaves, as bits that are a function of the seed and a weight's place: 32 random bits each,
// the columns of 64 keys together in the stream, row by row. A block of Philox decides on 8 keys of a row.
struct Dropout {
    const Layout& at;
    const Word* seed;  // nullptr: it came with the layout
    long long row;     // the item's first
    unsigned limit;

    __device__ Dropout(const Layout& at, const Item& item, const Word* seed)
        : at(at), seed(seed), row(item.number * at.queries), limit(at.limit) {}

    // The bits of ROWS queries and KEYS keys (8 to a byte), by all threads: to be seen after a barrier.
    template <int ROWS, int KEYS> __device__ void draw(unsigned char* kept, int query, int key) const {
        Word key0 = seed ? seed[0] : at.key0, key1 = seed ? seed[1] : at.key1;
        long long rows = static_cast<long long>(at.lead.items) * at.queries;
        for (int i = threadIdx.x; i < ROWS * KEYS / 8; i += blockDim.x) {
            int j = key + i % (KEYS / 8) * 8;
            Block drawn = philox((j / 64 * rows + row + query + i / (KEYS / 8)) * 8 + j % 64 / 8, key0, key1);
            unsigned char byte = 0;
            for (int bit = 0; bit < 8; bit++)
                byte |= (static_cast<unsigned>(drawn.word[bit / 2] >> bit % 2 * 32) >= limit) << bit;
            kept[i] = byte;
        }
    }

    template <int KEYS> __device__ static float keeps(const unsigned char* kept, int query, int key) {
        return kept[query * (KEYS / 8) + key / 8] >> key % 8 & 1;
    }
};

// The block of rows that this thread block works on, and its item. The longest walks of a causal call begin first.
struct Job {
    Item item;
    int first;
    __device__ Job(const Lead& lead, int rows, int M, bool backwards) : item(lead, blockIdx.x / blocks(rows, M)) {
        int block = blockIdx.x % blocks(rows, M);
        first = (backwards ? blocks(rows, M) - 1 - block : block) * M;
    }
    __device__ static int blocks(int rows, int M) { return ceil_div(rows, M); }
};
