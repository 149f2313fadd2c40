// Blocks and threads of a kernel on one thread of the CPU.
//
// A thread of a block is a fiber: a stack of its own, entered and left by setjmp/longjmp. It runs until it has
// to wait for others (a barrier, a warp shuffle) or ends; then the next one runs. So a kernel is executed as
// its text says, one thread at a time, in an order that is always the same - and that may be reversed, which a
// kernel without races cannot notice. What cannot go on, or CUDA leaves undefined, is reported and abandoned.
#pragma once
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define UNCHECKED __attribute__((no_sanitize("thread"), noinline))

struct uint3 { unsigned x, y, z; };

namespace emulation {

enum State { READY, AT_BARRIER, AT_MEETING, ENDED };
constexpr int MOST_THREADS = 1024, LANES = 32, MEETINGS = 8, BRINGS = 48;
constexpr int COPIES = 128;  // asynchronous copies under way, of one thread
constexpr size_t STACK = 256 * 1024, PAGE = 4096, MOST_SHARED = 227 * 1024, CANARY = 64;

struct Fiber { jmp_buf at; unsigned char* stack; bool alive; };
struct Copy { void* to; const void* from; int group; };
struct Thread {
    State state;
    uint3 index;
    int number, line;
    const char* what;
    Fiber* fiber;
    bool predicate;
    int copies, groups;  // of asynchronous copies (ptx_emulated.hpp)
};

// Lanes of one warp that exchange something: each brings up to 48 bytes, and sees what the others brought.
struct Meeting {
    unsigned mask, arrived, present[2];
    int round, line;
    const char* what;
    alignas(16) unsigned char brought[2][LANES][BRINGS];
};
struct Warp {
    Meeting meetings[MEETINGS];
    unsigned live;   // the lanes that have not ended
    unsigned syncs;  // how often they met in __syncwarp
};

// All that belongs to the emulation and not to the kernel lies in one place (checks.hpp looks past it).
static struct Machine {
    uint3 thread, block, block_size, grid_size;
    Fiber fibers[MOST_THREADS], *idle[MOST_THREADS];
    Thread threads[MOST_THREADS], *me;
    Warp warps[MOST_THREADS / LANES];
    int idle_count, count, order;
    jmp_buf scheduler;
    sigjmp_buf abandoned;
    char message[1024];
    int barrier_count;  // how many threads said yes at the last barrier
    unsigned blocks_run, barriers_passed;
    bool fenced;     // the kernel has called __threadfence
    bool in_kernel;  // a thread of the kernel runs, not the scheduler
    void (*body)(void*);
    void* body_argument;
    size_t dynamic_shared_bytes;
    unsigned char* stacks;
    Copy copies[MOST_THREADS][COPIES];
} machine;
alignas(128) static unsigned char dynamic_shared[MOST_SHARED + CANARY];

static auto &fibers = machine.fibers;
static auto &idle = machine.idle;
static auto &threads = machine.threads;
static auto &warps = machine.warps;
static auto &me = machine.me;
static auto &idle_count = machine.idle_count, &count = machine.count, &order = machine.order;
static auto &barrier_count = machine.barrier_count;
static auto &scheduler = machine.scheduler;
static auto &abandoned = machine.abandoned;
static auto &message = machine.message;
static auto &body = machine.body;
static auto &body_argument = machine.body_argument;
static auto &dynamic_shared_bytes = machine.dynamic_shared_bytes;
}  // namespace emulation

static auto &threadIdx = emulation::machine.thread, &blockIdx = emulation::machine.block;
static auto &blockDim = emulation::machine.block_size, &gridDim = emulation::machine.grid_size;

