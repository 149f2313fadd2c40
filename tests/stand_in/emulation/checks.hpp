// Every read and write of a kernel, looked at: what compute-sanitizer's memcheck, racecheck and initcheck look for.
//
// With -fsanitize=thread the compiler calls a function before each access. The real library behind it knows
// nothing of GPU threads, so it is not linked: the functions are these. They report
//   an access outside every array, and outside the shared memory that was asked for;
//   two threads of a block at one byte, one of them writing, without __syncthreads between (or __syncwarp,
//   within a warp; a shuffle orders no memory); two blocks at one byte, one of them writing;
//   a read of shared memory that no thread of this block wrote.
// Not seen is a struct that a function which is not inlined returns straight into memory: the compiler tells
// of no write there. Whole-number atomics may meet anywhere. A kernel that calls __threadfence orders its blocks itself.
#pragma once
#include <stdlib.h>

#define HOOK extern "C" __attribute__((no_sanitize("thread"), visibility("default")))
#define PLAIN __attribute__((no_sanitize("thread")))

extern "C" {
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern char __bss_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));
}

namespace emulation {

// What is known of one byte. Blocks count from 1; 0 is "never".
struct Known {
    unsigned writer_block, reader_block;
    unsigned write_barrier, read_barrier, write_sync, read_sync;
    short writer, reader;
    bool several_readers, of_several_warps, of_several_blocks;
};
constexpr size_t PAGES = 1 << 16, PAGE_BYTES = 1024;
struct Page { size_t number; Known* bytes; };
static Page pages[PAGES];  // a hash table: where an address is looked up
static const size_t* ranges;  // first and last address of every array, in order
static size_t range_count;
static bool looking;

PLAIN static Known* known(size_t address) {
    size_t number = address / PAGE_BYTES, at = number * 0x9E3779B97F4A7C15ull >> 48;
    for (size_t tried = 0; pages[at].bytes && pages[at].number != number; at = (at + 1) % PAGES)
        if (++tried == PAGES) abort();  // more than 64 MiB: too much to look at
    if (!pages[at].bytes) pages[at] = {number, (Known*)calloc(PAGE_BYTES, sizeof(Known))};
    return pages[at].bytes + address % PAGE_BYTES;
}

PLAIN static void begin_checks(const size_t* given, size_t n) {
    ranges = given, range_count = n, looking = false;
    for (Page& page : pages)
        if (page.bytes) free(page.bytes), page.bytes = nullptr;
}

PLAIN static bool within(size_t address, size_t size, const void* first, const void* end) {
    return address >= (size_t)first && address + size <= (size_t)end;
}

PLAIN static bool in_an_array(size_t address, size_t size) {
    size_t low = 0, high = range_count;  // the last range that begins at or before the address
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[2 * middle] <= address) low = middle + 1;
        else high = middle;
    }
    return low && address + size <= ranges[2 * low - 1];
}

[[noreturn]] PLAIN static void report(const char* pc, const char* what, size_t address, size_t size, int other) {
    looking = false;
    machine.in_kernel = false;
    const char* where = within(address, 1, __bss_start, _end) ? "shared" : "global";
    if (other < 0) fail("at +0x%zx: %s (%zu bytes of %s memory, %p)", (size_t)(pc - __ehdr_start), what, size, where, (void*)address);
    uint3 i = threads[other].index;
    fail("at +0x%zx: %s thread (%u, %u, %u), nothing between (%zu bytes of %s memory, %p)", (size_t)(pc - __ehdr_start), what, i.x, i.y, i.z,
         size, where, (void*)address);
}

// Nothing orders what thread `other` did (then, at that barrier and sync) and what this thread does now.
PLAIN static bool unordered(int other, unsigned barrier, unsigned sync, bool of_several_warps) {
    if (barrier != machine.barriers_passed) return false;
    bool same_warp = other / LANES == me->number / LANES && !of_several_warps;
    return !same_warp || sync >= warps[me->number / LANES].syncs;
}

// Shared memory begins as 0xff where its size is given at launch, else as 0.
PLAIN static bool looks_unwritten(size_t address, size_t size) {
    bool given = within(address, 1, dynamic_shared, dynamic_shared + sizeof dynamic_shared);
    int different = 0;
    for (size_t i = 0; i < size; i++) different += ((const unsigned char*)address)[i] != (given ? 0xff : 0);
    return !different;
}

