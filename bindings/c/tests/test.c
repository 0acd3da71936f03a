/* What the header says, tried. As root and as an ordinary user; --start-nothing: what can be tried without a process, for
 * valgrind(1), which knows no clone3(2). */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <seclude.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static const int PIPES[3] = {SECLUDE_NULL, SECLUDE_PIPE, SECLUDE_INHERIT};

static bool has(const char *text, const char *part)
{
    return text && strstr(text, part);
}

/* What it starts, which has to be something. */
static seclude_child *start(const char *request, const int *stdio)
{
    seclude_child *child = NULL;
    seclude_error *error = (seclude_error *)1;
    int number = seclude_spawn(request, strlen(request), stdio, NULL, 0, &child, &error);
    CHECK(number == 0, "%s: %s", request, seclude_error_message(error));
    CHECK(child && !error, "%s", request);
    return child;
}

/* To the end of what can be read. */
static void read_all(int fd, char *into, size_t room)
{
    size_t length = 0;
    for (;;) {
        ssize_t got = read(fd, into + length, room - length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    into[length] = 0;
    close(fd);
}

static int ended(seclude_child *child, char **report)
{
    int status = -1;
    seclude_error *error;
    int number = seclude_wait(child, &status, report, &error);
    CHECK(number == 0, "%s", seclude_error_message(error));
    return status;
}

static void output_of(const char *request, char *into, size_t room)
{
    seclude_child *child = start(request, PIPES);
    read_all(seclude_take_stdout(child), into, room);
    int status = ended(child, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %x", request, status);
    seclude_child_free(child);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory, "%s", strerror(errno));
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* That this is refused with this number, and what the error says in JSON. */
static void refused(const char *request, size_t length, int number, const char *in_json)
{
    seclude_child *child = (seclude_child *)1;
    seclude_error *error = NULL;
    int answer = seclude_spawn(request, length, NULL, NULL, 0, &child, &error);
    CHECK(answer == -number, "%.60s: %d", request ? request : "NULL", answer);
    CHECK(!child && error, "%.60s", request ? request : "NULL");
    CHECK(has(seclude_error_json(error), in_json), "%s in %s", in_json, seclude_error_json(error));
    CHECK(strlen(seclude_error_message(error)) > 0, "a message");
    CHECK(!strchr(seclude_error_message(error), '\n'), "%s", seclude_error_message(error));
    seclude_error_free(error);
}

static void bad_requests_are_refused(void)
{
    static const struct {
        const char *request, *in_json;
    } bad[] = {
        {"", "\"kind\":\"syntax\""},
        {"{", "\"kind\":\"syntax\""},
        {"[]", "\"kind\":\"type\""},
        {"null", "\"kind\":\"type\""},
        {"{\"comand\": [\"true\"]}", "\"field\":\"comand\""},
        {"{\"limits\": {\"memroy_max\": 1}}", "the nearest is memory_max"},
        {"{\"mounts\": [{\"type\": \"tmpfs\", \"target\": \"/a\", \"sizes\": 1}]}", "\"field\":\"mounts[0].sizes\""},
        {"{\"command\": \"true\"}", "\"field\":\"command\""},
        {"{\"command\": [1]}", "\"field\":\"command[0]\""},
        {"{\"umask\": \"999\"}", "\"field\":\"umask\""},
        {"{\"limits\": {\"memory_max\": \"1X\"}}", "\"field\":\"limits.memory_max\""},
        {"{\"deadline\": \"5 fortnights\"}", "\"field\":\"deadline\""},
        {"{\"user\": {\"uid\": 4294967295}}", "\"kind\":\"range\""},
        {"{\"version\": 2}", "\"field\":\"version\""},
        {"{\"command\": [\"a\\u0000b\"]}", "\"field\":\"command[0]\""},
        {"{\"workdir\": {\"hex\": \"2f0\"}}", "\"field\":\"workdir\""},
        {"{\"command\": [\"true\"], \"command\": [\"false\"]}", "given twice"},
    };
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++)
        refused(bad[at].request, strlen(bad[at].request), EINVAL, bad[at].in_json);

    refused("{\"hostname\": \"\xff\"}", 17, EINVAL, "no UTF-8");
    refused("{}\0", 3, EINVAL, "\"kind\":\"syntax\"");
    refused(NULL, 0, EFAULT, "request is NULL");
    refused(NULL, 7, EFAULT, "request is NULL");

    size_t length = 5 << 20;
    char *large = malloc(length);
    CHECK(large, "memory");
    memset(large, ' ', length);
    refused(large, length, EINVAL, "more than 4194304 bytes");
    memset(large, '[', length);
    refused(large, 4 << 20, EINVAL, "\"code\":\"invalid\"");
    /* Deep, but not too deep for the parser. */
    memset(large + 64, ']', 64);
    refused(large, 128, EINVAL, "\"code\":\"invalid\"");
    free(large);
}

static void null_is_an_error(void)
{
    const char *request = "{\"command\": [\"true\"]}";
    size_t length = strlen(request);
    seclude_error *error = NULL;
    CHECK(seclude_spawn(request, length, NULL, NULL, 0, NULL, &error) == -EFAULT, "no place for the handle");
    CHECK(has(seclude_error_json(error), "child is NULL"), "%s", seclude_error_json(error));
    seclude_error_free(error);
    seclude_child *child;
    CHECK(seclude_spawn(request, length, NULL, NULL, 2, &child, NULL) == -EFAULT, "two descriptors nowhere");
    CHECK(seclude_spawn(NULL, 0, NULL, NULL, 0, NULL, NULL) == -EFAULT, "nothing at all");
    CHECK(seclude_pid(NULL) == -EFAULT && seclude_pidfd(NULL) == -EFAULT, "no handle");
    CHECK(seclude_take_stdin(NULL) == -EFAULT && seclude_take_stdout(NULL) == -EFAULT, "no handle");
    CHECK(seclude_take_stderr(NULL) == -EFAULT && seclude_take_terminal(NULL) == -EFAULT, "no handle");
    CHECK(seclude_wait(NULL, NULL, NULL, NULL) == -EFAULT, "no handle");
    CHECK(seclude_try_wait(NULL, NULL, NULL, NULL) == -EFAULT, "no handle");
    CHECK(seclude_signal(NULL, SIGTERM) == -EFAULT && seclude_kill(NULL, NULL) == -EFAULT, "no handle");
    CHECK(seclude_pause(NULL, NULL) == -EFAULT && seclude_resume(NULL, NULL) == -EFAULT, "no handle");
    CHECK(seclude_stats_json(NULL, NULL, NULL) == -EFAULT, "no handle");
    CHECK(seclude_explain(request, length, NULL, NULL) == -EFAULT, "no place for the plan");
    CHECK(seclude_doctor_json(NULL, NULL) == -EFAULT, "no place for the examination");
    CHECK(seclude_time_left(NULL) == -1, "no handle");
    CHECK(!seclude_error_json(NULL) && !seclude_error_message(NULL) && !seclude_error_exit_code(NULL), "no error");
    seclude_error_free(NULL);
    seclude_string_free(NULL);
    seclude_child_free(NULL);
}

static void a_plan_is_explained(void)
{
    const char *request = "{\"command\": [\"true\"], \"hostname\": \"box\"}";
    char *plan = NULL;
    seclude_error *error = NULL;
    int number = seclude_explain(request, strlen(request), &plan, &error);
    CHECK(number == 0, "%s", seclude_error_message(error));
    CHECK(has(plan, "hostname") && has(plan, "box") && has(plan, "\n"), "%s", plan);
    seclude_string_free(plan);
    plan = NULL;
    request = "{\"preset\": \"bare\", \"command\": [\"true\"], \"hostname\": \"box\"}";
    CHECK(seclude_explain(request, strlen(request), &plan, &error) == -EINVAL, "no namespace for the name");
    CHECK(!plan && has(seclude_error_json(error), "\"step\":\"host name\""), "%s", seclude_error_json(error));
    seclude_error_free(error);
}

static void inside_is_not_outside(void)
{
    char text[4096], link[256] = {0};
    output_of("{\"command\": [\"readlink\", \"/proc/self/ns/net\"]}", text, sizeof text);
    CHECK(readlink("/proc/self/ns/net", link, sizeof link - 1) > 0, "%s", strerror(errno));
    text[strcspn(text, "\n")] = 0;
    CHECK(has(text, "net:[") && strcmp(text, link) != 0, "inside %s, outside %s", text, link);
    output_of("{\"command\": [\"readlink\", \"/proc/self/ns/net\"], \"preset\": \"bare\"}", text, sizeof text);
    text[strcspn(text, "\n")] = 0;
    CHECK(strcmp(text, link) == 0, "without a container %s, outside %s", text, link);
}

static void what_is_not_there_is_told(void)
{
    const char *request = "{\"command\": [\"no-such-command\"]}";
    seclude_child *child;
    seclude_error *error;
    CHECK(seclude_spawn(request, strlen(request), NULL, NULL, 0, &child, &error) == -ENOENT, "it is not there");
    CHECK(!child && seclude_error_exit_code(error) == 127, "%s", seclude_error_json(error));
    CHECK(has(seclude_error_json(error), "\"code\":\"not-found\""), "%s", seclude_error_json(error));
    CHECK(has(seclude_error_json(error), "\"errno_name\":\"ENOENT\""), "%s", seclude_error_json(error));
    seclude_error_free(error);
    /* A path that is no UTF-8. */
    request = "{\"command\": [\"true\"], \"mounts\": [{\"type\": \"bind\", \"source\": {\"hex\": \"2fff\"}, \"target\": \"/mnt\"}]}";
    CHECK(seclude_spawn(request, strlen(request), NULL, NULL, 0, &child, &error) == -ENOENT, "it is not there");
    CHECK(has(seclude_error_json(error), "{\"hex\":\"2fff\"}"), "%s", seclude_error_json(error));
    seclude_error_free(error);
    /* Nothing to start. */
    CHECK(seclude_spawn("{}", 2, NULL, NULL, 0, &child, &error) < 0 && !child, "no command");
    seclude_error_free(error);
}

static void streams_and_descriptors_are_given(void)
{
    const char *request = "{\"command\": [\"sh\", \"-c\", \"cat; cat <&7; echo wrong >&2; exit 3\"]}";
    const int stdio[3] = {SECLUDE_PIPE, SECLUDE_PIPE, SECLUDE_PIPE};
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0, "%s", strerror(errno));
    CHECK(write(ends[1], "seven\n", 6) == 6, "%s", strerror(errno));
    close(ends[1]);
    seclude_fd fd = {.fd = ends[0], .number = 7};
    seclude_child *child;
    seclude_error *error;
    int number = seclude_spawn(request, strlen(request), stdio, &fd, 1, &child, &error);
    CHECK(number == 0, "%s", seclude_error_message(error));
    close(ends[0]);
    int in = seclude_take_stdin(child), out = seclude_take_stdout(child), err = seclude_take_stderr(child);
    CHECK(in > 2 && out > 2 && err > 2, "%d %d %d", in, out, err);
    CHECK(fcntl(in, F_GETFD) == FD_CLOEXEC, "close-on-exec");
    CHECK(seclude_take_stdin(child) == -EBADF && seclude_take_terminal(child) == -EBADF, "once");
    CHECK(seclude_pid(child) > 0 && seclude_pidfd(child) > 2, "numbers");
    CHECK(seclude_time_left(child) == -1, "no deadline");
    CHECK(seclude_try_wait(child, NULL, NULL, NULL) == 0, "it waits for its stdin");
    CHECK(write(in, "in\n", 3) == 3, "%s", strerror(errno));
    close(in);
    char text[64];
    read_all(out, text, sizeof text);
    CHECK(strcmp(text, "in\nseven\n") == 0, "%s", text);
    read_all(err, text, sizeof text);
    CHECK(strcmp(text, "wrong\n") == 0, "%s", text);
    struct pollfd poller = {.fd = seclude_pidfd(child), .events = POLLIN};
    CHECK(poll(&poller, 1, 60000) == 1, "its pidfd tells its end");
    int status;
    char *report = NULL;
    CHECK(seclude_try_wait(child, &status, &report, NULL) == 1, "it has ended");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "%x", status);
    CHECK(has(report, "\"cause\":\"exited\"") && has(report, "\"code\":3") && has(report, "\"wall_us\""), "%s", report);
    seclude_string_free(report);
    CHECK(WEXITSTATUS(ended(child, NULL)) == 3, "asked again");
    CHECK(seclude_kill(child, NULL) == 0, "it has ended already");
    CHECK(seclude_signal(child, SIGTERM) == -ESRCH, "it was reaped");
    seclude_child_free(child);

    /* What is not open. */
    fd.fd = 987654;
    CHECK(seclude_spawn(request, strlen(request), stdio, &fd, 1, &child, &error) == -EBADF && !child, "not open");
    seclude_error_free(error);
    const int closed[3] = {987654, -1, -1};
    CHECK(seclude_spawn(request, strlen(request), closed, NULL, 0, &child, &error) == -EBADF, "not open");
    CHECK(has(seclude_error_message(error), "stdin"), "%s", seclude_error_message(error));
    seclude_error_free(error);
    const int strange[3] = {-7, -1, -1};
    CHECK(seclude_spawn(request, strlen(request), strange, NULL, 0, &child, NULL) == -EBADF, "no such number");
    /* Numbers that are stdin's, or nobody's. */
    for (int number = -1; number < 3; number++) {
        fd = (seclude_fd){.fd = 0, .number = number};
        CHECK(seclude_spawn(request, strlen(request), NULL, &fd, 1, &child, NULL) == -EINVAL && !child, "%d", number);
    }
}

