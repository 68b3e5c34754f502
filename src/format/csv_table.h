/*
 * csv_table.h: where the table begins in a sample, and whether it has a header.
 *
 * What csv_detect.c asks when it knows delimiter and quote.
 */
#ifndef KAIREON_CSV_TABLE_H
#define KAIREON_CSV_TABLE_H

#include "format/csv_pair.h"

/* An answer: how sure it is, from 0 to 1. */
typedef struct TableBegin
{
    uint32_t row;       /* index of the header's row, or of the first row without one */
    double sure;        /* 1: nothing before it could belong to the table */
} TableBegin;

typedef struct TableHeader
{
    bool header;
    double sure;
    double evidence;    /* as in CsvDialect */
    const char *why;    /* a clause for people */
} TableHeader;

/* rows: of pair_try with this pair and sample; at least one. */
TableBegin table_begin(const Pair *pair, const PairSample *sample, const PairRow *rows);

/* Is the row that begins at byte `at` of the sample a header? */
TableHeader table_header(const Pair *pair, const PairSample *sample, size_t at);

#endif
