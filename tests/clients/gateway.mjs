// Starts and stops real gateways for the checks of the kits. `scripts/clients` names the program and a
// folder with a directory of users in the environment.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { openSync, readFileSync, readdirSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';

const { IEM_BINARY, IEM_HOME } = process.env;

export async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until a condition holds. The minutes are a bound for what never comes, not for what is slow. */
export async function until(holds, what = holds) {
    const end = Date.now() + 180_000;
    while (!await holds()) {
        if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
        await sleep(100);
    }
}

/** Asks on a connection of its own, so that a gateway that stops waits for none. */
const answers = (url) => new Promise((done) => {
    get(url, { agent: false }, (answer) => done(answer.resume().statusCode === 200)).on('error', () => done(false));
});

/**
 * A gateway on a port. `away` gives it a sink that is away, so that it answers every record with 503;
 * otherwise it writes files below the folder `data`.
 */
export class Gateway {
    constructor(port, data) {
        this.port = port;
        this.data = join(IEM_HOME, data);
        this.url = `http://127.0.0.1:${port}`;
    }

    async start({ away = false } = {}) {
        this.isAway = away;
        const env = {
            ...process.env,
            IEM_GATEWAY__SERVER__LISTEN: `127.0.0.1:${this.port}`,
            IEM_GATEWAY__ADMIN__LISTEN: '127.0.0.1:0',
            IEM_GATEWAY__SINK__FILE__PATH: this.data,
            ...(away && {
                IEM_GATEWAY__SINK__TYPE: 'kafka',
                IEM_GATEWAY__SINK__KAFKA__BOOTSTRAP_SERVERS: '127.0.0.1:1',
                IEM_GATEWAY__TOPICS__EVENTS__DEADLINE: '500ms',
                IEM_GATEWAY__TOPICS__TICKETS__DEADLINE: '500ms',
            }),
        };
        const log = openSync(join(IEM_HOME, 'gateways.log'), 'a');
        this.child = spawn(IEM_BINARY, ['--config', join(IEM_HOME, 'gateway.toml')], {
            env,
            stdio: ['ignore', log, log],
        });
        await until(() => {
            assert.equal(this.child.exitCode, null, 'the gateway has ended: see its log');
            return answers(`${this.url}/publish/healthcheck/`);
        }, 'the gateway answers');
    }

    async stop() {
        const ended = new Promise((done) => this.child.once('exit', done));
        // One whose sink is away would wait for it.
        this.child.kill(this.isAway ? 'SIGKILL' : 'SIGTERM');
        await ended;
    }

    /** Stands still, as a gateway whose machine hangs, and goes on. */
    pause() { this.child.kill('SIGSTOP'); }
    resume() { this.child.kill('SIGCONT'); }

    /** The records that the sink has of a topic. */
    records(topic) { return records(this.data, topic); }
}

export function records(data, topic) {
    const folder = join(data, topic);
    let files = [];
    try {
        files = readdirSync(folder).filter((name) => name.includes('ndjson')).sort();
    } catch { /* Nothing was written yet. */ }
    const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
    return lines.filter(Boolean).map((line) => JSON.parse(line));
}

/** Runs each check and prints a line for it, as `scripts/clients` counts them. */
export async function run(kit, checks) {
    let failed = 0;
    for (const [name, check] of Object.entries(checks)) {
        const began = Date.now();
        try {
            await check();
            const seconds = ((Date.now() - began) / 1000).toFixed(1);
            console.log(`ok      ${kit}: ${name} (${seconds} s)`);
        } catch (error) {
            failed += 1;
            console.log(`FAILED  ${kit}: ${name}`);
            console.log(String(error.stack ?? error).replace(/^/gm, '        '));
        }
    }
    return failed;
}
