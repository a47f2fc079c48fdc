import { DateTimeColumn, IntegerColumn, StringColumn, Table } from '@servicenow/sdk/core'

/** The changes that the gateway has to be told of, and what became of each. */
export const x_example_iem_change = Table({
    name: 'x_example_iem_change',
    label: 'IEM ticket change',
    display: 'idempotency_key',
    schema: {
        ticket: StringColumn({ label: 'Ticket (sys_id)', maxLength: 32, mandatory: true }),
        state: StringColumn({ label: 'State', maxLength: 10, mandatory: true }),
        idempotency_key: StringColumn({ label: 'Idempotency key', maxLength: 100, mandatory: true }),
        /** Milliseconds since 1970, with leading zeros: the order of a ticket's changes. */
        happened: StringColumn({ label: 'Happened', maxLength: 20, mandatory: true }),
        /** open, sent, refused or given_up. */
        outcome: StringColumn({ label: 'Outcome', maxLength: 20, default: 'open' }),
        attempts: IntegerColumn({ label: 'Attempts', default: 0 }),
        next_attempt: DateTimeColumn({ label: 'Next attempt' }),
        last_answer: StringColumn({ label: 'Last answer', maxLength: 255 }),
    },
    index: [
        { name: 'idempotency_key', unique: true, element: 'idempotency_key' },
        { name: 'open_changes', unique: false, element: ['outcome', 'next_attempt'] },
    ],
})
