/* Reads profiles on stdin and writes the programs that libseccomp makes of them, in hexadecimal digits, one a line; "-" where it
 * refuses a rule.
 *
 *   P ACTION OPTIMIZE        a profile begins; numbers are decimal
 *   A ARCHITECTURE           by libseccomp's name
 *   R NAME|NUMBER ACTION COUNT (INDEX COMPARISON A B)*
 *   X                        it ends
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum scmp_compare comparisons[] = {
    SCMP_CMP_EQ, SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ,
};

static void export(scmp_filter_ctx context) {
    FILE *file = tmpfile();
    if (!file || seccomp_export_bpf(context, fileno(file)) < 0) {
        puts("-");
    } else {
        int byte;
        rewind(file);
        while ((byte = fgetc(file)) != EOF) printf("%02x", byte);
        putchar('\n');
    }
    if (file) fclose(file);
}

/* Of some rules libseccomp 2.5 does not come to an end: each profile has a process of its own, and a second. */
static int one(char *text) {
    char kind, name[64];
    FILE *input = fmemopen(text, strlen(text), "r");
    alarm(1);
    int refused = 0;
    scmp_filter_ctx context = NULL;
    while (fscanf(input, " %c", &kind) == 1) {
        unsigned action, optimize, count;
        switch (kind) {
        case 'P':
            if (fscanf(input, "%u %u", &action, &optimize) != 2) return 2;
            context = seccomp_init(action);
            if (!context) return 3;
            refused = 0;
            /* The answer of a kernel that has no such calls. */
            if (seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) < 0) return 4;
            if (seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, optimize) < 0) return 5;
            break;
        case 'A':
            if (fscanf(input, "%63s", name) != 1) return 2;
            if (seccomp_arch_add(context, seccomp_arch_resolve_name(name)) < 0) return 6;
            break;
        case 'R': {
            struct scmp_arg_cmp compared[6];
            if (fscanf(input, "%63s %u %u", name, &action, &count) != 3 || count > 6) return 2;
            for (unsigned i = 0; i < count; i++) {
                unsigned index, comparison;
                unsigned long long a, b;
                if (fscanf(input, "%u %u %llu %llu", &index, &comparison, &a, &b) != 4 || comparison > 6) return 2;
                compared[i] = (struct scmp_arg_cmp){ index, comparisons[comparison], a, b };
            }
            int number = name[0] >= '0' && name[0] <= '9' ? atoi(name) : seccomp_syscall_resolve_name(name);
            /* What it has not heard of nobody can make by its name. */
            int answer = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(context, action, number, count, compared);
            /* By name it may be what another one is on one of the architectures. */
            if (answer < 0 && !(answer == -EEXIST && (name[0] < '0' || name[0] > '9'))) {
                refused = 1;
                fprintf(stderr, "libseccomp: %s: %s\n", name, strerror(-answer));
            }
            break;
        }
        case 'X':
            if (refused) puts("-"); else export(context);
            fflush(stdout);
            _exit(0);
        default:
            return 2;
        }
    }
    return 0;
}

int main(void) {
    char line[4096], *text = NULL;
    size_t length = 0;
    while (fgets(line, sizeof line, stdin)) {
        size_t more = strlen(line);
        text = realloc(text, length + more + 1);
        memcpy(text + length, line, more + 1);
        length += more;
        if (line[0] == 'X') {
            int status = 1;
            pid_t child;
            fflush(stdout);
            if ((child = fork()) == 0) _exit(one(text));
            if (child < 0 || waitpid(child, &status, 0) != child) return 7;
            if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) puts("-");
            else if (status) return 8;
            length = 0;
        }
    }
    return 0;
}
