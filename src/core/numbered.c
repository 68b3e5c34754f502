/*
 * numbered.c: see numbered.h.
 */
#include "core/numbered.h"

#include <stdio.h>
#include <string.h>

bool
numbered_path(const char *path, int number, size_t name_max, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash == NULL ? 0 : (size_t) (slash + 1 - path), length = strlen(path), kept = length, digits;
    char suffix[16] = "";

    if (number > 0)
        snprintf(suffix, sizeof(suffix), ".%d", number);
    digits = strlen(suffix);
    if (number > 0 && kept - folder + digits > name_max)
        kept = name_max > digits ? folder + name_max - digits : folder;
    if (number > 0 && kept + digits >= size)
        kept = size > digits ? size - digits - 1 : 0;
    while (kept < length && kept > folder && ((unsigned char) path[kept] & 0xC0) == 0x80)
        kept--;
    if (kept + digits >= size || kept < folder || (kept == folder && length > folder))
        return false;
    memcpy(out, path, kept);
    memcpy(out + kept, suffix, digits + 1);
    return true;
}
