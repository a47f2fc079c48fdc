// The script of a media type "Webhook" of Zabbix 6.0 or newer. README.md lists its parameters.
function send(params) {
    var token = new HttpRequest();
    token.addHeader('Content-Type: application/x-www-form-urlencoded');
    var granted = token.post(params.url + '/oauth2/token', 'grant_type=client_credentials' +
        '&client_id=' + encodeURIComponent(params.user) +
        '&client_secret=' + encodeURIComponent(params.password));
    if (token.getStatus() !== 200) {
        throw 'IEM refused the log-in: ' + token.getStatus() + ' ' + granted;
    }

    var publish = new HttpRequest();
    publish.addHeader('Content-Type: application/json');
    publish.addHeader('Authorization: Bearer ' + JSON.parse(granted).access_token);
    // The same for every attempt at one notification.
    publish.addHeader('Idempotency-Key: zabbix-' + params.event_id + '-' + params.status);
    var answer = publish.post(params.url + '/publish/allevents/', JSON.stringify({
        envcustomerid: params.customer,
        severity: params.severity,
        status: params.status,
        description: params.subject,
        messages: params.message,
        entity: params.host,
        entityid: params.host,
        createdon: params.date.replace(/\./g, '-') + 'T' + params.time,
        toolmanager: 'zabbix',
        manageragent: 'zabbix',
        ieventid: params.event_id,
        splitby: params.host + '_' + params.trigger_id
    }));
    if (publish.getStatus() !== 200) {
        // Zabbix tries again, as often as the media type's "Attempts" says.
        throw 'IEM answered ' + publish.getStatus() + ' ' + answer;
    }
    return 'OK';
}

return send(JSON.parse(value));
