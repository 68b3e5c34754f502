/*
 * cells.c: a batch's cells as Datums.  See cells.h.
 *
 * One loop per column and type, no calls per cell on the way of plain values.
 * Strings of the reader are UTF-8: a whole arena is verified at once, and
 * converted cell by cell where the database has another encoding.
 */
#include "postgres.h"

#include "pg/cells.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "pg/compat.h"
#include "pg/encoding.h"
#include "pg/errors.h"
#include "pg/json.h"
#include "pg/link.h"
#include "pg/settings.h"

/* numeric's on-disk form, stable since 9.1 (see utils/adt/numeric.c, "NumericShort"). */
#define NUMERIC_BYTES 24
#define SHORT_NUMERIC 0x8000
#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE_SHIFT 7
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F

static const int64 powers[] = {
    1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL, 1000000000LL, 10000000000LL,
    100000000000LL, 1000000000000LL, 10000000000000LL, 100000000000000LL, 1000000000000000LL, 10000000000000000LL,
    100000000000000000LL, 1000000000000000000LL};

/* First blocks of the memory contexts (bytes). */
#define BATCH_BLOCK (512 * 1024)
#define SCRATCH_BLOCK (32 * 1024)

#define numeric_precision(typmod) ((((typmod) - VARHDRSZ) >> 16) & 0xffff)
#define numeric_scale(typmod) ((((((typmod) - VARHDRSZ) & 0x7ff) ^ 1024) - 1024))

/* The request's name of a type and the cells it comes in; raw or json when the server's input function has to convert them. */
static const char *
reader_type(Oid type, int32 typmod, uint8 *wire)
{
    switch (type)
    {
        case TEXTOID:
            *wire = WIRE_TEXT;
            return "text";
        case VARCHAROID:
            *wire = WIRE_TEXT;
            return typmod > VARHDRSZ ? "varchar" : "text";
        case BOOLOID:
            *wire = WIRE_BOOL;
            return "bool";
        case INT2OID:
            *wire = WIRE_INT;
            return "int2";
        case INT4OID:
            *wire = WIRE_INT;
            return "int4";
        case INT8OID:
            *wire = WIRE_INT;
            return "int8";
        case NUMERICOID:
            if (typmod >= VARHDRSZ && (numeric_scale(typmod) < 0 || numeric_scale(typmod) > 18))
                break;
            *wire = WIRE_DECIMAL;
            return "numeric";
        case FLOAT4OID:
            *wire = WIRE_FLOAT;
            return "float4";
        case FLOAT8OID:
            *wire = WIRE_FLOAT;
            return "float8";
        case DATEOID:
            *wire = WIRE_DATE;
            return "date";
        case TIMESTAMPOID:
        case TIMESTAMPTZOID:
            if (typmod >= 0 && typmod < MAX_TIMESTAMP_PRECISION)
                break;
            *wire = type == TIMESTAMPOID ? WIRE_TIMESTAMP : WIRE_TIMESTAMPTZ;
            return type == TIMESTAMPOID ? "timestamp" : "timestamptz";
        case JSONOID:
        case JSONBOID:
            *wire = WIRE_TEXT;
            return "json";
        default:
            break;
    }
    *wire = WIRE_TEXT;
    return "raw";
}

/* The same for a column: one with a pattern of its own is read by the server. */
static const char *
request_type(const SourceColumn *column, uint8 *wire)
{
    const char *type = reader_type(column->type, column->typmod, wire);

    if (column->pattern == NULL)
        return type;
    *wire = WIRE_TEXT;
    return "raw";
}

