// Fetches an access token for requests that need one, and keeps it until a minute before it expires.
// A request that inherits its authentication has none of its own here.
const type = pm.request.auth ? pm.request.auth.type : 'bearer';
const [url, email, password] = ['url', 'email', 'password'].map((name) => pm.variables.get(name));
// Another user or gateway needs another token.
const holder = `${email} ${url}`;
const holds = pm.collectionVariables.get('tokenHolder') === holder
    && Date.now() < Number(pm.collectionVariables.get('tokenEnds'));

if (type === 'bearer' && !holds) {
    const fields = { grant_type: 'client_credentials', client_id: email, client_secret: password };
    const urlencoded = Object.entries(fields).map(([key, value]) => ({ key, value }));
    pm.sendRequest({
        url: `${url}/oauth2/token`,
        method: 'POST',
        header: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: { mode: 'urlencoded', urlencoded },
    }, (error, answer) => {
        // An error that is thrown here would not be shown; a test that fails is.
        pm.test('a token is granted', () => {
            pm.expect(error, String(error && (error.message || error))).to.be.null;
            pm.expect(answer.code, answer.text()).to.equal(200);
        });
        if (error || answer.code !== 200) return;
        const { access_token: token, expires_in: seconds } = answer.json();
        pm.collectionVariables.set('accessToken', token);
        pm.collectionVariables.set('tokenHolder', holder);
        pm.collectionVariables.set('tokenEnds', String(Date.now() + (seconds - 60) * 1000));
    });
}
