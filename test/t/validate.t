# Rules of validate nodes: what passes, what each onFail does with what does not,
# and what a rule may be.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('validate');
my $n = 0;

# Makes a pipeline whose one node holds column v to the rules; its name.
sub held
{
    my ($rules, $values, %more) = @_;
    my $name = 'v' . ++$n;

    $k->write_csv("$name.csv", [ 'n', 'v', 'w' ], map { [ $_ + 1, ref $values->[$_] ? @{ $values->[$_] } : ($values->[$_], undef) ] } 0 .. $#$values);
    $k->make($name, fields => [ { name => 'n', dataType => 'integer', isPrimaryKey => \1 }, { name => 'v', dataType => 'text' }, { name => 'w', dataType => 'text' } ],
        source => { resource => "$name.csv" }, nodes => [ { id => 'check', type => 'validate', config => { rules => $rules } } ], %more);
    return $name;
}

sub loaded { return [ split /\n/, $k->sql("SELECT coalesce(v, '~') FROM ds_$_[0] ORDER BY n"), -1 ]; }

my @values = ('5', '10', '-1', undef, 'x', '9.5');
for my $test (
    [ 'gt:5', [ '10', '~', '9.5' ] ], [ 'gte:5', [ '5', '10', '~', '9.5' ] ], [ 'lt:9.5', [ '5', '-1', '~' ] ], [ 'lte:9.5', [ '5', '-1', '~', '9.5' ] ],
    [ 'between:0,9.5', [ '5', '~', '9.5' ] ], [ 'in:5,-1', [ '5', '-1', '~' ] ], [ 'in:x,5', [ '5', '~', 'x' ] ], [ 'not_null', [ '5', '10', '-1', 'x', '9.5' ] ],
    [ 'regex:^[0-9]+$', [ '5', '10', '~' ] ], [ 'length:1', [ '5', '~', 'x' ] ], [ 'length:2,3', [ '10', '-1', '~', '9.5' ] ], [ 'length:,1', [ '5', '~', 'x' ] ],
    [ 'length:2,', [ '10', '-1', '~', '9.5' ] ], [ 'expression:v <> $$x$$', [ '5', '10', '-1', '~', '9.5' ] ])
{
    my ($rule, $kept) = @$test;
    my $name = held([ { $rule =~ /^expression/ ? () : (field => 'v'), rule => $rule, onFail => 'skip' } ], \@values);
    my $run = $k->run($name);
    is_deeply(loaded($name), $kept, "$rule: what passes");
    is($run->{rows_skipped}, @values - @$kept, "$rule: the others are left out and counted");
    is($k->count_identity($run->{run_id}), 't', "$rule: the counters add up");
}
for my $test (
    [ 'email', [ 'a@b.co', 'first.last@sub.example.org' ], [ 'a@b', 'a b@c.de', '@b.co', 'a@@b.co', 'a@b.', 'a@.co' ] ],
    [ 'url', [ 'http://a', 'https://a.b/c?d=e#f' ], [ 'ftp://a', 'http://', 'http:// a', 'a.b' ] ],
    [ 'uuid', [ '00000000-0000-0000-0000-000000000000', 'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11' ], [ '00000000', 'g0000000-0000-0000-0000-000000000000' ] ])
{
    my ($rule, $good, $bad) = @$test;
    my $name = held([ { field => 'v', rule => $rule, onFail => 'skip' } ], [ @$good, @$bad ]);
    $k->run($name);
    is_deeply(loaded($name), $good, "$rule: what passes");
}
my $commas = held([ { field => 'v', rule => 'in', value => [ 'Paris, TX', 'Rome' ], onFail => 'skip' } ], [ 'Paris, TX', 'Paris', 'Rome' ]);
$k->run($commas);
is_deeply(loaded($commas), [ 'Paris, TX', 'Rome' ], 'values with commas');

# ---- what onFail does

my $fails = held([ { field => 'v', rule => 'gt:0' } ], [ 1, -1, 2 ], execution => { errorHandling => 'skip' });
my $run = $k->run($fails);
is($run->{status}, 'failed', 'onFail is fail when it is not said, whatever errorHandling says');
is($run->{error_code}, '23514', 'with the SQLSTATE of a check');
is($run->{error_message}, 'row breaks rule "gt:0"', 'the message names the rule');
like($run->{error_detail}, qr/line 3, field "v": "-1"/, 'the detail file, line, field and value');
like($run->{error_hint}, qr/onFail/, 'the hint the way out');
is($k->sql("SELECT count(*) FROM ds_$fails"), 0, 'nothing is loaded');

my $mixed = held([ { field => 'v', rule => 'not_null', onFail => 'skip' }, { field => 'v', rule => 'lt:100', onFail => 'warn' },
        { field => 'w', rule => 'not_null', onFail => 'warn' } ], [ [ 1, 'a' ], [ undef, 'a' ], [ 200, 'a' ], [ 300, undef ] ]);
$run = $k->run($mixed);
is_deeply(loaded($mixed), [ 1, 200, 300 ], 'a rule that warns lets the row pass');
is($run->{status}, 'partial', 'rows that were left out make the run partial');
is($k->sql("SELECT string_agg(concat_ws(' ', line, node_id, field, severity, value, reason), '; ' ORDER BY ordinal) FROM kaireon.run_errors WHERE run_id = '$run->{run_id}'"),
    '3 check v error row breaks rule "not_null"; 4 check v warning 200 row breaks rule "lt:100"; 5 check v warning 300 row breaks rule "lt:100"; '
      . '5 check w warning row breaks rule "not_null"', 'errors and warnings are told apart');
is($k->sql("SELECT rows_in || ' ' || rows_out || ' ' || rows_rejected FROM kaireon.run_nodes WHERE run_id = '$run->{run_id}' AND node_id = 'check'"), '4 3 1',
    'the node counts what it left out');
my $only = held([ { field => 'v', rule => 'lt:0', onFail => 'warn' } ], [ 1, 2 ]);
is($k->run($only)->{status}, 'success', 'warnings alone leave it a success');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('$fails')"), 2, 'a preview leaves out what breaks a rule, and stops for none');

# ---- what a rule may be

sub refused
{
    my ($rule, $message) = @_;
    my $json = $k->json([ { id => 'r', type => 'source', config => { resource => 'v1.csv' } }, { id => 'check', type => 'validate', config => { rules => [$rule] } },
        { id => 'w', type => 'target' } ]);
    like($k->sql_error("SELECT kaireon.create_pipeline('bad', 'files', 'v1', $json)"), $message, "refused: " . ($rule->{rule} // 'no rule'));
    return;
}
refused({ field => 'v', rule => 'greater:0' }, qr/rule 1 has no rule "greater:0".*HINT:  Rules are, for example: not_null, gt:0/s);
refused({ rule => 'gt:0' }, qr/rule 1 needs key "field"/);
refused({ field => 'v' }, qr/key "rule"/);
refused({ field => 'v', rule => 'gt' }, qr/rule 1: "gt" needs a value/);
refused({ field => 'v', rule => 'gt:' }, qr/rule 1: "gt" needs a value/);
refused({ field => 'v', rule => 'email:x' }, qr/rule 1: "email" takes no value/);
refused({ field => 'v', rule => 'between:1' }, qr/array of two values/);
refused({ field => 'v', rule => 'length:x' }, qr/"x" is no length/);
refused({ field => 'v', rule => 'length:9,2' }, qr/"9,2" is no length/);
refused({ field => 'v', rule => 'regex:(' }, qr/invalid regular expression/);
refused({ rule => 'expression:1 +' }, qr/syntax error/);
refused({ rule => 'expression:pg_sleep(1) is null' }, qr/function "pg_sleep" is not allowed/);
refused({ rule => 'expression:v' }, qr/rule 1: the expression must be of type boolean, not text/);
refused({ field => 'v', rule => 'gt:0', onFail => 'explode' }, qr/onFail/);
refused({ field => 'v', rule => 'gt:0', colour => 'red' }, qr/colour/);

ok($k->same_postmaster, 'the server lives');
done_testing();
