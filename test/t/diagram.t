# The drawing of a pipeline of 20 nodes after a run: what a human sees of it.
use strict;
use warnings;
use utf8;
use Kaireon;
use Test::More;

my $k = Kaireon->new('diagram');

$k->sql("SELECT kaireon.create_schema('customers', '[{\"name\": \"id\", \"dataType\": \"integer\", \"isPrimaryKey\": true}, {\"name\": \"name\"}, {\"name\": \"city\"}, {\"name\": \"class\"}, "
      . "{\"name\": \"total\", \"dataType\": \"numeric\"}, {\"name\": \"people\", \"dataType\": \"integer\"}]')");
$k->make_schema('suspects', 'id integer', 'reason');
$k->make_schema('cities', 'id integer', 'name', 'people integer');
$k->sql("INSERT INTO ds_cities VALUES (1, 'Rome', 2800000)");
$k->write_csv('people.csv', [qw(id full_name email ssn city)], map { [ $_ % 97 ? $_ : "x$_", "Name $_", $_ % 11 ? "n$_\@x.org" : 'none', '123-45-' . (1000 + $_), $_ % 3 ? 'Rome' : 'Oslo' ] } 1 .. 1200);
$k->write_csv('orders.csv', [qw(order customer status amount)], map { [ $_, $_ % 1300 + 1, $_ % 4 ? 'paid' : 'open', $_ % 501 ? ($_ % 1300 < 60 ? -5 : $_ * 37 % 1500) : 'many' ] } 1 .. 3000);
$k->make_graph('big', 'customers', [ [ 'people', 'source', { resource => 'people.csv' } ], [ 'orders', 'source', { resource => 'orders.csv' } ], [ 'names', 'rename', { sourceField => 'full_name', targetField => 'name' } ],
        [ 'mail', 'filter', { field => 'email', operator => 'contains', value => '@' } ], [ 'ssn', 'mask_pii', { field => 'ssn', maskType => 'ssn' } ], [ 'once', 'deduplicate', { keyFields => ['id'] } ],
        [ 'paid', 'filter', { field => 'status', operator => 'in', value => [qw(paid shipped)] } ], [ 'amount', 'cast', { field => 'amount', targetType => 'numeric' } ],
        [ 'sums', 'aggregate', { groupByFields => ['customer'], aggregations => [ { field => 'amount', function => 'sum', alias => 'total' }, { function => 'count', alias => 'n' } ] } ],
        [ 'both', 'join', { joinType => 'left', on => [ { left => 'id', right => 'customer' } ], selectFields => [ 'total', 'n' ] } ],
        [ 'size', 'lookup_join', { lookupSchema => 'cities', joinField => 'city', lookupField => 'name', selectFields => ['people'] } ],
        [ 'class', 'branch', { routes => [ { label => 'big', field => 'total', operator => '>=', value => 1000 }, { label => 'odd', field => 'total', operator => '<', value => 0 } ] } ],
        [ 'vip', 'add_field', { fieldName => 'class', fieldType => 'text', defaultValue => 'vip' } ], [ 'regular', 'add_field', { fieldName => 'class', fieldType => 'text', defaultValue => 'regular' } ],
        [ 'why', 'expression', { outputField => 'reason', expression => "'total ' || total" } ], [ 'flag', 'drop', { fields => [qw(name email)] } ], [ 'upper', 'expression', { outputField => 'name', expression => 'upper(name)' } ],
        [ 'valid', 'validate', { rules => [ { field => 'name', rule => 'not_null', onFail => 'skip' }, { field => 'city', rule => 'in:Rome', onFail => 'skip' } ] } ],
        [ 'load', 'target', { validation => 'skip' } ], [ 'aside', 'target', { schema => 'suspects' } ] ],
    [ qw(people>names names>mail mail>ssn ssn>once once>both:left orders>paid paid>amount amount>sums sums>both:right both>size size>class class>vip:big class>why:odd class>regular:otherwise),
        qw(vip>upper upper>load regular>valid valid>load why>flag flag>aside) ], { errorHandling => 'skip' });
