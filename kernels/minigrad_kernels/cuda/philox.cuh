// Philox4x64 with 10 rounds (Salmon et al. 2011): four random words from a counter and a key, and from nothing else.
#include "common.cuh"

typedef unsigned long long Word;

struct Block {
    Word word[4];
};

__device__ inline Block philox(Word counter, Word k0, Word k1) {
    Word c0 = counter, c1 = 0, c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        Word high0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0), low0 = 0xD2E7470EE14C6C93ULL * c0;
        Word high1 = __umul64hi(0xCA5A826395121157ULL, c2), low1 = 0xCA5A826395121157ULL * c2;
        c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += 0x9E3779B97F4A7C15ULL, k1 += 0xBB67AE8584CAA73BULL;
    }
    return {{c0, c1, c2, c3}};
}
