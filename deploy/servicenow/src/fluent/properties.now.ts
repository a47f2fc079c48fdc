import { Property } from '@servicenow/sdk/core'

Property({
    $id: Now.ID['url'],
    $meta: { installMethod: 'first install' },
    name: 'x_example_iem.url',
    type: 'string',
    value: 'https://iem.example.com',
    description: 'The gateway, without a slash at the end',
})

Property({
    $id: Now.ID['customer'],
    $meta: { installMethod: 'first install' },
    name: 'x_example_iem.customer',
    type: 'string',
    value: 'acme',
    description: 'The id of the customer in IEM',
})

Property({
    $id: Now.ID['integration'],
    $meta: { installMethod: 'first install' },
    name: 'x_example_iem.integration',
    type: 'string',
    value: 'servicenow',
    description: 'The id of the integration in IEM',
})

Property({
    $id: Now.ID['attempts'],
    $meta: { installMethod: 'first install' },
    name: 'x_example_iem.max_attempts',
    type: 'integer',
    value: 50,
    description: 'How often a change is sent until it is given up; 50 are about two days',
})
