// Keeps a page of the console up to date: the stream sends the part of the page that changes, and
// it is put into the page piece by piece, so that focus and selection stay where they are.
'use strict';

(() => {
    /** The time without news after which the page says so, in milliseconds. */
    const STALE_AFTER = 5000;
    const live = document.getElementById('live');
    const stale = document.getElementById('stale');
    if (!live || !stale) return;

    let heard = Date.now();
    let source;

    /** Makes `old` what `fresh` is, and leaves alone what is the same. */
    function become(old, fresh) {
        if (old.isEqualNode(fresh)) return;
        if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
            old.replaceWith(fresh);
            return;
        }
        if (old.nodeType !== Node.ELEMENT_NODE) {
            if (old.data !== fresh.data) old.data = fresh.data;
            return;
        }
        // What people have opened stays open.
        const keeps = (name) => name === 'open' && old.nodeName === 'DETAILS';
        for (const { name } of [...old.attributes]) {
            if (!fresh.hasAttribute(name) && !keeps(name)) old.removeAttribute(name);
        }
        for (const { name, value } of [...fresh.attributes]) {
            if (old.getAttribute(name) !== value && !keeps(name)) old.setAttribute(name, value);
        }
        const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
        after.forEach((node, index) => {
            if (index < before.length) become(before[index], node);
            else old.append(node);
        });
        before.slice(after.length).forEach((node) => node.remove());
    }

    function show(html) {
        heard = Date.now();
        stale.hidden = true;
        const fresh = new DOMParser().parseFromString(html, 'text/html').body;
        const [before, after] = [[...live.childNodes], [...fresh.childNodes]];
        after.forEach((node, index) => {
            if (index < before.length) become(before[index], node);
            else live.append(node);
        });
        before.slice(after.length).forEach((node) => node.remove());
    }

    function open() {
        source?.close();
        source = new EventSource(live.dataset.stream);
        source.addEventListener('page', (event) => show(JSON.parse(event.data)));
        // A browser asks again by itself unless the answer was a refusal.
        source.addEventListener('error', () => {
            if (source.readyState === EventSource.CLOSED) setTimeout(again, 3000);
        });
    }

    /** Opens another stream, unless the page itself is refused, too: its answer says what to do. */
    async function again() {
        if (document.hidden) return;
        const page = await fetch(location.href, { method: 'HEAD', redirect: 'manual' }).catch(() => null);
        if (page && page.status !== 200) location.reload();
        else open();
    }

    // A page that nobody sees asks for nothing.
    document.addEventListener('visibilitychange', () => {
        if (document.hidden) {
            source?.close();
        } else {
            heard = Date.now();
            open();
        }
    });
    if (!document.hidden) open();

    setInterval(() => {
        if (document.hidden) return;
        const seconds = Math.round((Date.now() - heard) / 1000);
        if (seconds * 1000 < STALE_AFTER) return;
        stale.hidden = false;
        const text = 'No news from the gateway: what stands here is old.';
        if (stale.textContent !== text) stale.textContent = text;
    }, 1000);
})();
