/*
 * format.h: what a file format offers: bytes in, batches out.
 *
 * A format is one const Format.  The session opens it over the plain bytes of
 * one split, asks which fields there are, tells it which of them go into which
 * column of the batch builder, and then lets it fill batch after batch.  A
 * format knows nothing of connectors, sockets or the request's other parts.
 *
 * Add a format: write its Format, add it to the table in format.c.
 */
#ifndef KAIREON_FORMAT_H
#define KAIREON_FORMAT_H

#include <jansson.h>

#include "core/byte_source.h"
#include "format/batch_builder.h"

/* Where a split's rows come from, for the pseudo-columns. */
typedef struct FormatSplit
{
    const char *path;   /* _source */
    int64_t mtime;      /* _modified_at: microseconds since 1970-01-01 UTC; WIRE_NO_TIME: null */
    const char *record; /* what stands for each row's record and in each reject; NULL: the record itself */
    uint64_t from;      /* rows and rejects that begin before this byte of the (decompressed) object are left out */
} FormatSplit;

/* A record that was read before. */
typedef struct FormatRecord
{
    const json_t *layout;   /* of the split it was in: what `describe` said; NULL: not known */
    const char *raw;        /* its bytes, when it could not be cut into fields; else NULL */
    size_t n;
    uint64_t line, offset;  /* where it begins */
} FormatRecord;

/* A builder's column: a field's number, or one of these. */
#define FIELD_ABSENT (-1)
#define FIELD_SOURCE (-2)
#define FIELD_LINE (-3)
#define FIELD_OFFSET (-4)
#define FIELD_MODIFIED_AT (-5)
#define FIELD_RECORD (-6)   /* the whole record; of the builder's column for it */

/*
 * For a format's table of the keys in the request's "format" object: those of
 * the session, known to be fine.  Their values go to `nowhere`, a json_t *.
 */
#define FORMAT_SESSION_KEYS(nowhere) \
    {"format", JSON_FIELD_ANY, false, &(nowhere), 0, 0}, \
    {"encoding", JSON_FIELD_ANY, false, &(nowhere), 0, 0}, \
    {"compression", JSON_FIELD_ANY, false, &(nowhere), 0, 0}, \
    {"maxDecompressedBytes", JSON_FIELD_ANY, false, &(nowhere), 0, 0}, \
    {"maxCompressionRatio", JSON_FIELD_ANY, false, &(nowhere), 0, 0}

typedef struct Format
{
    const char *name;

    /*
     * Reads the request's "format" object.  *options is given to
     * open and to be freed by options_free; it borrows strings from `json`.
     */
    bool (*options_parse)(const json_t *json, void **options, Status *st);
    void (*options_free)(void *options);

    /*
     * Opens a split.  Reads as much as is needed to know its fields; an empty
     * object has none.  `source` and `options` must outlive the state.
     */
    bool (*open)(const void *options, ByteSource source, void **state, Status *st);
    void (*close)(void *state);

    /* The fields' names in order, valid as long as the state. */
    void (*fields)(const void *state, const char *const **names, size_t *n);

    /*
     * For a format whose rows may have other fields than `fields` says: the
     * number of the field of this name, FIELD_ABSENT when there can't be one.
     * Before the first `next` only.  Fails with 53200.  NULL: there are no others.
     */
    bool (*add_field)(void *state, const char *name, int *field, Status *st);

    /* A row's record is its text, not its fields one after another. */
    bool whole_records;

    /*
     * Adds how the split is read to a JSON object and, when something was found
     * out, "confidence" and "reason".  With `contents` also what is in it:
     * "fields" (names in order), and in the reason what shows why.  False: no memory.
     */
    bool (*describe)(const void *state, bool contents, json_t *dialect);

    /*
     * Adds to the same object, as "sample", what the first rows are like: "rows",
     * those that are "badRows", and "advice": options that would help.  For
     * describing alone: next must not be called behind it.  False: no memory.
     */
    bool (*survey)(void *state, json_t *dialect);

    /*
     * Adds rows to the builder until it is full or the end is reached (*end).
     * map[i] says what builder column i takes.  row_limit: rows to add at most
     * in this call.  Fails with the line and offset in the status.
     */
    bool (*next)(void *state, const FormatSplit *split, BatchBuilder *builder, const int *map,
                 uint64_t row_limit, bool *end, Status *st);

    /*
     * Opens a record as a split of its own, for `next` to give one row or reject
     * of it, where it stood; without `raw` for `cells` only.  What the options
     * leave open is as in its layout.  Fails when it is not exactly one row.
     * `record` and `options` must outlive the state.
     */
    bool (*open_record)(const void *options, const FormatRecord *record, void **state, Status *st);

    /* As batch_cells, with fields that were cut before: where the options say how they are spelt, that counts. */
    bool (*cells)(void *state, BatchBuilder *builder, uint32_t column, const Cell *cells, uint32_t n, Status *st);
} Format;

/* The format of this name, or NULL. */
const Format *format_find(const char *name);

/* The names of all formats and "auto", for hints. */
const char *format_names(void);

/*
 * The format of an object of this name: by its ending, before that of a
 * compression (.gz, .zst, .zip...), in any case; NULL for one that is not known.
 */
const Format *format_by_path(const char *path);

/*
 * The format of an object whose name says nothing, by its first bytes (as
 * UTF-8): JSON, JSON Lines when the first of several lines is an object, else CSV.
 */
const Format *format_by_content(const uint8_t *data, size_t n);

/* All formats; NULL ends them. */
#define FORMAT_COUNT 4
extern const Format *const format_list[FORMAT_COUNT + 1];

extern const Format format_csv, format_tsv, format_json, format_jsonl;

#endif