static void a_descriptor_is_its_stdout(void)
{
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0, "%s", strerror(errno));
    const int stdio[3] = {SECLUDE_NULL, ends[1], SECLUDE_NULL};
    seclude_child *child = start("{\"command\": [\"echo\", \"here\"]}", stdio);
    close(ends[1]);
    char text[64];
    read_all(ends[0], text, sizeof text);
    CHECK(strcmp(text, "here\n") == 0, "%s", text);
    CHECK(ended(child, NULL) == 0, "it went well");
    seclude_child_free(child);
}

static void a_terminal_is_had(void)
{
    seclude_child *child =
        start("{\"command\": [\"sh\", \"-c\", \"tty >/dev/null && stty size\"], \"terminal\": {\"rows\": 7, \"columns\": 33}}", NULL);
    int terminal = seclude_take_terminal(child);
    CHECK(terminal > 2, "%d", terminal);
    char text[64];
    read_all(terminal, text, sizeof text);
    CHECK(has(text, "7 33"), "%s", text);
    CHECK(ended(child, NULL) == 0, "it went well");
    seclude_child_free(child);
}

/* Whether a process is there that has this as an argument. */
static bool runs(const char *argument)
{
    bool found = false;
    char path[512], line[4096];
    DIR *directory = opendir("/proc");
    CHECK(directory, "%s", strerror(errno));
    for (struct dirent *entry; !found && (entry = readdir(directory));) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? 0 : read(fd, line, sizeof line);
        if (fd >= 0)
            close(fd);
        found = got > 0 && memmem(line, (size_t)got, argument, strlen(argument));
    }
    closedir(directory);
    return found;
}