Cells *
cells_create(const ProgramSource *source, bool records)
{
    Cells *cells = palloc0(sizeof(Cells));

    cells->ncolumns = source->ncolumns;
    cells->records = records;
    cells->columns = palloc0(sizeof(CellColumn) * Max(source->ncolumns, 1));
    cells->expected = palloc0(source->ncolumns + 1);
    cells->expected[source->ncolumns] = WIRE_TEXT;
    cells->states = palloc0(sizeof(uint8 *) * Max(source->ncolumns, 1));
    /* The first block stays over resets: what a usual batch needs is not given back and faulted in again. */
    cells->context = AllocSetContextCreate(CurrentMemoryContext, "kaireon batch", 0, BATCH_BLOCK, ALLOCSET_DEFAULT_MAXSIZE);
    cells->scratch = AllocSetContextCreate(CurrentMemoryContext, "kaireon cell", 0, SCRATCH_BLOCK, ALLOCSET_DEFAULT_MAXSIZE);
    for (int i = 0; i < source->ncolumns; i++)
    {
        CellColumn *column = &cells->columns[i];
        const char *type;
        Oid function;

        column->type = source->columns[i].type;
        column->typmod = source->columns[i].typmod;
        column->coerce = source->columns[i].coerce;
        type = request_type(&source->columns[i], &column->wire);
        column->always_raw = strcmp(type, "raw") == 0 || strcmp(type, "json") == 0;
        if (source->columns[i].pattern)
            column->pattern = CStringGetTextDatum(source->columns[i].pattern);
        cells->expected[i] = column->wire;
        getTypeInputInfo(column->type, &function, &column->ioparam);
        get_typlenbyval(column->type, &column->length, &column->by_value);
        fmgr_info(function, &column->input);
        column->judges_null = !column->input.fn_strict;
        column->need = settings_need(column->type, source->columns[i].pattern);
    }
    return cells;
}

void
cells_request(const ProgramSource *source, StringInfo out)
{
    appendStringInfoChar(out, '[');
    for (int i = 0; i < source->ncolumns; i++)
    {
        const SourceColumn *column = &source->columns[i];
        uint8 wire;
        const char *type = request_type(column, &wire);

        appendStringInfoString(out, i ? ",{\"name\":" : "{\"name\":");
        json_append_string(out, column->name);
        appendStringInfo(out, ",\"type\":\"%s\",\"required\":%s", type, column->required ? "true" : "false");
        if (strcmp(type, "varchar") == 0)
            appendStringInfo(out, ",\"length\":%d", column->typmod - VARHDRSZ);
        if (strcmp(type, "numeric") == 0 && column->typmod >= VARHDRSZ)
            appendStringInfo(out, ",\"precision\":%d,\"scale\":%d", numeric_precision(column->typmod), numeric_scale(column->typmod));
        if (column->coerce)
            appendStringInfoString(out, ",\"coerce\":true");
        appendStringInfoChar(out, '}');
    }
    appendStringInfoChar(out, ']');
}

pg_noreturn static void
bad_batch(const char *what)
{
    link_misbehaved("kaireon-reader sent a batch that breaks the protocol: %s", what);
}

/* Stamps a text cell's length word and gives its Datum. */
static inline Datum
text_datum(uint8 *arena, uint64 slot)
{
    uint8 *at = arena + (uint32) slot;
    uint32 length = (uint32) (slot >> 32);

    if (length <= WIRE_SHORT_MAX)
        SET_VARSIZE_SHORT(at, length + 1);
    else
        SET_VARSIZE(at, length + VARHDRSZ);
    return PointerGetDatum(at);
}

