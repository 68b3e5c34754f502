/*
 * secret.c: memory for what must not stay in memory.  See secret.h.
 */
#include "postgres.h"

#include "pg/secret.h"

#include <unistd.h>

#include "utils/memutils.h"

static void
wipe(void *arg)
{
    Secret *secret = arg;

    if (secret->data)
        explicit_bzero(secret->data, secret->size);
}

Secret *
secret_create(size_t size)
{
    Secret *secret = palloc0(sizeof(Secret));

    secret->size = Max(size, 1);
    secret->data = palloc(secret->size);
    secret->wipe.func = wipe;
    secret->wipe.arg = secret;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, &secret->wipe);
    return secret;
}

void
secret_free(Secret *secret)
{
    if (secret == NULL || secret->data == NULL)
        return;
    wipe(secret);
    pfree(secret->data);
    secret->data = NULL;
}

void
secret_append(Secret *secret, const void *data, size_t length)
{
    if (length > secret->size - secret->length)
        elog(ERROR, "a secret is longer than its buffer");
    memcpy(secret->data + secret->length, data, length);
    secret->length += length;
}

void
secret_append_json(Secret *secret, const char *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    secret_append(secret, "\"", 1);
    for (size_t i = 0; i < length; i++)
    {
        unsigned char c = text[i];

        if (c == '"' || c == '\\')
        {
            char escaped[2] = {'\\', c};

            secret_append(secret, escaped, 2);
        }
        else if (c < 0x20)
        {
            char escaped[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};

            secret_append(secret, escaped, 6);
        }
        else
            secret_append(secret, &text[i], 1);
    }
    secret_append(secret, "\"", 1);
}

bool
secret_read(Secret *secret, int fd)
{
    while (secret->length < secret->size)
    {
        ssize_t got = read(fd, secret->data + secret->length, secret->size - secret->length);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            secret->length += got;
    }
    return true;
}

void
secret_chomp(Secret *secret)
{
    if (secret->length > 0 && secret->data[secret->length - 1] == '\n')
        secret->length--;
    if (secret->length > 0 && secret->data[secret->length - 1] == '\r')
        secret->length--;
}
