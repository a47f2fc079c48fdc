// A real gateway for the console: its sink writes files on a small disk of its own, which can be filled up.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

const { IEM_BINARY, IEM_HOME } = process.env;

export const USER = 'kit@example.com';
export const PASSWORD = 'kit-password';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until a condition holds. The minutes are a bound for what never comes, not for what is slow. */
export async function until(holds, what) {
    const end = Date.now() + 120_000;
    while (!await holds()) {
        if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
        await sleep(50);
    }
}

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

export class Gateway {
    constructor() {
        this.file = join(IEM_HOME, 'gateway.toml');
        this.data = join(IEM_HOME, 'data');
    }

    async start() {
        const [port, admin] = [await freePort(), await freePort()];
        this.url = `http://127.0.0.1:${port}`;
        this.admin = `http://127.0.0.1:${admin}`;
        writeFileSync(this.file, `
[server]
listen = "127.0.0.1:${port}"
name = "gateway-of-the-console"
[admin]
listen = "127.0.0.1:${admin}"
[directory]
path = "directory.toml"
[tokens]
key_file = "token.key"
[sink.file]
path = "data"
[journal]
path = "journal"
[topics.events]
dead_letter = true
deadline = "1s"
[topics.metrics]
durability = "journaled"
`);
        this.manage(['customer', 'add', 'acme', '--name', 'Acme']);
        this.manage(['customer', 'add', 'globex', '--name', 'Globex']);
        this.manage(['customer', 'quota', 'globex', '--records', '50']);
        this.manage(['user', 'add', USER, '--name', 'Kit', '--superadmin', '--password-stdin'], PASSWORD);
        mkdirSync(this.data);
        const log = openSync(join(IEM_HOME, 'log'), 'a');
        const isRoot = process.getuid() === 0;
        // The disk is there for as long as a process is in its namespace.
        this.disk = spawn('unshare', ['--mount', ...(isRoot ? [] : ['--map-root-user']), 'sh', '-c',
            `mount -t tmpfs -o size=8m tmpfs ${this.data} && exec sleep 1d`], { stdio: ['ignore', log, log] });
        await until(() => {
            try {
                return readFileSync(`/proc/${this.disk.pid}/mounts`, 'utf8').includes(this.data);
            } catch {
                return false;
            }
        }, 'there is a small disk');
        this.inside = join(`/proc/${this.disk.pid}/root`, this.data);
        this.child = spawn('nsenter', ['--mount', `--target=${this.disk.pid}`,
            ...(isRoot ? [] : ['--user', '--preserve-credentials']), `--wd=${IEM_HOME}`,
            IEM_BINARY, '--config', this.file], { stdio: ['ignore', log, log] });
        await until(async () => {
            if (this.child.exitCode !== null) throw new Error(this.log());
            return fetch(`${this.admin}/livez`).then((answer) => answer.ok, () => false);
        }, 'the gateway answers');
        const basic = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
        const answer = await fetch(`${this.url}/api/v1/user/token`, {
            method: 'POST', headers: { authorization: `Basic ${basic}` },
        });
        this.token = (await answer.json()).data.access_token;
    }

    manage(command, input = '') {
        execFileSync(IEM_BINARY, ['--config', this.file, ...command], { input: `${input}\n`, stdio: ['pipe', 'ignore', 2] });
    }

    log() { return readFileSync(join(IEM_HOME, 'log'), 'utf8'); }

    /** Publishes a record. Returns the status. */
    async publish(path, record, headers = { cookie: `access_token=${this.token}` }) {
        const answer = await fetch(`${this.url}/publish/${path}/`, { method: 'POST', headers, body: JSON.stringify(record) });
        await answer.arrayBuffer();
        return answer.status;
    }

    /** Publishes again and again until `stop` is called, which waits for the last answers. */
    load() {
        let isStopped = false;
        const padding = 'x'.repeat(600);
        const send = async (path, envcustomerid, pause) => {
            for (let number = 0; !isStopped; number += 1) {
                await this.publish(path, { envcustomerid, entityid: `e-${number % 8}`, number, padding }).catch(() => 0);
                await sleep(pause);
            }
        };
        const senders = [send('allevents', 'acme', 5), send('metrics', 'acme', 3), send('allevents', 'globex', 10),
            send('allentities', 'globex', 200)];
        return async () => {
            isStopped = true;
            await Promise.all(senders);
        };
    }

    /** Fills the disk up, so that the sink fails; `mend` makes room again. */
    breakSink() {
        try {
            for (let bytes = 1 << 20; bytes >= 512; bytes /= 2) {
                for (;;) writeFileSync(join(this.inside, 'filler'), Buffer.alloc(bytes), { flag: 'a' });
            }
        } catch { /* It is full, down to a page. */ }
    }

    mendSink() { rmSync(join(this.inside, 'filler')); }

    /** The lines that the sink has of a topic. */
    lines(topic) {
        const folder = join(this.inside, topic);
        const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ndjson')).sort() : [];
        return names.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean));
    }

    /** Puts records that the sink has among the dead letters of events, as if it had refused them. */
    addDeadLetters(number) {
        const letters = this.lines('events').slice(0, number).map((line) => ({
            ...JSON.parse(line), rejectionreason: 'the record does not fit the topic\'s schema',
        }));
        const folder = join(IEM_HOME, 'journal/dead-letters/events');
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, '0-by-hand.ndjson'), letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''));
        return letters.map(({ id }) => id);
    }

    stop() {
        this.child?.kill('SIGKILL');
        this.disk?.kill('SIGKILL');
    }
}
