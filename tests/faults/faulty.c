/* A disk that fails on demand, a process that dies on demand, and a tape of all that a disk was told.
 *
 * To be preloaded (LD_PRELOAD). It looks at files whose path begins with FAULTY_PATH, and does to calls on them:
 *   - it counts them, and lets the FAULTY_NTH of them fail (and with FAULTY_LASTING=1 all that follow), or each with a
 *     chance of FAULTY_RATE in a million, drawn from FAULTY_SEED. FAULTY_KINDS, bits: how it fails (below);
 *   - FAULTY_KILL: the process kills itself at that call, half of it done if it is a write;
 *   - FAULTY_TAPE: each change goes to that file, and each barrier (fsync, msync), in order. What changes in mapped
 *     memory is found by comparing it at every call. tests/faults/tape.py makes of it what a power cut may leave.
 * faulty_arm() is the same for a process that was forked; what ends in "-said" never fails and is on the tape only.
 * A failed fsync is on the tape as such: Linux may have dropped what it was to write.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { EIO_KIND = 1, ENOSPC_KIND = 2, SHORT_KIND = 4, TORN_KIND = 8, READ_KIND = 16 };
enum { NONE, WATCHED, SAID, FOLDER };

#define FILES 4096
#define MAPS 16
#define SECTOR 512

static char prefix[4096], folder[4096];
static size_t prefix_length;
static uint64_t rng = 1, rate, nth, kill_at, seen, failed;
static int kinds = EIO_KIND, lasting, armed, tape = -1;
static unsigned char watched[FILES];
static uint64_t inode[FILES];
static struct { char *start; size_t length; uint64_t inode; char *known; off_t offset; } maps[MAPS];
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static uint64_t drawn(void)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return rng * 0x2545F4914F6CDD1DULL >> 16;
}

/* The tape */

struct event { uint8_t what, pad[3]; uint32_t length; uint64_t inode, offset; };

static void put(char what, uint64_t whose, uint64_t offset, const void *data, size_t length)
{
    char buffer[8192], *whole = length + sizeof(struct event) > sizeof buffer ? malloc(length + sizeof(struct event)) : buffer;
    struct event head = { what, { 0 }, (uint32_t)length, whose, offset };
    memcpy(whole, &head, sizeof head);
    if (length) memcpy(whole + sizeof head, data, length);
    syscall(SYS_write, tape, whole, sizeof head + length);
    if (whole != buffer) free(whole);
}

static void look(void)
{
    for (int m = 0; m < MAPS; m++) {
        if (!maps[m].start || !memcmp(maps[m].start, maps[m].known, maps[m].length)) continue;
        for (size_t at = 0; at < maps[m].length; at += SECTOR) {
            size_t size = maps[m].length - at < SECTOR ? maps[m].length - at : SECTOR;
            if (!memcmp(maps[m].start + at, maps[m].known + at, size)) continue;
            memcpy(maps[m].known + at, maps[m].start + at, size);
            put('W', maps[m].inode, maps[m].offset + at, maps[m].known + at, size);
        }
    }
}

static void noted(char what, uint64_t whose, uint64_t offset, const void *data, size_t length)
{
    if (tape < 0) return;
    pthread_mutex_lock(&lock);
    look();
    put(what, whose, offset, data, length);
    pthread_mutex_unlock(&lock);
}

static void named(char what, uint64_t whose, const char *one, const char *two)
{
    char both[8192];
    size_t first = strlen(one) + 1, second = two ? strlen(two) + 1 : 0;
    if (tape < 0 || first + second > sizeof both) return;
    memcpy(both, one, first);
    if (two) memcpy(both + first, two, second);
    noted(what, whose, 0, both, first + second);
}

/* Whose file it is, and whether a call fails */

static int kind_of(const char *path)
{
    size_t length = strlen(path);
    if (!armed) return NONE;
    if (!strcmp(path, folder)) return FOLDER;
    if (strncmp(path, prefix, prefix_length)) return NONE;
    return length > 5 && !strcmp(path + length - 5, "-said") ? SAID : WATCHED;
}

static int kind(int fd) { return armed && fd >= 0 && fd < FILES ? watched[fd] : NONE; }

static void opened(int fd, const char *path)
{
    struct stat status;
    if (fd < 0 || fd >= FILES) return;
    watched[fd] = kind_of(path);
    if (watched[fd] == NONE || watched[fd] == FOLDER) return;
    fstat(fd, &status);
    inode[fd] = status.st_ino;
    size_t length = strlen(path);
    if (length > 4 && !strcmp(path + length - 4, "-shm")) inode[fd] = 0;  /* of no use after a power cut */
    else named('O', inode[fd], path + prefix_length, NULL);
}

