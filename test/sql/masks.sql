-- Masks of personal data, with the odd values that real files hold.
-- Calls kaireon.mask_* as a mask_pii node does.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon CASCADE;
RESET client_min_messages;
SET client_encoding = 'UTF8';

-- The shapes as documented.
SELECT kaireon.mask_ssn('123-45-1234', false) AS ssn, kaireon.mask_email('john@example.com', false) AS email,
       kaireon.mask_phone('555-123-5678', false) AS phone,
       kaireon.mask_credit_card('4111-1111-1111-1234', false) AS credit_card;
SELECT kaireon.mask_ssn('123-45-1234', true) AS ssn, kaireon.mask_email('john@example.com', true) AS email,
       kaireon.mask_phone('555-123-5678', true) AS phone,
       kaireon.mask_credit_card('4111-1111-1111-1234', true) AS credit_card;

-- Unaligned: how wide a character is drawn differs between versions of psql.
\pset format unaligned

-- Numbers: other spellings, too few digits, none, other scripts.
SELECT format('[%s]', v) AS value, kaireon.mask_ssn(v, false) AS ssn, kaireon.mask_phone(v, false) AS phone,
       kaireon.mask_credit_card(v, false) AS card, format('[%s]', kaireon.mask_phone(v, true)) AS preserved
  FROM (VALUES (1, '+1 (555) 123-5678'), (2, '1231234'), (3, '12345678'), (4, '12345'), (5, '1234'), (6, '123'),
               (7, '1'), (8, ''), (9, ' '), (10, '---'), (11, 'unknown'), (12, 'John 1234 Smith 5678'),
               (13, '378282246310005'), (14, '1-2-3-4-5-6-7-8-9'), (15, '123-45-6789 x'), (16, 'März 2024 12'),
               (17, '１２３－４５－６７８９'), (18, E'123\t456\n7890'), (19, '日本0312345678')) AS t (n, v)
 ORDER BY n;

-- Emails.
SELECT format('[%s]', v) AS value, format('[%s]', kaireon.mask_email(v, false)) AS fixed,
       format('[%s]', kaireon.mask_email(v, true)) AS preserved
  FROM (VALUES (1, 'john.smith+news@mail.example.co.uk'), (2, 'j@example.com'), (3, 'jo@example.com'),
               (4, '@example.com'), (5, 'john@'), (6, '@'), (7, 'john'), (8, ''), (9, ' '), (10, 'a@b@example.com'),
               (11, '"john doe"@example.com'), (12, 'öl@example.com'), (13, 'ö@example.com'),
               (14, '山田太郎@例え.jp'), (15, 'call me @ 555-1234'), (16, 'john@example.com (ssn 123-45-6789)'),
               (17, 'john@example.com  '), (18, ' john@example.com'), (19, '.j@example.com'), (20, 'j.@example.com'),
               (21, '..@example.com'), (22, 'John Smith <john@example.com>'), (23, '😀mile@example.com'),
               (24, 'josé garcía'), (25, '5551234567@example.com')) AS t (n, v)
 ORDER BY n;

-- Null in, null out.
SELECT kaireon.mask_ssn(NULL, false) IS NULL AS ssn, kaireon.mask_email('a@b.c', NULL) IS NULL AS email;

-- Never more than half of the digits, and none of fewer than four; the length in characters stays.
SELECT count(*) AS values,
       bool_and(length(regexp_replace(kaireon.mask_phone(v, false), '\D', '', 'g')) <= digits / 2) AS fixed_half,
       bool_and(length(regexp_replace(kaireon.mask_phone(v, true), '\D', '', 'g')) <= digits / 2) AS preserved_half,
       bool_and(length(regexp_replace(kaireon.mask_ssn(v, true), '\D', '', 'g'))
                = CASE WHEN digits < 4 THEN 0 ELSE least(4, digits / 2) END) AS preserved_exact,
       bool_and(length(kaireon.mask_credit_card(v, true)) = length(v)) AS length_kept,
       bool_and(length(kaireon.mask_email(v || '@x.org', true)) = length(v) + 6) AS email_length_kept
  FROM (SELECT v, length(regexp_replace(v, '\D', '', 'g')) AS digits
          FROM (SELECT repeat(a, i) || repeat(b, j) || repeat(a, k) AS v
                  FROM unnest(ARRAY['7', '-', 'é', '日']) AS a, unnest(ARRAY['4', 'x', '😀']) AS b,
                       generate_series(0, 9) AS i, generate_series(0, 9) AS j, generate_series(0, 3) AS k) AS s) AS t;

-- Short headers (as stored in a table), compressed and out-of-line values.
CREATE TEMP TABLE mask_values (v text);
INSERT INTO mask_values VALUES ('123-45-1234'), ('john@example.com'), (repeat('x', 100000) || '@example.com');
ALTER TABLE mask_values ALTER v SET STORAGE EXTERNAL;
INSERT INTO mask_values VALUES (repeat('5', 100000));
SELECT left(kaireon.mask_ssn(v, false), 20) AS ssn, left(kaireon.mask_email(v, false), 20) AS email,
       right(kaireon.mask_phone(v, true), 12) AS phone, length(kaireon.mask_phone(v, true)) AS phone_length,
       right(kaireon.mask_email(v, true), 16) AS email_preserved
  FROM mask_values ORDER BY length(v), v COLLATE "C";
DROP TABLE mask_values;
