# Columns of a domain's type: values and nulls that a domain refuses are bad
# cells like any other, with file, line and column, whoever reads them:
# kaireon.read under each onError, and pipelines into a table with such columns.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('domains');
$k->sql("SELECT kaireon.create_connector('files', 'local_fs', " . $k->json({ basePath => $k->files }) . ')');
$k->sql(<<'SQL');
CREATE DOMAIN must AS int NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN may AS int CHECK (VALUE > 0);
CREATE DOMAIN said AS text CHECK (VALUE IS NOT NULL AND VALUE <> 'x');
CREATE DOMAIN deep AS must CHECK (VALUE < 100);
CREATE DOMAIN short AS varchar(3);
CREATE DOMAIN moment AS date CHECK (VALUE < '2024-03-01'::date);
SQL
$k->write_file('d.csv', "id,must,may,said,plain\n1,1,1,a,1\n2,,,,\n3,-1,-1,x,3\n4,many,many,b,many\n5,5,,c,5\n");

# rows_of(RULE, LIST): rows, and in $notice what was said.
my $notice;
sub rows_of
{
    my ($rule, $list) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres',
        "\\set VERBOSITY verbose\nSELECT * FROM kaireon.read('files', 'd.csv', '{\"onError\": \"$rule\"}') AS t($list)");
    $notice = $err;
    return $code ? 'error' : $out;
}

# ---- kaireon.read

is(rows_of('fail', 'id int, must must'), 'error', 'fail: a null that the domain refuses');
like($notice, qr/23502: domain must does not allow null values\nDETAIL:  File "d\.csv", line 3, field "must"\./, 'with SQLSTATE, file, line and column');
is(rows_of('fail', 'id int, said said'), 'error', 'fail: a null that a check constraint refuses');
like($notice, qr/23514: .*"said_check"\nDETAIL:  File "d\.csv", line 3, field "said"\./, 'the same');
is(rows_of('fail', 'id int, may may'), 'error', 'fail: a value that the domain refuses');
like($notice, qr/23514: .*"may_check"\nDETAIL:  File "d\.csv", line 4, field "may": "-1"\./, 'the same, with the value');

is(rows_of('null', 'id int, may may'), "1|1\n2|\n3|\n4|\n5|", 'null: a refused value becomes null where the domain takes one');
like($notice, qr/NOTICE:  (?:00000: )?read 2 cells as null.*line 4, field "may": "-1"\. \(value for domain/s, 'which is told');
is(rows_of('null', 'id int, must must'), "1|1\n5|5", 'null: where it does not, the row is left out');
like($notice, qr/left out 3 rows that.*line 3, field "must"\. \(domain must does not allow null values\)/s, 'which is told');
is(rows_of('null', 'id int, said said, plain int'), "1|a|1\n4|b|\n5|c|5", 'null: also where a check constraint refuses nulls');
is(rows_of('null', 'plain int, must must'), "1|1\n5|5", 'null: a bad cell beside a refused null');
like($notice, qr/left out 3 rows that could not be converted/, 'is not counted for a row that is left out');
is(rows_of('null', 'id int, d deep') . $notice =~ s/.*(source has no field "d").*/ $1/sr, 'error source has no field "d"', 'null: a column that is not there is no null');

is(rows_of('skip', 'id int, must must'), "1|1\n5|5", 'skip: nulls and values that the domain refuses');
like($notice, qr/left out 3 rows/, 'which is told');
is(rows_of('skip', 'id int, may may'), "1|1\n2|\n5|", 'skip: a null that it takes stays');
is(rows_of('fail', 'id int'), "1\n2\n3\n4\n5", 'a column that is not asked for is no matter');
is($k->sql("SELECT count(*) FROM kaireon.read('files', 'd.csv') AS t(id int, must must)"), 5, 'nor one that is not used');

$k->write_file('e.csv', "a,b,c\n1,abc,2024-02-29\n99,,\n");
is($k->sql("SELECT * FROM kaireon.read('files', 'e.csv') AS t(a deep, b short, c moment)"), "1|abc|2024-02-29\n99||", 'domains over domains, with lengths, of dates');
like($k->sql_error("SELECT * FROM kaireon.read('files', 'e.csv') AS t(c deep)"), qr/invalid input syntax.*field "c": "2024-02-29"/s, 'of another type');

# ---- pipelines

my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, map { { name => $_, dataType => 'varchar' } } qw(must may));
for my $validation (qw(skip strict coerce))
{
    my $name = "p_$validation";
    $k->make($name, fields => \@fields, source => { resource => 'd.csv' }, target => { validation => $validation });
    $k->sql("ALTER TABLE ds_$name ALTER must TYPE must USING NULL, ALTER may TYPE may USING NULL");
    my $run = $k->run($name);
    is($k->sql("SELECT count(*) FROM ds_$name WHERE must IS NULL"), 0, "$validation: no null where the domain has none");
    if ($validation eq 'strict')
    {
        is("$run->{status} $run->{error_code}", 'failed 23502', 'strict: the run fails');
        is(join(' ', map { "$_->{source}:$_->{line}:$_->{field}:$_->{reason}" } $k->errors($run->{run_id})),
            'd.csv:3:must:domain must does not allow null values', 'strict: with file, line and column');
        next;
    }
    is($k->sql("SELECT id, must, may FROM ds_$name ORDER BY id"), "1|1|1\n5|5|", "$validation: what the domains take is loaded");
    is(join(' ', map { "$_->{line}:$_->{field}:$_->{sqlstate}:" . ($_->{value} // 'null') } $k->errors($run->{run_id})),
        '3:must:23502:null 4:must:23514:-1 5:must:22P02:many', "$validation: what they refuse is rejected, with its place");
}
$k->settled('domains');
ok($k->same_postmaster, 'the server lived through');
done_testing();
