import { BusinessRule, ScheduledScript, ScriptInclude } from '@servicenow/sdk/core'

ScriptInclude({
    $id: Now.ID['tickets'],
    name: 'IemTickets',
    active: true,
    apiName: 'x_example_iem.IemTickets',
    description: 'Stores changes of tickets and sends them to iem-gateway',
    script: Now.include('../scripts/IemTickets.js'),
})

/** Stores the change in the ticket's own transaction, so that none is lost. */
BusinessRule({
    $id: Now.ID['store'],
    name: 'IEM: store the change',
    table: 'incident',
    when: 'after',
    action: ['insert', 'update'],
    filterCondition: 'stateCHANGESTO6^ORstateCHANGESTO7',
    order: 1000,
    active: true,
    script: Now.include('../scripts/store.js'),
})

/** Sends it without making the user wait. */
BusinessRule({
    $id: Now.ID['send'],
    name: 'IEM: send the change',
    table: 'incident',
    when: 'async',
    action: ['insert', 'update'],
    filterCondition: 'stateCHANGESTO6^ORstateCHANGESTO7',
    order: 1000,
    active: true,
    script: Now.include('../scripts/send.js'),
})

/** Sends again what the gateway has not taken yet. */
ScheduledScript({
    $id: Now.ID['send-again'],
    name: 'IEM: send changes again',
    frequency: 'periodically',
    executionInterval: { minutes: 1 },
    executionStart: '2025-01-01 00:00:00',
    timeZone: 'UTC',
    active: true,
    script: Now.include('../scripts/send-again.js'),
})