/* A byte inside a UTF-8 character. */
static inline bool
is_continuation(uint8 byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Characters of verified UTF-8. */
static uint32
utf8_length(const char *s, uint32 length)
{
    uint32 characters = 0;

    for (uint32 i = 0; i < length; i++)
        characters += ((uint8) s[i] & 0xC0) != 0x80;
    return characters;
}

/* A text cell where the database has another encoding. */
static void
load_converted(Cells *cells, int row, int c, const uint8 *arena, uint64 slot)
{
    char *converted = encoding_text((const char *) arena + (uint32) slot + wire_text_room(slot >> 32), slot >> 32);

    if (converted)
    {
        cells->values[row * cells->ncolumns + c] = CStringGetTextDatum(converted);
        pfree(converted);
        return;
    }
    if (cells->states[c] == NULL)
        cells->states[c] = palloc0(cells->nrows);
    cells->states[c][row] = CELL_UNTRANSLATABLE;
    cells->pending[row] = true;
}

/* numeric from an unscaled integer, into NUMERIC_BYTES at `at`. */
static Datum
numeric_datum(uint8 *at, int64 unscaled, int scale)
{
    bool negative = unscaled < 0;
    uint64 magnitude = negative ? -(uint64) unscaled : (uint64) unscaled;
    int fraction_groups = (scale + 3) / 4;
    uint64 whole = magnitude / powers[scale];
    uint64 fraction = magnitude % powers[scale];
    int16 digits[10];
    int count = 0, weight = -1, first = 0;
    uint16 header;
    int16 *out = (int16 *) (at + VARHDRSZ + sizeof(uint16));

    if (whole != 0)
    {
        int16 reversed[5];
        int n = 0;

        for (; whole != 0; whole /= 10000)
            reversed[n++] = whole % 10000;
        weight = n - 1;
        while (n > 0)
            digits[count++] = reversed[--n];
    }
    if (fraction != 0)
    {
        int last = fraction_groups - 1;

        /* the last group may be short; filling it up first would pass 64 bits from scale 17 on */
        if (scale % 4 != 0)
        {
            digits[count + last--] = fraction % powers[scale % 4] * powers[4 - scale % 4];
            fraction /= powers[scale % 4];
        }
        for (int i = last; i >= 0; i--, fraction /= 10000)
            digits[count + i] = fraction % 10000;
        count += fraction_groups;
    }
    while (count > 0 && digits[count - 1] == 0)
        count--;
    while (first < count && digits[first] == 0)
    {
        first++;
        weight--;
    }
    if (first == count)
    {
        negative = false;
        weight = 0;
    }
    header = SHORT_NUMERIC | (negative ? SHORT_NEGATIVE : 0) | (scale << SHORT_SCALE_SHIFT) |
             (weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
    memcpy(at + VARHDRSZ, &header, sizeof(header));
    for (int i = first; i < count; i++)
        out[i - first] = digits[i];
    SET_VARSIZE(at, VARHDRSZ + sizeof(uint16) + sizeof(int16) * (count - first));
    return PointerGetDatum(at);
}

static void
load_text(Cells *cells, int c, const WireColumnHeader *header, const uint8 *states)
{
    const uint64 *slots = (const uint64 *) (cells->batch.body + header->values_at);
    uint8 *arena = cells->batch.body + header->arena_at;
    const CellColumn *column = &cells->columns[c];
    int stride = cells->ncolumns;
    uint32 limit = column->type == VARCHAROID && column->typmod > VARHDRSZ ? (uint32) (column->typmod - VARHDRSZ) : PG_UINT32_MAX;
    bool convert = GetDatabaseEncoding() != PG_UTF8;
    uint64 next = 0;

    for (int row = 0; row < cells->nrows; row++)
    {
        Datum *value = &cells->values[row * stride + c];

        if (states && states[row] == WIRE_NULL)
            continue;
        /* in order and apart: a length word stamped on one cell can't change another */
        if (unlikely(!wire_text_slot_ok(slots[row], header->arena_length) || (uint32) slots[row] < next))
            bad_batch("a text cell lies outside its arena");
        next = (uint64) (uint32) slots[row] + wire_text_room(slots[row] >> 32) + (slots[row] >> 32);
        /* the arena is valid as a whole: so is a cell that begins and ends between characters */
        if (unlikely((next < header->arena_length && is_continuation(arena[next])) ||
                     ((slots[row] >> 32) > 0 && is_continuation(arena[(uint32) slots[row] + wire_text_room(slots[row] >> 32)]))))
            bad_batch("a text cell cuts a character");
        if (states && states[row] != WIRE_VALUE)
            continue;
        if (unlikely((uint32) (slots[row] >> 32) > limit) &&
            utf8_length((char *) arena + (uint32) slots[row] + wire_text_room(slots[row] >> 32), slots[row] >> 32) > limit)
            bad_batch("a text cell is longer than its column");
        if (convert)
            load_converted(cells, row, c, arena, slots[row]);
        else
            *value = text_datum(arena, slots[row]);
    }
}

static void
load_decimal(Cells *cells, int c, const WireColumnHeader *header, const uint8 *states)
{
    const int64 *unscaled = (const int64 *) (cells->batch.body + header->values_at);
    const uint8 *scales = cells->batch.body + header->scales_at;
    int32 typmod = cells->columns[c].typmod;
    int precision = typmod >= VARHDRSZ ? numeric_precision(typmod) : 0;
    int64 bound = precision > 0 && precision < 19 ? powers[precision] : PG_INT64_MAX;
    uint8 *room = palloc(NUMERIC_BYTES * Max(cells->nrows, 1));
    int stride = cells->ncolumns;

    for (int row = 0; row < cells->nrows; row++, room += NUMERIC_BYTES)
    {
        if (states && states[row] != WIRE_VALUE)
            continue;
        if (precision > 0 && (scales[row] != numeric_scale(typmod) || unscaled[row] >= bound || unscaled[row] <= -bound))
            bad_batch("a decimal does not fit its column");
        cells->values[row * stride + c] = numeric_datum(room, unscaled[row], scales[row]);
    }
}

/* Types whose slot is the Datum, within a range. */
static void
load_fixed(Cells *cells, int c, const WireColumnHeader *header, const uint8 *states)
{
    const int64 *slots = (const int64 *) (cells->batch.body + header->values_at);
    Oid type = cells->columns[c].type;
    int64 min = PG_INT64_MIN, max = PG_INT64_MAX;
    int stride = cells->ncolumns;

    if (type == INT4OID)
        min = PG_INT32_MIN, max = PG_INT32_MAX;
    else if (type == INT2OID)
        min = PG_INT16_MIN, max = PG_INT16_MAX;
    else if (type == BOOLOID)
        min = 0, max = 1;
    else if (type == DATEOID)
        min = DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE, max = DATE_END_JULIAN - POSTGRES_EPOCH_JDATE - 1;
    else if (type == TIMESTAMPOID || type == TIMESTAMPTZOID)
        min = MIN_TIMESTAMP, max = END_TIMESTAMP - 1;
    for (int row = 0; row < cells->nrows; row++)
    {
        if (states && states[row] != WIRE_VALUE)
            continue;
        if (unlikely(slots[row] < min || slots[row] > max))
            bad_batch("a value is out of its type's range");
        if (type == FLOAT8OID || type == FLOAT4OID)
        {
            float8 value;

            memcpy(&value, &slots[row], sizeof(value));
            /* a double that is no float is refused: casting it may overflow */
            if (type == FLOAT4OID && unlikely(fabs(value) > FLT_MAX && !isinf(value)))
                bad_batch("a value is out of its type's range");
            cells->values[row * stride + c] = type == FLOAT8OID ? Float8GetDatum(value) : Float4GetDatum((float4) value);
        }
        else
            cells->values[row * stride + c] = Int64GetDatum(slots[row]);
    }
}

/* The value of a hexadecimal digit; above 15 for every other byte. */
static inline uint8
hex_digit(uint8 c)
{
    uint8 digit = c - '0', letter = (c | 0x20) - 'a';

    return digit <= 9 ? digit : letter <= 5 ? letter + 10 : 0xFF;
}

/* A uuid written as 8-4-4-4-12 or as 32 digits; false for any other spelling. */
static bool
read_uuid(const uint8 *s, uint32 length, pg_uuid_t *uuid)
{
    bool hyphens = length == 36;
    uint8 wrong = 0;

    if (!hyphens && length != 32)
        return false;
    for (int i = 0; i < UUID_LEN; i++, s += 2)
    {
        uint8 high, low;

        if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10) && *s++ != '-')
            return false;
        high = hex_digit(s[0]);
        low = hex_digit(s[1]);
        wrong |= high | low;
        uuid->data[i] = high << 4 | low;
    }
    return wrong <= 15;
}

