// What a process can reach from where it is: one line for each thing that was tried, `kind<TAB>name<TAB>answer`.
// Static, so that it runs in every tree. Arguments: how many system calls there are, then paths.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void say(const char *kind, const char *name, const char *answer) { printf("%s\t%s\t%s\n", kind, name, answer); }

static const char *error_name(int number) { return number ? strerrorname_np(number) : "yes"; }

// Without opening it for writing what a path cannot be written to has been left alone; nothing is written in any case.
static void try_path(const char *path) {
    struct stat found;
    const char *read = "yes", *write = "yes";
    char counted[32];
    if (stat(path, &found) < 0) {
        read = write = error_name(errno);
    } else if (S_ISSOCK(found.st_mode)) {
        struct sockaddr_un there = {.sun_family = AF_UNIX};
        strncpy(there.sun_path, path, sizeof there.sun_path - 1);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        read = write = fd >= 0 && connect(fd, (struct sockaddr *)&there, sizeof there) == 0 ? "connected" : error_name(errno);
    } else if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3)) {
        read = write = "masked";
    } else if (S_ISDIR(found.st_mode)) {
        DIR *listing = opendir(path);
        int count = 0;
        for (struct dirent *entry; listing && (entry = readdir(listing));) count += entry->d_name[0] != '.';
        snprintf(counted, sizeof counted, "%d entries", count);
        read = listing ? counted : error_name(errno);
        int made = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (made < 0 && errno == EOPNOTSUPP) {
            char file[4096];
            snprintf(file, sizeof file, "%s/.seclude-probe", path);
            made = open(file, O_CREAT | O_EXCL | O_WRONLY, 0600);
            if (made >= 0) unlink(file);
        }
        write = made >= 0 ? "yes" : error_name(errno);
    } else {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char byte;
        // An empty file in its place is a mask.
        read = fd < 0 ? error_name(errno) : S_ISREG(found.st_mode) && pread(fd, &byte, 1, 0) == 0 ? "empty" : "yes";
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        write = fd < 0 ? error_name(errno) : "yes";
    }
    say("read", path, read);
    say("write", path, write);
}

static void try_sockets(void) {
    static const struct { const char *name; int family, type, protocol; } kinds[] = {
        {"unix", AF_UNIX, SOCK_STREAM, 0}, {"TCP", AF_INET, SOCK_STREAM, 0}, {"UDP", AF_INET, SOCK_DGRAM, 0},
        {"TCP over IPv6", AF_INET6, SOCK_STREAM, 0}, {"raw IP", AF_INET, SOCK_RAW, 1}, {"SCTP", AF_INET, SOCK_STREAM, 132},
        {"netlink, routes", AF_NETLINK, SOCK_RAW, 0}, {"netlink, nftables", AF_NETLINK, SOCK_RAW, 12},
        {"netlink, audit", AF_NETLINK, SOCK_RAW, 9}, {"netlink, generic", AF_NETLINK, SOCK_RAW, 16},
        {"packet", AF_PACKET, SOCK_RAW, 0}, {"vsock", 40, SOCK_STREAM, 0}, {"kernel's cryptography", 38, SOCK_SEQPACKET, 0},
        {"CAN", 29, SOCK_RAW, 1}, {"Bluetooth", 31, SOCK_RAW, 1}, {"XDP", 44, SOCK_RAW, 0},
    };
    for (size_t place = 0; place < sizeof kinds / sizeof *kinds; place++) {
        int fd = socket(kinds[place].family, kinds[place].type, kinds[place].protocol);
        say("socket", kinds[place].name, fd >= 0 ? "yes" : error_name(errno));
        if (fd >= 0) close(fd);
    }
}

// Those that would end, stop or copy the process, or close the terminal, whatever their arguments are.
static int is_left_alone(long number) {
    switch (number) {
    case SYS_exit: case SYS_exit_group: case SYS_fork: case SYS_vfork: case SYS_clone: case SYS_rt_sigreturn: case SYS_pause:
    case SYS_vhangup: case SYS_sync: case SYS_restart_syscall:
        return 1;
    }
    return 0;
}

// Arguments that no call can do anything with: what is refused before they are looked at says so.
static void try_calls(long count) {
    int *answer = mmap(NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (long number = 0; number < count; number++) {
        char name[24];
        snprintf(name, sizeof name, "%ld", number);
        if (is_left_alone(number)) continue;
        fflush(stdout);
        *answer = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(1);
            *answer = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 ? errno : 0;
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        say("call", name, *answer == -1 ? (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? "SIGSYS" : "yes") : error_name(*answer));
    }
}

static void list(const char *kind, const char *path, const char *beginning_with) {
    DIR *listing = opendir(path);
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (entry->d_name[0] != '.' && (!beginning_with || strchr(beginning_with, entry->d_name[0]))) say(kind, entry->d_name, "yes");
}

static void try_identity(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[512];
    static const char *const wanted[] = {"Uid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"};
    while (status && fgets(line, sizeof line, status))
        for (size_t place = 0; place < sizeof wanted / sizeof *wanted; place++)
            if (!strncmp(line, wanted[place], strlen(wanted[place]))) {
                char *value = line + strlen(wanted[place]);
                value += strspn(value, " \t");
                value[strcspn(value, "\t\n")] = 0;
                say("identity", wanted[place], value);
            }
    FILE *map = fopen("/proc/self/uid_map", "r");
    unsigned inside, outside, many;
    if (map && fscanf(map, "%u %u %u", &inside, &outside, &many) == 3) {
        snprintf(line, sizeof line, "%u", outside);
        say("identity", "host uid of its first", line);
    }
}

int main(int count, char **words) {
    for (int place = 2; place < count; place++) try_path(words[place]);
    try_identity();
    for (char **variable = environ; *variable; variable++) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
        say("environment", name, "yes");
    }
    list("process", "/proc", "123456789");
    list("interface", "/sys/class/net", NULL);
    list("device", "/dev", NULL);
    try_sockets();
    try_calls(count > 1 ? atol(words[1]) : 0);
    return 0;
}
