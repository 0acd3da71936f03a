/*
 * How long a program runs until it makes its child.
 *
 *   until_clone COMMAND ARGUMENT...
 *
 * Prints the nanoseconds from just before the exec of COMMAND to its clone() or clone3() of a process (threads do not
 * count), and kills it there: the child is never made. A seccomp filter stops the command at clones and nowhere else, so
 * it runs at full speed until then; what is measured includes the kernel's work for the exec, the first
 * instruction's page faults, the dynamic linker, and one wake-up of this tracer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    fprintf(stderr, "until_clone: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void stop_at_clones(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
    };
    struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        fail("seccomp");
}

/* Whether the thread, stopped at a clone, is about to make a process and not a thread. */
static int makes_process(pid_t thread) {
    struct __ptrace_syscall_info call;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) <= 0)
        fail("PTRACE_GET_SYSCALL_INFO");
    uint64_t flags = call.seccomp.args[0];
    if (call.seccomp.nr == SYS_clone3) {
        errno = 0;
        flags = ptrace(PTRACE_PEEKDATA, thread, flags + offsetof(struct clone_args, flags), 0);
        /* A probe of clone3() passes no arguments. */
        if (errno)
            return 0;
    }
    return !(flags & CLONE_THREAD);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("usage: until_clone COMMAND ARGUMENT...\n", stderr);
        return 2;
    }
    int64_t *start = mmap(0, sizeof *start, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ready[2];
    if (start == MAP_FAILED || pipe(ready))
        fail("set-up");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (!child) {
        char go;
        close(ready[1]);
        if (read(ready[0], &go, 1) != 1)
            _exit(1);
        close(ready[0]);
        stop_at_clones();
        *start = now();
        execv(argv[1], argv + 1);
        fail(argv[1]);
    }
    close(ready[0]);
    if (ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL))
        fail("PTRACE_SEIZE");
    if (write(ready[1], "G", 1) != 1)
        fail("write");
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        int64_t seen = now();
        if (thread < 0)
            fail("waitpid");
        if (!WIFSTOPPED(status)) {
            if (thread != child)
                continue;
            fputs("until_clone: it ended without making a process\n", stderr);
            return 1;
        }
        int event = status >> 16;
        if (event == PTRACE_EVENT_SECCOMP && makes_process(thread)) {
            kill(child, SIGKILL);
            printf("%lld\n", (long long)(seen - *start));
            return 0;
        }
        /* Signals are delivered; stops of ptrace's own are not signals. */
        ptrace(PTRACE_CONT, thread, 0, event ? 0 : WSTOPSIG(status));
    }
}