/* True when uuid_in refuses s: it takes digits, hyphens and braces, and no space. */
static bool
no_uuid(const uint8 *s, uint32 length)
{
    if (length < 32 || length > 32 + 7 + 2)
        return true;
    for (uint32 i = 0; i < length; i++)
    {
        if (hex_digit(s[i]) > 15 && s[i] != '-' && s[i] != '{' && s[i] != '}')
            return true;
    }
    return false;
}

/*
 * uuid comes raw, since 16 bytes do not fit a slot; but its input function
 * takes a third of a microsecond.  So the usual spellings are read here, and
 * become values in the message; what is surely none becomes bad without a
 * subtransaction.
 */
static void
load_uuid(Cells *cells, int c, const WireColumnHeader *header, uint8 *states)
{
    const uint64 *slots = (const uint64 *) (cells->batch.body + header->values_at);
    const uint8 *arena = cells->batch.body + header->arena_at;
    pg_uuid_t *room = palloc(sizeof(pg_uuid_t) * Max(cells->nrows, 1));

    for (int row = 0; row < cells->nrows; row++)
    {
        uint32 length = (uint32) (slots[row] >> 32);
        const uint8 *text = arena + (uint32) slots[row] + wire_text_room(length);

        if (states[row] != WIRE_RAW)
            continue;
        if (!wire_text_slot_ok(slots[row], header->arena_length))
            bad_batch("a text cell lies outside its arena");
        if (read_uuid(text, length, &room[row]))
        {
            cells->values[row * cells->ncolumns + c] = UUIDPGetDatum(&room[row]);
            states[row] = WIRE_VALUE;
        }
        else if (!cells->columns[c].coerce && no_uuid(text, length))
            states[row] = WIRE_BAD_SYNTAX;
    }
}

