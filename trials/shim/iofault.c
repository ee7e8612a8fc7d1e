// Fails, kills or records the I/O of a process, loaded into it by LD_PRELOAD.
//
// Every change below IOFAULT_ROOT is an operation with a number, beginning at 1, and stands in the trace (IOFAULT_TRACE)
// in the order in which it happened: what was written where, what was synced, which names a synced folder had. From
// that record the harness computes what the disk would hold had the power been cut at any operation, so one run is
// enough for all of them. What the process says (standard output, sockets) stands between them: that is how the
// harness knows what had been acknowledged by then.
//
//   IOFAULT_DO     nothing | kill | tear (half of the write, then kill) | eio | enospc | lie (a sync does nothing)
//                  short-eio | short-enospc (half of the first write, then the error)
//   IOFAULT_ON     any | sync | write: which operations are counted for IOFAULT_AT
//   IOFAULT_AT     the first one it happens at; 0: at none
//   IOFAULT_TIMES  to how many in a row; 0: to all from there on
//
// Not seen: what goes round the C library. Here that is `fallocate` of the log, so a sync states the file's size, and
// renames of the crate `tempfile`, so the sync of a folder states its names.
#define _GNU_SOURCE
#include <dirent.h>
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SAID_BYTES 256
#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

enum kind { OTHER, SYNC, WRITE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *what = "nothing", *on = "any";
static size_t root_length;
static long at, times, counted;
static int trace = -1;

struct head {
    uint8_t kind, failed, is_operation, pad;
    uint32_t length;
    uint64_t a, b, c;
};

static void die(const char *why) {
    dprintf(2, "iofault: %s\n", why);
    abort();
}

static void put_raw(const void *bytes, size_t length) {
    const char *next = bytes;
    while (length > 0) {
        long written = syscall(SYS_write, trace, next, length);
        if (written <= 0) die("the trace cannot be written");
        next += written;
        length -= (size_t)written;
    }
}

static void put(struct head head, const void *bytes) {
    if (trace < 0) return;
    put_raw(&head, sizeof head);
    if (head.length) put_raw(bytes, head.length);
}

// A file or folder, whatever its name: numbers of inodes are used again, so the moment of birth goes in.
static uint64_t mixed(const struct statx *s) {
    uint64_t parts[3] = {s->stx_ino, (uint64_t)s->stx_btime.tv_sec, s->stx_btime.tv_nsec};
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < 3; i++) hash = (hash ^ parts[i]) * 0x9e3779b97f4a7c15u, hash ^= hash >> 29;
    return hash | 1;
}

static uint64_t node_at(const char *path, struct statx *s) {
    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_SIZE | STATX_TYPE, s) ? 0 : mixed(s);
}

static uint64_t node_of(int fd, struct statx *s) {
    return statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_SIZE | STATX_TYPE, s) ? 0 : mixed(s);
}

