/*
 * spelling.h: numbers written with other separators than the server's.
 *
 * With a source's decimalSeparator or thousandsSeparator "1.234,50" means
 * 1234.50.  The reader respells cells that it converts (csv_numbers.c), the
 * server texts that are cast later (spelling.c); both by this rule.
 */
#ifndef KAIREON_SPELLING_H
#define KAIREON_SPELLING_H

#include <stddef.h>

/*
 * SAME: no separator is in it; whether it is a number is for others to say.
 * BAD: separators are in other places than they may be; to the server it might
 * be another number ("1.234" where the point means thousands).
 */
typedef enum Spelling { SPELLING_SAME, SPELLING_NEW, SPELLING_BAD } Spelling;

/*
 * Respells s[0..n) as the server reads numbers, where needed.  `thousands`: at
 * most a character, "" for none.  out has room for n bytes; *written: how many
 * there are, of SPELLING_NEW.
 */
extern Spelling spelling_of_number(const char *s, size_t n, char decimal, const char *thousands, char *out, size_t *written);

#endif
