# Prints a CSV of customers for the quickstart: the same bytes every time.
#
# Many names and addresses are what CSV files are feared for: commas, doubled
# quotes and line ends inside quotes, and empty fields.  One row in a few
# thousand is bad, in one of nine ways, so that there is something to reject;
# one in ten has no balance left, so that the filter has something to do.
#
# usage: awk -v rows=300000 -f customers.awk > customers.csv

# A small generator of our own (Lehmer's): every awk gives the same numbers.
function random(below)
{
    seed = (seed * 16807) % 2147483647
    return seed % below
}

function date(from, years)
{
    return sprintf("%04d-%02d-%02d", from + random(years), 1 + random(12), 1 + random(28))
}

function name(i,    first, last)
{
    first = firsts[1 + random(nfirsts)]
    last = lasts[1 + random(nlasts)]
    if (i % 5 == 0)
        return "\"" last ", " first "\""
    if (i % 211 == 0)
        return "\"" first " \"\"" substr(first, 1, 3) "\"\" " last "\""
    return first " " last
}

function address(i,    street)
{
    street = 1 + random(999) " " streets[1 + random(nstreets)]
    if (i % 7 == 0)
        return "\"" street "\n" cities[1 + random(ncities)] "\""
    if (i % 3 == 0)
        return "\"" street ", " cities[1 + random(ncities)] "\""
    return street
}

BEGIN {
    if (!rows)
        rows = 300000
    seed = 20260101
    nfirsts = split("Ada Bruno Chiara Deniz Elena Farid Grace Hugo Ines Jonas Kaja Liam Mira Noor Otto Paula Quentin Rosa Søren Tomás", firsts, " ")
    nlasts = split("Almeida Berg Costa Dubois Eriksen Fischer García Haddad Ivanova Jensen Kowalski Lindqvist Moreau Nakamura Okafor Petrov Rossi Schmidt Taylor Weber", lasts, " ")
    nstreets = split("Harbour Road|Mill Lane|Station Street|Orchard Way|Church Hill|Quay 4|Old Market|Park Avenue", streets, "|")
    ncities = split("Lisbon|Bergen|Porto|Lyon|Oslo|Munich|Seville|Gdańsk|Osaka|Milan", cities, "|")
    ntiers = split("bronze silver gold platinum", tiers, " ")
    every = int(rows / 40)
    if (every < 8)
        every = 8

    print "customer_id,email_address,name,balance,ssn,tier,signup_date,last_seen,active,address"
    for (i = 1; i <= rows; i++) {
        id = sprintf("C%07d", i)
        email = (i % 97 == 0) ? "" : "user" i "@example.com"
        who = name(i)
        balance = (random(10) == 0) ? "0.00" : sprintf("%d.%02d", random(20000), random(100))
        if (balance != "0.00" && i % 50 == 0)
            balance = "-" balance
        ssn = sprintf("%03d-%02d-%04d", 100 + random(800), 10 + random(89), random(10000))
        tier = tiers[1 + random(ntiers)]
        signup = date(2015, 10)
        seen = date(2025, 1) sprintf(" %02d:%02d:%02d+00", random(24), random(60), random(60))
        active = random(4) ? "true" : "false"
        where = address(i)
        if (i % every == every - 1) {
            kind = int(i / every) % 9
            if (kind == 0) balance = "twelve"
            else if (kind == 1) signup = "2024-02-31"
            else if (kind == 2) tier = "solid-unobtainium-with-diamonds"
            else if (kind == 3) balance = "12345678901.50"
            else if (kind == 4) seen = "yesterday-ish"
            else if (kind == 5) id = ""
            else if (kind == 6) where = where ",one field too many"
            else active = "perhaps"
            # A bad row has to get past the filter to be seen as bad.
            if (kind != 0 && kind != 3) balance = "250.00"
            if (kind == 7) {
                print id "," email "," who "," balance
                continue
            }
        }
        print id "," email "," who "," balance "," ssn "," tier "," signup "," seen "," active "," where
    }
}
