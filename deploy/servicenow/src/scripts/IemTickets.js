/**
 * Stores changes of tickets in the table `change` and sends them to iem-gateway. A change is sent until
 * the gateway has confirmed it, refuses it, or the attempts are used up. The changes of one ticket are
 * sent in their order.
 */
var IemTickets = Class.create();
IemTickets.prototype = {
    initialize: function () {
        this.scope = gs.getCurrentScopeName();
        this.table = this.scope + '_change';
    },

    /** Stores the state that the ticket has now. A change that is stored already is not stored twice. */
    store: function (ticket) {
        var id = ticket.getUniqueValue();
        var state = String(ticket.getValue('state'));
        // The count of changes is the same however often the rule runs for one change.
        var key = id + '-' + ticket.getValue('sys_mod_count') + '-' + state;
        var change = new GlideRecord(this.table);
        if (change.get('idempotency_key', key)) {
            return;
        }
        var now = new GlideDateTime();
        change.initialize();
        change.setValue('ticket', id);
        change.setValue('state', state);
        change.setValue('idempotency_key', key);
        change.setValue('happened', ('00000000000000000000' + now.getNumericValue()).slice(-20));
        change.setValue('outcome', 'open');
        change.setValue('attempts', 0);
        change.setValue('next_attempt', now);
        change.insert();
    },

    /**
     * Sends the open changes of a ticket, the oldest first. Stops at one that has to wait, because a
     * later one must not overtake it. Returns whether none has to wait.
     */
    sendTicket: function (ticket) {
        var change = new GlideRecord(this.table);
        change.addQuery('ticket', ticket);
        change.addQuery('outcome', 'open');
        change.orderBy('happened');
        change.query();
        while (change.next()) {
            if (this._isEarly(change) || !this._send(change)) {
                return false;
            }
        }
        return true;
    },

    /**
     * Sends what is due. Ends at the first change that has to wait: the gateway is away or full, and the
     * next run goes on with the others.
     */
    sendDue: function () {
        var due = new GlideRecord(this.table);
        due.addQuery('outcome', 'open');
        due.addQuery('next_attempt', '<=', new GlideDateTime());
        due.orderBy('next_attempt');
        due.setLimit(200);
        due.query();
        var seen = {};
        while (due.next()) {
            var ticket = due.getValue('ticket');
            if (!seen[ticket]) {
                seen[ticket] = true;
                if (!this.sendTicket(ticket) && this.isAway) {
                    return;
                }
            }
        }
    },

    _isEarly: function (change) {
        return new GlideDateTime(change.getValue('next_attempt')).getNumericValue() >
            new GlideDateTime().getNumericValue();
    },

    /** Sends a change and notes the answer. Returns false where it has to be sent again. */
    _send: function (change) {
        var answer = this._post(change);
        var attempts = parseInt(change.getValue('attempts'), 10) + 1;
        var most = parseInt(gs.getProperty(this.scope + '.max_attempts', '50'), 10);
        var mayPass = answer.status < 100 || answer.status === 429 || answer.status >= 500;
        this.isAway = mayPass;
        change.setValue('attempts', attempts);
        change.setValue('last_answer', (answer.status + ' ' + answer.body).substring(0, 255));
        if (answer.status === 200) {
            change.setValue('outcome', 'sent');
        } else if (!mayPass || attempts >= most) {
            change.setValue('outcome', mayPass ? 'given_up' : 'refused');
            gs.error('IEM: the change ' + change.getValue('idempotency_key') + ' was not delivered: ' +
                change.getValue('last_answer'));
        } else {
            var next = new GlideDateTime();
            next.addSeconds(this._wait(attempts, answer.retryAfter));
            change.setValue('next_attempt', next);
            gs.warn('IEM: the change ' + change.getValue('idempotency_key') + ' is sent again at ' +
                next.getValue() + ': ' + change.getValue('last_answer'));
        }
        change.update();
        return change.getValue('outcome') !== 'open';
    },

    /** Seconds until the next attempt: 30, 60, 120 and so on up to an hour, or as the gateway asks. */
    _wait: function (attempts, retryAfter) {
        var wait = Math.min(30 * Math.pow(2, Math.min(attempts, 10) - 1), 3600);
        var asked = parseInt(retryAfter, 10);
        return isNaN(asked) ? wait : Math.max(wait, asked);
    },

    /** Posts a change. A status below 100 stands for no answer. */
    _post: function (change) {
        try {
            var request = new sn_ws.RESTMessageV2('IEM ticket update', 'push');
            request.setStringParameterNoEscape('url', gs.getProperty(this.scope + '.url'));
            request.setStringParameterNoEscape('customer', this._encoded('customer'));
            request.setStringParameterNoEscape('integration', this._encoded('integration'));
            request.setRequestHeader('Idempotency-Key', change.getValue('idempotency_key'));
            // The gateway answers within 15 s.
            request.setHttpTimeout(20000);
            request.setRequestBody(JSON.stringify({
                state: parseInt(change.getValue('state'), 10),
                sysid: change.getValue('ticket')
            }));
            var response = request.execute();
            return {
                status: response.getStatusCode(),
                body: response.getBody() || response.getErrorMessage() || '',
                retryAfter: response.getHeader('Retry-After')
            };
        } catch (error) {
            return { status: 0, body: String(error.message || error), retryAfter: null };
        }
    },

    _encoded: function (property) {
        return encodeURIComponent(gs.getProperty(this.scope + '.' + property));
    },

    type: 'IemTickets'
};
