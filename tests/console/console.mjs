// The console of a real gateway in Chromium. `scripts/console` names the program, a folder for it and one for pictures in the
// environment.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Gateway, PASSWORD, USER, until } from './gateway.mjs';
import { npmRequire } from './npm.mjs';

const isQuick = process.argv[2] === 'quick';
const require = npmRequire();
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const WIDTHS = [400, 1600];
const ARGUMENTS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** The time in which a change of a sink has to show, in milliseconds. */
const SHOWS_WITHIN = 2000;

const gateway = new Gateway();
const browser = await chromium.launch({ executablePath: process.env.IEM_CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });
const complaints = [];

/** Opens a page of the console, and notes all that the browser complains of. */
async function open(path, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1600, height: 1000 }, ...options });
    const page = await context.newPage();
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(`${path}: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`${path}: ${error}`));
    await page.goto(gateway.admin + path);
    return page;
}

const text = (page, selector) => page.locator(selector).first().innerText();
const row = (page, topic) => page.locator(`tr:has(a[href="/topics/${topic}"])`);

async function picture(page, name) {
    const width = page.viewportSize().width;
    const path = join(process.env.IEM_PICTURES, `${name}-${width}.png`);
    await page.screenshot({ path, fullPage: true });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(wider <= 0, `${name} is ${wider} px wider than ${width} px`);
}

/** Checks that axe finds nothing. */
async function accessible(page, name) {
    // Beside the page's policy, as an operator's own tool.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
    assert.deepEqual(found, [], name);
}

/** Waits until a page shows this, and returns after how many milliseconds. */
async function shows(page, condition, what) {
    const began = Date.now();
    await until(condition, what);
    return Date.now() - began;
}

const checks = {
    async 'the first screen under load'() {
        const page = await open('/');
        await until(async () => /[1-9]/.test(await row(page, 'events').locator('b').innerText()), 'events have a rate');
        await until(async () => /\d (µs|ms|s)\b/.test(await row(page, 'metrics').innerText()), 'metrics have a latency');
        assert.match(await text(page, '.ledger'), /Accepted\s+[\d,]+ [\d,.]+\/s/);
        const customers = await page.locator('section[aria-labelledby=customers]').innerText();
        assert.match(customers, /acme/);
        assert.match(customers, /globex\s.*% of 50\/s/s);
        // What the page says is what the gateway counts.
        const overview = await (await fetch(`${gateway.admin}/overview`)).json();
        assert.equal(overview.ledger.unaccounted, 0);
        assert(overview.ledger.accepted > 0 && overview.topics.length === 6);
        const shown = (await text(page, '.ledger dd')).split(' ')[0].replaceAll(',', '');
        assert(Math.abs(Number(shown) - overview.ledger.accepted) <= 3 * overview.ledger.accepted_rate + 50);
        // The line grows, and focus stays where it is.
        const link = row(page, 'events').locator('a');
        await link.focus();
        const line = () => row(page, 'events').locator('polyline').getAttribute('points');
        const before = await line();
        await until(async () => (await line()) !== before, 'the line goes on');
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'events');
        await page.context().close();
    },

    async 'a sink that goes away shows within 2 s, and so does its return'() {
        const page = await open('/');
        const state = async () => row(page, 'events').innerText();
        const metric = async () => (await (await fetch(`${gateway.admin}/metrics`)).text())
            .includes('iem_gateway_sink_up{sink="file",topic="events"} 0');
        await until(async () => (await state()).includes('file takes records'), 'all is well');
        gateway.breakSink();
        await until(metric, 'the gateway knows that its sink is away');
        const away = await shows(page, async () => (await state()).includes('file takes no records'), 'the sink is away');
        assert.match(await text(page, '.verdict'), /In trouble[^]*Topic events: file takes no records/);
        await picture(page, 'away');
        gateway.mendSink();
        await until(async () => !await metric(), 'the gateway knows that its sink is back');
        const back = await shows(page, async () => (await state()).includes('file takes records'), 'the sink is back');
        assert.match(await state(), /last error/);
        assert(away <= SHOWS_WITHIN && back <= SHOWS_WITHIN, `it showed after ${away} ms and ${back} ms`);
        await page.context().close();
    },

    async 'refusals by reason'() {
        for (let number = 0; number < 3; number += 1) {
            assert.equal(await gateway.publish('allevents', { envcustomerid: 'acme' }, {}), 401);
        }
        const page = await open('/topics/events');
        await until(async () => (await text(page, 'section[aria-labelledby=refusals]')).includes('Missing access token'), 'a reason');
        await page.context().close();
    },

    async 'dead letters are replayed by keyboard alone'() {
        const ids = gateway.addDeadLetters(5);
        const page = await open('/', { viewport: { width: 1000, height: 800 } });
        // The first stop leads past what comes before.
        await page.keyboard.press('Tab');
        assert.match(await page.evaluate(() => document.activeElement.textContent), /To the main part/);
        await page.keyboard.press('Enter');
        await until(() => page.evaluate(() => document.activeElement.id === 'main'), 'the main part has the focus');
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'events');
        await page.keyboard.press('Enter');
        await page.waitForURL('**/topics/events');
        const letters = page.locator('section[aria-labelledby=letters]');
        await until(async () => (await letters.innerText()).includes('does not fit'), 'the letters are shown');
        await picture(page, 'letters');
        let focused = '';
        for (let stop = 0; stop < 30 && !focused.startsWith('Replay all'); stop += 1) {
            await page.keyboard.press('Tab');
            focused = await page.evaluate(() => document.activeElement.textContent);
        }
        assert.equal(focused, 'Replay all dead letters');
        await page.keyboard.press('Enter');
        await until(async () => (await page.locator('main').innerText()).includes('Replayed: 5 delivered'), 'they are replayed');
        await until(async () => (await letters.innerText()).includes('There are none'), 'they are gone');
        const lines = gateway.lines('events');
        for (const id of ids) {
            const copies = lines.filter((line) => line.includes(id));
            assert.equal(copies.length, 2, id);
            assert(!copies[1].includes('rejectionreason'));
        }
        await page.context().close();
    },

    async 'a superadmin who logs in sees records as they come'() {
        const page = await open('/topics/events');
        await page.getByRole('link', { name: 'Log in to see records' }).click();
        await page.getByLabel('Email').fill(USER);
        await page.getByLabel('Password').fill(PASSWORD);
        await page.keyboard.press('Enter');
        await page.waitForURL('**/topics/events');
        await page.getByRole('button', { name: 'Show records for a minute' }).click();
        const records = page.locator('section[aria-labelledby=records]');
        await until(async () => /"envcustomerid":"acme"/.test(await records.innerText().catch(() => '')), 'records are shown');
        await picture(page, 'records');
        await page.getByRole('button', { name: 'Log out' }).click();
        await page.waitForURL('**/login');
        assert.match(gateway.log(), /"event":"records_shown"/);
        await page.context().close();
    },

    async 'axe finds nothing in light and dark, and all fits at every width'() {
        const themes = ['light', 'dark'];
        for (const [path, name] of [['/', 'overview'], ['/topics/metrics', 'topic'], ['/openapi', 'api'], ['/login', 'login']]) {
            for (const colorScheme of themes) {
                for (const width of WIDTHS) {
                    if (isQuick && (width === 400) !== (colorScheme === 'dark')) continue;
                    const page = await open(path, { viewport: { width, height: 1000 }, colorScheme });
                    if (path === '/') {
                        for (const summary of await page.locator('summary').all()) await summary.click();
                        await until(async () => /\d (µs|ms|s)\b/.test(await row(page, 'metrics').innerText()), 'rates');
                    }
                    await accessible(page, `${name} at ${width} px, ${colorScheme}`);
                    if (path === '/') await page.locator('summary').last().click();
                    await picture(page, `${name}-${colorScheme}`);
                    await page.context().close();
                }
            }
        }
    },

    async 'without a script the page shows all and is loaded again'() {
        const page = await open('/', { javaScriptEnabled: false });
        assert.match(await text(page, '.ledger'), /Accepted/);
        assert.match(await page.content(), /<noscript><meta http-equiv="refresh"/);
        await page.context().close();
    },

    async 'a gateway that is gone is told'() {
        const page = await open('/');
        await until(async () => /[1-9]/.test(await row(page, 'events').locator('b').innerText()), 'it lives');
        complaints.splice(0).forEach((complaint) => assert.fail(complaint));
        gateway.stop();
        await until(() => page.locator('#stale').isVisible(), 'it is told');
        // The browser says that the stream has broken off.
        complaints.length = 0;
        await page.context().close();
    },
};

let failed = 0;
try {
    await gateway.start();
    const stop = gateway.load();
    for (const [name, check] of Object.entries(checks)) {
        const began = Date.now();
        try {
            await check();
            console.log(`ok      console: ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
        } catch (error) {
            failed += 1;
            console.log(`FAILED  console: ${name}`);
            console.log(String(error.stack ?? error).replace(/^/gm, '        '));
        }
    }
    await stop();
    if (complaints.length > 0) {
        failed += 1;
        console.log(`FAILED  console: the browser complains of nothing\n        ${complaints.join('\n        ')}`);
    }
} finally {
    await browser.close();
    gateway.stop();
}
process.exitCode = failed === 0 ? 0 : 1;