/* Columns the reader does not convert: every cell is raw, null, or not even text. */
static void
load_raw(Cells *cells, int c, const WireColumnHeader *header, uint8 *states)
{
    if (states == NULL && cells->nrows > 0)
        bad_batch("a cell is converted that should be raw");
    for (int row = 0; row < cells->nrows; row++)
    {
        if (states[row] == WIRE_VALUE)
            bad_batch("a cell is converted that should be raw");
    }
    if (cells->columns[c].type == UUIDOID && cells->nrows > 0)
        load_uuid(cells, c, header, states);
}

/* Up to this WireState, a cell of the column needs nothing more. */
static inline uint8
settled_state(const CellColumn *column)
{
    return column->judges_null ? WIRE_VALUE : WIRE_NULL;
}

static void
load_column(Cells *cells, int c)
{
    const WireColumnHeader *header = &cells->batch.columns[c];
    uint8 *states = cells->states[c] = header->states_at ? cells->batch.body + header->states_at : NULL;
    uint8 settled = settled_state(&cells->columns[c]);
    int stride = cells->ncolumns;

    if (header->arena_length > 0 &&
        !pg_verify_mbstr(PG_UTF8, (const char *) cells->batch.body + header->arena_at, header->arena_length, true))
        bad_batch("its text is not UTF-8");
    if (cells->columns[c].always_raw)
        load_raw(cells, c, header, states);
    for (int row = 0; row < cells->nrows; row++)
    {
        cells->nulls[row * stride + c] = states && states[row] == WIRE_NULL;
        cells->pending[row] |= states && states[row] > settled;
    }
    if (cells->columns[c].always_raw)
        return;
    switch (header->type)
    {
        case WIRE_TEXT:
            load_text(cells, c, header, states);
            break;
        case WIRE_DECIMAL:
            load_decimal(cells, c, header, states);
            break;
        default:
            load_fixed(cells, c, header, states);
            break;
    }
}

