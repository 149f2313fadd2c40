// What every kernel here uses: number types, sums over a warp or a block, shared memory.
//
// Sums are made in one fixed order (lanes by halves, then warps by halves), so that results are the same
// bits at every launch. `Wide<T>` is what sums of T are made in: float, or double for double.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define WARP 32
#define ALL 0xffffffffu

// Shared memory whose size is given at launch: SHARED(float, tile); then tile[i].
#ifdef __CUDACC__
#define SHARED(type, name)                                \
    extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(dynamic_shared)
#else
#define SHARED(type, name) type* name = reinterpret_cast<type*>(emulated_dynamic_shared())
#endif

template <typename T> struct WideOf { using type = float; };
template <> struct WideOf<double> { using type = double; };
template <typename T> using Wide = typename WideOf<T>::type;

__device__ inline float wide(float x) { return x; }
__device__ inline double wide(double x) { return x; }
__device__ inline float wide(__half x) { return __half2float(x); }
__device__ inline float wide(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> __device__ inline T narrow(Wide<T> x) { return static_cast<T>(x); }
template <> __device__ inline __half narrow<__half>(float x) { return __float2half_rn(x); }
template <> __device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float x) { return __float2bfloat16_rn(x); }

// N numbers that lie side by side and are read or written at once: 16 bytes are what a thread moves best.
template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T at[N]; };

__host__ __device__ constexpr long long ceil_div(long long a, long long b) { return (a + b - 1) / b; }

// This thread's number in the grid, and how many there are: for (i = first(); i < n; i += stride()).
__device__ inline long long first() { return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline long long stride() { return static_cast<long long>(gridDim.x) * blockDim.x; }

// ---- over a warp: every lane must arrive, every lane gets the result

template <typename S> __device__ inline S warp_sum(S x) {
    for (int reach = WARP / 2; reach > 0; reach /= 2) x += __shfl_xor_sync(ALL, x, reach);
    return x;
}

// max that lets NaN through, as NumPy's does.
template <typename S> __device__ inline S larger(S a, S b) { return a > b || a != a ? a : b; }

template <typename S> __device__ inline S warp_max(S x) {
    for (int reach = WARP / 2; reach > 0; reach /= 2) x = larger(x, __shfl_xor_sync(ALL, x, reach));
    return x;
}

// ---- over a block of one dimension: every thread must arrive, every thread gets the result

template <typename S> __device__ inline S block_sum(S x) {
    __shared__ S parts[WARP];
    x = warp_sum(x);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = ceil_div(blockDim.x, WARP);
    if (warps == 1) return x;
    __syncthreads();  // parts may still be read from the sum before
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? parts[lane] : S(0));
}

template <typename S> __device__ inline S block_max(S x) {
    __shared__ S parts[WARP];
    x = warp_max(x);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = ceil_div(blockDim.x, WARP);
    if (warps == 1) return x;
    __syncthreads();
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_max(parts[lane < warps ? lane : 0]);
}