static void the_whole_tree_is_killed(void)
{
    /* Seconds that nobody else sleeps. */
    char seconds[32], request[256];
    snprintf(seconds, sizeof seconds, "86400.%06d", (int)getpid());
    snprintf(request, sizeof request,
             "{\"command\": [\"sh\", \"-c\", \"setsid sleep %s & echo ready; wait\"]}", seconds);
    for (int by_free = 0; by_free < 2; by_free++) {
        seclude_child *child = start(request, PIPES);
        int out = seclude_take_stdout(child);
        char ready;
        CHECK(read(out, &ready, 1) == 1, "%s", strerror(errno));
        if (!by_free) {
            CHECK(seclude_kill(child, NULL) == 0, "killed");
            char *report;
            int status = ended(child, &report);
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%x", status);
            CHECK(has(report, "\"cause\":\"killed\"") && has(report, "\"empty\":true"), "%s", report);
            seclude_string_free(report);
        }
        seclude_child_free(child);
        close(out);
        CHECK(!runs(seconds), "nothing of it is there");
    }
}

static void a_signal_is_handed_on(void)
{
    seclude_child *child =
        start("{\"command\": [\"sh\", \"-c\", \"trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done\"]}", PIPES);
    int out = seclude_take_stdout(child);
    char ready;
    CHECK(read(out, &ready, 1) == 1, "%s", strerror(errno));
    CHECK(seclude_signal(child, 12345) == -EINVAL, "no signal");
    CHECK(seclude_signal(child, SIGTERM) == 0, "sent");
    int status = ended(child, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9, "%x", status);
    seclude_child_free(child);
    close(out);
}

