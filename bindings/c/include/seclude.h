/* seclude: start a process born inside a Linux container.
 *
 * Generated from bindings/c/src by `cargo xtask c --header`: change that, not this.
 *
 * A request is JSON, as docs/request.md and docs/request.schema.json of seclude have it:
 *
 *     {"command": ["make"], "limits": {"memory_max": "256M"}, "mounts": [{"type": "tmpfs", "target": "/tmp"}]}
 *
 * UTF-8, at most 4 MiB, at most 16 levels deep. Unknown keys are errors. A path, a name or an argument that is no UTF-8 is
 * {"hex": "2f746d702fff"}: its bytes, two hexadecimal digits each.
 *
 * Results: a function that returns int returns 0 (or what it says) if all is well, else the negative of an errno(3). Where it
 * takes a `seclude_error **error`, that may be NULL; if it is not, *error is NULL afterwards, or what went wrong, to be freed with
 * seclude_error_free. What stood there before is not freed. A NULL where something has to be is -EFAULT. A panic inside the
 * library is -ENOTRECOVERABLE, and a line on stderr. -EINVAL is a request that cannot be meant. Nothing is started, and nothing of
 * it stays, unless 0 came back; what could not be undone all the same is in the error's `left_behind`.
 *
 * Strings that the library gives are UTF-8 with a NUL behind them. `char *` is the caller's, to be freed with seclude_string_free;
 * `const char *` belongs to what it was asked of.
 *
 * Threads: every function may be called by any thread at any time, also several with one handle, but that nothing may be
 * done with what is being freed, or was. The library calls nothing of the caller's, and changes neither signal handlers nor the
 * working directory. While it starts something, the calling thread's signals are blocked, and a process that has capabilities is not
 * dumpable, prctl(2). It reads the environment, which nobody may change meanwhile, as with getenv(3), and has threads of its own
 * where they are needed (a command that is to be killed when the caller ends, ports on [::1]).
 *
 * Descriptors that the library makes are close-on-exec. fork(2): in the child of a fork a handle is nobody's. What takes one answers
 * -ECHILD there, and seclude_child_free forgets it: the process runs on, and is the parent's to wait for.
 */


#ifndef SECLUDE_H
#define SECLUDE_H

#include <stddef.h>
#include <stdint.h>

/**
 * What a program was compiled for; it goes up when something that was there changes its meaning or goes away, and with it
 * the library's soname. See seclude_abi_version.
 */
#define SECLUDE_ABI_VERSION 1

/**
 * For one of the three: the caller's own, or the terminal that the request asks for.
 */
#define SECLUDE_INHERIT -1

/**
 * For one of the three: /dev/null.
 */
#define SECLUDE_NULL -2

/**
 * For one of the three: a pipe, whose other end seclude_take_stdin, _stdout or _stderr give.
 */
#define SECLUDE_PIPE -3

/**
 * A process in its container. Freed with seclude_child_free.
 */
typedef struct seclude_child seclude_child;

/**
 * Why something was not done. Freed with seclude_error_free.
 */
typedef struct seclude_error seclude_error;

/**
 * A descriptor for the command besides stdin, stdout and stderr.
 */
typedef struct seclude_fd {
  /**
   * The caller's own; a copy is given on, and it stays as it is.
   */
  int fd;
  /**
   * Its number for the command, 3 or more.
   */
  int number;
} seclude_fd;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The SECLUDE_ABI_VERSION of the library that is loaded: a program that was compiled with another must not go on.
 */
uint32_t seclude_abi_version(void);

/**
 * The version of the library, such as "0.1.0". It is never freed.
 */
const char *seclude_version(void);

