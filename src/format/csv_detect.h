/*
 * csv_detect.h: finding out how a CSV is written, from a sample of it.
 *
 * A pure function over bytes: no file, no clock, no randomness.  What the user
 * has said is given and kept; what is left open is found.  The answer has a
 * confidence and a reason for people to read in kaireon.preview.
 */
#ifndef KAIREON_CSV_DETECT_H
#define KAIREON_CSV_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_DETECT_SAMPLE (256U << 10)
#define CSV_DELIMITER_MAX 8

/* What to find; what is false is given in the dialect and kept. */
typedef struct CsvDetectAsk
{
    bool delimiter;
    bool quote;
    bool header;
    bool skip_lines;        /* lines before the header: a title, a report's head */
} CsvDetectAsk;

typedef struct CsvDialect
{
    char delimiter[CSV_DELIMITER_MAX];
    uint8_t delimiter_length;
    char quote;             /* 0: none */
    char escape;            /* given; equal to quote when fields double it; 0: none */
    bool header;
    double header_evidence; /* above 0: for a header; about 2 for each column of numbers below a word */
    uint32_t skip_lines;    /* physical lines */
    char comment[16];       /* given; lines that begin with it are no rows; "" for none */
    double confidence;      /* 0 to 1: how much better than the next best answer */
    char reason[512];       /* one or two sentences, valid UTF-8 */
    uint16_t excerpt_at, excerpt_end;   /* bytes of the reason that show what is in the sample; it reads well without them */
} CsvDialect;

/*
 * Finds what is asked for in sample[0..n), valid UTF-8 without its byte order
 * mark; `whole` says that the sample is all there is (else the last, cut row
 * does not count).  Always gives an answer: with no evidence the defaults
 * (comma, double quote, header, no skipped lines) and a confidence of 0.
 */
void csv_detect(const char *sample, size_t n, bool whole, const CsvDetectAsk *ask, CsvDialect *dialect);

#endif
