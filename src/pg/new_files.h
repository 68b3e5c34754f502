/*
 * new_files.h: files of relations that a run makes, and that a crash would leave behind.
 *
 * PostgreSQL removes the files that a transaction has made when it aborts, but
 * not when the server crashes: who knew of them is gone.  So a run whose
 * transaction has made relations (a new heap, what TRUNCATE puts in a table's
 * place) writes a list of their files before it fills them, and the supervisor
 * goes through the lists when it begins and when a run's worker has ended.
 *
 * A list is kaireon_new_files/<database>.<transaction> in the data directory: a
 * line "<tablespace> <file number>" for each relation, and "end".  What became
 * of the transaction decides: of one that was committed PostgreSQL removes what
 * has to be removed; of one that was not, files go that no row of pg_class has,
 * be it one that is not committed yet.
 */
#ifndef KAIREON_NEW_FILES_H
#define KAIREON_NEW_FILES_H

/*
 * Lists the files that this transaction (level of subtransaction) has made so
 * far.  A list that can't be written is a warning: then a crash leaves files.
 */
extern void new_files_list(void);

/*
 * Outside of a transaction: removes the lists of this database's transactions
 * that are over, and of databases that are gone, and the files that a crash
 * has left.  Never raises: what can't be done is a warning.  A list that can't
 * be understood is left alone, and complained of when `complains`.
 */
extern void new_files_settle(bool complains);

#endif