static int is_watched(const char *path) {
    return root && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int path_of(int fd, char *path, size_t size) {
    // The log of the process may lie beside its data.
    if (!root || fd == 2) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_watched(path);
}

// The absolute path of what an `...at` call means; 0 when it is none of ours.
static int join(int fd, const char *name, char *path, size_t size) {
    if (!root) return 0;
    if (name[0] == '/') return snprintf(path, size, "%s", name), is_watched(path);
    if (fd == AT_FDCWD) return 0;
    char folder[PATH_MAX];
    if (!path_of(fd, folder, sizeof folder)) return 0;
    return snprintf(path, size, "%s/%s", folder, name) < (int)size;
}

static const char *name_in(const char *path) { return strrchr(path, '/') + 1; }

static uint64_t parent_of(const char *path) {
    char folder[PATH_MAX];
    struct statx s;
    snprintf(folder, sizeof folder, "%.*s", (int)(name_in(path) - path - 1), path);
    return node_at(folder, &s);
}

// Which error this operation is to meet, if any; -1: it is to be done by half, or to be said to be done.
static int meet(enum kind kind) {
    int counts = !strcmp(on, "any") || (kind == SYNC && !strcmp(on, "sync")) || (kind == WRITE && !strcmp(on, "write"));
    if (!counts || !at) return 0;
    counted++;
    if (counted < at || (times && counted >= at + times)) return 0;
    if (!strcmp(what, "kill") || (!strcmp(what, "tear") && kind != WRITE)) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    if (!strncmp(what, "short", 5) && counted == at && kind == WRITE) return -1;
    if (!strcmp(what, "eio") || !strcmp(what, "short-eio")) return EIO;
    if (!strcmp(what, "enospc") || !strcmp(what, "short-enospc")) return ENOSPC;
    return !strcmp(what, "nothing") ? 0 : -1;
}

static void list(uint8_t kind, uint64_t folder, const char *path, int deep) {
    DIR *dir = opendir(path);
    if (!dir) return;
    size_t length = 0, capacity = 4096;
    uint8_t *names = malloc(capacity);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char below[PATH_MAX];
        struct statx s;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        uint64_t node = node_at(below, &s);
        if (!node) continue;
        uint16_t letters = (uint16_t)strlen(entry->d_name);
        if (length + 11 + letters > capacity) names = realloc(names, capacity *= 2);
        memcpy(names + length, &node, 8);
        names[length + 8] = S_ISDIR(s.stx_mode);
        memcpy(names + length + 9, &letters, 2);
        memcpy(names + length + 11, entry->d_name, letters);
        length += 11 + letters;
        if (deep && S_ISDIR(s.stx_mode)) list(kind, node, below, 1);
    }
    closedir(dir);
    put((struct head){.kind = kind, .is_operation = kind == 'D', .length = (uint32_t)length, .a = folder}, names);
    free(names);
}

__attribute__((constructor)) static void begin(void) {
    root = getenv("IOFAULT_ROOT");
    if (!root) return;
    root_length = strlen(root);
    if (getenv("IOFAULT_DO")) what = getenv("IOFAULT_DO");
    if (getenv("IOFAULT_ON")) on = getenv("IOFAULT_ON");
    if (getenv("IOFAULT_AT")) at = atol(getenv("IOFAULT_AT"));
    if (getenv("IOFAULT_TIMES")) times = atol(getenv("IOFAULT_TIMES"));
    if (getenv("IOFAULT_TRACE")) {
        trace = open(getenv("IOFAULT_TRACE"), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
        if (trace < 0) die("the trace cannot be made");
    }
    struct statx s;
    uint64_t node = node_at(root, &s);
    if (!node) die("IOFAULT_ROOT does not exist");
    put((struct head){.kind = 'B', .a = node}, NULL);
    list('L', node, root, 1);
}

// ---- syncs

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path, sizeof path)) return real(fd);
    pthread_mutex_lock(&lock);
    struct statx s;
    uint64_t node = node_of(fd, &s);
    int error = meet(SYNC);
    int result = error < 0 ? 0 : -1;
    if (!error) {
        result = real(fd);
        error = result ? errno : 0;
    }
    uint8_t failed = error != 0;
    if (S_ISDIR(s.stx_mode) && !failed) list('D', node, path, 0);
    else put((struct head){.kind = S_ISDIR(s.stx_mode) ? 'D' : 'S', .failed = failed, .is_operation = 1, .a = node, .b = s.stx_size}, NULL);
    pthread_mutex_unlock(&lock);
    if (result) errno = error;
    return result;
}

int fsync(int fd) { REAL(fsync); return synced(fd, real); }
int fdatasync(int fd) { REAL(fdatasync); return synced(fd, real); }

// ---- writes

