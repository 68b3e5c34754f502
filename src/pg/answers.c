/*
 * answers.c: what a connector answered, in a temporary file.  See answers.h.
 *
 * A reference is a number.  The file has the answers one after another; where
 * each begins is in memory, 40 bytes an answer.
 */
#include "postgres.h"

#include "pg/answers.h"

#include "storage/buffile.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

typedef struct Place { int segment; off_t offset; } Place; /* as BufFileTell says */

typedef struct Kept
{
    Place at;
    int64 batch;             /* the latest that asked for it, */
    Jsonb *value;            /* and what it got */
} Kept;

struct Answers
{
    BufFile *file;
    Place end;
    int64 count, size;
    Kept *kept;              /* by number */
    int64 batch;
};

Answers *
answers_create(void)
{
    Answers *answers = palloc0(sizeof(Answers));

    answers->file = BufFileCreateTemp(false);
    answers->size = 64;
    answers->kept = palloc(sizeof(Kept) * answers->size);
    return answers;
}

static void
seek(Answers *answers, const Place *at)
{
    if (BufFileSeek(answers->file, at->segment, at->offset, SEEK_SET) != 0)
        elog(ERROR, "could not find an answer");
}

Jsonb *
answers_add(Answers *answers, const Jsonb *value)
{
    JsonbValue number = {.type = jbvNumeric, .val.numeric = int64_to_numeric(answers->count)};
    Kept *kept;

    if (answers->count == answers->size)
        answers->kept = repalloc_huge(answers->kept, sizeof(Kept) * (answers->size *= 2));
    kept = &answers->kept[answers->count++];
    kept->at = answers->end;
    kept->batch = -1;
    seek(answers, &answers->end);
    BufFileWrite(answers->file, unconstify(Jsonb *, value), VARSIZE(value));
    BufFileTell(answers->file, &answers->end.segment, &answers->end.offset);
    return JsonbValueToJsonb(&number);
}

void
answers_begin_batch(Answers *answers)
{
    answers->batch++;
}

/* Reads what was written at a place. */
static Jsonb *
read_answer(Answers *answers, const Place *at)
{
    union { varattrib_4b value; char bytes[VARHDRSZ]; } header;
    char *value;
    size_t length;

    seek(answers, at);
    if (BufFileRead(answers->file, header.bytes, VARHDRSZ) != VARHDRSZ)
        elog(ERROR, "could not read an answer");
    length = VARSIZE(&header.value);
    value = palloc(length);
    memcpy(value, header.bytes, VARHDRSZ);
    if (BufFileRead(answers->file, value + VARHDRSZ, length - VARHDRSZ) != length - VARHDRSZ)
        elog(ERROR, "could not read an answer");
    return (Jsonb *) value;
}

Jsonb *
answers_get(Answers *answers, Jsonb *reference)
{
    JsonbValue number;
    int64 place;
    Kept *kept;

    if (!JsonbExtractScalar(&reference->root, &number) || number.type != jbvNumeric)
        elog(ERROR, "an answer has no reference");
    place = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number.val.numeric)));
    if (place < 0 || place >= answers->count)
        elog(ERROR, "there is no answer of that reference");
    kept = &answers->kept[place];
    if (kept->batch != answers->batch)
    {
        kept->batch = answers->batch;
        kept->value = read_answer(answers, &kept->at);
    }
    return kept->value;
}

void
answers_close(Answers *answers)
{
    BufFileClose(answers->file);
}
