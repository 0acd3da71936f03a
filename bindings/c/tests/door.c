/* A door for tests: a request on stdin, text for the command's stdin as an argument; JSON on stdout, either
 * {"stdout": …, "report": …} or {"error": …}. */
#include <errno.h>
#include <poll.h>
#include <seclude.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    char *start;
    size_t length, room;
};

static void more(struct bytes *bytes, const char *from, size_t length)
{
    if (bytes->length + length + 1 > bytes->room) {
        bytes->room = 2 * (bytes->length + length + 1);
        bytes->start = realloc(bytes->start, bytes->room);
        if (!bytes->start)
            abort();
    }
    memcpy(bytes->start + bytes->length, from, length);
    bytes->length += length;
    bytes->start[bytes->length] = 0;
}

/* False at its end. */
static int read_some(int fd, struct bytes *into)
{
    char chunk[16384];
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR)
        return 1;
    if (got > 0)
        more(into, chunk, (size_t)got);
    return got > 0;
}

static void print_text(const struct bytes *text)
{
    putchar('"');
    for (size_t at = 0; at < text->length; at++) {
        unsigned char letter = (unsigned char)text->start[at];
        if (letter == '"' || letter == '\\')
            printf("\\%c", letter);
        else if (letter < 0x20)
            printf("\\u%04x", letter);
        else
            putchar(letter);
    }
    putchar('"');
}

static int refused(seclude_error *error)
{
    printf("{\"error\": %s}\n", seclude_error_json(error));
    seclude_error_free(error);
    return 0;
}

int main(int argc, char **argv)
{
    if (seclude_abi_version() != SECLUDE_ABI_VERSION)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    struct bytes request = {0}, output = {0};
    more(&request, "", 0);
    more(&output, "", 0);
    while (read_some(0, &request))
        ;

    const int stdio[3] = {SECLUDE_PIPE, SECLUDE_PIPE, SECLUDE_INHERIT};
    seclude_child *child;
    seclude_error *error;
    if (seclude_spawn(request.start, request.length, stdio, NULL, 0, &child, &error) < 0)
        return refused(error);

    const char *input = argc > 1 ? argv[1] : "";
    size_t left = strlen(input);
    int in = seclude_take_stdin(child), out = seclude_take_stdout(child);
    if (in < 0 || out < 0)
        return 2;
    for (int open = 1; open;) {
        if (in >= 0 && left == 0) {
            close(in);
            in = -1;
        }
        struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = in, .events = POLLOUT}};
        /* Its deadline is kept by those who ask. */
        if (poll(fds, 2, seclude_time_left(child)) == 0) {
            seclude_try_wait(child, NULL, NULL, NULL);
            continue;
        }
        if (fds[0].revents)
            open = read_some(out, &output);
        if (in >= 0 && fds[1].revents) {
            ssize_t put = write(in, input, left);
            if (put < 0 && errno != EINTR)
                left = 0;
            else if (put > 0)
                input += put, left -= (size_t)put;
        }
    }
    char *report;
    if (seclude_wait(child, NULL, &report, &error) < 0)
        return refused(error);
    printf("{\"stdout\": ");
    print_text(&output);
    printf(", \"report\": %s}\n", report);
    seclude_string_free(report);
    seclude_child_free(child);
    free(request.start);
    free(output.start);
    return 0;
}