static void what_the_caller_ignores_is_ignored_but_for_sigpipe(void)
{
    const int ignored[] = {SIGHUP, SIGPIPE};
    void (*before[2])(int);
    for (int at = 0; at < 2; at++)
        before[at] = signal(ignored[at], SIG_IGN);
    char said[100];
    output_of("{\"command\": [\"grep\", \"SigIgn\", \"/proc/self/status\"]}", said, sizeof said);
    for (int at = 0; at < 2; at++)
        signal(ignored[at], before[at]);
    unsigned long long mask = 0;
    CHECK(sscanf(said, "SigIgn: %llx", &mask) == 1, "%s", said);
    CHECK((mask >> (SIGHUP - 1) & 1) == 1 && (mask >> (SIGPIPE - 1) & 1) == 0, "%s", said);
}

static void a_deadline_is_kept(void)
{
    seclude_child *child = start("{\"command\": [\"sleep\", \"60\"], \"deadline\": \"1.5s\"}", NULL);
    int left = seclude_time_left(child);
    CHECK(left >= 0 && left <= 1500, "%d", left);
    char *report;
    ended(child, &report);
    CHECK(has(report, "\"cause\":\"deadline\""), "%s", report);
    seclude_string_free(report);
    seclude_child_free(child);
}

static void *wait_for_it(void *child)
{
    int status = ended(child, NULL);
    CHECK(WIFSIGNALED(status), "%x", status);
    return NULL;
}