static off_t place_of(int fd) {
    struct stat s;
    if (fcntl(fd, F_GETFL) & O_APPEND) return fstat(fd, &s) ? 0 : s.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static void said(int fd, const struct iovec *parts, int count) {
    uint8_t text[SAID_BYTES];
    size_t length = 0;
    for (int i = 0; i < count && length < sizeof text; i++) {
        size_t more = parts[i].iov_len < sizeof text - length ? parts[i].iov_len : sizeof text - length;
        memcpy(text + length, parts[i].iov_base, more);
        length += more;
    }
    pthread_mutex_lock(&lock);
    put((struct head){.kind = 'A', .length = (uint32_t)length, .a = (uint64_t)fd}, text);
    pthread_mutex_unlock(&lock);
}

static int is_heard(int fd) {
    struct stat s;
    return root && fd != 2 && fd != trace && !fstat(fd, &s) && (fd == 1 || S_ISSOCK(s.st_mode));
}

// All writes come here as parts for a place; a place of -1 is where the file stands.
static ssize_t written(int fd, const struct iovec *parts, int count, off_t place) {
    pthread_mutex_lock(&lock);
    struct statx s;
    uint64_t node = node_of(fd, &s);
    off_t offset = place < 0 ? place_of(fd) : place;
    size_t wanted = 0;
    for (int i = 0; i < count; i++) wanted += parts[i].iov_len;
    uint8_t *bytes = malloc(wanted ? wanted : 1), *next = bytes;
    for (int i = 0; i < count; i++) next = mempcpy(next, parts[i].iov_base, parts[i].iov_len);
    int error = meet(WRITE);
    int tear = error < 0 && !strcmp(what, "tear");
    if (error < 0 && wanted > 1) wanted /= 2;
    ssize_t result = -1;
    if (error <= 0) {
        result = place < 0 ? syscall(SYS_write, fd, bytes, wanted) : syscall(SYS_pwrite64, fd, bytes, wanted, offset);
        error = result < 0 ? errno : 0;
    }
    put((struct head){.kind = 'W', .failed = error != 0, .is_operation = 1, .length = error ? 0 : (uint32_t)result, .a = node, .b = (uint64_t)offset}, bytes);
    if (tear) syscall(SYS_kill, getpid(), SIGKILL);
    free(bytes);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    char path[PATH_MAX];
    if (path_of(fd, path, sizeof path)) return written(fd, parts, count, -1);
    if (is_heard(fd)) said(fd, parts, count);
    return real(fd, parts, count);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    char path[PATH_MAX];
    struct iovec part = {(void *)bytes, length};
    if (path_of(fd, path, sizeof path)) return written(fd, &part, 1, -1);
    if (is_heard(fd)) said(fd, &part, 1);
    return real(fd, bytes, length);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    REAL(send);
    struct iovec part = {(void *)bytes, length};
    if (is_heard(fd)) said(fd, &part, 1);
    return real(fd, bytes, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    if (is_heard(fd)) said(fd, message->msg_iov, (int)message->msg_iovlen);
    return real(fd, message, flags);
}

#define PLACED(name, type) \
    ssize_t name(int fd, const void *bytes, size_t length, type offset) { \
        REAL(name); \
        char path[PATH_MAX]; \
        struct iovec part = {(void *)bytes, length}; \
        return path_of(fd, path, sizeof path) ? written(fd, &part, 1, offset) : real(fd, bytes, length, offset); \
    }
PLACED(pwrite, off_t)
PLACED(pwrite64, off64_t)

#define PLACED_PARTS(name, type) \
    ssize_t name(int fd, const struct iovec *parts, int count, type offset) { \
        REAL(name); \
        char path[PATH_MAX]; \
        return path_of(fd, path, sizeof path) ? written(fd, parts, count, offset) : real(fd, parts, count, offset); \
    }
PLACED_PARTS(pwritev, off_t)
PLACED_PARTS(pwritev64, off64_t)

static int cut(int fd, off_t length, int (*real)(int, off_t)) {
    char path[PATH_MAX];
    if (!path_of(fd, path, sizeof path)) return real(fd, length);
    pthread_mutex_lock(&lock);
    struct statx s;
    uint64_t node = node_of(fd, &s);
    int error = meet(WRITE);
    int result = -1;
    if (error <= 0) {
        result = real(fd, length);
        error = result ? errno : 0;
    }
    put((struct head){.kind = 'T', .failed = error != 0, .is_operation = 1, .a = node, .b = (uint64_t)length}, NULL);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

int ftruncate(int fd, off_t length) { REAL(ftruncate); return cut(fd, length, real); }
int ftruncate64(int fd, off64_t length) { REAL(ftruncate64); return cut(fd, length, real); }

// ---- names

static int opened(int fd, const char *name, int flags, mode_t mode, int (*real)(int, const char *, int, ...)) {
    char path[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !join(fd, name, path, sizeof path)) return real(fd, name, flags, mode);
    pthread_mutex_lock(&lock);
    struct statx s;
    int is_new = !node_at(path, &s);
    int is_cut = !is_new && (flags & O_TRUNC) && s.stx_size > 0;
    int error = is_new || is_cut ? meet(OTHER) : 0;
    int result = -1;
    if (error <= 0) {
        result = real(fd, name, flags, mode);
        error = result < 0 ? errno : 0;
    }
    uint64_t node = node_at(path, &s);
    struct head head = {.failed = error != 0, .is_operation = 1};
    if (is_new) head.kind = 'C', head.a = parent_of(path), head.b = node, head.length = (uint32_t)strlen(name_in(path));
    else head.kind = 'T', head.a = node;
    if (is_new || is_cut) put(head, name_in(path));
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

static mode_t mode_in(int flags, va_list rest) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name, at_name) \
    int name(const char *path, int flags, ...) { \
        REAL(at_name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = mode_in(flags, rest); \
        va_end(rest); \
        return opened(AT_FDCWD, path, flags, mode, real); \
    } \
    int at_name(int fd, const char *path, int flags, ...) { \
        REAL(at_name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = mode_in(flags, rest); \
        va_end(rest); \
        return opened(fd, path, flags, mode, real); \
    }
OPEN(open, openat)
OPEN(open64, openat64)

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    REAL(renameat);
    char old[PATH_MAX], new[PATH_MAX], names[2 * PATH_MAX];
    if (!join(from_fd, from, old, sizeof old) || !join(to_fd, to, new, sizeof new)) return real(from_fd, from, to_fd, to);
    pthread_mutex_lock(&lock);
    struct statx s;
    uint64_t node = node_at(old, &s);
    int error = meet(OTHER);
    int result = -1;
    if (error <= 0) {
        result = real(from_fd, from, to_fd, to);
        error = result ? errno : 0;
    }
    int length = snprintf(names, sizeof names, "%s/%s", name_in(old), name_in(new));
    put((struct head){.kind = 'R', .failed = error != 0, .is_operation = 1, .length = (uint32_t)length, .a = parent_of(old), .b = parent_of(new), .c = node}, names);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

static int made(int fd, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!join(fd, name, path, sizeof path)) return (int)syscall(SYS_mkdirat, fd, name, mode);
    pthread_mutex_lock(&lock);
    struct statx s;
    int error = node_at(path, &s) ? 0 : meet(OTHER);
    int result = -1;
    if (error <= 0) {
        result = (int)syscall(SYS_mkdirat, fd, name, mode);
        error = result ? errno : 0;
    }
    // A folder that was there before is no change.
    if (error != EEXIST) put((struct head){.kind = 'M', .failed = error != 0, .is_operation = 1, .length = (uint32_t)strlen(name_in(path)), .a = parent_of(path), .b = node_at(path, &s)}, name_in(path));
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

int mkdir(const char *name, mode_t mode) { return made(AT_FDCWD, name, mode); }
int mkdirat(int fd, const char *name, mode_t mode) { return made(fd, name, mode); }

static int removed(int fd, const char *name, int flags) {
    char path[PATH_MAX];
    struct statx s;
    if (!join(fd, name, path, sizeof path) || !node_at(path, &s)) return (int)syscall(SYS_unlinkat, fd, name, flags);
    pthread_mutex_lock(&lock);
    int error = meet(OTHER);
    int result = -1;
    if (error <= 0) {
        result = (int)syscall(SYS_unlinkat, fd, name, flags);
        error = result ? errno : 0;
    }
    put((struct head){.kind = 'U', .failed = error != 0, .is_operation = 1, .length = (uint32_t)strlen(name_in(path)), .a = parent_of(path)}, name_in(path));
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

int unlinkat(int fd, const char *name, int flags) { return removed(fd, name, flags); }
int unlink(const char *name) { return removed(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return removed(AT_FDCWD, name, AT_REMOVEDIR); }