/**
 * Starts what a request describes, and returns when the command runs.
 *
 * `request`, `length`: JSON and its bytes, which are not needed any more afterwards.
 * `stdio`: NULL (all SECLUDE_INHERIT), or three numbers, for stdin, stdout and stderr: a descriptor, of which a copy is given on, or
 * SECLUDE_INHERIT, SECLUDE_NULL or SECLUDE_PIPE.
 * `fds`, `fd_count`: further descriptors for the command; NULL if there are none. All others are closed for it.
 * `child`: the handle is put here, to be freed with seclude_child_free; it is NULL if nothing was started.
 *
 * A start that takes too long is ended by the request's `deadline`.
 *
 * Signals that the caller ignores are ignored by the command as well, as over fork(2) and execve(2), but for SIGPIPE and SIGXFSZ, which
 * programs ignore for themselves alone: these have their default, as those with a handler do. None is blocked.
 */
int seclude_spawn(const char *request,
                  size_t length,
                  const int *stdio,
                  const struct seclude_fd *fds,
                  size_t fd_count,
                  struct seclude_child **child,
                  struct seclude_error **error);

/**
 * Its pid, in the caller's pid namespace: of the container's first process, which in the sandbox is the command's init.
 * After its end another process may have the number. -EFAULT for NULL.
 */
int seclude_pid(const struct seclude_child *child);

/**
 * Its pidfd, pidfd_open(2): readable, as poll(2) and epoll(7) have it, once it has ended. It belongs to the handle: open until
 * that is freed, and not to be closed. -EFAULT for NULL.
 */
int seclude_pidfd(const struct seclude_child *child);

/**
 * The writing end of the pipe that is the command's stdin: the caller's from now on, to be closed. What is written to it when
 * nobody reads any more is SIGPIPE. -EBADF if it is no pipe, or was taken.
 */
int seclude_take_stdin(struct seclude_child *child);

/**
 * The reading end of the pipe that is the command's stdout: the caller's from now on, to be closed. -EBADF if it is no pipe,
 * or was taken.
 */
int seclude_take_stdout(struct seclude_child *child);

/**
 * The reading end of the pipe that is the command's stderr: the caller's from now on, to be closed. -EBADF if it is no pipe,
 * or was taken.
 */
int seclude_take_stderr(struct seclude_child *child);

/**
 * The other end of the terminal that the request asked for, pty(7): the caller's from now on, to be closed. What is written
 * there is the command's keyboard. -EBADF if it has none, or it was taken.
 */
int seclude_take_terminal(struct seclude_child *child);

/**
 * Waits for its end, or for its deadline, which kills it; signals do not end the waiting. A pipe to its stdin that was not taken
 * is closed first. One that fills a pipe that nobody reads never ends.
 *
 * `status`: NULL, or where its status is put, as waitpid(2) has it, for WIFEXITED and its like.
 * `report`: NULL, or where its report is put as JSON, as docs/report.schema.json has it; the caller's (seclude_string_free).
 *
 * It can be asked again, by several threads at once too. If something of the container could not be removed, that is an error
 * the first time, and the next call tells the end.
 */
int seclude_wait(struct seclude_child *child,
                 int *status,
                 char **report,
                 struct seclude_error **error);

/**
 * As seclude_wait, but it does not wait: 1 if it has ended, 0 if not, in which case nothing is put anywhere. If its deadline has
 * passed, that is when it is killed. 0 as well of one that has ended, whose pidfd is readable therefore, as long as output that was
 * relayed waits for its reader (a stream of the caller's that is a connection): seclude_wait waits for that without using the processor.
 */
int seclude_try_wait(struct seclude_child *child,
                     int *status,
                     char **report,
                     struct seclude_error **error);

/**
 * Milliseconds until its deadline, rounded up, as poll(2) takes them: when who waits for the pidfd has to call
 * seclude_try_wait all the same. -1 if it has none (or for NULL).
 */
int seclude_time_left(const struct seclude_child *child);

/**
 * Sends it a signal, signal(7), and never to a process that has its pid later. An init hands on to its command what is sent to it, but
 * SIGKILL, and those of job control (SIGSTOP and SIGCONT among them) to all of the command's process group, where it leads one (with an init in
 * the caller's own session, of `bare`, to the command alone); a command that is itself the first process of a pid namespace gets only what it has a
 * handler for, SIGKILL and SIGSTOP. -ESRCH once it has ended and that was seen, -EINVAL for what is no signal.
 */
