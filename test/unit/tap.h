/*
 * tap.h: the smallest TAP writer for the unit tests.
 *
 * A test is one program: it calls ok, is_int and is_str as often as it likes
 * and ends with `return done();`, which prints the plan and gives the exit
 * code.  No plan is announced at the start, so checks can be added freely.
 * The counters are static on purpose: one test program is one file.
 */
#ifndef KAIREON_TEST_TAP_H
#define KAIREON_TEST_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_count;
static int tap_failed;

__attribute__((unused)) static void
tap_line(bool pass, const char *fmt, va_list args)
{
    tap_count++;
    if (!pass)
        tap_failed++;
    printf("%sok %d - ", pass ? "" : "not ", tap_count);
    vprintf(fmt, args);
    putchar('\n');
    fflush(stdout);
}

/* One check: passes when `pass` is true.  Returns it. */
__attribute__((unused, format(printf, 2, 3))) static bool
ok(bool pass, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    tap_line(pass, fmt, args);
    va_end(args);
    return pass;
}

/* A check that can't be made here. */
__attribute__((unused)) static void
skip(const char *what, const char *why)
{
    tap_count++;
    printf("ok %d - %s # SKIP %s\n", tap_count, what, why);
}

/* Two integers are equal; says both when they are not. */
__attribute__((unused, format(printf, 3, 4))) static bool
is_int(int64_t got, int64_t want, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    tap_line(got == want, fmt, args);
    va_end(args);
    if (got != want)
        printf("#   got: %" PRId64 "\n#  want: %" PRId64 "\n", got, want);
    return got == want;
}

/* Two zero-terminated strings (or NULLs) are equal; says both when they are not. */
__attribute__((unused, format(printf, 3, 4))) static bool
is_str(const char *got, const char *want, const char *fmt, ...)
{
    bool same = (got == want) || (got != NULL && want != NULL && strcmp(got, want) == 0);
    va_list args;

    va_start(args, fmt);
    tap_line(same, fmt, args);
    va_end(args);
    if (!same)
        printf("#   got: %s\n#  want: %s\n", got ? got : "(null)", want ? want : "(null)");
    return same;
}

/* Ends the test: prints the plan, returns the program's exit code. */
__attribute__((unused)) static int
done(void)
{
    printf("1..%d\n", tap_count);
    if (tap_failed > 0)
        printf("# %d of %d failed\n", tap_failed, tap_count);
    return tap_failed > 0 ? 1 : 0;
}

#endif
