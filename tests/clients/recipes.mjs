// Runs the recipes of `deploy/recipes` against a real gateway: programs as they are, bodies of tools with
// samples in place of the tool's variables. With `go` as argument only those that need Go.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';

import { Gateway, freePort, records, run, until } from './gateway.mjs';
import { Relay } from './relay.mjs';

const { IEM_URL, IEM_USER, IEM_PASSWORD, IEM_HOME, IEM_TOOLS } = process.env;
const kit = join(import.meta.dirname, '../../deploy/recipes');
const read = (name) => readFileSync(join(kit, name), 'utf8');
const sample = JSON.parse(readFileSync(join(import.meta.dirname, '../data/examples/event.json'), 'utf8'));
const netrc = join(IEM_HOME, 'netrc');
writeFileSync(netrc, `machine 127.0.0.1 login ${IEM_USER} password ${IEM_PASSWORD}\n`, { mode: 0o600 });

/** Events that the gateway's sink has, with this text in a field. */
const events = (field, text, data = join(IEM_HOME, 'data')) =>
    records(data, 'events').map((it) => it.data).filter((it) => it[field] === text);

async function token(user = IEM_USER, password = IEM_PASSWORD) {
    const answer = await fetch(`${IEM_URL}/oauth2/token`, {
        method: 'POST',
        headers: { Authorization: 'Basic ' + Buffer.from(`${user}:${password}`).toString('base64') },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    assert.equal(answer.status, 200);
    return (await answer.json()).access_token;
}

async function post(body, type = 'application/json') {
    const headers = { 'Content-Type': type, Authorization: `Bearer ${await token()}` };
    const answer = await fetch(`${IEM_URL}/publish/allevents/`, { method: 'POST', headers, body });
    assert.deepEqual([answer.status, await answer.json()], [200, { message: 'Data published successfully' }]);
}

/** A template with samples for its variables. Each is put in as JSON needs it, as the tools do. */
function filled(template, samples) {
    const text = Object.entries(samples)
        .sort(([one], [other]) => other.length - one.length)
        .reduce((all, [name, value]) => all.replaceAll(name, JSON.stringify(value).slice(1, -1)), template);
    assert.doesNotMatch(text, /\$[A-Z]{2}|\{[A-Z]/, 'every variable has a sample');
    return text;
}

/** Runs a program with lines on its standard input. */
function program(command, lines, url = IEM_URL, other = {}) {
    const env = { ...process.env, IEM_URL: url, IEM_NETRC: netrc, ...other };
    const [name, ...given] = command;
    return new Promise((done) => {
        const child = execFile(name, given, { env }, (error, stdout, stderr) =>
            done({ code: error?.code ?? 0, told: stdout + stderr }));
        child.stdin.on('error', () => { });
        child.stdin.end(lines);
    });
}

const line = (id) => JSON.stringify({ ...sample, ieventid: id }) + '\n';

/** What every program of the recipes has to hold. */
const programChecks = (name, command) => ({
    async [`${name} publishes what stands on its standard input`]() {
        const { code, told } = await program(command, line(`${name}-1`) + line(`${name}-2`));
        assert.equal(code, 0, told);
        assert.equal(events('ieventid', `${name}-1`).length, 1);
        assert.equal(events('ieventid', `${name}-2`).length, 1);
    },
    async [`${name} sends again after 503 until it is answered 200`]() {
        const away = new Gateway(await freePort(), `outage-${name}`);
        await away.start({ away: true });
        const relay = new Relay(away.url);
        await relay.start();
        const running = program(command, line(`${name}-late`), relay.url);
        await until(() => relay.seen.some(({ status }) => status === 503));
        relay.gateway = IEM_URL;
        const { code, told } = await running;
        relay.stop();
        await away.stop();
        assert.equal(code, 0, told);
        assert.equal(events('ieventid', `${name}-late`).length, 1);
        const published = relay.seen.filter(({ path }) => path.startsWith('/publish/'));
        assert.equal(published.at(-1).status, 200);
        assert.equal(new Set(published.map(({ key }) => key)).size, 1, 'one key for all attempts');
    },
    async [`${name} fails at once where the gateway refuses the record or the password`]() {
        const relay = new Relay(IEM_URL);
        await relay.start();
        const foreign = line(`${name}-foreign`).replace('"envcustomerid":"acme"', '"envcustomerid":"globex"');
        const refused = await program(command, foreign, relay.url);
        assert.notEqual(refused.code, 0);
        assert.match(refused.told, /User is not associated with the customer/);
        const other = join(IEM_HOME, 'netrc-wrong');
        writeFileSync(other, `machine 127.0.0.1 login ${IEM_USER} password wrong\n`, { mode: 0o600 });
        const wrong = await program(command, line('x'), relay.url, { IEM_NETRC: other, IEM_PASSWORD: 'wrong' });
        relay.stop();
        assert.notEqual(wrong.code, 0);
        assert.match(wrong.told, /invalid_client/);
        assert.deepEqual(relay.seen.map(({ path, status }) => `${path} ${status}`), [
            '/oauth2/token 200', '/publish/allevents/ 401', '/oauth2/token 401',
        ], 'neither is tried again');
    },
});

const quick = {
    ...programChecks('curl', [join(kit, 'publish.sh')]),
    ...programChecks('Python', ['python3', join(kit, 'publish.py')]),
    async 'Datadog: the payload is answered 200'() {
        await post(filled(read('datadog.json'), {
            $ALERT_PRIORITY: 'P2', $ALERT_TRANSITION: 'Triggered', $EVENT_TITLE: '[Triggered] CPU is "high"',
            $TEXT_ONLY_MSG: 'CPU above 95 %\non web-01', $HOSTNAME: 'web-01', $ALERT_METRIC: 'system.cpu.user',
            $DATE: '1775995320000', $ORG_NAME: 'Acme', $ID: '7123456789', $ALERT_CYCLE_KEY: 'datadog-cycle',
            $LINK: 'https://app.datadoghq.com/event/event?id=7123456789',
        }));
        assert.equal(events('splitby', 'datadog-cycle')[0].messages, 'CPU above 95 %\non web-01');
    },
    async 'Dynatrace: the payload is answered 200'() {
        await post(filled(read('dynatrace.json'), {
            '{ProblemSeverity}': 'RESOURCE_CONTENTION', '{State}': 'OPEN', '{ProblemTitle}': 'CPU saturation',
            '{ProblemDetailsText}': 'OPEN Problem P-1\n"web-01" is slow', '{ImpactedEntity}': 'Host web-01',
            '{ProblemImpact}': 'INFRASTRUCTURE', '{ProblemID}': 'P-1', '{PID}': 'dynatrace-1_2V2',
            '{ProblemURL}': 'https://acme.live.dynatrace.com/#problems/problemdetails;pid=1_2V2',
        }));
        assert.equal(events('splitby', 'dynatrace-1_2V2').length, 1);
    },
    async 'Zabbix: the script publishes, and throws what the gateway refuses'() {
        const parameters = {
            url: IEM_URL, user: IEM_USER, password: IEM_PASSWORD, customer: 'acme', severity: '4', status: 'PROBLEM',
            subject: 'CPU is "high"', message: 'CPU above 95 %', host: 'web-01', date: '2026.04.16',
            time: '12:01:00', event_id: '4711', trigger_id: '13',
        };
        assert.equal(zabbix(parameters), 'OK');
        const [event] = events('splitby', 'web-01_13');
        assert.deepEqual([event.description, event.createdon], ['CPU is "high"', '2026-04-16T12:01:00']);
        assert.throws(() => zabbix({ ...parameters, password: 'wrong' }), /IEM refused the log-in: 401/);
        assert.throws(() => zabbix({ ...parameters, customer: 'globex' }), /IEM answered 401 .*not associated/);
    },
    async 'Nagios: both commands publish'() {
        const macros = {
            $HOSTNAME$: 'web-01', $SERVICEDESC$: 'CPU load', $SERVICESTATE$: 'CRITICAL', $NOTIFICATIONTYPE$: 'PROBLEM',
            $LONGDATETIME$: 'Thu Apr 16 12:01:00 UTC 2026', $SERVICEOUTPUT$: 'CPU "above" 95 % \\ for 10 minutes',
            $HOSTSTATE$: 'DOWN', $HOSTOUTPUT$: 'no answer to ping',
        };
        const commands = [...read('nagios.cfg').matchAll(/command_line +(.*)/g)].map((match) => match[1]);
        assert.equal(commands.length, 2);
        for (const command of commands) {
            const text = Object.entries(macros).reduce((all, [name, value]) => all.replaceAll(name, value), command)
                .replace('https://iem.example.com', IEM_URL)
                .replace('/etc/nagios4/iem.netrc', netrc)
                .replace('/usr/local/lib/iem', kit);
            const told = spawnSync('sh', ['-c', text], { encoding: 'utf8' });
            assert.equal(told.status, 0, told.stdout + told.stderr);
        }
        assert.equal(events('splitby', 'web-01_CPU load')[0].messages, macros.$SERVICEOUTPUT$);
        assert.equal(events('splitby', 'web-01_host')[0].severity, 'DOWN');
    },
    async 'many events in one request are one 200: an array, and one a line'() {
        await post(JSON.stringify([{ ...sample, ieventid: 'many-1' }, { ...sample, ieventid: 'many-2' }]));
        await post(line('many-3') + line('many-4'), 'application/x-ndjson');
        for (const id of ['many-1', 'many-2', 'many-3', 'many-4']) assert.equal(events('ieventid', id).length, 1);
    },
};

/** Zabbix's engine: the script is the body of a function of `value`, and `HttpRequest` is there. */
function zabbix(parameters) {
    class HttpRequest {
        headers = [];
        addHeader(header) { this.headers.push('-H', header); }
        getStatus() { return this.status; }
        post(url, data) {
            const told = spawnSync('curl', ['-sS', '-i', ...this.headers, '--data-binary', data, url], { encoding: 'utf8' });
            if (told.status !== 0) throw new Error(told.stderr);
            const [head, body] = told.stdout.split('\r\n\r\n');
            this.status = Number(head.split(' ')[1]);
            return body;
        }
    }
    const script = `(function (value) {${read('zabbix.js')}\n})(value)`;
    return vm.runInNewContext(script, { HttpRequest, value: JSON.stringify(parameters) });
}

const go = {
    ...programChecks('Go', [join(IEM_TOOLS, 'iem-publish')]),
    async 'Grafana: the template makes events that are answered 200'() {
        const { code, told } = await program([join(IEM_TOOLS, 'grafana'), join(kit, 'grafana.tmpl')], '');
        assert.equal(code, 0, told);
        await post(told);
        const [event] = events('splitby', 'c6eadffa33fcdf37');
        assert.deepEqual([event.severity, event.status, event.description], ['4', 'firing', 'CPU is "high" on web-01']);
        assert.equal(events('splitby', '5a3ed2d8e2b1f0c4')[0].status, 'resolved');
    },
};

process.exitCode = await run('recipes', process.argv[2] === 'go' ? go : quick) ? 1 : 0;
