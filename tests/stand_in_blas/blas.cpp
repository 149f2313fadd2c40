// The entry points of cuBLAS and cublasLt that minigrad calls, over host memory with plain loops.
//
// Column-major, leading dimensions, batch steps, compute types and epilogues as NVIDIA documents them, and as
// strict about arguments. It is no fast library: it proves what our side asks for. What was asked is kept and
// can be read (stand_in_*), and one call can be made to fail. Compiled with -DCUBLAS_HEADERS, NVIDIA's own
// headers declare the functions, so that a wrong type here would not compile.
#include <cstdint>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#ifdef CUBLAS_HEADERS
#include <cublasLt.h>
#include <cublas_v2.h>
#else
typedef int cublasStatus_t, cublasMath_t, cublasOperation_t, cudaDataType, cudaDataType_t, cublasComputeType_t;
typedef int cublasGemmAlgo_t, cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t;
typedef int cublasLtMatmulPreferenceAttributes_t;
typedef struct cublasContext* cublasHandle_t;
typedef struct cublasLtContext* cublasLtHandle_t;
typedef struct CUstream_st* cudaStream_t;
typedef struct { uint64_t data[32]; } *cublasLtMatmulDesc_t;
typedef struct { uint64_t data[8]; } *cublasLtMatrixLayout_t;
typedef struct { uint64_t data[8]; } *cublasLtMatmulPreference_t;
typedef struct { uint64_t data[8]; } cublasLtMatmulAlgo_t;
typedef struct {
    cublasLtMatmulAlgo_t algo;
    size_t workspaceSize;
    cublasStatus_t state;
    float wavesCount;
    int reserved[4];
} cublasLtMatmulHeuristicResult_t;
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14 };
enum { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_TF32 = 77 };
enum { DEFAULT = 1, RELU = 2, BIAS = 4, RELU_BIAS = 6, GELU_BIAS = 36 };
const uint64_t MAGIC = 0x6d696e6967726164;

// ---- what was asked, for tests

struct Asked {
    long long gemms, matmuls, heuristics, handles, compute, stream, workspace, bytes, math, batch, ta, tb, epilogue,
        reduction, m, n, k;
} asked;

std::string failing;
int failing_status;

// The status that a test has planted for this function, once; else success.
int planted(const char* function) {
    if (failing != function) return SUCCESS;
    failing.clear();
    return failing_status;
}

// ---- numbers

float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

// Round to the nearest float whose last `drop` bits are zero, ties to even.
float rounded(float x, int drop) {
    if (!std::isfinite(x)) return x;
    uint32_t bits = to_bits(x), half = (1u << (drop - 1)) - 1 + ((bits >> drop) & 1);
    return from_bits((bits + half) >> drop << drop);
}

double load(const void* p, long long i, int type) {
    if (type == R_64F) return static_cast<const double*>(p)[i];
    if (type == R_16F) return static_cast<const _Float16*>(p)[i];
    if (type == R_16BF) return from_bits(uint32_t(static_cast<const uint16_t*>(p)[i]) << 16);
    return static_cast<const float*>(p)[i];
}

void store(void* p, long long i, int type, double x) {
    if (type == R_64F) static_cast<double*>(p)[i] = x;
    else if (type == R_16F) static_cast<_Float16*>(p)[i] = _Float16(float(x));
    else if (type == R_16BF) static_cast<uint16_t*>(p)[i] = to_bits(rounded(float(x), 16)) >> 16;
    else static_cast<float*>(p)[i] = float(x);
}

bool known(int type) { return type == R_32F || type == R_64F || type == R_16F || type == R_16BF; }

// ---- the product

struct Matrix {
    const void* p;
    int type;
    long long rows, columns, ld, step;
};

double scalar(const void* p, int compute) {
    return compute == COMPUTE_64F ? *static_cast<const double*>(p) : *static_cast<const float*>(p);
}

bool fits(int compute, int in, int out) {
    if (compute == COMPUTE_64F) return in == R_64F && out == R_64F;
    if (compute == COMPUTE_TF32) return in == R_32F && out == R_32F;
    return compute == COMPUTE_32F && in != R_64F && (out == in || out == R_32F);
}

