import assert from 'node:assert/strict';
import {
  AggregateRoot,
  DomainEvent,
  type CommittedTransaction,
  type CommittingTransaction,
  type OutboxEntry,
  type StoredEntry,
  type TransactionHooks,
} from '@cqrs-outbox/core';
import { SAMPLE_DESTINATION, SAMPLE_SLOT_COUNT, SAMPLE_SLOTS, sampleEntry } from './sample-message.js';
import type { StoreFixture } from './store-harness.js';

/** What the suites' aggregates record. */
export class SampleEvent extends DomainEvent {
  label!: string;
}

/**
 * Stands in for the library: collects what aggregates have recorded, inserts what is pending, and tells of it. As the library, it
 * answers with no promise where it waits for nothing.
 */
export class ScriptedHooks implements TransactionHooks {
  /** What happened, in order. */
  readonly log: string[] = [];
  /** Called in `beforeCommit`, before the insert. */
  onBeforeCommit: (transaction: CommittingTransaction) => Promise<void> | void = () => undefined;
  /** Called in `afterCommit`. */
  onAfterCommit: (transaction: CommittedTransaction) => Promise<void> | void = () => undefined;

  collect(transaction: CommittingTransaction): void {
    const { pending } = transaction;
    for (const aggregate of transaction.aggregates()) {
      for (const event of AggregateRoot.takeRecorded(aggregate)) {
        pending.addEntries([labelled((event as SampleEvent).label)]);
      }
    }
  }

  completePart(transaction: CommittingTransaction): undefined {
    this.log.push('part');
    this.collect(transaction);
  }

  beforeCommit(transaction: CommittingTransaction): Promise<void> | undefined {
    this.log.push('before commit');
    const waiting = this.onBeforeCommit(transaction);
    return waiting ? waiting.then(() => this.insert(transaction)) : this.insert(transaction);
  }

  afterCommit(transaction: CommittedTransaction): Promise<void> | undefined {
    this.log.push(`after commit of ${transaction.inserted.map(labelOf).join(',') || 'nothing'}`);
    return this.onAfterCommit(transaction) ?? undefined;
  }

  reset(): void {
    this.log.length = 0;
    this.onBeforeCommit = () => undefined;
    this.onAfterCommit = () => undefined;
  }

  private insert(transaction: CommittingTransaction): Promise<void> | undefined {
    this.collect(transaction);
    const entries = transaction.pending.takeEntries();
    return entries.length > 0 ? transaction.insert(entries) : undefined;
  }
}

/** An entry whose payload is a short text, to tell entries apart in failures. */
export function labelled(label: string, given: Partial<OutboxEntry> = {}): OutboxEntry {
  return sampleEntry({ key: 'key', payload: Buffer.from(label), contentType: 'text/plain', ...given });
}

export function labelOf({ payload }: Pick<OutboxEntry, 'payload'>): string {
  return payload?.toString() ?? 'tombstone';
}

/** Appends to the transaction of the current call. */
export function append({ unitOfWork }: StoreFixture, ...entries: (OutboxEntry | string)[]): void {
  const pending = unitOfWork.current();
  if (!pending) throw new Error('No transaction is open here.');
  pending.addEntries(entries.map((entry) => (typeof entry === 'string' ? labelled(entry) : entry)));
}

/** Appends and commits. */
export function commit(fixture: StoreFixture, ...entries: (OutboxEntry | string)[]): Promise<void> {
  return fixture.unitOfWork.runInTransaction(async () => append(fixture, ...entries));
}

/** What the relay would get now, if it had all slots. */
export async function fetchAll(
  { outbox }: StoreFixture,
  destination = SAMPLE_DESTINATION,
): Promise<readonly StoredEntry[]> {
  const selection = { destination, slots: SAMPLE_SLOTS, slotCount: SAMPLE_SLOT_COUNT, limitPerSlot: 10_000 };
  const { entries, hasMisplaced } = await outbox.fetch(selection);
  assert.equal(hasMisplaced, false, 'there are entries without a slot of this count');
  return entries;
}

export async function fetchLabels(fixture: StoreFixture, destination?: string): Promise<string[]> {
  return (await fetchAll(fixture, destination)).map(labelOf);
}

/** The first entry that the relay would get now. */
export async function fetchFirst(fixture: StoreFixture): Promise<StoredEntry> {
  const [first] = await fetchAll(fixture);
  assert.ok(first, 'there is no entry');
  return first;
}

/** The entry with this label, out of those that the relay would get now. */
export async function fetchOne(fixture: StoreFixture, label: string): Promise<StoredEntry> {
  const found = (await fetchAll(fixture)).find((entry) => labelOf(entry) === label);
  assert.ok(found, `${label} can't be fetched`);
  return found;
}
