/*
 * injection.c: the places at which a test lets something die.  See injection.h.
 */
#include "postgres.h"

#include "pg/injection.h"

#ifdef KAIREON_INJECTION

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"

#include "pg/control.h"

#define ORDER "kaireon_injection"

/* The processes of all runs under way, or their readers. */
static void
signal_runs(bool readers, int number)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        const RunSlot *slot = &control->runs[i];
        pid_t pid = readers ? slot->reader_pid : slot->worker_pid;

        if (slot->state == SLOT_RUNNING && pid > 0)
            kill(pid, number);
    }
}

static void
signal_supervisors(int number)
{
    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        if (OidIsValid(control->databases[i].database) && control->databases[i].pid > 0)
            kill(control->databases[i].pid, number);
    }
}

static void
act(const char *name, const char *action)
{
    ereport(LOG, (errmsg("injection point \"%s\": %s", name, action)));
    if (strcmp(action, "kill-reader") == 0)
        signal_runs(true, SIGKILL);
    else if (strcmp(action, "kill-worker") == 0)
        signal_runs(false, SIGKILL);
    else if (strcmp(action, "terminate-worker") == 0)
        signal_runs(false, SIGTERM);
    else if (strcmp(action, "cancel-worker") == 0)
        signal_runs(false, SIGINT);
    else if (strcmp(action, "kill-supervisor") == 0)
        signal_supervisors(SIGKILL);
    else if (strcmp(action, "stop-server") == 0)
    {
        kill(PostmasterPid, SIGQUIT);
        pg_usleep(10 * USECS_PER_SEC); /* it ends this process too: nothing more is done */
    }
    else if (strcmp(action, "error") == 0)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("injected at point \"%s\"", name)));
    else
        elog(FATAL, "injection point \"%s\": no action is called \"%s\"", name, action);
}

void
injection_point(const char *name)
{
    static char counted[64];     /* the point that is awaited, and how often this process has passed it */
    static int passes;
    char point[64], action[32];
    int pass;
    FILE *order = fopen(ORDER, "r");

    if (order == NULL)
        return;
    if (fscanf(order, "%63s %d %31s", point, &pass, action) != 3)
        point[0] = '\0';
    fclose(order);
    if (strcmp(point, name) != 0)
        return;
    if (strcmp(counted, name) != 0)
        passes = 0;
    strlcpy(counted, name, sizeof(counted));
    if (++passes < pass || unlink(ORDER) != 0)
        return;
    (void) rename(ORDER ".next", ORDER);
    act(name, action);
}

#endif
