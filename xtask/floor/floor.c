/*
 * The floor of `cargo xtask versus`: the system calls of one spawn by the library, in the same order, and nothing
 * else: no plan, no interpreter, no allocation. Seven new namespaces, / as root, a new /proc, a tmpfs on /tmp.
 *
 *   floor LAUNCHER init|pid-1 COMMAND
 *
 * LAUNCHER is launcher.c, compiled: what execs COMMAND inside, as an init's child or in its own place.
 * For every byte on stdin it starts COMMAND in such a container, waits for its end, and writes one line: the
 * nanoseconds from the first call to the last, or "error WHERE ERRNO". It ends at the end of stdin.
 * `cargo xtask versus` compares its calls with the library's wherever strace is installed.
 */
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "only x86-64 so far, as the library"
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { STACK = 36864, GUARD = 4096, KERNEL_MASK = 8, FAILED = 125 };

/* --- raw system calls: the child shares the parent's thread-local storage, and with it libc's errno */

static inline long call6(long nr, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return answer;
}

#define PICK(_1, _2, _3, _4, _5, _6, _7, name, ...) name
#define CALL(...) PICK(__VA_ARGS__, C6, C5, C4, C3, C2, C1, C0)(__VA_ARGS__)
#define C0(n) call6(n, 0, 0, 0, 0, 0, 0)
#define C1(n, a) call6(n, (long)(a), 0, 0, 0, 0, 0)
#define C2(n, a, b) call6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define C3(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define C4(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define C5(n, a, b, c, d, e) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define C6(n, a, b, c, d, e, f) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* clone3() whose child calls entry(data) on its new stack and never returns into the parent's frames. */
static inline long clone_onto(struct clone_args *arguments, void (*entry)(void *), void *data) {
    long answer;
    register void (*to)(void *) __asm__("r8") = entry;
    register void *with __asm__("r9") = data;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(answer)
                     : "a"(__NR_clone3), "D"(arguments), "S"(CLONE_ARGS_SIZE_VER0), "r"(to), "r"(with)
                     : "rcx", "r11", "memory");
    return answer;
}

struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

/* --- the child */

struct setup {
    int socket, launcher, lock;
    /* The parent's own pidfd, which an init watches, or -1. */
    int spawner;
    const char *directory;
    char **argv, **envp;
};

static int child_failed(long where) {
    CALL(__NR_exit, where);
    __builtin_unreachable();
}

/* Each call of the child that fails ends it with the number of its line. */
#define DO(call)                                                                                                       \
    ({                                                                                                                 \
        long answer_ = (call);                                                                                         \
        if (answer_ < 0)                                                                                               \
            child_failed(__LINE__ & 0xff ? __LINE__ & 0xff : FAILED);                                                  \
        answer_;                                                                                                       \
    })

