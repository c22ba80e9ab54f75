import type { Mutation } from './mutation.ts';

const CORE = 'packages/core/src';
const BATCH = `${CORE}/relay/batch-relay.ts`;
const LEASES = `${CORE}/relay/leases/slot-leases.ts`;
const STORE = 'packages/mikro-orm/src/store';
const FENCE = `${STORE}/lease-fence.ts`;
const RETRIES = `${STORE}/outbox/retry-parts.ts`;

/** The library as it is, under all the faults of the others: nothing may be found. */
export const UNCHANGED = {
  name: 'unchanged',
  kinds: ['kill-relay', 'restart-broker', 'freeze-relay', 'stall', 'slow', 'refusal'],
  minutes: 1,
} as const satisfies Partial<Mutation>;

/** Each breaks one promise, and each must be found by what has arrived at the brokers. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'deletes before it publishes',
    kinds: ['kill-relay', 'restart-broker'],
    minutes: 0.75,
    expected: 'lost',
    edits: [
      {
        file: BATCH,
        from: 'const results = await this.publish(leases, readable, permit);',
        to: 'await this.ask(this.parts.store.remove(readable, batch));\n    const results = await this.publish(leases, readable, permit);',
      },
    ],
  },
  {
    name: 'no fence: a relay whose lease is over goes on, and its writes take effect',
    kinds: ['freeze-relay'],
    minutes: 0.75,
    expected: 'unexplained duplicate',
    edits: [
      // It believes in its leases for ever: it sends whatever the time, and does not look at the table any more.
      {
        file: LEASES,
        from: 'return this.environment.clock.now() < this.#validUntil;',
        to: 'return this.#validUntil > -Infinity;',
      },
      {
        file: LEASES,
        from: '    const { gained, lost, isCleared } = this.#held.adopt(slots, instance);',
        to: '    const kept = this.#held.staying().map(({ slot, epoch }) => ({ slot, epoch, owner: instance }));\n    const { gained, lost, isCleared } = this.#held.adopt([...slots, ...kept], instance);',
      },
      {
        file: LEASES,
        from: 'if (instance === undefined || !(await this.ask(this.store.renew(instance, leaseMs)))) {\n      this.loseAll();\n',
        to: 'if (instance !== undefined) await this.ask(this.store.renew(instance, leaseMs));\n    if (instance === undefined) {\n',
      },
      {
        file: LEASES,
        from: '    const live = await this.expireOthers(instances, instance);',
        to: '    if (!instances.some((other) => other.instance === instance)) return;\n    const live = await this.expireOthers(instances, instance);',
      },
      {
        file: FENCE,
        from: '({ slot, owner, epoch }) => sql`(slot = ${slot} and owner = ${owner} and epoch = ${epoch})`',
        to: '({ slot }) => sql`(slot = ${slot})`',
      },
    ],
  },
  {
    name: 'no order within a batch',
    kinds: ['stall', 'slow'],
    minutes: 0.5,
    expected: 'out of order',
    edits: [
      {
        file: BATCH,
        from: 'const results = await this.publish(leases, readable, permit);',
        to: 'readable.reverse();\n    const results = await this.publish(leases, readable, permit);',
      },
    ],
  },
  {
    name: 'the followers of a refused message are not held back',
    kinds: ['refusal'],
    minutes: 0.5,
    expected: 'out of order',
    edits: [
      {
        file: RETRIES,
        from: '(r.entry_id is null or ${isEarlier} or (r.entry_id = o.id and ${isDue(now)}))',
        to: '(r.entry_id is null or r.entry_id <> o.id or ${isDue(now)})',
      },
      {
        file: RETRIES,
        from: 'o.message_key not in (select message_key from r)',
        to: 'o.id not in (select entry_id from r)',
      },
    ],
  },
];
