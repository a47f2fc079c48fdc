// Sends CloudEvents of every type with the SDKs of npm and PyPI, and finds the records in the file sink. What
// the sink wrote is read with the SDK, and sent back with it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { records, run } from './gateway.mjs';
import { npmPackage } from './npm.mjs';

const { CloudEvent, CONSTANTS, HTTP } = npmPackage('cloudevents');
const { IEM_URL, IEM_USER, IEM_PASSWORD, IEM_HOME, IEM_TOOLS } = process.env;
const example = (name) =>
    JSON.parse(readFileSync(join(import.meta.dirname, `../data/examples/${name}.json`), 'utf8'));

const kinds = [
    ['event', 'events'], ['metric', 'metrics'], ['entity', 'entities'], ['service', 'services'],
    ['healthcheck', 'healthchecks'], ['ticket', 'tickets'],
];

/** An event of each type, each marked by its sender. */
function samples(sender) {
    return kinds.map(([kind, topic]) => {
        const data = kind === 'ticket' ? { state: 6, sysid: `${sender} ü` } : { ...example(kind), sender: `${sender} ü` };
        const attributes = {
            specversion: '1.0', id: `${sender}-${kind}`, source: '/clients/sdk', type: `iem.${kind}`,
            time: '2026-04-16T12:01:00.254Z', datacontenttype: 'application/json',
            ...(kind === 'ticket' && { customerid: 'acme', integrationid: 'servicenow' }),
        };
        return { topic, attributes, data };
    });
}

/** Returns the record of a sample, which the sink must have once. */
function delivered({ topic, data }) {
    const found = records(join(IEM_HOME, 'data'), topic)
        .filter((it) => (data.sysid ? it.data.sysid === data.sysid : it.data.sender === data.sender));
    assert.equal(found.length, 1, `${topic} has ${found.length} records`);
    assert.deepEqual(found[0].data, data);
    return found[0];
}

const granted = await fetch(`${IEM_URL}/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: IEM_USER, client_secret: IEM_PASSWORD }),
});
const token = (await granted.json()).access_token;

async function post({ headers, body }) {
    const answer = await fetch(`${IEM_URL}/cloudevents/`, {
        method: 'POST', headers: { ...headers, Authorization: `Bearer ${token}` }, body,
    });
    assert.deepEqual([answer.status, await answer.json()], [200, { message: 'Data published successfully' }]);
}

/** One event a request, as the SDK of npm makes it. */
async function npm(mode) {
    const sent = samples(`npm-${mode}`);
    for (const { attributes, data } of sent) await post(HTTP[mode](new CloudEvent({ ...attributes, data })));
    sent.forEach(delivered);
}

/** One event a request, as the SDK of PyPI makes it. */
function pypi(mode) {
    const sent = samples(`pypi-${mode}`);
    const told = spawnSync(join(IEM_TOOLS, 'python-cloudevents/bin/python'), [join(import.meta.dirname, 'cloudevents_sdk.py')], {
        env: { ...process.env, IEM_TOKEN: token },
        input: sent.map(({ attributes, data }) => JSON.stringify([mode, attributes, data]) + '\n').join(''),
        encoding: 'utf8',
    });
    assert.equal(told.stdout, '200\n'.repeat(sent.length), told.stdout + told.stderr);
    sent.forEach(delivered);
}

const failed = await run('CloudEvents', {
    'npm: every type in binary mode': () => npm('binary'),
    'npm: every type in structured mode': () => npm('structured'),
    async 'npm: every type in a batch'() {
        const sent = samples('npm-batch');
        const events = sent.map(({ attributes, data }) => new CloudEvent({ ...attributes, data }));
        // The SDK reads batches; to send one, its events are put into an array.
        const headers = { 'Content-Type': CONSTANTS.MIME_CE_BATCH };
        await post({ headers, body: JSON.stringify(events) });
        sent.forEach(delivered);
    },
    'PyPI: every type in binary mode': () => pypi('binary'),
    'PyPI: every type in structured mode': () => pypi('structured'),
    async 'npm: what the sink wrote is read, and sent back with the same id'() {
        const sent = samples('npm-back');
        for (const { attributes, data } of sent) await post(HTTP.binary(new CloudEvent({ ...attributes, data })));
        for (const sample of sent) {
            const line = delivered(sample);
            const headers = { 'content-type': 'application/cloudevents+json' };
            const event = HTTP.toEvent({ headers, body: JSON.stringify(line) });
            assert.equal(event.type, sample.attributes.type);
            assert.deepEqual(event.data, sample.data);
            await post(HTTP.structured(event));
            const same = records(join(IEM_HOME, 'data'), sample.topic).filter((it) => it.id === line.id);
            assert.equal(same.length, 2);
        }
    },
});
process.exitCode = failed ? 1 : 0;
