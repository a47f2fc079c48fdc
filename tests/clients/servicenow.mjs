// Runs the scripts of `deploy/servicenow` against a real gateway. Stand-ins take the place of what only
// ServiceNow has (its tables, its clock, its outbound HTTP); the requests are real.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';

import { Gateway, freePort, run, sleep, until } from './gateway.mjs';

const kit = join(import.meta.dirname, '../../deploy/servicenow/src');
const script = (name) => readFileSync(join(kit, 'scripts', name), 'utf8');
const message = readFileSync(join(kit, 'fluent/rest-message.now.ts'), 'utf8');

/** An instance of ServiceNow, as far as the scripts see one. */
class Instance {
    constructor(properties, [user, password]) {
        this.properties = properties;
        this.authentication = ['-u', `${user}:${password}`];
        this.now = Date.now();
        this.tables = {};
        this.log = [];
        this.requests = [];
        this.timeoutMs = Infinity;
        this.globals = vm.createContext({
            Class: { create: () => function (...given) { this.initialize?.(...given); } },
            gs: {
                getCurrentScopeName: () => 'x_example_iem',
                getProperty: (name, other) => String(this.properties[name] ?? other),
                error: (text) => this.log.push(`error ${text}`),
                warn: (text) => this.log.push(`warn ${text}`),
            },
            GlideDateTime: dateTime(this),
            GlideRecord: record(this),
            sn_ws: { RESTMessageV2: restMessage(this) },
        });
        vm.runInContext(script('IemTickets.js'), this.globals);
        vm.runInContext('var x_example_iem = { IemTickets: IemTickets };', this.globals);
    }

    /** A ticket changes: the rule "after" runs in its transaction, the rule "async" later. */
    change(ticket, state, { isAsyncLate = false } = {}) {
        ticket.fields.sys_mod_count = String(Number(ticket.fields.sys_mod_count ?? 0) + 1);
        ticket.fields.state = String(state);
        this.globals.current = ticket;
        vm.runInContext(script('store.js'), this.globals);
        if (!isAsyncLate) vm.runInContext(script('send.js'), this.globals);
    }

    /** The scheduled job, after some seconds. */
    job(seconds) {
        this.now += seconds * 1000;
        vm.runInContext(script('send-again.js'), this.globals);
    }

    changes() { return this.tables.x_example_iem_change ?? []; }
}

function ticket() {
    const fields = { sys_id: randomBytes(16).toString('hex') };
    return { fields, getUniqueValue: () => fields.sys_id, getValue: (name) => fields[name] };
}

const dateTime = (instance) => class {
    constructor(value) {
        this.ms = value === undefined ? instance.now : Date.parse(value.replace(' ', 'T') + 'Z');
    }
    addSeconds(seconds) { this.ms += seconds * 1000; }
    getNumericValue() { return this.ms; }
    getValue() { return new Date(this.ms).toISOString().slice(0, 19).replace('T', ' '); }
    toString() { return this.getValue(); }
};

const record = (instance) => class {
    constructor(table) {
        this.rows = instance.tables[table] ??= [];
        this.filters = [];
    }
    initialize() { this.row = {}; }
    setValue(name, value) { this.row[name] = String(value); }
    getValue(name) { return this.row[name] ?? null; }
    insert() { this.rows.push(this.row); }
    update() { }
    addQuery(name, operator, value) {
        const [compare, wanted] = value === undefined ? ['=', operator] : [operator, value];
        assert.ok(['=', '<='].includes(compare));
        this.filters.push((row) => compare === '=' ? row[name] === String(wanted) : row[name] <= String(wanted));
    }
    orderBy(name) { this.order = name; }
    setLimit(limit) { this.limit = limit; }
    query() {
        const found = this.rows.filter((row) => this.filters.every((filter) => filter(row)));
        const order = this.order;
        if (order) found.sort((one, other) => one[order] < other[order] ? -1 : Number(one[order] > other[order]));
        this.found = found.slice(0, this.limit);
    }
    next() { return Boolean(this.row = this.found.shift()); }
    get(name, value) {
        this.row = this.rows.find((row) => row[name] === value);
        return Boolean(this.row);
    }
};

