#!/usr/bin/env python3
"""Writes oracle.json: CSV texts and what Python's csv module reads from them.

usage: test/data/csv/make_oracle.py > test/data/csv/oracle.json

The same bytes every time.  Only what both understand alike: rows of one
length, quotes that are closed, no CR outside CR LF.  `want` is the dump of
test/unit/csv_dump.h; test/unit/test_csv_oracle.c compares.
"""
import csv
import io
import json
import random

rng = random.Random(15)


def field(specials, stray):
    n = rng.choice([0, 0, 1, 2, 3, 5, 8, 40, 70])
    text = "".join(rng.choice("abc 0\u00e4\u20ac" + specials * 2) for _ in range(n))
    return text.replace("\r", "\r\n") if not stray else text


def spelled(text, d, q, escape, end, always, stray):
    special = any(c in text for c in (d, q, "\n", "\r")) or (escape is not None and escape in text)
    if stray:
        # Quotes anywhere but at the start are text to a lenient reader.
        text = text.replace(d, "").replace("\n", "").replace("\r", "").lstrip(q)
        return text, text
    if not (special or always and rng.random() < 0.5):
        return text, text
    inner = text.replace(q, q + q) if escape is None else text.replace(escape, escape * 2).replace(q, escape + q)
    return q + inner + q, text


def dump(text, d, q, escape, nfields):
    lines = list(io.StringIO(text, newline=""))
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.encode()))
    reader = csv.reader(iter(lines), delimiter=d, quotechar=q, doublequote=escape is None, escapechar=escape)
    out = " ".join("(column%d)" % (i + 1) for i in range(nfields)) + "\n"
    before = 0
    for row in reader:
        if row:
            out += "%d@%d " % (before + 1, offsets[before]) + "".join("[%s]" % cell for cell in row) + "\n"
        before = reader.line_num
    return out


cases = []
for number in range(160):
    d, q = rng.choice([",", ";", "\t", "|"]), rng.choice(["\"", "\"", "'"])
    end, stray = rng.choice(["\n", "\r\n"]), number % 8 == 7
    escape = "\\" if number % 8 == 6 else None
    nfields, nrows = rng.randint(2, 5), rng.randint(1, 6)
    text = ""
    for _ in range(nrows):
        row = [spelled(field(d + q + "\n" + ("\r" if end == "\r\n" else "") + (escape or ""), stray),
                       d, q, escape, end, number % 3 == 0, stray)[0] for _ in range(nfields)]
        text += d.join(row) + end + (end if rng.random() < 0.1 else "")
    if rng.random() < 0.3:
        text = text[:-len(end)] if not text.endswith(end * 2) else text
    options = {"delimiter": d, "quote": q, "header": False, "nullStrings": []}
    if escape:
        options["escape"] = escape
    if stray:
        options["quotes"] = "lenient"
    cases.append({"options": options, "input": text, "want": dump(text, d, q, escape, nfields)})
print("[")
print(",\n".join(json.dumps(case, ensure_ascii=True) for case in cases))
print("]")
