/*
 * lookup.c: see lookup.h.
 */
#include "net/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Belongs to both, who asks and the thread: the last one frees it. */
typedef struct Lookup
{
    pthread_mutex_t lock;
    pthread_cond_t answered;
    char *host, *port;
    bool is_answered, is_given_up;
    int result, error;
    struct addrinfo *list;
} Lookup;

static void
lookup_free(Lookup *lookup)
{
    if (lookup->list != NULL)
        freeaddrinfo(lookup->list);
    pthread_cond_destroy(&lookup->answered);
    pthread_mutex_destroy(&lookup->lock);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void *
ask(void *context)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    Lookup *lookup = context;
    int result = getaddrinfo(lookup->host, lookup->port, &hints, &list), error = errno;
    bool given_up;

    pthread_mutex_lock(&lookup->lock);
    lookup->result = result;
    lookup->error = error;
    lookup->list = result == 0 ? list : NULL;
    lookup->is_answered = true;
    given_up = lookup->is_given_up;
    pthread_cond_signal(&lookup->answered);
    pthread_mutex_unlock(&lookup->lock);
    if (given_up)
        lookup_free(lookup);
    return NULL;
}

static Lookup *
lookup_begin(const char *host, const char *port)
{
    Lookup *lookup = calloc(1, sizeof(*lookup));
    pthread_condattr_t clock;
    pthread_t thread;

    if (lookup == NULL)
        return NULL;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&lookup->lock, NULL);
    pthread_cond_init(&lookup->answered, &clock);
    pthread_condattr_destroy(&clock);
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    if (lookup->host == NULL || lookup->port == NULL || pthread_create(&thread, NULL, ask, lookup) != 0)
    {
        lookup_free(lookup);
        return NULL;
    }
    pthread_detach(thread);
    return lookup;
}

int
lookup_host(const char *host, const char *port, int64_t ms, struct addrinfo **list)
{
    Lookup *lookup = lookup_begin(host, port);
    struct timespec until;
    int result = LOOKUP_LATE, waited = 0;
    bool answered;

    *list = NULL;
    if (lookup == NULL)
        return EAI_MEMORY;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->is_answered && waited == 0)
        waited = pthread_cond_timedwait(&lookup->answered, &lookup->lock, &until);
    answered = lookup->is_answered;
    lookup->is_given_up = !answered;
    pthread_mutex_unlock(&lookup->lock);
    if (!answered)
        return result;
    result = lookup->result;
    *list = lookup->list;
    lookup->list = NULL;
    errno = lookup->error;
    lookup_free(lookup);
    return result;
}