static void one_thread_kills_what_others_wait_for(void)
{
    seclude_child *child = start("{\"command\": [\"sleep\", \"60\"]}", NULL);
    pthread_t threads[2];
    for (int at = 0; at < 2; at++)
        CHECK(pthread_create(&threads[at], NULL, wait_for_it, child) == 0, "a thread");
    usleep(50000);
    CHECK(seclude_try_wait(child, NULL, NULL, NULL) == 0, "it sleeps");
    CHECK(seclude_kill(child, NULL) == 0, "killed");
    for (int at = 0; at < 2; at++)
        pthread_join(threads[at], NULL);
    seclude_child_free(child);
}

static void *start_some(void *number)
{
    char request[128], expected[32], text[64];
    for (int round = 0; round < 5; round++) {
        snprintf(expected, sizeof expected, "%d-%d\n", *(int *)number, round);
        snprintf(request, sizeof request, "{\"command\": [\"echo\", \"%d-%d\"]}", *(int *)number, round);
        output_of(request, text, sizeof text);
        CHECK(strcmp(text, expected) == 0, "%s for %s", text, expected);
        refused("{\"hostnam\": 1}", 14, EINVAL, "hostname");
    }
    return NULL;
}

static void threads_start_at_once(void)
{
    pthread_t threads[4];
    int numbers[4];
    for (int at = 0; at < 4; at++) {
        numbers[at] = at;
        CHECK(pthread_create(&threads[at], NULL, start_some, &numbers[at]) == 0, "a thread");
    }
    for (int at = 0; at < 4; at++)
        pthread_join(threads[at], NULL);
}

static void *start_and_leave(void *child)
{
    *(seclude_child **)child = start("{\"command\": [\"sleep\", \"60\"]}", NULL);
    return NULL;
}

static void the_thread_that_started_it_may_end(void)
{
    seclude_child *child;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, start_and_leave, &child) == 0, "a thread");
    pthread_join(thread, NULL);
    usleep(50000);
    CHECK(seclude_try_wait(child, NULL, NULL, NULL) == 0, "it goes on");
    seclude_child_free(child);
}