void
cells_load(Cells *cells, uint8 *body, size_t length)
{
    MemoryContext old;
    const char *wrong = wire_batch_open(body, length, cells->expected, cells->ncolumns + cells->records, &cells->batch);

    if (wrong)
        bad_batch(wrong);
    MemoryContextReset(cells->context);
    old = MemoryContextSwitchTo(cells->context);
    cells->nrows = cells->batch.header->nrows;
    cells->values = palloc(sizeof(Datum) * Max(cells->nrows * cells->ncolumns, 1));
    cells->nulls = palloc(sizeof(bool) * Max(cells->nrows * cells->ncolumns, 1));
    cells->pending = palloc0(sizeof(bool) * Max(cells->nrows, 1));
    for (int c = 0; c < cells->ncolumns; c++)
        load_column(cells, c);
    MemoryContextSwitchTo(old);
}

static inline uint8
cell_state(const Cells *cells, int row, int column)
{
    return cells->states[column] ? cells->states[column][row] : WIRE_VALUE;
}

bool
cells_is_pending(const Cells *cells, int row, int column)
{
    return cell_state(cells, row, column) > settled_state(&cells->columns[column]);
}

void
cells_make_null(Cells *cells, int row, int column)
{
    cells->states[column][row] = WIRE_NULL;
    cells->nulls[row * cells->ncolumns + column] = true;
}

/* The bytes of a text slot, where they lie. */
static const char *
slot_bytes(const Cells *cells, int row, int column, size_t *length)
{
    const WireColumnHeader *header = &cells->batch.columns[column];
    uint64 slot = ((const uint64 *) (cells->batch.body + header->values_at))[row];

    if (!wire_text_slot_ok(slot, header->arena_length))
        bad_batch("a text cell lies outside its arena");
    *length = slot >> 32;
    return (const char *) cells->batch.body + header->arena_at + (uint32) slot + wire_text_room(*length);
}

/* The cell as it was read, in UTF-8 and where it lies; NULL for a null or a cell that arrived converted. */
static const char *
cell_text(const Cells *cells, int row, int column, size_t *length)
{
    if (cell_state(cells, row, column) == WIRE_NULL ||
        (cells->batch.columns[column].type != WIRE_TEXT && cell_state(cells, row, column) == WIRE_VALUE))
        return NULL;
    return slot_bytes(cells, row, column, length);
}

RowRecord
cells_record(const Cells *cells, int row)
{
    RowRecord record = {RECORD_NONE, NULL, 0};

    if (!cells->records)
        return record;
    record.kind = RECORD_FIELDS;
    record.data = slot_bytes(cells, row, cells->ncolumns, &record.length);
    return record;
}

char *
cells_raw_text(const Cells *cells, int row, int column)
{
    size_t length;
    const char *text = cell_text(cells, row, column, &length);

    return text ? encoding_shown(text, length) : NULL;
}

static void
bad_cell(const CellColumn *column, uint8 state, const char *text, CellError *error)
{
    char *type = format_type_be(column->type);

    switch (state)
    {
        case WIRE_BAD_RANGE:
            error->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
            error->message = psprintf("value \"%s\" is out of range for type %s", text, type);
            break;
        case WIRE_BAD_LENGTH:
            error->sqlstate = ERRCODE_STRING_DATA_RIGHT_TRUNCATION;
            error->message = psprintf("value too long for type %s", format_type_with_typemod(column->type, column->typmod));
            break;
        case WIRE_BAD_PRECISION:
            error->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
            error->message = pstrdup("numeric field overflow");
            break;
        case CELL_UNTRANSLATABLE:
            error->sqlstate = ERRCODE_UNTRANSLATABLE_CHARACTER;
            error->message = encoding_complaint("value");
            break;
        case WIRE_BAD_ENCODING:
            error->sqlstate = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
            error->message = pstrdup("value has bytes that are no characters in the encoding of its source");
            break;
        case WIRE_BAD_ESCAPE:
            error->sqlstate = ERRCODE_UNTRANSLATABLE_CHARACTER;
            error->message = pstrdup("value has \\u0000 or half of a surrogate pair, which no text can hold");
            break;
        default:
            error->sqlstate = ERRCODE_INVALID_TEXT_REPRESENTATION;
            error->message = psprintf("invalid input syntax for type %s: \"%s\"", type, text);
            break;
    }
}

static bool
is_blank(const char *s)
{
    while (isspace((unsigned char) *s))
        s++;
    return *s == '\0';
}