const restMessage = (instance) => class {
    constructor(name, method) {
        assert.ok(message.includes(`name: '${name}'`) && message.includes(`name: '${method}'`));
        this.url = message.match(/endpoint: '(.*)'/)[1];
        this.headers = { 'Content-Type': message.match(/'Content-Type', value: '(.*?)'/)[1] };
    }
    setStringParameterNoEscape(name, value) {
        assert.ok(message.includes(`name: '${name}' }`), `${name} is declared`);
        this.url = this.url.replaceAll('${' + name + '}', value);
    }
    setRequestHeader(name, value) { this.headers[name] = value; }
    setHttpTimeout(ms) { this.timeoutMs = ms; }
    setRequestBody(body) { this.body = body; }
    execute() {
        instance.requests.push(this);
        const seconds = String(Math.min(this.timeoutMs, instance.timeoutMs) / 1000);
        const headers = Object.entries(this.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
        const told = spawnSync('curl', ['-sS', '-i', '--max-time', seconds, ...instance.authentication, ...headers,
            '--data-binary', this.body, this.url], { encoding: 'utf8' });
        if (told.status !== 0) throw new Error(told.stderr);
        const [head, body] = told.stdout.split('\r\n\r\n');
        return {
            getStatusCode: () => Number(head.split(' ')[1]),
            getBody: () => body,
            getErrorMessage: () => '',
            getHeader: (name) => head.match(new RegExp(`^${name}: (.*)$`, 'im'))?.[1].trim() ?? null,
        };
    }
};

const gateway = new Gateway(await freePort(), 'servicenow');
const properties = (other) => ({
    'x_example_iem.url': gateway.url,
    'x_example_iem.customer': 'acme',
    'x_example_iem.integration': 'servicenow',
    'x_example_iem.max_attempts': 4,
    ...other,
});
const right = ['kit@example.com', 'kit-password'];
const make = (other, credentials = right) => new Instance(properties(other), credentials);
const states = (id) => gateway.records('tickets').filter((it) => it.data.sysid === id).map((it) => it.data.state);

const failed = await run('servicenow', {
    async 'a resolved incident is posted once, and answered 200'() {
        await gateway.start();
        const [instance, incident] = [make(), ticket()];
        instance.change(incident, 6);
        assert.deepEqual(instance.changes().map((it) => [it.outcome, it.attempts]), [['sent', '1']]);
        const [sent] = gateway.records('tickets').filter((it) => it.data.sysid === incident.fields.sys_id);
        assert.deepEqual(sent.data, { state: 6, sysid: incident.fields.sys_id });
        assert.equal(sent.actionablestate, 'resolved');
        instance.job(3600);
        assert.equal(instance.requests.length, 1);
    },
    async 'a rule that runs twice for one change sends it once'() {
        const [instance, incident] = [make(), ticket()];
        instance.change(incident, 6, { isAsyncLate: true });
        vm.runInContext(script('store.js'), instance.globals);
        vm.runInContext(script('send.js'), instance.globals);
        vm.runInContext(script('send.js'), instance.globals);
        assert.equal(instance.requests.length, 1);
    },
    async '503 is sent again after a while, with the same key, then answered 200'() {
        await gateway.stop();
        await gateway.start({ away: true });
        const [instance, incident] = [make(), ticket()];
        instance.change(incident, 6);
        const [change] = instance.changes();
        assert.match(change.last_answer, /^503 /);
        assert.equal(change.outcome, 'open');
        instance.job(20);
        assert.equal(instance.requests.length, 1, 'it waits at least 30 s');
        instance.job(15);
        assert.equal(instance.requests.length, 2);
        assert.equal(change.attempts, '2');
        await gateway.stop();
        await gateway.start();
        instance.job(40);
        assert.equal(instance.requests.length, 2, 'it waits 60 s after the second attempt');
        instance.job(25);
        assert.equal(change.outcome, 'sent');
        assert.equal(new Set(instance.requests.map((it) => it.headers['Idempotency-Key'])).size, 1);
        assert.match(instance.requests[0].headers['Idempotency-Key'], /^[0-9a-f]{32}-1-6$/);
        assert.deepEqual(states(incident.fields.sys_id), [6]);
    },
    async 'a later change does not overtake one that waits'() {
        await gateway.stop();
        await gateway.start({ away: true });
        const [instance, incident] = [make(), ticket()];
        instance.change(incident, 6);
        instance.now += 1000;
        instance.change(incident, 7);
        await gateway.stop();
        await gateway.start();
        instance.job(60);
        assert.deepEqual(instance.changes().map((it) => it.outcome), ['sent', 'sent']);
        assert.deepEqual(states(incident.fields.sys_id), [6, 7]);
    },
    async 'no answer in time is sent again'() {
        const [instance, incident] = [make(), ticket()];
        instance.timeoutMs = 1000;
        gateway.pause();
        instance.change(incident, 6);
        gateway.resume();
        assert.equal(instance.changes()[0].outcome, 'open');
        assert.match(instance.changes()[0].last_answer, /^0 /);
        instance.timeoutMs = Infinity;
        instance.job(60);
        assert.equal(instance.changes()[0].outcome, 'sent');
    },
    async 'a gateway that is not there is tried again'() {
        const instance = make({ 'x_example_iem.url': `http://127.0.0.1:${await freePort()}` });
        instance.change(ticket(), 6);
        assert.equal(instance.changes()[0].outcome, 'open');
    },
    async '429 is sent again no sooner than Retry-After asks'() {
        const instance = make({ 'x_example_iem.customer': 'small' });
        // More than the quota of one record a second, as soon as two come within a second.
        await until(() => {
            instance.change(ticket(), 6);
            return instance.log.length > 0;
        });
        const open = instance.changes().find((it) => it.outcome === 'open');
        assert.match(open.last_answer, /^429 /);
        await sleep(1500);
        instance.job(60);
        assert.equal(open.outcome, 'sent');
        const service = vm.runInContext('new IemTickets()', instance.globals);
        assert.equal(service._wait(1, '120'), 120);
        assert.equal(service._wait(3, '1'), 120);
        assert.equal(service._wait(40, null), 3600);
    },
    async 'with OAuth 2 in place of Basic it is answered 200'() {
        const granted = await fetch(`${gateway.url}/oauth2/token`, {
            method: 'POST',
            body: new URLSearchParams({ grant_type: 'client_credentials', client_id: right[0], client_secret: right[1] }),
            headers: { Connection: 'close' },
        });
        const instance = make();
        instance.authentication = ['-H', `Authorization: Bearer ${(await granted.json()).access_token}`];
        instance.change(ticket(), 7);
        assert.equal(instance.changes()[0].outcome, 'sent');
    },
    async '401 is not sent again, and the log says so'() {
        const instance = make({ 'x_example_iem.customer': 'globex' });
        instance.change(ticket(), 6);
        instance.job(3600);
        assert.equal(instance.requests.length, 1);
        assert.equal(instance.changes()[0].outcome, 'refused');
        assert.match(instance.log[0], /^error .*401 .*User is not associated with the customer/);
    },
    async '403 (a wrong password) and 404 (an unknown integration) are not sent again'() {
        const wrong = make({}, ['kit@example.com', 'wrong']);
        wrong.change(ticket(), 6);
        const unknown = make({ 'x_example_iem.integration': 'an other' });
        unknown.change(ticket(), 6);
        for (const instance of [wrong, unknown]) {
            instance.job(3600);
            assert.equal(instance.requests.length, 1);
            assert.equal(instance.changes()[0].outcome, 'refused');
        }
        assert.match(wrong.log[0], /403 .*Invalid credentials/);
        assert.match(unknown.log[0], /404 .*Integration not found/);
    },
    async 'a change is given up after the attempts that the property allows'() {
        await gateway.stop();
        await gateway.start({ away: true });
        const instance = make();
        instance.change(ticket(), 6);
        for (let run = 0; run < 10; run++) instance.job(3600);
        assert.equal(instance.requests.length, 4);
        assert.equal(instance.changes()[0].outcome, 'given_up');
        assert.match(instance.log.at(-1), /^error .*503/);
        await gateway.stop();
    },
});
gateway.child?.kill('SIGKILL');
process.exitCode = failed ? 1 : 0;
