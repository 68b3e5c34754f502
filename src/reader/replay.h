/*
 * replay.h: carrying out a request of operation "replay".
 *
 * Records that were read before become rows as if they were read again: the
 * same converters, the same columns.  What is wrong with a record is a reject
 * of it; only what is wrong with the request itself fails it.
 */
#ifndef KAIREON_READER_REPLAY_H
#define KAIREON_READER_REPLAY_H

#include "reader/session.h"

/* As session_run. */
STATUS_CHECK bool replay_run(const Request *request, const Sink *sink, Status *st);

#endif
