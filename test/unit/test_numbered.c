/*
 * test_numbered.c: names with a number behind them, and room for it.
 */
#include "tap.h"

#include "core/numbered.h"

/* What becomes of the path; "no room". */
static const char *
numbered(const char *path, int number, size_t name_max, size_t size)
{
    static char out[100];

    return numbered_path(path, number, name_max, out, size) ? out : "no room";
}

int
main(void)
{
    is_str(numbered("d/a.csv", 0, 255, 100), "d/a.csv", "the name itself");
    is_str(numbered("d/a.csv", 12, 255, 100), "d/a.csv.12", "with a number");
    is_str(numbered("a.csv", 1, 255, 100), "a.csv.1", "without a folder");
    is_str(numbered("d/a.csv", 1, 7, 100), "d/a.csv.1", "a name that just fits");
    is_str(numbered("d/a.csv", 10, 7, 100), "d/a.cs.10", "one that does not");
    is_str(numbered("d/a.csv", 0, 3, 100), "d/a.csv", "without a number it is left alone");
    is_str(numbered("folder/a.csv", 1, 7, 100), "folder/a.csv.1", "folders do not count");
    is_str(numbered("d/aä€.csv", 1, 5, 100), "d/aä.1", "a character is whole");
    is_str(numbered("d/aä€.csv", 1, 4, 100), "d/a.1", "or is not there");
    is_str(numbered("d/a€x", 1, 6, 100), "d/a€.1", "the last one fits");
    is_str(numbered("d/\x80\x80\x80\x80", 1, 4, 100), "no room", "nothing but parts of characters");
    is_str(numbered("d/a.csv", 1, 255, 9), "d/a.cs.1", "a path has bounds, too");
    is_str(numbered("d/a.csv", 1, 255, 10), "d/a.csv.1", "which are its last byte's");
    is_str(numbered("d/a.csv", 0, 255, 7), "no room", "a path that does not fit at all");
    is_str(numbered("folder/a.csv", 1, 255, 9), "no room", "a folder that leaves none");
    is_str(numbered("d/a.csv", 1000, 5, 100), "no room", "a number that leaves none");
    return done();
}
