// Activations and their gradients: each operand is read once, 16 bytes at a time, and the result written once.
//
// Two kernels serve all: a function is a type with `value` (the forward) and `slope` (g times the derivative at s,
// which is the result for Relu, Tanh and Sigmoid and the argument for the others).
#include "common.cuh"

template <typename S> __device__ inline S sigmoid_of(S x) {
    S e = exp(x > 0 ? -x : x);  // never overflows
    return (x > 0 ? S(1) : e) / (S(1) + e);
}

template <typename S> __device__ inline S normal_cdf(S x) { return S(0.5) * erfc(x * S(-0.70710678118654752)); }

struct Relu {
    template <typename S> static __device__ S value(S x, S, S) { return x < 0 ? S(0) : x; }  // a NaN stays
    template <typename S> static __device__ S slope(S g, S y, S, S) { return y > 0 ? g : S(0); }
};

struct Tanh {
    template <typename S> static __device__ S value(S x, S, S) { return tanh(x); }
    template <typename S> static __device__ S slope(S g, S y, S, S) { return g * (S(1) - y * y); }
};

struct Sigmoid {
    template <typename S> static __device__ S value(S x, S, S) { return sigmoid_of(x); }
    template <typename S> static __device__ S slope(S g, S y, S, S) { return g * (y * (S(1) - y)); }
};

struct Gelu {
    template <typename S> static __device__ S value(S x, S, S) { return x * normal_cdf(x); }
    template <typename S> static __device__ S slope(S g, S x, S, S) {
        return g * (normal_cdf(x) + x * exp(S(-0.5) * x * x) * S(0.39894228040143268));  // 1 / sqrt(2 pi)
    }
};

struct Silu {
    template <typename S> static __device__ S value(S x, S, S) { return x * sigmoid_of(x); }
    template <typename S> static __device__ S slope(S g, S x, S, S) {
        S h = sigmoid_of(x);
        return g * (h * (S(1) + x * (S(1) - h)));
    }
};

struct LeakyRelu {  // a: the slope below 0
    template <typename S> static __device__ S value(S x, S a, S) { return x > 0 ? x : a * x; }
    template <typename S> static __device__ S slope(S g, S x, S a, S) { return x > 0 ? g : a * g; }
};

struct Elu {  // a: minus the limit below 0
    template <typename S> static __device__ S value(S x, S a, S) { return x > 0 ? x : a * expm1(x); }
    template <typename S> static __device__ S slope(S g, S x, S a, S) { return x > 0 ? g : g * (a * exp(x)); }
};

struct Softplus {  // a: beta; b: the threshold above which it is x
    template <typename S> static __device__ S value(S x, S a, S b) {
        S z = x * a;
        return z > b ? x : ((z > 0 ? z : S(0)) + log1p(exp(z > 0 ? -z : z))) / a;
    }
    template <typename S> static __device__ S slope(S g, S x, S a, S b) {
        return x * a > b ? g : g * sigmoid_of(x * a);
    }
};

template <typename T, typename F, int N>
__global__ void forward(const T* __restrict__ x, T* __restrict__ y, long long n, Wide<T> a, Wide<T> b) {
    for (long long i = first() * N; i < n; i += stride() * N) {
        if (i + N <= n) {
            Pack<T, N> in = *reinterpret_cast<const Pack<T, N>*>(x + i), out;
#pragma unroll
            for (int k = 0; k < N; ++k) out.at[k] = narrow<T>(F::value(wide(in.at[k]), a, b));
            *reinterpret_cast<Pack<T, N>*>(y + i) = out;
        } else {
            for (long long k = i; k < n; ++k) y[k] = narrow<T>(F::value(wide(x[k]), a, b));
        }
    }
}

template <typename T, typename F, int N>
__global__ void backward(const T* __restrict__ g, const T* __restrict__ s, T* __restrict__ dx, long long n, Wide<T> a,
                         Wide<T> b) {
    for (long long i = first() * N; i < n; i += stride() * N) {
        if (i + N <= n) {
            Pack<T, N> up = *reinterpret_cast<const Pack<T, N>*>(g + i), at = *reinterpret_cast<const Pack<T, N>*>(s + i);
            Pack<T, N> out;
#pragma unroll
            for (int k = 0; k < N; ++k) out.at[k] = narrow<T>(F::slope(wide(up.at[k]), wide(at.at[k]), a, b));
            *reinterpret_cast<Pack<T, N>*>(dx + i) = out;
        } else {
            for (long long k = i; k < n; ++k) dx[k] = narrow<T>(F::slope(wide(g[k]), wide(s[k]), a, b));
        }
    }
}