int product(
    bool ta, bool tb, long long m, long long n, long long k, Matrix a, Matrix b, Matrix c, void* out, double alpha,
    double beta, long long batch, int compute, int epilogue, const void* bias
) {
    if (m < 0 || n < 0 || k < 0 || batch < 0 || !known(a.type) || a.type != b.type) return INVALID_VALUE;
    if (a.rows != (ta ? k : m) || a.columns != (ta ? m : k) || b.rows != (tb ? n : k)) return INVALID_VALUE;
    if (b.columns != (tb ? k : n) || c.rows != m || c.columns != n) return INVALID_VALUE;
    for (const Matrix& x : {a, b, c})
        if (!x.p || x.ld < (x.rows > 1 ? x.rows : 1)) return INVALID_VALUE;
    if (!fits(compute, a.type, c.type)) return NOT_SUPPORTED;
    asked.compute = compute, asked.ta = ta, asked.tb = tb, asked.batch = batch;
    asked.m = m, asked.n = n, asked.k = k, asked.epilogue = epilogue;
    for (long long i = 0; i < batch; i++)
        for (long long column = 0; column < n; column++)
            for (long long row = 0; row < m; row++) {
                double sum = 0;
                for (long long l = 0; l < k; l++) {
                    double x = load(a.p, i * a.step + (ta ? l + row * a.ld : row + l * a.ld), a.type);
                    double y = load(b.p, i * b.step + (tb ? column + l * b.ld : l + column * b.ld), b.type);
                    if (compute == COMPUTE_TF32) x = rounded(x, 13), y = rounded(y, 13);
                    sum += x * y;
                }
                long long at = i * c.step + row + column * c.ld;
                double y = alpha * sum + (beta != 0 ? beta * load(c.p, at, c.type) : 0);
                if (epilogue & BIAS) y += load(bias, row, c.type);
                if (epilogue & RELU) y = y > 0 || y != y ? y : 0;
                if (epilogue == GELU_BIAS) y = 0.5 * y * (1 + tanh(0.7978845608028654 * (y + 0.044715 * y * y * y)));
                store(out, at, c.type, y);
            }
    return SUCCESS;
}

struct Handle {
    cudaStream_t stream = nullptr;
    void* workspace = nullptr;
    size_t bytes = 0;
    int math = 0;
};

}  // namespace

// ---- for tests

EXPORT const Asked* stand_in_asked() { return &asked; }
EXPORT void stand_in_fail(const char* function, int status) { failing = function, failing_status = status; }

// ---- cublas_api.h

EXPORT cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
    if (int status = planted("cublasCreate_v2")) return cublasStatus_t(status);
    *handle = reinterpret_cast<cublasHandle_t>(new Handle);
    asked.handles++;
    return cublasStatus_t(SUCCESS);
}

EXPORT cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    delete reinterpret_cast<Handle*>(handle);
    return cublasStatus_t(SUCCESS);
}

EXPORT cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    Handle* h = reinterpret_cast<Handle*>(handle);
    h->stream = stream, h->workspace = nullptr, h->bytes = 0;  // as documented: the workspace is reset
    return cublasStatus_t(planted("cublasSetStream_v2"));
}

EXPORT cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
    Handle* h = reinterpret_cast<Handle*>(handle);
    h->workspace = workspace, h->bytes = bytes;
    return cublasStatus_t(planted("cublasSetWorkspace_v2"));
}

EXPORT cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    reinterpret_cast<Handle*>(handle)->math = mode;
    return cublasStatus_t(planted("cublasSetMathMode"));
}

