/*
 * head.h: the first bytes of a source, looked at before it is read.
 *
 * The stage between encoding and format where an object's name does not say
 * which format it has.
 */
#ifndef KAIREON_HEAD_H
#define KAIREON_HEAD_H

#include "core/byte_source.h"

#define HEAD_BYTES 65536

typedef struct Head Head;

/* Makes a stage over `source`, which must outlive it, and reads up to HEAD_BYTES.  Fails with 53200 or as `source` does. */
STATUS_CHECK bool head_open(Head **out, ByteSource source, Status *st);

void head_close(Head *head);    /* NULL is allowed */

/* The first bytes; fewer than HEAD_BYTES when there are no more. */
const uint8_t *head_bytes(const Head *head, size_t *n);

/* All bytes, from the first. */
ByteSource head_source(Head *head);

#endif