int seclude_signal(const struct seclude_child *child,
                   int signal);

/**
 * Kills it, and with it everything in its container: in its cgroup, if it has one of its own, and in its pid namespace, if that is
 * new, as in the sandbox. With neither it is the process alone. One that has ended already is no error. It has ended once
 * seclude_wait says so.
 */
int seclude_kill(struct seclude_child *child,
                 struct seclude_error **error);

/**
 * What the container uses now and has used so far, as JSON: sizes in bytes (`…_bytes`), times in microseconds (`…_us`), null for what is
 * not counted here. It needs a cgroup of its own: limits in the request, or `"cgroup": {}`.
 *
 * *stats is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
 */
int seclude_stats_json(const struct seclude_child *child,
                       char **stats,
                       struct seclude_error **error);

/**
 * What the filter of system calls has refused so far, as JSON: an array, as "denials" of docs/report.schema.json.
 *
 * *denials is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
 */
int seclude_denials_json(const struct seclude_child *child,
                         char **denials,
                         struct seclude_error **error);

/**
 * Stops every process of the container, until seclude_resume; returns when all have stopped, or after 10 s with an error. The deadline
 * goes on meanwhile. It needs a cgroup of its own.
 */
int seclude_pause(const struct seclude_child *child,
                  struct seclude_error **error);

/**
 * Lets them go on; nothing happens if they were not stopped. It needs a cgroup of its own.
 */
int seclude_resume(const struct seclude_child *child, struct seclude_error **error);

/**
 * Frees the handle. If it still runs, it is killed first, with everything in its container, and waited for. Pipes and
 * terminals that were taken stay the caller's. In the child of a fork it is forgotten, and nothing ends. NULL is nothing.
 */
void seclude_child_free(struct seclude_child *child);

/**
 * What would be done for a request, step by step, as text for people; nothing is started. `length` is the bytes of `request`.
 *
 * *plan is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
 */
int seclude_explain(const char *request,
                    size_t length,
                    char **plan,
                    struct seclude_error **error);

/**
 * What this host can do, found by doing it, as JSON: { "sandbox_works", "root", "summary", "findings": [{ "feature",
 * "verdict", "evidence", "remedy" }] }. It starts and ends some dozens of processes, and takes a fraction of a second or more.
 *
 * *examination is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
 */
int seclude_doctor_json(char **examination,
                        struct seclude_error **error);

/**
 * All of it as JSON; it lives as long as the error. NULL for NULL.
 *
 * The keys, all of which are always there:
 * `code`: "invalid", "not-found", "not-executable", "refused", "lost", "deadline", "cancelled" or "panic";
 * `kind`: of a request that is none: "unknown-key", "missing", "type", "range", "contradicts" or "syntax", else null;
 * `step`, `side` ("plan", "parent" or "child") and `action`: what was being done, and by whom;
 * `message`: one line for people;
 * `field`: the part of the request that it is about, such as "mounts[3].target", or null;
 * `remedies`: what would make it go on, as data; may be empty;
 * `errno` (a number), `errno_name` and `call`: what the system answered, or null;
 * `path`: what was refused, a string or { "hex": … }, or null; `hint`: what to do about it, or null;
 * `limit`: the limit that it is about, or null; `left_behind`: what could not be undone.
 */
const char *seclude_error_json(const struct seclude_error *error);

/**
 * The same in one line; it lives as long as the error. NULL for NULL.
 */
const char *seclude_error_message(const struct seclude_error *error);

/**
 * The exit status of a program that ends with this error: 127 if the command was not found, 126 if it cannot be
 * executed, else 125. 0 for NULL.
 */
int seclude_error_exit_code(const struct seclude_error *error);

/**
 * Frees it. NULL is nothing.
 */
void seclude_error_free(struct seclude_error *error);

/**
 * Frees a string that a function gave as `char *`. NULL is nothing.
 */
void seclude_string_free(char *string);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SECLUDE_H */
