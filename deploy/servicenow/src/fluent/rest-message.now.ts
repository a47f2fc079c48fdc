import { Record, RestMessage } from '@servicenow/sdk/core'

/** The user and password of the gateway. Its password is entered on the instance, never here. */
Record({
    $id: '6f1d3a52c0de4b0f9c5a7e2b8d94a1c3',
    $meta: { installMethod: 'first install' },
    table: 'sys_auth_profile_basic',
    data: {
        name: 'IEM gateway',
        username: 'servicenow@example.com',
    },
})

RestMessage({
    $id: Now.ID['message'],
    name: 'IEM ticket update',
    endpoint: '${url}/gbp/push/${customer}?integrationid=${integration}',
    description: 'Tells iem-gateway that a ticket was resolved or closed',
    authenticationType: 'basic',
    basicAuthProfile: '6f1d3a52c0de4b0f9c5a7e2b8d94a1c3',
    functions: [
        {
            name: 'push',
            httpMethod: 'POST',
            endpoint: '${url}/gbp/push/${customer}?integrationid=${integration}',
            headers: [
                { $id: Now.ID['message-content-type'], name: 'Content-Type', value: 'application/json' },
            ],
            variables: [
                { $id: Now.ID['message-url'], name: 'url' },
                { $id: Now.ID['message-customer'], name: 'customer' },
                { $id: Now.ID['message-integration'], name: 'integration' },
            ],
        },
    ],
})
