// Sends requests whose trace is sampled to a gateway that tells its spans to a real OpenTelemetry Collector, over TLS,
// and reads what the Collector took.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Gateway, freePort, run, until } from './gateway.mjs';

const { IEM_BINARY, IEM_HOME, IEM_TOOLS, IEM_USER, IEM_PASSWORD } = process.env;
const home = (name) => join(IEM_HOME, name);
const log = () => readFileSync(home('gateways.log'), 'utf8');
const port = await freePort();

/** The Collector, with a certificate of its own. */
class Collector {
    constructor() {
        const made = spawnSync(IEM_BINARY, ['dev-certificate', '--out', home('collector-tls')], { encoding: 'utf8' });
        assert.equal(made.status, 0, made.stderr);
        writeFileSync(home('collector.yaml'), `
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:${port}
        tls:
          cert_file: ${home('collector-tls/certificate.pem')}
          key_file: ${home('collector-tls/key.pem')}
exporters:
  debug:
    verbosity: detailed
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
`);
        this.log = home('collector.log');
    }

    async start() {
        const log = openSync(this.log, 'a');
        const before = this.text().length;
        this.child = spawn(join(IEM_TOOLS, 'collector'), ['--config', home('collector.yaml')], { stdio: ['ignore', log, log] });
        await until(() => {
            assert.equal(this.child.exitCode, null, `the Collector has ended:\n${this.text()}`);
            return this.text().slice(before).includes('Everything is ready');
        }, 'the Collector is ready');
    }

    async stop() {
        const ended = new Promise((done) => this.child.once('exit', done));
        this.child.kill();
        await ended;
    }

    text() {
        try {
            return readFileSync(this.log, 'utf8');
        } catch {
            return '';
        }
    }

    /** Returns the spans of a trace, each with its fields, as the Collector printed them. */
    spans(trace) {
        const blocks = this.text().split(/^Span #\d+$/m).slice(1);
        const spans = blocks.map((block) => {
            const of = (name) => block.match(new RegExp(`^ +${name} +: (.*)$`, 'm'))?.[1];
            const attributes = [...block.matchAll(/^ +-> ([\w.]+): \w+\((.*)\)$/gm)].map(([, name, value]) => [name, value]);
            return {
                trace: of('Trace ID'), parent: of('Parent ID'), id: of('ID'), name: of('Name'), kind: of('Kind'),
                status: of('Status code'), fields: Object.fromEntries(attributes),
                began: of('Start time'), ended: of('End time'),
            };
        });
        return spans.filter((span) => span.trace === trace);
    }
}

const collector = new Collector();
const gateway = new Gateway(await freePort(), 'traced-data');
Object.assign(process.env, {
    IEM_GATEWAY__TRACES__ENDPOINT: `https://127.0.0.1:${port}`,
    IEM_GATEWAY__TRACES__CA_FILE: home('collector-tls/certificate.pem'),
    IEM_GATEWAY__TOPICS__SERVICES__DURABILITY: 'journaled',
    IEM_GATEWAY__JOURNAL__PATH: home('traced-journal'),
});
await gateway.start();
const granted = await fetch(`${gateway.url}/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: IEM_USER, client_secret: IEM_PASSWORD }),
});
const token = (await granted.json()).access_token;
const client = 'b7ad6b7169203331';

/** Publishes a record in a trace of its own, and returns the trace's id. */
async function publish(path, flags = '01') {
    const trace = randomBytes(16).toString('hex');
    const answer = await fetch(`${gateway.url}${path}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}`, traceparent: `00-${trace}-${client}-${flags}` },
        body: JSON.stringify({ envcustomerid: 'acme', entityid: 'web-01' }),
    });
    assert.equal(answer.status, 200, await answer.text());
    return trace;
}

/** Waits for spans of a trace, and checks how they hang together. */
async function tree(trace, names) {
    await until(() => collector.spans(trace).length >= names.length, `spans of ${trace}`);
    const spans = collector.spans(trace);
    assert.deepEqual(spans.map((span) => span.name).sort(), [...names].sort());
    const by = Object.fromEntries(spans.map((span) => [span.name, span]));
    for (const span of spans) {
        assert.ok(span.began <= span.ended, `${span.name}: ${span.began} to ${span.ended}`);
        assert.ok(span.parent === client || spans.some((other) => other.id === span.parent), span.name);
    }
    return by;
}

const stages = ['authenticate', 'read body', 'parse', 'deliver'];

const failed = await run('traces', {
    'a Collector that is away costs no request, and is told when it comes': async () => {
        const lost = await publish('/publish/allevents/');
        await until(() => log().includes('the collector does not take spans'), 'the fault is logged');
        await collector.start();
        await until(async () => {
            await publish('/publish/allevents/');
            return log().includes('the collector takes spans again');
        }, 'the end of the fault is logged');
        assert.deepEqual(collector.spans(lost), []);
    },
    'a request has a span for each stage, and its sink': async () => {
        const by = await tree(await publish('/publish/allevents/'), [
            'POST /publish/allevents', ...stages, 'queue', 'batch', 'send',
        ]);
        const server = by['POST /publish/allevents'];
        assert.deepEqual([server.parent, server.kind], [client, 'Server']);
        assert.equal(server.fields['http.response.status_code'], '200');
        for (const stage of stages) assert.equal(by[stage].parent, server.id, stage);
        for (const part of ['queue', 'batch', 'send']) assert.equal(by[part].parent, by.deliver.id, part);
        assert.deepEqual(
            [by.send.kind, by.send.fields['peer.service'], by.send.fields['iem.topic'], by.send.fields['iem.records']],
            ['Client', 'file', 'events', '1'],
        );
    },
    'a record of a journal has its way to the sink below the client': async () => {
        const trace = await publish('/publish/service/');
        await until(() => collector.spans(trace).some((span) => span.name === 'forward'), 'forwarded');
        const spans = collector.spans(trace);
        const forward = spans.find((span) => span.name === 'forward');
        assert.equal(forward.parent, client);
        const below = spans.filter((span) => span.parent === forward.id).map((span) => span.name).sort();
        assert.deepEqual(below, ['batch', 'queue', 'send']);
        const deliver = spans.find((span) => span.name === 'deliver');
        const journal = spans.find((span) => span.name === 'journal');
        assert.equal(journal.parent, deliver.id);
    },
    'a trace that is not sampled has none': async () => {
        const silent = await publish('/publish/allevents/', '00');
        const told = await publish('/publish/allevents/');
        await until(() => collector.spans(told).length >= 8, 'the later one');
        assert.deepEqual(collector.spans(silent), []);
    },
    'what waits is told at the end': async () => {
        const last = await publish('/publish/allevents/');
        await gateway.stop();
        await until(() => collector.spans(last).length === 8, 'the last spans');
        await collector.stop();
    },
});
process.exit(failed);