static cublasStatus_t gemm(
    const char* function, cublasHandle_t handle, bool ta, bool tb, int m, int n, int k, const void* alpha,
    const void* a, int a_type, int lda, long long step_a, const void* b, int b_type, int ldb, long long step_b,
    const void* beta, void* c, int c_type, int ldc, long long step_c, int batch, int compute
) {
    if (int status = planted(function)) return cublasStatus_t(status);
    Handle* h = reinterpret_cast<Handle*>(handle);
    asked.gemms++;
    asked.stream = reinterpret_cast<intptr_t>(h->stream), asked.math = h->math;
    asked.workspace = reinterpret_cast<intptr_t>(h->workspace), asked.bytes = h->bytes;
    return cublasStatus_t(product(
        ta, tb, m, n, k, {a, a_type, ta ? k : m, ta ? m : k, lda, step_a},
        {b, b_type, tb ? n : k, tb ? k : n, ldb, step_b}, {c, c_type, m, n, ldc, step_c}, c,
        scalar(alpha, compute), scalar(beta, compute), batch, compute, DEFAULT, nullptr
    ));
}

EXPORT cublasStatus_t cublasGemmEx(
    cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* alpha,
    const void* a, cudaDataType a_type, int lda, const void* b, cudaDataType b_type, int ldb, const void* beta,
    void* c, cudaDataType c_type, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t
) {
    return gemm(
        "cublasGemmEx", handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c, c_type, ldc,
        0, 1, compute
    );
}

EXPORT cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* alpha,
    const void* a, cudaDataType a_type, int lda, long long int step_a, const void* b, cudaDataType b_type, int ldb,
    long long int step_b, const void* beta, void* c, cudaDataType c_type, int ldc, long long int step_c, int batch,
    cublasComputeType_t compute, cublasGemmAlgo_t
) {
    return gemm(
        "cublasGemmStridedBatchedEx", handle, ta, tb, m, n, k, alpha, a, a_type, lda, step_a, b, b_type, ldb,
        step_b, beta, c, c_type, ldc, step_c, batch, compute
    );
}

// ---- cublasLt.h: descriptors are kept in their own opaque words

namespace {

struct Desc {
    uint64_t compute, scale, ta, tb, epilogue, bias;
};
struct Layout {
    uint64_t type, rows, columns, ld, batch, step;
};
struct Preference {
    uint64_t workspace, reduction, alignment[4];
};

// One attribute into its word: the size of what is given must be that of the attribute.
int set(uint64_t* word, const void* value, size_t given, size_t expected) {
    if (!word || !value || given != expected) return INVALID_VALUE;
    *word = 0;
    memcpy(word, value, given);
    return SUCCESS;
}

Desc* desc_of(cublasLtMatmulDesc_t d) { return reinterpret_cast<Desc*>(d); }
Layout* layout_of(cublasLtMatrixLayout_t x) { return reinterpret_cast<Layout*>(x); }

Matrix matrix_of(const void* p, cublasLtMatrixLayout_t x) {
    Layout* l = layout_of(x);
    return {p, int(l->type), (long long)l->rows, (long long)l->columns, (long long)l->ld, (long long)l->step};
}

template <typename Made, typename Mine> int made(const char* function, Made* out, Mine mine) {
    if (int status = planted(function)) return status;
    auto* memory = new std::vector<uint64_t>(32);
    memcpy(memory->data(), &mine, sizeof mine);
    *out = reinterpret_cast<Made>(memory->data());  // a leak of 256 bytes: tests are short
    return SUCCESS;
}

}  // namespace

EXPORT cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
    *handle = reinterpret_cast<cublasLtHandle_t>(new Handle);
    return cublasStatus_t(planted("cublasLtCreate"));
}

EXPORT cublasStatus_t cublasLtMatmulDescCreate(
    cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale
) {
    return cublasStatus_t(made("cublasLtMatmulDescCreate", desc, Desc{uint64_t(compute), uint64_t(scale), 0, 0, DEFAULT, 0}));
}

EXPORT cublasStatus_t cublasLtMatmulDescSetAttribute(
    cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const void* value, size_t size
) {
    Desc* d = desc_of(desc);
    if (attribute == 3) return cublasStatus_t(set(&d->ta, value, size, 4));
    if (attribute == 4) return cublasStatus_t(set(&d->tb, value, size, 4));
    if (attribute == 7) return cublasStatus_t(set(&d->epilogue, value, size, 4));
    if (attribute == 8) return cublasStatus_t(set(&d->bias, value, size, 8));
    return cublasStatus_t(INVALID_VALUE);
}

EXPORT cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t) { return cublasStatus_t(SUCCESS); }