/* How this call fails: 0 if it does not. `allowed` are the kinds that it can. */
static int fails(int allowed)
{
    int possible = kinds & allowed, chosen = 0;
    pthread_mutex_lock(&lock);
    seen++;
    if (kill_at && seen == kill_at) chosen = -1;
    else if (possible && ((nth && (seen == nth || (lasting && seen > nth))) || (rate && drawn() % 1000000 < rate))) {
        do chosen = 1 << drawn() % 5; while (!(chosen & possible));
        failed++;
    }
    pthread_mutex_unlock(&lock);
    return chosen;
}

static int refused(int how)
{
    if (how == -1) kill(getpid(), SIGKILL);
    errno = how == ENOSPC_KIND ? ENOSPC : EIO;
    return -1;
}

/* Opening and closing */

#define OPEN(name, at, ...) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...)
{
    REAL(int, "open", const char *, int, ...);
    OPEN(open, 0)
    int fd = real(path, flags, mode);
    if (armed) opened(fd, path);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    REAL(int, "open64", const char *, int, ...);
    OPEN(open64, 0)
    int fd = real(path, flags, mode);
    if (armed) opened(fd, path);
    return fd;
}

int close(int fd)
{
    REAL(int, "close", int);
    if (fd >= 0 && fd < FILES) watched[fd] = NONE;
    return real(fd);
}

/* Writing */

static ssize_t put_at(int fd, const void *data, size_t length, off_t at)
{
    return at < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, at);
}

static ssize_t written(int fd, const void *data, size_t length, off_t at)
{
    int what = kind(fd), how = what == WATCHED ? fails(EIO_KIND | ENOSPC_KIND | SHORT_KIND | TORN_KIND) : 0;
    off_t where = at;
    if (what == NONE || what == FOLDER) return put_at(fd, data, length, at);
    if (how == EIO_KIND || how == ENOSPC_KIND) return refused(how);
    if (how) length = length > 1 ? drawn() % length : 0;
    if (where < 0) {
        struct stat status;
        where = lseek(fd, 0, SEEK_CUR);
        if (fcntl(fd, F_GETFL) & O_APPEND && !fstat(fd, &status)) where = status.st_size;
    }
    ssize_t done = put_at(fd, data, length, at);
    if (done > 0 && inode[fd]) noted('W', inode[fd], where, data, done);
    if (how == -1 || how == TORN_KIND || (how == SHORT_KIND && !length)) return refused(how);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return written(fd, data, length, at); }

static int cut(int fd, off_t length)
{
    int what = kind(fd), how = what == WATCHED ? fails(EIO_KIND | ENOSPC_KIND) : 0;
    if (how) return refused(how);
    int done = syscall(SYS_ftruncate, fd, length);
    if (!done && what && inode[fd]) noted('T', inode[fd], length, NULL, 0);
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

/* Barriers */

static int synced(int fd, long call)
{
    int what = kind(fd), how = what == WATCHED || what == FOLDER ? fails(EIO_KIND | ENOSPC_KIND) : 0;
    if (how) {
        if (what == WATCHED && inode[fd]) noted('L', inode[fd], 0, NULL, 0);
        return refused(how);
    }
    /* What a disk would be made to do is on the tape; the machine itself need not wait. */
    int done = what && tape >= 0 ? 0 : syscall(call, fd);
    if (!done && what == FOLDER) noted('D', 0, 0, NULL, 0);
    else if (!done && what && inode[fd]) noted('S', inode[fd], 0, NULL, 0);
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int msync(void *start, size_t length, int flags)
{
    for (int m = 0; armed && m < MAPS; m++) {
        if (!maps[m].start || (char *)start < maps[m].start || (char *)start >= maps[m].start + maps[m].length) continue;
        int how = fails(EIO_KIND | ENOSPC_KIND);
        if (how) {
            noted('L', maps[m].inode, 0, NULL, 0);
            return refused(how);
        }
        uint64_t size = length;
        noted('Y', maps[m].inode, (char *)start - maps[m].start + maps[m].offset, &size, sizeof size);
        if (tape >= 0) return 0;
    }
    return syscall(SYS_msync, start, length, flags);
}

/* Memory that is a file */

static void remembered(char *start, size_t length, uint64_t whose, off_t offset)
{
    pthread_mutex_lock(&lock);
    for (int m = 0; m < MAPS; m++) {
        if (maps[m].start) continue;
        maps[m].start = start, maps[m].length = length, maps[m].inode = whose, maps[m].offset = offset;
        maps[m].known = malloc(length);
        memcpy(maps[m].known, start, length);
        break;
    }
    pthread_mutex_unlock(&lock);
}

static void *mapped(void *where, size_t length, int rights, int flags, int fd, off_t offset)
{
    void *start = (void *)syscall(SYS_mmap, where, length, rights, flags, fd, offset);
    if (start == MAP_FAILED || kind(fd) != WATCHED || !inode[fd] || !(flags & MAP_SHARED)) return start;
    remembered(start, length, inode[fd], offset);
    return start;
}

void *mmap(void *where, size_t length, int rights, int flags, int fd, off_t offset)
{
    return mapped(where, length, rights, flags, fd, offset);
}

void *mmap64(void *where, size_t length, int rights, int flags, int fd, off64_t offset)
{
    return mapped(where, length, rights, flags, fd, offset);
}

int munmap(void *start, size_t length)
{
    for (int m = 0; armed && m < MAPS; m++) {
        if (maps[m].start != start) continue;
        if (tape >= 0) pthread_mutex_lock(&lock), look(), pthread_mutex_unlock(&lock);
        maps[m].start = NULL;
        free(maps[m].known);
    }
    return syscall(SYS_munmap, start, length);
}

/* Names */

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    int what = kind_of(from), how = what == WATCHED ? fails(EIO_KIND | ENOSPC_KIND) : 0;
    if (how) return refused(how);
    int done = real(from, to);
    if (!done && what) named('R', 0, from + prefix_length, to + prefix_length);
    return done;
}

int link(const char *from, const char *to)
{
    REAL(int, "link", const char *, const char *);
    int what = kind_of(from), how = what == WATCHED ? fails(EIO_KIND | ENOSPC_KIND) : 0;
    if (how) return refused(how);
    int done = real(from, to);
    if (!done && what) named('K', 0, from + prefix_length, to + prefix_length);
    return done;
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);
    int what = kind_of(path), how = what == WATCHED ? fails(EIO_KIND) : 0;
    if (how) return refused(how);
    int done = real(path);
    if (!done && what) named('U', 0, path + prefix_length, NULL);
    return done;
}