/* The second try of validation "coerce"; false when there is nothing to try. */
static bool
coerce_cell(const CellColumn *column, char *text, Datum *value, bool *null)
{
    Datum number;

    if (is_blank(text))
    {
        *null = true;
        return true;
    }
    if (column->type != INT2OID && column->type != INT4OID && column->type != INT8OID)
        return false;
    /* the type's own complaint fits everything else better than numeric's */
    if (text[strspn(text, "0123456789+-.eE \t\n\v\f\r")] != '\0')
        return false;
    number = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number, DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))))
        ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                        errmsg("value \"%s\" would lose its fraction in type %s", text, format_type_be(column->type))));
    if (column->type == INT8OID)
        *value = DirectFunctionCall1(numeric_int8, number);
    else if (column->type == INT4OID)
        *value = DirectFunctionCall1(numeric_int4, number);
    else
        *value = DirectFunctionCall1(numeric_int2, number);
    *null = false;
    return true;
}

/* A date or time written as the source's dateFormat or timestampFormat says. */
static Datum
patterned_value(const CellColumn *column, const char *text)
{
    Datum value = CStringGetTextDatum(text);

    if (column->type == DATEOID)
        return OidFunctionCall2Coll(F_TO_DATE, C_COLLATION_OID, value, column->pattern);
    value = OidFunctionCall2Coll(F_TO_TIMESTAMP_TEXT_TEXT, C_COLLATION_OID, value, column->pattern);
    return column->type == TIMESTAMPTZOID ? value : DirectFunctionCall1(timestamptz_timestamp, value);
}

/*
 * A raw cell's value, or what a domain says to a null.  What the input function
 * allocates on the way (jsonb_in: many times the value) goes at once; only the
 * value stays with the batch.
 */
static void
input_cell(Cells *cells, int row, int c, int attempt, Datum *value, bool *null)
{
    CellColumn *column = &cells->columns[c];
    MemoryContext old;
    Datum read;
    const char *utf8;
    char *text;
    size_t length;

    /* what a cell that raised an error left behind */
    MemoryContextReset(cells->scratch);
    old = MemoryContextSwitchTo(cells->scratch);
    utf8 = cell_text(cells, row, c, &length);
    text = utf8 ? encoding_text(utf8, length) : NULL;
    if (utf8 && text == NULL)
        ereport(ERROR, (errcode(ERRCODE_UNTRANSLATABLE_CHARACTER), errmsg("%s", encoding_complaint("value"))));
    if (attempt > 0 && text && coerce_cell(column, text, value, null))
    {
        MemoryContextSwitchTo(old);
        return;
    }
    read = column->pattern ? patterned_value(column, text) : InputFunctionCall(&column->input, text, column->ioparam, column->typmod);
    MemoryContextSwitchTo(cells->context);
    *null = text == NULL;
    if (!*null)
        *value = datumCopy(read, column->by_value, column->length);
    MemoryContextSwitchTo(old);
}

/* One raw cell to be converted. */
typedef struct CellWork { Cells *cells; int row; int column; int attempt; int at; } CellWork;

static void
convert_cell(void *arg)
{
    CellWork *work = arg;

    input_cell(work->cells, work->row, work->column, work->attempt, &work->cells->values[work->at], &work->cells->nulls[work->at]);
}

bool
cells_resolve(Cells *cells, int row, int column, int attempt, CellError *error)
{
    uint8 state = cell_state(cells, row, column);
    int at = row * cells->ncolumns + column;

    if (state >= WIRE_BAD_SYNTAX)
    {
        MemoryContext old = MemoryContextSwitchTo(cells->context);

        bad_cell(&cells->columns[column], state, cells_raw_text(cells, row, column), error);
        MemoryContextSwitchTo(old);
        return false;
    }
    if (state == WIRE_RAW || state == WIRE_NULL)
    {
        CellWork work = {cells, row, column, attempt, at};

        settings_fixed(cells->columns[column].need, convert_cell, &work);
    }
    return true;
}
