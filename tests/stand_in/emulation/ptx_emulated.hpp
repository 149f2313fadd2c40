// What ptx.cuh offers, without a GPU: tensor-core products by the fragment layouts of the PTX manual, and
// asynchronous copies that are made when they are waited for.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace emulation {
struct Fragments { unsigned a[4], b[2]; };

inline float half_at(unsigned pair, int which) { return from_half(pair >> 16 * which); }
inline float bfloat16_at(unsigned pair, int which) { return same_bits<float>(pair >> 16 * which << 16); }
inline float tf32_at(unsigned x, int) { return same_bits<float>(x & ~0x1fffu); }

// d += a b for a 16 x k tile of a and a k x 8 tile of b, shared out over the 32 lanes of a warp.
// `packed` numbers lie in a register (2 for 16-bit types, 1 for tf32); k is 8 times that.
template <int packed> void mma(const char* what, int line, float* d, const unsigned* a, const unsigned* b, float (*at)(unsigned, int)) {
    Fragments mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, all[LANES];
    Gathered gathered = gather(what, line, 0xffffffff, mine);
    for (int i = 0; i < LANES; i++) all[i] = gathered.from<Fragments>(i);
    int group = lane() / 4, place = lane() % 4;
    for (int i = 0; i < 4; i++) {
        int row = group + i / 2 * 8, column = place * 2 + i % 2;
        float sum = d[i];
        for (int k = 0; k < 8 * packed; k++) {
            // lane row % 8 holds the row in four lanes, `packed` neighbours of k each; the rest in later registers
            int holder = k / packed % 4, later = k / packed / 4, part = k % packed;
            unsigned of_a = all[row % 8 * 4 + holder].a[row / 8 + 2 * later], of_b = all[column * 4 + holder].b[later];
            sum += at(of_a, part) * at(of_b, part);
        }
        d[i] = sum;
    }
}
}  // namespace emulation

inline void mma_m16n8k16_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE()) {
    emulation::mma<2>("mma_m16n8k16_f16", line, d, a, b, emulation::half_at);
}
inline void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE()) {
    emulation::mma<2>("mma_m16n8k16_bf16", line, d, a, b, emulation::bfloat16_at);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE()) {
    emulation::mma<1>("mma_m16n8k8_tf32", line, d, a, b, emulation::tf32_at);
}

// Nearest with 10 fraction bits, ties away from zero.
inline unsigned to_tf32(float x) {
    unsigned bits = emulation::same_bits<unsigned>(x);
    if (x != x) return 0x7fffffff;
    return isinf(x) ? bits : (bits + 0x1000) & ~0x1fffu;
}

// A copy is made when its thread waits for it, as late as the GPU may make it: who does not wait reads NaN.
namespace emulation {
inline void wait_for_copies(int but) {
    Copy* mine = machine.copies[me->number];
    int kept = 0;
    for (int i = 0; i < me->copies; i++) {
        if (mine[i].group >= me->groups - but) {
            mine[kept++] = mine[i];
        } else if (mine[i].from) {
            *(uint4*)mine[i].to = *(const uint4*)mine[i].from;
        } else {
            *(uint4*)mine[i].to = uint4{0, 0, 0, 0};
        }
    }
    me->copies = kept;
}
}  // namespace emulation

inline void cp_async_16(void* shared, const void* global, bool valid = true, int line = __builtin_LINE()) {
    using namespace emulation;
    if ((size_t)shared % 16 || (valid && (size_t)global % 16)) fail("line %d: cp_async_16 needs addresses in whole 16 bytes", line);
    if (me->copies == COPIES) fail("line %d: more than %d copies under way", line, COPIES);
    machine.copies[me->number][me->copies++] = {shared, valid ? global : nullptr, me->groups};
}
inline void cp_async_commit() { emulation::me->groups++; }
template <int N> void cp_async_wait() { emulation::wait_for_copies(N); }

namespace emulation {
inline void ldmatrix(const char* what, int line, unsigned* r, const void* row, bool transposed) {
    if ((size_t)row % 16) fail("line %d: %s needs rows at whole 16 bytes", line, what);
    Gathered all = gather(what, line, 0xffffffff, (const unsigned short*)row);
    int group = lane() / 4, place = lane() % 4;
    for (int m = 0; m < 4; m++) {
        const unsigned short *one = all.from<const unsigned short*>(m * 8 + (transposed ? 2 * place : group)), *next = one;
        if (transposed) next = all.from<const unsigned short*>(m * 8 + 2 * place + 1);
        r[m] = transposed ? one[group] | unsigned(next[group]) << 16 : one[2 * place] | unsigned(next[2 * place + 1]) << 16;
    }
    gather(what, line, 0xffffffff, 0);  // all have read before one writes there
}
}  // namespace emulation

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
    emulation::ldmatrix("ldmatrix_x4", line, r, row, false);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
    emulation::ldmatrix("ldmatrix_x4_trans", line, r, row, true);
}
inline float exp2_approx(float x) { return exp2f(x); }
