/*
 * The launcher of floor.c: the system calls of the library's init (crates/init) in the same order, and nothing else. No libc.
 *
 *   launcher init|pid-1 NUMBERS COMMAND
 *
 * NUMBERS: a digit for the socket to the spawner, one for the working directory, one for what an init holds and a command never has.
 */
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { KERNEL_MASK = 8, FAILED = 125 };

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
#define C1(n, a) call6(n, (long)(a), 0, 0, 0, 0, 0)
#define C2(n, a, b) call6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define C3(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define C4(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define C5(n, a, b, c, d, e) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define C6(n, a, b, c, d, e, f) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static _Noreturn void end(int code) {
    for (;;)
        CALL(__NR_exit_group, code);
}

static long must(long answer) {
    if (answer < 0)
        end(FAILED);
    return answer;
}

/* As long as the library's: what the kernel does with it when it is installed is a part of the call. */
static struct sock_filter rest[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 9),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ppoll, 8, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_read, 7, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_kill, 6, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_wait4, 5, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendto, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_close, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_restart_syscall, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static const struct sock_fprog filter = {.len = sizeof rest / sizeof *rest, .filter = rest};

static const uint64_t all = ~0ULL, none = 0;
static const char record[8];

static void as_pid_1(int socket, int directory, int lock, char **argv, char **envp) {
    must(CALL(__NR_fcntl, socket, F_SETFD, FD_CLOEXEC));
    must(CALL(__NR_close, lock));
    must(CALL(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    must(CALL(__NR_fchdir, directory));
    must(CALL(__NR_close, directory));
    must(CALL(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    struct pollfd parent = {.fd = socket};
    struct {
        long seconds, nanoseconds;
    } now = {0, 0};
    must(CALL(__NR_ppoll, &parent, 1, &now, 0, 0));
    if (parent.revents & POLLHUP)
        end(FAILED);
    must(CALL(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, KERNEL_MASK));
    must(CALL(__NR_execve, argv[0], argv, envp));
}

static void command(int socket, int directory, int lock, int spawner, const struct kernel_action *before, char **argv,
                    char **envp) {
    struct kernel_action old;
    must(CALL(__NR_rt_sigaction, SIGCHLD, before, &old, KERNEL_MASK));
    must(CALL(__NR_close, lock));
    must(CALL(__NR_close, spawner));
    must(CALL(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    must(CALL(__NR_fchdir, directory));
    must(CALL(__NR_close, directory));
    must(CALL(__NR_close, socket));
    must(CALL(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
    must(CALL(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, KERNEL_MASK));
    must(CALL(__NR_execve, argv[0], argv, envp));
}

static void init(int socket, int directory, int lock, int spawner, char **argv, char **envp) {
    CALL(__NR_prctl, PR_SET_NAME, "launcher", 0, 0, 0);
    must(CALL(__NR_fcntl, socket, F_SETFD, FD_CLOEXEC));
    must(CALL(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0));
    must(CALL(__NR_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0));
    must(CALL(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, KERNEL_MASK));
    struct kernel_action by_default = {0}, before;
    must(CALL(__NR_rt_sigaction, SIGCHLD, &by_default, &before, KERNEL_MASK));
    int signals = must(CALL(__NR_signalfd4, -1, &all, KERNEL_MASK, SFD_CLOEXEC | SFD_NONBLOCK));
    int pipe[2];
    must(CALL(__NR_pipe2, pipe, O_CLOEXEC));
    must(CALL(__NR_close_range, ~0U, ~0U, 0));
    if (!must(CALL(__NR_clone, SIGCHLD, 0, 0, 0, 0)))
        command(socket, directory, lock, spawner, &before, argv, envp);
    must(CALL(__NR_close, pipe[1]));
    /* All but the signals, the lock, the parent, the pipe and the socket, which lie next to each other. */
    must(CALL(__NR_close_range, 0, signals - 1, 0));
    must(CALL(__NR_close_range, socket + 1, ~0U, 0));
    struct __user_cap_header_struct version = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kill[2] = {{.effective = 1 << CAP_KILL, .permitted = 1 << CAP_KILL}};
    must(CALL(__NR_capset, &version, kill));
    must(CALL(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    must(CALL(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter));
    struct pollfd gone = {.fd = spawner, .events = POLLIN};
    struct pollfd started[3] = {{.fd = pipe[0], .events = POLLIN}, {.fd = socket}, gone};
    must(CALL(__NR_ppoll, started, 3, 0, 0, 0));
    char failure[2048];
    if (must(CALL(__NR_read, pipe[0], failure, sizeof failure)))
        end(FAILED);
    must(CALL(__NR_close, pipe[0]));
    must(CALL(__NR_sendto, socket, record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0));
    struct pollfd ended[3] = {{.fd = signals, .events = POLLIN}, {.fd = socket}, gone};
    must(CALL(__NR_ppoll, ended, 3, 0, 0, 0));
    struct signalfd_siginfo come;
    must(CALL(__NR_read, signals, &come, sizeof come));
    int status;
    must(CALL(__NR_wait4, -1, &status, WNOHANG, 0));
    must(CALL(__NR_sendto, socket, record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0));
    end(WEXITSTATUS(status));
}

_Noreturn void start(long *stack) {
    char **argv = (char **)(stack + 1), **envp = argv + *stack + 1;
    int socket = argv[2][0] - '0', directory = argv[2][1] - '0', lock = argv[2][2] - '0';
    if (argv[1][0] == 'i')
        init(socket, directory, lock, argv[2][3] - '0', argv + 3, envp);
    else
        as_pid_1(socket, directory, lock, argv + 3, envp);
    end(FAILED);
}

__asm__(".globl _start\n"
        "_start: xor %ebp, %ebp\n"
        "mov %rsp, %rdi\n"
        "and $-16, %rsp\n"
        "call start\n"
        "ud2\n");
