/* Makes functions of OpenSSL fail for one library that calls them, as told by a control file. Preloaded into httpd by openssl.rs.
 *
 * FUNCTIONS names a file with a line FUNCTION(name) for each function. All of them take and give whole numbers and pointers, so that
 * one prototype does for all: on the systems with which these tests run, arguments that a function does not have are ignored. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What the test and all processes of the server share. */
struct control {
    atomic_int function; /* 0: none, 1: allocations, 2 and above: those of FUNCTIONS */
    atomic_int every;    /* each so manieth call fails */
    atomic_int calls;
    atomic_int failures;
};

enum { ALLOCATIONS = 1, FIRST = 2 };

static struct control *control;
static uintptr_t begin, end;

static int look_for_module(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    if (!strstr(info->dlpi_name, "mod_token_binding"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            begin = info->dlpi_addr + part->p_vaddr;
            end = begin + part->p_memsz;
        }
    }
    return 1;
}

static int is_of_module(const void *address)
{
    if (!end)
        dl_iterate_phdr(look_for_module, NULL);
    return (uintptr_t)address >= begin && (uintptr_t)address < end;
}

static int fails(int function)
{
    if (!control || control->function != function)
        return 0;
    if ((atomic_fetch_add(&control->calls, 1) + 1) % control->every)
        return 0;
    atomic_fetch_add(&control->failures, 1);
    return 1;
}

/* OpenSSL allocates for whoever called it: somewhere above is the library. */
static int allocation_fails(void)
{
    void *frames[64];
    if (!control || control->function != ALLOCATIONS)
        return 0;
    int count = backtrace(frames, 64);
    for (int i = 0; i < count; i++)
        if (is_of_module(frames[i]))
            return fails(ALLOCATIONS);
    return 0;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 || allocation_fails() ? NULL : malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return allocation_fails() ? NULL : realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

__attribute__((constructor)) static void prepare(void)
{
    void *frame;
    int file = open(getenv("FAULT_CONTROL"), O_RDWR);
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    /* Without them the test would see that nothing failed. */
    if (memory != MAP_FAILED && CRYPTO_set_mem_functions(allocate, reallocate, release))
        control = memory;
    /* The first call allocates, which must not happen within an allocation. */
    backtrace(&frame, 1);
}

enum {
    BEFORE = FIRST - 1,
#define FUNCTION(name) NUMBER_##name,
#include FUNCTIONS
#undef FUNCTION
};

#define FUNCTION(name)                                                                                  \
    long name(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)           \
    {                                                                                                   \
        static long (*_Atomic real)(long, long, long, long, long, long, long, long, long, long);        \
        if (!real)                                                                                      \
            real = (long (*)(long, long, long, long, long, long, long, long, long, long))dlsym(RTLD_NEXT, #name); \
        if (is_of_module(__builtin_return_address(0)) && fails(NUMBER_##name))                           \
            return 0;                                                                                   \
        return real(a, b, c, d, e, f, g, h, i, j);                                                      \
    }
#include FUNCTIONS
