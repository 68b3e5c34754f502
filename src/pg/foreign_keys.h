/*
 * foreign_keys.h: foreign keys of and to a table whose rows are made anew beside it.
 *
 * No trigger fires there.  So rows that refer to a row that is not there are
 * found batch by batch, and rejected; and when all rows are there, the whole is
 * checked once more, with the tables at the other ends locked against writes, as
 * ALTER TABLE ... ADD FOREIGN KEY does.
 */
#ifndef KAIREON_FOREIGN_KEYS_H
#define KAIREON_FOREIGN_KEYS_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

#include "pg/reject.h"

/* The foreign keys of a table whose rows come batch by batch. */
typedef struct ForeignKeys ForeignKeys;

/* What is to be known of the others that are replaced in the same transaction: where a table's rows are; of any other: itself. */
typedef Oid (*StorageOf) (const void *arg, Oid table);

/* Lives in the current context. */
extern ForeignKeys *foreign_keys_create(Relation table, StorageOf storage_of, const void *arg);

/*
 * Finds the rows that refer to nothing.  bad[i] is set of each, and reject(arg,
 * i, ...) called; those that are bad already are left out.  Nothing is found
 * out of keys to tables that are replaced as well: their rows are not there.
 */
extern void foreign_keys_check_batch(ForeignKeys *keys, TupleTableSlot **slots, int count, bool *bad,
                                     void (*reject) (void *arg, int i, Reject *reject), void *arg);

extern void foreign_keys_end(ForeignKeys *keys);

/*
 * Raises 23503 when a row of the table, or of one that refers to it, refers to
 * nothing.  From here on the other tables can't be written.
 */
extern void foreign_keys_check_all(Oid table, StorageOf storage_of, const void *arg);

/* "it has a foreign key to itself"; NULL: it has none that can't be checked here. */
extern const char *foreign_keys_obstacle(Relation table);

/* Another table with a foreign key to this one; InvalidOid: there is none. */
extern Oid foreign_keys_find_referrer(Relation table);

#endif