namespace emulation {

[[noreturn]] inline void fail(const char* format, ...) {
    int length = snprintf(message, sizeof message, "block (%u, %u, %u), thread (%u, %u, %u): ", blockIdx.x, blockIdx.y,
                          blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    va_list given;
    va_start(given, format);
    vsnprintf(message + length, sizeof message - length, format, given);
    va_end(given);
    siglongjmp(abandoned, 1);
}

// ---- fibers

__attribute__((noinline)) static void leave(State state) {
    me->state = state;
    machine.in_kernel = false;
    if (!_setjmp(me->fiber->at)) _longjmp(scheduler, 1);
    machine.in_kernel = state != ENDED;
}

static void fiber_main() {
    for (;;) {
        body(body_argument);
        leave(ENDED);
    }
}

static void enter_new(Fiber* fiber) {
    ucontext_t context;
    if (!fiber->stack) {
        fiber->stack = machine.stacks + (fiber - fibers) * STACK;
        mprotect(fiber->stack, PAGE, PROT_NONE);  // an overflow faults instead of writing elsewhere
    }
    getcontext(&context);
    context.uc_stack.ss_sp = fiber->stack;
    context.uc_stack.ss_size = STACK - (fiber - fibers) % 64 * 320;  // not all tops in the same lines of the cache
    context.uc_link = nullptr;
    makecontext(&context, fiber_main, 0);
    fiber->alive = true;
    setcontext(&context);
}

static void run(Thread* thread) {
    me = thread;
    threadIdx = thread->index;
    if (!_setjmp(scheduler)) {
        if (!me->fiber) me->fiber = idle[--idle_count];
        if (!me->fiber->alive) enter_new(me->fiber);
        _longjmp(me->fiber->at, 1);
    }
    if (me->state != ENDED) return;
    idle[idle_count++] = me->fiber;
    warps[me->number / LANES].live &= ~(1u << me->number % LANES);
}

// ---- meetings of a warp

inline unsigned live(int warp) { return warps[warp].live; }

inline void close(int warp, Meeting& m) {
    m.present[m.round & 1] = m.arrived;
    for (int lane = 0; lane < LANES; lane++) {
        Thread& t = threads[warp * LANES + lane];
        if ((m.arrived >> lane & 1) && t.state == AT_MEETING) t.state = READY;
    }
    m.arrived = 0;
    m.round++;
    warps[warp].syncs += !strcmp(m.what, "__syncwarp");
}

struct Gathered {
    Meeting* meeting;
    int round;
    template <typename T> T from(int lane) const {
        if (!(meeting->present[round & 1] >> lane & 1))
            fail("line %d: %s reads lane %d, which takes no part", meeting->line, meeting->what, lane);
        T value;
        memcpy(&value, meeting->brought[round & 1][lane], sizeof value);
        return value;
    }
    unsigned present() const { return meeting->present[round & 1]; }
};

// Bring `mine` to the lanes of `mask`, and wait until all of them that still run have come.
template <typename T> inline Gathered gather(const char* what, int line, unsigned mask, const T& mine) {
    static_assert(sizeof(T) <= BRINGS, "too large to exchange");
    int warp = me->number / LANES, lane = me->number % LANES;
    if (!(mask >> lane & 1)) fail("line %d: %s: lane %d is not in its own mask 0x%08x", line, what, lane, mask);
    Meeting* m = warps[warp].meetings;
    while (m->mask != mask && m->mask)
        if (++m == warps[warp].meetings + MEETINGS) fail("line %d: %s: more than %d masks in a warp", line, what, MEETINGS);
    m->mask = mask;
    if (m->arrived && (m->line != line || strcmp(m->what, what)))
        fail("%s in line %d meets %s in line %d: the lanes of a warp took different ways", what, line, m->what, m->line);
    m->line = line, m->what = what;
    memcpy(m->brought[m->round & 1][lane], &mine, sizeof mine);
    m->arrived |= 1u << lane;
    Gathered all{m, m->round};
    if (m->arrived == (mask & live(warp))) {
        close(warp, *m);
    } else {
        me->line = line, me->what = what;
        leave(AT_MEETING);
    }
    return all;
}

// Lanes that have ended are not waited for.
inline bool close_some(int warp) {
    bool any = false;
    for (Meeting& m : warps[warp].meetings)
        if (m.arrived && m.arrived == (m.mask & live(warp))) close(warp, m), any = true;
    return any;
}

// ---- barriers and blocks

inline void barrier(const char* what, int line, bool predicate) {
    me->line = line, me->what = what, me->predicate = predicate;
    leave(AT_BARRIER);
}

[[noreturn]] inline void report_divergence() {
    const Thread *waits = nullptr, *other = nullptr;
    for (int i = 0; i < count; i++)
        if (threads[i].state == AT_MEETING || (threads[i].state == AT_BARRIER && !waits)) waits = &threads[i];
    for (int i = 0; i < count && !other; i++) {
        bool same_warp = i / LANES == waits->number / LANES;
        bool elsewhere = threads[i].state != waits->state || threads[i].line != waits->line;
        if (elsewhere && (same_warp || waits->state == AT_BARRIER)) other = &threads[i];
    }
    threadIdx = waits->index;
    if (!other) fail("line %d: %s waits for lanes that never come", waits->line, waits->what);
    uint3 i = other->index;
    if (other->state == ENDED) fail("line %d: %s waits for thread (%u, %u, %u), which has ended", waits->line, waits->what, i.x, i.y, i.z);
    fail("line %d: %s waits for thread (%u, %u, %u), which waits at %s in line %d", waits->line, waits->what, i.x, i.y, i.z, other->what,
         other->line);
}

static void run_warp(int warp) {
    int last = (warp + 1) * LANES < count ? (warp + 1) * LANES : count, first = warp * LANES;
    for (bool any = true; any;) {
        any = false;
        for (int i = first; i < last; i++) {
            Thread* t = &threads[order ? last - 1 - (i - first) : i];
            if (t->state == READY) run(t), any = true;
        }
        if (!any) any = close_some(warp);
    }
}

static bool open_barrier() {  // true while threads still run
    int waiting = 0, ended = 0, yes = 0;
    for (int i = 0; i < count; i++) {
        waiting += threads[i].state == AT_BARRIER && threads[i].line == threads[0].line && threads[i].what == threads[0].what;
        ended += threads[i].state == ENDED;
        yes += threads[i].state == AT_BARRIER && threads[i].predicate;
    }
    if (ended == count) return false;
    if (waiting != count) report_divergence();
    barrier_count = yes;
    machine.barriers_passed++;
    for (int i = 0; i < count; i++) threads[i].state = READY;
    return true;
}

static void run_block() {
    memset(dynamic_shared, 0xff, dynamic_shared_bytes + CANARY);  // NaN, and no number that a kernel expects
    int n = (count + LANES - 1) / LANES;
    machine.blocks_run++, machine.barriers_passed = 0;
    for (int i = 0; i < count; i++) {
        threads[i].state = READY, threads[i].fiber = nullptr, threads[i].line = 0;
        threads[i].copies = threads[i].groups = 0;
    }
    for (int w = 0; w < n; w++) {
        int lanes = count - w * LANES;
        warps[w].syncs = 0;
        warps[w].live = lanes < LANES ? (1u << lanes) - 1 : ~0u;
        for (Meeting& m : warps[w].meetings) m.mask = m.arrived = 0;
    }
    do
        for (int w = 0; w < n; w++) run_warp(order ? n - 1 - w : w);
    while (open_barrier());
    for (size_t i = 0; i < CANARY; i++)
        if (dynamic_shared[dynamic_shared_bytes + i] != 0xff) fail("wrote beyond its %zu bytes of dynamic shared memory", dynamic_shared_bytes);
}

// ---- launch

static void faulted(int signal, siginfo_t* info, void*) {
    if (signal == SIGFPE) fail("divided a whole number by zero");
    fail("touched memory at %p that is not there, or its stack is full", info->si_addr);
}

static void forget_fibers() {  // what they were in the middle of is abandoned
    idle_count = 0;
    for (int i = MOST_THREADS; i-- > 0;) fibers[i].alive = false, idle[idle_count++] = &fibers[i];
}

// The stacks are the process's, not each library's: a guard below every one of them, times many libraries, is more
// mappings than a process may have. An environment variable tells the next library where they are.
static unsigned char* shared_stacks() {
    constexpr const char* NAME = "MINIGRAD_EMULATED_STACKS";
    int process = 0;
    void* place = nullptr;
    const char* told = getenv(NAME);
    if (told && sscanf(told, "%d:%p", &process, &place) == 2 && process == getpid()) return (unsigned char*)place;
    constexpr size_t BELOW = 64 << 20;  // nobody's: the first stack may be overrun by a large frame, guard and all
    size_t size = MOST_THREADS * STACK + PAGE;
    char* zone = (char*)mmap(0, BELOW + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    place = zone + BELOW;
    mprotect(place, size, PROT_READ | PROT_WRITE);
    char text[64];
    snprintf(text, sizeof text, "%d:%p", int(getpid()), place);
    setenv(NAME, text, 1);
    return (unsigned char*)place;
}

// Before a launch: fibers that another library has run over in the meantime are not resumed.
static void take_stacks() {
    if (!machine.stacks) machine.stacks = shared_stacks();
    void** last = (void**)(machine.stacks + MOST_THREADS * STACK);
    if (*last == (void*)&machine) return;
    *last = (void*)&machine;
    forget_fibers();
}

// Runs body(argument) for every thread of every block; 0, or 1 with the reason in `message`.
static int launch(void (*kernel)(void*), void* argument, const unsigned* sizes, size_t shared, int reversed) {
    static unsigned char signal_stack[64 * 1024];
    gridDim = {sizes[0], sizes[1], sizes[2]}, blockDim = {sizes[3], sizes[4], sizes[5]};
    take_stacks();
    body = kernel, body_argument = argument, order = reversed, dynamic_shared_bytes = shared;
    count = blockDim.x * blockDim.y * blockDim.z;
    for (int i = 0; i < count; i++) {
        unsigned u = i;
        threads[i].index = {u % blockDim.x, u / blockDim.x % blockDim.y, u / blockDim.x / blockDim.y};
        threads[i].number = i;
    }
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
    struct sigaction handler = {}, former[3];
    stack_t own = {signal_stack, 0, sizeof signal_stack}, former_stack;
    handler.sa_sigaction = faulted, handler.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaltstack(&own, &former_stack);
    for (int i = 0; i < 3; i++) sigaction(signals[i], &handler, &former[i]);
    machine.in_kernel = machine.fenced = false, machine.blocks_run = 0;
    int failed = sigsetjmp(abandoned, 1);
    if (!failed) {
        unsigned long long blocks = 1ull * gridDim.x * gridDim.y * gridDim.z;
        for (unsigned long long i = 0; i < blocks; i++) {
            unsigned long long b = order ? blocks - 1 - i : i;
            blockIdx = {unsigned(b % gridDim.x), unsigned(b / gridDim.x % gridDim.y), unsigned(b / gridDim.x / gridDim.y)};
            run_block();
        }
    } else {
        machine.in_kernel = false;
        forget_fibers();
    }
    for (int i = 0; i < 3; i++) sigaction(signals[i], &former[i], nullptr);
    sigaltstack(&former_stack, nullptr);
    return failed;
}

template <typename T> struct bare { using type = T; };
template <typename T> struct bare<const T> { using type = T; };

template <typename... A> struct Call {
    void (*kernel)(A...);
    void** arguments;
};
template <size_t... I> struct Places {};
template <size_t N, size_t... I> struct Count : Count<N - 1, N - 1, I...> {};
template <size_t... I> struct Count<0, I...> { using type = Places<I...>; };
template <typename... A, size_t... I> UNCHECKED void invoke(const Call<A...>& call, Places<I...>) {
    machine.in_kernel = true;
    call.kernel(*(typename bare<A>::type*)call.arguments[I]...);
    machine.in_kernel = false;
}

// Like cuLaunchKernel: `arguments` points to each argument's value.
template <typename... A> int start(void (*kernel)(A...), void** arguments, const unsigned* sizes, size_t shared, int reversed) {
    Call<A...> call{kernel, arguments};
    return launch([](void* c) { invoke(*(Call<A...>*)c, typename Count<sizeof...(A)>::type{}); }, &call, sizes, shared, reversed);
}

}  // namespace emulation

inline void* emulated_dynamic_shared() { return emulation::dynamic_shared; }