is($k->run('big')->{status}, 'partial', 'a run');

my $drawing = $k->sql("SELECT kaireon.pipeline_diagram('big')") . "\n";
utf8::decode($drawing);
my $expected = join '', <DATA>;
is($drawing, $expected, 'its drawing, with what each node did');
$k->settled('diagram');
done_testing();

__DATA__
                    ┌─────────────────┐              ┌─────────────────┐
                    │ people [source] │              │ orders [source] │
                    │ people.csv      │              │ orders.csv      │
                    └────────┬────────┘              └────────┬────────┘
                             │ 1,200 rows                     │ 3,000 rows
                             ▼                                ▼
                   ┌───────────────────┐      ┌───────────────────────────────┐
                   │ names [rename]    │      │ paid [filter]                 │
                   │ full_name -> name │      │ status in ('paid', 'shipped') │
                   └─────────┬─────────┘      └───────────────┬───────────────┘
                             │ 1,200 rows                     │ 2,250 rows
                             ▼                                ▼
                  ┌────────────────────┐            ┌───────────────────┐
                  │ mail [filter]      │            │ amount [cast]     │  4 rejected
                  │ email contains '@' │            │ amount as numeric │
                  └──────────┬─────────┘            └─────────┬─────────┘
                             │ 1,091 rows                     │ 2,246 rows
                             ▼                                ▼
                    ┌────────────────┐      ┌───────────────────────────────────┐
                    │ ssn [mask_pii] │      │ sums [aggregate]                  │
                    │ mask ssn       │      │ sum(amount), count(*) by customer │
                    └────────┬───────┘      └─────────────────┬─────────────────┘
                             │ 1,091 rows                     │ right: 975 rows
                             ▼                                │
                  ┌────────────────────┐                      │
                  │ once [deduplicate] │                      │
                  │ first of each id   │                      │
                  └──────────┬─────────┘                      │
                             │ left: 1,080 rows               │
                             └────────────────┬───────────────┘
                                              ▼
                                  ┌───────────────────────┐
                                  │ both [join]           │
                                  │ left on id = customer │
                                  └───────────┬───────────┘
                                              │ 1,080 rows
                                              ▼
                                   ┌────────────────────┐
                                   │ size [lookup_join] │
                                   │ people of cities   │
                                   └──────────┬─────────┘
                                              │ 1,080 rows
                                              ▼
                           ┌────────────────────────────────────┐
                           │ class [branch]                     │
                           │ big: total >= 1000; odd: total < 0 │
                           └──────────────────┬─────────────────┘
           ┌────────────────────────────┬─────┴────────────────────────────────────┐
           │ big: 571 rows              │ otherwise: 468 rows                      │ odd: 41 rows
           ▼                            ▼                                          ▼
  ┌─────────────────┐        ┌─────────────────────┐                ┌────────────────────────────┐
  │ vip [add_field] │        │ regular [add_field] │                │ why [expression]           │
  │ class = 'vip'   │        │ class = 'regular'   │                │ reason = 'total ' || total │
  └────────┬────────┘        └──────────┬──────────┘                └──────────────┬─────────────┘
           │ 571 rows                   │ 468 rows                                 │ 41 rows
           ▼                            ▼                                          ▼
┌────────────────────┐   ┌─────────────────────────────┐                 ┌──────────────────┐
│ upper [expression] │   │ valid [validate]            │  158 rejected   │ flag [drop]      │
│ name = upper(name) │   │ name not_null, city in:Rome │                 │ drop name, email │
└──────────┬─────────┘   └──────────────┬──────────────┘                 └─────────┬────────┘
           │ 571 rows                   │ 310 rows                                 │ 41 rows
           └──────────────┬─────────────┘                                          │
                          ▼                                                        ▼
                  ┌───────────────┐                                     ┌────────────────────┐
                  │ load [target] │  881 loaded                         │ aside [target]     │  41 loaded
                  │ append (skip) │  11 rejected                        │ append to suspects │
                  └───────────────┘                                     └────────────────────┘
