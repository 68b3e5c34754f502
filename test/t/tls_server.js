// tls_server.js: a web server behind TLS, with HTTP/2 for who wants it (tls.t).
//
// usage: node tls_server.js FILES LOG NAME...
//
// For each NAME a server on a free port of 127.0.0.1, with the key NAME.key and
// the certificate NAME.crt of the working directory; a name that ends in ".old"
// speaks TLS 1.1 at most, one in ".plain" HTTP/1.1 only, one in ".open" is
// without TLS.  It prints NAME PORT, a line each.  It gives the files of the
// folder FILES, whole or a range of them; LOG has a line for each request.
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const [files, log, ...names] = process.argv.slice(2);

function answer(request, response)
{
    const path = files + '/' + request.url.split('/').pop();

    fs.appendFileSync(log, [request.httpVersion, request.method, request.url, request.headers.range || '-'].join(' ') + '\n');
    if (!fs.existsSync(path))
    {
        response.writeHead(404);
        response.end();
        return;
    }
    let body = fs.readFileSync(path);
    const all = body.length, headers = { etag: '"v1"', 'accept-ranges': 'bytes' };
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range || '');
    if (range)
    {
        body = body.subarray(+range[1], +range[2] + 1);
        headers['content-range'] = `bytes ${range[1]}-${+range[1] + body.length - 1}/${all}`;
    }
    headers['content-length'] = body.length;
    response.writeHead(range ? 206 : 200, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
}

for (const name of names)
{
    const file = name.split('.')[0];
    const options = { key: fs.readFileSync(file + '.key'), cert: fs.readFileSync(file + '.crt'), allowHTTP1: true };
    if (name.endsWith('.old'))
        Object.assign(options, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' });
    const server = name.endsWith('.open') ? http.createServer(answer) :
        name.endsWith('.plain') ? https.createServer(options, answer) : http2.createSecureServer(options, answer);
    server.on('sessionError', () => {});
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1', () => console.log(`${name} ${server.address().port}`));
}
