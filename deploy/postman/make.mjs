// Makes iem-gateway.postman_collection.json from the OpenAPI document: `node deploy/postman/make.mjs [FILE]`.
// openapi-to-postmanv2 gives the folders, the names and the descriptions. Its bodies are random, so those of
// the document's examples take their place, a request for each example.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { npmPackage } from '../../tests/clients/npm.mjs';

const here = import.meta.dirname;
const read = (name) => readFileSync(join(here, name), 'utf8');
const document = JSON.parse(read('../../src/http/api/openapi.json'));

/** Follows a reference within the document. */
function resolved(value) {
    if (!value?.$ref) return value;
    return resolved(value.$ref.slice(2).split('/').reduce((at, part) => at[part], document));
}

/** Puts the variables of the environment in place of the values that the document's examples have. */
const withVariables = (text) => text
    .replace(/("(?:envcustomerid|envcustomer_id)": ?)"acme"/g, '$1"{{customer}}"')
    .replace('nifi@example.com', '{{email}}')
    .replace('correct horse', '{{password}}')
    .replace('eyJ…', '{{refreshToken}}');
const parameterValues = {
    customerid: '{{customer}}',
    integrationid: '{{integration}}',
    'ce-customerid': '{{customer}}',
    'ce-integrationid': '{{integration}}',
    'Idempotency-Key': '{{$guid}}',
};

/** Lists the bodies of an operation: one for each example. */
function bodies(operation) {
    const content = Object.entries(resolved(operation.requestBody)?.content ?? {});
    return content.flatMap(([type, { examples = {} }]) =>
        Object.entries(examples).map(([name, example]) => {
            const { value } = resolved(example);
            return { name, type, body: type.includes('urlencoded') ? form(value) : raw(value) };
        }));
}
const form = (value) => ({
    mode: 'urlencoded',
    urlencoded: Object.entries(value).map(([key, text]) => ({ key, value: withVariables(text) })),
});
const raw = (value) => ({
    mode: 'raw',
    raw: withVariables(typeof value === 'string' ? value : JSON.stringify(value, null, 2)),
    options: { raw: { language: 'json' } },
});

function auth(operation) {
    const schemes = operation.security.flatMap(Object.keys);
    if (schemes.includes('bearer')) return undefined; // As the collection.
    if (schemes.includes('basic') && !operation.requestBody) {
        const value = (key, text) => ({ key, value: text, type: 'string' });
        return { type: 'basic', basic: [value('username', '{{email}}'), value('password', '{{password}}')] };
    }
    return { type: 'noauth' };
}

/** Writes the tests of a request from the answers that the document has for it. */
function tests(operation) {
    const statuses = Object.keys(operation.responses).map(Number);
    const { schema } = resolved(operation.responses[200]).content['application/json'];
    const { properties = {}, required = [] } = resolved(schema);
    const constants = Object.entries(properties).filter(([, it]) => 'const' in resolved(it));
    const expected = Object.fromEntries(constants.map(([name, it]) => [name, resolved(it).const]));
    const lines = [
        "pm.test('the status is documented', () => {",
        `    pm.expect(pm.response.code).to.be.oneOf(${JSON.stringify(statuses)});`,
        '});',
        "pm.test('the answer is 200', () => {",
        '    pm.expect(pm.response.code, pm.response.text()).to.equal(200);',
        '});',
        "pm.test('the body is as documented', () => {",
        '    const body = pm.response.json();',
        `    pm.expect(body).to.include(${JSON.stringify(expected)});`,
        ...required.map((name) => `    pm.expect(body).to.have.property(${JSON.stringify(name)});`),
        '});',
    ];
    if ('access_token' in properties || 'data' in properties) {
        const tokens = 'data' in properties ? 'pm.response.json().data' : 'pm.response.json()';
        lines.push(
            `const refreshToken = pm.response.code === 200 && ${tokens}.refresh_token;`,
            "if (refreshToken) pm.collectionVariables.set('refreshToken', refreshToken);",
        );
    }
    return [{ listen: 'test', script: { type: 'text/javascript', exec: lines } }];
}

/** Turns a request of the converter into one for each example of the document. */
function requests({ name, request }) {
    const path = `/${request.url.path.join('/').replace(/:(\w+)/g, '{$1}')}`;
    const operation = document.paths[path][request.method.toLowerCase()];
    const set = (parameters) => parameters.map(({ key, value, description }) => ({
        key,
        value: parameterValues[key] ?? exampleOf(key) ?? value,
        ...(description && { description: description.content }),
    }));
    const optional = set(request.header.filter(({ key }) => !['Content-Type', 'Accept'].includes(key)));
    // In binary mode the attributes of an event are headers, and the body is plain JSON.
    const isOn = ({ key }, type) => key.startsWith('ce-') && type === 'application/json';
    const headers = (type) => [
        ...(type ? [{ key: 'Content-Type', value: type }] : []),
        ...optional.map((header) => (isOn(header, type) ? header : { ...header, disabled: true })),
    ];
    const examples = bodies(operation);
    return (examples.length ? examples : [{}]).map((example) => ({
        name: examples.length > 1 ? `${name}: ${example.name}` : name,
        event: tests(operation),
        request: {
            method: request.method,
            description: operation.description,
            ...(auth(operation) && { auth: auth(operation) }),
            header: headers(example.type),
            url: {
                raw: `{{url}}${withQuery(request.url)}`,
                host: ['{{url}}'],
                path: request.url.path,
                ...(request.url.query.length && { query: set(request.url.query) }),
                ...(request.url.variable.length && { variable: set(request.url.variable) }),
            },
            ...(example.body && { body: example.body }),
        },
    }));
}
const parameters = Object.values(document.components.parameters);
const exampleOf = (key) => parameters.find(({ name }) => name === key)?.example;
function withQuery({ path, query }) {
    const pairs = query.map(({ key }) => `${key}=${parameterValues[key]}`);
    return `/${path.join('/')}${pairs.length ? `?${pairs.join('&')}` : ''}`;
}

const convert = npmPackage('openapi-to-postmanv2').convertV2;
const converted = await new Promise((done, fail) => {
    const input = { type: 'string', data: JSON.stringify(document) };
    const options = { folderStrategy: 'Tags', requestNameSource: 'Fallback' };
    convert(input, options, (error, { result, reason, output }) =>
        error || !result ? fail(error ?? new Error(reason)) : done(output[0].data));
});

const collection = {
    info: {
        name: document.info.title,
        description: document.info.description,
        schema: converted.info.schema,
    },
    auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{accessToken}}', type: 'string' }] },
    event: [{
        listen: 'prerequest',
        script: { type: 'text/javascript', exec: read('token.js').trimEnd().split('\n') },
    }],
    item: converted.item.map(({ name, item }) => ({
        name,
        description: document.tags.find((tag) => tag.name === name).description,
        item: item.flatMap(requests),
    })),
};
const file = process.argv[2] ?? join(here, 'iem-gateway.postman_collection.json');
writeFileSync(file, JSON.stringify(collection, null, 2) + '\n');
