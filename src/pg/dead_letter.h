/*
 * dead_letter.h: rows that a run could not load, kept whole.
 *
 * A dead letter has the record as the source had it, where it stood, and what
 * was wrong with it.  Letters are written in the load's transaction, some of
 * them at a time, so that memory does not grow with their number.
 */
#ifndef KAIREON_DEAD_LETTER_H
#define KAIREON_DEAD_LETTER_H

#include "postgres.h"
#include "utils/uuid.h"

#include "pg/reject.h"

/* What all letters of a run have in common. */
typedef struct DeadLetterRun
{
    const pg_uuid_t *pipeline_id;
    const pg_uuid_t *run_id;
    int version;
    bool replays;            /* the rows are dead letters already; a row's record is its letter's id */
} DeadLetterRun;

/* Lives in the current context, as the ids must. */
extern DeadLetters *dead_letters_create(const DeadLetterRun *run);

/* Keeps a row, of which everything is copied.  Its record must be there.  In a replay it counts as tried again. */
extern void dead_letters_add(DeadLetters *letters, const Reject *reject);

/*
 * Writes what is kept, whoever the current user is; in the load's transaction,
 * after each batch and at its end.  NULL is allowed.
 */
extern void dead_letters_flush(DeadLetters *letters);
/* Forgets those that were not written. */
extern void dead_letters_discard(DeadLetters *letters);

/* The same in between, of a batch that gives many: writes them if they take much memory. */
extern void dead_letters_bound(DeadLetters *letters);

#endif