static void a_fork_of_the_caller_ends_nothing(void)
{
    const int out_and_in[3] = {SECLUDE_PIPE, SECLUDE_PIPE, SECLUDE_INHERIT};
    seclude_child *child = start("{\"command\": [\"cat\"]}", out_and_in);
    pid_t pid = fork();
    CHECK(pid >= 0, "%s", strerror(errno));
    if (pid == 0) {
        /* By a signal that ends it, if one of these waits. */
        alarm(20);
        seclude_error *error = NULL;
        char *text = NULL;
        CHECK(seclude_wait(child, NULL, &text, &error) == -ECHILD && !text, "wait");
        CHECK(has(seclude_error_json(error), "\"errno_name\":\"ECHILD\""), "%s", seclude_error_json(error));
        seclude_error_free(error);
        CHECK(seclude_try_wait(child, NULL, NULL, NULL) == -ECHILD, "try_wait");
        CHECK(seclude_kill(child, NULL) == -ECHILD && seclude_signal(child, SIGTERM) == -ECHILD, "kill, signal");
        CHECK(seclude_pause(child, NULL) == -ECHILD && seclude_resume(child, NULL) == -ECHILD, "pause, resume");
        CHECK(seclude_stats_json(child, &text, NULL) == -ECHILD && !text, "stats");
        CHECK(seclude_denials_json(child, &text, NULL) == -ECHILD && !text, "denials");
        CHECK(seclude_take_stdin(child) == -ECHILD && seclude_take_terminal(child) == -ECHILD, "take");
        CHECK(seclude_pid(child) == -ECHILD && seclude_pidfd(child) == -ECHILD && seclude_time_left(child) == -1, "pid");
        seclude_child_free(child);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "%x", status);
    CHECK(seclude_try_wait(child, NULL, NULL, NULL) == 0, "it goes on");
    close(seclude_take_stdin(child));
    char said[8];
    read_all(seclude_take_stdout(child), said, sizeof said);
    status = ended(child, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "by itself: %x", status);
    seclude_child_free(child);
}

static void who_ignores_children_hears_of_this_one(void)
{
    signal(SIGCHLD, SIG_IGN);
    seclude_child *child = start("{\"command\": [\"sh\", \"-c\", \"exit 3\"]}", NULL);
    int status = ended(child, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "%x", status);
    seclude_child_free(child);
    signal(SIGCHLD, SIG_DFL);
}

static void what_is_used_is_counted(void)
{
    const char *request = "{\"command\": [\"sh\", \"-c\", \"echo ready; sleep 60\"], \"limits\": {\"pids_max\": 20}}";
    seclude_child *child;
    seclude_error *error;
    if (seclude_spawn(request, strlen(request), PIPES, NULL, 0, &child, &error) < 0) {
        /* What a host need not have: a cgroup for this user. */
        CHECK(has(seclude_error_json(error), "\"step\":\"cgroup\""), "%s", seclude_error_json(error));
        printf("skipped: stats: %s\n", seclude_error_message(error));
        seclude_error_free(error);
    } else {
        int out = seclude_take_stdout(child);
        char ready, *stats = NULL;
        CHECK(read(out, &ready, 1) == 1, "%s", strerror(errno));
        int number = seclude_stats_json(child, &stats, &error);
        CHECK(number == 0, "%s", seclude_error_message(error));
        CHECK(has(stats, "\"pids\":") && has(stats, "\"pressure\":"), "%s", stats);
        CHECK(!has(stats, "\"pids\":null"), "%s", stats);
        seclude_string_free(stats);
        CHECK(seclude_pause(child, &error) == 0, "%s", seclude_error_message(error));
        CHECK(seclude_resume(child, &error) == 0, "%s", seclude_error_message(error));
        CHECK(seclude_kill(child, &error) == 0, "%s", seclude_error_message(error));
        char *report;
        ended(child, &report);
        CHECK(has(report, "\"proof\":\"cgroup-removed\""), "%s", report);
        seclude_string_free(report);
        seclude_child_free(child);
        close(out);
    }
    child = start("{\"command\": [\"sleep\", \"60\"]}", NULL);
    char *stats = NULL;
    CHECK(seclude_stats_json(child, &stats, &error) == -EINVAL && !stats, "it has no cgroup");
    seclude_error_free(error);
    CHECK(seclude_pause(child, NULL) == -EINVAL && seclude_resume(child, NULL) == -EINVAL, "it has no cgroup");
    seclude_child_free(child);
}

