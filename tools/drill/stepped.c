/* A time of day that the drill can step, for one program: LD_PRELOAD this, and put the seconds to
 * add as a double into the file $DRILL_STEP, which is looked at on every call.
 *
 * CLOCK_REALTIME and its relatives are moved, CLOCK_MONOTONIC is not. Waits until a time of day are
 * moved back, since the kernel knows nothing of the step: a program that computed its deadline
 * before a step sees what it would see on a computer whose clock was set.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const double *step;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DRILL_STEP");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) step = page;
    if (file >= 0) close(file);
}

static long seconds(void) { return step ? (long)*step : 0; }

static int is_of_day(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && is_of_day(clock)) now->tv_sec += seconds();
    return (int)failed;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

#define TRUE_ONE(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct timespec moved(const struct timespec *until) {
    struct timespec there = *until;
    there.tv_sec -= seconds();
    return there;
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    struct timespec there = moved(until);
    return TRUE_ONE(sem_timedwait)(semaphore, &there);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until) {
    /* Only a condition of the time of day is meant; one of CLOCK_MONOTONIC says so inside. */
    struct timespec now, there = *until;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    if (until->tv_sec > now.tv_sec + 100000000L) there = moved(until);
    return TRUE_ONE(pthread_cond_timedwait)(condition, mutex, &there);
}