PLAIN static void one_byte(const char* pc, size_t first, size_t place, size_t size, bool writes, bool shared) {
    size_t address = first + place;
    Known& k = *known(address);
    unsigned block = machine.blocks_run, barrier = machine.barriers_passed, sync = warps[me->number / LANES].syncs;
    bool across = !shared && !machine.fenced;
    if (k.writer_block == block) {
        if (k.writer != me->number && unordered(k.writer, k.write_barrier, k.write_sync, false))
            report(pc, writes ? "writes what was written by" : "reads what was written by", address, size, k.writer);
    } else if (k.writer_block && across) {
        report(pc, "meets what another block wrote", address, size, -1);
    } else if (shared && !writes && looks_unwritten(first, size)) {
        report(pc, "reads shared memory that its block has not written", address, size, -1);
    }
    if (writes) {
        if (k.reader_block == block && (k.reader != me->number || k.several_readers) &&
            unordered(k.reader, k.read_barrier, k.read_sync, k.of_several_warps))
            report(pc, "writes what was read by", address, size, k.reader);
        if (across && k.reader_block && (k.reader_block != block || k.of_several_blocks))
            report(pc, "writes what another block read", address, size, -1);
        k.writer_block = block, k.writer = me->number, k.write_barrier = barrier, k.write_sync = sync;
        return;
    }
    k.of_several_blocks = k.of_several_blocks || (k.reader_block && k.reader_block != block);
    bool more = k.reader_block == block && k.read_barrier == barrier;
    k.several_readers = more && (k.several_readers || k.reader != me->number);
    k.of_several_warps = more && (k.of_several_warps || k.reader / LANES != me->number / LANES);
    k.reader_block = block, k.reader = me->number, k.read_barrier = barrier, k.read_sync = sync;
}

PLAIN static void touched(const void* pointer, size_t size, bool writes, const char* pc, bool atomic = false) {
    size_t address = (size_t)pointer;
    if (looking || !machine.in_kernel) return;
    if (within(address, size, &machine, &machine + 1) || within(address, size, machine.stacks, machine.stacks + MOST_THREADS * STACK)) return;
    bool shared = false;
    if (within(address, 1, dynamic_shared, dynamic_shared + sizeof dynamic_shared)) {
        if (!within(address, size, dynamic_shared, dynamic_shared + dynamic_shared_bytes))
            report(pc, "beyond the dynamic shared memory", address, size, -1);
        shared = true;
    } else if (within(address, 1, __ehdr_start, _end)) {
        if (!within(address, 1, __bss_start, _end)) return;  // a table of constants
        shared = true;
    } else if (!in_an_array(address, size)) {
        report(pc, writes ? "writes outside every array" : "reads outside every array", address, size, -1);
    }
    if (atomic) return;
    looking = true;
    for (size_t i = 0; i < size; i++) one_byte(pc, address, i, size, writes, shared);
    looking = false;
}

}  // namespace emulation

#define FROM (const char*)__builtin_return_address(0)
#define ACCESS(n)                                                                                            \
    HOOK void __tsan_read##n(void* p) { emulation::touched(p, n, false, FROM); }                             \
    HOOK void __tsan_write##n(void* p) { emulation::touched(p, n, true, FROM); }                             \
    HOOK void __tsan_unaligned_read##n(void* p) { emulation::touched(p, n, false, FROM); }                   \
    HOOK void __tsan_unaligned_write##n(void* p) { emulation::touched(p, n, true, FROM); }                   \
    HOOK void __tsan_volatile_read##n(void* p) { emulation::touched(p, n, false, FROM); }                    \
    HOOK void __tsan_volatile_write##n(void* p) { emulation::touched(p, n, true, FROM); }
ACCESS(1) ACCESS(2) ACCESS(4) ACCESS(8) ACCESS(16)
HOOK void __tsan_read_range(void* p, size_t n) { emulation::touched(p, n, false, FROM); }
HOOK void __tsan_write_range(void* p, size_t n) { emulation::touched(p, n, true, FROM); }
HOOK void __tsan_init() {}
HOOK void __tsan_func_entry(void*) {}
HOOK void __tsan_func_exit() {}
// The word that tells whether a `__shared__` array of a class has been constructed (with nothing to do).
HOOK unsigned char __tsan_atomic8_load(const volatile void* p, int) { return *(const volatile unsigned char*)p; }
HOOK void __tsan_vptr_update(void*, void*) {}
HOOK void emulated_begin_checks(const size_t* given, size_t n) { emulation::begin_checks(given, n); }
