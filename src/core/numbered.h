/*
 * numbered.h: names of files that are put beside one of the same name.
 */
#ifndef KAIREON_NUMBERED_H
#define KAIREON_NUMBERED_H

#include <stdbool.h>
#include <stddef.h>

/* Components have so many bytes on most file systems, and on servers. */
#define NUMBERED_NAME_MAX 255

/*
 * The path with ".<number>" behind it, in `out` of `size` bytes.  Where it, or its last component
 * with `name_max` bytes, would be too long for that, the name is shortened in front of the number,
 * between two characters of UTF-8.  Number 0 is the path as it is.  False: there is no room.
 */
bool numbered_path(const char *path, int number, size_t name_max, char *out, size_t size);

#endif
