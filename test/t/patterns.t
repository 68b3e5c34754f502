# The pattern of a source: which files a run and a reading find by it, what dates in
# it stand for, also in a later attempt, and a regular expression without an end.
use strict;
use warnings;
use Kaireon;
use POSIX qw(strftime);
use Test::More;

my $k = Kaireon->new('patterns');
my $files = $k->files;
my $now = time;
mkdir "$files/$_" for qw(in in/deep in/deep/er in/.hid in/v[1] out);
my $n = 0;

# put(PATH...): each with a row of its own.
sub put { $k->write_file($_, "n,path\n" . ++$n . ",$_\n") for @_; return; }

sub day { return strftime($_[0], gmtime($now + 86400 * ($_[1] // 0))); }

# found(PATTERN, RESOURCE = 'in', OPTIONS): the paths of the rows that kaireon.read gives.
sub found
{
    my ($pattern, $resource, %options) = @_;
    return $k->sql("SELECT coalesce(string_agg(path, ' '), '') FROM kaireon.read('files', '" . ($resource // 'in') . "', "
        . $k->json({ pattern => $pattern, %options }) . ') AS t(n int, path text)');
}

sub glob_of { return { type => 'glob', value => $_[0] }; }
sub regex_of { return { type => 'regex', value => $_[0] }; }

put('top.csv', 'in/a.csv', 'in/B.CSV', 'in/deep/c.csv', 'in/deep/er/d.csv', 'in/.hidden.csv', 'in/.hid/e.csv', 'in/v[1]/f.csv', 'out/g.csv');
$k->make('daily', fields => [ { name => 'n', dataType => 'integer' }, { name => 'path', dataType => 'varchar' } ],
    source => { resource => 'in', pattern => { type => 'dateGlob', value => 'day_{YYYYMMDD}*.csv' } });

# ---- globs and regular expressions

is(found(glob_of('*.csv')), 'in/a.csv', 'a glob is about the folder');
is(found(glob_of('**/*.csv')), 'in/a.csv in/deep/c.csv in/deep/er/d.csv in/v[1]/f.csv', 'and, with **, those below it');
is(found(glob_of('*/c.csv'), 'in/'), 'in/deep/c.csv', 'a slash behind the folder says nothing');
is(found(glob_of('*.csv'), ''), 'top.csv', 'without a resource it is about the base');
is(found(glob_of('*.csv'), 'in/v\[1\]'), 'in/v[1]/f.csv', 'a folder with wildcards in its name');
is(found(glob_of('*.csv'), "$files/out"), 'out/g.csv', 'an absolute one');
is(found(glob_of('none*')), '', 'none');
like($k->sql_error("SELECT * FROM kaireon.read('files', 'nowhere', " . $k->json({ pattern => glob_of('*') }) . ') AS t(n int)'), qr/directory "nowhere" does not exist|"nowhere"/, 'a folder that is not there');

is(found(regex_of('.*\.csv')), 'in/a.csv in/deep/c.csv in/deep/er/d.csv in/v[1]/f.csv', 'a regular expression is about all files below the folder, but hidden ones');
is(found(regex_of('[^/]*\.csv')), 'in/a.csv', 'a slash is a character like others');
is(found(regex_of('(?i)[^/]*\.csv')), 'in/B.CSV in/a.csv', 'without regard to case');
is(found(regex_of('c|deep/(c|er/d)\.csv')), 'in/deep/c.csv in/deep/er/d.csv', 'it has to match the whole path, each of its branches');
is(found(regex_of('deep'), 'in'), '', 'not a part of it');
is(found(regex_of('(.)\.csv'), './in//deep'), 'in/deep/c.csv', 'a folder that is spelled oddly');
is(found(regex_of('f.*'), 'in/v\[1\]'), 'in/v[1]/f.csv', 'or has to be escaped');
is(found(regex_of('(top|out/.*)\.csv'), ''), 'out/g.csv top.csv', 'from the base on');
is(found(regex_of('.*\.csv'), 'in', ordering => 'process_all', rowLimit => 2), 'in/a.csv in/deep/c.csv', 'with other options');
is($k->sql("SELECT count(*) FROM kaireon.preview('files', 'in', " . $k->json({ pattern => regex_of('.*d\.csv') }) . ')'), 1, 'preview');
is($k->sql("SELECT kaireon.describe('files', 'in', " . $k->json({ pattern => regex_of('.*d\.csv') }) . ") ->> 'path'"), 'in/deep/er/d.csv', 'describe');
is($k->sql("SELECT jsonb_array_length(kaireon.infer_fields('files', 'in', " . $k->json({ pattern => glob_of('d*/*.csv') }) . '))'), 2, 'infer_fields');

# One that would take longer than anybody waits for.
put('in/deep/' . 'ab' x 100 . '.csv');
$k->sql(q(ALTER SYSTEM SET kaireon.expression_timeout = '200ms'));
$k->sql('SELECT pg_reload_conf()');
$k->poll('the setting', 'SHOW kaireon.expression_timeout', '200ms');
my $endless = '(.+)(.+)(.+)(.+)\4\3\1\2\2\1q?';
like($k->sql_error("\\set VERBOSITY verbose\nSELECT * FROM kaireon.read('files', 'in/deep', " . $k->json({ pattern => regex_of($endless) }) . ') AS t(n int)'),
    qr/KA009: the regular expression of "pattern" took longer than kaireon\.expression_timeout \(200 ms\)\nDETAIL:  It was about file "in\/deep\/(?:ab){100}\.csv"/, 'a regular expression that does not end');
$k->make('endless', schema => 'daily', source => { resource => 'in/deep', pattern => regex_of($endless) });
my $run = $k->run('endless');
is("$run->{status} $run->{error_code}", 'failed KA009', 'nor does it in a run');
$k->sql('ALTER SYSTEM RESET kaireon.expression_timeout');
$k->sql('SELECT pg_reload_conf()');

# ---- dates

# ran(WHAT, PATHS, RESOURCE): a run of pipeline daily loads these, and says what it has read.
sub ran
{
    my ($id, $paths, $resource, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($k->sql("SELECT coalesce(string_agg(path, ' ' ORDER BY n), '') FROM ds_daily"), $paths, $what) or diag($k->sql("SELECT error_message FROM kaireon.runs WHERE run_id = '$id'"));
    is($k->sql("SELECT resource FROM kaireon.run_nodes WHERE run_id = '$id' AND node_id = 'read'"), $resource, 'and says what it has read');
    $k->sql('TRUNCATE ds_daily');
    return;
}

my ($today, $yesterday) = map { day('%Y%m%d', $_) } 0, -1;
put("in/day_$yesterday.csv", "in/day_$today.csv", "in/day_${today}_2.csv");
ran($k->run('daily')->{run_id}, "in/day_$today.csv in/day_${today}_2.csv", "in/day_$today*.csv", 'a run reads the files of its day');
is($k->sql("SELECT string_agg(r ->> 'path', ' ') FROM kaireon.preview_pipeline('daily') AS r"), "in/day_$today.csv in/day_${today}_2.csv", 'so does a preview');
$run = ($k->rows(q(SELECT * FROM kaireon.run_pipeline('daily', '{"dryRun": true}'))))[0];
is($run->{rows_loaded}, 2, 'and a dry run');
ran($run->{run_id}, '', "in/day_$today*.csv", 'which loads nothing');

# The time is the one at which the run was asked for, in each of its attempts.
$k->write_file("in/day_$today.csv", "n,path\nx,bad\n");
$run = $k->run('daily');
is($run->{status}, 'failed', 'a run that fails');
$k->sql("UPDATE kaireon_internal.run SET queued_at = queued_at - interval '1 day' WHERE run_id = '$run->{run_id}'");
$k->sql("SELECT kaireon.resume_run('$run->{run_id}')");
is($k->wait_run($run->{run_id}), 'success', 'and is resumed a day later');
ran($run->{run_id}, "in/day_$yesterday.csv", "in/day_$yesterday*.csv", 'reads the files of its own day');

# Zones: the day begins earlier in the east.
sub pattern_is { $k->sql("SELECT kaireon.update_pipeline('daily', nodes => " . $k->json([ { id => 'read', type => 'source', config => { path => 'in/', pattern => $_[0] } }, { id => 'load', type => 'target' } ]) . ')'); return; }
for my $zone ('Pacific/Kiritimati', 'Pacific/Pago_Pago')
{
    my $there = $k->sql("SELECT to_char(now() AT TIME ZONE '$zone', 'YYYY-MM-DD')");
    mkdir "$files/in/$there";
    put("in/$there/z.csv");
    pattern_is({ type => 'dateGlob', value => '{YYYY-MM-DD}/*.csv', timezone => $zone });
    ran($k->run('daily')->{run_id}, "in/$there/z.csv", "in/$there/*.csv", "the day in $zone");
}
# All tokens, at a time that is known.
put('in/2024-02-29T23-05-09_20240229.csv');
pattern_is({ type => 'dateGlob', value => '{YYYY}-{MM}-{DD}T{HH}-{mm}-{ss}_{YYYYMMDD}.csv', timezone => 'America/New_York' });
my $id = $k->sql(q(SELECT kaireon.pause_pipeline('daily'); INSERT INTO kaireon_internal.run (pipeline_id, pipeline, version, owner, status, queued_at, finished_at, attempt) )
      . q(SELECT id, name, draft_version, owner, 'failed', '2024-03-01 04:05:09+00', now(), 1 FROM kaireon_internal.pipeline WHERE name = 'daily' RETURNING run_id));
$id =~ s/\s//g;
$k->sql(q(UPDATE kaireon_internal.run SET attempt_at = clock_timestamp() WHERE run_id = ') . $id . q('; SELECT kaireon.resume_pipeline('daily')));
$k->sql("SELECT kaireon.resume_run('$id')");
$k->wait_run($id);
ran($id, 'in/2024-02-29T23-05-09_20240229.csv', 'in/2024-02-29T23-05-09_20240229.csv', 'all tokens, in a zone behind UTC');

# A folder of a day that has not come is no mistake; one that is misspelled is.
pattern_is({ type => 'dateGlob', value => 'x/{YYYY}/*.csv' });
$run = $k->run('daily');
is("$run->{status} $run->{rows_read}", 'success 0', 'a folder of a date that is not there has no files');
pattern_is({ type => 'dateGlob', value => 'x/{YYYY}.csv' });
is($k->run('daily')->{error_code}, '58P01', 'a folder without a date must be there');

$k->settled('at the end');
ok($k->same_postmaster, 'the server lived through');
done_testing;
