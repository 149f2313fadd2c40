// The instructions that CUDA C++ has no words for: tensor-core products, and how their factors come to them.
//
// Most came with sm_80. HAS_MMA says whether they are there; a kernel chooses its other way by `#if HAS_MMA`.
// Fragments are laid out over the lanes of a warp as the PTX manual draws them under mma.m16n8k16 and mma.m16n8k8.
#if !defined(__CUDACC__)
#define HAS_MMA 1
#include "ptx_emulated.hpp"
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define HAS_MMA 1

// d += a b: a is 16 x 16, b is 16 x 8, two numbers to a register; all 32 lanes take part.
#define MMA_16(name, type)                                                                                  \
    __device__ inline void name(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {            \
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, "          \
                     "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                               \
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                       \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
    }
MMA_16(mma_m16n8k16_f16, "f16")
MMA_16(mma_m16n8k16_bf16, "bf16")

// d += a b: a is 16 x 8, b is 8 x 8, numbers as to_tf32 gives them.
__device__ inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The nearest number with 10 fraction bits (ties away from zero).
__device__ inline unsigned to_tf32(float x) {
    unsigned y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return y;
}

// Sixteen bytes from global to shared memory, past the registers; zeros where not valid (then `global` is not read).
__device__ inline void cp_async_16(void* shared, const void* global, bool valid = true) {
    unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid ? 16 : 0) : "memory");
}
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most N of the groups committed last are under way; other threads' copies need __syncthreads too.
template <int N> __device__ inline void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// Four 8 x 8 matrices of 16-bit numbers from shared memory: lane i tells where row i % 8 of matrix i / 8 begins.
// Register m gets of matrix m what an mma fragment holds: row lane / 4, columns 2 (lane % 4) and the next; with
// `_trans`, rows 2 (lane % 4) and the next of column lane / 4.
#define LDMATRIX(name, how)                                                                                 \
    __device__ inline void name(unsigned (&r)[4], const void* row) {                                        \
        unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));                               \
        asm volatile("ldmatrix.sync.aligned.m8n8.x4" how ".shared.b16 {%0,%1,%2,%3}, [%4];"                 \
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");              \
    }
LDMATRIX(ldmatrix_x4, "")
LDMATRIX(ldmatrix_x4_trans, ".trans")

// 2^x to 2 units of the last place; results below 2^-126 become 0.
__device__ inline float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#else
#define HAS_MMA 0
#endif
