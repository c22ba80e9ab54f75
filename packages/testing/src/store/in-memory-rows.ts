import type { FailedAttempt, OutboxEntry, RejectedMessage } from '@cqrs-outbox/core';

/** What every table keeps of an entry. */
export type KeptEntry = Omit<OutboxEntry, 'availableAt' | 'strictOrder'>;

/** A row of the outbox. */
export interface EntryRow {
  readonly position: bigint;
  readonly entry: KeptEntry;
  /** Why it can't be read as an entry, if so. */
  readonly unreadable?: string;
}

/** An entry that is not in the outbox yet. */
export interface DelayedRow {
  readonly availableAt: number;
  readonly entry: KeptEntry;
}

/** A key whose head entry was refused. */
export interface RetryRow {
  readonly position: bigint;
  readonly attempts: number;
  readonly retryAt: number;
  readonly error: string;
  readonly history: readonly FailedAttempt[];
}

/** An entry that was given up. */
export interface DeadLetterRow extends EntryRow {
  readonly deadLetterId: bigint;
  readonly attempts: number;
  readonly error: string;
  readonly stack: string | undefined;
  readonly history: readonly FailedAttempt[];
  readonly failedAt: number;
  readonly isParking: boolean;
}

/** A received message that was set aside. */
export interface RejectedRow {
  readonly deadLetterId: bigint;
  readonly rejectedAt: number;
  readonly message: RejectedMessage;
}

/** An entry that was published. */
export interface ArchiveRow {
  readonly archiveId: bigint;
  readonly publishedAt: number;
  readonly entry: KeptEntry;
}

/** Who may relay a slot. */
export interface SlotRow {
  readonly owner: string | undefined;
  readonly epoch: number;
}

/** A relay instance. */
export interface InstanceRow {
  readonly slotCount: number;
  readonly leaseMs: number;
  readonly expiresAt: number;
}

/** One map key out of several strings, whatever characters they have. */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

/** Shares nothing with the original, as if it had been written to a disk. */
export function copyOf(entry: KeptEntry): KeptEntry {
  return {
    ...entry,
    occurredAt: new Date(entry.occurredAt),
    headers: { ...entry.headers },
    payload: entry.payload && Buffer.from(entry.payload),
  };
}

/** What is kept of an entry that is appended. */
export function keptOf({ availableAt: _, strictOrder: __, ...entry }: OutboxEntry): KeptEntry {
  return copyOf(entry);
}
