/*
 * mask.h: masking of personal data, the SQL functions behind mask_pii nodes.
 *
 *   kaireon.mask_ssn(text, preserve_length boolean)           ***-**-1234
 *   kaireon.mask_email(text, preserve_length boolean)         j***@example.com
 *   kaireon.mask_phone(text, preserve_length boolean)         ***-***-5678
 *   kaireon.mask_credit_card(text, preserve_length boolean)   ****-****-****-1234
 *
 * All are IMMUTABLE STRICT PARALLEL SAFE, run in any backend, never raise an
 * error for a value, and give a new text in the current memory context.  They
 * are reached through SQL only; nothing else is exported here.
 *
 * preserve_length false gives exactly the shapes above; true keeps the number
 * of characters and the ASCII punctuation and space of the value.  What is
 * shown of a value:
 *
 *   numbers   the last four digits, but never more than half of the digits,
 *             and none when there are fewer than four.  Everything that is
 *             not an ASCII digit or ASCII punctuation is masked: what stands
 *             in a number's place may be a name.
 *   email     the first character and what follows the last @.  Without an @,
 *             or when what follows is not spelled like a domain, nothing.
 *             With preserve_length the first character only if it is not all
 *             there is to hide.
 *
 * The empty string stays empty.
 */
#ifndef KAIREON_MASK_H
#define KAIREON_MASK_H

#include "postgres.h"
#include "fmgr.h"

extern PGDLLEXPORT Datum kaireon_mask_ssn(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_mask_email(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_mask_phone(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_mask_credit_card(PG_FUNCTION_ARGS);

#endif
