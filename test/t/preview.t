# What preview_pipeline shows: all fields behind a node, and none that are not
# there; and a notice of the rows that it leaves out.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('preview');

$k->write_csv('a.csv', [qw(rid g x1 x2 name)], [ 1, 2, 'a', 'b', 'c' ], [ 2, 'abc', 'd', 'e', 'f' ], [ 3, '10.5', 'g', 'h', 'f' ], [ 4, 8, 'k', 'l', 'm' ]);
$k->make_schema('o', 'rid', 'g', 'v', 'w');
$k->make('p', schema => 'o', source => { resource => 'a.csv' }, execution => { errorHandling => 'fail' }, nodes => [
        { id => 'some', type => 'filter', config => { field => 'rid', operator => '!=', value => '9' } },
        { id => 'once', type => 'deduplicate', config => { keyFields => ['name'] } },
        { id => 'number', type => 'cast', config => { field => 'g', targetType => 'integer' } },
        { id => 'upper', type => 'expression', config => { outputField => 'w', expression => 'upper(x1)' } },
        { id => 'less', type => 'drop', config => { fields => ['x2'] } },
        { id => 'other', type => 'rename', config => { sourceField => 'x1', targetField => 'y1' } },
        { id => 'sums', type => 'aggregate', config => { groupByFields => [ 'w', 'rid' ], aggregations => [ { field => 'g', function => 'sum', alias => 'g' } ] } } ]);

sub keys_behind
{
    my ($node, $pipeline) = @_;
    return $k->sql("SELECT DISTINCT string_agg(key, ' ' ORDER BY key) FROM kaireon.preview_pipeline('" . ($pipeline // 'p') . "', 20"
          . ($node ? ", node => '$node'" : '') . ') WITH ORDINALITY AS p (row, n), jsonb_object_keys(row) AS key GROUP BY n');
}

is(keys_behind('read'), 'g name rid x1 x2', 'a source: the fields of its file');
is(keys_behind('some'), 'g name rid x1 x2', 'a filter: the same');
is(keys_behind('once'), 'g name rid x1 x2', 'a set node: what goes through it');
is(keys_behind('upper'), 'g name rid w x1 x2', 'behind it: that, and what is made');
is(keys_behind('less'), 'g name rid w x1', 'without what is dropped');
is(keys_behind('other'), 'g name rid w y1', 'under the new name');
is(keys_behind('sums'), 'g rid w', 'what an aggregate gives');
is(keys_behind(), 'g rid w', 'without a node: what is loaded');
is($k->sql("SELECT row FROM kaireon.preview_pipeline('p', 1, node => 'upper') AS row"), '{"g": 2, "w": "A", "x1": "a", "x2": "b", "rid": "1", "name": "c"}', 'values as they are there');

# A branch, two sources; a field of the one is none of the other.
$k->write_csv('b.csv', [qw(id town _line)], [ 1, 'Paris', 'x' ]);
$k->make_graph('q', 'o', [ [ 'left', 'source', { resource => 'a.csv' } ], [ 'right', 'source', { resource => 'b.csv' } ],
        [ 'both', 'join', { joinType => 'left', on => [ { left => 'rid', right => 'id' } ], selectFields => [ { field => 'town', alias => 'v' } ] } ],
        [ 'way', 'branch', { routes => [ { label => 'here', field => 'v', operator => '=', value => 'Paris' } ] } ],
        [ 'long', 'expression', { outputField => 'w', expression => "v || '!'" } ], [ 'load', 'target' ] ],
    [ 'left>both:left', 'right>both:right', 'both>way', 'way>long:here', 'way>load:otherwise', 'long>load' ]);
is(keys_behind('left', 'q'), 'g name rid x1 x2', 'two sources: the one');
is(keys_behind('right', 'q'), 'id town', 'and the other, without what only looks like a field');
is(keys_behind('both', 'q'), 'g name rid v x1 x2', 'a join: the left fields and the selected ones');
is(keys_behind('way', 'q'), 'g name rid v x1 x2', 'a branch');
is(keys_behind('long', 'q'), 'g name rid v w x1 x2', 'behind a branch');

# A node may make a field that the file has, too, before or behind the one that is looked at.
$k->make('made', schema => 'o', source => { resource => 'a.csv' }, nodes => [
        { id => 'some', type => 'filter', config => { field => 'rid', operator => '!=', value => '9' } },
        { id => 'mine', type => 'add_field', config => { fieldName => 'x1', fieldType => 'integer', defaultValue => 7 } },
        { id => 'named', type => 'rename', config => { sourceField => 'x2', targetField => 'name' } } ]);
is(keys_behind('some', 'made'), 'g name rid x1 x2', 'a field that is made later');
is($k->sql("SELECT row FROM kaireon.preview_pipeline('made', 1, node => 'mine') AS row"), '{"g": "2", "x1": 7, "x2": "b", "rid": "1", "name": "c"}', 'one that has been made');
is($k->sql("SELECT row FROM kaireon.preview_pipeline('made', 1, node => 'named') AS row"), '{"g": "2", "x1": 7, "rid": "1", "name": "b"}', 'one that has been renamed to');
my @wide = map { "f$_" } 1 .. 1700;
$k->write_csv('wide.csv', [ 'rid', @wide ], [ 1, @wide ]);
$k->make('wide', schema => 'o', source => { resource => 'wide.csv' }, nodes => [ { id => 'last', type => 'filter', config => { field => 'f1700', operator => '=', value => 'f1700' } } ]);
is($k->sql("SELECT count(*) || max(key) FILTER (WHERE key = 'f1700') FROM kaireon.preview_pipeline('wide', node => 'last') AS p, jsonb_object_keys(p) AS key"), '801f1700', 'of very many fields a part');

# No file: nothing is known.
$k->make('none', schema => 'o', source => { resource => '*.txt' }, nodes => [ { id => 'some', type => 'filter', config => { field => 'rid', operator => '!=', value => '9' } } ]);
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('none', 2, node => 'some')"), 0, 'no file, no rows');

# ---- rows that are left out

sub notices
{
    my ($query) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', $query);
    return $err;
}

$k->make('bad', schema => 'o', source => { resource => 'a.csv' }, nodes => [ { id => 'number', type => 'cast', config => { field => 'g', targetType => 'integer' } } ],
    execution => { errorHandling => 'fail' });
like(notices("SELECT kaireon.preview_pipeline('bad')"),
    qr/NOTICE:  left out 2 bad rows of those looked at\nDETAIL:  The first, at node "number": invalid input syntax for type integer: "abc"\. File "a\.csv", line 3, field "g": "abc"\./,
    'how many, and the first');
is(notices("SELECT kaireon.preview_pipeline('bad', node => 'read')"), '', 'none where nobody has cast');
is(notices("SELECT kaireon.explain_pipeline('bad', true)"), '', 'explain has the numbers anyway');

$k->settled('previews');
done_testing();
