/*
 * answers.h: what a connector answered, in a temporary file.
 *
 * An answer may have megabytes and belong to a million rows.  So what is joined
 * and sorted with the rows is not the answer but a reference to it, a jsonb too;
 * a batch of rows that is ready to go on has the answers themselves, each once.
 */
#ifndef KAIREON_ANSWERS_H
#define KAIREON_ANSWERS_H

#include "postgres.h"
#include "utils/jsonb.h"

typedef struct Answers Answers;

/* Lives in the current context and the current resource owner. */
extern Answers *answers_create(void);

/* Keeps an answer; its reference, in the current context. */
extern Jsonb *answers_add(Answers *answers, const Jsonb *value);

/* A batch of rows begins: what answers_get gave for the one before is gone. */
extern void answers_begin_batch(Answers *answers);

/* The answer of a reference, in the current context, which lives as long as the batch. */
extern Jsonb *answers_get(Answers *answers, Jsonb *reference);

/* Gives the file back. */
extern void answers_close(Answers *answers);

#endif