EXPORT cublasStatus_t cublasLtMatrixLayoutCreate(
    cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows, uint64_t columns, int64_t ld
) {
    return cublasStatus_t(made("cublasLtMatrixLayoutCreate", layout, Layout{uint64_t(type), rows, columns, uint64_t(ld), 1, 0}));
}

EXPORT cublasStatus_t cublasLtMatrixLayoutSetAttribute(
    cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void* value, size_t size
) {
    if (attribute == 5) return cublasStatus_t(set(&layout_of(layout)->batch, value, size, 4));
    if (attribute == 6) return cublasStatus_t(set(&layout_of(layout)->step, value, size, 8));
    return cublasStatus_t(INVALID_VALUE);
}

EXPORT cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t) { return cublasStatus_t(SUCCESS); }

EXPORT cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
    return cublasStatus_t(made("cublasLtMatmulPreferenceCreate", preference, Preference{0, 7, {256, 256, 256, 256}}));
}

EXPORT cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
    size_t size
) {
    Preference* p = reinterpret_cast<Preference*>(preference);
    if (attribute == 1) return cublasStatus_t(set(&p->workspace, value, size, 8));
    if (attribute == 3) return cublasStatus_t(set(&p->reduction, value, size, 4));
    if (attribute >= 5 && attribute <= 8) return cublasStatus_t(set(&p->alignment[attribute - 5], value, size, 4));
    return cublasStatus_t(INVALID_VALUE);
}

EXPORT cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t) { return cublasStatus_t(SUCCESS); }

// The algorithm remembers the alignment that it was promised. None for float64 with an epilogue.
EXPORT cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
    cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t results[], int* count
) {
    *count = 0;
    if (int status = planted("cublasLtMatmulAlgoGetHeuristic")) return cublasStatus_t(status);
    if (requested <= 0) return cublasStatus_t(INVALID_VALUE);
    Preference* p = reinterpret_cast<Preference*>(preference);
    asked.heuristics++, asked.reduction = p->reduction;
    if (layout_of(d)->type == R_64F && desc_of(desc)->epilogue != DEFAULT) return cublasStatus_t(SUCCESS);
    memset(&results[0], 0, sizeof results[0]);
    results[0].algo.data[0] = MAGIC;
    for (int i = 0; i < 4; i++) results[0].algo.data[1 + i] = p->alignment[i];
    results[0].workspaceSize = p->workspace;
    *count = 1;
    return cublasStatus_t(SUCCESS);
}

EXPORT cublasStatus_t cublasLtMatmul(
    cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
    const void* b, cublasLtMatrixLayout_t b_layout, const void* beta, const void* c, cublasLtMatrixLayout_t c_layout,
    void* d, cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace, size_t bytes,
    cudaStream_t stream
) {
    if (int status = planted("cublasLtMatmul")) return cublasStatus_t(status);
    const void* pointers[4] = {a, b, c, d};
    if (!algo || algo->data[0] != MAGIC) return cublasStatus_t(INVALID_VALUE);
    for (int i = 0; i < 4; i++)
        if (reinterpret_cast<uintptr_t>(pointers[i]) % algo->data[1 + i]) return cublasStatus_t(INVALID_VALUE);
    asked.matmuls++, asked.stream = reinterpret_cast<intptr_t>(stream);
    asked.workspace = reinterpret_cast<intptr_t>(workspace), asked.bytes = bytes;
    Desc* o = desc_of(desc);
    Layout* l = layout_of(d_layout);
    long long batch = l->batch, k = o->ta ? layout_of(a_layout)->rows : layout_of(a_layout)->columns;
    if (layout_of(a_layout)->batch != l->batch || layout_of(b_layout)->batch != l->batch) return cublasStatus_t(INVALID_VALUE);
    (void)c_layout;
    return cublasStatus_t(product(
        o->ta, o->tb, l->rows, l->columns, k, matrix_of(a, a_layout), matrix_of(b, b_layout), matrix_of(d, d_layout),
        d, scalar(alpha, o->compute), scalar(beta, o->compute), batch, o->compute, o->epilogue,
        reinterpret_cast<void*>(o->bias)
    ));
}