static void die_with_parent(int socket) {
    DO(CALL(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    struct pollfd parent = {.fd = socket};
    struct timespec now = {0, 0};
    DO(CALL(__NR_ppoll, &parent, 1, &now, 0, KERNEL_MASK));
    if (parent.revents & POLLHUP)
        child_failed(FAILED);
}

static int open_at(int base, const char *path, uint64_t resolve) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
    return DO(CALL(__NR_openat2, base, path, &how, sizeof how));
}

static void attach(int mount, int onto) {
    DO(CALL(__NR_move_mount, mount, "", onto, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

static uint64_t mount_of(int base, const char *path) {
    struct statx found;
    DO(CALL(__NR_statx, base, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &found));
    return found.stx_mnt_id;
}

static void look_again(int base, const char *path, uint64_t wanted) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT};
    int found = DO(CALL(__NR_openat2, base, path, &how, sizeof how));
    if (mount_of(found, "") != wanted)
        child_failed(FAILED);
    DO(CALL(__NR_close, found));
}

static void raise_loopback(void) {
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
    } up = {
        .head = {.nlmsg_len = sizeof up, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .link = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
    };
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        char rest[28];
    } reply;
    int socket = DO(CALL(__NR_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    DO(CALL(__NR_sendto, socket, &up, sizeof up, MSG_NOSIGNAL, 0, 0));
    DO(CALL(__NR_recvfrom, socket, &reply, sizeof reply, 0, 0, 0));
    if (reply.head.nlmsg_type != NLMSG_ERROR || reply.error.error)
        child_failed(FAILED);
    DO(CALL(__NR_close, socket));
}

static void child(void *data) {
    const struct setup *setup = data;
    die_with_parent(setup->socket);
    /* The parent's own, for an init, lies beside the lock. */
    int kept = setup->spawner < 0 ? setup->lock : setup->spawner;
    DO(CALL(__NR_close_range, kept + 1, setup->socket - 1, 0));
    DO(CALL(__NR_close_range, setup->socket + 1, ~0U, 0));
    char go;
    if (DO(CALL(__NR_recvfrom, setup->socket, &go, 1, 0, 0, 0)) != 1)
        child_failed(FAILED);

    raise_loopback();
    long mask = DO(CALL(__NR_umask, 0));
    DO(CALL(__NR_fcntl, setup->lock, F_SETFD, 0));
    DO(CALL(__NR_mount, 0, "/", 0, 0x4000 | 0x40000 /* MS_REC | MS_PRIVATE */, 0));
    int root = open_at(AT_FDCWD, "/", 0);

    int fs = DO(CALL(__NR_fsopen, "proc", FSOPEN_CLOEXEC));
    DO(CALL(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
    int proc = DO(CALL(__NR_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    DO(CALL(__NR_close, fs));
    int place = open_at(root, "proc", RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    attach(proc, place);
    uint64_t first = mount_of(proc, "");

    fs = DO(CALL(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC));
    DO(CALL(__NR_close, proc));
    DO(CALL(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "1777", 0));
    DO(CALL(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
    int tmp = DO(CALL(__NR_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    DO(CALL(__NR_close, fs));
    int second = open_at(root, "tmp", RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT);
    DO(CALL(__NR_close, place));
    attach(tmp, second);
    uint64_t last = mount_of(tmp, "");
    look_again(root, "proc", first);
    look_again(root, "tmp", last);

    uint64_t wanted = mount_of(root, "");
    if (mount_of(AT_FDCWD, "/") != wanted || mount_of(AT_FDCWD, "/..") != wanted)
        child_failed(FAILED);
    DO(CALL(__NR_umask, mask));

    int directory = open_at(AT_FDCWD, setup->directory, RESOLVE_NO_MAGICLINKS);
    DO(CALL(__NR_close, second));
    DO(CALL(__NR_fcntl, directory, F_SETFD, 0));
    struct kernel_action by_default = {0}, now;
    for (int number = 1; number <= 64; number++) {
        CALL(__NR_rt_sigaction, number, 0, &now, KERNEL_MASK);
        if (now.handler == (void *)SIG_IGN)
            CALL(__NR_rt_sigaction, number, &by_default, 0, KERNEL_MASK);
    }
    if (setup->spawner >= 0)
        DO(CALL(__NR_fcntl, setup->spawner, F_SETFD, 0));
    DO(CALL(__NR_fcntl, setup->socket, F_SETFD, 0));
    setup->argv[2][0] = '0' + setup->socket;
    setup->argv[2][1] = '0' + directory;
    setup->argv[2][2] = '0' + setup->lock;
    setup->argv[2][3] = '0' + setup->spawner;
    DO(CALL(__NR_execveat, setup->launcher, "", setup->argv, setup->envp, AT_EMPTY_PATH));
}

/* --- the parent */

#ifndef MFD_EXEC
#define MFD_EXEC 0x10
#endif

static const char *failed_at;
static long failed_with;

/* Each call of the parent that fails ends the spawn. */
#define TRY(call)                                                                                                      \
    ({                                                                                                                 \
        long answer_ = (call);                                                                                         \
        if (answer_ < 0) {                                                                                             \
            failed_at = #call;                                                                                         \
            failed_with = answer_;                                                                                     \
            return -1;                                                                                                 \
        }                                                                                                              \
        answer_;                                                                                                       \
    })

static int write_map(int process, const char *name, const char *text, size_t length) {
    int file = TRY(CALL(__NR_openat, process, name, O_WRONLY | O_CLOEXEC));
    TRY(CALL(__NR_write, file, text, length));
    TRY(CALL(__NR_close, file));
    return 0;
}

struct map {
    char text[32];
    size_t length;
};

static void proc_path(char *into, int pid) {
    char digits[12];
    int count = 0;
    for (; pid; pid /= 10)
        digits[count++] = '0' + pid % 10;
    memcpy(into, "/proc/", 6);
    into += 6;
    while (count)
        *into++ = digits[--count];
    *into = 0;
}

/* The whole of it, as a file is read whose length nobody knows: into a buffer that doubles, and until nothing comes. */
static int read_all(const char *path) {
    int file = TRY(CALL(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
    struct statx size;
    TRY(CALL(__NR_statx, file, "", AT_EMPTY_PATH, STATX_ALL, &size));
    char text[256];
    size_t length = 0, room = 32;
    for (;;) {
        long count = TRY(CALL(__NR_read, file, text + length, room - length));
        if (!count)
            break;
        length += count;
        if (length == room && room < sizeof text)
            room *= 2;
    }
    TRY(CALL(__NR_close, file));
    return 0;
}

/* What each standard stream is: a file is shown through a mount of its own elsewhere, a pipe handed over. */
static void look_at_streams(void) {
    for (int number = 0; number < 3; number++) {
        struct stat found = {0};
        struct statfs system;
        CALL(__NR_fstat, number, &found);
        CALL(__NR_fcntl, number, F_GETFL);
        if (S_ISFIFO(found.st_mode))
            CALL(__NR_fstatfs, number, &system);
    }
}

static char launcher[1 << 14];
static size_t launcher_length;

static int spawn(int init, char **argv, char **envp, const struct map *uids, const struct map *gids,
                 int deny_setgroups) {
    CALL(__NR_geteuid);
    struct __user_cap_header_struct version = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct capabilities[2];
    TRY(CALL(__NR_capget, &version, capabilities));
    CALL(__NR_getegid);
    TRY(read_all("/proc/self/uid_map"));
    if (!init) {
        CALL(__NR_gettid);
        CALL(__NR_getpid);
    }
    uint64_t too_large = 1ULL << (SIGXFSZ - 1), unheld;
    TRY(CALL(__NR_rt_sigprocmask, SIG_BLOCK, &too_large, &unheld, KERNEL_MASK));
    struct kernel_action action;
    TRY(CALL(__NR_rt_sigaction, SIGCHLD, 0, &action, KERNEL_MASK));
    /* On the mount points of the host's tree. */
    int root = TRY(CALL(__NR_open, "/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statx its_kind;
    TRY(CALL(__NR_statx, root, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &its_kind));
    int lock = TRY(CALL(__NR_openat, root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    TRY(CALL(__NR_flock, lock, LOCK_SH | LOCK_NB));
    TRY(CALL(__NR_close, root));
    look_at_streams();
    char directory[PATH_MAX];
    TRY(CALL(__NR_getcwd, directory, sizeof directory));
    int program = TRY(CALL(__NR_memfd_create, "launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
    TRY(CALL(__NR_write, program, launcher, launcher_length));
    TRY(CALL(__NR_fcntl, program, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
    int pair[2];
    /* By which an init sees that this process ends, whoever has a copy of its socket. */
    long own = init ? CALL(__NR_getpid) : -1, spawner = init ? TRY(CALL(__NR_pidfd_open, own, 0)) : -1;
    TRY(CALL(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    /* Whose memory is hidden: of this process, or of one that was forked from it. */
    CALL(__NR_getpid);
    long dumpable = TRY(CALL(__NR_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0));
    TRY(CALL(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0));
    int access = PROT_READ | PROT_WRITE;
    long stack = TRY(
        CALL(__NR_mmap, 0, STACK, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0));
    TRY(CALL(__NR_mprotect, stack, GUARD, PROT_NONE));

    struct setup setup = {
        .socket = pair[1],
        .launcher = program,
        .lock = lock,
        .spawner = spawner,
        .directory = directory,
        .argv = argv,
        .envp = envp,
    };
    int pidfd = -1;
    volatile uint32_t busy = 1;
    struct clone_args arguments = {
        .flags = CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND | CLONE_NEWUSER | CLONE_NEWPID |
                 CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP,
        .pidfd = (uint64_t)&pidfd,
        .child_tid = (uint64_t)&busy,
        .stack = stack,
        .stack_size = STACK,
    };
    uint64_t all = ~0ULL, mask;
    TRY(CALL(__NR_rt_sigprocmask, SIG_SETMASK, &all, &mask, KERNEL_MASK));
    long pid = clone_onto(&arguments, child, &setup);
    uint64_t ignored;
    CALL(__NR_rt_sigprocmask, SIG_SETMASK, &mask, &ignored, KERNEL_MASK);
    TRY(pid);
    TRY(CALL(__NR_close, pair[1]));

    char path[32], *end = path;
    /* Which process of this /proc it is. */
    memcpy(path, "/proc/self/fdinfo/", 18);
    end = path + 18;
    if (pidfd >= 10)
        *end++ = '0' + pidfd / 10;
    *end++ = '0' + pidfd % 10;
    *end = 0;
    TRY(read_all(path));
    proc_path(path, pid);
    int process = TRY(CALL(__NR_open, path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statfs kind;
    TRY(CALL(__NR_fstatfs, process, &kind));
    if (deny_setgroups)
        TRY(write_map(process, "setgroups", "deny", 4));
    TRY(write_map(process, "uid_map", uids->text, uids->length));
    TRY(write_map(process, "gid_map", gids->text, gids->length));
    TRY(CALL(__NR_close, process));
    TRY(CALL(__NR_sendto, pair[0], "G", 1, MSG_NOSIGNAL, 0, 0));

    char message[8];
    struct iovec part = {.iov_base = message, .iov_len = sizeof message};
    char control[24];
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    long received = TRY(CALL(__NR_recvmsg, pair[0], &header, MSG_CMSG_CLOEXEC));
    siginfo_t status;
    /* An init says that the command runs; otherwise the socket is closed by its exec. Only an exec gives the child its exit
     * signal; before that it is found by __WALL alone. */
    int runs = init ? received == 8 && !message[0]
                    : !received && CALL(__NR_waitid, P_PIDFD, pidfd, &status, WEXITED | WNOHANG | WNOWAIT, 0) >= 0;
    if (!runs) {
        CALL(__NR_waitid, P_PIDFD, pidfd, &status, WEXITED | __WALL, 0);
        failed_at = "the child, at the line (modulo 256)";
        failed_with = -status.si_status;
        return -1;
    }
    while (busy)
        CALL(__NR_futex, &busy, FUTEX_WAIT, 1, 0);
    TRY(CALL(__NR_munmap, stack, STACK));
    CALL(__NR_getpid);
    TRY(CALL(__NR_prctl, PR_SET_DUMPABLE, dumpable, 0, 0, 0));
    if (!init)
        TRY(CALL(__NR_close, pair[0]));
    struct timespec now = {0, 0};
    /* Whether this process has been forked since. */
    CALL(__NR_getpid);
    CALL(__NR_rt_sigtimedwait, &too_large, 0, &now, KERNEL_MASK);
    TRY(CALL(__NR_rt_sigprocmask, SIG_SETMASK, &unheld, &ignored, KERNEL_MASK));
    TRY(CALL(__NR_close, program));
    if (init)
        TRY(CALL(__NR_close, spawner));

    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    TRY(CALL(__NR_ppoll, &ended, 1, 0, 0, KERNEL_MASK));
    CALL(__NR_getpid);
    TRY(CALL(__NR_waitid, P_PIDFD, pidfd, &status, WEXITED, 0));
    if (init) {
        TRY(CALL(__NR_recvfrom, pair[0], message, sizeof message, MSG_DONTWAIT, 0, 0));
        TRY(CALL(__NR_close, pair[0]));
    }
    CALL(__NR_getpid);
    TRY(CALL(__NR_flock, lock, LOCK_UN));
    TRY(CALL(__NR_close, lock));
    TRY(CALL(__NR_close, pidfd));
    if (status.si_code != CLD_EXITED || status.si_status) {
        failed_at = "the command";
        failed_with = -status.si_status;
        return -1;
    }
    return 0;
}

static int read_launcher(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, launcher, sizeof launcher);
    if (length <= 0 || (size_t)length == sizeof launcher)
        return -1;
    launcher_length = length;
    return close(file);
}

int main(int argc, char **argv, char **envp) {
    if (argc < 4 || read_launcher(argv[1])) {
        fputs("usage: floor LAUNCHER init|pid-1 COMMAND\n", stderr);
        return 2;
    }
    int init = !strcmp(argv[2], "init");
    /* As Rust has it, which the child then takes back. */
    signal(SIGPIPE, SIG_IGN);
    /* What the launcher gets: how, by which socket, in which directory, with which lock and which parent (a digit each), and the command. */
    char numbers[5] = "0000", *words[argc + 1];
    words[0] = argv[1], words[1] = argv[2], words[2] = numbers;
    memcpy(words + 3, argv + 3, (argc - 2) * sizeof *argv);
    struct map uids, gids;
    uids.length = snprintf(uids.text, sizeof uids.text, "0 %u 1\n", (unsigned)geteuid());
    gids.length = snprintf(gids.text, sizeof gids.text, "0 %u 1\n", (unsigned)getegid());
    int deny_setgroups = geteuid() != 0;
    char request, answer[256];
    while (read(0, &request, 1) == 1) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        int failed = spawn(init, words, envp, &uids, &gids, deny_setgroups);
        clock_gettime(CLOCK_MONOTONIC, &after);
        long ns = (after.tv_sec - before.tv_sec) * 1000000000L + (after.tv_nsec - before.tv_nsec);
        int length = failed ? snprintf(answer, sizeof answer, "error %s: %ld\n", failed_at, -failed_with)
                            : snprintf(answer, sizeof answer, "%ld\n", ns);
        if (write(1, answer, length) != length || failed)
            return 1;
    }
    return 0;
}
