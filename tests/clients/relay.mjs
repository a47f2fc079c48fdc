// Relays HTTP requests to a gateway. As a program, `node relay.mjs GATEWAY LOG`, it prints its URL, spoils
// requests in turn, and appends a line to the file LOG for each: what it did to it, its path and its status.
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { buffer } from 'node:stream/consumers';

import { sleep } from './gateway.mjs';

/** A relay that passes requests and answers on unchanged. Its `gateway` may be changed at any time. */
export class Relay {
    /** The requests that have been answered. */
    seen = [];

    constructor(gateway) {
        this.gateway = gateway;
        this.server = createServer((asked, answer) => {
            this.relay(asked, answer).catch(() => asked.socket.destroy());
        });
    }

    async start() {
        this.server.listen(0, '127.0.0.1');
        await once(this.server, 'listening');
        this.url = `http://127.0.0.1:${this.server.address().port}`;
    }

    stop() {
        this.server.close();
        this.server.closeAllConnections();
    }

    async relay(asked, answer) {
        const told = await this.forward(asked);
        this.seen.push({ path: asked.url, status: told.status, key: asked.headers['idempotency-key'] });
        pass(answer, told);
    }

    /** Returns the gateway's answer to a request, once it is there as a whole. */
    async forward(asked) {
        const headers = { ...asked.headers, connection: 'close' };
        const body = await buffer(asked);
        const sent = request(this.gateway + asked.url, { method: asked.method, headers, agent: false }).end(body);
        const [told] = await once(sent, 'response');
        return { status: told.statusCode, headers: told.rawHeaders, body: await buffer(told) };
    }
}

function pass(answer, { status, headers, body }) {
    // The connection to the client is another one.
    const isPassed = (_, index) => headers[index - (index % 2)].toLowerCase() !== 'connection';
    answer.writeHead(status, headers.filter(isPassed)).end(body);
}

/** Waits until the access token of a request has expired. */
async function expiry({ headers }) {
    const claims = JSON.parse(Buffer.from(headers.authorization.split('.')[1], 'base64url'));
    while (Date.now() < (claims.exp + 1) * 1000) await sleep(100);
}

/** A relay that spoils publish calls and requests for tokens in turn. */
class Weather extends Relay {
    constructor(gateway, log) {
        super(gateway);
        this.log = log;
        this.faults = {
            '/oauth2/token': ['none', 'none', 'before'],
            '/publish/allevents/': ['expire', 'before', 'within', 'none', 'before', 'none', 'within', 'none'],
        };
    }

    async relay(asked, answer) {
        const faults = this.faults[asked.url];
        const fault = faults[0];
        faults.push(faults.shift());
        if (fault === 'expire') await expiry(asked);
        const told = await this.forward(asked);
        appendFileSync(this.log, `${fault} ${asked.url} ${told.status}\n`);
        if (fault === 'before') {
            asked.socket.destroy();
        } else if (fault === 'within') {
            const head = `HTTP/1.1 ${told.status} OK\r\nContent-Length: ${told.body.length}\r\n\r\n`;
            asked.socket.end(head + told.body.subarray(0, told.body.length / 2));
        } else {
            pass(answer, told);
        }
    }
}

if (process.argv[1] === import.meta.filename) {
    const weather = new Weather(process.argv[2], process.argv[3]);
    await weather.start();
    console.log(weather.url);
}
