/* What a disk and a clock do to a process, without root: preloaded into a server, it stands before the C library.
 *
 * A sync does not return while the file that SHIM_STALL names exists. The wall clock is SHIM_CLOCK_MS milliseconds ahead. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void stall(void) {
    const char *path = getenv("SHIM_STALL");
    while (path && access(path, F_OK) == 0) usleep(10000);
}

int fdatasync(int fd) {
    stall();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    stall();
    return (int)syscall(SYS_fsync, fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    const char *ahead = getenv("SHIM_CLOCK_MS");
    long done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && clock == CLOCK_REALTIME && ahead) {
        long long ns = now->tv_nsec + atoll(ahead) * 1000000LL;
        long long seconds = ns / 1000000000LL, rest = ns % 1000000000LL;
        if (rest < 0) {
            rest += 1000000000LL;
            seconds -= 1;
        }
        now->tv_sec += seconds;
        now->tv_nsec = rest;
    }
    return (int)done;
}