static void what_is_refused_is_told_while_it_runs(void)
{
    const char *nested = "{\"command\": [\"sh\", \"-c\", \"unshare -U true 2> /dev/null; echo ready; sleep 60\"], \"nested\": true}";
    const char *requests[] = {
        "{\"command\": [\"sh\", \"-c\", \"unshare -U true 2> /dev/null; echo ready; sleep 60\"]}", nested};
    for (size_t which = 0; which < 2; which++) {
        seclude_child *child = start(requests[which], PIPES);
        int out = seclude_take_stdout(child);
        char ready, *denials = NULL;
        seclude_error *error;
        CHECK(read(out, &ready, 1) == 1, "%s", strerror(errno));
        CHECK(seclude_denials_json(child, &denials, &error) == 0, "%s", seclude_error_message(error));
        bool told = has(denials, "\"call\":\"unshare\"") && has(denials, "\"nested\"");
        CHECK(told == (which == 0), "%s", denials);
        seclude_string_free(denials);
        CHECK(seclude_denials_json(child, NULL, NULL) == -EFAULT, "nowhere to write");
        seclude_child_free(child);
        close(out);
    }
    CHECK(seclude_denials_json(NULL, NULL, NULL) == -EFAULT, "no handle");
}

static void the_host_is_examined(void)
{
    char *found = NULL;
    seclude_error *error;
    int number = seclude_doctor_json(&found, &error);
    CHECK(number == 0, "%s", seclude_error_message(error));
    CHECK(has(found, "\"sandbox_works\":true") && has(found, "\"verdict\":\"works\""), "%s", found);
    seclude_string_free(found);
}

static const struct {
    const char *name;
    void (*run)(void);
    bool starts;
} TESTS[] = {
    {"bad requests are refused", bad_requests_are_refused, false},
    {"NULL is an error", null_is_an_error, false},
    {"a plan is explained", a_plan_is_explained, false},
    {"inside is not outside", inside_is_not_outside, true},
    {"what is not there is told", what_is_not_there_is_told, true},
    {"streams and descriptors are given", streams_and_descriptors_are_given, true},
    {"a descriptor is its stdout", a_descriptor_is_its_stdout, true},
    {"a terminal is had", a_terminal_is_had, true},
    {"the whole tree is killed", the_whole_tree_is_killed, true},
    {"a signal is handed on", a_signal_is_handed_on, true},
    {"what the caller ignores is ignored, but for SIGPIPE", what_the_caller_ignores_is_ignored_but_for_sigpipe, true},
    {"a deadline is kept", a_deadline_is_kept, true},
    {"one thread kills what others wait for", one_thread_kills_what_others_wait_for, true},
    {"threads start at once", threads_start_at_once, true},
    {"the thread that started it may end", the_thread_that_started_it_may_end, true},
    {"a fork of the caller ends nothing", a_fork_of_the_caller_ends_nothing, true},
    {"who ignores children hears of this one", who_ignores_children_hears_of_this_one, true},
    {"what is used is counted", what_is_used_is_counted, true},
    {"what is refused is told while it runs", what_is_refused_is_told_while_it_runs, true},
    {"the host is examined", the_host_is_examined, true},
};

/* A thread that was left closes its own a moment later: as many as there are when it has been quiet for a while, or soon no more than these. */
static int settled_descriptors(int wanted)
{
    int found = open_descriptors();
    for (int looks = 0, quiet = 0; found > wanted && looks < 500 && (wanted || quiet < 10); looks++) {
        usleep(10000);
        int now = open_descriptors();
        quiet = now == found ? quiet + 1 : 0;
        found = now;
    }
    return found;
}

int main(int argc, char **argv)
{
    bool start_nothing = argc > 1 && strcmp(argv[1], "--start-nothing") == 0;
    CHECK(seclude_abi_version() == SECLUDE_ABI_VERSION, "%u", seclude_abi_version());
    CHECK(has(seclude_version(), "."), "%s", seclude_version());
    for (size_t at = 0; at < sizeof TESTS / sizeof *TESTS; at++) {
        if (start_nothing && TESTS[at].starts)
            continue;
        /* What is opened once and kept is opened by the first round. */
        TESTS[at].run();
        int before = settled_descriptors(0);
        TESTS[at].run();
        int after = settled_descriptors(before);
        CHECK(after <= before, "%s: %d descriptors before, %d after", TESTS[at].name, before, after);
        printf("ok %s\n", TESTS[at].name);
        fflush(stdout);
    }
    return 0;
}
