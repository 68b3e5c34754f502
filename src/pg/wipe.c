/*
 * wipe.c: overwriting what the server keeps in memory of a statement.  See wipe.h.
 *
 * Contexts: a callback that is called last when a context is reset or deleted
 * overwrites all its blocks, in use or not: nobody needs them any more, and
 * neither resetting nor deleting looks at chunks.
 *
 * The receive buffer is the server's own and has no name outside.  But what
 * fills it is the connection's socket: for a moment another one takes its place
 * that holds as many zeros as fit, and then what the client had sent already.
 */
#include "postgres.h"

#include "pg/wipe.h"

#include <sys/socket.h>
#include <unistd.h>

/* Kerberos' headers are not wanted: without them its part of a Port is a pointer all the same. */
#undef ENABLE_GSS
#include "libpq/auth.h"
#include "libpq/libpq.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "pg/compat.h"

/* More than the receive buffer has, and less than a datagram may. */
#define MAX_PENDING 65536
/* Contexts of a size that a statement may have made and deleted. */
#define DELETED 32

/* ---- contexts ------------------------------------------------------------------------ */

typedef struct Wipe
{
    MemoryContextCallback callback;
    MemoryContext context;
} Wipe;

/*
 * Deleted contexts of the common sizes are kept by aset.c for the next that are
 * made, the last one first.  Those of this statement are taken, overwritten and
 * given back.
 */
static void
wipe_deleted(void)
{
    MemoryContext taken[2 * DELETED];

    for (int i = 0; i < DELETED; i++)
    {
        taken[2 * i] = AllocSetContextCreate(TopMemoryContext, "kaireon wipe", ALLOCSET_DEFAULT_SIZES);
        taken[2 * i + 1] = AllocSetContextCreate(TopMemoryContext, "kaireon wipe", ALLOCSET_SMALL_SIZES);
    }
    for (int i = 0; i < 2 * DELETED; i++)
    {
        compat_wipe_blocks(taken[i]);
        MemoryContextDelete(taken[i]);
    }
}

static void
wipe_blocks(void *arg)
{
    Wipe *wipe = arg;

    compat_wipe_blocks(wipe->context);
    /* the message is done with, so no error is under way: what was logged of it goes, too */
    if (wipe->context == MessageContext)
    {
        compat_wipe_blocks(ErrorContext);
        FlushErrorState();
        wipe_deleted();
    }
    pfree(wipe);
}

static void
wipe_context(MemoryContext context)
{
    MemoryContextCallback **last = &context->reset_cbs;
    Wipe *wipe;

    if (!IsA(context, AllocSetContext))
        return;
    /* behind all others, whose structs may lie in what is overwritten */
    for (; *last; last = &(*last)->next)
    {
        if ((*last)->func == wipe_blocks)
            return;
    }
    wipe = MemoryContextAllocZero(TopMemoryContext, sizeof(Wipe));
    wipe->callback.func = wipe_blocks;
    wipe->callback.arg = wipe;
    wipe->context = context;
    *last = &wipe->callback;
    /* a context that is empty is not reset, but it may have been full */
    context->isReset = false;
}

void
wipe_context_of(void *pointer)
{
    if (MyBackendType == B_BACKEND)
        wipe_context(GetMemoryChunkContext(pointer));
}

/* This context, those right in it (an unnamed prepared statement's) and those around it, up to one that outlives a statement. */
static void
wipe_around(MemoryContext context)
{
    for (MemoryContext child = context->firstchild; child && context != TopMemoryContext; child = child->nextchild)
        wipe_context(child);
    for (; context && context != TopMemoryContext && context != CacheMemoryContext && context != TopTransactionContext &&
           context != ErrorContext && context->parent != NULL; context = context->parent)
    {
        if (strcmp(context->name, "TopPortalContext") == 0)
            break;
        wipe_context(context);
    }
}

/* ---- the receive buffer ----------------------------------------------------------------- */

/* What takes the client's place. */
typedef struct Substitute { pgsocket sock; bool ssl; void *gss; int ends[2]; } Substitute;

static void
put_in(Substitute *substitute)
{
    Port *port = MyProcPort;

    substitute->sock = port->sock;
    substitute->ssl = port->ssl_in_use;
    substitute->gss = port->gss;
    port->sock = substitute->ends[0];
    port->ssl_in_use = false;
    port->gss = NULL;
}

static void
take_out(const Substitute *substitute)
{
    Port *port = MyProcPort;

    port->sock = substitute->sock;
    port->ssl_in_use = substitute->ssl;
    port->gss = substitute->gss;
}

/* Drains the buffer, fills it with the zeros that wait, drains it again, and puts back what there was. */
static void
exchange(Substitute *substitute, char *data)
{
    size_t pending = 0;

    pq_startmsgread();
    put_in(substitute);
    while (COMPAT_RECEIVE_PENDING() && pending < MAX_PENDING)
        data[pending++] = pq_getbyte();
    /* the zeros that do not fit are dropped with their datagram */
    (void) pq_peekbyte();
    while (COMPAT_RECEIVE_PENDING())
        (void) pq_getbyte();
    if (pending > 0 && send(substitute->ends[1], data, pending, 0) != (ssize_t) pending)
        ereport(FATAL, (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("could not put back what the client had sent: %m")));
    if (pending > 0)
        (void) pq_peekbyte();
    take_out(substitute);
    pq_endmsgread();
    explicit_bzero(data, pending);
}

static void
wipe_receive_buffer(void)
{
    Substitute substitute;
    char *data;

    if (MyProcPort == NULL || pq_is_reading_msg() || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, substitute.ends) != 0)
        return;
    data = MemoryContextAllocZero(ErrorContext, MAX_PENDING);
    /* first of all, so that nothing has been taken when the system refuses */
    if (send(substitute.ends[1], data, MAX_PENDING, 0) == MAX_PENDING)
    {
        HOLD_INTERRUPTS();
        exchange(&substitute, data);
        RESUME_INTERRUPTS();
    }
    close(substitute.ends[0]);
    close(substitute.ends[1]);
    pfree(data);
}

/* ---- TLS ------------------------------------------------------------------------------- */

static ClientAuthentication_hook_type previous_authentication = NULL;

static void
after_authentication(Port *port, int status)
{
    if (previous_authentication)
        previous_authentication(port, status);
#if defined(USE_OPENSSL) && defined(SSL_OP_CLEANSE_PLAINTEXT)
    if (status == STATUS_OK && port->ssl_in_use)
        SSL_set_options(port->ssl, SSL_OP_CLEANSE_PLAINTEXT);
#endif
}

void
wipe_install_hook(void)
{
    previous_authentication = ClientAuthentication_hook;
    ClientAuthentication_hook = after_authentication;
}

/* ---- both ------------------------------------------------------------------------------- */

void
wipe_statement(void)
{
    Portal unnamed;

    if (MyBackendType != B_BACKEND || MyProcPort == NULL)
        return;
    unnamed = GetPortalByName("");
    if (MessageContext)
        wipe_context(MessageContext);
    if (PortalIsValid(unnamed))
        wipe_context(unnamed->portalContext);
    if (PortalContext)
        wipe_context(PortalContext);
    wipe_around(CurrentMemoryContext);
    wipe_receive_buffer();
}