/* Reading, which changes nothing and is not on the tape */

static ssize_t got(int fd, void *data, size_t length, off_t at)
{
    if (kind(fd) == WATCHED && kinds & READ_KIND) {
        int how = fails(READ_KIND);
        if (how) return refused(how);
    }
    return at < 0 ? syscall(SYS_read, fd, data, length) : syscall(SYS_pread64, fd, data, length, at);
}

ssize_t read(int fd, void *data, size_t length) { return got(fd, data, length, -1); }
ssize_t pread(int fd, void *data, size_t length, off_t at) { return got(fd, data, length, at); }
ssize_t pread64(int fd, void *data, size_t length, off64_t at) { return got(fd, data, length, at); }

/* Arming */

/* What is open already, and what is mapped of it. */
static void found(void)
{
    char name[64], path[4096], line[4600];
    for (int fd = 0; fd < 1024; fd++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(name, path, sizeof path - 1);
        if (length <= 0) continue;
        path[length] = 0;
        if (kind_of(path) != NONE) opened(fd, path);
    }
    FILE *list = fopen("/proc/self/maps", "re");
    while (list && fgets(line, sizeof line, list)) {
        unsigned long start, end, offset, number;
        char rights[8];
        int at = 0;
        if (sscanf(line, "%lx-%lx %7s %lx %*s %lu %n", &start, &end, rights, &offset, &number, &at) < 5 || !at) continue;
        line[strcspn(line, "\n")] = 0;
        if (rights[1] != 'w' || rights[3] != 's' || kind_of(line + at) != WATCHED || strstr(line + at, "-shm")) continue;
        remembered((char *)start, end - start, number, offset);
    }
    if (list) fclose(list);
}

static void dies(int number) { (void)number; kill(getpid(), SIGKILL); }

void faulty_arm(const char *path, const char *tape_path, uint64_t seed, uint64_t a_million, uint64_t the_nth, uint64_t dies_at,
                int how, int for_ever)
{
    memset(watched, 0, sizeof watched);
    memset(maps, 0, sizeof maps);
    armed = 0;
    if (!path || !*path || strlen(path) >= sizeof prefix) return;
    strcpy(prefix, path), strcpy(folder, path);
    prefix_length = strlen(prefix);
    if (strrchr(folder, '/')) *strrchr(folder, '/') = 0;
    rng = seed * 2654435761ULL + 88172645463325252ULL;
    rate = a_million, nth = the_nth, kill_at = dies_at, kinds = how, lasting = for_ever;
    seen = failed = 0;
    if (tape >= 0) syscall(SYS_close, tape);
    tape = tape_path && *tape_path
        ? (int)syscall(SYS_openat, AT_FDCWD, tape_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    armed = 1;
    found();
}

/* Kill the process after so much CPU time of its own, wherever it is then. */
void faulty_kill_after(uint64_t microseconds)
{
    struct itimerval when = { { 0, 0 }, { microseconds / 1000000, microseconds % 1000000 } };
    signal(SIGPROF, dies);
    setitimer(ITIMER_PROF, &when, NULL);
}

void faulty_disarm(void) { armed = 0; }
uint64_t faulty_seen(void) { return seen; }
uint64_t faulty_failed(void) { return failed; }

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void begun(void)
{
    faulty_arm(getenv("FAULTY_PATH"), getenv("FAULTY_TAPE"), number("FAULTY_SEED", 1), number("FAULTY_RATE", 0),
               number("FAULTY_NTH", 0), number("FAULTY_KILL", 0), (int)number("FAULTY_KINDS", EIO_KIND),
               (int)number("FAULTY_LASTING", 0));
}
